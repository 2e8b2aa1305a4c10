//! The link inspector: what a record is linked with, how and how well; why the two are one thing, what the runner-up would be, how the clocks of
//! both were read. Links are accepted, rejected or pinned by hand, with a reason; the journal keeps who and when.

use super::{Change, Handled, Pane};
use crate::error::{Error, Result};
use crate::links::by_hand;
use crate::model::decision::What;
use crate::model::field::{self, Type};
use crate::model::{Record, RecordId, Window};
use crate::pivots::Selection;
use crate::query::engine::{Coverage, Link, Linked, Match, Why};
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{Line, fill, put};
use crate::tui::summary::summary;
use crate::tui::text;
use crate::tui::times::{Zone, short_span};
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const COLUMNS: [Column; 9] = [
    Column { title: "match", least: 8, wanted: 9, right: false, drop: 0 },
    Column { title: "method", least: 12, wanted: 12, right: false, drop: 0 },
    Column { title: "conf", least: 4, wanted: 4, right: true, drop: 5 },
    Column { title: "margin", least: 6, wanted: 6, right: true, drop: 7 },
    Column { title: "kind", least: 5, wanted: 6, right: false, drop: 6 },
    Column { title: "source", least: 8, wanted: 15, right: false, drop: 0 },
    Column { title: "start", least: 12, wanted: 12, right: false, drop: 0 },
    Column { title: "src -> dst", least: 22, wanted: 42, right: false, drop: 0 },
    Column { title: "what", least: 10, wanted: 30, right: false, drop: 3 },
];

/// Most records that are pinned at a time.
const PINS: usize = 64;
/// Cells of a label in the part below.
const LABEL: u16 = 10;
/// Around a record, what could have seen its connection is asked for so far.
const AROUND: i64 = 60 * crate::model::time::SECOND;

/// What a record is linked with.
pub struct Links {
    of: RecordId,
    record: Option<Record>,
    linked: Linked,
    coverage: Vec<Coverage>,
    loaded: bool,
    failed: Option<Error>,
    scroll: Scroll,
    /// Rows that were marked when it was opened: what can be pinned.
    marked: Vec<RecordId>,
    why: Option<(RecordId, Box<Why>)>,
    /// The part below, when one is in it.
    below: Option<Scroll>,
    lines: usize,
}

struct Loaded(Option<Record>, Linked, Vec<Coverage>);
struct Explained(RecordId, Option<Box<Why>>);

