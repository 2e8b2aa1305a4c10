//! What detectors had gathered before an hour, kept beside the case so that the next run goes on there (`detectors/resume.rs`).
//!
//! A file an hour, parts with their lengths and checksums. The files are derived: lost or damaged, they cost a whole run.

use crate::case::findings::put;
use crate::detectors::resume::{Parts, Past};
use crate::error::{Error, Result};
use crate::model::Time;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the folder in the case.
pub const FOLDER: &str = "gathered";
const MAGIC: &[u8; 8] = b"btgather";
/// Records from which on a run takes long enough.
const LEAST: u64 = 100_000;
/// Bytes of a part from which on it is not ours, and of all of a file from which on it is not kept.
const PART: usize = 1 << 30;
const FULL: usize = 1 << 30;
/// Parts are compressed as fast as can be.
const LEVEL: i32 = 1;

/// What is kept beside a case.
pub struct Beside {
    folder: PathBuf,
    least: u64,
}

impl Beside {
    /// Of the case in a folder.
    pub fn case(dir: &Path) -> Beside {
        Beside { folder: dir.join(FOLDER), least: LEAST }
    }
    /// The same, of however few records.
    pub fn of_any(dir: &Path) -> Beside {
        Beside { least: 0, ..Beside::case(dir) }
    }
    fn name(hour: Time) -> String {
        format!("{}.bin", hour.0)
    }
}

fn unreadable(path: &Path) -> Error {
    Error::internal(format!("{} is damaged: the findings are found anew", path.display()))
}

