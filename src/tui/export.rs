//! Writing what is on the screen to a file: what the open pane has of its own, else the marked rows, else the rows of the lens. How a form is
//! written is known by the layer that also prints it.

use super::app::App;
use super::go::Said;
use super::load::compiled;
use super::overlay::Overlay;
use super::times::thousands;
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::query::engine::Cancel;
use crate::query::sweep::Answer;
use crate::query::{Engine, Question};
use std::path::Path;

/// What is written.
pub enum Exported<'a> {
    /// The answer of a question.
    Rows(&'a Question),
    /// A sweep.
    Sweep(&'a Answer),
}

/// Writes it to a new file in the form that the file's name ends in; gives the rows and the SHA-256 of what was written.
pub type Export = fn(&dyn Engine, Exported, &Path, &Cancel) -> Result<(u64, String)>;

/// What a pane has of its own to be written.
pub enum Given {
    /// A sweep.
    Sweep {
        /// What was swept for.
        from: String,
        /// What came of it.
        answer: Answer,
    },
}

/// `FILE`: an existing file is not overwritten; without one it is asked for.
pub(super) fn export(app: &mut App, args: &str) -> Result<()> {
    let Some(write) = app.options.export else {
        return Err(Error::user("this workbench cannot write files").hint("backtrail query 'TEXT' -o jsonl"));
    };
    let given = app.opened.last().and_then(|pane| pane.given());
    if args.is_empty() {
        let what = match &given {
            Some(Given::Sweep { .. }) => "sweep.csv".to_owned(),
            None => format!("{}.jsonl", app.walk.here().lens().name),
        };
        let name = format!("{}-{what}", app.keeper.name()).replace(['/', ' '], "-");
        app.overlay = Some(Overlay::prompt("export to (.csv, .jsonl, .txt)", "export", &name));
        return Ok(());
    }
    let path = super::files::path(args);
    let (text, window) = match &given {
        Some(_) => (String::new(), None),
        None => match app.marked_query()? {
            Some(marked) => (marked, None),
            None => (app.rows.ask.text.clone(), app.rows.ask.window),
        },
    };
    app.ask("export", move |work| {
        let engine = &*work.engine;
        let ((rows, sha256), what) = match &given {
            Some(Given::Sweep { from, answer }) => {
                let written = write(engine, Exported::Sweep(answer), &path, &work.cancel)?;
                (written, format!("the sweep for {from}"))
            }
            None => {
                let question = compiled(engine, &text, window)?;
                (write(engine, Exported::Rows(&question), &path, &work.cancel)?, question.text)
            }
        };
        let shown = path.display().to_string();
        work.keeper.append(What::Export { what: format!("{rows} rows of: {what}"), path: shown.clone(), sha256 })?;
        work.give(Said(format!("{} rows written to {shown}", thousands(rows))));
        Ok(())
    });
    Ok(())
}
