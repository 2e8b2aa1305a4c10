//! How tables and panes are arranged: columns, their widths and order, the order of rows, groups, what stands at the end; layouts.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::tui::app::{App, Message, Part};
use crate::tui::columns::{self, Chosen};
use crate::tui::go::Said;
use crate::tui::lenses::{self, Lens};
use crate::tui::load::Sort;
use crate::tui::looks::{self, Footer, Looks, PANES};
use crate::tui::overlay::Overlay;
use crate::tui::panes::columns::Columns;
use crate::tui::panes::grouped::Grouped;
use crate::tui::widgets::menu::Item;

/// The commands.
pub const TABLE: &[Command] = &[
    command("columns", "[FIELD, FIELD:WIDTH ...|default]", "choose, order and resize the columns of this lens", choose),
    command("width", "N|auto", "width of the column under the cursor", width),
    command("sort", "[FIELD|-FIELD|off]", "order rows by a column, - is largest first", sort),
    command("group", "[FIELD, FIELD]", "group rows by a column: how many, how many bytes", group),
    command("footer", "sum|mean|p50|p95|off", "what columns of numbers come to over all rows", footer),
    command("hide", "card|detail|timeline", "a pane off or on", hide),
    command("resize", "card|detail +N|-N|N|auto", "size of a pane", resize),
    command("split", "[LETTER|before|off]", "two halves: this beside a mark, or beside the window before", |app, args| {
        app.split(args)
    }),
    command("layout", "[NAME|save NAME|remove NAME|default]", "use, save or remove a layout: panes, sizes, columns", layout),
];

/// Smallest and largest width of the card, height of the detail.
const SIZES: [(&str, u16, u16); 2] = [("card", 16, 100), ("detail", 1, 60)];

/// The lens whose table is shown.
fn lens(app: &App) -> Result<&'static Lens> {
    let lens = app.walk.here().lens();
    if lens.columns.is_empty() {
        return Err(Error::user(format!("{} has no columns to choose", lens.title.to_lowercase())).hint("open a lens: 1 to 6, a"));
    }
    Ok(lens)
}

fn choose(app: &mut App, args: &str) -> Result<()> {
    let lens = lens(app)?;
    match args {
        "" => {
            let chosen = app.looks.columns(lens).unwrap_or_else(|| columns::usual(lens));
            app.open(Box::new(Columns::new(lens, chosen)));
            Ok(())
        }
        "default" => arrange(app, lens, Vec::new(), "as they are by themselves"),
        text => {
            let chosen = columns::parse(lens, text)?;
            let said = columns::text(&chosen);
            arrange(app, lens, chosen, &said)
        }
    }
}

/// Gives a lens columns; none: its own.
fn arrange(app: &mut App, lens: &'static Lens, chosen: Vec<Chosen>, said: &str) -> Result<()> {
    let own = columns::text(&chosen) == columns::text(&columns::usual(lens));
    let text = if own { String::new() } else { columns::text(&chosen) };
    app.looks.change(lens, |of| of.columns = text);
    app.say(format!("columns of {}: {said}", lens.title));
    app.arrange();
    app.keep_looks(looks::LAST, None);
    Ok(())
}

fn width(app: &mut App, args: &str) -> Result<()> {
    let lens = lens(app)?;
    let Some(name) = app.rows.chosen_name() else {
        return Err(Error::user("no column is under the cursor").hint("choose one with the arrow keys to the left and right"));
    };
    if args.is_empty() {
        app.overlay = Some(Overlay::prompt(&format!("width of {name} (a number, auto)"), "width", ""));
        return Ok(());
    }
    let width = if args == "auto" { None } else { Some(columns::read_width(args)?) };
    let mut chosen = app.looks.columns(lens).unwrap_or_else(|| columns::usual(lens));
    chosen.iter_mut().filter(|c| c.choice.name == name).for_each(|c| c.width = width);
    let said = columns::text(&chosen);
    arrange(app, lens, chosen, &said)
}

