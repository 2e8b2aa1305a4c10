//! Text from evidence made harmless. Log lines hold escape sequences, bidi marks and invisible characters on purpose: nothing of them reaches a
//! terminal, the clipboard or a report as it is (Unicode TR36, TR39; CVE-2021-42574).

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// Combining marks that one character may carry; what is beyond is spelled out.
pub const MARKS_MAX: usize = 4;

/// The text with everything that could act on a terminal or deceive a reader spelled out: `\x1b`, `\n`, `<U+202E>`.
pub fn clean(text: &str) -> Cow<'_, str> {
    cleaned(text, false)
}

/// The same for text of several lines: line feeds and tabs stay.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    cleaned(text, true)
}

fn cleaned(text: &str, lines: bool) -> Cow<'_, str> {
    let kept = |c: char| lines && matches!(c, '\n' | '\t');
    if text.bytes().all(|b| (0x20..0x7f).contains(&b) || kept(char::from(b))) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    for c in text.chars() {
        if kept(c) {
            out.push(c);
            continue;
        }
        let mark = c.width() == Some(0);
        marks = if mark { marks + 1 } else { 0 };
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ if is_hidden(c) || marks > MARKS_MAX => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Characters that cannot be seen or change the order of others: C1, bidi controls, zero width, fillers, tags, separators of lines.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_is_left() {
        assert_eq!(clean("plain"), "plain");
        assert_eq!(clean("a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(clean("a\u{202e}txt.exe"), "a<U+202E>txt.exe");
        assert_eq!(clean("a\u{200b}b\u{9b}31m"), "a<U+200B>b<U+009B>31m");
        assert_eq!(clean("tab\tline\nend\r\x07\x7f"), "tab\\tline\\nend\\r\\x07\\x7f");
        assert_eq!(clean("日本 é"), "日本 é");
        assert_eq!(clean_lines("a\tb\nc\x1b"), "a\tb\nc\\x1b");
        let many = format!("a{}", "\u{301}".repeat(9));
        assert_eq!(clean(&many).matches("<U+0301>").count(), 5);
        for n in 0..=0x10ffff {
            let Some(c) = char::from_u32(n) else { continue };
            let text = format!("a{c}");
            assert!(!clean(&text).chars().any(char::is_control), "U+{n:04X}");
        }
    }
}
