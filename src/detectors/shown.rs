//! How titles and numbers of findings write sizes, shares and spans, and how their queries name what is below a domain.

use crate::model::field;
use crate::query::check::quote;

/// A size in powers of 10, as people read it: `812 B`, `4.1 kB`, `156 MB`.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if size < 999.5 || unit == "TB" {
            let digits = usize::from(unit != "B" && size < 9.95);
            return format!("{size:.digits$} {unit}");
        }
        size /= 1000.0;
    }
    String::new()
}

/// A share in percent: `82 %`.
pub fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// A number with its word: `1 client`, `27 clients`.
pub fn counted(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Some of many texts, in a sentence: `a, b and 4 more`.
pub fn some(list: &[String], most: usize) -> String {
    let shown = list.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The condition that selects a domain and every name below it.
pub fn below(domain: &str) -> String {
    let name = field::name(field::NAME);
    let plain = !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if plain { format!("{name} = *.{domain}") } else { format!("{name} contains {}", quote(domain)) }
}

/// The condition that one field has one of some values.
pub fn one_of(field: &str, values: &[String]) -> String {
    match values {
        [one] => format!("{field} = {one}"),
        more => format!("{field} in {{{}}}", more.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_lists_and_conditions() {
        let sizes: Vec<String> = [0, 812, 4_130, 99_600, 999_700, 156_189_342, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(sizes, ["0 B", "812 B", "4.1 kB", "100 kB", "1.0 MB", "156 MB", "18446744 TB"]);
        assert_eq!(
            (percent(0.824), counted(1, "client"), counted(0, "client")),
            ("82 %".into(), "1 client".into(), "0 clients".into())
        );
        let list: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!((some(&list, 2), some(&list, 3)), ("a, b and 1 more".into(), "a, b, c".into()));
        assert_eq!(one_of("dst.port", &list[..1]), "dst.port = a");
        assert_eq!(one_of("dst.port", &list), "dst.port in {a, b, c}");
        for domain in ["evil.example", "a b\"}.example", ""] {
            assert!(crate::query::parse::parse(&below(domain)).is_ok(), "{}", below(domain));
        }
    }
}
