//! Sophos Firewall (SFOS, Cyberoam; Sophos, "Syslog guide") and Sophos UTM (ulogd packet filter, http proxy, IPS, logins): `key="value"` pairs.
//!
//! SFOS states `date`, `time` and a `timezone` by abbreviation, newer versions `timestamp` with its offset; a session's line is written at its end
//! and lasts `duration` seconds before. UTM begins its lines with `2026:11:20-08:12:01`, without a zone.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, clock, draft, draft::Draft, key_value, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "sophos",
    doc: "Sophos Firewall (SFOS, Cyberoam) and Sophos UTM as key=value in syslog: rules, web, IPS, threats, logins.",
    is,
    read,
};

fn has(text: &str, key: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), key.as_bytes()).is_some()
}

fn is(envelope: &Envelope<'_>) -> bool {
    let m = envelope.message;
    let firewall =
        has(m, "log_id=") && has(m, "log_type=") && (has(m, "device_id=") || has(m, "device_serial_id=") || has(m, "device="));
    firewall || has(m, " sys=\"") && has(m, " sub=\"") && has(m, "id=\"") && has(m, " name=\"")
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let pairs = key_value::pairs(envelope.message);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        match *key {
            "date" | "time" | "timezone" | "timestamp" | "duration" => {}
            "log_id" | "id" => d.put_or_keep(field::EVENT_CODE, key, value),
            "log_subtype" | "status" | "action" => {}
            "log_component" | "log_type" | "sys" | "sub" => d.keep(key, value),
            "tran_src_ip" => left.push(("natsrcip", *value)),
            "tran_src_port" => left.push(("natsrcport", *value)),
            "tran_dst_ip" => left.push(("natdstip", *value)),
            "tran_dst_port" => left.push(("natdstport", *value)),
            "fw_rule_name" | "fw_rule_id" | "fwrule" => d.put_or_keep(field::RULE, key, value),
            "initf" => d.put_or_keep(field::IFACE_IN, key, value),
            "outitf" => d.put_or_keep(field::IFACE_OUT, key, value),
            "name" => d.put_or_keep(field::MESSAGE, key, value),
            "priority" => left.push(("severity", *value)),
            "device_name" | "device_model" => d.keep(key, value),
            "size" => left.push(("bytesin", *value)),
            "recv_bytes" => left.push(("bytesin", *value)),
            "sent_pkts" => left.push(("packetssent", *value)),
            "recv_pkts" => left.push(("packetsreceived", *value)),
            "sig_id" => d.put_or_keep(field::SIGNATURE_ID, key, value),
            "signature_msg" => d.put_or_keep(field::SIGNATURE, key, value),
            "categoryname" => d.put_or_keep(field::CATEGORY, key, value),
            "usergroupname" | "user_gp" | "category" if !one("categoryname").is_empty() => d.keep(key, value),
            "download_file_name" => d.put_or_keep(field::FILE_NAME, key, value),
            "domain" if value.contains('.') => left.push(("fqdn", *value)),
            "dstdomain" => left.push(("fqdn", *value)),
            _ => left.push((key, *value)),
        }
    }
    vendor_values::fill(&left, true, d);
    told(&one, d);
    d.text(field::PROCESS, stamped(envelope.message).map_or("", |(_, process)| process));
    let lasted = draft::seconds(one("duration")).filter(|n| *n > 0);
    if let Some(nanos) = lasted {
        d.uint(field::ELAPSED, nanos);
    }
    Said {
        time: time(&one, envelope, context, out),
        lasted: lasted.filter(|_| d.record.kind == Kind::Fw),
        host: [one("device_name"), stamped(envelope.message).map_or("", |(host, _)| host)]
            .into_iter()
            .find(|h| !h.is_empty())
            .unwrap_or(""),
        ..Said::default()
    }
}

/// Host and program after a time of UTM's form.
fn stamped(message: &str) -> Option<(&str, &str)> {
    let bytes = message.as_bytes();
    let shape = bytes.len() > 19
        && bytes[4] == b':'
        && bytes[7] == b':'
        && bytes[10] == b'-'
        && bytes[..4].iter().all(u8::is_ascii_digit);
    let mut words = message.get(20..).filter(|_| shape)?.split(' ');
    Some((words.next()?, words.next()?.split(['[', ':']).next()?))
}

fn time<'a>(one: &impl Fn(&str) -> &'a str, envelope: &Envelope<'_>, context: &Context, out: &mut Out) -> Option<Time> {
    if let Some(time) = moments::time(one("timestamp"), envelope, context, out) {
        return Some(time);
    }
    let (date, clock, zone) = (one("date"), one("time"), one("timezone"));
    if !date.is_empty() {
        let text = format!("{date} {clock} {zone}");
        let text = if moments::moment(&text).is_some() { text } else { format!("{date} {clock}") };
        return moments::time(&text, envelope, context, out);
    }
    // `2026:11:20-08:12:01`
    let bytes = envelope.message.as_bytes();
    let text: Vec<u8> = bytes
        .iter()
        .take(19)
        .enumerate()
        .map(|(n, b)| {
            if matches!(n, 4 | 7) {
                b'-'
            } else if n == 10 {
                b'T'
            } else {
                *b
            }
        })
        .collect();
    let stamp = stamped(envelope.message).and_then(|_| clock::iso(&text))?;
    moments::instant(moments::Moment::Wall(stamp), envelope, context, out)
}

