//! Packets of live captures: the ring of the case holds them, as long as it does.

use super::Cancel;
use super::engine::PacketBytes;
use crate::error::{Error, Result};
use crate::ingest::live::ring_folder;
use crate::model::evidence::EvidenceInfo;
use crate::model::packet::PacketRef;
use crate::sources::ring;
use crate::store::Store;

/// The packets at these references of a live capture. Those that are gone are left out; if all are, that is an error that says so.
pub(super) fn packets(store: &Store, info: &EvidenceInfo, refs: &[PacketRef], cancel: &Cancel) -> Result<Vec<PacketBytes>> {
    let folder = ring_folder(&store.dir());
    let cut = ring::packets(&folder, info.key, refs, &|| cancel.is_cancelled())
        .map_err(|e| Error::io("the ring of packets cannot be read", &folder, &e))?;
    cancel.check()?;
    if cut.found.is_empty() && cut.gone > 0 {
        let what = match ring::newest(&folder, info.key) {
            Some(newest) => {
                format!("these packets have been dropped from the ring; the newest that it holds of {} is of {newest}", info.path)
            }
            None => format!("the packets of {} have been dropped from the ring", info.path),
        };
        return Err(Error::input(what).hint("a larger ring keeps more: capture --ring-size, --ring-age"));
    }
    Ok(cut.found.into_iter().map(|p| PacketBytes { at: p.at, link: p.link, wire_len: p.wire_len, data: p.data }).collect())
}
