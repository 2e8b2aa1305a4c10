//! What is known of a row beyond itself: how well it is joined with the other records of its connection, the name that its client used,
//! and whether anything in the case can confirm an alert about content. Asked in the background, for the rows in sight only.

use super::jobs::Work;
use crate::error::Result;
use crate::model::{Kind, Record, RecordId, field};
use crate::query::Engine;
use crate::query::engine::{Cancel, Link, Match, NameUsed};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The name under which these questions run: `Esc` does not give them up, and nobody waits for them.
pub const NAME: &str = "joins";
/// What is known is given at least so often.
const OFTEN: Duration = Duration::from_millis(150);

/// What is known of one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Joined {
    /// The weakest of its joins; none: no other record of its connection was found.
    pub quality: Option<Match>,
    /// Records of its connection besides itself.
    pub others: usize,
    /// The name that the client of a flow used, where the flow itself carries none.
    pub name: Option<NameUsed>,
    /// What one of its ends is on the other side of a translation.
    pub translated: Option<OtherSide>,
    /// Why nothing here can confirm an alert, and what would.
    pub caveat: Option<String>,
}

/// An end of a connection on the other side of a translation.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherSide {
    /// Its address and port there.
    pub end: SocketAddr,
    /// How the translation is known, see [`Via`](crate::query::engine::Via).
    pub method: String,
    /// 0 to 1.
    pub confidence: f32,
}

impl Joined {
    /// In words, for the detail.
    pub fn words(&self) -> String {
        let n = self.others;
        let records = if n == 1 { "1 record of its connection".to_owned() } else { format!("{n} records of its connection") };
        match self.quality {
            None => "no other record of its connection is in the case".into(),
            Some(Match::Exact) => format!("= exactly with {records}"),
            Some(Match::ByHand) => format!("by hand: a person said so, with {records}"),
            Some(Match::Ambiguous(of)) => format!("×{of}: so many flows fit alike; {records}"),
            Some(quality @ Match::Within(_)) => {
                format!("{quality}: with {records}, by a clock that was measured to within that")
            }
            Some(Match::ClockUnchecked) => format!("clock unchecked: {records} by protocol and ends, the time is not proven"),
            Some(Match::Translated) => format!("⇄ through a translation of addresses that a log states, with {records}"),
            Some(Match::Tentative(sure)) => {
                format!("?{sure:.2} by a clock that too few connections show, with {records}")
            }
            Some(Match::Inferred(sure)) => {
                format!("?{sure:.2} through a translation of addresses that was inferred, with {records}")
            }
        }
    }
}

/// What is known of some rows.
pub struct Found(pub Vec<(RecordId, Joined)>);

/// Asks for rows one after another.
pub fn look(work: &Work, records: &[Record]) -> Result<()> {
    let mut found = Vec::new();
    let mut last = Instant::now();
    for (n, record) in records.iter().enumerate() {
        work.cancel.check()?;
        found.push((record.id, of(&*work.engine, record, &work.cancel)?));
        // The first is the one under the cursor: the detail waits for it.
        if n == 0 || last.elapsed() >= OFTEN {
            work.give(Found(std::mem::take(&mut found)));
            last = Instant::now();
        }
    }
    if !found.is_empty() {
        work.give(Found(found));
    }
    Ok(())
}

fn of(engine: &dyn Engine, record: &Record, cancel: &Cancel) -> Result<Joined> {
    // Lists, inventories and scans tell of no connection.
    if matches!(record.kind, Kind::Inventory | Kind::Vuln) {
        return Ok(Joined::default());
    }
    let links = engine.links(record, cancel)?;
    let nameless =
        record.kind == Kind::Flow && [field::SNI, field::HTTP_HOST, field::NAME].iter().all(|f| record.get(*f).is_none());
    let name = if nameless { engine.name_used(record)? } else { None };
    let caveat =
        if about_content(record) && !confirmed(engine, record, &links)? { Some(unconfirmed(engine, record)) } else { None };
    let translated = other_side(record, &links);
    Ok(Joined { quality: weakest(record, &links), others: links.len(), name, translated, caveat })
}

fn ends(record: &Record) -> impl Iterator<Item = SocketAddr> {
    let end = |ip, port| Some(SocketAddr::new(record.addr(ip)?, u16::try_from(record.uint(port)?).ok()?));
    [end(field::SRC_IP, field::SRC_PORT), end(field::DST_IP, field::DST_PORT)].into_iter().flatten()
}

/// The end that the record itself does not have: of what is surest.
fn other_side(record: &Record, links: &[Link]) -> Option<OtherSide> {
    let own: Vec<SocketAddr> = ends(record).collect();
    let sides = links.iter().filter_map(|l| {
        let via = l.via.as_ref()?;
        let end = ends(&l.record).find(|e| own.iter().all(|o| o.ip() != e.ip()))?;
        Some(OtherSide { end, method: via.method.to_string(), confidence: via.confidence })
    });
    sides.max_by(|a, b| a.confidence.total_cmp(&b.confidence).then(b.end.cmp(&a.end)))
}

