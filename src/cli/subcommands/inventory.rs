//! `inventory`: what people say of hosts that no inventory says: their mission, how critical they are. In effect with the next question.

use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::by_hand::{decision, show, subject};
use crate::error::{Error, Result};
use crate::model::{Cancel, Time, field};
use clap::{ArgMatches, Args, FromArgMatches, Subcommand as _};
use serde_json::json;
use std::io::Write;

/// `backtrail inventory`.
pub struct Inventory;

#[derive(clap::Args)]
struct InventoryArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

#[derive(clap::Subcommand)]
enum Action {
    /// What was said by hand, by whom and when; `query 'kind = inventory'` shows what lists say
    List,
    /// Say what a host or service is for, or how critical it is
    Set {
        /// Address of the host, with a port of one service: 10.0.0.5, 10.0.0.5:443, [2001:db8::5]:443
        host: String,
        /// mission or criticality
        field: String,
        /// Any words; criticality is critical, high, medium or low
        #[arg(required = true)]
        value: Vec<String>,
    },
    /// Take back what was said: then lists count again
    Remove {
        /// Address of the host, with a port of one service
        host: String,
        /// mission or criticality
        field: String,
    },
}

impl Subcommand for Inventory {
    fn command(&self) -> clap::Command {
        let about = "What hosts are for and how critical they are, by hand: the fields `mission` and `criticality`; findings are sorted by it";
        let command = InventoryArgs::augment_args(clap::Command::new("inventory").about(about));
        Action::augment_subcommands(command).subcommand_required(false)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = InventoryArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if matches.subcommand().is_some() {
            match Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))? {
                Action::List => {}
                Action::Set { host, field, value } => {
                    let value = value.join(" ");
                    if value.trim().is_empty() {
                        return Err(
                            Error::user("there is no value").hint("`inventory remove HOST FIELD` takes back what was said")
                        );
                    }
                    opened.keeper.append(decision(&host, &field, &value)?)?;
                }
                Action::Remove { host, field } => remove(&opened, &host, &field)?,
            }
        }
        list(&opened, args.form)?;
        Ok(Done::All)
    }
}

fn remove(opened: &Opened, host: &str, name: &str) -> Result<()> {
    let what = decision(host, name, "")?;
    let said = opened.engine.by_hand(&Cancel::default())?;
    let wanted = subject(host);
    if !said.all().any(|(s, id, _)| Some(*s) == wanted && field::name(id) == name) {
        return Err(Error::user(format!("nothing was said by hand of the {name} of {host}"))
            .hint("backtrail inventory list shows what was"));
    }
    opened.keeper.append(what)?;
    Ok(())
}

fn list(opened: &Opened, form: Form) -> Result<()> {
    if matches!(form, Form::Csv | Form::Zeek | Form::Cof) {
        return Err(Error::user("what was said by hand is printed as a table or as JSON Lines").hint("-o table or -o jsonl"));
    }
    let said = opened.engine.by_hand(&Cancel::default())?;
    let mut out = std::io::stdout().lock();
    if form == Form::Jsonl {
        for (subject, id, saying) in said.all() {
            let row = json!({
                "schema": "backtrail.inventory/1", "host": show(subject), "field": field::name(id), "value": saying.value,
                "by": saying.by, "at": Time(saying.at).rfc3339(),
            });
            writeln!(out, "{row}").map_err(io)?;
        }
        return Ok(());
    }
    if said.is_empty() {
        writeln!(std::io::stderr(), "note: nothing was said by hand: backtrail inventory set HOST criticality high")
            .map_err(io)?;
        return Ok(());
    }
    let names = ["host", "field", "value", "by", "at"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, Vec::new(), false, &mut out);
    for (subject, id, saying) in said.all() {
        let at = Time(saying.at).utc().format("%Y-%m-%d %H:%M:%SZ").to_string();
        grid.row(vec![show(subject), field::name(id).to_owned(), saying.value.clone(), saying.by.clone(), at])?;
    }
    grid.end()
}