fn sort(app: &mut App, args: &str) -> Result<()> {
    let lens = lens(app)?;
    let now = app.walk.here().sort().map(str::to_owned);
    let wanted = match args {
        "" => {
            let Some(name) = app.rows.column_name() else { return Err(Error::user("no column is under the cursor")) };
            // Once more is the other way round, then the order of time again.
            match now.as_deref() {
                Some(sorted) if sorted.strip_prefix('-') == Some(&name) => name,
                Some(sorted) if sorted == name => String::new(),
                _ => format!("-{name}"),
            }
        }
        "off" => String::new(),
        text => text.strip_prefix('+').unwrap_or(text).to_owned(),
    };
    let sort = if wanted.is_empty() { None } else { Some(read_sort(app, lens, &wanted)?) };
    app.say(match &sort {
        None => "rows in the order of time".to_owned(),
        Some(s) => format!("sorted by {}, {} first", s.name, if s.descending { "largest" } else { "smallest" }),
    });
    let place = crate::tui::walk::RowPlace { cell: app.rows.place().cell, ..Default::default() };
    app.walk.here_mut().set_sort(sort.map(|s| if s.descending { format!("-{}", s.name) } else { s.name }));
    app.walk.here_mut().set_place(place);
    app.enter();
    Ok(())
}

/// An order of rows, or of the groups that are shown.
fn read_sort(app: &App, lens: &'static Lens, text: &str) -> Result<Sort> {
    let Some(table) = app.rows.table() else { return Sort::read(lens, text) };
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    match table.columns.iter().find(|c| c.eq_ignore_ascii_case(name)) {
        Some(column) => Ok(Sort { name: column.clone(), fields: Vec::new(), descending }),
        None => Err(Error::user(format!("there is no column {name}")).hint(table.columns.join(", "))),
    }
}

fn group(app: &mut App, args: &str) -> Result<()> {
    let lens = lens(app)?;
    let names: Vec<String> = match args {
        "" => app.rows.column_name().into_iter().collect(),
        text => text.split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned).collect(),
    };
    if names.is_empty() {
        return Err(Error::user("no column is under the cursor").hint("group dst.port, app"));
    }
    let mut by = Vec::new();
    for name in &names {
        let id = *columns::named(lens, name)?.first().ok_or_else(|| Error::user(format!("{name} has no values")))?;
        if !by.contains(&id) {
            by.push(id);
        }
    }
    let node = app.walk.here();
    let pane = Grouped::new(node.step.focus.clone(), lens, node.query(lens), node.step.window.filter(|_| !lens.timeless), by)?;
    app.open(Box::new(pane));
    Ok(())
}

fn footer(app: &mut App, args: &str) -> Result<()> {
    let lens = lens(app)?;
    let text = match args {
        "" => {
            let mut items = Vec::new();
            let mut lines = Vec::new();
            for (name, doc) in Footer::OFFERED.iter().chain([&("off", "nothing")]) {
                items.push(Item { label: (*name).into(), count: " ".into(), preview: (*doc).into(), empty: false });
                lines.push(format!("footer {name}"));
            }
            app.choose_from("at the end of the table".into(), items, lines);
            return Ok(());
        }
        "off" => String::new(),
        text => Footer::parse(text)
            .ok_or_else(|| Error::user(format!("nothing is called {text}")).hint("sum, mean, p50, p95, any p1 to p99.9, off"))?
            .name(),
    };
    app.say(if text.is_empty() { "no footer".to_owned() } else { format!("footer of {}: {text} of all rows", lens.title) });
    app.looks.change(lens, |of| of.footer = text);
    app.arrange();
    app.keep_looks(looks::LAST, None);
    Ok(())
}

/// The pane that a name means.
fn pane(name: &str) -> Result<&'static str> {
    PANES.into_iter().find(|p| *p == name).ok_or_else(|| Error::user(format!("no pane is called {name}")).hint(PANES.join(", ")))
}

fn hide(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        let item = |p: &str| Item { label: p.to_owned(), count: " ".into(), ..Item::default() };
        app.choose_from("off or on".into(), PANES.map(item).to_vec(), PANES.map(|p| format!("hide {p}")).to_vec());
        return Ok(());
    }
    let name = pane(args)?;
    let hidden = !app.hides(name);
    if name == "card" {
        app.card_shown = !hidden;
    } else {
        app.looks.hide(name, hidden);
    }
    app.stay_in_sight();
    app.say(format!("{name} {}", if hidden { "off" } else { "on" }));
    app.keep_looks(looks::LAST, None);
    Ok(())
}

