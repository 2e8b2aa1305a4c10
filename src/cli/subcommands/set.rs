//! `set`: named sets of addresses, networks, names and other values, for queries (`any in @name`).

use crate::cli::opened::Opened;
use crate::cli::output::{self, Form};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::sets::{self, Set as Named};
use crate::error::{Error, Result, nearest};
use crate::model::decision::What;
use crate::model::{Time, Value, field};
use crate::query::engine::Table;
use crate::query::sets::entries;
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand as _};
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

/// `backtrail set`.
pub struct Set;

#[derive(clap::Args)]
struct SetArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table", global = true)]
    form: Form,
}

#[derive(clap::Args)]
struct With {
    /// Why they are in it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// When they leave it by themselves: a span from now (30d) or a date
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Put values into a set: addresses, networks, names (`*.evil.example` with all below), URLs, hashes, users, signatures, services (`10.0.0.5:443`)
    Add {
        /// Name: allow, watch, home, mission, or any other; `allow-dns` belongs to `allow`
        name: String,
        /// Values; defanged or not
        #[arg(value_name = "ENTRY", required = true)]
        entries: Vec<String>,
        #[command(flatten)]
        with: With,
    },
    /// List the sets, or the entries of one
    List {
        /// Name
        name: Option<String>,
    },
    /// Take values out of a set; without values the whole set goes
    Remove {
        /// Name
        name: String,
        /// Values
        #[arg(value_name = "ENTRY")]
        entries: Vec<String>,
    },
    /// Put the first column of a file's lines into a set; `-` is standard input
    Import {
        /// Name
        name: String,
        /// File: one value a line, `#` begins a comment
        file: PathBuf,
        #[command(flatten)]
        with: With,
    },
}

impl Subcommand for Set {
    fn command(&self) -> clap::Command {
        let about = "Named sets for queries (`any in @name`): add, list, remove, import";
        Action::augment_subcommands(SetArgs::augment_args(clap::Command::new("set").about(about))).subcommand_required(false)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = SetArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if matches.subcommand().is_none() {
            list(&opened, None, args.form)?;
            return Ok(Done::All);
        }
        match Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))? {
            Action::Add { name, entries, with } => add(&opened, &name, entries.iter().map(String::as_str), with)?,
            Action::List { name } => list(&opened, name.as_deref(), args.form)?,
            Action::Remove { name, entries } => remove(&opened, &name, &entries)?,
            Action::Import { name, file, with } => add(&opened, &name, self::entries(&read(&file)?), with)?,
        }
        Ok(Done::All)
    }
}

/// Largest file that is taken into a set.
const MAX_FILE: u64 = 64 << 20;
/// Entries of one decision.
const BATCH: usize = 1_000;

fn read(file: &std::path::Path) -> Result<String> {
    use std::io::Read;
    let mut text = Vec::new();
    let source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|e| Error::io("cannot read", file, &e))?)
    };
    source.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| Error::io("cannot read", file, &e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(Error::user("the file is larger than 64 MiB")
            .at_path(file)
            .hint("write the query with the file: any in @path"));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn name_of(text: &str) -> Result<String> {
    sets::name(text).map_err(Error::user)
}

fn add<'a>(opened: &Opened, name: &str, given: impl Iterator<Item = &'a str>, with: With) -> Result<()> {
    let set = name_of(name)?;
    let expires = with.expires.map(|text| sets::expiry(&text, now())).transpose().map_err(Error::user)?.map(|t| t.0);
    let (mut entries, mut seen, mut refused) = (Vec::new(), HashSet::new(), 0);
    for text in given {
        match sets::clean(text) {
            Some(entry) if seen.insert(entry.clone()) => entries.push(entry),
            Some(_) => {}
            None => refused += 1,
        }
    }
    if entries.is_empty() {
        return Err(Error::user("there is nothing to put into the set").hint("one value a line, or as arguments"));
    }
    for batch in entries.chunks(BATCH) {
        opened.keeper.append(What::SetAdd { set: set.clone(), entries: batch.to_vec(), reason: with.reason.clone(), expires })?;
    }
    let mut err = std::io::stderr();
    let _ = writeln!(err, "{} in @{set} now", entries.len());
    if refused > 0 {
        let _ = writeln!(err, "note: {refused} were empty or too long and are not in it");
    }
    Ok(())
}

