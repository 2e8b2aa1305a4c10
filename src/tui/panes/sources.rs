//! The sources of the case: what each holds, how its clock is read, what went wrong; and the evidence files behind them. Zone, year, offset
//! and site can be set by hand: journalled, in effect with the next question.

mod clock;
mod strip;

use super::{Change, Handled, Pane};
use crate::case::home::reasons;
use crate::case::sources::{Odd, Strips, odd, strips};
use crate::error::{Error, Result};
use crate::formats;
use crate::model::decision::What;
use crate::model::live::{LiveSource, NONE_DROPPED};
use crate::model::source::{Basis, DateOrder, SourceInfo};
use crate::model::time::{parse_span, show_span};
use crate::model::{SourceId, Time, Window};
use crate::query::engine::EvidenceInfo;
use crate::tui::effect::{Cx, Effect};
use crate::tui::jobs::{Answer, Body};
use crate::tui::live::bits;
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use clock::{clock, measured};
use ratatui::Frame;
use ratatui::layout::Rect;

const COLUMNS: [Column; 10] = [
    Column { title: "source", least: 10, wanted: 18, right: false, drop: 0 },
    Column { title: "format", least: 8, wanted: 14, right: false, drop: 3 },
    Column { title: "from", least: 12, wanted: 17, right: false, drop: 0 },
    Column { title: "to", least: 12, wanted: 17, right: false, drop: 0 },
    Column { title: "records", least: 8, wanted: 10, right: true, drop: 0 },
    Column { title: "partial", least: 7, wanted: 8, right: true, drop: 5 },
    Column { title: "failed", least: 6, wanted: 7, right: true, drop: 0 },
    Column { title: "!", least: 2, wanted: 3, right: true, drop: 0 },
    Column { title: "when", least: strip::COLUMN as u16, wanted: strip::COLUMN as u16, right: false, drop: 2 },
    Column { title: "clock", least: 10, wanted: 30, right: false, drop: 0 },
];

/// What can be set: command, word, what a value looks like.
const SETTINGS: [(&str, &str, &str); 5] = [
    ("source_zone", "zone", "UTC, Europe/Berlin"),
    ("source_year", "year", "2026"),
    ("source_dates", "order of dates", "month-first (03/04 is 4 March), day-first"),
    ("source_offset", "add to times", "-7h37s"),
    ("source_site", "site", "any name"),
];

/// The sources screen.
#[derive(Default)]
pub struct Sources {
    sources: Vec<SourceInfo>,
    evidence: Vec<EvidenceInfo>,
    loaded: bool,
    failed: Option<Error>,
    scroll: Scroll,
    /// Name of the source to stand on when they are read.
    wanted: String,
    /// First line of the part below that is shown, when one is in it.
    below: Option<Scroll>,
    lines: usize,
    strips: Strips,
    /// What of the source under the cursor was not understood.
    odd: Option<(SourceId, Vec<Odd>)>,
}

struct Loaded(Vec<SourceInfo>, Vec<EvidenceInfo>);
struct Measured(String);
struct Odds(SourceId, Vec<Odd>);

