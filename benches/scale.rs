//! A case of many flows: how fast it is filled, what it takes on disk and in memory, how fast it is opened, and how long questions take, cold and
//! warm. `cargo bench --bench scale -- --flows 10000000 --days 7 [--dir DIR] [--keep] [--seed N] [--only PART-OF-A-QUESTION]
//! [--no-questions] [--no-plain] [--peers] [--questions-only]`.
//!
//! With `--dir DIR` of a case that is there already, it is not filled again. Everything asked is chosen by the seed. `--peers` asks nfdump and
//! DuckDB the same, where they are on this machine. Questions are asked in a process of their own, so that its memory is theirs alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "scale/fill.rs"]
mod fill;
#[path = "scale/machine.rs"]
mod machine;
#[path = "scale/peers.rs"]
mod peers;
#[path = "scale/questions.rs"]
mod questions;

use backtrail::model::synthetic::Shape;
use std::path::PathBuf;

/// What the command line says.
struct Args {
    shape: Shape,
    dir: Option<PathBuf>,
    keep: bool,
    questions: bool,
    alone: bool,
    peers: bool,
    runs: usize,
    only: Option<String>,
    plain: bool,
}

fn args() -> Args {
    let words: Vec<String> = std::env::args().collect();
    let value = |name: &str| words.iter().position(|w| w == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |v| v.replace('_', "").parse().expect(name));
    let mut shape = Shape::new(number("--flows", 2_000_000), number("--days", 7) as u32);
    shape.seed = number("--seed", 1);
    Args {
        shape,
        dir: value("--dir").map(PathBuf::from),
        keep: words.iter().any(|w| w == "--keep"),
        questions: !words.iter().any(|w| w == "--no-questions"),
        alone: words.iter().any(|w| w == "--questions-only"),
        peers: words.iter().any(|w| w == "--peers"),
        plain: !words.iter().any(|w| w == "--no-plain"),
        runs: number("--runs", 100) as usize,
        only: value("--only").cloned(),
    }
}

fn main() {
    let args = args();
    let scratch = tempfile::tempdir().unwrap();
    let dir = args.dir.clone().unwrap_or_else(|| scratch.path().join("case"));
    if args.alone {
        return questions::ask(&dir, args.runs, args.shape.seed, args.only.as_deref());
    }
    println!("{} flows over {} days, seed {}", args.shape.flows, args.shape.days, args.shape.seed);
    if !dir.join("seg").exists() {
        fill::fill(&dir, args.shape);
        if args.plain {
            fill::plain(&scratch.path().join("plain"), args.shape);
        }
    }
    fill::sizes(&dir);
    fill::openings(&dir);
    if args.questions {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        let given: Vec<String> = std::env::args().skip(1).collect();
        assert!(own.args(given).arg("--questions-only").arg("--dir").arg(&dir).status().unwrap().success());
    }
    if args.peers {
        peers::compare(&dir, args.shape, scratch.path());
    }
    if args.keep {
        println!("kept: {}", dir.display());
        let _ = scratch.keep();
    }
}
