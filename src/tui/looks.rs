//! How the workbench is arranged: the columns and the footer of each lens, which panes are shown and how large they are. A layout is a file,
//! `$XDG_CONFIG_HOME/backtrail/layouts/NAME.toml`; the one that was looked at last is `last.toml`, with which a new session begins.
//!
//! ```toml
//! hidden = ["timeline"]      # card, detail, timeline
//! card = 30                  # columns that the focus card takes
//! detail = 12                # lines that the detail takes
//!
//! [lenses.flows]
//! columns = "start, src.ip, dst.ip:20, bytes"
//! footer = "sum"
//! ```

use super::columns::{self, Chosen};
use super::lenses::{self, Lens};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The name under which what was looked at last is kept.
pub const LAST: &str = "last";
/// Longest file that is read.
const MAX_BYTES: u64 = 64 << 10;
/// Longest name of a layout.
const MAX_NAME: usize = 40;
/// Most layouts that are listed.
const MAX_LISTED: usize = 200;

/// What is said at the end of a table of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footer {
    /// What they add up to.
    Sum,
    /// Their mean.
    Mean,
    /// The value below which so many thousandths of them lie.
    Percentile(u16),
}

impl Footer {
    /// Those that the menu offers, with what they say.
    pub const OFFERED: &[(&'static str, &'static str)] = &[
        ("sum", "what each column of numbers adds up to"),
        ("mean", "the mean of each, of the rows that have it"),
        ("p50", "the median: half of the rows lie below it"),
        ("p95", "95 of 100 rows lie below it"),
    ];
    /// Reads `sum`, `mean`, `p50`, `p99.9`.
    pub fn parse(text: &str) -> Option<Footer> {
        match text {
            "sum" => Some(Footer::Sum),
            "mean" => Some(Footer::Mean),
            "median" => Some(Footer::Percentile(500)),
            _ => {
                let part: f64 = text.strip_prefix('p')?.parse().ok()?;
                let thousandths = (part * 10.0).round();
                (part.is_finite() && (1.0..=1000.0).contains(&thousandths)).then_some(Footer::Percentile(thousandths as u16))
            }
        }
    }
    /// As [`Footer::parse`] reads it.
    pub fn name(self) -> String {
        match self {
            Footer::Sum => "sum".into(),
            Footer::Mean => "mean".into(),
            Footer::Percentile(n) => format!("p{}", crate::query::spread::per_cent(n)),
        }
    }
}

/// How one lens looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfLens {
    /// Its columns, as [`columns::parse`] reads them; empty: its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub columns: String,
    /// What is said at its end; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub footer: String,
}

/// How the workbench looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    /// Panes that are not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// Columns of the screen that the card takes; none: by the width of the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<u16>,
    /// Lines that the detail takes; none: by the height of the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<u16>,
    /// Lenses that do not look as they do by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lenses: BTreeMap<String, OfLens>,
}

/// Panes that can be hidden.
pub const PANES: [&str; 3] = ["card", "detail", "timeline"];

impl Looks {
    /// Whether a pane is hidden.
    pub fn hides(&self, pane: &str) -> bool {
        self.hidden.iter().any(|p| p == pane)
    }
    /// Hides a pane, or shows it.
    pub fn hide(&mut self, pane: &str, hidden: bool) {
        self.hidden.retain(|p| p != pane);
        if hidden {
            self.hidden.push(pane.to_owned());
            self.hidden.sort();
        }
    }
    /// The columns that were chosen for a lens; none: its own. A column that is no more is left out.
    pub fn columns(&self, lens: &Lens) -> Option<Vec<Chosen>> {
        let text = &self.lenses.get(lens.name).filter(|l| !l.columns.is_empty())?.columns;
        columns::parse(lens, text).ok()
    }
    /// What is said at the end of a lens.
    pub fn footer(&self, lens: &Lens) -> Option<Footer> {
        Footer::parse(&self.lenses.get(lens.name)?.footer)
    }
    /// Changes how a lens looks; what is as it was by itself is forgotten.
    pub fn change(&mut self, lens: &Lens, change: impl FnOnce(&mut OfLens)) {
        let of = self.lenses.entry(lens.name.to_owned()).or_default();
        change(of);
        if *of == OfLens::default() {
            self.lenses.remove(lens.name);
        }
    }
    /// What is wrong with it, if something is: unknown panes, lenses, columns.
    pub fn check(&self) -> Result<()> {
        if let Some(pane) = self.hidden.iter().find(|p| !PANES.contains(&p.as_str())) {
            return Err(Error::config(format!("no pane that can be hidden is called {pane}")).hint(PANES.join(", ")));
        }
        for (name, of) in &self.lenses {
            let Some(lens) = lenses::ALL.iter().find(|l| l.name == name) else {
                return Err(Error::config(format!("no lens is called {name}")));
            };
            if !of.columns.is_empty() {
                columns::parse(lens, &of.columns)?;
            }
            if !of.footer.is_empty() && Footer::parse(&of.footer).is_none() {
                return Err(
                    Error::config(format!("nothing is called {} at the end of a table", of.footer)).hint("sum, mean, p50")
                );
            }
        }
        Ok(())
    }
}

