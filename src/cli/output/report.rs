//! The table that an import ends with: of few files a row each; of many the troubles, then how many there are of each outcome.

use super::table::Grid;
use super::{Form, io};
use crate::error::{Error, Result};
use crate::ingest::{FileReport, Outcome, Report};
use crate::model::Time;
use crate::model::harmless::clean;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Files that have a row each on a terminal.
const MANY: usize = 40;
/// Rows of trouble that are shown of many files.
const TROUBLES: usize = 30;
/// Groups of the summary.
const GROUPS: usize = 60;

const NAMES: [&str; 11] = ["file", "format", "records", "ok", "partial", "skipped", "failed", "oddities", "from", "to", "note"];

/// Prints what became of an import. `all`: a row for every file.
pub fn print(report: &Report, form: Form, all: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match form {
        Form::Jsonl => {
            for file in &report.files {
                writeln!(out, "{}", row_json(file)).map_err(io)?;
            }
            Ok(())
        }
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(&mut out);
            writer.write_record(NAMES).map_err(|e| Error::internal(e.to_string()))?;
            for file in &report.files {
                writer.write_record(row(file)).map_err(|e| Error::internal(e.to_string()))?;
            }
            writer.flush().map_err(io)
        }
        _ => table(report, all, &mut out),
    }
}

fn table(report: &Report, all: bool, out: &mut dyn Write) -> Result<()> {
    let many = report.files.len() > MANY && !all;
    let mut troubles: Vec<&FileReport> = report.files.iter().filter(|f| f.is_incomplete()).collect();
    // What can be done something about comes before what no format is known for.
    troubles.sort_by_key(|f| matches!(f.outcome, Outcome::NotRecognised(_)));
    let shown: Vec<&FileReport> = match many {
        true => troubles.iter().copied().take(TROUBLES).collect(),
        false => report.files.iter().collect(),
    };
    if !shown.is_empty() {
        let right = (0..NAMES.len()).map(|i| (2..8).contains(&i)).collect();
        let mut grid = Grid::new(NAMES.map(str::to_owned).to_vec(), right, false, &mut *out);
        for file in &shown {
            grid.row(row(file))?;
        }
        grid.end()?;
    }
    if many {
        if troubles.len() > shown.len() {
            let more = troubles.len() - shown.len();
            writeln!(out, "{more} more that were not read, or not to their end: -v shows a row for every file").map_err(io)?;
        }
        writeln!(out).map_err(io)?;
        summary(report, out)?;
    }
    let sum = report.counts();
    let archives = report.files.iter().filter(|f| f.is_archive()).count();
    let bad = report.files.iter().filter(|f| f.is_incomplete()).count();
    let opened = if archives > 0 { format!(" and {archives} archives") } else { String::new() };
    writeln!(
        out,
        "{} files{opened}, {} records: {} units = {} ok + {} partial + {} skipped + {} failed; {} oddities{}{}",
        report.files.len() - archives,
        sum.records,
        sum.units(),
        sum.ok,
        sum.partial,
        sum.skipped,
        sum.failed,
        sum.oddities,
        if bad > 0 { format!("; {bad} files not read, or not to their end") } else { String::new() },
        if many { "; -v shows a row for every file" } else { "" },
    )
    .map_err(io)?;
    report.clocks.iter().try_for_each(|line| writeln!(out, "{}", clean(line)).map_err(io))
}

/// A line of the summary: files, records, and their span.
#[derive(Default)]
struct Group {
    files: usize,
    records: u64,
    warned: usize,
    span: Option<(Time, Time)>,
}

/// How many files there are of each outcome and format, or reason: what was read first, each by how often.
fn summary(report: &Report, out: &mut dyn Write) -> Result<()> {
    let mut groups: BTreeMap<(u8, String, String), Group> = BTreeMap::new();
    for file in &report.files {
        let what = if file.format.is_empty() {
            // Without what is of the one file, and without the outcome, which has a column.
            let note = file.note();
            let reason = note.strip_prefix(&format!("{}: ", file.word())).unwrap_or(&note);
            reason.split(['(', ';', '\n']).next().unwrap_or_default().trim_end().to_owned()
        } else {
            file.format.clone()
        };
        let order = match file.outcome {
            Outcome::Read | Outcome::Grown => 0,
            Outcome::Opened(_) | Outcome::Known => 1,
            Outcome::Skipped(_) => 2,
            _ => 3,
        };
        let group = groups.entry((order, file.word().to_owned(), what)).or_default();
        group.files += 1;
        group.records += file.counts.records;
        group.warned += usize::from(!file.warnings.is_empty());
        if let Some(span) = &file.span {
            let (start, end) = group.span.unwrap_or((span.start, span.last()));
            group.span = Some((start.min(span.start), end.max(span.last())));
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((order, ..), group)| (*order, std::cmp::Reverse(group.files)));
    let names = ["files", "outcome", "what", "records", "warned", "from", "to"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![true, false, false, true, true], false, &mut *out);
    let more = groups.len().saturating_sub(GROUPS);
    for ((_, word, what), group) in groups.into_iter().take(GROUPS) {
        let number = |n: u64| if n > 0 { n.to_string() } else { String::new() };
        let (from, to) = group.span.map_or_else(Default::default, |(from, to)| (stamp(from), stamp(to)));
        let warned = number(group.warned as u64);
        grid.row(vec![group.files.to_string(), word, what, number(group.records), warned, from, to])?;
    }
    grid.end()?;
    if more > 0 {
        writeln!(out, "and {more} kinds more").map_err(io)?;
    }
    writeln!(out).map_err(io)
}

fn stamp(time: Time) -> String {
    time.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn row(file: &FileReport) -> Vec<String> {
    let c = &file.counts;
    let note = std::iter::once(file.note()).chain(file.warnings.iter().cloned());
    let note: Vec<String> = note.filter(|n| !n.is_empty()).collect();
    let counts = [c.records, c.ok, c.partial, c.skipped, c.failed, c.oddities].map(|n| n.to_string());
    let mut out = vec![file.path.clone(), file.format.clone()];
    out.extend(counts);
    out.push(file.span.map(|w| stamp(w.start)).unwrap_or_default());
    out.push(file.span.map(|w| stamp(w.last())).unwrap_or_default());
    out.push(note.join("; "));
    out
}

fn row_json(file: &FileReport) -> serde_json::Value {
    let c = &file.counts;
    json!({
        "schema": "backtrail.ingest/1",
        "path": file.path,
        "format": file.format,
        "outcome": file.word(),
        "records": c.records,
        "ok": c.ok,
        "partial": c.partial,
        "skipped": c.skipped,
        "failed": c.failed,
        "oddities": c.oddities,
        "bytes": file.size,
        "start": file.span.map(|w| w.start.rfc3339()),
        "end": file.span.map(|w| w.last().rfc3339()),
        "note": file.note(),
        "warnings": file.warnings,
    })
}
