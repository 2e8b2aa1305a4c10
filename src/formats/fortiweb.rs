//! Fortinet FortiWeb and FortiMail (Fortinet, "FortiWeb Log Message Reference", "FortiMail Log Message Reference"): `date=... time=... device_id=...
//! log_id=... type=traffic ... key=value`, values in quotes where they hold spaces.
//!
//! FortiGate's layout with other names. Attacks are alerts, logins auth records, mails logs with sender and recipients, traffic of the web application firewall
//! requests: what it let pass has the status `success`. Times are in `timezone` if it is stated, else local.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, clock, draft::Draft, key_value, lift, moments, syslog, vendor_values};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "fortiweb",
    doc: "Fortinet FortiWeb and FortiMail traffic, attack, mail and event logs as key=value in syslog.",
    is,
    read,
};

fn start(message: &str) -> Option<usize> {
    let at = memchr::memmem::find(message.as_bytes(), b"date=").filter(|at| *at < 256)?;
    let body = &message.as_bytes()[at..];
    let has = |key: &str| memchr::memmem::find(body, key.as_bytes()).is_some();
    (has(" time=") && has(" device_id=") && has(" log_id=") && has(" type=")).then_some(at)
}

fn is(envelope: &Envelope<'_>) -> bool {
    start(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let pairs = key_value::pairs(&envelope.message[start(envelope.message).unwrap_or(0)..]);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        match *key {
            "date" | "time" | "devname" | "timezone" => {}
            "log_id" => d.put_or_keep(field::EVENT_CODE, key, value),
            "from" => left.push(("mailfrom", *value)),
            "to" => left.push(("mailto", *value)),
            "subject" => left.push(("mailsubject", *value)),
            "client_name" | "msg_id" | "device_id" | "vd" | "subtype" | "type" | "log_type" => d.keep(key, value),
            "signature_subclass" | "virus" => left.push(("attack", *value)),
            "classifier" => d.put_or_keep(field::CATEGORY, key, value),
            _ => left.push((key, *value)),
        }
    }
    vendor_values::fill(&left, true, d);
    if !d.has(field::ACTION) && one("type") == "traffic" && one("status") == "success" {
        d.text(field::ACTION, "allow");
    }
    d.record.kind = match one("type") {
        _ if vendor_values::kind(d) == Kind::Auth => Kind::Auth,
        "attack" | "virus" => Kind::Alert,
        _ => vendor_values::kind(d),
    };
    if d.record.kind == Kind::Alert {
        d.text(field::SIGNATURE, one("subtype"));
    }
    lift::lift(one("msg"), d);
    syslog::decide(one("msg"), d);
    let wall = format!("{} {}", one("date"), one("time"));
    let east = one("timezone").split_once(')').and_then(|(zone, _)| moments::east(zone));
    let time = clock::iso(wall.as_bytes()).and_then(|s| clock::Stamp { east: s.east.or(east), ..s }.time(context, out));
    Said { time, host: one("devname"), ..Said::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn requests_attacks_mails_and_logins() {
        for (tail, want) in [
            (
                "log_id=30000000 msg_id=1 device_id=FV-1 vd=\"root\" timezone=\"(GMT+01:00)Berlin\" type=traffic subtype=\"http\" pri=notice proto=tcp service=http status=success reason=none policy=Shop src=203.0.113.9 src_port=8142 dst=192.0.2.80 dst_port=80 http_method=get http_url=\"/a\" http_host=\"shop.example\" http_retcode=200 msg=\"HTTP GET request from 203.0.113.9:8142 to 192.0.2.80:80\"",
                "http 2026-11-20T07:12:01Z src.ip=203.0.113.9 src.port=8142 dst.ip=192.0.2.80 dst.port=80 proto=tcp app=http name=shop.example http.method=GET http.host=shop.example http.uri=/a http.status=200 severity=low action=allow rule=Shop",
            ),
            (
                "log_id=20000010 device_id=FV-1 type=attack subtype=\"waf_signature_detection\" pri=alert severity_level=High proto=tcp service=http action=Alert_Deny policy=\"Shop\" src=203.0.113.9 src_port=60554 dst=192.0.2.80 dst_port=80 http_method=get http_url=\"/p?f=../\" http_host=\"shop.example\" msg=\"[Signatures]\" signature_subclass=\"Directory Traversal\" signature_id=\"060150002\"",
                "alert 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=60554 dst.ip=192.0.2.80 dst.port=80 proto=tcp app=http name=shop.example http.method=GET http.host=shop.example http.uri=/p?f=../ signature=Directory Traversal signature.id=60150002 severity=high action=deny",
            ),
            (
                "device_id=FE-1 log_id=0300021505 type=spam subtype=default pri=notice session_id=\"s1\" client_name=\"mx.example\" client_ip=\"203.0.113.9\" dst_ip=\"192.0.2.25\" from=\"a@sender.example\" to=\"b@corp.example\" subject=\"hello there\" msg=\"listed by a blocklist\"",
                "log 2026-11-20T08:12:01Z src.ip=203.0.113.9 dst.ip=192.0.2.25 uid=s1 severity=low",
            ),
            (
                "log_id=10000017 device_id=FV-1 type=event subtype=\"system\" pri=information user=admin ui=GUI action=login status=failed msg=\"User admin login failed from GUI(203.0.113.9)\"",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=info action=login_fail user=admin",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>Nov 20 08:12:05 relay1 date=2026-11-20 time=08:12:01 devname=waf1 {tail}"));
            assert!(shown.starts_with(want) && shown.ends_with("sensor=waf1"), "{shown}");
        }
    }
}
