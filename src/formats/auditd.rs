//! The Linux audit log (`/var/log/audit/audit.log`; auditd(8), "Audit event fields" of the audit project): `type=USER_LOGIN msg=audit(epoch:serial):
//! key=value ...`, from the file, from audispd and the kernel in syslog.
//!
//! `uid` is the event, epoch and serial: the records of one event share it. Logins, sessions and account changes are login records; a denial of SELinux
//! or AppArmor is `deny`. The address in a `saddr` is decoded: of a `connect` it is the responder. Hexadecimal values are kept as text.

use super::clock::{self, Stamp};
use super::draft::{self, Draft};
use super::envelope::Envelope;
use super::services::Service;
use super::{Context, Out};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The format.
pub static FORMAT: Service = Service {
    name: "auditd",
    doc: "Linux audit log, in its file and in syslog (auditd(8), audit event fields).",
    is: |e| !e.host.is_empty() && header(e.message).is_some(),
    own: |l| {
        header(l).and_then(|h| stamp(l).map(|s| Envelope { stamp: Some(s), host: h.node, message: l, ..Envelope::default() }))
    },
    stamp,
    read,
};

struct Header<'a> {
    node: &'a str,
    kind: &'a str,
    /// Epoch and serial.
    event: &'a str,
    rest: &'a str,
}

/// `node=web type=USER_LOGIN msg=audit(1795161601.250:421): `, `audit: type=1400 audit(1795161601.250:421): `.
fn header(text: &str) -> Option<Header<'_>> {
    let text = text.strip_prefix("audit: ").unwrap_or(text);
    let (node, text) = match text.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ')?,
        None => ("", text),
    };
    let (kind, rest) = text.strip_prefix("type=")?.split_once(' ')?;
    let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
    let (event, rest) = rest.split_once("):")?;
    (event.len() < 64 && event.contains(':')).then_some(Header { node, kind, event, rest: rest.trim_start() })
}

fn stamp(text: &str) -> Option<Stamp> {
    let event = header(text)?.event;
    Time::parse_epoch(event.split(':').next()?).and_then(clock::utc)
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let Some(header) = header(envelope.message) else { return };
    let kind = name(header.kind);
    d.text(field::CATEGORY, kind);
    d.text(field::UID, header.event);
    // What the daemon adds in words stands after a separator, and in capitals.
    for part in header.rest.split('\u{1d}') {
        pairs(part, d, kind, false);
    }
    let failed = ["failed", "no", "0"];
    let result = ["res", "success"].iter().find_map(|key| value(header.rest, key));
    let ok = result.is_none_or(|r| !failed.contains(&r));
    let action = match kind {
        "USER_LOGIN" | "USER_AUTH" => {
            if ok {
                "login_ok"
            } else {
                "login_fail"
            }
        }
        "USER_ERR" | "ANOM_LOGIN_FAILURES" => "login_fail",
        "USER_START" | "LOGIN" => "start",
        "USER_END" | "USER_LOGOUT" => "logout",
        "ADD_USER" | "DEL_USER" | "ADD_GROUP" | "DEL_GROUP" | "USER_CHAUTHTOK" | "USER_MGMT" | "ACCT_LOCK" => "changed",
        "USER_CMD" => {
            if ok {
                "allow"
            } else {
                "deny"
            }
        }
        "AVC" | "USER_AVC" | "SELINUX_ERR" => {
            if header.rest.contains("denied") || header.rest.contains("DENIED") {
                "deny"
            } else {
                "allow"
            }
        }
        _ => "",
    };
    d.text(field::ACTION, action);
    if !matches!(action, "") && !matches!(kind, "AVC" | "USER_AVC" | "SELINUX_ERR") {
        d.record.kind = Kind::Auth;
    }
    d.text(field::MESSAGE, envelope.message);
}

/// Names of the numbers that the kernel writes (linux/audit.h).
fn name(kind: &str) -> &str {
    match kind {
        "1100" => "USER_AUTH",
        "1105" => "USER_START",
        "1106" => "USER_END",
        "1112" => "USER_LOGIN",
        "1300" => "SYSCALL",
        "1302" => "PATH",
        "1306" => "SOCKADDR",
        "1309" => "EXECVE",
        "1325" => "NETFILTER_CFG",
        "1327" => "PROCTITLE",
        "1334" => "BPF",
        "1400" => "AVC",
        other => other,
    }
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.find(key)?;
        let rest = &text[at + key.len()..];
        let begins = at == 0 || matches!(text.as_bytes()[at - 1], b' ' | b'\'');
        if let Some(rest) = rest.strip_prefix('=').filter(|_| begins) {
            let end = rest.find([' ', '\'']).unwrap_or(rest.len());
            return Some(rest[..end].trim_matches('"'));
        }
        at += key.len();
    }
}

