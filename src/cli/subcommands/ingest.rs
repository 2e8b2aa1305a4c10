//! `ingest`: files, folders, standard input into the case, with a row per file.

use crate::cli::common::{Custody, Metering};
use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::{Form, report};
use crate::cli::{Cx, Done, Subcommand, secret};
use crate::error::{Error, Result};
use crate::ingest::Progress;
use crate::model::harmless::clean;
use crate::service::{ImportOrder, Typed};
use crate::sources::archive::keys::Ask;
use clap::{ArgMatches, Args, FromArgMatches};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// `backtrail ingest`.
pub struct Ingest;

#[derive(clap::Args)]
struct IngestArgs {
    /// Files, folders, archives, patterns like '*.log', `-` for standard input; recognised by content
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read as this format instead of the one recognised
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Name of the source instead of the one that the content gives
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Zone of times that state none: UTC, +02:00, Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Year of times that state none
    #[arg(long, value_name = "YEAR")]
    year: Option<i32>,
    #[command(flatten)]
    metering: Metering,
    /// Order of dates that may be read either way, like 03/04/2026: month-first, day-first; else each file decides
    #[arg(long, value_name = "ORDER")]
    dates: Option<String>,
    #[command(flatten)]
    custody: Custody,
    /// Password of encrypted archives; may be given several times. `infected` is tried too, then it is asked for on the terminal
    #[arg(long = "password", value_name = "PASSWORD")]
    passwords: Vec<String>,
    /// Keep no copy of compressed captures in the case: their packets are then read again from the start of the file
    #[arg(long)]
    no_spool: bool,
    /// A row for every file, however many
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Form of the table
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Ingest {
    fn command(&self) -> clap::Command {
        // Last, or what groups of options say of themselves would stand for it.
        IngestArgs::augment_args(clap::Command::new("ingest"))
            .about("Import captures, logs, feeds, scans; ends with a row per file")
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = IngestArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let paths = expand(&args.paths)?;
        let opened = Opened::or_create(cx)?;
        let bar = cx.progress.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            let style = "{bar:24} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let asked = bar.clone();
        // Whoever sees the progress can be asked.
        let ask = asked.map(|bar| -> Ask {
            Arc::new(move |archive| bar.suspend(|| secret::ask(&format!("password of {}", clean(archive)))))
        });
        let order = ImportOrder {
            passwords: args.passwords,
            no_spool: args.no_spool,
            source: args.source,
            year: args.year,
            format: args.format,
            zone: args.tz,
            timeouts: args.metering.timeouts().to_owned(),
            checksums: args.metering.checksums().to_owned(),
            dates: args.dates,
            custody: args.custody.stored(),
            ..ImportOrder::of(&paths)?
        };
        // What is wrong with it is said before it is journalled.
        order.request(None, None)?;
        opened.keeper.append(args.custody.journalled(paths.iter().map(|p| p.display().to_string()).collect()))?;
        let shown = |progress: &Progress| {
            if let Some(bar) = &bar {
                bar.set_length(progress.size.max(progress.bytes));
                bar.set_position(progress.bytes);
                let members = if progress.members > 0 { format!(" · {} members", progress.members) } else { String::new() };
                bar.set_message(format!("{}/{}{members} {}", progress.file, progress.files, clean(&progress.path)));
            }
        };
        let before = opened.engine.sequence();
        let report = opened.import(&order, &Typed::new(&paths), &shown, ask, stop_on_signals()?)?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        report::print(&report, args.form, args.verbose)?;
        super::sweep::say_watch(&opened, before)?;
        if report.stopped {
            let said = "note: stopped; files that were read to their end are kept, what was not read can be ingested again";
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        Ok(if report.is_incomplete() { Done::Partly } else { Done::All })
    }
}

/// Paths, and the files that patterns among them stand for. A path that is there is no pattern.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        if !text.contains(['*', '?', '[']) || path.symlink_metadata().is_ok() {
            out.push(path.clone());
            continue;
        }
        let pattern = glob::glob(&text).map_err(|e| {
            Error::user(format!("`{text}` is not a pattern: {}", e.msg))
                .hint("* any characters, ? one, [a-z] one of these, ** any folders")
        })?;
        let before = out.len();
        out.extend(pattern.filter_map(std::result::Result::ok));
        if out.len() == before {
            return Err(Error::input("no file matches the pattern")
                .at(text)
                .hint("check the path; * does not match across folders, ** does"));
        }
    }
    Ok(out)
}
