//! A protocol where it does not belong: something was recognised on a port that is another protocol's or nobody's; or what is spoken on a
//! protocol's own port is not understood.

use super::gather::service;
use super::maths::sat;
use super::rows::{Flow, Host, Id, Net, Piece, Word};
use super::shown::{bytes, counted, some};
use super::{Detector, Limits, Setting, Watch};
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::{SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The detector.
pub static DETECTOR: ProtocolMismatch = ProtocolMismatch;

/// See the module.
pub struct ProtocolMismatch;

const NAME: &str = "protocol_mismatch";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "bytes",
        default: 10_000.0,
        unit: "B",
        doc: "Application bytes of a connection from which on something should have been understood.",
    },
    Setting {
        name: "understood",
        default: 0.8,
        unit: "",
        doc: "Share of such connections that a source understands on a port, from which on one that is not is a finding.",
    },
    Setting { name: "least", default: 20.0, unit: "", doc: "How many of them there have to be." },
    Setting {
        name: "usual",
        default: 0.1,
        unit: "",
        doc: "Share of one's own hosts that speak a protocol on a port which is nobody's, from which on that is how it is used.",
    },
];
/// Findings in the making, ports of sources, hosts of one port.
const HELD: usize = 200_000;
const PORTS: usize = 100_000;
const HOSTS: usize = 1_000;
/// Peers that are shown.
const SHOWN: usize = 4;

/// Where protocols that are recognised by content belong: name, transport (0: any), ports. What is not here may be on any port.
const BELONGS: &[(&str, u8, &[u16])] = &[
    ("http", 6, &[80, 81, 591, 3000, 3128, 5000, 5985, 8000, 8008, 8080, 8081, 8088, 8118, 8888, 9090, 47001]),
    (
        "tls",
        6,
        &[
            261, 443, 448, 465, 563, 614, 636, 853, 989, 990, 992, 993, 994, 995, 2083, 2087, 2376, 2484, 3269, 4433, 5061, 5228,
            5671,
        ],
    ),
    ("tls", 6, &[5986, 6443, 6514, 6679, 6697, 8443, 8883, 9093, 9200, 9443, 10_250, 3389, 1433, 5432, 3306, 4443, 5223, 8531]),
    ("tls", 17, &[443, 4433, 5684]),
    ("dtls", 17, &[443, 853, 3391, 4433, 5061, 5684, 10_000]),
    ("quic", 17, &[80, 443, 784, 853, 4433, 8443, 8853]),
    ("ssh", 6, &[22, 830, 2222, 8101]),
    ("smtp", 6, &[25, 465, 587, 2525]),
    ("imap", 6, &[143, 993]),
    ("pop3", 6, &[110, 995]),
    ("ftp", 6, &[21, 990]),
    ("telnet", 6, &[23, 992, 2323]),
    ("dns", 0, &[53, 853, 5353, 5355]),
    ("smb", 6, &[139, 445]),
    ("rdp", 0, &[3389]),
    ("rfb", 6, &[5800, 5900, 5901, 5902, 5903]),
    ("ldap", 0, &[389, 636, 3268, 3269]),
    ("kerberos", 0, &[88, 464]),
    ("ntp", 17, &[123]),
    ("snmp", 0, &[161, 162, 10_161, 10_162]),
    ("syslog", 0, &[514, 601, 6514]),
    ("tftp", 17, &[69]),
    ("dhcp", 17, &[67, 68, 546, 547]),
    ("sip", 0, &[5060, 5061, 5080]),
    ("mysql", 6, &[3306, 33_060]),
    ("postgres", 6, &[5432, 6432]),
    ("tds", 6, &[1433, 1434]),
    ("mongodb", 6, &[27_017, 27_018, 27_019]),
    ("redis", 6, &[6379, 6380, 26_379]),
    ("irc", 6, &[194, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 7000]),
    ("socks", 6, &[1080, 1081, 9050, 9150]),
    ("mqtt", 6, &[1883, 8883]),
    ("modbus", 6, &[502]),
    ("dnp3", 0, &[20_000]),
    ("radius", 17, &[1645, 1646, 1812, 1813]),
    ("rsync", 6, &[873]),
    ("bgp", 6, &[179]),
];
/// Names that sources use for the same.
const SAME: [(&str, &str); 9] = [
    ("ssl", "tls"),
    ("http2", "http"),
    ("postgresql", "postgres"),
    ("krb", "kerberos"),
    ("krb5", "kerberos"),
    ("krb_tcp", "kerberos"),
    ("vnc", "rfb"),
    ("mssql", "tds"),
    ("pop", "pop3"),
];

