//! `open`: the workbench on the case; what the program does without a command.

use crate::cli::ask::every_column;
use crate::cli::opened::Opened;
use crate::cli::output::{self, Form};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::query::engine::{Cancel, Page};
use crate::query::{Engine, Question};
use crate::tui;
use crate::tui::export::Exported;
use crate::tui::settings::Settings;
use crate::tui::terminal::{Depth, charset};
use crate::tui::times::Zone;
use clap::{ArgMatches, Args, FromArgMatches};
use sha2::{Digest, Sha256};
use std::io::{IsTerminal, Write};
use std::path::Path;
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
        export: Some(export),
    };
    if args.fresh {
        opened.keeper.save_place("")?;
    }
    tui::run(Arc::clone(&opened.engine), Arc::clone(&opened.keeper), options)
}

/// Writes to a new file: `.csv`, `.log` (Zeek's conn.log), `.txt` (a table), anything else JSON Lines.
fn export(engine: &dyn Engine, what: Exported, path: &Path, cancel: &Cancel) -> Result<(u64, String)> {
    let form = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => Form::Csv,
        Some("log") => Form::Zeek,
        Some("txt") => Form::Table,
        _ => Form::Jsonl,
    };
    let mut bytes = Vec::new();
    let count = match what {
        Exported::Rows(question) => written(engine, question, form, cancel, &mut bytes)?,
        Exported::Sweep(answer) => {
            let rows: Vec<_> = answer.rows.iter().collect();
            output::sweep::write(form, answer, &rows, engine, &mut bytes)?;
            rows.len() as u64
        }
    };
    let mut file = std::fs::File::create_new(path).map_err(|e| Error::io("writing", path, &e))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| Error::io("writing", path, &e))?;
    let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    Ok((count, sha256))
}

/// Writes the answer of a question; gives its rows.
fn written(engine: &dyn Engine, question: &Question, form: Form, cancel: &Cancel, out: &mut Vec<u8>) -> Result<u64> {
    if !question.stages.is_empty() {
        let table = engine.table(question, cancel)?;
        output::table(form, &table, "backtrail.group/1", out)?;
        return Ok(table.rows.len() as u64);
    }
    let mut count = 0u64;
    let mut rows = output::rows(form, every_column(), out);
    let mut failed = None;
    engine.select(question, &Page::default(), cancel, &mut |record| {
        count += 1;
        failed = rows.record(&record, engine).err();
        failed.is_none()
    })?;
    match failed {
        Some(err) => Err(err),
        None => rows.end().map(|()| count),
    }
}

/// The theme that suits a terminal, unless one was named.
fn theme_for(depth: Depth) -> String {
    if depth == Depth::None { "mono" } else { "dusk" }.to_owned()
}
