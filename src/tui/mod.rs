//! The screen: the workbench over an [`Engine`](crate::query::Engine) and a [`Keeper`](crate::case::Keeper), with the keyboard alone.
//!
//! In reading order: `app` holds what there is and takes events; `go` walks the trail; `commands/` are what keys and the `:` line name;
//! `panes/` show one thing each and ask for data by `jobs`; `screen` and `layout` draw. Nothing here blocks the loop, and only what has
//! changed is drawn: an idle screen costs no bytes.

pub mod key;

pub mod decode;

pub mod event;

pub mod glyphs;

pub mod moves;

pub mod frame;

pub mod scroll;

pub mod out;

pub mod settings;

pub mod terminal;

pub mod assets;

pub mod keymap;

pub mod colour;

pub mod theme;

pub mod text;

pub mod clipboard;

pub mod times;

pub mod paint;

pub mod focus;

pub mod walk;

pub mod marks;

pub mod lenses;

pub mod summary;

pub mod cells;

pub mod columns;

pub mod looks;

pub mod jobs;

pub mod writer;

pub mod load;

pub mod live;

pub mod effect;

pub mod joins;

pub mod view;

pub mod widgets;

pub mod bytes;

pub mod conversation;

pub mod panes;

pub mod commands;

pub mod layout;

pub mod options;

pub mod app;

mod answers;

mod apply;

pub mod export;

mod extract;

mod files;

mod finding;

mod go;

mod handing;

mod handing_over;

mod marked;

mod overlay;

mod place;

mod run;

pub mod plain;

mod screen;

mod split;

mod sweeping;

mod tabs;

pub use app::{App, Event};
pub use options::Options;
pub use run::run;
