//! Walking: drill, pivot, back and forward, what happened around a row, what it is linked with, the screens.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::model::{Entity, field};
use crate::tui::app::{App, Part};
use crate::tui::effect::Effect;
use crate::tui::focus::Focus;
use crate::tui::marked::Wanted;
use crate::tui::panes::links::Links;
use crate::tui::panes::{case, findings, overview, profile, situation, sources, trail};
use crate::tui::walk::Step;

/// The commands.
pub const TABLE: &[Command] = &[
    command("drill", "", "go to what is under the cursor", drill),
    command("pivot", "[VALUE]", "where one can go from here, with counts", pivot),
    command("focus", "VALUE", "look at a host, name, hash or any other value", focus_on),
    command("go_bookmark", "NUMBER", "ask a bookmark again", go_bookmark),
    command("back", "", "back along the trail", back),
    command("forward", "", "forward along the trail", forward),
    command("open_trail", "", "the trail as a tree", open_trail),
    command("all_around", "", "everything around this row for its host", all_around),
    command("links", "", "what this row is linked with, how well and why", links),
    command("open_overview", "[QUERY]", "curves with what is usual, who is busiest, what is new", open_overview),
    command("open_sources", "[NAME]", "sources, their clocks and coverage", open_sources),
    command("open_findings", "", "findings: what deviates, and why", open_findings),
    command("open_situation", "", "the situation: hosts, what was said of them, what flowed between them", open_situation),
    command("profile", "[STEP]", "the network by its flows, step by step", open_profile),
    command("sweep", "[FILE|INDICATORS]", "look for the indicators of a report or list", sweep),
    command("open_case", "[leads|bookmarks|notes|tags|verdicts]", "the case: leads, bookmarks, notes", open_case),
    command("open_bookmarks", "", "bookmarks", open_bookmarks),
];

fn drill(app: &mut App, _: &str) -> Result<()> {
    if app.with_marked(Wanted::Go)? {
        return Ok(());
    }
    let entity = app.selection().entity.filter(|e| app.walk.here().step.focus.entity() != Some(e));
    if let Some(entity) = entity {
        app.go_entity(entity);
        return Ok(());
    }
    if app.part == Part::Rows && app.opened.is_empty() {
        if let Some(entity) = first_of_group(app) {
            app.go_entity(entity);
        } else if app.rows.record().is_some() {
            app.part = Part::Detail;
            app.zoomed = true;
        }
    }
    Ok(())
}

/// In a table of groups the row is about its first value that one can pivot on.
fn first_of_group(app: &App) -> Option<Entity> {
    let table = app.rows.table()?;
    let row = table.rows.get(app.rows.place().index)?;
    table.fields.iter().zip(row).find_map(|(field, value)| Entity::of((*field)?, value.as_ref()?))
}

fn pivot(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() && app.with_marked(Wanted::Pivot)? {
        return Ok(());
    }
    let mut selection = app.selection();
    if !args.is_empty() {
        let entity = Entity::recognise(args)
            .ok_or_else(|| Error::user(format!("{args} is no address, name, hash or other value that one can pivot on")))?;
        selection.entity = Some(entity);
        selection.record = None;
    }
    if selection.entity.is_none() && selection.record.is_none() {
        let set = app.walk.here().step.focus.members();
        if set.len() > 1 {
            return app.open_set_pivots(&set);
        }
        selection.entity = app.walk.here().step.focus.entity().cloned();
    }
    app.open_pivots(selection)
}

fn focus_on(app: &mut App, args: &str) -> Result<()> {
    let named = match Focus::parse(args) {
        Focus::Entity(entity) => Some(entity),
        _ => None,
    };
    match named.or_else(|| Entity::recognise(args)) {
        Some(entity) => app.go_entity(entity),
        None if let Some(end) = Focus::of_end(args) => {
            let step = Step::to(end, "all", app.walk.here().step.window);
            app.go(step);
        }
        None if args.is_empty() => return Err(Error::user("look at what").hint("focus 10.0.0.5")),
        None => {
            // Anything else is looked for as a text.
            let mut step = Step::to(Focus::Case, "all", app.walk.here().step.window);
            step.label = args.to_owned();
            step.query = crate::query::quote(args);
            app.go(step);
        }
    }
    Ok(())
}

