//! How does a host of one's own come by the addresses that it calls? Which it called without any name being known for them though it asks DNS (direct
//! to the address, as malware does), and whom it asks over an encrypted way, so that its questions are not seen.
//!
//! Encrypted DNS is DNS over TLS or QUIC (port 853, RFC 7858, RFC 9250), and HTTPS to the names or addresses of resolvers that are known to
//! offer it (RFC 8484); of the latter a resolver that is not listed goes unseen.

use super::{Given, fact};
use crate::error::Result;
use crate::links::Names;
use crate::model::answer::Fact;
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::{Cancel, Entity, Filter, Kind, Record, RecordId, Value, field, proto};
use crate::store::{Ask, Snapshot};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most flows that are looked at.
const MAX_FLOWS: usize = 200_000;
/// Most ends whose names are asked for.
const MAX_ENDS: usize = 4_096;
/// Ends that are shown.
const SHOWN: usize = 4;
/// Port of DNS over TLS and over QUIC.
const DOT: u64 = 853;
/// Names under which resolvers answer over HTTPS, with what is below them.
const RESOLVERS: &[&str] = &[
    "cloudflare-dns.com",
    "one.one.one.one",
    "dns.google",
    "dns.google.com",
    "dns.quad9.net",
    "dns9.quad9.net",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "doh.opendns.com",
    "dns.umbrella.com",
    "doh.umbrella.com",
    "dns.nextdns.io",
    "adguard-dns.com",
    "adguard.com",
    "doh.cleanbrowsing.org",
    "doh.dns.sb",
    "dns.mullvad.net",
    "doh.mullvad.net",
    "freedns.controld.com",
    "dns.controld.com",
    "doh.dns.apple.com",
    "mask.icloud.com",
    "mask-h2.icloud.com",
    "dns.alidns.com",
    "doh.pub",
    "dns0.eu",
    "doh.libredns.gr",
    "doh.xfinity.com",
];
/// Addresses of theirs.
const RESOLVER_ADDRS: &[IpAddr] = &[
    v4(1, 1, 1, 1),
    v4(1, 0, 0, 1),
    v4(8, 8, 8, 8),
    v4(8, 8, 4, 4),
    v4(9, 9, 9, 9),
    v4(149, 112, 112, 112),
    v4(208, 67, 222, 222),
    v4(208, 67, 220, 220),
    v4(94, 140, 14, 14),
    v4(94, 140, 15, 15),
    v6(0x2606, 0x4700, 0x4700, 0x1111),
    v6(0x2606, 0x4700, 0x4700, 0x1001),
    v6(0x2001, 0x4860, 0x4860, 0x8888),
    v6(0x2001, 0x4860, 0x4860, 0x8844),
    v6(0x2620, 0xfe, 0, 0xfe),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// `a:b:c::d`.
const fn v6(a: u16, b: u16, c: u16, d: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, d))
}

/// What of a host's connections had something in common.
#[derive(Debug)]
struct Calls {
    flows: u64,
    first: Record,
}

