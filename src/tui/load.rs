//! Rows for the lens table: pages of a question's answer around a place, on a worker thread, first rows first; and why there are none.

use super::columns;
use super::jobs::Work;
use super::lenses::Lens;
use crate::error::Result;
use crate::model::origin::EvidenceKey;
use crate::model::site::Home;
use crate::model::time::SECOND;
use crate::model::{FieldId, Record, RecordId, Time, Window, field};
use crate::query::engine::{Answered, Coverage, Cursor, Link, Page, Table};
use crate::query::{Engine, Order, Question, Stage};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Rows of one page.
pub const PAGE: usize = 400;
/// Most rows of an answer in another order than that of time.
pub const MOST_SORTED: usize = 20_000;
/// Rows kept before the place that is gone back to.
const BEFORE: usize = 150;
/// The first piece is given after so many rows, so that a screen is full at once.
const FIRST: usize = 64;
/// Later pieces are given at least so often.
const OFTEN: Duration = Duration::from_millis(60);

/// Which question the table shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// Query text with filters.
    pub text: String,
    /// The same without filters, to say how much they hide.
    pub unfiltered: String,
    /// Window; none: the whole case.
    pub window: Option<Window>,
    /// The links of this record instead.
    pub links: Option<RecordId>,
    /// Another order than that of time.
    pub sort: Option<Sort>,
}

/// Another order of rows than that of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// What it is called: a column, a field, of groups also `count`, `sum`.
    pub name: String,
    /// The fields by which rows are ordered.
    pub fields: Vec<FieldId>,
    /// Largest first.
    pub descending: bool,
}

impl Ask {
    /// The question that the engine is asked.
    pub fn question(&self, engine: &dyn Engine) -> Result<Question> {
        compiled(engine, &self.text, self.window)
    }
    /// The order of its rows, if it is not that of time.
    pub fn order(&self) -> Option<Order> {
        let sort = self.sort.as_ref().filter(|s| !s.fields.is_empty())?;
        Some(Order { fields: sort.fields.clone(), descending: sort.descending })
    }
}

impl Sort {
    /// Reads `bytes`, `-bytes`: the rows of a lens by a column of it or by a field.
    pub fn read(lens: &Lens, text: &str) -> Result<Sort> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        Ok(Sort { name: name.to_owned(), fields: columns::named(lens, name)?, descending })
    }
}

/// A text as a question inside a window.
pub fn compiled(engine: &dyn Engine, text: &str, window: Option<Window>) -> Result<Question> {
    let question = engine.compile(text)?;
    Ok(match window {
        Some(window) => question.within(&window),
        None => question,
    })
}

/// Which rows are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The oldest.
    Start,
    /// The newest.
    End,
    /// Those around a place.
    Around(Cursor),
    /// Those after the last row that is there.
    After(Cursor),
    /// Those before the first row that is there.
    Before(Cursor),
    /// So many of the first ones, of rows that stand in another order than that of time.
    First(usize),
    /// Around the first row after a place that satisfies a condition as well; forward or backward.
    Found(Option<Cursor>, bool, String),
}

/// Where something was found.
#[derive(Debug)]
pub struct Found(pub Option<Cursor>);

/// Which rows of a sorted answer were found.
#[derive(Debug)]
pub struct FoundAmong(pub HashSet<RecordId>);

/// A piece of the answer.
pub enum Piece {
    /// Rows of the whole answer, of which the first in their order follow.
    Of(u64),
    /// What counts as home now.
    Home(Home),
    /// What was shown before is not part of this answer.
    Fresh,
    /// More rows at the end, in order.
    Rows(Vec<Record>),
    /// More rows at the beginning, in order.
    Earlier(Vec<Record>),
    /// The answer of a question with stages.
    Table(Table, u64),
    /// The links of a record.
    Links(Vec<Link>, u64),
    /// The page is there.
    End {
        /// There are rows before the first. None: as it was.
        before: Option<bool>,
        /// There are rows after the last. None: as it was.
        after: Option<bool>,
        /// Nanoseconds that it took.
        elapsed: u64,
    },
    /// There are no rows: why.
    Why(Why),
}

