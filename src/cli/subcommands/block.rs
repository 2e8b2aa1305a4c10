//! `block`: a list of addresses to be blocked for a short time, printed for a firewall; nothing is applied.

use crate::case::block::ask::{self, Uses};
use crate::case::block::{self, Form, Guard, KEYSITES, Wanted};
use crate::cli::opened::Opened;
use crate::cli::output::{io, standard};
use crate::cli::{Cx, Done, Subcommand};
use crate::context::sets;
use crate::detectors::settings;
use crate::error::{Error, Result, nearest};
use crate::model::field::Type;
use crate::model::time::parse_span;
use crate::model::{Cancel, Time, Value};
use crate::store::now;
use clap::{ArgMatches, Args, FromArgMatches};
use ipnet::IpNet;
use std::collections::HashMap;
use std::io::Write;

/// `backtrail block`.
pub struct Block;

#[derive(clap::Args)]
struct BlockArgs {
    /// Addresses and networks, defanged or not; or a query, whose foreign ends are meant
    #[arg(value_name = "ADDRESS|QUERY")]
    what: Vec<String>,
    /// The foreign end of the finding with this key
    #[arg(long, value_name = "KEY", conflicts_with = "what")]
    finding: Option<String>,
    /// The likeliest senders of a spam message that was reported at this time
    #[arg(long, value_name = "TIME", conflicts_with_all = ["what", "finding"])]
    mail_at: Option<String>,
    /// With --mail-at: how far the time may be off
    #[arg(long, value_name = "SPAN", default_value = "30s", requires = "mail_at")]
    within: String,
    /// nft, pf, asa or plain
    #[arg(long, value_name = "FORM", default_value = "plain")]
    form: String,
    /// How long the first time, up to 24h; doubled each time that an address comes again within a week
    #[arg(long, value_name = "SPAN", default_value = "30m")]
    ttl: String,
    /// Why, for who reads the list
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Most addresses of a query
    #[arg(long, value_name = "N", default_value_t = 256)]
    limit: usize,
    /// Also what many of one's own hosts use (never what is in @keysites, nor one's own)
    #[arg(long)]
    even_if_used: bool,
    /// Only print: it does not count as having been blocked
    #[arg(long)]
    dry_run: bool,
}

impl Subcommand for Block {
    fn command(&self) -> clap::Command {
        let about = "Print addresses to be blocked for a while, for nft, pf, ASA; key sites and one's own are left out; nothing is applied";
        BlockArgs::augment_args(clap::Command::new("block").about(about))
    }
    fn run(&self, matches: &ArgMatches, cx: &Cx) -> Result<Done> {
        let args = BlockArgs::from_arg_matches(matches).map_err(|e| Error::user(e.to_string()))?;
        let form = Form::parse(&args.form).ok_or_else(|| {
            let near = nearest(&args.form, Form::ALL.map(Form::name));
            Error::user(format!("no form is called {}", args.form)).hint(near.unwrap_or("nft, pf, asa or plain"))
        })?;
        let ttl = parse_span(&args.ttl)
            .filter(|ttl| (block::SHORTEST..=block::LONGEST).contains(ttl))
            .ok_or_else(|| Error::user(format!("`{}` is no span from 1m to 24h", args.ttl)).hint("--ttl 30m"))?;
        let opened = Opened::existing(cx)?;
        let (engine, cancel, now) = (&*opened.engine, Cancel::default(), now());
        let decisions = opened.keeper.decisions();
        let (asked, wanted) = wanted(&opened, &args, &cancel)?;
        let home = engine.home(&cancel)?;
        let keysites = sets::members(&sets::sets(&decisions), KEYSITES, now).unwrap_or_default();
        let uses = Uses::of(engine, &decisions, now, &cancel)?;
        let mut used: HashMap<IpNet, ask::Use> = HashMap::new();
        for one in &wanted {
            used.insert(one.net, uses.who(&one.net)?);
        }
        let key = |net: &IpNet| {
            let key = used.get(net).and_then(|u| u.key);
            key.filter(|k| !args.even_if_used || *k == ask::KeySite::Named).map(ask::KeySite::show)
        };
        let guard = Guard { home: &home, keysites: &keysites, used: &key };
        let list = block::list(&wanted, &decisions, &guard, ttl, now);
        let mut out = standard();
        out.write_all(block::text(form, &list, now).as_bytes()).and_then(|()| out.flush()).map_err(io)?;
        if !args.dry_run {
            for what in block::decisions(&asked, &list) {
                opened.keeper.append(what)?;
            }
        }
        let say = |text: String| {
            // What is said besides the answer must not fail it.
            let _ = writeln!(std::io::stderr(), "note: {text}");
        };
        for one in &list.left_out {
            say(format!("{} is left out: {}", block::show(&one.net), one.why));
        }
        for entry in &list.entries {
            if let Some(used) = used.get(&entry.net).filter(|u| u.hosts > 0) {
                let bytes = Value::Uint(used.bytes).show(Type::Bytes);
                say(format!("{} is used by {} own hosts, {bytes} bytes in the case", block::show(&entry.net), used.hosts));
            }
        }
        if home.guessed {
            say("home networks are guessed: `site confirm` or `site set` says which are one's own".into());
        }
        Ok(Done::All)
    }
}

