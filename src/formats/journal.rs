//! An entry of systemd's journal (systemd.journal-fields(7)) as the syslog line that it is: so whatever is understood in syslog is understood
//! here too.
//!
//! Knows how neither journal format is written. The time is the one that the sender gave, else that of receipt. Fields without a place are kept.

use super::{Context, Out, Status, Unit, clock, draft, json, syslog};
use crate::model::oddity::Oddity;

/// Fields that the line itself says.
const SAID: [&str; 8] = [
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_FACILITY",
    "_HOSTNAME",
    "SYSLOG_IDENTIFIER",
    "_PID",
    "__REALTIME_TIMESTAMP",
    "SYSLOG_TIMESTAMP",
];
/// Most of an entry that is kept beside its message.
const KEPT_MAX: usize = 64 * 1024;

/// A field with its value as text, and as JSON if it is no text.
pub(super) struct Field {
    pub name: String,
    pub value: String,
    pub json: Option<String>,
}

/// Reads an entry.
pub(super) fn read(fields: &[Field], context: &Context, unit: Unit, len: usize, out: &mut Out) -> Status {
    let of = |name: &str| fields.iter().find(|f| f.name == name).map(|f| f.value.as_str()).filter(|v| !v.is_empty());
    let time = ["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"].iter().find_map(|name| {
        let micros: i64 = of(name)?.parse().ok()?;
        micros.checked_mul(1000).map(crate::model::time::Time)
    });
    let Some(message) = of("MESSAGE") else {
        out.oddities.push(Oddity::at("message_missing", place(unit)));
        return Status::Failed;
    };
    // A word of a header: no spaces, no control characters, `-` if there is none.
    let word = |text: Option<&str>| {
        let text: String = text.unwrap_or("").chars().take(255).map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let number = |name: &str, most: u16| of(name).and_then(|v| v.parse::<u16>().ok()).filter(|n| *n <= most);
    let priority = number("SYSLOG_FACILITY", 23).unwrap_or(1) * 8 + number("PRIORITY", 7).unwrap_or(6);
    let process = word(of("SYSLOG_IDENTIFIER").or_else(|| of("_COMM")));
    let pid = word(of("_PID").or_else(|| of("SYSLOG_PID")));
    let stamp = time.map_or_else(|| "-".to_owned(), |t| t.to_string());
    let line = format!("<{priority}>1 {stamp} {} {process} {pid} - - {message}", word(of("_HOSTNAME")));
    let before = out.records.len();
    let mut reader = syslog::reader(context);
    let mut status = reader.line(line.as_bytes(), unit, out);
    if time.is_none() {
        clock::assume(out, syslog::TIME_ASSUMED);
        status = Status::Partial;
    }
    let kept = kept(fields, of("SYSLOG_IDENTIFIER").is_none());
    for read in out.records.iter_mut().skip(before) {
        read.record.len = u32::try_from(len).unwrap_or(u32::MAX);
        draft::add_extra(&mut read.record, &kept);
    }
    status
}

fn kept(fields: &[Field], unnamed: bool) -> String {
    let mut text = String::new();
    for field in fields {
        let said = SAID.contains(&field.name.as_str())
            || unnamed && field.name == "_COMM"
            || field.value.is_empty() && field.json.is_none();
        if said || text.len() > KEPT_MAX {
            continue;
        }
        if !text.is_empty() {
            text.push(',');
        }
        json::quote(&field.name, &mut text);
        text.push(':');
        match &field.json {
            Some(json) if json.len() < KEPT_MAX && json::depth(json) <= json::DEPTH_MAX => text.push_str(json),
            _ => json::quote(draft::cut(&field.value), &mut text),
        }
    }
    text
}

/// Where an entry stands.
pub(super) fn place(unit: Unit) -> String {
    if unit.line > 0 { format!("line {}", unit.line) } else { format!("byte {}", unit.offset) }
}
