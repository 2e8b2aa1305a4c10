//! Bookmarks: kept questions that re-run, and show what has changed since.

use super::standing::Standing;
use crate::error::Result;
use crate::model::Time;
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, What};
use crate::query::Engine;

/// A bookmark as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Bookmark {
    /// Its number: the sequence of the decision that made it.
    pub id: u64,
    /// Title.
    pub title: String,
    /// Query text, times absolute.
    pub query: String,
    /// Lens it was taken in.
    pub lens: String,
    /// Focus (entity text), empty: the whole case.
    pub focus: String,
    /// Rows it had.
    pub rows: u64,
    /// Import sequence when it was taken.
    pub seen: u64,
    /// Trail node that it keeps.
    pub node: Option<u64>,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
}

/// Every bookmark that stands, oldest first.
pub fn list(decisions: &[Decision]) -> Vec<Bookmark> {
    let standing = Standing::of(decisions);
    let mut out = Vec::new();
    for d in decisions.iter().filter(|d| standing.stands(d.sequence)) {
        if let What::Bookmark { title, query, lens, focus, rows, seen, node } = &d.what {
            out.push(Bookmark {
                id: d.sequence,
                title: standing.text(d.sequence, title),
                query: query.clone(),
                lens: lens.clone(),
                focus: focus.clone(),
                rows: *rows,
                seen: *seen,
                node: *node,
                at: Time(d.at),
                who: d.who.name.clone(),
            });
        }
    }
    out
}

/// How many records came to a bookmark's question since it was kept.
pub fn changes(bookmark: &Bookmark, engine: &dyn Engine, cancel: &Cancel) -> Result<u64> {
    if engine.sequence() <= bookmark.seen {
        return Ok(0);
    }
    engine.changes_since(&engine.compile(&bookmark.query)?, bookmark.seen, cancel)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::decision::Who;

    pub(in crate::case) fn decided(what: Vec<What>) -> Vec<Decision> {
        let who = Who { name: "ann".into(), unix: "ann".into(), ssh: None };
        let at = |i: usize| 1_000_000_000 * i as i64;
        let of = |(i, what)| Decision { sequence: i as u64 + 1, at: at(i), who: who.clone(), what };
        what.into_iter().enumerate().map(of).collect()
    }

    #[test]
    fn a_renamed_bookmark_has_its_new_title_and_a_removed_one_is_gone() {
        let bookmark = |title: &str| What::Bookmark {
            title: title.into(),
            query: "kind = flow".into(),
            lens: "flows".into(),
            focus: String::new(),
            rows: 3,
            seen: 1,
            node: None,
        };
        let all = decided(vec![
            bookmark("first"),
            bookmark("second"),
            What::Edit { id: 1, text: "renamed".into() },
            What::Remove { id: 2 },
        ]);
        let got = list(&all);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].id, got[0].title.as_str()), (1, "renamed"));
    }
}