impl Links {
    /// The links of a record; `marked`: records that may be pinned to it.
    pub fn new(of: RecordId, marked: Vec<RecordId>) -> Links {
        Links {
            of,
            record: None,
            linked: Linked::default(),
            coverage: Vec::new(),
            loaded: false,
            failed: None,
            scroll: Scroll::default(),
            marked: marked.into_iter().filter(|id| *id != of).collect(),
            why: None,
            below: None,
            lines: 0,
        }
    }
    /// The links of a record by its id text.
    pub fn again(id: &str) -> Option<Links> {
        id.parse().ok().map(|id| Links::new(id, Vec::new()))
    }
    fn load(&self, cx: &mut Cx) {
        let of = self.of;
        cx.ask("links", move |work| {
            let record = work.engine.record(of)?;
            let linked = record.as_ref().map(|r| work.engine.linked(r, &work.cancel)).transpose()?.unwrap_or_default();
            let around = record.as_ref().map(|r| Window::new(r.time().plus(-AROUND), r.until().plus(AROUND)));
            let coverage = around.filter(|_| linked.links.is_empty()).map(|w| work.engine.coverage(&w)).unwrap_or_default();
            work.give(Loaded(record, linked, coverage));
            Ok(())
        });
    }
    fn explain(&self, cx: &mut Cx) {
        let (Some(record), Some(link)) = (self.record.clone(), self.link()) else { return };
        let other = link.record.id;
        if self.why.as_ref().is_some_and(|(id, _)| *id == other) {
            return;
        }
        cx.ask("why", move |work| {
            let why = work.engine.why(&record, other, &work.cancel)?;
            work.give(Explained(other, why.map(Box::new)));
            Ok(())
        });
    }
    fn all(&self) -> impl Iterator<Item = &Link> {
        self.linked.links.iter().chain(&self.linked.rejected)
    }
    fn len(&self) -> usize {
        self.linked.links.len() + self.linked.rejected.len()
    }
    fn link(&self) -> Option<&Link> {
        self.all().nth(self.scroll.selected)
    }
    fn step(&self, label: String, query: String) -> Step {
        let mut step = Step::to(Focus::Case, "all", None);
        (step.label, step.query) = (label, query);
        step
    }
    /// Goes to the other record.
    fn go(&self, cx: &mut Cx) {
        let Some(other) = self.link().map(|l| &l.record) else { return };
        let label = format!("linked {} {}", other.kind, cx.zone.clock(other.time()));
        let mut step = self.step(label, by_id(other.id));
        step.row = Some(crate::tui::go::cursor(other));
        cx.push(Effect::Go(Box::new(step)));
    }
    /// Goes to all of them as rows.
    fn as_rows(&self, cx: &mut Cx) {
        let Some(record) = &self.record else { return };
        let query = match record.value(field::COMMUNITY_ID) {
            Some(id) => crate::query::condition(field::COMMUNITY_ID, &id),
            None => by_id(record.id),
        };
        let mut step = self.step(format!("linked with {} {}", record.kind, cx.zone.clock(record.time())), query);
        step.links = Some(record.id);
        cx.push(Effect::Go(Box::new(step)));
    }
    /// `link_accept`, `link_reject`: without a reason asks for one; what was asked about stands before what is typed.
    fn judge(&self, command: &str, cx: &mut Cx) -> Result<()> {
        let accepted = command == "link_accept";
        let (first, rest) = cx.args.split_once(char::is_whitespace).unwrap_or((cx.args, ""));
        let (other, reason) = match first.parse::<RecordId>() {
            Ok(id) => (Some(id), rest.trim()),
            Err(()) => (self.link().map(|l| l.record.id), cx.args),
        };
        let Some(other) = other else { return Err(Error::user("there is no link to judge")) };
        if reason.is_empty() {
            let label = if accepted { "why are these two one thing" } else { "why are these two not one thing" };
            cx.push(Effect::Prompt { label: label.into(), command: format!("{command} {other}"), text: String::new() });
            return Ok(());
        }
        cx.push(Effect::Append(by_hand::judged(self.of, other, accepted, reason)));
        let said = if accepted { "accepted: it holds whatever joins them" } else { "rejected: they are linked no more" };
        cx.say(format!("{said}; the journal keeps who, when and why"));
        Ok(())
    }
    fn forget(&self, cx: &mut Cx) -> Result<()> {
        let word = self.link().and_then(|l| l.hand.as_ref());
        let Some(word) = word else { return Err(Error::user("nobody said anything of this link")) };
        cx.push(Effect::Append(What::Remove { id: word.decision }));
        cx.say("taken back");
        Ok(())
    }
    /// `link_pin REASON`: the rows that were marked in a list.
    fn pin(&self, cx: &mut Cx) -> Result<()> {
        let n = self.marked.len();
        if n == 0 || n > PINS {
            let what = if n == 0 {
                "no other row is marked".to_owned()
            } else {
                format!("{n} rows are marked, at most {PINS} are pinned")
            };
            return Err(
                Error::user(what).hint("mark the rows that belong to a record in any list, stand on the record, open its links")
            );
        }
        if cx.args.is_empty() {
            let rows = if n == 1 { "the marked row".to_owned() } else { format!("the {n} marked rows") };
            let label = format!("why is {rows} one thing with this record");
            cx.push(Effect::Prompt { label, command: "link_pin".into(), text: String::new() });
            return Ok(());
        }
        for other in &self.marked {
            cx.push(Effect::Append(by_hand::judged(self.of, *other, true, cx.args)));
        }
        cx.say(format!("pinned: {n}; the journal keeps who, when and why"));
        Ok(())
    }
    /// The lines below: label, text, style.
    fn explanation(&self, view: &View) -> Vec<(&'static str, String, &'static str)> {
        let Some(link) = self.link() else { return Vec::new() };
        let Some((_, why)) = self.why.as_ref().filter(|(id, _)| *id == link.record.id) else {
            return vec![("", format!("looking{}", view.glyphs.ellipsis), "ui.dim")];
        };
        let mut out = Vec::new();
        for (n, reason) in why.reasons.iter().enumerate() {
            out.push((if n == 0 { "why" } else { "" }, reason.clone(), "ui.text"));
        }
        if let Some(allowed) = why.allowed {
            out.push(("time", format!("{} apart, {} allowed", short_span(why.apart), short_span(allowed)), "ui.text"));
        }
        for (n, clock) in why.clocks.iter().enumerate() {
            out.push((if n == 0 { "clocks" } else { "" }, clock.in_words(), "ui.text"));
        }
        for (id, here, there) in &why.stated {
            let ty = field::get(*id).map_or(Type::Text, |f| f.ty);
            let (name, here, there) = (field::name(*id), here.show(ty), there.show(ty));
            if here == there {
                out.push(("agree", format!("{name} {here}"), "match.exact"));
            } else {
                out.push(("differ", format!("{name} {here} here, {there} there"), "match.unsure"));
            }
        }
        if !why.runner_words.is_empty() {
            out.push(("runner-up", why.runner_words.clone(), "ui.text"));
        }
        if let Some(next) = &why.runner_up {
            out.push(("", self.line_of(next, view), "ui.dim"));
        }
        for (n, id) in link.via.iter().flat_map(|v| &v.evidence).take(8).enumerate() {
            let at = format!("{} : {}", view.engine.evidence_path(id.evidence), id.offset);
            out.push((if n == 0 { "proof" } else { "" }, at, "ui.dim"));
        }
        out
    }
    /// A record in a line.
    fn line_of(&self, record: &Record, view: &View) -> String {
        let source = view.engine.source_name(record.source);
        let words = summary(record, view.glyphs.right);
        format!("{} {} {} {} {words}", record.kind, source, view.zone.day_clock(record.time()), ends(record, view.glyphs.right))
    }
    /// Why there is nothing to see.
    fn nothing(&self, view: &View) -> Vec<String> {
        if let Some(error) = &self.failed {
            return vec![error.what.clone()];
        }
        if !self.loaded {
            return vec![format!("reading{}", view.glyphs.ellipsis)];
        }
        let Some(record) = &self.record else { return vec!["the record is no longer in the case".into()] };
        let mut out = vec!["no other record of its connection is in the case".to_owned()];
        if field_less(record) {
            out.push(
                "it does not name both ends with their ports, so that nothing can be joined with it by its connection".into(),
            );
        }
        let own = record.source;
        let there = |c: &&Coverage| c.source != own && c.covers.is_some();
        let others: Vec<&str> = self.coverage.iter().filter(there).map(|c| c.name.as_str()).collect();
        out.push(match others.as_slice() {
            [] => "no other source covers this time: another capture or log of it would have to be imported".into(),
            names => format!("covered at this time, without a record of it: {}", names.join(", ")),
        });
        let keys = (view.keymap.key_in("global", "mark_row"), view.keymap.key_in("global", "links"));
        out.push(format!("what belongs to it all the same is pinned by hand: {} on that row, then {} here", keys.0, keys.1));
        out
    }
}

