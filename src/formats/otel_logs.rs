//! Logs of OpenTelemetry as its collector writes them into files (OpenTelemetry, "OTLP/JSON": `{"resourceLogs":[{"resource":...,"scopeLogs":[{"logRecords":[...]}]}]}`),
//! an object a line.
//!
//! Every log record of a line is a record of its own. The time is `timeUnixNano`, else when it was observed. Severity numbers to 12 are info, to
//! 16 medium, to 20 high, above critical. Attributes of the record and of its resource have the names of the semantic conventions; what has no
//! field is kept under its name.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head, json_lines, lift, vendor_values};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: OtelLogs = OtelLogs;

/// OpenTelemetry's logs.
pub struct OtelLogs;

impl Format for OtelLogs {
    fn name(&self) -> &'static str {
        "otel-logs"
    }
    fn doc(&self) -> &'static str {
        "OpenTelemetry logs as OTLP/JSON lines, as the collector's file exporter writes them."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 16 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        // A line may be longer than the head.
        let begins =
            |l: &str| l.starts_with('{') && l.get(..l.floor_char_boundary(256)).is_some_and(|l| l.contains("\"resourceLogs\""));
        if head::most(head, 50, begins) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

/// Most records of a line.
const RECORDS_MAX: usize = 100_000;

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
        let Some(members) = json::object(text) else {
            out.oddities.push(Oddity::at("json_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let (mut status, mut left) = (Status::Skipped, RECORDS_MAX);
        for resource in inside(&members, "resourceLogs") {
            let attributes =
                json::member(&resource, "resource").and_then(|r| json::object(r.get())).map(|r| pairs(&r)).unwrap_or_default();
            let scopes = inside(&resource, "scopeLogs").into_iter().chain(inside(&resource, "instrumentationLibraryLogs"));
            for record in scopes.flat_map(|scope| inside(&scope, "logRecords").into_iter().chain(inside(&scope, "logs"))) {
                if left == 0 {
                    return Status::Partial;
                }
                left -= 1;
                let one = self.record(&record, &attributes, unit, line.len(), out);
                status = if status == Status::Partial || one == Status::Partial { Status::Partial } else { one };
            }
        }
        status
    }
}

impl Lines {
    fn record(&self, members: &Members<'_>, resource: &[(String, String)], unit: Unit, len: usize, out: &mut Out) -> Status {
        let text = |key: &str| json::member(members, key).map(|raw| json::scalar(raw).into_owned()).unwrap_or_default();
        let stated = ["timeUnixNano", "observedTimeUnixNano"].map(text).into_iter().find(|t| !t.is_empty() && t != "0");
        let time = stated.and_then(|t| clock::any(&t, &self.context, out));
        let mut d = Draft::timed(Kind::Log, &self.context, unit, len, time, out);
        let rank = match text("severityNumber").parse::<u8>() {
            Ok(1..=12) => Some(0),
            Ok(13..=16) => Some(2),
            Ok(17..=20) => Some(3),
            Ok(21..=24) => Some(4),
            _ => json_lines::level(&text("severityText")),
        };
        rank.map(|rank| d.uint(field::SEVERITY, rank));
        let body = json::member(members, "body").map(value).unwrap_or_default();
        d.text(field::MESSAGE, &body);
        let own = pairs(members);
        let mut left: Vec<(&str, &str)> = Vec::new();
        for (key, value) in own.iter().chain(resource) {
            if !give(key, value, &mut d) {
                left.push((key, value));
            }
        }
        vendor_values::fill(&left, true, &mut d);
        d.record.kind = vendor_values::kind(&d);
        for key in ["traceId", "spanId", "eventName"] {
            d.keep(key, &text(key));
        }
        lift::lift(&body, &mut d);
        let host = resource.iter().find(|(key, _)| key == "host.name").map(|(_, host)| host.as_str());
        d.finish(host, out)
    }
}

/// Names of the semantic conventions that are no names of fields.
const NAMES: &[(&str, FieldId, FieldId)] = &[
    ("client.address", field::SRC_IP, field::HOSTNAME),
    ("source.address", field::SRC_IP, field::HOSTNAME),
    ("network.peer.address", field::SRC_IP, field::HOSTNAME),
    ("server.address", field::DST_IP, field::NAME),
    ("destination.address", field::DST_IP, field::NAME),
    ("client.port", field::SRC_PORT, field::SRC_PORT),
    ("server.port", field::DST_PORT, field::DST_PORT),
    ("network.peer.port", field::SRC_PORT, field::SRC_PORT),
    ("enduser.id", field::USER, field::USER),
    ("service.name", field::PROCESS, field::PROCESS),
    ("process.executable.name", field::PROCESS, field::PROCESS),
    ("http.request.method", field::HTTP_METHOD, field::HTTP_METHOD),
    ("http.response.status_code", field::HTTP_STATUS, field::HTTP_STATUS),
];

/// Gives an attribute to the field that its name means.
fn give(key: &str, value: &str, d: &mut Draft) -> bool {
    if let Some((_, id, named)) = NAMES.iter().find(|(name, ..)| *name == key) {
        let id = if draft::address(value).is_some() { id } else { named };
        return d.put(*id, value);
    }
    key.contains('.') && json_lines::id_of(key).is_some_and(|id| !d.has(id) && d.put(id, value))
}

/// The objects of an array.
fn inside<'a>(members: &Members<'a>, key: &str) -> Vec<Members<'a>> {
    json::member(members, key)
        .map(|raw| json::elements(raw).into_iter().filter_map(|e| json::object(e.get())).collect())
        .unwrap_or_default()
}

/// The attributes of an object.
fn pairs(members: &Members<'_>) -> Vec<(String, String)> {
    let pair = |attribute: &Members<'_>| {
        let key = json::member(attribute, "key").map(|k| json::scalar(k).into_owned())?;
        Some((key, json::member(attribute, "value").map(value)?))
    };
    inside(members, "attributes").iter().take(500).filter_map(pair).collect()
}

/// A value without its type; lists and maps as JSON.
fn value(raw: &RawValue) -> String {
    let Some(members) = json::object(raw.get()) else { return json::scalar(raw).into_owned() };
    match members.first() {
        Some((key, inner)) if key.ends_with("Value") && !json::is_nested(inner) => json::scalar(inner).into_owned(),
        Some((_, inner)) => inner.get().to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn every_log_record_of_a_line_is_one() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"web1"}},{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1763625600000000000","severityNumber":17,"body":{"stringValue":"it broke"},"attributes":[{"key":"client.address","value":{"stringValue":"192.0.2.9"}},{"key":"http.response.status_code","value":{"intValue":"500"}},{"key":"x","value":{"boolValue":true}}]},{"observedTimeUnixNano":"1763625601000000000","severityText":"WARN","body":{"kvlistValue":{"values":[]}}}]}]}]}"#;
        let read = read_all(&FORMAT, line);
        assert_eq!(
            read.shown(),
            "log 2025-11-20T08:00:00Z src.ip=192.0.2.9 http.status=500 severity=high hostname=web1 process=shop message=it broke extra={\"x\":\"true\"} sensor=web1\n\
             log 2025-11-20T08:00:01Z severity=medium hostname=web1 process=shop message={\"values\":[]} sensor=web1\n"
        );
        assert_eq!(read_all(&FORMAT, "{\"resourceLogs\":7}\n{\"resourceLogs\":[{]}\n").counts, [0, 0, 1, 1]);
    }
}
