//! Findings of testssl.sh as JSON (testssl.sh, doc/testssl.1, "--jsonfile", "--jsonfile-pretty"): an array of findings, or a document that holds them by
//! server and section.
//!
//! What severities mean is as in the CSV (see `testssl`). Neither form says when a finding was made: records stand at the file's
//! modification time.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding, json, objects, testssl};
use crate::model::field;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: TestsslJson = TestsslJson;

/// testssl.sh, JSON.
pub struct TestsslJson;

fn is_pretty(head: &[u8]) -> bool {
    json::has_keys(head, &["scanResult"])
}

impl Format for TestsslJson {
    fn name(&self) -> &'static str {
        "testssl-json"
    }
    fn doc(&self) -> &'static str {
        "Findings of testssl.sh as JSON, flat or by server and section (testssl.sh manual, --jsonfile, --jsonfile-pretty)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let flat = json::has_keys(head, &["id", "ip", "port", "severity", "finding"]);
        let pretty = is_pretty(head) && json::has_keys(head, &["Invocation"]);
        if flat || pretty { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Findings { context: context.clone() })
    }
}

struct Findings {
    context: Context,
}

/// Most findings of one server.
const FINDINGS_MAX: usize = 20_000;

impl Reader for Findings {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let pretty = input.fill_buf().is_ok_and(is_pretty);
        let holders: &'static [&'static str] = if pretty { &["scanResult"] } else { &[] };
        objects::read_each(input, holders, each, &mut |text, unit, out| {
            let Some(members) = json::object(text) else { return objects::malformed(unit, out) };
            match json::member(&members, "finding") {
                Some(_) => self.finding(&members, None, unit, text.len(), out),
                None => self.server(&members, unit, text.len(), out),
            }
        });
    }
}

impl Findings {
    /// The findings of a server are in the sections of its object.
    fn server(&self, members: &json::Members<'_>, unit: Unit, len: usize, out: &mut Out) -> Status {
        let of = |key: &str| json::text_at(members, &[key]);
        let place = (of("targetHost"), of("ip"), of("port"));
        if place.0.is_empty() && place.1.is_empty() {
            return Status::Skipped;
        }
        let mut status = Status::Ok;
        let mut left = FINDINGS_MAX;
        for (_, section) in members.iter().filter(|(_, raw)| raw.get().starts_with('[')) {
            for entry in json::elements(section) {
                let Some(entry) = json::object(entry.get()) else { continue };
                if left == 0 || self.finding(&entry, Some(&place), unit, len, out) == Status::Partial {
                    status = Status::Partial;
                }
                left = left.saturating_sub(1);
            }
        }
        status
    }

    fn finding(
        &self,
        members: &json::Members<'_>,
        place: Option<&(String, String, String)>,
        unit: Unit,
        len: usize,
        out: &mut Out,
    ) -> Status {
        let of = |key: &str| json::text_at(members, &[key]);
        let mut d = Draft::new(Kind::Vuln, &self.context, unit, len, self.context.modified);
        d.text(field::ACTION, "found");
        match place {
            Some((host, ip, port)) => {
                finding::host(&mut d, ip);
                finding::host(&mut d, host);
                finding::port(&mut d, "port", port);
            }
            None => {
                let ip = of("ip");
                let (host, address) = ip.rsplit_once('/').unwrap_or((ip.as_str(), ""));
                finding::host(&mut d, address);
                finding::host(&mut d, host);
                finding::port(&mut d, "port", &of("port"));
            }
        }
        d.text(field::SIGNATURE, &of("id"));
        d.text(field::MESSAGE, &of("finding"));
        d.keep("cwe", &of("cwe"));
        d.keep("hint", &of("hint"));
        testssl::judge(&mut d, &of("severity"), &of("cve"));
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn both_forms_give_the_same_findings() {
        let flat = r#"[{"id":"DROWN","ip":"www.example.org/192.0.2.7","port":"443","severity":"HIGH","cve":"CVE-2016-0800","finding":"vulnerable"}]"#;
        let pretty = r#"{"Invocation":"testssl","scanResult":[{"targetHost":"www.example.org","ip":"192.0.2.7","port":"443","service":"HTTP","vulnerabilities":[{"id":"DROWN","severity":"HIGH","cve":"CVE-2016-0800","finding":"vulnerable"}]}],"scanTime":9}"#;
        let want = "vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.7 dst.port=443 proto=tcp app=tls signature=DROWN severity=high action=found hostname=www.example.org message=vulnerable cve=CVE-2016-0800\n";
        for text in [flat, pretty] {
            assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
            assert_eq!(read_all(&FORMAT, text).shown(), want);
        }
    }
}
