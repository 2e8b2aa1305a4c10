//! Tables of a case: indicators and registrations compiled once, each in a file of its own, found again without reading it.
//!
//! A table is named after the SHA-256 of what it was made of, so a case that is copied has them, and the same file twice is one table.
//! Layout: a page of head, rows, sorted runs with their indexes, values, a description in JSON, whose place the head says.

pub mod pages;

pub mod indicators;

pub mod ranges;

use crate::error::{Error, Result};
use pages::{PAGE, Pages, Place, Sorted};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// The beginning of every table: what it is and the version of its layout.
const MAGIC: &[u8; 8] = b"btrtbl\x002";
/// Largest description.
const DESCRIPTION_MAX: u64 = 1 << 20;

/// What a table says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// SHA-256 of the file that it was made of, hexadecimal.
    pub sha256: String,
    /// Format that it was read as.
    pub format: String,
    /// Rows or networks.
    pub entries: u64,
    /// Lines or objects that were not understood.
    pub failed: u64,
    /// Indicators by the hash of their text.
    #[serde(default)]
    pub exact: Option<Place>,
    /// Networks.
    #[serde(default)]
    pub networks: Option<Place>,
    /// Ranges of addresses with the number of their value.
    #[serde(default)]
    pub ranges: Option<Place>,
    /// Where the values of ranges are: offset and bytes.
    #[serde(default)]
    pub values: Option<(u64, u64)>,
}

/// An open table.
pub struct Table {
    /// What it says of itself.
    pub about: Description,
    pages: Arc<Pages>,
    exact: Option<Sorted>,
    networks: Option<Sorted>,
    ranges: Option<Sorted>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.about.fmt(f)
    }
}

impl Table {
    /// Opens a table: reads its head and the indexes of its runs.
    pub fn open(path: &Path) -> Result<Table> {
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).at_path(path).hint(AGAIN);
        let wrong = || Error::store("this is no table of a case, or it is damaged").at_path(path).hint(AGAIN);
        let file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let pages = Arc::new(Pages::new(file));
        let head = pages.bytes(0, 24).map_err(fail)?;
        let number = |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
        let (Some(at), Some(len)) = (number(8), number(16)) else { return Err(wrong()) };
        if !head.starts_with(MAGIC) || len > DESCRIPTION_MAX || at.checked_add(len).is_none_or(|end| end > size) {
            return Err(wrong());
        }
        let text = pages.bulk(at, usize::try_from(len).unwrap_or(0)).map_err(fail)?;
        let about: Description = serde_json::from_slice(&text).map_err(|_| wrong())?;
        // Records are cut by fixed positions: a run of other widths would be read past its end.
        let open = |place: Option<Place>, shape: (u16, u16)| match place {
            Some(p) if (p.width, p.key) != shape => Err(wrong()),
            place => place.map(|p| Sorted::open(&pages, p, size)).transpose().map_err(fail),
        };
        let exact = open(about.exact, indicators::EXACT)?;
        let networks = open(about.networks, indicators::NETWORKS)?;
        let ranges = open(about.ranges, ranges::RANGES)?;
        if about.values.is_some_and(|(at, len)| at.checked_add(len).is_none_or(|end| end > size)) {
            return Err(wrong());
        }
        Ok(Table { about, pages, exact, networks, ranges })
    }
}

const AGAIN: &str = "`backtrail feeds refresh` makes it anew from the file that it came from";

/// The folder of a case's tables.
pub fn folder(case: &Path) -> PathBuf {
    case.join("context")
}

/// Where the table made of a file stands.
pub fn path(case: &Path, sha256: &str) -> PathBuf {
    folder(case).join(format!("{}.tbl", sha256.get(..32).unwrap_or(sha256)))
}

/// Takes the next record of a run.
type Push<'a> = dyn FnMut(&[u8]) -> std::io::Result<()> + 'a;

/// A table being written. It takes its place in the case when it is whole.
pub(super) struct Writer {
    file: BufWriter<NamedTempFile>,
    at: u64,
}

impl Writer {
    /// In the folder of a case, which is made if it is not there, as open to others as the case is.
    pub fn new(case: &Path) -> Result<Writer> {
        let dir = folder(case);
        let fail = |e: std::io::Error| Error::io("cannot write", &dir, &e);
        if !dir.is_dir() {
            std::fs::create_dir(&dir).or_else(|e| if dir.is_dir() { Ok(()) } else { Err(e) }).map_err(fail)?;
            if let Ok(mode) = std::fs::metadata(case).map(|m| m.permissions()) {
                let _ = std::fs::set_permissions(&dir, mode);
            }
        }
        let mut file = BufWriter::with_capacity(1 << 18, NamedTempFile::new_in(&dir).map_err(fail)?);
        file.write_all(&[0; PAGE]).map_err(fail)?;
        Ok(Writer { file, at: PAGE as u64 })
    }
    fn error(e: &std::io::Error) -> Error {
        Error::store(format!("a table of the case cannot be written: {e}")).hint("free some space on this disk")
    }
    /// Writes bytes; gives where they begin.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.at;
        self.file.write_all(bytes).map_err(|e| Writer::error(&e))?;
        self.at += bytes.len() as u64;
        Ok(at)
    }
    /// Writes sorted records of a width, which begin with a key of a width; gives their place.
    pub fn sorted(&mut self, shape: (u16, u16), fill: &mut dyn FnMut(&mut Push<'_>) -> Result<()>) -> Result<Place> {
        let (width, key) = (usize::from(shape.0), usize::from(shape.1));
        let gap = self.at.next_multiple_of(PAGE as u64) - self.at;
        self.bytes(&vec![0; usize::try_from(gap).unwrap_or(0)])?;
        let mut run = pages::SortedWriter::new(width, key, self.at);
        let file = &mut self.file;
        fill(&mut |record| run.push(record, &mut *file))?;
        let place = run.end(&mut self.file).map_err(|e| Writer::error(&e))?;
        self.at = self.file.stream_position().map_err(|e| Writer::error(&e))?;
        Ok(place)
    }
    /// Ends the table: it is on disk, under its name, when this returns.
    pub fn end(mut self, case: &Path, about: &Description) -> Result<PathBuf> {
        let text = serde_json::to_vec(about).map_err(|e| Error::internal(format!("a table cannot be described: {e}")))?;
        let at = self.bytes(&text)?;
        let mut head = MAGIC.to_vec();
        head.extend(at.to_be_bytes());
        head.extend((text.len() as u64).to_be_bytes());
        let fail = |e: &std::io::Error| Writer::error(e);
        self.file.seek(SeekFrom::Start(0)).map_err(|e| fail(&e))?;
        self.file.write_all(&head).map_err(|e| fail(&e))?;
        let file = self.file.into_inner().map_err(|e| fail(e.error()))?;
        file.as_file().sync_all().map_err(|e| fail(&e))?;
        let path = path(case, &about.sha256);
        // As readable for others as the folder is.
        if let Ok(mode) = std::fs::metadata(folder(case)).map(|m| m.permissions()) {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(mode.mode() & 0o440 | 0o400);
            let _ = std::fs::set_permissions(file.path(), mode);
        }
        file.persist(&path).map_err(|e| Error::io("cannot write", &path, &e.error))?;
        File::open(folder(case)).and_then(|d| d.sync_all()).map_err(|e| fail(&e))?;
        Ok(path)
    }
}
