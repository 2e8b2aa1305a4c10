//! Leads: open questions and hypotheses, with what supports and contradicts them, the next step, who takes it, and how they ended.

use super::{bookmarks, notes, verdicts};
use crate::error::{Error, Result};
use crate::model::Time;
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, Ground, LeadChange, LeadState, What, standing};
use crate::query::Engine;
use std::collections::BTreeMap;

/// A lead as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its number: the sequence of the decision that opened it.
    pub id: u64,
    /// The question or hypothesis.
    pub text: String,
    /// What supports it.
    pub supports: Vec<Ground>,
    /// What contradicts it.
    pub contradicts: Vec<Ground>,
    /// What is to be done next; may be empty.
    pub next: String,
    /// Who does it; may be empty.
    pub owner: String,
    /// How far it is.
    pub state: LeadState,
    /// Why it is answered or dropped.
    pub reason: String,
    /// When it was opened.
    pub at: Time,
    /// Who opened it.
    pub who: String,
    /// When it was changed last, and by whom.
    pub changed: (Time, String),
}

impl Lead {
    /// A question, or else a hypothesis.
    pub fn is_question(&self) -> bool {
        self.text.trim_end().ends_with('?')
    }
    /// `question` or `hypothesis`.
    pub fn kind(&self) -> &'static str {
        if self.is_question() { "question" } else { "hypothesis" }
    }
    /// Whether it is not settled.
    pub fn is_open(&self) -> bool {
        self.state == LeadState::Open
    }
    fn take(&mut self, change: &LeadChange, decision: &Decision) {
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(text) = from {
                to.clone_from(text);
            }
        };
        set(&mut self.text, &change.text);
        set(&mut self.next, &change.next);
        set(&mut self.owner, &change.owner);
        set(&mut self.reason, &change.reason);
        if let Some(state) = change.state {
            self.state = state;
            if change.reason.is_none() {
                self.reason.clear();
            }
        }
        // What bears on it does so in one way: the last word counts.
        let moved = |g: &Ground| [&change.withdrawn, &change.supports, &change.contradicts].iter().any(|list| list.contains(g));
        for (list, new) in [(&mut self.supports, &change.supports), (&mut self.contradicts, &change.contradicts)] {
            list.retain(|g| !moved(g));
            for ground in new {
                if !list.contains(ground) {
                    list.push(ground.clone());
                }
            }
        }
        self.changed = (Time(decision.at), decision.who.name.clone());
    }
}

/// Every lead that stands: open ones first, then as they were opened. A change that was taken back changes nothing.
pub fn leads(decisions: &[Decision]) -> Vec<Lead> {
    let mut all: BTreeMap<u64, Lead> = BTreeMap::new();
    for decision in standing(decisions) {
        match &decision.what {
            What::Lead(change) => {
                let id = change.of.unwrap_or(decision.sequence);
                if change.of.is_none() {
                    all.insert(id, opened(decision));
                }
                if let Some(lead) = all.get_mut(&id) {
                    lead.take(change, decision);
                }
            }
            What::Edit { id, text } => {
                if let Some(lead) = all.get_mut(id) {
                    lead.text.clone_from(text);
                }
            }
            _ => {}
        }
    }
    let mut out: Vec<Lead> = all.into_values().collect();
    out.sort_by_key(|l| (l.state != LeadState::Open, l.id));
    out
}

fn opened(decision: &Decision) -> Lead {
    let (at, who) = (Time(decision.at), decision.who.name.clone());
    Lead {
        id: decision.sequence,
        text: String::new(),
        supports: Vec::new(),
        contradicts: Vec::new(),
        next: String::new(),
        owner: String::new(),
        state: LeadState::Open,
        reason: String::new(),
        at,
        who: who.clone(),
        changed: (at, who),
    }
}

/// The lead with a number.
pub fn find(decisions: &[Decision], id: u64) -> Result<Lead> {
    let found = leads(decisions).into_iter().find(|l| l.id == id);
    found.ok_or_else(|| Error::user(format!("there is no lead {id}")).hint("backtrail lead list --all, or the screen c"))
}

