//! Notes, tags and verdicts, and what of them is about one thing.

use super::standing::Standing;
use crate::model::Time;
use crate::model::decision::{About, Decision, Judgement, What};

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

/// A verdict as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its number.
    pub id: u64,
    /// What it is about.
    pub about: About,
    /// Judgement.
    pub judgement: Judgement,
    /// Why.
    pub reason: String,
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

/// Every verdict that stands, oldest first; a later one about the same thing replaces an earlier.
pub fn verdicts(decisions: &[Decision]) -> Vec<Verdict> {
    let standing = Standing::of(decisions);
    let mut out: Vec<Verdict> = Vec::new();
    for d in decisions.iter().filter(|d| standing.stands(d.sequence)) {
        if let What::Verdict { about, judgement, reason, .. } = &d.what {
            out.retain(|v| v.about != *about);
            out.push(Verdict {
                id: d.sequence,
                about: about.clone(),
                judgement: *judgement,
                reason: standing.text(d.sequence, reason),
                at: Time(d.at),
                who: d.who.name.clone(),
            });
        }
    }
    out
}

/// The word for a judgement.
pub fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Benign => "benign",
        Judgement::Suspicious => "suspicious",
        Judgement::Malicious => "malicious",
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::bookmarks::tests::decided;

    #[test]
    fn a_later_verdict_replaces_an_earlier_one_about_the_same_thing() {
        let host = About::Value("host".into(), "10.0.0.5".into());
        let verdict =
            |judgement, reason: &str| What::Verdict { about: host.clone(), judgement, reason: reason.into(), expires: None };
        let all = decided(vec![
            verdict(Judgement::Suspicious, "odd"),
            What::Note { about: About::Case, text: "n".into() },
            verdict(Judgement::Benign, "backup server"),
        ]);
        let got = verdicts(&all);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].judgement, got[0].reason.as_str()), (Judgement::Benign, "backup server"));
        assert_eq!(notes(&all).len(), 1);
    }
}
