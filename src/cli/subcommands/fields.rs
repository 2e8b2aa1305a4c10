//! `fields`: the table of fields.

use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::model::field;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;
use std::io::Write;

/// `backtrail fields`.
pub struct Fields;

impl Subcommand for Fields {
    fn command(&self) -> clap::Command {
        clap::Command::new("fields")
            .about("The fields that queries, columns and JSON use, with their aliases")
            .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON Lines"))
    }
    fn run(&self, matches: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        if matches.get_flag("json") {
            for f in field::ALL {
                let entity = f.entity.map(|e| e.name());
                let row = json!({"schema": "backtrail.field/1", "name": f.name, "type": type_name(f.ty), "aliases": f.aliases, "entity": entity, "doc": f.doc});
                writeln!(out, "{row}").map_err(io)?;
            }
            return Ok(Done::All);
        }
        let names = ["field", "type", "pivots on", "meaning", "also"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        for f in field::ALL {
            let entity = f.entity.map(|e| e.name()).unwrap_or_default();
            grid.row(vec![f.name.into(), type_name(f.ty).into(), entity.into(), f.doc.into(), f.aliases.join(" ")])?;
        }
        grid.end()?;
        Ok(Done::All)
    }
}

fn type_name(ty: field::Type) -> &'static str {
    match ty {
        field::Type::Bool => "yes/no",
        field::Type::Uint => "number",
        field::Type::Bytes => "bytes",
        field::Type::Port => "port",
        field::Type::Span => "span",
        field::Type::Proto => "protocol",
        field::Type::Severity => "severity",
        field::Type::Float => "real",
        field::Type::Addr => "address",
        field::Type::Time => "time",
        field::Type::Text => "text",
    }
}
