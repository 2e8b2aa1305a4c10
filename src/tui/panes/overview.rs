//! The overview: curves over the window with what is usual, and below who is busiest and what is new; or what a stretch of the curve is made of.
//!
//! Up and down choose a curve, left and right go along it. `Enter` takes the stretch under the cursor apart; with a brush it makes the span the
//! window. `Tab` goes to the lists, whose lines can be entered.

mod draw;

use super::{Change, Handled, Pane};
use crate::case::home::{Cell, Go, Line};
use crate::case::overview::{self, Asking, Curve, History, List, What, Which};
use crate::detectors::baseline::hours_ahead;
use crate::detectors::contributions::{self, Explained, FAILED, FLOWS, Weight};
use crate::error::{Error, Result};
use crate::model::{Cancel, Entity, Window};
use crate::pivots::Selection;
use crate::query::Engine;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::times::{short_size, thousands};
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::time::{Duration, Instant};

/// How often it is asked anew while a capture runs.
const EVERY: Duration = Duration::from_secs(10);
/// Bins that are asked for.
const BINS: usize = 800;
const CURVES: usize = Which::ALL.len();
const LISTS: usize = What::ALL.len();
/// Name of the job that takes a window apart.
const PARTS: &str = "parts";

/// Where the cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Curves,
    List(usize),
    /// What a stretch is made of, in place of the lists.
    Made,
}

/// The overview.
pub struct Overview {
    window: Option<Window>,
    scope: String,
    curves: [Option<Curve>; CURVES],
    lists: [Option<List>; LISTS],
    failed: Option<Error>,
    zone: String,
    part: Part,
    /// The curve that is drawn large.
    which: usize,
    /// The bin under the cursor, of the first curve that is there: all have the same bins.
    bin: usize,
    /// Where the brush began.
    brush: Option<usize>,
    /// Bins that one column of the last drawing stood for.
    per: usize,
    scrolls: [Scroll; LISTS],
    made: Option<(Window, Option<Explained>)>,
    lines: Vec<MadeLine>,
    made_scroll: Scroll,
    asked: Option<Instant>,
    awaited: bool,
    /// How long it took the last time.
    took: Duration,
    /// What was still to be read was given up.
    given_up: bool,
}

/// A line of what a stretch is made of.
struct MadeLine {
    cells: [String; 5],
    query: String,
    loud: bool,
}

struct Zone(String);

