//! Steps 1 to 3: what is known, the sample, whether it is as expected.

use super::{Made, Table, line, percent, words};
use crate::case::home::{Cell, Go, Line};
use crate::detectors::gather::service;
use crate::error::Result;
use crate::model::time::SECOND;
use crate::model::{Cancel, Time, proto};
use crate::query::Engine;

/// Services that are listed.
const SERVICES: usize = 25;
/// Hours that are listed.
const HOURS: usize = 12;

pub(super) fn known(engine: &dyn Engine, made: &Made, cancel: &Cancel) -> Result<Vec<Table>> {
    let mut lines = Vec::new();
    let sites = engine.sites(cancel)?;
    for site in sites.applied() {
        let networks: Vec<String> = site.networks.iter().map(ToString::to_string).collect();
        let by = if site.by.is_some() { "confirmed" } else { "a guess: confirm it" };
        let cells = vec![words("home"), words(networks.join(" ")), words(format!("{}: {by}", site.name))];
        lines.push(Line { cells, go: Go::Sites, loud: site.by.is_none() });
    }
    let known = &made.site.known;
    let open = known.ports.values().filter(|p| p.state == crate::detectors::reconcile::PortState::Open).count();
    let naming = known.hosts.iter().filter(|h| known.authorised(h).is_some()).count();
    let newest = |times: &mut dyn Iterator<Item = Time>| {
        times.max().map_or_else(String::new, |t| format!(", newest {}", t.utc().format("%Y-%m-%d")))
    };
    for (what, n, says, query) in [
        (
            "inventory",
            known.hosts.len(),
            format!("{naming} say which services are authorised{}", newest(&mut known.hosts.iter().map(|h| h.time))),
            "kind = inventory and not action = found",
        ),
        (
            "scanned hosts",
            known.scanned.len(),
            format!("{open} open ports{}", newest(&mut known.scanned.values().map(|s| s.time))),
            "kind = inventory and action = found",
        ),
        ("vulnerabilities", known.vulnerabilities.len(), String::new(), "kind = vuln"),
        ("translations", known.translated.len(), "outside addresses that stand for inside ones".to_owned(), "nat.src.ip exists"),
    ] {
        let mut one = line(vec![words(what), Cell::Count(n as u64), words(says)], what, query.to_owned());
        one.loud = n == 0 && what != "translations";
        lines.push(one);
    }
    Ok(vec![Table::new("known", "what is known", &["what", "value", "says"], lines)])
}

pub(super) fn sample(engine: &dyn Engine, made: &Made) -> Vec<Table> {
    let sample = &made.watcher.sample;
    let infos = engine.sources();
    let mut lines = Vec::new();
    for (id, sum) in &sample.sources {
        let name = engine.source_name(*id);
        let warnings = infos.iter().find(|s| s.id == *id).map(|s| s.warnings.join("; ")).unwrap_or_default();
        let query = format!("kind = flow and source = {}", crate::query::quote(&name));
        let loud = warnings.contains("sampl");
        let cells = vec![
            words(&name),
            Cell::Count(sum.flows),
            Cell::Bytes(sum.bytes),
            percent(sum.flows, sample.all.flows),
            words(warnings),
        ];
        lines.push(Line { loud, ..line(cells, name, query) });
    }
    let one_way = percent(sample.one_way, sample.all.flows).show(&Time::rfc3339);
    let outgoing = percent(sample.outgoing.flows, sample.all.flows).show(&Time::rfc3339);
    let span = made.window.map_or_else(String::new, |w| {
        format!("{} to {}; ", w.start.utc().format("%Y-%m-%d %H:%MZ"), w.end.utc().format("%Y-%m-%d %H:%MZ"))
    });
    let note = format!(
        "{span}{outgoing} leave the monitored space, {one_way} were not answered; connections that several sources saw count once"
    );
    let sources = Table::new("sources", "who gives flows", &["source", "flows", "bytes", "share", "warnings"], lines)
        .note(note)
        .why("no source of this window gives flows: import a capture or flow records");
    let mut hours: Vec<_> = sample.hours.iter().collect();
    hours.sort_by_key(|(hour, s)| (std::cmp::Reverse(s.bytes), **hour));
    let lines = hours.into_iter().take(HOURS).map(|(hour, sum)| {
        let from = Time(hour.saturating_mul(3_600 * SECOND));
        let until = from.plus(3_600 * SECOND);
        let query = format!("kind = flow and between {} and {}", from.rfc3339(), until.rfc3339());
        line(vec![Cell::At(from), Cell::Count(sum.flows), Cell::Bytes(sum.bytes)], "the busiest hour", query)
    });
    let busiest = Table::new("hours", "busiest hours", &["hour", "flows", "bytes"], lines.collect())
        .note("a sample should hold these: profile --window 'between ... and ...'")
        .why("no flows");
    vec![sources, busiest]
}

pub(super) fn validate(made: &Made) -> Vec<Table> {
    let sample = &made.watcher.sample;
    let mut protocols: Vec<_> = sample.protocols.iter().collect();
    protocols.sort_by_key(|(n, s)| (std::cmp::Reverse(s.bytes), **n));
    let lines = protocols.into_iter().take(SERVICES).map(|(n, sum)| {
        let name = proto::show(*n);
        let query = format!("kind = flow and proto = {name}");
        let cells = vec![
            words(&name),
            Cell::Count(sum.flows),
            percent(sum.flows, sample.all.flows),
            Cell::Bytes(sum.bytes),
            percent(sum.bytes, sample.all.bytes),
        ];
        line(cells, name, query)
    });
    let protocols =
        Table::new("protocols", "protocols", &["protocol", "flows", "of flows", "bytes", "of bytes"], lines.collect());
    let services = sample.services();
    let lines = services.iter().take(SERVICES).map(|((n, port), sum)| {
        let name = service(*port, *n);
        let query = format!("kind = flow and proto = {} and dst.port = {port}", proto::show(*n));
        let cells = vec![
            words(&name),
            Cell::Count(sum.flows),
            percent(sum.flows, sample.all.flows),
            Cell::Bytes(sum.bytes),
            percent(sum.bytes, sample.all.bytes),
        ];
        line(cells, name, query)
    });
    let mut top =
        Table::new("ports", "services by bytes", &["service", "flows", "of flows", "bytes", "of bytes"], lines.collect())
            .note("accepted connections");
    top.total = services.len();
    vec![protocols, top]
}
