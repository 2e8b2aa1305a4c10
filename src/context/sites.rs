//! Which networks are one's own? What people confirmed, else a guess from the evidence.
//!
//! The guess rests on the first [`SAMPLE`] records of each source:
//! - private networks (RFC 1918, RFC 6598, RFC 4193) whose hosts sent something or answered, as the smallest network that holds the
//!   hosts seen within a /16 (IPv6: /48), at least a /24 (/64);
//! - outside addresses that a NAT gives to hosts (translated sources, destinations translated to the inside);
//! - public addresses of the inventory (not of lists of indicators, not of scans);
//! - of a source in which most flows are between public addresses the one address that is an end of 80 % of them: the gateway.
//!
//! While nothing is confirmed all private ranges are home, with the public addresses of the guess; then only what was confirmed is, with the
//! set `home`.

use super::sets::{self, Set};
use crate::error::Result;
use crate::model::decision::{Decision, What, standing};
use crate::model::filter::canonical;
use crate::model::site::{Home, Site, Sites};
use crate::model::{Cancel, Filter, Kind, SourceId, Time, field};
use crate::store::{Ask, Snapshot};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Records of each source that a guess looks at.
pub const SAMPLE: usize = 20_000;
/// Most sources that a guess looks at.
const MAX_SOURCES: usize = 200;
/// Most addresses of a kind that are kept.
const MAX_ADDRESSES: usize = 50_000;
/// Most public addresses that a guess names.
const MAX_PUBLIC: usize = 64;
/// Fewest flows between public addresses that can show a gateway.
const LEAST_FLOWS: u64 = 50;

/// The ranges that are used inside.
pub const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

fn private() -> Vec<IpNet> {
    PRIVATE.iter().filter_map(|n| n.parse().ok()).collect()
}

/// The sites that were confirmed and stand, in order of name; the last word on a name counts.
pub fn confirmed(decisions: &[Decision]) -> Vec<Site> {
    let mut sites: BTreeMap<&str, Site> = BTreeMap::new();
    for decision in standing(decisions) {
        let What::Site { name, networks, zone } = &decision.what else { continue };
        let networks: Vec<IpNet> = networks.iter().filter_map(|n| network(n)).collect();
        if networks.is_empty() {
            sites.remove(name.as_str());
            continue;
        }
        let by = Some(decision.who.name.clone());
        sites.insert(name, Site { name: name.clone(), networks, zone: zone.clone(), by, why: Vec::new() });
    }
    sites.into_values().collect()
}

/// A network as people write it: an address is a network of one.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().map(|n| n.trunc()).ok().or_else(|| text.parse::<IpAddr>().ok().map(|a| IpNet::from(canonical(a))))
}

/// What counts as home at a time, by the sets that stand.
pub fn home(sets: &[Set], guess: &[Site], now: Time) -> Home {
    // The networks of confirmed sites are members of the set.
    let stated = sets::members(sets, "home", now).unwrap_or_default();
    if !(stated.nets.is_empty() && stated.addrs.is_empty()) {
        return Home::new(stated.nets.into_iter().chain(stated.addrs.into_iter().map(IpNet::from)), false);
    }
    Home::new(private().into_iter().chain(guess.iter().flat_map(|s| s.networks.iter().copied())), true)
}

/// What counts as home where nobody has asked the case yet: the private ranges.
pub fn unasked() -> Home {
    Home::new(private(), true)
}

/// Confirmed and guessed sites.
pub fn sites(decisions: &[Decision], guess: &[Site]) -> Sites {
    Sites { confirmed: confirmed(decisions), guessed: guess.to_vec() }
}

