//! The command line; the only place that prints. One file of `subcommands/`, one command.
//!
//! Exit status: 0 done (a broken pipe too), 1 failed, 2 partly read. Errors go to standard error as what / where / what next.

pub mod ask;

pub mod common;

pub mod opened;

pub mod output;

pub mod own_formats;

mod own_settings;

pub mod secret;

pub mod subcommands;

use crate::error::{Error, ErrorKind, Result};
use crate::model::time::parse_span;
use clap::{Arg, ArgMatches};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All of it.
    All,
    /// Something could not be read.
    Partly,
    /// Another process does it already.
    Held,
}

/// What every command is given.
pub struct Cx {
    /// Directory of the case: `--case`, `$BACKTRAIL_CASE`, else the default one.
    pub case: PathBuf,
    /// The case was named, not the default one.
    pub named: bool,
    /// How long to wait for a process that holds the case and serves nobody, if longer than usual.
    pub wait: Duration,
    /// Standard error is a terminal: progress may be drawn there.
    pub progress: bool,
}

/// A command of the program.
pub trait Subcommand: Sync {
    /// Its options and help; the name is the command's.
    fn command(&self) -> clap::Command;
    /// Does it.
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done>;
}

/// The whole command line, as help, completions and the man page show it.
pub fn command() -> clap::Command {
    let case = Arg::new("case")
        .long("case")
        .value_name("DIR")
        .global(true)
        .value_parser(clap::value_parser!(PathBuf))
        .help("Directory of the case [default: $BACKTRAIL_CASE, else the data directory's backtrail/default]");
    let wait =
        Arg::new("wait").long("wait").value_name("SPAN").global(true).help(
            "Wait so long for a process that holds the case and serves nobody, e.g. 30s [default: $BACKTRAIL_WAIT, else 2s]",
        );
    clap::Command::new("backtrail")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Follow an attack backwards through flows, alerts, logs, DNS and packets, in a terminal")
        .after_help("Without a command the workbench opens on the case. Begin with: backtrail demo")
        .arg(case)
        .arg(wait)
        .subcommands(subcommands::ALL.iter().map(|c| c.command()))
}

fn default_case() -> Result<PathBuf> {
    use etcetera::BaseStrategy;
    let base = etcetera::choose_base_strategy()
        .map_err(|e| Error::config(format!("no home directory: {e}")).hint("name the case: --case DIR"))?;
    Ok(base.data_dir().join("backtrail").join("default"))
}

/// Where the user's own keymaps, themes and settings are: `$XDG_CONFIG_HOME/backtrail`.
pub fn config_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    etcetera::choose_base_strategy().ok().map(|base| base.config_dir().join("backtrail"))
}

/// A span, or seconds.
fn patience(text: &str) -> Result<Duration> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let span = || parse_span(text).and_then(|n| u64::try_from(n).ok()).map(Duration::from_nanos);
    seconds.or_else(span).ok_or_else(|| Error::user(format!("`{text}` is not a span")).hint("for example 30s or 5m"))
}

fn run() -> Result<Done> {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            let failed = e.use_stderr();
            // Help and version are answers; what is left of a broken pipe does not matter.
            let _ = e.print();
            return if failed { Err(Error::cancelled()) } else { Ok(Done::All) };
        }
    };
    let given = matches.get_one::<PathBuf>("case").cloned();
    let given = given.or_else(|| std::env::var_os("BACKTRAIL_CASE").filter(|v| !v.is_empty()).map(PathBuf::from));
    let wait = matches.get_one::<String>("wait").cloned().or_else(|| std::env::var("BACKTRAIL_WAIT").ok());
    let cx = Cx {
        wait: wait.map_or(Ok(Duration::ZERO), |text| patience(&text))?,
        named: given.is_some(),
        case: match given {
            Some(dir) => dir,
            None => default_case()?,
        },
        progress: std::io::stderr().is_terminal(),
    };
    let (name, matches) = match matches.subcommand() {
        Some((name, matches)) => (name, Some(matches)),
        None => ("open", None),
    };
    let wrong = own_formats::install();
    if matches!(name, "ingest" | "formats") {
        for error in wrong {
            let _ = writeln!(std::io::stderr(), "note: own format left out: {error}");
        }
    }
    let left_out = own_settings::install(name)?;
    if matches!(name, "open" | "demo") {
        for error in left_out {
            let _ = writeln!(std::io::stderr(), "note: left out: {error}");
        }
    }
    match subcommands::ALL.iter().find(|c| c.command().get_name() == name) {
        // Without a command that of the workbench runs as if it had been typed, with its options at their defaults.
        Some(command) => match matches {
            Some(matches) => command.run(matches, &cx),
            None => command.run(&command.command().get_matches_from([name]), &cx),
        },
        None => Err(Error::internal(format!("command `{name}` is not in the list"))),
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    match run() {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::Partly) => ExitCode::from(2),
        Ok(Done::Held) => ExitCode::from(crate::service::HELD),
        Err(e) if e.kind == ErrorKind::Cancelled => {
            // Either help was asked for wrongly (clap has said so) or whoever reads our output has gone, which is success.
            let usage = command().try_get_matches().is_err();
            if usage { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}
