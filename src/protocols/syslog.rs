//! Syslog on the wire (RFC 3164, RFC 5424; over TCP with octet counts or lines, RFC 6587): each message as text, up to a bound per
//! conversation. What the message means is not read here.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Syslog = Syslog;

/// Messages that are kept of one conversation.
const MAX_KEPT: usize = 1000;
/// Longest message that is kept.
const MAX_TEXT: usize = 1024;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Syslog;

impl Protocol for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }
    fn doc(&self) -> &'static str {
        "Syslog messages in transit (RFC 3164, RFC 5424)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        if side == Side::In {
            return Sniff::No;
        }
        let stream = ends.proto == TCP;
        let counted = if stream { first.iter().take_while(|b| b.is_ascii_digit()).count() } else { 0 };
        let rest = match (counted, first.get(counted)) {
            (1..=5, Some(b' ')) => first.get(counted.saturating_add(1)..).unwrap_or_default(),
            (0, _) => first,
            (1..=5, None) => return Sniff::More,
            _ => return Sniff::No,
        };
        match priority(rest) {
            Some((_, skip)) => {
                // After the priority stands a version, a month or another printable word.
                let said = rest.get(skip..).unwrap_or_default();
                let head = said.get(..said.len().min(16)).unwrap_or_default();
                if head.len() < 4 && stream {
                    Sniff::More
                } else if head.iter().all(|b| (b' '..0x7f).contains(b)) && head.len() >= 4 {
                    Sniff::Yes
                } else {
                    Sniff::No
                }
            }
            None if stream && rest.len() < 5 && (rest.is_empty() || rest.first() == Some(&b'<')) => Sniff::More,
            None => Sniff::No,
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        let talk = Conversation::default();
        if ends.proto == TCP { Box::new(Framed::new(talk)) } else { Box::new(talk) }
    }
}

/// `<PRI>`: its number (0 to 191) and length.
fn priority(message: &[u8]) -> Option<(u8, usize)> {
    let inside = message.strip_prefix(b"<")?;
    let digits = inside.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = text(inside.get(..digits)?, 3).parse::<u8>().ok().filter(|n| *n <= 191 && (1..=3).contains(&digits))?;
    (inside.get(digits) == Some(&b'>')).then(|| (number, digits.saturating_add(2)))
}

#[derive(Default)]
struct Conversation {
    kept: usize,
}

impl Conversation {
    fn keep(&mut self, message: &[u8], first: At, last: At, out: &mut Out) {
        let Some((number, skip)) = priority(message) else { return };
        out.confirmed = true;
        if self.kept >= MAX_KEPT {
            out.partial = true;
            return;
        }
        self.kept = self.kept.saturating_add(1);
        let mut fields = Fields::default();
        fields.text(field::APP, "syslog");
        fields.text(
            field::MESSAGE,
            text(message.get(skip..).unwrap_or_default(), MAX_TEXT).trim_end_matches(['\0', '\n', '\r', ' ']),
        );
        let levels = ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];
        fields.text(field::CATEGORY, levels.get(usize::from(number & 7)).copied().unwrap_or_default());
        out.events.push(fields.event(Kind::Log, first, last));
    }
}

impl Messages for Conversation {
    fn cut(&self, side: Side, unread: &[u8]) -> Cut {
        if side == Side::In {
            return Cut::Frame(unread.len());
        }
        let digits = unread.iter().take_while(|b| b.is_ascii_digit()).count();
        match (digits, unread.get(digits)) {
            (1..=5, Some(b' ')) => {
                let length = text(unread.get(..digits).unwrap_or_default(), 5).parse::<usize>().unwrap_or(0);
                Cut::Frame(digits.saturating_add(1).saturating_add(length))
            }
            (1..=5, None) => Cut::More,
            (0, _) => match memchr::memchr2(b'\n', 0, unread) {
                Some(end) => Cut::Frame(end.saturating_add(1)),
                None => Cut::More,
            },
            _ => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        if side == Side::Out {
            let begin = memchr::memchr(b'<', message.get(..message.len().min(8)).unwrap_or_default()).unwrap_or(0);
            self.keep(message.get(begin..).unwrap_or_default(), first, last, out);
        }
        true
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if side == Side::Out {
            self.keep(bytes, at, at, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn counted_and_plain_messages_are_kept() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        let stream = b"11 <13>1 hello <191>second\nX";
        stream.iter().for_each(|b| Parser::data(&mut c, Side::Out, &[*b], at, &mut out));
        let shown: Vec<String> =
            out.events.iter().map(|e| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()).collect();
        assert_eq!(shown, ["app=syslog category=notice message=1 hello ", "app=syslog category=debug message=second "]);
        assert_eq!(priority(b"<192>x"), None);
    }
}
