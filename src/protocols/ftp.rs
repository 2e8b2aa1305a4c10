//! FTP (RFC 959, RFC 4217): logins with their outcome and the files named. The data connections are flows of their own, announced here (PORT,
//! PASV, EPRT, EPSV): the files that they carry are theirs, with size, type and hashes. Keeps no password.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::lines::{Talk, Talking};
use super::common::transfer::{About, Transfer};
use super::{At, Ends, Expect, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;
use std::collections::VecDeque;
use std::net::IpAddr;

/// The protocol.
pub static PROTOCOL: Ftp = Ftp;

/// Longest line.
const MAX_LINE: usize = 4096;
/// Longest command that is believed: RFC 959 knows words of three and four letters.
const MAX_COMMAND: usize = 64;
/// Commands that wait for their reply.
const MAX_PENDING: usize = 256;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Ftp;

impl Protocol for Ftp {
    fn name(&self) -> &'static str {
        "ftp"
    }
    fn doc(&self) -> &'static str {
        "File Transfer Protocol, control connection (RFC 959)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let usual = ends.dst_port == 21 || ends.src_port == 21;
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        let ended = line.len() < first.len();
        let upper = text(line, 512).to_ascii_uppercase();
        let open = |words: &[&str]| !ended && words.iter().any(|w| w.starts_with(upper.as_str()));
        match side {
            // POP3 begins with USER too: its server's greeting tells, or the port.
            Side::Out if usual && (upper.starts_with("USER ") || upper.starts_with("AUTH ")) => Sniff::Yes,
            Side::Out if usual && open(&["USER ", "AUTH "]) => Sniff::More,
            Side::In if upper.starts_with("220 ") || upper.starts_with("220-") => {
                let mail = upper.contains("SMTP") || upper.contains("MAIL");
                match (upper.contains("FTP") || (usual && ended), mail) {
                    (_, true) => Sniff::No,
                    (true, _) => Sniff::Yes,
                    _ if ended || first.len() >= 512 => Sniff::No,
                    _ => Sniff::More,
                }
            }
            Side::In if open(&["220 ", "220-"]) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Talking::new(
            MAX_LINE,
            Conversation { ends: *ends, waiting: VecDeque::new(), user: None, greeted: false, newest: About::default(), rest: 0 },
        ))
    }
}

/// A command that waits for its reply.
struct Waiting {
    word: String,
    argument: String,
    at: At,
}

/// What the connections that are announced carry.
const DATA: &str = "ftp-data";

/// Six numbers: address and port.
fn six(text: &str) -> Option<(IpAddr, u16)> {
    let mut numbers = text.split(',').map(|n| n.trim().parse::<u8>().ok());
    let mut next = || numbers.next().flatten();
    let address = IpAddr::from([next()?, next()?, next()?, next()?]);
    Some((address, u16::from_be_bytes([next()?, next()?])))
}

/// The client's end that a command (PORT, EPRT) names.
fn called_by_server(word: &str, argument: &str, client: IpAddr) -> Option<(IpAddr, u16)> {
    if word.eq_ignore_ascii_case("PORT") {
        return six(argument.trim());
    }
    if !word.eq_ignore_ascii_case("EPRT") {
        return None;
    }
    let argument = argument.trim();
    let mut parts = argument.split(argument.chars().next()?).skip(2);
    let address = parts.next()?.parse().unwrap_or(client);
    Some((address, parts.next()?.parse().ok()?))
}

/// The server's end that a reply (to PASV: 227, to EPSV: 229) names.
fn called_by_client(code: u16, line: &str, server: IpAddr) -> Option<(IpAddr, u16)> {
    let rest = line.get(4..)?;
    match code {
        227 => {
            let from = rest.find(|c: char| c.is_ascii_digit())?;
            let numbers = rest.get(from..)?;
            six(numbers.split(|c: char| !c.is_ascii_digit() && !matches!(c, ',' | ' ')).next()?)
        }
        229 => {
            let inside = rest.split('(').nth(1)?;
            Some((server, inside.split(inside.chars().next()?).nth(3)?.parse().ok()?))
        }
        _ => None,
    }
}

/// How long a reply says that the file is: `150 Opening connection for a.zip (1234 bytes)`.
fn stated(line: &str) -> Option<u64> {
    let (before, _) = line.rsplit_once(" bytes")?;
    before.rsplit('(').next()?.trim().parse().ok()
}

struct Conversation {
    ends: Ends,
    waiting: VecDeque<Waiting>,
    user: Option<(String, At)>,
    greeted: bool,
    /// What is known of the transfer over the connection that was announced last.
    newest: About,
    /// Where the next transfer begins in its file (REST).
    rest: u64,
}

