//! A question, and the records that answer it: parse -> check (makes the typed `Filter`) -> run; completion; the `Engine` trait.

pub mod question;

pub mod engine;

pub use engine::Engine;
pub use question::{Question, Stage};
