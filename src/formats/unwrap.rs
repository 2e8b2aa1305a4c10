//! What exports and collectors wrap: an object whose members hold a line of a log (`_raw` of Splunk, `event.original`, `log.original` and
//! `message` of Elastic, `log` of a container runtime, `MESSAGE` of journald) or a whole object of another format (`_source`, `result`).
//!
//! Shared by the formats whose unit is an object. The inner line is read by its own format, so an alert is an alert whoever shipped it; the
//! sensor is the inner host; the time of the wrapper is used where the inner line states none, gives it its year, and is kept where it differs.
//! What the wrapper's own members say besides is added where the inner line says nothing.

use super::envelope::Envelope;
use super::json::{self, Members};
use super::{
    Context, Format, Framing, Out, Sniff, Status, Unit,
    draft::{self, Draft},
    journald_json, json_lines, keyed, lift, syslog, vendor_names, vendor_values, windows_event, windows_xml,
};
use crate::model::field::{self, Place};
use crate::model::oddity::Oddity;
use crate::model::record::{Kind, Record};
use crate::model::time::Time;
use crate::model::value::Value;
use std::borrow::Cow;

/// Members that hold a whole object, and those that hold a line, best first.
const OBJECTS: [&str; 2] = ["_source", "result"];
const LINES: [&str; 8] = ["_raw", "event.original", "log.original", "message", "MESSAGE", "log", "line", "msg"];
/// Most members that are read as sentences.
const PROSE_MAX: usize = 4;
/// How many wrappers may lie around each other.
const LAYERS: usize = 4;
/// Members of Splunk and Elastic that are about the export, not about the record; the first ones are kept.
const KEPT: [&str; 6] = ["index", "source", "sourcetype", "_index", "_id", "stream"];
const DROPPED: [&str; 16] = [
    "_time",
    "host",
    "_score",
    "_type",
    "_version",
    "sort",
    "_indextime",
    "_cd",
    "_bkt",
    "_si",
    "_serial",
    "_sourcetype",
    "linecount",
    "punct",
    "splunk_server",
    "_kv",
];

/// What the wrappers around an object or a line say.
#[derive(Default)]
struct Outer {
    time: Option<Time>,
    host: String,
    /// Members that are kept, as JSON.
    kept: Vec<(String, String)>,
    layers: usize,
    /// It is a line's envelope: the object's own time is only what it calls so, and names are those of devices.
    envelope: bool,
}

/// A unit that is read.
struct Job<'a> {
    context: &'a Context,
    unit: Unit,
    len: usize,
}

/// Reads an object with whatever is wrapped in it.
pub(super) fn read(text: &str, context: &Context, unit: Unit, len: usize, out: &mut Out) -> Status {
    Job { context, unit, len }.object(text, Outer::default(), out)
}

/// What stands around an object in a line.
pub(super) struct Around<'a> {
    pub envelope: &'a Envelope<'a>,
    /// Text before it.
    pub before: &'a str,
    pub time: Option<Time>,
}

/// The object that a message ends in, with the text before it; the members of one without its brackets too.
pub(super) fn object_in(message: &str) -> Option<(&str, Cow<'_, str>)> {
    let message = message.trim_end();
    if message.starts_with('"') && message.contains("\":") {
        let object = format!("{{{}}}", message.trim_end_matches(','));
        return json::object(&object).is_some().then_some(("", Cow::Owned(object)));
    }
    let start = message.find("{").filter(|at| *at <= 256 && message.ends_with('}'))?;
    let (before, object) = message.split_at(start);
    (object.contains('"') && json::object(object).is_some()).then_some((before.trim(), Cow::Borrowed(object)))
}

