//! Who is busiest in the window, and which hosts, services and names are new in it.
//!
//! New is what was not there before the window; if there is less than a quarter of its length before it, what was not there in its first four fifths.

use super::kept::{ACCEPTED, Fresh, Key, Table, USES};
use super::{Asking, HOUR};
use crate::case::home::{self, Cell, Go, Line, numbers, outside};
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::time::DAY;
use crate::model::{Kind, Time, Value, Window, proto};
use crate::query::engine::Page;
use crate::query::quote;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// Lines of a list.
const SHOWN: usize = 60;

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Hosts by bytes.
    Talkers,
    /// Hosts of one's own that are new.
    Hosts,
    /// Services that one's own hosts offer and did not offer before.
    Services,
    /// Outside names that nobody used before.
    Names,
}

impl What {
    /// Every list, in the order in which they are shown.
    pub const ALL: [What; 4] = [What::Talkers, What::Hosts, What::Services, What::Names];
    /// Its word in JSON Lines.
    pub fn name(self) -> &'static str {
        match self {
            What::Talkers => "talkers",
            What::Hosts => "hosts",
            What::Services => "services",
            What::Names => "names",
        }
    }
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            What::Talkers => "top talkers",
            What::Hosts => "new hosts",
            What::Services => "new services",
            What::Names => "new names",
        }
    }
    /// What its cells are called.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            What::Talkers => &["host", "where", "sent", "received"],
            What::Hosts => &["host", "first", "flows"],
            What::Services => &["host", "service", "first", "flows"],
            What::Names => &["name", "first", "count"],
        }
    }
}

/// A list with its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Which.
    pub what: What,
    /// Lines, what matters most first.
    pub lines: Vec<Line>,
    /// How many there are in all.
    pub total: usize,
    /// From when on they are new.
    pub note: String,
    /// Why there is none.
    pub why: String,
}

/// Makes a list.
pub fn list(what: What, asking: &Asking<'_>) -> Result<List> {
    if what == What::Talkers {
        let of = home::Asking {
            engine: asking.engine,
            dir: std::path::Path::new(""),
            decisions: &[],
            window: asking.window,
            scope: asking.scope,
            cancel: asking.cancel,
        };
        let section = home::section(home::Which::Talkers, &of)?;
        return Ok(List { what, lines: section.lines, total: section.total, note: section.note, why: section.why });
    }
    let Some(span) = asking.engine.span() else {
        return Ok(List { what, lines: Vec::new(), total: 0, note: String::new(), why: "the case is empty".into() });
    };
    let window = asking.window.intersect(&span);
    let new = since(&window, &span);
    let (before, after) = (Window::new(span.start, new), Window::new(new, window.end));
    let note = format!("not there before {}", new.utc().format("%Y-%m-%d %H:%MZ"));
    let (table, why) = match what {
        What::Services => (Table::Services, "no service is new"),
        What::Names => (Table::Names, "no name is new"),
        _ => (Table::Hosts, "no host of one's own is new"),
    };
    let (total, mut lines) = match asking.kept().map(|k| k.fresh(table, asking, &after)).transpose()?.flatten() {
        Some(fresh) => (fresh.len(), fresh.into_iter().take(SHOWN).map(|f| known(f, asking)).collect()),
        None => {
            let read = match table {
                Table::Services => services(asking, &before, &after)?,
                Table::Names => names(asking, &before, &after)?,
                Table::Hosts => hosts(asking, &before, &after)?,
            };
            (read.len(), read)
        }
    };
    let has: &[Kind] = if what == What::Names { &[Kind::Dns, Kind::Tls, Kind::Http] } else { &[Kind::Flow] };
    let why = if asking.has(has) { why } else { "no source here gives what it is made of" };
    lines.truncate(SHOWN);
    for line in &mut lines {
        line.first(asking, &after)?;
    }
    Ok(List { what, lines: lines.into_iter().map(|l| l.line).collect(), total, note, why: why.into() })
}

/// From when on something is new.
fn since(window: &Window, span: &Window) -> Time {
    let before = window.start.since(span.start);
    if before >= window.length() / 4 && before > 0 {
        return window.start;
    }
    let cut = window.start.plus(window.length() / 5 * 4);
    // Whole days, of short windows whole hours, are sums that are kept.
    let step = if window.length() >= 5 * DAY { DAY } else { HOUR };
    let round = Time(cut.0.div_euclid(step).saturating_mul(step));
    if round > window.start { round } else { cut }
}

/// A line whose first record is still to be looked up.
struct Draft {
    line: Line,
    /// Which cell is the time of the first record, and the conditions that select it.
    at: usize,
    conditions: Vec<String>,
}

impl Draft {
    fn first(&mut self, asking: &Asking<'_>, after: &Window) -> Result<()> {
        let mut first: Option<Time> = None;
        for conditions in &self.conditions {
            let question = asking.question(conditions, "", after)?;
            asking.engine.select(&question, &Page { limit: 1, ..Page::default() }, asking.cancel, &mut |r| {
                first = Some(first.map_or(r.time(), |t| t.min(r.time())));
                true
            })?;
        }
        if let (Some(cell), Some(first)) = (self.line.cells.get_mut(self.at), first) {
            *cell = Cell::At(first);
        }
        Ok(())
    }
}

/// The line of what is kept: its first record is known.
fn known(fresh: Fresh, asking: &Asking<'_>) -> Draft {
    let mut draft = match fresh.key {
        Key::Host(addr) => host(addr, fresh.count),
        Key::Service(addr, proto, port) => service(addr, proto, port, fresh.count, asking),
        Key::Name(name) => name_line(String::from(name), fresh.count, &[]),
    };
    draft.conditions.clear();
    if let Some(cell) = draft.line.cells.get_mut(draft.at) {
        *cell = Cell::At(fresh.first);
    }
    draft
}

