//! Lease files of DHCP servers: ISC dhcpd's `dhcpd.leases` (dhcpd.leases(5)).
//!
//! A `lease` block is a record from its start to its end; the same address stands again whenever something about it changed, and the later block
//! holds. Times are UTC unless `db-time-format local` was set (then they are epochs). Action is the binding state: `lease` while it is active, else
//! the state's word. Statements that are not about a client (`failover`, `server-duid`) are skipped.

use super::dhcp_text::{client, message};
use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, Zone, clock, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::io::BufRead;

/// The format.
pub static FORMAT: DhcpLeases = DhcpLeases;

/// ISC dhcpd's leases.
pub struct DhcpLeases;

/// Most lines of a block, and longest line.
const LINES_MAX: usize = 200;
const LINE_MAX: u64 = 64 << 10;

impl Format for DhcpLeases {
    fn name(&self) -> &'static str {
        "dhcp-leases"
    }
    fn doc(&self) -> &'static str {
        "Lease file of ISC dhcpd (dhcpd.leases(5)): each lease with its start, end, client and state."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let lines = head::lines(head);
        let begins = |l: &[u8]| {
            let text = String::from_utf8_lossy(l);
            let mut words = text.split_ascii_whitespace();
            matches!(words.next(), Some("lease" | "iaaddr"))
                && words.next().is_some_and(|a| super::draft::address(a).is_some())
                && words.next() == Some("{")
        };
        let known = |l: &[u8]| {
            [
                &b"lease "[..],
                b"ia-na ",
                b"ia-ta ",
                b"server-duid",
                b"authoring-byte-order",
                b"failover ",
                b"host ",
                b"#",
                b"}",
                b" ",
                b"\t",
            ]
            .iter()
            .any(|p| l.starts_with(p))
        };
        if lines.iter().any(|l| begins(l)) && lines.iter().all(|l| known(l)) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Leases { context: context.clone() })
    }
}

struct Leases {
    context: Context,
}

/// What surrounds leases of IPv6: the client's identity, and when the client was last heard of.
#[derive(Default)]
struct Outer {
    client: String,
    heard: String,
}

impl Reader for Leases {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut at = 0u64;
        let mut outer = Outer::default();
        let mut block: Option<(Unit, String, Vec<String>)> = None;
        let mut raw = Vec::new();
        loop {
            raw.clear();
            let read = std::io::Read::take(&mut *input, LINE_MAX).read_until(b'\n', &mut raw).unwrap_or(0);
            let unit = Unit { offset: at, line: 0 };
            at += read as u64;
            let text = String::from_utf8_lossy(&raw);
            let text = text.trim();
            if read == 0 {
                if let Some((unit, address, lines)) = block {
                    // The file was cut, or is being written.
                    self.give(unit, &address, &lines, &outer, at, true, each);
                }
                return;
            }
            let words: Vec<&str> = text.split_ascii_whitespace().take(4).collect();
            let go_on = match (words.first().copied().unwrap_or(""), &mut block) {
                ("", _) => true,
                (w, _) if w.starts_with('#') => true,
                ("lease" | "iaaddr", held) if words.get(2) == Some(&"{") => {
                    let before = held.replace((unit, words[1].to_owned(), Vec::new()));
                    before.is_none_or(|(unit, address, lines)| self.give(unit, &address, &lines, &outer, at, true, each))
                }
                ("ia-na" | "ia-ta" | "ia-pd", None) => {
                    outer = Outer { client: words.get(1).map(|w| (*w).to_owned()).unwrap_or_default(), heard: String::new() };
                    true
                }
                ("cltt", None) => {
                    outer.heard = text.strip_prefix("cltt").unwrap_or("").trim_start().to_owned();
                    true
                }
                ("}", held) => match held.take() {
                    Some((unit, address, lines)) => self.give(unit, &address, &lines, &outer, at, false, each),
                    None => {
                        outer = Outer::default();
                        true
                    }
                },
                (_, Some((_, _, lines))) => {
                    if lines.len() < LINES_MAX {
                        lines.push(text.trim_end_matches(';').to_owned());
                    }
                    true
                }
                // Statements of the server about itself.
                (_, None) => true,
            };
            if !go_on {
                return;
            }
        }
    }
}

