//! Any JSON object a line that holds a time: what nobody more special understood.
//!
//! A line of a log that an object holds (`log`, `message`, `event.original` ...) is read by its own format: see `unwrap`. Else keys are flattened with dots; a key that is a field's name or alias (ours, Wireshark's, Zeek's, ECS's) gives that field where its value is
//! of the field's type, the rest is `extra`. Kind is log; objects without a time that can be read stand at the file's modification time and are
//! partial.

use super::json::{self, Members};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, Zone, clock, draft, draft::Draft, head, lift, unwrap};
use crate::model::field::{self, FieldId, Place, Type};
use crate::model::origin::EvidenceKey;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::words;

/// The format.
pub static FORMAT: JsonLines = JsonLines;

/// JSON lines.
pub struct JsonLines;

impl Format for JsonLines {
    fn name(&self) -> &'static str {
        "json-lines"
    }
    fn doc(&self) -> &'static str {
        "Any JSON object per line with a time; keys that are names or aliases of fields become those."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 4 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        super::choose::unclaimed(self, Sniff::Maybe, head)
    }
    fn looks(&self, head: &[u8]) -> Sniff {
        let timed = |l: &str| l.starts_with('{') && json::object(l).is_some_and(|o| is_timed(&o));
        if head::most(head, 50, timed) { Sniff::Maybe } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

/// Keys of the time, best first.
pub(super) const TIMES: [&str; 20] = [
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "event_time",
    "eventTime",
    "datetime",
    "date",
    "_time",
    "start_time",
    "startTime",
    "created",
    "created_at",
    "TimeCreated",
    "UtcTime",
    "EventTime",
    "__REALTIME_TIMESTAMP",
    "instant",
    "timeMillis",
    "t",
];

/// Keys that the table of fields reads otherwise, or not at all.
const KEYS: &[(&str, FieldId)] = &[
    ("msg", field::MESSAGE),
    ("message", field::MESSAGE),
    ("log", field::MESSAGE),
    ("level", field::SEVERITY),
    ("log.level", field::SEVERITY),
    ("loglevel", field::SEVERITY),
    ("severity", field::SEVERITY),
    ("name", field::PROCESS),
    ("hostname", field::HOSTNAME),
    ("host.name", field::HOSTNAME),
    ("_HOSTNAME", field::HOSTNAME),
    ("_PID", field::PID),
    ("pid", field::PID),
    ("_COMM", field::PROCESS),
    ("MESSAGE", field::MESSAGE),
    ("remote_ip", field::SRC_IP),
    ("remote_addr", field::SRC_IP),
    ("client_ip", field::SRC_IP),
    ("clientip", field::SRC_IP),
    ("client.ip", field::SRC_IP),
    ("ip", field::SRC_IP),
    ("_raw", field::MESSAGE),
    ("log.original", field::MESSAGE),
    ("process.executable", field::PROCESS),
    ("process.hash.md5", field::MD5),
    ("process.hash.sha1", field::SHA1),
    ("process.hash.sha256", field::SHA256),
    ("dns.answers.data", field::ANSWER_TEXT),
    ("server.ip", field::DST_IP),
    ("client.port", field::SRC_PORT),
    ("server.port", field::DST_PORT),
    ("client.bytes", field::BYTES_OUT),
    ("server.bytes", field::BYTES_IN),
    ("src_user", field::USER),
    ("dvc", field::HOSTNAME),
    ("server_ip", field::DST_IP),
    ("request.remote_ip", field::SRC_IP),
    ("request.method", field::HTTP_METHOD),
    ("request.host", field::HTTP_HOST),
    ("request.uri", field::HTTP_URI),
];

/// Deepest object that is flattened, and most keys of a line.
const DEPTH: usize = 6;
const KEYS_MAX: usize = 500;

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Status::Skipped;
        }
        unwrap::read(text, &self.context, unit, line.len(), out)
    }
}

