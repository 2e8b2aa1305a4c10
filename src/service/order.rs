//! Imports and captures as plain data: what is asked of whoever holds the case. The same orders are carried out by a process that holds it itself,
//! so that both ways do the same.

use super::pruned;
use super::question::Set;
use crate::case::LocalKeeper;
use crate::error::{Error, Result};
use crate::flow::{Checksums, Profile};
use crate::ingest::live::compact::Prune;
use crate::ingest::live::{self, Packets};
use crate::ingest::{Input, Request, dates_of};
use crate::model::{Filter, Window};
use crate::query::{Engine, LocalEngine};
use crate::sources::archive::keys::Ask;
use crate::sources::listen;
use crate::sources::live::{Wanted, find};
use crate::sources::ring::Limits;
use crate::store::{Pruned, now};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOrder {
    /// Absolute paths, `-` for the standard input of whoever asks; bytes, since a path need not be text.
    pub paths: Vec<Vec<u8>>,
    /// Format instead of the one recognised.
    pub format: Option<String>,
    /// Source name instead of the one that the content gives.
    pub source: Option<String>,
    /// Zone for times without one.
    pub zone: Option<String>,
    /// Year for times without one.
    pub year: Option<i32>,
    /// Order of dates.
    pub dates: Option<String>,
    /// Custody: from whom, how obtained, ticket.
    pub custody: [String; 3],
    /// Profile of time-outs.
    pub timeouts: String,
    /// What packets with a wrong checksum are.
    pub checksums: String,
    /// Passwords of archives.
    pub passwords: Vec<String>,
    /// Keep no copies of compressed captures.
    pub no_spool: bool,
    /// Somebody can be asked for a password.
    pub asks: bool,
}

impl ImportOrder {
    /// Of paths as they were typed in this process's directory.
    pub fn of(paths: &[PathBuf]) -> Result<ImportOrder> {
        let absolute = |path: &PathBuf| {
            if path.as_os_str() == "-" {
                return Ok(b"-".to_vec());
            }
            let whole = std::path::absolute(path).map_err(|e| Error::input(format!("not a path: {e}")).at_path(path))?;
            Ok(whole.into_os_string().into_vec())
        };
        Ok(ImportOrder { paths: paths.iter().map(absolute).collect::<Result<_>>()?, ..ImportOrder::default() })
    }
    /// Whether standard input is read.
    pub fn reads_input(&self) -> bool {
        self.paths.iter().any(|p| p == b"-")
    }
    /// As it is carried out. `input`: what stands for standard input; `ask`: who is asked for passwords.
    pub fn request(&self, input: Option<Input>, ask: Option<Ask>) -> Result<Request> {
        Request {
            paths: self.paths.iter().map(|p| PathBuf::from(OsStr::from_bytes(p))).collect(),
            source: self.source.clone(),
            year: self.year,
            dates: self.dates.as_deref().map(dates_of).transpose()?,
            custody: self.custody.clone(),
            timeouts: Profile::named(&self.timeouts),
            checksums: Checksums::named(&self.checksums),
            passwords: self.passwords.clone(),
            no_spool: self.no_spool,
            ask,
            input,
            ..Request::default()
        }
        .with_options(self.format.as_deref(), self.zone.as_deref())
    }
}

/// Paths as they were typed, of those that an order made absolute.
pub struct Typed(Vec<(PathBuf, PathBuf)>);

impl Typed {
    /// Of the same paths as the order.
    pub fn new(paths: &[PathBuf]) -> Typed {
        let mut both: Vec<_> = paths.iter().filter_map(|p| Some((std::path::absolute(p).ok()?, p.clone()))).collect();
        // What was named most exactly counts.
        both.sort_by_key(|(whole, _)| std::cmp::Reverse(whole.as_os_str().len()));
        Typed(both)
    }
    /// A path of a report, as it is called where it was typed.
    pub fn shown(&self, path: &str) -> String {
        let of = |(whole, typed): &(PathBuf, PathBuf)| {
            if typed.is_absolute() || typed.as_os_str() == "-" {
                return None;
            }
            // A member stands behind its archive with `!`, which is no part of a path.
            let whole = whole.to_str()?;
            let rest = path.strip_prefix(whole)?;
            let typed = typed.to_str()?;
            match rest.chars().next() {
                None | Some('!') => Some(format!("{typed}{rest}")),
                Some('/') => Some(Path::new(typed).join(&rest[1..]).display().to_string()),
                Some(_) => None,
            }
        };
        self.0.iter().find_map(of).unwrap_or_else(|| path.to_owned())
    }
}

