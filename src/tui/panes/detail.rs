//! The detail: every field of the selected record, each value one can pivot on; where its bytes are, and the bytes.

use super::{Handled, Pane};
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::{Entity, Kind, Record, Value};
use crate::pivots::Selection;
use crate::query::Engine;
use crate::query::engine::Raw;
use crate::tui::cells::{self, Cell};
use crate::tui::effect::Cx;
use crate::tui::jobs::Answer;
use crate::tui::joins::Joined;
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::times::{Zone, short_span, thousands};
use crate::tui::view::View;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;

/// Name for keys and answers.
pub const NAME: &str = "detail";
/// Columns of a field's name.
const LABEL: u16 = 15;
/// At most so many bytes are shown raw.
const RAW_SHOWN: usize = 16 * 1024;

struct Entry {
    name: String,
    cell: Cell,
}

/// The detail of one record.
pub struct Detail {
    engine: Arc<dyn Engine>,
    record: Option<Record>,
    joined: Option<Joined>,
    raw: Option<Raw>,
    selected: usize,
    top: usize,
    rows: usize,
}

impl Detail {
    /// An empty detail.
    pub fn new(engine: Arc<dyn Engine>) -> Detail {
        Detail { engine, record: None, joined: None, raw: None, selected: 0, top: 0, rows: 1 }
    }
    /// Shows a record; with `raw`, asks for its bytes too.
    pub fn show(&mut self, record: Option<&Record>, joined: Option<Joined>, raw: bool, cx: &mut Cx) {
        self.joined = joined;
        let same = self.record.as_ref().map(|r| r.id) == record.map(|r| r.id);
        if !same {
            self.record = record.cloned();
            self.raw = None;
            self.top = 0;
            self.selected = 0;
        } else if self.record.as_ref() != record {
            // A flow that goes on has other counters.
            self.record = record.cloned();
        }
        if let Some(record) = record.filter(|r| raw && self.raw.is_none() && r.kind != Kind::Flow) {
            let origin = record.origin();
            cx.ask("raw", move |work| {
                work.give(work.engine.raw(origin)?);
                Ok(())
            });
        }
    }
    fn entries(&self, zone: Zone) -> Vec<Entry> {
        let Some(record) = &self.record else { return Vec::new() };
        let mut out = Vec::new();
        let mut add = |name: &str, cell: Cell| out.push(Entry { name: name.to_owned(), cell });
        let plain = |text: String, value: Option<(FieldId, Value)>| Cell { text, value, style: "ui.text".into() };
        let at = |t| zone.full(t);
        let start = if zone == Zone::Source { record.start } else { record.time() };
        let end = if zone == Zone::Source { record.end } else { record.until() };
        add("start", plain(at(start), Some((field::START, Value::Time(record.time())))));
        if record.end != record.start {
            add("end", plain(format!("{} ({})", at(end), short_span(record.end.since(record.start))), None));
        }
        if record.shift != 0 {
            let text = format!("{} as written; clock corrected by {}", record.start, short_span(record.shift));
            add("start.raw", plain(text, Some((field::RAW_START, Value::Time(record.start)))));
        }
        let mut seen = vec![self.engine.source_name(record.source)];
        seen.extend(record.seen_by.iter().map(|s| self.engine.source_name(*s)));
        let shown = text::clean(&seen.join(", ")).into_owned();
        let first = seen.first().cloned().unwrap_or_default();
        add("kind", plain(record.kind.name().into(), Some((field::KIND, Value::text(record.kind.name())))));
        let label = if record.seen_by.is_empty() { "source" } else { "seen by" };
        add(label, plain(shown, Some((field::SOURCE, Value::text(first)))));
        if let Some(name) = self.joined.as_ref().and_then(|j| j.name.as_ref()) {
            let others = if name.others.is_empty() { String::new() } else { format!(", or {}", name.others.join(", ")) };
            let text = text::clean(&format!("{} ({} {:.2}{others})", name.name, name.how, name.confidence)).into_owned();
            add("name used", Cell { text, value: Some((field::NAME, Value::text(&name.name))), style: "entity.name".into() });
        }
        if let Some(other) = self.joined.as_ref().and_then(|j| j.translated.as_ref()) {
            let text = format!("{} ({} {:.2})", other.end, other.method, other.confidence);
            add("translated", Cell { text, value: Some((field::HOST, other.end.ip().into())), style: "entity.address".into() });
        }
        for (id, value) in &record.fields {
            let mut cell = cells::of_value(*id, value.clone());
            if let Value::Time(t) = value {
                cell.text = at(*t);
            } else if field::get(*id).is_some_and(|f| f.ty == field::Type::Bytes)
                && let Some(n) = value.as_uint()
            {
                cell.text = thousands(n);
            }
            add(&field::name(*id), cell);
        }
        if let Some(id) = record.value(field::COMMUNITY_ID) {
            add("community_id", cells::of_value(field::COMMUNITY_ID, id));
        }
        if let Some(joined) = self.joined.as_ref().filter(|_| !matches!(record.kind, Kind::Inventory | Kind::Vuln)) {
            add("joined", plain(joined.words(), None));
        }
        out
    }
    fn evidence(&self) -> String {
        let Some(record) = &self.record else { return String::new() };
        let path = self.engine.evidence_path(record.id.evidence);
        let length = if record.len == 0 { String::new() } else { format!(" +{}", record.len) };
        format!("{} : {}{length}", text::clean(&path), record.id.offset)
    }
    fn entity(&self) -> Option<Entity> {
        let entries = self.entries(Zone::Utc);
        let (id, value) = entries.get(self.selected)?.cell.value.as_ref()?;
        Entity::of(*id, value)
    }
    /// The value under its cursor.
    pub fn value(&self) -> Option<(FieldId, Value)> {
        self.entries(Zone::Utc).into_iter().nth(self.selected)?.cell.value
    }
    /// The three lines of small screens: the cell under the cursor in full, the rest in brief, where it stands.
    pub fn draw_brief(&self, buf: &mut Buffer, area: Rect, cell: Option<(String, Cell)>, view: &View) {
        let entries = self.entries(view.zone);
        let (label, value) = (view.theme.style("ui.dim"), view.theme.style("ui.text"));
        let last = area.height.saturating_sub(1);
        let mut row = 0;
        if let Some((title, cell)) = cell.filter(|(_, c)| !c.text.is_empty()) {
            row = draw_cell(buf, Rect { height: last.max(1), ..area }, &title, &cell, view);
        } else if let Some(caveat) = self.caveat(usize::from(area.width), 1).first() {
            Line::new(buf, area, 0).add(caveat, view.theme.style("ui.warning"));
            row = 1;
        }
        let mut line = Line::new(buf, Rect { height: last, ..area }, row);
        for entry in entries.iter().filter(|e| e.name != "kind") {
            if row >= last {
                break;
            }
            let piece = text::width(&entry.name) + text::width(&entry.cell.text) + 3;
            if piece > usize::from(line.left()) {
                row += 1;
                if row >= last {
                    break;
                }
                line = Line::new(buf, area, row);
            }
            line.add(&entry.name, label);
            line.add(" ", value);
            line.add(&entry.cell.text, value);
            line.add("  ", value);
        }
        if self.record.is_some() && last > 0 {
            let mut line = Line::new(buf, area, last);
            line.add("evidence ", label);
            line.add(&self.evidence(), view.theme.style("ui.dim"));
        }
    }
}

