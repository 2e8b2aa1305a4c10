//! `completions`: for the shell.

use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, value_parser};
use clap_complete::Shell;
use std::io::Write;

/// `backtrail completions`.
pub struct Completions;

impl Subcommand for Completions {
    fn command(&self) -> clap::Command {
        clap::Command::new("completions")
            .about("Completions for a shell, on standard output")
            .arg(Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(Shell)).help("Shell"))
    }
    fn run(&self, matches: &ArgMatches, _: &Cx) -> Result<Done> {
        let shell = matches.get_one::<Shell>("shell").ok_or_else(|| Error::user("which shell?"))?;
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut crate::cli::command(), "backtrail", &mut text);
        std::io::stdout().write_all(&text).map_err(crate::cli::output::io)?;
        Ok(Done::All)
    }
}
