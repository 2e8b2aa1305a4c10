//! Working alerts by groups: the alerts of one signature at one target, with how many of them were judged. And what is put away: conditions
//! that leave out of sight what an allow set or a benign verdict covers, always counted.

use super::verdicts::{ALERTS, Subject, signature};
use crate::error::Result;
use crate::model::decision::{Decision, Judgement};
use crate::model::{Cancel, FieldId, Time, Value, Window, field};
use crate::query::{Engine, Question, Verdicts};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Most groups; alerts beyond them are counted in [`Groups::beyond`].
pub const MAX_GROUPS: usize = 100_000;
/// Hosts of a group that are told apart.
pub const MAX_HOSTS: usize = 10_000;

/// The alerts of one signature at one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name of the signature.
    pub signature: String,
    /// Condition that selects the signature.
    pub condition: String,
    /// Number of the signature, if it has one.
    pub id: Option<u64>,
    /// What was alerted on: the responder.
    pub target: Option<IpAddr>,
    /// Alerts.
    pub count: u64,
    /// Different hosts on the other side, at most [`MAX_HOSTS`].
    pub hosts: usize,
    /// The host on the other side, if there is but one.
    pub host: Option<IpAddr>,
    /// First and last, corrected.
    pub span: (Time, Time),
    /// Alerts by verdict: benign, suspicious, malicious.
    pub judged: [u64; 3],
    /// Worst severity, 0 info to 4 critical.
    pub severity: Option<u8>,
}

impl Group {
    /// Alerts that somebody has judged.
    pub fn reviewed(&self) -> u64 {
        self.judged.iter().sum()
    }
    /// Alerts that nobody has judged yet.
    pub fn left(&self) -> u64 {
        self.count - self.reviewed()
    }
    /// The query that selects its alerts.
    pub fn query(&self) -> String {
        let target = match self.target {
            Some(addr) => format!("dst.ip = {addr}"),
            None => "not exists dst.ip".to_owned(),
        };
        format!("{ALERTS} and {} and {target}", self.condition)
    }
    /// What a verdict on it is given on.
    pub fn subject(&self) -> Subject {
        Subject::group((self.condition.clone(), self.signature.clone()), self.host, self.target)
    }
    /// The verdict on all of its alerts, if they have the same.
    pub fn verdict(&self) -> Option<Judgement> {
        Judgement::ALL.into_iter().zip(self.judged).find(|(_, n)| *n == self.count).map(|(j, _)| j)
    }
}

/// Alerts by groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Groups {
    /// Groups: those with something left first, then by severity, what is left, how new.
    pub list: Vec<Group>,
    /// Alerts in all.
    pub alerts: u64,
    /// Alerts that somebody has judged.
    pub reviewed: u64,
    /// Alerts of further groups, which are not listed.
    pub beyond: u64,
}

impl Groups {
    /// Alerts that nobody has judged yet.
    pub fn left(&self) -> u64 {
        self.alerts - self.reviewed
    }
}

/// The alerts of a window by groups, with the verdicts of a journal at `now` (the clock of whoever asks).
pub fn groups(
    engine: &dyn Engine,
    decisions: &[Decision],
    now: Time,
    window: Option<&Window>,
    cancel: &Cancel,
) -> Result<Groups> {
    groups_of(engine, decisions, now, &within(engine.compile(ALERTS)?, window), cancel)
}

