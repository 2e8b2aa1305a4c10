//! `packets`: the packets of the flows that a question selects, cut from the original captures.

use crate::case::cutting::{self, cut};
use crate::case::handing;
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::decision::What;
use crate::query::engine::Cancel;
use crate::sources::input::hash_prefix;
use clap::{ArgMatches, Args, FromArgMatches};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::Command;

/// `backtrail packets`.
pub struct Packets;

#[derive(clap::Args)]
struct PacketsArgs {
    /// Question about flows
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// File to write, pcapng; `-` for standard output
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Cut them into the case and run tshark, termshark or wireshark on them, with a filter for the flows
    #[arg(long, value_name = "PROGRAM", conflicts_with = "write")]
    open_with: Option<String>,
    /// Do not run it: print how it is called (tshark unless --open-with says otherwise)
    #[arg(long, conflicts_with_all = ["write", "read"])]
    print_command: bool,
    /// Read this capture into a temporary case, cut, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Packets {
    fn command(&self) -> clap::Command {
        PacketsArgs::augment_args(clap::Command::new("packets").about("Cut the packets of the selected flows into a pcapng file"))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = PacketsArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let text = args.text.join(" ");
        if args.open_with.is_some() || args.print_command {
            let name = args.open_with.as_deref().unwrap_or("tshark");
            let program = handing::program(name)?;
            let handed = handing::hand(&*opened.engine, &opened.keeper.dir(), program, &text, &Cancel::default())?;
            if args.print_command {
                writeln!(std::io::stdout(), "{}", handed.line()).map_err(io)?;
                return Ok(done);
            }
            let path = handed.found()?;
            let ended = Command::new(&path).args(&handed.arguments).status().map_err(|e| Error::io("cannot run", &path, &e))?;
            // It was cut for this program only.
            let _ = std::fs::remove_file(&handed.file);
            if ended.success() {
                return Ok(done);
            }
            return Err(Error::input(format!("{name} ended with {ended}")));
        }
        let Some(path) = &args.write else {
            return Err(
                Error::user("nothing says where the packets go").hint("-w FILE.pcapng, --open-with tshark, --print-command")
            );
        };
        let cut = cut(&*opened.engine, &text, &Cancel::default())?;
        if path.as_os_str() == "-" {
            let out = BufWriter::new(std::io::stdout().lock());
            say_gone(cutting::write_to(&*opened.engine, &cut, &text, out, path, &Cancel::default())?);
            return Ok(done);
        }
        let gone = cutting::write(&*opened.engine, &cut, &text, path, 0o666, &Cancel::default())?;
        let shown = path.display().to_string();
        if args.read.is_empty() {
            let sha256 = hash_prefix(path, u64::MAX)?;
            opened.keeper.append(What::Export { what: format!("packets of: {text}"), path: shown.clone(), sha256 })?;
        }
        let counts =
            [(cut.packets().saturating_sub(gone), "packet"), (cut.with_packets(), "flow"), (cut.by_evidence.len(), "capture")];
        let [packets, flows, files] = counts.map(|(n, what)| counted(n, what));
        writeln!(std::io::stdout(), "{packets} of {flows} from {files} -> {shown}").map_err(io)?;
        say_gone(gone);
        Ok(done)
    }
}

fn say_gone(gone: usize) {
    if gone > 0 {
        let said = format!("note: {} had been dropped from the ring of packets", counted(gone, "more packet"));
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
