//! SMTP (RFC 5321, with PIPELINING, CHUNKING, AUTH, STARTTLS): one event per mail with its envelope and subject, one per attached file,
//! one per login. Keeps no content and no password.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::lines::{Line, Lines};
use super::common::mail::Mail;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use base64::Engine as _;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Smtp = Smtp;

/// Longest line; RFC 5321 says 1000 and many senders do not care.
const MAX_LINE: usize = 8192;
/// Commands that wait for their reply.
const MAX_PENDING: usize = 1000;
/// Longest address in characters: 64 and 255 around the sign (RFC 5321, 4.5.3.1).
const MAX_ADDRESS: usize = 320;
/// Recipients kept of one mail.
const MAX_RECIPIENTS: usize = 1000;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Smtp;

impl Protocol for Smtp {
    fn name(&self) -> &'static str {
        "smtp"
    }
    fn doc(&self) -> &'static str {
        "Simple Mail Transfer Protocol (RFC 5321)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let starts = |with: &str| line.get(..with.len()).is_some_and(|l| l.eq_ignore_ascii_case(with.as_bytes()));
        let upper = text(line, 512).to_ascii_uppercase();
        match side {
            Side::Out if starts("EHLO ") || starts("HELO ") || starts("LHLO ") => Sniff::Yes,
            Side::Out => {
                let open = ["EHLO ", "HELO ", "LHLO "].iter().any(|w| w.starts_with(upper.as_str()));
                if open && !ended { Sniff::More } else { Sniff::No }
            }
            // FTP greets with 220 too: the words tell which.
            Side::In if starts("220 ") || starts("220-") || starts("554 ") => {
                if upper.contains("SMTP") || upper.contains("MAIL") {
                    Sniff::Yes
                } else if upper.contains("FTP") || ended || first.len() >= 512 {
                    Sniff::No
                } else {
                    Sniff::More
                }
            }
            Side::In => {
                let open = !ended && ["220 ", "220-", "554 "].iter().any(|w| w.as_bytes().starts_with(first));
                if open { Sniff::More } else { Sniff::No }
            }
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation {
            client: Lines::new(MAX_LINE),
            server: Lines::new(MAX_LINE),
            mode: Mode::Command,
            waiting: VecDeque::new(),
            letter: None,
            banner: None,
            hello: None,
            login: None,
            user: None,
            reply: String::new(),
            talked: [false; 2],
            over: false,
        })
    }
}

/// What the client is sending.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Command,
    /// A mail, up to a lone dot.
    Data,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// A line of a login.
    Auth,
}

/// A command that waits for its reply.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Waiting {
    Mail,
    Rcpt,
    Data,
    /// The end of a mail.
    Sent,
    StartTls,
    Auth,
    Reset,
    Other,
}

/// A mail in the making.
struct Letter {
    first: At,
    from: String,
    to: Vec<String>,
    mail: Mail,
    refused: Option<String>,
}

struct Conversation {
    client: Lines,
    server: Lines,
    mode: Mode,
    waiting: VecDeque<Waiting>,
    letter: Option<Letter>,
    banner: Option<String>,
    hello: Option<String>,
    /// How a login is attempted, and since when.
    login: Option<(String, At)>,
    user: Option<String>,
    reply: String,
    talked: [bool; 2],
    over: bool,
}

impl Conversation {
    fn wait(&mut self, what: Waiting, at: At, out: &mut Out) {
        if self.waiting.len() >= MAX_PENDING {
            out.oddities.push((Oddity::new("smtp_many_outstanding"), at.time, at.offset));
            self.waiting.clear();
        }
        self.waiting.push_back(what);
    }

