//! Redis (RESP, redis.io/docs/reference/protocol-spec): logins with their outcome, and each command that changes or reads out the server
//! itself, once. Other commands pass unread. Keeps no password and no value.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Redis = Redis;

/// Commands that wait for their reply.
const MAX_PENDING: usize = 1024;
/// Commands that an intruder uses, or that tell of the server.
const NOTABLE: &[&str] = &[
    "ACL",
    "BGSAVE",
    "CLIENT",
    "CONFIG",
    "DEBUG",
    "EVAL",
    "EVALSHA",
    "FLUSHALL",
    "FLUSHDB",
    "INFO",
    "KEYS",
    "MIGRATE",
    "MODULE",
    "MONITOR",
    "PSYNC",
    "REPLICAOF",
    "RESTORE",
    "SAVE",
    "SCRIPT",
    "SHUTDOWN",
    "SLAVEOF",
    "SYNC",
];

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Redis;

impl Protocol for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }
    fn doc(&self) -> &'static str {
        "Redis serialization protocol: logins and commands about the server itself."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let usual = ends.dst_port == 6379 || ends.src_port == 6379;
        match (side, line) {
            (_, []) => Sniff::More,
            (Side::Out, [b'*', count @ ..]) => {
                let count = count.strip_suffix(b"\r").unwrap_or(count);
                if count.len() > 7 || !count.iter().all(u8::is_ascii_digit) {
                    return Sniff::No;
                }
                match first.get(line.len().saturating_add(1)) {
                    Some(b'$') if !count.is_empty() => Sniff::Yes,
                    None => Sniff::More,
                    _ => Sniff::No,
                }
            }
            (Side::Out, _) => {
                let word = line.split(|b| matches!(b, b' ' | b'\r')).next().unwrap_or_default().to_ascii_uppercase();
                let inline: &[&[u8]] = &[b"PING", b"INFO", b"AUTH", b"CONFIG", b"COMMAND", b"SLAVEOF"];
                match (usual, ended, inline.contains(&word.as_slice())) {
                    (true, true, true) => Sniff::Yes,
                    (true, false, _) if inline.iter().any(|i| i.starts_with(&word)) => Sniff::More,
                    _ => Sniff::No,
                }
            }
            // A reply is told from other text by the words that only this server says.
            (Side::In, b"+PONG\r" | b"-NOAUTH Authentication required.\r") if ended => Sniff::Yes,
            (Side::In, [b'+' | b'-' | b':' | b'$' | b'*', ..]) if usual && ended && line.ends_with(b"\r") => Sniff::Yes,
            (Side::In, [b'+' | b'-' | b':' | b'$' | b'*', ..]) if !ended && line.len() < 64 => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

#[derive(Default)]
struct Conversation {
    /// Of each command that waits: the user and method of a login.
    pending: VecDeque<(Option<String>, At)>,
    told: Told,
    /// Subscribed: what comes answers nothing any more.
    pushing: bool,
}

/// The length of the value that bytes begin with, nesting bounded.
fn value(bytes: &[u8], depth: u8) -> Cut {
    let Some(end) = memchr::memchr(b'\n', bytes).map(|n| n.saturating_add(1)) else { return Cut::More };
    let line = bytes.get(1..end).unwrap_or_default();
    let number = text(line, 20).trim().parse::<i64>().ok();
    match (bytes.first(), number) {
        (Some(b'$' | b'=' | b'!'), Some(n)) if n < 0 => Cut::Frame(end),
        (Some(b'$' | b'=' | b'!'), Some(n)) => Cut::Frame(end.saturating_add(n as usize).saturating_add(2)),
        (Some(b'*' | b'%' | b'~' | b'>'), Some(n)) => {
            let items = n.max(0).saturating_mul(if bytes.first() == Some(&b'%') { 2 } else { 1 });
            if depth == 0 || items > 1 << 20 {
                return Cut::Over;
            }
            let mut at = end;
            for _ in 0..items {
                match bytes.get(at..).filter(|b| !b.is_empty()).map(|b| value(b, depth.saturating_sub(1))) {
                    Some(Cut::Frame(n)) => at = at.saturating_add(n),
                    Some(other) => return other,
                    // What is beyond is found when it comes.
                    None => return Cut::More,
                }
            }
            Cut::Frame(at)
        }
        _ => Cut::Frame(end),
    }
}

/// The first words of a command, as an array or as a line.
fn words(command: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if command.first() != Some(&b'*') {
        return text(command, 256).split_whitespace().take(4).map(str::to_owned).collect();
    }
    let mut rest = command;
    while let (Some(end), true) = (memchr::memchr(b'\n', rest), found.len() < 4) {
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        if line.first() == Some(&b'$') {
            let length = text(line.get(1..).unwrap_or_default(), 20).trim().parse::<usize>().unwrap_or(0);
            found.push(text(rest.get(..length.min(rest.len())).unwrap_or_default(), 64));
            rest = rest.get(length.saturating_add(2)..).unwrap_or_default();
        }
    }
    found
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        value(unread, 8)
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        if side == Side::Out {
            let words = words(message);
            let command = words.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
            let hello = command == "HELLO" && words.get(2).is_some_and(|w| w.eq_ignore_ascii_case("AUTH"));
            let login = match (command.as_str(), words.len()) {
                ("AUTH", 0..=2) => Some("default".to_owned()),
                ("AUTH", _) => words.get(1).cloned(),
                _ if hello => words.get(3).cloned(),
                _ => None,
            };
            self.pushing |= matches!(command.as_str(), "SUBSCRIBE" | "PSUBSCRIBE" | "MONITOR");
            if NOTABLE.contains(&command.as_str()) {
                // The second word is a subcommand or an address; what follows it may be a value.
                let kept = if matches!(command.as_str(), "CONFIG" | "SLAVEOF" | "REPLICAOF") { 3 } else { 2 };
                let shown = words.iter().skip(1).take(kept - 1).fold(command.clone(), |said, word| format!("{said} {word}"));
                let shown = if command.starts_with("EVAL") { command } else { shown };
                self.told.say("redis", &shown, Fields::default(), first, last, out);
            }
            if self.pending.len() < MAX_PENDING {
                self.pending.push_back((login, first));
            } else {
                out.partial = true;
            }
            return true;
        }
        if self.pushing || message.first() == Some(&b'>') {
            return true;
        }
        if let Some((Some(user), asked)) = self.pending.pop_front() {
            let refused = message.first() == Some(&b'-');
            let mut fields = Fields::default();
            fields.text(field::APP, "redis");
            fields.text(field::USER, &user);
            fields.text(field::METHOD_AUTH, "password");
            fields.text(field::ACTION, if refused { "login_fail" } else { "login_ok" });
            if refused {
                fields.text(field::REASON, text(message.get(1..).unwrap_or_default(), 255).trim());
            }
            out.events.push(fields.event(Kind::Auth, asked, last));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_login_and_a_change_of_the_server_are_told_without_the_password() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        let asked = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*4\r\n$6\r\nconfig\r\n$3\r\nset\r\n$3\r\ndir\r\n$4\r\n/tmp\r\n";
        asked.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, b"-WRONGPASS no\r\n*2\r\n:1\r\n$-1\r\n", at, &mut out);
        let shown: Vec<String> =
            out.events.iter().map(|e| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()).collect();
        assert_eq!(shown[0], "app=redis message=CONFIG set dir ");
        assert_eq!(shown[1], "app=redis action=login_fail reason=WRONGPASS no user=default auth.method=password ");
        assert!(out.confirmed && !out.done);
    }
}
