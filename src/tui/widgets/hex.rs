//! Bytes as hexadecimal and ASCII, with a range lit: the bytes of a layer or a field. Knows no packet.

use crate::tui::paint::put;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::ops::Range;

/// Bytes that fit beside each other.
pub fn per_row(width: u16) -> usize {
    match width {
        76.. => 16,
        44..76 => 8,
        _ => 4,
    }
}

/// Rows that so many bytes take.
pub fn rows(len: usize, width: u16) -> usize {
    len.div_ceil(per_row(width))
}

/// The first row to show so that a range is in sight of `height` rows, moving as little as possible.
pub fn follow(top: usize, height: usize, lit: &Range<usize>, width: u16) -> usize {
    let per = per_row(width);
    let (first, last) = (lit.start / per, lit.end.saturating_sub(1).max(lit.start) / per);
    if first < top {
        first
    } else if last >= top + height.max(1) {
        (last + 1 - height.max(1)).min(first)
    } else {
        top
    }
}

/// Draws the rows from `top` on.
pub fn draw(buf: &mut Buffer, area: Rect, bytes: &[u8], lit: &Range<usize>, top: usize, theme: &Theme) {
    let per = per_row(area.width);
    let (plain, dim, bright) = (theme.style("ui.text"), theme.style("ui.dim"), theme.style("hex.lit"));
    for line in 0..area.height {
        let start = (top + usize::from(line)) * per;
        let Some(row) = bytes.get(start..bytes.len().min(start + per)).filter(|r| !r.is_empty()) else { break };
        let y = area.y + line;
        put(buf, area.x, y, 5.min(area.width), &format!("{start:04x}"), dim);
        for (n, byte) in row.iter().enumerate() {
            let style = if lit.contains(&(start + n)) { bright } else { plain };
            // Eight and eight, with a wider space between.
            let gap = u16::from(n >= 8);
            let x = area.x + 6 + n as u16 * 3 + gap;
            let joined = n + 1 < row.len() && n != 7 && lit.contains(&(start + n)) && lit.contains(&(start + n + 1));
            let room = area.right().saturating_sub(x);
            if room < 2 {
                continue;
            }
            put(buf, x, y, room.min(3), &format!("{byte:02x}{}", if joined && room > 2 { " " } else { "" }), style);
            let x = area.x + 6 + per as u16 * 3 + u16::from(per > 8) + 1 + n as u16;
            let sign = if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
            let ascii = if sign == '.' && *byte != b'.' && style == plain { dim } else { style };
            put(buf, x, y, 1.min(area.right().saturating_sub(x)), sign.encode_utf8(&mut [0; 4]), ascii);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::terminal::Depth;

    #[test]
    fn bytes_are_shown_twice_and_fit_their_area() {
        let theme = Theme::load("mono", None, Depth::None).unwrap();
        let area = Rect::new(0, 0, 76, 3);
        let mut buf = Buffer::empty(area);
        draw(&mut buf, area, b"GET / HTTP/1.1\r\nHost", &(0..3), 0, &theme);
        let row = |y: u16| (0..76).map(|x| buf[(x, y)].symbol()).collect::<String>();
        assert_eq!(row(0).trim_end(), "0000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1..");
        assert_eq!(row(1).trim_end(), format!("{:<56}Host", "0010  48 6f 73 74"));
        assert_eq!(buf[(6, 0)].style().add_modifier, theme.style("hex.lit").add_modifier);
        for width in 0..80 {
            let area = Rect::new(0, 0, width, 2);
            draw(&mut Buffer::empty(area), area, &[7; 64], &(0..64), 0, &theme);
        }
    }

    #[test]
    fn a_lit_range_is_brought_into_sight() {
        assert_eq!(follow(0, 4, &(0..14), 80), 0);
        assert_eq!(follow(0, 4, &(100..110), 80), 3);
        assert_eq!(follow(5, 4, &(0..14), 80), 0);
        assert_eq!(follow(0, 2, &(32..200), 80), 2);
        assert_eq!(rows(17, 80), 2);
    }
}
