//! `ingest`: files, folders, standard input into the case, with a row per file.

use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::{FileReport, Progress, Report, Request};
use crate::model::decision::What;
use clap::{ArgMatches, Args, FromArgMatches};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Files after which a summary follows the table.
const MANY: usize = 20;

/// `backtrail ingest`.
pub struct Ingest;

#[derive(clap::Args)]
struct IngestArgs {
    /// Files and folders, `-` for standard input; recognised by content
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read as this format instead of the one recognised
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Name of the source instead of the one that the content gives
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Zone of times that state none: UTC, +02:00, Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Year of times that state none
    #[arg(long, value_name = "YEAR")]
    year: Option<i32>,
    /// Custody: from whom the evidence came
    #[arg(long, value_name = "WHO", default_value = "")]
    from: String,
    /// Custody: how it was obtained
    #[arg(long, value_name = "TEXT", default_value = "")]
    how: String,
    /// Custody: ticket
    #[arg(long, value_name = "ID", default_value = "")]
    ticket: String,
    /// Form of the table
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Ingest {
    fn command(&self) -> clap::Command {
        IngestArgs::augment_args(
            clap::Command::new("ingest").about("Import captures, logs, feeds, scans; ends with a row per file"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = IngestArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::or_create(cx)?;
        let request = Request {
            paths: args.paths.clone(),
            source: args.source,
            year: args.year,
            custody: [args.from.clone(), args.how.clone(), args.ticket.clone()],
            ..Request::default()
        }
        .with_options(args.format.as_deref(), args.tz.as_deref())?;
        opened.keeper.append(What::Import {
            paths: args.paths.iter().map(|p| p.display().to_string()).collect(),
            from: args.from,
            how: args.how,
            ticket: args.ticket,
        })?;
        let bar = cx.progress.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            let style = "{bar:24} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let shown = |progress: &Progress| {
            if let Some(bar) = &bar {
                bar.set_length(progress.size.max(progress.bytes));
                bar.set_position(progress.bytes);
                bar.set_message(format!("{}/{} {}", progress.file, progress.files, progress.path));
            }
        };
        let before = opened.engine.sequence();
        let report = opened.ingest(&request, &shown, stop_on_signals()?)?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        print(&report, args.form)?;
        super::sweep::say_watch(&opened, before)?;
        if report.stopped {
            let said = "note: stopped; files that were read to their end are kept, what was not read can be ingested again";
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        Ok(if report.is_incomplete() { Done::Partly } else { Done::All })
    }
}

/// Prints the table that an import ends with.
pub fn print(report: &Report, form: Form) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if form == Form::Jsonl {
        for file in &report.files {
            writeln!(out, "{}", row_json(file)).map_err(io)?;
        }
        return Ok(());
    }
    let names = ["file", "format", "records", "ok", "partial", "skipped", "failed", "oddities", "from", "to", "note"];
    let right = names.iter().enumerate().map(|(i, _)| (2..8).contains(&i)).collect();
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    let rows = report.files.iter().map(row);
    if form == Form::Csv {
        let mut writer = csv::Writer::from_writer(&mut out);
        writer.write_record(&names).map_err(|e| Error::internal(e.to_string()))?;
        for row in rows {
            writer.write_record(&row).map_err(|e| Error::internal(e.to_string()))?;
        }
        return writer.flush().map_err(io);
    }
    let mut grid = Grid::new(names, right, false, &mut out);
    for row in rows {
        grid.row(row)?;
    }
    grid.end()?;
    if report.files.len() > MANY {
        for (n, what) in summary(report) {
            writeln!(out, "{n:>7} {what}").map_err(io)?;
        }
    }
    let sum = report.counts();
    let bad = report.files.iter().filter(|f| f.is_incomplete()).count();
    writeln!(
        out,
        "{} files, {} records: {} units = {} ok + {} partial + {} skipped + {} failed; {} oddities{}",
        report.files.len(),
        sum.records,
        sum.units(),
        sum.ok,
        sum.partial,
        sum.skipped,
        sum.failed,
        sum.oddities,
        if bad > 0 { format!("; {bad} files not read, or not to their end") } else { String::new() },
    )
    .map_err(io)
}

/// How many files there are of each outcome and format, or reason; the most frequent first.
fn summary(report: &Report) -> Vec<(usize, String)> {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for file in &report.files {
        let what = if file.format.is_empty() {
            // Without what is of the one file.
            file.note().split(['(', ';', '\n']).next().unwrap_or_default().trim_end().to_owned()
        } else {
            format!("{}: {}", file.word(), file.format)
        };
        *groups.entry(what).or_default() += 1;
    }
    let mut out: Vec<(usize, String)> = groups.into_iter().map(|(what, n)| (n, what)).collect();
    out.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    out
}

fn row(file: &FileReport) -> Vec<String> {
    let c = &file.counts;
    let time = |t: Option<crate::model::Time>| t.map(|t| t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
    let note = std::iter::once(file.note()).chain(file.warnings.iter().cloned());
    let note: Vec<String> = note.filter(|n| !n.is_empty()).collect();
    vec![
        file.path.clone(),
        file.format.clone(),
        c.records.to_string(),
        c.ok.to_string(),
        c.partial.to_string(),
        c.skipped.to_string(),
        c.failed.to_string(),
        c.oddities.to_string(),
        time(file.span.map(|w| w.start)),
        time(file.span.map(|w| w.last())),
        note.join("; "),
    ]
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
