//! A list of addresses to be blocked for a short time, for somebody to give to a firewall: nothing is blocked from here.
//!
//! Every entry ends by itself. An address that comes again within a week after its end stays twice as long, up to a day; one that is still on the
//! list keeps its end. What is one's own, or a key site of one's users, is left out, and that is said.

pub mod ask;

use crate::model::decision::{Blocked, Decision, What, standing};
use crate::model::filter::Members;
use crate::model::harmless;
use crate::model::site::Home;
use crate::model::time::{DAY, SECOND, Time};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

/// How long an address stays if nothing else is said.
pub const TTL: i64 = 1_800 * SECOND;
/// The longest that it stays, however often it comes again.
pub const LONGEST: i64 = DAY;
/// The shortest.
pub const SHORTEST: i64 = 60 * SECOND;
/// How long after its end it is remembered that an address was on the list.
const REMEMBERED: i64 = 7 * DAY;
/// Networks that are wider than this are no addresses of somebody: IPv4, IPv6.
const WIDEST: (u8, u8) = (8, 19);
/// Entries of one decision.
const BATCH: usize = 1_000;
/// The name of the set of sites that are never put on the list.
pub const KEYSITES: &str = "keysites";
/// Characters of a reason that are written.
const REASON: usize = 120;

/// What a list is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// nftables: commands for `nft -f`.
    Nft,
    /// pf: tables of an anchor, for `pfctl -f`.
    Pf,
    /// Cisco ASA: object groups, and access lists that end with a time range.
    Asa,
    /// One a line: address, end, reason, by tabs.
    Plain,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 4] = [Form::Nft, Form::Pf, Form::Asa, Form::Plain];
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Form::Nft => "nft",
            Form::Pf => "pf",
            Form::Asa => "asa",
            Form::Plain => "plain",
        }
    }
    /// The form that a word means.
    pub fn parse(word: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(word))
    }
}

/// What somebody wants to be blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Address, as a network of one, or network.
    pub net: IpNet,
    /// Why.
    pub reason: String,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Address or network.
    pub net: IpNet,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Time,
    /// How often it had been on the list before.
    pub repeat: u32,
    /// It was not on the list until now.
    pub is_new: bool,
}

/// What is left out of a list, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Address or network.
    pub net: IpNet,
    /// Why.
    pub why: String,
}

/// A list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// What is on it, in order of address.
    pub entries: Vec<Entry>,
    /// What is not.
    pub left_out: Vec<LeftOut>,
}

/// What must not be blocked.
pub struct Guard<'a> {
    /// One's own addresses.
    pub home: &'a Home,
    /// Addresses and networks of key sites.
    pub keysites: &'a Members,
    /// Whether an address or network is a key site in another way, by its names or by how many use it: in words.
    pub used: &'a dyn Fn(&IpNet) -> Option<String>,
}

/// An address as a network of one, or a network.
pub fn net_of(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|a| IpNet::from(a.to_canonical())))?;
    Some(net.trunc())
}

/// As it is written: without the length where it is one address.
pub fn show(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// Whether a set has an address of a network.
fn touches(members: &Members, net: &IpNet) -> bool {
    members.has(net.addr()) || members.nets.iter().any(|n| overlap(n, net)) || members.addrs.iter().any(|a| net.contains(a))
}

/// Ranges that are not routed on the internet (RFC 6890).
const UNROUTED: [&str; 12] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// Whether a network has any of them in it: a wide one may begin outside.
fn is_private(net: &IpNet) -> bool {
    UNROUTED.iter().filter_map(|n| n.parse::<IpNet>().ok()).any(|n| overlap(&n, net))
}

impl Guard<'_> {
    fn refuses(&self, net: &IpNet) -> Option<String> {
        let widest = if net.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 };
        if net.prefix_len() < widest {
            return Some(format!("wider than /{widest}"));
        }
        if touches(self.home.members(), net) || self.home.is_near(net.addr()) {
            return Some(format!(
                "one's own: {}",
                if self.home.guessed { "a home network, as guessed" } else { "a home network" }
            ));
        }
        if is_private(net) {
            return Some("of a range that is not routed on the internet: likely one's own".into());
        }
        if touches(self.keysites, net) {
            return Some(format!("a key site: in @{KEYSITES}"));
        }
        (self.used)(net)
    }
}

