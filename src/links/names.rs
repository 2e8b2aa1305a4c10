//! Which name did a client use for a flow? By what the flow itself carries, else by the DNS answers that its client, then others, got before
//! (Bermudez et al., "DNS to the Rescue", IMC 2012, describe the idea). Nothing is looked up on the network.
//!
//! Reads DNS events of every source, in corrected time. Registrable domains are guessed by a short rule, without the Public Suffix List.

use crate::error::Result;
use crate::model::answer::NameUsed;
use crate::model::filter::{Members, Test};
use crate::model::time::SECOND;
use crate::model::{Cancel, Filter, Kind, Record, RecordId, Time, Value, Window, field};
use crate::store::{Ask, Snapshot};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Most answers that are kept; further ones are counted in [`Names::dropped`].
pub const MAX_ANSWERS: usize = 2_000_000;
/// An answer may be stamped so much later than the flow that used it.
const EARLY: i64 = 50_000_000;
/// Shortest time that an answer is taken to be used for.
const LEAST: i64 = 60 * SECOND;
/// Programs keep answers longer than they may.
const GRACE: i64 = 300 * SECOND;
/// An older answer of the same client is still a hint for so long.
const STALE: i64 = 86_400 * SECOND;
/// Names of a set that are looked for among the answers; of a larger set only the names that records carry themselves are.
const MAX_SET: usize = 64;
/// Answers looked at for one flow.
const MOST: usize = 4_096;

/// One answer: this client got this address for this name.
#[derive(Debug, Clone, Copy)]
struct Answer {
    server: IpAddr,
    client: IpAddr,
    at: i64,
    /// Nanoseconds.
    ttl: i64,
    name: u32,
    evidence: RecordId,
    pointer: bool,
}

/// What DNS answers of a case say about addresses.
#[derive(Debug, Default)]
pub struct Names {
    answers: Vec<Answer>,
    texts: Vec<String>,
    /// Answers that were beyond the bound.
    pub dropped: u64,
}

/// When a client may have used a name for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Who asked.
    pub client: IpAddr,
    /// What was answered.
    pub server: IpAddr,
    /// While the answer was alive.
    pub window: Window,
}

