//! OpenVAS and Greenbone reports as XML (Greenbone Management Protocol, `get_reports`; report format "XML").
//!
//! Units are hosts, open ports and results: a host's details and each port are inventory records, each `result` one vulnerability record; the
//! action is `found`. A result stands at its `creation_time`, else at the start of the scan. The threat (Log to Critical) is the severity;
//! the quality of detection is given as confidence.

use super::draft::{self, Draft};
use super::element::{self, Element, Elements, Part};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, finding};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use std::io::BufRead;

/// The format.
pub static FORMAT: OpenvasXml = OpenvasXml;

/// OpenVAS reports.
pub struct OpenvasXml;

impl Format for OpenvasXml {
    fn name(&self) -> &'static str {
        "openvas-xml"
    }
    fn doc(&self) -> &'static str {
        "OpenVAS report as XML: hosts, ports, results with NVT, CVE, CVSS, solution (Greenbone Management Protocol, get_reports)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let says = [&b"<gmp>"[..], b"<omp>", b"<nvt oid", b"<scan_run_status>", b"format_id="];
        let of_scanner = says.iter().any(|s| memchr::memmem::find(head, s).is_some());
        if element::is_root(head, &["report", "get_reports_response"]) && of_scanner { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Report { context: context.clone(), start: None })
    }
}

struct Report {
    context: Context,
    /// When the scan began.
    start: Option<Time>,
}

