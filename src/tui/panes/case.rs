//! The case: leads, bookmarks with what has changed since, notes, tags, verdicts. Enter goes to what an entry is about; it can be renamed and
//! taken back (the journal keeps both).

mod leads;

use super::{Change, Handled, Pane};
use crate::case::{bookmarks, notes, verdicts};
use crate::error::Result;
use crate::model::Time;
use crate::model::decision::{About, Judgement, What};
use crate::tui::effect::{Cx, Effect};
use crate::tui::focus::Focus;
use crate::tui::jobs::Answer;
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::times::thousands;
use crate::tui::view::View;
use crate::tui::walk::Step;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::HashMap;

const WHEN: Column = Column { title: "when", least: 12, wanted: 17, right: false, drop: 3 };
const WHO: Column = Column { title: "who", least: 6, wanted: 10, right: false, drop: 5 };
const HEAD: Column = Column { title: "", least: 12, wanted: 22, right: false, drop: 0 };
const ROWS: Column = Column { title: "rows", least: 6, wanted: 9, right: true, drop: 4 };
/// What supports a lead and what contradicts it.
const BEARS: Column = Column { title: "for/against", least: 11, wanted: 11, right: true, drop: 4 };
const BODY: Column = Column { title: "", least: 16, wanted: 60, right: false, drop: 0 };

/// The columns of a tab: only what has a number there has a column for it.
fn columns(tab: usize) -> Vec<Column> {
    let number = match tab {
        LEADS => Some(BEARS),
        BOOKMARKS => Some(ROWS),
        _ => None,
    };
    [Some(WHEN), Some(WHO), Some(HEAD), number, Some(BODY)].into_iter().flatten().collect()
}

/// The tabs.
const TABS: [&str; 5] = ["leads", "bookmarks", "notes", "tags", "verdicts"];
const LEADS: usize = 0;
const BOOKMARKS: usize = 1;

const COMMANDS: &[(&str, &str)] =
    &[("case_rename", "change the title or text of this entry"), ("case_remove", "take this entry back")];

/// What was entered, of any kind, as a row.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    id: u64,
    at: Time,
    who: String,
    /// Title, what a note is about.
    head: String,
    role: &'static str,
    /// How many, where the tab has a column for it.
    number: Option<String>,
    /// What else there is to say: query, text, reason.
    body: String,
    /// What is changed by renaming.
    text: String,
    about: Option<About>,
}

/// What came to bookmarks since they were taken: id, records.
struct Changed(u64, u64);

/// The case screen.
pub struct Case {
    tab: usize,
    entries: Vec<Entry>,
    counts: [usize; 5],
    /// What is said below of each lead.
    told: Vec<leads::Told>,
    changed: HashMap<u64, u64>,
    scroll: Scroll,
}

