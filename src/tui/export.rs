//! Writing what is on the screen to a file: what the open pane has of its own, else the marked rows, else the rows of the lens. How a form is
//! written is known by the layer that also prints it.

use super::app::App;
use super::columns;
use super::go::Said;
use super::lenses::{Column, Show};
use super::load::sort_table;
use super::overlay::Overlay;
use super::times::thousands;
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::model::field::{self, FieldId};
use crate::query::engine::Cancel;
use crate::query::sweep::Answer;
use crate::query::{Engine, Order, Question};
use std::path::Path;

/// What is written.
pub enum Exported<'a> {
    /// The answer of a question, as it stands on the screen.
    Rows(&'a Question, &'a Shape),
    /// A sweep.
    Sweep(&'a Answer),
}

/// How rows stand on the screen. Forms that have columns take those of the lens, chosen or its own; those that a narrow window has no room for
/// are among them. The other forms take whole records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// Another order than that of time.
    pub order: Option<Order>,
    /// The columns.
    pub columns: Vec<Taken>,
}

/// A column in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Its heading.
    pub title: String,
    /// What stands in it.
    pub of: Of,
}

/// What stands in a column of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Of {
    /// A field; of several the first that a record has.
    First(Vec<FieldId>),
    /// The record in one line.
    Summary,
    /// The other sources that saw it.
    SeenBy,
}

impl Taken {
    /// What a column of the screen is in a file: the other end of a row is two, since a file has no focus.
    pub fn of(column: &Column) -> Vec<Taken> {
        let field = |id: FieldId| Taken { title: field::name(id), of: Of::First(vec![id]) };
        match column.show {
            Show::Peer => vec![field(field::SRC_IP), field(field::DST_IP)],
            Show::Summary => vec![Taken { title: "summary".into(), of: Of::Summary }],
            Show::Match => vec![Taken { title: "seen_by".into(), of: Of::SeenBy }],
            _ => match columns::fields(column).as_slice() {
                [] => Vec::new(),
                [id] => vec![field(*id)],
                several => vec![Taken { title: column.title.to_owned(), of: Of::First(several.to_vec()) }],
            },
        }
    }
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
        let label = match &given {
            Some(_) => "export to (.csv, .jsonl, .txt)",
            None => "export to (.csv, .txt: these columns; .jsonl, .log: all)",
        };
        let name = format!("{}-{what}", app.keeper.name()).replace(['/', ' '], "-");
        app.overlay = Some(Overlay::prompt(label, "export", &name));
        return Ok(());
    }
    let path = super::files::path(args);
    let mut ask = app.rows.ask.clone();
    if given.is_none()
        && let Some(these) = app.marked_query()?.or(app.rows.linked())
    {
        (ask.text, ask.window) = (these, None);
    }
    let shape = app.rows.shape();
    app.ask("export", move |work| {
        let engine = &*work.engine;
        let ((rows, sha256), what) = match &given {
            Some(Given::Sweep { from, answer }) => {
                let written = write(engine, Exported::Sweep(answer), &path, &work.cancel)?;
                (written, format!("the sweep for {from}"))
            }
            None => {
                let mut question = ask.question(engine)?;
                let text = question.text.clone();
                if !question.stages.is_empty() {
                    sort_table(&mut question, &ask);
                }
                (write(engine, Exported::Rows(&question, &shape), &path, &work.cancel)?, text)
            }
        };
        let shown = path.display().to_string();
        work.keeper.append(What::Export { what: format!("{rows} rows of: {what}"), path: shown.clone(), sha256 })?;
        work.give(Said(format!("{} rows written to {shown}", thousands(rows))));
        Ok(())
    });
    Ok(())
}
