//! Proxies and load balancers: the client's connection to the proxy and the proxy's to the origin belong together through the proxy's log, and a
//! forwarding header claims who the client was.
//!
//! Where the proxy stands is learned: it is the end that clients were connected to while their requests were logged. A row is of at most one
//! connection on either side, a connection of many rows (keep-alive, reuse). A header is a claim of whoever sent it, never evidence.

use super::binding::{Binding, BindingKind, End, Method};
use crate::error::Result;
use crate::model::filter::{Members, Test};
use crate::model::time::SECOND;
use crate::model::{Cancel, Filter, Kind, RecordId, SourceId, Time, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Rows of proxies, and connections of theirs, that are kept.
const MOST: usize = 500_000;
/// Ends that may be the proxy.
const ENDS: usize = 100_000;
/// How far a row may be outside of its connection: logs round, and are written late.
const SLACK: i64 = SECOND;
/// Part of a proxy's requests that must be within a connection to an end for it to be the proxy.
const COVERED: f64 = 0.6;
/// Confidence of a claim that anybody can make.
const CLAIM: f32 = 0.3;

/// A request as a proxy logged it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its record.
    pub id: RecordId,
    /// Who logged it.
    pub source: SourceId,
    /// Who asked.
    pub client: IpAddr,
    /// Where the proxy went, if it says so.
    pub origin: Option<IpAddr>,
    /// Port there.
    pub port: Option<u16>,
    /// Name there, lower case.
    pub name: Option<String>,
    /// From when.
    pub start: Time,
    /// Until when.
    pub end: Time,
}

/// A connection from or to a proxy.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Its record.
    pub id: RecordId,
    /// Originator.
    pub src: End,
    /// Responder.
    pub dst: End,
    /// Name that it carries, lower case.
    pub name: Option<String>,
    /// First instant.
    pub start: Time,
    /// Last instant.
    pub end: Time,
}

/// Requests by client, in order of their end.
fn by_client(requests: &[Request]) -> HashMap<IpAddr, Vec<u32>> {
    let mut out: HashMap<IpAddr, Vec<u32>> = HashMap::new();
    for (n, request) in requests.iter().enumerate() {
        out.entry(request.client).or_default().push(n as u32);
    }
    out.values_mut().for_each(|list| list.sort_by_key(|n| requests[*n as usize].end));
    out
}

/// Finds where proxies stand: connections of clients are added one by one.
pub struct Search<'a> {
    requests: &'a [Request],
    by_client: HashMap<IpAddr, Vec<u32>>,
    votes: HashMap<(SourceId, End), u64>,
}

