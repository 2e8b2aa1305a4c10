//! Every log format, through the loop that cuts a stream into lines. The first byte is its number in the list. A reader that panics is found
//! though the loop survives it.
#![no_main]

use backtrail::formats::{self, Context, Unit, Zone, lines};
use backtrail::model::{EvidenceKey, Time, guard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let format = formats::ALL[usize::from(*which) % formats::ALL.len()];
    let context = Context {
        evidence: EvidenceKey(1),
        stem: "x".to_owned(),
        zone: Zone::Fixed(3600),
        year: None,
        dates: Default::default(),
        modified: Time(1_700_000_000_000_000_000),
    };
    let _ = format.sniff(rest);
    let mut input = rest;
    let read = lines::read(&mut input, format, &context, Unit::default(), rest, &mut |_, out| {
        assert!(out.oddities.iter().all(|o| o.what != guard::PANICKED), "{} panicked", format.name());
        true
    });
    assert!(read.is_ok());
});
