//! Tests of bindings over time.

use super::*;

fn end(text: &str) -> End {
    match text.rsplit_once(':') {
        Some((ip, port)) => End::new(ip.parse().unwrap(), port.parse::<u16>().unwrap()),
        None => End::new(text.parse().unwrap(), None),
    }
}

fn binding(inside: &str, outside: &str, peer: &str, (start, until): (i64, i64)) -> Binding {
    Binding {
        kind: BindingKind::Napt,
        proto: Some(6),
        inside: end(inside),
        outside: end(outside),
        peer: (!peer.is_empty()).then(|| end(peer)),
        peer_inside: None,
        start: Time(start),
        end: Time(until),
        uncertainty: 0,
        method: Method::Log,
        confidence: 0.99,
        margin: None,
        assumed: false,
        conflict: false,
        evidence: vec![RecordId { evidence: EvidenceKey(7), offset: start.unsigned_abs(), ordinal: 3 }],
    }
}

fn asked(text: &str, peer: &str, window: (i64, i64)) -> AskedEnd {
    let peer = (!peer.is_empty()).then(|| end(peer));
    AskedEnd { end: end(text), proto: Some(6), peer, window: Window::new(Time(window.0), Time(window.1)) }
}

#[test]
fn bindings_come_back_as_they_went_in_and_only_those_that_hold() {
    let list = vec![
        binding("10.0.0.5:4000", "198.51.100.2:9000", "192.0.2.1:443", (100, 200)),
        binding("10.0.0.6:4000", "198.51.100.2:9000", "192.0.2.1:443", (300, 400)),
        binding("10.0.0.7:4000", "198.51.100.2:9001", "", (100, 400)),
        Binding { proto: Some(17), ..binding("10.0.0.8:4000", "198.51.100.2:9000", "192.0.2.1:443", (100, 200)) },
    ];
    let all = Bindings::new(list.clone());
    let at = |text: &str, peer: &str, t: i64| all.of(&asked(text, peer, (t, t + 1)), Side::Outside, 9);
    assert_eq!(at("198.51.100.2:9000", "192.0.2.1:443", 150), [list[0].clone()]);
    assert_eq!(at("198.51.100.2:9000", "192.0.2.1:443", 350), [list[1].clone()]);
    assert_eq!(at("198.51.100.2:9000", "192.0.2.1:443", 250), []);
    assert_eq!(at("198.51.100.2:9000", "192.0.2.9:443", 150), []);
    assert_eq!(at("198.51.100.2:9001", "192.0.2.9:443", 250), [list[2].clone()]);
    assert_eq!(all.of(&asked("10.0.0.5", "", (0, 1000)), Side::Inside, 9), [list[0].clone()]);
    assert_eq!(all.of(&asked("10.0.0.5", "", (200, 201)), Side::Inside, 9), [list[0].clone()]);
    assert_eq!(all.of(&asked("10.0.0.5", "", (201, 202)), Side::Inside, 9), []);
    assert!(all.has(list[0].inside.ip, Side::Inside) && !all.has(list[0].inside.ip, Side::Outside));
    assert_eq!(all.inside().count(), 4);
}

#[test]
fn without_a_port_several_hosts_are_behind_a_shared_address_and_none_is_the_answer() {
    let mut list: Vec<Binding> = (0..8u16)
        .map(|n| {
            binding(&format!("10.0.0.{}:4000", n % 3 + 1), &format!("198.51.100.2:{}", 9000 + n), "192.0.2.1:443", (100, 200))
        })
        .collect();
    list.push(binding("10.0.0.9:4000", "198.51.100.2:8000", "192.0.2.1:443", (500, 600)));
    let all = Bindings::new(list);
    let behind = all.behind(&asked("198.51.100.2", "", (100, 200)));
    assert_eq!(behind.iter().map(|b| b.bindings).collect::<Vec<_>>(), [3, 3, 2]);
    assert!(behind.iter().all(|b| b.confidence < 0.5), "{behind:?}");
    assert_eq!(all.behind(&asked("198.51.100.2:9001", "", (100, 200))).len(), 1);
    assert_eq!(all.behind(&asked("198.51.100.2", "", (500, 501)))[0].confidence, 0.99);
}

#[test]
fn two_that_contradict_each_other_are_kept_at_half_the_confidence() {
    let one = binding("10.0.0.5:4000", "198.51.100.2:9000", "192.0.2.1:443", (100, 200));
    let two = binding("10.0.0.6:4000", "198.51.100.2:9000", "192.0.2.1:443", (150, 400));
    // Another peer over the same port is no contradiction, nor is the next use of the port.
    let other = binding("10.0.0.7:4000", "198.51.100.2:9000", "192.0.2.2:443", (150, 400));
    let later = binding("10.0.0.8:4000", "198.51.100.2:9000", "192.0.2.1:443", (400, 500));
    let all = Bindings::new([one, two, other, later]);
    assert_eq!(all.conflicts, 2);
    let got: Vec<(f32, bool)> = all.iter().map(|b| (b.confidence, b.conflict)).collect();
    assert_eq!(got.iter().filter(|g| **g == (0.495, true)).count(), 2);
    assert_eq!(got.iter().filter(|g| **g == (0.99, false)).count(), 2);
}

