//! The rows as they are now, while a capture runs: the same part of the answer again, in one piece, with the cursor on its row and that row
//! where it stood on the screen.

use super::{Rows, cursor};
use crate::model::Value;
use crate::query::engine::Table;
use crate::tui::effect::Cx;
use crate::tui::jobs::Answer;
use crate::tui::live;
use crate::tui::load::{self, Anew, Place};

/// Rows on each side of the cursor that are asked for again; those of one screen are always among them.
const AROUND: usize = 200;
/// As many as that where all rows are there from the first on: then its number is known.
const FROM_FIRST: usize = 2_000;

impl Rows {
    /// Asks for what is shown as it is now; `newest`: for the newest rows instead.
    pub fn again(&mut self, newest: bool, cx: &mut Cx) {
        self.footer_again(cx);
        // Rows in another order would all have to be compared again, each second: they stay as they were when they were asked for.
        if self.loading || self.ask.links.is_some() || self.is_sorted() {
            return;
        }
        let around = AROUND.max(self.height * 2);
        let place = match self.record() {
            Some(_) | None if newest => Place::Newest(around * 2),
            Some(record) => {
                let before = if self.before || self.selected > FROM_FIRST { around } else { self.selected + around };
                let after = (self.records.len() - self.selected).clamp(around, FROM_FIRST);
                Place::Around(cursor(record), before, after)
            }
            None => Place::Oldest(around * 2),
        };
        let ask = self.ask.clone();
        cx.ask(live::SLOT, move |work| load::again(work, &ask, place));
    }
    pub(super) fn take_again(&mut self, answer: Answer) {
        let Some(anew) = answer.take::<Anew>().filter(|_| !self.loading) else { return };
        let above = self.selected.saturating_sub(self.top);
        if let Some(table) = anew.table {
            let same = self.table.as_ref().and_then(|before| same_group(before, self.selected, &table));
            self.selected = same.unwrap_or(self.selected).min(table.rows.len().saturating_sub(1));
            self.table = Some(table);
        } else {
            let selected = match self.record().map(|r| (r.id, r.time().0)) {
                None if anew.newest => anew.rows.len().saturating_sub(1),
                Some(_) if anew.newest => anew.rows.len().saturating_sub(1),
                None => 0,
                Some((id, time)) => match anew.rows.iter().position(|r| r.id == id) {
                    Some(row) => row,
                    // It is gone (another source's sighting is shown instead), or the cursor has moved on while this was asked.
                    None => {
                        let within =
                            anew.rows.first().zip(anew.rows.last()).filter(|(a, b)| (a.time().0..=b.time().0).contains(&time));
                        if within.is_none() {
                            return;
                        }
                        anew.rows.partition_point(|r| r.time().0 < time)
                    }
                },
            };
            (self.before, self.after) = (anew.before, anew.after);
            self.records = anew.rows;
            self.selected = selected.min(self.records.len().saturating_sub(1));
            if !self.records.is_empty() {
                self.why = None;
            }
        }
        let above = if anew.newest { self.height.saturating_sub(1) } else { above };
        self.top = self.selected.saturating_sub(above);
        self.keep_in_sight();
    }
}

/// The row of a table that is about the same values as a row was before.
fn same_group(before: &Table, row: usize, now: &Table) -> Option<usize> {
    if before.columns != now.columns {
        return None;
    }
    let key = |row: &[Option<Value>]| -> Vec<Option<Value>> {
        let named = row.iter().zip(&before.fields).filter(|(_, field)| field.is_some());
        named.map(|(value, _)| value.clone()).collect()
    };
    let wanted = key(before.rows.get(row)?);
    now.rows.iter().position(|row| key(row) == wanted)
}
