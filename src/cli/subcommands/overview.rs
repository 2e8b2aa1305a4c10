//! `overview`: what the overview shows; with `--at`, what a window of it is made of.

use super::home::json_of;
use crate::case::home::Cell;
use crate::case::overview::{self, Asking, Curve, History, List, What, Which};
use crate::cli::ask::within;
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, csv, io, standard};
use crate::cli::{Cx, Done, Subcommand};
use crate::detectors::contributions::{self, Explained, FAILED, FLOWS, Weight};
use crate::error::{Error, Result};
use crate::model::{Cancel, Time, Value, Window, field};
use crate::query::Engine;
use crate::query::engine::Table;
use crate::tui::times::{short_size, short_span, thousands};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Map, Value as Json, json};
use std::io::Write;

/// `backtrail overview`.
pub struct Overview;

const SCHEMA: &str = "backtrail.overview/1";
const PART: &str = "backtrail.contribution/1";
/// Columns of a sparkline.
const SPARK: usize = 64;

#[derive(clap::Args)]
struct OverviewArgs {
    /// Only records of this question, e.g. `host 10.0.0.5`
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Only since then: `2h` (before the newest record), a date or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// What this window is made of: `A..B`, `around TIME 30m`; compared with the same hours of other days
    #[arg(long, value_name = "WINDOW")]
    at: Option<String>,
    /// With --at: what is added up, bytes, flows, or flows of which nothing came
    #[arg(long, value_name = "WHAT", default_value = "bytes", value_parser = ["bytes", "flows", "failed"])]
    by: String,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// At most so many bins
    #[arg(long, value_name = "N", default_value_t = 800)]
    bins: usize,
    /// At most so many lines of each list
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Curves only: no talkers, nothing of what is new
    #[arg(long)]
    curves: bool,
}

