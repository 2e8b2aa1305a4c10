//! `doctor`: whether this terminal, this machine and this case are as they should be, and what to do where not.

use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::service::peer::Access;
use crate::tui::glyphs::Charset;
use crate::tui::terminal::{Depth, charset};
use clap::ArgMatches;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `backtrail doctor`.
pub struct Doctor;

impl Subcommand for Doctor {
    fn command(&self) -> clap::Command {
        clap::Command::new("doctor").about("Check terminal, machine and case, and say what to do")
    }
    fn run(&self, _: &ArgMatches, cx: &Cx) -> Result<Done> {
        let set = |name: &str| std::env::var(name).unwrap_or_else(|_| "not set".into());
        let mut rows: Vec<[String; 3]> = Vec::new();
        let mut add = |what: &str, found: String, advice: &str| rows.push([what.into(), found, advice.into()]);
        let (term, depth, charset) = (set("TERM"), Depth::detect(), charset());
        add("terminal", term, "");
        let monochrome = depth == Depth::None;
        add(
            "colours",
            format!("{depth:?}"),
            if monochrome { "everything is told without colour; COLORTERM=truecolor forces it" } else { "" },
        );
        let plain = charset == Charset::Ascii;
        add(
            "characters",
            format!("{charset:?}"),
            if plain { "set LANG or LC_ALL to a UTF-8 locale for borders and curves" } else { "" },
        );
        add(
            "user",
            set("BACKTRAIL_USER"),
            if std::env::var_os("BACKTRAIL_USER").is_none() {
                "set BACKTRAIL_USER where several share one account: the journal says who acted"
            } else {
                ""
            },
        );
        add("network", "nothing is looked up, nothing is sent".into(), "");
        add("case", cx.case.display().to_string(), if cx.named { "" } else { "name one with --case DIR or BACKTRAIL_CASE" });
        if let Some(parent) = existing(&cx.case)
            && let Ok(fs) = rustix::fs::statvfs(parent)
        {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize);
            let advice = if free < 1 << 30 { "less than 1 GiB: imports stop before the disk is full" } else { "" };
            add("free space", format!("{} MiB", free >> 20), advice);
        }
        if cx.case.is_dir() {
            let mode = std::fs::metadata(&cx.case).map_or(0, |m| m.permissions().mode() & 0o7777);
            let wide = Access::of(&cx.case).is_ok_and(|access| access.notice.is_some());
            let advice = if wide { "others can reach the evidence: chmod 700, or 2770 to share it with its group" } else { "" };
            add("mode of the case", format!("{mode:o}"), advice);
            match Opened::existing(cx) {
                Ok(opened) => {
                    if let Some(client) = opened.client() {
                        add("held by", format!("process {}", client.holder()), "");
                    }
                    let (sources, evidence) = (opened.engine.sources().len(), opened.engine.evidence().len());
                    add("contents", format!("{evidence} evidence files, {sources} sources"), "");
                    opened.notices.iter().for_each(|n| add("notice", n.clone(), ""));
                }
                Err(e) => add("cannot open", e.what, &e.hint),
            }
        } else {
            add("contents", "not there yet".into(), "backtrail ingest PATH makes it");
        }
        let mut out = std::io::stdout().lock();
        let names = ["what", "found", "do"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        rows.into_iter().try_for_each(|row| grid.row(row.to_vec()))?;
        grid.end()?;
        writeln!(out).map_err(io)?;
        Ok(Done::All)
    }
}

fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|p| p.exists())
}
