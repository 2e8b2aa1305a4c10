//! An investigation: trail, bookmarks, notes, report. Nothing that was entered is lost on a crash: all of it are decisions of the journal,
//! and what is shown here is computed from them.

pub mod behind;

pub mod block;

pub mod bookmarks;

pub mod cutting;

pub mod extract;

pub mod findings;

pub mod gathered;
pub mod handing;

pub mod handover;

pub mod home;

pub mod keeper;

pub mod leads;

pub mod local;

pub mod lookup;

pub mod notes;
pub mod overview;

pub mod pins;

pub mod playbooks;

pub mod profile;

pub mod pruning;

pub mod replay;

pub mod report;

pub mod situation;

pub mod sources;

pub mod standing;

pub mod trail;

pub mod triage;

pub mod verdicts;

pub use keeper::Keeper;
pub use local::{LocalKeeper, session, user_name, who};
