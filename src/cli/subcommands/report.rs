//! `report`: what the case holds, what was asked, kept and judged.

use crate::case::report::{gather, json, markdown};
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::model::decision::What;
use crate::sources::input::hash_prefix;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::PathBuf;

/// `backtrail report`.
pub struct Report;

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Markdown.
    Md,
    /// One JSON object.
    Json,
}

#[derive(clap::Args)]
struct ReportArgs {
    /// Form
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "md")]
    form: Form,
    /// File to write; its hash is journalled. Without it: standard output
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
}

impl Subcommand for Report {
    fn command(&self) -> clap::Command {
        ReportArgs::augment_args(
            clap::Command::new("report").about("Report of the case: evidence, sources, bookmarks, notes, verdicts, trail"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ReportArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let report = gather(&opened.keeper.name(), &opened.keeper.decisions(), &*opened.engine, &Cancel::default())?;
        let text = match args.form {
            Form::Md => markdown::write(&report, &*opened.engine),
            Form::Json => format!("{:#}\n", json::write(&report, &*opened.engine)),
        };
        let Some(path) = args.write else {
            std::io::stdout().write_all(text.as_bytes()).map_err(io)?;
            return Ok(Done::All);
        };
        std::fs::write(&path, text).map_err(|e| Error::io("cannot write", &path, &e))?;
        let sha256 = hash_prefix(&path, u64::MAX)?;
        opened.keeper.append(What::Export { what: "report".into(), path: path.display().to_string(), sha256 })?;
        Ok(Done::All)
    }
}
