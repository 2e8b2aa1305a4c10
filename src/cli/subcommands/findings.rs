//! `findings`: what the detectors have found, and what they are.

use crate::case::findings::{self, Order, Part};
use crate::cli::opened::Opened;
use crate::cli::output::table::{Grid, harmless};
use crate::cli::output::{Form, csv, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::detectors::gather::service;
use crate::detectors::{ALL, Limits, settings};
use crate::error::{Error, Result};
use crate::model::{Cancel, Finding, Time, Value};
use crate::query::Engine;
use crate::query::engine::Table;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Value as Json, json};
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;

/// `backtrail findings`.
pub struct Findings;

#[derive(clap::Args)]
struct FindingsArgs {
    /// Sort by rank, host, technique, detector or time
    #[arg(long, value_name = "ORDER", default_value = "rank")]
    by: String,
    /// Only of this detector
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Only about this host
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Each with its numbers, what speaks for it, what to look at before it is believed
    #[arg(long)]
    explain: bool,
    /// Also those whose records were judged benign
    #[arg(long)]
    benign: bool,
    /// The detectors and their thresholds instead
    #[arg(long, conflicts_with_all = ["explain", "host"])]
    detectors: bool,
    /// Form of the output: table, jsonl or csv
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Read these files into a temporary case, find, forget
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Findings {
    fn command(&self) -> clap::Command {
        FindingsArgs::augment_args(
            clap::Command::new("findings").about("What deviates: what the detectors found, what ranks first before the others"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = FindingsArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !matches!(args.form, Form::Table | Form::Jsonl | Form::Csv) {
            return Err(Error::user("findings are printed as table, jsonl or csv"));
        }
        let order = Order::parse(&args.by).ok_or_else(|| {
            Error::user(format!("findings have no order `{}`", args.by)).hint(Order::ALL.map(Order::name).join(", "))
        })?;
        if let Some(name) = &args.detector
            && crate::detectors::find(name).is_none()
        {
            let names: Vec<&str> = ALL.iter().map(|d| d.name()).collect();
            return Err(Error::user(format!("no detector is called `{name}`")).hint(names.join(", ")));
        }
        if args.detectors {
            return detectors(&args, settings::installed()).map(|()| Done::All);
        }
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let engine = &*opened.engine;
        let cancel = Cancel::default();
        let shows = cx.progress && std::io::stderr().is_terminal();
        let mut tell = |p: crate::detectors::Progress| {
            if shows {
                let _ = write!(std::io::stderr(), "\rlooking at records: {} of {}", p.rows, p.of);
            }
        };
        let mut found =
            findings::all(engine, &opened.keeper.dir(), &opened.keeper.decisions(), settings::installed(), &cancel, &mut tell)?;
        if shows {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
        let benign = findings::judge(&mut found, engine, &opened.keeper.decisions(), &cancel)?;
        let is_benign = |f: &Finding| f.verdict.as_deref() == Some("benign");
        let all = found.list.len();
        found.list.retain(|f| {
            args.detector.as_ref().is_none_or(|d| f.detector == *d)
                && args.host.is_none_or(|h| f.host == h || f.peer == Some(h))
                && (args.benign || !is_benign(f))
        });
        order.sort(&mut found.list);
        let shown = found.list.len().min(args.limit);
        write(&args, found.list.get(..shown).unwrap_or_default(), engine)?;
        let mut notes = Vec::new();
        if benign > 0 && !args.benign {
            notes.push(format!("{benign} whose records were judged benign are left out; --benign shows them"));
        }
        if shown < found.list.len() {
            notes.push(format!("{} more: -n N", found.list.len() - shown));
        }
        if all == 0 {
            notes.push(match found.window {
                None => "the case has no records: backtrail ingest PATH...".to_owned(),
                Some(_) => format!("nothing deviates: {} records were looked at by {} detectors", found.rows, ALL.len()),
            });
        }
        notes.extend(found.notices);
        notes.iter().for_each(|n| drop(writeln!(std::io::stderr(), "note: {}", harmless(n))));
        Ok(done)
    }
}

fn write(args: &FindingsArgs, list: &[Finding], engine: &dyn Engine) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match args.form {
        Form::Jsonl => {
            for finding in list {
                writeln!(out, "{}", findings::object(finding, engine)).map_err(io)?;
            }
        }
        Form::Csv => {
            let names = [
                "rank", "severity", "detector", "host", "peer", "service", "name", "start", "end", "rows", "verdict", "title",
                "query",
            ];
            let mut table =
                Table { columns: names.map(str::to_owned).to_vec(), fields: vec![None; names.len()], ..Table::default() };
            for f in list {
                let cells = [
                    format!("{:.2}", f.rank),
                    f.severity_name().to_owned(),
                    f.detector.clone(),
                    f.host.to_string(),
                    f.peer.map(|p| p.to_string()).unwrap_or_default(),
                    f.service.map(|(proto, port)| service(port, proto)).unwrap_or_default(),
                    f.name.clone().unwrap_or_default(),
                    f.window.start.rfc3339(),
                    f.window.last().rfc3339(),
                    f.rows.to_string(),
                    f.verdict.clone().unwrap_or_default(),
                    f.title.clone(),
                    f.query.clone(),
                ];
                table.rows.push(cells.map(|c| Some(Value::from(c))).to_vec());
            }
            csv::write(&table, &mut out)?;
        }
        _ if args.explain => {
            for finding in list {
                for (text, part) in findings::explained(finding, &|s| engine.source_name(s), &Time::rfc3339) {
                    let indent = if part == Part::Title { "" } else { "    " };
                    writeln!(out, "{indent}{}", harmless(&text)).map_err(io)?;
                }
                writeln!(out).map_err(io)?;
            }
        }
        _ => {
            let names = ["rank", "severity", "host", "detector", "by", "start", "finding"];
            let mut grid = Grid::new(names.map(str::to_owned).to_vec(), vec![true], false, &mut out);
            for f in list {
                let by: std::collections::BTreeSet<&str> = f.support.iter().map(|s| s.by.as_str()).collect();
                grid.row(vec![
                    format!("{:.1}", f.rank),
                    f.severity_name().to_owned(),
                    f.host.to_string(),
                    f.detector.clone(),
                    format!("+{}", by.len()),
                    f.window.start.utc().format("%Y-%m-%d %H:%MZ").to_string(),
                    harmless(&f.title),
                ])?;
            }
            grid.end()?;
        }
    }
    out.flush().map_err(io)
}

fn detectors(args: &FindingsArgs, limits: &Limits) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let wanted = ALL.iter().filter(|d| args.detector.as_ref().is_none_or(|n| d.name() == n));
    if args.form == Form::Jsonl {
        for d in wanted {
            let set = |s: &settings::Setting| {
                let value = limits.of(d.name(), d.settings(), s.name);
                json!({"name": s.name, "value": value, "default": s.default, "unit": s.unit, "doc": s.doc})
            };
            let settings: Vec<Json> = d.settings().iter().map(set).collect();
            let row = json!({"schema": "backtrail.detector/1", "name": d.name(), "doc": d.doc(), "techniques": d.techniques(), "settings": settings});
            writeln!(out, "{row}").map_err(io)?;
        }
        return out.flush().map_err(io);
    }
    for d in wanted {
        writeln!(out, "{} ({})\n    {}", d.name(), d.techniques().join(", "), d.doc()).map_err(io)?;
        for s in d.settings() {
            let value = limits.of(d.name(), d.settings(), s.name);
            let set = if value == s.default { "" } else { ", set" };
            writeln!(out, "    {} = {value} {} ({}{set})", s.name, s.unit, s.doc.trim_end_matches('.')).map_err(io)?;
        }
    }
    out.flush().map_err(io)
}
