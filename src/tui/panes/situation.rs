//! The situation: hosts with what was said of them, whether they are where they should be, what flowed between them. The arrows move among hosts, Enter
//! goes to one, the keys of the window move it.

use super::{Change, Handled, Pane};
use crate::case::findings;
use crate::case::home::first_window;
use crate::case::situation::layout::{Charset as Letters, Picture, draw};
use crate::case::situation::{Asking, Scene, scene};
use crate::error::{Error, Result};
use crate::model::{Entity, Value, Window, field};
use crate::pivots::Selection;
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::glyphs::Charset;
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::view::View;
use crate::tui::walk::Step;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::net::IpAddr;

/// A window of less is not made shorter: two seconds.
const LEAST: i64 = 1_000_000_000;

/// The situation of a window.
pub struct Situation {
    window: Option<Window>,
    scene: Option<Scene>,
    failed: Option<Error>,
    /// The host under the cursor, by its place among the nodes.
    at: usize,
    picture: Option<Picture>,
}

impl Situation {
    /// Of a window; none: where most of the case is.
    pub fn new(window: Option<Window>) -> Situation {
        Situation { window, scene: None, failed: None, at: 0, picture: None }
    }
    fn load(&self, cx: &mut Cx) {
        let window = self.window;
        cx.ask("scene", move |work| {
            let engine = &*work.engine;
            let window = window.or_else(|| first_window(engine)).or_else(|| engine.span()).unwrap_or(Window::ALL);
            let (decisions, name) = (work.keeper.decisions(), work.keeper.name());
            let mut found = findings::kept(&work.keeper.dir()).unwrap_or_default();
            let benign = findings::judge(&mut found, engine, &decisions, &work.cancel)?;
            found.list.truncate(found.list.len().saturating_sub(benign));
            let asking = Asking { engine, found: &found.list, name, decisions: &decisions, window, cancel: &work.cancel };
            work.give(scene(&asking)?);
            Ok(())
        });
    }
    fn host(&self) -> Option<IpAddr> {
        self.scene.as_ref()?.nodes.get(self.at)?.host.parse().ok()
    }
    /// The nearest box in a direction.
    fn step(&mut self, command: &str) -> bool {
        let Some(picture) = &self.picture else { return false };
        let centre = |r: &crate::case::situation::layout::Rect| ((r.x * 2 + r.w) as i64, (r.y * 2 + r.h) as i64);
        let Some(here) = picture.boxes.iter().find(|(n, _)| *n == self.at).or(picture.boxes.first()) else { return false };
        let (x, y) = centre(&here.1);
        let beyond = |(n, r): &&(usize, crate::case::situation::layout::Rect)| {
            let (a, b) = centre(r);
            *n != here.0
                && match command {
                    "move_up" => b < y && (a - x).abs() <= (b - y).abs() * 8,
                    "move_down" => b > y && (a - x).abs() <= (b - y).abs() * 8,
                    "move_left" => a < x,
                    _ => a > x,
                }
        };
        let far = |r: &crate::case::situation::layout::Rect| {
            let (a, b) = centre(r);
            match command {
                "move_up" | "move_down" => (a - x).abs() * 4 + (b - y).abs(),
                _ => (a - x).abs() + (b - y).abs() * 4,
            }
        };
        let next = picture.boxes.iter().filter(beyond).min_by_key(|(n, r)| (far(r), *n));
        if let Some((n, _)) = next {
            self.at = *n;
        }
        true
    }
    /// Another window: earlier, later, shorter, longer, all.
    fn turn(&mut self, command: &str, cx: &mut Cx) -> bool {
        let Some(now) = self.scene.as_ref().map(|s| s.window) else { return false };
        let half = now.length() / 2;
        let window = match command {
            "window_earlier" => Some(now.shifted(half.max(1).saturating_neg())),
            "window_later" => Some(now.shifted(half.max(1))),
            "zoom_in" if half < LEAST => return true,
            "zoom_in" => Some(Window::new(now.start.plus(half / 2), now.end.plus(-(half / 2)))),
            "zoom_out" => Some(Window::new(now.start.plus(half.saturating_neg()), now.end.plus(half))),
            "whole_case" => cx.engine.span(),
            _ => return false,
        };
        self.window = window;
        self.load(cx);
        true
    }
}

