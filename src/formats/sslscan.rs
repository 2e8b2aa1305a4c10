//! sslscan results as XML (rbsec/sslscan, `--xml`): a `ssltest` for each server.
//!
//! A server is an inventory record of its port, with what its certificate says; each weakness is a vulnerability record, action `found`:
//! Heartbleed, SSL 2 and 3, ciphers that sslscan calls weak, null or anonymous, insecure renegotiation, compression, a certificate that is expired,
//! signs itself or has a short key. The file has no times: records stand at its modification time.

use super::draft::Draft;
use super::element::{self, Element, Elements, Part};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: Sslscan = Sslscan;

/// sslscan results.
pub struct Sslscan;

impl Format for Sslscan {
    fn name(&self) -> &'static str {
        "sslscan"
    }
    fn doc(&self) -> &'static str {
        "sslscan results as XML: protocols, ciphers, certificate and weaknesses of TLS servers (rbsec/sslscan, --xml)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let says = memchr::memmem::find(head, b"SSLScan Results").is_some() || memchr::memmem::find(head, b"<ssltest").is_some();
        if element::is_root(head, &["document"]) && says { Sniff::Yes } else { Sniff::No }
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
        let mut elements = Elements::new(input, &["ssltest"]);
        loop {
            let mut out = Out::default();
            let status = match elements.next() {
                Part::Whole(e) => self.server(&e, &mut out),
                Part::Open(_) | Part::Text(_) | Part::Close(_) => continue,
                Part::Over(why) => {
                    if let Some((why, place)) = why {
                        out.oddities.push(Oddity::at(why, place));
                        each(Status::Failed, out);
                    }
                    return;
                }
            };
            if !each(status, out) {
                return;
            }
        }
    }
}

impl Results {
    fn draft(&self, kind: Kind, e: &Element) -> Draft {
        let unit = Unit { offset: e.at, line: 0 };
        let mut d = Draft::new(kind, &self.context, unit, e.len(), self.context.modified);
        d.partial = e.cut;
        finding::host(&mut d, e.attribute("host"));
        d.text(field::SNI, e.attribute("sniname"));
        finding::port(&mut d, "port", e.attribute("port"));
        d.uint(field::PROTO, 6);
        d.text(field::APP, "tls");
        d.text(field::ACTION, "found");
        d
    }

    fn server(&self, e: &Element, out: &mut Out) -> Status {
        let mut d = self.draft(Kind::Inventory, e);
        d.text(field::PORT_STATE, "open");
        let certificates = e.every("certificate");
        if let Some(certificate) = certificates.first() {
            d.text(field::CERT_SUBJECT, certificate.text_of(&["subject"]));
            d.text(field::CERT_ISSUER, certificate.text_of(&["issuer"]));
            for name in certificate.text_of(&["altnames"]).split(',').filter_map(|n| n.trim().strip_prefix("DNS:")).take(500) {
                d.text(field::CERT_SAN, name);
            }
            for (id, key) in [(field::CERT_NOT_BEFORE, "not-valid-before"), (field::CERT_NOT_AFTER, "not-valid-after")] {
                d.instant(id, key, certificate.text_of(&[key]).trim_end_matches(" GMT"), &utc(&self.context), out);
            }
            d.keep("signature-algorithm", certificate.text_of(&["signature-algorithm"]));
        }
        let accepted: Vec<String> = e
            .children
            .iter()
            .filter(|c| c.name == "cipher" && matches!(c.attribute("status"), "preferred" | "accepted"))
            .map(|c| format!("{} {}", c.attribute("sslversion"), c.attribute("cipher")))
            .collect();
        d.keep("ciphers", &accepted.join(", "));
        d.text(field::TLS_CIPHER, e.child("cipher").map_or("", |c| c.attribute("cipher")));
        let status = d.finish(None, out);
        for (signature, severity, message, cve) in weaknesses(e) {
            let mut d = self.draft(Kind::Vuln, e);
            d.text(field::SIGNATURE, signature);
            d.uint(field::SEVERITY, severity);
            d.text(field::MESSAGE, &message);
            d.text(field::CVE, cve);
            d.finish(None, out);
        }
        status
    }
}

