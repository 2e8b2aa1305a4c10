//! The handover of the case, made in the background.

use super::app::App;
use super::go::Said;
use super::overlay::Overlay;
use super::times::thousands;
use crate::case::handover::{Limits, Request, hand_over};
use crate::error::Result;

/// `DIR`, `FILE.zip` or `FILE.tar`; without one it is asked for.
pub(super) fn handover(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        let name = format!("{}-handover.zip", app.keeper.name()).replace(['/', ' '], "-");
        app.overlay = Some(Overlay::prompt("hand over to (folder, .zip or .tar)", "handover", &name));
        return Ok(());
    }
    let path = super::files::path(args);
    app.say("the handover is being made; Esc gives it up");
    app.ask("handover", move |work| {
        let request = Request { to: &path, limits: Limits::default(), redactor: None };
        let handed = hand_over(&*work.engine, &*work.keeper, request, &work.cancel)?;
        let note = handed.notes.first().map(|n| format!("; {n}")).unwrap_or_default();
        work.give(Said(format!(
            "{} statements, {} cited records, {} packets written to {}{note}",
            handed.statements,
            thousands(handed.cited as u64),
            thousands(handed.packets as u64),
            path.display()
        )));
        Ok(())
    });
    Ok(())
}
