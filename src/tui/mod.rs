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

pub mod paint;

pub mod widgets;
