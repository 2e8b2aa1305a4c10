//! `sources`: what was imported, with clocks; `sources set` corrects one by hand, `sources measure` compares them once more.

use crate::case::home::reasons;
use crate::case::sources::{self as said, Strips};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result, nearest};
use crate::ingest::{dates_of, zone_of};
use crate::model::clock::ClockState;
use crate::model::decision::What;
use crate::model::evidence::EvidenceInfo;
use crate::model::harmless::clean;
use crate::model::source::{Basis, SourceInfo};
use crate::model::time::{parse_span, show_span};
use crate::query::Engine;
use crate::query::engine::Cancel;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand as _};
use serde_json::json;
use std::io::Write;

/// `backtrail sources`.
pub struct Sources;

#[derive(clap::Args)]
struct SourcesArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Compare the clock of a source, or all clocks, with the others' once more, as an import does by itself
    Measure {
        /// Name of the source; without one all are compared
        name: Option<String>,
        /// Form of the output
        #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
        form: Form,
    },
    /// Correct a source's zone, year, order of dates, clock or site by hand; takes effect on the next question, is journalled, changes no stored time
    Set {
        /// Name of the source
        name: String,
        /// Zone that its times without one are in: UTC, +02:00, Europe/Berlin
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
        /// Year of its times without one
        #[arg(long, value_name = "YEAR", allow_negative_numbers = true)]
        year: Option<i32>,
        /// Order of its dates that may be read either way, like 03/04/2026: month-first, day-first
        #[arg(long, value_name = "ORDER")]
        dates: Option<String>,
        /// Added to its times: 7h37s, -250ms
        #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
        offset: Option<String>,
        /// Site that it belongs to
        #[arg(long, value_name = "NAME")]
        site: Option<String>,
    },
}

impl Subcommand for Sources {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("sources")
            .about("What was imported, its spans, counts and clocks; `set` corrects a clock, `measure` compares them");
        Action::augment_subcommands(SourcesArgs::augment_args(command)).subcommand_required(false)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = SourcesArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if matches.subcommand().is_some() {
            let action = Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
            match action {
                Action::Measure { name, form } => measure(&*opened.engine, name.as_deref(), form)?,
                set => self::set(&opened, set)?,
            }
            return Ok(Done::All);
        }
        list(&*opened.engine, args.form)?;
        Ok(Done::All)
    }
}

fn set(opened: &Opened, action: Action) -> Result<()> {
    let Action::Set { name, tz, year, dates, offset, site } = action else { return Ok(()) };
    named(&*opened.engine, &name)?;
    if tz.is_none() && year.is_none() && dates.is_none() && offset.is_none() && site.is_none() {
        return Err(Error::user("nothing to set").hint("--tz, --year, --dates, --offset or --site"));
    }
    let offset = offset.map(|text| signed_span(&text)).transpose()?;
    let zone = tz.map(|text| zone_of(&text).map(|z| z.to_string())).transpose()?;
    let dates = dates.map(|text| dates_of(&text).map(|o| o.name().to_owned())).transpose()?;
    opened.keeper.append(What::SourceSet { source: name, offset, zone, year, dates, site })?;
    list(&*opened.engine, Form::Table)
}

/// The source with a name.
fn named(engine: &dyn Engine, name: &str) -> Result<SourceInfo> {
    let sources = engine.sources();
    let near = nearest(name, sources.iter().map(|s| s.name.as_str()));
    let hint = near.map_or("backtrail sources lists them".into(), |n| format!("did you mean `{n}`?"));
    let found = sources.into_iter().find(|s| s.name == name);
    found.ok_or_else(|| Error::user(format!("no source is called `{name}`")).hint(hint))
}

/// Compares clocks, and says what is known of them now.
fn measure(engine: &dyn Engine, name: Option<&str>, form: Form) -> Result<()> {
    if !matches!(form, Form::Table | Form::Jsonl) {
        return Err(Error::user("clocks are printed as a table or as JSON Lines").hint("-o table or -o jsonl"));
    }
    let source = name.map(|name| named(engine, name)).transpose()?;
    let found = engine.measure_clocks(source.map(|s| s.id), &Cancel::default())?;
    let all = engine.sources();
    let of = |id| all.iter().find(|s| s.id == id).map_or_else(|| "?".to_owned(), |s| clean(&s.name).into_owned());
    let mut out = std::io::stdout().lock();
    for source in &found {
        let said = source.estimate.as_ref().map_or_else(|| "unknown".to_owned(), |e| e.in_words(&of));
        if form == Form::Jsonl {
            let row = json!({
                "schema": "backtrail.source/1", "source": source.name, "clock": clock(source),
                "clock.shift": source.clock.shift as f64 / 1e9, "clock.estimate": source.estimate, "clock.words": said,
            });
            writeln!(out, "{row}").map_err(io)?;
        } else {
            writeln!(out, "{}: {said}", clean(&source.name)).map_err(io)?;
        }
    }
    out.flush().map_err(io)
}

