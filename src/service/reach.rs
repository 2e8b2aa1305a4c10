//! How a client reaches whoever holds a case; where nobody does, it starts a process that will. Any number of clients may do that at once: the lock of
//! the case lets one of the processes have it, the others end.

use super::ask::{Hello, Welcome};
use super::connection::first;
use super::frame::{self, Reader, kind};
use super::peer::{Access, Peer};
use super::place;
use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Exit status of a process that was to hold a case which another holds.
pub const HELD: u8 = 3;
/// How long whoever holds the case may take to answer the first frame.
const ANSWER: Duration = Duration::from_secs(10);
/// How often it is tried.
const LOOK: Duration = Duration::from_millis(5);
/// How long after one process another is started.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a case may take to be opened: its catalog may have to be made anew.
const OPENING: Duration = Duration::from_secs(600);

/// How a process that holds the case is started.
#[derive(Debug, Clone)]
pub struct Starter {
    /// The program.
    pub program: PathBuf,
    /// The case is made if it is not there.
    pub create: bool,
    /// How long it stays when the last has left; none: as it has it.
    pub linger: Option<String>,
}

/// A connection to whoever holds the case.
pub(super) struct Reached {
    pub socket: UnixStream,
    pub reader: Reader,
    pub welcome: Welcome,
}

/// Joins whoever serves the case now; none: nobody does.
pub(super) fn join(dir: &Path, hello: &Hello) -> Result<Option<Reached>> {
    use std::io::ErrorKind as Io;
    let socket = match place::connect(dir) {
        Ok(socket) => socket,
        Err(e) if matches!(e.kind(), Io::NotFound | Io::ConnectionRefused | Io::ConnectionReset) => return Ok(None),
        Err(e) => {
            return Err(Error::store(format!("the process that holds the case cannot be reached: {e}"))
                .at_path(&dir.join(place::SOCK))
                .hint("ask its owner to share the case with a group: chgrp GROUP CASE; chmod 2770 CASE"));
        }
    };
    let holder = Peer::of(&socket)?;
    if !Access::of(dir)?.may_hold(holder.uid) {
        return Err(Error::store(format!("{} answers in the name of the case, which is not theirs", holder.unix)).at_path(dir));
    }
    let failed = |e: std::io::Error| Error::input(format!("the socket of the case: {e}"));
    socket.set_read_timeout(Some(ANSWER)).map_err(failed)?;
    let mut reader = Reader::new(socket.try_clone().map_err(failed)?, frame::MAX_ANSWER);
    // Whoever just leaves takes nobody in any more: as if nobody were there.
    if frame::write(&socket, &first(hello)?).is_err() {
        return Ok(None);
    }
    let answer = match reader.read() {
        Ok(Some(answer)) => answer,
        Ok(None) => return Ok(None),
        Err(error) if error.what.contains("reset") || error.what.contains("broken") => return Ok(None),
        Err(error) => return Err(error.hint("the process that holds the case does not answer: look at it, or end it")),
    };
    match answer.kind {
        kind::WELCOME => {
            socket.set_read_timeout(None).map_err(failed)?;
            Ok(Some(Reached { welcome: frame::take(&answer.body)?, socket, reader }))
        }
        kind::REFUSED => {
            let why: Error = frame::take(&answer.body)?;
            // Only for a moment: it is closing.
            if why.what.contains("being closed") { Ok(None) } else { Err(why) }
        }
        other => Err(Error::input(format!("the process that holds the case answers with a frame of kind {other}"))),
    }
}

