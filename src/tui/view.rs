//! What panes draw with: an immutable look at the app while a frame is made.

use super::glyphs::Glyphs;
use super::keymap::Keymap;
use super::marks::Marks;
use super::theme::Theme;
use super::times::Zone;
use crate::model::{LiveStatus, Window};
use crate::query::Engine;

/// A look at the app for one frame.
pub struct View<'a> {
    /// Styles by dotted name.
    pub theme: &'a Theme,
    /// Characters for borders, marks and plots: Unicode or ASCII.
    pub glyphs: &'a Glyphs,
    /// Keys, for hints.
    pub keymap: &'a Keymap,
    /// For cheap calls only: names of sources, paths of evidence.
    pub engine: &'a dyn Engine,
    /// The capture that runs in this process.
    pub live: Option<LiveStatus>,
    /// Bookmarks, verdicts, notes, tags and marked rows, for the gutter.
    pub marks: &'a Marks,
    /// The zone in which times are shown.
    pub zone: Zone,
    /// The window that is looked at, absolute.
    pub window: Window,
    /// The trail node (sequence in the journal) that one stands on, if it is written yet.
    pub node: Option<u64>,
    /// Whether the pane being drawn has the cursor.
    pub focused: bool,
    /// At 80x24 and below 110 columns: no side borders, one-line card and timeline.
    pub narrow: bool,
}
