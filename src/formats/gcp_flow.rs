//! VPC Flow Logs of Google Cloud, as entries of Cloud Logging in JSON: lines, an array, or objects one after another (Google Cloud, "About VPC Flow Logs records").
//!
//! A record is one direction in one interval of aggregation, of a sample of packets, reported by its sender or its receiver, which is the source. Members without
//! a field are kept by path.

use super::json::{self, Members};
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, flow_text, head};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: GcpFlow = GcpFlow;

/// Flow logs of Google Cloud.
pub struct GcpFlow;

impl Format for GcpFlow {
    fn name(&self) -> &'static str {
        "gcp-flow"
    }
    fn doc(&self) -> &'static str {
        "VPC Flow Logs of Google Cloud as JSON entries of Cloud Logging (Google Cloud, About VPC Flow Logs records)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let text = String::from_utf8_lossy(head::plain(head));
        let begins = text.trim_start().starts_with(['{', '[']) && !head::is_export(&text);
        let has = |all: &[&str]| all.iter().all(|n| text.contains(n));
        let flow = has(&["\"jsonPayload\"", "\"connection\"", "\"src_ip\""]) && (has(&["vpc_flows"]) || has(&["\"bytes_sent\""]));
        if begins && flow { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone() })
    }
}

const FIELDS: &[(&str, FieldId)] = &[
    ("bytes_sent", field::BYTES_OUT),
    ("packets_sent", field::PACKETS_OUT),
    ("connection.src_ip", field::SRC_IP),
    ("connection.dest_ip", field::DST_IP),
    ("connection.nat_ip", field::NAT_SRC_IP),
    ("src_instance.vm_name", field::HOSTNAME),
];

/// The phrase for what Google Cloud always does.
const SAMPLED: &str = "Google Cloud samples packets and estimates counts: packets and bytes are its estimates";

struct Document {
    context: Context,
}

impl Reader for Document {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &["entries"]);
        loop {
            let (status, out) = match objects.next() {
                Found::Object(text, offset) => {
                    let unit = Unit { offset, line: 0 };
                    let mut out = Out { unit, ..Out::default() };
                    (self.entry(&text, unit, &mut out), out)
                }
                Found::Bad(what, offset) => {
                    let oddities = vec![Oddity::at(what, format!("byte {offset}"))];
                    (Status::Failed, Out { oddities, unit: Unit { offset, line: 0 }, ..Out::default() })
                }
                Found::Over => return,
            };
            if !each(status, out) {
                return;
            }
        }
    }
}

impl Document {
    fn entry(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let entry = json::object(text);
        let payload = entry.as_ref().and_then(|e| json::member(e, "jsonPayload")).and_then(|raw| json::object(raw.get()));
        let connection = payload.as_ref().and_then(|p| json::member(p, "connection")).and_then(|raw| json::object(raw.get()));
        let (Some(entry), Some(payload), Some(connection)) = (entry, payload, connection) else {
            out.oddities.push(Oddity::at("gcp_flow_malformed", format!("byte {}", unit.offset)));
            return Status::Failed;
        };
        let cell = |members: &Members<'_>, key: &str| {
            json::member(members, key).map(|r| json::scalar(r).into_owned()).unwrap_or_default()
        };
        let mut time = |members: &Members<'_>, key: &str| clock::any(&cell(members, key), &self.context, out);
        let (start, end) = (time(&payload, "start_time"), time(&payload, "end_time"));
        let written = time(&entry, "timestamp");
        let mut d = Draft::timed(Kind::Flow, &self.context, unit, text.len(), start.or(end).or(written), out);
        flow_text::until(&mut d, end, "");
        flow_text::protocol(&mut d, &cell(&connection, "protocol"));
        flow_text::ports(&mut d, &cell(&connection, "src_port"), &cell(&connection, "dest_port"));
        let reporter = cell(&payload, "reporter");
        match reporter.as_str() {
            "SRC" | "SRC_GATEWAY" => _ = d.text(field::DIRECTION_STATED, "out"),
            "DEST" | "DEST_GATEWAY" => _ = d.text(field::DIRECTION_STATED, "in"),
            _ => {}
        }
        clock::assume(out, SAMPLED);
        let mut left = 500;
        fill(&payload, "", 0, &mut left, &mut d);
        d.partial |= left == 0 || !d.has(field::SRC_IP) || !d.has(field::DST_IP);
        let others = entry.iter().filter(|(key, _)| !matches!(key.as_ref(), "jsonPayload" | "timestamp"));
        others.for_each(|(key, raw)| d.keep_json(key, raw.get()));
        // Who saw it: the machine or gateway that reports.
        let side = if reporter.starts_with("DEST") { "dest" } else { "src" };
        let named = |part: &str, key: &str| {
            let inner = json::member(&payload, &format!("{side}_{part}")).and_then(|raw| json::object(raw.get()));
            inner.map(|i| cell(&i, key)).filter(|t| !t.is_empty())
        };
        let sensor =
            named("instance", "vm_name").or_else(|| named("gateway", "name")).or_else(|| named("vpc", "subnetwork_name"));
        d.finish(sensor.as_deref(), out)
    }
}

