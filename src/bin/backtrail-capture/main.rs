//! `backtrail-capture`: opens one interface, gives every privilege away, and writes what it sees to standard output as pcapng, with what it
//! dropped every second. It parses nothing. Only this program links libpcap, and only it needs to be allowed to capture.
//!
//! On standard error: lines that begin with `note: ` (what of its confinement the kernel did not have), or one that begins with `error: `
//! (what, where, what next), then exit status 1. SIGTERM, SIGINT and SIGHUP end it with the last statistics; so does a reader that is gone.

mod options;
mod output;
mod packets;
mod sandbox;

use options::{Asked, Options};
use output::{Output, Wrote};
use packets::Interface;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often statistics are written.
const EVERY: Duration = Duration::from_secs(1);
/// Longest wait for packets: how soon a signal is seen.
const GLANCE: Duration = Duration::from_millis(100);

/// What failed, where, and what to do next: one line.
pub struct Failure {
    what: String,
    next: String,
}

impl Failure {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure { what: what.into(), next: next.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever libpcap or a name contains.
        let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
        write!(f, "error: {}", plain(&self.what))?;
        if self.next.is_empty() { Ok(()) } else { write!(f, " -- try: {}", plain(&self.next)) }
    }
}

fn main() -> ExitCode {
    let mut stderr = std::io::stderr();
    let asked = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Help(text)) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Capture(options)) => capture(&options),
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(stderr, "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Set by a signal: the end is wanted.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&asked))
            .map_err(|e| Failure::new(format!("signals cannot be taken: {e}"), ""))?;
    }
    Ok(asked)
}

fn capture(options: &Options) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let mut interface = Interface::open(options)?;
    // What it does to the pipe it cannot do later.
    let mut output = Output::begin(interface.described(), &options.interface)?;
    let notes = sandbox::confine()?;
    let mut stderr = std::io::stderr();
    for note in &notes {
        let _ = writeln!(stderr, "note: {note}");
    }
    let asked = || stop.load(Ordering::Relaxed);
    let mut due = Instant::now();
    loop {
        let taken = interface.take(&mut output)?;
        if due <= Instant::now() {
            due = Instant::now() + EVERY;
            let counted = interface.counted(&output)?;
            output.statistics(&counted, taken < packets::BATCH);
        }
        if write(&mut output, &mut interface, &asked)? == Wrote::ReaderGone {
            return Ok(());
        }
        if asked() {
            break;
        }
        if taken == 0 && output.wait(&interface, due.saturating_duration_since(Instant::now()).min(GLANCE)) == Wrote::ReaderGone {
            return Ok(());
        }
    }
    // What the kernel has still in its buffer was there before the end was wanted.
    for _ in 0..packets::LAST {
        let taken = interface.take(&mut output)?;
        if write(&mut output, &mut interface, &asked)? == Wrote::ReaderGone || taken == 0 {
            break;
        }
    }
    let counted = interface.counted(&output)?;
    output.statistics(&counted, true);
    write(&mut output, &mut interface, &asked)?;
    Ok(())
}

/// Writes what waits. While the reader does not take it nothing is read from the kernel: what the kernel drops until then was dropped for that.
fn write(output: &mut Output, interface: &mut Interface, stop: &dyn Fn() -> bool) -> Result<Wrote, Failure> {
    let mut begun = false;
    let wrote = output.write(stop, &mut || {
        begun = true;
        interface.falls_behind()
    })?;
    if begun {
        interface.catches_up()?;
    }
    Ok(wrote)
}
