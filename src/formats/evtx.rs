//! Windows event log files (EVTX; [MS-EVEN6], "BinXml", and the file format as libevtx documents it).
//!
//! A file is a header and chunks of 64 KiB, each complete in itself: so they are read one by one, whatever the header says of how many there
//! are (a log that was not closed says too few). Records are turned into the JSON that `windows_event` reads: the same fields either way.
//! Checksums are verified and a chunk that fails them is said and read all the same; a chunk or record that cannot be read is counted as failed.
//! Records left over in the unused part of a chunk are read too, marked `carved` and partial.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, json, windows_event};
use crate::model::guard;
use crate::model::oddity::Oddity;
use crate::model::time::Time;
use evtx::{EvtxChunk, EvtxChunkData, EvtxRecord, ParserSettings};
use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::sync::Arc;

/// The format.
pub static FORMAT: Evtx = Evtx;

/// Windows event log files.
pub struct Evtx;

/// Beginnings of the file and of a chunk, and their lengths.
const FILE: &[u8] = b"ElfFile\0";
const CHUNK: &[u8] = b"ElfChnk\0";
const FILE_LENGTH: u64 = 4096;
const CHUNK_LENGTH: usize = 64 * 1024;
/// A record's header, and with the copy of its size at its end.
const RECORD_HEADER: u64 = 24;
const RECORD_AROUND: u32 = 28;

impl Format for Evtx {
    fn name(&self) -> &'static str {
        "evtx"
    }
    fn doc(&self) -> &'static str {
        "Windows event log file (EVTX), also damaged or not closed; the same fields as windows-event (Microsoft, MS-EVEN6)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if super::head::plain(head).starts_with(FILE) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Chunks { context: context.clone() })
    }
}

struct Chunks {
    context: Context,
}

impl Reader for Chunks {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let settings = Arc::new(ParserSettings::new().indent(false).recover_records(true));
        let mut header = Vec::new();
        if (&mut *input).take(FILE_LENGTH).read_to_end(&mut header).is_err() || header.len() < FILE_LENGTH as usize {
            each(Status::Failed, bad("evtx_cut", format!("the file header has {} bytes", header.len()), 0));
            return;
        }
        for number in 0u64.. {
            let offset = FILE_LENGTH + number * CHUNK_LENGTH as u64;
            let mut data = Vec::with_capacity(CHUNK_LENGTH);
            let failure = (&mut *input).take(CHUNK_LENGTH as u64).read_to_end(&mut data).err();
            if data.is_empty() && failure.is_none() {
                return;
            }
            let cut = data.len() < CHUNK_LENGTH;
            // A panic loses the chunk, not the file.
            let chunk = Chunk { context: &self.context, number, offset, settings: &settings };
            let read = guard::quietly(|| chunk.read(data)).unwrap_or_else(|| chunk.failed(guard::PANICKED, ""));
            for (status, out) in read {
                if !each(status, out) {
                    return;
                }
            }
            if cut {
                let why = failure.map_or("the file ends inside it".to_owned(), |e| e.to_string());
                chunk.failed("evtx_cut", &why).into_iter().for_each(|(status, out)| _ = each(status, out));
                return;
            }
        }
    }
}

type Units = Vec<(Status, Out)>;

fn bad(what: &'static str, place: String, offset: u64) -> Out {
    Out { oddities: vec![Oddity::at(what, place)], unit: Unit { offset, line: 0 }, ..Out::default() }
}

/// A chunk, and where it stands in the file.
struct Chunk<'a> {
    context: &'a Context,
    number: u64,
    offset: u64,
    settings: &'a Arc<ParserSettings>,
}

impl Chunk<'_> {
    fn failed(&self, what: &'static str, why: &str) -> Units {
        vec![(Status::Failed, bad(what, self.place(why), self.offset))]
    }
    fn place(&self, why: &str) -> String {
        let why: String = why.chars().take(160).collect();
        let colon = if why.is_empty() { "" } else { ": " };
        format!("chunk {} at byte {}{colon}{why}", self.number, self.offset)
    }

    fn read(&self, mut data: Vec<u8>) -> Units {
        if data.iter().all(|b| *b == 0) {
            // Space that was laid out and never used.
            let unit = Unit { offset: self.offset, line: 0 };
            return vec![(Status::Skipped, Out { unit, ..Out::default() })];
        }
        if !data.starts_with(CHUNK) {
            return self.failed("evtx_chunk_damaged", "it does not begin as a chunk does");
        }
        data.resize(CHUNK_LENGTH, 0);
        let mut data = match EvtxChunkData::new(data, false) {
            Ok(data) => data,
            Err(e) => return self.failed("evtx_chunk_damaged", &e.to_string()),
        };
        let wrong = match (data.validate_header_checksum(), data.validate_data_checksum()) {
            (true, true) => None,
            (false, _) => Some("of its header"),
            (true, false) => Some("of its records"),
        };
        let mut units = match data.parse(Arc::clone(self.settings)) {
            Ok(mut chunk) => self.records(&mut chunk),
            Err(e) => self.failed("evtx_chunk_damaged", &e.to_string()),
        };
        if let Some(which) = wrong {
            let oddity = Oddity::at("evtx_checksum_wrong", self.place(which));
            match units.first_mut() {
                Some((_, out)) => out.oddities.push(oddity),
                None => units = self.failed("evtx_checksum_wrong", which),
            }
        }
        units
    }

    fn records(&self, chunk: &mut EvtxChunk<'_>) -> Units {
        let mut units = Vec::new();
        let mut seen = HashSet::new();
        for record in chunk.iter() {
            match record {
                Ok(record) if record.recovered && seen.contains(&record.event_record_id) => {}
                Ok(record) => {
                    seen.insert(record.event_record_id);
                    units.push(self.record(record));
                }
                Err(e) => units.extend(self.failed("evtx_record_damaged", &e.to_string())),
            }
        }
        units
    }

    fn record(&self, record: EvtxRecord<'_>) -> (Status, Out) {
        let offset = self.offset + record.binxml_offset.saturating_sub(RECORD_HEADER);
        let unit = Unit { offset, line: 0 };
        let len = record.binxml_size.saturating_add(RECORD_AROUND) as usize;
        let (id, carved) = (record.event_record_id, record.recovered);
        let written = i64::try_from(record.timestamp.as_nanosecond()).ok().map(Time);
        let text = match record.into_json() {
            Ok(json) => json.data,
            Err(e) => return (Status::Failed, bad("evtx_record_damaged", self.place(&format!("record {id}: {e}")), offset)),
        };
        let mut out = Out { unit, ..Out::default() };
        let Some(mut event) = json::object(&text) else {
            return (Status::Failed, bad("evtx_record_damaged", self.place(&format!("record {id} is no event")), offset));
        };
        if carved {
            let yes = serde_json::from_str("true");
            event.extend(yes.ok().map(|yes| ("carved".into(), yes)));
        }
        let status = windows_event::read(&event, self.context, unit, len, written, &mut out);
        (if carved && status == Status::Ok { Status::Partial } else { status }, out)
    }
}
