//! The report as Markdown.

use super::{Kept, Report};
use crate::case::leads::Told;
use crate::case::notes;
use crate::model::harmless::is_hidden;
use crate::model::time::show_span;
use crate::model::{Record, summary};
use crate::query::Engine;
use std::fmt::Write;

/// The whole report. Text from the evidence is escaped, so that it cannot pass for the report's own.
pub fn write(report: &Report, engine: &dyn Engine) -> String {
    let mut out = String::new();
    let _ = write!(out, "# Case {}\n\n", escape(&report.name));
    match report.span {
        Some(w) => {
            let _ = write!(out, "Records from {} to {} (UTC, clocks as corrected below).\n\n", w.start, w.last());
        }
        None => out.push_str("The case has no records.\n\n"),
    }
    home(report, &mut out);
    leads(report, &mut out);
    judged(report, &mut out);
    verdicts(report, &mut out);
    sets(report, &mut out);
    findings(report, engine, &mut out);
    bookmarks(report, engine, &mut out);
    notes_and_tags(report, &mut out);
    trail(report, &mut out);
    coverage(report, &mut out);
    sources(report, &mut out);
    evidence(report, &mut out);
    out
}

/// Makes text safe in a Markdown table or paragraph.
pub(in crate::case) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if deceives(c) => {
                let _ = write!(out, "\\\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// What drives a terminal or deceives a reader.
fn deceives(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// Markdown that somebody wrote: as it is, but for what deceives.
pub(in crate::case) fn written(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\n  "),
            '\t' => out.push(c),
            c if deceives(c) => {
                let _ = write!(out, "\\\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

pub(in crate::case) fn code(text: &str) -> String {
    let inner: String = text.chars().filter(|c| !deceives(*c)).collect();
    // A run of backticks in the text needs a longer fence, and room at both ends, which readers take off again.
    let run = inner.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let (fence, room) = ("`".repeat(run + 1), if run > 0 { " " } else { "" });
    format!("{fence}{room}{}{room}{fence}", inner.replace('|', "\\|"))
}

pub(in crate::case) fn table(out: &mut String, header: &[&str], rows: &[Vec<String>]) {
    let _ = write!(out, "| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

/// What a row that is left out is called: a word, or the condition that leaves it out.
fn left_out_by(what: &str) -> String {
    if what.contains(' ') { format!("by {}", code(what)) } else { what.to_owned() }
}

fn home(report: &Report, out: &mut String) {
    out.push_str("## Home networks\n\n");
    let nets: Vec<String> = report.home.iter().map(|n| code(n)).collect();
    let _ = write!(out, "What is called in, out, internal and external goes by these: {}.\n\n", nets.join(", "));
    if report.home_guessed {
        out.push_str("Nobody has confirmed them. They are the private ranges and what the evidence suggests:\n\n");
        for why in report.sites.guessed.iter().flat_map(|s| &s.why) {
            let _ = writeln!(out, "- {}", escape(why));
        }
        out.push('\n');
        return;
    }
    let cells = |s: &crate::model::site::Site| {
        let networks: Vec<String> = s.networks.iter().map(|n| code(&n.to_string())).collect();
        let zone = s.zone.as_deref().map_or_else(String::new, escape);
        vec![escape(&s.name), networks.join(" "), zone, s.by.as_deref().map_or_else(String::new, escape)]
    };
    let rows: Vec<_> = report.sites.confirmed.iter().map(cells).collect();
    if rows.is_empty() {
        out.push_str("They are the members of the set `@home`.\n\n");
        return;
    }
    table(out, &["site", "networks", "zone", "confirmed by"], &rows);
}

/// Open questions and hypotheses, open ones first: what bears on them, what comes next, how they ended.
fn leads(report: &Report, out: &mut String) {
    if report.leads.is_empty() {
        return;
    }
    out.push_str("## Leads\n\n");
    for told in &report.leads {
        lead(told, out);
    }
}

/// One lead as a part of its own.
pub(in crate::case) fn lead(told: &Told, out: &mut String) {
    let l = &told.lead;
    let _ = write!(out, "### {}. {}\n\n", l.id, escape(&l.text));
    let _ = write!(out, "- {} {}", l.state.name(), l.kind());
    if !l.reason.is_empty() {
        let _ = write!(out, ": {}", escape(&l.reason));
    }
    let (at, by) = &l.changed;
    let _ = writeln!(out, " (opened by {} at {}, last changed by {} at {at})", escape(&l.who), l.at, escape(by));
    for (word, list) in [("supported by", &told.supports), ("contradicted by", &told.contradicts)] {
        for bears in list {
            let rows = bears.rows.map(|n| format!(" ({n} rows now)")).unwrap_or_default();
            let _ = writeln!(out, "- {word} {}{rows}", code(&bears.words));
        }
    }
    if told.supports.is_empty() && told.contradicts.is_empty() {
        out.push_str("- nothing bears on it yet\n");
    }
    for (word, text) in [("next", &l.next), ("owner", &l.owner)] {
        if !text.is_empty() {
            let _ = writeln!(out, "- {word}: {}", escape(text));
        }
    }
    out.push('\n');
}

fn judged(report: &Report, out: &mut String) {
    let j = &report.judged;
    if report.verdicts.is_empty() && j.allowed == 0 {
        return;
    }
    let [benign, suspicious, malicious] = j.judged;
    let _ = write!(
        out,
        "## What was put away\n\nOf {} alerts {benign} are judged benign, {suspicious} suspicious, {malicious} malicious; {} are left. \
         {} records of any kind are allowed (`@allow`). Numbers below count them too, unless it says otherwise.\n\n",
        j.alerts,
        j.left(),
        j.allowed
    );
}

fn verdicts(report: &Report, out: &mut String) {
    if report.verdicts.is_empty() {
        return;
    }
    out.push_str("## Verdicts\n\n");
    let rows: Vec<_> = report
        .verdicts
        .iter()
        .map(|v| {
            vec![
                v.judgement.name().into(),
                code(&notes::subject(&v.about)),
                escape(&v.reason),
                escape(&v.who),
                v.at.rfc3339(),
                until(v.expires),
            ]
        })
        .collect();
    table(out, &["verdict", "on", "why", "who", "when", "until"], &rows);
}

fn until(expires: Option<crate::model::Time>) -> String {
    expires.map_or_else(String::new, |t| t.rfc3339())
}

fn sets(report: &Report, out: &mut String) {
    if report.sets.is_empty() {
        return;
    }
    out.push_str("## Sets\n\n");
    let entries = report.sets.iter().flat_map(|set| set.entries.iter().map(move |e| (set, e)));
    let rows: Vec<_> = entries
        .map(|(set, e)| {
            let name = format!("@{}", escape(&set.name));
            vec![name, code(&e.text), escape(&e.reason), escape(&e.who), e.at.rfc3339(), until(e.expires)]
        })
        .collect();
    table(out, &["set", "entry", "why", "who", "when", "until"], &rows);
}

/// What the detectors found: the claim, what it rests on, what speaks for it, what else it could be.
fn findings(report: &Report, engine: &dyn Engine, out: &mut String) {
    if report.findings.is_empty() {
        return;
    }
    out.push_str("## Findings\n\nFound by rules; an analyst has to confirm them. What ranks first is on top.\n\n");
    for f in &report.findings {
        let _ = write!(out, "### {}\n\n", escape(&f.title));
        let judged = f.verdict.as_deref().map_or_else(|| "not judged yet".to_owned(), |v| format!("judged {v}"));
        let sources: Vec<String> = f.sources.iter().map(|s| escape(&engine.source_name(*s))).collect();
        let _ = writeln!(
            out,
            "- {} to {}, {}, found by {}, {judged}",
            f.window.start,
            f.window.last(),
            f.severity_name(),
            code(&f.detector)
        );
        for n in &f.numbers {
            let limit = if n.limit.is_empty() { String::new() } else { format!(" (threshold {})", escape(&n.limit)) };
            let _ = writeln!(out, "- {}: {}{limit}", escape(&n.name), escape(&n.value));
        }
        for s in &f.support {
            let _ = writeln!(out, "- also said by {}: {}", escape(&s.by), escape(&s.text));
        }
        for (word, list) in [("less sure", &f.caveats), ("could be harmless", &f.benign), ("may be ATT&CK", &f.techniques)] {
            if !list.is_empty() {
                let list: Vec<String> = list.iter().map(|t| escape(t)).collect();
                let _ = writeln!(out, "- {word}: {}", list.join("; "));
            }
        }
        let from = if sources.is_empty() { String::new() } else { format!(" of {}", sources.join(", ")) };
        let _ = writeln!(out, "- {} records{from}: {}", f.rows, code(&f.query));
        for id in &f.evidence {
            let _ = writeln!(out, "- evidence {} in {}", code(&id.to_string()), code(&report.evidence_path(id.evidence)));
        }
        out.push('\n');
    }
    if report.more_findings > 0 {
        let _ = write!(out, "{} more rank below these: `backtrail findings`.\n\n", report.more_findings);
    }
}

fn bookmarks(report: &Report, engine: &dyn Engine, out: &mut String) {
    for Kept { bookmark, rows, count, new, left_out, failed } in &report.bookmarks {
        let _ = write!(out, "## {}. {}\n\n", bookmark.id, escape(&bookmark.title));
        let _ = write!(
            out,
            "Asked: {}. Kept by {} at {} with {} rows",
            code(&bookmark.query),
            escape(&bookmark.who),
            bookmark.at,
            bookmark.rows
        );
        match failed {
            Some(why) => {
                let _ = write!(out, "; it can no longer be asked: {}.\n\n", escape(why));
                continue;
            }
            None => {
                let _ = write!(out, "; {count} now, {new} of them new.\n\n");
                let away: Vec<String> = left_out.iter().map(|(what, n)| format!("{n} {}", left_out_by(what))).collect();
                if !away.is_empty() {
                    let _ = write!(out, "Left out by this question: {}.\n\n", away.join(", "));
                }
            }
        }
        if rows.is_empty() {
            continue;
        }
        let rows: Vec<_> = rows.iter().map(|r| row(r, engine)).collect();
        table(out, &["time (UTC)", "source", "kind", "what", "evidence"], &rows);
        if *count > rows.len() as u64 {
            let _ = write!(out, "The first {} of {count} rows.\n\n", rows.len());
        }
    }
}

fn row(record: &Record, engine: &dyn Engine) -> Vec<String> {
    let mark = if record.shift != 0 { "~" } else { "" };
    vec![
        format!("{}{mark}", record.time()),
        escape(&engine.source_name(record.source)),
        record.kind.name().into(),
        escape(&summary::line(record)),
        format!("{}:{}+{}", record.id.evidence, record.id.offset, record.len),
    ]
}

/// The notes of a report below a heading, if there are any.
pub fn notes_below(heading: &str, report: &Report, out: &mut String) {
    if !report.notes.is_empty() {
        let _ = write!(out, "{heading}\n\n");
        for note in &report.notes {
            let _ = writeln!(
                out,
                "- {} ({}, {}): {}",
                code(&notes::subject(&note.about)),
                escape(&note.who),
                note.at,
                written(&note.text)
            );
        }
        out.push('\n');
    }
}

fn notes_and_tags(report: &Report, out: &mut String) {
    notes_below("## Notes", report, out);
    if !report.tags.is_empty() {
        out.push_str("## Tags\n\n");
        let rows: Vec<_> = report
            .tags
            .iter()
            .map(|t| vec![escape(&t.tag), code(&notes::subject(&t.about)), escape(&t.who), t.at.rfc3339()])
            .collect();
        table(out, &["tag", "on", "who", "when"], &rows);
    }
}

fn trail(report: &Report, out: &mut String) {
    if report.trail.is_empty() {
        return;
    }
    out.push_str("## Trail\n\n");
    for node in &report.trail {
        let indent = "  ".repeat(node.depth);
        let _ = write!(out, "{indent}- {} {}, {} rows", escape(&node.label), code(&node.query), node.rows);
        if !node.window.is_empty() {
            let _ = write!(out, ", window {}", escape(&node.window));
        }
        let away: Vec<String> = crate::query::leaving_out(&node.query).iter().map(|c| code(c)).collect();
        if !away.is_empty() {
            let _ = write!(out, ", less what {} leaves out", away.join(" and "));
        }
        let _ = writeln!(out, " ({}, {})", escape(&node.who), node.at);
    }
    out.push('\n');
}

fn coverage(report: &Report, out: &mut String) {
    let checked = report.coverage.iter().filter(|c| c.clock_checked).count();
    let _ = write!(
        out,
        "## Coverage\n\n{} sources cover the span or a part of it; the clocks of {checked} are stated by their text or were set by hand. \
         What no source covers is unknown, not absent.\n\n",
        report.coverage.iter().filter(|c| c.covers.is_some()).count(),
    );
}

fn sources(report: &Report, out: &mut String) {
    out.push_str("## Sources\n\n");
    let rows: Vec<_> = report
        .sources
        .iter()
        .map(|s| {
            let time = |t: Option<crate::model::Time>| t.map(|t| t.plus(s.clock.shift).rfc3339()).unwrap_or_default();
            let shift = if s.clock.shift == 0 { "as stated".into() } else { format!("{} added", show_span(s.clock.shift)) };
            vec![
                escape(&s.name),
                s.key.format.clone(),
                s.counts.records.to_string(),
                s.counts.failed.to_string(),
                time(s.span.map(|w| w.start)),
                time(s.span.map(|w| w.last())),
                s.clock.zone.clone().unwrap_or_default(),
                shift,
                s.site.as_deref().map_or_else(String::new, escape),
                escape(&s.warnings.join("; ")),
            ]
        })
        .collect();
    table(out, &["source", "format", "records", "failed", "from", "to", "zone", "clock", "site", "notes"], &rows);
}

fn evidence(report: &Report, out: &mut String) {
    out.push_str("## Evidence\n\n");
    let rows: Vec<_> = report
        .evidence
        .iter()
        .map(|e| {
            let [from, how, ticket] = &e.custody;
            vec![
                code(&e.path),
                e.key.to_string(),
                e.size.to_string(),
                e.sha256.clone(),
                if e.is_unread() { format!("not read: {}", escape(&e.warnings.join("; "))) } else { e.format.clone() },
                e.counts.records.to_string(),
                e.imported.rfc3339(),
                escape(from),
                escape(how),
                escape(ticket),
            ]
        })
        .collect();
    table(out, &["file", "key", "bytes", "SHA-256", "format", "records", "imported", "from", "how", "ticket"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_of_backticks_ends_the_code_that_it_stands_in() {
        assert_eq!(code("host 10.0.0.5"), "`host 10.0.0.5`");
        assert_eq!(code("a``b | c`"), "``` a``b \\| c` ```");
    }

    #[test]
    fn nothing_that_deceives_a_reader_or_drives_a_terminal_is_left() {
        let evil = "a\u{1b}[2Jb\u{202e}c\u{9b}d|";
        assert_eq!(escape(evil), "a\\\\u{1b}\\[2Jb\\\\u{202e}c\\\\u{9b}d\\|");
        assert_eq!(code(evil), "`a[2Jbcd\\|`");
        assert_eq!(written("*see*\u{1b}[0m\n1. x"), "*see*\\\\u{1b}[0m\n  1. x");
    }
}
