//! A line that one types: editing, history, completion, the place of an error. Keys come as commands of the scope `prompt`; what is no
//! command is text.

use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The commands of the scope `prompt`.
pub const COMMANDS: &[(&str, &str)] = &[
    ("accept", "take the line"),
    ("cancel", "close; what was typed is kept in the history"),
    ("complete", "next completion"),
    ("complete_previous", "previous completion"),
    ("left", "one character to the left"),
    ("right", "one character to the right"),
    ("word_left", "one word to the left"),
    ("word_right", "one word to the right"),
    ("start", "to the start of the line"),
    ("end", "to the end of the line"),
    ("delete_left", "delete the character before the cursor"),
    ("delete_right", "delete the character under the cursor"),
    ("delete_word", "delete the word before the cursor"),
    ("clear", "delete everything before the cursor"),
    ("clear_right", "delete everything after the cursor"),
    ("history_older", "the line typed before"),
    ("history_newer", "the line typed after"),
];

/// Longest line.
const MAX: usize = 16 << 10;
/// Lines of the completion box.
const CHOICES: usize = 8;
/// Lines that a history keeps.
const HISTORY: usize = 200;

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// The text changed: offer completions anew.
    Edited,
    /// The cursor moved, or nothing happened.
    Moved,
    /// The line is taken.
    Accepted,
    /// The line is given up.
    Cancelled,
    /// It is a command of somebody else.
    Nothing,
}

/// One completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is put into the line.
    pub text: String,
    /// What it is.
    pub doc: String,
}

/// Lines typed before, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<String>);

impl History {
    /// Keeps a line; taken and cancelled ones alike, so that nothing typed is lost.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        self.0.retain(|l| l != line);
        self.0.push(line.to_owned());
        let over = self.0.len().saturating_sub(HISTORY);
        self.0.drain(..over);
    }
}

/// A line being typed.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// What is asked.
    pub label: String,
    text: String,
    cursor: usize,
    history: Vec<String>,
    /// Which line of the history is shown, and what was typed before that.
    older: Option<(usize, String)>,
    range: Range<usize>,
    choices: Vec<Choice>,
    chosen: Option<usize>,
    error: Option<(String, Option<usize>)>,
}