    fn command(&mut self, line: &[u8], at: At, out: &mut Out) {
        let line = text(line, MAX_LINE);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        let what = match word.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" | "LHLO" => {
                self.hello = Some(rest.to_owned());
                Waiting::Reset
            }
            "MAIL" => {
                self.settle(at, None, out);
                self.letter = Some(Letter { first: at, from: path(rest), to: Vec::new(), mail: Mail::default(), refused: None });
                Waiting::Mail
            }
            "RCPT" => {
                let letter = self.letter.get_or_insert_with(|| Letter {
                    first: at,
                    from: String::new(),
                    to: Vec::new(),
                    mail: Mail::default(),
                    refused: None,
                });
                if letter.to.len() < MAX_RECIPIENTS {
                    letter.to.push(path(rest));
                }
                Waiting::Rcpt
            }
            "DATA" => {
                self.mode = Mode::Data;
                Waiting::Data
            }
            "BDAT" => {
                let mut words = rest.split_whitespace();
                let size = words.next().and_then(|n| n.parse().ok());
                let last = words.next().is_some_and(|w| w.eq_ignore_ascii_case("last"));
                match size {
                    Some(size) => self.mode = Mode::Chunk(size),
                    None => out.oddities.push((Oddity::at("smtp_command_malformed", "BDAT"), at.time, at.offset)),
                }
                if last { Waiting::Sent } else { Waiting::Other }
            }
            "STARTTLS" | "X-ANONYMOUSTLS" => Waiting::StartTls,
            "AUTH" => {
                let (method, initial) = rest.split_once(' ').unwrap_or((rest, ""));
                self.login = Some((method.to_ascii_uppercase(), at));
                self.user = None;
                self.credentials(initial);
                self.mode = Mode::Auth;
                Waiting::Auth
            }
            "RSET" => Waiting::Reset,
            _ => Waiting::Other,
        };
        self.wait(what, at, out);
    }

    /// A line of a login: the user's name is taken, passwords are not.
    fn credentials(&mut self, line: &str) {
        let Some((method, _)) = &self.login else { return };
        if self.user.is_some() || line.is_empty() {
            return;
        }
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(line.trim()) else { return };
        let name = match method.as_str() {
            "LOGIN" => Some(bytes.as_slice()),
            "PLAIN" => bytes.split(|b| *b == 0).nth(1),
            _ => None,
        };
        self.user = name.map(|n| text(n, 255));
    }

    fn client_line(&mut self, line: &[u8], at: At, out: &mut Out) {
        match self.mode {
            Mode::Data if line == b"." => {
                self.mode = Mode::Command;
                if let Some(letter) = &mut self.letter {
                    letter.mail.end(true, at, out);
                }
                self.wait(Waiting::Sent, at, out);
            }
            Mode::Data => {
                if let Some(letter) = &mut self.letter {
                    // A dot at the beginning was doubled (RFC 5321, 4.5.2).
                    letter.mail.line(line.strip_prefix(b".").unwrap_or(line), at, out);
                }
            }
            Mode::Auth => self.credentials(&text(line, MAX_LINE)),
            Mode::Command | Mode::Chunk(..) => self.command(line, at, out),
        }
    }

    fn server_line(&mut self, line: &[u8], at: At, out: &mut Out) {
        let line = text(line, MAX_LINE);
        let (code, rest) = (line.get(..3).and_then(|c| c.parse::<u16>().ok()), line.get(3..).unwrap_or_default());
        let Some(code) = code.filter(|c| (200..600).contains(c)) else {
            out.oddities.push((Oddity::new("smtp_reply_malformed"), at.time, at.offset));
            return;
        };
        if self.banner.is_none() {
            let banner = rest.trim_start_matches(['-', ' ']).trim().to_owned();
            out.flow.push((field::BANNER, banner.as_str().into()));
            self.banner = Some(banner);
            if rest.starts_with('-') {
                self.reply = line;
            }
            return;
        }
        if rest.starts_with('-') {
            self.reply = line;
            return;
        }
        // The rest of a greeting of several lines answers nothing.
        if std::mem::take(&mut self.reply).starts_with("220-") && code == 220 && self.waiting.is_empty() {
            return;
        }
        self.replied(code, &line, at, out);
    }

    fn replied(&mut self, code: u16, line: &str, at: At, out: &mut Out) {
        let Some(what) = self.waiting.front().copied() else { return };
        if what == Waiting::Auth && (300..400).contains(&code) {
            self.mode = Mode::Auth;
            return;
        }
        self.waiting.pop_front();
        out.confirmed = true;
        match what {
            Waiting::Mail | Waiting::Rcpt if code >= 400 => {
                if let Some(letter) = &mut self.letter {
                    letter.refused = Some(line.to_owned());
                }
            }
            Waiting::Data if code != 354 => {
                if self.mode == Mode::Data {
                    self.mode = Mode::Command;
                }
                if let Some(letter) = &mut self.letter {
                    letter.refused = Some(line.to_owned());
                }
            }
            Waiting::Sent => self.settle(at, Some((code < 400, line)), out),
            Waiting::Reset => self.settle(at, None, out),
            Waiting::StartTls if code == 220 => {
                out.restart = true;
                out.done = true;
                self.over = true;
            }
            Waiting::Auth => {
                self.mode = Mode::Command;
                let (method, first) = self.login.take().unwrap_or((String::new(), at));
                let mut fields = Fields::default();
                fields.text(field::APP, "smtp");
                fields.text(field::USER, self.user.as_deref().unwrap_or_default());
                fields.text(field::METHOD_AUTH, &method);
                fields.text(field::ACTION, if code == 235 { "login_ok" } else { "login_fail" });
                fields.text(field::REASON, line);
                out.events.push(fields.event(Kind::Auth, first, at));
            }
            _ => {}
        }
    }

    /// Gives back the mail that was in the making: sent and answered, or given up.
    fn settle(&mut self, at: At, answer: Option<(bool, &str)>, out: &mut Out) {
        let Some(mut letter) = self.letter.take() else { return };
        letter.mail.end(answer.is_some_and(|(accepted, _)| accepted), at, out);
        let mut fields = Fields::default();
        fields.text(field::APP, "smtp");
        fields.text(field::HOSTNAME, self.hello.as_deref().unwrap_or_default());
        fields.text(field::BANNER, self.banner.as_deref().unwrap_or_default());
        fields.text(field::USER, self.user.as_deref().unwrap_or_default());
        fields.text(field::MAIL_FROM, &letter.from);
        letter.to.iter().for_each(|to| fields.text(field::MAIL_TO, to));
        fields.text(field::MAIL_SUBJECT, &letter.mail.subject().unwrap_or_default());
        match (answer, letter.refused) {
            (Some((accepted, line)), _) => {
                fields.text(field::ACTION, if accepted { "allow" } else { "deny" });
                fields.text(field::REASON, line);
            }
            (None, Some(line)) => {
                fields.text(field::ACTION, "deny");
                fields.text(field::REASON, &line);
            }
            (None, None) => {}
        }
        out.events.push(fields.event(Kind::Log, letter.first, at));
    }

    fn lines(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) -> usize {
        let slot = if side == Side::Out { &mut self.client } else { &mut self.server };
        let mut lines = std::mem::replace(slot, Lines::new(0));
        let used = lines.push(bytes, at, &mut |line| {
            match line {
                Line::Whole(line, first) if side == Side::Out => self.client_line(&line, first, out),
                Line::Whole(line, first) => self.server_line(&line, first, out),
                // A long line of a mail's body is the mail's own business.
                Line::TooLong(first) if self.mode != Mode::Data || side == Side::In => {
                    out.oddities.push((Oddity::new("smtp_line_too_long"), first.time, first.offset));
                }
                Line::TooLong(_) => {
                    if let Some(letter) = &mut self.letter {
                        letter.mail.miss(0);
                    }
                }
            }
            !(self.over || side == Side::Out && matches!(self.mode, Mode::Chunk(..)))
        });
        *(if side == Side::Out { &mut self.client } else { &mut self.server }) = lines;
        used
    }
}

