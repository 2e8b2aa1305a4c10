//! What a conversation does, said once: of protocols that repeat themselves (polls, commands) each thing is an event the first time.

use super::fields::Fields;
use crate::model::field;
use crate::model::record::Kind;
use crate::protocols::{At, Out};
use std::collections::BTreeSet;

/// Things that one conversation tells.
const MAX_TOLD: usize = 64;

/// What was told.
#[derive(Debug, Default)]
pub struct Told(BTreeSet<String>);

impl Told {
    /// Gives an event of kind log with an application and a message, unless the same message was given before. What goes beyond the bound
    /// passes with the flow's `X`.
    pub fn say(&mut self, app: &str, message: &str, more: Fields, first: At, last: At, out: &mut Out) {
        if message.is_empty() || self.0.contains(message) {
            return;
        }
        if self.0.len() >= MAX_TOLD {
            out.partial = true;
            return;
        }
        self.0.insert(message.to_owned());
        let mut fields = more;
        fields.text(field::APP, app);
        fields.text(field::MESSAGE, message);
        out.events.push(fields.event(Kind::Log, first, last));
    }
}
