//! The first rows of an answer in another order than that of time. What is kept is bounded: rows beyond it are counted, and said.

use super::applied::Applied;
use super::engine::Cursor;
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId};
use crate::model::filter::compare;
use crate::model::{Record, RecordId, Value};
use crate::store::{Ask, BlockId, Snapshot};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// In which order: by the values of a field, equal ones by time. What has no value comes last in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The field; of several the first that a record has.
    pub fields: Vec<FieldId>,
    /// Largest first.
    pub descending: bool,
}

impl Order {
    /// The value by which a record stands where it stands; `head` gives what only the case knows.
    pub fn value(&self, record: &Record, head: &dyn Fn(FieldId) -> Option<Value>) -> Option<Value> {
        self.fields.iter().find_map(|id| record.value(*id).or_else(|| head(*id)))
    }
}

/// Orders any two values: numbers and times, then addresses, then texts without regard to case. Never inconsistent, whatever evidence holds.
pub fn total(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Bool(_) | Value::Uint(_) | Value::Float(_) | Value::Time(_) => 0,
        Value::Addr(_) => 1,
        Value::Text(_) => 2,
    };
    let numbers = || match (a.as_number(), b.as_number()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => Ordering::Equal,
    };
    rank(a).cmp(&rank(b)).then_with(|| compare(a, b).unwrap_or_else(numbers))
}

/// The first rows in an order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sorted {
    /// The rows.
    pub rows: Vec<Record>,
    /// Rows of the whole answer: all were compared.
    pub of: u64,
}

/// Keeps the first of many in an order.
pub struct Best<T> {
    descending: bool,
    limit: usize,
    kept: Vec<(Option<Value>, Cursor, T)>,
    of: u64,
}

impl<T> Best<T> {
    /// The first `limit`.
    pub fn new(descending: bool, limit: usize) -> Best<T> {
        Best { descending, limit: limit.max(1), kept: Vec::new(), of: 0 }
    }
    /// Takes one, by its value and its place in time.
    pub fn add(&mut self, value: Option<Value>, at: Cursor, what: T) {
        self.of += 1;
        self.kept.push((value, at, what));
        // Sorting now and then costs less than keeping order at every step.
        if self.kept.len() >= self.limit.saturating_mul(2).max(1024) {
            self.cut();
        }
    }
    fn cut(&mut self) {
        let descending = self.descending;
        let before = |a: &(Option<Value>, Cursor, T), b: &(Option<Value>, Cursor, T)| {
            let values = match (&a.0, &b.0) {
                (Some(a), Some(b)) => {
                    let up = total(a, b);
                    if descending { up.reverse() } else { up }
                }
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            values.then_with(|| a.1.cmp(&b.1))
        };
        self.kept.sort_unstable_by(before);
        self.kept.truncate(self.limit);
    }
    /// What was kept, in order, and how many there were in all.
    pub fn finish(mut self) -> (Vec<T>, u64) {
        self.cut();
        (self.kept.into_iter().map(|(.., what)| what).collect(), self.of)
    }
}

/// The first rows of a view in an order: first the field alone is read of all rows, then whole rows of the blocks in which the first are.
pub(super) fn of(
    view: &Snapshot,
    ask: &Ask<'_>,
    applied: &Applied<'_>,
    order: &Order,
    limit: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Sorted> {
    let mut fields = order.fields.clone();
    applied.needs(&mut fields);
    if fields.contains(&field::COMMUNITY_ID) {
        fields.extend([field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT, field::PROTO]);
    }
    let mut best = Best::new(order.descending, limit);
    let mut seen = HashSet::new();
    view.visit(&Ask { fields: Some(&fields), ..*ask }, stop, &mut |row| {
        seen.insert(row.block());
        let record = row.record();
        let value = order.value(&record, &|id| applied.value(&record, id));
        best.add(value, Cursor { time: record.time(), id: record.id }, (row.block(), record.id));
        true
    })?;
    if stop() {
        return Err(Error::cancelled());
    }
    let (found, of) = best.finish();
    for (block, _) in &found {
        seen.remove(block);
    }
    let places: HashMap<RecordId, usize> = found.iter().enumerate().map(|(n, (_, id))| (*id, n)).collect();
    let mut rows: Vec<Option<Record>> = vec![None; found.len()];
    let known: HashSet<BlockId> = seen.into_iter().chain(ask.without.into_iter().flatten().copied()).collect();
    view.visit(&Ask { fields: None, without: Some(&known), ..*ask }, stop, &mut |row| {
        if let Some(place) = places.get(&row.id()) {
            rows[*place] = Some(row.record());
        }
        true
    })?;
    if stop() {
        return Err(Error::cancelled());
    }
    Ok(Sorted { rows: rows.into_iter().flatten().collect(), of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RecordId, Time};

    #[test]
    fn the_first_of_many_are_kept_in_order_and_what_has_no_value_is_last() {
        for descending in [false, true] {
            let mut best = Best::new(descending, 5);
            for n in 0..5_000u64 {
                let value = (n % 1_000 != 7).then(|| Value::Uint(n * 7_919 % 5_000));
                best.add(value, Cursor { time: Time(n as i64), id: RecordId::default() }, n * 7_919 % 5_000);
            }
            let (kept, of) = best.finish();
            let want: Vec<u64> = if descending { (4_995..5_000).rev().collect() } else { (0..5).collect() };
            assert_eq!((kept, of), (want, 5_000));
        }
        let mut best = Best::new(true, 9);
        for (time, value) in [(3, None), (2, Some(4)), (1, Some(4)), (0, None)] {
            best.add(value.map(Value::Uint), Cursor { time: Time(time), id: RecordId::default() }, time);
        }
        assert_eq!(best.finish().0, [1, 2, 0, 3]);
    }

    #[test]
    fn any_two_values_have_an_order_and_three_never_contradict() {
        let mut all =
            [Value::Float(f64::NAN), Value::text("b"), Value::Uint(3), Value::Float(-f64::NAN), Value::Bool(true)].to_vec();
        all.extend([
            Value::text("A"),
            Value::Addr([10, 0, 0, 1].into()),
            Value::Float(2.5),
            Value::Time(Time(-4)),
            Value::Float(0.0),
        ]);
        for (a, b, c) in
            all.iter().flat_map(|a| all.iter().flat_map(move |b| [(a, b)])).flat_map(|(a, b)| all.iter().map(move |c| (a, b, c)))
        {
            assert_eq!(total(a, b), total(b, a).reverse(), "{a:?} {b:?}");
            assert!(total(a, b).is_gt() || total(b, c).is_gt() || total(a, c).is_le(), "{a:?} {b:?} {c:?}");
        }
    }
}
