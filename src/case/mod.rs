//! An investigation: trail, bookmarks, notes, report. Nothing that was entered is lost on a crash.

pub mod keeper;

pub use keeper::Keeper;
