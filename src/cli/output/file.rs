//! Answers into files, for the workbench.

use super::{Form, sweep};
use crate::cli::ask::every_column;
use crate::error::{Error, Result};
use crate::query::engine::{Cancel, Page};
use crate::query::{Engine, Question};
use crate::tui::export::Exported;
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
        Exported::Rows(question) => written(engine, question, form, cancel, &mut bytes)?,
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

/// Writes the answer of a question; gives its rows.
fn written(engine: &dyn Engine, question: &Question, form: Form, cancel: &Cancel, out: &mut Vec<u8>) -> Result<u64> {
    if !question.stages.is_empty() {
        let table = engine.table(question, cancel)?;
        super::table(form, &table, "backtrail.group/1", out)?;
        return Ok(table.rows.len() as u64);
    }
    let mut count = 0u64;
    let mut rows = super::rows(form, every_column(), out);
    let mut failed = None;
    engine.select(question, &Page::default(), cancel, &mut |record| {
        count += 1;
        failed = rows.record(&record, engine).err();
        failed.is_none()
    })?;
    match failed {
        Some(err) => Err(err),
        None => rows.end().map(|()| count),
    }
}