/// The first time that an object states, with its key: one of the usual keys, else one that speaks of a time and holds one.
pub(super) fn time<'a>(members: &'a Members<'_>, context: &Context, out: &mut Out) -> Option<(&'a str, Time)> {
    let usual = usual_time(members, context, out);
    let likely = |time: &Time| (946_684_800..4_102_444_800).contains(&(time.0 / 1_000_000_000));
    let spoken = || {
        members
            .iter()
            .filter(|(key, raw)| speaks_of_time(key) && !json::is_nested(raw))
            .find_map(|(key, raw)| Some((key.as_ref(), clock::any(&json::scalar(raw), context, out).filter(likely)?)))
    };
    usual.or_else(spoken)
}

/// The first time that an object states under one of the usual keys.
pub(super) fn usual_time(members: &Members<'_>, context: &Context, out: &mut Out) -> Option<(&'static str, Time)> {
    TIMES.iter().find_map(|key| {
        let value = json::member(members, key)?;
        // MongoDB writes {"$date": ...}, Log4j and Protocol Buffers seconds and nanoseconds apart.
        let inner = json::object(value.get());
        if let Some(time) = inner.as_ref().and_then(parted) {
            return Some((*key, time));
        }
        let value = inner.as_ref().and_then(|o| json::member(o, "$date")).unwrap_or(value);
        Some((*key, clock::any(&json::scalar(value), context, out)?))
    })
}

/// `{"epochSecond":1763625600,"nanoOfSecond":250000000}`.
fn parted(members: &Members<'_>) -> Option<Time> {
    let one = |keys: [&str; 2]| keys.iter().find_map(|key| json::member(members, key)).map(json::scalar);
    let seconds = one(["epochSecond", "seconds"])?.parse::<i64>().ok().filter(|s| (0..4_102_444_800).contains(s))?;
    let nanos = one(["nanoOfSecond", "nanos"]).and_then(|n| n.parse::<u32>().ok()).filter(|n| *n < 1_000_000_000);
    Some(Time::from_parts(seconds, nanos.unwrap_or(0)))
}

/// `EdgeStartTimestamp`, `started_at`, `logged date`.
fn speaks_of_time(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("_at") || ["time", "date", "stamp"].iter().any(|word| key.contains(word))
}

/// Whether an object states a time, or holds a line of a log.
pub(super) fn is_timed(members: &Members<'_>) -> bool {
    let context = Context {
        evidence: EvidenceKey(0),
        stem: String::new(),
        zone: Zone::Fixed(0),
        year: None,
        dates: crate::formats::Dates::default(),
        modified: Time(0),
    };
    TIMES.iter().any(|key| json::member(members, key).is_some())
        || time(members, &context, &mut Out::default()).is_some()
        || unwrap::is_wrapped(members)
}

/// Gives an object's members to a record; those named in `skip` are left out.
pub(super) fn fill(members: &Members<'_>, skip: &[&str], context: &Context, d: &mut Draft, out: &mut Out) {
    let mut left = KEYS_MAX;
    Fill { context, skip }.members(members, "", 0, &mut left, d, out);
    d.partial |= left == 0;
    if let Some(message) = d.record.text(field::MESSAGE).map(str::to_owned) {
        lift::lift(&message, d);
    }
}

/// How the members of an object are given to a record.
struct Fill<'a> {
    context: &'a Context,
    skip: &'a [&'a str],
}

