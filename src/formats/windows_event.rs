//! Windows events rendered as JSON: NXLog's flat keys (as the OTRF data sets have them), winlogbeat's `winlog.event_data`, evtx_dump's
//! `Event.System`, PowerShell's `Get-WinEvent | ConvertTo-Json`.
//!
//! One object a line, an array, or objects over several lines (then the record stands where its object begins, and the other lines are
//! skipped). What an event means is in `windows`. NXLog writes local times: their zone follows from the time of receipt, which
//! is written both locally and in UTC; else it is the one of the file.

use super::json::{self, Members};
use super::windows::{self, Datum, Event};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head};
use crate::model::oddity::Oddity;
use crate::model::time::{SECOND, Time};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The format.
pub static FORMAT: WindowsEvent = WindowsEvent;

/// Windows events as JSON.
pub struct WindowsEvent;

impl Format for WindowsEvent {
    fn name(&self) -> &'static str {
        "windows-event"
    }
    fn doc(&self) -> &'static str {
        "Windows events as JSON: NXLog, winlogbeat, evtx_dump, Get-WinEvent; Security and Sysmon understood, others as logs."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: LINE_MAX }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let event = |l: &str| l.starts_with(['{', '[']) && first_object(l).is_some_and(|o| is(&o));
        if head::most(head, 50, event) || spread(head) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), pending: Pending::default() })
    }
}

/// Longest line: an array may stand in one.
const LINE_MAX: usize = 32 << 20;
/// Longest object over several lines.
const OBJECT_MAX: usize = 4 << 20;
/// Most values of an event, and how deep its data may nest.
const DATA_MAX: usize = 500;
const DEPTH: usize = 4;

/// Whether an object is an event.
pub(super) fn is(object: &Members<'_>) -> bool {
    let has = |key: &str| json::member(object, key).is_some();
    let inside = |key: &str, inner: &str| {
        json::member(object, key).and_then(|raw| json::object(raw.get())).is_some_and(|o| json::member(&o, inner).is_some())
    };
    let flat = (has("EventID") || has("EventId") || has("event_id"))
        && ["Channel", "SourceName", "ProviderGuid", "log_name", "Provider"].iter().any(|k| has(k));
    flat || inside("Event", "System")
        || inside("winlog", "event_id")
        || has("winlog.event_id")
        || has("Id") && has("LogName") && has("ProviderName")
}

/// The first object of a line that is one or an array of them.
fn first_object(line: &str) -> Option<Members<'_>> {
    let line = line.trim().trim_end_matches(',');
    if let Some(inside) = line.strip_prefix('[') {
        let mut values = serde_json::Deserializer::from_str(inside).into_iter::<&RawValue>();
        return json::object(values.next()?.ok()?.get());
    }
    json::object(line)
}

/// Whether the head begins with an object over several lines that is an event.
fn spread(head: &[u8]) -> bool {
    let mut pending = Pending::default();
    let lines = head::plain(head).split(|b| *b == b'\n').take(2000);
    for (n, line) in lines.enumerate() {
        match pending.push(line, Unit { offset: 0, line: n as u64 + 1 }) {
            Pushed::Whole(text, _) => return json::object(text.trim()).is_some_and(|o| is(&o)),
            Pushed::Outside if !is_between(line) => return false,
            _ => {}
        }
    }
    false
}

/// Brackets of an array, and evtx_dump's `Record 1`.
fn is_between(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty()
        || matches!(line, b"[" | b"]" | b"," | b"],")
        || line.strip_prefix(b"Record ").is_some_and(|n| n.iter().all(u8::is_ascii_digit))
}

/// An object that is put together from lines.
#[derive(Default)]
struct Pending {
    text: String,
    start: Unit,
    depth: usize,
    quoted: bool,
    escaped: bool,
    long: bool,
}

enum Pushed {
    /// No object is open.
    Outside,
    /// One is.
    Open,
    /// It is whole.
    Whole(String, Unit),
    /// It is over, and was too long to keep.
    Long,
}

