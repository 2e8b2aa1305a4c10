//! What changes the case goes through a `Keeper`: decisions, imports, the place one stands in.

use crate::error::{Error, Result};
use crate::ingest::{Progress, Report};
use crate::model::decision::{Decision, What};
use crate::sources::input::Stop;
use std::path::PathBuf;
use std::sync::Arc;

/// Writes what people enter. Every method returns only when what it was given is on disk.
pub trait Keeper: Send + Sync {
    /// Appends a decision to the journal; who and when are filled in.
    fn append(&self, what: What) -> Result<Decision>;
    /// All decisions so far, oldest first. Cheap: shared.
    fn decisions(&self) -> Arc<Vec<Decision>>;
    /// Takes files and folders in, read with the rights of the process that holds the case; ends early when told to stop.
    fn ingest(&self, paths: &[PathBuf], progress: &(dyn Fn(&Progress) + Sync), stop: &Stop) -> Result<Report> {
        let _ = (paths, progress, stop);
        Err(Error::user("this case takes nothing in"))
    }
    /// Saves the place of this session (any text); replaced by rename.
    fn save_place(&self, place: &str) -> Result<()>;
    /// Keeps a text that the place refers to, such as a list that was pasted; gives the name under which it can be read again.
    fn keep_text(&self, text: &str) -> Result<String>;
    /// A text that was kept; none: it is gone.
    fn kept_text(&self, name: &str) -> Option<String>;
    /// The place last saved by this user, if any.
    fn place(&self) -> Option<String>;
    /// Name of the case.
    fn name(&self) -> String;
    /// Directory of the case.
    fn dir(&self) -> PathBuf;
}
