//! A table that has scrolled: the terminal moves its rows (DECSTBM with DL and IL of ECMA-48, which the Linux console, tmux and screen know
//! too), and only what then differs is written. What stands beside the table moves with it and is put right: that is still less than
//! all rows anew.

use super::frame::shorten;
use super::terminal::Depth;
use foldhash::fast::FixedState;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::io;

/// Frames below this many bytes are cheap enough as they are.
const WORTH: usize = 1000;
/// No text has this sign: a row that is full of it is written whole.
const UNKNOWN: &str = "\u{10fffd}";

/// Rows that move: `top` to `bottom` (both included, from 0), `by` rows up, or down where it is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    top: usize,
    bottom: usize,
    by: isize,
}

/// The frame that turns `before` into `after`, given the one that writes each changed cell: that one, or one that scrolls first if it is
/// shorter. Both begin and end with nothing set; `tail` is what a frame ends with (the cursor).
pub fn shorter(plain: Vec<u8>, before: &Buffer, after: &Buffer, tail: &[u8], depth: Depth) -> io::Result<Vec<u8>> {
    if plain.len() < WORTH || before.area != after.area {
        return Ok(plain);
    }
    let Some(shift) = find(before, after) else { return Ok(plain) };
    let mut moved = before.clone();
    shift.apply(&mut moved);
    let mut cells = Vec::new();
    CrosstermBackend::new(&mut cells).draw(moved.diff(after).into_iter())?;
    cells.extend_from_slice(tail);
    let mut out = shift.sequence();
    out.extend_from_slice(&shorten(&cells, depth));
    Ok(if out.len() < plain.len() { out } else { plain })
}

impl Shift {
    fn sequence(self) -> Vec<u8> {
        let (top, bottom, by) = (self.top + 1, self.bottom + 1, self.by.unsigned_abs());
        let way = if self.by > 0 { 'M' } else { 'L' };
        format!("\x1b[{top};{bottom}r\x1b[{top};1H\x1b[{by}{way}\x1b[r").into_bytes()
    }
    fn apply(self, buffer: &mut Buffer) {
        let width = usize::from(buffer.area.width);
        let rows = &mut buffer.content[self.top * width..(self.bottom + 1) * width];
        let cells = self.by.unsigned_abs() * width;
        let unknown = if self.by > 0 {
            rows.rotate_left(cells);
            let kept = rows.len() - cells;
            &mut rows[kept..]
        } else {
            rows.rotate_right(cells);
            &mut rows[..cells]
        };
        for cell in unknown {
            cell.set_symbol(UNKNOWN);
        }
    }
}

/// Rows that must stand elsewhere as they were for a shift to be looked at.
const ALIKE: usize = 3;

/// By how much rows stand elsewhere as they were, where that is so of several.
fn shifts(old: &[&[Cell]], new: &[&[Cell]]) -> Vec<isize> {
    let state = FixedState::default();
    let hashes = |rows: &[&[Cell]]| rows.iter().map(|row| state.hash_one(row)).collect::<Vec<u64>>();
    let (old, new) = (hashes(old), hashes(new));
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, hash) in old.iter().enumerate() {
        places.entry(*hash).or_default().push(at);
    }
    let mut alike: BTreeMap<isize, usize> = BTreeMap::new();
    for (row, hash) in new.iter().enumerate().filter(|(row, hash)| old.get(*row) != Some(hash)) {
        // Rows that are there several times (blank ones) say nothing.
        if let Some([at]) = places.get(hash).map(Vec::as_slice) {
            *alike.entry(*at as isize - row as isize).or_default() += 1;
        }
    }
    alike.into_iter().filter(|(_, n)| *n >= ALIKE).map(|(by, _)| by).collect()
}

