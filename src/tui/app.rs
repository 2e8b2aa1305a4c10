//! The app: what there is on the screen and what happens to it. Drivable without a terminal: events in, frames out.
//!
//! `handle` takes one event; commands (in `commands/`) change the app; panes push effects, which `apply` carries out; walking is in `go`;
//! drawing is in `screen`.

use super::effect::{Cx, Effect};
use super::event::InputEvent;
use super::glyphs::Glyphs;
use super::jobs::{Answer, Jobs};
use super::key::Key;
use super::keymap::{Keymap, Lookup};
use super::live::Running;
use super::looks::Looks;
use super::marks::Marks;
use super::options::Options;
use super::overlay::Overlay;
use super::panes::card::Card;
use super::panes::detail::Detail;
use super::panes::rows::Rows;
use super::panes::timeline::Timeline;
use super::panes::{Change, Handled, Pane};
use super::split::Split;
use super::theme::Theme;
use super::times::Zone;
use super::walk::{RowPlace, Walk};
use super::widgets::prompt::History;
use super::writer::Writer;
use super::{commands, place};
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::pivots::Selection;
use crate::query::Engine;
use crate::query::engine::Count;
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the loop gets: closed, so that one sees everything that makes the app do something.
pub enum Event {
    /// A key, a paste, a new size, a hangup.
    Input(InputEvent),
    /// A piece of an answer from a worker or from the writing thread.
    Answer(Answer),
    /// The capture that runs has something new.
    Live,
    /// The process that holds the case has something new.
    News,
}

/// The message line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Something to know.
    Said(String),
    /// Something that went wrong.
    Failed(Error),
}

/// The parts of the workbench that can have the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The lens table.
    Rows,
    /// The detail.
    Detail,
    /// The focus card.
    Card,
}

/// What the terminal is to do besides showing frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Send these bytes past the frame (a copy sequence).
    Send(Vec<u8>),
    /// Hand the terminal to the shell.
    Suspend,
    /// Lend the terminal to a program, or start one that has windows of its own.
    Run(std::path::PathBuf, crate::case::handing::Handed),
    /// Draw everything anew.
    Redraw,
}

/// The name under which the app's own jobs run.
pub const APP: &str = "app";

/// The workbench.
pub struct App {
    /// The case.
    pub(super) engine: Arc<dyn Engine>,
    /// What people entered.
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) options: Options,
    pub(super) jobs: Jobs,
    answers: Receiver<Answer>,
    pub(super) writer: Writer,
    pub(super) walk: Walk,
    /// The capture that runs in this process, if one does.
    pub(super) live: Running,
    pub(super) marks: Marks,
    pub(super) letters: BTreeMap<char, (u64, RowPlace)>,
    pub(super) rows: Rows,
    /// The rows of the other half, where there are two.
    pub(super) other: Rows,
    pub(super) split: Option<Split>,
    pub(super) detail: Detail,
    pub(super) card: Card,
    pub(super) timeline: Timeline,
    /// Panes over the body: the first may belong to the node (packets), others were opened.
    pub(super) opened: Vec<Box<dyn Pane>>,
    /// The first of `opened` belongs to the node and stays while it is the node's.
    pub(super) rooted: bool,
    /// A pane that one went on from, with the node that it stands over: it is there again on the way back. Last: it was never opened yet.
    pub(super) aside: Option<(u64, Box<dyn Pane>, bool)>,
    /// Home as it was left.
    pub(super) kept_home: Option<Box<dyn Pane>>,
    pub(super) part: Part,
    pub(super) zoomed: bool,
    pub(super) card_shown: bool,
    /// Columns, footers, sizes; what is hidden but the card.
    pub(super) looks: Looks,
    pub(super) overlay: Option<Overlay>,
    pub(super) pending: Vec<Key>,
    pub(super) awaiting: Option<&'static str>,
    pub(super) message: Option<Message>,
    /// What is said of something entered once the journal has it.
    pub(super) withheld: Option<String>,
    pub(super) counts: Vec<Option<Count>>,
    /// Rows of the lens that are put away, once counted.
    pub(super) hidden: Option<[u64; 2]>,
    /// What was entered in this session and can be taken back: sequence and name, the newest last.
    pub(super) entered: Vec<(u64, String)>,
    pub(super) zone: Zone,
    pub(super) keymap: Arc<Keymap>,
    pub(super) theme: Arc<Theme>,
    /// Panes to open again when the first frame is due: what they need, and their names.
    pub(super) reopen: Vec<(String, String)>,
    /// Text that was looked for last in a pane.
    pub(super) finding: Option<String>,
    pub(super) histories: BTreeMap<String, History>,
    pub(super) glyphs: Glyphs,
    pub(super) size: (u16, u16),
    pub(super) asks: Vec<Ask>,
    pub(super) beginning: bool,
    /// A node was entered and not drawn since.
    pub(super) turning: bool,
    quitting: bool,
    dirty: bool,
}

