//! IMAP 4 (RFC 9051, RFC 3501): logins with their outcome, and the start of TLS. Keeps no password and no mail.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::lines::{Talk, Talking};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Imap = Imap;

/// Longest line.
const MAX_LINE: usize = 8192;
/// Commands that wait for their answer.
const MAX_PENDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Imap;

impl Protocol for Imap {
    fn name(&self) -> &'static str {
        "imap"
    }
    fn doc(&self) -> &'static str {
        "Internet Message Access Protocol 4 (RFC 9051)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let upper = text(line, 512).to_ascii_uppercase();
        match side {
            Side::In => {
                match ["* OK", "* PREAUTH ", "* BYE "].iter().find(|w| upper.starts_with(**w) || w.starts_with(upper.as_str())) {
                    Some(word) if upper.len() >= word.len() && ended => Sniff::Yes,
                    Some(_) if !ended && first.len() < 512 => Sniff::More,
                    _ => Sniff::No,
                }
            }
            Side::Out if !ended => {
                if first.len() < 64 && upper.bytes().all(|b| (b' '..0x7f).contains(&b)) {
                    Sniff::More
                } else {
                    Sniff::No
                }
            }
            Side::Out => {
                let mut words = upper.split_whitespace();
                let tag = words.next().unwrap_or_default();
                let tagged = (1..=16).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
                match words.next() {
                    Some("CAPABILITY" | "STARTTLS") if tagged && words.next().is_none() => Sniff::Yes,
                    Some("LOGIN") if tagged && words.count() == 2 => Sniff::Yes,
                    Some("AUTHENTICATE") if tagged => Sniff::Yes,
                    _ => Sniff::No,
                }
            }
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Talking::new(MAX_LINE, Conversation { pending: VecDeque::new(), greeted: false }))
    }
}

struct Waiting {
    tag: String,
    word: String,
    user: String,
    at: At,
}

struct Conversation {
    pending: VecDeque<Waiting>,
    greeted: bool,
}

impl Conversation {
    fn command(&mut self, line: &str, at: At, out: &mut Out) {
        let mut words = line.split_whitespace();
        let (Some(tag), Some(word)) = (words.next(), words.next()) else { return };
        let word = word.to_ascii_uppercase();
        // The second word of a login is the user, the third the password.
        let user = match word.as_str() {
            "LOGIN" | "AUTHENTICATE" => words.next().unwrap_or_default().trim_matches('"').to_owned(),
            "STARTTLS" => String::new(),
            _ => return,
        };
        if self.pending.len() >= MAX_PENDING {
            out.partial = true;
            self.pending.pop_front();
        }
        self.pending.push_back(Waiting { tag: tag.to_owned(), word, user, at });
    }
    fn answer(&mut self, line: &str, at: At, out: &mut Out) {
        if !std::mem::replace(&mut self.greeted, true) && line.starts_with("* ") {
            out.flow.push((field::BANNER, line.get(2..).unwrap_or_default().into()));
            return;
        }
        let Some((tag, said)) = line.split_once(' ') else { return };
        let Some(asked) = self.pending.iter().position(|p| p.tag == tag).and_then(|i| self.pending.remove(i)) else { return };
        out.confirmed = true;
        let fine = said.get(..2).is_some_and(|w| w.eq_ignore_ascii_case("OK"));
        if asked.word == "STARTTLS" {
            (out.restart, out.done) = (fine, fine);
            return;
        }
        let mut fields = Fields::default();
        fields.text(field::APP, "imap");
        if asked.word == "LOGIN" {
            fields.text(field::USER, &asked.user);
            fields.text(field::METHOD_AUTH, "password");
            if fine {
                out.flow.push((field::USER, asked.user.into()));
            }
        } else {
            fields.text(field::METHOD_AUTH, &asked.user.to_ascii_lowercase());
        }
        fields.text(field::ACTION, if fine { "login_ok" } else { "login_fail" });
        fields.text(field::REASON, said);
        out.events.push(fields.event(Kind::Auth, asked.at, at));
    }
}

impl Talk for Conversation {
    const TOO_LONG: &'static str = "imap_line_too_long";

    fn line(&mut self, side: Side, line: &str, at: At, out: &mut Out) {
        match side {
            Side::Out => self.command(line, at, out),
            Side::In => self.answer(line, at, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_refused_login_names_its_user_and_keeps_no_password() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 143, proto: TCP };
        let (mut parser, mut out) = (PROTOCOL.parser(&ends), Out::default());
        for (side, bytes) in [(Side::In, "* OK hi\r\n"), (Side::Out, "a1 login \"bob\" secret\r\n"), (Side::In, "a1 NO bad\r\n")]
        {
            parser.data(side, bytes.as_bytes(), At { time: Time(1), offset: 1 }, &mut out);
        }
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=imap action=login_fail reason=NO bad user=bob auth.method=password ");
        assert_eq!(PROTOCOL.probe(Side::Out, b"a1 LOGIN bob secret\r\n", &ends), Sniff::Yes);
    }
}
