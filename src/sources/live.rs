//! Live interfaces: one capture program (`backtrail-capture`) a piece, which has the privilege that this one does not need, and its pcapng through a
//! pipe. What several of them send comes in the order in which it arrives. No child is left behind, whatever happens here.

use super::capture::{self, CaptureKind, Interface, Item};
use super::listen::{Listening, PREFIX};
use super::missed::Missed;
use super::packets::Packets;
use crate::error::{Error, Result};
use crate::model::Oddity;
use crate::model::packet::Packet;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the capture program.
pub const PROGRAM: &str = "backtrail-capture";
/// Packets and bytes of a batch, and how many batches may wait: bounds memory.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;
const WAITING: usize = 16;
/// How long an interface may take to open, a child to end once it was asked to, and one that ended to be gone.
const OPENING: Duration = Duration::from_secs(10);
const ENDING: Duration = Duration::from_secs(4);
const GONE: Duration = Duration::from_secs(1);
/// Bytes that are kept of what a child says on standard error.
const SAID: u64 = 16 << 10;

/// An interface to be captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name; `any`: all of them.
    pub interface: String,
    /// Filter in the language of libpcap, applied in the kernel; empty: none.
    pub filter: String,
    /// Longest part of a packet that is captured; none: all of it.
    pub snaplen: Option<u32>,
    /// Everything that passes, not only what is sent to this host.
    pub promiscuous: bool,
    /// MiB of the kernel's buffer; none: as the capture program has it.
    pub buffer: Option<u32>,
}

/// What a child sent. `usize`: which of the interfaces that were asked for.
#[derive(Debug)]
pub enum Said {
    /// How its stream describes the interface.
    Interface(usize, Interface),
    /// Packets.
    Packets(usize, Packets),
    /// What was received and dropped since it began; comes every second, and with it that all packets until then were sent.
    Counted(usize, Missed),
    /// Something malformed in the stream, with its offset.
    Oddity(usize, Oddity, u64),
    /// It ended.
    Ended(usize, Ending),
}

/// How a child ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// What went wrong: what, and what to do next.
    pub error: Option<Error>,
    /// What else it said: what of its confinement the kernel did not have.
    pub notes: Vec<String>,
}

/// Whether packets of one interface are enough to be handed over.
fn is_full(packets: &Packets) -> bool {
    packets.len() >= BATCH || packets.bytes() >= BATCH_BYTES
}

/// Where the capture program is: beside this one, else on the `PATH`.
pub fn find() -> Result<PathBuf> {
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent);
    // Tests run in a folder below that of the programs.
    let beside = [folder, folder.and_then(Path::parent).filter(|_| folder.is_some_and(|f| f.ends_with("deps")))];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).filter(|p| p.is_absolute());
    let places = beside.into_iter().flatten().map(Path::to_owned).chain(named);
    places.map(|place| place.join(PROGRAM)).find(|p| p.is_file()).ok_or_else(|| {
        Error::input(format!("the program that captures, {PROGRAM}, is neither beside this one nor on the PATH")).hint(
            "cargo build --release --features live (needs libpcap: apt install libpcap-dev) makes both; put them side by side",
        )
    })
}

/// Running captures.
pub struct Live {
    children: Vec<Running>,
    /// Ports that are listened to, where those were asked for instead of interfaces.
    ports: Vec<Listening>,
    from: Option<Receiver<Said>>,
    /// What came while others were still opening their interface.
    early: VecDeque<Said>,
}

struct Running {
    name: String,
    child: Child,
    reader: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
    ended: bool,
}

