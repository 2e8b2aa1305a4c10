//! A live capture: interfaces -> meters -> the case, for as long as it is wanted. Each interface is evidence of its own. Rows are committed in parts
//! while it goes on, so that what kills it takes a few seconds of it; until they are they are published (see [`Publish`]).
//!
//! Where it falls behind nothing is lost here: whoever is late makes the one before it wait, up to the kernel's buffer, and what that drops is counted.

pub mod compact;
pub mod concern;
pub mod keep;
pub mod publish;
pub mod tap;

pub use publish::{InHead, Publish};
use serde::{Deserialize, Serialize};

use super::capture::{config, metered};
use crate::error::{Error, Result};
use crate::flow::{Checksums, Meter, Profile};
use crate::model::live::{LiveSource, LiveStatus};
use crate::model::packet::Packet;
use crate::model::source::{Counts, SourceKey};
use crate::model::{EvidenceKey, Filter, SourceId, Time, Window};
use crate::sources::capture::Interface;
use crate::sources::input::Stop;
use crate::sources::live::{Live, Said, Wanted};
use crate::sources::ring::{Limits, Ring};
use crate::sources::write::Described;
use crate::store::{NewEvidence, Store, now};
use compact::Compactor;
use concern::Concern;
use keep::{About, Keep};
use publish::Publisher;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tap::Tap;

/// How often it is told how a capture does, rows are published, and the disk is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often sets are read anew.
const SETS: Duration = Duration::from_secs(3);
/// Longest wait for packets.
const GLANCE: Duration = Duration::from_millis(100);
/// Bytes that the disk has to have beyond what stays free: a capture ends while what it has can still be written.
const ROOM: u64 = 64 << 20;
/// Most notices of a capture.
const NOTICES: usize = 50;

/// The folder of a case with the packets that live captures keep.
pub fn ring_folder(case: &Path) -> PathBuf {
    case.join("capture")
}

/// Which packets are kept.
#[derive(Clone, Default)]
pub enum Packets {
    /// None: flows and events only.
    #[default]
    None,
    /// All.
    All,
    /// Those of conversations that a condition holds for (see [`Concern`]). It is asked for every few seconds: sets change.
    Matching(Arc<dyn Fn() -> Result<Filter> + Send + Sync>),
}

/// What is to be captured, and how.
#[derive(Clone)]
pub struct Request {
    /// The capture program, see [`crate::sources::live::find`].
    pub program: PathBuf,
    /// Interfaces.
    pub interfaces: Vec<Wanted>,
    /// Which packets are kept in the ring.
    pub packets: Packets,
    /// What the ring may hold.
    pub ring: Limits,
    /// Drops what is too old or too much of the case, see [`compact::Prune`]; none: nothing is dropped.
    pub prune: Option<compact::Prune>,
    /// How long; none: until it is stopped.
    pub length: Option<Duration>,
    /// How soon rows are committed.
    pub commit: Duration,
    /// Name of the source instead of the interface's.
    pub source: Option<String>,
    /// When flows end without a packet that says so.
    pub timeouts: Profile,
    /// What packets with a wrong checksum are.
    pub checksums: Checksums,
    /// Custody: from whom, how obtained, ticket.
    pub custody: [String; 3],
}

/// What a capture needs from whoever started it.
pub struct Watch<'a> {
    /// Asked some times a second: `true`: it is to end.
    pub stop: Stop,
    /// Told every second how it does.
    pub tell: &'a dyn Fn(&LiveStatus),
    /// Who shows what is not committed yet.
    pub publish: Option<Box<dyn Publish>>,
}

/// What became of one interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Captured {
    /// Its evidence key.
    pub key: EvidenceKey,
    /// What the case calls its evidence.
    pub path: String,
    /// What passed and what was lost.
    pub status: LiveSource,
    /// What was read and stored.
    pub counts: Counts,
    /// Span of its records.
    pub span: Option<Window>,
    /// What is to be said of it.
    pub warnings: Vec<String>,
    /// What ended it, where nobody asked it to.
    pub error: Option<Error>,
}

/// What became of a capture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Its interfaces.
    pub interfaces: Vec<Captured>,
    /// Why it ended, if nobody asked it to, and what else is to be known.
    pub notices: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// The disk has no room: it was ended for that.
    pub full: bool,
    /// Bytes of packets in the ring, and files that were dropped from it.
    pub ring: Option<(u64, u64)>,
}

