//! The second half of an import: blocks that are full become frames, with their postings and sums. Of a long import it runs on a thread of its
//! own beside what fills the next blocks; blocks come in the order in which they were closed either way.

use super::Store;
use super::block::{BlockBuilder, Packer};
use super::catalog::About;
use super::commit::Pending;
use super::contents::BlockInfo;
use super::frame::FrameKind;
use super::parallel;
use super::postings::{self, ChunkInfo, Span};
use super::rollups;
use super::segment::MEMORY;
use crate::error::{Error, Result};
use crate::model::{EvidenceKey, SourceId};
use crossbeam_channel::{Sender, bounded};
use std::sync::OnceLock;
use std::thread::JoinHandle;

/// Bytes of postings in memory after which they are written.
const POSTINGS: usize = 64 << 20;
/// Full blocks that wait for the thread.
const WAITING: usize = 2;

/// Makes frames of the blocks of one import.
pub(super) struct Encoder {
    store: Store,
    import: u32,
    evidence: EvidenceKey,
    packer: Packer,
    collector: postings::Collector,
    pub(super) blocks: Vec<BlockInfo>,
    pub(super) chunks: Vec<ChunkInfo>,
    pub(super) rollups: Vec<ChunkInfo>,
    pub(super) pending: Pending,
}

impl Encoder {
    /// Of an import.
    pub(super) fn new(store: Store, import: u32, evidence: EvidenceKey) -> Result<Encoder> {
        Ok(Encoder {
            store,
            import,
            evidence,
            packer: Packer::new()?,
            collector: postings::Collector::default(),
            blocks: Vec::new(),
            chunks: Vec::new(),
            rollups: Vec::new(),
            pending: Pending::default(),
        })
    }
    fn is_head(&self) -> bool {
        self.import >= MEMORY
    }
    fn close(&mut self, day: i32, builder: BlockBuilder) -> Result<()> {
        if !self.is_head() {
            self.store.room()?;
        }
        let number = self.blocks.len() as u32;
        let source = builder.source;
        let collector = &mut self.collector;
        let mut index = |field: u16, value: &[u8], rows: &[u32]| collector.add(day, source, number, field, value, rows);
        let (zone, body) = builder.close(self.import, number, self.evidence, &mut self.packer, &mut index);
        let mut meta = Vec::new();
        zone.put(&mut meta);
        let segments = self.store.segments();
        let place = segments.append(day, FrameKind::Block, self.import, &meta, &body).map_err(|e| self.store.full(e))?;
        self.pending.add(About::Block, self.import, number, &place, &meta);
        self.blocks.push(BlockInfo { place, zone, meta: meta.len() as u32, directory: OnceLock::new() });
        if self.collector.weight() > POSTINGS {
            self.write_postings()?;
        }
        if self.pending.is_due() && !self.is_head() { self.store.commit_group(&mut self.pending) } else { Ok(()) }
    }
    fn write_postings(&mut self) -> Result<()> {
        let mut to = Chunks {
            kind: FrameKind::Postings,
            about: About::Postings,
            import: self.import,
            store: &self.store,
            written: &mut self.chunks,
            pending: &mut self.pending,
        };
        self.collector.flush(&mut self.packer, &mut |day, source, first, last, body| to.write(day, source, first, last, &body))
    }
    fn write_sums(&mut self, sums: &mut rollups::Collector) -> Result<()> {
        let mut to = Chunks {
            kind: FrameKind::Rollups,
            about: About::Rollups,
            import: self.import,
            store: &self.store,
            written: &mut self.rollups,
            pending: &mut self.pending,
        };
        sums.flush(&mut self.packer, &mut |day, source, first, last, body| to.write(day, source, first, last, &body))
    }
}

/// Where packed chunks of one kind go.
struct Chunks<'a> {
    kind: FrameKind,
    about: About,
    import: u32,
    store: &'a Store,
    written: &'a mut Vec<ChunkInfo>,
    pending: &'a mut Pending,
}

