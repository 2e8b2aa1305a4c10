//! The packets of the cited flows, cut from their captures: one file a capture, so that one that is gone keeps no other from it.

use super::cited::Cites;
use super::pack::Files;
use crate::case::cutting::{self, Cut};
use crate::error::{ErrorKind, Result};
use crate::model::answer::Cancel;
use crate::model::{EvidenceKey, RecordId};
use crate::query::Engine;
use std::collections::{BTreeMap, BTreeSet};

/// Flows whose packets are asked for at once.
const AT_ONCE: usize = 500;
/// Flows that are left out and named.
const NAMED: usize = 10;

/// What was taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Cited flows of captures.
    pub flows: usize,
    /// Packets that go along.
    pub packets: usize,
    /// File of each flow that goes along.
    pub files: BTreeMap<EvidenceKey, String>,
    /// Flows of which the packets go along.
    pub with: BTreeSet<RecordId>,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// Cuts them; without files they are only counted as not going along.
pub(super) fn take(cites: &mut Cites, engine: &dyn Engine, files: Option<&mut Files>, cancel: &Cancel) -> Result<Taken> {
    let mut wanted: Vec<RecordId> = Vec::new();
    let mut seen = BTreeSet::new();
    wanted.extend(cites.list().iter().filter_map(|c| c.flow).filter(|id| seen.insert(*id)));
    let mut out = Taken { flows: wanted.len(), ..Taken::default() };
    let Some(files) = files else { return Ok(out) };
    let mut by_evidence: BTreeMap<EvidenceKey, Cut> = BTreeMap::new();
    let (mut left, mut total) = (Vec::new(), 0);
    for part in wanted.chunks(AT_ONCE) {
        for (id, refs) in part.iter().zip(engine.packets_of(part, cancel)?) {
            if refs.is_empty() {
                continue;
            }
            if total + refs.len() > cites.limits().packets {
                left.push(format!("{id} with {}", refs.len()));
                continue;
            }
            total += refs.len();
            let new = || Cut { flows: 0, by_evidence: BTreeMap::new(), named: Vec::new(), bare: true };
            let cut = by_evidence.entry(id.evidence).or_insert_with(new);
            cut.flows += 1;
            cut.by_evidence.entry(id.evidence).or_default().extend(refs.into_iter().map(|r| (r, *id)));
        }
    }
    if !left.is_empty() {
        let more = left.len().saturating_sub(NAMED);
        let beyond = if more > 0 { format!(" and {more} more") } else { String::new() };
        left.truncate(NAMED);
        out.notes.push(format!(
            "packets of flows beyond {} packets in all are left out: {}{beyond}; backtrail packets 'id = ID' cuts them",
            cites.limits().packets,
            left.join(", ")
        ));
    }
    for (n, (key, cut)) in by_evidence.iter().enumerate() {
        let name = format!("packets/{:04}-{key}.pcapng", n + 1);
        let path = files.room(&name)?;
        match cutting::write(engine, cut, "cited by the handover", &path, 0o600, cancel) {
            Ok(gone) => {
                files.take(&name)?;
                out.packets += cut.packets().saturating_sub(gone);
                if gone > 0 {
                    out.notes.push(format!("{gone} packets of {} are gone from the ring of its capture", cites.file(*key).0));
                }
                out.with.extend(cut.by_evidence.values().flatten().map(|(_, id)| *id));
                out.files.insert(*key, name);
            }
            Err(e) if e.kind == ErrorKind::Cancelled => return Err(e),
            Err(e) => out.notes.push(format!("packets of {} do not go along: {}", cites.file(*key).0, cites.off(&e.what))),
        }
    }
    Ok(out)
}
