//! `import`: an export in Parquet back into a case.

use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::{Form, report};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::exported::{import_export, open_export};
use crate::ingest::{Progress, Watch};
use crate::model::decision::What;
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::PathBuf;

/// `backtrail import`.
pub struct Import;

#[derive(clap::Args)]
struct ImportArgs {
    /// Folder that `export --parquet` wrote, or its files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A row for every evidence file, however many
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Form of the table
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Import {
    fn command(&self) -> clap::Command {
        ImportArgs::augment_args(clap::Command::new("import"))
            .about("Take an export in Parquet into the case; ends with a row per evidence file")
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ImportArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if let Some(path) = args.paths.iter().find(|p| !p.exists()) {
            let hint = "give the folder that `backtrail export --parquet` wrote; captures and logs come in by `backtrail ingest`";
            return Err(Error::input("there is no such file").at_path(path).hint(hint));
        }
        // What is refused makes no case.
        let readers = open_export(&args.paths)?;
        let opened = Opened::alone_or_create(cx, true)?;
        let before = opened.engine.sequence();
        let progress = |_: &Progress| ();
        let report =
            import_export(opened.store()?, &readers, &Watch { stop: stop_on_signals()?, progress: &progress, now: now() })?;
        let paths = args.paths.iter().map(|p| p.display().to_string()).collect();
        opened.keeper.append(What::Import {
            paths,
            from: String::new(),
            how: "export of another case".into(),
            ticket: String::new(),
        })?;
        report::print(&report, args.form, args.verbose)?;
        super::sweep::say_watch(&opened, before)?;
        if report.stopped {
            let said = "note: stopped; evidence that was imported whole is kept, import the rest again";
            let _ = writeln!(std::io::stderr(), "{said}");
        }
        Ok(if report.is_incomplete() { Done::Partly } else { Done::All })
    }
}
