//! Which name did a client use for a flow? By what the flow itself carries, else by the DNS answers that its client, then others, got before
//! (Bermudez et al., "DNS to the Rescue", IMC 2012, describe the idea). Nothing is looked up on the network.
//!
//! Reads passive DNS of every source, in corrected time: of an address just what is known of it. Where nothing is derived, or it cannot be read,
//! DNS events are read instead, with the same answers. Registrable domains are guessed by a short rule, without the Public Suffix List.

use crate::error::Result;
use crate::model::answer::NameUsed;
use crate::model::filter::{Members, Test};
use crate::model::time::SECOND;
use crate::model::{Cancel, Filter, Kind, Record, RecordId, Time, Value, Window, field};
use crate::store::names as derived;
use crate::store::{NamesGroup, Snapshot};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Most answers that are gathered at a time, of the rows of one group or of one address or name: a bound on memory. Further ones are left out.
pub const MAX_ANSWERS: usize = 2_000_000;
/// Answers of addresses asked about that are kept for the next question.
const KEPT: usize = 250_000;
/// An answer may be stamped so much later than the flow that used it.
const EARLY: i64 = 50_000_000;
/// Shortest time that an answer is taken to be used for.
const LEAST: i64 = 60 * SECOND;
/// Programs keep answers longer than they may.
const GRACE: i64 = 300 * SECOND;
/// An older answer of the same client is still a hint for so long.
const STALE: i64 = 86_400 * SECOND;
/// Names of a set that are looked for among the answers; of a larger set only the names that records carry themselves are.
const MAX_SET: usize = 64;
/// Answers looked at for one flow.
const MOST: usize = 4_096;

/// One answer: this client got an address for this name.
#[derive(Debug, Clone, Copy)]
struct Answer {
    client: IpAddr,
    at: i64,
    /// Nanoseconds.
    ttl: i64,
    /// Number in the texts beside it.
    name: u32,
    evidence: RecordId,
    pointer: bool,
}

/// What is known of one address, oldest answer first.
#[derive(Debug, Default)]
struct Known {
    answers: Vec<Answer>,
    texts: Vec<String>,
}

/// Answers by address.
#[derive(Debug, Default)]
struct Gathered {
    answers: Vec<(IpAddr, Answer)>,
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

/// DNS events of one import, source and day, and what was read of its rows.
struct Group {
    of: NamesGroup,
    rows: OnceLock<Gathered>,
}

/// What DNS answers of a case say about addresses.
#[derive(Default)]
pub struct Names {
    snapshot: Option<Snapshot>,
    groups: Vec<Group>,
    kept: Mutex<HashMap<IpAddr, Arc<Known>>>,
}

/// When a client may have used a name for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Who asked.
    pub client: IpAddr,
    /// What was answered.
    pub server: IpAddr,
    /// While the answer was alive.
    pub window: Window,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.answers.len() >= MAX_ANSWERS
    }
    fn add(&mut self, server: IpAddr, name: &str, of: derived::Use, evidence: RecordId) {
        if self.is_full() {
            return;
        }
        let name = match self.numbers.get(name) {
            Some(n) => *n,
            None => {
                let n = self.texts.len() as u32;
                self.texts.push(name.to_owned());
                self.numbers.insert(name.to_owned(), n);
                n
            }
        };
        let ttl = i64::try_from(of.ttl).unwrap_or(i64::MAX).saturating_mul(SECOND);
        let answer = Answer { client: of.client, at: of.end.0, ttl, name, evidence, pointer: of.pointer };
        self.answers.push((server, answer));
    }
    fn text(&self, answer: &Answer) -> &str {
        self.texts.get(answer.name as usize).map_or("", String::as_str)
    }
}

impl Known {
    fn text(&self, answer: &Answer) -> &str {
        self.texts.get(answer.name as usize).map_or("", String::as_str)
    }
}