impl Fill<'_> {
    fn members(&self, members: &Members<'_>, path: &str, depth: usize, left: &mut usize, d: &mut Draft, out: &mut Out) {
        for (key, raw) in members {
            let name = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            // A wrapper's `source` is a text, the common schema's an object.
            if self.skip.contains(&name.as_str()) && !json::is_nested(raw) {
                continue;
            }
            *left = left.saturating_sub(1);
            if *left == 0 {
                return;
            }
            if raw.get().starts_with('{')
                && depth < DEPTH
                && let Some(inner) = json::object(raw.get())
            {
                self.members(&inner, &name, depth + 1, left, d, out);
                continue;
            }
            let given = if raw.get().starts_with('[') {
                let many = id_of(&name).filter(|id| field::get(*id).is_some_and(|f| f.place == Place::Many));
                many.is_some_and(|id| json::elements(raw).into_iter().all(|e| !json::is_nested(e) && d.put(id, &json::scalar(e))))
            } else {
                !json::is_nested(raw) && self.give(&name, &json::scalar(raw), d, out)
            };
            if !given {
                d.keep_json(&name, raw.get());
            }
        }
    }

    /// Gives a scalar to the field that its key means. False: it means none, or the value is not of its type.
    fn give(&self, name: &str, text: &str, d: &mut Draft, out: &mut Out) -> bool {
        if text.is_empty() {
            return true;
        }
        if matches!(name, "host" | "host.ip") {
            return d.addr(field::SRC_IP, text) || draft::address(text).is_none() && d.text(field::HOSTNAME, text);
        }
        let Some(id) = id_of(name) else { return false };
        match (id, field::get(id).map(|f| f.ty)) {
            // A sentence is no program, a word without a dot no domain, and `0.0.0.0` says that there is no address.
            (field::PROCESS, _) if name == "name" && text.contains(' ') => false,
            (field::NAME, _) if name.ends_with("domain") && (!text.contains('.') || text.contains(' ')) => false,
            (_, Some(Type::Addr)) if draft::address(text).is_some_and(|ip| ip.is_unspecified()) => false,
            (field::SEVERITY, _) => level(text).is_some_and(|rank| d.uint(id, rank)),
            _ if words::of(id).is_some() => words::meant(id, text).is_some_and(|word| d.put(id, word)),
            (_, Some(Type::Time)) => clock::any(text, self.context, out).is_some_and(|t| d.give(id, Value::Time(t))),
            // Durations come in any unit.
            (_, Some(Type::Span)) => false,
            _ => d.put(id, text),
        }
    }
}

/// The field that a key means.
pub(super) fn id_of(name: &str) -> Option<FieldId> {
    if let Some((_, id)) = KEYS.iter().find(|(k, _)| *k == name) {
        return Some(*id);
    }
    let field = field::find(name)?;
    matches!(field.place, Place::One | Place::Many).then_some(field.id).filter(|id| *id != field::EXTRA)
}

/// Rank of a level's word, or of bunyan's number.
pub(super) fn level(text: &str) -> Option<u64> {
    Some(match text.to_ascii_lowercase().as_str() {
        "emergency" | "emerg" | "alert" | "critical" | "crit" | "fatal" | "panic" | "60" => 4,
        "error" | "err" | "severe" | "high" | "50" => 3,
        "warning" | "warn" | "medium" | "40" => 2,
        "notice" | "low" => 1,
        "info" | "information" | "informational" | "debug" | "trace" | "verbose" | "10" | "20" | "30" => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn seconds_and_nanoseconds_may_stand_apart() {
        let line = r#"{"instant":{"epochSecond":1763625600,"nanoOfSecond":250000000},"msg":"x"}"#;
        assert!(show(&FORMAT, line).starts_with("log 2025-11-20T08:00:00.250Z message=x"), "{}", show(&FORMAT, line));
    }

    #[test]
    fn names_of_fields_are_understood_wherever_they_nest() {
        let line = r#"{"@timestamp":"2026-11-20T08:00:00Z","source":{"ip":"192.0.2.1","port":50000},"destination":{"ip":"not one"},"log":{"level":"warn"},"user":{"name":"jdoe"},"msg":"hello","tags":["a"],"bytes":12}"#;
        assert_eq!(
            show(&FORMAT, line),
            "log 2026-11-20T08:00:00Z src.ip=192.0.2.1 src.port=50000 severity=medium user=jdoe message=hello \
             extra={\"destination.ip\":\"not one\",\"tags\":[\"a\"],\"bytes\":12}"
        );
    }
}
