//! A case opened for a command: held by this process, or by another that serves it; or a temporary one that is forgotten.
//!
//! A program in a terminal never holds a case itself, since a key may stop it: it joins whoever does, or starts a process that will. Others hold it
//! while they run, unless it is held, and serve whoever comes meanwhile.

use super::{Cx, Done};
use crate::case::{Keeper, LocalKeeper};
use crate::error::{Error, Result};
use crate::ingest::exported::{import_export, open_export};
use crate::ingest::live::Summary;
use crate::ingest::{Progress, Report, Request, Watch, ingest};
use crate::model::live::LiveStatus;
use crate::query::{Engine, LocalEngine};
use crate::service::pruned::{self, Outcome};
use crate::service::question::Set;
use crate::service::{
    CaptureOrder, Client, ImportOrder, PruneOrder, RemoteEngine, RemoteKeeper, Serving, Starter, Typed, peer, work,
};
use crate::sources::archive::keys;
use crate::sources::input::Stop;
use crate::store::lock::is_held;
use crate::store::sizes::Size;
use crate::store::verify::{Check, How};
use crate::store::{OpenOptions, Store, now};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may hold the case and serve nobody, as while it opens it, before that is said.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried to hold it.
const LOOK: Duration = Duration::from_millis(10);

/// An open case.
pub struct Opened {
    /// What questions are asked of.
    pub engine: Arc<dyn Engine>,
    /// What decisions are given to.
    pub keeper: Arc<dyn Keeper>,
    /// What was repaired when it was opened.
    pub notices: Vec<String>,
    case: Case,
}

enum Case {
    /// This process holds it.
    Here { engine: Arc<LocalEngine>, serving: Option<Serving>, _temporary: Option<TempDir> },
    /// Another does.
    There(Client),
}

impl Opened {
    fn here(store: Store, temporary: Option<TempDir>) -> Opened {
        let mut notices = store.notices();
        let engine = Arc::new(LocalEngine::new(store.clone(), Box::new(crate::query::known::Known::default())));
        // Where there can be no socket nobody can join, which keeps nobody from working here.
        let serving = if temporary.is_none() { Serving::start(Arc::clone(&engine), false).ok() } else { None };
        if let Some(serving) = &serving {
            notices = serving.notices();
        }
        Opened {
            engine: engine.clone(),
            keeper: Arc::new(LocalKeeper::new(store)),
            notices,
            case: Case::Here { engine, serving, _temporary: temporary },
        }
    }
    fn there(client: Client) -> Opened {
        Opened {
            engine: Arc::new(RemoteEngine::new(client.clone())),
            keeper: Arc::new(RemoteKeeper::new(client.clone())),
            notices: client.welcome().notices,
            case: Case::There(client),
        }
    }
    fn open(cx: &Cx, create: bool) -> Result<Opened> {
        let opened = if in_terminal() { Opened::reach(cx, create)? } else { Opened::hold_or_join(cx, create)? };
        opened.say_notices();
        Ok(opened)
    }
    fn say_notices(&self) {
        for notice in &self.notices {
            let _ = writeln!(std::io::stderr(), "note: {notice}");
        }
    }
    fn reach(cx: &Cx, create: bool) -> Result<Opened> {
        Client::reach(&cx.case, starter(cx, create)?, cx.wait.max(PATIENCE)).map(Opened::there)
    }
    fn hold_or_join(cx: &Cx, create: bool) -> Result<Opened> {
        let starter = starter(cx, create)?;
        if starter.is_none() {
            return Opened::reach(cx, create);
        }
        let options = OpenOptions { create, ..OpenOptions::default() };
        let begun = Instant::now();
        loop {
            if let Some(client) = Client::join(&cx.case, starter.clone())? {
                return Ok(Opened::there(client));
            }
            match Store::open(&cx.case, &options) {
                Ok(store) => return Ok(Opened::here(store, None)),
                Err(e) if is_held(&e) && begun.elapsed() < cx.wait.max(PATIENCE) => std::thread::sleep(LOOK),
                Err(e) => return Err(e),
            }
        }
    }

    /// The case, which has to be there.
    pub fn existing(cx: &Cx) -> Result<Opened> {
        must_exist(cx)?;
        Opened::open(cx, false)
    }

    /// The case, made if it is not there.
    pub fn or_create(cx: &Cx) -> Result<Opened> {
        Opened::open(cx, true)
    }

    /// The case as a workbench has it: held by another process, whatever this one's terminal is.
    pub fn served(cx: &Cx) -> Result<Opened> {
        let opened = Opened::reach(cx, true)?;
        opened.say_notices();
        Ok(opened)
    }

    /// The case held by this process, for what needs it alone: refused while another holds it. Made if it is not there and that is wanted.
    pub fn alone_or_create(cx: &Cx, create: bool) -> Result<Opened> {
        let options = OpenOptions { create, wait: cx.wait, ..OpenOptions::default() };
        let opened = Opened::here(Store::open(&cx.case, &options)?, None);
        opened.say_notices();
        Ok(opened)
    }

