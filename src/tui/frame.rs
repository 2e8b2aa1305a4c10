//! What a frame costs on the line: the same picture in fewer bytes. The drawing library says both colours and underline anew with every
//! change of either; here only what differs is said, and of a blank only what can be seen of it (ECMA-48 SGR, xterm's 38 and 48). Where it
//! is shorter, all text of one colour is written before that of the next: a move costs 4 to 8 bytes, a colour of 24 bits 18.

use super::moves;
use super::terminal::Depth;
use unicode_width::UnicodeWidthStr;

/// What text is drawn in: parameters of SGR as text; attributes as bits of their numbers 1 to 9.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pen {
    fg: String,
    bg: String,
    line: String,
    attributes: u16,
}

impl Pen {
    fn default() -> Pen {
        Pen { fg: "39".into(), bg: "49".into(), line: "59".into(), attributes: 0 }
    }
    fn has(&self, attribute: u16) -> bool {
        self.attributes & (1 << attribute) != 0
    }
}

const BOLD: u16 = 1;
const DIM: u16 = 2;
const UNDERLINE: u16 = 4;
const REVERSE: u16 = 7;
const STRIKE: u16 = 9;
/// Attributes that a blank shows.
const ON_BLANKS: u16 = 1 << UNDERLINE | 1 << REVERSE | 1 << STRIKE;

/// A part of a frame.
enum Piece {
    /// Text at a row and column (none: where the cursor is), in one pen after another.
    Text(Option<(usize, usize)>, Vec<(Pen, Vec<u8>)>),
    /// Any other sequence, and the pen that it may use (none: it needs none). Nothing is moved across it.
    Other(Option<Pen>, Vec<u8>),
}

/// The same frame in fewer bytes. It begins and ends with nothing set; with 16 colours these are written in their own numbers, which
/// terminals without 256 understand.
pub fn shorten(bytes: &[u8], depth: Depth) -> Vec<u8> {
    let pieces = pieces(bytes, depth);
    let plain = moves::shorten(&written(pieces.iter()));
    match by_pen(&pieces) {
        Some(order) => {
            let grouped = moves::shorten(&written(order.into_iter()));
            if grouped.len() < plain.len() { grouped } else { plain }
        }
        None => plain,
    }
}

fn pieces(bytes: &[u8], depth: Depth) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut pen = Pen::default();
    // Where the next text goes, as far as that is known; and whether the move there is still to be made.
    let mut place: Option<(usize, usize)> = None;
    let mut unmoved: Option<Vec<u8>> = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        if rest.starts_with(b"\x1b[") {
            let len = rest[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map_or(rest.len(), |n| n + 3);
            let (sequence, after) = rest.split_at(len);
            rest = after;
            if sequence.last() == Some(&b'm') && set(&mut pen, &sequence[2..len - 1], depth) {
                continue;
            }
            out.extend(unmoved.take().map(|s| Piece::Other(None, s)));
            place = moves::cup(sequence);
            match place {
                Some(_) => unmoved = Some(sequence.to_vec()),
                None => out.push(Piece::Other(Some(pen.clone()), sequence.to_vec())),
            }
            continue;
        }
        let len = memchr::memchr(0x1b, &rest[1..]).map_or(rest.len(), |n| n + 1);
        let (text, after) = rest.split_at(len);
        rest = after;
        unmoved = None;
        match (place, out.last_mut()) {
            (None, Some(Piece::Text(_, runs))) => runs.push((pen.clone(), text.to_vec())),
            _ => out.push(Piece::Text(place, vec![(pen.clone(), text.to_vec())])),
        }
        // How wide a terminal makes what is not ASCII is not known for certain.
        let plain = text.iter().all(|b| (0x20..0x7f).contains(b));
        place = place.filter(|_| plain).map(|(row, column)| (row, column + text.len()));
    }
    out.extend(unmoved.map(|s| Piece::Other(None, s)));
    out
}

/// The pieces with those of one pen together. None: their order matters, since some lie over others.
fn by_pen(pieces: &[Piece]) -> Option<Vec<&Piece>> {
    let mut out = Vec::with_capacity(pieces.len());
    for stretch in pieces.chunk_by(|a, b| matches!((a, b), (Piece::Text(..), Piece::Text(..)))) {
        let mut spans: Vec<(usize, usize, usize)> = Vec::new();
        let mut pens: Vec<&Pen> = Vec::new();
        let mut order: Vec<(usize, &Piece)> = Vec::new();
        for piece in stretch {
            let Piece::Text(at, runs) = piece else {
                order.push((0, piece));
                continue;
            };
            let ((row, column), (pen, _)) = ((*at)?, runs.first()?);
            let columns = runs.iter().map(|(_, text)| String::from_utf8_lossy(text).width()).sum();
            spans.push((row, column, columns));
            let group = pens.iter().position(|p| *p == pen).unwrap_or_else(|| {
                pens.push(pen);
                pens.len() - 1
            });
            order.push((group, piece));
        }
        spans.sort_unstable();
        if spans.windows(2).any(|w| w[0].0 == w[1].0 && w[0].1 + w[0].2 > w[1].1) {
            return None;
        }
        order.sort_by_key(|(group, _)| *group);
        out.extend(order.into_iter().map(|(_, piece)| piece));
    }
    Some(out)
}