impl Subcommand for Overview {
    fn command(&self) -> clap::Command {
        OverviewArgs::augment_args(
            clap::Command::new("overview")
                .about("Curves with what is usual, who is busiest, what is new; with --at: what a window is made of"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = OverviewArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches!(args.form, Form::Zeek | Form::Cof) {
            return Err(Error::user("the overview is printed as a table, CSV or JSON Lines").hint("-o table, csv or jsonl"));
        }
        let opened = Opened::existing(cx)?;
        let engine = &*opened.engine;
        let cancel = Cancel::default();
        let scope = args.text.join(" ");
        let question = within(engine, &scope, args.since.as_deref(), args.until.as_deref())?;
        if !question.stages.is_empty() {
            return Err(Error::user("the overview takes a question without stages").hint("leave out what stands behind |"));
        }
        let mut out = standard();
        match &args.at {
            Some(at) => {
                let window = read(engine, at)?;
                let ahead = match overview::zone(engine, &cancel)? {
                    zone @ Some(_) => (crate::detectors::baseline::hours_ahead(zone, window.start) * 3.6e12) as i64,
                    None => 0,
                };
                let weight = if args.by == "bytes" { Weight::Bytes } else { Weight::Flows };
                let flows = if args.by == "failed" { FAILED } else { FLOWS };
                let asking = contributions::Asking { engine, window, scope: &scope, weight, flows, ahead, cancel: &cancel };
                let explained = contributions::explain(&asking)?;
                match args.form {
                    Form::Jsonl => parts_jsonl(&explained, &mut out)?,
                    Form::Csv => csv::write(&parts_table(&explained), &mut out)?,
                    _ => parts_text(&explained, args.limit, &mut out)?,
                }
            }
            None => {
                let first = crate::case::home::first_window(engine).or_else(|| engine.span()).unwrap_or(Window::ALL);
                let window = if question.window == Window::ALL { first } else { question.window };
                let (dir, decisions) = (opened.keeper.dir(), opened.keeper.decisions());
                let kept = if scope.trim().is_empty() { overview::kept(engine, &dir, &decisions, &cancel)? } else { None };
                let asking = Asking { engine, window, scope: &scope, kept: kept.as_ref(), cancel: &cancel };
                show(&asking, &args, &mut out)?;
            }
        }
        out.flush().map_err(io)?;
        Ok(Done::All)
    }
}

/// `A..B`, or a time clause of the language.
fn read(engine: &dyn Engine, text: &str) -> Result<Window> {
    let window = match text.split_once("..") {
        Some((a, b)) => Time::parse(a).zip(Time::parse(b)).map(|(a, b)| Window::new(a, b)),
        None => Some(engine.compile(text)?.window).filter(|w| *w != Window::ALL),
    };
    window.filter(|w| w.start < w.end).ok_or_else(|| {
        Error::user(format!("`{text}` is no window of time"))
            .hint("2026-11-20T08:00Z..2026-11-20T09:00Z, around 2026-11-20T08:12:03Z 30m")
    })
}

fn show(asking: &Asking<'_>, args: &OverviewArgs, out: &mut dyn Write) -> Result<()> {
    let history = overview::history(asking)?;
    let mut curves = Vec::new();
    for which in Which::ALL {
        curves.push(overview::curve(which, asking, &history, args.bins)?);
    }
    match args.form {
        Form::Jsonl => curves_jsonl(&curves, &history, out)?,
        Form::Csv => return csv::write(&curves_table(&curves), out),
        _ => curves_text(asking, &curves, &history, out)?,
    }
    if args.curves {
        return Ok(());
    }
    for what in What::ALL {
        let list = overview::list(what, asking)?;
        match args.form {
            Form::Jsonl => list_jsonl(&list, args.limit, out)?,
            _ => list_text(&list, args.limit, out)?,
        }
    }
    Ok(())
}

fn at(time: Time) -> String {
    time.utc().format("%Y-%m-%d %H:%MZ").to_string()
}

/// An amount as people read it.
fn shown(is_bytes: bool, n: f64) -> String {
    let n = n.round().max(0.0) as u64;
    if is_bytes { short_size(n) } else { thousands(n) }
}

fn spark(curve: &Curve) -> String {
    const SIGNS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per = curve.bins.len().div_ceil(SPARK).max(1);
    let sums: Vec<f64> = curve.bins.chunks(per).map(|c| c.iter().map(|b| b.value).sum()).collect();
    let most = sums.iter().copied().fold(0.0, f64::max);
    let sign = |v: f64| if v <= 0.0 || most <= 0.0 { SIGNS[0] } else { SIGNS[((v / most * 8.0).ceil() as usize).clamp(1, 8)] };
    sums.into_iter().map(sign).collect()
}

fn curves_text(asking: &Asking<'_>, curves: &[Curve], history: &History, out: &mut dyn Write) -> Result<()> {
    let bin = curves.iter().map(|c| c.bin).find(|b| *b > 0).unwrap_or(0);
    let zone = match (&history.zone, history.suggestion()) {
        (Some(zone), _) => format!("days of {zone}"),
        (None, Some(text)) => format!("days of UTC; {text}"),
        (None, None) => "days of UTC".into(),
    };
    let span = asking.engine.span().map_or(asking.window, |s| s.intersect(&asking.window));
    writeln!(out, "OVERVIEW {} to {}, bins of {}, {zone}", at(span.start), at(span.end), short_span(bin)).map_err(io)?;
    let names = ["curve", "total", "usual", "peak", "at", "over time"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![false, true, true, true, false, false], false, out);
    let bytes = |c: &Curve| c.which == Which::Bytes;
    for curve in curves {
        if !curve.why.is_empty() {
            grid.row(vec![
                curve.which.name().into(),
                "0".into(),
                String::new(),
                String::new(),
                String::new(),
                curve.why.clone(),
            ])?;
            continue;
        }
        let peak = (0..curve.bins.len()).max_by(|a, b| curve.bins[*a].value.total_cmp(&curve.bins[*b].value)).unwrap_or(0);
        let most = curve.bins.get(peak).map_or(0.0, |b| b.value);
        grid.row(vec![
            curve.which.name().into(),
            shown(bytes(curve), curve.total()),
            curve.usual().map_or_else(|| "?".into(), |u| shown(bytes(curve), u)),
            shown(bytes(curve), most),
            at(curve.window(peak).start),
            spark(curve),
        ])?;
    }
    grid.end()?;
    let mut notes: Vec<(String, Vec<&str>)> = Vec::new();
    for curve in curves.iter().filter(|c| !c.note.is_empty()) {
        match notes.iter_mut().find(|n| n.0 == curve.note) {
            Some(known) => known.1.push(curve.which.name()),
            None => notes.push((curve.note.clone(), vec![curve.which.name()])),
        }
    }
    for (note, of) in notes {
        writeln!(out, "{note}: {}", of.join(", ")).map_err(io)?;
    }
    let total: usize = curves.iter().map(|c| c.deviations().len()).sum();
    writeln!(out, "\nDEVIATIONS {total}").map_err(io)?;
    if total > 0 {
        let names = ["curve", "way", "from", "to", "actual", "usual", "made of"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![false, false, false, false, true, true, false], false, out);
        for curve in curves {
            for (first, last, way) in curve.deviations().into_iter().take(20) {
                let window = Window::new(curve.window(first).start, curve.window(last).end);
                let bins = curve.bins.get(first..=last).unwrap_or_default();
                let (actual, usual): (f64, f64) =
                    bins.iter().fold((0.0, 0.0), |s, b| (s.0 + b.value, s.1 + b.usual.map_or(0.0, |u| u.0)));
                grid.row(vec![
                    curve.which.name().into(),
                    if way > 0 { "more".into() } else { "less".into() },
                    at(window.start),
                    at(window.end),
                    shown(bytes(curve), actual),
                    shown(bytes(curve), usual),
                    command(curve.which, &window),
                ])?;
            }
        }
        grid.end()?;
    }
    writeln!(out).map_err(io)
}

/// The command that takes a stretch of a curve apart.
fn command(which: Which, window: &Window) -> String {
    let by = match which {
        Which::Bytes | Which::Packets => "",
        Which::Failed => " --by failed",
        _ => " --by flows",
    };
    format!("overview --at {}..{}{by}", window.start.rfc3339(), window.end.rfc3339())
}

fn curves_jsonl(curves: &[Curve], history: &History, out: &mut dyn Write) -> Result<()> {
    if let Some(text) = history.suggestion() {
        let row = json!({"schema": SCHEMA, "part": "zone", "note": text});
        writeln!(out, "{row}").map_err(io)?;
    }
    for curve in curves {
        let row = json!({"schema": SCHEMA, "part": "curve", "curve": curve.which.name(), "total": curve.total(), "usual": curve.usual(),
            "bin": curve.bin / 1_000_000_000, "note": curve.note, "none": curve.why});
        writeln!(out, "{row}").map_err(io)?;
        for (n, bin) in curve.bins.iter().enumerate() {
            let mut object = Map::new();
            object.insert("schema".into(), json!(SCHEMA));
            object.insert("part".into(), json!("bin"));
            object.insert("curve".into(), json!(curve.which.name()));
            object.insert("start".into(), json!(curve.window(n).start.rfc3339()));
            object.insert("value".into(), json!(bin.value));
            if let Some((usual, low, high)) = bin.usual {
                object.insert("usual".into(), json!(usual));
                object.insert("low".into(), json!(low));
                object.insert("high".into(), json!(high));
                object.insert("deviates".into(), json!(bin.deviates));
            }
            writeln!(out, "{}", Json::Object(object)).map_err(io)?;
        }
    }
    Ok(())
}

fn table(columns: &[&str], rows: Vec<Vec<Option<Value>>>) -> Table {
    let of = |c: &&str| if *c == "start" { Some(field::START) } else { None };
    Table {
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        fields: columns.iter().map(of).collect(),
        rows,
        ..Table::default()
    }
}

fn curves_table(curves: &[Curve]) -> Table {
    let mut rows = Vec::new();
    for curve in curves {
        for (n, bin) in curve.bins.iter().enumerate() {
            let usual = |f: &dyn Fn((f64, f64, f64)) -> f64| bin.usual.map(|u| Value::Float(f(u)));
            rows.push(vec![
                Some(Value::text(curve.which.name())),
                Some(Value::Time(curve.window(n).start)),
                Some(Value::Float(bin.value)),
                usual(&|u| u.0),
                usual(&|u| u.1),
                usual(&|u| u.2),
                bin.usual.map(|_| Value::Float(f64::from(bin.deviates))),
            ]);
        }
    }
    table(&["curve", "start", "value", "usual", "low", "high", "deviates"], rows)
}

fn list_jsonl(list: &List, limit: usize, out: &mut dyn Write) -> Result<()> {
    for line in list.lines.iter().take(limit) {
        let mut object = Map::new();
        object.insert("schema".into(), json!(SCHEMA));
        object.insert("part".into(), json!(list.what.name()));
        for (name, cell) in list.what.columns().iter().zip(&line.cells).filter(|(_, c)| **c != Cell::Empty) {
            object.insert((*name).to_owned(), json_of(cell));
        }
        object.insert("go".into(), json!(line.go.command()));
        writeln!(out, "{}", Json::Object(object)).map_err(io)?;
    }
    if list.lines.is_empty() {
        let row = json!({"schema": SCHEMA, "part": list.what.name(), "none": list.why});
        writeln!(out, "{row}").map_err(io)?;
    }
    Ok(())
}

fn list_text(list: &List, limit: usize, out: &mut dyn Write) -> Result<()> {
    let note = if list.note.is_empty() { String::new() } else { format!(" ({})", list.note) };
    writeln!(out, "{} {}{note}", list.what.title().to_uppercase(), list.total).map_err(io)?;
    if list.lines.is_empty() {
        return writeln!(out, "  {}\n", list.why).map_err(io);
    }
    let columns = list.what.columns();
    let right = columns.iter().map(|c| matches!(*c, "flows" | "count" | "sent" | "received")).collect();
    let mut grid = Grid::new(columns.iter().map(|c| (*c).to_owned()).collect(), right, false, out);
    for line in list.lines.iter().take(limit) {
        grid.row(line.cells.iter().map(|c| c.show(&at)).collect())?;
    }
    grid.end()?;
    writeln!(out).map_err(io)
}

/// A line of what a window is made of, of whichever kind.
struct Row<'a> {
    part: &'a str,
    value: &'a str,
    actual: f64,
    usual: f64,
    share: Option<f64>,
    text: &'a str,
    query: &'a str,
}

fn all(e: &Explained) -> Vec<Row<'_>> {
    let mut out = Vec::new();
    for p in &e.parts {
        let (part, value) = (p.dimension.name(), p.value.as_str());
        out.push(Row { part, value, actual: p.actual, usual: p.usual, share: Some(p.part), text: "", query: &p.query });
    }
    for d in &e.denied {
        let share = (d.missing > 0.0).then(|| d.matched / d.missing);
        let value = d.rule.as_deref().unwrap_or_default();
        out.push(Row { part: "denies", value, actual: d.actual, usual: d.usual, share, text: &d.text, query: &d.query });
    }
    for a in &e.alerts {
        let value = a.signature.as_str();
        out.push(Row { part: "alert", value, actual: a.actual, usual: a.usual, share: None, text: "", query: &a.query });
    }
    for n in &e.new {
        let part = if n.what == "host" { "new host" } else { "new service" };
        out.push(Row { part, value: &n.value, actual: n.flows as f64, usual: 0.0, share: None, text: "", query: &n.query });
    }
    for r in &e.rates {
        out.push(Row { part: "rate", value: r.what, actual: r.actual, usual: r.usual, share: None, text: "", query: &r.query });
    }
    out
}

