//! Files of this machine: evidence taken in, and the report written, in the background.

use super::app::App;
use super::go::Said;
use super::overlay::Overlay;
use crate::case::report::form::{Form, save, whole};
use crate::error::Result;
use crate::ingest::{Progress, Report};
use crate::sources::input::Stop;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Slots of the two jobs.
const INGEST: &str = "ingest";
const REPORT: &str = "report";
/// How often the progress of an import is told.
const OFTEN: Duration = Duration::from_millis(300);

/// An import has ended: what it says of itself.
pub(super) struct Ingested(pub String);

/// A path as it is typed; `~/` is the home directory.
pub(super) fn path(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(typed),
    }
}

/// Takes a file or folder in; without one it is asked for.
pub(super) fn ingest(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt("take in (file or folder)", INGEST, ""));
        return Ok(());
    }
    let paths = vec![path(args)];
    app.say(format!("reading {args}…"));
    app.ask(INGEST, move |work| {
        let last = Mutex::new(Instant::now());
        let progress = |now: &Progress| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= OFTEN {
                *last = Instant::now();
                let Progress { file, files, path, records, .. } = now;
                work.give(Said(format!("file {file} of {files}, {records} records: {path} (esc stops)")));
            }
        };
        let cancel = work.cancel.clone();
        let stop: Stop = Arc::new(move || cancel.is_cancelled());
        let report = work.keeper.ingest(&paths, &progress, &stop)?;
        work.give(Ingested(said(&report)));
        Ok(())
    });
    Ok(())
}

/// What an import says of itself, in a line.
fn said(report: &Report) -> String {
    let files = report.files.iter().filter(|f| !f.is_archive()).count();
    let mut out = format!("{files} files, {} new records", report.counts().ok);
    let odd: Vec<_> = report.files.iter().filter(|f| f.is_incomplete()).collect();
    if let [first, rest @ ..] = &odd[..] {
        let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
        out.push_str(&format!("; not or partly read: {}: {}{more}", first.path, first.note()));
    }
    if report.stopped {
        out.push_str("; stopped: take the same in again to go on");
    }
    out
}

/// Writes the report to a file, whose name says the form; without one it is asked for.
pub(super) fn report(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        let name = format!("{}.html", app.keeper.name()).replace(['/', ' '], "-");
        let endings: Vec<&str> = Form::ALL.iter().map(|f| f.2).collect();
        app.overlay = Some(Overlay::prompt(&format!("report to ({})", endings.join(" ")), REPORT, &name));
        return Ok(());
    }
    let path = path(args);
    let form = Form::of(&path)?;
    app.say("writing the report…");
    app.ask(REPORT, move |work| {
        let report = whole(&*work.engine, &*work.keeper, &work.cancel)?;
        save(&form.write(&report, &*work.engine, &mut None), &path, &*work.keeper)?;
        work.give(Said(format!("report written to {}, its hash entered", path.display())));
        Ok(())
    });
    Ok(())
}
