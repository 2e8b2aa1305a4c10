//! Clocks that are known are found, and none is where nothing is shared. `benches/links.rs` does the same with more and larger days.

use super::estimate::estimate;
use super::keys::Moments;
use super::synthetic::{self, DAY, Log, Shared, truth};
use super::{Estimates, estimates, together};
use crate::links::world::World;
use crate::model::clock::{ClockEstimate, ClockState, KeyKind, Meaning};
use crate::model::synthetic::Random;
use crate::model::time::SECOND;
use crate::model::{Cancel, Kind, SourceId};

const LOG: Log = Log { offset: 0.0, skew: 0.0, step: None, rows: 2_000, matched: 100, at_end: false, resolution: SECOND };

fn measure(seed: u64, log: &Log, shared: Shared) -> ClockEstimate {
    let mut random = Random::new(seed);
    let day = synthetic::day(&mut random, 20_000, 500, 5_000);
    let source = synthetic::log(&mut random, &day, log, shared);
    estimate(&source, &synthetic::reference(&day, shared), KeyKind::Service)
}

/// How far the first piece is off, seconds.
fn error(found: &ClockEstimate, log: &Log) -> f64 {
    let piece = &found.pieces[0];
    found.offset(piece) as f64 / SECOND as f64 - truth(log, piece.middle.0)
}

#[test]
fn offsets_of_any_zone_and_skew_are_found_with_what_the_times_mean() {
    const ZONES: [f64; 12] = [-14.0, -9.5, -7.0, -3.5, -1.0, 0.0, 1.0, 2.0, 5.5, 5.75, 10.5, 14.0];
    let mut meant = 0;
    for seed in 0..50 {
        let mut random = Random::new(1_000 + seed);
        let log = Log {
            offset: ZONES[random.below(12) as usize] * 3_600.0 + 120.0 * (random.unit() - 0.5),
            skew: 200e-6 * (random.unit() - 0.5),
            at_end: random.unit() < 0.5,
            ..LOG
        };
        let found = measure(seed, &log, Shared::Service);
        assert_eq!(found.state, ClockState::Confident, "{seed} {log:?} {found:?}");
        assert!(error(&found, &log).abs() < 0.2, "{seed}: {} of {log:?}", error(&found, &log));
        assert!((found.pieces[0].skew as f64 - log.skew * 1e9).abs() < 20_000.0, "{seed}: {:?} of {log:?}", found.pieces);
        meant += usize::from(found.meaning == if log.at_end { Meaning::End } else { Meaning::Start });
    }
    assert!(meant >= 49, "{meant} of 50");
}

#[test]
fn small_offsets_and_wrong_dates_are_found_too() {
    for (seed, offset) in [3.0, -3.0, -268.0 * DAY - 5.0, 3_653.0 * DAY].into_iter().enumerate() {
        let log = Log { offset, ..LOG };
        let found = measure(seed as u64, &log, Shared::Service);
        assert!(error(&found, &log).abs() < 0.2, "{offset}: {found:?}");
    }
    // By whole connections a few suffice, and finer clocks are known better.
    let log = Log { offset: 0.0421, matched: 20, resolution: 1_000, ..LOG };
    let found = measure(9, &log, Shared::Connection);
    assert_eq!(found.state, ClockState::Tentative);
    assert!(error(&found, &log).abs() < 1e-5, "{}", error(&found, &log));
}

#[test]
fn where_nothing_is_shared_nothing_is_found() {
    for seed in 0..60 {
        let log = Log { matched: 0, rows: [300, 2_000, 6_000][seed as usize % 3], ..LOG };
        let found = measure(seed, &log, Shared::Service);
        assert_eq!(found.state, ClockState::Unknown, "{seed}: {found:?}");
    }
}

#[test]
fn a_clock_that_was_set_has_two_pieces() {
    let log = Log { offset: 3_597.5, step: Some((DAY / 2.0, -3_600.0)), rows: 4_000, matched: 400, at_end: true, ..LOG };
    let found = measure(3, &log, Shared::Service);
    assert_eq!((found.state, found.pieces.len()), (ClockState::Confident, 2), "{found:?}");
    let offsets: Vec<f64> = found.pieces.iter().map(|p| found.offset(p) as f64 / SECOND as f64).collect();
    assert!((offsets[0] - 3_597.5).abs() < 0.2 && (offsets[1] + 2.5).abs() < 0.2, "{offsets:?}");
    // By its own clock it was set between half past twelve and half past one: that hour came twice.
    let at = found.pieces[1].from.0 as f64 / SECOND as f64 - 1_763_600_000.0;
    assert!((at - DAY / 2.0 - 1_800.0).abs() < 600.0, "{at}");
    assert!(found.remarks[0].contains("set 1 times"), "{:?}", found.remarks);
}

