//! The directory of a case: `case.toml`, permissions, the place of each session, room on the disk.

use super::segment::{make_dir, sync_dir, write_error};
use crate::error::{Error, Result};
use crate::model::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Version of the layout on disk that this build writes. It reads older ones: imports of the first have no sums by
/// day, those of the first two no passive DNS until it is derived when the case is opened, and in those of the first three no part of a live
/// capture has files of its own; those of the first four say nothing of the fields of a block and have no busiest hosts.
pub const VERSION: u32 = 5;

/// Texts that places refer to; older ones go.
const TEXTS: usize = 16;

/// How much of the disk stays free: whichever of both is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// Percent of the disk.
    pub percent: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve { percent: 2, bytes: 512 << 20 }
    }
}

/// What `case.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFile {
    /// Name of the case.
    pub name: String,
    /// Version of the layout.
    pub version: u32,
    /// When it was made, RFC 3339.
    pub created: String,
}

/// The directory of an open case.
#[derive(Debug)]
pub struct CaseDir {
    /// Where it is.
    pub path: PathBuf,
    /// What `case.toml` says.
    pub case: CaseFile,
    reserve: Reserve,
    /// Tests say how much is free.
    pub(super) free_for_tests: Option<std::sync::Arc<std::sync::atomic::AtomicU64>>,
}

impl CaseDir {
    /// Opens the directory of a case, or makes it if `create`.
    pub fn open(path: &Path, create: bool, name: Option<&str>, reserve: Reserve, now: Time) -> Result<CaseDir> {
        let file = path.join("case.toml");
        if !file.exists() {
            if !create {
                return Err(Error::store("there is no case here")
                    .at_path(path)
                    .hint("`backtrail ingest PATH` makes one and fills it"));
            }
            let empty = match std::fs::read_dir(path) {
                Ok(mut entries) => entries.all(|e| e.is_ok_and(|e| is_ours(&e.file_name().to_string_lossy()))),
                Err(_) => true,
            };
            if !empty {
                return Err(Error::store("this directory is not a case and is not empty")
                    .at_path(path)
                    .hint("name an empty or new directory with --case DIR"));
            }
            make_all(path)?;
            // A directory that was there may be open to everybody; nothing is in it yet.
            if let Ok(mode) = std::fs::metadata(path).map(|m| m.permissions().mode()) {
                let _ = std::fs::set_permissions(path, Permissions::from_mode(mode & !0o007));
            }
            let stem = path.file_name().map_or_else(|| "case".to_owned(), |n| n.to_string_lossy().into_owned());
            let case = CaseFile { name: name.map_or(stem, str::to_owned), version: VERSION, created: now.rfc3339() };
            let text = toml::to_string(&case).map_err(|e| Error::internal(format!("case.toml cannot be written: {e}")))?;
            replace(&file, text.as_bytes())?;
        }
        let text = std::fs::read_to_string(&file).map_err(|e| Error::store(format!("cannot read: {e}")).at_path(&file))?;
        let case = read_case(&text).map_err(|e| e.at_path(&file))?;
        Ok(CaseDir { path: path.to_owned(), case, reserve, free_for_tests: None })
    }
    /// Says in `case.toml` that what is written from now on may be of this version: older programs then refuse the case.
    pub fn upgrade(&mut self) -> Result<()> {
        if self.case.version >= VERSION {
            return Ok(());
        }
        let file = self.path.join("case.toml");
        let text = std::fs::read_to_string(&file).map_err(|e| Error::store(format!("cannot read: {e}")).at_path(&file))?;
        let mut table: toml::Table =
            text.parse().map_err(|e| Error::store(format!("case.toml cannot be understood: {e}")).at_path(&file))?;
        table.insert("version".to_owned(), i64::from(VERSION).into());
        replace(&file, table.to_string().as_bytes())?;
        self.case.version = VERSION;
        Ok(())
    }
    /// In words, if everybody on this machine can look into it: copying may have loosened what was 0700.
    pub fn exposed(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.path).ok()?.permissions().mode() & 0o777;
        let path = self.path.display();
        (mode & 0o007 != 0)
            .then(|| format!("everybody on this machine can look into the case (mode {mode:o}): chmod -R o= {path}"))
    }
    /// Whether the disk has room beyond what stays free.
    pub fn room(&self) -> Result<()> {
        self.room_for(0)
    }
    /// Whether it has room for so much.
    pub fn room_for(&self, bytes: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.path)
            .map_err(|e| Error::store(format!("cannot ask how much of the disk is free: {e}")).at_path(&self.path))?;
        let size = stat.f_frsize.max(1);
        let mut free = stat.f_bavail.saturating_mul(size);
        if let Some(told) = &self.free_for_tests {
            free = told.load(std::sync::atomic::Ordering::Relaxed);
        }
        let keep = self.reserve.bytes.max(stat.f_blocks.saturating_mul(size) / 100 * self.reserve.percent.min(100));
        if free >= keep.saturating_add(bytes) {
            return Ok(());
        }
        let mib = |n: u64| n >> 20;
        Err(Error::store(format!("the disk is almost full: {} MiB are free, {} MiB stay free", mib(free), mib(keep)))
            .at_path(&self.path)
            .hint("free some space on this disk, or move the case to another one; what was imported before is kept"))
    }
    /// Sets some space aside that can be given up when the disk is full all the same. Without room: nothing.
    pub fn keep_ballast(&self, bytes: u64) {
        let path = self.path.join("ballast");
        let have = std::fs::metadata(&path).map_or(0, |m| m.len());
        if bytes == 0 || have >= bytes || self.room().is_err() {
            return;
        }
        if let Ok(file) = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)
            && rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_err()
        {
            let _ = std::fs::remove_file(&path);
        }
    }
    /// Gives up the space set aside.
    pub fn drop_ballast(&self) {
        let _ = std::fs::remove_file(self.path.join("ballast"));
    }
    /// Saves where a session stands.
    pub fn save_place(&self, user: &str, session: &str, place: &str) -> Result<()> {
        let dir = self.path.join("place");
        make_dir(&dir)?;
        replace(&dir.join(format!("{}-{}", plain(user), plain(session))), place.as_bytes())
    }
    /// Keeps a text that somebody typed or pasted and that a place refers to, under a name of its content, which it
    /// gives. Only the newest 16 are kept.
    pub fn keep_text(&self, text: &str) -> Result<String> {
        let dir = self.path.join("place");
        make_dir(&dir)?;
        let dir = dir.join("texts");
        make_dir(&dir)?;
        let name: String = Sha256::digest(text).iter().take(8).map(|b| format!("{b:02x}")).collect();
        let path = dir.join(&name);
        replace(&path, text.as_bytes())?;
        let mut kept: Vec<_> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .filter(|(_, kept)| *kept != path)
            .collect();
        kept.sort_unstable();
        for (_, old) in kept.iter().rev().skip(TEXTS - 1) {
            let _ = std::fs::remove_file(old);
        }
        Ok(name)
    }
    /// A text that was kept; none: it is gone.
    pub fn kept_text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path.join("place").join("texts").join(plain(name))).ok()
    }
    /// Where a user stood last, in any session.
    pub fn place(&self, user: &str) -> Option<String> {
        let prefix = format!("{}-", plain(user));
        let entries = std::fs::read_dir(self.path.join("place")).ok()?;
        let newest = entries
            .filter_map(|e| e.ok())
            .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
            .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&prefix) && !n.ends_with(".new")))
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .max()?;
        std::fs::read_to_string(newest.1).ok()
    }
}

