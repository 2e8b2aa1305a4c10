//! A sweep: the indicators of a report or list, what the case has of each, and for those that it has not whether it could have. Enter goes
//! to the records, and coming back one stands in the same list.

use super::{Handled, Pane};
use crate::error::{Error, Result};
use crate::formats::indicators::{Form, extract};
use crate::model::decision::What;
use crate::model::indicator::Sighting;
use crate::model::{Time, Window};
use crate::pivots::Selection;
use crate::query::sweep::{self, Answer, Swept};
use crate::query::watch;
use crate::sources;
use crate::tui::effect::{Cx, Effect};
use crate::tui::export::Given;
use crate::tui::focus::Focus;
use crate::tui::jobs::{Answer as Piece, Body};
use crate::tui::paint::{fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Width of `none; 12 sources could have seen it`: cut, it would not say whether it was looked for.
const WHY_NOT: u16 = 35;

const COLUMNS: [Column; 7] = [
    Column { title: "hits", least: 6, wanted: 7, right: true, drop: 0 },
    Column { title: "kind", least: 11, wanted: 11, right: false, drop: 6 },
    Column { title: "indicator", least: 22, wanted: 34, right: false, drop: 0 },
    Column { title: "first", least: 12, wanted: 12, right: false, drop: 3 },
    Column { title: "last", least: 12, wanted: 12, right: false, drop: 8 },
    Column { title: "hosts", least: 14, wanted: 18, right: false, drop: 7 },
    Column { title: "where, or why not", least: WHY_NOT, wanted: WHY_NOT, right: false, drop: 0 },
];

/// Lines below the list.
const BELOW: u16 = 6;
/// Hosts that are named below the list.
const HOSTS: usize = 12;

/// Where the indicators come from.
#[derive(Debug, Clone)]
pub enum From {
    /// A file.
    File(PathBuf),
    /// A text that was typed or pasted.
    Text(String),
    /// Such a text of an earlier session, by the name under which the keeper has it.
    Kept(String),
}

/// What is needed to be there again after a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default)]
    filter: String,
    /// The indicator under the cursor.
    #[serde(default)]
    at: String,
    /// Rows above it on the screen.
    #[serde(default)]
    above: usize,
}

/// What came of it.
struct Loaded {
    form: Form,
    lines: u32,
    notices: Vec<String>,
    answer: Answer,
    /// Name under which the keeper has the text, if it was one.
    kept: Option<String>,
}

/// The sweep screen.
pub struct Sweep {
    from: From,
    loaded: Option<Loaded>,
    failed: Option<Error>,
    /// Rows in sight, in order: places in the answer.
    order: Vec<usize>,
    filter: String,
    scroll: Scroll,
    /// Indicator to stand on when they are there, and the rows above it on the screen.
    wanted: (String, usize),
}

