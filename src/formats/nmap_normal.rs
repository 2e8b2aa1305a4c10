//! Nmap's normal output (`-oN`, or what it prints; Nmap Network Scanning, "Normal Output").
//!
//! A unit is a host, from `Nmap scan report for` to the next: one inventory record for it, one for each port, one vulnerability record for each script
//! that names CVEs; the action is `found`, the scanned host `dst.ip`. Records stand at the start of the scan, which the first line states in local time
//! (or with the name of a zone, which is then that of the source), else at the file's modification time. Hosts that are down are skipped.

use super::nmap_xml::{Host, PORTS_MAX, Port, SCRIPTS_MAX};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, head, nmap_grepable};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::time::Time;
use std::io::{BufRead, Read};

/// The format.
pub static FORMAT: NmapNormal = NmapNormal;

/// Nmap, normal output.
pub struct NmapNormal;

/// Longest line that is read.
const LINE_MAX: u64 = 64 << 10;
/// Most names of a host, most of its CPEs, and most of what else is said of it.
const LIST_MAX: usize = 64;
/// Most text of a script that is kept.
const SCRIPT_MAX: usize = 16 << 10;

impl Format for NmapNormal {
    fn name(&self) -> &'static str {
        "nmap-normal"
    }
    fn doc(&self) -> &'static str {
        "Nmap normal output: hosts, ports, services, systems, scripts that name CVEs (Nmap Network Scanning, -oN)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let lines = head::lines(head);
        let begins = lines.iter().take(10).any(|l| {
            l.starts_with(b"Nmap scan report for ")
                || l.starts_with(b"Starting Nmap ")
                || l.starts_with(b"# Nmap ") && memchr::memmem::find(l, b" scan initiated ").is_some()
        });
        let reports = lines.iter().any(|l| l.starts_with(b"Nmap scan report for "));
        if begins && reports { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Scan { context: context.clone(), scan: None })
    }
}

struct Scan {
    context: Context,
    scan: Option<Time>,
}

impl Reader for Scan {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut at = 0u64;
        let mut host: Option<Host> = None;
        let mut table = false;
        let mut line = Vec::new();
        loop {
            line.clear();
            let used = match (&mut *input).take(LINE_MAX).read_until(b'\n', &mut line) {
                Ok(used) => used as u64,
                Err(_) => 0,
            };
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            let named = text.strip_prefix("Nmap scan report for ");
            if used == 0 || named.is_some() {
                if let Some(host) = host.take() {
                    let mut out = Out::default();
                    let scan = Some(self.scan.unwrap_or(self.context.modified));
                    let status = host.give(at, scan, &self.context, &mut out);
                    if !each(status, out) {
                        return;
                    }
                }
                table = false;
            }
            if used == 0 {
                return;
            }
            if let Some(named) = named {
                host = Some(begin(named, at));
            } else if let Some(host) = &mut host {
                table = host_line(host, text, table);
            } else if !self.head_line(text, at, each) {
                return;
            }
            at += used;
        }
    }
}

impl Scan {
    /// A line before the first host. `false`: the import is cancelled.
    fn head_line(&mut self, text: &str, at: u64, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let mut out = Out { unit: Unit { offset: at, line: 0 }, ..Out::default() };
        let stated = nmap_grepable::initiated(text, &self.context, &mut out).or_else(|| {
            // `Starting Nmap 7.94 ( https://nmap.org ) at 2025-11-20 08:00 CET`
            let (_, date) = text.strip_prefix("Starting Nmap ")?.split_once(" at ")?;
            let minutes = date.get(..16)?;
            clock::any(&format!("{minutes}:00{}", if date.ends_with(" UTC") { "Z" } else { "" }), &self.context, &mut out)
        });
        self.scan = self.scan.or(stated);
        let known = stated.is_some() || text.trim().is_empty() || text.starts_with("Starting Nmap") || text.starts_with('#');
        match known {
            true => out.assumed.is_empty() || each(Status::Skipped, out),
            false => {
                out.oddities.push(Oddity::at("nmap_line_malformed", format!("byte {at}")));
                each(Status::Failed, out)
            }
        }
    }
}