impl Live {
    /// Starts the program once for every interface, and waits until all of them are open. If one is not, none is left running.
    pub fn start(program: &Path, wanted: &[Wanted]) -> Result<Live> {
        let (to, from) = bounded(WAITING);
        let mut live = Live { children: Vec::new(), ports: Vec::new(), from: Some(from), early: VecDeque::new() };
        for (n, want) in wanted.iter().enumerate() {
            match want.interface.strip_prefix(PREFIX) {
                Some(at) if live.children.is_empty() => live.ports.push(Listening::start(at, want.buffer, n, to.clone())?),
                None if live.ports.is_empty() => live.children.push(spawn(program, want, n, to.clone())?),
                _ => return Err(Error::user("interfaces are captured and ports listened to by one command each")),
            }
        }
        drop(to);
        let until = Instant::now() + OPENING;
        let mut open = vec![false; wanted.len()];
        while open.contains(&false) {
            let said = live.receive(until.saturating_duration_since(Instant::now())).ok_or_else(|| {
                Error::input("an interface does not open").hint(format!("run {} -i IFACE by hand to see why", program.display()))
            })?;
            match said {
                Said::Interface(n, _) => open[n] = true,
                // One that was open may be over before the others are: that is for whoever takes what it had.
                Said::Ended(n, ending) if !open[n] => {
                    let error = ending.error.unwrap_or_else(|| Error::input("the capture ended before it began"));
                    let place = if error.place.is_empty() { wanted[n].interface.clone() } else { error.place.clone() };
                    return Err(error.at(place));
                }
                _ => {}
            }
            live.early.push_back(said);
        }
        Ok(live)
    }
    /// What comes next, within so long; none: nothing came, or all have ended.
    pub fn next(&mut self, within: Duration) -> Option<Said> {
        self.early.pop_front().or_else(|| self.receive(within))
    }
    fn receive(&mut self, within: Duration) -> Option<Said> {
        let said = match self.from.as_ref()?.recv_timeout(within) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                // Nobody sends any more; whoever asks again shall not spin.
                std::thread::sleep(within.min(Duration::from_millis(100)));
                return None;
            }
        };
        Some(match said {
            Said::Ended(n, ending) => match self.ports.get_mut(n) {
                Some(port) => {
                    port.ended = true;
                    Said::Ended(n, ending)
                }
                None => Said::Ended(n, self.children[n].reap(ending)),
            },
            said => said,
        })
    }
    /// Whether one of them goes on.
    pub fn is_running(&self) -> bool {
        !self.early.is_empty() || self.children.iter().any(|c| !c.ended) || self.ports.iter().any(|p| !p.ended)
    }
    /// Asks all of them to end; what they have is still to be taken, until each said [`Said::Ended`].
    pub fn stop(&self) {
        for child in self.children.iter().filter(|c| !c.ended) {
            let _ = kill_process(Pid::from_child(&child.child), Signal::TERM);
        }
        self.ports.iter().for_each(Listening::stop);
    }
    /// How long to wait for them after [`Live::stop`]; then they are killed when this is dropped.
    pub const fn patience() -> Duration {
        ENDING
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
        // Readers that wait for room end now, and with them the children's pipes.
        self.from = None;
        for child in &mut self.children {
            if !child.ended {
                child.gone(GONE);
            }
        }
        self.ports.iter_mut().for_each(Listening::gone);
    }
}

impl Running {
    /// Waits for a child whose stream ended.
    fn reap(&mut self, mut ending: Ending) -> Ending {
        let status = self.gone(GONE);
        self.ended = true;
        let said = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        let mut failed = None;
        for line in said.lines().map(str::trim).filter(|l| !l.is_empty()) {
            match (line.strip_prefix("note: "), line.strip_prefix("error: ")) {
                (Some(note), _) => ending.notes.push(note.to_owned()),
                (_, Some(error)) => failed = Some(error_of(error)),
                _ => ending.notes.push(line.to_owned()),
            }
        }
        let unexpected = || {
            let how = status.filter(|s| !s.success()).map(|s| Error::input(format!("the capture ended: {s}")));
            how.or_else(|| status.is_none().then(|| Error::input("the capture did not end and was killed")))
        };
        ending.error = failed.or_else(unexpected).or(ending.error).map(|e| e.at(self.name.clone()));
        ending
    }
    /// Waits so long, then kills it. None: it had to be killed.
    fn gone(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        let mut status = None;
        while status.is_none() && Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(ended)) => status = Some(ended),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => break,
            }
        }
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        status
    }
}