impl Pane for Situation {
    fn name(&self) -> &'static str {
        "situation"
    }
    fn title(&self) -> String {
        "situation".into()
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "this host"),
            ("window_earlier", "earlier"),
            ("window_later", "later"),
            ("zoom_in", "shorter"),
            ("zoom_out", "longer"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => {
                let Some(focus) = self.selected().entity.map(Focus::Entity) else { return Ok(Handled::Yes) };
                let step = Step::to(focus, "all", self.scene.as_ref().map(|s| s.window));
                cx.push(Effect::Go(Box::new(step)));
            }
            "move_up" | "move_down" | "move_left" | "move_right" => _ = self.step(command),
            "go_first" => self.at = 0,
            _ if self.turn(command, cx) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            self.failed = Some(error.clone());
        }
        if let Some(scene) = answer.take::<Scene>() {
            let host = self.host().map(|h| h.to_string());
            self.at = scene.nodes.iter().position(|n| Some(&n.host) == host.as_ref()).unwrap_or(0);
            (self.scene, self.failed, self.picture) = (Some(scene), None, None);
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions {
            self.load(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let entity = self.host().and_then(|h| Entity::of(field::SRC_IP, &Value::Addr(h)));
        Selection { entity, window: self.scene.as_ref().map(|s| s.window), ..Selection::default() }
    }
    fn lines(&self) -> Vec<String> {
        let line = |n: &crate::case::situation::Node| {
            let labels: Vec<&str> = n.labels.iter().map(|l| l.text.as_str()).collect();
            format!("{} {} {} {}", n.host, n.name, n.about, labels.join(" "))
        };
        self.scene.iter().flat_map(|s| &s.nodes).map(line).collect()
    }
    fn line(&self) -> usize {
        self.at
    }
    fn stand(&mut self, line: usize) {
        self.at = line.min(self.scene.as_ref().map_or(0, |s| s.nodes.len().saturating_sub(1)));
    }
    fn stays(&self) -> bool {
        true
    }
    fn status(&self) -> String {
        match &self.scene {
            None => "asking".into(),
            Some(s) if s.beyond > 0 => format!("{} hosts, {} more with less to say", s.nodes.len(), s.beyond),
            Some(s) => format!("{} hosts, {} lines", s.nodes.len(), s.edges.len()),
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        let why = match (&self.failed, &self.scene) {
            (Some(error), _) => text::clean(&error.what).into_owned(),
            (None, None) => format!("looking at alerts, findings and flows{}", view.glyphs.ellipsis),
            (None, Some(s)) if s.nodes.is_empty() => {
                "no host stands out in this window: no alert and no finding; the findings screen looks for them, window_earlier and zoom_out ask for more".into()
            }
            _ => String::new(),
        };
        if !why.is_empty() {
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &why, view.theme.style("ui.dim"));
            return;
        }
        let Some(scene) = &self.scene else { return };
        let letters = if view.glyphs.charset == Charset::Unicode { Letters::Unicode } else { Letters::Ascii };
        let picture = draw(scene, (usize::from(area.width), usize::from(area.height)), letters, Some(self.at));
        for (y, row) in picture.cells.iter().enumerate() {
            let mut x = 0;
            while x < row.len() {
                let role = row[x].1;
                let run = row[x..].iter().take_while(|c| c.1 == role).count();
                let part: String = row[x..x + run].iter().map(|c| c.0).collect();
                put(buf, area.x + x as u16, area.y + y as u16, run as u16, &part, view.theme.style(role));
                x += run;
            }
        }
        self.picture = Some(picture);
    }
}
