//! What goes to the terminal goes through a thread of its own: a terminal that takes nothing (Ctrl-s, a dead link, a stopped multiplexer)
//! holds up neither the loop nor what is to be saved. The loop draws a frame only when the one before has gone out, so at most one waits.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustix::fd::{AsFd, BorrowedFd};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The terminal's end that is written to.
pub struct Out {
    queue: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    free: Receiver<()>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl Out {
    /// Starts the thread that writes to the standard output.
    pub fn start() -> io::Result<Out> {
        Out::over(|bytes| write_all(io::stdout().as_fd(), bytes))
    }
    fn over(write: impl Fn(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<Out> {
        let (queue, todo) = unbounded::<Vec<u8>>();
        let (tell, free) = bounded(1);
        let (waiting, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (left, why) = (waiting.clone(), failed.clone());
        std::thread::Builder::new().name("output".into()).spawn(move || {
            for bytes in todo {
                if let Err(err) = write(&bytes) {
                    *why.lock().unwrap_or_else(PoisonError::into_inner) = Some(err);
                }
                left.fetch_sub(bytes.len(), Ordering::SeqCst);
                // A message that is still there says the same.
                let _ = tell.try_send(());
            }
        })?;
        Ok(Out { queue, waiting, free, failed })
    }
    /// Gives bytes to the thread; the error is one of an earlier write.
    pub fn send(&self, bytes: Vec<u8>) -> io::Result<()> {
        if let Some(err) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(err);
        }
        self.waiting.fetch_add(bytes.len(), Ordering::SeqCst);
        self.queue.send(bytes).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
    /// Bytes that the terminal has not taken yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
    /// A message comes here each time that something has gone out.
    pub fn free(&self) -> &Receiver<()> {
        &self.free
    }
    /// Waits until everything has gone out, at most so long. False: the terminal takes nothing.
    pub fn wait(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        while self.waiting() > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.free.recv_timeout(left).is_err() && self.waiting() > 0 {
                return false;
            }
        }
        true
    }
}

/// Writes past the lock of the standard library's own standard output: a thread that hangs here must not hold that.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            // The shell may have left the terminal so that a write does not wait.
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_millis(10)),
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_takes_nothing_holds_nobody_up() {
        let (open, gate) = unbounded::<()>();
        let out = Out::over(move |_| {
            let _ = gate.recv();
            Ok(())
        })
        .unwrap();
        let begun = Instant::now();
        out.send(vec![b'x'; 100]).unwrap();
        assert_eq!(out.waiting(), 100);
        assert!(!out.wait(Duration::from_millis(20)));
        open.send(()).unwrap();
        assert!(out.wait(Duration::from_secs(60)));
        assert_eq!(out.waiting(), 0);
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn an_error_of_the_terminal_is_said_at_the_next_write() {
        let out = Out::over(|_| Err(io::Error::from(io::ErrorKind::BrokenPipe))).unwrap();
        out.send(b"x".to_vec()).unwrap();
        assert!(out.wait(Duration::from_secs(60)));
        assert!(out.send(b"y".to_vec()).is_err());
    }
}