/// The records of a question by groups; those without a signature are left out.
pub fn groups_of(engine: &dyn Engine, decisions: &[Decision], now: Time, question: &Question, cancel: &Cancel) -> Result<Groups> {
    let verdicts = Verdicts::of(decisions, now, &|text| engine.compile(text));
    let mut fields: Vec<FieldId> = READ.to_vec();
    fields.extend(verdicts.fields());
    let mut at: HashMap<Key, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut groups: Vec<(Group, HashSet<IpAddr>)> = Vec::new();
    let mut out = Groups::default();
    engine.visit(question, &fields, cancel, &mut |record| {
        let key = Key {
            id: record.uint(field::SIGNATURE_ID),
            gid: record.uint(field::SIGNATURE_GID).filter(|gid| *gid > 1),
            text: if record.get(field::SIGNATURE_ID).is_some() { None } else { words(&record).map(str::to_owned) },
            target: record.addr(field::DST_IP).map(|a| a.to_canonical()),
        };
        let known = at.get(&key).copied();
        let n = match known {
            Some(n) => n,
            None => {
                let Some((condition, name)) = signature(&record) else { return true };
                if groups.len() >= MAX_GROUPS {
                    out.beyond += 1;
                    return true;
                }
                let (id, target) = (key.id, key.target);
                at.insert(key, groups.len());
                let span = (record.time(), record.until());
                let new = Group {
                    signature: name,
                    condition,
                    id,
                    target,
                    count: 0,
                    hosts: 0,
                    host: None,
                    span,
                    judged: [0; 3],
                    severity: None,
                };
                groups.push((new, HashSet::new()));
                groups.len() - 1
            }
        };
        let (group, hosts) = &mut groups[n];
        group.count += 1;
        group.span = (group.span.0.min(record.time()), group.span.1.max(record.until()));
        group.severity = group.severity.max(record.uint(field::SEVERITY).and_then(|s| u8::try_from(s).ok()));
        if let Some(host) = record.addr(field::SRC_IP)
            && hosts.len() < MAX_HOSTS
        {
            hosts.insert(host.to_canonical());
        }
        let head = |id: FieldId| match id {
            field::SOURCE => Some(Value::from(engine.source_name(record.source))),
            field::EVIDENCE => Some(Value::from(engine.evidence_path(record.id.evidence))),
            _ => None,
        };
        if let Some(judgement) = verdicts.on(&record, &head) {
            group.judged[judgement as usize] += 1;
            out.reviewed += 1;
        }
        out.alerts += 1;
        true
    })?;
    out.list = groups
        .into_iter()
        .map(|(mut group, hosts)| {
            group.hosts = hosts.len();
            group.host = if hosts.len() == 1 { hosts.into_iter().next() } else { None };
            group
        })
        .collect();
    out.list.sort_by(|a, b| {
        let rank = |g: &Group| (g.left() > 0, g.severity, g.left(), g.span.1);
        rank(b).cmp(&rank(a)).then_with(|| (&a.signature, a.target, &a.condition).cmp(&(&b.signature, b.target, &b.condition)))
    });
    Ok(out)
}

/// Fields that groups are made of.
const READ: [FieldId; 8] = [
    field::SIGNATURE,
    field::SIGNATURE_ID,
    field::SIGNATURE_GID,
    field::CATEGORY,
    field::MESSAGE,
    field::SRC_IP,
    field::DST_IP,
    field::SEVERITY,
];

#[derive(PartialEq, Eq, Hash)]
struct Key {
    id: Option<u64>,
    gid: Option<u64>,
    text: Option<String>,
    target: Option<IpAddr>,
}

fn words(record: &crate::model::Record) -> Option<&str> {
    [field::SIGNATURE, field::CATEGORY, field::MESSAGE].into_iter().find_map(|f| record.text(f))
}

fn within(question: Question, window: Option<&Window>) -> Question {
    match window {
        Some(window) => question.within(window),
        None => question,
    }
}

/// Something that is put away when that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Away {
    /// What what is hidden is called: `-1,204 allowed`.
    pub name: &'static str,
    /// The condition that leaves it out.
    pub condition: &'static str,
}

/// What can be put away, in the order in which it is counted.
pub const AWAY: [Away; 2] =
    [Away { name: "allowed", condition: "not any in @allow" }, Away { name: "benign", condition: "verdict != benign" }];

/// How many rows of a window the conditions that put away leave out of a question, by their order in [`AWAY`]; zero where it has none.
pub fn left_out(engine: &dyn Engine, text: &str, window: Option<&Window>, limit: u64, cancel: &Cancel) -> Result<[u64; 2]> {
    let mut out = [0; 2];
    let mut text = text.to_owned();
    let count = |text: &str| -> Result<u64> {
        let mut question = within(engine.compile(text)?, window);
        question.stages.clear();
        Ok(engine.counts(&[question], limit, cancel)?.first().map_or(0, |c| c.n))
    };
    for (n, away) in AWAY.iter().enumerate().rev() {
        if let Some(wider) = crate::query::without(&text, away.condition) {
            // Counted directly, not as a difference: so a bound of the count does not make it wrong.
            let hidden = crate::query::narrow(&wider, &format!("not ({})", away.condition))?;
            out[n] = count(&hidden)?;
            text = wider;
        }
    }
    Ok(out)
}
