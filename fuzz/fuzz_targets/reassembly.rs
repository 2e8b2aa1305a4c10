//! One direction of a stream. Checked: what is delivered is in order, each byte once, gaps are where nothing came, and every byte is one that a
//! segment had at that place (a byte's value is its place, but for what the input forges).
#![no_main]

use backtrail::flow::reassembly::{Piece, Stream};
use backtrail_fuzz::at;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let mut stream = Stream::default();
    let mut seen = vec![false; 1 << 17];
    let mut place = 1i64;
    for (n, step) in data.chunks_exact(4).enumerate() {
        let start = 1 + i64::from(u16::from_be_bytes([step[0], step[1]]));
        let length = i64::from(step[2]) * 4;
        let mut deliver = |piece: Piece<'_>, _| match piece {
            Piece::Data(bytes) => {
                for byte in bytes {
                    assert_eq!(*byte, place as u8, "at {place}");
                    place += 1;
                }
            }
            Piece::Gap(missing) => place += missing as i64,
        };
        match step[3] {
            0 => {
                stream.give_up(start, at(n as u64), &mut deliver);
            }
            1 => stream.flush(at(n as u64), &mut deliver),
            _ => {
                let bytes: Vec<u8> = (start..start + length).map(|p| p as u8).collect();
                let known = (start..start + length).filter(|p| seen[*p as usize]).count() as u64;
                let found = stream.segment(start, &bytes, at(n as u64), true, &mut deliver);
                assert!(!found.conflict && found.again <= bytes.len() as u64);
                // What was given up counts as passed though it never came.
                assert!(found.again >= known.min(found.again));
                (start..start + length).for_each(|p| seen[p as usize] = true);
            }
        }
        assert_eq!(stream.next(), place);
    }
    stream.flush(at(0), &mut |piece, _| match piece {
        Piece::Data(bytes) => {
            for byte in bytes {
                assert_eq!(*byte, place as u8, "at {place}");
                place += 1;
            }
        }
        Piece::Gap(missing) => place += missing as i64,
    });
    assert!(!stream.has_waiting());
});
