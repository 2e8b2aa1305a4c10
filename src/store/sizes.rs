//! What a case takes on disk, part by part: each column over all blocks, what describes blocks, and every other kind of frame.

use super::Store;
use super::block::{ADDRS, ENTRY, KIND, LEN, OFFSET, ORDINAL, SPAN, START};
use super::frame::HEADER;
use super::segment::Place;
use crate::error::Result;
use crate::model::{FieldId, field};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one part takes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// A field's name, or what else it is.
    pub part: String,
    /// On disk.
    pub stored: u64,
    /// Before compression; of frames as on disk.
    pub raw: u64,
}

/// Name of a column: a field's, or of what every row has.
fn name(column: u16) -> String {
    match column {
        OFFSET => "(offset in the evidence)".to_owned(),
        ORDINAL => "(ordinal at the offset)".to_owned(),
        KIND => "kind".to_owned(),
        START => "start".to_owned(),
        SPAN => "duration".to_owned(),
        LEN => "(length in the evidence)".to_owned(),
        ADDRS => "(addresses of blocks)".to_owned(),
        id => field::name(FieldId(id)).to_string(),
    }
}

impl Store {
    /// The parts, largest first, and how many records they hold.
    pub fn sizes(&self) -> Result<(Vec<Size>, u64)> {
        let snapshot = self.snapshot();
        let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut add = |part: String, stored: u64, raw: u64| {
            let have = parts.entry(part).or_default();
            *have = (have.0 + stored, have.1 + raw);
        };
        let mut records = 0;
        for (import, data) in snapshot.imports().iter().enumerate().filter(|(_, d)| !d.is_head()) {
            for (block, info) in data.blocks.iter().enumerate() {
                records += u64::from(info.zone.rows);
                let reader = snapshot.reader(import, block)?;
                let head = (HEADER + 4 + info.meta as usize + reader.entries().len() * ENTRY) as u64;
                add("(descriptions of blocks)".to_owned(), head, head);
                for entry in reader.entries() {
                    add(name(entry.field), u64::from(entry.stored), u64::from(entry.raw));
                }
            }
            let mut frames = |part: &str, place: &Place| {
                let len = HEADER as u64 + u64::from(place.len);
                add(part.to_owned(), len, len);
            };
            data.groups.iter().for_each(|g| frames("(packet references)", &g.place));
            data.chunks.iter().for_each(|c| frames("(postings)", &c.place));
            data.rollups.iter().for_each(|c| frames("(rollups)", &c.place));
            data.names().iter().for_each(|n| frames("(passive DNS)", &n.place));
        }
        let mut out: Vec<Size> = parts.into_iter().map(|(part, (stored, raw))| Size { part, stored, raw }).collect();
        out.sort_by(|a, b| b.stored.cmp(&a.stored).then_with(|| a.part.cmp(&b.part)));
        Ok((out, records))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, fresh, options, source};
    use super::*;
    use crate::store::Done;

    #[test]
    fn the_parts_are_all_that_the_segments_of_days_hold() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &options()).unwrap();
        let mut import = fresh(&store, 1);
        source(&mut import, "a");
        (0..9_000).for_each(|n| import.push(flow(1, n)).unwrap());
        import.finish(Done::default()).unwrap();
        let (parts, records) = store.sizes().unwrap();
        let list = store.segments().list().unwrap();
        let on_disk: u64 = list.iter().filter(|(day, ..)| *day != super::super::segment::CASE).map(|(_, _, len)| len).sum();
        assert_eq!((parts.iter().map(|p| p.stored).sum::<u64>(), records), (on_disk, 9_000));
        assert!(["src.ip", "bytes.out", "(postings)", "(rollups)"].iter().all(|n| parts.iter().any(|p| p.part == *n)));
    }
}