fn remove(opened: &Opened, name: &str, given: &[String]) -> Result<()> {
    let all = sets::sets(&opened.keeper.decisions());
    let set = find(&all, name)?;
    let mut entries = Vec::new();
    for text in given {
        let wanted = sets::clean(text).unwrap_or_default();
        let found = set.entries.iter().find(|e| e.text.eq_ignore_ascii_case(&wanted));
        let entry = found.ok_or_else(|| {
            let near = nearest(&wanted, set.entries.iter().map(|e| e.text.as_str()));
            let hint = near.map_or_else(|| format!("backtrail set list {}", set.name), |n| format!("did you mean `{n}`?"));
            Error::user(format!("`{text}` is not in @{}", set.name)).hint(hint)
        })?;
        entries.push(entry.text.clone());
    }
    opened.keeper.append(What::SetRemove { set: set.name.clone(), entries })?;
    Ok(())
}

fn find<'a>(all: &'a [Named], name: &str) -> Result<&'a Named> {
    let name = name_of(name)?;
    all.iter().find(|s| s.name == name).ok_or_else(|| {
        let near = nearest(&name, all.iter().map(|s| s.name.as_str()));
        Error::user(format!("there is no set @{name}"))
            .hint(near.map_or("backtrail set list".into(), |n| format!("did you mean `{n}`?")))
    })
}

fn list(opened: &Opened, name: Option<&str>, form: Form) -> Result<()> {
    let all = sets::sets(&opened.keeper.decisions());
    let text = |t: &str| if t.is_empty() { None } else { Some(Value::text(t)) };
    let now = now();
    let (columns, rows): (&[&str], Vec<Vec<Option<Value>>>) = match name {
        None if form == Form::Table => {
            let row = |s: &Named| {
                let expired = s.entries.iter().filter(|e| e.is_expired(now)).count();
                let last = s.entries.iter().max_by_key(|e| e.at);
                vec![
                    text(&s.name),
                    Some(Value::Uint((s.entries.len() - expired) as u64)),
                    Some(Value::Uint(expired as u64)),
                    last.map(|e| Value::Time(e.at)),
                    last.and_then(|e| text(&e.who)),
                    last.and_then(|e| text(&e.reason)),
                ]
            };
            (&["set", "entries", "expired", "last", "by", "reason"], all.iter().map(row).collect())
        }
        _ => {
            let chosen: Vec<&Named> = match name {
                Some(name) => vec![find(&all, name)?],
                None => all.iter().collect(),
            };
            let entries = chosen.iter().flat_map(|s| s.entries.iter().map(move |e| (s, e)));
            let time = |t: Option<Time>| t.map(Value::Time);
            let row = |(s, e): (&&Named, &sets::Entry)| {
                let state = if e.is_expired(now) { "expired" } else { "" };
                vec![
                    text(&s.name),
                    text(&e.text),
                    text(e.kind()),
                    text(&e.reason),
                    text(&e.who),
                    time(Some(e.at)),
                    time(e.expires),
                    text(state),
                ]
            };
            (&["set", "entry", "kind", "reason", "who", "at", "expires", "state"], entries.map(row).collect())
        }
    };
    // A field says how a column is shown: times as times, texts to the left, numbers to the right.
    let fields = columns.iter().map(|c| match *c {
        "at" | "last" | "expires" => Some(field::START),
        "entries" | "expired" => None,
        _ => Some(field::REASON),
    });
    let table =
        Table { fields: fields.collect(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows, ..Table::default() };
    output::table(form, &table, "backtrail.set/1", &mut std::io::stdout().lock())
}
