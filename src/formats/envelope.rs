//! The syslog envelope of a line: BSD (RFC 3164), RFC 5424, and the loose forms that real files hold (ISO date instead of the BSD
//! one, an epoch, no host, a level before the program, no `<PRI>`, `<PRI>` and nothing else; RFC 5424 without its version, or only its time
//! and host).
//!
//! Knows no format: what the message says is for those who asked.

use super::{Context, Out, clock, clock::Stamp};
use crate::model::time::Time;

/// A line without its envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub stamp: Option<Stamp>,
    /// Priority: facility * 8 + severity.
    pub priority: Option<u8>,
    /// Empty if the line names none.
    pub host: &'a str,
    /// Program; empty if the line names none.
    pub process: &'a str,
    pub pid: Option<u64>,
    /// RFC 5424 message id; empty if none.
    pub id: &'a str,
    /// RFC 5424 structured data with its brackets; empty if none.
    pub data: &'a str,
    pub message: &'a str,
    /// There is one: a priority, or a time with a program.
    pub found: bool,
}

impl Envelope<'_> {
    /// The instant that it states.
    pub fn time(&self, context: &Context, out: &mut Out) -> Option<Time> {
        self.stamp.and_then(|s| s.time(context, out))
    }
    /// Severity as our rank: emergency to critical 4, error 3, warning 2, notice 1, informational and debug 0.
    pub fn severity(&self) -> Option<u64> {
        self.priority.map(|p| [4, 4, 4, 3, 2, 1, 0, 0][usize::from(p % 8)])
    }
}

const LEVELS: [&str; 12] =
    ["info", "warn", "warning", "error", "err", "debug", "trace", "fatal", "notice", "verbose", "critical", "severe"];

const FACILITIES: [&str; 18] = [
    "user", "kern", "mail", "daemon", "auth", "authpriv", "cron", "syslog", "lpr", "news", "local0", "local1", "local2",
    "local3", "local4", "local5", "local6", "local7",
];

/// Takes the envelope off a line. A line without any comes back whole as the message.
pub(super) fn open(line: &str) -> Envelope<'_> {
    let (priority, rest) = match priority(line) {
        Some((p, rest)) => (Some(p), rest),
        None => (None, line),
    };
    if priority.is_some()
        && let Some(envelope) = rest.strip_prefix("1 ").and_then(|r| rfc5424(priority, r))
    {
        return envelope;
    }
    let rest = rest.trim_start();
    let bytes = rest.as_bytes();
    // A space instead of the `T` stands in all kinds of logs: only after a priority, or where a tab ends the time, is it an envelope's.
    let sure = |s: &Stamp| priority.is_some() || bytes.get(10) == Some(&b'T') || bytes.get(s.len) == Some(&b'\t');
    let stamp = clock::bsd(bytes).or_else(|| clock::iso(bytes).filter(sure));
    let bare = Envelope { priority, message: rest, found: priority.is_some(), ..Envelope::default() };
    let Some(stamp) = stamp else { return bare };
    let Some(after) = rest.get(stamp.len..) else { return bare };
    // A `Z` after an offset says nothing more. Cisco writes `time: %ASA-...`.
    let after = after.strip_prefix('Z').filter(|_| stamp.east.is_some()).unwrap_or(after);
    // Some devices leave out the space before the host.
    let glued = priority.is_some() && after.starts_with(|c: char| c.is_ascii_alphabetic());
    let Some(after) = after.strip_prefix([' ', ':', '\t']).or(glued.then_some(after)) else { return bare };
    let after = after.trim_start();
    if priority.is_some() && bytes.first().is_some_and(u8::is_ascii_digit) && is_rfc5424(after) {
        return Envelope { stamp: Some(stamp), ..fields(priority, after) };
    }
    let mut envelope = Envelope { stamp: Some(stamp), message: after, ..bare };
    if let Some((process, pid, message)) = tag(after) {
        return Envelope { process, pid, message, found: true, ..envelope };
    }
    named(&mut envelope, after);
    envelope
}

