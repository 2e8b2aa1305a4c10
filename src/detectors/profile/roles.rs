//! What a host is, by what it does: evidence for each role with its weight, as log-odds; the role whose weights add up to most is said with its
//! probability, or none where too little speaks for any.

use super::ledger::{Of, Service};
use super::systems::Family;
use crate::detectors::rows::Net;
use crate::model::proto;

/// What a host can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Offers services.
    Server,
    /// Somebody works at it.
    Workstation,
    /// Asks for others: proxy, NAT gateway, VPN.
    Gateway,
    /// DNS server, domain controller.
    Directory,
    /// Mail server.
    Mail,
    /// Printer.
    Printer,
    /// Router, switch, access point.
    Router,
    /// Camera.
    Camera,
    /// Phone or tablet.
    Mobile,
    /// Telephone of the network.
    Voip,
    /// Machine control.
    Ics,
    /// Searches others for services.
    Scanner,
}

use Role::{Camera, Directory, Gateway, Ics, Mail, Mobile, Printer, Router, Scanner, Server, Voip, Workstation};

/// Words of inventories by role, the first that is found counts.
const STATED: &[(&str, Role)] = &[
    ("domain controller", Directory),
    ("active directory", Directory),
    ("print server", Server),
    ("printer", Printer),
    ("multifunction", Printer),
    ("camera", Camera),
    ("cctv", Camera),
    ("plc", Ics),
    ("scada", Ics),
    ("hmi", Ics),
    ("industrial", Ics),
    ("voip", Voip),
    ("ip phone", Voip),
    ("telephone", Voip),
    ("deskphone", Voip),
    ("smartphone", Mobile),
    ("mobile", Mobile),
    ("tablet", Mobile),
    ("phone", Mobile),
    ("handheld", Mobile),
    ("proxy", Gateway),
    ("vpn", Gateway),
    ("access point", Router),
    ("wireless", Router),
    ("router", Router),
    ("switch", Router),
    ("firewall", Router),
    ("gateway", Router),
    ("mail", Mail),
    ("smtp", Mail),
    ("exchange", Mail),
    ("dns", Directory),
    ("workstation", Workstation),
    ("desktop", Workstation),
    ("laptop", Workstation),
    ("notebook", Workstation),
    ("client", Workstation),
    ("pc", Workstation),
    ("vulnerability scanner", Scanner),
    ("server", Server),
    ("database", Server),
    ("postgresql", Server),
    ("mysql", Server),
    ("source control", Server),
    ("backup", Server),
    ("monitoring", Server),
    ("hypervisor", Server),
    ("storage", Server),
    ("nas", Server),
];

/// Weight that speaks for no role.
const UNKNOWN: f64 = 1.5;
/// Probability from which on a role is said.
const SAID: f64 = 0.5;

impl Role {
    /// Every role.
    pub const ALL: [Role; 12] =
        [Server, Workstation, Gateway, Directory, Mail, Printer, Router, Camera, Mobile, Voip, Ics, Scanner];
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Server => "server",
            Workstation => "workstation",
            Gateway => "proxy or gateway",
            Directory => "DNS or domain controller",
            Mail => "mail server",
            Printer => "printer",
            Router => "router or access point",
            Camera => "camera",
            Mobile => "mobile",
            Voip => "telephone",
            Ics => "machine control",
            Scanner => "scanner",
        }
    }
    /// What an inventory states. Whole words: `pc` is not in `pcap`.
    pub fn of_stated(text: &str) -> Option<Role> {
        let lower = text.to_ascii_lowercase();
        let bounded = |at: usize, word: &str| {
            let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            let (before, after) = (lower.get(..at), lower.get(at + word.len()..));
            let after = after.map(|a| a.strip_prefix('s').filter(|r| free(r.chars().next())).unwrap_or(a));
            free(before.and_then(|b| b.chars().next_back())) && free(after.and_then(|a| a.chars().next()))
        };
        STATED.iter().find(|(word, _)| lower.match_indices(word).any(|(at, _)| bounded(at, word))).map(|(_, role)| *role)
    }
    /// Whether a host that is stated to be this may well behave like the other: servers are of all kinds, and a tablet at a desk is worked at.
    pub fn fits(self, seen: Role) -> bool {
        let serves = |r: Role| matches!(r, Server | Gateway | Directory | Mail | Router);
        let desk = self == Mobile && seen == Workstation;
        self == seen || desk || serves(self) && serves(seen) || seen == Scanner || self == Scanner
    }
    /// Whether it is a device without people that is managed by a page or console.
    pub fn is_device(self) -> bool {
        matches!(self, Printer | Router | Camera | Voip | Ics)
    }
    fn place(self) -> usize {
        Role::ALL.iter().position(|r| *r == self).unwrap_or(0)
    }
}

/// What a host is taken for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The role; none: too little speaks for any.
    pub role: Option<Role>,
    /// How probable the first role is, among all and none.
    pub probability: f64,
    /// What speaks for it, in words, the weightiest first.
    pub evidence: Vec<String>,
    /// Weights of all roles, in the order of [`Role::ALL`].
    pub weights: [f64; 12],
}