/// When each address was last on the list: until when, and how often before.
fn history(decisions: &[Decision]) -> BTreeMap<&str, (Time, u32)> {
    let mut out: BTreeMap<&str, (Time, u32)> = BTreeMap::new();
    for decision in standing(decisions) {
        let What::Block { entries, .. } = &decision.what else { continue };
        for entry in entries {
            let known = out.entry(&entry.addr).or_insert((Time::MIN, 0));
            if Time(entry.until) >= known.0 {
                *known = (Time(entry.until), entry.repeat);
            }
        }
    }
    out
}

/// The list of what is wanted at a time: how long each stays goes by what was decided before.
pub fn list(wanted: &[Wanted], decisions: &[Decision], guard: &Guard<'_>, ttl: i64, now: Time) -> List {
    let history = history(decisions);
    let mut reasons: BTreeMap<IpNet, &str> = BTreeMap::new();
    for one in wanted {
        reasons.entry(one.net.trunc()).or_insert(&one.reason);
    }
    let mut out = List::default();
    for (net, reason) in reasons {
        if let Some(why) = guard.refuses(&net) {
            out.left_out.push(LeftOut { net, why });
            continue;
        }
        let (until, repeat, is_new) = match history.get(show(&net).as_str()) {
            Some((until, repeat)) if *until > now => ((*until).min(now.plus(LONGEST)), *repeat, false),
            Some((until, repeat)) if now.since(*until) <= REMEMBERED => {
                let repeat = repeat.saturating_add(1);
                (now.plus(length(ttl, repeat)), repeat, true)
            }
            _ => (now.plus(length(ttl, 0)), 0, true),
        };
        out.entries.push(Entry { net, reason: reason.to_owned(), until, repeat, is_new });
    }
    out
}

/// How long an address stays that was on the list so often before.
fn length(ttl: i64, repeat: u32) -> i64 {
    let doubled = ttl.max(SHORTEST).saturating_mul(1_i64.checked_shl(repeat.min(40)).unwrap_or(i64::MAX));
    doubled.clamp(SHORTEST, LONGEST)
}

/// What is to be remembered of a list: its new entries.
pub fn decisions(asked: &str, list: &List) -> Vec<What> {
    let new: Vec<Blocked> = list
        .entries
        .iter()
        .filter(|e| e.is_new)
        .map(|e| Blocked { addr: show(&e.net), until: e.until.0, repeat: e.repeat })
        .collect();
    new.chunks(BATCH).map(|part| What::Block { asked: asked.to_owned(), entries: part.to_vec() }).collect()
}

/// A text that cannot end a comment or act on a terminal.
fn comment(text: &str) -> String {
    harmless::clean(text).chars().take(REASON).collect()
}

/// A list as text.
pub fn text(form: Form, list: &List, now: Time) -> String {
    let mut out = String::new();
    let mark = if form == Form::Asa { "!" } else { "#" };
    // Writing to a string does not fail.
    let _ = writeln!(out, "{mark} Addresses to be blocked for a while, made {}; nothing is applied by itself.", now.rfc3339());
    for one in &list.left_out {
        let _ = writeln!(out, "{mark} left out: {} ({})", show(&one.net), comment(&one.why));
    }
    if list.entries.is_empty() {
        let _ = writeln!(out, "{mark} nothing is left to be blocked");
        return out;
    }
    match form {
        Form::Nft => nft(&mut out, list, now),
        Form::Pf => pf(&mut out, list, now),
        Form::Asa => asa(&mut out, list),
        Form::Plain => {
            let _ = writeln!(out, "# address\tuntil\treason");
            for e in &list.entries {
                let _ = writeln!(out, "{}\t{}\t{}", show(&e.net), e.until.rfc3339(), comment(&said(e)));
            }
        }
    }
    out
}

