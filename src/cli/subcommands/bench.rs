//! `bench`: what developers measure with. Not in the help: nobody needs it to follow an attack.

use crate::cli::opened::Opened;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::synthetic;
use crate::model::synthetic::Shape;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::time::Instant;

/// `backtrail bench`.
pub struct Bench;

/// `backtrail bench generate`.
#[derive(clap::Args)]
struct Generate {
    /// Flows to make
    #[arg(long, default_value_t = 1_000_000)]
    flows: u64,
    /// Days that they spread over
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Another seed, other flows
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Subcommand for Bench {
    fn command(&self) -> clap::Command {
        let generate = Generate::augment_args(clap::Command::new("generate"))
            .about("Fill a new case with flows that nobody sent: the same for the same numbers, on every machine");
        clap::Command::new("bench")
            .about("What developers measure with")
            .hide(true)
            .subcommand_required(true)
            .subcommand(generate)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let (_, matches) = matches.subcommand().ok_or_else(|| Error::user("bench needs to be told what"))?;
        let args = Generate::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::alone_or_create(cx, true)?;
        let store = opened.store()?;
        let begun = Instant::now();
        let flows = synthetic::fill(store, Shape { seed: args.seed, ..Shape::new(args.flows, args.days) }, &mut |_| ())?;
        let took = begun.elapsed().as_secs_f64();
        let said = format!("{flows} flows over {} days in {took:.1} s, their making included", args.days);
        // Where nobody listens there is nobody to be told.
        let _ = writeln!(std::io::stderr(), "{said}, into {}", cx.case.display());
        Ok(Done::All)
    }
}
