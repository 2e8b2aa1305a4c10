//! The screen.

pub mod key;

pub mod event;
