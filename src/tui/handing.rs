//! Handing the packets of the selected flow or the marked rows to another program: cut in the background, then the terminal is lent to it.

use super::app::{App, Ask};
use super::overlay::Overlay;
use crate::case::handing::{self, Handed};
use crate::error::{Error, Result};
use crate::model::{Kind, field};
use crate::query::quote;
use std::path::PathBuf;

/// What a job has cut, for a program that is there.
pub(super) struct Ready(pub(super) Handed, pub(super) PathBuf);
/// What a job has cut, to be called elsewhere.
pub(super) struct Called(pub(super) Handed);

/// The question for the flows under the cursor; of what a flow carried, that flow.
fn flows(app: &App) -> Result<String> {
    if let Some(marked) = app.marked_query()? {
        return Ok(marked);
    }
    let Some(record) = app.selection().record else {
        return Err(Error::user("no row is selected").hint("stand on a flow, or mark rows"));
    };
    let own = record.id.to_string();
    let flow = record.text(field::FLOW).filter(|_| record.kind != Kind::Flow);
    Ok(format!("id = {}", quote(flow.unwrap_or(&own))))
}

/// `PROGRAM`: runs it on the packets; without one it is asked for.
pub(super) fn open_with(app: &mut App, args: &str) -> Result<()> {
    let text = flows(app)?;
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt("open in (tshark, termshark, wireshark)", "open_with", "tshark"));
        return Ok(());
    }
    let program = handing::program(args)?;
    app.ask("open_with", move |work| {
        let handed = handing::hand(&*work.engine, &work.keeper.dir(), program, &text, &work.cancel)?;
        let path = handed.found()?;
        work.give(Ready(handed, path));
        Ok(())
    });
    Ok(())
}

/// `[PROGRAM]`: copies how it would be called on the packets.
pub(super) fn copy_call(app: &mut App, args: &str) -> Result<()> {
    let text = flows(app)?;
    let program = handing::program(if args.is_empty() { "tshark" } else { args })?;
    app.ask("open_with", move |work| {
        work.give(Called(handing::hand(&*work.engine, &work.keeper.dir(), program, &text, &work.cancel)?));
        Ok(())
    });
    Ok(())
}

impl App {
    /// Takes what was cut; anything else is given back.
    pub(super) fn take_handed(&mut self, answer: super::jobs::Answer) -> Option<super::jobs::Answer> {
        if answer.is::<Ready>() {
            if let Some(Ready(handed, path)) = answer.take() {
                self.asks.push(Ask::Run(path, handed));
            }
            return None;
        }
        if answer.is::<Called>() {
            if let Some(Called(handed)) = answer.take() {
                let line = handed.line();
                self.copy(&line, &line);
            }
            return None;
        }
        Some(answer)
    }
}
