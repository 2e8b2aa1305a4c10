//! Which rows can match at all: conditions that every match must satisfy and that postings can answer (equal, one of, inside a network),
//! as ranges of keys.

use super::keys;
use super::postings::Range;
use crate::model::ends::{Ends, Which};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::filter::{Members, Test};
use crate::model::{Filter, Value};
use ipnet::IpNet;
use std::net::IpAddr;

/// Most ranges that one condition may become; more are cheaper to scan.
const MOST: usize = 4096;
/// Most peers whose rows are looked for: the rows of more are as many as those of the address that is shared.
const PEERS: usize = 64;
/// Numbers from here on are compared as real numbers by filters, inexactly.
const EXACT: u64 = 1 << 53;

/// A condition of the plan: rows that are in any of these ranges, or have one of some ends.
#[derive(Default)]
pub struct Condition<'f> {
    /// Ranges of keys, sorted by where they begin.
    pub ranges: Vec<Range>,
    /// Ends that hosts had elsewhere.
    pub ends: Vec<Far<'f>>,
}

/// Ends that hosts had elsewhere, and where rows that have them can be at all.
pub struct Far<'f> {
    /// The ends.
    pub ends: &'f Ends,
    /// Which end of a row.
    pub which: Which,
    /// Ranges of keys, sorted; none: anywhere.
    pub ranges: Option<Vec<Range>>,
}

impl Condition<'_> {
    fn of(mut ranges: Vec<Range>) -> Self {
        ranges.sort_unstable_by(|a, b| (&a.low, &a.high).cmp(&(&b.low, &b.high)));
        Condition { ranges, ends: Vec::new() }
    }
    /// How many ranges are searched for it.
    fn cost(&self) -> usize {
        self.ranges.len() + self.ends.iter().map(|far| far.ranges.as_ref().map_or(MOST, Vec::len)).sum::<usize>()
    }
}

/// The conditions that postings can answer; all have to hold, those come first that need no row. Empty: no help from postings.
pub fn conditions(filter: &Filter) -> Vec<Condition<'_>> {
    let mut out = all_of(filter);
    out.sort_by_key(|c| c.ends.len());
    out
}

fn all_of(filter: &Filter) -> Vec<Condition<'_>> {
    match filter {
        Filter::And(all) => all.iter().flat_map(all_of).collect(),
        other => condition(other).into_iter().collect(),
    }
}

/// Whether the rows that postings name for a condition are those that satisfy it, all of them and no others: of fields of which every value counts, and
/// of values that are their own keys.
pub fn is_exact(filter: &Filter) -> bool {
    match filter {
        Filter::Test(id, test) => {
            let every = field::get(*id).is_some_and(|f| matches!(f.place, Place::Any(_) | Place::Many) && f.ty == Type::Addr);
            every && matches!(test, Test::Is(Value::Addr(_)) | Test::Net(_)) && condition(filter).is_some()
        }
        Filter::Or(any) => any.iter().all(is_exact) && condition(filter).is_some(),
        Filter::Elsewhere(..) => true,
        Filter::All | Filter::And(_) | Filter::Not(_) => false,
    }
}

/// The ranges of one condition; none: postings cannot answer it.
fn condition(filter: &Filter) -> Option<Condition<'_>> {
    match filter {
        Filter::Test(id, test) => test_ranges(*id, test).map(Condition::of),
        Filter::Or(any) => {
            let (mut ranges, mut ends) = (Vec::new(), Vec::new());
            for f in any {
                // Of a conjunction one condition is enough.
                let one = match f {
                    Filter::And(_) => all_of(f).into_iter().min_by_key(Condition::cost)?,
                    other => condition(other)?,
                };
                ranges.extend(one.ranges);
                ends.extend(one.ends);
                if ranges.len() > MOST {
                    return None;
                }
            }
            Some(Condition { ends, ..Condition::of(ranges) })
        }
        Filter::And(_) => all_of(filter).into_iter().min_by_key(Condition::cost),
        Filter::Elsewhere(ends, which) => {
            let ranges = elsewhere(ends, *which).map(|ranges| Condition::of(ranges).ranges);
            Some(Condition { ranges: Vec::new(), ends: vec![Far { ends, which: *which, ranges }] })
        }
        _ => None,
    }
}

