//! Citrix NetScaler ADC (Citrix, "NetScaler Syslog Message Reference"): `... 0-PPE-0 : default TCP CONN_DELINK 100 0 :  Source 192.0.2.1:1000 - Vserver
//! 198.51.100.7:443 - NatIP ... - Destination ... - Total_bytes_send 1 ...`.
//!
//! The header has a time as `MM/DD/YYYY:hh:mm:ss` (or `DD/MM/...`, as the device is set) with `GMT` or without a zone; the body's parts are separated by
//! ` - `, each a name of one or more words and its value. `Vserver` is who was addressed, `Destination` the server behind it: that is the translation.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, clock, draft::Draft, lift, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "netscaler",
    doc: "Citrix NetScaler ADC connections, VPN sessions, logins, application firewall and commands in syslog.",
    is,
    read,
};

/// Features, as the header names them before the event.
const FEATURES: [&str; 19] = [
    "TCP",
    "SSLVPN",
    "AAA",
    "AAATM",
    "UI",
    "GUI",
    "CLI",
    "API",
    "APPFW",
    "SSLLOG",
    "EVENT",
    "ACL",
    "SNMP",
    "RESPONDER",
    "REWRITE",
    "ICA",
    "DNS",
    "ROUTING",
    "BOT",
];

/// What stands before the body.
struct Header<'a> {
    before: &'a str,
    feature: &'a str,
    event: &'a str,
    body: &'a str,
}

fn parse(message: &str) -> Option<Header<'_>> {
    // `... : [partition] FEATURE EVENT number [0] : body`; the part before the first colon may have been taken for a program.
    let (before, rest) = match message.find(" : ") {
        Some(at) => (&message[..at], &message[at + 3..]),
        None => ("", message),
    };
    header(before, rest).or_else(|| header("", message))
}

fn header<'a>(before: &'a str, rest: &'a str) -> Option<Header<'a>> {
    let mut words = rest.split_ascii_whitespace();
    let mut feature = words.next()?;
    let mut event = words.next()?;
    if !FEATURES.contains(&feature) || !is_event(event) {
        (feature, event) = (event, words.next()?);
    }
    if !FEATURES.contains(&feature) || !is_event(event) {
        return None;
    }
    let from = event.as_ptr() as usize - rest.as_ptr() as usize + event.len();
    let tail = &rest[from..];
    let body = tail.split_once(" : ").map_or(tail, |(_, b)| b);
    Some(Header { before, feature, event, body: body.trim() })
}

fn is_event(word: &str) -> bool {
    word.len() >= 4
        && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_uppercase())
}

fn of<'a>(envelope: &Envelope<'a>) -> Option<Header<'a>> {
    if let Some(header) = parse(envelope.message).filter(|h| envelope.process.is_empty() || h.body.len() < envelope.message.len())
    {
        return Some(header);
    }
    // The feature as program, the partition and the event in the message: `default CONN 10000 0 :  Source ...`.
    let mut words = envelope.message.split_ascii_whitespace();
    let event = words.nth(1).filter(|w| is_event(w) && FEATURES.contains(&envelope.process))?;
    let (_, body) = envelope.message.split_once(" : ")?;
    Some(Header { before: "", feature: envelope.process, event, body: body.trim() })
}

fn is(envelope: &Envelope<'_>) -> bool {
    of(envelope)
        .is_some_and(|h| h.body.contains(" - ") || h.before.contains("-PPE-") || matches!(h.feature, "APPFW" | "ACL" | "EVENT"))
}

