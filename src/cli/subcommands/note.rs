//! `note`: notes on anything.

use crate::case::notes;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::Time;
use crate::model::decision::{About, What};
use crate::model::{Entity, RecordId, field};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::json;
use std::io::Write;

/// `backtrail note`.
pub struct Note;

#[derive(clap::Args)]
struct NoteArgs {
    /// Text in Markdown; without it the notes are listed
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// What it is about: a value (address, name ...), the id of a record, or a query; without it the case
    #[arg(long, value_name = "SUBJECT")]
    about: Option<String>,
    /// List as JSON Lines
    #[arg(long)]
    json: bool,
}

/// What a typed subject is: the id of a record, a value, else a query.
pub(super) fn subject(text: Option<&str>) -> About {
    let Some(text) = text else { return About::Case };
    if text.parse::<RecordId>().is_ok() {
        return About::Records(vec![text.to_owned()]);
    }
    match Entity::recognise(text) {
        Some(e) => About::Value(field::name(e.field), e.value.to_string()),
        None => About::Query(text.to_owned()),
    }
}

impl Subcommand for Note {
    fn command(&self) -> clap::Command {
        NoteArgs::augment_args(
            clap::Command::new("note").about("Write a note on a record, a value, a query or the case; list notes"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = NoteArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if !args.text.is_empty() {
            let about = subject(args.about.as_deref());
            opened.keeper.append(What::Note { about, text: args.text.join(" ") })?;
            return Ok(Done::All);
        }
        let mut out = std::io::stdout().lock();
        let notes = notes::notes(&opened.keeper.decisions());
        if args.json {
            for n in notes {
                let row = json!({"schema": "backtrail.note/1", "id": n.id, "about": notes::subject(&n.about), "text": n.text, "at": n.at.rfc3339(), "who": n.who});
                writeln!(out, "{row}").map_err(io)?;
            }
            return Ok(Done::All);
        }
        let names = ["#", "at", "by", "about", "note"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![true], false, &mut out);
        for n in notes {
            let at: Time = n.at;
            grid.row(vec![n.id.to_string(), at.rfc3339(), n.who, notes::subject(&n.about), n.text])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