/// Why, and how often before.
fn said(e: &Entry) -> String {
    match e.repeat {
        0 => e.reason.clone(),
        1 => format!("{}; for the second time", e.reason),
        n => format!("{}; was on the list {n} times before", e.reason),
    }
}

/// Whole seconds until an end, at least one.
fn left(e: &Entry, now: Time) -> i64 {
    (e.until.since(now).saturating_add(SECOND - 1) / SECOND).max(1)
}

fn nft(out: &mut String, list: &List, now: Time) {
    let _ = writeln!(out, "# Load with: nft -f FILE. Entries leave by themselves. Once, so that they count:");
    let _ = writeln!(out, "#   nft 'add chain inet backtrail in {{ type filter hook prerouting priority -10; }}'");
    let _ = writeln!(
        out,
        "#   nft 'add rule inet backtrail in ip saddr @block4 drop'; nft 'add rule inet backtrail in ip6 saddr @block6 drop'"
    );
    let _ = writeln!(out, "add table inet backtrail");
    for (set, kind, is_v4) in [("block4", "ipv4_addr", true), ("block6", "ipv6_addr", false)] {
        let _ = writeln!(out, "add set inet backtrail {set} {{ type {kind}; flags interval, timeout; }}");
        for e in list.entries.iter().filter(|e| e.net.addr().is_ipv4() == is_v4) {
            let _ = writeln!(out, "# until {}: {}", e.until.rfc3339(), comment(&said(e)));
            let _ = writeln!(out, "add element inet backtrail {set} {{ {} timeout {}s }}", show(&e.net), left(e, now));
        }
    }
}

/// Entries by the minute in which they end.
fn by_end(list: &List) -> BTreeMap<Time, Vec<&Entry>> {
    let minute = 60 * SECOND;
    let mut out: BTreeMap<Time, Vec<&Entry>> = BTreeMap::new();
    for e in &list.entries {
        let end = e.until.0.div_euclid(minute) + i64::from(e.until.0.rem_euclid(minute) > 0);
        out.entry(Time(end.saturating_mul(minute))).or_default().push(e);
    }
    out
}

fn pf(out: &mut String, list: &List, now: Time) {
    let _ = writeln!(
        out,
        "# Load with: pfctl -a backtrail -f FILE (and `anchor \"backtrail\"` in pf.conf). Run the lines `expire` every minute."
    );
    for (end, entries) in by_end(list) {
        let table = format!("until_{}", end.utc().format("%Y%m%dT%H%MZ"));
        let seconds = (end.since(now).saturating_add(SECOND - 1) / SECOND).max(1);
        let _ = writeln!(out, "# expire: pfctl -a backtrail -t {table} -T expire {seconds}");
        for e in &entries {
            let _ = writeln!(out, "# {}: {}", show(&e.net), comment(&said(e)));
        }
        let addresses: Vec<String> = entries.iter().map(|e| show(&e.net)).collect();
        let _ = writeln!(out, "table <{table}> persist {{ {} }}", addresses.join(", "));
        let _ = writeln!(out, "block drop quick from <{table}> to any");
        let _ = writeln!(out, "block drop quick from any to <{table}>");
    }
}