fn by_id(id: RecordId) -> String {
    format!("id = {}", crate::query::quote(&id.to_string()))
}

fn field_less(record: &Record) -> bool {
    [field::SRC_IP, field::DST_IP, field::SRC_PORT, field::DST_PORT].iter().any(|f| record.get(*f).is_none())
}

fn ends(record: &Record, arrow: &str) -> String {
    let end = |ip, port| {
        let ip = record.addr(ip).map(|ip| ip.to_string())?;
        Some(match record.uint(port) {
            Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
            Some(port) => format!("{ip}:{port}"),
            None => ip,
        })
    };
    match (end(field::SRC_IP, field::SRC_PORT), end(field::DST_IP, field::DST_PORT)) {
        (Some(src), Some(dst)) => format!("{src} {arrow} {dst}"),
        (src, dst) => src.or(dst).unwrap_or_default(),
    }
}

impl Pane for Links {
    fn name(&self) -> &'static str {
        "links"
    }
    fn title(&self) -> String {
        match &self.record {
            Some(record) => format!("links of {}", record.kind),
            None => "links".into(),
        }
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "the other record"),
            ("link_accept", "these two are one thing"),
            ("link_reject", "they are not"),
            ("link_pin", "pin the marked rows"),
            ("link_forget", "take back what was said"),
            ("links", "as rows"),
            ("undo", "undo"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            "links" => self.as_rows(cx),
            "link_accept" | "link_reject" => self.judge(command, cx)?,
            "link_pin" => self.pin(cx)?,
            "link_forget" => self.forget(cx)?,
            "next_pane" | "previous_pane" => self.below = if self.below.is_some() { None } else { Some(Scroll::default()) },
            _ => {
                let ours = match &mut self.below {
                    Some(below) => below.page(command, self.lines),
                    None => self.scroll.run(command, self.linked.links.len() + self.linked.rejected.len()),
                };
                self.explain(cx);
                return Ok(if ours { Handled::Yes } else { Handled::No });
            }
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            self.failed = Some(error.clone());
        } else if answer.is::<Explained>() {
            if let Some(Explained(id, why)) = answer.take() {
                self.why = Some((id, why.unwrap_or_default()));
            }
        } else if let Some(Loaded(record, linked, coverage)) = answer.take() {
            let at = self.link().map(|l| l.record.id);
            (self.record, self.linked, self.coverage) = (record, linked, coverage);
            (self.loaded, self.failed, self.why) = (true, None, None);
            let at = self.all().position(|l| Some(l.record.id) == at).unwrap_or(self.scroll.selected);
            self.scroll.select(at, self.len());
            self.explain(cx);
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
        Selection { record: self.link().map(|l| l.record.clone()), ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.link().map(|l| ("id".into(), l.record.id.to_string()))
    }
    fn lines(&self) -> Vec<String> {
        self.all()
            .map(|l| format!("{} {} {} {}", l.method, l.record.kind, ends(&l.record, "-"), summary(&l.record, "-")))
            .collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.len());
    }
    fn status(&self) -> String {
        let (links, rejected) = (self.linked.links.len(), self.linked.rejected.len());
        let out = if rejected > 0 { format!(", {rejected} rejected") } else { String::new() };
        format!("{links} {}{out}", if links == 1 { "link" } else { "links" })
    }
    fn stays(&self) -> bool {
        true
    }
    fn kept(&self) -> Option<String> {
        Some(self.of.to_string())
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        if let Some(record) = &self.record {
            let line = text::clean(&self.line_of(record, view)).into_owned();
            put(buf, area.x + 1, area.y, area.width.saturating_sub(2), &line, view.theme.style("ui.title"));
        }
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.len() == 0 {
            let wide = usize::from(body.width.saturating_sub(2));
            let lines = self.nothing(view).into_iter().flat_map(|l| text::wrap(&text::clean(&l), wide, 6));
            for (line, y) in lines.zip(body.y + 1..body.bottom()) {
                put(buf, body.x + 1, y, body.width.saturating_sub(2), &line, view.theme.style("ui.dim"));
            }
            return;
        }
        let list_height = (self.len() as u16).saturating_add(1).min(body.height * 2 / 5).max(3).min(body.height);
        self.draw_list(buf, Rect { height: list_height, ..body }, view);
        self.draw_below(buf, Rect { y: body.y + list_height, height: body.height - list_height, ..body }, view);
    }
}

