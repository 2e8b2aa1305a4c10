//! What is selected -> the next question. One file, one relation.
//!
//! A pivot is a pure function from a selection to the text of a query: no I/O, no store, no screen. `None` means "not from here".
//!
//! To add one: write `src/pivots/<name>.rs` with a `pub const PIVOT`, whose doc comment holds an example of a selection and the query it
//! gives; add its `pub mod` line and its name to [`ALL`] (the order of the menu); run `cargo test`.

use crate::model::{Entity, Record, Window};

/// What is under the cursor.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The record, if a row is selected.
    pub record: Option<Record>,
    /// The value, if a cell or the focus is selected.
    pub entity: Option<Entity>,
    /// The window that one looks at.
    pub window: Option<Window>,
}

/// Where a pivot leads: a label for the menu and the query that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Label, e.g. `flows of 10.8.21.5`.
    pub label: String,
    /// Query text.
    pub query: String,
}

/// A pivot.
pub struct Pivot {
    /// Name of the relation, as `pivot VALUE --to NAME` takes it; equal to the file's stem with `-` for `_`.
    pub name: &'static str,
    /// What it answers, in one sentence.
    pub doc: &'static str,
    /// The lens it opens in.
    pub lens: &'static str,
    /// The function.
    pub run: fn(&Selection) -> Option<Lead>,
}

/// Every pivot, in the order of the menu.
pub const ALL: &[&Pivot] = &[];
