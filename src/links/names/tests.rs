//! Names used: by rule, by client, and the same from what is derived as from the events.

use super::*;
use crate::links::world::World;
use crate::model::decision::{What, Who};
use crate::store::Ask;
use proptest::prelude::*;

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.6";
const CDN: &str = "192.0.2.1";

fn used(names: &Names, client: &str, server: &str, ms: i64) -> Option<(String, &'static str, f32)> {
    let found = names.name_at(client.parse().unwrap(), server.parse().unwrap(), Time(ms * 1_000_000)).unwrap();
    let word = |how| if let std::borrow::Cow::Borrowed(word) = how { word } else { "not a word of ours" };
    found.map(|n| (n.name, word(n.how), n.confidence))
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
    let found = names.name_at(A.parse().unwrap(), CDN.parse().unwrap(), Time(2_000_000_000)).unwrap().unwrap();
    assert_eq!(found.evidence, Some(first));
    assert_eq!(names.uses("example", true).unwrap().len(), 1);
    assert_eq!(names.uses("example", false).unwrap().len(), 0);
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
    let found = Names::default().name_used(&flow).unwrap().unwrap();
    assert_eq!((found.name.as_str(), &*found.how, found.confidence), ("evil.example", "self", 1.0));
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
        let filter = widen(&names, filter).unwrap();
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
        crate::store::names::pointed("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        "2001:db8::1".parse().ok()
    );
    assert_eq!(crate::store::names::pointed("300.2.0.192.in-addr.arpa"), None);
}

#[test]
fn registrable_domains_by_the_short_rule() {
    for (name, want) in [("a.b.example", "b.example"), ("a.b.co.uk", "b.co.uk"), ("co.uk", "co.uk"), ("x", "x"), ("", "")] {
        assert_eq!(registrable(name), want);
    }
}

const CLIENTS: [&str; 4] = [A, B, "fd00::7", "::ffff:10.0.0.5"];
const ASKED: [&str; 8] =
    ["one.example", "WWW.One.Example", "two.test.", "example", "cdn.two.test", "1.2.0.192.in-addr.arpa", "", "ünder.one.example"];
const GIVEN: [&str; 5] = ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "198.51.100.7"];

type Event = (i64, Option<usize>, Option<usize>, Vec<usize>, Vec<usize>, Option<u64>);

/// A DNS event: seconds, client, name, addresses, names, seconds it holds; any part may be missing.
fn event() -> impl Strategy<Value = Event> {
    let some = |n: usize| proptest::option::weighted(0.9, 0..n);
    let ttl = proptest::option::of(prop_oneof![0u64..400, Just(u64::MAX)]);
    let lists = (proptest::collection::vec(0..GIVEN.len(), 0..4), proptest::collection::vec(0..ASKED.len(), 0..3));
    (0i64..200_000, some(CLIENTS.len()), some(ASKED.len()), lists, ttl).prop_map(|(t, c, n, (a, b), ttl)| (t, c, n, a, b, ttl))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_derived_answers_as_the_events_do(
        events in proptest::collection::vec(event(), 1..60),
        offset in proptest::option::of(-100_000i64..100_000),
        asked in proptest::collection::vec((0..CLIENTS.len(), 0..GIVEN.len(), -5_000i64..300_000), 12),
    ) {
        let mut world = World::new();
        let sources = [world.source("pcap", "a"), world.source("zeek", "b")];
        let mut snapshot = None;
        for (i, (t, client, name, addrs, names, ttl)) in events.iter().enumerate() {
            let mut fields = Vec::new();
            fields.extend(client.map(|c| (field::SRC_IP, Value::Addr(CLIENTS[c].parse().unwrap()))));
            fields.extend(name.map(|n| (field::NAME, Value::from(ASKED[n]))));
            fields.extend(addrs.iter().map(|a| (field::ANSWER_IP, Value::Addr(GIVEN[*a].parse().unwrap()))));
            fields.extend(names.iter().map(|n| (field::ANSWER_NAME, Value::from(ASKED[*n]))));
            fields.extend(ttl.map(|n| (field::DNS_TTL, Value::Uint(n))));
            world.record(sources[i % 2], Kind::Dns, t * 1_000, t * 1_000 + i as i64, &fields);
            if i % 20 == 19 {
                snapshot = Some(world.snapshot());
            }
        }
        let last = world.snapshot();
        let snapshot = match offset {
            Some(seconds) => {
                let source = last.source_name(sources[0]).unwrap().to_owned();
                let set = What::SourceSet { source, offset: Some(seconds * SECOND), zone: None, year: None, dates: None, site: None };
                world.store().journal().append(set, Who::default()).unwrap();
                world.store().snapshot()
            }
            None => snapshot.filter(|_| false).unwrap_or(last),
        };
        let derived = Names::read(&snapshot, &Cancel::default()).unwrap();
        prop_assert!(derived.groups.iter().all(|g| g.of.is_derived() && g.rows.get().is_none()));
        let scanned = Names::read_events(&snapshot, &Cancel::default()).unwrap();
        for (client, server, t) in asked {
            let (client, server) = (CLIENTS[client].parse().unwrap(), GIVEN[server].parse().unwrap());
            let at = Time(t * SECOND);
            prop_assert_eq!(derived.name_at(client, server, at).unwrap(), scanned.name_at(client, server, at).unwrap());
        }
        for name in ASKED.iter().chain(&["test", "one.example."]) {
            for below in [false, true] {
                prop_assert_eq!(derived.uses(name, below).unwrap(), scanned.uses(name, below).unwrap());
            }
        }
        prop_assert!(derived.groups.iter().all(|g| g.rows.get().is_none()), "events were read");
    }
}