impl Names {
    /// Reads every DNS event.
    pub fn read(snapshot: &Snapshot, cancel: &Cancel) -> Result<Names> {
        let filter = Filter::is(field::KIND, Kind::Dns.name());
        let fields = [field::SRC_IP, field::NAME, field::ANSWER_IP, field::ANSWER_NAME, field::DNS_TTL];
        let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
        let mut names = Names::default();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
            names.take(&row.record(), &mut numbers);
            true
        })?;
        cancel.check()?;
        names.answers.sort_unstable_by_key(|a| (a.server, a.at, a.evidence));
        Ok(names)
    }

    fn take(&mut self, event: &Record, numbers: &mut HashMap<String, u32>) {
        let (Some(client), Some(asked)) = (event.addr(field::SRC_IP), event.text(field::NAME)) else { return };
        let ttl = i64::try_from(event.uint(field::DNS_TTL).unwrap_or(0)).unwrap_or(i64::MAX).saturating_mul(SECOND);
        let at = event.until().0;
        let evidence = event.id;
        let (client, asked) = (client.to_canonical(), asked.trim_end_matches('.').to_lowercase());
        let mut number = |texts: &mut Vec<String>, name: String| {
            *numbers.entry(name).or_insert_with_key(|name| {
                texts.push(name.clone());
                (texts.len() - 1) as u32
            })
        };
        let mut found = Vec::new();
        if let Some(server) = pointed(&asked) {
            if let Some(name) = event.text(field::ANSWER_NAME) {
                let name = number(&mut self.texts, name.trim_end_matches('.').to_lowercase());
                found.push(Answer { server, client, at, ttl, name, evidence, pointer: true });
            }
        } else if event.get(field::ANSWER_IP).is_some() {
            let name = number(&mut self.texts, asked);
            for server in event.all(field::ANSWER_IP).filter_map(Value::as_addr).take(64) {
                found.push(Answer { server: server.to_canonical(), client, at, ttl, name, evidence, pointer: false });
            }
        }
        for answer in found {
            if self.answers.len() < MAX_ANSWERS { self.answers.push(answer) } else { self.dropped += 1 }
        }
    }

    fn text(&self, answer: &Answer) -> &str {
        self.texts.get(answer.name as usize).map_or("", String::as_str)
    }

    /// The name that the client used for a flow.
    pub fn name_used(&self, flow: &Record) -> Option<NameUsed> {
        if let Some(name) =
            [field::SNI, field::HTTP_HOST, field::NAME].iter().find_map(|f| flow.text(*f)).filter(|n| !n.is_empty())
        {
            let name = name.trim_end_matches('.').to_owned();
            return Some(NameUsed { name, how: "self", confidence: 1.0, evidence: Some(flow.id), others: Vec::new() });
        }
        self.name_at(flow.addr(field::SRC_IP)?, flow.addr(field::DST_IP)?, flow.time())
    }

    /// The name by which a client knew a server at a time.
    pub fn name_at(&self, client: IpAddr, server: IpAddr, time: Time) -> Option<NameUsed> {
        let (client, server, t) = (client.to_canonical(), server.to_canonical(), time.0);
        let first = self.answers.partition_point(|a| a.server < server);
        let all = &self.answers[first..];
        let all = &all[..all.partition_point(|a| a.server == server)];
        let before = &all[..all.partition_point(|a| a.at <= t.saturating_add(EARLY))];
        // Newest first; what is older than a day has ended for every rule but passive DNS.
        let recent =
            || before.iter().rev().take(MOST).take_while(|a| t.saturating_sub(a.at) <= STALE.max(a.ttl)).filter(|a| !a.pointer);
        let alive = |a: &&Answer| t <= a.at.saturating_add(a.ttl.max(LEAST)).saturating_add(GRACE);
        let mine: Vec<&Answer> = recent().filter(|a| a.client == client).filter(alive).collect();
        if let Some(newest) = mine.first() {
            let sure = if t <= newest.at.saturating_add(newest.ttl) { 0.95 } else { 0.80 };
            return Some(self.pick(newest, &mine, "dns", sure));
        }
        let theirs: Vec<&Answer> = recent().filter(alive).collect();
        if let Some(newest) = theirs.first() {
            return Some(self.pick(newest, &theirs, "other", 0.60));
        }
        let stale: Vec<&Answer> = recent().filter(|a| a.client == client).collect();
        if let Some(newest) = stale.first() {
            return Some(self.pick(newest, &stale, "stale", 0.50));
        }
        self.passive(all, t)
    }

    /// Whatever is known of the address at any time: spans of sightings of a name, then its pointer.
    fn passive(&self, all: &[Answer], t: i64) -> Option<NameUsed> {
        let mut spans: HashMap<u32, (i64, i64, &Answer)> = HashMap::new();
        for answer in all.iter().filter(|a| !a.pointer).take(MOST) {
            let end = answer.at.saturating_add(answer.ttl);
            let span = spans.entry(answer.name).or_insert((answer.at, end, answer));
            *span = (span.0.min(answer.at), span.1.max(end), span.2);
        }
        let mut spans: Vec<_> = spans.into_values().collect();
        let distance = |(start, end, _): &(i64, i64, &Answer)| start.saturating_sub(t).max(t.saturating_sub(*end)).max(0);
        spans.sort_by_key(|s| (distance(s), s.2.name));
        if let Some(nearest) = spans.first() {
            let sure = if distance(nearest) == 0 { 0.40 } else { 0.20 };
            let names: Vec<&Answer> = spans.iter().map(|s| s.2).collect();
            return Some(self.pick(nearest.2, &names, "pdns", sure));
        }
        let pointer = all.iter().rev().find(|a| a.pointer)?;
        let name = format!("ptr:{}", self.text(pointer));
        Some(NameUsed { name, how: "pdns", confidence: 0.10, evidence: Some(pointer.evidence), others: Vec::new() })
    }

    /// The newest of several answers; names of other domains that were alive as well make it less sure.
    fn pick(&self, newest: &Answer, alive: &[&Answer], how: &'static str, sure: f32) -> NameUsed {
        let own = registrable(self.text(newest));
        let mut domains = vec![own];
        let mut others: Vec<String> = Vec::new();
        for answer in alive.iter().filter(|a| a.name != newest.name) {
            let text = self.text(answer);
            if !others.iter().any(|o| o == text) && others.len() < 16 {
                others.push(text.to_owned());
            }
            let domain = registrable(text);
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        let confidence = sure / (domains.len() as f32).sqrt();
        NameUsed { name: self.text(newest).to_owned(), how, confidence, evidence: Some(newest.evidence), others }
    }

    /// Who may have used a name (or a name below it), for which address and when: with these the flows of a name are found.
    pub fn uses(&self, name: &str, below: bool) -> Vec<Use> {
        let name = name.trim_end_matches('.').to_lowercase();
        let fits = |text: &str| text == name || below && text.strip_suffix(&name).is_some_and(|head| head.ends_with('.'));
        let wanted: Vec<bool> = self.texts.iter().map(|t| fits(t)).collect();
        let mut out: Vec<Use> = Vec::new();
        for a in self.answers.iter().filter(|a| !a.pointer && wanted.get(a.name as usize).copied().unwrap_or(false)) {
            let end = a.at.saturating_add(a.ttl.max(LEAST)).saturating_add(GRACE);
            let window = Window::new(Time(a.at.saturating_sub(EARLY)), Time(end.saturating_add(1)));
            match out
                .iter_mut()
                .rev()
                .take(64)
                .find(|u| u.client == a.client && u.server == a.server && u.window.end >= window.start)
            {
                Some(last) => last.window.end = last.window.end.max(window.end),
                None => out.push(Use { client: a.client, server: a.server, window }),
            }
        }
        out
    }
}

