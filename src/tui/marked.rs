//! What is done with all marked rows at once: looking at their hosts together, pivoting from them, copying, exporting, bookmarking.

use super::app::App;
use super::commands::case::row_text;
use super::focus::{self, Focus};
use super::go::first_lens;
use super::overlay::Overlay;
use super::walk::Step;
use crate::error::{Error, Result};
use crate::model::{Entity, Record, RecordId};
use crate::pivots::{self, Lead, Pivot, Selection};

/// Most rows that are taken together.
const MOST: usize = 2_000;
/// Most different hosts or values of a set.
const SET: usize = 256;

/// The marked rows, read, and what they are wanted for.
pub(super) struct Marked(Vec<Record>, Wanted);

/// What marked rows are wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To look at their hosts together.
    Go,
    /// To open the pivot menu of their hosts.
    Pivot,
    /// To be copied; defanged or not.
    Copy(bool),
}

impl App {
    /// Reads the marked rows and does something with them. False: none is marked, or the cursor is not in the table.
    pub(super) fn with_marked(&mut self, wanted: Wanted) -> Result<bool> {
        let in_table = self.part == super::app::Part::Rows && self.opened.is_empty();
        let ids: Vec<RecordId> = self.marks.marked.iter().copied().collect();
        if ids.is_empty() || !in_table {
            return Ok(false);
        }
        bounded(ids.len())?;
        self.ask("marked", move |work| {
            let mut records = Vec::with_capacity(ids.len());
            for id in ids {
                work.cancel.check()?;
                records.extend(work.engine.record(id)?);
            }
            records.sort_by_key(|r| (r.time(), r.id));
            work.give(Marked(records, wanted));
            Ok(())
        });
        Ok(true)
    }
    /// The question that selects the marked rows; none: no row is marked.
    pub(super) fn marked_query(&self) -> Result<Option<String>> {
        let ids = &self.marks.marked;
        if ids.is_empty() {
            return Ok(None);
        }
        bounded(ids.len())?;
        let ids: Vec<String> = ids.iter().map(|id| crate::query::quote(&id.to_string())).collect();
        Ok(Some(format!("id in {{{}}}", ids.join(", "))))
    }
    /// The question that selects the marked rows, else the row under the cursor.
    pub(super) fn selected_query(&self) -> Result<Option<String>> {
        let row = || self.selection().record.map(|r| format!("id = {}", crate::query::quote(&r.id.to_string())));
        Ok(self.marked_query()?.or_else(row))
    }
    /// Takes the marked rows that were read.
    pub(super) fn take_marked(&mut self, marked: Marked) -> Result<()> {
        let Marked(records, wanted) = marked;
        match wanted {
            Wanted::Copy(defanged) => {
                let text: Vec<String> = records.iter().map(row_text).collect();
                self.copy_text(&format!("{} rows", records.len()), &text.join("\n"), defanged);
                Ok(())
            }
            Wanted::Go => {
                let set = self.entities(&records)?;
                let focus = Focus::of_set(&set);
                let lens = set.first().map_or("all", first_lens);
                let mut step = Step::to(focus, lens, self.walk.here().step.window);
                step.row = self.rows.record().map(super::go::cursor);
                self.marks.marked.clear();
                self.go(step);
                Ok(())
            }
            Wanted::Pivot => {
                let set = self.entities(&records)?;
                self.open_set_pivots(&set)
            }
        }
    }
    /// What the marked rows are about: the value of the column under the cursor, else what each row is about.
    fn entities(&self, records: &[Record]) -> Result<Vec<Entity>> {
        let mut out: Vec<Entity> = Vec::new();
        for record in records {
            let Some(entity) = self.rows.entity_of(record).or_else(|| focus::of_row(record, &Focus::Case, &self.rows.home))
            else {
                continue;
            };
            if !out.contains(&entity) {
                out.push(entity);
            }
        }
        match out.len() {
            0 => {
                Err(Error::user("the marked rows are about nothing that one can look at")
                    .hint("choose a column with the arrow keys"))
            }
            n if n > SET => {
                Err(Error::user(format!("the marked rows are about {n} different values; at most {SET} are looked at together")))
            }
            _ => Ok(out),
        }
    }
    /// The pivot menu of several values: every way that leads on from all of them.
    pub(super) fn open_set_pivots(&mut self, set: &[Entity]) -> Result<()> {
        let window = Some(self.window());
        if let [only] = set {
            return self.open_pivots(Selection { record: None, entity: Some(only.clone()), window });
        }
        let leads: Vec<(&'static Pivot, Lead)> =
            pivots::ALL.iter().filter_map(|p| Some((*p, together(p, set, window)?))).collect();
        let focus = Focus::of_set(set);
        self.open_leads(format!("pivot on {}", focus.label()), leads, Selection { window, ..Selection::default() }, Some(focus))
    }
    /// Copies a text, defanged if that is wanted.
    pub(super) fn copy_text(&mut self, label: &str, text: &str, defanged: bool) {
        let text = if defanged { super::clipboard::defang(text) } else { text.to_owned() };
        self.copy(label, &text);
    }
    /// Offers a bookmark of the marked rows, or of the question.
    pub(super) fn offer_bookmark(&mut self) {
        let node = self.walk.here();
        let title = match self.marks.marked.len() {
            0 => format!("{} · {}", node.lens().title, self.walk.path().last().copied().unwrap_or_default()),
            n => format!("{n} rows of {}", node.lens().title),
        };
        self.overlay = Some(Overlay::prompt("bookmark", "bookmark", &title));
    }
}

fn bounded(n: usize) -> Result<()> {
    if n <= MOST {
        return Ok(());
    }
    Err(Error::user(format!("{n} rows are marked; at most {MOST} are taken together"))
        .hint("filter them instead, then export the lens"))
}

/// One pivot from several values at once: the rows of all of them. None where it does not lead on from each, or groups its rows.
fn together(pivot: &Pivot, set: &[Entity], window: Option<crate::model::Window>) -> Option<Lead> {
    let mut out: Option<Lead> = None;
    for entity in set {
        let lead = (pivot.run)(&Selection { record: None, entity: Some(entity.clone()), window })?;
        if !focus::split_stages(&lead.query).1.is_empty() {
            return None;
        }
        out = Some(match out {
            None => Lead {
                label: lead.label.replace(&focus::show(entity), &format!("these {}", set.len())),
                query: format!("({})", lead.query),
            },
            Some(all) => Lead { query: format!("{} or ({})", all.query, lead.query), ..all },
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pivot_from_two_hosts_is_the_rows_of_both() {
        let hosts: Vec<Entity> = ["10.0.0.5", "10.0.0.6"].into_iter().filter_map(Entity::recognise).collect();
        let alerts = pivots::find("host-alerts").unwrap();
        let lead = together(alerts, &hosts, None).unwrap();
        assert_eq!(lead.label, "alerts of these 2");
        assert_eq!(lead.query, "(kind in {alert, notice} and host = 10.0.0.5) or (kind in {alert, notice} and host = 10.0.0.6)");
        assert_eq!(together(pivots::find("host-peers").unwrap(), &hosts, None), None);
        let mixed: Vec<Entity> = ["10.0.0.5", "evil.example"].into_iter().filter_map(Entity::recognise).collect();
        assert_eq!(together(alerts, &mixed, None), None);
    }
}
