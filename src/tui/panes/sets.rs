//! The named sets: every entry with why, who, when and until when. Enter looks at an entry, it can be taken out, and that undone.

use super::{Change, Handled, Pane};
use crate::context::sets::{self, Entry};
use crate::error::Result;
use crate::model::Entity;
use crate::model::decision::What;
use crate::pivots::Selection;
use crate::store::now;
use crate::tui::effect::{Cx, Effect};
use crate::tui::paint::{Line, fill, put};
use crate::tui::text;
use crate::tui::view::View;
use crate::tui::widgets::scroll::Scroll;
use crate::tui::widgets::table::{self, Column};
use ratatui::Frame;
use ratatui::layout::Rect;

const COLUMNS: [Column; 7] = [
    Column { title: "set", least: 12, wanted: 14, right: false, drop: 0 },
    Column { title: "entry", least: 16, wanted: 40, right: false, drop: 0 },
    Column { title: "kind", least: 7, wanted: 9, right: false, drop: 6 },
    Column { title: "until", least: 10, wanted: 10, right: false, drop: 3 },
    Column { title: "who", least: 6, wanted: 10, right: false, drop: 4 },
    Column { title: "when", least: 10, wanted: 10, right: false, drop: 5 },
    Column { title: "why", least: 12, wanted: 40, right: false, drop: 0 },
];

/// The sets of the case.
#[derive(Default)]
pub struct Sets {
    entries: Vec<(String, Entry)>,
    sets: usize,
    scroll: Scroll,
}

impl Sets {
    /// The sets of the case.
    pub fn new() -> Sets {
        Sets::default()
    }
    fn read(&mut self, cx: &mut Cx) {
        let all = sets::sets(&cx.keeper.decisions());
        self.sets = all.len();
        self.entries = all.into_iter().flat_map(|s| s.entries.into_iter().map(move |e| (s.name.clone(), e))).collect();
        self.scroll.select(self.scroll.selected, self.entries.len());
    }
    fn entry(&self) -> Option<&(String, Entry)> {
        self.entries.get(self.scroll.selected)
    }
    fn go(&self, cx: &mut Cx) {
        let Some((_, entry)) = self.entry() else { return };
        let end = entry.text.parse::<std::net::SocketAddr>();
        let line = match (&end, entry.text.starts_with("*.")) {
            (Ok(end), _) => format!("query host = {} and port = {}", end.ip(), end.port()),
            (_, true) => format!("query any = {}", entry.text),
            _ if Entity::recognise(&entry.text).is_some() => format!("focus {}", entry.text),
            _ => format!("query any = {}", crate::query::quote(&entry.text)),
        };
        cx.push(Effect::Close);
        cx.push(Effect::Run(line));
    }
    fn remove(&self, cx: &mut Cx) {
        let Some((set, entry)) = self.entry() else { return };
        cx.push(Effect::Append(What::SetRemove { set: set.clone(), entries: vec![entry.text.clone()] }));
        cx.say(format!("{} is no longer in @{set}", text::clean(&entry.text)));
    }
}

impl Pane for Sets {
    fn name(&self) -> &'static str {
        "sets"
    }
    fn title(&self) -> String {
        "sets".into()
    }
    fn commands(&self) -> &'static [(&'static str, &'static str)] {
        &[("drill", "look at it"), ("set_remove", "take this entry out of its set"), ("undo", "undo")]
    }
    fn opened(&mut self, cx: &mut Cx) -> Result<()> {
        self.read(cx);
        Ok(())
    }
    fn run(&mut self, command: &str, cx: &mut Cx) -> Result<Handled> {
        match command {
            "drill" => self.go(cx),
            "set_remove" => self.remove(cx),
            _ if self.scroll.run(command, self.entries.len()) => {}
            _ => return Ok(Handled::No),
        }
        Ok(Handled::Yes)
    }
    fn changed(&mut self, change: Change, cx: &mut Cx) -> Result<()> {
        if change == Change::Decisions {
            self.read(cx);
        }
        Ok(())
    }
    fn selected(&self) -> Selection {
        Selection { entity: self.entry().and_then(|(_, e)| Entity::recognise(&e.text)), ..Selection::default() }
    }
    fn copied(&self) -> Option<(String, String)> {
        self.entry().map(|(_, e)| ("entry".to_owned(), e.text.clone()))
    }
    fn status(&self) -> String {
        let (entries, sets) = (self.entries.len(), self.sets);
        format!(
            "{entries} {} in {sets} {}",
            if entries == 1 { "entry" } else { "entries" },
            if sets == 1 { "set" } else { "sets" }
        )
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, view: &View) {
        let buf = frame.buffer_mut();
        let theme = view.theme;
        fill(buf, area, theme.style("ui.background"));
        if area.height < 3 {
            return;
        }
        if self.entries.is_empty() {
            let key = view.keymap.key_in("global", "set_add");
            let lines = [
                format!("no set yet: {key} on a row or value puts it into one; queries: any in @name"),
                "allow is what may be left out of sight, watch what is looked for, home one's own networks, mission what matters most".into(),
                "from a file: backtrail set import NAME FILE".into(),
            ];
            let wide = area.width.saturating_sub(2);
            let lines = lines.iter().flat_map(|line| text::wrap(line, usize::from(wide), 3));
            for (line, y) in lines.zip(area.y + 1..area.bottom()) {
                put(buf, area.x + 1, y, wide, &line, theme.style("ui.dim"));
            }
            return;
        }
        let list = Rect { height: area.height - 1, ..area };
        let (mut scroll, now) = (self.scroll, now());
        let day = |t| view.zone.format(t, "%Y-%m-%d");
        let mut row = |n: usize| {
            let (set, e) = &self.entries[n];
            let (until, role) = match e.expires {
                Some(_) if e.is_expired(now) => ("expired".to_owned(), "ui.warning"),
                Some(t) => (day(t), "ui.time"),
                None => (String::new(), "ui.dim"),
            };
            let body = if e.is_expired(now) { "ui.dim" } else { "ui.text" };
            vec![
                (format!("@{set}"), "ui.chip"),
                (text::clean(&e.text).into_owned(), body),
                (e.kind().to_owned(), "ui.dim"),
                (until, role),
                (text::clean(&e.who).into_owned(), "ui.dim"),
                (day(e.at), "ui.time"),
                (text::clean(&e.reason).into_owned(), body),
            ]
        };
        table::draw(buf, list, &COLUMNS, &mut scroll, self.entries.len(), view, view.focused, &mut row);
        self.scroll = scroll;
        let Some((set, e)) = self.entry() else { return };
        let mut foot = Line::new(buf, area, area.height - 1);
        let why = if e.reason.is_empty() { "no reason given" } else { &e.reason };
        foot.add(
            &format!(" @{set} {} {} {} {}", view.glyphs.dot, text::clean(&e.text), view.glyphs.dot, text::clean(why)),
            theme.style("ui.dim"),
        );
    }
}
