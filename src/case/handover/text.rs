//! `handover.md` and `lines.txt`: the bundle for people. Text from the evidence is escaped, so that it cannot pass for the bundle's own.

use super::cited::{Place, Statement};
use super::covered::LEAST;
use super::{Handover, JOURNAL, LINES, MANIFEST, UNJUDGED};
use crate::case::leads::Told;
use crate::case::replay::in_words;
use crate::case::report::markdown::{self, code, escape, lead, table};
use crate::model::decision::{Decision, LeadState, What, standing};
use crate::model::harmless::{clean, clean_lines};
use crate::model::time::show_span;
use crate::model::{Time, summary};
use std::fmt::Write;

/// Digits of a hash that stand beside a citation; the table of evidence has all of it.
const SHORT: usize = 16;

/// Files, hashes and addresses that one line names.
const NAMED: usize = 8;
/// Lines of what was done.
const DONE: usize = 200;

/// The whole text.
pub(super) fn write(h: &Handover) -> String {
    let mut out = String::new();
    head(h, &mut out);
    asked(h, &mut out);
    proven(h, &mut out);
    not_covered(h, &mut out);
    open(h, &mut out);
    done(h, &mut out);
    evidence(h, &mut out);
    out
}

fn head(h: &Handover, out: &mut String) {
    let _ = write!(out, "# Handover of case {}\n\n", escape(&h.report.name));
    match h.report.span {
        Some(w) => {
            let _ = write!(out, "Records from {} to {} (UTC, clocks as corrected in report.md).", w.start, w.last());
        }
        None => out.push_str("The case has no records."),
    }
    let open = h.report.leads.iter().filter(|t| t.lead.is_open()).count();
    let _ = write!(out, " Statements: {}. Cited records: {}. Open leads: {open}.\n\n", h.statements.len(), h.cites.len());
    let _ = write!(
        out,
        "`sha256sum -c {MANIFEST}`, run in this folder, checks every file of it. Made by backtrail {}.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    out.push_str("- `handover.md`: this text\n- `report.md`, `report.json`: the report of the case\n");
    out.push_str(
        "- `lines.txt`, `lines.jsonl`: every cited record with its source, file, offset, and the bytes where it is a line\n",
    );
    if !h.redacted {
        out.push_str("- `lines/`: the bytes of the cited lines, a file for each evidence file\n");
        let _ = writeln!(
            out,
            "- `packets/`: {} packets of {} of the {} cited flows, a file for each capture",
            h.packets.packets,
            h.packets.with.len(),
            h.packets.flows
        );
        if h.journal.without.is_none() {
            let _ = writeln!(
                out,
                "- `{JOURNAL}`: what people entered, as it is in the case, with paths and people: {} decisions, the last with hash {}",
                h.journal.lines,
                code(&h.journal.last)
            );
        }
    }
    out.push_str(
        "\nOffsets and lengths count bytes of the uncompressed file (of UTF-16 text those of the same text in UTF-8). Each line of the journal is \
         a CRC-32C of its rest, the SHA-256 of the hash of the line before (32 zero bytes at the start) and the JSON, then the JSON.\n\n",
    );
    let l = h.limits;
    let _ = write!(
        out,
        "Bounds: at most {} records are cited for a statement, the first by time; a line has at most {} bytes, all of them {}; packets are at most \
         {}; of the trail the newest steps were asked again.\n\n",
        l.rows, l.line, l.lines, l.packets
    );
    if !h.notes.is_empty() {
        out.push_str("Left out:\n\n");
        h.notes.iter().for_each(|note| {
            let _ = writeln!(out, "- {}", escape(note));
        });
        out.push('\n');
    }
}

fn asked(h: &Handover, out: &mut String) {
    out.push_str("## What was asked\n\n");
    if h.report.bookmarks.is_empty() && h.steps.is_empty() {
        out.push_str("Nothing was kept, and no trail was walked.\n\n");
    }
    if !h.report.bookmarks.is_empty() {
        out.push_str("### Bookmarks\n\n");
        let row = |k: &crate::case::report::Kept| {
            let b = &k.bookmark;
            let now = k.failed.as_ref().map_or_else(|| k.count.to_string(), |why| format!("cannot be asked: {}", escape(why)));
            vec![
                b.id.to_string(),
                escape(&b.title),
                code(&b.query),
                b.rows.to_string(),
                now,
                k.new.to_string(),
                escape(&b.who),
                b.at.rfc3339(),
            ]
        };
        let rows: Vec<_> = h.report.bookmarks.iter().map(row).collect();
        table(out, &["#", "title", "question", "rows then", "rows now", "came since", "kept by", "when"], &rows);
    }
    if h.steps.is_empty() {
        return;
    }
    out.push_str("### Trail\n\n");
    if h.steps_in_all > h.steps.len() {
        let _ = write!(out, "The newest {} of {} steps; report.md has all.\n\n", h.steps.len(), h.steps_in_all);
    }
    for (node, now) in &h.steps {
        let indent = "  ".repeat(node.depth.min(12));
        let _ = write!(out, "{indent}- {} {}, {} rows", escape(&node.label), code(&node.query), node.rows);
        let change = in_words(node, now, &|t: Time| t.rfc3339());
        if !change.is_empty() {
            let _ = write!(out, "; asked again: {}", escape(&change));
        }
        if !node.window.is_empty() {
            let _ = write!(out, "; window {}", escape(&node.window));
        }
        let _ = writeln!(out, " ({}, {})", escape(&node.who), node.at);
    }
    out.push('\n');
}

fn proven(h: &Handover, out: &mut String) {
    out.push_str("## What is proven\n\n");
    let answered: Vec<&Told> = h.report.leads.iter().filter(|t| t.lead.state == LeadState::Answered).collect();
    if h.statements.is_empty() && answered.is_empty() {
        out.push_str("Nothing: nobody judged, kept or answered anything.\n\n");
    }
    for statement in &h.statements {
        one(h, statement, out);
    }
    if !answered.is_empty() {
        out.push_str("### Leads that were answered\n\n");
        answered.into_iter().for_each(|told| part(told, out));
    }
}

/// A lead as a part of a part.
fn part(told: &Told, out: &mut String) {
    out.push('#');
    lead(told, out);
}

fn one(h: &Handover, s: &Statement, out: &mut String) {
    let _ = write!(out, "### {}: {}\n\n", s.label, escape(&s.head));
    let said: Vec<String> = s.said.iter().map(|t| escape(t)).collect();
    let _ = write!(out, "{}\n\n", said.join(" "));
    if let Some(query) = &s.query {
        let _ = write!(out, "Question: {}.", code(query));
        if let Some(rows) = s.rows {
            let _ = write!(out, " It has {rows} records now.");
        }
        out.push_str("\n\n");
    }
    if let Some(why) = &s.failed {
        let _ = write!(out, "It can no longer be asked: {}.\n\n", escape(why));
    }
    if s.cited.is_empty() {
        out.push_str("No record is cited.\n\n");
        return;
    }
    let row = |number: &usize| {
        let c = h.cites.get(*number)?;
        let r = &c.record;
        let (name, sha256) = h.cites.file(r.id.evidence);
        let at = if r.shift != 0 { "~" } else { "" };
        let bytes = match &c.place {
            Place::Line(_, Some((file, at))) => format!("{} at {at}", code(file)),
            Place::Line(_, None) => code(LINES),
            Place::Packets => "its packets".into(),
            Place::Without(_) | Place::Open => "not here".into(),
        };
        let flow = c.flow.filter(|id| h.packets.with.contains(id)).and_then(|id| h.packets.files.get(&id.evidence));
        let packets = flow.map_or_else(String::new, |file| code(file));
        Some(vec![
            number.to_string(),
            format!("{}{at}", r.time()),
            escape(&h.engine.source_name(r.source)),
            r.kind.name().into(),
            escape(&summary::line(r)),
            escape(&name),
            sha256.get(..SHORT).unwrap_or("not hashed").into(),
            format!("{}+{}", r.id.offset, r.len),
            bytes,
            packets,
        ])
    };
    let rows: Vec<_> = s.cited.iter().filter_map(row).collect();
    let head = ["#", "time (UTC)", "source", "kind", "what", "evidence", "SHA-256", "offset+length", "bytes", "packets"];
    table(out, &head, &rows);
    if let Some(all) = s.rows.filter(|all| *all > rows.len() as u64) {
        let _ = write!(out, "{} of {all} records are cited.\n\n", rows.len());
    }
}

fn not_covered(h: &Handover, out: &mut String) {
    out.push_str("## What was not covered\n\nWhat no source covers is unknown, not absent.\n\n");
    if h.covered.kinds.is_empty() {
        let _ = write!(
            out,
            "Every kind of record that is asked for has a source for all of the window (parts below {LEAST} % of it aside).\n\n"
        );
    } else {
        for (name, missing, would) in &h.covered.kinds {
            let _ = writeln!(out, "- {name}: {missing}; {would} would tell");
        }
        out.push('\n');
    }
    for (label, window, by, part, not) in &h.covered.windows {
        let names = |list: &[String]| list.iter().map(|n| escape(n)).collect::<Vec<_>>().join(", ");
        let _ = write!(
            out,
            "- {label}, {} to {}: covered by {}",
            window.start,
            window.end,
            if by.is_empty() { "none".into() } else { names(by) }
        );
        for (word, list) in [("in part by", part), ("not by", not)] {
            if !list.is_empty() {
                let _ = write!(out, "; {word} {}", names(list));
            }
        }
        out.push('\n');
    }
    if !h.covered.windows.is_empty() {
        out.push('\n');
    }
    sources(h, out);
    files(h, out);
    let judged = &h.report.judged;
    if judged.allowed > 0 || judged.judged[0] > 0 {
        let _ = write!(
            out,
            "{} records are allowed by sets and {} alerts were judged benign: they were looked at less.\n\n",
            judged.allowed, judged.judged[0]
        );
    }
}

fn sources(h: &Handover, out: &mut String) {
    let row = |s: &crate::model::source::SourceInfo| {
        let time = |t: Option<Time>| t.map(|t| t.plus(s.clock.shift).rfc3339()).unwrap_or_default();
        let clock = match (s.is_checked(), s.clock.shift) {
            (false, _) => "not checked".to_owned(),
            (true, 0) => "as stated".to_owned(),
            (true, shift) => format!("{} added", show_span(shift)),
        };
        let pruned = h.report.coverage.iter().find(|c| c.source == s.id).and_then(|c| c.pruned.clone());
        let said: Vec<String> = s.warnings.iter().cloned().chain(pruned).map(|t| escape(&t)).collect();
        let c = &s.counts;
        let (from, to) = (time(s.span.map(|w| w.start)), time(s.span.map(|w| w.last())));
        let counts = [c.records, c.partial, c.skipped, c.failed, c.oddities].map(|n| n.to_string());
        [vec![escape(&s.name), s.key.format.clone(), from, to, clock], counts.to_vec(), vec![said.join("; ")]].concat()
    };
    let rows: Vec<_> = h.report.sources.iter().map(row).collect();
    if !rows.is_empty() {
        let head = ["source", "format", "from", "to", "clock", "records", "in part", "skipped", "failed", "oddities", "to know"];
        table(out, &head, &rows);
    }
}

fn files(h: &Handover, out: &mut String) {
    let mut said = Vec::new();
    for file in &h.report.evidence {
        let what = if file.is_unread() { "was not read" } else { "" };
        if file.is_unread() || !file.warnings.is_empty() {
            let warnings: Vec<String> = file.warnings.iter().map(|w| escape(w)).collect();
            let between = if what.is_empty() { "" } else { ": " };
            said.push(format!("- {} {what}{between}{}\n", code(&file.path), warnings.join("; ")));
        }
    }
    if !said.is_empty() {
        let _ = write!(out, "Of the files:\n\n{}\n", said.concat());
    }
}

fn open(h: &Handover, out: &mut String) {
    out.push_str("## What is open\n\n### Leads\n\n");
    let mut none = true;
    for told in h.report.leads.iter().filter(|t| t.lead.state != LeadState::Answered) {
        none = false;
        part(told, out);
    }
    if none {
        out.push_str("None is open.\n\n");
    }
    let left = h.report.judged.left();
    let _ = write!(
        out,
        "### Not judged\n\n{left} of {} alerts were not judged: {}.\n\n",
        h.report.judged.alerts,
        code("kind in {alert, notice} and not exists verdict")
    );
    if !h.unjudged.is_empty() {
        let more = if h.unjudged_more > 0 {
            format!(", the first {UNJUDGED} of {}", h.unjudged.len() + h.unjudged_more)
        } else {
            String::new()
        };
        let _ = write!(out, "Findings that nobody judged{more}:\n\n");
        for f in &h.unjudged {
            let _ = writeln!(out, "- {} ({}, {}): {}", escape(&f.title), f.detector, f.severity_name(), code(&f.query));
        }
        out.push('\n');
    }
    if !h.undecided.is_empty() {
        out.push_str("### Needs a decision\n\n");
        for (what, because) in &h.undecided {
            let _ = writeln!(out, "- {}: {}", escape(&h.cites.off(what)), escape(&h.cites.off(because)));
        }
        out.push('\n');
    }
    markdown::notes_below("### Notes", h.report, out);
}

/// What came in, left, was dropped or put on a list: a line a decision, the newest of very many.
fn done(h: &Handover, out: &mut String) {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let names = |list: &[String]| list.iter().take(NAMED).map(|p| name(p)).collect::<Vec<_>>().join(", ");
    let beyond = |n: usize| if n > NAMED { format!(" and {} more", n - NAMED) } else { String::new() };
    let line = |d: &Decision| {
        let what = match &d.what {
            What::Import { paths, from, how, ticket } => {
                let custody: Vec<&str> = [from, how, ticket].into_iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
                let custody = if custody.is_empty() { String::new() } else { format!(" ({})", custody.join("; ")) };
                format!("imported {}{}{custody}", names(paths), beyond(paths.len()))
            }
            What::Export { what, path, sha256 } => format!("wrote {what} to {}, SHA-256 {sha256}", name(path)),
            What::Extract { files, path, .. } => {
                let hashes: Vec<String> = files.iter().take(NAMED).map(|f| f.sha256.clone()).collect();
                format!("rebuilt {} files into {}: SHA-256 {}{}", files.len(), name(path), hashes.join(", "), beyond(files.len()))
            }
            What::Prune { why, days, bytes } => format!("dropped {} days, about {bytes} bytes: {why}", days.len()),
            What::Block { asked, entries } => {
                let addrs: Vec<&str> = entries.iter().take(NAMED).map(|e| e.addr.as_str()).collect();
                format!("put on a list to be blocked, for {asked}: {}{}", addrs.join(", "), beyond(entries.len()))
            }
            _ => return None,
        };
        Some(format!("- {} {}: {}\n", Time(d.at), escape(&d.who.name), escape(&h.cites.off(&what))))
    };
    let all: Vec<String> = standing(h.decisions).filter_map(line).collect();
    if all.is_empty() {
        return;
    }
    let from = all.len().saturating_sub(DONE);
    out.push_str("## What was done\n\n");
    if from > 0 {
        let _ = write!(out, "The newest {DONE} of {}; the journal has all.\n\n", all.len());
    }
    let _ = writeln!(out, "{}", all.get(from..).unwrap_or_default().concat());
}

fn evidence(h: &Handover, out: &mut String) {
    out.push_str("## Evidence\n\n");
    let row = |e: &crate::model::evidence::EvidenceInfo| {
        let [from, how, ticket] = &e.custody;
        vec![
            escape(&e.path),
            e.key.to_string(),
            e.size.to_string(),
            if e.sha256.is_empty() { "not hashed: it is large, or was a stream".into() } else { e.sha256.clone() },
            e.compression.clone(),
            e.imported.rfc3339(),
            escape(from),
            escape(how),
            escape(ticket),
        ]
    };
    let rows: Vec<_> = h.report.evidence.iter().map(row).collect();
    table(out, &["file", "key", "bytes", "SHA-256", "compressed", "imported", "from", "how", "ticket"], &rows);
}

/// `lines.txt`: every cited record, its line as it can be read without harm.
pub(super) fn lines(h: &Handover) -> String {
    let mut out = String::new();
    for (at, c) in h.cites.list().iter().enumerate() {
        let r = &c.record;
        let (name, sha256) = h.cites.file(r.id.evidence);
        let sha256 = if sha256.is_empty() { "not hashed" } else { &sha256 };
        let _ = writeln!(out, "[{}] {} {} {}", at + 1, r.time(), h.engine.source_name(r.source), clean(&summary::line(r)));
        let _ = writeln!(out, "    cited by {}", c.by.join(", "));
        let _ = writeln!(out, "    {} SHA-256 {sha256} offset {} length {} record {}", clean(&name), r.id.offset, r.len, r.id);
        if let Some(flow) = c.flow.filter(|f| *f != r.id) {
            let _ = writeln!(out, "    flow {flow}");
        }
        match &c.place {
            Place::Line(bytes, place) => {
                if let Some((file, at)) = place {
                    let _ = writeln!(out, "    {file} at {at}");
                }
                match std::str::from_utf8(bytes) {
                    Ok(text) => text.lines().for_each(|line| {
                        let _ = writeln!(out, "    | {}", clean_lines(line));
                    }),
                    Err(_) => {
                        let _ = writeln!(out, "    | {} bytes that are no text", bytes.len());
                    }
                }
            }
            Place::Packets => {
                match c.flow.filter(|id| h.packets.with.contains(id)).and_then(|id| h.packets.files.get(&id.evidence)) {
                    Some(file) => {
                        let _ = writeln!(out, "    {file}");
                    }
                    None => out.push_str("    its packets are not here\n"),
                }
            }
            Place::Without(why) => {
                let _ = writeln!(out, "    {}", clean(why));
            }
            Place::Open => {}
        }
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("No record is cited.\n");
    }
    out
}
