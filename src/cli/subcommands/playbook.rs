//! `playbook`: runs one on a host, a service or a row.

use crate::case::playbooks::{self, Answer, Subject, times};
use crate::cli::opened::Opened;
use crate::cli::output::{Form, io, table::harmless};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::{Cancel, RecordId};
use crate::query::Engine;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::PathBuf;

/// `backtrail playbook`.
pub struct Playbook;

#[derive(clap::Args)]
struct PlaybookArgs {
    /// Which; without it they are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Address, address:port, or the id of a record
    #[arg(value_name = "HOST|SERVICE|ID", requires = "name")]
    subject: Option<String>,
    /// Only of this window: a time clause such as `between 2026-11-19T09:00Z and 2026-11-19T11:00Z`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// Form of the output: table or jsonl
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
    /// Read these files into a temporary case, ask, forget
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Playbook {
    fn command(&self) -> clap::Command {
        PlaybookArgs::augment_args(
            clap::Command::new("playbook")
                .about("Asks what is always asked of an outage, an SQL injection or a case of one's own, and says what follows"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = PlaybookArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !matches!(args.form, Form::Table | Form::Jsonl) {
            return Err(Error::user("playbooks are printed as table or jsonl"));
        }
        let mut out = std::io::stdout().lock();
        let Some(name) = &args.name else {
            for playbook in playbooks::all() {
                if args.form == Form::Jsonl {
                    let row = json!({"schema": "backtrail.playbook/1", "playbook": playbook.name(), "asks": playbook.doc()});
                    writeln!(out, "{row}").map_err(io)?;
                    continue;
                }
                writeln!(out, "{:<12} {}", harmless(playbook.name()), harmless(playbook.doc())).map_err(io)?;
            }
            return Ok(Done::All);
        };
        let Some(subject) = &args.subject else {
            return Err(Error::user("on what?").hint(format!("playbook {name} 10.8.40.20:80")));
        };
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let engine = &*opened.engine;
        let mut subject = subject_of(subject, engine)?;
        if let Some(clause) = &args.window {
            subject.window = Some(engine.compile(clause)?.window);
        }
        let answer = playbooks::run(name, &subject, engine, &Cancel::default())?;
        match args.form {
            Form::Jsonl => writeln!(out, "{}", object(&answer)).map_err(io)?,
            _ => write(&answer, &mut out)?,
        }
        out.flush().map_err(io)?;
        Ok(done)
    }
}

fn subject_of(text: &str, engine: &dyn Engine) -> Result<Subject> {
    let Ok(id) = text.parse::<RecordId>() else { return Subject::parse(text) };
    let record = engine.record(id)?.ok_or_else(|| Error::user(format!("no record has the id {id}")))?;
    Subject::of(&record).ok_or_else(|| Error::user(format!("the record {id} went to no host")))
}

fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{} {}, {}\n", answer.playbook, answer.subject, times(&answer.window)).map_err(io)?;
    for (n, step) in answer.steps.iter().enumerate() {
        let mark = if step.tells { "*" } else { " " };
        writeln!(out, "{mark} {}. {}\n     {}", n + 1, step.title, harmless(&step.says)).map_err(io)?;
        if !step.query.is_empty() {
            writeln!(out, "     {}", harmless(&step.query)).map_err(io)?;
        }
    }
    for (n, cause) in answer.causes.iter().enumerate() {
        let head = if n == 0 { "\ncauses, the most likely first:\n" } else { "" };
        writeln!(out, "{head}  {:>3.0} %  {}", cause.share * 100.0, harmless(&cause.text)).map_err(io)?;
    }
    writeln!(out, "\n{}\n\ncovered:", harmless(&answer.conclusion)).map_err(io)?;
    for line in &answer.coverage {
        writeln!(out, "  {}", harmless(line)).map_err(io)?;
    }
    Ok(())
}

fn object(a: &Answer) -> Json {
    let steps: Vec<Json> = a
        .steps
        .iter()
        .map(|s| json!({"title": s.title, "says": s.says, "query": s.query, "rows": s.rows, "tells": s.tells}))
        .collect();
    let causes: Vec<Json> =
        a.causes.iter().map(|c| json!({"text": c.text, "evidence": c.evidence, "share": c.share, "query": c.query})).collect();
    json!({
        "schema": "backtrail.playbook/1", "playbook": a.playbook, "subject": a.subject, "start": a.window.start.rfc3339(),
        "end": a.window.last().rfc3339(), "steps": steps, "causes": causes, "conclusion": a.conclusion, "coverage": a.coverage,
    })
}