/// Of an event the join with its flow counts, if there is one; of a flow the weakest of all.
fn weakest(record: &Record, links: &[Link]) -> Option<Match> {
    let rank = |m: &Match| match m {
        Match::Exact | Match::ByHand => 0,
        Match::Ambiguous(n) => 1 + u64::from(*n),
        Match::ClockUnchecked => u64::MAX,
        Match::Within(_) | Match::Translated | Match::Inferred(_) | Match::Tentative(_) => 1,
    };
    // The other side of a translation says how well the two sides fit, not how well what is here does.
    let here: Vec<&Link> = links.iter().filter(|l| l.via.is_none()).collect();
    let links = if here.is_empty() { links.iter().collect() } else { here };
    let flows = || links.iter().filter(|l| l.record.kind == Kind::Flow).map(|l| l.quality);
    let all = links.iter().map(|l| l.quality);
    if record.kind != Kind::Flow && flows().next().is_some() {
        return flows().min_by_key(rank);
    }
    all.max_by_key(rank)
}

/// Whether an alert says something about what was transmitted: then a flow alone neither confirms nor refutes it. Rules about addresses
/// (block lists), scans and the state of streams are about what a flow shows.
fn about_content(record: &Record) -> bool {
    if record.kind != Kind::Alert || record.get(field::DST_PORT).is_none() {
        return false;
    }
    let said = |id| record.text(id).unwrap_or_default().to_ascii_lowercase();
    let (signature, category) = (said(field::SIGNATURE), said(field::CATEGORY));
    let of_flows =
        ["scan", "stream", "poor reputation", "block listed", "blocklist", "cins ", "dshield", "known compromised", "tor known"];
    !signature.is_empty()
        && !of_flows.iter().any(|w| signature.contains(w))
        && !["network scan", "protocol command decode", "blacklist"].iter().any(|w| category.contains(w))
}

/// Whether packets of the connection, or another source's record of what was said in it, are in the case.
fn confirmed(engine: &dyn Engine, record: &Record, links: &[Link]) -> Result<bool> {
    let telling = [Kind::Http, Kind::Tls, Kind::Dns, Kind::File, Kind::Proxy, Kind::Auth, Kind::Log];
    if links.iter().any(|l| telling.contains(&l.record.kind) && l.record.source != record.source) {
        return Ok(true);
    }
    for link in links.iter().filter(|l| l.record.kind == Kind::Flow).take(8) {
        if !engine.packets(link.record.id)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The sentence that says so, with the source that one would have to obtain.
fn unconfirmed(engine: &dyn Engine, record: &Record) -> String {
    let end = |id| record.addr(id).map_or_else(|| "?".to_owned(), |a| a.to_string());
    let log = match record.uint(field::DST_PORT) {
        Some(53) => "the resolver's log",
        Some(25 | 465 | 587) => "the mail server's log",
        Some(22) => "the SSH server's log",
        Some(445 | 139) => "the file server's log",
        Some(80 | 443 | 3128 | 8000 | 8080 | 8443) => "the proxy's or web server's log",
        _ => "the server's own log",
    };
    let source = engine.source_name(record.source);
    format!(
        "a flow cannot confirm this alert: it is about content. Obtain packets of {} and {} at {} (a capture where {source} stands), or {log}",
        end(field::SRC_IP),
        end(field::DST_IP),
        record.time().utc().format("%Y-%m-%dT%H:%M:%SZ"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourceId, Time, Value};

    fn record(kind: Kind, signature: &str) -> Record {
        let mut record = Record::new(kind, RecordId::default(), SourceId(1), Time(0));
        record.set(field::SIGNATURE, Value::text(signature));
        record.set(field::DST_PORT, Value::Uint(80));
        record
    }
    fn link(kind: Kind, quality: Match) -> Link {
        Link::new(record(kind, ""), "tuple", quality)
    }

    #[test]
    fn an_event_is_as_well_joined_as_its_best_flow_and_a_flow_as_its_worst_event() {
        let links =
            [link(Kind::Flow, Match::ClockUnchecked), link(Kind::Flow, Match::Ambiguous(2)), link(Kind::Http, Match::Exact)];
        assert_eq!(weakest(&record(Kind::Alert, ""), &links), Some(Match::Ambiguous(2)));
        assert_eq!(weakest(&record(Kind::Flow, ""), &links), Some(Match::ClockUnchecked));
        assert_eq!(weakest(&record(Kind::Alert, ""), &links[2..]), Some(Match::Exact));
        assert_eq!(weakest(&record(Kind::Flow, ""), &[]), None);
    }

    #[test]
    fn alerts_about_addresses_scans_and_streams_are_not_about_content() {
        assert!(about_content(&record(Kind::Alert, "ET MALWARE Beacon checkin")));
        for signature in ["ET SCAN Nmap", "SURICATA STREAM invalid ack", "ET DROP Dshield Block Listed Source", ""] {
            assert!(!about_content(&record(Kind::Alert, signature)), "{signature}");
        }
        assert!(!about_content(&record(Kind::Flow, "ET MALWARE Beacon checkin")));
    }
}
