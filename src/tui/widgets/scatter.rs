//! Points in a field of characters: braille where the terminal has it (two by four dots a cell), else marks.

/// The lines of a picture of points, `width` by `height` cells, the first line on top; the axes reach from the least to the greatest of each.
pub fn lines(points: &[(i64, i64)], width: usize, height: usize, braille: bool) -> Vec<String> {
    let (columns, rows) = if braille { (width * 2, height * 4) } else { (width, height) };
    let bounds = |of: &dyn Fn(&(i64, i64)) -> i64| Some((points.iter().map(of).min()?, points.iter().map(of).max()?));
    let (Some(x), Some(y)) = (bounds(&|p| p.0), bounds(&|p| p.1)) else { return Vec::new() };
    if columns == 0 || rows == 0 {
        return Vec::new();
    }
    let mut dots = vec![false; columns * rows];
    for point in points {
        let (column, row) = (place(point.0, x, columns), rows - 1 - place(point.1, y, rows));
        dots[row * columns + column] = true;
    }
    let is_set = |column: usize, row: usize| dots[row * columns + column];
    let cell = |column: usize, row: usize| match braille {
        false => {
            if is_set(column, row) {
                '*'
            } else {
                ' '
            }
        }
        true => {
            // Unicode numbers the dots down the first column, then the second, then the bottom row.
            const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
            let bit = |c: usize, r: usize| if is_set(column * 2 + c, row * 4 + r) { BITS[c][r] } else { 0 };
            let bits = (0..2).flat_map(|c| (0..4).map(move |r| (c, r))).map(|(c, r)| bit(c, r)).sum::<u32>();
            // Not every font has the empty pattern.
            if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') }
        }
    };
    (0..height).map(|row| (0..width).map(|column| cell(column, row)).collect()).collect()
}

/// Which of `n` places a value has between the least and the greatest.
fn place(value: i64, (least, most): (i64, i64), n: usize) -> usize {
    let span = i128::from(most) - i128::from(least);
    if span == 0 {
        return n / 2;
    }
    let at = (i128::from(value) - i128::from(least)) * (n as i128 - 1) / span;
    usize::try_from(at).unwrap_or(0).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_they_are() {
        let corners = [(0, 0), (9, 9)];
        assert_eq!(lines(&corners, 3, 2, false), ["  *", "*  "]);
        // The first column's lowest dot, the last column's highest.
        assert_eq!(lines(&corners, 2, 1, true), ["\u{2840}\u{2808}"]);
        assert_eq!(lines(&[(5, 5)], 3, 3, false), ["   ", " * ", "   "]);
        assert!(lines(&[], 3, 3, true).is_empty());
        assert!(lines(&corners, 0, 3, true).is_empty());
        assert_eq!(lines(&[(i64::MIN, i64::MIN), (i64::MAX, i64::MAX)], 2, 2, false), [" *", "* "]);
    }
}
