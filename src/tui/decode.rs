//! Bytes of the terminal become keys and pastes. Pure: bytes in, events out; knows no screen and no command.
//!
//! Sequences follow xterm's "Control Sequences" (CSI, SS3, bracketed paste, modifyOtherKeys, `CSI u`), the Linux console's function keys
//! and rxvt's. A sequence split at any byte is one key: only a lone Esc is decided by time.

use super::key::{Code, Key};
use std::time::Duration;

/// Bytes of a paste that are kept; the rest of it is dropped.
pub const PASTE_MAX: usize = 1 << 20;
/// How long an unfinished sequence is waited for before it is forgotten.
const UNFINISHED: Duration = Duration::from_secs(10);
/// How long after Esc within a paste its end is waited for: then the responder pressed Esc to end a paste that never ends by itself.
const PASTE_ESCAPE: Duration = Duration::from_secs(1);
/// How long after the end of a paste one looks whether that end was the end: pasted text may hold the closing sequence on purpose.
const PASTE_SETTLES: Duration = Duration::from_millis(60);
/// How long a device's reply string is waited for.
const REPLY: Duration = Duration::from_millis(500);
/// Longest control sequence that is read; what is longer is swallowed up to its final byte.
const SEQUENCE_MAX: usize = 64;

/// What comes from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputEvent {
    /// A key.
    Key(Key),
    /// Pasted text: never keys. Raw, at most [`PASTE_MAX`] bytes.
    Paste(String),
    /// New size: columns, rows.
    Resize(u16, u16),
    /// The terminal is gone, or we were asked to end: save and leave.
    Hangup,
    /// Asked to stop (SIGTSTP from outside; Ctrl-z is a key).
    Suspend,
    /// Running again after a stop: the terminal may have been changed meanwhile.
    Continue,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After Esc.
    Escape,
    /// After `ESC [`, with what followed.
    Csi(Vec<u8>),
    /// After `ESC O`, with digits that followed.
    Ss3(Vec<u8>),
    /// After the first byte of a character: its bytes, how many are wanted, and whether Esc came before.
    Utf8(Vec<u8>, usize, bool),
    /// Inside a paste: how many bytes of the closing sequence have matched.
    Paste(Vec<u8>, usize),
    /// After the end of a paste: its text, and what came behind it.
    Pasted(Vec<u8>, Vec<u8>),
    /// Inside a string that a device sent (OSC, DCS, APC, PM, SOS): its introducer and how many bytes came.
    Reply(u8, usize),
    /// Esc inside such a string.
    ReplyEscape,
    /// Bytes of an old mouse report still to be dropped.
    Skip(u8),
}

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Turns bytes into keys and pastes. Feed it what was read, however it was cut.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    escape: Duration,
    /// The lone Esc was given out: a `[A` that comes next in one piece is the rest of a key that the line delayed.
    late: bool,
}

