//! SonicWall firewalls (SonicWall, "SonicOS Log Events Reference Guide", enhanced syslog): `id=firewall sn=... time="..." fw=... m=82 msg="..." n=213
//! src=192.0.2.1:57380:X1:name dst=198.51.100.7:80:X0 proto=tcp/http ...`.
//!
//! `src` and `dst` are address, port, interface and name; `m` is the number of the message, which says what was done. `pri` is syslog's severity.
//! A session that was closed lasted `cdur` milliseconds (or `dur` seconds) before. `time` is the device's, UTC where it says so.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, key_value, moments, vendor_values, verdict_words};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "sonicwall",
    doc: "SonicWall SonicOS firewall events as key=value in syslog: sessions, drops, web access, attacks, logins.",
    is,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    let message = envelope.message;
    let has = |key: &str| memchr::memmem::find(message.as_bytes(), key.as_bytes()).is_some();
    (message.starts_with("id=") || message.get(..64).is_some_and(|t| t.contains(" id=")) || has("id=firewall"))
        && has(" sn=")
        && has(" fw=")
        && has(" m=")
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let pairs = key_value::pairs(envelope.message);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        match *key {
            "time" | "dur" | "cdur" => {}
            "src" => end(value, [field::SRC_IP, field::SRC_PORT, field::IFACE_IN], key, d),
            "dst" => end(value, [field::DST_IP, field::DST_PORT, field::IFACE_OUT], key, d),
            "natSrc" => end(value, [field::NAT_SRC_IP, field::NAT_SRC_PORT, field::NAT_SRC_PORT], key, d),
            "natDst" => end(value, [field::NAT_DST_IP, field::NAT_DST_PORT, field::NAT_DST_PORT], key, d),
            "m" => d.put_or_keep(field::EVENT_CODE, key, value),
            "usr" | "user" => left.push(("user", *value)),
            "op" => {
                let method = match *value {
                    "1" => "GET",
                    "2" => "POST",
                    "3" => "HEAD",
                    "0" => "",
                    other => other,
                };
                d.text(field::HTTP_METHOD, method);
            }
            "result" => d.put_or_keep(field::HTTP_STATUS, key, value),
            "arg" if !one("dstname").is_empty() => {}
            "dstname" => {
                let host = value.split(':').next().unwrap_or(value);
                if draft::address(host).is_none() {
                    d.text(field::NAME, host);
                }
                let scheme = if one("proto").ends_with("https") { "https" } else { "http" };
                if !one("arg").is_empty() {
                    d.text(field::URL, &super::web::url(scheme, value, 0, one("arg")));
                }
            }
            "Category" | "catName" => d.put_or_keep(field::CATEGORY, key, value),
            "fw_action" => d.put_or_keep(field::ACTION, key, &verdict_words::action(value.trim_matches('"'))),
            "rcvd" => left.push(("rcvdbytes", *value)),
            "sent" => left.push(("sentbytes", *value)),
            "spkt" | "rpkt" | "proto" | "srcMac" | "dstMac" | "rule" | "msg" | "srcZone" | "dstZone" | "app" | "appName" => {
                left.push((key, *value));
            }
            "pri" => {
                if let Ok(level) = value.parse::<usize>() {
                    d.uint(field::SEVERITY, [4, 4, 4, 3, 2, 1, 0, 0][level.min(7)]);
                }
            }
            _ => d.keep(key, value),
        }
    }
    vendor_values::fill(&left, true, d);
    told(one("m"), one("msg"), d);
    let lasted = draft::seconds(one("dur")).or_else(|| one("cdur").parse::<u64>().ok().map(|ms| ms.saturating_mul(1_000_000)));
    if let Some(nanos) = lasted {
        d.uint(field::ELAPSED, nanos);
    }
    let closed = d.record.text(field::ACTION) == Some("close");
    Said { time: moments::time(one("time"), envelope, context, out), lasted: lasted.filter(|_| closed), ..Said::default() }
}

/// `192.0.2.1:57380:X1:name`; an address of IPv6 stands in brackets or alone.
fn end(text: &str, [ip, port, interface]: [FieldId; 3], key: &str, d: &mut Draft) {
    let Some((address, number)) = vendor_values::endpoint(text) else {
        d.keep(key, text);
        return;
    };
    d.give(ip, crate::model::value::Value::Addr(address));
    number.filter(|n| *n > 0).map(|n| d.uint(port, u64::from(n)));
    let rest = text.strip_prefix('[').and_then(|t| t.split_once("]:")).map_or(text, |(_, r)| r);
    let parts: Vec<&str> = rest.split(':').collect();
    let from = if text.starts_with('[') { 1 } else { 2 };
    if address.is_ipv6() && from == 2 || interface == port {
        return;
    }
    d.text(interface, parts.get(from).copied().unwrap_or(""));
    if let Some(name) = parts.get(from + 1) {
        d.keep(&format!("{key}.name"), name);
    }
}

