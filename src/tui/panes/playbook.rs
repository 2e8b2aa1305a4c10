//! Playbooks: which there are; then one that was run, its steps with their answers, what follows from them, and what was not covered. Enter on a step
//! goes to its records.

use super::{Handled, Pane};
use crate::case::playbooks::{self, Answer as Told, Subject};
use crate::error::{Error, Result};
use crate::model::Entity;
use crate::model::field;
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
use ratatui::Frame;
use ratatui::layout::Rect;

/// Most lines that an answer takes.
const LINES: usize = 8;

/// A playbook that is chosen or has run.
pub struct Playbook {
    subject: Option<Subject>,
    name: Option<String>,
    told: Option<Told>,
    failed: Option<Error>,
    scroll: Scroll,
}

impl Playbook {
    /// On a subject; without a name one is chosen.
    pub fn new(name: Option<String>, subject: Option<Subject>) -> Playbook {
        Playbook { subject, name, told: None, failed: None, scroll: Scroll::default() }
    }
    fn ask(&mut self, cx: &mut Cx) {
        let Some(name) = self.name.clone() else { return };
        let Some(subject) = self.subject.clone() else {
            let label = format!("{name} of which host or service (10.8.40.20:80)");
            cx.push(Effect::Close);
            cx.push(Effect::Prompt { label, command: format!("playbook {name}"), text: String::new() });
            self.name = None;
            return;
        };
        self.scroll = Scroll::default();
        cx.ask("playbook", move |work| {
            work.give(playbooks::run(&name, &subject, &*work.engine, &work.cancel)?);
            Ok(())
        });
    }
    /// Lines that the cursor can stand on: playbooks, or steps.
    fn len(&self) -> usize {
        match &self.told {
            Some(told) => told.steps.len(),
            None => playbooks::all().count(),
        }
    }
    fn go(&mut self, cx: &mut Cx) {
        let Some(told) = &self.told else {
            self.name = playbooks::all().nth(self.scroll.selected).map(|p| p.name().to_owned());
            self.ask(cx);
            return;
        };
        let Some(step) = told.steps.get(self.scroll.selected).filter(|s| !s.query.is_empty()) else {
            cx.say("this step rests on no records");
            return;
        };
        let mut to = Step::to(Focus::Case, "all", None);
        to.label = format!("{}: {}", told.playbook, step.title);
        to.query.clone_from(&step.query);
        cx.push(Effect::Go(Box::new(to)));
    }
    /// What is shown: lines with their role, and which line of the cursor each belongs to.
    fn body(&self, width: usize, view: &View) -> Vec<(String, &'static str, Option<usize>)> {
        let mut out: Vec<(String, &'static str, Option<usize>)> = Vec::new();
        let add = |out: &mut Vec<(String, &'static str, Option<usize>)>, indent: usize, text: &str, role, at| {
            let clean = text::clean(text);
            let lines = text::wrap(&clean, width.saturating_sub(indent).max(20), LINES);
            out.extend(lines.into_iter().map(|l| (format!("{:indent$}{l}", ""), role, at)));
        };
        let Some(told) = &self.told else {
            match (&self.failed, &self.name) {
                (Some(error), _) => {
                    add(&mut out, 0, &error.what, "ui.warning", None);
                    add(&mut out, 0, &error.hint, "ui.dim", None);
                }
                (None, Some(name)) => add(&mut out, 0, &format!("{name} asks{}", view.glyphs.ellipsis), "ui.dim", None),
                (None, None) => {
                    let on = self
                        .subject
                        .as_ref()
                        .map_or_else(|| "a host or service that is asked for: no row or host is selected".into(), Subject::show);
                    add(&mut out, 0, &format!("run one on {on}"), "ui.title", None);
                }
            }
            if self.name.is_none() || self.failed.is_some() {
                out.push((String::new(), "ui.text", None));
                for (n, playbook) in playbooks::all().enumerate() {
                    add(&mut out, 0, &format!("{:<12} {}", playbook.name(), playbook.doc()), "ui.text", Some(n));
                }
            }
            return out;
        };
        add(&mut out, 0, &told.conclusion, "ui.title", None);
        out.push((String::new(), "ui.text", None));
        for (n, step) in told.steps.iter().enumerate() {
            let mark = if step.tells { view.glyphs.mark } else { view.glyphs.dot };
            let rows = if step.rows > 0 { format!("  {}", thousands(step.rows)) } else { String::new() };
            add(&mut out, 0, &format!("{mark} {}{rows}", step.title), if step.tells { "ui.chip" } else { "ui.dim" }, Some(n));
            add(&mut out, 4, &step.says, "ui.text", Some(n));
        }
        if !told.causes.is_empty() {
            out.push((String::new(), "ui.text", None));
            out.push(("causes, the most likely first".into(), "ui.title", None));
            for cause in &told.causes {
                add(&mut out, 2, &format!("{:>3.0} %  {}", cause.share * 100.0, cause.text), "ui.text", None);
            }
        }
        out.push((String::new(), "ui.text", None));
        out.push(("covered by".into(), "ui.title", None));
        for line in &told.coverage {
            add(&mut out, 2, line, "ui.dim", None);
        }
        out
    }
}

impl Pane for Playbook {
    fn name(&self) -> &'static str {
        "playbook"
    }
    fn title(&self) -> String {
        match &self.told {
            Some(told) => format!("playbook {} {}", told.playbook, told.subject),
            None => "playbooks".into(),
        }
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("drill", "run, or its records"), ("bookmark", "bookmark"), ("copy", "copy what follows")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.ask(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            _ if self.scroll.run(command, self.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            (self.failed, self.name) = (Some(error.clone()), None);
        }
        if let Some(told) = answer.take::<Told>() {
            (self.told, self.failed) = (Some(told), None);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let host = self.subject.as_ref().map(|s| s.host);
        Selection {
            entity: host.and_then(|h| Entity::of(field::DST_IP, &h.into())),
            window: self.told.as_ref().map(|t| t.window),
            ..Selection::default()
        }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.told.as_ref().map(|t| ("conclusion".to_owned(), t.conclusion.clone()))
    }
    fn lines(&self) -> Vec<String> {
        match &self.told {
            Some(told) => told.steps.iter().map(|s| format!("{} {}", s.title, s.says)).collect(),
            None => playbooks::all().map(|p| format!("{} {}", p.name(), p.doc())).collect(),
        }
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        let len = self.len();
        self.scroll.select(line, len);
    }
    fn stays(&self) -> bool {
        true
    }
    fn status(&self) -> String {
        match &self.told {
            Some(told) => format!("{} steps · {}", told.steps.len(), playbooks::times(&told.window)),
            None => format!("{} playbooks", playbooks::all().count()),
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        let body = self.body(usize::from(area.width.saturating_sub(3)), view);
        let at = Some(self.scroll.selected);
        // Of what the cursor is on all lines are in sight; with the last step what follows it, as far as there is room.
        let height = usize::from(area.height);
        let (begin, end) = (body.iter().position(|l| l.2 == at).unwrap_or(0), body.iter().rposition(|l| l.2 == at).unwrap_or(0));
        let is_last = self.scroll.selected + 1 >= self.len();
        let last = if is_last { body.len().saturating_sub(1) } else { end };
        let first = (last + 1).saturating_sub(height).min(begin);
        for (n, (line, role, of)) in body.iter().skip(first).take(usize::from(area.height)).enumerate() {
            let y = area.y + n as u16;
            let here = *of == at && view.focused && of.is_some();
            let style = view.theme.style(role);
            let style = if here { style.patch(view.theme.style("ui.row.selected")) } else { style };
            if here {
                fill(
                    buf,
                    Rect { x: area.x, y, width: area.width, height: 1 },
                    view.theme.style("ui.background").patch(view.theme.style("ui.row.selected")),
                );
            }
            put(buf, area.x + 2, y, area.width.saturating_sub(2), line, style);
            let starts = here && body.get(first + n).is_some() && (first + n == 0 || body[first + n - 1].2 != *of);
            if starts {
                put(buf, area.x, y, 1, view.glyphs.cursor, style);
            }
        }
    }
}
