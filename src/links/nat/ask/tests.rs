//! Tests of what is asked of the translations of a case.

use super::*;
use crate::links::world::World;
use crate::model::time::SECOND;
use crate::model::{Kind, SourceId};

const INSIDE: &str = "10.0.0.5:4000";
const OUTSIDE: &str = "198.51.100.2:9000";
const PEER: &str = "192.0.2.1:443";

fn translated(src: &str, nat: &str, dst: &str, action: &str) -> Vec<(FieldId, Value)> {
    let mut fields = World::ends(src, dst);
    let nat: std::net::SocketAddr = nat.parse().unwrap();
    fields.push((field::NAT_SRC_IP, Value::Addr(nat.ip())));
    fields.push((field::NAT_SRC_PORT, Value::Uint(u64::from(nat.port()))));
    fields.push((field::ACTION, Value::text(action)));
    fields
}

struct Case {
    _world: World,
    snapshot: std::sync::Arc<Snapshot>,
    nat: Nat,
    inside: RecordId,
    outside: RecordId,
    alert: RecordId,
    log: RecordId,
}

fn case() -> Case {
    let mut world = World::new();
    let (within, without) = (world.source("pcap", "inside"), world.source("pcap", "outside"));
    let (fw, eve) = (world.source("conntrack", "fw"), world.source("suricata-eve", "outside"));
    let inside = world.flow(within, 100_000, 109_000, INSIDE, PEER);
    let outside = world.flow(without, 100_000, 109_000, OUTSIDE, PEER);
    let alert = world.record(eve, Kind::Alert, 101_000, 101_000, &World::ends(PEER, OUTSIDE));
    let log = world.record(fw, Kind::Fw, 100_000, 100_000, &translated(INSIDE, OUTSIDE, PEER, "new"));
    world.record(fw, Kind::Fw, 109_000, 109_000, &translated(INSIDE, OUTSIDE, PEER, "destroy"));
    // Another host with the same port later, and one at the same time.
    world.record(fw, Kind::Fw, 500_000, 500_000, &translated("10.0.0.6:4000", OUTSIDE, PEER, "new"));
    world.record(fw, Kind::Fw, 509_000, 509_000, &translated("10.0.0.6:4000", OUTSIDE, PEER, "destroy"));
    world.flow(without, 500_000, 509_000, OUTSIDE, PEER);
    world.record(fw, Kind::Fw, 100_000, 100_000, &translated("10.0.0.7:1", "198.51.100.2:9001", PEER, "new"));
    world.record(fw, Kind::Fw, 109_000, 109_000, &translated("10.0.0.7:1", "198.51.100.2:9001", PEER, "destroy"));
    world.flow(without, 100_000, 109_000, "198.51.100.2:9001", PEER);
    let snapshot = world.snapshot();
    let nat = super::super::read::find(&snapshot, &Cancel::default()).unwrap();
    Case { _world: world, snapshot, nat, inside, outside, alert, log }
}

impl Case {
    fn rows(&self, filter: &Filter) -> Vec<Record> {
        let mut out = Vec::new();
        let each = &mut |r| {
            out.push(r);
            true
        };
        self.snapshot.select(&Ask::new(filter), &|| false, each).unwrap();
        out
    }
    fn links(&self, id: RecordId) -> Vec<Link> {
        let record = self.snapshot.record(id).unwrap().unwrap();
        links(&self.nat, &self.snapshot, &record, &Cancel::default()).unwrap()
    }
}

#[test]
fn a_question_for_a_host_finds_what_it_was_outside() {
    let case = case();
    let host = |id| Filter::Test(id, Test::Is(Value::Addr("10.0.0.5".parse().unwrap())));
    let more = |id| -> Vec<RecordId> {
        let own: HashSet<RecordId> = case.rows(&host(id)).iter().map(|r| r.id).collect();
        let wide = case.rows(&widen(&case.nat, host(id), &Window::ALL));
        assert!(own.iter().all(|id| wide.iter().any(|r| r.id == *id)));
        wide.iter().map(|r| r.id).filter(|id| !own.contains(id)).collect()
    };
    // The next user of the port and its neighbour are others.
    assert_eq!(more(field::HOST), [case.outside, case.alert]);
    // As the originator it is the flow outside, as the responder of the alert's packet the alert.
    assert_eq!((more(field::SRC_IP), more(field::DST_IP)), (vec![case.outside], vec![case.alert]));
    let net = Filter::Test(field::HOST, Test::Net("10.0.0.0/8".parse().unwrap()));
    assert!(!asks_for_host(&net), "a network is asked for by its addresses");
    // The same row by row.
    let Filter::Or(list) = widen(&case.nat, host(field::HOST), &Window::ALL) else { panic!("not widened") };
    for record in case.rows(&Filter::All) {
        assert_eq!(list[1].matches(&record, &|_| None), [case.outside, case.alert].contains(&record.id));
    }
}

