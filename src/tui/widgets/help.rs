//! The keys that work here, read from the keymap, with what they do.

use super::menu::popup;
use super::scroll::Scroll;
use crate::tui::glyphs::Glyphs;
use crate::tui::keymap::Keymap;
use crate::tui::paint::{put, put_right};
use crate::tui::text;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// One line: keys and what they do; a heading has no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Keys as shown, those of one command together.
    pub keys: String,
    /// What they do.
    pub doc: String,
}

/// The box of keys.
#[derive(Debug, Clone, Default)]
pub struct Help {
    title: String,
    lines: Vec<Line>,
    scroll: Scroll,
}

/// Columns that a line needs side by side with another.
const COLUMN: u16 = 46;

impl Help {
    /// The keys of a scope. `doc` gives what a command does; a command that it does not know is not shown. `order` says in which order
    /// commands stand, with headings: subject, its commands. What is in no subject comes first: it belongs to this place alone.
    pub fn new(
        title: impl Into<String>,
        keymap: &Keymap,
        scope: &str,
        doc: &dyn Fn(&str) -> Option<String>,
        order: &[(&str, Vec<&str>)],
    ) -> Help {
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        for (keys, command) in keymap.bindings(scope) {
            match commands.iter_mut().find(|(c, _)| *c == command) {
                Some((_, all)) => all.push(keys),
                None => commands.push((command, vec![keys])),
            }
        }
        let line = |command: &str| {
            let (_, keys) = commands.iter().find(|(c, _)| c == command)?;
            let doc = if command.starts_with(':') { Some(command.to_owned()) } else { doc(command) }?;
            Some(Line { keys: keys.join(" "), doc })
        };
        let known = |command: &str| order.iter().any(|(_, all)| all.contains(&command));
        let mut lines: Vec<Line> = commands.iter().filter(|(c, _)| !known(c)).filter_map(|(c, _)| line(c)).collect();
        for (subject, all) in order {
            let body: Vec<Line> = all.iter().filter_map(|c| line(c)).collect();
            if !body.is_empty() {
                lines.push(Line { keys: String::new(), doc: (*subject).to_owned() });
                lines.extend(body);
            }
        }
        Help { title: title.into(), lines, scroll: Scroll::default() }
    }
    /// The lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
    /// Runs a command that scrolls. False: it is another command.
    pub fn run(&mut self, command: &str) -> bool {
        self.scroll.page(command, self.lines.len())
    }
    /// Draws it; in columns where there is room for all of it.
    pub fn draw(&mut self, buf: &mut Buffer, area: Rect, theme: &Theme, glyphs: &Glyphs) {
        let height = usize::from(area.height.saturating_sub(2)).max(1);
        let columns = self.lines.len().div_ceil(height).clamp(1, usize::from((area.width.saturating_sub(2) / COLUMN).max(1)));
        let per = self.lines.len().div_ceil(columns).max(1);
        let wide = if columns == 1 { area.width.saturating_sub(2).min(76) } else { columns as u16 * COLUMN };
        let inner = popup(buf, area, wide, per as u16 + 2, &self.title, theme, glyphs);
        let base = theme.style("ui.menu");
        let column = inner.width / columns as u16;
        let sight = self.scroll.sight_text(usize::from(inner.height), per);
        for c in 0..columns {
            let part = self.lines.iter().skip(c * per).take(per);
            let keys = part.clone().map(|l| text::width(&l.keys)).max().unwrap_or(0).min(18) as u16;
            for (row, line) in part.enumerate().skip(sight.start).take(sight.len()) {
                let (x, y) = (inner.x + c as u16 * column, inner.y + (row - sight.start) as u16);
                if line.keys.is_empty() {
                    put(buf, x + 1, y, column.saturating_sub(2), &line.doc, base.patch(theme.style("ui.title")));
                    continue;
                }
                put_right(buf, x + 1, y, keys.min(column), &line.keys, base.patch(theme.style("ui.key")));
                put(buf, x + keys + 3, y, column.saturating_sub(keys + 4), &line.doc, base);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::Charset;
    use crate::tui::terminal::Depth;

    #[test]
    fn keys_of_one_command_stand_together_under_their_subject() {
        let keymap = Keymap::load("default", None).unwrap();
        let doc = |c: &str| matches!(c, "move_up" | "follow_stream" | "quit").then(|| format!("does {c}"));
        let mut help = Help::new("keys", &keymap, "packets", &doc, &[("move", vec!["move_up"]), ("other", vec!["quit"])]);
        let shown: Vec<(&str, &str)> = help.lines().iter().map(|l| (l.keys.as_str(), l.doc.as_str())).collect();
        assert_eq!(
            shown,
            [("S", "does follow_stream"), ("", "move"), ("k up", "does move_up"), ("", "other"), ("q", "does quit")],
        );
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        for (w, h) in [(120, 40), (80, 24), (20, 4), (3, 3), (1, 1)] {
            let area = Rect::new(0, 0, w, h);
            help.draw(&mut Buffer::empty(area), area, &theme, &Glyphs::new(Charset::Unicode));
            help.run("page_down");
        }
    }
}
