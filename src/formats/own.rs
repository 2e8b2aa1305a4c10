//! A responder's own line formats, defined in TOML: a pattern, which of its groups is which field, which one is the time, and lines that it must read.
//!
//! ```toml
//! name = "shop"
//! doc = "Orders of the shop."
//! kind = "log"                       # any kind of record; log if left out
//! match = '^(?<time>\S+ \S+) (?<ip>\S+) user=(?<who>\S+) (?<what>.*)$'
//! [fields]                           # group -> field, as `backtrail fields` lists them
//! ip = "src.ip"
//! who = "user"
//! what = "message"
//! [constant]                         # field -> value of every record
//! app = "shop"
//! [time]
//! group = "time"
//! format = "%Y-%m-%d %H:%M:%S"       # strftime; left out: any form that backtrail knows, epochs too
//! zone = "Europe/Berlin"             # of times that state none; left out: that of the import
//! [[samples]]
//! line = "2026-11-20 08:00:00 192.0.2.5 user=bob ordered 7"
//! fields = { "src.ip" = "192.0.2.5", user = "bob", start = "2026-11-20T07:00:00Z" }
//! ```
//!
//! Instead of `match`, `[fields]` and `[time]`, `nginx = '...'`, `apache = '...'` or `squid = '...'` is the log format as the server is told it: see
//! `log_format`.
//!
//! Groups that are no field's are kept in `extra`. Does no I/O: whoever read the text hands it over. Patterns cannot backtrack, and what they may grow
//! to is bounded. Definitions are installed once, before anything is read; they are asked before the built-in formats.

mod constants;

use super::draft::Draft;
use super::log_format::{LogFormat, Server};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, Zone, clock, head};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use constants::{constants, standing};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Largest program that a pattern may become, in bytes, and deepest nesting of its groups.
const PATTERN_MAX: usize = 1 << 20;
const NEST_MAX: u32 = 50;
/// Longest definition, in bytes.
pub const DEFINITION_MAX: u64 = 1 << 20;
/// Most definitions that are installed.
const OWN_MAX: usize = 200;

