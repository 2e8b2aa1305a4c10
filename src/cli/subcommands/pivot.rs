//! `pivot`: the drill-down of one value: the counts of every relation, then one relation's rows.

use crate::case::home::first_window;
use crate::cli::ask::{self, About};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{self, Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result, nearest};
use crate::model::{Entity, Kind, Time, Value, field};
use crate::pivots::{self, Lead, Selection};
use crate::query::engine::{Cancel, Page};
use crate::query::{Engine, Question};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `backtrail pivot`.
pub struct Pivot;

#[derive(clap::Args)]
struct PivotArgs {
    /// Address, network, name, URL, hash, MAC, CVE, JA4, Community ID, port/proto; or FIELD=VALUE; or the id of a record
    #[arg(value_name = "VALUE")]
    value: String,
    /// Print the rows of this relation
    #[arg(long, value_name = "RELATION")]
    to: Option<String>,
    /// Print what is known of the value, as its card does on the screen: inventory, reputation, what it serves and uses
    #[arg(long, conflicts_with = "to")]
    facts: bool,
    /// Only relations and rows of this window: a time clause such as `since 2h ago`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// At most so many rows
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Read these files into a temporary case, ask, forget
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Pivot {
    fn command(&self) -> clap::Command {
        PivotArgs::augment_args(
            clap::Command::new("pivot").about("What a value relates to, with counts; --to prints one relation"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = PivotArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let engine = &*opened.engine;
        let selection = selection(&args.value, engine)?;
        if args.facts {
            facts(&selection, &args, engine)?;
            return Ok(done);
        }
        let leads = leads(&selection, engine, args.window.as_deref())?;
        match &args.to {
            Some(name) => rows(name, &leads, &args, engine)?,
            None => counts(&leads, &args, engine)?,
        }
        Ok(done)
    }
}

/// What a typed value selects.
fn selection(text: &str, engine: &dyn Engine) -> Result<Selection> {
    if let Ok(id) = text.parse() {
        let record = engine.record(id)?;
        let record = record.ok_or_else(|| Error::user(format!("no record has the id {text}")))?;
        return Ok(Selection { record: Some(record), ..Selection::default() });
    }
    let stated = text.split_once('=').and_then(|(name, value)| {
        let field = field::find(name.trim())?;
        Entity::of(field.id, &Value::parse(value.trim(), field.ty)?)
    });
    if let Ok(end) = text.parse::<SocketAddr>() {
        let hint = format!("backtrail events 'host {} and port {}', or flows; then links ID", end.ip(), end.port());
        return Err(Error::user(format!("`{end}` is an address with a port: one pivots on either")).hint(hint));
    }
    // A word of no form that is known is looked up as a user, as in `pivot jdoe`.
    let entity = stated
        .or_else(|| Entity::recognise(text))
        .or_else(|| Entity::of(field::USER, &Value::text(text)))
        .ok_or_else(|| Error::user(format!("`{text}` is nothing to pivot on")))?;
    Ok(Selection { entity: Some(entity), ..Selection::default() })
}

/// What is known of a value at the end of the window.
fn facts(selection: &Selection, args: &PivotArgs, engine: &dyn Engine) -> Result<()> {
    let Some(entity) = &selection.entity else {
        return Err(Error::user(format!("`{}` is a record, and facts are of a value", args.value)).hint("name a value of it"));
    };
    let window = match &args.window {
        Some(clause) => Some(engine.compile(clause)?.window),
        None => first_window(engine).or_else(|| engine.span()),
    };
    let at = window.map(|w| w.end).filter(|t| *t != Time::MAX);
    let facts = engine.facts(entity, at, &Cancel::default())?;
    let mut out = std::io::stdout().lock();
    if args.form == Form::Jsonl {
        for f in facts {
            let id = f.evidence.map(|id| id.to_string());
            let row = json!({"schema": "backtrail.fact/1", "label": f.label, "text": f.text, "severity": f.severity, "id": id});
            writeln!(out, "{row}").map_err(io)?;
        }
        return Ok(());
    }
    let mut grid = Grid::new(["known", "what"].map(str::to_owned).to_vec(), Vec::new(), false, &mut out);
    facts.into_iter().try_for_each(|f| grid.row(vec![f.label, f.text]))?;
    grid.end()
}

type Relation = (&'static pivots::Pivot, Lead, Question);

fn leads(selection: &Selection, engine: &dyn Engine, window: Option<&str>) -> Result<Vec<Relation>> {
    let window = window.map(|text| engine.compile(text)).transpose()?.map(|q| q.window);
    let mut out = Vec::new();
    for pivot in pivots::ALL {
        if let Some(lead) = (pivot.run)(selection) {
            let mut question = engine.compile(&lead.query)?;
            if let Some(window) = &window {
                question = question.within(window);
            }
            out.push((*pivot, lead, question));
        }
    }
    Ok(out)
}

fn counts(leads: &[Relation], args: &PivotArgs, engine: &dyn Engine) -> Result<()> {
    let questions: Vec<Question> = leads.iter().map(|(_, _, q)| q.clone()).collect();
    let counts = engine.counts(&questions, u64::MAX, &Cancel::default())?;
    let mut out = std::io::stdout().lock();
    if args.form == Form::Jsonl {
        for ((pivot, lead, _), count) in leads.iter().zip(counts) {
            let row = json!({
                "schema": "backtrail.relation/1", "relation": pivot.name, "count": count.n,
                "at_least": count.at_least, "label": lead.label, "query": lead.query,
            });
            writeln!(out, "{row}").map_err(io)?;
        }
        return Ok(());
    }
    let names = ["relation", "count", "what", "query"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![false, true], false, &mut out);
    for ((pivot, lead, _), count) in leads.iter().zip(counts) {
        let n = format!("{}{}", count.n, if count.at_least { "+" } else { "" });
        grid.row(vec![pivot.name.into(), n, lead.label.clone(), lead.query.clone()])?;
    }
    grid.end()
}

fn rows(name: &str, leads: &[Relation], args: &PivotArgs, engine: &dyn Engine) -> Result<()> {
    let Some((_, _, question)) = leads.iter().find(|(p, _, _)| p.name == name) else {
        let near = nearest(name, leads.iter().map(|(p, _, _)| p.name));
        let known = leads.iter().map(|(p, _, _)| p.name).collect::<Vec<_>>().join(", ");
        let hint = near.map_or(format!("from here: {known}"), |n| format!("did you mean `{n}`? from here: {known}"));
        return Err(Error::user(format!("`{name}` is no relation of {}", args.value)).hint(hint));
    };
    let about = match question.text.split_whitespace().nth(2) {
        Some(word) if question.text.starts_with("kind = ") => Kind::parse(word).map_or(About::All, About::Only),
        _ => About::All,
    };
    let page = Page { limit: args.limit.unwrap_or(usize::MAX), ..Page::default() };
    ask::print(engine, question, args.form, &[], about, &page)?;
    std::io::stdout().flush().map_err(output::io)
}
