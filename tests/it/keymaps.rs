//! Every keymap loads, collides nowhere, and binds nothing that is reserved.

use backtrail::tui::key::Key;
use backtrail::tui::keymap::{Keymap, Lookup, Reserved};

fn all() -> Vec<Keymap> {
    let names = Keymap::available(None);
    assert!(["default", "vim", "emacs"].iter().all(|n| names.iter().any(|m| m == n)), "{names:?}");
    let load = |name: &String| Keymap::load(name, None).map_err(|e| format!("{name}: {e}"));
    match names.iter().map(load).collect() {
        Ok(maps) => maps,
        Err(e) => unreachable!("{e}"),
    }
}

#[test]
fn every_keymap_has_one_meaning_for_a_key_on_every_screen_and_binds_no_reserved_key() {
    for map in all() {
        assert_eq!(map.problems(), Vec::<String>::new(), "{}", map.name);
    }
}

#[test]
fn every_binding_is_reached_by_the_keys_that_it_shows() {
    for map in all() {
        for scope in map.scopes().map(str::to_owned).collect::<Vec<_>>() {
            for (keys, command) in map.bindings(&scope) {
                let keys: Vec<Key> = keys.split(' ').map(|k| Key::parse(k).unwrap_or_else(|| panic!("{k}"))).collect();
                assert_eq!(map.lookup(&scope, &keys), Lookup::Command(command), "{} {scope} {keys:?}", map.name);
                for n in 1..keys.len() {
                    assert!(matches!(map.lookup(&scope, &keys[..n]), Lookup::Pending(_)), "{} {scope} {keys:?}", map.name);
                }
            }
        }
    }
}

#[test]
fn every_keymap_reaches_every_command_of_the_default_one() {
    let default = Keymap::load("default", None).unwrap();
    for map in all() {
        for (_, command) in default.scopes().flat_map(|s| default.bindings(s)) {
            assert!(!map.keys_of(&command).is_empty(), "{} has no key for {command}", map.name);
        }
    }
}

#[test]
fn keys_that_are_not_on_every_keyboard_have_another_way() {
    for map in all() {
        for key in ["[", "]", "\\"] {
            let Lookup::Command(command) = map.lookup("global", &[Key::parse(key).unwrap()]) else { continue };
            assert!(map.keys_of(&command).len() > 1, "{}: {command} only by {key}", map.name);
        }
    }
}

#[test]
fn where_one_types_every_character_is_text() {
    for map in all() {
        for scope in ["prompt", "menu", "finder"] {
            for c in (' '..='~').chain(['é', '語']) {
                assert_eq!(map.lookup(scope, &[Key::char(c)]), Lookup::None, "{} {scope} {c}", map.name);
            }
        }
    }
}

#[test]
fn the_list_of_reserved_keys_is_read_in_full() {
    let reserved = Reserved::load();
    assert!(reserved.keys().count() >= 11);
    for key in [
        "ctrl-a",
        "ctrl-b",
        "ctrl-s",
        "ctrl-q",
        "ctrl-\\",
        "ctrl-space",
        "ctrl-w",
        "ctrl-t",
        "ctrl-n",
        "ctrl-p",
        "~",
        "alt-x",
        "f5",
    ] {
        assert!(reserved.why(Key::parse(key).unwrap()).is_some(), "{key}");
    }
    assert_eq!(reserved.why(Key::char('q')), None);
}
