//! What calls at a beat is found, told once, and graded by what is known besides.

use super::*;
use crate::detectors::trial::{FRIDAY, Trial};

/// 2026-11-20T00:00:00Z.
const DAY_BEGIN: f64 = (FRIDAY - 28_800) as f64;

/// Something that happens at no beat, so that the day is a whole day and hosts enough talk.
fn others(trial: &mut Trial, day: i64) {
    let begin = DAY_BEGIN + (day * 86_400) as f64;
    for host in 20..60u32 {
        let mut state = u64::from(host) * 977 + day as u64;
        let mut at = 0.0;
        while at < 86_300.0 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = (state >> 11) as f64 / (1u64 << 53) as f64;
            trial.flow(begin + at, &format!("10.0.0.{host}"), &format!("192.0.2.{}", 100 + state % 40), 443).bytes_out =
                400 + state % 90_000;
            at += 6_000.0 * x * x + 1.0;
        }
    }
}

#[test]
fn a_rare_new_beat_on_several_days_is_one_grave_finding() {
    let mut trial = Trial::new();
    for day in 0..8 {
        others(&mut trial, day);
    }
    for day in 5..8 {
        for n in 0..280 {
            let off = f64::from((n * n * 7 + n * 3 + day) % 29) - 14.0;
            trial
                .flow(DAY_BEGIN + f64::from(day) * 86_400.0 + f64::from(n) * 300.0 + 20.0 + off, "10.0.0.5", "203.0.113.9", 443)
                .bytes_out = 960 + (n as u64 * 13) % 21;
        }
    }
    trial.query(DAY_BEGIN + 5.0 * 86_400.0, "10.0.0.5", "evil.example", "A", "NOERROR", &["203.0.113.9"]);
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1, "{:#?}", found.iter().map(|f| &f.title).collect::<Vec<_>>());
    let f = &found[0];
    assert_eq!((f.severity, f.rows, f.service, f.name.as_deref()), (3, 840, Some((6, 443)), Some("evil.example")));
    assert!(f.title.starts_with("10.0.0.5 calls 203.0.113.9 (evil.example) 443/tcp every 5 min (300 s ± "), "{}", f.title);
    assert!(f.title.ends_with("840 connections on 3 days from 2026-11-25 to 2026-11-27"), "{}", f.title);
    let number = |name: &str| f.numbers.iter().find(|n| n.name == name).map(|n| n.value.clone()).unwrap_or_default();
    assert!(number("score of the best day").parse::<f64>().unwrap() > 0.95);
    assert!(f.numbers.iter().any(|n| n.name.starts_with("first called on 2026-11-25, after 5 days")), "{:?}", f.numbers);
    assert!(f.query.starts_with("kind = flow and src.ip = 10.0.0.5 and dst.ip = 203.0.113.9 and between"), "{}", f.query);
}

#[test]
fn a_working_day_is_found_by_its_spectrum_only() {
    let mut trial = Trial::new();
    others(&mut trial, 0);
    for n in 0..240 {
        let off = f64::from((n * 11) % 37) - 18.0;
        trial.flow(DAY_BEGIN + 32_400.0 + f64::from(n) * 120.0 + off, "10.0.0.5", "203.0.113.9", 443);
    }
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1);
    assert!(found[0].caveats.iter().any(|c| c.contains("only the periodogram")), "{:?}", found[0].caveats);
    assert!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "exact", 1.0)).is_empty());
    assert_eq!(trial.found_by(&DETECTOR, &Limits::new().with(NAME, "exact", 1.0).with(NAME, "score", 0.6)).len(), 1);
}

