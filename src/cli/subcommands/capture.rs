//! `capture`: live interfaces into the case, until it is stopped.

use crate::cli::common::{Custody, Metering};
use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::subcommands::open::{OpenArgs, needs_terminal, workbench};
use crate::cli::subcommands::prune::age;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::ingest::live::{Captured, Summary};
use crate::model::decision::What;
use crate::model::harmless::clean;
use crate::model::live::LiveStatus;
use crate::model::time::{parse_span, show_span};
use crate::model::value::parse_size;
use crate::service::engine::files;
use crate::service::question::Set;
use crate::service::{CaptureOrder, PruneOrder};
use crate::sources::live::{Wanted, find};
use crate::sources::ring::Limits;
use clap::{ArgMatches, Args, FromArgMatches};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// `backtrail capture`.
pub struct Capture;

#[derive(clap::Args)]
struct CaptureArgs {
    /// Interface; may stand several times. `any`: all of them
    #[arg(short = 'i', long = "interface", value_name = "IFACE", required = true)]
    interfaces: Vec<String>,
    /// Only what this filter passes, in the language of libpcap: 'tcp port 80 or net 10.0.0.0/8'
    #[arg(short = 'f', long, value_name = "BPF", default_value = "")]
    filter: String,
    /// Keep packets too, in a ring of pcapng files: all, or of flows that a question about addresses, ports and protocol selects ('host in @concern');
    /// flows are made of everything
    #[arg(long, value_name = "QUERY", num_args = 0..=1, default_missing_value = "")]
    packets: Option<String>,
    /// Size of the ring; the oldest packets go first
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    ring_size: String,
    /// Age beyond which packets go from the ring: 12h, 7d
    #[arg(long, value_name = "SPAN")]
    ring_age: Option<String>,
    /// Age of days of the case that go, as with `prune`: 30d, 1y
    #[arg(long, value_name = "AGE")]
    keep: Option<String>,
    /// Bytes that the case may take: the oldest days of it go, as with `prune`
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// Longest part of a packet that is captured, in bytes
    #[arg(long, value_name = "BYTES")]
    snaplen: Option<u32>,
    /// Size of the kernel's buffer of each interface
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    buffer: String,
    /// Only what is sent to this host, not all that passes
    #[arg(long)]
    no_promiscuous: bool,
    /// End after so long: 10m, 1h
    #[arg(long = "for", value_name = "SPAN")]
    length: Option<String>,
    /// How soon rows are committed while there are many; few wait up to a minute
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    commit: String,
    /// Name of the source instead of the interface's
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    metering: Metering,
    #[command(flatten)]
    custody: Custody,
    /// Open the workbench on the case while it is captured into; leaving it ends the capture
    #[arg(long, conflicts_with = "form")]
    open: bool,
    /// Form of the summary
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Capture {
    fn command(&self) -> clap::Command {
        // Last, or what groups of options say of themselves would stand for it.
        CaptureArgs::augment_args(clap::Command::new("capture")).about(
            "Capture live interfaces into the case: flows and events of everything, packets if asked for; ends on SIGINT, SIGTERM or --for",
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = CaptureArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !matches!(args.form, Form::Table | Form::Jsonl) {
            return Err(Error::user("a capture's summary is a table or JSON Lines").hint("-o table or -o jsonl"));
        }
        // What cannot work is said before a case is made.
        find()?;
        if args.open {
            needs_terminal(&OpenArgs::default())?;
        }
        let limits = Limits { size: size(&args.ring_size)?, age: args.ring_age.as_deref().map(span).transpose()? };
        let buffer = u32::try_from(size(&args.buffer)? >> 20).unwrap_or(u32::MAX).max(1);
        let (length, commit) = (args.length.as_deref().map(span).transpose()?, span(&args.commit)?);
        let opened = if args.open { Opened::served(cx)? } else { Opened::or_create(cx)? };
        let wanted = |name: &String| Wanted {
            interface: name.clone(),
            filter: args.filter.clone(),
            snaplen: args.snaplen,
            promiscuous: !args.no_promiscuous,
            buffer: Some(buffer),
        };
        let files = args.packets.as_deref().map(files).unwrap_or_default();
        let order = CaptureOrder {
            interfaces: args.interfaces.iter().map(wanted).collect(),
            packets: args.packets.clone(),
            ring: limits,
            prune: pruning(&args)?,
            length,
            commit,
            source: args.source.clone(),
            timeouts: args.metering.timeouts().to_owned(),
            checksums: args.metering.checksums().to_owned(),
            custody: args.custody.stored(),
        };
        // Journalled once it runs: what could not begin changed nothing.
        let what = args.custody.journalled(args.interfaces.iter().map(|i| format!("live:{i}")).collect());
        if args.open {
            return watched(&opened, order, files, what);
        }
        let stop = stop_on_signals()?;
        let bar = cx.progress.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let tell = |status: &LiveStatus| {
            if let Some(bar) = &bar {
                bar.set_message(line(status));
            }
        };
        let began = std::cell::Cell::new(false);
        let mut journal = |status: &LiveStatus| {
            if !began.replace(true) {
                let _ = opened.keeper.append(what.clone());
            }
            tell(status);
        };
        let summary = opened.capture(&order, files, &stop, &mut journal);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let summary = summary?;
        print(&summary, args.form)?;
        for notice in &summary.notices {
            let _ = writeln!(std::io::stderr(), "note: {}", clean(notice));
        }
        for error in summary.interfaces.iter().filter_map(|i| i.error.as_ref()) {
            let _ = writeln!(std::io::stderr(), "error: {error}");
        }
        Ok(if summary.is_incomplete() { Done::Partly } else { Done::All })
    }
}

/// Captures in a thread while the workbench is open.
fn watched(opened: &Opened, order: CaptureOrder, files: Vec<(String, Set)>, what: What) -> Result<Done> {
    let client = opened.client().cloned().ok_or_else(|| Error::internal("a workbench without a service"))?;
    let keeper = Arc::clone(&opened.keeper);
    let live = Live::start("capture", move |feeder| {
        let mut began = false;
        let mut tell = |status: &LiveStatus| {
            if !std::mem::replace(&mut began, true) {
                let _ = keeper.append(what.clone());
            }
            feeder.tell(status.clone());
        };
        client.capture(&order, files.clone(), &feeder.stop(), &mut tell).map(|summary| in_words(&summary))
    })?;
    workbench(opened, &OpenArgs::default(), Some(live.clone()))?;
    match live.ended() {
        Some(Ok(said)) => writeln!(std::io::stdout(), "{}", clean(&said)).map_err(io).map(|()| Done::All),
        Some(Err(error)) => Err(error),
        None => Err(Error::internal("the capture did not end in time")),
    }
}

/// What is dropped while it is captured: as `prune` does, counted back from now.
fn pruning(args: &CaptureArgs) -> Result<Option<PruneOrder>> {
    let order = PruneOrder {
        ages: [args.keep.as_deref().map(age).transpose()?; 4],
        most: args.max_size.as_deref().map(size).transpose()?,
        asked: args.max_size.clone(),
    };
    Ok((!order.is_empty()).then_some(order))
}

fn in_words(summary: &Summary) -> String {
    let one = |c: &Captured| {
        let (total, error) = (&c.status.total, c.error.as_ref().map(|e| format!("; {}", e.what)));
        let lost = c.status.drops.total();
        format!(
            "{}: {} packets, {} flows, {lost} dropped{}",
            c.status.name,
            total.packets,
            total.flows,
            error.unwrap_or_default()
        )
    };
    summary.interfaces.iter().map(one).chain(summary.notices.iter().cloned()).collect::<Vec<_>>().join("; ")
}

pub(super) fn size(text: &str) -> Result<u64> {
    let size = parse_size(text).filter(|n| *n >= 1 << 20);
    size.ok_or_else(|| Error::user(format!("`{text}` is not a size of at least 1 MiB")).hint("for example 512MiB or 20GB"))
}

pub(super) fn span(text: &str) -> Result<Duration> {
    let span = parse_span(text).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(Duration::from_nanos);
    span.ok_or_else(|| Error::user(format!("`{text}` is not a span")).hint("for example 90s, 10m or 12h"))
}

/// How a capture does, in one line.
pub(super) fn line(status: &LiveStatus) -> String {
    let (rate, total, drops) = (status.rate(), status.total(), status.drops());
    let open: u64 = status.sources.iter().map(|s| s.open).sum();
    let names: Vec<&str> = status.sources.iter().map(|s| s.name.as_str()).collect();
    let lost = match drops.total() {
        0 => "nothing dropped".to_owned(),
        _ => format!("dropped: kernel {}, case {}", drops.kernel.saturating_add(drops.interface), drops.pipeline),
    };
    let newest = status.notices.last().map_or(String::new(), |n| format!(" · {}", clean(n)));
    format!(
        "● {} · {} packets, {}/s, {:.1} Mbit/s · {} flows, {}/s, {open} open · {lost}{newest}",
        clean(&names.join(" ")),
        total.packets,
        rate.packets,
        rate.bytes as f64 * 8.0 / 1e6,
        total.flows,
        rate.flows
    )
}

pub(super) fn print(summary: &Summary, form: Form) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if form == Form::Jsonl {
        for c in &summary.interfaces {
            writeln!(out, "{}", row_json(c, summary)).map_err(io)?;
        }
        return Ok(());
    }
    let names = ["interface", "packets", "bytes", "flows", "records", "kernel drops", "case drops", "from", "to", "note"];
    let right = (0..names.len()).map(|n| (1..7).contains(&n)).collect();
    let mut grid = Grid::new(names.map(str::to_owned).to_vec(), right, false, &mut out);
    for c in &summary.interfaces {
        let (s, time) = (&c.status, |t: crate::model::Time| t.utc().format("%Y-%m-%d %H:%M:%SZ").to_string());
        // The first says what the columns say.
        let mut notes: Vec<String> = c.warnings.iter().skip(1).cloned().collect();
        notes.extend(c.error.as_ref().map(|e| e.what.clone()));
        grid.row(vec![
            s.name.clone(),
            s.total.packets.to_string(),
            s.total.bytes.to_string(),
            s.total.flows.to_string(),
            c.counts.records.to_string(),
            s.drops.kernel.saturating_add(s.drops.interface).to_string(),
            s.drops.pipeline.to_string(),
            c.span.map(|w| time(w.start)).unwrap_or_default(),
            c.span.map(|w| time(w.last())).unwrap_or_default(),
            notes.join("; "),
        ])?;
    }
    grid.end()?;
    let ring = summary.ring.map_or(String::new(), |(bytes, dropped)| {
        let gone = if dropped > 0 { format!(", {dropped} files dropped from it") } else { String::new() };
        format!("; {:.1} MiB of packets in the ring{gone}", bytes as f64 / f64::from(1 << 20))
    });
    let took = show_span(i64::try_from(summary.elapsed.as_secs()).unwrap_or(0).saturating_mul(crate::model::time::SECOND));
    writeln!(out, "captured for {}{ring}", if took.is_empty() { "less than a second" } else { &took }).map_err(io)
}

fn row_json(c: &Captured, summary: &Summary) -> serde_json::Value {
    let s = &c.status;
    json!({
        "schema": "backtrail.capture/1", "interface": s.name, "evidence": c.path, "key": c.key.to_string(),
        "packets": s.total.packets, "bytes": s.total.bytes, "flows": s.total.flows, "records": c.counts.records,
        "oddities": c.counts.oddities, "drops.kernel": s.drops.kernel, "drops.interface": s.drops.interface,
        "drops.pipeline": s.drops.pipeline, "start": c.span.map(|w| w.start.rfc3339()), "end": c.span.map(|w| w.last().rfc3339()),
        "elapsed": summary.elapsed.as_secs_f64(), "ring.bytes": summary.ring.map(|r| r.0), "ring.dropped": summary.ring.map(|r| r.1),
        "warnings": c.warnings, "notices": summary.notices, "error": c.error.as_ref().map(|e| e.what.clone()),
    })
}
