//! ssh-audit results as JSON (jtesta/ssh-audit, `--json`): a server's banner, algorithms with notes, keys, CVEs.
//!
//! A server is one inventory record of its port; each CVE and each algorithm that ssh-audit fails or warns of is a vulnerability record (fail: high,
//! warn: low), action `found`. The file has no times: records stand at its modification time.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding, json, objects};
use crate::model::field;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: SshAudit = SshAudit;

/// ssh-audit results.
pub struct SshAudit;

/// The lists of algorithms.
const LISTS: [&str; 4] = ["kex", "key", "enc", "mac"];

impl Format for SshAudit {
    fn name(&self) -> &'static str {
        "ssh-audit"
    }
    fn doc(&self) -> &'static str {
        "ssh-audit results as JSON: banner, algorithms, keys and CVEs of an SSH server (jtesta/ssh-audit, --json)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if json::has_keys(head, &["banner", "kex", "enc"]) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Results { context: context.clone() })
    }
}

struct Results {
    context: Context,
}

impl Reader for Results {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        objects::read_each(input, &[], each, &mut |text, unit, out| self.server(text, unit, out));
    }
}

impl Results {
    fn draft(&self, kind: Kind, target: &str, unit: Unit, len: usize) -> Draft {
        let mut d = Draft::new(kind, &self.context, unit, len, self.context.modified);
        finding::host(&mut d, target);
        d.uint(field::DST_PORT, 22);
        d.uint(field::PROTO, 6);
        d.text(field::APP, "ssh");
        d.text(field::ACTION, "found");
        d
    }

    fn server(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else { return objects::malformed(unit, out) };
        let of = |path: &[&str]| json::text_at(&members, path);
        let target = [of(&["target"]), of(&["target", "host"])].into_iter().find(|t| !t.is_empty()).unwrap_or_default();
        let mut d = self.draft(Kind::Inventory, &target, unit, text.len());
        d.text(field::PORT_STATE, "open");
        d.text(field::BANNER, &of(&["banner", "raw"]));
        d.text(field::SSH_SERVER, &of(&["banner", "raw"]));
        d.text(field::PRODUCT, &of(&["banner", "software"]));
        for (key, raw) in &members {
            if !matches!(key.as_ref(), "target" | "cves") {
                d.keep_json(key, raw.get());
            }
        }
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        let status = d.finish(None, out);
        for cve in json::member(&members, "cves").into_iter().flat_map(json::elements).take(1000) {
            let Some(cve) = json::object(cve.get()) else { continue };
            let of = |key: &str| json::text_at(&cve, &[key]);
            let mut d = self.draft(Kind::Vuln, &target, unit, text.len());
            d.text(field::SIGNATURE, &of("name"));
            finding::cve(&mut d, "name", &of("name"));
            let score = finding::score(&of("cvssv2"));
            if let Some(score) = score {
                d.give(field::CVSS, score.into());
                d.uint(field::SEVERITY, finding::rated(score));
            }
            d.text(field::MESSAGE, &of("description"));
            d.finish(None, out);
        }
        for list in LISTS {
            for entry in json::member(&members, list).into_iter().flat_map(json::elements).take(500) {
                let Some(entry) = json::object(entry.get()) else { continue };
                let of = |path: &[&str]| json::text_at(&entry, path);
                let (fail, warn) = (of(&["notes", "fail"]), of(&["notes", "warn"]));
                if fail.is_empty() && warn.is_empty() {
                    continue;
                }
                let mut d = self.draft(Kind::Vuln, &target, unit, text.len());
                d.text(field::SIGNATURE, &format!("weak {list} {}", of(&["algorithm"])));
                d.uint(field::SEVERITY, if fail.is_empty() { 1 } else { 3 });
                d.text(field::MESSAGE, if fail.is_empty() { &warn } else { &fail });
                d.keep("keysize", &of(&["keysize"]));
                d.finish(None, out);
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn a_server_has_its_cves_and_weak_algorithms() {
        let text = r#"{"banner":{"raw":"SSH-2.0-OpenSSH_7.9","software":"OpenSSH_7.9"},"cves":[{"cvssv2":7.0,"description":"d","name":"CVE-2021-41617"}],"enc":[{"algorithm":"aes128-ctr","notes":{"info":["x"]}}],"kex":[{"algorithm":"ecdh","notes":{"fail":["broken"],"warn":["w"]}}],"target":"192.0.2.4:2222"}"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        let shown: Vec<String> = read.shown().lines().map(str::to_owned).collect();
        assert_eq!(
            shown[1..],
            [
                "vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.4 dst.port=2222 proto=tcp app=ssh signature=CVE-2021-41617 severity=high action=found message=d cve=CVE-2021-41617 cvss=7",
                "vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.4 dst.port=2222 proto=tcp app=ssh signature=weak kex ecdh severity=high action=found message=broken",
            ]
        );
        assert!(shown[0].contains("product=OpenSSH_7.9 port.state=open extra={"), "{}", shown[0]);
    }
}
