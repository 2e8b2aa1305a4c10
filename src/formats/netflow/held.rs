//! What waits for a template: packets, their data, and what became of their parts.

use super::times::Exported;
use crate::formats::{Out, Status};
use std::net::IpAddr;

/// Whose packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) peer: Option<IpAddr>,
    pub(super) version: u16,
    pub(super) domain: u32,
}

/// A packet of which data waits for a template. What is read of it does not wait.
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) status: Tally,
    pub(super) out: Out,
    pub(super) sets: Vec<Set>,
    /// How many of its records were given out.
    pub(super) given: u16,
}

impl Held {
    /// What is read of it so far, if that is anything.
    pub(super) fn part(&mut self) -> Option<(Status, Out)> {
        if self.out.records.is_empty() && self.out.oddities.is_empty() {
            return None;
        }
        let rest = Out { unit: self.out.unit, ..Out::default() };
        let mut out = std::mem::replace(&mut self.out, rest);
        // In a capture all records of a packet have its place: their numbers go on where those of the part before ended.
        for read in out.records.iter_mut().filter(|r| r.record.id.offset == out.unit.offset) {
            read.record.id.ordinal = read.record.id.ordinal.saturating_add(self.given);
        }
        self.given = self.given.saturating_add(u16::try_from(out.records.len()).unwrap_or(u16::MAX));
        Some((std::mem::take(&mut self.status).status(), out))
    }
    /// All of it.
    pub(super) fn rest(mut self) -> (Status, Out) {
        let status = self.status.status();
        self.part().unwrap_or((status, self.out))
    }
}

pub(super) struct Set {
    pub(super) id: u16,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) exported: Exported,
}

impl Set {
    /// Bytes that it takes: of many small ones the most is not their data.
    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + std::mem::size_of::<Set>()
    }
}

/// What became of the parts of a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) read: u32,
    pub(super) partial: u32,
    pub(super) unread: u32,
}

impl Tally {
    pub(super) fn add(&mut self, status: Status) {
        match status {
            Status::Ok => self.read += 1,
            Status::Partial => self.partial += 1,
            Status::Skipped => {}
            Status::Failed => self.unread += 1,
        }
    }
    pub(super) fn status(self) -> Status {
        match (self.read, self.partial, self.unread) {
            (0, 0, 0) => Status::Skipped,
            (_, 0, 0) => Status::Ok,
            (0, 0, _) => Status::Failed,
            _ => Status::Partial,
        }
    }
}
