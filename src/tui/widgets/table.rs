//! A table of which only the rows in sight are made: columns with a least and a wanted width that drop in a stated order.

use super::scroll::Scroll;
use crate::tui::paint::{fill, put, put_right};
use crate::tui::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Columns of the screen that it needs at least.
    pub least: u16,
    /// Columns that it likes to have.
    pub wanted: u16,
    /// Numbers stand to the right.
    pub right: bool,
    /// When room is short the column with the highest number goes first; 0 stays.
    pub drop: u8,
}

/// One cell: text, clean, and the role of its style.
pub type Cell = (String, &'static str);

/// Which columns fit into a width, and how wide each is. One blank stands between two.
pub fn layout(columns: &[Column], width: u16) -> Vec<(usize, u16)> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let need = |kept: &[usize], of: fn(&Column) -> u16| -> u16 {
        kept.iter().fold(0u16, |sum, n| sum.saturating_add(of(&columns[*n])).saturating_add(1)).saturating_sub(1)
    };
    while need(&kept, |c| c.least) > width {
        let Some(at) = (0..kept.len()).filter(|at| columns[kept[*at]].drop > 0).max_by_key(|at| columns[kept[*at]].drop) else {
            break;
        };
        kept.remove(at);
    }
    let mut left = width.saturating_sub(need(&kept, |c| c.least));
    let mut out: Vec<(usize, u16)> = kept.iter().map(|n| (*n, columns[*n].least)).collect();
    for (n, wide) in &mut out {
        let more = columns[*n].wanted.saturating_sub(columns[*n].least).min(left);
        *wide += more;
        left -= more;
    }
    // What is over goes to the last column: it is the one with text.
    if let Some((_, wide)) = out.last_mut() {
        *wide += left;
    }
    out
}

/// Draws a heading and the rows in sight; `row` makes the cells of one row, one per column of `columns`. `focused`: the cursor is here.
#[allow(clippy::too_many_arguments)]
pub fn draw(
    buf: &mut Buffer,
    area: Rect,
    columns: &[Column],
    scroll: &mut Scroll,
    len: usize,
    view: &View,
    focused: bool,
    row: &mut dyn FnMut(usize) -> Vec<Cell>,
) {
    if area.height == 0 {
        return;
    }
    let wide = layout(columns, area.width.saturating_sub(2));
    let head = view.theme.style("ui.table.header");
    fill(buf, Rect { height: 1, ..area }, view.theme.style("ui.background").patch(head));
    let cells = |buf: &mut Buffer, y: u16, base: Style, cell: &mut dyn FnMut(usize) -> (String, Style)| {
        let mut x = area.x + 2;
        for (n, width) in &wide {
            let width = (*width).min(area.right().saturating_sub(x));
            let (text, style) = cell(*n);
            let (text, style) = (view.glyphs.put(&text), style.patch(base));
            if columns[*n].right {
                put_right(buf, x, y, width, &text, style);
            } else {
                put(buf, x, y, width, &text, style);
            }
            x = x.saturating_add(width + 1).min(area.right());
        }
    };
    cells(buf, area.y, Style::default(), &mut |n| (columns[n].title.to_owned(), head));
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    for (line, at) in scroll.sight(usize::from(body.height), len).enumerate() {
        let y = body.y + line as u16;
        let chosen = at == scroll.selected;
        let role = if focused { "ui.row.selected" } else { "ui.row.selected.inactive" };
        let base = if chosen { view.theme.style(role) } else { Style::default() };
        fill(buf, Rect { y, height: 1, ..body }, view.theme.style("ui.background").patch(base));
        if chosen {
            put(buf, body.x, y, 1.min(body.width), view.glyphs.cursor, base);
        }
        let texts = row(at);
        cells(buf, y, base, &mut |n| {
            let (text, role) = texts.get(n).cloned().unwrap_or_default();
            (text, view.theme.style(role))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { title: "start", least: 12, wanted: 12, right: false, drop: 0 },
        Column { title: "state", least: 5, wanted: 6, right: false, drop: 9 },
        Column { title: "bytes", least: 6, wanted: 8, right: true, drop: 5 },
        Column { title: "name", least: 8, wanted: 20, right: false, drop: 0 },
    ];

    #[test]
    fn columns_drop_in_the_stated_order_and_the_rest_fills_the_width() {
        let names = |width| layout(&COLUMNS, width).iter().map(|(n, _)| COLUMNS[*n].title).collect::<Vec<_>>();
        assert_eq!(names(60), ["start", "state", "bytes", "name"]);
        assert_eq!(names(33), ["start", "bytes", "name"]);
        assert_eq!(names(25), ["start", "name"]);
        assert_eq!(names(3), ["start", "name"]);
        for width in 34..90 {
            let wide = layout(&COLUMNS, width);
            assert_eq!(wide.iter().map(|(_, w)| w + 1).sum::<u16>() - 1, width);
        }
    }
}