impl Decoder {
    /// A decoder that takes a lone Esc for a key after so many milliseconds.
    pub fn new(escape_ms: u64) -> Decoder {
        Decoder { state: State::Ground, escape: Duration::from_millis(escape_ms), late: false }
    }
    /// How long to wait for the next byte before calling [`timeout`](Decoder::timeout); none: for ever.
    pub fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Ground => None,
            State::Escape => Some(self.escape),
            State::Reply(..) | State::ReplyEscape => Some(REPLY),
            State::Paste(_, 1) => Some(PASTE_ESCAPE),
            State::Pasted(..) => Some(PASTE_SETTLES),
            _ => Some(UNFINISHED),
        }
    }
    /// Nothing came for [`wait`](Decoder::wait): a lone Esc is a key, an unfinished paste is given as it is, the rest is forgotten.
    pub fn timeout(&mut self, out: &mut Vec<InputEvent>) {
        match std::mem::take(&mut self.state) {
            State::Escape => {
                self.late = true;
                out.push(InputEvent::Key(Key::plain(Code::Esc)));
            }
            State::Paste(text, _) => out.push(paste(&text)),
            State::Pasted(text, behind) => {
                out.push(paste(&text));
                behind.into_iter().for_each(|byte| self.byte(byte, out));
            }
            State::Reply(introducer, 0) => out.push(InputEvent::Key(Key::char(char::from(introducer)).with_alt())),
            _ => {}
        }
    }
    /// Reads bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<InputEvent>) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.late) && is_tail(bytes) {
            self.state = State::Escape;
        }
        for byte in bytes {
            self.byte(*byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<InputEvent>) {
        match std::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, false, out),
            State::Escape => match byte {
                b'[' => self.state = State::Csi(Vec::new()),
                b'O' => self.state = State::Ss3(Vec::new()),
                b']' | b'P' | b'_' | b'^' | b'X' => self.state = State::Reply(byte, 0),
                0x1b => {
                    out.push(InputEvent::Key(Key::plain(Code::Esc)));
                    self.state = State::Escape;
                }
                _ => self.ground(byte, true, out),
            },
            State::Csi(mut body) => match byte {
                // The Linux console's F1 to F5 are `ESC [ [ A`: the second bracket is no final byte there.
                b'[' if body.is_empty() => {
                    body.push(byte);
                    self.state = State::Csi(body);
                }
                0x40..=0x7e => self.csi(&body, byte, out),
                0x20..=0x3f => {
                    if body.len() <= SEQUENCE_MAX {
                        body.push(byte);
                    }
                    self.state = State::Csi(body);
                }
                // Not part of a control sequence: it was cut off. What came is swallowed, this byte begins anew.
                _ => self.ground(byte, false, out),
            },
            State::Ss3(mut body) => match byte {
                b'0'..=b'9' | b';' if body.len() < 8 => {
                    body.push(byte);
                    self.state = State::Ss3(body);
                }
                0x21..=0x7e => {
                    if let Some(code) = ss3(byte) {
                        push(out, code, modifier(&body));
                    }
                }
                _ => self.ground(byte, false, out),
            },
            State::Utf8(mut bytes, want, alt) => {
                if byte & 0xc0 != 0x80 {
                    return self.ground(byte, false, out);
                }
                bytes.push(byte);
                if bytes.len() < want {
                    self.state = State::Utf8(bytes, want, alt);
                } else {
                    let character = std::str::from_utf8(&bytes).ok().and_then(|s| s.chars().next()).filter(|c| !c.is_control());
                    out.extend(character.map(|c| InputEvent::Key(Key { alt, ..Key::char(c) })));
                }
            }
            State::Paste(mut text, matched) => self.paste_byte(&mut text, matched, byte),
            State::Pasted(text, behind) => self.behind_paste(text, behind, byte, out),
            State::Reply(introducer, n) => match byte {
                0x07 => {}
                0x1b => self.state = State::ReplyEscape,
                _ => self.state = State::Reply(introducer, n.saturating_add(1)),
            },
            State::ReplyEscape => {
                if byte != b'\\' {
                    self.state = State::Escape;
                    self.byte(byte, out);
                }
            }
            State::Skip(n) => {
                if n > 1 {
                    self.state = State::Skip(n - 1);
                }
            }
        }
    }

    fn ground(&mut self, byte: u8, alt: bool, out: &mut Vec<InputEvent>) {
        let key = match byte {
            0x1b => {
                self.state = State::Escape;
                return;
            }
            b'\r' | b'\n' => Key::plain(Code::Enter),
            b'\t' => Key::plain(Code::Tab),
            0x08 | 0x7f => Key::plain(Code::Backspace),
            0 => Key::ctrl(' '),
            1..=0x1a => Key::ctrl(char::from(byte + 0x60)),
            0x1c..=0x1f => Key::ctrl(char::from(byte + 0x40)),
            0x20..=0x7e => Key::char(char::from(byte)),
            0xc2..=0xdf => return self.state = State::Utf8(vec![byte], 2, alt),
            0xe0..=0xef => return self.state = State::Utf8(vec![byte], 3, alt),
            0xf0..=0xf4 => return self.state = State::Utf8(vec![byte], 4, alt),
            _ => return,
        };
        out.push(InputEvent::Key(Key { alt, ..key }));
    }

    fn csi(&mut self, body: &[u8], last: u8, out: &mut Vec<InputEvent>) {
        if body == b"[" {
            if (b'A'..=b'E').contains(&last) {
                push(out, Code::F(last - b'A' + 1), 0);
            }
            return;
        }
        if !body.iter().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')) {
            return;
        }
        let mut numbers = body.split(|b| matches!(b, b';')).map(number);
        let (first, second, third) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let mods = second.saturating_sub(1);
        match last {
            b'M' if body.is_empty() => self.state = State::Skip(3),
            b'~' if first == 200 => self.state = State::Paste(Vec::new(), 0),
            b'~' if first == 27 => character(out, third, mods),
            b'~' => {
                if let Some(code) = tilde(first) {
                    push(out, code, mods);
                }
            }
            b'u' => character(out, first, mods),
            b'Z' => push(out, Code::Tab, mods | 1),
            b'I' | b'O' | b'R' | b'M' | b'm' if !(last == b'R' && first == 1) => {}
            _ => {
                if let Some(code) = ss3(last).filter(|_| last.is_ascii_uppercase()) {
                    push(out, code, mods);
                }
            }
        }
    }

    fn paste_byte(&mut self, text: &mut Vec<u8>, matched: usize, byte: u8) {
        if PASTE_END.get(matched) == Some(&byte) {
            self.state = if matched + 1 == PASTE_END.len() {
                State::Pasted(std::mem::take(text), Vec::new())
            } else {
                State::Paste(std::mem::take(text), matched + 1)
            };
            return;
        }
        // What looked like the end was text. The end holds its first byte only once, so only this byte can begin it anew.
        let mut keep = |bytes: &[u8]| {
            let room = PASTE_MAX.saturating_sub(text.len());
            text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        keep(&PASTE_END[..matched]);
        let again = usize::from(byte == PASTE_END[0]);
        if again == 0 {
            keep(&[byte]);
        }
        self.state = State::Paste(std::mem::take(text), again);
    }
}

