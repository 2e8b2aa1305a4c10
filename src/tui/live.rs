//! A capture that runs while the workbench is open: what is shown grows with it, about once a second, without moving what one reads. Rows, counts
//! and timeline are asked for beside what the responder asks, and shown only where they are still wanted.

use super::app::{APP, App};
use super::lenses::Lens;
use super::load::Ask;
use super::panes::Change;
use super::times::{short_size, thousands};
use crate::case::home::first_window;
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::model::{LiveStatus, RecordId, Window};
use crossbeam_channel::Receiver;
use std::time::{Duration, Instant};

/// The slot of jobs that ask for what is shown as it is now.
pub const SLOT: &str = "live";
/// What is shown is asked for again at most so often.
const EVERY: Duration = Duration::from_millis(900);
/// Who asks to leave twice within this time means it.
const AGAIN: Duration = Duration::from_secs(30);
/// How long the end of the program waits for the end of the capture.
pub const LEAVING: Duration = Duration::from_secs(60);

/// The capture as the workbench knows it.
#[derive(Default)]
pub struct Running {
    handle: Option<Live>,
    /// How captures do that others run into the case.
    others: Option<LiveStatus>,
    following: bool,
    /// The row on which following put the cursor last.
    put: Option<RecordId>,
    /// Sequences of what was asked for last, and when.
    seen: Option<([u64; 2], Instant)>,
    /// What the status line says of it.
    said: LiveStatus,
    /// The responder wants to leave: once asked, then again.
    leaving: Leaving,
    over: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    #[default]
    No,
    Asked(Instant),
    Yes,
}

/// Bits of bytes, in short.
pub fn bits(bytes: u64) -> String {
    short_size(bytes.saturating_mul(8))
}

