//! Where answers go: to the pane that asked, to the app, or, from the writing thread, to the walk and the marks.

use super::app::{APP, App, Message};
use super::effect::Cx;
use super::jobs::{Answer, Body};
use super::joins;
use super::live;
use super::panes::{Change, Pane};
use super::split;
use super::writer::{self, Written};
use crate::error::Result;

impl App {
    /// Hands an answer to whoever asked; what nobody wants any more is dropped.
    pub(super) fn take(&mut self, answer: Answer) {
        if answer.pane == writer::NAME {
            return self.written(answer);
        }
        if !self.jobs.accept(&answer) {
            return;
        }
        self.touch();
        if let Body::Failed(err) = &answer.body
            && err.kind != crate::error::ErrorKind::Cancelled
            && answer.slot != live::SLOT
        {
            self.fail(err.clone());
        }
        let took = match answer.pane {
            APP => self.app_answer(answer),
            joins::NAME => {
                self.rows.joined(answer);
                Ok(())
            }
            "rows" if answer.slot == live::SLOT => {
                let took = self.with(|app| &mut app.rows, "rows", |pane, cx| pane.answer(answer, cx));
                self.rows_shown_again();
                took
            }
            "rows" => self.with(|app| &mut app.rows, "rows", |pane, cx| pane.answer(answer, cx)),
            split::NAME => self.with(|app| &mut app.other, split::NAME, |pane, cx| pane.answer(answer, cx)),
            "detail" => self.with(|app| &mut app.detail, "detail", |pane, cx| pane.answer(answer, cx)),
            "card" => self.with(|app| &mut app.card, "card", |pane, cx| pane.answer(answer, cx)),
            "timeline" => self.timeline.answer(answer),
            name => match self.opened.iter().rposition(|p| p.name() == name) {
                Some(at) => self.answer_opened(at, answer),
                None => Ok(()),
            },
        };
        if let Err(err) = took {
            self.fail(err);
        }
    }
    fn answer_opened(&mut self, at: usize, answer: Answer) -> Result<()> {
        let (engine, keeper) = (self.engine.clone(), self.keeper.clone());
        let selection = self.selection();
        let Some(pane) = self.opened.get_mut(at) else { return Ok(()) };
        let mut cx =
            Cx { engine: &engine, keeper: &keeper, args: "", zone: self.zone, selection, pane: pane.name(), effects: Vec::new() };
        let out = pane.answer(answer, &mut cx);
        let effects = cx.effects;
        self.apply_all(effects);
        out
    }
    /// What is said of something entered waits until the journal has it: what one has read there no kill takes away. `before`: what had
    /// been appended until then.
    pub(super) fn withhold(&mut self, before: u64) {
        if self.writer.appended() == before {
            return;
        }
        match self.message.take() {
            Some(Message::Said(text)) => self.withheld = Some(text),
            other => self.message = other,
        }
    }
    fn written(&mut self, answer: Answer) {
        self.writer.arrived();
        match answer.body {
            Body::Failed(err) => {
                self.withheld = None;
                self.fail(err);
                self.touch();
            }
            _ => {
                let Some(Written { node, decision }) = answer.take::<Written>() else { return };
                match node {
                    Some(id) => {
                        if let Some(node) = self.walk.by_id(id) {
                            node.sequence = Some(decision.sequence);
                        }
                        self.tell(Change::Decisions);
                    }
                    None => {
                        self.marks.read(&self.keeper.decisions());
                        self.entered(&decision);
                        self.touch();
                        self.tell(Change::Decisions);
                    }
                }
                self.save();
            }
        }
        // A key that was pressed meanwhile may have brought something newer to read.
        if !self.writer.busy()
            && let Some(text) = self.withheld.take()
            && self.message.is_none()
        {
            self.say(text);
        }
    }
}
