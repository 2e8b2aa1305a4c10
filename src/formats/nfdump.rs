//! Files of nfcapd and nfdump 1.7, layout 2 (`nffileV2.h`, `nfxV3.h` of phaag/nfdump), not compressed or with LZO, bzip2, LZ4 or zstd.
//!
//! What nfdump calls in is the originator's, what it calls out is what came back. Times are in milliseconds UTC; where nfcapd understood none, the
//! record stands at when it was received. Counts of records that say that they are sampled were multiplied by nfcapd. Each exporter, and each
//! observation domain of it, is a source. Layout 1 (nfdump 1.6) and encrypted files are said to be not read.

mod extensions;
mod lzo;

use super::netflow::record::Reading;
use super::netflow::state::State;
use super::netflow::times::Exported;
use super::{Context, Format, Framing, Loss, Out, Reader, Sniff, Status, Unit};
use crate::model::hex::hex;
use crate::model::oddity::Oddity;
use hashbrown::HashMap;
use std::io::{BufRead, Read};
use std::net::IpAddr;

/// The format.
pub static FORMAT: Nfdump = Nfdump;

/// Files of nfdump.
pub struct Nfdump;

impl Format for Nfdump {
    fn name(&self) -> &'static str {
        "nfdump"
    }
    fn doc(&self) -> &'static str {
        "Files of nfcapd and nfdump 1.7 (layout 2), compressed or not: NetFlow, IPFIX, sFlow, NSEL and NAT records (phaag/nfdump, nffileV2.h)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let known = Order::of(head).is_some_and(|order| matches!(order.uint(head, 2, 2), Some(1..=3)));
        if known && head.len() >= 16 { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Blocks { context: context.clone(), exporters: HashMap::new(), state: State::default() })
    }
}

const MAGIC: u16 = 0xa50c;
const HEADER: u64 = 40;
const BLOCK: usize = 12;
/// Longest block, packed or not: nfdump's own are of 1 to 5 MB.
const LONGEST: usize = 32 << 20;
/// Exporters that are known.
const EXPORTERS: usize = 65_536;

/// The order of bytes in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    big: bool,
}

impl Order {
    fn of(head: &[u8]) -> Option<Order> {
        let first = <[u8; 2]>::try_from(head.get(..2)?).ok()?;
        match (u16::from_le_bytes(first), u16::from_be_bytes(first)) {
            (MAGIC, _) => Some(Order { big: false }),
            (_, MAGIC) => Some(Order { big: true }),
            _ => None,
        }
    }
    /// An unsigned number.
    fn uint(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let part = bytes.get(at..at.checked_add(width)?)?;
        let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if self.big { part.iter().fold(0, add) } else { part.iter().rev().fold(0, add) })
    }
}

struct Blocks {
    context: Context,
    exporters: HashMap<u64, String>,
    state: State,
}

/// A block, and where it stands.
struct Block<'a> {
    bytes: &'a [u8],
    /// Offset of its first byte in the file.
    at: u64,
    /// Its own length, where its records have no places of their own.
    packed: Option<usize>,
    order: Order,
}

fn failed(what: &'static str, place: String, offset: u64) -> (Status, Out) {
    (Status::Failed, Out { oddities: vec![Oddity::at(what, place)], unit: Unit { offset, line: 0 }, ..Out::default() })
}

