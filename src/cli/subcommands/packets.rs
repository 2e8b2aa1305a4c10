//! `packets`: the packets of the flows that a question selects, cut from the original captures.

use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, ErrorKind, Result};
use crate::model::decision::What;
use crate::model::evidence::EvidenceInfo;
use crate::model::packet::PacketRef;
use crate::model::{EvidenceKey, Filter, Kind, RecordId, field};
use crate::query::Engine;
use crate::query::engine::{Cancel, Page};
use crate::sources::archive::MARK;
use crate::sources::input::hash_prefix;
use crate::sources::write::PcapNg;
use clap::{ArgMatches, Args, FromArgMatches};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Packets that are in memory at a time, in order of time; more where each part may mean to unpack a file from its start.
const AT_ONCE: usize = 10_000;
const AT_ONCE_PACKED: usize = 100_000;

/// `backtrail packets`.
pub struct Packets;

#[derive(clap::Args)]
struct PacketsArgs {
    /// Question about flows
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// File to write, pcapng; `-` for standard output
    #[arg(short = 'w', long = "write", value_name = "FILE", required = true)]
    write: PathBuf,
    /// Read this capture into a temporary case, cut, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Packets {
    fn command(&self) -> clap::Command {
        PacketsArgs::augment_args(clap::Command::new("packets").about("Cut the packets of the selected flows into a pcapng file"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = PacketsArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let text = args.text.join(" ");
        let cut = cut(&*opened.engine, &text)?;
        let count: usize = cut.by_evidence.values().map(Vec::len).sum();
        if count == 0 {
            let why = if cut.flows == 0 {
                "no flow of a capture is selected"
            } else {
                "the flows selected came from logs: no capture in the case holds their packets"
            };
            return Err(Error::user(format!("nothing to write: {why}")).hint("backtrail sources shows what captures there are"));
        }
        let gone = write(&*opened.engine, &cut, &text, &args.write)?;
        if args.write.as_os_str() != "-" {
            let path = args.write.display().to_string();
            if args.read.is_empty() {
                let sha256 = hash_prefix(&args.write, u64::MAX)?;
                opened.keeper.append(What::Export { what: format!("packets of: {text}"), path: path.clone(), sha256 })?;
            }
            let flows = cut.by_evidence.values().flatten().map(|(_, id)| id).collect::<BTreeSet<_>>().len();
            let [packets, flows, files] =
                [(count.saturating_sub(gone), "packet"), (flows, "flow"), (cut.by_evidence.len(), "capture")]
                    .map(|(n, what)| counted(n, what));
            writeln!(std::io::stdout(), "{packets} of {flows} from {files} -> {path}").map_err(io)?;
        }
        if gone > 0 {
            let said = format!("note: {} had been dropped from the ring of packets", counted(gone, "more packet"));
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        Ok(done)
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Packet references by capture, each with its flow.
struct Cut {
    flows: u64,
    by_evidence: BTreeMap<EvidenceKey, Vec<(PacketRef, RecordId)>>,
}

fn cut(engine: &dyn Engine, text: &str) -> Result<Cut> {
    let mut question = engine.compile(text)?.and(Filter::is(field::KIND, Kind::Flow.name()));
    if !question.stages.is_empty() {
        return Err(Error::user("packets takes a selection, not a table").hint("leave the stages after | out"));
    }
    // Each sighting has packets of its own.
    question.every_sighting = true;
    let mut ids = Vec::new();
    engine.select(&question, &Page::default(), &Cancel::default(), &mut |record| {
        ids.push(record.id);
        true
    })?;
    let mut out = Cut { flows: ids.len() as u64, by_evidence: BTreeMap::new() };
    for id in ids {
        let refs = engine.packets(id)?;
        if !refs.is_empty() {
            out.by_evidence.entry(id.evidence).or_default().extend(refs.into_iter().map(|r| (r, id)));
        }
    }
    Ok(out)
}

/// Writes the packets; gives how many of them are gone from the ring of a live capture.
fn write(engine: &dyn Engine, cut: &Cut, text: &str, path: &Path) -> Result<usize> {
    let of = |(key, refs): (&EvidenceKey, &Vec<(PacketRef, RecordId)>)| refs.iter().map(|(r, _)| (*r, *key)).collect::<Vec<_>>();
    let mut wanted: Vec<(PacketRef, EvidenceKey)> = cut.by_evidence.iter().flat_map(of).collect();
    wanted.sort_unstable_by_key(|(r, evidence)| (r.time, *evidence, r.offset));
    // A packet belongs to several flows where one carries the other: it is written once.
    wanted.dedup_by_key(|(r, evidence)| (*evidence, r.offset));
    let packed = engine.evidence().iter().any(|e| cut.by_evidence.contains_key(&e.key) && is_packed(e));
    let at_once = if packed { AT_ONCE_PACKED } else { AT_ONCE };
    let comment = format!("backtrail packets: {text}");
    if path.as_os_str() == "-" {
        return write_parts(engine, &wanted, at_once, &comment, BufWriter::new(std::io::stdout().lock()), path);
    }
    let create = |path: &Path| File::create(path).map(BufWriter::new).map_err(|e| Error::io("cannot write", path, &e));
    // A pipe or a device is written as it is.
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return write_parts(engine, &wanted, at_once, &comment, create(path)?, path);
    }
    // What was there before stays until all packets are read.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = create(&part)
        .and_then(|file| write_parts(engine, &wanted, at_once, &comment, file, &part))
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
    comment: &str,
    out: impl Write,
    path: &Path,
) -> Result<usize> {
    let failed = |e: std::io::Error| Error::io("cannot write", path, &e);
    let live: BTreeSet<EvidenceKey> = engine.evidence().iter().filter(|e| e.is_live()).map(|e| e.key).collect();
    let (mut gone, mut why) = (0, None);
    let mut file = PcapNg::begin(out, comment).map_err(failed)?;
    for part in wanted.chunks(at_once) {
        let mut by_evidence: BTreeMap<EvidenceKey, Vec<PacketRef>> = BTreeMap::new();
        part.iter().for_each(|(r, evidence)| by_evidence.entry(*evidence).or_default().push(*r));
        let mut packets = Vec::with_capacity(part.len());
        for (evidence, refs) in by_evidence {
            let found = match engine.packet_bytes(evidence, &refs, &Cancel::default()) {
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
            let from = format!("{} packet {} at offset {}", engine.evidence_path(*evidence), packet.at.number, packet.at.offset);
            file.packet(packet.at.time, packet.link, &packet.data, packet.wire_len, &from).map_err(failed)?;
        }
    }
    file.finish().map_err(failed)?;
    match why {
        Some(e) if gone == wanted.len() => Err(e),
        _ => Ok(gone),
    }
}
