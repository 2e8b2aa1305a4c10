//! `verdict`: what records are, in people's judgement, with a scope (a query) and an end.

use crate::case::{notes, verdicts};
use crate::cli::opened::Opened;
use crate::cli::output::{self, Form};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::sets;
use crate::error::{Error, Result, nearest};
use crate::model::decision::{About, Judgement, What};
use crate::model::{Entity, RecordId, Value, field};
use crate::query::engine::{Cancel, Table};
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;

/// `backtrail verdict`.
pub struct Verdict;

#[derive(clap::Args)]
struct VerdictArgs {
    /// benign, suspicious or malicious; without it the verdicts are listed
    #[arg(value_name = "VERDICT")]
    judgement: Option<String>,
    /// What is judged: a query (its records, also those imported later), e.g. `signature.id = 2027870 and host = 10.0.0.5`; or ids of records
    #[arg(value_name = "SCOPE")]
    scope: Vec<String>,
    /// Why; `benign` needs it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// When it ends by itself: a span from now (7d) or a date
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Judge the value itself (an address, name, hash), not the records that have it
    #[arg(long)]
    value: bool,
    /// Take back the verdict with this number
    #[arg(long, value_name = "NUMBER", conflicts_with = "judgement")]
    remove: Option<u64>,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Verdict {
    fn command(&self) -> clap::Command {
        let about = "Judge records by a query: benign, suspicious, malicious; list verdicts, take them back";
        VerdictArgs::augment_args(clap::Command::new("verdict").about(about))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = VerdictArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        match (&args.judgement, args.remove) {
            (Some(word), _) => judge(&opened, word, &args)?,
            (None, Some(id)) => {
                if !verdicts::verdicts(&opened.keeper.decisions()).iter().any(|v| v.id == id) {
                    return Err(
                        Error::user(format!("there is no verdict {id}")).hint("backtrail verdict lists them with their numbers")
                    );
                }
                opened.keeper.append(What::Remove { id })?;
            }
            (None, None) => list(&opened, args.form)?,
        }
        Ok(Done::All)
    }
}

fn judge(opened: &Opened, word: &str, args: &VerdictArgs) -> Result<()> {
    let judgement = Judgement::parse(word).ok_or_else(|| {
        let near = nearest(word, Judgement::ALL.map(Judgement::name));
        Error::user(format!("no verdict is called {word}")).hint(near.unwrap_or("benign, suspicious or malicious"))
    })?;
    let text = args.scope.join(" ");
    if text.is_empty() {
        return Err(Error::user(format!("{word}: what?")).hint(format!("backtrail verdict {word} 'signature.id = 2027870'")));
    }
    if judgement == Judgement::Benign && args.reason.trim().is_empty() {
        return Err(Error::user("benign needs a reason").hint("--reason 'print server, see ticket 12'"));
    }
    let expires = args.expires.as_deref().map(|text| sets::expiry(text, now())).transpose().map_err(Error::user)?.map(|t| t.0);
    let engine = &*opened.engine;
    let about = if args.value {
        let entity =
            Entity::recognise(&text).ok_or_else(|| Error::user(format!("`{text}` is no address, name, hash or other value")))?;
        About::Value(field::name(entity.field), entity.value.to_string())
    } else if args.scope.iter().all(|id| id.parse::<RecordId>().is_ok()) {
        About::Records(args.scope.clone())
    } else {
        verdicts::check(engine, &text)?;
        About::Query(engine.compile(&text)?.text)
    };
    let covered = match &about {
        About::Query(text) => engine.counts(&[engine.compile(text)?], u64::MAX, &Cancel::default())?.first().map(|c| c.n),
        _ => None,
    };
    let what = What::Verdict { about, judgement, reason: args.reason.trim().to_owned(), expires };
    let id = opened.keeper.append(what)?.sequence;
    let covers = covered.map_or(String::new(), |n| format!("; it covers {n} records now"));
    let _ = writeln!(std::io::stderr(), "verdict {id}: {}{covers}", judgement.name());
    Ok(())
}

fn list(opened: &Opened, form: Form) -> Result<()> {
    let columns = ["#", "verdict", "on", "reason", "who", "at", "expires", "state"];
    let text = |t: &str| if t.is_empty() { None } else { Some(Value::text(t)) };
    let now = now();
    let rows = verdicts::verdicts(&opened.keeper.decisions()).into_iter().map(|v| {
        vec![
            Some(Value::Uint(v.id)),
            text(v.judgement.name()),
            text(&notes::subject(&v.about)),
            text(&v.reason),
            text(&v.who),
            Some(Value::Time(v.at)),
            v.expires.map(Value::Time),
            text(if v.is_expired(now) { "expired" } else { "" }),
        ]
    });
    let fields = columns.map(|c| match c {
        "at" | "expires" => Some(field::START),
        "#" => None,
        _ => Some(field::REASON),
    });
    let table =
        Table { columns: columns.map(str::to_owned).to_vec(), fields: fields.to_vec(), rows: rows.collect(), ..Table::default() };
    output::table(form, &table, "backtrail.verdict/1", &mut std::io::stdout().lock())
}
