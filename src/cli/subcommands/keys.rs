//! `keys`: the keys of a keymap, as the workbench has them.

use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::Result;
use crate::tui::commands;
use crate::tui::keymap::Keymap;
use clap::{Arg, ArgAction, ArgMatches};
use std::io::Write;

/// `backtrail keys`.
pub struct Keys;

impl Subcommand for Keys {
    fn command(&self) -> clap::Command {
        clap::Command::new("keys")
            .about("The keys of the workbench")
            .arg(Arg::new("keymap").value_name("KEYMAP").default_value("default").help("Name of the keymap"))
            .arg(Arg::new("list").long("list").action(ArgAction::SetTrue).help("The keymaps there are"))
    }
    fn run(&self, matches: &ArgMatches, _: &Cx) -> Result<Done> {
        let mut out = std::io::stdout().lock();
        let config = crate::cli::config_dir();
        if matches.get_flag("list") {
            for name in Keymap::available(config.as_deref()) {
                writeln!(out, "{name}").map_err(crate::cli::output::io)?;
            }
            return Ok(Done::All);
        }
        let name = matches.get_one::<String>("keymap").map_or("default", String::as_str);
        let keymap = Keymap::load(name, config.as_deref())?;
        let names = ["where", "keys", "command", "meaning"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![], false, &mut out);
        let scopes: Vec<String> = keymap.scopes().map(str::to_owned).collect();
        for scope in scopes {
            for (keys, command) in keymap.bindings(&scope) {
                let doc = commands::find(&command).map(|c| c.doc).unwrap_or_default();
                grid.row(vec![scope.clone(), keys, command, doc.to_owned()])?;
            }
        }
        grid.end()?;
        Ok(Done::All)
    }
}