/// Gives the pairs of a text; `inside` of a user program's message a quote is only a quote.
fn pairs(text: &str, d: &mut Draft, kind: &str, inside: bool) {
    let mut rest = text.trim();
    let mut left = 200;
    while let Some((key, after)) = rest.split_once('=') {
        left -= 1;
        if left == 0 {
            d.partial = true;
            break;
        }
        let key = key.rsplit(' ').next().unwrap_or(key).trim_start_matches('\'');
        let (value, after) = match after.as_bytes().first() {
            // A user program's message is in quotes and holds pairs of its own; one level of them, or a line of quotes would fill the stack.
            Some(b'\'') if !inside => {
                let inner = &after[1..];
                let end = inner.rfind('\'').unwrap_or(inner.len());
                pairs(&inner[..end], d, kind, true);
                rest = inner.get(end + 1..).unwrap_or("").trim_start();
                continue;
            }
            Some(b'\'') => after[1..].split_once('\'').unwrap_or((&after[1..], "")),
            Some(b'"') => after[1..].split_once('"').unwrap_or((&after[1..], "")),
            _ => after.split_once(' ').unwrap_or((after, "")),
        };
        give(key, value, d, kind);
        rest = after.trim_start();
    }
}

fn give(key: &str, value: &str, d: &mut Draft, kind: &str) {
    if matches!(value, "" | "?" | "(null)" | "(none)") {
        return;
    }
    match key {
        "pid" => d.put_or_keep(field::PID, key, value),
        "acct" | "AUID" | "UID" if !d.has(field::USER) && value != "unset" => _ = d.text(field::USER, &text_of(value)),
        "id" if kind.contains("USER") => d.keep(key, value),
        "exe" => _ = d.text(field::PROCESS, &text_of(value)),
        "addr" | "laddr" if draft::address(value).is_some() => {
            let id = if key == "addr" { field::SRC_IP } else { field::DST_IP };
            d.put_or_keep(id, key, value);
        }
        "hostname" => {
            if !d.addr(field::SRC_IP, value) && draft::address(value).is_none() {
                d.text(field::NAME, value);
            }
        }
        "rport" => d.put_or_keep(field::SRC_PORT, key, value),
        "lport" => d.put_or_keep(field::DST_PORT, key, value),
        "saddr" if kind == "NETFILTER_PKT" => d.put_or_keep(field::SRC_IP, key, value),
        "daddr" => d.put_or_keep(field::DST_IP, key, value),
        "sport" => d.put_or_keep(field::SRC_PORT, key, value),
        "dport" => d.put_or_keep(field::DST_PORT, key, value),
        "proto" => d.put_or_keep(field::PROTO, key, value),
        "saddr" => match socket(value) {
            Some((ip, port)) => {
                d.give(field::DST_IP, ip.into());
                d.uint(field::DST_PORT, u64::from(port));
            }
            None => d.keep(key, &text_of(value)),
        },
        "name" if kind == "PATH" => _ = d.text(field::FILE_NAME, &text_of(value)),
        "proctitle" | "cmd" | "data" | "cwd" => d.keep(key, &text_of(value)),
        "op" => d.keep(key, value),
        _ => d.keep(key, value),
    }
}

/// The bytes of a hexadecimal text.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() < 4
        || text.len() % 2 == 1
        || text.len() > 16_384
        || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'A'..=b'F'))
    {
        return None;
    }
    text.as_bytes().chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()).collect()
}

/// A value that is written as hexadecimals because it holds spaces or quotes; its NULs are spaces.
fn text_of(value: &str) -> String {
    let readable = |b: &u8| *b >= 0x20 && *b != 0x7f || matches!(b, 0 | b'\n' | b'\t');
    match bytes(value).filter(|b| b.iter().all(readable) && b.iter().any(u8::is_ascii_alphabetic)) {
        Some(bytes) => String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned(),
        None => value.to_owned(),
    }
}

