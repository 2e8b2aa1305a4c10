//! The name of a source whose content names no sensor: the file's stem without rotation number, date and compression.

use std::path::Path;

/// `conn.2026-11-09.log.gz` -> `conn`, `eve-20261119.json` -> `eve`, `access.log.1` -> `access`, `dump_00003_20261119080000.pcap` -> `dump`.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut rest = name.as_str();
    loop {
        let cut = shorter(rest);
        if cut == rest || cut.is_empty() {
            break;
        }
        rest = cut;
    }
    rest.to_owned()
}

const SUFFIXES: &[&str] = &[
    "gz", "zst", "zstd", "xz", "bz2", "lz4", "log", "json", "jsonl", "ndjson", "txt", "csv", "tsv", "xml", "pcap", "pcapng",
    "cap", "dmp", "ipset", "netset", "nessus", "list", "conf", "out", "raw", "old",
];

/// Takes one ending off: a suffix of the list, a number, a date, a time.
fn shorter(name: &str) -> &str {
    let Some(at) = name.rfind(['.', '-', '_']) else {
        // `dump.pcap12`: a rotation number glued to the suffix.
        return name;
    };
    let (head, tail) = (&name[..at], &name[at + 1..]);
    if head.is_empty() {
        return name;
    }
    let lower = tail.to_ascii_lowercase();
    let glued = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_suffix = name.as_bytes()[at] == b'.' && (SUFFIXES.contains(&lower.as_str()) || SUFFIXES.contains(&glued));
    let is_number = !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let is_clock = lower.len() > 6 && lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b't' | b'z' | b':'));
    if is_suffix || is_number || is_clock { head } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_date_and_compression_are_not_part_of_the_stem() {
        for (name, want) in [
            ("conn.2026-11-09.log.gz", "conn"),
            ("eve-20261119.json", "eve"),
            ("access.log.1", "access"),
            ("access.log.2.gz", "access"),
            ("dump_00003_20261119080000.pcap", "dump"),
            ("dump.pcap12", "dump"),
            ("conn.00:00:00-01:00:00.log.gz", "conn"),
            ("inside.pcapng", "inside"),
            ("gateway-kern.log", "gateway-kern"),
            ("2026-11-19", "2026"),
            ("20261119.pcap", "20261119"),
            ("noext", "noext"),
        ] {
            assert_eq!(stem(Path::new(name)), want, "{name}");
        }
    }
}
