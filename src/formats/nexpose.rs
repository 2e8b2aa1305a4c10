//! Nexpose and InsightVM reports as XML (Rapid7, "XML Export", "XML Export 2.0": `NexposeReport`).
//!
//! Units are hosts and tests: a node and each endpoint are inventory records, each test that found something one vulnerability record, with what
//! the definitions at the end say of it; the action is `found`. Records last from the scan's start to its end. Severity 1 to 10 is Moderate (to
//! 3), Severe (to 7), Critical: medium, high, critical. Tests that found nothing are skipped.

use super::draft::Draft;
use super::element::{self, Element, Elements, Part};
use super::glossary::{Definition, Glossary};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::collections::HashMap;
use std::io::BufRead;

/// The format.
pub static FORMAT: Nexpose = Nexpose;

/// Nexpose reports.
pub struct Nexpose;

impl Format for Nexpose {
    fn name(&self) -> &'static str {
        "nexpose"
    }
    fn doc(&self) -> &'static str {
        "Nexpose or InsightVM report as XML: hosts, ports, tests with CVE, CVSS, solution (Rapid7, XML Export 2.0)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if element::is_root(head, &["NexposeReport"]) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Report {
            context: context.clone(),
            scans: HashMap::new(),
            span: None,
            node: None,
            endpoint: None,
            glossary: Glossary::default(),
        })
    }
}

type Span = (Time, Time);

struct Report {
    context: Context,
    /// Spans of scans by their ids.
    scans: HashMap<String, Span>,
    /// The span of the first scan.
    span: Option<Span>,
    node: Option<Node>,
    endpoint: Option<Endpoint>,
    glossary: Glossary,
}

struct Node {
    at: Element,
    names: Vec<String>,
    system: Option<Element>,
}

struct Endpoint {
    at: Element,
    app: String,
    product: Option<Element>,
}

/// Most scans whose span is kept.
const SCANS_MAX: usize = 10_000;

impl Reader for Report {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut elements = Elements::new(input, &["name", "fingerprints", "test", "vulnerability"]);
        loop {
            let goes_on = match elements.next() {
                Part::Open(e) => self.open(e, each),
                Part::Text(_) => true,
                Part::Close(name) => self.close(&name, each),
                Part::Whole(e) => self.whole(&e, each),
                Part::Over(why) => {
                    if self.glossary.end(each)
                        && let Some((why, place)) = why
                    {
                        each(Status::Failed, Out { oddities: vec![Oddity::at(why, place)], ..Out::default() });
                    }
                    return;
                }
            };
            if !goes_on {
                return;
            }
        }
    }
}

impl Report {
    fn open(&mut self, e: Element, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out::default();
        match e.name.as_str() {
            "scan" => {
                let time = |key| finding::time(e.attribute(key), &self.context, &mut Out::default());
                if let Some(start) = time("startTime") {
                    let span = (start, time("endTime").unwrap_or(start).max(start));
                    self.span.get_or_insert(span);
                    if self.scans.len() < SCANS_MAX {
                        self.scans.insert(e.attribute("id").to_owned(), span);
                    }
                }
            }
            "node" => self.node = Some(Node { at: e, names: Vec::new(), system: None }),
            "endpoint" => self.endpoint = Some(Endpoint { at: e, app: String::new(), product: None }),
            "service" => {
                if let Some(endpoint) = &mut self.endpoint {
                    endpoint.app = e.attribute("name").to_owned();
                }
            }
            // What follows is not the node's: give it out, with the endpoint that was seen.
            "VulnerabilityDefinitions" => {
                if let Some(node) = self.node.take() {
                    let status = self.node_record(&node, &mut out);
                    return each(status, out);
                }
            }
            _ => {}
        }
        true
    }

    fn close(&mut self, name: &str, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out::default();
        let status = match name {
            "node" => match self.node.take() {
                Some(node) => self.node_record(&node, &mut out),
                None => return true,
            },
            "endpoint" => match self.endpoint.take() {
                Some(endpoint) => self.endpoint_record(&endpoint, &mut out),
                None => return true,
            },
            _ => return true,
        };
        each(status, out)
    }