/// The definition as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    doc: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(rename = "match", default)]
    pattern: Option<String>,
    /// The format as the server is told it, instead of `match`, `[fields]` and `[time]`.
    #[serde(default)]
    nginx: Option<String>,
    #[serde(default)]
    apache: Option<String>,
    #[serde(default)]
    squid: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    constant: BTreeMap<String, String>,
    #[serde(default)]
    time: Option<WrittenTime>,
    #[serde(default)]
    samples: Vec<WrittenSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTime {
    group: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSample {
    line: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// A format that a responder defined.
pub struct Own {
    name: &'static str,
    doc: &'static str,
    kind: Kind,
    reads: Reads,
    /// Groups by name: a field, or `extra`.
    groups: Vec<(String, Option<FieldId>)>,
    constant: Vec<(FieldId, Value)>,
    time: Option<OwnTime>,
}

/// How its lines are read.
enum Reads {
    Pattern(Regex),
    LogFormat(LogFormat),
}

struct OwnTime {
    group: String,
    format: Option<String>,
    zone: Option<Zone>,
}

static INSTALLED: OnceLock<Vec<&'static Own>> = OnceLock::new();

/// The definitions that are installed.
pub fn installed() -> &'static [&'static Own] {
    INSTALLED.get().map_or(&[], Vec::as_slice)
}

/// Installs definitions for the life of the process; a second call changes nothing. Of two with one name the first counts, and at most 200.
pub fn install(all: Vec<Own>) {
    let mut kept: Vec<&'static Own> = Vec::new();
    for own in all.into_iter().take(OWN_MAX) {
        if super::find(own.name).is_none() && kept.iter().all(|k| k.name != own.name) {
            // They live as long as the program: formats are known by `&'static`.
            kept.push(Box::leak(Box::new(own)));
        }
    }
    let _ = INSTALLED.set(kept);
}

/// The definition that a text is; its samples have been read as they say. `place` is named in errors.
///
/// # Errors
/// Of a text that is no TOML or has unknown keys, a pattern that is none or too large, names that are no fields or groups, samples that are not
/// read as they say: what, where, what next.
pub fn parse(text: &str, place: &str) -> Result<Own> {
    let wrong = |what: String, next: &str| Error::config(what).at(place).hint(next.to_owned());
    let written: Written = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(0, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        let what = e.message().lines().next().unwrap_or("is no TOML").to_owned();
        Error::config(what)
            .at(format!("{place}:{line}"))
            .hint("name, doc, match, [fields], [time], [[samples]]: see `backtrail formats --help`")
    })?;
    let line_of = |needle: &str| text.lines().position(|l| l.contains(needle)).map_or(1, |n| n + 1);
    let plain = !written.name.is_empty()
        && written.name.len() <= 64
        && written.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        return Err(wrong(format!("`{}` is no name of a format", written.name), "small letters, digits and `-`"));
    }
    if super::ALL.iter().any(|f| f.name() == written.name) {
        return Err(wrong(format!("`{}` is the name of a built-in format", written.name), "choose another name"));
    }
    let kind = match &written.kind {
        None => Kind::Log,
        Some(word) => Kind::ALL.iter().copied().find(|k| k.name() == word).ok_or_else(|| {
            let all = Kind::ALL.map(Kind::name).join(", ");
            Error::config(format!("`{word}` is no kind of record")).at(format!("{place}:{}", line_of("kind"))).hint(all)
        })?,
    };
    let field_of = |name: &str| {
        let known = field::find(name).filter(|f| matches!(f.place, Place::One | Place::Many) && f.id != field::EXTRA);
        known.map(|f| f.id).ok_or_else(|| {
            let near = crate::error::nearest(name, field::ALL.iter().map(|f| f.name));
            Error::config(format!("`{name}` is no field that a format can give"))
                .at(format!("{place}:{}", line_of(name)))
                .hint(near.map_or("backtrail fields lists them".into(), |n| format!("did you mean `{n}`?")))
        })
    };
    let given = [
        (Server::Nginx, "nginx", &written.nginx),
        (Server::Apache, "apache", &written.apache),
        (Server::Squid, "squid", &written.squid),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(server, key, format)| Some((server, key, format.as_deref()?))).collect();
    if given.len() + usize::from(written.pattern.is_some()) != 1 {
        return Err(wrong("how its lines are read is not said, or twice".into(), "one of match, nginx, apache, squid"));
    }
    if let [(server, key, format)] = given[..] {
        let at = format!("{place}:{}", line_of(key));
        if !written.fields.is_empty() || written.time.is_some() || written.kind.is_some() {
            return Err(Error::config(format!("{key} says the fields, the time and the kind itself"))
                .at(at)
                .hint("leave [fields], [time] and kind out"));
        }
        let format = LogFormat::parse(server, format).map_err(|what| {
            Error::config(format!("{key}: {what}")).at(at).hint("write it as the server's configuration has it")
        })?;
        let constant = constants(&written, &field_of, place, &line_of)?;
        let own = Own {
            name: leak(written.name.clone()),
            doc: leak(sentence(&written.doc)),
            kind: format.kind(),
            reads: Reads::LogFormat(format),
            groups: Vec::new(),
            constant,
            time: None,
        };
        return own.checked(&written.samples, place, &line_of);
    }
    let at_match = format!("{place}:{}", line_of("match"));
    let pattern = RegexBuilder::new(written.pattern.as_deref().unwrap_or_default())
        .size_limit(PATTERN_MAX)
        .dfa_size_limit(2 * PATTERN_MAX)
        .nest_limit(NEST_MAX)
        .build();
    let pattern = pattern.map_err(|e| {
        let what = e.to_string();
        let what = what.lines().last().unwrap_or("is no pattern").trim().to_owned();
        Error::config(format!("match: {what}"))
            .at(at_match.clone())
            .hint("the syntax is that of https://docs.rs/regex; groups are (?<name>...)")
    })?;
    let names: Vec<String> = pattern.capture_names().flatten().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::config("match has no groups with names")
            .at(at_match)
            .hint("write (?<name>...) around what is to be read"));
    }
    let group_of = |group: &str, key: &str| match names.iter().any(|n| n == group) {
        true => Ok(group.to_owned()),
        false => Err(Error::config(format!("match has no group `{group}`"))
            .at(format!("{place}:{}", line_of(key)))
            .hint(format!("its groups: {}", names.join(", ")))),
    };
    let mut fields = BTreeMap::new();
    for (group, name) in &written.fields {
        fields.insert(group_of(group, group)?, field_of(name)?);
    }
    let constant = constants(&written, &field_of, place, &line_of)?;
    let time = match &written.time {
        None => None,
        Some(time) => {
            let zone = time.zone.as_deref().map(|text| {
                Zone::parse(text).ok_or_else(|| {
                    Error::config(format!("`{text}` is no zone"))
                        .at(format!("{place}:{}", line_of("zone")))
                        .hint("UTC, +02:00, Europe/Berlin")
                })
            });
            if let Some(format) = &time.format
                && chrono::format::StrftimeItems::new(format).any(|i| matches!(i, chrono::format::Item::Error))
            {
                return Err(Error::config(format!("`{format}` is no form of a time"))
                    .at(format!("{place}:{}", line_of("format")))
                    .hint("the words of strftime: %Y-%m-%d %H:%M:%S"));
            }
            Some(OwnTime { group: group_of(&time.group, "group")?, format: time.format.clone(), zone: zone.transpose()? })
        }
    };
    let groups = names.iter().map(|n| (n.clone(), fields.get(n).copied())).collect();
    let own = Own {
        name: leak(written.name.clone()),
        doc: leak(sentence(&written.doc)),
        kind,
        reads: Reads::Pattern(pattern),
        groups,
        constant,
        time,
    };
    own.checked(&written.samples, place, &line_of)
}

