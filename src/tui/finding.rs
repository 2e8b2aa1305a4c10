//! The finder over this case: commands, lenses, bookmarks, nodes of the trail, fields, and the values that the case has. Help, too.

use super::app::App;
use super::jobs::Answer;
use super::overlay::Overlay;
use super::times::thousands;
use super::view::View;
use super::widgets::finder::{Did, Finder, Item};
use super::widgets::help::Help;
use super::{commands, focus, lenses};
use crate::error::Result;
use crate::model::entity::EntityKind;
use crate::model::field::{self, FieldId};
use crate::model::{Entity, Value};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::HashSet;

/// Values of these fields can be found.
const FIELDS: &[FieldId] = &[
    field::SRC_IP,
    field::DST_IP,
    field::NAME,
    field::SNI,
    field::HTTP_HOST,
    field::HOSTNAME,
    field::SIGNATURE,
    field::USER,
    field::URL,
    field::SHA256,
    field::MD5,
    field::JA4,
    field::CVE,
    field::ANSWER_IP,
    field::SRC_MAC,
];
/// So many values of each field are offered before anything is typed, the most frequent ones.
const FIRST: usize = 3000;
/// So many that begin with what is typed.
const BY_PREFIX: usize = 300;

/// Values that the case has.
struct Values(Vec<(FieldId, Value, u64)>);

/// The finder, and what it was given already.
pub struct Finding {
    finder: Finder,
    known: HashSet<(EntityKind, String)>,
}

impl Finding {
    /// Types or pastes a text.
    pub fn type_text(&mut self, what: &str) {
        let mut letters = what.chars();
        match (letters.next(), letters.next()) {
            (Some(c), None) => self.finder.type_char(c),
            _ => self.finder.paste(what),
        };
        self.match_all();
    }
    fn match_all(&mut self) {
        while self.finder.work() {}
    }
    /// Draws it; gives the place of the cursor.
    pub fn draw(&mut self, buf: &mut Buffer, area: Rect, view: &View) -> Option<(u16, u16)> {
        let at = self.finder.draw(buf, area, view.theme, view.glyphs);
        Some((at.x, at.y))
    }
    fn add(&mut self, values: Vec<(FieldId, Value, u64)>) {
        let mut items = Vec::new();
        for (id, value, n) in values {
            let Some(entity) = Entity::of(id, &value) else { continue };
            let text = focus::show(&entity);
            if !self.known.insert((entity.kind, text.clone())) {
                continue;
            }
            let doc = format!("{} records as {}", thousands(n), field::name(id));
            let action = format!("focus {}", focus::Focus::Entity(entity.clone()).to_text());
            items.push(Item { kind: entity.kind.name(), text, doc, action });
        }
        self.finder.add(items);
        self.match_all();
    }
}

