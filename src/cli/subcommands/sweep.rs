//! `sweep`: the indicators of a report or list over everything in the case; `--watch` keeps them for every later import.

use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::formats::indicators::{Extract, extract};
use crate::model::decision::What;
use crate::model::time::parse_span;
use crate::model::{Time, Window};
use crate::query::sweep::{self, Answer, Swept, sweep};
use crate::query::watch::{self, WatchHit};
use crate::query::{Engine, engine::Cancel};
use crate::sources::text;
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::json;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Hosts that a row of the table names.
const HOSTS: usize = 3;

/// `backtrail sweep`.
pub struct Sweep;

#[derive(clap::Args)]
struct SweepArgs {
    /// Report, list, CSV, STIX bundle or MISP event with indicators, `-` for standard input; without: what the watch sets have seen
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keep the indicators as watch set `watch-NAME` (without NAME: `watch`): every later import is checked against it
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    watch: Option<String>,
    /// With --watch: how long they are watched for, e.g. 30d
    #[arg(long, value_name = "SPAN", requires = "watch")]
    expires: Option<String>,
    /// Also names and URLs that a text which defangs the others only refers to
    #[arg(long)]
    all: bool,
    /// Only indicators that were seen
    #[arg(long)]
    seen: bool,
    /// Only in this window: a time clause such as `since 2h ago`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// Read this evidence into a temporary case, ask, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Sweep {
    fn command(&self) -> clap::Command {
        SweepArgs::augment_args(clap::Command::new("sweep").about("Look for the indicators of a report or list in everything"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = SweepArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches!(args.form, Form::Zeek | Form::Cof) {
            let form = if args.form == Form::Zeek { "zeek` writes flows" } else { "cof` writes passive DNS" };
            return Err(Error::user(format!("`-o {form}, not indicators")).hint("-o table, jsonl or csv"));
        }
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        if args.files.is_empty() {
            watched(&opened)?;
            return Ok(done);
        }
        let extract = read(&args)?;
        let engine = &*opened.engine;
        let window = args.window.as_deref().map_or(Ok(Window::ALL), |clause| engine.compile(clause).map(|q| q.window))?;
        let answer = sweep(engine, extract.indicators, window, &Cancel::default())?;
        print(&answer, engine, &args)?;
        if let Some(name) = &args.watch {
            keep(&answer, name, &args, &opened)?;
        }
        Ok(done)
    }
}

fn say(note: &str) {
    let _ = writeln!(std::io::stderr(), "note: {note}");
}

/// The indicators of all files, each once.
fn read(args: &SweepArgs) -> Result<Extract> {
    let mut all = Extract::default();
    let mut known = std::collections::HashSet::new();
    for path in &args.files {
        let read = text::read(path)?;
        let one = extract(&read.text, args.all);
        let name = path.display();
        if read.cut {
            say(&format!("{name}: only the first {} MiB were read; split the file", text::MOST >> 20));
        }
        one.notices.iter().for_each(|notice| say(&format!("{name}: {notice}")));
        say(&format!("{name}: {} indicators in {} lines, read as {}", one.indicators.len(), one.lines, one.form.name()));
        all.indicators.extend(one.indicators.into_iter().filter(|i| known.insert((i.kind, i.text.clone()))));
    }
    if all.indicators.is_empty() {
        say(
            "no indicator was found: addresses, networks, names, URLs, hashes, JA3, JA4, mail addresses, CVEs, Community IDs are",
        );
    }
    Ok(all)
}

/// Writes them into the journal as a watch set.
fn keep(answer: &Answer, name: &str, args: &SweepArgs, opened: &Opened) -> Result<()> {
    let span = args.expires.as_deref().map(|text| {
        parse_span(text).ok_or_else(|| Error::user(format!("`{text}` is not a span")).hint("for example 30d or 12h"))
    });
    let expires = span.transpose()?.map(|span| now().plus(span).0);
    let files: Vec<String> = args.files.iter().map(|f| f.display().to_string()).collect();
    let set = watch::set_name(name);
    let entries: Vec<String> = answer.rows.iter().map(|r| r.indicator.text.clone()).collect();
    if entries.is_empty() {
        say("nothing to watch");
        return Ok(());
    }
    let n = entries.len();
    opened.keeper.append(What::SetAdd { set: set.clone(), entries, reason: files.join(", "), expires })?;
    say(&format!("{n} indicators are watched as {set}: every later import says what it has of them"));
    Ok(())
}

fn time(t: Time) -> String {
    t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn print(answer: &Answer, engine: &dyn Engine, args: &SweepArgs) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut rows: Vec<&Swept> = answer.rows.iter().filter(|r| !args.seen || r.is_seen()).collect();
    rows.sort_by_key(|r| r.rank());
    if args.form == Form::Jsonl {
        for row in rows {
            writeln!(out, "{}", row_json(row, answer, engine)).map_err(io)?;
        }
        return out.flush().map_err(io);
    }
    let names = ["kind", "indicator", "line", "hits", "first", "last", "hosts", "also", "where, or why not"];
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    let cells = |row: &Swept| {
        let best = row.best();
        vec![
            row.indicator.word().to_owned(),
            row.indicator.text.clone(),
            row.indicator.line.to_string(),
            row.hits().to_string(),
            best.map(|s| time(s.first)).unwrap_or_default(),
            best.map(|s| time(s.last)).unwrap_or_default(),
            best.map(|s| sweep::hosts_of(s, HOSTS)).unwrap_or_default(),
            row.also(),
            told(row, answer, engine),
        ]
    };
    if args.form == Form::Csv {
        let mut writer = csv::Writer::from_writer(&mut out);
        writer.write_record(&names).map_err(|e| Error::internal(e.to_string()))?;
        for row in rows {
            writer.write_record(cells(row)).map_err(|e| Error::internal(e.to_string()))?;
        }
        return writer.flush().map_err(io);
    }
    let mut grid = Grid::new(names, vec![false, false, true, true], false, &mut out);
    for row in rows {
        grid.row(cells(row))?;
    }
    grid.end()?;
    writeln!(out, "{}", sweep::total(answer)).map_err(io)?;
    out.flush().map_err(io)
}

/// Where an indicator was seen, else why not.
fn told(row: &Swept, answer: &Answer, engine: &dyn Engine) -> String {
    if row.is_seen() {
        return row.best().map(|s| sweep::sources_of(s, engine)).unwrap_or_default();
    }
    let kind = row.indicator.kind;
    answer.covers.get(&kind).map(|cover| cover.says(kind)).unwrap_or_default()
}

fn row_json(row: &Swept, answer: &Answer, engine: &dyn Engine) -> serde_json::Value {
    let best = row.best();
    let sources: serde_json::Map<String, serde_json::Value> =
        best.iter().flat_map(|s| &s.sources).map(|(id, n)| (engine.source_name(*id), json!(n))).collect();
    let cover = answer.covers.get(&row.indicator.kind);
    json!({
        "schema": "backtrail.sweep/1", "kind": row.indicator.word(), "indicator": row.indicator.text, "line": row.indicator.line,
        "hits": row.hits(), "below": row.below(), "reached_by_dns": row.reached, "host_of_url": row.site(), "in_texts": row.mentioned(), "listed": row.listed(),
        "start": best.map(|s| s.first.rfc3339()), "end": best.map(|s| s.last.rfc3339()), "sources": sources,
        "hosts": best.map(|s| s.hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default(),
        "host_count": best.map_or(0, |s| s.host_count), "seen": row.is_seen(), "note": told(row, answer, engine),
        "could_have_seen": cover.map(|c| c.sources.clone()).unwrap_or_default(), "query": row.query(),
    })
}

/// Prints what the watch sets have seen since they were kept.
fn watched(opened: &Opened) -> Result<()> {
    let decisions = opened.keeper.decisions();
    let sets = watch::entries(&decisions, now());
    let hits = watch::hits(&*opened.engine, &decisions, 0, now(), &Cancel::default())?;
    let mut out = std::io::stdout().lock();
    if sets.is_empty() {
        writeln!(out, "nothing is watched: backtrail sweep FILE --watch=NAME keeps the indicators of a file").map_err(io)?;
    }
    for (set, entries) in sets {
        match hits.iter().find(|h| h.set == set) {
            Some(hit) => writeln!(out, "{}", hit.line()).map_err(io)?,
            None => writeln!(out, "{set}: {} entries, none seen in what was imported since", entries.len()).map_err(io)?,
        }
    }
    Ok(())
}

/// What the watch sets have seen in imports after one, said at the end of an import.
pub fn say_watch(opened: &Opened, newer_than: u64) -> Result<()> {
    let hits: Vec<WatchHit> = watch::hits(&*opened.engine, &opened.keeper.decisions(), newer_than, now(), &Cancel::default())?;
    hits.iter().for_each(|hit| drop(writeln!(std::io::stderr(), "watch: {}", hit.line())));
    Ok(())
}