fn go_bookmark(app: &mut App, args: &str) -> Result<()> {
    let id = args.parse().map_err(|_| Error::user(format!("{args} is no number of a bookmark")))?;
    app.apply(Effect::GoBookmark(id));
    Ok(())
}

fn back(app: &mut App, _: &str) -> Result<()> {
    if app.walk.here().parent.is_none() {
        app.say("this is where the trail begins");
        return Ok(());
    }
    app.leave();
    app.walk.back();
    app.enter();
    Ok(())
}

fn forward(app: &mut App, _: &str) -> Result<()> {
    if !app.walk.has_next() {
        app.say("there is nothing further along the trail");
        return Ok(());
    }
    app.leave();
    app.walk.forward();
    app.enter();
    Ok(())
}

fn open_trail(app: &mut App, _: &str) -> Result<()> {
    app.open(Box::new(trail::Trail::new()));
    Ok(())
}

fn all_around(app: &mut App, _: &str) -> Result<()> {
    let Some(record) = app.selection().record else {
        return Err(Error::user("no row is selected"));
    };
    // The host one looks at, if the row is about it; else the row's end that is home.
    let here = app.walk.here().step.focus.host();
    let own = [field::SRC_IP, field::DST_IP].into_iter().filter(|id| record.addr(*id).is_some());
    let mut own: Vec<_> = own.collect();
    own.sort_by_key(|id| {
        let addr = record.addr(*id);
        (addr != here || here.is_none(), !addr.is_some_and(|a| app.rows.home.has(a)))
    });
    let entity = own.first().and_then(|id| record.get(*id).and_then(|v| Entity::of(*id, v)));
    let focus = entity.map_or(Focus::Case, Focus::Entity);
    let mut step = Step::to(focus, "all", app.walk.here().step.window);
    step.label = format!("around {}", app.zone.clock(record.time()));
    step.row = Some(crate::tui::go::cursor(&record));
    app.go(step);
    Ok(())
}

fn links(app: &mut App, _: &str) -> Result<()> {
    let Some(record) = app.selection().record else {
        return Err(Error::user("no row is selected"));
    };
    let marked = app.marks.marked.iter().copied().collect();
    app.open(Box::new(Links::new(record.id, marked)));
    Ok(())
}

fn open_overview(app: &mut App, query: &str) -> Result<()> {
    app.open(Box::new(overview::Overview::new(query)));
    Ok(())
}

fn open_sources(app: &mut App, name: &str) -> Result<()> {
    app.open(Box::new(sources::Sources::new(name)));
    Ok(())
}

fn open_findings(app: &mut App, _: &str) -> Result<()> {
    app.open(Box::new(findings::Findings::new()));
    Ok(())
}

fn open_situation(app: &mut App, _: &str) -> Result<()> {
    let window = app.walk.here().step.window;
    app.open(Box::new(situation::Situation::new(window)));
    Ok(())
}

fn open_profile(app: &mut App, step: &str) -> Result<()> {
    let number = if step.is_empty() { Some(1) } else { step.parse().ok().filter(|n| (1..=7).contains(n)) };
    let number = number.ok_or_else(|| Error::user(format!("the profile has no step {step}")).hint("1 to 7"))?;
    app.open(Box::new(profile::Profile::new(number)));
    Ok(())
}

fn sweep(app: &mut App, args: &str) -> Result<()> {
    app.sweep(args)
}

fn open_case(app: &mut App, tab: &str) -> Result<()> {
    if !tab.is_empty() && !case::Case::has_tab(tab) {
        return Err(Error::user(format!("the case has no {tab}")).hint("leads, bookmarks, notes, tags, verdicts"));
    }
    let first = || if crate::case::leads::leads(&app.keeper.decisions()).is_empty() { "notes" } else { "leads" };
    app.open(Box::new(case::Case::new(if tab.is_empty() { first() } else { tab })));
    Ok(())
}

fn open_bookmarks(app: &mut App, _: &str) -> Result<()> {
    app.open(Box::new(case::Case::new("bookmarks")));
    Ok(())
}