/// Most triples of client, address and time that a condition on a name becomes; beyond it the time is left out.
const MAX_USES: usize = 512;
/// Most clients that are then asked for each with its own addresses; beyond it any of them with any of the addresses.
const MAX_CLIENTS: usize = 512;

/// Whether a filter asks for a name as a whole or for names below one: then [`widen`] has something to add.
pub fn asks_for_name(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(asks_for_name),
        Filter::Not(inner) => asks_for_name(inner),
        Filter::Test(field::NAME, Test::Is(_) | Test::Under(_) | Test::Set(_)) => true,
        Filter::Test(field::NAME, Test::In(tests)) => tests.iter().any(|t| matches!(t, Test::Is(_) | Test::Under(_))),
        _ => false,
    }
}

/// The same filter, in which `name = X` also holds for flows without a name of their own whose client was told their address for X.
pub fn widen(names: &Names, filter: Filter) -> Filter {
    match filter {
        Filter::And(list) => Filter::And(list.into_iter().map(|f| widen(names, f)).collect()),
        Filter::Or(list) => Filter::Or(list.into_iter().map(|f| widen(names, f)).collect()),
        Filter::Not(inner) => Filter::Not(Box::new(widen(names, *inner))),
        Filter::Test(field::NAME, test) => {
            let uses = match &test {
                Test::In(tests) => tests.iter().flat_map(|t| uses_of(names, t)).collect(),
                one => uses_of(names, one),
            };
            let own = Filter::Test(field::NAME, test);
            if uses.is_empty() { own } else { Filter::Or(vec![own, flows_of(uses)]) }
        }
        other => other,
    }
}

fn uses_of(names: &Names, test: &Test) -> Vec<Use> {
    match test {
        Test::Is(Value::Text(name)) => names.uses(name, false),
        Test::Under(name) => names.uses(name, true),
        Test::Set(set) if set.texts.len() + set.under.len() <= MAX_SET => {
            let own = set.texts.iter().flat_map(|name| names.uses(name, false));
            own.chain(set.under.iter().flat_map(|name| names.uses(name, true))).collect()
        }
        _ => Vec::new(),
    }
}

