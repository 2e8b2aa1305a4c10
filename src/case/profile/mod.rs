//! The profile of the network as guided steps (CMU/SEI-2012-TR-006): what is known, the sample, its validation, the active address space, the
//! services, what is left over, and keeping it up to date. The screen and `backtrail profile` show the same tables.
//!
//! Records are read once, day by day, by what reads them for detectors; the steps are pure functions of what was gathered.

mod hosts;
mod keep;
mod sample;
mod services;

use crate::case::home::{Cell, Go, Line};
use crate::detectors::gather::{Part, Progress, stream};
use crate::detectors::profile::{Profile, Watcher};
use crate::detectors::reconcile::{self, Site};
use crate::detectors::rows::Net;
use crate::error::Result;
use crate::model::{Cancel, Value, Window, field};
use crate::query::Engine;
use std::net::IpAddr;

/// Most lines of a table; it says how many there are beyond.
pub const MAX_LINES: usize = 1_000;

/// A step of the guide.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, 1 to 7.
    pub number: u8,
    /// What it does.
    pub title: &'static str,
    /// What one does in it, in a sentence or two.
    pub guide: &'static str,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A table of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its word in JSON Lines: `web_server`.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// By which rule, and what to know of it.
    pub note: String,
    /// What its cells are called.
    pub columns: &'static [&'static str],
    /// At most [`MAX_LINES`].
    pub lines: Vec<Line>,
    /// Lines that there are in all.
    pub total: usize,
    /// Why there is none.
    pub why: String,
}

impl Table {
    fn new(name: &'static str, title: impl Into<String>, columns: &'static [&'static str], mut lines: Vec<Line>) -> Table {
        let total = lines.len();
        lines.truncate(MAX_LINES);
        Table { name, title: title.into(), note: String::new(), columns, lines, total, why: "none".into() }
    }
    fn note(mut self, note: impl Into<String>) -> Table {
        self.note = note.into();
        self
    }
    fn why(mut self, why: impl Into<String>) -> Table {
        self.why = why.into();
        self
    }
}

/// Titles of the steps, in order.
pub const TITLES: [&str; 7] = [
    "what is known",
    "the sample",
    "is the sample as expected?",
    "active address space",
    "services",
    "what is left over",
    "keeping it up to date",
];

const GUIDES: [&str; 7] = [
    "Gather what people and tools say of the network: networks of one's own, inventory, scans. The steps are compared with it.",
    "An hour to a day of the busiest time, what goes out if one has to choose, without sampling; leftovers later get a month.",
    "The protocols and ports that one expects should be on top. If not: is this the right sensor, and is home told right?",
    "Who sends legitimate TCP (4 packets or more, an acknowledgement) or another protocol to the outside, by /27.",
    "Who offers and uses what: the report's rule with its cut of 1 %, and beside it what connections and applications prove.",
    "Talkers that no class keeps: look at more time. What is still unexplained stays in the profile, marked so.",
    "Once a month: what is new, and what has been silent for long. Enter opens the records.",
];

/// Everything that a profile is made of.
pub struct Made {
    /// What numbers stand for.
    pub net: Net,
    /// What was gathered of flows.
    pub watcher: Watcher,
    /// The tables of the report.
    pub profile: Profile,
    /// What is stated, with the same behaviour.
    pub site: Site,
    /// The window looked at.
    pub window: Option<Window>,
    /// Records looked at.
    pub rows: u64,
}

/// Gathers what a profile needs.
pub fn gather(engine: &dyn Engine, window: Window, cancel: &Cancel, tell: &mut dyn FnMut(Progress)) -> Result<Made> {
    let window = engine.span().map(|s| s.intersect(&window)).filter(|w| w.start < w.end);
    let known = reconcile::read(engine, cancel)?;
    let mut watcher = Watcher::default();
    let (net, rows) = match &window {
        Some(window) => stream(engine, window, cancel, tell, &mut |part| {
            if let Part::Piece(piece) = part {
                watcher.piece(piece);
            }
            Ok(())
        })?,
        None => (Net::default(), 0),
    };
    let profile = watcher.profile(&net);
    // One ledger serves both: what was stated is compared with the same behaviour.
    let site = Site { known, ledger: std::mem::take(&mut watcher.ledger) };
    Ok(Made { net, watcher, profile, site, window, rows })
}

/// The steps.
pub fn steps(engine: &dyn Engine, made: &Made, cancel: &Cancel) -> Result<Vec<Step>> {
    let tables = [
        sample::known(engine, made, cancel)?,
        sample::sample(engine, made),
        sample::validate(made),
        hosts::space(made),
        services::tables(made),
        hosts::leftovers(made),
        keep::tables(made),
    ];
    let of = tables.into_iter().zip(TITLES).zip(GUIDES).zip(1u8..);
    Ok(of.map(|(((tables, title), guide), number)| Step { number, title, guide, tables }).collect())
}

/// A line that opens the records of a query.
fn line(cells: Vec<Cell>, label: impl Into<String>, text: String) -> Line {
    Line { cells, go: Go::Query { label: label.into(), text, lens: "all" }, loud: false }
}

fn host(addr: IpAddr) -> Cell {
    Cell::Of(field::HOST, Value::Addr(addr))
}

fn words(text: impl Into<String>) -> Cell {
    let text = text.into();
    if text.is_empty() { Cell::Empty } else { Cell::Text(text) }
}

fn percent(part: u64, whole: u64) -> Cell {
    Cell::Text(if whole == 0 { "0 %".into() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) })
}
