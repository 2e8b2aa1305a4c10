//! Which key is which command, by scope: `keymaps/NAME.toml`. Knows no command; the app checks the names.
//!
//! A file is a table per scope: `global`, the name of a pane, or `prompt`, `menu`, `finder`. A value is a command's name, a command line
//! that begins with `:`, `none` (takes an inherited key away), or a nested table: a menu, whose label is its `_`. A scope that does not
//! bind a key asks the scope that its `_else` names, `global` unless it says otherwise; `_else = "none"` asks nobody (where one types).

use super::assets::Assets;
use super::key::{Code, Key};
use crate::error::{Error, Result};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::Path;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/keymaps");
static ASSETS: Assets = Assets { what: "keymap", folder: "keymaps", embedded: &EMBEDDED };

/// Deepest nesting of menus.
const MAX_DEPTH: usize = 4;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Command(String),
    Menu { label: String, keys: BTreeMap<Key, Node> },
}

/// What keys mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// A command's name, or a command line that begins with `:`.
    Command(String),
    /// More keys are needed: what may follow, with a label each.
    Pending(Vec<(Key, String)>),
    /// Nothing.
    None,
}

#[derive(Debug, Clone, Default)]
struct Scope {
    otherwise: Option<String>,
    keys: BTreeMap<Key, Node>,
}

/// A loaded keymap.
#[derive(Debug, Clone)]
pub struct Keymap {
    /// Its name.
    pub name: String,
    scopes: BTreeMap<String, Scope>,
}

impl Keymap {
    /// Loads a keymap with what it inherits. `config` is the user's configuration folder (`$XDG_CONFIG_HOME/backtrail`).
    pub fn load(name: &str, config: Option<&Path>) -> Result<Keymap> {
        let mut keymap = Keymap { name: name.to_owned(), scopes: BTreeMap::new() };
        for (place, table) in ASSETS.lineage(name, config)?.into_iter().rev() {
            keymap.merge(&table).map_err(|e| e.at(&place))?;
        }
        for (scope, body) in &keymap.scopes {
            if let Some(other) = body.otherwise.as_deref().filter(|o| *o != "none" && !keymap.scopes.contains_key(*o)) {
                return Err(Error::config(format!("scope `{scope}` asks scope `{other}`, which does not exist")).at(name));
            }
        }
        Ok(keymap)
    }
    /// Names of the keymaps that can be loaded.
    pub fn available(config: Option<&Path>) -> Vec<String> {
        ASSETS.available(config)
    }
    /// What the keys typed so far mean in a scope: what the scope says, else those that it falls back to.
    pub fn lookup(&self, scope: &str, pending: &[Key]) -> Lookup {
        let mut found = Lookup::None;
        for body in self.chain(scope) {
            found = find(&body.keys, pending);
            if found != Lookup::None {
                break;
            }
        }
        found
    }
    /// The keys of a command as they are shown, over all scopes, `global` first.
    pub fn keys_of(&self, command: &str) -> Vec<String> {
        let mut out = Vec::new();
        let global = self.scopes.get("global").into_iter();
        for body in global.chain(self.scopes.iter().filter(|(name, _)| *name != "global").map(|(_, body)| body)) {
            each(&body.keys, &mut Vec::new(), &mut |keys, bound| {
                let keys = show(keys);
                if bound == command && !out.contains(&keys) {
                    out.push(keys);
                }
            });
        }
        out
    }
    /// The first key of a command in a scope or what it falls back to, for hints. Empty if it has none.
    pub fn key_in(&self, scope: &str, command: &str) -> String {
        self.bindings(scope).into_iter().find(|(_, bound)| bound == command).map(|(keys, _)| keys).unwrap_or_default()
    }
    /// Everything that keys do in a scope: its own, then what it falls back to. Keys as shown, command.
    pub fn bindings(&self, scope: &str) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for body in self.chain(scope) {
            each(&body.keys, &mut Vec::new(), &mut |keys, command| {
                let keys = show(keys);
                if !out.iter().any(|(k, _)| *k == keys) {
                    out.push((keys, command.to_owned()));
                }
            });
        }
        out
    }
    /// The scopes that the file has.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.keys().map(String::as_str)
    }
    /// What is wrong although it works: a key that means two things on one screen, a command that only a reserved key reaches.
    pub fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        for scope in self.scopes() {
            let chain = self.chain(scope);
            if scope == "global" || !chain.iter().any(|body| self.scopes.get("global").is_some_and(|g| std::ptr::eq(g, *body))) {
                continue;
            }
            let Some((own, rest)) = chain.split_first() else { continue };
            for (key, node) in &own.keys {
                for other in rest.iter().filter_map(|body| body.keys.get(key)).filter(|other| *other != node) {
                    out.push(format!("`{key}` is `{}` in `{scope}` and `{}` elsewhere", label(node), label(other)));
                }
            }
        }
        let reserved = Reserved::load();
        for scope in self.scopes() {
            for (keys, command) in self.bindings(scope) {
                let why = keys.split(' ').filter_map(Key::parse).find_map(|key| reserved.why(key));
                if let Some(why) = why {
                    out.push(format!("`{keys}` ({command}) is reserved: {why}"));
                }
            }
        }
        out
    }

    fn chain(&self, scope: &str) -> Vec<&Scope> {
        let mut out: Vec<&Scope> = Vec::new();
        let mut next = Some(scope);
        while let Some(name) = next {
            let body = self.scopes.get(name);
            if let Some(body) = body {
                if out.iter().any(|seen| std::ptr::eq(*seen, body)) {
                    break;
                }
                out.push(body);
            }
            next = match body.and_then(|b| b.otherwise.as_deref()) {
                Some("none") => None,
                Some(other) => Some(other),
                None => (name != "global").then_some("global"),
            };
        }
        out
    }
    fn merge(&mut self, table: &toml::Table) -> Result<()> {
        for (name, value) in table {
            if name == "inherits" {
                continue;
            }
            let Some(keys) = value.as_table() else {
                return Err(Error::config(format!("`{name}` is neither a scope nor `inherits`")));
            };
            let mut read = read(keys, name, 0)?;
            let scope = self.scopes.entry(name.clone()).or_default();
            if let Some(other) = keys.get("_else") {
                let other = other.as_str().ok_or_else(|| Error::config(format!("`_else` of `{name}` is not a scope's name")))?;
                scope.otherwise = Some(other.to_owned());
            }
            merge(&mut scope.keys, &mut read);
        }
        Ok(())
    }
}