impl Names {
    /// Of a case; where nothing is derived, DNS events are read now.
    pub fn read(snapshot: &Snapshot, cancel: &Cancel) -> Result<Names> {
        let groups = snapshot.names_groups().into_iter().map(|of| Group { of, rows: OnceLock::new() }).collect();
        let names = Names { snapshot: Some(snapshot.clone()), groups, ..Names::default() };
        for group in names.groups.iter().filter(|g| !g.of.is_derived()) {
            names.rows(snapshot, group)?;
            cancel.check()?;
        }
        Ok(names)
    }
    /// Of a case by its DNS events alone.
    pub fn read_events(snapshot: &Snapshot, cancel: &Cancel) -> Result<Names> {
        let names = Names::read(snapshot, cancel)?;
        for group in &names.groups {
            names.rows(snapshot, group)?;
            cancel.check()?;
        }
        Ok(names)
    }
    /// What the rows of a group say, sorted by address.
    fn rows<'a>(&self, snapshot: &Snapshot, group: &'a Group) -> Result<&'a Gathered> {
        if let Some(rows) = group.rows.get() {
            return Ok(rows);
        }
        let mut out = Gathered::default();
        snapshot.names_rows(&group.of, &mut |event| {
            let until = event.until();
            derived::uses(&event, &mut |server, name, one| {
                out.add(server, name, derived::Use { end: until, ..one }, event.id);
            });
            !out.is_full()
        })?;
        out.answers.sort_unstable_by_key(|(server, a)| (*server, a.at, a.evidence));
        Ok(group.rows.get_or_init(|| out))
    }
    /// Adds what a group knows of an address.
    fn gather(&self, snapshot: &Snapshot, group: &Group, server: IpAddr, into: &mut Gathered) -> Result<()> {
        if group.rows.get().is_none() {
            let before = into.answers.len();
            if snapshot.names_uses(&group.of, server, &mut |name, one, id| into.add(server, name, one, id)).is_ok() {
                return Ok(());
            }
            // What cannot be read is in the events; `verify` derives it anew.
            into.answers.truncate(before);
        }
        let rows = self.rows(snapshot, group)?;
        let first = rows.answers.partition_point(|(s, _)| *s < server);
        for (_, answer) in rows.answers[first..].iter().take_while(|(s, _)| *s == server) {
            let ttl = u64::try_from(answer.ttl / SECOND).unwrap_or(0);
            let (end, RecordId { offset, ordinal, .. }) = (Time(answer.at), answer.evidence);
            let one = derived::Use { client: answer.client, end, ttl, offset, ordinal, pointer: answer.pointer };
            into.add(server, rows.text(answer), one, answer.evidence);
        }
        Ok(())
    }
    /// What is known of an address.
    fn known(&self, server: IpAddr) -> Result<Arc<Known>> {
        let Some(snapshot) = &self.snapshot else { return Ok(Arc::default()) };
        let hold = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hold().get(&server) {
            return Ok(Arc::clone(known));
        }
        let mut all = Gathered::default();
        for group in &self.groups {
            self.gather(snapshot, group, server, &mut all)?;
        }
        let mut answers: Vec<Answer> = all.answers.into_iter().map(|(_, a)| a).collect();
        answers.sort_unstable_by_key(|a| (a.at, a.evidence, a.name));
        let known = Arc::new(Known { answers, texts: all.texts });
        let mut kept = hold();
        if kept.values().map(|k| k.answers.len() + 1).sum::<usize>() + known.answers.len() > KEPT {
            kept.clear();
        }
        kept.insert(server, Arc::clone(&known));
        Ok(known)
    }

    /// The name that the client used for a flow.
    pub fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>> {
        if let Some(name) =
            [field::SNI, field::HTTP_HOST, field::NAME].iter().find_map(|f| flow.text(*f)).filter(|n| !n.is_empty())
        {
            let name = name.trim_end_matches('.').to_owned();
            return Ok(Some(NameUsed { name, how: "self".into(), confidence: 1.0, evidence: Some(flow.id), others: Vec::new() }));
        }
        match (flow.addr(field::SRC_IP), flow.addr(field::DST_IP)) {
            (Some(client), Some(server)) => self.name_at(client, server, flow.time()),
            _ => Ok(None),
        }
    }

    /// The name by which a client knew a server at a time.
    pub fn name_at(&self, client: IpAddr, server: IpAddr, time: Time) -> Result<Option<NameUsed>> {
        let known = self.known(server.to_canonical())?;
        Ok(known.name_at(client.to_canonical(), time.0))
    }

    /// Who may have used a name (or a name below it), for which address and when: with these the flows of a name are found.
    pub fn uses(&self, name: &str, below: bool) -> Result<Vec<Use>> {
        let name = name.trim_end_matches('.').to_lowercase();
        let fits = |text: &str| text == name || below && text.strip_suffix(&name).is_some_and(|head| head.ends_with('.'));
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        let mut found: Vec<(IpAddr, Answer)> = Vec::new();
        for group in &self.groups {
            if group.rows.get().is_none()
                && let Ok(mut more) = derived_uses(snapshot, &group.of, &name, below, &fits)
            {
                found.append(&mut more);
                continue;
            }
            let rows = self.rows(snapshot, group)?;
            let wanted: Vec<bool> = rows.texts.iter().map(|t| fits(t)).collect();
            let takes = |a: &Answer| !a.pointer && wanted.get(a.name as usize).copied().unwrap_or(false);
            found.extend(rows.answers.iter().filter(|(_, a)| takes(a)));
        }
        found.sort_unstable_by_key(|(server, a)| (*server, a.at, a.evidence));
        let mut out: Vec<Use> = Vec::new();
        for (server, a) in found {
            let end = a.at.saturating_add(a.ttl.max(LEAST)).saturating_add(GRACE);
            let window = Window::new(Time(a.at.saturating_sub(EARLY)), Time(end.saturating_add(1)));
            let mut before = out.iter_mut().rev().take(64);
            match before.find(|u| u.client == a.client && u.server == server && u.window.end >= window.start) {
                Some(last) => last.window.end = last.window.end.max(window.end),
                None => out.push(Use { client: a.client, server, window }),
            }
        }
        Ok(out)
    }
}

