//! Exim's main and reject logs (Exim specification, "Log files"), with or without syslog envelope.
//!
//! Times are local unless `log_timezone` adds the zone. A message goes by its id, which is `uid`. `<=` is an arrival: its peer is the originator;
//! `=>`, `->`, `>>`, `*>`, `==`, `**` are deliveries, actions `sent`, `deferred`, `bounced`: the peer is the responder. `rejected` is `deny`.

use super::draft::Draft;
use super::envelope::Envelope;
use super::mail_text::{bare, pairs};
use super::services::Service;
use super::{Context, Out, clock, draft};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "exim",
    doc: "Exim main and reject logs, with or without syslog envelope (Exim specification, Log files).",
    is: |e| e.process == "exim" || e.process == "exim4",
    own,
    stamp,
    read,
};

fn own(line: &str) -> Option<Envelope<'_>> {
    stamp(line).map(|s| Envelope { stamp: Some(s), message: line, ..Envelope::default() })
}

/// The time at the beginning of a line that is Exim's by what follows it.
fn stamp(line: &str) -> Option<clock::Stamp> {
    let bytes = line.as_bytes();
    let stamp = clock::iso(bytes).filter(|_| bytes.get(10) == Some(&b' ') && bytes.get(4) == Some(&b'-'))?;
    let rest = line.get(stamp.len..)?.strip_prefix(' ')?;
    let (_, rest) = process(rest);
    let (id, rest) = id(rest);
    let flagged = !id.is_empty();
    let said = ["SMTP connection", "no host name found", "H=", "Start queue run", "End queue run", "exim ", "TLS error"];
    (flagged
        || rest.contains(" authenticator failed for ")
        || rest.contains("rejected ")
        || said.iter().any(|s| rest.starts_with(s)))
    .then_some(stamp)
}

/// `[1234] rest`.
fn process(text: &str) -> (&str, &str) {
    match text.strip_prefix('[').and_then(|t| t.split_once("] ")) {
        Some((pid, rest)) if pid.bytes().all(|b| b.is_ascii_digit()) => (pid, rest),
        _ => ("", text),
    }
}

