//! Judging and sorting out: verdicts with a scope, sets, what is put away, alerts by groups; and taking the last of it back.

use super::case::about;
use super::rows::value_here;
use super::{Command, command};
use crate::case::triage::AWAY;
use crate::case::verdicts::{Scope, Subject, check, scopes};
use crate::context::sets;
use crate::error::{Error, Result};
use crate::model::decision::{About, Decision, Judgement, What};
use crate::model::entity::EntityKind;
use crate::model::{Entity, FieldId, Record, Time, field};
use crate::store::now;
use crate::tui::app::App;
use crate::tui::overlay::Overlay;
use crate::tui::panes::groups::Groups;
use crate::tui::panes::sets::Sets;
use crate::tui::widgets::menu::Item;
use crate::tui::{focus, lenses};

/// The commands.
pub const TABLE: &[Command] = &[
    command("verdict", "[benign|suspicious|malicious [SCOPE] [REASON [for 7d]]]", "judge rows, groups or values", verdict),
    command("groups", "", "alerts by groups or as rows", groups),
    command("put_away", "[allowed|benign]", "hide or show what is allowed or benign", put_away),
    command("set_add", "[NAME [REASON [for 30d]]]", "put this value, or those of the marked rows, into a set", set_add),
    command("open_sets", "", "the named sets", |app, _| {
        app.open(Box::new(Sets::new()));
        Ok(())
    }),
    command("undo", "", "take back what was entered last", undo),
];

/// What can be judged here: the scopes of the groups or rows, and before them the rows or the value themselves.
struct Choice {
    word: &'static str,
    label: String,
    about: About,
}

fn choices(app: &App) -> Vec<Choice> {
    let mut out = Vec::new();
    let mut subjects = app.opened.last().map(|p| p.subjects()).unwrap_or_default();
    if subjects.is_empty() {
        let (about, name) = about(app);
        let (word, label) = match &about {
            About::Records(ids) if ids.len() > 1 => ("rows", name),
            About::Records(_) => ("row", format!("only this {name}")),
            _ => ("value", format!("{name} itself; rows with it are judged one by one")),
        };
        out.push(Choice { word, label, about });
        subjects = rows(app).iter().map(Subject::of).collect();
    }
    let scope = |s: Scope| Choice { word: s.word, label: s.label, about: About::Query(s.query) };
    out.extend(scopes(&subjects).into_iter().map(scope));
    out
}

/// The marked rows, else the row under the cursor.
fn rows(app: &App) -> Vec<Record> {
    if app.marks.marked.is_empty() {
        return app.selection().record.into_iter().collect();
    }
    let loaded = |id| app.rows.records().iter().find(|r| r.id == id).cloned();
    app.marks.marked.iter().filter_map(|id| loaded(*id).or_else(|| app.engine.record(*id).ok().flatten())).collect()
}