fn resize(app: &mut App, args: &str) -> Result<()> {
    let (name, size) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let Some((name, least, most)) = SIZES.into_iter().find(|(n, ..)| *n == name) else {
        return Err(
            Error::user("what is to be resized, and by how much").hint("resize detail +4, resize card 40, resize card auto")
        );
    };
    let size = size.trim();
    let (card, detail) = app.sizes();
    let now = if name == "card" { card } else { detail };
    let wrong = || Error::user(format!("{size} is no size")).hint(format!("+N, -N, {least} to {most}, auto"));
    let new = match size {
        "auto" => None,
        _ => {
            let number: i32 = size.trim_start_matches('+').parse().map_err(|_| wrong())?;
            let relative = size.starts_with(['+', '-']);
            let wanted = if relative { i32::from(now).saturating_add(number) } else { number };
            Some(wanted.clamp(i32::from(least), i32::from(most)) as u16)
        }
    };
    if name == "card" {
        app.looks.card = new;
    } else {
        app.looks.detail = new;
    }
    app.say(match new {
        Some(n) => format!("{name}: {n} {}", if name == "card" { "columns" } else { "lines" }),
        None => format!("{name}: by the size of the screen"),
    });
    app.keep_looks(looks::LAST, None);
    Ok(())
}

fn layout(app: &mut App, args: &str) -> Result<()> {
    let config = app.options.config.clone();
    let (verb, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    match (verb, rest.trim()) {
        ("", _) => {
            let saved = looks::saved(config.as_deref());
            let line = |n: &str| format!("layout {n}");
            let mut names: Vec<String> = saved.clone();
            names.push("default".into());
            let mut items: Vec<Item> = names
                .iter()
                .map(|n| Item { label: n.clone(), count: " ".into(), preview: "use it".into(), empty: false })
                .collect();
            let mut lines: Vec<String> = names.iter().map(|n| line(n)).collect();
            items.push(Item { label: "save under a name".into(), count: " ".into(), ..Item::default() });
            lines.push("layout save".into());
            if !saved.is_empty() {
                items.push(Item { label: "remove one".into(), count: " ".into(), ..Item::default() });
                lines.push("layout remove".into());
            }
            app.choose_from("layouts".into(), items, lines);
            Ok(())
        }
        ("save", "") => {
            app.overlay = Some(Overlay::prompt("save this layout as", "layout save", ""));
            Ok(())
        }
        ("save", name) => {
            let name = looks::name(name)?.to_owned();
            app.keep_looks(&name, Some(format!("layout {name} saved: panes, sizes and columns as they are now")));
            Ok(())
        }
        ("remove", "") => {
            let saved = looks::saved(config.as_deref());
            if saved.is_empty() {
                return Err(Error::user("no layout is saved").hint("layout save NAME keeps the one that is shown"));
            }
            let lines = saved.iter().map(|n| format!("layout remove {n}")).collect();
            let item = |n: String| Item { label: n, count: " ".into(), preview: "remove it".into(), empty: false };
            app.choose_from("remove which layout".into(), saved.into_iter().map(item).collect(), lines);
            Ok(())
        }
        ("remove", name) => {
            // What is shown stays as it is: only the name is gone.
            if !looks::remove(config.as_deref(), looks::name(name)?)? {
                return Err(no_layout(name, &looks::saved(config.as_deref())));
            }
            app.say(format!("layout {name} removed"));
            Ok(())
        }
        ("default", "") => {
            app.use_looks(Looks::default());
            app.say("layout: as it is by itself");
            app.keep_looks(looks::LAST, None);
            Ok(())
        }
        (name, "") => {
            let Some(found) = looks::load(config.as_deref(), looks::name(name)?)? else {
                return Err(no_layout(name, &looks::saved(config.as_deref())));
            };
            app.use_looks(found);
            app.say(format!("layout: {name}"));
            app.keep_looks(looks::LAST, None);
            Ok(())
        }
        _ => Err(Error::user("a layout is used, saved or removed by its name")
            .hint("layout NAME, layout save NAME, layout remove NAME, layout default")),
    }
}

fn no_layout(name: &str, saved: &[String]) -> Error {
    let near = crate::error::nearest(name, saved.iter().map(String::as_str)).map(str::to_owned);
    Error::user(format!("no layout is called {name}"))
        .hint(near.unwrap_or_else(|| "layout save NAME keeps the one that is shown".into()))
}

impl App {
    /// Gives the table the columns and the footer of the lens that is open.
    pub(in crate::tui) fn arrange(&mut self) {
        let lens = self.walk.here().lens();
        let (chosen, footer) = (self.looks.columns(lens).unwrap_or_default(), self.looks.footer(lens));
        self.rows.arrange(chosen);
        self.rows.set_footer(footer);
        self.with(|app| &mut app.rows, "rows", |rows, cx| rows.ask_footer(cx));
        self.show_beside();
        self.touch();
    }
    /// Whether a pane is not shown.
    pub(in crate::tui) fn hides(&self, pane: &str) -> bool {
        if pane == "card" { !self.card_shown } else { self.looks.hides(pane) }
    }
    /// The cursor leaves a pane that is not shown.
    fn stay_in_sight(&mut self) {
        let gone = match self.part {
            Part::Rows => false,
            Part::Detail => self.looks.hides("detail"),
            Part::Card => !self.shows_card(),
        };
        if gone {
            self.part = Part::Rows;
        }
    }
    /// A new session looks as the last one did.
    pub(in crate::tui) fn first_looks(&mut self) {
        match looks::load(self.options.config.as_deref(), looks::LAST) {
            Ok(found) => self.take_looks(found.unwrap_or_default()),
            Err(err) => self.message = self.message.take().or(Some(Message::Failed(err))),
        }
    }
    /// Takes how the workbench looks, without showing it yet.
    pub(in crate::tui) fn take_looks(&mut self, looks: Looks) {
        self.card_shown = !looks.hides("card");
        self.looks = looks;
        self.looks.hide("card", false);
    }
    /// Looks so from now on.
    fn use_looks(&mut self, looks: Looks) {
        self.take_looks(looks);
        self.stay_in_sight();
        self.arrange();
    }
    /// How the workbench looks, as it is kept.
    pub(in crate::tui) fn looks_now(&self) -> Looks {
        let mut looks = self.looks.clone();
        looks.hide("card", !self.card_shown);
        looks
    }
    /// Keeps how the workbench looks under a name, in the background. Without a folder the session keeps it alone.
    fn keep_looks(&mut self, name: &str, said: Option<String>) {
        let (config, looks, name) = (self.options.config.clone(), self.looks_now(), name.to_owned());
        if config.is_none() && said.is_none() {
            return;
        }
        self.ask("layout", move |work| {
            looks::keep(config.as_deref(), &name, &looks)?;
            if let Some(said) = said {
                work.give(Said(said));
            }
            Ok(())
        });
    }
    /// Names that can stand behind a command that is being typed, with what each is.
    pub(in crate::tui) fn arguments(&self, command: &str) -> Vec<(String, String)> {
        let own = |list: &[(&str, &str)]| list.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect::<Vec<_>>();
        let lens = self.walk.here().lens();
        let names = || columns::known(lens).into_iter().map(|c| (c.name.to_owned(), c.doc.to_owned()));
        match command {
            "columns" => own(&[("default", "the lens's own columns")]).into_iter().chain(names()).collect(),
            "sort" | "group" => match (self.rows.table(), command) {
                (Some(table), "sort") => table.columns.iter().map(|c| (c.clone(), String::new())).collect(),
                _ => names().filter(|(n, _)| columns::named(lens, n).is_ok()).collect(),
            },
            "width" => own(&[("auto", "by the width of the screen")]),
            "footer" => own(Footer::OFFERED).into_iter().chain(own(&[("off", "nothing")])).collect(),
            "split" => {
                let marked = self.letters.keys().map(|c| (c.to_string(), "what this letter marks".to_owned()));
                let own = own(&[("before", "the same in the window before"), ("off", "one half")]);
                own.into_iter().chain(marked).collect()
            }
            "hide" => PANES.iter().map(|p| ((*p).to_owned(), String::new())).collect(),
            "resize" => own(&[("card", "columns of the screen"), ("detail", "lines")]),
            "layout" => {
                let saved = looks::saved(self.options.config.as_deref()).into_iter().map(|n| (n, "saved".to_owned()));
                own(&[("save", "keep this one under a name"), ("remove", "take one away"), ("default", "as it is by itself")])
                    .into_iter()
                    .chain(saved)
                    .collect()
            }
            "lens" => lenses::ALL.iter().map(|l| (l.name.to_owned(), l.title.to_owned())).collect(),
            _ => Vec::new(),
        }
    }
}
