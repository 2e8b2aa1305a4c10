//! Finds anything by a few letters: hosts, names, signatures, bookmarks, commands, fields. Items come in pieces, matching is done in
//! pieces, so that neither blocks. The matcher (fuzzy-matcher's skim) stands behind [`Matcher::score`] alone.

use super::menu::popup;
use super::prompt::{Did as Typed, History, Prompt};
use super::scroll::Scroll;
use crate::tui::glyphs::Glyphs;
use crate::tui::paint::{fill, put, put_right};
use crate::tui::text;
use crate::tui::theme::Theme;
use fuzzy_matcher::FuzzyMatcher;
use fuzzy_matcher::skim::SkimMatcherV2;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

/// Items that are taken; more are counted and said.
pub const MAX_ITEMS: usize = 200_000;
/// Hits that are kept, the best ones.
const MAX_HITS: usize = 500;
/// Items matched in one go: a few milliseconds.
const PIECE: usize = 20_000;
/// Letters of an item that are looked at.
const MAX_LETTERS: usize = 160;

/// Something that can be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// What it is: `host`, `name`, `signature`, `bookmark`, `command`, `field`.
    pub kind: &'static str,
    /// What is matched and shown.
    pub text: String,
    /// What is known about it, shown beside it, not matched.
    pub doc: String,
    /// What choosing it does: a command line.
    pub action: String,
}

/// The one place that knows the matching library.
pub struct Matcher(SkimMatcherV2);

impl Default for Matcher {
    fn default() -> Matcher {
        Matcher(SkimMatcherV2::default().smart_case())
    }
}