impl Sweep {
    /// A sweep for what a file or text has.
    pub fn new(from: From) -> Sweep {
        let (filter, wanted) = (String::new(), (String::new(), 0));
        Sweep { from, loaded: None, failed: None, order: Vec::new(), filter, scroll: Scroll::default(), wanted }
    }
    /// The sweep that [`Pane::kept`] told of; none: the text tells of none.
    pub fn again(text: &str) -> Option<Sweep> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        let from = kept.file.map(From::File).or(kept.text.map(From::Kept))?;
        Some(Sweep { filter: kept.filter, wanted: (kept.at, kept.above), ..Sweep::new(from) })
    }
    fn rows(&self) -> &[Swept] {
        self.loaded.as_ref().map_or(&[], |l| &l.answer.rows)
    }
    fn row(&self) -> Option<&Swept> {
        self.order.get(self.scroll.selected).and_then(|n| self.rows().get(*n))
    }
    fn name(&self) -> String {
        match &self.from {
            From::File(path) => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            From::Text(_) | From::Kept(_) => "typed".to_owned(),
        }
    }
    /// Which rows are shown: those with the filter's text, what was seen first.
    fn arrange(&mut self) {
        let needle = self.filter.to_lowercase();
        let has = |row: &Swept| {
            needle.is_empty() || row.indicator.text.to_lowercase().contains(&needle) || row.indicator.word().contains(&needle)
        };
        let rows = self.rows();
        let mut order: Vec<usize> = (0..rows.len()).filter(|n| has(&rows[*n])).collect();
        order.sort_by_key(|n| rows[*n].rank());
        let (wanted, above) = std::mem::take(&mut self.wanted);
        let at = order.iter().position(|n| self.rows()[*n].indicator.text == wanted).unwrap_or(0);
        self.order = order;
        (self.scroll.selected, self.scroll.top) = (at, at.saturating_sub(above));
    }
    fn drill(&self, cx: &mut Cx) {
        let Some(row) = self.row() else { return };
        if row.best().is_none() {
            return cx.say(format!("{}: {}", row.indicator.text, self.told(row, &**cx.engine)));
        }
        let mut step = Step::to(Focus::Case, "all", None);
        step.label.clone_from(&row.indicator.text);
        step.query = row.query();
        cx.push(Effect::Go(Box::new(step)));
    }
    fn watch(&self, cx: &mut Cx) {
        if self.rows().is_empty() {
            return cx.say("there is no indicator to watch");
        }
        if cx.args.is_empty() {
            let stem = self.name().split('.').next().unwrap_or_default().replace(char::is_whitespace, "-");
            let text = watch::set_name(if matches!(self.from, From::File(_)) { &stem } else { "" });
            let label = format!("watch all {} as set", thousands(self.rows().len() as u64));
            return cx.push(Effect::Prompt { label, command: "sweep_watch".into(), text });
        }
        let set = watch::set_name(cx.args);
        let entries: Vec<String> = self.rows().iter().map(|r| r.indicator.text.clone()).collect();
        cx.say(format!("{} indicators are watched as {set}: every import says what it has of them", entries.len()));
        let reason = match &self.from {
            From::File(path) => path.display().to_string(),
            From::Text(_) | From::Kept(_) => "typed into the sweep".to_owned(),
        };
        cx.push(Effect::Append(What::SetAdd { set, entries, reason, expires: None }));
    }
    /// Where it was seen, else why not.
    fn told(&self, row: &Swept, engine: &dyn crate::query::Engine) -> String {
        let near = if row.hits() == 0 && row.is_seen() { format!("only {}: ", row.also()) } else { String::new() };
        match row.best().filter(|_| row.is_seen()) {
            Some(best) => format!("{near}{}", sweep::sources_of(best, engine)),
            None => {
                let kind = row.indicator.kind;
                self.loaded.as_ref().and_then(|l| l.answer.covers.get(&kind)).map(|c| c.says(kind)).unwrap_or_default()
            }
        }
    }
    /// The same for the list.
    fn briefly(&self, row: &Swept, engine: &dyn crate::query::Engine) -> String {
        let cover = self.loaded.as_ref().and_then(|l| l.answer.covers.get(&row.indicator.kind));
        match cover.filter(|_| !row.is_seen()) {
            Some(cover) => cover.short(),
            None => self.told(row, engine),
        }
    }
    /// Why there is nothing to see.
    fn why_empty(&self, view: &View) -> Option<String> {
        Some(match &self.loaded {
            _ if self.failed.is_some() => self.failed.as_ref().map(crate::tui::screen::one_line).unwrap_or_default(),
            None => format!("sweeping{}", view.glyphs.ellipsis),
            Some(l) if l.answer.rows.is_empty() => {
                format!(
                    "no indicator in {} lines of {}: addresses, names, URLs, hashes, JA3, JA4, mail addresses, CVEs are",
                    l.lines,
                    self.name()
                )
            }
            Some(_) if self.order.is_empty() => {
                format!(
                    "none of {} indicators has \"{}\": {} shows all",
                    self.rows().len(),
                    self.filter,
                    key(view, "toggle_filters")
                )
            }
            Some(_) => return None,
        })
    }
}

/// The first host of a sighting, and how many there are besides.
fn first_host(sighting: &Sighting) -> String {
    let Some(first) = sighting.hosts.first() else { return String::new() };
    if sighting.host_count > 1 { format!("{first} +{}", sighting.host_count - 1) } else { first.to_string() }
}

fn key(view: &View, command: &str) -> String {
    view.keymap.key_in("sweep", command)
}

