//! Wazuh vulnerability detections: the answer of the API's `GET /vulnerability/{agent_id}` (Wazuh 4.3 to 4.7) and documents of the index
//! `wazuh-states-vulnerabilities` (4.8 and later), as an answer of the indexer or one a line.
//!
//! A detection is a vulnerability record, action `found`, at its detection time. The host is the agent: its address is `dst.ip`, its name `hostname`.
//! An API answer may name no agent: then the file's stem is the host's name, since the answer is that of one agent.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, finding, json, objects};
use crate::model::field;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: Wazuh = Wazuh;

/// Wazuh vulnerabilities.
pub struct Wazuh;

fn is_answer(head: &[u8]) -> bool {
    json::has_keys(head, &["affected_items"])
}

fn is_state(head: &[u8]) -> bool {
    json::has_keys(head, &["agent", "package", "vulnerability"])
}

impl Format for Wazuh {
    fn name(&self) -> &'static str {
        "wazuh"
    }
    fn doc(&self) -> &'static str {
        "Wazuh vulnerabilities of agents: API answers and documents of wazuh-states-vulnerabilities (Wazuh documentation)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let empty = memchr::memmem::find(head, b"vulnerabilities").is_some();
        let answer = is_answer(head) && (json::has_keys(head, &["cve"]) || empty);
        if answer || is_state(head) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Detections { context: context.clone() })
    }
}

struct Detections {
    context: Context,
}

impl Reader for Detections {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let answer = input.fill_buf().is_ok_and(is_answer);
        let holders: &'static [&'static str] = if answer { &["data", "affected_items"] } else { &["hits", "hits"] };
        objects::read_each(input, holders, each, &mut |text, unit, out| self.object(text, unit, out));
    }
}

impl Detections {
    fn object(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let Some(outer) = json::object(text) else { return objects::malformed(unit, out) };
        let source = json::member(&outer, "_source").and_then(|s| json::object(s.get()));
        let members = source.as_ref().unwrap_or(&outer);
        let state = json::member(members, "vulnerability").is_some();
        // What is around an empty list.
        if !state && json::member(members, "cve").is_none() {
            return Status::Skipped;
        }
        let of = |path: &[&str]| json::text_at(members, path);
        let pick = |old: &[&str], new: &[&str]| of(if state { new } else { old });
        let at = clock::any(&pick(&["detection_time"], &["vulnerability", "detected_at"]), &self.context, out);
        let mut d = Draft::timed(Kind::Vuln, &self.context, unit, text.len(), at, out);
        d.text(field::ACTION, "found");
        let address = [pick(&["agent_ip"], &["host", "ip"]), of(&["agent", "ip"])].into_iter().find(|a| !a.is_empty());
        for part in address.unwrap_or_default().split(' ').filter(|a| *a != "any") {
            d.addr(field::DST_IP, part);
        }
        d.text(field::HOSTNAME, &pick(&["agent_name"], &["agent", "name"]));
        if !d.has(field::HOSTNAME) && !d.has(field::DST_IP) {
            d.text(field::HOSTNAME, &self.context.stem);
            d.partial = true;
        }
        let cve = pick(&["cve"], &["vulnerability", "id"]);
        finding::cve(&mut d, "cve", &cve);
        let title = of(&["title"]);
        let named = format!("{cve} affects {}", of(&["package", "name"]));
        d.text(field::SIGNATURE, if title.is_empty() { &named } else { &title });
        let severity = pick(&["severity"], &["vulnerability", "severity"]);
        let scores = [pick(&["cvss3_score"], &["vulnerability", "score", "base"]), of(&["cvss2_score"])];
        let score = scores.iter().filter_map(|s| finding::score(s)).find(|s| *s > 0.0);
        match finding::severity(&severity).or(score.map(finding::rated)) {
            Some(rank) => _ = d.uint(field::SEVERITY, rank),
            None => d.keep("severity", &severity),
        }
        if let Some(score) = score {
            d.give(field::CVSS, score.into());
        }
        d.text(field::PRODUCT, &pick(&["name"], &["package", "name"]));
        d.text(field::VERSION, &pick(&["version"], &["package", "version"]));
        d.text(field::OS, &of(&["host", "os", "full"]));
        d.text(field::CATEGORY, &pick(&["type"], &["vulnerability", "category"]));
        d.text(field::MESSAGE, &pick(&["condition"], &["vulnerability", "description"]));
        const DONE: [&str; 14] = [
            "cve",
            "title",
            "severity",
            "cvss3_score",
            "cvss2_score",
            "name",
            "version",
            "type",
            "condition",
            "detection_time",
            "agent_ip",
            "agent_name",
            "_source",
            "sort",
        ];
        for (key, raw) in members {
            if !DONE.contains(&key.as_ref()) {
                match json::is_nested(raw) {
                    true => d.keep_json(key, raw.get()),
                    false => d.keep(key, &json::scalar(raw)),
                }
            }
        }
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn api_answers_and_states_are_read() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"data":{"affected_items":[{"name":"curl","version":"1","cve":"CVE-2023-1234","cvss2_score":0,"cvss3_score":6.5,"title":"CVE-2023-1234 affects curl","severity":"Medium","type":"PACKAGE","status":"VALID","detection_time":"2023-12-13T22:11:57+00:00","condition":"Package less than 2","agent_ip":"192.0.2.9","agent_name":"agent-1"}],"total_affected_items":1},"error":0}"#
            ),
            "vuln 2023-12-13T22:11:57Z dst.ip=192.0.2.9 signature=CVE-2023-1234 affects curl severity=medium category=PACKAGE action=found hostname=agent-1 message=Package less than 2 product=curl version=1 cve=CVE-2023-1234 cvss=6.5 extra={\"status\":\"VALID\"}"
        );
        let state = r#"{"hits":{"hits":[{"_index":"w","_source":{"agent":{"id":"001","name":"h0"},"host":{"os":{"full":"Ubuntu 24.04"}},"package":{"name":"linux","version":"6.8"},"vulnerability":{"id":"CVE-2025-27558","severity":"-","score":{"base":9.1},"detected_at":"2025-07-01T10:00:00Z","description":"d"}}}]}}"#;
        let read = read_all(&FORMAT, state);
        assert_eq!(
            read.shown(),
            "vuln 2025-07-01T10:00:00Z signature=CVE-2025-27558 affects linux severity=critical action=found hostname=h0 message=d product=linux version=6.8 os=Ubuntu 24.04 cve=CVE-2025-27558 cvss=9.1 extra={\"agent\":{\"id\":\"001\",\"name\":\"h0\"},\"host\":{\"os\":{\"full\":\"Ubuntu 24.04\"}},\"package\":{\"name\":\"linux\",\"version\":\"6.8\"},\"vulnerability\":{\"id\":\"CVE-2025-27558\",\"severity\":\"-\",\"score\":{\"base\":9.1},\"detected_at\":\"2025-07-01T10:00:00Z\",\"description\":\"d\"}}\n"
        );
    }
}
