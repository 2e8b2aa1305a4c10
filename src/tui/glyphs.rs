//! The signs that the screen is drawn with, for terminals that show all of Unicode, for the Linux console, and for ASCII.
//! Drawing code asks for a sign by what it means and never writes one out.

use ratatui::buffer::Buffer;
use ratatui::symbols::border;

/// Which characters a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode.
    Unicode,
    /// UTF-8, but the font of the Linux console: boxes, half blocks and Latin only.
    Console,
    /// ASCII.
    Ascii,
}

/// The signs, by meaning. Each is one column wide.
#[derive(Debug, Clone, Copy)]
pub struct Glyphs {
    /// What they are for.
    pub charset: Charset,
    /// Heights of a plot, from nothing to full.
    pub spark: [&'static str; 9],
    /// Horizontal rule.
    pub horizontal: &'static str,
    /// Vertical rule.
    pub vertical: &'static str,
    /// Where a vertical rule leaves a horizontal one downwards.
    pub tee_down: &'static str,
    /// Where one meets it from above.
    pub tee_up: &'static str,
    /// Where a horizontal rule leaves a vertical one to the right.
    pub tee_right: &'static str,
    /// Where one leaves it to the left.
    pub tee_left: &'static str,
    /// Last branch of a tree.
    pub branch_end: &'static str,
    /// The row under the cursor.
    pub cursor: &'static str,
    /// Between the steps of a trail.
    pub step: &'static str,
    /// Something unfolded.
    pub unfolded: &'static str,
    /// Something folded.
    pub folded: &'static str,
    /// An alert.
    pub alert: &'static str,
    /// Multiplication: `×3 seen by`.
    pub times: &'static str,
    /// Through address translation.
    pub nat: &'static str,
    /// To the right: originator to responder.
    pub right: &'static str,
    /// To the left: responder to originator.
    pub left: &'static str,
    /// Up; sorted ascending.
    pub up: &'static str,
    /// Down; sorted descending.
    pub down: &'static str,
    /// Text goes on.
    pub ellipsis: &'static str,
    /// A marked row.
    pub mark: &'static str,
    /// A bookmarked row.
    pub bookmark: &'static str,
    /// A row with a note.
    pub note: &'static str,
    /// Judged benign.
    pub benign: &'static str,
    /// Judged suspicious.
    pub suspicious: &'static str,
    /// Judged malicious.
    pub malicious: &'static str,
    /// Between items of a line.
    pub dot: &'static str,
    /// Something goes on: a question runs, a capture records.
    pub running: &'static str,
    /// Bytes that are missing.
    pub gap: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    charset: Charset::Unicode,
    spark: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    horizontal: "─",
    vertical: "│",
    tee_down: "┬",
    tee_up: "┴",
    tee_right: "├",
    tee_left: "┤",
    branch_end: "└",
    cursor: "▸",
    step: "▸",
    unfolded: "▾",
    folded: "▸",
    alert: "▲",
    times: "×",
    nat: "⇄",
    right: "→",
    left: "←",
    up: "↑",
    down: "↓",
    ellipsis: "…",
    mark: "✓",
    bookmark: "◆",
    note: "✎",
    benign: "○",
    suspicious: "◐",
    malicious: "●",
    dot: "·",
    running: "●",
    gap: "░",
};

const CONSOLE: Glyphs = Glyphs {
    charset: Charset::Console,
    spark: [" ", ".", "_", "_", "▄", "▄", "▄", "█", "█"],
    cursor: "►",
    step: "»",
    unfolded: "▼",
    folded: "►",
    nat: "↔",
    ellipsis: "~",
    mark: "*",
    bookmark: "♦",
    note: ";",
    benign: "o",
    suspicious: "?",
    malicious: "!",
    running: "*",
    ..UNICODE
};

const ASCII: Glyphs = Glyphs {
    charset: Charset::Ascii,
    spark: [" ", ".", ":", "-", "=", "+", "*", "#", "#"],
    horizontal: "-",
    vertical: "|",
    tee_down: "+",
    tee_up: "+",
    tee_right: "+",
    tee_left: "+",
    branch_end: "`",
    cursor: ">",
    step: ">",
    unfolded: "v",
    folded: ">",
    alert: "^",
    times: "x",
    nat: "%",
    right: ">",
    left: "<",
    up: "^",
    down: "v",
    ellipsis: "~",
    mark: "*",
    bookmark: "#",
    note: ";",
    benign: "o",
    suspicious: "?",
    malicious: "!",
    dot: "-",
    running: "*",
    gap: ".",
};

impl Glyphs {
    /// The signs for a terminal.
    pub fn new(charset: Charset) -> Glyphs {
        match charset {
            Charset::Unicode => UNICODE,
            Charset::Console => CONSOLE,
            Charset::Ascii => ASCII,
        }
    }
    /// Borders for ratatui's blocks.
    pub fn border(&self) -> border::Set<'static> {
        match self.charset {
            Charset::Unicode | Charset::Console => border::PLAIN,
            Charset::Ascii => border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            },
        }
    }
    /// The height of `value` out of `max` as a sign; anything above zero is seen.
    pub fn height(&self, value: f64, max: f64) -> &'static str {
        if value.is_nan() || value <= 0.0 || max <= 0.0 {
            return self.spark[0];
        }
        self.spark[((value / max * 8.0).ceil() as usize).clamp(1, 8)]
    }
    /// A text of ours with every sign that this terminal lacks put into ASCII: for match marks such as `×4`.
    pub fn put(&self, text: &str) -> String {
        match self.charset {
            Charset::Unicode => text.to_owned(),
            _ => text
                .replace('×', self.times)
                .replace('⇄', self.nat)
                .replace('→', self.right)
                .replace('←', self.left)
                .replace('▲', self.alert)
                .replace('●', self.running)
                .replace('…', self.ellipsis)
                .replace('·', self.dot)
                .replace('▸', self.step),
        }
    }
}

