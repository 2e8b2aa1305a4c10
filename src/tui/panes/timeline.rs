//! The timeline: how much there is over the window, where alerts are, where the cursor stands. One line, two where there is room.

use crate::error::Result;
use crate::model::{Time, Window};
use crate::query::engine::Timeline as Bins;
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Body};
use crate::tui::live;
use crate::tui::load::{Ask, compiled};
use crate::tui::paint::put;
use crate::tui::times::short_span;
use crate::tui::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Name for its answers.
pub const NAME: &str = "timeline";
/// So many bins are asked for; fewer columns than that add neighbours up.
const BINS: usize = 240;

/// The timeline of the lens that is shown.
#[derive(Default)]
pub struct Timeline {
    bins: Bins,
    unit: &'static str,
    window: Option<Window>,
}

impl Timeline {
    /// Asks for the timeline of a question; of one with stages, of the records that go into them.
    pub fn show(&mut self, ask: &Ask, window: Window, unit: &'static str, cx: &mut Cx) {
        self.unit = unit;
        self.window = Some(window);
        cx.push(Effect::Cancel { pane: NAME, slot: live::SLOT });
        self.ask_in(NAME, ask, cx);
    }
    /// Asks for it as it is now; what is shown stays until the answer is there.
    pub fn again(&mut self, ask: &Ask, window: Window, cx: &mut Cx) {
        self.window = Some(window);
        self.ask_in(live::SLOT, ask, cx);
    }
    fn ask_in(&self, slot: &'static str, ask: &Ask, cx: &mut Cx) {
        let text = crate::tui::focus::split_stages(&ask.text).0.to_owned();
        let Some(window) = self.window else { return };
        cx.ask(slot, move |work| {
            let question = compiled(&*work.engine, &text, Some(window))?;
            let bins = work.engine.timeline(&question, BINS, None, &work.cancel)?;
            work.give(bins);
            Ok(())
        });
    }
    /// Takes the answer.
    pub fn answer(&mut self, answer: Answer) -> Result<()> {
        match answer.body {
            Body::Failed(_) if answer.slot == NAME => self.bins = Bins::default(),
            _ => {
                if let Some(bins) = answer.take::<Bins>() {
                    self.bins = bins;
                }
            }
        }
        Ok(())
    }
    /// What a column stands for, e.g. `flows/5m`.
    pub fn unit(&self, columns: u16) -> String {
        if self.bins.bin == 0 || self.bins.bins.is_empty() {
            return String::new();
        }
        let per = self.merged(columns);
        format!("{}/{}", self.unit, short_span(self.bins.bin.saturating_mul(per as i64)))
    }
    fn merged(&self, columns: u16) -> usize {
        self.bins.bins.len().div_ceil(usize::from(columns.max(1))).max(1)
    }
    /// Draws it; `at` is the time of the selected row.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, at: Option<Time>, view: &View) {
        if area.height == 0 || area.width == 0 || self.bins.bins.is_empty() || self.bins.bin <= 0 {
            return;
        }
        let per = self.merged(area.width);
        let sums: Vec<(f64, u32)> = self
            .bins
            .bins
            .chunks(per)
            .enumerate()
            .map(|(n, values)| {
                let alerts = self.bins.alerts.iter().skip(n * per).take(per).fold(0u32, |a, b| a.saturating_add(*b));
                (values.iter().sum(), alerts)
            })
            .collect();
        let max = sums.iter().map(|(v, _)| *v).fold(0.0, f64::max);
        // Few bins are drawn wider, so that a short window fills the line.
        let wide = (usize::from(area.width) / sums.len().max(1)).clamp(1, 8) as u16;
        let here = at.map(|t| usize::try_from(t.since(self.bins.start) / self.bins.bin).unwrap_or(usize::MAX) / per);
        let (bar, hot, cursor) =
            (view.theme.style("spark.window"), view.theme.style("spark.alert"), view.theme.style("ui.cell.selected"));
        let mut x = area.x;
        for (n, (value, alerts)) in sums.iter().enumerate() {
            let style = match (here == Some(n), *alerts > 0) {
                (true, _) => cursor,
                (false, true) => hot,
                (false, false) => bar,
            };
            let sign = if *value <= 0.0 && *alerts > 0 { view.glyphs.spark[1] } else { view.glyphs.height(*value, max) };
            for column in 0..wide {
                put(buf, x + column, area.y, 1, sign, style);
            }
            if *alerts > 0 && area.height > 1 {
                put(buf, x, area.y + 1, 1, view.glyphs.alert, hot);
            }
            x += wide;
            if x >= area.right() {
                break;
            }
        }
    }
}
