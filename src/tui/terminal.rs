//! The terminal: what it can show, and how it is taken over and given back. Knows no pane and no key.
//!
//! Colours: `NO_COLOR` (no-color.org), `CLICOLOR_FORCE` (bixense.com/clicolors), `COLORTERM`, `TERM`. Frames are one write each, wrapped in
//! DEC private mode 2026 (synchronized update), so that a slow line never shows half a frame.

use super::frame::shorten;
use super::glyphs;
pub use super::glyphs::{Charset, Glyphs};
use super::out::Out;
use super::scroll;
use crate::case::handing::Handed;
use crate::error::{Error, Result};
use crossterm::{cursor, event, execute, queue, style, terminal};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::{Frame, Terminal};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: only bold, underline, reverse.
    None,
    /// The 16 of the terminal's own palette.
    Ansi16,
    /// xterm's 256.
    Ansi256,
    /// 24 bits.
    True,
}

impl Depth {
    /// What this terminal shows.
    pub fn detect() -> Depth {
        Depth::of(&|name| std::env::var(name).ok()).unwrap_or_else(|| match supports_color::on(supports_color::Stream::Stdout) {
            Some(level) if level.has_16m => Depth::True,
            Some(level) if level.has_256 => Depth::Ansi256,
            Some(_) => Depth::Ansi16,
            None => Depth::None,
        })
    }
    /// What the environment says; none: it says nothing clear.
    fn of(env: &dyn Fn(&str) -> Option<String>) -> Option<Depth> {
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let forced = set("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let term = set("TERM").unwrap_or_default();
        if !forced && (set("NO_COLOR").is_some() || term == "dumb") {
            return Some(Depth::None);
        }
        let bright = set("COLORTERM").is_some_and(|v| v == "truecolor" || v == "24bit");
        // screen before 5 passes COLORTERM on from outside but garbles 24-bit colours.
        if set("STY").is_some() {
            return Some(if term.contains("256color") { Depth::Ansi256 } else { Depth::Ansi16 });
        }
        match term.as_str() {
            "linux" | "vt220" | "ansi" | "cons25" => Some(Depth::Ansi16),
            _ if bright || term.ends_with("-direct") => Some(Depth::True),
            "xterm-kitty" | "xterm-ghostty" | "alacritty" | "foot" | "wezterm" => Some(Depth::True),
            t if t.contains("256color") => Some(Depth::Ansi256),
            "" if !forced => None,
            "xterm" | "screen" | "tmux" | "rxvt" => Some(Depth::Ansi16),
            _ if forced => Some(Depth::Ansi16),
            _ => None,
        }
    }
}

/// Which characters this terminal shows: by `LC_ALL`, `LC_CTYPE`, `LANG` and `TERM`.
pub fn charset() -> Charset {
    charset_of(&|name| std::env::var(name).ok())
}

fn charset_of(env: &dyn Fn(&str) -> Option<String>) -> Charset {
    let set = |name: &str| env(name).filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default().to_ascii_lowercase();
    if !locale.contains("utf-8") && !locale.contains("utf8") {
        return Charset::Ascii;
    }
    match set("TERM").as_deref() {
        Some("linux") => Charset::Console,
        Some("dumb") => Charset::Ascii,
        _ => Charset::Unicode,
    }
}

/// What was found out about this terminal, for `doctor`: what, found, what to do about it (empty: nothing).
pub fn report() -> Vec<(String, String, String)> {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let row = |what: &str, found: &str, advice: &str| (what.to_owned(), found.to_owned(), advice.to_owned());
    let (colours, advice) = match Depth::detect() {
        Depth::True => ("24 bits", ""),
        Depth::Ansi256 => ("256", ""),
        Depth::Ansi16 => ("16", "where the terminal has more: TERM=xterm-256color, COLORTERM=truecolor"),
        Depth::None => ("none", "NO_COLOR or TERM say so; the workbench then uses bold, underline and reverse"),
    };
    let mut out =
        vec![row("terminal", &set("TERM").unwrap_or_else(|| "TERM is not set".into()), ""), row("colours", colours, advice)];
    out.push(match charset() {
        Charset::Unicode => row("characters", "UTF-8", ""),
        Charset::Console => row("characters", "UTF-8, signs of the Linux console", ""),
        Charset::Ascii => row("characters", "ASCII", "set LC_ALL=C.UTF-8 for plots and borders"),
    });
    out.push(match super::event::size() {
        Some((columns, rows)) if columns < 80 || rows < 24 => {
            row("size", &format!("{columns}x{rows}"), "the workbench needs 80x24, and is made for 120x40")
        }
        Some((columns, rows)) => row("size", &format!("{columns}x{rows}"), ""),
        None => row("size", "not a terminal", "run the workbench in a terminal; every screen has a command that needs none"),
    });
    let clipboard = match (set("TMUX"), set("STY"), set("TERM").as_deref() == Some("linux")) {
        (Some(_), ..) => row("clipboard", "through tmux", "needs tmux 3.2 and `set -g set-clipboard on`"),
        (_, Some(_), _) => row("clipboard", "through screen, by OSC 52", "the terminal outside must allow OSC 52"),
        (_, _, true) => row("clipboard", "none", "export to a file instead"),
        _ => row("clipboard", "by OSC 52", "the terminal must allow OSC 52; it does not confirm"),
    };
    out.push(clipboard);
    out.push(row("escape", &format!("{} ms", super::settings::escape_ms(None)), ""));
    out
}

/// Bytes of the frame that is being drawn; written at once when it is whole.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<Vec<u8>>>);

impl Pending {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long a terminal may take nothing before it is left without being cleaned.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes that may wait for the terminal before copies are refused.
const WAITING_MAX: usize = 1 << 20;

static TAKEN: AtomicBool = AtomicBool::new(false);
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// The screen while the workbench has it. Given back when it is dropped, on a panic, on suspend.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Pending>>,
    pending: Pending,
    depth: Depth,
    charset: Charset,
    entered: bool,
    out: Out,
    /// The last frame left the cursor hidden.
    hidden: bool,
    /// What the terminal shows; none: not known.
    shown: Option<Buffer>,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, bracketed paste, no cursor, no mouse reporting.
    pub fn enter(depth: Depth, charset: Charset) -> Result<Screen> {
        HOOK.call_once(install_hook);
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
        style::force_color_output(depth != Depth::None);
        let pending = Pending::default();
        let terminal = Terminal::new(CrosstermBackend::new(pending.clone())).map_err(refused)?;
        let out = Out::start().map_err(refused)?;
        let mut screen = Screen { terminal, pending, depth, charset, entered: false, out, hidden: false, shown: None };
        screen.take()?;
        Ok(screen)
    }
    fn take(&mut self) -> Result<()> {
        terminal::enable_raw_mode().map_err(refused)?;
        TAKEN.store(true, Ordering::SeqCst);
        self.entered = true;
        self.hidden = false;
        let mut bytes = Vec::new();
        // The Linux console has no second screen: without the erasure what stood there would show between the cells that are drawn.
        let all = terminal::Clear(terminal::ClearType::All);
        queue!(bytes, terminal::EnterAlternateScreen, all, event::EnableBracketedPaste, cursor::Hide).map_err(refused)?;
        self.out.send(bytes).map_err(refused)
    }
    /// Gives the terminal back. Doing it twice does nothing. A terminal that takes nothing is left as it is, but for its modes.
    pub fn leave(&mut self) {
        self.entered = false;
        if self.out.wait(PATIENCE) {
            restore();
        } else if TAKEN.swap(false, Ordering::SeqCst) {
            let _ = terminal::disable_raw_mode();
        }
    }
    /// Whether the last frame has gone out: only then the next one is drawn.
    pub fn is_free(&self) -> bool {
        self.out.waiting() == 0
    }
    /// A message comes here when something has gone out.
    pub fn freed(&self) -> &crossbeam_channel::Receiver<()> {
        self.out.free()
    }
    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |s| (s.width, s.height))
    }
    /// Draws one frame; only what changed goes out, in one write. Nothing goes out while the terminal is given back.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> Result<()> {
        if !self.entered {
            return Ok(());
        }
        // A panic of this thread that was caught elsewhere gave the terminal back.
        if !TAKEN.load(Ordering::SeqCst) {
            self.resume()?;
        }
        let charset = self.charset;
        let whole = |frame: &mut Frame| {
            draw(frame);
            glyphs::plain(frame.buffer_mut(), charset);
        };
        let after = self.terminal.draw(whole).map_err(refused)?.buffer.clone();
        let before = self.shown.replace(after.clone());
        let mut bytes = std::mem::take(&mut *self.pending.bytes());
        // Whatever is drawn is placed first (CUP); a frame without that only hides the cursor once more.
        let hides = memchr::memmem::rfind(&bytes, b"\x1b[?25l") > memchr::memmem::rfind(&bytes, b"\x1b[?25h");
        if bytes.is_empty() || self.hidden && hides && !places(&bytes) {
            return Ok(());
        }
        self.hidden = hides;
        let tail = memchr::memmem::rfind(&bytes, b"\x1b[?25").map_or_else(Vec::new, |at| bytes[at..].to_vec());
        bytes = shorten(&bytes, self.depth);
        if let Some(before) = before {
            bytes = scroll::shorter(bytes, &before, &after, &tail, self.depth).map_err(refused)?;
        }
        let mut frame = Vec::with_capacity(bytes.len() + 16);
        frame.extend_from_slice(b"\x1b[?2026h");
        frame.extend_from_slice(&bytes);
        frame.extend_from_slice(b"\x1b[?2026l");
        self.out.send(frame).map_err(refused)
    }
    /// Everything is drawn anew with the next frame, over the screen that `take` erases. Not by the drawing library's own `clear`: that asks
    /// the terminal for its cursor, and the answer would come among the keys.
    fn forget(&mut self) -> Result<()> {
        self.pending.bytes().clear();
        self.shown = None;
        self.terminal = Terminal::new(CrosstermBackend::new(self.pending.clone())).map_err(refused)?;
        Ok(())
    }
    /// Sends bytes past the frame: a copy sequence of `clipboard.rs`. False: the terminal takes nothing at the moment, and they are dropped.
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<bool> {
        if self.out.waiting() > WAITING_MAX {
            return Ok(false);
        }
        self.out.send(bytes).map_err(refused)?;
        Ok(true)
    }
    /// Ctrl-z: gives the terminal back, stops the process and those it runs with (`zcat x | backtrail`), takes the terminal again
    /// when continued. False: there is no shell to come back to, and nothing was done.
    pub fn suspend(&mut self) -> Result<bool> {
        // The group of a session's leader has no shell with job control above it: stopped, it would never go on.
        if rustix::process::getsid(None).is_ok_and(|session| session == rustix::process::getpgrp()) {
            return Ok(false);
        }
        self.leave();
        let stopped = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
        // The stop reaches the other threads first; not to take the terminal before it reaches this one.
        std::thread::sleep(Duration::from_millis(30));
        self.resume()?;
        Ok(stopped.is_ok())
    }
    /// Lends the terminal to a program until it ends; keys go to it alone. One that has windows of its own is only started. What is said
    /// afterwards, or why it did not run.
    pub fn lend(&mut self, path: &Path, handed: &Handed) -> Result<std::result::Result<String, Error>> {
        let name = handed.program.name;
        let mut command = Command::new(path);
        command.args(&handed.arguments);
        if handed.program.windows {
            let quiet = || Stdio::null();
            let started = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
            return Ok(match started {
                Ok(mut child) => {
                    // Somebody has to take note of its end.
                    std::thread::spawn(move || child.wait());
                    Ok(format!("{name} is started"))
                }
                Err(e) => Err(Error::io("cannot run", path, &e)),
            });
        }
        let _lent = super::event::Lent::new();
        self.leave();
        let ended = command.status();
        if ended.is_ok() && handed.program.ends {
            // What it printed would be gone with the next frame.
            wait_for_enter();
        }
        self.resume()?;
        // It was cut for this program only.
        let _ = std::fs::remove_file(&handed.file);
        Ok(match ended {
            Ok(status) if status.success() => Ok(format!("{name} ended")),
            Ok(status) => Err(Error::input(format!("{name} ended with {status}"))),
            Err(e) => Err(Error::io("cannot run", path, &e)),
        })
    }
    /// Running again: the shell may have set the terminal's modes as it likes them. Everything is drawn anew.
    pub fn resume(&mut self) -> Result<()> {
        // Leaving raw mode first: it is otherwise believed to be on and not set again.
        let _ = terminal::disable_raw_mode();
        self.forget()?;
        self.take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Panics of other threads since the last call, as one line each: they must not write over the screen, so they are kept here.
pub fn background_panics() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits for a line on the terminal.
fn wait_for_enter() {
    let Ok(mut tty) = std::fs::File::options().read(true).write(true).open("/dev/tty") else { return };
    let _ = tty.write_all(b"\n-- Enter goes back --");
    let mut byte = [0u8];
    while tty.read(&mut byte).is_ok_and(|n| n > 0) && byte != *b"\n" {}
}

fn refused(e: io::Error) -> Error {
    Error::input(format!("the terminal refuses: {e}"))
        .hint("run it in a terminal, or use the commands that need none (backtrail --help)")
}

fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = out.write_all(b"\x1b[?2026l\x1b[0m");
        let all = terminal::Clear(terminal::ClearType::All);
        // Erased here too, for a terminal without a second screen: the shell goes on at its top.
        let top = cursor::MoveTo(0, 0);
        let _ = execute!(out, event::DisableBracketedPaste, all, top, terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if crate::model::guard::is_quiet() {
            return;
        }
        let owner = *OWNER.lock().unwrap_or_else(PoisonError::into_inner);
        if TAKEN.load(Ordering::SeqCst) && owner != Some(std::thread::current().id()) {
            let line = info.to_string().replace('\n', " ");
            let mut kept = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < 100 {
                kept.push(line);
            }
            return;
        }
        restore();
        before(info);
    }));
}