fn read(table: &toml::Table, scope: &str, depth: usize) -> Result<BTreeMap<Key, Node>> {
    if depth > MAX_DEPTH {
        return Err(Error::config(format!("menus in `{scope}` are nested too deep")));
    }
    let mut out = BTreeMap::new();
    for (text, value) in table {
        if text.starts_with('_') && text.len() > 1 || text == "_" && depth > 0 {
            continue;
        }
        let key = Key::parse(text).ok_or_else(|| {
            Error::config(format!("`{text}` in `{scope}` is not a key"))
                .hint("names are like q, G, ctrl-k, space, pgup, shift-tab")
        })?;
        let node = match value {
            toml::Value::String(command) if !command.trim().is_empty() => Node::Command(command.trim_start().to_owned()),
            toml::Value::Table(menu) => Node::Menu {
                label: menu.get("_").and_then(toml::Value::as_str).unwrap_or("more").to_owned(),
                keys: read(menu, scope, depth + 1)?,
            },
            _ => return Err(Error::config(format!("`{text}` in `{scope}` is neither a command nor a menu"))),
        };
        if out.insert(key, node).is_some() {
            return Err(Error::config(format!("`{key}` stands twice in `{scope}`")));
        }
    }
    Ok(out)
}

fn merge(into: &mut BTreeMap<Key, Node>, from: &mut BTreeMap<Key, Node>) {
    for (key, node) in std::mem::take(from) {
        match (into.get_mut(&key), node) {
            (_, Node::Command(command)) if command == "none" => {
                into.remove(&key);
            }
            (Some(Node::Menu { label, keys }), Node::Menu { label: new, keys: mut more }) => {
                *label = new;
                merge(keys, &mut more);
            }
            (_, node) => {
                into.insert(key, node);
            }
        }
    }
}

fn find(keys: &BTreeMap<Key, Node>, pending: &[Key]) -> Lookup {
    let Some((first, rest)) = pending.split_first() else { return Lookup::None };
    match keys.get(first) {
        Some(Node::Command(command)) if rest.is_empty() => Lookup::Command(command.clone()),
        Some(Node::Menu { keys, .. }) if rest.is_empty() => {
            Lookup::Pending(keys.iter().map(|(key, node)| (*key, label(node).to_owned())).collect())
        }
        Some(Node::Menu { keys, .. }) => find(keys, rest),
        _ => Lookup::None,
    }
}

