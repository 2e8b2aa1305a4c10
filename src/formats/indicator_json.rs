//! Indicators in JSON: STIX 2 (patterns, observables), MISP (attributes), and any other (every text). The text is scanned once, not built into a
//! tree: so every value has its line, a file that is cut is read as far as it goes, and depth costs nothing.

use super::indicators::{Form, Take};
use crate::model::entity::EntityKind;

/// Deepest object whose keys are kept apart; what lies deeper is read as if it stood there.
const DEEPEST: usize = 64;
/// Most texts of one object that wait for its end.
const WAITING: usize = 256;
/// Longest text that is looked at.
const LONGEST: usize = 1 << 20;

/// Keys whose texts are about the indicator, not it.
const ABOUT: [&str; 20] = [
    "reference",
    "references",
    "link",
    "links",
    "source",
    "author",
    "uuid",
    "id",
    "schema",
    "$schema",
    "created",
    "modified",
    "timestamp",
    "feed",
    "provider",
    "reporter",
    "spec_version",
    "version",
    "external_references",
    "source_url",
];

/// An object that is open.
#[derive(Default)]
struct Object {
    /// Key under which it stands.
    under: String,
    key: String,
    kind: String,
    values: Vec<(String, String, u32)>,
}

/// Reads a text that is JSON, or lines of it. None: it is neither.
pub(super) fn read(text: &str, take: &mut Take) -> Option<Form> {
    let start = text.trim_start();
    if !start.starts_with(['{', '[']) || !start[1..].trim_start().starts_with(['{', '[', '"', '}', ']']) {
        return None;
    }
    let head = &text[..text.floor_char_boundary(1 << 20)];
    let has = |word: &str| head.contains(word);
    let form = if has("\"pattern_type\"") || has("\"spec_version\"") || has("\"bundle\"") {
        Form::Stix
    } else if has("\"Attribute\"") || has("\"to_ids\"") {
        Form::Misp
    } else {
        Form::Json
    };
    scan(text, form, take);
    Some(form)
}

fn scan(text: &str, form: Form, take: &mut Take) {
    let bytes = text.as_bytes();
    let mut open: Vec<Object> = vec![Object::default()];
    let (mut at, mut line) = (0, 1u32);
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => line = line.saturating_add(1),
            b'{' if open.len() < DEEPEST => {
                let under = open.last().map(|o| o.key.clone()).unwrap_or_default();
                open.push(Object { under, ..Object::default() });
            }
            b'}' if open.len() > 1 => {
                if let Some(object) = open.pop() {
                    close(&object, form, take);
                }
            }
            b'"' => {
                let end = literal(bytes, at);
                let value = text.get(at..end).filter(|t| t.len() <= LONGEST).and_then(|t| serde_json::from_str::<String>(t).ok());
                let next = bytes[end..].iter().find(|b| !b.is_ascii_whitespace());
                if let (Some(value), Some(object)) = (value, open.last_mut()) {
                    if next == Some(&b':') {
                        object.key = value;
                    } else {
                        if object.key == "type" {
                            object.kind.clone_from(&value);
                        }
                        object.values.push((object.key.clone(), value, line));
                        if object.values.len() > WAITING {
                            close(object, form, take);
                            object.values.clear();
                        }
                    }
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    // What the end of the text left open.
    open.iter().rev().for_each(|object| close(object, form, take));
}

/// Where the text literal that begins at a place ends.
fn literal(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn close(object: &Object, form: Form, take: &mut Take) {
    for (key, value, line) in &object.values {
        match form {
            Form::Stix => stix(object, key, value, *line, take),
            Form::Misp => {
                if key == "value" && !object.kind.is_empty() {
                    misp(&object.kind, value, *line, take);
                }
            }
            _ => any(key, value, *line, take),
        }
    }
}

fn stix(object: &Object, key: &str, value: &str, line: u32, take: &mut Take) {
    const OBSERVABLES: [&str; 6] = ["ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr", "mac-addr"];
    match key {
        "pattern" => pattern(value, line, take),
        "value" if OBSERVABLES.contains(&object.kind.as_str()) => take.cell(value, false, line),
        "name" if object.kind == "vulnerability" => take.cell(value, false, line),
        _ if object.under == "hashes" => take.cell(value, false, line),
        _ if key.eq_ignore_ascii_case("user-agent") => take.as_is(EntityKind::Agent, value, line),
        _ => {}
    }
}

/// The plain values of a STIX pattern.
fn pattern(text: &str, line: u32, take: &mut Take) {
    let mut rest = text;
    let mut path = String::new();
    let mut skipped = false;
    while let Some(open) = rest.find('\'') {
        let gap = &rest[..open];
        let after = &rest[open + 1..];
        let mut end = after.len();
        let mut escaped = false;
        for (i, c) in after.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        let value = after[..end].replace("\\'", "'").replace("\\\\", "\\");
        rest = after.get(end + 1..).unwrap_or("");
        let bare = gap.trim_end();
        // A part of the path in quotes: `file:hashes.'SHA-256'`.
        if bare.ends_with('.') || bare.ends_with('[') && bare.len() > 1 && path_char(bare) {
            if gap.contains(':') {
                path.clear();
            }
            path.push_str(gap);
            path.push_str(&value);
            continue;
        }
        let upper = gap.to_uppercase();
        if upper.trim_end().ends_with('T') && (upper.contains("START ") || upper.contains("STOP ")) {
            continue;
        }
        if gap.contains(':') {
            path = gap.to_owned();
        } else if !path.contains(':') {
            continue;
        }
        let plain = !["LIKE", "MATCHES", "!=", "NOT "].iter().any(|w| upper.contains(w));
        if !plain {
            skipped = true;
            continue;
        }
        let of = path.to_lowercase();
        if of.contains("user-agent") {
            take.as_is(EntityKind::Agent, &value, line);
        } else if !of.contains("file:name") && !of.contains("process:") && !of.contains("registry") && !of.contains("directory") {
            take.cell(&value, of.contains("ja3") || of.contains("hassh"), line);
        }
    }
    take.patterns += u64::from(skipped);
}

fn path_char(before: &str) -> bool {
    before[..before.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
}

fn misp(kind: &str, value: &str, line: u32, take: &mut Take) {
    let kind = kind.to_lowercase();
    match kind.as_str() {
        "user-agent" | "http-user-agent" => take.as_is(EntityKind::Agent, value, line),
        "link" | "comment" | "text" | "other" | "attachment" | "filename" | "datetime" | "snort" | "yara" | "sigma" | "mutex"
        | "regkey" | "named pipe" | "pdb" | "port" | "github-repository" => {}
        "community-id" => take.cell(value, false, line),
        _ => {
            let print = kind.contains("ja3") || kind.contains("hassh");
            // `filename|md5`, `domain|ip`, `ip-dst|port`: each part for itself, but no names of files.
            let parts = value.split('|').skip(usize::from(kind.starts_with("filename|")));
            parts.for_each(|part| take.cell(part, print, line));
        }
    }
}

fn any(key: &str, value: &str, line: u32, take: &mut Take) {
    let lower = key.to_ascii_lowercase();
    if ABOUT.contains(&lower.as_str()) {
        return;
    }
    if lower.replace(['-', '.'], "_").contains("user_agent") || lower == "useragent" {
        take.as_is(EntityKind::Agent, value, line);
    } else if value.trim().contains(char::is_whitespace) {
        take.sentence(value, line);
    } else {
        take.cell(value, lower.contains("ja3") || lower.contains("hassh"), line);
    }
}
