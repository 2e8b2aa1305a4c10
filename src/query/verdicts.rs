//! The field `verdict`: the verdicts that stand, made conditions. Nothing of them is stored with a record; they apply when a question is
//! asked, so also to what is imported later.
//!
//! A verdict covers the records that it names, or those of its query. Where several cover one record the worst counts: what anybody called
//! malicious is not put away by a wider `benign`. A verdict on a value, a bookmark or the case is about that, and covers no record.

use super::question::Question;
use crate::error::Result;
use crate::model::decision::{About, Decision, Judgement, What, standing};
use crate::model::filter::Test;
use crate::model::{FieldId, Filter, Record, RecordId, Time, Value, Window, field};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Most verdicts on queries that a question tests; more are an error of the question, never left out in silence.
pub const MAX: usize = 10_000;

/// Verdicts, ready to be applied.
#[derive(Debug, Default)]
pub struct Verdicts {
    rules: Vec<(Judgement, Filter)>,
    records: HashMap<RecordId, Judgement>,
    /// Rules by a value that a record must have to be covered.
    keyed: HashMap<(FieldId, String), Vec<usize>>,
    /// Fields that occur in `keyed`.
    keys: Vec<FieldId>,
    /// Rules that only trying can tell.
    unkeyed: Vec<usize>,
    /// Stored fields that the rules read.
    fields: Vec<FieldId>,
    /// Verdicts whose query can no longer be asked.
    pub broken: usize,
}

/// The verdicts that stand at a time, oldest first; a later one about the same thing replaces an earlier.
pub fn applied(decisions: &[Decision], now: Time) -> Vec<&Decision> {
    let mut latest: HashMap<String, u64> = HashMap::new();
    let verdicts: Vec<&Decision> = standing(decisions).filter(|d| matches!(d.what, What::Verdict { .. })).collect();
    for d in &verdicts {
        if let What::Verdict { about, .. } = &d.what {
            latest.insert(format!("{about:?}"), d.sequence);
        }
    }
    let is_latest = |d: &&Decision| match &d.what {
        What::Verdict { about, expires, .. } => {
            latest.get(&format!("{about:?}")) == Some(&d.sequence) && expires.is_none_or(|t| t > now.0)
        }
        _ => false,
    };
    verdicts.into_iter().filter(is_latest).collect()
}

impl Verdicts {
    /// The verdicts of a journal at a time. `compile` makes a question of a text; it must not itself know verdicts.
    pub fn of(decisions: &[Decision], now: Time, compile: &dyn Fn(&str) -> Result<Question>) -> Verdicts {
        let mut out = Verdicts::default();
        for d in applied(decisions, now) {
            let What::Verdict { about, judgement, .. } = &d.what else { continue };
            match about {
                About::Records(ids) => {
                    for id in ids.iter().filter_map(|id| id.parse().ok()) {
                        let worst = out.records.entry(id).or_insert(*judgement);
                        *worst = (*worst).max(*judgement);
                    }
                }
                About::Query(text) => match compile(text) {
                    Ok(question) if question.stages.is_empty() => {
                        out.rules.push((*judgement, within(question.filter, &question.window)))
                    }
                    _ => out.broken += 1,
                },
                About::Value(..) | About::Bookmark(_) | About::Case => {}
            }
        }
        out.index();
        out
    }
    fn index(&mut self) {
        for (n, (_, filter)) in self.rules.iter().enumerate() {
            filter.fields(&mut self.fields);
            match key(filter) {
                Some((field, text)) => {
                    if !self.keys.contains(&field) {
                        self.keys.push(field);
                    }
                    self.keyed.entry((field, text)).or_default().push(n);
                }
                None => self.unkeyed.push(n),
            }
        }
        self.fields.sort_unstable();
        self.fields.dedup();
    }
    /// Whether nothing is judged.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.records.is_empty()
    }
    /// Stored fields that have to be read to know the verdict on a record.
    pub fn fields(&self) -> &[FieldId] {
        &self.fields
    }
    /// The verdict on a record; `head` gives the fields that only the case knows (`source`, `evidence`).
    pub fn on(&self, record: &Record, head: &dyn Fn(FieldId) -> Option<Value>) -> Option<Judgement> {
        let mut worst = self.records.get(&record.id).copied();
        let mut test = |n: usize| {
            if let Some((judgement, filter)) = self.rules.get(n).filter(|(j, _)| worst.is_none_or(|w| w < *j))
                && filter.matches(record, head)
            {
                worst = Some(*judgement);
            }
        };
        for field in &self.keys {
            for value in record.all(*field) {
                self.keyed.get(&(*field, key_text(value))).into_iter().flatten().for_each(|n| test(*n));
            }
        }
        self.unkeyed.iter().for_each(|n| test(*n));
        worst
    }
    /// The records whose verdict passes a test; an error says why that cannot be asked.
    pub fn filter(&self, test: &Test) -> std::result::Result<Filter, String> {
        if self.rules.len() > MAX {
            return Err(format!("there are {} verdicts; a question can test {MAX}", self.rules.len()));
        }
        let wanted: Vec<Judgement> =
            Judgement::ALL.into_iter().filter(|j| test.holds(&Value::text(j.name()), field::Type::Text)).collect();
        // All that is judged, or all but the least: what is worse need not be taken out.
        if wanted.len() == Judgement::ALL.len() {
            return Ok(self.at_least(Judgement::Benign));
        }
        let of = |j: &Judgement| match Judgement::ALL.into_iter().find(|worse| worse > j) {
            Some(worse) => Filter::And(vec![self.exactly(*j), Filter::Not(Box::new(self.at_least(worse)))]),
            None => self.exactly(*j),
        };
        Ok(match wanted.as_slice() {
            [one] => of(one),
            several => Filter::Or(several.iter().map(of).collect()),
        })
    }
    fn at_least(&self, least: Judgement) -> Filter {
        self.those(&|j| j >= least)
    }
    fn exactly(&self, judgement: Judgement) -> Filter {
        self.those(&|j| j == judgement)
    }
    /// Records that a verdict which is wanted covers.
    fn those(&self, wanted: &dyn Fn(Judgement) -> bool) -> Filter {
        let mut any: Vec<Filter> = Vec::new();
        let mut ids: Vec<RecordId> = self.records.iter().filter(|(_, j)| wanted(**j)).map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            ids.sort_unstable();
            let tests = ids.into_iter().map(|id| Test::Is(Value::from(id.to_string()))).collect();
            any.push(Filter::Test(field::ID, Test::In(tests)));
        }
        any.extend(self.rules.iter().filter(|(j, _)| wanted(*j)).map(|(_, f)| f.clone()));
        Filter::Or(any)
    }
}

