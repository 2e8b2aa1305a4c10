//! `handover`: a bundle for the next shift or for court.

use crate::case::handover::{Handed, Limits, Request, hand_over};
use crate::case::report::redact::Redactor;
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::PathBuf;

/// `backtrail handover`.
pub struct Handover;

#[derive(clap::Args)]
struct HandoverArgs {
    /// Folder to make, or a file ending in .zip or .tar
    #[arg(short = 'w', long = "write", value_name = "DIR|FILE.zip|FILE.tar", required = true)]
    write: PathBuf,
    /// Records that are cited for one verdict, bookmark or finding, at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().rows)]
    rows: usize,
    /// Packets of all cited flows, at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().packets)]
    packets: usize,
    /// Replace addresses and users, as `report --redact` does; raw lines, packets and the journal are left out
    #[arg(long, value_name = "KEYFILE")]
    redact: Option<PathBuf>,
}

impl Subcommand for Handover {
    fn command(&self) -> clap::Command {
        let about = "A bundle for the next shift or for court: what was asked, is proven, was not covered, is open; cited lines and packets";
        HandoverArgs::augment_args(clap::Command::new("handover").about(about))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = HandoverArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let (engine, cancel) = (&*opened.engine, Cancel::default());
        let redactor = args.redact.as_deref().map(|path| Redactor::by_file(path, engine, &cancel)).transpose()?;
        let limits = Limits { rows: args.rows, packets: args.packets, ..Limits::default() };
        let handed = hand_over(engine, &*opened.keeper, Request { to: &args.write, limits, redactor }, &cancel)?;
        let mut out = std::io::stdout().lock();
        let mut grid = Grid::new(["file", "bytes", "sha256"].map(str::to_owned).to_vec(), vec![false, true], false, &mut out);
        for file in &handed.files {
            grid.row(vec![file.name.clone(), file.size.to_string(), file.sha256.clone()])?;
        }
        grid.end()?;
        // What is said besides the answer must not fail it.
        let said = |line: &str| {
            let _ = writeln!(std::io::stderr(), "note: {line}");
        };
        handed.notes.iter().for_each(|note| said(note));
        let Handed { statements, cited, packets, .. } = handed;
        said(&format!("{statements} statements, {cited} cited records, {packets} packets -> {}", args.write.display()));
        Ok(Done::All)
    }
}
