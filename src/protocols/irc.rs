//! IRC (RFC 1459, RFC 2812): who one is and which channels and servers are joined, each once. Keeps no password; what is said passes unread.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::lines::{Talk, Talking};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: Irc = Irc;

/// Longest line: 512 bytes, and as much again for tags of IRCv3.
const MAX_LINE: usize = 8192;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Irc;

impl Protocol for Irc {
    fn name(&self) -> &'static str {
        "irc"
    }
    fn doc(&self) -> &'static str {
        "Internet Relay Chat (RFC 2812): nicks and channels."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let shown = text(line, 512);
        let upper = shown.to_ascii_uppercase();
        let mut words = upper.split_whitespace();
        let fine = match side {
            Side::Out => match (words.next(), words.next(), words.next()) {
                (Some("NICK"), Some(_), None) => true,
                // POP3 and FTP have USER with one word.
                (Some("USER"), Some(_), Some(_)) => words.next().is_some(),
                (Some("CAP"), Some("LS" | "REQ"), _) => true,
                _ => false,
            },
            Side::In => match (words.next(), words.next()) {
                (Some("NOTICE"), Some("AUTH" | "*")) => true,
                (Some(server), Some(command)) => {
                    let numeric = command.len() == 3 && command.bytes().all(|b| b.is_ascii_digit());
                    server.starts_with(':') && server.len() > 1 && (numeric || matches!(command, "NOTICE" | "CAP"))
                }
                _ => false,
            },
        };
        let open = ["NICK ", "USER ", "CAP ", "PASS ", ":", "NOTICE "];
        match (fine, ended) {
            (true, true) => Sniff::Yes,
            // A password comes first where one is asked: what follows tells.
            (_, true) if side == Side::Out && upper.starts_with("PASS ") => {
                let rest = first.get(line.len().saturating_add(1)..).unwrap_or_default();
                if rest.is_empty() { Sniff::More } else { self.probe(side, rest, _ends) }
            }
            (_, false) if first.len() < 512 && open.iter().any(|w| upper.starts_with(w) || w.starts_with(upper.as_str())) => {
                Sniff::More
            }
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Talking::new(MAX_LINE, Conversation { seen: [false; 2], told: Told::default() }))
    }
}

struct Conversation {
    seen: [bool; 2],
    told: Told,
}

impl Talk for Conversation {
    const TOO_LONG: &'static str = "irc_line_too_long";

    fn line(&mut self, side: Side, line: &str, at: At, out: &mut Out) {
        if let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) {
            *seen = true;
        }
        out.confirmed |= self.seen == [true, true];
        let mut words = line.split_whitespace();
        let (Side::Out, Some(command)) = (side, words.next()) else { return };
        let argument = words.next().unwrap_or_default();
        let mut fields = Fields::default();
        match command.to_ascii_uppercase().as_str() {
            "NICK" => {
                out.flow.push((field::USER, argument.into()));
                fields.text(field::USER, argument);
                self.told.say("irc", &format!("nick {argument}"), fields, at, at, out);
            }
            "USER" => self.told.say("irc", &format!("user {argument}"), fields, at, at, out),
            "JOIN" => self.told.say("irc", &format!("join {argument}"), fields, at, at, out),
            "PRIVMSG" if words.next().is_some_and(|w| w.starts_with(":\u{1}DCC")) => {
                self.told.say("irc", &format!("dcc to {argument}"), fields, at, at, out);
            }
            _ => {}
        }
    }
}
