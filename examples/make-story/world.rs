//! The made-up company: its hosts and networks, and the places on the internet that its people visit.

use std::net::Ipv4Addr;

/// An operating system's family, which decides TTL and TCP options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Os {
    /// TTL 128, no TCP timestamps.
    Windows,
    /// TTL 64, TCP timestamps.
    Linux,
}

/// One machine of the company.
pub struct Host {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its short name.
    pub name: &'static str,
    /// Family for the packets.
    pub os: Os,
    /// What the inventory says it runs.
    pub os_text: &'static str,
    /// Its role in the inventory.
    pub role: &'static str,
    /// Who answers for it.
    pub owner: &'static str,
    /// The mission that it serves.
    pub mission: &'static str,
    /// high, medium, low.
    pub criticality: &'static str,
    /// False for the device that nobody has written down.
    pub listed: bool,
}

const fn ip(c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 8, c, d)
}

/// The gateway's address on the internet.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Patient zero.
pub const JDOE: Ipv4Addr = ip(21, 5);
/// Second victim; it sends the spam.
pub const AKOCH: Ipv4Addr = ip(21, 23);
/// Third victim.
pub const PSINGH: Ipv4Addr = ip(21, 31);
/// The colleague who clicked too, through the proxy, and was refused.
pub const MMEYER: Ipv4Addr = ip(22, 17);
/// The administrator's workstation.
pub const ADMIN: Ipv4Addr = ip(22, 11);
/// Domain controller, DNS, DHCP.
pub const DC: Ipv4Addr = ip(30, 2);
/// The Squid proxy.
pub const PROXY: Ipv4Addr = ip(30, 8);
/// The file server.
pub const FS: Ipv4Addr = ip(30, 10);
/// The build server, a Linux host with sshd.
pub const BUILD: Ipv4Addr = ip(30, 12);
/// The mail server.
pub const MAIL: Ipv4Addr = ip(30, 15);
/// The database server.
pub const DB: Ipv4Addr = ip(30, 20);
/// The backup server.
pub const BACKUP: Ipv4Addr = ip(30, 25);
/// The web server in the DMZ.
pub const WWW: Ipv4Addr = ip(40, 20);
/// The printer that answers the internet.
pub const PRINTER: Ipv4Addr = ip(50, 10);
/// The second printer.
pub const PRINTER2: Ipv4Addr = ip(50, 11);
/// A device that talks but is in no inventory.
pub const ROGUE: Ipv4Addr = ip(21, 77);
/// A host in the inventory that never says a word.
pub const SILENT: Ipv4Addr = ip(22, 40);
/// The resolver that the domain controller asks.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The time server outside.
pub const NTP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 123);
/// Command and control.
pub const C2: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
/// The host of the download.
pub const DROP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 44);
/// The phisher's mail relay.
pub const PHISHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 25);
/// Where the files went.
pub const STORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
/// The SQL injector.
pub const INJECTOR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// The one who looks at the printer.
pub const PEEPER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);
/// The name of command and control.
pub const C2_NAME: &str = "evil.example";
/// The name in the phishing mail.
pub const DROP_NAME: &str = "files.parcel-notice.example";
/// What that name is an alias of.
pub const DROP_CNAME: &str = "cdn.evil.example";
/// The name of the place that took the files.
pub const STORE_NAME: &str = "sync.paste-store.example";
/// The intranet's name.
pub const INTRANET: &str = "intranet.corp.example";
/// The company's domain.
pub const DOMAIN: &str = "corp.example";