/// Formats are known by `&'static`: their names live as long as the program.
fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn sentence(doc: &str) -> String {
    let doc = doc.trim();
    if doc.ends_with('.') { doc.to_owned() } else { format!("{doc}.") }
}

impl Own {
    /// Itself, if it reads its samples as they say.
    fn checked(self, samples: &[WrittenSample], place: &str, line_of: &dyn Fn(&str) -> usize) -> Result<Own> {
        if samples.is_empty() {
            return Err(Error::config("there are no samples")
                .at(place)
                .hint("write at least one [[samples]] with a line and the fields that it must give"));
        }
        for (n, sample) in samples.iter().enumerate() {
            self.check(sample).map_err(|what| {
                Error::config(format!("sample {}: {what}", n + 1))
                    .at(format!("{place}:{}", line_of(sample.line.get(..20).unwrap_or(&sample.line))))
                    .hint("mend how lines are read, or what the sample says")
            })?;
        }
        Ok(self)
    }
    /// Whether a sample is read as it says; else what differs.
    fn check(&self, sample: &WrittenSample) -> std::result::Result<(), String> {
        let context = standing();
        let mut out = Out::default();
        let status = self.line(sample.line.as_bytes(), Unit { offset: 0, line: 1 }, &context, &mut out);
        let Some(read) = out.records.first().filter(|_| status != Status::Failed) else {
            return Err("match does not match it".into());
        };
        for (name, want) in &sample.fields {
            let known = field::find(name).ok_or_else(|| format!("`{name}` is no field"))?;
            let got = match known.id {
                field::START => read.record.start.to_string(),
                field::END => read.record.end.to_string(),
                field::KIND => read.record.kind.name().to_owned(),
                id => read
                    .record
                    .fields
                    .iter()
                    .filter(|(f, _)| *f == id)
                    .map(|(_, v)| v.show(known.ty))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            if got != *want {
                return Err(format!("{name} is `{got}`, not `{want}`"));
            }
        }
        Ok(())
    }
    fn line(&self, line: &[u8], unit: Unit, context: &Context, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            return Status::Skipped;
        }
        let pattern = match &self.reads {
            Reads::Pattern(pattern) => pattern,
            Reads::LogFormat(format) => return self.web(format, text, line.len(), unit, context, out),
        };
        let Some(groups) = pattern.captures(text) else {
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let own = self.time.as_ref();
        let time = own.and_then(|t| t.instant(groups.name(&t.group)?.as_str(), context, out));
        let mut d = match own {
            Some(_) => Draft::timed(self.kind, context, unit, line.len(), time, out),
            None => Draft::new(self.kind, context, unit, line.len(), context.modified),
        };
        for (name, id) in &self.groups {
            let Some(value) = groups.name(name).map(|m| m.as_str()).filter(|v| !v.is_empty() && *v != "-") else { continue };
            let timed = own.is_some_and(|t| t.group == *name) && time.is_some();
            match id {
                Some(id) if field::get(*id).is_some_and(|f| f.ty == Type::Time) => d.instant(*id, name, value, context, out),
                Some(id) => d.put_or_keep(*id, name, value),
                None if timed => {}
                None => d.keep(name, value),
            }
        }
        for (id, value) in &self.constant {
            d.give(*id, value.clone());
        }
        if d.record.kind == Kind::Log && !d.has(field::MESSAGE) {
            d.text(field::MESSAGE, text);
        }
        d.finish(None, out)
    }
}

impl Own {
    /// A line by the format that a server was told.
    fn web(&self, format: &LogFormat, text: &str, len: usize, unit: Unit, context: &Context, out: &mut Out) -> Status {
        let before = out.records.len();
        let Some(status) = format.read(text, context, unit, len, out) else {
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        for read in out.records.iter_mut().skip(before) {
            for (id, value) in &self.constant {
                if read.record.get(*id).is_none() {
                    read.record.set(*id, value.clone());
                }
            }
        }
        status
    }
}

impl OwnTime {
    fn instant(&self, text: &str, context: &Context, out: &mut Out) -> Option<Time> {
        let zoned = Context { zone: self.zone.unwrap_or(context.zone), ..context.clone() };
        let before = out.assumed.len();
        let time = match &self.format {
            None => clock::any(text, &zoned, out),
            Some(format) => {
                let zone_stated = chrono::DateTime::parse_from_str(text, format).ok();
                match zone_stated {
                    Some(time) => time.timestamp_nanos_opt().map(Time),
                    None => {
                        let local = chrono::NaiveDateTime::parse_from_str(text, format).ok()?;
                        clock::assume(out, clock::ZONE_ASSUMED);
                        Some(zoned.zone.instant(local))
                    }
                }
            }
        };
        // A zone that the definition states is no assumption.
        if self.zone.is_some() && out.assumed.len() > before {
            out.assumed.retain(|a| *a != clock::ZONE_ASSUMED);
        }
        time
    }
}

impl Format for Own {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 256 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| match &self.reads {
            Reads::Pattern(pattern) => pattern.is_match(l),
            Reads::LogFormat(format) => format.is(l),
        }) {
            Sniff::Yes
        } else {
            Sniff::No
        }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        // What is installed lives as long as the program; a definition that is only checked reads its samples itself.
        match installed().iter().copied().find(|o| o.name == self.name) {
            Some(own) => Box::new(Lines { own, context: context.clone() }),
            None => Box::new(Unknown),
        }
    }
}