impl Pending {
    fn push(&mut self, line: &[u8], unit: Unit) -> Pushed {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if self.depth == 0 {
            if !line.trim_start().starts_with('{') {
                return Pushed::Outside;
            }
            *self = Pending { start: unit, ..Pending::default() };
        }
        let mut end = line.len();
        for (at, b) in line.bytes().enumerate() {
            match b {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                b'{' if !self.quoted => self.depth += 1,
                b'}' if !self.quoted => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        end = at + 1;
                        break;
                    }
                }
                _ => {}
            }
        }
        self.escaped = false;
        if self.text.len() + end > OBJECT_MAX {
            self.long = true;
            self.text.clear();
        } else if !self.long {
            self.text.push_str(&line[..end]);
            self.text.push('\n');
        }
        match (self.depth, self.long) {
            (0, true) => Pushed::Long,
            (0, false) => Pushed::Whole(std::mem::take(&mut self.text), self.start),
            _ => Pushed::Open,
        }
    }
}

struct Lines {
    context: Context,
    pending: Pending,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if self.pending.depth == 0 && !line.is_empty() {
            let text = String::from_utf8_lossy(line);
            let whole = text.trim().trim_end_matches(',');
            if let Some(object) = json::object(whole) {
                return read(&object, &self.context, unit, line.len(), None, out);
            }
            if whole.len() > 1
                && whole.starts_with('[')
                && let Ok(all) = serde_json::from_str::<&RawValue>(whole)
            {
                return self.array(&text, all, unit, out);
            }
        }
        match self.pending.push(line, unit) {
            Pushed::Open => Status::Skipped,
            Pushed::Outside if is_between(line) => Status::Skipped,
            Pushed::Whole(text, start) => match json::object(text.trim()) {
                Some(object) => {
                    let end = unit.offset.saturating_add(line.len() as u64);
                    let len = usize::try_from(end.saturating_sub(start.offset)).unwrap_or(line.len());
                    read(&object, &self.context, start, len, None, out)
                }
                None => malformed(start, out),
            },
            Pushed::Outside | Pushed::Long => malformed(unit, out),
        }
    }
    fn end(&mut self, out: &mut Out) {
        if self.pending.depth > 0 {
            malformed(self.pending.start, out);
        }
    }
}

impl Lines {
    /// An array in one line: each record stands where its object does.
    fn array(&self, line: &str, all: &RawValue, unit: Unit, out: &mut Out) -> Status {
        let mut status = Status::Ok;
        for element in json::elements(all) {
            let before = (element.get().as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
            let unit = Unit { offset: unit.offset.saturating_add(before as u64), ..unit };
            let one = match json::object(element.get()) {
                Some(object) => read(&object, &self.context, unit, element.get().len(), None, out),
                None => malformed(unit, out),
            };
            if one != Status::Ok {
                status = if out.records.is_empty() { one } else { Status::Partial };
            }
        }
        status
    }
}

fn malformed(unit: Unit, out: &mut Out) -> Status {
    out.oddities.push(Oddity::at("json_malformed", format!("line {}", unit.line)));
    Status::Failed
}

/// Reads an event, whatever it came in; `fallback` is its time if it states none.
pub(super) fn read(
    object: &Members<'_>,
    context: &Context,
    unit: Unit,
    len: usize,
    fallback: Option<Time>,
    out: &mut Out,
) -> Status {
    let mut event = Event::default();
    let mut times = Times::default();
    let mut left = DATA_MAX;
    members(object, "", 0, &mut left, &mut event, &mut times);
    event.time = times.event(context, out).or(fallback);
    if event.code.is_empty() {
        out.oddities.push(Oddity::at("event_id_missing", format!("line {}", unit.line)));
    }
    let (mut d, sensor) = event.draft(context, unit, len, out);
    d.partial |= left == 0 || event.code.is_empty();
    d.finish(sensor.as_deref(), out)
}

#[derive(Default)]
struct Times<'a> {
    /// Of the event, in UTC or with a zone.
    created: Cow<'a, str>,
    /// Of the event, local.
    local: Cow<'a, str>,
    /// Of receipt, local.
    received: Cow<'a, str>,
    /// Of the document.
    document: Cow<'a, str>,
}

