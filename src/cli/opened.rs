//! A case opened for a command: the store with its engine and keeper; or a temporary one that is forgotten.

use super::{Cx, Done};
use crate::case::{Keeper, LocalKeeper};
use crate::error::{Error, Result};
use crate::ingest::{Progress, Report, Request, Watch, ingest};
use crate::query::{Engine, LocalEngine};
use crate::sources::input::Stop;
use crate::store::{OpenOptions, Store, now};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// An open case.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What questions are asked of.
    pub engine: Arc<dyn Engine>,
    /// What decisions are given to.
    pub keeper: Arc<dyn Keeper>,
    /// What was repaired when it was opened.
    pub notices: Vec<String>,
    _temporary: Option<TempDir>,
}

impl Opened {
    fn over(store: Store, temporary: Option<TempDir>) -> Opened {
        let notices = store.notices();
        Opened {
            engine: Arc::new(LocalEngine::new(store.clone(), Box::new(crate::query::known::Known::default()))),
            keeper: Arc::new(LocalKeeper::new(store.clone())),
            store,
            notices,
            _temporary: temporary,
        }
    }

    fn open(cx: &Cx, create: bool) -> Result<Opened> {
        let options = OpenOptions { create, wait: cx.wait, ..OpenOptions::default() };
        let opened = Opened::over(Store::open(&cx.case, &options)?, None);
        for notice in &opened.notices {
            let _ = writeln!(std::io::stderr(), "note: {notice}");
        }
        Ok(opened)
    }

    /// The case, which has to be there.
    pub fn existing(cx: &Cx) -> Result<Opened> {
        if !cx.case.join("case.toml").exists() {
            let hint = if cx.named {
                "backtrail --case DIR ingest PATH makes it"
            } else {
                "backtrail ingest PATH makes it; or --case DIR"
            };
            return Err(Error::store("there is no case").at_path(&cx.case).hint(hint));
        }
        Opened::open(cx, false)
    }

    /// The case, made if it is not there.
    pub fn or_create(cx: &Cx) -> Result<Opened> {
        Opened::open(cx, true)
    }

    /// A temporary case with these files in it, forgotten at the end. What could not be read is said on standard error.
    pub fn temporary(paths: &[PathBuf]) -> Result<(Opened, Done)> {
        let dir = TempDir::with_prefix("backtrail-")
            .map_err(|e| Error::store(format!("cannot make a temporary case: {e}")).hint("set TMPDIR to where there is space"))?;
        let options =
            OpenOptions { create: true, ballast: 0, forget: true, name: Some("temporary".into()), ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("case"), &options)?;
        let opened = Opened::over(store, Some(dir));
        let report = opened.ingest(&Request { paths: paths.to_vec(), ..Request::default() }, &|_| (), Arc::new(|| false))?;
        for file in report.files.iter().filter(|f| f.is_incomplete()) {
            let _ = writeln!(std::io::stderr(), "note: {}: {}", file.path, file.note());
        }
        Ok((opened, if report.is_incomplete() { Done::Partly } else { Done::All }))
    }

    /// Imports into the case, until it is done or told to stop.
    pub fn ingest(&self, request: &Request, progress: &(dyn Fn(&Progress) + Sync), stop: Stop) -> Result<Report> {
        ingest(&self.store, request, &Watch { stop, progress, now: now() })
    }
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
