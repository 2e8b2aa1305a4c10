//! Step 5: a class's assets, as a row of the report's profile each, with what the report's rule says and what ours says.

use super::Watcher;
use super::classes::{CLASSES, CUT, Class, Side, Tally};
use super::ledger::{Map, Peers, Service};
use crate::detectors::held::Table;
use crate::detectors::rows::{Host, Id, Net, Word};
use crate::model::{Time, proto};

/// How sure it is that a service is what its port says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Confidence {
    /// By the port alone.
    #[default]
    Port,
    /// A source names the application.
    Named,
    /// Both sides of a connection spoke it.
    Parsed,
}

impl Confidence {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Port => "port",
            Confidence::Named => "named",
            Confidence::Parsed => "parsed",
        }
    }
}

/// What the report's rule says of an asset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Its part by the class's metric.
    pub amount: u64,
    /// Its share of the class.
    pub share: f64,
    /// The cut keeps it.
    pub kept: bool,
}

/// A row of the profile: the report's columns, and how it was found.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The host.
    pub host: Host,
    /// Protocols and ports of the class that it has: its own of a server, the other end's of a client.
    pub ports: Vec<(u8, u16)>,
    /// The report's rule; none: it does not take it.
    pub rule: Option<Kept>,
    /// Ours: connections that were set up or answered.
    pub ours: bool,
    /// Connections.
    pub flows: u64,
    /// Other ends outside.
    pub outside: Peers,
    /// Other ends that are one's own.
    pub inside: Peers,
    /// Names that clients used.
    pub names: Vec<Word>,
    /// First and last.
    pub span: Option<(Time, Time)>,
    /// IP bytes received.
    pub bytes_in: u64,
    /// IP bytes sent.
    pub bytes_out: u64,
    /// Whether it speaks what the port says.
    pub confidence: Confidence,
    /// Applications that were heard.
    pub apps: Vec<Word>,
    /// What speaks for or against it.
    pub validated: Vec<String>,
    /// Some records.
    pub ids: Vec<Id>,
}