impl Times<'_> {
    fn event(&self, context: &Context, out: &mut Out) -> Option<Time> {
        if !self.created.is_empty() {
            let digits = self.created.strip_prefix("/Date(").and_then(|t| t.split([')', '+', '-']).next());
            let text = digits.unwrap_or(&self.created);
            return windows::utc(text, context, out).or_else(|| clock::any(text, context, out));
        }
        let local = clock::iso(self.local.as_bytes());
        match local {
            Some(stamp) if stamp.east.is_none() => match self.east(context) {
                Some(east) => clock::Stamp { east: Some(east), ..stamp }.time(context, out),
                None => stamp.time(context, out),
            },
            _ if !self.local.is_empty() => clock::any(&self.local, context, out),
            _ => clock::any(&self.document, context, out),
        }
    }
    /// Seconds east of the local times: receipt is written in both, seconds apart.
    fn east(&self, context: &Context) -> Option<i32> {
        let document = clock::iso(self.document.as_bytes())?;
        document.east?;
        let quiet = &mut Out::default();
        let apart = windows::utc(&self.received, context, quiet)?.0.checked_sub(document.time(context, quiet)?.0)?;
        let quarter = 900 * SECOND;
        let quarters = apart.checked_add(quarter / 2)?.div_euclid(quarter);
        let near = apart.saturating_sub(quarters.saturating_mul(quarter)).abs() < 120 * SECOND;
        i32::try_from(quarters * 900).ok().filter(|east| near && east.abs() <= 15 * 3600)
    }
}

/// Goes through the members of an object: what names the event goes to its place, the rest is data.
fn members<'a>(object: &Members<'a>, path: &str, depth: usize, left: &mut usize, event: &mut Event<'a>, times: &mut Times<'a>) {
    for (key, raw) in object {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        let text = json::scalar(raw);
        let name = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let plain = name.strip_prefix("Event.").unwrap_or(&name);
        match plain {
            "EventID"
            | "EventId"
            | "event_id"
            | "Id"
            | "winlog.event_id"
            | "System.EventID"
            | "System.EventID.#text"
            | "System.EventID.Value"
                if !json::is_nested(raw) && event.code.is_empty() =>
            {
                event.code = text;
            }
            "Channel" | "log_name" | "LogName" | "winlog.channel" | "System.Channel" => event.channel = text,
            "SourceName"
            | "source_name"
            | "ProviderName"
            | "winlog.provider_name"
            | "System.Provider.#attributes.Name"
            | "System.Provider.Name"
            | "System.Provider_attributes.Name" => event.provider = text,
            "Hostname" | "Computer" | "MachineName" | "computer_name" | "winlog.computer_name" | "System.Computer" => {
                event.host = text
            }
            "Severity" | "level" | "log.level" | "LevelDisplayName" | "System.Level" if event.level.is_empty() => {
                event.level = text
            }
            "Message" | "message" => event.message = text,
            "System.Keywords" | "winlog.keywords" | "Keywords" if is_failure(&text) => event.failed = true,
            "EventTime" => times.local = text,
            "EventReceivedTime" => times.received = text,
            "@timestamp" => times.document = text,
            "TimeCreated"
            | "System.TimeCreated.#attributes.SystemTime"
            | "System.TimeCreated.SystemTime"
            | "System.TimeCreated_attributes.SystemTime"
                if !json::is_nested(raw) =>
            {
                times.created = text
            }
            "#attributes.xmlns" | "xmlns" => {}
            _ if raw.get().starts_with('{') && depth < DEPTH => {
                if let Some(inner) = json::object(raw.get()) {
                    members(&inner, &name, depth + 1, left, event, times);
                }
            }
            _ => {
                if matches!(plain, "EventType" | "winlog.outcome") && text == "AUDIT_FAILURE" {
                    event.failed = true;
                }
                event.data.push(Datum { name: data_name(plain), text, nested: json::is_nested(raw) });
            }
        }
    }
}

/// Whether keywords say that an audit failed: their bit (winmeta.xml), or the word.
fn is_failure(keywords: &str) -> bool {
    let bits = keywords.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    bits.is_some_and(|b| b & 0x10_0000_0000_0000 != 0) || keywords.contains("Audit Failure")
}

