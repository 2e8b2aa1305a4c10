//! What was not covered: kinds of record that no source gives, parts of the window that none covers, what was not read or was malformed.

use super::Report;
use crate::case::home::{self, Asking, Go, Which, first_window};
use crate::error::Result;
use crate::model::answer::Cancel;
use crate::model::decision::Decision;
use crate::model::{Kind, Time, Window};
use crate::query::Engine;
use std::path::Path;

/// Parts of the window that are shorter than this part of it, in percent, are not listed.
pub(super) const LEAST: i64 = 5;

/// Kinds of record that an investigation asks for: their name, which they are, and what would give them.
const KINDS: &[(&str, &[Kind], &str)] = &[
    ("flows", &[Kind::Flow], "a capture, Zeek or NetFlow"),
    ("alerts", &[Kind::Alert, Kind::Notice], "an IDS, or Suricata run over the captures"),
    ("DNS", &[Kind::Dns], "a resolver's log, or a capture in front of it"),
    ("web requests", &[Kind::Http, Kind::Proxy], "a proxy's or web server's log, or a capture without TLS"),
    ("firewall records", &[Kind::Fw], "the firewall's log"),
    ("logins", &[Kind::Auth], "the logs of hosts and directories"),
    ("leases", &[Kind::Dhcp], "the DHCP server's log: which machine had which address"),
    ("inventory", &[Kind::Inventory, Kind::Vuln], "an inventory or a scan: what should be there"),
];

/// The time of a bookmark: what it is called, its window, and by which sources that is covered, in part, and not at all.
type Span = (String, Window, Vec<String>, Vec<String>, Vec<String>);

/// What was not covered.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// Kinds of record with what is missing of them, and what would tell.
    pub kinds: Vec<(&'static str, String, &'static str)>,
    /// Bookmarks of a time.
    pub windows: Vec<Span>,
}

/// Looks for it.
pub(super) fn covered(report: &Report, engine: &dyn Engine) -> Result<Covered> {
    let mut out = Covered::default();
    let Some(span) = first_window(engine).or(report.span) else { return Ok(out) };
    let here = engine.coverage(&span);
    for (name, kinds, what) in KINDS {
        let spans: Vec<Window> =
            here.iter().filter(|c| c.kinds.iter().any(|k| kinds.contains(k))).filter_map(|c| c.covers).collect();
        let parts = gaps(&span, spans);
        let known = report.sources.iter().any(|s| s.kinds.iter().any(|(k, n)| *n > 0 && kinds.contains(k)));
        match &parts[..] {
            [] => {}
            _ if !known => out.kinds.push((name, "no source has any".into(), what)),
            // Lists and scans are made at any time.
            _ if kinds.contains(&Kind::Inventory) => {}
            parts => {
                let parts: Vec<String> = parts.iter().map(|w| format!("{} to {}", w.start, w.end)).collect();
                out.kinds.push((name, format!("no source covers {}", parts.join(", ")), what));
            }
        }
    }
    for kept in &report.bookmarks {
        let Ok(question) = engine.compile(&kept.bookmark.query) else { continue };
        let window = question.window;
        if window.start <= Time::MIN || window.end >= Time::MAX {
            continue;
        }
        let (mut by, mut part, mut not) = (Vec::new(), Vec::new(), Vec::new());
        for c in engine.coverage(&window) {
            let list = match c.covers {
                Some(covers) if covers == window => &mut by,
                Some(_) => &mut part,
                None => &mut not,
            };
            list.push(c.name);
        }
        out.windows.push((format!("bookmark {}", kept.bookmark.id), window, by, part, not));
    }
    Ok(out)
}

/// The parts of a window that none of the others covers, those left out that are shorter than [`LEAST`] percent of it.
fn gaps(window: &Window, mut spans: Vec<Window>) -> Vec<Window> {
    spans.sort_by_key(|w| (w.start, w.end));
    let mut out = Vec::new();
    let mut at = window.start;
    for span in spans {
        if span.start > at {
            out.push(Window::new(at, span.start.min(window.end)));
        }
        at = at.max(span.end);
    }
    if at < window.end {
        out.push(Window::new(at, window.end));
    }
    let least = window.length() / 100 * LEAST;
    out.retain(|w| w.length() > least);
    out
}

/// What somebody has to decide, as home says, but for leads: these stand by themselves.
pub(super) fn undecided(
    report: &Report,
    dir: &Path,
    decisions: &[Decision],
    engine: &dyn Engine,
    cancel: &Cancel,
) -> Result<Vec<(String, String)>> {
    let window = first_window(engine).or(report.span).unwrap_or(Window::ALL);
    let asking = Asking { engine, dir, decisions, window, scope: "", cancel };
    let section = home::section(Which::Decide, &asking)?;
    let words = |line: &home::Line| {
        let mut cells = line.cells.iter().map(|c| c.show(&Time::rfc3339));
        (cells.next().unwrap_or_default(), cells.collect::<Vec<_>>().join(" "))
    };
    Ok(section.lines.iter().filter(|l| l.go != Go::Leads).map(words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_source_covers_is_found_between_around_and_when_there_is_none() {
        let window = |a, b| Window::new(Time(a), Time(b));
        let whole = window(0, 1000);
        assert_eq!(gaps(&whole, vec![]), [whole]);
        assert_eq!(gaps(&whole, vec![window(0, 400), window(300, 700)]), [window(700, 1000)]);
        assert_eq!(gaps(&whole, vec![window(800, 1000), window(100, 300)]), [window(0, 100), window(300, 800)]);
        assert_eq!(gaps(&whole, vec![window(-5, 500), window(540, 2000)]), [], "40 of 1000 are not listed");
    }
}