impl Summary {
    /// Whether it ended, or an interface of it, without being asked to.
    pub fn is_incomplete(&self) -> bool {
        self.full || self.interfaces.iter().any(|i| i.error.is_some())
    }
    /// In one sentence.
    pub fn said(&self) -> String {
        let status = LiveStatus { sources: self.interfaces.iter().map(|i| i.status.clone()).collect(), notices: Vec::new() };
        let (total, drops) = (status.total(), status.drops());
        let lost = match drops.total() {
            0 => "nothing was dropped".to_owned(),
            n => format!("{n} packets were dropped"),
        };
        format!("captured {} packets and {} flows in {} s; {lost}", total.packets, total.flows, self.elapsed.as_secs())
    }
}

/// Captures until it is stopped. An error is that it could not begin, or that the case cannot be written any more: what was committed until then
/// is kept.
pub fn capture(store: &Store, request: &Request, watch: Watch<'_>) -> Result<Summary> {
    if request.interfaces.is_empty() {
        return Err(Error::user("no interface is named").hint("-i IFACE; ip link lists them"));
    }
    let concern = concern(&request.packets)?;
    store.room_for(ROOM)?;
    let live = Live::start(&request.program, &request.interfaces)?;
    let mut session = Session::begin(store, request, live, concern, watch.publish)?;
    let ran = session.run(&*watch.stop, watch.tell);
    let mut summary = session.end(ran)?;
    // The capture was stopped: that does not stop this.
    let never: Stop = std::sync::Arc::new(|| false);
    summary.notices.extend(super::compared(store, &never));
    Ok(summary)
}

/// What is kept now; none: nothing, or all.
fn concern(packets: &Packets) -> Result<Option<Concern>> {
    match packets {
        Packets::Matching(filter) => Concern::new(filter()?).map(Some),
        Packets::None | Packets::All => Ok(None),
    }
}

struct Session<'a> {
    store: &'a Store,
    request: &'a Request,
    live: Live,
    taps: Vec<Tap>,
    ring: Option<Ring>,
    concern: Option<Concern>,
    publisher: Option<Publisher>,
    compactor: Compactor,
    notices: Vec<String>,
    full: bool,
    began: Instant,
    read_sets: Instant,
}

