//! A live capture whose capture program is a script that plays a stream: what it gives is what reading the stream gives.

use super::*;
use crate::ingest::{self, ingest_stream};
use crate::model::{Kind, Record, field};
use crate::sources::capture::{CaptureKind, Item, read};
use crate::sources::write::{PcapNg, Statistics};
use crate::store::{Ask, OpenOptions, Reserve};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn store(dir: &Path) -> Store {
    let options = OpenOptions { create: true, reserve: Reserve { percent: 0, bytes: 0 }, ballast: 0, ..OpenOptions::default() };
    Store::open(dir, &options).unwrap()
}

/// The story's capture as a capture program sends it; gives the number of its packets too.
fn stream() -> (Vec<u8>, u64) {
    let story = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/story/outside.pcap")).unwrap();
    let mut file = PcapNg::begin(Vec::new(), "").unwrap();
    let (mut packets, mut described) = (0u64, false);
    read(CaptureKind::of(&story).unwrap(), &mut &story[..], &mut |item| {
        let Item::Packet(p) = item else { return true };
        if !described {
            described = true;
            let about = Described { name: "eth0".into(), filter: String::new(), link: p.link, snaplen: 262_144 };
            file.describe(&about).unwrap();
        }
        file.packet_of(0, p.time, p.data, p.wire_len, None).unwrap();
        packets += 1;
        if packets.is_multiple_of(500) {
            let counted = Statistics { received: packets, by_system: 7, late: 3, by_interface: 1, delivered: packets };
            file.statistics(0, p.time, &counted).unwrap();
        }
        true
    });
    (file.finish().unwrap(), packets)
}

fn program(dir: &Path, stream: &[u8], then: &str) -> PathBuf {
    let (data, path) = (dir.join("stream"), dir.join("program"));
    std::fs::write(&data, stream).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n/bin/cat {}\n{then}\n", data.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn request(program: PathBuf, interfaces: &[&str]) -> Request {
    let wanted = |name: &&str| Wanted {
        interface: (*name).to_owned(),
        filter: String::new(),
        snaplen: None,
        promiscuous: true,
        buffer: None,
    };
    Request {
        program,
        interfaces: interfaces.iter().map(wanted).collect(),
        packets: Packets::All,
        ring: Limits { size: 1 << 30, age: None },
        prune: None,
        length: None,
        commit: Duration::from_millis(1),
        source: None,
        timeouts: Profile::Zeek,
        checksums: Checksums::Auto,
        custody: Default::default(),
    }
}

/// Every record by offset and ordinal, with what does not name its evidence.
fn records(store: &Store, key: EvidenceKey) -> BTreeMap<(u64, u16), String> {
    let mut out = BTreeMap::new();
    store
        .snapshot()
        .select(&Ask::new(&Filter::All), &|| false, &mut |r: Record| {
            if r.id.evidence == key {
                let fields: Vec<_> =
                    r.fields.iter().filter(|(f, _)| ![field::FLOW, field::TUNNEL].contains(f)).cloned().collect();
                let before = out.insert((r.id.offset, r.id.ordinal), format!("{} {:?} {:?} {fields:?}", r.kind, r.start, r.end));
                assert_eq!(before, None, "{}", r.id);
            }
            true
        })
        .unwrap();
    out
}

/// Rows of a publication, and which of them are open.
type Shown = (BTreeSet<(u64, u16)>, usize);

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Shown>>>);

impl Publish for Told {
    fn publish(&mut self, evidence: &NewEvidence, rows: Vec<Record>) -> Result<()> {
        let open = rows.iter().filter(|r| r.get(field::OPEN).is_some()).count();
        let ids: BTreeSet<_> = rows.iter().map(|r| (r.id.offset, r.id.ordinal)).collect();
        assert_eq!(ids.len(), rows.len(), "a row is shown twice");
        assert!(rows.iter().all(|r| r.id.evidence == evidence.key && r.source != SourceId(0)));
        assert!(rows.iter().all(|r| r.get(field::OPEN).is_none() || r.kind == Kind::Flow && r.get(field::END_REASON).is_none()));
        self.0.lock().unwrap().push((ids, open));
        Ok(())
    }
    fn withdraw(&mut self, _: EvidenceKey) {
        self.0.lock().unwrap().push(Shown::default());
    }
}

