//! What lies over the screen and takes the keys: a line being typed, a menu, the finder, help. Keys reach it as commands of its scope; what
//! the scope does not bind is text.

use super::app::App;
use super::finding::Finding;
use super::jobs::Answer;
use super::load::compiled;
use super::times::thousands;
use super::view::View;
use super::walk::Step;
use super::widgets::help::Help;
use super::widgets::menu::{self, Item, Menu};
use super::widgets::prompt::{self, Choice, Prompt};
use super::{commands, focus, lenses};
use crate::error::{Error, Result};
use crate::pivots::{self, Lead, Pivot, Selection};
use crate::query;
use crate::query::engine::Count;
use ratatui::Frame;
use ratatui::layout::Rect;

/// What lies over the screen.
pub enum Overlay {
    /// A line being typed for a command.
    Prompt {
        /// The command line that the text is appended to; empty: the text is the command line.
        command: String,
        /// The line.
        line: Box<Prompt>,
        /// Whether the history was put in.
        ready: bool,
    },
    /// Where one can go.
    Pivots {
        /// The list.
        menu: Menu,
        /// What each item is.
        leads: Vec<(&'static Pivot, Lead)>,
        /// What they go from.
        selection: Box<Selection>,
        /// What one looks at then; none: what they go from.
        focus: Option<focus::Focus>,
    },
    /// Command lines to choose from.
    Choices {
        /// The list.
        menu: Menu,
        /// What each item runs.
        lines: Vec<String>,
    },
    /// The finder.
    Finder(Box<Finding>),
    /// Keys that work here.
    Help(Help),
}

/// Counts for the pivot menu.
struct PivotCounts(Vec<Option<Count>>);

/// Completions of a line.
struct Completed(String, query::Completion);

impl Overlay {
    /// A line for a command; `label` says what is asked.
    pub fn prompt(label: &str, command: &str, text: &str) -> Overlay {
        let line = Box::new(Prompt::new(label, text, &prompt::History::default()));
        Overlay::Prompt { command: command.to_owned(), line, ready: false }
    }
    /// The scope of its keys.
    pub fn scope(&self) -> &'static str {
        match self {
            Overlay::Prompt { .. } => "prompt",
            Overlay::Pivots { .. } | Overlay::Choices { .. } => "menu",
            Overlay::Finder(_) => "finder",
            Overlay::Help(_) => "help",
        }
    }
    /// Draws it; gives the place of the terminal's cursor if it has one.
    pub fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) -> Option<(u16, u16)> {
        let (theme, glyphs) = (view.theme, view.glyphs);
        match self {
            Overlay::Prompt { line, .. } => {
                let at = line.draw(frame.buffer_mut(), area, theme);
                Some((at.x, at.y))
            }
            Overlay::Pivots { menu, .. } | Overlay::Choices { menu, .. } => {
                let body = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
                menu.draw(frame.buffer_mut(), body, theme, glyphs);
                None
            }
            Overlay::Finder(finding) => finding.draw(frame.buffer_mut(), area, view),
            Overlay::Help(help) => {
                help.draw(frame.buffer_mut(), area, theme, glyphs);
                None
            }
        }
    }
}