impl Detector for ProtocolMismatch {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A protocol that was recognised by content on a port that is registered for another, or for none; or at least 10 kB on a registered port that the source did not understand, where it understands nearly everything else on it."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1571", "T1095"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Spoken {
            bytes: of("bytes"),
            understood: of("understood"),
            least: of("least"),
            usual: of("usual"),
            found: HashMap::default(),
            ports: HashMap::new(),
            users: HashMap::new(),
            apps: HashMap::new(),
            beyond: 0,
        })
    }
}

/// The name under which a protocol is known here; empty: none, or nobody knows.
fn usual_name(app: &str) -> &str {
    let app = app.trim();
    match app {
        "failed" | "unknown" | "-" | "none" => "",
        _ => SAME.iter().find(|(other, _)| *other == app).map_or(app, |(_, name)| name),
    }
}

/// Whether a protocol may be on a port; none: it is none of those that belong somewhere.
fn belongs(app: &str, transport: u8, port: u16) -> Option<bool> {
    let mut rows = BELONGS.iter().filter(|(name, ..)| *name == app).peekable();
    rows.peek()?;
    Some(rows.any(|(_, of, ports)| (*of == 0 || *of == transport) && ports.contains(&port)))
}

/// Whose port it is, of those that are not merely used now and then.
fn owner(transport: u8, port: u16) -> Option<&'static str> {
    let known = |rows: &&(&'static str, u8, &'static [u16])| (rows.1 == 0 || rows.1 == transport) && rows.2.contains(&port);
    BELONGS.iter().find(known).map(|row| row.0)
}

/// Why a connection does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Why {
    /// On another protocol's port.
    Taken,
    /// On a port that is nobody's.
    Odd,
    /// Not understood.
    Unknown,
}

/// What findings are about: who serves it, or where that is outside and the port nobody's, who calls.
type Key = (Why, Host, u8, u16, Word);

#[derive(Serialize, Deserialize)]
struct Case {
    first: Time,
    last: Time,
    flows: u64,
    payload: u64,
    clients: HashSet<Host>,
    servers: HashSet<Host>,
    services: BTreeSet<(u8, u16)>,
    name: Word,
    parsed: bool,
    ids: Vec<Id>,
    sources: BTreeSet<SourceId>,
}

#[derive(Serialize, Deserialize)]
struct Spoken {
    bytes: f64,
    understood: f64,
    least: f64,
    usual: f64,
    found: HashMap<Key, Case>,
    /// Of large connections by source and port: all, and those understood.
    ports: HashMap<(SourceId, u8, u16), (u64, u64)>,
    /// Own hosts that speak a protocol on a port.
    users: HashMap<(Word, u8, u16), HashSet<Host>>,
    apps: HashMap<(Word, u8, u16), Option<Why>>,
    beyond: u64,
}

impl Watch for Spoken {
    super::resume::kept!();
    fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            if flow.is_accepted() && matches!(flow.proto, proto::TCP | proto::UDP) && piece.net.is_unicast(flow.dst) {
                self.flow(piece.net, flow);
            }
        }
    }
    fn end(self: Box<Self>, net: &Net) -> Vec<Finding> {
        let home = net.home_hosts().max(1) as f64;
        let mut keys: Vec<&Key> = self.found.keys().collect();
        keys.sort_unstable();
        let mut out = Vec::new();
        for key in keys {
            let Some(case) = self.found.get(key) else { continue };
            let (why, _, transport, port, app) = *key;
            let keep = match why {
                Why::Taken => true,
                Why::Odd => !case.services.iter().all(|(p, port)| {
                    let users = self.users.get(&(app, *p, *port)).map_or(0, HashSet::len);
                    users > 3 && users as f64 >= self.usual * home
                }),
                Why::Unknown => case.sources.iter().any(|source| {
                    let (all, understood) = self.ports.get(&(*source, transport, port)).copied().unwrap_or_default();
                    all as f64 >= self.least && understood as f64 >= self.understood * all as f64
                }),
            };
            if keep {
                out.push(self.finding(*key, case, net));
            }
        }
        out
    }
}

