//! Gives the records of a case to detectors, day by day in order of time, and gathers what they find.

use super::curves::Curves;
use super::reconcile;
use super::renumber::Renumber;
use super::resume::{self, Basis, Gathered};
use super::rows::{Day, Event, Flow, Net, Piece, Place, Query, State, Word};
use super::{ALL, Detector, Limits, Watch};
use super::{beyond, deviation, pieces};
use crate::error::Result;
use crate::flow::stack::Stack;
use crate::formats::Zone;
use crate::model::finding::{Finding, Findings};
use crate::model::flow::AppConfidence;
use crate::model::site::{Home, Site};
use crate::model::{Cancel, FieldId, Kind, Record, Time, Window, field, proto};
use crate::query::Engine;
use std::borrow::Cow;
use std::time::Instant;

/// Version of the rules: with it findings that were kept are found anew.
const VERSION: u32 = 2;
/// Most findings of one detector that are kept.
const OF_ONE: usize = 2_000;

/// What is looked at.
const RECORDS: &str = "kind in {flow, dns, alert, notice, fw, auth, http, tls, proxy, inventory, vuln}";

/// Fields that are read.
const FIELDS: [FieldId; 32] = [
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::NAT_DST_IP,
    field::PROTO,
    field::APP,
    field::APP_CONF,
    field::STATE,
    field::NAME,
    field::SNI,
    field::HTTP_HOST,
    field::BYTES_OUT,
    field::BYTES_IN,
    field::PAYLOAD_OUT,
    field::PAYLOAD_IN,
    field::PACKETS_OUT,
    field::PACKETS_IN,
    field::OPEN,
    field::SEVERITY,
    field::ACTION,
    field::RULE,
    field::SIGNATURE,
    field::HTTP_AGENT,
    field::JA4,
    field::DNS_TYPE,
    field::DNS_RCODE,
    field::ANSWER_IP,
    field::PORT_STATE,
    field::MESSAGE,
    field::SRC_OS,
    field::DST_OS,
];

/// How far a run is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Records looked at.
    pub rows: u64,
    /// Records that there are.
    pub of: u64,
}

/// What is asked of a run.
pub struct Asked<'a> {
    /// Thresholds.
    pub limits: &'a Limits,
    /// Only these detectors; none: all.
    pub only: Option<&'a [&'static dyn Detector]>,
    /// Only this window.
    pub window: Window,
    /// Where to go on where an earlier run was, if everything is asked for.
    pub past: Option<Past<'a>>,
}

/// What an earlier run gathered.
pub struct Past<'a> {
    /// Where it is kept.
    pub kept: &'a dyn resume::Past,
    /// What it rests on besides thresholds, rules and clocks.
    pub rests: String,
    /// Whether what is gathered now is kept too.
    pub writes: bool,
}

/// Rows that were read together, before they are in order.
#[derive(Default)]
struct Rows {
    flows: Vec<Flow>,
    events: Vec<Event>,
    queries: Vec<Query>,
    /// How many of each were given.
    given: [usize; 3],
}

impl Rows {
    fn sort(&mut self, net: &Net) {
        // By time, then by record: the same order whatever order they came in.
        self.flows.sort_unstable_by_key(|f| (f.start, net.record(f.id)));
        self.events.sort_unstable_by_key(|e| (e.time, net.record(e.id)));
        self.queries.sort_unstable_by_key(|q| (q.time, net.record(q.id)));
    }
    /// The rows of the next hour that has any, with its beginning. Pieces are of hours whatever is read together: how much there is of other hours
    /// does not change what is found.
    fn next_hour(&self) -> Option<(Time, Hour<'_>)> {
        let [flows, events, queries] = self.given;
        let (flows, events) = (self.flows.get(flows..)?, self.events.get(events..)?);
        let queries = self.queries.get(queries..)?;
        let first = [flows.first().map(|f| f.start), events.first().map(|e| e.time), queries.first().map(|q| q.time)];
        let first = first.into_iter().flatten().min()?;
        let begun = Time(first.0.div_euclid(pieces::HOUR).saturating_mul(pieces::HOUR));
        let over = begun.plus(pieces::HOUR);
        // At the end of time an hour is shorter.
        let within = |t: Time| t < over || over <= begun;
        let of = Hour {
            flows: flows.get(..flows.partition_point(|f| within(f.start)))?,
            events: events.get(..events.partition_point(|e| within(e.time)))?,
            queries: queries.get(..queries.partition_point(|q| within(q.time)))?,
        };
        Some((begun, of))
    }
}

/// Rows of an hour.
struct Hour<'a> {
    flows: &'a [Flow],
    events: &'a [Event],
    queries: &'a [Query],
}

