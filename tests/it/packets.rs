//! Packets out of captures that are compressed, moved or gone.

use crate::story::Case;
use backtrail::ingest::{Request, Watch, ingest};
use backtrail::model::{Record, Time};
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Packets of a capture, each 1,000 bytes long; every hundredth is of the conversation on port 7007.
const PACKETS: u32 = 6_000;

/// A UDP datagram in Ethernet, no checksum.
fn datagram(n: u32) -> Vec<u8> {
    let port = if n % 100 == 7 { 7007u16 } else { 20_000 + (n % 50) as u16 };
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let ip = [[0x45, 0], 986u16.to_be_bytes(), [0, 0], [0, 0], [64, 17], [0, 0], [10, 0], [0, 5], [192, 0], [2, 9]];
    out.extend(ip.concat());
    let sum = ip.iter().map(|w| u32::from(u16::from_be_bytes(*w))).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    out[24..26].copy_from_slice(&sum.to_be_bytes());
    [port, port, 966, 0].iter().for_each(|w| out.extend(w.to_be_bytes()));
    // Bytes that do not compress to nothing.
    let mut x = u64::from(n) + 1;
    out.extend((0..958).map(|_| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 56) as u8
    }));
    out
}

fn pcap() -> Vec<u8> {
    let mut out: Vec<u8> = [0xa1b2_c3d4u32, 2 | 4 << 16, 0, 0, 65_535, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    for n in 0..PACKETS {
        let data = datagram(n);
        [1_700_000_000 + n / 100, n % 100 * 10_000, data.len() as u32, data.len() as u32]
            .iter()
            .for_each(|w| out.extend(w.to_le_bytes()));
        out.extend(data);
    }
    out
}

fn gzipped(path: &Path) {
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(&pcap()).unwrap();
    file.finish().unwrap();
}

fn import(case: &Case, path: PathBuf, no_spool: bool) -> Vec<String> {
    let request = Request { paths: vec![path], no_spool, ..Request::default() };
    let watch = Watch { stop: std::sync::Arc::new(|| false), progress: &|_| (), now: Time(0) };
    let report = ingest(case.engine.store(), &request, &watch).unwrap();
    report.files.into_iter().flat_map(|f| f.warnings).collect()
}

fn flow(case: &Case) -> Record {
    case.one("kind = flow and dst.port = 7007")
}

fn is_whole(case: &Case) {
    let found = case.packets(&flow(case));
    assert_eq!(found.len() as u32, PACKETS / 100);
    assert!(found.iter().enumerate().all(|(i, p)| p.data == datagram(i as u32 * 100 + 7)));
}

#[test]
fn a_compressed_capture_is_copied_and_may_then_be_gone() {
    let case = Case::new();
    let path = case.path("much.pcap.gz");
    gzipped(&path);
    assert!(import(&case, path.clone(), false).iter().all(|w| !w.contains("copy")));
    is_whole(&case);
    let key = flow(&case).id.evidence;
    let copy = case.path("case").join(format!("evidence/spool-{key}.zst"));
    // Frames that any zstd tool reads.
    assert_eq!(zstd::decode_all(std::fs::File::open(&copy).unwrap()).unwrap(), pcap());
    std::fs::remove_file(&path).unwrap();
    is_whole(&case);
    // Nothing else is left behind.
    let kept: Vec<_> = std::fs::read_dir(copy.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept, [copy]);
}

#[test]
fn without_a_copy_packets_come_from_the_start_of_the_file_and_what_is_gone_is_said() {
    let case = Case::new();
    let path = case.path("much.pcap.gz");
    gzipped(&path);
    assert!(import(&case, path.clone(), true).iter().any(|w| w.contains("--no-spool")));
    is_whole(&case);
    std::fs::rename(&path, case.path("elsewhere")).unwrap();
    let flow = flow(&case);
    let refs = case.engine.packets(flow.id).unwrap();
    let err = case.engine.packet_bytes(flow.id.evidence, &refs, &Cancel::default()).unwrap_err();
    assert!(err.what.contains("much.pcap.gz") && err.what.contains("put it back"), "{}", err.what);
    // Something else under its name is not taken for it.
    std::fs::write(&path, b"other").unwrap();
    assert!(case.engine.packet_bytes(flow.id.evidence, &refs, &Cancel::default()).is_err());
}