/// The uses of a name in a group that is derived: by the addresses that were answered for it.
fn derived_uses(
    snapshot: &Snapshot,
    group: &NamesGroup,
    name: &str,
    below: bool,
    fits: &dyn Fn(&str) -> bool,
) -> Result<Vec<(IpAddr, Answer)>> {
    // In the order that they are stored in: each part is read once.
    let mut servers: BTreeSet<IpAddr> = BTreeSet::new();
    snapshot.names_under(group, name, below && !name.is_empty(), &mut |entry| {
        servers.extend(if let derived::Answer::Addr(a) = entry.answer { Some(a) } else { None });
    })?;
    let mut all = Gathered::default();
    for server in servers {
        if all.is_full() {
            break;
        }
        snapshot.names_uses(group, server, &mut |text, one, id| {
            if !one.pointer && fits(text) {
                all.add(server, text, one, id);
            }
        })?;
    }
    Ok(all.answers)
}

impl Known {
    fn name_at(&self, client: IpAddr, t: i64) -> Option<NameUsed> {
        let all = &self.answers;
        let before = &all[..all.partition_point(|a| a.at <= t.saturating_add(EARLY))];
        // Newest first; what is older than a day has ended for every rule but passive DNS.
        let recent =
            || before.iter().rev().take(MOST).take_while(|a| t.saturating_sub(a.at) <= STALE.max(a.ttl)).filter(|a| !a.pointer);
        let alive = |a: &&Answer| t <= a.at.saturating_add(a.ttl.max(LEAST)).saturating_add(GRACE);
        let mine: Vec<&Answer> = recent().filter(|a| a.client == client).filter(alive).collect();
        if let Some(newest) = mine.first() {
            let sure = if t <= newest.at.saturating_add(newest.ttl) { 0.95 } else { 0.80 };
            return Some(self.pick(newest, &mine, "dns", sure));
        }
        let theirs: Vec<&Answer> = recent().filter(alive).collect();
        if let Some(newest) = theirs.first() {
            return Some(self.pick(newest, &theirs, "other", 0.60));
        }
        let stale: Vec<&Answer> = recent().filter(|a| a.client == client).collect();
        if let Some(newest) = stale.first() {
            return Some(self.pick(newest, &stale, "stale", 0.50));
        }
        self.passive(all, t)
    }

    /// Whatever is known of the address at any time: spans of sightings of a name, then its pointer.
    fn passive(&self, all: &[Answer], t: i64) -> Option<NameUsed> {
        let mut spans: HashMap<u32, (i64, i64, &Answer)> = HashMap::new();
        for answer in all.iter().filter(|a| !a.pointer).take(MOST) {
            let end = answer.at.saturating_add(answer.ttl);
            let span = spans.entry(answer.name).or_insert((answer.at, end, answer));
            *span = (span.0.min(answer.at), span.1.max(end), span.2);
        }
        let mut spans: Vec<_> = spans.into_values().collect();
        let distance = |(start, end, _): &(i64, i64, &Answer)| start.saturating_sub(t).max(t.saturating_sub(*end)).max(0);
        spans.sort_by_key(|s| (distance(s), self.text(s.2)));
        if let Some(nearest) = spans.first() {
            let sure = if distance(nearest) == 0 { 0.40 } else { 0.20 };
            let names: Vec<&Answer> = spans.iter().map(|s| s.2).collect();
            return Some(self.pick(nearest.2, &names, "pdns", sure));
        }
        let pointer = all.iter().rev().find(|a| a.pointer)?;
        let name = format!("ptr:{}", self.text(pointer));
        Some(NameUsed { name, how: "pdns".into(), confidence: 0.10, evidence: Some(pointer.evidence), others: Vec::new() })
    }