/// Puts every cell that the terminal cannot show into signs that it can: evidence holds any character, and a terminal without UTF-8 would
/// show several wrong ones for it and lose its columns.
pub fn plain(buffer: &mut Buffer, charset: Charset) {
    if charset != Charset::Ascii {
        return;
    }
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let sign = match symbol {
            "…" => "~",
            "×" => "x",
            "→" | "▸" | "►" | "»" => ">",
            "←" => "<",
            "⇄" | "↔" => "%",
            "▲" | "↑" => "^",
            "▼" | "↓" | "▾" => "v",
            "│" | "┃" => "|",
            "─" | "━" => "-",
            "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
            "·" | "•" => "-",
            "●" | "✓" | "◆" => "*",
            "█" | "▇" | "▆" => "#",
            "▅" | "▄" => "=",
            "▃" | "▂" => "-",
            "▁" => ".",
            _ => "?",
        };
        cell.set_symbol(sign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_ascii_goes_to_a_terminal_that_knows_no_more() {
        let mut buffer = Buffer::with_lines(["né 日本 … ×4 ▂█ ü"]);
        plain(&mut buffer, Charset::Ascii);
        assert!(buffer.content.iter().all(|c| c.symbol().is_ascii()));
        assert_eq!(buffer.content[0].symbol(), "n");
    }

    #[test]
    fn ascii_is_ascii_and_every_height_above_nothing_is_seen() {
        let glyphs = Glyphs::new(Charset::Ascii);
        assert!(glyphs.spark.iter().all(|s| s.is_ascii()));
        assert!(glyphs.put("a ×4 ⇄ → … · ▸ ▲").is_ascii());
        assert_eq!(Glyphs::new(Charset::Unicode).height(0.001, 100.0), "▁");
        assert_eq!(Glyphs::new(Charset::Unicode).height(100.0, 100.0), "█");
        assert_eq!(Glyphs::new(Charset::Unicode).height(f64::NAN, 100.0), " ");
    }
}