impl Pane for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }
    fn title(&self) -> String {
        format!("sweep {}", text::clean(&self.name()))
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("drill", "records"),
            ("export", "export"),
            ("sweep_watch", "watch all"),
            ("sweep_filter", "only indicators with a text"),
        ]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        let from = self.from.clone();
        cx.ask("load", move |work| {
            let (text, cut) = match &from {
                From::File(path) => {
                    let read = sources::text::read(path)?;
                    let cut = read.cut.then(|| format!("only the first {} MiB were read", sources::text::MOST >> 20));
                    (read.text, cut)
                }
                From::Text(text) => (text.clone(), None),
                From::Kept(name) => {
                    let gone = || Error::user("the text of this sweep is no longer kept").hint("paste it again");
                    (work.keeper.kept_text(name).ok_or_else(gone)?, None)
                }
            };
            // That it cannot be kept keeps nobody from sweeping.
            let kept = match from {
                From::Text(_) => work.keeper.keep_text(&text).ok(),
                From::Kept(name) => Some(name),
                From::File(_) => None,
            };
            let found = extract(&text, false);
            let answer = sweep::sweep(&*work.engine, found.indicators, Window::ALL, &work.cancel)?;
            let notices = cut.into_iter().chain(found.notices).collect();
            work.give(Loaded { form: found.form, lines: found.lines, notices, answer, kept });
            Ok(())
        });
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.drill(cx),
            "sweep_watch" => self.watch(cx),
            "filter" => {
                let label = "indicators with".to_owned();
                cx.push(Effect::Prompt { label, command: "sweep_filter".into(), text: self.filter.clone() });
            }
            "sweep_filter" | "toggle_filters" => {
                self.filter = if command == "sweep_filter" { cx.args.to_owned() } else { String::new() };
                self.arrange();
            }
            _ => return Ok(if self.scroll.run(command, self.order.len()) { Handled::Yes } else { Handled::No }),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Piece, _: &mut Cx) -> Result<()> {
        if let Body::Failed(error) = &answer.body {
            self.failed = Some(error.clone());
        }
        if let Some(loaded) = answer.take::<Loaded>() {
            self.loaded = Some(loaded);
            self.arrange();
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { entity: self.row().and_then(|r| r.indicator.entity()), ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.row().map(|r| (r.indicator.word().to_owned(), r.indicator.text.clone()))
    }
    fn status(&self) -> String {
        let seen = self.rows().iter().filter(|r| r.is_seen()).count();
        let shown =
            if self.filter.is_empty() { String::new() } else { format!("{} with \"{}\" of ", self.order.len(), self.filter) };
        format!("{shown}{} indicators, {} seen", thousands(self.rows().len() as u64), thousands(seen as u64))
    }
    fn stays(&self) -> bool {
        true
    }
    fn kept(&self) -> Option<String> {
        let (file, text) = match &self.from {
            From::File(path) => (Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())), None),
            From::Kept(name) => (None, Some(name.clone())),
            From::Text(_) => (None, Some(self.loaded.as_ref()?.kept.clone()?)),
        };
        let here = |row: &Swept| (row.indicator.text.clone(), self.scroll.selected.saturating_sub(self.scroll.top));
        let (at, above) = self.row().map_or_else(|| self.wanted.clone(), here);
        serde_json::to_string(&Kept { file, text, filter: self.filter.clone(), at, above }).ok()
    }
    /// The rows in sight, in their order.
    fn given(&self) -> Option<Given> {
        let loaded = self.loaded.as_ref()?;
        let rows = self.order.iter().map(|n| loaded.answer.rows[*n].clone()).collect();
        Some(Given::Sweep { from: self.name(), answer: Answer { rows, covers: loaded.answer.covers.clone() } })
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        fill(buf, area, view.theme.style("ui.background"));
        if let Some(why) = self.why_empty(view) {
            put(buf, area.x + 1, area.y, area.width.saturating_sub(1), &text::clean(&why), view.theme.style("ui.dim"));
            return;
        }
        let below = if area.height > BELOW + 4 { BELOW } else { 0 };
        let list = Rect { height: area.height - below, ..area };
        let at = |t: Option<Time>| t.map(|t| view.zone.format(t, "%d %b %H:%M")).unwrap_or_default();
        let mut scroll = self.scroll;
        let mut cells = |n: usize| {
            let row = &self.rows()[self.order[n]];
            let best = row.best().filter(|_| row.is_seen());
            let role = match row.hits() {
                0 if row.is_seen() => "ui.text",
                0 => "ui.dim",
                _ => "ui.warning",
            };
            let hits = if row.hits() > 0 { thousands(row.hits()) } else { "-".to_owned() };
            vec![
                (hits, role),
                (row.indicator.word().replace(" or ", "/"), "ui.dim"),
                (text::clean(&row.indicator.text).into_owned(), if row.is_seen() { "entity" } else { "ui.text" }),
                (at(best.map(|s| s.first)), "ui.time"),
                (at(best.map(|s| s.last)), "ui.time"),
                (best.map(first_host).unwrap_or_default(), "entity"),
                (text::clean(&self.briefly(row, view.engine)).into_owned(), if row.is_seen() { "ui.text" } else { "ui.dim" }),
            ]
        };
        table::draw(buf, list, &COLUMNS, &mut scroll, self.order.len(), view, view.focused, &mut cells);
        self.scroll = scroll;
        if below > 0 {
            self.draw_below(buf, Rect { y: area.y + list.height, height: below, ..area }, view);
        }
    }
}

