//! What somebody has to decide or look at: home networks and zones that were guessed, files that were not read whole, kinds that are missing.

use super::sources::zone;
use super::{Asking, Cell, Go, Line, Section, Which};
use crate::context::sites::zone_by_activity;
use crate::error::Result;
use crate::model::source::{Basis, SourceInfo};
use crate::model::{Kind, Window};
use std::path::Path;

const HOUR: i64 = 3600 * crate::model::time::SECOND;
/// Most hours of activity that a zone is guessed from.
const MAX_HOURS: i64 = 24 * 60;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let mut lines = Vec::new();
    homes(asking, &mut lines)?;
    let sources = asking.engine.sources();
    clocks(&sources, &mut lines);
    files(asking, &sources, &mut lines);
    missing(asking, &mut lines);
    Ok(Section::new(Which::Decide, lines, "Enter goes to where it is decided", "nothing: networks, zones and files are settled"))
}

fn line(what: String, because: String, go: Go, loud: bool) -> Line {
    Line { cells: vec![Cell::Text(what), Cell::Text(because)], go, loud }
}

/// Hours east of UTC by the working days' curve of the flows; see [`zone_by_activity`].
pub fn zone_guess(asking: &Asking) -> Result<Option<i32>> {
    let end = asking.window.end;
    let window = Window::new(asking.window.start.max(end.plus(-MAX_HOURS * HOUR)), end);
    let hours = usize::try_from(window.length() / HOUR).unwrap_or(0) + 2;
    let question = asking.engine.compile("kind = flow")?.within(&window);
    let line = asking.engine.timeline(&question, hours, None, asking.cancel)?;
    if line.bin <= 0 || line.bin > HOUR {
        return Ok(None);
    }
    let mut hourly: Vec<f64> = Vec::new();
    for (n, count) in line.bins.iter().enumerate() {
        let at = line.start.plus(line.bin.saturating_mul(n as i64)).0.div_euclid(HOUR) - line.start.0.div_euclid(HOUR);
        let at = usize::try_from(at).unwrap_or(0);
        if hourly.len() <= at {
            hourly.resize(at + 1, 0.0);
        }
        hourly[at] += count;
    }
    Ok(zone_by_activity(line.start, &hourly))
}

/// A number of hours east of UTC as zones are written.
pub fn offset(hours: i32) -> String {
    format!("{}{:02}:00", if hours < 0 { '-' } else { '+' }, hours.abs())
}

fn homes(asking: &Asking, lines: &mut Vec<Line>) -> Result<()> {
    let sites = asking.engine.sites(asking.cancel)?;
    let zone = match sites.applied().iter().any(|s| s.zone.is_some()) {
        true => None,
        false => zone_guess(asking)?,
    };
    let zone = zone.map(|hours| format!("working hours fit UTC{}", offset(hours)));
    if sites.confirmed.is_empty() {
        let nets: Vec<String> = sites.guessed.iter().flat_map(|s| &s.networks).map(ToString::to_string).collect();
        let (what, because) = if nets.is_empty() {
            ("which networks are yours?", "no private address was seen: every flow is external until you say".to_owned())
        } else {
            ("home networks are a guess", nets.join(" "))
        };
        let because = [Some(because), zone].into_iter().flatten().collect::<Vec<_>>().join(" · ");
        lines.push(line(what.into(), because, Go::Sites, true));
    } else if let Some(zone) = zone {
        lines.push(line("no site has a zone".into(), zone, Go::Sites, false));
    }
    Ok(())
}

fn clocks(sources: &[SourceInfo], lines: &mut Vec<Line>) {
    let span = |s: &SourceInfo| s.span.map(|w| w.shifted(s.clock.shift));
    let flows = sources.iter().filter(|s| s.kinds.iter().any(|(k, n)| *k == Kind::Flow && *n > 0)).filter_map(span);
    let flows = flows.reduce(|a, b| Window::new(a.start.min(b.start), a.end.max(b.end)));
    for source in sources.iter().filter(|s| s.counts.records > 0) {
        let go = Go::Source(source.name.clone());
        // Lists and scans are made at any time.
        let said = source.kinds.iter().any(|(k, n)| *n > 0 && !matches!(k, Kind::Inventory | Kind::Vuln));
        let apart = match (span(source), flows) {
            (Some(own), Some(flows)) => said && !flows.overlaps(own.start, own.end),
            _ => false,
        };
        if apart {
            let because = "its times are none of the flows': a wrong year, zone or clock?".to_owned();
            lines.push(line(format!("clock of {}", source.name), because, go, true));
        } else if source.clock.zone_basis == Basis::Assumed {
            let year = source.clock.year.map(|y| format!(", year {y}")).unwrap_or_default();
            lines.push(line(format!("zone of {}", source.name), format!("{}{year}", zone(source)), go, false));
        } else if source.clock.year.is_some() && !source.clock.manual {
            let because = source.clock.year.map(|y| format!("{y} assumed")).unwrap_or_default();
            lines.push(line(format!("year of {}", source.name), because, go, false));
        }
    }
}

fn files(asking: &Asking, sources: &[SourceInfo], lines: &mut Vec<Line>) {
    let name = |path: &str| Path::new(path).file_name().map_or_else(|| path.to_owned(), |n| n.to_string_lossy().into_owned());
    for file in asking.engine.evidence() {
        let go = match (file.sources.first(), file.format.as_str()) {
            (Some(id), _) => {
                sources.iter().find(|s| s.id == *id).map_or(Go::Source(String::new()), |s| Go::Source(s.name.clone()))
            }
            _ => Go::Source(String::new()),
        };
        if file.counts.records == 0 && (file.format.is_empty() || file.format == "unknown") {
            let because = file.warnings.first().cloned().unwrap_or_else(|| "of no known form".into());
            lines.push(line(format!("{} was not read", name(&file.path)), because, go, true));
        } else if file.counts.failed > 0 {
            let because = format!("{} of {} lines not understood", file.counts.failed, file.counts.units());
            lines.push(line(format!("{} read in part", name(&file.path)), because, go, false));
        } else if let Some(warning) = file.warnings.first()
            && !is_about_clock(warning)
        {
            let more = file.warnings.len() - 1;
            let more = if more > 0 { format!(" (+{more})") } else { String::new() };
            lines.push(line(format!("{} has a warning", name(&file.path)), format!("{warning}{more}"), go, false));
        }
    }
}

/// What was assumed of a clock stands with the source already.
fn is_about_clock(warning: &str) -> bool {
    warning.contains("without a zone") || warning.contains("without a year")
}

fn missing(asking: &Asking, lines: &mut Vec<Line>) {
    if asking.engine.sources().is_empty() {
        return;
    }
    let kinds: [(&[Kind], &str, &str); 3] = [
        (&[Kind::Alert, Kind::Notice], "no alerts", "an IDS log of this time, or Suricata run over the capture, would give them"),
        (&[Kind::Flow], "no flows", "who spoke with whom is unknown: a capture, Zeek or NetFlow would tell"),
        (&[Kind::Dns], "no DNS", "which names were used is known from TLS and HTTP only"),
    ];
    for (kinds, what, because) in kinds {
        if !asking.has(kinds) {
            lines.push(line(what.into(), because.into(), Go::Source(String::new()), false));
        }
    }
}
