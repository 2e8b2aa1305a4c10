//! What a file is that no format recognised, in words, and what to do about it. Signatures are those of file(1)'s public lists.

use super::report::Outcome;

/// Beginnings of well-known files: what they are, and what to do.
const MAGIC: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive: unpack it, then ingest the folder"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it, then ingest the folder"),
    (b"Rar!\x1a\x07", "a rar archive: unpack it, then ingest the folder"),
    (b"TRSNIFF", "a Sniffer capture: editcap turns it into pcap"),
    (b"XCP\0", "a NetXRay capture: editcap turns it into pcap"),
    (b"RTSS", "a NetXRay capture: editcap turns it into pcap"),
    (b"GMBU", "a Network Monitor capture: editcap turns it into pcap"),
    (b"ElfChnk\0", "a chunk of a Windows event log without the file around it"),
    (b"regf", "a Windows registry hive, which is not read"),
    (b"SQLite format 3\0", "an SQLite database: export the tables as CSV or JSON lines"),
    (b"%PDF-", "a PDF document, which is not read"),
    (b"\x7fELF", "a program (ELF), which is not read"),
    (b"MZ", "a program (Windows), which is not read"),
    (b"\x89PNG", "a picture, which is not read"),
    (b"\xff\xd8\xff", "a picture, which is not read"),
    (b"\xd0\xcf\x11\xe0", "an Office document: save it as CSV"),
    (b"LPKSHHRH", "a systemd journal: journalctl --file FILE -o json > journal.jsonl"),
    (b"PAR1", "a Parquet file: export it as JSON lines"),
    (b"Obj\x01", "an Avro file: export it as JSON lines"),
    (b"{\\rtf", "a text document (RTF): save it as plain text"),
];

/// Where the metadata of a MaxMind database begins.
const MMDB: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// What became of a file or stream that begins and ends like this and is of no known format.
pub fn outcome(head: &[u8], tail: &[u8]) -> Outcome {
    if head.is_empty() {
        return Outcome::Skipped("empty".into());
    }
    let short = head.len() < 4096;
    if short && head.iter().all(u8::is_ascii_whitespace) {
        return Outcome::Skipped("empty: nothing but white space".into());
    }
    Outcome::NotRecognised(what(head, tail))
}

fn what(head: &[u8], tail: &[u8]) -> String {
    if let Some((_, known)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*known).into();
    }
    if head.get(257..262) == Some(b"ustar") {
        return "a tar archive: unpack it, then ingest the folder".into();
    }
    if memchr::memmem::find(tail, MMDB).is_some() || memchr::memmem::find(head, MMDB).is_some() {
        return "a MaxMind database, which is not evidence: it is not read".into();
    }
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return "UTF-32 text: iconv -f UTF-32 -t UTF-8 FILE > FILE.txt".into();
    }
    if is_erf(head) {
        return "an Endace ERF capture, which is not read: editcap -F pcapng FILE FILE.pcapng, then ingest that".into();
    }
    if head.iter().all(|b| *b == 0) {
        return "nothing but zeros: a file that was never written, or wiped".into();
    }
    let start = &head[..head.len().min(4096)];
    let bad = String::from_utf8_lossy(start).chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    if start.contains(&0) || bad * 10 > start.len() {
        return "binary of no known format".into();
    }
    text(&String::from_utf8_lossy(head))
}

/// Whether records of Endace's Extensible Record Format follow each other: there is no mark at the beginning, so their headers have to agree
/// (ERF types reference guide: time in 2^-32 seconds, type, flags, length of the record, losses, length on the wire).
fn is_erf(head: &[u8]) -> bool {
    let (mut at, mut records, mut last) = (0, 0, 0u64);
    while records < 8
        && let Some(record) = head.get(at..at + 16)
    {
        let seconds = u64::from(u32::from_le_bytes([record[4], record[5], record[6], record[7]]));
        let length = usize::from(u16::from_be_bytes([record[10], record[11]]));
        let wire = u16::from_be_bytes([record[14], record[15]]);
        let plausible = (946_684_800..4_102_444_800).contains(&seconds)
            && (1..=48).contains(&(record[8] & 0x7f))
            && (16..=65_528).contains(&length)
            && (wire > 0 || record[8] & 0x7f == 48 || record[8] & 0x7f == 27)
            && (records == 0 || seconds.abs_diff(last) < 86_400 * 31);
        if !plausible {
            return false;
        }
        (at, records, last) = (at + length, records + 1, seconds);
    }
    records >= 2 || records == 1 && at == head.len()
}

