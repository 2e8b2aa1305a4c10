//! The tabs of the lenses: each with its count before it is opened. Where space is short they say less, in stated steps; none is left out.

use super::app::App;
use super::lenses::{self, Lens};
use super::paint::{Line, put};
use super::text;
use super::times::{short_size, thousands};
use super::view::View;
use super::walk::Node;
use crate::query::engine::Count;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// How much a tab says: the first that fits is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    /// ` 4 Logs 32,843 ` between rules.
    All,
    /// The same with short titles.
    Short,
    /// `4Logs 32843` between blanks.
    Close,
    /// The same, and a lens without records is its key alone.
    Least,
    /// The same, with counts of three digits.
    Rough,
}

/// That the rows follow the capture, the longest word first; the last is the key that makes them.
const FOLLOWING: [&str; 3] = ["following", "follow", "F"];

/// The filters of a place, the newest last.
fn filters(node: &Node) -> String {
    let chip = |c: &super::walk::Chip| {
        if c.off { format!("({} off)", text::clean(&c.text)) } else { text::clean(&c.text).into_owned() }
    };
    node.step.filters.iter().map(chip).collect::<Vec<_>>().join(" · ")
}

/// What narrows or moves the rows, in so many columns. The newest filter is the last: the beginning gives way.
fn short_chips(following: bool, filters: &str, word: &str, room: usize) -> String {
    if filters.is_empty() {
        let fits = FOLLOWING.iter().find(|f| text::width(f) <= room);
        return if following { fits.unwrap_or(&"").to_string() } else { String::new() };
    }
    let before = format!("{}{word}: ", if following { "F " } else { "" });
    format!("{before}{}", text::fit_end(filters, room.saturating_sub(text::width(&before))))
}

impl App {
    /// What narrows or moves the rows, in one line: whether they follow the capture, and the filters.
    pub(super) fn chips(&self, node: &Node) -> String {
        let following = self.live.is_following().then(|| FOLLOWING[0].to_owned());
        following.into_iter().chain(Some(filters(node)).filter(|f| !f.is_empty())).collect::<Vec<_>>().join(" · ")
    }
    /// Draws the tabs, and on small screens the filters at their end.
    pub(super) fn draw_tabs(&self, buf: &mut Buffer, area: Rect, node: &Node, view: &View) {
        let word = if node.filters_off { "off" } else { "flt" };
        let chips_in = |room: u16| short_chips(self.live.is_following(), &filters(node), word, usize::from(room));
        let kept = if view.narrow { text::width(&chips_in(37)) as u16 } else { 0 };
        let kept = kept + u16::from(kept > 0);
        let steps: &[Say] = if view.narrow {
            &[Say::Close, Say::Least, Say::Rough]
        } else {
            &[Say::All, Say::Short, Say::Close, Say::Least, Say::Rough]
        };
        let count = |n: usize| self.counts.get(n).copied().flatten();
        let wide = |say: Say| {
            lenses::ALL
                .iter()
                .enumerate()
                .map(|(n, l)| text::width(&tab(l, count(n), say, l.name == node.step.lens)) + 1)
                .sum::<usize>()
        };
        let room = usize::from(area.width.saturating_sub(kept)) + 1;
        let say = steps.iter().copied().find(|say| wide(*say) <= room).unwrap_or(Say::Rough);
        let gap = if matches!(say, Say::All | Say::Short) { view.glyphs.tee_down } else { " " };
        let mut line = Line::new(buf, area, 0);
        for (n, lens) in lenses::ALL.iter().enumerate() {
            let is_open = lens.name == node.step.lens;
            if n > 0 && !line.add_whole(gap, view.theme.style("ui.border")) {
                break;
            }
            if !line.add_whole(&tab(lens, count(n), say, is_open), style(lens, count(n), is_open, view)) {
                break;
            }
        }
        if kept > 0 {
            let room = line.left().saturating_sub(1);
            let shown = chips_in(room);
            let x = line.x() + 1 + room.saturating_sub(text::width(&shown) as u16);
            put(buf, x, area.y, room, &view.glyphs.put(&shown), view.theme.style("ui.chip"));
        }
    }
}

fn tab(lens: &Lens, count: Option<Count>, say: Say, is_open: bool) -> String {
    let exact = |n: u64| match say {
        Say::All | Say::Short => thousands(n),
        Say::Close | Say::Least => n.to_string(),
        Say::Rough => short_size(n),
    };
    let number = match count {
        Some(c) if lens.name == "reputation" && c.n > 0 => " !".into(),
        Some(c) if c.at_least => format!(" {}+", exact(c.n)),
        Some(c) => format!(" {}", exact(c.n)),
        None => String::new(),
    };
    let empty = count.is_some_and(|c| c.n == 0 && !c.at_least) && !is_open;
    match say {
        Say::All => format!(" {} {}{number} ", lens.key, lens.title),
        Say::Short => format!(" {} {}{number} ", lens.key, lens.short),
        Say::Least | Say::Rough if empty => lens.key.to_string(),
        Say::Close | Say::Least | Say::Rough => format!("{}{}{number}", lens.key, lens.short),
    }
}

fn style(lens: &Lens, count: Option<Count>, is_open: bool, view: &View) -> Style {
    let some = count.is_some_and(|c| c.n > 0);
    view.theme.style(match lens.name {
        _ if is_open => "ui.tab.active",
        "alerts" | "reputation" if some => "severity.high",
        _ if count.is_some() && !some => "ui.dim",
        _ => "ui.tab",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_followed_and_filtered_is_said_in_whatever_room_there_is() {
        let said = |following, filters: &str, room| short_chips(following, filters, "flt", room);
        assert_eq!(["following", "follow", "F", ""].map(str::len).map(|n| said(true, "", n)), ["following", "follow", "F", ""]);
        assert_eq!((said(false, "", 9), said(false, "dst.port = 445", 30)), (String::new(), "flt: dst.port = 445".into()));
        assert_eq!(said(true, "dst.port = 445", 30), "F flt: dst.port = 445");
        let cut = said(true, "app = tls · dst.port = 445", 20);
        assert!(cut.starts_with("F flt: ") && cut.ends_with("445") && text::width(&cut) <= 20, "{cut}");
    }
}