/// A filter that also holds only for what overlaps a window.
fn within(filter: Filter, window: &Window) -> Filter {
    if *window == Window::ALL {
        return filter;
    }
    let bound = |order, or_equal, t| Test::Compare { order, or_equal, bound: Value::Time(t) };
    filter
        .and(Filter::Test(field::END, bound(Ordering::Greater, true, window.start)))
        .and(Filter::Test(field::START, bound(Ordering::Less, false, window.end)))
}

/// A value that every record which satisfies a filter has, in a field of its own.
fn key(filter: &Filter) -> Option<(FieldId, String)> {
    match filter {
        Filter::And(all) => all.iter().find_map(key),
        Filter::Test(id, Test::Is(value)) if matches!(field::get(*id)?.place, field::Place::One) && *id != field::APP => {
            Some((*id, key_text(value)))
        }
        _ => None,
    }
}

fn key_text(value: &Value) -> String {
    match value {
        Value::Addr(a) => a.to_canonical().to_string(),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;
    use crate::model::{Kind, SourceId};
    use crate::query::{Scope, compile};

    fn verdict(n: u64, judgement: Judgement, about: About, expires: Option<i64>) -> Decision {
        let what = What::Verdict { about, judgement, reason: "r".into(), expires };
        Decision { sequence: n, at: 0, who: Who::default(), what }
    }
    fn alert(n: u64, signature: u64, host: u8) -> Record {
        let id = RecordId { offset: n, ..RecordId::default() };
        let mut r = Record::new(Kind::Alert, id, SourceId(1), Time(n as i64));
        r.set(field::SIGNATURE_ID, signature);
        r.set(field::DST_IP, Value::Addr([10, 0, 0, host].into()));
        r
    }
    fn made(decisions: &[Decision], now: i64) -> Verdicts {
        Verdicts::of(decisions, Time(now), &|text| Ok(compile(text, &Scope::empty())?))
    }

    #[test]
    fn the_worst_verdict_counts_and_a_question_and_a_look_at_the_record_agree() {
        use Judgement::{Benign, Malicious, Suspicious};
        let query = |text: &str| About::Query(text.into());
        let all = [
            verdict(1, Malicious, query("signature.id = 7 and dst.ip = 10.0.0.3"), None),
            verdict(2, Benign, query("signature.id = 7"), None),
            verdict(3, Suspicious, About::Records(vec![alert(4, 0, 0).id.to_string()]), None),
            verdict(4, Benign, query("host = 10.0.0.9 and until 1970-01-01T00:00:00.000000005Z"), None),
            verdict(5, Malicious, query("dst.ip = 10.0.0.8"), Some(50)),
            verdict(6, Benign, About::Value("host".into(), "10.0.0.1".into()), None),
            verdict(7, Malicious, query("no such field = 1"), None),
        ];
        let verdicts = made(&all, 10);
        assert_eq!(verdicts.broken, 1);
        let rows = [
            (alert(1, 7, 3), Some(Malicious)),
            (alert(2, 7, 4), Some(Benign)),
            (alert(3, 8, 1), None),
            (alert(4, 8, 1), Some(Suspicious)),
            (alert(4, 7, 9), Some(Suspicious)),
            (alert(2, 8, 9), Some(Benign)),
            (alert(6, 8, 9), None),
            (alert(7, 8, 8), Some(Malicious)),
        ];
        for (row, wanted) in &rows {
            assert_eq!(verdicts.on(row, &|_| None), *wanted, "{row:?}");
            for judgement in Judgement::ALL {
                let filter = verdicts.filter(&Test::Is(Value::text(judgement.name()))).unwrap();
                assert_eq!(filter.matches(row, &|_| None), *wanted == Some(judgement), "{row:?} {judgement:?}");
            }
            assert_eq!(verdicts.filter(&Test::Exists).unwrap().matches(row, &|_| None), wanted.is_some());
        }
        assert_eq!(made(&all, 60).on(&rows[7].0, &|_| None), None, "it has expired");
    }

    #[test]
    fn a_later_verdict_about_the_same_replaces_and_one_taken_back_lets_the_earlier_stand() {
        let about = || About::Query("signature.id = 7".into());
        let mut all = vec![verdict(1, Judgement::Malicious, about(), None), verdict(2, Judgement::Benign, about(), None)];
        assert_eq!(made(&all, 0).on(&alert(1, 7, 1), &|_| None), Some(Judgement::Benign));
        all.push(Decision { sequence: 3, at: 0, who: Who::default(), what: What::Remove { id: 2 } });
        assert_eq!(made(&all, 0).on(&alert(1, 7, 1), &|_| None), Some(Judgement::Malicious));
    }
}
