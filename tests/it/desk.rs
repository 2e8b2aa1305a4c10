//! The workbench on a real case, without a terminal: keys in, screen out, keys counted.

use crate::copied::copy_all;
use crate::story;
use backtrail::case::LocalKeeper;
use backtrail::query::LocalEngine;
use backtrail::query::known::Known;
use backtrail::store::{OpenOptions, Reserve, Store};
use backtrail::tui::event::InputEvent;
use backtrail::tui::key::Key;
use backtrail::tui::{App, Event, Options};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A workbench of 120x40 on a case of its own.
pub struct Desk {
    pub engine: Arc<LocalEngine>,
    app: App,
    terminal: Terminal<TestBackend>,
    /// Keys pressed so far; what is typed counts as none.
    pub pressed: usize,
    dir: TempDir,
}

impl Desk {
    /// On an empty case.
    pub fn empty() -> Desk {
        Desk::on(TempDir::with_prefix("backtrail-it-").unwrap(), true)
    }
    /// On a copy of the whole story.
    pub fn story() -> Desk {
        let dir = TempDir::with_prefix("backtrail-it-").unwrap();
        copy_all(&story::CASE.engine.store().dir(), &dir.path().join("case"));
        Desk::on(dir, false)
    }
    /// On a copy of a case.
    pub fn copy_of(case: &Path) -> Desk {
        let dir = TempDir::with_prefix("backtrail-it-").unwrap();
        copy_all(case, &dir.path().join("case"));
        Desk::on(dir, false)
    }
    fn on(dir: TempDir, create: bool) -> Desk {
        let options = OpenOptions { create, ballast: 0, reserve: Reserve { percent: 0, bytes: 0 }, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("case"), &options).unwrap();
        let engine = Arc::new(LocalEngine::new(store.clone(), Box::new(Known::default())));
        let app = App::new(engine.clone(), Arc::new(LocalKeeper::new(store)), Options::default()).unwrap();
        let mut desk = Desk { engine, app, terminal: Terminal::new(TestBackend::new(120, 40)).unwrap(), pressed: 0, dir };
        desk.settle();
        desk
    }
    /// A place for files of the test, beside the case.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Keys and texts in turn, apart by blanks: a key is a character or a name in `<>`; a text stands in `«»` and is typed.
    pub fn keys(&mut self, script: &str) -> String {
        let mut rest = script.trim_start();
        while !rest.is_empty() {
            let end;
            if let Some(text) = rest.strip_prefix('«') {
                end = rest.find('»').expect("a text ends");
                text[..end - '«'.len_utf8()].chars().for_each(|c| self.press(Key::char(c)));
                rest = &rest[end + '»'.len_utf8()..];
            } else {
                end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let name = rest[..end].strip_prefix('<').and_then(|k| k.strip_suffix('>')).filter(|k| !k.is_empty());
                self.press(Key::parse(name.unwrap_or(&rest[..end])).unwrap_or_else(|| panic!("no key {}", &rest[..end])));
                self.pressed += 1;
                rest = &rest[end..];
            }
            rest = rest.trim_start();
        }
        self.screen()
    }
    fn press(&mut self, key: Key) {
        self.app.handle(Event::Input(InputEvent::Key(key)));
        self.settle();
    }
    /// Ten seconds are not enough for the findings of a case on a machine that is busy.
    fn settle(&mut self) {
        assert!((0..30).any(|_| self.app.settle()));
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
    }
    pub fn screen(&self) -> String {
        shown(&self.terminal)
    }
}

/// What is on a terminal, a line each.
pub fn shown(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// A file of the story, copied beside the case.
pub fn put(name: &str, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let from = story::story(name);
    std::fs::copy(&from, folder.join(from.file_name().unwrap())).unwrap();
}