impl Reader for Report {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut elements = Elements::new(input, &["result", "host", "port", "scan_start", "filters", "task", "permissions"]);
        loop {
            let mut out = Out::default();
            let status = match elements.next() {
                Part::Whole(e) => match e.name.as_str() {
                    "result" => self.result(&e, &mut out),
                    "host" if e.child("ip").is_some() => self.host(&e, &mut out),
                    "port" if e.child("host").is_some() => self.port(&e, &mut out),
                    "scan_start" => {
                        self.start = finding::time(&e.text, &self.context, &mut out);
                        continue;
                    }
                    _ => continue,
                },
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

impl Report {
    fn draft(&self, kind: Kind, e: &Element, at: Option<Time>, out: &mut Out) -> Draft {
        let unit = Unit { offset: e.at, line: 0 };
        let mut d = Draft::timed(kind, &self.context, unit, e.len(), at.or(self.start), out);
        d.partial |= e.cut;
        d.text(field::ACTION, "found");
        d
    }

    /// `443/tcp`, `general/tcp`, `https (443/tcp)`.
    fn place(d: &mut Draft, text: &str) {
        let text = text.trim();
        let (name, inner) = match text.rsplit_once('(').and_then(|(n, rest)| Some((n, rest.strip_suffix(')')?))) {
            Some((name, inner)) => (name.trim(), inner),
            None => ("", text),
        };
        let (port, proto) = inner.split_once('/').unwrap_or((inner, ""));
        finding::port(d, "port", port);
        finding::proto(d, "protocol", proto);
        finding::app(d, name);
    }

    fn result(&self, e: &Element, out: &mut Out) -> Status {
        let at = finding::time(e.text_of(&["creation_time"]), &self.context, out);
        let mut d = self.draft(Kind::Vuln, e, at, out);
        finding::host(&mut d, e.text_of(&["host"]));
        if !d.has(field::HOSTNAME) {
            d.text(field::HOSTNAME, e.text_of(&["host", "hostname"]));
        }
        Self::place(&mut d, e.text_of(&["port"]));
        let title = [e.text_of(&["nvt", "name"]), e.text_of(&["name"])];
        d.text(field::SIGNATURE, title.into_iter().find(|t| !t.is_empty()).unwrap_or(""));
        let nvt = e.child("nvt");
        if let Some(nvt) = nvt {
            finding::plugin(&mut d, "nvt.oid", nvt.attribute("oid"));
            d.text(field::CATEGORY, nvt.text_of(&["family"]));
            let cves = nvt.every("ref").into_iter().filter(|r| r.attribute("type").starts_with("cve")).map(|r| r.attribute("id"));
            cves.for_each(|cve| finding::cve(&mut d, "cve", cve));
            let listed = nvt.text_of(&["cve"]);
            if listed != "NOCVE" {
                finding::cve(&mut d, "cve", listed);
            }
            let others = nvt.every("ref").into_iter().filter(|r| !r.attribute("type").starts_with("cve"));
            others.for_each(|r| d.keep(&format!("ref.{}", r.attribute("type")), r.attribute("id")));
            d.text(field::SOLUTION, draft::cut(nvt.text_of(&["solution"])));
            d.keep("solution.type", nvt.child("solution").map_or("", |s| s.attribute("type")));
            d.keep("tags", nvt.text_of(&["tags"]));
            d.keep("epss", nvt.text_of(&["epss", "max_severity", "score"]));
        }
        let (threat, score) = (e.text_of(&["threat"]), e.text_of(&["severity"]));
        match finding::severity(threat).or_else(|| finding::score(score).map(finding::rated)) {
            Some(rank) => _ = d.uint(field::SEVERITY, rank),
            None => d.keep("threat", threat),
        }
        let scores = [nvt.map_or("", |n| n.text_of(&["cvss_base"])), score];
        if let Some(score) = scores.into_iter().find_map(finding::score) {
            d.give(field::CVSS, Value::Float(score));
        }
        if let Some(quality) = e.text_of(&["qod", "value"]).parse::<f64>().ok().filter(|q| (0.0..=100.0).contains(q)) {
            d.give(field::CONFIDENCE, Value::Float(quality / 100.0));
        }
        d.text(field::MESSAGE, e.text_of(&["description"]));
        for (key, path) in
            [("original_threat", "original_threat"), ("compliance", "compliance"), ("nvt.version", "scan_nvt_version")]
        {
            d.keep(key, e.text_of(&[path]));
        }
        d.keep("result", e.attribute("id"));
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }

    fn host(&mut self, e: &Element, out: &mut Out) -> Status {
        let start = finding::time(e.text_of(&["start"]), &self.context, out);
        let end = finding::time(e.text_of(&["end"]), &self.context, out);
        let mut d = self.draft(Kind::Inventory, e, start.or(end), out);
        d.record.end = end.unwrap_or(d.record.start).max(d.record.start);
        finding::host(&mut d, e.text_of(&["ip"]));
        for detail in e.children.iter().filter(|c| c.name == "detail").take(2000) {
            let (name, value) = (detail.text_of(&["name"]), detail.text_of(&["value"]));
            match name {
                "hostname" if !d.has(field::HOSTNAME) => _ = d.text(field::HOSTNAME, value),
                "best_os_txt" => _ = d.text(field::OS, value),
                "OS" if !value.starts_with("cpe:") => _ = d.text(field::OS, value),
                "best_os_cpe" => _ = d.text(field::CPE, value),
                "MAC" => _ = d.text(field::DST_MAC, value),
                _ if value.len() <= 1024 => d.keep(name, value),
                _ => {}
            }
        }
        d.finish(None, out)
    }

    fn port(&mut self, e: &Element, out: &mut Out) -> Status {
        let mut d = self.draft(Kind::Inventory, e, None, out);
        Self::place(&mut d, &e.text);
        if !d.has(field::DST_PORT) {
            return Status::Skipped;
        }
        finding::host(&mut d, e.text_of(&["host"]));
        d.text(field::PORT_STATE, "open");
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn hosts_ports_and_results_are_records() {
        let text = r#"<report id="r" format_id="f"><report id="r"><gmp><version>22.4</version></gmp><scan_start>2025-11-20T08:00:00Z</scan_start>
<ports><count>2</count><port>general/tcp<host>192.0.2.7</host></port><port>443/tcp<host>192.0.2.7</host><severity>9.8</severity></port></ports>
<results><result id="x"><name>n</name><creation_time>2025-11-20T08:05:00Z</creation_time><host>192.0.2.7<hostname>srv.example</hostname></host><port>443/tcp</port>
<nvt oid="1.3.6.1.4.1.25623.1.0.836484"><name>Odd &amp; Old</name><family>Web</family><cvss_base>9.8</cvss_base><solution type="VendorFix">patch</solution><refs><ref type="cve" id="CVE-2025-49659"/><ref type="url" id="https://e.example/"/></refs></nvt>
<threat>High</threat><severity>9.8</severity><qod><value>80</value></qod><description>seen</description></result></results>
<host><ip>192.0.2.7</ip><start>2025-11-20T08:00:01Z</start><end>2025-11-20T08:09:00Z</end><detail><name>best_os_txt</name><value>Debian 12</value></detail></host></report></report>"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([3, 0, 1, 0], 0));
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.7 dst.port=443 proto=tcp action=found port.state=open\n\
             vuln 2025-11-20T08:05:00Z dst.ip=192.0.2.7 dst.port=443 proto=tcp signature=Odd & Old severity=high category=Web action=found hostname=srv.example message=seen cve=CVE-2025-49659 cvss=9.8 plugin=836484 solution=patch confidence=0.8 extra={\"nvt.oid\":\"1.3.6.1.4.1.25623.1.0.836484\",\"ref.url\":\"https://e.example/\",\"solution.type\":\"VendorFix\",\"result\":\"x\"}\n\
             inventory 2025-11-20T08:00:01Z..2025-11-20T08:09:00Z dst.ip=192.0.2.7 action=found os=Debian 12\n"
        );
    }
}