/// `Name value` or `Name of words value`: the value of a part whose name begins so.
fn part<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    body.split(" - ").map(str::trim).find_map(|p| {
        let rest = p.strip_prefix(name)?;
        rest.starts_with([' ', ':', '=']).then(|| rest.trim_matches([' ', ':', '=', '"']))
    })
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some(header) = of(envelope) else { return Said::default() };
    let body = header.body;
    d.text(field::EVENT_CODE, &format!("{} {}", header.feature, header.event));
    let one = |names: &[&str]| names.iter().find_map(|n| part(body, n)).unwrap_or("");
    let mut pairs: Vec<(&str, &str)> = vec![
        ("src", one(&["Source", "Client_ip", "ClientIP", "Remote_ip", "Client IP"])),
        ("dst", one(&["Vserver", "VserverServiceIP"])),
        ("user", one(&["User", "user"])),
        ("packetssent", one(&["Total_packets_send"])),
        ("method", one(&["Method"])),
        ("useragent", one(&["Browser_type", "Browser"])),
    ];
    let destination = one(&["Destination", "ServerIP"]);
    match one(&["Vserver", "VserverServiceIP"]).is_empty() {
        true => pairs.push(("dst", destination)),
        false => pairs.push(("natdst", destination)),
    }
    if !matches!(one(&["Nat_ip", "NatIP"]), "Mapped Ip" | "") {
        pairs.push(("natsrc", one(&["NatIP", "Nat_ip"])));
    }
    if let Some((port, protocol)) = one(&["ServerPort"]).split_once(' ') {
        pairs.extend([("dstport", port), ("proto", protocol)]);
    }
    pairs.push(("srcport", one(&["ClientPort"])));
    vendor_values::fill(&pairs, true, d);
    // What the device sent to the client came from the responder.
    d.put(field::BYTES_IN, one(&["Total_bytes_send"]));
    d.put(field::BYTES_OUT, one(&["Total_bytes_recv"]));
    d.text(field::REASON, one(&["Failure_reason", "Reason", "Logout_method"]));
    d.text(field::UID, one(&["SessionId"]).split([' ', '-']).next().unwrap_or(""));
    // `Context joe@192.0.2.1`
    if let Some((user, address)) = one(&["Context"]).split_once('@') {
        d.text(field::USER, user);
        d.addr(field::SRC_IP, address.split(' ').next().unwrap_or(""));
    }
    told(&header, d);
    d.text(field::MESSAGE, body);
    if d.record.kind == Kind::Log {
        lift::lift(body, d);
    }
    let mut stamp = |text: &str| time(text).and_then(|s| moments::instant(moments::Moment::Wall(s), envelope, context, out));
    let (began, ended) = (stamp(one(&["Start Time", "Start_time"])), stamp(one(&["End Time", "End_time", "Delink Time"])));
    let own = header.before.split_ascii_whitespace().find(|w| w.len() >= 19 && w.contains(':') && w.contains('/')).unwrap_or("");
    let zone = if header.before.contains(" GMT") { " GMT" } else { "" };
    let time = began.or_else(|| stamp(&format!("{own}{zone}")));
    let named =
        |w: &&str| !w.contains('/') && !w.contains("-PPE-") && *w != "GMT" && !w.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let host =
        if envelope.host.is_empty() { header.before.split_ascii_whitespace().find(named).unwrap_or("") } else { envelope.host };
    Said { time, end: began.and(ended), host, ..Said::default() }
}

/// `26/03/2025:21:13:15 GMT`, `03/26/2025:21:13:15`.
fn time(text: &str) -> Option<clock::Stamp> {
    let mut bytes = text.trim().as_bytes().to_vec();
    *bytes.get_mut(10).filter(|b| **b == b':')? = b' ';
    let mut stamp = clock::numeric(&bytes)?;
    if bytes.get(stamp.len..).is_some_and(|rest| rest.starts_with(b" GMT")) {
        stamp.east = Some(0);
    }
    Some(stamp)
}

