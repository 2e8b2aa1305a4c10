//! Copies of a case for tests, those in `tests/it` too: the directory as it lies there, with modes, while nobody writes to it.

use std::fs;
use std::path::{Path, PathBuf};

/// Copies a directory with all that is in it.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        // The socket of who holds a case is no file.
        match fs::symlink_metadata(&path).unwrap().file_type() {
            kind if kind.is_dir() => copy_all(&path, &target),
            kind if kind.is_file() => assert!(fs::copy(&path, &target).is_ok(), "{}", path.display()),
            _ => {}
        }
    }
}

/// Every file below a directory, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}
