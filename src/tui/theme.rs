//! What things look like: `themes/NAME.toml`, styles by dotted role name with fallback to the prefix. Knows no pane.
//!
//! A file holds roles (`"severity.high" = "coral"` or a table) and a `[palette]`; it may `inherits` another. A table has `fg`, `bg`, `bold`,
//! `dim`, `italic`, `underline`, `reverse`, `strike`; `ansi` is what the role is with 16 colours (a colour or such a table, else the
//! nearest of the 16), `mono` what it is without colours (else what is left without them).

use super::assets::Assets;
use super::colour::{Colour, reduce};
use super::terminal::Depth;
use crate::error::Result;
use include_dir::{Dir, include_dir};
use ratatui::style::{Color, Modifier, Style};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/themes");
static ASSETS: Assets = Assets { what: "theme", folder: "themes", embedded: &EMBEDDED };

/// Every role that the screen asks for by a fixed name, with what it is for. `x.y` not given is `x`.
pub const ROLES: &[(&str, &str)] = &[
    ("ui.background", "what everything is drawn on"),
    ("ui.text", "plain text"),
    ("ui.dim", "what matters less: units, empty cells, origins"),
    ("ui.time", "times"),
    ("ui.border", "rules and borders"),
    ("ui.border.focused", "rules and borders of the pane with the cursor"),
    ("ui.title", "titles of panes, the focus"),
    ("ui.header", "the top line: trail, zone"),
    ("ui.tab", "a lens"),
    ("ui.tab.active", "the lens that is open"),
    ("ui.table.header", "names of columns"),
    ("ui.row.selected", "the row under the cursor"),
    ("ui.row.selected.inactive", "the same in a pane without the focus"),
    ("ui.row.marked", "a row marked with Space"),
    ("ui.cell.selected", "the cell under the cursor"),
    ("ui.found", "text that was searched for"),
    ("ui.chip", "a filter that is on"),
    ("ui.hint", "the line of hints"),
    ("ui.key", "a key in a hint, menu or help"),
    ("ui.message", "something said in the message line"),
    ("ui.warning", "a caution"),
    ("ui.error", "an error"),
    ("ui.prompt", "what is typed"),
    ("ui.prompt.label", "what is asked"),
    ("ui.menu", "boxes over the screen"),
    ("ui.menu.selected", "the item under the cursor in a box"),
    ("ui.running", "a question that runs"),
    ("spark", "heights of the timeline"),
    ("spark.window", "those inside the window"),
    ("spark.alert", "marks of alerts"),
    ("entity", "anything that one can pivot on"),
    ("entity.address", "addresses"),
    ("entity.name", "names"),
    ("entity.focus", "the address or name in focus"),
    ("kind", "kinds of records"),
    ("kind.flow", "flows"),
    ("kind.alert", "alerts"),
    ("kind.dns", "DNS"),
    ("kind.http", "HTTP"),
    ("kind.tls", "TLS"),
    ("kind.fw", "firewall records"),
    ("kind.proxy", "proxy records"),
    ("kind.auth", "logins"),
    ("kind.vuln", "findings of scanners"),
    ("kind.oddity", "malformed input"),
    ("severity.critical", "critical"),
    ("severity.high", "high"),
    ("severity.medium", "medium"),
    ("severity.low", "low"),
    ("severity.info", "info"),
    ("verdict.benign", "judged benign"),
    ("verdict.suspicious", "judged suspicious"),
    ("verdict.malicious", "judged malicious"),
    ("match.exact", "an exact join"),
    ("match.unsure", "a join that may be wrong"),
    ("stream.out", "bytes of the originator"),
    ("stream.in", "bytes of the responder"),
    ("stream.gap", "bytes that are missing"),
    ("hex.lit", "bytes of the selected layer or field"),
    ("source", "letters of sources where they are mixed"),
];

/// A loaded theme for one depth of colour.
#[derive(Debug, Clone)]
pub struct Theme {
    /// Its name.
    pub name: String,
    /// What is wrong with its file although it works: names of colours that do not exist, roles that nothing uses.
    pub warnings: Vec<String>,
    styles: HashMap<String, Style>,
}

impl Theme {
    /// Loads a theme with what it inherits, its colours brought down to what the terminal shows. `config` is the user's configuration
    /// folder (`$XDG_CONFIG_HOME/backtrail`).
    pub fn load(name: &str, config: Option<&Path>, depth: Depth) -> Result<Theme> {
        let lineage = ASSETS.lineage(name, config)?;
        let mut palette = BTreeMap::new();
        let mut roles: BTreeMap<&str, &toml::Value> = BTreeMap::new();
        let mut warnings = Vec::new();
        for (place, table) in lineage.iter().rev() {
            for (key, value) in table {
                match (key.as_str(), value) {
                    ("inherits", _) => {}
                    ("palette", toml::Value::Table(colours)) => {
                        for (name, value) in colours {
                            match value.as_str().and_then(Colour::parse) {
                                Some(colour) => {
                                    palette.insert(name.as_str(), colour);
                                }
                                None => warnings.push(format!("{place}: `{name}` of the palette is not a colour like #c8d0d8")),
                            }
                        }
                    }
                    (role, value) => {
                        if !ROLES
                            .iter()
                            .any(|(r, _)| *r == role || r.strip_prefix(role).is_some_and(|rest| rest.starts_with('.')))
                            && !role.starts_with("source.")
                            && !role.starts_with("kind.")
                            && !role.starts_with("entity.")
                        {
                            warnings.push(format!("{place}: nothing is drawn as `{role}`"));
                        }
                        roles.insert(role, value);
                    }
                }
            }
        }
        let reader = Reader { palette: &palette, depth };
        let mut styles = HashMap::new();
        for (role, value) in roles {
            match reader.style(value) {
                Ok(style) => {
                    styles.insert(role.to_owned(), style);
                }
                Err(why) => warnings.push(format!("`{role}`: {why}")),
            }
        }
        Ok(Theme { name: name.to_owned(), warnings, styles })
    }
    /// Names of the themes that can be loaded.
    pub fn available(config: Option<&Path>) -> Vec<String> {
        ASSETS.available(config)
    }
    /// The style of a role: its own, else that of the nearest prefix, else none.
    pub fn style(&self, role: &str) -> Style {
        self.defined(role).unwrap_or_default()
    }
    /// The style of a role if it or a prefix of it is given.
    pub fn defined(&self, role: &str) -> Option<Style> {
        let mut name = role;
        loop {
            if let Some(style) = self.styles.get(name) {
                return Some(*style);
            }
            name = name.rsplit_once('.')?.0;
        }
    }
    /// A style for the n-th source where sources are mixed; they repeat after eight.
    pub fn source(&self, n: u32) -> Style {
        self.style(&format!("source.{}", n % 8 + 1))
    }
}

