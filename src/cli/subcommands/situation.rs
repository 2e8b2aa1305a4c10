//! `situation`: what the situation screen shows, as text, JSON Lines or SVG.

use crate::case::findings;
use crate::case::home::first_window;
use crate::case::situation::layout::{Charset, draw};
use crate::case::situation::{Asking, Scene, scene, svg};
use crate::cli::opened::Opened;
use crate::cli::output::io;
use crate::cli::{Cx, Done, Subcommand};
use crate::detectors::settings;
use crate::error::{Error, Result};
use crate::model::{Cancel, Window};
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::{Value as Json, json};
use std::io::Write;

/// `backtrail situation`.
pub struct Situation;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Boxes and lines for people.
    Text,
    /// A line a host, a line a connection.
    Jsonl,
    /// A picture.
    Svg,
}

#[derive(clap::Args)]
struct SituationArgs {
    /// Only of this window: a time clause such as `between 2026-11-19T08:00Z and 2026-11-19T12:00Z`
    #[arg(long, value_name = "CLAUSE")]
    window: Option<String>,
    /// Columns and rows of the picture
    #[arg(long, value_name = "WxH", default_value = "120x40")]
    size: String,
    /// Without characters beyond ASCII
    #[arg(long)]
    ascii: bool,
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "text")]
    form: Form,
}

impl Subcommand for Situation {
    fn command(&self) -> clap::Command {
        SituationArgs::augment_args(
            clap::Command::new("situation").about("The hosts that matter, what was said of them, what flowed between them"),
        )
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = SituationArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let size = args.size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let size: (usize, usize) = size
            .filter(|(w, h)| (1..=1_000).contains(w) && (1..=1_000).contains(h))
            .ok_or_else(|| Error::user(format!("`{}` is no size", args.size)).hint("columns and rows: 120x40"))?;
        let opened = Opened::existing(cx)?;
        let engine = &*opened.engine;
        let window = match &args.window {
            Some(clause) => engine.compile(clause)?.window,
            None => first_window(engine).or_else(|| engine.span()).unwrap_or(Window::ALL),
        };
        let (cancel, decisions) = (Cancel::default(), opened.keeper.decisions());
        // What is on the hosts is what the detectors found.
        let mut found = findings::all(engine, &opened.keeper.dir(), &decisions, settings::installed(), &cancel, &mut |_| {})?;
        let benign = findings::judge(&mut found, engine, &decisions, &cancel)?;
        found.list.truncate(found.list.len().saturating_sub(benign));
        let name = opened.keeper.name();
        let scene = scene(&Asking { engine, found: &found.list, name, decisions: &decisions, window, cancel: &cancel })?;
        let mut out = std::io::stdout().lock();
        let charset = if args.ascii { Charset::Ascii } else { Charset::Unicode };
        match args.form {
            Form::Text => writeln!(out, "{}", draw(&scene, size, charset, None).text()).map_err(io)?,
            Form::Svg => write!(out, "{}", svg::svg(&draw(&scene, size, charset, None), &scene.title)).map_err(io)?,
            Form::Jsonl => {
                for row in rows(&scene) {
                    writeln!(out, "{row}").map_err(io)?;
                }
            }
        }
        out.flush().map_err(io)?;
        Ok(Done::All)
    }
}

fn rows(scene: &Scene) -> Vec<Json> {
    let host = |n: usize| scene.nodes.get(n).map(|n| n.host.clone());
    let nodes = scene.nodes.iter().map(|n| {
        let labels: Vec<Json> = n.labels.iter().map(|l| json!({"severity": l.severity, "text": l.text})).collect();
        json!({
            "schema": "backtrail.situation/1", "what": "host", "host": n.host, "name": n.name, "about": n.about,
            "place": format!("{:?}", n.lane).to_lowercase(), "seen": n.seen, "inventoried": n.stated, "labels": labels,
        })
    });
    let edges = scene.edges.iter().map(|e| {
        json!({
            "schema": "backtrail.situation/1", "what": "link", "src": host(e.from), "dst": host(e.to), "service": e.service,
            "flows": e.flows, "bytes.out": e.out, "bytes.in": e.back, "timeline": e.bins,
        })
    });
    nodes.chain(edges).collect()
}