/// Gives members to fields by their path, and keeps the others.
fn fill(members: &Members<'_>, before: &str, depth: usize, left: &mut usize, d: &mut Draft) {
    for (key, raw) in members {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = format!("{before}{key}");
        let spoken = matches!(
            path.as_str(),
            "start_time" | "end_time" | "connection.src_port" | "connection.dest_port" | "connection.protocol"
        );
        match (json::object(raw.get()), FIELDS.iter().find(|(name, _)| *name == path)) {
            _ if spoken => {}
            (Some(inner), _) if depth < 6 => fill(&inner, &format!("{path}."), depth + 1, left, d),
            (_, Some((_, id))) => d.put_or_keep(*id, &path, &json::scalar(raw)),
            // Numbers of 64 bits are written as texts.
            _ => match json::scalar(raw) {
                n if !n.is_empty() && n.len() < 16 && n.bytes().all(|b| b.is_ascii_digit()) && !n.starts_with('0') => {
                    d.keep_json(&path, &n)
                }
                _ => d.keep_json(&path, raw.get()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn entries_are_read_as_lines_and_as_an_array() {
        let one = r#"{"insertId":"1n91","jsonPayload":{"bytes_sent":"1776","connection":{"dest_ip":"198.51.100.35","dest_port":33624,"protocol":6,"src_ip":"10.139.99.11","src_port":9200},"end_time":"2026-11-20T07:59:53.349904766Z","packets_sent":"7","reporter":"SRC","rtt_msec":"12","src_instance":{"project_id":"p","vm_name":"es-1","zone":"us-east1-b"},"start_time":"2026-11-20T07:59:48.537763242Z"},"logName":"projects/p/logs/compute.googleapis.com%2Fvpc_flows","timestamp":"2026-11-20T08:00:01.5Z"}"#;
        let want = "flow 2026-11-20T07:59:48.537763242Z..2026-11-20T07:59:53.349904766Z src.ip=10.139.99.11 src.port=9200 dst.ip=198.51.100.35 \
                    dst.port=33624 proto=tcp direction.stated=out packets.out=7 bytes.out=1776 hostname=es-1 \
                    extra={\"reporter\":\"SRC\",\"rtt_msec\":12,\"src_instance.project_id\":\"p\",\"src_instance.zone\":\"us-east1-b\",\"insertId\":\"1n91\",\
                    \"logName\":\"projects/p/logs/compute.googleapis.com%2Fvpc_flows\"} sensor=es-1\n";
        let lines = read_all(&FORMAT, &format!("{one}\n{one}\n"));
        assert_eq!((lines.shown(), lines.counts), (want.repeat(2), [2, 0, 0, 0]));
        assert_eq!(read_all(&FORMAT, &format!("[{one},\n{one}]")).shown(), want.repeat(2));
        let bad = read_all(&FORMAT, r#"{"jsonPayload":{"connection":7}}"#);
        assert_eq!((bad.counts, &bad.oddities[..]), ([0, 0, 0, 1], &["gcp_flow_malformed byte 0".to_owned()][..]));
    }
}