struct Reader<'a> {
    palette: &'a BTreeMap<&'a str, Colour>,
    depth: Depth,
}

impl Reader<'_> {
    fn style(&self, value: &toml::Value) -> std::result::Result<Style, String> {
        let instead = match self.depth {
            Depth::Ansi16 => value.get("ansi"),
            Depth::None => value.get("mono"),
            Depth::Ansi256 | Depth::True => None,
        };
        let mut style = self.plain(value)?;
        for depth in ["ansi", "mono"] {
            if let Some(other) = value.get(depth) {
                let other = self.plain(other).map_err(|why| format!("{depth}: {why}"))?;
                if instead.is_some_and(|i| value.get(depth).is_some_and(|v| std::ptr::eq(i, v))) {
                    style = other;
                }
            }
        }
        if self.depth == Depth::None {
            style.fg = None;
            style.bg = None;
        }
        Ok(style)
    }
    fn plain(&self, value: &toml::Value) -> std::result::Result<Style, String> {
        let mut style = Style::new();
        let table = match value {
            toml::Value::String(name) => {
                style.fg = Some(self.colour(name)?);
                return Ok(style);
            }
            toml::Value::Table(table) => table,
            _ => return Err("neither a colour nor a table".into()),
        };
        for (key, value) in table {
            let modifier = match key.as_str() {
                "fg" | "bg" => {
                    let colour = self.colour(value.as_str().ok_or_else(|| format!("`{key}` is not a colour"))?)?;
                    *(if key == "fg" { &mut style.fg } else { &mut style.bg }) = Some(colour);
                    continue;
                }
                "ansi" | "mono" => continue,
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underline" => Modifier::UNDERLINED,
                "reverse" => Modifier::REVERSED,
                "strike" => Modifier::CROSSED_OUT,
                _ => return Err(format!("`{key}` is not known")),
            };
            match value.as_bool() {
                Some(true) => style = style.add_modifier(modifier),
                Some(false) => style = style.remove_modifier(modifier),
                None => return Err(format!("`{key}` is neither true nor false")),
            }
        }
        Ok(style)
    }
    fn colour(&self, name: &str) -> std::result::Result<Color, String> {
        let colour = self.palette.get(name).copied().or_else(|| Colour::parse(name));
        colour.map(|c| reduce(c, self.depth)).ok_or_else(|| format!("`{name}` is neither in the palette nor a colour"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, depth: Depth) -> Theme {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("themes")).unwrap();
        std::fs::write(dir.path().join("themes/mine.toml"), text).unwrap();
        Theme::load("mine", Some(dir.path()), depth).unwrap()
    }

    #[test]
    fn a_role_that_is_not_given_falls_back_to_its_prefix() {
        let theme = with("severity = \"#010203\"\n\"severity.high\" = { fg = \"#ff0000\", bold = true }", Depth::True);
        assert_eq!(theme.style("severity.low").fg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(theme.style("severity.high.x"), Style::new().fg(Color::Rgb(255, 0, 0)).add_modifier(Modifier::BOLD));
        assert_eq!(theme.style("ui.text"), Style::default());
        assert_eq!(theme.warnings, Vec::<String>::new());
    }

    #[test]
    fn each_depth_has_its_look() {
        let text = "\"ui.row.selected\" = { fg = \"fog\", bg = \"#202040\", ansi = { reverse = true }, mono = { bold = true } }\n[palette]\nfog = \"#ff0000\"";
        assert_eq!(with(text, Depth::True).style("ui.row.selected").bg, Some(Color::Rgb(0x20, 0x20, 0x40)));
        assert_eq!(with(text, Depth::Ansi256).style("ui.row.selected").fg, Some(Color::Indexed(196)));
        assert_eq!(with(text, Depth::Ansi16).style("ui.row.selected"), Style::new().add_modifier(Modifier::REVERSED));
        assert_eq!(with(text, Depth::None).style("ui.row.selected"), Style::new().add_modifier(Modifier::BOLD));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_and_the_rest_works() {
        let theme = with(
            "\"ui.text\" = \"nosuch\"\n\"ui.dim\" = \"#777777\"\nbogus = \"#777777\"\n\"ui.key\" = { bald = true }",
            Depth::True,
        );
        assert_eq!(theme.warnings.len(), 3, "{:?}", theme.warnings);
        assert_eq!(theme.style("ui.dim").fg, Some(Color::Rgb(0x77, 0x77, 0x77)));
    }
}
