//! The commands of the app, by subject: one table each. Keymaps, the palette, the `:` line, help and the README read them.
//!
//! To add one: a function and its row in the file of its subject, or a new file with a table and its line in [`ALL`]. A command's name
//! is its function's name. What it does to the app is in the function; what panes want is an [`Effect`](super::effect::Effect).
//! A command of a pane is named by [`Pane::commands`](super::panes::Pane::commands) and run by the pane.

use super::app::App;
use crate::error::Result;

/// A command of the app.
pub struct Command {
    /// Name: what keymaps and the `:` line say.
    pub name: &'static str,
    /// What it takes, e.g. `QUERY`, `[TITLE]`; empty: nothing.
    pub args: &'static str,
    /// What it does, in one short sentence.
    pub doc: &'static str,
    /// Does it; the text is what follows the name.
    pub run: fn(&mut App, &str) -> Result<()>,
}
