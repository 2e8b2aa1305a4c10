#![doc = include_str!("../ARCHITECTURE.md")]
// The layers in dependency order: a module may use only the modules declared above it.
// `tests/it/tidy.rs` reads this order and fails on an upward use.

// What failed, where, what to do next.
pub mod error;

// What are the nouns: time, address, flow, event, entity, field, origin, oddity, filter, decision.
pub mod model;

// What do these bytes on the wire say? One file per protocol.
pub mod protocols;

// What does this line, document or object of a log say? One file per format.
pub mod formats;

// Which packets are one conversation? Key, table, TCP state, timeouts, reassembly, fragments.
pub mod flow;

// Where do bytes come from? Captures, compression, text, folders, standard input.
pub mod sources;

// What is kept, and how is it found again? Case directory, segments, indexes, journal, recovery.
pub mod store;

// Which records of two sources are the same thing? Sightings, exact joins, names used.
pub mod links;

// What is known about an address or a name besides its traffic? Reputation, inventory, scans.
pub mod context;

// Source -> protocols or formats -> flow -> store, with progress, counts, cancellation.
pub mod ingest;

// A question, and the records that answer it.
pub mod query;

// What deviates? One file per detector.
pub mod detectors;

// What is selected -> the next question. One file per relation.
pub mod pivots;

// An investigation: trail, bookmarks, notes, report.
pub mod case;

// One process holds the case, others join it over a Unix socket.
pub mod service;

// The screen.
pub mod tui;

// The command line; the only place that prints.
pub mod cli;