#[test]
fn traffic_at_regular_intervals_alone_leaves_it_open() {
    // Fifty hosts ask fifty servers every minute, on the second: every multiple of a minute fits as well.
    let at = |n: i64| (1_763_600_000 + n * 60) * SECOND;
    let moment = |host: u64, at: i64| super::pairs::Moment { key: host, client: host as u32, start: at, end: at };
    let all = |ahead: i64| (0..50).flat_map(move |h| (0..40).map(move |n| moment(h, at(n) + ahead))).collect::<Vec<_>>();
    let found = estimate(&all(7 * SECOND), &all(0), KeyKind::Service);
    assert_ne!(found.state, ClockState::Confident, "{found:?}");
    assert!(!found.applies());
}

/// A case in which `fw` shares connections with `eve` only, and `eve` with the capture.
fn three() -> (World, Estimates) {
    let mut world = World::new();
    let (pcap, eve, fw) = (world.source("pcap", "a"), world.source("suricata-eve", "a"), world.source("netfilter", "gw"));
    let lone = world.source("squid", "proxy");
    let ends = |n: i64| (format!("10.0.{}.{}:{}", n / 200, n % 200 + 1, 20_000 + n), format!("192.0.2.{}:443", n % 250));
    for n in 0..120 {
        // Some way apart, so that no other distance recurs.
        let at = n * n * 700 + n * 13_000;
        let (src, dst) = ends(n);
        if n < 80 {
            world.flow(pcap, at, at + 1_300, &src, &dst);
        }
        if n >= 30 {
            world.flow(eve, at + 250, at + 1_550, &src, &dst);
        }
        if n >= 80 {
            world.record(fw, Kind::Fw, at + 3_600_250, at + 3_600_250, &World::ends(&src, &dst));
        }
    }
    world.record(lone, Kind::Proxy, 5_000, 5_000, &World::ends("10.0.0.9:1", "192.0.2.9:80"));
    let snapshot = world.snapshot();
    let found = estimates(&snapshot, &Estimates::default(), &Cancel::default()).unwrap();
    (world, found)
}

/// Estimates of three logs that share few connections with the reference and many with each other, and how far the third is off before and after.
fn settled(seed: u64, wrong: i64) -> (Vec<ClockEstimate>, [f64; 2]) {
    let mut random = Random::new(seed);
    let day = synthetic::day(&mut random, 20_000, 500, 5_000);
    let offsets = [3_600.0, -7.25, 62.5];
    // The third has whole seconds only.
    let of = |offset: f64| {
        let resolution = if offset == offsets[2] { SECOND } else { SECOND / 1_000 };
        Log { offset, rows: 3_000, matched: 2_500, resolution, ..LOG }
    };
    // All three see the same part of the day; the reference has little of it.
    let (rest, seen) = (&day[..10_000], &day[10_000..13_000]);
    let logs: Vec<_> = offsets.iter().map(|o| synthetic::log(&mut random, seen, &of(*o), Shared::Service)).collect();
    let mut whole = synthetic::reference(rest, Shared::Service);
    whole.extend(synthetic::reference(&seen[..120], Shared::Service));
    let batch: Vec<(SourceId, Moments)> =
        (1..).zip(&logs).map(|(n, log)| (SourceId(n), Moments::made(KeyKind::Service, log.clone()))).collect();
    let compare = |a: &Moments, b: &Moments| ClockEstimate {
        meaning: Meaning::Start,
        ..estimate(a.of(KeyKind::Service), b.of(KeyKind::Service), KeyKind::Service)
    };
    let mut found: std::collections::BTreeMap<SourceId, ClockEstimate> =
        batch.iter().map(|(id, m)| (*id, compare(m, &Moments::made(KeyKind::Service, whole.clone())))).collect();
    assert!(found.values().all(|e| e.state == ClockState::Confident), "{found:?}");
    found.get_mut(&SourceId(3)).unwrap().pieces[0].offset += wrong;
    let off = |e: &ClockEstimate| error(e, &of(offsets[2])).abs();
    let before = off(&found[&SourceId(3)]);
    let name = |id: SourceId| format!("log{}", id.0);
    together::settle(&batch, &mut found, &name, &compare, &Cancel::default()).unwrap();
    let after = off(&found[&SourceId(3)]);
    (found.into_values().collect(), [before, after])
}

#[test]
fn clocks_that_were_compared_with_each_other_are_solved_together() {
    let mut sums = [0.0; 2];
    for seed in 0..6 {
        let (found, [before, after]) = settled(seed, 0);
        assert!(found.iter().all(|e| e.remarks.iter().any(|r| r == "2 other clocks agree with it")), "{found:?}");
        assert!(after < 0.1, "{seed}: {before} {after}");
        sums = [sums[0] + before, sums[1] + after];
    }
    assert!(sums[1] < sums[0], "solved together they are nearer the truth: {sums:?}");
}

#[test]
fn a_clock_that_two_others_contradict_is_not_applied() {
    let (found, _) = settled(1, 3_600 * SECOND);
    assert_eq!(found[2].state, ClockState::Ambiguous, "{:?}", found[2]);
    assert!(found[2].remarks.iter().any(|r| r.starts_with("compared with log")), "{:?}", found[2].remarks);
    assert!(found[..2].iter().all(|e| e.state == ClockState::Confident), "{found:?}");
}

