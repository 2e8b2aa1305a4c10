//! Writing text into the frame: cut to a width, with an ellipsis, in a style; lines of several styles.

use super::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Writes a text into at most `width` columns; what does not fit ends in an ellipsis. Gives the columns used.
pub fn put(buf: &mut Buffer, x: u16, y: u16, width: u16, what: &str, style: Style) -> u16 {
    if width == 0 || y < buf.area.top() || y >= buf.area.bottom() || x >= buf.area.right() {
        return 0;
    }
    let width = width.min(buf.area.right() - x);
    let (end, _) = buf.set_stringn(x, y, text::fit(what, usize::from(width)), usize::from(width), style);
    end - x
}

/// Writes a text at the right end of `width` columns.
pub fn put_right(buf: &mut Buffer, x: u16, y: u16, width: u16, what: &str, style: Style) {
    let used = u16::try_from(text::width(what)).unwrap_or(u16::MAX).min(width);
    put(buf, x + (width - used), y, used, what, style);
}

/// Fills an area with blanks in a style.
pub fn fill(buf: &mut Buffer, area: Rect, style: Style) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                // What the style leaves open is what lies under it.
                let under = cell.bg;
                cell.reset();
                cell.set_bg(under);
                cell.set_style(style);
            }
        }
    }
}

/// A line that is written piece by piece from the left.
pub struct Line<'a> {
    buf: &'a mut Buffer,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> Line<'a> {
    /// A line over the columns of an area's row.
    pub fn new(buf: &'a mut Buffer, area: Rect, row: u16) -> Line<'a> {
        Line { buf, x: area.x, y: area.y.saturating_add(row), end: area.right() }
    }
    /// Adds a piece. False: nothing of it fitted.
    pub fn add(&mut self, what: &str, style: Style) -> bool {
        let used = put(self.buf, self.x, self.y, self.left(), what, style);
        self.x += used;
        used > 0
    }
    /// Adds a piece only if all of it fits.
    pub fn add_whole(&mut self, what: &str, style: Style) -> bool {
        text::width(what) <= usize::from(self.left()) && self.add(what, style)
    }
    /// Columns that are left.
    pub fn left(&self) -> u16 {
        self.end.saturating_sub(self.x)
    }
    /// Skips columns.
    pub fn skip(&mut self, columns: u16) {
        self.x = (self.x + columns).min(self.end);
    }
    /// Where the next piece goes.
    pub fn x(&self) -> u16 {
        self.x
    }
}
