//! Records of an export (Parquet) back into a case. Per evidence file one import, as if the file itself had been read: the same ids, sources,
//! times, values. The file is not there; an import that reads it takes the place of these rows.

use super::report::{FileReport, Outcome, Report};
use super::{Progress, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::model::hex::hex;
use crate::model::source::{Basis, Counts, DateOrder, SourceKey};
use crate::model::{EvidenceKey, Kind, SourceId, Time, Window};
use crate::sources::records::{Given, PARTS, Reader, Told, ToldEvidence, ToldSource, ToldUnread, UNREAD};
use crate::store::{Begin, Done, Import, NewEvidence, SourceRead, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files of a folder that are looked at.
const FILES: usize = 1000;
/// Rows that imports which are open at a time may hold before they are written.
const HELD: u64 = 1 << 18;
/// Rows that one import may hold.
const OWN: u64 = 3 * 8192;

/// Evidence of the export that is being written.
struct Open {
    import: Box<Import>,
    sources: BTreeMap<u32, SourceId>,
    counts: BTreeMap<u32, Counts>,
    span: Option<Window>,
    unread: u64,
    why: String,
    /// Ids that the case has of it from other exports, in order: offset, ordinal.
    have: Vec<(u64, u16)>,
    /// Records that were among them.
    known: u64,
}

/// Opens the files of one export, named one by one or by their folder. A file that is not of an export is refused, and so are files of
/// several exports at once.
pub fn open_export(paths: &[PathBuf]) -> Result<Vec<Reader>> {
    let readers: Vec<Reader> = files(paths)?.iter().map(|p| Reader::open(p)).collect::<Result<_>>()?;
    for (n, reader) in readers.iter().enumerate() {
        let told = reader.told();
        if told.export != readers[0].told().export || readers[..n].iter().any(|r| r.told().part == told.part) {
            return Err(Error::user("these files are of several exports")
                .at_path(reader.path())
                .hint("import one export at a time: its folder, or its flows.parquet and events.parquet"));
        }
    }
    Ok(readers)
}

/// Imports what [`open_export`] opened.
pub fn import_export(store: &Store, readers: &[Reader], watch: &Watch<'_>) -> Result<Report> {
    let Some(first) = readers.first().map(Reader::told) else {
        return Err(Error::user("there is no Parquet file").hint("give the folder that `backtrail export --parquet` wrote"));
    };
    let here: Vec<bool> = PARTS.iter().map(|part| readers.iter().any(|r| r.told().part == *part)).collect();
    let rows = |e: &ToldEvidence| (0..PARTS.len()).filter(|n| here[*n]).map(|n| e.rows[n]).fold(0u64, u64::saturating_add);
    let mut report = Report::default();
    let mut waiting: Vec<(EvidenceKey, &ToldEvidence)> = Vec::new();
    let mut seen = BTreeSet::new();
    for evidence in first.evidence.iter().filter(|e| rows(e) > 0) {
        let key: EvidenceKey = evidence.key.parse().map_err(|()| Error::input("the export names evidence without a key"))?;
        if !seen.insert(key) {
            return Err(Error::input("the export names the same evidence twice"));
        }
        // Of what itself came from an export another one may have more.
        if store.is_read(key) {
            report.files.push(row(key, evidence, Outcome::Known));
        } else {
            waiting.push((key, evidence));
        }
    }
    refuse(store, first)?;
    let mut is_first = true;
    while !waiting.is_empty() {
        let mut held = 0;
        let fits = waiting.iter().take_while(|(_, e)| {
            held += rows(e).min(OWN);
            held <= HELD
        });
        let now = fits.count().max(1);
        let some: Vec<_> = waiting.drain(..now).collect();
        match pass(store, readers, &some, watch, is_first, &mut report) {
            Ok(()) => {}
            Err(e) if e.kind == ErrorKind::Cancelled => {
                report.stopped = true;
                return Ok(report);
            }
            Err(e) if e.kind == ErrorKind::Input => {
                report.files.push(FileReport::new(e.place.clone(), Outcome::Failed(e)));
                return Ok(report);
            }
            Err(e) => return Err(e),
        }
        is_first = false;
    }
    for (part, _) in
        PARTS.iter().zip(&here).enumerate().filter(|(n, (_, here))| !**here && first.evidence.iter().any(|e| e.rows[*n] > 0))
    {
        let missing = FileReport::new(
            format!("{}.parquet", PARTS[part]),
            Outcome::NotRecognised("the export has this file too, and it was not given: its records are not imported".to_owned()),
        );
        report.files.push(missing);
    }
    report.clocks = super::compared(store, &watch.stop);
    Ok(report)
}

/// Tells the case what the other one was handed and could not read.
fn refuse(store: &Store, told: &Told) -> Result<()> {
    let one = |e: &ToldUnread| -> Result<(NewEvidence, Done)> {
        let key = e.key.parse().map_err(|()| Error::input("the export names evidence without a key"))?;
        let new = NewEvidence { key, path: e.path.clone(), size: e.size, modified: Time(0), head_hash: [0; 32] };
        Ok((new, Done { warnings: e.why.clone(), custody: e.custody.clone(), ..Done::default() }))
    };
    store.refuse(told.unread.iter().take(UNREAD).map(one).collect::<Result<_>>()?)
}

/// Parquet files by what was given.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths {
        if !path.is_dir() {
            out.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|e| Error::io("cannot read the folder", path, &e))?;
        let parquet = |p: &Path| p.extension().is_some_and(|e| e == "parquet");
        let mut found: Vec<PathBuf> = entries.take(FILES).flatten().map(|e| e.path()).filter(|p| parquet(p)).collect();
        if found.is_empty() {
            return Err(Error::input("no Parquet file is in this folder")
                .at_path(path)
                .hint("give the folder that `backtrail export --parquet` wrote"));
        }
        found.sort();
        out.extend(found);
    }
    Ok(out)
}

