//! Alerts by groups: one signature at one target a row, with how many were judged. Enter opens a group's alerts; a verdict on it has a
//! scope. What nobody has judged yet stands first.

use super::{Change, Handled, Pane};
use crate::case::triage::{Group, Groups as Answered, MAX_HOSTS, groups_of};
use crate::case::verdicts::Subject;
use crate::error::{Error, Result};
use crate::model::decision::Judgement;
use crate::model::value::SEVERITIES;
use crate::model::{Entity, Window, field};
use crate::pivots::Selection;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::{self, Focus};
use crate::tui::jobs::{Answer, Body};
use crate::tui::load::compiled;
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeSet;

const COLUMNS: [Column; 9] = [
    Column { title: "", least: 1, wanted: 1, right: false, drop: 0 },
    Column { title: "sev", least: 4, wanted: 4, right: false, drop: 4 },
    Column { title: "left", least: 6, wanted: 6, right: true, drop: 0 },
    Column { title: "alerts", least: 6, wanted: 6, right: true, drop: 0 },
    Column { title: "hosts", least: 5, wanted: 6, right: true, drop: 3 },
    Column { title: "first", least: 12, wanted: 12, right: false, drop: 9 },
    Column { title: "last", least: 12, wanted: 12, right: false, drop: 7 },
    Column { title: "target", least: 15, wanted: 16, right: false, drop: 0 },
    Column { title: "signature", least: 30, wanted: 60, right: false, drop: 0 },
];

/// The groups of the alerts of a focus.
pub struct Groups {
    focus: Focus,
    /// The question without what is put away, for the steps from here; and with it.
    base: String,
    asked: String,
    /// What the alerts have to satisfy besides, and whether it is switched off.
    filter: Option<(String, bool)>,
    window: Option<Window>,
    groups: Answered,
    loading: bool,
    scroll: Scroll,
    marked: BTreeSet<String>,
}

impl Groups {
    /// The alerts that `asked` selects, by groups; `base` is the same without what is put away.
    pub fn new(focus: Focus, base: String, asked: String, window: Option<Window>) -> Groups {
        let (scroll, marked) = (Scroll::default(), BTreeSet::new());
        Groups { focus, base, asked, filter: None, window, groups: Answered::default(), loading: true, scroll, marked }
    }
    fn ask(&mut self, cx: &mut Cx) {
        self.loading = true;
        let (text, window) = (self.narrowed(&self.asked), self.window);
        cx.ask("groups", move |work| {
            let question = compiled(&*work.engine, &text, window)?;
            let decisions = work.keeper.decisions();
            work.give(groups_of(&*work.engine, &decisions, crate::store::now(), &question, &work.cancel)?);
            Ok(())
        });
    }
    fn narrowed(&self, query: &str) -> String {
        match &self.filter {
            Some((filter, false)) => focus::both(query, filter),
            _ => query.to_owned(),
        }
    }
    /// Asks with another filter, or without one; another list has other marks.
    fn filter(&mut self, filter: Option<(String, bool)>, cx: &mut Cx) {
        self.filter = filter;
        self.marked.clear();
        self.scroll = Scroll::default();
        self.ask(cx);
    }
    /// Marks all groups that are shown; all marked: none.
    fn mark_all(&mut self) {
        let all: BTreeSet<String> = self.groups.list.iter().map(Group::query).collect();
        self.marked = if self.marked == all { BTreeSet::new() } else { all };
    }
    fn group(&self) -> Option<&Group> {
        self.groups.list.get(self.scroll.selected)
    }
    fn go(&self, cx: &mut Cx) {
        let Some(group) = self.group() else { return };
        let mut step = Step::to(self.focus.clone(), "alerts", self.window);
        let target = group.target.map(|a| format!(" at {a}")).unwrap_or_default();
        step.label = format!("{}{target}", group.signature);
        step.query = focus::both(&self.narrowed(&self.base), &group.query());
        cx.push(Effect::Go(Box::new(step)));
    }
    fn mark(&mut self) {
        let Some(query) = self.group().map(Group::query) else { return };
        if !self.marked.remove(&query) {
            self.marked.insert(query);
        }
        self.scroll.run("move_down", self.groups.list.len());
    }
}

