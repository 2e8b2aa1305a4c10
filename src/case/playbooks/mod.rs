//! Playbooks: what an experienced responder asks in a row, with the answer of each step in a sentence, and what follows from them. One file, one
//! playbook.
//!
//! A step is a query that was asked, its number of rows and what they say; the conclusion names its evidence and what was not covered. Nothing is
//! decided: the last word is a verdict that somebody gives.
//!
//! To add one: write `src/case/playbooks/<name>.rs` with a `pub static PLAYBOOK`; add its `pub mod` line and its name to `ALL`. Of one's own, as
//! TOML: see [`own`].

/// Shared: not a member.
pub mod asker;
pub mod outage;
/// Shared: not a member.
pub mod own;
pub mod sqli;

use crate::error::{Error, Result};
use crate::model::entity::EntityKind;
use crate::model::time::SECOND;
use crate::model::{Cancel, Entity, Record, Time, Value, Window, field};
use crate::query::Engine;
pub use asker::Asker;
use std::net::{IpAddr, SocketAddr};

/// What a playbook is run on.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The host: of an alert what was attacked.
    pub host: IpAddr,
    /// The port of its service.
    pub port: Option<u16>,
    /// The other end, if there is one.
    pub peer: Option<IpAddr>,
    /// When it happened; none: to be found.
    pub window: Option<Window>,
}

impl Subject {
    /// `10.8.40.20:80`, `10.8.40.20`.
    pub fn parse(text: &str) -> Result<Subject> {
        let plain = |host, port| Subject { host, port, peer: None, window: None };
        if let Ok(host) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(plain(host.to_canonical(), None));
        }
        let both: SocketAddr = text.parse().map_err(|_| {
            Error::user(format!("`{text}` is no host or service")).hint("10.8.40.20, 10.8.40.20:80, [2001:db8::1]:443")
        })?;
        Ok(plain(both.ip().to_canonical(), Some(both.port())))
    }
    /// Of a row: what it went to, at its time.
    pub fn of(record: &Record) -> Option<Subject> {
        let host = record.addr(field::DST_IP)?.to_canonical();
        let port = record.uint(field::DST_PORT).and_then(|p| u16::try_from(p).ok());
        let window = Window::new(record.time().plus(-3600 * SECOND), record.until().plus(3600 * SECOND));
        Some(Subject { host, port, peer: record.addr(field::SRC_IP).map(|a| a.to_canonical()), window: Some(window) })
    }
    /// Of what one can pivot on: an address.
    pub fn of_entity(entity: &Entity) -> Option<Subject> {
        match (entity.kind, &entity.value) {
            (EntityKind::Address, Value::Addr(host)) => {
                Some(Subject { host: host.to_canonical(), port: None, peer: None, window: None })
            }
            _ => None,
        }
    }
    /// As it is shown.
    pub fn show(&self) -> String {
        match self.port {
            Some(port) => SocketAddr::new(self.host, port).to_string(),
            None => self.host.to_string(),
        }
    }
}

/// What was asked in one step, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The question in words.
    pub title: String,
    /// The answer in a sentence.
    pub says: String,
    /// The query whose rows say so; empty: it rests on what the other steps say.
    pub query: String,
    /// Its rows.
    pub rows: u64,
    /// It speaks for the conclusion.
    pub tells: bool,
}

/// What may have caused it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// In a sentence, with its numbers.
    pub text: String,
    /// Records that speak for it.
    pub evidence: u64,
    /// 0 to 1: how much of what happened it explains.
    pub share: f64,
    /// The query of those records.
    pub query: String,
}

/// What a playbook has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Name of the playbook.
    pub playbook: String,
    /// What it was run on.
    pub subject: String,
    /// The time that it is about.
    pub window: Window,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Causes, the most likely first.
    pub causes: Vec<Cause>,
    /// What follows.
    pub conclusion: String,
    /// Which sources could have seen it, and which could not.
    pub coverage: Vec<String>,
}

/// What is asked in a row.
pub trait Playbook: Sync {
    /// Its name.
    fn name(&self) -> &str;
    /// The question that it answers.
    fn doc(&self) -> &str;
    /// Asks its steps.
    fn run(&self, subject: &Subject, asker: &Asker<'_>) -> Result<Answer>;
}

/// Every playbook that is built in, in order of name.
pub const ALL: &[&dyn Playbook] = &[&outage::PLAYBOOK, &sqli::PLAYBOOK];

/// Every playbook, those of the user after those that are built in.
pub fn all() -> impl Iterator<Item = &'static dyn Playbook> {
    ALL.iter().copied().chain(own::installed().iter().map(|p| p as &dyn Playbook))
}

/// Runs a playbook by its name.
pub fn run(name: &str, subject: &Subject, engine: &dyn Engine, cancel: &Cancel) -> Result<Answer> {
    let playbook = all().find(|p| p.name() == name).ok_or_else(|| {
        let names: Vec<&str> = all().map(Playbook::name).collect();
        Error::user(format!("no playbook is called `{name}`")).hint(names.join(", "))
    })?;
    playbook.run(subject, &Asker { engine, cancel })
}

/// An instant in a sentence.
pub fn clock(t: Time) -> String {
    t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Times of a sentence: the day once if both are of it.
pub fn times(w: &Window) -> String {
    let last = w.last();
    let until = if w.start.day() == last.day() { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    format!("{} to {}", clock(w.start), last.utc().format(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_hosts_and_services() {
        let one = |t: &str| Subject::parse(t).map(|s| s.show()).ok();
        assert_eq!(one("10.8.40.20:80").as_deref(), Some("10.8.40.20:80"));
        assert_eq!(one("[2001:db8::1]:443").as_deref(), Some("[2001:db8::1]:443"));
        assert_eq!((one("2001:db8::1").as_deref(), one("www")), (Some("2001:db8::1"), None));
        let names: Vec<&str> = ALL.iter().map(|p| p.name()).collect();
        assert!(names.is_sorted() && ALL.iter().all(|p| p.doc().ends_with('?')), "{names:?}");
    }
}
