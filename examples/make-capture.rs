//! A large capture for measuring: the small real captures of `sample-data/protocols` over and over, each time between other hosts and at
//! another time, and transfers of frames in IMIX sizes (7 of 64, 4 of 576, 1 of 1,500 bytes) between them. The same arguments give the same
//! bytes on every machine.
//!
//! `cargo run --release --example make-capture -- OUT [MEBIBYTES]` (2,048 by default: about 200,000 flows).

use backtrail::model::packet::LinkType;
use backtrail::sources::capture::{self, CaptureKind, Item};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// When it begins: 2026-11-17T08:00:00Z in microseconds.
const BEGIN: u64 = 1_794_902_400_000_000;
/// From the start of a conversation to that of the next, on average.
const APART: u64 = 25_000;
/// A longer silence within a sample is shortened to this.
const SILENCE: u64 = 5_000_000;
/// Of so many conversations one is a transfer.
const TRANSFERS: u64 = 4;

/// A conversation, or several, as a sample has them.
struct Sample {
    /// Microseconds after its first frame, and the frame.
    frames: Vec<(u64, Vec<u8>)>,
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

fn mix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: make-capture OUT [MEBIBYTES]")?;
    let bytes = arguments.next().map_or(Ok(2048), |n| n.parse::<u64>())? << 20;
    let mut samples = read_samples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/protocols"))?;
    let real = samples.len() as u64;
    samples.extend((0..32).map(transfer));
    let (written, frames, conversations) = write(BufWriter::new(File::create(&out)?), &samples, real, bytes)?;
    println!("{out}: {written} bytes, {frames} frames, {conversations} samples of {}", samples.len());
    Ok(())
}

fn read_samples(folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "pcap"));
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        let bytes = fs::read(&path)?;
        let kind = CaptureKind::of(&bytes).ok_or("not a capture")?;
        let mut frames: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut first, mut last, mut at) = (None, 0, 0);
        capture::read(kind, &mut &bytes[..], &mut |item| {
            if let Item::Packet(p) = item
                && p.link == LinkType::ETHERNET
                && p.data.len() == p.wire_len as usize
            {
                let time = p.time.0 / 1000;
                first.get_or_insert(time);
                at += u64::try_from(time - if frames.is_empty() { time } else { last }).unwrap_or(0).min(SILENCE);
                last = time;
                frames.push((at, p.data.to_vec()));
            }
            true
        });
        if !frames.is_empty() {
            out.push(Sample { frames });
        }
    }
    Ok(out)
}

/// A transfer over HTTP, in IMIX sizes, of some hundred frames.
fn transfer(n: u64) -> Sample {
    let mut rng = Rng(n);
    let packets = 10 + rng.below(40) * (1 + rng.below(14));
    let sizes: Vec<usize> =
        (0..packets).map(|_| [64, 64, 64, 64, 64, 64, 64, 576, 576, 576, 576, 1500][rng.below(12) as usize] - 54).collect();
    let total: usize = sizes.iter().sum();
    let (mut sequence, mut frames, mut at) = ([1000u32, 5000u32], Vec::new(), 0u64);
    let mut say = |side: usize, flags: u8, payload: &[u8]| {
        frames.push((at, tcp(side, sequence[side], sequence[1 - side], flags, payload)));
        at += 200 + rng.below(4000);
        sequence[side] += payload.len() as u32 + u32::from(flags & 3 != 0);
    };
    say(0, 0x02, b"");
    say(1, 0x12, b"");
    say(0, 0x10, b"");
    say(0, 0x18, format!("GET /object/{n} HTTP/1.1\r\nHost: files{n}.example\r\nUser-Agent: bench\r\n\r\n").as_bytes());
    say(
        1,
        0x18,
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {total}\r\n\r\n").as_bytes(),
    );
    for (k, size) in sizes.iter().enumerate() {
        let payload: Vec<u8> = (0..*size).map(|i| mix((n << 32) | ((k * 2000 + i) as u64 / 8)) as u8).collect();
        say(1, 0x10, &payload);
        if k % 2 == 1 {
            say(0, 0x10, b"");
        }
    }
    say(1, 0x11, b"");
    say(0, 0x11, b"");
    say(1, 0x10, b"");
    Sample { frames }
}

