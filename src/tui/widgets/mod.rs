//! Widgets: parts of a screen that several panes and overlays are made of. One file, one widget.
//!
//! A widget knows neither the case nor the app: it is given what it shows, the names of commands (never keys), and a buffer to draw into.
//!
//! To add one: write `src/tui/widgets/<name>.rs`, opening with what it shows; add its `pub mod` line here.

pub mod scroll;

pub mod prompt;

pub mod scatter;

pub mod menu;

pub mod finder;

pub mod help;

pub mod hex;

pub mod tree;

pub mod table;
