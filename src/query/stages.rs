//! Running stages: records in, a table out. Memory is bounded: groups and rows beyond the bounds are counted and said, never silently lost.
//!
//! Of a field with several values (answers, `host`) every distinct value counts once per record. Without a `sort` stage groups come largest first,
//! equal ones in order of their values; a timeline comes in order of time.

use super::engine::Table;
use super::group_key::{decode, encode};
use super::question::{Measure, Stage};
use super::sorted::total;
use super::spread::{self, MAX_EXACT, Spread};
use crate::model::field::{self, FieldId, Place};
use crate::model::{Record, SourceId, Time, Value};
use hashbrown::HashMap;
use smallvec::{SmallVec, smallvec};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Most groups that are kept; records of further ones are counted in a notice.
pub const MAX_GROUPS: usize = 1_000_000;
/// Most bytes of groups' values that are kept.
const MAX_BYTES: usize = 256 << 20;
/// Most rows that a question without grouping stages keeps.
pub const MAX_ROWS: usize = 100_000;
/// Most combinations of values that one record is counted for.
const MAX_COMBINATIONS: usize = 64;
/// Most empty bins that a timeline is filled up with.
const MAX_BINS: i64 = 100_000;
/// What rows without grouping show.
const ROW: [FieldId; 14] = [
    field::KIND,
    field::START,
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::PROTO,
    field::APP,
    field::STATE,
    field::DURATION,
    field::BYTES,
    field::NAME,
    field::SIGNATURE,
    field::ID,
];

type Row = Vec<Option<Value>>;
type Hasher = foldhash::fast::RandomState;

#[derive(Default)]
struct Acc {
    count: u64,
    whole: u64,
    real: f64,
    /// Of a percentile the values.
    spread: Option<Box<Spread>>,
}

enum Work {
    /// `sort` and `head` alone.
    Rows { fields: Vec<FieldId>, rows: Vec<Row>, order: Option<(usize, bool)>, keep: usize },
    /// A grouping stage.
    Groups { by: Vec<FieldId>, what: What, bin: Option<i64>, groups: HashMap<Vec<u8>, Acc, Hasher> },
}

/// What is said of groups besides their number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct What {
    /// The field whose numbers count.
    weight: Option<FieldId>,
    /// What is said of them; none: their sum.
    measure: Option<Measure>,
}

impl What {
    fn sum(weight: Option<FieldId>) -> What {
        What { weight, measure: None }
    }
    fn ty(self) -> field::Type {
        self.weight.and_then(field::get).map_or(field::Type::Uint, |f| f.ty)
    }
    /// The column that it makes, if it makes one.
    fn column(self) -> Option<String> {
        self.weight.map(|_| self.measure.map_or_else(|| "sum".to_owned(), Measure::column))
    }
    fn of(self, acc: &mut Acc) -> Option<Value> {
        let real = self.ty() == field::Type::Float;
        match self.measure {
            None => Some(if real { Value::Float(acc.real) } else { Value::Uint(acc.whole) }),
            Some(Measure::Mean) => spread::mean(acc.whole as f64 + acc.real, acc.count, self.ty()),
            Some(Measure::Percentile(n)) => acc.spread.take()?.at(n, real),
        }
    }
}

/// Stages at work: give it every record, then take the table.
pub struct Tally {
    work: Work,
    /// What follows the stage that takes the records.
    rest: Vec<Stage>,
    top: Option<usize>,
    take: u64,
    records: u64,
    counted: BTreeSet<SourceId>,
    beyond: u64,
    /// Bytes of groups' values.
    bytes: usize,
    /// Values that are kept one by one.
    exact: usize,
    limit: usize,
}

