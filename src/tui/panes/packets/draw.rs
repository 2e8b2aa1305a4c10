//! Drawing the packets: head line, list, layers, bytes; and, where there are none, why.

use super::{COLUMNS, Packets, Part};
use crate::model::field;
use crate::tui::paint::{Line as PaintLine, fill, put};
use crate::tui::text;
use crate::tui::times::{Zone, thousands};
use crate::tui::view::View;
use crate::tui::widgets::{hex, table};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

impl Packets {
    pub(super) fn paint(&mut self, buf: &mut Buffer, area: Rect, view: &View) {
        fill(buf, area, view.theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        let head = Rect { height: 1, ..area };
        self.draw_head(&mut PaintLine::new(buf, head, 0), view);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.refs.is_empty() {
            let why = self.why(view);
            let wide = usize::from(body.width.saturating_sub(2));
            for (n, line) in text::wrap(&why, wide, usize::from(body.height.saturating_sub(1))).iter().enumerate() {
                put(buf, body.x + 1, body.y + 1 + n as u16, body.width.saturating_sub(2), line, view.theme.style("ui.dim"));
            }
            return;
        }
        let (list, layers, below) = self.places(body);
        if list.height > 0 {
            let zone = view.zone;
            let (len, mut scroll) = (self.refs.len(), self.scroll);
            let focused = view.focused && self.part == Part::List;
            let mut row = |at: usize| {
                let line = self.summary(at);
                let r = self.refs[at];
                let at_time = if zone == Zone::Source { r.time } else { r.time.plus(self.flow.shift) };
                let (arrow, role) = if r.inbound { (view.glyphs.left, "stream.in") } else { (view.glyphs.right, "stream.out") };
                let size = self.bytes.get(&at).map(|p| thousands(u64::from(p.wire_len))).unwrap_or_default();
                let found = if self.found.binary_search(&at).is_ok() { "ui.found" } else { "ui.text" };
                vec![
                    (r.number.to_string(), "ui.dim"),
                    (zone.format(at_time, "%H:%M:%S%.6f"), "ui.time"),
                    (arrow.to_owned(), role),
                    (size, "ui.text"),
                    (line, found),
                ]
            };
            table::draw(buf, list, &COLUMNS, &mut scroll, len, view, focused, &mut row);
            self.scroll = scroll;
        }
        self.tree.draw(buf, layers, view.theme, view.glyphs, view.focused && self.part == Part::Layers);
        (self.hex_height, self.hex_width) = (usize::from(below.height), below.width);
        if let Some(packet) = self.bytes.get(&self.scroll.selected) {
            let lit = self.lit();
            if self.part != Part::Hex {
                self.top = hex::follow(self.top, self.hex_height, &lit, below.width);
            }
            self.top = self.top.min(hex::rows(packet.data.len(), below.width).saturating_sub(1));
            hex::draw(buf, below, &packet.data, &lit, self.top, view.theme);
        }
    }
    fn draw_head(&self, line: &mut PaintLine, view: &View) {
        let theme = view.theme;
        let side = |ip, port| {
            let ip = self.flow.addr(ip).map_or_else(|| "?".into(), |a| a.to_string());
            self.flow.uint(port).map_or(ip.clone(), |p| format!("{ip} {p}"))
        };
        line.add(&side(field::SRC_IP, field::SRC_PORT), theme.style("stream.out"));
        line.add(&format!(" {} ", view.glyphs.right), theme.style("ui.dim"));
        line.add(&side(field::DST_IP, field::DST_PORT), theme.style("stream.in"));
        let note = match (&self.failed, self.note.is_empty()) {
            (Some(error), _) => format!("  {}", text::clean(&error.what)),
            (None, false) => format!("  {}", self.note),
            (None, true) => format!("  {}", text::clean(&view.engine.evidence_path(self.flow.id.evidence))),
        };
        line.add(&note, theme.style(if self.failed.is_some() { "ui.error" } else { "ui.dim" }));
    }
    fn why(&self, view: &View) -> String {
        if let Some(error) = &self.failed {
            return text::clean_lines(&error.to_string()).into_owned();
        }
        if !self.listed {
            return format!("reading{}", view.glyphs.ellipsis);
        }
        let source = view.engine.source_name(self.flow.source);
        format!(
            "no packets: this flow is known from {source} only, which holds none. A capture of the same place and time would show them."
        )
    }
    /// List, layers and bytes; one of them alone when zoomed.
    fn places(&self, body: Rect) -> (Rect, Rect, Rect) {
        let none = Rect { height: 0, ..body };
        if self.zoomed {
            return match self.part {
                Part::List => (body, none, none),
                Part::Layers => (none, body, none),
                Part::Hex => (none, none, body),
            };
        }
        let top = (body.height * 2 / 5).max(4).min(body.height);
        let below = Rect { y: body.y + top, height: body.height - top, ..body };
        // The bytes get what they need, the layers what is left.
        let wide = match body.width {
            130.. => 76,
            72..130 => 46,
            _ => 26,
        }
        .min(below.width / 2 + 8);
        let left = Rect { width: below.width.saturating_sub(wide + 1), ..below };
        let right = Rect { x: left.right() + 1, width: wide, ..below };
        (Rect { height: top, ..body }, left, right)
    }
}