/// Why an answer is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Why {
    /// Every source, with what it covers of the window.
    pub coverage: Vec<Coverage>,
    /// Rows without the filters, if there are filters.
    pub unfiltered: Option<u64>,
    /// Rows in the whole case, if a window is set.
    pub outside: Option<u64>,
    /// The case has no records at all.
    pub nothing_in_case: bool,
}

/// Asks for a part of an answer and gives it in pieces.
pub fn load(work: &Work, ask: &Ask, part: Part) -> Result<()> {
    let engine = &*work.engine;
    let begun = Instant::now();
    let took = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    work.give(Piece::Home(engine.home(&work.cancel)?));
    if let Some(id) = ask.links {
        let links = match engine.record(id)? {
            Some(record) => {
                let mut links = engine.links(&record, &work.cancel)?;
                links.insert(0, Link::new(record, "itself", crate::query::engine::Match::Exact));
                links
            }
            None => Vec::new(),
        };
        work.give(Piece::Fresh);
        work.give(Piece::Links(links, took()));
        return Ok(());
    }
    let mut question = ask.question(engine)?;
    if !question.stages.is_empty() {
        sort_table(&mut question, ask);
        let table = engine.table(&question, &work.cancel)?;
        work.give(Piece::Fresh);
        let empty = table.rows.is_empty();
        work.give(Piece::Table(table, took()));
        return if empty { why(work, ask) } else { Ok(()) };
    }
    if let Some(order) = ask.order() {
        return sorted(work, ask, &question, &order, part, &took);
    }
    match part {
        Part::Start | Part::First(_) => {
            let answered = stream(work, &question, None, true)?;
            work.give(Piece::End { before: Some(false), after: Some(answered.more), elapsed: took() });
            if answered.rows == 0 {
                why(work, ask)?;
            }
        }
        Part::End => {
            let (rows, answered) = backward(work, &question, None, PAGE)?;
            let empty = rows.is_empty();
            work.give(Piece::Fresh);
            work.give(Piece::Rows(rows));
            work.give(Piece::End { before: Some(answered.more), after: Some(false), elapsed: took() });
            if empty {
                why(work, ask)?;
            }
        }
        Part::Around(at) => around(work, ask, &question, at, &took)?,
        Part::After(at) => {
            let answered = stream(work, &question, Some(at), false)?;
            work.give(Piece::End { before: None, after: Some(answered.more), elapsed: took() });
        }
        Part::Before(at) => {
            let (rows, answered) = backward(work, &question, Some(at), PAGE)?;
            work.give(Piece::Earlier(rows));
            work.give(Piece::End { before: Some(answered.more), after: None, elapsed: took() });
        }
        Part::Found(from, ahead, condition) => {
            let wanted = compiled(engine, &super::focus::both(&ask.text, &condition), ask.window)?;
            let page = Page { ascending: ahead, limit: 1, after: from };
            let mut found = None;
            engine.select(&wanted, &page, &work.cancel, &mut |record| {
                found = Some(Cursor { time: record.time(), id: record.id });
                false
            })?;
            if let Some(at) = found {
                around(work, ask, &question, at, &took)?;
            }
            work.give(Found(found));
        }
    }
    Ok(())
}

/// Groups are put in order behind everything else that makes them.
pub(super) fn sort_table(question: &mut Question, ask: &Ask) {
    if let Some(sort) = &ask.sort {
        question.stages.push(Stage::Sort { column: sort.name.clone(), descending: sort.descending });
    }
}