fn label(node: &Node) -> &str {
    match node {
        Node::Command(command) => command,
        Node::Menu { label, .. } => label,
    }
}

fn each(keys: &BTreeMap<Key, Node>, path: &mut Vec<Key>, found: &mut dyn FnMut(&[Key], &str)) {
    for (key, node) in keys {
        path.push(*key);
        match node {
            Node::Command(command) => found(path, command),
            Node::Menu { keys, .. } => each(keys, path, found),
        }
        path.pop();
    }
}

fn show(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}

/// Keys that no keymap of ours binds, with the reason: `keymaps/reserved.toml`.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    keys: Vec<(Key, String)>,
    alt: Option<String>,
    function: Option<String>,
}

impl Reserved {
    /// Reads the embedded list.
    pub fn load() -> Reserved {
        let text = EMBEDDED.get_file("reserved.toml").and_then(|f| f.contents_utf8()).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        let mut out = Reserved::default();
        for (name, why) in table.get("reserved").and_then(toml::Value::as_table).into_iter().flatten() {
            let why = why.as_str().unwrap_or_default().to_owned();
            match (name.as_str(), Key::parse(name)) {
                ("alt", _) => out.alt = Some(why),
                ("function", _) => out.function = Some(why),
                (_, Some(key)) => out.keys.push((key, why)),
                (_, None) => {}
            }
        }
        out
    }
    /// Why a key is reserved; none: it is not.
    pub fn why(&self, key: Key) -> Option<&str> {
        let of_kind = if key.alt {
            self.alt.as_deref()
        } else if matches!(key.code, Code::F(_)) {
            self.function.as_deref()
        } else {
            None
        };
        of_kind.or_else(|| self.keys.iter().find(|(k, _)| *k == key).map(|(_, why)| why.as_str()))
    }
    /// The single keys.
    pub fn keys(&self) -> impl Iterator<Item = (Key, &str)> {
        self.keys.iter().map(|(key, why)| (*key, why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        text.split(' ').filter_map(Key::parse).collect()
    }

    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keymaps")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join("keymaps").join(format!("{name}.toml")), text).unwrap();
        }
        dir
    }

    #[test]
    fn a_pane_that_does_not_bind_a_key_asks_global_and_a_prompt_asks_nobody() {
        let map = Keymap::load("default", None).unwrap();
        assert_eq!(map.lookup("packets", &keys("j")), Lookup::Command("move_down".into()));
        assert_eq!(map.lookup("no such pane", &keys("j")), Lookup::Command("move_down".into()));
        assert_eq!(map.lookup("prompt", &keys("j")), Lookup::None);
        assert_eq!(map.lookup("finder", &keys("ctrl-u")), map.lookup("prompt", &keys("ctrl-u")));
        assert!(map.keys_of("move_down").contains(&"j".to_owned()));
    }

    #[test]
    fn a_users_file_overrides_its_namesake_and_takes_keys_away() {
        let dir = with(&[(
            "default",
            "inherits = \"default\"\n[global]\nj = \"none\"\ne = { _ = \"extra\", x = \":set theme paper\" }",
        )]);
        let map = Keymap::load("default", Some(dir.path())).unwrap();
        assert_eq!(map.lookup("rows", &keys("j")), Lookup::None);
        assert_eq!(map.lookup("rows", &keys("k")), Lookup::Command("move_up".into()));
        assert_eq!(map.lookup("rows", &keys("e")), Lookup::Pending(vec![(Key::char('x'), ":set theme paper".into())]));
        assert_eq!(map.lookup("rows", &keys("e x")), Lookup::Command(":set theme paper".into()));
        assert_eq!(map.keys_of(":set theme paper"), ["e x"]);
    }

    #[test]
    fn circles_unknown_names_and_non_keys_are_errors_that_say_where() {
        let dir = with(&[
            ("a", "inherits = \"b\""),
            ("b", "inherits = \"a\""),
            ("c", "[global]\nhurz = \"x\""),
            ("d", "[global]\npgup = \"x\"\npageup = \"y\""),
            ("e", "[global\n"),
        ]);
        for name in ["a", "c", "d", "e", "../keymaps/a", ""] {
            let error = Keymap::load(name, Some(dir.path())).unwrap_err();
            assert!(!error.place.is_empty() || !error.hint.is_empty() || name == "a", "{error}");
        }
        assert_eq!(Keymap::load("defalt", None).unwrap_err().hint.split(' ').next(), Some("default"));
        assert!(Keymap::available(Some(dir.path())).contains(&"c".to_owned()));
    }
}
