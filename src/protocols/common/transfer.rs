//! A connection that carries one file and nothing else, announced by another that names it (FTP). The name comes while or after the file
//! does: both sides hold one note of it.

use super::fields::Fields;
use super::file::Passing;
use crate::model::field;
use crate::model::record::Kind;
use crate::protocols::{At, Out, Parser, Side};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of a transfer.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Protocol that announced it.
    pub app: &'static str,
    /// Name of the file.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// `download`, `upload`, or `list` for what is no file.
    pub action: &'static str,
    /// Length that the server stated.
    pub size: Option<u64>,
    /// It is not all of the file.
    pub partial: bool,
    /// The server said that it is over and went well.
    pub done: bool,
}

/// A note that the connection that asks writes and the one that carries reads.
#[derive(Debug, Clone, Default)]
pub struct About(Arc<Mutex<Known>>);

impl About {
    /// Writes.
    pub fn note(&self, write: impl FnOnce(&mut Known)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
    /// Reads.
    pub fn known(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The connection that carries.
pub struct Transfer {
    about: About,
    carried: Option<(Side, Passing, At, At)>,
    seen: u64,
    missing: bool,
}

impl Transfer {
    /// Of a note.
    pub fn new(about: About) -> Transfer {
        Transfer { about, carried: None, seen: 0, missing: false }
    }
    /// What passes in the direction that spoke first.
    fn passing(&mut self, side: Side, at: At, out: &Out) -> Option<&mut Passing> {
        let (own, passing, _, last) = self.carried.get_or_insert_with(|| (side, Passing::plain(&out.keeping), at, at));
        *last = at;
        (*own == side).then_some(passing)
    }
}

impl Parser for Transfer {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if let Some(passing) = self.passing(side, at, out) {
            passing.push(bytes);
            self.seen = self.seen.saturating_add(bytes.len() as u64);
        }
    }
    fn gap(&mut self, side: Side, missing: u64, at: At, out: &mut Out) {
        if let Some(passing) = self.passing(side, at, out) {
            passing.miss(missing);
            self.missing = true;
        }
    }
    fn end(&mut self, out: &mut Out) {
        let Some((side, mut passing, first, last)) = self.carried.take() else { return };
        let known = self.about.known();
        // A listing is no file.
        if known.action == "list" {
            return;
        }
        if let Some(size) = known.size {
            passing.state(size);
        }
        let whole = !known.partial && !self.missing && known.size.map_or(known.done, |size| size == self.seen);
        let mut fields = Fields::default();
        fields.text(field::APP, known.app);
        fields.text(field::FILE_NAME, &known.name);
        fields.text(field::USER, &known.user);
        fields.text(field::ACTION, known.action);
        fields.text(field::DIRECTION_STATED, if side == Side::Out { "out" } else { "in" });
        if !whole {
            fields.text(field::EXTRA, &serde_json::json!({"partial": true, "of": known.size}).to_string());
        }
        passing.finish(whole, &mut fields);
        out.events.push(fields.event(Kind::File, first, last));
    }
}
