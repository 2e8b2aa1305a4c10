//! Moving the cursor, and from pane to pane. What moves inside a pane is the pane's own; the rows here name and document it.

use super::{Command, command};
use crate::error::Result;
use crate::tui::app::{App, Part};

/// The commands.
pub const TABLE: &[Command] = &[
    command("move_up", "", "a row up", nothing),
    command("move_down", "", "a row down", nothing),
    command("move_left", "", "a value to the left", nothing),
    command("move_right", "", "a value to the right", nothing),
    command("page_up", "", "a page up", nothing),
    command("page_down", "", "a page down", nothing),
    command("go_first", "", "the first row", nothing),
    command("go_last", "", "the last row", nothing),
    command("next_pane", "", "next pane", next_pane),
    command("previous_pane", "", "previous pane", previous_pane),
    command("zoom_pane", "", "this pane alone, or all", zoom_pane),
    command("toggle_card", "", "focus card on or off", toggle_card),
];

/// The pane that has the cursor did not want it: there is nothing to move in.
fn nothing(_: &mut App, _: &str) -> Result<()> {
    Ok(())
}

fn parts(app: &App) -> Vec<Part> {
    let mut parts = vec![Part::Rows];
    if !app.hides("detail") {
        parts.push(Part::Detail);
    }
    if app.shows_card() {
        parts.push(Part::Card);
    }
    parts
}

fn turn(app: &mut App, by: isize) {
    let parts = parts(app);
    let at = parts.iter().position(|p| *p == app.part).unwrap_or(0) as isize;
    app.part = parts[(at + by).rem_euclid(parts.len() as isize) as usize];
}

fn next_pane(app: &mut App, _: &str) -> Result<()> {
    if !app.over_by(true) {
        turn(app, 1);
        app.came_to_rows(true);
    }
    Ok(())
}

fn previous_pane(app: &mut App, _: &str) -> Result<()> {
    if !app.over_by(false) {
        turn(app, -1);
        app.came_to_rows(false);
    }
    Ok(())
}

fn zoom_pane(app: &mut App, _: &str) -> Result<()> {
    app.zoomed = !app.zoomed;
    Ok(())
}

fn toggle_card(app: &mut App, _: &str) -> Result<()> {
    app.card_shown = !app.card_shown;
    if !app.shows_card() && app.part == Part::Card {
        app.part = Part::Rows;
    }
    Ok(())
}