/// Runs detectors over the records of a case.
pub fn run(engine: &dyn Engine, asked: &Asked<'_>, cancel: &Cancel, tell: &mut dyn FnMut(Progress)) -> Result<Findings> {
    let begun = Instant::now();
    let detectors = asked.only.unwrap_or(ALL);
    let mut out = Findings {
        sequence: engine.sequence(),
        parameters: parameters(detectors, asked.limits),
        window: engine.span().map(|s| s.intersect(&asked.window)).filter(|w| w.start < w.end),
        ..Findings::default()
    };
    let Some(window) = out.window else { return Ok(out) };
    let known = match detectors.iter().any(|d| d.compares()) {
        true => Some(reconcile::read(engine, cancel)?),
        false => None,
    };
    let days = pieces::days(engine, RECORDS, &window, cancel)?;
    let hours: Vec<(Time, u64)> = days.iter().flat_map(|d| d.1.iter().copied()).collect();
    let many = |past: &&Past<'_>| hours.iter().map(|h| h.1).fold(0, u64::saturating_add) >= past.kept.least();
    let past = asked.past.as_ref().filter(|_| asked.window == Window::ALL).filter(many);
    let basis = past.map(|p| Basis { engine, rests: format!("{}; {}", out.parameters, p.rests), hours });
    let new = || Gathered::new(detectors, asked.limits);
    let (mut begin, mut gathered) = (Begin::default(), new());
    let mut worth = Vec::new();
    if let Some((past, basis)) = past.zip(basis.as_ref()) {
        worth = basis.worth();
        if let Some((from, rows, net, at)) = basis.last(past.kept, &new) {
            (begin, gathered) = (Begin { from, rows, net }, at);
        }
        if past.writes {
            past.kept.only(&worth);
        }
        // What is kept already is not kept again.
        worth.retain(|hour| *hour > begin.from);
    }
    let (mut net, rows) = stream_days(engine, &window, days, begin, cancel, tell, &mut |part| {
        match part {
            Part::Hour(hour, net, rows) => {
                if let Some((past, basis)) = past.zip(basis.as_ref()).filter(|p| p.0.writes && worth.contains(&hour)) {
                    // Who may not write here begins anew next time.
                    let _ = basis.keep(past.kept, hour, net, rows, &gathered);
                }
            }
            Part::Piece(piece) => {
                for (_, watch) in &mut gathered.watches {
                    cancel.check()?;
                    watch.piece(piece);
                }
                gathered.ranking.piece(piece);
                if let Some(ledger) = &mut gathered.ledger {
                    ledger.piece(piece);
                }
                if let Some(curves) = &mut gathered.curves {
                    curves.piece(piece);
                }
            }
            Part::Day(over) => gathered.watches.iter_mut().for_each(|(_, watch)| watch.day(over)),
        }
        Ok(())
    })?;
    let Gathered { watches, ranking, ledger, curves } = gathered;
    let mut site = known.zip(ledger).map(|(known, ledger)| reconcile::Site { known, ledger });
    out.rows = rows;
    // What does not read curves says first what it found and is gone: what is usual for the curves takes memory of its own.
    let end = |detector: &dyn Detector, watch: Box<dyn Watch>, net: &Net, site: Option<&reconcile::Site>| {
        let mut found = watch.end(net);
        found.extend(site.map(|site| detector.compare(site, net, asked.limits)).unwrap_or_default());
        found
    };
    let mut ended: Vec<(&dyn Detector, Vec<Finding>)> = detectors.iter().map(|d| (*d, Vec::new())).collect();
    let mut later = Vec::new();
    for ((detector, watch), (_, found)) in watches.into_iter().zip(&mut ended) {
        cancel.check()?;
        match detector.reads_curves() {
            true => later.push((detector, watch, found)),
            false => *found = end(detector, watch, &net, site.as_ref()),
        }
    }
    site = site.filter(|_| later.iter().any(|(detector, ..)| detector.compares()));
    net.curves = curves.map(|c| c.finish(&net));
    out.notices.extend(net.curves.as_ref().and_then(Curves::short));
    for (detector, watch, found) in later {
        cancel.check()?;
        *found = end(detector, watch, &net, site.as_ref());
    }
    for (detector, mut found) in ended {
        cancel.check()?;
        // What is equal stands by time and key, not by the order in which records came.
        found.sort_by_cached_key(|f| {
            (std::cmp::Reverse(f.severity), std::cmp::Reverse((f.score * 1e6) as i64), f.window.start, f.key())
        });
        beyond::fold(&mut found, detector);
        if found.len() > OF_ONE {
            out.notices.push(format!("{} of {} findings of {} are left out", found.len() - OF_ONE, found.len(), detector.name()));
            found.truncate(OF_ONE);
        }
        for finding in &mut found {
            if finding.techniques.is_empty() {
                finding.techniques = detector.techniques().iter().map(|t| (*t).to_owned()).collect();
            }
        }
        out.list.append(&mut found);
    }
    deviation::distinct(&mut out.list);
    ranking.rank(&mut out.list, engine, &net, cancel)?;
    if net.beyond > 0 {
        out.notices.push(format!("{} hosts or texts were not told apart", net.beyond));
    }
    out.elapsed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(out)
}