impl Conversation {
    /// Only ends of this connection's own two hosts are announced: an address that differs is one behind translation, or a third host that
    /// is to be called (the bounce attack), and that one's connections are not this one's to name.
    fn announce(&mut self, own: IpAddr, named: IpAddr, port: u16, at: At, out: &mut Out) {
        if named != own {
            out.oddities.push((Oddity::at("ftp_other_address", named.to_string()), at.time, at.offset));
        }
        self.newest = About::default();
        let parser = Box::new(Transfer::new(self.newest.clone()));
        out.expect.push(Expect { address: own, port, proto: TCP, carries: DATA, parser });
    }

    fn command(&mut self, line: &str, at: At, out: &mut Out) {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        if word.len() > MAX_COMMAND {
            out.oddities.push((Oddity::new("ftp_command_too_long"), at.time, at.offset));
            out.partial = true;
            return;
        }
        if let Some((address, port)) = called_by_server(word, argument, self.ends.src) {
            self.announce(self.ends.src, address, port, at, out);
        }
        if self.waiting.len() >= MAX_PENDING {
            out.oddities.push((Oddity::new("ftp_many_outstanding"), at.time, at.offset));
            out.partial = true;
            self.waiting.clear();
        }
        let word = word.to_ascii_uppercase();
        let argument = if word == "PASS" { String::new() } else { argument.trim().to_owned() };
        match word.as_str() {
            "REST" => self.rest = argument.parse().unwrap_or(0),
            "RETR" | "STOR" | "STOU" | "APPE" | "LIST" | "NLST" | "MLSD" => {
                let user = self.user.as_ref().map(|u| u.0.clone()).unwrap_or_default();
                let (name, from) = (argument.clone(), std::mem::take(&mut self.rest));
                self.newest.note(|a| {
                    a.action = match word.as_str() {
                        "RETR" => "download",
                        "LIST" | "NLST" | "MLSD" => "list",
                        _ => "upload",
                    };
                    (a.name, a.user, a.app) = (name, user, "ftp");
                    // What is appended is not the file.
                    a.partial = from > 0 || word == "APPE";
                });
            }
            _ => {}
        }
        self.waiting.push_back(Waiting { word, argument, at });
    }

    fn reply(&mut self, line: &str, at: At, out: &mut Out) {
        let Some(code) = line.get(..3).and_then(|c| c.parse::<u16>().ok()).filter(|_| line.get(3..4) != Some("-")) else {
            return;
        };
        if let Some((address, port)) = called_by_client(code, line, self.ends.dst) {
            self.announce(self.ends.dst, address, port, at, out);
        }
        match code {
            125 | 150 => {
                let size = stated(line);
                self.newest.note(|a| a.size = size);
            }
            226 | 250 => self.newest.note(|a| a.done = true),
            426 | 451 | 552 => self.newest.note(|a| a.partial = true),
            _ => {}
        }
        if !self.greeted && code == 220 {
            self.greeted = true;
            out.flow.push((field::BANNER, line.get(4..).unwrap_or_default().trim().into()));
            return;
        }
        // A transfer has a second reply, after its data.
        if matches!(code, 226 | 250 | 426 | 451) && self.waiting.is_empty() {
            return;
        }
        let Some(asked) = self.waiting.pop_front() else { return };
        out.confirmed = true;
        let mut fields = Fields::default();
        fields.text(field::APP, "ftp");
        let action = match asked.word.as_str() {
            "USER" | "PASS" if matches!(code, 230 | 232 | 530 | 430 | 421) => {
                let first = if asked.word == "USER" { asked.at } else { self.user.as_ref().map_or(asked.at, |u| u.1) };
                let known = self.user.as_ref().map(|u| u.0.clone()).unwrap_or_default();
                let user = if asked.word == "USER" { asked.argument } else { known };
                // A password that was not asked for: the login is known already.
                if asked.word == "PASS" && user.is_empty() {
                    return;
                }
                let fine = matches!(code, 230 | 232);
                fields.text(field::USER, &user);
                fields.text(field::METHOD_AUTH, "password");
                fields.text(field::ACTION, if fine { "login_ok" } else { "login_fail" });
                fields.text(field::REASON, line);
                if fine {
                    out.flow.push((field::USER, user.into()));
                }
                out.events.push(fields.event(Kind::Auth, first, at));
                return;
            }
            "USER" => {
                self.user = Some((asked.argument, asked.at));
                return;
            }
            "AUTH" if code == 234 => {
                (out.restart, out.done) = (true, true);
                return;
            }
            "RETR" => "download",
            "STOR" | "STOU" | "APPE" => "upload",
            "DELE" => "delete",
            "RNFR" | "RNTO" => "rename",
            _ => return,
        };
        fields.text(field::FILE_NAME, &asked.argument);
        fields.text(field::USER, self.user.as_ref().map(|u| u.0.as_str()).unwrap_or_default());
        fields.text(field::ACTION, if code < 400 { action } else { "deny" });
        fields.text(field::REASON, line);
        out.events.push(fields.event(Kind::File, asked.at, at));
    }
}

