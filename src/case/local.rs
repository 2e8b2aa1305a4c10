//! The keeper over a store on this machine: the journal, and the place of each session.

use super::keeper::Keeper;
use crate::error::Result;
use crate::ingest::{Progress, Report, Request, Watch, ingest};
use crate::model::decision::{Decision, What, Who};
use crate::sources::input::Stop;
use crate::store::{Store, now};
use std::path::PathBuf;
use std::sync::Arc;

/// Writes what people enter into a [`Store`].
pub struct LocalKeeper {
    store: Store,
    who: Who,
    session: String,
}

impl LocalKeeper {
    /// A keeper for whoever runs this process, see [`who`].
    pub fn new(store: Store) -> LocalKeeper {
        LocalKeeper::of(store, who(), session())
    }
    /// A keeper for a person and a session.
    pub fn of(store: Store, who: Who, session: String) -> LocalKeeper {
        LocalKeeper { store, who, session }
    }
    /// As [`Keeper::append`], of what is known by a mark: given twice, it is written once.
    pub fn append_once(&self, what: What, mark: &str) -> Result<Decision> {
        self.store.journal().append_once(what, self.who.clone(), mark)
    }
    /// Who acts.
    pub fn who(&self) -> &Who {
        &self.who
    }
}

/// The terminal or pane that this process runs in, by which its place is kept.
pub fn session() -> String {
    ["SSH_TTY", "TMUX_PANE", "TTY"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "main".to_owned())
}

/// Who runs this process: `$BACKTRAIL_USER`, the Unix user, the SSH client's address.
pub fn who() -> Who {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let uid = rustix::process::getuid().as_raw();
    let unix = user_name(uid).or_else(|| set("USER")).unwrap_or_else(|| uid.to_string());
    let ssh = set("SSH_CONNECTION").or_else(|| set("SSH_CLIENT"));
    let ssh = ssh.and_then(|c| c.split_whitespace().next().map(str::to_owned));
    Who { name: set("BACKTRAIL_USER").unwrap_or_else(|| unix.clone()), unix, ssh }
}

/// Name of a user by number, from the file of local users.
pub fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let of = |line: &str| {
        let mut cells = line.split(':');
        let name = cells.next()?;
        (cells.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    text.lines().find_map(of)
}

impl Keeper for LocalKeeper {
    fn append(&self, what: What) -> Result<Decision> {
        self.store.journal().append(what, self.who.clone())
    }
    fn decisions(&self) -> Arc<Vec<Decision>> {
        self.store.journal().decisions()
    }
    fn ingest(&self, paths: &[PathBuf], progress: &(dyn Fn(&Progress) + Sync), stop: &Stop) -> Result<Report> {
        let watch = Watch { stop: Arc::clone(stop), progress, now: now() };
        ingest(&self.store, &Request { paths: paths.to_vec(), ..Request::default() }, &watch)
    }
    fn save_place(&self, place: &str) -> Result<()> {
        self.store.save_place(&self.who.unix, &self.session, place)
    }
    fn keep_text(&self, text: &str) -> Result<String> {
        self.store.keep_text(text)
    }
    fn kept_text(&self, name: &str) -> Option<String> {
        self.store.kept_text(name)
    }
    fn place(&self) -> Option<String> {
        self.store.place(&self.who.unix)
    }
    fn name(&self) -> String {
        self.store.name()
    }
    fn dir(&self) -> PathBuf {
        self.store.dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::About;
    use crate::store::{OpenOptions, Reserve};

    #[test]
    fn what_is_entered_is_there_after_reopening_with_who_and_place() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            OpenOptions { create: true, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
        let open = || {
            LocalKeeper::of(
                Store::open(dir.path(), &options).unwrap(),
                Who { name: "Ada".into(), unix: "ada".into(), ssh: None },
                "1".into(),
            )
        };
        let keeper = open();
        keeper.append(What::Note { about: About::Case, text: "hello".into() }).unwrap();
        keeper.save_place("here").unwrap();
        drop(keeper);
        let keeper = open();
        let decisions = keeper.decisions();
        assert_eq!((decisions.len(), decisions[0].who.name.as_str()), (1, "Ada"));
        assert_eq!(keeper.place().as_deref(), Some("here"));
        assert!(who().name.len() + who().unix.len() > 0);
    }
}