/// The name of a datum without the objects that only hold data.
fn data_name<'a>(path: &str) -> Cow<'a, str> {
    const HOLDERS: [&str; 7] =
        ["System.", "winlog.event_data.", "EventData.", "event_data.", "winlog.user_data.", "user_data.", "UserData."];
    let name = HOLDERS.iter().find_map(|h| path.strip_prefix(h)).unwrap_or(path);
    Cow::Owned(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};
    use crate::model::field;

    const NXLOG: &str = r#"{"EventReceivedTime":"2020-09-22 14:53:34","EventID":3,"Channel":"Microsoft-Windows-Sysmon/Operational","EventTime":"2020-09-22 14:53:31","Protocol":"tcp","SourcePort":"62782","DestinationPort":"445","Severity":"INFO","User":"NT AUTHORITY\\SYSTEM","SourceName":"Microsoft-Windows-Sysmon","DestinationIp":"172.18.39.6","SourceIp":"172.18.39.5","@timestamp":"2020-09-22T18:53:34.417Z","Initiated":"true","Image":"System","DestinationHostname":"-","UtcTime":"2020-09-22 18:53:31.668","Hostname":"WORKSTATION5.theshire.local"}"#;

    #[test]
    fn a_connection_that_sysmon_saw_has_its_tuple_process_and_user() {
        assert_eq!(
            show(&FORMAT, NXLOG),
            "log 2020-09-22T18:53:31.668Z src.ip=172.18.39.5 src.port=62782 dst.ip=172.18.39.6 dst.port=445 proto=tcp direction.stated=out \
             severity=info action=connect user=SYSTEM hostname=workstation5.theshire.local process=System event.code=3 \
             extra={\"TimeCreated\":\"2020-09-22T18:53:31Z\",\"provider\":\"Microsoft-Windows-Sysmon\",\
             \"channel\":\"Microsoft-Windows-Sysmon/Operational\",\"User\":\"NT AUTHORITY\\\\SYSTEM\"} sensor=WORKSTATION5.theshire.local/sysmon"
        );
    }

    #[test]
    fn the_zone_of_local_times_follows_from_the_time_of_receipt() {
        let line = NXLOG.replace("Microsoft-Windows-Sysmon/Operational", "Security").replace("Microsoft-Windows-Sysmon", "x");
        let read = read_all(&FORMAT, &line);
        assert_eq!(read.records[0].record.start.to_string(), "2020-09-22T18:53:31Z");
        assert_eq!(read.records[0].sensor.as_deref(), Some("WORKSTATION5.theshire.local/security"));
    }

    #[test]
    fn the_renderings_of_winlogbeat_and_evtx_dump_mean_the_same() {
        let data = r#""TargetUserName":"pgustavo","TargetDomainName":"THESHIRE","LogonType":"3","AuthenticationPackageName":"NTLM","IpAddress":"::ffff:172.18.39.5","IpPort":"62782","SubStatus":"0xc000006a","Status":"0xc000006d""#;
        let beat = format!(
            r#"{{"@timestamp":"2020-09-22T18:53:31.668Z","winlog":{{"event_id":4625,"channel":"Security","computer_name":"DC.local","provider_name":"P","event_data":{{{data}}}}},"log":{{"level":"information"}}}}"#
        );
        let dump = format!(
            "Record 1\n{{\n \"Event\": {{\n  \"System\": {{ \"EventID\": 4625, \"Channel\": \"Security\", \"Computer\": \"DC.local\", \"Level\": 0,\n   \"Provider\": {{\"#attributes\": {{\"Name\": \"P\"}}}}, \
             \"TimeCreated\": {{\"#attributes\": {{\"SystemTime\": \"2020-09-22T18:53:31.668Z\"}}}}\n}},\n\"EventData\": {{{data}}}\n}}\n}}\n"
        );
        for text in [&beat, &dump, &format!("[{beat},{beat}]")] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes, "{text}");
            let read = read_all(&FORMAT, text);
            assert_eq!(read.counts[3], 0, "{text}");
            let first = read.shown().lines().next().unwrap().split(" extra=").next().unwrap().to_owned();
            assert_eq!(
                first,
                "auth 2020-09-22T18:53:31.668Z src.ip=172.18.39.5 src.port=62782 severity=info action=login_fail reason=wrong password user=pgustavo \
                 hostname=dc.local auth.method=network/NTLM event.code=4625"
            );
        }
        let twice = read_all(&FORMAT, &format!("[{beat},{beat}]"));
        let offsets: Vec<u64> = twice.records.iter().map(|r| r.record.id.offset).collect();
        assert_eq!(offsets, [1, beat.len() as u64 + 2]);
    }

    #[test]
    fn names_asked_have_their_answers() {
        let line = r#"{"EventID":22,"Channel":"Microsoft-Windows-Sysmon/Operational","UtcTime":"2020-09-22 18:53:31.668","QueryName":"A.example","QueryStatus":"0","QueryResults":"type:  5 b.example;::ffff:192.0.2.1;"}"#;
        let read = read_all(&FORMAT, line);
        let r = &read.records[0].record;
        assert_eq!((r.kind, r.text(field::NAME)), (crate::model::record::Kind::Dns, Some("a.example")));
        assert_eq!((r.text(field::ANSWER_NAME), r.addr(field::ANSWER_IP)), (Some("b.example"), "192.0.2.1".parse().ok()));
        assert_eq!(r.text(field::DNS_RCODE), Some("NOERROR"));
    }
}
