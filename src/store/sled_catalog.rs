//! The catalog in sled 0.34.7. Facts that shape this file: its `open` panics on a damaged file, so it runs in a thread of its own whose
//! panic is an answer; its `flush` does not make data durable on Linux, so the file is synced by us; after a full disk its drop hangs, so
//! a handle that failed is never dropped; values above 4 KiB may become files that are never synced, so there are none.

use super::catalog::{Catalog, Change, MAX_VALUE};
use crate::error::{Error, Result};
use crate::model::guard;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long opening may take before the catalog is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// sled behind [`Catalog`].
pub struct SledCatalog {
    db: Option<sled::Db>,
    file: PathBuf,
    failed: bool,
}

impl SledCatalog {
    /// Opens or creates it. An error means doubt: the caller sets the directory aside and rebuilds.
    pub fn open(dir: &Path) -> Result<SledCatalog> {
        let (send, receive) = mpsc::channel();
        let path = dir.to_owned();
        let open = move || {
            let opened = guard::quietly(|| {
                let db = sled::Config::new()
                    .path(&path)
                    .cache_capacity(16 << 20)
                    .flush_every_ms(Some(1000))
                    .mode(sled::Mode::LowSpace)
                    .open()?;
                for entry in db.iter() {
                    entry?;
                }
                Ok::<_, sled::Error>(db)
            });
            let _ = send.send(opened);
        };
        std::thread::Builder::new()
            .name("catalog-open".to_owned())
            .spawn(open)
            .map_err(|e| Error::store(format!("cannot start a thread: {e}")))?;
        let doubt = |why: String| Error::store(format!("the catalog cannot be opened: {why}")).at_path(dir);
        match receive.recv_timeout(PATIENCE) {
            Ok(Some(Ok(db))) => Ok(SledCatalog { db: Some(db), file: dir.join("db"), failed: false }),
            Ok(Some(Err(e))) => Err(doubt(e.to_string())),
            Ok(None) => Err(doubt("it is damaged".to_owned())),
            Err(_) => Err(doubt("it does not answer".to_owned())),
        }
    }
}

impl Catalog for SledCatalog {
    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let Some(db) = &self.db else { return Ok(()) };
        for entry in db.iter() {
            let (key, value) = entry.map_err(|e| Error::store(format!("the catalog cannot be read: {e}")))?;
            each(&key, &value)?;
        }
        Ok(())
    }
    fn check(&self) -> Result<()> {
        if self.failed || self.db.is_none() { Err(failed_before()) } else { Ok(()) }
    }
    fn commit(&mut self, changes: Vec<Change>) -> Result<()> {
        self.check()?;
        let Some(db) = &self.db else { return Err(failed_before()) };
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) if value.len() > MAX_VALUE => return Err(Error::internal("a value of the catalog is too large")),
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let done = db
            .apply_batch(batch)
            .and_then(|()| db.flush())
            .map_err(|e| e.to_string())
            .and_then(|_| File::open(&self.file).and_then(|f| f.sync_data()).map_err(|e| e.to_string()));
        done.map_err(|e| {
            self.failed = true;
            Error::store(format!("the catalog cannot be written: {e}")).hint("free space on the disk, then start backtrail again")
        })
    }
}

fn failed_before() -> Error {
    Error::store("the catalog failed before").hint("start backtrail again: it repairs by itself")
}

impl Drop for SledCatalog {
    fn drop(&mut self) {
        if self.failed
            && let Some(db) = self.db.take()
        {
            std::mem::forget(db);
        }
    }
}
