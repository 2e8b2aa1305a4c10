//! What people have said about rows: bookmarks, verdicts, notes, tags, from the journal; and the rows marked with Space in this session.

use crate::model::decision::{About, Decision, Judgement, What};
use crate::model::{Entity, Record};
use crate::model::{RecordId, field};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What the gutter shows of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Marked with Space.
    pub marked: bool,
    /// The last verdict.
    pub verdict: Option<Judgement>,
    /// Has a note.
    pub note: bool,
    /// Has a tag.
    pub tag: bool,
}

/// A bookmark that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// Its id: sequence of its decision.
    pub id: u64,
    /// Title.
    pub title: String,
    /// Query.
    pub query: String,
    /// Lens.
    pub lens: String,
    /// Focus text.
    pub focus: String,
    /// Rows that it had.
    pub rows: u64,
    /// Import sequence when it was taken.
    pub seen: u64,
    /// Trail node.
    pub node: Option<u64>,
}

/// Everything that was said, looked up by row or value.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Rows marked with Space.
    pub marked: BTreeSet<RecordId>,
    records: HashMap<RecordId, Mark>,
    values: HashMap<(String, String), Judgement>,
    /// Bookmarks in order of entry.
    pub bookmarks: Vec<Bookmark>,
    notes: usize,
}

impl Marks {
    /// Reads the journal anew; marked rows stay.
    pub fn read(&mut self, decisions: &[Decision]) {
        let marked = std::mem::take(&mut self.marked);
        *self = Marks { marked, ..Marks::default() };
        let gone: HashSet<u64> =
            decisions.iter().filter_map(|d| if let What::Remove { id } = d.what { Some(id) } else { None }).collect();
        let edits: HashMap<u64, &str> = decisions
            .iter()
            .filter_map(|d| if let What::Edit { id, text } = &d.what { Some((*id, text.as_str())) } else { None })
            .collect();
        for decision in decisions.iter().filter(|d| !gone.contains(&d.sequence)) {
            match &decision.what {
                What::Bookmark { title, query, lens, focus, rows, seen, node } => self.bookmarks.push(Bookmark {
                    id: decision.sequence,
                    title: edits.get(&decision.sequence).map_or_else(|| title.clone(), |t| (*t).to_owned()),
                    query: query.clone(),
                    lens: lens.clone(),
                    focus: focus.clone(),
                    rows: *rows,
                    seen: *seen,
                    node: *node,
                }),
                What::Note { about, .. } => {
                    self.notes += 1;
                    self.each(about, |mark| mark.note = true);
                }
                What::Tag { about, .. } => self.each(about, |mark| mark.tag = true),
                What::Verdict { expires: Some(end), .. } if *end <= crate::store::now().0 => {}
                What::Verdict { about, judgement, .. } => {
                    self.each(about, |mark| mark.verdict = Some(*judgement));
                    if let About::Value(name, value) = about {
                        self.values.insert((name.clone(), value.clone()), *judgement);
                    }
                }
                _ => {}
            }
        }
    }
    fn each(&mut self, about: &About, set: impl Fn(&mut Mark)) {
        if let About::Records(ids) = about {
            ids.iter().filter_map(|id| id.parse().ok()).for_each(|id| set(self.records.entry(id).or_default()));
        }
    }
    /// What is said of a row.
    pub fn of(&self, record: &Record) -> Mark {
        let mut mark = self.records.get(&record.id).copied().unwrap_or_default();
        // What the record brings along is by all verdicts, also those on queries.
        mark.verdict = record.text(field::VERDICT).and_then(Judgement::parse).or(mark.verdict);
        mark.marked = self.marked.contains(&record.id);
        mark
    }
    /// The verdict on a value.
    pub fn verdict_on(&self, entity: &Entity) -> Option<Judgement> {
        let text = super::focus::show(entity);
        self.values.get(&(field::name(entity.field), text)).copied()
    }
    /// Marks a row, or takes its mark away.
    pub fn toggle(&mut self, id: RecordId) {
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
    }
    /// The bookmark of a question, if one stands.
    pub fn bookmark_of(&self, query: &str, focus: &str) -> Option<&Bookmark> {
        self.bookmarks.iter().find(|b| b.query == query && b.focus == focus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;

    #[test]
    fn the_last_verdict_counts_and_what_was_taken_back_does_not() {
        let id = RecordId::default();
        let verdict = |judgement| What::Verdict { about: About::records([id]), judgement, reason: "x".into(), expires: None };
        let whats =
            [verdict(Judgement::Suspicious), verdict(Judgement::Malicious), verdict(Judgement::Benign), What::Remove { id: 3 }];
        let decisions: Vec<Decision> = whats
            .into_iter()
            .enumerate()
            .map(|(i, what)| Decision { sequence: i as u64 + 1, at: 0, who: Who::default(), what })
            .collect();
        let mut marks = Marks::default();
        marks.read(&decisions);
        let record = Record::new(crate::model::Kind::Flow, id, crate::model::SourceId(1), crate::model::Time(0));
        assert_eq!(marks.of(&record).verdict, Some(Judgement::Malicious));
    }
}
