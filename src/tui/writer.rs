//! One thread writes what is to be kept, in order: decisions to the journal, the place one stands in. Waiting places are replaced by newer
//! ones; nothing else is ever skipped. The screen never waits for a disk.

use super::jobs::{Answer, Body};
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::model::decision::{Decision, What};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The name that its answers carry.
pub const NAME: &str = "writer";

enum Write {
    Append(Box<What>),
    Node { id: u64, parent: Option<u64>, what: Box<What> },
    Known { id: u64, sequence: u64 },
    Place(String),
    Flush(Sender<()>),
}

/// What became of a decision.
pub struct Written {
    /// The node of the walk that it is, if it is one.
    pub node: Option<u64>,
    /// The decision as it stands in the journal.
    pub decision: Decision,
}

/// The writing thread's other end.
pub struct Writer {
    queue: Sender<Write>,
    pending: usize,
    appended: u64,
    place: String,
}

impl Writer {
    /// Starts the thread; what became of decisions arrives at `answers`.
    pub fn start(keeper: Arc<dyn Keeper>, answers: Sender<Answer>) -> Result<Writer> {
        let (queue, todo) = crossbeam_channel::unbounded();
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&*keeper, &todo, &answers))
            .map_err(|err| Error::internal(format!("the writing thread cannot be started: {err}")))?;
        Ok(Writer { queue, pending: 0, appended: 0, place: String::new() })
    }
    /// Appends a decision.
    pub fn append(&mut self, what: What) {
        self.pending += 1;
        self.appended += 1;
        self.send(Write::Append(Box::new(what)));
    }
    /// Appends a node of the trail; its parent is filled in with the sequence that it got.
    pub fn node(&mut self, id: u64, parent: Option<u64>, what: What) {
        self.pending += 1;
        self.send(Write::Node { id, parent, what: Box::new(what) });
    }
    /// A node that the journal has already.
    pub fn known(&mut self, id: u64, sequence: u64) {
        self.send(Write::Known { id, sequence });
    }
    /// Saves the place if it is another than the last.
    pub fn place(&mut self, place: String) {
        if place != self.place {
            self.place.clone_from(&place);
            self.send(Write::Place(place));
        }
    }
    /// One of its answers has arrived.
    pub fn arrived(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }
    /// Decisions that were appended so far, nodes of the trail aside.
    pub fn appended(&self) -> u64 {
        self.appended
    }
    /// Whether decisions are still being written.
    pub fn busy(&self) -> bool {
        self.pending > 0
    }
    /// Waits until everything is on disk, at most so long.
    pub fn flush(&mut self, most: Duration) -> bool {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.send(Write::Flush(done));
        wait.recv_timeout(most).is_ok()
    }
    fn send(&self, write: Write) {
        // The thread lives as long as this end does.
        let _ = self.queue.send(write);
    }
}

fn run(keeper: &dyn Keeper, todo: &Receiver<Write>, answers: &Sender<Answer>) {
    let mut sequences: HashMap<u64, u64> = HashMap::new();
    let tell = |body| {
        let _ = answers.send(Answer { pane: NAME, slot: NAME, job: 0, body });
    };
    let mut failed_before = false;
    while let Ok(first) = todo.recv() {
        let mut batch = vec![first];
        batch.extend(todo.try_iter());
        let newest_place = batch.iter().rposition(|w| matches!(w, Write::Place(_)));
        for (n, write) in batch.into_iter().enumerate() {
            match write {
                Write::Append(what) => tell(match keeper.append(*what) {
                    Ok(decision) => Body::Piece(Box::new(Written { node: None, decision })),
                    Err(err) => Body::Failed(err),
                }),
                Write::Node { id, parent, mut what } => {
                    if let What::Trail { parent: slot, .. } = &mut *what {
                        *slot = parent.and_then(|p| sequences.get(&p).copied());
                    }
                    tell(match keeper.append(*what) {
                        Ok(decision) => {
                            sequences.insert(id, decision.sequence);
                            Body::Piece(Box::new(Written { node: Some(id), decision }))
                        }
                        Err(err) => Body::Failed(err),
                    });
                }
                Write::Known { id, sequence } => {
                    sequences.insert(id, sequence);
                }
                Write::Place(place) if Some(n) == newest_place => match keeper.save_place(&place) {
                    Ok(()) => failed_before = false,
                    // Said once, not at every step.
                    Err(err) if !failed_before => {
                        failed_before = true;
                        tell(Body::Failed(err));
                    }
                    Err(_) => {}
                },
                Write::Place(_) => {}
                Write::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }
}
