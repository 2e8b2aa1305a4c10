//! Passwords of archives: those given, then the one that malware is traded with, then what a person says when asked, once per archive.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The password that evidence of malware is handed over with by custom.
pub const CUSTOM: &str = "infected";

/// Asks a person for the password of an archive that is named; none: nobody there, or no answer.
pub type Ask = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The passwords of one import.
pub struct Keys<'a> {
    known: RefCell<Vec<String>>,
    ask: Option<&'a Ask>,
    /// The archive that is open, and whether a person was asked about it.
    archive: RefCell<String>,
    asked: Cell<bool>,
}

impl<'a> Keys<'a> {
    /// Of the passwords that were given, in this order.
    pub fn new(given: &[String], ask: Option<&'a Ask>) -> Keys<'a> {
        let mut known = given.to_vec();
        known.push(CUSTOM.to_owned());
        Keys { known: RefCell::new(known), ask, archive: RefCell::default(), asked: Cell::default() }
    }
    /// From here on it is about this archive; gives what was before, to come back to.
    pub fn enter(&self, archive: &str) -> (String, bool) {
        (self.archive.replace(archive.to_owned()), self.asked.take())
    }
    /// Back to the archive around it.
    pub fn leave(&self, before: (String, bool)) {
        self.archive.replace(before.0);
        self.asked.set(before.1);
    }
    /// The nth password to try.
    pub fn get(&self, n: usize) -> Option<String> {
        self.known.borrow().get(n).cloned()
    }
    /// The nth opened a member: it is tried first from now on.
    pub fn opened(&self, n: usize) {
        let mut known = self.known.borrow_mut();
        if n > 0 && n < known.len() {
            let key = known.remove(n);
            known.insert(0, key);
        }
    }
    /// Asks for one more; true: there is one, the last.
    pub fn ask(&self) -> bool {
        if self.asked.replace(true) {
            return false;
        }
        let said = self.ask.and_then(|ask| ask(&self.archive.borrow()));
        said.map(|key| self.known.borrow_mut().push(key)).is_some()
    }
}
