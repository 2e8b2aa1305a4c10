//! A condition on a host that also holds for what it was on the other side of a translation: where that is asked for, how its rows are marked, and how
//! they are counted.
//!
//! Questions that sum or group are not widened: both sides of a connection are in the case, and their bytes would count twice.

use super::question::{Question, Stage};
use crate::links::nat::ask::asks_for_host;
use crate::model::ends::{Ends, Pair, Which};
use crate::model::{Filter, Record, Value, field};
use std::borrow::Cow;
use std::sync::Arc;

/// Whether a question is about rows of hosts.
pub fn is_widened(question: &Question) -> bool {
    question.stages.iter().all(|s| matches!(s, Stage::Sort { .. } | Stage::Head { .. })) && asks_for_host(&question.filter)
}

/// Which rows of a host are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Those that name it, and those of what it was elsewhere.
    Both,
    /// Those that name it: `not exists via`.
    Own,
    /// Those of what it was elsewhere: `exists via`, `via = nat`.
    Other,
}

/// Takes the conditions on `via` out of a condition: rows get it only when they are answered.
pub fn sides(filter: Filter) -> (Sides, Filter) {
    let is_via = |f: &Filter| matches!(f, Filter::Test(field::VIA, _));
    let of = |f: &Filter| match f {
        Filter::Not(inner) if is_via(inner) => Some(Sides::Own),
        f if is_via(f) => Some(Sides::Other),
        _ => None,
    };
    let Filter::And(mut all) = filter else { return (Sides::Both, filter) };
    let said = all.iter().find_map(of);
    all.retain(|f| of(f).is_none());
    (said.unwrap_or(Sides::Both), if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
}

/// A widened condition without what names the host.
pub fn only_other(filter: Filter) -> Filter {
    match filter {
        Filter::And(all) => Filter::And(all.into_iter().map(only_other).collect()),
        Filter::Or(list) => match <[Filter; 2]>::try_from(list) {
            Ok([own @ Filter::Test(..), other @ Filter::Elsewhere(..)]) => other.and(Filter::Not(Box::new(own))),
            Ok(list) => Filter::Or(list.into_iter().map(only_other).collect()),
            Err(list) => Filter::Or(list.into_iter().map(only_other).collect()),
        },
        // A host that was nothing elsewhere has no such rows.
        Filter::Test(id, test) if asks_for_host(&Filter::Test(id, test.clone())) && id == field::HOST => Filter::Or(Vec::new()),
        other => other,
    }
}

/// Marks rows that were found as what a host was elsewhere.
#[derive(Default)]
pub struct Marks(Vec<(Arc<Ends>, Which)>);

impl Marks {
    /// Of a condition.
    pub fn of(filter: &Filter) -> Marks {
        let mut out = Marks::default();
        out.gather(filter);
        out
    }
    fn gather(&mut self, filter: &Filter) {
        match filter {
            Filter::And(list) | Filter::Or(list) => list.iter().for_each(|f| self.gather(f)),
            Filter::Elsewhere(ends, which) => self.0.push((Arc::clone(ends), *which)),
            // What must not hold marks nothing.
            Filter::Not(_) | Filter::All | Filter::Test(..) => {}
        }
    }
    /// A record with its mark, if it does not name the host itself.
    pub fn on(&self, mut record: Record) -> Record {
        if self.0.is_empty() {
            return record;
        }
        let Some(pair) = Pair::of(&record) else { return record };
        let found = self
            .0
            .iter()
            .filter_map(|(ends, which)| ends.find(&pair, *which))
            .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
        let Some(found) = found else { return record };
        let own = [field::SRC_IP, field::DST_IP, field::NAT_SRC_IP, field::NAT_DST_IP, field::ANSWER_IP];
        if own.iter().any(|f| record.all(*f).any(|v| v.as_addr().is_some_and(|a| a.to_canonical() == found.host))) {
            return record;
        }
        record.set(field::VIA, "nat");
        record.set(field::VIA_HOST, Value::Addr(found.host));
        record.set(field::VIA_METHOD, found.method.name());
        // Two decimals, as it is shown: what is behind them is no more than the model.
        record.set(field::VIA_CONFIDENCE, Value::Float((f64::from(found.confidence) * 100.0).round() / 100.0));
        record.set(field::VIA_EVIDENCE, found.evidence.to_string());
        record
    }
}

/// The condition in parts that exclude each other: what names the host, which sums can answer, and what it was elsewhere besides.
pub fn apart(filter: &Filter) -> Vec<Cow<'_, Filter>> {
    let all = match filter {
        Filter::And(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let widened =
        |f: &Filter| matches!(f, Filter::Or(list) if matches!(list.as_slice(), [Filter::Test(..), Filter::Elsewhere(..)]));
    let mut places = all.iter().enumerate().filter(|(_, f)| widened(f)).map(|(n, _)| n);
    let (Some(at), None) = (places.next(), places.next()) else { return vec![Cow::Borrowed(filter)] };
    let Filter::Or(list) = &all[at] else { return vec![Cow::Borrowed(filter)] };
    let rest = || all.iter().enumerate().filter(|(n, _)| *n != at).fold(Filter::All, |sum, (_, f)| sum.and(f.clone()));
    let [own, other] = list.as_slice() else { return vec![Cow::Borrowed(filter)] };
    let without = rest().and(other.clone()).and(Filter::Not(Box::new(own.clone())));
    vec![Cow::Owned(rest().and(own.clone())), Cow::Owned(without)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::nat::{read, widen};
    use crate::links::world::World;
    use crate::model::filter::Test;
    use crate::model::{Cancel, Kind, Window};
    use crate::store::Ask;

    #[test]
    fn rows_are_marked_and_counted_once_and_sums_are_of_what_names_the_host() {
        let mut world = World::new();
        let (within, without) = (world.source("pcap", "inside"), world.source("pcap", "outside"));
        let fw = world.source("conntrack", "fw");
        world.flow(within, 100_000, 109_000, "10.0.0.5:4000", "192.0.2.1:443");
        let outside = world.flow(without, 100_000, 109_000, "198.51.100.2:9000", "192.0.2.1:443");
        let mut fields = World::ends("10.0.0.5:4000", "192.0.2.1:443");
        fields.extend([
            (field::NAT_SRC_IP, Value::Addr([198, 51, 100, 2].into())),
            (field::NAT_SRC_PORT, Value::Uint(9000)),
            (field::ACTION, Value::from("new")),
        ]);
        let log = world.record(fw, Kind::Fw, 100_000, 100_000, &fields);
        let snapshot = world.snapshot();
        let nat = read::find(&snapshot, &Cancel::default()).unwrap();
        let host = Filter::Test(field::HOST, Test::Is(Value::Addr([10, 0, 0, 5].into())));
        let mut question = Question::all(Window::ALL);
        question.filter = host.clone();
        assert!(is_widened(&question));
        question.stages.push(Stage::Count { by: Vec::new() });
        assert!(!is_widened(&question));
        let filter = widen(&nat, Filter::is(field::KIND, Kind::Flow.name()).and(host));
        let mut rows = Vec::new();
        let marks = Marks::of(&filter);
        let each = &mut |r| {
            rows.push(marks.on(r));
            true
        };
        snapshot.select(&Ask::new(&filter), &|| false, each).unwrap();
        let via: Vec<&Record> = rows.iter().filter(|r| r.text(field::VIA) == Some("nat")).collect();
        assert_eq!((rows.len(), via.len(), via[0].id), (2, 1, outside));
        let said = |f| via[0].value(f).map(|v| v.to_string()).unwrap_or_default();
        assert_eq!((said(field::VIA_HOST), said(field::VIA_METHOD)), ("10.0.0.5".to_owned(), "log".to_owned()));
        assert_eq!((said(field::VIA_CONFIDENCE), said(field::VIA_EVIDENCE)), ("0.8".to_owned(), log.to_string()));
        let parts = apart(&filter);
        assert_eq!(parts.len(), 2);
        let count = |f: &Filter| snapshot.count(&Ask::new(f), u64::MAX, &|| false).unwrap().0;
        assert_eq!(parts.iter().map(|f| count(f)).sum::<u64>(), 2);
        assert_eq!(apart(&Filter::All).len(), 1);
        // Either side alone.
        let exists = || Filter::Test(field::VIA, Test::Exists);
        let (side, rest) = sides(filter.clone().and(Filter::Not(Box::new(exists()))));
        assert_eq!((side, count(&rest)), (Sides::Own, 2), "it is left to the caller not to widen");
        let (side, rest) = sides(filter.clone().and(exists()));
        assert_eq!((side, count(&only_other(rest))), (Sides::Other, 1));
        assert_eq!(sides(Filter::All).0, Sides::Both);
    }
}