/// Takes host, level and program off what follows the time.
fn named<'a>(envelope: &mut Envelope<'a>, after: &'a str) {
    let (mut host, mut rest) = after.split_once(' ').unwrap_or((after, ""));
    // `user.info host program:`
    if envelope.priority.is_some() && host.split_once('.').is_some_and(|(f, level)| FACILITIES.contains(&f) && is_level(level)) {
        (host, rest) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
    }
    let slash = envelope.priority.is_some() && !host.starts_with('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b) || slash && b == b'/';
    if host.is_empty() || host.len() > 255 || !host.bytes().all(plain) || is_level(host) {
        return;
    }
    let rest = rest.trim_start();
    // `host notice program[1]:`
    let after_level = rest.split_once(' ').filter(|(level, _)| is_level(level)).map(|(_, r)| r.trim_start());
    if let Some((process, pid, message)) = after_level.and_then(tag).or_else(|| tag(rest)) {
        *envelope = Envelope { host, process, pid, message, found: true, ..*envelope };
    } else if envelope.priority.is_some() {
        (envelope.host, envelope.message) = (host, rest);
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|l| l.eq_ignore_ascii_case(word))
}

/// The host of a line that has a time and a host but no program (`Jul 14 14:31:06 gw IN=eth0 ...`), with the message after it.
pub(super) fn host_of<'a>(envelope: &Envelope<'a>) -> Envelope<'a> {
    match envelope.message.split_once(' ') {
        Some((host, message)) if envelope.stamp.is_some() && !envelope.found && !host.contains(['=', '[', '"']) => {
            Envelope { host, message: message.trim_start(), ..*envelope }
        }
        _ => *envelope,
    }
}

fn priority(line: &str) -> Option<(u8, &str)> {
    let rest = line.strip_prefix('<')?;
    let end = rest.bytes().take(4).position(|b| b == b'>')?;
    let priority: u8 = rest[..end].parse().ok().filter(|p| *p < 192)?;
    Some((priority, &rest[end + 1..]))
}

/// `program[pid]: message` or `program: message`.
fn tag(text: &str) -> Option<(&str, Option<u64>, &str)> {
    let end = text.bytes().take(100).position(|b| matches!(b, b' ' | b'[' | b':' | b'=' | b'"' | b'{'))?;
    let (process, rest) = (&text[..end], &text[end..]);
    if process.is_empty() {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let (pid, rest) = rest.split_once(']')?;
        let message = rest.strip_prefix(':')?;
        return Some((process, pid.parse().ok(), message.strip_prefix(' ').unwrap_or(message)));
    }
    let message = rest.strip_prefix(':')?;
    // `host:port`, `12:34`, `C:\` and `10.0.0.1: ...` are not programs, nor are the names of layouts.
    if matches!(process, "CEF" | "LEEF") || process.starts_with('%') {
        return None;
    }
    let message = if message.is_empty() { message } else { message.strip_prefix(' ')? };
    process.bytes().any(|b| b.is_ascii_alphabetic()).then_some((process, None, message))
}

/// What follows `<PRI>1 `. Real devices write an epoch as time, or nothing that is one, and after time and host go on as in RFC 3164.
fn rfc5424(priority: Option<u8>, text: &str) -> Option<Envelope<'_>> {
    let (time, rest) = text.split_once(' ')?;
    let stamp = clock::iso(time.as_bytes()).or_else(|| epoch(time));
    if is_rfc5424(rest) {
        return Some(Envelope { stamp, ..fields(priority, rest) });
    }
    stamp.filter(|_| time != "-")?;
    let mut envelope = Envelope { stamp, priority, message: rest, found: true, ..Envelope::default() };
    named(&mut envelope, rest);
    Some(envelope)
}

/// An epoch in seconds with a fraction, or in milliseconds.
fn epoch(text: &str) -> Option<Stamp> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let sound = matches!(digits, 10 | 13) && text.bytes().skip(digits).all(|b| b.is_ascii_digit() || b == b'.');
    let time = clock::epoch(text).filter(|_| sound)?;
    let (year, month, day) = clock::civil(time.day());
    let of_day = time.0.rem_euclid(86_400_000_000_000);
    let (second, nanos) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let (second, nanos) = (u32::try_from(second).ok()?, u32::try_from(nanos).ok()?);
    Some(Stamp { year: Some(year), month, day, second, nanos, east: Some(0), either: false, len: text.len() })
}

/// Whether a text goes on as RFC 5424 does after the time: host, program, process id, message id, structured data or `-`.
fn is_rfc5424(text: &str) -> bool {
    let mut words = text.splitn(5, ' ');
    let (Some(_), Some(_), Some(pid), Some(id)) = (words.next(), words.next(), words.next(), words.next()) else { return false };
    let rest = words.next().unwrap_or("");
    let number = |w: &str| w == "-" || w.bytes().all(|b| b.is_ascii_digit());
    let parameters = || {
        let inside = rest.strip_prefix('[').unwrap_or("");
        let id = inside.bytes().take_while(|b| b.is_ascii_graphic() && !matches!(b, b'=' | b'"' | b']')).count();
        // Check Point leaves out the id: `[action:"Accept"; ...]`.
        let bare = inside.as_bytes().get(id) == Some(&b'"') && inside[..id].ends_with(':');
        id > 0 && (bare || matches!(inside.as_bytes().get(id), Some(b' ' | b']')))
    };
    let nil = rest == "-" || rest.starts_with("- ");
    !pid.is_empty()
        && !id.is_empty()
        && (nil && (number(pid) || id == "-") || parameters() && (number(pid) || number(id) || rest.contains("=\"")))
}