impl Spoken {
    fn flow(&mut self, net: &Net, flow: &Flow) {
        let transport = flow.proto;
        let large =
            flow.payload_in.saturating_add(flow.payload_out) as f64 >= self.bytes && flow.payload_in > 0 && flow.payload_out > 0;
        if large && (self.ports.len() < PORTS || self.ports.contains_key(&(flow.source, transport, flow.dst_port))) {
            let of = self.ports.entry((flow.source, transport, flow.dst_port)).or_default();
            of.0 += 1;
            of.1 += u64::from(!usual_name(net.text(flow.app)).is_empty());
        }
        let what = (flow.app, transport, flow.dst_port);
        let known = match self.apps.get(&what) {
            Some(known) => *known,
            None => {
                let judged = judge(net.text(flow.app), transport, flow.dst_port);
                if self.apps.len() < PORTS {
                    self.apps.insert(what, judged);
                }
                judged
            }
        };
        let Some(why) = known.filter(|why| *why != Why::Unknown || large) else { return };
        let own_server = net.is_home(flow.dst);
        if !own_server && !net.is_home(flow.src) {
            return;
        }
        if why == Why::Odd && net.is_home(flow.src) {
            let users = self.users.entry(what).or_default();
            if users.len() < HOSTS * 10 {
                users.insert(flow.src);
            }
        }
        let key = match why {
            Why::Odd if !own_server => (why, flow.src, 0, 0, flow.app),
            _ => (why, flow.dst, transport, flow.dst_port, flow.app),
        };
        if self.found.len() >= HELD && !self.found.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let case = self.found.entry(key).or_insert_with(|| Case {
            first: flow.start,
            last: flow.end,
            flows: 0,
            payload: 0,
            clients: HashSet::new(),
            servers: HashSet::new(),
            services: BTreeSet::new(),
            name: Word::NONE,
            parsed: false,
            ids: Vec::new(),
            sources: BTreeSet::new(),
        });
        case.last = case.last.max(flow.end);
        case.flows += 1;
        case.payload = case.payload.saturating_add(flow.payload_in).saturating_add(flow.payload_out);
        for (set, host) in [(&mut case.clients, flow.src), (&mut case.servers, flow.dst)] {
            if set.len() < HOSTS {
                set.insert(host);
            }
        }
        if case.services.len() < HOSTS {
            case.services.insert((transport, flow.dst_port));
        }
        if !case.name.is_some() {
            case.name = flow.name;
        }
        case.parsed |= flow.app_parsed;
        if case.ids.len() < EVIDENCE {
            case.ids.push(flow.id);
        }
        case.sources.insert(flow.source);
    }
    fn finding(&self, (why, host, transport, port, app): Key, case: &Case, net: &Net) -> Finding {
        let addr = net.addr(host);
        let spoken = net.text(app);
        let calls = port == 0;
        let own_server = !calls && net.is_home(host);
        let sorted = |set: &HashSet<Host>| {
            let mut list: Vec<String> = set.iter().map(|h| net.addr(*h).to_string()).collect();
            list.sort();
            list
        };
        let (clients, servers) = (sorted(&case.clients), sorted(&case.servers));
        let services: Vec<String> = case.services.iter().map(|(p, port)| service(*port, *p)).collect();
        let whose = owner(transport, port).unwrap_or("nobody");
        let title = match why {
            Why::Taken => format!(
                "{addr} {} speaks {spoken}, the port of {whose}, with {}",
                service(port, transport),
                counted(clients.len(), "client")
            ),
            Why::Odd if calls => format!("{addr} speaks {spoken} on {} with {}", some(&services, SHOWN), some(&servers, SHOWN)),
            Why::Odd => format!(
                "{addr} answers {spoken} on {}, which is no port of it, to {}",
                service(port, transport),
                some(&clients, SHOWN)
            ),
            Why::Unknown => format!(
                "{addr} {}: {} of which nothing is {whose} nor anything known, with {}",
                service(port, transport),
                bytes(case.payload),
                some(&clients, SHOWN)
            ),
        };
        // About one's own end, where one end is one's own.
        let only = |list: &HashSet<Host>| if list.len() == 1 { list.iter().next().map(|h| net.addr(*h)) } else { None };
        let (subject, peer) = match (calls || own_server, only(&case.clients)) {
            (true, client) => (addr, if calls { only(&case.servers) } else { client }),
            (false, Some(client)) => (client, Some(addr)),
            (false, None) => (addr, None),
        };
        let mut f = Finding::new(NAME, subject, span(case.first, case.last), title);
        f.peer = peer;
        f.service = match case.services.iter().collect::<Vec<_>>().as_slice() {
            [one] => Some(**one),
            _ => None,
        };
        let name = net.text(case.name);
        f.name = (!name.is_empty() && calls).then(|| name.to_owned());
        let remote = ["ssh", "rdp", "rfb", "telnet", "smb", "socks", "irc"].contains(&usual_name(spoken));
        f.severity = match (why, remote) {
            (Why::Taken, true) => 3,
            (Why::Taken, false) | (Why::Odd, true) => 2,
            (Why::Odd, false) if own_server && !case.clients.iter().all(|c| net.is_home(*c)) => 2,
            (Why::Odd, false) => 1,
            (Why::Unknown, _) => 1,
        };
        let by_kind = match why {
            Why::Taken => 0.5,
            Why::Odd => 0.3,
            Why::Unknown => 0.25,
        };
        f.score = (by_kind
            + if remote { 0.2 } else { 0.0 }
            + 0.3 * sat((case.payload as f64 / self.bytes.max(1.0)).log10() / 4.0)) as f32;
        f.number("protocol", if spoken.is_empty() { "not understood" } else { spoken }, format!("{whose} by port"));
        f.number("connections", case.flows, "");
        f.number(
            "application bytes",
            bytes(case.payload),
            if why == Why::Unknown { bytes(self.bytes as u64) } else { String::new() },
        );
        if why == Why::Unknown {
            for source in &case.sources {
                if let Some((all, understood)) = self.ports.get(&(*source, transport, port)) {
                    f.number(
                        "connections of this size that its source understood on the port",
                        format!("{understood} of {all}"),
                        self.understood,
                    );
                    break;
                }
            }
        }
        let side = if calls { "src.ip" } else { "dst.ip" };
        let ports: BTreeMap<u16, ()> = case.services.iter().take(200).map(|s| (s.1, ())).collect();
        let ports: Vec<String> = ports.keys().map(u16::to_string).collect();
        let app = match spoken {
            "" => " and not app exists".to_owned(),
            app => format!(" and app = {}", crate::query::check::quote(app)),
        };
        f.asks(&format!("kind = flow and {side} = {addr} and {}{app}", super::shown::one_of("dst.port", &ports)));
        f.rows = case.flows;
        case.ids.iter().for_each(|id| f.rests_on(net.record(*id)));
        f.sources = case.sources.iter().copied().collect();
        if !case.parsed && why != Why::Unknown {
            f.caveats.push("the sources do not say that both sides were understood: a name alone may be a guess".into());
        }
        if why == Why::Unknown {
            f.caveats.push("loss, sampling or a connection begun before the capture also leave nothing to understand".into());
        }
        if self.beyond > 0 {
            f.caveats.push(format!("{} more connections that do not fit are not looked at", self.beyond));
        }
        f.benign = vec![
            "an administrator's habit: a service moved to another port".into(),
            "an application with a port of its own over HTTP or TLS".into(),
            "a tunnel or remote access that is allowed".into(),
        ];
        f
    }
}

