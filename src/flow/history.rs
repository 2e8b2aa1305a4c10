//! Zeek's history letters: upper case the originator, lower case the responder. Some stand once per side, some again when the sequence
//! number differs, some at the 1st, 10th, 100th ... occurrence.

use compact_str::CompactString;

/// Letters that stand once per side.
pub mod once {
    /// S or H.
    pub const SYN: u16 = 1;
    /// F.
    pub const FIN: u16 = 2;
    /// R.
    pub const RST: u16 = 4;
    /// I.
    pub const FIN_RST: u16 = 8;
    /// Q.
    pub const MANY: u16 = 16;
    /// D.
    pub const DATA: u16 = 32;
    /// A.
    pub const ACK: u16 = 64;
    /// X: content passed unread for a bound; upper case whichever side it was.
    pub const PARTIAL: u16 = 128;
}

/// Letters that stand at powers of ten.
#[derive(Debug, Clone, Copy)]
pub enum Scaled {
    /// T: payload sent again.
    Again,
    /// C: wrong checksum.
    Checksum,
    /// W: the receiver's window is closed.
    Window,
    /// G: content missing.
    Gap,
}

/// Longest history kept: hostile input repeats letters at will.
const MAX_LETTERS: usize = 256;

/// The letters of one flow.
#[derive(Debug, Clone, Default)]
pub struct History {
    letters: CompactString,
    seen: [u16; 2],
    counts: [[u32; 4]; 2],
}

impl History {
    /// The letters so far.
    pub fn letters(&self) -> &CompactString {
        &self.letters
    }
    /// Adds a letter of a side.
    pub fn add(&mut self, out: bool, letter: char) {
        if self.letters.len() < MAX_LETTERS {
            self.letters.push(if out { letter } else { letter.to_ascii_lowercase() });
        }
    }
    /// Adds a letter that stands once per side. `true`: it stood there before.
    pub fn once(&mut self, out: bool, bit: u16, letter: char) -> bool {
        let seen = &mut self.seen[usize::from(!out)];
        if *seen & bit != 0 {
            return true;
        }
        *seen |= bit;
        self.add(out, letter);
        false
    }
    /// Counts, and adds the letter at the 1st, 10th, 100th ... time.
    pub fn scaled(&mut self, out: bool, what: Scaled) {
        let count = &mut self.counts[usize::from(!out)][what as usize];
        *count = count.saturating_add(1);
        let mut n = *count;
        while n.is_multiple_of(10) && n > 0 {
            n /= 10;
        }
        if n == 1 {
            self.add(out, ['T', 'C', 'W', 'G'][what as usize]);
        }
    }
    /// The two sides change places: noted with `^`, and what was seen changes sides too. Letters already written stay as they are.
    pub fn flip(&mut self) {
        self.add(true, '^');
        self.seen.swap(0, 1);
        self.counts.swap(0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_letters_stand_at_powers_of_ten() {
        let mut h = History::default();
        for _ in 0..105 {
            h.scaled(false, Scaled::Again);
        }
        assert_eq!(h.letters(), "ttt");
    }

    #[test]
    fn a_history_is_bounded() {
        let mut h = History::default();
        for _ in 0..10_000 {
            h.add(true, 'S');
        }
        assert_eq!(h.letters().len(), MAX_LETTERS);
    }
}
