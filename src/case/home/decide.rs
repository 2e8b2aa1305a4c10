//! What somebody has to decide or look at: open leads, home networks and zones that were guessed, files that were not read whole, kinds that are missing.

use super::sources::zone;
use super::{Asking, Cell, Go, Line, Section, Which};
use crate::case::leads::{self, Lead};
use crate::context::sites::zone_by_activity;
use crate::error::Result;
use crate::ingest::file::WIDE;
use crate::model::evidence::EvidenceInfo;
use crate::model::live::NONE_DROPPED;
use crate::model::source::{Basis, DateOrder, SourceInfo};
use crate::model::{Kind, Time, Window};
use std::collections::BTreeMap;
use std::path::Path;

const HOUR: i64 = 3600 * crate::model::time::SECOND;
/// Most hours of activity that a zone is guessed from.
const MAX_HOURS: i64 = 24 * 60;

pub(super) fn section(asking: &Asking) -> Result<Section> {
    let mut lines = Vec::new();
    leads(asking, &mut lines);
    window(asking, &mut lines);
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

/// Open leads: one line each, or one for all.
fn leads(asking: &Asking, lines: &mut Vec<Line>) {
    let open: Vec<Lead> = leads::leads(asking.decisions).into_iter().filter(Lead::is_open).collect();
    if open.len() > APIECE {
        let texts: Vec<&str> = open.iter().map(|l| l.text.as_str()).collect();
        lines.push(line(format!("{} leads are open", open.len()), texts.join(" · "), Go::Leads, false));
        return;
    }
    for lead in open {
        let next = if lead.next.is_empty() { "no next step".to_owned() } else { format!("next: {}", lead.next) };
        let owner = if lead.owner.is_empty() { "nobody's".to_owned() } else { lead.owner };
        lines.push(line(format!("lead {}: {}", lead.id, lead.text), format!("{next} · {owner}"), Go::Leads, false));
    }
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

/// So many sources or files with the same trouble have a line each; more are one line.
const APIECE: usize = 4;

/// Sources or files with the same trouble: name, why, where it leads.
type Alike = Vec<(String, String, Go)>;

/// One line each, or one for all that says why: which reasons there are, the commonest first, or if there is one, whose.
fn alike(what: &dyn Fn(&str) -> String, many: &str, found: Alike, loud: bool, lines: &mut Vec<Line>) {
    if found.len() <= APIECE {
        lines.extend(found.into_iter().map(|(name, because, go)| line(what(&name), because, go, loud)));
    } else {
        let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        found.iter().for_each(|(name, because, _)| kinds.entry(gist(because)).or_default().push(name));
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        let because = match &kinds[..] {
            [(because, names)] => format!("{because}: {}", names.join(", ")),
            _ => kinds.iter().map(|(because, names)| format!("{} {because}", names.len())).collect::<Vec<_>>().join(" · "),
        };
        lines.push(line(format!("{} {many}", found.len()), because, Go::Source(String::new()), loud));
    }
}

/// The words of a warning that it has in common with others of its kind: without numbers before them, up to the next number, place or mark.
fn gist(warning: &str) -> String {
    let number = |w: &&str| w.starts_with(|c: char| c.is_ascii_digit());
    let about = |w: &&str| number(w) || matches!(*w, "of" | "about" | "%");
    let mut words = Vec::new();
    for word in warning.split_whitespace().skip_while(about) {
        if number(&word) || word.starts_with(['(', '/']) {
            break;
        }
        let bare = word.trim_end_matches([':', ';', ',']);
        words.push(bare);
        if bare.len() < word.len() {
            break;
        }
    }
    while words.last().is_some_and(|w| matches!(*w, "from" | "with" | "at" | "by" | "of" | "and" | "for" | "to")) {
        words.pop();
    }
    if words.is_empty() { warning.to_owned() } else { words.join(" ") }
}

/// Times that are left out of what is shown first.
fn window(asking: &Asking, lines: &mut Vec<Line>) {
    let Some(whole) =
        asking.engine.span().filter(|whole| asking.window != Window::ALL && asking.window.length() < whole.length() / 2)
    else {
        return;
    };
    let day = |t: Time| t.utc().format("%Y-%m-%d").to_string();
    let because = format!(
        "nearly all is in {} to {}, which is shown; some stands from {} to {} (W: the whole case)",
        day(asking.window.start),
        day(asking.window.last()),
        day(whole.start),
        day(whole.last())
    );
    lines.push(line("a few times are far off".into(), because, Go::Source(String::new()), false));
}

fn clocks(sources: &[SourceInfo], lines: &mut Vec<Line>) {
    let span = |s: &SourceInfo| s.span.map(|w| w.shifted(s.clock.shift));
    let flows = sources.iter().filter(|s| s.kinds.iter().any(|(k, n)| *k == Kind::Flow && *n > 0)).filter_map(span);
    let flows = flows.reduce(|a, b| Window::new(a.start.min(b.start), a.end.max(b.end)));
    let (mut apart, mut zones, mut years, mut orders) = (Alike::new(), Alike::new(), Alike::new(), Alike::new());
    for source in sources.iter().filter(|s| s.counts.records > 0) {
        let go = Go::Source(source.name.clone());
        if let Some((order, Basis::Assumed)) = source.clock.dates {
            let read = if order == DateOrder::DayFirst { "3 April" } else { "4 March" };
            orders.push((source.name.clone(), format!("no number says; 03/04 is read as {read}"), go.clone()));
        }
        // Lists and scans are made at any time.
        let said = source.kinds.iter().any(|(k, n)| *n > 0 && !matches!(k, Kind::Inventory | Kind::Vuln));
        let is_apart = match (span(source), flows) {
            (Some(own), Some(flows)) => said && !flows.overlaps(own.start, own.end),
            _ => false,
        };
        if is_apart {
            apart.push((source.name.clone(), "at no time of the flows; wrong year, zone or clock?".to_owned(), go));
        } else if source.clock.zone_basis == Basis::Assumed {
            let year = source.clock.year.map(|y| format!(", year {y}")).unwrap_or_default();
            zones.push((source.name.clone(), format!("{}{year}", zone(source)), go));
        } else if let Some(year) = source.clock.year.filter(|_| !source.clock.manual) {
            years.push((source.name.clone(), format!("{year} assumed"), go));
        }
    }
    alike(&|n| format!("clock of {n}"), "clocks", apart, true, lines);
    alike(&|n| format!("zone of {n}"), "zones taken as UTC", zones, false, lines);
    alike(&|n| format!("order of dates of {n}"), "orders of dates guessed", orders, true, lines);
    alike(&|n| format!("year of {n}"), "years guessed", years, false, lines);
}

fn files(asking: &Asking, sources: &[SourceInfo], lines: &mut Vec<Line>) {
    let name = |path: &str| Path::new(path).file_name().map_or_else(|| path.to_owned(), |n| n.to_string_lossy().into_owned());
    let (mut partly, mut warned) = (Alike::new(), Alike::new());
    let evidence = asking.engine.evidence();
    unread(evidence.iter().filter(|e| e.is_unread()), lines);
    for file in evidence.iter().filter(|e| !e.is_unread()) {
        let source = file.sources.first().and_then(|id| sources.iter().find(|s| s.id == *id));
        let go = Go::Source(source.map(|s| s.name.clone()).unwrap_or_default());
        if file.counts.failed > 0 {
            let because = format!("{} of {} lines not understood", file.counts.failed, file.counts.units());
            partly.push((name(&file.path), because, go));
        } else if let Some(warning) = file.warnings.iter().find(|w| !is_about_clock(w) && !w.ends_with(NONE_DROPPED)) {
            warned.push((name(&file.path), warning.clone(), go));
        }
    }
    alike(&|n| format!("{n} read in part"), "files read in part", partly, false, lines);
    alike(&|n| format!("{n} has a warning"), "files with a warning", warned, false, lines);
}

/// Files that were not read: one line each, or one for all that says how many for which reason.
fn unread<'a>(files: impl Iterator<Item = &'a EvidenceInfo>, lines: &mut Vec<Line>) {
    let go = || Go::Source(String::new());
    let files: Vec<&EvidenceInfo> = files.collect();
    let why = |file: &EvidenceInfo| file.warnings.first().cloned().unwrap_or_else(|| "of no known form".into());
    if files.len() <= APIECE {
        lines.extend(files.iter().map(|f| line(format!("{} was not read", f.name()), why(f), go(), true)));
        return;
    }
    let reasons: Vec<String> = reasons(&files).into_iter().map(|(why, names)| format!("{} {why}", names.len())).collect();
    lines.push(line(format!("{} files not read", files.len()), reasons.join(" · "), go(), true));
}

/// Why files were not read, in short, the commonest first, and which.
pub fn reasons<'a>(files: &[&'a EvidenceInfo]) -> Vec<(String, Vec<&'a str>)> {
    let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in files {
        // Without what is of the one file, and without what to do.
        let why = file.warnings.first().map_or("of no known form", |w| w.split(['(', ';', ':']).next().unwrap_or(w)).trim_end();
        all.entry(why.to_owned()).or_default().push(file.name());
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    all
}

/// What was assumed of a clock stands with the source already; in which letters a text was written is settled.
fn is_about_clock(warning: &str) -> bool {
    warning.contains("without a zone")
        || warning.contains("without a year")
        || warning.starts_with("dates like")
        || warning == WIDE
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_one_kind_have_one_gist() {
        for (warning, want) in [
            ("3 of 22 packets are older than the one before", "packets are older than the one before"),
            ("no packets from 2026-11-20T08:00:00Z to 2026-11-20T09:00:00Z (1h)", "no packets"),
            ("about 40 % of its records are in the case already, from /x: both", "its records are in the case already"),
            ("overlaps with /a/b from 2026", "overlaps"),
            ("UTC assumed", "UTC assumed"),
            ("12", "12"),
        ] {
            assert_eq!(gist(warning), want);
        }
    }
}
