//! Findings: what the detectors found, what ranks first on top; the one under the cursor explains itself below. Enter goes to its records. It is
//! found in the background and kept, and found again when records come.

use super::{Change, Handled, Pane};
use crate::case::findings::{self, Order, Part};
use crate::case::verdicts::Subject;
use crate::detectors::{ALL, Progress, settings};
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Findings as Found};
use crate::model::value::SEVERITIES;
use crate::model::{Entity, field};
use crate::pivots::Selection;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeSet;

const COLUMNS: [Column; 7] = [
    Column { title: "", least: 1, wanted: 1, right: false, drop: 0 },
    Column { title: "sev", least: 4, wanted: 4, right: false, drop: 0 },
    Column { title: "by", least: 2, wanted: 3, right: true, drop: 3 },
    Column { title: "first", least: 12, wanted: 12, right: false, drop: 2 },
    Column { title: "host", least: 11, wanted: 15, right: false, drop: 1 },
    Column { title: "detector", least: 10, wanted: 16, right: false, drop: 4 },
    Column { title: "finding", least: 36, wanted: 60, right: false, drop: 0 },
];
/// Most lines that a part of an explanation takes.
const LINES: usize = 6;
/// Looked at records are told so often.
const TOLD: u64 = 200_000;

/// The findings of the case.
#[derive(Default)]
pub struct Findings {
    found: Found,
    order: Order,
    /// Places in the list that are shown.
    shown: Vec<usize>,
    benign: usize,
    with_benign: bool,
    loading: bool,
    progress: Progress,
    failed: Option<Error>,
    scroll: Scroll,
    below: Option<Scroll>,
    lines: usize,
    marked: BTreeSet<String>,
}

struct Loaded(Found, usize);

impl Findings {
    /// Not asked yet.
    pub fn new() -> Findings {
        Findings { loading: true, ..Findings::default() }
    }
    fn load(&mut self, cx: &mut Cx) {
        self.loading = true;
        cx.ask("findings", |work| {
            let mut told = 0;
            let mut tell = |p: Progress| {
                if p.rows >= told {
                    told = p.rows + TOLD;
                    work.give(p);
                }
            };
            let engine = &*work.engine;
            let mut found = findings::all(
                engine,
                &work.keeper.dir(),
                &work.keeper.decisions(),
                settings::installed(),
                &work.cancel,
                &mut tell,
            )?;
            let benign = findings::judge(&mut found, engine, &work.keeper.decisions(), &work.cancel)?;
            work.give(Loaded(found, benign));
            Ok(())
        });
    }
    fn arrange(&mut self) {
        let key = self.finding().map(Finding::key);
        // By rank first, so that what is equal in another order stands by rank.
        self.found.list.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| a.key().cmp(&b.key())));
        self.order.sort(&mut self.found.list);
        let with_benign = self.with_benign;
        let all = self.found.list.iter().enumerate();
        self.shown = all.filter(|(_, f)| with_benign || f.verdict.as_deref() != Some("benign")).map(|(n, _)| n).collect();
        let at = self.shown.iter().position(|n| Some(self.found.list[*n].key()) == key).unwrap_or(self.scroll.selected);
        self.scroll.select(at, self.shown.len());
    }
    fn finding(&self) -> Option<&Finding> {
        self.found.list.get(*self.shown.get(self.scroll.selected)?)
    }
    fn go(&self, cx: &mut Cx) {
        let Some(finding) = self.finding() else { return };
        let focus = Entity::of(field::SRC_IP, &finding.host.into()).map_or(Focus::Case, Focus::Entity);
        let mut step = Step::to(focus, "all", Some(finding.window));
        step.label = format!("{} {}", finding.detector, finding.host);
        step.query.clone_from(&finding.query);
        cx.push(Effect::Go(Box::new(step)));
    }
    fn why_empty(&self, view: &View) -> String {
        if let Some(error) = &self.failed {
            return text::clean(&error.what).into_owned();
        }
        if self.loading {
            let p = self.progress;
            let of = if p.of > 0 { format!(": {} of {} records", thousands(p.rows), thousands(p.of)) } else { String::new() };
            return format!("{} detectors look at the case{of}{}", ALL.len(), view.glyphs.ellipsis);
        }
        match self.found.window {
            None => "nothing was looked at: the case has no records yet; backtrail ingest PATH... brings evidence in".into(),
            Some(_) if self.benign > 0 => {
                let key = view.keymap.key_in("findings", "put_away");
                format!("all {} findings were judged benign: {key} shows them", self.benign)
            }
            Some(_) => {
                format!("nothing deviates: {} detectors looked at {} records", ALL.len(), thousands(self.found.rows))
            }
        }
    }
}