impl<'a> Search<'a> {
    /// Of requests.
    pub fn new(requests: &'a [Request]) -> Search<'a> {
        Search { requests, by_client: by_client(requests), votes: HashMap::new() }
    }
    /// A connection of a client: each of its requests meanwhile is a vote for its end.
    pub fn add(&mut self, client: IpAddr, end: End, (start, until): (Time, Time)) {
        let Some(list) = self.by_client.get(&client) else { return };
        let at = |n: &u32| &self.requests[*n as usize];
        let first = list.partition_point(|n| at(n).end < start.plus(-SLACK));
        for request in list[first..].iter().map(at).take_while(|r| r.end <= until.plus(SLACK)) {
            if request.start >= start.plus(-SLACK) && (self.votes.len() < ENDS || self.votes.contains_key(&(request.source, end)))
            {
                *self.votes.entry((request.source, end)).or_default() += 1;
            }
        }
    }
    /// The end of each source's proxy.
    pub fn proxies(&self) -> BTreeMap<SourceId, End> {
        let mut all: BTreeMap<SourceId, u64> = BTreeMap::new();
        self.requests.iter().for_each(|r| *all.entry(r.source).or_default() += 1);
        let mut best: BTreeMap<SourceId, (u64, End)> = BTreeMap::new();
        for ((source, end), n) in &self.votes {
            let one = best.entry(*source).or_insert((*n, *end));
            // Deterministic where two have as many.
            *one = (*one).max((*n, *end));
        }
        let covers = |(source, (n, end)): (SourceId, (u64, End))| {
            let all = all.get(&source).copied().unwrap_or(0);
            (n >= 3 && n as f64 >= all as f64 * COVERED).then_some((source, end))
        };
        best.into_iter().filter_map(covers).collect()
    }
}

/// The bindings of requests whose proxy is known, by its connections: those of clients to it, and those of its own.
pub fn join(requests: &[Request], proxies: &BTreeMap<SourceId, End>, legs: &[Leg]) -> Vec<Binding> {
    let mut to: HashMap<(IpAddr, End), Vec<&Leg>> = HashMap::new();
    let mut from: HashMap<IpAddr, Vec<&Leg>> = HashMap::new();
    for leg in legs {
        to.entry((leg.src.ip, leg.dst)).or_default().push(leg);
        from.entry(leg.src.ip).or_default().push(leg);
    }
    to.values_mut().chain(from.values_mut()).for_each(|list| list.sort_by_key(|l| (l.start, l.id)));
    // Of the address of a proxy how long its longest connection takes: no farther back need be looked.
    let longest: HashMap<IpAddr, i64> =
        from.iter().map(|(ip, list)| (*ip, list.iter().map(|l| l.end.since(l.start)).max().unwrap_or(0))).collect();
    let mut out = Vec::new();
    for request in requests {
        let Some(proxy) = proxies.get(&request.source) else { continue };
        let within = |leg: &&&Leg| leg.start <= request.start.plus(SLACK) && leg.end.plus(SLACK) >= request.end;
        let client = to.get(&(request.client, *proxy)).and_then(|list| list.iter().rev().find(within));
        let Some(list) = from.get(&proxy.ip) else { continue };
        let back = longest.get(&proxy.ip).copied().unwrap_or(0);
        let first = list.partition_point(|l| l.start < request.start.plus(-SLACK).plus(-back));
        let last = list.partition_point(|l| l.start <= request.end.plus(SLACK));
        let meets = |leg: &&&Leg| leg.end.plus(SLACK) >= request.start && request.port.is_none_or(|p| leg.dst.port == Some(p));
        let named = |leg: &Leg| request.name.is_some() && leg.name == request.name;
        let fitting: Vec<&Leg> = list[first..last]
            .iter()
            .filter(meets)
            .filter(|leg| request.origin.map_or_else(|| named(leg), |o| leg.dst.ip == o))
            .copied()
            .collect();
        // One that begins with the request is its own; else it used one that was there.
        let begins = |leg: &&&Leg| leg.start >= request.start.plus(-SLACK);
        let chosen = fitting.iter().filter(begins).min_by_key(|l| (l.start.since(request.start).abs(), l.id)).or(fitting.last());
        let Some(chosen) = chosen else { continue };
        let alike = fitting.iter().filter(begins).count().max(1);
        let sure: f32 = if request.origin.is_some() { 0.9 } else { 0.6 };
        out.push(Binding {
            kind: BindingKind::Proxy,
            proto: Some(proto::TCP),
            inside: End { ip: request.client, port: client.and_then(|c| c.src.port) },
            outside: chosen.src,
            peer: Some(chosen.dst),
            peer_inside: Some(*proxy),
            start: request.start,
            end: request.end,
            uncertainty: SLACK,
            method: Method::Proxy,
            confidence: sure / (alike as f32).sqrt(),
            margin: None,
            assumed: false,
            conflict: false,
            evidence: vec![request.id, chosen.id],
        });
    }
    out
}

/// Who a forwarding header says the client was: the right-most address that is not the sender's own. What stands to its left was there before.
pub fn claimed(header: &str, sender: IpAddr) -> Option<IpAddr> {
    let one = |part: &str| -> Option<IpAddr> {
        let part = part.trim().trim_matches('"');
        let part = part.strip_prefix("for=").or_else(|| part.strip_prefix("For=")).unwrap_or(part).trim_matches('"');
        let bare = part.strip_prefix('[').and_then(|p| p.split(']').next()).unwrap_or(part);
        bare.parse()
            .ok()
            .or_else(|| bare.rsplit_once(':').and_then(|(ip, _)| ip.parse().ok()))
            .map(|ip: IpAddr| ip.to_canonical())
    };
    let parts = header.get(..header.len().min(4096)).unwrap_or_default();
    parts.split([',', ';', ' ']).rev().filter_map(one).find(|ip| *ip != sender.to_canonical())
}

/// What proxies' logs and forwarding headers of a case say.
pub fn read(snapshot: &Snapshot, cancel: &Cancel) -> Result<Vec<Binding>> {
    let mut out = claims(snapshot, cancel)?;
    let stop = || cancel.is_cancelled();
    let filter = Filter::is(field::KIND, Kind::Proxy.name());
    let fields = [field::SRC_IP, field::DST_IP, field::DST_PORT, field::NAME, field::HTTP_HOST];
    let mut requests = Vec::new();
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    snapshot.visit(&ask, &stop, &mut |row| {
        let addr = |f| row.values(f).next().and_then(|v| v.as_addr()).map(|a| a.to_canonical());
        let name = || {
            [field::HTTP_HOST, field::NAME].iter().find_map(|f| row.values(*f).find_map(|v| v.as_text().map(str::to_lowercase)))
        };
        if let Some(client) = addr(field::SRC_IP) {
            let origin = addr(field::DST_IP);
            let port = row.uint(field::DST_PORT).and_then(|p| u16::try_from(p).ok());
            let (start, end) = (row.time(), row.until());
            requests.push(Request { id: row.id(), source: row.source(), client, origin, port, name: name(), start, end });
        }
        requests.len() < MOST
    })?;
    cancel.check()?;
    if requests.is_empty() {
        return Ok(out);
    }
    let clients: HashSet<IpAddr> = requests.iter().map(|r| r.client).collect();
    let mut search = Search::new(&requests);
    connections(snapshot, field::SRC_IP, clients, cancel, &mut |leg| {
        search.add(leg.src.ip, leg.dst, (leg.start, leg.end));
        true
    })?;
    let proxies = search.proxies();
    if proxies.is_empty() {
        return Ok(out);
    }
    let mut legs = Vec::new();
    let addrs: HashSet<IpAddr> = proxies.values().map(|p| p.ip).collect();
    for side in [field::SRC_IP, field::DST_IP] {
        connections(snapshot, side, addrs.clone(), cancel, &mut |leg| {
            legs.push(leg);
            legs.len() < MOST
        })?;
    }
    out.extend(join(&requests, &proxies, &legs));
    Ok(out)
}

/// The TCP flows that have one of some addresses on a side.
fn connections(
    snapshot: &Snapshot,
    side: crate::model::FieldId,
    addrs: HashSet<IpAddr>,
    cancel: &Cancel,
    each: &mut dyn FnMut(Leg) -> bool,
) -> Result<()> {
    let set = Test::Set(Arc::new(Members { addrs, ..Members::default() }));
    let filter = Filter::And(vec![
        Filter::is(field::KIND, Kind::Flow.name()),
        Filter::is(field::PROTO, u64::from(proto::TCP)),
        Filter::Test(side, set),
    ]);
    let fields = [field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT, field::SNI, field::HTTP_HOST];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let addr = |f| row.values(f).next().and_then(|v| v.as_addr());
        let port = |f| row.uint(f).and_then(|p| u16::try_from(p).ok());
        let name =
            [field::SNI, field::HTTP_HOST].iter().find_map(|f| row.values(*f).find_map(|v| v.as_text().map(str::to_lowercase)));
        let (Some(src), Some(dst)) = (addr(field::SRC_IP), addr(field::DST_IP)) else { return true };
        each(Leg {
            id: row.id(),
            src: End::new(src, port(field::SRC_PORT)),
            dst: End::new(dst, port(field::DST_PORT)),
            name,
            start: row.time(),
            end: row.until(),
        })
    })?;
    cancel.check()
}

