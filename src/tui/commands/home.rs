//! Home, the sites of one's own that it asks about, and what is known of one's own hosts by hand.

use super::{Command, command};
use crate::context::by_hand;
use crate::context::sites::network;
use crate::error::{Error, Result};
use crate::formats::Zone;
use crate::model::decision::What;
use crate::model::entity::EntityKind;
use crate::model::{Cancel, Window};
use crate::tui::app::App;
use crate::tui::effect::Effect;
use crate::tui::focus::Focus;
use crate::tui::go::HomeSite;
use crate::tui::lenses;
use crate::tui::overlay::Overlay;
use crate::tui::walk::Step;

/// The commands.
pub const TABLE: &[Command] = &[
    command("home", "", "what is in the case, what is odd, where to begin", home),
    command("site", "NAME NETWORK... [zone=ZONE]", "say which networks are your own", site),
    command("inventory", "HOST mission|criticality VALUE", "say what a host is for, or how critical it is", inventory),
];

fn home(app: &mut App, _: &str) -> Result<()> {
    let here = &app.walk.here().step;
    if here.lens == "home" {
        // Whatever lies over it is closed.
        app.opened.truncate(1);
    } else if here.focus == Focus::Case && here.query.is_empty() && app.walk.here().parent.is_none() {
        app.set_lens(lenses::find("home"));
    } else {
        let step = Step { label: "home".into(), ..Step::to(Focus::Case, "home", case_window(app)) };
        app.go(step);
    }
    Ok(())
}

/// The window that the case began with, not the one that was zoomed into since.
fn case_window(app: &App) -> Option<Window> {
    app.walk.node(0).and_then(|n| n.step.window)
}

/// `NAME NETWORK... [zone=ZONE]`; without networks the site is removed; without anything the guess is offered, to be confirmed or changed.
fn site(app: &mut App, args: &str) -> Result<()> {
    if args.is_empty() {
        app.ask("sites", |work| {
            let sites = work.engine.sites(&Cancel::default())?;
            let site = sites.applied().first().cloned();
            work.give(HomeSite(site));
            Ok(())
        });
        return Ok(());
    }
    let mut words = args.split([' ', ',']).filter(|w| !w.is_empty());
    let name = words.next().unwrap_or_default().to_owned();
    if network(&name).is_some() {
        return Err(Error::user("the site's name comes first").hint(format!("site home {args}")));
    }
    let mut networks = Vec::new();
    let mut zone = None;
    for word in words {
        if let Some(text) = word.strip_prefix("zone=") {
            let known = Zone::parse(text)
                .ok_or_else(|| Error::user(format!("`{text}` is not a time zone")).hint("zone=Europe/Berlin"))?;
            zone = Some(known.to_string());
        } else {
            let net = network(word).ok_or_else(|| Error::user(format!("`{word}` is no network")).hint("such as 10.8.0.0/16"))?;
            networks.push(net.to_string());
        }
    }
    app.say(match networks.len() {
        0 => format!("site {name} removed; the journal keeps it"),
        n => format!("site {name}: {n} network{}; direction and @home go by it from now on", if n == 1 { "" } else { "s" }),
    });
    app.apply(Effect::Append(What::Site { name, networks, zone }));
    Ok(())
}

/// `HOST FIELD VALUE`; without a value what was said is taken back; what is missing is asked for, of the host in focus if there is one.
fn inventory(app: &mut App, args: &str) -> Result<()> {
    let mut words = args.splitn(3, ' ').map(str::trim);
    let (host, name, value) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    if name.is_empty() {
        let focus = app.walk.here().step.focus.entity().filter(|e| e.kind == EntityKind::Address).map(|e| e.value.to_string());
        let host = if host.is_empty() { focus.unwrap_or_default() } else { host.to_owned() };
        let text = if host.is_empty() { host } else { format!("{host} criticality ") };
        app.overlay = Some(Overlay::prompt("HOST mission|criticality VALUE (critical, high, medium, low)", "inventory", &text));
        return Ok(());
    }
    let what = by_hand::decision(host, name, value)?;
    app.say(match value {
        "" => format!("{name} of {host} is what the inventory says, from now on; the journal keeps who and when"),
        _ => format!("{name} of {host}: {value}, for every question and finding from now on; the journal keeps who and when"),
    });
    app.apply(Effect::Append(what));
    Ok(())
}

/// Offers what is known of the sites as the text of the command.
pub(in crate::tui) fn offer(app: &mut App, site: Option<crate::model::site::Site>) {
    let text = site.map_or("home ".to_owned(), |s| {
        let networks: Vec<String> = s.networks.iter().map(ToString::to_string).collect();
        let zone = s.zone.map(|z| format!(" zone={z}")).unwrap_or_default();
        format!("{} {}{zone}", s.name, networks.join(" "))
    });
    app.overlay = Some(Overlay::prompt("your networks: NAME NET... [zone=ZONE]", "site", &text));
}