/// What the timeline of a lens counts.
pub fn unit(lens: &'static Lens) -> &'static str {
    if lens.name == "all" || lens.name == "logs" { "records" } else { lens.name }
}

impl Running {
    /// Of a capture, if one runs.
    pub fn new(handle: Option<Live>) -> Running {
        Running { handle, ..Running::default() }
    }
    /// Whether the newest rows are stood on.
    pub fn is_following(&self) -> bool {
        self.following
    }
    /// How it does; none: nothing runs.
    pub fn status(&self) -> Option<LiveStatus> {
        self.shown().cloned()
    }
    /// Of the capture that is shown: one's own, else that of others.
    fn shown(&self) -> Option<&LiveStatus> {
        let own = self.handle.as_ref().filter(|_| !self.over).map(|_| &self.said);
        own.or(self.others.as_ref())
    }
    /// Its rates and drops for the status line; empty: nothing runs.
    pub fn line(&self, narrow: bool) -> String {
        let Some(said) = self.shown() else { return String::new() };
        let (rate, drops) = (said.rate(), said.drops().total());
        let rates = if narrow {
            format!("● {}p/s {}f/s {}b/s", short_size(rate.packets), short_size(rate.flows), bits(rate.bytes))
        } else {
            format!("● {} packets/s {} flows/s {}bit/s", thousands(rate.packets), thousands(rate.flows), bits(rate.bytes))
        };
        let lost = match (drops, narrow) {
            (0, true) => String::new(),
            (n, true) => format!(" -{}", short_size(n)),
            (n, false) => format!(" {} dropped", thousands(n)),
        };
        let stopping = self.handle.as_ref().is_some_and(|live| !self.over && live.is_stopping());
        let end = if stopping { " stopping" } else { "" };
        format!("{rates}{lost}{end}")
    }
    fn running(&self) -> Result<&Live> {
        let none =
            || Error::user("no capture runs here").hint("backtrail capture -i INTERFACE captures into a case and opens it");
        self.handle.as_ref().filter(|live| live.is_running()).ok_or_else(none)
    }
}

impl App {
    /// By which one hears of something new of the capture; nothing ever comes where none runs.
    pub fn live_changes(&self) -> Receiver<()> {
        self.live.handle.as_ref().map_or_else(crossbeam_channel::never, |live| live.changes().clone())
    }
    /// The window in which a case is opened: where most of it is; while a capture runs all of it, since what comes is later than what there is.
    pub(super) fn first_window(&self) -> Option<Window> {
        if self.live.handle.is_some() { None } else { first_window(&*self.engine) }
    }
    /// The capture has something new: what it says of itself is shown, and what is shown is asked for again.
    pub(super) fn live_changed(&mut self) {
        let Some(live) = self.live.handle.clone() else { return };
        let status = live.status();
        if self.live.said != status {
            self.live.said = status;
            self.touch();
        }
        let ended = live.ended().filter(|_| !self.live.over);
        if ended.is_some() {
            self.live.over = true;
            self.live.following = false;
        }
        let now = [self.engine.sequence(), self.engine.head_sequence()];
        let due = self.live.seen.is_none_or(|(seen, at)| seen != now && (at.elapsed() >= EVERY || ended.is_some()));
        if due {
            self.live.seen = Some((now, Instant::now()));
            self.show_again();
        }
        match ended {
            Some(Ok(said)) => self.say(format!("the capture has ended: {said}")),
            Some(Err(err)) => self.fail(err),
            None => return,
        }
        if self.live.leaving == Leaving::Yes {
            self.quit();
        }
    }
    /// By which one hears of what comes unasked; nothing ever comes where this process holds the case.
    pub fn news_changes(&self) -> Receiver<()> {
        self.options.news.as_ref().map_or_else(crossbeam_channel::never, |news| news.changes().clone())
    }
    /// Others entered something, records came, or another process holds the case now.
    pub(super) fn news(&mut self) {
        let Some(told) = self.options.news.as_ref().map(crate::service::News::take) else { return };
        if told.decisions {
            self.marks.read(&self.keeper.decisions());
            self.tell(Change::Decisions);
            self.touch();
        }
        if self.live.others != told.capture {
            let ended = told.capture.is_none();
            self.live.others = told.capture;
            self.live.following &= !ended || self.live.running().is_ok();
            self.touch();
        }
        if told.records {
            self.show_again();
        }
        for line in told.said {
            self.say(line);
        }
    }
    /// Asks for everything that is shown as it is now; it stays as it is until the answers are there.
    pub(super) fn show_again(&mut self) {
        self.tell(Change::Records);
        let node = self.walk.here();
        let lens = node.lens();
        let window = self.window();
        if !self.jobs.asks("card", SLOT) && !self.jobs.asks("card", "card") {
            self.with(|app| &mut app.card, "card", |card, cx| card.again(window, cx));
        }
        let node = self.walk.here();
        if matches!(lens.name, "home" | "packets") || !self.opened.is_empty() {
            return;
        }
        let ask = Ask { text: node.query(lens), window: node.step.window.filter(|_| !lens.timeless), ..Ask::default() };
        if !self.jobs.asks(APP, SLOT) && !self.jobs.asks(APP, "counts") {
            let work = self.counting();
            self.ask(SLOT, work);
        }
        if !self.jobs.asks("timeline", SLOT) && !self.jobs.asks("timeline", "timeline") {
            self.with(|app| &mut app.timeline, "timeline", |line, cx| line.again(&ask, window, cx));
        }
        let newest = self.live.following;
        if !self.jobs.asks("rows", SLOT) {
            self.with(|app| &mut app.rows, "rows", |rows, cx| rows.again(newest, cx));
        }
    }
    /// Stays at the newest rows from now on, or no longer.
    pub(super) fn follow_live(&mut self) -> Result<()> {
        if self.live.others.is_none() {
            self.live.running()?;
        }
        if std::mem::take(&mut self.live.following) {
            self.say("follows no longer");
            return Ok(());
        }
        if self.walk.here().lens().timeless || !self.opened.is_empty() {
            self.set_lens(super::lenses::find("flows"));
        }
        // The newest are the last in the order of time.
        if self.walk.here().sort().is_some() {
            self.walk.here_mut().set_sort(None);
            self.enter();
        }
        (self.live.following, self.live.put) = (true, None);
        self.with(|app| &mut app.rows, "rows", |rows, cx| rows.again(true, cx));
        Ok(())
    }
    /// The rows are those of now: following stands on the newest of them.
    pub(super) fn rows_shown_again(&mut self) {
        if self.live.following {
            self.live.put = self.rows.record().map(|r| r.id);
        }
    }
    /// After every event: who stands elsewhere than where following put the cursor follows no longer.
    pub(super) fn end_following(&mut self) {
        let put = self.live.put;
        let elsewhere = put.is_some() && self.rows.record().map(|r| r.id) != put;
        if self.live.following && (elsewhere || self.part != super::app::Part::Rows || !self.opened.is_empty()) {
            self.live.following = false;
            self.jobs.cancel("rows", SLOT);
            self.touch();
        }
    }
    /// Says how the capture does.
    pub(super) fn say_capture(&mut self) -> Result<()> {
        let status = match self.live.running() {
            Ok(own) => own.status(),
            Err(none) => self.live.others.clone().ok_or(none)?,
        };
        let one = |s: &crate::model::live::LiveSource| {
            let (t, d) = (&s.total, &s.drops);
            let lost = format!(
                "{} kernel, {} interface, {} pipeline",
                thousands(d.kernel),
                thousands(d.interface),
                thousands(d.pipeline)
            );
            let (packets, flows, open) = (thousands(t.packets), thousands(t.flows), thousands(s.open));
            format!("{}: {packets} packets, {flows} flows, {open} open; dropped {lost}", s.name)
        };
        let said: Vec<String> = status.sources.iter().map(one).chain(status.notices.last().cloned()).collect();
        self.say(if said.is_empty() { "the capture begins".to_owned() } else { said.join(" · ") });
        Ok(())
    }
    /// Asks the capture to end.
    pub(super) fn stop_capture(&mut self) -> Result<()> {
        self.live.running()?.stop();
        self.say("the capture is being stopped");
        Ok(())
    }
    /// Leaves, unless a capture runs: that is said first; asked again it is stopped, and its end is waited for.
    pub(super) fn leave_program(&mut self) {
        let Ok(live) = self.live.running() else { return self.quit() };
        let again = matches!(self.live.leaving, Leaving::Asked(at) if at.elapsed() < AGAIN) || self.live.leaving == Leaving::Yes;
        if !again && !live.is_stopping() {
            self.live.leaving = Leaving::Asked(Instant::now());
            let key = self.keymap.key_in(self.scope(), "quit");
            return self.say(format!("a capture is running: {key} again stops it and leaves"));
        }
        live.stop();
        self.live.leaving = Leaving::Yes;
        self.say("the capture is being stopped, then this ends");
    }
}
