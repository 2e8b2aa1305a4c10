//! What people said of hosts and services that no inventory says: their mission, and how critical they are to it.
//!
//! It holds for every record with the host at an end: the responder's counts before the originator's, a service's before its host's. What a
//! record says itself (a row of an inventory) stays as it is.

use super::fact;
use crate::error::{Error, Result, nearest};
use crate::model::answer::Fact;
use crate::model::decision::{Decision, What, standing};
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::value::SEVERITIES;
use crate::model::{Entity, FieldId, Filter, Record, Value, field};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What can be said.
pub const FIELDS: [FieldId; 2] = [field::MISSION, field::CRITICALITY];
/// Ends of a record, in the order in which they are asked.
const ENDS: [(FieldId, FieldId); 2] = [(field::DST_IP, field::DST_PORT), (field::SRC_IP, field::SRC_PORT)];

/// Host, and port if it is one service of it.
pub type Subject = (IpAddr, Option<u16>);

/// What somebody said of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saying {
    /// What they said.
    pub value: String,
    /// Who.
    pub by: String,
    /// When, nanoseconds UTC.
    pub at: i64,
}

/// Everything that was said and stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sayings(Vec<(Subject, u16, Saying)>);

/// A host or service as people write it: `10.0.0.5`, `10.0.0.5:443`, `[2001:db8::5]:443`.
pub fn subject(text: &str) -> Option<Subject> {
    let text = text.trim();
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Some((canonical(addr), None));
    }
    text.parse::<SocketAddr>().ok().map(|s| (canonical(s.ip()), Some(s.port())))
}

/// A subject as [`subject`] reads it.
pub fn show(subject: &Subject) -> String {
    match subject {
        (addr, None) => addr.to_string(),
        (addr, Some(port)) => SocketAddr::new(*addr, *port).to_string(),
    }
}

/// The decision that a host's field has a value; without one, that what was said of it is taken back.
pub fn decision(host: &str, name: &str, value: &str) -> Result<What> {
    let known = subject(host).ok_or_else(|| {
        Error::user(format!("`{host}` is neither an address nor a service"))
            .hint("10.0.0.5 or 10.0.0.5:443, IPv6 with a port as [2001:db8::5]:443")
    })?;
    let names = FIELDS.map(field::name);
    if !names.iter().any(|n| n == name) {
        let hint = nearest(name, names.iter().map(String::as_str))
            .map_or("mission or criticality".to_owned(), |n| format!("did you mean `{n}`?"));
        return Err(Error::user(format!("`{name}` cannot be set by hand")).hint(hint));
    }
    let mut value = value.trim().to_owned();
    if name == field::name(field::CRITICALITY) && !value.is_empty() {
        value.make_ascii_lowercase();
        if !SEVERITIES.contains(&value.as_str()) || value == "info" {
            return Err(Error::user(format!("`{value}` is no criticality")).hint("critical, high, medium or low"));
        }
    }
    Ok(What::Inventory { host: show(&known), field: name.to_owned(), value })
}

