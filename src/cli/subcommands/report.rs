//! `report`: what the case holds, what was asked, kept and judged.

use crate::case::report::redact::Redactor;
use crate::case::report::{gather, html, json, markdown, misp, stix, timesketch, with_findings};
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use crate::model::decision::What;
use crate::sources::input::hash_prefix;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::Value as Json;
use std::io::Write;
use std::path::PathBuf;

/// `backtrail report`.
pub struct Report;

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Markdown.
    Md,
    /// One HTML file with pictures: nothing in it runs or is fetched.
    Html,
    /// One JSON object.
    Json,
    /// A STIX 2.1 bundle.
    Stix,
    /// A MISP event.
    Misp,
    /// A timeline for Timesketch, JSON Lines.
    Timesketch,
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
        let (engine, decisions, cancel) = (&*opened.engine, opened.keeper.decisions(), Cancel::default());
        let mut report = gather(&opened.keeper.name(), &decisions, engine, &cancel)?;
        with_findings(&mut report, &opened.keeper.dir(), &decisions, engine, &cancel)?;
        let mut redactor = match &args.redact {
            Some(path) => Some(Redactor::by_file(path, engine, &cancel)?),
            None => None,
        };
        let text = match args.form {
            Form::Md => plain(markdown::write(&report, engine), &mut redactor),
            Form::Html => plain(html::write(&report, engine), &mut redactor),
            Form::Json => object(json::write(&report, engine), &mut redactor),
            Form::Stix => object(stix::write(&report), &mut redactor),
            Form::Misp => object(misp::write(&report), &mut redactor),
            Form::Timesketch => {
                let mut text = String::new();
                for mut line in timesketch::write(&report, engine) {
                    redactor.iter_mut().for_each(|r| r.json(&mut line));
                    text.push_str(&format!("{line}\n"));
                }
                text
            }
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

fn plain(text: String, redactor: &mut Option<Redactor>) -> String {
    match redactor {
        Some(r) => r.text(&text),
        None => text,
    }
}

fn object(mut object: Json, redactor: &mut Option<Redactor>) -> String {
    redactor.iter_mut().for_each(|r| r.json(&mut object));
    format!("{object:#}\n")
}
