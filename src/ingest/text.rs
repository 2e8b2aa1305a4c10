//! A log: units through a format's reader to the writer.

use super::writer::{Writer, oddity_time};
use crate::formats::{Context, Format, Out, Status};
use crate::model::record::Record;
use crate::model::{RecordId, SourceId};
use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;

/// Ordinal of the first oddity of a unit: far above the records'.
const FIRST_ORDINAL: u16 = 0x8000;

/// How a log ended.
#[derive(Default)]
pub struct Ended {
    /// What ended it early, in words.
    pub damage: Option<String>,
    /// Offset after the last whole unit, in the uncompressed data: where a file that grew is continued.
    pub bytes: u64,
    /// What was assumed.
    pub warnings: Vec<String>,
    /// Zone or year were assumed.
    pub assumed: BTreeSet<&'static str>,
}

/// Reads a log into the writer, from `from` on in the uncompressed data (what is before it was read at an earlier import, but is shown
/// to the reader's header state again where the format needs it).
pub fn read(
    format: &'static dyn Format,
    input: &mut dyn BufRead,
    context: &Context,
    from: u64,
    writer: &mut Writer,
    stop: &mut dyn FnMut(u64) -> bool,
) -> Ended {
    let mut ended = Ended::default();
    let mut sources: HashMap<Option<String>, SourceId> = HashMap::new();
    let mut units = 0u64;
    let result = crate::formats::read(format, input, context, from, &mut |status, out: Out, end_offset| {
        units += 1;
        ended.bytes = ended.bytes.max(end_offset);
        ended.assumed.extend(out.assumed.iter().copied());
        let mut first = None;
        let mut last_id = None;
        for read in out.records {
            let source = *sources
                .entry(read.sensor)
                .or_insert_with_key(|sensor| writer.source(format.name(), sensor.as_deref().unwrap_or(&context.stem)));
            let mut record = read.record;
            record.source = source;
            first.get_or_insert(source);
            last_id = Some((record.id, record.start));
            writer.push(record);
        }
        let source = first
            .or_else(|| sources.values().min().copied())
            .unwrap_or_else(|| *sources.entry(None).or_insert_with(|| writer.source(format.name(), &context.stem)));
        for (n, oddity) in out.oddities.iter().enumerate() {
            let (id, at) = last_id.unwrap_or_else(|| {
                let id = RecordId { evidence: context.evidence, offset: out.unit.offset, ordinal: 0 };
                (id, oddity_time(writer.span, context.modified))
            });
            let ordinal = FIRST_ORDINAL.saturating_add(n as u16);
            let mut record = Record::oddity(oddity, RecordId { ordinal, ..id }, source, at);
            record.len = out.unit.len;
            writer.push(record);
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
    if let Err(e) = result {
        ended.damage = Some(format!("cannot be read on: {e}; {units} units before it were read"));
    }
    ended.warnings.extend(ended.assumed.iter().map(|a| (*a).to_owned()));
    ended
}
