//! A key as the workbench knows it: what was pressed, not which bytes or which library said so.
//!
//! Text form, the same in keymaps, help and tests: `q`, `G`, `<`, `space`, `enter`, `pgup`, `ctrl-k`, `shift-tab`, `alt-x`, `f5`.
//! A printable character carries its own case: `G` is never `shift-g`.

use std::fmt;
use std::str::FromStr;

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// A printable character, as typed.
    Char(char),
    /// Enter or Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// A function key, 1 to 24.
    F(u8),
}

/// A key with its modifiers. Of a character, `shift` is always false (the character says it) and with `ctrl` it is lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// What was pressed.
    pub code: Code,
    /// With Ctrl.
    pub ctrl: bool,
    /// With Alt (or Meta).
    pub alt: bool,
    /// With Shift; only of keys that are not characters.
    pub shift: bool,
}

/// Names of the keys that have one, first the one that is shown.
const NAMES: &[(&str, Code)] = &[
    ("space", Code::Char(' ')),
    ("enter", Code::Enter),
    ("return", Code::Enter),
    ("esc", Code::Esc),
    ("escape", Code::Esc),
    ("tab", Code::Tab),
    ("backspace", Code::Backspace),
    ("del", Code::Delete),
    ("delete", Code::Delete),
    ("ins", Code::Insert),
    ("insert", Code::Insert),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pageup", Code::PageUp),
    ("pgdn", Code::PageDown),
    ("pagedown", Code::PageDown),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
];

impl Key {
    /// A key without modifiers.
    pub fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false, shift: false }
    }
    /// A character as typed.
    pub fn char(c: char) -> Key {
        Key::plain(Code::Char(c))
    }
    /// A character with Ctrl.
    pub fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c.to_ascii_lowercase()), ctrl: true, alt: false, shift: false }
    }
    /// The same key with Alt.
    pub fn with_alt(self) -> Key {
        Key { alt: true, ..self }
    }
    /// Reads the text form; `None` if it is not one. Names of keys and modifiers are read in any case.
    pub fn parse(text: &str) -> Option<Key> {
        let mut key = Key::plain(Code::Esc);
        let mut rest = text;
        loop {
            let lower = rest.to_ascii_lowercase();
            let (flag, len): (&mut bool, usize) = if lower.starts_with("ctrl-") && rest.len() > 5 {
                (&mut key.ctrl, 5)
            } else if lower.starts_with("alt-") && rest.len() > 4 {
                (&mut key.alt, 4)
            } else if lower.starts_with("shift-") && rest.len() > 6 {
                (&mut key.shift, 6)
            } else {
                break;
            };
            if std::mem::replace(flag, true) {
                return None;
            }
            rest = &rest[len..];
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() => Code::Char(c),
            _ => named(&rest.to_ascii_lowercase())?,
        };
        Some(key.normal())
    }
    /// The character that this key types, if it types one: no Ctrl, no Alt.
    pub fn typed(&self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
    /// The same key in the one form in which keys are compared.
    pub fn normal(mut self) -> Key {
        if let Code::Char(c) = self.code {
            if self.ctrl {
                self.code = Code::Char(c.to_ascii_lowercase());
            } else if self.shift && c.is_ascii_lowercase() {
                self.code = Code::Char(c.to_ascii_uppercase());
            }
            self.shift = false;
        }
        self
    }
}

fn named(lower: &str) -> Option<Code> {
    if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == lower) {
        return Some(*code);
    }
    let number: u8 = lower.strip_prefix('f')?.parse().ok()?;
    (1..=24).contains(&number).then_some(Code::F(number))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        for (set, prefix) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if set {
                out.push_str(prefix);
            }
        }
        match (self.code, NAMES.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => out.push_str(name),
            (Code::Char(c), None) => out.push(c),
            (Code::F(n), None) => out.push_str(&format!("f{n}")),
            _ => {}
        }
        f.pad(&out)
    }
}

impl FromStr for Key {
    type Err = ();
    fn from_str(text: &str) -> Result<Key, ()> {
        Key::parse(text).ok_or(())
    }
}

/// Every key that has a name, for tests and for the list of keys.
pub fn named_keys() -> impl Iterator<Item = Key> {
    let mut seen = Vec::new();
    for (_, code) in NAMES {
        if !seen.contains(code) {
            seen.push(*code);
        }
    }
    seen.into_iter().chain((1..=12).map(Code::F)).map(Key::plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_shows() {
        for text in
            ["q", "G", "<", "space", "enter", "pgup", "ctrl-k", "shift-tab", "alt-x", "f5", "-", "ctrl--", "é", "ctrl-space"]
        {
            assert_eq!(Key::parse(text).map(|k| k.to_string()).as_deref(), Some(text));
        }
        for key in named_keys() {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
    }

    #[test]
    fn other_spellings_mean_the_same_key() {
        assert_eq!(Key::parse("PageUp"), Key::parse("pgup"));
        assert_eq!(Key::parse("Ctrl-K"), Key::parse("ctrl-k"));
        assert_eq!(Key::parse("shift-g"), Key::parse("G"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ctrl-", "ctrl-ctrl-a", "nosuch", "f0", "f25", "ab", "\u{1b}"] {
            assert_eq!(Key::parse(text), None, "{text:?}");
        }
    }
}
