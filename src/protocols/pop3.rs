//! POP3 (RFC 1939, RFC 2595): logins with their outcome. Keeps no password and no mail.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::lines::{Talk, Talking};
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Pop3 = Pop3;

/// Longest line.
const MAX_LINE: usize = 4096;
/// Commands that wait for their reply.
const MAX_PENDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Pop3;

impl Protocol for Pop3 {
    fn name(&self) -> &'static str {
        "pop3"
    }
    fn doc(&self) -> &'static str {
        "Post Office Protocol 3 (RFC 1939)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let usual = ends.dst_port == 110 || ends.src_port == 110;
        let words: &[&str] = match side {
            Side::Out if usual => &["USER ", "CAPA", "APOP ", "AUTH", "STLS"],
            Side::Out => &["APOP "],
            Side::In => &["+OK "],
        };
        let upper = text(first, 8).to_ascii_uppercase();
        if words.iter().any(|w| upper.starts_with(w)) {
            Sniff::Yes
        } else if words.iter().any(|w| w.starts_with(upper.as_str())) {
            Sniff::More
        } else {
            Sniff::No
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Talking::new(MAX_LINE, Conversation { waiting: VecDeque::new(), user: None, greeted: false }))
    }
}

struct Conversation {
    /// Commands, their first argument, and when.
    waiting: VecDeque<(String, String, At)>,
    user: Option<(String, At)>,
    greeted: bool,
}

impl Conversation {
    fn command(&mut self, line: &str, at: At) {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default().to_ascii_uppercase();
        let argument = if word == "PASS" { "" } else { words.next().unwrap_or_default() };
        if self.waiting.len() >= MAX_PENDING {
            self.waiting.clear();
        }
        self.waiting.push_back((word, argument.to_owned(), at));
    }
    fn reply(&mut self, line: &str, at: At, out: &mut Out) {
        let fine = line.starts_with("+OK");
        // Lines of a mail or a list answer nothing.
        if !fine && !line.starts_with("-ERR") {
            return;
        }
        if !std::mem::replace(&mut self.greeted, true) {
            out.flow.push((field::BANNER, line.get(3..).unwrap_or_default().trim().into()));
            return;
        }
        let Some((word, argument, first)) = self.waiting.pop_front() else { return };
        out.confirmed = true;
        let (user, first, method) = match word.as_str() {
            "USER" if fine => {
                self.user = Some((argument, first));
                return;
            }
            "PASS" => {
                let (user, first) = self.user.clone().unwrap_or((String::new(), first));
                (user, first, "password")
            }
            "USER" => (argument, first, "password"),
            "APOP" => (argument, first, "apop"),
            "STLS" if fine => {
                (out.restart, out.done) = (true, true);
                return;
            }
            _ => return,
        };
        let mut fields = Fields::default();
        fields.text(field::APP, "pop3");
        fields.text(field::USER, &user);
        fields.text(field::METHOD_AUTH, method);
        fields.text(field::ACTION, if fine { "login_ok" } else { "login_fail" });
        fields.text(field::REASON, line);
        if fine {
            out.flow.push((field::USER, user.into()));
        }
        out.events.push(fields.event(Kind::Auth, first, at));
    }
}

impl Talk for Conversation {
    const TOO_LONG: &'static str = "pop3_line_too_long";

    fn line(&mut self, side: Side, line: &str, at: At, out: &mut Out) {
        match side {
            Side::Out => self.command(line, at),
            Side::In => self.reply(line, at, out),
        }
    }
    fn gap(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_refused_login_names_its_user() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 110, proto: TCP };
        let mut parser = PROTOCOL.parser(&ends);
        let mut out = Out::default();
        for (side, bytes) in
            [(Side::In, "+OK hello\r\n"), (Side::Out, "USER bob\r\nPASS x\r\n"), (Side::In, "+OK\r\n-ERR no\r\n")]
        {
            parser.data(side, bytes.as_bytes(), At { time: Time(1), offset: 1 }, &mut out);
        }
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=pop3 action=login_fail reason=-ERR no user=bob auth.method=password ");
    }
}
