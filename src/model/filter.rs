//! The typed filter: what `query/check` makes of a question and what `store`, `links` and `context` are asked with.

use super::ends::{Ends, Pair, Which};
use super::field::{self, FieldId, Place, Type};
use super::record::Record;
use super::value::Value;
use ipnet::IpNet;
use regex::Regex;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// A typed, resolved condition on records. Times are not part of it: they are the window of the question.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Every record.
    All,
    /// All of these hold (empty: true).
    And(Vec<Filter>),
    /// Any of these holds (empty: false).
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A test of one field.
    Test(FieldId, Test),
    /// Originator or responder is an end that a host had elsewhere, at the time.
    Elsewhere(Arc<Ends>, Which),
}

/// A test of a field's values. A record without the field fails every test (so `not` of it holds), but see `Missing`.
#[derive(Debug, Clone)]
pub enum Test {
    /// The field is there.
    Exists,
    /// Equal. Text: without regard to case.
    Is(Value),
    /// Compared: `Less`, `Greater` and, with `or_equal`, equal.
    Compare {
        /// `Less` or `Greater`.
        order: Ordering,
        /// Equality counts too.
        or_equal: bool,
        /// The bound.
        bound: Value,
    },
    /// Within an inclusive range of numbers (`8000-8100`).
    Range(u64, u64),
    /// An address inside a network.
    Net(IpNet),
    /// Text contains, without regard to case; the needle is lower case.
    Contains(Arc<str>),
    /// Text or name equal to, or a subdomain of, a lower-case name without leading dot.
    Under(Arc<str>),
    /// Text matches.
    Matches(Arc<Pattern>),
    /// Any of these.
    In(Vec<Test>),
    /// Member of a set (a file or a named set).
    Set(Arc<Members>),
}

/// A regular expression with the text it was written as.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Between the slashes.
    pub text: String,
    /// Compiled; size-limited.
    pub regex: Regex,
}

/// An end of conversations as a member of a set: a port of a protocol, of one host or of any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// The host; none: any.
    pub addr: Option<IpAddr>,
    /// Port.
    pub port: u16,
    /// Protocol, by its IANA number; none: any.
    pub proto: Option<u8>,
}

/// The members of a set, by kind. Names are lower case without trailing dot. What is made of a text is in [`context::sets`](crate::context::sets).
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// The set's name, as `@name` shows it.
    pub name: String,
    /// Addresses.
    pub addrs: HashSet<IpAddr>,
    /// Networks, in order and none inside another: as [`IpNet::aggregate`] gives them, sorted.
    pub nets: Vec<IpNet>,
    /// Names, URLs, hashes, users and any other text, lower case.
    pub texts: HashSet<String>,
    /// Names that stand for themselves and all below them (`*.evil.example`), without the star.
    pub under: HashSet<String>,
    /// Services. They are of two fields at once, so [`Test::Set`] does not know them: `query/sets.rs` adds them to the condition.
    pub services: Vec<Service>,
}

impl Members {
    /// Whether a text is a member: itself, as a name below one, or as a URL by its host.
    pub fn has_text(&self, text: &str) -> bool {
        let text = text.trim_end_matches('.').to_lowercase();
        if self.texts.contains(&text) || self.is_under(&text) {
            return true;
        }
        let Some((_, rest)) = text.split_once("://") else { return false };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
            Some((bare, _)) => bare,
            None => host.split(':').next().unwrap_or(host),
        };
        match host.parse() {
            Ok(addr) => self.has(addr),
            Err(_) => self.texts.contains(host) || self.is_under(host),
        }
    }
    fn is_under(&self, name: &str) -> bool {
        !self.under.is_empty()
            && std::iter::successors(Some(name), |n| n.split_once('.').map(|(_, rest)| rest)).any(|n| self.under.contains(n))
    }
    /// Whether there is no member at all.
    pub fn is_empty(&self) -> bool {
        self.addrs.is_empty()
            && self.nets.is_empty()
            && self.texts.is_empty()
            && self.under.is_empty()
            && self.services.is_empty()
    }
    /// Whether an address is a member, by itself or by its network.
    pub fn has(&self, addr: IpAddr) -> bool {
        let addr = canonical(addr);
        // The only network that can hold it is the last that does not begin after it.
        let after = self.nets.partition_point(|net| net.network() <= addr);
        self.addrs.contains(&addr) || after.checked_sub(1).is_some_and(|last| self.nets[last].contains(&addr))
    }
}

