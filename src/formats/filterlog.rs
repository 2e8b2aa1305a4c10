//! pf's packet log as pfSense and OPNsense write it (`filterlog`; Netgate, "Raw Filter Log Format"), in syslog.
//!
//! Comma-separated, by position: rule, sub rule, anchor, tracker, interface, reason, action, direction, IP version, then what the version and
//! the protocol call for. The log has no translation. The rule is its number with the tracker, which outlives renumbering, in `extra`.

use super::envelope::Envelope;
use super::{Context, Format, Framing, Reader, Sniff, draft::Draft, envelope, head, syslog};
use crate::model::field;

/// The format.
pub static FORMAT: Filterlog = Filterlog;

/// pf's packet log.
pub struct Filterlog;

impl Format for Filterlog {
    fn name(&self) -> &'static str {
        "filterlog"
    }
    fn doc(&self) -> &'static str {
        "pf packet log of pfSense and OPNsense (filterlog) in syslog."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| is(&envelope::open(l))) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

/// Whether a line holds a packet.
pub(super) fn is(envelope: &Envelope<'_>) -> bool {
    envelope.process == "filterlog" && memchr::memchr_iter(b',', envelope.message.as_bytes()).nth(8).is_some()
}

/// Reads a line for which [`is`] holds.
pub(super) fn read(message: &str, d: &mut Draft) {
    let cells: Vec<&str> = message.trim().split(',').take(64).collect();
    let at = |n: usize| cells.get(n).copied().unwrap_or("");
    d.text(field::RULE, at(0));
    for (n, key) in [(1, "sub"), (2, "anchor"), (3, "tracker")] {
        d.keep(key, at(n));
    }
    d.text(field::REASON, at(5));
    let action = match at(6) {
        "pass" | "match" | "nat" | "rdr" | "binat" => "allow",
        "block" | "scrub" => "deny",
        other => other,
    };
    d.text(field::ACTION, action);
    let inward = at(7) == "in";
    d.text(if inward { field::IFACE_IN } else { field::IFACE_OUT }, at(4));
    d.text(field::DIRECTION_STATED, at(7));
    // Where the fields after the IP header begin.
    let rest = match at(8) {
        "4" => {
            keep(d, &cells, &[(9, "tos"), (10, "ecn"), (11, "ttl"), (12, "id"), (13, "offset"), (14, "flags")]);
            d.put_or_keep(field::PROTO, "proto", at(15));
            ends(d, at(17), at(18), at(19));
            20
        }
        "6" => {
            keep(d, &cells, &[(9, "class"), (10, "flowlabel"), (11, "hlim")]);
            d.put_or_keep(field::PROTO, "proto", at(13));
            ends(d, at(14), at(15), at(16));
            17
        }
        _ => {
            d.partial = true;
            d.keep("rest", &cells.get(8..).unwrap_or(&[]).join(","));
            return;
        }
    };
    match d.record.uint(field::PROTO) {
        Some(6 | 17 | 132) => {
            d.put_or_keep(field::SRC_PORT, "sport", at(rest));
            d.put_or_keep(field::DST_PORT, "dport", at(rest + 1));
            d.put_or_keep(field::PAYLOAD_OUT, "datalen", at(rest + 2));
            d.text(field::TCP_FLAGS, at(rest + 3));
            keep(
                d,
                &cells,
                &[(rest + 4, "seq"), (rest + 5, "ack"), (rest + 6, "window"), (rest + 7, "urg"), (rest + 8, "options")],
            );
        }
        Some(1 | 58) => {
            if let Some((kind, code)) = icmp(at(rest), d.record.uint(field::PROTO) == Some(58)) {
                d.icmp(kind, code);
            }
            d.keep("icmp", &cells.get(rest..).unwrap_or(&[]).join(","));
        }
        _ => d.keep("rest", &cells.get(rest..).unwrap_or(&[]).join(",")),
    }
}

fn keep(d: &mut Draft, cells: &[&str], names: &[(usize, &str)]) {
    for (n, key) in names {
        d.keep(key, cells.get(*n).copied().unwrap_or(""));
    }
}

fn ends(d: &mut Draft, len: &str, src: &str, dst: &str) {
    d.put_or_keep(field::BYTES_OUT, "len", len);
    d.uint(field::PACKETS_OUT, 1);
    d.put_or_keep(field::SRC_IP, "src", src);
    d.put_or_keep(field::DST_IP, "dst", dst);
    d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
}

/// Type and code of the words that tcpdump's printer uses.
fn icmp(word: &str, six: bool) -> Option<(u64, u64)> {
    Some(match (word, six) {
        ("request", false) => (8, 0),
        ("reply", false) => (0, 0),
        ("request", true) => (128, 0),
        ("reply", true) => (129, 0),
        ("unreach", false) => (3, 1),
        ("unreachproto", false) => (3, 2),
        ("unreachport", false) => (3, 3),
        ("needfrag", false) => (3, 4),
        ("redirect", false) => (5, 0),
        ("timexceed", false) => (11, 0),
        ("paramprob", false) => (12, 0),
        ("tstamp", false) => (13, 0),
        ("tstampreply", false) => (14, 0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn packets_of_both_versions_are_read() {
        for (line, want) in [
            (
                "<134>Jul  3 19:10:30 filterlog[72237]: 146,,,1535324496,igb1.12,match,block,in,4,0x0,,63,12617,0,DF,6,tcp,60,10.170.12.50,1.1.1.1,49724,853,0,S,1891286705,,64240,,mss;sackOK;TS;nop;wscale",
                "fw 2026-07-03T19:10:30Z src.ip=10.170.12.50 src.port=49724 dst.ip=1.1.1.1 dst.port=853 proto=tcp direction.stated=in packets.out=1 bytes.out=60 payload.out=0 severity=info action=deny reason=match rule=146 interface.in=igb1.12 process=filterlog pid=72237 tcp.flags=S",
            ),
            (
                "<134>Jul  3 19:10:30 filterlog[72237]: 6,,,1000000105,igb1.27,match,block,in,6,0x00,0xf6279,1,UDP,17,32,fe80::208:9bff:fef3:652b,ff02::1:2,546,547,32",
                "fw 2026-07-03T19:10:30Z src.ip=fe80::208:9bff:fef3:652b src.port=546 dst.ip=ff02::1:2 dst.port=547 proto=udp direction.stated=in",
            ),
            (
                "<134>Jul  3 19:10:30 filterlog[72237]: 176,,,1520797901,igb1.10,match,pass,in,4,0x0,,64,62096,0,DF,1,icmp,84,10.100.10.30,142.250.114.105,request,37728,164",
                "fw 2026-07-03T19:10:30Z src.ip=10.100.10.30 src.port=8 dst.ip=142.250.114.105 dst.port=0 proto=icmp direction.stated=in packets.out=1 bytes.out=84 severity=info action=allow",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
