//! Follows a flow: what both sides said, in order, as text or hexadecimal. TCP is put in order by its sequence numbers; what was not
//! captured is shown as a gap of so many bytes, never closed up.

use super::{Handled, Pane};
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::model::hex::hex;
use crate::model::packet::PacketRef;
use crate::model::{Record, Time};
use crate::pivots::Selection;
use crate::tui::bytes;
use crate::tui::conversation::{Conversation, Turn};
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::{Zone, thousands};
use crate::tui::view::View;
use crate::tui::widgets::scroll::Scroll;
use ratatui::Frame;
use ratatui::layout::Rect;
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;

/// Packets that are read at once.
const PIECE: usize = 256;
/// Packets that are read; of more the first.
const MAX_PACKETS: usize = 200_000;

/// Which side is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Out,
    In,
}

/// A line on screen: the heading of a turn, or bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    turn: usize,
    range: Option<Range<usize>>,
}

/// What both sides of a flow said.
pub struct Stream {
    flow: Record,
    turns: Vec<Turn>,
    rows: Vec<Row>,
    /// Width, form and side that the rows were made for; and how many turns.
    made: Option<(u16, bool, Side, usize)>,
    hex: bool,
    side: Side,
    scroll: Scroll,
    done: bool,
    cut: bool,
    failed: Option<Error>,
    needle: String,
    hit: Option<(usize, Range<usize>)>,
}

/// Turns, in order; the first may go on the last one that was given.
struct Said(Vec<Turn>);
/// Not everything was read: there is too much of it.
struct Cut;
/// What was written to a file, in words.
struct Saved(String);

impl Stream {
    /// Follows a flow.
    pub fn new(flow: Record) -> Stream {
        Stream {
            flow,
            turns: Vec::new(),
            rows: Vec::new(),
            made: None,
            hex: false,
            side: Side::Both,
            scroll: Scroll::default(),
            done: false,
            cut: false,
            failed: None,
            needle: String::new(),
            hit: None,
        }
    }
    fn shows(&self, turn: &Turn) -> bool {
        match self.side {
            Side::Both => true,
            Side::Out => !turn.inbound,
            Side::In => turn.inbound,
        }
    }
    fn make_rows(&mut self, width: u16) {
        let wanted = (width, self.hex, self.side, self.turns.len());
        if self.made == Some(wanted) {
            return;
        }
        let place = self.rows.get(self.scroll.top).cloned();
        self.rows.clear();
        for n in 0..self.turns.len() {
            if !self.shows(&self.turns[n]) {
                continue;
            }
            self.rows.push(Row { turn: n, range: None });
            if self.turns[n].bytes.is_empty() {
                continue;
            }
            let bytes = &self.turns[n].bytes;
            let columns = usize::from(width.saturating_sub(3)).max(8);
            let ranges = if self.hex { split_every(bytes.len(), if width < 70 { 8 } else { 16 }) } else { lines(bytes, columns) };
            self.rows.extend(ranges.into_iter().map(|range| Row { turn: n, range: Some(range) }));
        }
        self.made = Some(wanted);
        // The same bytes stay at the top when the form changes.
        if let Some(place) = place {
            let start = place.range.map_or(0, |r| r.start);
            let after = |r: &Row| (r.turn, r.range.as_ref().map_or(0, |r| r.end)) >= (place.turn, start);
            self.scroll.top = self.rows.iter().position(after).unwrap_or(0);
            self.scroll.selected = self.scroll.top;
        }
    }
    /// Writes the bytes of the sides that are shown to a new file that only its owner can read; gaps are left out, and said.
    fn save(&self, cx: &mut Cx) {
        if cx.args.is_empty() {
            let (label, command) = ("save the bytes shown to".to_owned(), "stream_save".to_owned());
            return cx.push(Effect::Prompt { label, command, text: "side.bin".into() });
        }
        let path = crate::tui::files::path(cx.args);
        let shown: Vec<&Turn> = self.turns.iter().filter(|t| self.shows(t)).collect();
        let bytes: Vec<u8> = shown.iter().flat_map(|t| t.bytes.iter().copied()).collect();
        let missing: u64 = shown.iter().map(|t| t.gap).sum();
        let what = format!("{} of flow {}", self.title(), self.flow.id);
        cx.ask("save", move |work| {
            let failed = |e: std::io::Error| Error::io("cannot write", &path, &e);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
            let (shown, sha256) = (path.display().to_string(), hex(&Sha256::digest(&bytes)));
            work.keeper.append(What::Export { what: what.clone(), path: shown.clone(), sha256 })?;
            let gaps = if missing > 0 { format!("; {} bytes are missing in it", thousands(missing)) } else { String::new() };
            work.give(Saved(format!("{} bytes written to {shown}{gaps}", thousands(bytes.len() as u64))));
            Ok(())
        });
    }
    fn find(&mut self, forward: bool, cx: &mut Cx) {
        let needle = bytes::wanted(&self.needle);
        let here = match &self.hit {
            Some((turn, range)) => (*turn, range.start),
            None => self.rows.get(self.scroll.top).map_or((0, 0), |r| (r.turn, 0)),
        };
        let fresh = self.hit.is_none();
        let mut all = Vec::new();
        for (n, turn) in self.turns.iter().enumerate().filter(|(_, t)| self.shows(t)) {
            let mut from = 0;
            while let Some(at) = bytes::position(&turn.bytes, &needle, from) {
                all.push((n, at));
                from = at + needle.len().max(1);
                if all.len() > 100_000 {
                    break;
                }
            }
        }
        let next = if forward {
            all.iter().find(|at| **at > here || fresh && **at >= here).or(all.first())
        } else {
            all.iter().rev().find(|at| **at < here).or(all.last())
        };
        match next {
            Some((turn, at)) => {
                self.hit = Some((*turn, *at..*at + needle.len()));
                let holds = |r: &Row| r.turn == *turn && r.range.as_ref().is_some_and(|r| r.contains(at));
                if let Some(row) = self.rows.iter().position(holds) {
                    self.scroll.top = row.saturating_sub(2);
                    self.scroll.selected = self.scroll.top;
                }
                cx.say(format!("{} found", thousands(all.len() as u64)));
            }
            None => cx.say("nobody said that here"),
        }
    }
}

