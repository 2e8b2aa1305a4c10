//! Step 5: a table for each class of the report; then who answers browsers beside who may, and what hosts are by what they do.

use super::{Made, Table, host, line, words};
use crate::case::home::{Cell, Line};
use crate::detectors::gather::service as shown;
use crate::detectors::profile::{Asset, CLASSES, Class, Metric, Side};
use crate::detectors::reconcile::{answers_pages, is_subject};
use crate::model::proto;
use std::collections::BTreeMap;

const COLUMNS: &[&str] = &[
    "host", "name", "ports", "outside", "inside", "names", "first", "last", "received", "sent", "rule", "ours", "sure by",
    "remarks",
];

pub(super) fn tables(made: &Made) -> Vec<Table> {
    let mut out: Vec<Table> =
        CLASSES.iter().zip(&made.profile.assets).map(|(class, assets)| of_class(class, assets, made)).collect();
    out.push(responders(made));
    out.push(roles(made));
    out
}

fn of_class(class: &Class, assets: &[Asset], made: &Made) -> Table {
    let lines = assets.iter().map(|asset| {
        let addr = made.net.addr(asset.host);
        let listed = made.site.listed(addr, made.site.window().end);
        let names: Vec<&str> = asset.names.iter().map(|n| made.net.text(*n)).collect();
        let rule = match asset.rule {
            None => "-".to_owned(),
            Some(rule) if class.metric == Metric::None => format!("kept ({} records)", rule.amount),
            Some(rule) => format!("{} {:.1} %", if rule.kept { "kept" } else { "cut" }, rule.share * 100.0),
        };
        let mut remarks = asset.validated.clone();
        if made.site.known.translated.contains(&addr) {
            remarks.insert(0, "others are translated to it: what it does is theirs".into());
        }
        if asset.rule.is_some_and(|r| r.kept) && !asset.ours && class.side != Side::Either {
            remarks.push("no connection was set up".into());
        }
        let (first, last) = asset.span.map_or((Cell::Empty, Cell::Empty), |(a, b)| (Cell::At(a), Cell::At(b)));
        let cells = vec![
            host(addr),
            words(listed.map(|l| l.name.clone()).unwrap_or_default()),
            words(asset.show_ports()),
            words(asset.outside.show()),
            words(asset.inside.show()),
            words(names.join(" ")),
            first,
            last,
            Cell::Bytes(asset.bytes_in),
            Cell::Bytes(asset.bytes_out),
            words(rule),
            words(if asset.ours { "yes" } else { "no" }),
            words(if asset.ours { asset.confidence.name() } else { "" }),
            words(remarks.join("; ")),
        ];
        line(cells, format!("{addr} {}", class.title), asset.query(class, &made.net))
    });
    let kept = assets.iter().filter(|a| a.rule.is_some_and(|r| r.kept)).count();
    let ours = assets.iter().filter(|a| a.ours).count();
    let cut = if class.metric == Metric::None { String::new() } else { format!(", 1 % by {}", class.metric.name()) };
    let note = format!("rule: {}{cut}: keeps {kept}; ours {ours}; {}", class.rule, class.check);
    Table::new(class.name, class.title, COLUMNS, lines.collect()).note(note).why("nobody here")
}

/// Who answers browsers, beside the list of who may.
fn responders(made: &Made) -> Table {
    let (net, site) = (&made.net, &made.site);
    let mut lines: Vec<Line> = Vec::new();
    for (addr, of, number, port, service) in site.services(net) {
        if !answers_pages(port, service, net) || !is_subject(of, net, &site.known) {
            continue;
        }
        let listed = site.listed(addr, service.last);
        let allowed = match listed.map(|l| site.known.is_authorised(l, number, port)) {
            None => "in no inventory",
            Some(None) => "no services are stated",
            Some(Some(true)) => "yes",
            Some(Some(false)) => "no",
        };
        let cells = vec![
            host(addr),
            words(listed.map(|l| l.name.clone()).unwrap_or_default()),
            words(shown(port, number)),
            words(service.outside.show()),
            words(service.inside.show()),
            words(allowed),
        ];
        let query = format!("kind = flow and dst.ip = {addr} and proto = {} and dst.port = {port}", proto::show(number));
        lines.push(Line {
            loud: matches!(allowed, "no" | "in no inventory"),
            ..line(cells, format!("{addr} answers browsers"), query)
        });
    }
    Table::new(
        "web_responders",
        "who answers browsers, and who may",
        &["host", "name", "port", "outside", "inside", "authorised"],
        lines,
    )
    .note("HTTP or TLS was heard, on whatever port")
    .why("no host of one's own was heard to speak HTTP or TLS as a server")
}

/// What hosts are by what they do.
fn roles(made: &Made) -> Table {
    let (net, site) = (&made.net, &made.site);
    let decided: BTreeMap<_, _> = site.roles(net).into_iter().collect();
    let mut lines = Vec::new();
    for of in site.ledger.by_host(net) {
        let addr = net.addr(of.host);
        let Some(role) = decided.get(&addr).filter(|_| of.seen.talks()) else { continue };
        let listed = site.listed(addr, of.seen.last);
        let systems: Vec<String> = of.seen.systems.families().iter().map(|f| f.0.name().to_owned()).collect();
        let cells = vec![
            host(addr),
            words(listed.map(|l| l.name.clone()).unwrap_or_default()),
            words(role.role.map_or("not clear", |r| r.name())),
            words(role.role.map_or_else(String::new, |_| format!("{:.0} %", role.probability * 100.0))),
            words(systems.join(" ")),
            words(listed.map(|l| l.role.clone()).unwrap_or_default()),
            words(role.evidence.join("; ")),
        ];
        lines.push(line(cells, addr.to_string(), format!("host = {addr}")));
    }
    Table::new("roles", "roles by behaviour", &["host", "name", "role", "sure", "says", "inventory", "because"], lines)
        .note("log-odds of what hosts do; says: systems by how connections are set up, user agents and update services")
        .why("no host of one's own talks here")
}
