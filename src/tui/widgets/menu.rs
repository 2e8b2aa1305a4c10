//! A box with a list to choose from: what each item is, how much is behind it, what choosing it would ask. Also the box that says which
//! keys may follow the ones pressed.

use super::scroll::Scroll;
use crate::tui::glyphs::Glyphs;
use crate::tui::key::Key;
use crate::tui::paint::{fill, put, put_right};
use crate::tui::text;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Widget};

/// One item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub label: String,
    /// How much is behind it, e.g. `4,182`; empty while it is counted.
    pub count: String,
    /// What choosing it asks or does; shown below for the item under the cursor.
    pub preview: String,
    /// Nothing is behind it: shown, but dim.
    pub empty: bool,
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// The cursor moved or the list was narrowed.
    Moved,
    /// This item (its place in `items`) was chosen.
    Chosen(usize),
    /// The box is to be closed.
    Cancelled,
    /// It is a command of somebody else.
    Nothing,
}

/// A list to choose from; typing narrows it.
#[derive(Debug, Clone, Default)]
pub struct Menu {
    /// Title of the box.
    pub title: String,
    /// The items.
    pub items: Vec<Item>,
    filter: String,
    scroll: Scroll,
}

impl Menu {
    /// A menu.
    pub fn new(title: impl Into<String>, items: Vec<Item>) -> Menu {
        Menu { title: title.into(), items, ..Menu::default() }
    }
    /// Sets what is behind an item when it is known.
    pub fn count(&mut self, item: usize, count: String, empty: bool) {
        if let Some(item) = self.items.get_mut(item) {
            (item.count, item.empty) = (count, empty);
        }
    }
    /// The item under the cursor: its place in `items`.
    pub fn selected(&self) -> Option<usize> {
        self.seen().get(self.scroll.selected).copied()
    }
    /// Puts the cursor on an item.
    pub fn select(&mut self, item: usize) {
        let seen = self.seen();
        let at = seen.iter().position(|n| *n == item).unwrap_or(0);
        self.scroll.select(at, seen.len());
    }
    /// Types a character: narrows the list to items that hold what was typed, each word anywhere.
    pub fn type_char(&mut self, c: char) -> Did {
        if self.filter.len() < 100 {
            self.filter.push(c);
            self.scroll = Scroll::default();
        }
        Did::Moved
    }
    /// Runs a command of the scope `menu`.
    pub fn run(&mut self, command: &str) -> Did {
        let len = self.seen().len();
        match command {
            "drill" | "accept" => self.selected().map_or(Did::Moved, Did::Chosen),
            // What was typed goes first, then the box.
            "cancel" if self.filter.is_empty() => Did::Cancelled,
            "cancel" | "clear" => {
                self.filter.clear();
                Did::Moved
            }
            "delete_left" | "delete_word" => {
                self.filter.pop();
                Did::Moved
            }
            "complete" => {
                self.scroll.run("move_down", len);
                Did::Moved
            }
            "complete_previous" => {
                self.scroll.run("move_up", len);
                Did::Moved
            }
            other if self.scroll.run(other, len) => Did::Moved,
            _ => Did::Nothing,
        }
    }
    /// Draws it as a box as large as it needs in the middle of an area.
    pub fn draw(&mut self, buf: &mut Buffer, area: Rect, theme: &Theme, glyphs: &Glyphs) {
        let seen = self.seen();
        let labels = self.items.iter().map(|i| text::width(&i.label)).max().unwrap_or(0);
        let counts = self.items.iter().map(|i| text::width(&i.count)).max().unwrap_or(0).max(5);
        let previews = self.items.iter().map(|i| text::width(&i.preview)).max().unwrap_or(0);
        let title = text::width(&self.title) + self.filter.len() + 6;
        let width = (labels + counts + 6).max(previews + 4).max(title).max(24) as u16;
        let inner = popup(buf, area, width, self.items.len() as u16 + 4, &heading(&self.title, &self.filter), theme, glyphs);
        if inner.height < 2 {
            return;
        }
        let base = theme.style("ui.menu");
        let list = Rect { height: inner.height.saturating_sub(2).max(1), ..inner };
        for (line, at) in self.scroll.sight(usize::from(list.height), seen.len()).enumerate() {
            let item = &self.items[seen[at]];
            let y = list.y + line as u16;
            let chosen = at == self.scroll.selected;
            let style = if chosen { base.patch(theme.style("ui.menu.selected")) } else { base };
            fill(buf, Rect { y, height: 1, ..list }, style);
            let plain = if item.empty && !chosen { style.patch(theme.style("ui.dim")) } else { style };
            if chosen {
                put(buf, list.x, y, 1, glyphs.cursor, style);
            }
            let room = list.width.saturating_sub(counts as u16 + 4);
            put(buf, list.x + 2, y, room, &text::clean(&item.label), plain);
            let count = if item.count.is_empty() { glyphs.ellipsis } else { &item.count };
            put_right(buf, list.x + 2 + room, y, list.width.saturating_sub(room + 3), count, plain);
        }
        if seen.is_empty() {
            put(buf, list.x + 2, list.y, list.width.saturating_sub(2), "nothing of that name", base.patch(theme.style("ui.dim")));
        }
        let rule = glyphs.horizontal.repeat(usize::from(inner.width));
        put(buf, inner.x, list.bottom(), inner.width, &rule, base.patch(theme.style("ui.border")));
        if let Some(item) = self.selected().and_then(|n| self.items.get(n)) {
            let y = list.bottom() + 1;
            put(
                buf,
                inner.x + 1,
                y,
                inner.width.saturating_sub(2),
                &text::clean(&item.preview),
                base.patch(theme.style("ui.dim")),
            );
        }
    }
    fn seen(&self) -> Vec<usize> {
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let holds = |item: &Item| words.iter().all(|word| item.label.to_lowercase().contains(word));
        (0..self.items.len()).filter(|n| holds(&self.items[*n])).collect()
    }
}

