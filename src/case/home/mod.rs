//! Home: what is there, what is odd, where to begin. Sections of lines; every line can be entered. Bounded questions, asked section by
//! section, so that a big case blocks nobody; the screen and `backtrail home` show the same.

mod alerts;
mod decide;
mod findings;
mod names;
mod sources;
mod talkers;
mod watch;
mod window;

pub use decide::{offset, reasons, zone_guess};
pub(in crate::case) use names::outside;
pub use window::first_window;

use crate::error::Result;
use crate::model::decision::Decision;
use crate::model::field::{self, FieldId};
use crate::model::value::SEVERITIES;
use crate::model::{Cancel, Entity, Time, Value, Window};
use crate::query::{Engine, Question};
use std::path::Path;

/// Most lines that a section has; it says how many there are beyond.
pub const MAX_LINES: usize = 200;

/// A section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Alerts by signature and target.
    Alerts,
    /// What somebody has to decide.
    Decide,
    /// What the detectors found.
    Findings,
    /// Outside names that are new, rare or listed.
    Names,
    /// Sources.
    Sources,
    /// Hits of watch sets.
    Watch,
    /// Hosts by bytes.
    Talkers,
}

impl Which {
    /// Every section, in the order in which they stand below each other.
    pub const ALL: [Which; 7] =
        [Which::Alerts, Which::Decide, Which::Findings, Which::Names, Which::Sources, Which::Watch, Which::Talkers];
    /// Its word in JSON Lines.
    pub fn name(self) -> &'static str {
        match self {
            Which::Alerts => "alerts",
            Which::Findings => "findings",
            Which::Decide => "decide",
            Which::Names => "names",
            Which::Sources => "sources",
            Which::Watch => "watch",
            Which::Talkers => "talkers",
        }
    }
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Which::Alerts => "alerts",
            Which::Findings => "findings",
            Which::Decide => "needs a decision",
            Which::Names => "new and rare names",
            Which::Sources => "sources",
            Which::Watch => "watch hits",
            Which::Talkers => "top talkers",
        }
    }
    /// What its cells are called.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Which::Alerts => &["severity", "signature", "target", "host", "reviewed", "first", "last"],
            Which::Findings => &["severity", "finding", "host", "first"],
            Which::Decide => &["what", "because"],
            Which::Names => &["name", "why", "host", "first", "count"],
            Which::Sources => &["source", "format", "start", "end", "records", "zone", "warnings"],
            Which::Watch => &["set", "hits", "first", "last"],
            Which::Talkers => &["host", "where", "sent", "received"],
        }
    }
}

/// One cell of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing to say.
    Empty,
    /// Words.
    Text(String),
    /// A number of records.
    Count(u64),
    /// Bytes.
    Bytes(u64),
    /// An instant, corrected.
    At(Time),
    /// Severity rank 0..4.
    Severity(u64),
    /// A value of a field; can be pivoted on if the field names a kind of entity.
    Of(FieldId, Value),
}

impl Cell {
    /// The cell in words; times by `time`.
    pub fn show(&self, time: &dyn Fn(Time) -> String) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Count(n) | Cell::Bytes(n) => n.to_string(),
            Cell::At(at) => time(*at),
            Cell::Severity(rank) => SEVERITIES.get(*rank as usize).map_or_else(String::new, |s| (*s).to_owned()),
            Cell::Of(id, value) => value.show(field::get(*id).map_or(field::Type::Text, |f| f.ty)),
        }
    }
    /// What one can pivot on.
    pub fn entity(&self) -> Option<Entity> {
        if let Cell::Of(id, value) = self { Entity::of(*id, value) } else { None }
    }
}

/// Where a line leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Go {
    /// To the records of a query.
    Query {
        /// What the trail calls it.
        label: String,
        /// The query.
        text: String,
        /// The lens it opens in.
        lens: &'static str,
    },
    /// To a thing that one can pivot on.
    Entity(FieldId, Value),
    /// To where a source is looked at and set right; empty: to all of them.
    Source(String),
    /// To where sites of one's own are named.
    Sites,
    /// To the leads.
    Leads,
}

impl Go {
    /// As the command that does it without the workbench.
    pub fn command(&self) -> String {
        match self {
            Go::Query { text, .. } => format!("query {}", shell(text)),
            Go::Entity(id, value) => {
                let shown = value.show(field::get(*id).map_or(field::Type::Text, |f| f.ty));
                format!("pivot {}", shell(&shown))
            }
            Go::Source(_) => "sources".into(),
            Go::Sites => "site list".into(),
            Go::Leads => "lead list".into(),
        }
    }
}

fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// One cell per column of its section.
    pub cells: Vec<Cell>,
    /// Where it leads.
    pub go: Go,
    /// It stands out: listed, failed, high.
    pub loud: bool,
}

/// A section with its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Which.
    pub which: Which,
    /// At most [`MAX_LINES`] lines, what matters most first.
    pub lines: Vec<Line>,
    /// Lines there are in all.
    pub total: usize,
    /// By which rule, or what to know of the whole; may be empty.
    pub note: String,
    /// Why there is no line.
    pub why: String,
}

impl Section {
    fn new(which: Which, mut lines: Vec<Line>, note: impl Into<String>, why: impl Into<String>) -> Section {
        let total = lines.len();
        lines.truncate(MAX_LINES);
        Section { which, lines, total, note: note.into(), why: why.into() }
    }
}

/// What a section is made from.
pub struct Asking<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// Directory of the case, where findings are kept.
    pub dir: &'a Path,
    /// What people entered.
    pub decisions: &'a [Decision],
    /// What is looked at.
    pub window: Window,
    /// Conditions on the records; empty: all.
    pub scope: &'a str,
    /// Gives the questions up.
    pub cancel: &'a Cancel,
}

impl Asking<'_> {
    /// A question of the window.
    fn question(&self, text: &str) -> Result<Question> {
        Ok(self.engine.compile(text)?.within(&self.window))
    }
    /// Records of a kind that any source has.
    fn has(&self, kinds: &[crate::model::Kind]) -> bool {
        self.engine.sources().iter().any(|s| s.kinds.iter().any(|(k, n)| *n > 0 && kinds.contains(k)))
    }
}

/// Makes a section.
pub fn section(which: Which, asking: &Asking) -> Result<Section> {
    match which {
        Which::Alerts => alerts::section(asking),
        Which::Findings => findings::section(asking),
        Which::Decide => decide::section(asking),
        Which::Names => names::section(asking),
        Which::Sources => sources::section(asking),
        Which::Watch => watch::section(asking),
        Which::Talkers => talkers::section(asking),
    }
}

/// Rows of a table of groups: the values that group, and the sum, else the number of records.
pub(in crate::case) fn numbers(table: crate::query::engine::Table) -> impl Iterator<Item = (Vec<Value>, u64)> {
    let keys = table.columns.iter().position(|c| c == "sum" || c == "count").unwrap_or(0);
    table.rows.into_iter().filter_map(move |row| {
        let n = match row.get(keys)?.as_ref()? {
            Value::Uint(n) => *n,
            other => other.as_number().unwrap_or(0.0) as u64,
        };
        Some((row.into_iter().take(keys).collect::<Option<Vec<Value>>>()?, n))
    })
}