impl Filter {
    /// Both hold; flattens.
    pub fn and(self, other: Filter) -> Filter {
        match (self, other) {
            (Filter::All, f) | (f, Filter::All) => f,
            (Filter::And(mut a), Filter::And(b)) => {
                a.extend(b);
                Filter::And(a)
            }
            (Filter::And(mut a), f) => {
                a.push(f);
                Filter::And(a)
            }
            (a, b) => Filter::And(vec![a, b]),
        }
    }
    /// `field = value`.
    pub fn is(field: FieldId, value: impl Into<Value>) -> Filter {
        Filter::Test(field, Test::Is(value.into()))
    }
    /// Any of several.
    pub fn any(filters: Vec<Filter>) -> Filter {
        Filter::Or(filters)
    }
    /// Whether it tests any of some fields.
    pub fn asks_for(&self, fields: &[FieldId]) -> bool {
        match self {
            Filter::All => false,
            Filter::And(list) | Filter::Or(list) => list.iter().any(|f| f.asks_for(fields)),
            Filter::Not(inner) => inner.asks_for(fields),
            Filter::Elsewhere(..) => false,
            Filter::Test(id, _) => fields.contains(id),
        }
    }
    /// Whether a record satisfies it. `head` gives the values of `source` and `evidence`, whose names only the case knows.
    pub fn matches(&self, record: &Record, head: &dyn Fn(FieldId) -> Option<Value>) -> bool {
        match self {
            Filter::All => true,
            Filter::And(all) => all.iter().all(|f| f.matches(record, head)),
            Filter::Or(any) => any.iter().any(|f| f.matches(record, head)),
            Filter::Not(f) => !f.matches(record, head),
            Filter::Elsewhere(ends, which) => Pair::of(record).is_some_and(|pair| ends.find(&pair, *which).is_some()),
            Filter::Test(id, test) => {
                let Some(field) = field::get(*id) else { return false };
                match field.place {
                    Place::One => record.get(*id).is_some_and(|v| test.holds(v, field.ty)),
                    Place::Many => record.all(*id).any(|v| test.holds(v, field.ty)),
                    Place::Any(parts) => parts.iter().any(|p| record.all(*p).any(|v| test.holds(v, field.ty))),
                    Place::Head | Place::Sum(_) | Place::Derived => {
                        record.value(*id).or_else(|| head(*id)).is_some_and(|v| test.holds(&v, field.ty))
                    }
                }
            }
        }
    }
    /// Every stored field that evaluating it may read (parts instead of `Any`/`Sum` fields), with duplicates.
    pub fn fields(&self, out: &mut Vec<FieldId>) {
        match self {
            Filter::All => {}
            Filter::And(list) | Filter::Or(list) => list.iter().for_each(|f| f.fields(out)),
            Filter::Not(f) => f.fields(out),
            Filter::Elsewhere(..) => {
                out.extend([field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT, field::PROTO]);
            }
            Filter::Test(id, _) => match field::get(*id).map(|f| f.place) {
                Some(Place::Any(parts) | Place::Sum(parts)) => out.extend(parts),
                Some(Place::Derived) if *id == field::COMMUNITY_ID => {
                    out.extend([field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT, field::PROTO]);
                }
                Some(Place::Derived) if *id == field::DIRECTION || field::is_registration(*id) => {
                    out.extend([field::SRC_IP, field::DST_IP]);
                }
                _ => out.push(*id),
            },
        }
    }
}