fn asa(out: &mut String, list: &List) {
    let _ =
        writeln!(out, "! The clock has to be UTC. An access list ends with its time range; it counts once an interface has it:");
    let _ = writeln!(out, "!   access-group BACKTRAIL-BLOCK in interface outside");
    for (end, entries) in by_end(list) {
        let name = format!("BACKTRAIL-{}", end.utc().format("%Y%m%dT%H%MZ"));
        let _ = writeln!(out, "time-range {name}\n absolute end {}", end.utc().format("%H:%M %d %B %Y"));
        let _ = writeln!(out, "object-group network {name}");
        for e in &entries {
            let _ = writeln!(out, "! {}: {}", show(&e.net), comment(&said(e)));
            let _ = match e.net {
                net if net.prefix_len() == net.max_prefix_len() => writeln!(out, " network-object host {}", net.addr()),
                IpNet::V4(net) => writeln!(out, " network-object {} {}", net.addr(), net.netmask()),
                IpNet::V6(net) => writeln!(out, " network-object {net}"),
            };
        }
        let _ = writeln!(out, "access-list BACKTRAIL-BLOCK extended deny ip object-group {name} any time-range {name}");
        let _ = writeln!(out, "access-list BACKTRAIL-BLOCK extended deny ip any object-group {name} time-range {name}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;

    const NOW: Time = Time(1_795_161_600 * SECOND);

    fn wanted(list: &[&str]) -> Vec<Wanted> {
        list.iter().map(|t| Wanted { net: net_of(t).unwrap(), reason: "spam".into() }).collect()
    }
    fn home() -> Home {
        Home::new(["10.8.0.0/16", "198.51.100.2/32", "fd00:8::/48"].map(|n| n.parse().unwrap()), false)
    }
    fn keysites() -> Members {
        let nets = vec!["203.0.113.128/25".parse().unwrap()];
        Members { addrs: ["192.0.2.1".parse().unwrap()].into(), nets, ..Members::default() }
    }
    fn made(wanted: &[Wanted], decisions: &[Decision], now: Time) -> List {
        let (home, keysites) = (home(), keysites());
        let used = |net: &IpNet| (show(net) == "192.0.2.99").then(|| "a key site: 40 % of one's own hosts use it".to_owned());
        list(wanted, decisions, &Guard { home: &home, keysites: &keysites, used: &used }, TTL, now)
    }
    fn decided(sequence: u64, what: What) -> Decision {
        Decision { sequence, at: 0, who: Who::default(), what }
    }

    #[test]
    fn what_is_ones_own_or_a_key_site_is_left_out_and_said() {
        let all = [
            "203.0.113.9",
            "10.8.21.5",
            "10.0.0.0/8",
            "198.51.100.0/24",
            "192.168.7.7",
            "fd00:8::1",
            "224.0.0.1",
            "0.0.0.0/0",
            "192.0.2.0/28",
            "203.0.113.200",
            "192.0.2.99",
            "::ffff:203.0.113.10",
            "2001:db8::/32",
        ];
        let got = made(&wanted(&all), &[], NOW);
        let on: Vec<String> = got.entries.iter().map(|e| show(&e.net)).collect();
        assert_eq!(on, ["203.0.113.9", "203.0.113.10", "2001:db8::/32"]);
        let why = |text: &str| got.left_out.iter().find(|l| show(&l.net) == text).map(|l| l.why.as_str()).unwrap_or_default();
        for (text, word) in [
            ("10.8.21.5", "home"),
            ("10.0.0.0/8", "home"),
            ("198.51.100.0/24", "home"),
            ("192.168.7.7", "routed"),
            ("0.0.0.0/0", "wider"),
            ("192.0.2.0/28", "@keysites"),
            ("203.0.113.200", "@keysites"),
            ("192.0.2.99", "40 %"),
        ] {
            assert!(why(text).contains(word), "{text} {}", why(text));
        }
        assert_eq!(got.entries.len() + got.left_out.len(), all.len());
        for form in Form::ALL {
            let text = text(form, &got, NOW);
            assert!(text.contains("left out: 10.8.21.5 (one's own"), "{text}");
            assert!(!text.lines().any(|l| !l.starts_with(['#', '!']) && l.contains("10.8.21.5")), "{text}");
            assert_eq!(Form::parse(form.name()), Some(form));
        }
    }

    #[test]
    fn who_comes_again_stays_twice_as_long_up_to_a_day_and_who_is_on_the_list_keeps_its_end() {
        let mut journal: Vec<Decision> = Vec::new();
        let (mut now, mut lengths) = (NOW, Vec::new());
        for _ in 0..8 {
            let got = made(&wanted(&["203.0.113.9"]), &journal, now);
            let entry = &got.entries[0];
            lengths.push(entry.until.since(now) / (60 * SECOND));
            let what = decisions("203.0.113.9", &got);
            let next = journal.len() as u64 + 1;
            journal.extend(what.into_iter().map(|w| decided(next, w)));
            // Asked for again while it stands, in another form, it is the same entry.
            let again = made(&wanted(&["203.0.113.9"]), &journal, now.plus(60 * SECOND));
            assert_eq!((again.entries[0].until, again.entries[0].is_new), (entry.until, false));
            assert!(decisions("203.0.113.9", &again).is_empty());
            now = entry.until.plus(SECOND);
        }
        assert_eq!(lengths, [30, 60, 120, 240, 480, 960, 1440, 1440]);
        // After a week it is forgotten; what was taken back never was.
        assert_eq!(made(&wanted(&["203.0.113.9"]), &journal, now.plus(8 * DAY)).entries[0].repeat, 0);
        journal.push(decided(99, What::Remove { id: journal.len() as u64 }));
        assert_eq!(made(&wanted(&["203.0.113.9"]), &journal, now).entries[0].repeat, 7);
        assert_eq!((length(i64::MAX, 60), length(-5, 0), length(0, u32::MAX)), (LONGEST, SHORTEST, LONGEST));
    }

    #[test]
    fn every_form_has_every_entry_with_its_end() {
        let list = wanted(&["203.0.113.9", "2001:db8::1", "203.0.112.0/24"]);
        let got = made(&list, &[], NOW);
        let nft = text(Form::Nft, &got, NOW);
        assert!(nft.contains("add element inet backtrail block4 { 203.0.113.9 timeout 1800s }"), "{nft}");
        assert!(nft.contains("add element inet backtrail block4 { 203.0.112.0/24 timeout 1800s }"), "{nft}");
        assert!(nft.contains("add element inet backtrail block6 { 2001:db8::1 timeout 1800s }"), "{nft}");
        let pf = text(Form::Pf, &got, NOW);
        assert!(pf.contains("table <until_20261120T0830Z> persist { 203.0.112.0/24, 203.0.113.9, 2001:db8::1 }"), "{pf}");
        assert!(pf.contains("-t until_20261120T0830Z -T expire 1800"), "{pf}");
        let asa = text(Form::Asa, &got, NOW);
        assert!(asa.contains(" absolute end 08:30 20 November 2026\n"), "{asa}");
        assert!(
            asa.contains(" network-object host 203.0.113.9\n") && asa.contains(" network-object 203.0.112.0 255.255.255.0\n"),
            "{asa}"
        );
        assert!(asa.contains("deny ip object-group BACKTRAIL-20261120T0830Z any time-range BACKTRAIL-20261120T0830Z"), "{asa}");
        let plain = text(Form::Plain, &got, NOW);
        assert!(plain.contains("203.0.113.9\t2026-11-20T08:30:00Z\tspam\n"), "{plain}");
        assert!(text(Form::Nft, &List::default(), NOW).contains("nothing is left"));
    }

    #[test]
    fn a_reason_cannot_become_a_command() {
        let bad = "x\nadd rule inet filter input accept\r\x1b[2J \u{202e}";
        let list = made(&[Wanted { net: net_of("203.0.113.9").unwrap(), reason: bad.into() }], &[], NOW);
        for form in Form::ALL {
            let text = text(form, &list, NOW);
            assert!(text.lines().all(|l| !l.starts_with("add rule inet filter")), "{text}");
            assert!(!text.contains('\x1b') && !text.contains('\r') && !text.contains('\u{202e}'));
        }
    }
}
