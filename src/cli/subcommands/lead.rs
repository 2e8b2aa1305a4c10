//! `lead`: open questions and hypotheses, what bears on them, the next step, who takes it, how they ended.

use crate::case::leads::{self, Bears, ground};
use crate::case::report::json;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result, nearest};
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, Ground, LeadChange, LeadState, What};
use clap::{ArgMatches, FromArgMatches, Subcommand as _};
use std::io::Write;

/// `backtrail lead`.
pub struct Lead;

#[derive(clap::Args)]
struct Bearing {
    /// What supports it: `bookmark 12`, `verdict 9`, or a query; may stand several times
    #[arg(long = "for", value_name = "GROUND")]
    supports: Vec<String>,
    /// What contradicts it; may stand several times
    #[arg(long, value_name = "GROUND")]
    against: Vec<String>,
    /// What is to be done next
    #[arg(long, value_name = "TEXT")]
    next: Option<String>,
    /// Who does it
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Open a lead: a question ends in `?`, anything else is a hypothesis
    Add {
        /// The question or hypothesis
        #[arg(required = true)]
        text: Vec<String>,
        #[command(flatten)]
        bearing: Bearing,
    },
    /// The open leads, with what bears on them
    List {
        /// Answered and dropped ones too
        #[arg(long)]
        all: bool,
        /// As JSON Lines
        #[arg(long)]
        json: bool,
    },
    /// Change a lead: what is not named stays as it is
    Set {
        /// Number of the list
        id: u64,
        /// The question or hypothesis in other words
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        #[command(flatten)]
        bearing: Bearing,
        /// What bears on it no longer; may stand several times
        #[arg(long, value_name = "GROUND")]
        withdraw: Vec<String>,
        /// It is open again
        #[arg(long)]
        open: bool,
    },
    /// End a lead
    Close {
        /// Number of the list
        id: u64,
        /// answered or dropped
        state: String,
        /// What settled it, or why nobody follows it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take a lead back, as if it had never been opened
    Remove {
        /// Number of the list
        id: u64,
    },
}

impl Subcommand for Lead {
    fn command(&self) -> clap::Command {
        let about = "Open questions and hypotheses: what bears on them, the next step, who takes it, how they ended";
        Action::augment_subcommands(clap::Command::new("lead").about(about))
            .subcommand_required(true)
            .arg_required_else_help(true)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let action = Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        let decisions = opened.keeper.decisions();
        let append = |what: What| opened.keeper.append(what).map(|d| d.sequence);
        match action {
            Action::Add { text, bearing } => {
                let text = text.join(" ").trim().to_owned();
                if text.is_empty() {
                    return Err(Error::user("what is the question").hint("backtrail lead add 'Who else called 203.0.113.9?'"));
                }
                let change = LeadChange { text: Some(text), ..borne(bearing, &decisions, &opened)? };
                let id = append(What::Lead(change))?;
                writeln!(std::io::stdout(), "lead {id} opened").map_err(io)?;
            }
            Action::List { all, json } => list(&opened, &decisions, all, json)?,
            Action::Set { id, text, bearing, withdraw, open } => {
                let lead = leads::find(&decisions, id)?;
                let mut change = LeadChange { of: Some(id), text, ..borne(bearing, &decisions, &opened)? };
                for text in withdraw {
                    // What was taken back since can be withdrawn as well, so it is looked for among the lead's own.
                    let own = lead.supports.iter().chain(&lead.contradicts).find(|g| leads::typed(g) == text.trim());
                    change.withdrawn.push(match own {
                        Some(own) => own.clone(),
                        None => ground(&text, &decisions, &*opened.engine)?,
                    });
                }
                change.state = open.then_some(LeadState::Open);
                if change == (LeadChange { of: Some(id), ..LeadChange::default() }) {
                    return Err(Error::user("nothing says what is to change")
                        .hint("--next, --owner, --for, --against, --withdraw, --open"));
                }
                append(What::Lead(change))?;
            }
            Action::Close { id, state, reason } => {
                leads::find(&decisions, id)?;
                let ends = [LeadState::Answered, LeadState::Dropped];
                let state = LeadState::parse(&state).filter(|s| ends.contains(s)).ok_or_else(|| {
                    let near = nearest(&state, ends.map(LeadState::name));
                    Error::user(format!("no lead ends {state}")).hint(near.unwrap_or("answered or dropped"))
                })?;
                append(leads::end(id, state, &reason)?)?;
            }
            Action::Remove { id } => {
                leads::find(&decisions, id)?;
                append(What::Remove { id })?;
            }
        }
        Ok(Done::All)
    }
}

fn borne(bearing: Bearing, decisions: &[Decision], opened: &Opened) -> Result<LeadChange> {
    let grounds =
        |texts: &[String]| -> Result<Vec<Ground>> { texts.iter().map(|text| ground(text, decisions, &*opened.engine)).collect() };
    Ok(LeadChange {
        supports: grounds(&bearing.supports)?,
        contradicts: grounds(&bearing.against)?,
        next: bearing.next,
        owner: bearing.owner,
        ..LeadChange::default()
    })
}

fn list(opened: &Opened, decisions: &[Decision], all: bool, as_json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let told = leads::told(decisions, &*opened.engine, &Cancel::default())?;
    let shown = told.into_iter().filter(|t| all || t.lead.is_open());
    if as_json {
        return shown.map(|t| json::lead(&t)).try_for_each(|row| writeln!(out, "{row}").map_err(io));
    }
    let names = ["#", "lead", "state", "for", "against", "next", "owner", "opened", "by"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, vec![true], false, &mut out);
    for t in shown {
        let bears = |b: &Bears| b.words.clone() + &b.rows.map(|n| format!(" ({n} rows)")).unwrap_or_default();
        let grounds = |list: &[Bears]| list.iter().map(bears).collect::<Vec<_>>().join("; ");
        let (supports, contradicts, l) = (grounds(&t.supports), grounds(&t.contradicts), t.lead);
        let state = if l.reason.is_empty() { l.state.name().to_owned() } else { format!("{}: {}", l.state.name(), l.reason) };
        grid.row(vec![l.id.to_string(), l.text, state, supports, contradicts, l.next, l.owner, l.at.rfc3339(), l.who])?;
    }
    grid.end()
}
