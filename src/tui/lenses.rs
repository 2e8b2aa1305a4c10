//! Lenses: the relations of a focus that have a tab. A lens is a row of the table below: name, query, columns, what to say when empty.
//!
//! To add one: a row in [`ALL`]; its number key is a command in `commands/lens.rs`.

use crate::model::FieldId;
use crate::model::field as f;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Corrected start; with the day where the window crosses midnight.
    Time,
    /// The other end of the focus host, with an arrow for the direction.
    Peer,
    /// The first of these fields that is there.
    Field(&'static [FieldId]),
    /// Every value of a field.
    All(FieldId),
    /// Bytes in short form.
    Size(FieldId),
    /// End minus start.
    Duration,
    /// Kind of the record.
    Kind,
    /// Name of the source.
    Source,
    /// The record in one line: what its kind has to say.
    Summary,
    /// Quality of the join, or how many sources saw it.
    Match,
}

/// A column of a lens.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub title: &'static str,
    /// What it shows.
    pub show: Show,
    /// Least width.
    pub min: u16,
    /// Most width that it gains from a wide screen.
    pub max: u16,
    /// When space is short the highest goes first; 0 never goes.
    pub drop: u8,
    /// Numbers stand at the right.
    pub right: bool,
    /// Its width was set: it neither gives way nor grows.
    pub fixed: bool,
}

const fn column(title: &'static str, show: Show, min: u16, max: u16, drop: u8) -> Column {
    Column { title, show, min, max, drop, right: false, fixed: false }
}
const fn number(title: &'static str, show: Show, min: u16, drop: u8) -> Column {
    Column { title, show, min, max: min, drop, right: true, fixed: false }
}

/// A lens.
#[derive(Debug, Clone, Copy)]
pub struct Lens {
    /// Name, as saved and as `:lens` takes it.
    pub name: &'static str,
    /// Key and title of its tab.
    pub key: char,
    /// Title of its tab.
    pub title: &'static str,
    /// Title where space is short.
    pub short: &'static str,
    /// The condition that it adds to the focus; empty: none.
    pub query: &'static str,
    /// Columns when the focus is a host: with the peer.
    pub columns: &'static [Column],
    /// What there is none of.
    pub empty: &'static str,
    /// What it shows holds at any time: a list, an inventory, a scan. The window does not narrow it.
    pub timeless: bool,
    /// Kinds that a source must give to be able to fill it; empty: any.
    pub kinds: &'static [crate::model::Kind],
}

use crate::model::Kind as K;
use Show::{All, Duration, Field, Kind, Match, Peer, Size, Source, Summary, Time};

const TIME: Column = column("start", Time, 12, 12, 0);
/// The other end.
pub const PEER: Column = column("peer", Peer, 17, 41, 0);
const PORT: Column = number("port", Field(&[f::DST_PORT]), 5, 0);
const APP: Column = column("app", Field(&[f::APP, f::PROTO]), 5, 9, 7);
const STATE: Column = column("state", Field(&[f::STATE]), 5, 6, 9);
const OUT: Column = number("out", Size(f::BYTES_OUT), 5, 2);
const IN: Column = number("in", Size(f::BYTES_IN), 5, 2);
const DUR: Column = number("dur", Duration, 6, 8);
const NAME: Column = column("name", Field(&[f::SNI, f::HTTP_HOST, f::NAME]), 12, 60, 0);
/// Quality of the join.
pub const MATCH: Column = column("m", Match, 2, 15, 1);
const SRC: Column = column("source", Source, 6, 14, 6);
/// The record in one line.
pub const SUMMARY: Column = column("what", Summary, 24, 160, 0);