/// What the sample of the evidence has shown.
#[derive(Default)]
struct Seen {
    inside: BTreeSet<IpAddr>,
    /// Public addresses that are ours: how often, and why.
    ours: BTreeMap<IpAddr, (u64, &'static str)>,
    /// Of one source: flows between public addresses, and how many each address is an end of.
    common: HashMap<IpAddr, u64>,
    flows: u64,
    public: u64,
}

/// Guesses from the evidence; empty if it shows nothing. One site, named `home`.
pub fn guess(snapshot: &Snapshot, cancel: &Cancel) -> Result<Vec<Site>> {
    let private = unasked();
    let mut seen = Seen::default();
    for source in snapshot.sources().iter().take(MAX_SOURCES) {
        look(snapshot, source.id, &private, &mut seen, cancel)?;
        if let Some(gateway) = gateway(&seen) {
            seen.ours.entry(gateway).or_insert((seen.common[&gateway], "an end of most flows"));
        }
        (seen.flows, seen.public) = (0, 0);
        seen.common.clear();
    }
    let mut networks = Vec::new();
    let mut why = Vec::new();
    for (net, hosts) in aggregate(&seen.inside) {
        why.push(format!("{net}: {hosts} host{} seen", if hosts == 1 { "" } else { "s" }));
        networks.push(net);
    }
    let mut ours: Vec<_> = seen.ours.into_iter().collect();
    ours.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    for (addr, (n, how)) in ours.into_iter().take(MAX_PUBLIC) {
        why.push(format!("{addr}: {how} ({n})"));
        networks.push(IpNet::from(addr));
    }
    if networks.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Site { name: "home".into(), networks, zone: None, by: None, why }])
}

fn look(snapshot: &Snapshot, source: SourceId, private: &Home, seen: &mut Seen, cancel: &Cancel) -> Result<()> {
    const FIELDS: [crate::model::FieldId; 7] = [
        field::SRC_IP,
        field::DST_IP,
        field::NAT_SRC_IP,
        field::NAT_DST_IP,
        field::PACKETS_IN,
        field::INDICATOR,
        field::PORT_STATE,
    ];
    let sources = [source];
    let ask = Ask { fields: Some(&FIELDS), sources: Some(&sources), every_sighting: true, ..Ask::new(&Filter::All) };
    let mut left = SAMPLE;
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let addr = |id| row.values(id).find_map(|v| v.as_addr()).map(canonical);
        let (src, dst) = (addr(field::SRC_IP), addr(field::DST_IP));
        let kind = row.kind();
        let said = kind == Kind::Inventory && row.values(field::INDICATOR).next().is_none();
        let listed = kind == Kind::Inventory && !said;
        if !listed {
            let answered = said || kind == Kind::Flow && row.uint(field::PACKETS_IN).is_some_and(|n| n > 0);
            let heard = [src, dst.filter(|_| answered)].into_iter().flatten();
            let inside: Vec<IpAddr> = heard.filter(|a| private.has(*a)).collect();
            if seen.inside.len() < MAX_ADDRESSES {
                seen.inside.extend(inside);
            }
            let ours = [
                (addr(field::NAT_SRC_IP), "what a NAT makes of sources"),
                (dst.filter(|_| row.values(field::NAT_DST_IP).next().is_some()), "translated to the inside"),
                (dst.filter(|_| said && row.values(field::PORT_STATE).next().is_none()), "in the inventory"),
            ];
            for (addr, how) in ours {
                if let Some(addr) = addr.filter(|a| !private.is_near(*a))
                    && (seen.ours.len() < MAX_ADDRESSES || seen.ours.contains_key(&addr))
                {
                    seen.ours.entry(addr).or_insert((0, how)).0 += 1;
                }
            }
        }
        if let (Kind::Flow, Some(src), Some(dst)) = (kind, src, dst) {
            seen.flows += 1;
            if !private.is_near(src) && !private.is_near(dst) && src != dst {
                seen.public += 1;
                for end in [src, dst] {
                    if seen.common.len() < MAX_ADDRESSES || seen.common.contains_key(&end) {
                        *seen.common.entry(end).or_default() += 1;
                    }
                }
            }
        }
        left -= 1;
        left > 0
    })?;
    cancel.check()
}

