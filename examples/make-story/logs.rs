//! The text logs: the gateway's kernel log, Squid, Apache, `auth.log`.

use crate::capture::inside_frame_mac;
use crate::clock::{self, PROXY_LAG, ROTATED, SEC, epoch, nov};
use crate::events::{DNAT_RULE, OUTAGE_RULE};
use crate::meter::ip_len;
use crate::story::Story;
use crate::talk::{App, Conn, Dir, Pkt};
use crate::world::{ISP_MAC, OUTSIDE, WAN_MAC, WWW, inside};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// When the gateway was started: its kernel counts seconds from there.
const BOOT: i64 = nov(2, 4, 11, 9) + 318_204;
/// The first moment of the younger web log (midnight at the site).
const WEB_ROTATED: i64 = nov(18, 23, 0, 0);

/// The text of an older and of a younger file.
pub type Rotated = (String, String);

fn rotate(lines: &[(i64, String)], at: i64) -> Rotated {
    let text = |young: bool| lines.iter().filter(|(t, _)| (*t >= at) == young).map(|(_, l)| l.as_str()).collect();
    (text(false), text(true))
}

fn mac_text(to: [u8; 6], from: [u8; 6]) -> String {
    let all: Vec<String> = to.iter().chain(&from).chain(&[8, 0]).map(|b| format!("{b:02x}")).collect();
    all.join(":")
}

fn kernel(t: i64, rule: &str, c: &Conn, p: &Pkt, dst: Ipv4Addr, dport: u16) -> String {
    let wan = !inside(c.src);
    let input = if wan { "eth0" } else { "eth1" };
    let output = match dst {
        d if d == OUTSIDE => "",
        d if d.octets()[2] == 40 => "eth2",
        _ => "eth1",
    };
    let mac = if wan {
        mac_text(WAN_MAC, ISP_MAC)
    } else {
        mac_text(inside_frame_mac(c.src, c.dst).1, inside_frame_mac(c.src, c.dst).0)
    };
    // In the forward chain the TTL is already one less; the outside saw one more than the inside.
    let ttl = if wan && output.is_empty() {
        p.ttl + 1
    } else if wan {
        p.ttl
    } else {
        p.ttl - 1
    };
    let up = t - BOOT;
    format!(
        "{} gw1 kernel: [{:>6}.{:06}] {rule}: IN={input} OUT={output} MAC={mac} SRC={} DST={dst} LEN={} TOS=0x00 PREC=0x00 TTL={ttl} ID={} DF PROTO=TCP SPT={} DPT={dport} WINDOW={} RES=0x00 SYN URGP=0",
        clock::syslog_local(t),
        up / SEC,
        up % SEC,
        c.src,
        ip_len(c.proto, p),
        p.id,
        c.sport,
        p.win
    )
}

/// The kernel's log, and the number of lines by rule.
pub fn firewall(story: &Story) -> (Rotated, BTreeMap<String, usize>) {
    let mut lines: Vec<(i64, String)> = Vec::new();
    let mut counts = BTreeMap::new();
    let mut add = |t: i64, rule: &str, line: String| {
        *counts.entry(rule.to_string()).or_insert(0) += 1;
        lines.push((t, line + "\n"));
    };
    for (c, rule) in &story.blocked {
        for p in &c.pkts {
            let (dst, port) = if c.dnat.is_some() { (WWW, 80) } else { (c.dst, c.dport) };
            add(p.t, rule, kernel(p.t, rule, c, p, dst, port));
        }
    }
    for c in &story.conns {
        if c.tag == "outage" {
            for p in c.pkts.iter().filter(|p| p.dir == Dir::Orig) {
                add(p.t + 60, OUTAGE_RULE, kernel(p.t + 60, OUTAGE_RULE, c, p, c.dst, c.dport));
            }
        } else if let (Some(_), Some(p), true) = (c.dnat, c.pkts.first(), c.dst != WWW) {
            add(p.t - 40, DNAT_RULE, kernel(p.t - 40, DNAT_RULE, c, p, c.dst, c.dport));
        }
    }
    lines.sort();
    (rotate(&lines, ROTATED), counts)
}

/// Squid's native log, by its own slow clock.
pub fn squid(story: &Story) -> Rotated {
    let mut lines = Vec::new();
    for p in &story.proxied {
        let stamp = epoch(p.end - PROXY_LAG);
        let stamp = &stamp[..stamp.len() - 3];
        let line = format!(
            "{stamp} {:>6} {} {} {} {} {} - {} {}\n",
            p.elapsed / 1000,
            p.client,
            p.result,
            p.bytes,
            p.method,
            p.url,
            p.via,
            p.mime
        );
        lines.push((p.end, line));
    }
    rotate(&lines, ROTATED)
}

/// Apache's combined logs: the older, the younger.
pub fn apache(story: &Story) -> Rotated {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for c in story.conns.iter().filter(|c| c.dst == WWW) {
        let App::Http(list) = &c.app else { continue };
        for tx in list {
            let size = if tx.length == 0 { "-".into() } else { tx.length.to_string() };
            let referer = if tx.referer.is_empty() { "-" } else { &tx.referer };
            lines.push((
                tx.asked,
                format!(
                    "{} - - [{}] \"{} {} HTTP/1.1\" {} {size} \"{referer}\" \"{}\"\n",
                    c.src,
                    clock::apache(tx.asked),
                    tx.method,
                    tx.path,
                    tx.status,
                    tx.agent
                ),
            ));
        }
    }
    lines.sort();
    rotate(&lines, WEB_ROTATED)
}

/// The build server's `auth.log`, local time, no year.
pub fn auth(story: &Story) -> String {
    story.auth.iter().map(|l| format!("{} build1 {}\n", clock::syslog_local(l.t), l.text)).collect()
}