impl Past for Beside {
    fn least(&self) -> u64 {
        self.least
    }
    fn hours(&self) -> Vec<Time> {
        let hour = |name: &std::ffi::OsStr| name.to_str()?.strip_suffix(".bin")?.parse().ok().map(Time);
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        files.filter_map(|file| hour(&file.file_name())).collect()
    }
    fn read(&self, hour: Time, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let path = self.folder.join(Self::name(hour));
        let io = |e: std::io::Error| Error::io("what was gathered cannot be read", &path, &e);
        let mut file = BufReader::new(File::open(&path).map_err(io)?);
        let mut magic = [0; 8];
        file.read_exact(&mut magic).map_err(io)?;
        if magic != *MAGIC {
            return Err(unreadable(&path));
        }
        let mut packed = Vec::new();
        loop {
            // Length, length of what it is compressed to, checksum of that; a length of nothing ends it.
            let mut head = [0u8; 12];
            file.read_exact(&mut head).map_err(io)?;
            let [a, b, c, d, e, f, g, h, i, j, k, l] = head;
            let size = |bytes: [u8; 4]| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
            let (whole, length, sum) = (size([a, b, c, d]), size([e, f, g, h]), u32::from_le_bytes([i, j, k, l]));
            if length == 0 {
                return Ok(());
            }
            if whole > PART || length > PART {
                return Err(unreadable(&path));
            }
            packed.clear();
            Read::by_ref(&mut file).take(length as u64).read_to_end(&mut packed).map_err(io)?;
            if packed.len() != length || crc32c::crc32c(&packed) != sum {
                return Err(unreadable(&path));
            }
            let part = zstd::bulk::decompress(&packed, whole).map_err(io)?;
            if part.len() != whole {
                return Err(unreadable(&path));
            }
            each(&part)?;
        }
    }
    fn write(&self, hour: Time, parts: &mut Parts<'_>) -> Result<()> {
        let io = |e: std::io::Error| Error::io("what was gathered cannot be kept", &self.folder, &e);
        if !self.folder.is_dir() {
            std::fs::create_dir_all(&self.folder).map_err(io)?;
            // Who may write in the case may here.
            let of_case = self.folder.parent().and_then(|case| std::fs::metadata(case).ok());
            let _ = of_case.map(|m| std::fs::set_permissions(&self.folder, m.permissions()));
        }
        let mut out = tempfile::NamedTempFile::new_in(&self.folder).map_err(io)?;
        out.write_all(MAGIC).map_err(io)?;
        let mut full = 0;
        parts(&mut |part| {
            let packed = zstd::bulk::compress(part, LEVEL).map_err(io)?;
            let head = u32::try_from(part.len()).ok().zip(u32::try_from(packed.len()).ok());
            let Some((whole, length)) = head.filter(|_| part.len() <= PART && full + packed.len() <= FULL) else {
                return Err(Error::internal("what was gathered is too much to be kept"));
            };
            for number in [whole, length, crc32c::crc32c(&packed)] {
                out.write_all(&number.to_le_bytes()).map_err(io)?;
            }
            full += packed.len();
            out.write_all(&packed).map_err(io)
        })?;
        out.write_all(&[0; 12]).map_err(io)?;
        put(out, &self.folder, &Self::name(hour)).map_err(io)
    }
    fn only(&self, hours: &[Time]) {
        for hour in self.hours().into_iter().filter(|h| !hours.contains(h)) {
            // What stays is let go of next time.
            let _ = std::fs::remove_file(self.folder.join(Self::name(hour)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::{Limits, gather};
    use crate::ingest::synthetic::batches;
    use crate::model::source::SourceKey;
    use crate::model::synthetic::Shape;
    use crate::model::time::SECOND;
    use crate::model::{Cancel, EvidenceKey, Kind, Record, RecordId, SourceId, Value, Window, field};
    use crate::query::LocalEngine;
    use crate::query::local::Nothing;
    use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Store};

    #[test]
    fn parts_come_back_and_what_is_damaged_or_cut_off_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let beside = Beside::case(dir.path());
        assert!(beside.hours().is_empty() && beside.read(Time(5), &mut |_| Ok(())).is_err());
        let parts = [vec![], vec![7; 100_000], (0..=255).collect::<Vec<u8>>()];
        beside.write(Time(5), &mut |each| parts.iter().try_for_each(|p| each(p))).unwrap();
        beside.write(Time(-9), &mut |each| each(b"x")).unwrap();
        let read = |hour| -> Result<Vec<Vec<u8>>> {
            let mut out = Vec::new();
            beside.read(hour, &mut |part| {
                out.push(part.to_vec());
                Ok(())
            })?;
            Ok(out)
        };
        assert_eq!(read(Time(5)).unwrap(), parts);
        let path = dir.path().join(FOLDER).join("5.bin");
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            std::fs::write(&path, &other).unwrap();
            assert!(read(Time(5)).is_err() || at >= bytes.len() - 12, "byte {at} of {}", bytes.len());
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(read(Time(5)).is_err(), "cut off at {at}");
        }
        beside.only(&[Time(5)]);
        assert_eq!(beside.hours(), [Time(5)]);
    }

    const HOUR: i64 = 3_600 * SECOND;

    /// Three days of an office, with a beacon, a scan, guessed passwords, an upload, questions of DNS and alerts; in order of their end.
    fn office() -> Vec<Record> {
        let shape = Shape::new(4_000, 3);
        let mut out = Vec::new();
        batches(shape, SourceId(0), &mut |_, batch| {
            out.extend(batch);
            Ok(())
        })
        .unwrap();
        let flow = |at: i64, dst: [u8; 4], port: u64, state: &str, sent: u64, back: u64| {
            let mut r = Record::new(Kind::Flow, RecordId::default(), SourceId(0), shape.from.plus(at));
            r.end = r.time().plus(2 * SECOND);
            for (id, n) in
                [(field::BYTES_OUT, sent), (field::BYTES_IN, back), (field::PACKETS_OUT, 9), (field::PACKETS_IN, back / 60)]
            {
                r.set(id, n);
            }
            r.set(field::SRC_IP, Value::Addr([10, 0, 3, 77].into()));
            r.set(field::DST_IP, Value::Addr(dst.into()));
            r.set(field::DST_PORT, port);
            r.set(field::PROTO, 6u64);
            r.set_text(field::STATE, state);
            r
        };
        out.extend((0..72 * 6).map(|n| flow(n * HOUR / 6 + 7 * SECOND, [203, 0, 113, 9], 443, "SF", 700, 1_200)));
        out.extend((0..200).map(|n| flow(50 * HOUR + n * SECOND, [10, 0, 9, n as u8], 445, "S0", 60, 0)));
        out.extend(
            (0..90).map(|n| flow(66 * HOUR + HOUR - 100 * SECOND + n * 3 * SECOND, [10, 0, 9, 3], 22, "SF", 2_000, 2_400)),
        );
        out.extend((0..9).map(|n| flow(67 * HOUR + n * 60 * SECOND, [198, 51, 100, 77], 443, "SF", 90_000_000, 60_000)));
        for n in 0..300 {
            let mut r = Record::new(Kind::Dns, RecordId::default(), SourceId(0), shape.from.plus(n * HOUR / 5));
            r.set(field::SRC_IP, Value::Addr([10, 0, 3, 70 + (n % 9) as u8].into()));
            r.set_text(field::NAME, &format!("h{}.example", n % 40));
            r.set_text(field::DNS_TYPE, "A");
            r.set(field::ANSWER_IP, Value::Addr([203, 0, 113, (n % 50) as u8].into()));
            out.push(r);
            let mut r = Record::new(Kind::Alert, RecordId::default(), SourceId(0), shape.from.plus(n * HOUR / 5));
            r.set(field::SRC_IP, Value::Addr([10, 0, 3, 77].into()));
            r.set(field::DST_IP, Value::Addr([203, 0, 113, 9].into()));
            r.set_text(field::SIGNATURE, "something");
            out.push(r);
        }
        out.sort_by_key(Record::until);
        out
    }

    fn import(store: &Store, records: &[Record], number: u64) {
        let key = EvidenceKey(number);
        let hash = [number as u8; 32];
        let new = NewEvidence { key, path: format!("/{number}"), size: 9, modified: Time(0), head_hash: hash };
        let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
        let source = import.source(&SourceKey { format: "test".into(), sensor: "s".into() }, None).unwrap();
        for (n, record) in (0..).zip(records) {
            let mut record = record.clone();
            (record.id, record.source) = (RecordId { evidence: key, offset: n, ordinal: 0 }, source);
            import.push(record).unwrap();
        }
        import.finish(Done::default()).unwrap();
    }

    /// What is found, and how many records were not looked at again.
    fn found(engine: &LocalEngine, beside: Option<&Beside>) -> (String, u64) {
        let past = beside.map(|kept| gather::Past { kept, rests: String::new(), writes: true });
        let mut first = None;
        let asked = gather::Asked { limits: &Limits::new(), only: None, window: Window::ALL, past };
        let mut out = gather::run(engine, &asked, &Cancel::default(), &mut |p| _ = first.get_or_insert(p.rows)).unwrap();
        out.elapsed = 0;
        (serde_json::to_string_pretty(&out).unwrap(), first.unwrap())
    }

    #[test]
    fn hour_by_hour_the_same_is_found_as_in_everything_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            create: true,
            forget: true,
            ballast: 0,
            reserve: Reserve { percent: 0, bytes: 0 },
            ..OpenOptions::default()
        };
        let store = Store::open(&dir.path().join("case"), &options).unwrap();
        let engine = LocalEngine::new(store.clone(), Box::new(Nothing));
        let beside = Beside::of_any(dir.path());
        let office = office();
        let begin = Shape::new(1, 1).from;
        let part = |from: i64, until: i64| {
            let at = |hours: i64| office.partition_point(|r| r.until() < begin.plus(hours * HOUR));
            &office[at(from)..at(until)]
        };
        import(&store, part(0, 63), 1);
        let mut again = Vec::new();
        for hour in 63..70 {
            let (whole, _) = found(&engine, None);
            let (since, before) = found(&engine, Some(&beside));
            assert!(whole == since, "at hour {hour}: {}", differ(&whole, &since));
            again.push(before);
            import(&store, part(hour, hour + 1), hour as u64);
        }
        // What ends in an hour began in earlier ones too: most of the records are not looked at again all the same.
        let all = office.len() as u64;
        assert!(again[0] == 0 && again[1..].iter().all(|n| *n > all / 5), "{again:?} of {all}");
        let (whole, _) = found(&engine, None);
        for name in ["beacon", "scan", "brute_force", "exfiltration"] {
            assert!(whole.contains(&format!("\"detector\": \"{name}\"")), "{name}: {whole}");
        }
        // What is damaged, and what is of a time before, costs a whole run.
        for hour in beside.hours() {
            let path = beside.folder.join(Beside::name(hour));
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        assert!(found(&engine, Some(&beside)) == (whole, 0));
        assert!(found(&engine, Some(&beside)).1 > 0);
        let early: Vec<Record> = part(0, 2).to_vec();
        import(&store, &early, 200);
        let (whole, _) = found(&engine, None);
        assert!(found(&engine, Some(&beside)) == (whole, 0));
    }

    fn differ(a: &str, b: &str) -> String {
        let lines = a.lines().zip(b.lines()).filter(|(a, b)| a != b).take(6);
        lines.map(|(a, b)| format!("\n whole {a}\n since {b}")).collect()
    }
}