impl Decided {
    /// What speaks for a role.
    pub fn weight(&self, role: Role) -> f64 {
        self.weights.get(role.place()).copied().unwrap_or(0.0)
    }
}

/// What is known besides what a host does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    /// Its hardware address is one that a device made up for itself.
    pub random_mac: bool,
    /// Others are translated to it.
    pub translates: bool,
}

#[derive(Default)]
struct Case(Vec<(Role, f64, String)>);

impl Case {
    fn add(&mut self, role: Role, weight: f64, why: impl Into<String>) {
        self.0.push((role, weight, why.into()));
    }
}

const T: u8 = proto::TCP;
const U: u8 = proto::UDP;
/// Ports at which people who work ask for pages.
const WEB: [u16; 4] = [80, 443, 3128, 8080];

/// What a host is, by what it does.
pub fn decide(of: &Of<'_>, hints: Hints, net: &Net) -> Decided {
    let mut case = Case::default();
    let serves = |n: u8, p: u16| of.services.iter().find(|s| (s.0, s.1) == (n, p)).map(|s| s.2);
    let asks = |n: u8, p: u16| of.uses.iter().find(|s| (s.0, s.1) == (n, p)).map(|s| s.2);
    let met = |s: Option<&Service>, least: usize| s.is_some_and(|s| s.peers() >= least);
    let (accepted, asked) = (of.seen.accepted as f64, of.seen.asked as f64);
    let ratio = if accepted + asked > 0.0 { accepted / (accepted + asked) } else { 0.0 };
    let used = of.services.iter().filter(|s| s.2.peers() >= 2 || s.2.flows >= 3).count();
    if used > 0 && ratio >= 0.7 {
        case.add(
            Server,
            if ratio >= 0.9 { 4.0 } else { 3.0 },
            format!("{:.0} % of its connections come to {used} services", ratio * 100.0),
        );
    } else if used > 0 && ratio >= 0.3 {
        case.add(Server, 1.5, format!("{used} services are used"));
    }
    worker(of, ratio, &mut case);
    let proxies: Vec<u16> = [3128, 8080, 8000, 1080, 8118].into_iter().filter(|p| met(serves(T, *p), 3)).collect();
    let onward = WEB.iter().filter_map(|p| asks(T, *p)).any(|u| u.outside.len() >= 5);
    if let (Some(port), true) = (proxies.first(), onward) {
        case.add(Gateway, 6.0, format!("asks the web for those who use its port {port}"));
    }
    if hints.translates {
        case.add(Gateway, 6.0, "others are translated to it");
    }
    if of.seen.systems.families().len() >= 3 {
        case.add(Gateway, 2.0, "speaks as three families of systems");
    }
    for (list, weight, role, what) in SERVED {
        if let Some((n, p)) = list.iter().find(|(n, p)| met(serves(*n, *p), if *role == Mail { 2 } else { 1 })) {
            let why = format!("{what} on {}", crate::detectors::gather::service(*p, *n));
            case.add(*role, *weight, why);
        }
    }
    if let Some(u) = asks(T, 25).filter(|u| u.outside.len() >= 5) {
        case.add(Mail, 2.5, format!("sends mail to {} outside servers itself", u.outside.show()));
    }
    if of.seen.routing {
        case.add(Router, 4.0, "speaks a protocol of routers");
    }
    mobile(of, hints, ratio, &mut case);
    if let Some(u) = asks(U, 5060).or(asks(T, 5060)).or(asks(T, 5061)) {
        case.add(Voip, 3.0, format!("registers for calls ({} connections)", u.flows));
    }
    let failed = of.seen.failed_peers.len();
    if failed >= 30 && of.seen.failed as f64 >= 0.5 * (asked + of.seen.failed as f64) {
        case.add(Scanner, 3.5, format!("{} others did not answer it", of.seen.failed_peers.show()));
    }
    let _ = net;
    case.close()
}

/// Services by which a role is known: any of them, its weight, what it is.
type Served = (&'static [(u8, u16)], f64, Role, &'static str);
const SERVED: &[Served] = &[
    (&[(U, 53), (T, 53)], 3.0, Directory, "answers names"),
    (&[(T, 88), (U, 88)], 2.0, Directory, "gives tickets"),
    (&[(T, 389), (U, 389), (T, 636), (T, 3268)], 2.0, Directory, "directory"),
    (&[(T, 25)], 4.0, Mail, "takes mail"),
    (&[(T, 993), (T, 143), (T, 995), (T, 110), (T, 587), (T, 465)], 3.0, Mail, "mail boxes"),
    (&[(T, 9100)], 5.0, Printer, "prints"),
    (&[(T, 515)], 2.5, Printer, "prints (LPD)"),
    (&[(T, 631), (U, 631)], 2.5, Printer, "prints (IPP)"),
    (&[(T, 179)], 4.0, Router, "routes (BGP)"),
    (&[(U, 161)], 1.5, Router, "is managed (SNMP)"),
    (&[(U, 520), (U, 521)], 3.0, Router, "routes (RIP)"),
    (&[(T, 8291)], 4.0, Router, "is managed (Winbox)"),
    (&[(T, 554), (U, 554), (T, 8554)], 5.0, Camera, "streams (RTSP)"),
    (&[(T, 37777), (T, 34567)], 4.0, Camera, "recorder's port"),
    (&[(U, 5060), (T, 5060), (T, 5061)], 3.0, Voip, "takes calls"),
    (&[(T, 502)], 6.0, Ics, "Modbus"),
    (&[(T, 102)], 5.0, Ics, "S7"),
    (&[(T, 20000), (U, 20000)], 5.0, Ics, "DNP3"),
    (&[(T, 44818), (U, 2222)], 5.0, Ics, "EtherNet/IP"),
    (&[(U, 47808)], 5.0, Ics, "BACnet"),
    (&[(T, 2404)], 5.0, Ics, "IEC 60870-5-104"),
];

