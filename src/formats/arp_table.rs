//! Tables of neighbours: which hardware address answers for which address. Linux `ip neigh`, `arp -n` and `/proc/net/arp` (ip-neighbour(8), arp(8),
//! proc(5)), `arp -a` of Linux, BSD and macOS, Windows `arp -a`, Cisco IOS `show ip arp`.
//!
//! Each row is an inventory record about the host, `dst.ip` with `dst.mac`, at the file's modification time. Rows without a hardware address
//! (incomplete, failed) are records too: somebody looked for that host. Headings are skipped; Windows's name the interface.

use super::dhcp_text::hardware;
use super::each_line::{EachLine, Line};
use super::{Status, draft};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "arp-table",
    doc: "Neighbour tables: ip neigh, arp -a and -n, /proc/net/arp, Windows arp -a, Cisco show ip arp (their manuals).",
    percent: 60,
    is: |l| row(l).is_some() || is_heading(l) && l.contains("nterface"),
    read,
};

#[derive(Default)]
struct Row<'a> {
    ip: &'a str,
    mac: &'a str,
    name: &'a str,
    interface: &'a str,
    state: &'a str,
}

fn is_heading(line: &str) -> bool {
    let line = line.trim_start();
    ["Interface: ", "Internet Address ", "IP address  ", "Address  ", "Protocol  Address", "Neighbor  ", "Schnittstelle: "]
        .iter()
        .any(|h| line.starts_with(h))
}

fn row(line: &str) -> Option<Row<'_>> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(16).collect();
    let after = |key: &str| words.iter().position(|w| *w == key).and_then(|at| words.get(at + 1)).copied().unwrap_or("");
    let is_ip = |text: &str| draft::address(text).is_some();
    match words[..] {
        // `192.0.2.5 dev eth0 lladdr aa:bb:cc:00:11:22 REACHABLE`
        [ip, "dev", interface, ..] if is_ip(ip) => {
            Some(Row { ip, interface, mac: after("lladdr"), state: words.last().copied().unwrap_or(""), ..Row::default() })
        }
        // `? (192.0.2.5) at aa:bb:cc:00:11:22 [ether] on eth0`
        [name, ip, "at", mac, ..] if ip.starts_with('(') && is_ip(ip.trim_matches(['(', ')'])) => Some(Row {
            ip: ip.trim_matches(['(', ')']),
            mac: if hardware(&padded(mac)).is_some() { mac } else { "" },
            name: name.trim_matches('?'),
            interface: after("on"),
            state: if mac.starts_with(['<', '(']) { mac } else { "" },
        }),
        // `192.0.2.5 0x1 0x2 aa:bb:cc:00:11:22 * eth0`
        [ip, kind, flags, mac, _, interface] if is_ip(ip) && kind.starts_with("0x") => {
            Some(Row { ip, mac, interface, state: flags, ..Row::default() })
        }
        // `192.0.2.5 ether aa:bb:cc:00:11:22 C eth0`, `192.0.2.5 (incomplete) eth0`
        [ip, "ether", mac, state, .., interface] if is_ip(ip) => Some(Row { ip, mac, interface, state, ..Row::default() }),
        [ip, "(incomplete)", .., interface] if is_ip(ip) => Some(Row { ip, interface, state: "incomplete", ..Row::default() }),
        // `Internet  192.0.2.5  12  aabb.cc00.1122  ARPA  Vlan10`
        ["Internet", ip, age, mac, _, ..] if is_ip(ip) => {
            Some(Row { ip, mac, interface: words.get(5).copied().unwrap_or(""), state: age, ..Row::default() })
        }
        // `192.0.2.5  aa-bb-cc-00-11-22  dynamic`
        [ip, mac, state] if is_ip(ip) && mac.contains('-') && hardware(mac).is_some() => {
            Some(Row { ip, mac, state, ..Row::default() })
        }
        _ => None,
    }
}

/// BSD leaves zeros out: `0:1a:2:...`.
fn padded(mac: &str) -> String {
    if mac.matches(':').count() == 5 { super::snort_text::padded(mac) } else { mac.to_owned() }
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let Some(row) = row(text) else {
        return is_heading(text).then_some(Status::Skipped);
    };
    let mut d = line.timeless(Kind::Inventory);
    d.text(field::ACTION, "found");
    d.addr(field::DST_IP, row.ip);
    match hardware(&padded(row.mac)) {
        Some(mac) if mac == "00:00:00:00:00:00" => d.keep("hardware", row.mac),
        Some(mac) => _ = d.text(field::DST_MAC, &mac),
        None => d.keep("hardware", row.mac),
    }
    d.text(field::HOSTNAME, row.name);
    d.text(field::IFACE_IN, row.interface);
    d.text(field::STATE, row.state.trim_matches(['<', '>', '(', ')']));
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn every_kind_of_table() {
        for (text, want) in [
            ("192.0.2.5 dev eth0 lladdr aa:bb:cc:00:11:22 REACHABLE", "eth0 state=REACHABLE"),
            ("192.0.2.5 dev eth0 lladdr aa:bb:cc:00:11:22 router STALE", "eth0 state=STALE"),
            ("? (192.0.2.5) at aa:bb:cc:0:11:22 [ether] on eth0", "eth0"),
            ("192.0.2.5        0x1         0x2         aa:bb:cc:00:11:22     *        eth0", "eth0 state=0x2"),
            ("192.0.2.5                ether   aa:bb:cc:00:11:22   C                     eth0", "eth0 state=C"),
            ("Internet  192.0.2.5   12   aabb.cc00.1122  ARPA   eth0", "eth0 state=12"),
        ] {
            let shown = show(&FORMAT, text);
            assert!(shown.starts_with("inventory 2026-11-20T12:00:00Z dst.ip=192.0.2.5 dst.mac=aa:bb:cc:00:11:22 "), "{shown}");
            let state = want.split_once(" state=").map_or("", |(_, s)| s);
            assert!(
                shown.contains("interface.in=eth0") && (state.is_empty() || shown.contains(&format!("state={state}"))),
                "{shown}"
            );
        }
    }

    #[test]
    fn headings_are_skipped_and_the_missing_is_a_record() {
        let read = read_all(
            &FORMAT,
            "\nInterface: 192.0.2.1 --- 0x2\n  Internet Address      Physical Address      Type\n  192.0.2.5             aa-bb-cc-00-11-22     dynamic\nfe80::1 dev eth0 FAILED\ngw (192.0.2.254) at <incomplete> on eth0\nnonsense\n",
        );
        assert_eq!(read.counts, [3, 0, 3, 1]);
        assert!(read.shown().contains("dst.ip=fe80::1 state=FAILED"), "{}", read.shown());
        assert_eq!(read.records[2].record.text(field::HOSTNAME), Some("gw"));
    }
}
