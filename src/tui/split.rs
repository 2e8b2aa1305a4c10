//! Two halves: the rows of another node of the trail beside those of the one that one stands on, to compare two focuses or two windows. The half
//! that has the cursor is the workbench as ever; the other one shows its rows. Going over to it is a step on the trail, so that each half keeps its
//! own focus, lens, window, filters and order.

use super::app::{App, Part};
use super::go;
use super::layout;
use super::paint::{Line, put};
use super::panes::Pane;
use super::text;
use super::times::thousands;
use super::view::View;
use super::walk::{Node, Step};
use crate::error::{Error, Result};
use crate::model::Window;
use ratatui::Frame;
use ratatui::layout::Rect;

/// The pane under whose name the other half asks.
pub const NAME: &str = "beside";
/// Below this width the halves stand one above the other.
const WIDE: u16 = 120;

/// That there are two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The node that the other half shows.
    pub node: u64,
    /// The half with the cursor is the second: at the right, or below.
    pub second: bool,
}

impl App {
    /// Shows a second half: what a letter marks, else the same question in the window before this one.
    pub(super) fn split(&mut self, args: &str) -> Result<()> {
        let here = self.walk.here().clone();
        if here.lens().columns.is_empty() {
            return Err(Error::user(format!("{} cannot be shown in two halves", here.lens().title.to_lowercase()))
                .hint("open a lens: 1 to 6, a"));
        }
        let said = match args {
            "off" => {
                self.unsplit();
                return Ok(());
            }
            "" if self.split.is_some() => {
                self.unsplit();
                return Ok(());
            }
            "" | "before" => match here.step.window {
                Some(window) => {
                    self.beside_of(&here, before(&window))?;
                    "the same in the window before"
                }
                None if args.is_empty() => {
                    self.beside_of(&here, None)?;
                    "the same twice: change one by a filter, a window, a pivot"
                }
                None => return Err(Error::user("nothing is before the whole case").hint("set a window first: w")),
            },
            letter => {
                let one = letter.chars().next().filter(|_| letter.chars().count() == 1);
                let marked = one.and_then(|c| self.letters.get(&c).copied());
                let Some((id, place)) = marked else {
                    return Err(
                        Error::user(format!("no place is marked {letter}")).hint("split, split before, split off; m sets a mark")
                    );
                };
                if id == here.id {
                    return Err(Error::user(format!("{letter} is this place")).hint("go elsewhere, then split with it"));
                }
                let Some(node) = self.walk.by_id(id).filter(|n| !n.lens().columns.is_empty()) else {
                    return Err(Error::user(format!("the place {letter} has no rows to show")));
                };
                node.set_place(place);
                self.split = Some(Split { node: id, second: false });
                "what was marked"
            }
        };
        self.show_beside();
        let key = self.keymap.key_in("rows", "next_pane");
        self.say(format!("two halves: {said}; {key} goes over, :split off ends it"));
        Ok(())
    }
    fn unsplit(&mut self) {
        if self.split.take().is_some() {
            self.jobs.cancel_pane(NAME);
            self.say("one half");
        }
    }
    /// A node with the same question in another window, beside the one that one stands on.
    fn beside_of(&mut self, here: &Node, window: Option<Window>) -> Result<()> {
        let what = if window.is_some() { "before" } else { "beside" };
        let label = format!("{}, {what}", here.step.label);
        let step = Step { label, window: window.or(here.step.window), row: None, ..here.step.clone() };
        self.walk.go(step);
        let node = self.walk.here_mut();
        (node.query_lens, node.filters_off, node.away) = (here.query_lens, here.filters_off, here.away);
        node.sorts.clone_from(&here.sorts);
        let id = node.id;
        let back = self.walk.nodes().iter().position(|n| n.id == here.id);
        if !back.is_some_and(|index| self.walk.stand(index)) {
            return Err(Error::internal("the place one stood on is no longer on the trail"));
        }
        self.split = Some(Split { node: id, second: false });
        Ok(())
    }
    /// Asks for the rows of the other half.
    pub(super) fn show_beside(&mut self) {
        let Some(split) = self.split else { return };
        let Some(node) = self.walk.nodes().iter().find(|n| n.id == split.node).cloned() else {
            return self.unsplit();
        };
        let lens = node.lens();
        let (ask, focus, place) = (go::ask_of(&node), node.step.focus.clone(), node.place());
        self.other.arrange(self.looks.columns(lens).unwrap_or_default());
        self.other.set_footer(self.looks.footer(lens));
        self.with(|app| &mut app.other, NAME, |rows, cx| rows.show(ask, focus, lens, place, cx));
        self.touch();
    }
    /// Goes over to the other half. False: there is none.
    pub(super) fn go_over(&mut self) -> bool {
        let Some(split) = self.split else { return false };
        let Some(index) = self.walk.nodes().iter().position(|n| n.id == split.node) else {
            self.unsplit();
            return false;
        };
        // Packets and home are of one half only.
        if self.walk.here().lens().columns.is_empty() {
            return false;
        }
        let here = self.walk.here().id;
        self.leave();
        self.walk.stand(index);
        std::mem::swap(&mut self.rows, &mut self.other);
        self.split = Some(Split { node: here, second: !split.second });
        self.enter();
        self.show_beside();
        true
    }
    fn in_table(&self) -> bool {
        self.part == Part::Rows && self.opened.is_empty()
    }
    /// Moves on from the table, or comes to it: each half is one stop. True: that was all.
    pub(super) fn over_by(&mut self, ahead: bool) -> bool {
        self.in_table() && self.split.is_some_and(|s| s.second != ahead) && self.go_over()
    }
    /// Comes to the table from elsewhere: to its first half, backwards to its second.
    pub(super) fn came_to_rows(&mut self, ahead: bool) {
        if self.in_table() && self.split.is_some_and(|s| s.second == ahead) {
            self.go_over();
        }
    }
    /// Draws both halves into the place of the table.
    pub(super) fn draw_halves(&mut self, frame: &mut Frame, area: Rect, view: &View, split: Split) {
        let (first, rule, second) = halves(area);
        let (own, others) = if split.second { (second, first) } else { (first, second) };
        let style = view.theme.style("ui.border");
        for y in rule.top()..rule.bottom() {
            for x in rule.left()..rule.right() {
                let sign = if rule.width == 1 { view.glyphs.vertical } else { view.glyphs.horizontal };
                put(frame.buffer_mut(), x, y, 1, sign, style);
            }
        }
        let here = self.walk.here().clone();
        label(frame, own, &here, self.rows.known_total(), view, view.focused);
        self.rows.draw(frame, below(own), view);
        let Some(node) = self.walk.nodes().iter().find(|n| n.id == split.node).cloned() else { return };
        let window = node.step.window.or_else(|| self.engine.span()).unwrap_or(view.window);
        let dim = View { window, node: node.sequence, focused: false, live: view.live.clone(), ..*view };
        label(frame, others, &node, self.other.known_total(), &dim, false);
        self.other.draw(frame, below(others), &dim);
    }
}

