//! Walking: entering a node asks for its rows, counts, timeline and facts; leaving one keeps how it looked and writes it to the journal.

use super::app::{APP, App};
use super::clipboard::Copied;
use super::effect::Effect;
use super::files::Ingested;
use super::focus::Focus;
use super::jobs::{Answer, Job, Work};
use super::lenses::{self, Lens};
use super::load::{Ask, Sort, compiled};
use super::marked::Marked;
use super::panes::Change;
use super::panes::home::Home;
use super::panes::packets::Packets;
use super::times::thousands;
use super::walk::{Node, RowPlace, Step};
use crate::case::{trail, triage};
use crate::error::{Error, Result};
use crate::model::entity::EntityKind;
use crate::model::site::Site;
use crate::model::{Entity, Kind, Record, RecordId, Time, Window, field};
use crate::query::engine::{Count, Cursor};

/// Counting for the tabs stops here: `100,000+` says enough.
pub(super) const COUNT_LIMIT: u64 = trail::COUNTED;

/// Something for the message line that a job found out.
pub struct Said(pub String);

/// The site that is offered to be confirmed or changed.
pub struct HomeSite(pub Option<Site>);

/// The counts of the lenses, in their order, none for lenses that are not counted; and the newest import that was counted.
struct Counted(Vec<Option<Count>>, u64);

/// How many rows of the open lens are put away.
struct Hidden([u64; 2]);

/// The flow whose packets are wanted, and the packet that an alert names.
struct FlowFound(Option<Record>, Option<u64>);

/// Where a case begins.
pub fn first_step() -> Step {
    Step { label: "case".into(), ..Step::to(Focus::Case, "home", None) }
}

/// The lens in which an entity is looked at first.
pub fn first_lens(entity: &Entity) -> &'static str {
    match entity.kind {
        EntityKind::Address | EntityKind::Network | EntityKind::Service => "flows",
        EntityKind::Name => "dns",
        EntityKind::Signature => "alerts",
        EntityKind::Cve => "host",
        _ => "all",
    }
}

