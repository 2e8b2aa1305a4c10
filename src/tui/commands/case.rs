//! What one enters: bookmarks, marks by letter, notes, tags; and what one takes along: copies, exports.

use super::rows::value_here;
use super::{Command, command};
use crate::case::playbooks::Subject;
use crate::error::{Error, Result};
use crate::model::decision::{About, What};
use crate::model::{Record, field};
use crate::tui::app::{App, Part};
use crate::tui::focus;
use crate::tui::marked::Wanted;
use crate::tui::overlay::Overlay;
use crate::tui::panes::Pane;
use crate::tui::panes::playbook::Playbook;

/// The commands.
pub const TABLE: &[Command] = &[
    command("bookmark", "[TITLE]", "bookmark this question", bookmark),
    command("set_mark", "LETTER", "remember this place under a letter", set_mark),
    command("jump_mark", "LETTER", "jump to the place under a letter", jump_mark),
    command("note", "TEXT", "write a note on this row or value", note),
    command("tag", "TAG", "tag this row or value", tag),
    command("copy", "[value|row|query]", "copy to your own clipboard", |app, args| copy(app, args, false)),
    command("copy_defanged", "[value|row|query]", "copy, made harmless to click", |app, args| copy(app, args, true)),
    command(
        "export",
        "FILE.jsonl|.csv|.log",
        "write the marked rows, this list or this lens to a file",
        crate::tui::export::export,
    ),
    command(
        "extract",
        "DIR|FILE.zip",
        "rebuild the files of this flow or the marked rows from their packets",
        crate::tui::extract::extract,
    ),
    command(
        "open_with",
        "tshark|termshark|wireshark",
        "hand the packets of this flow or the marked rows to another program",
        crate::tui::handing::open_with,
    ),
    command(
        "copy_call",
        "[tshark|termshark|wireshark]",
        "cut the packets and copy how another program is called on them",
        crate::tui::handing::copy_call,
    ),
    command("ingest", "[FILE|FOLDER]", "take evidence in", crate::tui::files::ingest),
    command("report", "[FILE.html|.md|.json|.stix.json|.misp.json|.jsonl]", "write the report", crate::tui::files::report),
    command(
        "handover",
        "DIR|FILE.zip|FILE.tar",
        "a bundle for the next shift: what was asked, proven, not covered, open",
        crate::tui::handing_over::handover,
    ),
    command("playbook", "[NAME [HOST:PORT]]", "ask what is always asked: of an outage, an SQL injection", playbook),
];

fn playbook(app: &mut App, args: &str) -> Result<()> {
    let (name, on) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let selection = app.selection();
    let here = || app.walk.here().step.focus.entity().and_then(Subject::of_entity);
    let subject = match on.trim() {
        "" => {
            let row = selection.record.as_ref().and_then(Subject::of);
            let thing = || selection.entity.as_ref().and_then(Subject::of_entity);
            row.or_else(thing).or_else(here).map(|s| Subject { window: s.window.or(selection.window), ..s })
        }
        on => Some(Subject { window: selection.window, ..Subject::parse(on)? }),
    };
    let name = (!name.is_empty()).then(|| name.to_owned());
    app.open(Box::new(Playbook::new(name, subject)));
    Ok(())
}

fn bookmark(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        app.offer_bookmark();
        return Ok(());
    }
    let (query, of_rows) = asked(app)?;
    let node = app.walk.here();
    let what = What::Bookmark {
        title: args.to_owned(),
        query,
        lens: node.step.lens.to_owned(),
        focus: node.step.focus.to_text(),
        rows: of_rows.or(app.rows.known_total()).unwrap_or(node.rows),
        seen: app.engine.sequence(),
        node: node.sequence,
    };
    app.writer.append(what);
    let list = app.keymap.key_in("rows", "open_bookmarks");
    app.say(format!("bookmarked: {args} ({list} lists)"));
    Ok(())
}

/// The question that one looks at, and of marked rows how many they are.
pub(super) fn asked(app: &App) -> Result<(String, Option<u64>)> {
    let node = app.walk.here();
    let marked = app.marked_query()?;
    let of_rows = marked.is_some().then_some(app.marks.marked.len() as u64);
    let mut query = marked.unwrap_or_else(|| node.query(node.lens()));
    // It is of its window, absolute, whatever comes in later.
    if let Some(window) = node.step.window.filter(|_| of_rows.is_none()) {
        query = focus::both(&query, &format!("between {} and {}", window.start, window.end));
    }
    Ok((query, of_rows))
}