/// The first rows in another order, or which of them satisfy a condition as well.
fn sorted(work: &Work, ask: &Ask, question: &Question, order: &Order, part: Part, took: &dyn Fn() -> u64) -> Result<()> {
    if let Part::Found(_, _, condition) = part {
        let wanted = compiled(&*work.engine, &super::focus::both(&ask.text, &condition), ask.window)?;
        let found = work.engine.sorted(&wanted, order, MOST_SORTED, &work.cancel)?;
        work.give(FoundAmong(found.rows.into_iter().map(|r| r.id).collect()));
        return Ok(());
    }
    let limit = if let Part::First(n) = part { n.clamp(PAGE, MOST_SORTED) } else { PAGE };
    let found = work.engine.sorted(question, order, limit, &work.cancel)?;
    let empty = found.rows.is_empty();
    work.give(Piece::Fresh);
    work.give(Piece::Of(found.of));
    work.give(Piece::Rows(found.rows));
    work.give(Piece::End { before: Some(false), after: Some(false), elapsed: took() });
    if empty { why(work, ask) } else { Ok(()) }
}

fn around(work: &Work, ask: &Ask, question: &Question, at: Cursor, took: &dyn Fn() -> u64) -> Result<()> {
    // Rows of the same instant belong to the first half, so that the row itself is found among them.
    let last = RecordId { evidence: EvidenceKey(u64::MAX), offset: u64::MAX, ordinal: u16::MAX };
    let (rows, before) =
        backward(work, question, Some(Cursor { time: Time(at.time.0.saturating_add(1)), id: RecordId::default() }), BEFORE)?;
    let empty = rows.is_empty();
    let same = if rows.iter().any(|r| r.id == at.id) { None } else { of_connection(work, &rows, at)? };
    work.give(Piece::Fresh);
    work.give(Piece::Rows(rows));
    let after = stream(work, question, Some(Cursor { time: at.time, id: last }), false)?;
    work.give(Piece::End { before: Some(before.more), after: Some(after.more), elapsed: took() });
    if same.is_some() {
        work.give(Found(same));
    }
    if empty && after.rows == 0 { why(work, ask) } else { Ok(()) }
}

/// Of rows among which a record is not, the newest of its connection that had begun by then: from an alert one lands on its flow.
fn of_connection(work: &Work, rows: &[Record], at: Cursor) -> Result<Option<Cursor>> {
    let Some(from) = work.engine.record(at.id)? else { return Ok(None) };
    let ends = |r: &Record| -> Option<[(std::net::IpAddr, Option<u64>); 2]> {
        let mut ends = [(r.addr(field::SRC_IP)?, r.uint(field::SRC_PORT)), (r.addr(field::DST_IP)?, r.uint(field::DST_PORT))];
        ends.sort_unstable();
        Some(ends)
    };
    let Some(wanted) = ends(&from) else { return Ok(None) };
    // A source may stamp a second late; nothing else is guessed here.
    let alive = |r: &&Record| r.until().plus(SECOND) >= from.time();
    let found = rows.iter().rev().filter(alive).find(|r| ends(r) == Some(wanted));
    Ok(found.map(|r| Cursor { time: r.time(), id: r.id }))
}

fn backward(work: &Work, question: &Question, after: Option<Cursor>, limit: usize) -> Result<(Vec<Record>, Answered)> {
    let mut rows = Vec::new();
    let page = Page { ascending: false, limit, after };
    let answered = work.engine.select(question, &page, &work.cancel, &mut |record| {
        rows.push(record);
        true
    })?;
    rows.reverse();
    Ok((rows, answered))
}

fn stream(work: &Work, question: &Question, after: Option<Cursor>, fresh: bool) -> Result<Answered> {
    let page = Page { ascending: true, limit: PAGE, after };
    let mut batch = Vec::new();
    let mut given = 0usize;
    let mut last = Instant::now();
    if fresh {
        work.give(Piece::Fresh);
    }
    let answered = work.engine.select(question, &page, &work.cancel, &mut |record| {
        batch.push(record);
        if (given == 0 && batch.len() >= FIRST) || last.elapsed() >= OFTEN {
            given += batch.len();
            work.give(Piece::Rows(std::mem::take(&mut batch)));
            last = Instant::now();
        }
        !work.cancel.is_cancelled()
    })?;
    work.cancel.check()?;
    if !batch.is_empty() {
        work.give(Piece::Rows(batch));
    }
    Ok(answered)
}