impl Tally {
    /// Stages that wait for records; no stages at all count the records.
    pub fn new(stages: &[Stage]) -> Tally {
        let heads = stages.iter().take_while(|s| matches!(s, Stage::Head { .. })).count();
        let taken = stages[..heads].iter().filter_map(|s| if let Stage::Head { n } = s { Some(*n) } else { None }).min();
        let grouping = stages.iter().position(|s| !matches!(s, Stage::Sort { .. } | Stage::Head { .. }));
        let groups =
            |by: Vec<FieldId>, weight, bin| Work::Groups { by, what: What::sum(weight), bin, groups: HashMap::default() };
        let mut top = None;
        let (work, rest) = match grouping.map(|at| (at, &stages[at])) {
            Some((at, Stage::Count { by })) => (groups(by.clone(), None, None), &stages[at + 1..]),
            Some((at, Stage::Sum { field, by })) => (groups(by.clone(), Some(*field), None), &stages[at + 1..]),
            Some((at, Stage::Measure { measure, field, by })) => {
                let what = What { weight: Some(*field), measure: Some(*measure) };
                (Work::Groups { by: by.clone(), what, bin: None, groups: HashMap::default() }, &stages[at + 1..])
            }
            Some((at, Stage::Top { n, field, by })) => {
                top = Some(*n);
                (groups(vec![*field], *by, None), &stages[at + 1..])
            }
            Some((at, Stage::Timeline { bin, weight, by })) => {
                (groups(by.iter().copied().collect(), *weight, Some((*bin).max(1))), &stages[at + 1..])
            }
            _ if stages.is_empty() => (groups(Vec::new(), None, None), stages),
            _ => (rows(&stages[heads..]), &stages[heads..]),
        };
        Tally {
            work,
            rest: rest.to_vec(),
            top,
            take: taken.map_or(u64::MAX, |n| n as u64),
            records: 0,
            counted: BTreeSet::new(),
            beyond: 0,
            bytes: 0,
            exact: 0,
            limit: MAX_GROUPS,
        }
    }

    /// Takes a record; `head` gives the fields that only the case knows (`source`, `evidence`). False: no further record changes the answer.
    pub fn add(&mut self, record: &Record, head: &dyn Fn(FieldId) -> Option<Value>) -> bool {
        if self.records >= self.take {
            return false;
        }
        self.records += 1;
        if !record.seen_by.is_empty() {
            self.counted.insert(record.source);
        }
        match &mut self.work {
            Work::Rows { fields, rows, order, keep } => {
                rows.push(fields.iter().map(|f| record.value(*f).or_else(|| head(*f))).collect());
                if rows.len() >= keep.saturating_mul(2).max(*keep + 1) {
                    if let Some((column, descending)) = order {
                        sort(rows, *column, *descending);
                    }
                    self.beyond += (rows.len() - *keep) as u64;
                    rows.truncate(*keep);
                }
            }
            Work::Groups { by, what, bin, groups } => {
                let weight = what.weight.map(|f| record.value(f).or_else(|| head(f)));
                if what.measure.is_some() && matches!(weight, Some(None)) {
                    return self.records < self.take;
                }
                let mut keys: SmallVec<[Vec<u8>; 2]> = smallvec![Vec::with_capacity(16)];
                if let Some(bin) = bin {
                    let start = record.time().0.div_euclid(*bin).saturating_mul(*bin);
                    encode(&Some(Value::Time(Time(start))), &mut keys[0]);
                }
                for field in by.iter() {
                    let values = values(record, *field, head);
                    if self.top.is_some() && matches!(values.as_slice(), [None]) {
                        return self.records < self.take;
                    }
                    let mut next = SmallVec::new();
                    for key in &keys {
                        for value in values.iter().take(MAX_COMBINATIONS / keys.len().max(1)) {
                            let mut key = key.clone();
                            encode(value, &mut key);
                            next.push(key);
                        }
                    }
                    keys = next;
                }
                for key in keys {
                    let full = groups.len() >= self.limit || self.bytes >= MAX_BYTES;
                    let acc = match groups.get_mut(&key) {
                        Some(acc) => acc,
                        None if full => {
                            self.beyond += 1;
                            continue;
                        }
                        None => {
                            self.bytes = self.bytes.saturating_add(key.len());
                            groups.entry(key).or_default()
                        }
                    };
                    acc.count += 1;
                    match &weight {
                        Some(Some(value)) if matches!(what.measure, Some(Measure::Percentile(_))) => {
                            let spread = acc.spread.get_or_insert_default();
                            match **spread {
                                Spread::Exact(_) if self.exact > MAX_EXACT => {
                                    self.bytes += spread.coarsen(what.ty() == field::Type::Float)
                                }
                                Spread::Exact(_) => self.exact += 1,
                                Spread::Binned(_) => {}
                            }
                            self.bytes = self.bytes.saturating_add(spread.add(value));
                        }
                        Some(Some(Value::Uint(n))) => acc.whole = acc.whole.saturating_add(*n),
                        Some(Some(v)) => acc.real += v.as_number().unwrap_or(0.0),
                        _ => {}
                    }
                }
            }
        }
        self.records < self.take
    }

