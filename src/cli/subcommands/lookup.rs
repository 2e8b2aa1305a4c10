//! `lookup`: asks a resolver about names and addresses, where that was permitted for the case; off otherwise.

use crate::case::lookup::{KINDS, forbid, look_up, permit};
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::context::lookups::{Lookup as Made, lookups, permission};
use crate::error::{Error, Result};
use crate::model::answer::Cancel;
use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;

/// `backtrail lookup`.
pub struct Lookup;

#[derive(clap::Args)]
struct LookupArgs {
    /// Names and addresses to ask for; without any, what was asked so far is listed
    #[arg(value_name = "NAME|ADDRESS")]
    what: Vec<String>,
    /// Type of record; without it A and AAAA of a name, PTR of an address
    #[arg(long = "type", value_name = "TYPE", ignore_case = true, value_parser = PossibleValuesParser::new(KINDS.iter().map(|k| k.1)))]
    kind: Option<String>,
    /// Ask for the registered domain of a name alone
    #[arg(long)]
    domain: bool,
    /// Permit lookups in this case, of this resolver and no other: ADDRESS or ADDRESS:PORT
    #[arg(long, value_name = "RESOLVER", requires = "reason", conflicts_with = "what")]
    permit: Option<String>,
    /// Reach the resolver through this SOCKS5 proxy
    #[arg(long, value_name = "ADDRESS:PORT", requires = "permit")]
    proxy: Option<String>,
    /// Forbid them again
    #[arg(long, conflicts_with_all = ["permit", "what"])]
    forbid: bool,
    /// Why that may be told to whoever answers
    #[arg(long, value_name = "WHY")]
    reason: Option<String>,
}

impl Subcommand for Lookup {
    fn command(&self) -> clap::Command {
        LookupArgs::augment_args(clap::Command::new("lookup").about(
            "Ask a resolver about names and addresses, if that was permitted for the case: whoever runs a name's servers learns of it",
        ))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = LookupArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let keeper = &*opened.keeper;
        let reason = args.reason.unwrap_or_default();
        if let Some(resolver) = args.permit {
            permit(keeper, &resolver, &args.proxy.unwrap_or_default(), &reason)?;
            return Ok(Done::All);
        }
        if args.forbid {
            forbid(keeper, &reason)?;
            return Ok(Done::All);
        }
        let mut made = Vec::new();
        for text in &args.what {
            made.extend(look_up(keeper, text, args.kind.as_deref(), args.domain, &Cancel::default())?);
        }
        let decisions = keeper.decisions();
        let shown: Vec<Made> = if args.what.is_empty() { lookups(&decisions).collect() } else { lookups(&made).collect() };
        let mut out = std::io::stdout().lock();
        if args.what.is_empty() {
            match permission(&decisions) {
                Some(p) => {
                    let through = if p.proxy.is_empty() { String::new() } else { format!(" through {}", p.proxy) };
                    writeln!(out, "permitted by {} of {}{through}, {}: {}", p.who, p.resolver, p.at.rfc3339(), p.reason)
                        .map_err(io)?;
                }
                None => writeln!(out, "not permitted in this case").map_err(io)?,
            }
        }
        let names = ["at", "by", "resolver", "name", "type", "outcome", "answer"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![false; 7], false, &mut out);
        for l in shown {
            grid.row(vec![l.at.rfc3339(), l.who, l.resolver, l.name, l.kind, l.outcome, l.answer.join("; ")])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}
