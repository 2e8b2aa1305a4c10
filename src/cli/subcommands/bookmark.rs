//! `bookmark`: kept questions that re-run and show what has changed since.

use crate::case::bookmarks;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::query::engine::Cancel;
use clap::{ArgMatches, FromArgMatches, Subcommand as _};
use serde_json::json;
use std::io::Write;

/// `backtrail bookmark`.
pub struct Bookmark;

#[derive(clap::Subcommand)]
enum Action {
    /// Keep a question
    Add {
        /// Question; times counting back from now are kept absolute
        #[arg(required = true)]
        text: Vec<String>,
        /// Title
        #[arg(long, default_value = "")]
        title: String,
    },
    /// Every bookmark, with what has changed since it was kept
    List {
        /// As JSON Lines
        #[arg(long)]
        json: bool,
    },
    /// Take a bookmark back
    Remove {
        /// Number of the list
        id: u64,
    },
}

impl Subcommand for Bookmark {
    fn command(&self) -> clap::Command {
        Action::augment_subcommands(clap::Command::new("bookmark").about("Keep questions; list what has changed since"))
            .subcommand_required(true)
            .arg_required_else_help(true)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let action = Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let engine = &*opened.engine;
        match action {
            Action::Add { text, title } => {
                let question = engine.compile(&text.join(" "))?;
                let rows = engine.counts(std::slice::from_ref(&question), u64::MAX, &Cancel::default())?;
                let title = if title.is_empty() { question.text.clone() } else { title };
                let what = What::Bookmark {
                    title,
                    query: question.text.clone(),
                    lens: String::new(),
                    focus: String::new(),
                    rows: rows.first().map_or(0, |c| c.n),
                    seen: engine.sequence(),
                    node: None,
                };
                let kept = opened.keeper.append(what)?;
                writeln!(std::io::stdout(), "bookmark {} kept", kept.sequence).map_err(io)?;
            }
            Action::List { json } => list(&opened, json)?,
            Action::Remove { id } => {
                let decisions = opened.keeper.decisions();
                if !bookmarks::list(&decisions).iter().any(|b| b.id == id) {
                    return Err(Error::user(format!("there is no bookmark {id}")).hint("backtrail bookmark list"));
                }
                opened.keeper.append(What::Remove { id })?;
            }
        }
        Ok(Done::All)
    }
}

fn list(opened: &Opened, as_json: bool) -> Result<()> {
    let decisions = opened.keeper.decisions();
    let mut out = std::io::stdout().lock();
    let names = ["#", "title", "rows", "since", "question", "kept", "by"].map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for b in bookmarks::list(&decisions) {
        let new = bookmarks::changes(&b, &*opened.engine, &Cancel::default())?;
        if as_json {
            let row = json!({
                "schema": "backtrail.bookmark/1", "id": b.id, "title": b.title, "query": b.query, "rows": b.rows,
                "new": new, "at": b.at.rfc3339(), "who": b.who,
            });
            writeln!(out, "{row}").map_err(io)?;
            continue;
        }
        let since = if new > 0 { format!("+{new}") } else { String::new() };
        rows.push(vec![b.id.to_string(), b.title, b.rows.to_string(), since, b.query, b.at.rfc3339(), b.who]);
    }
    if !as_json {
        let mut grid = Grid::new(names, vec![true, false, true, true], false, &mut out);
        rows.into_iter().try_for_each(|row| grid.row(row))?;
        grid.end()?;
    }
    Ok(())
}
