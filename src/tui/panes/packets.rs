//! The packets of one flow: their list, the layers of the one under the cursor with their fields, its bytes with the selected part lit.
//! Read from the evidence where it lies, only those in sight. Knows no protocol: layers come from `protocols::layers::dissect`.

use super::stream::Stream;
use super::{Handled, Pane, open};
use crate::error::{Error, Result};
use crate::model::packet::PacketRef;
use crate::model::{Entity, Record, Time};
use crate::pivots::Selection;
use crate::protocols::layers::{Layer, dissect};
use crate::query::engine::PacketBytes;
use crate::tui::bytes;
use crate::tui::effect::Cx;
use crate::tui::jobs::{Answer, Body};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::widgets::hex;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::Column;
use crate::tui::widgets::tree::{Line, Tree};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::ops::Range;

mod draw;

/// Packets whose bytes are kept.
const KEPT: usize = 4_096;
/// Packets that are read around the cursor.
const AROUND: usize = 80;
/// Packets that are read at once when one searches.
const PIECE: usize = 512;

const COLUMNS: [Column; 5] = [
    Column { title: "no", least: 6, wanted: 8, right: true, drop: 0 },
    Column { title: "time", least: 12, wanted: 15, right: false, drop: 0 },
    Column { title: " ", least: 1, wanted: 1, right: false, drop: 0 },
    Column { title: "bytes", least: 5, wanted: 6, right: true, drop: 5 },
    Column { title: "layers", least: 10, wanted: 40, right: false, drop: 0 },
];

/// A part of the pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    List,
    Layers,
    Hex,
}

/// What a line of the layers stands for.
#[derive(Debug, Clone, Default)]
struct Place {
    range: Range<usize>,
    name: String,
    value: String,
}

/// References of the flow's packets, as a job gives them.
struct Listed(Vec<PacketRef>);
/// Bytes of packets, by their place in the list.
struct Read(Vec<(usize, PacketBytes)>);
/// Places in the list of packets that hold what was searched.
struct Found(Vec<usize>);

/// The packets of a flow.
pub struct Packets {
    flow: Record,
    wanted: Option<u64>,
    near: Option<Time>,
    refs: Vec<PacketRef>,
    bytes: BTreeMap<usize, PacketBytes>,
    summaries: BTreeMap<usize, String>,
    listed: bool,
    failed: Option<Error>,
    scroll: Scroll,
    part: Part,
    zoomed: bool,
    tree: Tree<Place>,
    shown: Option<usize>,
    top: usize,
    hex_height: usize,
    hex_width: u16,
    needle: String,
    found: Vec<usize>,
    note: String,
}

impl Packets {
    /// The packets of a flow; `packet` is the number within the capture at which to stand (an alert's `pcap_cnt`).
    pub fn new(flow: Record, packet: Option<u64>) -> Packets {
        Packets {
            flow,
            wanted: packet,
            near: None,
            refs: Vec::new(),
            bytes: BTreeMap::new(),
            summaries: BTreeMap::new(),
            listed: false,
            failed: None,
            scroll: Scroll::default(),
            part: Part::List,
            zoomed: false,
            tree: Tree::default(),
            shown: None,
            top: 0,
            hex_height: 0,
            hex_width: 76,
            needle: String::new(),
            found: Vec::new(),
            note: String::new(),
        }
    }
    /// The same, standing at the packet nearest to a time if no number is known (an alert without `pcap_cnt`).
    pub fn near(mut self, time: Time) -> Packets {
        self.near = Some(time);
        self
    }
    /// Number within its capture of the packet under the cursor.
    pub fn number(&self) -> Option<u64> {
        self.refs.get(self.scroll.selected).map(|r| r.number)
    }

