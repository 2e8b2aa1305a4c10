//! Probe and parser of one protocol. The first byte is its number in the list, the next chooses among its transports; segments of both sides follow.
#![no_main]

use backtrail::protocols::{self, Ends, Out, Parser};
use backtrail_fuzz::{at, segments};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: backtrail_fuzz::strict(), |data: &[u8]| {
    let [which, over, rest @ ..] = data else { return };
    let protocol = protocols::ALL[usize::from(*which) % protocols::ALL.len()];
    let transports = protocol.over();
    let proto = transports[usize::from(*over) % transports.len()];
    let ends = Ends { src: [10, 0, 0, 1].into(), src_port: 40_000, dst: [10, 0, 0, 2].into(), dst_port: 21, proto };
    let mut parser = protocol.parser(&ends);
    // What it announces is fed too, as another flow would be.
    let mut announced: Vec<Box<dyn Parser>> = Vec::new();
    let (mut n, mut over) = (0, false);
    segments(rest, &mut |side, bytes| {
        n += 1;
        let mut out = Out::default();
        match bytes {
            Some(bytes) => {
                let _ = protocol.probe(side, bytes, &ends);
                for parser in &mut announced {
                    parser.data(side, bytes, at(n), &mut out);
                }
                if !over && !bytes.is_empty() {
                    parser.data(side, bytes, at(n), &mut out);
                }
            }
            None => {
                for parser in &mut announced {
                    parser.gap(side, 100, at(n), &mut out);
                }
                if !over {
                    parser.gap(side, 100, at(n), &mut out);
                }
            }
        }
        over |= out.done || out.violated;
        if announced.len() < 4 {
            announced.extend(out.expect.drain(..).map(|e| e.parser).take(1));
        }
    });
    parser.end(&mut Out::default());
    for parser in &mut announced {
        parser.end(&mut Out::default());
    }
});
