//! What the targets share.

use backtrail::protocols::{At, Side};
use backtrail::model::Time;

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