struct Lines {
    own: &'static Own,
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        self.own.line(line, unit, &self.context, out)
    }
}

/// Of a definition that is not installed.
struct Unknown;

impl Reader for Unknown {
    fn line(&mut self, _: &[u8], unit: Unit, out: &mut Out) -> Status {
        out.oddities.push(Oddity::at("format_not_installed", format!("line {}", unit.line)));
        Status::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r#"name = "shop"
doc = "Orders of the shop"
match = '^(?<time>\S+ \S+) (?<ip>\S+) user=(?<who>\S+) (?<no>\d+) (?<what>.*)$'
[fields]
ip = "src.ip"
who = "user"
what = "message"
[constant]
app = "shop"
[time]
group = "time"
format = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
[[samples]]
line = "20.11.2026 08:00:00 192.0.2.5 user=bob 7 ordered"
fields = { "src.ip" = "192.0.2.5", user = "bob", app = "shop", start = "2026-11-20T07:00:00Z", message = "ordered" }
"#;

    fn error(text: &str) -> String {
        match parse(text, "shop.toml") {
            Ok(_) => "fine".into(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_definition_reads_its_samples() {
        let own = parse(SHOP, "shop.toml").unwrap();
        assert_eq!((own.name(), own.doc()), ("shop", "Orders of the shop."));
        assert_eq!(own.sniff(b"20.11.2026 08:00:00 192.0.2.5 user=bob 7 ordered\n"), Sniff::Yes);
        assert_eq!(own.sniff(b"something else\n"), Sniff::No);
    }

    #[test]
    fn constants_are_of_their_fields_type() {
        let text = "name = \"edge\"\ndoc = \"Edge\"\nnginx = '$remote_addr \"$request\"'\n[constant]\n\"dst.port\" = \"443\"\n[[samples]]\nline = '192.0.2.5 \"GET / HTTP/1.1\"'\n";
        let own = parse(text, "edge.toml").unwrap();
        let mut out = Out::default();
        own.line(b"192.0.2.5 \"GET / HTTP/1.1\"", Unit::default(), &standing(), &mut out);
        assert_eq!(out.records[0].record.uint(field::DST_PORT), Some(443));
    }

    #[test]
    fn errors_say_where_and_what_next() {
        for (from, to, wants) in [
            ("ip = \"src.ip\"", "ip = \"src.ipp\"", &["shop.toml:5", "src.ipp", "src.ip"][..]),
            ("ip = \"src.ip\"", "ipp = \"src.ip\"", &["shop.toml", "no group `ipp`", "time, ip, who"]),
            ("(?<ip>\\S+)", "(?<ip>\\S+", &["shop.toml:3", "match"]),
            ("user = \"bob\"", "user = \"eve\"", &["sample 1", "user is `bob`, not `eve`"]),
            ("zone = \"Europe/Berlin\"", "zone = \"Nowhere\"", &["shop.toml:13", "`Nowhere` is no zone"]),
            ("name = \"shop\"", "name = \"squid\"", &["built-in"]),
            ("[constant]\n", "[constant]\n\"dst.port\" = \"70000\"\n", &["shop.toml:9", "`70000` is no value of dst.port"]),
            ("doc = ", "dock = ", &["shop.toml:", "dock"]),
            ("%d.%m", "%Q.%m", &["strftime"]),
            ("user=bob 7", "user=bob x", &["sample 1", "does not match"]),
        ] {
            let said = error(&SHOP.replace(from, to));
            assert!(wants.iter().all(|w| said.contains(w)), "{to}: {said}");
        }
        let huge = SHOP.replace("(?<no>\\d+)", "(?<no>(((\\w{100}){100}){100}){100})");
        assert!(error(&huge).contains("match"), "{}", error(&huge));
    }
}
