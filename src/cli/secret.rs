//! Asks for a password on the terminal, without showing it.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};

/// Characters of a password at most.
const MAX: usize = 1024;

/// Asks on the terminal of the process; none: there is none, or the answer was empty or given up (Ctrl-C, Ctrl-D, Esc).
pub fn ask(question: &str) -> Option<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    write!(terminal, "{question}: ").ok()?;
    let quiet = Quiet::on(&terminal)?;
    let answer = line(&mut terminal);
    drop(quiet);
    let _ = writeln!(terminal);
    answer.filter(|a| !a.is_empty())
}

/// The terminal without echo, until it is dropped. Signals from its keys are off too: one must not end the process before echo is back.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn on(terminal: &File) -> Option<Quiet> {
        let before = tcgetattr(terminal).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &quiet).ok()?;
        Some(Quiet { terminal: terminal.try_clone().ok()?, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// A line as it is typed: with backspace and Ctrl-U.
fn line(from: &mut impl Read) -> Option<String> {
    let mut typed = Vec::new();
    let mut byte = [0];
    while from.read_exact(&mut byte).is_ok() {
        match byte[0] {
            b'\n' | b'\r' => return String::from_utf8(typed).ok(),
            3 | 4 | 27 => return None,
            8 | 127 => {
                // A character of several bytes goes as one.
                while typed.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
            }
            21 => typed.clear(),
            b if typed.len() < MAX => typed.push(b),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_as_typed_and_can_be_mended_or_given_up() {
        let typed = |keys: &str| line(&mut keys.as_bytes());
        assert_eq!(typed("secret\n"), Some("secret".into()));
        assert_eq!(typed("sex\u{7f}cret\r"), Some("secret".into()));
        assert_eq!(typed("pä\u{7f}ass\n"), Some("pass".into()));
        assert_eq!(typed("wrong\u{15}right\n"), Some("right".into()));
        assert_eq!(typed("no\u{3}"), None);
        assert_eq!(typed("cut"), None);
    }
}
