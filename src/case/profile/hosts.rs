//! Steps 4 and 6: who talks, and who is left over.

use super::{Made, Table, host, line, words};
use crate::case::home::Cell;
use crate::model::proto;

/// Hosts of a network that are named.
const NAMED: usize = 32;

pub(super) fn space(made: &Made) -> Vec<Table> {
    let space = &made.profile.space;
    let lines = space.networks.iter().map(|(network, hosts)| {
        let names: Vec<String> = hosts.iter().take(NAMED).map(|h| short(made.net.addr(*h))).collect();
        let more = if hosts.len() > NAMED { format!(" and {} more", hosts.len() - NAMED) } else { String::new() };
        let listed = hosts.iter().filter(|h| made.site.listed(made.net.addr(**h), made.site.window().end).is_some()).count();
        let cells = vec![
            words(network.to_string()),
            Cell::Count(hosts.len() as u64),
            Cell::Count(listed as u64),
            words(names.join(" ") + &more),
        ];
        line(cells, network.to_string(), format!("src.ip = {network} and kind = flow and direction = out"))
    });
    let (tcp, other, all) = space.counts;
    let note = format!(
        "{all} talkers: {tcp} of TCP, {other} of other protocols; transit check: {} records left that are not of talkers, {} went between outside addresses",
        space.not_of_talkers, space.transit
    );
    let table = Table::new("talkers", "talkers by network", &["network", "talkers", "inventoried", "hosts"], lines.collect());
    vec![
        table
            .note(note)
            .why("nobody of one's own talks to the outside here: is home told right, does the sensor see the perimeter?"),
    ]
}

fn short(addr: std::net::IpAddr) -> String {
    match addr {
        std::net::IpAddr::V4(a) => format!(".{}", a.octets()[3]),
        std::net::IpAddr::V6(a) => a.to_string(),
    }
}

pub(super) fn leftovers(made: &Made) -> Vec<Table> {
    let lines = made.profile.leftovers.iter().map(|left| {
        let addr = made.net.addr(left.host);
        let port = |p: u16| if p == 0 { "high".to_owned() } else { p.to_string() };
        let pairs = left.pairs.iter().map(|(n, own, theirs, bytes)| {
            let share = *bytes as f64 * 100.0 / left.bytes.max(1) as f64;
            format!("{} from {} to {} {share:.0} %", proto::show(*n), port(*own), port(*theirs))
        });
        let cells = vec![host(addr), Cell::Bytes(left.bytes), words(pairs.collect::<Vec<_>>().join(", "))];
        line(cells, format!("{addr} unexplained"), format!("host = {addr} and kind = flow"))
    });
    let table = Table::new("leftovers", "talkers that no class keeps", &["host", "bytes", "services"], lines.collect());
    vec![
        table
            .note("services of at least 10 % of its bytes; they stay in the profile, unverified")
            .why("every talker is explained by a class"),
    ]
}
