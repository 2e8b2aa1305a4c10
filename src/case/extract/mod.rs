//! Files that conversations carried, rebuilt from their packets: the packets of the flows go once more through the meter and the parsers that
//! read them when the capture was imported, this time with somebody who keeps the bytes. So a file has the hash that its record has.
//! Content is written, never opened. Original names stand in the manifest only.

pub mod pack;

pub mod spool;

use crate::error::{Error, Result};
use crate::flow::{Checksums, Config, Meter, Profile, Sink};
use crate::model::flow::Flow;
use crate::model::hex::hex;
use crate::model::packet::{Packet, PacketRef};
use crate::model::{EvidenceKey, Kind, Oddity, Record, RecordId, Time, field};
use crate::protocols::common::keep::Keeping;
use crate::query::Engine;
use crate::query::engine::{Cancel, Page};
use sha2::{Digest, Sha256};
use spool::{Limits, Spool, Spooled};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Packets that are in memory at a time.
const AT_ONCE: usize = 10_000;
/// Applications that carry files, as the record of a flow names them.
const CARRIERS: &[&str] = &["http", "http2", "smtp", "smb", "ftp", "ftp-data", "tftp"];
/// A control connection announces those that carry its files.
const ANNOUNCING: &[&str] = &["ftp", "tftp"];
/// The other connections of a control connection are looked for so long before and after it.
const PATIENCE: i64 = 300 * crate::model::time::SECOND;
/// The port at which TFTP is asked; the data comes from another.
const TFTP: u64 = 69;

/// A file that was rebuilt.
#[derive(Debug, Clone)]
pub struct Extracted {
    /// The event that tells of it, as the case has it.
    pub record: Record,
    /// Its flow.
    pub flow: RecordId,
    /// Neutral name under which it was written.
    pub written: String,
    /// Bytes written, gaps between them included.
    pub size: u64,
    /// SHA-256 of what was written, hexadecimal.
    pub sha256: String,
    /// Parts that are missing, start and end; zeros stand for those between others.
    pub gaps: Vec<(u64, u64)>,
    /// All of the file passed, and its hash is that of its record.
    pub sound: bool,
    /// What is wrong with it, in words; empty: nothing.
    pub note: String,
    /// Where it lies until it is packed.
    part: PathBuf,
}

/// What came of an extraction.
#[derive(Debug, Default)]
pub struct Extraction {
    /// Files, in order of time.
    pub files: Vec<Extracted>,
    /// Flows that were read.
    pub flows: usize,
    /// What is worth saying: bounds that were reached.
    pub notes: Vec<String>,
}

/// What is to be rebuilt.
#[derive(Default)]
struct Wanted {
    /// Flows of which every file is wanted.
    flows: BTreeSet<RecordId>,
    /// Files that are wanted by themselves.
    files: BTreeSet<RecordId>,
    /// Flows that have to be read.
    read: BTreeMap<EvidenceKey, BTreeSet<RecordId>>,
    /// Flows by id that are there to be read.
    seen: usize,
}

impl Wanted {
    fn read(&mut self, id: RecordId) {
        self.read.entry(id.evidence).or_default().insert(id);
    }
}

fn applications(flow: &Record) -> impl Iterator<Item = &str> {
    flow.text(field::APP).unwrap_or_default().split(',')
}

fn carries(flow: &Record, names: &[&str]) -> bool {
    applications(flow).any(|app| names.contains(&app))
}

/// Rebuilds the files of the flows that a question selects (of a `file` event that one file) into a folder that only its owner can enter.
pub fn extract(engine: &dyn Engine, text: &str, dir: &Path, limits: Limits, cancel: &Cancel) -> Result<Extraction> {
    let wanted = wanted(engine, text, cancel)?;
    if wanted.read.is_empty() {
        let why = if wanted.seen == 0 {
            "no flow of a capture is selected"
        } else {
            "no flow selected carries files that can be rebuilt"
        };
        return Err(
            Error::user(format!("nothing to extract: {why}")).hint("backtrail events 'kind = file' shows what files passed")
        );
    }
    let spool = Spool::new(dir, limits);
    let mut out = Extraction::default();
    for (evidence, flows) in &wanted.read {
        out.flows += flows.len();
        let mut found = read(engine, *evidence, flows, &wanted, &spool, cancel)?;
        for (record, number) in found.drain(..) {
            let (spooled, part) = spool.take(number);
            if let Some(file) = finished(engine, record, &spooled, part, cancel)? {
                out.files.push(file);
            }
        }
    }
    out.files.sort_by_key(|f| (f.record.start, f.record.id));
    for (n, file) in out.files.iter_mut().enumerate() {
        file.written = format!("{:04}-{}.bin", n + 1, file.sha256.get(..8).unwrap_or_default());
    }
    if spool.refused() > 0 {
        let more = spool.refused();
        out.notes
            .push(format!("{more} more files passed than the {} that are written at most: narrow the question", limits.files));
    }
    Ok(out)
}