impl<'a> Session<'a> {
    fn begin(
        store: &'a Store,
        request: &'a Request,
        mut live: Live,
        concern: Option<Concern>,
        publish: Option<Box<dyn Publish>>,
    ) -> Result<Session<'a>> {
        let folder = ring_folder(&store.dir());
        let mut ring = match &request.packets {
            Packets::None => None,
            _ => Some(Ring::open(&folder, request.ring).map_err(|e| Error::io("the ring cannot be opened", &folder, &e))?),
        };
        // Every interface was described before any packet: that is what starting waits for.
        let mut described: Vec<Option<Interface>> = request.interfaces.iter().map(|_| None).collect();
        let mut early = Vec::new();
        while described.iter().any(Option::is_none) {
            match live.next(EVERY) {
                Some(Said::Interface(n, interface)) => described[n] = Some(interface),
                Some(other) => early.push(other),
                None => return Err(Error::internal("an interface was not described")),
            }
        }
        let (at, mut taps) = (now(), Vec::new());
        for (interface, wanted) in described.into_iter().flatten().zip(&request.interfaces) {
            let evidence = evidence(&wanted.interface, at);
            let key = SourceKey { format: "pcap".into(), sensor: wanted.interface.clone() };
            let source = source(store, &key, request)?;
            let keep = Keep::start(About {
                store: store.clone(),
                evidence: evidence.clone(),
                source: key,
                rename: request.source.clone(),
                custody: request.custody.clone(),
                metered: metered(request.timeouts, request.checksums),
            })?;
            if let Some(ring) = &mut ring {
                let (name, filter) = (wanted.interface.clone(), wanted.filter.clone());
                ring.add(evidence.key, Described { name, filter, link: interface.link, snaplen: interface.snaplen });
            }
            let meter = Meter::new(config(request.timeouts, request.checksums), evidence.key);
            taps.push(Tap::new(&wanted.interface, store, evidence, source, meter, keep, publish.is_some()));
        }
        let all = taps.iter().map(|t| t.evidence.clone()).collect();
        let publisher = publish.map(|to| Publisher::start(all, to)).transpose()?;
        let compactor = Compactor::start(store.clone(), taps.iter().map(|t| t.evidence.key).collect(), request.prune.clone())?;
        let (began, notices, read_sets) = (Instant::now(), Vec::new(), Instant::now());
        let mut session =
            Session { store, request, live, taps, ring, concern, publisher, compactor, notices, full: false, began, read_sets };
        early.into_iter().for_each(|said| session.take(said));
        Ok(session)
    }
    /// Until it is over.
    fn run(&mut self, stop: &dyn Fn() -> bool, tell: &dyn Fn(&LiveStatus)) -> Result<()> {
        let mut due = Instant::now() + EVERY;
        let mut until: Option<Instant> = None;
        loop {
            if let Some(said) = self.live.next(GLANCE) {
                self.take(said);
            }
            let now = Instant::now();
            if now >= due {
                due = now + EVERY;
                let room = self.tick(tell)?;
                if !room && until.is_none() {
                    self.full = true;
                    self.notice("the disk is almost full: the capture was ended, what it had is kept".to_owned());
                    until = Some(self.stop());
                }
            }
            let over = self.request.length.is_some_and(|length| self.began.elapsed() >= length);
            if until.is_none() && (over || stop()) {
                until = Some(self.stop());
            }
            if !self.live.is_running() || until.is_some_and(|until| now >= until) {
                return Ok(());
            }
        }
    }
    fn stop(&self) -> Instant {
        self.live.stop();
        Instant::now() + Live::patience()
    }
    fn take(&mut self, said: Said) {
        match said {
            Said::Packets(n, batch) => {
                let Some(tap) = self.taps.get_mut(n) else { return };
                for packet in batch.iter() {
                    let kept = keeps(&mut self.ring, self.concern.as_mut(), n, &packet);
                    match kept {
                        Ok(kept) => tap.packet(&packet, kept),
                        Err(e) => {
                            tap.packet(&packet, false);
                            // Flows go on without their packets.
                            self.ring = None;
                            let said = format!("packets are not kept any more: the ring cannot be written: {e}");
                            self.notices.push(said);
                        }
                    }
                }
            }
            Said::Counted(n, missed) => self.tap(n, |tap| tap.counted(&missed)),
            Said::Oddity(n, oddity, at) => self.tap(n, |tap| tap.odd(&oddity, at)),
            Said::Ended(n, ending) => {
                let mut said = Vec::new();
                self.tap(n, |tap| {
                    tap.running = false;
                    said.extend(ending.notes.into_iter().map(|note| format!("{}: {note}", tap.status.name)));
                    said.extend(ending.error.as_ref().map(|e| format!("{}: {}", tap.status.name, e.what)));
                    tap.error = ending.error;
                });
                said.into_iter().for_each(|s| self.notice(s));
            }
            Said::Interface(..) => {}
        }
    }
    fn tap(&mut self, n: usize, each: impl FnOnce(&mut Tap)) {
        if let Some(tap) = self.taps.get_mut(n) {
            each(tap);
        }
    }
    fn notice(&mut self, text: String) {
        if self.notices.len() < NOTICES && !self.notices.contains(&text) {
            self.notices.push(text);
        }
    }
    /// What is done every second. False: the disk has no room.
    fn tick(&mut self, tell: &dyn Fn(&LiveStatus)) -> Result<bool> {
        // Packets before the rows that refer to them.
        let ring = self.ring.as_mut().map(|ring| ring.bound().and_then(|()| ring.flush()));
        if let Some(Err(e)) = ring {
            self.ring = None;
            self.notice(format!("packets are not kept any more: the ring cannot be written: {e}"));
        }
        if self.concern.is_some() && self.read_sets.elapsed() >= SETS {
            self.read_sets = Instant::now();
            match concern(&self.request.packets) {
                Ok(concern) => self.concern = concern,
                Err(e) => self.notice(format!("packets are kept by the sets as they were: {}", e.what)),
            }
        }
        let at = Time(i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX));
        let mut changes = Vec::new();
        for (n, tap) in self.taps.iter_mut().enumerate() {
            if let Some(e) = tap.failed() {
                return Err(e);
            }
            tap.measure(at);
            if self.publisher.is_some() {
                changes.push(tap.change(n));
            }
            tap.commit_if_due(self.request.commit);
        }
        if let Some(publisher) = &mut self.publisher {
            publisher.give(changes);
        }
        self.compactor.wake();
        for said in self.compactor.told() {
            self.notice(said);
        }
        if let Some(e) = self.compactor.failed() {
            self.notice(format!("what is committed is not written together any more: {}", e.what));
        }
        let sources = self.taps.iter().map(|t| t.status.clone()).collect();
        tell(&LiveStatus { sources, notices: self.notices.clone() });
        Ok(self.has_room())
    }
    /// Whether the disk has room; packets are given up for it first.
    fn has_room(&mut self) -> bool {
        while self.store.room_for(ROOM).is_err() {
            match self.ring.as_mut().map(Ring::drop_oldest) {
                Some(Ok(true)) => self.notice("the disk is almost full: the oldest packets of the ring were given up".to_owned()),
                _ => return false,
            }
        }
        true
    }
    /// Ends every flow, commits, closes.
    fn end(mut self, ran: Result<()>) -> Result<Summary> {
        let elapsed = self.began.elapsed();
        self.compactor.end();
        for tap in &mut self.taps {
            tap.finish();
        }
        if let Some(ring) = &mut self.ring
            && let Err(e) = ring.close()
        {
            self.notices.push(format!("the ring's last file cannot be closed: {e}"));
        }
        let at = Time(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
        let mut failed = ran.err();
        let mut interfaces = Vec::new();
        for mut tap in self.taps {
            tap.measure(at);
            let (warnings, (counts, span)) = (tap.warnings(), tap.counts());
            tap.commit(true);
            interfaces.push(Captured {
                key: tap.evidence.key,
                path: tap.evidence.path.clone(),
                status: tap.status.clone(),
                counts,
                span,
                warnings,
                error: tap.error.take(),
            });
            failed = tap.end().err().or(failed);
        }
        // Rows leave the head only when they are committed.
        if let Some(e) = self.publisher.and_then(Publisher::end) {
            self.notices.push(format!("what was not committed could not be shown: {}", e.what));
        }
        if failed.is_none()
            && let Err(e) = interfaces.iter().try_for_each(|i| close(self.store, i.key))
        {
            self.notices.push(format!("what was committed last was not written together: {}", e.what));
        }
        match failed {
            Some(e) => Err(Error { hint: format!("what was committed before is kept; {}", e.hint), ..e }),
            None => {
                let ring = self.ring.map(|ring| (ring.size(), ring.dropped()));
                Ok(Summary { interfaces, notices: self.notices, elapsed, full: self.full, ring })
            }
        }
    }
}