/// The shift that leaves the fewest cells to write.
fn find(before: &Buffer, after: &Buffer) -> Option<Shift> {
    let width = usize::from(after.area.width);
    let (old, new): (Vec<_>, Vec<_>) = (before.content.chunks(width).collect(), after.content.chunks(width).collect());
    let height = new.len();
    let differ = |a: usize, b: usize| old[a].iter().zip(new[b]).filter(|(x, y)| x != y).count() as isize;
    let unmoved: Vec<isize> = (0..height).map(|row| differ(row, row)).collect();
    let mut best: Option<(isize, Shift)> = None;
    for by in shifts(&old, &new) {
        // The run of rows that gains most (Kadane); the rows that come in at its end are written whole.
        let (mut gain, mut first) = (0, 0);
        for row in 0..height {
            let Some(from) = row.checked_add_signed(by).filter(|from| *from < height) else {
                continue;
            };
            if gain <= 0 {
                (gain, first) = (0, row);
            }
            gain += unmoved[row] - differ(from, row);
            let shift = if by > 0 {
                Shift { top: first, bottom: from, by }
            } else {
                Shift { top: first - by.unsigned_abs(), bottom: row, by }
            };
            let entering = if by > 0 { row + 1..from + 1 } else { shift.top..first };
            let net = gain - entering.map(|r| width as isize - unmoved[r]).sum::<isize>();
            if net > 0 && best.is_none_or(|(most, _)| net > most) {
                best = Some((net, shift));
            }
        }
    }
    best.map(|(_, shift)| shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Style};

    /// A card at the left, a table of 20 rows from `first` on, a line below.
    fn screen(first: usize, cursor: usize) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 90, 26));
        for row in 0..20u16 {
            let n = first + usize::from(row);
            let style = if n == cursor { Style::new().bg(Color::Blue) } else { Style::new().fg(Color::Rgb(1, 2, (n % 7) as u8)) };
            buffer.set_string(0, row + 2, "│", Style::new());
            if row % 5 == 1 {
                buffer.set_string(1, row + 2, format!("card {row}"), Style::new());
            }
            let text: String = (0..60).map(|at| char::from(b'!' + ((n * 7919 + at * 31 + n * at) % 90) as u8)).collect();
            buffer.set_string(20, row + 2, format!("{n:04} 日本 {text}"), style);
        }
        buffer.set_string(0, 24, format!("detail of {cursor} {}", cursor * 31), Style::new());
        buffer
    }

    fn written(before: &Buffer, after: &Buffer) -> Vec<u8> {
        let mut cells = Vec::new();
        CrosstermBackend::new(&mut cells).draw(before.diff(after).into_iter()).unwrap();
        cells
    }

    #[test]
    fn a_step_that_scrolls_costs_less_and_shows_the_same() {
        ratatui::crossterm::style::force_color_output(true);
        let empty = Buffer::empty(Rect::new(0, 0, 90, 26));
        for (before, after) in [
            (screen(100, 119), screen(108, 120)),
            (screen(100, 119), screen(101, 120)),
            (screen(108, 108), screen(100, 107)),
            (screen(3, 3), screen(2, 2)),
        ] {
            let plain = shorten(&written(&before, &after), Depth::True);
            let out = shorter(plain.clone(), &before, &after, b"\x1b[?25l", Depth::True).unwrap();
            assert!(out.len() * 3 < plain.len() * 2, "{} of {}", out.len(), plain.len());
            let start = written(&empty, &before);
            let terminal = || vt100::Parser::new(26.try_into().unwrap(), 90.try_into().unwrap(), 0);
            let (mut one, mut two) = (terminal(), terminal());
            one.process(&start);
            one.process(&plain);
            two.process(&start);
            two.process(&out);
            assert_eq!(one.screen().contents(), two.screen().contents());
            for (row, column) in (0..26).flat_map(|r| (0..90).map(move |c| (r, c))) {
                let (a, b) = (one.screen().cell(row, column).unwrap(), two.screen().cell(row, column).unwrap());
                assert_eq!((a.contents().trim(), a.bgcolor()), (b.contents().trim(), b.bgcolor()), "{row} {column}");
            }
        }
    }

    #[test]
    fn what_has_not_scrolled_is_written_as_it_is() {
        let (before, after) = (screen(100, 105), screen(100, 106));
        let plain = written(&before, &after);
        assert_eq!(shorter(plain.clone(), &before, &after, b"", Depth::True).unwrap(), plain);
        // Another table altogether.
        let (before, after) = (screen(100, 100), screen(4000, 4000));
        let plain = shorten(&written(&before, &after), Depth::True);
        assert!(plain.len() > WORTH);
        assert_eq!(shorter(plain.clone(), &before, &after, b"", Depth::True).unwrap(), plain);
    }
}