/// Joins whoever serves the case, waits for it, and starts it if there is a way to. `patience`: how long to wait for a process that holds the case
/// and serves nobody.
pub(super) fn reach(dir: &Path, hello: &Hello, starter: Option<&Starter>, patience: Duration) -> Result<Reached> {
    let begun = Instant::now();
    let mut started: Option<(Started, Instant)> = None;
    let mut why = None;
    loop {
        if let Some(reached) = join(dir, hello)? {
            if let Some((started, _)) = started {
                started.leave();
            }
            return Ok(reached);
        }
        let mut opening = false;
        if let Some(starter) = starter {
            if let Some((child, at)) = &mut started {
                match child.ended()? {
                    // It opens the case.
                    None => opening = at.elapsed() < OPENING,
                    Some(held) => why = Some(held),
                }
            }
            if !opening && started.as_ref().is_none_or(|(_, at)| at.elapsed() >= AGAIN) {
                started = Some((Started::start(dir, starter)?, Instant::now()));
                opening = true;
            }
        }
        if !opening && begun.elapsed() >= patience {
            let none = || Error::store("nobody serves the case").at_path(dir).hint("backtrail serve serves it");
            return Err(why.unwrap_or_else(none));
        }
        std::thread::sleep(LOOK);
    }
}

/// A process that was started.
struct Started {
    child: Child,
    said: Option<File>,
}

impl Started {
    fn start(dir: &Path, starter: &Starter) -> Result<Started> {
        // What it says before it serves is read here; a file without a name, so that it can end whenever it likes.
        let said = tempfile::tempfile().ok();
        let mut command = Command::new(&starter.program);
        command.arg("--case").arg(dir).args(["serve", "--detached"]);
        if starter.create {
            command.arg("--create");
        }
        if let Some(linger) = &starter.linger {
            command.args(["--linger", linger]);
        }
        let stderr = said.as_ref().and_then(|file| file.try_clone().ok()).map_or_else(Stdio::null, Stdio::from);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).env_remove("BACKTRAIL_WAIT").current_dir("/");
        let child = command.spawn().map_err(|e| {
            Error::internal(format!("the process that holds the case cannot be started: {e}")).at_path(&starter.program)
        })?;
        Ok(Started { child, said })
    }
    /// Whether it ended because another holds the case: then who; if it failed, why.
    fn ended(&mut self) -> Result<Option<Error>> {
        let Ok(Some(status)) = self.child.try_wait() else { return Ok(None) };
        let mut text = String::new();
        if let Some(said) = &mut self.said {
            let _ = said.rewind().and_then(|()| said.take(16 << 10).read_to_string(&mut text));
        }
        let error = read_error(&text).unwrap_or_else(|| Error::store(format!("the process that was to hold the case: {status}")));
        match status.code() {
            Some(code) if code == i32::from(HELD) || code == 0 => Ok(Some(error)),
            _ => Err(error),
        }
    }
    /// It serves: it goes on without us, and leaves nothing behind in this process when it ends.
    fn leave(mut self) {
        let _ = std::thread::Builder::new().name("holder".into()).spawn(move || self.child.wait());
    }
}

/// An error as the command line prints it.
fn read_error(text: &str) -> Option<Error> {
    let at = text.rfind("error: ")?;
    let mut lines = text[at + "error: ".len()..].lines();
    let mut error = Error::new(ErrorKind::Store, lines.next()?);
    for line in lines {
        if let Some(place) = line.strip_prefix("  at ") {
            error.place = place.to_owned();
        } else if let Some(hint) = line.strip_prefix("  try: ") {
            error.hint = hint.to_owned();
        }
    }
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_was_printed_is_read_again() {
        let error = Error::store("the disk is full").at("/c").hint("free some");
        assert_eq!(read_error(&format!("note: x\nerror: {error}\n")), Some(error));
        assert_eq!(read_error("Aborted"), None);
    }

    #[test]
    fn who_may_start_nothing_says_that_nobody_serves() {
        let dir = tempfile::tempdir().unwrap();
        let error = reach(dir.path(), &Hello::default(), None, Duration::from_millis(20)).err().unwrap();
        assert!(error.what.contains("nobody serves"), "{error}");
        let starter = Starter { program: "/nowhere".into(), create: false, linger: None };
        let error = reach(dir.path(), &Hello::default(), Some(&starter), Duration::ZERO).err().unwrap();
        assert!(error.place.contains("nowhere"), "{error}");
        let starter = Starter { program: "/bin/false".into(), create: false, linger: None };
        let error = reach(dir.path(), &Hello::default(), Some(&starter), Duration::from_secs(9)).err().unwrap();
        assert!(error.what.contains("exit status: 1"), "{error}");
    }
}