impl Links {
    fn draw_list(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        let mut scroll = self.scroll;
        let arrow = view.glyphs.right;
        let day = view.zone != Zone::Source;
        let mut row = |n: usize| {
            let Some(link) = self.all().nth(n) else { return Vec::new() };
            let record = &link.record;
            let gone = link.hand.as_ref().is_some_and(|w| !w.accepted);
            let role = match link.quality {
                _ if gone => "ui.dim",
                Match::Exact | Match::ByHand => "match.exact",
                _ => "match.unsure",
            };
            let mark = if gone { "rejected".to_owned() } else { link.quality.to_string() };
            let (sure, margin) = link.via.as_ref().map_or_else(Default::default, |v| {
                (format!("{:.2}", v.confidence), v.margin.map_or_else(String::new, |m| format!("{m:.1}")))
            });
            let body = if gone { "ui.dim" } else { "ui.text" };
            let at = if day { record.time() } else { record.start };
            vec![
                (mark, role),
                (if gone { String::new() } else { link.method.to_string() }, body),
                (sure, body),
                (margin, body),
                (record.kind.name().into(), body),
                (text::clean(&view.engine.source_name(record.source)).into_owned(), body),
                (view.zone.clock(at), "ui.time"),
                (ends(record, arrow), body),
                (text::clean(&summary(record, arrow)).into_owned(), body),
            ]
        };
        table::draw(buf, area, &COLUMNS, &mut scroll, self.len(), view, view.focused && self.below.is_none(), &mut row);
        self.scroll = scroll;
    }
    fn draw_below(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        if area.height < 2 {
            return;
        }
        let border = if self.below.is_some() { "ui.border.focused" } else { "ui.border" };
        put(buf, area.x, area.y, area.width, &view.glyphs.horizontal.repeat(usize::from(area.width)), view.theme.style(border));
        put(buf, area.x + 2, area.y, area.width.saturating_sub(4), " why these two ", view.theme.style("ui.title"));
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let wide = usize::from(body.width.saturating_sub(LABEL + 3)).max(10);
        let mut lines: Vec<(&'static str, String, &'static str)> = Vec::new();
        for (label, said, role) in self.explanation(view) {
            for (n, line) in text::wrap(&text::clean(&view.glyphs.put(&said)), wide, 8).into_iter().enumerate() {
                lines.push((if n == 0 { label } else { "" }, line, role));
            }
        }
        self.lines = lines.len();
        let mut scroll = self.below.unwrap_or_default();
        let sight = scroll.sight_text(usize::from(body.height), lines.len());
        let hidden = lines.len() - sight.end;
        for (n, (label, said, role)) in lines[sight].iter().enumerate() {
            let y = body.y + n as u16;
            put(buf, body.x + 1, y, LABEL, label, view.theme.style("ui.dim"));
            put(buf, body.x + LABEL + 2, y, wide as u16, said, view.theme.style(role));
        }
        if hidden > 0 {
            let key = view.keymap.key_in("global", "next_pane");
            let mut line = Line::new(buf, Rect { y: area.y, height: 1, ..area }, 0);
            line.skip(20);
            line.add(&format!(" {hidden} more lines: {key} "), view.theme.style("ui.dim"));
        }
        self.below = self.below.map(|_| scroll);
    }
}