impl Case {
    /// The case, with a tab open: `leads`, `bookmarks`, `notes`, `tags` or `verdicts`.
    pub fn new(tab: &str) -> Case {
        let tab = TABS.iter().position(|t| *t == tab).unwrap_or(LEADS);
        let (entries, told, changed) = (Vec::new(), Vec::new(), HashMap::new());
        Case { tab, entries, counts: [0; 5], told, changed, scroll: Scroll::default() }
    }
    /// Whether it has a tab of a name.
    pub fn has_tab(name: &str) -> bool {
        TABS.contains(&name)
    }
    fn read(&mut self, cx: &mut Cx) {
        let decisions = cx.keeper.decisions();
        let (kept, noted) = (bookmarks::list(&decisions), notes::notes(&decisions));
        let (tagged, judged) = (notes::tags(&decisions), verdicts::verdicts(&decisions));
        self.told = leads::told(&decisions);
        self.counts = [self.told.len(), kept.len(), noted.len(), tagged.len(), judged.len()];
        let subject = |about: &About| (text::clean(&notes::subject(about)).into_owned(), Some(about.clone()));
        let mut entries: Vec<Entry> = match TABS[self.tab] {
            "leads" => self.told.iter().rev().map(leads::Told::entry).collect(),
            "bookmarks" => kept
                .into_iter()
                .map(|b| Entry {
                    id: b.id,
                    at: b.at,
                    who: b.who,
                    head: b.title.clone(),
                    role: "entity",
                    number: Some(thousands(b.rows)),
                    body: b.query,
                    text: b.title,
                    about: None,
                })
                .collect(),
            "notes" => noted
                .into_iter()
                .map(|n| {
                    let (head, about) = subject(&n.about);
                    Entry {
                        id: n.id,
                        at: n.at,
                        who: n.who,
                        head,
                        role: "entity",
                        number: None,
                        body: n.text.clone(),
                        text: n.text,
                        about,
                    }
                })
                .collect(),
            "tags" => tagged
                .into_iter()
                .map(|t| {
                    let (body, about) = subject(&t.about);
                    Entry {
                        id: t.id,
                        at: t.at,
                        who: t.who,
                        head: t.tag.clone(),
                        role: "ui.chip",
                        number: None,
                        body,
                        text: t.tag,
                        about,
                    }
                })
                .collect(),
            _ => judged
                .into_iter()
                .map(|v| {
                    let (about_text, about) = subject(&v.about);
                    let role = match v.judgement {
                        Judgement::Benign => "verdict.benign",
                        Judgement::Suspicious => "verdict.suspicious",
                        Judgement::Malicious => "verdict.malicious",
                    };
                    let mut body = if v.reason.is_empty() { about_text } else { format!("{about_text}: {}", v.reason) };
                    if let Some(until) = v.expires {
                        let word = if v.is_expired(crate::store::now()) { "ended" } else { "until" };
                        body.push_str(&format!(" ({word} {})", until.rfc3339()));
                    }
                    let head = v.judgement.name().to_owned();
                    Entry { id: v.id, at: v.at, who: v.who, head, role, number: None, body, text: v.reason, about }
                })
                .collect(),
        };
        entries.reverse();
        self.entries = entries;
        self.scroll.select(self.scroll.selected, self.entries.len());
        if self.tab == BOOKMARKS {
            self.ask_changes(cx);
        }
    }
    fn ask_changes(&self, cx: &mut Cx) {
        cx.ask("changes", |work| {
            for bookmark in bookmarks::list(&work.keeper.decisions()).iter().rev() {
                work.cancel.check()?;
                // A query that can no longer be read must not hide what changed in the others.
                if let Ok(n) = bookmarks::changes(bookmark, &*work.engine, &work.cancel) {
                    work.give(Changed(bookmark.id, n));
                }
            }
            Ok(())
        });
    }
    fn entry(&self) -> Option<&Entry> {
        self.entries.get(self.scroll.selected)
    }
    fn go(&self, cx: &mut Cx) {
        let Some(entry) = self.entry() else { return };
        if self.tab == LEADS {
            return cx.push(Effect::Run(format!("lead_go {}", entry.id)));
        }
        let query = match &entry.about {
            None => {
                cx.push(Effect::Close);
                return cx.push(Effect::GoBookmark(entry.id));
            }
            Some(About::Bookmark(id)) => {
                cx.push(Effect::Close);
                return cx.push(Effect::GoBookmark(*id));
            }
            Some(About::Case) => return cx.say("this is about the case as a whole"),
            Some(About::Query(query)) => query.clone(),
            Some(About::Records(ids)) => {
                let ids: Vec<String> = ids.iter().take(500).map(|id| crate::query::quote(id)).collect();
                format!("id in {{{}}}", ids.join(", "))
            }
            Some(About::Value(name, value)) => match Focus::parse(&format!("{name}={value}")) {
                Focus::Case => format!("{name} = {}", crate::query::quote(value)),
                focus => {
                    cx.push(Effect::Close);
                    return cx.push(Effect::Go(Box::new(Step::to(focus, "all", None))));
                }
            },
        };
        cx.push(Effect::Close);
        cx.push(Effect::Run(format!("query {query}")));
    }
    /// The id and the rest of the arguments of a command that was asked for with a prompt.
    fn answered(args: &str) -> Option<(u64, &str)> {
        let (id, rest) = args.split_once(' ').unwrap_or((args, ""));
        Some((id.parse().ok()?, rest.trim()))
    }
    fn rename(&self, cx: &mut Cx) {
        if let Some((id, text)) = Case::answered(cx.args) {
            if !text.is_empty() {
                cx.push(Effect::Append(What::Edit { id, text: text.to_owned() }));
            }
        } else if let Some(entry) = self.entry() {
            let label = format!("change {}", TABS[self.tab].trim_end_matches('s'));
            cx.push(Effect::Prompt { label, command: format!("case_rename {}", entry.id), text: entry.text.clone() });
        }
    }
    fn remove(&self, cx: &mut Cx) {
        match Case::answered(cx.args) {
            Some((id, yes)) if matches!(yes.to_ascii_lowercase().as_str(), "y" | "yes") => {
                cx.push(Effect::Append(What::Remove { id }));
                cx.say("taken back; the journal keeps it");
            }
            Some(_) => cx.say("kept"),
            None => {
                if let Some(entry) = self.entry() {
                    let head = text::fit(&text::clean(&entry.head), 40);
                    let label = format!("take back `{head}`? y or n");
                    cx.push(Effect::Prompt { label, command: format!("case_remove {}", entry.id), text: String::new() });
                }
            }
        }
    }
}