/// The rows of the peers, where they are known and few: an address that many share is in nearly every row outside. Else of the address itself.
fn elsewhere(ends: &Ends, which: Which) -> Option<Vec<Range>> {
    let (peer, addrs) = match ends.peers().filter(|p| p.len() <= PEERS) {
        Some(peers) => (true, peers),
        None => (false, ends.addrs()),
    };
    let fields: &[FieldId] = match (which, peer) {
        (Which::Either, _) => &[field::SRC_IP, field::DST_IP],
        (Which::Src, true) | (Which::Dst, false) => &[field::DST_IP],
        (Which::Dst, true) | (Which::Src, false) => &[field::SRC_IP],
    };
    let mut out = Vec::new();
    for id in fields {
        out.extend(test_ranges(*id, &Test::In(addrs.iter().map(|a| Test::Is(Value::Addr(*a))).collect()))?);
    }
    (out.len() <= MOST).then_some(out)
}

fn test_ranges(id: FieldId, test: &Test) -> Option<Vec<Range>> {
    let field = field::get(id)?;
    let one = [id];
    let parts: &[FieldId] = match field.place {
        Place::Any(parts) => parts,
        Place::One | Place::Many => &one,
        _ => return None,
    };
    if !parts.iter().all(|p| keys::is_indexed(*p)) {
        return None;
    }
    let mut spans: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    spans_of(test, field.ty, &mut spans)?;
    let mut out = Vec::new();
    for part in parts {
        for (low, high) in &spans {
            let full = |key: &[u8]| [&part.0.to_be_bytes()[..], key].concat();
            out.push(Range { low: full(low), high: full(high) });
        }
    }
    (out.len() <= MOST).then_some(out)
}

fn spans_of(test: &Test, ty: Type, out: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Option<()> {
    match test {
        Test::Is(value) => {
            let mut key = Vec::new();
            match (value, ty) {
                (Value::Text(t), Type::Text) => keys::put_text(&mut key, t),
                (Value::Addr(a), Type::Addr) => keys::put_addr(&mut key, *a),
                (Value::Uint(n), Type::Port | Type::Uint) if *n < EXACT => keys::put_uint(&mut key, *n),
                _ => return None,
            }
            out.push((key.clone(), key));
        }
        Test::Range(low, high) if matches!(ty, Type::Port | Type::Uint) => {
            out.push((low.to_be_bytes().to_vec(), high.to_be_bytes().to_vec()));
        }
        Test::Net(net) if ty == Type::Addr => out.push(net_span(net)?),
        Test::In(tests) => {
            for test in tests {
                spans_of(test, ty, out)?;
                if out.len() > MOST {
                    return None;
                }
            }
        }
        Test::Set(set) if ty == Type::Addr => set_spans(set, out)?,
        _ => return None,
    }
    Some(())
}

fn set_spans(set: &Members, out: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Option<()> {
    if set.addrs.len() + set.nets.len() > MOST {
        return None;
    }
    for addr in &set.addrs {
        let mut key = Vec::new();
        keys::put_addr(&mut key, *addr);
        out.push((key.clone(), key));
    }
    for net in &set.nets {
        out.push(net_span(net)?);
    }
    Some(())
}

/// First and last key of a network. None where mapped addresses would make it two ranges.
fn net_span(net: &IpNet) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut low, mut high) = (Vec::new(), Vec::new());
    let (first, last) = match net {
        IpNet::V4(n) => (IpAddr::V4(n.network()), IpAddr::V4(n.broadcast())),
        IpNet::V6(n) => (IpAddr::V6(n.network()), IpAddr::V6(n.broadcast())),
    };
    keys::put_addr(&mut low, first);
    keys::put_addr(&mut high, last);
    (low.len() == high.len() && low <= high).then_some((low, high))
}
