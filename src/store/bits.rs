//! A set of row numbers of one block as bits. Knows nothing of what the rows are.

/// Bits of a fixed number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u64>,
    rows: usize,
}

impl Bits {
    /// No row of `rows`.
    pub fn none(rows: usize) -> Bits {
        Bits { words: vec![0; rows.div_ceil(64)], rows }
    }
    /// Every row of `rows`.
    pub fn all(rows: usize) -> Bits {
        let mut bits = Bits { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        if !rows.is_multiple_of(64)
            && let Some(last) = bits.words.last_mut()
        {
            *last = (1 << (rows % 64)) - 1;
        }
        bits
    }
    /// How many rows it speaks of.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Takes a row in; beyond the end nothing happens.
    pub fn set(&mut self, row: usize) {
        if row < self.rows {
            self.words[row / 64] |= 1 << (row % 64);
        }
    }
    /// Takes a row out.
    pub fn clear(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            *word &= !(1 << (row % 64));
        }
    }
    /// Whether a row is in.
    pub fn has(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1)
    }
    /// How many rows are in.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }
    /// Whether no row is in.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }
    /// Only rows that are in both.
    pub fn and(mut self, other: &Bits) -> Bits {
        for (i, w) in self.words.iter_mut().enumerate() {
            *w &= other.words.get(i).copied().unwrap_or(0);
        }
        self
    }
    /// Rows that are in either.
    pub fn or(mut self, other: &Bits) -> Bits {
        for (w, o) in self.words.iter_mut().zip(&other.words) {
            *w |= o;
        }
        self
    }
    /// Rows that are in this and not in the other.
    pub fn without(mut self, other: &Bits) -> Bits {
        for (w, o) in self.words.iter_mut().zip(&other.words) {
            *w &= !o;
        }
        self
    }
    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, w)| {
            let mut word = *w;
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let bit = word.trailing_zeros() as usize;
                word &= word - 1;
                Some(i * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_and_all_ends_at_the_last_row() {
        let mut b = Bits::none(130);
        for r in [129, 0, 64, 63, 500] {
            b.set(r);
        }
        assert_eq!(b.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(Bits::all(130).count(), 130);
        assert_eq!(Bits::all(130).without(&b).count(), 126);
        assert_eq!(Bits::all(128).count(), 128);
    }
}
