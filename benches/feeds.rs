//! How long ten million indicators take to become a table of a case, and how long it takes to find one in it.
//! `cargo bench --bench feeds [-- COUNT]`; the targets are 60 s and 512 MB, 10 ms to open, 1 µs for a lookup that is warm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use backtrail::context::feeds;
use backtrail::context::tables::{Table, path};
use std::io::Write;
use std::time::{Duration, Instant};

fn main() {
    let count: u64 = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(10_000_000);
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    std::fs::create_dir(&case).unwrap();
    let list = dir.path().join("list.txt");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&list).unwrap());
    for n in 0..count {
        writeln!(out, "{}", indicator(n)).unwrap();
    }
    out.into_inner().unwrap();
    println!("{count} indicators, {} MB of text", std::fs::metadata(&list).unwrap().len() / 1_000_000);
    let begun = Instant::now();
    let compiled = feeds::compile(&case, &list, None).unwrap();
    println!("compiled in {:.1} s, greatest memory {} MB", begun.elapsed().as_secs_f64(), greatest_memory());
    assert_eq!((compiled.about.entries, compiled.about.failed), (count, 0));
    let path = path(&case, &compiled.about.sha256);
    println!("table of {} MB", std::fs::metadata(&path).unwrap().len() / 1_000_000);
    let opened = best(|| drop(Table::open(&path).unwrap()));
    println!("opened in {:.2} ms", opened.as_secs_f64() * 1e3);
    let table = Table::open(&path).unwrap();
    let few: Vec<String> = (0..500).map(|n| indicator(n * (count / 500)).to_lowercase()).filter(|t| !t.contains('/')).collect();
    let many: Vec<String> = (0..100_000).map(|n| indicator(n * 97 % count)).filter(|t| !t.contains('/')).collect();
    let none: Vec<String> = (0..100_000).map(|n| format!("no{n}.example")).collect();
    for (what, texts) in
        [("warm, listed", &few), ("spread over the table, listed", &many), ("spread over the table, not listed", &none)]
    {
        let listed = !std::ptr::eq(texts, &none);
        let took = best(|| assert!(texts.iter().all(|t| table.has(t).unwrap() == listed)));
        println!("lookup, {what}: {:.0} ns", took.as_nanos() as f64 / texts.len() as f64);
    }
    let took = best(|| few.iter().for_each(|t| assert!(!table.exact(t).unwrap().is_empty())));
    println!("lookup with its row, warm: {:.0} ns", took.as_nanos() as f64 / few.len() as f64);
}

/// A mix of addresses, names and hashes; the same for the same number.
fn indicator(n: u64) -> String {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match n % 4 {
        0 => std::net::Ipv4Addr::from((n / 4 + (1 << 24)) as u32).to_string(),
        1 => format!("h{mixed:x}.evil.example"),
        2 => format!("{mixed:016x}{:016x}", !mixed),
        _ => format!("{mixed:x}.example"),
    }
}

fn best(mut run: impl FnMut()) -> Duration {
    (0..5)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .min()
        .unwrap()
}

/// Greatest resident memory of this process so far, MB.
fn greatest_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1000
}
