//! The window of time: shifting, zooming, typing one; the zone in which times are shown.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::model::time::{SECOND, parse_span};
use crate::model::{Time, Window};
use crate::tui::app::App;
use crate::tui::overlay::Overlay;
use crate::tui::panes::Change;
use crate::tui::times::Zone;

/// The commands.
pub const TABLE: &[Command] = &[
    command("window_earlier", "", "window earlier by half", |app, _| shift(app, -1)),
    command("window_later", "", "window later by half", |app, _| shift(app, 1)),
    command("zoom_in", "", "half the window, around the row", |app, _| zoom(app, true)),
    command("zoom_out", "", "twice the window", |app, _| zoom(app, false)),
    command("type_window", "TIME", "type a window", type_window),
    command("whole_case", "", "the whole case", whole_case),
    command("switch_zone", "[utc|local|source]", "times in UTC, local, or as written", switch_zone),
];

/// The shortest window: one millisecond.
const LEAST: i64 = 1_000_000;

fn set(app: &mut App, window: Option<Window>) {
    app.walk.here_mut().step.window = window;
    app.reenter();
}

fn shift(app: &mut App, direction: i64) -> Result<()> {
    let window = app.window();
    let by = (window.length() / 2).max(1).saturating_mul(direction);
    let shifted = window.shifted(by);
    if let Some(span) = app.engine.span()
        && (shifted.end <= span.start || shifted.start >= span.end)
    {
        app.say("the case has nothing further that way");
        return Ok(());
    }
    set(app, Some(shifted));
    Ok(())
}

fn zoom(app: &mut App, closer: bool) -> Result<()> {
    let window = app.window();
    let at = app.rows.record().map(|r| r.time()).filter(|t| window.overlaps(*t, *t) && closer);
    let centre = at.unwrap_or(Time(window.start.0.saturating_add(window.length() / 2)));
    let half = if closer { (window.length() / 4).max(LEAST / 2) } else { window.length() };
    let new = Window::new(centre.plus(half.saturating_neg()), centre.plus(half));
    let whole = app.engine.span().is_some_and(|s| new.start <= s.start && new.end >= s.end);
    set(app, if whole { None } else { Some(new) });
    Ok(())
}

fn type_window(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        let now = app.walk.here().step.window.map_or_else(String::new, |w| format!("between {} and {}", w.start, w.end));
        app.overlay = Some(Overlay::prompt("window", "type_window", &now));
        return Ok(());
    }
    let window = read(app, args)?;
    set(app, Some(window));
    Ok(())
}

/// Reads `since 2h ago`, `between A and B`, `around T 30s`; `2h` alone: that long around the selected row; `A .. B`; a time alone: a minute
/// either side; clock times (`08:00 .. 09:30`) are of the day that is looked at.
fn read(app: &App, text: &str) -> Result<Window> {
    let selected = app.rows.record().map(|r| r.time()).unwrap_or(app.window().start);
    if let Some(span) = parse_span(text) {
        return Ok(Window::around(selected, span / 2));
    }
    let time = |text: &str| -> Option<Time> {
        let text = text.trim();
        let day = selected.utc().format("%Y-%m-%d");
        Time::parse(text).filter(|_| !text.bytes().all(|b| b.is_ascii_digit()) || text.len() > 8).or_else(|| {
            let seconds = if text.matches(':').count() == 1 { ":00" } else { "" };
            Time::parse(&format!("{day}T{}{seconds}", text.trim_end_matches('Z')))
        })
    };
    for between in ["..", "→", " to ", " - "] {
        if let Some((start, end)) = text.split_once(between)
            && let (Some(start), Some(end)) = (time(start), time(end))
        {
            return sound(Window::new(start, end));
        }
    }
    if let Some(at) = time(text) {
        return Ok(Window::around(at, 60 * SECOND));
    }
    let question = app.engine.compile(text)?;
    if question.window == Window::ALL {
        return Err(Error::user(format!("{text} is no window of time"))
            .hint("2h, 08:00 .. 09:30, since 2h ago, around 2026-11-20T08:12:03Z 30s"));
    }
    let span = app.engine.span().unwrap_or(Window::ALL);
    sound(question.window.intersect(&Window::new(Time::MIN.max(span.start), span.end.plus(1))))
}

fn sound(window: Window) -> Result<Window> {
    if window.start < window.end {
        Ok(window)
    } else {
        Err(Error::user("the window ends before it begins, or lies outside the case"))
    }
}

fn whole_case(app: &mut App, _: &str) -> Result<()> {
    set(app, None);
    Ok(())
}

fn switch_zone(app: &mut App, args: &str) -> Result<()> {
    app.zone = if args.is_empty() {
        app.zone.next()
    } else {
        Zone::parse(args).ok_or_else(|| Error::user(format!("no zone is called {args}")).hint("utc, local or source"))?
    };
    let label = app.zone.label(app.window().start);
    app.say(format!("times: {label}"));
    app.tell(Change::Looks);
    Ok(())
}