/// An error as the capture program says it.
fn error_of(line: &str) -> Error {
    match line.split_once(" -- try: ") {
        Some((what, next)) => Error::input(what).hint(next),
        None => Error::input(line),
    }
}

fn spawn(program: &Path, want: &Wanted, n: usize, to: Sender<Said>) -> Result<Running> {
    let mut command = Command::new(program);
    command.args(["-i", &want.interface]);
    if !want.filter.is_empty() {
        command.args(["-f", &want.filter]);
    }
    if let Some(snaplen) = want.snaplen {
        command.args(["-s", &snaplen.to_string()]);
    }
    if let Some(buffer) = want.buffer {
        command.args(["-b", &buffer.to_string()]);
    }
    if !want.promiscuous {
        command.arg("-p");
    }
    command.env_clear();
    // Who ran this one by sudo is who the capture program becomes.
    for name in ["SUDO_UID", "SUDO_GID"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // A group of its own: Ctrl-C on the terminal is for this program, which then ends it in order.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|e| Error::io("the capture program cannot be started", program, &e))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut running = Running { name: want.interface.clone(), child, reader: None, stderr: None, ended: false };
    let threads = || -> Option<_> {
        let (stdout, stderr) = (stdout?, stderr?);
        let reader = std::thread::Builder::new().name("capture".into()).spawn(move || read(stdout, n, &to)).ok()?;
        let stderr = std::thread::Builder::new().name("capture".into()).spawn(move || said(stderr)).ok();
        Some((reader, stderr))
    };
    match threads() {
        Some((reader, stderr)) => (running.reader, running.stderr) = (Some(reader), stderr),
        None => {
            running.gone(Duration::ZERO);
            return Err(Error::internal("a thread cannot be started"));
        }
    }
    Ok(running)
}

fn said(mut from: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = from.by_ref().take(SAID).read_to_end(&mut bytes);
    // What is beyond is read all the same, so that the child never waits for it.
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends on what waits before it is waited for more: nothing lies about while an interface is quiet.
struct Prompt<'a> {
    from: ChildStdout,
    send: &'a dyn Fn() -> bool,
}

impl Read for Prompt<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if (self.send)() { self.from.read(buf) } else { Ok(0) }
    }
}