impl Pane for Detail {
    fn name(&self) -> &'static str {
        NAME
    }
    fn title(&self) -> String {
        "detail".into()
    }
    fn run(&mut self, command: &str, _: &mut Cx) -> Result<Handled> {
        let last = self.entries(Zone::Utc).len().saturating_sub(1);
        self.selected = match command {
            "move_down" => (self.selected + 1).min(last),
            "move_up" => self.selected.saturating_sub(1),
            "move_right" => (self.selected + self.rows).min(last),
            "move_left" => self.selected.saturating_sub(self.rows),
            "page_down" => (self.selected + self.rows.max(1)).min(last),
            "page_up" => self.selected.saturating_sub(self.rows.max(1)),
            "go_first" => 0,
            "go_last" => last,
            _ => return Ok(Handled::No),
        };
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if answer.is::<Raw>() {
            self.raw = answer.take();
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { record: self.record.clone(), entity: self.entity(), window: None }
    }
    fn copied(&self) -> Option<(String, String)> {
        let entries = self.entries(Zone::Utc);
        let entry = entries.get(self.selected)?;
        let (id, value) = entry.cell.value.as_ref()?;
        let ty = field::get(*id).map_or(field::Type::Text, |f| f.ty);
        Some((entry.name.clone(), value.show(ty)))
    }
    fn lines(&self) -> Vec<String> {
        self.entries(Zone::Utc).iter().map(|e| format!("{} {}", e.name, e.cell.text)).collect()
    }
    fn line(&self) -> usize {
        self.selected
    }
    fn stand(&mut self, line: usize) {
        self.selected = line;
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let entries = self.entries(view.zone);
        if entries.is_empty() || area.height == 0 {
            return;
        }
        let dim = view.theme.style("ui.dim");
        let columns: u16 = if area.width >= 150 {
            3
        } else if area.width >= 80 {
            2
        } else {
            1
        };
        let width = area.width / columns;
        let footer = area.y + area.height - 1;
        let caveat = self.caveat(usize::from(area.width), usize::from(area.height / 3).min(3));
        let fields = (area.height - 1).saturating_sub(caveat.len() as u16).max(1);
        for (n, line) in caveat.iter().enumerate() {
            let y = (footer + n as u16).saturating_sub(caveat.len() as u16);
            put(buf, area.x, y, area.width, line, view.theme.style("ui.warning"));
        }
        // Fields run down the first column, then the second; a tall pane (zoomed) keeps room for the bytes.
        let per = entries.len().div_ceil(usize::from(columns)).max(1);
        let room = usize::from(fields).min(per).max(1);
        self.rows = per;
        let row = self.selected % per;
        self.top = self.top.min(row).max((row + 1).saturating_sub(room)).min(per - room);
        for (n, entry) in entries.iter().enumerate() {
            let (column, row) = ((n / per) as u16, n % per);
            if row < self.top || row >= self.top + room {
                continue;
            }
            let (x, y) = (area.x + column * width, area.y + (row - self.top) as u16);
            let chosen = view.focused && n == self.selected;
            // One colour but for severities: the values change at every step of the cursor, and each colour costs bytes.
            let own = if entry.cell.style.starts_with("severity") { entry.cell.style.as_str() } else { "ui.text" };
            let mut style = view.theme.style(own);
            if chosen {
                style = view.theme.style("ui.row.selected");
                fill(buf, Rect { x, y, width: width.saturating_sub(1), height: 1 }, style);
            }
            put(buf, x, y, LABEL.min(width), &entry.name, if chosen { style } else { view.theme.style("ui.dim") });
            put(buf, x + LABEL + 1, y, width.saturating_sub(LABEL + 2), &entry.cell.text, style);
        }
        let hidden = per.saturating_sub(room);
        put(buf, area.x, footer, LABEL, "evidence", view.theme.style("ui.dim"));
        let more = if hidden > 0 { format!("  ({hidden} more lines: Tab, z)") } else { String::new() };
        put(
            buf,
            area.x + LABEL + 1,
            footer,
            area.width - LABEL - 1,
            &view.glyphs.put(&format!("{}{more}", self.evidence())),
            dim,
        );
        let below = Rect { y: area.y + room as u16 + 1, height: fields.saturating_sub(room as u16 + 1), ..area };
        if below.height > 1 {
            self.draw_full(buf, below, &entries, view);
        }
    }
}

