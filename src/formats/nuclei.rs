//! Nuclei findings as JSON: an object a line (`-jsonl`) or an array (`-json-export`), of version 2 and 3 (ProjectDiscovery, Nuclei, "Output").
//!
//! A finding is a vulnerability record, action `found`, at its `timestamp`. The scanned host is `dst.ip` where Nuclei resolved it, the name `hostname`;
//! `matched-at` is the URL or the port.

use super::draft::{self, Draft};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, finding, json, objects};
use crate::model::field;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: Nuclei = Nuclei;

/// Nuclei findings.
pub struct Nuclei;

impl Format for Nuclei {
    fn name(&self) -> &'static str {
        "nuclei"
    }
    fn doc(&self) -> &'static str {
        "Nuclei findings as JSON lines or array: template, severity, CVE, CVSS, where it matched (ProjectDiscovery, Nuclei)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let template = ["template-id", "templateID", "template"].iter().any(|t| json::has_keys(head, &[t, "info", "type"]));
        let place = ["matched-at", "matched", "host"].iter().any(|k| json::has_keys(head, &[k]));
        if template && place { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Findings { context: context.clone() })
    }
}

struct Findings {
    context: Context,
}

impl Reader for Findings {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        objects::read_each(input, &[], each, &mut |text, unit, out| self.finding(text, unit, out));
    }
}

/// Members that go to fields, or whose parts do.
const READ: [&str; 13] = [
    "info",
    "host",
    "ip",
    "port",
    "timestamp",
    "type",
    "matched-at",
    "matched",
    "extracted-results",
    "extracted_results",
    "curl-command",
    "url",
    "matched-line",
];

impl Findings {
    fn finding(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else { return objects::malformed(unit, out) };
        let of = |path: &[&str]| json::text_at(&members, path);
        let any = |keys: &[&str]| keys.iter().map(|k| of(&[k])).find(|t| !t.is_empty()).unwrap_or_default();
        let at = clock::any(&of(&["timestamp"]), &self.context, out);
        let mut d = Draft::timed(Kind::Vuln, &self.context, unit, text.len(), at, out);
        d.text(field::ACTION, "found");
        finding::host(&mut d, &of(&["ip"]));
        let matched = any(&["matched-at", "matched"]);
        finding::host(&mut d, &matched);
        finding::host(&mut d, &of(&["url"]));
        finding::host(&mut d, &of(&["host"]));
        finding::port(&mut d, "port", &of(&["port"]));
        d.text(field::CATEGORY, &of(&["type"]));
        let template = any(&["template-id", "templateID", "template"]);
        let name = of(&["info", "name"]);
        d.text(field::SIGNATURE, if name.is_empty() { &template } else { &name });
        let severity = of(&["info", "severity"]);
        match finding::severity(&severity) {
            Some(rank) => _ = d.uint(field::SEVERITY, rank),
            None => d.keep("severity", &severity),
        }
        let cves = of(&["info", "classification", "cve-id"]);
        finding::cve(
            &mut d,
            "cve-id",
            &format!("{cves} {}", if template.to_uppercase().starts_with("CVE-") { &template } else { "" }),
        );
        if let Some(score) = finding::score(&of(&["info", "classification", "cvss-score"])) {
            d.give(field::CVSS, score.into());
        }
        d.text(field::CPE, &of(&["info", "classification", "cpe"]));
        d.text(field::SOLUTION, &of(&["info", "remediation"]));
        let extracted = any(&["extracted-results", "extracted_results"]);
        let message = [of(&["info", "description"]).trim().to_owned(), extracted.trim().to_owned()];
        d.text(field::MESSAGE, &message.into_iter().filter(|m| !m.is_empty()).collect::<Vec<_>>().join("\n"));
        if let Some(info) = json::member(&members, "info").and_then(|i| json::object(i.get())) {
            for (key, raw) in info {
                if !matches!(key.as_ref(), "name" | "severity" | "description" | "remediation") {
                    d.keep_json(&format!("info.{key}"), raw.get());
                }
            }
        }
        d.keep("matched-at", &matched);
        d.keep("host", &of(&["host"]));
        d.keep("curl-command", draft::cut(&of(&["curl-command"])));
        for (key, raw) in &members {
            if READ.contains(&key.as_ref()) {
                continue;
            }
            match json::is_nested(raw) {
                true => d.keep_json(key, raw.get()),
                false => d.keep(key, draft::cut(&json::scalar(raw))),
            }
        }
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn findings_of_both_versions_are_read() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"template-id":"CVE-2018-15473","info":{"name":"OpenSSH","tags":["cve"],"severity":"medium","classification":{"cve-id":["cve-2018-15473"],"cvss-score":5.3}},"type":"network","host":"https://www.example.org","matched-at":"www.example.org:22","ip":"192.0.2.7","timestamp":"2022-03-20T22:43:31.231312071-03:00","matched-line":null}"#
            ),
            "vuln 2022-03-21T01:43:31.231312071Z dst.ip=192.0.2.7 dst.port=22 url=https://www.example.org signature=OpenSSH severity=medium category=network action=found hostname=www.example.org cve=CVE-2018-15473 cvss=5.3 extra={\"info.tags\":[\"cve\"],\"info.classification\":{\"cve-id\":[\"cve-2018-15473\"],\"cvss-score\":5.3},\"matched-at\":\"www.example.org:22\",\"host\":\"https://www.example.org\",\"template-id\":\"CVE-2018-15473\"}"
        );
        let old = r#"{"templateID":"x","info":{"name":"N","severity":"low"},"type":"http","host":"https://e.example","matched":"https://e.example/a","ip":"192.0.2.8","timestamp":"2021-05-20T11:11:02.287655+03:00"}"#;
        let read = read_all(&FORMAT, &format!("[{old},\n{old}]\nx"));
        assert_eq!((read.counts, read.records.len()), ([2, 0, 0, 1], 2));
        assert_eq!(read.records[0].record.text(field::URL), Some("https://e.example/a"));
    }
}
