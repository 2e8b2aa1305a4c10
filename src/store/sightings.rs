//! One connection seen by several sources: which rows are hidden because a better sighting is shown, and who else saw the shown one.
//! Computed by the layer above from [`Snapshot::flows`]; plain data here.

use super::ask::bounds;
use super::bits::Bits;
use super::eval;
use super::snapshot::{BlockId, Snapshot};
use crate::error::{Error, Result};
use crate::model::{Kind, RecordId, SourceId, Time, Window, field};
use std::collections::HashMap;
use std::net::IpAddr;

/// Which sightings of flows are hidden, and who else saw those that are shown.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    /// Rows that are hidden, by block.
    pub masked: HashMap<BlockId, Bits>,
    /// Other sources of a shown flow, in order of preference.
    pub seen_by: HashMap<RecordId, Vec<SourceId>>,
    /// The sources that were compared, and whether times of theirs have parts of a second; of fewer than two none.
    pub givers: Vec<(SourceId, bool)>,
}

impl Sightings {
    /// Hides a row of a block of so many rows.
    pub fn mask(&mut self, block: BlockId, rows: u32, row: u32) {
        self.masked.entry(block).or_insert_with(|| Bits::none(rows as usize)).set(row as usize);
    }
    /// Shows a row again; whether it was hidden.
    pub fn unmask(&mut self, block: BlockId, row: u32) -> bool {
        let Some(bits) = self.masked.get_mut(&block).filter(|bits| bits.has(row as usize)) else { return false };
        bits.clear(row as usize);
        if bits.is_empty() {
            self.masked.remove(&block);
        }
        true
    }
}

/// A flow as far as it takes to find its other sightings. Times are corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSight {
    /// Block that it stands in.
    pub block: BlockId,
    /// Rows of that block.
    pub rows: u32,
    /// Its row.
    pub row: u32,
    /// Its id.
    pub id: RecordId,
    /// Its source.
    pub source: SourceId,
    /// First instant.
    pub start: Time,
    /// Last instant.
    pub end: Time,
    /// Protocol.
    pub proto: u8,
    /// Originator.
    pub src: (IpAddr, u16),
    /// Responder.
    pub dst: (IpAddr, u16),
}

impl Snapshot {
    /// Every flow that has addresses, block by block, in no order of time. `each` returns false to stop.
    pub fn flows(&self, stop: &dyn Fn() -> bool, each: &mut dyn FnMut(FlowSight) -> bool) -> Result<()> {
        self.flows_of(&|_, _| true, stop, each)
    }
    /// As [`Snapshot::flows`], of blocks that are wanted: asked by the number of their import and by their window in corrected time.
    pub fn flows_of(
        &self,
        wanted: &dyn Fn(u32, &Window) -> bool,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(FlowSight) -> bool,
    ) -> Result<()> {
        for (import, data) in self.imports().iter().enumerate() {
            for (index, info) in data.blocks.iter().enumerate() {
                if !info.zone.kinds.iter().any(|(k, _)| *k == Kind::Flow) {
                    continue;
                }
                let (start, end) = bounds(&info.zone, self.setting(import, info.zone.source).shift);
                if !wanted(data.id, &Window::new(start.0, end.1.max(start.1).plus(1))) {
                    continue;
                }
                if stop() {
                    return Err(Error::cancelled());
                }
                let reader = self.reader(import, index)?;
                let setting = self.setting(import, info.zone.source);
                let filter = crate::model::Filter::is(field::KIND, "flow");
                let rows = eval::eval(&filter, &reader, &setting, &Bits::all(reader.rows()))?;
                let heads = reader.heads()?;
                let one = |f| reader.field(f).map(|c| c.into_iter().next());
                let (proto, src, dst) = (one(field::PROTO)?, one(field::SRC_IP)?, one(field::DST_IP)?);
                let (sport, dport) = (one(field::SRC_PORT)?, one(field::DST_PORT)?);
                let (Some(src), Some(dst)) = (src, dst) else { continue };
                for row in rows.iter() {
                    let number =
                        |c: &Option<std::sync::Arc<super::column::Column>>| c.as_ref().and_then(|c| c.uint(row)).unwrap_or(0);
                    let (Some(from), Some(to)) = (src.addr(row), dst.addr(row)) else { continue };
                    let (start, end) = heads.times(row);
                    let shift = setting.shift.at(start);
                    let flow = FlowSight {
                        block: reader.id(),
                        rows: info.zone.rows,
                        row: row as u32,
                        id: heads.id(info.zone.evidence, row),
                        source: info.zone.source,
                        start: start.plus(shift),
                        end: end.plus(shift),
                        proto: number(&proto) as u8,
                        src: (from, number(&sport) as u16),
                        dst: (to, number(&dport) as u16),
                    };
                    if !each(flow) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}
