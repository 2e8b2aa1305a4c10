//! `packets`: the packets of the flows that a question selects, cut from the original captures.

use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::model::packet::PacketRef;
use crate::model::{EvidenceKey, Filter, Kind, RecordId, field};
use crate::query::Engine;
use crate::query::engine::{Cancel, Page};
use crate::sources::input::hash_prefix;
use crate::sources::write::PcapNg;
use clap::{ArgMatches, Args, FromArgMatches};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

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
        write(&*opened.engine, &cut, &text, &args.write)?;
        if args.write.as_os_str() != "-" {
            let path = args.write.display().to_string();
            if args.read.is_empty() {
                let sha256 = hash_prefix(&args.write, u64::MAX)?;
                opened.keeper.append(What::Export { what: format!("packets of: {text}"), path: path.clone(), sha256 })?;
            }
            let flows = cut.by_evidence.values().flatten().map(|(_, id)| id).collect::<BTreeSet<_>>().len();
            let [packets, flows, files] =
                [(count, "packet"), (flows, "flow"), (cut.by_evidence.len(), "capture")].map(|(n, what)| counted(n, what));
            writeln!(std::io::stdout(), "{packets} of {flows} from {files} -> {path}").map_err(io)?;
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

fn write(engine: &dyn Engine, cut: &Cut, text: &str, path: &Path) -> Result<()> {
    let mut packets = Vec::new();
    for (evidence, refs) in &cut.by_evidence {
        let mut sorted = refs.clone();
        sorted.sort_by_key(|(r, _)| r.offset);
        let bare: Vec<PacketRef> = sorted.iter().map(|(r, _)| *r).collect();
        for packet in engine.packet_bytes(*evidence, &bare, &Cancel::default())? {
            packets.push((packet, *evidence));
        }
    }
    packets.sort_by_key(|(p, evidence)| (p.at.time, *evidence, p.at.offset));
    // A packet belongs to several flows where one carries the other: it is written once.
    packets.dedup_by_key(|(p, evidence)| (*evidence, p.at.offset));
    let out: Box<dyn Write> = if path.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(File::create(path).map_err(|e| Error::io("cannot write", path, &e))?)
    };
    let failed = |e: std::io::Error| Error::io("cannot write", path, &e);
    let comment = format!("backtrail packets: {text}");
    let mut file = PcapNg::begin(BufWriter::new(out), &comment).map_err(failed)?;
    for (packet, evidence) in &packets {
        let from = format!("{} packet {} at offset {}", engine.evidence_path(*evidence), packet.at.number, packet.at.offset);
        file.packet(packet.at.time, packet.link, &packet.data, packet.wire_len, &from).map_err(failed)?;
    }
    file.finish().map_err(failed)?;
    Ok(())
}