/// Reads an object that a line carries.
pub(super) fn carried(text: &str, around: &Around<'_>, context: &Context, unit: Unit, len: usize, out: &mut Out) -> Status {
    let (before, first) = (out.records.len(), around.envelope);
    let mut outer = Outer { time: around.time, host: first.host.to_owned(), envelope: true, ..Outer::default() };
    let word = around.before.trim_end_matches(':');
    let one_word = !word.is_empty() && !word.contains([' ', '[', '=']);
    let process = if first.process.is_empty() && one_word { word } else { first.process };
    for (key, text) in [("syslog.id", first.id), ("syslog.data", first.data), ("syslog.text", around.before)] {
        if !text.is_empty() && (key != "syslog.text" || process != word) {
            let mut quoted = String::new();
            json::quote(text, &mut quoted);
            outer.kept.push((key.to_owned(), quoted));
        }
    }
    if let Some(priority) = first.priority {
        outer.kept.push(("syslog.facility".to_owned(), (priority / 8).to_string()));
    }
    let status = Job { context, unit, len }.object(text, outer, out);
    for read in out.records.iter_mut().skip(before) {
        let record = &mut read.record;
        if record.get(field::PROCESS).is_none() && !process.is_empty() {
            record.set_text(field::PROCESS, process);
        }
        if let (None, Some(pid)) = (record.get(field::PID), first.pid) {
            record.set(field::PID, Value::Uint(pid));
        }
        if let (None, Some(severity)) = (record.get(field::SEVERITY), first.severity()) {
            record.set(field::SEVERITY, Value::Uint(severity));
        }
    }
    status
}

impl Job<'_> {
    fn object(&self, text: &str, mut outer: Outer, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else {
            out.oddities.push(Oddity::at("json_malformed", place(self.unit)));
            return Status::Failed;
        };
        outer.layers += 1;
        if outer.layers < LAYERS {
            if let Some((key, inner)) = object_inside(&members) {
                let others: Members<'_> = members.iter().filter(|(k, _)| k != key).cloned().collect();
                outer.learn(&others, self.context, out);
                return self.object(inner, outer, out);
            }
            // Winlogbeat has `message` too, which is the rendering of the whole event.
            if windows_event::is(&members) {
                return self.finish(
                    windows_event::read(&members, self.context, self.unit, self.len, outer.time, out),
                    0,
                    None,
                    &outer,
                    out,
                );
            }
            if journald_json::is(&members) {
                let status = journald_json::read(&members, self.context, self.unit, self.len, out);
                return self.finish(status, 0, None, &outer, out);
            }
            if let Some(keyed) = keyed::of(&members) {
                let status = keyed.read(&members, self.context, self.unit, self.len, outer.time, out);
                return self.finish(status, 0, None, &outer, out);
            }
            if let Some(format) = format_of(text, true) {
                return self.line(format, text, &members, &outer, out);
            }
            if let Some(line) = line_inside(&members) {
                outer.learn(&members, self.context, out);
                if line.trim_start().starts_with('{') && json::object(line.trim()).is_some() {
                    return self.object(line.trim(), outer, out);
                }
                if windows_xml::is(&line) {
                    let status = windows_xml::read(line.trim().as_bytes(), self.context, self.unit, self.len, out);
                    return self.finish(status, 0, None, &outer, out);
                }
                if let Some(format) = format_of(&line, false) {
                    return self.line(format, &line, &members, &outer, out);
                }
            }
        }
        self.plain(&members, &outer, out)
    }

    /// A line of another format.
    fn line(&self, format: &dyn Format, line: &str, members: &Members<'_>, outer: &Outer, out: &mut Out) -> Status {
        let (before, oddities) = (out.records.len(), out.oddities.len());
        let context = Context { modified: outer.time.unwrap_or(self.context.modified), ..self.context.clone() };
        let mut reader = format.reader(&context);
        let mut status = Status::Skipped;
        for part in line.lines().filter(|l| !l.trim().is_empty()) {
            let one = reader.line(part.as_bytes(), self.unit, out);
            status = match (status, one) {
                (Status::Skipped, one) => one,
                (before, Status::Skipped) => before,
                (Status::Ok, Status::Ok) => Status::Ok,
                _ => Status::Partial,
            };
        }
        reader.end(out);
        if status == Status::Failed && out.records.len() == before {
            out.oddities.truncate(oddities);
            return self.plain(members, outer, out);
        }
        // The wrapper states the time that the line does not.
        if outer.time.is_some() {
            let missing = out.oddities.iter().skip(oddities).filter(|o| o.what == "time_missing").count();
            if missing > 0 && missing == out.oddities.len() - oddities {
                out.oddities.truncate(oddities);
                status = Status::Ok;
            }
            out.assumed.retain(|a| *a != syslog::TIME_ASSUMED);
        }
        let beside = (outer.layers > 0 && !line.starts_with('{')).then(|| beside(members, self.context, self.unit));
        self.finish(status, before, beside.as_ref(), outer, out)
    }

    /// Gives the records from `before` on what the wrapper says.
    fn finish(&self, status: Status, before: usize, beside: Option<&Record>, outer: &Outer, out: &mut Out) -> Status {
        for read in out.records.iter_mut().skip(before) {
            let record = &mut read.record;
            record.len = u32::try_from(self.len).unwrap_or(u32::MAX);
            for (id, value) in beside.iter().flat_map(|r| &r.fields) {
                if record.get(*id).is_none() {
                    record.set(*id, value.clone());
                }
            }
            if read.sensor.is_none() && !outer.host.is_empty() {
                read.sensor = Some(outer.host.clone());
                if record.get(field::HOSTNAME).is_none() {
                    record.set_text(field::HOSTNAME, &outer.host.to_lowercase());
                }
            }
            outer.keep(record);
        }
        status
    }

    /// An object that nobody more special understands.
    fn plain(&self, members: &Members<'_>, outer: &Outer, out: &mut Out) -> Status {
        let before = out.records.len();
        let time = match outer.envelope && outer.time.is_some() {
            true => json_lines::usual_time(members, self.context, out),
            false => json_lines::time(members, self.context, out),
        };
        let wrapped = outer.layers > 1 || !outer.kept.is_empty() && !outer.envelope;
        let mut d = Draft::timed(kind(members), self.context, self.unit, self.len, time.map(|(_, t)| t).or(outer.time), out);
        let mut skip: Vec<&str> = time.map(|(key, _)| key).into_iter().collect();
        if wrapped {
            skip.extend(DROPPED.iter().chain(&KEPT));
        }
        json_lines::fill(members, &skip, self.context, &mut d, out);
        if outer.envelope {
            let mut leaves = Vec::new();
            gather(members, 0, &mut leaves);
            let pairs: Vec<(&str, &str)> = leaves.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            // What has no field is in `extra` already.
            vendor_values::fill(&pairs, false, &mut d);
            if d.record.kind == Kind::Log {
                d.record.kind = vendor_values::kind(&d);
            }
            // What the object says in sentences.
            for (_, text) in pairs.iter().filter(|(key, text)| text.contains(' ') && vendor_names::is_prose(key)).take(PROSE_MAX)
            {
                lift::lift(text, &mut d);
                syslog::decide(text, &mut d);
            }
        }
        let status = d.finish(None, out);
        self.finish(status, before, None, outer, out)
    }
}

