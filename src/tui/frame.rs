//! What a frame costs on the line: the same picture in fewer bytes. The drawing library says both colours and underline anew with every
//! change of either; here only what differs is said, and of a blank only what can be seen of it (ECMA-48 SGR, xterm's 38 and 48).

use super::terminal::Depth;

/// What text is drawn in: parameters of SGR as text; attributes as bits of their numbers 1 to 9.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The same frame in fewer bytes. It begins and ends with nothing set; with 16 colours these are written in their own numbers, which
/// terminals without 256 understand.
pub fn shorten(bytes: &[u8], depth: Depth) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut wanted, mut actual) = (Pen::default(), Pen::default());
    let mut rest = bytes;
    while let Some((first, more)) = rest.split_first() {
        if rest.starts_with(b"\x1b[") {
            let len = rest[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map_or(rest.len(), |n| n + 3);
            let (sequence, after) = rest.split_at(len);
            rest = after;
            let last = sequence.last().copied().unwrap_or_default();
            if last == b'm' && set(&mut wanted, &sequence[2..len - 1], depth) {
                continue;
            }
            // To move needs no colours; all else may use them.
            if last != b'H' {
                catch_up(&mut out, &wanted, &mut actual, false);
            }
            out.extend_from_slice(sequence);
            continue;
        }
        if *first >= b' ' {
            catch_up(&mut out, &wanted, &mut actual, *first == b' ');
        }
        out.push(*first);
        rest = more;
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
        for _ in 0..300 {
            let mut frame = String::new();
            for _ in 0..200 {
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