/// What somebody does who works at it.
fn worker(of: &Of<'_>, ratio: f64, case: &mut Case) {
    let pages: usize = of.uses.iter().filter(|u| u.0 == T && WEB.contains(&u.1)).map(|u| u.2.peers()).sum();
    if ratio > 0.5 || of.seen.asked == 0 {
        return;
    }
    if pages >= 5 {
        case.add(Workstation, 2.0, format!("asks {pages} servers for pages"));
    } else if pages >= 1 {
        case.add(Workstation, 0.5, "asks for pages");
    }
    let tools = of.uses.iter().filter(|u| u.0 == T && matches!(u.1, 445 | 389 | 993 | 143 | 3389 | 9100 | 631 | 88)).count();
    if tools > 0 {
        case.add(Workstation, (tools as f64).min(3.0) * 0.5, format!("uses shares, mail, printers ({tools} services)"));
    }
    if of.services.is_empty() {
        case.add(Workstation, 1.0, "offers nothing");
    }
}

fn mobile(of: &Of<'_>, hints: Hints, ratio: f64, case: &mut Case) {
    for family in [Family::Android, Family::Ios] {
        let (agents, names, _) = of.seen.systems.counts(family);
        if agents > 0 {
            case.add(Mobile, 4.0, format!("{agents} user agents of {}", family.name()));
        }
        if names > 0 {
            case.add(Mobile, 1.5, format!("asks for services of {} ({names})", family.name()));
        }
    }
    let push = |ports: &[u16]| of.uses.iter().any(|u| u.0 == T && ports.contains(&u.1) && !u.2.outside.is_empty());
    if push(&[5223]) {
        case.add(Mobile, 2.0, "Apple's push service on 5223/tcp");
    }
    if push(&[5228, 5229, 5230]) {
        case.add(Mobile, 2.0, "Google's push service on 5228/tcp");
    }
    if hints.random_mac && ratio < 0.2 && case.0.iter().any(|c| c.0 == Mobile) {
        case.add(Mobile, 0.7, "a hardware address that it made up");
    }
}

impl Case {
    fn close(mut self) -> Decided {
        let mut weights = [0.0; 12];
        for (role, weight, _) in &self.0 {
            if let Some(w) = weights.get_mut(role.place()) {
                *w += weight;
            }
        }
        let first = Role::ALL.into_iter().fold((None, f64::MIN), |best: (Option<Role>, f64), role| {
            let weight = weights.get(role.place()).copied().unwrap_or(0.0);
            if weight > best.1 { (Some(role), weight) } else { best }
        });
        // A mail server is a server too: the more special says more, if it has as much for itself.
        let special = Role::ALL
            .into_iter()
            .filter(|r| *r != Server && Server.fits(*r) && *r != Scanner)
            .map(|r| (r, weights.get(r.place()).copied().unwrap_or(0.0)))
            .filter(|(_, w)| *w >= 3.0)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let device = Role::ALL
            .into_iter()
            .filter(|r| r.is_device() && *r != Router)
            .map(|r| (r, weights.get(r.place()).copied().unwrap_or(0.0)));
        let device = device.filter(|(_, w)| *w >= 3.0).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let chosen = match first.0 {
            Some(Server) => device.or(special).unwrap_or((Server, first.1)),
            Some(role) => (role, first.1),
            None => (Server, 0.0),
        };
        // Being a server speaks for each kind of server.
        let of = |role: Role| {
            let own = weights.get(role.place()).copied().unwrap_or(0.0);
            if role == chosen.0 && role != Server && first.0 == Some(Server) { own.max(first.1) } else { own }
        };
        let rivals =
            Role::ALL.into_iter().filter(|r| *r == chosen.0 || !(r.fits(chosen.0) || *r == Server && chosen.0.is_device()));
        let sum: f64 = rivals.map(|r| of(r).exp()).sum::<f64>() + UNKNOWN.exp();
        let probability = of(chosen.0).exp() / sum;
        let role = Some(chosen.0).filter(|_| probability >= SAID && chosen.1 > 0.0);
        self.0.retain(|c| role.is_none_or(|r| c.0 == r || c.0 == Server && first.0 == Some(Server)));
        self.0.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.2.cmp(&b.2)));
        let evidence = self.0.into_iter().take(4).map(|c| c.2).collect();
        Decided { role, probability, evidence, weights }
    }
}
