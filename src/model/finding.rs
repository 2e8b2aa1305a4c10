//! A finding: what a detector has found, with everything that somebody needs who has to decide whether it is true.

use super::origin::RecordId;
use super::source::SourceId;
use super::time::{Time, Window};
use super::value::SEVERITIES;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most records that a finding names; its query finds all of them.
pub const EVIDENCE: usize = 8;

/// A number that a finding rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// What it is of.
    pub name: String,
    /// The number, with its unit.
    pub value: String,
    /// The threshold that it passed, as set; empty: it decides nothing by itself.
    pub limit: String,
}

/// What speaks for a finding besides itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// In words.
    pub text: String,
    /// The source that says so, or the detector, or a feed: what is of one of them counts once.
    pub by: String,
    /// A record that says so.
    pub evidence: Option<RecordId>,
}

/// A detector's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the detector.
    pub detector: String,
    /// What was found, in one sentence with its numbers.
    pub title: String,
    /// The host that it is about.
    pub host: IpAddr,
    /// The other end, if there is but one.
    pub peer: Option<IpAddr>,
    /// Protocol and port of the service, if there is but one.
    pub service: Option<(u8, u16)>,
    /// The name that it is about: asked for, called.
    pub name: Option<String>,
    /// From the first to the last of it, corrected.
    pub window: Window,
    /// Rank of severity, 0 info to 4 critical.
    pub severity: u8,
    /// How far it is over its thresholds, 0 to 1.
    pub score: f32,
    /// What was measured.
    pub numbers: Vec<Number>,
    /// The query whose records it rests on.
    pub query: String,
    /// How many records those are.
    pub rows: u64,
    /// Some of them, the first and the most telling.
    pub evidence: Vec<RecordId>,
    /// The sources of its records.
    pub sources: Vec<SourceId>,
    /// What makes it less sure: sampling, loss, short history.
    pub caveats: Vec<String>,
    /// Harmless explanations to look at before it is believed.
    pub benign: Vec<String>,
    /// Techniques of ATT&CK that look like this; an analyst confirms them.
    pub techniques: Vec<String>,
    /// What else speaks for it.
    pub support: Vec<Support>,
    /// By what findings are sorted: severity, score and how many independent sources speak for it.
    pub rank: f32,
    /// Somebody judged its records to be this; filled in when it is shown.
    pub verdict: Option<String>,
}

impl Finding {
    /// A finding about a host; the rest is filled in by whoever found it.
    pub fn new(detector: &str, host: IpAddr, window: Window, title: impl Into<String>) -> Finding {
        Finding {
            detector: detector.to_owned(),
            title: title.into(),
            host,
            peer: None,
            service: None,
            name: None,
            window,
            severity: 2,
            score: 0.5,
            numbers: Vec::new(),
            query: String::new(),
            rows: 0,
            evidence: Vec::new(),
            sources: Vec::new(),
            caveats: Vec::new(),
            benign: Vec::new(),
            techniques: Vec::new(),
            support: Vec::new(),
            rank: 0.0,
            verdict: None,
        }
    }
    /// Adds a number with the threshold that it passed.
    pub fn number(&mut self, name: &str, value: impl ToString, limit: impl ToString) {
        self.numbers.push(Number { name: name.to_owned(), value: value.to_string(), limit: limit.to_string() });
    }
    /// Sets its query: conditions of the language, within its window.
    pub fn asks(&mut self, conditions: &str) {
        let (start, end) = (self.window.start, self.window.end);
        self.query = format!("{conditions} and between {} and {}", start.rfc3339(), end.rfc3339());
    }
    /// Takes a record as evidence, as long as there is room.
    pub fn rests_on(&mut self, id: RecordId) {
        if self.evidence.len() < EVIDENCE && !self.evidence.contains(&id) {
            self.evidence.push(id);
        }
    }
    /// The same finding has the same key whenever it is found again: detector, host, peer, service and name, and the day on which it begins.
    pub fn key(&self) -> String {
        let service = self.service.map(|(proto, port)| format!("{proto}/{port}")).unwrap_or_default();
        let peer = self.peer.map(|p| p.to_string()).unwrap_or_default();
        let name = self.name.as_deref().unwrap_or_default();
        format!("{} {} {peer} {service} {name} {}", self.detector, self.host, self.window.start.day())
    }
    /// The word of its severity.
    pub fn severity_name(&self) -> &'static str {
        SEVERITIES.get(usize::from(self.severity)).copied().unwrap_or("info")
    }
}

/// What a run of the detectors gave, with what it was run over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The findings, those that rank first before the others.
    pub list: Vec<Finding>,
    /// Number of the newest import that was looked at.
    pub sequence: u64,
    /// The time that was looked at; none: the case is empty.
    pub window: Option<Window>,
    /// Flows and events that were looked at.
    pub rows: u64,
    /// What the run rests on, as one text: version, thresholds, seed. The same text and the same records give the same findings.
    pub parameters: String,
    /// What was left out, in words.
    pub notices: Vec<String>,
    /// How long it took, nanoseconds.
    pub elapsed: u64,
}

/// The window from the first to the last instant, both inside.
pub fn span(first: Time, last: Time) -> Window {
    Window::new(first, last.plus(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_found_again_has_the_same_key_and_asks_for_its_window() {
        let host: IpAddr = "10.8.21.5".parse().unwrap();
        let mut one = Finding::new("beacon", host, span(Time(0), Time(1_000_000_000)), "x");
        one.asks("src.ip = 10.8.21.5");
        assert_eq!(one.query, "src.ip = 10.8.21.5 and between 1970-01-01T00:00:00Z and 1970-01-01T00:00:01.000000001Z");
        let mut again = Finding { title: "y".into(), score: 0.9, ..one.clone() };
        assert_eq!(one.key(), again.key());
        again.service = Some((6, 443));
        assert_ne!(one.key(), again.key());
        for n in 0..20 {
            one.rests_on(RecordId { offset: n / 2, ..RecordId::default() });
        }
        assert_eq!(one.evidence.len(), EVIDENCE);
    }
}
