//! Collects the connections, resolves the names they need, and gives every row its identifier.

use crate::clock::{self, SEC};
use crate::dns::{Answer, Data, Tx};
use crate::rng::{Rng, mix};
use crate::talk::{App, Conn};
use crate::world::{self, DC, RESOLVER};
use crate::{dns, meter, talk};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A line of a log that is not made from packets.
pub struct Line {
    /// True time.
    pub t: i64,
    /// The text.
    pub text: String,
}

/// A request through the proxy.
pub struct Proxied {
    /// When it ended, true time.
    pub end: i64,
    /// How long it took, in microseconds.
    pub elapsed: i64,
    /// Who asked.
    pub client: Ipv4Addr,
    /// `TCP_TUNNEL/200`, ...
    pub result: &'static str,
    /// Bytes to the client.
    pub bytes: u64,
    /// GET, CONNECT.
    pub method: &'static str,
    /// What was asked.
    pub url: String,
    /// `HIER_DIRECT/192.0.2.1` or `HIER_NONE/-`.
    pub via: String,
    /// The type of the answer.
    pub mime: &'static str,
}

/// Everything that the writers need.
#[derive(Default)]
pub struct Story {
    /// All connections.
    pub conns: Vec<Conn>,
    /// Requests through the proxy.
    pub proxied: Vec<Proxied>,
    /// Attempts that the gateway dropped before the inside sensor, each with the rule's name.
    pub blocked: Vec<(Conn, &'static str)>,
    /// Lines of the build server's `auth.log`.
    pub auth: Vec<Line>,
    wants: Vec<(i64, Ipv4Addr, String, u16)>,
}

impl Story {
    /// Takes a connection in; its packets are kept only when it is in the captures.
    pub fn add(&mut self, mut c: Conn) {
        c.rows = meter::rows(&c);
        if !clock::captured(c.start()) && c.tag != "outage" {
            // The firewall's log still needs the first packet of what came in.
            c.pkts.truncate(usize::from(c.dnat.is_some()));
            c.pkts.shrink_to_fit();
        }
        self.conns.push(c);
    }

    /// Says that `client` needs the address of `name` just before `t`.
    pub fn want(&mut self, client: Ipv4Addr, name: &str, t: i64) {
        self.ask(client, name, 1, t);
    }

    /// Says that `client` asks for `name` with another type.
    pub fn ask(&mut self, client: Ipv4Addr, name: &str, qtype: u16, t: i64) {
        self.wants.push((t, client, name.to_string(), qtype));
    }

    /// Makes the DNS connections of all names wanted, with the caches of clients and of the resolver inside.
    pub fn resolve(&mut self, rng: &mut Rng) {
        let mut wants = std::mem::take(&mut self.wants);
        wants.sort();
        let places = places();
        let mut caches: BTreeMap<(Ipv4Addr, String, u16), i64> = BTreeMap::new();
        for (t, client, name, qtype) in wants {
            let key = (client, name.clone(), qtype);
            if caches.get(&key).is_some_and(|&until| until > t) {
                continue;
            }
            let tx = Tx { id: rng.next() as u16, ..answer(&places, &name, qtype) };
            let ttl = tx.answers.iter().map(|a| i64::from(a.ttl)).min().unwrap_or(30);
            let ours = name.ends_with(world::DOMAIN) || qtype == 12;
            let upstream = (DC, name.clone(), qtype);
            let known = ours || caches.get(&upstream).is_some_and(|&until| until > t);
            let wait = if known { 0 } else { rng.range(9_000, 34_000) };
            let asked = t - wait - rng.range(4_000, 30_000);
            caches.insert(key, t + ttl * SEC);
            if !known {
                let up = Tx { id: rng.next() as u16, ..tx.clone() };
                let at = asked + rng.range(250, 900);
                let mut c = talk::udp(at, (DC, rng.port()), (RESOLVER, 53), wait * 3 / 4, dns::question(&up), dns::reply(&up));
                c.service = "dns";
                c.app = App::Dns(up);
                self.add(c);
                caches.insert(upstream, t + ttl * SEC);
            }
            if client != DC {
                let mut talk = talk::Talk::new(17, asked, (client, rng.port()), (DC, 53), 0);
                talk.datagram(talk::Dir::Orig, talk::Msg::real(dns::question(&tx)));
                talk.t += wait;
                talk.datagram(talk::Dir::Resp, talk::Msg::real(dns::reply(&tx)));
                let mut c = talk.take();
                c.service = "dns";
                if name == world::DROP_NAME || name == world::C2_NAME || name == world::STORE_NAME {
                    c.tag = "dns-of-the-attack";
                    if name != world::STORE_NAME {
                        c.alerts.push((0, if name == world::C2_NAME { 2_028_400 } else { 2_034_217 }));
                    }
                }
                if name.ends_with(".test") {
                    c.alerts.push((0, 2_027_870));
                }
                c.app = App::Dns(tx);
                self.add(c);
            }
        }
    }

