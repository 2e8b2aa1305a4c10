//! `open`: the workbench on the case; what the program does without a command.

use crate::cli::opened::Opened;
use crate::cli::output;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::tui;
use crate::tui::settings::Settings;
use crate::tui::terminal::{Depth, charset};
use crate::tui::times::Zone;
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
    /// Line by line, for screen readers and scripts: a line of keys (`j j enter`) or a command (`:focus 10.0.0.5`) in, what changed out
    #[arg(long)]
    plain: bool,
}

impl Subcommand for Open {
    fn command(&self) -> clap::Command {
        OpenArgs::augment_args(clap::Command::new("open").about("Open the workbench on the case (the default)"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        // Without a command the options are not there to be read.
        let args = OpenArgs::from_arg_matches(matches).unwrap_or_default();
        needs_terminal(&args)?;
        workbench(&Opened::served(cx)?, &args, None)?;
        Ok(Done::All)
    }
}

/// Says early that there is no terminal, which only lines do without.
pub(super) fn needs_terminal(args: &OpenArgs) -> Result<()> {
    if args.plain || std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Error::user("the workbench needs a terminal").hint("ask headless: backtrail query 'TEXT', or backtrail demo --headless"))
}

/// Opens the workbench; a capture that runs in this process ends with it at the latest.
pub(super) fn workbench(opened: &Opened, args: &OpenArgs, live: Option<Live>) -> Result<()> {
    let config = crate::cli::config_dir();
    // Settings that cannot be read keep nobody from working: they are said on the first screen.
    let (settings, notice) = match Settings::load(config.as_deref()) {
        Ok(settings) => (settings, None),
        Err(err) => (Settings::default(), Some(err)),
    };
    let depth = Depth::detect();
    let theme = args.theme.clone().or(settings.theme.filter(|_| depth != Depth::None));
    let options = tui::Options {
        theme: theme.unwrap_or_else(|| theme_for(depth)),
        keymap: args.keymap.clone().or(settings.keymap).unwrap_or_else(|| "default".into()),
        config,
        depth,
        charset: charset(),
        zone: settings.zone.as_deref().and_then(Zone::parse).unwrap_or_default(),
        escape_ms: settings.escape_ms,
        notice,
        plain: args.plain,
        export: Some(output::file::export),
        live,
        news: opened.client().map(|client| {
            client.follow();
            client.news()
        }),
    };
    if args.fresh {
        opened.keeper.save_place("")?;
    }
    let (engine, keeper) = (Arc::clone(&opened.engine), Arc::clone(&opened.keeper));
    if args.plain {
        let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
        return tui::plain::run(engine, keeper, options, &mut input, &mut out, std::io::stdin().is_terminal());
    }
    tui::run(engine, keeper, options)
}

/// The theme that suits a terminal, unless one was named.
fn theme_for(depth: Depth) -> String {
    if depth == Depth::None { "mono" } else { "dusk" }.to_owned()
}
