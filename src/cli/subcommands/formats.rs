//! `formats`: what can be read; `formats check`: whether a definition of one's own reads its samples.

use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand, own_formats};
use crate::error::Result;
use crate::formats;
use crate::protocols;
use crate::sources::FORMATS;
use clap::{Arg, ArgMatches, value_parser};
use std::io::Write;
use std::path::PathBuf;

/// How one's own formats are defined.
const OWN: &str = r#"Own line formats are read from $XDG_CONFIG_HOME/backtrail/formats/*.toml:

  name = "shop"
  doc = "Orders of the shop."
  match = '^(?<time>\S+ \S+) (?<ip>\S+) user=(?<who>\S+) (?<what>.*)$'
  [fields]
  ip = "src.ip"
  who = "user"
  what = "message"
  [time]
  group = "time"
  format = "%Y-%m-%d %H:%M:%S"
  zone = "Europe/Berlin"
  [[samples]]
  line = "2026-11-20 08:00:00 192.0.2.5 user=bob ordered 7"
  fields = { "src.ip" = "192.0.2.5", user = "bob", start = "2026-11-20T07:00:00Z" }

Left out: kind (log), [time] format (any form that is known), zone (that of the import), [constant] (field = value).
Instead of match, [fields] and [time]: nginx = '...', apache = '...' or squid = '...', the log format as the server is told it.
Groups that are no field's are kept in extra. Own formats are asked before the built-in ones."#;

/// `backtrail formats`.
pub struct Formats;

impl Subcommand for Formats {
    fn command(&self) -> clap::Command {
        let check = clap::Command::new("check")
            .about("Read a definition of one's own and its samples; says what is wrong, where, and what next")
            .arg(
                Arg::new("file")
                    .required(true)
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("The definition, TOML"),
            );
        clap::Command::new("formats")
            .about("The captures, archives, logs and protocols that are understood")
            .after_help(OWN)
            .subcommand(check)
    }
    fn run(&self, matches: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        if let Some(path) = matches.subcommand_matches("check").and_then(|m| m.get_one::<PathBuf>("file")) {
            let own = own_formats::read(path)?;
            let _ = writeln!(out, "{}: its samples are read as they say", formats::Format::name(&own));
            return Ok(Done::All);
        }
        let names = ["name", "what", "meaning"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        for (name, what, doc) in FORMATS {
            grid.row([*name, *what, *doc].map(str::to_owned).to_vec())?;
        }
        for format in formats::ALL {
            grid.row(vec![format.name().into(), "log".into(), format.doc().into()])?;
        }
        for format in formats::own::installed() {
            grid.row(vec![formats::Format::name(*format).into(), "own log".into(), formats::Format::doc(*format).into()])?;
        }
        for protocol in protocols::ALL {
            grid.row(vec![protocol.name().into(), "protocol".into(), protocol.doc().into()])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
