//! `open`: the workbench on the case; what the program does without a command.

use crate::cli::opened::Opened;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::tui;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::IsTerminal;
use std::sync::Arc;

/// `backtrail open`.
pub struct Open;

#[derive(clap::Args, Clone, Default)]
pub(super) struct OpenArgs {
    /// Theme: a name of `backtrail themes`
    #[arg(long, value_name = "NAME")]
    theme: Option<String>,
    /// Keymap: a name of `backtrail keys --list`
    #[arg(long, value_name = "NAME")]
    keymap: Option<String>,
    /// Begin anew instead of where the last session stood
    #[arg(long)]
    fresh: bool,
}

impl Subcommand for Open {
    fn command(&self) -> clap::Command {
        OpenArgs::augment_args(clap::Command::new("open").about("Open the workbench on the case (the default)"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        // Without a command the options are not there to be read.
        let args = OpenArgs::from_arg_matches(matches).unwrap_or_default();
        needs_terminal()?;
        workbench(&Opened::or_create(cx)?, &args)?;
        Ok(Done::All)
    }
}

/// Says early that there is no terminal.
pub(super) fn needs_terminal() -> Result<()> {
    if std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Error::user("the workbench needs a terminal").hint("ask headless: backtrail query 'TEXT', or backtrail demo --headless"))
}

/// Opens the workbench.
pub(super) fn workbench(opened: &Opened, args: &OpenArgs) -> Result<()> {
    let options = tui::Options {
        theme: args.theme.clone(),
        keymap: args.keymap.clone(),
        fresh: args.fresh,
        notices: opened.notices.clone(),
        ..tui::Options::default()
    };
    tui::run(Arc::clone(&opened.engine), Arc::clone(&opened.keeper), options)
}
