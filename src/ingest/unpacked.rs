//! A member of an archive while it is read: a file in the case's folder `evidence`, which is removed again, or kept under the name of the
//! member's key where unpacking it once more would cost too much or would need a password.

use crate::error::{Error, Result};
use crate::model::EvidenceKey;
use crate::sources::archive::Sink;
use crate::sources::reread::{copy_of, packed_copy_of};
use crate::store::Store;
use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How temporary files begin.
const PREFIX: &str = "unpack-";
/// Bytes after which the room on the disk is looked at again.
const LOOK: u64 = 16 << 20;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The folder, made if it is not there.
pub fn folder(store: &Store) -> Result<PathBuf> {
    let dir = store.dir().join("evidence");
    fs::create_dir_all(&dir).map_err(|e| Error::io("cannot make the folder for evidence", &dir, &e))?;
    Ok(dir)
}

/// Removes what a process that is no more left behind.
pub fn sweep(store: &Store) {
    let own = format!("{PREFIX}{}-", std::process::id());
    for entry in fs::read_dir(store.dir().join("evidence")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && !name.starts_with(&own) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A temporary file, removed when it is dropped.
pub struct Unpacked {
    path: PathBuf,
    file: File,
    store: Store,
    unlooked: u64,
    /// Why the case took no more.
    pub failure: Option<Error>,
}

impl Unpacked {
    /// A new one, empty.
    pub fn new(store: &Store) -> Result<Unpacked> {
        store.room()?;
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = folder(store)?.join(name);
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|e| Error::io("cannot unpack into the case", &path, &e))?;
        Ok(Unpacked { path, file, store: store.clone(), unlooked: 0, failure: None })
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Keeps it as the copy of this evidence; `pack`: with zstd.
    pub fn keep(&self, key: EvidenceKey, pack: bool) -> Result<()> {
        let dir = folder(&self.store)?;
        let to = if pack { packed_copy_of(&dir, key) } else { copy_of(&dir, key) };
        let failed = |e: io::Error| Error::io("cannot keep the member in the case", &to, &e);
        if pack {
            let half = self.path.with_extension("zst");
            let packed = self.pack(&half).and_then(|()| fs::rename(&half, &to));
            return packed.inspect_err(|_| drop(fs::remove_file(&half))).map_err(failed);
        }
        self.name(&to).map_err(failed)
    }
    /// Keeps it under another name, on disk, to be read only.
    pub fn name(&self, to: &Path) -> io::Result<()> {
        self.file.sync_data()?;
        fs::set_permissions(&self.path, Permissions::from_mode(0o400))?;
        // A second name, so that the first can be read until it is dropped.
        let _ = fs::remove_file(to);
        fs::hard_link(&self.path, to).or_else(|_| {
            fs::copy(&self.path, to)?;
            File::open(to)?.sync_data()
        })
    }
    fn pack(&self, to: &Path) -> io::Result<()> {
        let file = File::options().write(true).create_new(true).mode(0o400).open(to)?;
        let mut packer = zstd::Encoder::new(file, 1)?;
        io::copy(&mut File::open(&self.path)?, &mut packer)?;
        packer.finish()?.sync_data()
    }
}

impl Write for Unpacked {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.unlooked += buf.len() as u64;
        if self.unlooked >= LOOK {
            self.unlooked = 0;
            if let Err(e) = self.store.room() {
                self.failure = Some(e);
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
        }
        self.file.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for Unpacked {
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0)).map(|_| ())
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
