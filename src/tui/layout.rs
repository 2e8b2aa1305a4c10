//! Where the parts of the workbench stand, by size. Pure: a size in, rectangles out.
//!
//! ```text
//!  80x24: one line each for card and timeline, no       120x40: card at the left, table over detail, each in
//!  side borders, three lines of detail                  a frame
//!
//!  10.8.21.5 jdoe-pc Win10   20 Nov 08:00-16:00 UTC      case > ET MALWARE > 10.8.21.5                  UTC
//!  1Alerts 3 2Flows 4182 3DNS 88       flt: not dns      ............ timeline ............................
//!  start        peer            port app  name           + 10.8.21.5 -----++ 1 Alerts 3 | 2 Flows 4,182 | ..
//!  08:12:03.114 203.0.113.9     443  tls  evil.exa..     | workstation    || start        peer          port
//!  ...                                                   | ...            |+ detail -----------------------
//!  ------------------------------------------------      |                || every field of the row
//!  name evil.example                                     +----------------++--------------------------------
//!  Enter 203.0.113.9 - p pivot ...  12 of 4182 rows      Enter drill - p pivot ...           4,182 rows
//! ```

use super::app::Part;
use ratatui::layout::Rect;

/// Below this width or height the narrow layout is used.
const WIDE: (u16, u16) = (100, 30);

/// The smallest screen that can be worked on.
pub const LEAST: (u16, u16) = (60, 12);

/// Where everything stands. Rectangles of height 0 are not drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// The small layout.
    pub narrow: bool,
    /// First line: where one is.
    pub header: Rect,
    /// Timeline.
    pub timeline: Rect,
    /// Tabs of the lenses; in the wide layout the upper edge of the table's frame.
    pub tabs: Rect,
    /// Focus card, inside its frame.
    pub card: Rect,
    /// Frame of the card.
    pub card_frame: Rect,
    /// Frame of table and detail.
    pub frame: Rect,
    /// Lens table.
    pub rows: Rect,
    /// The rule above the detail.
    pub rule: Rect,
    /// Detail.
    pub detail: Rect,
    /// A pane over the body.
    pub body: Rect,
    /// Last line: hints or a message.
    pub hints: Rect,
}

/// What is shown, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The focus card is shown.
    pub card: bool,
    /// The detail is shown. On small screens one line stays, for the cell under the cursor.
    pub detail: bool,
    /// The timeline is shown.
    pub timeline: bool,
    /// Columns of the screen that the card takes; none: by its width.
    pub card_wide: Option<u16>,
    /// Lines that the detail takes; none: by its height.
    pub detail_high: Option<u16>,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { card: true, detail: true, timeline: true, card_wide: None, detail_high: None }
    }
}

/// Least rows of the table where the detail was made large.
const ROWS: u16 = 4;
/// Least columns of the table where the card was made wide.
const TABLE: u16 = 50;

