//! WatchGuard Firebox (WatchGuard, "Fireware Log Catalog"): `(2026-11-20T08:12:01) firewall: msg_id="3000-0148" Allow 1-Trusted 0-External 40 tcp 20 127
//! 192.0.2.1 198.51.100.7 51234 443 ... (Policy-00)`.
//!
//! Traffic is by position: disposition, interfaces, for packets length, protocol, header length and TTL, then addresses and ports; proxies leave out
//! lengths and go on in pairs. The policy is named in brackets at the end. The time in brackets is UTC.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, clock, draft, draft::Draft, key_value, lift, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout =
    Layout { name: "watchguard", doc: "WatchGuard Firebox traffic, proxy, alarm and login messages in syslog.", is, read };

fn is(envelope: &Envelope<'_>) -> bool {
    let at = memchr::memmem::find(envelope.message.as_bytes(), b"msg_id=\"").filter(|at| *at < 200);
    at.is_some_and(|at| {
        let id = envelope.message[at + 8..].split('"').next().unwrap_or("");
        id.len() == 9 && id.as_bytes()[4] == b'-' && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    })
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let message = envelope.message;
    let (head, rest) = message.split_at(message.find("msg_id=\"").unwrap_or(0));
    let rest = rest.strip_prefix("msg_id=\"").unwrap_or(rest);
    let (id, body) = rest.split_once('"').unwrap_or((rest, ""));
    let body = body.trim();
    d.text(field::EVENT_CODE, id);
    let inside = head.split_once('(').and_then(|(_, t)| t.split_once(')')).map_or("", |(t, _)| t);
    let time = clock::iso(inside.as_bytes()).map(|s| clock::Stamp { east: Some(s.east.unwrap_or(0)), ..s });
    let time = time.and_then(|s| moments::instant(moments::Moment::Wall(s), envelope, context, out));
    let process = head.trim_end_matches([' ', ':']).rsplit([' ', ')']).next().unwrap_or("");
    d.text(field::PROCESS, process.split('[').next().unwrap_or(""));
    let traffic = matches!(
        body.split(' ').next(),
        Some("Allow" | "Deny" | "Drop" | "Block" | "ProxyAllow" | "ProxyDeny" | "ProxyDrop" | "ProxyBlock" | "ProxyAvScan")
    );
    match traffic {
        true => traffic_of(body, d),
        false => told(body, d),
    }
    let host =
        if envelope.host.is_empty() { head.split([' ', '(']).find(|w| !w.is_empty()).unwrap_or("") } else { envelope.host };
    Said { time, host, ..Said::default() }
}

fn traffic_of(body: &str, d: &mut Draft) {
    let pairs_at = body.find("=\"").and_then(|at| body[..at].rfind(' ')).unwrap_or(body.len());
    let policy = body.rsplit_once('(').map(|(_, t)| t.trim_end_matches(')')).filter(|_| body.ends_with(')'));
    let end = policy.map_or(body.len(), |p| body.len() - p.len() - 2).max(1);
    let mut words = body[..pairs_at.min(end)].split_ascii_whitespace();
    let disposition = words.next().unwrap_or("");
    let action = verdict_words::action(disposition.strip_prefix("Proxy").unwrap_or(disposition));
    d.text(field::ACTION, &action);
    if action != disposition {
        d.keep("disposition", disposition);
    }
    // Interfaces may hold spaces; the protocol is the first word that names one.
    let rest: Vec<&str> = words.collect();
    let protocol = rest.iter().position(|w| {
        crate::model::proto::parse(w).is_some() && w.bytes().any(|b| b.is_ascii_alphabetic())
            || w.contains("/tcp")
            || w.contains("/udp")
    });
    let Some(at) = protocol else {
        d.partial = true;
        d.text(field::MESSAGE, body);
        return;
    };
    let application = rest[at].split_once('/');
    d.put(field::PROTO, application.map_or(rest[at], |(_, p)| p));
    if let Some((name, _)) = application {
        d.text(field::APP, name);
    }
    let length = rest.get(at.wrapping_sub(1)).filter(|w| w.bytes().all(|b| b.is_ascii_digit()));
    let interfaces = &rest[..at - usize::from(length.is_some())];
    // What a session has sent says more than the length of its first packet.
    if let Some(bytes) = length {
        match body.contains(" sent_bytes=") {
            true => d.keep("length", bytes),
            false => _ = d.put(field::BYTES_OUT, bytes),
        }
    }
    d.text(field::IFACE_IN, interfaces.first().copied().unwrap_or(""));
    d.text(field::IFACE_OUT, interfaces.get(1).copied().unwrap_or(""));
    let mut after = rest[at + 1..].iter().copied().skip_while(|w| draft::address(w).is_none());
    d.addr(field::SRC_IP, after.next().unwrap_or(""));
    d.addr(field::DST_IP, after.next().unwrap_or(""));
    let mut left = after.peekable();
    let mut number = || left.next_if(|w| w.parse::<u16>().is_ok()).and_then(|w| w.parse::<u64>().ok());
    match (d.record.uint(field::PROTO), number(), number()) {
        (Some(1 | 58), Some(kind), Some(code)) => d.icmp(kind, code),
        (Some(6 | 17 | 132), from, to) => {
            from.map(|p| d.uint(field::SRC_PORT, p));
            to.map(|p| d.uint(field::DST_PORT, p));
        }
        _ => {}
    }
    d.keep("packet", &left.collect::<Vec<_>>().join(" "));
    let end = end.max(pairs_at);
    let pairs = key_value::pairs(&body[pairs_at..end]);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let mut more = Vec::new();
    for (key, value) in &pairs {
        match *key {
            "op" => _ = d.text(field::HTTP_METHOD, value),
            "dstname" | "arg" => {}
            "src_user" => more.push(("user", *value)),
            "src_ip_nat" => more.push(("natsrcip", *value)),
            "src_port_nat" => more.push(("natsrcport", *value)),
            "dst_ip_nat" => more.push(("natdstip", *value)),
            "dst_port_nat" => more.push(("natdstport", *value)),
            "app_name" => _ = d.text(field::APP, value),
            "cats" => more.push(("category", *value)),
            "signature_name" => more.push(("attack", *value)),
            "sni" => more.push(("sni", *value)),
            _ => more.push((key, *value)),
        }
    }
    vendor_values::fill(&more, true, d);
    if !one("dstname").is_empty() {
        d.text(field::NAME, one("dstname"));
        let scheme = if d.record.uint(field::DST_PORT) == Some(443) { "https" } else { "http" };
        d.text(field::URL, &super::web::url(scheme, one("dstname"), 0, one("arg")));
    }
    d.text(field::RULE, policy.unwrap_or(""));
    d.record.kind = match d.has(field::SIGNATURE) || d.has(field::SIGNATURE_ID) {
        true => Kind::Alert,
        false if d.has(field::URL) => Kind::Http,
        false => Kind::Fw,
    };
    d.partial |= !d.has(field::SRC_IP);
}

