//! Columns come back as they went in, whole or some rows of them; damage is an error.

use super::*;

fn round(builder: &Builder, variant: Variant, rows: usize) -> Column {
    let mut out = Vec::new();
    builder.encode(rows, &mut out);
    let all = decode(variant, &out, rows, &Arc::default()).unwrap();
    for some in [(0..rows).collect::<Vec<_>>(), (0..rows).step_by(2).collect(), rows.checked_sub(1).into_iter().collect()] {
        let few = decode_some(variant, &out, rows, &Arc::default(), &some).unwrap();
        let values = |c: &Column, row| c.range(row).map(|i| c.value(i)).collect::<Vec<_>>();
        for (n, row) in some.iter().enumerate() {
            assert_eq!(values(&few, n), values(&all, *row));
            assert_eq!(values(&all.pick(&some), n), values(&all, *row));
        }
    }
    all
}

#[test]
fn rows_with_none_one_and_many_values_come_back() {
    let mut b = Builder::new(Variant::Text);
    for (row, text) in [(1, "a"), (1, "b"), (3, "a"), (3, "c"), (3, "b")] {
        b.push_text(row, text);
    }
    let c = round(&b, Variant::Text, 5);
    let all: Vec<Vec<_>> = (0..5).map(|r| c.range(r).filter_map(|i| c.value(i)).map(|v| v.to_string()).collect()).collect();
    assert_eq!(all, [vec![], vec!["a", "b"], vec![], vec!["a", "c", "b"], vec![]]);
}

#[test]
fn every_form_of_numbers_comes_back() {
    for values in
        [vec![7, 7, 7], vec![0, 255, 3], vec![0, 65_535, 3], vec![1 << 40, 5, 0], vec![2_000_000, 70_000, u64::MAX], vec![]]
    {
        let mut b = Builder::new(Variant::Uint);
        values.iter().enumerate().for_each(|(i, n)| b.push_uint(i as u32, *n));
        assert_eq!(round(&b, Variant::Uint, values.len()).uints(), values);
    }
    for values in [vec![i64::MIN, i64::MAX, 0], vec![1_000, 5_000, -3_000], vec![1, 2, 3]] {
        let mut b = Builder::new(Variant::Time);
        values.iter().enumerate().for_each(|(i, n)| b.push_time(i as u32, *n));
        assert_eq!(round(&b, Variant::Time, values.len()).times(), values);
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let mut b = Builder::new(Variant::Text);
    for row in 0..50u32 {
        b.push_text(row / 2, &format!("text {}", row % 7));
    }
    let mut out = Vec::new();
    b.encode(30, &mut out);
    for i in 0..out.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bad = out.clone();
            bad[i] ^= flip;
            for variant in 0..6 {
                let _ = decode_some(Variant::from_u8(variant).unwrap(), &bad, 30, &Arc::default(), &[0, 7, 29]);
                if let Ok(c) = decode(Variant::from_u8(variant).unwrap(), &bad, 30, &Arc::default()) {
                    (0..30).for_each(|r| c.range(r).for_each(|i| drop(c.value(i))));
                }
            }
        }
        let _ = decode(Variant::Text, &out[..i], 30, &Arc::default());
    }
}
