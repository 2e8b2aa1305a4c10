//! FortiGate's logs: `key=value` pairs, values in quotes where they hold spaces (Fortinet, "FortiOS Log Message Reference").
//!
//! Traffic logs are written at the end (or during a long session: then `sentdelta`): the record lasts `duration` before it. The time is `eventtime`
//! (seconds to nanoseconds) where there is one, else `date` and `time` with `tz`. Totals of one session repeat in its later logs and must not
//! be summed; `uid` is the session. UTM logs with an attack are alerts, logins auth records.

use super::{Context, Format, Framing, Out, Reader, Sniff, clock, draft, draft::Draft, envelope, head, syslog};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Fortigate = Fortigate;

/// FortiGate.
pub struct Fortigate;

impl Format for Fortigate {
    fn name(&self) -> &'static str {
        "fortigate"
    }
    fn doc(&self) -> &'static str {
        "Fortinet FortiGate traffic, UTM and event logs as key=value, with or without syslog envelope."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| start(envelope::open(l).message).is_some()) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

/// Where the pairs begin, of a message that is one of FortiGate's.
pub(super) fn start(message: &str) -> Option<usize> {
    let at = memchr::memmem::find(message.as_bytes(), b"date=").filter(|at| *at < 256)?;
    let body = &message[at..];
    let has = |key: &str| memchr::memmem::find(body.as_bytes(), key.as_bytes()).is_some();
    (has(" time=") && has("type=") && (has(" devid=") || has(" logid="))).then_some(at)
}

/// Pairs in order; a value in quotes may hold `\"`.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut pairs = Vec::with_capacity(48);
    let mut at = 0;
    while pairs.len() < 256 {
        while matches!(bytes.get(at), Some(b' ' | b',' | b'\t')) {
            at += 1;
        }
        let Some(equals) = memchr::memchr(b'=', &bytes[at..]).map(|n| n + at) else { break };
        // A word without `=` before the key is not of the pair.
        let key = text[at..equals].rsplit([' ', ',']).next().unwrap_or("");
        let from = equals + 1;
        let end = match bytes.get(from) {
            Some(b'"') => {
                let mut end = from + 1;
                loop {
                    match memchr::memchr2(b'"', b'\\', bytes.get(end..).unwrap_or(&[])).map(|n| n + end) {
                        Some(n) if bytes[n] == b'\\' => end = n + 2,
                        Some(n) => break n,
                        None => break bytes.len(),
                    }
                }
            }
            _ => memchr::memchr(b' ', &bytes[from..]).map_or(bytes.len(), |n| n + from),
        };
        let value = text.get(from..end).unwrap_or("");
        pairs.push((key, value.strip_prefix('"').unwrap_or(value).trim_end_matches(',')));
        at = end + 1;
        if at >= bytes.len() {
            break;
        }
    }
    pairs
}

/// When a message was written.
pub(super) fn time(message: &str, context: &Context, out: &mut Out) -> Option<Time> {
    let pairs = pairs(&message[start(message)?..]);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    if let Some(time) = clock::epoch(one("eventtime")).filter(|t| t.0 > 0) {
        return Some(time);
    }
    clock::any(&format!("{} {}{}", one("date"), one("time"), one("tz")), context, out)
}

const KEYS: &[(&str, FieldId)] = &[
    ("srcip", field::SRC_IP),
    ("srcport", field::SRC_PORT),
    ("dstip", field::DST_IP),
    ("dstport", field::DST_PORT),
    ("proto", field::PROTO),
    ("srcintf", field::IFACE_IN),
    ("dstintf", field::IFACE_OUT),
    ("srcmac", field::SRC_MAC),
    ("dstmac", field::DST_MAC),
    ("sessionid", field::UID),
    ("policyid", field::RULE),
    ("logid", field::EVENT_CODE),
    ("sentbyte", field::BYTES_OUT),
    ("rcvdbyte", field::BYTES_IN),
    ("sentpkt", field::PACKETS_OUT),
    ("rcvdpkt", field::PACKETS_IN),
    ("hostname", field::NAME),
    ("qname", field::NAME),
    ("qtype", field::DNS_TYPE),
    ("agent", field::HTTP_AGENT),
    ("referralurl", field::HTTP_REFERER),
    ("user", field::USER),
    ("unauthuser", field::USER),
    ("attack", field::SIGNATURE),
    ("virus", field::SIGNATURE),
    ("attackid", field::SIGNATURE_ID),
    ("filename", field::FILE_NAME),
    ("filesize", field::FILE_SIZE),
    ("filehash", field::SHA256),
    ("catdesc", field::CATEGORY),
    ("devname", field::HOSTNAME),
    ("reason", field::REASON),
    ("assignip", field::LEASE),
];