impl Reader for Blocks {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut say = |what, place: String, at| {
            let (status, out) = failed(what, place, at);
            each(status, out)
        };
        let mut head = Vec::new();
        if (&mut *input).take(HEADER).read_to_end(&mut head).is_err() || head.len() < HEADER as usize {
            say("nfdump_cut", format!("the file header has {} of {HEADER} bytes", head.len()), 0);
            return;
        }
        let Some(order) = Order::of(&head) else {
            say("nfdump_cut", "no nfdump file".into(), 0);
            return;
        };
        let (layout, compression, encryption) = (order.uint(&head, 2, 2).unwrap_or(0), head[16], head[17]);
        let why = match (layout, encryption) {
            (2, 0) => None,
            (2, _) => Some("the file is encrypted".to_owned()),
            (1, _) => Some("layout 1, of nfdump 1.6: `nfdump -r OLD -w NEW` of version 1.7 makes it one that is read".to_owned()),
            (n, _) => Some(format!("layout {n}")),
        };
        if let Some(why) = why {
            say("nfdump_layout_not_read", why, 0);
            return;
        }
        let mut at = HEADER;
        loop {
            let mut head = Vec::new();
            let failure = (&mut *input).take(BLOCK as u64).read_to_end(&mut head).err();
            if head.is_empty() && failure.is_none() {
                return;
            }
            let size = order.uint(&head, 4, 4).filter(|_| head.len() == BLOCK);
            let (kind, flags) = (order.uint(&head, 8, 2).unwrap_or(0), order.uint(&head, 10, 2).unwrap_or(0));
            let Some(size) = size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= LONGEST && (1..=16).contains(&kind))
            else {
                let (status, out) = failed("nfdump_block_damaged", format!("the block at byte {at} has no head that can be"), at);
                each(status, out);
                return;
            };
            let mut bytes = Vec::new();
            let _ = (&mut *input).take(size as u64).read_to_end(&mut bytes);
            let begin = at + BLOCK as u64;
            at = begin + bytes.len() as u64;
            let cut = bytes.len() < size;
            let unpacked = if compression == 0 || flags & 1 == 1 { None } else { Some(unpack(&bytes, compression)) };
            let block = match &unpacked {
                None => Block { bytes: &bytes, at: begin, packed: None, order },
                Some(Ok(inside)) => Block { bytes: inside, at: begin, packed: Some(bytes.len()), order },
                Some(Err(why)) => {
                    let (status, out) = failed("nfdump_block_damaged", format!("the block at byte {begin}: {why}"), begin);
                    if !each(status, out) || cut {
                        return;
                    }
                    continue;
                }
            };
            // Arrays (type 4) hold what nfdump computed, no records.
            if kind == 3 && !self.block(&block, each) {
                return;
            }
            if cut {
                let (status, out) =
                    failed("nfdump_cut", format!("{} of {size} bytes of the block at byte {begin}", bytes.len()), begin);
                each(status, out);
                return;
            }
        }
    }
}

fn unpack(bytes: &[u8], compression: u8) -> Result<Vec<u8>, String> {
    match compression {
        1 => lzo::unpack(bytes, LONGEST).ok_or_else(|| "LZO does not unpack".to_owned()),
        2 => {
            let mut out = Vec::new();
            let mut unpacker = bzip2::read::BzDecoder::new(bytes).take(LONGEST as u64);
            unpacker.read_to_end(&mut out).map(|_| out).map_err(|e| format!("bzip2: {e}"))
        }
        3 => lz4_block(bytes).map_err(|e| format!("LZ4: {e}")),
        4 => zstd::bulk::decompress(bytes, LONGEST).map_err(|e| format!("zstd: {e}")),
        n => Err(format!("compression {n} is not known")),
    }
}

/// A block of LZ4, whose length unpacked is not stated: of nfdump's sizes the first that does.
fn lz4_block(bytes: &[u8]) -> Result<Vec<u8>, lz4_flex::block::DecompressError> {
    match lz4_flex::block::decompress(bytes, 6 << 20) {
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) => lz4_flex::block::decompress(bytes, LONGEST),
        other => other,
    }
}