/// What forwarding headers claim.
fn claims(snapshot: &Snapshot, cancel: &Cancel) -> Result<Vec<Binding>> {
    let filter = Filter::Test(field::XFF, Test::Exists);
    let fields = [field::XFF, field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    let mut out = Vec::new();
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let addr = |f| row.values(f).next().and_then(|v| v.as_addr());
        let port = |f| row.uint(f).and_then(|p| u16::try_from(p).ok());
        let Some(sender) = addr(field::SRC_IP) else { return true };
        let header = row.values(field::XFF).find_map(|v: Value| v.as_text().map(str::to_owned)).unwrap_or_default();
        if let Some(client) = claimed(&header, sender) {
            out.push(Binding {
                kind: BindingKind::Forwarded,
                proto: Some(proto::TCP),
                inside: End::new(client, None),
                outside: End::new(sender, port(field::SRC_PORT)),
                peer: addr(field::DST_IP).map(|ip| End::new(ip, port(field::DST_PORT))),
                peer_inside: None,
                start: row.time(),
                end: row.until(),
                uncertainty: SLACK,
                method: Method::Claim,
                confidence: CLAIM,
                margin: None,
                assumed: false,
                conflict: false,
                evidence: vec![row.id()],
            });
        }
        out.len() < MOST
    })?;
    cancel.check()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EvidenceKey;

    fn end(text: &str) -> End {
        let (ip, port) = text.rsplit_once(':').unwrap();
        End::new(ip.parse().unwrap(), port.parse::<u16>().unwrap())
    }
    fn id(n: u64) -> RecordId {
        RecordId { evidence: EvidenceKey(1), offset: n, ordinal: 0 }
    }
    fn leg(n: u64, src: &str, dst: &str, (start, until): (i64, i64)) -> Leg {
        Leg { id: id(n), src: end(src), dst: end(dst), name: None, start: Time(start * SECOND), end: Time(until * SECOND) }
    }
    fn request(n: u64, client: &str, origin: &str, (start, until): (i64, i64)) -> Request {
        Request {
            id: id(100 + n),
            source: SourceId(1),
            client: client.parse().unwrap(),
            origin: origin.parse().ok(),
            port: Some(443),
            name: Some("a.example".into()),
            start: Time(start * SECOND),
            end: Time(until * SECOND),
        }
    }

    #[test]
    fn requests_join_the_client_s_connection_with_the_proxy_s() {
        let requests: Vec<Request> =
            (0..5).map(|n| request(n, &format!("10.0.0.{n}"), "192.0.2.1", (n as i64 * 100, n as i64 * 100 + 5))).collect();
        let mut legs = Vec::new();
        for n in 0..5i64 {
            legs.push(leg(n as u64, &format!("10.0.0.{n}:4000"), "10.8.30.5:3128", (n * 100, n * 100 + 6)));
            legs.push(leg(50 + n as u64, &format!("10.8.30.5:{}", 5000 + n), "192.0.2.1:443", (n * 100, n * 100 + 5)));
            // The proxy's connections elsewhere and at other times are not the request's.
            legs.push(leg(70 + n as u64, &format!("10.8.30.5:{}", 6000 + n), "192.0.2.9:443", (n * 100, n * 100 + 5)));
        }
        let mut search = Search::new(&requests);
        for leg in legs.iter().filter(|l| l.dst.port == Some(3128)) {
            search.add(leg.src.ip, leg.dst, (leg.start, leg.end));
        }
        // Some other server that one of them visits.
        search.add("10.0.0.1".parse().unwrap(), end("192.0.2.80:80"), (Time(90 * SECOND), Time(200 * SECOND)));
        let proxies = search.proxies();
        assert_eq!(proxies.get(&SourceId(1)), Some(&end("10.8.30.5:3128")));
        let got = join(&requests, &proxies, &legs);
        let shown: Vec<String> = got.iter().map(ToString::to_string).collect();
        assert_eq!(shown[2], "tcp 10.0.0.2:4000 is 10.8.30.5:5002 outside, with 192.0.2.1:443");
        assert_eq!((got.len(), got[2].peer_inside, got[2].confidence), (5, Some(end("10.8.30.5:3128")), 0.9));
        let by_name: Vec<Request> = requests.iter().cloned().map(|r| Request { origin: None, ..r }).collect();
        assert!(join(&by_name, &proxies, &legs).is_empty(), "no connection carries the name");
        legs.iter_mut().filter(|l| l.dst.ip.to_string() == "192.0.2.1").for_each(|l| l.name = Some("a.example".into()));
        assert_eq!(join(&by_name, &proxies, &legs)[0].confidence, 0.6);
    }

    #[test]
    fn without_connections_that_fit_no_proxy_is_made_up() {
        let requests: Vec<Request> = (0..9).map(|n| request(n, "10.0.0.1", "", (n as i64 * 100, n as i64 * 100 + 1))).collect();
        let mut search = Search::new(&requests);
        search.add("10.0.0.1".parse().unwrap(), end("192.0.2.80:80"), (Time(0), Time(10 * SECOND)));
        search.add("10.0.0.7".parse().unwrap(), end("192.0.2.80:80"), (Time(0), Time(1000 * SECOND)));
        assert!(search.proxies().is_empty());
    }

    #[test]
    fn a_header_s_last_foreign_address_is_the_claimed_client() {
        let sender: IpAddr = "10.0.0.1".parse().unwrap();
        let of = |header: &str| claimed(header, sender).map(|ip| ip.to_string());
        assert_eq!(of("203.0.113.7, 192.0.2.5, 10.0.0.1").as_deref(), Some("192.0.2.5"));
        assert_eq!(of("for=192.0.2.60;proto=http;by=10.0.0.1").as_deref(), Some("192.0.2.60"));
        assert_eq!(of(r#"for="[2001:db8::17]:4711""#).as_deref(), Some("2001:db8::17"));
        assert_eq!(of("203.0.113.7:4711").as_deref(), Some("203.0.113.7"));
        assert_eq!((of("unknown"), of("-"), of("10.0.0.1"), of("")), (None, None, None, None));
    }
}