#[test]
fn retries_broadcasts_and_what_comes_from_outside_are_no_beat() {
    let mut trial = Trial::new();
    others(&mut trial, 0);
    for n in 0..1_440 {
        let at = DAY_BEGIN + f64::from(n) * 60.0;
        trial.unanswered(at, "10.0.0.5", "203.0.113.9", 443);
        trial.flow(at, "10.0.0.5", "224.0.0.251", 5_353);
        trial.flow(at, "10.0.0.5", "255.255.255.255", 67);
        trial.flow(at, "203.0.113.9", "10.0.0.5", 443);
    }
    assert!(trial.found(&DETECTOR).is_empty());
    let exact = trial.found_by(&DETECTOR, &Limits::new().with(NAME, "exact", 1.0));
    assert_eq!(exact.iter().map(|f| f.peer.unwrap().to_string()).collect::<Vec<_>>(), ["203.0.113.9"]);
}

#[test]
fn clocks_servers_of_the_site_and_what_many_do_are_told_as_such() {
    let mut trial = Trial::new();
    others(&mut trial, 0);
    let update = trial.word("update.vendor.example");
    for n in 0..96u32 {
        for host in 1..=6u32 {
            let at = DAY_BEGIN + f64::from(n) * 900.0 + f64::from(host * 17 + n % 5);
            // One name at changing addresses.
            let to = format!("203.0.113.{}", 20 + (n + host) % 3);
            trial.flow(at, &format!("10.0.0.{host}"), &to, 443).name = update;
            trial.flow(at, &format!("10.0.0.{host}"), "10.0.0.250", 445);
        }
        let clock = trial.flow(DAY_BEGIN + f64::from(n) * 900.0, "10.0.0.250", "192.0.2.123", 123);
        clock.proto = proto::UDP;
    }
    let found = trial.found(&DETECTOR);
    let mut told: Vec<(&str, u8)> = found.iter().map(|f| (f.title.as_str(), f.severity)).collect();
    told.sort_unstable();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].0.starts_with("10.0.0.250 calls 192.0.2.123 123/udp every 15 min") && told[0].1 == 1, "{told:?}");
    assert!(told[1].0.starts_with("6 hosts call 10.0.0.250 inside at a beat") && told[1].1 == 0, "{told:?}");
    assert!(told[2].0.starts_with("6 hosts call update.vendor.example at a beat") && told[2].1 == 1, "{told:?}");
}

#[test]
fn beats_below_a_second_are_measured() {
    let mut trial = Trial::new();
    others(&mut trial, 0);
    for n in 0..4_000 {
        trial.flow(DAY_BEGIN + 30_000.0 + f64::from(n) * 2.5, "10.0.0.5", "203.0.113.9", 443);
    }
    let found = trial.found(&DETECTOR);
    assert_eq!(found.len(), 1);
    assert!(found[0].title.contains("every 2.5 s (± 0 s)"), "{}", found[0].title);
}

#[test]
fn when_the_day_is_too_full_pairs_with_little_go_first() {
    let mut beacons = Beacons::default();
    let sample = |src: u32, tick: u32| Sample {
        src: Host(src),
        dst: Host(1),
        name: Word::NONE,
        tick,
        bytes: 1,
        port: 443,
        proto: 6,
        source: SourceId(1),
        id: Id::default(),
    };
    beacons.samples = (0..100u32).flat_map(|n| (0..=n % 10).map(move |k| sample(n, k))).collect();
    let before = beacons.samples.len();
    beacons.thin();
    let after = beacons.samples.len();
    assert!(beacons.samples.take().chunk_by(|a, b| a.src == b.src).all(|c| c.len() > 3));
    assert_eq!(beacons.lost as usize, before - after);
}

#[test]
fn what_is_over_in_seconds_is_a_burst_and_no_beat() {
    let found = |count: u32, apart: f64, limits: &Limits| {
        let mut trial = Trial::new();
        for n in 0..count {
            trial.flow(DAY_BEGIN + 40_000.0 + f64::from(n) * apart, "10.0.0.5", "203.0.113.9", 22);
        }
        trial.found_by(&DETECTOR, limits).len()
    };
    // The same beat for a while is one.
    assert_eq!((found(40, 0.5, &Limits::new()), found(400, 0.5, &Limits::new())), (0, 1));
    assert_eq!(found(40, 0.5, &Limits::new().with(NAME, "span", 1.0)), 1);
}
