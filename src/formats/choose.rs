//! Which format a file has, by its head; and a format by its name.

use super::{ALL, Format, Sniff, own};

/// The format with a name, a responder's own too.
pub fn find(name: &str) -> Option<&'static dyn Format> {
    ALL.iter()
        .copied()
        .find(|f| f.name() == name)
        .or_else(|| own::installed().iter().copied().find(|f| f.name() == name).map(|f| f as &'static dyn Format))
}

/// What a general format says of a head where none before it says `bar` or more.
pub(super) fn unclaimed(general: &dyn Format, bar: Sniff, head: &[u8]) -> Sniff {
    let looks = general.looks(head);
    let claimed = || ALL.iter().take_while(|f| f.name() != general.name()).any(|f| f.looks(head) >= bar);
    if looks == Sniff::No || claimed() { Sniff::No } else { looks }
}

/// The format of a file by its head: a responder's own, the one that says `Yes` (the first such), else the first that says `Maybe`.
pub fn recognise(head: &[u8]) -> Option<&'static dyn Format> {
    // What a responder defined is meant.
    if let Some(own) = own::installed().iter().copied().find(|f| f.sniff(head) == Sniff::Yes) {
        return Some(own);
    }
    let mut maybe = None;
    for format in ALL {
        match format.looks(head) {
            Sniff::Yes => return Some(*format),
            Sniff::Maybe if maybe.is_none() => maybe = Some(*format),
            Sniff::Maybe | Sniff::No => {}
        }
    }
    maybe
}
