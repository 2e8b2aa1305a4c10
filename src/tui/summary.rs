//! A record in one line: what its kind has to say, for All, Logs and Host.

use super::times::{short_size, short_span};
use crate::model::field::{self as f, FieldId};
use crate::model::{Kind, Record};

/// The record in one line; hostile text is not cleaned here.
pub fn summary(record: &Record, arrow: &str) -> String {
    let mut line = Line { record, out: String::new() };
    match record.kind {
        Kind::Flow => {
            line.first(&[f::APP, f::PROTO]);
            line.port();
            line.add(f::STATE);
            line.size("out", f::BYTES_OUT);
            line.size("in", f::BYTES_IN);
            line.word(&short_span(record.end.since(record.start)));
            line.first(&[f::SNI, f::HTTP_HOST, f::NAME]);
        }
        Kind::Alert | Kind::Notice => {
            line.add(f::SEVERITY);
            line.first(&[f::SIGNATURE, f::MESSAGE, f::CATEGORY]);
            line.port();
            line.add(f::ACTION);
        }
        Kind::Dns => {
            line.add(f::DNS_TYPE);
            line.add(f::NAME);
            let answers: Vec<String> =
                record.all(f::ANSWER_IP).chain(record.all(f::ANSWER_NAME)).map(ToString::to_string).collect();
            if answers.is_empty() {
                line.add(f::DNS_RCODE);
            } else {
                line.word(arrow);
                line.word(&answers.join(", "));
            }
        }
        Kind::Http | Kind::Proxy => {
            line.add(f::ACTION);
            line.add(f::HTTP_METHOD);
            line.url();
            line.add(f::HTTP_STATUS);
            line.add(f::HTTP_TYPE);
            line.size("", f::HTTP_RESPONSE_BYTES);
            line.add(f::USER);
            line.add(f::HTTP_AGENT);
        }
        Kind::Tls => {
            line.first(&[f::SNI, f::NAME]);
            line.add(f::TLS_VERSION);
            line.add(f::JA4);
            line.add(f::CERT_SUBJECT);
            line.labelled("by", f::CERT_ISSUER);
        }
        Kind::File => {
            line.add(f::FILE_NAME);
            line.add(f::FILE_TYPE);
            line.size("", f::FILE_SIZE);
            line.first(&[f::SHA256, f::SHA1, f::MD5]);
            line.url();
        }
        Kind::Fw => {
            line.add(f::ACTION);
            line.add(f::PROTO);
            line.port();
            line.add(f::RULE);
            line.add(f::IFACE_IN);
            line.add(f::IFACE_OUT);
            if record.get(f::NAT_SRC_IP).or(record.get(f::NAT_DST_IP)).is_some() {
                line.word("NAT");
                line.first(&[f::NAT_SRC_IP, f::NAT_DST_IP]);
            }
            line.add(f::REASON);
        }
        Kind::Auth => {
            line.add(f::ACTION);
            line.add(f::USER);
            line.add(f::METHOD_AUTH);
            line.add(f::PROCESS);
            line.add(f::HOSTNAME);
            line.add(f::REASON);
        }
        Kind::Dhcp => {
            line.first(&[f::DHCP_TYPE, f::ACTION]);
            line.add(f::LEASE);
            line.first(&[f::HOSTNAME, f::NAME]);
            line.first(&[f::SRC_MAC, f::DST_MAC]);
        }
        Kind::Vuln => {
            line.add(f::CVE);
            line.first(&[f::SIGNATURE, f::MESSAGE]);
            line.add(f::CVSS);
            line.add(f::PRODUCT);
            line.add(f::VERSION);
        }
        Kind::Inventory => {
            line.add(f::INDICATOR);
            line.add(f::FEED);
            line.first(&[f::HOSTNAME, f::NAME]);
            for field in [f::PORT_STATE, f::APP, f::PRODUCT, f::VERSION, f::OS, f::ROLE, f::OWNER, f::MISSION, f::CRITICALITY] {
                line.add(field);
            }
            line.add(f::CATEGORY);
            line.add(f::MESSAGE);
        }
        Kind::Oddity => {
            line.add(f::ODDITY);
            line.add(f::PLACE);
            line.add(f::MESSAGE);
        }
        Kind::Log => {
            line.first(&[f::PROCESS, f::CATEGORY]);
            line.add(f::MESSAGE);
            line.add(f::HOSTNAME);
        }
    }
    if line.out.is_empty() {
        line.anything();
    }
    line.out
}

struct Line<'a> {
    record: &'a Record,
    out: String,
}

impl Line<'_> {
    fn word(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }
    fn show(&self, field: FieldId) -> Option<String> {
        let ty = f::get(field)?.ty;
        self.record.get(field).map(|v| v.show(ty))
    }
    fn add(&mut self, field: FieldId) {
        if let Some(text) = self.show(field) {
            self.word(&text);
        }
    }
    fn labelled(&mut self, label: &str, field: FieldId) {
        if let Some(text) = self.show(field) {
            self.word(label);
            self.word(&text);
        }
    }
    fn first(&mut self, fields: &[FieldId]) {
        if let Some(text) = fields.iter().find_map(|field| self.show(*field)) {
            self.word(&text);
        }
    }
    fn size(&mut self, label: &str, field: FieldId) {
        if let Some(n) = self.record.uint(field) {
            self.word(label);
            self.word(&short_size(n));
        }
    }
    fn port(&mut self) {
        if let Some(port) = self.record.uint(f::DST_PORT) {
            self.word(&format!(":{port}"));
        }
    }
    fn url(&mut self) {
        if self.record.get(f::URL).is_some() {
            return self.add(f::URL);
        }
        let host = self.show(f::HTTP_HOST).unwrap_or_default();
        let path = self.show(f::HTTP_URI).unwrap_or_default();
        self.word(&format!("{host}{path}"));
    }
    fn anything(&mut self) {
        let addresses = [f::SRC_IP, f::DST_IP, f::SRC_PORT, f::DST_PORT];
        let fields: Vec<FieldId> =
            self.record.fields.iter().map(|(id, _)| *id).filter(|id| !addresses.contains(id)).take(4).collect();
        for field in fields {
            self.add(field);
        }
    }
}
