//! Into the responder's own clipboard, over however many hops: tmux's buffer (which hands it on), else OSC 52, wrapped for screen.
//! No terminal says whether it took it, so nothing here claims that.

use super::text;
use crate::error::{Error, Result};
use base64::Engine as _;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest text for OSC 52: xterm and others drop sequences of over 100,000 bytes.
pub const OSC52_MAX: usize = 74_000;
/// Longest text for tmux's buffer.
pub const TMUX_MAX: usize = 1 << 20;
/// How long tmux may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// screen drops longer strings.
const SCREEN_PIECE: usize = 600;

/// What was done, and what is still to be written to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The sentence for the message line.
    pub say: String,
    /// Bytes to send to the terminal, if tmux did not take the text. Empty: nothing to send.
    pub bytes: Vec<u8>,
}

/// Copies a text; `label` says what it is (`value`, `row`, `query`). Control and deceptive characters are spelled out, line feeds and tabs
/// stay. May wait for tmux up to 1.5 s: call it from a worker.
pub fn copy(label: &str, text: &str) -> Result<Copied> {
    let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let text = text::clean_lines(text);
    if env("TMUX").is_some() && text.len() <= TMUX_MAX {
        for arguments in [&["load-buffer", "-w", "-"][..], &["load-buffer", "-"]] {
            if feed("tmux", arguments, text.as_bytes()) {
                let way = if arguments.len() == 3 {
                    "tmux and your clipboard"
                } else {
                    "tmux's buffer only: this tmux is older than 3.2"
                };
                return Ok(Copied { say: format!("{label} sent to {way}, cannot be confirmed"), bytes: Vec::new() });
            }
        }
    }
    sequence(label, &text, env("TERM").as_deref(), env("STY").is_some())
}

fn sequence(label: &str, text: &str, term: Option<&str>, screen: bool) -> Result<Copied> {
    if matches!(term, Some("linux" | "dumb")) {
        return Err(Error::user("this terminal has no clipboard").hint("write it to a file with :export"));
    }
    if text.len() > OSC52_MAX {
        let what = format!("{label} is {} bytes, terminals take at most {OSC52_MAX}", text.len());
        return Err(Error::user(what).hint("write it to a file with :export"));
    }
    let body = format!("\x1b]52;c;{}\x07", base64::engine::general_purpose::STANDARD.encode(text));
    let mut bytes = Vec::new();
    if screen {
        for piece in body.as_bytes().chunks(SCREEN_PIECE) {
            bytes.extend_from_slice(b"\x1bP");
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\x1b\\");
        }
    } else {
        bytes.extend_from_slice(body.as_bytes());
    }
    let through = if screen { " through screen" } else { "" };
    Ok(Copied { say: format!("{label} sent to your terminal{through}, cannot be confirmed"), bytes })
}

/// Gives bytes to a program's standard input; whether it took them and ended well in time.
fn feed(program: &str, arguments: &[&str], bytes: &[u8]) -> bool {
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    let stdin = child.stdin.take();
    let owned = bytes.to_vec();
    // A program that does not read must not hold us: the pipe is filled by a thread that ends when the program is killed.
    let writer = std::thread::spawn(move || stdin.is_some_and(|mut pipe| pipe.write_all(&owned).is_ok()));
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(Some(status)) => return status.success() && writer.join().unwrap_or(false),
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Addresses, names, URLs and mail addresses in a text written so that nothing makes a link of them: `hxxp://evil[.]example`,
/// `203.0.113[.]9`, `2001[:]db8[:][:]1`, `who[@]evil[.]example`.
pub fn defang(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '<' | '>' | '|' | '{' | '}' | '=');
    for piece in text.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        // What stands before `=` is the name of a field.
        out.push_str(&if piece.ends_with('=') && !word.contains('/') { word.to_owned() } else { defang_word(word) });
        out.push_str(&piece[word.len()..]);
    }
    out
}

fn defang_word(word: &str) -> String {
    if word.parse::<Ipv6Addr>().is_ok() {
        return word.replace(':', "[:]");
    }
    let (scheme, rest) = match word.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "http" => "hxxp".to_owned(),
                "https" => "hxxps".to_owned(),
                "ftp" => "fxp".to_owned(),
                other => other.to_owned(),
            };
            (format!("{scheme}://"), rest)
        }
        None => (String::new(), word),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => {
            (name, &host[name.len()..])
        }
        _ => (host, ""),
    };
    let dotted = name.trim_end_matches('.');
    let last = dotted.rfind('.');
    let label = last.map_or("", |at| &dotted[at + 1..]);
    let is_name =
        label.len() >= 2 && label.chars().all(|c| c.is_alphanumeric() || c == '-') && label.chars().any(char::is_alphabetic);
    let name = match last {
        Some(at) if dotted.parse::<Ipv4Addr>().is_ok() || is_name => format!("{}[.]{}", &name[..at], &name[at + 1..]),
        _ if !scheme.is_empty() => name.replace(':', "[:]"),
        _ => return word.to_owned(),
    };
    let user = if user.is_empty() { String::new() } else { format!("{user}[@]") };
    format!("{scheme}{user}{name}{port}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defanged_text_has_no_links() {
        for (text, want) in [
            ("203.0.113.9", "203.0.113[.]9"),
            ("evil.example", "evil[.]example"),
            ("http://evil.example:8080/a.exe?b=c.d", "hxxp://evil[.]example:8080/a.exe?b=c.d"),
            ("https://203.0.113.9/x", "hxxps://203.0.113[.]9/x"),
            ("2001:db8::1", "2001[:]db8[:][:]1"),
            ("who@evil.example", "who[@]evil[.]example"),
            ("bytes 1.5 at 08:12:03.114 of a", "bytes 1.5 at 08:12:03.114 of a"),
            ("src.ip=10.0.0.5, (dst evil.example)", "src.ip=10.0.0[.]5, (dst evil[.]example)"),
            ("", ""),
        ] {
            assert_eq!(defang(text), want);
        }
    }

    #[test]
    fn a_copy_is_one_sequence_and_for_screen_several_short_ones() {
        let bare = sequence("value", "hello", Some("xterm"), false).unwrap();
        assert_eq!(bare.bytes, b"\x1b]52;c;aGVsbG8=\x07");
        assert!(bare.say.contains("cannot be confirmed"));
        let wrapped = sequence("rows", &"x".repeat(5000), Some("screen"), true).unwrap().bytes;
        let pieces: Vec<&[u8]> = wrapped.split(|b| *b == 0x9c).collect();
        assert_eq!(pieces.len(), 1);
        let text = String::from_utf8(wrapped).unwrap();
        assert!(text.split("\x1bP").skip(1).all(|p| p.len() <= SCREEN_PIECE + 2 && p.ends_with("\x1b\\")));
    }

    #[test]
    fn what_is_too_long_is_refused_with_its_size() {
        let error = sequence("rows", &"x".repeat(OSC52_MAX + 1), Some("xterm"), false).unwrap_err();
        assert!(error.what.contains("74001"), "{error}");
        assert!(sequence("value", "x", Some("linux"), false).is_err());
    }

    #[test]
    fn a_program_that_does_not_read_is_given_up() {
        assert!(feed("cat", &[], &vec![b'x'; 200_000]));
        assert!(!feed("false", &[], b"x"));
        assert!(!feed("no-such-program-here", &[], b"x"));
        let start = Instant::now();
        assert!(!feed("sleep", &["20"], &vec![b'x'; 200_000]));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
