//! Nmap's XML output, also masscan's `-oX` (nmap.dtd, version 1.04 and 1.05).
//!
//! A unit is a host that is up: one inventory record for it, one for each port, and one vulnerability record for each script that names
//! CVEs; the action is `found`. The scanned host is `dst.ip` everywhere. A file that breaks off keeps its complete hosts. Records last
//! from the host's start to its end, else stand at the start of the scan. Hosts that are down are skipped.

use super::xml::{Node, Xml};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, draft, draft::Draft, head};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::io::BufRead;

/// The format.
pub static FORMAT: NmapXml = NmapXml;

/// Nmap and masscan.
pub struct NmapXml;

impl Format for NmapXml {
    fn name(&self) -> &'static str {
        "nmap-xml"
    }
    fn doc(&self) -> &'static str {
        "Nmap and masscan XML output: hosts, ports, services, systems, scripts that name CVEs (nmap.dtd)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let xml = head::plain(head).trim_ascii_start();
        let root = memchr::memmem::find(xml, b"<nmaprun");
        if xml.starts_with(b"<") && root.is_some_and(|n| n < 8192) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Scan { context: context.clone() })
    }
}

struct Scan {
    context: Context,
}

/// A host while it is read, here and from the other outputs of nmap.
#[derive(Default)]
pub(super) struct Host {
    pub at: u64,
    pub start: Option<Time>,
    pub end: Option<Time>,
    pub up: bool,
    pub addresses: Vec<String>,
    pub mac: String,
    pub vendor: String,
    pub names: Vec<String>,
    pub system: String,
    pub ports: Vec<Port>,
    pub scripts: Vec<(String, String)>,
    /// What else is said of it.
    pub more: Vec<(&'static str, String)>,
    /// Text of the `cpe` element that is open, and whether it belongs to a port.
    pub cpe: Option<String>,
    pub cpes: Vec<String>,
    pub in_port: bool,
    pub in_system: bool,
    pub partial: bool,
}

/// A port of a host.
#[derive(Default)]
pub(super) struct Port {
    pub proto: String,
    pub number: String,
    pub state: String,
    pub reason: String,
    pub fields: Vec<(FieldId, String)>,
    pub extra: Vec<(&'static str, String)>,
    pub scripts: Vec<(String, String)>,
}

/// Most ports of one host that are kept.
pub(super) const PORTS_MAX: usize = 60_000;
/// Most scripts of one port or host that are kept.
pub(super) const SCRIPTS_MAX: usize = 100;

impl Reader for Scan {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut xml = Xml::new(input);
        let mut host: Option<Host> = None;
        let mut scan = None;
        loop {
            let node = xml.next();
            match &node {
                Node::Open { name, at, .. } if name == "host" => {
                    let stamp = |key| Time::parse_epoch(node.attribute(key));
                    host = Some(Host { at: *at, start: stamp("starttime"), end: stamp("endtime"), ..Host::default() });
                }
                Node::Open { name, .. } if name == "nmaprun" => scan = Time::parse_epoch(node.attribute("start")),
                Node::Close { name, at } if name == "host" => {
                    if let Some(host) = host.take() {
                        let mut out = Out::default();
                        let status = host.give(*at, scan, &self.context, &mut out);
                        if !each(status, out) {
                            return;
                        }
                    }
                }
                Node::Over(why) => {
                    if let Some(why) = why {
                        let place = host.map_or(String::new(), |h| format!("host at byte {}", h.at));
                        each(Status::Failed, Out { oddities: vec![Oddity::at(why, place)], ..Out::default() });
                    }
                    return;
                }
                _ => {
                    if let Some(host) = &mut host {
                        host.node(&node);
                    }
                }
            }
        }
    }
}

impl Host {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Open { name, .. } => self.open(name, node),
            Node::Text(text) => {
                if let Some(cpe) = &mut self.cpe {
                    cpe.push_str(text);
                }
            }
            Node::Close { name, .. } => match name.as_str() {
                "port" => self.in_port = false,
                "os" => self.in_system = false,
                "cpe" => {
                    let cpe = self.cpe.take().unwrap_or_default();
                    match self.ports.last_mut().filter(|_| self.in_port) {
                        Some(port) if port.fields.len() < 64 => port.fields.push((field::CPE, cpe)),
                        None if self.in_system && self.cpes.is_empty() => self.cpes.push(cpe),
                        _ => {}
                    }
                }
                _ => {}
            },
            Node::Over(_) => {}
        }
    }

    fn open(&mut self, name: &str, node: &Node) {
        let text = |key: &str| node.attribute(key).to_owned();
        match name {
            "status" => self.up = node.attribute("state") == "up",
            "address" if node.attribute("addrtype") == "mac" => (self.mac, self.vendor) = (text("addr"), text("vendor")),
            "address" if self.addresses.len() < 64 => self.addresses.push(text("addr")),
            "hostname" if self.names.len() < 64 => self.names.push(text("name")),
            "os" => self.in_system = true,
            "osmatch" if self.system.is_empty() => self.system = text("name"),
            "cpe" => self.cpe = Some(String::new()),
            "port" => {
                self.in_port = self.ports.len() < PORTS_MAX;
                self.partial |= !self.in_port;
                if self.in_port {
                    self.ports.push(Port { proto: text("protocol"), number: text("portid"), ..Port::default() });
                }
            }
            "script" => {
                let scripts = match self.ports.last_mut().filter(|_| self.in_port) {
                    Some(port) => &mut port.scripts,
                    None => &mut self.scripts,
                };
                if scripts.len() < SCRIPTS_MAX {
                    scripts.push((text("id"), draft::cut(node.attribute("output")).to_owned()));
                }
            }
            _ => {
                let Some(port) = self.ports.last_mut().filter(|_| self.in_port) else { return };
                match name {
                    "state" => (port.state, port.reason) = (text("state"), text("reason")),
                    "service" => {
                        for (key, id) in [("name", field::APP), ("product", field::PRODUCT), ("version", field::VERSION)] {
                            port.fields.push((id, text(key)));
                        }
                        if let Some(banner) = Some(text("banner")).filter(|b| !b.is_empty()) {
                            port.fields.push((field::BANNER, banner));
                        }
                        for key in ["extrainfo", "tunnel", "method", "conf", "ostype"] {
                            port.extra.push((key, text(key)));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Its records: the host, each port, each script that names CVEs. `end`: where it ends; `scan`: when the scan began.
    pub fn give(self, end: u64, scan: Option<Time>, context: &Context, out: &mut Out) -> Status {
        // masscan writes no status.
        if !self.up && self.ports.is_empty() {
            return Status::Skipped;
        }
        let unit = Unit { offset: self.at, line: 0 };
        let len = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let start = self.start.or(scan).or(self.end);
        let draft = |kind, out: &mut Out| {
            let mut d = match start {
                Some(start) => Draft::new(kind, context, unit, len, start),
                None => Draft::timed(kind, context, unit, len, None, out),
            };
            d.record.end = self.end.unwrap_or(d.record.start).max(d.record.start);
            for address in &self.addresses {
                if !d.addr(field::DST_IP, address) {
                    d.keep("address", address);
                }
            }
            d.text(field::HOSTNAME, self.names.first().map_or("", |n| n));
            d.text(field::ACTION, "found");
            d
        };
        let mut d = draft(Kind::Inventory, out);
        d.partial |= self.partial || !d.has(field::DST_IP);
        d.text(field::DST_MAC, &self.mac);
        d.text(field::PRODUCT, &self.vendor);
        d.text(field::OS, &self.system);
        for name in self.names.iter().skip(1) {
            d.text(field::NAME, name);
        }
        for cpe in &self.cpes {
            d.text(field::CPE, cpe);
        }
        for (id, output) in &self.scripts {
            d.keep(&format!("script.{id}"), output);
        }
        for (key, value) in &self.more {
            d.keep(key, value);
        }
        let status = d.finish(None, out);
        for port in &self.ports {
            let mut d = draft(Kind::Inventory, out);
            port.fill(&mut d);
            for (id, value) in &port.fields {
                d.text(*id, value);
            }
            for (key, value) in &port.extra {
                d.keep(key, value);
            }
            for (id, output) in &port.scripts {
                d.keep(&format!("script.{id}"), output);
            }
            d.finish(None, out);
        }
        let of_ports = self.ports.iter().flat_map(|p| p.scripts.iter().map(move |s| (Some(p), s)));
        for (port, (id, output)) in self.scripts.iter().map(|s| (None, s)).chain(of_ports) {
            let cves = cves(output);
            if cves.is_empty() {
                continue;
            }
            let mut d = draft(Kind::Vuln, out);
            if let Some(port) = port {
                port.fill(&mut d);
                let app = port.fields.iter().find(|(f, _)| *f == field::APP);
                d.text(field::APP, app.map_or("", |(_, app)| app));
            }
            d.text(field::SIGNATURE, id);
            d.text(field::MESSAGE, output.trim());
            for cve in cves {
                d.text(field::CVE, &cve);
            }
            d.finish(None, out);
        }
        status
    }
}

impl Port {
    fn fill(&self, d: &mut Draft) {
        d.put_or_keep(field::DST_PORT, "portid", &self.number);
        d.put_or_keep(field::PROTO, "protocol", &self.proto);
        d.text(field::PORT_STATE, &self.state);
        d.text(field::REASON, &self.reason);
    }
}

/// The CVE names in a text, each once, in order.
pub(super) fn cves(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|t| t.find("CVE-")).map(|n| n + from) {
        let bytes = &text.as_bytes()[at + 4..];
        let year = bytes.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
        let number = bytes.get(5..).map_or(0, |n| n.iter().take(8).take_while(|b| b.is_ascii_digit()).count());
        from = at + 4;
        if year == 4 && bytes.get(4) == Some(&b'-') && number >= 4 && found.len() < 500 {
            let name = text[at..at + 9 + number].to_owned();
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    const SCAN: &str = r#"<?xml version="1.0"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" start="1763625600" version="7.94">
<host starttime="1763625601" endtime="1763625611"><status state="up" reason="syn-ack"/>
<address addr="192.0.2.10" addrtype="ipv4"/><address addr="00:00:5E:00:53:01" addrtype="mac" vendor="Odd"/>
<hostnames><hostname name="www.example.org" type="PTR"/></hostnames>
<ports><extraports state="closed" count="998"/><port protocol="tcp" portid="443"><state state="open" reason="syn-ack"/><service name="http" product="nginx" version="1.18.0" tunnel="ssl"><cpe>cpe:/a:igor_sysoev:nginx:1.18.0</cpe></service><script id="vulners" output="&#xa; CVE-2021-23017&#x9;6.8 CVE-2021-23017"/></port></ports>
<os><osmatch name="Linux 5.x" accuracy="98"/></os></host>
<host><status state="down"/><address addr="192.0.2.11" addrtype="ipv4"/></host>
<host><status state="up"/><address addr="192.0.2.12" addrtype="ipv4"/>"#;

    #[test]
    fn a_scan_that_breaks_off_keeps_its_complete_hosts() {
        let read = read_all(&FORMAT, SCAN);
        assert_eq!(read.counts, [1, 0, 1, 1]);
        assert_eq!(read.oddities.len(), 1);
        assert!(read.oddities[0].starts_with("xml_truncated host at byte "));
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:01Z..2025-11-20T08:00:11Z dst.ip=192.0.2.10 dst.mac=00:00:5e:00:53:01 action=found hostname=www.example.org product=Odd os=Linux 5.x\n\
             inventory 2025-11-20T08:00:01Z..2025-11-20T08:00:11Z dst.ip=192.0.2.10 dst.port=443 proto=tcp app=http action=found reason=syn-ack hostname=www.example.org product=nginx version=1.18.0 port.state=open cpe=cpe:/a:igor_sysoev:nginx:1.18.0 extra={\"tunnel\":\"ssl\",\"script.vulners\":\"\\n CVE-2021-23017\\t6.8 CVE-2021-23017\"}\n\
             vuln 2025-11-20T08:00:01Z..2025-11-20T08:00:11Z dst.ip=192.0.2.10 dst.port=443 proto=tcp app=http signature=vulners action=found reason=syn-ack hostname=www.example.org message=CVE-2021-23017\t6.8 CVE-2021-23017 port.state=open cve=CVE-2021-23017\n"
        );
        let record = &read.records[0].record;
        assert!(SCAN[record.id.offset as usize..].starts_with("<host starttime"));
        assert!(SCAN[..record.id.offset as usize + record.len as usize].ends_with("</host>"));
    }
}
