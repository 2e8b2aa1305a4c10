//! Is what was read plausible? Times that stand apart, silences, traffic of one direction, sampling, checksums that a network card fills in,
//! records that are in the case already. Each check looks at counts that were taken while a file was read, and says in one sentence with numbers
//! what a reader of the results must know; nothing is changed or left out for it.

use crate::model::flow::Flow;
use crate::model::record::{Kind, Record};
use crate::model::time::{SECOND, Time, Window, show_span, usual_bins};
use crate::model::{SourceId, field, filter::Filter};
use crate::store::{Ask, Store};
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

const MINUTE: i64 = 60 * SECOND;
/// Most slots of time that are counted apart; then they are made longer.
const SLOTS_MAX: usize = 16_384;
/// Least number of slots with records from which a pace can be told.
const PACE_MIN: usize = 30;
/// Silences of one file that are named.
const GAPS_MAX: usize = 3;
/// Records that are compared with those in the case.
const SAMPLE: usize = 32;
/// Senders that are named.
const NAMED: usize = 3;

/// What stands in one slot of time.
#[derive(Debug, Clone, Copy)]
struct Slot {
    n: u64,
    first: Time,
    last: Time,
}

impl Slot {
    fn add(&mut self, other: Slot) {
        self.n += other.n;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// How many records stand when: bounded, whatever their times are.
#[derive(Debug)]
pub struct Times {
    slots: BTreeMap<i64, Slot>,
    width: i64,
    /// The slot of the last record, not yet among the others.
    open: Option<(i64, Slot)>,
}

impl Default for Times {
    fn default() -> Times {
        Times { slots: BTreeMap::new(), width: SECOND, open: None }
    }
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, time: Time) {
        let key = time.0.div_euclid(self.width);
        let one = Slot { n: 1, first: time, last: time };
        match &mut self.open {
            Some((open, slot)) if *open == key => slot.add(one),
            _ => {
                self.settle();
                self.open = Some((time.0.div_euclid(self.width), one));
            }
        }
    }
    fn settle(&mut self) {
        if let Some((key, slot)) = self.open.take() {
            self.slots.entry(key).and_modify(|s| s.add(slot)).or_insert(slot);
        }
        while self.slots.len() > SLOTS_MAX {
            let Some(width) = self.width.checked_mul(8) else { return };
            self.width = width;
            for (_, slot) in std::mem::take(&mut self.slots) {
                let key = slot.first.0.div_euclid(width);
                self.slots.entry(key).and_modify(|s| s.add(slot)).or_insert(slot);
            }
        }
    }
    fn all(&mut self) -> Vec<Slot> {
        self.settle();
        self.slots.values().copied().collect()
    }
}

/// A time without its fraction.
fn whole(time: Time) -> Time {
    Time(time.0.div_euclid(SECOND).saturating_mul(SECOND))
}

/// Times far from all others: how many, and which span the others have.
pub fn outliers(times: &mut Times, what: &str) -> Option<String> {
    let slots = times.all();
    let counts: Vec<f64> = slots.iter().map(|s| s.n as f64).collect();
    let (mut from, mut to) = usual_bins(&counts)?;
    // What is not further away than the others reach is not far: the outermost of ordinary times belong to them.
    let reach = slots[to].last.since(slots[from].first);
    while from > 0 && slots[from].first.since(slots[from - 1].last) <= reach {
        from -= 1;
    }
    while to + 1 < slots.len() && slots[to + 1].first.since(slots[to].last) <= reach {
        to += 1;
    }
    let (all, usual) = (Window::new(slots.first()?.first, slots.last()?.last), Window::new(slots[from].first, slots[to].last));
    if usual.length() >= all.length() / 2 {
        return None;
    }
    let n: u64 = slots[..from].iter().chain(&slots[to + 1..]).map(|s| s.n).sum();
    let total: u64 = slots.iter().map(|s| s.n).sum();
    Some(format!(
        "{n} of {total} {what} have times far from the others ({} to {}), the earliest {}, the latest {}: they are kept, but not in the window that \
         is shown first",
        whole(usual.start),
        whole(usual.end),
        whole(all.start),
        whole(all.end)
    ))
}

/// Silences much longer than the usual pace: when and how long. The longest few must stand out from all others, so nights and weekends, which
/// recur, do not.
pub fn gaps(times: &mut Times, what: &str) -> Vec<String> {
    let slots = times.all();
    let counts: Vec<f64> = slots.iter().map(|s| s.n as f64).collect();
    let Some((from, to)) = usual_bins(&counts) else { return Vec::new() };
    let slots = &slots[from..=to];
    if slots.len() < PACE_MIN {
        return Vec::new();
    }
    let total: u64 = slots.iter().map(|s| s.n).sum();
    let length = slots[slots.len() - 1].last.since(slots[0].first);
    let mut silences: Vec<(i64, Window)> =
        slots.windows(2).map(|pair| (pair[1].first.since(pair[0].last), Window::new(pair[0].last, pair[1].first))).collect();
    silences.sort_by_key(|(gap, _)| std::cmp::Reverse(*gap));
    let ordinary = silences.get(GAPS_MAX).map_or(0, |(gap, _)| *gap);
    let spoken = length.saturating_sub(silences.iter().take(GAPS_MAX).map(|(gap, _)| gap).sum::<i64>()).max(1);
    let expected = |gap: i64| total as f64 / spoken as f64 * gap as f64;
    let mut odd: Vec<(i64, Window)> = silences
        .into_iter()
        .take(GAPS_MAX)
        .filter(|(gap, _)| *gap >= 5 * MINUTE && *gap >= ordinary.saturating_mul(10) && expected(*gap) >= 100.0)
        .collect();
    odd.sort_by_key(|(_, window)| window.start);
    odd.iter()
        .map(|(gap, window)| {
            format!(
                "no {what} from {} to {} ({}); elsewhere never more than {} apart: a gap in the recording, or an outage",
                whole(window.start),
                whole(window.end),
                show_span(*gap / SECOND * SECOND),
                show_span((ordinary / SECOND).max(1) * SECOND)
            )
        })
        .collect()
}

/// What the TCP flows of a capture tell about how it was taken.
#[derive(Debug, Default)]
pub struct Directions {
    /// Connections that were answered, as far as they tell.
    answered: u64,
    /// Of these, those of which only one side's packets are there.
    one_way: u64,
    /// Connections with enough payload to judge, and those of which most is missing.
    judged: u64,
    sparse: u64,
}

impl Directions {
    /// Counts a flow.
    pub fn flow(&mut self, flow: &Flow) {
        if flow.proto != 6 || flow.out.packets + flow.in_.packets < 2 {
            return;
        }
        let both = flow.out.packets > 0 && flow.in_.packets > 0;
        // An acknowledgement or data of one side is only sent when the other has answered.
        let acknowledges = flow.history.bytes().any(|b| matches!(b.to_ascii_lowercase(), b'a' | b'd' | b'h' | b'f'));
        self.answered += u64::from(both || acknowledges);
        self.one_way += u64::from(!both && acknowledges);
        let payload = flow.out.payload.saturating_add(flow.in_.payload);
        if both && payload >= 10_000 {
            self.judged += 1;
            self.sparse += u64::from(flow.missed.saturating_mul(2) > payload);
        }
    }
}

/// Half of a mirrored port, or routes that differ: connections that were answered, of which only one side is there.
pub fn one_way(seen: &Directions) -> Option<String> {
    let Directions { answered, one_way, .. } = *seen;
    (one_way >= 10 && one_way * 10 >= answered * 3).then(|| {
        format!(
            "{one_way} of {answered} TCP connections that were answered have packets of one side only: half of the traffic passed elsewhere (one \
             direction mirrored, or asymmetric routes)"
        )
    })
}

/// Packets chosen by sampling, or lost in great number: most of the payload is missing though the acknowledgements say that it was sent.
pub fn sampled(seen: &Directions) -> Option<String> {
    (seen.judged >= 10 && seen.sparse * 2 >= seen.judged).then(|| {
        format!(
            "of {} in {} TCP connections most of the payload is missing: packets were sampled, or lost while capturing; counts of packets and \
             bytes are too low",
            seen.sparse, seen.judged
        )
    })
}

/// Packets cut at the snapshot length.
pub fn cut(n: u64, packets: u64, snaplen: u32) -> Option<String> {
    let at = if snaplen > 0 { format!(" ({snaplen} bytes)") } else { String::new() };
    (n > 0).then(|| {
        format!(
            "{n} of {packets} packets were cut by the snapshot length{at}: what they carried is incomplete, their counts are not"
        )
    })
}

/// Senders with wrong checksums that are believed all the same: address, wrong, all.
pub fn offload(senders: &[(IpAddr, u64, u64)]) -> Option<String> {
    let mut worst: Vec<_> = senders.iter().filter(|(_, bad, all)| *bad >= 10 && bad * 5 > *all).collect();
    if worst.is_empty() {
        return None;
    }
    worst.sort_by_key(|(address, bad, _)| (std::cmp::Reverse(*bad), *address));
    let named: Vec<String> =
        worst.iter().take(NAMED).map(|(address, bad, all)| format!("{address} {} % of {all}", bad * 100 / all)).collect();
    let more = if worst.len() > NAMED { format!(" and {} more", worst.len() - NAMED) } else { String::new() };
    Some(format!(
        "wrong checksums are no damage with {} sender{} ({}{more}): its network card fills them in, or the capture was anonymised",
        worst.len(),
        if worst.len() == 1 { "" } else { "s" },
        named.join(", ")
    ))
}

/// Records of a file that are compared with those in the case: those with the smallest hashes, so any file gives the same ones.
#[derive(Debug, Default)]
pub struct Sample {
    kept: BTreeMap<u64, Record>,
    total: u64,
}

impl Sample {
    /// Looks at a record.
    pub fn add(&mut self, record: &Record) {
        if record.kind == Kind::Oddity {
            return;
        }
        self.total += 1;
        // The first value tells enough apart: this is asked for every record.
        let mut hash = std::hash::DefaultHasher::new();
        (record.start, record.end, record.kind as u8, record.id.offset).hash(&mut hash);
        let key = hash.finish();
        if self.kept.len() < SAMPLE || self.kept.last_key_value().is_some_and(|(last, _)| key < *last) {
            self.kept.insert(key, record.clone());
            if self.kept.len() > SAMPLE {
                self.kept.pop_last();
            }
        }
    }
}

/// Whether two records say the same, wherever they stand: what names their place is left aside.
pub fn is_same(a: &Record, b: &Record) -> bool {
    let said = |r: &Record| {
        let placed = |id| matches!(id, field::FLOW | field::TUNNEL | field::UID | field::EVIDENCE | field::PCAP_CNT);
        let fields: Vec<_> = r.fields.iter().filter(|(id, _)| !placed(*id)).cloned().collect();
        (r.kind, r.start, r.end, fields)
    };
    said(a) == said(b)
}

/// Records that are in the case already from other evidence of this format: about which share of this file, and from where. Not asked of a
/// file that takes the place of what it grew from.
pub fn copies(store: &Store, format: &str, sample: &Sample) -> Option<String> {
    let snapshot = store.snapshot();
    let alike = |key: &str| key == format || key == "pcap" && format.starts_with("pcap");
    let sources: Vec<SourceId> = snapshot.sources().into_iter().filter(|s| alike(&s.key.format)).map(|s| s.id).collect();
    if sources.is_empty() || sample.total < 5 {
        return None;
    }
    let mut from: HashMap<_, usize> = HashMap::new();
    for record in sample.kept.values() {
        let filter = Filter::All;
        let ask = Ask {
            window: Window::new(record.start, record.start.plus(1)),
            sources: Some(&sources),
            every_sighting: true,
            ..Ask::new(&filter)
        };
        let mut found = None;
        let looked = snapshot.visit(&ask, &|| false, &mut |row| {
            if row.kind() == record.kind && row.id().evidence != record.id.evidence && is_same(&row.record(), record) {
                found = Some(row.id().evidence);
            }
            found.is_none()
        });
        // A case that cannot be read says so elsewhere.
        looked.ok()?;
        if let Some(evidence) = found {
            *from.entry(evidence).or_default() += 1;
        }
    }
    let n: usize = from.values().sum();
    let share = n * 100 / sample.kept.len().max(1);
    let (evidence, _) = from.iter().max_by_key(|(key, n)| (**n, key.0))?;
    let path = snapshot.evidence_path(*evidence).unwrap_or_default();
    (n >= 3 && share >= 20).then(|| {
        format!(
            "about {share} % of its records are in the case already, from {path}: both are kept, so counts over both are too high"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::flow::Side;
    use crate::model::origin::{EvidenceKey, RecordId};

    const START: i64 = 1_763_625_600 * SECOND;

    fn times(seconds: impl IntoIterator<Item = i64>) -> Times {
        let mut times = Times::default();
        seconds.into_iter().for_each(|s| times.add(Time(START + s * SECOND)));
        times
    }

    #[test]
    fn a_few_times_years_away_are_told_and_a_long_tail_is_not() {
        let mut odd = times((0..5000).map(|n| n * 10).chain([-86_400 * 365, 86_400 * 700]));
        let said = outliers(&mut odd, "records").unwrap();
        assert!(said.starts_with("2 of 5002 records have times far from the others (2025-11-20T08:00:00Z to "), "{said}");
        assert!(said.contains("the earliest 2024-11-20T08:00:00Z"), "{said}");
        assert_eq!(outliers(&mut times((0..5000).map(|n| n * n / 100)), "records"), None);
        assert_eq!(outliers(&mut times([0]), "records"), None);
        assert_eq!(outliers(&mut Times::default(), "records"), None);
    }

    #[test]
    fn a_silence_that_stands_out_is_told_and_nights_are_not() {
        let mut odd = times((0..20_000).map(|n| n * 3 + if n > 9000 { 7200 } else { 0 }));
        let said = gaps(&mut odd, "records");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("no records from 2025-11-20T15:30:00Z to 2025-11-20T17:30:03Z (2h"), "{said:?}");
        // Ten working days of nine hours each.
        let work = (0..10i64).flat_map(|day| (0..3240).map(move |n| day * 86_400 + n * 10));
        assert_eq!(gaps(&mut times(work), "records"), Vec::<String>::new());
        // A slow source, and one with few records.
        assert_eq!(gaps(&mut times((0..100).map(|n| n * 3600 + n * n)), "records"), Vec::<String>::new());
        assert_eq!(gaps(&mut times([0, 1, 2, 90_000]), "records"), Vec::<String>::new());
    }

    #[test]
    fn times_all_over_the_calendar_take_bounded_room() {
        let mut all = Times::default();
        (0..200_000i64).for_each(|n| all.add(Time(n.wrapping_mul(0x9e37_79b9_7f4a_7c15u64 as i64))));
        assert!(all.all().len() <= SLOTS_MAX);
        assert_eq!(all.all().iter().map(|s| s.n).sum::<u64>(), 200_000);
        let ends = Window::new(Time(i64::MIN), Time(i64::MAX));
        all.add(ends.start);
        all.add(ends.end);
        let _ = (outliers(&mut all, "x"), gaps(&mut all, "x"));
    }

    fn flow(history: &str, out: u64, in_: u64, payload: u64, missed: u64) -> Flow {
        let side = |packets, payload| Side { packets, payload, ..Side::default() };
        Flow {
            id: RecordId::default(),
            start: Time(START),
            end: Time(START),
            src: "10.0.0.1".parse().unwrap(),
            src_port: 1,
            dst: "10.0.0.2".parse().unwrap(),
            dst_port: 2,
            proto: 6,
            state: "OTH",
            history: history.into(),
            app: "".into(),
            app_confidence: Default::default(),
            out: side(out, payload),
            in_: side(in_, 0),
            missed,
            end_reason: "end",
            open: false,
            more: Vec::new(),
        }
    }

    fn seen(flows: &[(usize, Flow)]) -> Directions {
        let mut seen = Directions::default();
        flows.iter().for_each(|(n, f)| (0..*n).for_each(|_| seen.flow(f)));
        seen
    }

    #[test]
    fn half_a_mirrored_port_is_told_and_a_scan_is_not() {
        let half = seen(&[(80, flow("SAD", 5, 0, 900, 0)), (20, flow("ShADad", 5, 4, 900, 0))]);
        assert!(one_way(&half).unwrap().starts_with("80 of 100 TCP connections"));
        let scan = seen(&[(500, flow("S", 3, 0, 0, 0)), (20, flow("ShADad", 5, 4, 900, 0))]);
        assert_eq!(one_way(&scan), None);
        assert_eq!(one_way(&seen(&[(3, flow("A", 2, 0, 0, 0))])), None);
    }

    #[test]
    fn sampling_is_told_and_a_few_lost_packets_are_not() {
        let thin = seen(&[(15, flow("ShADad", 5, 4, 100_000, 90_000)), (5, flow("ShADad", 5, 4, 100_000, 0))]);
        assert!(sampled(&thin).unwrap().starts_with("of 15 in 20 TCP"));
        let whole = seen(&[(3, flow("ShADad", 5, 4, 100_000, 90_000)), (40, flow("ShADad", 5, 4, 100_000, 1500))]);
        assert_eq!(sampled(&whole), None);
    }

    #[test]
    fn senders_that_compute_checksums_late_are_named_and_line_noise_is_not() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let said = offload(&[(at("10.0.0.5"), 980, 1000), (at("10.0.0.6"), 1, 1000)]).unwrap();
        assert!(said.starts_with("wrong checksums are no damage with 1 sender (10.0.0.5 98 % of 1000):"), "{said}");
        assert_eq!(offload(&[(at("10.0.0.6"), 12, 1000), (at("10.0.0.7"), 3, 3)]), None);
    }

    #[test]
    fn cuts_are_told_with_their_length() {
        assert!(cut(5, 10, 96).unwrap().starts_with("5 of 10 packets were cut by the snapshot length (96 bytes)"));
        assert_eq!(cut(0, 10, 96), None);
    }

    #[test]
    fn records_are_the_same_wherever_they_stand() {
        let mut a =
            Record::new(Kind::Dns, RecordId { evidence: EvidenceKey(1), offset: 5, ordinal: 0 }, SourceId(1), Time(START));
        a.set(field::NAME, "x.example");
        let mut b =
            Record { id: RecordId { evidence: EvidenceKey(2), offset: 900, ordinal: 3 }, source: SourceId(7), ..a.clone() };
        b.set(field::FLOW, "an id");
        assert!(is_same(&a, &b));
        b.set(field::USER, "jdoe");
        assert!(!is_same(&a, &b));
    }
}
