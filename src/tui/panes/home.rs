//! Home: what there is, what is odd, where to begin. Two columns of sections where there is room, else one below the other; each says how
//! many lines it has beyond those in sight. Every line can be entered; coming back finds the cursor where it was.

mod draw;

use super::{Change, Handled, Pane};
use crate::case::home::{Asking, Go, Line, Section, Which, section};
use crate::error::{Error, Result};
use crate::model::decision::{Decision, What};
use crate::model::{Entity, Window};
use crate::pivots::Selection;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::view::View;
use crate::tui::walk::{RowPlace, Step};
use crate::tui::widgets::scroll::Scroll;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::time::{Duration, Instant};

/// How often it is asked anew while a capture runs.
const EVERY: Duration = Duration::from_secs(5);
const SECTIONS: usize = Which::ALL.len();

/// What the sections were made from: newest import and publication, decisions, window.
type Made = ([u64; 2], usize, Option<Window>);

/// The home screen.
#[derive(Default)]
pub struct Home {
    sections: [Option<Section>; SECTIONS],
    failed: [Option<Error>; SECTIONS],
    scrolls: [Scroll; SECTIONS],
    /// The section with the cursor.
    at: usize,
    /// Which value of the line is under the cursor.
    cell: usize,
    /// Only this section is shown.
    alone: bool,
    made: Made,
    /// Sections that were asked for and are not there yet, and when they were asked for last.
    awaited: usize,
    asked: Option<Instant>,
    /// The line to stand on when its section arrives.
    wanted: Option<usize>,
}

impl Home {
    /// Home, with the cursor where it was.
    pub fn new(place: RowPlace) -> Home {
        let at = usize::from(place.above).min(SECTIONS - 1);
        Home { at, cell: place.cell, wanted: Some(place.index), ..Home::default() }
    }
    /// Asks for every section, unless nothing has changed since they were asked for.
    fn load(&mut self, cx: &mut Cx) {
        let decisions = cx.keeper.decisions();
        let made = (
            [cx.engine.sequence(), cx.engine.head_sequence()],
            decisions.iter().filter(|d| matters(d)).count(),
            cx.selection.window,
        );
        if self.made == made && self.sections.iter().all(Option::is_some) {
            return;
        }
        self.made = made;
        self.asked = Some(Instant::now());
        self.awaited = Which::ALL.len();
        let window = cx.selection.window.unwrap_or(Window::ALL);
        for which in Which::ALL {
            cx.ask(which.name(), move |work| {
                let (decisions, dir) = (work.keeper.decisions(), work.keeper.dir());
                let asking =
                    Asking { engine: &*work.engine, dir: &dir, decisions: &decisions, window, scope: "", cancel: &work.cancel };
                work.give(section(which, &asking)?);
                Ok(())
            });
        }
    }
    fn line(&self) -> Option<&Line> {
        self.sections[self.at].as_ref()?.lines.get(self.scrolls[self.at].selected)
    }
    fn len(&self, n: usize) -> usize {
        self.sections[n].as_ref().map_or(0, |s| s.lines.len())
    }
    /// Things on the line that one can pivot on, by the number of their cell.
    fn entities(&self) -> Vec<(usize, Entity)> {
        let cells = self.line().map_or(&[][..], |l| &l.cells);
        cells.iter().enumerate().filter_map(|(n, c)| Some((n, c.entity()?))).collect()
    }
    /// The thing under the cursor, with its cell.
    fn under(&self) -> Option<(usize, Entity)> {
        let mut entities = self.entities();
        if entities.is_empty() { None } else { Some(entities.remove(self.cell.min(entities.len() - 1))) }
    }
    /// A line up or down; at the end of a section on to the next that has lines.
    fn step(&mut self, command: &str) -> bool {
        let scroll = &mut self.scrolls[self.at];
        let before = scroll.selected;
        let len = self.sections[self.at].as_ref().map_or(0, |s| s.lines.len());
        if !scroll.run(command, len) {
            return false;
        }
        if scroll.selected == before && !self.alone {
            let next = match command {
                "move_down" => (self.at + 1..SECTIONS).find(|n| self.len(*n) > 0),
                "move_up" => (0..self.at).rev().find(|n| self.len(*n) > 0),
                _ => None,
            };
            if let Some(next) = next {
                let line = if command == "move_up" { self.len(next) - 1 } else { 0 };
                self.scrolls[next].select(line, self.len(next));
                (self.at, self.cell) = (next, 0);
            }
        } else if scroll.selected != before {
            self.cell = 0;
        }
        true
    }
    fn turn(&mut self, by: usize) {
        self.at = (self.at + by) % SECTIONS;
        self.cell = 0;
    }
    fn enter(&self, cx: &mut Cx) {
        let Some(line) = self.line() else { return };
        let window = cx.selection.window;
        match &line.go {
            Go::Query { label, text, lens } => {
                let mut step = Step::to(Focus::Case, crate::tui::lenses::find(lens).name, window);
                (step.label, step.query) = (label.clone(), text.clone());
                cx.push(Effect::Go(Box::new(step)));
            }
            Go::Entity(id, value) => {
                if let Some(entity) = Entity::of(*id, value) {
                    let lens = crate::tui::go::first_lens(&entity);
                    cx.push(Effect::Go(Box::new(Step::to(Focus::Entity(entity), lens, window))));
                }
            }
            Go::Source(name) => cx.push(Effect::Run(format!("open_sources {name}"))),
            Go::Sites => cx.push(Effect::Run("site".into())),
            Go::Leads => cx.push(Effect::Run("open_case leads".into())),
        }
    }
}