/// The common end of a source's flows, if most of them are between public addresses and there is exactly one.
fn gateway(seen: &Seen) -> Option<IpAddr> {
    if seen.public < LEAST_FLOWS || seen.public * 2 < seen.flows {
        return None;
    }
    let mut ends = seen.common.iter().filter(|(_, n)| **n * 5 >= seen.public * 4);
    match (ends.next(), ends.next()) {
        (Some((addr, _)), None) => Some(*addr),
        _ => None,
    }
}

/// The networks that hold the hosts, with their number: of each /16 (IPv6: /48) the smallest, at least a /24 (/64).
fn aggregate(hosts: &BTreeSet<IpAddr>) -> Vec<(IpNet, usize)> {
    let mut wide: BTreeMap<IpNet, Vec<IpAddr>> = BTreeMap::new();
    for host in hosts {
        if let Ok(net) = IpNet::new(*host, if host.is_ipv4() { 16 } else { 48 }) {
            wide.entry(net.trunc()).or_default().push(*host);
        }
    }
    wide.into_iter()
        .map(|(net, hosts)| {
            let least = if net.addr().is_ipv4() { 24 } else { 64 };
            // Hosts are in order: the network of the first that also holds the last holds all.
            let (first, last) = (hosts[0], hosts[hosts.len() - 1]);
            let fits = (net.prefix_len()..=least).rev().filter_map(|n| IpNet::new(first, n).ok()).find(|n| n.contains(&last));
            (fits.map_or(net, |n| n.trunc()), hosts.len())
        })
        .collect()
}

