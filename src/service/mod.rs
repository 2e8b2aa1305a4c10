//! One process holds a case, others join it over a Unix socket in its directory: [`Serving`] gives [`Engine`](crate::query::Engine) and
//! [`Keeper`](crate::case::Keeper) to clients, [`RemoteEngine`] and [`RemoteKeeper`] are these on the other side.
//!
//! Frames carry plain data (postcard). A client says who it is, then asks; each request has a number, many may be under way. Long answers stream,
//! with credit for each, so that a client that reads slowly, or is stopped, makes only its own answers wait. Who it is the kernel says; it says its
//! shown name. When the process that holds the case ends, the first client that notices starts another; all ask again what they had asked.
//! It listens on no network address.

pub mod answer;

pub mod ask;

pub mod client;

pub mod connection;

pub mod engine;

pub mod frame;

pub mod keeper;

pub mod news;

pub mod order;

pub mod ordered;

pub mod peer;

pub mod place;

pub mod pruned;

pub mod question;

pub mod reach;

pub mod server;

pub mod work;

pub use client::Client;
pub use engine::RemoteEngine;
pub use keeper::RemoteKeeper;
pub use news::News;
pub use order::{CaptureOrder, ImportOrder, PruneOrder, Typed};
pub use reach::{HELD, Starter};
pub use server::Serving;
