//! Pieces of a rotation: `access.log`, `access.log.1`, `access.log.2.gz`; `dump_00001_20261119080000.pcap`. A number that is missing between two
//! that are there is said.

use super::stem::stem;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Numbers above are dates or something else.
const MAX_NUMBER: u64 = 99_999;
/// Numbers missing in a row that are named one by one.
const NAMED: usize = 3;

/// For each file before which pieces are missing, what to say.
pub fn gaps(files: &[&Path]) -> HashMap<PathBuf, String> {
    let mut series: BTreeMap<(PathBuf, String), BTreeMap<u64, &Path>> = BTreeMap::new();
    for path in files {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((base, number)) = number(&name) {
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            series.entry((folder, base)).or_default().insert(number, path);
        }
    }
    let mut out = HashMap::new();
    for ((_, base), pieces) in &series {
        let numbers: Vec<u64> = pieces.keys().copied().collect();
        for pair in numbers.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let missing: Vec<u64> = (before + 1..after).collect();
            if missing.is_empty() {
                continue;
            }
            let named: Vec<String> = missing.iter().take(NAMED).map(u64::to_string).collect();
            let more = if missing.len() > NAMED { format!(" and {} more", missing.len() - NAMED) } else { String::new() };
            let what =
                format!("of the rotation of {base} number {}{more} is missing between {before} and {after}", named.join(", "));
            out.insert(pieces[&after].to_owned(), what);
        }
    }
    out
}

/// The name without its rotation number, and the number.
fn number(name: &str) -> Option<(String, u64)> {
    let plain = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
    let small = |digits: &str| -> Option<u64> {
        let is_number = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|n| is_number && *n <= MAX_NUMBER)
    };
    if let Some((base, digits)) = plain.rsplit_once('.')
        && let Some(n) = small(digits)
        && base.contains(|c: char| c.is_alphabetic())
    {
        return Some((base.to_owned(), n));
    }
    // A ring of dumpcap: base_number_time.
    let (base, rest) = plain.split_once('_').filter(|(base, _)| !base.is_empty())?;
    let (digits, time) = rest.split_once('_')?;
    let stamp = time.split('.').next().unwrap_or_default();
    let is_stamp = stamp.len() == 14 && stamp.bytes().all(|b| b.is_ascii_digit());
    small(digits).filter(|_| is_stamp && digits.len() == 5).map(|n| (stem(Path::new(base)), n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> Vec<String> {
        let paths: Vec<PathBuf> = names.iter().map(|n| Path::new("/logs").join(n)).collect();
        let files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let mut out: Vec<String> =
            gaps(&files).into_iter().map(|(at, what)| format!("{}: {what}", at.file_name().unwrap().display())).collect();
        out.sort();
        out
    }

    #[test]
    fn a_number_missing_between_two_is_said_at_the_one_after_it() {
        assert_eq!(
            said(&["x.log", "x.log.1", "x.log.3.gz", "y.log.7", "x.log.9"]),
            [
                "x.log.3.gz: of the rotation of x.log number 2 is missing between 1 and 3",
                "x.log.9: of the rotation of x.log number 4, 5, 6 and 2 more is missing between 3 and 9"
            ]
        );
    }

    #[test]
    fn what_is_whole_dated_or_no_rotation_is_silent() {
        assert!(said(&["x.log", "x.log.1", "x.log.2.gz", "x.log.3.xz"]).is_empty());
        assert!(said(&["x.log-20261101", "x.log-20261105", "x.log.2026-11-01.gz", "10.0.0.1", "10.0.0.9"]).is_empty());
        assert!(said(&["x.log.20261101", "x.log.20261105"]).is_empty());
        assert!(said(&["scan-1.xml", "scan-5.xml"]).is_empty());
    }

    #[test]
    fn a_ring_of_captures_has_numbers_too() {
        assert_eq!(
            said(&["dump_00001_20261119080000.pcap", "dump_00003_20261119090000.pcap"]),
            ["dump_00003_20261119090000.pcap: of the rotation of dump number 2 is missing between 1 and 3"]
        );
    }
}
