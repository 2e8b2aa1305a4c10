//! Searching in bytes: of a packet, of what a side of a flow said.

/// What is searched: the text, or of `0x4d5a` the bytes.
pub fn wanted(needle: &str) -> Vec<u8> {
    let hex = needle.strip_prefix("0x").filter(|h| !h.is_empty() && h.len() % 2 == 0 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    match hex {
        Some(digits) => (0..digits.len()).step_by(2).filter_map(|n| u8::from_str_radix(&digits[n..n + 2], 16).ok()).collect(),
        None => needle.as_bytes().to_vec(),
    }
}

/// Where bytes stand in others from a place on, letters compared without case.
pub fn position(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let (first, others) = needle.split_first()?;
    let mut at = 0;
    while let Some(n) = memchr::memchr2(first.to_ascii_lowercase(), first.to_ascii_uppercase(), rest.get(at..)?) {
        let start = at + n;
        let end = start + 1 + others.len();
        if rest.get(start + 1..end)?.eq_ignore_ascii_case(others) {
            return Some(from + start);
        }
        at = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_is_text_in_any_case_or_bytes() {
        assert_eq!(wanted("0x4d5a"), b"MZ");
        assert_eq!(wanted("0x4d5"), b"0x4d5");
        assert_eq!(position(b"xxGET /", &wanted("get"), 0), Some(2));
        assert_eq!(position(b"aXaab", b"aB", 1), Some(3));
        assert_eq!(position(b"a", b"", 0), None);
        assert_eq!(position(b"a", b"a", 9), None);
        assert_eq!(position(b"aa", b"aab", 0), None);
    }
}
