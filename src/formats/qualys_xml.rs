//! Qualys reports as XML (Qualys API: scan results `SCAN`, `ASSET_DATA_REPORT`, `HOST_LIST_VM_DETECTION_OUTPUT`, web application scans
//! `WAS_SCAN_REPORT` and `WAS_WEBAPP_REPORT`).
//!
//! Units are hosts and detections: a host is one inventory record, a detection one vulnerability record, with what the glossary at the end says of its QID;
//! the action is `found`. Severity 1 to 5 is info to critical. A detection lasts from the first to the last time it was found, else stands at the
//! date of the report (UTC).

use super::draft::{self, Draft};
use super::element::{self, Element, Elements, Part};
use super::glossary::{Definition, Glossary};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::collections::HashSet;
use std::io::BufRead;

/// The format.
pub static FORMAT: QualysXml = QualysXml;

/// Qualys reports.
pub struct QualysXml;

const ROOTS: [&str; 5] = ["SCAN", "ASSET_DATA_REPORT", "HOST_LIST_VM_DETECTION_OUTPUT", "WAS_SCAN_REPORT", "WAS_WEBAPP_REPORT"];

impl Format for QualysXml {
    fn name(&self) -> &'static str {
        "qualys-xml"
    }
    fn doc(&self) -> &'static str {
        "Qualys report as XML: scan results, asset data, host detections, web application scans (Qualys API guides)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if element::is_root(head, &ROOTS) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Report { context: context.clone(), date: None, host: None, category: None, glossary: Glossary::default() })
    }
}

struct Report {
    context: Context,
    /// When the report or scan was made.
    date: Option<Time>,
    host: Option<Host>,
    /// The `CAT` that is open.
    category: Option<Element>,
    glossary: Glossary,
}

/// A host while it is read: its own element and the small ones in it.
struct Host {
    at: Element,
    said: Vec<(String, String)>,
    given: bool,
}

impl Host {
    fn get(&self, names: &[&str]) -> &str {
        let of = |name: &&str| self.said.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        names.iter().find_map(of).unwrap_or("")
    }
}

/// What is said of a host before its detections.
const SAID: [&str; 11] = [
    "IP",
    "IPV6",
    "DNS",
    "NETBIOS",
    "NETBIOS_HOSTNAME",
    "OS",
    "OPERATING_SYSTEM",
    "TRACKING_METHOD",
    "LAST_SCAN_DATETIME",
    "LAST_VM_SCANNED_DATE",
    "OS_CPE",
];
/// Elements that are detections.
const DETECTIONS: [&str; 9] = [
    "VULN",
    "PRACTICE",
    "INFO",
    "SERVICE",
    "VULN_INFO",
    "DETECTION",
    "VULNERABILITY",
    "SENSITIVE_CONTENT",
    "INFORMATION_GATHERED",
];

const WANTED: &[&str] = &[
    "KEY",
    "GENERATION_DATETIME",
    "DATETIME",
    "VULN_DETAILS",
    "QID",
    "VULN",
    "PRACTICE",
    "INFO",
    "SERVICE",
    "VULN_INFO",
    "DETECTION",
    "VULNERABILITY",
    "SENSITIVE_CONTENT",
    "INFORMATION_GATHERED",
    "IPV6",
    "DNS",
    "NETBIOS",
    "NETBIOS_HOSTNAME",
    "OS",
    "OPERATING_SYSTEM",
    "TRACKING_METHOD",
    "LAST_SCAN_DATETIME",
    "LAST_VM_SCANNED_DATE",
    "OS_CPE",
    "APPENDICES",
];