impl Asset {
    fn new(host: Host) -> Asset {
        Asset {
            host,
            ports: Vec::new(),
            rule: None,
            ours: false,
            flows: 0,
            outside: Peers::default(),
            inside: Peers::default(),
            names: Vec::new(),
            span: None,
            bytes_in: 0,
            bytes_out: 0,
            confidence: Confidence::Port,
            apps: Vec::new(),
            validated: Vec::new(),
            ids: Vec::new(),
        }
    }
    fn add(&mut self, number: u8, port: u16, service: &Service) {
        self.ours = true;
        self.ports.push((number, port));
        self.flows += service.flows;
        service.outside.iter().for_each(|h| self.outside.add(h));
        service.inside.iter().for_each(|h| self.inside.add(h));
        self.outside.more |= service.outside.more;
        self.inside.more |= service.inside.more;
        for name in &service.names {
            if self.names.len() < 4 && !self.names.contains(name) {
                self.names.push(*name);
            }
        }
        let (first, last) = (service.first, service.last);
        self.span = Some(self.span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        self.bytes_in = self.bytes_in.saturating_add(service.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(service.bytes_out);
        self.confidence = self.confidence.max(match service.apps.heard() {
            (_, true) => Confidence::Parsed,
            (true, _) => Confidence::Named,
            _ => Confidence::Port,
        });
        for (app, _) in &service.apps.list {
            if !self.apps.contains(app) {
                self.apps.push(*app);
            }
        }
        for id in service.evidence() {
            if self.ids.len() < 4 {
                self.ids.push(id);
            }
        }
    }
    /// Its ports in words: `80/tcp 443/tcp`.
    pub fn show_ports(&self) -> String {
        let shown: Vec<String> = self.ports.iter().take(8).map(|(n, p)| crate::detectors::gather::service(*p, *n)).collect();
        let more = if self.ports.len() > shown.len() { format!(" +{}", self.ports.len() - shown.len()) } else { String::new() };
        shown.join(" ") + &more
    }
    /// The query whose records it rests on.
    pub fn query(&self, class: &Class, net: &Net) -> String {
        let host = net.addr(self.host);
        let side = |end: &str| format!("kind = flow and {end}.ip = {host}");
        let ports = |n: u8| -> Vec<String> {
            self.ports.iter().filter(|p| p.0 == n).take(64).map(|p| p.1.to_string()).collect::<Vec<_>>()
        };
        let mut parts: Vec<String> = Vec::new();
        for n in [proto::TCP, proto::UDP, proto::SCTP] {
            let ports = ports(n);
            if !ports.is_empty() {
                parts.push(format!("proto = {} and dst.port in {{{}}}", proto::show(n), ports.join(", ")));
            }
        }
        let which = match parts.as_slice() {
            [] => return format!("kind = flow and host = {host} and not proto in {{tcp, udp}}"),
            [one] => one.clone(),
            more => format!("({})", more.iter().map(|p| format!("({p})")).collect::<Vec<_>>().join(" or ")),
        };
        match class.side {
            Side::Server => format!("{} and {which}", side("dst")),
            Side::Client => format!("{} and {which}", side("src")),
            Side::Either => format!("kind = flow and host = {host} and {which}"),
        }
    }
}

/// Most assets of a class that are listed.
const ASSETS: usize = 5_000;

/// The assets of a class: those that the report keeps by their share, then the others.
pub fn of_class(n: usize, watcher: &Watcher, net: &Net) -> Vec<Asset> {
    let Some(class) = CLASSES.get(n) else { return Vec::new() };
    let mut assets: Map<Host, Asset> = Map::default();
    let (tallies, all) = (watcher.tallies.hosts(n), watcher.tallies.all(n));
    let one_way = all.back == 0;
    for (host, tally) in &tallies {
        let rule = rule(class, tally, &all, one_way);
        assets.entry(*host).or_insert_with(|| Asset::new(*host)).rule = Some(rule);
    }
    let mut add = |list: &Table<(Host, u8, u16), Service>| {
        let mut keys: Vec<_> = list.iter().filter(|((_, p, port), s)| class.is_of(*p, *port, s, net)).collect();
        keys.sort_unstable_by_key(|(k, _)| **k);
        for ((host, number, port), service) in keys {
            assets.entry(*host).or_insert_with(|| Asset::new(*host)).add(*number, *port, service);
        }
    };
    match class.side {
        Side::Server => add(&watcher.ledger.services),
        Side::Client => add(&watcher.ledger.uses),
        Side::Either => {
            add(&watcher.ledger.services);
            add(&watcher.ledger.uses);
        }
    }
    let mut list: Vec<Asset> = assets.into_values().collect();
    for asset in &mut list {
        asset.ports.sort_unstable();
        asset.ports.dedup();
        asset.validated = validated(class, asset, watcher, net);
    }
    let amount = |a: &Asset| a.rule.map_or((false, 0), |r| (r.kept, r.amount));
    list.sort_by(|a, b| (amount(b), b.flows).cmp(&(amount(a), a.flows)).then_with(|| net.addr(a.host).cmp(&net.addr(b.host))));
    list.truncate(ASSETS);
    list
}

fn rule(class: &Class, tally: &Tally, all: &Tally, one_way: bool) -> Kept {
    let (amount, whole) = (tally.of(class.metric, one_way), all.of(class.metric, one_way));
    let share = if whole == 0 { 0.0 } else { amount as f64 / whole as f64 };
    Kept { amount, share, kept: class.metric == super::Metric::None || share >= CUT }
}

/// What the report says to look at, as far as records say it.
fn validated(class: &Class, asset: &Asset, watcher: &Watcher, net: &Net) -> Vec<String> {
    let mut out = Vec::new();
    let (outside, more) = (asset.outside.len(), asset.outside.more);
    let tallies = &watcher.tallies;
    let counted = |map: &Map<Host, u64>| map.get(&asset.host).copied().unwrap_or(0);
    let client_of = |ports: &[(u8, u16)]| ports.iter().any(|(n, p)| watcher.ledger.uses.contains_key(&(asset.host, *n, *p)));
    let serves = |n: u8, p: u16| watcher.ledger.services.contains_key(&(asset.host, n, p));
    match class.name {
        "web_server" => {
            if asset.outside.is_empty() {
                out.push("nobody outside uses it".into());
            } else if !more && outside <= 3 {
                out.push(format!("{outside} outside peers only: locked down, or a VPN"));
            }
            let used = watcher.ledger.uses.get(&(asset.host, T, 443)).map_or(0, |u| u.bytes_in);
            if used > asset.bytes_out && used > 1_000_000 {
                out.push("uses the web more than it serves it: a gateway?".into());
            }
        }
        "web_client" if serves(T, 3128) || serves(T, 8080) => out.push("also a proxy's port is used: a proxy".into()),
        "mail_server" => {
            let sends = counted(&tallies.sends_mail);
            if sends > 0 {
                out.push(format!("sends mail to the outside itself ({sends}): almost certainly"));
            }
            if serves(T, 80) || serves(T, 443) {
                out.push("serves web pages too: web mail?".into());
            }
        }
        "mail_client" if outside > 0 => out.push(format!("straight to {} outside servers", asset.outside.show())),
        "dns_server" | "dns_client" => {
            let (server, client) = (serves(U, 53) || serves(T, 53), client_of(&[(U, 53), (T, 53)]));
            match (server, client) {
                (true, true) => out.push("server and client: recursive".into()),
                (true, false) => out.push("server only: authoritative?".into()),
                _ if outside > 0 => out.push("asks the outside itself".into()),
                _ => {}
            }
            let both = counted(&tallies.both_53);
            if both > 0 {
                out.push(format!("{both} from port 53 to port 53"));
            }
        }
        "vpn" if outside == 1 && !more => out.push("one outside peer: two sites?".into()),
        "vpn" if outside > 3 => out.push("many outside peers: people at home?".into()),
        "ftp_server" => {
            let active = counted(&tallies.from_20);
            if active > 0 {
                out.push(format!("{active} opened from port 20: active mode"));
            }
        }
        "other_server" | "other_client" => {
            let inner = asset.ports.iter().filter(|p| matches!(p.1, 111 | 135 | 137..=139 | 389 | 445 | 636)).count();
            if inner > 0 && outside > 0 {
                out.push(format!("services for the inside cross the perimeter, {} outside peers", asset.outside.show()));
            }
        }
        _ => {}
    }
    if asset.ours && asset.confidence == Confidence::Port && class.side != Side::Either {
        out.push("nobody recognised what it speaks".into());
    }
    let strange = asset.apps.iter().filter(|a| !class.apps.is_empty() && !speaks(class, net.text(**a)));
    out.extend(strange.take(1).map(|a| format!("speaks {}", net.text(*a))));
    out
}

fn speaks(class: &Class, apps: &str) -> bool {
    apps.split(',').any(|a| class.apps.contains(&a) || matches!(a, "tls" | "ssl" | "http"))
}

const T: u8 = proto::TCP;
const U: u8 = proto::UDP;
