//! Snort 3's `alert_json` (Snort 3 Reference Manual, `alert_json` module): one alert an object; which fields it has is configured.
//!
//! The time is `seconds` where it is written, else `timestamp`, which has no year. Direction as the sensor states it: of what a server sent
//! (`S2C`) the client is the originator.

use super::draft::Draft;
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, snort_text};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::{SECOND, Time};
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "snort-json",
    doc: "Snort 3 alerts as JSON (Snort 3 Reference Manual, alert_json).",
    kind: Kind::Alert,
    document: None,
    is: |o| {
        let has = |keys: &[&str]| keyed::has(o, keys);
        (has(&["timestamp"]) || has(&["seconds"]))
            && (has(&["rule"]) || has(&["sid", "gid"]))
            && (has(&["src_ap"]) || has(&["src_addr"]) || has(&["pkt_num"]))
    },
    times: &["seconds"],
    time,
    fields: &[
        ("pkt_num", field::PCAP_CNT),
        ("src_addr", field::SRC_IP),
        ("src_port", field::SRC_PORT),
        ("dst_addr", field::DST_IP),
        ("dst_port", field::DST_PORT),
        ("eth_src", field::SRC_MAC),
        ("eth_dst", field::DST_MAC),
        ("gid", field::SIGNATURE_GID),
        ("sid", field::SIGNATURE_ID),
        ("rev", field::SIGNATURE_REV),
        ("msg", field::SIGNATURE),
        ("class", field::CATEGORY),
        ("iface", field::IFACE_IN),
        ("vlan", field::VLAN),
        ("dir", field::DIRECTION_STATED),
    ],
    special,
    finish,
};

/// The time of an alert without `seconds`.
fn time(o: &Members<'_>, context: &Context, out: &mut Out) -> Option<Time> {
    snort_text::stamp(keyed::at(o, "timestamp")?.trim())?.time(context, out)
}

fn special(key: &str, raw: &RawValue, d: &mut Draft, _: &Context, _: &mut Out) -> bool {
    let text = json::scalar(raw);
    match key {
        // With `seconds` it says the fraction too, and no year.
        "timestamp" => match snort_text::stamp(text.trim()) {
            Some(stamp) => {
                let fraction = i64::from(stamp.nanos);
                if d.record.start.0 % SECOND == 0 {
                    d.record.start = d.record.start.plus(fraction);
                    d.record.end = d.record.start;
                }
                true
            }
            None => false,
        },
        "proto" => d.put(field::PROTO, &text.to_ascii_lowercase()),
        "rule" => snort_text::rule(&text, d),
        "action" => {
            snort_text::action(&text, d);
            true
        }
        "priority" => {
            snort_text::priority(&text, d);
            true
        }
        "tcp_flags" => d.text(field::TCP_FLAGS, &text.replace('*', "")),
        "service" => text == "unknown" || d.text(field::APP, &text.to_ascii_lowercase()),
        // Both ends below, when the protocol is known.
        "src_ap" | "dst_ap" => true,
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    if let (Some(source), Some(destination)) = (keyed::at(o, "src_ap"), keyed::at(o, "dst_ap")) {
        snort_text::ends(&source, &destination, d);
    }
    snort_text::action("alert", d);
    match keyed::at(o, "dir").as_deref() {
        Some("S2C") => d.turn(),
        Some("C2S") => {}
        _ => d.orient(),
    }
    if let (Some(kind), code) = (keyed::at(o, "icmp_type").and_then(|t| t.parse().ok()), keyed::at(o, "icmp_code")) {
        d.icmp(kind, code.and_then(|c| c.parse().ok()).unwrap_or(0));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn alerts_with_few_and_with_many_fields() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{ "timestamp" : "05/30-19:09:28.472094", "pkt_num" : 7, "proto" : "UDP", "pkt_gen" : "raw", "pkt_len" : 58, "dir" : "C2S", "src_ap" : "192.0.2.5:1029", "dst_ap" : "198.51.100.3:53", "rule" : "1:2012811:2", "action" : "allow" }"#
            ),
            "alert 2026-05-30T19:09:28.472094Z src.ip=192.0.2.5 src.port=1029 dst.ip=198.51.100.3 dst.port=53 proto=udp direction.stated=C2S \
             signature.id=2012811 signature.gid=1 signature.rev=2 action=allow pcap_cnt=7 extra={\"pkt_gen\":\"raw\",\"pkt_len\":58}"
        );
        assert_eq!(
            show(
                &FORMAT,
                r#"{"seconds":1795161601,"timestamp":"11/20-08:00:01.500000","class":"Misc","msg":"x, y","gid":1,"sid":2,"rev":3,"priority":1,"proto":"TCP","src_addr":"2001:db8::80","src_port":80,"dst_addr":"2001:db8::5","dst_port":51000,"dir":"S2C","service":"http"}"#
            ),
            "alert 2026-11-20T08:00:01.500Z src.ip=2001:db8::5 src.port=51000 dst.ip=2001:db8::80 dst.port=80 proto=tcp app=http \
             direction.stated=S2C signature=x, y signature.id=2 signature.gid=1 signature.rev=3 severity=high category=Misc action=alert"
        );
    }
}
