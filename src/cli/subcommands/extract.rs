//! `extract`: the files that the selected flows carried, rebuilt from their packets.

use crate::case::extract::pack::{self, Request, extract_to};
use crate::case::extract::spool::Limits;
use crate::case::extract::{Extracted, Extraction};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io, standard};
use crate::cli::{Cx, Done, Subcommand};
use crate::error::{Error, Result};
use crate::model::Value;
use crate::model::field::{self, Type};
use crate::model::value::parse_size;
use crate::query::Engine;
use crate::query::engine::Cancel;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::Value as Json;
use std::io::Write;
use std::path::PathBuf;

/// `backtrail extract`.
pub struct Extract;

#[derive(clap::Args)]
struct ExtractArgs {
    /// Question about flows; of a `file` event only that file is rebuilt
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Folder to make, or a file ending in .zip
    #[arg(short = 'w', long = "write", value_name = "DIR|FILE.zip", required = true)]
    write: PathBuf,
    /// Password of the zip (AES-256)
    #[arg(long, value_name = "TEXT", default_value = pack::PASSWORD)]
    password: String,
    /// Files written at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().files)]
    max_files: u64,
    /// Bytes written at most, with a unit if you like: 500MB, 8GiB
    #[arg(long, value_name = "SIZE", default_value = "8GiB")]
    max_bytes: String,
    /// Form of output: table, jsonl or csv
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Read this capture into a temporary case, extract, forget; may stand several times
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    read: Vec<PathBuf>,
}

impl Subcommand for Extract {
    fn command(&self) -> clap::Command {
        let about = "Rebuild the files that flows carried from their packets: written, hashed, never opened";
        ExtractArgs::augment_args(clap::Command::new("extract").about(about))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = ExtractArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        if matches!(args.output, Form::Zeek | Form::Cof) {
            return Err(Error::user("files have no such form").hint("-o table, jsonl or csv"));
        }
        let bytes = parse_size(&args.max_bytes)
            .ok_or_else(|| Error::user(format!("`{}` is no size", args.max_bytes)).hint("500MB, 8GiB"))?;
        let (opened, done) =
            if args.read.is_empty() { (Opened::existing(cx)?, Done::All) } else { Opened::temporary(&args.read)? };
        let text = args.text.join(" ");
        let request =
            Request { text: &text, to: &args.write, password: &args.password, limits: Limits { files: args.max_files, bytes } };
        let found = extract_to(&*opened.engine, &*opened.keeper, &request, &Cancel::default())?;
        let mut out = standard();
        write(&found, args.output, &*opened.engine, &mut out)?;
        let say = |line: String| {
            // What is said besides the answer must not fail it.
            let _ = writeln!(std::io::stderr(), "note: {line}");
        };
        found.notes.iter().for_each(|note| say(note.clone()));
        if found.files.is_empty() {
            let flows = found.flows;
            say(format!("no file passed in the {flows} flows that were read: nothing was written"));
        } else {
            let (files, sound) = (found.files.len(), found.files.iter().filter(|f| f.sound).count());
            say(format!("{files} files, {sound} of them whole, of {} flows -> {}", found.flows, args.write.display()));
        }
        Ok(done)
    }
}

const COLUMNS: [&str; 10] = ["file", "start", "app", "src", "dst", "size", "type", "name", "sha256", "note"];

/// Writes what was rebuilt.
fn write(found: &Extraction, form: Form, engine: &dyn Engine, out: &mut dyn Write) -> Result<()> {
    let names: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    match form {
        Form::Jsonl => {
            for file in &found.files {
                writeln!(out, "{}", Json::Object(pack::object(file, engine))).map_err(io)?;
            }
            out.flush().map_err(io)
        }
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(&names).map_err(|e| Error::internal(e.to_string()))?;
            for file in &found.files {
                writer.write_record(cells(file, file.size.to_string())).map_err(|e| Error::internal(e.to_string()))?;
            }
            writer.flush().map_err(io)
        }
        _ => {
            let right = COLUMNS.map(|c| c == "size").to_vec();
            let mut grid = Grid::new(names, right, false, out);
            for file in &found.files {
                grid.row(cells(file, Value::Uint(file.size).show(Type::Bytes)))?;
            }
            grid.end()
        }
    }
}

fn cells(file: &Extracted, size: String) -> Vec<String> {
    let record = &file.record;
    let text = |id| record.text(id).unwrap_or_default().to_owned();
    vec![
        file.written.clone(),
        record.start.rfc3339(),
        text(field::APP),
        pack::place(record, field::SRC_IP, field::SRC_PORT),
        pack::place(record, field::DST_IP, field::DST_PORT),
        size,
        text(field::FILE_TYPE),
        text(field::FILE_NAME),
        file.sha256.clone(),
        file.note.clone(),
    ]
}
