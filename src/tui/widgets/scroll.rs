//! Which line of a list is under the cursor and which is the first in sight: what every list does with the commands that move.

/// Cursor and scroll position of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scroll {
    /// The line under the cursor.
    pub selected: usize,
    /// The first line in sight.
    pub top: usize,
    height: usize,
}

impl Scroll {
    /// Runs a command that moves, over `len` lines. False: it is another command.
    pub fn run(&mut self, command: &str, len: usize) -> bool {
        let page = self.height.saturating_sub(1).max(1);
        let last = len.saturating_sub(1);
        self.selected = match command {
            "move_up" => self.selected.saturating_sub(1),
            "move_down" => (self.selected + 1).min(last),
            "page_up" => self.selected.saturating_sub(page),
            "page_down" => (self.selected + page).min(last),
            "go_first" => 0,
            "go_last" => last,
            _ => return false,
        }
        .min(last);
        self.keep(len);
        true
    }
    /// Puts the cursor on a line.
    pub fn select(&mut self, line: usize, len: usize) {
        self.selected = line.min(len.saturating_sub(1));
        self.keep(len);
    }
    /// Says how many lines are in sight; gives those lines. To be called when drawing.
    pub fn sight(&mut self, height: usize, len: usize) -> std::ops::Range<usize> {
        self.height = height;
        self.selected = self.selected.min(len.saturating_sub(1));
        self.keep(len);
        self.top..len.min(self.top + height)
    }
    /// The same for a text that has no cursor: only its top counts.
    pub fn sight_text(&mut self, height: usize, len: usize) -> std::ops::Range<usize> {
        self.height = height;
        self.top = self.top.min(len.saturating_sub(height));
        self.selected = self.top;
        self.top..len.min(self.top + height)
    }
    /// Scrolls a text that has no cursor. False: it is another command.
    pub fn page(&mut self, command: &str, len: usize) -> bool {
        let most = len.saturating_sub(self.height.max(1));
        let page = self.height.saturating_sub(1).max(1);
        self.top = match command {
            "move_up" => self.top.saturating_sub(1),
            "move_down" => self.top + 1,
            "page_up" => self.top.saturating_sub(page),
            "page_down" => self.top + page,
            "go_first" => 0,
            "go_last" => most,
            _ => return false,
        }
        .min(most);
        self.selected = self.top;
        true
    }
    /// Where one is: `12/340`, empty if everything is in sight.
    pub fn place(&self, len: usize) -> String {
        if len <= self.height { String::new() } else { format!("{}/{len}", self.selected + 1) }
    }
    fn keep(&mut self, len: usize) {
        let height = self.height.max(1);
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.selected >= self.top + height {
            self.top = self.selected + 1 - height;
        }
        self.top = self.top.min(len.saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_inside_and_in_sight() {
        let mut scroll = Scroll::default();
        assert_eq!(scroll.sight(5, 100), 0..5);
        for command in
            ["move_up", "page_down", "page_down", "move_down", "go_last", "move_down", "page_up", "go_first", "move_up"]
        {
            assert!(scroll.run(command, 100));
            assert!(scroll.sight(5, 100).contains(&scroll.selected), "{command}");
        }
        scroll.run("go_last", 100);
        assert_eq!((scroll.selected, scroll.sight(5, 100)), (99, 95..100));
        assert_eq!((scroll.sight(5, 3), scroll.selected), (0..3, 2));
        assert_eq!(scroll.sight(5, 0), 0..0);
        assert!(scroll.run("move_down", 0) && scroll.selected == 0);
        assert!(!scroll.run("drill", 3));
    }
}
