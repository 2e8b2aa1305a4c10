//! Panes: one file, one pane. A pane shows one thing, is given the names of commands (never keys), and asks for data by jobs.
//!
//! How a pane lives: somebody pushes [`Effect::Open`]; [`Pane::opened`] is called once and asks for what the pane shows; answers come to
//! [`Pane::answer`]; every command that the keymap gives for the pane's name (else for `global`) is offered to [`Pane::run`] first and goes
//! to the app when it says [`Handled::No`]. Panes never act on the app: they push [`Effect`]s, which `App::apply` carries out.
//!
//! To add one: write `src/tui/panes/<name>.rs` with a struct that implements [`Pane`]; add its `pub mod` line here; add the command that
//! opens it in `src/tui/commands/`; cover it with a key script in `tests/it/screens.rs`.

pub mod home;

pub mod rows;

pub mod detail;

pub mod card;

pub mod timeline;

pub mod packets;

pub mod stream;

pub mod trail;

pub mod sources;

pub mod findings;

pub mod playbook;

pub mod situation;

pub mod profile;

pub mod sweep;

pub mod case;

pub mod overview;

pub mod groups;

pub mod sets;

pub mod columns;

pub mod grouped;

pub mod links;

use super::effect::{Cx, Effect};
use super::export::Given;
use super::jobs::Answer;
use super::view::View;
use super::walk::RowPlace;
use crate::case::verdicts::Subject;
use crate::error::Result;
use crate::pivots::Selection;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Whether a command was a pane's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It was; nobody else gets it.
    Yes,
    /// It was not: the app is asked next.
    No,
}

/// What has changed in the case while a pane is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something was entered: bookmarks, notes, verdicts, tags, a source's clock.
    Decisions,
    /// The zone in which times are shown, the theme, or the size.
    Looks,
    /// Records came: of the capture that runs. About once a second.
    Records,
}

/// One part of the screen that shows one thing.
pub trait Pane {
    /// Its name: the scope of its keys in keymaps, e.g. `packets`.
    fn name(&self) -> &'static str;
    /// What it shows, for the title line: at most a few words.
    fn title(&self) -> String;
    /// Its own commands beside those that every pane may take (`move_up`, `copy` ...): name and doc.
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Called once when it is opened: asks for its data.
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        let _ = cx;
        Ok(())
    }
    /// Runs a command. Its arguments are in `cx.args`; the height that the pane was last drawn with is its own to remember.
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled>;
    /// Takes a piece of an answer to a job that it asked. An error is shown by the app before this is called.
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        let _ = (answer, cx);
        Ok(())
    }
    /// Something has changed in the case.
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        let _ = (change, cx);
        Ok(())
    }
    /// Where its cursor stands, if it belongs to a node of the walk that remembers it.
    fn place(&self) -> Option<RowPlace> {
        None
    }
    /// What the cursor is on: pivots, `=`, `!`, `y`, notes and verdicts work on it.
    fn selected(&self) -> Selection {
        Selection::default()
    }
    /// What a verdict is given on, if not on a row or value: groups of alerts.
    fn subjects(&self) -> Vec<Subject> {
        Vec::new()
    }
    /// What `y` copies, if it is not the selected value: a label for the message, and the text.
    fn copied(&self) -> Option<(String, String)> {
        None
    }
    /// Its lines as text, so that one can find something in them (`find`, `find_next`); empty: it has its own way, or none.
    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
    /// Which of [`lines`](Pane::lines) the cursor is on.
    fn line(&self) -> usize {
        0
    }
    /// Puts the cursor on one of [`lines`](Pane::lines).
    fn stand(&mut self, line: usize) {
        let _ = line;
    }
    /// Rows and time for the right end of the hint line, e.g. `4,182 rows · 3 ms`.
    fn status(&self) -> String {
        String::new()
    }
    /// Whether it is there again, as it was, when one comes back to where one went on from it.
    fn stays(&self) -> bool {
        false
    }
    /// What it needs to be there again after a restart, if the command that opens it does not know by itself.
    fn kept(&self) -> Option<String> {
        None
    }
    /// What `export` writes to a file instead of the rows of the lens.
    fn given(&self) -> Option<Given> {
        None
    }
    /// Draws it. `view.focused` says whether its cursor is the active one.
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View);
}

/// Opens a pane over the body of the screen; `Esc` and `q` close it.
pub fn open(pane: impl Pane + 'static) -> Effect {
    Effect::Open(Box::new(pane))
}
