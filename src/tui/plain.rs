//! The workbench line by line, for screen readers, dumb terminals and scripts: a line is read, what changed is printed. Nothing is drawn at a
//! place, nothing is printed unasked, one part stands alone on its lines.
//!
//! A line is keys apart by blanks (`j j enter`), a command after a colon (`:focus 10.0.0.5`), the text that is asked for while something is
//! asked, or empty: everything once more. A key in angle brackets (`<esc>`) is a key everywhere.

use super::app::{App, Ask, Event};
use super::event::InputEvent;
use super::key::Key;
use super::options::Options;
use super::overlay::Overlay;
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::query::Engine;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

/// Characters of a line, few enough for one part to stand beside no other; and lines of a page.
const SIZE: (u16, u16) = (99, 60);
/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Frames, which say nothing when they are read aloud.
const FRAMES: &[char] = &['│', '─', '┌', '┐', '└', '┘', '├', '┤', '┬', '┴', '┼', '|', '+', '-', ' '];
/// Bars of a timeline.
const BARS: &[char] = &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Reads lines until the responder leaves or there are no more. `prompt`: says when it is one's turn.
pub fn run(
    engine: Arc<dyn Engine>,
    keeper: Arc<dyn Keeper>,
    options: Options,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    prompt: bool,
) -> Result<()> {
    let mut app = App::new(engine, keeper, Options { plain: true, ..options })?;
    app.zoomed = true;
    let mut reader = Reader { shown: Vec::new(), terminal: Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).map_err(internal)? };
    let ended = turn(&mut app, &mut reader, input, out, prompt);
    app.close();
    ended
}

fn internal(err: impl std::fmt::Display) -> Error {
    Error::internal(format!("lines cannot be made of the screen: {err}"))
}

/// What was printed last, and where the next is made.
struct Reader {
    shown: Vec<String>,
    terminal: Terminal<TestBackend>,
}

fn turn(app: &mut App, reader: &mut Reader, input: &mut dyn BufRead, out: &mut dyn Write, prompt: bool) -> Result<()> {
    let (live, news) = (app.live_changes(), app.news_changes());
    let wrote = |err: std::io::Error| match err.kind() {
        // Nobody reads on: that is an end like another.
        std::io::ErrorKind::BrokenPipe => Error::cancelled(),
        _ => Error::io("cannot write", Path::new("standard output"), &err),
    };
    let mut all = true;
    while !app.is_over() {
        let waited = app.settle();
        for ask in app.take_asks() {
            match ask {
                Ask::Send(bytes) if prompt => out.write_all(&bytes).map_err(wrote)?,
                Ask::Send(_) => app.say("not copied: this is no terminal"),
                Ask::Redraw => all = true,
                Ask::Suspend | Ask::Run(..) => app.say("not here: that needs the whole screen"),
            }
        }
        let lines = reader.look(app)?;
        let said = if all { lines.clone() } else { reader.news(&lines, app.glyphs.cursor) };
        reader.shown = lines;
        for line in said {
            writeln!(out, "{line}").map_err(wrote)?;
        }
        if !waited {
            writeln!(out, "still asking: an empty line looks again, <esc> gives up").map_err(wrote)?;
        }
        if prompt {
            write!(out, "{}> ", asked(app)).map_err(wrote)?;
        }
        out.flush().map_err(wrote)?;
        let Some(line) = read(input)? else { break };
        while news.try_recv().is_ok() {
            app.handle(Event::News);
        }
        while live.try_recv().is_ok() {
            app.handle(Event::Live);
        }
        all = line.trim().is_empty();
        if !all && let Err(err) = take(app, line.trim()) {
            app.fail(err);
        }
    }
    Ok(())
}

/// What is asked for, if a text is.
fn asked(app: &App) -> &'static str {
    match app.overlay {
        Some(Overlay::Prompt { .. }) => "text",
        Some(Overlay::Finder(_)) => "find",
        _ => "",
    }
}

/// A line without its end; none: there are no more. What is too long to be meant is refused.
fn read(input: &mut dyn BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = std::io::Read::take(input, MAX_LINE);
    let read = limited.read_until(b'\n', &mut bytes).map_err(|e| Error::io("cannot read", Path::new("standard input"), &e))?;
    if read as u64 == MAX_LINE {
        return Err(Error::input(format!("a line has more than {MAX_LINE} bytes")));
    }
    Ok((read > 0).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Does what a line says.
fn take(app: &mut App, line: &str) -> Result<()> {
    let bare = |word: &str| word.strip_prefix('<').and_then(|w| w.strip_suffix('>')).and_then(Key::parse);
    let press = |app: &mut App, key: Key| {
        app.handle(Event::Input(InputEvent::Key(key)));
        app.settle();
    };
    if let Some(key) = bare(line) {
        press(app, key);
        return Ok(());
    }
    match &app.overlay {
        Some(Overlay::Prompt { .. }) => {
            // What is offered there is replaced, not gone on with.
            app.overlay_command("end")?;
            app.overlay_command("clear")?;
            app.handle(Event::Input(InputEvent::Paste(line.to_owned())));
            app.settle();
            return app.overlay_command("accept").map(drop);
        }
        Some(Overlay::Finder(_)) if line.chars().nth(1).is_some() && Key::parse(line).is_none() => {
            app.handle(Event::Input(InputEvent::Paste(line.to_owned())));
            return Ok(());
        }
        _ => {}
    }
    if line.len() > 1 && line.starts_with(':') {
        app.run_line(line);
        return Ok(());
    }
    let keys: Vec<Key> = line
        .split_whitespace()
        .map(|word| {
            bare(word).or_else(|| Key::parse(word)).ok_or_else(|| {
                Error::user(format!("no key is called {word}"))
                    .hint("keys apart by blanks, as in `j j enter`; a command after a colon; ? lists the keys of this place")
            })
        })
        .collect::<Result<_>>()?;
    keys.into_iter().for_each(|key| press(app, key));
    Ok(())
}

impl Reader {
    /// What there is now, a line each: without frames, without empty lines.
    fn look(&mut self, app: &mut App) -> Result<Vec<String>> {
        self.terminal.draw(|frame| app.draw(frame)).map_err(internal)?;
        // What is asked for the rows in sight is known once it is seen which they are.
        if app.settle() {
            self.terminal.draw(|frame| app.draw(frame)).map_err(internal)?;
        }
        let buffer = self.terminal.backend().buffer();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).filter(|s| *s != "─").collect::<String>();
        let lines = (0..buffer.area.height).map(|y| line(y).trim_matches(|c| FRAMES.contains(&c)).to_owned());
        Ok(lines.filter(|l| !l.trim_matches(|c| FRAMES.contains(&c) || BARS.contains(&c)).is_empty()).collect())
    }
    /// What of the lines was not there before: all of them at another place. A row that only lost the cursor is no news.
    fn news(&self, lines: &[String], cursor: &str) -> Vec<String> {
        if lines.first() != self.shown.first() {
            return lines.to_vec();
        }
        let bare = |line: &str| line.strip_prefix(cursor).unwrap_or(line).trim().to_owned();
        let before: Vec<String> = self.shown.iter().map(|l| bare(l)).collect();
        let fresh = |l: &&String| !self.shown.contains(l) && (l.starts_with(cursor) || !before.contains(&bare(l)));
        lines.iter().filter(fresh).cloned().collect()
    }
}