    fn stand(&mut self) {
        let exact = self.wanted.and_then(|n| self.refs.iter().position(|r| r.number == n));
        let near = |t: Time| (0..self.refs.len()).min_by_key(|i| self.refs[*i].time.since(t).unsigned_abs());
        let at = exact.or_else(|| self.near.and_then(near));
        if self.wanted.is_some() && exact.is_none() && !self.refs.is_empty() {
            self.note = "the alert's packet number is not of this flow; nearest shown".into();
        } else if exact.is_none() && self.near.is_some() {
            self.note = "no packet number in the alert; nearest in time shown".into();
        }
        self.scroll.select(at.unwrap_or(0), self.refs.len());
    }
    fn fetch(&mut self, cx: &mut Cx) {
        let at = self.scroll.selected;
        let wanted = at.saturating_sub(AROUND)..self.refs.len().min(at + AROUND);
        let near = at.saturating_sub(AROUND / 4)..self.refs.len().min(at + AROUND / 2);
        if near.clone().all(|n| self.bytes.contains_key(&n)) {
            return;
        }
        if self.bytes.len() > KEPT {
            self.bytes.retain(|n, _| near.contains(n));
        }
        let missing: Vec<(usize, PacketRef)> =
            wanted.filter(|n| !self.bytes.contains_key(n)).map(|n| (n, self.refs[n])).collect();
        let evidence = self.flow.id.evidence;
        cx.ask("bytes", move |work| {
            let refs: Vec<PacketRef> = missing.iter().map(|(_, r)| *r).collect();
            let read = work.engine.packet_bytes(evidence, &refs, &work.cancel)?;
            // What was read names its reference: a damaged capture may give fewer.
            let mut places = missing.into_iter();
            let mut out = Vec::new();
            for packet in read {
                if let Some((n, _)) = places.by_ref().find(|(_, r)| r.offset == packet.at.offset) {
                    out.push((n, packet));
                }
            }
            work.give(Read(out));
            Ok(())
        });
    }
    fn show_layers(&mut self) {
        let at = self.scroll.selected;
        if self.shown == Some(at) {
            return;
        }
        let Some(packet) = self.bytes.get(&at) else {
            (self.tree, self.shown) = (Tree::default(), None);
            return;
        };
        let before = self.tree.selected().map(|l| (l.depth, l.value.name.clone()));
        let layers = dissect(packet.link, &packet.data);
        let inner = layers.iter().rposition(|l| !l.fields.is_empty()).unwrap_or(0);
        let mut lines = Vec::new();
        let mut inner_line = 0;
        for (n, layer) in layers.into_iter().enumerate() {
            if n == inner {
                inner_line = lines.len();
            }
            push_layer(&mut lines, layer);
        }
        let inner_start = lines.get(inner_line).map(|l| l.value.range.clone());
        self.tree = Tree::new(lines, |l| l.depth == 0 && Some(&l.value.range) != inner_start.as_ref());
        match before {
            Some((depth, name)) if self.tree.lines().iter().any(|l| l.depth == depth && l.value.name == name) => {
                self.tree.select(|l| l.depth == depth && l.value.name == name);
            }
            _ => self.tree.select(|l| l.depth == 0 && Some(&l.value.range) == inner_start.as_ref()),
        }
        self.shown = Some(at);
        self.top = 0;
    }
    fn lit(&self) -> Range<usize> {
        self.tree.selected().map_or(0..0, |l| l.value.range.clone())
    }
    fn summary(&mut self, at: usize) -> String {
        if let Some(known) = self.summaries.get(&at) {
            return known.clone();
        }
        let Some(packet) = self.bytes.get(&at) else { return "…".into() };
        let line = summary(&dissect(packet.link, &packet.data));
        if self.summaries.len() > KEPT * 4 {
            self.summaries.clear();
        }
        self.summaries.insert(at, line.clone());
        line
    }
    fn find(&mut self, cx: &mut Cx) {
        self.needle = cx.args.to_owned();
        let refs = self.refs.clone();
        let evidence = self.flow.id.evidence;
        let needle = bytes::wanted(&self.needle);
        cx.ask("find", move |work| {
            for (n, part) in refs.chunks(PIECE).enumerate() {
                let read = work.engine.packet_bytes(evidence, part, &work.cancel)?;
                let holds = |p: &PacketBytes| bytes::position(&p.data, &needle, 0).is_some();
                let offsets: Vec<u64> = read.iter().filter(|p| holds(p)).map(|p| p.at.offset).collect();
                let at = |(i, r): (usize, &PacketRef)| offsets.contains(&r.offset).then_some(n * PIECE + i);
                work.give(Found(part.iter().enumerate().filter_map(at).collect()));
            }
            Ok(())
        });
        self.found.clear();
    }
    fn found_next(&mut self, forward: bool, cx: &mut Cx) {
        let at = self.scroll.selected;
        let next = if forward {
            self.found.iter().find(|n| **n > at).or(self.found.first())
        } else {
            self.found.iter().rev().find(|n| **n < at).or(self.found.last())
        };
        match next.copied() {
            Some(n) => {
                self.scroll.select(n, self.refs.len());
                self.moved(cx);
            }
            None => cx.say("no packet holds that"),
        }
    }
    fn moved(&mut self, cx: &mut Cx) {
        self.fetch(cx);
        self.show_layers();
    }
    /// First row of bytes after a command that scrolls them; the last screenful is the end.
    fn hex_top(&self, command: &str) -> Option<usize> {
        let rows = self.bytes.get(&self.scroll.selected).map_or(0, |p| hex::rows(p.data.len(), self.hex_width));
        let last = rows.saturating_sub(self.hex_height.max(1));
        let page = self.hex_height.saturating_sub(1).max(1);
        let top = match command {
            "move_up" => self.top.saturating_sub(1),
            "move_down" => self.top + 1,
            "page_up" => self.top.saturating_sub(page),
            "page_down" => self.top + page,
            "go_first" => 0,
            "go_last" => last,
            _ => return None,
        };
        Some(top.min(last))
    }
    fn turn(&mut self, forward: bool) {
        let parts = [Part::List, Part::Layers, Part::Hex];
        let at = parts.iter().position(|p| *p == self.part).unwrap_or(0);
        self.part = parts[(at + if forward { 1 } else { 2 }) % 3];
    }
}