/// Refuses names that are no names of files of ours.
pub fn name(text: &str) -> Result<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(fits) && !matches!(text, "save" | "default" | "remove") {
        return Ok(text);
    }
    Err(Error::user("a layout is called by letters, digits, - and _").hint("layout save beacon"))
}

fn path(config: &Path, name: &str) -> PathBuf {
    config.join("layouts").join(format!("{name}.toml"))
}

/// Reads a layout; none: there is no such file.
pub fn load(config: Option<&Path>, name: &str) -> Result<Option<Looks>> {
    let Some(path) = config.map(|dir| path(dir, name)) else { return Ok(None) };
    let mut text = String::new();
    match std::fs::File::open(&path).and_then(|f| f.take(MAX_BYTES).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(Error::io("reading the layout", &path, &err)),
    }
    let looks: Looks = toml::from_str(&text).map_err(|e| Error::config(e.message().to_owned()).at(path.display().to_string()))?;
    looks.check().map_err(|e| e.at(path.display().to_string()))?;
    Ok(Some(looks))
}

/// Writes a layout.
pub fn keep(config: Option<&Path>, name: &str, looks: &Looks) -> Result<()> {
    let Some(dir) = config else {
        return Err(Error::config("there is no folder for layouts").hint("set HOME or XDG_CONFIG_HOME"));
    };
    let path = path(dir, name);
    let failed = |err: &std::io::Error| Error::io("writing the layout", &path, err);
    let text = toml::to_string(looks).map_err(|e| Error::internal(format!("a layout cannot be written: {e}")))?;
    std::fs::create_dir_all(dir.join("layouts")).map_err(|e| failed(&e))?;
    let next = path.with_extension("toml.new");
    std::fs::write(&next, text).map_err(|e| failed(&e))?;
    std::fs::rename(&next, &path).map_err(|e| failed(&e))
}

/// Takes a layout away; false: there was none.
pub fn remove(config: Option<&Path>, name: &str) -> Result<bool> {
    let Some(path) = config.map(|dir| path(dir, name)) else { return Ok(false) };
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(Error::io("taking the layout away", &path, &err)),
    }
}

/// Names of the layouts that were saved.
pub fn saved(config: Option<&Path>) -> Vec<String> {
    let files = config.and_then(|dir| std::fs::read_dir(dir.join("layouts")).ok()).into_iter().flatten().flatten();
    let names = files.take(MAX_LISTED * 4).filter_map(|f| f.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|n| name(n).is_ok() && n != LAST).take(MAX_LISTED).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_that_was_kept_is_read_again_and_listed() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("backtrail");
        assert_eq!(load(Some(&config), LAST).unwrap(), None);
        let mut looks = Looks { card: Some(30), ..Looks::default() };
        looks.hide("timeline", true);
        let flows = lenses::find("flows");
        looks.change(flows, |of| of.columns = "start, bytes:9".into());
        looks.change(flows, |of| of.footer = "p95".into());
        keep(Some(&config), LAST, &looks).unwrap();
        keep(Some(&config), "beacon", &looks).unwrap();
        let read = load(Some(&config), "beacon").unwrap().unwrap();
        assert_eq!((&read, saved(Some(&config))), (&looks, vec!["beacon".to_owned()]));
        assert!(remove(Some(&config), "beacon").unwrap() && !remove(Some(&config), "beacon").unwrap());
        assert_eq!((saved(Some(&config)), remove(None, "beacon").unwrap()), (Vec::new(), false));
        assert_eq!(read.footer(flows), Some(Footer::Percentile(950)));
        assert_eq!(read.columns(flows).map(|c| columns::text(&c)).as_deref(), Some("start, bytes:9"));
        looks.change(flows, |of| *of = OfLens::default());
        assert!(looks.lenses.is_empty());
        assert!(keep(None, LAST, &looks).is_err());
    }

    #[test]
    fn a_layout_that_is_wrong_says_what_and_where() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("layouts")).unwrap();
        let wrong = [
            ("hidden = [\"rows\"]", "rows"),
            ("[lenses.flows]\ncolumns = \"byts\"", "byts"),
            ("[lenses.flow]\n", "flow"),
            ("cart = 3", "cart"),
            ("[lenses.dns]\nfooter = \"p200\"", "p200"),
        ];
        for (text, what) in wrong {
            std::fs::write(dir.path().join("layouts/x.toml"), text).unwrap();
            let err = load(Some(dir.path()), "x").unwrap_err();
            assert!(err.what.contains(what) && err.place.ends_with("x.toml"), "{err}");
        }
        for wrong in ["", "../x", "a b", "save", "default", "remove", &"x".repeat(41)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn footers_read_back() {
        for text in ["sum", "mean", "p50", "p99.9", "p100"] {
            assert_eq!(Footer::parse(text).map(Footer::name).as_deref(), Some(text));
        }
        assert_eq!(Footer::parse("median"), Some(Footer::Percentile(500)));
        for wrong in ["", "p", "p0", "p101", "pNaN", "pinf", "p-5", "max"] {
            assert_eq!(Footer::parse(wrong), None, "{wrong}");
        }
    }
}