/// How an address of one's own names what it calls.
pub fn facts(snapshot: &Snapshot, names: &Names, given: &Given<'_>, entity: &Entity, cancel: &Cancel) -> Result<Vec<Fact>> {
    let (EntityKind::Address, Value::Addr(addr)) = (entity.kind, &entity.value) else { return Ok(Vec::new()) };
    let addr = canonical(*addr);
    if !given.home.is_near(addr) {
        return Ok(Vec::new());
    }
    let mine = |kind: Kind| Filter::is(field::KIND, kind.name()).and(Filter::Test(field::SRC_IP, Test::Is(Value::Addr(addr))));
    let (flows, fields) = (
        mine(Kind::Flow),
        [field::SRC_IP, field::DST_IP, field::DST_PORT, field::PROTO, field::APP, field::SNI, field::HTTP_HOST, field::NAME],
    );
    let ask = Ask { fields: Some(&fields), ..Ask::new(&flows) };
    let mut encrypted: BTreeMap<String, (u64, RecordId)> = BTreeMap::new();
    let mut nameless: BTreeMap<(IpAddr, u64, u64), Calls> = BTreeMap::new();
    let mut left = MAX_FLOWS;
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        left -= 1;
        let own = |f| row.values(f).next().and_then(|v| v.as_text().map(str::to_lowercase));
        let named = [field::SNI, field::HTTP_HOST, field::NAME].into_iter().find_map(|f| own(f).filter(|n| !n.is_empty()));
        let (protocol, port) = (row.uint(field::PROTO).unwrap_or(0), row.uint(field::DST_PORT).unwrap_or(0));
        let Some(to) = row.values(field::DST_IP).next().and_then(|v| v.as_addr()).map(canonical) else { return left > 0 };
        let over = [proto::TCP, proto::UDP].map(u64::from).contains(&protocol);
        if over && let Some(resolver) = resolver(to, port, named.as_deref()) {
            let entry = encrypted.entry(resolver).or_insert((0, row.id()));
            (entry.0, entry.1) = (entry.0 + 1, entry.1.min(row.id()));
        } else if over && named.is_none() && !given.home.is_near(to) && !is_many(to) && !infrastructure(protocol, port) {
            let room = nameless.len() < MAX_ENDS;
            match nameless.get_mut(&(to, protocol, port)) {
                Some(one) => {
                    one.flows += 1;
                    if row.time() < one.first.time() {
                        one.first = row.record();
                    }
                }
                None if room => drop(nameless.insert((to, protocol, port), Calls { flows: 1, first: row.record() })),
                None => {}
            }
        }
        left > 0
    })?;
    cancel.check()?;
    let mut out = Vec::new();
    if !encrypted.is_empty() {
        let mut ranked: Vec<(String, (u64, RecordId))> = encrypted.into_iter().collect();
        ranked.sort_by_key(|(name, (n, _))| (Reverse(*n), name.clone()));
        let evidence = ranked.first().map(|(_, (_, id))| *id);
        let text =
            format!("encrypted DNS: {} (what it asks there is not seen)", some(ranked.into_iter().map(|(r, (n, _))| (r, n))));
        out.push(Fact { severity: Some(1), evidence, ..fact("names", text) });
    }
    // Where its questions are not seen at all, an address without a name says nothing.
    if nameless.is_empty() || !asks(snapshot, &mine(Kind::Dns), cancel)? {
        return Ok(out);
    }
    let mut direct: Vec<((IpAddr, u64, u64), Calls)> = Vec::new();
    for (end, one) in nameless {
        cancel.check()?;
        if names.name_used(&one.first)?.is_none() {
            direct.push((end, one));
        }
    }
    if !direct.is_empty() {
        direct.sort_by_key(|(end, one)| (Reverse(one.flows), *end));
        let evidence = direct.first().map(|(_, one)| one.first.id);
        let flows = direct.iter().map(|(_, one)| one.flows).sum::<u64>();
        let ends = direct.len();
        let more = if left == 0 { format!(", of its first {MAX_FLOWS} flows") } else { String::new() };
        let shown = some(
            direct.into_iter().map(|((ip, _, port), one)| (std::net::SocketAddr::new(ip, port as u16).to_string(), one.flows)),
        );
        // The card has little room: what is said first is read.
        let text = format!(
            "direct to IP: {shown} ({flows} flows to {ends}{more}): no name is known for it, though it asks DNS otherwise"
        );
        out.push(Fact { severity: Some(1), evidence, ..fact("names", text) });
    }
    Ok(out)
}

/// The first of a list with their numbers.
fn some(list: impl ExactSizeIterator<Item = (String, u64)>) -> String {
    let all = list.len();
    let mut out: Vec<String> = list.take(SHOWN).map(|(name, n)| if n > 1 { format!("{name} ×{n}") } else { name }).collect();
    if all > SHOWN {
        out.push(format!("+{}", all - SHOWN));
    }
    out.join(", ")
}

/// The resolver of an encrypted way, by port, name or address.
fn resolver(to: IpAddr, port: u64, name: Option<&str>) -> Option<String> {
    let known = |name: &str| RESOLVERS.iter().any(|r| name == *r || name.strip_suffix(r).is_some_and(|head| head.ends_with('.')));
    let named = name.map(|n| n.trim_end_matches('.')).filter(|n| !n.is_empty());
    match (port, named) {
        (DOT, named) => Some(named.map_or_else(|| to.to_string(), str::to_owned)),
        (443, Some(name)) => known(name).then(|| name.to_owned()),
        (443, None) => RESOLVER_ADDRS.contains(&to).then(|| to.to_string()),
        _ => None,
    }
}

