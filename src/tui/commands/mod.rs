//! The commands of the app, by subject: one table each. Keymaps, the palette, the `:` line, help and the README read them.
//!
//! To add one: a function and its row in the file of its subject, or a new file with a table and its line in [`ALL`]. A command's name
//! is its function's name. What it does to the app is in the function; what panes want is an [`Effect`](super::effect::Effect).
//! A command of a pane is named by [`Pane::commands`](super::panes::Pane::commands) and run by the pane.

use super::app::App;
use crate::error::Result;

pub mod case;

pub mod columns;

pub mod go;

pub mod home;

pub mod leads;

pub mod lens;

pub mod live;

pub mod moving;

pub mod program;

pub mod rows;

pub mod triage;

pub mod window;

/// A command of the app.
pub struct Command {
    /// Name: what keymaps and the `:` line say.
    pub name: &'static str,
    /// What it takes, e.g. `QUERY`, `[TITLE]`; empty: nothing.
    pub args: &'static str,
    /// What it does, in a few words.
    pub doc: &'static str,
    /// Does it; the text is what follows the name.
    pub run: fn(&mut App, &str) -> Result<()>,
}

/// A row of a table.
const fn command(name: &'static str, args: &'static str, doc: &'static str, run: fn(&mut App, &str) -> Result<()>) -> Command {
    Command { name, args, doc, run }
}

/// Every subject: its heading in help, and its table.
pub const ALL: &[(&str, &[Command])] = &[
    ("move", moving::TABLE),
    ("go", go::TABLE),
    ("home", home::TABLE),
    ("lenses", lens::TABLE),
    ("rows", rows::TABLE),
    ("columns", columns::TABLE),
    ("time", window::TABLE),
    ("live", live::TABLE),
    ("case", case::TABLE),
    ("leads", leads::TABLE),
    ("triage", triage::TABLE),
    ("program", program::TABLE),
];

/// Every command.
pub fn all() -> impl Iterator<Item = &'static Command> {
    ALL.iter().flat_map(|(_, table)| table.iter())
}

/// The command with a name.
pub fn find(name: &str) -> Option<&'static Command> {
    all().find(|c| c.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_documented() {
        let mut seen = std::collections::HashSet::new();
        for command in all() {
            assert!(seen.insert(command.name), "{} twice", command.name);
            assert!(command.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", command.name);
            assert!(!command.doc.is_empty() && !command.doc.ends_with('.'), "{}", command.name);
        }
    }
}
