//! `tag`: tags on anything, and verdicts.

use super::note::subject;
use crate::case::notes;
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::decision::What;
use clap::{ArgMatches, Args, FromArgMatches};

/// `backtrail tag`.
pub struct Tag;

#[derive(clap::Args)]
struct TagArgs {
    /// The tag; without it the tags are listed
    #[arg(value_name = "TAG")]
    tag: Option<String>,
    /// What it is put on: a value, the id of a record, or a query; without it the case
    #[arg(value_name = "SUBJECT")]
    about: Option<String>,
}

impl Subcommand for Tag {
    fn command(&self) -> clap::Command {
        TagArgs::augment_args(clap::Command::new("tag").about("Tag a record, a value, a query or the case; list tags"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = TagArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if let Some(tag) = args.tag {
            opened.keeper.append(What::Tag { about: subject(args.about.as_deref()), tag })?;
            return Ok(Done::All);
        }
        let mut out = std::io::stdout().lock();
        let names = ["#", "tag", "on", "at", "by"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![true], false, &mut out);
        for t in notes::tags(&opened.keeper.decisions()) {
            grid.row(vec![t.id.to_string(), t.tag, notes::subject(&t.about), t.at.rfc3339(), t.who])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
