//! Step 7: what is new, and what has been silent for long.

use super::{Made, Table, host, line, words};
use crate::case::home::Cell;
use crate::detectors::gather::service as shown;
use crate::detectors::reconcile::is_subject;
use crate::model::time::DAY;
use crate::model::{Time, proto};

/// The last part of the window that counts as new: a week, of a short window a quarter, at least a day.
fn recent(length: i64) -> i64 {
    (length / 4).clamp(DAY, 7 * DAY)
}

pub(super) fn tables(made: &Made) -> Vec<Table> {
    let site = &made.site;
    let length = site.ledger.length();
    let new = ("new", "new services and hosts", &["what", "host", "service", "first", "last", "connections", "peers"]);
    let silent =
        ("silent", "services that have gone silent", &["what", "host", "service", "first", "last", "connections", "peers"]);
    if length < 4 * DAY {
        let why = format!("insufficient history: {:.1} days of at least 4", length as f64 / DAY as f64);
        return [new, silent].map(|t| Table::new(t.0, t.1, t.2, Vec::new()).why(why.clone())).into();
    }
    let end = site.ledger.span.map_or(Time(0), |s| s.1);
    let border = end.plus(-recent(length));
    let (mut fresh, mut gone) = (Vec::new(), Vec::new());
    for of in site.ledger.by_host(&made.net) {
        let addr = made.net.addr(of.host);
        if of.seen.first >= border && of.seen.talks() && is_subject(of.host, &made.net, &site.known) {
            let count = of.seen.asked.saturating_add(of.seen.accepted);
            let cells = vec![
                words("host"),
                host(addr),
                Cell::Empty,
                Cell::At(of.seen.first),
                Cell::At(of.seen.last),
                Cell::Count(count),
                words(of.seen.outside.show()),
            ];
            fresh.push((of.seen.first, line(cells, format!("{addr} is new"), format!("host = {addr}"))));
        }
    }
    for (addr, of, number, port, service) in site.services(&made.net) {
        // As for a new service of a detector: two peers or three connections.
        let steady = service.peers() >= 2 || service.flows >= 3;
        if !steady || !is_subject(of, &made.net, &site.known) {
            continue;
        }
        let cells = vec![
            words("service"),
            host(addr),
            words(shown(port, number)),
            Cell::At(service.first),
            Cell::At(service.last),
            Cell::Count(service.flows),
            words(service.peers().to_string()),
        ];
        let query = format!("kind = flow and dst.ip = {addr} and proto = {} and dst.port = {port}", proto::show(number));
        if service.first >= border {
            fresh.push((service.first, line(cells, format!("{} of {addr} is new", shown(port, number)), query)));
        } else if service.last < border {
            gone.push((service.last, line(cells, format!("{} of {addr} is silent", shown(port, number)), query)));
        }
    }
    fresh.sort_by_key(|f| std::cmp::Reverse(f.0));
    gone.sort_by_key(|f| f.0);
    let note = |what: &str| format!("{what} {}; 2 peers or 3 connections", border.utc().format("%Y-%m-%d %H:%MZ"));
    vec![
        Table::new(new.0, new.1, new.2, fresh.into_iter().map(|f| f.1).collect())
            .note(note("first seen since"))
            .why("nothing is new"),
        Table::new(silent.0, silent.1, silent.2, gone.into_iter().map(|f| f.1).collect())
            .note(note("last seen before"))
            .why("nothing went silent"),
    ]
}
