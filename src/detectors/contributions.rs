//! What a deviation is made of: for a window, and what was asked for in it, what each host, network, port, service, name and application had more or
//! less of than at the same hours of previous days; which rules of firewalls denied what is missing; alerts, new hosts and services, unreachables and
//! resets. Every line has the query that opens its records.
//!
//! What is usual of a value is its median over the same hours of up to seven days of the same kind, before the window, or after it where few
//! are before; where it was absent it was zero.

mod denies;
mod new;

use super::rows::network;
use crate::error::Result;
use crate::model::field::{self, FieldId};
use crate::model::site::Home;
use crate::model::time::DAY;
use crate::model::{Cancel, Value, Window, proto};
use crate::query::Engine;
use crate::query::engine::Table;
use crate::query::quote;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub use denies::Denied;
pub use new::New;

/// Days before with which one is content.
const FEW: usize = 3;
/// Days that are compared.
const COMPARED: usize = 7;
/// Values of a dimension that are looked at in a window.
const VALUES: usize = 5_000;
/// Lines of a dimension that are kept.
const LINES: usize = 12;
/// Least part of the difference that is worth a line.
const LEAST: f64 = 0.01;
/// Share of the difference at which a dimension stops.
const ENOUGH: f64 = 0.8;
/// Flows that were set up, or are not TCP.
const ACCEPTED: &str = "kind = flow and not state in {S0, REJ, RSTOS0, SH}";

/// All flows.
pub const FLOWS: &str = "kind = flow";
/// Flows of which nothing came.
pub const FAILED: &str = "kind = flow and state in {S0, REJ, RSTOS0, SH}";

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Flows.
    Flows,
    /// IP bytes both ways.
    Bytes,
}

/// A kind of value by which the difference is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// One's own host.
    Host,
    /// The other end.
    Peer,
    /// Network of 256 addresses (IPv6: 64 bits), either end.
    Subnet,
    /// Country of registration.
    Country,
    /// Autonomous system.
    As,
    /// Protocol and port of the responder.
    Port,
    /// Address, protocol and port of the responder.
    Service,
    /// Name that the flow carries.
    Name,
    /// Application.
    App,
}

impl Dimension {
    /// Every dimension, in the order in which they are shown.
    pub const ALL: [Dimension; 9] = [
        Dimension::Host,
        Dimension::Peer,
        Dimension::Subnet,
        Dimension::Country,
        Dimension::As,
        Dimension::Port,
        Dimension::Service,
        Dimension::Name,
        Dimension::App,
    ];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Host => "host",
            Dimension::Peer => "peer",
            Dimension::Subnet => "network",
            Dimension::Country => "country",
            Dimension::As => "as",
            Dimension::Port => "port",
            Dimension::Service => "service",
            Dimension::Name => "name",
            Dimension::App => "app",
        }
    }
}

/// A value with what it had and what is usual.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// By what.
    pub dimension: Dimension,
    /// The value in words.
    pub value: String,
    /// The value as one that can be pivoted on, if it is one.
    pub of: Option<(FieldId, Value)>,
    /// What it had in the window.
    pub actual: f64,
    /// What is usual.
    pub usual: f64,
    /// Its part of the whole difference; more than one if others moved the other way.
    pub part: f64,
    /// The query of its records.
    pub query: String,
}

/// A number that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Of what.
    pub what: &'static str,
    /// In the window.
    pub actual: f64,
    /// Usual.
    pub usual: f64,
    /// The query of its records.
    pub query: String,
}

/// A signature that spoke in the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerted {
    /// Its words.
    pub signature: String,
    /// How often.
    pub actual: f64,
    /// Usual.
    pub usual: f64,
    /// The query of its records.
    pub query: String,
}

/// What a window is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The window.
    pub window: Window,
    /// What is added up.
    pub weight: Weight,
    /// The windows that it was compared with.
    pub compared: Vec<Window>,
    /// Sum in the window.
    pub actual: f64,
    /// What is usual.
    pub usual: f64,
    /// What explains the difference, by dimension, the greatest part first.
    pub parts: Vec<Part>,
    /// Rules of firewalls, those first that explain most of what is missing.
    pub denied: Vec<Denied>,
    /// Alerts in the window, those first that are not usual.
    pub alerts: Vec<Alerted>,
    /// Hosts and services that were not there before.
    pub new: Vec<New>,
    /// Unreachables and resets.
    pub rates: Vec<Rate>,
    /// What to know of it, in words.
    pub notes: Vec<String>,
}

