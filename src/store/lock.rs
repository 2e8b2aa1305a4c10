//! The lock of a case: exactly one process holds it; the file says who and since when.

use super::segment::write_error;
use crate::error::{Error, Result};
use crate::model::Time;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the error of a case that is held begins with.
const HELD: &str = "the case is held by";

/// Whether a case could not be opened since another process holds it.
pub fn is_held(error: &Error) -> bool {
    error.what.starts_with(HELD)
}

/// A lock that is held; it ends with the process at the latest.
#[derive(Debug)]
pub struct CaseLock(#[allow(dead_code, reason = "held, not read")] File);

impl CaseLock {
    /// Takes the lock; waits up to `wait` for another process. `now` is written into it.
    pub fn take(dir: &Path, wait: Duration, now: Time) -> Result<CaseLock> {
        let path = dir.join("LOCK");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| write_error(&e, &path))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(e)) => return Err(write_error(&e, &path)),
                Err(TryLockError::WouldBlock) => {
                    let holder = Holder::read(&mut file);
                    // A killed process may hold the lock for a moment while it is torn down.
                    let patience = if holder.is_gone() { wait.max(Duration::from_secs(2)) } else { wait };
                    if begun.elapsed() >= patience {
                        return Err(holder.error(dir));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        let text = format!("pid {}\nsince {}\n", std::process::id(), now.rfc3339());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|e| write_error(&e, &path))?;
        Ok(CaseLock(file))
    }
}

/// Who holds a case.
#[derive(Debug, Default)]
struct Holder {
    pid: Option<u32>,
    since: String,
}

impl Holder {
    fn read(file: &mut File) -> Holder {
        let mut text = String::new();
        let _ = file.rewind().and_then(|()| file.take(4096).read_to_string(&mut text));
        let after = |word: &str| text.lines().find_map(|l| l.strip_prefix(word)).map(str::trim);
        Holder { pid: after("pid ").and_then(|p| p.parse().ok()), since: after("since ").unwrap_or("").to_owned() }
    }
    fn is_gone(&self) -> bool {
        self.pid.is_none_or(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    }
    fn error(&self, dir: &Path) -> Error {
        let who = self.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        let since = if self.since.is_empty() { String::new() } else { format!(" since {}", self.since) };
        Error::store(format!("{HELD} {who}{since}"))
            .at_path(dir)
            .hint("close it there, or wait for it with --wait, or use another case with --case")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_who_holds_the_first_and_since_when() {
        let dir = tempfile::tempdir().unwrap();
        let first = CaseLock::take(dir.path(), Duration::ZERO, Time(0)).unwrap();
        let error = CaseLock::take(dir.path(), Duration::ZERO, Time(1)).unwrap_err();
        assert!(error.what.contains(&std::process::id().to_string()), "{error}");
        assert!(error.what.contains("since 1970-01-01T00:00:00Z"), "{error}");
        drop(first);
        CaseLock::take(dir.path(), Duration::ZERO, Time(1)).unwrap();
    }
}
