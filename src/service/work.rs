//! What goes on and on: imports, captures, the check of a case, and news for who looks at it. Each ends when its client does not want it any more,
//! or is gone: an import and a capture are somebody's, and end with them as they would if they ran in their process.

use super::answer::{Body, body, state};
use super::ask::{Ask, ImportNote};
use super::connection::Reply;
use super::frame;
use super::order::{CaptureOrder, ImportOrder};
use super::pruned;
use super::question::Set;
use crate::error::{Error, Result};
use crate::ingest::exported::{import_export, open_export};
use crate::ingest::live::{self, InHead, Summary};
use crate::ingest::{Input, Live, Watch, ingest};
use crate::model::harmless::clean;
use crate::model::live::LiveStatus;
use crate::query::LocalEngine;
use crate::sources::archive::keys;
use crate::sources::input::Stop;
use crate::store::now;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked whether something is new.
const LOOK: Duration = Duration::from_millis(150);

/// Does what a long request asks for.
pub(super) fn work(ask: Ask, file: Option<OwnedFd>, reply: &Reply) -> Result<Body> {
    let shared = &reply.conn.shared;
    match ask {
        Ask::Import(order) => import(&order, file, reply),
        Ask::Capture(order, files) => {
            own(reply, "a capture")?;
            let stop = stop(reply);
            let summary = capture(&shared.engine, &order, files, &stop, &|live| shared.captures.add(live), &mut |status| {
                reply.note(status);
            })?;
            body(reply, &summary)
        }
        Ask::Verify(how) => {
            if how.repair {
                // What cannot be read is given up for everybody.
                own(reply, "a repair")?;
            }
            body(reply, &shared.engine.store().verify_how(how)?)
        }
        Ask::Prune(order, dry) => {
            // What is dropped is gone for everybody.
            own(reply, "a prune")?;
            let stop = stop(reply);
            let outcome =
                pruned::prune(&shared.engine, &reply.conn.keeper, &order, pruned::newest(&shared.engine), dry, &|| stop())?;
            shared.news();
            body(reply, &outcome)
        }
        Ask::ImportExport(paths) => {
            own(reply, "an import of files")?;
            let paths: Vec<PathBuf> = paths.into_iter().map(|p| OsString::from_vec(p).into()).collect();
            let watch = Watch { stop: stop(reply), progress: &|_| (), now: now() };
            let report = import_export(shared.engine.store(), &open_export(&paths)?, &watch)?;
            shared.news();
            body(reply, &report)
        }
        Ask::Watch => {
            let mut said = None;
            while !reply.cancel().is_cancelled() {
                let mut now = state(&shared.engine);
                now.capture = shared.captures.status();
                // What could not be said is said the next time.
                if said.as_ref() != Some(&now) && reply.note(&now) {
                    said = Some(now);
                }
                shared.wait_for_news(LOOK);
            }
            Err(Error::cancelled())
        }
        _ => Err(Error::internal("a short request came to the long ones")),
    }
}

fn stop(reply: &Reply) -> Stop {
    let cancel = reply.cancel().clone();
    Arc::new(move || cancel.is_cancelled())
}

/// Files are read and interfaces opened with the rights of this process: not for somebody else.
fn own(reply: &Reply, what: &str) -> Result<()> {
    if reply.conn.peer.is_own() {
        return Ok(());
    }
    let holder = crate::case::who().unix;
    Err(Error::user(format!("{what} would be made with the rights of {holder}, who holds the case"))
        .hint("ask them to; a file can be handed over: backtrail ingest - < FILE"))
}

fn import(order: &ImportOrder, file: Option<OwnedFd>, reply: &Reply) -> Result<Body> {
    if order.paths.iter().any(|p| p != b"-") {
        own(reply, "an import of files")?;
    }
    let input: Option<Input> = match (order.reads_input(), file) {
        (false, _) => None,
        (true, Some(file)) => Some(Arc::new(Mutex::new(Some(Box::new(File::from(file)))))),
        (true, None) => return Err(Error::input("standard input was not handed over")),
    };
    let (sender, answers) = crossbeam_channel::bounded::<(String, crossbeam_channel::Sender<Option<String>>)>(1);
    let ask = order.asks.then(|| -> keys::Ask {
        Arc::new(move |archive| {
            let (back, said) = crossbeam_channel::bounded(1);
            sender.send((archive.to_owned(), back)).ok()?;
            said.recv().ok().flatten()
        })
    });
    let request = order.request(input, ask)?;
    let watch = Watch {
        stop: stop(reply),
        progress: &|progress| {
            reply.note(&ImportNote::Progress(progress.clone()));
        },
        now: now(),
    };
    // Who is asked for passwords waits in a thread of its own, since the request may be asked from any.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok((archive, back)) = answers.recv() {
                let said = reply.ask_back(&ImportNote::Password(archive));
                let _ = back.send(said.and_then(|said| frame::take(&said).ok()).flatten());
            }
        });
        let report = ingest(reply.conn.shared.engine.store(), &request, &watch);
        // The last who could ask is gone with it.
        drop(request);
        reply.conn.shared.news();
        body(reply, &report?)
    })
}

/// Captures until it is stopped, in this process. Rows are seen before they are committed; `begun` is given the handle of what runs, `tell` how it
/// does.
pub fn capture(
    engine: &Arc<LocalEngine>,
    order: &CaptureOrder,
    files: Vec<(String, Set)>,
    stop: &Stop,
    begun: &dyn Fn(Live),
    tell: &mut dyn FnMut(&LiveStatus),
) -> Result<Summary> {
    let (request, store) = (order.request(engine, files)?, engine.store().clone());
    let ended: Arc<Mutex<Option<Summary>>> = Arc::default();
    let kept = Arc::clone(&ended);
    let live = Live::start("capture", move |feeder| {
        let publish = InHead { store: store.clone(), feeder: feeder.clone() };
        let tell = |status: &LiveStatus| feeder.tell(status.clone());
        let watch = live::Watch { stop: feeder.stop(), tell: &tell, publish: Some(Box::new(publish)) };
        let summary = live::capture(&store, &request, watch)?;
        let said = summary.said();
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(summary);
        Ok(said)
    })?;
    begun(live.clone());
    let mut told = LiveStatus::default();
    loop {
        let ended = live.ended();
        let status = live.status();
        if status != told {
            tell(&status);
            told = status;
        }
        match ended {
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) => break,
            None => {}
        }
        if stop() {
            live.stop();
        }
        let _ = live.changes().recv_timeout(Duration::from_millis(50));
    }
    let summary = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
    summary.ok_or_else(|| Error::internal("a capture ended without a summary"))
}

/// The captures that run.
#[derive(Default)]
pub(super) struct Captures(Mutex<Vec<Live>>);

impl Captures {
    /// One more.
    pub fn add(&self, live: Live) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(live);
    }
    /// How they do, all together; none: none runs.
    pub fn status(&self) -> Option<LiveStatus> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(Live::is_running);
        let mut out = LiveStatus::default();
        for status in all.iter().map(Live::status) {
            out.sources.extend(status.sources);
            out.notices.extend(status.notices.iter().map(|n| clean(n).into_owned()));
        }
        (!all.is_empty()).then_some(out)
    }
}