/// A ground as it is typed: `bookmark 12`, `verdict 9`, else a query, which is checked and keeps its times absolute.
pub fn ground(text: &str, decisions: &[Decision], engine: &dyn Engine) -> Result<Ground> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if let Ok(id) = rest.trim().parse::<u64>() {
        let missing = |what: &str| Error::user(format!("there is no {what} {id}")).hint(format!("backtrail {what} lists them"));
        match word {
            "bookmark" if bookmarks::list(decisions).iter().any(|b| b.id == id) => return Ok(Ground::Bookmark(id)),
            "bookmark" => return Err(missing("bookmark")),
            "verdict" if verdicts::verdicts(decisions).iter().any(|v| v.id == id) => return Ok(Ground::Verdict(id)),
            "verdict" => return Err(missing("verdict")),
            _ => {}
        }
    }
    if text.is_empty() {
        return Err(Error::user("on what does it rest").hint("bookmark 12, verdict 9, or a query"));
    }
    Ok(Ground::Query(engine.compile(text)?.text))
}

/// A ground as it is typed.
pub fn typed(ground: &Ground) -> String {
    match ground {
        Ground::Bookmark(id) => format!("bookmark {id}"),
        Ground::Verdict(id) => format!("verdict {id}"),
        Ground::Query(text) => text.clone(),
    }
}

/// A ground in words, with what it names; what was taken back since is said to be.
pub fn in_words(ground: &Ground, decisions: &[Decision]) -> String {
    let gone = || format!("{}, which was taken back", typed(ground));
    match ground {
        Ground::Bookmark(id) => bookmarks::list(decisions)
            .into_iter()
            .find(|b| b.id == *id)
            .map_or_else(gone, |b| format!("bookmark {id}: {}", b.title)),
        Ground::Verdict(id) => verdicts::verdicts(decisions).into_iter().find(|v| v.id == *id).map_or_else(gone, |v| {
            let why = if v.reason.is_empty() { String::new() } else { format!(": {}", v.reason) };
            format!("verdict {id}: {} on {}{why}", v.judgement.name(), notes::subject(&v.about))
        }),
        Ground::Query(text) => text.clone(),
    }
}

/// What bears on a lead, in words, with how many rows it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bears {
    /// The ground.
    pub ground: Ground,
    /// See [`in_words`].
    pub words: String,
    /// Rows now, of a bookmark or a query that can be asked.
    pub rows: Option<u64>,
}

/// A lead with its grounds in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The lead.
    pub lead: Lead,
    /// What supports it.
    pub supports: Vec<Bears>,
    /// What contradicts it.
    pub contradicts: Vec<Bears>,
}

/// Every lead, its bookmarks and queries asked again.
pub fn told(decisions: &[Decision], engine: &dyn Engine, cancel: &Cancel) -> Result<Vec<Told>> {
    let kept = bookmarks::list(decisions);
    let bears = |list: &[Ground]| -> Result<Vec<Bears>> {
        let one = |ground: &Ground| {
            let query = match ground {
                Ground::Bookmark(id) => kept.iter().find(|b| b.id == *id).map(|b| b.query.as_str()),
                Ground::Query(text) => Some(text.as_str()),
                Ground::Verdict(_) => None,
            };
            // What can no longer be asked has no number; the report says so where it stands by itself.
            let question = query.and_then(|text| engine.compile(text).ok());
            let rows = match question {
                Some(mut question) => {
                    question.stages.clear();
                    engine.counts(&[question], u64::MAX, cancel)?.first().map(|c| c.n)
                }
                None => None,
            };
            Ok(Bears { ground: ground.clone(), words: in_words(ground, decisions), rows })
        };
        list.iter().map(one).collect()
    };
    let tell = |lead: Lead| Ok(Told { supports: bears(&lead.supports)?, contradicts: bears(&lead.contradicts)?, lead });
    leads(decisions).into_iter().map(tell).collect()
}

