//! `flows`, `events`, `alerts`, `dns`, `query`: a question over one kind of record, or over all.

use crate::case::{triage, verdicts};
use crate::cli::ask::{self, About, AskArgs};
use crate::cli::output::{self, Form};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::{Kind, Value, field};
use crate::query::engine::{Cancel, Table};
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;

/// A command that asks.
pub struct Ask {
    name: &'static str,
    help: &'static str,
    about: About,
}

/// `backtrail flows`.
pub const FLOWS: Ask = Ask { name: "flows", help: "Flows that a question selects", about: About::Only(Kind::Flow) };
/// `backtrail events`.
pub const EVENTS: Ask = Ask { name: "events", help: "Everything but flows that a question selects", about: About::Events };
/// `backtrail alerts`.
pub const ALERTS: Ask = Ask { name: "alerts", help: "Alerts that a question selects", about: About::Only(Kind::Alert) };
/// `backtrail dns`.
pub const DNS: Ask = Ask { name: "dns", help: "DNS transactions that a question selects", about: About::Only(Kind::Dns) };
/// `backtrail query`.
pub const QUERY: Ask = Ask {
    name: "query",
    help: "The full language, with | count, sum, mean, percentile, top, sort, head, timeline",
    about: About::All,
};

const GROUPS: &str = "groups";

/// Prints alerts by groups.
fn groups(args: &AskArgs, cx: &Cx) -> Result<Done> {
    let (opened, done) = ask::open(args, cx)?;
    let engine = &*opened.engine;
    // As the screen has it, notices are among them.
    let question = ask::question(engine, args, About::All)?.and(engine.compile(verdicts::ALERTS)?.filter);
    if !question.stages.is_empty() {
        return Err(Error::user("groups have no stages").hint("leave out --groups, or what stands behind |"));
    }
    let left_out = ask::left_out(engine, args, About::All)?;
    let groups = triage::groups_of(engine, &opened.keeper.decisions(), now(), &question, &Cancel::default())?;
    let columns = [
        "severity",
        "signature",
        "signature.id",
        "target",
        "count",
        "hosts",
        "start",
        "end",
        "reviewed",
        "benign",
        "suspicious",
        "malicious",
        "query",
    ];
    let of = |name: &str| field::find(name).map(|f| f.id);
    let mut table = Table {
        columns: columns.map(str::to_owned).to_vec(),
        fields: columns
            .map(|c| match c {
                "severity" | "signature" | "signature.id" | "start" | "end" => of(c),
                "target" => Some(field::DST_IP),
                _ => None,
            })
            .to_vec(),
        records: groups.alerts,
        ..Table::default()
    };
    table.rows = groups
        .list
        .iter()
        .take(args.limit().unwrap_or(usize::MAX))
        .map(|g| {
            let [benign, suspicious, malicious] = g.judged.map(|n| Some(Value::Uint(n)));
            vec![
                g.severity.map(|s| Value::Uint(s.into())),
                Some(Value::text(&g.signature)),
                g.id.map(Value::Uint),
                g.target.map(Value::Addr),
                Some(Value::Uint(g.count)),
                Some(Value::Uint(g.hosts as u64)),
                Some(Value::Time(g.span.0)),
                Some(Value::Time(g.span.1)),
                Some(Value::Uint(g.reviewed())),
                benign,
                suspicious,
                malicious,
                Some(Value::from(g.query())),
            ]
        })
        .collect();
    if args.form() == Form::Table {
        // What selects a group is for programs.
        table.columns.pop();
        table.fields.pop();
        table.rows.iter_mut().for_each(|row| _ = row.pop());
    }
    let mut out = std::io::stdout().lock();
    output::table(args.form(), &table, "backtrail.group/1", &mut out)?;
    drop(out);
    if groups.beyond > 0 {
        let _ = writeln!(std::io::stderr(), "note: {} alerts are of further groups, which are not listed", groups.beyond);
    }
    ask::say_left_out(args.form(), &left_out)?;
    Ok(done)
}

impl Subcommand for Ask {
    fn command(&self) -> clap::Command {
        // After the options: their own description would stand for the command's.
        let command = AskArgs::augment_args(clap::Command::new(self.name)).about(self.help);
        if self.about != ALERTS.about {
            return command;
        }
        let groups = clap::Arg::new(GROUPS).long(GROUPS).action(clap::ArgAction::SetTrue);
        command.arg(groups.help("Alerts and notices by signature and target, with how many were judged"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = AskArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if self.about == ALERTS.about && matches.get_flag(GROUPS) {
            return groups(&args, cx);
        }
        ask::run(&args, self.about, cx)
    }
}
