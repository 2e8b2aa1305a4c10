//! `verify`: whether what the case holds is what was imported.

use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::sources::input::hash_prefix;
use clap::{Arg, ArgAction, ArgMatches};
use std::io::Write;
use std::path::Path;

/// `backtrail verify`.
pub struct Verify;

impl Subcommand for Verify {
    fn command(&self) -> clap::Command {
        clap::Command::new("verify")
            .about("Check the case: checksums of its segments, the journal's chain, the hashes of the evidence")
            .arg(Arg::new("quick").long("quick").action(ArgAction::SetTrue).help("Leave the hashes of the evidence out"))
            .arg(
                Arg::new("sizes")
                    .long("sizes")
                    .action(ArgAction::SetTrue)
                    .help("Print what each column and index takes on disk instead of checking"),
            )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let opened = Opened::existing(cx)?;
        let mut out = std::io::stdout().lock();
        if matches.get_flag("sizes") {
            return sizes(&opened, &mut out);
        }
        let check = opened.store.verify()?;
        let mut bad = check.damage.len();
        for line in &check.damage {
            writeln!(out, "damaged: {line}").map_err(io)?;
        }
        writeln!(
            out,
            "{} frames in {} segments, {} journal records: {}",
            check.frames,
            check.segments,
            check.decisions,
            if bad == 0 { "all checksums hold" } else { "see above" }
        )
        .map_err(io)?;
        if !matches.get_flag("quick") {
            let names = ["evidence", "state", "sha256"].map(str::to_owned).to_vec();
            let mut grid = Grid::new(names, vec![], false, &mut out);
            for e in opened.engine.evidence() {
                let state = match hash_prefix(Path::new(&e.path), u64::MAX) {
                    Ok(now) if now == e.sha256 => "as imported",
                    // A log that goes on being written still begins with what was imported.
                    Ok(_) if hash_prefix(Path::new(&e.path), e.size).is_ok_and(|h| h == e.sha256) => "grew since",
                    Ok(_) => "CHANGED",
                    Err(_) => "GONE",
                };
                bad += usize::from(state == "CHANGED" || state == "GONE");
                grid.row(vec![e.path, state.into(), e.sha256])?;
            }
            grid.end()?;
        }
        Ok(if bad == 0 { Done::All } else { Done::Partly })
    }
}

/// Prints what each part of the segments takes, and of it on one record.
fn sizes(opened: &Opened, out: &mut dyn Write) -> Result<Done> {
    let (parts, records) = opened.store.sizes()?;
    let each = |n: u64| if records == 0 { "-".to_owned() } else { format!("{:.2}", n as f64 / records as f64) };
    let names = ["part", "bytes", "unpacked", "a record"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![false, true, true, true], false, out);
    let (mut stored, mut raw) = (0, 0);
    for p in parts {
        (stored, raw) = (stored + p.stored, raw + p.raw);
        grid.row(vec![p.part, p.stored.to_string(), p.raw.to_string(), each(p.stored)])?;
    }
    grid.row(vec![format!("all of {records} records"), stored.to_string(), raw.to_string(), each(stored)])?;
    grid.end()?;
    Ok(Done::All)
}