    /// Whether nothing but the number of records matters.
    pub fn only_counts(&self) -> bool {
        let alone = matches!(&self.work, Work::Groups { by, what: What { weight: None, .. }, bin: None, .. } if by.is_empty());
        alone && self.take == u64::MAX
    }

    /// Takes records that are known only by what they add up to: those of one group, by the value that it is grouped by.
    pub fn add_group(&mut self, value: &Option<Value>, records: u64, whole: u64) {
        if self.top.is_some() && value.is_none() {
            return;
        }
        let Work::Groups { groups, .. } = &mut self.work else { return };
        let mut key = Vec::with_capacity(20);
        encode(value, &mut key);
        if !groups.contains_key(&key) {
            if groups.len() >= self.limit || self.bytes >= MAX_BYTES {
                self.beyond = self.beyond.saturating_add(records);
                return;
            }
            self.bytes = self.bytes.saturating_add(key.len());
        }
        let acc = groups.entry(key).or_default();
        acc.count = acc.count.saturating_add(records);
        acc.whole = acc.whole.saturating_add(whole);
    }

    /// So many records went into groups by [`Tally::add_group`].
    pub fn add_records(&mut self, records: u64) {
        self.records = self.records.saturating_add(records);
    }

    /// Takes so many records of which nothing else matters, see [`Tally::only_counts`].
    pub fn count(&mut self, records: u64) {
        self.records = self.records.saturating_add(records);
        if let Work::Groups { groups, .. } = &mut self.work
            && records > 0
        {
            let acc = groups.entry(Vec::new()).or_default();
            acc.count = acc.count.saturating_add(records);
        }
    }

    /// The table.
    pub fn finish(mut self) -> Table {
        let counted = std::mem::take(&mut self.counted).into_iter().collect();
        let mut table = Table { records: self.records, counted, ..Table::default() };
        match self.work {
            Work::Rows { fields, mut rows, order, keep } => {
                if rows.len() > keep {
                    if let Some((column, descending)) = order {
                        sort(&mut rows, column, descending);
                    }
                    self.beyond += (rows.len() - keep) as u64;
                    rows.truncate(keep);
                }
                for f in &fields {
                    column(&mut table, &field::name(*f), Some(*f));
                }
                table.rows = rows;
                // Fewer are kept only where a later `head` leaves no more.
                if self.beyond > 0 && keep == MAX_ROWS {
                    table.notices.push(format!("only {MAX_ROWS} rows are shown; {} more are not", self.beyond));
                }
            }
            Work::Groups { by, what, bin, groups } => {
                let kept = groups.len();
                if groups.values().any(|acc| matches!(acc.spread.as_deref(), Some(Spread::Binned(_)))) {
                    table.notices.push(format!("percentiles are within 0.4 %: of more than {MAX_EXACT} values"));
                }
                grouped(&mut table, &by, what, bin, groups);
                if let (Some(bin), true) = (bin, by.is_empty()) {
                    fill(&mut table, bin);
                }
                if self.beyond > 0 {
                    let text = format!("more than {kept} groups: {} records of further ones are not counted here", self.beyond);
                    table.notices.push(text);
                }
            }
        }
        if let Some(n) = self.top {
            table.rows.truncate(n);
        }
        for stage in &self.rest {
            on_table(&mut table, stage);
        }
        table
    }
}