    /// Sorts everything and gives identifiers.
    pub fn settle(&mut self) {
        self.conns.sort_by_key(|c| (c.start(), c.src, c.sport, c.dst, c.dport));
        for c in &mut self.conns {
            let key = u64::from(u32::from(c.src)) << 32 | u64::from(u32::from(c.dst));
            let tuple = mix(key) ^ mix(u64::from(c.sport) << 16 | u64::from(c.dport));
            for (i, row) in c.rows.iter_mut().enumerate() {
                row.uid = uid(mix(tuple ^ row.start as u64 ^ i as u64));
            }
        }
        self.blocked.sort_by_key(|(c, _)| (c.pkts.first().map_or(0, |p| p.t), c.src, c.sport));
        self.proxied.sort_by_key(|p| (p.end, p.client));
        self.auth.sort_by_key(|l| l.t);
    }
}

fn uid(seed: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rng = Rng::new(seed);
    let tail: String = (0..11).map(|_| *rng.pick(DIGITS) as char).collect();
    format!("C{tail}")
}

type Places = BTreeMap<String, (Ipv4Addr, u32, Option<String>)>;

fn places() -> Places {
    let mut all: Places = BTreeMap::new();
    for s in world::sites() {
        all.insert(s.name.to_string(), (s.ip, s.ttl, s.cname.map(str::to_string)));
    }
    for h in world::hosts() {
        if h.listed {
            all.insert(format!("{}.{}", h.name, world::DOMAIN), (h.ip, 1200, None));
        }
    }
    all.insert(world::INTRANET.into(), (world::WWW, 1200, None));
    all.insert("wpad.corp.example".into(), (Ipv4Addr::UNSPECIFIED, 0, None));
    all.insert(world::C2_NAME.into(), (world::C2, 3600, None));
    all.insert(world::DROP_NAME.into(), (world::DROP, 120, Some(world::DROP_CNAME.into())));
    all.insert(world::STORE_NAME.into(), (world::STORE, 600, None));
    all.insert("time.example".into(), (world::NTP, 3600, None));
    for i in 0..20u8 {
        all.insert(format!("mx.{}", crate::events::mail_domain(i)), (crate::events::mail_server(i), 1800, None));
    }
    all
}

fn answer(places: &Places, name: &str, qtype: u16) -> Tx {
    let mut tx = Tx { name: name.to_string(), qtype, ..Tx::default() };
    if qtype == 15 {
        tx.answers.push(Answer { owner: name.to_string(), ttl: 1800, data: Data::Mx(format!("mx.{name}")) });
        return tx;
    }
    let Some((ip, ttl, cname)) = places.get(name) else {
        tx.rcode = 3;
        return tx;
    };
    if ip.is_unspecified() {
        tx.rcode = 3;
        return tx;
    }
    let mut owner = name.to_string();
    if let Some(alias) = cname {
        tx.answers.push(Answer { owner: owner.clone(), ttl: *ttl, data: Data::Cname(alias.clone()) });
        owner = alias.clone();
    }
    match qtype {
        28 if ip.octets()[0] == 192 && ip.octets()[3] % 3 == 0 => {
            let six = Ipv6Addr::new(0x2001, 0xdb8, 0x40, 0, 0, 0, 0, u16::from(ip.octets()[3]));
            tx.answers.push(Answer { owner, ttl: *ttl, data: Data::Aaaa(six) });
        }
        1 => tx.answers.push(Answer { owner, ttl: *ttl, data: Data::A(*ip) }),
        _ => {}
    }
    tx
}