/// What is wanted, and how it was asked for.
fn wanted(opened: &Opened, args: &BlockArgs, cancel: &Cancel) -> Result<(String, Vec<Wanted>)> {
    let engine = &*opened.engine;
    let reason = |usual: &str| if args.reason.trim().is_empty() { usual.to_owned() } else { args.reason.trim().to_owned() };
    let of = |addr: std::net::IpAddr, why: String| Wanted { net: IpNet::from(addr), reason: why };
    if let Some(key) = &args.finding {
        let (dir, decisions) = (opened.keeper.dir(), opened.keeper.decisions());
        let finding = ask::finding(engine, &dir, &decisions, key, settings::installed(), cancel)?;
        let addrs = ask::of_finding(engine, &finding, args.limit, cancel)?;
        if addrs.is_empty() {
            return Err(Error::user("nobody in that finding is foreign").hint("one's own hosts are not blocked from here"));
        }
        return Ok((format!("finding {key}"), addrs.into_iter().map(|a| of(a, reason(&finding.title))).collect()));
    }
    if let Some(text) = &args.mail_at {
        let at = Time::parse(text).ok_or_else(|| Error::user(format!("`{text}` is no time")).hint("2026-11-19T09:52:00Z"))?;
        let within = parse_span(&args.within).ok_or_else(|| Error::user(format!("`{}` is no span", args.within)).hint("30s"))?;
        let (suspects, beyond) = ask::mail(engine, at, within, 5, cancel)?;
        if beyond > 0 {
            let _ = writeln!(std::io::stderr(), "note: there are more callers than are compared: {beyond} calls were left out");
        }
        if suspects.is_empty() {
            return Err(Error::user("nobody outside called a mail server of one's own in the five minutes before"));
        }
        let why = |s: &crate::detectors::spam::suspects::Suspect| reason(&format!("score {:.2}: {}", s.score, s.why.join(", ")));
        return Ok((format!("mail at {}", at.rfc3339()), suspects.iter().map(|s| of(s.addr, why(s))).collect()));
    }
    let text = args.what.join(" ");
    if text.trim().is_empty() {
        return Err(Error::user("block whom?").hint("backtrail block 203.0.113.9, or a query, or --finding KEY"));
    }
    let words = text.split([' ', ',']).filter(|w| !w.is_empty());
    let nets: Option<Vec<IpNet>> = words.map(|w| block::net_of(&sets::clean(w)?)).collect();
    if let Some(nets) = nets {
        return Ok((text.clone(), nets.into_iter().map(|net| Wanted { net, reason: reason("by hand") }).collect()));
    }
    let found = ask::foreign(engine, &text, args.limit, cancel)?;
    if found.is_empty() {
        return Err(Error::user("nobody in the answer is foreign").hint("one's own hosts are not blocked from here"));
    }
    let why = |n: u64| reason(&format!("{text} ({n} records)"));
    Ok((text.clone(), found.into_iter().map(|(addr, n)| of(addr, why(n))).collect()))
}
