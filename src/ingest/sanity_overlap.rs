//! Two recordings of the same hosts at the same time, though no record of one is in the other: two taps, two interfaces, two copies that were
//! cut differently. Said once, with the other file and the span, because sums over both count what both saw twice.

use crate::model::filter::{Filter, Test};
use crate::model::record::{Kind, Record};
use crate::model::time::SECOND;
use crate::model::{EvidenceKey, SourceId, Time, Value, Window, field};
use crate::store::{Ask, Store};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// Hosts of a file that are compared.
const HOSTS: usize = 256;
/// Other files that are looked into, and rows of each.
const FILES: usize = 4;
const ROWS: usize = 2000;
/// Hosts that are named.
const NAMED: usize = 3;

/// When the flows of a file were, and whose.
#[derive(Debug, Default)]
pub struct Reach {
    span: Option<Window>,
    hosts: HashMap<IpAddr, u64>,
}

impl Reach {
    /// Looks at a record.
    pub fn add(&mut self, record: &Record) {
        if record.kind != Kind::Flow {
            return;
        }
        let span = self.span.get_or_insert(Window::new(record.start, record.end));
        (span.start, span.end) = (span.start.min(record.start), span.end.max(record.end));
        for host in ends(record) {
            if self.hosts.len() < HOSTS || self.hosts.contains_key(&host) {
                *self.hosts.entry(host).or_default() += 1;
            }
        }
    }
}

/// The two ends of a flow, without those that many share: broadcast, multicast, unspecified.
fn ends(record: &Record) -> impl Iterator<Item = IpAddr> {
    let own = |a: &IpAddr| match a {
        IpAddr::V4(v4) => !(v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified()),
        IpAddr::V6(v6) => !(v6.is_multicast() || v6.is_unspecified()),
    };
    [field::SRC_IP, field::DST_IP].into_iter().filter_map(|id| record.addr(id)).filter(own)
}

/// Other evidence of this kind that has the same hosts at the same time.
pub fn overlap(store: &Store, format: &str, key: EvidenceKey, reach: &Reach) -> Option<String> {
    let own = reach.span.filter(|w| w.length() >= SECOND)?;
    if reach.hosts.len() < 2 {
        return None;
    }
    let snapshot = store.snapshot();
    let alike = |other: &str| other == format || is_capture(other) && is_capture(format);
    let sources: Vec<SourceId> = snapshot.sources().into_iter().filter(|s| alike(&s.key.format)).map(|s| s.id).collect();
    let mut others: Vec<_> = snapshot
        .evidence()
        .into_iter()
        .filter(|e| e.key != key && alike(&e.format))
        .filter_map(|e| {
            let theirs = e.span?;
            let both = Window::new(own.start.max(theirs.start), own.end.min(theirs.end));
            let shorter = own.length().min(theirs.length()).max(1);
            // The pieces of a ring follow each other and overlap by a moment.
            (both.start < both.end && both.length() >= SECOND && both.length() >= shorter / 10).then_some((e, both))
        })
        .collect();
    others.sort_by_key(|(_, both)| std::cmp::Reverse(both.length()));
    others.into_iter().take(FILES).find_map(|(other, both)| {
        let flows = Filter::Test(field::KIND, Test::Is(Value::text(Kind::Flow.name())));
        let filter = Filter::And(vec![flows, Filter::Test(field::EVIDENCE, Test::Is(Value::text(&other.path)))]);
        let fields = Some(&[field::SRC_IP, field::DST_IP][..]);
        let ask = Ask { window: both, sources: Some(&sources), every_sighting: true, fields, ..Ask::new(&filter) };
        let (mut theirs, mut rows) = (BTreeSet::new(), 0);
        let looked = snapshot.visit(&ask, &|| false, &mut |row| {
            if row.kind() == Kind::Flow && row.id().evidence == other.key {
                rows += 1;
                theirs.extend(ends(&row.record()));
            }
            rows < ROWS
        });
        // A case that cannot be read says so elsewhere.
        looked.ok()?;
        let mut common: Vec<(u64, IpAddr)> = reach.hosts.iter().filter(|(h, _)| theirs.contains(*h)).map(|(h, n)| (*n, *h)).collect();
        if common.len() < 2 || common.len() * 3 < reach.hosts.len().min(theirs.len()) {
            return None;
        }
        common.sort_by_key(|(n, host)| (std::cmp::Reverse(*n), *host));
        let named: Vec<String> = common.iter().take(NAMED).map(|(_, h)| h.to_string()).collect();
        let more = if common.len() > NAMED { format!(" and {} more", common.len() - NAMED) } else { String::new() };
        let whole = |t: Time| Time(t.0.div_euclid(SECOND).saturating_mul(SECOND));
        Some(format!(
            "overlaps with {} from {} to {}, and has hosts in common with it ({}{more}): the same traffic recorded twice, or in two places; sums over \
             both count twice what is not joined",
            other.path,
            whole(both.start),
            whole(both.end),
            named.join(", ")
        ))
    })
}

fn is_capture(format: &str) -> bool {
    matches!(format, "pcap" | "pcapng" | "snoop")
}