impl Leases {
    #[expect(clippy::too_many_arguments, reason = "a block, what surrounds it, and where it goes")]
    fn give(
        &self,
        unit: Unit,
        address: &str,
        lines: &[String],
        outer: &Outer,
        end: u64,
        cut: bool,
        each: &mut dyn FnMut(Status, Out) -> bool,
    ) -> bool {
        let mut out = Out { unit, ..Out::default() };
        let utc = Context { zone: Zone::Fixed(0), ..self.context.clone() };
        let time = |key: &str| lines.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')).and_then(|v| instant(v, &utc));
        let len = usize::try_from(end.saturating_sub(unit.offset)).unwrap_or(usize::MAX);
        // IPv6 states when the client was last heard of, and for how long the address is good.
        let start = time("starts").or_else(|| time("cltt")).or_else(|| instant(&outer.heard, &utc));
        let mut d = Draft::timed(Kind::Dhcp, &self.context, unit, len, start, &mut out);
        d.partial |= cut;
        if cut {
            out.oddities.push(Oddity::at("lease_cut", format!("byte {}", unit.offset)));
        }
        if let (Some(start), Some(end)) = (start, time("ends"))
            && end > start
        {
            d.record.end = end;
        }
        if !d.addr(field::LEASE, address) {
            d.partial = true;
            d.keep("lease", address);
        }
        let state = lines.iter().find_map(|l| l.strip_prefix("binding state ")).unwrap_or("active");
        if state == "active" {
            message("ACK", &mut d);
        } else {
            d.text(field::APP, "dhcp");
            d.text(field::ACTION, state);
        }
        for line in lines {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = value.trim().trim_matches('"');
            match key {
                "starts" | "binding" => {}
                "ends" if value == "never" => d.keep("ends", value),
                "ends" => {}
                "hardware" => client(value.rsplit(' ').next().unwrap_or(value), &mut d),
                "client-hostname" => _ = d.text(field::HOSTNAME, value),
                "set" => {
                    let (name, value) = value.split_once('=').unwrap_or((value, ""));
                    d.keep(name.trim(), value.trim().trim_matches('"'));
                }
                _ => d.keep(key, value),
            }
        }
        d.keep("ia", outer.client.trim_matches('"'));
        let status = d.finish(None, &mut out);
        each(status, out)
    }
}

/// `4 2019/10/20 09:58:13` (the day of the week first), `epoch 1571565493; # Sun Oct 20`, `never`.
fn instant(text: &str, utc: &Context) -> Option<Time> {
    let text = text.split(';').next()?.trim();
    if let Some(epoch) = text.strip_prefix("epoch ") {
        return clock::epoch(epoch.trim());
    }
    let (_, date) = text.split_once(' ')?;
    let stamp = clock::iso(date.as_bytes())?;
    stamp.time(utc, &mut Out::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_all};

    #[test]
    fn leases_last_from_start_to_end() {
        let text = "# made by dhcpd\nauthoring-byte-order little-endian;\n\nserver-duid \"\\000\\001\";\n\nlease 172.17.1.4 {\n  starts 0 2019/10/20 09:58:13;\n  ends 0 2019/10/20 10:03:13;\n  cltt 0 2019/10/20 09:58:13;\n  binding state active;\n  next binding state free;\n  hardware ethernet 00:16:3e:ef:a9:c1;\n  uid \"\\001\\000\";\n  set vendor-class-identifier = \"MSFT 5.0\";\n  client-hostname \"vxp_0\";\n}\n\
            lease 172.17.1.4 {\n  starts epoch 1571565800; # Sun\n  ends never;\n  binding state free;\n  hardware ethernet 00:16:3e:ef:a9:c1;\n}\n\
            ia-na \"\\001\\000\" {\n  cltt 0 2019/10/20 09:58:13;\n  iaaddr 2001:db8::5 {\n    binding state active;\n    preferred-life 375;\n    max-life 600;\n    ends 0 2019/10/20 10:08:13;\n  }\n}\nlease 172.17.1.5 {\n  starts 0 2019/10/20 09:58:13;\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 1, 0, 0]);
        assert_eq!(
            line(&read.records[0]),
            "dhcp 2019-10-20T09:58:13Z..2019-10-20T10:03:13Z app=dhcp src.mac=00:16:3e:ef:a9:c1 action=lease hostname=vxp_0 dhcp.address=172.17.1.4 \
             dhcp.type=ACK extra={\"cltt\":\"0 2019/10/20 09:58:13\",\"next\":\"binding state free\",\"uid\":\"\\\\001\\\\000\",\"vendor-class-identifier\":\"MSFT 5.0\"}"
        );
        let r = |n: usize| &read.records[n].record;
        assert_eq!((r(1).text(field::ACTION), r(1).start.to_string().as_str()), (Some("free"), "2019-10-20T10:03:20Z"));
        assert_eq!(r(2).addr(field::LEASE).map(|a| a.to_string()).as_deref(), Some("2001:db8::5"));
        assert_eq!((r(2).start, r(2).end), (r(0).start, r(0).start.plus(600_000_000_000)));
        assert_eq!(read.oddities, [format!("lease_cut byte {}", text.rfind("lease").unwrap())]);
    }
}
