//! What the responder wants kept from one session to the next: `$XDG_CONFIG_HOME/backtrail/config.toml`, a few lines, all optional.
//!
//! ```toml
//! theme = "paper"      # a name of `backtrail themes`
//! keymap = "vim"       # a name of `backtrail keys --list`
//! zone = "local"       # utc, local or source: in which zone a new session shows times
//! escape_ms = 200      # after how many milliseconds a lone Esc is a key; 30, over SSH 150
//! ```
//!
//! `:set NAME VALUE` in the workbench writes a line of it and leaves all others, comments too, as they are.

use crate::error::{Error, Result, nearest};
use serde::Deserialize;
use std::path::Path;

/// Name of the file in the configuration folder.
const FILE: &str = "config.toml";
/// Longest file that is read.
const MAX_BYTES: u64 = 64 << 10;
/// The lines that it may have.
pub const NAMES: &[&str] = &["theme", "keymap", "zone", "escape_ms"];
/// Longest wait for the rest of a key.
const ESCAPE_MAX: u64 = 2_000;

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the theme.
    pub theme: Option<String>,
    /// Name of the keymap.
    pub keymap: Option<String>,
    /// Zone in which a new session shows times.
    pub zone: Option<String>,
    /// Milliseconds after which a lone Esc is a key.
    pub escape_ms: Option<u64>,
}

impl Settings {
    /// Reads the file of a configuration folder; none is as good as an empty one.
    pub fn load(config: Option<&Path>) -> Result<Settings> {
        let Some(path) = config.map(|dir| dir.join(FILE)) else { return Ok(Settings::default()) };
        let text = match read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(err) => return Err(Error::io("reading the settings", &path, &err)),
        };
        toml::from_str(&text).map_err(|err| {
            let lines = format!("its lines are {}", NAMES.join(", "));
            Error::config(err.message().to_owned()).at(path.display().to_string()).hint(lines)
        })
    }
}

/// Writes one line of the file; the others stay as they are.
pub fn keep(config: Option<&Path>, name: &str, value: &str) -> Result<()> {
    let Some(dir) = config else {
        return Err(Error::config("there is no folder for settings").hint("set HOME or XDG_CONFIG_HOME"));
    };
    if !NAMES.contains(&name) {
        let near = nearest(name, NAMES.iter().copied()).unwrap_or_default();
        return Err(Error::user(format!("no setting is called {name}")).hint(near));
    }
    let path = dir.join(FILE);
    let before = match read(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(err) => return Err(Error::io("reading the settings", &path, &err)),
    };
    let failed = |err: &std::io::Error| Error::io("writing the settings", &path, err);
    std::fs::create_dir_all(dir).map_err(|e| failed(&e))?;
    let next = path.with_extension("toml.new");
    std::fs::write(&next, with_line(&before, name, value)).map_err(|e| failed(&e))?;
    std::fs::rename(&next, &path).map_err(|e| failed(&e))
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn with_line(before: &str, name: &str, value: &str) -> String {
    let shown = match value.parse::<u64>() {
        Ok(number) if name == "escape_ms" => number.to_string(),
        _ => toml::Value::String(value.to_owned()).to_string(),
    };
    let line = format!("{name} = {shown}");
    let is_it = |l: &str| l.split_once('=').is_some_and(|(key, _)| key.trim() == name);
    let mut found = false;
    let mut lines: Vec<String> = Vec::new();
    for old in before.lines() {
        if !is_it(old) {
            lines.push(old.to_owned());
        } else if !std::mem::replace(&mut found, true) {
            lines.push(line.clone());
        }
    }
    if !found {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// Milliseconds after which a lone Esc is a key: what was set, else 30, over SSH 150.
pub fn escape_ms(set: Option<u64>) -> u64 {
    let usual = if std::env::var_os("SSH_CONNECTION").is_some() { 150 } else { 30 };
    set.unwrap_or(usual).clamp(1, ESCAPE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_again_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("backtrail");
        assert_eq!(Settings::load(Some(&config)).unwrap(), Settings::default());
        keep(Some(&config), "theme", "paper").unwrap();
        let file = config.join(FILE);
        std::fs::write(&file, "# mine\ntheme = \"paper\"\nescape_ms = 80\n").unwrap();
        keep(Some(&config), "theme", "contrast").unwrap();
        keep(Some(&config), "keymap", "we\"ird").unwrap();
        keep(Some(&config), "escape_ms", "200").unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("# mine\ntheme = \"contrast\"\n"));
        let read = Settings::load(Some(&config)).unwrap();
        assert_eq!((read.theme.as_deref(), read.keymap.as_deref()), (Some("contrast"), Some("we\"ird")));
        assert_eq!(read.escape_ms, Some(200));
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "them = \"paper\"\n").unwrap();
        let err = Settings::load(Some(dir.path())).unwrap_err();
        assert!(err.what.contains("them") && err.place.ends_with(FILE) && err.hint.contains("theme"), "{err}");
        assert!(keep(Some(dir.path()), "colour", "x").is_err());
        assert!(keep(None, "theme", "x").is_err());
    }

    #[test]
    fn the_wait_for_the_rest_of_a_key_is_bounded() {
        assert_eq!(escape_ms(Some(200)), 200);
        assert_eq!(escape_ms(Some(u64::MAX)), ESCAPE_MAX);
        assert_eq!(escape_ms(Some(0)), 1);
    }
}
