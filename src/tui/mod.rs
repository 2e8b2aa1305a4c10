//! The screen.

pub mod key;

pub mod event;

pub mod glyphs;

pub mod terminal;

pub mod assets;

pub mod keymap;

pub mod colour;

pub mod theme;

pub mod text;

pub mod clipboard;

pub mod times;

pub mod paint;

pub mod focus;

pub mod walk;

pub mod marks;

pub mod lenses;

pub mod summary;

pub mod cells;

pub mod jobs;

pub mod load;

pub mod effect;

pub mod view;

pub mod widgets;

pub mod bytes;

pub mod conversation;

pub mod panes;

/// Options of the workbench.
#[derive(Default)]
pub struct Options {
    /// Theme.
    pub theme: Option<String>,
    /// Keymap.
    pub keymap: Option<String>,
    /// Begin anew.
    pub fresh: bool,
    /// Notices.
    pub notices: Vec<String>,
}

/// Runs the workbench.
pub fn run(
    _: std::sync::Arc<dyn crate::query::Engine>,
    _: std::sync::Arc<dyn crate::case::Keeper>,
    _: Options,
) -> crate::error::Result<()> {
    Ok(())
}