impl Pane for Findings {
    fn name(&self) -> &'static str {
        "findings"
    }
    fn title(&self) -> String {
        format!("findings {}", thousands(self.shown.len() as u64))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "its records"),
            ("verdict", "verdict"),
            ("findings_order", "next order"),
            ("put_away", "those judged benign"),
            ("pivot", "pivot"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            "findings_order" => {
                self.order = self.order.next();
                self.arrange();
                cx.say(format!("findings by {}", self.order.name()));
            }
            "put_away" => {
                self.with_benign = !self.with_benign;
                self.arrange();
            }
            "mark_row" => {
                let Some(key) = self.finding().map(Finding::key) else { return Ok(Handled::Yes) };
                if !self.marked.remove(&key) {
                    self.marked.insert(key);
                }
                self.scroll.run("move_down", self.shown.len());
            }
            "next_pane" | "previous_pane" => self.below = if self.below.is_some() { None } else { Some(Scroll::default()) },
            _ => {
                let ours = match &mut self.below {
                    Some(below) => below.page(command, self.lines),
                    None => self.scroll.run(command, self.shown.len()),
                };
                return Ok(if ours { Handled::Yes } else { Handled::No });
            }
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            (self.loading, self.failed) = (false, Some(error.clone()));
            return Ok(());
        }
        if answer.is::<Progress>() {
            self.progress = answer.take().unwrap_or_default();
        } else if let Some(Loaded(found, benign)) = answer.take() {
            (self.found, self.benign, self.loading, self.failed) = (found, benign, false, None);
            self.arrange();
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        // New records of a capture come every second: they are looked at when one comes back.
        if change == Change::Decisions {
            self.marked.clear();
            self.load(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let Some(finding) = self.finding() else { return Selection::default() };
        Selection {
            entity: Entity::of(field::SRC_IP, &finding.host.into()),
            window: Some(finding.window),
            ..Selection::default()
        }
    }
    fn subjects(&self) -> Vec<Subject> {
        let marked: Vec<Subject> =
            self.found.list.iter().filter(|f| self.marked.contains(&f.key())).map(Subject::finding).collect();
        if marked.is_empty() { self.finding().map(Subject::finding).into_iter().collect() } else { marked }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.finding().map(|f| ("query".to_owned(), f.query.clone()))
    }
    fn lines(&self) -> Vec<String> {
        let line = |f: &Finding| format!("{} {} {}", f.detector, f.title, f.techniques.join(" "));
        self.shown.iter().filter_map(|n| self.found.list.get(*n)).map(line).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.shown.len());
    }
    fn stays(&self) -> bool {
        true
    }
    fn status(&self) -> String {
        if self.loading {
            let p = self.progress;
            return if p.of > 0 { format!("looking {} of {}", thousands(p.rows), thousands(p.of)) } else { "looking".into() };
        }
        let hidden =
            if self.benign > 0 && !self.with_benign { format!(" · {} benign away", self.benign) } else { String::new() };
        format!("{} records looked at · by {}{hidden}", thousands(self.found.rows), self.order.name())
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        if self.shown.is_empty() {
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &self.why_empty(view), theme.style("ui.dim"));
            return;
        }
        let wanted = self.shown.len() as u16 + 1;
        let height = wanted.min(if view.narrow { area.height / 2 } else { area.height * 3 / 5 }).max(3).min(area.height);
        let list = Rect { height, ..area };
        let mut scroll = self.scroll;
        let mut row = |n: usize| {
            let Some(f) = self.shown.get(n).and_then(|n| self.found.list.get(*n)) else { return Vec::new() };
            let severity = SEVERITIES.get(usize::from(f.severity)).copied().unwrap_or("info");
            let (sign, role) = match f.verdict.as_deref() {
                _ if self.marked.contains(&f.key()) => (view.glyphs.mark, "ui.title"),
                Some("benign") => (view.glyphs.benign, "verdict.benign"),
                Some("suspicious") => (view.glyphs.suspicious, "verdict.suspicious"),
                Some("malicious") => (view.glyphs.malicious, "verdict.malicious"),
                _ => (" ", "ui.text"),
            };
            let by: BTreeSet<&str> = f.support.iter().map(|s| s.by.as_str()).collect();
            let body = if f.verdict.as_deref() == Some("benign") { "ui.dim" } else { "ui.text" };
            vec![
                (sign.to_owned(), role),
                (severity.replace("critical", "crit").replace("medium", "med"), super::groups::severity_role(severity)),
                (if by.is_empty() { String::new() } else { format!("+{}", by.len()) }, "ui.text"),
                (view.zone.format(f.window.start, "%d %b %H:%M"), "ui.time"),
                (f.host.to_string(), "entity.address"),
                (f.detector.clone(), "ui.dim"),
                (text::clean(&f.title).into_owned(), body),
            ]
        };
        let in_list = view.focused && self.below.is_none();
        table::draw(buf, list, &COLUMNS, &mut scroll, self.shown.len(), view, in_list, &mut row);
        self.scroll = scroll;
        self.explain(buf, Rect { y: area.y + height, height: area.height - height, ..area }, view);
    }
}

impl Findings {
    /// The finding under the cursor in words, below.
    fn explain(&mut self, buf: &mut ratatui::buffer::Buffer, area: Rect, view: &View) {
        let Some(finding) = self.finding().filter(|_| area.height > 1) else { return };
        let rule = view.glyphs.horizontal.repeat(usize::from(area.width));
        let border = if self.below.is_some() { "ui.border.focused" } else { "ui.border" };
        put(buf, area.x, area.y, area.width, &rule, view.theme.style(border));
        let source = |id| view.engine.source_name(id);
        let time = |t| view.zone.format(t, "%Y-%m-%d %H:%M:%S");
        let mut lines: Vec<(String, &'static str)> = Vec::new();
        for (line, part) in findings::explained(finding, &source, &time) {
            let role = match part {
                Part::Title => "ui.title",
                Part::Number | Part::Plain => "ui.text",
                Part::Support => "ui.chip",
                Part::Caveat => "ui.warning",
            };
            let clean = text::clean(&line);
            lines.extend(text::wrap(&clean, usize::from(area.width.saturating_sub(2)), LINES).into_iter().map(|l| (l, role)));
        }
        self.lines = lines.len();
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let mut scroll = self.below.unwrap_or_default();
        let sight = scroll.sight_text(usize::from(body.height), lines.len());
        for (n, (line, role)) in lines.get(sight).unwrap_or_default().iter().enumerate() {
            put(buf, body.x + 1, body.y + n as u16, body.width.saturating_sub(1), line, view.theme.style(role));
        }
        self.below = self.below.map(|_| scroll);
    }
}
