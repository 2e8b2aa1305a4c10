//! Beginning a sweep: from a file, from what is typed, from what is pasted (many lines stay a text and never become keys).

use super::app::App;
use super::overlay::Overlay;
use super::panes::Pane;
use super::panes::sweep::{From, Sweep};
use crate::error::{Error, Result};
use crate::formats::indicators::extract;

/// What the prompt asks.
const LABEL: &str = "sweep for (a file, or paste the text)";

impl App {
    /// Sweeps for the indicators of a file, else of the text itself; without either, shows the last sweep again or asks.
    pub(super) fn sweep(&mut self, args: &str) -> Result<()> {
        if args.is_empty() {
            let open = self.opened.last().is_some_and(|p| p.name() == "sweep");
            match self.aside.take().filter(|_| !open) {
                Some((_, pane, new)) => self.put_back(pane, new),
                None => self.overlay = Some(Overlay::prompt(LABEL, "sweep", "")),
            }
            return Ok(());
        }
        let path = super::files::path(args);
        let from = if path.is_file() {
            From::File(path)
        } else if !extract(args, true).indicators.is_empty() {
            From::Text(args.to_owned())
        } else {
            return Err(Error::user(format!("{args} is no file, and no indicator is in it")).hint("a path, or indicators"));
        };
        self.open(Box::new(Sweep::new(from)));
        Ok(())
    }
    /// A pane that was put aside stands over the body again.
    pub(super) fn put_back(&mut self, pane: Box<dyn Pane>, new: bool) {
        if new { self.open(pane) } else { self.opened.push(pane) }
    }
    /// Takes a pasted text for a sweep where one is asked for or shown. False: it was not for us.
    pub(super) fn sweep_pasted(&mut self, text: &str) -> bool {
        let lines = text.trim().lines().count();
        let asked = match &self.overlay {
            Some(Overlay::Prompt { command, line, .. }) => {
                let written = line.text().trim();
                (command == "sweep" && written.is_empty() || command.is_empty() && written == "sweep") && lines > 1
            }
            Some(_) => false,
            None => self.opened.last().is_some_and(|p| p.name() == "sweep") && lines > 0,
        };
        if asked {
            self.overlay = None;
            self.open(Box::new(Sweep::new(From::Text(text.to_owned()))));
        }
        asked
    }
}
