//! Who is on the other side of a socket, and whether a case is for them. What a process says of itself is not believed where the kernel knows it.

use crate::case::user_name;
use crate::error::{Error, Result};
use rustix::net::sockopt::socket_peercred;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The mode of a case for one, and of one that is shared with its group.
pub const ALONE: u32 = 0o700;
/// See [`ALONE`].
pub const SHARED: u32 = 0o2770;

/// Who is on the other side, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process that connected.
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Name of the user, else the number.
    pub unix: String,
}

impl Peer {
    /// Of a socket.
    pub fn of(socket: &UnixStream) -> Result<Peer> {
        let cred = socket_peercred(socket).map_err(|e| Error::input(format!("who is there cannot be told: {e}")))?;
        let uid = cred.uid.as_raw();
        let pid = u32::try_from(cred.pid.as_raw_nonzero().get()).unwrap_or(0);
        Ok(Peer { pid, uid, gid: cred.gid.as_raw(), unix: user_name(uid).unwrap_or_else(|| uid.to_string()) })
    }
    /// Whether it is the user of this process, or root: then it may have files read and interfaces opened in this process's name.
    pub fn is_own(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }
    /// Whether a case is for it; else why not.
    pub fn may(&self, access: &Access) -> Result<()> {
        if self.is_own() || self.uid == access.uid {
            return Ok(());
        }
        let who = &self.unix;
        let Some(group) = access.group else {
            return Err(Error::store(format!("the case is not shared: it is for {} alone, not for {who}", access.owner()))
                .hint("its owner shares it with a group: chgrp GROUP CASE; chmod 2770 CASE"));
        };
        if self.gid == group || group_has(group, who) {
            return Ok(());
        }
        let name = group_name(group).unwrap_or_else(|| group.to_string());
        Err(Error::store(format!("{who} is not in the group {name}, with which the case is shared")))
    }
}

/// For whom a case is, by the mode of its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whose it is.
    pub uid: u32,
    /// The group that it is shared with.
    pub group: Option<u32>,
    /// What is wrong with its mode.
    pub notice: Option<String>,
}

impl Access {
    /// Of a case's directory.
    pub fn of(dir: &Path) -> Result<Access> {
        let meta = std::fs::metadata(dir).map_err(|e| Error::store(format!("cannot read: {e}")).at_path(dir))?;
        let mode = meta.permissions().mode() & 0o7777;
        let shared = mode & 0o2070 == 0o2070;
        let too_wide = if shared { mode & 0o007 != 0 } else { mode & 0o077 != 0 };
        let notice = too_wide.then(|| {
            let wanted = if shared { SHARED } else { ALONE };
            format!("others than its owner can reach into the case (mode {mode:o}): chmod {wanted:o} {}", dir.display())
        });
        Ok(Access { uid: meta.uid(), group: shared.then(|| meta.gid()), notice })
    }
    /// Mode of the socket.
    pub fn socket_mode(&self) -> u32 {
        if self.group.is_some() { 0o660 } else { 0o600 }
    }
    fn owner(&self) -> String {
        user_name(self.uid).unwrap_or_else(|| self.uid.to_string())
    }
    /// Whether a process of that user may hold the case: nobody else's answers are believed.
    pub fn may_hold(&self, uid: u32) -> bool {
        uid == 0 || uid == self.uid || uid == rustix::process::geteuid().as_raw()
    }
}

/// Whether a case is there and belongs to another user, whose files this process neither may read nor should own.
pub fn is_others(dir: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    own != 0 && Access::of(dir).is_ok_and(|access| access.uid != own)
}

fn groups() -> String {
    std::fs::read_to_string("/etc/group").unwrap_or_default()
}

fn group_name(gid: u32) -> Option<String> {
    groups().lines().find_map(|line| {
        let mut cells = line.split(':');
        let name = cells.next()?;
        (cells.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

/// Whether the file of local groups names somebody as a member.
fn group_has(gid: u32, user: &str) -> bool {
    is_member(&groups(), gid, user)
}

fn is_member(text: &str, gid: u32, user: &str) -> bool {
    text.lines().any(|line| {
        let mut cells = line.split(':').skip(2);
        cells.next().is_some_and(|n| n.parse() == Ok(gid))
            && cells.next().is_some_and(|members| members.split(',').any(|m| m.trim() == user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { pid: 1, uid, gid, unix: format!("u{uid}") }
    }

    #[test]
    fn a_case_is_for_its_owner_for_root_and_for_its_group_if_it_is_shared() {
        let own = rustix::process::geteuid().as_raw();
        let (stranger, group) = (own + 4711, 815);
        let alone = Access { uid: own, group: None, notice: None };
        assert!(peer(own, 1).may(&alone).is_ok() && peer(0, 0).may(&alone).is_ok());
        let refused = peer(stranger, group).may(&alone).unwrap_err();
        assert!(refused.what.contains("not shared") && refused.hint.contains("2770"), "{refused}");
        let shared = Access { group: Some(group), ..alone };
        assert!(peer(stranger, group).may(&shared).is_ok());
        assert!(peer(stranger, 1).may(&shared).unwrap_err().what.contains("not in the group"));
        assert!(!peer(stranger, group).is_own() || own == 0);
        assert!(shared.may_hold(own) && !shared.may_hold(stranger));
    }

    #[test]
    fn modes_that_are_too_wide_are_said() {
        let dir = tempfile::tempdir().unwrap();
        let of = |mode: u32| {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let access = Access::of(dir.path()).unwrap();
            (access.group.is_some(), access.socket_mode(), access.notice.is_some())
        };
        assert_eq!(of(0o700), (false, 0o600, false));
        assert_eq!(of(0o755), (false, 0o600, true));
        assert_eq!(of(0o750), (false, 0o600, true));
        assert_eq!(of(0o2770), (true, 0o660, false));
        assert_eq!(of(0o2775), (true, 0o660, true));
    }

    #[test]
    fn members_of_groups_are_read_from_their_file() {
        let text = "root:x:0:\nir:x:900:ana,bob\nbad line\nold:x:901:eve\n";
        assert!(is_member(text, 900, "bob") && !is_member(text, 900, "eve") && !is_member(text, 7, "ana"));
    }
}