/// The dates of certificates say GMT.
fn utc(context: &Context) -> Context {
    Context { zone: super::Zone::Fixed(0), ..context.clone() }
}

type Weakness = (&'static str, u64, String, &'static str);

fn weaknesses(e: &Element) -> Vec<Weakness> {
    let mut found: Vec<Weakness> = Vec::new();
    let mut say = |signature, severity, message: String, cve| found.push((signature, severity, message, cve));
    for child in e.children.iter().take(5000) {
        let is = |key: &str, value: &str| child.attribute(key) == value;
        let version = child.attribute("sslversion");
        match child.name.as_str() {
            "heartbleed" if is("vulnerable", "1") => say("Heartbleed", 4, version.to_owned(), "CVE-2014-0160"),
            "protocol" if is("enabled", "1") && is("type", "ssl") => {
                say("SSL protocol enabled", 3, format!("SSLv{}", child.attribute("version")), "");
            }
            "renegotiation" if is("supported", "1") && is("secure", "0") => {
                say("Insecure renegotiation", 2, String::new(), "CVE-2009-3555");
            }
            "compression" if is("supported", "1") => say("TLS compression", 2, String::new(), "CVE-2012-4929"),
            "cipher" if ["weak", "null", "anonymous", "medium"].iter().any(|w| is("strength", w)) => {
                let severity = if is("strength", "medium") { 1 } else { 2 };
                let message = format!(
                    "{version} {} {} bits, {}",
                    child.attribute("cipher"),
                    child.attribute("bits"),
                    child.attribute("strength")
                );
                say("Weak cipher", severity, message, "");
            }
            _ => {}
        }
    }
    for certificate in e.every("certificate").into_iter().take(100) {
        let (subject, key) = (certificate.text_of(&["subject"]), certificate.child("pk"));
        if certificate.text_of(&["expired"]) == "true" {
            say("Certificate expired", 2, format!("{subject}, {}", certificate.text_of(&["not-valid-after"])), "");
        }
        if certificate.text_of(&["self-signed"]) == "true" {
            say("Certificate signs itself", 2, subject.to_owned(), "");
        }
        let bits = key.filter(|k| k.attribute("type") == "RSA").and_then(|k| k.attribute("bits").parse::<u32>().ok());
        if let Some(bits) = bits.filter(|b| *b < 2048) {
            say("Short RSA key", 2, format!("{bits} bits, {subject}"), "");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn a_server_is_a_port_with_its_weaknesses() {
        let text = r#"<?xml version="1.0"?><document title="SSLScan Results" version="2.0"><ssltest host="192.0.2.7" sniname="www.example.org" port="443">
<protocol type="ssl" version="3" enabled="1"/><renegotiation supported="0" secure="0"/><heartbleed sslversion="TLSv1.0" vulnerable="1"/><heartbleed sslversion="TLSv1.2" vulnerable="0"/>
<cipher status="preferred" sslversion="TLSv1.2" bits="256" cipher="ECDHE" strength="strong"/><cipher status="accepted" sslversion="TLSv1.0" bits="40" cipher="EXP" strength="weak"/>
<certificate><pk type="RSA" bits="2048"/><subject><![CDATA[*.example.org]]></subject><altnames>DNS:*.example.org, DNS:example.org</altnames><self-signed>false</self-signed><not-valid-after>Mar 13 11:59:45 2019 GMT</not-valid-after><expired>true</expired></certificate></ssltest></document>"#;
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([1, 0, 0, 0], 0));
        let all: Vec<String> = read.shown().lines().map(str::to_owned).collect();
        assert!(
            all[0].contains("sni=www.example.org")
                && all[0].contains("cert.not_after=2019-03-13T11:59:45Z cert.san=*.example.org cert.san=example.org"),
            "{}",
            all[0]
        );
        let found: Vec<&str> = read.records.iter().filter_map(|r| r.record.text(field::SIGNATURE)).collect();
        assert_eq!(found, ["SSL protocol enabled", "Heartbleed", "Weak cipher", "Certificate expired"]);
        assert_eq!(read.records[2].record.text(field::CVE), Some("CVE-2014-0160"));
    }
}
