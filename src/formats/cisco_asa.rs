//! Cisco ASA, FTD, FWSM and PIX (`%ASA-6-302013: ...`; Cisco, "ASA Series Syslog Messages", "FTD Syslog Messages"), under any header.
//!
//! Connections and denials are firewall records, logins auth records, other messages logs with what could be lifted. Who began a
//! connection is stated when it is built (inbound: the first address; outbound: the second), not when it is torn down: then the lower port
//! is the responder's. As for every translation: originator as it is inside, responder as it was addressed, the other ends in `nat.*`. A
//! teardown's bytes are of both directions together, so they stay in `extra`; it lasts from its end less its duration.

use super::cisco_text::{self as text, End};
use super::envelope::Envelope;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, head, syslog};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;

/// The format.
pub static FORMAT: CiscoAsa = CiscoAsa;

/// Cisco's firewalls.
pub struct CiscoAsa;

impl Format for CiscoAsa {
    fn name(&self) -> &'static str {
        "cisco-asa"
    }
    fn doc(&self) -> &'static str {
        "Cisco ASA, Firepower Threat Defense, FWSM and PIX firewall messages, with or without syslog envelope."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, is) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

const MARKS: [&str; 4] = ["%ASA-", "%FTD-", "%FWSM-", "%PIX-"];

/// A message after its header.
struct Message<'a> {
    product: &'a str,
    severity: u64,
    code: &'a str,
    text: &'a str,
}

/// Where the mark stands, and the message.
fn parse(line: &str) -> Option<(usize, Message<'_>)> {
    let at = memchr::memchr_iter(b'%', line.as_bytes()).take(8).find(|at| MARKS.iter().any(|m| line[*at..].starts_with(m)))?;
    let mut parts = line[at + 1..].splitn(3, '-');
    let product = parts.next()?;
    let (mut level, mut rest) = (parts.next()?, parts.next()?);
    // `%ASA-session-6-302013:` names the class of messages too.
    if level.parse::<u8>().is_err() {
        (level, rest) = rest.split_once('-')?;
    }
    let (code, text) = rest.split_once(':')?;
    let severity = match level.parse::<u8>().ok()? {
        0..=2 => 4,
        3 => 3,
        4 => 2,
        5 => 1,
        _ => 0,
    };
    let digits = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
    digits.then_some((at, Message { product, severity, code, text: text.trim() }))
}

/// Whether a line is such a message.
pub(super) fn is(line: &str) -> bool {
    parse(line).is_some()
}

/// Reads a line for which [`is`] holds; when and where its record was comes back too.
pub(super) fn line<'a>(
    line: &'a str,
    len: usize,
    unit: Unit,
    context: &Context,
    out: &mut Out,
) -> (Status, Option<Time>, &'a str) {
    let Some((at, message)) = parse(line) else { return (Status::Failed, None, "") };
    let envelope = envelope(&line[..at], &line[at..]);
    let time = match envelope.stamp {
        None => {
            clock::assume(out, syslog::TIME_ASSUMED);
            Some(context.modified)
        }
        Some(stamp) => stamp.time(context, out),
    };
    let mut d = Draft::timed(Kind::Log, context, unit, len, time, out);
    d.text(field::EVENT_CODE, message.code);
    d.uint(field::SEVERITY, message.severity);
    d.text(field::PRODUCT, message.product);
    message.fill(&mut d);
    if let (Kind::Fw, Some(taken)) = (d.record.kind, message.duration()) {
        d.record.start = d.record.end.plus(-i64::try_from(taken).unwrap_or(0));
        d.uint(field::ELAPSED, taken);
    }
    syslog::fill(&mut d, &envelope);
    (d.finish(Some(envelope.host), out), time, envelope.host)
}

