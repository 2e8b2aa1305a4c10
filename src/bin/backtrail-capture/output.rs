//! Standard output: pcapng in memory until the reader takes it.

use super::Failure;
use backtrail::model::Time;
use backtrail::sources::write::{Described, PcapNg, Statistics};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Size of a pipe that is asked for: what a reader may be late by before the kernel's buffer is needed.
const PIPE: usize = 1 << 20;
/// How long a reader that does not read is waited for once the end is wanted.
const PATIENCE: Duration = Duration::from_secs(2);

/// How writing went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// All of it is with the reader.
    All,
    /// There is no reader any more.
    ReaderGone,
}

/// Standard output.
pub struct Output {
    file: PcapNg<Vec<u8>>,
    interface: u32,
    packets: u64,
    /// It is a pipe: writing never blocks, so that a reader that is late is noticed.
    pipe: bool,
}

impl Output {
    /// Begins the stream.
    pub fn begin(about: &Described, name: &str) -> Result<Output, Failure> {
        let failed = |e: std::io::Error| Failure::new(format!("the stream cannot begin: {e}"), "");
        let comment = format!("live capture of {name}");
        let mut file = PcapNg::begin(Vec::with_capacity(PIPE), &comment).map_err(failed)?;
        let interface = file.describe(about).map_err(failed)?;
        let stdout = std::io::stdout();
        let pipe = fstat(&stdout).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Fifo);
        if pipe {
            // A smaller pipe does too.
            let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE);
            if let Ok(flags) = fcntl_getfl(&stdout) {
                let _ = fcntl_setfl(&stdout, flags | OFlags::NONBLOCK);
            }
        }
        Ok(Output { file, interface, packets: 0, pipe })
    }
    /// Packets that were taken.
    pub fn packets(&self) -> u64 {
        self.packets
    }
    /// Takes a packet.
    pub fn packet(&mut self, time: Time, data: &[u8], wire_len: u32) {
        // Memory does not fail.
        let _ = self.file.packet_of(self.interface, time, data, wire_len, None);
        self.packets += 1;
    }
    /// Takes statistics.
    pub fn statistics(&mut self, counted: &Statistics) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Time(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        let _ = self.file.statistics(self.interface, now, counted);
    }
    /// Writes all that was taken; `late` is called once if the reader has to be waited for.
    pub fn write(&mut self, stop: &dyn Fn() -> bool, late: &mut dyn FnMut() -> Result<(), Failure>) -> Result<Wrote, Failure> {
        let stdout = std::io::stdout();
        let bytes = self.file.out();
        let (mut at, mut waited) = (0, false);
        let mut until = None;
        while at < bytes.len() {
            match rustix::io::write(&stdout, &bytes[at..]) {
                Ok(n) => at += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !waited {
                        late()?;
                        waited = true;
                    }
                    if stop() && *until.get_or_insert_with(|| Instant::now() + PATIENCE) <= Instant::now() {
                        break;
                    }
                    ready(&mut [PollFd::new(&stdout, PollFlags::OUT)], Duration::from_millis(100));
                }
                Err(Errno::PIPE) => return Ok(Wrote::ReaderGone),
                Err(e) => return Err(Failure::new(format!("standard output cannot be written: {e}"), "is there room?")),
            }
        }
        bytes.clear();
        Ok(Wrote::All)
    }
    /// Waits for packets, at most so long.
    pub fn wait(&self, packets: &impl AsFd, at_most: Duration) -> Wrote {
        let stdout = std::io::stdout();
        let mut of = [PollFd::new(packets, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
        ready(&mut of, at_most);
        // A pipe without a reader is an error of the pipe.
        if self.pipe && of[1].revents().contains(PollFlags::ERR) { Wrote::ReaderGone } else { Wrote::All }
    }
}

/// Waits until one is ready or the time is over; what fails (a signal) is over at once.
fn ready(of: &mut [PollFd<'_>], at_most: Duration) {
    let time = Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
    let _ = poll(of, Some(&time));
}