impl Talk for Conversation {
    const TOO_LONG: &'static str = "ftp_line_too_long";

    fn line(&mut self, side: Side, line: &str, at: At, out: &mut Out) {
        match side {
            Side::Out => self.command(line, at, out),
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
    fn data_connections_are_announced_in_four_ways() {
        let (client, server) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!(called_by_server("PORT", "10,0,0,1,4,1", client), Some((client, 1025)));
        assert_eq!(called_by_server("eprt", "|2|::1|1025|", client), Some((IpAddr::from(std::net::Ipv6Addr::LOCALHOST), 1025)));
        assert_eq!(called_by_client(227, "227 Entering Passive Mode (10,0,0,2,4,1).", server), Some((server, 1025)));
        assert_eq!(called_by_client(227, "227 =10,0,0,2,4,1", server), Some((server, 1025)));
        assert_eq!(called_by_client(229, "229 Extended (|||1025|)", server), Some((server, 1025)));
        assert_eq!(called_by_client(227, "227 (10,0,0,2,400,1)", server), None);
        assert_eq!(called_by_server("EPRT", "", client), None);
    }

    #[test]
    fn a_file_is_hashed_by_the_connection_that_carries_it() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 21, proto: TCP };
        let at = At { time: Time(1), offset: 1 };
        // What is asked and answered, what comes, and whether it has a hash.
        for (asked, answer, data, hashed) in [
            ("RETR a.zip\r\n", "150 go (3 bytes)\r\n226 done\r\n", Some("abc"), true),
            ("STOR a.zip\r\n", "150 go\r\n226 done\r\n", Some("abc"), true),
            ("RETR a.zip\r\n", "150 go (4 bytes)\r\n226 done\r\n", Some("abc"), false),
            ("REST 7\r\nRETR a.zip\r\n", "350 ok\r\n150 go\r\n226 done\r\n", Some("abc"), false),
            ("RETR a.zip\r\n", "150 go\r\n", Some("abc"), false),
            ("RETR a.zip\r\n", "150 go\r\n426 broken\r\n", Some("abc"), false),
            ("RETR a.zip\r\n", "150 go\r\n226 done\r\n", None, false),
        ] {
            let (mut control, mut out) = (PROTOCOL.parser(&ends), Out::default());
            control.data(Side::In, b"220 ftp\r\n227 (10,0,0,1,4,1)\r\n", at, &mut out);
            let mut carried = out.expect.pop().unwrap();
            assert_eq!((carried.address, carried.port, carried.carries), (ip, 1025, DATA));
            control.data(Side::Out, asked.as_bytes(), at, &mut out);
            out.events.clear();
            match data {
                Some(data) => carried.parser.data(Side::In, data.as_bytes(), at, &mut out),
                None => carried.parser.gap(Side::In, 3, at, &mut out),
            }
            control.data(Side::In, answer.as_bytes(), at, &mut out);
            out.events.clear();
            carried.parser.end(&mut out);
            let event = &out.events[0].fields;
            assert!(event.contains(&(field::FILE_NAME, "a.zip".into())), "{event:?}");
            let hash = event.iter().find(|(f, _)| *f == field::MD5).map(|(_, v)| v.to_string());
            assert_eq!(hash, hashed.then(|| "900150983cd24fb0d6963f7d28e17f72".to_owned()), "{asked}{answer}");
        }
    }

    #[test]
    fn a_login_and_a_transfer_are_events_without_the_password() {
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 21, proto: TCP };
        let mut parser = PROTOCOL.parser(&ends);
        let mut out = Out::default();
        for (side, bytes) in [
            (Side::In, "220 ftp\r\n"),
            (Side::Out, "USER bob\r\n"),
            (Side::In, "331 pw\r\n"),
            (Side::Out, "PASS secret\r\n"),
            (Side::In, "230 hi\r\n"),
            (Side::Out, "RETR a.zip\r\n"),
            (Side::In, "150 go\r\n226 done\r\n"),
            (Side::Out, "STOR x\r\n"),
            (Side::In, "550 no\r\n"),
        ] {
            parser.data(side, bytes.as_bytes(), At { time: Time(1), offset: 1 }, &mut out);
        }
        let shown: Vec<String> =
            out.events.iter().map(|e| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()).collect();
        assert_eq!(
            shown,
            [
                "app=ftp action=login_ok reason=230 hi user=bob auth.method=password ",
                "app=ftp action=download reason=150 go user=bob file.name=a.zip ",
                "app=ftp action=deny reason=550 no user=bob file.name=x ",
            ]
        );
    }
}