/// Whether what was spoken fits its port.
fn judge(app: &str, transport: u8, port: u16) -> Option<Why> {
    let mut names = app.split(',').map(usual_name).filter(|n| !n.is_empty()).peekable();
    if names.peek().is_none() {
        return owner(transport, port).map(|_| Why::Unknown);
    }
    // Of several, one inside another, one has to fit; one that belongs nowhere fits everywhere.
    if names.any(|name| belongs(name, transport, port).unwrap_or(true)) {
        return None;
    }
    // A web server on one of the other ports of HTTP may as well speak it inside TLS; on port 80 nobody does.
    if port != 80 && app.split(',').any(|name| usual_name(name) == "tls") && belongs("http", transport, port) == Some(true) {
        return None;
    }
    Some(if owner(transport, port).is_some() { Why::Taken } else { Why::Odd })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn speak(trial: &mut Trial, n: u32, src: &str, dst: &str, port: u16, app: &str) {
        let app = trial.word(app);
        let flow = trial.flow(FRIDAY as f64 + f64::from(n), src, dst, port);
        flow.app = app;
        flow.app_parsed = true;
        (flow.payload_in, flow.payload_out) = (40_000, 2_000);
    }

    #[test]
    fn what_fits_is_judged_by_the_table() {
        let cases = [
            ("ssh", 6, 22, None),
            ("ssh", 6, 443, Some(Why::Taken)),
            ("ssh", 6, 50_022, Some(Why::Odd)),
            ("http", 6, 8631, Some(Why::Odd)),
            ("http,tls", 6, 3128, None),
            ("http", 6, 443, Some(Why::Taken)),
            ("tls", 6, 5432, None),
            ("tls", 6, 9090, None),
            ("tls", 6, 80, Some(Why::Taken)),
            ("ssh", 6, 9090, Some(Why::Taken)),
            ("smtp,tls", 6, 25, None),
            ("postgresql", 6, 5432, None),
            ("dns", 17, 53, None),
            ("dns", 6, 443, Some(Why::Taken)),
            ("bittorrent", 6, 443, None),
            ("", 6, 443, Some(Why::Unknown)),
            ("failed", 6, 443, Some(Why::Unknown)),
            ("", 6, 40_000, None),
        ];
        for (app, transport, port, want) in cases {
            assert_eq!(judge(app, transport, port), want, "{app} {port}");
        }
    }

    #[test]
    fn a_shell_on_the_port_of_the_web_and_a_service_nobody_knows() {
        let mut trial = Trial::new();
        for n in 0..5 {
            speak(&mut trial, n, "10.0.0.5", "192.0.2.7", 443, "ssh");
            speak(&mut trial, n, "192.0.2.200", "10.0.0.10", 8631, "http");
            speak(&mut trial, n, "10.0.0.6", &format!("192.0.2.{}", 20 + n), 40_001, "tls");
            speak(&mut trial, n, "10.0.0.6", "192.0.2.80", 443, "tls");
        }
        let found = trial.found(&DETECTOR);
        let got: Vec<(String, u8, u16)> =
            found.iter().map(|f| (f.host.to_string(), f.severity, f.service.map_or(0, |s| s.1))).collect();
        let want = [("10.0.0.5", 3, 443), ("10.0.0.6", 1, 40_001), ("10.0.0.10", 2, 8631)];
        assert_eq!(got, want.map(|(h, s, p)| (h.to_owned(), s, p)));
        assert!(found[0].title.contains("speaks ssh, the port of tls"), "{}", found[0].title);
        assert!(found[1].title.contains("192.0.2.20, 192.0.2.21"), "{}", found[1].title);
        for f in &found {
            assert!(crate::query::parse::parse(&f.query).is_ok(), "{}", f.query);
        }
    }

    #[test]
    fn what_is_not_understood_counts_where_the_rest_is() {
        let mut trial = Trial::new();
        for n in 0..30 {
            speak(&mut trial, n, "10.0.0.6", "192.0.2.80", 443, "tls");
            // A source that understands nothing on this port.
            speak(&mut trial, n, "10.0.0.6", "192.0.2.81", 25, "");
        }
        speak(&mut trial, 40, "10.0.0.5", "192.0.2.7", 443, "");
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((found[0].host.to_string().as_str(), found[0].peer), ("10.0.0.5", Some("192.0.2.7".parse().unwrap())));
        assert!(crate::query::parse::parse(&found[0].query).is_ok(), "{}", found[0].query);
        // Too small to tell.
        trial.flows.last_mut().unwrap().payload_in = 100;
        assert!(trial.found(&DETECTOR).is_empty());
    }

    #[test]
    fn what_a_tenth_of_the_hosts_use_is_how_it_is_used() {
        let mut trial = Trial::new();
        for n in 0..30 {
            speak(&mut trial, n, &format!("10.0.1.{n}"), "192.0.2.90", 40_443, "tls");
        }
        assert!(trial.found(&DETECTOR).is_empty());
        let strict = Limits::new().with(NAME, "usual", 2.0);
        assert_eq!(trial.found_by(&DETECTOR, &strict).len(), 30);
    }
}