fn row(key: EvidenceKey, told: &ToldEvidence, outcome: Outcome) -> FileReport {
    let mut row = FileReport::new(told.path.clone(), outcome);
    (row.format, row.size, row.key) = (told.format.clone(), told.size, Some(key));
    row
}

/// One reading of the files, for some of their evidence.
fn pass(
    store: &Store,
    readers: &[Reader],
    some: &[(EvidenceKey, &ToldEvidence)],
    watch: &Watch<'_>,
    is_first: bool,
    report: &mut Report,
) -> Result<()> {
    let told = readers[0].told();
    let mut open: BTreeMap<EvidenceKey, Open> = BTreeMap::new();
    for (key, evidence) in some {
        let new = NewEvidence {
            key: *key,
            path: evidence.path.clone(),
            size: evidence.size,
            modified: Time::parse(&evidence.imported).unwrap_or(Time(0)),
            head_hash: [0; 32],
        };
        let have = store.ids_of(*key)?;
        let begun = if have.is_empty() { store.begin(&new)? } else { store.add_to_export(&new)? };
        let Begin::Fresh(mut import) = begun else {
            report.files.push(row(*key, evidence, Outcome::Known));
            continue;
        };
        import.is_of_export();
        let mut sources = BTreeMap::new();
        for n in &evidence.sources {
            if let Some(source) = told.sources.get(*n as usize) {
                sources.insert(*n, number(&mut import, source)?);
            }
        }
        open.insert(
            *key,
            Open { import, sources, counts: BTreeMap::new(), span: None, unread: 0, why: String::new(), have, known: 0 },
        );
    }
    let wanted: BTreeSet<EvidenceKey> = open.keys().copied().collect();
    let mut progress = Progress { files: readers.len(), ..Progress::default() };
    for (n, reader) in readers.iter().enumerate() {
        (progress.file, progress.path) = (n + 1, reader.path().display().to_string());
        let (mut not, mut read) = (None::<(u64, u64, String)>, 0u64);
        let given = &mut |given: Given| {
            let (mut record, unread) = match given {
                Given::Record(record, unread) => (*record, unread),
                Given::Not(at, why) => {
                    not.get_or_insert((0, at, why)).0 += 1;
                    return Ok(());
                }
            };
            // Each file has its own list of sources, the same in both.
            let Some(of) = open.get_mut(&record.id.evidence) else { return Ok(()) };
            let local = record.source.0;
            let source = reader.told().sources.get(local as usize).ok_or_else(|| Error::internal("a source without a name"))?;
            let id = match of.sources.get(&local) {
                Some(id) => *id,
                None => number(&mut of.import, source)?,
            };
            of.sources.insert(local, id);
            record.source = id;
            if of.have.binary_search(&(record.id.offset, record.id.ordinal)).is_ok() {
                of.known += 1;
                return Ok(());
            }
            let counts = of.counts.entry(local).or_default();
            counts.records += 1;
            counts.oddities += u64::from(record.kind == Kind::Oddity);
            if let Some(why) = unread {
                of.unread += 1;
                of.why = why;
            }
            // As an import of the file itself bounds them.
            let last = Time(i64::MAX - 1);
            (record.start, record.end) = (record.start.min(last), record.end.min(last));
            let behind = record.end.plus(1);
            let span = of.span.get_or_insert(Window::new(record.start, behind));
            (span.start, span.end) = (span.start.min(record.start), span.end.max(behind));
            of.import.push(record)?;
            read += 1;
            if read.is_multiple_of(8192) {
                (watch.progress)(&Progress { records: read, ..progress.clone() });
            }
            Ok(())
        };
        reader.each(&|key| wanted.contains(&key), &|| (watch.stop)(), given)?;
        if let Some((number, at, why)) = not.filter(|_| is_first) {
            let what = format!("{number} rows are no records, the first is row {at}: {why}");
            report.files.push(FileReport::new(reader.path().display().to_string(), Outcome::Damaged(what)));
        }
    }
    for (key, evidence) in some {
        if let Some(open) = open.remove(key) {
            // Dropped, an import without a record leaves nothing.
            if open.known > 0 && open.counts.values().all(|c| c.records == 0) {
                report.files.push(row(*key, evidence, Outcome::Known));
            } else {
                report.files.push(finish(*key, evidence, open, readers)?);
            }
        }
    }
    Ok(())
}

