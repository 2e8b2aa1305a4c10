//! What panes and commands want to happen: a closed list that only `App::apply` carries out.

use super::jobs::{Job, Work};
use super::panes::Pane;
use super::times::Zone;
use super::walk::Step;
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::pivots::Selection;
use crate::query::Engine;
use std::sync::Arc;

/// Something that the app is to do.
pub enum Effect {
    /// Walk to a new node of the trail.
    Go(Box<Step>),
    /// Go back to a node of the trail that was walked before, by its sequence in the journal.
    GoNode(u64),
    /// Go to a bookmark, by its id (sequence); says what has changed since it was taken.
    GoBookmark(u64),
    /// Show a pane over the body of the screen.
    Open(Box<dyn Pane>),
    /// Close the pane that was opened last.
    Close,
    /// Write a decision to the journal (in the background, in order); panes hear of it by [`Change::Decisions`](super::panes::Change).
    Append(What),
    /// Ask for a line of text and run `command` with it as its arguments.
    Prompt {
        /// What is asked, e.g. `zone of eve`.
        label: String,
        /// The command line that the text is appended to, e.g. `source_zone eve`.
        command: String,
        /// Text to begin with.
        text: String,
    },
    /// Run a command line, as if it had been typed after `:`.
    Run(String),
    /// Put a text into the responder's clipboard; the label says what it is.
    Copy {
        /// What it is.
        label: String,
        /// The text.
        text: String,
    },
    /// Say something in the message line until the next key.
    Say(String),
    /// Show an error in the message line until the next key.
    Fail(Error),
    /// Run a job in the background.
    Ask(Job),
    /// Give up the job of a pane's slot.
    Cancel {
        /// The pane that asked.
        pane: &'static str,
        /// The slot.
        slot: &'static str,
    },
    /// Leave.
    Quit,
    /// Stop and hand the terminal to the shell, as Ctrl-z does.
    Suspend,
}

/// What a pane or command works with while it runs.
pub struct Cx<'a> {
    /// The case, for calls that are cheap (names of sources, paths, span). Everything else is a job.
    pub engine: &'a Arc<dyn Engine>,
    /// What people entered.
    pub keeper: &'a Arc<dyn Keeper>,
    /// The arguments of the command line: what follows the command's name, trimmed.
    pub args: &'a str,
    /// The zone in which times are shown.
    pub zone: Zone,
    /// What was selected in the workbench when the pane was opened or the command given.
    pub selection: Selection,
    /// The pane that is running: answers to its jobs come to it.
    pub pane: &'static str,
    /// What is to happen, in order.
    pub effects: Vec<Effect>,
}

impl Cx<'_> {
    /// Adds something to do.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
    /// Says something in the message line.
    pub fn say(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Say(text.into()));
    }
    /// Runs `work` on a worker thread. A newer job of the same pane and slot cancels the older one, whose answers are dropped.
    ///
    /// `work` gives its results piece by piece with [`Work::give`]; each arrives as an [`Answer`](super::jobs::Answer) with the slot's
    /// name; long engine calls take `work.cancel`.
    pub fn ask(&mut self, slot: &'static str, work: impl FnOnce(&Work) -> Result<()> + Send + 'static) {
        let job = Job { pane: self.pane, slot, work: Box::new(work) };
        self.effects.push(Effect::Ask(job));
    }
}
