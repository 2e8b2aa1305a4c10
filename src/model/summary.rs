//! A record in one line: what the All lens, tables of mixed kinds and reports show for it.

use super::field;
use super::record::{Kind, Record};
use super::value::Value;
use super::{proto, time};
use std::fmt::Write;
use std::net::IpAddr;

/// Both ends as `10.0.0.5:40000 → 192.0.2.80:443`; one of them alone where there is one only.
pub fn ends(record: &Record) -> String {
    let end = |addr: Option<IpAddr>, port: Option<u64>| match (addr, port) {
        (Some(a), Some(p)) if a.is_ipv6() => format!("[{a}]:{p}"),
        (Some(a), Some(p)) => format!("{a}:{p}"),
        (Some(a), None) => a.to_string(),
        (None, Some(p)) => format!(":{p}"),
        (None, None) => String::new(),
    };
    let src = end(record.addr(field::SRC_IP), record.uint(field::SRC_PORT));
    let dst = end(record.addr(field::DST_IP), record.uint(field::DST_PORT));
    match (src.is_empty(), dst.is_empty()) {
        (false, false) => format!("{src} → {dst}"),
        (false, true) => src,
        (true, _) => dst,
    }
}

/// What happened, without time, kind and source.
pub fn line(record: &Record) -> String {
    let text = |id| record.text(id).unwrap_or_default();
    let mut out = String::new();
    let mut add = |part: &str| {
        if !part.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(part);
        }
    };
    match record.kind {
        Kind::Flow => {
            add(&ends(record));
            add(&record.uint(field::PROTO).map(|p| proto::show(p as u8)).unwrap_or_default());
            add(text(field::APP));
            add(text(field::STATE));
            add(&sizes(record));
            add(text(field::NAME));
        }
        Kind::Alert | Kind::Notice => {
            if let Some(severity) = record.get(field::SEVERITY) {
                add(&severity.show(field::Type::Severity));
            }
            add(text(field::SIGNATURE));
            add(text(field::MESSAGE));
            add(&ends(record));
        }
        Kind::Dns => {
            add(text(field::NAME));
            add(text(field::DNS_TYPE));
            add(text(field::DNS_RCODE));
            let answers: Vec<String> = [field::ANSWER_NAME, field::ANSWER_IP, field::ANSWER_TEXT]
                .into_iter()
                .flat_map(|id| record.all(id))
                .map(Value::to_string)
                .collect();
            add(&answers.join(", "));
            add(&record.addr(field::SRC_IP).map(|a| format!("asked by {a}")).unwrap_or_default());
        }
        Kind::Http | Kind::Proxy => {
            add(text(field::ACTION));
            add(text(field::HTTP_METHOD));
            let url = record.text(field::URL).or_else(|| record.text(field::HTTP_URI));
            add(url.unwrap_or_default());
            add(&record.uint(field::HTTP_STATUS).map(|s| s.to_string()).unwrap_or_default());
            add(&ends(record));
            add(text(field::HTTP_AGENT));
        }
        Kind::Tls => {
            add(record.text(field::SNI).unwrap_or_else(|| text(field::CERT_SUBJECT)));
            add(text(field::TLS_VERSION));
            add(text(field::JA4));
            add(&ends(record));
        }
        Kind::File => {
            add(text(field::FILE_NAME));
            add(text(field::FILE_TYPE));
            add(&record.uint(field::FILE_SIZE).map(|n| format!("{n} B")).unwrap_or_default());
            add(text(field::SHA256));
            add(&ends(record));
        }
        Kind::Vuln => {
            if let Some(severity) = record.get(field::SEVERITY) {
                add(&severity.show(field::Type::Severity));
            }
            add(&ends(record));
            add(text(field::SIGNATURE));
            let cves: Vec<String> = record.all(field::CVE).map(Value::to_string).collect();
            add(&cves.join(" "));
        }
        Kind::Inventory => {
            add(text(field::INDICATOR));
            add(&ends(record));
            for id in [field::HOSTNAME, field::ROLE, field::OWNER, field::OS, field::PORT_STATE, field::APP, field::PRODUCT] {
                add(text(id));
            }
            add(text(field::VERSION));
            add(text(field::CATEGORY));
            add(text(field::FEED));
        }
        Kind::Oddity => {
            add(text(field::ODDITY));
            add(text(field::PLACE));
            add(&ends(record));
        }
        Kind::Fw | Kind::Auth | Kind::Dhcp | Kind::Log => {
            add(text(field::ACTION));
            add(text(field::RULE));
            add(text(field::USER));
            add(&ends(record));
            add(&record.uint(field::PROTO).map(|p| proto::show(p as u8)).unwrap_or_default());
            if let (Some(ip), port) = (record.addr(field::NAT_SRC_IP), record.uint(field::NAT_SRC_PORT)) {
                add(&format!("as {ip}{}", port.map(|p| format!(":{p}")).unwrap_or_default()));
            }
            add(text(field::PROCESS));
            add(text(field::MESSAGE));
        }
    }
    out
}

fn sizes(record: &Record) -> String {
    let mut out = String::new();
    if let (Some(o), Some(i)) = (record.uint(field::BYTES_OUT), record.uint(field::BYTES_IN)) {
        let _ = write!(out, "{o}/{i} B");
    }
    let nanos = record.end.since(record.start);
    if nanos > 0 {
        // Milliseconds are enough for a line.
        let _ = write!(out, " {}", time::show_span(nanos / 1_000_000 * 1_000_000));
    }
    out.trim().to_owned()
}