impl Outer {
    /// Takes what a wrapper's members say of the export.
    fn learn(&mut self, members: &Members<'_>, context: &Context, out: &mut Out) {
        if let Some((_, time)) = json_lines::time(members, context, out) {
            self.time = Some(time);
        }
        for key in ["host", "host.name", "_HOSTNAME", "host.hostname"] {
            if let Some(host) = keyed::at(members, key) {
                self.host = host;
                break;
            }
        }
        for key in KEPT {
            if let Some(raw) = json::member(members, key).filter(|r| !json::is_nested(r)) {
                self.kept.push((key.to_owned(), raw.get().to_owned()));
            }
        }
    }

    /// Adds what is kept to a record's extra members.
    fn keep(&self, record: &mut Record) {
        let mut more = String::new();
        let mut add = |key: &str, raw: &str| {
            if !more.is_empty() {
                more.push(',');
            }
            json::quote(key, &mut more);
            more.push(':');
            more.push_str(raw);
        };
        self.kept.iter().for_each(|(key, raw)| add(key, raw));
        if let Some(time) = self.time.filter(|t| *t != record.start) {
            add("wrapper.time", &format!("\"{time}\""));
        }
        draft::add_extra(record, &more);
    }
}

/// The scalars of an object with their keys, those of objects inside too.
fn gather(members: &Members<'_>, depth: usize, leaves: &mut Vec<(String, String)>) {
    for (key, raw) in members {
        if leaves.len() >= 200 {
            return;
        }
        if !json::is_nested(raw) {
            leaves.push((key.to_string(), json::scalar(raw).into_owned()));
        } else if let Some(inner) = json::object(raw.get()).filter(|_| depth < 4) {
            gather(&inner, depth + 1, leaves);
        }
    }
}