#[test]
fn what_a_log_states_and_what_was_inferred_is_one_binding_and_the_log_says_when() {
    let logged = binding("10.0.0.5:4000", "198.51.100.2:9000", "192.0.2.1:443", (100, 200));
    let mut inferred = binding("10.0.0.5:4000", "198.51.100.2:9000", "192.0.2.1:443", (90, 250));
    inferred.method = Method::Infer;
    inferred.confidence = 0.95;
    inferred.margin = Some(40.0);
    for list in [[logged.clone(), inferred.clone()], [inferred, logged]] {
        let all = Bindings::new(list);
        let got: Vec<Binding> = all.iter().collect();
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].method, got[0].confidence, got[0].margin), (Method::Log, 0.99, Some(40.0)));
        assert_eq!((got[0].start, got[0].end, got[0].evidence.len()), (Time(100), Time(200), 2));
    }
}

#[test]
fn an_end_that_was_assumed_is_the_inferred_one_and_two_lines_of_logs_take_both_their_times() {
    let of = |list: [Binding; 2]| {
        let [one, two] = list;
        [[one.clone(), two.clone()], [two, one]].map(|list| {
            let got: Vec<(Time, Time, bool)> = Bindings::new(list).iter().map(|b| (b.start, b.end, b.assumed)).collect();
            got
        })
    };
    let logged = |times| binding("10.0.0.5:4000", "198.51.100.2:9000", "192.0.2.1:443", times);
    let assumed = Binding { assumed: true, confidence: 0.8, ..logged((100, 90_000)) };
    let inferred = |times| Binding { method: Method::Infer, confidence: 0.95, ..logged(times) };
    for times in [(90, 250), (110, 250)] {
        for got in of([assumed.clone(), inferred(times)]) {
            assert_eq!(got, [(Time(100), Time(250), false)]);
        }
    }
    // One that was over when the log's begins says nothing of its end.
    for got in of([assumed, inferred((50, 100))]) {
        assert_eq!(got, [(Time(100), Time(90_000), true)]);
    }
    for got in of([logged((100, 200)), Binding { confidence: 0.95, ..logged((90, 180)) }]) {
        assert_eq!(got, [(Time(90), Time(200), false)]);
    }
}

#[test]
fn of_too_many_bindings_the_newest_are_given_and_the_others_counted() {
    let one = |n: i64| Binding {
        method: if n == 49 { Method::Claim } else { Method::Log },
        ..binding(&format!("10.0.0.5:{}", n + 1), "198.51.100.2:9000", "192.0.2.1:443", (n * 10, n * 10 + 5))
    };
    let all = Bindings::new((0..100).map(one));
    let (got, beyond) = all.newest(&asked("10.0.0.5", "", (0, 500)), Side::Inside, 10);
    let starts: Vec<i64> = got.iter().map(|b| b.start.0).collect();
    assert_eq!((starts, beyond), ((39..49).map(|n| n * 10).collect(), 39));
}

#[test]
fn translations_of_translations_are_followed_and_get_less_sure() {
    let list = [
        binding("10.0.0.5:4000", "100.64.0.2:5000", "192.0.2.1:443", (100, 200)),
        Binding { confidence: 0.8, ..binding("100.64.0.2:5000", "198.51.100.2:9000", "192.0.2.1:443", (100, 200)) },
        Binding { confidence: 0.2, ..binding("198.51.100.2:9000", "203.0.113.1:9000", "192.0.2.1:443", (100, 200)) },
    ];
    let all = Bindings::new(list);
    let out = all.expand(&asked("10.0.0.5", "", (120, 121)), Side::Inside);
    let shown: Vec<(String, usize)> = out.iter().map(|r| (r.end.to_string(), r.path.len())).collect();
    assert_eq!(shown, [("100.64.0.2:5000".to_owned(), 1), ("198.51.100.2:9000".to_owned(), 2)]);
    assert!((out[1].confidence - 0.99 * 0.8).abs() < 1e-6);
    let back = all.expand(&asked("198.51.100.2:9000", "192.0.2.1:443", (120, 121)), Side::Outside);
    assert_eq!(back.last().unwrap().end, end("10.0.0.5:4000"));
}

#[test]
fn many_bindings_answer_as_a_scan_does() {
    let mut state = 1u64;
    let mut draw = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let list: Vec<Binding> = (0..5_000)
        .map(|_| {
            let start = draw(100_000) as i64;
            let until = start + if draw(50) == 0 { draw(80_000) } else { draw(300) } as i64;
            let (host, port) = (draw(40), draw(300) + 1);
            binding(&format!("10.0.0.{host}:{port}"), &format!("198.51.100.{}:{}", draw(3), draw(2_000) + 1), "", (start, until))
        })
        .collect();
    let all = Bindings::new(list);
    let every: Vec<Binding> = all.iter().collect();
    for _ in 0..300 {
        let (start, long) = (draw(100_000) as i64, draw(400) as i64 + 1);
        let wanted = asked(&format!("198.51.100.{}", draw(3)), "", (start, start + long));
        let scanned = every.iter().filter(|b| b.outside.ip == wanted.end.ip && b.overlaps(&wanted.window)).count();
        assert_eq!(all.of(&wanted, Side::Outside, usize::MAX).len(), scanned);
    }
}
