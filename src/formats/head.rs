//! What sniffs share: the lines of a file's head, and the share of them that a format can read.
//!
//! Knows no format.

/// Longest head that ingest gives.
const HEAD: usize = 64 * 1024;
/// Lines that a sniff looks at.
const LINES: usize = 60;

/// The head without a byte order mark.
pub(super) fn plain(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

/// The first lines that are not blank, without their ends. A last line that the head cuts is left out unless it is the only one.
pub(super) fn lines(head: &[u8]) -> Vec<&[u8]> {
    let head = plain(head);
    let whole = match memchr::memrchr(b'\n', head) {
        Some(end) if head.len() >= HEAD - 3 => &head[..end],
        _ => head,
    };
    whole
        .split(|b| *b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l))
        .filter(|l| !l.trim_ascii().is_empty())
        .take(LINES)
        .collect()
}

/// Whether a line of JSON holds documents of a search engine: what is inside of them is not a line of the log itself.
pub(super) fn is_export(line: &str) -> bool {
    line.contains("\"_source\":")
}

/// Whether at least `percent` of the head's lines pass a test, and at least one does.
pub(super) fn most(head: &[u8], percent: usize, mut test: impl FnMut(&str) -> bool) -> bool {
    let lines = lines(head);
    let passed = lines.iter().filter(|l| test(&String::from_utf8_lossy(l))).count();
    passed > 0 && passed * 100 >= lines.len() * percent
}
