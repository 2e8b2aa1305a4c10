//! Answers into files, for the workbench.

use super::csv::{failed, harmless};
use super::table::Grid;
use super::{Form, Rows, shown, sweep, value};
use crate::cli::ask::every_column;
use crate::error::{Error, Result};
use crate::model::{Record, field, summary};
use crate::query::engine::{Cancel, Cursor, Page};
use crate::query::sorted::Best;
use crate::query::{Engine, Order, Question};
use crate::tui::export::{Exported, Of, Shape, Taken};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// Writes to a new file: `.csv`, `.log` (Zeek's conn.log), `.txt` (a table), anything else JSON Lines.
pub fn export(engine: &dyn Engine, what: Exported, path: &Path, cancel: &Cancel) -> Result<(u64, String)> {
    let form = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => Form::Csv,
        Some("log") => Form::Zeek,
        Some("txt") => Form::Table,
        _ => Form::Jsonl,
    };
    let mut bytes = Vec::new();
    let count = match what {
        Exported::Rows(question, shape) => written(engine, question, shape, form, cancel, &mut bytes)?,
        Exported::Sweep(answer) => {
            let rows: Vec<_> = answer.rows.iter().collect();
            sweep::write(form, answer, &rows, engine, &mut bytes)?;
            rows.len() as u64
        }
    };
    let mut file = std::fs::File::create_new(path).map_err(|e| Error::io("writing", path, &e))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| Error::io("writing", path, &e))?;
    let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    Ok((count, sha256))
}

/// Most rows that are put into another order than that of time.
const MOST_SORTED: usize = 1_000_000;

/// Writes the answer of a question; gives its rows.
fn written(
    engine: &dyn Engine,
    question: &Question,
    shape: &Shape,
    form: Form,
    cancel: &Cancel,
    out: &mut Vec<u8>,
) -> Result<u64> {
    if !question.stages.is_empty() {
        let table = engine.table(question, cancel)?;
        super::table(form, &table, "backtrail.group/1", out)?;
        return Ok(table.rows.len() as u64);
    }
    let taken = !shape.columns.is_empty();
    let mut rows: Box<dyn Rows + '_> = match form {
        Form::Csv if taken => Box::new(Csv { columns: &shape.columns, begun: false, writer: csv::Writer::from_writer(out) }),
        Form::Table if taken => {
            let names = shape.columns.iter().map(|c| c.title.clone()).collect();
            let right = shape.columns.iter().map(|c| is_number(&c.of)).collect();
            Box::new(Columns { columns: &shape.columns, grid: Grid::new(names, right, false, out) })
        }
        _ => super::rows(form, every_column(), out),
    };
    let mut count = 0u64;
    let mut failed = None;
    match &shape.order {
        None => {
            engine.select(question, &Page::default(), cancel, &mut |record| {
                count += 1;
                failed = rows.record(&record, engine).err();
                failed.is_none()
            })?;
        }
        Some(order) => {
            for record in in_order(engine, question, order, cancel)? {
                count += 1;
                rows.record(&record, engine)?;
            }
        }
    }
    match failed {
        Some(err) => Err(err),
        None => rows.end().map(|()| count),
    }
}

/// All rows of an answer in another order than that of time, or none: a part would pass for all.
fn in_order(engine: &dyn Engine, question: &Question, order: &Order, cancel: &Cancel) -> Result<Vec<Record>> {
    let mut best = Best::new(order.descending, MOST_SORTED);
    engine.select(question, &Page::default(), cancel, &mut |record| {
        let value = order.value(&record, &|id| value(&record, id, engine));
        best.add(value, Cursor { time: record.time(), id: record.id }, record);
        true
    })?;
    cancel.check()?;
    let (rows, of) = best.finish();
    if of > rows.len() as u64 {
        return Err(Error::user(format!("{of} rows are too many to be put in order for a file ({MOST_SORTED} are the most)"))
            .hint("narrow them, or :sort off: in the order of time there is no limit"));
    }
    Ok(rows)
}

/// The cells of a record.
fn cells(columns: &[Taken], record: &Record, engine: &dyn Engine) -> Vec<String> {
    let cell = |of: &Of| match of {
        Of::First(ids) => ids.iter().find_map(|id| value(record, *id, engine).map(|v| shown(&v, Some(*id)))).unwrap_or_default(),
        Of::Summary => summary::line(record),
        Of::SeenBy => record.seen_by.iter().map(|s| engine.source_name(*s).to_string()).collect::<Vec<_>>().join(","),
    };
    columns.iter().map(|c| cell(&c.of)).collect()
}

fn is_number(of: &Of) -> bool {
    matches!(of, Of::First(ids) if ids.first().and_then(|id| field::get(*id)).is_some_and(|f| super::table::is_number(f.ty)))
}

/// CSV of the columns of the screen.
struct Csv<'w> {
    columns: &'w [Taken],
    begun: bool,
    writer: csv::Writer<&'w mut Vec<u8>>,
}

impl Csv<'_> {
    fn header(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        self.writer.write_record(self.columns.iter().map(|c| &c.title)).map_err(failed)
    }
}

impl Rows for Csv<'_> {
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        self.header()?;
        self.writer.write_record(cells(self.columns, record, engine).into_iter().map(harmless)).map_err(failed)
    }
    fn end(&mut self) -> Result<()> {
        self.header()?;
        self.writer.flush().map_err(super::io)
    }
}

/// A table of the columns of the screen.
struct Columns<'w> {
    columns: &'w [Taken],
    grid: Grid<'w>,
}

impl Rows for Columns<'_> {
    fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        self.grid.row(cells(self.columns, record, engine))
    }
    fn end(&mut self) -> Result<()> {
        self.grid.end()
    }
}
