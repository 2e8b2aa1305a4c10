//! The workbench line by line: what is read, what is printed.

use crate::support::{Notebook, story};
use backtrail::tui::{Options, plain};
use std::sync::Arc;

/// What is printed for some lines; each printed `> ` begins what one line brought.
fn said(lines: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut input = lines.as_bytes();
    plain::run(Arc::new(story()), Arc::new(Notebook::default()), Options::default(), &mut input, &mut out, true).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.split("> ").map(|s| s.trim_end_matches("text").trim_end_matches("find").to_owned()).collect()
}

#[test]
fn a_line_of_keys_brings_what_changed() {
    let said = said("2\nj\nj j\n\nnonsense\n");
    assert!(said[0].contains("alerts"), "{}", said[0]);
    assert!(said[1].contains("start") && said[1].lines().count() > 10, "{}", said[1]);
    // A step down: the row under the cursor, and where it is in the list.
    assert!(said[2].lines().count() <= 3 && said[2].starts_with('▸'), "{}", said[2]);
    assert!(said[3].lines().count() <= 3, "{}", said[3]);
    assert!(said[4].lines().count() > 10, "an empty line brings everything: {}", said[4]);
    assert!(said[5].contains("no key is called nonsense"), "{}", said[5]);
    for text in &said {
        assert!(!text.contains(['│', '┌', '└', '\u{1b}']), "{text}");
    }
}

#[test]
fn commands_menus_and_what_is_asked_for_stand_alone() {
    let said = said(":focus 10.8.21.5\n2\n/\ndst.port = 445\np\nenter\n/\n<esc>\n:nothing\n");
    assert!(said[1].contains("10.8.21.5"), "{}", said[1]);
    assert!(said[3].contains("filter") && said[3].lines().count() <= 2, "the line alone: {}", said[3]);
    assert!(said[4].contains("445"), "{}", said[4]);
    assert!(said[5].contains("pivot on") && said[5].contains("flows of"), "{}", said[5]);
    assert!(!said[5].contains(" tcp "), "the menu alone: {}", said[5]);
    assert!(said[9].contains("no command is called nothing"), "{}", said[9]);
}