/// What is asked.
pub struct Asking<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// From when to when.
    pub window: Window,
    /// Conditions on the records; empty: all.
    pub scope: &'a str,
    /// What is added up.
    pub weight: Weight,
    /// Of which flows: conditions that select them, see [`FLOWS`] and [`FAILED`].
    pub flows: &'a str,
    /// Nanoseconds that days of the place begin before those of UTC.
    pub ahead: i64,
    /// Gives it up.
    pub cancel: &'a Cancel,
}

impl Asking<'_> {
    /// Conditions together with those of what was asked.
    fn text(&self, conditions: &str) -> String {
        if self.scope.trim().is_empty() { conditions.to_owned() } else { format!("{conditions} and ({})", self.scope) }
    }
    /// The same as a query of the window.
    fn query(&self, conditions: &str) -> String {
        let w = &self.window;
        format!("{} and between {} and {}", self.text(conditions), w.start.rfc3339(), w.end.rfc3339())
    }
    fn table(&self, conditions: &str, stages: &str, window: &Window) -> Result<Table> {
        self.cancel.check()?;
        let question = self.engine.compile(&format!("{} | {stages}", self.text(conditions)))?.within(window);
        self.engine.table(&question, self.cancel)
    }
    fn count(&self, conditions: &str, window: &Window) -> Result<f64> {
        self.cancel.check()?;
        let question = self.engine.compile(&self.text(conditions))?.within(window);
        let counts = self.engine.counts(&[question], u64::MAX, self.cancel)?;
        Ok(counts.first().map_or(0.0, |c| c.n as f64))
    }
    /// A number in the window, and its median in those compared.
    fn rate(&self, conditions: &str, compared: &[Window]) -> Result<(f64, f64)> {
        let actual = self.count(conditions, &self.window)?;
        let mut others = Vec::with_capacity(compared.len());
        for window in compared {
            others.push(self.count(conditions, window)?);
        }
        Ok((actual, super::maths::median_of(&mut others).unwrap_or(0.0)))
    }
}

/// A group: its values, its sum in the window, and in each of those compared.
#[derive(Debug, Clone)]
struct Sum {
    values: Vec<Value>,
    actual: f64,
    others: Vec<f64>,
}

/// Groups by their values in words: their order is the same whatever order they came in.
type Sums = BTreeMap<String, Sum>;

/// The median of what the windows compared had.
fn usual(of: &[f64]) -> f64 {
    super::maths::median_of(&mut of.to_vec()).unwrap_or(0.0)
}

/// The same hours of other days of the same kind: before the window, the nearest first; if those are few, after it too.
pub fn compared(window: &Window, span: &Window, ahead: i64) -> Vec<Window> {
    // 1970-01-01 was a Thursday.
    let weekend = |w: &Window| (w.start.0.saturating_add(ahead).div_euclid(DAY) + 3).rem_euclid(7) >= 5;
    let days = window.length().div_euclid(DAY) + 1;
    let kind = weekend(window);
    let of = |sign: i64| -> Vec<Window> {
        (1..=28i64)
            .map(|n| window.shifted(n.saturating_mul(DAY).saturating_mul(sign)))
            // A longer window is compared with whole weeks, so that both have the same days.
            .enumerate()
            .filter(|(n, w)| if days > 1 { (n + 1) % 7 == 0 && (*n as i64 + 1) >= days } else { weekend(w) == kind })
            .map(|(_, w)| w)
            .filter(|w| w.start >= span.start && w.end <= span.end)
            .take(COMPARED)
            .collect()
    };
    // Few days before are little to go by: then those after count as well.
    let mut out = of(-1);
    if out.len() < FEW {
        out.extend(of(1));
        out.truncate(COMPARED);
    }
    out
}

