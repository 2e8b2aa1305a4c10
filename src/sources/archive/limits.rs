//! Limits of what one archive may cost. They are counted over everything that is unpacked of it, at any depth, and on what really comes out,
//! not on what the archive says.

use super::Refusal;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Archives inside archives that are opened.
pub const DEPTH: usize = 4;
/// How many times its own size an archive may unpack to, and how much more anything may. Logs reach 50, logs of one repeated line some hundreds.
pub const RATIO: u64 = 250;
/// Bytes that are unpacked whatever the ratio.
pub const GRACE: u64 = 256 << 20;
/// Members of one archive with all that is nested in it.
pub const MEMBERS: u64 = 200_000;

/// What is left of the limits of one archive.
#[derive(Clone)]
pub struct Budget {
    bytes: Rc<Cell<u64>>,
    members: Rc<Cell<u64>>,
    stop: Rc<dyn Fn() -> bool>,
}

impl Budget {
    /// For an archive of so many bytes as it lies there; `stop` is asked now and then.
    pub fn of(size: u64, stop: Rc<dyn Fn() -> bool>) -> Budget {
        Budget::with(most(size), MEMBERS, stop)
    }
    /// With limits of one's own.
    pub fn with(bytes: u64, members: u64, stop: Rc<dyn Fn() -> bool>) -> Budget {
        Budget { bytes: Rc::new(Cell::new(bytes)), members: Rc::new(Cell::new(members)), stop }
    }
    /// Takes so many unpacked bytes.
    pub fn spend(&self, n: u64) -> Result<(), Refusal> {
        let left = self.bytes.get();
        self.bytes.set(left.saturating_sub(n));
        if n > left {
            return Err(Refusal::Limit(bomb()));
        }
        if (self.stop)() { Err(Refusal::Stopped) } else { Ok(()) }
    }
    /// Takes one member. `Err`: why there may be no more.
    pub fn member(&self) -> Result<(), String> {
        let left = self.members.get();
        self.members.set(left.saturating_sub(1));
        if left == 0 {
            return Err(format!("more than {MEMBERS} members: those after it are not read; unpack it and ingest the folder"));
        }
        Ok(())
    }
    /// Members that there may still be.
    pub fn members_left(&self) -> u64 {
        self.members.get()
    }
    /// Whether nothing more may be unpacked.
    pub fn is_spent(&self) -> bool {
        self.bytes.get() == 0
    }
}

/// Bytes that something of this packed size may unpack to.
pub fn most(size: u64) -> u64 {
    size.saturating_mul(RATIO).saturating_add(GRACE)
}

/// Why a bomb is not unpacked, in words.
pub fn bomb() -> String {
    format!(
        "unpacks to more than {RATIO} times its size: refused as a zip bomb; if it is not one, unpack it and ingest the folder"
    )
}

/// A reader whose bytes are taken from a budget.
pub struct Metered<R> {
    from: R,
    budget: Budget,
    /// Bytes read.
    pub read: u64,
}

impl<R: Read> Metered<R> {
    /// Over a reader.
    pub fn new(from: R, budget: Budget) -> Metered<R> {
        Metered { from, budget, read: 0 }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.read += n as u64;
        match self.budget.spend(n as u64) {
            Ok(()) => Ok(n),
            Err(Refusal::Limit(why)) => Err(io::Error::other(why)),
            Err(_) => Err(io::Error::other("stopped")),
        }
    }
}
