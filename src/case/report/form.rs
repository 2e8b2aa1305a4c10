//! The forms of a report, and writing one to a file.

use super::redact::Redactor;
use super::{Report, gather, html, json, markdown, misp, stix, timesketch, with_findings};
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::model::decision::What;
use crate::query::Engine;
use crate::sources::input::hash_prefix;
use serde_json::Value as Json;
use std::path::Path;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Markdown.
    Md,
    /// One HTML file with pictures: nothing in it runs or is fetched.
    Html,
    /// One JSON object.
    Json,
    /// A STIX 2.1 bundle.
    Stix,
    /// A MISP event.
    Misp,
    /// A timeline for Timesketch, JSON Lines.
    Timesketch,
}

impl Form {
    /// Every form with its name, how its files end, and what it is. Of endings that fit the first counts.
    pub const ALL: &[(Form, &str, &str, &str)] = &[
        (Form::Md, "md", ".md", "Markdown"),
        (Form::Html, "html", ".html", "One HTML file with pictures: nothing in it runs or is fetched"),
        (Form::Stix, "stix", ".stix.json", "A STIX 2.1 bundle"),
        (Form::Misp, "misp", ".misp.json", "A MISP event"),
        (Form::Json, "json", ".json", "One JSON object"),
        (Form::Timesketch, "timesketch", ".jsonl", "A timeline for Timesketch, JSON Lines"),
    ];
    /// The form that a file's name asks for.
    pub fn of(path: &Path) -> Result<Form> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        Form::ALL.iter().find(|(_, _, ending, _)| name.ends_with(ending)).map(|f| f.0).ok_or_else(|| {
            let endings: Vec<&str> = Form::ALL.iter().map(|f| f.2).collect();
            Error::user(format!("`{name}` says no form of a report")).hint(format!("end it with {}", endings.join(", ")))
        })
    }
    /// A report in this form; `redactor`: what may not stand in it.
    pub fn write(self, report: &Report, engine: &dyn Engine, redactor: &mut Option<Redactor>) -> String {
        match self {
            Form::Md => plain(markdown::write(report, engine), redactor),
            Form::Html => plain(html::write(report, engine), redactor),
            Form::Json => format!("{:#}\n", object(json::write(report, engine), redactor)),
            Form::Stix => format!("{:#}\n", object(stix::write(report), redactor)),
            Form::Misp => format!("{:#}\n", object(misp::write(report), redactor)),
            Form::Timesketch => {
                timesketch::write(report, engine).into_iter().map(|line| format!("{}\n", object(line, redactor))).collect()
            }
        }
    }
}

fn plain(text: String, redactor: &mut Option<Redactor>) -> String {
    match redactor {
        Some(r) => r.text(&text),
        None => text,
    }
}

fn object(mut object: Json, redactor: &mut Option<Redactor>) -> Json {
    redactor.iter_mut().for_each(|r| r.json(&mut object));
    object
}

/// Everything that a report says of the case, its findings included.
pub fn whole(engine: &dyn Engine, keeper: &dyn Keeper, cancel: &Cancel) -> Result<Report> {
    let decisions = keeper.decisions();
    let mut report = gather(&keeper.name(), &decisions, engine, cancel)?;
    with_findings(&mut report, &keeper.dir(), &decisions, engine, cancel)?;
    Ok(report)
}

/// Writes the text of a report to a file, and its hash into the journal.
pub fn save(text: &str, path: &Path, keeper: &dyn Keeper) -> Result<()> {
    std::fs::write(path, text).map_err(|e| Error::io("cannot write", path, &e))?;
    let sha256 = hash_prefix(path, u64::MAX)?;
    keeper.append(What::Export { what: "report".into(), path: path.display().to_string(), sha256 })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_form() {
        let of = |name: &str| Form::of(Path::new(name)).ok();
        assert_eq!(of("/tmp/a.HTML"), Some(Form::Html));
        assert_eq!(of("a.stix.json"), Some(Form::Stix));
        assert_eq!(of("a.json"), Some(Form::Json));
        assert_eq!(of("a.jsonl"), Some(Form::Timesketch));
        assert_eq!(of("a.pdf"), None);
        assert_eq!(of(""), None);
    }
}
