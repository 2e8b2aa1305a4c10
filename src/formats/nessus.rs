//! Nessus v2 reports (`NessusClientData_v2`, Tenable's "Nessus v2 File Format").
//!
//! Units are hosts and their findings: a host's properties are one inventory record, each `ReportItem` one vulnerability record; the action is
//! `found`. The scanned host is `dst.ip`. Records last from the host's start to its end: the epoch where the scanner writes it, else its local
//! time in the zone of the source. Severity 0 to 4 is info to critical. Port 0 means the host and is left out.

use super::xml::{Node, Xml};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use std::io::BufRead;

/// The format.
pub static FORMAT: Nessus = Nessus;

/// Nessus reports.
pub struct Nessus;

impl Format for Nessus {
    fn name(&self) -> &'static str {
        "nessus"
    }
    fn doc(&self) -> &'static str {
        "Nessus v2 report: hosts and findings with CVE, CVSS, output and solution (Tenable, Nessus v2 File Format)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let xml = head::plain(head).trim_ascii_start();
        let root = memchr::memmem::find(xml, b"<NessusClientData_v2");
        if xml.starts_with(b"<") && root.is_some_and(|n| n < 8192) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Report { context: context.clone() })
    }
}

struct Report {
    context: Context,
}

/// What every record of a host repeats.
#[derive(Default)]
struct Host {
    name: String,
    properties: Vec<(String, String)>,
    span: Option<(Time, Time)>,
}

/// A host's properties or a finding while it is read.
struct Part {
    at: u64,
    attributes: Vec<(String, String)>,
    children: Vec<(String, String)>,
    /// The child that is open.
    open: Option<(String, String)>,
    finding: bool,
    cut: bool,
}

/// Most children of a part, and most text of one, that are kept.
const CHILDREN_MAX: usize = 2000;
const TEXT_MAX: usize = 16 << 10;

impl Reader for Report {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut xml = Xml::new(input);
        let mut host = Host::default();
        let mut part: Option<Part> = None;
        loop {
            let node = xml.next();
            match node {
                Node::Open { ref name, .. } if name == "ReportHost" => {
                    host = Host { name: node.attribute("name").to_owned(), ..Host::default() };
                    part = None;
                }
                Node::Open { name, attributes, at } if matches!(name.as_str(), "HostProperties" | "ReportItem") => {
                    let finding = name == "ReportItem";
                    part = Some(Part { at, attributes, children: Vec::new(), open: None, finding, cut: false });
                }
                Node::Open { ref name, .. } => {
                    if let Some(part) = &mut part {
                        // `<tag name="host-ip">` is named by its attribute.
                        let named = node.attribute("name");
                        part.open = Some((if named.is_empty() { name.clone() } else { named.to_owned() }, String::new()));
                    }
                }
                Node::Text(text) => {
                    if let Some(part) = &mut part {
                        part.text(&text);
                    }
                }
                Node::Close { name, at } if matches!(name.as_str(), "HostProperties" | "ReportItem") => {
                    let Some(part) = part.take() else { continue };
                    let mut out = Out::default();
                    let status = match part.finding {
                        true => host.finding(&part, at, &self.context, &mut out),
                        false => host.properties(part, at, &self.context, &mut out),
                    };
                    if !each(status, out) {
                        return;
                    }
                }
                Node::Close { .. } => {
                    if let Some(part) = &mut part {
                        part.close();
                    }
                }
                Node::Over(why) => {
                    if let Some(why) = why {
                        let place = part.map_or(String::new(), |p| format!("part at byte {} of {}", p.at, host.name));
                        each(Status::Failed, Out { oddities: vec![Oddity::at(why, place)], ..Out::default() });
                    }
                    return;
                }
            }
        }
    }
}

impl Part {
    fn text(&mut self, text: &str) {
        if let Some((_, to)) = &mut self.open {
            let room = TEXT_MAX.saturating_sub(to.len());
            to.push_str(&text[..text.floor_char_boundary(room)]);
            self.cut |= text.len() > room;
        }
    }
    fn close(&mut self) {
        match self.open.take() {
            Some(child) if self.children.len() < CHILDREN_MAX => self.children.push(child),
            Some(_) => self.cut = true,
            None => {}
        }
    }
    fn attribute(&self, key: &str) -> &str {
        self.attributes.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }
    fn child(&self, key: &str) -> &str {
        self.children.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.trim())
    }
}