fn wanted(engine: &dyn Engine, text: &str, cancel: &Cancel) -> Result<Wanted> {
    let question = engine.compile(text)?;
    if !question.stages.is_empty() {
        return Err(Error::user("extract takes a selection, not a table").hint("leave the stages after | out"));
    }
    let mut out = Wanted::default();
    let mut announcing: BTreeMap<RecordId, Record> = BTreeMap::new();
    let mut by_event: BTreeSet<RecordId> = BTreeSet::new();
    let mut flow = |out: &mut Wanted, record: Record, whole: bool| {
        out.seen += 1;
        if carries(&record, CARRIERS) {
            out.read(record.id);
            if whole {
                out.flows.insert(record.id);
            }
            if carries(&record, ANNOUNCING) || carries(&record, &["ftp-data"]) {
                announcing.insert(record.id, record);
            }
        }
    };
    engine.select(&question, &Page::default(), cancel, &mut |record| {
        if record.kind == Kind::Flow {
            flow(&mut out, record, true);
        } else if let Some(id) = record.text(field::FLOW).and_then(|id| id.parse::<RecordId>().ok()) {
            if record.kind == Kind::File {
                out.files.insert(record.id);
            } else {
                out.flows.insert(id);
            }
            by_event.insert(id);
        }
        true
    })?;
    for id in by_event {
        cancel.check()?;
        if let Some(record) = engine.record(id)? {
            flow(&mut out, record, false);
        }
    }
    for record in announcing.into_values() {
        cancel.check()?;
        companions(engine, &record, &mut out, cancel)?;
    }
    Ok(out)
}

/// FTP's and TFTP's files pass in other connections than those that name them: either is read with the other.
fn companions(engine: &dyn Engine, flow: &Record, out: &mut Wanted, cancel: &Cancel) -> Result<()> {
    let (Some(a), Some(b)) = (flow.addr(field::SRC_IP), flow.addr(field::DST_IP)) else { return Ok(()) };
    let question = engine.compile(&format!("kind = flow and host {a} and host {b} and app in {{ftp, \"ftp-data\", tftp}}"))?;
    let control = carries(flow, &["ftp"]) || carries(flow, &["tftp"]) && flow.uint(field::DST_PORT) == Some(TFTP);
    let whole = control && out.flows.contains(&flow.id);
    engine.select(&question, &Page::default(), cancel, &mut |other| {
        let near = other.start <= flow.end.plus(PATIENCE) && other.end >= flow.start.plus(-PATIENCE);
        if near && other.id.evidence == flow.id.evidence {
            out.read(other.id);
            if whole && !carries(&other, &["ftp"]) {
                out.flows.insert(other.id);
            }
        }
        true
    })?;
    Ok(())
}

