//! Imports and captures that whoever holds the case does for a client: what they say meanwhile is handed on, and they are stopped with it.

use super::ask::{Ask, ImportNote};
use super::client::{Broke, Call, Client, Got};
use super::order::{CaptureOrder, ImportOrder, PruneOrder};
use super::pruned::Outcome;
use super::question::Set;
use crate::error::{Error, Result};
use crate::ingest::live::Summary;
use crate::ingest::{Progress, Report};
use crate::model::live::LiveStatus;
use crate::sources::archive::keys;
use crate::sources::input::Stop;
use serde::de::DeserializeOwned;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How often it is asked whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Whether what was said meanwhile could be used.
type Noted = std::result::Result<(), Broke>;

/// Waits for the end of a long request.
fn wait<T: DeserializeOwned>(
    call: &mut Call,
    stop: &Stop,
    note: &mut dyn FnMut(&Call, &[u8]) -> Noted,
) -> std::result::Result<T, Broke> {
    let (mut whole, mut stopped) = (Vec::new(), false);
    loop {
        if !stopped && stop() {
            stopped = true;
            call.stop()?;
        }
        match call.next(None, Some(Instant::now() + LOOK)) {
            Ok(Got::Note(said)) => note(call, &said)?,
            Ok(Got::Piece(piece)) => whole.extend(piece),
            Ok(Got::Done(last)) => {
                whole.extend(last);
                return Ok(super::frame::take(&whole)?);
            }
            Ok(Got::Failed(error)) => return Err(error.into()),
            Ok(Got::Rows(_)) | Err(Broke::Late) => {}
            Err(broke) => return Err(broke),
        }
    }
}

impl Client {
    /// Drops days where the case is held. Lost in the middle it is asked for again: what is gone by then is not dropped twice.
    pub fn prune(&self, order: &PruneOrder, dry: bool, stop: &Stop) -> Result<Outcome> {
        let request = Ask::Prune(order.clone(), dry);
        self.again(|link| wait(&mut link.begin(&request, None)?, stop, &mut |_, _| Ok(())))
    }
    /// Takes an export in where the case is held; importing twice changes nothing. Paths as [`ImportOrder::of`] makes them.
    pub fn import_export(&self, paths: Vec<Vec<u8>>, stop: &Stop) -> Result<Report> {
        let request = Ask::ImportExport(paths);
        self.again(|link| wait(&mut link.begin(&request, None)?, stop, &mut |_, _| Ok(())))
    }
    /// Imports where the case is held. `input`: standard input, if the order reads it. Lost in the middle it is asked for again: importing twice
    /// changes nothing; but what was taken from standard input is gone.
    pub fn import(
        &self,
        order: &ImportOrder,
        input: Option<BorrowedFd<'_>>,
        progress: &(dyn Fn(&Progress) + Sync),
        ask: Option<&keys::Ask>,
        stop: &Stop,
    ) -> Result<Report> {
        let request = Ask::Import(ImportOrder { asks: ask.is_some(), ..order.clone() });
        let mut begun = false;
        self.again(|link| {
            if std::mem::replace(&mut begun, true) && input.is_some() {
                let lost = Error::store("the process that holds the case ended while it read standard input");
                return Err(Broke::Failed(lost.hint("what it had taken is not kept: give it again")));
            }
            let mut call = link.begin(&request, input)?;
            wait(&mut call, stop, &mut |call, said| {
                match super::frame::take(said)? {
                    ImportNote::Progress(now) => progress(&now),
                    ImportNote::Password(archive) => call.back(&ask.and_then(|ask| ask(&archive)))?,
                }
                Ok(())
            })
        })
    }
    /// Captures where the case is held, until it is stopped. Lost in the middle it is begun again: `tell` then sees counts that begin anew, and the
    /// summary is of what was captured last.
    pub fn capture(
        &self,
        order: &CaptureOrder,
        files: Vec<(String, Set)>,
        stop: &Stop,
        tell: &mut dyn FnMut(&LiveStatus),
    ) -> Result<Summary> {
        let request = Ask::Capture(order.clone(), files);
        let mut lost = 0;
        let mut summary: Summary = self.again(|link| {
            let mut call = link.begin(&request, None)?;
            let ended = wait(&mut call, stop, &mut |_, said| {
                tell(&super::frame::take(said)?);
                Ok(())
            });
            lost += usize::from(matches!(ended, Err(Broke::Lost)));
            ended
        })?;
        if lost > 0 {
            let times = if lost == 1 { "once".to_owned() } else { format!("{lost} times") };
            summary.notices.push(format!(
                "the process that held the case ended {times}: the capture was begun again, what it had committed before is kept"
            ));
        }
        Ok(summary)
    }
}
