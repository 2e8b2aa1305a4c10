//! Packets cut from their captures into one pcapng file: a few seeks for each flow, never a whole capture read again.

use crate::error::{Error, ErrorKind, Result};
use crate::model::evidence::EvidenceInfo;
use crate::model::packet::PacketRef;
use crate::model::{EvidenceKey, Filter, Kind, Record, RecordId, field};
use crate::query::Engine;
use crate::query::engine::{Cancel, Page};
use crate::sources::archive::MARK;
use crate::sources::write::PcapNg;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Packets that are in memory at a time, in order of time; more where each part may mean to unpack a file from its start.
const AT_ONCE: usize = 10_000;
const AT_ONCE_PACKED: usize = 100_000;
/// Flows that are remembered by what they are.
pub const NAMED: usize = 16;

/// Packet references by capture, each with its flow.
pub struct Cut {
    /// Flows that were selected, sightings counted each.
    pub flows: u64,
    /// The references.
    pub by_evidence: BTreeMap<EvidenceKey, Vec<(PacketRef, RecordId)>>,
    /// Some of the flows, for who wants to name them: at most [`NAMED`].
    pub named: Vec<Record>,
    /// Packets say the name of the file that they are from without its folders.
    pub bare: bool,
}

impl Cut {
    /// Packets, those of several flows counted for each.
    pub fn packets(&self) -> usize {
        self.by_evidence.values().map(Vec::len).sum()
    }
    /// Flows with packets.
    pub fn with_packets(&self) -> usize {
        self.by_evidence.values().flatten().map(|(_, id)| id).collect::<BTreeSet<_>>().len()
    }
}

/// Finds the packets of the flows that a question selects. It is an error if there are none, which says why.
pub fn cut(engine: &dyn Engine, text: &str, cancel: &Cancel) -> Result<Cut> {
    let mut question = engine.compile(text)?.and(Filter::is(field::KIND, Kind::Flow.name()));
    if !question.stages.is_empty() {
        return Err(Error::user("packets takes a selection, not a table").hint("leave the stages after | out"));
    }
    // Each sighting has packets of its own.
    question.every_sighting = true;
    let mut ids = Vec::new();
    let mut named = Vec::new();
    engine.select(&question, &Page::default(), cancel, &mut |record| {
        ids.push(record.id);
        if named.len() < NAMED {
            named.push(record);
        }
        true
    })?;
    let mut out = Cut { flows: ids.len() as u64, by_evidence: BTreeMap::new(), named, bare: false };
    for (id, refs) in ids.iter().zip(engine.packets_of(&ids, cancel)?) {
        if !refs.is_empty() {
            out.by_evidence.entry(id.evidence).or_default().extend(refs.into_iter().map(|r| (r, *id)));
        }
    }
    if out.by_evidence.is_empty() {
        let why = if out.flows == 0 {
            "no flow of a capture is selected"
        } else {
            "the flows selected came from logs: no capture in the case holds their packets"
        };
        return Err(Error::user(format!("nothing to write: {why}")).hint("backtrail sources shows what captures there are"));
    }
    Ok(out)
}

/// Writes them to a stream; `path` names it in errors. Gives how many of them are gone from the ring of a live capture.
pub fn write_to(engine: &dyn Engine, cut: &Cut, text: &str, out: impl Write, path: &Path, cancel: &Cancel) -> Result<usize> {
    let of = |(key, refs): (&EvidenceKey, &Vec<(PacketRef, RecordId)>)| refs.iter().map(|(r, _)| (*r, *key)).collect::<Vec<_>>();
    let mut wanted: Vec<(PacketRef, EvidenceKey)> = cut.by_evidence.iter().flat_map(of).collect();
    wanted.sort_unstable_by_key(|(r, evidence)| (r.time, *evidence, r.offset));
    // A packet belongs to several flows where one carries the other: it is written once.
    wanted.dedup_by_key(|(r, evidence)| (*evidence, r.offset));
    let packed = engine.evidence().iter().any(|e| cut.by_evidence.contains_key(&e.key) && is_packed(e));
    let at_once = if packed { AT_ONCE_PACKED } else { AT_ONCE };
    let paths = engine.evidence().into_iter().filter(|e| cut.bare && cut.by_evidence.contains_key(&e.key));
    let said = Said { comment: format!("backtrail packets: {text}"), names: paths.map(|e| (e.key, e.bare())).collect() };
    write_parts(engine, &wanted, at_once, &said, out, path, cancel)
}