/// Reads the packets of flows of one capture. Gives the events of the files that are wanted, with their numbers in the spool.
fn read(
    engine: &dyn Engine,
    evidence: EvidenceKey,
    flows: &BTreeSet<RecordId>,
    wanted: &Wanted,
    spool: &Spool,
    cancel: &Cancel,
) -> Result<Vec<(Record, u64)>> {
    let flows: Vec<RecordId> = flows.iter().copied().collect();
    let mut refs: Vec<PacketRef> = engine.packets_of(&flows, cancel)?.into_iter().flatten().collect();
    // In capture order, as they came; one packet belongs to several flows where one carries the other.
    refs.sort_unstable_by_key(|r| r.offset);
    refs.dedup_by_key(|r| r.offset);
    // As it was imported: what was believed, and where flows end, decides what files there are.
    let [timeouts, checksums] = engine.evidence().into_iter().find(|e| e.key == evidence).map(|e| e.metered).unwrap_or_default();
    let (profile, checksums) = (Profile::named(&timeouts), Checksums::named(&checksums));
    let config = Config { profile, checksums, keeping: Keeping::by(Arc::new(spool.clone())), ..Config::default() };
    let mut meter = Meter::new(config, evidence);
    let mut found = Finds { wanted, spool, numbers: HashMap::new(), found: Vec::new() };
    for part in refs.chunks(AT_ONCE) {
        for packet in engine.packet_bytes(evidence, part, cancel)? {
            let at = packet.at;
            let taken = Packet {
                time: at.time,
                link: packet.link,
                data: &packet.data,
                wire_len: packet.wire_len,
                offset: at.offset,
                number: at.number,
                interface: 0,
            };
            meter.packet(&taken, &mut found);
        }
        cancel.check()?;
        spool.check()?;
    }
    meter.finish(&mut found);
    spool.check()?;
    Ok(found.found)
}

/// Takes what the meter says of files.
struct Finds<'a> {
    wanted: &'a Wanted,
    spool: &'a Spool,
    numbers: HashMap<RecordId, u64>,
    found: Vec<(Record, u64)>,
}

impl Sink for Finds<'_> {
    fn flow(&mut self, _: Flow, _: &[PacketRef], _: u32) {}
    fn packets(&mut self, _: RecordId, _: &[PacketRef], _: u32) {}
    fn oddity(&mut self, _: Oddity, _: Time, _: u64, _: u32) {}
    fn kept(&mut self, event: RecordId, number: u64) {
        self.numbers.insert(event, number);
    }
    fn event(&mut self, record: Record, _: u32) {
        let Some(number) = self.numbers.remove(&record.id) else { return };
        let flow = record.text(field::FLOW).and_then(|id| id.parse().ok());
        if flow.is_some_and(|id| self.wanted.flows.contains(&id)) || self.wanted.files.contains(&record.id) {
            self.found.push((record, number));
        } else {
            self.spool.discard(number);
        }
    }
}

/// A file whose bytes are on disk. `None`: none of them came.
fn finished(engine: &dyn Engine, record: Record, spooled: &Spooled, part: PathBuf, cancel: &Cancel) -> Result<Option<Extracted>> {
    if spooled.refused || spooled.ranges.is_empty() && !spooled.bounded {
        return Ok(None);
    }
    if spooled.ranges.is_empty() {
        std::fs::write(&part, b"").map_err(|e| Error::io("cannot write", &part, &e))?;
    }
    let (size, sha256) = hashed(&part, cancel)?;
    let record = engine.record(record.id)?.filter(|r| r.kind == Kind::File).unwrap_or(record);
    let flow = record.text(field::FLOW).and_then(|id| id.parse().ok()).unwrap_or_default();
    let gaps = spooled.gaps();
    let stated = record.text(field::SHA256);
    let sound = spooled.sound && gaps.is_empty() && stated == Some(sha256.as_str());
    let missing: u64 = gaps.iter().map(|(s, e)| e - s).sum();
    let note = match (stated, gaps.len()) {
        _ if sound => String::new(),
        _ if spooled.bounded => "cut: the bound on bytes was reached".to_owned(),
        (Some(stated), 0) if spooled.sound => format!("differs from what was imported: {stated}"),
        (_, 0) => "its end was not seen, or it was not read in order".to_owned(),
        (_, 1) => format!("1 gap, {missing} bytes missing"),
        (_, n) => format!("{n} gaps, {missing} bytes missing"),
    };
    Ok(Some(Extracted { record, flow, written: String::new(), size, sha256, gaps, sound, note, part }))
}

/// Size and SHA-256 of a file.
fn hashed(path: &Path, cancel: &Cancel) -> Result<(u64, String)> {
    let failed = |e: std::io::Error| Error::io("cannot read", path, &e);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let (mut sum, mut size, mut buffer) = (Sha256::new(), 0u64, vec![0; 64 << 10]);
    loop {
        cancel.check()?;
        let n = file.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            return Ok((size, hex(&sum.finalize())));
        }
        size += n as u64;
        sum.update(buffer.get(..n).unwrap_or_default());
    }
}