/// Whether lines end in CR alone: to every format all of it would be one line.
pub fn is_cr_alone(head: &[u8]) -> bool {
    !head.contains(&0) && memchr::memchr(b'\n', head).is_none() && memchr::memchr_iter(b'\r', head).nth(1).is_some()
}

fn text(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let force = "--format NAME forces one of `backtrail formats`";
    let shown = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(60).collect() };
    if text.starts_with(['{', '[']) {
        let lines = text.starts_with('{') && text.lines().take(2).all(|l| l.trim_end().ends_with('}'));
        return match lines {
            true => "JSON lines without a time that is known: give them a member `time` or `@timestamp`".into(),
            false => "a JSON document of no known form: turn it into JSON lines (jq -c), each with a time".into(),
        };
    }
    if text.starts_with('<') && text.contains('>') {
        let element = text.split('<').skip(1).find(|t| !t.starts_with(['?', '!']));
        let name: String = element
            .unwrap_or_default()
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.'))
            .take(60)
            .collect();
        if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
            return format!("an XML document <{name}> of no known form");
        }
    }
    if is_cr_alone(text.as_bytes()) {
        return "text whose lines end in CR alone: tr '\\r' '\\n' < FILE > FILE.txt".into();
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let names = |c: char| c.is_alphanumeric() || " _./-?\"'()#%&".contains(c);
    let table = [',', ';', '\t', '|'].into_iter().any(|separator| {
        let columns = first.split(separator).count();
        columns > 2
            && first.split(separator).all(|cell| cell.len() <= 60 && cell.chars().all(names))
            && lines.clone().take(3).filter(|l| !l.trim().is_empty()).all(|l| l.split(separator).count() >= columns)
    });
    if table {
        return format!("a table of no known form ({}...); {force}", shown(first));
    }
    format!("text of no known form, without times; {force}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endace_capture_is_known_by_its_records_and_noise_is_none() {
        let record = |seconds: u32, kind: u8, length: u16| {
            let mut out = [[0; 4], seconds.to_le_bytes()].concat();
            out.extend([kind, 4]);
            out.extend([length.to_be_bytes(), [0, 0], 60u16.to_be_bytes()].concat());
            out.resize(usize::from(length), 7);
            out
        };
        let whole = [record(1_763_625_600, 2, 80), record(1_763_625_601, 2, 96), record(1_763_625_601, 0x82, 120)].concat();
        let said =
            |head: &[u8]| matches!(outcome(head, &[]), Outcome::NotRecognised(why) if why.starts_with("an Endace ERF capture"));
        assert!(said(&whole) && said(&whole[..200]) && said(&whole[..80]));
        let apart = [record(1_763_625_600, 2, 80), record(1_163_625_601, 2, 96)].concat();
        assert!(!said(&apart) && !said(&[0x5a; 400]) && !said(&record(1_763_625_600, 2, 200)[..100]));
    }

    #[test]
    fn a_file_is_said_to_be_what_it_is() {
        for (head, want) in [
            (&b"PK\x03\x04rest"[..], "a zip archive"),
            (b"\xff\xfe\0\0h\0\0\0", "UTF-32 text"),
            (b"\0\0\0\0\0\0", "nothing but zeros"),
            (b"\x01\x02\0\x03\xff\xfe\x80", "binary"),
            (b"{\"a\":1}\n{\"a\":2}\n", "JSON lines without a time"),
            (b"{\n  \"a\": 1\n}\n", "a JSON document"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- x -->\n<Report a='1'>", "an XML document <Report>"),
            (b"a,b,c,d\n1,2,3,4\n", "a table of no known form (a,b,c,d"),
            (b"one\rtwo\rthree\r", "text whose lines end in CR"),
            (b"alert tcp any any -> any 80 (msg:x; sid:1; rev:1;)\n", "text of no known form"),
            (b"Dear reader,\nthis is prose.\n", "text of no known form"),
        ] {
            let Outcome::NotRecognised(why) = outcome(head, &[]) else { panic!("{want}") };
            assert!(why.starts_with(want), "{why} is not {want}");
        }
        assert_eq!(outcome(b"", &[]), Outcome::Skipped("empty".into()));
        assert!(matches!(outcome(b" \n\n", &[]), Outcome::Skipped(_)));
    }
}