    fn whole(&mut self, e: &Element, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        match e.name.as_str() {
            "name" => {
                if let Some(node) = self.node.as_mut().filter(|n| n.names.len() < 64) {
                    node.names.push(e.text.trim().to_owned());
                }
            }
            "fingerprints" => match (&mut self.endpoint, &mut self.node) {
                (Some(endpoint), _) => endpoint.product = e.child("fingerprint").cloned(),
                (None, Some(node)) => node.system = e.child("os").cloned(),
                _ => {}
            },
            "test" => return self.test(e, each),
            "vulnerability" => self.define(e),
            _ => {}
        }
        true
    }

    fn draft(&self, kind: Kind, e: &Element, scan: &str, out: &mut Out) -> Draft {
        let unit = Unit { offset: e.at, line: 0 };
        let span = self.scans.get(scan).copied().or(self.span);
        let mut d = Draft::timed(kind, &self.context, unit, e.len(), span.map(|(start, _)| start), out);
        if let Some((_, end)) = span {
            d.record.end = end;
        }
        if let Some(node) = &self.node {
            finding::host(&mut d, node.at.attribute("address"));
            d.text(field::HOSTNAME, node.names.first().map_or("", String::as_str));
        }
        d.text(field::ACTION, "found");
        d
    }

    fn node_record(&mut self, node: &Node, out: &mut Out) -> Status {
        let mut d = self.draft(Kind::Inventory, &node.at, "", out);
        finding::host(&mut d, node.at.attribute("address"));
        for (n, name) in node.names.iter().enumerate() {
            d.text(if n == 0 { field::HOSTNAME } else { field::NAME }, name);
        }
        d.text(field::DST_MAC, &mac(node.at.attribute("hardware-address")));
        if let Some(os) = &node.system {
            d.text(field::OS, &product(os));
            d.text(field::ROLE, os.attribute("device-class"));
            d.text(field::CPE, os.attribute("cpe"));
        }
        d.text(field::SITE, node.at.attribute("site-name"));
        d.text(field::CRITICALITY, node.at.attribute("site-importance"));
        for key in ["status", "device-id", "scan-template", "risk-score"] {
            d.keep(key, node.at.attribute(key));
        }
        d.partial |= !d.has(field::DST_IP);
        d.finish(None, out)
    }

    fn place(d: &mut Draft, endpoint: &Endpoint) {
        finding::port(d, "port", endpoint.at.attribute("port"));
        finding::proto(d, "protocol", endpoint.at.attribute("protocol"));
        finding::app(d, &endpoint.app);
    }

    fn endpoint_record(&mut self, endpoint: &Endpoint, out: &mut Out) -> Status {
        let mut d = self.draft(Kind::Inventory, &endpoint.at, "", out);
        Self::place(&mut d, endpoint);
        d.text(field::PORT_STATE, endpoint.at.attribute("status"));
        if let Some(fingerprint) = &endpoint.product {
            d.text(field::PRODUCT, [fingerprint.attribute("vendor"), fingerprint.attribute("product")].join(" ").trim());
            d.text(field::VERSION, fingerprint.attribute("version"));
            d.text(field::CPE, fingerprint.attribute("cpe"));
        }
        d.finish(None, out)
    }

    fn test(&mut self, e: &Element, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let status = e.attribute("status");
        if !["vulnerable", "potential", "exception"].iter().any(|s| status.starts_with(s)) {
            return each(Status::Skipped, Out::default());
        }
        let mut out = Out::default();
        let mut d = self.draft(Kind::Vuln, e, e.attribute("scan-id"), &mut out);
        d.partial |= e.cut;
        if let Some(endpoint) = &self.endpoint {
            Self::place(&mut d, endpoint);
        }
        d.text(field::MESSAGE, &e.words());
        for key in ["id", "status", "key", "vulnerable-since", "pci-compliance-status"] {
            d.keep(key, e.attribute(key));
        }
        self.glossary.found(&e.attribute("id").to_lowercase(), d, out, each)
    }

