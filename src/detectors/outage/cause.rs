//! Which rule of a firewall denied the flows that are missing.

use crate::detectors::rows::{Event, Flow, Host, Id, Net, Piece, Word};
use crate::model::SourceId;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Denials that are looked at for one bin, and for one flow.
const HELD: usize = 500_000;
const OF_FLOW: usize = 64;
/// Rules that are kept of a bin.
const RULES: usize = 64;
/// Records that are named of a rule.
const EVIDENCE: usize = 4;

/// The name of a rule as it is shown.
pub fn name(net: &Net, rule: Word) -> &str {
    let name = net.text(rule);
    if name.is_empty() { "without a name" } else { name }
}

/// What a rule explains.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cause {
    /// Missing flows that it matches.
    pub flows: u64,
    /// Those of them that it matches only under another address of the server.
    pub elsewhere: u64,
    /// Its denials that match.
    pub denies: u64,
    /// Where they come from.
    pub source: SourceId,
    /// Some of them.
    pub ids: Vec<Id>,
}

/// Rules that match missing flows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Causes(HashMap<Word, Cause>);

impl Causes {
    /// Adds what was found of another bin.
    pub fn join(&mut self, other: &Causes) {
        for (rule, c) in &other.0 {
            let mine = self.0.entry(*rule).or_insert_with(|| Cause { source: c.source, ..Cause::default() });
            mine.flows += c.flows;
            mine.elsewhere += c.elsewhere;
            mine.denies += c.denies;
            let room = EVIDENCE.saturating_sub(mine.ids.len());
            mine.ids.extend(c.ids.iter().take(room));
        }
    }
    /// The rules, those that match most first; of several that match as much the one with more exact matches, then more denials.
    pub fn ranked(&self) -> Vec<(Word, &Cause)> {
        let mut all: Vec<(Word, &Cause)> = self.0.iter().map(|(rule, c)| (*rule, c)).collect();
        all.sort_by_key(|(rule, c)| (std::cmp::Reverse((c.flows, c.flows - c.elsewhere.min(c.flows), c.denies)), *rule));
        all
    }
    /// The rule that matches most.
    pub fn best(&self) -> Option<(Word, &Cause)> {
        self.ranked().into_iter().next()
    }
}

/// What firewalls denied around missing flows, by client and service.
pub struct Denies {
    by_client: HashMap<(Host, u16), Vec<usize>, foldhash::fast::RandomState>,
    /// Denials that matched already: of several flows that one matches it counts for the first.
    counted: HashSet<usize>,
    slack: i64,
}

impl Denies {
    /// Looks up the denials of a piece from the first to the last of the flows, with slack for clocks.
    pub fn around(missing: &[&Flow], piece: &Piece<'_>, slack: i64) -> Denies {
        let mut out = Denies { by_client: HashMap::default(), counted: HashSet::new(), slack };
        let from = missing.iter().map(|f| f.start).min().unwrap_or_default().plus(-slack);
        let until = missing.iter().map(|f| f.end.max(f.start)).max().unwrap_or_default().plus(slack);
        for flow in missing {
            out.by_client.entry((flow.src, flow.dst_port)).or_default();
        }
        let begin = piece.events.partition_point(|e| e.time < from);
        let mut held = 0;
        for (n, event) in piece.events.iter().enumerate().skip(begin) {
            if event.time > until || held >= HELD {
                break;
            }
            if let Some(src) = event.src.filter(|_| event.is_denial(piece.net))
                && let Some(list) = out.by_client.get_mut(&(src, event.dst_port))
            {
                list.push(n);
                held += 1;
            }
        }
        out
    }
    /// Counts for each rule that it denied a flow: the same client and port, within the time of the flow. The same server is better than another
    /// address, which a translation may have made of it; with it others do not count.
    pub fn explain(&mut self, flow: &Flow, piece: &Piece<'_>, causes: &mut Causes) {
        let Some(list) = self.by_client.get(&(flow.src, flow.dst_port)) else { return };
        let (from, until) = (flow.start.plus(-self.slack), flow.end.max(flow.start).plus(self.slack));
        let event = |n: &usize| piece.events.get(*n);
        let begin = list.partition_point(|n| event(n).is_some_and(|e| e.time < from));
        let in_time = list.iter().skip(begin).filter_map(|n| Some((*n, event(n)?))).take_while(|(_, e)| e.time <= until);
        let found: Vec<(usize, &Event)> = in_time.filter(|(_, e)| same_connection(e, flow)).take(OF_FLOW).collect();
        let is_server = |e: &Event| e.dst == Some(flow.dst) || e.nat_dst == Some(flow.dst);
        let exact = found.iter().any(|(_, e)| is_server(e));
        let mut rules: Vec<(Word, u64)> = Vec::new();
        for (n, event) in found.into_iter().filter(|(_, e)| !exact || is_server(e)) {
            let new = u64::from(self.counted.insert(n));
            match rules.iter_mut().find(|r| r.0 == event.rule) {
                Some(rule) => rule.1 += new,
                None => rules.push((event.rule, new)),
            }
            if causes.0.len() >= RULES && !causes.0.contains_key(&event.rule) {
                continue;
            }
            let cause = causes.0.entry(event.rule).or_insert_with(|| Cause { source: event.source, ..Cause::default() });
            if cause.ids.len() < EVIDENCE && !cause.ids.contains(&event.id) {
                cause.ids.push(event.id);
            }
        }
        for (rule, denies) in rules {
            if let Some(cause) = causes.0.get_mut(&rule) {
                cause.flows += 1;
                cause.elsewhere += u64::from(!exact);
                cause.denies += denies;
            }
        }
    }
}

/// Whether a denial may be of a flow: where both say a protocol or a client's port, they are the same.
fn same_connection(event: &Event, flow: &Flow) -> bool {
    let proto = event.proto == 0 || event.proto == flow.proto;
    let port = event.src_port == 0 || flow.src_port == 0 || event.src_port == flow.src_port;
    proto && port
}