/// Alarms, logins and the rest.
fn told(body: &str, d: &mut Draft) {
    d.text(field::MESSAGE, body);
    let action = verdict_words::phrase(body).or_else(|| verdict_words::login_action(body, body));
    if let Some(action) = action {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, action);
        let user = body
            .split_once("user ")
            .or_else(|| body.split_once("User "))
            .map_or("", |(_, t)| t.split([' ', '@']).next().unwrap_or(""));
        d.text(field::USER, user.trim_matches(['"', '\'']));
    }
    lift::lift(body, d);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn traffic_is_read_by_position_and_the_rest_by_its_words() {
        for (tail, want) in [
            (
                "firewall: msg_id=\"3000-0148\" Deny 0-External 1-Trusted 40 tcp 20 127 203.0.113.9 192.0.2.1 51234 23 offset 5 S 123 win 8192 (Unhandled External Packet-00)",
                "fw 2026-11-20T14:12:01Z src.ip=203.0.113.9 src.port=51234 dst.ip=192.0.2.1 dst.port=23 proto=tcp bytes.out=40 action=deny rule=Unhandled External Packet-00 interface.in=0-External interface.out=1-Trusted hostname=fb1 process=firewall event.code=3000-0148",
            ),
            (
                "http-proxy[1]: msg_id=\"1AFF-0024\" Allow 1-Trusted 0-External tcp 192.0.2.1 198.51.100.7 38443 80 msg=\"HTTP request\" proxy_act=\"HTTP-Client\" op=\"GET\" dstname=\"www.example.com\" arg=\"/a\" sent_bytes=\"100\" rcvd_bytes=\"200\" src_user=\"joe@Firebox-DB\" (HTTP-proxy-00)",
                "http 2026-11-20T14:12:01Z src.ip=192.0.2.1 src.port=38443 dst.ip=198.51.100.7 dst.port=80 proto=tcp bytes.out=100 bytes.in=200 name=www.example.com url=http://www.example.com/a http.method=GET action=allow rule=HTTP-proxy-00 interface.in=1-Trusted interface.out=0-External user=joe@Firebox-DB",
            ),
            (
                "sessiond[3]: msg_id=\"3E00-0004\" SSL VPN user joe@Firebox-DB from 203.0.113.9 logged in",
                "auth 2026-11-20T14:12:01Z src.ip=203.0.113.9 action=login_ok user=joe",
            ),
        ] {
            let shown =
                show(&FORMAT, &format!("<140>Nov 20 08:12:01 FB1 (2026-11-20T14:12:01) {tail}")).replace("severity=medium ", "");
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