impl App {
    /// Asks something for the app itself.
    pub(super) fn ask(&mut self, slot: &'static str, work: impl FnOnce(&Work) -> Result<()> + Send + 'static) {
        self.apply(Effect::Ask(Job { pane: APP, slot, work: Box::new(work) }));
    }
    /// The window that is looked at, absolute.
    pub(super) fn window(&self) -> Window {
        self.walk.here().step.window.or_else(|| self.engine.span()).unwrap_or(Window::new(Time(0), Time(1)))
    }
    /// Goes on to a new node.
    pub(super) fn go(&mut self, step: Step) {
        self.leave();
        self.walk.go(step);
        self.enter();
    }
    /// Goes to an entity, in the lens that fits it, at the time of the selected row.
    pub(super) fn go_entity(&mut self, entity: Entity) {
        let focus = Focus::Entity(entity.clone());
        let mut step = Step::to(focus, first_lens(&entity), self.walk.here().step.window);
        step.row = self.rows.record().map(cursor);
        self.go(step);
    }
    /// What is to be done before another node is stood on.
    pub(super) fn leave(&mut self) {
        let place = self.place();
        self.walk.here_mut().set_place(place);
        self.write_changed_node();
        if let Some(pane) = self.opened.pop_if(|pane| pane.stays()) {
            self.aside = Some((self.walk.here().id, pane, false));
        }
        self.unroot();
        self.opened.clear();
        self.overlay = None;
        if self.zoomed && self.part != super::app::Part::Rows {
            self.zoomed = false;
        }
        self.part = super::app::Part::Rows;
    }
    /// Shows the node one stands on: asks for everything that it shows.
    pub(super) fn enter(&mut self) {
        self.touch();
        self.turning = true;
        self.show_node();
        // After the pane of the node itself, which is the first.
        let here = self.walk.here().id;
        if let Some((_, pane, new)) = self.aside.take_if(|(id, ..)| *id == here) {
            self.put_back(pane, new);
        }
    }
    fn show_node(&mut self) {
        let node = self.walk.here();
        let lens = node.lens();
        let window = self.window();
        let focus = node.step.focus.clone();
        let ask = ask_of(node);
        let place = node.place();
        self.with(|app| &mut app.card, "card", |card, cx| card.show(&focus, window, cx));
        self.ask_hidden();
        if lens.name != "home" {
            self.ask_counts();
        }
        match lens.name {
            "packets" => return self.enter_packets(),
            "home" => return self.enter_home(place),
            _ => self.unroot(),
        }
        let timeline = ask.clone();
        self.rows.arrange(self.looks.columns(lens).unwrap_or_default());
        self.rows.set_footer(self.looks.footer(lens));
        let unit = super::live::unit(lens);
        self.with(|app| &mut app.rows, "rows", |rows, cx| rows.show(ask, focus, lens, place, cx));
        self.with(|app| &mut app.timeline, "timeline", |line, cx| line.show(&timeline, window, unit, cx));
    }
    /// Puts the pane of the node away; home is kept as it is, so that coming back finds it so.
    fn unroot(&mut self) {
        if std::mem::take(&mut self.rooted) {
            let pane = self.opened.remove(0);
            self.jobs.cancel_pane(pane.name());
            if pane.name() == "home" {
                self.kept_home = Some(pane);
            }
        }
    }
    fn enter_home(&mut self, place: RowPlace) {
        self.unroot();
        let kept = self.kept_home.take().unwrap_or_else(|| Box::new(Home::new(place)));
        // What stands over home stays there when home is only asked anew.
        let above = std::mem::take(&mut self.opened);
        self.open(kept);
        self.rooted = true;
        self.opened.extend(above);
        if self.walk.here().written.is_empty() {
            self.write_node();
        }
    }
    /// Where the cursor stands: in the pane of the node, else in the rows.
    pub(super) fn place(&self) -> RowPlace {
        let own = self.opened.first().filter(|_| self.rooted).and_then(|pane| pane.place());
        own.unwrap_or_else(|| self.rows.place())
    }
    fn ask_counts(&mut self) {
        self.counts = vec![None; lenses::ALL.len()];
        self.walk.here_mut().seen = None;
        self.jobs.cancel(APP, super::live::SLOT);
        let work = self.counting();
        self.ask("counts", work);
    }
    /// Counts the rows of every lens.
    pub(super) fn counting(&self) -> impl FnOnce(&Work) -> Result<()> + Send + use<> {
        let node = self.walk.here();
        let texts: Vec<Option<String>> = lenses::ALL.iter().map(|l| (l.name != "packets").then(|| node.query(l))).collect();
        let own = node.step.window;
        let timeless: Vec<bool> = lenses::ALL.iter().map(|l| l.timeless).collect();
        move |work: &Work| {
            let mut questions = Vec::new();
            for (text, timeless) in texts.iter().zip(&timeless) {
                let Some(text) = text else { continue };
                let mut question = compiled(&*work.engine, text, own.filter(|_| !timeless))?;
                question.stages.clear();
                questions.push(question);
            }
            let seen = work.engine.sequence();
            let mut counts = work.engine.counts(&questions, COUNT_LIMIT, &work.cancel)?.into_iter();
            work.give(Counted(texts.iter().map(|t| t.as_ref().and_then(|_| counts.next())).collect(), seen));
            Ok(())
        }
    }
    /// Counts what is put away in the open lens.
    fn ask_hidden(&mut self) {
        let node = self.walk.here();
        let lens = node.lens();
        if node.away == [false; 2] || lens.timeless || matches!(lens.name, "packets" | "home") {
            self.hidden = None;
            return;
        }
        let (text, window) = (node.query(lens), node.step.window);
        self.ask("hidden", move |work| {
            work.give(Hidden(triage::left_out(&*work.engine, &text, window.as_ref(), COUNT_LIMIT, &work.cancel)?));
            Ok(())
        });
    }
    fn enter_packets(&mut self) {
        let node = self.walk.here();
        let flow = node.step.focus.entity().map(|e| e.value.to_string()).and_then(|text| text.parse::<RecordId>().ok());
        let alert = node.step.links;
        let Some(id) = flow else {
            return self.fail(Error::user("packets are of one flow; select a row first"));
        };
        self.ask("packets", move |work| {
            let packet = match alert {
                Some(alert) => work.engine.record(alert)?.and_then(|r| r.uint(field::PCAP_CNT)),
                None => None,
            };
            work.give(FlowFound(work.engine.record(id)?, packet));
            Ok(())
        });
    }
    /// Looks for the flow that a record belongs to and goes to its packets.
    pub(super) fn go_packets(&mut self, record: Record) {
        self.ask("flow", move |work| {
            let flow = if record.kind == Kind::Flow {
                Some(record.clone())
            } else {
                let own = record.text(field::FLOW).and_then(|text| text.parse().ok());
                let by_id = match own {
                    Some(id) => work.engine.record(id)?,
                    None => None,
                };
                match by_id {
                    Some(flow) => Some(flow),
                    None => best_flow(work.engine.links(&record, &work.cancel)?),
                }
            };
            // Only a capture has packets: of a flow that a log tells of, the capture's own sighting is wanted.
            let with_packets = match flow {
                Some(flow) if work.engine.packets(flow.id)?.is_empty() => {
                    let others = work.engine.links(&flow, &work.cancel)?;
                    let mut found = None;
                    for link in others.into_iter().filter(|l| l.record.kind == Kind::Flow) {
                        if !work.engine.packets(link.record.id)?.is_empty() {
                            found = Some(link.record);
                            break;
                        }
                    }
                    found.or(Some(flow))
                }
                other => other,
            };
            work.give(GoPackets(with_packets, record.id));
            Ok(())
        });
    }
    /// Takes an answer to the app's own jobs.
    pub(super) fn app_answer(&mut self, answer: Answer) -> Result<()> {
        if answer.is::<Counted>() {
            if let Some(Counted(counts, seen)) = answer.take() {
                self.counts = counts;
                self.counted(seen);
            }
        } else if answer.is::<Hidden>() {
            self.hidden = answer.take::<Hidden>().map(|Hidden(n)| n);
        } else if answer.is::<Copied>() {
            if let Some(copied) = answer.take::<Copied>() {
                if !copied.bytes.is_empty() {
                    self.asks.push(super::app::Ask::Send(copied.bytes));
                }
                self.say(copied.say);
            }
        } else if answer.is::<HomeSite>() {
            if let Some(HomeSite(site)) = answer.take() {
                super::commands::home::offer(self, site);
            }
        } else if answer.is::<Marked>() {
            if let Some(marked) = answer.take::<Marked>() {
                self.take_marked(marked)?;
            }
        } else if answer.is::<Ingested>() {
            if let Some(Ingested(text)) = answer.take() {
                self.say(text);
                // An import is entered in the journal too: whatever was shown before it is old.
                self.tell(Change::Decisions);
                self.show_again();
            }
        } else if answer.is::<Said>() {
            if let Some(Said(text)) = answer.take() {
                self.say(text);
            }
        } else if answer.is::<GoPackets>() {
            match answer.take() {
                Some(GoPackets(Some(flow), from)) => {
                    let Some(entity) = Entity::of(field::FLOW, &flow.id.to_string().into()) else { return Ok(()) };
                    let mut step = Step::to(Focus::Entity(entity), "packets", self.walk.here().step.window);
                    let end = |id| flow.addr(id).map_or_else(|| "?".into(), |a| a.to_string());
                    step.label = format!("packets {} {} {}", end(field::SRC_IP), self.glyphs.right, end(field::DST_IP));
                    step.links = Some(from);
                    self.go(step);
                }
                _ => {
                    return Err(Error::user("no flow is known for this row, so there are no packets to show")
                        .hint("L shows what it is linked with; a capture of this time would have them"));
                }
            }
        } else if answer.is::<FlowFound>() {
            match answer.take() {
                Some(FlowFound(Some(flow), packet)) => {
                    self.unroot();
                    self.open(Box::new(Packets::new(flow, packet)));
                    self.rooted = true;
                }
                _ => return Err(Error::user("the flow of these packets is no longer in the case")),
            }
        } else {
            return match self.take_handed(answer) {
                Some(answer) => self.overlay_answer(answer),
                None => Ok(()),
            };
        }
        Ok(())
    }
    fn counted(&mut self, seen: u64) {
        let lens = self.walk.here().step.lens;
        let count = |name: &str, counts: &[Option<Count>]| {
            lenses::ALL.iter().position(|l| l.name == name).and_then(|i| counts.get(i).copied().flatten())
        };
        let of_lens = count(lens, &self.counts);
        self.rows.total = of_lens.filter(|c| !c.at_least).map(|c| c.n);
        if let Some(count) = of_lens {
            let node = self.walk.here_mut();
            (node.rows, node.seen) = (count.n, Some(seen));
        }
        // A case without alerts begins with its flows, or whatever it has.
        let nothing = of_lens.is_some_and(|c| c.n == 0);
        if self.beginning && nothing && self.walk.at() == 0 && self.walk.here().step.filters.is_empty() {
            let other = ["flows", "all"].into_iter().find(|name| count(name, &self.counts).is_some_and(|c| c.n > 0));
            if let Some(other) = other.filter(|o| *o != lens) {
                self.set_lens(lenses::find(other));
            }
        }
        if self.walk.here().written.is_empty() {
            self.write_node();
        }
    }
    /// Opens a lens of the node one stands on.
    pub(super) fn set_lens(&mut self, lens: &'static Lens) {
        let place = self.place();
        let time = self.rows.record().map(cursor);
        let from_home = self.walk.here().step.lens == "home";
        let node = self.walk.here_mut();
        if node.step.lens != "packets" {
            node.set_place(place);
        }
        node.step.lens = lens.name;
        // A lens that was not open yet is entered at the time of the row one comes from.
        if !node.places.iter().any(|(name, _)| *name == lens.name)
            && let Some(at) = time.filter(|_| !from_home)
        {
            node.set_place(super::walk::RowPlace { time: at.time.0, id: Some(at.id), above: 6, ..Default::default() });
        }
        self.part = super::app::Part::Rows;
        self.opened.truncate(usize::from(self.rooted));
        self.enter();
    }
    /// Asks everything anew after filters or window have changed; the cursor stays at its row or the nearest.
    pub(super) fn reenter(&mut self) {
        let place = self.place();
        self.walk.here_mut().set_place(place);
        self.enter();
    }
    pub(super) fn write_changed_node(&mut self) {
        let node = self.walk.here();
        if !node.written.is_empty() && node.written != node.signature() || node.written.is_empty() && node.rows > 0 {
            self.write_node();
        }
    }
    /// Writes the node one stands on to the journal.
    fn write_node(&mut self) {
        let node = self.walk.here();
        let (id, what, signature) = (node.id, node.decision(None), node.signature());
        let parent = node.parent.and_then(|p| self.walk.node(p)).map(|p| p.id);
        self.writer.node(id, parent, what);
        self.walk.here_mut().written = signature;
    }
    /// Says how many records a lens has here, for messages.
    pub(super) fn has(&self, lens: &str) -> Option<String> {
        let at = lenses::ALL.iter().position(|l| l.name == lens)?;
        self.counts.get(at).copied().flatten().map(|c| thousands(c.n))
    }
}

/// The question of the rows of a node.
pub(super) fn ask_of(node: &Node) -> Ask {
    let lens = node.lens();
    let sort = |text: &str| {
        // Of groups it is one of their columns.
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        Sort::read(lens, text).unwrap_or_else(|_| Sort { name: name.to_owned(), fields: Vec::new(), descending })
    };
    Ask {
        text: node.query(lens),
        unfiltered: node.base_query(lens),
        window: node.step.window.filter(|_| !lens.timeless),
        links: node.step.links.filter(|_| lens.name == node.query_lens),
        sort: node.sort().map(sort),
    }
}

/// Where packets are to be shown, and from which record one comes.
struct GoPackets(Option<Record>, RecordId);

fn best_flow(links: Vec<crate::query::engine::Link>) -> Option<Record> {
    links.into_iter().filter(|l| l.record.kind == Kind::Flow).min_by_key(|l| l.quality.rank()).map(|l| l.record)
}

/// The place of a record in the order of rows.
pub fn cursor(record: &Record) -> Cursor {
    Cursor { time: record.time(), id: record.id }
}
