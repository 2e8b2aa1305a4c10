//! Check Point gateways and management in syslog (Check Point, "Log Exporter" in the formats syslog, generic and Splunk, sk122323; field names
//! of sk144192): `key:"value"; ...`, `key="value" ...` or `key=value|...`, in structured data or the message.
//!
//! `service` is the port of the responder, `s_port` that of the originator, `xlatesrc` and its kin the translation (zero: none). `time` is an epoch.
//! Blades that look for threats write alerts; `severity` counts 0 to 4 as we do. Logs of one connection repeat with the same `loguid`.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, key_value, lift, moments, syslog, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "check-point",
    doc: "Check Point logs of every blade as the Log Exporter writes them into syslog (key-value; CEF and LEEF by those formats).",
    is,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    [envelope.data, envelope.message].iter().any(|text| {
        let has = |key: &str| {
            memchr::memmem::find_iter(text.as_bytes(), key.as_bytes())
                .any(|at| matches!(text.as_bytes().get(at + key.len()), Some(b':' | b'=')))
        };
        text.len() > 64
            && (has("loguid") && (has("origin") || has("orig") || has("product"))
                || has("orig") && has("i/f_dir") && has("product"))
    })
}

/// Blades whose records are alerts.
const THREATS: [&str; 14] = [
    "anti malware",
    "anti-malware",
    "anti virus",
    "anti-virus",
    "new anti virus",
    "anti-bot",
    "smartdefense",
    "ips",
    "threat emulation",
    "threat extraction",
    "zero phishing",
    "forensics",
    "anti-ransomware",
    "anti-exploit",
];

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let mut pairs = key_value::pairs(envelope.data);
    pairs.extend(key_value::pairs(envelope.message));
    let one = |key: &str| pairs.iter().find(|(k, v)| k.eq_ignore_ascii_case(key) && !v.is_empty()).map_or("", |(_, v)| *v);
    let incoming = one("ifdir").eq_ignore_ascii_case("inbound") || one("i/f_dir").eq_ignore_ascii_case("inbound");
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        if value.is_empty() {
            continue;
        }
        match key.to_ascii_lowercase().as_str() {
            "time" | "severity" => {}
            "service" if d.put(field::DST_PORT, value) => {}
            "service_id" | "service" => d.keep(key, value),
            "ifname" | "i/f_name" => d.put_or_keep(if incoming { field::IFACE_IN } else { field::IFACE_OUT }, key, value),
            "ifdir" | "i/f_dir" => d.put_or_keep(field::DIRECTION_STATED, key, value),
            "xlatesport" | "xlatedport" if *value == "0" => {}
            "product" => d.put_or_keep(field::PRODUCT, key, value),
            "protection_name" | "attack" | "malware_family" | "attack_info" => left.push(("attack", *value)),
            "protection_id" | "protection_type" | "sig_id" => d.keep(key, value),
            "appi_name" => d.put_or_keep(field::APP, key, value),
            "matched_category" | "app_category" => d.put_or_keep(field::CATEGORY, key, value),
            "protocol" if one("proto").is_empty() => left.push(("proto", *value)),
            "protocol" => d.put_or_keep(field::APP, key, &value.to_ascii_lowercase()),
            "src_user_name" | "user" | "src_user_dn" | "administrator" => {
                let name = value.split(" (").nth(1).map_or(*value, |n| n.trim_end_matches(')'));
                if !d.text(field::USER, name) || name.len() != value.len() {
                    d.keep(key, value);
                }
            }
            "loguid" | "session_id" | "session_uid" | "hll_key" | "flags" | "sequencenum" => d.keep(key, value),
            "description" | "information" | "te_verdict_determined_by" => d.put_or_keep(field::MESSAGE, key, value),
            "client_outbound_bytes" => left.push(("sentbytes", *value)),
            "server_outbound_bytes" => left.push(("receivedbytes", *value)),
            "client_outbound_packets" => left.push(("sentpkts", *value)),
            "server_outbound_packets" => left.push(("rcvdpkts", *value)),
            "machine" | "client_ip" => left.push(("client_ip", *value)),
            "packet_capture_unique_id" | "packet_capture_name" | "status" | "scope" | "proxy_src_ip" => d.keep(key, value),
            "url" | "resource" => left.push(("url", *value)),
            _ => left.push((key, *value)),
        }
    }
    if let Ok(rank) = one("severity").parse::<u64>() {
        d.uint(field::SEVERITY, rank.min(4));
    } else if !one("severity").is_empty() {
        left.push(("severity", one("severity")));
    }
    vendor_values::fill(&left, true, d);
    told(&one, d);
    for text in [one("information"), one("description"), one("reason")] {
        lift::lift(text, d);
        syslog::decide(text, d);
    }
    let time = moments::time(one("time"), envelope, context, out);
    Said { time, parameters: true, ..Said::default() }
}