/// The address of `FROM:<a@b> SIZE=1`.
fn path(argument: &str) -> String {
    let argument = argument.split_once(':').map_or(argument, |(_, path)| path).trim();
    let inner = argument.strip_prefix('<').and_then(|a| a.split_once('>')).map(|(a, _)| a);
    let address = inner.unwrap_or_else(|| argument.split_whitespace().next().unwrap_or_default());
    address.chars().take(MAX_ADDRESS).collect()
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, mut bytes: &[u8], at: At, out: &mut Out) {
        if let Some(talked) = self.talked.get_mut(usize::from(side == Side::In)) {
            *talked = true;
        }
        while !bytes.is_empty() && !self.over {
            if let (Mode::Chunk(left), Side::Out) = (self.mode, side) {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (chunk, rest) = bytes.split_at(now);
                if let Some(letter) = &mut self.letter {
                    letter.mail.push(chunk, at, out);
                }
                bytes = rest;
                let left = left.saturating_sub(now as u64);
                self.mode = if left == 0 { Mode::Command } else { Mode::Chunk(left) };
                if left > 0 {
                    return;
                }
            }
            let used = self.lines(side, bytes, at, out);
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }
    fn gap(&mut self, side: Side, missing: u64, at: At, out: &mut Out) {
        if side == Side::In {
            self.server.gap();
            self.waiting.clear();
            return;
        }
        if let Some(letter) = self.letter.as_mut().filter(|_| matches!(self.mode, Mode::Data | Mode::Chunk(_))) {
            letter.mail.miss(missing);
        }
        match self.mode {
            Mode::Chunk(left) if left > missing => self.mode = Mode::Chunk(left.saturating_sub(missing)),
            // Of a mail the rest of the text may be missing; its end shows again as a lone dot.
            Mode::Data => self.client.gap(),
            _ => {
                out.oddities.push((Oddity::new("smtp_gap"), at.time, at.offset));
                self.settle(at, None, out);
                out.done = true;
                self.over = true;
            }
        }
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(first) = self.letter.as_ref().map(|l| l.first) {
            self.settle(first, None, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn talk(parts: &[(Side, &str)]) -> (Vec<String>, Out) {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 25, proto: TCP };
        let mut parser = PROTOCOL.parser(&ends);
        let mut out = Out::default();
        for (i, (side, bytes)) in parts.iter().enumerate() {
            parser.data(*side, bytes.as_bytes(), At { time: Time(i as i64), offset: i as u64 }, &mut out);
        }
        parser.end(&mut out);
        let show = |e: &super::super::Understood| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        (out.events.iter().map(show).collect(), out)
    }
    use Side::{In, Out as Cl};

    #[test]
    fn a_pipelined_mail_is_one_event() {
        let (events, out) = talk(&[
            (In, "220-one\r\n220 mx ESMTP\r\n"),
            (Cl, "EHLO pc.example\r\n"),
            (In, "250-mx\r\n250 PIPELINING\r\n"),
            (Cl, "MAIL FROM:<a@example> SIZE=9\r\nRCPT TO:<b@example>\r\nRCPT TO:<c@example>\r\nDATA\r\n"),
            (In, "250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n"),
            (Cl, "Subject: hi\r\n there\r\n\r\nMAIL FROM:<not@command>\r\n.\r\nQUIT\r\n"),
            (In, "250 queued\r\n221 bye\r\n"),
        ]);
        assert_eq!(
            events,
            [
                "app=smtp action=allow reason=250 queued hostname=pc.example mail.from=a@example mail.to=b@example mail.to=c@example mail.subject=hi there banner=one "
            ]
        );
        assert!(out.confirmed && out.oddities.is_empty(), "{:?}", out.oddities);
    }

    #[test]
    fn a_chunk_is_skipped_by_its_length() {
        let (events, _) = talk(&[
            (In, "220 mx ESMTP\r\n"),
            (Cl, "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nBDAT 21 LAST\r\nSubject: x\r\n\r\nQUIT\r\n!QUIT\r\n"),
            (In, "250 ok\r\n250 ok\r\n554 no\r\n221 bye\r\n"),
        ]);
        assert!(events[0].contains("action=deny") && events[0].contains("mail.subject=x"), "{events:?}");
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn a_login_names_its_user_and_keeps_no_password() {
        let (events, _) = talk(&[
            (In, "220 mx ESMTP\r\n"),
            (Cl, "AUTH LOGIN\r\n"),
            (In, "334 VXNlcm5hbWU6\r\n"),
            (Cl, "am9obg==\r\n"),
            (In, "334 UGFzc3dvcmQ6\r\n"),
            (Cl, "c2VjcmV0\r\n"),
            (In, "535 no\r\n"),
        ]);
        assert_eq!(events, ["app=smtp action=login_fail reason=535 no user=john auth.method=LOGIN "]);
    }

    #[test]
    fn starttls_hands_the_stream_over() {
        let (_, out) = talk(&[(In, "220 mx ESMTP\r\n"), (Cl, "STARTTLS\r\n"), (In, "220 go\r\n")]);
        assert!(out.restart && out.done);
    }
}