impl Test {
    /// Whether a value of a type passes.
    pub fn holds(&self, value: &Value, ty: Type) -> bool {
        match self {
            Test::Exists => true,
            Test::Is(want) => match (value, want) {
                (Value::Text(a), Value::Text(b)) => same_text(a, b),
                (Value::Addr(a), Value::Addr(b)) => canonical(*a) == canonical(*b),
                (a, b) => a == b || a.as_number().is_some_and(|a| b.as_number() == Some(a)),
            },
            Test::Compare { order, or_equal, bound } => match compare(value, bound) {
                Some(Ordering::Equal) => *or_equal,
                Some(found) => found == *order,
                None => false,
            },
            Test::Range(low, high) => value.as_uint().is_some_and(|n| (*low..=*high).contains(&n)),
            Test::Net(net) => value.as_addr().is_some_and(|a| net.contains(&canonical(a))),
            Test::Contains(needle) => match value {
                Value::Text(t) => contains_ignore_case(t, needle),
                other => other.show(ty).to_lowercase().contains(&**needle),
            },
            Test::Under(name) => value.as_text().is_some_and(|t| {
                let t = t.trim_end_matches('.');
                same_text(t, name)
                    || t.len() > name.len()
                        && t.is_char_boundary(t.len() - name.len())
                        && same_text(&t[t.len() - name.len()..], name)
                        && t.as_bytes()[t.len() - name.len() - 1] == b'.'
            }),
            Test::Matches(pattern) => match value {
                Value::Text(t) => pattern.regex.is_match(t),
                other => pattern.regex.is_match(&other.show(ty)),
            },
            Test::In(tests) => tests.iter().any(|t| t.holds(value, ty)),
            Test::Set(set) => match value {
                Value::Addr(a) => set.has(*a),
                Value::Text(t) => set.has_text(t),
                other => set.texts.contains(&other.show(ty).to_lowercase()),
            },
        }
    }
}

/// An IPv4-mapped IPv6 address as IPv4.
pub fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// Orders two values of one field; text without regard to case.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Addr(a), Value::Addr(b)) => Some(canonical(*a).cmp(&canonical(*b))),
        (Value::Text(a), Value::Text(b)) => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        (a, b) => a.as_number()?.partial_cmp(&b.as_number()?),
    }
}

fn same_text(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

fn contains_ignore_case(text: &str, needle: &str) -> bool {
    if needle.is_ascii() && text.is_ascii() {
        let (t, n) = (text.as_bytes(), needle.as_bytes());
        return n.is_empty() || t.windows(n.len()).any(|w| w.eq_ignore_ascii_case(n));
    }
    text.to_lowercase().contains(needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Kind;
    use crate::model::{RecordId, SourceId, Time};

    fn record() -> Record {
        let mut r = Record::new(Kind::Dns, RecordId::default(), SourceId(1), Time(0));
        r.set(field::SRC_IP, Value::Addr(IpAddr::from([10, 0, 0, 5])));
        r.set(field::NAME, "www.Evil.example");
        r.set(field::BYTES_OUT, 10u64);
        r.set(field::BYTES_IN, 20u64);
        r
    }
    fn holds(f: &Filter) -> bool {
        f.matches(&record(), &|_| None)
    }

    #[test]
    fn tests_look_at_every_part_of_a_field() {
        assert!(holds(&Filter::is(field::HOST, Value::Addr(IpAddr::from([10, 0, 0, 5])))));
        assert!(holds(&Filter::is(field::BYTES, 30u64)));
        assert!(!holds(&Filter::is(field::DST_IP, Value::Addr(IpAddr::from([10, 0, 0, 5])))));
    }

    #[test]
    fn text_is_compared_without_regard_to_case_and_by_label() {
        assert!(holds(&Filter::Test(field::NAME, Test::Contains("evil".into()))));
        assert!(holds(&Filter::Test(field::NAME, Test::Under("evil.example".into()))));
        assert!(!holds(&Filter::Test(field::NAME, Test::Under("vil.example".into()))));
    }

    #[test]
    fn a_set_holds_what_lies_in_one_of_its_networks() {
        let nets = ["10.0.0.0/8", "192.0.2.0/25", "2001:db8::/32"];
        let set = Members { nets: nets.iter().filter_map(|n| n.parse().ok()).collect(), ..Members::default() };
        let has = |text: &str| text.parse().is_ok_and(|addr| set.has(addr));
        assert!(has("10.255.255.255") && has("192.0.2.127") && has("2001:db8::1") && has("::ffff:10.0.0.1"));
        assert!(!has("9.255.255.255") && !has("11.0.0.0") && !has("192.0.2.128") && !has("2001:db9::") && !has("::1"));
    }

    #[test]
    fn a_missing_field_fails_its_test_and_passes_its_negation() {
        let sni = Filter::Test(field::SNI, Test::Exists);
        assert!(!holds(&sni));
        assert!(holds(&Filter::Not(Box::new(sni))));
    }
}