/// Ranges of lines: broken after line feeds and where a line is full. A character of several bytes may be broken: it is shown as bytes are.
fn lines(bytes: &[u8], columns: usize) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (n, byte) in bytes.iter().enumerate() {
        let wide = match byte {
            b'\n' | b'\r' => 0,
            0x20..=0x7e => 1,
            b'\t' => 2,
            0x80..=0xbf => 0,
            0xc0..=0xff => 2,
            _ => 4,
        };
        if used + wide > columns {
            out.push(start..n);
            (start, used) = (n, 0);
        }
        used += wide;
        if *byte == b'\n' {
            out.push(start..n + 1);
            (start, used) = (n + 1, 0);
        }
    }
    if start < bytes.len() {
        out.push(start..bytes.len());
    }
    out
}

fn split_every(len: usize, n: usize) -> Vec<Range<usize>> {
    (0..len).step_by(n).map(|at| at..len.min(at + n)).collect()
}

/// A line as text: line ends left out, the rest harmless.
fn as_text(bytes: &[u8]) -> String {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    text::clean(&String::from_utf8_lossy(line)).into_owned()
}

fn as_hex(bytes: &[u8], at: usize, per: usize) -> String {
    let mut out = format!("{at:06x}  ");
    for n in 0..per {
        out.push_str(&bytes.get(n).map_or("   ".into(), |b| format!("{b:02x} ")));
    }
    out.push(' ');
    out.extend(bytes.iter().map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '.' }));
    out
}