fn rows(stages: &[Stage]) -> Work {
    let mut fields = ROW.to_vec();
    let mut order = None;
    let mut keep = MAX_ROWS;
    let mut sorts = 0;
    for stage in stages {
        match stage {
            Stage::Sort { column, descending } => {
                if let Some(f) = field::find(column) {
                    let at = fields.iter().position(|id| *id == f.id).unwrap_or_else(|| {
                        fields.push(f.id);
                        fields.len() - 1
                    });
                    order = Some((at, *descending));
                    sorts += 1;
                }
            }
            // With one order before it only the first n can remain; with several all are needed.
            Stage::Head { n } if sorts == 1 => keep = keep.min((*n).max(1)),
            _ => {}
        }
    }
    if sorts > 1 {
        keep = MAX_ROWS;
    }
    Work::Rows { fields, rows: Vec::new(), order: order.filter(|_| sorts == 1), keep }
}

fn column(table: &mut Table, name: &str, field: Option<FieldId>) {
    table.columns.push(name.to_owned());
    table.fields.push(field);
}

fn grouped(table: &mut Table, by: &[FieldId], what: What, bin: Option<i64>, groups: HashMap<Vec<u8>, Acc, Hasher>) {
    if bin.is_some() {
        column(table, "start", Some(field::START));
    }
    for f in by {
        column(table, &field::name(*f), Some(*f));
    }
    let keys = table.columns.len();
    let value = what.column();
    if let Some(name) = &value {
        column(table, name, what.weight);
    }
    if value.is_none() || bin.is_none() {
        column(table, "count", None);
    }
    for (key, mut acc) in groups {
        let mut row = decode(&key);
        if value.is_some() {
            row.push(what.of(&mut acc));
        }
        if value.is_none() || bin.is_none() {
            row.push(Some(Value::Uint(acc.count)));
        }
        table.rows.push(row);
    }
    if table.rows.is_empty() && by.is_empty() && bin.is_none() {
        // Nothing is the sum of nothing; its mean is not known.
        let none = |name: &String| (what.measure.is_none() || name == "count").then_some(Value::Uint(0));
        table.rows.push(table.columns.iter().map(none).collect());
    }
    let keys_order = |a: &Row, b: &Row| (0..keys).map(|k| order(&a[k], &b[k])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal);
    if bin.is_some() {
        table.rows.sort_by(keys_order);
    } else {
        table.rows.sort_by(|a, b| order(&b[keys], &a[keys]).then_with(|| keys_order(a, b)));
    }
}

/// Puts bins without records between those with.
fn fill(table: &mut Table, bin: i64) {
    let start = |row: &Row| if let Some(Some(Value::Time(t))) = row.first() { t.0 } else { 0 };
    let (Some(first), Some(last)) = (table.rows.first().map(start), table.rows.last().map(start)) else { return };
    if last.saturating_sub(first) / bin > MAX_BINS {
        table.notices.push(format!("bins without records are left out: more than {MAX_BINS}"));
        return;
    }
    let mut filled = Vec::new();
    let mut at = first;
    for row in std::mem::take(&mut table.rows) {
        while at < start(&row) {
            filled.push(vec![Some(Value::Time(Time(at))), Some(Value::Uint(0))]);
            at = at.saturating_add(bin);
        }
        filled.push(row);
        at = at.saturating_add(bin);
    }
    table.rows = filled;
}

fn on_table(table: &mut Table, stage: &Stage) {
    match stage {
        Stage::Head { n } => table.rows.truncate(*n),
        Stage::Sort { column, descending } => {
            if let Some(at) = table.columns.iter().position(|c| c == column) {
                sort(&mut table.rows, at, *descending);
            }
        }
        Stage::Count { by } => regroup(table, by, None),
        Stage::Sum { field, by } => regroup(table, by, Some(*field)),
        // The checker lets these stand only on records.
        Stage::Top { .. } | Stage::Timeline { .. } | Stage::Measure { .. } => {}
    }
}

