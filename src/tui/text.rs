//! Text from evidence fitted to columns; made harmless before that.

use crate::model::harmless::MARKS_MAX;
pub use crate::model::harmless::{clean, clean_lines};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

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

/// The text in at most `most` lines of `columns`, broken anywhere but within a character; and how many characters are left after those.
pub fn pieces(text: &str, columns: usize, most: usize) -> (Vec<String>, usize) {
    let columns = columns.max(2);
    let mut out = vec![String::new()];
    let mut used = 0;
    let mut rest = text.graphemes(true);
    while let Some(grapheme) = rest.next() {
        let wide = width(grapheme);
        if used + wide > columns {
            if out.len() >= most {
                return (out, 1 + rest.count());
            }
            out.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(line) = out.last_mut() {
            line.push_str(grapheme);
        }
    }
    (out, 0)
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
    fn a_huge_line_is_shown_by_its_beginning() {
        assert_eq!(width(&shown(&"\u{1b}".repeat(50_000_000), 80)), 80);
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4, 9), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\n\nb", 4, 9), ["a", "", "b"]);
        assert_eq!(wrap("a b c d e f", 1, 3).len(), 3);
    }

    #[test]
    fn a_text_in_pieces_is_whole_in_its_order_and_what_is_left_is_counted() {
        let text = "日本語e\u{301}x👩‍👩‍👧 end of a long line";
        for columns in 2..60 {
            let (lines, left) = pieces(text, columns, 99);
            assert_eq!((lines.concat().as_str(), left), (text, 0));
            assert!(lines.iter().all(|l| width(l) <= columns), "{lines:?}");
            let (some, left) = pieces(text, columns, 1);
            assert_eq!((some.len(), text.graphemes(true).count()), (1, some[0].graphemes(true).count() + left));
        }
    }
}
