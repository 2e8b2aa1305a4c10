//! VMware NSX distributed firewall packet log (`dfwpktlogs`, NSX-T `FIREWALL_PKTLOG`; VMware, "Firewall Audit Log Messages"):
//! `HASH INET match PASS domain-c8/1006 IN 60 TCP 192.0.2.20/51234->198.51.100.20/443 S`, and `INET TERM RULE IN TCP RST A/P->B/P 22/14 7684/1070`
//! at the end of a connection, with packets and bytes in and out of the virtual machine.
//!
//! `IN` and `OUT` are as the virtual machine sees it; its counters are put as originator and responder see them.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::vendor_values::endpoint;
use super::{Context, Out, draft::Draft, flow_text, verdict_words};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "vmware-nsx",
    doc: "VMware NSX distributed firewall packet log (dfwpktlogs) in syslog: connections passed, dropped, ended.",
    is,
    read,
};

/// What stands after the family.
const REASONS: [&str; 9] =
    ["match", "term", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp", "state-mismatch"];

/// The words from the family on.
fn body(message: &str) -> Option<Vec<&str>> {
    let at = message.find("INET")?;
    let words: Vec<&str> = message[at..].split_ascii_whitespace().take(24).collect();
    let family = matches!(words.first(), Some(&("INET" | "INET6")));
    let reason = words.get(1).is_some_and(|w| REASONS.iter().any(|r| r.eq_ignore_ascii_case(w)));
    (family && reason && words.iter().any(|w| w.contains("->"))).then_some(words)
}

fn is(envelope: &Envelope<'_>) -> bool {
    body(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let words = body(envelope.message).unwrap_or_default();
    d.record.kind = Kind::Fw;
    let ended = words.get(1).is_some_and(|w| w.eq_ignore_ascii_case("term"));
    let ends = words.iter().position(|w| w.contains("->")).unwrap_or(words.len());
    let mut before = words.get(2..ends).unwrap_or_default().iter().copied().peekable();
    d.text(field::REASON, words.get(1).copied().unwrap_or(""));
    let word = before.peek().copied().unwrap_or("");
    if let Some(action) = verdict_words::known(word).filter(|_| word.bytes().all(|b| b.is_ascii_uppercase())) {
        before.next();
        d.text(field::ACTION, if ended { "close" } else { action });
    } else if ended {
        d.text(field::ACTION, "close");
    }
    d.text(field::RULE, before.next().unwrap_or(""));
    let direction = before.next().unwrap_or("");
    d.text(field::DIRECTION_STATED, &direction.to_ascii_lowercase());
    let rest: Vec<&str> = before.collect();
    for (n, word) in rest.iter().enumerate() {
        match *word {
            "PROTO" => rest.get(n + 1).into_iter().for_each(|p| flow_text::protocol(d, p)),
            "RST" | "FIN" | "TIMEOUT" => d.keep("closed", word),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                if rest.get(n.wrapping_sub(1)) != Some(&"PROTO") && !ended {
                    d.put(field::BYTES_OUT, digits);
                }
            }
            name => flow_text::protocol(d, name),
        }
    }
    let (from, to) = words.get(ends).and_then(|w| w.split_once("->")).unwrap_or(("", ""));
    for (text, ip, port) in [(from, field::SRC_IP, field::SRC_PORT), (to, field::DST_IP, field::DST_PORT)] {
        let (address, number) = text.rsplit_once('/').unwrap_or((text, ""));
        if let Some((address, _)) = endpoint(address) {
            d.give(ip, Value::Addr(address));
        }
        if !number.is_empty() {
            d.put_or_keep(port, "port", number);
        }
    }
    let mut after = words.get(ends + 1..).unwrap_or_default().iter().copied();
    if ended {
        let [inwards, outwards] = if direction.eq_ignore_ascii_case("IN") { [0, 1] } else { [1, 0] };
        for (id_out, id_in) in [(field::PACKETS_OUT, field::PACKETS_IN), (field::BYTES_OUT, field::BYTES_IN)] {
            let Some((first, second)) = after.next().and_then(|w| w.split_once('/')) else { break };
            let both = [first, second];
            // The machine that a connection comes in to receives what the originator sent.
            d.put(id_out, both[inwards]);
            d.put(id_in, both[outwards]);
        }
    } else if let Some(flags) = after.next().filter(|f| f.bytes().all(|b| b"SAFRPUECWX".contains(&b))) {
        d.text(field::TCP_FLAGS, flags);
    }
    for tag in after {
        d.keep("tag", tag);
    }
    Said::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_passed_packet_a_dropped_one_and_an_end_with_counters() {
        let lines = [
            "<14>Nov 20 08:12:03 esx1 dfwpktlogs: 12345 INET match PASS domain-c8/1006 IN 60 TCP 192.0.2.20/51234->198.51.100.20/443 S",
            "<14>Nov 20 08:12:04 esx1 dfwpktlogs: 12345 INET match DROP 1007 OUT 84 PROTO 1 192.0.2.21->198.51.100.21",
            "<14>Nov 20 08:12:09 esx1 dfwpktlogs: 12345 INET TERM domain-c8/1006 IN TCP RST 192.0.2.20/51234->198.51.100.20/443 22/14 7684/1070",
        ];
        let text = lines.map(|l| show(&FORMAT, l)).join("\n");
        assert!(
            text.contains("action=allow") && text.contains("rule=domain-c8/1006") && text.contains("src.port=51234"),
            "{text}"
        );
        assert!(text.contains("action=drop") || text.contains("action=deny"), "{text}");
        assert!(text.contains("packets.out=22") && text.contains("bytes.in=1070") && text.contains("action=close"), "{text}");
    }
}
