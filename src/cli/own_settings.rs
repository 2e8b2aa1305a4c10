//! What the user has of his own beside formats, keymaps and themes: thresholds of detectors (`detectors.toml`) and playbooks (`playbooks/*.toml`), read
//! when the program starts. What is wrong with one fails only the commands that need it; others leave it out.

use crate::case::playbooks::{Playbook, own};
use crate::cli::config_dir;
use crate::detectors::{Limits, settings};
use crate::error::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Commands that find by thresholds: they fail rather than find by others.
const FIND: [&str; 6] = ["findings", "block", "situation", "report", "home", "overview"];

/// Installs both; what is wrong comes back, and an error where the command cannot do without.
pub fn install(command: &str) -> Result<Vec<Error>> {
    let Some(dir) = config_dir() else { return Ok(Vec::new()) };
    let mut wrong = Vec::new();
    let thresholds = dir.join("detectors.toml");
    if thresholds.exists() {
        match Limits::read(&thresholds) {
            Ok(limits) => settings::install(limits),
            Err(e) if FIND.contains(&command) => return Err(e),
            Err(e) => wrong.push(e),
        }
    }
    let entries = std::fs::read_dir(dir.join("playbooks")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        match playbook(&path) {
            Ok(playbook) if all.iter().any(|p: &own::Own| p.name() == playbook.name()) => {
                wrong.push(Error::config(format!("a second playbook `{}`", playbook.name())).at_path(&path));
            }
            Ok(playbook) => all.push(playbook),
            Err(e) if command == "playbook" => return Err(e),
            Err(e) => wrong.push(e),
        }
    }
    own::install(all);
    Ok(wrong)
}

fn playbook(path: &Path) -> Result<own::Own> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("cannot read", path, &e))?;
    let mut text = String::new();
    file.take(own::DEFINITION_MAX).read_to_string(&mut text).map_err(|e| Error::io("cannot read", path, &e))?;
    own::parse(&text).map_err(|e| e.at_path(path))
}