fn set_mark(app: &mut App, args: &str) -> Result<()> {
    let Some(letter) = args.chars().next() else {
        app.awaiting = Some("set_mark");
        app.say("mark this place with which letter?");
        return Ok(());
    };
    let place = app.rows.place();
    let id = app.walk.here().id;
    app.letters.insert(letter, (id, place));
    app.say(format!("this place is {letter}"));
    Ok(())
}

fn jump_mark(app: &mut App, args: &str) -> Result<()> {
    let Some(letter) = args.chars().next() else {
        app.awaiting = Some("jump_mark");
        let known: String = app.letters.keys().filter(|c| **c != '\'').collect();
        let known = if known.is_empty() { "none is set".to_owned() } else { format!("set: {known}") };
        app.say(format!("jump to which letter? ({known}; ' is where you were)"));
        return Ok(());
    };
    let Some((id, place)) = app.letters.get(&letter).copied() else {
        return Err(Error::user(format!("no place is marked {letter}")));
    };
    let Some(index) = app.walk.nodes().iter().position(|n| n.id == id) else {
        return Err(Error::user(format!("the place {letter} is no longer on the trail")));
    };
    let here = (app.walk.here().id, app.rows.place());
    app.letters.insert('\'', here);
    app.leave();
    app.walk.stand(index);
    app.walk.here_mut().set_place(place);
    app.enter();
    Ok(())
}

/// What a note, tag or verdict is about: the marked rows, else the value under the cursor, else the row, else the focus; and its name.
pub(super) fn about(app: &App) -> (About, String) {
    if !app.marks.marked.is_empty() {
        let n = app.marks.marked.len();
        return (About::records(app.marks.marked.iter().copied()), format!("{n} marked rows"));
    }
    let by_value = (app.part != Part::Rows || !app.rows.on_row()).then(|| value_here(app)).flatten();
    if let Some((id, value)) = by_value.filter(|(id, _)| field::get(*id).is_some_and(|f| f.entity.is_some())) {
        let ty = field::get(id).map_or(field::Type::Text, |f| f.ty);
        let shown = value.show(ty);
        return (About::Value(field::name(id), shown.clone()), shown);
    }
    if let Some(record) = app.selection().record {
        let name = format!("{} {}", record.kind, app.zone.clock(record.time()));
        return (About::records([record.id]), name);
    }
    match app.walk.here().step.focus.entity() {
        Some(entity) => (About::Value(field::name(entity.field), focus::show(entity)), focus::show(entity)),
        None => (About::Case, "the case".into()),
    }
}

fn note(app: &mut App, args: &str) -> Result<()> {
    let (about, name) = about(app);
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt(&format!("note on {name}"), "note", ""));
        return Ok(());
    }
    app.writer.append(What::Note { about, text: args.to_owned() });
    app.say(format!("noted on {name}"));
    Ok(())
}

fn tag(app: &mut App, args: &str) -> Result<()> {
    let (about, name) = about(app);
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt(&format!("tag {name}"), "tag", ""));
        return Ok(());
    }
    for tag in args.split([',', ' ']).filter(|t| !t.is_empty()) {
        app.writer.append(What::Tag { about: about.clone(), tag: tag.to_owned() });
    }
    app.say(format!("tagged {name}: {args}"));
    Ok(())
}

fn copy(app: &mut App, args: &str, defanged: bool) -> Result<()> {
    if matches!(args, "" | "row") && app.with_marked(Wanted::Copy(defanged))? {
        return Ok(());
    }
    let row = || app.selection().record.map(|record| ("row".to_owned(), row_text(&record)));
    let value = || match (app.opened.last(), app.part) {
        (Some(pane), _) => pane.copied(),
        (None, Part::Rows) => app.rows.copied(),
        (None, Part::Detail) => app.detail.copied(),
        (None, Part::Card) => app.card.copied(),
    };
    let query = || {
        let node = app.walk.here();
        Some(("query".to_owned(), node.query(node.lens())))
    };
    let found = match args {
        "row" => row(),
        "query" => query(),
        "value" => value(),
        _ => value().or_else(row).or_else(query),
    };
    let Some((label, text)) = found else { return Err(Error::user("there is nothing to copy here")) };
    app.copy_text(&label, &text, defanged);
    Ok(())
}

/// A row as text: every field with its value.
pub fn row_text(record: &Record) -> String {
    let mut parts = vec![format!("start={}", record.time()), format!("kind={}", record.kind)];
    for (id, value) in &record.fields {
        let ty = field::get(*id).map_or(field::Type::Text, |f| f.ty);
        parts.push(format!("{}={}", field::name(*id), crate::query::quote(&value.show(ty))));
    }
    parts.join(" ")
}