/// A span with an optional sign, in nanoseconds.
fn signed_span(text: &str) -> Result<i64> {
    let (sign, bare) = match text.strip_prefix('-') {
        Some(bare) => (-1, bare),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    parse_span(bare)
        .map(|n| sign * n)
        .ok_or_else(|| Error::user(format!("`{text}` is not a span")).hint("for example 7h37s, -250ms, 1d"))
}

/// A clock in words.
pub fn clock(source: &SourceInfo) -> String {
    let mut parts = Vec::new();
    if let Some(zone) = &source.clock.zone {
        let how = match source.clock.zone_basis {
            Basis::Stated => "",
            Basis::Assumed => " assumed",
            Basis::Manual => " by hand",
        };
        parts.push(format!("{zone}{how}"));
    }
    if let Some(year) = source.clock.year {
        parts.push(format!("year {year}"));
    }
    if let Some((order, basis)) = source.clock.dates {
        parts.push(format!("{}{}", order.name(), if basis == Basis::Assumed { " assumed" } else { " by hand" }));
    }
    if source.clock.shift != 0 {
        let sign = if source.clock.shift > 0 { "+" } else { "" };
        let how = if source.is_measured() { " measured" } else { "" };
        parts.push(format!("{sign}{}{how}", show_span(source.clock.shift)));
    }
    if parts.is_empty() { "stated".into() } else { parts.join(", ") }
}

fn list(engine: &dyn Engine, form: Form) -> Result<()> {
    if matches!(form, Form::Csv | Form::Zeek | Form::Cof) {
        return Err(Error::user("sources are printed as a table or as JSON Lines").hint("-o table or -o jsonl"));
    }
    let mut out = std::io::stdout().lock();
    if form == Form::Jsonl {
        let (sources, cancel) = (engine.sources(), Cancel::default());
        let strips = said::strips(engine, &sources, &cancel)?;
        for s in sources {
            let odd: Vec<serde_json::Value> = said::odd(engine, &s, &cancel)?
                .into_iter()
                .map(|o| {
                    let first: Vec<_> = o.first.into_iter().map(|(at, text)| json!({"offset": at, "text": text})).collect();
                    json!({"oddity": o.name, "count": o.count, "first": first})
                })
                .collect();
            let covered = strips.of(s.id).zip(strips.window).map(|(bins, window)| {
                json!({"start": strips.start.rfc3339(), "end": window.end.rfc3339(), "bin": strips.bin as f64 / 1e9, "records": bins})
            });
            let kinds: serde_json::Map<String, serde_json::Value> =
                s.kinds.iter().map(|(k, n)| (k.name().to_owned(), json!(n))).collect();
            let row = json!({
                "schema": "backtrail.source/1", "source": s.name, "format": s.key.format, "sensor": s.key.sensor,
                "records": s.counts.records, "ok": s.counts.ok, "partial": s.counts.partial, "skipped": s.counts.skipped,
                "failed": s.counts.failed, "oddities": s.counts.oddities, "kinds": kinds,
                "start": s.span.map(|w| w.start.plus(s.clock.shift).rfc3339()), "end": s.span.map(|w| w.last().plus(s.clock.shift).rfc3339()),
                "clock": clock(&s), "clock.shift": s.clock.shift as f64 / 1e9, "clock.estimate": s.estimate, "site": s.site, "warnings": s.warnings,
                "coverage": covered, "why": odd,
            });
            writeln!(out, "{row}").map_err(io)?;
        }
        for e in engine.evidence() {
            let [from, how, ticket] = &e.custody;
            let row = json!({
                "schema": "backtrail.evidence/1", "path": e.path, "key": e.key.to_string(), "size": e.size, "sha256": e.sha256,
                "format": e.format, "compression": e.compression, "imported": e.imported.rfc3339(), "records": e.counts.records,
                "start": e.span.map(|w| w.start.rfc3339()), "end": e.span.map(|w| w.last().rfc3339()),
                "from": from, "how": how, "ticket": ticket, "warnings": e.warnings,
            });
            writeln!(out, "{row}").map_err(io)?;
        }
        return Ok(());
    }
    let names = ["source", "format", "records", "partial", "failed", "coverage", "from", "to", "clock", "site", "kinds", "notes"];
    let right = vec![false, false, true, true, true];
    let mut grid = Grid::new(names.map(str::to_owned).to_vec(), right, false, &mut out);
    let (sources, cancel) = (engine.sources(), Cancel::default());
    let strips = said::strips(engine, &sources, &cancel)?;
    for s in &sources {
        let time = |t: Option<crate::model::Time>| {
            t.map(|t| t.plus(s.clock.shift).utc().format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
        };
        let kinds: Vec<String> = s.kinds.iter().map(|(k, n)| format!("{k} {n}")).collect();
        grid.row(vec![
            s.name.clone(),
            s.key.format.clone(),
            s.counts.records.to_string(),
            s.counts.partial.to_string(),
            s.counts.failed.to_string(),
            strip(&strips, s),
            time(s.span.map(|w| w.start)),
            time(s.span.map(|w| w.last())),
            clock(s),
            s.site.clone().unwrap_or_default(),
            kinds.join(" "),
            s.warnings.join("; "),
        ])?;
    }
    grid.end()?;
    why(engine, &sources, &strips, &mut out)?;
    measured(&sources, &mut out)?;
    let evidence = engine.evidence();
    let unread: Vec<&EvidenceInfo> = evidence.iter().filter(|e| e.is_unread()).collect();
    if !unread.is_empty() {
        writeln!(out, "\n{} files not read:", unread.len()).map_err(io)?;
    }
    for (why, names) in reasons(&unread) {
        let some = names.iter().take(NAMED).map(|n| clean(n)).collect::<Vec<_>>().join(", ");
        let more =
            if names.len() > NAMED { format!(" and {} more (-o jsonl has each)", names.len() - NAMED) } else { String::new() };
        writeln!(out, "  {} {}: {some}{more}", names.len(), clean(&why)).map_err(io)?;
    }
    Ok(())
}

/// Columns of a strip, and its signs: `.` is no record, of the others each stands for about ten times as many as the one before.
const STRIP: usize = 24;
const SIGNS: [char; 9] = ['.', '_', '_', '-', '-', '=', '=', '#', '#'];

fn strip(strips: &Strips, source: &SourceInfo) -> String {
    let cells = said::columns(strips.of(source.id).unwrap_or_default(), STRIP);
    let most = cells.iter().copied().max().unwrap_or(0);
    cells.into_iter().filter_map(|n| SIGNS.get(said::height(n, most))).collect()
}

/// Over what the strips are, and what was not understood of each source.
fn why(engine: &dyn Engine, sources: &[SourceInfo], strips: &Strips, out: &mut dyn Write) -> Result<()> {
    if let Some(window) = strips.window {
        let shown = |t: crate::model::Time| t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string();
        let (from, to) = (shown(window.start), shown(window.last()));
        writeln!(out, "\ncoverage is from {from} to {to}: `.` no record, _ - = # ever more").map_err(io)?;
    }
    for source in sources {
        for odd in said::odd(engine, source, &Cancel::default())? {
            writeln!(out, "{}: {} {}, such as", clean(&source.name), odd.count, clean(&odd.name)).map_err(io)?;
            for (at, text) in odd.first {
                writeln!(out, "  at {at}: {}", clean(&text)).map_err(io)?;
            }
        }
    }
    Ok(())
}

/// What was measured of each clock; of those that nothing is known of, one line for all.
fn measured(sources: &[SourceInfo], out: &mut dyn Write) -> Result<()> {
    let name = |id| sources.iter().find(|s| s.id == id).map_or_else(|| "?".to_owned(), |s| clean(&s.name).into_owned());
    let known = sources.iter().filter_map(|s| Some((s, s.estimate.as_ref().filter(|e| e.state != ClockState::Unknown)?)));
    let mut known = known.peekable();
    if known.peek().is_some() {
        writeln!(out, "\nclocks, as compared:").map_err(io)?;
    }
    for (source, estimate) in known {
        writeln!(out, "  {}: {}", clean(&source.name), estimate.in_words(&name)).map_err(io)?;
        for remark in &estimate.remarks {
            writeln!(out, "    {}", clean(remark)).map_err(io)?;
        }
    }
    let open =
        sources.iter().filter(|s| s.estimate.as_ref().is_none_or(|e| e.state == ClockState::Unknown)).map(|s| s.name.as_str());
    let open: Vec<&str> = open.collect();
    if !open.is_empty() && open.len() < sources.len() {
        writeln!(out, "  not comparable, they share too little with the others: {}", clean(&open.join(", "))).map_err(io)?;
    }
    Ok(())
}

/// Files not read for one reason that are named.
const NAMED: usize = 5;
