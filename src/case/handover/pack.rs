//! The files of a bundle: written beside where it goes, then moved there as a folder, or packed. Names are our own; only the owner can read them.

use super::{Written, refused, sha256};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::sources::input::hash_prefix;
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Checked by `sha256sum -c`.
pub const MANIFEST: &str = "MANIFEST.sha256";
/// What all files of an archive lie in.
const FOLDER: &str = "handover";

/// What a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder.
    Folder,
    /// A zip.
    Zip,
    /// A tar.
    Tar,
}

impl Form {
    /// By where it goes, which must not be taken.
    pub fn of(to: &Path) -> Result<Form> {
        let ends = |with: &str| to.extension().is_some_and(|e| e.eq_ignore_ascii_case(with));
        let form = if ends("zip") {
            Form::Zip
        } else if ends("tar") {
            Form::Tar
        } else {
            Form::Folder
        };
        let empty = form == Form::Folder && to.is_dir() && std::fs::read_dir(to).map_err(refused(to))?.next().is_none();
        if to.symlink_metadata().is_ok() && !empty {
            let what = if to.is_dir() { "the folder is not empty" } else { "the file is there already" };
            return Err(Error::user(format!("cannot hand over: {what}")).at_path(to).hint("-w a name that is not taken"));
        }
        Ok(form)
    }
}

/// Files that are being written.
pub(super) struct Files {
    dir: TempDir,
    written: BTreeMap<String, Written>,
}

impl Files {
    /// In a folder of their own beside where they go, so that moving them is one step. It goes with whatever is left in it.
    pub(super) fn beside(to: &Path) -> Result<Files> {
        let beside = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = tempfile::Builder::new().prefix(".backtrail-handover-").tempdir_in(beside).map_err(refused(to))?;
        std::fs::create_dir(dir.path().join("files")).map_err(refused(to))?;
        Ok(Files { dir, written: BTreeMap::new() })
    }
    /// Where a file is to be written that is then taken by [`Files::take`].
    pub(super) fn room(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.path().join("files").join(name);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(refused(above))?;
        }
        Ok(path)
    }
    /// Writes a file.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.room(name)?;
        File::create_new(&path).and_then(|mut f| f.write_all(bytes)).map_err(refused(&path))?;
        let written = Written { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(bytes) };
        self.written.insert(name.to_owned(), written);
        Ok(())
    }
    /// Takes a file that was written where [`Files::room`] said.
    pub(super) fn take(&mut self, name: &str) -> Result<()> {
        let path = self.room(name)?;
        let size = path.metadata().map_err(refused(&path))?.len();
        let written = Written { name: name.to_owned(), size, sha256: hash_prefix(&path, u64::MAX)? };
        self.written.insert(name.to_owned(), written);
        Ok(())
    }
    /// Writes the manifest and moves everything to where it goes. Gives the files, and the hash by which the whole is known: of the archive, or
    /// of the manifest of a folder.
    pub(super) fn finish(mut self, to: &Path, form: Form, cancel: &Cancel) -> Result<(Vec<Written>, String)> {
        let sums: String = self.written.values().map(|w| format!("{}  {}\n", w.sha256, w.name)).collect();
        self.add(MANIFEST, sums.as_bytes())?;
        let manifest = self.written.remove(MANIFEST);
        let mut files: Vec<Written> = self.written.values().cloned().collect();
        files.extend(manifest);
        let root = self.dir.path().join("files");
        let sha256 = match form {
            Form::Folder => {
                for file in &files {
                    std::fs::set_permissions(root.join(&file.name), Permissions::from_mode(0o400)).map_err(refused(to))?;
                }
                std::fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(refused(to))?;
                // An empty folder of that name gives way.
                std::fs::rename(&root, to).map_err(refused(to))?;
                files.last().map(|m| m.sha256.clone()).unwrap_or_default()
            }
            Form::Zip | Form::Tar => {
                let part = self.dir.path().join("archive");
                if form == Form::Zip {
                    zip(&root, &files, &part, cancel)?
                } else {
                    tar(&root, &files, &part, cancel)?
                }
                std::fs::set_permissions(&part, Permissions::from_mode(0o400)).map_err(refused(to))?;
                let sha256 = hash_prefix(&part, u64::MAX)?;
                std::fs::rename(&part, to).map_err(refused(to))?;
                sha256
            }
        };
        Ok((files, sha256))
    }
}

fn zip(root: &Path, files: &[Written], part: &Path, cancel: &Cancel) -> Result<()> {
    let failed = |e: zip::result::ZipError| Error::input(format!("cannot write the archive: {e}")).at_path(part);
    let mut archive = ZipWriter::new(BufWriter::new(File::create_new(part).map_err(refused(part))?));
    for file in files {
        cancel.check()?;
        // No time of writing: the same files give the same archive.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o400)
            .large_file(file.size >= u64::from(u32::MAX));
        archive.start_file(format!("{FOLDER}/{}", file.name), options).map_err(failed)?;
        let mut content = File::open(root.join(&file.name)).map_err(refused(part))?;
        std::io::copy(&mut content, &mut archive).map_err(refused(part))?;
    }
    let out = archive.finish().map_err(failed)?;
    let out = out.into_inner().map_err(|e| refused(part)(e.into_error()))?;
    out.sync_all().map_err(refused(part))
}

fn tar(root: &Path, files: &[Written], part: &Path, cancel: &Cancel) -> Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(File::create_new(part).map_err(refused(part))?));
    for file in files {
        cancel.check()?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.size);
        header.set_mode(0o400);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let content = File::open(root.join(&file.name)).map_err(refused(part))?;
        archive.append_data(&mut header, format!("{FOLDER}/{}", file.name), content).map_err(refused(part))?;
    }
    let out = archive.into_inner().map_err(refused(part))?;
    let out = out.into_inner().map_err(|e| refused(part)(e.into_error()))?;
    out.sync_all().map_err(refused(part))
}