/// Walking writes to the journal too, and changes nothing here.
fn matters(decision: &Decision) -> bool {
    !matches!(decision.what, What::Trail { .. } | What::Note { .. } | What::Tag { .. } | What::Bookmark { .. })
}

impl Pane for Home {
    fn name(&self) -> &'static str {
        "home"
    }
    fn title(&self) -> String {
        "home".into()
    }
    fn place(&self) -> Option<RowPlace> {
        let index = self.wanted.unwrap_or(self.scrolls[self.at].selected);
        Some(RowPlace { index, above: self.at as u16, cell: self.cell, ..RowPlace::default() })
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.enter(cx),
            "next_pane" => self.turn(1),
            "previous_pane" => self.turn(SECTIONS - 1),
            "zoom_pane" => self.alone = !self.alone,
            "cancel" if self.alone => self.alone = false,
            "move_right" => self.cell = (self.cell + 1).min(self.entities().len().saturating_sub(1)),
            "move_left" => self.cell = self.cell.saturating_sub(1),
            _ if self.step(command) => {}
            _ => return Ok(Handled::No),
        }
        if command != "drill" {
            self.wanted = None;
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        let Some(n) = Which::ALL.iter().position(|w| w.name() == answer.slot) else { return Ok(()) };
        if let Body::Failed(err) = &answer.body {
            self.failed[n] = Some(err.clone());
        }
        self.awaited = self.awaited.saturating_sub(usize::from(answer.ended()));
        if let Some(section) = answer.take::<Section>() {
            self.failed[n] = None;
            let selected = if n == self.at { self.wanted.take() } else { None }.unwrap_or(self.scrolls[n].selected);
            self.scrolls[n].select(selected, section.lines.len());
            self.sections[n] = Some(section);
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        // Of a running capture home is asked anew from time to time only: it looks at the whole case.
        let due = self.awaited == 0 && self.asked.is_none_or(|at| at.elapsed() >= EVERY);
        if change == Change::Decisions || change == Change::Records && due {
            self.load(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { entity: self.under().map(|(_, e)| e), ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        if self.under().is_some() {
            return None;
        }
        let show = |t: crate::model::Time| t.rfc3339();
        let cells = self.line()?.cells.iter().map(|c| c.show(&show)).filter(|t| !t.is_empty()).collect::<Vec<_>>();
        Some(("line".into(), cells.join(" ")))
    }
    fn status(&self) -> String {
        self.scrolls[self.at].place(self.len(self.at))
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        self.draw_sections(frame, area, view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::home::Cell;

    fn with(lines: [usize; SECTIONS]) -> Home {
        let line = Line { cells: vec![Cell::Count(1)], go: Go::Sites, loud: false };
        let section = |n: usize| Section {
            which: Which::ALL[n],
            lines: vec![line.clone(); lines[n]],
            total: lines[n],
            note: String::new(),
            why: String::new(),
        };
        Home { sections: std::array::from_fn(|n| Some(section(n))), ..Home::default() }
    }

    #[test]
    fn the_cursor_goes_on_to_the_next_section_that_has_lines_and_back() {
        let mut home = with([2, 0, 1, 0, 0, 0, 3]);
        let mut walk = |command: &str| {
            assert!(home.step(command));
            (home.at, home.scrolls[home.at].selected)
        };
        assert_eq!([walk("move_down"), walk("move_down"), walk("move_down")], [(0, 1), (2, 0), (6, 0)]);
        assert_eq!([walk("go_last"), walk("move_down")], [(6, 2), (6, 2)]);
        assert_eq!([walk("go_first"), walk("move_up"), walk("move_up")], [(6, 0), (2, 0), (0, 1)]);
        assert!(!home.step("drill"));
    }
}
