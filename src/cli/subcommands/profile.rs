//! `profile`: the network by its flows, step by step, as the profile screen shows it.

use crate::case::home::first_window;
use crate::case::profile::{self, Step, TITLES, Table};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::subcommands::home::json_of;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::{Cancel, Time, Window};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Map, Value as Json, json};
use std::io::Write;
use std::path::PathBuf;

/// `backtrail profile`.
pub struct ProfileCommand;

#[derive(clap::Args)]
struct ProfileArgs {
    /// Only this step, 1 to 7
    #[arg(long, value_name = "N")]
    step: Option<u8>,
    /// Only this table, by its name in JSON Lines, e.g. web_server
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Only in this window: a time clause such as `since 2h ago`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// At most so many lines of each table: 20 for people, else all
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// Read this evidence into a temporary case, ask, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for ProfileCommand {
    fn command(&self) -> clap::Command {
        let about = "What the network is by its flows, step by step (CMU/SEI-2012-TR-006), beside what is stated";
        ProfileArgs::augment_args(clap::Command::new("profile").about(about))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ProfileArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches!(args.form, Form::Csv | Form::Zeek | Form::Cof) {
            return Err(Error::user("a profile is printed as tables or as JSON Lines").hint("-o table or -o jsonl"));
        }
        if let Some(step) = args.step.filter(|s| !(1..=TITLES.len() as u8).contains(s)) {
            let all: Vec<String> = TITLES.iter().zip(1..).map(|(t, n)| format!("{n} {t}")).collect();
            return Err(Error::user(format!("there is no step {step}")).hint(all.join(", ")));
        }
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let engine = &*opened.engine;
        let cancel = Cancel::default();
        // Without one it is that of the screen.
        let window = match &args.window {
            Some(clause) => engine.compile(clause)?.window,
            None => first_window(engine).or_else(|| engine.span()).unwrap_or(Window::ALL),
        };
        let made = profile::gather(engine, window, &cancel, &mut |_| {})?;
        let steps = profile::steps(engine, &made, &cancel)?;
        if let Some(name) = &args.table
            && !steps.iter().flat_map(|s| &s.tables).any(|t| t.name == name)
        {
            let all: Vec<&str> = steps.iter().flat_map(|s| &s.tables).map(|t| t.name).collect();
            return Err(Error::user(format!("the profile has no table `{name}`")).hint(all.join(", ")));
        }
        let limit = args.limit.unwrap_or(if args.form == Form::Jsonl { profile::MAX_LINES } else { 20 });
        let mut out = std::io::stdout().lock();
        for step in steps.iter().filter(|s| args.step.is_none_or(|n| n == s.number)) {
            let wanted = |t: &&Table| args.table.as_deref().is_none_or(|name| name == t.name);
            let tables: Vec<&Table> = step.tables.iter().filter(wanted).collect();
            if args.form == Form::Table && !tables.is_empty() {
                writeln!(out, "{} {}\n{}\n", step.number, step.title.to_uppercase(), step.guide).map_err(io)?;
            }
            for table in tables {
                match args.form {
                    Form::Jsonl => write_jsonl(step, table, limit, &mut out)?,
                    _ => write_table(table, limit, &mut out)?,
                }
            }
        }
        Ok(done)
    }
}

fn write_jsonl(step: &Step, table: &Table, limit: usize, out: &mut dyn Write) -> Result<()> {
    for line in table.lines.iter().take(limit) {
        let mut object = Map::new();
        object.insert("schema".into(), json!("backtrail.profile/1"));
        object.insert("step".into(), json!(step.number));
        object.insert("table".into(), json!(table.name));
        for (name, cell) in table.columns.iter().zip(&line.cells) {
            let value = json_of(cell);
            if !value.is_null() {
                object.insert(name.replace(' ', "_"), value);
            }
        }
        object.insert("go".into(), json!(line.go.command()));
        writeln!(out, "{}", Json::Object(object)).map_err(io)?;
    }
    if table.lines.is_empty() {
        let row = json!({"schema": "backtrail.profile/1", "step": step.number, "table": table.name, "none": table.why});
        writeln!(out, "{row}").map_err(io)?;
    }
    Ok(())
}

fn write_table(table: &Table, limit: usize, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{} {}", table.title.to_uppercase(), table.total).map_err(io)?;
    if !table.note.is_empty() {
        writeln!(out, "{}", table.note).map_err(io)?;
    }
    if table.lines.is_empty() {
        return writeln!(out, "  {}\n", table.why).map_err(io);
    }
    const RIGHT: [&str; 10] =
        ["flows", "bytes", "of flows", "of bytes", "share", "received", "sent", "talkers", "connections", "inventoried"];
    let right = table.columns.iter().map(|c| RIGHT.contains(c)).collect();
    let mut grid = Grid::new(table.columns.iter().map(|c| (*c).to_owned()).collect(), right, false, out);
    let time = |t: Time| t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string();
    for line in table.lines.iter().take(limit) {
        grid.row(line.cells.iter().map(|c| c.show(&time)).collect())?;
    }
    grid.end()?;
    let more = table.total.saturating_sub(limit.min(table.lines.len()));
    let more = if more > 0 { format!("{more} more: profile {} -n N\n", table.name) } else { String::new() };
    writeln!(out, "{more}").map_err(io)
}