/// The number of a source. One whose name a person chose keeps it.
fn number(import: &mut Import, told: &ToldSource) -> Result<SourceId> {
    let key = SourceKey { format: told.format.clone(), sensor: told.sensor.clone() };
    let chosen = told.format == "pcap" && told.name == told.sensor;
    import.source(&key, chosen.then_some(told.name.as_str()))
}

fn finish(key: EvidenceKey, evidence: &ToldEvidence, open: Open, readers: &[Reader]) -> Result<FileReport> {
    let told = readers[0].told();
    let records = open.counts.values().map(|c| c.records).sum();
    let [ok, partial, skipped, failed, ..] = evidence.counts;
    let counts = Counts { ok, partial, skipped, failed, records, oddities: open.counts.values().map(|c| c.oddities).sum() };
    let question = if told.question.is_empty() { String::new() } else { format!(" of `{}`", told.question) };
    let mut said = vec![format!(
        "imported from an export{question} of the case {} made {}: {records} records; the file itself was not, so its bytes and packets are \
         not here until it is ingested",
        told.case, told.exported
    )];
    if open.unread > 0 {
        said.push(format!("{} records have a value that was left out: {}", open.unread, open.why));
    }
    let wanted: u64 = evidence.rows.iter().fold(0, |sum, n| sum.saturating_add(*n));
    if records.saturating_add(open.known) < wanted {
        said.push(format!("{} records of it in the export were not imported", wanted - records - open.known));
    }
    if open.known > 0 {
        said.push(format!("{} more records of it were here from another export", open.known));
    }
    let clocks = open.sources.iter().filter_map(|(n, id)| {
        let source = told.sources.get(*n as usize)?;
        Some(SourceRead {
            source: *id,
            zone: source.zone.clone(),
            basis: if source.assumed { Basis::Assumed } else { Basis::Stated },
            year: source.year,
            dates: source.dates.as_deref().and_then(DateOrder::parse).map(|order| (order, Basis::Assumed)),
            counts: if open.sources.len() > 1 { open.counts.get(n).copied().unwrap_or_default() } else { Counts::default() },
            warnings: source.by_hand.iter().cloned().collect(),
        })
    });
    let mut sha256 = [0; 32];
    if let Some(bytes) = unhex(&evidence.sha256) {
        sha256 = bytes;
    }
    let done = Done {
        sha256,
        format: evidence.format.clone(),
        compression: evidence.compression.clone(),
        counts,
        warnings: said.iter().chain(&evidence.warnings).cloned().collect(),
        custody: evidence.custody.clone(),
        metered: evidence.metered.clone(),
        clocks: clocks.collect(),
        ..Done::default()
    };
    open.import.finish(done)?;
    let mut row = row(key, evidence, Outcome::Read);
    (row.counts, row.span) = (
        Counts { records, oddities: counts.oddities, ok: records - open.unread, partial: open.unread, ..Counts::default() },
        open.span,
    );
    row.warnings = said.split_off(1);
    Ok(row)
}

/// 32 bytes from hexadecimal text.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    (hex(&out) == text.to_ascii_lowercase()).then_some(out)
}
