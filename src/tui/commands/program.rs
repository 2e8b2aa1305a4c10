//! The workbench itself: command line, finder, help, looks, leaving.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::tui::app::{App, Ask};
use crate::tui::focus::Focus;
use crate::tui::go::Said;
use crate::tui::keymap::Keymap;
use crate::tui::overlay::Overlay;
use crate::tui::panes::Change;
use crate::tui::settings;
use crate::tui::theme::Theme;
use crate::tui::walk::Step;
use std::sync::Arc;

/// The commands.
pub const TABLE: &[Command] = &[
    command("command_line", "", "type a command", command_line),
    command("query", "QUERY", "ask anything in the query language", query),
    command("finder", "", "find anything by a few letters", finder),
    command("help", "", "keys that work here", help),
    command("set", "theme|keymap|zone|escape_ms VALUE", "change looks and keys, for good", set),
    command("cancel", "", "cancel or close", cancel),
    command("redraw", "", "draw everything anew", redraw),
    command("suspend", "", "back to the shell, fg returns", suspend),
    command("quit", "", "close, or leave", quit),
];

fn command_line(app: &mut App, _: &str) -> Result<()> {
    app.overlay = Some(Overlay::prompt(":", "", ""));
    Ok(())
}

fn query(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt("query", "query", ""));
        return Ok(());
    }
    app.engine.compile(args)?;
    let mut step = Step::to(Focus::Case, "all", app.walk.here().step.window);
    step.label = args.to_owned();
    step.query = args.to_owned();
    app.go(step);
    Ok(())
}

fn finder(app: &mut App, _: &str) -> Result<()> {
    app.open_finder();
    Ok(())
}

fn help(app: &mut App, _: &str) -> Result<()> {
    app.open_help();
    Ok(())
}

/// Sets something for this session and the next ones.
fn set(app: &mut App, args: &str) -> Result<()> {
    let (what, name) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let name = name.trim();
    let config = app.options.config.clone();
    match what {
        "theme" => app.theme = Arc::new(Theme::load(name, config.as_deref(), app.options.depth)?),
        "keymap" => app.keymap = Arc::new(Keymap::load(name, config.as_deref())?),
        "zone" => app.try_line(&format!("switch_zone {name}"))?,
        "escape_ms" if name.parse::<u64>().is_ok() => {}
        "escape_ms" => return Err(Error::user("how long a lone Esc is waited for").hint("set escape_ms 200")),
        _ => {
            return Err(
                Error::user(format!("nothing is called {what}")).hint("set theme NAME, keymap NAME, zone utc, escape_ms 200")
            );
        }
    }
    let what = what.to_owned();
    let name = if what == "zone" { app.zone.name().to_owned() } else { name.to_owned() };
    app.say(format!("{what}: {name}"));
    app.tell(Change::Looks);
    let when = if what == "escape_ms" { ", from the next start on" } else { "" };
    app.ask("settings", move |work| {
        settings::keep(config.as_deref(), &what, &name)?;
        work.give(Said(format!("{what}: {name}, kept for the next sessions{when}")));
        Ok(())
    });
    Ok(())
}

/// Closes what is in front, then cancels what is being asked, then puts away zoom, marks and filters' prompt. Never walks the trail.
fn cancel(app: &mut App, _: &str) -> Result<()> {
    if app.overlay.take().is_some() {
        return Ok(());
    }
    let first = usize::from(app.rooted);
    if app.opened.len() > first {
        if let Some(pane) = app.opened.pop() {
            app.jobs.cancel_pane(pane.name());
        }
        return Ok(());
    }
    let mut asked = false;
    for pane in ["rows", "timeline", "card", "detail", "app"] {
        asked |= app.jobs.cancel_pane(pane);
    }
    if asked {
        app.rows.give_up();
        app.say("given up");
    } else if app.zoomed {
        app.zoomed = false;
        app.part = crate::tui::app::Part::Rows;
    } else if app.part != crate::tui::app::Part::Rows {
        app.part = crate::tui::app::Part::Rows;
    } else if !app.marks.marked.is_empty() {
        app.marks.marked.clear();
        app.say("marks removed");
    }
    Ok(())
}

fn redraw(app: &mut App, _: &str) -> Result<()> {
    app.asks.push(Ask::Redraw);
    Ok(())
}

fn suspend(app: &mut App, _: &str) -> Result<()> {
    app.asks.push(Ask::Suspend);
    Ok(())
}

fn quit(app: &mut App, _: &str) -> Result<()> {
    if app.overlay.take().is_some() {
        return Ok(());
    }
    if app.opened.len() > usize::from(app.rooted) {
        return cancel(app, "");
    }
    if app.rooted && app.walk.here().parent.is_some() {
        return app.try_line("back");
    }
    if app.zoomed {
        return cancel(app, "");
    }
    app.leave_program();
    Ok(())
}