fn written<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut actual = Pen::default();
    for piece in pieces {
        match piece {
            Piece::Text(at, runs) => {
                if let Some((row, column)) = at {
                    out.extend_from_slice(format!("\x1b[{row};{column}H").as_bytes());
                }
                for (pen, text) in runs {
                    for byte in text {
                        if *byte >= b' ' {
                            catch_up(&mut out, pen, &mut actual, *byte == b' ');
                        }
                        out.push(*byte);
                    }
                }
            }
            Piece::Other(pen, sequence) => {
                if let Some(pen) = pen {
                    catch_up(&mut out, pen, &mut actual, false);
                }
                out.extend_from_slice(sequence);
            }
        }
    }
    if actual != Pen::default() {
        out.extend_from_slice(b"\x1b[0m");
    }
    out
}

/// Takes an SGR sequence's parameters up. False: there is something in it that is not known here.
fn set(pen: &mut Pen, parameters: &[u8], depth: Depth) -> bool {
    let Ok(text) = std::str::from_utf8(parameters) else { return false };
    let mut next = pen.clone();
    let mut numbers = text.split(';');
    while let Some(number) = numbers.next() {
        match number.parse::<u16>() {
            Err(_) if number.is_empty() => next = Pen::default(),
            Ok(0) => next = Pen::default(),
            Ok(n @ 1..=9) => next.attributes |= 1 << n,
            Ok(22) => next.attributes &= !(1 << BOLD | 1 << DIM),
            Ok(n @ (23..=25 | 27..=29)) => next.attributes &= !(1 << (n - 20)),
            Ok(30..=37 | 39 | 90..=97) => next.fg = number.to_owned(),
            Ok(40..=47 | 49 | 100..=107) => next.bg = number.to_owned(),
            Ok(59) => next.line = number.to_owned(),
            Ok(n @ (38 | 48 | 58)) => {
                let Some(colour) = colour(n, &mut numbers, depth) else { return false };
                match n {
                    38 => next.fg = colour,
                    48 => next.bg = colour,
                    _ if depth == Depth::Ansi16 => {}
                    _ => next.line = colour,
                }
            }
            _ => return false,
        }
    }
    *pen = next;
    true
}

fn colour<'a>(which: u16, numbers: &mut impl Iterator<Item = &'a str>, depth: Depth) -> Option<String> {
    match numbers.next()? {
        "5" => {
            let n: u16 = numbers.next()?.parse().ok()?;
            Some(match n {
                0..8 if depth == Depth::Ansi16 && which != 58 => (which - 8 + n).to_string(),
                8..16 if depth == Depth::Ansi16 && which != 58 => (which + 44 + n).to_string(),
                _ => format!("{which};5;{n}"),
            })
        }
        "2" => Some(format!("{which};2;{};{};{}", numbers.next()?, numbers.next()?, numbers.next()?)),
        _ => None,
    }
}

