//! Notes and tags, and what they are about in words.

use super::standing::Standing;
use crate::model::Time;
use crate::model::decision::{About, Decision, What};

/// A note as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Its number.
    pub id: u64,
    /// What it is about.
    pub about: About,
    /// Markdown.
    pub text: String,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
}

/// A tag as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Its number.
    pub id: u64,
    /// What it is on.
    pub about: About,
    /// The tag.
    pub tag: String,
    /// When.
    pub at: Time,
    /// Who.
    pub who: String,
}

/// Every note that stands, oldest first.
pub fn notes(decisions: &[Decision]) -> Vec<Note> {
    let standing = Standing::of(decisions);
    let of = |d: &Decision| match &d.what {
        What::Note { about, text } => Some(Note {
            id: d.sequence,
            about: about.clone(),
            text: standing.text(d.sequence, text),
            at: Time(d.at),
            who: d.who.name.clone(),
        }),
        _ => None,
    };
    decisions.iter().filter(|d| standing.stands(d.sequence)).filter_map(of).collect()
}

/// Every tag that stands, oldest first.
pub fn tags(decisions: &[Decision]) -> Vec<Tag> {
    let standing = Standing::of(decisions);
    let of = |d: &Decision| match &d.what {
        What::Tag { about, tag } => Some(Tag {
            id: d.sequence,
            about: about.clone(),
            tag: standing.text(d.sequence, tag),
            at: Time(d.at),
            who: d.who.name.clone(),
        }),
        _ => None,
    };
    decisions.iter().filter(|d| standing.stands(d.sequence)).filter_map(of).collect()
}

/// A subject in words.
pub fn subject(about: &About) -> String {
    match about {
        About::Records(ids) if ids.len() > 1 => format!("{} records ({} ...)", ids.len(), ids[0]),
        About::Records(ids) => format!("record {}", ids.join("")),
        About::Value(field, value) => format!("{field} = {value}"),
        About::Query(text) => text.clone(),
        About::Bookmark(id) => format!("bookmark {id}"),
        About::Case => "the case".into(),
    }
}