impl Chunks<'_> {
    fn write(&mut self, day: i32, source: SourceId, first: &[u8], last: &[u8], body: &[u8]) -> Result<()> {
        let index = self.written.len() as u32;
        let span = Span { import: self.import, index, source, first: first.into(), last: last.into() };
        let mut meta = Vec::new();
        span.put(&mut meta);
        let segments = self.store.segments();
        let place = segments.append(day, self.kind, self.import, &meta, body).map_err(|e| self.store.full(e))?;
        self.pending.add(self.about, self.import, index, &place, &meta);
        self.written.push(ChunkInfo { place, span });
        Ok(())
    }
}

/// What the thread is to do.
pub(super) enum Work {
    Close(i32, Box<BlockBuilder>),
    Sums(rollups::Collector),
}

/// Where blocks are encoded.
pub(super) enum Encoding {
    /// Where they are filled.
    Here(Box<Encoder>),
    /// On a thread.
    Beside(Sender<Work>, JoinHandle<(Box<Encoder>, Result<()>)>),
    /// It failed, and that was said.
    Failed,
}

impl Encoding {
    /// Encodes a block; from the second full one on beside what fills the next, where there is a processor for it.
    pub(super) fn close(&mut self, day: i32, builder: BlockBuilder, is_long: bool) -> Result<()> {
        if is_long && matches!(self, Encoding::Here(e) if !e.is_head() && !e.blocks.is_empty()) && parallel::processors() > 1 {
            self.go_beside()?;
        }
        match self {
            Encoding::Here(encoder) => encoder.close(day, builder),
            Encoding::Beside(to, _) => {
                let sent = to.send(Work::Close(day, Box::new(builder))).is_ok();
                if sent { Ok(()) } else { self.come_back().map(|_| ()) }
            }
            Encoding::Failed => Err(failed()),
        }
    }
    /// Writes sums of blocks that were closed.
    pub(super) fn sums(&mut self, mut sums: rollups::Collector) -> Result<()> {
        match self {
            Encoding::Here(encoder) => encoder.write_sums(&mut sums),
            Encoding::Beside(to, _) => {
                let sent = to.send(Work::Sums(sums)).is_ok();
                if sent { Ok(()) } else { self.come_back().map(|_| ()) }
            }
            Encoding::Failed => Err(failed()),
        }
    }
    fn go_beside(&mut self) -> Result<()> {
        let Encoding::Here(mut encoder) = std::mem::replace(self, Encoding::Failed) else { return Ok(()) };
        let (to, from) = bounded(WAITING);
        let run = move || {
            for work in from {
                let done = match work {
                    Work::Close(day, builder) => encoder.close(day, *builder),
                    Work::Sums(mut sums) => encoder.write_sums(&mut sums),
                };
                if done.is_err() {
                    return (encoder, done);
                }
            }
            (encoder, Ok(()))
        };
        let thread = std::thread::Builder::new().name("encode".into()).spawn(run);
        let thread = thread.map_err(|e| Error::internal(format!("no thread can be begun: {e}")))?;
        *self = Encoding::Beside(to, thread);
        Ok(())
    }
    /// The encoder, with nothing waiting for it.
    pub(super) fn come_back(&mut self) -> Result<&mut Encoder> {
        *self = match std::mem::replace(self, Encoding::Failed) {
            Encoding::Beside(to, thread) => {
                drop(to);
                let (encoder, done) = thread.join().map_err(|_| failed())?;
                done?;
                Encoding::Here(encoder)
            }
            other => other,
        };
        self.here().ok_or_else(failed)
    }
    /// The encoder of an import of which every block is closed; none: it is not closed, or failed.
    pub(super) fn here(&mut self) -> Option<&mut Encoder> {
        if let Encoding::Here(encoder) = self { Some(encoder) } else { None }
    }
    /// Blocks, chunks of postings and chunks of sums of an import of which every block is closed.
    pub(super) fn written(&self) -> [u32; 3] {
        let Encoding::Here(e) = self else { return [0; 3] };
        [e.blocks.len(), e.chunks.len(), e.rollups.len()].map(|n| n as u32)
    }
    /// Writes what was collected of all blocks.
    pub(super) fn end(&mut self) -> Result<()> {
        self.come_back()?.write_postings()
    }
}

fn failed() -> Error {
    Error::internal("blocks of this import could not be encoded")
}
