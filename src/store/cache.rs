//! Decoded columns, postings and passive DNS that were used last, up to a number of bytes; shared by all snapshots of a case.

use super::clocks::Shift;
use super::column::Column;
use super::names_chunk::{Addresses, Names};
use super::snapshot::BlockId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What is kept.
#[derive(Debug, Clone)]
pub enum Kept {
    /// A column.
    Column(Arc<Column>),
    /// A block's addresses.
    Addrs(Arc<Vec<IpAddr>>),
    /// Entries of a chunk of postings.
    Postings(Arc<Vec<u8>>),
    /// Rows of a block that have one of some ends, ascending, by the clock that its source had.
    Ends(Shift, Arc<Vec<u16>>),
    /// Passive DNS by address.
    Addresses(Arc<Addresses>),
    /// Passive DNS by name.
    Names(Arc<Names>),
}

impl Kept {
    fn weight(&self) -> usize {
        match self {
            Kept::Column(c) => c.weight(),
            Kept::Addrs(a) => a.len() * size_of::<IpAddr>() + 64,
            Kept::Postings(entries) => entries.len() + 64,
            Kept::Ends(_, rows) => rows.len() * 2 + 192,
            Kept::Addresses(c) => c.weight(),
            Kept::Names(c) => c.weight(),
        }
    }
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<(BlockId, u32), (Kept, u64)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    /// An empty cache of at most so many bytes.
    pub fn new(limit: usize) -> Cache {
        Cache { limit, state: Mutex::default() }
    }
    /// Column number `column` of a block.
    pub fn find(&self, block: BlockId, column: u32) -> Option<Kept> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let clock = state.clock;
        let (kept, used) = state.kept.get_mut(&(block, column))?;
        *used = clock;
        Some(kept.clone())
    }
    /// What was kept of an import goes: it is asked for no more.
    pub fn forget(&self, import: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.kept.retain(|(block, _), _| block.import != import);
        state.bytes = state.kept.values().map(|(k, _)| k.weight()).sum();
    }
    /// Keeps a column; the half that was not used for longest goes when there is no room.
    pub fn keep(&self, block: BlockId, column: u32, kept: Kept) {
        let weight = kept.weight();
        if weight > self.limit / 8 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.bytes + weight > self.limit {
            let mut uses: Vec<u64> = state.kept.values().map(|(_, used)| *used).collect();
            let middle = uses.len() / 2;
            let (_, median, _) = uses.select_nth_unstable(middle);
            let median = *median;
            state.kept.retain(|_, (_, used)| *used > median);
            state.bytes = state.kept.values().map(|(k, _)| k.weight()).sum();
        }
        state.clock += 1;
        let clock = state.clock;
        let before = state.kept.insert((block, column), (kept, clock)).map_or(0, |(kept, _)| kept.weight());
        state.bytes = (state.bytes + weight).saturating_sub(before);
    }
}