/// Kind and action by the number of the message, else by its words.
fn told(number: &str, message: &str, d: &mut Draft) {
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let attack = has(&[
        "attack",
        "scan detected",
        "spoof",
        "flood",
        "ips ",
        "intrusion",
        "virus",
        "spyware",
        "malware",
        "botnet",
        "prevention alert",
    ]);
    let action = match number {
        "98" | "97" => "start",
        "537" | "538" => "close",
        "36" | "37" | "38" | "41" | "173" | "174" | "175" | "524" | "526" => "drop",
        "14" | "16" => "deny",
        "29" | "31" | "199" | "238" | "1080" => "login_ok",
        "30" | "32" | "33" | "35" | "200" => "login_fail",
        "24" | "25" | "198" | "1153" => "logout",
        _ if has(&["dropped", "drop "]) => "drop",
        _ if has(&["denied", "blocked", "rejected", "forbidden"]) => "deny",
        _ if has(&["connection opened", "session opened"]) => "start",
        _ if has(&["connection closed", "session closed"]) => "close",
        _ => verdict_words::phrase(message).unwrap_or(if attack { "alert" } else { "" }),
    };
    d.text(field::ACTION, action);
    let web = d.has(field::URL);
    d.record.kind = match action {
        "login_ok" | "login_fail" | "logout" => Kind::Auth,
        _ if attack => Kind::Alert,
        _ if web => Kind::Http,
        _ if d.has(field::SRC_IP) && d.has(field::DST_IP) => Kind::Fw,
        _ => Kind::Log,
    };
    if attack {
        d.text(field::SIGNATURE, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn events_have_their_ends_interfaces_and_action() {
        for (tail, want) in [
            (
                "pri=6 c=262144 m=98 msg=\"Connection Opened\" n=5 usr=\"joe\" src=192.0.2.1:57380:X0:pc1 dst=198.51.100.7:443:X1 natSrc=203.0.113.1:4001 proto=tcp/https sent=52",
                "fw 2026-11-20T08:12:00Z src.ip=192.0.2.1 src.port=57380 dst.ip=198.51.100.7 dst.port=443 proto=tcp bytes.out=52 severity=info action=start interface.in=X0 interface.out=X1 nat.src.ip=203.0.113.1 nat.src.port=4001 user=joe message=Connection Opened event.code=98",
            ),
            (
                "pri=6 c=1024 m=537 msg=\"Connection Closed\" src=192.0.2.1:57380:X0 dst=198.51.100.7:443:X1 proto=tcp/https sent=1000 rcvd=2000 spkt=10 rpkt=9 cdur=2500",
                "fw 2026-11-20T08:11:57.500Z..2026-11-20T08:12:00Z src.ip=192.0.2.1 src.port=57380 dst.ip=198.51.100.7 dst.port=443 proto=tcp packets.out=10 packets.in=9 bytes.out=1000 bytes.in=2000 severity=info action=close",
            ),
            (
                "pri=1 c=32 m=82 msg=\"Possible port scan detected\" n=213 src=203.0.113.9:57380:X1 dst=192.0.2.1:80:X0",
                "alert 2026-11-20T08:12:00Z src.ip=203.0.113.9 src.port=57380 dst.ip=192.0.2.1 dst.port=80 signature=Possible port scan detected severity=critical action=alert",
            ),
            (
                "pri=6 c=1024 m=97 n=9 src=192.0.2.1:5000:X0 dst=198.51.100.7:80:X1 proto=tcp/http op=GET sent=10 rcvd=20 result=200 dstname=www.example.com arg=/a.html code=5 Category=\"News\"",
                "http 2026-11-20T08:12:00Z src.ip=192.0.2.1 src.port=5000 dst.ip=198.51.100.7 dst.port=80 proto=tcp bytes.out=10 bytes.in=20 name=www.example.com url=http://www.example.com/a.html http.method=GET http.status=200",
            ),
            (
                "pri=6 c=16 m=200 msg=\"Administrator login denied due to bad credentials\" src=203.0.113.9:0:X1 dst=192.0.2.254:443:X0",
                "auth 2026-11-20T08:12:00Z src.ip=203.0.113.9",
            ),
        ] {
            let shown = show(
                &FORMAT,
                &format!("<134>id=firewall sn=0017C5000000 time=\"2026-11-20 08:12:00 UTC\" fw=203.0.113.254 {tail}"),
            );
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
