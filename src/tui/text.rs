//! Text from evidence made harmless and fitted to columns. Log lines hold escape sequences, bidi marks and invisible characters on
//! purpose: nothing of them reaches the terminal or the clipboard as it is (Unicode TR36, TR39; CVE-2021-42574).

use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Combining marks that one character may carry; what is beyond is spelled out.
const MARKS_MAX: usize = 4;

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
            _ if hidden(c) || marks > MARKS_MAX => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Characters that cannot be seen or change the order of others: C1, bidi controls, zero width, fillers, tags, separators of lines.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// The text if it fits, else its beginning and `…`. Never wider than `columns`; no character is cut in two.
pub fn fit(text: &str, columns: usize) -> String {
    cut(text, columns, "…")
}

/// The same with another sign for "goes on".
pub fn cut(text: &str, columns: usize, ellipsis: &str) -> String {
    let mut out = String::new();
    let (mut used, mut short) = (0, 0);
    let room = columns.saturating_sub(width(ellipsis));
    for grapheme in text.graphemes(true) {
        let w = width(grapheme);
        if used + w > columns {
            out.truncate(short);
            if columns >= width(ellipsis) {
                out.push_str(ellipsis);
            }
            return out;
        }
        used += w;
        out.push_str(grapheme);
        if used <= room {
            short = out.len();
        }
    }
    out
}

/// The text if it fits, else `…` and its end: for paths.
pub fn fit_end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let mut from = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        used += width(grapheme);
        if used > columns {
            break;
        }
        from = at;
    }
    if columns == 0 { String::new() } else { format!("…{}", &text[from..]) }
}

/// Text of evidence made harmless and fitted in one go: a line of 50 MB costs no more than one of 80 bytes.
pub fn shown(text: &str, columns: usize) -> String {
    let most = columns.saturating_mul(MARKS_MAX + 2).saturating_add(16);
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    fit(&clean(&text[..end]), columns)
}

/// The text fitted and filled with spaces to exactly `columns`.
pub fn pad(text: &str, columns: usize, right: bool) -> String {
    let mut out = fit(text, columns);
    let missing = columns.saturating_sub(width(&out));
    if right {
        out.insert_str(0, &" ".repeat(missing))
    } else {
        out.push_str(&" ".repeat(missing))
    }
    out
}

/// Lines of at most `columns`, broken at spaces where there are any; at most `most` lines.
pub fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_word_bounds() {
            if width(&current) + width(word) <= columns {
                current.push_str(word);
                continue;
            }
            if !current.trim().is_empty() {
                out.push(std::mem::take(&mut current).trim_end().to_owned());
            }
            current.clear();
            for grapheme in word.graphemes(true) {
                if width(&current) + width(grapheme) > columns {
                    out.push(std::mem::take(&mut current));
                }
                current.push_str(grapheme);
                if out.len() >= most {
                    return out;
                }
            }
            current = current.trim_start().to_owned();
        }
        out.push(current.trim_end().to_owned());
        if out.len() >= most {
            out.truncate(most);
            return out;
        }
    }
    out
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

    #[test]
    fn text_is_cut_between_characters_and_never_too_wide() {
        assert_eq!(fit("evil.example", 12), "evil.example");
        assert_eq!(fit("evil.example", 8), "evil.ex…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("abc", 1), "…");
        assert_eq!(cut("evil.example", 8, "~"), "evil.ex~");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(fit_end("/a/long/path/eve.json", 10), "…/eve.json");
        for columns in 0..12 {
            assert!(width(&fit("a日b本c語d", columns)) <= columns);
            assert!(width(&fit_end("a日b本c語d", columns)) <= columns);
            assert_eq!(width(&pad("a日b本c語d", columns, true)), columns);
        }
    }

    #[test]
    fn a_huge_line_is_shown_without_reading_it_all() {
        let huge = "\u{1b}".repeat(50_000_000);
        let start = std::time::Instant::now();
        assert_eq!(width(&shown(&huge, 80)), 80);
        assert!(start.elapsed().as_millis() < 50);
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4, 9), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\n\nb", 4, 9), ["a", "", "b"]);
        assert_eq!(wrap("a b c d e f", 1, 3).len(), 3);
    }
}