    fn define(&mut self, e: &Element) {
        let severity = e.attribute("severity").parse::<u64>().ok().map(|n| match n {
            0 => 0,
            1..=3 => 2,
            4..=7 => 3,
            _ => 4,
        });
        let cvss = ["cvssV3Score", "cvssScore"].into_iter().find_map(|k| finding::score(e.attribute(k)));
        let references = e.every("reference");
        let words = |name: &str| e.child(name).map_or(String::new(), Element::words);
        let is_cve = |r: &&&Element| r.attribute("source").eq_ignore_ascii_case("cve");
        let others = references.iter().filter(|r| !is_cve(r));
        let mut more: Vec<(String, String)> =
            others.take(50).map(|r| (format!("ref.{}", r.attribute("source")), r.text.trim().to_owned())).collect();
        more.push(("cvss.vector".into(), e.attribute("cvssVector").to_owned()));
        more.push(("published".into(), e.attribute("published").to_owned()));
        let definition = Definition {
            title: e.attribute("title").to_owned(),
            severity,
            cvss,
            cves: references.iter().filter(is_cve).take(500).map(|r| r.text.trim().to_owned()).collect(),
            category: e.every("tag").first().map_or(String::new(), |t| t.text.trim().to_owned()),
            solution: words("solution"),
            description: words("description"),
            more,
        };
        self.glossary.define(&e.attribute("id").to_lowercase(), definition);
    }
}

/// Vendor, product and version as one text, without saying a word twice.
fn product(e: &Element) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in ["vendor", "product", "version"].into_iter().map(|k| e.attribute(k)) {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// `001122334455` with colons.
fn mac(text: &str) -> String {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => (0..6).map(|n| &text[2 * n..2 * n + 2]).collect::<Vec<_>>().join(":"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn tests_get_what_their_definition_says() {
        let text = r#"<NexposeReport version="2.0"><scans><scan id="1" name="n" startTime="20251120T080000000" endTime="20251120T081000000" status="finished"/></scans>
<nodes><node address="192.0.2.7" status="alive" hardware-address="00005E005301" device-id="1" site-name="HQ" risk-score="1.0"><names><name>srv.example</name></names>
<fingerprints><os certainty="0.67" device-class="General" vendor="Linux" product="Linux" version="5.4"/></fingerprints>
<endpoints><endpoint protocol="tcp" port="53" status="open"><services><service name="DNS"><fingerprints><fingerprint vendor="PowerDNS" product="Recursor" version="4.3.5"/></fingerprints>
<tests><test id="DNS-snoop" status="vulnerable-exploited" scan-id="1"><Paragraph>Received 4 <b>answers</b></Paragraph></test><test id="other" status="not-vulnerable"/></tests></service></services></endpoint></endpoints></node></nodes>
<VulnerabilityDefinitions><vulnerability id="dns-snoop" title="Cache snooping" severity="5" cvssScore="5.0"><description><p>It can be asked.</p></description><references><reference source="CVE">CVE-1999-0024</reference></references><solution>Stop it.</solution></vulnerability></VulnerabilityDefinitions></NexposeReport>"#;
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([3, 0, 1, 0], 0));
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:00Z..2025-11-20T08:10:00Z dst.ip=192.0.2.7 dst.port=53 proto=tcp app=dns action=found hostname=srv.example product=PowerDNS Recursor version=4.3.5 port.state=open\n\
             inventory 2025-11-20T08:00:00Z..2025-11-20T08:10:00Z dst.ip=192.0.2.7 dst.mac=00:00:5e:00:53:01 action=found hostname=srv.example os=Linux 5.4 role=General site=HQ extra={\"status\":\"alive\",\"device-id\":\"1\",\"risk-score\":\"1.0\"}\n\
             vuln 2025-11-20T08:00:00Z..2025-11-20T08:10:00Z dst.ip=192.0.2.7 dst.port=53 proto=tcp app=dns signature=Cache snooping severity=high action=found hostname=srv.example message=Received 4 answers cve=CVE-1999-0024 cvss=5 solution=Stop it. extra={\"id\":\"DNS-snoop\",\"status\":\"vulnerable-exploited\",\"description\":\"It can be asked.\"}\n"
        );
    }
}
