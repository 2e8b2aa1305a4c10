//! Carrying out what panes want: the one place where an [`Effect`] becomes a change of the app.

use super::app::{App, Ask, Message};
use super::clipboard;
use super::commands;
use super::effect::{Cx, Effect};
use super::focus::Focus;
use super::key::Key;
use super::lenses;
use super::load::compiled;
use super::overlay::Overlay;
use super::panes::Pane;
use super::times::thousands;
use super::walk::Step;
use crate::error::Error;

impl App {
    /// Says something in the message line until the next key.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.message = Some(Message::Said(text.into()));
        self.touch();
    }
    /// Shows an error there.
    pub(super) fn fail(&mut self, err: Error) {
        self.message = Some(Message::Failed(err));
        self.touch();
    }
    /// Says which keys may follow those that were pressed, and what each does.
    pub(super) fn say_what_follows(&mut self, next: &[(Key, String)]) {
        let own = self.opened.last().map(|pane| pane.commands()).unwrap_or_default();
        let doc = |command: &str| -> String {
            let of_pane = own.iter().find(|(name, _)| *name == command).map(|(_, doc)| *doc);
            of_pane.or(commands::find(command).map(|c| c.doc)).unwrap_or(command).to_owned()
        };
        let keys: Vec<String> = next.iter().map(|(key, command)| format!("{key} {}", doc(command))).collect();
        let pressed: Vec<String> = self.pending.iter().map(Key::to_string).collect();
        self.say(format!("{}, then {}", pressed.join(" "), keys.join(&format!(" {} ", self.glyphs.dot))));
    }
    pub(super) fn apply_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.apply(effect);
        }
    }
    /// Carries one effect out.
    pub(super) fn apply(&mut self, effect: Effect) {
        self.touch();
        match effect {
            Effect::Go(step) => self.go(*step),
            Effect::GoNode(sequence) => self.go_node(sequence),
            Effect::GoBookmark(id) => self.go_bookmark(id),
            Effect::Open(pane) => self.open(pane),
            // The pane of a node goes with its node.
            Effect::Close if self.rooted && self.opened.len() == 1 => self.run_line("back"),
            Effect::Close => {
                if let Some(pane) = self.opened.pop() {
                    self.jobs.cancel_pane(pane.name());
                }
            }
            Effect::Append(what) => self.writer.append(what),
            Effect::Prompt { label, command, text } => self.overlay = Some(Overlay::prompt(&label, &command, &text)),
            Effect::Run(line) => self.run_line(&line),
            Effect::Copy { label, text } => self.copy(&label, &text),
            Effect::Say(text) => self.message = Some(Message::Said(text)),
            Effect::Fail(err) => self.fail(err),
            Effect::Ask(job) => self.jobs.ask(job),
            Effect::Cancel { pane, slot } => {
                self.jobs.cancel(pane, slot);
            }
            Effect::Quit => self.quit(),
            Effect::Suspend => self.asks.push(Ask::Suspend),
        }
    }
    /// Shows a pane over the body.
    pub(super) fn open(&mut self, mut pane: Box<dyn Pane>) {
        // The same pane is not opened twice over itself.
        if let Some(at) = self.opened.iter().position(|p| p.name() == pane.name()) {
            let first = usize::from(self.rooted);
            self.opened.truncate(at.max(first));
        }
        let (engine, keeper) = (self.engine.clone(), self.keeper.clone());
        let selection = self.selection();
        let mut cx =
            Cx { engine: &engine, keeper: &keeper, args: "", zone: self.zone, selection, pane: pane.name(), effects: Vec::new() };
        let opened = pane.opened(&mut cx);
        let effects = cx.effects;
        self.opened.push(pane);
        self.apply_all(effects);
        if let Err(err) = opened {
            self.fail(err);
        }
    }
    /// Sends a text to the responder's own clipboard; tmux may take its time, so a worker asks it.
    pub(super) fn copy(&mut self, label: &str, text: &str) {
        let (label, text) = (label.to_owned(), text.to_owned());
        self.ask("copy", move |work| {
            work.give(clipboard::copy(&label, &text)?);
            Ok(())
        });
    }
    fn go_node(&mut self, sequence: u64) {
        self.opened.truncate(usize::from(self.rooted));
        if let Some(index) = self.walk.find(sequence) {
            self.leave();
            self.walk.stand(index);
            self.enter();
            return;
        }
        // A node of an earlier session or of somebody else: its question is asked again, as a new node.
        let decisions = self.keeper.decisions();
        let found = decisions.iter().find(|d| d.sequence == sequence).map(|d| d.what.clone());
        let Some(crate::model::decision::What::Trail { label, query, lens, focus, window, .. }) = found else {
            return self.fail(Error::user(format!("the trail has no node {sequence}")));
        };
        let mut step = Step::to(Focus::parse(&focus), lenses::find(&lens).name, crate::case::trail::parse_window(&window));
        step.label = label;
        step.query = query;
        self.go(step);
    }
    fn go_bookmark(&mut self, id: u64) {
        let Some(bookmark) = self.marks.bookmarks.iter().find(|b| b.id == id).cloned() else {
            return self.fail(Error::user(format!("there is no bookmark {id}")));
        };
        self.opened.truncate(usize::from(self.rooted));
        let mut step = Step::to(Focus::parse(&bookmark.focus), lenses::find(&bookmark.lens).name, None);
        step.label.clone_from(&bookmark.title);
        step.query.clone_from(&bookmark.query);
        self.go(step);
        let (query, seen, had, title) = (bookmark.query, bookmark.seen, bookmark.rows, bookmark.title);
        self.ask("bookmark", move |work| {
            let question = compiled(&*work.engine, &query, None)?;
            let new = work.engine.changes_since(&question, seen, &work.cancel)?;
            let now = if question.stages.is_empty() {
                work.engine.counts(&[question], 10_000_000, &work.cancel)?.first().map_or(0, |c| c.n)
            } else {
                had
            };
            let said = match (new, now.cmp(&had)) {
                (0, std::cmp::Ordering::Less) => format!("{title}: {} fewer than when it was taken", thousands(had - now)),
                (0, _) => format!("{title}: nothing new since it was taken ({} rows)", thousands(now)),
                (new, _) => format!("{title}: +{} rows imported since it was taken", thousands(new)),
            };
            work.give(super::go::Said(said));
            Ok(())
        });
    }
}