/// The fields of RFC 5424 after the time.
fn fields(priority: Option<u8>, text: &str) -> Envelope<'_> {
    let mut words = text.splitn(5, ' ');
    let mut next = || words.next().unwrap_or("");
    let (host, process, pid, id, rest) = (next(), next(), next(), next(), next());
    let (data, message) =
        if rest.starts_with('[') { rest.split_at(structured(rest)) } else { ("", rest.strip_prefix('-').unwrap_or(rest)) };
    let message = message.trim_start().trim_start_matches('\u{feff}');
    Envelope {
        stamp: None,
        priority,
        host: stated(host),
        process: stated(process),
        pid: pid.parse().ok(),
        id: stated(id),
        data,
        message,
        found: true,
    }
}

/// A part of RFC 5424's header; its nil value is empty.
fn stated(part: &str) -> &str {
    if part == "-" { "" } else { part }
}

/// Length of the structured data at the start of a text; values in quotes may hold `\]`.
fn structured(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut inside, mut quoted, mut at) = (false, false, 0);
    while let Some(b) = bytes.get(at) {
        match b {
            b'\\' if quoted => at += 1,
            b'"' if inside => quoted = !quoted,
            b'[' if !inside => inside = true,
            b']' if inside && !quoted => {
                inside = false;
                if bytes.get(at + 1) != Some(&b'[') {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        let e = open(line);
        format!("{:?} {}|{}|{:?}|{}", e.priority, e.host, e.process, e.pid, e.message)
    }

    #[test]
    fn envelopes_of_many_forms_are_taken_off() {
        for (line, want) in [
            ("Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user", "None LabSZ|sshd|Some(24200)|Invalid user"),
            ("<134>Jul  3 19:10:30 filterlog[72237]: 146,,,x", "Some(134) |filterlog|Some(72237)|146,,,x"),
            ("Jan  8 03:37:09 DENY: IN=eth0 OUT=", "None |DENY|None|IN=eth0 OUT="),
            (
                "<165>1 2003-10-11T22:14:15.003Z mymachine evntslog - ID47 [a@1 b=\"x\\] y\"] hi",
                "Some(165) mymachine|evntslog|None|hi",
            ),
            ("<34>1 2003-10-11T22:14:15.003Z host su 77 - - 'su root' failed", "Some(34) host|su|Some(77)|'su root' failed"),
            ("2024-01-10T14:29:28.998+01:00 h cron[1]: x", "None h|cron|Some(1)|x"),
            ("<189>date=2020-04-23 time=12:11:51", "Some(189) ||None|date=2020-04-23 time=12:11:51"),
            ("2024-01-10T14:29:28Z info main: x", "None ||None|info main: x"),
            ("<14>1 1563249630.774247467 gw flows src=192.0.2.1", "Some(14) gw||None|flows src=192.0.2.1"),
            ("<14>1 2026-11-20T08:12:01Z gw CEF:0|a|b", "Some(14) gw||None|CEF:0|a|b"),
            ("<14> 2026-11-20T08:12:01+00:00Z gw app 7 ID - hello", "Some(14) gw|app|Some(7)|hello"),
            ("<14> 2026-11-20T08:12:01Z gw app - - [a@1 b=\"c\"] hello", "Some(14) gw|app|None|hello"),
            ("<14>Nov 20 08:12:01 slot1/gw notice tmsh[7]: hello", "Some(14) slot1/gw|tmsh|Some(7)|hello"),
            ("<14>Nov 20 08:12:01 user.info gw app: hello", "Some(14) gw|app|None|hello"),
            ("<14>Nov 20 08:12:01gw app: hello", "Some(14) gw|app|None|hello"),
            ("<14>2026-11-20 08:12:01\tsrc=192.0.2.1\tx=y", "Some(14) ||None|src=192.0.2.1\tx=y"),
            ("no envelope: at all", "None ||None|no envelope: at all"),
            ("<999>x", "None ||None|<999>x"),
        ] {
            assert_eq!(show(line), want, "{line}");
        }
    }
}
