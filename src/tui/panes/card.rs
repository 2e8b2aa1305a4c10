//! The focus card: what is known about the entity one looks at besides its traffic, and which sources cover the window.

use super::{Handled, Pane};
use crate::error::Result;
use crate::model::value::SEVERITIES;
use crate::model::{Entity, Window};
use crate::pivots::Selection;
use crate::query::engine::{Coverage, Fact};
use crate::tui::effect::Cx;
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::live;
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Name for keys and answers.
pub const NAME: &str = "card";

/// So many members of a set are told of.
const MEMBERS: usize = 16;

/// What came back.
struct Known {
    facts: Vec<Fact>,
    coverage: Vec<Coverage>,
    records: u64,
    sources: usize,
}

/// The focus card.
#[derive(Default)]
pub struct Card {
    focus: Focus,
    window: Option<Window>,
    facts: Vec<Fact>,
    coverage: Vec<Coverage>,
    selected: usize,
}

impl Card {
    /// Asks what is known about a focus; what was known before stays until then if the focus is the same.
    pub fn show(&mut self, focus: &Focus, window: Window, cx: &mut Cx) {
        if self.focus == *focus && self.window == Some(window) && !self.coverage.is_empty() {
            return;
        }
        if self.focus != *focus {
            self.facts.clear();
            self.selected = 0;
        }
        self.focus = focus.clone();
        self.window = Some(window);
        self.ask(NAME, window, cx);
    }
    /// Asks for the numbers of the case as they are now; what is shown stays until the answer is there.
    pub fn again(&mut self, window: Window, cx: &mut Cx) {
        if self.focus == Focus::Case && self.window.is_some() {
            self.ask(live::SLOT, window, cx);
        }
    }
    fn ask(&self, slot: &'static str, window: Window, cx: &mut Cx) {
        let members = self.focus.members();
        cx.ask(slot, move |work| {
            let at = Some(window.end).filter(|t| *t != crate::model::Time::MAX);
            let mut facts = Vec::new();
            for member in members.iter().take(MEMBERS) {
                if members.len() > 1 {
                    let text = super::super::focus::show(member);
                    facts.push(Fact { label: member.kind.name().into(), text, severity: None, evidence: None });
                }
                facts.extend(work.engine.facts(member, at, &work.cancel)?);
            }
            if members.len() > MEMBERS {
                let text = format!("{} more", members.len() - MEMBERS);
                facts.push(Fact { label: "and".into(), text, severity: None, evidence: None });
            }
            let sources = work.engine.sources();
            let records = sources.iter().map(|s| s.counts.records).sum();
            work.give(Known { facts, coverage: work.engine.coverage(&window), records, sources: sources.len() });
            Ok(())
        });
    }
    /// One line of it, for small screens: the most telling facts first.
    pub fn line(&self) -> Vec<(String, Option<u8>)> {
        let word = |f: &Fact| if self.focus == Focus::Case { format!("{} {}", f.text, f.label) } else { f.text.clone() };
        self.facts.iter().map(|f| (text::clean(&word(f)).into_owned(), f.severity)).collect()
    }
    fn entity(&self) -> Option<Entity> {
        let fact = self.facts.get(self.selected)?;
        fact.text.split([' ', ',', '(', ')']).find_map(Entity::recognise).filter(|e| self.focus.entity() != Some(e))
    }
}