fn read(from: ChildStdout, n: usize, to: &Sender<Said>) {
    let batch = RefCell::new(Packets::default());
    let send = || {
        let full = batch.replace(Packets::default());
        full.is_empty() || to.send(Said::Packets(n, full)).is_ok()
    };
    // What is no packet comes after the packets before it.
    let other = |said: Said| send() && to.send(said).is_ok();
    let mut from = Prompt { from, send: &send };
    let end = capture::read(CaptureKind::PcapNg, &mut from, &mut |item| match item {
        Item::Packet(packet) => {
            batch.borrow_mut().push(&Packet { interface: 0, ..packet });
            let full = is_full(&batch.borrow());
            !full || send()
        }
        Item::Interface(interface) => other(Said::Interface(n, interface.clone())),
        Item::Missed(missed) => other(Said::Counted(n, missed)),
        Item::Oddity(oddity, at) => other(Said::Oddity(n, oddity, at)),
        Item::Comment(..) | Item::Name(..) => true,
    });
    send();
    let error =
        end.damage.map(|(what, at)| Error::input(format!("the stream of the capture program is damaged at {at}: {what}")));
    let _ = to.send(Said::Ended(n, Ending { error, notes: Vec::new() }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use crate::model::packet::LinkType;
    use crate::sources::write::{Described, PcapNg, Statistics};
    use std::os::unix::fs::PermissionsExt;

    /// A program that stands for the one that captures.
    fn program(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("capture");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn stream(dir: &Path) -> PathBuf {
        let mut file = PcapNg::begin(Vec::new(), "").unwrap();
        let about = Described { name: "eth0".into(), filter: String::new(), link: LinkType::ETHERNET, snaplen: 0 };
        file.describe(&about).unwrap();
        for n in 0..5000u64 {
            file.packet_of(0, Time(n as i64), &[n as u8; 60], 60, None).unwrap();
        }
        file.statistics(0, Time(9), &Statistics { received: 5000, ..Statistics::default() }).unwrap();
        let path = dir.join("stream.pcapng");
        std::fs::write(&path, file.finish().unwrap()).unwrap();
        path
    }

    fn want(name: &str) -> Wanted {
        Wanted { interface: name.into(), filter: String::new(), snaplen: None, promiscuous: true, buffer: None }
    }

    fn all(live: &mut Live) -> (Vec<usize>, Vec<Ending>) {
        let (mut packets, mut endings) = (vec![0; 2], Vec::new());
        let until = Instant::now() + Duration::from_secs(20);
        while live.is_running() && Instant::now() < until {
            match live.next(Duration::from_millis(200)) {
                Some(Said::Packets(n, batch)) => {
                    assert!(batch.iter().all(|p| p.data == [p.time.0 as u8; 60] && p.number == p.time.0 as u64 + 1));
                    packets[n] += batch.len();
                }
                Some(Said::Counted(_, missed)) => assert_eq!(missed.received, Some(5000)),
                Some(Said::Ended(_, ending)) => endings.push(ending),
                _ => {}
            }
        }
        (packets, endings)
    }

    #[test]
    fn what_several_children_send_is_taken_to_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let program =
            program(dir.path(), &format!("echo 'note: no Landlock' >&2; exec /bin/cat {}", stream(dir.path()).display()));
        let mut live = Live::start(&program, &[want("a"), want("b")]).unwrap();
        let (packets, endings) = all(&mut live);
        assert_eq!(packets, [5000, 5000]);
        assert_eq!(endings, vec![Ending { error: None, notes: vec!["no Landlock".into()] }; 2]);
        assert!(!live.is_running() && live.next(Duration::from_millis(1)).is_none());
    }

    #[test]
    fn a_child_that_goes_on_is_ended_and_one_that_does_not_listen_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let stream = stream(dir.path());
        for (script, patience) in [("exec /bin/sleep 1000", 3), ("trap '' TERM; while :; do /bin/sleep 0.1; done", 5)] {
            let program = program(dir.path(), &format!("/bin/cat {}; {script}", stream.display()));
            let live = Live::start(&program, &[want("a")]).unwrap();
            let pid = Pid::from_child(&live.children[0].child);
            let begun = Instant::now();
            drop(live);
            assert!(begun.elapsed() < Duration::from_secs(patience), "{script}");
            // Waited for: no zombie that could still be sent a signal.
            assert!(rustix::process::test_kill_process(pid).is_err());
        }
    }

    #[test]
    fn what_a_child_cannot_do_is_said_and_none_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let program = program(dir.path(), "echo 'error: there is no interface `x` -- try: one of: lo' >&2; exit 1");
        let error = Live::start(&program, &[want("x")]).err().unwrap();
        assert_eq!(
            (error.what.as_str(), error.place.as_str(), error.hint.as_str()),
            ("there is no interface `x`", "x", "one of: lo")
        );
        let error = Live::start(&dir.path().join("none"), &[want("x")]).err().unwrap();
        assert!(error.what.contains("cannot be started"), "{error}");
    }

    #[test]
    fn a_stream_that_is_cut_or_killed_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let stream = stream(dir.path());
        let program = program(dir.path(), &format!("/bin/head -c 100001 {}; kill -9 $$", stream.display()));
        let mut live = Live::start(&program, &[want("a")]).unwrap();
        let (packets, endings) = all(&mut live);
        assert!((900..5000).contains(&packets[0]), "{packets:?}");
        assert!(endings[0].error.as_ref().unwrap().what.contains("signal"), "{endings:?}");
    }
}
