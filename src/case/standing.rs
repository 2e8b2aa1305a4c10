//! Which decisions stand: removed ones are left out, edited ones carry their new text.

use crate::model::decision::{Decision, What};
use std::collections::{HashMap, HashSet};

/// What a later decision made of earlier ones.
#[derive(Debug, Default)]
pub struct Standing {
    removed: HashSet<u64>,
    edited: HashMap<u64, String>,
}

impl Standing {
    /// Of a whole journal.
    pub fn of(decisions: &[Decision]) -> Standing {
        let mut out = Standing::default();
        for decision in decisions {
            match &decision.what {
                What::Remove { id } => {
                    out.removed.insert(*id);
                }
                What::Edit { id, text } => {
                    out.edited.insert(*id, text.clone());
                }
                _ => {}
            }
        }
        out
    }
    /// Whether a decision was not taken back.
    pub fn stands(&self, id: u64) -> bool {
        !self.removed.contains(&id)
    }
    /// A text of a decision, or what it was changed to.
    pub fn text(&self, id: u64, original: &str) -> String {
        self.edited.get(&id).cloned().unwrap_or_else(|| original.to_owned())
    }
}