/// Reads a message for which [`start`] holds; gives the device.
pub(super) fn read<'a>(message: &'a str, d: &mut Draft) -> &'a str {
    let pairs = pairs(&message[start(message).unwrap_or(0)..]);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let (kind, subtype) = (one("type"), one("subtype"));
    let action = one("action");
    d.record.kind = match (kind, subtype) {
        ("traffic", _) => Kind::Fw,
        (_, "ips" | "virus" | "anomaly" | "waf") => Kind::Alert,
        (_, "webfilter") => Kind::Http,
        (_, "dns") => Kind::Dns,
        (_, "app-ctrl" | "ssl" | "dlp" | "file-filter" | "emailfilter") => Kind::Fw,
        ("event", _) if matches!(action, "login" | "logout" | "auth-logon" | "auth-logout" | "authentication") => Kind::Auth,
        ("event", "vpn") if action.starts_with("tunnel-") || action.starts_with("ssl-") => Kind::Auth,
        _ => Kind::Log,
    };
    d.text(field::ACTION, said(action, one("status"), one("utmaction"), d.record.kind));
    for (key, value) in &pairs {
        pair(key, value, d);
    }
    target(one("url"), one("hostname"), one("service"), d);
    translation(one("trandisp"), &[one("transip"), one("transport"), one("tranip"), one("tranport")], d);
    if let Some(rank) = super::json_lines::level(one("level")) {
        d.uint(field::SEVERITY, rank);
    }
    if let Some(nanos) = draft::seconds(one("duration")).filter(|_| d.record.kind == Kind::Fw) {
        d.uint(field::ELAPSED, nanos);
        d.record.start = d.record.end.plus(-i64::try_from(nanos).unwrap_or(0));
    }
    d.partial |= kind == "traffic" && !d.has(field::SRC_IP);
    one("devname")
}

fn pair(key: &str, value: &str, d: &mut Draft) {
    if value.is_empty() || value == "N/A" {
        return;
    }
    match key {
        "date" | "time" | "eventtime" | "tz" | "level" | "duration" | "url" | "transip" | "transport" | "tranip" | "tranport" => {
        }
        "action" if d.record.text(field::ACTION) == Some(value) => {}
        "msg" | "logdesc" => {
            if !d.text(field::MESSAGE, value) {
                d.keep(key, value);
            }
        }
        "remip" | "ip" => {
            if !d.addr(field::SRC_IP, value) {
                d.keep(key, value);
            }
        }
        "filehash" if value.len() != 64 => d.keep(key, value),
        "hostname" if draft::address(value).is_some() => d.keep(key, value),
        "ipaddr" => value.split(',').for_each(|a| _ = d.addr(field::ANSWER_IP, a)),
        "srcport" | "dstport" if matches!(d.record.uint(field::PROTO), Some(1 | 58)) => d.keep(key, value),
        _ => match KEYS.iter().find(|(k, _)| *k == key) {
            Some((_, id)) => d.put_or_keep(*id, key, value),
            None => d.keep(key, value),
        },
    }
}

