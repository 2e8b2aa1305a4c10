//! The commands of the program. One file, one command (those that ask share one).
//!
//! To add one: write `src/cli/subcommands/<name>.rs` with a `pub struct` that implements [`Subcommand`]; add its `pub mod`
//! line and its entry in [`ALL`], in the order of `--help`.

pub mod ask;

pub mod bench;

pub mod block;

pub mod bookmark;

pub mod capture;

pub mod completions;

pub mod demo;

pub mod doctor;

pub mod export;

pub mod extract;

pub mod feeds;

pub mod fields;

pub mod findings;

pub mod formats;

pub mod handover;

pub mod home;

pub mod import;

pub mod ingest;

pub mod keys;

pub mod lead;

pub mod links;

pub mod lookup;

pub mod listen;

pub mod man;

pub mod note;

pub mod open;

pub mod overview;

pub mod packets;

pub mod pivot;

pub mod playbook;

pub mod profile;

pub mod prune;

pub mod report;

pub mod serve;

pub mod set;

pub mod inventory;

pub mod site;

pub mod situation;

pub mod sources;

pub mod sweep;

pub mod tag;

pub mod themes;

pub mod trail;

pub mod verdict;

pub mod verify;

use super::Subcommand;

/// Every command, in the order of help.
pub const ALL: &[&dyn Subcommand] = &[
    &open::Open,
    &demo::Demo,
    &ingest::Ingest,
    &capture::Capture,
    &listen::Listen,
    &home::Home,
    &overview::Overview,
    &ask::FLOWS,
    &ask::EVENTS,
    &ask::ALERTS,
    &ask::DNS,
    &ask::QUERY,
    &pivot::Pivot,
    &links::Links,
    &lookup::Lookup,
    &profile::ProfileCommand,
    &packets::Packets,
    &extract::Extract,
    &export::Export,
    &import::Import,
    &situation::Situation,
    &findings::Findings,
    &playbook::Playbook,
    &sweep::Sweep,
    &sources::Sources,
    &site::SiteCommand,
    &inventory::Inventory,
    &bookmark::Bookmark,
    &lead::Lead,
    &note::Note,
    &tag::Tag,
    &verdict::Verdict,
    &set::Set,
    &block::Block,
    &feeds::Feeds,
    &trail::Trail,
    &report::Report,
    &handover::Handover,
    &serve::Serve,
    &verify::Verify,
    &prune::Prune,
    &doctor::Doctor,
    &formats::Formats,
    &fields::Fields,
    &keys::Keys,
    &themes::Themes,
    &completions::Completions,
    &man::Man,
    &bench::Bench,
];