impl Sayings {
    /// What stands of a journal; the last word on a host's field counts.
    pub fn of(decisions: &[Decision]) -> Sayings {
        let mut all: BTreeMap<(Subject, u16), Saying> = BTreeMap::new();
        for d in standing(decisions) {
            let What::Inventory { host, field: name, value } = &d.what else { continue };
            let Some(id) = FIELDS.into_iter().find(|id| field::name(*id) == *name) else { continue };
            let Some(subject) = subject(host) else { continue };
            if value.is_empty() {
                all.remove(&(subject, id.0));
            } else {
                all.insert((subject, id.0), Saying { value: value.clone(), by: d.who.name.clone(), at: d.at });
            }
        }
        Sayings(all.into_iter().map(|((subject, id), saying)| (subject, id, saying)).collect())
    }
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Everything: subject, field, what was said; in order of address, a host before its services.
    pub fn all(&self) -> impl Iterator<Item = (&Subject, FieldId, &Saying)> {
        self.0.iter().map(|(subject, id, saying)| (subject, FieldId(*id), saying))
    }
    /// What was said of a host's field: of the service, else of the host.
    pub fn said(&self, id: FieldId, addr: IpAddr, port: Option<u16>) -> Option<&Saying> {
        let addr = canonical(addr);
        let of = |wanted: Subject| self.0.iter().find(|(s, f, _)| *s == wanted && *f == id.0).map(|(.., saying)| saying);
        port.and_then(|port| of((addr, Some(port)))).or_else(|| of((addr, None)))
    }
    /// The value that a record has by what was said of its ends; none where it says itself.
    pub fn value(&self, record: &Record, id: FieldId) -> Option<Value> {
        if self.is_empty() || !FIELDS.contains(&id) || record.get(id).is_some() {
            return None;
        }
        ENDS.into_iter().find_map(|(ip, port)| {
            let port = record.uint(port).and_then(|p| u16::try_from(p).ok());
            self.said(id, record.addr(ip)?, port).map(|saying| Value::text(&saying.value))
        })
    }
    /// Stored fields that [`Sayings::value`] looks at besides the field itself.
    pub fn needs() -> impl Iterator<Item = FieldId> {
        ENDS.into_iter().flat_map(|(ip, port)| [ip, port])
    }
    /// The same filter with tests of what can be said also holding by what was said, as tests of addresses.
    pub fn expand(&self, filter: Filter) -> Filter {
        match filter {
            _ if self.is_empty() => filter,
            Filter::And(list) => Filter::And(list.into_iter().map(|f| self.expand(f)).collect()),
            Filter::Or(list) => Filter::Or(list.into_iter().map(|f| self.expand(f)).collect()),
            Filter::Not(inner) => Filter::Not(Box::new(self.expand(*inner))),
            Filter::Test(id, test) if FIELDS.contains(&id) => {
                let [dst, src] = ENDS;
                let passes = |s: &Saying| test.holds(&Value::text(&s.value), field::Type::Text);
                let not = |f: Filter| Filter::Not(Box::new(f));
                let of_ends =
                    Filter::Or(vec![self.at(id, dst, &passes), not(self.at(id, dst, &|_| true)).and(self.at(id, src, &passes))]);
                let silent = not(Filter::Test(id, Test::Exists));
                Filter::Or(vec![Filter::Test(id, test), silent.and(of_ends)])
            }
            other => other,
        }
    }
    /// Records with an end of which something was said that passes.
    fn at(&self, id: FieldId, (ip, port): (FieldId, FieldId), passes: &dyn Fn(&Saying) -> bool) -> Filter {
        let ours = || self.0.iter().filter(|(_, f, _)| *f == id.0);
        let is_port = |p: u16| Filter::is(port, u64::from(p));
        let which = ours().filter(|(.., saying)| passes(saying)).map(|((addr, of), ..)| {
            let host = Filter::is(ip, Value::Addr(*addr));
            match of {
                Some(p) => host.and(is_port(*p)),
                None => {
                    let services: Vec<Filter> =
                        ours().filter(|((a, _), ..)| a == addr).filter_map(|((_, p), ..)| p.map(is_port)).collect();
                    if services.is_empty() { host } else { host.and(Filter::Not(Box::new(Filter::Or(services)))) }
                }
            }
        });
        Filter::Or(which.collect())
    }
}

