//! Filtering, finding and marking rows.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::model::{FieldId, Value};
use crate::tui::app::{App, Part};
use crate::tui::overlay::Overlay;
use crate::tui::panes::{Handled, Pane};
use crate::tui::walk::Chip;

/// The commands.
pub const TABLE: &[Command] = &[
    command("filter", "QUERY", "show only rows that satisfy a query", filter),
    command("offer_filter", "QUERY", "begin a filter", offer_filter),
    command("find", "QUERY", "go to rows that satisfy a query, hiding none", find),
    command("find_next", "", "next row found", |app, _| find_again(app, true)),
    command("find_previous", "", "previous row found", |app, _| find_again(app, false)),
    command("only_value", "", "only rows with this value", |app, _| by_value(app, false)),
    command("without_value", "", "without rows with this value", |app, _| by_value(app, true)),
    command("toggle_filters", "", "all filters off or on", toggle_filters),
    command("clear_filters", "", "remove all filters", clear_filters),
    command("mark_row", "", "mark this row", mark_row),
];

fn filter(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt("filter", "filter", ""));
        return Ok(());
    }
    let question = app.engine.compile(args)?;
    if !question.stages.is_empty() {
        return Err(Error::user("a filter has no stages").hint(format!("query {args}")));
    }
    add(app, args.to_owned());
    Ok(())
}

fn offer_filter(app: &mut App, args: &str) -> Result<()> {
    app.overlay = Some(Overlay::prompt("filter", "filter", &format!("{args} ")));
    Ok(())
}

fn add(app: &mut App, text: String) {
    let node = app.walk.here_mut();
    node.filters_off = false;
    let chip = Chip { text };
    if !node.step.filters.contains(&chip) {
        node.step.filters.push(chip);
    }
    app.reenter();
}

fn find(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        let before = app.rows.finding.clone().unwrap_or_default();
        app.overlay = Some(Overlay::prompt("find", "find", &before));
        return Ok(());
    }
    app.engine.compile(args)?;
    look(app, args.to_owned(), true);
    Ok(())
}

fn look(app: &mut App, what: String, ahead: bool) {
    app.with(|app| &mut app.rows, "rows", |rows, cx| rows.find(what, ahead, cx));
}

fn find_again(app: &mut App, ahead: bool) -> Result<()> {
    match app.rows.finding.clone() {
        Some(what) => look(app, what, ahead),
        None => app.say("nothing was looked for yet"),
    }
    Ok(())
}

/// The value under the cursor: of the table, of the detail.
pub fn value_here(app: &App) -> Option<(FieldId, Value)> {
    match app.part {
        Part::Rows if app.rows.on_row() => None,
        Part::Rows => app.rows.value(),
        Part::Detail => app.detail.value(),
        Part::Card => app.card.selected().entity.map(|e| (e.field, e.value)),
    }
}

fn by_value(app: &mut App, without: bool) -> Result<()> {
    let Some((id, value)) = value_here(app).or_else(|| app.rows.entity().map(|e| (e.field, e.value))) else {
        return Err(Error::user("no value is under the cursor").hint("choose one with the arrow keys to the left and right"));
    };
    let term = crate::query::condition(id, &value);
    add(app, if without { format!("not {term}") } else { term });
    Ok(())
}

fn toggle_filters(app: &mut App, _: &str) -> Result<()> {
    let node = app.walk.here_mut();
    if node.step.filters.is_empty() {
        app.say("there are no filters");
        return Ok(());
    }
    node.filters_off = !node.filters_off;
    app.reenter();
    Ok(())
}

fn clear_filters(app: &mut App, _: &str) -> Result<()> {
    app.walk.here_mut().step.filters.clear();
    app.reenter();
    Ok(())
}

fn mark_row(app: &mut App, _: &str) -> Result<()> {
    let Some(record) = app.selection().record else {
        return Err(Error::user("no row is selected"));
    };
    app.marks.toggle(record.id);
    let down = app.with_pane("", |pane, cx| pane.run("move_down", cx))?;
    debug_assert!(down == Handled::Yes || down == Handled::No);
    let n = app.marks.marked.len();
    if n > 0 {
        app.say(format!("{n} marked: notes, tags and verdicts go to all of them"));
    }
    Ok(())
}
