//! Packets that iptables or nftables logged through the kernel (`LOG` target; Linux `net/netfilter/nf_log_syslog.c`), with or without
//! syslog envelope.
//!
//! The action stands only in the prefix that the administrator chose: words for dropping mean deny, words for passing allow, Ubiquiti's
//! `-A]`, `-D]`, `-R]` too, else `unknown`; the prefix is the rule. Of an ICMP error the packet that it quotes gives `related`, and its own
//! fields stay in `extra` as `inner.*`. Other kernel lines in the same file are read as syslog.

use super::envelope::Envelope;
use super::{Context, Format, Framing, Reader, Sniff, draft, draft::Draft, head, syslog};
use crate::model::{community_id, field, proto};

/// The format.
pub static FORMAT: Netfilter = Netfilter;

/// Netfilter's packet log.
pub struct Netfilter;

impl Format for Netfilter {
    fn name(&self) -> &'static str {
        "netfilter"
    }
    fn doc(&self) -> &'static str {
        "Linux iptables and nftables packet log from the kernel, with or without syslog envelope (nf_log_syslog)."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, is) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

/// Whether a line holds a packet.
pub(super) fn is(line: &str) -> bool {
    start(line).is_some() && line.contains(" OUT=") && line.contains("SRC=") && line.contains(" DST=")
}

/// Where `IN=` stands: at the beginning, or after anything but a letter.
fn start(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find("IN=").map(|n| n + from) {
        if at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric() {
            return Some(at);
        }
        from = at + 3;
    }
    None
}

const FLAGS: [&str; 8] = ["CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"];

/// Reads the packet of a line for which [`is`] holds; gives its envelope, without the program if that was the prefix.
pub(super) fn read<'a>(mut envelope: Envelope<'a>, d: &mut Draft) -> Envelope<'a> {
    let text = envelope.message;
    let at = start(text).unwrap_or(0);
    let mut prefix = text[..at].trim();
    if let Some((uptime, rest)) = prefix.strip_prefix('[').and_then(|p| p.split_once(']'))
        && uptime.trim().bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        d.keep("uptime", uptime.trim());
        prefix = rest.trim();
    }
    // Without a host the prefix looks like a program.
    if prefix.is_empty() && envelope.process != "kernel" {
        prefix = std::mem::take(&mut envelope.process);
    }
    d.text(field::RULE, prefix.trim_end_matches(':'));
    d.text(field::ACTION, action(prefix));
    let (outer, inner) = match text[at..].split_once('[') {
        Some((outer, rest)) => (outer, rest.split(']').next().unwrap_or(rest)),
        None => (&text[at..], ""),
    };
    packet(outer, d);
    if !inner.is_empty() {
        quoted(inner, d);
    }
    envelope
}

fn packet(text: &str, d: &mut Draft) {
    let mut flags = Vec::new();
    let (mut kind, mut code, mut counted) = (None, None, false);
    for token in text.split_ascii_whitespace() {
        let Some((key, value)) = token.split_once('=') else {
            match FLAGS.contains(&token) {
                true => flags.push(token),
                false => d.keep_json(&token.to_ascii_lowercase(), "true"),
            }
            continue;
        };
        match key {
            "IN" => _ = d.text(field::IFACE_IN, value),
            "OUT" => _ = d.text(field::IFACE_OUT, value),
            "MAC" => mac(value, d),
            "SRC" => d.put_or_keep(field::SRC_IP, "src", value),
            "DST" => d.put_or_keep(field::DST_IP, "dst", value),
            "PROTO" => d.put_or_keep(field::PROTO, "proto", value),
            "SPT" => d.put_or_keep(field::SRC_PORT, "spt", value),
            "DPT" => d.put_or_keep(field::DST_PORT, "dpt", value),
            "LEN" if !counted => {
                counted = true;
                d.put_or_keep(field::BYTES_OUT, "len", value);
                d.uint(field::PACKETS_OUT, 1);
            }
            "LEN" => d.keep("udp.len", value),
            "TYPE" => kind = value.parse().ok(),
            "CODE" => code = value.parse().ok(),
            _ => d.keep(&key.to_ascii_lowercase(), value),
        }
    }
    d.text(field::TCP_FLAGS, &flags.join(","));
    if let Some(kind) = kind {
        d.icmp(kind, code.unwrap_or(0));
    }
    d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
}

/// `MAC=` holds the frame's header: destination, source, type.
fn mac(value: &str, d: &mut Draft) {
    let long = value.len() >= 35 && value.is_ascii() && value.bytes().enumerate().all(|(i, b)| (i % 3 == 2) == (b == b':'));
    if long {
        d.text(field::DST_MAC, &value[..17]);
        d.text(field::SRC_MAC, &value[18..35]);
    } else {
        d.keep("mac", value);
    }
}

