//! A scene on a grid of cells: boxes of hosts in lanes, the lines between them, numbered, and the list of these lines with their timelines. No
//! terminal, no styles: a cell is a character and the role that a theme gives a style.

use super::{Edge, Lane, Node, Scene};
use unicode_width::UnicodeWidthChar;

/// A cell: a character and the role of its style.
pub type Cell = (char, &'static str);

/// The characters that a scene is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Boxes, arrows and heights of Unicode.
    Unicode,
    /// ASCII.
    Ascii,
}

/// A drawn scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Rows of cells, all of one width.
    pub cells: Vec<Vec<Cell>>,
    /// Of each node that is shown its box: left, top, width, height.
    pub boxes: Vec<(usize, Rect)>,
}

/// A part of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub w: usize,
    /// Rows.
    pub h: usize,
}

/// Fewest columns and rows for boxes; below them only the list is drawn.
pub const LEAST: (usize, usize) = (90, 26);
/// Widest box.
const BOX: usize = 36;
/// Fewest columns between two lanes.
const GUTTER: usize = 7;
/// Directions that a line leaves a cell in.
const N: u8 = 1;
const E: u8 = 2;
const S: u8 = 4;
const W: u8 = 8;

impl Picture {
    /// Row by row as text, without blanks at the end.
    pub fn text(&self) -> String {
        let line = |row: &Vec<Cell>| row.iter().map(|c| c.0).collect::<String>().trim_end().to_owned();
        self.cells.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Draws a scene of a size; `at` is the node under the cursor.
pub fn draw(scene: &Scene, (width, height): (usize, usize), charset: Charset, at: Option<usize>) -> Picture {
    let mut grid = Grid::new(width, height, charset);
    grid.put(1, 0, &scene.title, "ui.title");
    let list = scene.edges.len().min(height / 3).max(1);
    let strip = 3;
    let room = height.saturating_sub(1 + list + 1 + strip);
    let mut boxes = Vec::new();
    if width >= LEAST.0 && height >= LEAST.1 && !scene.nodes.is_empty() {
        boxes = place(scene, width, 1, room);
        if let left @ 1.. = scene.nodes.len() - boxes.len() {
            grid.put(1 + scene.title.chars().count() + 2, 0, &format!("(+{left} without room)"), "ui.warning");
        }
        lines(scene, &boxes, &mut grid, room + 1);
        for (n, rect) in &boxes {
            if let Some(node) = scene.nodes.get(*n) {
                host(node, *rect, at == Some(*n), &mut grid);
            }
        }
    }
    // Without boxes the list has all the room: hosts first.
    let mut y = if boxes.is_empty() { 2 } else { room + 1 };
    if boxes.is_empty() {
        for (n, node) in scene.nodes.iter().enumerate().take(height.saturating_sub(2 + list + strip)) {
            let role = if at == Some(n) { "ui.row.selected" } else { "entity.address" };
            let labels = node.labels.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join("; ");
            let mark = node.labels.first().map_or("   ".to_owned(), |l| marks(l.severity));
            grid.put(1, y, &format!("{mark} {:<15} {:<22} {labels}", node.host, node.name), role);
            boxes.push((n, Rect { x: 1, y, w: width.saturating_sub(2), h: 1 }));
            y += 1;
        }
        y += 1;
    }
    for (n, edge) in scene.edges.iter().enumerate() {
        if y + strip >= height {
            break;
        }
        one_line(n, edge, scene, y, &mut grid);
        y += 1;
    }
    whole(scene, height.saturating_sub(strip), &mut grid);
    Picture { cells: grid.cells, boxes }
}

/// Bytes as they fit a label: `936k`, `1.2M`.
pub fn short(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    for (unit, name) in units {
        if bytes >= unit {
            let whole = bytes as f64 / unit as f64;
            return if whole < 10.0 { format!("{whole:.1}{name}") } else { format!("{whole:.0}{name}") };
        }
    }
    bytes.to_string()
}

/// `!!!`, `!!`, `!` by severity.
fn marks(severity: u8) -> String {
    format!("{:<3}", "!".repeat(usize::from(severity.saturating_sub(1)).clamp(1, 3)))
}

fn severity_role(severity: u8) -> &'static str {
    match severity {
        4.. => "severity.critical",
        3 => "severity.high",
        2 => "severity.medium",
        1 => "severity.low",
        0 => "severity.info",
    }
}

struct Grid {
    cells: Vec<Vec<Cell>>,
    masks: Vec<Vec<u8>>,
    charset: Charset,
}

impl Grid {
    fn new(width: usize, height: usize, charset: Charset) -> Grid {
        Grid { cells: vec![vec![(' ', "ui.text"); width]; height], masks: vec![vec![0; width]; height], charset }
    }
    fn set(&mut self, x: usize, y: usize, c: char, role: &'static str) {
        if let Some(cell) = self.cells.get_mut(y).and_then(|row| row.get_mut(x)) {
            *cell = (c, role);
        }
    }
    fn put(&mut self, x: usize, y: usize, text: &str, role: &'static str) {
        let width = self.cells.first().map_or(0, Vec::len);
        self.put_in(x, y, width.saturating_sub(x), text, role);
    }
    /// What does not fit is cut, and said by a dot.
    fn put_in(&mut self, x: usize, y: usize, room: usize, text: &str, role: &'static str) {
        let long = text.chars().count() > room;
        let end = if self.charset == Charset::Unicode { '…' } else { '~' };
        for (n, c) in text.chars().take(room).enumerate() {
            let c = if long && n + 1 == room { end } else { c };
            // What is wider than a cell would move all that follows.
            let plain = c == ' ' || c.is_ascii_graphic();
            let c = if plain || self.charset == Charset::Unicode && c.width() == Some(1) { c } else { '?' };
            self.set(x + n, y, c, role);
        }
    }
    /// A line over cells, joined with what is there.
    fn mask(&mut self, x: usize, y: usize, directions: u8) {
        if let Some(mask) = self.masks.get_mut(y).and_then(|row| row.get_mut(x)) {
            *mask |= directions;
        }
    }
    fn across(&mut self, y: usize, from: usize, to: usize) {
        let (a, b) = (from.min(to), from.max(to));
        for x in a..=b {
            let directions = if x > a { W } else { 0 } | if x < b { E } else { 0 };
            self.mask(x, y, directions);
        }
    }
    fn down(&mut self, x: usize, from: usize, to: usize) {
        let (a, b) = (from.min(to), from.max(to));
        for y in a..=b {
            let directions = if y > a { N } else { 0 } | if y < b { S } else { 0 };
            self.mask(x, y, directions);
        }
    }
    fn ink(&mut self) {
        for y in 0..self.masks.len() {
            for x in 0..self.masks[y].len() {
                let mask = self.masks[y][x];
                if mask != 0 {
                    let c = line_of(mask, self.charset);
                    self.set(x, y, c, "ui.border");
                }
            }
        }
    }
}

fn line_of(mask: u8, charset: Charset) -> char {
    if charset == Charset::Ascii {
        return match mask {
            m if m & (N | S) == 0 => '-',
            m if m & (E | W) == 0 => '|',
            _ => '+',
        };
    }
    match mask {
        m if m & (N | S) == 0 => '─',
        m if m & (E | W) == 0 => '│',
        m if m == S | E => '┌',
        m if m == S | W => '┐',
        m if m == N | E => '└',
        m if m == N | W => '┘',
        m if m == N | S | E => '├',
        m if m == N | S | W => '┤',
        m if m == E | W | S => '┬',
        m if m == E | W | N => '┴',
        _ => '┼',
    }
}

/// Lines of a box above its lower border, with at most so many labels.
fn inside(node: &Node, labels: usize) -> usize {
    1 + usize::from(!node.about.is_empty()) + node.labels.len().min(labels)
}

/// Where the boxes stand: lanes side by side, in each the hosts in an order in which lines cross little.
fn place(scene: &Scene, width: usize, top: usize, room: usize) -> Vec<(usize, Rect)> {
    let used: Vec<Lane> = Lane::ALL.into_iter().filter(|l| scene.nodes.iter().any(|n| n.lane == *l)).collect();
    let lanes = used.len().max(1);
    let box_width = ((width.saturating_sub(2 + (lanes - 1) * GUTTER)) / lanes).min(BOX);
    let gutter = if lanes > 1 { (width.saturating_sub(2 + lanes * box_width)) / (lanes - 1) } else { 0 };
    let mut orders: Vec<Vec<usize>> =
        used.iter().map(|lane| (0..scene.nodes.len()).filter(|n| scene.nodes[*n].lane == *lane).collect()).collect();
    // Each lane by the middle of its neighbours' places, twice.
    for _ in 0..2 {
        for lane in 0..orders.len() {
            let places: Vec<Option<f64>> = (0..scene.nodes.len())
                .map(|n| {
                    orders
                        .iter()
                        .enumerate()
                        .filter(|(l, _)| *l != lane)
                        .find_map(|(_, o)| o.iter().position(|m| *m == n).map(|at| at as f64 / o.len() as f64))
                })
                .collect();
            let middle = |n: usize| {
                let beside = scene.edges.iter().filter_map(|e| match (e.from == n, e.to == n) {
                    (true, _) => places[e.to],
                    (_, true) => places[e.from],
                    _ => None,
                });
                let all: Vec<f64> = beside.collect();
                if all.is_empty() { 0.5 } else { all.iter().sum::<f64>() / all.len() as f64 }
            };
            let mut keyed: Vec<(f64, usize)> = orders[lane].iter().map(|n| (middle(*n), *n)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            orders[lane] = keyed.into_iter().map(|(_, n)| n).collect();
        }
    }
    // Where they do not all fit with three labels they have fewer.
    let need = |order: &Vec<usize>, labels| order.iter().map(|n| inside(&scene.nodes[*n], labels) + 1).sum::<usize>();
    let labels = (1..=3).rev().find(|l| orders.iter().all(|o| need(o, *l) <= room)).unwrap_or(1);
    let inside = |node: &Node| inside(node, labels);
    let mut out = Vec::new();
    for (lane, order) in orders.iter().enumerate() {
        let x = 1 + lane * (box_width + gutter);
        // Those that matter most have room first; how many have none is said.
        let mut kept = order.clone();
        kept.sort_unstable();
        let mut used = 0;
        kept.retain(|n| {
            let h = inside(&scene.nodes[*n]) + 1;
            let fits = used + h <= room;
            used += if fits { h } else { 0 };
            fits
        });
        let spare = room.saturating_sub(used) / (kept.len() + 1);
        let mut y = top + spare.min(2) / 2;
        for n in order.iter().filter(|n| kept.contains(n)) {
            let h = inside(&scene.nodes[*n]) + 1;
            out.push((*n, Rect { x, y, w: box_width, h }));
            y += h + spare.min(2);
        }
    }
    out.sort_unstable_by_key(|(n, _)| *n);
    out
}

/// The lines between boxes, each with its number at its beginning and an arrow at its end.
fn lines(scene: &Scene, boxes: &[(usize, Rect)], grid: &mut Grid, bottom: usize) {
    let rect = |n: usize| boxes.iter().find(|(m, _)| *m == n).map(|(_, r)| *r);
    let mut ports: std::collections::BTreeMap<(usize, bool), usize> = std::collections::BTreeMap::new();
    let mut channels: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
    // Of each box and side the lines leave one row below the other.
    let mut port = |n: usize, right: bool, r: Rect| {
        let at = ports.entry((n, right)).or_default();
        let y = r.y + 1 + (*at % r.h.saturating_sub(2).max(1));
        *at += 1;
        y
    };
    let mut marks: Vec<(usize, usize, char, &'static str)> = Vec::new();
    for (number, edge) in scene.edges.iter().enumerate() {
        let (Some(a), Some(b)) = (rect(edge.from), rect(edge.to)) else { continue };
        let right = a.x <= b.x;
        let same = a.x == b.x;
        // Beside a lane lines go down in columns of their own.
        let last = !boxes.iter().any(|(_, r)| r.x > a.x);
        let side = if same { !last } else { right };
        let (ya, yb) = (port(edge.from, side, a), port(edge.to, if same { side } else { !right }, b));
        let (xa, xb) = (
            if side { a.x + a.w } else { a.x.saturating_sub(1) },
            if same {
                if side { b.x + b.w } else { b.x.saturating_sub(1) }
            } else if right {
                b.x.saturating_sub(1)
            } else {
                b.x + b.w
            },
        );
        let channel = channels.entry(if side { a.x } else { a.x.wrapping_sub(1) }).or_default();
        let step = 2 + (*channel % 4);
        *channel += 1;
        let xc = if side { xa + step } else { xa.saturating_sub(step) };
        let between = |x: usize| boxes.iter().any(|(_, r)| x >= r.x && x < r.x + r.w);
        let blocked = |y: usize, from: usize, to: usize| {
            let (lo, hi) = (from.min(to), from.max(to));
            boxes.iter().any(|(_, r)| y >= r.y && y < r.y + r.h && r.x <= hi && r.x + r.w > lo)
        };
        grid.across(ya, xa, xc);
        if same || !blocked(yb, xc, xb) {
            grid.down(xc, ya, yb);
            grid.across(yb, xc, xb);
        } else {
            // Over a lane between: by the nearest row that is free.
            let mut rows: Vec<usize> = (1..bottom).filter(|y| !blocked(*y, xc, xb)).collect();
            rows.sort_by_key(|y| (y.abs_diff(yb), *y));
            let Some(free) = rows.first().copied() else { continue };
            let back = if right { xb.saturating_sub(2) } else { xb + 2 };
            if between(back) {
                continue;
            }
            grid.down(xc, ya, free);
            grid.across(free, xc, back);
            grid.down(back, free, yb);
            grid.across(yb, back, xb);
        }
        let name = char::from_digit(((number + 1) % 36) as u32, 36).unwrap_or('*');
        marks.push((if side { xa + 1 } else { xa.saturating_sub(1) }, ya, name, "ui.key"));
        let into_left = if same { !side } else { right };
        let arrow = match (grid.charset, into_left) {
            (Charset::Unicode, true) => '▶',
            (Charset::Unicode, false) => '◀',
            (Charset::Ascii, true) => '>',
            (Charset::Ascii, false) => '<',
        };
        marks.push((xb, yb, arrow, "ui.border"));
    }
    grid.ink();
    for (x, y, c, role) in marks {
        grid.set(x, y, c, role);
    }
}

/// The box of a host. Solid: seen and known; dashed: known and silent; double: seen and not in the inventory.
fn host(node: &Node, r: Rect, selected: bool, grid: &mut Grid) {
    let unicode = grid.charset == Charset::Unicode;
    let (h, v, corners) = match (unicode, node.seen, node.stated) {
        (true, false, _) => ('╌', '╎', ['┌', '┐', '└', '┘']),
        (true, true, Some(false)) => ('═', '║', ['╔', '╗', '╚', '╝']),
        (true, ..) => ('─', '│', ['┌', '┐', '└', '┘']),
        (false, false, _) => ('.', ':', ['.', '.', '.', '.']),
        (false, true, Some(false)) => ('=', '#', ['#', '#', '#', '#']),
        (false, ..) => ('-', '|', ['+', '+', '+', '+']),
    };
    let border = if selected { "ui.border.focused" } else { "ui.border" };
    let (right, bottom) = (r.x + r.w.saturating_sub(1), r.y + r.h.saturating_sub(1));
    for x in r.x..=right {
        grid.set(x, r.y, h, border);
        grid.set(x, bottom, h, border);
    }
    for y in r.y..=bottom {
        grid.set(r.x, y, v, border);
        grid.set(right, y, v, border);
    }
    for ((x, y), c) in [(r.x, r.y), (right, r.y), (r.x, bottom), (right, bottom)].into_iter().zip(corners) {
        grid.set(x, y, c, border);
    }
    let inner = r.w.saturating_sub(4);
    for y in r.y + 1..bottom {
        grid.put_in(r.x + 1, y, r.w.saturating_sub(2), &" ".repeat(r.w.saturating_sub(2)), "ui.text");
    }
    let title = if node.name.is_empty() { format!(" {} ", node.host) } else { format!(" {} {} ", node.host, node.name) };
    grid.put_in(r.x + 2, r.y, inner, &title, if selected { "ui.row.selected" } else { "entity.address" });
    let mut y = r.y + 1;
    if !node.about.is_empty() && y < bottom {
        grid.put_in(r.x + 2, y, inner, &node.about, "ui.dim");
        y += 1;
    }
    for label in node.labels.iter().take(3) {
        if y < bottom {
            grid.put_in(r.x + 2, y, inner, &format!("{} {}", marks(label.severity), label.text), severity_role(label.severity));
            y += 1;
        }
    }
}

/// A line of the list: number, ends, service, how much, and its timeline.
fn one_line(n: usize, edge: &Edge, scene: &Scene, y: usize, grid: &mut Grid) {
    let name = char::from_digit(((n + 1) % 36) as u32, 36).unwrap_or('*');
    let of = |n: usize| scene.nodes.get(n).map(|n| n.host.as_str()).unwrap_or("?");
    let arrow = if grid.charset == Charset::Unicode { '→' } else { '>' };
    grid.put(1, y, &name.to_string(), "ui.key");
    let ends = format!("{:>15} {arrow} {:<15}", of(edge.from), of(edge.to));
    grid.put(3, y, &ends, "entity.address");
    let wide = grid.cells.first().is_some_and(|row| row.len() >= LEAST.0);
    let (out, back) = (short(edge.out), short(edge.back));
    let text = if wide {
        format!("{:<14} {:>6} flows {out:>6} out {back:>6} in", edge.service, edge.flows)
    } else {
        format!("{:<11} {:>5} {out:>5} {back:>5}", edge.service, edge.flows)
    };
    grid.put(3 + ends.chars().count() + 1, y, &text, "ui.text");
    let x = 3 + ends.chars().count() + 1 + text.chars().count() + 1;
    let width = grid.cells.first().map_or(0, Vec::len);
    spark(&edge.bins, x, y, width.saturating_sub(x + 1).min(edge.bins.len()), grid);
}

/// Heights of bins, drawn from what they are at most.
fn spark(bins: &[f64], x: usize, y: usize, room: usize, grid: &mut Grid) {
    let heights: &[char] = match grid.charset {
        Charset::Unicode => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Charset::Ascii => &['.', ':', '-', '=', '+', '*', '#', '@'],
    };
    if room == 0 || bins.is_empty() {
        return;
    }
    let top = bins.iter().copied().fold(0.0, f64::max);
    for n in 0..room {
        let (from, to) = (n * bins.len() / room, ((n + 1) * bins.len() / room).max(n * bins.len() / room + 1));
        let most = bins.get(from..to.min(bins.len())).unwrap_or_default().iter().copied().fold(0.0, f64::max);
        if most > 0.0 && top > 0.0 {
            let level = ((most / top) * (heights.len() as f64 - 1.0)).round() as usize;
            grid.set(x + n, y, heights[level.min(heights.len() - 1)], "ui.chip");
        } else {
            grid.set(x + n, y, heights[0], "ui.dim");
        }
    }
}

/// The traffic of the whole site over time, with what stands out of it.
fn whole(scene: &Scene, y: usize, grid: &mut Grid) {
    let width = grid.cells.first().map_or(0, Vec::len);
    let room = width.saturating_sub(2);
    grid.put(1, y, &scene.caption, "ui.dim");
    spark(&scene.site, 1, y + 1, room, grid);
    let bins = scene.site.len().max(1);
    for (bin, text) in &scene.marks {
        let x = 1 + bin * room / bins;
        let room = width.saturating_sub(x + 1);
        let free = |row: &Vec<Cell>| row.iter().skip(x).take(text.chars().count() + 1).all(|c| c.0 == ' ');
        if grid.cells.get(y + 2).is_some_and(free) {
            grid.put_in(x, y + 2, room, text, "ui.warning");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Label, tests::scene};
    use super::*;

    #[test]
    fn every_host_and_line_is_in_the_picture_and_boxes_do_not_overlap() {
        let scene = scene();
        for size in [(90, 26), (100, 30), (120, 40), (200, 60)] {
            for charset in [Charset::Unicode, Charset::Ascii] {
                let picture = draw(&scene, size, charset, Some(0));
                assert!(picture.cells.len() == size.1 && picture.cells.iter().all(|r| r.len() == size.0));
                let text = picture.text();
                assert!(charset == Charset::Unicode || text.is_ascii(), "{text}");
                for node in &scene.nodes {
                    assert!(text.contains(&node.host), "{}: {text}", node.host);
                }
                for (n, a) in &picture.boxes {
                    for (_, b) in picture.boxes.iter().filter(|(m, _)| m > n) {
                        let apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
                        assert!(apart, "{a:?} {b:?}\n{text}");
                    }
                }
                assert!(text.contains("!!! SQL injection"), "{text}");
            }
        }
    }

    #[test]
    fn a_small_screen_has_the_list() {
        let picture = draw(&scene(), (80, 24), Charset::Unicode, None);
        let text = picture.text();
        assert!(text.contains("!!! 10.8.40.20") && !text.contains('┌'), "{text}");
        assert!(text.contains("→ 10.8.40.20"), "{text}");
        // No size is a panic, and hostile text keeps its cells.
        let mut odd = scene();
        odd.nodes[0].labels.push(Label { severity: 9, text: "\u{202e}漢字\u{1b}[2J".into() });
        odd.nodes[0].name = "é".repeat(500);
        for w in [0, 1, 5, 40, 90, 91] {
            for h in [0, 1, 3, 25, 26, 30] {
                let picture = draw(&odd, (w, h), Charset::Unicode, Some(0));
                assert!(picture.cells.iter().all(|r| r.len() == w) && !picture.text().contains('\u{1b}'));
            }
        }
        assert_eq!([0, 999, 1_234, 93_000, 5_400_000].map(short), ["0", "999", "1.2k", "93k", "5.4M"]);
    }
}
