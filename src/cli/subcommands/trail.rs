//! `trail`: the tree of pivots walked; asked again, with what has changed; branches that are taken back.

use crate::case::replay::{Difference, Now, difference, in_words, replay};
use crate::case::trail::{Node, branch, tree};
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::Time;
use crate::model::answer::Cancel;
use crate::model::decision::What;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Value as Json, json};
use std::io::Write;

/// `backtrail trail`.
pub struct Trail;

#[derive(clap::Args)]
struct TrailArgs {
    /// As JSON Lines
    #[arg(long)]
    json: bool,
    /// Ask every step's question again and say what has changed since it was walked
    #[arg(long)]
    replay: bool,
    /// Take this step and every step that was reached from it off the trail (the journal keeps them)
    #[arg(long, value_name = "NUMBER", conflicts_with = "replay")]
    prune: Option<u64>,
    /// Call a step something else, as `rename` does on the screen
    #[arg(long, value_name = "NUMBER", requires = "label", conflicts_with_all = ["replay", "prune", "json"])]
    rename: Option<u64>,
    /// What the step is called from now on
    #[arg(long, value_name = "TEXT", requires = "rename")]
    label: Option<String>,
}

impl Subcommand for Trail {
    fn command(&self) -> clap::Command {
        TrailArgs::augment_args(
            clap::Command::new("trail")
                .about("The tree of pivots walked, each with its question and what it returned; asked again"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = TrailArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let nodes = tree(&opened.keeper.decisions());
        if let Some(id) = args.prune {
            let branch = branch(&nodes, id);
            if branch.is_empty() {
                return Err(no_step(id));
            }
            // Those furthest out first: whatever stops it, no step is left hanging in the air.
            for id in branch.iter().rev() {
                opened.keeper.append(What::Remove { id: *id })?;
            }
            let _ = writeln!(std::io::stderr(), "{} steps taken off the trail", branch.len());
            return Ok(Done::All);
        }
        if let (Some(id), Some(label)) = (args.rename, &args.label) {
            let label = label.trim();
            if !nodes.iter().any(|n| n.id == id) {
                return Err(no_step(id));
            }
            if label.is_empty() {
                return Err(Error::user("a step is called something").hint("--label 'first beacon'"));
            }
            opened.keeper.append(What::Edit { id, text: label.to_owned() })?;
            return Ok(Done::All);
        }
        if args.replay { replayed(&opened, &nodes, args.json) } else { listed(&nodes, args.json) }
    }
}

fn no_step(id: u64) -> Error {
    Error::user(format!("the trail has no step {id}")).hint("backtrail trail lists them with their numbers")
}

fn listed(nodes: &[Node], as_json: bool) -> Result<Done> {
    let mut out = std::io::stdout().lock();
    if as_json {
        nodes.iter().try_for_each(|n| writeln!(out, "{}", object(n)).map_err(io))?;
        return Ok(Done::All);
    }
    let names = ["#", "step", "rows", "question", "window", "at", "by"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![true, false, true], false, &mut out);
    for n in nodes {
        let (query, window, who) = (n.query.clone(), n.window.clone(), n.who.clone());
        grid.row(vec![n.id.to_string(), step(n), n.rows.to_string(), query, window, n.at.rfc3339(), who])?;
    }
    grid.end()?;
    Ok(Done::All)
}

fn step(node: &Node) -> String {
    format!("{}{}", "  ".repeat(node.depth), node.label)
}

fn object(n: &Node) -> Json {
    json!({
        "schema": "backtrail.trail/1", "id": n.id, "parent": n.parent, "label": n.label, "query": n.query, "lens": n.lens,
        "focus": n.focus, "window": n.window, "rows": n.rows, "at": n.at.rfc3339(), "who": n.who,
    })
}

/// The trail with what there is now, a step as soon as it was asked. Steps that cannot be asked are part of the answer.
fn replayed(opened: &Opened, nodes: &[Node], as_json: bool) -> Result<Done> {
    let time = |t: Time| t.utc().format("%Y-%m-%d %H:%MZ").to_string();
    let mut out = std::io::stdout().lock();
    let mut failed = None;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let tally = replay(nodes, &*opened.engine, &Cancel::default(), &mut |at, now| {
        let Some(n) = nodes.get(at) else { return false };
        let change = in_words(n, now, &time);
        if !as_json {
            let count = if let Now::Rows { n, .. } = now { n.to_string() } else { String::new() };
            rows.push(vec![n.id.to_string(), step(n), n.rows.to_string(), count, change, n.query.clone(), n.window.clone()]);
            return true;
        }
        let mut row = object(n);
        row["change"] = json!(change);
        row["changed"] = match difference(n, now) {
            Difference::None | Difference::Unknown => Json::Null,
            Difference::Same => json!(false),
            Difference::Other => json!(true),
        };
        match now {
            Now::Rows { n, at_least, new } => {
                (row["rows.now"], row["at_least"], row["new"]) = (json!(n), json!(at_least), json!(new));
            }
            Now::Failed(why) => row["failed"] = json!(why),
            Now::Uncounted | Now::NotAsked => {}
        }
        failed = writeln!(out, "{row}").and_then(|()| out.flush()).err();
        failed.is_none()
    })?;
    if let Some(e) = failed {
        return Err(io(e));
    }
    if !as_json {
        let names = ["#", "step", "rows", "now", "since", "question", "window"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![true, false, true, true], false, &mut out);
        rows.into_iter().try_for_each(|row| grid.row(row))?;
        grid.end()?;
    }
    // Said besides the answer; whether anybody reads it must not fail it.
    let _ = writeln!(std::io::stderr(), "note: {}", tally.in_words());
    Ok(Done::All)
}
