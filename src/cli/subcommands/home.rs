//! `home`: what the home screen shows.

use crate::case::home::{self, Asking, Cell, Section, Which};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io, jsonl};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::{Cancel, Time, Window, field};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Map, Value as Json, json};
use std::io::Write;

/// `backtrail home`.
pub struct Home;

#[derive(clap::Args)]
struct HomeArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// Only this section: alerts, findings, decide, names, sources, watch, talkers
    #[arg(value_name = "SECTION")]
    section: Option<String>,
    /// At most so many lines of each section
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

impl Subcommand for Home {
    fn command(&self) -> clap::Command {
        HomeArgs::augment_args(clap::Command::new("home").about("What is in the case, what is odd, where to begin"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = HomeArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches!(args.form, Form::Csv | Form::Zeek | Form::Cof) {
            return Err(Error::user("home is printed as a table or as JSON Lines").hint("-o table or -o jsonl"));
        }
        let wanted = match &args.section {
            None => Which::ALL.to_vec(),
            Some(name) => match Which::ALL.into_iter().find(|w| w.name() == name) {
                Some(which) => vec![which],
                None => {
                    let names = Which::ALL.map(Which::name).join(", ");
                    return Err(Error::user(format!("home has no section `{name}`")).hint(names));
                }
            },
        };
        let opened = Opened::existing(cx)?;
        let (decisions, cancel) = (opened.keeper.decisions(), Cancel::default());
        let window = home::first_window(&*opened.engine).or_else(|| opened.engine.span()).unwrap_or(Window::ALL);
        let asking = Asking {
            engine: &*opened.engine,
            dir: &opened.keeper.dir(),
            decisions: &decisions,
            window,
            scope: "",
            cancel: &cancel,
        };
        let mut out = std::io::stdout().lock();
        for which in wanted {
            let section = home::section(which, &asking)?;
            match args.form {
                Form::Jsonl => write_jsonl(&section, args.limit, &mut out)?,
                _ => write_table(&section, args.limit, &mut out)?,
            }
        }
        Ok(Done::All)
    }
}

/// A cell as JSON.
pub(super) fn json_of(cell: &Cell) -> Json {
    match cell {
        Cell::Empty => Json::Null,
        Cell::Count(n) | Cell::Bytes(n) => json!(n),
        Cell::Of(id, value) => jsonl::value(value, field::get(*id).map_or(field::Type::Text, |f| f.ty)),
        other => Json::String(other.show(&Time::rfc3339)),
    }
}

fn write_jsonl(section: &Section, limit: usize, out: &mut dyn Write) -> Result<()> {
    for line in section.lines.iter().take(limit) {
        let mut object = Map::new();
        object.insert("schema".into(), json!("backtrail.home/1"));
        object.insert("section".into(), json!(section.which.name()));
        for (name, cell) in section.which.columns().iter().zip(&line.cells).filter(|(_, c)| **c != Cell::Empty) {
            object.insert((*name).to_owned(), json_of(cell));
        }
        object.insert("go".into(), json!(line.go.command()));
        writeln!(out, "{}", Json::Object(object)).map_err(io)?;
    }
    if section.lines.is_empty() {
        let row = json!({"schema": "backtrail.home/1", "section": section.which.name(), "none": section.why});
        writeln!(out, "{row}").map_err(io)?;
    }
    Ok(())
}

fn write_table(section: &Section, limit: usize, out: &mut dyn Write) -> Result<()> {
    let note = if section.note.is_empty() { String::new() } else { format!(" ({})", section.note) };
    writeln!(out, "{} {}{note}", section.which.title().to_uppercase(), section.total).map_err(io)?;
    if section.lines.is_empty() {
        return writeln!(out, "  {}\n", section.why).map_err(io);
    }
    let columns = section.which.columns();
    let right = columns.iter().map(|c| matches!(*c, "records" | "count" | "hits" | "sent" | "received" | "reviewed")).collect();
    let mut grid = Grid::new(columns.iter().map(|c| (*c).to_owned()).collect(), right, false, out);
    let time = |t: Time| t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string();
    for line in section.lines.iter().take(limit) {
        grid.row(line.cells.iter().map(|c| c.show(&time)).collect())?;
    }
    grid.end()?;
    let more = section.total.saturating_sub(limit.min(section.lines.len()));
    let more = if more > 0 { format!("{more} more: home {} --limit N\n", section.which.name()) } else { String::new() };
    writeln!(out, "{more}").map_err(io)
}
