//! systemd's journal as JSON (`journalctl -o json`, `json-pretty`; systemd.journal-fields(7), "Journal JSON format").
//!
//! An entry is read as the syslog line that it is: a login is a login. A message with bytes that are no UTF-8 is written as an array of numbers; one
//! that is too long as `null`.

use super::journal::{self, Field};
use super::json::{self, Members};
use super::json_document::{self, Document};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit};
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: JournaldJson = JournaldJson;

/// The journal as JSON.
pub struct JournaldJson;

impl Format for JournaldJson {
    fn name(&self) -> &'static str {
        "journald-json"
    }
    fn doc(&self) -> &'static str {
        "systemd journal as JSON: journalctl -o json and json-pretty, each entry as syslog (systemd.journal-fields(7))."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let found = json_document::first_object(head).is_some_and(|t| json::object(&t).is_some_and(|o| is(&o)));
        if found { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone(), holders: &[] })
    }
}

/// Whether an object is an entry.
pub(super) fn is(members: &Members<'_>) -> bool {
    let has = |key| json::member(members, key).is_some();
    has("__REALTIME_TIMESTAMP") && (has("MESSAGE") || has("__CURSOR"))
}

/// Reads an entry.
pub(super) fn read(members: &Members<'_>, context: &Context, unit: Unit, len: usize, out: &mut Out) -> Status {
    let fields: Vec<Field> = members
        .iter()
        .take(512)
        .map(|(name, raw)| {
            let json = json::is_nested(raw).then(|| raw.get().to_owned());
            match bytes(raw) {
                Some(value) => Field { name: name.to_string(), value, json: None },
                None => Field {
                    name: name.to_string(),
                    value: if json.is_some() { String::new() } else { json::scalar(raw).into_owned() },
                    json,
                },
            }
        })
        .collect();
    journal::read(&fields, context, unit, len, out)
}

/// The text that an array of bytes is.
fn bytes(raw: &RawValue) -> Option<String> {
    let inner = raw.get().strip_prefix('[')?;
    inner.trim_start().starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let bytes: Vec<u8> = serde_json::from_str(raw.get()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};
    use crate::model::field;

    #[test]
    fn an_entry_is_the_syslog_line_that_it_is() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{ "__CURSOR" : "s=1", "__REALTIME_TIMESTAMP" : "1795161601250000", "PRIORITY" : "6", "SYSLOG_FACILITY" : "10", "_HOSTNAME" : "web", "SYSLOG_IDENTIFIER" : "sshd", "_PID" : "77", "_UID" : "0", "MESSAGE" : "Accepted publickey for jdoe from 192.0.2.5 port 50122 ssh2" }"#
            ),
            "auth 2026-11-20T08:00:01.250Z src.ip=192.0.2.5 src.port=50122 app=ssh severity=info action=login_ok user=jdoe hostname=web process=sshd \
             pid=77 message=Accepted publickey for jdoe from 192.0.2.5 port 50122 ssh2 auth.method=publickey \
             extra={\"syslog.facility\":10,\"__CURSOR\":\"s=1\",\"_UID\":\"0\"} sensor=web"
        );
    }

    #[test]
    fn messages_of_bytes_and_entries_without_one() {
        let read = read_all(
            &FORMAT,
            "{\"__REALTIME_TIMESTAMP\":\"1795161601250000\",\"MESSAGE\":[104,105,10,255],\"_COMM\":\"x y\"}\n{\"__REALTIME_TIMESTAMP\":\"1795161601250000\",\"MESSAGE\":null,\"__CURSOR\":\"s\"}\n",
        );
        assert_eq!(read.counts, [1, 0, 0, 1]);
        assert_eq!(read.records[0].record.text(field::MESSAGE), Some("hi\n\u{fffd}"));
        assert_eq!(read.records[0].record.text(field::PROCESS), Some("x_y"));
        assert_eq!(read.oddities, ["message_missing byte 85"]);
    }
}