/// Writes the small parts that are left together: nothing comes after them.
fn close(store: &Store, key: EvidenceKey) -> Result<()> {
    while store.compact(key, true, &|| false)?.is_some() {}
    Ok(())
}

/// Keeps a packet if it is to be kept; gives whether it is.
fn keeps(ring: &mut Option<Ring>, concern: Option<&mut Concern>, n: usize, packet: &Packet<'_>) -> std::io::Result<bool> {
    let Some(ring) = ring else { return Ok(false) };
    let wanted = concern.is_none_or(|concern| concern.keeps(packet));
    if wanted {
        ring.packet(n, packet)?;
    }
    Ok(wanted)
}

/// The evidence that a capture of an interface is: its key is of the interface, the time, the host and the process.
fn evidence(interface: &str, at: Time) -> NewEvidence {
    let host = rustix::system::uname().nodename().to_bytes().to_vec();
    let mut hash = Sha256::new();
    for part in [interface.as_bytes(), &at.0.to_le_bytes(), &host, &std::process::id().to_le_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    let path = format!("live:{interface}@{}", at.utc().format("%Y%m%dT%H%M%SZ"));
    NewEvidence { key: EvidenceKey(u64::from_be_bytes(key)), path, size: 0, modified: at, head_hash: [0; 32] }
}

/// The case's number of the source, known before the first row.
fn source(store: &Store, key: &SourceKey, request: &Request) -> Result<SourceId> {
    let rename = request.source.as_deref();
    let sensor = rename.unwrap_or(&key.sensor).to_owned();
    store.source_for(&SourceKey { sensor, ..key.clone() }, rename)
}

#[cfg(test)]
mod tests;
