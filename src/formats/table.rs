//! Rows of a text table: cells between separators, quoted as RFC 4180 has it, and header names made comparable.
//!
//! Knows no columns.

use std::borrow::Cow;

/// Most cells of a row that are read.
const CELLS_MAX: usize = 1024;

/// The separator that a header line uses: the one of comma, semicolon, tab, bar that it has most of.
pub(super) fn separator(header: &str) -> Option<u8> {
    b",;\t|"
        .iter()
        .copied()
        .map(|s| (memchr::memchr_iter(s, header.as_bytes()).count(), s))
        .filter(|(n, _)| *n > 0)
        .max_by_key(|(n, _)| *n)
        .map(|(_, s)| s)
}

/// The cells of a row. `None`: a quote is open at its end, so the next line belongs to it.
pub(super) fn cells(row: &str, separator: u8) -> Option<Vec<Cow<'_, str>>> {
    let bytes = row.as_bytes();
    let mut cells = Vec::new();
    let mut at = 0;
    while cells.len() < CELLS_MAX {
        while separator != b' ' && bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        if bytes.get(at) == Some(&b'"') {
            let mut from = at + 1;
            let mut cell = Cow::Borrowed("");
            loop {
                let quote = from + memchr::memchr(b'"', bytes.get(from..)?)?;
                cell += &row[from..quote];
                from = quote + 1;
                if bytes.get(from) != Some(&b'"') {
                    break;
                }
                cell += "\"";
                from += 1;
            }
            let next = memchr::memchr(separator, &bytes[from..]).map(|n| from + n);
            cell += row[from..next.unwrap_or(row.len())].trim_end();
            cells.push(cell);
            match next {
                Some(next) => at = next + 1,
                None => break,
            }
        } else {
            match memchr::memchr(separator, &bytes[at..]) {
                Some(n) => {
                    cells.push(Cow::Borrowed(row[at..at + n].trim()));
                    at += n + 1;
                }
                None => {
                    cells.push(Cow::Borrowed(row[at..].trim()));
                    break;
                }
            }
        }
    }
    Some(cells)
}

/// A column's name in lower case with `_` for whatever separates its words.
pub(super) fn plain_name(name: &str) -> String {
    let mut plain = String::new();
    for c in name.trim().trim_start_matches(['#', ' ']).trim_matches('"').chars() {
        if c.is_alphanumeric() {
            plain.extend(c.to_lowercase());
        } else if !plain.ends_with('_') && !plain.is_empty() {
            plain.push('_');
        }
    }
    plain.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_hold_separators_and_quotes() {
        assert_eq!(cells(r#"a, "b,""c""" ,,d"#, b',').unwrap(), ["a", "b,\"c\"", "", "d"]);
        assert_eq!(cells("", b',').unwrap(), [""]);
        assert!(cells("a,\"open", b',').is_none());
    }

    #[test]
    fn names_are_made_comparable() {
        assert_eq!(plain_name("# \"First Seen (UTC)\""), "first_seen_utc");
        assert_eq!(plain_name("IP-Address"), "ip_address");
    }
}