/// A part of what is streamed.
pub enum Part<'a> {
    /// An hour begins: nothing of it was given yet. With what numbers stand for, and how many records were given.
    Hour(Time, &'a Net, u64),
    /// Records that follow those before, of an hour or less.
    Piece(&'a Piece<'a>),
    /// A day is over.
    Day(&'a Day<'a>),
}

/// Where a stream begins.
pub struct Begin {
    /// The hour; what is before it was given already.
    pub from: Time,
    /// How many records were.
    pub rows: u64,
    /// What the numbers in them stand for.
    pub net: Net,
}

impl Default for Begin {
    fn default() -> Begin {
        Begin { from: Time(i64::MIN), rows: 0, net: Net::default() }
    }
}

/// Gives the records of a window piece by piece in order of time, each once; then what their numbers stand for, and how many records there were.
pub fn stream(
    engine: &dyn Engine,
    window: &Window,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Progress),
    each: &mut dyn FnMut(Part<'_>) -> Result<()>,
) -> Result<(Net, u64)> {
    let days = pieces::days(engine, RECORDS, window, cancel)?;
    stream_days(engine, window, days, Begin::default(), cancel, tell, each)
}

/// The same, of days and their hours, from an hour on.
fn stream_days(
    engine: &dyn Engine,
    window: &Window,
    days: Vec<(i32, pieces::Counts)>,
    begin: Begin,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Progress),
    each: &mut dyn FnMut(Part<'_>) -> Result<()>,
) -> Result<(Net, u64)> {
    let Begin { from, rows: before, mut net } = begin;
    let mut progress = Progress { rows: before, of: days.iter().flat_map(|d| &d.1).map(|hour| hour.1).sum() };
    let home = engine.home(cancel)?;
    net.sites = places(engine, cancel)?;
    net.sources = engine.sources().into_iter().map(|s| (s.id, s.name)).collect();
    tell(progress);
    let mut hour = from.plus(-1);
    for (day, mut hours) in days.into_iter().filter(|d| d.0 >= from.day()) {
        hours.retain(|h| h.0 >= from);
        for part in pieces::of_day(engine, RECORDS, window, &hours, cancel)? {
            let (mut old, mut read) = (Net::default(), Rows::default());
            self::read(engine, &part, &home, &mut old, &mut read, cancel)?;
            read.sort(&old);
            net.beyond = net.beyond.saturating_add(old.beyond);
            let mut renumber = Renumber::default();
            while let Some((begun, of)) = read.next_hour() {
                if begun != hour {
                    hour = begun;
                    each(Part::Hour(hour, &net, progress.rows))?;
                }
                let flows: Vec<Flow> = of.flows.iter().filter_map(|f| renumber.flow(&old, f, &mut net)).collect();
                let events: Vec<Event> = of.events.iter().map(|e| renumber.event(&old, e, &mut net)).collect();
                let queries: Vec<Query> = of.queries.iter().filter_map(|q| renumber.query(&old, q, &mut net)).collect();
                each(Part::Piece(&Piece { net: &net, flows: &flows, events: &events, queries: &queries }))?;
                progress.rows += (flows.len() + events.len() + queries.len()) as u64;
                let [f, e, q] = read.given;
                read.given = [f + of.flows.len(), e + of.events.len(), q + of.queries.len()];
            }
            tell(progress);
        }
        each(Part::Day(&Day { net: &net, day }))?;
    }
    Ok((net, progress.rows))
}

/// What a run rests on, as one text.
pub fn parameters(detectors: &[&dyn Detector], limits: &Limits) -> String {
    let names: Vec<&str> = detectors.iter().map(|d| d.name()).collect();
    format!("rules {VERSION}; detectors {}; {}", names.join(" "), limits.text()).trim_end_matches([' ', ';']).to_owned()
}

/// The sites that are applied. A zone counts only if somebody has said it.
fn places(engine: &dyn Engine, cancel: &Cancel) -> Result<Vec<Place>> {
    let sites = engine.sites(cancel)?;
    let place = |s: &Site| Place {
        name: s.name.clone(),
        networks: s.networks.clone(),
        zone: s.zone.as_deref().filter(|_| s.by.is_some()).and_then(Zone::parse),
    };
    Ok(sites.applied().iter().map(place).collect())
}