/// The header: `<PRI>`, time, host, program in any of the ways that relays write them; of two times the device's own, the second.
fn envelope<'a>(header: &'a str, message: &'a str) -> Envelope<'a> {
    let mut envelope = Envelope { message, found: true, ..Envelope::default() };
    let mut rest = header.trim_start();
    if let Some((priority, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
        envelope.priority = priority.parse().ok().filter(|p| *p < 192);
        rest = after;
    }
    rest = rest.strip_prefix("1 ").unwrap_or(rest);
    for _ in 0..8 {
        rest = rest.trim_start_matches([' ', ':', '-', '*', '.']);
        let bytes = rest.as_bytes();
        if let Some(mut stamp) = clock::bsd(bytes).or_else(|| clock::iso(bytes)) {
            rest = &rest[stamp.len..];
            for zone in [" UTC", " GMT", "Z"] {
                if let Some(after) = rest.strip_prefix(zone) {
                    (stamp.east, rest) = (stamp.east.or(Some(0)), after);
                }
            }
            envelope.stamp = Some(stamp);
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let plain = word.trim_end_matches(':');
        let named =
            !plain.is_empty() && plain.len() <= 255 && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-[]".contains(&b));
        if named && envelope.host.is_empty() {
            envelope.host = plain;
        } else if named && envelope.process.is_empty() {
            let (process, pid) = plain.split_once('[').unwrap_or((plain, ""));
            (envelope.process, envelope.pid) = (process, pid.trim_end_matches(']').parse().ok());
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    envelope
}

impl Message<'_> {
    fn duration(&self) -> Option<u64> {
        text::duration(text::after(self.text, "duration ")?)
    }

    fn fill(&self, d: &mut Draft) {
        match self.code {
            "430001" | "430002" | "430003" | "430004" | "430005" => text::pairs(self.code, self.text, d),
            "302020" | "302021" | "302022" => self.icmp(d),
            "302013" | "302014" | "302015" | "302016" | "302017" | "302018" | "302303" | "302304" => self.connection(d),
            "305011" | "305012" | "305009" | "305010" => self.translation(d),
            "304001" | "304002" => self.url(d),
            "109005" | "109006" | "113004" | "113005" | "113012" | "113015" | "113019" | "113039" | "605004" | "605005"
            | "611101" | "611102" | "611103" | "716001" | "716002" | "716038" | "716039" | "722022" | "722023" | "722051" => {
                self.login(d)
            }
            code if code.starts_with("106") || code.starts_with("710") || code.starts_with("313") || code == "305013" => {
                self.denial(d)
            }
            _ => {
                d.record.kind = Kind::Log;
                // What fails the checks of a tunnel is dropped, as the manual says beside the message.
                if matches!(self.code, "402119" | "402120") {
                    d.text(field::ACTION, "drop");
                }
                text::accounts(self.text, d);
                let (from, to) = text::ends(self.text);
                if let (Some(from), Some(to)) = (from, to) {
                    give(d, &from, &to);
                } else if let Some(end) = from {
                    d.give(field::SRC_IP, Value::Addr(end.ip));
                    end.port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
                }
            }
        }
    }

    fn connection(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        let built = self.text.starts_with("Built");
        let (from, to) = text::ends(self.text);
        text::protocol(self.text, d);
        let (Some(first), Some(second)) = (from, to) else {
            d.partial = true;
            return;
        };
        let second_began = match built {
            true => self.text.starts_with("Built outbound"),
            false => first.port < second.port,
        };
        match second_began {
            true => give(d, &second, &first),
            false => give(d, &first, &second),
        }
        if let Some(id) = text::after(self.text, "connection ") {
            d.text(field::UID, id.split(' ').next().unwrap_or(""));
        }
        self.ended(d, built);
    }

    fn ended(&self, d: &mut Draft, built: bool) {
        if built {
            d.text(field::ACTION, "start");
            return;
        }
        let mut words = text::after(self.text, "bytes ").unwrap_or("").splitn(2, ' ');
        d.keep("bytes", words.next().unwrap_or(""));
        let why = words.next().unwrap_or("").split(" (").next().unwrap_or("").trim();
        d.text(field::REASON, why);
        let (action, reason) = match why {
            _ if why.starts_with("TCP FINs") => ("close", "close"),
            _ if why.starts_with("TCP Reset") => ("reset", "reset"),
            _ if why.contains("imeout") => ("timeout", "timeout"),
            _ if why.contains("inspection") || why.contains("denied") || why.contains("Deny") => ("deny", ""),
            _ => ("close", ""),
        };
        d.text(field::ACTION, action);
        d.text(field::END_REASON, reason);
        if why.starts_with("SYN Timeout") {
            d.text(field::STATE, "S0");
        }
    }

    fn icmp(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        let built = self.text.starts_with("Built");
        text::protocol(self.text, d);
        let one = |name: &str| text::after(self.text, name).and_then(|t| End::parse(t.split(' ').next()?));
        let (Some(far), Some(global), Some(local)) = (one("faddr "), one("gaddr "), one("laddr ")) else {
            d.partial = true;
            d.text(field::ACTION, if built { "start" } else { "close" });
            return;
        };
        // Without a word for it: what a teardown is about was mostly begun inside.
        if self.text.contains(" inbound ") {
            d.give(field::SRC_IP, Value::Addr(far.ip));
            d.give(field::DST_IP, Value::Addr(global.ip));
            translated(d, (&global, &local), true);
        } else {
            d.give(field::SRC_IP, Value::Addr(local.ip));
            d.give(field::DST_IP, Value::Addr(far.ip));
            translated(d, (&local, &global), false);
        }
        if let Some((kind, code)) = text::icmp_type(self.text) {
            d.icmp(kind, code);
        }
        d.text(field::ACTION, if built { "start" } else { "close" });
    }

    fn translation(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        text::protocol(self.text, d);
        let (Some(from), Some(to)) = text::ends(self.text) else {
            d.partial = true;
            return;
        };
        d.give(field::SRC_IP, Value::Addr(from.ip));
        from.port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
        d.give(field::NAT_SRC_IP, Value::Addr(to.ip));
        to.port.map(|p| d.uint(field::NAT_SRC_PORT, u64::from(p)));
        d.text(field::IFACE_IN, from.interface);
        d.text(field::IFACE_OUT, to.interface);
        d.text(field::ACTION, if self.text.starts_with("Built") { "start" } else { "close" });
        d.text(field::CATEGORY, "translation");
    }

    fn denial(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        let lower = self.text.to_ascii_lowercase();
        let allowed = [" permitted ", " est-allowed ", " access permitted"].iter().any(|w| lower.contains(w));
        let denied = ["den", "discarded", "blocked", "dropped"].iter().any(|w| lower.contains(w));
        d.text(
            field::ACTION,
            if allowed {
                "allow"
            } else if denied {
                "deny"
            } else {
                ""
            },
        );
        text::protocol(self.text, d);
        match text::ends(self.text) {
            (Some(from), Some(to)) => give(d, &from, &to),
            (Some(from), None) => {
                d.give(field::SRC_IP, Value::Addr(from.ip));
                from.port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
            }
            _ => {
                d.record.kind = Kind::Log;
            }
        }
        let icmp = matches!(d.record.uint(field::PROTO), Some(1 | 58));
        if let Some((kind, code)) = text::icmp_type(self.text).filter(|_| icmp) {
            d.icmp(kind, code);
        }
        if let Some(list) = text::after(self.text, "access-group ").or_else(|| text::after(self.text, "access-list ")) {
            d.text(field::RULE, list.trim_start_matches('"').split(['"', ' ']).next().unwrap_or(""));
        }
        if let Some(interface) = text::after(self.text, "on interface ") {
            d.text(field::IFACE_IN, interface.split(' ').next().unwrap_or(""));
        }
        if let Some(flags) = text::after(self.text, " flags ") {
            d.text(field::TCP_FLAGS, flags.split(" on ").next().unwrap_or("").trim());
        }
        if let Some(hits) = text::after(self.text, "hit-cnt ") {
            d.keep("hit-cnt", hits.split(' ').next().unwrap_or(""));
            // A summary is of the interval before it.
            let interval =
                hits.split_once(' ').and_then(|(_, r)| r.split_once("-second")).and_then(|(n, _)| n.trim().parse::<i64>().ok());
            if let Some(seconds) = interval.filter(|s| (1..=86_400).contains(s)) {
                d.record.start = d.record.end.plus(-seconds.saturating_mul(1_000_000_000));
            }
        }
        d.text(field::REASON, self.text.split_once(" (").and_then(|(_, r)| r.split_once(") from")).map_or("", |(why, _)| why));
    }

    /// `[user@]10.0.0.1 Accessed URL 192.0.2.1:http://name/path`
    fn url(&self, d: &mut Draft) {
        d.record.kind = Kind::Http;
        d.text(field::ACTION, if self.code == "304001" { "allow" } else { "deny" });
        let (who, what) = match self.text.split_once(" Accessed URL ").or_else(|| self.text.split_once(" Accessed JAVA URL ")) {
            Some(both) => both,
            // 304002: `Access denied URL http://x SRC 10.0.0.1 DEST 192.0.2.1: ...`
            None => {
                let one = |name: &str| text::after(self.text, name).and_then(|t| t.split([' ', ':']).next()).unwrap_or("");
                d.addr(field::SRC_IP, one("SRC "));
                d.addr(field::DST_IP, one("DEST "));
                d.text(field::URL, text::after(self.text, "URL ").and_then(|t| t.split(' ').next()).unwrap_or(""));
                return;
            }
        };
        let (user, source) = who.rsplit_once('@').unwrap_or(("", who));
        d.text(field::USER, user);
        d.partial |= !d.addr(field::SRC_IP, source.trim());
        let end = what.find(":http").or_else(|| what.find(":/")).or_else(|| what.rfind(": ")).unwrap_or(0);
        if d.addr(field::DST_IP, &what[..end]) {
            d.text(field::URL, what[end + 1..].trim());
        } else {
            d.text(field::URL, what);
        }
        if let Some((host, _)) =
            super::web::authority(&what[end..]).filter(|(h, _)| draft::address(h).is_none() && what.contains("://"))
        {
            d.text(field::NAME, host.trim_start_matches(':'));
        }
    }

    fn login(&self, d: &mut Draft) {
        d.record.kind = Kind::Auth;
        text::accounts(self.text, d);
        if let (Some(from), to) = text::ends(self.text) {
            d.give(field::SRC_IP, Value::Addr(from.ip));
            from.port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
            to.map(|to| d.give(field::DST_IP, Value::Addr(to.ip)));
        }
        let action = match self.code {
            "113005" | "109006" | "113015" | "605004" | "611102" | "716039" => "login_fail",
            "113019" | "716002" | "722023" | "611103" => "logout",
            "722051" => "lease",
            "722022" | "113039" | "716001" => "start",
            _ => "login_ok",
        };
        d.text(field::ACTION, action);
        if let Some(reason) = text::after(self.text, "reason = ").or_else(|| text::after(self.text, "Reason: ")) {
            d.text(field::REASON, reason.split(" : ").next().unwrap_or("").trim());
        }
    }
}

/// Gives originator and responder with their translations.
fn give(d: &mut Draft, from: &End<'_>, to: &End<'_>) {
    d.give(field::SRC_IP, Value::Addr(from.ip));
    from.port.map(|p| d.uint(field::SRC_PORT, u64::from(p)));
    match to.mapped {
        Some((ip, port)) if (ip, port) != (to.ip, to.port) => {
            d.give(field::DST_IP, Value::Addr(ip));
            port.map(|p| d.uint(field::DST_PORT, u64::from(p)));
            d.give(field::NAT_DST_IP, Value::Addr(to.ip));
            to.port.map(|p| d.uint(field::NAT_DST_PORT, u64::from(p)));
        }
        _ => {
            d.give(field::DST_IP, Value::Addr(to.ip));
            to.port.map(|p| d.uint(field::DST_PORT, u64::from(p)));
        }
    }
    if let Some((ip, port)) = from.mapped.filter(|m| *m != (from.ip, from.port)) {
        d.give(field::NAT_SRC_IP, Value::Addr(ip));
        port.map(|p| d.uint(field::NAT_SRC_PORT, u64::from(p)));
    }
    d.text(field::IFACE_IN, from.interface);
    d.text(field::IFACE_OUT, to.interface);
    d.text(field::USER, if from.user.is_empty() { to.user } else { from.user });
}

fn translated(d: &mut Draft, (before, after): (&End<'_>, &End<'_>), responder: bool) {
    if before.ip != after.ip {
        d.give(if responder { field::NAT_DST_IP } else { field::NAT_SRC_IP }, Value::Addr(after.ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn messages_are_read_with_their_tuple_and_translation() {
        for (line, want) in [
            (
                "Apr 27 04:12:23 dev01: %ASA-6-302013: Built inbound TCP connection 111111111 for net:10.10.10.10/53500 (81.2.69.144/53500) to fw111:192.168.2.2/53500 (81.2.69.144/53500)",
                "fw 2026-04-27T04:12:23Z src.ip=10.10.10.10 src.port=53500 dst.ip=81.2.69.144 dst.port=53500 proto=tcp uid=111111111 severity=info action=start interface.in=net interface.out=fw111 nat.src.ip=81.2.69.144 nat.src.port=53500 nat.dst.ip=192.168.2.2 nat.dst.port=53500 hostname=dev01 event.code=302013 product=ASA sensor=dev01",
            ),
            (
                "Oct 10 2018 12:34:56 localhost CiscoASA[999]: %ASA-6-302014: Teardown TCP connection 11749 for outside:100.66.211.242/80 to inside:172.31.98.44/1758 duration 0:01:07 bytes 38110 TCP Reset-I",
                "fw 2018-10-10T12:33:49Z..2018-10-10T12:34:56Z src.ip=172.31.98.44 src.port=1758 dst.ip=100.66.211.242 dst.port=80 proto=tcp uid=11749 end.reason=reset severity=info action=reset reason=TCP Reset-I interface.in=inside interface.out=outside hostname=localhost process=CiscoASA pid=999 elapsed=1m7s event.code=302014 product=ASA extra={\"bytes\":\"38110\"} sensor=localhost",
            ),
            (
                "%ASA-6-305011: Built dynamic TCP translation from inside:172.31.98.44/1772 to outside:100.66.98.44/8256",
                "fw 2026-11-20T12:00:00Z src.ip=172.31.98.44 src.port=1772 proto=tcp severity=info category=translation action=start interface.in=inside interface.out=outside nat.src.ip=100.66.98.44 nat.src.port=8256 event.code=305011 product=ASA",
            ),
            (
                "%ASA-4-106023: Deny tcp src outside:100.66.19.254/80 dst inside:172.31.98.44/8277 by access-group \"inbound\" [0x0, 0x0]",
                "fw 2026-11-20T12:00:00Z src.ip=100.66.19.254 src.port=80 dst.ip=172.31.98.44 dst.port=8277 proto=tcp severity=medium action=deny rule=inbound interface.in=outside interface.out=inside event.code=106023 product=ASA",
            ),
            (
                "%ASA-6-106100: access-list fw111_out permitted tcp net/192.168.2.2(49033) -> fw111/10.10.10.10(6007) hit-cnt 2 300-second interval [0x38ff326b, 0x00000000]",
                "fw 2026-11-20T11:55:00Z..2026-11-20T12:00:00Z src.ip=192.168.2.2 src.port=49033 dst.ip=10.10.10.10 dst.port=6007 proto=tcp severity=info action=allow rule=fw111_out interface.in=net interface.out=fw111 event.code=106100 product=ASA extra={\"hit-cnt\":\"2\"}",
            ),
            (
                "%ASA-6-302020: Built outbound ICMP connection for faddr 192.0.2.1/0 gaddr 203.0.113.5/512 laddr 10.0.0.5/512 type 8 code 0",
                "fw 2026-11-20T12:00:00Z src.ip=10.0.0.5 src.port=8 dst.ip=192.0.2.1 dst.port=0 proto=icmp severity=info action=start nat.src.ip=203.0.113.5 event.code=302020 product=ASA",
            ),
            (
                "%ASA-6-106015: Deny TCP (no connection) from 192.0.2.95/2241 to 198.51.100.15/80 flags RST on interface inside",
                "fw 2026-11-20T12:00:00Z src.ip=192.0.2.95 src.port=2241 dst.ip=198.51.100.15 dst.port=80 proto=tcp severity=info action=deny reason=no connection interface.in=inside tcp.flags=RST event.code=106015 product=ASA",
            ),
            (
                "%ASA-5-304001: joe@10.30.30.30 Accessed URL 192.0.2.1:http://a.example/x",
                "http 2026-11-20T12:00:00Z src.ip=10.30.30.30 dst.ip=192.0.2.1 name=a.example url=http://a.example/x severity=low action=allow user=joe event.code=304001 product=ASA",
            ),
            (
                "%ASA-6-113005: AAA user authentication Rejected : reason = Invalid password : server = 10.1.206.27 : user = bob : user IP = 203.0.113.9",
                "auth 2026-11-20T12:00:00Z src.ip=203.0.113.9 severity=info action=login_fail reason=Invalid password user=bob message=%ASA-6-113005: AAA user authentication Rejected : reason = Invalid password : server = 10.1.206.27 : user = bob : user IP = 203.0.113.9 event.code=113005 product=ASA",
            ),
            (
                "%ASA-4-722051: Group <g> User <bob> IP <203.0.113.9> IPv4 Address <10.9.0.4> IPv6 address <::> assigned to session",
                "auth 2026-11-20T12:00:00Z src.ip=203.0.113.9 severity=medium action=lease user=bob message=%ASA-4-722051: Group <g> User <bob> IP <203.0.113.9> IPv4 Address <10.9.0.4> IPv6 address <::> assigned to session event.code=722051 dhcp.address=10.9.0.4 product=ASA",
            ),
        ] {
            assert_eq!(show(&FORMAT, line), want, "{line}");
        }
    }

    #[test]
    fn headers_of_every_relay_are_taken_off() {
        for (header, host, time) in [
            ("<134> Aug 21 10:15:42 edge-fw1 : ", "edge-fw1", true),
            ("<134>:Aug 21 10:15:42 UTC: ", "", true),
            ("<134> 2026-08-21T10:15:42.123456+00:00Z edge-fw1 : ", "edge-fw1", true),
            ("Aug 21 10:15:42 10.0.0.1 Aug 21 2026 10:15:42 fw : ", "10.0.0.1", true),
            ("<166>1 2026-08-21T10:15:42Z fw : ", "fw", true),
            ("", "", false),
        ] {
            let e = envelope(header, "");
            assert_eq!((e.host, e.stamp.is_some()), (host, time), "{header}");
        }
    }
}