impl Pane for Stream {
    fn name(&self) -> &'static str {
        "stream"
    }
    fn title(&self) -> String {
        let form = if self.hex { "hex" } else { "text" };
        let side = match self.side {
            Side::Both => "both sides",
            Side::Out => "originator only",
            Side::In => "responder only",
        };
        format!("stream, {form}, {side}")
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("stream_form", "as text or as hexadecimal"),
            ("stream_side", "both sides, one side, the other"),
            ("stream_save", "write the bytes shown to a file"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        let flow = self.flow.clone();
        cx.ask("said", move |work| {
            let mut refs: Vec<PacketRef> = work.engine.packets(flow.id)?;
            let mut cut = refs.len() > MAX_PACKETS;
            refs.truncate(MAX_PACKETS);
            let mut conversation = Conversation::of(&flow);
            for part in refs.chunks(PIECE) {
                for packet in work.engine.packet_bytes(flow.id.evidence, part, &work.cancel)? {
                    conversation.add(&packet);
                }
                let said = conversation.take();
                if !said.is_empty() {
                    work.give(Said(said));
                }
                if conversation.full() {
                    cut = true;
                    break;
                }
            }
            conversation.finish();
            work.give(Said(conversation.take()));
            if cut {
                work.give(Cut);
            }
            Ok(())
        });
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "stream_form" => self.hex = !self.hex,
            "stream_side" => {
                self.side = match self.side {
                    Side::Both => Side::Out,
                    Side::Out => Side::In,
                    Side::In => Side::Both,
                }
            }
            "stream_save" => self.save(cx),
            "find" if !cx.args.is_empty() => {
                (self.needle, self.hit) = (cx.args.to_owned(), None);
                self.find(true, cx);
            }
            "find_next" if !self.needle.is_empty() => self.find(true, cx),
            "find_previous" if !self.needle.is_empty() => self.find(false, cx),
            _ if self.scroll.page(command, self.rows.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        let save = answer.slot == "save";
        match &answer.body {
            Body::Done if save => {}
            Body::Failed(error) if save => return Err(error.clone()),
            Body::Done => self.done = true,
            Body::Failed(error) => (self.done, self.failed) = (true, Some(error.clone())),
            Body::Piece(_) if answer.is::<Cut>() => self.cut = true,
            Body::Piece(_) if answer.is::<Saved>() => {
                if let Some(Saved(said)) = answer.take() {
                    cx.say(said);
                }
            }
            Body::Piece(_) => {
                if let Some(Said(turns)) = answer.take() {
                    self.turns.extend(turns);
                }
            }
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { record: Some(self.flow.clone()), ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        let turn = &self.turns[self.rows.get(self.scroll.top)?.turn];
        let text = String::from_utf8_lossy(&turn.bytes).replace("\r\n", "\n");
        Some(("what one side said".into(), text::clean_lines(&text).into_owned()))
    }
    fn status(&self) -> String {
        let bytes: usize = self.turns.iter().map(|t| t.bytes.len()).sum();
        let missing: u64 = self.turns.iter().map(|t| t.gap).sum();
        let again: u64 = self.turns.iter().map(|t| t.again).sum();
        let mut gaps = if missing > 0 { format!(" {} missing", thousands(missing)) } else { String::new() };
        if again > 0 {
            gaps.push_str(&format!(" {} sent again", thousands(again)));
        }
        let cut = if self.cut { " (the beginning; there is more)" } else { "" };
        format!("{} bytes{gaps}{cut}", thousands(bytes as u64))
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        self.make_rows(area.width);
        if self.rows.is_empty() {
            let why = match (&self.failed, self.done, self.turns.is_empty()) {
                (Some(error), ..) => text::clean_lines(&error.to_string()).into_owned(),
                (None, false, _) => format!("reading{}", view.glyphs.ellipsis),
                (None, true, true) => "nobody said anything: the packets of this flow carry no payload, or there are none".into(),
                (None, true, false) => "this side said nothing".into(),
            };
            for (n, line) in
                text::wrap(&why, usize::from(area.width.saturating_sub(2)), usize::from(area.height)).iter().enumerate()
            {
                put(buf, area.x + 1, area.y + n as u16, area.width.saturating_sub(2), line, theme.style("ui.dim"));
            }
            return;
        }
        let sight = self.scroll.sight_text(usize::from(area.height), self.rows.len());
        let top = sight.start;
        let per = if area.width < 70 { 8 } else { 16 };
        for (n, row) in self.rows.iter().enumerate().take(sight.end).skip(top) {
            let turn = &self.turns[row.turn];
            let y = area.y + (n - top) as u16;
            let (arrow, role) = if turn.inbound { (view.glyphs.left, "stream.in") } else { (view.glyphs.right, "stream.out") };
            let style = theme.style(role);
            let Some(range) = &row.range else {
                let line = heading(turn, &self.flow, view.zone);
                let style =
                    if turn.gap > 0 || turn.again > 0 { theme.style("stream.gap") } else { style.patch(theme.style("ui.dim")) };
                put(buf, area.x, y, 2, arrow, theme.style(role));
                put(buf, area.x + 2, y, area.width.saturating_sub(2), &line, style);
                continue;
            };
            let bytes = &turn.bytes[range.clone()];
            let shown = if self.hex { as_hex(bytes, range.start, per) } else { as_text(bytes) };
            put(buf, area.x + 2, y, area.width.saturating_sub(2), &shown, style);
            if let Some((_, hit)) =
                self.hit.as_ref().filter(|(t, h)| *t == row.turn && h.start < range.end && h.end > range.start)
            {
                let from = hit.start.max(range.start) - range.start;
                let to = hit.end.min(range.end) - range.start;
                let (x, wide) = if self.hex {
                    (8 + from * 3, (to - from) * 3 - 1)
                } else {
                    (text::width(&as_text(&bytes[..from])), text::width(&as_text(&bytes[from..to])))
                };
                let lit = Rect { x: area.x + 2 + x as u16, y, width: wide as u16, height: 1 }.intersection(area);
                buf.set_style(lit, theme.style("ui.found"));
            }
        }
    }
}

fn heading(turn: &Turn, flow: &Record, zone: Zone) -> String {
    let time: Time = if zone == Zone::Source { turn.time } else { turn.time.plus(flow.shift) };
    if turn.gap > 0 {
        return format!("{} bytes are missing here: not captured", thousands(turn.gap));
    }
    if turn.again > 0 {
        return format!("{} bytes were sent again here (packet {})", thousands(turn.again), turn.packet);
    }
    format!("{} packet {}, {} bytes", zone.format(time, "%H:%M:%S%.3f"), turn.packet, thousands(turn.bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_broken_into_lines_that_cover_them_all() {
        let bytes = b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n\x00\x01binary";
        for columns in [8, 20, 80] {
            let all = lines(bytes, columns);
            assert_eq!(all.iter().flat_map(|r| bytes[r.clone()].to_vec()).collect::<Vec<_>>(), bytes);
            assert!(all.iter().all(|r| text::width(&as_text(&bytes[r.clone()])) <= columns), "{columns}");
        }
        assert_eq!(as_text(&bytes[lines(bytes, 80)[0].clone()]), "GET / HTTP/1.1");
        assert_eq!(as_hex(b"MZ\x00", 16, 4), "000010  4d 5a 00     MZ.");
        assert_eq!(split_every(20, 16), [0..16, 16..20]);
    }
}