fn heading(title: &str, filter: &str) -> String {
    if filter.is_empty() { title.to_owned() } else { format!("{title} / {filter}") }
}

/// Clears a box with a border and title in the middle of an area; gives its inside.
pub fn popup(buf: &mut Buffer, area: Rect, width: u16, height: u16, title: &str, theme: &Theme, glyphs: &Glyphs) -> Rect {
    let width = width.saturating_add(2).min(area.width);
    let height = height.min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    boxed(buf, Rect { x, y, width, height }, title, theme, glyphs)
}

fn boxed(buf: &mut Buffer, area: Rect, title: &str, theme: &Theme, glyphs: &Glyphs) -> Rect {
    let base: Style = theme.style("ui.background").patch(theme.style("ui.menu"));
    fill(buf, area, base);
    let title = format!(" {} ", text::fit(&text::clean(title), usize::from(area.width.saturating_sub(6))));
    let block = Block::bordered()
        .border_set(glyphs.border())
        .border_style(base.patch(theme.style("ui.border.focused")))
        .title(title)
        .title_style(base.patch(theme.style("ui.title")));
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// Draws what may follow the keys pressed, at the bottom right of an area: key and label, as many columns as fit.
pub fn which_key(buf: &mut Buffer, area: Rect, pressed: &[Key], follow: &[(Key, String)], theme: &Theme, glyphs: &Glyphs) {
    let rows: Vec<(String, String)> = follow.iter().map(|(key, label)| (key.to_string(), label.replace('_', " "))).collect();
    let keys = rows.iter().map(|(key, _)| text::width(key)).max().unwrap_or(0) as u16;
    let labels = rows.iter().map(|(_, label)| text::width(label)).max().unwrap_or(0) as u16;
    let width = (keys + labels + 5).min(area.width);
    let height = (rows.len() as u16 + 2).min(area.height);
    let place = Rect { x: area.right() - width, y: area.bottom() - height, width, height };
    let title: Vec<String> = pressed.iter().map(Key::to_string).collect();
    let inner = boxed(buf, place, &title.join(" "), theme, glyphs);
    let base = theme.style("ui.menu");
    for (n, (key, label)) in rows.iter().take(usize::from(inner.height)).enumerate() {
        let y = inner.y + n as u16;
        put_right(buf, inner.x, y, keys.min(inner.width), key, base.patch(theme.style("ui.key")));
        put(buf, inner.x + keys + 2, y, inner.width.saturating_sub(keys + 2), label, base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::Charset;
    use crate::tui::terminal::Depth;

    fn menu() -> Menu {
        let item = |label: &str, n: &str| Item {
            label: label.into(),
            count: n.into(),
            preview: format!("query of {label}"),
            empty: n == "0",
        };
        Menu::new("pivot", vec![item("alerts of 10.8.21.5", "3"), item("flows of 10.8.21.5", "4,182"), item("names asked", "0")])
    }

    #[test]
    fn typing_narrows_and_enter_gives_the_place_in_the_whole_list() {
        let mut menu = menu();
        "fl 21".chars().for_each(|c| {
            menu.type_char(c);
        });
        assert_eq!(menu.run("drill"), Did::Chosen(1));
        assert_eq!(menu.run("cancel"), Did::Moved);
        assert_eq!((menu.run("move_down"), menu.selected()), (Did::Moved, Some(1)));
        assert_eq!(menu.run("cancel"), Did::Cancelled);
        assert_eq!(menu.run("export"), Did::Nothing);
        menu.type_char('§');
        assert_eq!((menu.selected(), menu.run("drill")), (None, Did::Moved));
    }

    #[test]
    fn it_draws_counts_and_the_preview_at_any_size() {
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        let glyphs = Glyphs::new(Charset::Ascii);
        for (w, h) in [(80, 24), (30, 8), (10, 4), (2, 2), (1, 1), (0, 0)] {
            let area = Rect::new(0, 0, w, h);
            let mut buf = Buffer::empty(area);
            menu().draw(&mut buf, area, &theme, &glyphs);
            which_key(&mut buf, area, &[Key::char('g')], &[(Key::char('e'), "go_last".into())], &theme, &glyphs);
            if w == 80 {
                let all: String = buf.content.iter().map(|c| c.symbol()).collect();
                for part in ["4,182", "query of alerts of 10.8.21.5", "pivot", "go last"] {
                    assert!(all.contains(part), "{part}");
                }
            }
        }
    }
}
