//! Zip and tar. The first byte is the kind; members are unpacked within a small budget.
#![no_main]

use backtrail::sources::archive::keys::Keys;
use backtrail::sources::archive::limits::Budget;
use backtrail::sources::archive::{self, ArchiveKind, Bytes};
use backtrail::sources::compression::Compression;
use libfuzzer_sys::fuzz_target;
use std::rc::Rc;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let kind = if kind & 1 == 0 { ArchiveKind::Zip } else { ArchiveKind::Tar };
    let given = ["infected".to_owned()];
    let keys = Keys::new(&given, None);
    let budget = Budget::with(1 << 20, 100, Rc::new(|| false));
    let mut unpacked = 0;
    let _ = archive::walk(kind, &Bytes::Memory(rest.to_vec().into()), Compression::None, &budget, &keys, &mut |member, unpack| {
        assert!(!member.name.chars().any(char::is_control));
        let mut out = Vec::new();
        let _ = unpack(&mut out);
        unpacked += out.len();
        true
    });
    assert!(unpacked <= 2 << 20, "{unpacked} bytes of a budget of one MiB");
});