impl Sweep {
    fn draw_below(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let (Some(row), Some(loaded)) = (self.row(), &self.loaded) else { return };
        let rule = view.glyphs.horizontal.repeat(usize::from(area.width));
        put(buf, area.x, area.y, area.width, &rule, view.theme.style("ui.border"));
        let title = format!(" {} {} ", row.indicator.word(), text::clean(&row.indicator.text));
        put(buf, area.x + 2, area.y, area.width.saturating_sub(4), &title, view.theme.style("ui.title"));
        let dot = view.glyphs.dot;
        let also = row.also();
        let also = if also.is_empty() { String::new() } else { format!(" {dot} {also}") };
        let at = |t: Time| view.zone.format(t, "%Y-%m-%d %H:%M:%S");
        let times = row.best().filter(|_| row.is_seen());
        let times = times.map_or_else(String::new, |s| format!(" {dot} {} {} {}", at(s.first), view.glyphs.right, at(s.last)));
        let told = self.told(row, view.engine);
        let hosts = row.best().map(|s| sweep::hosts_of(s, HOSTS)).filter(|h| !h.is_empty());
        let line = if row.indicator.line > 0 { format!("line {} {dot} ", row.indicator.line) } else { String::new() };
        let query = if row.best().is_some() { row.query() } else { String::new() };
        let read = format!("{} lines read as {}", thousands(u64::from(loaded.lines)), loaded.form.name());
        let notices = loaded.notices.iter().map(|n| format!(" {dot} {n}")).collect::<String>();
        let lines = [
            (format!("{line}{} hits{also}{times}", thousands(row.hits())), "ui.text"),
            (told, if row.is_seen() { "ui.text" } else { "ui.warning" }),
            (hosts.map(|h| format!("hosts {h}")).unwrap_or_default(), "entity"),
            (query, "ui.dim"),
            (format!("{read}{notices}"), "ui.dim"),
        ];
        let (wide, high) = (area.width.saturating_sub(2), usize::from(area.height) - 1);
        let lines: Vec<_> = lines.iter().filter(|(text, _)| !text.is_empty()).collect();
        // What is too long goes on where a line is free: which sources could have seen it is the answer.
        let mut free = high.saturating_sub(lines.len());
        let mut y = area.y + 1;
        for (line, role) in lines {
            let mut pieces = text::wrap(&view.glyphs.put(&text::clean(line)), usize::from(wide), usize::MAX);
            if pieces.len() > free + 1 {
                let rest = pieces.split_off(free).join(" ");
                pieces.push(rest);
            }
            free -= pieces.len().saturating_sub(1);
            for piece in pieces {
                if y < area.bottom() {
                    put(buf, area.x + 1, y, wide, &piece, view.theme.style(role));
                }
                y += 1;
            }
        }
    }
}
