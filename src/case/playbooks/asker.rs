//! How playbooks ask: conditions within a window, as counts, groups, first and last.

use super::{Step, clock};
use crate::error::Result;
use crate::model::{Cancel, FieldId, Kind, Record, Time, Value, Window};
use crate::query::engine::Page;
use crate::query::{Engine, Question};

/// Groups of one question that are looked at.
const GROUPS: usize = 1_000;

/// Asks for a playbook.
pub struct Asker<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// Gives the questions up.
    pub cancel: &'a Cancel,
}

/// A condition within a window, as a query.
pub fn within(condition: &str, w: &Window) -> String {
    format!("{condition} and between {} and {}", w.start.rfc3339(), w.end.rfc3339())
}

impl Asker<'_> {
    /// The question of a text: rows that name what it names, not what that was elsewhere.
    pub fn question(&self, text: &str) -> Result<Question> {
        let mut question = self.engine.compile(text)?;
        question.elsewhere = false;
        Ok(question)
    }
    /// How many rows.
    pub fn count(&self, text: &str) -> Result<u64> {
        let question = self.question(text)?;
        Ok(self.engine.counts(&[question], u64::MAX, self.cancel)?.first().map_or(0, |c| c.n))
    }
    /// Rows by values of fields, the most first.
    pub fn groups(&self, text: &str, fields: &str) -> Result<Vec<(Vec<Option<Value>>, u64)>> {
        let table = self.engine.table(&self.question(&format!("{text} | count by {fields}"))?, self.cancel)?;
        let count = table.columns.iter().position(|c| c == "count").unwrap_or(table.columns.len());
        let of = |row: Vec<Option<Value>>| {
            let n = row.get(count)?.as_ref()?.as_uint()?;
            Some((row.into_iter().take(count).collect(), n))
        };
        let mut out: Vec<(Vec<Option<Value>>, u64)> = table.rows.into_iter().filter_map(of).collect();
        out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| shown(&a.0).cmp(&shown(&b.0))));
        out.truncate(GROUPS);
        Ok(out)
    }
    /// The first row and the last.
    pub fn ends(&self, text: &str) -> Result<Option<(Record, Record)>> {
        let question = self.question(text)?;
        let one = |ascending| -> Result<Option<Record>> {
            let mut found = None;
            let page = Page { ascending, limit: 1, after: None };
            self.engine.select(&question, &page, self.cancel, &mut |r| {
                found = Some(r);
                false
            })?;
            Ok(found)
        };
        Ok(one(true)?.zip(one(false)?))
    }
    /// Every row, with at least these fields, in no order.
    pub fn visit(&self, text: &str, fields: &[FieldId], each: &mut dyn FnMut(&Record) -> bool) -> Result<()> {
        self.engine.visit(&self.question(text)?, fields, self.cancel, &mut |r| each(&r))
    }
    /// A step that says how many rows there are.
    pub fn step(&self, title: &str, query: String, says: impl FnOnce(u64) -> (String, bool)) -> Result<Step> {
        let rows = self.count(&query)?;
        let (says, tells) = says(rows);
        Ok(Step { title: title.to_owned(), says, query, rows, tells })
    }
    /// Which sources of some kinds cover a window, and of which kinds none does.
    pub fn coverage(&self, kinds: &[Kind], w: &Window) -> Vec<String> {
        let all = self.engine.coverage(w);
        let mut out = Vec::new();
        for kind in kinds {
            let gives: Vec<_> = all.iter().filter(|c| c.kinds.contains(kind)).collect();
            let covers: Vec<_> = gives.iter().filter_map(|c| Some((c, c.covers?))).collect();
            if covers.is_empty() {
                let none = if gives.is_empty() { "no source gives it" } else { "no source of it covers this time" };
                out.push(format!("{kind}: {none}: not seen means unknown"));
                continue;
            }
            let one = |(c, covered): &(&&crate::model::answer::Coverage, Window)| {
                let whole = covered.start <= w.start && covered.end >= w.end;
                let part = match covered.start <= w.start && covered.last().day() == w.start.day() {
                    _ if whole => String::new(),
                    true => format!(" until {}", covered.last().utc().format("%H:%M:%SZ")),
                    false => format!(" from {} to {}", clock(covered.start), clock(covered.last())),
                };
                let clock = if c.clock_checked { "" } else { ", clock unchecked" };
                let pruned = c.pruned.as_ref().map(|p| format!(", {p}")).unwrap_or_default();
                format!("{}{part}{clock}{pruned}", c.name)
            };
            let mut names: Vec<String> = covers.iter().map(one).collect();
            let more = names.len().saturating_sub(6);
            names.truncate(6);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            out.push(format!("{kind}: {}{more}", names.join("; ")));
        }
        out
    }
}

/// The values of a group as a text.
pub fn shown(values: &[Option<Value>]) -> String {
    values.iter().map(|v| v.as_ref().map_or_else(|| "none".to_owned(), Value::to_string)).collect::<Vec<_>>().join(" ")
}

/// The window of so many nanoseconds before another.
pub fn before(w: &Window, nanos: i64) -> Window {
    Window::new(Time(w.start.0.saturating_sub(nanos)), w.start)
}
