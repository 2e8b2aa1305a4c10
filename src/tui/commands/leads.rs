//! Leads: opened from anywhere, changed by their number; without one they are listed to choose from.

use super::case::asked;
use super::{Command, command};
use crate::case::leads::{self, Lead};
use crate::error::{Error, Result};
use crate::model::decision::{About, Ground, LeadChange, LeadState, What};
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::widgets::menu::Item;

/// The commands.
pub const TABLE: &[Command] = &[
    command("lead", "[TEXT]", "open a lead: a question ends in ?, anything else is a hypothesis", lead),
    command("lead_next", "[NUMBER [TEXT]]", "what is to be done next for a lead", |app, args| change(app, "lead_next", args)),
    command("lead_owner", "[NUMBER [NAME]]", "who takes a lead", |app, args| change(app, "lead_owner", args)),
    command("lead_for", "[NUMBER [bookmark N|verdict N|QUERY]]", "this supports a lead", |app, args| {
        change(app, "lead_for", args)
    }),
    command("lead_against", "[NUMBER [bookmark N|verdict N|QUERY]]", "this contradicts a lead", |app, args| {
        change(app, "lead_against", args)
    }),
    command("lead_state", "[NUMBER [answered|dropped|open REASON]]", "end a lead, or open it again", |app, args| {
        change(app, "lead_state", args)
    }),
    command("lead_go", "[NUMBER]", "go to what bears on a lead", |app, args| change(app, "lead_go", args)),
];

fn lead(app: &mut App, args: &str) -> Result<()> {
    let text = args.trim();
    if text.is_empty() {
        app.overlay = Some(Overlay::prompt("lead (a question ends in ?)", "lead", ""));
        return Ok(());
    }
    app.writer.append(What::Lead(LeadChange { text: Some(text.to_owned()), ..LeadChange::default() }));
    app.say(format!("lead opened: {text} ({} lists)", app.keymap.key_in("global", "open_case")));
    Ok(())
}

/// The prompt for what a command needs of a lead; `text` is what it begins with if the lead has nothing of the kind. None: it needs nothing.
pub(in crate::tui) fn prompt(command: &str, lead: &Lead, text: &str) -> Option<Effect> {
    let (label, text) = match command {
        "lead_next" => ("next step", lead.next.as_str()),
        "lead_owner" => ("owner", lead.owner.as_str()),
        "lead_for" => ("what supports it (bookmark N, verdict N, query)", text),
        "lead_against" => ("what contradicts it (bookmark N, verdict N, query)", text),
        "lead_state" if lead.is_open() => ("answered or dropped, and why", "answered "),
        "lead_state" => ("open again, and why", "open "),
        _ => return None,
    };
    Some(Effect::Prompt { label: label.into(), command: format!("{command} {}", lead.id), text: text.to_owned() })
}

fn change(app: &mut App, name: &str, args: &str) -> Result<()> {
    let (number, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let rest = rest.trim();
    if number.is_empty() {
        return choose(app, name);
    }
    let id = number.parse().map_err(|_| Error::user(format!("{number} is no number of a lead")).hint("c lists them"))?;
    let decisions = app.keeper.decisions();
    let lead = leads::find(&decisions, id)?;
    if name == "lead_go" {
        return go(app, &lead);
    }
    if rest.is_empty() {
        // What one looks at is what one most likely means.
        let here = if matches!(name, "lead_for" | "lead_against") { asked(app)?.0 } else { String::new() };
        if let Some(effect) = prompt(name, &lead, &here) {
            app.apply(effect);
        }
        return Ok(());
    }
    let mut change = LeadChange { of: Some(id), ..LeadChange::default() };
    let what = match name {
        "lead_next" => {
            change.next = Some(rest.to_owned());
            What::Lead(change)
        }
        "lead_owner" => {
            change.owner = Some(rest.to_owned());
            What::Lead(change)
        }
        "lead_state" => {
            let (word, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let state = LeadState::parse(word)
                .ok_or_else(|| Error::user(format!("no lead is {word}")).hint("answered, dropped or open, then why"))?;
            leads::end(id, state, reason)?
        }
        _ => {
            let ground = leads::ground(rest, &decisions, &*app.engine)?;
            let list = if name == "lead_for" { &mut change.supports } else { &mut change.contradicts };
            list.push(ground);
            What::Lead(change)
        }
    };
    app.writer.append(what);
    app.say(format!("lead {id}: {}", lead.text));
    Ok(())
}

/// Lists the leads for a command that was given no number: open ones, or all where they are opened again or looked at.
fn choose(app: &mut App, name: &str) -> Result<()> {
    let all = leads::leads(&app.keeper.decisions());
    let listed: Vec<&Lead> = all.iter().filter(|l| l.is_open() || matches!(name, "lead_state" | "lead_go")).collect();
    if listed.is_empty() {
        return Err(Error::user("no lead is open").hint("lead WHO ELSE CALLED IT?"));
    }
    let item = |l: &&Lead| Item {
        label: l.text.clone(),
        count: format!("+{} -{}", l.supports.len(), l.contradicts.len()),
        preview: if l.is_open() { l.next.clone() } else { format!("{}: {}", l.state.name(), l.reason) },
        empty: false,
    };
    let lines = listed.iter().map(|l| format!("{name} {}", l.id)).collect();
    app.choose_from("which lead".into(), listed.iter().map(item).collect(), lines);
    Ok(())
}

/// Goes to the one thing that bears on a lead, or lists all of them.
fn go(app: &mut App, lead: &Lead) -> Result<()> {
    let decisions = app.keeper.decisions();
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    for (sign, list) in [("+", &lead.supports), ("-", &lead.contradicts)] {
        for ground in list {
            // A verdict on the case's values or records is found by what it is on.
            let line = match ground {
                Ground::Bookmark(id) => format!("go_bookmark {id}"),
                Ground::Query(text) => format!("query {text}"),
                Ground::Verdict(id) => match decisions.iter().find(|d| d.sequence == *id).map(|d| &d.what) {
                    Some(What::Verdict { about: About::Query(text), .. }) => format!("query {text}"),
                    Some(What::Verdict { about: About::Value(_, value), .. }) => format!("focus {value}"),
                    Some(What::Verdict { about: About::Records(ids), .. }) => {
                        let ids: Vec<String> = ids.iter().take(MOST).map(|id| crate::query::quote(id)).collect();
                        format!("query id in {{{}}}", ids.join(", "))
                    }
                    _ => "open_case verdicts".into(),
                },
            };
            let label = format!("{sign} {}", leads::in_words(ground, &decisions));
            items.push(Item { label, count: " ".into(), preview: String::new(), empty: false });
            lines.push(line);
        }
    }
    match &lines[..] {
        [] => Err(Error::user("nothing bears on this lead yet").hint("lead_for and lead_against say what does")),
        [line] => {
            let line = line.clone();
            app.try_line(&line)
        }
        _ => {
            app.choose_from(format!("lead {}", lead.id), items, lines);
            Ok(())
        }
    }
}

/// Records of a verdict that are gone to.
const MOST: usize = 500;
