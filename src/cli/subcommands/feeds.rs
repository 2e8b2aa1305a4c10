//! `feeds`: lists of indicators, allow-lists and registrations of addresses, compiled into the case and asked when a question is.

use crate::cli::opened::Opened;
use crate::cli::output::{self, Form};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::feeds::{self, Feed};
use crate::context::tables;
use crate::error::{Error, Result, nearest};
use crate::formats;
use crate::model::decision::{FeedKind, FeedSettings, What};
use crate::model::time::{parse_span, show_span};
use crate::model::{Value, field};
use crate::query::engine::Table;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand as _};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `backtrail feeds`.
pub struct Feeds;

#[derive(clap::Args)]
struct FeedsArgs {
    /// How to print: table, jsonl or csv
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table", global = true)]
    form: Form,
}

#[derive(clap::Args, Default)]
struct Settings {
    /// What it is for: indicators, allow (keeps a score low), context (says what something is), registration (country and AS)
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Class of entries that state none: c2, phishing, scanner, tor ...
    #[arg(long, value_name = "TEXT")]
    category: Option<String>,
    /// Confidence of entries that state none, percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    confidence: Option<u8>,
    /// What the whole feed is worth, percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    weight: Option<u8>,
    /// After which time an entry says half as much (7d); `never`
    #[arg(long, value_name = "SPAN")]
    half_life: Option<String>,
    /// Feeds of one lineage are copies of each other and count once
    #[arg(long, value_name = "NAME")]
    lineage: Option<String>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Compile a local file into the case: a list of indicators, an allow-list, MaxMind-format, RIR delegated-extended or pfx2as data
    Add {
        /// File, also compressed
        file: PathBuf,
        /// Name of the feed; else the file's
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Read it as this format instead of by its content (`backtrail formats`)
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// List the feeds of the case
    List,
    /// Remove a feed and its table
    Remove {
        /// Name
        name: String,
    },
    /// Read feeds again from where their files were; nothing is fetched
    Refresh {
        /// Names; none: all
        names: Vec<String>,
    },
}

impl Subcommand for Feeds {
    fn command(&self) -> clap::Command {
        let about = "Feeds of the case: reputation, allow-lists, country and AS of addresses: add, list, remove, refresh";
        Action::augment_subcommands(FeedsArgs::augment_args(clap::Command::new("feeds").about(about))).subcommand_required(false)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = FeedsArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches.subcommand().is_none() {
            list(&Opened::existing(cx)?, args.form)?;
            return Ok(Done::All);
        }
        match Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))? {
            Action::Add { file, name, format, settings } => {
                let opened = Opened::or_create(cx)?;
                add(&opened, &file, name, format.as_deref(), settings)?;
            }
            Action::List => list(&Opened::existing(cx)?, args.form)?,
            Action::Remove { name } => remove(&Opened::existing(cx)?, &name)?,
            Action::Refresh { names } => return refresh(&Opened::existing(cx)?, &names),
        }
        Ok(Done::All)
    }
}

/// A name that can stand in a line: short, without control characters.
fn clean(name: &str) -> Result<String> {
    let name = name.trim();
    match name.is_empty() || name.len() > 80 || name.chars().any(char::is_control) {
        true => Err(Error::user("a feed's name has 1 to 80 characters, none of them a control character")),
        false => Ok(name.to_owned()),
    }
}

/// The kind and the half-life that are asked for; an error before anything is compiled.
fn asked(given: &Settings) -> Result<(Option<FeedKind>, Option<i64>)> {
    let kind = |word: &String| {
        FeedKind::parse(word)
            .ok_or_else(|| Error::user(format!("`{word}` is no kind of feed")).hint(FeedKind::ALL.map(FeedKind::name).join(", ")))
    };
    let half_life = |text: &String| match text.trim() {
        "never" => Ok(0),
        text => {
            parse_span(text).filter(|n| *n > 0).ok_or_else(|| Error::user(format!("`{text}` is no span")).hint("7d, 12h, never"))
        }
    };
    Ok((given.kind.as_ref().map(kind).transpose()?, given.half_life.as_ref().map(half_life).transpose()?))
}

fn settings_of(
    given: Settings,
    (kind, half_life): (Option<FeedKind>, Option<i64>),
    by_content: Option<FeedKind>,
    registration: bool,
) -> Result<FeedSettings> {
    let kind = match kind {
        Some(kind) => kind,
        // A table that is there already says no kind of its own.
        None if registration => FeedKind::Registration,
        None => by_content.unwrap_or_default(),
    };
    if registration != (kind == FeedKind::Registration) {
        let (has, not) = if registration { ("registrations", "indicators") } else { ("indicators", "registrations") };
        return Err(Error::user(format!("the file has {has}, not {not}")).hint("leave --kind out"));
    }
    Ok(FeedSettings {
        kind,
        category: given.category.unwrap_or_default(),
        confidence: given.confidence,
        weight: given.weight,
        half_life,
        lineage: given.lineage.unwrap_or_default(),
    })
}