impl Blocks {
    /// Reads the records of a block; false: it is to stop.
    fn block(&mut self, block: &Block<'_>, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let (mut at, mut number) = (0usize, 0u64);
        while at < block.bytes.len() {
            // Records of a packed block have its place, and are numbered.
            let offset = match block.packed {
                None => block.at + at as u64,
                Some(_) => block.at + number / 0x4000,
            };
            let head = (block.order.uint(block.bytes, at, 2), block.order.uint(block.bytes, at + 2, 2));
            let record = match head {
                (Some(kind), Some(size)) if size >= 4 => block.bytes.get(at..at + size as usize).map(|r| (kind, r)),
                _ => None,
            };
            let Some((kind, record)) = record else {
                let place = format!("{} bytes of the block at byte {}", block.bytes.len() - at, block.at);
                let (status, out) = failed("nfdump_record_damaged", place, offset);
                return each(status, out);
            };
            let mut out = Out { unit: Unit { offset, line: 0 }, ..Out::default() };
            let status = self.record(kind, record, block, offset, &mut out);
            for read in out.records.iter_mut().filter(|_| block.packed.is_some()) {
                read.record.id.ordinal = (number % 0x4000) as u16;
                read.record.len = block.packed.and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX);
            }
            if !each(status, out) {
                return false;
            }
            at += record.len();
            number += 1;
        }
        true
    }

    fn record(&mut self, kind: u64, record: &[u8], block: &Block<'_>, offset: u64, out: &mut Out) -> Status {
        let order = block.order;
        match kind {
            11 => self.flow(record, order, offset, out),
            7 => {
                self.exporter(record, order);
                Status::Skipped
            }
            8 => {
                losses(record, order, out);
                Status::Skipped
            }
            // Samplers; names of applications, interfaces and VRFs; what the file says of itself: ident and sums.
            9 | 12..=15 | 0x8001 | 0x8002 => Status::Skipped,
            _ => {
                out.oddities.push(Oddity::at("nfdump_record_unknown", format!("type {kind}, {} bytes", record.len())));
                Status::Failed
            }
        }
    }

    /// Who exported: an address, and the domain that it said.
    fn exporter(&mut self, record: &[u8], order: Order) {
        let number = |at, width| order.uint(record, at, width);
        let (Some(family), Some(id), Some(domain)) = (number(24, 2), number(26, 2), number(28, 4)) else { return };
        // AF_INET; the others are IPv6, whose number differs among systems.
        let Some(ip) = extensions::ip(&record[8..], 16, order) else { return };
        // An IPv4 address is the last quarter of what an IPv6 address takes.
        let ip = match ip {
            IpAddr::V6(six) if family == 2 => IpAddr::V4((u128::from(six) as u32).into()),
            other => other,
        };
        if self.exporters.len() < EXPORTERS {
            let name = if domain == 0 { ip.to_string() } else { format!("{ip}/{domain}") };
            self.exporters.insert(id, name);
        }
    }

    fn flow(&mut self, record: &[u8], order: Order, offset: u64, out: &mut Out) -> Status {
        let (Some(elements), Some(exporter), Some([flags, _])) =
            (order.uint(record, 4, 2), order.uint(record, 8, 2), record.get(10..12))
        else {
            out.oddities.push(Oddity::at("nfdump_record_damaged", format!("{} bytes", record.len())));
            return Status::Failed;
        };
        let exported = Exported { at: self.context.modified, ..Exported::default() };
        let mut reading = Reading::new(&self.state, exported, &self.context, Unit { offset, line: 0 }, record.len());
        let sensor = self.exporters.get(&exporter).map(String::as_str);
        let mut at = 12;
        for n in 0..elements {
            let (kind, length) = (order.uint(record, at, 2), order.uint(record, at + 2, 2).unwrap_or(0) as usize);
            let body = record.get(at + 4..at + length).filter(|_| length >= 4);
            let (Some(kind), Some(body)) = (kind, body) else {
                out.oddities.push(Oddity::at("nfdump_record_damaged", format!("extension {n} of {elements}")));
                reading.partial();
                break;
            };
            // Who sent it is the source already.
            let told = matches!(kind, 12 | 13) && sensor.is_some();
            if !told && !extensions::give(kind as u16, body, order, &mut reading) {
                reading.keep_text(&format!("extension.{kind}"), &hex(body));
            }
            at += length;
        }
        if flags & 2 != 0 {
            reading.keep_text("sampled", "counts were multiplied by nfcapd");
        }
        if flags & 4 != 0 {
            reading.keep_text("anonymized", "yes");
        }
        reading.finish(sensor, out)
    }
}

