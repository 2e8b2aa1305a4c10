//! `themes`: the themes there are.

use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::tui::terminal::Depth;
use crate::tui::theme::Theme;
use clap::ArgMatches;
use std::io::Write;

/// `backtrail themes`.
pub struct Themes;

impl Subcommand for Themes {
    fn command(&self) -> clap::Command {
        clap::Command::new("themes").about("The themes of the workbench: backtrail open --theme NAME")
    }
    fn run(&self, _: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        let config = crate::cli::config_dir();
        for name in Theme::available(config.as_deref()) {
            let state = match Theme::load(&name, config.as_deref(), Depth::True) {
                Ok(_) => String::new(),
                Err(e) => format!("  cannot be loaded: {}", e.what),
            };
            writeln!(out, "{name}{state}").map_err(crate::cli::output::io)?;
        }
        Ok(Done::All)
    }
}