fn add(opened: &Opened, file: &Path, name: Option<String>, format: Option<&str>, given: Settings) -> Result<()> {
    let format = match format {
        Some(word) => Some(formats::find(word).ok_or_else(|| {
            let near = nearest(word, formats::ALL.iter().map(|f| f.name()));
            Error::user(format!("there is no format `{word}`"))
                .hint(near.map_or("backtrail formats".into(), |n| format!("did you mean `{n}`?")))
        })?),
        None => None,
    };
    let stem = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = clean(&name.unwrap_or(stem))?;
    let asked = asked(&given)?;
    let path = std::fs::canonicalize(file).map_err(|e| Error::io("cannot read", file, &e))?;
    let compiled = feeds::compile(&opened.keeper.dir(), &path, format)?;
    let added = settings_of(given, asked, compiled.kind, compiled.registration).and_then(|settings| {
        opened.keeper.append(What::Feed {
            name: name.clone(),
            sha256: compiled.about.sha256.clone(),
            path: path.display().to_string(),
            settings,
            format: compiled.about.format.clone(),
            entries: compiled.about.entries,
        })
    });
    // The table that the name had before, or that of a file which was refused, is nobody's now.
    feeds::tidy(&opened.keeper.dir(), &opened.keeper.decisions());
    added?;
    say(&name, &compiled);
    Ok(())
}

fn say(name: &str, compiled: &feeds::Compiled) {
    let mut err = std::io::stderr();
    let _ = writeln!(err, "{name}: {} entries, read as {}", compiled.about.entries, compiled.about.format);
    if compiled.about.failed > 0 {
        let _ = writeln!(err, "note: {} lines or objects were not understood and are not in it", compiled.about.failed);
    }
}

fn find(opened: &Opened, name: &str) -> Result<Feed> {
    let all = feeds::feeds(&opened.keeper.decisions());
    all.iter().find(|f| f.name == name).cloned().ok_or_else(|| {
        let near = nearest(name, all.iter().map(|f| f.name.as_str()));
        Error::user(format!("there is no feed `{name}`"))
            .hint(near.map_or("backtrail feeds list".into(), |n| format!("did you mean `{n}`?")))
    })
}

fn remove(opened: &Opened, name: &str) -> Result<()> {
    let feed = find(opened, name)?;
    opened.keeper.append(What::Feed {
        name: feed.name,
        sha256: String::new(),
        path: String::new(),
        settings: FeedSettings::default(),
        format: String::new(),
        entries: 0,
    })?;
    feeds::tidy(&opened.keeper.dir(), &opened.keeper.decisions());
    Ok(())
}

fn refresh(opened: &Opened, names: &[String]) -> Result<Done> {
    let wanted = match names.is_empty() {
        true => feeds::feeds(&opened.keeper.decisions()),
        false => names.iter().map(|n| find(opened, n)).collect::<Result<_>>()?,
    };
    let mut done = Done::All;
    let mut err = std::io::stderr();
    for feed in wanted {
        let format = formats::find(&feed.format);
        let compiled = match feeds::compile(&opened.keeper.dir(), Path::new(&feed.path), format) {
            Ok(compiled) => compiled,
            Err(e) => {
                let _ = writeln!(err, "{}: {e}; it stays as it was", feed.name);
                done = Done::Partly;
                continue;
            }
        };
        if compiled.about.sha256 == feed.sha256 {
            let _ = writeln!(err, "{}: unchanged", feed.name);
            continue;
        }
        opened.keeper.append(What::Feed {
            name: feed.name.clone(),
            sha256: compiled.about.sha256.clone(),
            path: feed.path,
            settings: feed.settings,
            format: compiled.about.format.clone(),
            entries: compiled.about.entries,
        })?;
        say(&feed.name, &compiled);
    }
    feeds::tidy(&opened.keeper.dir(), &opened.keeper.decisions());
    Ok(done)
}

fn list(opened: &Opened, form: Form) -> Result<()> {
    let dir = opened.keeper.dir();
    let text = |t: &str| (!t.is_empty()).then(|| Value::text(t));
    let percent = |p: Option<u8>| p.map(|p| Value::Uint(u64::from(p)));
    let row = |f: &Feed| {
        let state = if tables::Table::open(&tables::path(&dir, &f.sha256)).is_ok() { "" } else { "its table is not there" };
        let half = f.settings.half_life.map(|n| if n == 0 { "never".to_owned() } else { show_span(n) });
        vec![
            text(&f.name),
            text(f.settings.kind.name()),
            text(&f.format),
            Some(Value::Uint(f.entries)),
            text(&f.settings.category),
            percent(f.settings.confidence),
            percent(f.settings.weight),
            half.map(Value::from),
            text(&f.settings.lineage),
            Some(Value::Time(f.at)),
            text(&f.who),
            text(&f.path),
            text(&f.sha256),
            text(state),
        ]
    };
    let columns = [
        "feed",
        "kind",
        "format",
        "entries",
        "category",
        "confidence",
        "weight",
        "half_life",
        "lineage",
        "at",
        "who",
        "path",
        "sha256",
        "state",
    ];
    let fields = columns.iter().map(|c| match *c {
        "at" => Some(field::START),
        "entries" | "confidence" | "weight" => None,
        _ => Some(field::REASON),
    });
    let table = Table {
        fields: fields.collect(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows: feeds::feeds(&opened.keeper.decisions()).iter().map(row).collect(),
        ..Table::default()
    };
    output::table(form, &table, "backtrail.feed/1", &mut std::io::stdout().lock())
}