/// Groups the rows of a table by some of its columns.
fn regroup(table: &mut Table, by: &[FieldId], weight: Option<FieldId>) {
    let places: Vec<Option<usize>> = by.iter().map(|f| table.fields.iter().position(|c| *c == Some(*f))).collect();
    let weighed = weight.and_then(|w| table.fields.iter().position(|c| *c == Some(w)));
    let mut groups: HashMap<Vec<u8>, Acc, Hasher> = HashMap::default();
    for row in &table.rows {
        let mut key = Vec::new();
        for place in &places {
            encode(&place.and_then(|p| row[p].clone()), &mut key);
        }
        let acc = groups.entry(key).or_default();
        acc.count += 1;
        match weighed.and_then(|w| row[w].as_ref()) {
            Some(Value::Uint(n)) => acc.whole = acc.whole.saturating_add(*n),
            Some(v) => acc.real += v.as_number().unwrap_or(0.0),
            None => {}
        }
    }
    let mut next = Table { records: table.records, counted: std::mem::take(&mut table.counted), ..Table::default() };
    next.notices = std::mem::take(&mut table.notices);
    grouped(&mut next, by, What::sum(weight), None, groups);
    *table = next;
}

/// Orders two values; what is missing is smallest.
fn order(a: &Option<Value>, b: &Option<Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => total(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn sort(rows: &mut [Row], column: usize, descending: bool) {
    // What is missing comes last in either direction.
    rows.sort_by(|a, b| match (&a[column], &b[column]) {
        (Some(_), Some(_)) if descending => order(&b[column], &a[column]),
        (Some(_), Some(_)) => order(&a[column], &b[column]),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

/// The distinct values of a field; `None` if it has none.
fn values(record: &Record, id: FieldId, head: &dyn Fn(FieldId) -> Option<Value>) -> SmallVec<[Option<Value>; 2]> {
    let mut out: SmallVec<[Option<Value>; 2]> = SmallVec::new();
    let mut push = |v: &Value| {
        if out.len() < MAX_COMBINATIONS && !out.iter().any(|o| o.as_ref() == Some(v)) {
            out.push(Some(v.clone()));
        }
    };
    match field::get(id).map(|f| f.place) {
        Some(Place::Any(parts)) => parts.iter().flat_map(|p| record.all(*p)).for_each(&mut push),
        Some(Place::Many) => record.all(id).for_each(&mut push),
        _ => record.value(id).or_else(|| head(id)).iter().for_each(&mut push),
    }
    if out.is_empty() {
        out.push(None);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RecordId, SourceId};
    use crate::query::{Scope, compile};

    fn flow(n: u64, dst: u8, app: &str, bytes: u64) -> Record {
        let id = RecordId { offset: n, ..RecordId::default() };
        let mut r = Record::new(Kind::Flow, id, SourceId(1), Time(n as i64 * 60_000_000_000));
        r.set(field::SRC_IP, Value::Addr([10, 0, 0, 5].into()));
        r.set(field::DST_IP, Value::Addr([192, 0, 2, dst].into()));
        r.set_text(field::APP, app);
        r.set(field::BYTES_OUT, bytes);
        r
    }

    fn run_limited(text: &str, limit: usize) -> Table {
        let stages = compile(text, &Scope::empty()).unwrap().stages;
        let mut tally = Tally::new(&stages);
        tally.limit = limit;
        let records =
            [flow(0, 1, "tls", 10), flow(1, 2, "dns", 5), flow(2, 1, "tls", 30), flow(7, 3, "", 100), flow(8, 2, "dns", 1)];
        for r in &records {
            if !tally.add(r, &|_| None) {
                break;
            }
        }
        tally.finish()
    }

    fn show(t: &Table) -> String {
        let mut out = t.columns.join(" ");
        for row in &t.rows {
            let cells: Vec<String> = row.iter().map(|v| v.as_ref().map_or("-".into(), ToString::to_string)).collect();
            out.push_str(&format!("; {}", cells.join(" ")));
        }
        out
    }

    fn run(text: &str) -> String {
        show(&run_limited(text, MAX_GROUPS))
    }

    #[test]
    fn groups_are_counted_largest_first() {
        assert_eq!(run("| count"), "count; 5");
        assert_eq!(run("| count by app"), "app count; dns 2; tls 2; - 1");
        assert_eq!(run("| count by app, dst.ip | sort app | head 2"), "app dst.ip count; dns 192.0.2.2 2; tls 192.0.2.1 2");
        assert_eq!(run("| count by app, dst.ip | count by app"), "app count; - 1; dns 1; tls 1");
    }

    #[test]
    fn sums_and_tops_weigh_by_a_field() {
        assert_eq!(run("| sum bytes by app"), "app sum count; - 100 1; tls 40 2; dns 6 2");
        assert_eq!(run("| top 2 host by bytes"), "host sum count; 10.0.0.5 146 5; 192.0.2.3 100 1");
        assert_eq!(run("| top 1 app"), "app count; dns 2");
        assert_eq!(run("| head 3 | top 9 app"), "app count; tls 2; dns 1");
    }

    #[test]
    fn means_and_percentiles_are_of_the_records_that_have_the_field() {
        assert_eq!(run("| mean bytes by app"), "app mean count; - 100 1; tls 20 2; dns 3 2");
        assert_eq!(run("| percentile 50 bytes"), "p50 count; 10 5");
        assert_eq!(run("| median bytes by app | sort p50"), "app p50 count; dns 1 2; tls 10 2; - 100 1");
        assert_eq!(run("| percentile 99.9 bytes"), "p99.9 count; 100 5");
        assert_eq!(run("| mean cvss"), "mean count; - 0");
        assert_eq!(run("| mean packets by app"), "app mean count");
    }

    #[test]
    fn a_percentile_of_more_values_than_are_kept_says_how_near_it_is() {
        let stages = compile("| percentile 90 bytes", &Scope::empty()).unwrap().stages;
        let mut tally = Tally::new(&stages);
        tally.exact = MAX_EXACT - 100;
        for n in 0..1_000 {
            tally.add(&flow(n, 1, "tls", n * 1_000), &|_| None);
        }
        let table = tally.finish();
        let found = table.rows[0][0].as_ref().and_then(Value::as_uint).unwrap();
        assert!(found.abs_diff(899_000) <= 899_000 / 256, "{found}");
        assert!(table.notices[0].contains("within 0.4 %"), "{:?}", table.notices);
    }

    #[test]
    fn a_timeline_has_its_empty_bins() {
        assert_eq!(
            run("| timeline 2m bytes"),
            "start sum; 1970-01-01T00:00:00Z 15; 1970-01-01T00:02:00Z 30; 1970-01-01T00:04:00Z 0; 1970-01-01T00:06:00Z 100; \
             1970-01-01T00:08:00Z 1"
        );
        assert_eq!(
            run("| timeline 1h by app"),
            "start app count; 1970-01-01T00:00:00Z - 1; 1970-01-01T00:00:00Z dns 2; 1970-01-01T00:00:00Z tls 2"
        );
    }

    #[test]
    fn rows_can_be_sorted_and_cut_without_groups() {
        let t = run_limited("| sort -bytes | head 2", MAX_GROUPS);
        let at = t.columns.iter().position(|c| c == "bytes").unwrap();
        assert_eq!(t.rows.iter().map(|r| r[at].clone()).collect::<Vec<_>>(), [Some(Value::Uint(100)), Some(Value::Uint(30))]);
        assert!(t.notices.is_empty());
    }

    #[test]
    fn rows_beyond_the_bound_are_said_though_a_larger_number_was_asked_for() {
        let question = compile("| sort -bytes | head 500000", &Scope::empty()).unwrap();
        let mut tally = Tally::new(&question.stages);
        if let Work::Rows { keep, .. } = &mut tally.work {
            assert_eq!(*keep, MAX_ROWS);
        }
        for n in 0..MAX_ROWS as u64 + 10 {
            tally.add(&flow(n, 1, "tls", n), &|_| None);
        }
        let table = tally.finish();
        assert_eq!(table.rows.len(), MAX_ROWS);
        assert!(table.notices[0].contains("10 more"), "{:?}", table.notices);
    }

    #[test]
    fn groups_beyond_the_bound_are_said() {
        let t = run_limited("| count by dst.ip", 2);
        assert_eq!(t.rows.len(), 2);
        assert_eq!(t.notices, ["more than 2 groups: 1 records of further ones are not counted here"]);
    }
}