impl App {
    /// The workbench on a case, where this user left it.
    pub fn new(engine: Arc<dyn Engine>, keeper: Arc<dyn Keeper>, options: Options) -> Result<App> {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
        let (jobs, answers, sender) = Jobs::start(engine.clone(), keeper.clone(), threads)?;
        let writer = Writer::start(keeper.clone(), sender)?;
        let keymap = Arc::new(Keymap::load(&options.keymap, options.config.as_deref())?);
        let theme = Arc::new(Theme::load(&options.theme, options.config.as_deref(), options.depth)?);
        let mut app = App {
            rows: Rows::new(engine.clone()),
            other: Rows::new(engine.clone()),
            split: None,
            detail: Detail::new(engine.clone()),
            card: Card::default(),
            timeline: Timeline::default(),
            walk: Walk::begin(super::go::first_step()),
            engine,
            keeper,
            jobs,
            answers,
            writer,
            live: Running::new(options.live.clone()),
            marks: Marks::default(),
            letters: BTreeMap::new(),
            opened: Vec::new(),
            rooted: false,
            aside: None,
            kept_home: None,
            part: Part::Rows,
            zoomed: false,
            card_shown: true,
            looks: Looks::default(),
            overlay: None,
            pending: Vec::new(),
            awaiting: None,
            message: options.notice.clone().map(Message::Failed),
            withheld: None,
            counts: Vec::new(),
            hidden: None,
            entered: Vec::new(),
            zone: options.zone,
            keymap,
            theme,
            reopen: Vec::new(),
            finding: None,
            histories: BTreeMap::new(),
            glyphs: Glyphs::new(options.charset),
            size: (80, 24),
            asks: Vec::new(),
            beginning: true,
            turning: true,
            quitting: false,
            dirty: true,
            options,
        };
        app.marks.read(&app.keeper.decisions());
        app.walk.here_mut().step.window = app.first_window();
        app.first_looks();
        if let Some(text) = app.keeper.place() {
            place::restore(&mut app, &text);
        }
        app.enter();
        app.show_beside();
        place::reopen(&mut app);
        Ok(app)
    }
    /// Takes one event.
    pub fn handle(&mut self, event: Event) {
        let before = self.writer.appended();
        match event {
            Event::Input(InputEvent::Key(key)) => self.key(key),
            Event::Input(InputEvent::Paste(text)) => self.paste(&text),
            Event::Input(InputEvent::Resize(width, height)) => {
                self.size = (width, height);
                self.dirty = true;
                self.tell(Change::Looks);
            }
            Event::Input(InputEvent::Hangup) => self.quit(),
            Event::Input(InputEvent::Suspend) => self.hand_over(Ask::Suspend),
            Event::Input(InputEvent::Continue) => self.hand_over(Ask::Redraw),
            Event::Answer(answer) => self.take(answer),
            Event::Live => self.live_changed(),
            Event::News => self.news(),
        }
        self.withhold(before);
        self.follow();
    }
    /// Something is done with the terminal; after it everything is to be drawn.
    fn hand_over(&mut self, ask: Ask) {
        self.asks.push(ask);
        self.dirty = true;
    }
    /// The channel by which answers come: the loop hands them back as [`Event::Answer`].
    pub fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }
    /// Whether something has changed since the last frame.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }
    /// The frame is drawn.
    pub(super) fn drawn(&mut self) {
        self.dirty = false;
        self.turning = false;
    }
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }
    /// Whether the first rows of a question, or that something is written, are still awaited: a frame can wait a moment for them.
    pub fn expects_rows(&self) -> bool {
        let main = [("rows", "rows"), (APP, "counts"), ("timeline", "timeline"), ("card", "card")];
        self.withheld.is_some() || self.turning && main.iter().any(|(pane, slot)| self.jobs.asks(pane, slot))
    }
    /// Saves the place and waits until it is on disk.
    pub(super) fn save_now(&mut self) {
        self.save();
        self.writer.flush(Duration::from_secs(2));
    }
    /// Whether it is to end.
    pub fn is_over(&self) -> bool {
        self.quitting
    }
    /// What the terminal is to do besides the frame.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }
    /// Ends: everything entered is on disk when this returns.
    pub fn close(&mut self) {
        self.write_changed_node();
        self.save();
        self.writer.flush(Duration::from_secs(5));
    }
    /// Handles answers until no job is running and everything is written, at most for half a minute; for tests and scripts. False: it did not settle.
    pub fn settle(&mut self) -> bool {
        let limit = Instant::now() + Duration::from_secs(30);
        while self.jobs.busy() || self.writer.busy() || !self.answers.is_empty() {
            let left = limit.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(answer) => self.handle(Event::Answer(answer)),
                Err(_) => return false,
            }
        }
        self.writer.flush(Duration::from_secs(10))
    }
    pub(super) fn quit(&mut self) {
        self.quitting = true;
    }

    fn key(&mut self, key: Key) {
        self.dirty = true;
        self.message = None;
        self.beginning = false;
        if let Some(command) = self.awaiting.take() {
            match key.typed() {
                Some(letter) if letter != ' ' => self.run_line(&format!("{command} {letter}")),
                _ => self.say("given up"),
            }
            return;
        }
        self.pending.push(key);
        let scope = self.scope();
        match self.keymap.lookup(scope, &self.pending) {
            Lookup::Command(line) => {
                self.pending.clear();
                self.run_line(&line);
            }
            Lookup::Pending(next) => self.say_what_follows(&next),
            Lookup::None => {
                let alone = self.pending.len() == 1;
                self.pending.clear();
                if let Some(c) = key.typed().filter(|_| alone && self.overlay.is_some()) {
                    self.typed(c.encode_utf8(&mut [0; 4]));
                } else if !alone {
                    self.say("given up");
                } else if self.overlay.is_none() {
                    let help = self.keymap.key_in(scope, "help");
                    self.say(format!("{key} does nothing here; {help} shows what does"));
                }
            }
        }
    }
    fn paste(&mut self, text: &str) {
        self.dirty = true;
        if self.sweep_pasted(text) {
            return;
        }
        // Pasted text is never keys: without a place to type it is offered to the finder, one line of it.
        if self.overlay.is_none() {
            self.run_line("finder");
        }
        self.typed(text);
    }
    /// The scope in which keys are looked up.
    pub(super) fn scope(&self) -> &'static str {
        match (&self.overlay, self.opened.last(), self.part) {
            (Some(overlay), ..) => overlay.scope(),
            (None, Some(pane), _) => pane.name(),
            (None, None, Part::Rows) => "rows",
            (None, None, Part::Detail) => "detail",
            (None, None, Part::Card) => "card",
        }
    }
    /// Runs a command line: the overlay, else the pane that has the cursor, else the app.
    pub(super) fn run_line(&mut self, line: &str) {
        if let Err(err) = self.try_line(line) {
            self.fail(err);
        }
    }
    pub(super) fn try_line(&mut self, line: &str) -> Result<()> {
        self.dirty = true;
        let line = line.strip_prefix(':').unwrap_or(line).trim_start();
        let (name, args) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if name.is_empty() {
            return Ok(());
        }
        if self.overlay.is_some() && self.overlay_command(name)? {
            return Ok(());
        }
        if self.pane_command(name, args)? == Handled::Yes {
            return Ok(());
        }
        match commands::find(name) {
            Some(command) => (command.run)(self, args.trim()),
            None => {
                let known = commands::all().map(|c| c.name);
                let mut err = Error::user(format!("no command is called {name}"));
                if let Some(near) = crate::error::nearest(name, known) {
                    err = err.hint(near);
                }
                Err(err)
            }
        }
    }
    fn pane_command(&mut self, name: &str, args: &str) -> Result<Handled> {
        self.with_pane(args, |pane, cx| pane.run(name, cx))
    }
    /// Does something with the pane that has the cursor and carries out what it wants.
    pub(super) fn with_pane<T>(&mut self, args: &str, act: impl FnOnce(&mut dyn Pane, &mut Cx) -> Result<T>) -> Result<T> {
        let selection = self.selection();
        let pane: &mut dyn Pane = match (self.opened.last_mut(), self.part) {
            (Some(pane), _) => &mut **pane,
            (None, Part::Rows) => &mut self.rows,
            (None, Part::Detail) => &mut self.detail,
            (None, Part::Card) => &mut self.card,
        };
        let mut cx = Cx {
            engine: &self.engine,
            keeper: &self.keeper,
            args: args.trim(),
            zone: self.zone,
            selection,
            pane: pane.name(),
            effects: Vec::new(),
        };
        let out = act(pane, &mut cx);
        let effects = cx.effects;
        self.apply_all(effects);
        out
    }
    /// Does something with a part of the workbench by its own type.
    pub(super) fn with<T, P>(
        &mut self,
        part: fn(&mut App) -> &mut P,
        name: &'static str,
        act: impl FnOnce(&mut P, &mut Cx) -> T,
    ) -> T {
        let (engine, keeper) = (self.engine.clone(), self.keeper.clone());
        let mut cx = Cx {
            engine: &engine,
            keeper: &keeper,
            args: "",
            zone: self.zone,
            selection: Selection::default(),
            pane: name,
            effects: Vec::new(),
        };
        let out = act(part(self), &mut cx);
        let effects = cx.effects;
        self.apply_all(effects);
        out
    }
    /// What the cursor is on.
    pub(super) fn selection(&self) -> Selection {
        let mut selection = match (self.opened.last(), self.part) {
            (Some(pane), _) => pane.selected(),
            (None, Part::Rows) => self.rows.selected(),
            (None, Part::Detail) => self.detail.selected(),
            (None, Part::Card) => self.card.selected(),
        };
        selection.window = selection.window.or(Some(self.window()));
        selection
    }
    /// Tells every pane that something has changed.
    pub(super) fn tell(&mut self, change: Change) {
        let (engine, keeper) = (self.engine.clone(), self.keeper.clone());
        let window = Some(self.window());
        let mut effects: Vec<Effect> = Vec::new();
        for pane in &mut self.opened {
            let mut cx = Cx {
                engine: &engine,
                keeper: &keeper,
                args: "",
                zone: self.zone,
                selection: Selection { window, ..Selection::default() },
                pane: pane.name(),
                effects: Vec::new(),
            };
            if let Err(err) = pane.changed(change, &mut cx) {
                effects.push(Effect::Fail(err));
            }
            effects.append(&mut cx.effects);
        }
        self.apply_all(effects);
    }
    /// After every event: the detail follows the cursor, the place is remembered.
    fn follow(&mut self) {
        self.end_following();
        let record = self.rows.record().cloned();
        let raw = self.part == Part::Detail || self.zoomed;
        if self.opened.is_empty() && !self.quitting {
            self.with(|app| &mut app.rows, super::joins::NAME, |rows, cx| rows.look(cx));
            if self.split.is_some() {
                self.with(|app| &mut app.other, super::split::NAME, |rows, cx| rows.look(cx));
            }
        }
        let joined = record.as_ref().and_then(|r| self.rows.joined_of(r.id)).cloned();
        self.with(|app| &mut app.detail, "detail", |detail, cx| detail.show(record.as_ref(), joined, raw, cx));
        self.save();
    }
    pub(super) fn save(&mut self) {
        let place = self.place();
        self.walk.here_mut().set_place(place);
        let text = place::text(self);
        self.writer.place(text);
    }
}