/// What was said of an address and its services, for the focus card.
pub fn facts(decisions: &[Decision], entity: &Entity) -> Vec<Fact> {
    let (EntityKind::Address, Value::Addr(addr)) = (entity.kind, &entity.value) else { return Vec::new() };
    let said = Sayings::of(decisions);
    let of_host = said.all().filter(|((a, _), ..)| *a == canonical(*addr));
    of_host
        .map(|((_, port), id, saying)| {
            let of = port.map_or_else(String::new, |p| format!(" of {p}"));
            fact("by hand", format!("{}{of} {}, says {}", field::name(id), saying.value, saying.by))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;
    use crate::model::{Kind, RecordId, SourceId, Time};

    fn journal(all: &[(&str, &str, &str)]) -> Vec<Decision> {
        let made = |(n, (host, name, value)): (usize, &(&str, &str, &str))| Decision {
            sequence: n as u64 + 1,
            at: 7,
            who: Who { name: "ann".into(), ..Who::default() },
            what: decision(host, name, value).unwrap(),
        };
        all.iter().enumerate().map(made).collect()
    }
    fn flow(src: u8, dst: u8, port: u64, own: Option<&str>) -> Record {
        let mut r = Record::new(Kind::Flow, RecordId::default(), SourceId(1), Time(0));
        r.set(field::SRC_IP, Value::Addr([10, 0, 0, src].into()));
        r.set(field::DST_IP, Value::Addr([10, 0, 0, dst].into()));
        r.set(field::SRC_PORT, 40_000u64);
        r.set(field::DST_PORT, port);
        own.into_iter().for_each(|text| r.set(field::CRITICALITY, Value::text(text)));
        r
    }

    #[test]
    fn a_question_and_a_look_at_the_record_agree_the_service_counts_before_its_host_and_what_a_record_says_stays() {
        let said = Sayings::of(&journal(&[
            ("10.0.0.1", "criticality", "High"),
            ("10.0.0.2", "criticality", "low"),
            ("10.0.0.2:443", "criticality", "critical"),
            ("10.0.0.2", "mission", "shop"),
            ("10.0.0.3", "criticality", "medium"),
            ("10.0.0.3", "criticality", ""),
        ]));
        let rows = [
            (flow(1, 9, 80, None), Some("high")),
            (flow(9, 1, 80, None), Some("high")),
            (flow(1, 2, 80, None), Some("low")),
            (flow(1, 2, 443, None), Some("critical")),
            (flow(9, 3, 80, None), None),
            (flow(1, 2, 443, Some("medium")), Some("medium")),
        ];
        for (row, wanted) in &rows {
            let value = row.value(field::CRITICALITY).or_else(|| said.value(row, field::CRITICALITY));
            assert_eq!(value.map(|v| v.to_string()).as_deref(), *wanted, "{row:?}");
            for word in ["high", "low", "critical", "medium"] {
                let filter = said.expand(Filter::is(field::CRITICALITY, word));
                assert_eq!(filter.matches(row, &|_| None), *wanted == Some(word), "{row:?} {word}");
                let filter = said.expand(Filter::Not(Box::new(Filter::is(field::CRITICALITY, word))));
                assert_eq!(filter.matches(row, &|_| None), *wanted != Some(word), "{row:?} not {word}");
            }
            let any = said.expand(Filter::Test(field::CRITICALITY, Test::Exists));
            assert_eq!(any.matches(row, &|_| None), wanted.is_some(), "{row:?}");
        }
        assert_eq!(said.value(&rows[2].0, field::MISSION), Some(Value::text("shop")));
    }

    #[test]
    fn the_card_says_who_said_it_and_what_is_taken_back_is_gone() {
        let mut all = journal(&[("::ffff:10.0.0.2", "mission", "shop"), ("10.0.0.2:443", "criticality", "high")]);
        let card = |all: &[Decision]| {
            facts(all, &Entity::recognise("10.0.0.2").unwrap()).into_iter().map(|f| f.text).collect::<Vec<_>>()
        };
        assert_eq!(card(&all), ["mission shop, says ann", "criticality of 443 high, says ann"]);
        all.push(Decision { sequence: 3, at: 8, who: Who::default(), what: What::Remove { id: 1 } });
        assert_eq!(card(&all), ["criticality of 443 high, says ann"]);
    }

    #[test]
    fn what_cannot_be_said_is_told_with_what_can() {
        let why = |host: &str, name: &str, value: &str| decision(host, name, value).unwrap_err().to_string();
        assert!(why("web1", "mission", "shop").contains("neither an address nor a service"));
        assert!(why("10.0.0.1", "missoin", "shop").contains("cannot be set by hand"));
        assert!(why("10.0.0.1", "criticality", "very").contains("no criticality"));
        assert!(
            matches!(decision("[2001:db8::1]:443", "mission", "x").unwrap(), What::Inventory { host, .. } if host == "[2001:db8::1]:443")
        );
    }
}
