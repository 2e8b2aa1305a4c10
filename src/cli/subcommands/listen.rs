//! `listen`: what exporters send, into the case, until it is stopped.

use super::capture::{line, print, size, span};
use crate::cli::common::{Custody, Metering};
use crate::cli::opened::{Opened, stop_on_signals};
use crate::cli::output::Form;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::harmless::clean;
use crate::model::live::LiveStatus;
use crate::service::CaptureOrder;
use crate::sources::listen::PREFIX;
use crate::sources::live::Wanted;
use crate::sources::ring::Limits;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;

/// `backtrail listen`.
pub struct Listen;

/// What is listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// NetFlow v1 to v9, IPFIX and sFlow, each known by its content
    Netflow,
}

#[derive(clap::Args)]
struct ListenArgs {
    /// What is listened for
    what: What,
    /// Address and port; may stand several times. sFlow is usual on 6343. What is not a loopback address takes datagrams of anyone who can send there
    #[arg(long = "at", value_name = "ADDR:PORT", default_value = "127.0.0.1:2055")]
    at: Vec<String>,
    /// Keep the datagrams too, in a ring of pcapng files of this size; the oldest go first
    #[arg(long, value_name = "SIZE")]
    ring_size: Option<String>,
    /// Size of the kernel's buffer of each port; it gives as much as it allows (net.core.rmem_max)
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    buffer: String,
    /// End after so long: 10m, 1h
    #[arg(long = "for", value_name = "SPAN")]
    length: Option<String>,
    /// How soon rows are committed while there are many; few wait up to a minute
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    commit: String,
    #[command(flatten)]
    metering: Metering,
    #[command(flatten)]
    custody: Custody,
    /// Form of the summary
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

impl Subcommand for Listen {
    fn command(&self) -> clap::Command {
        ListenArgs::augment_args(clap::Command::new("listen")).about(
            "Take flow records that exporters send (NetFlow, IPFIX, sFlow) into the case, each exporter a source; ends on SIGINT, SIGTERM or --for",
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ListenArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if !matches!(args.form, Form::Table | Form::Jsonl) {
            return Err(Error::user("the summary is a table or JSON Lines").hint("-o table or -o jsonl"));
        }
        let What::Netflow = args.what;
        let buffer = u32::try_from(size(&args.buffer)? >> 20).unwrap_or(u32::MAX).max(1);
        let ring = args.ring_size.as_deref().map(size).transpose()?;
        let (length, commit) = (args.length.as_deref().map(span).transpose()?, span(&args.commit)?);
        let opened = Opened::or_create(cx)?;
        let names: Vec<String> = args.at.iter().map(|at| format!("{PREFIX}{at}")).collect();
        let wanted = |name: &String| Wanted {
            interface: name.clone(),
            filter: String::new(),
            snaplen: None,
            promiscuous: false,
            buffer: Some(buffer),
        };
        let order = CaptureOrder {
            interfaces: names.iter().map(wanted).collect(),
            packets: ring.map(|_| String::new()),
            ring: Limits { size: ring.unwrap_or(1 << 30), age: None },
            prune: None,
            length,
            commit,
            source: None,
            timeouts: args.metering.timeouts().to_owned(),
            checksums: args.metering.checksums().to_owned(),
            custody: args.custody.stored(),
        };
        let what = args.custody.journalled(names.iter().map(|n| format!("live:{n}")).collect());
        let stop = stop_on_signals()?;
        let bar = cx.progress.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let began = std::cell::Cell::new(false);
        let mut tell = |status: &LiveStatus| {
            // Journalled once it runs: what could not begin changed nothing.
            if !began.replace(true) {
                let _ = opened.keeper.append(what.clone());
            }
            bar.iter().for_each(|bar| bar.set_message(line(status)));
        };
        let summary = opened.capture(&order, Vec::new(), &stop, &mut tell);
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