fn told<'a>(one: &impl Fn(&str) -> &'a str, d: &mut Draft) {
    let product = one("product").to_ascii_lowercase();
    let event = format!("{} {}", one("operation"), one("auth_status"));
    // The action of a login is `Accept` even where the login is refused.
    let told = ["auth_status", "audit_status", "status", "operation_result", "operation", "action"];
    let outcome = told.map(one).join(" ");
    if let Some(login) = verdict_words::login(&event) {
        let action = match (login, verdict_words::outcome(&outcome)) {
            ("logout", _) => "logout",
            (_, Some(false)) => "login_fail",
            _ => "login_ok",
        };
        d.record.fields.retain(|(id, _)| *id != field::ACTION);
        d.text(field::ACTION, action);
        d.record.kind = Kind::Auth;
        return;
    }
    let threat = THREATS.iter().any(|t| product == *t) || d.has(field::SIGNATURE);
    d.record.kind = match threat {
        true => Kind::Alert,
        false if d.has(field::URL) => Kind::Http,
        false if d.has(field::SRC_IP) && d.has(field::DST_IP) => Kind::Fw,
        false => Kind::Log,
    };
    if threat && !d.has(field::SIGNATURE) {
        d.text(field::SIGNATURE, one("product"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_decision_is_the_same_in_every_export() {
        let pairs = [
            ("action", "Drop"),
            ("ifdir", "inbound"),
            ("ifname", "eth1"),
            ("loguid", "{0x1,0x2}"),
            ("origin", "192.0.2.254"),
            ("time", "1763625600"),
            ("dst", "198.51.100.7"),
            ("inzone", "Internal"),
            ("outzone", "External"),
            ("product", "VPN-1 & FireWall-1"),
            ("proto", "6"),
            ("rule_name", "Cleanup"),
            ("s_port", "51234"),
            ("service", "443"),
            ("src", "192.0.2.1"),
            ("xlatesrc", "203.0.113.1"),
            ("xlatesport", "4001"),
            ("xlatedport", "0"),
        ];
        let joined = |joint: &str, quote: &str, after: &str| {
            pairs.iter().map(|(k, v)| format!("{k}{joint}{quote}{v}{quote}")).collect::<Vec<_>>().join(after)
        };
        let want = "fw 2025-11-20T08:00:00Z src.ip=192.0.2.1 src.port=51234 dst.ip=198.51.100.7 dst.port=443 proto=tcp direction.stated=inbound action=drop rule=Cleanup \
                    interface.in=eth1 zone.in=Internal zone.out=External nat.src.ip=203.0.113.1 nat.src.port=4001";
        for line in [
            format!("<134>1 2026-11-20T08:12:01Z gw CheckPoint 7776 - [{}]", joined(":", "\"", "; ")),
            format!("<134> 2026-11-20T08:12:01Z gw CheckPoint 7776 - [x@2620 {}]", joined("=", "\"", " ")),
            joined("=", "", "|"),
        ] {
            let shown = show(&FORMAT, &line).replace("severity=info ", "");
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn blades_that_look_for_threats_write_alerts_and_logins_are_told() {
        let line = r#"<134>1 2026-11-20T08:12:01Z gw CheckPoint 7776 - [action:"Detect"; loguid:"{0x1}"; origin:"192.0.2.254"; product:"Anti Malware"; protection_name:"Bot.X"; resource:"http://evil.example/"; src:"192.0.2.1"; dst:"198.51.100.7"; severity:"4"; src_user_name:"Joe Doe (jdoe)"]"#;
        let shown = show(&FORMAT, line);
        assert!(
            shown.starts_with("alert 2026-11-20T08:12:01Z src.ip=192.0.2.1 dst.ip=198.51.100.7 name=evil.example url=http://evil.example/ signature=Bot.X severity=critical action=alert user=jdoe"),
            "{shown}"
        );
        for (operation, status) in [("Log In", "Failure"), ("Failed Log In", "")] {
            let line = format!(
                r#"<134>1 2026-11-20T08:12:01Z gw CheckPoint 7776 - [action:"Accept"; loguid:"{{0x1}}"; origin:"192.0.2.254"; product:"WEB_API"; operation:"{operation}"; audit_status:"{status}"; administrator:"admin"; client_ip:"192.0.2.9"]"#
            );
            assert!(show(&FORMAT, &line).contains("action=login_fail"), "{operation} {status}");
        }
        let line = r#"<134>1 2026-11-20T08:12:01Z gw CheckPoint 7776 - [action:"Accept"; loguid:"{0x1}"; origin:"192.0.2.254"; product:"WEB_API"; operation:"Log In"; administrator:"admin"; client_ip:"192.0.2.9"]"#;
        let shown = show(&FORMAT, line);
        assert!(
            shown.starts_with("auth 2026-11-20T08:12:01Z src.ip=192.0.2.9 severity=info action=login_ok user=admin"),
            "{shown}"
        );
    }
}