impl App {
    /// Text typed or pasted into what lies over the screen.
    pub(super) fn typed(&mut self, text: &str) {
        let pasted = text.chars().nth(1).is_some();
        match &mut self.overlay {
            Some(Overlay::Prompt { line, .. }) => {
                if pasted {
                    line.paste(text);
                } else {
                    text.chars().for_each(|c| {
                        line.type_char(c);
                    });
                }
                self.complete();
            }
            Some(Overlay::Pivots { menu, .. } | Overlay::Choices { menu, .. }) => text.chars().for_each(|c| {
                menu.type_char(c);
            }),
            Some(Overlay::Finder(finding)) => {
                finding.type_text(text);
                self.look_up();
            }
            Some(Overlay::Help(_)) | None => {}
        }
        self.touch();
    }
    /// Runs a command of the overlay's scope. False: it is the app's.
    pub(super) fn overlay_command(&mut self, name: &str) -> Result<bool> {
        match &mut self.overlay {
            Some(Overlay::Prompt { line, ready, .. }) => {
                if !*ready && name.starts_with("history") {
                    let history = self.histories.get(&line.label).cloned().unwrap_or_default();
                    **line = Prompt::new(line.label.clone(), line.text(), &history);
                    *ready = true;
                }
                match line.run(name) {
                    prompt::Did::Accepted => self.accept_line(),
                    prompt::Did::Cancelled => {
                        let (label, text) = (line.label.clone(), line.text().to_owned());
                        self.histories.entry(label).or_default().add(&text);
                        self.overlay = None;
                        Ok(true)
                    }
                    prompt::Did::Edited => {
                        self.complete();
                        Ok(true)
                    }
                    prompt::Did::Moved => Ok(true),
                    prompt::Did::Nothing => Ok(false),
                }
            }
            Some(Overlay::Pivots { menu, .. } | Overlay::Choices { menu, .. }) => match menu.run(name) {
                menu::Did::Chosen(item) => self.choose(item),
                menu::Did::Cancelled => {
                    self.overlay = None;
                    Ok(true)
                }
                menu::Did::Moved => Ok(true),
                menu::Did::Nothing => Ok(false),
            },
            Some(Overlay::Finder(_)) => self.finder_command(name),
            Some(Overlay::Help(help)) => {
                if name == "help" || name == "cancel" || name == "quit" {
                    self.overlay = None;
                    return Ok(true);
                }
                // Any key that works here closes the list and does what it says.
                Ok(if help.run(name) {
                    true
                } else {
                    self.overlay = None;
                    false
                })
            }
            None => Ok(false),
        }
    }
    fn accept_line(&mut self) -> Result<bool> {
        let Some(Overlay::Prompt { command, mut line, ready }) = self.overlay.take() else { return Ok(true) };
        let text = line.text().trim().to_owned();
        self.histories.entry(line.label.clone()).or_default().add(&text);
        if text.is_empty() {
            return Ok(true);
        }
        let whole = if command.is_empty() { text.clone() } else { format!("{command} {text}") };
        if let Err(err) = self.try_line(&whole) {
            // What was typed is never lost: the line stays, with what is wrong with it.
            let (message, at) = pointed(&err, &text, line.text());
            line.fail(message, at);
            self.overlay = Some(Overlay::Prompt { command, line, ready });
        }
        Ok(true)
    }
    /// Offers completions for the line being typed.
    fn complete(&mut self) {
        let Some(Overlay::Prompt { command, line, .. }) = &mut self.overlay else { return };
        let text = line.text().to_owned();
        let cursor = line.cursor();
        if matches!(command.split(' ').next(), Some("filter" | "find" | "query" | "replace_filter")) {
            return self.ask("complete", move |work| {
                let values = |id, prefix: &str| {
                    let found = work.engine.values(id, prefix, 12, &work.cancel).unwrap_or_default();
                    let ty = crate::model::field::get(id).map_or(crate::model::field::Type::Text, |f| f.ty);
                    found.into_iter().map(|(v, _)| v.show(ty)).collect()
                };
                let completion = query::complete(&text, cursor, &values, &set_names(&*work.keeper));
                work.give(Completed(text, completion));
                Ok(())
            });
        }
        if command == "set_add" {
            let fits = |name: &String| name.starts_with(text.trim_start_matches('@')) && *name != text;
            let choices = set_names(&*self.keeper).into_iter().filter(fits);
            return line.offer(0..text.len(), choices.map(|text| Choice { text, doc: String::new() }).collect());
        }
        let typed = if command.is_empty() { text.clone() } else { format!("{command} {text}") };
        if let Some((name, rest)) = typed.split_once(' ') {
            // What is typed is the last word: of lists each word is completed.
            let word = rest.rsplit([',', ' ']).next().unwrap_or_default();
            let sign = if name == "sort" && word.starts_with('-') { "-" } else { "" };
            let (begin, word) = (text.len() - word.len() + sign.len(), word[sign.len()..].to_owned());
            // A list that nothing was typed for would be drawn anew behind every comma.
            let known = if word.is_empty() && begin > name.len() + 1 { Vec::new() } else { self.arguments(name) };
            let choices = known.into_iter().filter(|(n, _)| n.starts_with(&word) && *n != word);
            let choices: Vec<Choice> = choices.map(|(text, doc)| Choice { text, doc }).collect();
            if let (Some(Overlay::Prompt { line, .. }), false) = (&mut self.overlay, choices.is_empty()) {
                line.offer(begin..text.len(), choices);
            }
            return;
        }
        if text.is_empty() {
            return;
        }
        let choices: Vec<Choice> = commands::all()
            .filter(|c| c.name.starts_with(&text) && c.name != text)
            .map(|c| Choice {
                text: format!("{} ", c.name),
                doc: [c.args, c.doc].iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join(" · "),
            })
            .collect();
        line.offer(0..text.len(), choices);
    }
    fn choose(&mut self, item: usize) -> Result<bool> {
        match self.overlay.take() {
            // Behind the ways to go stands what else can be done with the value.
            Some(Overlay::Pivots { leads, .. }) if item == leads.len() => self.try_line("set_add")?,
            Some(Overlay::Pivots { leads, selection, focus, .. }) => {
                if let Some((pivot, lead)) = leads.into_iter().nth(item) {
                    self.go_lead(pivot, lead, &selection, focus);
                }
            }
            Some(Overlay::Choices { lines, .. }) => {
                if let Some(line) = lines.into_iter().nth(item) {
                    self.try_line(&line)?;
                }
            }
            other => self.overlay = other,
        }
        Ok(true)
    }
    /// Walks along a pivot: the focus becomes what it goes from, the window stays.
    pub(super) fn go_lead(&mut self, pivot: &'static Pivot, lead: Lead, selection: &Selection, focus: Option<focus::Focus>) {
        if pivot.lens == "packets"
            && let Some(record) = selection.record.clone()
        {
            return self.go_packets(record);
        }
        let here = self.walk.here().step.focus.clone();
        let focus = focus.unwrap_or_else(|| selection.entity.clone().map_or(here, focus::Focus::Entity));
        let mut step = Step::to(focus, lenses::find(pivot.lens).name, self.walk.here().step.window);
        step.label = lead.label;
        step.query = lead.query;
        step.row = selection.record.as_ref().map(super::go::cursor);
        self.go(step);
    }
    /// Opens the menu of where one can go from a selection, with the counts of every way.
    pub(super) fn open_pivots(&mut self, selection: Selection) -> Result<()> {
        let leads: Vec<(&'static Pivot, Lead)> =
            pivots::ALL.iter().filter_map(|pivot| (pivot.run)(&selection).map(|lead| (*pivot, lead))).collect();
        let title = match (&selection.entity, &selection.record) {
            (Some(entity), _) => format!("pivot on {}", focus::show(entity)),
            (None, Some(record)) => format!("pivot on this {}", record.kind),
            (None, None) => "pivot".into(),
        };
        self.open_leads(title, leads, selection, None)
    }
    /// Opens a menu of ways to go, with the counts of each.
    pub(super) fn open_leads(
        &mut self,
        title: String,
        leads: Vec<(&'static Pivot, Lead)>,
        selection: Selection,
        focus: Option<focus::Focus>,
    ) -> Result<()> {
        if leads.is_empty() {
            return Err(Error::user("from here there is nowhere to pivot to").hint("choose a value with the arrow keys"));
        }
        let mut items: Vec<Item> = leads
            .iter()
            .map(|(_, lead)| Item { label: lead.label.clone(), count: String::new(), preview: lead.query.clone(), empty: false })
            .collect();
        if self.selection().entity == selection.entity {
            let key = self.keymap.key_in("global", "set_add");
            items.push(Item { label: format!("into a set ({key})"), count: " ".into(), ..Item::default() });
        }
        let queries: Vec<(String, bool)> =
            leads.iter().map(|(pivot, lead)| (lead.query.clone(), lenses::find(pivot.lens).timeless)).collect();
        self.overlay = Some(Overlay::Pivots { menu: Menu::new(title, items), leads, selection: Box::new(selection), focus });
        self.count_choices(queries);
        Ok(())
    }
    /// Opens the list of verdicts.
    pub(super) fn open_verdicts(&mut self, title: &str) {
        let words = [
            ("benign", "explained and harmless; asks for the reason"),
            ("suspicious", "not decided, worth following"),
            ("malicious", "part of the attack"),
        ];
        let set = Item {
            label: "into a set".into(),
            count: " ".into(),
            preview: "what is allowed, watched, home ...".into(),
            ..Item::default()
        };
        let items = words
            .iter()
            .map(|(word, doc)| Item { label: (*word).into(), count: " ".into(), preview: (*doc).into(), empty: false })
            .chain([set])
            .collect();
        let lines = words.iter().map(|(word, _)| format!("verdict {word}")).chain(["set_add".into()]).collect();
        self.choose_from(title.to_owned(), items, lines);
    }
    /// Opens a list whose items run command lines.
    pub(super) fn choose_from(&mut self, title: String, items: Vec<Item>, lines: Vec<String>) {
        self.overlay = Some(Overlay::Choices { menu: Menu::new(title, items), lines });
    }
    /// Counts what is behind the items of an open list: a query and whether it is of the whole case; an empty query is not counted.
    pub(super) fn count_choices(&mut self, queries: Vec<(String, bool)>) {
        let window = self.walk.here().step.window;
        self.ask("pivots", move |work| {
            let mut questions = Vec::new();
            let mut which = Vec::new();
            for (n, (query, timeless)) in queries.iter().enumerate().filter(|(_, (query, _))| !query.is_empty()) {
                // A query that is no question of rows has no number beforehand.
                if let Ok(mut question) = compiled(&*work.engine, query, window.filter(|_| !timeless)) {
                    question.stages.clear();
                    questions.push(question);
                    which.push(n);
                }
            }
            let counts = work.engine.counts(&questions, 100_000, &work.cancel)?;
            let mut out = vec![None; queries.len()];
            for (n, count) in which.into_iter().zip(counts) {
                out[n] = Some(count);
            }
            work.give(PivotCounts(out));
            Ok(())
        });
    }
    /// Takes an answer that is for what lies over the screen.
    pub(super) fn overlay_answer(&mut self, answer: Answer) -> Result<()> {
        if answer.is::<PivotCounts>() {
            let open = &mut self.overlay;
            if let (Some(PivotCounts(counts)), Some(Overlay::Pivots { menu, .. } | Overlay::Choices { menu, .. })) =
                (answer.take(), open)
            {
                for (n, count) in counts.into_iter().enumerate() {
                    if let Some(count) = count {
                        let more = if count.at_least { "+" } else { "" };
                        menu.count(n, format!("{}{more}", thousands(count.n)), count.n == 0);
                    }
                }
            }
            return Ok(());
        }
        if answer.is::<Completed>() {
            if let (Some(Completed(text, completion)), Some(Overlay::Prompt { line, .. })) = (answer.take(), &mut self.overlay)
                && line.text() == text
            {
                let choices = completion.items.into_iter().map(|i| Choice { text: i.text, doc: i.doc }).collect();
                line.offer(completion.span, choices);
            }
            return Ok(());
        }
        self.finder_answer(answer)
    }
}

/// Names that may stand behind `@` in a query.
pub(super) fn set_names(keeper: &dyn crate::case::Keeper) -> Vec<String> {
    crate::query::set_names(&crate::context::sets::sets(&keeper.decisions()))
}

/// An error's sentence for below a line, and the byte that it points at if its place is a text with a caret.
fn pointed(err: &Error, text: &str, line: &str) -> (String, Option<usize>) {
    let hint = if err.hint.is_empty() { String::new() } else { format!(" · try: {}", err.hint.replace('\n', " ")) };
    let message = format!("{}{hint}", err.what.replace('\n', " "));
    // The place of a question's error is its text, and below it a caret.
    let caret = err.place.lines().find_map(|l| l.find('^').filter(|at| l[..*at].trim().is_empty()));
    let shift = line.find(text).unwrap_or(0);
    (message, caret.map(|at| at + shift).filter(|at| *at <= line.len()))
}
