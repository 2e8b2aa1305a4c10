//! What text forms of flow records share: a header that names columns, columns that are fields, protocols and ports of which ICMP's are its type
//! and code, flags as letters, spans.
//!
//! Knows no format.

use super::draft::{self, Draft};
use crate::model::field::{self, FieldId};
use crate::model::proto;
use crate::model::time::Time;

/// Columns of a header by position.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    names: Vec<String>,
}

impl Columns {
    /// Of the names in order.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Columns {
        Columns { names: names.into_iter().map(|n| n.as_ref().trim().to_owned()).collect() }
    }
    /// Whether there is a column.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }
    /// A row: its cells by name.
    pub fn row<'a, C: AsRef<str>>(&'a self, cells: &'a [C]) -> Row<'a> {
        let pairs = self.names.iter().map(String::as_str).zip(cells.iter().map(|c| c.as_ref().trim()));
        Row { cells: pairs.filter(|(name, _)| !name.is_empty()).collect() }
    }
}

/// A row of a table.
pub(super) struct Row<'a> {
    cells: Vec<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    /// Takes the first cell of these names out; empty: there is none.
    pub fn take(&mut self, names: &[&str]) -> &'a str {
        let mut found = "";
        for name in names {
            if let Some(at) = self.cells.iter().position(|(n, v)| n == name && !v.is_empty()) {
                found = self.cells.remove(at).1;
                break;
            }
        }
        found
    }
    /// The cell of a name.
    pub fn get(&self, name: &str) -> &'a str {
        self.cells.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }
    /// Gives the cells of a table to their fields, and keeps the others under their names, but for those that `none` says to be nothing.
    pub fn give(self, table: &[(&str, FieldId)], none: impl Fn(&str, &str) -> bool, d: &mut Draft) {
        for (name, value) in self.cells {
            if value.is_empty() || none(name, value) {
                continue;
            }
            match table.iter().find(|(n, _)| *n == name) {
                Some((_, id)) => d.put_or_keep(*id, name, value),
                None if value.bytes().all(|b| b.is_ascii_digit()) && value.len() < 16 && !value.starts_with('0') => {
                    d.keep_json(name, value)
                }
                None => d.keep(name, value),
            }
        }
    }
}

/// Gives the protocol, by name or number.
pub(super) fn protocol(d: &mut Draft, text: &str) {
    match proto::parse(text) {
        Some(n) => _ = d.uint(field::PROTO, u64::from(n)),
        None => d.keep("proto", text),
    }
}

/// Whether the protocol is ICMP.
pub(super) fn is_icmp(d: &Draft) -> bool {
    matches!(d.record.uint(field::PROTO), Some(p) if p == u64::from(proto::ICMP) || p == u64::from(proto::ICMP6))
}

/// Gives ports. Of ICMP type and code: in the destination's port as one number (`2048`), as two (`8.0`, `8/0`), or in both.
pub(super) fn ports(d: &mut Draft, source: &str, destination: &str) {
    if is_icmp(d) {
        let two = destination.split_once(['.', '/']).and_then(|(k, c)| Some((k.parse().ok()?, c.parse().ok()?)));
        let one = || destination.parse::<u64>().ok().filter(|_| matches!(source, "0" | "")).map(|n| (n >> 8, n & 0xff));
        if let Some((kind, code)) = two.or_else(one).filter(|(k, c)| *k < 256 && *c < 256) {
            return d.icmp(kind, code);
        }
    }
    d.put_or_keep(field::SRC_PORT, "src.port", source);
    d.put_or_keep(field::DST_PORT, "dst.port", destination);
}

/// TCP flags in whatever order and with whatever stands for those that are not set, as letters in the order of their bits; also of a number.
pub(super) fn flags(text: &str) -> String {
    let number = match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    };
    if let Some(bits) = number {
        return super::netflow::bytes::flags(bits);
    }
    // nfdump writes W for CWR.
    let has = |c: char| text.chars().any(|t| t == c || c == 'C' && t == 'W');
    "FSRPAUEC".chars().filter(|c| has(*c)).collect()
}

/// Sets the last instant: `end`, or so many seconds after the first, whichever is later; a record is never shorter than it says.
pub(super) fn until(d: &mut Draft, end: Option<Time>, seconds: &str) {
    let lasting = draft::seconds(seconds).and_then(|n| i64::try_from(n).ok());
    let start = d.record.start;
    let after = lasting.map(|n| start.plus(n));
    d.record.end = [end, after].into_iter().flatten().max().unwrap_or(start).max(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_order_whoever_writes_them() {
        assert_eq!(flags("...AP.SF"), "FSPA");
        assert_eq!(flags("FSPA  "), "FSPA");
        assert_eq!(flags("0x13"), "FSA");
        assert_eq!(flags("2"), "S");
        assert_eq!(flags("........"), "");
        assert_eq!(flags("WE.A..S."), "SAEC");
    }
}
