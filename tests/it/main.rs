//! All integration tests, one binary: one module, one subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod keymaps;
mod pivots;
mod query;
mod themes;
mod formats;
mod protocols;
mod screens;
mod support;
mod tidy;
