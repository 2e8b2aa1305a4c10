//! What `flows`, `events`, `alerts`, `dns` and `query` share: a question, its rows in a form.

use super::opened::Opened;
use super::output::{self, Form};
use super::{Cx, Done};
use crate::case::triage::{AWAY, Away};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId};
use crate::model::time::parse_span;
use crate::model::{Filter, Kind};
use crate::query::engine::{Cancel, Page, Table};
use crate::query::{Engine, Question, Stage, narrow};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Options of every question.
#[derive(clap::Args, Clone)]
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
    /// Leave out what the allow sets cover, and say how much that is
    #[arg(long)]
    allow: bool,
    /// Leave out what was judged benign, and say how much that is
    #[arg(long)]
    benign: bool,
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
    let text = away(args).try_fold(args.text.join(" "), |text, away| narrow(&text, away.condition))?;
    let question = within(engine, &text, args.since.as_deref(), args.until.as_deref())?;
    Ok(restrict(question, about, args))
}

/// The question of a text within what the options `--since` and `--until` say.
pub fn within(engine: &dyn Engine, text: &str, since: Option<&str>, until: Option<&str>) -> Result<Question> {
    let clause = |word: &str, time: Option<&str>| time.map_or_else(String::new, |time| format!("{word} {} ", when(time)));
    let clauses = clause("since", since) + &clause("until", until);
    let question = engine.compile(text.trim())?;
    if clauses.is_empty() {
        return Ok(question);
    }
    let window = engine.compile(clauses.trim())?.window;
    Ok(question.within(&window))
}

/// What is to be left out.
fn away(args: &AskArgs) -> impl Iterator<Item = &'static Away> {
    AWAY.iter().zip([args.allow, args.benign]).filter(|(_, wanted)| *wanted).map(|(away, _)| away)
}

/// How many records each of what is to be left out hides, in the order of [`AWAY`].
pub fn left_out(engine: &dyn Engine, args: &AskArgs, about: About) -> Result<Vec<(&'static Away, u64)>> {
    let mut out = Vec::new();
    let mut text = args.text.join(" ");
    for away in away(args) {
        let mut bare = args.with_text(narrow(&text, &format!("not ({})", away.condition))?);
        (bare.allow, bare.benign) = (false, false);
        let mut hidden = question(engine, &bare, about)?;
        hidden.stages.clear();
        out.push((away, engine.counts(&[hidden], u64::MAX, &Cancel::default())?.first().map_or(0, |c| c.n)));
        text = narrow(&text, away.condition)?;
    }
    Ok(out)
}

impl AskArgs {
    /// The same options with another question.
    fn with_text(&self, text: String) -> AskArgs {
        AskArgs { text: vec![text], ..self.clone() }
    }
    /// Most rows.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }
    /// Form of the output.
    pub fn form(&self) -> Form {
        self.form
    }
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
pub fn open(args: &AskArgs, cx: &Cx) -> Result<(Opened, Done)> {
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
    // Counted before anything is printed, so that a question which fails says so alone.
    let left_out = left_out(engine, args, about)?;
    answer(engine, &question, args.form, &output::columns(&args.columns)?, about, args)?;
    say_left_out(args.form, &left_out)?;
    Ok(done)
}

/// Says what was left out: on standard error, and in JSON Lines as a row of its own, so that no total is lower without a reason.
pub fn say_left_out(form: Form, left_out: &[(&'static Away, u64)]) -> Result<()> {
    for (away, n) in left_out {
        let words = format!("{n} {} left out ({})", away.name, away.condition);
        if form == Form::Jsonl {
            let row = json!({"schema": "backtrail.notice/1", "notice": words, "left_out": n, "condition": away.condition});
            writeln!(std::io::stdout(), "{row}").map_err(output::io)?;
        }
        let _ = writeln!(std::io::stderr(), "note: {words}");
    }
    Ok(())
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
    if form == Form::Cof {
        if about != About::Only(Kind::Dns) {
            return Err(Error::user("`-o cof` writes passive DNS: it needs DNS").hint("backtrail dns ... -o cof"));
        }
        output::cof::write(&engine.passive(question, &cancel)?, page.limit, &mut out)?;
        return out.flush().map_err(output::io);
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
    let stored = |f: &&field::Field| {
        matches!(f.place, Head | One | Many) || f.place == Derived && matches!(f.id, field::COMMUNITY_ID | field::VERDICT)
    };
    field::ALL.iter().filter(stored).map(|f| f.id).collect()
}