fn verdict(app: &mut App, args: &str) -> Result<()> {
    let (word, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let choices = choices(app);
    let Some(first) = choices.first() else { return Err(Error::user("there is nothing to judge here")) };
    if word.is_empty() {
        let name = if choices.len() > 1 { "verdict".to_owned() } else { format!("verdict on {}", first.label) };
        app.open_verdicts(&name);
        return Ok(());
    }
    let judgement = Judgement::parse(word)
        .ok_or_else(|| Error::user(format!("no verdict is called {word}")).hint("benign, suspicious or malicious"))?;
    let rest = rest.trim();
    if rest.is_empty() && choices.len() > 1 {
        return choose_scope(app, judgement, &choices);
    }
    let (scope, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    // Without the word of a scope the whole is the reason, for what stands first.
    let (choice, reason) = match choices.iter().find(|c| c.word == scope) {
        Some(choice) => (choice, reason.trim()),
        None => (first, rest),
    };
    if judgement == Judgement::Benign && reason.is_empty() {
        let label = "why benign (may end: for 7d)";
        app.overlay = Some(Overlay::prompt(label, &format!("verdict benign {}", choice.word), ""));
        return Ok(());
    }
    if let About::Query(text) = &choice.about {
        check(&*app.engine, text)?;
    }
    let (reason, expires) = sets::reason_and_expiry(reason, now());
    if judgement == Judgement::Benign && reason.is_empty() {
        return Err(Error::user("benign needs a reason").hint("print server for 7d"));
    }
    let until = expires.map(|t| format!(" until {}", app.zone.format(t, "%Y-%m-%d %H:%M"))).unwrap_or_default();
    app.say(format!("{}: {}{until} ({} takes it back)", choice.label, judgement.name(), app.keymap.key_in("global", "undo")));
    app.writer.append(What::Verdict { about: choice.about.clone(), judgement, reason, expires: expires.map(|t: Time| t.0) });
    app.marks.marked.clear();
    Ok(())
}

fn choose_scope(app: &mut App, judgement: Judgement, choices: &[Choice]) -> Result<()> {
    let query = |about: &About| match about {
        About::Query(text) => text.clone(),
        _ => String::new(),
    };
    let known = |about: &About| match about {
        About::Records(ids) => ids.len().to_string(),
        About::Query(_) => String::new(),
        _ => " ".to_owned(),
    };
    let item = |c: &Choice| Item { label: c.label.clone(), count: known(&c.about), preview: query(&c.about), empty: false };
    let items = choices.iter().map(item).collect();
    let lines = choices.iter().map(|c| format!("verdict {} {}", judgement.name(), c.word)).collect();
    app.choose_from(format!("{}: what", judgement.name()), items, lines);
    // Scopes hold for the whole case, so they are counted in it.
    app.count_choices(choices.iter().map(|c| (query(&c.about), true)).collect());
    Ok(())
}

fn groups(app: &mut App, _: &str) -> Result<()> {
    let node = app.walk.here();
    let alerts = lenses::find("alerts");
    let pane = Groups::new(node.step.focus.clone(), node.filtered_query(alerts), node.query(alerts), node.step.window);
    app.open(Box::new(pane));
    Ok(())
}

fn put_away(app: &mut App, args: &str) -> Result<()> {
    let now_away = app.walk.here().away;
    let away = match args {
        "" if now_away != [false; 2] => [false; 2],
        "" => something(app),
        word => match AWAY.iter().position(|a| a.name == word) {
            Some(n) => {
                let mut away = now_away;
                away[n] = !away[n];
                away
            }
            None => return Err(Error::user(format!("nothing is put away as {word}")).hint("allowed or benign")),
        },
    };
    if away == now_away {
        let key = |command| app.keymap.key_in("global", command);
        app.say(format!("nothing to put away yet: {} adds to the set allow, {} judges benign", key("set_add"), key("verdict")));
        return Ok(());
    }
    app.walk.set_away(away);
    app.hidden = None;
    app.reenter();
    let names: Vec<&str> = AWAY.iter().zip(away).filter(|(_, on)| *on).map(|(a, _)| a.name).collect();
    let key = app.keymap.key_in("global", "put_away");
    app.say(if names.is_empty() {
        "nothing is put away".to_owned()
    } else {
        format!("put away: what is {}; {key} shows it again", names.join(" or "))
    });
    if app.opened.last().is_some_and(|p| p.name() == "groups") {
        groups(app, "")?;
    }
    Ok(())
}

/// What there is to put away: allow sets with entries, verdicts that say benign.
fn something(app: &App) -> [bool; 2] {
    let decisions = app.keeper.decisions();
    let at = now();
    let allowed = sets::members(&sets::sets(&decisions), "allow", at).is_some_and(|m| !m.is_empty());
    let is_benign = |d: &&Decision| {
        let What::Verdict { about, judgement, .. } = &d.what else { return false };
        *judgement == Judgement::Benign && matches!(about, About::Query(_) | About::Records(_))
    };
    [allowed, crate::query::verdicts::applied(&decisions, at).iter().any(is_benign)]
}

/// The text by which a value is in a set.
fn entry(record: Option<&Record>, entity: &Entity) -> String {
    let ty = field::get(entity.field).map_or(field::Type::Text, |f| f.ty);
    let text = entity.value.show(ty);
    if entity.kind != EntityKind::Service {
        return text;
    }
    match record.and_then(|r| r.addr(field::DST_IP)) {
        Some(addr) => std::net::SocketAddr::new(addr, text.parse().unwrap_or(0)).to_string(),
        None => {
            let proto =
                record.and_then(|r| r.uint(field::PROTO)).map_or_else(|| "tcp".into(), |p| crate::model::proto::show(p as u8));
            format!("{text}/{proto}")
        }
    }
}

/// What would be put into a set: of every marked row the value of the cell's column, else what the row is about; else the value under the cursor.
fn entries(app: &App) -> Vec<String> {
    let id: Option<FieldId> = value_here(app).map(|(id, _)| id);
    let of = |r: &Record| {
        let own = id.and_then(|id| r.get(id).and_then(|v| Entity::of(id, v)));
        own.or_else(|| focus::of_row(r, &focus::Focus::Case, &app.rows.home)).map(|e| entry(Some(r), &e))
    };
    let mut out: Vec<String> = if app.marks.marked.is_empty() || !app.opened.is_empty() {
        let selection = app.selection();
        let chosen = value_here(app).filter(|_| app.opened.is_empty()).and_then(|(id, v)| Entity::of(id, &v));
        let focus = app.walk.here().step.focus.entity().cloned();
        let found = chosen.or(selection.entity).or(focus);
        found.map(|e| entry(selection.record.as_ref(), &e)).into_iter().collect()
    } else {
        rows(app).iter().filter_map(of).collect()
    };
    out = out.iter().filter_map(|text| sets::clean(text)).collect();
    out.sort();
    out.dedup();
    out
}

fn set_add(app: &mut App, args: &str) -> Result<()> {
    let entries = entries(app);
    let Some(first) = entries.first() else {
        return Err(
            Error::user("there is no value here to put into a set").hint("choose one with the arrow keys to the left and right")
        );
    };
    let name = if entries.len() == 1 { first.clone() } else { format!("{} values", entries.len()) };
    let (set, reason) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    if set.is_empty() {
        choose_set(app, &name);
        return Ok(());
    }
    if set == "?" {
        app.overlay = Some(Overlay::prompt(&format!("put {name} into which set"), "set_add", ""));
        return Ok(());
    }
    let set = sets::name(set).map_err(Error::user)?;
    if reason.trim().is_empty() {
        let label = format!("why in @{set} (may end: for 30d)");
        // With a blank, so that what is typed goes on behind it.
        let from = format!("seen in {} ", app.walk.path().last().copied().unwrap_or_default());
        app.overlay = Some(Overlay::prompt(&label, &format!("set_add {set}"), &from));
        return Ok(());
    }
    let (reason, expires) = sets::reason_and_expiry(reason, now());
    app.say(format!("{name} is in @{set} now ({} takes it back)", app.keymap.key_in("global", "undo")));
    app.writer.append(What::SetAdd { set, entries, reason, expires: expires.map(|t| t.0) });
    app.marks.marked.clear();
    Ok(())
}

fn choose_set(app: &mut App, name: &str) {
    let known = sets::sets(&app.keeper.decisions());
    let purpose = |set: &str| sets::PURPOSES.iter().find(|(p, _)| sets::belongs(set, p)).map_or("", |(_, doc)| *doc);
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    let mut add = |label: String, count: String, preview: &str, line: String| {
        items.push(Item { label, count, preview: preview.to_owned(), empty: false });
        lines.push(line);
    };
    for set in crate::query::set_names(&known) {
        let n = known.iter().find(|s| s.name == set).map_or(0, |s| s.entries.len());
        add(format!("@{set}"), n.to_string(), purpose(&set), format!("set_add {set}"));
    }
    add("another set".into(), " ".into(), "asks for its name", "set_add ?".into());
    add("look at the sets".into(), " ".into(), "entries with why, who, when, until when", "open_sets".into());
    app.choose_from(format!("put {name} into"), items, lines);
}

fn undo(app: &mut App, _: &str) -> Result<()> {
    match app.entered.pop() {
        Some((id, name)) => {
            app.writer.append(What::Remove { id });
            app.say(format!("taken back: {name}"));
        }
        None => {
            let key = app.keymap.key_in("global", "open_case");
            app.say(format!("nothing of this session is left to take back; {key} lists what was entered before"));
        }
    }
    Ok(())
}

impl App {
    /// Something was written to the journal: it can be taken back, and what depends on it is asked anew.
    pub(in crate::tui) fn entered(&mut self, decision: &Decision) {
        let name = match &decision.what {
            What::Verdict { about, judgement, .. } => format!("{} on {}", judgement.name(), crate::case::notes::subject(about)),
            What::SetAdd { set, entries, .. } if entries.len() == 1 => format!("{} in @{set}", entries[0]),
            What::SetAdd { set, entries, .. } => format!("{} values in @{set}", entries.len()),
            What::SetRemove { set, entries } => format!("{} out of @{set}", entries.join(", ")),
            What::Note { text, .. } => format!("note {text}"),
            What::Tag { tag, .. } => format!("tag {tag}"),
            What::Bookmark { title, .. } => format!("bookmark {title}"),
            What::Lead(change) => crate::case::leads::said(change),
            What::SourceSet { source, .. } => format!("what was set for {source}"),
            What::Site { name, .. } => format!("site {name}"),
            What::Inventory { host, field, .. } => format!("{field} of {host}"),
            What::LinkJudged { accepted, .. } => format!("that two records are {}one thing", if *accepted { "" } else { "not " }),
            _ => String::new(),
        };
        if !name.is_empty() {
            self.entered.push((decision.sequence, name));
        }
        let counts = matches!(
            decision.what,
            What::Verdict { .. }
                | What::SetAdd { .. }
                | What::SetRemove { .. }
                | What::Site { .. }
                | What::Inventory { .. }
                | What::LinkJudged { .. }
                | What::Remove { .. }
        );
        if counts && self.walk.here().step.lens != "packets" {
            self.hidden = None;
            self.reenter();
        }
    }
}