/// The decision that ends a lead, or opens it again. Whoever ends one says why.
pub fn end(id: u64, state: LeadState, reason: &str) -> Result<What> {
    let reason = reason.trim();
    if state != LeadState::Open && reason.is_empty() {
        return Err(
            Error::user(format!("a lead is {} for a reason", state.name())).hint("say what settled it, or why nobody follows it")
        );
    }
    let reason = Some(reason.to_owned()).filter(|r| !r.is_empty());
    Ok(What::Lead(LeadChange { of: Some(id), state: Some(state), reason, ..LeadChange::default() }))
}

/// What a change of a lead did, for people.
pub fn said(change: &LeadChange) -> String {
    match (change.of, &change.text, change.state) {
        (None, Some(text), _) => format!("lead {text}"),
        (Some(id), _, Some(state)) => format!("that lead {id} is {}", state.name()),
        (Some(id), ..) => format!("what was changed of lead {id}"),
        (None, None, _) => "lead".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::bookmarks::tests::decided;

    fn open(text: &str) -> What {
        What::Lead(LeadChange { text: Some(text.into()), ..LeadChange::default() })
    }
    fn change(of: u64, change: LeadChange) -> What {
        What::Lead(LeadChange { of: Some(of), ..change })
    }

    #[test]
    fn a_lead_is_what_its_changes_made_of_it_and_a_change_taken_back_is_none() {
        let (kept, asked) = (Ground::Bookmark(9), Ground::Query("host 10.0.0.5".into()));
        let all = decided(vec![
            open("the printer did it"),
            open("who else?"),
            change(
                1,
                LeadChange { supports: vec![kept.clone(), asked.clone()], owner: Some("bo".into()), ..LeadChange::default() },
            ),
            change(1, LeadChange { contradicts: vec![asked.clone()], next: Some("ask bo".into()), ..LeadChange::default() }),
            end(1, LeadState::Dropped, "it was off").unwrap(),
            change(2, LeadChange { text: Some("who else called it?".into()), ..LeadChange::default() }),
            What::Remove { id: 6 },
            change(77, LeadChange { text: Some("of none".into()), ..LeadChange::default() }),
        ]);
        let got = leads(&all);
        let shape: Vec<_> = got.iter().map(|l| (l.id, l.text.as_str(), l.kind(), l.state)).collect();
        assert_eq!(
            shape,
            [(2, "who else?", "question", LeadState::Open), (1, "the printer did it", "hypothesis", LeadState::Dropped)]
        );
        let printer = &got[1];
        assert_eq!((&printer.supports[..], &printer.contradicts[..]), (&[kept][..], &[asked][..]), "it bears in one way");
        assert_eq!((printer.next.as_str(), printer.owner.as_str(), printer.reason.as_str()), ("ask bo", "bo", "it was off"));
        // Opened again it has no reason left; the lead itself taken back is gone with its changes.
        let mut all = all;
        all.extend(
            decided(vec![end(1, LeadState::Open, "").unwrap(), What::Remove { id: 2 }])
                .into_iter()
                .map(|d| Decision { sequence: d.sequence + 8, ..d }),
        );
        let got = leads(&all);
        assert_eq!((got.len(), got[0].id, got[0].state, got[0].reason.as_str()), (1, 1, LeadState::Open, ""));
    }

    #[test]
    fn nobody_ends_a_lead_without_saying_why_and_a_ground_that_is_gone_is_said() {
        assert!(end(1, LeadState::Answered, " ").is_err());
        assert!(end(1, LeadState::Open, "").is_ok());
        let bookmark = |title: &str| What::Bookmark {
            title: title.into(),
            query: "kind = flow".into(),
            lens: String::new(),
            focus: String::new(),
            rows: 0,
            seen: 0,
            node: None,
        };
        let all = decided(vec![bookmark("beacon"), bookmark("gone"), What::Remove { id: 2 }]);
        assert_eq!(in_words(&Ground::Bookmark(1), &all), "bookmark 1: beacon");
        assert_eq!(in_words(&Ground::Bookmark(2), &all), "bookmark 2, which was taken back");
        assert_eq!(typed(&Ground::Verdict(3)), "verdict 3");
    }
}
