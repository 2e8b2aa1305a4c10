//! Filling a case with flows that are ready, and what comes of it.

use super::machine;
use backtrail::ingest::synthetic::{Filler, READY, batches};
use backtrail::model::synthetic::Shape;
use backtrail::model::{EvidenceKey, SourceId};
use backtrail::store::block::{BlockBuilder, Class, Packer};
use backtrail::store::{OpenOptions, Reserve, Store, postings, rollups};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

pub fn options() -> OpenOptions {
    OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 1, bytes: 1 << 30 }, ..OpenOptions::default() }
}

fn per_second(flows: u64, took: Duration) -> f64 {
    flows as f64 / took.as_secs_f64()
}

/// Fills a case.
pub fn fill(dir: &Path, shape: Shape) {
    let store = Store::open(dir, &options()).unwrap();
    let mut filler = Filler::new(&store);
    let source = filler.source(shape.from.day()).unwrap();
    let (mut took, mut cpu) = (Duration::ZERO, Duration::ZERO);
    let (mut flows, mut mark) = (0u64, (0u64, Duration::ZERO));
    let part = (shape.flows / 10).max(1);
    let mut slope = Vec::new();
    let before = machine::written();
    machine::reset_peak();
    // What encodes goes on while the next flows are made ready: it is counted as if flows came without a pause.
    let mut beside = machine::others();
    batches(shape, source, &mut |day, batch| {
        let hidden = machine::others().saturating_sub(beside);
        let (begun, used) = (Instant::now(), machine::cpu());
        flows += batch.len() as u64;
        filler.push(day, batch).unwrap();
        took += begun.elapsed() + hidden;
        cpu += machine::cpu() - used + hidden;
        beside = machine::others();
        if flows - mark.0 >= part {
            slope.push(per_second(flows - mark.0, took - mark.1));
            mark = (flows, took);
        }
        Ok(())
    })
    .unwrap();
    let begun = Instant::now();
    filler.end().unwrap();
    took += begun.elapsed();
    let stored = machine::size(dir);
    let written = machine::written() - before;
    println!(
        "filled: {:.0} flows/s ({:.1} s, {:.1} s of processors), {:.2} bytes a flow on disk, {:.2} written for one stored, {} MB at most (of it {} the flows that are ready)",
        per_second(flows, took),
        took.as_secs_f64(),
        cpu.as_secs_f64(),
        stored as f64 / flows as f64,
        written as f64 / stored as f64,
        machine::peak(),
        READY * 700 / (1 << 20),
    );
    println!("by tenths, flows/s: {}", slope.iter().map(|r| format!("{r:.0}")).collect::<Vec<_>>().join(" "));
    drop(store);
}

/// The same blocks, postings and sums, appended to one file with nothing that finds them again: what encoding alone takes.
pub fn plain(path: &Path, shape: Shape) {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    let mut packer = Packer::new().unwrap();
    let (mut lists, mut sums) = (postings::Collector::default(), rollups::Collector::default());
    let mut builders: BTreeMap<(i32, Class), BlockBuilder> = BTreeMap::new();
    let (mut took, mut flows, mut number, mut of) = (Duration::ZERO, 0u64, 0u32, i32::MIN);
    let source = SourceId(1);
    let flush = |lists: &mut postings::Collector, sums: &mut rollups::Collector, packer: &mut Packer, file: &mut dyn Write| {
        lists
            .flush(packer, &mut |_, _, _, _, body| {
                file.write_all(&body).unwrap();
                Ok(())
            })
            .unwrap();
        sums.flush(packer, &mut |_, _, _, _, body| {
            file.write_all(&body).unwrap();
            Ok(())
        })
        .unwrap();
    };
    let close = |builder: BlockBuilder,
                 day: i32,
                 number: u32,
                 lists: &mut postings::Collector,
                 sums: &mut rollups::Collector,
                 packer: &mut Packer,
                 file: &mut dyn Write| {
        sums.add(day, source, &builder);
        let mut index = |field: u16, value: &[u8], rows: &[u32]| lists.add(day, source, number, field, value, rows);
        let (_, body) = builder.close(0, number, EvidenceKey(1), packer, &mut index);
        file.write_all(&body).unwrap();
    };
    batches(shape, source, &mut |day, batch| {
        let begun = Instant::now();
        flows += batch.len() as u64;
        if day != of {
            for ((d, _), builder) in std::mem::take(&mut builders) {
                close(builder, d, number, &mut lists, &mut sums, &mut packer, &mut file);
                number += 1;
            }
            flush(&mut lists, &mut sums, &mut packer, &mut file);
            of = day;
            number = 0;
        }
        for record in batch {
            let key = (record.start.day(), Class::of(&record));
            let builder = builders.entry(key).or_insert_with(|| BlockBuilder::new(source));
            builder.push(record);
            if builder.is_full() {
                let builder = builders.remove(&key).unwrap();
                close(builder, key.0, number, &mut lists, &mut sums, &mut packer, &mut file);
                number += 1;
            }
        }
        took += begun.elapsed();
        Ok(())
    })
    .unwrap();
    let begun = Instant::now();
    for ((d, _), builder) in std::mem::take(&mut builders) {
        close(builder, d, number, &mut lists, &mut sums, &mut packer, &mut file);
        number += 1;
    }
    flush(&mut lists, &mut sums, &mut packer, &mut file);
    file.flush().unwrap();
    file.get_ref().sync_data().unwrap();
    took += begun.elapsed();
    let len = std::fs::metadata(path).unwrap().len();
    println!(
        "plain file of the same blocks, one thread: {:.0} flows/s, {:.2} bytes a flow",
        per_second(flows, took),
        len as f64 / flows as f64
    );
    std::fs::remove_file(path).unwrap();
}

/// Bytes a flow by part.
pub fn sizes(dir: &Path) {
    let store = Store::open(dir, &options()).unwrap();
    let (parts, records) = store.sizes().unwrap();
    let catalog = machine::size(&dir.join("catalog"));
    let total: u64 = parts.iter().map(|p| p.stored).sum::<u64>() + catalog;
    println!("bytes a flow, {} flows, {:.2} in all:", records, total as f64 / records as f64);
    for part in parts {
        println!(
            "  {:28} {:7.3}  (before compression {:7.3})",
            part.part,
            part.stored as f64 / records as f64,
            part.raw as f64 / records as f64
        );
    }
    println!("  {:28} {:7.3}", "(catalog)", catalog as f64 / records as f64);
}

/// How long it takes to open it: with files in memory, without, and with a catalog that has to be made anew.
pub fn openings(dir: &Path) {
    let open = |what: &str| {
        let begun = Instant::now();
        let store = Store::open(dir, &options()).unwrap();
        let rows = store.snapshot().span();
        println!(
            "opened {what}: {:.1} ms ({} MB){}",
            begun.elapsed().as_secs_f64() * 1e3,
            machine::now(),
            rows.map_or(" empty", |_| "")
        );
    };
    open("warm");
    machine::forget(dir);
    open("cold");
    std::fs::rename(dir.join("catalog"), dir.join("catalog.aside")).unwrap();
    open("with its catalog made anew");
    std::fs::remove_dir_all(dir.join("catalog.aside")).unwrap();
}
