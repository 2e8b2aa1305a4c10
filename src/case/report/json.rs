//! The report as one JSON object.

use super::Report;
use crate::case::leads::{self, Bears, Told};
use crate::case::{findings, notes};
use crate::model::summary;
use crate::query::Engine;
use serde_json::{Value, json};

/// A lead, `backtrail.lead/1`.
pub fn lead(told: &Told) -> Value {
    let bears = |list: &[Bears]| {
        let one = |b: &Bears| json!({"ground": leads::typed(&b.ground), "text": b.words, "rows.now": b.rows});
        list.iter().map(one).collect::<Vec<_>>()
    };
    let (l, (changed, by)) = (&told.lead, &told.lead.changed);
    json!({
        "schema": "backtrail.lead/1", "id": l.id, "kind": l.kind(), "text": l.text, "state": l.state.name(), "reason": l.reason,
        "supports": bears(&told.supports), "contradicts": bears(&told.contradicts), "next": l.next, "owner": l.owner,
        "at": l.at.rfc3339(), "who": l.who, "changed": changed.rfc3339(), "changed.by": by,
    })
}

/// The whole report.
pub fn write(report: &Report, engine: &dyn Engine) -> Value {
    let bookmarks: Vec<Value> = report
        .bookmarks
        .iter()
        .map(|k| {
            let rows: Vec<Value> = k
                .rows
                .iter()
                .map(|r| {
                    json!({
                        "id": r.id.to_string(), "start": r.time().rfc3339(), "start.raw": r.start.rfc3339(), "kind": r.kind.name(),
                        "source": engine.source_name(r.source), "what": summary::line(r),
                        "evidence": r.id.evidence.to_string(), "offset": r.id.offset, "length": r.len,
                    })
                })
                .collect();
            // The two that a key puts away are always there.
            let mut left_out = json!({"allowed": 0, "benign": 0});
            k.left_out.iter().for_each(|(what, n)| left_out[what] = json!(n));
            json!({
                "schema": "backtrail.bookmark/1", "id": k.bookmark.id, "title": k.bookmark.title, "query": k.bookmark.query,
                "rows": k.bookmark.rows, "rows.now": k.count, "new": k.new, "at": k.bookmark.at.rfc3339(), "who": k.bookmark.who,
                "first": rows, "failed": k.failed, "left_out": left_out,
            })
        })
        .collect();
    let note = |n: &notes::Note| json!({"schema": "backtrail.note/1", "id": n.id, "about": notes::subject(&n.about), "text": n.text, "at": n.at.rfc3339(), "who": n.who});
    let tag = |t: &notes::Tag| json!({"tag": t.tag, "about": notes::subject(&t.about), "at": t.at.rfc3339(), "who": t.who});
    let verdict = |v: &crate::case::verdicts::Verdict| json!({"schema": "backtrail.verdict/1", "id": v.id, "verdict": v.judgement.name(), "about": notes::subject(&v.about), "reason": v.reason, "at": v.at.rfc3339(), "who": v.who, "expires": v.expires.map(|t| t.rfc3339())});
    let set = |s: &crate::context::sets::Set| {
        let entry = |e: &crate::context::sets::Entry| json!({"entry": e.text, "kind": e.kind(), "reason": e.reason, "at": e.at.rfc3339(), "who": e.who, "expires": e.expires.map(|t| t.rfc3339())});
        json!({"schema": "backtrail.set/1", "set": s.name, "entries": s.entries.iter().map(entry).collect::<Vec<_>>()})
    };
    let node = |n: &crate::case::trail::Node| {
        json!({
            "schema": "backtrail.trail/1", "id": n.id, "parent": n.parent, "label": n.label, "query": n.query, "lens": n.lens,
            "focus": n.focus, "window": n.window, "rows": n.rows, "leaves_out": crate::query::leaving_out(&n.query), "at": n.at.rfc3339(), "who": n.who,
        })
    };
    let source = |s: &crate::model::source::SourceInfo| {
        json!({
            "schema": "backtrail.source/1", "source": s.name, "format": s.key.format, "records": s.counts.records,
            "failed": s.counts.failed, "site": s.site, "start": s.span.map(|w| w.start.plus(s.clock.shift).rfc3339()),
            "end": s.span.map(|w| w.last().plus(s.clock.shift).rfc3339()), "zone": s.clock.zone,
            "clock.shift": s.clock.shift as f64 / 1e9, "warnings": s.warnings,
        })
    };
    let site = |s: &crate::model::site::Site| {
        let networks: Vec<String> = s.networks.iter().map(ToString::to_string).collect();
        json!({"site": s.name, "networks": networks, "zone": s.zone, "confirmed": s.by.is_some(), "who": s.by, "why": s.why})
    };
    let [benign, suspicious, malicious] = report.judged.judged;
    let evidence = |e: &crate::query::engine::EvidenceInfo| {
        let [from, how, ticket] = &e.custody;
        json!({
            "schema": "backtrail.evidence/1", "path": e.path, "key": e.key.to_string(), "size": e.size, "sha256": e.sha256,
            "format": e.format, "records": e.counts.records, "imported": e.imported.rfc3339(), "from": from, "how": how, "ticket": ticket,
        })
    };
    json!({
        "schema": "backtrail.report/1",
        "case": report.name,
        "start": report.span.map(|w| w.start.rfc3339()),
        "end": report.span.map(|w| w.last().rfc3339()),
        "verdicts": report.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "alerts": {
            "all": report.judged.alerts, "benign": benign, "suspicious": suspicious, "malicious": malicious, "left": report.judged.left(),
        },
        "allowed": report.judged.allowed,
        "sites": report.sites.applied().iter().map(site).collect::<Vec<_>>(),
        "home": {"confirmed": !report.home_guessed, "networks": report.home},
        "sets": report.sets.iter().map(set).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(|f| findings::object(f, engine)).collect::<Vec<_>>(),
        "leads": report.leads.iter().map(lead).collect::<Vec<_>>(),
        "bookmarks": bookmarks,
        "notes": report.notes.iter().map(note).collect::<Vec<_>>(),
        "tags": report.tags.iter().map(tag).collect::<Vec<_>>(),
        "trail": report.trail.iter().map(node).collect::<Vec<_>>(),
        "sources": report.sources.iter().map(source).collect::<Vec<_>>(),
        "evidence": report.evidence.iter().map(evidence).collect::<Vec<_>>(),
    })
}