/// Takes a window apart.
pub fn explain(asking: &Asking<'_>) -> Result<Explained> {
    let span = asking.engine.span().unwrap_or(asking.window);
    let others = compared(&asking.window, &span, asking.ahead);
    let weigh = match asking.weight {
        Weight::Flows => "count",
        Weight::Bytes => "sum bytes",
    };
    let whole = |w: &Window| -> Result<f64> {
        let table = asking.table(asking.flows, weigh, w)?;
        Ok(rows(&table).map(|r| r.1).sum())
    };
    let actual = whole(&asking.window)?;
    let mut sums = Vec::new();
    for other in &others {
        sums.push(whole(other)?);
    }
    let mut out = Explained {
        window: asking.window,
        weight: asking.weight,
        actual,
        usual: usual(&sums),
        compared: others,
        parts: Vec::new(),
        denied: Vec::new(),
        alerts: Vec::new(),
        new: Vec::new(),
        rates: Vec::new(),
        notes: Vec::new(),
    };
    if out.compared.is_empty() {
        out.notes.push("no other day of this kind to compare with: what there was is shown".into());
    }
    let home = asking.engine.home(asking.cancel)?;
    parts(asking, weigh, &home, &mut out)?;
    denies::explain(asking, &mut out)?;
    alerts(asking, &mut out)?;
    new::find(asking, &home, &mut out)?;
    for (what, conditions) in [
        ("ICMP unreachable", "kind = flow and proto in {icmp, ipv6-icmp} and src.port in {1, 3}"),
        ("refused or reset", "kind = flow and state in {REJ, RSTO, RSTR, RSTOS0, RSTRH}"),
        ("never answered", "kind = flow and state in {S0, SH}"),
    ] {
        let (actual, usual) = asking.rate(conditions, &out.compared)?;
        out.rates.push(Rate { what, actual, usual, query: asking.query(conditions) });
    }
    Ok(out)
}

/// Keys and number of each row of a table of groups.
fn rows(table: &Table) -> impl Iterator<Item = (&[Option<Value>], f64)> {
    let at = table.columns.iter().position(|c| c == "sum" || c == "count").unwrap_or(0);
    table.rows.iter().map(move |row| {
        let n = row.get(at).and_then(Option::as_ref).and_then(Value::as_number).unwrap_or(0.0);
        (row.get(..at).unwrap_or_default(), n)
    })
}

/// Groups of a question in the window and in those compared; `key` makes the values that group of those of a row (of several rows that give the same
/// the sum counts). None: the row is left out.
fn grouped(
    asking: &Asking<'_>,
    conditions: &str,
    stages: &str,
    compared: &[Window],
    key: &dyn Fn(Vec<Value>) -> Option<Vec<Value>>,
) -> Result<Sums> {
    let mut out = Sums::new();
    for (n, window) in std::iter::once(&asking.window).chain(compared).enumerate() {
        let table = asking.table(conditions, stages, window)?;
        let mut sums: BTreeMap<String, (Vec<Value>, f64)> = BTreeMap::new();
        for (row, n) in rows(&table) {
            if let Some(values) = row.iter().cloned().collect::<Option<Vec<Value>>>().and_then(key) {
                let words = values.iter().map(Value::to_string).collect::<Vec<_>>().join(" ");
                sums.entry(words).or_insert((values, 0.0)).1 += n;
            }
        }
        for (words, (values, sum)) in sums {
            let group = out.entry(words).or_insert_with(|| Sum { values, actual: 0.0, others: vec![0.0; compared.len()] });
            match n.checked_sub(1) {
                None => group.actual = sum,
                Some(other) => group.others[other] = sum,
            }
        }
    }
    Ok(out)
}

fn parts(asking: &Asking<'_>, weigh: &str, home: &Home, out: &mut Explained) -> Result<()> {
    let compared = out.compared.clone();
    let ask = |by: &str, key: &dyn Fn(Vec<Value>) -> Option<Vec<Value>>| {
        grouped(asking, asking.flows, &format!("{weigh} by {by} | head {VALUES}"), &compared, key)
    };
    let ends = |key: &dyn Fn(IpAddr) -> Option<Value>| -> Result<Sums> {
        let of = |values: Vec<Value>| Some(vec![key(values.first()?.as_addr()?)?]);
        let mut sums = ask("src.ip", &of)?;
        for (words, sum) in ask("dst.ip", &of)? {
            match sums.get_mut(&words) {
                Some(known) => {
                    known.actual += sum.actual;
                    known.others.iter_mut().zip(sum.others).for_each(|(k, m)| *k += m);
                }
                None => _ = sums.insert(words, sum),
            }
        }
        Ok(sums)
    };
    let addr = |a: IpAddr| Some(Value::Addr(a));
    add(asking, Dimension::Host, ends(&|a| addr(a).filter(|_| home.is_near(a)))?, out);
    add(asking, Dimension::Peer, ends(&|a| addr(a).filter(|_| !home.is_near(a)))?, out);
    add(asking, Dimension::Subnet, ends(&|a| Some(Value::from(network(a).to_string())))?, out);
    for (dimension, by) in [
        (Dimension::Country, "country"),
        (Dimension::As, "as"),
        (Dimension::Port, "proto, dst.port"),
        (Dimension::Service, "dst.ip, proto, dst.port"),
        (Dimension::Name, "name"),
        (Dimension::App, "app"),
    ] {
        add(asking, dimension, ask(by, &Some)?, out);
    }
    Ok(())
}