#[test]
fn each_side_of_a_translation_is_linked_to_the_other_with_what_proves_it() {
    let case = case();
    let got = case.links(case.alert);
    let inside = got.iter().find(|l| l.record.id == case.inside).expect("the inside flow of an outside alert");
    assert_eq!((inside.method.as_ref(), inside.quality.to_string().as_str()), ("nat", "⇄"));
    let via = inside.via.as_ref().unwrap();
    assert_eq!((via.kind.as_ref(), via.method.as_ref(), via.confidence), ("napt", "log", 0.99));
    assert_eq!(via.evidence[0], case.log);
    assert!(got.iter().any(|l| l.record.id == case.log), "the line that proves it is there");
    let hosts: BTreeSet<IpAddr> = got.iter().filter_map(|l| l.record.addr(field::SRC_IP)).collect();
    assert!(!hosts.contains(&"10.0.0.6".parse::<IpAddr>().unwrap()) && !hosts.contains(&"10.0.0.7".parse::<IpAddr>().unwrap()));
    let back = case.links(case.inside);
    assert!(back.iter().any(|l| l.record.id == case.outside) && back.iter().any(|l| l.record.id == case.alert));
}

#[test]
fn who_is_behind_an_address_needs_the_port() {
    let case = case();
    let asked = |port: Option<u16>, from: i64| AskedEnd {
        end: End::new("198.51.100.2".parse().unwrap(), port),
        proto: None,
        peer: None,
        window: Window::new(Time(from * SECOND), Time((from + 1) * SECOND)),
    };
    let of = |asked| bound(&case.nat, &case.snapshot, &asked, &Cancel::default()).unwrap();
    let both = of(asked(None, 105));
    assert_eq!((both.behind.len(), both.outside.len()), (2, 2));
    assert!(both.behind.iter().all(|b| b.confidence < 0.9));
    let one = of(asked(Some(9000), 105));
    assert_eq!((one.behind.len(), one.behind[0].host.to_string().as_str()), (1, "10.0.0.5"));
    assert_eq!(of(asked(Some(9000), 505)).behind[0].host.to_string(), "10.0.0.6");
    assert!(of(asked(Some(9000), 300)).behind.is_empty());
}

#[test]
fn two_captures_without_any_log_are_understood_and_what_comes_later_is_added() {
    let mut world = World::new();
    let (within, without) = (world.source("pcap", "inside"), world.source("pcap", "outside"));
    let add = |world: &mut World, from: i64| {
        let mut ids = Vec::new();
        for n in from..from + 30 {
            let start = n * 10_007;
            let sized = |src: &str| {
                let mut fields = World::ends(src, PEER);
                let size = Value::Uint(500 + (n as u64 * 37) % 900);
                fields.extend([
                    (field::PAYLOAD_OUT, size.clone()),
                    (field::PAYLOAD_IN, size),
                    (field::PACKETS_OUT, Value::Uint(4)),
                ]);
                fields
            };
            let host = format!("10.0.0.{}:{}", n % 7 + 1, 2_000 + n);
            let inside = world.record(within, Kind::Flow, start, start + 900, &sized(&host));
            let outside =
                world.record(without, Kind::Flow, start + 1, start + 901, &sized(&format!("198.51.100.2:{}", 7_000 - n)));
            ids.push((inside, outside));
        }
        ids
    };
    let first = add(&mut world, 0);
    let snapshot = world.snapshot();
    let nat = super::super::read::find(&snapshot, &Cancel::default()).unwrap();
    let pairs =
        |nat: &Nat| -> BTreeSet<(RecordId, RecordId)> { nat.bindings.iter().map(|b| (b.evidence[0], b.evidence[1])).collect() };
    assert_eq!(pairs(&nat), first.iter().copied().collect());
    assert_eq!((nat.gateways.len(), nat.gateways[0].inside, nat.gateways[0].outside), (1, SourceId(1), SourceId(2)));
    let second = add(&mut world, 30);
    let snapshot = world.snapshot();
    let came = Window::new(Time(30 * 10_007_000_000), Time(60 * 10_007_000_000));
    let more = super::super::read::more(&snapshot, &nat, Some(came), &Cancel::default()).unwrap();
    assert_eq!(pairs(&more), first.iter().chain(&second).copied().collect());
    assert_eq!(pairs(&more), pairs(&super::super::read::find(&snapshot, &Cancel::default()).unwrap()));
}
