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