fn told(header: &Header<'_>, d: &mut Draft) {
    let (body, event) = (header.body, header.event);
    let status = part(body, "Status").unwrap_or("");
    let (kind, action) = match (header.feature, event) {
        ("TCP", "CONN_TERMINATE" | "NAT_CONN_TERMINATE") | (_, "CONN_DELINK" | "OTHERCONN_DELINK" | "NAT_OTHERCONN_DELINK") => {
            (Kind::Fw, "close")
        }
        ("TCP", _) => (Kind::Fw, if event.contains("TERMINATE") || event.contains("DELINK") { "close" } else { "start" }),
        ("ACL", _) => (Kind::Fw, verdict_words::decision(&body.to_ascii_lowercase()).unwrap_or("")),
        ("APPFW" | "BOT", _) => {
            d.text(field::SIGNATURE, event);
            let blocked = body.contains("<blocked>");
            (Kind::Alert, if blocked { "deny" } else { "alert" })
        }
        (_, "LOGIN" | "LOGIN_SUCCESS" | "AAA_LOGIN") => (Kind::Auth, "login_ok"),
        (_, "LOGIN_FAILED" | "LOGIN_FAILURE") => (Kind::Auth, "login_fail"),
        (_, "LOGOUT" | "CLISEC_EXP_CHECK") => (Kind::Auth, "logout"),
        (_, "TCPCONNSTAT" | "UDPFLOWSTAT") => (Kind::Fw, "close"),
        (_, "TCPCONN_TIMEDOUT") => (Kind::Fw, "timeout"),
        (_, "HTTPREQUEST") => (Kind::Http, "allow"),
        (_, "HTTP_RESOURCEACCESS_DENIED" | "NONHTTP_RESOURCEACCESS_DENIED") => (Kind::Http, "deny"),
        (_, "CMD_EXECUTED") if body.contains("\"login ") => (
            Kind::Auth,
            if verdict_words::outcome(status) == Some(false) || status.contains("ERROR") { "login_fail" } else { "login_ok" },
        ),
        (_, "CMD_EXECUTED") if body.contains("\"logout") => (Kind::Auth, "logout"),
        _ => (Kind::Log, ""),
    };
    d.record.kind = kind;
    d.text(field::ACTION, action);
    // `... <blocked>`: the URL stands before it.
    if let Some(url) = body.split_ascii_whitespace().find(|w| w.starts_with("http://") || w.starts_with("https://")) {
        vendor_values::fill(&[("url", url)], false, d);
    }
    if header.feature == "APPFW" {
        let client = body.split_ascii_whitespace().next().unwrap_or("");
        vendor_values::fill(&[("src", client)], false, d);
    }
    if event == "HTTPREQUEST" {
        let request = after(body, " GET ").map(|r| ("GET", r)).or_else(|| after(body, " POST ").map(|r| ("POST", r)));
        if let Some((method, rest)) = request {
            d.text(field::HTTP_METHOD, method);
            d.text(field::HTTP_URI, rest.split(' ').next().unwrap_or(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn events_of_every_feature_are_told() {
        for (tail, want) in [
            (
                "default TCP CONN_DELINK 100 0 :  Source 192.0.2.1:1000 - Vserver 198.51.100.7:443 - NatIP 203.0.113.1:4001 - Destination 192.0.2.80:8080 - Delink Time 11/20/2026:08:12:01 GMT - Total_bytes_send 2000 - Total_bytes_recv 100",
                "fw 2026-11-20T08:12:02Z src.ip=192.0.2.1 src.port=1000 dst.ip=198.51.100.7 dst.port=443 bytes.out=100 bytes.in=2000 severity=info action=close nat.src.ip=203.0.113.1 nat.src.port=4001 nat.dst.ip=192.0.2.80 nat.dst.port=8080 hostname=ns1",
            ),
            (
                "default TCP CONN_TERMINATE 100 0 :  Source 192.0.2.1:1000 - Destination 198.51.100.7:443 - Start Time 11/20/2026:08:12:00 GMT - End Time 11/20/2026:08:12:01 GMT - Total_bytes_send 2 - Total_bytes_recv 1",
                "fw 2026-11-20T08:12:00Z..2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=1000 dst.ip=198.51.100.7 dst.port=443 bytes.out=1 bytes.in=2 severity=info action=close",
            ),
            (
                "default SSLVPN LOGIN 100 0 : Context joe@203.0.113.9 - SessionId: 12- User joe - Client_ip 203.0.113.9 - Nat_ip \"Mapped Ip\" - Vserver 198.51.100.7:443 - Browser_type \"Mozilla\"",
                "auth 2026-11-20T08:12:02Z src.ip=203.0.113.9 dst.ip=198.51.100.7 dst.port=443 uid=12 http.agent=Mozilla severity=info action=login_ok user=joe",
            ),
            (
                "default AAA LOGIN_FAILED 100 0 :  User joe - Client_ip 203.0.113.9 - Failure_reason \"External authentication server denied access\" - Browser x",
                "auth 2026-11-20T08:12:02Z src.ip=203.0.113.9 http.agent=x severity=info action=login_fail reason=External authentication server denied access user=joe",
            ),
            (
                "default APPFW APPFW_STARTURL 100 0 :  203.0.113.9 39-PPE0 - prof Disallow Illegal URL: http://www.example.com/x <blocked>",
                "alert 2026-11-20T08:12:02Z src.ip=203.0.113.9 name=www.example.com url=http://www.example.com/x signature=APPFW_STARTURL severity=info action=deny",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134> 11/20/2026:08:12:02 GMT ns1 0-PPE-0 : {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        let line = "<134>1 2026-11-20T08:12:02Z ns1 TCP 1234 - - default CONN_DELINK 100 0 :  Source 192.0.2.1:1000 - Destination 198.51.100.7:443 - Total_bytes_send 0";
        assert!(
            show(&FORMAT, line)
                .starts_with("fw 2026-11-20T08:12:02Z src.ip=192.0.2.1 src.port=1000 dst.ip=198.51.100.7 dst.port=443")
        );
    }
}