impl Pane for Case {
    fn name(&self) -> &'static str {
        "case"
    }
    fn title(&self) -> String {
        format!("case: {}", TABS[self.tab])
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        if self.tab == LEADS { leads::COMMANDS } else { COMMANDS }
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.read(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "next_pane" | "move_right" => self.turn(1, cx),
            "previous_pane" | "move_left" => self.turn(TABS.len() - 1, cx),
            "drill" => self.go(cx),
            "case_rename" => self.rename(cx),
            "case_remove" => self.remove(cx),
            _ if self.tab == LEADS && self.ask_lead(command, cx) => {}
            _ if self.scroll.run(command, self.entries.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn answer(&mut self, answer: Answer, _: &mut Cx) -> Result<()> {
        if let Some(Changed(id, n)) = answer.take() {
            self.changed.insert(id, n);
        }
        Ok(())
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions {
            self.read(cx);
        }
        Ok(())
    }
    fn copied(&self) -> Option<(String, String)> {
        self.entry().map(|e| (TABS[self.tab].trim_end_matches('s').to_owned(), e.body.clone()))
    }
    fn lines(&self) -> Vec<String> {
        self.entries.iter().map(|e| format!("{} {} {}", e.who, e.head, e.body)).collect()
    }
    fn line(&self) -> usize {
        self.scroll.selected
    }
    fn stand(&mut self, line: usize) {
        self.scroll.select(line, self.entries.len());
    }
    fn status(&self) -> String {
        self.scroll.place(self.entries.len())
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        let mut tabs = Line::new(buf, Rect { height: 1, ..area }, 0);
        for (n, tab) in TABS.iter().enumerate() {
            let style = theme.style(if n == self.tab { "ui.tab.active" } else { "ui.tab" });
            tabs.add(" ", theme.style("ui.tab"));
            tabs.add(&format!("{tab} {}", self.counts[n]), style);
            tabs.add(" ", theme.style("ui.tab"));
        }
        let below = if self.tab == LEADS && !self.entries.is_empty() { leads::height(area.height) } else { 1 };
        let list = Rect { y: area.y + 1, height: area.height - 1 - below, ..area };
        if self.entries.is_empty() {
            let what = TABS[self.tab].trim_end_matches('s');
            let command = what;
            let why = format!("no {what} yet: {} enters one", view.keymap.key_in("global", command));
            put(buf, list.x + 1, list.y + 1, list.width.saturating_sub(1), &why, theme.style("ui.dim"));
            return;
        }
        let mut scroll = self.scroll;
        let mut row = |n: usize| {
            let e = &self.entries[n];
            let number = match (&e.number, self.changed.get(&e.id).filter(|n| **n > 0)) {
                (Some(number), Some(more)) => Some(format!("{number} +{}", thousands(*more))),
                (number, _) => number.clone(),
            };
            let role = if self.changed.get(&e.id).is_some_and(|n| *n > 0) { "ui.warning" } else { "ui.dim" };
            let body: String = e.body.chars().take(500).collect();
            let cells = [
                Some((view.zone.format(e.at, "%Y-%m-%d %H:%M"), "ui.time")),
                Some((text::clean(&e.who).into_owned(), "ui.dim")),
                Some((text::clean(&e.head).into_owned(), e.role)),
                number.map(|number| (number, role)),
                Some((text::clean(&body).into_owned(), "ui.text")),
            ];
            cells.into_iter().flatten().collect()
        };
        table::draw(buf, list, &columns(self.tab), &mut scroll, self.entries.len(), view, view.focused, &mut row);
        self.scroll = scroll;
        let Some(entry) = self.entry() else { return };
        if self.tab == LEADS {
            let area = Rect { y: area.bottom() - below, height: below, ..area };
            return self.draw_lead(buf, area, view);
        }
        let since = match self.changed.get(&entry.id) {
            Some(0) => "nothing new since ".to_owned() + &view.zone.format(entry.at, "%H:%MZ"),
            Some(n) => format!("+{} since {}", thousands(*n), view.zone.format(entry.at, "%d %b %H:%M")),
            None => String::new(),
        };
        let body: String = entry.body.chars().take(1000).collect();
        let mut foot = Line::new(buf, area, area.height - 1);
        if !since.is_empty() {
            foot.add(&format!("{since} {} ", view.glyphs.dot), theme.style("ui.warning"));
        }
        foot.add(&text::clean(&body), theme.style("ui.dim"));
    }
}

impl Case {
    fn turn(&mut self, by: usize, cx: &mut Cx) {
        self.tab = (self.tab + by) % TABS.len();
        self.scroll = Scroll::default();
        self.read(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_gave_is_told_from_a_key() {
        assert_eq!(Case::answered("12 new title"), Some((12, "new title")));
        assert_eq!(Case::answered("12"), Some((12, "")));
        assert_eq!(Case::answered(""), None);
        assert_eq!((Case::new("tags").tab, Case::new("leads").tab, Case::has_tab("trail")), (3, LEADS, false));
    }
}