/// Hours east of UTC at which people seem to work, from records per hour: the offset at which the working days' curve fits a day from half
/// past eight to five best. None where there are under three working days, or no curve to speak of. Never more than a hint.
pub fn zone_by_activity(start: Time, hourly: &[f64]) -> Option<i32> {
    const HOUR: i64 = 3600 * crate::model::time::SECOND;
    let mut sum = [0.0; 24];
    let mut days = BTreeSet::new();
    for (n, count) in hourly.iter().enumerate().filter(|(_, c)| **c > 0.0) {
        let hour = start.0.div_euclid(HOUR) + n as i64;
        let day = hour.div_euclid(24);
        // 1970-01-01 was a Thursday.
        if (day + 3).rem_euclid(7) < 5 {
            days.insert(day);
            sum[hour.rem_euclid(24) as usize] += count;
        }
    }
    let (low, high) = sum.iter().fold((f64::MAX, 0.0f64), |(low, high), n| (low.min(*n), high.max(*n)));
    if days.len() < 3 || high < 2.0 * low.max(1.0) {
        return None;
    }
    let fit = |east: i32| -> f64 {
        let at = |utc: usize| (utc as i32 + east).rem_euclid(24);
        let share = |utc: usize| match at(utc) {
            9..=16 => 1.0,
            8 => 0.5,
            _ => -0.5,
        };
        sum.iter().enumerate().map(|(utc, n)| n * share(utc)).sum()
    };
    (-11..=13).max_by(|a, b| fit(*a).total_cmp(&fit(*b)).then(b.abs().cmp(&a.abs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;
    use crate::model::decision::Who;
    use crate::model::{FieldId, Value};

    fn decision(what: What) -> Decision {
        Decision { sequence: 1, at: 0, who: Who { name: "ana".into(), ..Who::default() }, what }
    }
    fn site(name: &str, networks: &[&str]) -> Decision {
        decision(What::Site { name: name.into(), networks: networks.iter().map(|n| (*n).to_owned()).collect(), zone: None })
    }

    #[test]
    fn the_last_word_on_a_site_counts_and_without_networks_it_is_gone() {
        let mut kept = vec![site("b", &["10.2.0.0/16"]), site("a", &["10.1.0.0/16", "192.0.2.7"]), site("b", &["10.3.0.0/16"])];
        let names = |kept: &[Decision]| confirmed(kept).into_iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names(&kept), ["a", "b"]);
        let now = Time(10);
        let has = |kept: &[Decision], addr: &str| home(&sets::sets(kept), &[], now).has(addr.parse().unwrap());
        assert!(has(&kept, "10.3.0.1") && has(&kept, "192.0.2.7") && !has(&kept, "10.2.0.1") && !has(&kept, "192.168.0.1"));
        kept.push(site("a", &[]));
        assert!(!has(&kept, "10.1.0.1"));
        let entries = vec!["192.0.2.0/24".to_owned(), "gone.example".to_owned()];
        kept.push(decision(What::SetAdd { set: "home-dmz".into(), entries, reason: String::new(), expires: Some(20) }));
        assert!(has(&kept, "192.0.2.9") && !home(&sets::sets(&kept), &[], Time(30)).has([192, 0, 2, 9].into()));
        kept.push(site("b", &[]));
        let left = home(&sets::sets(&kept), &[], Time(30));
        assert!(left.guessed && left.has([192, 168, 0, 1].into()), "nothing confirmed: private ranges are home");
    }

    #[test]
    fn a_guess_names_inside_networks_nat_addresses_inventory_and_gateway() {
        let mut world = World::new();
        let pcap = world.source("pcap", "lan");
        for n in 1..=5u8 {
            world.flow(pcap, 0, 1, &format!("10.8.2{n}.5:5000{n}"), "203.0.113.9:443");
        }
        let fw = world.source("netfilter", "gw");
        let addr = |text: &str| Value::Addr(text.parse().unwrap());
        let nat = |id: FieldId, to: &str| [World::ends("10.8.21.5:5000", "203.0.113.9:443"), vec![(id, addr(to))]].concat();
        world.record(fw, Kind::Fw, 0, 0, &nat(field::NAT_SRC_IP, "198.51.100.2"));
        let dnat = [World::ends("203.0.113.77:5000", "198.51.100.3:443"), vec![(field::NAT_DST_IP, addr("10.8.30.1"))]].concat();
        world.record(fw, Kind::Fw, 0, 0, &dnat);
        let book = world.source("inventory-csv", "book");
        world.record(book, Kind::Inventory, 0, 0, &[(field::DST_IP, addr("198.51.100.80"))]);
        let bad = [(field::DST_IP, addr("203.0.113.66")), (field::INDICATOR, Value::from("203.0.113.66"))];
        world.record(book, Kind::Inventory, 0, 0, &bad);
        let outside = world.source("pcap", "outside");
        for n in 0..60 {
            world.flow(outside, n, n, "192.0.2.200:4000", &format!("203.0.113.{n}:80"));
        }
        let found = guess(&world.snapshot(), &Cancel::default()).unwrap();
        let networks: Vec<String> = found[0].networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks[0], "10.8.16.0/20", "{:?}", found[0].why);
        let has = |net: &str| networks.iter().any(|n| n == net);
        for net in ["198.51.100.2/32", "198.51.100.3/32", "198.51.100.80/32", "192.0.2.200/32"] {
            assert!(has(net), "{net} {networks:?}");
        }
        assert!(!has("203.0.113.66/32") && !has("203.0.113.9/32"));
        assert!(found[0].why[0].contains("5 hosts"), "{:?}", found[0].why);
    }

    #[test]
    fn working_hours_tell_the_offset_and_a_flat_or_short_curve_tells_nothing() {
        // From Monday 2026-11-09: busy from 07 to 15 UTC, which is 9 to 17 two hours east.
        let start = Time::parse("2026-11-09T00:00:00Z").unwrap();
        let curve: Vec<f64> = (0..24 * 5).map(|h| if (7..15).contains(&(h % 24)) { 100.0 } else { 5.0 }).collect();
        assert_eq!(zone_by_activity(start, &curve), Some(2));
        assert_eq!(zone_by_activity(start, &curve[..30]), None);
        assert_eq!(zone_by_activity(start, &[50.0; 120]), None);
    }
}