/// The values of a dimension that explain the difference, until four fifths of it are explained.
fn add(asking: &Asking<'_>, dimension: Dimension, sums: Sums, out: &mut Explained) {
    let whole = out.actual - out.usual;
    let mut all: Vec<(f64, f64, Sum)> = sums.into_values().map(|s| (s.actual, usual(&s.others), s)).collect();
    // Those that moved as the whole did, the greatest first; values are in order already, and sorting keeps it.
    all.retain(|(a, u, _)| (a - u) * whole > 0.0);
    all.sort_by(|a, b| (b.0 - b.1).abs().total_cmp(&(a.0 - a.1).abs()));
    let mut explained = 0.0;
    for (actual, usual, sum) in all.into_iter().take(LINES) {
        if explained >= ENOUGH {
            break;
        }
        let part = (actual - usual) / whole;
        if part < LEAST {
            break;
        }
        explained += part;
        let (value, conditions) = describe(dimension, &sum.values);
        let of = match dimension {
            Dimension::Host | Dimension::Peer => Some(field::HOST),
            Dimension::Service => Some(field::DST_IP),
            Dimension::Name => Some(field::NAME),
            _ => None,
        };
        out.parts.push(Part {
            dimension,
            value,
            of: of.zip(sum.values.first().cloned()),
            actual,
            usual,
            part,
            query: asking.query(&format!("{} and {conditions}", asking.flows)),
        });
    }
}

/// A value in words, and the conditions that select it.
fn describe(dimension: Dimension, values: &[Value]) -> (String, String) {
    let text = |n: usize| values.get(n).map(Value::to_string).unwrap_or_default();
    let service = |n: usize| {
        let number = values.get(n).and_then(Value::as_uint).and_then(|p| u8::try_from(p).ok()).unwrap_or(0);
        (proto::show(number), text(n + 1))
    };
    match dimension {
        Dimension::Host | Dimension::Peer => (text(0), format!("(src.ip = {0} or dst.ip = {0})", text(0))),
        Dimension::Subnet => (text(0), format!("net {}", text(0))),
        Dimension::Port => {
            let (p, port) = service(0);
            (format!("{port}/{p}"), format!("proto = {p} and dst.port = {port}"))
        }
        Dimension::Service => {
            let (p, port) = service(1);
            (format!("{} {port}/{p}", text(0)), format!("dst.ip = {} and proto = {p} and dst.port = {port}", text(0)))
        }
        Dimension::Country | Dimension::As | Dimension::Name | Dimension::App => {
            (text(0), format!("{} = {}", dimension.name(), quote(&text(0))))
        }
    }
}

fn alerts(asking: &Asking<'_>, out: &mut Explained) -> Result<()> {
    let conditions = "kind in {alert, notice} and exists signature";
    let sums = grouped(asking, conditions, &format!("count by signature | head {VALUES}"), &out.compared, &Some)?;
    let mut all: Vec<Alerted> = sums
        .into_iter()
        .filter(|(_, s)| s.actual > 0.0)
        .map(|(signature, s)| Alerted {
            actual: s.actual,
            usual: usual(&s.others),
            query: asking.query(&format!("kind in {{alert, notice}} and signature = {}", quote(&signature))),
            signature,
        })
        .collect();
    all.sort_by(|a, b| (b.actual - b.usual).total_cmp(&(a.actual - a.usual)));
    all.truncate(2 * LINES);
    out.alerts = all;
    Ok(())
}

#[cfg(test)]
mod tests;