/// Every lens, in the order of the tabs.
pub const ALL: &[Lens] = &[
    Lens {
        name: "alerts",
        key: '1',
        title: "Alerts",
        short: "Alerts",
        query: "kind in {alert, notice}",
        columns: &[
            TIME,
            column("sev", Field(&[f::SEVERITY]), 4, 8, 5),
            PEER,
            PORT,
            column("signature", Field(&[f::SIGNATURE, f::CATEGORY, f::MESSAGE]), 20, 80, 0),
            column("action", Field(&[f::ACTION]), 5, 8, 8),
            SRC,
            MATCH,
        ],
        empty: "alerts",
        timeless: false,
        kinds: &[K::Alert, K::Notice],
    },
    Lens {
        name: "flows",
        key: '2',
        title: "Flows",
        short: "Flows",
        query: "kind = flow",
        columns: &[TIME, PEER, PORT, APP, STATE, OUT, IN, DUR, NAME, MATCH],
        empty: "flows",
        timeless: false,
        kinds: &[K::Flow],
    },
    Lens {
        name: "dns",
        key: '3',
        title: "DNS",
        short: "DNS",
        query: "kind = dns",
        columns: &[
            TIME,
            PEER,
            column("type", Field(&[f::DNS_TYPE]), 5, 6, 4),
            column("name", Field(&[f::NAME]), 16, 60, 0),
            column("answer", Field(&[f::ANSWER_IP, f::ANSWER_NAME, f::DNS_RCODE]), 15, 39, 0),
            column("code", Field(&[f::DNS_RCODE]), 8, 10, 8),
            SRC,
            MATCH,
        ],
        empty: "DNS transactions",
        timeless: false,
        kinds: &[K::Dns],
    },
    Lens {
        name: "logs",
        key: '4',
        title: "Logs",
        short: "Logs",
        query: "kind in {http, tls, file, fw, proxy, auth, dhcp, log, oddity}",
        columns: &[TIME, column("kind", Kind, 6, 9, 4), PEER, SUMMARY, SRC, MATCH],
        empty: "log records",
        timeless: false,
        kinds: &[K::Http, K::Tls, K::File, K::Fw, K::Proxy, K::Auth, K::Dhcp, K::Log],
    },
    Lens {
        name: "reputation",
        key: '5',
        title: "Reputation",
        short: "Rep",
        query: "kind = inventory and exists indicator",
        columns: &[
            column("indicator", Field(&[f::INDICATOR]), 20, 60, 0),
            column("sev", Field(&[f::SEVERITY]), 4, 8, 5),
            column("list", Field(&[f::FEED]), 12, 30, 0),
            column("category", Field(&[f::CATEGORY, f::MESSAGE]), 12, 60, 6),
            column("confidence", Field(&[f::CONFIDENCE]), 10, 10, 8),
            column("listed", Time, 12, 12, 0),
        ],
        empty: "reputation entries",
        timeless: true,
        kinds: &[K::Inventory],
    },
    Lens {
        name: "host",
        key: '6',
        title: "Host",
        short: "Host",
        query: "kind in {inventory, vuln} and not exists indicator",
        columns: &[
            TIME,
            column("kind", Kind, 6, 9, 6),
            column("address", Field(&[f::SRC_IP, f::DST_IP]), 15, 39, 0),
            number("port", Field(&[f::DST_PORT, f::SRC_PORT]), 5, 4),
            column("sev", Field(&[f::SEVERITY]), 4, 8, 5),
            SUMMARY,
            SRC,
        ],
        empty: "inventory rows or scan findings",
        timeless: true,
        kinds: &[K::Inventory, K::Vuln],
    },
    Lens {
        name: "packets",
        key: '7',
        title: "Packets",
        short: "Pkts",
        query: "",
        columns: &[],
        empty: "packets",
        timeless: false,
        kinds: &[],
    },
    Lens {
        name: "all",
        key: 'a',
        title: "All",
        short: "All",
        query: "",
        columns: &[TIME, column("kind", Kind, 6, 9, 4), PEER, SUMMARY, column("source", Source, 6, 14, 0), MATCH],
        empty: "records",
        timeless: false,
        kinds: &[],
    },
];

/// The home of the case stands at the place of a lens: a node of the walk remembers it so. It has no tab.
pub static HOME: Lens = Lens {
    name: "home",
    key: '0',
    title: "Home",
    short: "Home",
    query: "",
    columns: &[],
    empty: "lines",
    timeless: false,
    kinds: &[],
};

/// The lens with a name; of an unknown name the last one, All.
pub fn find(name: &str) -> &'static Lens {
    let known = ALL.iter().find(|l| l.name == name);
    if name == HOME.name { &HOME } else { known.unwrap_or(&ALL[ALL.len() - 1]) }
}

/// Columns of a lens as they are shown: for a focus that is not a host `peer` becomes source and destination.
/// IPv4 addresses need no more than their least width; `long`: there are IPv6 addresses.
pub fn columns(list: &[Column], host: bool, long: bool) -> Vec<Column> {
    let mut out = Vec::new();
    for column in list {
        if column.show == Peer && !host {
            let end = |title, fields| match column.fixed {
                true => Column { title, show: Field(fields), ..*column },
                false => Column { min: 15, max: 39, ..Column { title, show: Field(fields), ..*column } },
            };
            out.push(end("source", &[f::SRC_IP]));
            out.push(end("destination", &[f::DST_IP]));
        } else {
            out.push(*column);
        }
    }
    if !long {
        let least = |c: &mut Column| c.max = c.min;
        let is_address = |c: &Column| {
            let of_field = matches!(c.show, All(id) if f::get(id).is_some_and(|f| f.ty == f::Type::Addr));
            of_field || matches!(c.title, "peer" | "source" | "destination" | "address")
        };
        out.iter_mut().filter(|c| is_address(c)).for_each(least);
    }
    // Where both addresses take their room the sensor's name is called `from`, not `source` a second time.
    if !host {
        out.iter_mut().filter(|c| c.show == Source).for_each(|c| c.title = "from");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::trail;

    #[test]
    fn the_trail_knows_which_lenses_have_no_window_and_which_no_rows() {
        let timeless: Vec<&str> = ALL.iter().filter(|l| l.timeless).map(|l| l.name).collect();
        assert_eq!(timeless, trail::TIMELESS);
        assert!(trail::UNCOUNTED.iter().all(|name| find(name).name == *name));
    }

    #[test]
    fn names_and_keys_are_unique_and_time_peer_and_name_never_drop() {
        let mut keys: Vec<char> = ALL.iter().map(|l| l.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
        for lens in ALL {
            for column in lens.columns {
                if matches!(column.show, Time | Peer) || column.title == "name" {
                    assert_eq!(column.drop, 0, "{} {}", lens.name, column.title);
                }
            }
        }
    }
}
