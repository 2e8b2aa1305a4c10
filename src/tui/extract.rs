//! Rebuilding the files of the selected flow, `file` event or marked rows, in the background.

use super::app::App;
use super::go::Said;
use super::overlay::Overlay;
use crate::case::extract::pack::{PASSWORD, Request, extract_to};
use crate::case::extract::spool::Limits;
use crate::error::{Error, Result};

/// `DIR` or `FILE.zip`; without one it is asked for.
pub(super) fn extract(app: &mut App, args: &str) -> Result<()> {
    let Some(text) = app.selected_query()? else {
        return Err(Error::user("no row is selected").hint("stand on a flow or a file, or mark rows"));
    };
    if args.is_empty() {
        let name = format!("{}-files", app.keeper.name()).replace(['/', ' '], "-");
        app.overlay = Some(Overlay::prompt("extract files to (folder or .zip)", "extract", &name));
        return Ok(());
    }
    let path = super::files::path(args);
    app.ask("extract", move |work| {
        let request = Request { text: &text, to: &path, password: PASSWORD, limits: Limits::default() };
        let found = extract_to(&*work.engine, &*work.keeper, &request, &work.cancel)?;
        let (files, sound) = (found.files.len(), found.files.iter().filter(|f| f.sound).count());
        let said = if files == 0 {
            format!("no file passed in these {} flows", found.flows)
        } else {
            let note = found.notes.first().map(|n| format!("; {n}")).unwrap_or_default();
            format!("{files} files, {sound} whole, written to {}{note}", path.display())
        };
        work.give(Said(said));
        Ok(())
    });
    Ok(())
}
