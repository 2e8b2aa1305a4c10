//! What is known of the rows in sight beyond themselves, asked as they come into sight.

use super::Rows;
use crate::model::{Record, RecordId};
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Job};
use crate::tui::joins::{self, Found, Joined};

/// Rows of which it is kept.
const KEPT: usize = 4_096;

impl Rows {
    /// What is known of a row, if it was in sight.
    pub fn joined_of(&self, id: RecordId) -> Option<&Joined> {
        self.joins.get(&id)
    }
    pub(super) fn forget_joins(&mut self) {
        self.joins.clear();
        self.looking.clear();
    }
    /// Asks for the rows in sight of which it is not known, the one under the cursor first.
    pub fn look(&mut self, cx: &mut Cx) {
        if self.table.is_some() || self.loading {
            return;
        }
        let sight = self.records.iter().skip(self.top).take(self.height);
        let unknown = |r: &&Record| !self.joins.contains_key(&r.id);
        let wanted: Vec<Record> = self.record().into_iter().chain(sight).filter(unknown).cloned().collect();
        if wanted.is_empty() || wanted.iter().all(|r| self.looking.contains(&r.id)) {
            return;
        }
        if self.joins.len() > KEPT {
            self.joins.clear();
        }
        self.looking = wanted.iter().map(|r| r.id).collect();
        let work = Box::new(move |work: &crate::tui::jobs::Work| joins::look(work, &wanted));
        cx.push(Effect::Ask(Job { pane: cx.pane, slot: joins::NAME, work }));
    }
    /// Takes what became known.
    pub fn joined(&mut self, answer: Answer) {
        if answer.ended() {
            self.looking.clear();
        } else if let Some(Found(found)) = answer.take() {
            self.joins.extend(found);
        }
    }
}
