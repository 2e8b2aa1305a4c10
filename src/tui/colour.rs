//! Colours as themes write them, brought down to what a terminal shows, and their contrast (WCAG 2.1, 1.4.3).

use super::terminal::Depth;
use ratatui::style::Color;

/// A colour of a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The terminal's own foreground or background.
    Default,
    /// One of the 16 of the terminal's palette.
    Ansi(u8),
    /// A colour.
    Rgb(u8, u8, u8),
}

const NAMES: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// The 16 as xterm shows them.
const XTERM: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

impl Colour {
    /// Reads `#c8d0d8`, the name of one of the 16 (`red`, `bright-blue`), or `default`.
    pub fn parse(text: &str) -> Option<Colour> {
        if text == "default" {
            return Some(Colour::Default);
        }
        if let Some(n) = NAMES.iter().position(|n| *n == text) {
            return Some(Colour::Ansi(n as u8));
        }
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let n = u32::from_str_radix(digits, 16).ok()?;
        let [_, r, g, b] = n.to_be_bytes();
        Some(Colour::Rgb(r, g, b))
    }
}

/// The colour as a terminal of a depth shows it: the nearest that it has.
pub fn reduce(colour: Colour, depth: Depth) -> Color {
    let (r, g, b) = match colour {
        _ if depth == Depth::None => return Color::Reset,
        Colour::Default => return Color::Reset,
        Colour::Ansi(n) => return Color::Indexed(n),
        Colour::Rgb(r, g, b) => (r, g, b),
    };
    match depth {
        Depth::None => Color::Reset,
        Depth::True => Color::Rgb(r, g, b),
        Depth::Ansi256 => Color::Indexed(nearest_256(r, g, b)),
        Depth::Ansi16 => {
            let near = (0..16u8).min_by_key(|n| distance((r, g, b), XTERM[usize::from(*n)]));
            Color::Indexed(near.unwrap_or(7))
        }
    }
}

/// The nearest of xterm's colour cube (16 to 231) and greys (232 to 255); the first 16 are the user's own and never taken.
fn nearest_256(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |v: u8| (0..6u8).min_by_key(|n| STEPS[usize::from(*n)].abs_diff(v)).unwrap_or(0);
    let (i, j, k) = (step(r), step(g), step(b));
    let cube = (STEPS[usize::from(i)], STEPS[usize::from(j)], STEPS[usize::from(k)]);
    let average = ((u16::from(r) + u16::from(g) + u16::from(b)) / 3) as u8;
    let grey = average.saturating_sub(3) / 10;
    let grey = grey.min(23);
    let level = 8 + grey * 10;
    if distance((r, g, b), (level, level, level)) < distance((r, g, b), cube) { 232 + grey } else { 16 + 36 * i + 6 * j + k }
}

/// Squared distance, weighted as eyes weigh the three.
fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    3 * square(a.0, b.0) + 4 * square(a.1, b.1) + 2 * square(a.2, b.2)
}

/// Contrast of two 24-bit colours, 1 to 21; none of others.
pub fn contrast(a: Color, b: Color) -> Option<f64> {
    let (a, b) = (luminance(a)?, luminance(b)?);
    Some((a.max(b) + 0.05) / (a.min(b) + 0.05))
}

fn luminance(colour: Color) -> Option<f64> {
    let Color::Rgb(r, g, b) = colour else { return None };
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    Some(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_brought_down_to_the_nearest() {
        let rgb = |text| Colour::parse(text).unwrap();
        assert_eq!(reduce(rgb("#ff0000"), Depth::Ansi256), Color::Indexed(196));
        assert_eq!(reduce(rgb("#808080"), Depth::Ansi256), Color::Indexed(244));
        assert_eq!(reduce(rgb("#5f87af"), Depth::Ansi256), Color::Indexed(67));
        assert_eq!(reduce(rgb("#ff1010"), Depth::Ansi16), Color::Indexed(9));
        assert_eq!(reduce(rgb("red"), Depth::True), Color::Indexed(1));
        assert_eq!(reduce(rgb("default"), Depth::Ansi256), Color::Reset);
        for (n, c) in [(16, "#000000"), (231, "#ffffff")] {
            assert_eq!(reduce(rgb(c), Depth::Ansi256), Color::Indexed(n));
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert_eq!(contrast(Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255)), Some(21.0));
        let grey = contrast(Color::Rgb(0x76, 0x76, 0x76), Color::Rgb(255, 255, 255)).unwrap();
        assert!((4.5..4.6).contains(&grey));
    }

    #[test]
    fn what_is_no_colour_is_refused() {
        for text in ["", "#12345", "#1234567", "#gggggg", "reddish", "#+12345"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