    /// A temporary case with these files in it, forgotten at the end. What could not be read is said on standard error.
    pub fn temporary(paths: &[PathBuf]) -> Result<(Opened, Done)> {
        let dir = TempDir::with_prefix("backtrail-")
            .map_err(|e| Error::store(format!("cannot make a temporary case: {e}")).hint("set TMPDIR to where there is space"))?;
        let options =
            OpenOptions { create: true, ballast: 0, forget: true, name: Some("temporary".into()), ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("case"), &options)?;
        let request = Request { paths: paths.to_vec(), ..Request::default() };
        let watch = Watch { stop: Arc::new(|| false), progress: &|_| (), now: now() };
        let report = ingest(&store, &request, &watch)?;
        for file in report.files.iter().filter(|f| f.is_incomplete()) {
            let _ = writeln!(std::io::stderr(), "note: {}: {}", file.path, file.note());
        }
        Ok((Opened::here(store, Some(dir)), if report.is_incomplete() { Done::Partly } else { Done::All }))
    }

    /// The store, of a case that this process holds.
    pub fn store(&self) -> Result<&Store> {
        match &self.case {
            Case::Here { engine, .. } => Ok(engine.store()),
            Case::There(client) => {
                Err(Error::store(format!("process {} holds the case, which this needs alone", client.holder()))
                    .at_path(client.dir())
                    .hint("leave every workbench and capture on it, then try again"))
            }
        }
    }

    /// The client, of a case that another process holds.
    pub fn client(&self) -> Option<&Client> {
        if let Case::There(client) = &self.case { Some(client) } else { None }
    }

    /// Imports into the case, until it is done or told to stop. `typed`: how paths were typed, by which they are called in what is told.
    pub fn import(
        &self,
        order: &ImportOrder,
        typed: &Typed,
        progress: &(dyn Fn(&Progress) + Sync),
        ask: Option<keys::Ask>,
        stop: Stop,
    ) -> Result<Report> {
        let progress = |now: &Progress| progress(&Progress { path: typed.shown(&now.path), ..now.clone() });
        let mut report = match &self.case {
            Case::Here { engine, .. } => {
                let watch = Watch { stop, progress: &progress, now: now() };
                ingest(engine.store(), &order.request(None, ask)?, &watch)?
            }
            Case::There(client) => {
                // Options are refused here as they would be there, before anything is journalled or read.
                order.request(None, None)?;
                let input = std::io::stdin();
                let input = order.reads_input().then(|| input.as_fd());
                client.import(order, input, &progress, ask.as_ref(), &stop)?
            }
        };
        for file in &mut report.files {
            file.path = typed.shown(&file.path);
        }
        Ok(report)
    }

    /// Drops days of the case, or says which would go.
    pub fn prune(&self, order: &PruneOrder, dry: bool, stop: &Stop) -> Result<Outcome> {
        match &self.case {
            Case::Here { engine, .. } => pruned::prune(engine, &*self.keeper, order, pruned::newest(engine), dry, &|| stop()),
            Case::There(client) => client.prune(order, dry, stop),
        }
    }

    /// Takes an export into the case; paths of its files as they were typed.
    pub fn import_export(&self, paths: &[PathBuf], stop: Stop) -> Result<Report> {
        match &self.case {
            Case::Here { engine, .. } => {
                let watch = Watch { stop, progress: &|_| (), now: now() };
                import_export(engine.store(), &open_export(paths)?, &watch)
            }
            Case::There(client) => client.import_export(ImportOrder::of(paths)?.paths, &stop),
        }
    }

    /// Captures into the case until it is stopped.
    pub fn capture(
        &self,
        order: &CaptureOrder,
        files: Vec<(String, Set)>,
        stop: &Stop,
        tell: &mut dyn FnMut(&LiveStatus),
    ) -> Result<Summary> {
        match &self.case {
            Case::Here { engine, serving, .. } => {
                let begun = |live| {
                    if let Some(serving) = serving {
                        serving.captures(live);
                    }
                };
                work::capture(engine, order, Vec::new(), stop, &begun, tell)
            }
            Case::There(client) => client.capture(order, files, stop, tell),
        }
    }

    /// Checks the case.
    pub fn verify(&self, how: How) -> Result<Check> {
        match &self.case {
            Case::Here { engine, .. } => engine.store().verify_how(how),
            Case::There(client) => client.verify(how),
        }
    }

    /// What each part of the case takes, and records.
    pub fn sizes(&self) -> Result<(Vec<Size>, u64)> {
        match &self.case {
            Case::Here { engine, .. } => engine.store().sizes(),
            Case::There(client) => client.sizes(),
        }
    }
}

/// Says that there is no case where there is none.
pub fn must_exist(cx: &Cx) -> Result<()> {
    if cx.case.join("case.toml").exists() {
        return Ok(());
    }
    let hint =
        if cx.named { "backtrail --case DIR ingest PATH makes it" } else { "backtrail ingest PATH makes it; or --case DIR" };
    Err(Error::store("there is no case").at_path(&cx.case).hint(hint))
}

/// How a process is started that holds the case; none: it is somebody else's, who has to.
fn starter(cx: &Cx, create: bool) -> Result<Option<Starter>> {
    if peer::is_others(&cx.case) {
        return Ok(None);
    }
    let program =
        std::env::current_exe().map_err(|e| Error::internal(format!("this program cannot be found to serve the case: {e}")))?;
    Ok(Some(Starter { program, create, linger: None }))
}

/// Whether a key of a terminal may stop this process.
fn in_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}

/// From now on SIGINT, SIGTERM and SIGHUP are a wish to stop, once; a second one ends the process as ever.
pub fn stop_on_signals() -> Result<Stop> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_default(signal, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .map_err(|e| Error::internal(format!("signals cannot be taken: {e}")))?;
    }
    Ok(Arc::new(move || asked.load(Ordering::Relaxed)))
}
