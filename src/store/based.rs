//! Columns that another column of the same block nearly foretells are stored as the difference to it, where that is shorter: payload to IP
//! bytes, a record's length to the distance of the next, starts to ends (rows often come in the order in which they ended).

use super::block::{LEN, OFFSET, SPAN, START};
use super::column::{Builder, Column, Values};
use super::encode::{unzigzag, zigzag};
use crate::model::field;

/// The column that foretells one.
pub fn base_of(column: u16) -> Option<u16> {
    const PAYLOAD_OUT: u16 = field::PAYLOAD_OUT.0;
    const PAYLOAD_IN: u16 = field::PAYLOAD_IN.0;
    match column {
        PAYLOAD_OUT => Some(field::BYTES_OUT.0),
        PAYLOAD_IN => Some(field::BYTES_IN.0),
        LEN => Some(OFFSET),
        START => Some(SPAN),
        _ => None,
    }
}

/// How far the next record is from each; of the last it is not known.
pub fn distances(offsets: &[i64]) -> Vec<u64> {
    let mut out: Vec<u64> = offsets.windows(2).map(|w| w[1].wrapping_sub(w[0]) as u64).collect();
    out.push(0);
    out
}

/// The number of each row of a column, of several the first; 0 where there is none.
pub fn by_row(column: &Builder, rows: usize) -> Vec<u64> {
    let mut out = vec![0; rows];
    for (row, n) in column.rows().iter().zip(column.uints()).rev() {
        if let Some(out) = out.get_mut(*row as usize) {
            *out = *n;
        }
    }
    out
}

/// A column as differences to what is foretold of its rows.
pub fn differences(column: &Builder, foretold: &[u64]) -> Builder {
    let at = |row: &u32| foretold.get(*row as usize).copied().unwrap_or(0);
    let values = column.rows().iter().zip(column.uints());
    column.with_uints(values.map(|(row, v)| zigzag(at(row).wrapping_sub(*v) as i64)).collect())
}

/// Ends from starts and spans (as the span column holds them).
pub fn ends(starts: &[i64], spans: &[u64]) -> Vec<i64> {
    starts.iter().zip(spans).map(|(start, span)| start.wrapping_add(unzigzag(*span))).collect()
}

/// Puts back the values of a column of differences.
pub fn restore(field: u16, column: &mut Column, base: &Column, rows: usize) {
    let distances = if field == LEN { distances(base.times()) } else { Vec::new() };
    for row in 0..rows {
        let range = column.range(row);
        match &mut column.values {
            Values::Uint(v) => {
                let foretold = match field {
                    LEN => distances.get(row).copied(),
                    _ => base.uint(row),
                };
                for value in v.get_mut(range).into_iter().flatten() {
                    *value = foretold.unwrap_or(0).wrapping_sub(unzigzag(*value) as u64);
                }
            }
            Values::Time(v) => {
                let span = unzigzag(base.uint(row).unwrap_or(0));
                v.get_mut(range).into_iter().flatten().for_each(|end| *end = end.wrapping_sub(span));
            }
            _ => {}
        }
    }
}
