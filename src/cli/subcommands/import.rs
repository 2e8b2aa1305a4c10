//! `import`: an export in Parquet back into a case.

use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::{Form, report};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::exported::open_export;
use crate::model::decision::What;
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
        drop(open_export(&args.paths)?);
        let opened = Opened::or_create(cx)?;
        let before = opened.engine.sequence();
        let report = opened.import_export(&args.paths, stop_on_signals()?)?;
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
