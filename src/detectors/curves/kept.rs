//! How the days of a curve are kept: of each those bins that have anything.

use super::{Cells, METRICS, SLOTS};
use serde::{Deserialize, Deserializer, Serializer};
use std::collections::BTreeMap;

/// Bins of a day, by their number.
type Bins = Vec<(u16, [f32; METRICS])>;

pub(super) fn serialize<S: Serializer>(days: &BTreeMap<i32, Cells>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(days.iter().map(|(day, cells)| {
        // By their bits: what is not a number is something too.
        let has = |row: &[f32; METRICS]| row.iter().any(|v| v.to_bits() != 0);
        let bins: Bins = (0u16..).zip(cells.iter()).filter(|(_, row)| has(row)).map(|(n, row)| (n, *row)).collect();
        (*day, bins)
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<i32, Cells>, D::Error> {
    let days: Vec<(i32, Bins)> = Vec::deserialize(from)?;
    let mut out = BTreeMap::new();
    for (day, bins) in days {
        let mut cells: Cells = Box::new([[0.0; METRICS]; SLOTS]);
        for (n, row) in bins {
            if let Some(cell) = cells.get_mut(usize::from(n)) {
                *cell = row;
            }
        }
        out.insert(day, cells);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize, Deserialize)]
    struct Of(#[serde(with = "super")] BTreeMap<i32, Cells>);

    #[test]
    fn days_come_back_as_they_were_and_empty_bins_take_no_room() {
        let mut cells: Cells = Box::new([[0.0; METRICS]; SLOTS]);
        (cells[0][1], cells[287][9], cells[7][0]) = (1.5, -2.0, -0.0);
        let bytes = postcard::to_stdvec(&Of(BTreeMap::from([(20_777, cells.clone()), (-3, cells.clone())]))).unwrap();
        assert!(bytes.len() < 300, "{}", bytes.len());
        let Of(back) = postcard::from_bytes(&bytes).unwrap();
        let bits = |c: &Cells| c.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(back.keys().copied().collect::<Vec<_>>(), [-3, 20_777]);
        assert!(back.values().all(|c| bits(c) == bits(&cells)));
    }
}
