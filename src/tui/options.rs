//! What a workbench is opened with.

use super::export::Export;
use super::glyphs::Charset;
use super::terminal::Depth;
use super::times::Zone;
use crate::error::Error;
use crate::ingest::Live;
use crate::service::News;
use std::path::PathBuf;

/// How the workbench is to look and where its files are.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the keymap.
    pub keymap: String,
    /// Name of the theme.
    pub theme: String,
    /// The user's configuration folder (`$XDG_CONFIG_HOME/backtrail`), where own themes and keymaps are.
    pub config: Option<PathBuf>,
    /// Colours of the terminal.
    pub depth: Depth,
    /// Characters of the terminal.
    pub charset: Charset,
    /// Zone in which a new session shows times.
    pub zone: Zone,
    /// Milliseconds after which a lone Esc is a key, where the responder has set it.
    pub escape_ms: Option<u64>,
    /// What was wrong with the responder's settings: said on the first screen.
    pub notice: Option<Error>,
    /// What is shown is read line by line, see [`plain`](super::plain): what lies over the rest stands alone, keys are not hinted at.
    pub plain: bool,
    /// Writes answers to files.
    pub export: Option<Export>,
    /// A capture that runs in this process.
    pub live: Option<Live>,
    /// What comes unasked from the process that holds the case, if that is another.
    pub news: Option<News>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            keymap: "default".into(),
            theme: "dusk".into(),
            config: None,
            depth: Depth::True,
            charset: Charset::Unicode,
            zone: Zone::Utc,
            escape_ms: None,
            notice: None,
            plain: false,
            export: None,
            live: None,
            news: None,
        }
    }
}
