//! Something malformed in the input, kept as data: counted, stored, shown, queryable, never dropped and never an error.

use compact_str::CompactString;

/// What was malformed. `what` is a short stable name in snake_case (`ip_truncated`, `tcp_overlap`), the same for all of its kind,
/// so that oddities can be counted and asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Short stable name.
    pub what: &'static str,
    /// Where: the layer, field or column, and numbers that help. May be empty.
    pub place: CompactString,
}

impl Oddity {
    /// An oddity without more to say.
    pub fn new(what: &'static str) -> Oddity {
        Oddity { what, place: CompactString::default() }
    }
    /// An oddity with its place.
    pub fn at(what: &'static str, place: impl AsRef<str>) -> Oddity {
        Oddity { what, place: CompactString::from(place.as_ref()) }
    }
}
