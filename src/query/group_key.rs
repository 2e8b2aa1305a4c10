//! The values that a group is of, as bytes that a table is keyed by, and back.

use crate::model::{Time, Value};

type Row = Vec<Option<Value>>;

/// Adds a value to a key.
pub(super) fn encode(value: &Option<Value>, out: &mut Vec<u8>) {
    match value {
        None => out.push(0),
        Some(Value::Bool(b)) => out.extend([1, u8::from(*b)]),
        Some(Value::Uint(n)) => {
            out.push(2);
            out.extend(n.to_le_bytes());
        }
        Some(Value::Float(x)) => {
            out.push(3);
            out.extend(x.to_bits().to_le_bytes());
        }
        Some(Value::Text(t)) => {
            out.push(4);
            out.extend((t.len() as u32).to_le_bytes());
            out.extend(t.as_bytes());
        }
        Some(Value::Addr(std::net::IpAddr::V4(a))) => {
            out.push(5);
            out.extend(a.octets());
        }
        Some(Value::Addr(std::net::IpAddr::V6(a))) => {
            out.push(6);
            out.extend(a.octets());
        }
        Some(Value::Time(t)) => {
            out.push(7);
            out.extend(t.0.to_le_bytes());
        }
    }
}

/// The values of a key.
pub(super) fn decode(mut key: &[u8]) -> Row {
    fn take<const N: usize>(key: &mut &[u8]) -> [u8; N] {
        let (head, rest) = key.split_first_chunk::<N>().map_or(([0; N], &[][..]), |(h, r)| (*h, r));
        *key = rest;
        head
    }
    let mut row = Row::new();
    while let Some((tag, rest)) = key.split_first() {
        key = rest;
        row.push(match tag {
            1 => Some(Value::Bool(take::<1>(&mut key)[0] != 0)),
            2 => Some(Value::Uint(u64::from_le_bytes(take(&mut key)))),
            3 => Some(Value::Float(f64::from_bits(u64::from_le_bytes(take(&mut key))))),
            4 => {
                let len = (u32::from_le_bytes(take(&mut key)) as usize).min(key.len());
                let (text, rest) = key.split_at(len);
                key = rest;
                Some(Value::text(String::from_utf8_lossy(text)))
            }
            5 => Some(Value::Addr(take::<4>(&mut key).into())),
            6 => Some(Value::Addr(take::<16>(&mut key).into())),
            7 => Some(Value::Time(Time(i64::from_le_bytes(take(&mut key))))),
            _ => None,
        });
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_they_were() {
        let row: Row = vec![
            None,
            Some(Value::Bool(true)),
            Some(Value::Uint(u64::MAX)),
            Some(Value::Float(-0.5)),
            Some(Value::text("é")),
            Some(Value::Addr([1, 2, 3, 4].into())),
            Some(Value::Addr([7u16; 8].into())),
            Some(Value::Time(Time(-1))),
        ];
        let mut key = Vec::new();
        row.iter().for_each(|v| encode(v, &mut key));
        assert_eq!(decode(&key), row);
    }
}
