//! Indicators out of any text: prose, lists, CSV with a header, STIX bundles, MISP events, other JSON. Each is taken once, with the line on
//! which it stood first. Not a format of evidence: what is read here is what a responder was handed to look for.
//!
//! In a text that defangs what it warns of, names and URLs that are left alive are its references; they are left out and counted.

use super::indicator::{self, Column};
use super::indicator_words::{self, Around, Found};
use super::{indicator_json, table};
use crate::model::entity::EntityKind;
use crate::model::indicator::Indicator;
use std::collections::HashSet;

/// Most indicators that are taken out of one text.
pub const MOST: usize = 200_000;

/// What a text was read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Sentences.
    #[default]
    Prose,
    /// One indicator a line.
    List,
    /// A table with a header.
    Csv,
    /// A STIX 2 bundle: its patterns and observables, not its references.
    Stix,
    /// A MISP event: its attributes.
    Misp,
    /// Other JSON: every text in it.
    Json,
}

impl Form {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Form::Prose => "prose",
            Form::List => "list",
            Form::Csv => "csv",
            Form::Stix => "stix",
            Form::Misp => "misp",
            Form::Json => "json",
        }
    }
}

/// What was taken out of a text.
#[derive(Debug, Clone, Default)]
pub struct Extract {
    /// What it was read as.
    pub form: Form,
    /// In order of the text, each once.
    pub indicators: Vec<Indicator>,
    /// Lines of the text.
    pub lines: u32,
    /// What was left out and why, in words.
    pub notices: Vec<String>,
}

/// What is being taken.
#[derive(Default)]
pub(super) struct Take {
    found: Vec<(Indicator, bool)>,
    known: HashSet<(EntityKind, String)>,
    /// Beyond the most.
    over: u64,
    unsearched: u64,
    /// Patterns whose values are not plain.
    pub(super) patterns: u64,
}

impl Take {
    pub(super) fn found(&mut self, found: Found, line: u32) {
        let Found::Is(kind, text, defanged) = found else {
            self.unsearched += 1;
            return;
        };
        if self.found.len() >= MOST {
            self.over += u64::from(!self.known.contains(&(kind, text)));
            return;
        }
        if self.known.insert((kind, text.clone())) {
            self.found.push((Indicator::new(kind, text, line), defanged));
        }
    }
    /// Takes a text of a known kind as it is.
    pub(super) fn as_is(&mut self, kind: EntityKind, text: &str, line: u32) {
        let text = text.trim();
        if !text.is_empty() && text.len() <= 2048 {
            self.found(Found::Is(kind, text.to_owned(), true), line);
        }
    }
    /// Takes what a text is that is meant to be an indicator; if it is none as a whole, the words of it.
    pub(super) fn cell(&mut self, text: &str, print: bool, line: u32) {
        indicator_words::line(text, Around::cell(print), &mut |found| self.found(found, line));
    }
    /// Takes the words of a sentence.
    pub(super) fn sentence(&mut self, text: &str, line: u32) {
        indicator_words::line(text, Around::default(), &mut |found| self.found(found, line));
    }
}

/// Takes the indicators out of a text. `all`: also what looks like references of a text that defangs.
pub fn extract(text: &str, all: bool) -> Extract {
    let text = text.trim_start_matches('\u{feff}');
    let mut take = Take::default();
    let form = match indicator_json::read(text, &mut take) {
        Some(form) => form,
        None if read_table(text, &mut take) => Form::Csv,
        None => read_lines(text, &mut take),
    };
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let mut notices = Vec::new();
    let mut say = |n: u64, what: &str| {
        if n > 0 {
            notices.push(format!("{n} {what}"));
        }
    };
    let alive =
        |(i, defanged): &(Indicator, bool)| !defanged && matches!(i.kind, EntityKind::Name | EntityKind::Url | EntityKind::User);
    let before = take.found.len();
    if form == Form::Prose && !all && take.found.iter().any(|(_, defanged)| *defanged) {
        take.found.retain(|one| !alive(one));
    }
    let gone = (before - take.found.len()) as u64;
    say(gone, "names and URLs left out: the text defangs what it warns of, these it only refers to (--all takes them)");
    say(take.unsearched, "hashes left out: no record has hashes of that length (SHA-384, SHA-512)");
    say(take.patterns, "STIX patterns left out: LIKE, MATCHES and NOT name no plain value");
    say(take.over, &format!("indicators left out: one sweep takes {MOST}; split the list"));
    Extract { form, indicators: take.found.into_iter().map(|(i, _)| i).collect(), lines, notices }
}