impl Reader for Report {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut elements = Elements::new(input, WANTED);
        // `IP` holds detections in scan results and is a text elsewhere.
        let mut ip: Option<Element> = None;
        loop {
            let goes_on = match elements.next() {
                Part::Open(e) if e.name == "IP" && !e.attribute("value").is_empty() => {
                    self.host = Some(Host { at: e, said: Vec::new(), given: false });
                    true
                }
                Part::Open(e) if e.name == "HOST" => {
                    self.host = Some(Host { at: e, said: Vec::new(), given: false });
                    true
                }
                Part::Open(e) if e.name == "IP" => {
                    ip = Some(e);
                    true
                }
                Part::Open(e) if e.name == "CAT" => {
                    self.category = Some(e);
                    true
                }
                Part::Open(_) => true,
                Part::Text(text) => {
                    if ip.is_some()
                        && let Some(host) = &mut self.host
                        && host.said.len() < 64
                        && !text.trim().is_empty()
                    {
                        host.said.push(("IP".into(), text.trim().to_owned()));
                    }
                    true
                }
                Part::Close(name) => {
                    match name.as_str() {
                        "CAT" => self.category = None,
                        "IP" if ip.take().is_some() => {}
                        "HOST" | "IP" => {
                            if !self.host_record(each) {
                                return;
                            }
                            self.host = None;
                        }
                        _ => {}
                    }
                    true
                }
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
    fn utc(&self) -> Context {
        Context { zone: super::Zone::Fixed(0), ..self.context.clone() }
    }

    fn whole(&mut self, e: &Element, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let name = e.name.as_str();
        let date = name == "KEY" && e.attribute("value") == "DATE" || matches!(name, "GENERATION_DATETIME" | "DATETIME");
        if date {
            let read = finding::time(&e.text, &self.utc(), &mut Out::default());
            self.date = self.date.or(read);
        } else if SAID.contains(&name) {
            if let Some(host) = self.host.as_mut().filter(|h| h.said.len() < 64) {
                host.said.push((name.to_owned(), e.text.trim().to_owned()));
            }
        } else if matches!(name, "VULN_DETAILS" | "QID") {
            self.define(e);
        } else if DETECTIONS.contains(&name) {
            return self.host_record(each) && self.detection(e, each);
        }
        true
    }

    fn draft(&self, kind: Kind, e: &Element, len: usize, span: (Option<Time>, Option<Time>), out: &mut Out) -> Draft {
        let unit = Unit { offset: e.at, line: 0 };
        let start = span.0.or(span.1).or(self.date);
        let mut d = Draft::timed(kind, &self.context, unit, len, start, out);
        d.record.end = span.1.unwrap_or(d.record.start).max(d.record.start);
        if let Some(host) = &self.host {
            let address = [host.at.attribute("value"), host.get(&["IP"]), host.get(&["IPV6"])];
            address.into_iter().for_each(|a| _ = d.addr(field::DST_IP, a));
            let names = [host.at.attribute("name"), host.get(&["DNS"]), host.get(&["NETBIOS", "NETBIOS_HOSTNAME"])];
            let name = names.into_iter().find(|n| !n.is_empty() && *n != "No registered hostname");
            d.text(field::HOSTNAME, name.unwrap_or(""));
        }
        d.text(field::ACTION, "found");
        d
    }

    /// Gives the host out, once.
    fn host_record(&mut self, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out::default();
        let Some(host) = self.host.as_ref().filter(|h| !h.given) else { return true };
        let seen = host.get(&["LAST_SCAN_DATETIME", "LAST_VM_SCANNED_DATE"]);
        let seen = finding::time(seen, &self.utc(), &mut out);
        let mut d = self.draft(Kind::Inventory, &host.at, 0, (seen, seen), &mut out);
        d.text(field::OS, host.get(&["OS", "OPERATING_SYSTEM"]));
        d.text(field::CPE, host.get(&["OS_CPE"]));
        d.keep("netbios", host.get(&["NETBIOS", "NETBIOS_HOSTNAME"]));
        d.keep("tracking_method", host.get(&["TRACKING_METHOD"]));
        d.partial |= !d.has(field::DST_IP);
        let status = d.finish(None, &mut out);
        if let Some(host) = &mut self.host {
            host.given = true;
        }
        each(status, out)
    }

    fn detection(&mut self, e: &Element, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out::default();
        let any = |names: &[&str]| names.iter().map(|n| e.text_of(&[n])).find(|t| !t.is_empty()).unwrap_or("").to_owned();
        let time = |names: &[&str]| finding::time(&any(names), &self.utc(), &mut Out::default());
        let span = (
            time(&["FIRST_FOUND", "FIRST_FOUND_DATETIME", "FIRST_TIME_DETECTED"]),
            time(&["LAST_FOUND", "LAST_FOUND_DATETIME", "LAST_TIME_DETECTED", "DETECTION_DATE"]),
        );
        let mut d = self.draft(Kind::Vuln, e, e.len(), span, &mut out);
        d.partial |= e.cut;
        let of = |key: &str| self.category.as_ref().map_or("", |c| c.attribute(key));
        let port = any(&["PORT"]);
        finding::port(&mut d, "port", if port.is_empty() { of("port") } else { &port });
        let proto = any(&["PROTOCOL"]);
        finding::proto(&mut d, "protocol", if proto.is_empty() { of("protocol") } else { &proto });
        d.text(field::CATEGORY, of("value"));
        d.text(field::HOSTNAME, &any(&["FQDN"]));
        if let Some(url) = Some(any(&["URL"])).filter(|u| !u.is_empty()) {
            finding::host(&mut d, &url);
        }
        let qid = [e.attribute("number").to_owned(), any(&["QID"])].into_iter().find(|q| !q.is_empty()).unwrap_or_default();
        finding::plugin(&mut d, "qid", qid.trim_start_matches("qid_"));
        d.text(field::SIGNATURE, &any(&["TITLE"]));
        let level = [e.attribute("severity").to_owned(), any(&["SEVERITY"])].into_iter().find(|s| !s.is_empty());
        if let Some(rank) = level.and_then(|l| l.parse::<u64>().ok()).filter(|l| (1..=5).contains(l)) {
            d.uint(field::SEVERITY, rank - 1);
        }
        finding::cve(&mut d, "cveid", e.attribute("cveid"));
        for id in e.every("CVE_ID") {
            finding::cve(&mut d, "cve", id.text_of(&["ID"]));
        }
        if let Some(score) = ["CVSS3_BASE", "CVSS_BASE"].iter().find_map(|k| finding::score(e.text_of(&[k]))) {
            d.give(field::CVSS, score.into());
        }
        let result = any(&["RESULT", "RESULTS", "DIAGNOSIS"]);
        d.text(field::MESSAGE, if result.is_empty() { "" } else { draft::cut(&result) });
        d.text(field::SOLUTION, draft::cut(&any(&["SOLUTION"])));
        for key in ["TYPE", "STATUS", "VULN_STATUS", "SSL", "CONSEQUENCE", "PCI_FLAG", "UNIQUE_ID", "PARAM", "TIMES_FOUND", "QDS"]
        {
            d.keep(&key.to_lowercase(), draft::cut(e.text_of(&[key])));
        }
        d.keep("kind", &e.name.to_lowercase());
        if let Some(payloads) = e.child("PAYLOADS") {
            d.keep("payloads", draft::cut(&payloads.words()));
        }
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        let known = d.has(field::SIGNATURE);
        let key = qid.trim_start_matches("qid_");
        if known {
            let status = d.finish(None, &mut out);
            return each(status, out);
        }
        self.glossary.found(key, d, out, each)
    }

    fn define(&mut self, e: &Element) {
        let text = |path: &[&str]| e.text_of(path).to_owned();
        let qid = text(&["QID"]);
        let score = |names: [&[&str]; 3]| names.into_iter().find_map(|path| finding::score(e.text_of(path)));
        let mut cves: Vec<String> = e.every("CVE_ID").into_iter().map(|c| c.text_of(&["ID"]).to_owned()).collect();
        cves.extend(e.every("CVE").into_iter().map(|c| c.text.trim().to_owned()));
        let mut seen = HashSet::new();
        cves.retain(|c| seen.insert(c.clone()));
        // One more than a record takes, so that the record says that it is partial.
        cves.truncate(finding::CVES_MAX + 1);
        let definition = Definition {
            title: text(&["TITLE"]),
            severity: text(&["SEVERITY"]).parse::<u64>().ok().filter(|l| (1..=5).contains(l)).map(|l| l - 1),
            cvss: score([&["CVSS3_SCORE", "CVSS3_BASE"], &["CVSS_SCORE", "CVSS_BASE"], &["CVSS_BASE"]]),
            cves,
            category: text(&["CATEGORY"]),
            solution: text(&["SOLUTION"]),
            description: [text(&["THREAT"]), text(&["DESCRIPTION"])].into_iter().find(|t| !t.is_empty()).unwrap_or_default(),
            more: ["IMPACT", "GROUP", "OWASP", "CWE"].iter().map(|k| (k.to_lowercase(), text(&[k]))).collect(),
        };
        self.glossary.define(&qid, definition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn scan_results_are_read() {
        let text = r#"<?xml version="1.0"?><!DOCTYPE SCAN SYSTEM "x.dtd"><SCAN value="s"><HEADER><KEY value="DATE">2019-04-02T10:14:53Z</KEY></HEADER>
<IP value="192.0.2.1" name="h.example"><OS><![CDATA[Ubuntu 11]]></OS><VULNS><CAT value="Local" port="22" protocol="tcp"><VULN number="123168" severity="5" cveid="CVE-2014-6601"><TITLE><![CDATA[Java]]></TITLE><CVSS_BASE>10</CVSS_BASE><CVSS3_BASE>3.4</CVSS3_BASE><RESULT>r</RESULT></VULN></CAT></VULNS></IP></SCAN>"#;
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([2, 0, 0, 0], 0));
        assert_eq!(
            read.shown(),
            "inventory 2019-04-02T10:14:53Z dst.ip=192.0.2.1 action=found hostname=h.example os=Ubuntu 11\n\
             vuln 2019-04-02T10:14:53Z dst.ip=192.0.2.1 dst.port=22 proto=tcp signature=Java severity=critical category=Local action=found hostname=h.example message=r cve=CVE-2014-6601 cvss=3.4 plugin=123168 extra={\"kind\":\"vuln\"}\n"
        );
    }

    #[test]
    fn detections_get_what_the_glossary_says() {
        let text = "<ASSET_DATA_REPORT><HEADER><GENERATION_DATETIME>2021-03-25T07:13:51Z</GENERATION_DATETIME></HEADER><HOST_LIST><HOST><IP>192.0.2.4</IP><DNS>d.example</DNS>\
            <VULN_INFO_LIST><VULN_INFO><QID id=\"qid_7\">7</QID><PORT>443</PORT><PROTOCOL>tcp</PROTOCOL><FIRST_FOUND>2021-01-01T00:00:00Z</FIRST_FOUND><LAST_FOUND>2021-03-01T00:00:00Z</LAST_FOUND></VULN_INFO></VULN_INFO_LIST></HOST></HOST_LIST>\
            <GLOSSARY><VULN_DETAILS_LIST><VULN_DETAILS><QID>7</QID><TITLE>T</TITLE><SEVERITY>3</SEVERITY><CVE_ID_LIST><CVE_ID><ID>CVE-2021-0007</ID></CVE_ID></CVE_ID_LIST></VULN_DETAILS></VULN_DETAILS_LIST></GLOSSARY></ASSET_DATA_REPORT>";
        let read = read_all(&FORMAT, text);
        assert_eq!(
            read.shown(),
            "inventory 2021-03-25T07:13:51Z dst.ip=192.0.2.4 action=found hostname=d.example\n\
             vuln 2021-01-01T00:00:00Z..2021-03-01T00:00:00Z dst.ip=192.0.2.4 dst.port=443 proto=tcp signature=T severity=medium action=found hostname=d.example cve=CVE-2021-0007 plugin=7 extra={\"kind\":\"vuln_info\"}\n"
        );
    }
}
