//! `open`: the workbench on the case; what the program does without a command.

use crate::cli::opened::Opened;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::tui;
use crate::tui::terminal::{Depth, charset};
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
        theme: args.theme.clone().unwrap_or_else(|| theme_for(Depth::detect())),
        keymap: args.keymap.clone().unwrap_or_else(|| "default".into()),
        config: crate::cli::config_dir(),
        depth: Depth::detect(),
        charset: charset(),
    };
    if args.fresh {
        opened.keeper.save_place("")?;
    }
    tui::run(Arc::clone(&opened.engine), Arc::clone(&opened.keeper), options)
}

/// The theme that suits a terminal, unless one was named.
fn theme_for(depth: Depth) -> String {
    if depth == Depth::None { "mono" } else { "dusk" }.to_owned()
}
