//! What a workbench is told without asking: that others entered something, that records came, how captures do, that another process holds the case.

use crate::model::live::LiveStatus;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::{Arc, Mutex, PoisonError};

/// Something new. Clones share it.
#[derive(Debug, Clone)]
pub struct News {
    told: Arc<Mutex<Told>>,
    wake: Sender<()>,
    changes: Receiver<()>,
}

/// What was told since it was taken last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Lines to be shown.
    pub said: Vec<String>,
    /// Decisions came.
    pub decisions: bool,
    /// Records came, or the live head changed.
    pub records: bool,
    /// How captures do that run where the case is held; none: none runs.
    pub capture: Option<LiveStatus>,
}

/// Most lines that wait to be shown.
const LINES: usize = 8;

impl Default for News {
    fn default() -> News {
        let (wake, changes) = bounded(1);
        News { told: Arc::default(), wake, changes }
    }
}

impl News {
    /// Something to take from here means that there is something new.
    pub fn changes(&self) -> &Receiver<()> {
        &self.changes
    }
    /// What is new, once. How captures do is told again until they have ended.
    pub fn take(&self) -> Told {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let again = Told { capture: told.capture.clone(), ..Told::default() };
        std::mem::replace(&mut *told, again)
    }
    /// Tells something.
    pub fn tell(&self, tell: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        tell(&mut told);
        told.said.truncate(LINES);
        drop(told);
        // One sign that waits is enough.
        let _ = self.wake.try_send(());
    }
}
