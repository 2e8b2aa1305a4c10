//! Proxies and load balancers: the client's connection to the proxy and the proxy's to the origin belong together through the proxy's log, and a
//! forwarding header claims who the client was.
//!
//! Where the proxy stands is learned: it is the end that clients were connected to while their requests were logged. A row is of at most one
//! connection on either side, a connection of many rows (keep-alive, reuse). A header is a claim of whoever sent it, never evidence; that of the PROXY
//! protocol is one's own proxy's word where it was sent from inside.

use super::binding::{Binding, BindingKind, End, Method, is_private};
use crate::error::Result;
use crate::model::filter::{Members, Test};
use crate::model::time::SECOND;
use crate::model::{Cancel, Filter, Kind, RecordId, SourceId, Time, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Rows of proxies, headers, and connections on either side of proxies that are kept, each.
const MOST: usize = 500_000;
/// Ends that may be the proxy.
const ENDS: usize = 100_000;
/// How far a row may be outside of its connection: logs round, and are written late.
const SLACK: i64 = SECOND;
/// Headers of the PROXY protocol whose connections are looked up; of others the moment of the header counts.
const FLOWS: usize = 20_000;
/// Part of a proxy's requests that must be within a connection to an end for it to be the proxy.
const COVERED: f64 = 0.6;
/// Connections that are looked at for a request.
const LOOKED: usize = 256;
/// Bytes of a forwarding header that are read.
const HEADER: usize = 4_096;
/// What parts its elements.
const SPLIT: [char; 3] = [',', ';', ' '];
/// Confidence of a claim that anybody can make.
const CLAIM: f32 = 0.3;
/// Of the header of a PROXY protocol that a proxy inside sent.
const HEADED: f32 = 0.98;

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

/// Connections between the same two, by their start.
#[derive(Default)]
struct Line<'a> {
    legs: Vec<&'a Leg>,
    /// The latest end up to each.
    latest: Vec<Time>,
}

impl<'a> Line<'a> {
    fn order(&mut self) {
        self.legs.sort_by_key(|l| (l.start, l.id));
        let mut latest = Time::MIN;
        self.latest.extend(self.legs.iter().map(|l| {
            latest = latest.max(l.end);
            latest
        }));
    }
    /// Those that had begun at a time, the last first, as far as any of the earlier ones had not ended.
    fn back(&self, begun: Time, until: Time) -> impl Iterator<Item = &'a Leg> + '_ {
        let n = self.legs.partition_point(|l| l.start <= begun);
        let there = self.legs.iter().zip(&self.latest).take(n).rev();
        there.take_while(move |(_, latest)| **latest >= until).map(|(leg, _)| *leg).take(LOOKED)
    }
    /// The proxy's own connection for a request, and how many fit as well.
    fn own(&self, request: &Request) -> Option<(&'a Leg, usize)> {
        let (first, last) = (request.start.plus(-SLACK), request.end.plus(SLACK));
        let meets = |l: &&Leg| l.end >= first && request.port.is_none_or(|p| l.dst.port == Some(p));
        // One that begins with the request is its own: the nearest are looked at.
        let at = self.legs.partition_point(|l| l.start < request.start);
        let after = self.legs.iter().skip(at).take_while(|l| l.start <= last).take(LOOKED / 2);
        let before = self.legs.iter().take(at).rev().take_while(|l| l.start >= first).take(LOOKED / 2);
        let begin: Vec<&Leg> = after.chain(before).copied().filter(meets).collect();
        let nearest = begin.iter().min_by_key(|l| (l.start.since(request.start).saturating_abs(), l.id));
        // Else it used one that was there.
        nearest.map(|leg| (*leg, begin.len())).or_else(|| self.back(first, first).find(meets).map(|leg| (leg, 1)))
    }
}