/// The address and port of a `sockaddr_in` or `sockaddr_in6` (the family in the machine's order: both are taken).
fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let bytes = bytes(text)?;
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match (bytes[0], bytes[1]) {
        (2, 0) | (0, 2) => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        (10, 0) | (0, 10) => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((IpAddr::V6(Ipv6Addr::from(octets)), port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn a_login_with_its_words() {
        assert_eq!(
            show(
                &FORMAT,
                "type=USER_LOGIN msg=audit(1795161601.250:421): pid=77 uid=0 auid=1000 ses=3 msg='op=login id=1000 exe=\"/usr/sbin/sshd\" hostname=192.0.2.5 addr=192.0.2.5 terminal=ssh res=success'\u{1d}UID=\"root\" AUID=\"jdoe\""
            ),
            "auth 2026-11-20T08:00:01.250Z src.ip=192.0.2.5 uid=1795161601.250:421 category=USER_LOGIN action=login_ok user=root process=/usr/sbin/sshd \
             pid=77 message=type=USER_LOGIN msg=audit(1795161601.250:421): pid=77 uid=0 auid=1000 ses=3 msg='op=login id=1000 exe=\"/usr/sbin/sshd\" hostname=192.0.2.5 addr=192.0.2.5 terminal=ssh res=success'\u{1d}UID=\"root\" AUID=\"jdoe\" \
             extra={\"uid\":\"0\",\"auid\":\"1000\",\"ses\":\"3\",\"op\":\"login\",\"id\":\"1000\",\"terminal\":\"ssh\",\"res\":\"success\",\"AUID\":\"jdoe\"}"
        );
        let failed = read_one(
            &FORMAT,
            "node=web type=USER_AUTH msg=audit(1795161601.250:422): pid=77 uid=0 msg='op=PAM:authentication acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=203.0.113.9 addr=203.0.113.9 terminal=ssh res=failed'",
        );
        assert_eq!((failed.record.text(field::ACTION), failed.record.text(field::USER)), (Some("login_fail"), Some("root")));
        assert_eq!(failed.sensor.as_deref(), Some("web"));
    }

    #[test]
    fn quotes_in_quotes_do_not_nest() {
        let quotes = format!("type=X msg=audit(1795161601.250:1): {}{}", "='".repeat(15_000), "'".repeat(15_000));
        assert_eq!(read_one(&FORMAT, &quotes).record.text(field::CATEGORY), Some("X"));
        let grouped =
            read_one(&FORMAT, "type=USER_CMD msg=audit(1795161601.250:1): msg='op=x grp='wheel' acct=\"jdoe\" res=failed'");
        assert_eq!((grouped.record.text(field::USER), grouped.record.text(field::ACTION)), (Some("jdoe"), Some("deny")));
    }

    #[test]
    fn connections_commands_and_denials() {
        let connected = read_one(&FORMAT, "type=SOCKADDR msg=audit(1795161601.250:423): saddr=020001BBC00002050").record;
        assert_eq!(
            (connected.addr(field::DST_IP), connected.uint(field::DST_PORT)),
            (None, None),
            "an odd number of digits is no address"
        );
        let connected =
            read_one(&FORMAT, "type=SOCKADDR msg=audit(1795161601.250:423): saddr=020001BBC00002050000000000000000").record;
        assert_eq!((connected.addr(field::DST_IP), connected.uint(field::DST_PORT)), (draft::address("192.0.2.5"), Some(443)));
        let title =
            read_one(&FORMAT, "type=PROCTITLE msg=audit(1795161601.250:424): proctitle=6375726C00687474703A2F2F62").record;
        assert_eq!(title.text(field::EXTRA), Some(r#"{"proctitle":"curl http://b"}"#));
        let denied = read_one(&FORMAT, "Nov 20 08:00:01 web kernel: audit: type=1400 audit(1795161601.250:425): apparmor=\"DENIED\" operation=\"open\" profile=\"x\" name=\"/etc/shadow\" pid=9 comm=\"cat\"").record;
        assert_eq!(
            (denied.kind, denied.text(field::ACTION), denied.text(field::CATEGORY)),
            (Kind::Log, Some("deny"), Some("AVC"))
        );
    }
}