impl Decoder {
    /// What comes right behind the end of a paste is kept until it is clear whether that was the end: if one more end follows, the first
    /// one was in the text, and what stands between is text as well.
    fn behind_paste(&mut self, mut text: Vec<u8>, mut behind: Vec<u8>, byte: u8, out: &mut Vec<InputEvent>) {
        behind.push(byte);
        if behind.ends_with(PASTE_END) {
            behind.truncate(behind.len() - PASTE_END.len());
            let room = PASTE_MAX.saturating_sub(text.len());
            text.extend_from_slice(&behind[..behind.len().min(room)]);
            behind.clear();
        } else if behind.ends_with(PASTE_BEGIN) {
            // Another paste: the first one is over.
            out.push(paste(&text));
            behind.into_iter().for_each(|byte| self.byte(byte, out));
            return;
        } else if behind.len() > PASTE_MAX {
            // Nobody types so much so fast: it is text of which there is no room to keep more.
            behind.clear();
        }
        self.state = State::Pasted(text, behind);
    }
}

fn paste(text: &[u8]) -> InputEvent {
    InputEvent::Paste(String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n"))
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().take_while(|b| b.is_ascii_digit()).fold(0u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0')))
}

fn modifier(body: &[u8]) -> u32 {
    body.rsplit(|b| *b == b';').next().map_or(0, number).saturating_sub(1)
}

fn push(out: &mut Vec<InputEvent>, code: Code, mods: u32) {
    let key = Key { code, shift: mods & 1 != 0, alt: mods & 2 != 0, ctrl: mods & 4 != 0 };
    out.push(InputEvent::Key(key.normal()));
}

/// A key given by its character's number (`CSI u`, modifyOtherKeys).
fn character(out: &mut Vec<InputEvent>, number: u32, mods: u32) {
    let code = match number {
        9 => Code::Tab,
        13 => Code::Enter,
        27 => Code::Esc,
        8 | 127 => Code::Backspace,
        n => match char::from_u32(n).filter(|c| !c.is_control()) {
            Some(c) => Code::Char(c),
            None => return,
        },
    };
    push(out, code, mods);
}

/// Final bytes that `ESC O` and `ESC [` share.
fn ss3(last: u8) -> Option<Code> {
    Some(match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'P' => Code::F(1),
        b'Q' => Code::F(2),
        b'R' => Code::F(3),
        b'S' => Code::F(4),
        b'M' => Code::Enter,
        // Keypad in application mode.
        b'j'..=b'o' => Code::Char(char::from(last - b'j' + b'*')),
        b'p'..=b'y' => Code::Char(char::from(last - b'p' + b'0')),
        _ => return None,
    })
}

fn tilde(number: u32) -> Option<Code> {
    Some(match number {
        1 | 7 => Code::Home,
        2 => Code::Insert,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11..=15 => Code::F((number - 10) as u8),
        17..=21 => Code::F((number - 11) as u8),
        23..=24 => Code::F((number - 12) as u8),
        _ => return None,
    })
}

/// Whether bytes are a whole sequence without its Esc, and nothing else.
fn is_tail(bytes: &[u8]) -> bool {
    match bytes {
        [b'O', last] => last.is_ascii_uppercase() && ss3(*last).is_some(),
        [b'[', body @ .., last] => {
            (0x40..=0x7e).contains(last) && *last != b'[' && body.iter().all(|b| b.is_ascii_digit() || *b == b';')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
