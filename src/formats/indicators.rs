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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::indicator::word;

    fn taken(text: &str) -> Vec<String> {
        extract(text, false).indicators.iter().map(|i| format!("{} {} {}", i.line, word(i.kind), i.text)).collect()
    }
    /// Of a text in one line, without the line.
    fn of(text: &str) -> String {
        let found: Vec<String> = extract(text, false).indicators.iter().map(|i| format!("{}={}", word(i.kind), i.text)).collect();
        found.join(" ")
    }

    #[test]
    fn every_way_of_defanging_is_undone() {
        for (text, want) in [
            ("beacon went to evil[.]com twice", "name=evil.com"),
            ("beacon went to evil(.)com twice", "name=evil.com"),
            ("beacon went to evil{.}com twice", "name=evil.com"),
            ("beacon went to evil[dot]com twice", "name=evil.com"),
            ("beacon went to evil(DOT)com twice", "name=evil.com"),
            (r"beacon went to evil\.com twice", "name=evil.com"),
            ("beacon went to evil[.com twice", "name=evil.com"),
            ("beacon went to 203[.]0[.]113[.]9[:]8443 twice", "address=203.0.113.9"),
            ("beacon went to 203.0.113[.]9:8443, twice", "address=203.0.113.9"),
            ("fetch hxxps[:]//evil[.]com/a?b=c).", "url=https://evil.com/a?b=c"),
            ("fetch hXXp://evil.com/a.", "url=http://evil.com/a"),
            ("fetch http[://]evil[.]com/ now", "url=http://evil.com/"),
            ("fetch evil[.]com/gate.php now", "url=evil.com/gate.php"),
            ("mail of bad[at]evil[.]com and so on", "mail or user=bad@evil.com"),
            ("seen at 2001:db8[:]:9 and [2001:db8::1]:443 too", "address=2001:db8::9 address=2001:db8::1"),
            ("drops foo[.]py there", "name=foo.py"),
            ("its zone is *.evil[.]com there", "name=evil.com"),
        ] {
            assert_eq!(of(text), want, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left() {
        for text in [
            "we ran version 1.2.3.4 and firmware 10.0.1.9 of it",
            "the loader main.py calls foo.dll and run.sh in archive.tar.gz",
            "it uses System.Net.Sockets and ASP.NET with com.example.app classes",
            "this is the end.it was late, e.g. here, i.e. there, at 10:15:42",
            "bound to 127.0.0.1 and 0.0.0.0, ::1 and :: as std::net does, ab::cd",
            "the route 0.0.0.0/0 and 10.0.0.0/4",
            "fixed by commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 last week",
            "read and/or application/json over TCP/IP with Apache/2.4.1",
            "CVE-20-1, cve-abcd-1234, T1071.001 and MS17-010",
        ] {
            assert_eq!(of(text), "", "{text}");
        }
    }

    #[test]
    fn every_kind_is_taken_out_of_a_sentence_once() {
        let text = "We saw 10.0.0.5, then 192.0.2.0/24 (and 10.0.0.5) and evil.example.com over TLS\n\
            with d41d8cd98f00b204e9800998ecf8427e, SHA-1 da39a3ee5e6b4b0d3255bfef95601890afd80709 and CVE-2024-3094 too,\n\
            the JA3 was 1a7c9191e9a1e7d39444f8a8484b0600 and JA4 t12d130700_695b9cdc3781_054019f90316 as we think,\n\
            conn 1:wCb3OG7yAFWelaUydu0D+125CLM= of host 00:1B:44:11:3A:B7, evil@example.com wrote it all the same\n";
        assert_eq!(
            taken(text),
            [
                "1 address 10.0.0.5",
                "1 network 192.0.2.0/24",
                "1 name evil.example.com",
                "2 hash d41d8cd98f00b204e9800998ecf8427e",
                "2 hash da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "2 cve CVE-2024-3094",
                "3 fingerprint 1a7c9191e9a1e7d39444f8a8484b0600",
                "3 fingerprint t12d130700_695b9cdc3781_054019f90316",
                "4 community id 1:wCb3OG7yAFWelaUydu0D+125CLM=",
                "4 mac 00:1b:44:11:3a:b7",
                "4 mail or user evil@example.com",
            ]
        );
    }

    #[test]
    fn references_of_a_text_that_defangs_are_left_out_and_counted() {
        let text = "The name evil[.]example is described at https://blog.example.com/post and on mitre.org in detail\n";
        assert_eq!(taken(text), ["1 name evil.example"]);
        assert!(extract(text, false).notices[0].starts_with("2 names and URLs left out"));
        assert_eq!(extract(text, true).indicators.len(), 3);
    }

    #[test]
    fn lists_have_comments_and_names_with_any_end() {
        let text = "# from https://feed.example.org/list\n\n203.0.113.9 # c2\nevil.zone\n// note\nFOO.Evil.Quest;\nreadme.txt\n10.1.2.3/24\n";
        assert_eq!(taken(text), ["3 address 203.0.113.9", "4 name evil.zone", "6 name foo.evil.quest", "8 network 10.1.2.0/24"]);
    }

    #[test]
    fn tables_are_read_by_their_header() {
        let text = "# feed\ntype,value,reference,comment\nip-dst,203.0.113[.]9,https://ref.example/1,\"C2, see 10.9.9.9\"\n\
            user-agent,\"Mozilla/4.0 (bad)\",,\nja3-fingerprint-md5,1a7c9191e9a1e7d39444f8a8484b0600,,\n";
        assert_eq!(
            taken(text),
            ["3 address 203.0.113.9", "4 user agent Mozilla/4.0 (bad)", "5 fingerprint 1a7c9191e9a1e7d39444f8a8484b0600"]
        );
        assert_eq!(extract(text, false).form, Form::Csv);
    }

    #[test]
    fn stix_gives_its_patterns_and_observables_not_its_references() {
        let text = r#"{"type": "bundle", "objects": [
{"type": "indicator", "pattern_type": "stix", "name": "see https://blog.example/x",
 "pattern": "[ipv4-addr:value = '198.51.100.1/32' OR domain-name:value IN ('evil.example', 'bad.example')] START t'2024-01-01T00:00:00Z'",
 "external_references": [{"source_name": "mitre", "url": "https://attack.mitre.org/x"}]},
{"type": "indicator", "pattern": "[file:hashes.'SHA-256' = 'bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790' AND file:name = 'a.exe']"},
{"type": "indicator", "pattern": "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Bad/1.0 (x)']"},
{"type": "indicator", "pattern": "[url:value LIKE 'http://evil%']"},
{"type": "file", "hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}},
{"type": "vulnerability", "name": "CVE-2021-44228"}]}"#;
        assert_eq!(
            taken(text),
            [
                "3 address 198.51.100.1",
                "3 name evil.example",
                "3 name bad.example",
                "5 hash bae76f78e3b591b1123775dda65546ac9de953b0461eb948616a15a4b09fe790",
                "6 user agent Bad/1.0 (x)",
                "8 hash d41d8cd98f00b204e9800998ecf8427e",
                "9 cve CVE-2021-44228",
            ]
        );
        let read = extract(text, false);
        assert_eq!((read.form, read.notices.len()), (Form::Stix, 1));
    }

    #[test]
    fn misp_gives_its_attributes() {
        let text = r#"{"Event": {"info": "about 10.9.9.9", "Attribute": [
{"type": "domain|ip", "value": "evil.example|203.0.113.9", "to_ids": true},
{"value": "a.exe|d41d8cd98f00b204e9800998ecf8427e", "type": "filename|md5"},
{"type": "link", "value": "https://blog.example/x"},
{"type": "user-agent", "value": "Bad/1.0"}]}}"#;
        assert_eq!(
            taken(text),
            ["2 name evil.example", "2 address 203.0.113.9", "3 hash d41d8cd98f00b204e9800998ecf8427e", "5 user agent Bad/1.0"]
        );
    }

    #[test]
    fn hostile_texts_are_bounded_and_what_is_left_out_is_said() {
        let long = format!("{} evil[.]example", "x[.".repeat(400_000));
        assert_eq!(taken(&long), ["1 name evil.example"]);
        let many: String = (0..MOST + 5).map(|n| format!("a{n:063x}\n")).collect();
        let read = extract(&many, false);
        assert_eq!(read.indicators.len(), MOST);
        assert!(read.notices[0].starts_with("5 indicators left out"), "{:?}", read.notices);
        let deep = format!("{}\"pattern\": \"[url:value = 'http://evil.example/'\"", "{\"a\":[".repeat(100_000));
        assert!(extract(&deep, false).indicators.len() <= 1);
        for text in ["{", "{\"", "{\"a\":\"\\", "[\"\\u12", "'", "[x:y = '", "\u{feff}", "://", "a://", "@", "1:", "[.", "hxx"] {
            extract(text, false);
        }
    }

    #[test]
    fn entries_of_sets_are_understood_one_by_one() {
        let word_of = |text: &str| one(text).word();
        assert_eq!(word_of("evil.example"), "name");
        assert_eq!(word_of("Bad/1.0 (x)"), "user agent");
        assert_eq!(word_of("jdoe"), "mail or user");
        assert_eq!(word_of("http://evil.example/a,b"), "url");
    }
}
