//! `man`: the manual page, made from the command line's own help.

use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use clap::ArgMatches;
use std::io::Write;

/// `backtrail man`.
pub struct Man;

impl Subcommand for Man {
    fn command(&self) -> clap::Command {
        clap::Command::new("man").about("The manual page, as roff: backtrail man | man -l -")
    }
    fn run(&self, _: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut text = Vec::new();
        let whole = crate::cli::command();
        clap_mangen::Man::new(whole.clone()).render(&mut text).map_err(crate::cli::output::io)?;
        for command in whole.get_subcommands().filter(|c| !c.is_hide_set()) {
            let man = clap_mangen::Man::new(command.clone().bin_name(format!("backtrail {}", command.get_name())));
            let mut part = Vec::new();
            man.render_synopsis_section(&mut part).map_err(crate::cli::output::io)?;
            man.render_description_section(&mut part).map_err(crate::cli::output::io)?;
            man.render_options_section(&mut part).map_err(crate::cli::output::io)?;
            // Sections of a command become one section of the page.
            let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
            text.extend(format!(".SH \"COMMAND {}\"\n{part}", command.get_name().to_uppercase()).into_bytes());
        }
        std::io::stdout().write_all(&text).map_err(crate::cli::output::io)?;
        Ok(Done::All)
    }
}
