//! Stages and timelines that need no rows where sums are kept: groups by host, bins of whole hours. What cannot be known so is left to the rows;
//! the answer is the same.

use super::question::Stage;
use super::stages::Tally;
use crate::error::Result;
use crate::model::{FieldId, Time, Value, field};
use crate::store::rollups::{HOUR, Sums};
use crate::store::{Ask, BlockId, Snapshot};
use std::collections::HashSet;

/// The field that groups, if sums are kept by it.
fn host_field(by: &[FieldId]) -> Option<FieldId> {
    match by {
        [id @ (field::HOST | field::SRC_IP | field::DST_IP)] => Some(*id),
        _ => None,
    }
}

/// Gives a tally what is known of its groups from sums; the blocks that it then has no need of.
pub fn groups(
    view: &Snapshot,
    ask: &Ask<'_>,
    stages: &[Stage],
    tally: &mut Tally,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<HashSet<BlockId>> {
    let (by, weight) = match stages.first() {
        Some(Stage::Top { field, by, .. }) => (host_field(&[*field]), *by),
        Some(Stage::Count { by }) => (host_field(by), None),
        Some(Stage::Sum { field, by }) => (host_field(by), Some(*field)),
        Some(Stage::Timeline { bin, weight, by: None }) if bin % HOUR == 0 && *bin > 0 => {
            let mut counts = |t: Time, records: u64, whole: u64| {
                let start = Time(t.0.div_euclid(*bin).saturating_mul(*bin));
                tally.add_group(&Some(Value::Time(start)), records, whole);
            };
            let summed = match weight {
                None => view.hour_sums(ask, None, stop, &mut |t, n| counts(t, n, 0))?,
                Some(_) => view.hour_sums(ask, *weight, stop, &mut |t, n| counts(t, 0, n))?,
            };
            tally.add_records(summed.records);
            return Ok(summed.blocks);
        }
        _ => (None, None),
    };
    let Some(by) = by.filter(|_| Sums::default().of(weight).is_some()) else { return Ok(HashSet::new()) };
    let top = match stages.first() {
        Some(Stage::Top { n, .. }) => Some((*n, weight)),
        _ => None,
    };
    let summed = view.host_sums(ask, by, top, stop, &mut |host, sums| {
        let whole = weight.and_then(|w| sums.of(Some(w))).unwrap_or(0);
        tally.add_group(&host.map(Value::Addr), sums.records(), whole);
    })?;
    tally.add_records(summed.records);
    Ok(summed.blocks)
}

/// Gives what is known of bins of a width from sums; the blocks whose rows are in them.
pub fn bins(
    view: &Snapshot,
    ask: &Ask<'_>,
    bin: i64,
    weight: Option<FieldId>,
    stop: &(dyn Fn() -> bool + Sync),
    each: &mut dyn FnMut(Time, u64),
) -> Result<HashSet<BlockId>> {
    if bin % HOUR != 0 {
        return Ok(HashSet::new());
    }
    view.hour_sums(ask, weight, stop, each).map(|s| s.blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::{What, Who};
    use crate::model::source::SourceKey;
    use crate::model::time::SECOND;
    use crate::model::{Cancel, EvidenceKey, Kind, Record, RecordId, SourceId};
    use crate::query::engine::{Engine, Table};
    use crate::query::local::{Knowledge, LocalEngine};
    use crate::store::{Begin, Done, NewEvidence, OpenOptions, Reserve, Sightings, Store};
    use std::path::Path;

    /// Every 50th flow of the second evidence was seen by the first as well.
    struct Some50;

    impl Knowledge for Some50 {
        fn sightings(&self, snapshot: &Snapshot, _: &Cancel) -> Result<Sightings> {
            let mut out = Sightings::default();
            let mut n = 0;
            snapshot.flows(&|| false, &mut |f| {
                n += 1;
                if f.id.evidence == EvidenceKey(2) && n % 50 == 0 {
                    out.mask(f.block, f.rows, f.row);
                } else if f.id.evidence == EvidenceKey(2) && n % 50 == 1 {
                    out.seen_by.insert(f.id, vec![SourceId(1)]);
                }
                true
            })?;
            Ok(out)
        }
    }

    /// Records of all kinds over five days: hosts that are now one end, now the other, both, answered, or not there at all.
    fn record(key: u64, n: u64, source: SourceId) -> Record {
        let mut x = key << 32 | n;
        let mut random = |below: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) % below
        };
        let kind = if random(3) > 0 { Kind::Flow } else { Kind::ALL[random(Kind::ALL.len() as u64) as usize] };
        let id = RecordId { evidence: EvidenceKey(key), offset: n * 10, ordinal: 0 };
        let start = 1_700_000_000 * SECOND + random(5 * 86_400_000) as i64 * 1_000_000;
        let mut r = Record::new(kind, id, source, Time(start));
        r.end = Time(start + random(20_000) as i64 * SECOND);
        let mut host = |r: &mut Record, f, gone: u64| {
            if random(10) >= gone {
                r.set(f, Value::Addr([10, 0, random(3) as u8, random(90) as u8].into()));
            }
        };
        host(&mut r, field::SRC_IP, 1);
        host(&mut r, field::DST_IP, 2);
        if kind == Kind::Dns {
            (0..3).for_each(|_| host(&mut r, field::ANSWER_IP, 3));
        }
        for f in [field::BYTES_OUT, field::BYTES_IN, field::PACKETS_OUT, field::PACKETS_IN] {
            if random(5) > 0 {
                r.set(f, random(1 << 40));
            }
        }
        r
    }

    fn case(dir: &Path, knowledge: Box<dyn Knowledge>) -> LocalEngine {
        let options = OpenOptions {
            create: true,
            forget: true,
            ballast: 0,
            reserve: Reserve { percent: 0, bytes: 0 },
            ..OpenOptions::default()
        };
        let store = Store::open(&dir.join("case"), &options).unwrap();
        for key in 1..4u64 {
            let (key, size, path) = (EvidenceKey(key), key * 100, format!("/e/{key}"));
            let new = NewEvidence { key, path, size, modified: Time(0), head_hash: [key.0 as u8; 32] };
            let Begin::Fresh(mut import) = store.begin(&new).unwrap() else { panic!("known") };
            let sources = ["a", "b"].map(|s| import.source(&SourceKey { format: "t".into(), sensor: s.into() }, None).unwrap());
            for n in 0..4_000 {
                import.push(record(key.0, n, sources[(n % 2) as usize])).unwrap();
            }
            import.finish(Done::default()).unwrap();
        }
        LocalEngine::new(store, knowledge)
    }

    fn scanned(engine: &LocalEngine, text: &str) -> Table {
        let question = engine.compile(text).unwrap();
        let view = engine.view(&Cancel::default()).unwrap();
        let mut tally = Tally::new(&question.stages);
        let ask = Ask { window: question.window, every_sighting: question.every_sighting, ..Ask::new(&question.filter) };
        view.visit(&ask, &|| false, &mut |row| tally.add(&row.record(), &|_| None)).unwrap();
        tally.finish()
    }

    fn used(engine: &LocalEngine, text: &str) -> usize {
        let question = engine.compile(text).unwrap();
        let ask = Ask { window: question.window, ..Ask::new(&question.filter) };
        let view = engine.view(&Cancel::default()).unwrap();
        groups(&view, &ask, &question.stages, &mut Tally::new(&question.stages), &|| false).unwrap().len()
    }

    fn blocks(engine: &LocalEngine) -> usize {
        engine.store().snapshot().imports().iter().map(|i| i.blocks.len()).sum()
    }

    const CONDITIONS: [&str; 11] = [
        "kind = flow and not exists sni",
        "not exists dns.answer.ip or bytes > 500GB",
        "",
        "kind = flow",
        "kind in {flow, alert, dns} and source = a",
        "not kind = flow and evidence = '/e/2'",
        "between 2023-11-15T00:00:00Z and 2023-11-18T12:30:00Z",
        "kind = flow and host 10.0.1.7",
        "src.ip = 10.0.0.3",
        "dst.ip = 10.0.2.4 and kind != dns and between 2023-11-16T00:00:00Z and 2023-11-17T00:00:00Z",
        "bytes > 1MB",
    ];
    const STAGES: [&str; 10] = [
        "top 40 host by bytes",
        "top 1000 host",
        "top 7 src.ip by packets",
        "count by dst.ip",
        "count by host",
        "sum bytes.in by src.ip",
        "timeline 1h",
        "timeline 6h bytes",
        "timeline 1d packets.out",
        "timeline 90m",
    ];

    fn compare(engine: &LocalEngine) {
        for condition in CONDITIONS {
            for stage in STAGES {
                let text = format!("{condition} | {stage}");
                let table = engine.table(&engine.compile(&text).unwrap(), &Cancel::default()).unwrap();
                assert_eq!(table, scanned(engine, &text), "{text}");
                assert!(table.records > 0, "{text}");
            }
        }
    }

    #[test]
    fn sums_answer_as_the_rows_do() {
        let dir = tempfile::tempdir().unwrap();
        let engine = case(dir.path(), Box::new(crate::query::local::Nothing));
        for text in
            ["| top 9 host by bytes", "kind = flow | count by src.ip", "kind = flow and host 10.0.1.7 | timeline 1h bytes"]
        {
            assert_eq!(used(&engine, text), blocks(&engine), "{text}");
        }
        assert!(used(&engine, "between 2023-11-15T00:00:00Z and 2023-11-18T12:30:00Z | top 9 host") > 3);
        assert_eq!(used(&engine, "bytes > 1MB | top 9 host"), 0);
        compare(&engine);
    }

    #[test]
    fn sums_answer_as_the_rows_do_where_connections_were_seen_twice_and_clocks_are_moved() {
        let dir = tempfile::tempdir().unwrap();
        let engine = case(dir.path(), Box::new(Some50));
        let all = blocks(&engine);
        let some = used(&engine, "| top 9 host by bytes");
        assert!(some > 0 && some < all, "{some} of {all}: the merged evidence is scanned");
        compare(&engine);
        for (source, hours) in [("a", 3 * 3600), ("b", 1)] {
            let set = What::SourceSet {
                source: source.into(),
                offset: Some(hours * SECOND),
                zone: None,
                year: None,
                dates: None,
                site: None,
            };
            engine.store().journal().append(set, Who::default()).unwrap();
        }
        let moved = used(&engine, "| timeline 1h");
        assert!(moved > 0 && moved < some, "{moved}: hours that begin within an hour are scanned");
        compare(&engine);
    }

    #[test]
    fn timelines_and_counts_are_those_of_the_rows() {
        let dir = tempfile::tempdir().unwrap();
        let engine = case(dir.path(), Box::new(Some50));
        let cancel = Cancel::default();
        for text in CONDITIONS {
            let question = engine.compile(text).unwrap();
            let mut rows: Vec<Record> = Vec::new();
            engine
                .select(&question, &crate::query::engine::Page::default(), &cancel, &mut |r| {
                    rows.push(r);
                    true
                })
                .unwrap();
            let count = engine.counts(std::slice::from_ref(&question), u64::MAX, &cancel).unwrap()[0];
            assert_eq!(count.n, rows.len() as u64, "{text}");
            for weight in [None, Some(field::BYTES), Some(field::DURATION)] {
                let line = engine.timeline(&question, 60, weight, &cancel).unwrap();
                let mut want = vec![0.0; line.bins.len()];
                for r in &rows {
                    let bin = (r.time().max(line.start).since(line.start) / line.bin) as usize;
                    want[bin] += weight.map_or(1.0, |w| r.value(w).and_then(|v| v.as_number()).unwrap_or(0.0));
                }
                assert_eq!(line.bins, want, "{text} {weight:?}");
            }
        }
    }
}