fn push_layer(lines: &mut Vec<Line<Place>>, layer: Layer) {
    let role = if layer.name == "Malformed" { "ui.warning" } else { "ui.title" };
    let place = Place { range: layer.range, name: layer.name.to_owned(), value: layer.summary.clone() };
    lines.push(Line { depth: 0, text: layer.name.to_owned(), doc: layer.summary, role, value: place });
    for (name, value, range) in layer.fields {
        let shown = format!("{name}: {value}");
        lines.push(Line { depth: 1, text: shown, doc: String::new(), role: "ui.text", value: Place { range, name, value } });
    }
}

/// One line for a packet: its innermost layer that is understood, and how much it carries.
fn summary(layers: &[Layer]) -> String {
    let inner = layers.iter().rev().find(|l| !l.fields.is_empty() && l.name != "Malformed").or(layers.last());
    // TCP says itself how much it carries.
    let carried = layers
        .last()
        .filter(|l| l.fields.is_empty() && l.range.len() > 1 && inner.is_none_or(|i| i.name != "TCP"))
        .map(|l| format!(" +{} bytes", l.range.len()));
    let odd = if layers.iter().any(|l| l.name == "Malformed") { " malformed" } else { "" };
    inner.map_or_else(String::new, |l| {
        text::clean(&format!("{} {}{}{odd}", l.name, l.summary, carried.unwrap_or_default())).into_owned()
    })
}