fn told<'a>(one: &impl Fn(&str) -> &'a str, d: &mut Draft) {
    let (kind, component, subtype) = (one("log_type"), one("log_component"), one("log_subtype"));
    let words = [one("action"), subtype, one("status")];
    let login =
        component.contains("Authentication") || one("sub") == "auth" || kind == "Event" && one("message").contains("logged");
    let outcome = verdict_words::outcome(one("status")).or_else(|| verdict_words::outcome(one("message")));
    let action = match words.iter().find_map(|w| verdict_words::known(w)) {
        _ if login && one("message").contains("logged out") => "logout",
        _ if login && outcome == Some(true) => "login_ok",
        _ if login && outcome == Some(false) => "login_fail",
        Some(action) => action,
        None => words.iter().find(|w| !w.is_empty()).copied().unwrap_or(""),
    };
    d.text(field::ACTION, action);
    for (key, word) in ["action", "log_subtype", "status"].iter().zip(words) {
        if word != action {
            d.keep(key, word);
        }
    }
    d.record.kind = match (kind, component) {
        _ if matches!(action, "login_ok" | "login_fail" | "logout") => Kind::Auth,
        ("IDP" | "IPS" | "Anti-Virus" | "Anti Virus" | "ATP" | "Sandbox" | "Sandstorm" | "Zero-day protection", _) => Kind::Alert,
        ("Content Filtering" | "WAF", _) => Kind::Http,
        ("Firewall" | "SSL/TLS inspection", _) => Kind::Fw,
        _ if one("sub") == "packetfilter" => Kind::Fw,
        _ if one("sub") == "ips" => Kind::Alert,
        _ if one("sub") == "http" => Kind::Http,
        _ => vendor_values::kind(d),
    };
    if d.record.kind == Kind::Alert {
        let names = [one("signature_msg"), one("reason"), one("virus"), one("threatname"), one("name"), kind];
        d.text(field::SIGNATURE, names.iter().find(|n| !n.is_empty()).copied().unwrap_or(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn both_products_say_who_was_let_through() {
        for (line, want) in [
            (
                r#"<30>device="SFW" date=2026-11-20 time=08:12:10 timezone="GMT" device_name="XG1" device_id=S1 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" status="Allow" priority=Information duration=10 fw_rule_id=2 user_name="joe" in_interface="Port1" out_interface="Port2" src_ip=192.0.2.1 dst_ip=198.51.100.7 protocol="TCP" src_port=6245 dst_port=80 sent_bytes=60 recv_bytes=90 tran_src_ip=203.0.113.1 tran_src_port=4001 srczone="LAN" dstzone="WAN""#,
                "fw 2026-11-20T08:12:00Z..2026-11-20T08:12:10Z src.ip=192.0.2.1 src.port=6245 dst.ip=198.51.100.7 dst.port=80 proto=tcp bytes.out=60 bytes.in=90 severity=info action=allow rule=2 interface.in=Port1 interface.out=Port2 zone.in=LAN zone.out=WAN nat.src.ip=203.0.113.1 nat.src.port=4001 user=joe",
            ),
            (
                r#"<30>2026:11:20-08:12:01 utm ulogd[44]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped" action="drop" fwrule="60001" initf="eth1" srcmac="02:00:00:00:00:01" dstmac="02:00:00:00:00:02" srcip="203.0.113.9" dstip="192.0.2.1" proto="6" length="40" tos="0x00" ttl="55" srcport="50123" dstport="23" tcpflags="SYN""#,
                "fw 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=50123 dst.ip=192.0.2.1 dst.port=23 proto=tcp src.mac=02:00:00:00:00:01 dst.mac=02:00:00:00:00:02 severity=info action=drop rule=60001 interface.in=eth1",
            ),
            (
                r#"<30>2026:11:20-08:12:01 utm httpproxy[7]: id="0001" severity="info" sys="SecureWeb" sub="http" name="http access" action="pass" method="GET" srcip="192.0.2.1" dstip="198.51.100.7" user="joe" statuscode="200" size="2000" url="http://www.example.com/" categoryname="News""#,
                "http 2026-11-20T08:12:01Z src.ip=192.0.2.1 dst.ip=198.51.100.7 bytes.in=2000 name=www.example.com url=http://www.example.com/ http.method=GET http.status=200 severity=info category=News action=allow user=joe",
            ),
            (
                r#"<30>device="SFW" date=2026-11-20 time=08:12:01 device_name="XG1" device_id=S1 log_id=062910617703 log_type="Event" log_component="GUI" log_subtype="Admin" status="Failed" user_name="admin" src_ip=203.0.113.9 message="User admin failed to login; logged"#,
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
