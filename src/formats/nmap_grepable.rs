//! Nmap's grepable output (`-oG`; Nmap Network Scanning, "Grepable Output"), a line for each host.
//!
//! `Status:` is one inventory record of the host, `Ports:` one for each port; the action is `found`, the scanned host `dst.ip`. A port is
//! `number/state/protocol/owner/service/rpc/version`, with `|` for the slashes of a version. The lines have no times: records stand at the start of the
//! scan, which the first line states in local time, else at the file's modification time.

use super::nmap_xml::{Host, PORTS_MAX, Port};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::time::Time;

/// The format.
pub static FORMAT: NmapGrepable = NmapGrepable;

/// Nmap, grepable.
pub struct NmapGrepable;

impl Format for NmapGrepable {
    fn name(&self) -> &'static str {
        "nmap-grepable"
    }
    fn doc(&self) -> &'static str {
        "Nmap grepable output: hosts, ports, services, systems (Nmap Network Scanning, -oG)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let is = |l: &str| l.starts_with("Host: ") && (l.contains("\tPorts: ") || l.contains("\tStatus: "));
        let lines = head::lines(head);
        let found = lines.iter().map(|l| String::from_utf8_lossy(l)).find(|l| !l.starts_with('#')).is_some_and(|l| is(&l));
        if found { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone(), scan: None })
    }
}

struct Lines {
    context: Context,
    /// When the scan began.
    scan: Option<Time>,
}

/// The instant in `# Nmap 7.94 scan initiated Thu Nov 20 08:00:00 2025 as: nmap ...`.
pub(super) fn initiated(line: &str, context: &Context, out: &mut Out) -> Option<Time> {
    let (_, rest) = line.split_once("scan initiated ")?;
    let (date, _) = rest.split_once(" as: ")?;
    clock::any(date, context, out)
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() || text.starts_with('#') {
            self.scan = self.scan.or_else(|| initiated(&text, &self.context, out));
            return Status::Skipped;
        }
        let Some((address, name, parts)) = parse(&text) else {
            out.oddities.push(Oddity::at("nmap_line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut host = Host { at: unit.offset, addresses: vec![address.to_owned()], ..Host::default() };
        if !name.is_empty() {
            host.names.push(name.to_owned());
        }
        for part in parts {
            let Some((key, value)) = part.split_once(": ") else { continue };
            match key {
                "Status" => {
                    host.up = value.eq_ignore_ascii_case("up");
                    host.more.push(("status", value.to_owned()));
                }
                "Ports" => {
                    for port in value.split(", ").filter(|p| !p.trim().is_empty()) {
                        match (host.ports.len() < PORTS_MAX).then(|| read_port(port)).flatten() {
                            Some(port) => host.ports.push(port),
                            None => host.partial = true,
                        }
                    }
                }
                "OS" => host.system = value.to_owned(),
                "Ignored State" => host.more.push(("ignored", value.to_owned())),
                "Seq Index" => host.more.push(("seq_index", value.to_owned())),
                "IP ID Seq" => host.more.push(("ip_id_seq", value.to_owned())),
                "Protocols" => host.more.push(("protocols", value.to_owned())),
                _ => host.partial = true,
            }
        }
        let scan = Some(self.scan.unwrap_or(self.context.modified));
        host.give(unit.offset.saturating_add(line.len() as u64), scan, &self.context, out)
    }
}

/// Address, name and the parts between tabs.
fn parse(line: &str) -> Option<(&str, &str, std::str::Split<'_, char>)> {
    let mut parts = line.strip_prefix("Host: ")?.split('\t');
    let (address, name) = parts.next()?.split_once(" (")?;
    super::draft::address(address)?;
    Some((address, name.strip_suffix(')')?, parts))
}

fn read_port(text: &str) -> Option<Port> {
    let mut cells = text.trim().split('/');
    let mut next = || cells.next().map(|c| c.replace('|', "/"));
    let (number, state, proto) = (next()?, next()?, next()?);
    number.parse::<u16>().ok()?;
    let mut port = Port { number, state: state.replace('/', "|"), proto, ..Port::default() };
    port.extra.push(("owner", next().unwrap_or_default()));
    let service = next().unwrap_or_default();
    let (tunnel, service) =
        service.split_once('/').map_or((String::new(), service.clone()), |(t, s)| (t.to_owned(), s.to_owned()));
    port.fields.push((field::APP, service));
    port.extra.push(("tunnel", tunnel));
    port.extra.push(("rpc", next().unwrap_or_default()));
    port.fields.push((field::PRODUCT, next().unwrap_or_default()));
    Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn a_line_is_a_host_with_its_ports() {
        let text = "# Nmap 7.94 scan initiated Thu Nov 20 08:00:00 2025 as: nmap -sV -oG - 192.0.2.0/24\nHost: 192.0.2.10 (www.example.org)\tStatus: Up\n\
            Host: 192.0.2.10 (www.example.org)\tPorts: 22/open/tcp//ssh//OpenSSH 8.2p1 Ubuntu/, 443/open/tcp//ssl|http//nginx 1.18.0/, 161/open|filtered/udp//snmp///, x\tIgnored State: closed (997)\tOS: Linux 5.X\n\
            Host: 192.0.2.11 ()\tStatus: Down\nHost: nobody\n# Nmap done at Thu Nov 20 08:01:00 2025 -- 256 IP addresses (1 host up)\n";
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.as_slice()), ([1, 1, 3, 1], &["nmap_line_malformed line 5".to_owned()][..]));
        assert_eq!(
            read.shown(),
            "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 action=found hostname=www.example.org extra={\"status\":\"Up\"}\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 action=found hostname=www.example.org os=Linux 5.X extra={\"ignored\":\"closed (997)\"}\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=22 proto=tcp app=ssh action=found hostname=www.example.org product=OpenSSH 8.2p1 Ubuntu port.state=open\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=443 proto=tcp app=http action=found hostname=www.example.org product=nginx 1.18.0 port.state=open extra={\"tunnel\":\"ssl\"}\n\
             inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.10 dst.port=161 proto=udp app=snmp action=found hostname=www.example.org port.state=open|filtered\n"
        );
    }
}
