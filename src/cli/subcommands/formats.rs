//! `formats`: what can be read.

use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::formats;
use crate::protocols;
use clap::ArgMatches;

/// `backtrail formats`.
pub struct Formats;

impl Subcommand for Formats {
    fn command(&self) -> clap::Command {
        clap::Command::new("formats").about("The captures, logs and protocols that are understood")
    }
    fn run(&self, _: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        let names = ["name", "what", "meaning"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        let captures = [
            ("pcap", "Capture: both byte orders, microseconds and nanoseconds."),
            ("pcapng", "Capture: several sections and interfaces, comments, names."),
        ];
        for (name, doc) in captures {
            grid.row(vec![name.into(), "capture".into(), doc.into()])?;
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
