//! `sweep`: the indicators of a report or list over everything in the case; `--watch` keeps them for every later import.

use crate::cli::opened::Opened;
use crate::cli::output::{self, Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::formats::indicators::{Extract, extract};
use crate::model::Window;
use crate::model::decision::What;
use crate::model::time::parse_span;
use crate::query::sweep::{self, Answer, Swept, sweep};
use crate::query::watch::{self, WatchHit};
use crate::query::{Engine, engine::Cancel};
use crate::sources::text;
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

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
        output::sweep::takes(args.form)?;
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

fn print(answer: &Answer, engine: &dyn Engine, args: &SweepArgs) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut rows: Vec<&Swept> = answer.rows.iter().filter(|r| !args.seen || r.is_seen()).collect();
    rows.sort_by_key(|r| r.rank());
    output::sweep::write(args.form, answer, &rows, engine, &mut out)?;
    if args.form == Form::Table {
        writeln!(out, "{}", sweep::total(answer)).map_err(io)?;
    }
    out.flush().map_err(io)
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