/// A message id, old (`1uABcd-000123-4X`) or new (`1uABcd-00000001234-4XYZ`), and the rest.
fn id(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && matches!(parts[..], [6, 6, 2] | [6, 11, 4]) { (word, rest) } else { ("", text) }
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let message = envelope.message;
    let begin = stamp(message).map_or(0, |s| s.len);
    let (pid, rest) = process(message.get(begin..).unwrap_or("").trim_start());
    d.put(field::PID, pid);
    let (id, rest) = id(rest);
    d.text(field::APP, "smtp");
    d.text(field::UID, id);
    let (flag, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let arrived = flag == "<=";
    match flag {
        "<=" => {
            let (from, _) = after.split_once(' ').unwrap_or((after, ""));
            d.text(field::MAIL_FROM, bare(from));
            d.text(field::ACTION, "received");
            // `for a b` at the end.
            if let Some((_, recipients)) = after.rsplit_once(" for ") {
                recipients.split(' ').filter(|r| r.contains('@')).take(256).for_each(|r| _ = d.text(field::MAIL_TO, r));
            }
        }
        "=>" | "->" | ">>" | "*>" | "==" | "**" => {
            let action = match flag {
                "==" => "deferred",
                "**" => "bounced",
                _ => "sent",
            };
            d.text(field::ACTION, action);
            // `name <address>` or the address itself.
            let (first, more) = after.split_once(' ').unwrap_or((after, ""));
            let to = if more.starts_with('<') { more.split(' ').next().unwrap_or("") } else { first };
            d.text(field::MAIL_TO, bare(to).trim_end_matches(':'));
            if flag == "**" || flag == "==" {
                d.text(field::REASON, reason(after));
            }
        }
        _ => other(rest, d),
    }
    let inward = arrived || !matches!(flag, "=>" | "->" | ">>" | "*>" | "==" | "**");
    host(rest, inward, d);
    for (key, value) in pairs(rest) {
        match key {
            // Read above.
            "H" | "I" => {}
            "F" => _ = d.text(field::MAIL_FROM, bare(value)),
            "P" => d.keep("protocol", value),
            "X" => {
                let mut parts = value.split(':');
                d.text(field::TLS_VERSION, parts.next().unwrap_or(""));
                d.text(field::TLS_CIPHER, parts.next().unwrap_or(""));
            }
            "A" => {
                let (method, user) = value.split_once(':').unwrap_or((value, ""));
                d.text(field::METHOD_AUTH, method);
                d.text(field::USER, user.split(',').next().unwrap_or(user));
            }
            "id" => d.keep("message_id", value),
            "S" => d.keep("size", value),
            "T" if value.starts_with('"') => _ = d.text(field::MAIL_SUBJECT, value.trim_matches('"')),
            "U" => _ = d.text(field::USER, value),
            "set_id" => _ = d.text(field::USER, value.trim_end_matches([')', '\n'])),
            "C" => _ = d.text(field::REASON, value.trim_matches('"')),
            "DT" | "QT" => d.put_or_keep(field::ELAPSED, key, value.trim_end_matches('s')),
            "R" => d.keep("router", value),
            // A temporary error names itself with `T=`, a transport too.
            "T" => d.keep("transport", value),
            _ => d.keep(key, value),
        }
    }
}

/// Rejections, failed logins, connections.
fn other(text: &str, d: &mut Draft) {
    if let Some((method, rest)) = text.split_once(" authenticator failed for ") {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, "login_fail");
        d.text(field::METHOD_AUTH, method);
        host(&format!("H={rest}"), true, d);
        d.text(field::REASON, rest.split_once("]: ").map_or("", |(_, r)| r.split(" (set_id").next().unwrap_or(r)));
    } else if let Some((_, what)) = text.split_once("rejected ") {
        d.text(field::ACTION, "deny");
        if let Some(rest) = what.strip_prefix("RCPT ") {
            d.text(field::MAIL_TO, bare(rest.split([' ', ':']).next().unwrap_or("")));
        }
        d.text(field::REASON, what.split_once(": ").map_or(what, |(_, reason)| reason));
    } else if let Some(rest) = text.strip_prefix("SMTP connection from ") {
        let action = if rest.contains("closed") || rest.contains("lost") { "close" } else { "start" };
        d.text(field::ACTION, action);
        host(&format!("H={rest}"), true, d);
    } else if text.starts_with("no host name found for IP address ") {
        d.addr(field::SRC_IP, text.rsplit(' ').next().unwrap_or(""));
    } else if text.starts_with("Completed") {
        d.text(field::ACTION, "completed");
    }
}

/// What stands after the last pair: `...: SMTP error from remote mail server ...: 550 no`.
fn reason(text: &str) -> &str {
    ["]: ", ": "].iter().find_map(|end| text.split_once(end)).map_or("", |(_, reason)| reason)
}

