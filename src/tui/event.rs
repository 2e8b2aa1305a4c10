//! What comes from the terminal: threads that read its bytes and the signals, and send keys, pastes and other events. Knows no screen and no
//! command.

pub use super::decode::{Decoder, InputEvent, PASTE_MAX};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::fs::File;
use std::io::Read;

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
    thread("terminal").spawn(move || {
        let mut buffer = [0u8; 4096];
        loop {
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
