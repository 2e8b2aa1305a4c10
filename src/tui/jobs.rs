//! Jobs: engine calls on worker threads. One slot holds one job, the latest wins; a job is given up by its `Cancel`.
//!
//! Jobs of one slot never run beside each other's answers: an answer carries the number of its job, and the app drops it unless that job
//! is still the slot's newest.

use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::query::Engine;
use crate::query::engine::Cancel;
use crossbeam_channel::{Receiver, Sender};
use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The work of a job.
pub type WorkFn = Box<dyn FnOnce(&Work) -> Result<()> + Send>;

/// Something to do on a worker thread for a slot of a pane.
pub struct Job {
    /// The pane that asks and gets the answers.
    pub pane: &'static str,
    /// The slot: a newer job of the same pane and slot replaces this one.
    pub slot: &'static str,
    /// The work.
    pub work: WorkFn,
}

/// A piece of an answer.
pub struct Answer {
    /// The pane that asked.
    pub pane: &'static str,
    /// The slot that it asked for.
    pub slot: &'static str,
    /// Number of the job.
    pub job: u64,
    /// What came.
    pub body: Body,
}

/// What came from a job.
pub enum Body {
    /// A result or a part of one; [`Answer::take`] gives it in its own type.
    Piece(Box<dyn Any + Send>),
    /// The job has ended well: no more pieces.
    Done,
    /// The job has failed; cancelled jobs end silently.
    Failed(Error),
}

impl Answer {
    /// The piece, if it is one of this type.
    pub fn take<T: 'static>(self) -> Option<T> {
        match self.body {
            Body::Piece(piece) => piece.downcast().ok().map(|piece| *piece),
            Body::Done | Body::Failed(_) => None,
        }
    }
    /// Whether the piece is of this type.
    pub fn is<T: 'static>(&self) -> bool {
        matches!(&self.body, Body::Piece(piece) if piece.is::<T>())
    }
    /// Whether the job has ended.
    pub fn ended(&self) -> bool {
        !matches!(self.body, Body::Piece(_))
    }
}

/// What the work of a job is done with.
pub struct Work {
    /// The case.
    pub engine: Arc<dyn Engine>,
    /// What people entered.
    pub keeper: Arc<dyn Keeper>,
    /// Set when the answer is no longer wanted.
    pub cancel: Cancel,
    pane: &'static str,
    slot: &'static str,
    job: u64,
    answers: Sender<Answer>,
}

impl Work {
    /// Gives a piece of the answer; the pane gets it as soon as the loop comes round.
    pub fn give<T: Send + 'static>(&self, piece: T) {
        self.send(Body::Piece(Box::new(piece)));
    }
    fn send(&self, body: Body) {
        // The loop is gone only when the program ends.
        let _ = self.answers.send(Answer { pane: self.pane, slot: self.slot, job: self.job, body });
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// The worker threads, and which job is the newest of each slot.
pub struct Jobs {
    engine: Arc<dyn Engine>,
    keeper: Arc<dyn Keeper>,
    tasks: Sender<Task>,
    answers: Sender<Answer>,
    newest: HashMap<(&'static str, &'static str), (u64, Cancel)>,
    number: u64,
}

impl Jobs {
    /// Starts `threads` workers; answers arrive at the receiver, by the sender others may send theirs.
    pub fn start(
        engine: Arc<dyn Engine>,
        keeper: Arc<dyn Keeper>,
        threads: usize,
    ) -> Result<(Jobs, Receiver<Answer>, Sender<Answer>)> {
        let (tasks, todo) = crossbeam_channel::unbounded::<Task>();
        let (answers, receiver) = crossbeam_channel::unbounded();
        for n in 0..threads.max(1) {
            let todo = todo.clone();
            std::thread::Builder::new()
                .name(format!("ask-{n}"))
                .spawn(move || todo.iter().for_each(|task| task()))
                .map_err(|err| Error::internal(format!("a worker thread cannot be started: {err}")))?;
        }
        let sender = answers.clone();
        Ok((Jobs { engine, keeper, tasks, answers, newest: HashMap::new(), number: 0 }, receiver, sender))
    }
    /// Queues a job and cancels the one that its slot had.
    pub fn ask(&mut self, job: Job) {
        self.cancel(job.pane, job.slot);
        self.number += 1;
        let cancel = Cancel::default();
        self.newest.insert((job.pane, job.slot), (self.number, cancel.clone()));
        let work = Work {
            engine: self.engine.clone(),
            keeper: self.keeper.clone(),
            cancel,
            pane: job.pane,
            slot: job.slot,
            job: self.number,
            answers: self.answers.clone(),
        };
        let run = job.work;
        let task = move || {
            if work.cancel.is_cancelled() {
                return;
            }
            // A bug in one question must not take the session down: it is shown as an error.
            let ended = catch_unwind(AssertUnwindSafe(|| run(&work)))
                .unwrap_or_else(|_| Err(Error::internal(format!("the job {}/{} broke off", work.pane, work.slot))));
            work.send(match ended {
                Ok(()) => Body::Done,
                Err(err) => Body::Failed(err),
            });
        };
        // Sending fails only when every worker is gone, at the end of the program.
        let _ = self.tasks.send(Box::new(task));
    }
    /// Whether an answer is still wanted; an answer that ends its job frees the slot.
    pub fn accept(&mut self, answer: &Answer) -> bool {
        let slot = (answer.pane, answer.slot);
        let wanted = self.newest.get(&slot).is_some_and(|(number, _)| *number == answer.job);
        if wanted && answer.ended() {
            self.newest.remove(&slot);
        }
        wanted
    }
    /// Gives up the job of a slot. Whether there was one.
    pub fn cancel(&mut self, pane: &'static str, slot: &'static str) -> bool {
        match self.newest.remove(&(pane, slot)) {
            Some((_, cancel)) => {
                cancel.cancel();
                true
            }
            None => false,
        }
    }
    /// Gives up every job of a pane. Whether there was one.
    pub fn cancel_pane(&mut self, pane: &str) -> bool {
        let slots: Vec<_> = self.newest.keys().filter(|(p, _)| *p == pane).copied().collect();
        slots.into_iter().fold(false, |any, (p, s)| self.cancel(p, s) || any)
    }
    /// Whether any job is running or waiting.
    pub fn busy(&self) -> bool {
        !self.newest.is_empty()
    }
    /// Whether somebody waits for a job: those of the panes or slots in `but` come when they come.
    pub fn awaited(&self, but: &[&str]) -> bool {
        self.newest.keys().any(|(pane, slot)| !but.contains(pane) && !but.contains(slot))
    }
    /// Whether a slot's job is running or waiting.
    pub fn asks(&self, pane: &'static str, slot: &'static str) -> bool {
        self.newest.contains_key(&(pane, slot))
    }
}