/// A live capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureOrder {
    /// Interfaces.
    pub interfaces: Vec<Wanted>,
    /// Which packets are kept: none, or those that a question selects; the empty one selects all.
    pub packets: Option<String>,
    /// What the ring may hold.
    pub ring: Limits,
    /// How long; none: until it is stopped.
    pub length: Option<Duration>,
    /// How soon rows are committed.
    pub commit: Duration,
    /// Name of the source instead of the interface's.
    pub source: Option<String>,
    /// Profile of time-outs.
    pub timeouts: String,
    /// What packets with a wrong checksum are.
    pub checksums: String,
    /// Custody: from whom, how obtained, ticket.
    pub custody: [String; 3],
    /// What is dropped meanwhile.
    pub prune: Option<PruneOrder>,
}

/// What is dropped: ages and a size. A capture counts its ages back from now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneOrder {
    /// Per kind its age in nanoseconds.
    pub ages: [Option<i64>; 4],
    /// Bytes that the case may take.
    pub most: Option<u64>,
    /// The same as it was typed.
    pub asked: Option<String>,
}

impl PruneOrder {
    /// Whether nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.ages == [None; 4] && self.most.is_none()
    }
    /// As a capture carries it out.
    fn prune(self, engine: Arc<LocalEngine>) -> Prune {
        let keeper = LocalKeeper::new(engine.store().clone());
        Arc::new(move |_, stop| {
            let outcome = pruned::prune(&engine, &keeper, &self, now(), false, stop)?;
            let said = |done: Pruned| format!("{}: {} rows of {} days were dropped", outcome.why, done.rows, done.days);
            Ok(outcome.pruned.map(said))
        })
    }
}

impl CaptureOrder {
    /// As it is carried out.
    pub fn request(&self, engine: &Arc<LocalEngine>, files: Vec<(String, Set)>) -> Result<live::Request> {
        // Listening needs no program with a privilege.
        let ports = self.interfaces.iter().all(|i| i.interface.starts_with(listen::PREFIX));
        Ok(live::Request {
            program: if ports { PathBuf::new() } else { find()? },
            interfaces: self.interfaces.clone(),
            packets: packets(engine, self.packets.clone(), files),
            ring: self.ring,
            length: self.length,
            commit: self.commit,
            source: self.source.clone(),
            timeouts: Profile::named(&self.timeouts),
            checksums: Checksums::named(&self.checksums),
            custody: self.custody.clone(),
            prune: self.prune.clone().map(|prune| prune.prune(Arc::clone(engine))),
        })
    }
}

/// Which packets are kept. The question is asked anew each time: sets change while a capture runs.
fn packets(engine: &Arc<LocalEngine>, text: Option<String>, files: Vec<(String, Set)>) -> Packets {
    let Some(text) = text else { return Packets::None };
    if text.trim().is_empty() {
        return Packets::All;
    }
    let engine = Arc::clone(engine);
    let files: HashMap<String, _> = files.into_iter().map(|(name, set)| (name, Arc::new(set.members()))).collect();
    Packets::Matching(Arc::new(move || {
        // Files of one's own are read anew each time; those of a client are as it read them.
        let question = if files.is_empty() {
            engine.compile(&text)?
        } else {
            engine.compile_with(&text, &|name| files.get(name).cloned())?
        };
        if !question.stages.is_empty() || question.window != Window::ALL {
            return Err(Error::user("packets are chosen by a condition, without times and without stages")
                .hint("for example --packets 'host in @concern or port 53'"));
        }
        Ok::<Filter, Error>(question.filter)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_on_the_way_and_shown_as_they_were_typed() {
        let paths = ["logs", "logs/deep", "-", "/abs/x"].map(PathBuf::from);
        let order = ImportOrder::of(&paths).unwrap();
        assert!(order.reads_input());
        let here = std::env::current_dir().unwrap();
        assert_eq!(PathBuf::from(OsStr::from_bytes(&order.paths[0])), here.join("logs"));
        let typed = Typed::new(&paths);
        let shown = |p: &str| typed.shown(&here.join(p).display().to_string());
        assert_eq!(shown("logs"), "logs");
        assert_eq!(shown("logs/a.zip!b/c"), "logs/a.zip!b/c");
        assert_eq!(shown("logs/deep/x"), "logs/deep/x");
        assert_eq!(shown("logsx"), here.join("logsx").display().to_string());
        assert_eq!(typed.shown("/abs/x/y"), "/abs/x/y");
        let dot = Typed::new(&["./logs".into(), "../up".into()]);
        assert_eq!(dot.shown(&here.join("logs/a").display().to_string()), "./logs/a");
        let up = std::path::absolute("../up").unwrap();
        assert_eq!(dot.shown(&format!("{}/b", up.display())), "../up/b");
    }
}
