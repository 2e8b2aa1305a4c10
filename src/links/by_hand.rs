//! What people said of links: two records are one thing, or they are not. Applied when a question is asked; the last word on a pair counts, and
//! what was taken back never was.

use crate::error::Result;
use crate::model::answer::{ByHand, Link, Linked, Match};
use crate::model::decision::{Decision, What, standing};
use crate::model::{Cancel, Kind, Record, RecordId, Time};
use crate::store::Snapshot;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most judged links of one record that are read.
const MOST: usize = 1_000;
/// Method of a link that nothing but a person's word makes.
const PINNED: &str = "pinned";
/// Method of one that a person denies.
const REJECTED: &str = "rejected";

/// What stands of what people said of links, by record.
#[derive(Debug, Default)]
pub struct Judged {
    of: BTreeMap<RecordId, BTreeMap<RecordId, ByHand>>,
}

impl Judged {
    /// Of the decisions of a case.
    pub fn new(decisions: &[Decision]) -> Judged {
        let mut of: BTreeMap<RecordId, BTreeMap<RecordId, ByHand>> = BTreeMap::new();
        for decision in standing(decisions) {
            let What::LinkJudged { records: (a, b), accepted, reason } = &decision.what else { continue };
            let (Ok(a), Ok(b)) = (a.parse::<RecordId>(), b.parse::<RecordId>()) else { continue };
            let word = ByHand {
                decision: decision.sequence,
                accepted: *accepted,
                who: decision.who.name.clone(),
                at: Time(decision.at),
                reason: reason.clone(),
            };
            of.entry(a).or_default().insert(b, word.clone());
            of.entry(b).or_default().insert(a, word);
        }
        Judged { of }
    }
    /// What was said of two records.
    pub fn on(&self, a: RecordId, b: RecordId) -> Option<&ByHand> {
        self.of.get(&a)?.get(&b)
    }
    /// Whether a person said that two records are not one thing.
    pub fn rejects(&self, a: RecordId, b: RecordId) -> bool {
        self.on(a, b).is_some_and(|word| !word.accepted)
    }
    /// Takes out of the links of a record what was rejected, marks what was accepted, and adds what only a person's word links.
    pub fn apply(&self, snapshot: &Snapshot, record: &Record, mut links: Vec<Link>, cancel: &Cancel) -> Result<Linked> {
        let Some(words) = self.of.get(&record.id) else { return Ok(Linked { links, rejected: Vec::new() }) };
        links.retain(|l| words.get(&l.record.id).is_none_or(|word| word.accepted));
        let mut rejected = Vec::new();
        for (other, word) in words.iter().take(MOST) {
            cancel.check()?;
            if let Some(link) = links.iter_mut().find(|l| l.record.id == *other) {
                link.quality = Match::ByHand;
                link.hand = Some(word.clone());
            } else if let Some(found) = snapshot.record(*other)? {
                let method = if word.accepted { PINNED } else { REJECTED };
                let link = Link { hand: Some(word.clone()), ..Link::new(found, method, Match::ByHand) };
                if word.accepted { links.push(link) } else { rejected.push(link) }
            }
        }
        let by_time = |l: &Link| (l.record.kind != Kind::Flow, l.record.time(), l.record.id);
        // Those across a translation stay behind those that are here.
        links.sort_by_key(|l| (l.via.is_some(), by_time(l)));
        rejected.sort_by_key(by_time);
        Ok(Linked { links, rejected })
    }
}

/// The decision by which two records are said to be one thing, or not to be.
pub fn judged(a: RecordId, b: RecordId, accepted: bool, reason: &str) -> What {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    What::LinkJudged { records: (a.to_string(), b.to_string()), accepted, reason: reason.trim().to_owned() }
}

/// Keeps what stands until something is entered.
#[derive(Debug, Default)]
pub struct Keeping(Mutex<Option<(usize, Arc<Judged>)>>);

impl Keeping {
    /// What stands, given all decisions: there are never fewer.
    pub fn of(&self, decisions: &[Decision]) -> Arc<Judged> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = slot.as_ref().filter(|(n, _)| *n == decisions.len()) {
            return Arc::clone(kept);
        }
        let made = Arc::new(Judged::new(decisions));
        *slot = Some((decisions.len(), Arc::clone(&made)));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::{exact, world::World};
    use crate::model::decision::Who;