fn read(engine: &dyn Engine, part: &Window, home: &Home, net: &mut Net, rows: &mut Rows, cancel: &Cancel) -> Result<()> {
    let question = engine.compile(RECORDS)?.within(part);
    let near = |addr| home.is_near(addr);
    engine.visit(&question, &FIELDS, cancel, &mut |record| {
        // What began before was given before.
        if record.time() >= part.start && record.time() < part.end {
            take(&record, net, &near, rows);
        }
        true
    })
}

fn take(record: &Record, net: &mut Net, home: &dyn Fn(std::net::IpAddr) -> bool, rows: &mut Rows) {
    let host = |net: &mut Net, f: FieldId| record.addr(f).and_then(|a| net.host(a, home));
    let (src, dst) = (host(net, field::SRC_IP), host(net, field::DST_IP));
    let number = |f| record.uint(f).unwrap_or(0);
    let port = |f| record.uint(f).and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
    let lower = |f: FieldId| record.text(f).map_or(Cow::Borrowed(""), lower);
    match record.kind {
        Kind::Flow => {
            let (Some(src), Some(dst)) = (src, dst) else { return };
            let name =
                [field::SNI, field::HTTP_HOST, field::NAME].into_iter().find_map(|f| record.text(f).filter(|t| !t.is_empty()));
            let packets = |f| u32::try_from(number(f)).unwrap_or(u32::MAX);
            rows.flows.push(Flow {
                start: record.time(),
                end: record.until(),
                src,
                dst,
                src_port: port(field::SRC_PORT),
                dst_port: port(field::DST_PORT),
                proto: u8::try_from(number(field::PROTO)).unwrap_or(0),
                state: record.text(field::STATE).map_or(State::Unknown, State::parse),
                app: net.word(record.text(field::APP).unwrap_or("")),
                app_parsed: record.text(field::APP_CONF) == Some(AppConfidence::Parsed.name()),
                name: name.map_or(Word::NONE, |n| net.word(&self::lower(n))),
                bytes_out: number(field::BYTES_OUT),
                bytes_in: number(field::BYTES_IN),
                payload_out: number(field::PAYLOAD_OUT),
                payload_in: number(field::PAYLOAD_IN),
                packets_out: packets(field::PACKETS_OUT),
                packets_in: packets(field::PACKETS_IN),
                stacks: [field::SRC_OS, field::DST_OS].map(|f| record.text(f).and_then(Stack::named)),
                open: record.is_open(),
                source: record.source,
                id: net.id(record.id),
            });
        }
        Kind::Dns => {
            let Some(client) = src else { return };
            let answers = record.all(field::ANSWER_IP).filter_map(|v| net.host(v.as_addr()?, home)).collect();
            rows.queries.push(Query {
                time: record.time(),
                client,
                server: dst,
                name: net.word(lower(field::NAME).trim_end_matches('.')),
                kind: net.word(record.text(field::DNS_TYPE).unwrap_or("")),
                reply: net.word(record.text(field::DNS_RCODE).unwrap_or("")),
                answers,
                source: record.source,
                id: net.id(record.id),
            });
        }
        kind => {
            let told = matches!(kind, Kind::Alert | Kind::Notice | Kind::Fw);
            let agent: &[FieldId] = match kind {
                Kind::Tls => &[field::JA4],
                Kind::Http | Kind::Proxy => &[field::JA4, field::HTTP_AGENT],
                _ => &[],
            };
            let first = |list: &[FieldId]| list.iter().find_map(|f| record.text(*f).filter(|t| !t.is_empty())).unwrap_or("");
            let name = first(&[field::SNI, field::HTTP_HOST, field::NAME]);
            rows.events.push(Event {
                kind,
                time: record.time(),
                end: record.until(),
                src,
                dst,
                nat_dst: host(net, field::NAT_DST_IP),
                src_port: port(field::SRC_PORT),
                dst_port: port(field::DST_PORT),
                proto: u8::try_from(number(field::PROTO)).unwrap_or(0),
                severity: record.uint(field::SEVERITY).and_then(|s| u8::try_from(s).ok()),
                action: net.word(record.text(field::ACTION).unwrap_or("")),
                rule: if told { net.word(first(&[field::SIGNATURE, field::RULE, field::MESSAGE])) } else { Word::NONE },
                name: net.word(&self::lower(name)),
                agent: net.word(first(agent)),
                reply: net.word(record.text(field::PORT_STATE).unwrap_or("")),
                source: record.source,
                id: net.id(record.id),
            });
        }
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}

/// A service as it is shown: `443/tcp`.
pub fn service(port: u16, protocol: u8) -> String {
    format!("{port}/{}", proto::show(protocol))
}
