//! `flows`, `events`, `alerts`, `dns`, `query`: a question over one kind of record, or over all.

use crate::cli::ask::{self, About, AskArgs};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::Kind;
use clap::{ArgMatches, Args, FromArgMatches};

/// A command that asks.
pub struct Ask {
    name: &'static str,
    help: &'static str,
    about: About,
}

/// `backtrail flows`.
pub const FLOWS: Ask = Ask { name: "flows", help: "Flows that a question selects", about: About::Only(Kind::Flow) };
/// `backtrail events`.
pub const EVENTS: Ask = Ask { name: "events", help: "Everything but flows that a question selects", about: About::Events };
/// `backtrail alerts`.
pub const ALERTS: Ask = Ask { name: "alerts", help: "Alerts that a question selects", about: About::Only(Kind::Alert) };
/// `backtrail dns`.
pub const DNS: Ask = Ask { name: "dns", help: "DNS transactions that a question selects", about: About::Only(Kind::Dns) };
/// `backtrail query`.
pub const QUERY: Ask =
    Ask { name: "query", help: "The full language, with | count, sum, top, sort, head, timeline", about: About::All };

impl Subcommand for Ask {
    fn command(&self) -> clap::Command {
        // After the options: their own description would stand for the command's.
        AskArgs::augment_args(clap::Command::new(self.name)).about(self.help)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = AskArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        ask::run(&args, self.about, cx)
    }
}
