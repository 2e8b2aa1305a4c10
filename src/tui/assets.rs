//! Settings files that are embedded (`themes/`, `keymaps/`) and may be overridden or inherited by files of the user:
//! `$XDG_CONFIG_HOME/backtrail/{themes,keymaps}/NAME.toml`.

use crate::error::{Error, Result, nearest};
use include_dir::Dir;
use std::collections::BTreeSet;
use std::path::Path;

/// One embedded folder and its counterpart in the user's configuration.
pub struct Assets {
    /// Word for one of them in messages.
    pub what: &'static str,
    /// Name of the folder.
    pub folder: &'static str,
    /// What is embedded.
    pub embedded: &'static Dir<'static>,
}

/// Longest settings file that is read.
const MAX_BYTES: u64 = 1 << 20;

impl Assets {
    /// Names that can be loaded: embedded ones and the user's.
    pub fn available(&self, config: Option<&Path>) -> Vec<String> {
        let stem = |path: &Path| {
            let toml = path.extension().is_some_and(|e| e == "toml");
            path.file_stem().filter(|_| toml).map(|s| s.to_string_lossy().into_owned())
        };
        let mut names: BTreeSet<String> = self.embedded.files().filter_map(|f| stem(f.path())).collect();
        if let Some(files) = config.and_then(|dir| std::fs::read_dir(dir.join(self.folder)).ok()) {
            names.extend(files.flatten().filter_map(|f| stem(&f.path())));
        }
        names.remove("reserved");
        names.into_iter().collect()
    }
    /// A file and those that it inherits, the heir first. A user's file that inherits its own name inherits the embedded one.
    pub fn lineage(&self, name: &str, config: Option<&Path>) -> Result<Vec<(String, toml::Table)>> {
        let mut line: Vec<(String, toml::Table)> = Vec::new();
        let mut seen: Vec<(String, bool)> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next.take() {
            let again = seen.iter().any(|(n, users)| *n == name && *users);
            let (text, place, users) = self.read(&name, config.filter(|_| !again))?;
            if seen.contains(&(name.clone(), users)) {
                let names: Vec<&str> = seen.iter().map(|(n, _)| n.as_str()).collect();
                return Err(Error::config(format!("{} files inherit each other in a circle: {}", self.what, names.join(", "))));
            }
            seen.push((name, users));
            let table: toml::Table =
                text.parse().map_err(|e: toml::de::Error| Error::config(e.to_string().trim_end().to_owned()).at(&place))?;
            next = match table.get("inherits") {
                None => None,
                Some(toml::Value::String(parent)) => Some(parent.clone()),
                Some(_) => return Err(Error::config("`inherits` is not a name").at(&place)),
            };
            line.push((place, table));
        }
        Ok(line)
    }
    fn read(&self, name: &str, config: Option<&Path>) -> Result<(String, String, bool)> {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        let file = format!("{name}.toml");
        if let Some(path) = config.filter(|_| plain).map(|dir| dir.join(self.folder).join(&file)) {
            match std::fs::metadata(&path) {
                Ok(meta) if meta.len() > MAX_BYTES => return Err(Error::config("file too large").at_path(&path)),
                Ok(_) => {
                    let text = std::fs::read_to_string(&path).map_err(|e| Error::io("cannot read", &path, &e))?;
                    return Ok((text, path.display().to_string(), true));
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("cannot read", &path, &e)),
            }
        }
        if let Some(text) = self.embedded.get_file(&file).filter(|_| plain).and_then(|f| f.contents_utf8()) {
            return Ok((text.to_owned(), format!("{}/{file}", self.folder), false));
        }
        let known = self.available(config);
        let error = Error::config(format!("no {} `{name}`", self.what));
        Err(match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("{near} (there are: {})", known.join(", "))),
            None => error.hint(format!("one of: {}", known.join(", "))),
        })
    }
}