/// Time, DNS, names of the neighbourhood: called by address as a rule.
fn infrastructure(protocol: u64, port: u64) -> bool {
    port == 53
        || protocol == u64::from(proto::UDP)
            && matches!(port, 67 | 68 | 123 | 137 | 138 | 443 | 500 | 3478 | 4500 | 1900 | 5353 | 5355)
}

fn is_many(to: IpAddr) -> bool {
    to.is_multicast() || to.is_unspecified() || matches!(to, IpAddr::V4(v4) if v4.is_broadcast() || v4.is_link_local())
}

/// Whether its questions to resolvers are seen.
fn asks(snapshot: &Snapshot, filter: &Filter, cancel: &Cancel) -> Result<bool> {
    let mut found = false;
    let ask = Ask { fields: Some(&[]), ..Ask::new(filter) };
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |_| {
        found = true;
        false
    })?;
    cancel.check()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::feeds::Feeds;
    use crate::links::world::World;
    use crate::model::Time;
    use crate::model::site::Home;

    fn said(world: &mut World, host: &str) -> Vec<String> {
        let snapshot = world.snapshot();
        let names = Names::read(&snapshot, &Cancel::default()).unwrap();
        let home = Home::new(["10.0.0.0/8".parse().unwrap()], false);
        let feeds = Feeds::default();
        let given = Given { feeds: &feeds, decisions: &[], sets: &[], home: &home, now: Time(0) };
        let entity = Entity::recognise(host).unwrap();
        facts(&snapshot, &names, &given, &entity, &Cancel::default()).unwrap().into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn what_is_called_without_a_name_is_said_of_who_asks_dns() {
        let mut world = World::new();
        let (pcap, dns) = (world.source("pcap", "a"), world.source("dns", "a"));
        for host in ["10.0.0.5", "10.0.0.6"] {
            for n in 0..3 {
                world.flow(pcap, 10_000 + n, 11_000, &format!("{host}:{}", 4000 + n), "203.0.113.9:443");
            }
            world.flow(pcap, 10_000, 11_000, &format!("{host}:5000"), "192.0.2.1:443");
            world.flow(pcap, 10_000, 11_000, &format!("{host}:5001"), "10.0.0.1:443");
            let mut named = World::ends(&format!("{host}:5002"), "192.0.2.77:443");
            named.push((field::SNI, Value::from("a.example")));
            world.record(pcap, Kind::Flow, 10_000, 11_000, &named);
        }
        world.answer(dns, 9_000, "10.0.0.5", "b.example", "192.0.2.1", 300);
        let host = said(&mut world, "10.0.0.5");
        assert_eq!(
            host,
            ["direct to IP: 203.0.113.9:443 ×3 (3 flows to 1): no name is known for it, though it asks DNS otherwise"]
        );
        // Whose questions are not seen, and who is not one's own, is not judged.
        assert!(said(&mut world, "10.0.0.6").is_empty());
        assert!(said(&mut world, "203.0.113.9").is_empty());
    }

    #[test]
    fn whom_it_asks_over_an_encrypted_way_is_said() {
        let mut world = World::new();
        let pcap = world.source("pcap", "a");
        let mut flow = |dst: &str, name: &str| {
            let mut fields = World::ends("10.0.0.5:4000", dst);
            if !name.is_empty() {
                fields.push((field::SNI, Value::from(name)));
            }
            world.record(pcap, Kind::Flow, 0, 0, &fields);
        };
        flow("8.8.8.8:443", "dns.google");
        flow("8.8.4.4:443", "dns.google");
        flow("192.0.2.4:443", "chrome.cloudflare-dns.com");
        flow("9.9.9.9:443", "");
        flow("192.0.2.5:853", "");
        flow("192.0.2.6:443", "notdns.google.example");
        flow("192.0.2.7:443", "");
        assert_eq!(
            said(&mut world, "10.0.0.5"),
            ["encrypted DNS: dns.google ×2, 192.0.2.5, 9.9.9.9, chrome.cloudflare-dns.com (what it asks there is not seen)"]
        );
    }
}
