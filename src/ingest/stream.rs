//! One stream: standard input, a pipe. Its bytes are kept in the case, since they cannot be read again.

use super::Run;
use super::file::{Job, recognise};
use super::report::{FileReport, Outcome};
use super::stem::stem;
use super::unknown;
use super::unpacked::folder;
use crate::error::{Error, Result};
use crate::model::{EvidenceKey, Time};
use crate::sources::archive::ArchiveKind;
use crate::sources::input::Input;
use crate::store::{Begin, NewEvidence, Store};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Imports a stream.
pub fn ingest_stream(run: &mut Run<'_>, stream: Box<dyn Read + Send>, name: &Path) -> Result<()> {
    let shown = name.display().to_string();
    run.store.room()?;
    let (key, path, file) = spool(run.store, run.watch.now)?;
    let mut input = match Input::stream(stream, Some(Box::new(file)), Arc::clone(&run.watch.stop)) {
        Ok(input) => input,
        Err(e) => {
            forget(&path);
            run.rows.push(FileReport::new(shown, Outcome::Failed(e)));
            return Ok(());
        }
    };
    let Some(what) = recognise(&input.head, run.request) else {
        // A copy that nothing refers to is of no use.
        forget(&path);
        let outcome = match ArchiveKind::of(&input.head) {
            Some(kind) => {
                let why = format!("a {} archive through a pipe: save it to a file and ingest that", kind.name());
                Outcome::NotRecognised(why)
            }
            None => unknown::outcome(&input.head, &[]),
        };
        run.rows.push(FileReport::new(shown, outcome));
        return Ok(());
    };
    let new = NewEvidence { key, path: path.display().to_string(), size: 0, modified: run.watch.now, head_hash: [0; 32] };
    let Begin::Fresh(import) = run.store.begin(&new)? else {
        return Err(Error::internal("a random evidence key was there already"));
    };
    run.progress.size = 0;
    let stem = if shown == "-" { "stdin".into() } else { stem(name) };
    let job =
        Job { path: shown, file: None, what, key, stem, modified: run.watch.now, from: 0, grown: false, stream: true, gap: None };
    let read = job.run(*import, &mut input, run).and_then(|body| body.finish(input, &|_| Ok(())));
    run.rows.push(read.inspect_err(|_| forget(&path))?);
    Ok(())
}

fn forget(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// A pipe that is opened where it is read: opening waits for a writer.
pub struct Late {
    path: PathBuf,
    file: Option<File>,
}

impl Late {
    /// Of a path.
    pub fn new(path: PathBuf) -> Late {
        Late { path, file: None }
    }
}

impl Read for Late {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        file.read(buf)
    }
}

/// A file of the case for the bytes of a stream, and a key for them: by the time and the process, since the bytes are not there yet.
fn spool(store: &Store, now: Time) -> Result<(EvidenceKey, PathBuf, File)> {
    let dir = folder(store)?;
    let mut hash = Sha256::new();
    hash.update(now.0.to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&hash.finalize()[..8]);
    let key = EvidenceKey(u64::from_be_bytes(key));
    let path = dir.join(format!("stream-{key}"));
    let file = File::options().write(true).create_new(true).mode(0o400).open(&path);
    Ok((key, path, file.map_err(|e| Error::io("cannot keep the stream in the case", &dir, &e))?))
}