/// Names that may stand in a directory that becomes a case: what an interrupted start leaves behind.
fn is_ours(name: &str) -> bool {
    matches!(name, "LOCK" | "sock" | "sock.new" | "service.log" | "ballast" | "journal.log" | "seg" | "catalog" | "place")
        || name.starts_with("catalog.bad-")
        || name.starts_with("case.toml.") && name.ends_with(".new")
}

fn read_case(text: &str) -> Result<CaseFile> {
    let hint = "restore case.toml from a copy, or write name, version and created into it by hand";
    let table: toml::Table = text.parse().map_err(|e| Error::store(format!("case.toml cannot be understood: {e}")).hint(hint))?;
    let version = table.get("version").and_then(toml::Value::as_integer).unwrap_or(0);
    if version > i64::from(VERSION) {
        return Err(Error::store(format!(
            "the case was made by a newer backtrail (layout {version}, this one reads up to {VERSION})"
        ))
        .hint("use the backtrail that made it, or a newer one"));
    }
    table.try_into().map_err(|e| Error::store(format!("case.toml cannot be understood: {e}")).hint(hint))
}

fn make_all(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        make_all(parent)?;
    }
    make_dir(path)
}

/// Replaces a file by rename: at any moment the old or the new one is whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two that replace it at once each write a file of their own.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}-{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let new = PathBuf::from(new);
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|e| write_error(&e, path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn plain(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' }).take(64).collect();
    if plain.is_empty() { "_".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_of_a_newer_version_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/case");
        let open = || CaseDir::open(&path, true, None, Reserve { percent: 0, bytes: 0 }, Time(0));
        assert_eq!(open().unwrap().case.name, "case");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(path.join("case.toml"), "name = \"x\"\nversion = 7\nnew = 1\n").unwrap();
        let error = open().unwrap_err();
        assert!(error.what.contains("newer") && error.what.contains('7'), "{error}");
    }

    #[test]
    fn texts_are_kept_by_their_content_and_are_no_places() {
        let dir = tempfile::tempdir().unwrap();
        let case = CaseDir::open(&dir.path().join("case"), true, None, Reserve { percent: 0, bytes: 0 }, Time(0)).unwrap();
        case.save_place("ana", "1", "here").unwrap();
        let first = case.keep_text("10.0.0.1").unwrap();
        assert_eq!(case.keep_text("10.0.0.1").unwrap(), first);
        assert_eq!(case.kept_text(&first).as_deref(), Some("10.0.0.1"));
        (0..TEXTS + 3).for_each(|n| drop(case.keep_text(&format!("text {n}")).unwrap()));
        let newest = case.keep_text("the newest").unwrap();
        assert_eq!(std::fs::read_dir(case.path.join("place/texts")).unwrap().count(), TEXTS);
        assert!(case.kept_text(&newest).is_some());
        assert_eq!(case.kept_text("../../case.toml"), None);
        assert_eq!(case.place("ana").as_deref(), Some("here"));
        assert_eq!(case.place("texts"), None);
    }

    #[test]
    fn a_directory_with_other_things_is_not_made_a_case() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.txt"), "x").unwrap();
        let error = CaseDir::open(dir.path(), true, None, Reserve::default(), Time(0)).unwrap_err();
        assert!(error.what.contains("not empty"), "{error}");
    }

    #[test]
    fn the_place_of_a_user_is_the_newest_of_all_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let case = CaseDir::open(&dir.path().join("c"), true, None, Reserve::default(), Time(0)).unwrap();
        assert_eq!(case.place("ada"), None);
        case.save_place("ada", "pts/1", "one").unwrap();
        case.save_place("ada", "pts/1", "two").unwrap();
        case.save_place("bob", "../../x", "three").unwrap();
        assert_eq!(case.place("ada").as_deref(), Some("two"));
        assert_eq!(case.place("bob").as_deref(), Some("three"));
    }
}
