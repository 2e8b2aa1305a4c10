//! `trail`: the tree of pivots walked.

use crate::case::trail::tree;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;
use std::io::Write;

/// `backtrail trail`.
pub struct Trail;

impl Subcommand for Trail {
    fn command(&self) -> clap::Command {
        clap::Command::new("trail")
            .about("The tree of pivots walked, each with its question and what it returned")
            .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON Lines"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let opened = Opened::existing(cx)?;
        let mut out = std::io::stdout().lock();
        let nodes = tree(&opened.keeper.decisions());
        if matches.get_flag("json") {
            for n in nodes {
                let row = json!({
                    "schema": "backtrail.trail/1", "id": n.id, "parent": n.parent, "label": n.label, "query": n.query, "lens": n.lens,
                    "focus": n.focus, "window": n.window, "rows": n.rows, "at": n.at.rfc3339(), "who": n.who,
                });
                writeln!(out, "{row}").map_err(io)?;
            }
            return Ok(Done::All);
        }
        let names = ["#", "step", "rows", "question", "window", "at", "by"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![true, false, true], false, &mut out);
        for n in nodes {
            let step = format!("{}{}", "  ".repeat(n.depth), n.label);
            grid.row(vec![n.id.to_string(), step, n.rows.to_string(), n.query, n.window, n.at.rfc3339(), n.who])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