impl Overview {
    /// Of the records that a question selects; empty: all.
    pub fn new(scope: &str) -> Overview {
        Overview {
            window: None,
            scope: scope.to_owned(),
            curves: Default::default(),
            lists: Default::default(),
            failed: None,
            zone: String::new(),
            part: Part::Curves,
            which: 2,
            bin: usize::MAX,
            brush: None,
            per: 1,
            scrolls: Default::default(),
            made: None,
            lines: Vec::new(),
            made_scroll: Scroll::default(),
            asked: None,
            awaited: false,
            took: Duration::ZERO,
            given_up: false,
        }
    }
    fn whole(&self, engine: &dyn Engine) -> Window {
        self.window.or_else(|| engine.span()).unwrap_or(Window::ALL)
    }
    fn load(&mut self, cx: &mut Cx) {
        self.asked = Some(Instant::now());
        (self.awaited, self.given_up) = (true, false);
        let (window, scope) = (self.whole(&**cx.engine), self.scope.clone());
        // Without conditions what is kept answers: the lists come from that, too.
        let whole = scope.trim().is_empty();
        cx.ask("curves", move |work| {
            let mut asking = Asking { engine: &*work.engine, window, scope: &scope, kept: None, cancel: &work.cancel };
            let history: History = overview::history(&asking)?;
            let zone = match (&history.zone, history.suggestion()) {
                (Some(zone), _) => format!("days of {zone}"),
                (None, Some(text)) => format!("days of UTC, {text}"),
                (None, None) => "days of UTC".into(),
            };
            work.give(Zone(zone));
            // What the store has sums of is there at once, and is seen before the records are read.
            for which in Which::ALL.into_iter().filter(|w| w.is_summed()) {
                work.give(overview::curve(which, &asking, &history, BINS)?);
            }
            let kept = if whole {
                work.give(overview::list(What::Talkers, &asking)?);
                overview::kept(asking.engine, &work.keeper.dir(), &work.keeper.decisions(), &work.cancel)?
            } else {
                None
            };
            asking.kept = kept.as_ref();
            for which in Which::ALL.into_iter().filter(|w| !w.is_summed()) {
                work.give(overview::curve(which, &asking, &history, BINS)?);
            }
            for what in What::ALL.into_iter().filter(|w| whole && *w != What::Talkers) {
                work.give(overview::list(what, &asking)?);
            }
            Ok(())
        });
        for what in What::ALL.into_iter().filter(|_| !whole) {
            let scope = self.scope.clone();
            cx.ask(what.name(), move |work| {
                let asking = Asking { engine: &*work.engine, window, scope: &scope, kept: None, cancel: &work.cancel };
                work.give(overview::list(what, &asking)?);
                Ok(())
            });
        }
    }
    fn curve(&self) -> Option<&Curve> {
        self.curves.get(self.which)?.as_ref()
    }
    fn bins(&self) -> usize {
        self.curves.iter().flatten().map(|c| c.bins.len()).max().unwrap_or(0)
    }
    /// The bin under the cursor: at first the last that deviates, else the last.
    fn cursor(&self) -> usize {
        self.bin.min(self.bins().saturating_sub(1))
    }
    /// From where to where the brush reaches, both inside; without one what is under the cursor.
    fn brushed(&self) -> (usize, usize) {
        let at = self.cursor();
        match self.brush {
            Some(from) => (from.min(at), from.max(at)),
            None => {
                let first = at / self.per.max(1) * self.per.max(1);
                (first, (first + self.per.max(1) - 1).min(self.bins().saturating_sub(1)))
            }
        }
    }
    /// The window under the cursor: the stretch that deviates there, else what a column stands for, or the brush.
    fn span(&self) -> Option<Window> {
        let curve =
            self.curve().filter(|c| !c.bins.is_empty()).or_else(|| self.curves.iter().flatten().find(|c| !c.bins.is_empty()))?;
        let (mut first, mut last) = self.brushed();
        if self.brush.is_none()
            && let Some((a, b, _)) = curve.deviations().into_iter().find(|d| d.0 <= last && d.1 >= first)
        {
            (first, last) = (a, b);
        }
        Some(Window::new(curve.window(first).start, curve.window(last).end))
    }
    fn along(&mut self, command: &str) -> bool {
        let (n, per) = (self.bins(), self.per.max(1));
        if n == 0 {
            return false;
        }
        let at = self.cursor();
        self.bin = match command {
            "move_left" => at.saturating_sub(per),
            "move_right" => (at + per).min(n - 1),
            "page_up" => at.saturating_sub(per * 12),
            "page_down" => (at + per * 12).min(n - 1),
            "go_first" => 0,
            "go_last" => n - 1,
            _ => return false,
        };
        true
    }
    /// Asks what a window is made of.
    fn take_apart(&mut self, window: Window, cx: &mut Cx) {
        let (weight, flows) = match Which::ALL.get(self.which) {
            Some(Which::Bytes | Which::Packets) => (Weight::Bytes, FLOWS),
            Some(Which::Failed) => (Weight::Flows, FAILED),
            _ => (Weight::Flows, FLOWS),
        };
        self.made = Some((window, None));
        self.lines.clear();
        self.part = Part::Made;
        let scope = self.scope.clone();
        cx.ask(PARTS, move |work| {
            let zone = overview::zone(&*work.engine, &Cancel::default())?;
            let ahead = (hours_ahead(zone, window.start) * 3.6e12) as i64;
            let (scope, cancel) = (scope.as_str(), &work.cancel);
            let asking = contributions::Asking { engine: &*work.engine, window, scope, weight, flows, ahead, cancel };
            work.give(contributions::explain(&asking)?);
            Ok(())
        });
    }
    fn line(&self) -> Option<&Line> {
        let Part::List(n) = self.part else { return None };
        self.lists.get(n)?.as_ref()?.lines.get(self.scrolls.get(n)?.selected)
    }
    fn enter(&mut self, cx: &mut Cx) {
        match self.part {
            Part::Curves => {
                let Some(span) = self.span() else { return };
                if self.brush.take().is_some() {
                    self.window = Some(span);
                    self.bin = usize::MAX;
                    self.made = None;
                    // The workbench looks at it too, so that whatever is opened from here does.
                    cx.push(Effect::Run(format!("type_window between {} and {}", span.start.rfc3339(), span.end.rfc3339())));
                    self.load(cx);
                } else {
                    self.take_apart(span, cx);
                }
            }
            Part::List(_) => {
                let Some(line) = self.line() else { return };
                let window = self.window.or(cx.selection.window);
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
            Part::Made => {
                let Some((window, _)) = self.made else { return };
                if let Some(line) = self.lines.get(self.made_scroll.selected) {
                    let mut step = Step::to(Focus::Case, "all", Some(window));
                    (step.label, step.query) = (line.cells[1].clone(), line.query.clone());
                    cx.push(Effect::Go(Box::new(step)));
                }
            }
        }
    }
    fn turn(&mut self, forward: bool) {
        let parts: Vec<Part> = if self.made.is_some() {
            vec![Part::Curves, Part::Made]
        } else {
            std::iter::once(Part::Curves).chain((0..LISTS).map(Part::List)).collect()
        };
        let at = parts.iter().position(|p| *p == self.part).unwrap_or(0);
        let next = if forward { at + 1 } else { at + parts.len() - 1 } % parts.len();
        self.part = parts.get(next).copied().unwrap_or(Part::Curves);
    }
    fn explained(&mut self, explained: Explained) {
        self.lines = made_lines(&explained);
        self.made_scroll.select(0, self.lines.len());
        self.made = Some((explained.window, Some(explained)));
    }
}

/// What a stretch is made of as lines: by what, value, actual, usual, share.
fn made_lines(e: &Explained) -> Vec<MadeLine> {
    let size = |n: f64| {
        let n = n.round().max(0.0) as u64;
        if e.weight == Weight::Bytes { short_size(n) } else { thousands(n) }
    };
    let count = |n: f64| thousands(n.round().max(0.0) as u64);
    let mut out = Vec::new();
    for d in e.denied.iter().filter(|d| d.matched >= 1.0 || d.actual > d.usual) {
        let share = if d.missing > 0.0 { format!("{:.0} %", 100.0 * d.matched / d.missing) } else { String::new() };
        out.push(MadeLine {
            cells: ["denies".into(), d.text.clone(), count(d.actual), count(d.usual), share],
            query: d.query.clone(),
            loud: d.matched >= 1.0,
        });
    }
    for p in &e.parts {
        out.push(MadeLine {
            cells: [
                p.dimension.name().into(),
                p.value.clone(),
                size(p.actual),
                size(p.usual),
                format!("{:.0} %", p.part * 100.0),
            ],
            query: p.query.clone(),
            loud: p.part >= 0.5,
        });
    }
    for a in &e.alerts {
        out.push(MadeLine {
            cells: ["alert".into(), a.signature.clone(), count(a.actual), count(a.usual), String::new()],
            query: a.query.clone(),
            loud: a.usual < 1.0,
        });
    }
    for n in &e.new {
        out.push(MadeLine {
            cells: [format!("new {}", n.what), n.value.clone(), thousands(n.flows), "0".into(), String::new()],
            query: n.query.clone(),
            loud: true,
        });
    }
    for r in e.rates.iter().filter(|r| r.actual > 0.0 || r.usual > 0.0) {
        out.push(MadeLine {
            cells: ["rate".into(), r.what.into(), count(r.actual), count(r.usual), String::new()],
            query: r.query.clone(),
            loud: r.actual >= 3.0 * r.usual.max(1.0) && r.actual >= 10.0,
        });
    }
    out
}

impl Pane for Overview {
    fn name(&self) -> &'static str {
        "overview"
    }
    fn title(&self) -> String {
        if self.scope.is_empty() { "overview".into() } else { format!("overview of {}", self.scope) }
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("brush", "brush a span of time")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.window = self.window.or(cx.selection.window);
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match (command, self.part) {
            ("drill", _) => self.enter(cx),
            ("next_pane", _) => self.turn(true),
            ("previous_pane", _) => self.turn(false),
            ("brush", _) => {
                self.part = Part::Curves;
                self.brush = match self.brush {
                    Some(_) => None,
                    None => Some(self.cursor()),
                };
                if self.brush.is_some() {
                    cx.say("brush: move with the arrows, Enter makes the span the window, Esc leaves it");
                }
            }
            ("cancel", _) if self.brush.is_some() => self.brush = None,
            ("cancel", _) if self.made.is_some() => {
                self.made = None;
                self.part = Part::Curves;
                cx.push(Effect::Cancel { pane: "overview", slot: PARTS });
            }
            // The first time what is still to come is given up, the next time the overview is closed.
            ("cancel", _) if self.awaited => {
                for slot in std::iter::once("curves").chain(What::ALL.map(What::name)) {
                    cx.push(Effect::Cancel { pane: "overview", slot });
                }
                (self.awaited, self.given_up) = (false, true);
                cx.say("reading given up");
            }
            ("move_up", Part::Curves) => self.which = self.which.saturating_sub(1),
            ("move_down", Part::Curves) => self.which = (self.which + 1).min(CURVES - 1),
            ("whole_case", _) => {
                self.window = None;
                (self.bin, self.brush, self.made) = (usize::MAX, None, None);
                self.part = Part::Curves;
                self.load(cx);
                // The workbench goes back to it as well.
                return Ok(Handled::No);
            }
            (_, Part::Curves) if self.along(command) => {}
            (_, Part::List(n)) if self.lists[n].is_some() => {
                let len = self.lists[n].as_ref().map_or(0, |l| l.lines.len());
                if !self.scrolls[n].run(command, len) {
                    return Ok(Handled::No);
                }
            }
            (_, Part::Made) if self.made_scroll.run(command, self.lines.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Body::Failed(err) = &answer.body {
            self.failed = Some(err.clone());
            if answer.slot == PARTS {
                (self.made, self.part) = (None, Part::Curves);
            }
        }
        if answer.slot == "curves" && answer.ended() {
            self.awaited = false;
            self.took = self.asked.map_or(Duration::ZERO, |at| at.elapsed());
        }
        if answer.is::<Zone>() {
            self.zone = answer.take::<Zone>().map(|z| z.0).unwrap_or_default();
            self.failed = None;
        } else if answer.is::<Curve>() {
            if let Some(curve) = answer.take::<Curve>() {
                let at = Which::ALL.iter().position(|w| *w == curve.which).unwrap_or(0);
                // One begins at what deviates last.
                if self.bin == usize::MAX
                    && at == self.which
                    && let Some((first, ..)) = curve.deviations().last()
                {
                    self.bin = *first;
                }
                self.curves[at] = Some(curve);
            }
        } else if answer.is::<List>() {
            if let Some(list) = answer.take::<List>() {
                let at = What::ALL.iter().position(|w| *w == list.what).unwrap_or(0);
                self.scrolls[at].select(self.scrolls[at].selected, list.lines.len());
                self.lists[at] = Some(list);
            }
        } else if let Some(explained) = answer.take::<Explained>()
            && self.made.as_ref().is_some_and(|m| m.0 == explained.window)
        {
            self.explained(explained);
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        // What takes long is asked again less often: where files are imported one after the other the case would be read all the time.
        let due = !self.awaited && self.asked.is_none_or(|at| at.elapsed() >= EVERY.max(self.took * 6));
        if change == Change::Records && due {
            self.load(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let entity = match self.part {
            Part::List(_) => self.line().and_then(|l| l.cells.iter().find_map(Cell::entity)),
            Part::Made => {
                let parts = self.made.as_ref().and_then(|m| m.1.as_ref()).map(|e| &e.parts);
                let line = self.lines.get(self.made_scroll.selected);
                let part = parts.zip(line).and_then(|(p, l)| p.iter().find(|p| p.query == l.query && p.value == l.cells[1]));
                part.and_then(|p| p.of.as_ref()).and_then(|(id, value)| Entity::of(*id, value))
            }
            Part::Curves => None,
        };
        Selection { entity, window: self.window, ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        match self.part {
            Part::Made => self.lines.get(self.made_scroll.selected).map(|l| ("query".into(), l.query.clone())),
            Part::Curves => {
                self.span().map(|w| ("window".into(), format!("between {} and {}", w.start.rfc3339(), w.end.rfc3339())))
            }
            Part::List(_) => None,
        }
    }
    fn status(&self) -> String {
        match self.part {
            Part::Curves if self.brush.is_some() => "brush".into(),
            Part::Curves => format!("{}/{}", self.cursor() + usize::from(self.bins() > 0), self.bins()),
            Part::List(n) => self.scrolls[n].place(self.lists[n].as_ref().map_or(0, |l| l.lines.len())),
            Part::Made => self.made_scroll.place(self.lines.len()),
        }
    }
    fn stays(&self) -> bool {
        true
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        self.draw_all(frame.buffer_mut(), area, view);
    }
}