fn host(addr: IpAddr, flows: u64) -> Draft {
    let value = Value::Addr(addr);
    Draft {
        line: Line {
            cells: vec![Cell::Of(field::SRC_IP, value.clone()), Cell::Empty, Cell::Count(flows)],
            go: Go::Entity(field::SRC_IP, value),
            loud: false,
        },
        at: 1,
        conditions: vec![format!("kind = flow and src.ip = {addr}")],
    }
}

fn service(addr: IpAddr, p: u64, port: u64, flows: u64, asking: &Asking<'_>) -> Draft {
    let p = proto::show(u8::try_from(p).unwrap_or(0));
    let conditions = format!("{ACCEPTED} and dst.ip = {addr} and proto = {p} and dst.port = {port}");
    Draft {
        line: Line {
            cells: vec![
                Cell::Of(field::DST_IP, Value::Addr(addr)),
                Cell::Text(format!("{port}/{p}")),
                Cell::Empty,
                Cell::Count(flows),
            ],
            go: Go::Query { label: format!("{addr} {port}/{p}"), text: asking.text(&conditions), lens: "flows" },
            loud: false,
        },
        at: 2,
        conditions: vec![conditions],
    }
}

/// `uses`: where it stands, and how it is written there.
fn name_line(name: String, count: u64, uses: &[(usize, String)]) -> Draft {
    let asked = |(n, written): &(usize, String)| {
        USES.get(*n).map(|(kind, field, _)| format!("kind = {kind} and {field} = {}", quote(written)))
    };
    let conditions = uses.iter().filter_map(asked).collect();
    let value = Value::from(name);
    const NAME: FieldId = field::NAME;
    Draft {
        line: Line {
            cells: vec![Cell::Of(NAME, value.clone()), Cell::Empty, Cell::Count(count)],
            go: Go::Entity(NAME, value),
            loud: false,
        },
        at: 1,
        conditions,
    }
}

/// Groups of a question within a window.
fn groups(asking: &Asking<'_>, conditions: &str, by: &str, window: &Window) -> Result<Vec<(Vec<Value>, u64)>> {
    let question = asking.question(conditions, &format!("count by {by}"), window)?;
    Ok(numbers(asking.engine.table(&question, asking.cancel)?).collect())
}

fn words(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
}

fn hosts(asking: &Asking<'_>, before: &Window, after: &Window) -> Result<Vec<Draft>> {
    let home = asking.engine.home(asking.cancel)?;
    let known: HashSet<String> = groups(asking, "kind = flow", "src.ip", before)?.iter().map(|g| words(&g.0)).collect();
    let mut out = Vec::new();
    for (values, flows) in groups(asking, "kind = flow", "src.ip", after)? {
        let Some(Value::Addr(addr)) = values.first() else { continue };
        if home.has(*addr) && !known.contains(&words(&values)) {
            out.push(host(*addr, flows));
        }
    }
    Ok(out)
}

fn services(asking: &Asking<'_>, before: &Window, after: &Window) -> Result<Vec<Draft>> {
    let home = asking.engine.home(asking.cancel)?;
    let by = "dst.ip, proto, dst.port";
    // Only what is in the window is looked for before it: its hosts, if they are few.
    let late = groups(asking, ACCEPTED, by, after)?;
    let late: Vec<(Vec<Value>, u64)> =
        late.into_iter().filter(|g| g.0.first().and_then(Value::as_addr).is_some_and(|a| home.has(a))).collect();
    if late.is_empty() {
        return Ok(Vec::new());
    }
    let mut servers: Vec<String> = late.iter().filter_map(|g| g.0.first().map(Value::to_string)).collect();
    servers.sort_unstable();
    servers.dedup();
    let early =
        if servers.len() <= 200 { format!("{ACCEPTED} and dst.ip in {{{}}}", servers.join(", ")) } else { ACCEPTED.into() };
    let known: HashSet<String> = groups(asking, &early, by, before)?.iter().map(|g| words(&g.0)).collect();
    let mut out = Vec::new();
    for (values, flows) in late.into_iter().filter(|g| !known.contains(&words(&g.0))) {
        let [Value::Addr(addr), Value::Uint(p), Value::Uint(port)] = values.as_slice() else { continue };
        out.push(service(*addr, *p, *port, flows, asking));
    }
    Ok(out)
}

fn names(asking: &Asking<'_>, before: &Window, after: &Window) -> Result<Vec<Draft>> {
    type Uses = BTreeMap<String, (u64, Vec<(usize, String)>)>;
    let used = |window: &Window| -> Result<Uses> {
        let mut out = Uses::new();
        for (n, (kind, name, _)) in USES.iter().enumerate() {
            for (values, count) in groups(asking, &format!("kind = {kind} and exists {name}"), name, window)? {
                let written = values.first().map(ToString::to_string).unwrap_or_default();
                if let Some(name) = outside(&written) {
                    let of = out.entry(name).or_default();
                    of.0 += count;
                    of.1.push((n, written));
                }
            }
        }
        Ok(out)
    };
    let known = used(before)?;
    let mut late: Vec<_> =
        used(after)?.into_iter().filter(|(n, _)| !known.contains_key(n)).map(|(n, (c, u))| (n, c, u)).collect();
    late.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(late.into_iter().map(|(name, count, uses)| name_line(name, count, &uses)).collect())
}