fn parts_jsonl(e: &Explained, out: &mut dyn Write) -> Result<()> {
    let row = json!({"schema": PART, "part": "window", "start": e.window.start.rfc3339(), "end": e.window.end.rfc3339(), "actual": e.actual,
        "usual": e.usual, "compared": e.compared.len(), "by": if e.weight == Weight::Bytes { "bytes" } else { "flows" }, "notes": e.notes});
    writeln!(out, "{row}").map_err(io)?;
    for r in all(e) {
        let mut row =
            json!({"schema": PART, "part": r.part, "value": r.value, "actual": r.actual, "usual": r.usual, "query": r.query});
        if let (Some(share), Some(object)) = (r.share, row.as_object_mut()) {
            object.insert("share".into(), json!(share));
        }
        if let (false, Some(object)) = (r.text.is_empty(), row.as_object_mut()) {
            object.insert("text".into(), json!(r.text));
        }
        writeln!(out, "{row}").map_err(io)?;
    }
    Ok(())
}

fn parts_table(e: &Explained) -> Table {
    let rows = all(e).into_iter().map(|r| {
        vec![
            Some(Value::text(r.part)),
            Some(Value::text(r.value)),
            Some(Value::Float(r.actual)),
            Some(Value::Float(r.usual)),
            r.share.map(Value::Float),
            Some(Value::text(r.query)),
        ]
    });
    table(&["part", "value", "actual", "usual", "share", "query"], rows.collect())
}

