//! `report`: what the case holds, what was asked, kept and judged.

use crate::case::report::form::{Form, save, whole};
use crate::case::report::redact::Redactor;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use clap::builder::PossibleValue;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

/// `backtrail report`.
pub struct Report;

impl clap::ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Form] {
        static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| Form::ALL.iter().map(|f| f.0).collect());
        &FORMS
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (_, name, _, doc) = Form::ALL.iter().find(|f| f.0 == *self)?;
        Some(PossibleValue::new(*name).help(*doc))
    }
}

#[derive(clap::Args)]
struct ReportArgs {
    /// Form
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "md")]
    form: Form,
    /// Replace addresses and users, by a key that is read from this file (made if it is not there): networks keep their shape
    #[arg(long, value_name = "KEYFILE")]
    redact: Option<PathBuf>,
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
        let (engine, keeper, cancel) = (&*opened.engine, &*opened.keeper, Cancel::default());
        let report = whole(engine, keeper, &cancel)?;
        let mut redactor = match &args.redact {
            Some(path) => Some(Redactor::by_file(path, engine, &cancel)?),
            None => None,
        };
        let text = args.form.write(&report, engine, &mut redactor);
        let Some(path) = args.write else {
            std::io::stdout().write_all(text.as_bytes()).map_err(io)?;
            return Ok(Done::All);
        };
        save(&text, &path, keeper)?;
        Ok(Done::All)
    }
}