/// The packet that an ICMP error quotes.
fn quoted(text: &str, d: &mut Draft) {
    let mut tuple = (None, None, 0u8, 0u16, 0u16);
    let mut seen = Vec::new();
    for (key, value) in text.split_ascii_whitespace().filter_map(|t| t.split_once('=')) {
        match key {
            "SRC" => tuple.0 = draft::address(value),
            "DST" => tuple.1 = draft::address(value),
            "PROTO" => tuple.2 = proto::parse(value).unwrap_or(0),
            "SPT" | "TYPE" => tuple.3 = value.parse().unwrap_or(0),
            "DPT" | "CODE" => tuple.4 = value.parse().unwrap_or(0),
            _ => {}
        }
        if !seen.contains(&key) {
            seen.push(key);
            d.keep(&format!("inner.{}", key.to_ascii_lowercase()), value);
        }
    }
    if let (Some(src), Some(dst), protocol @ 1.., src_port, mut dst_port) = tuple {
        if matches!(protocol, proto::ICMP | proto::ICMP6) {
            dst_port = community_id::icmp_counterpart(protocol, src_port as u8).map_or(dst_port, u16::from);
        }
        d.text(field::RELATED, &community_id::compute(protocol, src, src_port, dst, dst_port));
    }
}

fn action(prefix: &str) -> &'static str {
    let upper = prefix.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|w| upper.contains(w));
    if has(&["DROP", "DENY", "DENIED", "REJECT", "BLOCK", "-D]", "-R]"]) {
        "deny"
    } else if has(&["ACCEPT", "ALLOW", "PASS", "PERMIT", "-A]"]) {
        "allow"
    } else {
        "unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_dropped_packet_is_read_with_its_prefix_as_rule() {
        let line = "Jan  8 03:37:09 example-host kernel: iptables DROP_INPUT: IN=eth0 OUT= MAC=90:10:35:5a:1e:3a:90:10:9e:ec:2c:71:08:00 SRC=81.2.69.143 DST=172.16.54.114 LEN=52 TOS=0x00 PREC=0x00 TTL=115 ID=15743 DF PROTO=TCP SPT=17805 DPT=445 WINDOW=8192 RES=0x00 SYN URGP=0";
        assert_eq!(
            show(&FORMAT, line),
            "fw 2026-01-08T03:37:09Z src.ip=81.2.69.143 src.port=17805 dst.ip=172.16.54.114 dst.port=445 proto=tcp src.mac=90:10:9e:ec:2c:71 \
             dst.mac=90:10:35:5a:1e:3a packets.out=1 bytes.out=52 action=deny rule=iptables DROP_INPUT interface.in=eth0 hostname=example-host \
             process=kernel tcp.flags=SYN extra={\"tos\":\"0x00\",\"prec\":\"0x00\",\"ttl\":\"115\",\"id\":\"15743\",\"df\":true,\
             \"window\":\"8192\",\"res\":\"0x00\",\"urgp\":\"0\"} sensor=example-host"
        );
    }

    #[test]
    fn an_icmp_error_names_the_flow_that_it_is_about() {
        let line = "Jan  8 03:37:09 DENY: IN=eth0 OUT= MAC= SRC=192.168.2.71 DST=192.168.2.83 LEN=88 TOS=0x00 PREC=0x00 TTL=118 ID=21684 PROTO=ICMP TYPE=3 CODE=3 [SRC=192.168.2.83 DST=192.168.173.191 LEN=60 TOS=0x00 PREC=0x00 TTL=54 ID=0 DF PROTO=UDP SPT=21458 DPT=62936 LEN=40 ]";
        let read = read_all(&FORMAT, line);
        let r = &read.records[0].record;
        assert_eq!((r.text(field::RULE), r.text(field::ACTION)), (Some("DENY"), Some("deny")));
        assert_eq!((r.uint(field::SRC_PORT), r.uint(field::DST_PORT)), (Some(3), Some(3)));
        let (a, b) = ("192.168.2.83".parse().unwrap(), "192.168.173.191".parse().unwrap());
        assert_eq!(r.text(field::RELATED), Some(community_id::compute(17, a, 21458, b, 62936).as_str()));
    }

    #[test]
    fn glued_prefixes_and_uptimes_are_understood() {
        for (line, rule, action) in [
            (
                "Jul 14 14:31:06 gw kernel: [31809412.513897] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=44 PROTO=TCP",
                "[UFW BLOCK]",
                "deny",
            ),
            (
                "Jul 14 14:31:06 gw kernel: [wan-lan-default-A]IN=eth0 OUT=eth1 SRC=192.0.2.1 DST=192.0.2.2 LEN=44 PROTO=TCP",
                "[wan-lan-default-A]",
                "allow",
            ),
            ("Jul 14 14:31:06 gw kernel: FWD IN=eth0 OUT=eth1 SRC=192.0.2.1 DST=192.0.2.2 LEN=44 PROTO=2", "FWD", "unknown"),
        ] {
            let read = read_all(&FORMAT, line);
            let r = &read.records[0].record;
            assert_eq!((r.text(field::RULE), r.text(field::ACTION)), (Some(rule), Some(action)), "{line}");
        }
    }
}
