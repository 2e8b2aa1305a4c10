//! `site`: which networks are one's own. Guessed until somebody says so; what is said takes effect with the next question.

use crate::case::home::{self, Asking};
use crate::cli::opened::Opened;
use crate::cli::output::table::Grid;
use crate::cli::output::{Form, io};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::sites::network;
use crate::error::{Error, Result, nearest};
use crate::ingest::zone_of;
use crate::model::decision::What;
use crate::model::site::{Site, Sites};
use crate::model::{Cancel, Window};
use clap::{ArgMatches, Args, FromArgMatches, Subcommand as _};
use serde_json::json;
use std::io::Write;

/// `backtrail site`.
pub struct SiteCommand;

#[derive(clap::Args)]
struct SiteArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    form: Form,
}

#[derive(clap::Subcommand)]
enum Action {
    /// The sites that were confirmed; while there is none, what the evidence suggests, and why
    List,
    /// Say which networks a site has, and in which zone it is
    Set {
        /// Name of the site
        name: String,
        /// Its networks and addresses, by commas: 10.8.0.0/16,198.51.100.2
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',', required = true)]
        networks: Vec<String>,
        /// Zone of its people and of its logs that state none: Europe/Berlin, +02:00
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
    },
    /// Take what the evidence suggests as it is
    Confirm,
    /// Take a site back
    Remove {
        /// Name of the site
        name: String,
    },
}

impl Subcommand for SiteCommand {
    fn command(&self) -> clap::Command {
        let about = "Which networks are one's own: `direction` and `@home` go by it; guessed until confirmed";
        Action::augment_subcommands(SiteArgs::augment_args(clap::Command::new("site").about(about))).subcommand_required(false)
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = SiteArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let opened = Opened::existing(cx)?;
        if matches.subcommand().is_some() {
            match Action::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))? {
                Action::List => {}
                Action::Set { name, networks, zone } => set(&opened, name, &networks, zone)?,
                Action::Confirm => confirm(&opened)?,
                Action::Remove { name } => remove(&opened, name)?,
            }
        }
        list(&opened, args.form)?;
        Ok(Done::All)
    }
}

fn set(opened: &Opened, name: String, networks: &[String], zone: Option<String>) -> Result<()> {
    let known = |text: &String| {
        network(text).map(|n| n.to_string()).ok_or_else(|| {
            Error::user(format!("`{text}` is no network")).hint("an address or a network such as 10.8.0.0/16 or 2001:db8::/32")
        })
    };
    let networks = networks.iter().map(known).collect::<Result<Vec<_>>>()?;
    let zone = zone.map(|z| zone_of(&z).map(|z| z.to_string())).transpose()?;
    opened.keeper.append(What::Site { name, networks, zone })?;
    Ok(())
}

fn confirm(opened: &Opened) -> Result<()> {
    let guessed = opened.engine.sites(&Cancel::default())?.guessed;
    if guessed.is_empty() {
        return Err(Error::user("the evidence suggests no network").hint("backtrail site set NAME --networks 10.0.0.0/8"));
    }
    for site in guessed {
        let networks = site.networks.iter().map(ToString::to_string).collect();
        opened.keeper.append(What::Site { name: site.name, networks, zone: site.zone })?;
    }
    Ok(())
}

fn remove(opened: &Opened, name: String) -> Result<()> {
    let sites = opened.engine.sites(&Cancel::default())?.confirmed;
    if !sites.iter().any(|s| s.name == name) {
        let hint = nearest(&name, sites.iter().map(|s| s.name.as_str()))
            .map_or("backtrail site list shows them".to_owned(), |n| format!("did you mean `{n}`?"));
        return Err(Error::user(format!("no confirmed site is called `{name}`")).hint(hint));
    }
    opened.keeper.append(What::Site { name, networks: Vec::new(), zone: None })?;
    Ok(())
}

/// The zone that the working hours suggest.
fn hint(opened: &Opened, sites: &Sites) -> Result<Option<String>> {
    if sites.applied().iter().any(|s| s.zone.is_some()) {
        return Ok(None);
    }
    let (decisions, cancel) = (opened.keeper.decisions(), Cancel::default());
    let window = home::first_window(&*opened.engine).or_else(|| opened.engine.span()).unwrap_or(Window::ALL);
    let asking =
        Asking { engine: &*opened.engine, dir: &opened.keeper.dir(), decisions: &decisions, window, scope: "", cancel: &cancel };
    Ok(home::zone_guess(&asking)?.map(home::offset))
}

fn list(opened: &Opened, form: Form) -> Result<()> {
    if matches!(form, Form::Csv | Form::Zeek | Form::Cof) {
        return Err(Error::user("sites are printed as a table or as JSON Lines").hint("-o table or -o jsonl"));
    }
    let sites = opened.engine.sites(&Cancel::default())?;
    let zone = hint(opened, &sites)?;
    let mut out = std::io::stdout().lock();
    if form == Form::Jsonl {
        for site in sites.applied() {
            let networks: Vec<String> = site.networks.iter().map(ToString::to_string).collect();
            let row = json!({
                "schema": "backtrail.site/1", "site": site.name, "networks": networks, "zone": site.zone, "guessed": site.by.is_none(),
                "by": site.by, "because": site.why, "zone.by_activity": zone,
            });
            writeln!(out, "{row}").map_err(io)?;
        }
        return Ok(());
    }
    let names = ["site", "network", "zone", "by", "because"].map(str::to_owned).to_vec();
    let mut grid = Grid::new(names, Vec::new(), false, &mut out);
    for site in sites.applied() {
        rows(site, &mut grid)?;
    }
    grid.end()?;
    let guessed = sites.confirmed.is_empty();
    let say = |text: String| writeln!(std::io::stderr(), "note: {text}").map_err(io);
    match (guessed, sites.guessed.is_empty()) {
        (true, true) => say("no private network was seen: `site set NAME --networks ...` says which are yours".into())?,
        (true, false) => say("a guess: `site confirm` takes it as it is, `site set NAME --networks ...` changes it".into())?,
        _ => {}
    }
    if let Some(zone) = zone {
        say(format!("the working hours of the flows fit UTC{zone} best: a hint, no proof"))?;
    }
    Ok(())
}

fn rows(site: &Site, grid: &mut Grid) -> Result<()> {
    for (n, network) in site.networks.iter().enumerate() {
        let why = site.why.get(n).map_or("", |w| w.split_once(": ").map_or(w.as_str(), |(_, why)| why));
        grid.row(vec![
            site.name.clone(),
            network.to_string(),
            site.zone.clone().unwrap_or_default(),
            site.by.clone().unwrap_or_else(|| "guess".into()),
            why.to_owned(),
        ])?;
    }
    Ok(())
}