impl Pane for Groups {
    fn name(&self) -> &'static str {
        "groups"
    }
    fn title(&self) -> String {
        match &self.filter {
            Some((filter, false)) => format!("alerts by groups: {}", text::clean(filter)),
            _ => "alerts by groups".into(),
        }
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "its alerts"),
            ("verdict", "verdict"),
            ("mark_all", "mark all"),
            ("filter", "filter"),
            ("groups", "rows"),
            ("put_away", "put away"),
            ("undo", "undo"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.ask(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            "groups" => cx.push(Effect::Close),
            "mark_row" => self.mark(),
            "mark_all" => self.mark_all(),
            "filter" if !cx.args.is_empty() => {
                let question = cx.engine.compile(cx.args)?;
                if !question.stages.is_empty() {
                    return Err(Error::user("a filter has no stages").hint("only conditions, as in `severity = low`"));
                }
                self.filter(Some((cx.args.to_owned(), false)), cx);
            }
            "toggle_filters" if self.filter.is_some() => {
                let turned = self.filter.take().map(|(filter, off)| (filter, !off));
                self.filter(turned, cx);
            }
            "clear_filters" if self.filter.is_some() => self.filter(None, cx),
            _ if self.scroll.run(command, self.groups.list.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if matches!(answer.body, Body::Failed(_)) {
            self.loading = false;
        }
        if let Some(groups) = answer.take::<Answered>() {
            // The cursor stays at its place in the list: a group that was judged goes down, the next one is under the cursor.
            self.groups = groups;
            self.loading = false;
            self.scroll.select(self.scroll.selected, self.groups.list.len());
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions {
            self.marked.clear();
            self.ask(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let target = self.group().and_then(|g| g.target);
        Selection {
            entity: target.and_then(|a| Entity::of(field::DST_IP, &a.into())),
            window: self.window,
            ..Selection::default()
        }
    }
    fn subjects(&self) -> Vec<Subject> {
        let marked: Vec<Subject> =
            self.groups.list.iter().filter(|g| self.marked.contains(&g.query())).map(Group::subject).collect();
        if marked.is_empty() { self.group().map(Group::subject).into_iter().collect() } else { marked }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.group().map(|g| ("query".to_owned(), g.query()))
    }
    fn lines(&self) -> Vec<String> {
        let target = |g: &Group| g.target.map(|a| a.to_string()).unwrap_or_default();
        let id = |g: &Group| g.id.map(|id| id.to_string()).unwrap_or_default();
        self.groups.list.iter().map(|g| format!("{} {} {}", g.signature, id(g), target(g))).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.groups.list.len());
    }
    fn status(&self) -> String {
        if self.loading && self.groups.list.is_empty() {
            return "asking… Esc gives up".into();
        }
        let beyond =
            if self.groups.beyond > 0 { format!(" (+{} not grouped)", thousands(self.groups.beyond)) } else { String::new() };
        let groups = thousands(self.groups.list.len() as u64);
        let marked = if self.marked.is_empty() { String::new() } else { format!(" · {} marked", self.marked.len()) };
        let (left, all) = (thousands(self.groups.left()), thousands(self.groups.alerts));
        format!("{left} of {all} alerts left{beyond} · {groups} groups{marked}")
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        if self.groups.list.is_empty() {
            let key = |command: &str| view.keymap.key_in("groups", command);
            let why = if self.loading {
                "asking".to_owned()
            } else if let Some((filter, false)) = &self.filter {
                format!("no alert here satisfies {}: {} switches that off", text::clean(filter), key("toggle_filters"))
            } else {
                format!(
                    "no alerts here: {} shows the rows and says why, {} shows what is put away",
                    key("groups"),
                    key("put_away")
                )
            };
            put(buf, area.x + 1, area.y + 1, area.width.saturating_sub(2), &why, theme.style("ui.dim"));
            return;
        }
        let list = Rect { height: area.height - 1, ..area };
        let day = view.zone.crosses_midnight(&view.window);
        let clock = |t| if day { view.zone.format(t, "%d %b %H:%M") } else { view.zone.clock(t) };
        let mut scroll = self.scroll;
        let mut row = |n: usize| {
            let g = &self.groups.list[n];
            let severity = g.severity.and_then(|s| SEVERITIES.get(usize::from(s)).copied());
            let (sign, role) = match g.verdict() {
                _ if self.marked.contains(&g.query()) => (view.glyphs.mark, "ui.title"),
                Some(Judgement::Benign) => (view.glyphs.benign, "verdict.benign"),
                Some(Judgement::Suspicious) => (view.glyphs.suspicious, "verdict.suspicious"),
                Some(Judgement::Malicious) => (view.glyphs.malicious, "verdict.malicious"),
                None => (" ", "ui.text"),
            };
            let body = if g.left() == 0 { "ui.dim" } else { "ui.text" };
            let more = if g.hosts >= MAX_HOSTS { "+" } else { "" };
            let left = if g.left() == 0 { "0".to_owned() } else { thousands(g.left()) };
            vec![
                (sign.to_owned(), role),
                (
                    severity.unwrap_or("").replace("critical", "crit").replace("medium", "med"),
                    severity.map_or("ui.dim", severity_role),
                ),
                (left, body),
                (thousands(g.count), body),
                (format!("{}{more}", thousands(g.hosts as u64)), body),
                (clock(g.span.0), "ui.time"),
                (clock(g.span.1), "ui.time"),
                (g.target.map(|a| a.to_string()).unwrap_or_default(), "entity.address"),
                (text::clean(&g.signature).into_owned(), body),
            ]
        };
        table::draw(buf, list, &COLUMNS, &mut scroll, self.groups.list.len(), view, view.focused, &mut row);
        self.scroll = scroll;
        let Some(g) = self.group() else { return };
        let mut foot = Line::new(buf, area, area.height - 1);
        foot.add(&format!(" reviewed {} of {}", thousands(g.reviewed()), thousands(g.count)), theme.style("ui.title"));
        for (judgement, n) in Judgement::ALL.into_iter().zip(g.judged).filter(|(_, n)| *n > 0) {
            foot.add(&format!(" {} {} {}", view.glyphs.dot, thousands(n), judgement.name()), theme.style("ui.dim"));
        }
        let from = match g.host {
            Some(host) => format!("with {host}"),
            None => format!("with {} hosts", thousands(g.hosts as u64)),
        };
        let id = g.id.map(|id| format!(" {} {id}", view.glyphs.dot)).unwrap_or_default();
        let dot = view.glyphs.dot;
        let span = format!("{} {} {}", clock(g.span.0), view.glyphs.right, clock(g.span.1));
        let body = format!(" {dot} {span} {dot} {from}{id} {dot} {}", text::clean(&g.signature));
        foot.add(&body, theme.style("ui.dim"));
    }
}

pub(super) fn severity_role(severity: &str) -> &'static str {
    match severity {
        "critical" => "severity.critical",
        "high" => "severity.high",
        "medium" => "severity.medium",
        "low" => "severity.low",
        _ => "severity.info",
    }
}