/// What is said in the file beside packets.
struct Said {
    comment: String,
    /// Names of captures that are not called by their paths.
    names: BTreeMap<EvidenceKey, String>,
}

/// [`write_to`] a file with these permissions (less those that the user's mask takes), if it is new.
pub fn write(engine: &dyn Engine, cut: &Cut, text: &str, path: &Path, mode: u32, cancel: &Cancel) -> Result<usize> {
    let create = |path: &Path| {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
        file.map(BufWriter::new).map_err(|e| Error::io("cannot write", path, &e))
    };
    // A pipe or a device is written as it is.
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return write_to(engine, cut, text, create(path)?, path, cancel);
    }
    // What was there before stays until all packets are read.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = create(&part)
        .and_then(|file| write_to(engine, cut, text, file, &part, cancel))
        .and_then(|gone| std::fs::rename(&part, path).map(|()| gone).map_err(|e| Error::io("cannot write", path, &e)));
    if written.is_err() {
        // It is of no use; what cannot be removed is still named `.part`.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Whether packets of it may have to be unpacked from its start.
fn is_packed(evidence: &EvidenceInfo) -> bool {
    !evidence.compression.is_empty() || evidence.path.contains(MARK)
}

fn write_parts(
    engine: &dyn Engine,
    wanted: &[(PacketRef, EvidenceKey)],
    at_once: usize,
    said: &Said,
    out: impl Write,
    path: &Path,
    cancel: &Cancel,
) -> Result<usize> {
    let failed = |e: std::io::Error| Error::io("cannot write", path, &e);
    let live: BTreeSet<EvidenceKey> = engine.evidence().iter().filter(|e| e.is_live()).map(|e| e.key).collect();
    let (mut gone, mut why) = (0, None);
    let mut file = PcapNg::begin(out, &said.comment).map_err(failed)?;
    for part in wanted.chunks(at_once) {
        let mut by_evidence: BTreeMap<EvidenceKey, Vec<PacketRef>> = BTreeMap::new();
        part.iter().for_each(|(r, evidence)| by_evidence.entry(*evidence).or_default().push(*r));
        let mut packets = Vec::with_capacity(part.len());
        for (evidence, refs) in by_evidence {
            let found = match engine.packet_bytes(evidence, &refs, cancel) {
                // What a ring has dropped does not keep from writing what is there.
                Err(e) if live.contains(&evidence) && e.kind == ErrorKind::Input => {
                    why = Some(e);
                    Vec::new()
                }
                found => found?,
            };
            if live.contains(&evidence) {
                gone += refs.len().saturating_sub(found.len());
            }
            packets.extend(found.into_iter().map(|packet| (packet, evidence)));
        }
        packets.sort_by_key(|(p, evidence)| (p.at.time, *evidence, p.at.offset));
        for (packet, evidence) in &packets {
            let name = said.names.get(evidence).cloned().unwrap_or_else(|| engine.evidence_path(*evidence));
            let from = format!("{name} packet {} at offset {}", packet.at.number, packet.at.offset);
            file.packet(packet.at.time, packet.link, &packet.data, packet.wire_len, &from).map_err(failed)?;
        }
    }
    file.finish().map_err(failed)?;
    match why {
        Some(e) if gone == wanted.len() => Err(e),
        _ => Ok(gone),
    }
}
