//! `formats`: what can be read.

use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::formats;
use crate::protocols;
use crate::sources::FORMATS;
use clap::ArgMatches;

/// `backtrail formats`.
pub struct Formats;

impl Subcommand for Formats {
    fn command(&self) -> clap::Command {
        clap::Command::new("formats").about("The captures, archives, logs and protocols that are understood")
    }
    fn run(&self, _: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        let names = ["name", "what", "meaning"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        for (name, what, doc) in FORMATS {
            grid.row([*name, *what, *doc].map(str::to_owned).to_vec())?;
        }
        for format in formats::ALL {
            grid.row(vec![format.name().into(), "log".into(), format.doc().into()])?;
        }
        for protocol in protocols::ALL {
            grid.row(vec![protocol.name().into(), "protocol".into(), protocol.doc().into()])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