/// Says what differs.
fn catch_up(out: &mut Vec<u8>, wanted: &Pen, actual: &mut Pen, blank: bool) {
    // The colour of what is not written cannot be seen, unless it is reversed or underlined.
    let plain = blank && (wanted.attributes | actual.attributes) & ON_BLANKS == 0;
    let mut said: Vec<String> = Vec::new();
    if wanted.bg != actual.bg {
        said.push(wanted.bg.clone());
        actual.bg.clone_from(&wanted.bg);
    }
    if !plain {
        let gone = actual.attributes & !wanted.attributes;
        if gone & (1 << BOLD | 1 << DIM) != 0 {
            said.push("22".into());
            actual.attributes &= !(1 << BOLD | 1 << DIM);
        }
        said.extend((3..=9u16).filter(|n| gone & (1 << n) != 0).map(|n| if n == 6 { "25".into() } else { (n + 20).to_string() }));
        said.extend((1..=9u16).filter(|n| wanted.has(*n) && !actual.has(*n)).map(|n| n.to_string()));
        actual.attributes = wanted.attributes;
        for (now, then) in [(&wanted.fg, &mut actual.fg), (&wanted.line, &mut actual.line)] {
            if now != then {
                said.push(now.clone());
                then.clone_from(now);
            }
        }
    }
    if said.is_empty() {
        return;
    }
    // Nothing set is shorter than the list of what is not.
    let all = if *actual == Pen::default() { "0".to_owned() } else { said.join(";") };
    out.extend_from_slice(format!("\x1b[{all}m").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str, depth: Depth) -> String {
        String::from_utf8(shorten(text.as_bytes(), depth)).unwrap()
    }

    #[test]
    fn only_what_differs_is_said() {
        assert_eq!(
            short("\x1b[38;2;1;2;3;48;2;4;5;6ma\x1b[38;2;1;2;3;48;2;9;9;9mb", Depth::True),
            "\x1b[48;2;4;5;6;38;2;1;2;3ma\x1b[48;2;9;9;9mb\x1b[0m"
        );
        assert_eq!(short("\x1b[31ma\x1b[39m \x1b[31mb", Depth::True), "\x1b[31ma b\x1b[0m");
        assert_eq!(short("\x1b[1mx\x1b[22m\x1b[2my\x1b[0m", Depth::True), "\x1b[1mx\x1b[22;2my\x1b[0m");
        assert_eq!(short("a\x1b[39m\x1b[49m\x1b[59m\x1b[0m\x1b[?25l", Depth::True), "a\x1b[?25l");
        assert_eq!(short("\x1b[4m \x1b[24m ", Depth::True), "\x1b[4m \x1b[0m ");
        assert_eq!(short("\x1b[3;4Hé\x1b[", Depth::True), "\x1b[3;4Hé\x1b[");
    }

    #[test]
    fn sixteen_colours_are_written_in_their_own_numbers() {
        assert_eq!(short("\x1b[38;5;9;48;5;12mx", Depth::Ansi16), "\x1b[104;91mx\x1b[0m");
        assert_eq!(short("\x1b[38;5;1mx", Depth::Ansi16), "\x1b[31mx\x1b[0m");
        assert_eq!(short("\x1b[38;5;1mx", Depth::Ansi256), "\x1b[38;5;1mx\x1b[0m");
        assert_eq!(short("\x1b[58;5;1mx", Depth::Ansi16), "x");
    }

    #[test]
    fn what_is_of_one_colour_is_written_together_unless_it_lies_over_something_else() {
        let row = |y: usize| format!("\x1b[{y};1H\x1b[38;2;1;2;3mlabel\x1b[{y};20H\x1b[38;2;9;9;9mvalue{y}");
        let frame: String = (1..6).map(row).collect();
        let out = short(&frame, Depth::True);
        assert_eq!(out.matches("\x1b[38;2").count(), 2, "{out:?}");
        assert!(out.len() < 200 && out.find("label") < out.find("value1") && out.rfind("label") < out.find("value1"));
        // The cursor's own place stays last.
        assert!(short(&format!("{frame}\x1b[?25h\x1b[3;9H"), Depth::True).ends_with("\x1b[?25h\x1b[3;9H"));
        let over = format!("{frame}\x1b[1;2H\x1b[38;2;1;2;3mX");
        assert!(short(&over, Depth::True).find("value5") < short(&over, Depth::True).find('X'));
    }

    #[test]
    fn the_picture_stays_the_same() {
        let mut seed = 3u32;
        let mut random = |n: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % n
        };
        let codes = [
            "0",
            "1",
            "22",
            "4",
            "24",
            "7",
            "27",
            "3",
            "23",
            "31",
            "39",
            "42",
            "49",
            "38;5;200",
            "48;5;17",
            "38;2;1;2;3",
            "48;2;7;8;9",
        ];
        for round in 0..600 {
            let mut frame = String::new();
            // In every other round each row is written once, from left to right, as the drawing library does it.
            for (y, x) in (1..=10).flat_map(|y| [1, 14, 27].map(|x| (y, x))).filter(|_| round % 2 == 0) {
                let code = codes[random(codes.len() as u32) as usize];
                frame.push_str(&format!(
                    "\x1b[{y};{}H\x1b[{code}m{}",
                    x + random(4),
                    ["ab", "é─", "日", " x "][random(4) as usize]
                ));
            }
            for _ in 0..200 * (round % 2) {
                match random(4) {
                    0 => frame.push_str(&format!("\x1b[{};{}H", random(10) + 1, random(40) + 1)),
                    1 => frame.push_str(&format!("\x1b[{}m", codes[random(codes.len() as u32) as usize])),
                    2 => frame.push(' '),
                    _ => frame.push(char::from(b'a' + random(26) as u8)),
                }
            }
            let size = |n| std::num::NonZeroU16::new(n).unwrap();
            let (mut one, mut two) = (vt100::Parser::new(size(10), size(40), 0), vt100::Parser::new(size(10), size(40), 0));
            one.process(frame.as_bytes());
            two.process(&shorten(frame.as_bytes(), Depth::True));
            for (row, column) in (0..10).flat_map(|r| (0..40).map(move |c| (r, c))) {
                let (a, b) = (one.screen().cell(row, column).unwrap(), two.screen().cell(row, column).unwrap());
                assert_eq!((a.contents().trim(), a.bgcolor()), (b.contents().trim(), b.bgcolor()));
                assert_eq!((a.underline(), a.inverse()), (b.underline(), b.inverse()));
                if !a.contents().trim().is_empty() || a.inverse() || a.underline() {
                    assert_eq!((a.fgcolor(), a.bold(), a.italic()), (b.fgcolor(), b.bold(), b.italic()), "{frame:?}");
                }
            }
        }
    }
}