impl App {
    /// Opens the finder.
    pub(super) fn open_finder(&mut self) {
        let history = self.histories.get("find").cloned().unwrap_or_default();
        let mut finder = Finder::new(&history);
        let mut items = Vec::new();
        for bookmark in &self.marks.bookmarks {
            let action = format!("go_bookmark {}", bookmark.id);
            items.push(Item { kind: "bookmark", text: bookmark.title.clone(), doc: bookmark.query.clone(), action });
        }
        for lens in lenses::ALL {
            let doc = self.has(lens.name).unwrap_or_default();
            items.push(Item { kind: "lens", text: lens.title.into(), doc, action: format!("lens {}", lens.name) });
        }
        for command in commands::all().filter(|c| !c.name.starts_with("lens_")) {
            let keys = self.keymap.keys_of(command.name);
            let doc = format!("{} {}", command.doc, keys.first().map(|k| format!("({k})")).unwrap_or_default());
            items.push(Item { kind: "command", text: command.name.replace('_', " "), doc, action: command.name.into() });
        }
        for known in field::ALL {
            let action = format!("offer_filter {} = ", known.name);
            items.push(Item { kind: "field", text: known.name.into(), doc: known.doc.into(), action });
        }
        finder.add(items);
        let mut finding = Finding { finder, known: HashSet::new() };
        finding.match_all();
        self.overlay = Some(Overlay::Finder(Box::new(finding)));
        self.ask("values", |work| {
            for id in FIELDS {
                let values = work.engine.values(*id, "", FIRST, &work.cancel)?;
                work.give(Values(values.into_iter().map(|(v, n)| (*id, v, n)).collect()));
            }
            Ok(())
        });
    }
    /// Asks for values that begin with what is typed and were not among the frequent ones.
    pub(super) fn look_up(&mut self) {
        let Some(Overlay::Finder(finding)) = &self.overlay else { return };
        let typed = finding.finder.text().trim().to_owned();
        if typed.len() < 2 {
            return;
        }
        self.ask("prefix", move |work| {
            for id in FIELDS {
                let values = work.engine.values(*id, &typed, BY_PREFIX, &work.cancel)?;
                work.give(Values(values.into_iter().map(|(v, n)| (*id, v, n)).collect()));
            }
            Ok(())
        });
    }
    /// Runs a command of the finder's scope.
    pub(super) fn finder_command(&mut self, name: &str) -> Result<bool> {
        let Some(Overlay::Finder(finding)) = &mut self.overlay else { return Ok(false) };
        let did = finding.finder.run(name);
        let typed = finding.finder.text().to_owned();
        match did {
            Did::Chosen(item) => {
                self.close_finder(&typed);
                self.try_line(&item.action)?;
            }
            Did::Cancelled => self.close_finder(&typed),
            Did::Moved => {
                if let Some(Overlay::Finder(finding)) = &mut self.overlay {
                    finding.match_all();
                }
                // A value that no record has can still be looked at: it says why there is nothing.
                let known = crate::model::Entity::recognise(&typed).is_some() || super::focus::Focus::of_end(&typed).is_some();
                if matches!(name, "accept" | "drill") && known {
                    self.close_finder(&typed);
                    self.try_line(&format!("focus {typed}"))?;
                }
            }
            Did::Nothing => return Ok(false),
        }
        Ok(true)
    }
    fn close_finder(&mut self, typed: &str) {
        self.histories.entry("find".into()).or_default().add(typed);
        self.overlay = None;
        self.jobs.cancel(super::app::APP, "values");
        self.jobs.cancel(super::app::APP, "prefix");
    }
    /// Takes values for the finder.
    pub(super) fn finder_answer(&mut self, answer: Answer) -> Result<()> {
        if let (Some(Overlay::Finder(finding)), Some(Values(values))) = (&mut self.overlay, answer.take()) {
            finding.add(values);
        }
        Ok(())
    }
    /// Shows what the keys do here.
    pub(super) fn open_help(&mut self) {
        let scope = self.scope();
        let pane: Vec<(&'static str, &'static str)> = self.opened.last().map(|p| p.commands().to_vec()).unwrap_or_default();
        let doc = |line: &str| {
            let name = line.trim_start_matches(':').split_whitespace().next().unwrap_or_default();
            let own = pane.iter().find(|(n, _)| *n == name).map(|(_, doc)| (*doc).to_owned());
            own.or_else(|| commands::find(name).map(|c| c.doc.to_owned()))
        };
        let title = match self.opened.last() {
            Some(pane) => pane.title(),
            None => format!("{} of {}", self.walk.here().lens().title, self.walk.here().step.focus.label()),
        };
        let groups: Vec<(&str, Vec<&str>)> =
            commands::ALL.iter().map(|(subject, table)| (*subject, table.iter().map(|c| c.name).collect())).collect();
        let help = Help::new(format!("keys: {title}"), &self.keymap, scope, &doc, &groups);
        self.overlay = Some(Overlay::Help(help));
    }
}