/// What one text is as an indicator: for entries of sets. What has no form of its own is a user agent if it has blanks, else a user.
pub fn one(text: &str) -> Indicator {
    let text = text.trim();
    let mut take = Take::default();
    if !text.contains(char::is_whitespace) {
        take.cell(text, false, 0);
    }
    match take.found.pop() {
        Some((indicator, _)) if take.found.is_empty() => indicator,
        _ if text.contains([' ', '/', '(']) => Indicator::new(EntityKind::Agent, text, 0),
        _ => Indicator::new(EntityKind::User, text.to_lowercase(), 0),
    }
}

fn read_lines(text: &str, take: &mut Take) -> Form {
    let is_comment = |line: &str| line.starts_with('#') || line.starts_with("//") || line.starts_with(';');
    let (mut short, mut all) = (0u64, 0u64);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !is_comment(l)) {
        all += 1;
        let words = line.split(" #").next().unwrap_or(line).split_whitespace().take(3).count();
        short += u64::from(words <= 2);
    }
    let list = short * 10 >= all * 6;
    for (n, line) in text.lines().enumerate() {
        let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
        let line = line.trim();
        if !list {
            take.sentence(line, number);
            continue;
        }
        if is_comment(line) {
            continue;
        }
        let line = line.split(" #").next().unwrap_or(line);
        match line.split_whitespace().take(3).count() {
            0..=2 => take.cell(line, false, number),
            _ => take.sentence(line, number),
        }
    }
    if list { Form::List } else { Form::Prose }
}

/// What a column of a table holds for us.
enum Use {
    Cell,
    Print,
    Agent,
    Kind,
    Nothing,
}

fn use_of(name: &str) -> Use {
    match table::plain_name(name).as_str() {
        "user_agent" | "useragent" | "http_user_agent" => Use::Agent,
        "ja3" | "ja3_md5" | "ja3_hash" | "ja3s" | "hassh" => Use::Print,
        "type" | "indicator_type" | "ioc_type" | "kind" => Use::Kind,
        "email" | "mail" | "email_address" | "sender" | "cve" | "cve_id" | "community_id" | "mac" | "mac_address"
        | "hostnames" | "ips" | "domains" | "urls" | "hashes" | "iocs" | "indicators" | "ip_dst" | "ip_src"
        | "attribute_value" | "imphash" => Use::Cell,
        _ if indicator::column(name) == Column::Indicator => Use::Cell,
        _ => Use::Nothing,
    }
}

/// Reads a table with a header that names what a column holds. False: it is none.
fn read_table(text: &str, take: &mut Take) -> bool {
    let is_comment = |line: &&str| line.trim().is_empty() || line.starts_with('#') && !line.contains([',', ';', '\t']);
    let skipped = text.lines().take_while(is_comment).count();
    let Some(header) = text.lines().nth(skipped).filter(|h| h.len() <= 8192) else { return false };
    let Some(separator) = [',', '\t', ';', '|'].into_iter().max_by_key(|c| header.matches(*c).count()) else { return false };
    let names: Vec<&str> = header.trim_start_matches('#').split(separator).map(|n| n.trim().trim_matches('"')).collect();
    let uses: Vec<Use> = names.iter().map(|n| use_of(n)).collect();
    if names.len() < 2 || !uses.iter().any(|u| matches!(u, Use::Cell | Use::Print | Use::Agent)) {
        return false;
    }
    let start: usize = text.split_inclusive('\n').take(skipped + 1).map(str::len).sum();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator as u8)
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(&text.as_bytes()[start..]);
    for row in reader.records().filter_map(Result::ok) {
        let line = row.position().map_or(0, |p| p.line()) + skipped as u64 + 1;
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let cells = || uses.iter().zip(row.iter());
        let kind = cells().find(|(u, _)| matches!(u, Use::Kind)).map_or("", |(_, cell)| cell).to_lowercase();
        for (what, cell) in cells() {
            match what {
                Use::Agent => take.as_is(EntityKind::Agent, cell, line),
                Use::Cell if kind.contains("agent") => take.as_is(EntityKind::Agent, cell, line),
                Use::Cell => take.cell(cell, kind.contains("ja3") || kind.contains("hassh"), line),
                Use::Print => take.cell(cell, true, line),
                Use::Kind | Use::Nothing => {}
            }
        }
    }
    true
}
