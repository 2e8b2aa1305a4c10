//! Going on where an earlier run was: what detectors have gathered before an hour is kept, and the next run gives them only the records since.
//!
//! The result is that of a run over everything, to the byte: records come in the same order, in pieces of the same hours, and hosts and texts get
//! their numbers in that order. What is kept counts only if nothing that it rests on has changed: thresholds and rules, clocks, home networks,
//! what was pruned, and the records before the hour.

use super::curves::Gather;
use super::profile::Ledger;
use super::rank::Ranking;
use super::rows::Net;
use super::{Detector, Limits, Watch};
use crate::error::{Error, Result};
use crate::model::time::{DAY, SECOND};
use crate::model::{EvidenceKey, SourceId, Time};
use crate::query::Engine;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of what is kept; it grows whenever what a detector gathers, or how a piece is cut, changes.
const VERSION: u32 = 1;
const HOUR: i64 = 3_600 * SECOND;

/// Keeps what was gathered, part by part.
pub trait Past {
    /// Fewest records of a case from which on it is worth it.
    fn least(&self) -> u64;
    /// Hours before which something is kept.
    fn hours(&self) -> Vec<Time>;
    /// Gives what is kept before an hour, part by part, until one is refused.
    fn read(&self, hour: Time, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;
    /// Keeps what `parts` gives to the function that it is called with.
    fn write(&self, hour: Time, parts: &mut Parts<'_>) -> Result<()>;
    /// Lets go of everything but that before these hours.
    fn only(&self, hours: &[Time]);
}

/// Gives parts to a function, one after the other.
pub type Parts<'a> = dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> + 'a;

/// Something as bytes.
pub fn bytes<T: Serialize + ?Sized>(what: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(what).map_err(|e| Error::internal(format!("what was gathered cannot be kept: {e}")))
}

/// What bytes are.
pub fn of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (out, rest) =
        postcard::take_from_bytes(bytes).map_err(|e| Error::internal(format!("what was gathered cannot be read: {e}")))?;
    if rest.is_empty() { Ok(out) } else { Err(Error::internal("what was gathered is longer than it should be")) }
}

/// For a [`Watch`] that is kept as it is.
macro_rules! kept {
    () => {
        fn keep(&self) -> $crate::error::Result<Vec<u8>> {
            $crate::detectors::resume::bytes(self)
        }
        fn resume(&mut self, bytes: &[u8]) -> $crate::error::Result<()> {
            *self = $crate::detectors::resume::of(bytes)?;
            Ok(())
        }
    };
}
pub(super) use kept;

/// For a [`Watch`] that gathers nothing.
macro_rules! keeps_nothing {
    () => {
        fn keep(&self) -> $crate::error::Result<Vec<u8>> {
            Ok(Vec::new())
        }
        fn resume(&mut self, bytes: &[u8]) -> $crate::error::Result<()> {
            debug_assert!(bytes.is_empty(), "it gathers nothing");
            Ok(())
        }
    };
}
pub(super) use keeps_nothing;

/// What detectors have gathered so far.
pub struct Gathered {
    /// The detectors at work.
    pub watches: Vec<(&'static dyn Detector, Box<dyn Watch>)>,
    /// Alerts.
    pub ranking: Ranking,
    /// What hosts did, if a detector compares that with what is stated.
    pub ledger: Option<Ledger>,
    /// Curves, if a detector reads them.
    pub curves: Option<Gather>,
}

impl Gathered {
    /// Nothing yet.
    pub fn new(detectors: &[&'static dyn Detector], limits: &Limits) -> Gathered {
        Gathered {
            watches: detectors.iter().map(|d| (*d, d.watch(limits))).collect(),
            ranking: Ranking::default(),
            ledger: detectors.iter().any(|d| d.compares()).then(Ledger::default),
            curves: detectors.iter().any(|d| d.reads_curves()).then(Gather::default),
        }
    }
    fn keep(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        each(&bytes(&self.ranking)?)?;
        each(&bytes(&self.ledger)?)?;
        each(&bytes(&self.curves)?)?;
        self.watches.iter().try_for_each(|(_, watch)| each(&watch.keep()?))
    }
    fn resume(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        match n {
            0 => self.ranking = of(bytes)?,
            1 => self.ledger = of(bytes)?,
            2 => self.curves = of(bytes)?,
            _ => match self.watches.get_mut(n - 3) {
                Some((_, watch)) => watch.resume(bytes)?,
                None => return Err(Error::internal("there are fewer detectors than were kept")),
            },
        }
        Ok(())
    }
}

/// What is kept rests on this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// Rules, thresholds, and what the caller says.
    rests: String,
    /// Sources with their clocks. Others may come.
    sources: Vec<(SourceId, String)>,
    /// Evidence. More may come, of the time since.
    evidence: Vec<EvidenceKey>,
    /// Hash of how many records each hour has that was looked at.
    hours: Vec<u8>,
    /// Records that were looked at.
    rows: u64,
    /// Detectors.
    detectors: usize,
}

/// How what is kept can be told to be of the same case.
pub struct Basis<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// Rules, thresholds, and what the caller says.
    pub rests: String,
    /// The hours that have records, with how many, in order.
    pub hours: Vec<(Time, u64)>,
}

impl Basis<'_> {
    fn head(&self, hour: Time, rows: u64, detectors: usize) -> Head {
        let mut hash = Sha256::new();
        for (start, count) in self.hours.iter().take_while(|h| h.0 < hour) {
            hash.update(start.0.to_le_bytes());
            hash.update(count.to_le_bytes());
        }
        let mut evidence: Vec<EvidenceKey> = self.engine.evidence().iter().map(|e| e.key).collect();
        evidence.sort_unstable();
        Head {
            version: VERSION,
            rests: format!("{} {}", env!("CARGO_PKG_VERSION"), self.rests),
            sources: self.engine.sources().into_iter().map(|s| (s.id, format!("{} {:?}", s.name, s.clock))).collect(),
            evidence,
            hours: hash.finalize().to_vec(),
            rows,
            detectors,
        }
    }
    /// Whether what was kept before an hour is what would be gathered before it now.
    fn fits(&self, kept: &Head, hour: Time) -> bool {
        let now = self.head(hour, kept.rows, kept.detectors);
        let evidence = || kept.evidence.iter().all(|key| now.evidence.binary_search(key).is_ok());
        // What has come is of the time since: else it may say something else of what was known.
        let since = || {
            let new = |key: &EvidenceKey| kept.evidence.binary_search(key).is_err();
            self.engine.evidence().iter().filter(|e| new(&e.key)).all(|e| e.span.is_none_or(|s| s.start >= hour))
        };
        (kept.version, &kept.rests, &kept.hours) == (now.version, &now.rests, &now.hours)
            && kept.sources.iter().all(|s| now.sources.contains(s))
            && evidence()
            && since()
    }
    /// The hours before which it is worth to keep what was gathered, of those with records: the last one, to which more may come; one a few hours
    /// before and one the day before, since much is written down when it ends.
    pub fn worth(&self) -> Vec<Time> {
        let Some(last) = self.hours.last().map(|h| h.0) else { return Vec::new() };
        let after = |time: i64| self.hours.iter().map(|h| h.0).find(|h| h.0 >= time);
        let cut = |time: i64, to: i64| time.div_euclid(to).saturating_mul(to);
        let of = [cut(last.0.saturating_sub(DAY), DAY), cut(last.0.saturating_sub(HOUR), 6 * HOUR), last.0];
        let first = self.hours.first().map(|h| h.0);
        let mut out: Vec<Time> = of.into_iter().filter_map(after).filter(|h| Some(*h) != first).collect();
        out.dedup();
        out
    }
    /// Keeps what was gathered before an hour.
    pub fn keep(&self, past: &dyn Past, hour: Time, net: &Net, rows: u64, gathered: &Gathered) -> Result<()> {
        past.write(hour, &mut |each| {
            each(&bytes(&self.head(hour, rows, gathered.watches.len()))?)?;
            each(&net.keep()?)?;
            gathered.keep(each)
        })
    }
    /// What was gathered last, if it is what would be gathered now: the hour from which on records are to be given, how many were, and what they were.
    pub fn last(&self, past: &dyn Past, new: &dyn Fn() -> Gathered) -> Option<(Time, u64, Net, Gathered)> {
        let mut hours = past.hours();
        hours.sort_unstable();
        hours.into_iter().rev().find_map(|hour| self.read(past, hour, new).ok())
    }
    fn read(&self, past: &dyn Past, hour: Time, new: &dyn Fn() -> Gathered) -> Result<(Time, u64, Net, Gathered)> {
        let (mut net, mut gathered, mut rows, mut n) = (Net::default(), new(), 0, 0usize);
        past.read(hour, &mut |bytes| {
            match n {
                0 => {
                    let head: Head = of(bytes)?;
                    if head.detectors != gathered.watches.len() || !self.fits(&head, hour) {
                        return Err(Error::internal("it rests on something else"));
                    }
                    rows = head.rows;
                }
                1 => net = Net::resume(bytes)?,
                n => gathered.resume(n - 2, bytes)?,
            }
            n += 1;
            Ok(())
        })?;
        match n == gathered.watches.len() + 5 {
            true => Ok((hour, rows, net, gathered)),
            false => Err(Error::internal("not all of it is there")),
        }
    }
}

/// Networks, as address and length.
pub(super) mod network {
    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::net::IpAddr;

    pub fn serialize<S: Serializer>(net: &IpNet, to: S) -> Result<S::Ok, S::Error> {
        (net.addr(), net.prefix_len()).serialize(to)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
        let (addr, length) = <(IpAddr, u8)>::deserialize(from)?;
        IpNet::new(addr, length).map_err(D::Error::custom)
    }
}