fn flows_of(uses: Vec<Use>) -> Filter {
    let is = |id, addr| Filter::Test(id, Test::Is(Value::Addr(addr)));
    let timed = uses.len() <= MAX_USES;
    let mut servers: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut any: Vec<Filter> = Vec::new();
    for u in uses {
        if timed {
            let bound = |order, or_equal, t| Filter::Test(field::START, Test::Compare { order, or_equal, bound: Value::Time(t) });
            any.push(Filter::And(vec![
                is(field::SRC_IP, u.client),
                is(field::DST_IP, u.server),
                bound(Ordering::Greater, true, u.window.start),
                bound(Ordering::Less, false, u.window.end),
            ]));
        } else {
            servers.entry(u.client).or_default().insert(u.server);
        }
    }
    if servers.len() > MAX_CLIENTS {
        let set = |addrs| Test::Set(Arc::new(Members { addrs, ..Members::default() }));
        let clients = servers.keys().copied().collect();
        let known = servers.into_values().flatten().collect();
        any.push(Filter::And(vec![Filter::Test(field::SRC_IP, set(clients)), Filter::Test(field::DST_IP, set(known))]));
        servers = BTreeMap::new();
    }
    for (client, servers) in servers {
        let tests = servers.into_iter().map(|s| Test::Is(Value::Addr(s))).collect();
        any.push(Filter::And(vec![is(field::SRC_IP, client), Filter::Test(field::DST_IP, Test::In(tests))]));
    }
    let mut all = vec![Filter::is(field::KIND, Kind::Flow.name()), Filter::Or(any)];
    let own = [field::SNI, field::HTTP_HOST, field::NAME];
    all.extend(own.map(|f| Filter::Not(Box::new(Filter::Test(f, Test::Exists)))));
    Filter::And(all)
}

