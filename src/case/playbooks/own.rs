//! Playbooks of one's own: `$XDG_CONFIG_HOME/backtrail/playbooks/*.toml`, read when the program starts.
//!
//! ```toml
//! name = "usb"
//! doc = "did this host send what it copied?"
//! window = "2h"                       # around the row it is run on; without it the whole case
//! [[steps]]
//! title = "what did it send?"
//! query = "kind = flow and src.ip = {host} and bytes.out > 10MB"
//! tells = "some"                      # speaks for it if there are rows: some, none
//! ```
//! `{host}`, `{peer}`, `{port}` stand for what it is run on; a step whose word is missing is left out and said.

use super::{Answer, Asker, Playbook, Step, Subject, asker::within};
use crate::error::{Error, Result};
use crate::model::time::{SECOND, parse_span};
use crate::model::{Kind, Window};
use serde::Deserialize;
use std::sync::OnceLock;

/// Longest definition.
pub const DEFINITION_MAX: u64 = 1 << 20;
/// Most steps.
const STEPS: usize = 100;
/// Words that stand for what it is run on.
const WORDS: [&str; 3] = ["{host}", "{peer}", "{port}"];

/// A playbook of one's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    name: String,
    doc: String,
    #[serde(default)]
    window: Option<String>,
    steps: Vec<OwnStep>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnStep {
    title: String,
    query: String,
    #[serde(default)]
    tells: Option<String>,
}

static INSTALLED: OnceLock<Vec<Own>> = OnceLock::new();

/// Sets the playbooks of this process, once.
pub fn install(all: Vec<Own>) {
    let _ = INSTALLED.set(all);
}

/// Those of this process.
pub fn installed() -> &'static [Own] {
    INSTALLED.get_or_init(Vec::new)
}

/// Of a text; an error says what is wrong with it.
pub fn parse(text: &str) -> Result<Own> {
    let own: Own = toml::from_str(text).map_err(|e| {
        Error::config(e.message().to_owned()).hint("name, doc, window (a span), and [[steps]] with title, query, tells")
    })?;
    if super::ALL.iter().any(|p| p.name() == own.name) || own.name.is_empty() {
        return Err(Error::config(format!("`{}` is the name of a built-in playbook, or none", own.name)).hint("another name"));
    }
    if own.steps.is_empty() || own.steps.len() > STEPS {
        return Err(Error::config(format!("has {} steps", own.steps.len())).hint(format!("between 1 and {STEPS}")));
    }
    if let Some(span) = &own.window
        && parse_span(span).is_none_or(|n| n <= 0)
    {
        return Err(Error::config(format!("`{span}` is no span")).hint("2h, 30m, 1d"));
    }
    for step in &own.steps {
        if step.tells.as_deref().is_some_and(|t| !["some", "none"].contains(&t)) {
            return Err(Error::config(format!("step `{}`: tells is `some` or `none`", step.title)));
        }
        let rest = WORDS.iter().fold(step.query.clone(), |q, w| q.replace(w, "1"));
        if let Some(word) = ["{host", "{peer", "{port"].into_iter().find(|w| rest.contains(w)) {
            return Err(Error::config(format!("step `{}`: {word} is not closed", step.title)).hint(WORDS.join(", ")));
        }
    }
    Ok(own)
}

impl Playbook for Own {
    fn name(&self) -> &str {
        &self.name
    }
    fn doc(&self) -> &str {
        &self.doc
    }
    fn run(&self, subject: &Subject, asker: &Asker<'_>) -> Result<Answer> {
        let whole = asker.engine.span().unwrap_or(Window::ALL);
        let window = match (subject.window, self.window.as_deref().and_then(parse_span)) {
            (Some(at), Some(span)) => {
                let middle = at.start.plus(at.length() / 2);
                Window::around(middle, span.saturating_div(2).max(SECOND))
            }
            (Some(at), None) => at,
            (None, _) => whole,
        };
        let words = [Some(subject.host.to_string()), subject.peer.map(|p| p.to_string()), subject.port.map(|p| p.to_string())];
        let mut steps = Vec::new();
        for step in &self.steps {
            let missing = WORDS.iter().zip(&words).find(|(w, v)| step.query.contains(**w) && v.is_none());
            if let Some((word, _)) = missing {
                let says = format!("not asked: it is about {word}, which the row it was run on does not have");
                steps.push(Step { title: step.title.clone(), says, query: String::new(), rows: 0, tells: false });
                continue;
            }
            let text =
                WORDS.iter().zip(&words).fold(step.query.clone(), |q, (w, v)| q.replace(w, v.as_deref().unwrap_or_default()));
            let question = asker.question(&text)?;
            if !question.stages.is_empty() {
                return Err(Error::user(format!("step `{}` of playbook {} has stages", step.title, self.name))
                    .hint("a condition, without |"));
            }
            steps.push(asker.step(&step.title, within(&format!("({text})"), &window), |n| {
                let tells = match step.tells.as_deref() {
                    Some("some") => n > 0,
                    Some(_) => n == 0,
                    None => false,
                };
                (format!("{n} rows"), tells)
            })?);
        }
        let tells = steps.iter().filter(|s| s.tells).count();
        let of = self.steps.iter().filter(|s| s.tells.is_some()).count();
        let conclusion = format!("{}: {tells} of {of} steps that can speak for it do; the verdict is yours.", self.doc);
        let coverage = asker.coverage(&[Kind::Flow, Kind::Alert, Kind::Fw, Kind::Dns, Kind::Http], &window);
        Ok(Answer {
            playbook: self.name.clone(),
            subject: subject.show(),
            window,
            steps,
            causes: Vec::new(),
            conclusion,
            coverage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_read_and_slips_are_said() {
        let good = "name = \"usb\"\ndoc = \"sent?\"\nwindow = \"2h\"\n[[steps]]\ntitle = \"out\"\nquery = \"src.ip = {host} and dst.port = {port}\"\ntells = \"some\"\n";
        assert_eq!(parse(good).unwrap().name(), "usb");
        for (from, to, says) in [
            ("\"usb\"", "\"sqli\"", "built-in"),
            ("\"2h\"", "\"soon\"", "no span"),
            ("\"some\"", "\"many\"", "tells"),
            ("{port}", "{port", "not closed"),
            ("title", "titel", "titel"),
        ] {
            let error = format!("{:?}", parse(&good.replace(from, to)).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
