//! `serve`: a process that holds the case, which others join. Workbenches and commands in a terminal start it by themselves.

use crate::cli::opened::{must_exist, stop_on_signals};
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::time::{parse_span, show_span};
use crate::query::LocalEngine;
use crate::query::known::Known;
use crate::service::{Client, Serving, Starter, peer};
use crate::store::lock::is_held;
use crate::store::{OpenOptions, Store};
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `backtrail serve`.
pub struct Serve;

/// How often it is looked whether somebody is still there.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
struct ServeArgs {
    /// Stay in this terminal until it is interrupted, whoever is there
    #[arg(long, conflicts_with = "linger")]
    foreground: bool,
    /// How long to stay when the last has left [default: $BACKTRAIL_LINGER, else 5s]
    #[arg(long, value_name = "SPAN")]
    linger: Option<String>,
    /// It was started by a client
    #[arg(long, hide = true, conflicts_with = "foreground")]
    detached: bool,
    /// The case is made if it is not there
    #[arg(long, hide = true)]
    create: bool,
}

impl Subcommand for Serve {
    fn command(&self) -> clap::Command {
        ServeArgs::augment_args(
            clap::Command::new("serve")
                .about("Hold the case in a process of its own, which others join; started by itself where needed"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ServeArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let linger = args.linger.clone().or_else(|| std::env::var("BACKTRAIL_LINGER").ok());
        let linger = linger.as_deref().map(span).transpose()?;
        if !args.create {
            must_exist(cx)?;
        }
        if peer::is_others(&cx.case) {
            return Err(Error::store("the case is somebody else's: only its owner can serve it").at_path(&cx.case));
        }
        if args.detached {
            return match hold(cx, &args, Some(linger.unwrap_or(Duration::from_secs(5)))) {
                Err(e) if is_held(&e) => {
                    let _ = writeln!(std::io::stderr(), "error: {e}");
                    Ok(Done::Held)
                }
                ended => ended,
            };
        }
        if args.foreground {
            return hold(cx, &args, None);
        }
        let program = std::env::current_exe().map_err(|e| Error::internal(format!("this program cannot be found: {e}")))?;
        let starter = Starter { program, create: false, linger: args.linger };
        let client = Client::reach(&cx.case, Some(starter), cx.wait.max(Duration::from_secs(2)))?;
        for notice in client.welcome().notices {
            let _ = writeln!(std::io::stderr(), "note: {notice}");
        }
        writeln!(std::io::stdout(), "process {} serves {}", client.holder(), client.dir().display()).map_err(io)?;
        Ok(Done::All)
    }
}

fn span(text: &str) -> Result<Duration> {
    let span = if text == "0" { Some(0) } else { parse_span(text) }.and_then(|n| u64::try_from(n).ok());
    span.map(Duration::from_nanos).ok_or_else(|| Error::user(format!("`{text}` is not a span")).hint("for example 30s or 12h"))
}

/// Holds the case; until it is interrupted, or nobody has been there for so long.
fn hold(cx: &Cx, args: &ServeArgs, linger: Option<Duration>) -> Result<Done> {
    if args.detached {
        // Away from the terminal of whoever needed it first: neither its keys nor its end reach this process.
        let _ = rustix::process::setsid();
    }
    let stop = stop_on_signals()?;
    let options = OpenOptions { create: args.create, wait: cx.wait, ..OpenOptions::default() };
    let store = Store::open(&cx.case, &options)?;
    let file: PathBuf = store.dir().join("case.toml");
    let serving = Serving::start(Arc::new(LocalEngine::new(store, Box::new(Known::default()))), true)?;
    serving.log(&format!("serves the case, version {}", env!("CARGO_PKG_VERSION")));
    if linger.is_none() {
        for notice in serving.notices() {
            let _ = writeln!(std::io::stderr(), "note: {notice}");
        }
        writeln!(std::io::stdout(), "process {} serves {} until it is interrupted", std::process::id(), cx.case.display())
            .map_err(io)?;
    }
    while !stop() {
        let idle = serving.idle();
        if let (Some(linger), Some(idle)) = (linger, idle)
            && idle >= linger
        {
            serving.log(&format!("nobody was there for {}: ends", show_span(i64::try_from(idle.as_nanos()).unwrap_or(0))));
            break;
        }
        // A case that was removed is held for nobody.
        if idle.is_some() && linger.is_some() && !file.exists() {
            break;
        }
        std::thread::sleep(LOOK);
    }
    Ok(Done::All)
}
