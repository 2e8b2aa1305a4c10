//! What pruning keeps: the days of the windows of bookmarks and of queries that bear on leads, and of records that notes, tags and verdicts name.

use super::{bookmarks, leads};
use crate::error::Result;
use crate::model::decision::{About, Decision, Ground, What, standing};
use crate::model::{RecordId, Time, Window};
use crate::query::Engine;
use crate::query::engine::Cancel;
use crate::store::Pin;
use std::collections::BTreeMap;

/// Everything that is pinned. A question without a time pins the days of the records that it has; one that is not understood any
/// more is an error: nothing is dropped that it may mean.
pub fn pins(engine: &dyn Engine, decisions: &[Decision], cancel: &Cancel) -> Result<Vec<Pin>> {
    let mut out = Vec::new();
    let of_bookmark = |b: bookmarks::Bookmark| {
        let title = if b.title.is_empty() { &b.query } else { &b.title };
        (format!("bookmark {}: {title}", b.id), b.query)
    };
    let of_lead = |lead: leads::Lead| {
        let grounds: Vec<Ground> = lead.supports.into_iter().chain(lead.contradicts).collect();
        let query = move |ground| if let Ground::Query(text) = ground { Some((format!("lead {}", lead.id), text)) } else { None };
        grounds.into_iter().filter_map(query)
    };
    let kept = bookmarks::list(decisions).into_iter().map(of_bookmark);
    for (why, text) in kept.chain(leads::leads(decisions).into_iter().flat_map(of_lead)) {
        let mut question = engine.compile(&text)?;
        if question.window.start > Time::MIN {
            out.push(Pin { window: question.window, why });
            continue;
        }
        question.stages.clear();
        // One pin a day of what it has.
        let mut days: BTreeMap<i32, Window> = BTreeMap::new();
        engine.visit(&question, &[], cancel, &mut |record| {
            let (start, end) = (record.time(), record.until());
            let day = days.entry(start.day()).or_insert(Window::new(start, end.plus(1)));
            *day = Window::new(day.start.min(start), day.end.max(end.plus(1)));
            true
        })?;
        out.extend(days.into_values().map(|window| Pin { window, why: why.clone() }));
    }
    for decision in standing(decisions) {
        let (about, what) = match &decision.what {
            What::Note { about, .. } => (about, "note"),
            What::Tag { about, .. } => (about, "tag"),
            What::Verdict { about, .. } => (about, "verdict"),
            _ => continue,
        };
        let About::Records(ids) = about else { continue };
        for id in ids.iter().filter_map(|id| id.parse::<RecordId>().ok()) {
            if let Some(record) = engine.record(id)? {
                let window = Window::new(record.time(), record.until().plus(1));
                out.push(Pin { window, why: format!("{what} {}", decision.sequence) });
            }
        }
    }
    Ok(out)
}