impl Sources {
    /// The sources of the case, with the cursor on one of them if it is there.
    pub fn new(name: &str) -> Sources {
        Sources { wanted: name.to_owned(), ..Sources::default() }
    }
    fn load(&self, cx: &mut Cx) {
        cx.ask("load", |work| {
            let sources = work.engine.sources();
            work.give(Loaded(sources.clone(), work.engine.evidence()));
            work.give(strips(&*work.engine, &sources, &work.cancel)?);
            Ok(())
        });
    }
    /// Compares the clock of the source once more.
    fn measure(&self, cx: &mut Cx) {
        let Some(source) = self.source().map(|s| s.id) else { return };
        cx.ask("measure", move |work| {
            let found = work.engine.measure_clocks(Some(source), &work.cancel)?;
            let name = |id| work.engine.source_name(id);
            let said = |s: &SourceInfo| {
                format!("clock of {}: {}", s.name, s.estimate.as_ref().map_or("unknown".into(), |e| e.in_words(&name)))
            };
            work.give(Measured(found.iter().map(said).collect::<Vec<_>>().join("; ")));
            Ok(())
        });
    }
    /// Asks what was not understood of the source under the cursor, if that is not known.
    fn ask_odd(&mut self, cx: &mut Cx) {
        let Some(source) = self.source().filter(|s| self.odd.as_ref().is_none_or(|(id, _)| *id != s.id)).cloned() else { return };
        self.odd = Some((source.id, Vec::new()));
        cx.ask("odd", move |work| {
            work.give(Odds(source.id, odd(&*work.engine, &source, &work.cancel)?));
            Ok(())
        });
    }
    fn source(&self) -> Option<&SourceInfo> {
        self.sources.get(self.scroll.selected)
    }
    /// `source_zone NAME VALUE`: the name may hold blanks, so the longest source's name that fits is taken.
    fn set(&self, command: &str, cx: &mut Cx) -> Result<()> {
        let Some((_, word, example)) = SETTINGS.iter().find(|s| s.0 == command) else { return Ok(()) };
        let named =
            |s: &&SourceInfo| cx.args.strip_prefix(s.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let source = self.sources.iter().filter(named).max_by_key(|s| s.name.len()).or(self.source());
        let Some(source) = source else { return Err(Error::user("there is no source to set that for")) };
        let value = cx.args.strip_prefix(source.name.as_str()).unwrap_or(cx.args).trim();
        if value.is_empty() {
            let label = format!("{word} of {} ({example})", source.name);
            cx.push(Effect::Prompt { label, command: format!("{command} {}", source.name), text: current(source, command) });
            return Ok(());
        }
        let mut what = Set::default();
        match *word {
            "zone" => {
                let zone = formats::Zone::parse(value);
                let zone = zone.ok_or_else(|| Error::user(format!("`{value}` is not a time zone")).hint(*example))?;
                what.zone = Some(zone.to_string());
            }
            "year" => {
                let year = value.parse().ok().filter(|y| (1970..=2200).contains(y));
                what.year = Some(year.ok_or_else(|| Error::user(format!("`{value}` is not a year")).hint(*example))?);
            }
            "order of dates" => {
                let order = DateOrder::parse(value);
                let order = order.ok_or_else(|| Error::user(format!("`{value}` is not an order of dates")).hint(*example))?;
                what.dates = Some(order.name().to_owned());
            }
            "add to times" => {
                what.offset = Some(offset(value).ok_or_else(|| Error::user(format!("`{value}` is not a span")).hint(*example))?)
            }
            _ => what.site = Some(value.to_owned()),
        }
        let Set { offset, zone, year, dates, site } = what;
        cx.say(format!("{word} of {}: {value} from now on, for every question; the journal keeps who and when", source.name));
        cx.push(Effect::Append(What::SourceSet { source: source.name.clone(), offset, zone, year, dates, site }));
        Ok(())
    }
}

#[derive(Default)]
struct Set {
    offset: Option<i64>,
    zone: Option<String>,
    year: Option<i32>,
    dates: Option<String>,
    site: Option<String>,
}

fn offset(text: &str) -> Option<i64> {
    let (sign, span) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if span == "0" {
        return Some(0);
    }
    parse_span(span).and_then(|n| n.checked_mul(sign))
}

fn current(source: &SourceInfo, command: &str) -> String {
    let clock = &source.clock;
    match command {
        "source_zone" => clock.zone.clone().unwrap_or_default(),
        "source_year" => clock.year.map(|y| y.to_string()).unwrap_or_default(),
        "source_dates" => clock.dates.map(|(order, _)| order.name().to_owned()).unwrap_or_default(),
        "source_offset" if clock.shift != 0 => show_span(clock.shift),
        "source_site" => source.site.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// How the capture of some interfaces does.
fn live(view: &View, wanted: &dyn Fn(&LiveSource) -> bool) -> Vec<(String, &'static str)> {
    let of = view.live.iter().flat_map(|l| &l.sources).filter(|s| wanted(s));
    let dot = view.glyphs.dot;
    let line = |s: &LiveSource| {
        let (rate, total) = (&s.rate, &s.total);
        let rates =
            format!("{} packets/s, {} flows/s, {}bit/s", thousands(rate.packets), thousands(rate.flows), bits(rate.bytes));
        let totals =
            format!("{} packets, {} flows, {} of them open", thousands(total.packets), thousands(total.flows), thousands(s.open));
        let d = &s.drops;
        let lost = format!(
            "dropped: {} by the kernel, {} by the interface, {} on the way into the case",
            thousands(d.kernel),
            thousands(d.interface),
            thousands(d.pipeline)
        );
        let role = if d.total() > 0 { "ui.warning" } else { "ui.dim" };
        [(format!("live from {}: {rates} {dot} {totals}", text::clean(&s.name)), "ui.text"), (lost, role)]
    };
    of.flat_map(line).collect()
}

fn span(source: &SourceInfo) -> Option<Window> {
    source.span.map(|w| w.shifted(source.clock.shift))
}

impl Pane for Sources {
    fn name(&self) -> &'static str {
        "sources"
    }
    fn title(&self) -> String {
        format!("sources {}", thousands(self.sources.len() as u64))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("source_zone", "its zone"),
            ("source_year", "its year"),
            ("source_dates", "its order of day and month"),
            ("source_offset", "its offset"),
            ("source_site", "its site"),
            ("source_measure", "compare its clock again"),
            ("drill", "its records"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.load(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        if SETTINGS.iter().any(|s| s.0 == command) {
            self.set(command, cx)?;
            return Ok(Handled::Yes);
        }
        match command {
            "source_measure" => self.measure(cx),
            "next_pane" | "previous_pane" => self.below = if self.below.is_some() { None } else { Some(Scroll::default()) },
            "drill" => {
                let Some(source) = self.source() else { return Ok(Handled::Yes) };
                cx.push(Effect::Close);
                cx.push(Effect::Run(format!("query source = {}", crate::query::quote(&source.name))));
            }
            _ => {
                let ours = match &mut self.below {
                    Some(below) => below.page(command, self.lines),
                    None => self.scroll.run(command, self.sources.len()),
                };
                self.ask_odd(cx);
                return Ok(if ours { Handled::Yes } else { Handled::No });
            }
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, cx: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            self.failed = Some(error.clone());
        }
        if answer.is::<Measured>() {
            let measured: Option<Measured> = answer.take();
            measured.into_iter().for_each(|m| cx.say(text::clean(&m.0).into_owned()));
            self.load(cx);
            return Ok(());
        }
        if answer.is::<Strips>() {
            self.strips = answer.take().unwrap_or_default();
            return Ok(());
        }
        if answer.is::<Odds>() {
            if let Some(Odds(id, found)) = answer.take() {
                self.odd = Some((id, found));
            }
            return Ok(());
        }
        if let Some(Loaded(sources, evidence)) = answer.take() {
            let wanted = std::mem::take(&mut self.wanted);
            let name = if wanted.is_empty() { self.source().map(|s| s.name.clone()) } else { Some(wanted) };
            (self.sources, self.evidence, self.loaded, self.failed) = (sources, evidence, true, None);
            let at = self.sources.iter().position(|s| Some(&s.name) == name.as_ref()).unwrap_or(0);
            self.scroll.select(at, self.sources.len());
            self.odd = None;
            self.ask_odd(cx);
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if matches!(change, Change::Decisions | Change::Records) {
            self.load(cx);
        }
        Ok(())
    }
    fn copied(&self) -> Option<(String, String)> {
        self.source().map(|s| ("source".into(), s.name.clone()))
    }
    fn lines(&self) -> Vec<String> {
        let files = |s: &SourceInfo| -> String {
            let of = self.evidence.iter().filter(|e| e.sources.contains(&s.id));
            of.map(|e| format!(" {} {}", e.path, e.sha256)).collect()
        };
        let line = |s: &SourceInfo| format!("{} {} {}{}", s.name, s.key.format, s.warnings.join(" "), files(s));
        self.sources.iter().map(line).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.sources.len());
    }
    fn status(&self) -> String {
        let records: u64 = self.sources.iter().map(|s| s.counts.records).sum();
        let unread = self.evidence.iter().filter(|e| e.is_unread()).count();
        let read = thousands((self.evidence.len() - unread) as u64);
        let more = if unread > 0 { format!(", {} not read", thousands(unread as u64)) } else { String::new() };
        format!("{} records of {read} files{more}", thousands(records))
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if self.sources.is_empty() {
            let why = match &self.failed {
                Some(error) => text::clean(&error.what).into_owned(),
                None if self.loaded => "no source gave records yet: backtrail ingest PATH... brings evidence in".into(),
                None => format!("reading{}", view.glyphs.ellipsis),
            };
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &why, view.theme.style("ui.dim"));
            let below = self.silent(view).into_iter().chain(self.unread());
            for (n, (line, role)) in (2..area.height).zip(below) {
                put(buf, area.x + 1, area.y + n, area.width.saturating_sub(1), &line, view.theme.style(role));
            }
            return;
        }
        let list_height = (self.sources.len() as u16 + 1).min(area.height * 3 / 5).max(3).min(area.height);
        let list = Rect { height: list_height, ..area };
        let below = Rect { y: area.y + list_height, height: area.height - list_height, ..area };
        let mut scroll = self.scroll;
        let form = if view.narrow { "%d %b %H:%M" } else { "%Y-%m-%d %H:%M" };
        let at = |t: Time| view.zone.format(t, form);
        let mut row = |n: usize| {
            let s = &self.sources[n];
            let window = span(s);
            let (from, to) = window.map_or_else(Default::default, |w| (at(w.start), at(w.end)));
            let is_live = view.live.as_ref().is_some_and(|l| l.of(s.id).is_some());
            let (to, to_style) = if is_live { ("live".to_owned(), "ui.chip") } else { (to, "ui.time") };
            let assumed = s.clock.zone_basis == Basis::Assumed || s.clock.dates.is_some_and(|(_, b)| b == Basis::Assumed);
            let warned = s.warnings.len();
            let some = |n: u64| if n == 0 { String::new() } else { thousands(n) };
            vec![
                (text::clean(&s.name).into_owned(), "entity.name"),
                (s.key.format.clone(), "ui.dim"),
                (from, "ui.time"),
                (to, to_style),
                (thousands(s.counts.records), "ui.text"),
                (some(s.counts.partial), "ui.text"),
                (some(s.counts.failed), "ui.warning"),
                (some(warned as u64), "ui.warning"),
                (strip::cells(&self.strips, s, strip::COLUMN, view), "spark.window"),
                (clock(s), if assumed { "ui.warning" } else { "ui.text" }),
            ]
        };
        table::draw(buf, list, &COLUMNS, &mut scroll, self.sources.len(), view, view.focused && self.below.is_none(), &mut row);
        self.scroll = scroll;
        self.draw_below(buf, below, view);
    }
}

impl Sources {
    fn draw_below(&mut self, buf: &mut ratatui::buffer::Buffer, area: Rect, view: &View) {
        let Some(source) = self.source().filter(|_| area.height > 1) else { return };
        let rule = view.glyphs.horizontal.repeat(usize::from(area.width));
        let border = if self.below.is_some() { "ui.border.focused" } else { "ui.border" };
        put(buf, area.x, area.y, area.width, &rule, view.theme.style(border));
        put(
            buf,
            area.x + 2,
            area.y,
            area.width.saturating_sub(4),
            &format!(" {} ", text::clean(&source.name)),
            view.theme.style("ui.title"),
        );
        let lines = self.describe(source, view);
        self.lines = lines.len();
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let mut scroll = self.below.unwrap_or_default();
        let sight = scroll.sight_text(usize::from(body.height), lines.len());
        for (n, (line, role)) in lines[sight].iter().enumerate() {
            put(buf, body.x + 1, body.y + n as u16, body.width.saturating_sub(1), line, view.theme.style(role));
        }
        self.below = self.below.map(|_| scroll);
    }
    fn describe(&self, source: &SourceInfo, view: &View) -> Vec<(String, &'static str)> {
        let c = &source.counts;
        let dot = view.glyphs.dot;
        let mut out = live(view, &|l| l.source == Some(source.id));
        out.push((
            format!(
                "{} units: {} ok, {} partial, {} skipped, {} failed {dot} {} oddities {dot} site {}",
                thousands(c.units()),
                thousands(c.ok),
                thousands(c.partial),
                thousands(c.skipped),
                thousands(c.failed),
                thousands(c.oddities),
                source.site.as_deref().map_or_else(|| "not set".into(), text::clean),
            ),
            "ui.text",
        ));
        out.extend(strip::of(&self.strips, source, view));
        out.extend(strip::why(source, self.odd.as_ref(), view));
        let kinds: Vec<String> =
            source.kinds.iter().filter(|(_, n)| *n > 0).map(|(k, n)| format!("{} {k}", thousands(*n))).collect();
        out.push((kinds.join(&format!(" {dot} ")), "ui.dim"));
        out.extend(measured(source, &self.sources, view));
        for warning in &source.warnings {
            let style = if warning.ends_with(NONE_DROPPED) { "ui.dim" } else { "ui.warning" };
            out.push((text::clean(warning).into_owned(), style));
        }
        for file in self.evidence.iter().filter(|e| e.sources.contains(&source.id)) {
            let sha: String = match file.is_live() {
                true => "captured live".into(),
                false => format!("sha256 {}", file.sha256.chars().take(16).collect::<String>()),
            };
            let imported = view.zone.format(file.imported, "%Y-%m-%d %H:%M");
            let path = text::fit_end(&text::clean(&file.path), 70);
            out.push((format!("{path}  {} bytes, {sha}, imported {imported}", thousands(file.size)), "ui.text"));
            let custody: Vec<&str> = file.custody.iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
            if !custody.is_empty() {
                out.push((format!("  custody: {}", text::clean(&custody.join(", "))), "ui.dim"));
            }
            for warning in file.warnings.iter().filter(|w| !source.warnings.contains(w)) {
                out.push((format!("  {}", text::clean(warning)), "ui.warning"));
            }
        }
        // What no source has is said of the first row.
        if self.sources.first().is_some_and(|first| first.id == source.id) {
            out.extend(self.silent(view));
            out.extend(self.unread());
        }
        out
    }
    /// Interfaces that are captured and gave no record yet.
    fn silent(&self, view: &View) -> Vec<(String, &'static str)> {
        live(view, &|l| !self.sources.iter().any(|s| l.source == Some(s.id)))
    }
    /// Files that gave no record, and those that were not read by what kept them from it.
    fn unread(&self) -> Vec<(String, &'static str)> {
        let archive = |e: &EvidenceInfo| ["zip", "tar"].contains(&e.format.as_str());
        let (unread, read): (Vec<&EvidenceInfo>, Vec<&EvidenceInfo>) = self.evidence.iter().partition(|e| e.is_unread());
        let empty: Vec<&EvidenceInfo> = read.into_iter().filter(|e| e.sources.is_empty() && !archive(e)).collect();
        let mut out = Vec::new();
        if !empty.is_empty() {
            let names: Vec<String> = empty.iter().take(20).map(|e| text::clean(e.name()).into_owned()).collect();
            out.push((format!("{} files gave no record: {}", empty.len(), names.join(", ")), "ui.warning"));
        }
        if !unread.is_empty() {
            out.push((format!("{} files not read:", thousands(unread.len() as u64)), "ui.warning"));
            for (why, names) in reasons(&unread).into_iter().take(20) {
                let some: Vec<&str> = names.iter().take(8).copied().collect();
                let more =
                    if names.len() > some.len() { format!(" and {} more", names.len() - some.len()) } else { String::new() };
                let line = format!("  {} {why}: {}{more}", thousands(names.len() as u64), some.join(", "));
                out.push((text::clean(&line).into_owned(), "ui.warning"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_a_sign() {
        assert_eq!(offset("-7h37s"), Some(-(7 * 3600 + 37) * 1_000_000_000));
        assert_eq!(offset("+250ms"), Some(250_000_000));
        assert_eq!(offset("0"), Some(0));
        assert_eq!(offset("-"), None);
        assert_eq!(offset("soon"), None);
    }
}
