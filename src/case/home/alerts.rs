//! Alerts grouped by signature and target, with what is not reviewed yet first.

use super::{Asking, Cell, Go, Line, Section, Which};
use crate::case::notes;
use crate::error::Result;
use crate::model::decision::About;
use crate::model::field::{self, FieldId};
use crate::model::{Kind, Record, Time, Value};
use crate::query::engine::Page;
use crate::query::{Question, condition, quote};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

/// Most alerts that are grouped: the newest.
const MAX_ALERTS: usize = 100_000;
/// Most hosts of a group that are told apart.
const MAX_HOSTS: usize = 1000;
/// Most verdicts by query or value that are applied.
const MAX_VERDICTS: usize = 500;

/// Alerts of one signature at one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The field that names it (signature, else category or message) and its value.
    pub signature: (FieldId, Value),
    /// The responder, if the alerts name one.
    pub target: Option<IpAddr>,
    /// Originators.
    pub hosts: BTreeSet<IpAddr>,
    /// Alerts.
    pub count: u64,
    /// Of these, how many have a verdict.
    pub reviewed: u64,
    /// Worst severity, rank 0..4.
    pub severity: u64,
    /// First and last.
    pub first: Time,
    /// Last.
    pub last: Time,
}

impl Group {
    /// The query that selects its alerts.
    pub fn query(&self) -> String {
        let target = match self.target {
            Some(addr) => format!("dst.ip = {addr}"),
            None => "not exists dst.ip".into(),
        };
        format!("kind in {{alert, notice}} and {} and {target}", condition(self.signature.0, &self.signature.1))
    }
}

/// Groups of the window's alerts, unreviewed and severe first, and whether there were more alerts than are looked at.
pub fn groups(asking: &Asking) -> Result<(Vec<Group>, bool)> {
    let question = asking.question("kind in {alert, notice}")?;
    let reviewed = Reviewed::read(asking);
    let mut groups: BTreeMap<(String, Option<IpAddr>), Group> = BTreeMap::new();
    let page = Page { ascending: false, limit: MAX_ALERTS, after: None };
    let answered = asking.engine.select(&question, &page, asking.cancel, &mut |record| {
        let name =
            [field::SIGNATURE, field::CATEGORY, field::MESSAGE].into_iter().find_map(|f| Some((f, record.get(f)?.clone())));
        let Some(signature) = name else { return true };
        let (target, at) = (record.addr(field::DST_IP), record.time());
        let group = groups.entry((signature.1.to_string(), target)).or_insert_with(|| Group {
            signature,
            target,
            hosts: BTreeSet::new(),
            count: 0,
            reviewed: 0,
            severity: 0,
            first: at,
            last: at,
        });
        group.count += 1;
        group.reviewed += u64::from(reviewed.has(&record, asking));
        group.severity = group.severity.max(record.uint(field::SEVERITY).unwrap_or(0));
        (group.first, group.last) = (group.first.min(at), group.last.max(at));
        if group.hosts.len() < MAX_HOSTS {
            group.hosts.extend(record.addr(field::SRC_IP));
        }
        true
    })?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    let left = |g: &Group| g.count - g.reviewed;
    groups
        .sort_by(|a, b| (left(b) > 0, b.severity, left(b)).cmp(&(left(a) > 0, a.severity, left(a))).then(a.first.cmp(&b.first)));
    Ok((groups, answered.more))
}

/// Verdicts that stand, ready to be compared with records.
struct Reviewed {
    ids: HashSet<String>,
    questions: Vec<Question>,
}

impl Reviewed {
    fn read(asking: &Asking) -> Reviewed {
        let mut out = Reviewed { ids: HashSet::new(), questions: Vec::new() };
        for verdict in notes::verdicts(asking.decisions) {
            let text = match verdict.about {
                About::Records(ids) => {
                    out.ids.extend(ids);
                    continue;
                }
                About::Value(name, value) => format!("{name} = {}", quote(&value)),
                About::Query(text) => text,
                About::Bookmark(_) | About::Case => continue,
            };
            // A text that is no question any more reviews nothing.
            if out.questions.len() < MAX_VERDICTS
                && let Ok(question) = asking.engine.compile(&text)
            {
                out.questions.push(question);
            }
        }
        out
    }
    fn has(&self, record: &Record, asking: &Asking) -> bool {
        let head = |id: FieldId| match id {
            field::SOURCE => Some(Value::text(asking.engine.source_name(record.source))),
            field::EVIDENCE => Some(Value::from(asking.engine.evidence_path(record.id.evidence))),
            _ => None,
        };
        let by_id = !self.ids.is_empty() && self.ids.contains(&record.id.to_string());
        let holds = |q: &Question| q.window.overlaps(record.time(), record.until()) && q.filter.matches(record, &head);
        by_id || self.questions.iter().any(holds)
    }
}

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let (groups, more) = groups(asking)?;
    let (count, left) = groups.iter().fold((0, 0), |(n, l), g| (n + g.count, l + g.count - g.reviewed));
    let lines = groups.iter().map(line).collect();
    let newest = if more { " of the newest" } else { "" };
    let note = if count == 0 { String::new() } else { format!("{left} of {count}{newest} not reviewed") };
    let why = if asking.has(&[Kind::Alert, Kind::Notice]) {
        "none in this window: W shows the whole case"
    } else {
        "no source here gives alerts; names and talkers are where to begin"
    };
    Ok(Section::new(Which::Alerts, lines, note, why))
}

fn line(group: &Group) -> Line {
    let host = match group.hosts.len() {
        0 => Cell::Empty,
        1 => group.hosts.first().map_or(Cell::Empty, |a| Cell::Of(field::SRC_IP, Value::Addr(*a))),
        n => Cell::Text(format!("{n} hosts")),
    };
    let name = group.signature.1.to_string();
    let text = group.query();
    Line {
        cells: vec![
            Cell::Severity(group.severity),
            Cell::Of(group.signature.0, group.signature.1.clone()),
            group.target.map_or(Cell::Empty, |a| Cell::Of(field::DST_IP, Value::Addr(a))),
            host,
            Cell::Text(format!("{}/{}", group.reviewed, group.count)),
            Cell::At(group.first),
            Cell::At(group.last),
        ],
        go: Go::Query { label: name, text, lens: "alerts" },
        loud: group.severity >= 3 && group.reviewed < group.count,
    }
}
