//! Rows that have ends of hosts elsewhere: by index, by what was kept, and by the clock of the moment.

use super::*;
use crate::model::decision::{What, Who};
use crate::model::ends::{Elsewhere, Ends, Method, Which};
use std::sync::Arc;

#[test]
fn rows_that_have_ends_of_a_host_elsewhere_are_found_as_by_scan() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let flows: Vec<Record> = (0..30_000u64)
        .map(|n| {
            let mut r = flow(1, n);
            let v4 = std::net::Ipv4Addr::new(198, 51, 100, (n % 2) as u8);
            // The same address in both of its forms.
            r.set(field::SRC_IP, Value::Addr(if n.is_multiple_of(7) { v4.to_ipv6_mapped().into() } else { v4.into() }));
            r.set(field::SRC_PORT, 1_024 + n * 31 % 60_000);
            r.set(field::DST_IP, Value::Addr([192, 0, 2, (n % 90) as u8].into()));
            r.set(field::PROTO, 6u64);
            r
        })
        .collect();
    import(&store, 1, &flows);
    let snapshot = store.snapshot();
    // Of every 40th flow its own end, some with another peer, some before or after its time, of one address also any port for an hour.
    let end = |n: usize, port: Option<u16>, long: i64| Elsewhere {
        host: [10, 0, 0, 1].into(),
        proto: Some(6),
        ip: flows[n].addr(field::SRC_IP).unwrap().to_canonical(),
        port,
        peer: (!n.is_multiple_of(3)).then(|| ([192, 0, 2, ((n + n % 3 - 1) % 90) as u8].into(), None)),
        start: flows[n].start.plus(i64::from(n.is_multiple_of(5)) * 10_000_000_000),
        end: flows[n].start.plus(i64::from(n.is_multiple_of(5)) * 10_000_000_000 + long),
        confidence: 0.9,
        method: Method::Log,
        evidence: flows[n].id,
    };
    let own = |n: usize| end(n, flows[n].uint(field::SRC_PORT).and_then(|p| u16::try_from(p).ok()), 1_000_000);
    let ports: Vec<Elsewhere> = (0..flows.len()).step_by(41).map(own).collect();
    let few: Vec<Elsewhere> =
        ports.iter().filter(|e| e.peer.is_some_and(|p| p.0 < std::net::Ipv4Addr::new(192, 0, 2, 9))).cloned().collect();
    let any = [&ports[..], &[end(9_001, None, 3_600_000_000_000)]].concat();
    let host = Filter::is(field::HOST, Value::Addr([192, 0, 2, 17].into()));
    for (list, least) in [(few, 10), (ports, 200), (any, 205)] {
        let ends = Arc::new(Ends::new(list));
        for which in [Which::Either, Which::Src, Which::Dst] {
            let far = || Filter::Elsewhere(Arc::clone(&ends), which);
            let filters = [
                far(),
                Filter::Or(vec![host.clone(), far()]),
                far().and(Filter::Not(Box::new(host.clone()))),
                Filter::Or(vec![host.clone(), far()]).and(Filter::is(field::DST_PORT, 444u64)),
                Filter::Not(Box::new(far())).and(host.clone()),
            ];
            // What was found once is kept, and is the same again.
            for filter in filters.iter().chain(&filters) {
                let want: Vec<&Record> = flows.iter().filter(|r| filter.matches(r, &|_| None)).collect();
                let found = all(&snapshot, &Ask::new(filter));
                assert_eq!(found.iter().collect::<Vec<_>>(), want, "{which:?} {filter:?}");
                assert_eq!(snapshot.count(&Ask::new(filter), u64::MAX, &|| false).unwrap().0, want.len() as u64);
            }
            let n = snapshot.count(&Ask::new(&far()), u64::MAX, &|| false).unwrap().0;
            assert!(if which == Which::Dst { n == 0 } else { n >= least }, "{which:?}: {n}");
            if which == Which::Src && ends.list().iter().all(|e| e.port.is_some()) {
                // By another clock they were somebody else's; what was kept by the former holds no more, and again when it is set back.
                let count = || store.snapshot().count(&Ask::new(&far()), u64::MAX, &|| false).unwrap().0;
                let offset = Some(3_600_000_000_000);
                let set = What::SourceSet { source: "a".into(), offset, zone: None, year: None, dates: None, site: None };
                let decision = store.journal().append(set, Who::default()).unwrap();
                assert_eq!((count(), count()), (0, 0));
                store.journal().append(What::Remove { id: decision.sequence }, Who::default()).unwrap();
                assert_eq!(count(), n);
            }
        }
    }
}