impl Pane for Packets {
    fn name(&self) -> &'static str {
        "packets"
    }
    fn title(&self) -> String {
        format!("packets {}", thousands(self.refs.len() as u64))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("follow_stream", "follow both directions of this flow")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        let id = self.flow.id;
        cx.ask("list", move |work| {
            work.give(Listed(work.engine.packets(id)?));
            Ok(())
        });
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "next_pane" => self.turn(true),
            "previous_pane" => self.turn(false),
            "zoom_pane" => self.zoomed = !self.zoomed,
            "follow_stream" => cx.push(open(Stream::new(self.flow.clone()))),
            "find" if !cx.args.is_empty() => self.find(cx),
            "find_next" if !self.needle.is_empty() => self.found_next(true, cx),
            "find_previous" if !self.needle.is_empty() => self.found_next(false, cx),
            "drill" if self.part != Part::Hex => self.turn(true),
            "back" if self.part != Part::List => self.turn(false),
            _ => {
                let len = self.refs.len();
                let ours = match self.part {
                    Part::List => self.scroll.run(command, len),
                    Part::Layers => self.tree.run(command),
                    Part::Hex => match command {
                        "move_left" | "move_right" => self.tree.run(if command == "move_left" { "move_up" } else { "move_down" }),
                        _ => {
                            let Some(top) = self.hex_top(command) else { return Ok(Handled::No) };
                            self.top = top;
                            true
                        }
                    },
                };
                if !ours {
                    return Ok(Handled::No);
                }
                if self.part == Part::List {
                    self.moved(cx);
                }
            }
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            self.failed = Some(error.clone());
            self.listed = true;
        } else if answer.is::<Listed>() {
            if let Some(Listed(refs)) = answer.take() {
                (self.refs, self.listed) = (refs, true);
                self.stand();
                self.fetch(cx);
            }
        } else if answer.is::<Read>() {
            if let Some(Read(read)) = answer.take() {
                self.bytes.extend(read);
                self.show_layers();
            }
        } else if answer.is::<Found>() {
            if let Some(Found(found)) = answer.take() {
                let first = self.found.is_empty() && !found.is_empty();
                self.found.extend(found);
                if first {
                    let at = self.scroll.selected;
                    let next = self.found.iter().copied().find(|n| *n >= at).unwrap_or(self.found[0]);
                    self.scroll.select(next, self.refs.len());
                    self.moved(cx);
                }
            }
        } else if answer.slot == "find" && self.found.is_empty() {
            cx.say("no packet holds that");
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        let value = self.tree.selected().filter(|_| self.part != Part::List).map(|l| l.value.value.clone());
        Selection { record: Some(self.flow.clone()), entity: value.and_then(|v| Entity::recognise(&v)), window: None }
    }
    fn copied(&self) -> Option<(String, String)> {
        match self.part {
            Part::List => Some(("packet".into(), self.summaries.get(&self.scroll.selected)?.clone())),
            Part::Layers => self.tree.selected().map(|l| (l.value.name.clone(), l.value.value.clone())),
            Part::Hex => {
                let data = &self.bytes.get(&self.scroll.selected)?.data;
                let lit = Some(self.lit()).filter(|r| !r.is_empty()).unwrap_or(0..data.len());
                let hex: String = data.get(lit)?.iter().map(|b| format!("{b:02x}")).collect();
                Some(("bytes".into(), hex))
            }
        }
    }
    fn status(&self) -> String {
        let found = if self.found.is_empty() { String::new() } else { format!(" {} found", self.found.len()) };
        format!("{}{found}", self.scroll.place(self.refs.len()))
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        self.paint(frame.buffer_mut(), area, view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_summed_up_by_its_innermost_layer() {
        let layer = |name, summary: &str, range, fields: usize| Layer {
            name,
            range,
            summary: summary.into(),
            fields: vec![("f".into(), "v".into(), 0..1); fields],
        };
        let layers = [layer("IPv4", "a > b", 0..20, 2), layer("ESP", "spi 7", 20..40, 3), layer("Payload", "9 bytes", 40..49, 0)];
        assert_eq!(summary(&layers), "ESP spi 7 +9 bytes");
        assert_eq!(summary(&layers[..2]), "ESP spi 7");
        let layers = [layer("TCP", "1 > 2 [PSH] 9 bytes", 20..40, 3), layer("Payload", "9 bytes", 40..49, 0)];
        assert_eq!(summary(&layers), "TCP 1 > 2 [PSH] 9 bytes");
        assert_eq!(summary(&[]), "");
    }
}