type Row = (Ipv4Addr, &'static str, Os, &'static str, &'static str, &'static str, &'static str, &'static str);
use Os::{Linux, Windows};
const W10: &str = "Windows 10 22H2";
const W11: &str = "Windows 11 23H2";
const DEB: &str = "Debian 12";
#[rustfmt::skip]
const TABLE: [Row; 41] = [
    (JDOE, "jdoe-pc", Windows, W10, "workstation", "jdoe", "sales", "medium"),
    (ip(21, 11), "bmartin-pc", Windows, W10, "workstation", "bmartin", "sales", "low"),
    (ip(21, 12), "cweber-pc", Windows, W11, "workstation", "cweber", "sales", "low"),
    (ip(21, 14), "dlopez-pc", Windows, W10, "workstation", "dlopez", "sales", "low"),
    (ip(21, 15), "efischer-pc", Windows, W11, "workstation", "efischer", "sales", "low"),
    (ip(21, 18), "fnovak-pc", Windows, W10, "workstation", "fnovak", "sales", "low"),
    (ip(21, 20), "gyilmaz-pc", Windows, W11, "workstation", "gyilmaz", "support", "low"),
    (AKOCH, "akoch-pc", Windows, W10, "workstation", "akoch", "support", "medium"),
    (ip(21, 24), "hbauer-pc", Windows, W11, "workstation", "hbauer", "support", "low"),
    (ip(21, 26), "ihughes-pc", Windows, W10, "workstation", "ihughes", "support", "low"),
    (PSINGH, "psingh-pc", Windows, W10, "workstation", "psingh", "finance", "high"),
    (ip(21, 32), "krossi-pc", Windows, W11, "workstation", "krossi", "finance", "high"),
    (ip(21, 33), "lduran-pc", Windows, W11, "workstation", "lduran", "finance", "high"),
    (ip(21, 36), "nsato-pc", Windows, W10, "workstation", "nsato", "sales", "low"),
    (ip(21, 38), "oberg-pc", Windows, W11, "workstation", "oberg", "sales", "low"),
    (ip(21, 41), "frontdesk", Windows, W10, "workstation", "facility", "office", "low"),
    (ADMIN, "admin-pc", Linux, "Ubuntu 24.04", "workstation", "tkeller", "it", "high"),
    (ip(22, 12), "qwagner-pc", Linux, "Ubuntu 24.04", "workstation", "qwagner", "engineering", "medium"),
    (ip(22, 13), "rpetit-pc", Windows, W11, "workstation", "rpetit", "engineering", "medium"),
    (ip(22, 14), "sjensen-pc", Windows, W11, "workstation", "sjensen", "engineering", "medium"),
    (ip(22, 15), "uabel-pc", Linux, "Ubuntu 24.04", "workstation", "uabel", "engineering", "medium"),
    (MMEYER, "mmeyer-pc", Windows, W11, "workstation", "mmeyer", "engineering", "medium"),
    (ip(22, 19), "vcosta-pc", Windows, W10, "workstation", "vcosta", "engineering", "medium"),
    (ip(22, 20), "wlang-pc", Linux, "Ubuntu 24.04", "workstation", "wlang", "engineering", "medium"),
    (SILENT, "spare-lab", Windows, W10, "workstation", "tkeller", "it", "low"),
    (DC, "dc1", Windows, "Windows Server 2022", "domain controller, DNS, DHCP", "tkeller", "identity", "high"),
    (ip(30, 3), "dc2", Windows, "Windows Server 2022", "domain controller", "tkeller", "identity", "high"),
    (PROXY, "proxy1", Linux, DEB, "web proxy", "tkeller", "it", "medium"),
    (FS, "fs1", Windows, "Windows Server 2019", "file server", "tkeller", "finance", "high"),
    (BUILD, "build1", Linux, DEB, "build server", "uabel", "engineering", "high"),
    (ip(30, 13), "git1", Linux, DEB, "source control", "uabel", "engineering", "high"),
    (MAIL, "mail1", Linux, DEB, "mail server", "tkeller", "communication", "high"),
    (DB, "db1", Linux, DEB, "PostgreSQL", "uabel", "web shop", "high"),
    (BACKUP, "backup1", Linux, DEB, "backup, monitoring", "tkeller", "it", "high"),
    (WWW, "www1", Linux, DEB, "web server", "uabel", "web shop", "high"),
    (PRINTER, "prn-2f", Linux, "printer firmware 4.1", "printer", "facility", "office", "low"),
    (PRINTER2, "prn-1f", Linux, "printer firmware 4.4", "printer", "facility", "office", "low"),
    (ip(60, 21), "tablet-1", Linux, "Android 14", "mobile", "bmartin", "sales", "low"),
    (ip(60, 22), "tablet-2", Linux, "Android 14", "mobile", "nsato", "sales", "low"),
    (ip(21, 1), "gw1", Linux, DEB, "gateway, firewall, NAT", "tkeller", "it", "high"),
    (ROGUE, "unknown-77", Linux, "", "", "", "", ""),
];