/// The bindings of requests whose proxy is known, by its connections: those of clients to it, and those of its own.
pub fn join(requests: &[Request], proxies: &BTreeMap<SourceId, End>, legs: &[Leg], cancel: &Cancel) -> Result<Vec<Binding>> {
    let mut to: HashMap<(IpAddr, End), Line<'_>> = HashMap::new();
    let mut by_origin: HashMap<(IpAddr, IpAddr), Line<'_>> = HashMap::new();
    let mut by_name: HashMap<(IpAddr, &str), Line<'_>> = HashMap::new();
    for leg in legs {
        to.entry((leg.src.ip, leg.dst)).or_default().legs.push(leg);
        by_origin.entry((leg.src.ip, leg.dst.ip)).or_default().legs.push(leg);
        if let Some(name) = &leg.name {
            by_name.entry((leg.src.ip, name)).or_default().legs.push(leg);
        }
    }
    to.values_mut().chain(by_origin.values_mut()).chain(by_name.values_mut()).for_each(Line::order);
    let mut out = Vec::new();
    for (n, request) in requests.iter().enumerate() {
        if n % 4_096 == 0 {
            cancel.check()?;
        }
        let Some(proxy) = proxies.get(&request.source) else { continue };
        let line = match (request.origin, &request.name) {
            (Some(origin), _) => by_origin.get(&(proxy.ip, origin)),
            (None, Some(name)) => by_name.get(&(proxy.ip, name.as_str())),
            (None, None) => None,
        };
        let Some((chosen, alike)) = line.and_then(|line| line.own(request)) else { continue };
        // Of the client's connections the last that was there all the while.
        let until = request.end.plus(-SLACK);
        let client = to
            .get(&(request.client, *proxy))
            .and_then(|line| line.back(request.start.plus(SLACK), until).find(|leg| leg.end >= until));
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
    Ok(out)
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
    // Of a long one the end is read: that is what the nearest proxies wrote. The element that is cut there is none.
    let cut = header.ceil_char_boundary(header.len().saturating_sub(HEADER));
    let end = header.get(cut..).unwrap_or_default();
    let parts = if cut == 0 { Some(end) } else { end.split_once(SPLIT).map(|(_, whole)| whole) };
    parts.unwrap_or_default().split(SPLIT).rev().filter_map(one).find(|ip| *ip != sender.to_canonical())
}

/// Takes one more where there is room; else says that there are more, once, and ends the reading.
fn take<T>(list: &mut Vec<T>, most: usize, one: T, what: &str, notices: &mut Vec<String>) -> bool {
    let room = list.len() < most;
    if room {
        list.push(one);
    } else {
        notices.push(format!("{what} beyond the first {most} were not read"));
    }
    room
}

/// What proxies' logs and forwarding headers of a case say; what is left out, in words.
pub fn read(snapshot: &Snapshot, notices: &mut Vec<String>, cancel: &Cancel) -> Result<Vec<Binding>> {
    let mut out = claims(snapshot, notices, cancel)?;
    out.append(&mut headers(snapshot, notices, cancel)?);
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
        let Some(client) = addr(field::SRC_IP) else { return true };
        let origin = addr(field::DST_IP);
        let port = row.uint(field::DST_PORT).and_then(|p| u16::try_from(p).ok());
        let (start, end) = (row.time(), row.until());
        let request = Request { id: row.id(), source: row.source(), client, origin, port, name: name(), start, end };
        take(&mut requests, MOST, request, "requests of proxies", notices)
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
    for (side, what) in [(field::SRC_IP, "connections of proxies"), (field::DST_IP, "connections to proxies")] {
        let mut here = Vec::new();
        connections(snapshot, side, addrs.clone(), cancel, &mut |leg| take(&mut here, MOST, leg, what, notices))?;
        legs.append(&mut here);
    }
    out.extend(join(&requests, &proxies, &legs, cancel)?);
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
fn claims(snapshot: &Snapshot, notices: &mut Vec<String>, cancel: &Cancel) -> Result<Vec<Binding>> {
    let filter = Filter::Test(field::XFF, Test::Exists);
    let fields = [field::XFF, field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    let mut out = Vec::new();
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let addr = |f| row.values(f).next().and_then(|v| v.as_addr());
        let port = |f| row.uint(f).and_then(|p| u16::try_from(p).ok());
        let Some(sender) = addr(field::SRC_IP) else { return true };
        let header = row.values(field::XFF).find_map(|v: Value| v.as_text().map(str::to_owned)).unwrap_or_default();
        let Some(client) = claimed(&header, sender) else { return true };
        let claim = Binding {
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
        };
        take(&mut out, MOST, claim, "forwarding headers", notices)
    })?;
    cancel.check()?;
    Ok(out)
}

/// What headers of the PROXY protocol state. A sender with an address for use inside is taken to be one's own proxy; one from outside can be
/// anybody who reaches a server that believes him.
fn headers(snapshot: &Snapshot, notices: &mut Vec<String>, cancel: &Cancel) -> Result<Vec<Binding>> {
    let filter = Filter::Test(field::FORWARDED_SRC_IP, Test::Exists);
    let fields = [
        field::FORWARDED_SRC_IP,
        field::FORWARDED_SRC_PORT,
        field::FORWARDED_DST_IP,
        field::FORWARDED_DST_PORT,
        field::FLOW,
        field::SRC_IP,
        field::SRC_PORT,
        field::DST_IP,
        field::DST_PORT,
    ];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    let mut found = Vec::new();
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let end = |ip, port| {
            let port = row.uint(port).and_then(|p| u16::try_from(p).ok());
            row.values(ip).next().and_then(|v| v.as_addr()).map(|ip| End::new(ip, port))
        };
        let (Some(client), Some(sender)) =
            (end(field::FORWARDED_SRC_IP, field::FORWARDED_SRC_PORT), end(field::SRC_IP, field::SRC_PORT))
        else {
            return true;
        };
        let flow = row.values(field::FLOW).next().and_then(|v| v.as_text().and_then(|t| t.parse::<RecordId>().ok()));
        let called = end(field::FORWARDED_DST_IP, field::FORWARDED_DST_PORT);
        let (method, confidence) = if is_private(sender.ip) { (Method::Proxy, HEADED) } else { (Method::Claim, CLAIM) };
        let binding = Binding {
            kind: BindingKind::Proxy,
            proto: Some(proto::TCP),
            inside: client,
            outside: sender,
            peer: end(field::DST_IP, field::DST_PORT),
            peer_inside: called,
            start: row.time(),
            end: row.until(),
            uncertainty: SLACK,
            method,
            confidence,
            margin: None,
            assumed: false,
            conflict: false,
            evidence: vec![row.id()],
        };
        take(&mut found, MOST, (binding, flow), "headers of the PROXY protocol", notices)
    })?;
    cancel.check()?;
    // A header is the first of its connection: what it states holds as long as that does.
    let mut out = Vec::with_capacity(found.len());
    for (n, (mut binding, flow)) in found.into_iter().enumerate() {
        if n % 256 == 0 {
            cancel.check()?;
        }
        if let Some(flow) = flow.filter(|_| n < FLOWS) {
            binding.end = snapshot.record(flow)?.map_or(binding.end, |flow| flow.until().max(binding.end));
        }
        out.push(binding);
    }
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
        let join = |requests: &[Request], legs: &[Leg]| super::join(requests, &proxies, legs, &Cancel::default()).unwrap();
        let got = join(&requests, &legs);
        let shown: Vec<String> = got.iter().map(ToString::to_string).collect();
        assert_eq!(shown[2], "tcp 10.0.0.2:4000 is 10.8.30.5:5002 outside, with 192.0.2.1:443");
        assert_eq!((got.len(), got[2].peer_inside, got[2].confidence), (5, Some(end("10.8.30.5:3128")), 0.9));
        let by_name: Vec<Request> = requests.iter().cloned().map(|r| Request { origin: None, ..r }).collect();
        assert!(join(&by_name, &legs).is_empty(), "no connection carries the name");
        legs.iter_mut().filter(|l| l.dst.ip.to_string() == "192.0.2.1").for_each(|l| l.name = Some("a.example".into()));
        assert_eq!(join(&by_name, &legs)[0].confidence, 0.6);
    }

    #[test]
    fn a_proxy_that_keeps_a_connection_for_a_day_is_not_looked_through_for_each_request() {
        let proxies = BTreeMap::from([(SourceId(1), end("10.8.30.5:3128"))]);
        let mut legs =
            vec![leg(0, "10.8.30.5:4999", "192.0.2.1:443", (0, 90_000)), leg(1, "10.0.0.1:4000", "10.8.30.5:3128", (0, 90_000))];
        let many = 40_000;
        for n in 0..many {
            legs.push(leg(2 * n + 2, "10.8.30.5:5000", "192.0.2.1:443", (n as i64 * 2, n as i64 * 2 + 1)));
            legs.push(leg(2 * n + 3, "10.0.0.1:4001", "10.8.30.5:3128", (n as i64 * 2, n as i64 * 2 + 1)));
        }
        let mut requests: Vec<Request> =
            (0..many).map(|n| request(n, "10.0.0.1", "192.0.2.1", (n as i64 * 2, n as i64 * 2 + 1))).collect();
        requests.push(request(many, "10.0.0.1", "192.0.2.1", (100, 86_000)));
        // Were a day of connections looked through for each of them, this would take minutes.
        let got = join(&requests, &proxies, &legs, &Cancel::default()).unwrap();
        assert_eq!(got.len(), requests.len());
        assert!(got.iter().take(9).all(|b| b.outside.port == Some(5000) || b.start == Time(0)), "{:?}", got.first());
        assert_eq!(got.last().map(|b| b.inside.port), Some(Some(4000)), "only one client's connection lasted");
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(join(&requests, &proxies, &legs, &cancel).is_err());
    }

    #[test]
    fn what_is_beyond_a_bound_is_said_once_and_ends_the_reading() {
        let (mut list, mut notices) = (Vec::new(), Vec::new());
        let taken = (0..9).take_while(|n| take(&mut list, 3, *n, "lines", &mut notices)).count();
        assert_eq!((taken, list, notices), (3, vec![0, 1, 2], vec!["lines beyond the first 3 were not read".to_owned()]));
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
        // Of a header that is too long the end counts, which the nearest proxy wrote, and no part of an address is one.
        let long = format!("{}, 192.0.2.5", "é203.0.113.7, ".repeat(600));
        assert_eq!(of(&long).as_deref(), Some("192.0.2.5"));
        let cut = format!("1{}", "0".repeat(HEADER - 13)) + ", 203.0.113.45";
        assert_eq!((cut.len(), of(&format!("19{cut}"))), (HEADER + 2, Some("203.0.113.45".into())));
        assert_eq!(of(&format!("198.51.100.7{}", " ".repeat(HEADER - 2))), None);
        assert_eq!((of("unknown"), of("-"), of("10.0.0.1"), of("")), (None, None, None, None));
    }
}