/// The window of the same length that ends where this one begins.
fn before(window: &Window) -> Option<Window> {
    Some(window.shifted(window.length().saturating_neg()))
}

fn below(area: Rect) -> Rect {
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

/// Two halves with a rule between them: side by side where there is room.
fn halves(area: Rect) -> (Rect, Rect, Rect) {
    if area.width >= WIDE {
        let wide = (area.width - 1) / 2;
        let rest = area.width - wide - 1;
        return (
            Rect { width: wide, ..area },
            Rect { x: area.x + wide, width: 1, ..area },
            Rect { x: area.x + wide + 1, width: rest, ..area },
        );
    }
    let high = area.height.saturating_sub(1) / 2;
    let rest = area.height.saturating_sub(high + 1);
    (
        Rect { height: high, ..area },
        Rect { y: area.y + high, height: 1.min(area.height), ..area },
        Rect { y: (area.y + high + 1).min(area.bottom()), height: rest, ..area },
    )
}

/// What a half shows: how many rows, of what, when.
fn label(frame: &mut Frame, area: Rect, node: &Node, total: Option<u64>, view: &View, focused: bool) {
    if area.height == 0 {
        return;
    }
    let style = view.theme.style(if focused { "ui.title" } else { "ui.dim" });
    let when = match node.step.window {
        Some(window) => view.zone.window(&window, if layout::is_narrow((area.width, 99)) { "-" } else { " → " }),
        None => "whole case".into(),
    };
    let rows = total.map_or_else(|| view.glyphs.ellipsis.to_owned(), thousands);
    let mut line = Line::new(frame.buffer_mut(), area, 0);
    let sign = if focused { view.glyphs.cursor } else { " " };
    let what = format!("{sign} {rows} {} of ", node.lens().title);
    let when = format!(" {} {when}", view.glyphs.dot);
    let room = usize::from(area.width).saturating_sub(text::width(&what) + text::width(&when));
    line.add(&view.glyphs.put(&what), style);
    line.add(&text::fit(&text::clean(&node.step.label), room.max(8)), style);
    line.add(&view.glyphs.put(&when), style);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_fill_the_table_and_do_not_overlap() {
        for (width, height) in [(200, 50), (90, 20), (89, 20), (60, 5), (60, 1), (60, 0)] {
            let area = Rect { x: 3, y: 2, width, height };
            let (a, rule, b) = halves(area);
            assert_eq!(a.area() + rule.area() + b.area(), area.area(), "{width}x{height}");
            assert_eq!(a.intersection(b).area() + a.intersection(rule).area() + b.intersection(rule).area(), 0);
            assert!(b.bottom() <= area.bottom() && b.right() <= area.right());
        }
    }
}