impl Prompt {
    /// A line that begins with `text`, the cursor at its end.
    pub fn new(label: impl Into<String>, text: &str, history: &History) -> Prompt {
        Prompt { label: label.into(), text: text.to_owned(), cursor: text.len(), history: history.0.clone(), ..Prompt::default() }
    }
    /// What is typed.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Byte offset of the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }
    /// Puts another text into the line.
    pub fn set(&mut self, text: &str) {
        self.text = text.to_owned();
        self.cursor = self.text.len();
        self.edited();
    }
    /// Types a character.
    pub fn type_char(&mut self, c: char) -> Did {
        self.insert(c.encode_utf8(&mut [0; 4]))
    }
    /// Puts pasted text in: one line, harmless.
    pub fn paste(&mut self, pasted: &str) -> Did {
        let end = pasted.char_indices().nth(MAX).map_or(pasted.len(), |(at, _)| at);
        let line = pasted[..end].trim_end().replace(['\n', '\t'], " ");
        self.insert(&text::clean(&line))
    }
    /// Runs a command of the scope `prompt`.
    pub fn run(&mut self, command: &str) -> Did {
        match command {
            "accept" => return Did::Accepted,
            "cancel" => return Did::Cancelled,
            "complete" => return self.complete(true),
            "complete_previous" => return self.complete(false),
            "history_older" => return self.walk(true),
            "history_newer" => return self.walk(false),
            "left" => self.cursor = self.before(),
            "right" => self.cursor = self.after(),
            "word_left" => self.cursor = self.word_before(),
            "word_right" => self.cursor = self.word_after(),
            "start" => self.cursor = 0,
            "end" => self.cursor = self.text.len(),
            "delete_left" => return self.delete(self.before()..self.cursor),
            "delete_right" => return self.delete(self.cursor..self.after()),
            "delete_word" => return self.delete(self.word_before()..self.cursor),
            "clear" => return self.delete(0..self.cursor),
            "clear_right" => return self.delete(self.cursor..self.text.len()),
            _ => return Did::Nothing,
        }
        Did::Moved
    }
    /// Offers completions that replace a range of bytes of the line (its end is where the cursor stands).
    pub fn offer(&mut self, range: Range<usize>, choices: Vec<Choice>) {
        let whole = self.text.is_char_boundary(range.start) && self.text.is_char_boundary(range.end) && range.start <= range.end;
        self.choices = if whole { choices } else { Vec::new() };
        self.range = range;
        self.chosen = None;
    }
    /// Shows an error below the line, pointing at a byte of it.
    pub fn fail(&mut self, message: impl Into<String>, at: Option<usize>) {
        self.error = Some((message.into(), at));
    }
    /// Lines that it takes now.
    pub fn height(&self) -> u16 {
        1 + u16::from(self.error.is_some()) + self.choices.len().min(CHOICES) as u16
    }
    /// Draws it at the bottom of an area; gives where the terminal's cursor belongs.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Position {
        let height = self.height().min(area.height);
        let line = area.bottom().saturating_sub(1 + u16::from(self.error.is_some() && height > 1));
        let style = theme.style("ui.background").patch(theme.style("ui.prompt"));
        fill(buf, Rect { y: line, height: 1, ..area }, style);
        let label = put(buf, area.x, line, area.width / 2, &self.label, style.patch(theme.style("ui.prompt.label")));
        let label = if label > 0 { label + 1 } else { 0 };
        let room = usize::from(area.width.saturating_sub(label + 1)).max(1);
        // Enough is scrolled away for the cursor to stay in sight.
        let before = text::width(&self.text[..self.cursor]);
        let mut skipped = 0;
        let mut from = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            if before - skipped <= room {
                break;
            }
            skipped += text::width(grapheme);
            from = at + grapheme.len();
        }
        let x = area.x + label;
        put(buf, x, line, room as u16 + 1, &self.text[from..], style);
        if let Some((message, at)) = &self.error {
            let style = theme.style("ui.background").patch(theme.style("ui.error"));
            let y = line + 1;
            fill(buf, Rect { y, height: 1, ..area }, style);
            let at = at.filter(|at| self.text.is_char_boundary(*at)).map_or(0, |at| text::width(&self.text[..at]));
            let shift = (at.saturating_sub(skipped) as u16).min(area.width.saturating_sub(label + 2));
            let shown = format!("^ {}", text::clean(message));
            let short = text::width(&shown) as u16 > area.width.saturating_sub(label + shift);
            // Where the sentence does not fit behind the caret it stands before it.
            if short && at > 0 {
                put(buf, area.x, y, label + shift, &text::clean(message), style);
                put(buf, x + shift, y, 1, "^", style);
            } else {
                put(buf, x + shift, y, area.right().saturating_sub(x + shift), &shown, style);
            }
        }
        self.draw_choices(buf, Rect { height: line.saturating_sub(area.y), ..area }, x, theme);
        Position { x: (x + (before - skipped) as u16).min(area.right().saturating_sub(1)), y: line }
    }

    fn draw_choices(&self, buf: &mut Buffer, above: Rect, x: u16, theme: &Theme) {
        let height = self.choices.len().min(CHOICES).min(usize::from(above.height));
        if height == 0 {
            return;
        }
        let chosen = self.chosen.unwrap_or(0);
        let top = chosen.saturating_sub(height - 1);
        let seen = &self.choices[top..(top + height).min(self.choices.len())];
        let wide = seen.iter().map(|c| text::width(&c.text)).max().unwrap_or(0).min(40) as u16;
        let docs = seen.iter().map(|c| text::width(&c.doc)).max().unwrap_or(0).min(60) as u16;
        let width = (wide + docs + 4).min(above.width);
        let x = x.min(above.right().saturating_sub(width));
        for (n, choice) in seen.iter().enumerate() {
            let y = above.bottom() - height as u16 + n as u16;
            let base = theme.style(if self.chosen == Some(top + n) { "ui.menu.selected" } else { "ui.menu" });
            let base = theme.style("ui.menu").patch(base);
            fill(buf, Rect { x, y, width, height: 1 }, base);
            put(buf, x + 1, y, wide.min(width.saturating_sub(1)), &text::clean(&choice.text), base);
            let dim = if self.chosen == Some(top + n) { base } else { base.patch(theme.style("ui.dim")) };
            put(buf, x + wide + 3, y, width.saturating_sub(wide + 4), &text::clean(&choice.doc), dim);
        }
    }
    fn edited(&mut self) {
        self.choices.clear();
        self.chosen = None;
        self.error = None;
        self.older = None;
    }
    fn insert(&mut self, what: &str) -> Did {
        if what.is_empty() || self.text.len() + what.len() > MAX {
            return Did::Moved;
        }
        self.text.insert_str(self.cursor, what);
        self.cursor += what.len();
        self.edited();
        Did::Edited
    }
    fn delete(&mut self, range: Range<usize>) -> Did {
        if range.is_empty() {
            return Did::Moved;
        }
        self.cursor = range.start;
        self.text.replace_range(range, "");
        self.edited();
        Did::Edited
    }
    fn complete(&mut self, forward: bool) -> Did {
        let n = self.choices.len();
        if n == 0 {
            return Did::Moved;
        }
        let next = match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => n - 1,
            (Some(at), true) => (at + 1) % n,
            (Some(at), false) => (at + n - 1) % n,
        };
        let text = self.choices[next].text.clone();
        self.text.replace_range(self.range.clone(), &text);
        self.cursor = self.range.start + text.len();
        self.range.end = self.cursor;
        self.error = None;
        // A single choice is done with; of several, the next key of the same kind takes the next.
        if n == 1 {
            self.choices.clear();
            self.chosen = None;
            return Did::Edited;
        }
        self.chosen = Some(next);
        Did::Moved
    }
    fn walk(&mut self, older: bool) -> Did {
        let at = self.older.as_ref().map(|(at, _)| *at);
        let next = match (at, older) {
            (None, true) => self.history.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) if at + 1 < self.history.len() => Some(at + 1),
            _ => None,
        };
        let typed = self.older.take().map_or_else(|| self.text.clone(), |(_, typed)| typed);
        let line = match next {
            Some(n) => self.history[n].clone(),
            None => typed.clone(),
        };
        self.set(&line);
        self.older = next.map(|n| (n, typed));
        Did::Edited
    }
    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }
    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |g| self.cursor + g.len())
    }
    fn word_before(&self) -> usize {
        let trimmed = self.text[..self.cursor].trim_end();
        trimmed.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
    }
    fn word_after(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        self.cursor + rest[word..].find(char::is_whitespace).map_or(rest.len(), |n| word + n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::terminal::Depth;

    fn typed(line: &str) -> Prompt {
        let mut prompt = Prompt::new("filter", "", &History::default());
        line.chars().for_each(|c| {
            prompt.type_char(c);
        });
        prompt
    }

    fn after(line: &str, commands: &[&str]) -> (String, usize) {
        let mut prompt = typed(line);
        for command in commands {
            assert_ne!(prompt.run(command), Did::Nothing, "{command}");
        }
        (prompt.text().to_owned(), prompt.cursor())
    }

    #[test]
    fn every_command_of_the_scope_is_known_and_safe_on_any_line() {
        for line in ["", "a", "host 10.0.0.5", "é日本 ü"] {
            for (a, _) in COMMANDS {
                for (b, _) in COMMANDS {
                    after(line, &[a, b]);
                    after(line, &["left", a, "word_left", b]);
                }
            }
        }
    }

    #[test]
    fn the_line_is_edited_by_whole_characters_and_words() {
        assert_eq!(after("host évil", &["delete_left"]), ("host évi".into(), 9));
        assert_eq!(after("host evil", &["delete_word"]), ("host ".into(), 5));
        assert_eq!(after("host evil", &["word_left", "clear"]), ("evil".into(), 0));
        assert_eq!(after("host evil", &["word_left", "clear_right"]), ("host ".into(), 5));
        assert_eq!(after("a日b", &["left", "left", "delete_right"]), ("ab".into(), 1));
        assert_eq!(after("one two", &["start", "word_right"]), ("one two".into(), 3));
    }

    #[test]
    fn history_keeps_what_was_being_typed() {
        let mut history = History::default();
        history.add("first");
        history.add("second");
        history.add("first");
        let mut prompt = Prompt::new("", "draft", &history);
        prompt.run("history_older");
        assert_eq!(prompt.text(), "first");
        prompt.run("history_older");
        prompt.run("history_older");
        assert_eq!(prompt.text(), "second");
        prompt.run("history_newer");
        prompt.run("history_newer");
        assert_eq!(prompt.text(), "draft");
    }

    #[test]
    fn completions_replace_their_range_in_turn() {
        let mut prompt = typed("src.ip = 1");
        let choice = |t: &str| Choice { text: t.into(), doc: String::new() };
        prompt.offer(9..10, vec![choice("10.0.0.5"), choice("192.0.2.1")]);
        prompt.run("complete");
        assert_eq!(prompt.text(), "src.ip = 10.0.0.5");
        prompt.run("complete");
        assert_eq!(prompt.text(), "src.ip = 192.0.2.1");
        prompt.run("complete_previous");
        assert_eq!((prompt.text(), prompt.height()), ("src.ip = 10.0.0.5", 3));
        prompt.type_char(' ');
        assert_eq!(prompt.height(), 1);
    }

    #[test]
    fn pasted_text_is_one_harmless_line() {
        let mut prompt = typed("");
        prompt.paste("a\x1b[2J\nb\n");
        assert_eq!(prompt.text(), "a\\x1b[2J b");
        prompt.paste(&"x".repeat(MAX * 2));
        assert!(prompt.text().len() <= MAX);
    }

    #[test]
    fn the_cursor_is_in_sight_and_an_error_points_at_its_place() {
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        let mut prompt = typed("src.prt = 5");
        prompt.fail("unknown field; src.port?", Some(4));
        let area = Rect::new(0, 0, 60, 5);
        let mut buf = Buffer::empty(area);
        let cursor = prompt.draw(&mut buf, area, &theme);
        let row = |y: u16| (0..60).map(|x| buf[(x, y)].symbol()).collect::<String>();
        assert_eq!(row(3).trim_end(), "filter src.prt = 5");
        assert_eq!(row(4).trim_end(), "           ^ unknown field; src.port?");
        assert_eq!(cursor, Position { x: 18, y: 3 });
        let long = typed(&"0123456789".repeat(20));
        for area in [Rect::new(0, 0, 20, 1), Rect::new(0, 0, 3, 1), Rect::new(0, 0, 1, 1)] {
            let cursor = long.draw(&mut Buffer::empty(area), area, &theme);
            assert!(area.contains(cursor));
        }
    }
}