/// What nfcapd missed of each exporter, in packets.
fn losses(record: &[u8], order: Order, out: &mut Out) {
    let count = order.uint(record, 4, 4).unwrap_or(0) as usize;
    for n in 0..count {
        let at = 8 + n * 24;
        let (Some(failures), Some(packets)) = (order.uint(record, at + 4, 4), order.uint(record, at + 8, 8)) else { return };
        out.losses.push(Loss {
            what: "export packets, by holes in their sequence,",
            lost: failures,
            of: packets.saturating_add(failures),
            total: false,
            at: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::line;
    use crate::formats::{Dates, Zone};
    use crate::model::origin::EvidenceKey;
    use crate::model::time::Time;

    /// What `nfdump -z -w` 1.7.1 wrote of two flows.
    const LZO: &[&str] = &[
        "0ca50200000107013df90b6b0000000001000100000000001a01000000000000000000000100000009000000e6000000030000000307002000050028",
        "0000010100007f7701020001780007000f00180001000100ffc0007402000c630000000b007c00060000000100020501003400721df8f7a101000006",
        "2fbc00071de9be26a2010000b00498080100c0ce028001000a7cc8bb01061b000002000c000a0200c0076433c60400140003000000c8059c04000507",
        "000c00f4fb0000f5fb00000a000800fe0200c00c000875127f3eed0150203aec017d25098414b00028bc0403020007000000387c00641cbd030aa807",
        "940028ff0004002adc07347e0005007c0e7c0b2a7c000d0100007f00000000020006004d000000110000020000004e000000030000000c0180090065",
        "64676500028094000200a300809d05820160099800275c00b401301400fc05306400a402fc08b4013014000006721df8f7a1010000062ff8f7a10100",
        "000000000000000000110000",
    ];

    fn lzo() -> Vec<u8> {
        let text = LZO.concat();
        (0..text.len()).step_by(2).map(|n| u8::from_str_radix(&text[n..n + 2], 16).unwrap()).collect()
    }

    struct Told {
        lines: Vec<String>,
        ids: Vec<(u64, u16)>,
        oddities: Vec<String>,
        counts: [usize; 4],
    }

    fn read(data: &[u8]) -> Told {
        let context = Context {
            evidence: EvidenceKey(1),
            stem: "sample".into(),
            zone: Zone::Fixed(0),
            year: None,
            dates: Dates::default(),
            modified: Time(0),
        };
        let mut told = Told { lines: Vec::new(), ids: Vec::new(), oddities: Vec::new(), counts: [0; 4] };
        super::super::read(&mut &data[..], &FORMAT, &context, Unit { offset: 0, line: 1 }, data, &mut |status, out| {
            told.counts[status as usize] += 1;
            told.lines.extend(out.records.iter().map(line));
            told.ids.extend(out.records.iter().map(|r| (r.record.id.offset, r.record.id.ordinal)));
            told.oddities.extend(out.oddities.iter().map(|o| format!("{} {}", o.what, o.place)));
            true
        })
        .unwrap();
        told
    }

    /// The same flows with their blocks packed otherwise.
    fn repacked(compression: u8, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let data = lzo();
        let size = u32::from_le_bytes(data[44..48].try_into().unwrap()) as usize;
        let inside = lzo::unpack(&data[52..52 + size], 1 << 20).unwrap();
        let packed = pack(&inside);
        let mut out = data[..40].to_vec();
        out[16] = compression;
        out.extend_from_slice(&data[40..44]);
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&data[48..52]);
        out.extend_from_slice(&packed);
        out
    }

    #[test]
    fn blocks_are_unpacked_whatever_they_are_packed_with() {
        let first = read(&lzo());
        assert_eq!(first.lines.len(), 2);
        assert_eq!(
            first.lines[0],
            "flow 2026-11-20T07:59:55.250Z..2026-11-20T07:59:59.750Z src.ip=192.0.2.10 src.port=51324 dst.ip=198.51.100.7 dst.port=443 proto=tcp \
             packets.out=1200 bytes.out=184000 interface.in=3 interface.out=4 tcp.flags=FSPA \
             extra={\"collectionTimeMilliseconds\":\"2026-11-29T09:59:35.453Z\",\"bgpSourceAsNumber\":64500,\"bgpDestinationAsNumber\":64501,\
             \"ipNextHopIPv4Address\":\"192.0.2.254\",\"sampled\":\"counts were multiplied by nfcapd\"} sensor=127.0.0.1"
        );
        assert!(first.ids[0] < first.ids[1] && first.ids[0].0 == first.ids[1].0);
        let bzip2 = |bytes: &[u8]| {
            let mut out = Vec::new();
            bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast()).read_to_end(&mut out).unwrap();
            out
        };
        for data in [
            repacked(0, |b| b.to_vec()),
            repacked(2, bzip2),
            repacked(3, lz4_flex::block::compress),
            repacked(4, |b| zstd::bulk::compress(b, 3).unwrap()),
        ] {
            assert_eq!(read(&data).lines, first.lines);
        }
    }

    #[test]
    fn what_is_not_read_is_said() {
        let mut old = lzo();
        old[2] = 1;
        assert_eq!(FORMAT.sniff(&old), Sniff::Yes);
        assert!(read(&old).oddities[0].starts_with("nfdump_layout_not_read layout 1"));
        let mut secret = lzo();
        secret[17] = 1;
        assert_eq!(read(&secret).oddities, ["nfdump_layout_not_read the file is encrypted"]);
        let plain = repacked(0, |b| b.to_vec());
        let cut = read(&plain[..plain.len() - 10]);
        assert!(cut.oddities.iter().any(|o| o.starts_with("nfdump_cut")), "{:?}", cut.oddities);
        // The first byte of what is packed, by which zstd is known.
        let mut bad = repacked(4, |b| zstd::bulk::compress(b, 3).unwrap());
        bad[52] ^= 0xff;
        let bad = read(&bad);
        assert!(bad.oddities[0].starts_with("nfdump_block_damaged the block at byte 52: zstd"), "{:?}", bad.oddities);
        assert_eq!((bad.counts[3], bad.oddities.len(), bad.lines.len()), (1, 1, 0));
        // The length of the first record.
        let mut bad = plain.clone();
        bad[54..56].fill(0);
        let bad = read(&bad);
        assert!(bad.oddities[0].starts_with("nfdump_record_damaged"), "{:?}", bad.oddities);
        assert_eq!((bad.counts[3], bad.oddities.len(), bad.lines.len()), (1, 1, 0));
        let junk = repacked(9, |b| b.to_vec());
        assert!(read(&junk).oddities[0].ends_with("compression 9 is not known"));
    }

    #[test]
    fn a_file_of_a_big_endian_machine_reads_the_same() {
        let mut data = vec![0xa5, 0x0c, 0, 2];
        data.resize(40, 0);
        let element = |kind: u16, body: &[u8]| [&kind.to_be_bytes(), &(body.len() as u16 + 4).to_be_bytes(), body].concat();
        let flow = [
            &1_795_161_600_000u64.to_be_bytes()[..],
            &1_795_161_601_000u64.to_be_bytes(),
            &0u64.to_be_bytes(),
            &3u64.to_be_bytes(),
            &180u64.to_be_bytes(),
            &40_000u16.to_be_bytes(),
            &53u16.to_be_bytes(),
            &[17, 0, 0, 0],
        ]
        .concat();
        let body = [element(1, &flow), element(2, &[192, 0, 2, 1, 192, 0, 2, 53])].concat();
        let record =
            [&11u16.to_be_bytes()[..], &(body.len() as u16 + 12).to_be_bytes(), &[0, 2, 0, 0, 0, 1, 0, 9], &body].concat();
        data.extend_from_slice(&1u32.to_be_bytes());
        data.extend_from_slice(&(record.len() as u32).to_be_bytes());
        data.extend_from_slice(&[0, 3, 0, 0]);
        data.extend_from_slice(&record);
        assert_eq!(
            read(&data).lines,
            [
                "flow 2026-11-20T08:00:00Z..2026-11-20T08:00:01Z src.ip=192.0.2.1 src.port=40000 dst.ip=192.0.2.53 dst.port=53 proto=udp packets.out=3 \
              bytes.out=180"
            ]
        );
    }
}
