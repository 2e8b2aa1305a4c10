//! `demo`: the sample incident in a temporary case, in the workbench, or as a printed tour.

use super::open::{OpenArgs, needs_terminal, workbench};
use crate::case::{findings, playbooks};
use crate::cli::ask::{self, About};
use crate::cli::opened::Opened;
use crate::cli::output::{Form, io, table};
use crate::cli::{Cx, Done, Subcommand};
use crate::detectors::settings;
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::ingest::replay::Tape;
use crate::model::{Entity, Kind};
use crate::pivots::{self, Selection};
use crate::query::Engine;
use crate::query::engine::{Cancel, Page};
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `backtrail demo`.
pub struct Demo;

#[derive(clap::Args)]
struct DemoArgs {
    /// Print the tour instead of opening the workbench
    #[arg(long)]
    headless: bool,
    /// Replay the captures of the incident as if they ran now, within three minutes
    #[arg(long, conflicts_with = "headless")]
    live: bool,
    #[command(flatten)]
    open: OpenArgs,
}

/// How long the captures of the incident take when they are replayed.
const REPLAYED: Duration = Duration::from_secs(180);

/// One step of the printed tour: what one wants to know, and the question that answers it.
struct Step {
    title: &'static str,
    query: &'static str,
    about: About,
    rows: usize,
}

const fn step(title: &'static str, query: &'static str, about: About, rows: usize) -> Step {
    Step { title, query, about, rows }
}

/// Findings that the tour shows.
const FINDINGS: usize = 15;

/// The tour, from an alert back to the start and forward to what followed. `sample-data/story/TRUTH.md` has the answers.
const TOUR: &[Step] = &[
    step("What fired, and how often?", "kind = alert | count by severity, signature | sort -count", About::All, 20),
    step("A program was downloaded. By whom, from where?", "signature contains \"PE EXE\"", About::Only(Kind::Alert), 5),
    step("Which name did that host ask just before?", "src.ip = 10.8.21.5 and name contains parcel", About::Only(Kind::Dns), 5),
    step(
        "Which requests did it make there?",
        "kind = http and src.ip = 10.8.21.5 and http.host = files.parcel-notice.example",
        About::All,
        5,
    ),
    step("The file itself, by its hash", "kind = file and file.name contains invoice", About::All, 5),
    step("Is any of it known to be bad?", "kind = inventory and feed exists and any contains parcel", About::All, 5),
    step(
        "What did the host talk to most often outside?",
        "kind = flow and src.ip = 10.8.21.5 and not dst.ip = 10.0.0.0/8 | count by dst.ip, dst.port | sort -count | head 5",
        About::All,
        5,
    ),
    step(
        "One of them day by day: a beacon",
        "kind = flow and src.ip = 10.8.21.5 and dst.ip = 203.0.113.9 | timeline 1d",
        About::All,
        12,
    ),
    step(
        "What left at night, and to whom?",
        "kind = flow and src.ip = 10.8.21.5 | sum bytes.out by dst.ip | sort -sum | head 3",
        About::All,
        3,
    ),
    step(
        "Where did it go inside?",
        "kind = flow and src.ip = 10.8.21.5 and dst.ip = 10.0.0.0/8 and dst.port in {22, 445} and state = SF | count by dst.ip, dst.port | sort -count",
        About::All,
        10,
    ),
    step(
        "Did the guessing of passwords succeed?",
        "kind = auth and src.ip = 10.8.21.5 | count by action, user | sort -count",
        About::All,
        10,
    ),
    step(
        "Why was the web server down?",
        "kind = fw and dst.ip = 10.8.40.20 and action = deny | count by rule | sort -count",
        About::All,
        5,
    ),
];

impl Subcommand for Demo {
    fn command(&self) -> clap::Command {
        DemoArgs::augment_args(
            clap::Command::new("demo").about("Open the workbench on a sample incident; --headless prints a tour of it"),
        )
    }
    fn run(&self, matches: &ArgMatches, _: &Cx) -> Result<Done> {
        let args = DemoArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !args.headless {
            needs_terminal(&args.open)?;
        }
        let story = story()?;
        if !args.headless {
            writeln!(std::io::stderr(), "Reading {} into a temporary case ...", story.display()).map_err(io)?;
        }
        if args.live {
            return live(&story, &args.open);
        }
        let (opened, _) = Opened::temporary(std::slice::from_ref(&story))?;
        if args.headless {
            tour(&*opened.engine, &opened.keeper.dir())?
        } else {
            workbench(&opened, &args.open, None)?
        }
        Ok(Done::All)
    }
}

