//! Files below the given paths, in a fixed order, each once; links that form a loop are met once.

use crate::error::{Error, Result};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the directory of a case has: its own files are not evidence, wherever it lies.
const CASE_HAS: [&str; 3] = ["case.toml", "catalog", "journal.log"];
/// How deep folders may nest.
const MAX_DEPTH: usize = 64;

/// A file found, or what could not be looked into.
#[derive(Debug)]
pub enum Found {
    /// A regular file.
    File(PathBuf),
    /// A pipe or device that was named itself: read once, as a stream.
    Stream(PathBuf),
    /// Something that is not read, and why.
    Skipped(PathBuf, String),
    /// Something that could not be read.
    Failed(PathBuf, Error),
}

/// Every file below the paths. A path that does not exist is a failure, not an end.
pub fn walk(paths: &[PathBuf]) -> Vec<Found> {
    let mut out = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        visit(path, 0, &mut seen, &mut out);
    }
    out
}

fn visit(path: &Path, depth: usize, seen: &mut HashSet<(u64, u64)>, out: &mut Vec<Found>) {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) => {
            let hint = if e.kind() == std::io::ErrorKind::NotFound { "check the path" } else { "" };
            return out.push(Found::Failed(path.to_owned(), Error::io("cannot open", path, &e).hint(hint)));
        }
    };
    if !seen.insert((meta.dev(), meta.ino())) {
        return out.push(Found::Skipped(path.to_owned(), "the same file or folder as one before (link)".into()));
    }
    if meta.is_dir() {
        if depth >= MAX_DEPTH {
            return out.push(Found::Skipped(path.to_owned(), format!("nested more than {MAX_DEPTH} folders deep")));
        }
        if CASE_HAS.iter().all(|name| path.join(name).exists()) {
            return out.push(Found::Skipped(path.to_owned(), "a case of backtrail: import what it was made from".into()));
        }
        match children(path) {
            Ok(children) => children.iter().for_each(|child| visit(child, depth + 1, seen, out)),
            Err(e) => out.push(Found::Failed(path.to_owned(), e)),
        }
    } else if meta.is_file() {
        out.push(Found::File(path.to_owned()));
    } else if depth == 0 && (meta.file_type().is_fifo() || meta.file_type().is_char_device()) {
        out.push(Found::Stream(path.to_owned()));
    } else {
        let what = if meta.file_type().is_fifo() { "a pipe; name it itself to read it" } else { "not a regular file" };
        out.push(Found::Skipped(path.to_owned(), what.into()));
    }
}

fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let io = |e: std::io::Error| Error::io("cannot list", path, &e);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        names.push(entry.map_err(io)?.path());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_links_ends_and_every_file_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/x.log"), "x").unwrap();
        std::os::unix::fs::symlink(root, root.join("a/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b/x.log"), root.join("again.log")).unwrap();
        let found = walk(&[root.to_owned()]);
        let files = found.iter().filter(|f| matches!(f, Found::File(_))).count();
        let skipped = found.iter().filter(|f| matches!(f, Found::Skipped(..))).count();
        assert_eq!((files, skipped), (1, 2));
        assert!(matches!(walk(&[root.join("none")])[0], Found::Failed(..)));
    }

    #[test]
    fn a_case_among_the_evidence_is_not_evidence() {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("case");
        fs::create_dir_all(case.join("catalog")).unwrap();
        fs::write(case.join("case.toml"), "name = 'x'").unwrap();
        fs::write(dir.path().join("a.log"), "x").unwrap();
        assert_eq!(walk(&[dir.path().to_owned()]).len(), 2, "not yet a case");
        fs::write(case.join("journal.log"), "").unwrap();
        let found = walk(&[dir.path().to_owned()]);
        assert!(matches!(&found[..], [Found::File(_), Found::Skipped(path, _)] if *path == case), "{found:?}");
    }
}
