//! Curves of flows made by hand.

use super::*;
use crate::detectors::trial::{FRIDAY, Trial};
use crate::model::SourceId;
use crate::model::time::SECOND;

fn gathered(trial: &Trial) -> Curves {
    let mut gather = Gather::default();
    gather.piece(&Piece { net: &trial.net, flows: &trial.flows, events: &trial.events, queries: &trial.queries });
    gather.finish(&trial.net)
}

fn sum(curves: &Curves, scope: Scope, metric: Metric) -> f32 {
    let curve = curves.of(scope).unwrap_or_else(|| panic!("{scope:?}"));
    // A flow's bytes may lie in bins in which nothing began.
    let first = FRIDAY * SECOND / BIN;
    (first - 300..first + 300).map(|bin| curve.bin(bin, metric)).sum()
}

#[test]
fn a_flow_is_in_the_curves_of_its_host_network_service_link_and_site() {
    let mut trial = Trial::new();
    let place = |name: &str, net: &str| Place { name: name.into(), networks: vec![net.parse().unwrap()], zone: None };
    trial.net.sites = vec![place("east", "10.1.0.0/16"), place("west", "10.2.0.0/16")];
    for n in 0..60 {
        let at = FRIDAY as f64 + f64::from(n) * 5.0;
        // Two bins long: half of its bytes are in each.
        let flow = trial.flow(at, "10.1.0.5", "198.51.100.9", 443);
        (flow.bytes_out, flow.bytes_in, flow.end) = (600, 1_000, flow.start.plus(BIN));
        trial.unanswered(at, "10.1.0.5", &format!("10.2.0.{}", 1 + n), 22);
        trial.flow(at, "10.1.0.6", "10.1.0.7", 445);
    }
    let deny = trial.word("deny");
    trial.event(Kind::Fw, FRIDAY as f64 + 30.0, "203.0.113.4", "10.1.0.5", 23).action = deny;
    trial.event(Kind::Alert, FRIDAY as f64 + 31.0, "10.1.0.5", "198.51.100.9", 443);
    trial.query(FRIDAY as f64 + 32.0, "10.1.0.5", "a.example", "A", "NOERROR", &[]);
    let host = Scope::Host(trial.host("10.1.0.5"));
    let curves = gathered(&trial);
    // The first seven flows were before it was busy enough.
    assert_eq!(sum(&curves, host, Metric::Flows), 113.0);
    let early = curves.of(host).unwrap().series(curves.grid(0), Metric::Flows);
    assert!(early[96].is_nan(), "of that bin not all was counted");
    let east = |metric| sum(&curves, Scope::Site(0), metric);
    assert_eq!((east(Metric::Flows), east(Metric::Failed), east(Metric::Queries)), (180.0, 60.0, 1.0));
    assert_eq!((east(Metric::Alerts), east(Metric::Denies)), (1.0, 1.0));
    // What stays within the site crosses nothing; to the other site it does.
    assert!((east(Metric::Sent) - 60.0 * 660.0).abs() < 1.0 && (east(Metric::Received) - 60_000.0).abs() < 1.0);
    assert_eq!(sum(&curves, Scope::Site(1), Metric::Flows), 60.0);
    assert!((sum(&curves, Scope::Site(1), Metric::Received) - 3_600.0).abs() < 1.0);
    assert_eq!(sum(&curves, Scope::Site(0), Metric::Peers), 62.0);
    assert!(sum(&curves, Scope::Subnet("10.1.0.0/24".parse().unwrap()), Metric::Flows) > 160.0);
    assert!(curves.of(Scope::Service(6, 445)).is_some() && curves.of(Scope::Service(6, 22)).is_none(), "nobody answers 22");
    let of = |from: i64, until: i64| {
        let at = |seconds: i64| crate::model::Time((FRIDAY + seconds) * crate::model::time::SECOND);
        curves.sources(&crate::model::Window::new(at(from), at(until)))
    };
    assert_eq!((of(-86_400, 86_400), of(-86_400, -400)), (vec![SourceId(1)], Vec::new()));
    assert!(of(-40 * 86_400, -20 * 86_400).is_empty() && of(86_400, 90_000).is_empty());
    assert!(curves.short().is_some() && curves.workday(0).is_none());
}

#[test]
fn memory_is_bounded_and_the_busiest_stay() {
    let mut trial = Trial::new();
    let begin = FRIDAY as f64;
    for n in 0..9_000u32 {
        for k in 0..8 + u32::from(n < 5) * 4 {
            let src = format!("10.{}.{}.{}", n / 60_000, n / 250 % 250, n % 250 + 1);
            trial.flow(begin + f64::from(n) + f64::from(k) / 10.0, &src, "198.51.100.9", 443);
        }
    }
    trial.flows.sort_by_key(|f| f.start);
    let busiest = trial.host("10.0.0.1");
    let mut gather = Gather::default();
    gather.piece(&Piece { net: &trial.net, flows: &trial.flows, events: &[], queries: &[] });
    assert!(gather.chunks <= CHUNKS && gather.curves.values().map(|c| c.days.len()).sum::<usize>() <= CHUNKS);
    assert!(gather.curves.contains_key(&Scope::Host(busiest)) && !gather.forgotten.is_empty());
    let curves = gather.finish(&trial.net);
    let hosts = curves.list.iter().filter(|c| matches!(c.scope, Scope::Host(_))).count();
    assert_eq!(hosts, HOSTS);
    assert_eq!(sum(&curves, Scope::Site(0), Metric::Flows), (9_000 * 8 + 5 * 4) as f32);
}
