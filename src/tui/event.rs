//! What comes from the terminal: threads that read its bytes and the signals, and send keys, pastes and other events; while the terminal is
//! lent to another program they leave both to it. Knows no screen and no command.

pub use super::decode::{Decoder, InputEvent, PASTE_MAX};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether the terminal is lent, and whether the reading thread knows.
struct Gate {
    lent: bool,
    parked: bool,
    wake: Option<PipeWriter>,
}

static GATE: Mutex<Gate> = Mutex::new(Gate { lent: false, parked: false, wake: None });
static TURNED: Condvar = Condvar::new();

/// How long the reading thread may take to let go of the terminal.
const PATIENCE: Duration = Duration::from_secs(1);

fn gate() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, nothing is read from the terminal, and its keys that are signals are not for us.
pub struct Lent(());

impl Lent {
    /// Returns when nobody reads the terminal any more.
    #[allow(clippy::new_without_default)] // it does something
    pub fn new() -> Lent {
        let mut gate = gate();
        gate.lent = true;
        if let Some(wake) = &mut gate.wake {
            let _ = wake.write_all(b"x");
            let _ = TURNED.wait_timeout_while(gate, PATIENCE, |g| !g.parked);
        }
        Lent(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        gate().lent = false;
        TURNED.notify_all();
    }
}

/// Waits until the terminal has something to read, or is lent: then until it is ours again, and there is nothing to read.
fn readable(tty: &File, woken: &mut PipeReader) -> bool {
    let mut both = [PollFd::new(tty, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
    if poll(&mut both, None).is_err() {
        return false;
    }
    let [tty, lent] = both.map(|fd| !fd.revents().is_empty());
    if !lent {
        return tty;
    }
    let _ = woken.read(&mut [0; 16]);
    let mut gate = gate();
    gate.parked = true;
    TURNED.notify_all();
    while gate.lent {
        gate = TURNED.wait(gate).unwrap_or_else(PoisonError::into_inner);
    }
    gate.parked = false;
    false
}

/// Size of the terminal in columns and rows, if one can be asked.
pub fn size() -> Option<(u16, u16)> {
    let tty = tty().ok()?;
    let size = rustix::termios::tcgetwinsize(&tty).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

fn tty() -> std::io::Result<File> {
    File::open("/dev/tty").or_else(|_| File::open("/dev/stdin"))
}

/// Starts the threads that read the terminal (`/dev/tty`, so that standard input may be a capture) and the signals, and send what comes.
/// They end when the receiver is gone; nothing of them blocks the end of the process.
pub fn spawn_input(tx: Sender<InputEvent>, escape_ms: u64) -> std::io::Result<()> {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
    let mut signals = signal_hook::iterator::Signals::new([SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH])?;
    let mut tty = tty()?;
    let signal_tx = tx.clone();
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    thread("signals").spawn(move || {
        for signal in signals.forever() {
            // Ctrl-C and Ctrl-Z are meant for the program that has the terminal.
            if matches!(signal, SIGINT | SIGTSTP) && gate().lent {
                continue;
            }
            let event = match signal {
                SIGWINCH => match size() {
                    Some((columns, rows)) => InputEvent::Resize(columns, rows),
                    None => continue,
                },
                SIGTSTP => InputEvent::Suspend,
                SIGCONT => InputEvent::Continue,
                _ => InputEvent::Hangup,
            };
            if signal_tx.send(event).is_err() {
                return;
            }
        }
    })?;
    // Reading and deciding are two threads: so the wait for the rest of a sequence needs no poll.
    let (chunks, bytes) = bounded::<Vec<u8>>(64);
    let (mut woken, wake) = std::io::pipe()?;
    gate().wake = Some(wake);
    thread("terminal").spawn(move || {
        let mut buffer = [0u8; 4096];
        loop {
            if !readable(&tty, &mut woken) {
                continue;
            }
            match tty.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => {
                    if chunks.send(buffer[..n].to_vec()).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })?;
    thread("keys").spawn(move || {
        let mut decoder = Decoder::new(escape_ms);
        let mut out = Vec::new();
        loop {
            let got = match decoder.wait() {
                Some(wait) => bytes.recv_timeout(wait),
                None => bytes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match got {
                Ok(chunk) => decoder.feed(&chunk, &mut out),
                Err(RecvTimeoutError::Timeout) => decoder.timeout(&mut out),
                Err(RecvTimeoutError::Disconnected) => out.push(InputEvent::Hangup),
            }
            let ended = out.last() == Some(&InputEvent::Hangup);
            for event in out.drain(..) {
                if tx.send(event).is_err() {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    })?;
    Ok(())
}