/// The workbench while the captures of the incident come in, beside everything else of it.
fn live(story: &Path, args: &OpenArgs) -> Result<Done> {
    let fail = |e: std::io::Error| Error::io("cannot read the sample incident", story, &e);
    let (mut captures, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(story).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let is_capture = path.extension().is_some_and(|e| e == "pcap" || e == "pcapng");
        if is_capture { captures.push(path) } else { others.push(path) }
    }
    let tape = Tape::of(Opened::temporary(&captures)?.0.store()?)?;
    let (opened, _) = Opened::temporary(&others)?;
    let store = opened.store()?.clone();
    let live = Live::start("replay", move |feeder| tape.play(&store, feeder, REPLAYED))?;
    workbench(&opened, args, Some(live))?;
    Ok(Done::All)
}

/// Where the sample incident lies: beside the program, in the source tree, or where packages put it.
fn story() -> Result<PathBuf> {
    let mut places = vec![PathBuf::from("sample-data/story")];
    if let Ok(exe) = std::env::current_exe() {
        places.extend(exe.ancestors().skip(1).take(4).map(|dir| dir.join("sample-data/story")));
        places.extend(exe.parent().map(|dir| dir.join("../share/backtrail/sample-data/story")));
    }
    places.push(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sample-data/story"));
    places.iter().find(|p| p.is_dir()).cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        Error::input("the sample incident is not there").at(looked.join(", ")).hint("run it in a clone of the sources")
    })
}

fn tour(engine: &dyn Engine, dir: &Path) -> Result<()> {
    for (n, step) in TOUR.iter().enumerate() {
        writeln!(std::io::stdout(), "\n{}. {}\n   backtrail query '{}'\n", n + 1, step.title, step.query).map_err(io)?;
        let question = engine.compile(step.query)?;
        let question = match step.about {
            About::Only(kind) => question.and(crate::model::Filter::is(crate::model::field::KIND, kind.name())),
            _ => question,
        };
        let page = Page { limit: step.rows, ..Page::default() };
        ask::print(engine, &question, Form::Table, &[], step.about, &page)?;
    }
    let host = "10.8.21.5";
    writeln!(std::io::stdout(), "\n{}. Everything else about that host\n   backtrail pivot {host}\n", TOUR.len() + 1)
        .map_err(io)?;
    let selection = Selection { entity: Entity::recognise(host), ..Selection::default() };
    let mut leads = Vec::new();
    for pivot in pivots::ALL {
        if let Some(lead) = (pivot.run)(&selection) {
            leads.push((pivot.name, engine.compile(&lead.query)?));
        }
    }
    let questions: Vec<_> = leads.iter().map(|(_, q)| q.clone()).collect();
    for ((name, _), count) in leads.iter().zip(engine.counts(&questions, u64::MAX, &Cancel::default())?) {
        writeln!(std::io::stdout(), "{:>8}  {name}", count.n).map_err(io)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}. What deviates, by the detectors?\n   backtrail findings\n", TOUR.len() + 2).map_err(io)?;
    let found = findings::all(engine, dir, &[], settings::installed(), &Cancel::default(), &mut |_| {})?;
    for finding in found.list.iter().take(FINDINGS) {
        writeln!(out, "{:<8} {}", finding.severity_name(), table::harmless(&finding.title)).map_err(io)?;
    }
    let service = "10.8.40.20:80";
    writeln!(out, "\n{}. Why was the shop down?\n   backtrail playbook outage {service}\n", TOUR.len() + 3).map_err(io)?;
    let answer = playbooks::run("outage", &playbooks::Subject::parse(service)?, engine, &Cancel::default())?;
    writeln!(out, "{}", table::harmless(&answer.conclusion)).map_err(io)?;
    Ok(())
}