impl Host {
    fn property(&self, key: &str) -> &str {
        self.properties.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.trim())
    }

    fn draft(&self, kind: Kind, at: u64, end: u64, context: &Context, out: &mut Out) -> Draft {
        let unit = Unit { offset: at, line: 0 };
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut d = Draft::timed(kind, context, unit, len, self.span.map(|(start, _)| start), out);
        if let Some((_, end)) = self.span {
            d.record.end = end;
        }
        if !d.addr(field::DST_IP, self.property("host-ip")) {
            d.addr(field::DST_IP, &self.name);
        }
        let name = ["host-fqdn", "hostname", "netbios-name", "host-rdns"].map(|k| self.property(k));
        let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or(&self.name);
        if draft::address(name).is_none() {
            d.text(field::HOSTNAME, name);
        }
        d.text(field::ACTION, "found");
        d
    }

    fn properties(&mut self, part: Part, end: u64, context: &Context, out: &mut Out) -> Status {
        let (at, cut) = (part.at, part.cut);
        self.properties = part.children;
        let mut time = |epoch: &str, text: &str| {
            Time::parse_epoch(self.property(epoch)).or_else(|| clock::any(self.property(text), context, out))
        };
        let (start, last) = (time("HOST_START_TIMESTAMP", "HOST_START"), time("HOST_END_TIMESTAMP", "HOST_END"));
        self.span = start.or(last).map(|first| (first, last.unwrap_or(first).max(first)));
        let mut d = self.draft(Kind::Inventory, at, end, context, out);
        d.partial |= cut;
        d.text(field::OS, self.property("operating-system").lines().next().unwrap_or(""));
        d.text(field::ROLE, self.property("system-type"));
        let mut macs = self.property("mac-address").split_ascii_whitespace();
        d.text(field::DST_MAC, macs.next().unwrap_or(""));
        for (key, value) in &self.properties {
            let (key, value) = (key.as_str(), value.trim());
            if key.starts_with("cpe") {
                d.text(field::CPE, value);
            } else if !key.starts_with("HOST_")
                && !matches!(key, "host-ip" | "host-fqdn" | "operating-system" | "system-type" | "mac-address")
                && !key.starts_with("traceroute-hop")
                && value.len() <= 1024
            {
                d.keep(key, value);
            }
        }
        d.finish(None, out)
    }

    fn finding(&self, part: &Part, end: u64, context: &Context, out: &mut Out) -> Status {
        let mut d = self.draft(Kind::Vuln, part.at, end, context, out);
        d.partial |= part.cut;
        if part.attribute("port") != "0" {
            d.put_or_keep(field::DST_PORT, "port", part.attribute("port"));
        }
        d.put_or_keep(field::PROTO, "protocol", part.attribute("protocol"));
        match part.attribute("svc_name").trim_end_matches('?') {
            "general" | "unknown" => {}
            "www" => _ = d.text(field::APP, "http"),
            service => _ = d.text(field::APP, service),
        }
        d.put_or_keep(field::PLUGIN, "pluginID", part.attribute("pluginID"));
        // A compliance check has a name and result of its own (Tenable, "Compliance Checks Reference").
        let result = part.child("cm:compliance-result");
        if !result.is_empty() {
            let word = match result {
                "PASSED" => "pass",
                "FAILED" => "fail",
                "ERROR" => "error",
                _ => "unknown",
            };
            d.text(field::CHECK_RESULT, word);
            d.text(field::SIGNATURE, part.child("cm:compliance-check-name"));
            let all = part.children.iter().filter(|(k, _)| k.starts_with("cm:") && k != "cm:compliance-check-name");
            all.for_each(|(key, value)| d.keep(key, draft::cut(value.trim())));
        }
        d.put_or_keep(field::SIGNATURE, "pluginName", part.attribute("pluginName"));
        d.text(field::CATEGORY, part.attribute("pluginFamily"));
        match part.attribute("severity").parse::<u64>() {
            Ok(rank @ 0..=4) => _ = d.uint(field::SEVERITY, rank),
            _ => d.keep("severity", part.attribute("severity")),
        }
        let score =
            ["cvss4_base_score", "cvss3_base_score", "cvss_base_score"].iter().find_map(|k| part.child(k).parse::<f64>().ok());
        if let Some(score) = score.filter(|s| (0.0..=10.0).contains(s)) {
            d.give(field::CVSS, Value::Float(score));
        }
        let output = part.child("plugin_output");
        d.text(field::MESSAGE, if output.is_empty() { part.child("synopsis") } else { output });
        if part.child("solution") != "n/a" {
            d.text(field::SOLUTION, part.child("solution"));
        }
        for (key, value) in &part.children {
            match key.as_str() {
                "cve" => _ = d.text(field::CVE, value.trim()),
                "cpe" => value.split_ascii_whitespace().for_each(|cpe| _ = d.text(field::CPE, cpe)),
                "exploit_available"
                | "exploitability_ease"
                | "risk_factor"
                | "cvss3_vector"
                | "vuln_publication_date"
                | "patch_publication_date" => {
                    d.keep(key, value.trim());
                }
                _ => {}
            }
        }
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn a_compliance_check_is_a_check_with_its_result() {
        let text = r#"<NessusClientData_v2><Report name="r"><ReportHost name="192.0.2.20"><HostProperties><tag name="HOST_START_TIMESTAMP">1763625600</tag></HostProperties>
<ReportItem port="0" svc_name="general" protocol="tcp" severity="3" pluginID="21157" pluginName="Unix Compliance Checks" pluginFamily="Policy Compliance"><cm:compliance-check-name>5.2.8 No root login</cm:compliance-check-name><cm:compliance-result>FAILED</cm:compliance-result><cm:compliance-actual-value>yes</cm:compliance-actual-value></ReportItem></ReportHost></Report></NessusClientData_v2>"#;
        let read = read_all(&FORMAT, text);
        let record = &read.records[1].record;
        assert_eq!(
            (record.text(field::SIGNATURE), record.text(field::CHECK_RESULT)),
            (Some("5.2.8 No root login"), Some("fail"))
        );
        assert!(record.text(field::EXTRA).is_some_and(|e| e.contains("\"pluginName\":\"Unix Compliance Checks\"")));
    }

    #[test]
    fn hosts_and_findings_are_records_of_their_scan() {
        let text = r#"<?xml version="1.0" ?><NessusClientData_v2><Policy><tag name="x">y</tag></Policy><Report name="r">
<ReportHost name="fs1"><HostProperties><tag name="HOST_END">Thu Nov 20 09:10:00 2025</tag><tag name="operating-system">Windows Server 2019</tag>
<tag name="host-ip">192.0.2.20</tag><tag name="mac-address">00:00:5E:00:53:02</tag><tag name="HOST_START">Thu Nov 20 09:00:00 2025</tag></HostProperties>
<ReportItem port="445" svc_name="cifs" protocol="tcp" severity="4" pluginID="97833" pluginName="MS17-010 &amp; more" pluginFamily="Windows"><cve>CVE-2017-0143</cve><cve>CVE-2017-0144</cve><cvss_base_score>9.3</cvss_base_score><cvss3_base_score>8.1</cvss3_base_score><plugin_output>
SMBv1 &lt;on&gt;</plugin_output><solution>patch</solution></ReportItem>
<ReportItem port="0" svc_name="general" protocol="tcp" severity="0" pluginID="19506" pluginName="Scan info" pluginFamily="Settings"><synopsis>s</synopsis></ReportItem></ReportHost></Report></NessusClientData_v2>"#;
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([3, 0, 0, 0], 0));
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T09:00:00Z..2025-11-20T09:10:00Z dst.ip=192.0.2.20 dst.mac=00:00:5e:00:53:02 action=found hostname=fs1 os=Windows Server 2019\n\
             vuln 2025-11-20T09:00:00Z..2025-11-20T09:10:00Z dst.ip=192.0.2.20 dst.port=445 proto=tcp app=cifs signature=MS17-010 & more severity=critical category=Windows action=found hostname=fs1 message=SMBv1 <on> cve=CVE-2017-0143 cve=CVE-2017-0144 cvss=8.1 plugin=97833 solution=patch\n\
             vuln 2025-11-20T09:00:00Z..2025-11-20T09:10:00Z dst.ip=192.0.2.20 proto=tcp signature=Scan info severity=info category=Settings action=found hostname=fs1 message=s plugin=19506\n"
        );
    }
}
