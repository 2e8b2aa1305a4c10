//! Cisco IOS, IOS XE, IOS XR and NX-OS (`%SEC-6-IPACCESSLOGP: ...`; Cisco, "System Message Guide"), under any header.
//!
//! Access lists that log, the firewall's sessions, NAT and logins are understood; any other message is a log with its mnemonic as code, the
//! severity of its mark (0 to 2 critical, 3 high, 4 medium, 5 low) and what its text tells. Of two times the device's own is taken, unless a `*`
//! before it says that its clock is not set and the relay has stamped the line.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::moments::{self, Moment};
use super::{Context, Out, clock, draft::Draft, key_value, lift, vendor_values, verdict_words};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "cisco-ios",
    doc: "Cisco IOS, IOS XE, IOS XR and NX-OS messages: access lists, firewall sessions, NAT, logins, others as logs.",
    is,
    read,
};

/// A message after its mark.
struct Message<'a> {
    /// What stands before the mark.
    header: &'a str,
    /// Facility, maybe with a further one.
    facility: &'a str,
    severity: u64,
    mnemonic: &'a str,
    text: &'a str,
}

fn parse(line: &str) -> Option<Message<'_>> {
    memchr::memchr_iter(b'%', line.as_bytes()).take(8).find_map(|at| {
        let end = line[at..].find([':', ' ']).map_or(line.len(), |n| n + at);
        let mark = &line[at + 1..end];
        let (head, mnemonic) = mark.rsplit_once('-')?;
        let (facility, level) = head.rsplit_once('-')?;
        let name = |t: &str, more: &[u8]| {
            !t.is_empty() && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || more.contains(&b))
        };
        let severity = level.parse::<u64>().ok().filter(|n| *n <= 7 && level.len() == 1)?;
        let severity = [4, 4, 4, 3, 2, 1, 0, 0][severity as usize];
        let sound = name(facility, b"-.") && name(mnemonic, b"") && mnemonic.bytes().any(|b| b.is_ascii_uppercase());
        let text = line[end..].trim_start_matches([' ', ':']);
        (sound && at < 512).then_some(Message { header: &line[..at], facility, severity, mnemonic, text })
    })
}

fn is(envelope: &Envelope<'_>) -> bool {
    parse(envelope.message).is_some()
}

/// What a header says after priority and time of a relay: sequence numbers, hosts, the device's time, a process.
#[derive(Default)]
struct Header<'a> {
    moment: Option<Moment>,
    /// The clock is not set.
    unset: bool,
    host: &'a str,
    process: &'a str,
    pid: Option<u64>,
}

fn header(text: &str) -> Header<'_> {
    let mut header = Header::default();
    let mut rest = text;
    for _ in 0..12 {
        rest = rest.trim_start_matches([' ', ':']);
        if rest.is_empty() {
            break;
        }
        let bare = rest.trim_start_matches(['*', '.']);
        if let Some((moment, length)) = dated(bare) {
            header.unset |= rest.starts_with('*');
            header.moment = Some(moment);
            rest = &bare[length..];
            continue;
        }
        let (word, after) = rest.split_once([' ']).unwrap_or((rest, ""));
        // IOS XR glues the time to the node: `RP/0/RSP0/CPU0:Aug 21 10:15:42.123 : `.
        let (word, after) =
            match word.split_once(':').filter(|(_, month)| month.len() == 3 && dated(&rest[word.len() - 3..]).is_some()) {
                Some((node, _)) => (node, &rest[node.len() + 1..]),
                None => (word, after),
            };
        rest = after;
        let plain = word.trim_end_matches(':').trim_start_matches('*');
        let number = plain.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.');
        let named = plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
        if let Some((process, pid)) = plain.split_once('[') {
            (header.process, header.pid) = (process, pid.trim_end_matches(']').parse().ok());
        } else if named && !number && header.host.is_empty() {
            header.host = plain;
        } else if named && !number && header.process.is_empty() && plain.len() > 1 {
            header.process = plain;
        }
    }
    header
}