/// `www.example.org (192.0.2.10)` or an address alone; `[host down]` may follow.
fn begin(named: &str, at: u64) -> Host {
    let mut host = Host { at, ..Host::default() };
    let named = named.split(" [").next().unwrap_or(named).trim();
    match named.rsplit_once(" (").and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?))) {
        Some((name, address)) => {
            host.names.push(name.to_owned());
            host.addresses.push(address.to_owned());
        }
        None => host.addresses.push(named.to_owned()),
    }
    host
}

/// A line of a host. Gives whether the table of ports goes on.
fn host_line(host: &mut Host, text: &str, table: bool) -> bool {
    if text.starts_with("PORT ") {
        return true;
    }
    if let Some(script) = text.strip_prefix('|') {
        let (ports, own) = (table, &mut host.scripts);
        let scripts = host.ports.last_mut().filter(|_| ports).map_or(own, |p| &mut p.scripts);
        script_line(scripts, script.strip_prefix('_').unwrap_or(script));
        return table;
    }
    if table && let Some(port) = port_line(text) {
        match host.ports.len() < PORTS_MAX {
            true => host.ports.push(port),
            false => host.partial = true,
        }
        return true;
    }
    let Some((key, value)) = text.split_once(':') else {
        if text.starts_with("Host is up") {
            host.up = true;
        }
        return table && !text.is_empty();
    };
    let value = value.trim();
    match key {
        _ if key.starts_with("Host is up") => host.up = true,
        "MAC Address" => {
            let (mac, vendor) = value.split_once(" (").unwrap_or((value, ""));
            (host.mac, host.vendor) = (mac.to_owned(), vendor.trim_end_matches(')').to_owned());
        }
        "OS details" | "Aggressive OS guesses" if host.system.is_empty() => {
            host.system = value.split(" (").next().unwrap_or(value).to_owned();
        }
        "Running" | "Running (JUST GUESSING)" => more(host, "running", value),
        "OS CPE" => {
            for cpe in value.split_ascii_whitespace().take(16) {
                push(&mut host.cpes, cpe.to_owned(), &mut host.partial);
            }
        }
        "Device type" => more(host, "device_type", value),
        "Not shown" => more(host, "not_shown", value),
        "Network Distance" => more(host, "distance", value),
        "Service Info" => more(host, "service_info", value),
        "Other addresses for" => {}
        _ if key.starts_with("rDNS record for") => push(&mut host.names, value.to_owned(), &mut host.partial),
        _ => {}
    }
    false
}

fn more(host: &mut Host, key: &'static str, value: &str) {
    push(&mut host.more, (key, value.to_owned()), &mut host.partial);
}

/// Adds to a list of a host while there is room: a file may say the same line without end.
fn push<T>(list: &mut Vec<T>, one: T, partial: &mut bool) {
    match list.len() < LIST_MAX {
        true => list.push(one),
        false => *partial = true,
    }
}

/// `443/tcp open  ssl/http syn-ack ttl 64 nginx 1.18.0`
fn port_line(text: &str) -> Option<Port> {
    let (place, rest) = text.split_once(' ')?;
    let (number, proto) = place.split_once('/')?;
    number.parse::<u16>().ok()?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?.to_owned();
    let service = words.next().unwrap_or("");
    let (tunnel, service) = service.split_once('/').unwrap_or(("", service));
    let mut product: Vec<&str> = words.collect();
    let mut port = Port { number: number.to_owned(), proto: proto.to_owned(), state, ..Port::default() };
    // With `--reason` a reason stands between service and version, most often with a time to live.
    if let [reason, "ttl", ttl, ..] = product.as_slice() {
        port.reason = (*reason).to_owned();
        port.extra.push(("ttl", (*ttl).to_owned()));
        product.drain(..3);
    }
    port.fields.push((field::APP, service.trim_end_matches('?').to_owned()));
    port.fields.push((field::PRODUCT, product.join(" ")));
    port.extra.push(("tunnel", tunnel.to_owned()));
    Some(port)
}

