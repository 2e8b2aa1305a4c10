//! All integration tests, one binary: one module, one subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod again;
mod archives;
mod both;
mod cli;
mod clocks;
#[path = "../../src/store/copied.rs"]
mod copied;
mod crash;
mod docs;
mod evtx;
mod export;
mod extract;
mod feeds;
mod formats;
mod handed;
mod home;
mod hostile;
mod hour;
mod keymaps;
mod layouts;
mod links;
mod listen;
mod live;
mod live_head;
mod nat;
mod packets;
mod pivots;
mod protocols;
mod pty;
mod query;
mod rewritten;
mod screens;
mod service;
mod story;
mod support;
mod sweep;
mod themes;
mod tidy;
mod totals;
mod triage;
