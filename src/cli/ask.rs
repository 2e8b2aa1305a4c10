//! What `flows`, `events`, `alerts`, `dns` and `query` share: a question, its rows in a form.

use super::opened::Opened;
use super::output::{self, Form};
use super::{Cx, Done};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId};
use crate::model::time::parse_span;
use crate::model::{Filter, Kind};
use crate::query::engine::{Cancel, Page, Table};
use crate::query::{Engine, Question, Stage};
use std::io::Write;
use std::path::PathBuf;

/// Options of every question.
#[derive(clap::Args)]
pub struct AskArgs {
    /// Question, e.g. `host 10.0.0.5 and port 445`; `backtrail fields` lists the fields
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Only since then: `2h` (before the newest record), a date or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// Columns of table and CSV, by field names
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    columns: Vec<String>,
    /// At most so many rows
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Newest first
    #[arg(long)]
    newest: bool,
    /// Every sighting as a row of its own, not one row per connection
    #[arg(long)]
    every_sighting: bool,
    /// Read this file or folder into a temporary case, ask, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

/// Which kinds a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One kind.
    Only(Kind),
    /// Everything but flows.
    Events,
    /// Everything.
    All,
}

/// The usual columns of a kind; empty: one line per record.
pub fn columns_of(about: About) -> Vec<FieldId> {
    match about {
        About::Only(Kind::Flow) => vec![
            field::START,
            field::SRC_IP,
            field::SRC_PORT,
            field::DST_IP,
            field::DST_PORT,
            field::PROTO,
            field::APP,
            field::STATE,
            field::BYTES_OUT,
            field::BYTES_IN,
            field::DURATION,
            field::NAME,
        ],
        About::Only(Kind::Alert) => vec![
            field::START,
            field::SEVERITY,
            field::SRC_IP,
            field::SRC_PORT,
            field::DST_IP,
            field::DST_PORT,
            field::SIGNATURE_ID,
            field::SIGNATURE,
        ],
        About::Only(Kind::Dns) => vec![
            field::START,
            field::SRC_IP,
            field::NAME,
            field::DNS_TYPE,
            field::DNS_RCODE,
            field::ANSWER_IP,
            field::ANSWER_NAME,
        ],
        _ => Vec::new(),
    }
}

/// A time clause of the query language from an option: `2h` means before the newest record.
fn when(text: &str) -> String {
    if parse_span(text).is_some() { format!("{text} ago") } else { text.to_owned() }
}

/// The question that text and options make.
pub fn question(engine: &dyn Engine, args: &AskArgs, about: About) -> Result<Question> {
    let mut text = args.text.join(" ");
    let mut clauses = String::new();
    if let Some(since) = &args.since {
        clauses.push_str(&format!("since {} ", when(since)));
    }
    if let Some(until) = &args.until {
        clauses.push_str(&format!("until {} ", when(until)));
    }
    if !clauses.is_empty() {
        let window = engine.compile(clauses.trim())?.window;
        let question = engine.compile(&text)?.within(&window);
        return Ok(restrict(question, about, args));
    }
    text = text.trim().to_owned();
    Ok(restrict(engine.compile(&text)?, about, args))
}

fn restrict(mut question: Question, about: About, args: &AskArgs) -> Question {
    question.every_sighting |= args.every_sighting;
    match about {
        About::Only(kind) => question.and(Filter::is(field::KIND, kind.name())),
        About::Events => question.and(Filter::Not(Box::new(Filter::is(field::KIND, Kind::Flow.name())))),
        About::All => question,
    }
}

/// Opens the case, or reads the files of `-r` into a temporary one.
fn open(args: &AskArgs, cx: &Cx) -> Result<(Opened, Done)> {
    if args.read.is_empty() {
        return Ok((Opened::existing(cx)?, Done::All));
    }
    Opened::temporary(&args.read)
}

/// Runs a command that asks.
pub fn run(args: &AskArgs, about: About, cx: &Cx) -> Result<Done> {
    let (opened, done) = open(args, cx)?;
    let engine = &*opened.engine;
    let question = question(engine, args, about)?;
    answer(engine, &question, args.form, &output::columns(&args.columns)?, about, args)?;
    Ok(done)
}

fn answer(engine: &dyn Engine, question: &Question, form: Form, columns: &[FieldId], about: About, args: &AskArgs) -> Result<()> {
    let page = Page { ascending: !args.newest, limit: args.limit.unwrap_or(usize::MAX), after: None };
    print(engine, question, form, columns, about, &page)
}

/// Prints the answer of a question.
pub fn print(engine: &dyn Engine, question: &Question, form: Form, columns: &[FieldId], about: About, page: &Page) -> Result<()> {
    let mut out = output::standard();
    let cancel = Cancel::default();
    if !question.stages.is_empty() {
        let timeline = question.stages.iter().any(|s| matches!(s, Stage::Timeline { .. }));
        let schema = if timeline { "backtrail.timeline/1" } else { "backtrail.group/1" };
        let table = engine.table(question, &cancel)?;
        output::table(form, &table, schema, &mut out)?;
        explain(engine, &table);
        return Ok(());
    }
    if form == Form::Zeek && about != About::Only(Kind::Flow) {
        return Err(Error::user("`-o zeek` writes conn.log: it needs flows").hint("backtrail flows ... -o zeek"));
    }
    let chosen = if columns.is_empty() {
        match (form, about) {
            // CSV needs columns even where a table has none.
            (Form::Csv, About::Events | About::All) => every_column(),
            _ => columns_of(about),
        }
    } else {
        columns.to_vec()
    };
    let mut failed = None;
    {
        let mut rows = output::rows(form, chosen, &mut out);
        engine.select(question, page, &cancel, &mut |record| match rows.record(&record, engine) {
            Ok(()) => true,
            Err(e) => {
                failed = Some(e);
                false
            }
        })?;
        if failed.is_none() {
            rows.end()?;
        }
    }
    match failed {
        Some(e) => Err(e),
        None => out.flush().map_err(output::io),
    }
}

/// Says beside a table what it leaves out, and whose counters were taken where several sources saw a connection.
fn explain(engine: &dyn Engine, table: &Table) {
    let mut notes = table.notices.clone();
    if !table.counted.is_empty() {
        let names: Vec<String> = table.counted.iter().map(|s| engine.source_name(*s)).collect();
        notes.push(format!("connections that several sources saw are counted once, as seen by {}", names.join(", ")));
    }
    for note in notes {
        let _ = writeln!(std::io::stderr(), "note: {note}");
    }
}

/// Columns enough for records of every kind.
pub fn every_column() -> Vec<FieldId> {
    use field::Place::{Derived, Head, Many, One};
    let stored = |f: &&field::Field| matches!(f.place, Head | One | Many) || (f.place == Derived && f.id == field::COMMUNITY_ID);
    field::ALL.iter().filter(stored).map(|f| f.id).collect()
}