/// `ssl-cert: Subject: commonName=x` begins a script, ` more` goes on with it.
fn script_line(scripts: &mut Vec<(String, String)>, text: &str) {
    let begins = text.strip_prefix(' ').unwrap_or(text);
    let named = begins.split_once(':').filter(|(id, _)| {
        !begins.starts_with(' ') && !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    });
    if let Some((id, output)) = named {
        if scripts.len() < SCRIPTS_MAX {
            scripts.push((id.to_owned(), draft::cut(output.trim_start()).to_owned()));
        }
    } else if let Some((_, output)) = scripts.last_mut().filter(|(_, output)| output.len() + text.len() < SCRIPT_MAX) {
        output.push('\n');
        output.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    const SCAN: &str = "# Nmap 7.94 scan initiated Thu Nov 20 08:00:00 2025 as: nmap -A -oN x 192.0.2.0/24\nNmap scan report for www.example.org (192.0.2.10)\nHost is up (0.0010s latency).\nNot shown: 998 closed tcp ports (reset)\nPORT    STATE SERVICE  VERSION\n22/tcp  open  ssh      OpenSSH 8.2p1\n443/tcp open  ssl/http nginx 1.18.0\n| vulners: \n|   cpe:/a:nginx:\n|_    CVE-2021-23017 6.8\nMAC Address: 00:00:5E:00:53:01 (Odd)\nOS CPE: cpe:/o:linux:linux_kernel:5\nOS details: Linux 5.0 - 5.4\n\nNmap scan report for 192.0.2.11 [host down, received no-response]\nNmap scan report for 192.0.2.12\nHost is up.\n\n# Nmap done at Thu Nov 20 08:01:00 2025 -- 256 IP addresses (2 hosts up)\n";

    #[test]
    fn hosts_with_ports_and_scripts_are_read() {
        assert_eq!(FORMAT.sniff(SCAN.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, SCAN);
        assert_eq!(read.oddities, Vec::<String>::new());
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.mac=00:00:5e:00:53:01 action=found hostname=www.example.org product=Odd os=Linux 5.0 - 5.4 cpe=cpe:/o:linux:linux_kernel:5 extra={\"not_shown\":\"998 closed tcp ports (reset)\"}\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=22 proto=tcp app=ssh action=found hostname=www.example.org product=OpenSSH 8.2p1 port.state=open\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=443 proto=tcp app=http action=found hostname=www.example.org product=nginx 1.18.0 port.state=open extra={\"tunnel\":\"ssl\",\"script.vulners\":\"\\n   cpe:/a:nginx:\\n    CVE-2021-23017 6.8\"}\n\
             vuln 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=443 proto=tcp app=http signature=vulners action=found hostname=www.example.org message=cpe:/a:nginx:\n    CVE-2021-23017 6.8 port.state=open cve=CVE-2021-23017\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.12 action=found\n"
        );
    }

    #[test]
    fn lines_without_end_are_bounded_and_the_host_is_partial() {
        for line in ["Running: Linux\n", "rDNS record for 192.0.2.10: h.example\n", "OS CPE: cpe:/o:a cpe:/o:b\n"] {
            let scan = |n| format!("Nmap scan report for 192.0.2.10\nHost is up.\n{}", line.repeat(n));
            assert_eq!(read_all(&FORMAT, &scan(30)).counts, [1, 0, 0, 0], "{line}");
            assert_eq!(read_all(&FORMAT, &scan(70)).counts, [0, 1, 0, 0], "{line}");
        }
    }
}