fn parts_text(e: &Explained, limit: usize, out: &mut dyn Write) -> Result<()> {
    let bytes = e.weight == Weight::Bytes;
    let unit = if bytes { "bytes" } else { "flows" };
    let days = e.compared.len();
    writeln!(out, "WINDOW {} to {}", at(e.window.start), at(e.window.end)).map_err(io)?;
    let usual = if days == 0 { "?".to_owned() } else { shown(bytes, e.usual) };
    writeln!(out, "{} {unit}, usual {usual} (median of the same hours of {days} days)\n", shown(bytes, e.actual)).map_err(io)?;
    for note in &e.notes {
        writeln!(out, "note: {note}").map_err(io)?;
    }
    let rows = all(e);
    for (title, wanted, sized) in [
        ("MADE OF", &["host", "peer", "network", "country", "as", "port", "service", "name", "app"][..], bytes),
        ("FIREWALL DENIES", &["denies"], false),
        ("ALERTS", &["alert"], false),
        ("NEW", &["new host", "new service"], false),
        ("UNREACHABLE, REFUSED, UNANSWERED", &["rate"], false),
    ] {
        let of: Vec<&Row> = rows.iter().filter(|r| wanted.contains(&r.part)).collect();
        writeln!(out, "{title}").map_err(io)?;
        if of.is_empty() {
            writeln!(out, "  none\n").map_err(io)?;
            continue;
        }
        let names = ["by", "value", "actual", "usual", "share", "query"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![false, false, true, true, true, false], false, out);
        for part in wanted {
            for r in of.iter().filter(|r| r.part == *part).take(limit) {
                let value = if r.text.is_empty() { r.value } else { r.text };
                grid.row(vec![
                    r.part.into(),
                    value.into(),
                    shown(sized, r.actual),
                    shown(sized, r.usual),
                    r.share.map(|s| format!("{:.0} %", s * 100.0)).unwrap_or_default(),
                    r.query.into(),
                ])?;
            }
        }
        grid.end()?;
        writeln!(out).map_err(io)?;
    }
    Ok(())
}