/// `H=name (helo) [192.0.2.5]:51000 I=[192.0.2.9]:25`: the peer, and the own end.
fn host(text: &str, inward: bool, d: &mut Draft) {
    let (far, near) = match inward {
        true => ((field::SRC_IP, field::SRC_PORT), (field::DST_IP, field::DST_PORT)),
        false => ((field::DST_IP, field::DST_PORT), (field::SRC_IP, field::SRC_PORT)),
    };
    for (mark, (ip, port)) in [("H=", far), ("I=", near)] {
        let at = text.starts_with(mark).then_some(0).or_else(|| text.find(&format!(" {mark}")).map(|at| at + 1));
        let Some(value) = at.and_then(|at| text.get(at + mark.len()..)) else { continue };
        let Some((before, rest)) = value.split_once('[') else { continue };
        let Some((address, rest)) = rest.split_once(']') else { continue };
        if before.contains('=') || !(d.has(ip) || draft::address(address).is_some()) {
            continue;
        }
        d.addr(ip, address);
        if let Some(number) = rest.strip_prefix(':') {
            d.put(port, &number[..number.bytes().take_while(u8::is_ascii_digit).count()]);
        }
        for word in before.split(' ').filter(|w| !w.is_empty()) {
            match word.strip_prefix('(') {
                Some(helo) => d.keep("helo", helo.trim_end_matches(')')),
                None if word.contains('.') => _ = d.text(field::NAME, word),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn an_arrival_and_its_deliveries() {
        let line = r#"2026-11-20 08:00:00 1uABcd-000123-4X <= a@b.example H=ws5.example (ws5) [192.0.2.5]:51000 I=[192.0.2.25]:587 P=esmtpsa X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no A=plain_login:bob S=1234 id=m1@b.example T="Hello you" for x@c.example y@c.example"#;
        assert_eq!(
            show(&FORMAT, line),
            "log 2026-11-20T08:00:00Z src.ip=192.0.2.5 src.port=51000 dst.ip=192.0.2.25 dst.port=587 app=smtp uid=1uABcd-000123-4X \
             name=ws5.example tls.version=TLS1.3 tls.cipher=TLS_AES_256_GCM_SHA384 action=received user=bob message="
                .to_owned()
                + line
                + " auth.method=plain_login mail.from=a@b.example mail.to=x@c.example mail.to=y@c.example mail.subject=Hello you \
                   extra={\"helo\":\"ws5\",\"protocol\":\"esmtpsa\",\"CV\":\"no\",\"size\":\"1234\",\"message_id\":\"m1@b.example\"}"
        );
        let sent = read_one(
            &FORMAT,
            r#"2026-11-20 08:00:01.123 [77] 1uABcd-000123-4X => x <x@c.example> R=dnslookup T=remote_smtp H=mx.c.example [198.51.100.25] X=TLS1.2:ECDHE:256 C="250 OK id=1" DT=0.5s"#,
        )
        .record;
        assert_eq!((sent.text(field::MAIL_TO), sent.text(field::ACTION)), (Some("x@c.example"), Some("sent")));
        assert_eq!(sent.addr(field::DST_IP), draft::address("198.51.100.25"));
        assert_eq!((sent.uint(field::PID), sent.uint(field::ELAPSED)), (Some(77), Some(500_000_000)));
        let bounced = read_one(
            &FORMAT,
            "2026-11-20 08:00:01 1uABcd-000123-4X ** x@c.example R=dnslookup T=remote_smtp H=mx.c.example [198.51.100.25]: SMTP error from remote mail server after RCPT TO:<x@c.example>: 550 no such user",
        )
        .record;
        assert_eq!((bounced.text(field::ACTION), bounced.text(field::MAIL_TO)), (Some("bounced"), Some("x@c.example")));
        assert!(bounced.text(field::REASON).is_some_and(|r| r.ends_with("550 no such user")));
    }

    #[test]
    fn rejections_and_failed_logins() {
        let bad = read_one(
            &FORMAT,
            "2026-11-20 08:00:01 +0100 dovecot_login authenticator failed for (User) [192.0.2.66]:4000: 535 Incorrect authentication data (set_id=root)",
        )
        .record;
        assert_eq!(
            (bad.kind, bad.text(field::USER), bad.start.to_string().as_str()),
            (Kind::Auth, Some("root"), "2026-11-20T07:00:01Z")
        );
        assert_eq!(bad.addr(field::SRC_IP), draft::address("192.0.2.66"));
        let refused = read_one(
            &FORMAT,
            "2026-11-20 08:00:01 H=(spam) [192.0.2.66] F=<s@spam.example> rejected RCPT <x@c.example>: relay not permitted",
        )
        .record;
        assert_eq!((refused.text(field::ACTION), refused.text(field::MAIL_TO)), (Some("deny"), Some("x@c.example")));
        assert_eq!(
            (refused.text(field::MAIL_FROM), refused.text(field::REASON)),
            (Some("s@spam.example"), Some("relay not permitted"))
        );
    }
}