/// Whether a cursor position is among the sequences.
fn places(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, b"\x1b[").any(|at| {
        let rest = &bytes[at + 2..];
        rest.iter().find(|b| !b.is_ascii_digit() && **b != b';') == Some(&b'H')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(pairs: &[(&str, &str)]) -> Option<Depth> {
        Depth::of(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_says_how_many_colours() {
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Some(Depth::True));
        assert_eq!(depth(&[("TERM", "xterm-256color")]), Some(Depth::Ansi256));
        assert_eq!(depth(&[("TERM", "linux"), ("COLORTERM", "truecolor")]), Some(Depth::Ansi16));
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Some(Depth::None));
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), Some(Depth::Ansi256));
        assert_eq!(depth(&[("TERM", "xterm"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), Some(Depth::Ansi16));
        assert_eq!(depth(&[("TERM", "dumb")]), Some(Depth::None));
        assert_eq!(depth(&[("TERM", "screen"), ("STY", "1"), ("COLORTERM", "truecolor")]), Some(Depth::Ansi16));
        assert_eq!(depth(&[]), None);
    }

    #[test]
    fn the_locale_says_which_characters() {
        let of = |pairs: &[(&str, &str)]| charset_of(&|n| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned()));
        assert_eq!(of(&[("LANG", "en_US.UTF-8")]), Charset::Unicode);
        assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]), Charset::Ascii);
        assert_eq!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]), Charset::Unicode);
        assert_eq!(of(&[("LANG", "C.UTF-8"), ("TERM", "linux")]), Charset::Console);
        assert_eq!(of(&[]), Charset::Ascii);
    }

    #[test]
    fn a_frame_that_draws_nothing_is_known() {
        assert!(!places(b"\x1b[39m\x1b[49m\x1b[0m\x1b[?25l"));
        assert!(places(b"\x1b[3;14Hx\x1b[0m\x1b[?25l"));
    }
}
