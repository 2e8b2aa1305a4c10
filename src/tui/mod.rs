//! The screen.

pub mod key;

pub mod event;

pub mod glyphs;

pub mod terminal;
