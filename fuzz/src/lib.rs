//! What the targets share.

use backtrail::model::{Time, guard};
use backtrail::protocols::{At, Side};
use std::sync::Once;

/// Makes a panic in the program's own code the end of a run, also behind the boundary that turns panics into oddities. One in a dependency
/// behind that boundary is what it is there for: it stays an oddity.
pub fn strict() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // The boundary's own hook is set by its first call: this one goes around it.
        let _ = guard::quietly(|| ());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let theirs = info.location().is_some_and(|l| l.file().contains("/registry/") || l.file().contains("/rustc/"));
            if guard::is_quiet() && !theirs {
                eprintln!("{info}");
                std::process::abort();
            }
            before(info);
        }));
    });
}

/// A place in a made-up capture.
pub fn at(n: u64) -> At {
    At { time: Time(1_700_000_000_000_000_000 + n as i64 * 1_000_000), offset: 24 + n * 100 }
}

/// Segments of both sides: a byte whose lowest bit is the side and whose others are the length (0: as much as is left), then the bytes. A
/// length of 127 is a gap of 100 bytes.
pub fn segments(mut data: &[u8], each: &mut dyn FnMut(Side, Option<&[u8]>)) {
    while let Some((head, rest)) = data.split_first() {
        let side = if head & 1 == 0 { Side::Out } else { Side::In };
        let length = match head >> 1 {
            127 => {
                each(side, None);
                data = rest;
                continue;
            }
            0 => rest.len(),
            // Short ones to cut where it hurts, long ones to get on.
            n @ 1..=63 => usize::from(n),
            n => (usize::from(n) - 63) * 24,
        };
        let (now, after) = rest.split_at(length.min(rest.len()));
        each(side, Some(now));
        data = after;
    }
}
