//! Every theme loads without a warning, can be read, and is enough without colours.

use backtrail::tui::colour::contrast;
use backtrail::tui::terminal::Depth;
use backtrail::tui::theme::{ROLES, Theme};
use ratatui::style::{Color, Modifier, Style};
use std::path::Path;

const DEPTHS: [Depth; 4] = [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::True];

fn load(name: &str, depth: Depth) -> Theme {
    match Theme::load(name, None, depth) {
        Ok(theme) => theme,
        Err(e) => unreachable!("{name}: {e}"),
    }
}

#[test]
fn every_theme_loads_without_warnings_and_gives_every_role() {
    let names = Theme::available(None);
    assert!(["dusk", "paper", "contrast", "mono"].iter().all(|n| names.iter().any(|m| m == n)), "{names:?}");
    for name in &names {
        for depth in DEPTHS {
            let theme = load(name, depth);
            assert_eq!(theme.warnings, Vec::<String>::new(), "{name} {depth:?}");
            for (role, _) in ROLES {
                assert!(theme.defined(role).is_some(), "{name} {depth:?} does not give {role}");
            }
        }
    }
}

/// Roles that are not text: rules and plots need less contrast.
const NOT_TEXT: &[&str] = &["ui.border", "spark", "ui.background"];

#[test]
fn text_is_readable_on_everything_that_it_stands_on() {
    for (name, least) in [("dusk", 4.5), ("paper", 4.5), ("contrast", 7.0)] {
        let theme = load(name, Depth::True);
        let grounds = ["ui.background", "ui.menu", "ui.row.selected", "ui.row.selected.inactive"];
        for (role, _) in ROLES.iter().filter(|(r, _)| !NOT_TEXT.contains(r)) {
            let style = theme.style(role);
            for ground in grounds {
                let ground = theme.style(ground);
                let bg = style.bg.or(ground.bg).unwrap_or(theme.style("ui.background").bg.unwrap_or(Color::Black));
                let Some(fg) =
                    (if style.bg.is_none() { ground.fg.filter(|_| ground.bg == Some(bg)).or(style.fg) } else { style.fg })
                else {
                    continue;
                };
                let ratio = contrast(fg, bg).unwrap_or(0.0);
                assert!(ratio >= least, "{name}: {role} on {bg:?} has {ratio:.2}");
            }
        }
    }
}

#[test]
fn the_cursor_is_seen_without_colours_and_with_sixteen() {
    let seen = |style: Style| {
        style.add_modifier.intersects(Modifier::REVERSED | Modifier::UNDERLINED | Modifier::BOLD)
            || style.bg.is_some_and(|b| b != Color::Reset)
    };
    for name in Theme::available(None) {
        for depth in DEPTHS {
            let theme = load(&name, depth);
            for role in [
                "ui.row.selected",
                "ui.row.selected.inactive",
                "ui.cell.selected",
                "ui.menu.selected",
                "ui.found",
                "hex.lit",
                "ui.tab.active",
            ] {
                assert!(seen(theme.style(role)), "{name} {depth:?}: {role} is not seen");
            }
            assert_ne!(theme.style("ui.row.selected"), theme.style("ui.row.selected.inactive"), "{name} {depth:?}");
            if depth == Depth::None {
                assert!(
                    ROLES.iter().all(|(r, _)| theme.style(r).fg.is_none() && theme.style(r).bg.is_none()),
                    "{name} has colours"
                );
            }
        }
    }
}

#[test]
fn every_role_that_the_screen_names_is_given_by_every_theme() {
    let mut named = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui")];
    let literal =
        regex::Regex::new(r#""((?:ui|spark|entity|kind|severity|verdict|match|stream|hex|source)\.[a-z][a-z.]*)""#).unwrap();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "theme.rs" {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                named.extend(literal.captures_iter(&text).map(|c| c[1].to_owned()));
            }
        }
    }
    assert!(!named.is_empty());
    for name in Theme::available(None) {
        let theme = load(&name, Depth::True);
        for role in &named {
            assert!(theme.defined(role).is_some(), "{name} does not give {role}");
        }
    }
}