#[test]
fn what_is_captured_is_what_reading_the_stream_gives() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, packets) = stream();
    let script = program(dir.path(), &bytes, "trap 'exit 0' TERM; while :; do /bin/sleep 0.05; done");
    let own = store(&dir.path().join("live"));
    let (told, statuses, asked) = (Told::default(), AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let tell = |status: &LiveStatus| {
        // All was taken by then, and some of it is committed and seen.
        if status.total().packets == packets && statuses.fetch_add(1, Ordering::Relaxed) == 2 {
            assert!(own.evidence().first().is_some_and(|e| e.is_live() && e.counts.records > 0));
            assert_eq!((status.drops().kernel, status.drops().pipeline, status.drops().interface), (4, 3, 1));
            asked.store(true, Ordering::Relaxed);
        }
    };
    let wanted = Arc::clone(&asked);
    let stop: Stop = Arc::new(move || wanted.load(Ordering::Relaxed));
    let watch = Watch { stop, tell: &tell, publish: Some(Box::new(told.clone())) };
    let summary = capture(&own, &request(script, &["eth0"]), watch).unwrap();
    let captured = &summary.interfaces[0];
    assert_eq!((captured.status.total.packets, captured.error.clone()), (packets, None));
    assert_eq!(captured.counts.ok, packets);
    let live = records(&own, captured.key);
    assert_eq!(live.len() as u64, captured.counts.records);
    // The same by reading it.
    let other = store(&dir.path().join("read"));
    let watch = ingest::Watch { stop: Arc::new(|| false), progress: &|_| (), now: now() };
    let row = ingest_stream(&other, Box::new(std::io::Cursor::new(bytes.clone())), Path::new("s"), &Default::default(), &watch)
        .unwrap();
    let read = records(&other, row.key.unwrap());
    let differ: Vec<_> = live.iter().filter(|(at, text)| read.get(at) != Some(text)).take(3).collect();
    assert!(live == read, "{} and {} records, {differ:#?}", live.len(), read.len());
    // One evidence, in parts that were written together at the end; the newest says what is to be said.
    assert_eq!(own.snapshot().imports().len(), 1);
    let evidence = own.evidence();
    assert_eq!((evidence.len(), evidence[0].counts.ok), (1, packets));
    assert!(own.snapshot().sequence() >= 2, "committed at once");
    assert_eq!(evidence[0].warnings.iter().filter(|w| w.starts_with("live on eth0:")).count(), 1, "{:?}", evidence[0].warnings);
    assert_eq!(
        own.sources()[0].warnings.iter().filter(|w| w.contains("dropped: 1 by the interface, 4 by the kernel, 3")).count(),
        1
    );
    // Open flows were shown, with the ids that they have in the end; at the end nothing is shown.
    let shown = told.0.lock().unwrap();
    assert!(shown.iter().any(|(_, open)| *open > 0) && shown.last() == Some(&Shown::default()));
    assert!(shown.iter().flat_map(|(ids, _)| ids).all(|id| live.contains_key(id)));
    // Packets stand where the references say.
    let folder = ring_folder(&own.dir());
    let snapshot = own.snapshot();
    let mut seen = 0;
    for (offset, ordinal) in live.keys().filter(|(_, ordinal)| *ordinal < 8) {
        let flow = crate::model::RecordId { evidence: captured.key, offset: *offset, ordinal: *ordinal };
        let refs = snapshot.packets(flow).unwrap();
        let cut = crate::sources::ring::packets(&folder, captured.key, &refs, &|| false).unwrap();
        assert_eq!((cut.found.len(), cut.gone), (refs.len(), 0));
        for packet in &cut.found {
            // The block of the stream: its head, then the packet.
            let at = packet.at.offset as usize + 28;
            assert!(bytes[at..at + packet.data.len()] == packet.data);
            seen += 1;
        }
    }
    assert!(seen >= packets / 2, "{seen}");
}

#[test]
fn a_capture_that_ends_by_itself_keeps_what_came_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = stream();
    let script = program(dir.path(), &bytes[..bytes.len() / 2], "echo 'error: eth0 is gone -- try: ip link' >&2; exit 1");
    let own = store(&dir.path().join("live"));
    let mut wanted = request(script, &["eth0", "eth1"]);
    wanted.packets = Packets::None;
    let watch = Watch { stop: Arc::new(|| false), tell: &|_| (), publish: None };
    let summary = capture(&own, &wanted, watch).unwrap();
    assert!(summary.is_incomplete() && summary.interfaces.len() == 2);
    for captured in &summary.interfaces {
        let error = captured.error.as_ref().unwrap();
        assert_eq!((error.what.as_str(), error.hint.as_str()), ("eth0 is gone", "ip link"));
        assert_eq!(records(&own, captured.key).len() as u64, captured.counts.records);
        assert!(captured.counts.records > 100);
    }
    assert_eq!((own.evidence().len(), own.sources().len()), (2, 2));
    assert!(!ring_folder(&own.dir()).exists());
    // Without packets there are no references to them.
    let flow = own.snapshot().packets(crate::model::RecordId { evidence: summary.interfaces[0].key, offset: 0, ordinal: 0 });
    assert!(flow.unwrap().is_empty());
}

#[test]
fn without_room_on_the_disk_nothing_begins() {
    let dir = tempfile::tempdir().unwrap();
    let full = OpenOptions { create: true, reserve: Reserve { percent: 100, bytes: 0 }, ballast: 0, ..OpenOptions::default() };
    let own = Store::open(&dir.path().join("full"), &full).unwrap();
    let watch = Watch { stop: Arc::new(|| false), tell: &|_| (), publish: None };
    let error = capture(&own, &request(dir.path().join("none"), &["eth0"]), watch).unwrap_err();
    assert!(error.what.contains("almost full"), "{error}");
}