    fn decided(all: Vec<What>) -> Judged {
        let who = Who { name: "ana".into(), ..Who::default() };
        let all = (1..).zip(all).map(|(sequence, what)| Decision { sequence, at: 7, who: who.clone(), what });
        Judged::new(&all.collect::<Vec<_>>())
    }
    fn shown(snapshot: &Snapshot, judged: &Judged, id: RecordId) -> (Vec<(RecordId, String, String)>, Vec<RecordId>) {
        let record = snapshot.record(id).unwrap().unwrap();
        let found = exact::links(snapshot, &record, judged, &Cancel::default()).unwrap();
        let Linked { links, rejected } = judged.apply(snapshot, &record, found, &Cancel::default()).unwrap();
        let of = |l: Link| (l.record.id, l.method.to_string(), l.quality.to_string());
        (links.into_iter().map(of).collect(), rejected.iter().map(|l| l.record.id).collect())
    }

    #[test]
    fn what_is_rejected_goes_and_leaves_the_other_candidate_alone_on_both_sides() {
        let mut world = World::new();
        let (pcap, eve) = (world.source("pcap", "a"), world.source("suricata-eve", "a"));
        let (src, dst) = ("10.0.0.5:4000", "192.0.2.1:443");
        let first = world.flow(pcap, 1_000, 2_000, src, dst);
        let second = world.flow(pcap, 2_600, 4_000, src, dst);
        let alert = world.record(eve, Kind::Alert, 2_300, 2_300, &World::ends(src, dst));
        let snapshot = world.snapshot();
        let of = |id, method: &str, mark: &str| (id, method.to_owned(), mark.to_owned());
        let nothing = Judged::default();
        let both = vec![of(first, "community_id", "×2"), of(second, "community_id", "×2")];
        assert_eq!(shown(&snapshot, &nothing, alert), (both, vec![]));
        let one = decided(vec![judged(alert, first, false, "another session")]);
        assert_eq!(shown(&snapshot, &one, alert), (vec![of(second, "community_id", "=")], vec![first]));
        assert_eq!(shown(&snapshot, &one, first), (vec![], vec![alert]));
        assert_eq!(shown(&snapshot, &one, second), (vec![of(alert, "community_id", "=")], vec![]));
        // Accepted, the mark says who vouches for it; the last word counts, and one that is taken back never was.
        let turned = decided(vec![judged(alert, first, false, "no"), judged(first, alert, true, "yes after all")]);
        assert_eq!(shown(&snapshot, &turned, alert).0, [of(first, "community_id", "by hand"), of(second, "community_id", "×2")]);
        let back = decided(vec![judged(alert, first, false, "no"), What::Remove { id: 1 }]);
        assert_eq!(shown(&snapshot, &back, alert), shown(&snapshot, &nothing, alert));
    }

    #[test]
    fn what_nothing_else_finds_is_pinned_and_a_record_that_is_gone_is_passed_over() {
        let mut world = World::new();
        let (pcap, fw) = (world.source("pcap", "a"), world.source("netfilter", "a"));
        let flow = world.flow(pcap, 1_000, 2_000, "10.0.0.5:4000", "192.0.2.1:443");
        let line = world.record(fw, Kind::Fw, 90_000, 90_000, &World::ends("198.51.100.2:777", "192.0.2.1:443"));
        let snapshot = world.snapshot();
        let gone = RecordId { offset: 99_999, ..line };
        let pinned = decided(vec![judged(line, flow, true, "by the ticket"), judged(gone, flow, true, "gone")]);
        let (links, rejected) = shown(&snapshot, &pinned, flow);
        assert_eq!(links, [(line, "pinned".into(), "by hand".into())]);
        assert!(rejected.is_empty());
        assert_eq!(pinned.on(flow, line).map(|w| (w.decision, w.who.as_str(), w.at)), Some((1, "ana", Time(7))));
    }

    #[test]
    fn a_decision_with_ids_that_are_none_says_nothing() {
        let judged = decided(vec![What::LinkJudged { records: ("x".into(), "y".into()), accepted: true, reason: String::new() }]);
        assert!(judged.of.is_empty());
    }
}