impl Matcher {
    /// How well a text fits words, each of which must be found in order of its letters; none: it does not. Higher is better.
    pub fn score(&self, words: &[&str], text: &str) -> Option<i64> {
        let end = text.char_indices().nth(MAX_LETTERS).map_or(text.len(), |(at, _)| at);
        let text = &text[..end];
        let mut sum = 0i64;
        for word in words {
            let mut score = self.0.fuzzy_match(text, word)?;
            // Letters that stand together are what one meant.
            if text.len() >= word.len()
                && text.as_bytes().windows(word.len().max(1)).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
            {
                score = score.saturating_add(8 * word.len() as i64);
            }
            sum = sum.saturating_add(score);
        }
        Some(sum)
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// The cursor moved or the line changed.
    Moved,
    /// This item was chosen.
    Chosen(Item),
    /// The box is to be closed.
    Cancelled,
    /// It is a command of somebody else.
    Nothing,
}

/// The finder.
pub struct Finder {
    prompt: Prompt,
    matcher: Matcher,
    items: Vec<Item>,
    dropped: usize,
    /// Best first: score, then order of coming.
    hits: Vec<(i64, usize)>,
    found: usize,
    matched: usize,
    scroll: Scroll,
}

impl Finder {
    /// An empty finder; items are added as they come.
    pub fn new(history: &History) -> Finder {
        Finder {
            prompt: Prompt::new("find", "", history),
            matcher: Matcher::default(),
            items: Vec::new(),
            dropped: 0,
            hits: Vec::new(),
            found: 0,
            matched: 0,
            scroll: Scroll::default(),
        }
    }
    /// Adds items.
    pub fn add(&mut self, items: Vec<Item>) {
        let room = MAX_ITEMS - self.items.len();
        self.dropped = self.dropped.saturating_add(items.len().saturating_sub(room));
        self.items.extend(items.into_iter().take(room));
    }
    /// What is typed.
    pub fn text(&self) -> &str {
        self.prompt.text()
    }
    /// Matches a further piece of the items. True: there is more to do; call it again when nothing else waits.
    pub fn work(&mut self) -> bool {
        let end = self.items.len().min(self.matched + PIECE);
        let words: Vec<&str> = self.prompt.text().split_whitespace().collect();
        for n in self.matched..end {
            let Some(score) = self.matcher.score(&words, &self.items[n].text) else { continue };
            self.found += 1;
            // Shorter texts first among equals: they hold less that was not asked for.
            let score = score * 256 - text::width(&self.items[n].text).min(255) as i64;
            self.hits.push((if words.is_empty() { 0 } else { score }, n));
        }
        self.matched = end;
        self.hits.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.hits.truncate(MAX_HITS);
        self.matched < self.items.len()
    }
    /// The items found so far, best first, at most 500.
    pub fn hits(&self) -> impl Iterator<Item = &Item> {
        self.hits.iter().map(|(_, n)| &self.items[*n])
    }
    /// Types a character.
    pub fn type_char(&mut self, c: char) -> Did {
        self.prompt.type_char(c);
        self.restart()
    }
    /// Puts pasted text in.
    pub fn paste(&mut self, text: &str) -> Did {
        self.prompt.paste(text);
        self.restart()
    }
    /// Runs a command of the scope `finder`.
    pub fn run(&mut self, command: &str) -> Did {
        match command {
            "accept" | "drill" => {
                return match self.hits.get(self.scroll.selected) {
                    Some((_, n)) => Did::Chosen(self.items[*n].clone()),
                    None => Did::Moved,
                };
            }
            "cancel" => return Did::Cancelled,
            "complete" => self.scroll.run("move_down", self.hits.len()),
            "complete_previous" => self.scroll.run("move_up", self.hits.len()),
            other => self.scroll.run(other, self.hits.len()),
        };
        if matches!(command, "move_up" | "move_down" | "page_up" | "page_down" | "complete" | "complete_previous") {
            return Did::Moved;
        }
        match self.prompt.run(command) {
            Typed::Edited => self.restart(),
            Typed::Moved | Typed::Accepted | Typed::Cancelled => Did::Moved,
            Typed::Nothing => Did::Nothing,
        }
    }
    fn restart(&mut self) -> Did {
        self.hits.clear();
        (self.found, self.matched, self.scroll) = (0, 0, Scroll::default());
        self.work();
        Did::Moved
    }
    /// Draws it; gives where the terminal's cursor belongs.
    pub fn draw(&mut self, buf: &mut Buffer, area: Rect, theme: &Theme, glyphs: &Glyphs) -> Position {
        let width = area.width.saturating_sub(if area.width > 100 { 20 } else { 4 });
        let height = area.height.saturating_sub(if area.height > 30 { 6 } else { 1 });
        let more = if self.matched < self.items.len() { glyphs.ellipsis } else { "" };
        let dropped = if self.dropped > 0 { format!(", {} more are not looked at", self.dropped) } else { String::new() };
        let title = format!("find anything: {} of {}{more}{dropped}", self.found, self.items.len());
        let inner = popup(buf, area, width, height, &title, theme, glyphs);
        let Some(list_height) = inner.height.checked_sub(1) else { return Position { x: inner.x, y: inner.y } };
        let list = Rect { height: list_height, ..inner };
        let base = theme.style("ui.menu");
        let kinds = 10.min(list.width / 4);
        for (line, at) in self.scroll.sight(usize::from(list.height), self.hits.len()).enumerate() {
            let item = &self.items[self.hits[at].1];
            let y = list.y + line as u16;
            let chosen = at == self.scroll.selected;
            let style = if chosen { base.patch(theme.style("ui.menu.selected")) } else { base };
            fill(buf, Rect { y, height: 1, ..list }, style);
            let dim = if chosen { style } else { style.patch(theme.style("ui.dim")) };
            put(buf, list.x + 1, y, kinds, item.kind, dim);
            let x = list.x + kinds + 2;
            let room = list.right().saturating_sub(x + 1);
            let used = put(buf, x, y, room, &text::shown(&item.text, usize::from(room)), style);
            let doc = text::shown(&item.doc, usize::from(room.saturating_sub(used + 2)));
            if !doc.is_empty() {
                put_right(buf, x + used + 2, y, room.saturating_sub(used + 2), &doc, dim);
            }
        }
        if self.hits.is_empty() && self.matched >= self.items.len() {
            let why = if self.items.is_empty() { "nothing here yet" } else { "nothing fits; fewer letters find more" };
            put(buf, list.x + 1, list.y, list.width.saturating_sub(1), why, base.patch(theme.style("ui.dim")));
        }
        self.prompt.draw(buf, Rect { y: list.bottom(), height: 1, ..inner }, theme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::Charset;
    use crate::tui::terminal::Depth;

    fn finder(texts: &[&str]) -> Finder {
        let mut finder = Finder::new(&History::default());
        finder.add(
            texts
                .iter()
                .map(|t| Item { kind: "host", text: (*t).into(), action: format!(":go {t}"), ..Item::default() })
                .collect(),
        );
        finder.work();
        finder
    }

    fn found(texts: &[&str], typed: &str) -> Vec<String> {
        let mut finder = finder(texts);
        typed.chars().for_each(|c| {
            finder.type_char(c);
        });
        while finder.work() {}
        finder.hits().map(|i| i.text.clone()).collect()
    }

    #[test]
    fn words_may_come_in_any_order_and_letters_may_be_left_out() {
        let texts = ["10.8.21.5 jdoe-pc", "10.2.0.9 printer", "203.0.113.9 443 evil.example", "mail.example"];
        assert_eq!(found(&texts, "443 203")[0], "203.0.113.9 443 evil.example");
        assert_eq!(found(&texts, "jdpc"), ["10.8.21.5 jdoe-pc"]);
        assert_eq!(found(&texts, "example")[0], "mail.example");
        assert_eq!(found(&texts, "zzz"), Vec::<String>::new());
        assert_eq!(found(&texts, "").len(), 4);
    }

    #[test]
    fn many_items_are_matched_in_pieces_and_bounded() {
        let mut finder = Finder::new(&History::default());
        let item = |n: usize| Item { kind: "host", text: format!("host-{n}.example.net"), ..Item::default() };
        finder.add((0..MAX_ITEMS + 7).map(item).collect());
        let mut pieces = 1;
        while finder.work() {
            pieces += 1;
        }
        assert_eq!((pieces, finder.dropped, finder.hits.len(), finder.found), (10, 7, MAX_HITS, MAX_ITEMS));
        "199999".chars().for_each(|c| {
            finder.type_char(c);
        });
        while finder.work() {}
        assert_eq!(finder.hits().next().map(|i| i.text.as_str()), Some("host-199999.example.net"));
        assert!(matches!(finder.run("accept"), Did::Chosen(i) if i.text == "host-199999.example.net"));
        assert_eq!(finder.run("clear"), Did::Moved);
        assert_eq!(finder.run("cancel"), Did::Cancelled);
    }

    #[test]
    fn it_draws_at_any_size() {
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        for (w, h) in [(120, 40), (80, 24), (20, 4), (3, 3), (1, 1)] {
            let area = Rect::new(0, 0, w, h);
            finder(&["10.8.21.5 jdoe\x1b[2J"]).draw(&mut Buffer::empty(area), area, &theme, &Glyphs::new(Charset::Unicode));
        }
    }
}
