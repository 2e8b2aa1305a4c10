//! The responder's own line formats: `$XDG_CONFIG_HOME/backtrail/formats/*.toml`, read when the program starts.
//!
//! A definition that is wrong is left out and said by the commands that have to do with formats; nothing else fails for it. A process that holds a
//! case knows those that were there when it started.

use crate::cli::config_dir;
use crate::error::{Error, Result};
use crate::formats::own::{self, Own};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where they are, if there is a home directory.
pub fn dir() -> Option<PathBuf> {
    config_dir().map(|dir| dir.join("formats"))
}

/// Installs those of the folder, in order of their files' names; what is wrong with the others comes back.
pub fn install() -> Vec<Error> {
    let Some(dir) = dir() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(&dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path) {
            Ok(own) => all.push(own),
            Err(e) => wrong.push(e),
        }
    }
    own::install(all);
    wrong
}

/// The definition in a file; its samples have been read as they say.
///
/// # Errors
/// Of a file that cannot be read or is too long, and what [`own::parse`] says.
pub fn read(path: &Path) -> Result<Own> {
    let input =
        |e: std::io::Error| Error::input(format!("cannot be read: {e}")).at_path(path).hint("check the path and its rights");
    let file = std::fs::File::open(path).map_err(input)?;
    let mut text = String::new();
    let read = file.take(own::DEFINITION_MAX + 1).read_to_string(&mut text).map_err(input)?;
    if read as u64 > own::DEFINITION_MAX {
        return Err(Error::config("is longer than 1 MiB").at_path(path).hint("a definition is a few lines"));
    }
    own::parse(&text, &path.display().to_string())
}
