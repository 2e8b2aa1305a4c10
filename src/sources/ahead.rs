//! A capture read on a thread of its own, while what was read before is taken: for files. A stream is read where it is taken, since its packets
//! are wanted as they come.

use super::capture::{self, CaptureKind, End, Interface, Item};
use super::missed::Missed;
use super::packets::Packets;
use crate::model::Oddity;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::io::Read;
use std::net::IpAddr;

/// Bytes and items that are handed over at once, and how often that may wait.
const BYTES: usize = 512 << 10;
const STEPS: usize = 4096;
const WAITING: usize = 4;

/// An item that owns what it says.
enum Step {
    /// The next packet.
    Packet,
    Interface(Box<Interface>),
    Comment(String, u64),
    Name(IpAddr, String, u64),
    Missed(Box<Missed>),
    Oddity(Box<Oddity>, u64),
}

/// Items in order.
#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    packets: Packets,
    /// Bytes of texts.
    texts: usize,
}

impl Batch {
    fn add(&mut self, item: Item<'_>) {
        let step = match item {
            Item::Packet(packet) => {
                self.packets.push(&packet);
                Step::Packet
            }
            Item::Interface(interface) => {
                self.texts += interface.name.len();
                Step::Interface(Box::new(interface.clone()))
            }
            Item::Comment(text, at) => {
                self.texts += text.len();
                Step::Comment(text, at)
            }
            Item::Name(addr, name, at) => {
                self.texts += name.len();
                Step::Name(addr, name, at)
            }
            Item::Missed(missed) => Step::Missed(Box::new(missed)),
            Item::Oddity(oddity, at) => Step::Oddity(Box::new(oddity), at),
        };
        self.steps.push(step);
    }
    fn is_full(&self) -> bool {
        self.steps.len() >= STEPS || self.packets.bytes().saturating_add(self.texts) >= BYTES
    }
    /// Gives the items until one is not wanted any more, and is empty then.
    fn give(&mut self, each: &mut dyn FnMut(Item<'_>) -> bool) -> bool {
        let mut packets = self.packets.iter();
        let wanted = self.steps.drain(..).all(|step| match step {
            Step::Packet => packets.next().is_none_or(|packet| each(Item::Packet(packet))),
            Step::Interface(interface) => each(Item::Interface(&interface)),
            Step::Comment(text, at) => each(Item::Comment(text, at)),
            Step::Name(addr, name, at) => each(Item::Name(addr, name, at)),
            Step::Missed(missed) => each(Item::Missed(*missed)),
            Step::Oddity(oddity, at) => each(Item::Oddity(*oddity, at)),
        });
        drop(packets);
        self.packets.clear();
        self.texts = 0;
        wanted
    }
}

/// Reads a capture to its end as [`capture::read`] does, with the same items in the same order; `each` returns false to stop.
pub fn read(kind: CaptureKind, input: &mut (dyn Read + Send), each: &mut dyn FnMut(Item<'_>) -> bool) -> End {
    let (to, from) = bounded(WAITING);
    let (back, used) = unbounded();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || fill(kind, input, &to, &used));
        let wanted = from.iter().all(|mut batch: Batch| {
            let wanted = batch.give(each);
            // Its memory is used again: that of a new one would have to be cleared by the system first.
            let _ = back.send(batch);
            wanted
        });
        drop((from, back));
        let mut end = reader.join().unwrap_or_else(|_| End { damage: Some(("the reader panicked".into(), 0)), ..End::default() });
        end.stopped |= !wanted;
        end
    })
}

fn fill(kind: CaptureKind, input: &mut dyn Read, to: &Sender<Batch>, used: &Receiver<Batch>) -> End {
    let mut batch = Batch::default();
    let mut out = 0;
    let mut send = |batch: &mut Batch| -> bool {
        // Hostile packets are large: of batches with such there is one at a time.
        let large = batch.packets.bytes() > 4 * BYTES;
        let sent = to.send(std::mem::take(batch)).is_ok();
        out += 1;
        while out > 0
            && let Some(back) = if large { used.recv().ok() } else { used.try_recv().ok() }
        {
            out -= 1;
            if !large {
                *batch = back;
                break;
            }
        }
        sent
    };
    let end = capture::read(kind, input, &mut |item| {
        batch.add(item);
        !batch.is_full() || send(&mut batch)
    });
    send(&mut batch);
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    type Reader = fn(CaptureKind, &mut (dyn Read + Send), &mut dyn FnMut(Item<'_>) -> bool) -> End;

    fn direct(kind: CaptureKind, input: &mut (dyn Read + Send), each: &mut dyn FnMut(Item<'_>) -> bool) -> End {
        capture::read(kind, input, each)
    }

    fn items(read: Reader, bytes: &[u8], most: usize) -> (Vec<String>, End) {
        let mut all = Vec::new();
        let kind = CaptureKind::of(bytes).unwrap();
        let end = read(kind, &mut &bytes[..], &mut |item| {
            all.push(format!("{item:?}"));
            all.len() < most
        });
        (all, end)
    }

    /// Every capture of the samples, by name.
    fn samples() -> Vec<Vec<u8>> {
        let (mut found, mut folders) = (Vec::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(bytes) = std::fs::read(&path).ok().filter(|b| CaptureKind::of(b).is_some()) {
                    found.push(bytes);
                }
            }
        }
        found
    }

    #[test]
    fn it_gives_what_reading_where_it_is_taken_gives() {
        let samples = samples();
        assert!(samples.len() > 40, "{}", samples.len());
        for bytes in samples {
            for part in [bytes.len(), bytes.len() * 2 / 3, bytes.len() / 2 + 7] {
                assert_eq!(items(read, &bytes[..part], usize::MAX), items(direct, &bytes[..part], usize::MAX));
            }
        }
    }

    #[test]
    fn it_stops_when_no_more_is_wanted() {
        for bytes in samples().into_iter().take(10) {
            let (all, end) = items(read, &bytes, 3);
            let (same, _) = items(direct, &bytes, 3);
            assert_eq!(all, same);
            assert!(end.stopped || all.len() < 3);
        }
    }

    /// Packets of so many bytes each.
    fn capture(lengths: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0, 1] {
            out.extend(n.to_le_bytes());
        }
        for (i, length) in lengths.iter().enumerate() {
            for n in [i, 0, *length, *length] {
                out.extend((n as u32).to_le_bytes());
            }
            out.resize(out.len() + length, i as u8);
        }
        out
    }

    #[test]
    fn many_batches_and_large_packets_pass() {
        let mut lengths: Vec<usize> = (0..20_000).map(|i| i % 700).collect();
        lengths.extend([3 << 20, 5 << 20, 60, 4 << 20]);
        let bytes = capture(&lengths);
        let mut got = Vec::new();
        let end = read(CaptureKind::Pcap, &mut &bytes[..], &mut |item| {
            if let Item::Packet(p) = item {
                assert!(p.data.iter().all(|b| *b == got.len() as u8));
                got.push(p.data.len());
            }
            true
        });
        assert_eq!(got, lengths);
        assert_eq!((end.packets, end.bytes, end.stopped), (lengths.len() as u64, bytes.len() as u64, false));
    }
}
