//! Where the socket of a case is: in its directory. A path that is too long for a socket's address is gone through the open directory.

use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Name of the socket.
pub const SOCK: &str = "sock";
/// Longest path that fits into an address everywhere.
const LONGEST: usize = 100;

/// The directory by a short path, and what keeps that path good.
fn short(dir: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    if dir.as_os_str().len() + SOCK.len() + 5 <= LONGEST {
        return Ok((dir.to_owned(), None));
    }
    let fd = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())), Some(fd)))
}

/// Makes the socket, with this mode from its first moment. Only who holds the case may: what a killed process left is replaced.
pub fn bind(dir: &Path, mode: u32) -> Result<UnixListener> {
    let bound = || {
        let (short, _keep) = short(dir)?;
        let new = short.join("sock.new");
        let _ = std::fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        std::fs::set_permissions(&new, Permissions::from_mode(mode))?;
        std::fs::rename(&new, short.join(SOCK))?;
        Ok(listener)
    };
    bound().map_err(|e: io::Error| Error::store(format!("the socket of the case cannot be made: {e}")).at_path(&dir.join(SOCK)))
}

/// Takes the socket away.
pub fn remove(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(SOCK));
}

/// Connects; an error of kind `NotFound` or `ConnectionRefused`: nobody serves the case.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    let (short, _keep) = short(dir)?;
    UnixStream::connect(short.join(SOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_reached_by_a_short_path_and_by_one_that_fits_no_address() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["c".to_owned(), "long-name/".repeat(30)] {
            let case = dir.path().join(name);
            std::fs::create_dir_all(&case).unwrap();
            assert_eq!(connect(&case).unwrap_err().kind(), io::ErrorKind::NotFound);
            let listener = bind(&case, 0o600).unwrap();
            let mode = std::fs::metadata(case.join(SOCK)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(connect(&case).is_ok());
            drop(listener);
            assert_eq!(connect(&case).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let again = bind(&case, 0o660).unwrap();
            assert!(connect(&case).is_ok());
            drop(again);
            remove(&case);
            assert!(!case.join(SOCK).exists());
        }
    }
}
