//! Packets handed over to another program: they are cut into a file of the case, and the program is told which conversation to show.

use super::cutting;
use crate::error::{Error, Result};
use crate::model::{Record, field, proto};
use crate::query::Engine;
use crate::query::engine::Cancel;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folder of the case that holds what was handed over.
const FOLDER: &str = "handed";
/// Files that stay there; older ones go.
const KEPT: usize = 16;

/// A program that shows packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its name, as it is called.
    pub name: &'static str,
    /// What stands between its name and the file, and between the file and the filter.
    options: (&'static str, &'static str),
    /// It has windows of its own: the terminal stays as it is.
    pub windows: bool,
    /// It prints and ends by itself.
    pub ends: bool,
}

/// Those that are known.
pub const PROGRAMS: &[Program] = &[
    Program { name: "tshark", options: ("-r", "-Y"), windows: false, ends: true },
    Program { name: "termshark", options: ("-r", "-Y"), windows: false, ends: false },
    Program { name: "wireshark", options: ("-r", "-Y"), windows: true, ends: false },
];

/// A known program by its name.
pub fn program(name: &str) -> Result<&'static Program> {
    PROGRAMS.iter().find(|p| p.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = PROGRAMS.iter().map(|p| p.name).collect();
        Error::user(format!("no program is known as `{name}`")).hint(names.join(", "))
    })
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The program.
    pub program: &'static Program,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The file that was cut.
    pub file: PathBuf,
}

impl Handed {
    /// As a line for a shell.
    pub fn line(&self) -> String {
        let words = std::iter::once(self.program.name).chain(self.arguments.iter().map(String::as_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
    /// The program where it is found in the search path. Nothing that is not there is run.
    pub fn found(&self) -> Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        find(self.program.name, &path).ok_or_else(|| {
            Error::user(format!("{} is not installed here", self.program.name)).hint(format!("elsewhere: {}", self.line()))
        })
    }
}

fn find(name: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    // The folder that one stands in is never searched: evidence may lie there.
    let all = std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    all.into_iter().find(|p| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

/// A word that a shell takes as it is, else in quotes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A display filter of Wireshark for flows: addresses and ports, for streams are numbered anew in a file that was cut. `None`: they are too
/// many, or one of them has no addresses; the file holds nothing else anyway.
pub fn display_filter(flows: &[Record]) -> Option<String> {
    if flows.is_empty() || flows.len() >= cutting::NAMED {
        return None;
    }
    let one = |flow: &Record| {
        let (src, dst) = (flow.addr(field::SRC_IP)?, flow.addr(field::DST_IP)?);
        let family = if src.is_ipv4() { "ip" } else { "ipv6" };
        let mut parts = vec![format!("{family}.addr == {src}"), format!("{family}.addr == {dst}")];
        let layer = match flow.uint(field::PROTO).and_then(|n| u8::try_from(n).ok())? {
            proto::TCP => Some("tcp"),
            proto::UDP => Some("udp"),
            132 => Some("sctp"),
            _ => None,
        };
        if let Some(layer) = layer {
            parts.extend(
                [field::SRC_PORT, field::DST_PORT].iter().filter_map(|p| Some(format!("{layer}.port == {}", flow.uint(*p)?))),
            );
        }
        Some(format!("({})", parts.join(" && ")))
    };
    let mut all = flows.iter().map(one).collect::<Option<Vec<_>>>()?;
    // Sightings of one flow are one conversation.
    all.sort();
    all.dedup();
    Some(all.join(" || "))
}

/// Cuts the packets of the flows that a question selects into the case, and says how the program is called on them.
pub fn hand(engine: &dyn Engine, dir: &Path, program: &'static Program, text: &str, cancel: &Cancel) -> Result<Handed> {
    let cut = cutting::cut(engine, text, cancel)?;
    let folder = dir.join(FOLDER);
    let failed = |e: std::io::Error| Error::io("cannot write", &folder, &e);
    if !folder.is_dir() {
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    }
    make_room(&folder).map_err(failed)?;
    let first = cut.by_evidence.values().flatten().next();
    let name = first.map(|(packet, id)| format!("{id}-{}", packet.number)).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let file = folder.join(format!("{name}-{}.pcapng", cut.packets()));
    cutting::write(engine, &cut, text, &file, 0o600, cancel)?;
    let mut arguments = vec![program.options.0.to_owned(), file.display().to_string()];
    if let Some(filter) = display_filter(&cut.named) {
        arguments.extend([program.options.1.to_owned(), filter]);
    }
    Ok(Handed { program, arguments, file })
}

/// Removes the oldest files beyond those that stay.
fn make_room(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let beyond = files.len().saturating_sub(KEPT - 1);
    files.iter().take(beyond).try_for_each(|(_, path)| std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RecordId, SourceId, Time, Value};

    fn flow(src: &str, port: u64, dst: &str, proto: u64) -> Record {
        let mut r = Record::new(Kind::Flow, RecordId::default(), SourceId(0), Time(0));
        r.set(field::SRC_IP, Value::Addr(src.parse().unwrap()));
        r.set(field::DST_IP, Value::Addr(dst.parse().unwrap()));
        r.set(field::SRC_PORT, port);
        r.set(field::DST_PORT, 443u64);
        r.set(field::PROTO, proto);
        r
    }

    #[test]
    fn a_filter_names_ends_and_not_streams() {
        let one = flow("10.0.0.1", 5, "10.0.0.2", 6);
        let filter = "(ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 5 && tcp.port == 443)";
        assert_eq!(display_filter(&[one.clone(), one.clone()]).as_deref(), Some(filter));
        let other = display_filter(&[flow("fe80::1", 5, "fe80::2", 17), flow("10.0.0.1", 5, "10.0.0.2", 1)]).unwrap();
        assert_eq!(
            other,
            "(ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2) || (ipv6.addr == fe80::1 && ipv6.addr == fe80::2 && udp.port == 5 && udp.port == 443)"
        );
        assert_eq!(display_filter(&vec![one; cutting::NAMED]), None);
    }

    #[test]
    fn a_line_for_the_shell_is_quoted_and_a_missing_program_is_said() {
        let program = program("Tshark").unwrap();
        let handed = Handed { program, arguments: vec!["-r".into(), "a b".into(), "it's".into()], file: PathBuf::new() };
        assert_eq!(handed.line(), r"tshark -r 'a b' 'it'\''s'");
        assert!(super::program("vi").is_err());
        assert_eq!(find("tshark", std::ffi::OsStr::new("/nowhere:.:")), None);
        assert!(find("sh", std::ffi::OsStr::new("/nowhere:/bin")).is_some());
    }
}
