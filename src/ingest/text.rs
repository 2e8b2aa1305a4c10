//! A log: units through a format's reader to the writer.

use super::sanity::{self, Times};
use super::sanity_missed::Missed;
use super::writer::Writer;
use crate::formats::{self, Context, Format, Out, Status, Unit};
use crate::model::record::Record;
use crate::model::{Kind, RecordId, SourceId};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, Read};

/// Ordinal of the first oddity of a unit: far above the records'.
const FIRST_ORDINAL: u16 = 0x8000;
/// Sensors that one file may name; records of further ones are of the file's own source.
const MAX_SENSORS: usize = 4096;

/// How a log ended.
#[derive(Default)]
pub struct Ended {
    /// What ended it early, in words.
    pub damage: Option<String>,
    /// Offset after the last whole unit, in the uncompressed data: where a file that grew is continued.
    pub bytes: u64,
    /// What is worth saying.
    pub warnings: Vec<String>,
    /// What was assumed of its times: fixed phrases of the readers.
    pub assumed: BTreeSet<&'static str>,
}

/// A log to be read.
pub struct Log<'a> {
    /// Its format.
    pub format: &'static dyn Format,
    /// What the reader may know besides the content.
    pub context: &'a Context,
    /// Offset in the uncompressed data from which on it is new; the input is still at its beginning.
    pub from: u64,
    /// Beginning of the file, for the header lines of a log that is continued.
    pub head: &'a [u8],
}

/// Reads a log into the writer; `stop` is asked every thousand units.
pub fn read(log: &Log<'_>, input: &mut dyn BufRead, writer: &mut Writer, stop: &mut dyn FnMut(u64) -> bool) -> Ended {
    let Log { format, context, from, head } = *log;
    let mut ended = Ended::default();
    if let Err(e) = std::io::copy(&mut (&mut *input).take(from), &mut std::io::sink()) {
        ended.damage = Some(format!("cannot be read up to where it was read before: {e}"));
        return ended;
    }
    let mut sources: HashMap<Option<String>, SourceId> = HashMap::new();
    let mut times: HashMap<SourceId, Times> = HashMap::new();
    let mut missed = Missed::default();
    let mut units = 0u64;
    // Oddities have no ids of their own: they are numbered from the place of their unit.
    let mut place = (RecordId { evidence: context.evidence, offset: from, ordinal: 0 }, context.modified);
    let mut numbered = 0u16;
    let start = Unit { offset: from, line: 1 };
    let result = formats::read(input, format, context, start, head, &mut |status, out: Out| {
        units += 1;
        ended.assumed.extend(out.assumed.iter().copied());
        out.losses.iter().for_each(|loss| missed.add(loss));
        let mut first = None;
        for read in out.records {
            let sensor = read.sensor.filter(|s| sources.len() < MAX_SENSORS || sources.contains_key(&Some(s.clone())));
            let source = *sources
                .entry(sensor)
                .or_insert_with_key(|sensor| writer.source(format.name(), sensor.as_deref().unwrap_or(&context.stem)));
            let mut record = read.record;
            record.source = source;
            first.get_or_insert(source);
            // What is said to be there has no pace.
            if !matches!(record.kind, Kind::Inventory | Kind::Vuln) && status == Status::Ok {
                times.entry(source).or_default().add(record.start);
            }
            place = (record.id, record.start);
            numbered = 0;
            writer.push(record);
        }
        if first.is_none() && out.unit.offset > place.0.offset {
            place.0.offset = out.unit.offset;
            numbered = 0;
        }
        let source = first
            .or_else(|| sources.values().min().copied())
            .unwrap_or_else(|| *sources.entry(None).or_insert_with(|| writer.source(format.name(), &context.stem)));
        for oddity in &out.oddities {
            let id = RecordId { ordinal: FIRST_ORDINAL.saturating_add(numbered), ..place.0 };
            numbered = numbered.saturating_add(1);
            writer.push(Record::oddity(oddity, id, source, place.1));
        }
        let counts = writer.count(source);
        match status {
            Status::Ok => counts.ok += 1,
            Status::Partial => counts.partial += 1,
            Status::Skipped => counts.skipped += 1,
            Status::Failed => counts.failed += 1,
        }
        !units.is_multiple_of(1024) || !(writer.has_failed() || stop(units))
    });
    ended.warnings.extend(missed.say());
    ended.warnings.extend(implausible(times, &sources));
    match result {
        Ok(end) => ended.bytes = end.offset,
        Err(e) => ended.damage = Some(format!("cannot be read on: {e}; {units} units before it were read")),
    }
    ended
}

/// Sources of one file whose times are looked at, and warnings about times that are given.
const LOOKED_AT: usize = 64;
const WARNINGS: usize = 6;

/// What is odd about the times of each source, with its sensor where the file has several.
fn implausible(mut times: HashMap<SourceId, Times>, sources: &HashMap<Option<String>, SourceId>) -> Vec<String> {
    let mut names: Vec<(&SourceId, &str)> = sources.iter().map(|(name, id)| (id, name.as_deref().unwrap_or(""))).collect();
    names.sort();
    let several = names.len() > 1;
    let mut all = Vec::new();
    for (id, name) in names.into_iter().take(LOOKED_AT) {
        let Some(times) = times.get_mut(id) else { continue };
        let what = if several && !name.is_empty() { format!("records of {name}") } else { "records".to_owned() };
        all.extend(sanity::outliers(times, &what));
        all.extend(sanity::gaps(times, &what));
    }
    if all.len() > WARNINGS {
        let more = all.len() - WARNINGS;
        all.truncate(WARNINGS);
        all.push(format!("{more} more warnings about times of other sources of this file"));
    }
    all
}