/// A time at the start of a text, with its zone, and its length: `Aug 21 10:15:42.123 CEST`, `2026 Aug 21 10:15:42 PDT`.
fn dated(text: &str) -> Option<(Moment, usize)> {
    let year = text
        .get(..4)
        .and_then(|y| y.parse::<i32>().ok())
        .filter(|y| (1990..2100).contains(y) && text.as_bytes().get(4) == Some(&b' '));
    let from = if year.is_some() { 5 } else { 0 };
    let mut stamp = clock::bsd(&text.as_bytes()[from..]).or_else(|| clock::iso(text.as_bytes()))?;
    let mut length = from + stamp.len;
    stamp.year = stamp.year.or(year);
    if let Some(zone) = text.get(length..).and_then(|t| t.strip_prefix(' ')) {
        let end = zone.find([':', ' ']).unwrap_or(zone.len());
        let abbreviation = (2..=5).contains(&end) && zone[..end].bytes().all(|b| b.is_ascii_uppercase());
        if abbreviation {
            stamp.east = stamp.east.or_else(|| moments::east(&zone[..end]));
            length += 1 + end;
        }
    }
    Some((Moment::Wall(stamp), length))
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some(message) = parse(envelope.message) else { return Said::default() };
    let header = header(message.header);
    d.text(field::EVENT_CODE, &format!("{}-{}", message.facility, message.mnemonic));
    d.uint(field::SEVERITY, message.severity);
    d.text(field::PROCESS, header.process);
    if let Some(pid) = header.pid {
        d.uint(field::PID, pid);
    }
    message.fill(d);
    d.text(field::MESSAGE, message.text);
    if d.record.kind == Kind::Log {
        lift::lift(message.text, d);
    }
    let relayed = header.unset && envelope.stamp.is_some();
    let time = header.moment.filter(|_| !relayed).and_then(|m| moments::instant(m, envelope, context, out));
    let host = if envelope.host.is_empty() { header.host } else { envelope.host };
    Said { time, host, ..Said::default() }
}

/// `192.0.2.1(443)`, `192.0.2.1:443`, `192.0.2.1`, `2001:db8::1(443)`.
fn end(token: &str, ip: FieldId, port: FieldId, d: &mut Draft) -> bool {
    let token = token.trim_matches([',', '.', '(', ')', '[', ']']);
    let (address, inside) = token.split_once('(').unwrap_or((token, ""));
    if inside.is_empty() {
        let Some((address, number)) = vendor_values::endpoint(address) else { return false };
        let given = d.give(ip, Value::Addr(address));
        number.filter(|_| given).map(|n| d.uint(port, u64::from(n)));
        return given;
    }
    let given = d.addr(ip, address);
    // Port zero stands for "was not looked at".
    if given && let Some(number) = inside.split(')').next().and_then(|p| p.parse::<u16>().ok()).filter(|p| *p > 0) {
        d.uint(port, u64::from(number));
    }
    given
}

