//! A list whose lines belong under one another and can be folded: layers with their fields, the trail.

use super::scroll::Scroll;
use crate::tui::glyphs::Glyphs;
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Line<T> {
    /// How deep it is, 0 at the root.
    pub depth: usize,
    /// What it says.
    pub text: String,
    /// Said after it, dim.
    pub doc: String,
    /// Role of its style.
    pub role: &'static str,
    /// What it stands for.
    pub value: T,
}

/// The lines in order, each under the nearest one above it that is less deep.
#[derive(Debug, Clone)]
pub struct Tree<T> {
    lines: Vec<Line<T>>,
    folded: Vec<bool>,
    scroll: Scroll,
}

impl<T> Default for Tree<T> {
    fn default() -> Tree<T> {
        Tree { lines: Vec::new(), folded: Vec::new(), scroll: Scroll::default() }
    }
}

impl<T> Tree<T> {
    /// A tree; `folded` says of a line with lines under it whether it begins folded.
    pub fn new(lines: Vec<Line<T>>, folded: impl Fn(&Line<T>) -> bool) -> Tree<T> {
        let folded = lines.iter().map(folded).collect();
        Tree { lines, folded, scroll: Scroll::default() }
    }
    /// All lines.
    pub fn lines(&self) -> &[Line<T>] {
        &self.lines
    }
    /// The line under the cursor.
    pub fn selected(&self) -> Option<&Line<T>> {
        self.place().map(|n| &self.lines[n])
    }
    /// Which line is under the cursor.
    pub fn line(&self) -> usize {
        self.place().unwrap_or(0)
    }
    /// Puts the cursor on the first line for which `which` holds, unfolding what it is under.
    pub fn select(&mut self, which: impl Fn(&Line<T>) -> bool) {
        if let Some(at) = self.lines.iter().position(which) {
            self.stand(at);
        }
    }
    /// Puts the cursor on a line, unfolding what it is under.
    pub fn stand(&mut self, at: usize) {
        if at >= self.lines.len() {
            return;
        }
        let mut depth = self.lines[at].depth;
        for n in (0..at).rev() {
            if self.lines[n].depth < depth {
                depth = self.lines[n].depth;
                self.folded[n] = false;
            }
        }
        let seen = self.seen();
        self.scroll.select(seen.iter().position(|n| *n == at).unwrap_or(0), seen.len());
    }
    /// Runs a command that moves or folds (`move_left`, `move_right`, `mark_row` toggles). False: it is another command.
    pub fn run(&mut self, command: &str) -> bool {
        let seen = self.seen();
        let Some(at) = self.place() else { return self.scroll.run(command, seen.len()) };
        match command {
            "move_right" if self.folded[at] && self.parent(at) => self.folded[at] = false,
            "move_right" => return self.scroll.run("move_down", seen.len()),
            "move_left" if !self.folded[at] && self.parent(at) => self.folded[at] = true,
            "move_left" => {
                let depth = self.lines[at].depth;
                let up = (0..at).rev().find(|n| self.lines[*n].depth < depth);
                if let Some(line) = up.and_then(|up| seen.iter().position(|n| *n == up)) {
                    self.scroll.select(line, seen.len());
                }
            }
            _ => return self.scroll.run(command, seen.len()),
        }
        true
    }
    /// Draws it.
    pub fn draw(&mut self, buf: &mut Buffer, area: Rect, theme: &Theme, glyphs: &Glyphs, focused: bool) {
        let seen = self.seen();
        for (row, at) in self.scroll.sight(usize::from(area.height), seen.len()).enumerate() {
            let n = seen[at];
            let line = &self.lines[n];
            let y = area.y + row as u16;
            let chosen = at == self.scroll.selected;
            let role = if focused { "ui.row.selected" } else { "ui.row.selected.inactive" };
            let base = theme.style("ui.background").patch(if chosen { theme.style(role) } else { Style::default() });
            fill(buf, Rect { y, height: 1, ..area }, base);
            let x = area.x + (line.depth as u16 * 2).min(area.width / 2);
            let sign = match (self.parent(n), self.folded[n]) {
                (false, _) => " ",
                (true, true) => glyphs.folded,
                (true, false) => glyphs.unfolded,
            };
            let dim = theme.style("ui.dim").patch(base);
            let style = theme.style(line.role).patch(base);
            put(buf, x, y, 1, sign, dim);
            let room = area.right().saturating_sub(x + 2);
            let used = put(buf, x + 2, y, room, &text::shown(&line.text, usize::from(room)), style);
            let room = room.saturating_sub(used + 2);
            if used > 0 && !line.doc.is_empty() && room > 3 {
                put(buf, x + 4 + used, y, room, &text::shown(&line.doc, usize::from(room)), dim);
            }
        }
    }
    /// Where one is, e.g. `3/40`.
    pub fn status(&self) -> String {
        self.scroll.place(self.seen().len())
    }
    fn place(&self) -> Option<usize> {
        self.seen().get(self.scroll.selected).copied()
    }
    fn parent(&self, n: usize) -> bool {
        self.lines.get(n + 1).is_some_and(|next| next.depth > self.lines[n].depth)
    }
    fn seen(&self) -> Vec<usize> {
        let mut out = Vec::new();
        let mut hidden: Option<usize> = None;
        for (n, line) in self.lines.iter().enumerate() {
            if hidden.is_some_and(|depth| line.depth > depth) {
                continue;
            }
            hidden = (self.folded[n] && self.parent(n)).then_some(line.depth);
            out.push(n);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::Charset;
    use crate::tui::terminal::Depth;

    fn tree() -> Tree<u8> {
        let line = |depth, text: &str, value| Line { depth, text: text.into(), doc: String::new(), role: "ui.text", value };
        Tree::new(
            vec![line(0, "eth", 0), line(1, "src", 1), line(0, "ip", 2), line(1, "ttl", 3), line(2, "x", 4), line(0, "tcp", 5)],
            |l| l.depth == 0,
        )
    }

    #[test]
    fn folded_lines_hide_what_is_under_them() {
        let mut tree = tree();
        assert_eq!(tree.seen(), [0, 2, 5]);
        assert!(tree.run("move_right"));
        assert_eq!(tree.seen(), [0, 1, 2, 5]);
        tree.run("move_right");
        assert_eq!(tree.selected().map(|l| l.value), Some(1));
        tree.run("move_left");
        assert_eq!(tree.selected().map(|l| l.value), Some(0));
        tree.run("move_left");
        assert_eq!(tree.seen(), [0, 2, 5]);
        tree.select(|l| l.value == 4);
        assert_eq!(tree.selected().map(|l| l.value), Some(4));
        assert!(!tree.run("drill"));
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        for (w, h) in [(80, 24), (9, 2), (1, 1), (0, 0)] {
            let area = Rect::new(0, 0, w, h);
            tree.draw(&mut Buffer::empty(area), area, &theme, &Glyphs::new(Charset::Unicode), true);
        }
        assert!(Tree::<u8>::default().run("move_down"));
    }
}