/// Where everything stands on a screen of a size.
pub fn layout(size: (u16, u16), part: Part, zoomed: bool, shape: Shape) -> Layout {
    let (width, height) = size;
    let line = |y: u16| Rect { x: 0, y: y.min(height.saturating_sub(1)), width, height: u16::from(height > y) };
    let hints = line(height.saturating_sub(1));
    if is_narrow(size) {
        let body = Rect { x: 0, y: 2, width, height: height.saturating_sub(3) };
        let mut out = Layout { narrow: true, header: line(0), tabs: line(1), body, hints, ..Layout::default() };
        match (zoomed, part) {
            (true, Part::Detail) => out.detail = body,
            (true, Part::Card) => out.card = body,
            (true, Part::Rows) => out.rows = body,
            // The detail has three lines while the table has the cursor, half of the screen when it has it itself.
            (false, Part::Detail | Part::Card) => {
                let lower = body.height / 2;
                split(&mut out, body, lower);
                if part == Part::Card {
                    out.card = out.detail;
                    out.detail.height = 0;
                }
            }
            (false, Part::Rows) => {
                let usual = shape.detail_high.unwrap_or(if height >= 18 { 3 } else { 1 });
                split(&mut out, body, if shape.detail { usual.clamp(1, body.height.saturating_sub(ROWS + 1).max(1)) } else { 1 });
            }
        }
        return out;
    }
    let lines = if shape.timeline { 2 } else { 0 };
    let timeline = Rect { x: 1, y: 1, width: width - 2, height: lines };
    let body = Rect { x: 0, y: 1 + lines, width, height: height - 2 - lines };
    let mut out = Layout { header: line(0), timeline, body, hints, ..Layout::default() };
    let mut right = body;
    if shape.card && !zoomed || zoomed && part == Part::Card {
        let usual = shape.card_wide.map_or((width / 5).clamp(25, 40), |w| w.min(width.saturating_sub(TABLE)));
        let wide = if zoomed { width } else { usual };
        out.card_frame = Rect { width: wide, ..body };
        out.card = inner(out.card_frame);
        right = Rect { x: body.x + wide, width: width - wide, ..body };
        if zoomed {
            return out;
        }
    }
    out.frame = right;
    out.tabs = Rect { x: right.x + 1, y: right.y, width: right.width.saturating_sub(2), height: 1 };
    let inside = inner(right);
    match (zoomed, part) {
        (true, Part::Rows) => out.rows = inside,
        (true, _) => out.detail = inside,
        (false, _) => {
            let usual =
                shape.detail_high.map_or((inside.height / 3).clamp(8, 16), |n| n.min(inside.height.saturating_sub(ROWS + 1)));
            let lower = if part == Part::Detail { usual.max(inside.height / 2) } else { usual };
            split(&mut out, inside, if shape.detail { lower } else { 0 });
        }
    }
    out
}

/// Whether a size gets the narrow layout.
pub fn is_narrow(size: (u16, u16)) -> bool {
    size.0 < WIDE.0 || size.1 < WIDE.1
}

fn inner(area: Rect) -> Rect {
    Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

fn split(out: &mut Layout, area: Rect, lower: u16) {
    let lower = lower.min(area.height.saturating_sub(3));
    let upper = area.height - lower - 1;
    out.rows = Rect { height: upper, ..area };
    out.rule = Rect { y: area.y + upper, height: 1, ..area };
    out.detail = Rect { y: area.y + upper + 1, height: lower, ..area };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 4] = [
        Shape { card: true, detail: true, timeline: true, card_wide: None, detail_high: None },
        Shape { card: false, detail: true, timeline: false, card_wide: None, detail_high: Some(60) },
        Shape { card: true, detail: false, timeline: true, card_wide: Some(100), detail_high: None },
        Shape { card: true, detail: true, timeline: false, card_wide: Some(16), detail_high: Some(1) },
    ];

    #[test]
    fn eighty_by_twenty_four_has_at_least_fourteen_rows_of_table() {
        let at = layout((80, 24), Part::Rows, false, Shape::default());
        assert!(at.narrow && at.rows.height > 14 && at.detail.height == 3, "{at:?}");
    }

    #[test]
    fn parts_lie_inside_the_screen_and_do_not_overlap_at_any_size() {
        for width in (LEAST.0..260).step_by(7) {
            for height in LEAST.1..75 {
                for part in [Part::Rows, Part::Detail, Part::Card] {
                    for (zoomed, shape) in [false, true].into_iter().flat_map(|z| SHAPES.map(|s| (z, s))) {
                        let at = layout((width, height), part, zoomed, shape);
                        let all = [at.header, at.timeline, at.card, at.rows, at.rule, at.detail, at.hints];
                        for (i, a) in all.iter().enumerate() {
                            assert!(a.right() <= width && a.bottom() <= height, "{a:?}");
                            assert!(all.iter().skip(i + 1).all(|b| a.intersection(*b).area() == 0), "{width}x{height} {at:?}");
                        }
                    }
                }
            }
        }
    }
}