fn place(unit: Unit) -> String {
    if unit.line > 0 { format!("line {}", unit.line) } else { format!("byte {}", unit.offset) }
}

/// The object that an object of an export is about: Splunk's `result` beside its own members, Elastic's `_source`.
fn object_inside<'a>(members: &Members<'a>) -> Option<(&'static str, &'a str)> {
    OBJECTS.iter().find_map(|key| {
        let raw = json::member(members, key).filter(|r| r.get().starts_with('{'))?;
        let beside = |names: &[&str]| members.len() == 1 || names.iter().any(|n| json::member(members, n).is_some());
        let export = if *key == "result" { beside(&["preview", "offset", "lastrow"]) } else { true };
        export.then_some((*key, raw.get()))
    })
}

/// The line of a log that an object holds.
fn line_inside(members: &Members<'_>) -> Option<String> {
    LINES.iter().find_map(|key| keyed::at(members, key))
}

/// Whether an object holds a line that a format is sure of.
pub(super) fn is_wrapped(members: &Members<'_>) -> bool {
    line_inside(members).is_some_and(|line| format_of(&line, false).is_some())
}

/// The format that is sure of a text: those of JSON for an object, those of lines for a line.
fn format_of(text: &str, object: bool) -> Option<&'static dyn Format> {
    // Lists and inventories are files, not lines of logs; what is general says nothing more than the wrapper.
    let is_line = |f: &&dyn Format| {
        matches!(f.framing(), Framing::Lines { .. })
            && !matches!(
                f.name(),
                "reputation-csv" | "reputation-list" | "inventory-csv" | "json-lines" | "text-lines" | "csv-lines"
            )
    };
    // A Windows event was asked for before.
    let is_object = |name: &str| matches!(name, "suricata-eve" | "zeek");
    super::ALL
        .iter()
        .copied()
        .filter(is_line)
        .filter(|f| is_object(f.name()) == object && (object || f.name() != "windows-event"))
        .find(|f| f.looks(text.as_bytes()) == Sniff::Yes)
}

/// What an object says by itself, to be added to what the line in it says: no text of its own, no extra members.
fn beside(members: &Members<'_>, context: &Context, unit: Unit) -> Record {
    let mut d = Draft::new(Kind::Log, context, unit, 0, Time(0));
    let skip: Vec<&str> = LINES.iter().chain(&DROPPED).chain(&KEPT).copied().collect();
    json_lines::fill(members, &skip, context, &mut d, &mut Out::default());
    d.record.fields.retain(|(id, _)| {
        !matches!(*id, field::MESSAGE | field::EXTRA | field::SEVERITY)
            && field::get(*id).is_some_and(|f| matches!(f.place, Place::One | Place::Many))
    });
    d.record
}

/// What an object of the Elastic Common Schema is by its categorisation fields (ECS reference, "Categorization fields").
fn kind(members: &Members<'_>) -> Kind {
    let says = |key: &str, word: &str| {
        let flat = json::member(members, key).map(|r| r.get().to_owned());
        let nested = || {
            let (outer, inner) = key.split_once('.')?;
            let object = json::object(json::member(members, outer)?.get())?;
            json::member(&object, inner).map(|r| r.get().to_owned())
        };
        flat.or_else(nested).is_some_and(|text| text.contains(&format!("\"{word}\"")))
    };
    let has = |key: &str| keyed::at(members, key).is_some();
    match () {
        () if says("event.kind", "alert") => Kind::Alert,
        () if says("event.category", "authentication") => Kind::Auth,
        () if has("dns.question")
            || json::member(members, "dns.question.name").is_some()
            || nested_has(members, "dns", "question") =>
        {
            Kind::Dns
        }
        () if has("http.request.method") && (has("url.full") || has("url.original") || has("url.path")) => Kind::Http,
        () if says("event.type", "denied") && says("event.category", "network") => Kind::Fw,
        () => Kind::Log,
    }
}

fn nested_has(members: &Members<'_>, outer: &str, inner: &str) -> bool {
    json::member(members, outer).and_then(|r| json::object(r.get())).is_some_and(|o| json::member(&o, inner).is_some())
}
