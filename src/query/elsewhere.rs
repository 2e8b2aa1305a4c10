//! A condition on a host that also holds for what it was on the other side of a translation: where that is asked for, how its rows are marked, and how
//! they are counted.
//!
//! Questions that sum or group are not widened: both sides of a connection are in the case, and their bytes would count twice.

use super::question::{Question, Stage};
use crate::error::Result;
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

/// Takes the conditions on `via` out of a condition: rows get it only when they are answered. None: two of them contradict each other.
fn sides(filter: &Filter) -> Option<(Sides, Filter)> {
    let is_via = |f: &Filter| matches!(f, Filter::Test(field::VIA, _));
    let (mut said, mut kept, mut waiting) = (Sides::Both, Filter::All, vec![filter]);
    while let Some(filter) = waiting.pop() {
        let side = match filter {
            Filter::And(all) => {
                waiting.extend(all.iter().rev());
                continue;
            }
            Filter::Not(inner) if is_via(inner) => Sides::Own,
            one if is_via(one) => Sides::Other,
            other => {
                kept = kept.and(other.clone());
                continue;
            }
        };
        if said != Sides::Both && said != side {
            return None;
        }
        said = side;
    }
    Some((said, kept))
}

/// What is answered of a question.
pub enum Answered<'q> {
    /// The rows that its condition names.
    Own(Cow<'q, Filter>),
    /// Those of what hosts were elsewhere.
    Other(Filter),
    /// Both.
    Both {
        /// The condition without what they were elsewhere.
        own: &'q Filter,
        /// The condition with it.
        wide: Filter,
    },
}

impl<'q> Answered<'q> {
    /// Of a question; `widen` adds to a condition what its hosts were elsewhere.
    pub fn of(question: &'q Question, widen: impl FnOnce(Filter) -> Result<Filter>) -> Result<Answered<'q>> {
        if !question.elsewhere || !is_widened(question) {
            return Ok(Answered::Own(Cow::Borrowed(&question.filter)));
        }
        Ok(match sides(&question.filter) {
            None => Answered::Own(Cow::Owned(Filter::Or(Vec::new()))),
            Some((Sides::Own, own)) => Answered::Own(Cow::Owned(own)),
            Some((Sides::Other, filter)) => Answered::Other(only_other(widen(filter)?)),
            Some((Sides::Both, filter)) => match widen(filter)? {
                wide if has_elsewhere(&wide) => Answered::Both { own: &question.filter, wide },
                _ => Answered::Own(Cow::Borrowed(&question.filter)),
            },
        })
    }
    /// The condition on all of its rows.
    pub fn filter(&self) -> &Filter {
        match self {
            Answered::Own(filter) => filter,
            Answered::Other(filter) | Answered::Both { wide: filter, .. } => filter,
        }
    }
    /// The same in parts that exclude each other, of which sums can answer one.
    pub fn parts(&self) -> Vec<Cow<'_, Filter>> {
        match self {
            Answered::Own(_) | Answered::Other(_) => vec![Cow::Borrowed(self.filter())],
            Answered::Both { wide, .. } => apart(wide),
        }
    }
    /// What is summed: of both sides of one connection only that which names the host.
    pub fn summed(&self) -> &Filter {
        match self {
            Answered::Own(_) | Answered::Other(_) => self.filter(),
            Answered::Both { own, .. } => own,
        }
    }
}

fn has_elsewhere(filter: &Filter) -> bool {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().any(has_elsewhere),
        Filter::Not(inner) => has_elsewhere(inner),
        Filter::Elsewhere(..) => true,
        Filter::All | Filter::Test(..) => false,
    }
}

/// The rows of a widened condition that were found as what one of its hosts was elsewhere and that do not name it; without such hosts none.
fn only_other(wide: Filter) -> Filter {
    fn found(filter: &Filter, out: &mut Vec<Filter>) {
        match filter {
            Filter::Or(list) if let [own @ Filter::Test(..), other @ Filter::Elsewhere(..)] = list.as_slice() => {
                out.push(other.clone().and(Filter::Not(Box::new(own.clone()))));
            }
            Filter::And(list) | Filter::Or(list) => list.iter().for_each(|f| found(f, out)),
            // What must not hold finds nothing.
            Filter::Not(_) | Filter::All | Filter::Test(..) | Filter::Elsewhere(..) => {}
        }
    }
    let mut any = Vec::new();
    found(&wide, &mut any);
    if any.is_empty() { Filter::Or(any) } else { wide.and(Filter::Or(any)) }
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
fn apart(filter: &Filter) -> Vec<Cow<'_, Filter>> {
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
        let filter = widen(&nat, Filter::is(field::KIND, Kind::Flow.name()).and(host.clone()), &Window::ALL);
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
        // Each side, and what is summed.
        let test = |id, last: u8| Filter::Test(id, Test::Is(Value::Addr([10, 0, 0, last].into())));
        let exists = Filter::Test(field::VIA, Test::Exists);
        let not = Filter::Not(Box::new(exists.clone()));
        let of = |filter: Filter| {
            let question = Question { elsewhere: true, ..Question::all(Window::ALL).and(filter) };
            let answered = Answered::of(&question, |f| Ok(widen(&nat, f, &Window::ALL))).unwrap();
            let parts: u64 = answered.parts().iter().map(|f| count(f)).sum();
            assert_eq!(parts, count(answered.filter()), "{question:?}");
            (parts, count(answered.summed()))
        };
        let flows = || Filter::is(field::KIND, Kind::Flow.name());
        for id in [field::HOST, field::SRC_IP] {
            let one = || flows().and(test(id, 5));
            assert_eq!((of(one()), of(one().and(not.clone())), of(one().and(exists.clone()))), ((2, 1), (1, 1), (1, 1)));
            assert_eq!(of(one().and(exists.clone()).and(not.clone())), (0, 0));
            // Nested as somebody may have written it.
            assert_eq!(of(Filter::And(vec![Filter::And(vec![one(), exists.clone()]), flows()])), (1, 1));
            // A host that was nothing elsewhere has no such rows, and hinders none of another's.
            assert_eq!(of(flows().and(test(id, 6)).and(exists.clone())), (0, 0));
        }
        let peer = Filter::Test(field::HOST, Test::Is(Value::Addr([192, 0, 2, 1].into())));
        assert_eq!(of(flows().and(test(field::HOST, 5)).and(peer).and(exists.clone())), (1, 1));
        let any = Filter::Or(vec![test(field::HOST, 5), test(field::HOST, 6)]);
        assert_eq!((of(flows().and(any.clone())), of(flows().and(any).and(exists))), ((2, 1), (1, 1)));
    }
}
