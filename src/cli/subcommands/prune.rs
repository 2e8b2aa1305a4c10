//! `prune`: drops whole days of a case, and gives the disk space back at once.

use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::io;
use crate::cli::output::table::Grid;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::harmless::clean;
use crate::model::time::parse_span;
use crate::model::value::parse_size;
use crate::service::PruneOrder;
use crate::service::pruned::Outcome;
use crate::store::Plan;
use crate::store::prune::stays;
use crate::store::prune_plan::day_name;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;

/// `backtrail prune`.
pub struct Prune;

#[derive(clap::Args)]
struct PruneArgs {
    #[command(flatten)]
    ages: Ages,
    /// Bytes that the case may take: the oldest days go until it fits: 20GB
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// List the days that would go, and what is pinned; drop nothing
    #[arg(long)]
    dry_run: bool,
}

/// How long what is kept is kept.
#[derive(Debug, Clone, Default, clap::Args)]
struct Ages {
    /// Age of days that go, counted back from the newest record, or from now if that is in the future: 30d, 1y
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// Another age for flows
    #[arg(long, value_name = "AGE")]
    flows: Option<String>,
    /// Another age for events, and passive DNS
    #[arg(long, value_name = "AGE")]
    events: Option<String>,
    /// Another age for packets: where those of flows stand, those that captures kept, copies of evidence in the case
    #[arg(long, value_name = "AGE")]
    packets: Option<String>,
    /// Another age for rollups: sums by hour and by host, which answer `top` and timelines when the flows are gone
    #[arg(long, value_name = "AGE")]
    rollups: Option<String>,
}

impl Ages {
    /// Per kind its age in nanoseconds.
    fn parsed(&self) -> Result<[Option<i64>; 4]> {
        let all = self.older_than.as_deref().map(age).transpose()?;
        let mut out = [all; 4];
        for (slot, own) in out.iter_mut().zip([&self.flows, &self.events, &self.packets, &self.rollups]) {
            if let Some(text) = own {
                *slot = Some(age(text)?);
            }
        }
        Ok(out)
    }
}

/// An age as it is typed, in nanoseconds; years have 365 days.
pub fn age(text: &str) -> Result<i64> {
    let years = text.trim().strip_suffix('y').and_then(|n| n.parse::<u32>().ok()).map(|n| format!("{}d", u64::from(n) * 365));
    let span = parse_span(years.as_deref().unwrap_or(text)).filter(|n| *n > 0);
    span.ok_or_else(|| Error::user(format!("`{text}` is not an age")).hint("for example 30d, 12h or 1y"))
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

impl Subcommand for Prune {
    fn command(&self) -> clap::Command {
        PruneArgs::augment_args(clap::Command::new("prune")).about(
            "Drop whole days that are old or beyond a size, for good; what bookmarks, notes, tags and verdicts are about stays",
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = PruneArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let ages = args.ages.parsed()?;
        let size = |text: &String| {
            parse_size(text).ok_or_else(|| Error::user(format!("`{text}` is not a size")).hint("for example 512MiB or 20GB"))
        };
        let most = args.max_size.as_ref().map(size).transpose()?;
        if most.is_none() && ages == [None; 4] {
            return Err(Error::user("nothing says what is to go")
                .hint("--older-than 30d, --max-size 20GB, or an age of one kind: --packets 7d"));
        }
        let opened = Opened::existing(cx)?;
        let order = PruneOrder { ages, most, asked: args.max_size };
        let Outcome { plan, why, pruned, size } = opened.prune(&order, args.dry_run, &stop_on_signals()?)?;
        let mut out = std::io::stdout().lock();
        print(&plan, &mut out)?;
        if args.dry_run {
            writeln!(out, "{why}: {} of {} would go; nothing was dropped", mib(plan.bytes()), mib(plan.size)).map_err(io)?;
            return Ok(Done::All);
        }
        let Some(pruned) = pruned else {
            writeln!(out, "{why}: nothing to drop; the case takes {}", mib(size)).map_err(io)?;
            return Ok(done(&plan, &[]));
        };
        for kept in &pruned.kept {
            writeln!(out, "{}", clean(&stays(kept))).map_err(io)?;
        }
        let (rows, days) = (pruned.rows, pruned.days);
        writeln!(out, "{why}: {rows} rows of {days} days and {} dropped; the case takes {}", mib(pruned.bytes), mib(size))
            .map_err(io)?;
        Ok(done(&plan, &pruned.kept))
    }
}

fn done(plan: &Plan, kept: &[(i32, String)]) -> Done {
    if plan.over > 0 || !kept.is_empty() { Done::Partly } else { Done::All }
}

fn print(plan: &Plan, out: &mut dyn Write) -> Result<()> {
    if !plan.is_empty() || !plan.pinned.is_empty() {
        let names = ["day", "rows", "size", "goes"].map(str::to_owned).to_vec();
        let mut grid = Grid::new(names, vec![false, true, true], false, out);
        for day in &plan.days {
            let kinds = day.kinds();
            grid.row(vec![
                day.name(),
                day.rows.to_string(),
                mib(day.bytes),
                if kinds.is_empty() { "all".into() } else { kinds },
            ])?;
        }
        let bytes = plan.files.iter().map(|(_, n)| n).sum();
        if !plan.files.is_empty() {
            grid.row(vec![
                format!("{} files", plan.files.len()),
                String::new(),
                mib(bytes),
                "packets, copies of evidence".into(),
            ])?;
        }
        for (day, why) in &plan.pinned {
            grid.row(vec![day_name(*day), String::new(), String::new(), format!("stays: {why}")])?;
        }
        grid.end()?;
    }
    if plan.over > 0 {
        writeln!(out, "{} more than asked for are of the newest day, or pinned", mib(plan.over)).map_err(io)?;
    }
    Ok(())
}