/// All machines, in the order of the table above.
pub fn hosts() -> Vec<Host> {
    TABLE
        .iter()
        .map(|&(ip, name, os, os_text, role, owner, mission, criticality)| Host {
            ip,
            name,
            os,
            os_text,
            role,
            owner,
            mission,
            criticality,
            listed: ip != ROGUE,
        })
        .collect()
}

/// Is this one of the company's private addresses?
pub fn inside(a: Ipv4Addr) -> bool {
    a.octets()[0] == 10
}

/// The family of a host's operating system; strangers run Linux.
pub fn os_of(a: Ipv4Addr) -> Os {
    TABLE.iter().find(|r| r.0 == a).map_or(Linux, |r| r.2)
}

/// A locally administered MAC address for a machine, the gateway's for everybody who is not in its network.
pub fn mac(a: Ipv4Addr) -> [u8; 6] {
    let o = a.octets();
    if o[0] == 10 { [0x02, 0x08, 0x15, 0x00, o[2], o[3]] } else { GATEWAY_MAC }
}

/// The gateway's MAC inside.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x08, 0x15, 0x00, 0x00, 0x01];
/// The gateway's MAC outside.
pub const WAN_MAC: [u8; 6] = [0x02, 0x08, 0x15, 0xff, 0x00, 0x02];
/// The provider's router.
pub const ISP_MAC: [u8; 6] = [0x02, 0x33, 0x64, 0x00, 0x00, 0x01];

/// A place on the internet.
pub struct Site {
    /// Its name.
    pub name: &'static str,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Round trip from the sensor, in microseconds.
    pub rtt: i64,
    /// Time to live of the name's address record.
    pub ttl: u32,
    /// An alias on the way, if any.
    pub cname: Option<&'static str>,
}

#[rustfmt::skip]
const NAMES: [&str; 44] = [
    "www.search.example", "mail.webmail.example", "www.daily-news.example", "static.daily-news.example",
    "www.bank-example.test", "www.encyclopedia.example", "maps.travel.example", "api.weather.example.net",
    "www.shop-one.example", "img.shop-one.example", "video.stream.example", "fonts.typeface.example",
    "metrics.counter.example", "login.identity.example", "crm.sales-cloud.example", "files.sales-cloud.example",
    "chat.team-talk.example", "meet.team-talk.example", "cdn.assets.example.net", "docs.office-suite.example",
    "telemetry.os-vendor.example", "dl.updates.example", "ocsp.trust-ca.example", "crl.trust-ca.example",
    "git.code-forge.example", "packages.code-forge.example", "www.railways.example.org", "tickets.railways.example.org",
    "forum.makers.example", "www.sports.example", "img.sports.example", "ads.banner-net.example",
    "sync.browser.example", "push.phone-vendor.example", "www.city-hall.example.org", "api.payments.example",
    "partner.supplier-a.example", "partner.supplier-b.example", "www.recipes.example", "music.stream.example",
    "www.jobs.example", "wiki.makers.example", "time.os-vendor.example", "av.shield.example",
];

/// The places that people visit, the most popular first.
pub fn sites() -> Vec<Site> {
    NAMES
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let n = i as u8;
            let ip = match n % 4 {
                0 | 1 => Ipv4Addr::new(192, 0, 2, 10 + n / 2),
                2 => Ipv4Addr::new(203, 0, 113, 100 + n),
                _ => Ipv4Addr::new(192, 0, 2, 130 + n),
            };
            let cdn = n % 4 < 2;
            Site {
                name,
                ip,
                rtt: 7_000 + (i as i64 * 7919) % 61_000,
                ttl: [900, 1800, 3600, 7200][i % 4],
                cname: (cdn && n % 8 < 2).then_some("edge.cdn-hosting.example"),
            }
        })
        .collect()
}