    /// The newest of several answers; names of other domains that were alive as well make it less sure.
    fn pick(&self, newest: &Answer, alive: &[&Answer], how: &'static str, sure: f32) -> NameUsed {
        let own = registrable(self.text(newest));
        let mut domains = vec![own];
        let mut others: Vec<String> = Vec::new();
        for answer in alive.iter().filter(|a| a.name != newest.name) {
            let text = self.text(answer);
            if !others.iter().any(|o| o == text) && others.len() < 16 {
                others.push(text.to_owned());
            }
            let domain = registrable(text);
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        let confidence = sure / (domains.len() as f32).sqrt();
        NameUsed { name: self.text(newest).to_owned(), how: how.into(), confidence, evidence: Some(newest.evidence), others }
    }
}

/// Most triples of client, address and time that a condition on a name becomes; beyond it the time is left out.
const MAX_USES: usize = 512;
/// Most clients that are then asked for each with its own addresses; beyond it any of them with any of the addresses.
const MAX_CLIENTS: usize = 512;

/// Whether a filter asks for a name as a whole or for names below one: then [`widen`] has something to add.
pub fn asks_for_name(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(asks_for_name),
        Filter::Not(inner) => asks_for_name(inner),
        Filter::Test(field::NAME, Test::Is(_) | Test::Under(_) | Test::Set(_)) => true,
        Filter::Test(field::NAME, Test::In(tests)) => tests.iter().any(|t| matches!(t, Test::Is(_) | Test::Under(_))),
        _ => false,
    }
}

/// The same filter, in which `name = X` also holds for flows without a name of their own whose client was told their address for X.
pub fn widen(names: &Names, filter: Filter) -> Result<Filter> {
    let each = |list: Vec<Filter>| list.into_iter().map(|f| widen(names, f)).collect::<Result<Vec<_>>>();
    Ok(match filter {
        Filter::And(list) => Filter::And(each(list)?),
        Filter::Or(list) => Filter::Or(each(list)?),
        Filter::Not(inner) => Filter::Not(Box::new(widen(names, *inner)?)),
        Filter::Test(field::NAME, test) => {
            let mut uses = Vec::new();
            match &test {
                Test::In(tests) => tests.iter().try_for_each(|t| uses_of(names, t, &mut uses))?,
                one => uses_of(names, one, &mut uses)?,
            }
            let own = Filter::Test(field::NAME, test);
            if uses.is_empty() { own } else { Filter::Or(vec![own, flows_of(uses)]) }
        }
        other => other,
    })
}

fn uses_of(names: &Names, test: &Test, out: &mut Vec<Use>) -> Result<()> {
    match test {
        Test::Is(Value::Text(name)) => out.extend(names.uses(name, false)?),
        Test::Under(name) => out.extend(names.uses(name, true)?),
        Test::Set(set) if set.texts.len() + set.under.len() <= MAX_SET => {
            for name in &set.texts {
                out.extend(names.uses(name, false)?);
            }
            for name in &set.under {
                out.extend(names.uses(name, true)?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn flows_of(uses: Vec<Use>) -> Filter {
    let is = |id, addr| Filter::Test(id, Test::Is(Value::Addr(addr)));
    let timed = uses.len() <= MAX_USES;
    let mut servers: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut any: Vec<Filter> = Vec::new();
    for u in uses {
        if timed {
            let bound = |order, or_equal, t| Filter::Test(field::START, Test::Compare { order, or_equal, bound: Value::Time(t) });
            any.push(Filter::And(vec![
                is(field::SRC_IP, u.client),
                is(field::DST_IP, u.server),
                bound(Ordering::Greater, true, u.window.start),
                bound(Ordering::Less, false, u.window.end),
            ]));
        } else {
            servers.entry(u.client).or_default().insert(u.server);
        }
    }
    if servers.len() > MAX_CLIENTS {
        let set = |addrs| Test::Set(Arc::new(Members { addrs, ..Members::default() }));
        let clients = servers.keys().copied().collect();
        let known = servers.into_values().flatten().collect();
        any.push(Filter::And(vec![Filter::Test(field::SRC_IP, set(clients)), Filter::Test(field::DST_IP, set(known))]));
        servers = BTreeMap::new();
    }
    for (client, servers) in servers {
        let tests = servers.into_iter().map(|s| Test::Is(Value::Addr(s))).collect();
        any.push(Filter::And(vec![is(field::SRC_IP, client), Filter::Test(field::DST_IP, Test::In(tests))]));
    }
    let mut all = vec![Filter::is(field::KIND, Kind::Flow.name()), Filter::Or(any)];
    let own = [field::SNI, field::HTTP_HOST, field::NAME];
    all.extend(own.map(|f| Filter::Not(Box::new(Filter::Test(f, Test::Exists)))));
    Filter::And(all)
}

/// The domain that can be registered, by a short rule: two labels, three where the last two are a country and a common second level.
pub fn registrable(name: &str) -> &str {
    let starts: Vec<usize> = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1)).collect();
    let labels: Vec<&str> = name.split('.').collect();
    let n = labels.len();
    let second =
        n > 2 && labels[n - 1].len() == 2 && ["co", "com", "org", "net", "gov", "ac", "edu", "or", "ne"].contains(&labels[n - 2]);
    let keep = if second { 3 } else { 2 };
    &name[starts[n.saturating_sub(keep)]..]
}

#[cfg(test)]
mod tests;