fn tcp(side: usize, sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut ends = [([10, 0, 0, 1], 49_200u16), ([192, 0, 2, 80], 80u16)];
    ends.rotate_left(side);
    let [(from, from_port), (to, to_port)] = ends;
    let mut segment = Vec::with_capacity(20 + payload.len());
    segment.extend_from_slice(&from_port.to_be_bytes());
    segment.extend_from_slice(&to_port.to_be_bytes());
    segment.extend_from_slice(&sequence.to_be_bytes());
    segment.extend_from_slice(&(if flags & 0x10 != 0 { acknowledged } else { 0 }).to_be_bytes());
    segment.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    let pseudo = [&from[..], &to[..], &[0, 6], &(segment.len() as u16).to_be_bytes()].concat();
    let sum = !fold(ones(&pseudo) + ones(&segment));
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut ip = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0];
    ip[2..4].copy_from_slice(&(segment.len() as u16 + 20).to_be_bytes());
    ip.extend_from_slice(&from);
    ip.extend_from_slice(&to);
    let sum = !fold(ones(&ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&[2, 0, 0, 0, 0, 1 + side as u8, 2, 0, 0, 0, 0, 2 - side as u8, 8, 0][..], &ip, &segment].concat()
}

/// The sum of the 16-bit words (RFC 1071).
fn ones(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|c| u64::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Puts other bytes into a frame and its checksum right (RFC 1624); a checksum of zero in UDP stays one that is not there.
fn replace(frame: &mut [u8], at: usize, new: &[u8], sums: &[usize]) {
    let old: Vec<u8> = frame[at..at + new.len()].to_vec();
    frame[at..at + new.len()].copy_from_slice(new);
    for sum in sums {
        let Some(place) = frame.get_mut(*sum..*sum + 2) else { continue };
        let now = u64::from(!u16::from_be_bytes([place[0], place[1]]));
        let changed = now + old.chunks(2).map(|c| u64::from(!u16::from_be_bytes([c[0], c[1]]))).sum::<u64>() + ones(new);
        place.copy_from_slice(&(!fold(changed)).to_be_bytes());
    }
}

/// The same frame between other hosts: those of the 10/8 stay in it, others become others outside.
fn rebase(frame: &mut [u8], instance: u64) {
    let Some(kind) = frame.get(12..14) else { return };
    let other = |old: &[u8]| {
        let hash = mix((instance << 32) ^ ones(old).rotate_left(7) ^ u64::from(old[old.len() - 1])) as u32;
        hash.to_be_bytes()
    };
    match kind {
        [8, 0] if frame.len() >= 34 => {
            let (header, last) = (14 + usize::from(frame[14] & 15) * 4, u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff);
            let carried = match (frame[23], last) {
                (6, 0) => Some(header + 16),
                (17, 0) if frame.get(header + 6..header + 8).is_some_and(|c| c != [0, 0]) => Some(header + 6),
                _ => None,
            };
            for at in [26, 30] {
                let old = [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]];
                if old[0] >= 224 {
                    continue;
                }
                let mut new = other(&old);
                new[0] = if matches!(old[0], 10 | 172 | 192) { 10 } else { 100 + old[0] % 64 };
                replace(frame, at, &new, &[&[24][..], carried.as_slice()].concat());
            }
        }
        [0x86, 0xdd] if frame.len() >= 54 => {
            let carried = match frame[20] {
                6 => Some(54 + 16),
                17 => Some(54 + 6),
                58 => Some(54 + 2),
                _ => None,
            };
            for at in [22, 38] {
                if frame[at] == 0xff {
                    continue;
                }
                let new = other(&frame[at..at + 16]);
                replace(frame, at + 12, &new, carried.as_slice());
            }
        }
        _ => {}
    }
}

/// A conversation that goes on: when its next frame is due, which it is, its sample, the frame's number, when it began.
type Going = (u64, u64, usize, usize, u64);

fn write(mut out: impl Write, samples: &[Sample], real: u64, bytes: u64) -> io::Result<(u64, u64, u64)> {
    let mut rng = Rng(20_261_117);
    out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])?;
    let (mut written, mut frames, mut started, mut next) = (24u64, 0u64, 0u64, 0u64);
    let mut going: BinaryHeap<Reverse<Going>> = BinaryHeap::new();
    let mut frame = Vec::new();
    while written < bytes || !going.is_empty() {
        let due = going.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        if written < bytes && next <= due {
            let long = rng.below(TRANSFERS) == 0;
            let sample = if long { real + rng.below(samples.len() as u64 - real) } else { rng.below(real) };
            going.push(Reverse((next, started, sample as usize, 0, next)));
            started += 1;
            next += rng.below(2 * APART);
            continue;
        }
        let Some(Reverse((at, instance, sample, number, begun))) = going.pop() else { break };
        let (_, bytes) = &samples[sample].frames[number];
        frame.clear();
        frame.extend_from_slice(bytes);
        rebase(&mut frame, instance);
        let (time, length) = (BEGIN + at, frame.len() as u32);
        for word in [(time / 1_000_000) as u32, (time % 1_000_000) as u32, length, length] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame)?;
        written += 16 + u64::from(length);
        frames += 1;
        if let Some((after, _)) = samples[sample].frames.get(number + 1) {
            going.push(Reverse((begun + after, instance, sample, number + 1, begun)));
        }
    }
    out.flush()?;
    Ok((written, frames, started))
}