#[test]
fn a_source_that_shares_nothing_with_the_reference_is_reached_through_a_third() {
    let (_, found) = three();
    let of = |id: u32| &found.of[&id].estimate;
    // The source with most flows is the reference.
    assert_eq!(found.reference.map(|id| id.0), Some(2));
    assert_eq!(of(2).state, ClockState::Reference);
    assert_eq!((of(1).state, of(1).pieces[0].offset), (ClockState::Confident, -250_000_000));
    assert_eq!((of(3).state, of(3).pieces[0].offset), (ClockState::Confident, 3_600 * SECOND));
    assert_eq!(of(4).state, ClockState::Unknown);
}

#[test]
fn times_of_other_centuries_are_not_compared() {
    let mut world = World::new();
    let (pcap, old) = (world.source("pcap", "a"), world.source("netfilter", "gw"));
    // 1700 and 2255, among others of today.
    for n in 0..30 {
        let (src, dst) = (format!("10.0.0.{n}:{}", 20_000 + n), "192.0.2.1:443");
        let now = 1_763_600_000_000 + n * n * 7_000;
        world.flow(pcap, now, now + 100, &src, dst);
        for at in [-8_520_336_000_000, 9_000_000_000_000, now + 5_000] {
            let at = if at == now + 5_000 { at } else { at + n * n * 7_000 };
            world.record(old, Kind::Fw, at, at, &World::ends(&src, dst));
        }
    }
    let found = estimates(&world.snapshot(), &Estimates::default(), &Cancel::default()).unwrap();
    assert_eq!(found.of[&2].estimate.pieces[0].offset, 5 * SECOND, "{:?}", found.of[&2]);
}

#[test]
fn what_was_measured_moves_times_from_the_next_view_on_and_stays_where_nothing_came() {
    let (mut world, found) = three();
    let store = world.store().clone();
    let before = store.snapshot();
    let first = |s: &crate::store::Snapshot| s.span_of(Some(crate::model::SourceId(3))).unwrap().start.0 / SECOND;
    assert_eq!(first(&before) - first(&store.snapshot()), 0);
    store.keep_estimates(found.clone()).unwrap();
    assert_eq!(first(&before) - first(&store.snapshot()), 3_600);
    let source = store.sources().into_iter().find(|s| s.id.0 == 3).unwrap();
    assert!(source.is_measured() && source.is_checked() && source.clock.shift == -3_600 * SECOND, "{source:?}");
    assert_eq!(estimates(&store.snapshot(), &found, &Cancel::default()).unwrap(), found);
    // Another source comes: the clocks that are sure are not measured again, that of which nothing was known is.
    let late = world.source("zeek-conn", "z");
    for n in 0..60 {
        world.flow(late, n * n * 9_000, n * n * 9_000 + 5, &format!("10.9.0.{n}:{}", 30_000 + n), "192.0.2.9:80");
    }
    let again = estimates(&world.snapshot(), &found, &Cancel::default()).unwrap();
    assert_eq!(again.of[&3], found.of[&3]);
    assert_ne!(again.of[&4].of, found.of[&4].of);
    assert_eq!(again.of[&5].estimate.state, ClockState::Unknown);
}

#[test]
fn clocks_are_compared_again_when_asked_and_while_a_case_grows() {
    use super::{has_grown, measure as again};
    let (mut world, found) = three();
    let store = world.store().clone();
    assert!(has_grown(&store), "nothing was compared yet");
    store.keep_estimates(found.clone()).unwrap();
    assert!(!has_grown(&store));
    // What was kept of one is wrong: asked, it is measured, and only it.
    let mut wrong = found.clone();
    wrong.of.get_mut(&3).unwrap().estimate = ClockEstimate::unknown();
    wrong.of.get_mut(&1).unwrap().estimate.keys = 7;
    store.keep_estimates(wrong).unwrap();
    let [fw] = &again(&store, Some(crate::model::SourceId(3)), &Cancel::default()).unwrap()[..] else { panic!() };
    assert_eq!((fw.estimate.as_ref(), fw.clock.shift), (Some(&found.of[&3].estimate), -3_600 * SECOND));
    assert_eq!(store.estimates().of[&1].estimate.keys, 7);
    assert_eq!(again(&store, None, &Cancel::default()).unwrap().len(), 4);
    assert_eq!(*store.estimates(), found);
    // A tenth more is not worth it, a fifth is.
    let late = world.source("zeek-conn", "z");
    let flow = |world: &mut World, n: i64| {
        let _ = world.flow(late, n * n * 9_000, n * n * 9_000 + 5, &format!("10.9.0.{n}:{}", 30_000 + n), "192.0.2.9:80");
    };
    (0..20).for_each(|n| flow(&mut world, n));
    world.snapshot();
    assert!(!has_grown(&store));
    (20..50).for_each(|n| flow(&mut world, n));
    world.snapshot();
    assert!(has_grown(&store));
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(again(&store, None, &cancel).is_err());
    assert_eq!(*store.estimates(), found, "what was given up changes nothing");
}
