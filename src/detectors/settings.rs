//! Thresholds: each detector declares its own with a default; whoever needs others writes them into a file.
//!
//! ```toml
//! [beacon]
//! score = 0.75        # notice from here on
//! ```

use super::ALL;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// A threshold.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name within the detector.
    pub name: &'static str,
    /// What it is if nothing is set.
    pub default: f64,
    /// Its unit, as it is shown; empty: a number.
    pub unit: &'static str,
    /// What it decides.
    pub doc: &'static str,
}

/// The thresholds of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// What was set, by detector and name.
    set: BTreeMap<(String, String), f64>,
}

static INSTALLED: OnceLock<Limits> = OnceLock::new();

/// Sets the thresholds of this process, once: those of its user.
pub fn install(limits: Limits) {
    let _ = INSTALLED.set(limits);
}

/// The thresholds of this process; the defaults if none were set.
pub fn installed() -> &'static Limits {
    INSTALLED.get_or_init(Limits::default)
}

impl Limits {
    /// The defaults.
    pub fn new() -> Limits {
        Limits::default()
    }
    /// Reads a file of settings; an unknown detector or name is an error that says which there are.
    pub fn read(path: &Path) -> Result<Limits> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("cannot read", path, &e))?;
        Limits::parse(&text).map_err(|e| e.at_path(path))
    }
    /// Of the text of a file of settings.
    pub fn parse(text: &str) -> Result<Limits> {
        let tables: BTreeMap<String, BTreeMap<String, toml::Value>> =
            toml::from_str(text).map_err(|e| Error::config(e.message().to_owned()).hint("[detector] name = number"))?;
        let mut limits = Limits::default();
        for (detector, values) in tables {
            let Some(known) = super::find(&detector) else {
                let names: Vec<&str> = ALL.iter().map(|d| d.name()).collect();
                return Err(Error::config(format!("`{detector}` is no detector")).hint(names.join(", ")));
            };
            for (name, value) in values {
                let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
                let is_known = known.settings().iter().any(|s| s.name == name);
                let Some(number) = number.filter(|n| is_known && n.is_finite()) else {
                    let names: Vec<&str> = known.settings().iter().map(|s| s.name).collect();
                    return Err(Error::config(format!("[{detector}] {name} is no number of it")).hint(names.join(", ")));
                };
                limits.set.insert((detector.clone(), name), number);
            }
        }
        Ok(limits)
    }
    /// One with a threshold set.
    pub fn with(mut self, detector: &str, name: &str, value: f64) -> Limits {
        self.set.insert((detector.to_owned(), name.to_owned()), value);
        self
    }
    /// A threshold of a detector, by its declaration.
    pub fn of(&self, detector: &str, settings: &[Setting], name: &str) -> f64 {
        let default = settings.iter().find(|s| s.name == name).map(|s| s.default);
        debug_assert!(default.is_some(), "{detector} declares no {name}");
        self.set.get(&(detector.to_owned(), name.to_owned())).copied().or(default).unwrap_or_default()
    }
    /// All that is set, as one text that is the same for the same thresholds.
    pub fn text(&self) -> String {
        self.set.iter().map(|((d, n), v)| format!("{d}.{n}={v}")).collect::<Vec<_>>().join(" ")
    }
}
