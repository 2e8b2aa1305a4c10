//! Moves of the cursor within a line, written relative: half as long as by row and column. Knows CUP (`CSI y ; x H`), which becomes CUF or
//! CHA (ECMA-48), and SGR, which moves nothing; behind anything else the cursor's place is taken as unknown.

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

/// The same frame with shorter moves.
pub fn shorten(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut place = Place::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = memchr::memmem::find(rest, b"\x1b[").unwrap_or(rest.len());
        if at > 0 {
            out.extend_from_slice(&rest[..at]);
            place.wrote(&rest[..at]);
            rest = &rest[at..];
            continue;
        }
        let len = rest[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map_or(rest.len(), |n| n + 3);
        let (sequence, after) = rest.split_at(len);
        rest = after;
        match cup(sequence) {
            Some((row, column)) => out.extend_from_slice(place.go(row, column).as_bytes()),
            None => {
                if sequence.last() != Some(&b'm') && !sequence.starts_with(b"\x1b[?") {
                    place = Place::default();
                }
                out.extend_from_slice(sequence);
            }
        }
    }
    out
}

/// Row and column of a CUP.
pub fn cup(sequence: &[u8]) -> Option<(usize, usize)> {
    let body = std::str::from_utf8(sequence.strip_prefix(b"\x1b[")?.strip_suffix(b"H")?).ok()?;
    let (row, column) = body.split_once(';')?;
    Some((row.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_the_same_and_moves_are_shorter() {
        let frame = "\x1b[2;3Habc\x1b[2;8H\x1b[31md\x1b[2;10He\x1b[2;1Hf\x1b[2;4H\u{2500}\x1b[2;6Hg\x1b[3;20Hz\x1b[3;1Hy\x1b[2J\x1b[3;3Hk";
        let short = shorten(frame.as_bytes());
        assert!(short.len() < frame.len());
        let screen = || vt100::Parser::new(5.try_into().unwrap(), 20.try_into().unwrap(), 0);
        let (mut plain, mut moved) = (screen(), screen());
        plain.process(frame.as_bytes());
        moved.process(&short);
        assert_eq!(plain.screen().contents_formatted(), moved.screen().contents_formatted());
        assert_eq!(shorten(b"\x1b[5;7Hy\x1b[1m\x1b[5;9Hz\x1b[5;10Hq"), b"\x1b[5;7Hy\x1b[1m\x1b[Czq");
    }
}