impl Detail {
    /// Why nothing in the case can confirm an alert, and what would.
    fn caveat(&self, width: usize, most: usize) -> Vec<String> {
        let caveat = self.joined.as_ref().and_then(|j| j.caveat.as_ref());
        caveat.map_or_else(Vec::new, |text| text::wrap(&text::clean(text), width, most.max(1)))
    }
    /// The chosen value in full, then the bytes.
    fn draw_full(&self, buf: &mut Buffer, area: Rect, entries: &[Entry], view: &View) {
        let mut y = area.y;
        if view.focused
            && let Some(entry) = entries.get(self.selected)
        {
            for line in text::pieces(&entry.cell.text, usize::from(area.width), 6).0 {
                if y < area.bottom() {
                    put(buf, area.x, y, area.width, &line, view.theme.style(&entry.cell.style));
                    y += 1;
                }
            }
            y += 1;
        }
        let dim = view.theme.style("ui.dim");
        match &self.raw {
            Some(Raw::Bytes(bytes)) => {
                let bytes = &bytes[..bytes.len().min(RAW_SHOWN)];
                let textual = bytes.iter().all(|b| matches!(b, 9 | 10 | 13 | 32..=126 | 128..));
                let shown = if textual { String::from_utf8_lossy(bytes).trim_end().to_owned() } else { String::new() };
                let lines: Vec<String> = if textual {
                    shown.lines().flat_map(|l| text::pieces(&text::clean(l), usize::from(area.width), RAW_SHOWN).0).collect()
                } else {
                    bytes.chunks(16).enumerate().map(|(n, chunk)| hex_line(n * 16, chunk)).collect()
                };
                for line in lines {
                    if y >= area.bottom() {
                        break;
                    }
                    put(buf, area.x, y, area.width, &line, dim);
                    y += 1;
                }
            }
            Some(Raw::Gone(why)) if y < area.bottom() => {
                put(buf, area.x, y, area.width, &text::clean(why), view.theme.style("ui.warning"));
            }
            _ => {}
        }
    }
}

/// The cell under the cursor in full, in as many lines as there are; gives the lines that it takes. What has no room even there is counted.
pub fn draw_cell(buf: &mut Buffer, area: Rect, title: &str, cell: &Cell, view: &View) -> u16 {
    let what = view.glyphs.put(&cell.text);
    let indent = text::width(title) as u16 + 1;
    let room = usize::from(area.width.saturating_sub(indent));
    let most = usize::from(area.height);
    let (mut lines, left) = text::pieces(&what, room, most);
    if left > 0
        && let Some(last) = lines.last_mut()
    {
        // The end of the last line says how much is missing.
        let more = |n: usize| format!("{}+{n}", view.glyphs.ellipsis);
        let kept = room.saturating_sub(text::width(&more(left)) + 2);
        let (head, gone) = text::pieces(last, kept, 1);
        *last = format!("{}{}", head.concat(), more(left + gone));
    }
    put(buf, area.x, area.y, indent, title, view.theme.style("ui.dim"));
    for (n, line) in lines.iter().enumerate() {
        put(buf, area.x + indent, area.y + n as u16, area.width.saturating_sub(indent), line, view.theme.style(&cell.style));
    }
    lines.len() as u16
}

fn hex_line(offset: usize, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x} ")).collect();
    let shown: String = bytes.iter().map(|b| if (32..127).contains(b) { char::from(*b) } else { '.' }).collect();
    format!("{offset:06x}  {hex:<48} {shown}")
}