fn said<'a>(action: &'a str, status: &str, utm: &str, kind: Kind) -> &'a str {
    match (kind, action, status) {
        (Kind::Auth, "login" | "auth-logon" | "authentication", "failed" | "failure") => return "login_fail",
        (Kind::Auth, "login" | "auth-logon" | "authentication", _) => return "login_ok",
        (Kind::Auth, "logout" | "auth-logout" | "tunnel-down" | "ssl-exit-fail", _) => return "logout",
        (Kind::Auth, "tunnel-up", _) => return "start",
        (Kind::Auth, "ssl-login-fail", _) => return "login_fail",
        _ => {}
    }
    if utm == "block" {
        return "deny";
    }
    match action {
        "accept" | "passthrough" | "pass" | "permit" | "detected" | "monitored" | "exempt" => "allow",
        "deny" | "blocked" | "block" | "violation" => "deny",
        "dropped" | "drop_session" => "drop",
        "client-rst" | "server-rst" | "reset" | "reset_client" | "reset_server" => "reset",
        other => other,
    }
}

/// The URL: the log has its path and the host apart.
fn target(path: &str, host: &str, service: &str, d: &mut Draft) {
    if path.is_empty() {
        return;
    }
    let scheme = if service.eq_ignore_ascii_case("https") { "https" } else { "http" };
    let port = d.record.uint(field::DST_PORT).unwrap_or(0);
    match host.is_empty() {
        true => _ = d.text(field::URL, path),
        false => _ = d.text(field::URL, &super::web::url(scheme, host, port, path)),
    }
}

fn translation(disposition: &str, [source, source_port, dest, dest_port]: &[&str; 4], d: &mut Draft) {
    let mut give = |ip: FieldId, port: FieldId, address: &str, number: &str| {
        if let Some(address) = draft::address(address).filter(|a| !a.is_unspecified()) {
            d.give(ip, Value::Addr(address));
            if number != "0" {
                d.put(port, number);
            }
        }
    };
    if disposition.contains("snat") {
        give(field::NAT_SRC_IP, field::NAT_SRC_PORT, source, source_port);
    }
    if disposition.contains("dnat") {
        give(field::NAT_DST_IP, field::NAT_DST_PORT, dest, dest_port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_session_has_its_translation_and_lasts_until_it_was_logged() {
        let line = r#"<189>date=2020-04-23 time=12:11:51 devname="newfirewall" devid="newrouterid" logid="0000000020" type="traffic" subtype="forward" level="notice" vd="root" eventtime=1587229911390385486 tz="-0500" srcip=192.168.10.10 srcport=6000 srcintf="port1" dstip=67.43.156.13 dstport=6000 dstintf="wan1" sessionid=4352 proto=17 action="accept" policyid=3426 service="portname" trandisp="snat" transip=67.43.156.14 transport=60964 duration=5462 sentbyte=438650 rcvdbyte=65446 sentpkt=723417 rcvdpkt=1045601"#;
        assert_eq!(
            show(&FORMAT, line),
            "fw 2020-04-18T15:40:49.390385486Z..2020-04-18T17:11:51.390385486Z src.ip=192.168.10.10 src.port=6000 dst.ip=67.43.156.13 dst.port=6000 proto=udp \
             uid=4352 packets.out=723417 packets.in=1045601 bytes.out=438650 bytes.in=65446 severity=low action=allow rule=3426 interface.in=port1 \
             interface.out=wan1 nat.src.ip=67.43.156.14 nat.src.port=60964 hostname=newfirewall elapsed=1h31m2s event.code=0000000020 \
             extra={\"devid\":\"newrouterid\",\"type\":\"traffic\",\"subtype\":\"forward\",\"vd\":\"root\",\"action\":\"accept\",\"service\":\"portname\",\
             \"trandisp\":\"snat\",\"syslog.facility\":23} sensor=newfirewall"
        );
    }

    #[test]
    fn local_times_have_the_zone_that_the_line_states() {
        let line = r#"date=2026-11-20 time=12:11:51 devid="x" logid="1" type="event" subtype="system" tz="+0100" action="login" status="failed" user="a \"b" srcip=192.0.2.1 msg="m, n=1""#;
        assert_eq!(
            show(&FORMAT, line),
            "auth 2026-11-20T11:11:51Z src.ip=192.0.2.1 action=login_fail user=a \\\"b message=m, n=1 event.code=1 \
             extra={\"devid\":\"x\",\"type\":\"event\",\"subtype\":\"system\",\"action\":\"login\",\"status\":\"failed\"}"
        );
    }
}
