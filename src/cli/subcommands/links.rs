//! `links`: of a host the translations that it was inside or outside of; of a record the other records of its connection, on the other side of a
//! translation too. With method, confidence, margin and what proves it; why two records are linked; and a person's word on a link.

use crate::case::behind::{self, ByPackets};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io, table::harmless};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::links::by_hand;
use crate::model::decision::What;
use crate::model::{Record, RecordId, Window, field, proto};
use crate::query::Engine;
use crate::query::engine::{AskedEnd, Binding, Bound, Cancel, End, Link, Linked, Match};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// `backtrail links`.
pub struct Links;

#[derive(clap::Args)]
struct LinksArgs {
    /// Address, address:port, or the id of a record
    #[arg(value_name = "HOST|ID")]
    value: String,
    /// Only translations of this protocol
    #[arg(long, value_name = "PROTO")]
    proto: Option<String>,
    /// Only translations with this peer, as it is seen on the host's side: an address, or address:port
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    /// Only of this window: a time clause such as `since 2h ago` or `around 2026-11-20T08:00Z 10s`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// Why that record and this other one are linked, and what the runner-up would be
    #[arg(long, value_name = "ID")]
    why: Option<String>,
    /// Says that both records are one thing, whatever joins them; needs --because
    #[arg(long, value_name = "ID", conflicts_with_all = ["why", "reject", "forget"], requires = "because")]
    accept: Option<String>,
    /// Says that they are not one thing: they are linked no more; needs --because
    #[arg(long, value_name = "ID", conflicts_with_all = ["why", "forget"], requires = "because")]
    reject: Option<String>,
    /// Takes back what was accepted or rejected
    #[arg(long, value_name = "ID", conflicts_with = "why")]
    forget: Option<String>,
    /// Why; the journal keeps it, with who and when
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// At most so many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    limit: usize,
    /// Read these files into a temporary case, ask, forget
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Links {
    fn command(&self) -> clap::Command {
        LinksArgs::augment_args(
            clap::Command::new("links")
                .about("What a host was on the other side of a translation, or what belongs to a record, and how that is known"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = LinksArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !matches!(args.form, Form::Table | Form::Jsonl) {
            return Err(Error::user("links are printed as table or jsonl"));
        }
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let engine = &*opened.engine;
        let judged = args.accept.is_some() || args.reject.is_some() || args.forget.is_some();
        if judged && !args.read.is_empty() {
            return Err(Error::user("what is said of links is kept in a case, and -r keeps none"));
        }
        match args.value.parse::<RecordId>() {
            Ok(id) if judged => judge(id, &args, &opened)?,
            Ok(id) => match &args.why {
                Some(other) => explained(id, the_id(other)?, &args, engine)?,
                None => record(id, &args, engine)?,
            },
            Err(()) if judged || args.why.is_some() => {
                return Err(Error::user(format!("`{}` is not the id of a record", args.value)).hint(IDS));
            }
            Err(()) => host(&args, engine)?,
        }
        Ok(done)
    }
}

/// Where ids come from.
const IDS: &str = "ids stand in the column id of `links ID`, and in `flows -o jsonl`";

fn the_id(text: &str) -> Result<RecordId> {
    text.parse().map_err(|()| Error::user(format!("`{text}` is not the id of a record")).hint(IDS))
}

fn the_record(id: RecordId, engine: &dyn Engine) -> Result<Record> {
    engine.record(id)?.ok_or_else(|| Error::user(format!("no record has the id {id}")))
}

/// Writes what is said of a link, then shows the links as they are now.
fn judge(id: RecordId, args: &LinksArgs, opened: &Opened) -> Result<()> {
    let engine = &*opened.engine;
    let (other, accepted) = match (&args.accept, &args.reject, &args.forget) {
        (Some(other), ..) => (the_id(other)?, true),
        (_, Some(other), _) | (_, _, Some(other)) => (the_id(other)?, false),
        _ => return Ok(()),
    };
    if other == id {
        return Err(Error::user("a record is not linked with itself"));
    }
    if args.forget.is_some() {
        let word = by_hand::Judged::new(&opened.keeper.decisions()).on(id, other).map(|w| w.decision);
        let word = word.ok_or_else(|| Error::user(format!("nobody said anything of {id} and {other}")))?;
        opened.keeper.append(What::Remove { id: word })?;
    } else {
        let reason = args.because.as_deref().unwrap_or_default().trim();
        if reason.is_empty() {
            return Err(Error::user("why? --because takes a text"));
        }
        the_record(id, engine)?;
        the_record(other, engine)?;
        opened.keeper.append(by_hand::judged(id, other, accepted, reason))?;
    }
    record(id, args, engine)
}

/// Why two records are linked.
fn explained(id: RecordId, other: RecordId, args: &LinksArgs, engine: &dyn Engine) -> Result<()> {
    let of = the_record(id, engine)?;
    let Some(why) = engine.why(&of, other, &Cancel::default())? else {
        return Err(Error::user(format!("{id} and {other} are not linked")).hint("`links ID` lists what a record is linked with"));
    };
    let mut out = std::io::stdout().lock();
    let stated: Vec<(String, String, String)> = why
        .stated
        .iter()
        .map(|(f, a, b)| {
            let ty = field::get(*f).map_or(field::Type::Text, |f| f.ty);
            (field::name(*f).to_string(), a.show(ty), b.show(ty))
        })
        .collect();
    if args.form == Form::Jsonl {
        let clocks = why
            .clocks
            .iter()
            .map(|c| json!({"source": c.name, "shift": c.shift, "uncertainty": c.uncertainty, "basis": c.basis}));
        let stated = stated.iter().map(|(f, a, b)| json!({"field": f, "here": a, "there": b}));
        let line = json!({
            "schema": "backtrail.link/1", "what": "why", "of": id.to_string(), "id": other.to_string(), "reasons": why.reasons,
            "apart": why.apart, "allowed": why.allowed, "clocks": clocks.collect::<Vec<_>>(), "stated": stated.collect::<Vec<_>>(),
            "runner_up": why.runner_up.as_ref().map(|r| r.id.to_string()), "runner_up_words": why.runner_words,
        });
        writeln!(out, "{line}").map_err(io)?;
        return out.flush().map_err(io);
    }
    let mut say = |label: &str, text: &str| writeln!(out, "{label:<10} {}", harmless(text)).map_err(io);
    for reason in &why.reasons {
        say("why", reason)?;
    }
    for clock in &why.clocks {
        say("clock", &clock.in_words())?;
    }
    for (field, a, b) in &stated {
        let text = if a == b { format!("{field} {a}, both") } else { format!("{field} {a} here, {b} there") };
        say(if a == b { "agree" } else { "differ" }, &text)?;
    }
    say("runner-up", &why.runner_words)?;
    if let Some(next) = &why.runner_up {
        say("", &next.id.to_string())?;
    }
    out.flush().map_err(io)
}

/// An address, with a port or without.
fn end(text: &str) -> Result<End> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(End::new(ip, None));
    }
    let both = text.parse::<SocketAddr>().map_err(|_| {
        Error::user(format!("`{text}` is neither an address nor the id of a record"))
            .hint("10.8.21.5, 198.51.100.2:9000, [2001:db8::1]:443, or an id as `flows -o jsonl` gives it")
    })?;
    Ok(End::new(both.ip(), both.port()))
}

fn host(args: &LinksArgs, engine: &dyn Engine) -> Result<()> {
    let proto = args.proto.as_deref().map(|p| proto::parse(p).ok_or_else(|| Error::user(format!("`{p}` is no protocol"))));
    let window = args.window.as_deref().map_or(Ok(Window::ALL), |clause| engine.compile(clause).map(|q| q.window))?;
    let peer = args.peer.as_deref().map(end).transpose()?;
    let asked = AskedEnd { end: end(&args.value)?, proto: proto.transpose()?, peer, window };
    let bound = engine.bindings(&asked, &Cancel::default())?;
    // One end of a connection is one host, and so is what a translation has inside.
    let counted = match asked.end.port.is_none() && bound.inside.is_empty() {
        true => behind::by_packets(engine, asked.end.ip, &asked.window, &Cancel::default()).map_err(|e| e.to_string()),
        false => Ok(ByPackets::default()),
    };
    let mut out = std::io::stdout().lock();
    let all = bound.inside.iter().chain(&bound.outside).take(args.limit);
    if args.form == Form::Jsonl {
        for binding in all {
            writeln!(out, "{}", object(binding)).map_err(io)?;
        }
        let by_packets = |c: &ByPackets| c.identifications.max(c.timestamps);
        if !bound.behind.is_empty() || bound.at_least.max(counted.as_ref().map_or(0, by_packets)) > 1 {
            writeln!(out, "{}", hosts(&bound, &asked, &counted)).map_err(io)?;
        }
    } else {
        let names = ["kind", "start", "end", "proto", "inside", "outside", "peer", "method", "conf", "margin", "evidence"];
        let mut grid = Grid::new(names.map(str::to_owned).to_vec(), Vec::new(), false, &mut out);
        for b in all {
            let shown = |e: Option<End>| e.map_or_else(|| "any".to_owned(), |e| e.to_string());
            let mark = if b.conflict {
                " conflict"
            } else if b.assumed {
                " assumed end"
            } else {
                ""
            };
            grid.row(vec![
                b.kind.name().into(),
                b.start.rfc3339(),
                b.end.rfc3339(),
                b.proto.map_or_else(|| "any".to_owned(), proto::show),
                b.inside.to_string(),
                b.outside.to_string(),
                shown(b.peer),
                format!("{}{mark}", b.method.name()),
                format!("{:.2}", b.confidence),
                b.margin.map_or_else(String::new, |m| format!("{m:.1}")),
                b.evidence.first().map_or_else(String::new, RecordId::to_string),
            ])?;
        }
        grid.end()?;
    }
    out.flush().map_err(io)?;
    explain(&bound, &asked, &counted, args);
    Ok(())
}

/// Says beside the rows what they do not: how many hosts are behind the address, and what was left out.
fn explain(bound: &Bound, asked: &AskedEnd, counted: &Counted, args: &LinksArgs) {
    let mut notes = Vec::new();
    let hosts = bound.behind.len();
    if hosts > 1 {
        let most: Vec<String> =
            bound.behind.iter().take(5).map(|b| format!("{} {:.0} %", b.host, b.confidence * 100.0)).collect();
        let needed = if asked.end.port.is_none() { "port needed to decide" } else { "peer or time needed to decide" };
        notes.push(format!("1 of {hosts} hosts, {needed}; by their part of the translations: {}", most.join(", ")));
    }
    if bound.at_least > 1 {
        notes.push(format!(
            "at least {} hosts by the systems of user agents or SYNs within ten minutes: {}",
            bound.at_least,
            bound.systems.join(", ")
        ));
    }
    match counted {
        Ok(c) => {
            let more = if c.more { " (more were not looked at)" } else { "" };
            for (hosts, what) in [(c.identifications, "IP identifications"), (c.timestamps, "TCP timestamps")] {
                if hosts > 1 {
                    notes.push(format!("at least {hosts} hosts at once by {what} of {} packets{more}", c.packets));
                }
            }
        }
        Err(why) => notes.push(format!("hosts are not counted by packets: {why}")),
    }
    let all = bound.inside.len() + bound.outside.len();
    if bound.more || all > args.limit {
        notes.push(format!("more translations than the {} shown: narrow with --window, --peer or a port", all.min(args.limit)));
    }
    if all == 0 {
        notes.push(
            "no translation of this end is known: none is logged, and no two vantage points saw its connections inside and outside"
                .into(),
        );
    }
    notes.extend(bound.notices.iter().cloned());
    notes.iter().for_each(|note| drop(writeln!(std::io::stderr(), "note: {}", harmless(note))));
}

fn object(b: &Binding) -> Json {
    json!({
        "schema": "backtrail.link/1", "what": "binding", "kind": b.kind.name(), "proto": b.proto.map(proto::show),
        "inside": b.inside.to_string(), "outside": b.outside.to_string(), "peer": b.peer.map(|p| p.to_string()),
        "peer.inside": b.peer_inside.map(|p| p.to_string()), "start": b.start.rfc3339(), "end": b.end.rfc3339(),
        "uncertainty": b.uncertainty, "method": b.method.name(), "confidence": two(b.confidence),
        "margin": b.margin.map(two), "assumed": b.assumed, "conflict": b.conflict,
        "evidence": b.evidence.iter().map(RecordId::to_string).collect::<Vec<_>>(),
    })
}

/// What packets say of the hosts behind an address, or why they say nothing.
type Counted = std::result::Result<ByPackets, String>;

fn hosts(bound: &Bound, asked: &AskedEnd, counted: &Counted) -> Json {
    let packets = counted.as_ref().copied().unwrap_or_default();
    let hosts: Vec<Json> = bound
        .behind
        .iter()
        .map(|b| json!({"host": b.host.to_string(), "bindings": b.bindings, "confidence": two(b.confidence)}))
        .collect();
    json!({
        "schema": "backtrail.link/1", "what": "behind", "outside": asked.end.to_string(), "hosts": hosts,
        "decided": bound.behind.len() == 1, "at_least": bound.at_least.max(packets.identifications).max(packets.timestamps),
        "at_least.by": {
            "agents": bound.at_least, "identifications": packets.identifications, "timestamps": packets.timestamps,
            "packets": packets.packets, "more": packets.more, "why": counted.as_ref().err(),
        },
        "systems": bound.systems,
    })
}

/// Two decimals: what is behind them is no more than the model.
fn two(number: f32) -> f64 {
    (f64::from(number) * 100.0).round() / 100.0
}

fn record(id: RecordId, args: &LinksArgs, engine: &dyn Engine) -> Result<()> {
    let record = the_record(id, engine)?;
    let Linked { links, rejected } = engine.linked(&record, &Cancel::default())?;
    let all = || links.iter().chain(&rejected);
    let mut out = std::io::stdout().lock();
    if args.form == Form::Jsonl {
        for link in all().take(args.limit) {
            writeln!(out, "{}", linked(id, link, engine)).map_err(io)?;
        }
    } else {
        let names = ["match", "method", "kind", "source", "start", "src", "dst", "how", "evidence", "id"];
        let mut grid = Grid::new(names.map(str::to_owned).to_vec(), Vec::new(), false, &mut out);
        // What was rejected is counted below the rows; `-o jsonl` has it.
        for link in links.iter().take(args.limit) {
            let (src, dst) = ends(&link.record);
            let how = match (&link.hand, &link.via) {
                (Some(word), _) => harmless(&format!("{}: {}", word.who, word.reason)),
                (None, via) => {
                    via.as_ref().map_or_else(String::new, |v| format!("{} {:.2}: {}", v.method, v.confidence, v.binding))
                }
            };
            let evidence = link.via.as_ref().and_then(|v| v.evidence.first()).map_or_else(String::new, RecordId::to_string);
            grid.row(vec![
                link.quality.to_string(),
                link.method.to_string(),
                link.record.kind.to_string(),
                harmless(&engine.source_name(link.record.source)),
                link.record.time().rfc3339(),
                src,
                dst,
                how,
                evidence,
                link.record.id.to_string(),
            ])?;
        }
        grid.end()?;
    }
    out.flush().map_err(io)?;
    if links.is_empty() {
        let _ = writeln!(std::io::stderr(), "note: no other record of this connection is in the case");
    }
    if !rejected.is_empty() {
        let _ = writeln!(std::io::stderr(), "note: {} left out: rejected by hand, --forget takes that back", rejected.len());
    }
    Ok(())
}

fn ends(record: &Record) -> (String, String) {
    let end = |ip, port| {
        let port = record.uint(port).and_then(|p| u16::try_from(p).ok());
        record.addr(ip).map_or_else(String::new, |ip| End::new(ip, port).to_string())
    };
    (end(field::SRC_IP, field::SRC_PORT), end(field::DST_IP, field::DST_PORT))
}

fn linked(of: RecordId, link: &Link, engine: &dyn Engine) -> Json {
    let (src, dst) = ends(&link.record);
    let quality = match link.quality {
        Match::Exact => "exact",
        Match::Ambiguous(_) => "ambiguous",
        Match::ClockUnchecked => "clock unchecked",
        Match::Within(_) => "within the clock",
        Match::Translated => "translated",
        Match::Inferred(_) => "inferred",
        Match::ByHand => "by hand",
        Match::Tentative(_) => "tentative",
    };
    let via = link.via.as_ref().map(|v| {
        json!({
            "binding": v.binding, "kind": v.kind, "method": v.method, "confidence": two(v.confidence), "margin": v.margin.map(two),
            "evidence": v.evidence.iter().map(RecordId::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "schema": "backtrail.link/1", "what": "record", "of": of.to_string(), "id": link.record.id.to_string(),
        "kind": link.record.kind.name(), "source": engine.source_name(link.record.source), "start": link.record.time().rfc3339(),
        "src": src, "dst": dst, "method": link.method, "match": quality, "mark": link.quality.to_string(), "via": via,
        "by_hand": link.hand.as_ref().map(|w| json!({
            "accepted": w.accepted, "who": w.who, "at": w.at.rfc3339(), "because": w.reason, "decision": w.decision,
        })),
    })
}
