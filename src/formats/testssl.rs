//! Findings of testssl.sh as CSV (testssl.sh, doc/testssl.1, "--csvfile"): `id, fqdn/ip, port, severity, finding, cve, cwe`.
//!
//! A finding of severity OK is a check that was passed, INFO and WARN are what was seen: `check.result` says so, and CVEs that do not apply
//! stay in `extra`. The table has no times: records stand at the file's modification time.

use super::draft::Draft;
use super::scan_table::{Column, Shape};
use super::{Context, Format, Framing, Reader, Sniff, finding};
use crate::model::field;

/// The format.
pub static FORMAT: Testssl = Testssl;

/// testssl.sh.
pub struct Testssl;

static SHAPE: Shape = Shape {
    columns: &[
        ("id", Column::Text(field::SIGNATURE)),
        ("fqdn_ip", Column::Host),
        ("port", Column::Port),
        ("severity", Column::Aside),
        ("finding", Column::Text(field::MESSAGE)),
        ("cve", Column::Aside),
    ],
    needed: &["id", "fqdn_ip", "severity", "finding"],
    finish: |d, aside| {
        let of = |name: &str| aside.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text);
        judge(d, of("severity"), of("cve"));
    },
};

/// What a severity of testssl.sh makes of a record, and of the CVEs that the check is about.
pub(super) fn judge(d: &mut Draft, level: &str, cves: &str) {
    d.uint(field::PROTO, 6);
    d.text(field::APP, "tls");
    let result = match level {
        "OK" => "pass",
        "INFO" | "WARN" | "DEBUG" | "" => "informational",
        "FATAL" => "error",
        _ => "",
    };
    d.text(field::CHECK_RESULT, result);
    match finding::severity(level).filter(|_| result != "error") {
        Some(rank) => _ = d.uint(field::SEVERITY, rank),
        None => d.keep("severity", level),
    }
    match result {
        "" => finding::cve(d, "cve", cves),
        _ => d.keep("cve", cves),
    }
}

impl Format for Testssl {
    fn name(&self) -> &'static str {
        "testssl"
    }
    fn doc(&self) -> &'static str {
        "Findings of testssl.sh as CSV: protocols, ciphers, certificates, weaknesses of TLS servers (testssl.sh manual)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        SHAPE.sniff(head)
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        SHAPE.reader(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn what_was_passed_is_no_weakness() {
        let text = "\"id\",\"fqdn/ip\",\"port\",\"severity\",\"finding\",\"cve\",\"cwe\"\n\
            \"heartbleed\",\"www.example.org/192.0.2.7\",\"443\",\"OK\",\"not vulnerable\",\"CVE-2014-0160\",\"CWE-119\"\n\
            \"DROWN\",\"www.example.org/192.0.2.7\",\"443\",\"HIGH\",\"vulnerable\",\"CVE-2016-0800 CVE-2016-0703\",\"CWE-310\"\n\
            \"engine_problem\",\"www.example.org/\",\"443\",\"WARN\",\"none\",\"\",\"\"\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 1, 0]);
        assert_eq!(
            read.shown(),
            "vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.7 dst.port=443 proto=tcp app=tls signature=heartbleed severity=info action=found hostname=www.example.org message=not vulnerable check.result=pass extra={\"cwe\":\"CWE-119\",\"cve\":\"CVE-2014-0160\"}\n\
             vuln 2026-11-20T12:00:00Z dst.ip=192.0.2.7 dst.port=443 proto=tcp app=tls signature=DROWN severity=high action=found hostname=www.example.org message=vulnerable cve=CVE-2016-0800 cve=CVE-2016-0703 extra={\"cwe\":\"CWE-310\"}\n\
             vuln 2026-11-20T12:00:00Z dst.port=443 proto=tcp app=tls signature=engine_problem severity=info action=found hostname=www.example.org message=none check.result=informational\n"
        );
    }
}