impl Pane for Card {
    fn name(&self) -> &'static str {
        NAME
    }
    fn title(&self) -> String {
        self.focus.label()
    }
    fn run(&mut self, command: &str, _: &mut Cx) -> Result<Handled> {
        let last = self.facts.len().saturating_sub(1);
        self.selected = match command {
            "move_down" => (self.selected + 1).min(last),
            "move_up" => self.selected.saturating_sub(1),
            "go_first" | "page_up" => 0,
            "go_last" | "page_down" => last,
            _ => return Ok(Handled::No),
        };
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Body::Piece(_) = &answer.body
            && let Some(known) = answer.take::<Known>()
        {
            self.facts = known.facts;
            self.coverage = known.coverage;
            if self.focus == Focus::Case {
                let fact = |label: &str, text: String| Fact { label: label.into(), text, severity: None, evidence: None };
                self.facts = vec![fact("sources", known.sources.to_string()), fact("records", thousands(known.records))];
            }
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { record: None, entity: self.entity(), window: self.window }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.facts.get(self.selected).map(|f| (f.label.clone(), f.text.clone()))
    }
    fn lines(&self) -> Vec<String> {
        self.facts.iter().map(|f| format!("{} {}", f.label, f.text)).collect()
    }
    fn line(&self) -> usize {
        self.selected
    }
    fn stand(&mut self, line: usize) {
        self.selected = line;
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let (label_style, text_style) = (view.theme.style("ui.dim"), view.theme.style("ui.text"));
        let covering = 2 + self.coverage.len().min(8) as u16;
        let room = area.height.saturating_sub(covering);
        let mut y = area.y;
        for (n, fact) in self.facts.iter().enumerate() {
            let shown = view.glyphs.put(&text::clean(&fact.text));
            let severity = fact.severity.and_then(|s| SEVERITIES.get(usize::from(s)));
            let mut style = severity.map_or(text_style, |s| view.theme.style(&format!("severity.{s}")));
            if view.focused && n == self.selected {
                style = view.theme.style("ui.row.selected");
            }
            let label = text::fit(&fact.label, 10);
            let used = put(buf, area.x, y, area.width.min(11), &label, label_style).max(9) + 1;
            // A long fact goes on below, at most three lines.
            for (k, piece) in wrap(&shown, usize::from(area.width.saturating_sub(used))).into_iter().take(3).enumerate() {
                if y >= area.y + room {
                    break;
                }
                if view.focused && n == self.selected {
                    fill(buf, Rect { x: area.x + used, y, width: area.width - used, height: 1 }, style);
                }
                put(buf, area.x + used, y, area.width - used, &piece, style);
                y += 1;
                let _ = k;
            }
            if y >= area.y + room {
                break;
            }
        }
        self.draw_coverage(buf, Rect { y: area.bottom().saturating_sub(covering), height: covering, ..area }, view);
    }
}

impl Card {
    fn draw_coverage(&self, buf: &mut ratatui::buffer::Buffer, area: Rect, view: &View) {
        if self.coverage.is_empty() || area.height < 2 {
            return;
        }
        let dim = view.theme.style("ui.dim");
        put(buf, area.x, area.y + 1, area.width, "coverage of window", view.theme.style("ui.dim"));
        let strip = 8u16.min(area.width / 3);
        for (n, source) in self.coverage.iter().take(usize::from(area.height.saturating_sub(2))).enumerate() {
            let mut line = Line::new(buf, area, 2 + n as u16);
            let style = if source.covers.is_some() { view.theme.style("ui.text") } else { dim };
            for column in 0..strip {
                let covered = source.covers.is_some_and(|c| covers(&c, &view.window, column, strip));
                let sign = if covered { view.glyphs.spark[4] } else { view.glyphs.dot };
                line.add(sign, if covered { view.theme.style("match.exact") } else { dim });
            }
            line.add(" ", style);
            line.add(&text::clean(&source.name), style);
            if !source.clock_checked && source.covers.is_some() {
                line.add(" clock?", view.theme.style("ui.warning"));
            }
        }
    }
}

fn covers(covered: &Window, window: &Window, column: u16, columns: u16) -> bool {
    let length = window.length().max(1) / i64::from(columns.max(1));
    let start = window.start.plus(length.saturating_mul(i64::from(column)));
    covered.overlaps(start, start.plus(length))
}

/// Breaks a text at blanks into lines of at most `width` columns.
pub fn wrap(what: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in what.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if text::width(line) + 1 + text::width(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
