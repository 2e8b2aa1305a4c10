//! Filtering, finding and marking rows.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::model::{FieldId, Value};
use crate::tui::app::{App, Part};
use crate::tui::overlay::Overlay;
use crate::tui::panes::{Handled, Pane};
use crate::tui::walk::Chip;
use crate::tui::widgets::menu::{Item, Menu};

/// The commands.
pub const TABLE: &[Command] = &[
    command("filter", "QUERY", "show only rows that satisfy a query", filter),
    command("offer_filter", "QUERY", "begin a filter", offer_filter),
    command("find", "QUERY", "go to rows that satisfy a query, to lines with a text", find),
    command("find_next", "", "next row found", |app, _| find_again(app, true)),
    command("find_previous", "", "previous row found", |app, _| find_again(app, false)),
    command("only_value", "", "only rows with this value", |app, _| by_value(app, false)),
    command("without_value", "", "without rows with this value", |app, _| by_value(app, true)),
    command("toggle_filters", "", "all filters off or on", toggle_filters),
    command("clear_filters", "", "remove all filters", clear_filters),
    command("filters", "", "edit, switch or remove one filter", filters),
    command("replace_filter", "NUMBER QUERY", "put another filter in its place", replace_filter),
    command("switch_filter", "NUMBER", "one filter off or on", switch_filter),
    command("remove_filter", "NUMBER", "remove one filter", remove_filter),
    command("edit_filter", "NUMBER", "edit one filter", edit_filter),
    command("mark_all", "", "mark all groups that are shown, or none", |_, _| {
        Err(Error::user("only groups of alerts are marked all at once").hint("R shows them"))
    }),
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
    let chip = Chip { text, off: false };
    if !node.step.filters.contains(&chip) {
        node.step.filters.push(chip);
    }
    app.reenter();
}

/// In the table rows are found by a query, in every other pane lines by a text.
fn find(app: &mut App, args: &str) -> Result<()> {
    let rows = in_rows(app);
    if args.is_empty() {
        let before = if rows { app.rows.finding.clone() } else { app.finding.clone() };
        app.overlay = Some(Overlay::prompt(if rows { "find" } else { "find text" }, "find", &before.unwrap_or_default()));
        return Ok(());
    }
    if !rows {
        app.finding = Some(args.to_owned());
        return find_line(app, args, true, true);
    }
    app.engine.compile(args)?;
    look(app, args.to_owned(), true);
    Ok(())
}

fn in_rows(app: &App) -> bool {
    app.opened.is_empty() && app.part == Part::Rows
}

/// Goes to the next line of a pane that holds a text, letters compared without case; `here` counts the line under the cursor too.
fn find_line(app: &mut App, what: &str, ahead: bool, here: bool) -> Result<()> {
    let wanted = what.to_lowercase();
    let found = app.with_pane("", |pane, _| {
        let lines = pane.lines();
        let (n, at) = (lines.len(), pane.line());
        let order = (usize::from(!here)..n + usize::from(!here)).map(|k| if ahead { at + k } else { at + n - k % n.max(1) });
        let found = order.map(|line| line % n.max(1)).find(|line| lines[*line].to_lowercase().contains(&wanted));
        if let Some(line) = found {
            pane.stand(line);
        }
        Ok((found, n))
    })?;
    match found {
        (_, 0) => Err(Error::user("nothing can be found in this pane")),
        (None, _) => Err(Error::user(format!("no line with {what}"))),
        (Some(_), _) => Ok(()),
    }
}

fn look(app: &mut App, what: String, ahead: bool) {
    app.with(|app| &mut app.rows, "rows", |rows, cx| rows.find(what, ahead, cx));
}

fn find_again(app: &mut App, ahead: bool) -> Result<()> {
    if !in_rows(app) {
        return match app.finding.clone() {
            Some(what) => find_line(app, &what, ahead, false),
            None => {
                app.say("nothing was looked for yet");
                Ok(())
            }
        };
    }
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

/// The filters as a list: each can be edited, switched, removed.
fn filters(app: &mut App, _: &str) -> Result<()> {
    let chips = app.walk.here().step.filters.clone();
    if chips.is_empty() {
        app.say("there are no filters");
        return Ok(());
    }
    let item = |label: String, preview: &str| Item { label, count: String::new(), preview: preview.to_owned(), empty: false };
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    for (n, chip) in chips.iter().enumerate().map(|(n, chip)| (n + 1, chip)) {
        let text = crate::tui::text::clean(&chip.text);
        let switch = if chip.off { "on" } else { "off" };
        for (verb, command) in [("edit", "edit_filter"), (switch, "switch_filter"), ("remove", "remove_filter")] {
            items.push(item(format!("{n} {verb}"), &text));
            lines.push(format!("{command} {n}"));
        }
    }
    items.push(item("all off or on".into(), ""));
    lines.push("toggle_filters".into());
    items.push(item("remove all".into(), ""));
    lines.push("clear_filters".into());
    app.overlay = Some(Overlay::Choices { menu: Menu::new("filters", items), lines });
    Ok(())
}

/// The filter with a number, counted from 1.
fn numbered(app: &mut App, number: &str) -> Result<usize> {
    let there = app.walk.here().step.filters.len();
    let found = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < there);
    found.ok_or_else(|| Error::user(format!("there is no filter {number}")).hint(format!("1 to {there}; :filters lists them")))
}

fn edit_filter(app: &mut App, args: &str) -> Result<()> {
    let n = numbered(app, args)?;
    let text = app.walk.here().step.filters[n].text.clone();
    app.overlay = Some(Overlay::prompt("filter", &format!("replace_filter {}", n + 1), &text));
    Ok(())
}

fn replace_filter(app: &mut App, args: &str) -> Result<()> {
    let (number, text) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let n = numbered(app, number)?;
    if !app.engine.compile(text)?.stages.is_empty() {
        return Err(Error::user("a filter has no stages").hint(format!("query {text}")));
    }
    app.walk.here_mut().step.filters[n] = Chip { text: text.to_owned(), off: false };
    app.reenter();
    Ok(())
}

fn switch_filter(app: &mut App, args: &str) -> Result<()> {
    let n = numbered(app, args)?;
    let chip = &mut app.walk.here_mut().step.filters[n];
    chip.off = !chip.off;
    app.reenter();
    Ok(())
}

fn remove_filter(app: &mut App, args: &str) -> Result<()> {
    let n = numbered(app, args)?;
    app.walk.here_mut().step.filters.remove(n);
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
        app.say(format!("{n} marked: notes, tags, copy, export, Enter and pivot take all; Esc unmarks"));
    }
    Ok(())
}