/// Which rows are asked for again.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// So many of the oldest.
    Oldest(usize),
    /// So many of the newest.
    Newest(usize),
    /// So many up to a row, it included, and so many after it.
    Around(Cursor, usize, usize),
}

/// What is shown, as it is now.
#[derive(Debug, Default)]
pub struct Anew {
    /// The rows, in order.
    pub rows: Vec<Record>,
    /// There are rows before the first.
    pub before: bool,
    /// There are rows after the last.
    pub after: bool,
    /// The newest were asked for.
    pub newest: bool,
    /// The groups, of a question that makes groups.
    pub table: Option<Table>,
}

/// Asks for a part of an answer as it is now, and gives it in one piece.
pub fn again(work: &Work, ask: &Ask, place: Place) -> Result<()> {
    let mut question = ask.question(&*work.engine)?;
    if !question.stages.is_empty() {
        sort_table(&mut question, ask);
    }
    let mut anew = Anew::default();
    let forward = |after: Option<Cursor>, limit: usize, rows: &mut Vec<Record>| {
        let page = Page { ascending: true, limit, after };
        work.engine.select(&question, &page, &work.cancel, &mut |record| {
            rows.push(record);
            true
        })
    };
    if !question.stages.is_empty() {
        anew.table = Some(work.engine.table(&question, &work.cancel)?);
    } else {
        match place {
            Place::Oldest(n) => anew.after = forward(None, n, &mut anew.rows)?.more,
            Place::Newest(n) => {
                let (rows, answered) = backward(work, &question, None, n)?;
                (anew.rows, anew.before, anew.newest) = (rows, answered.more, true);
            }
            Place::Around(at, before, after) => {
                let (rows, answered) = backward(work, &question, Some(just_after(at)), before + 1)?;
                (anew.rows, anew.before) = (rows, answered.more);
                anew.after = forward(Some(at), after, &mut anew.rows)?.more;
            }
        }
    }
    work.cancel.check()?;
    work.give(anew);
    Ok(())
}

/// The place behind a row, for what goes back from it.
fn just_after(at: Cursor) -> Cursor {
    let RecordId { evidence, offset, ordinal } = at.id;
    let id = match (ordinal.checked_add(1), offset.checked_add(1)) {
        (Some(ordinal), _) => RecordId { ordinal, ..at.id },
        (None, Some(offset)) => RecordId { offset, ordinal: 0, evidence },
        (None, None) => RecordId { evidence: EvidenceKey(evidence.0.saturating_add(1)), offset: 0, ordinal: 0 },
    };
    Cursor { time: at.time, id }
}

/// Finds out why an answer is empty.
fn why(work: &Work, ask: &Ask) -> Result<()> {
    let engine = &*work.engine;
    let span = engine.span();
    let window = ask.window.or(span).unwrap_or(Window::ALL);
    let count = |text: &str, window: Option<Window>| -> Result<Option<u64>> {
        let question = compiled(engine, text, window)?;
        if !question.stages.is_empty() {
            return Ok(None);
        }
        Ok(engine.counts(&[question], 1_000_000, &work.cancel)?.first().map(|c| c.n))
    };
    let unfiltered = if ask.unfiltered == ask.text { None } else { count(&ask.unfiltered, ask.window)? };
    let outside = if ask.window.is_none() { None } else { count(&ask.unfiltered, None)? };
    let why = Why { coverage: engine.coverage(&window), unfiltered, outside, nothing_in_case: span.is_none() };
    work.give(Piece::Why(why));
    Ok(())
}
