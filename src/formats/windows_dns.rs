//! The debug log of Windows DNS Server (`dns.log`; Microsoft, "Use DNS debug logging options"): a line a packet, with `(3)www(7)example(3)com(0)`
//! names.
//!
//! Times are the server's local ones, written as its language has it. `Rcv` of a question comes from the originator, `Snd` of an answer goes to
//! it; of what the server itself asks upstream it is the other way round: then the address is the responder's. Details of packets, which are
//! indented, and the file's own header are skipped.

use super::dns_text::{counted, is_type, question, rcode};
use super::each_line::{EachLine, Line};
use super::{Status, clock, draft};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "windows-dns",
    doc: "Windows DNS Server debug log, a line a packet (Microsoft, DNS debug logging options).",
    percent: 10,
    is: |l| packet(l).is_some(),
    read,
};

struct Packet<'a> {
    stamp: clock::Stamp,
    thread: &'a str,
    id: &'a str,
    proto: &'a str,
    received: bool,
    address: &'a str,
    xid: &'a str,
    answers: bool,
    opcode: &'a str,
    flags: &'a str,
    code: &'a str,
    kind: &'a str,
    name: &'a str,
}

/// `11/20/2026 8:00:00 AM 0E10 PACKET  00000000028E2DA0 UDP Rcv 192.0.2.5  b0e1   Q [0001   D   NOERROR] A  (3)www(0)`.
fn packet(line: &str) -> Option<Packet<'_>> {
    let at = line.find(" PACKET ")?;
    let (before, after) = (line[..at].trim_end(), line[at + 8..].trim_start());
    let bytes = before.as_bytes();
    let stamp = clock::numeric(bytes).or_else(|| clock::iso(bytes)).or_else(|| year_first(before))?;
    let thread = before.get(stamp.len..)?.trim();
    let (head, rest) = after.split_once('[')?;
    let (flags, rest) = rest.split_once(']')?;
    let mut words = head.split_ascii_whitespace();
    let (mut id, mut proto) = (words.next()?, "");
    // Old servers write no packet id.
    if matches!(id, "UDP" | "TCP") {
        (id, proto) = ("", id);
    }
    let proto = if proto.is_empty() { words.next()? } else { proto };
    let received = match words.next()? {
        "Rcv" => true,
        "Snd" => false,
        _ => return None,
    };
    let (address, xid) = (words.next()?, words.next()?);
    draft::address(address)?;
    let mut next = words.next()?;
    let answers = next == "R";
    if answers {
        next = words.next()?;
    }
    let (kind, name) = rest.trim_start().split_once(' ')?;
    let code = flags.split_ascii_whitespace().next_back().unwrap_or("");
    Some(Packet {
        stamp,
        thread,
        id,
        proto,
        received,
        address,
        xid,
        answers,
        opcode: next,
        flags: flags.trim(),
        code,
        kind,
        name: name.trim(),
    })
}

/// `20261120 08:00:00` of servers before 2008.
fn year_first(text: &str) -> Option<clock::Stamp> {
    let date = text.get(..8).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let dashed = format!("{}-{}-{}{}", &date[..4], &date[4..6], &date[6..], text.get(8..17)?);
    clock::iso(dashed.as_bytes()).map(|s| clock::Stamp { len: 17, ..s })
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let Some(p) = packet(text) else {
        // The header, details of packets, and events of the server.
        let told = text.starts_with(|c: char| c.is_ascii_digit()) && clock::numeric(text.as_bytes()).is_some();
        if !told {
            return Some(Status::Skipped);
        }
        let stamp = clock::numeric(text.as_bytes())?;
        let time = stamp.time(line.context, line.out);
        let mut d = line.draft(Kind::Log, time);
        d.text(field::MESSAGE, text.get(stamp.len..)?.trim());
        return line.finish(d, "");
    };
    let time = p.stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Dns, time);
    // A question that came, or an answer that left: the other side asked.
    let asked_by_it = p.received != p.answers;
    d.addr(if asked_by_it { field::SRC_IP } else { field::DST_IP }, p.address);
    d.put_or_keep(field::PROTO, "protocol", &p.proto.to_ascii_lowercase());
    match counted(p.name) {
        Some(name) => question(&name, if is_type(p.kind) { p.kind } else { "" }, &mut d),
        None => {
            d.partial = true;
            question(p.name, p.kind, &mut d);
        }
    }
    if p.answers {
        d.text(field::DNS_RCODE, &rcode(p.code));
    }
    d.text(field::ACTION, if p.answers { "answered" } else { "asked" });
    d.text(field::DIRECTION_STATED, if p.received { "in" } else { "out" });
    match u64::from_str_radix(p.xid, 16) {
        Ok(id) => _ = d.uint(field::DNS_ID, id),
        Err(_) => d.keep("xid", p.xid),
    }
    for (key, value) in [("thread", p.thread), ("packet", p.id), ("flags", p.flags)] {
        d.keep(key, value);
    }
    if p.opcode != "Q" {
        d.keep("opcode", p.opcode);
    }
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_packet_is_a_question_or_an_answer() {
        assert_eq!(
            show(
                &FORMAT,
                "11/20/2026 8:00:00 AM 0E10 PACKET  00000000028E2DA0 UDP Rcv 192.0.2.5       b0e1   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)"
            ),
            "dns 2026-11-20T08:00:00Z src.ip=192.0.2.5 proto=udp app=dns direction.stated=in name=www.example.com dns.type=A dns.id=45281 \
             action=asked extra={\"thread\":\"0E10\",\"packet\":\"00000000028E2DA0\",\"flags\":\"0001   D   NOERROR\"}"
        );
    }

    #[test]
    fn answers_and_questions_upstream_turn_the_ends() {
        let text = "DNS Server log file creation at 11/20/2026 7:59:00 AM\nLog file wrap at 11/20/2026 7:59:00 AM\n\nMessage logging key (for packets - other items use a subset of these fields):\n\tField #  Information\n\
            20.11.2026 08:00:00 0E10 PACKET  028E2DA0 UDP Snd 192.0.2.5 b0e1 R Q [8385 A DR NXDOMAIN] AAAA (4)nope(7)example(0)\n\
            20.11.2026 08:00:00 0E10 PACKET  028E2DA1 TCP Snd 2001:db8::53 00ff   Q [0000       NOERROR] MX (7)example(0)\n\
            \x20   Offset = 0x000c, RR count = 0\n20261120 08:00:01 874 PACKET UDP Rcv 192.0.2.5 0001 Q [0001 D NOERROR] A (1)a(0)\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 6, 0]);
        let r = |n: usize| &read.records[n].record;
        assert_eq!((r(0).addr(field::SRC_IP), r(0).text(field::DNS_RCODE)), (draft::address("192.0.2.5"), Some("NXDOMAIN")));
        assert_eq!((r(1).addr(field::SRC_IP), r(1).addr(field::DST_IP)), (None, draft::address("2001:db8::53")));
        assert_eq!(r(2).start.to_string(), "2026-11-20T08:00:01Z");
    }
}