impl Message<'_> {
    fn fill(&self, d: &mut Draft) {
        let list = self.mnemonic.starts_with("IPACCESSLOG") || self.mnemonic.starts_with("ACCESSLOG");
        match (self.facility, self.mnemonic) {
            _ if list => self.access_list(d),
            ("ACLLOG", _) => self.flow(d),
            ("FW" | "FW-6" | "FMANFP" | "IOSFW", mnemonic) if mnemonic.starts_with("SESS_AUDIT_TRAIL") => self.session(d),
            ("FW" | "IOSFW" | "FMANFP", mnemonic) if mnemonic.starts_with("DROP") => self.dropped(d),
            ("NAT" | "IPNAT", _) => self.translation(d),
            _ => self.login(d),
        }
    }

    /// `list NAME permitted tcp 192.0.2.1(55244) [(interface mac)] -> 198.51.100.3(443), 1 packet`
    fn access_list(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        let mut words = self.text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            match word {
                "list" | "access-list" => {
                    d.put_or_keep(field::RULE, "list", words.next().unwrap_or("").split('/').next().unwrap_or(""))
                }
                "permitted" | "denied" => {
                    d.text(field::ACTION, &verdict_words::action(word));
                    let next = words.next().unwrap_or("");
                    // A standard list names the source only.
                    if !end(next, field::SRC_IP, field::SRC_PORT, d) {
                        d.put(field::PROTO, next);
                    }
                }
                "->" => _ = end(words.next().unwrap_or(""), field::DST_IP, field::DST_PORT, d),
                _ if !d.has(field::SRC_IP) && end(word, field::SRC_IP, field::SRC_PORT, d) => {
                    let interface = word.split_once(")(").map_or("", |(_, i)| i);
                    d.text(field::IFACE_IN, interface);
                }
                _ if word.starts_with('(') && word.contains('/') && matches!(d.record.uint(field::PROTO), Some(1 | 58)) => {
                    let (kind, code) = word.trim_matches(['(', ')', ',']).split_once('/').unwrap_or(("", ""));
                    if let (Ok(kind), Ok(code)) = (kind.parse::<u8>(), code.parse::<u8>()) {
                        d.icmp(u64::from(kind), u64::from(code));
                    }
                }
                _ if word.starts_with('(') && !d.has(field::IFACE_IN) => {
                    _ = d.text(field::IFACE_IN, word.trim_matches(['(', ')']))
                }
                _ => {}
            }
        }
        if let Some(count) =
            self.text.split(", ").last().and_then(|t| t.split(' ').next()).filter(|c| c.bytes().all(|b| b.is_ascii_digit()))
        {
            d.put(field::PACKETS_OUT, count);
        }
        d.partial |= !d.has(field::SRC_IP);
    }

    /// NX-OS: `Src IP: 192.0.2.1, Dst IP: 198.51.100.2, Src Port: 0, ... Protocol: "ICMP"(1), Hit-count = 5`
    fn flow(&self, d: &mut Draft) {
        for (key, value) in key_value::colon_pairs(self.text) {
            match key {
                "Protocol" => _ = d.put(field::PROTO, value.trim_start_matches('"').split(['"', '(']).next().unwrap_or("")),
                "ACL Name" => d.put_or_keep(field::RULE, key, value),
                "ACE Action" => _ = d.text(field::ACTION, &verdict_words::action(value)),
                "Src Intf" => d.put_or_keep(field::IFACE_IN, key, value),
                _ => vendor_values::fill(&[(key, value)], true, d),
            }
        }
        if d.has(field::SRC_IP) && d.has(field::DST_IP) {
            d.record.kind = Kind::Fw;
        }
    }

    /// `Stop tcp session: initiator (192.0.2.1:1234) sent 20 bytes -- responder (198.51.100.3:80) sent 200 bytes`
    fn session(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        d.text(field::ACTION, if self.text.contains("Start ") || self.mnemonic.ends_with("START") { "start" } else { "close" });
        if let Some((_, protocol)) = self.text.split_once(" session").and_then(|(head, _)| head.rsplit_once(' ')) {
            d.put(field::PROTO, protocol);
        }
        let side = |name: &str| {
            let rest = after(self.text, name)?;
            let bytes = after(rest, "sent ").and_then(|t| t.split(' ').next()).unwrap_or("");
            Some((rest.split(')').next()?, bytes))
        };
        for (name, ip, port, bytes) in [
            ("initiator (", field::SRC_IP, field::SRC_PORT, field::BYTES_OUT),
            ("responder (", field::DST_IP, field::DST_PORT, field::BYTES_IN),
        ] {
            if let Some((address, sent)) = side(name) {
                end(address, ip, port, d);
                d.put(bytes, sent);
            }
        }
    }

    /// `Dropping tcp session 192.0.2.1:1234 198.51.100.3:80 ... due to REASON`
    fn dropped(&self, d: &mut Draft) {
        d.record.kind = Kind::Fw;
        d.text(field::ACTION, "drop");
        d.text(field::REASON, after(self.text, "due to ").unwrap_or(""));
        let rest = after(self.text, "ropping ").unwrap_or(self.text);
        d.put(field::PROTO, &rest.split(' ').next().unwrap_or("").to_ascii_lowercase());
        for word in rest.split_ascii_whitespace().take(12) {
            let _ = end(word, field::SRC_IP, field::SRC_PORT, d) || end(word, field::DST_IP, field::DST_PORT, d);
        }
    }

    /// `Created Translation TCP inside-local inside-global outside-local outside-global`
    fn translation(&self, d: &mut Draft) {
        let words: Vec<&str> = self.text.split_ascii_whitespace().take(24).collect();
        let ends: Vec<&str> =
            words.iter().copied().filter(|w| vendor_values::endpoint(w.trim_end_matches(',')).is_some()).collect();
        let [local, global, .., outside] = ends.as_slice() else { return };
        d.record.kind = Kind::Fw;
        d.text(field::CATEGORY, "translation");
        d.text(
            field::ACTION,
            if self.mnemonic.contains("DELETE") || self.text.starts_with("Deleted") { "close" } else { "start" },
        );
        words.iter().for_each(|w| {
            if matches!(*w, "TCP" | "UDP" | "ICMP" | "tcp" | "udp" | "icmp") {
                d.put(field::PROTO, w);
            }
        });
        end(local, field::SRC_IP, field::SRC_PORT, d);
        end(outside, field::DST_IP, field::DST_PORT, d);
        if local != global {
            end(global, field::NAT_SRC_IP, field::NAT_SRC_PORT, d);
        }
    }

    fn login(&self, d: &mut Draft) {
        let text = self.text;
        let bracket = |name: &str| after(text, name).and_then(|t| t.split(']').next()).unwrap_or("").trim();
        d.text(field::USER, bracket("[user:"));
        d.addr(field::SRC_IP, bracket("[Source:"));
        d.put(field::DST_PORT, bracket("[localport:"));
        d.text(field::REASON, bracket("[Reason:"));
        let action = match self.mnemonic {
            "LOGIN_SUCCESS" => "login_ok",
            "LOGIN_FAILED" | "LOGINFAIL" | "AUTHENTICATION_FAILED" => "login_fail",
            "LOGOUT" => "logout",
            _ if self.mnemonic.contains("USERAUTH") => {
                // The account stands before, and may be called anything.
                match verdict_words::outcome(after(text, "' authentication ").unwrap_or(text)) {
                    Some(true) => "login_ok",
                    _ => "login_fail",
                }
            }
            _ => verdict_words::phrase(text).unwrap_or(""),
        };
        if !action.is_empty() {
            d.record.kind = Kind::Auth;
            d.text(field::ACTION, action);
        }
        // `User 'joe'`, `User:joe`, `by joe on vty0 (192.0.2.9)`
        let quoted = after(text, "User '").or_else(|| after(text, "User:")).map(|t| t.split(['\'', ' ']).next().unwrap_or(""));
        let by = after(text, " by ")
            .filter(|_| text.contains("onfigured from"))
            .and_then(|t| t.split(' ').next())
            .filter(|u| !u.starts_with("vty"));
        d.text(field::USER, quoted.or(by).unwrap_or("").trim_matches([':', '\'']));
        if d.record.kind == Kind::Auth {
            lift::lift(text, d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn access_lists_say_who_was_let_through() {
        for (line, want) in [
            (
                "<190>6340004: rtr1: *Nov 20 08:12:01.123 CET: %SEC-6-IPACCESSLOGP: list INET permitted tcp 192.0.2.252(55244) -> 198.51.100.178(44818), 1 packet",
                "fw 2026-11-20T07:12:01.123Z src.ip=192.0.2.252 src.port=55244 dst.ip=198.51.100.178 dst.port=44818 proto=tcp packets.out=1 severity=info action=allow rule=INET hostname=rtr1",
            ),
            (
                "Nov 20 08:12:01 rtr1 77: %SEC-6-IPACCESSLOGDP: list 101 denied icmp 192.0.2.1 -> 198.51.100.2 (8/0), 5 packets",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=8 dst.ip=198.51.100.2 dst.port=0 proto=icmp packets.out=5 severity=info action=deny rule=101 hostname=rtr1",
            ),
            (
                "<190>77: %SEC-6-IPACCESSLOGP: list 101 denied udp 192.0.2.1(53)(GigabitEthernet0/1 0000.0c07.ac01) -> 198.51.100.2(0), 1 packet",
                "fw 2026-11-20T12:00:00Z src.ip=192.0.2.1 src.port=53 dst.ip=198.51.100.2 proto=udp packets.out=1 severity=info action=deny rule=101 interface.in=GigabitEthernet0/1",
            ),
            (
                "<190>77: %IPV6_ACL-6-ACCESSLOGP: list V6IN/20 permitted tcp 2001:db8::1(1234) -> 2001:db8::2(80), 1 packet",
                "fw 2026-11-20T12:00:00Z src.ip=2001:db8::1 src.port=1234 dst.ip=2001:db8::2 dst.port=80 proto=tcp packets.out=1 severity=info action=allow rule=V6IN",
            ),
            (
                "<190>: 2026 Nov 20 08:12:01 UTC: %ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 192.0.2.1, Dst IP: 198.51.100.2, Src Port: 1500, Dst Port: 22, Src Intf: Ethernet1/1, Protocol: \"TCP\"(6), Hit-count = 5",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=1500 dst.ip=198.51.100.2 dst.port=22 proto=tcp severity=low interface.in=Ethernet1/1",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn sessions_translations_and_logins_are_told() {
        for (text, want) in [
            (
                "%FW-6-SESS_AUDIT_TRAIL: Stop tcp session: initiator (192.0.2.1:1234) sent 20 bytes -- responder (198.51.100.3:80) sent 200 bytes",
                "fw 2026-11-20T12:00:00Z src.ip=192.0.2.1 src.port=1234 dst.ip=198.51.100.3 dst.port=80 proto=tcp bytes.out=20 bytes.in=200 severity=info action=close",
            ),
            (
                "%FW-6-DROP_PKT: Dropping tcp session 192.0.2.1:1234 198.51.100.3:80 due to RST inside current window",
                "fw 2026-11-20T12:00:00Z src.ip=192.0.2.1 src.port=1234 dst.ip=198.51.100.3 dst.port=80 proto=tcp severity=info action=drop reason=RST inside current window",
            ),
            (
                "%IPNAT-6-CREATED: tcp 192.0.2.1:1500 203.0.113.1:4001 198.51.100.3:80 198.51.100.3:80",
                "fw 2026-11-20T12:00:00Z src.ip=192.0.2.1 src.port=1500 dst.ip=198.51.100.3 dst.port=80 proto=tcp severity=info category=translation action=start nat.src.ip=203.0.113.1 nat.src.port=4001",
            ),
            (
                "%SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: joe] [Source: 192.0.2.9] [localport: 22] [Reason: Login Authentication Failed]",
                "auth 2026-11-20T12:00:00Z src.ip=192.0.2.9 dst.port=22 severity=medium action=login_fail reason=Login Authentication Failed user=joe",
            ),
            (
                "%SSH-5-SSH2_USERAUTH: User 'joe' authentication for SSH2 Session from 192.0.2.9 was unsuccessful",
                "auth 2026-11-20T12:00:00Z src.ip=192.0.2.9 severity=low action=login_fail user=joe",
            ),
            (
                "%SYS-5-CONFIG_I: Configured from console by joe on vty0 (192.0.2.9)",
                "log 2026-11-20T12:00:00Z src.ip=192.0.2.9 severity=low user=joe message=Configured from console by joe on vty0 (192.0.2.9)",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<189>29: {text}"));
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn headers_of_every_make_are_read() {
        for (line, host, time) in [
            ("<189>29: sw1: *Nov 20 08:12:01.411: %SYS-5-X: y", "sw1", "08:12:01.411"),
            ("<189>: 2026 Nov 20 08:12:01 EST: %DAEMON-3-SYSTEM_MSG: y", "", "13:12:01"),
            ("<189>RP/0/RSP0/CPU0:Nov 20 08:12:01.5 : config[65539]: %MGBL-SYS-5-CONFIG_I : y", "RP/0/RSP0/CPU0", "08:12:01.5"),
            ("<189>Nov 20 08:12:02 sw1 %MODULE-5-MOD_OK: Module 1 is online", "sw1", "08:12:02"),
            ("<189>Nov 20 08:12:02 relay 7: *Nov 20 08:12:01: %SYS-5-X: y", "relay", "08:12:02"),
            ("<189>Nov 20 08:12:02 relay 7: Nov 20 08:12:01: %SYS-5-X: y", "relay", "08:12:01"),
            ("<189>sw1: 00:01:01: %SYS-STBY-3-X: y", "sw1", "12:00:00"),
        ] {
            let read = read_one(&FORMAT, line);
            assert_eq!(read.sensor.unwrap_or_default(), host, "{line}");
            assert!(read.record.start.to_string().contains(&format!("T{time}")), "{line}: {}", read.record.start);
        }
        assert!(!is(&Envelope { message: "100%-of-5-X: y and %a-6-b: z", ..Envelope::default() }));
    }
}
