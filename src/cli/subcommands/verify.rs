//! `verify`: whether what the case holds is what was imported.

use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::model::evidence::EvidenceInfo;
use crate::service::peer;
use crate::sources::archive::find;
use crate::sources::reread::{Place, sha256};
use crate::store::verify::How;
use clap::{Arg, ArgAction, ArgMatches};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// `backtrail verify`.
pub struct Verify;

impl Subcommand for Verify {
    fn command(&self) -> clap::Command {
        clap::Command::new("verify")
            .about("Check the case: checksums of its segments, indexes against rows, the journal's chain, the hashes of the evidence")
            .arg(Arg::new("quick").long("quick").action(ArgAction::SetTrue).help("Leave the hashes of the evidence out"))
            .arg(Arg::new("full").long("full").action(ArgAction::SetTrue).help("Compare indexes with every row, not with some"))
            .arg(
                Arg::new("repair")
                    .long("repair")
                    .action(ArgAction::SetTrue)
                    .help("Make indexes anew of the rows where they do not fit them or cannot be read; go on without rows that cannot be read"),
            )
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
        let check = opened.verify(How { full: matches.get_flag("full"), repair: matches.get_flag("repair") })?;
        let mut bad = check.damage.len();
        for line in &check.damage {
            writeln!(out, "damaged: {line}").map_err(io)?;
        }
        for why in &check.repaired {
            writeln!(out, "repaired: {why}").map_err(io)?;
        }
        for line in &check.lost {
            writeln!(out, "lost: {line}").map_err(io)?;
        }
        for path in &check.derived {
            writeln!(out, "derived anew: passive DNS of {path}").map_err(io)?;
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
        let unreadable = peer::is_others(&cx.case);
        if unreadable {
            let said = "note: the evidence is its owner's to read: its hashes were not checked";
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        if !matches.get_flag("quick") && !unreadable {
            let names = ["evidence", "state", "sha256"].map(str::to_owned).to_vec();
            let mut grid = Grid::new(names, vec![], false, &mut out);
            let mut evidence = opened.engine.evidence();
            // Archives come before what is in them.
            evidence.sort_by_key(|e| find::split(&e.path).is_some());
            let mut whole = BTreeSet::new();
            for e in evidence {
                let state = state(&opened.keeper.dir().join("evidence"), &e, &whole);
                if state == "as imported" {
                    whole.insert(e.path.clone());
                }
                bad += usize::from(state == "CHANGED" || state == "GONE");
                grid.row(vec![e.path, state.into(), e.sha256])?;
            }
            grid.end()?;
        }
        Ok(if bad == 0 { Done::All } else { Done::Partly })
    }
}

/// Whether evidence is as it was. `whole`: files that are.
fn state(kept: &Path, info: &EvidenceInfo, whole: &BTreeSet<String>) -> &'static str {
    if info.is_unread() && info.sha256.is_empty() {
        return "not read";
    }
    if info.is_live() {
        return "captured live";
    }
    let place = match Place::of(kept, info) {
        Ok(place) => place,
        Err(_) if Path::new(&info.path).exists() => return "CHANGED",
        Err(_) => return "GONE",
    };
    // What is in an archive that is as it was is as it was too.
    if let Place::Member(text, ..) = &place
        && find::split(text).is_some_and(|(archive, _)| whole.contains(&archive.display().to_string()))
    {
        return "as imported";
    }
    let grew = matches!(&place, Place::File(path, _) if *path == Path::new(&info.path) && path.metadata().is_ok_and(|m| m.len() > info.size));
    match sha256(&place, info) {
        // A log that goes on being written still begins with what was imported.
        Ok(now) if now == info.sha256 => {
            if grew {
                "grew since"
            } else {
                "as imported"
            }
        }
        Ok(_) => "CHANGED",
        Err(_) => "GONE",
    }
}

/// Prints what each part of the segments takes, and of it on one record.
fn sizes(opened: &Opened, out: &mut dyn Write) -> Result<Done> {
    let (parts, records) = opened.sizes()?;
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
