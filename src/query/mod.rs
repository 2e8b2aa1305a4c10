//! A question, and the records that answer it: parse -> check (makes the typed `Filter`) -> run; completion; the `Engine` trait.

pub mod question;

pub mod error;

pub mod lex;

pub mod applied;

pub mod ast;

pub mod parse;

mod parse_stages;

mod parse_time;

mod parse_words;

pub mod passive;

pub mod vocabulary;

pub mod check;

mod check_stages;

mod check_value;

pub mod sorted;

pub mod spread;

mod group_key;

pub mod stages;
pub mod summed;

pub mod sets;

pub mod verdicts;

mod standing;

pub mod complete;

pub mod engine;

pub mod known;

mod captured;

pub mod elsewhere;

pub mod knowledge;

pub mod local;

pub mod sweep;

mod translated;

mod views;

pub mod watch;

pub use check::{Scope, compile, compile_and, compile_kind, condition, leaving_out, mentions, narrow, quote, without};
pub use check_value::carried as pattern;
pub use complete::{Completion, complete};
pub use engine::{Cancel, Engine};
pub use error::QueryError;
pub use local::LocalEngine;
pub use question::{Measure, Question, Stage};
pub use sorted::{Order, Sorted};
pub use stages::Tally;
pub use standing::names as set_names;
pub use verdicts::Verdicts;
