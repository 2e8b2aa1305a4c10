//! A frame's bytes with only those colour sequences that change something, neighbours joined: on a slow link a change of colour costs more
//! than the word that it colours. Moves within a line are written relative. Knows ECMA-48 SGR (`CSI ... m`) and CUP (`CSI y ; x H`, which
//! becomes CUF or CHA); everything else passes as it is.

/// The colours that the terminal has, the ones that it should have, and other attributes to be sent before the next text.
#[derive(Default)]
struct Colours {
    fg: Option<String>,
    bg: Option<String>,
    next_fg: Option<String>,
    next_bg: Option<String>,
    others: Vec<String>,
}

impl Colours {
    fn take(&mut self, body: &str) {
        let parts: Vec<&str> = body.split(';').collect();
        let mut at = 0;
        while at < parts.len() {
            let n = parts[at].parse::<u16>().unwrap_or(0);
            let len = match (n, parts.get(at + 1).copied()) {
                (38 | 48 | 58, Some("2")) => 5,
                (38 | 48 | 58, Some("5")) => 3,
                _ => 1,
            }
            .min(parts.len() - at);
            let whole = parts[at..at + len].join(";");
            match n {
                // Everything before a reset was for nothing.
                0 => {
                    self.others = vec!["0".into()];
                    (self.fg, self.bg) = (Some("39".into()), Some("49".into()));
                    (self.next_fg, self.next_bg) = (None, None);
                }
                30..=39 | 90..=97 => self.next_fg = Some(whole),
                40..=49 | 100..=107 => self.next_bg = Some(whole),
                _ => self.others.push(whole),
            }
            at += len;
        }
    }
    fn send(&mut self, out: &mut Vec<u8>) {
        let mut parts = std::mem::take(&mut self.others);
        for (now, next) in [(&mut self.fg, &mut self.next_fg), (&mut self.bg, &mut self.next_bg)] {
            if let Some(next) = next.take()
                && now.as_ref() != Some(&next)
            {
                parts.push(next.clone());
                *now = Some(next);
            }
        }
        if !parts.is_empty() {
            out.extend_from_slice(b"\x1b[");
            out.extend_from_slice(parts.join(";").as_bytes());
            out.push(b'm');
        }
    }
}

/// Where the cursor stands, as far as that is certain.
#[derive(Default)]
struct Place {
    row: Option<usize>,
    column: Option<usize>,
}

impl Place {
    /// Text was written: of ASCII the columns are known.
    fn wrote(&mut self, text: &[u8]) {
        self.column = self.column.filter(|_| text.iter().all(|b| (0x20..0x7f).contains(b))).map(|c| c + text.len());
    }
    /// The shortest way to a place.
    fn go(&mut self, row: usize, column: usize) -> String {
        let way = match (self.row == Some(row), self.column) {
            (true, Some(now)) if now == column => String::new(),
            (true, Some(now)) if now + 1 == column => "\x1b[C".into(),
            (true, Some(now)) if now < column => format!("\x1b[{}C", column - now),
            (true, _) => format!("\x1b[{column}G"),
            (false, _) => format!("\x1b[{row};{column}H"),
        };
        (self.row, self.column) = (Some(row), Some(column));
        way
    }
}

/// The same frame with fewer bytes.
pub fn spare(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut colours = Colours::default();
    let mut place = Place::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = memchr::memmem::find(rest, b"\x1b[").unwrap_or(rest.len());
        if at > 0 {
            colours.send(&mut out);
            out.extend_from_slice(&rest[..at]);
            place.wrote(&rest[..at]);
            rest = &rest[at..];
            continue;
        }
        let len = rest[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map_or(rest.len(), |n| n + 3);
        let sequence = &rest[..len];
        rest = &rest[len..];
        let plain = sequence[2..len - 1].iter().all(|b| b.is_ascii_digit() || *b == b';');
        if len > 2 && sequence[len - 1] == b'm' && plain {
            colours.take(&String::from_utf8_lossy(&sequence[2..len - 1]));
        } else if let Some((row, column)) = cup(sequence) {
            out.extend_from_slice(place.go(row, column).as_bytes());
        } else {
            if !sequence.starts_with(b"\x1b[?") {
                place = Place::default();
            }
            // Moving the cursor writes nothing: colours can wait for the text behind it.
            out.extend_from_slice(sequence);
        }
    }
    colours.send(&mut out);
    out
}

fn cup(sequence: &[u8]) -> Option<(usize, usize)> {
    let body = std::str::from_utf8(sequence.strip_prefix(b"\x1b[")?.strip_suffix(b"H")?).ok()?;
    let (row, column) = body.split_once(';')?;
    Some((row.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spared(text: &str) -> String {
        String::from_utf8_lossy(&spare(text.as_bytes())).into_owned()
    }

    #[test]
    fn only_what_changes_is_sent_and_neighbours_are_joined() {
        assert_eq!(
            spared("\x1b[38;2;1;2;3;48;2;9;9;9ma\x1b[38;2;4;5;6;48;2;9;9;9mb"),
            "\x1b[38;2;1;2;3;48;2;9;9;9ma\x1b[38;2;4;5;6mb"
        );
        assert_eq!(spared("\x1b[1m\x1b[31mx\x1b[5;7H\x1b[31my\x1b[5;9Hz"), "\x1b[1;31mx\x1b[5;7Hy\x1b[Cz");
        assert_eq!(spared("\x1b[31mx\x1b[39m\x1b[49m\x1b[0m"), "\x1b[31mx\x1b[0m");
        assert_eq!(spared("a\x1b[0mb\x1b[39mc"), "a\x1b[0mbc");
    }

    #[test]
    fn the_screen_is_the_same() {
        let frames = [
            "\x1b[2;3H\x1b[38;5;9;48;5;12mab\x1b[22m\x1b[39mc\x1b[1;1H\x1b[4mu\x1b[24m\x1b[38;5;9mz\x1b[0m q",
            "\x1b[2;3Habc\x1b[2;8Hd\x1b[2;10He\x1b[2;1Hf\x1b[2;4H\u{2500}\x1b[2;6Hg\x1b[3;20Hz\x1b[3;1Hy",
            "\x1b[?25l\x1b[31;41mx\x1b[7my\x1b[27m\x1b[32mz\x1b[39m\x1b[49m\x1b[59m\x1b[0m",
        ];
        for frame in frames {
            let screen = || vt100::Parser::new(5.try_into().unwrap(), 20.try_into().unwrap(), 0);
            let (mut plain, mut thrifty) = (screen(), screen());
            plain.process(frame.as_bytes());
            thrifty.process(&spare(frame.as_bytes()));
            assert_eq!(plain.screen().contents_formatted(), thrifty.screen().contents_formatted());
        }
    }
}