/// The address that a name of in-addr.arpa or ip6.arpa stands for (RFC 1035 3.5, RFC 3596 2.5).
fn pointed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = octets.split('.').rev().map(|o| o.parse().ok()).collect::<Option<_>>()?;
        return <[u8; 4]>::try_from(parts).ok().map(IpAddr::from);
    }
    let nibbles: Vec<u8> = name
        .strip_suffix(".ip6.arpa")?
        .split('.')
        .rev()
        .map(|n| if n.len() == 1 { u8::from_str_radix(n, 16).ok() } else { None })
        .collect::<Option<_>>()?;
    let octets: Vec<u8> = nibbles.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect();
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// The domain that can be registered, by a short rule: two labels, three where the last two are a country and a common second level.
fn registrable(name: &str) -> &str {
    let starts: Vec<usize> = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1)).collect();
    let labels: Vec<&str> = name.split('.').collect();
    let n = labels.len();
    let second =
        n > 2 && labels[n - 1].len() == 2 && ["co", "com", "org", "net", "gov", "ac", "edu", "or", "ne"].contains(&labels[n - 2]);
    let keep = if second { 3 } else { 2 };
    &name[starts[n.saturating_sub(keep)]..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;

    const A: &str = "10.0.0.5";
    const B: &str = "10.0.0.6";
    const CDN: &str = "192.0.2.1";

    fn used(names: &Names, client: &str, server: &str, ms: i64) -> Option<(String, &'static str, f32)> {
        let found = names.name_at(client.parse().unwrap(), server.parse().unwrap(), Time(ms * 1_000_000));
        found.map(|n| (n.name, n.how, n.confidence))
    }

    #[test]
    fn two_clients_of_one_address_each_get_their_own_name() {
        let mut world = World::new();
        let dns = world.source("pcap", "a");
        let first = world.answer(dns, 1_000, A, "one.example", CDN, 30);
        world.answer(dns, 1_500, B, "two.test", CDN, 30);
        let names = Names::read(&world.snapshot(), &Cancel::default()).unwrap();
        assert_eq!(used(&names, A, CDN, 2_000), Some(("one.example".into(), "dns", 0.95)));
        assert_eq!(used(&names, B, CDN, 2_000), Some(("two.test".into(), "dns", 0.95)));
        let found = names.name_at(A.parse().unwrap(), CDN.parse().unwrap(), Time(2_000_000_000)).unwrap();
        assert_eq!(found.evidence, Some(first));
        assert_eq!(names.uses("example", true).len(), 1);
        assert_eq!(names.uses("example", false).len(), 0);
    }

    #[test]
    fn confidence_falls_with_age_and_with_doubt() {
        let mut world = World::new();
        let dns = world.source("pcap", "a");
        world.answer(dns, 100_000, A, "one.example", CDN, 30);
        world.answer(dns, 101_000, A, "two.test", CDN, 30);
        world.answer(dns, 100_000, B, "lone.example", "192.0.2.2", 30);
        let names = Names::read(&world.snapshot(), &Cancel::default()).unwrap();
        let doubt = 0.95 / 2f32.sqrt();
        assert_eq!(used(&names, A, CDN, 110_000), Some(("two.test".into(), "dns", doubt)));
        // Before any answer it is only known from later.
        assert_eq!(used(&names, B, "192.0.2.2", 50_000), Some(("lone.example".into(), "pdns", 0.20)));
        assert_eq!(used(&names, B, "192.0.2.2", 99_960), Some(("lone.example".into(), "dns", 0.95)));
        assert_eq!(used(&names, B, "192.0.2.2", 200_000), Some(("lone.example".into(), "dns", 0.80)));
        assert_eq!(used(&names, A, "192.0.2.2", 110_000), Some(("lone.example".into(), "other", 0.60)));
        assert_eq!(used(&names, B, "192.0.2.2", 3_600_000), Some(("lone.example".into(), "stale", 0.50)));
        assert_eq!(used(&names, A, "192.0.2.9", 110_000), None);
    }

    #[test]
    fn a_flow_that_carries_a_name_needs_no_dns() {
        let mut flow = Record::new(Kind::Flow, RecordId::default(), crate::model::SourceId(1), Time(0));
        flow.set(field::SNI, "evil.example");
        let found = Names::default().name_used(&flow).unwrap();
        assert_eq!((found.name.as_str(), found.how, found.confidence), ("evil.example", "self", 1.0));
    }

    #[test]
    fn a_condition_on_a_name_finds_the_flows_that_used_it() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let answer = world.answer(pcap, 1_000, A, "www.evil.example", CDN, 30);
        let used = world.flow(pcap, 2_000, 3_000, "10.0.0.5:4000", "192.0.2.1:443");
        world.flow(pcap, 2_000, 3_000, "10.0.0.6:4000", "192.0.2.1:443");
        world.flow(pcap, 3_600_000, 3_600_000, "10.0.0.5:4001", "192.0.2.1:443");
        let mut own = World::ends("10.0.0.5:4002", "192.0.2.1:443");
        own.push((field::NAME, Value::from("other.example")));
        world.record(pcap, Kind::Flow, 2_000, 3_000, &own);
        let snapshot = world.snapshot();
        let names = Names::read(&snapshot, &Cancel::default()).unwrap();
        let found = |test: Test| {
            let filter = Filter::Test(field::NAME, test);
            assert!(asks_for_name(&filter));
            let mut ids = Vec::new();
            let filter = widen(&names, filter);
            snapshot
                .select(&Ask::new(&filter), &|| false, &mut |r| {
                    ids.push(r.id);
                    true
                })
                .unwrap();
            ids
        };
        assert_eq!(found(Test::Under("evil.example".into())), [answer, used]);
        assert_eq!(found(Test::Is(Value::from("WWW.evil.example"))), [answer, used]);
        assert_eq!(found(Test::Is(Value::from("evil.example"))), []);
    }

    #[test]
    fn pointers_are_a_last_hint_and_marked() {
        let mut world = World::new();
        let dns = world.source("pcap", "a");
        let fields = [
            (field::SRC_IP, Value::Addr(A.parse().unwrap())),
            (field::NAME, Value::from("1.2.0.192.in-addr.arpa")),
            (field::ANSWER_NAME, Value::from("host.example.")),
        ];
        world.record(dns, Kind::Dns, 0, 0, &fields);
        let names = Names::read(&world.snapshot(), &Cancel::default()).unwrap();
        assert_eq!(used(&names, A, "192.0.2.1", 0), Some(("ptr:host.example".into(), "pdns", 0.10)));
        assert_eq!(
            pointed("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
            "2001:db8::1".parse().ok()
        );
        assert_eq!(pointed("300.2.0.192.in-addr.arpa"), None);
    }

    #[test]
    fn registrable_domains_by_the_short_rule() {
        for (name, want) in [("a.b.example", "b.example"), ("a.b.co.uk", "b.co.uk"), ("co.uk", "co.uk"), ("x", "x"), ("", "")] {
            assert_eq!(registrable(name), want);
        }
    }
}
