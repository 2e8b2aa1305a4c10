//! Named sets: what people put together under a name, with why, who, when and until when. They are applied when a question asks for them,
//! never at import.
//!
//! The part of a name before `-` says what a set is for, and `@allow` is everything that is for `allow`: the sets `allow`, `allow-dns`, ...
//! The purposes of [`PURPOSES`] are always there, if empty. The networks of all sites are members of `home`.

use crate::model::decision::{Decision, What, standing};
use crate::model::entity::{Entity, EntityKind};
use crate::model::filter::{Members, Service, canonical};
use crate::model::time::parse_span;
use crate::model::{Time, proto};
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What sets are for, with what is done with them.
pub const PURPOSES: [(&str, &str); 5] = [
    ("allow", "what may be left out of sight"),
    ("watch", "what is looked for in everything that comes in"),
    ("home", "one's own networks; those of all sites belong to it"),
    ("mission", "what matters most"),
    ("keysites", "sites that people here need: never on a list to be blocked"),
];

/// Most bytes of an entry's text.
pub const MAX_ENTRY: usize = 2_048;

/// A named set as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Name, without `@`.
    pub name: String,
    /// Entries, in the order in which they were put in.
    pub entries: Vec<Entry>,
}

/// One entry of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it is, as [`clean`] writes it.
    pub text: String,
    /// Why it is in the set.
    pub reason: String,
    /// Who put it in.
    pub who: String,
    /// When.
    pub at: Time,
    /// When it leaves the set by itself.
    pub expires: Option<Time>,
    /// The decision that put it in.
    pub decision: u64,
}

impl Entry {
    /// Whether it has left the set by itself.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|t| t <= now)
    }
    /// What it is, in a word: address, network, name, URL, hash, service, or a text.
    pub fn kind(&self) -> &'static str {
        if service(&self.text).is_some() {
            return EntityKind::Service.name();
        }
        if self.text.starts_with("*.") {
            return EntityKind::Name.name();
        }
        Entity::recognise(&self.text).map_or("text", |e| e.kind.name())
    }
}

/// Every set that stands, by name, with its expired entries. An entry put in again is renewed.
pub fn sets(decisions: &[Decision]) -> Vec<Set> {
    let mut sets: BTreeMap<&str, BTreeMap<Cow<'_, str>, Entry>> = BTreeMap::new();
    let mut sites: BTreeMap<&str, (&[String], &Decision)> = BTreeMap::new();
    for d in standing(decisions) {
        match &d.what {
            What::SetAdd { set, entries, reason, expires } => {
                let members = sets.entry(set).or_default();
                for text in entries {
                    let entry = entry(d, text, reason.clone(), expires.map(Time));
                    members.insert(Cow::Borrowed(text), entry);
                }
            }
            What::SetRemove { set, entries } if entries.is_empty() => _ = sets.remove(set.as_str()),
            What::SetRemove { set, entries } => {
                if let Some(members) = sets.get_mut(set.as_str()) {
                    entries.iter().for_each(|text| _ = members.remove(text.as_str()));
                    if members.is_empty() {
                        sets.remove(set.as_str());
                    }
                }
            }
            What::Site { name, networks, .. } => _ = sites.insert(name, (networks, d)),
            _ => {}
        }
    }
    for (name, (networks, d)) in sites {
        for text in networks {
            let entry = entry(d, text, format!("network of site {name}"), None);
            sets.entry("home").or_default().entry(Cow::Borrowed(text)).or_insert(entry);
        }
    }
    let ordered = |(name, members): (&str, BTreeMap<Cow<'_, str>, Entry>)| {
        let mut entries: Vec<Entry> = members.into_values().collect();
        entries.sort_by(|a, b| (a.decision, &a.text).cmp(&(b.decision, &b.text)));
        Set { name: name.to_owned(), entries }
    };
    sets.into_iter().map(ordered).collect()
}

fn entry(d: &Decision, text: &str, reason: String, expires: Option<Time>) -> Entry {
    Entry { text: text.to_owned(), reason, who: d.who.name.clone(), at: Time(d.at), expires, decision: d.sequence }
}

/// Whether a set is what a name in a query means: the set itself, or one that is for it.
pub fn belongs(set: &str, name: &str) -> bool {
    set == name || set.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
}

/// The members of `@name` at a time; none: there is no such set.
pub fn members(sets: &[Set], name: &str, now: Time) -> Option<Members> {
    let mut found = PURPOSES.iter().any(|(purpose, _)| *purpose == name);
    let mut members = Members { name: name.to_owned(), ..Members::default() };
    for set in sets.iter().filter(|s| belongs(&s.name, name)) {
        found = true;
        set.entries.iter().filter(|e| !e.is_expired(now)).for_each(|e| put(&mut members, &e.text));
    }
    tidy(&mut members);
    found.then_some(members)
}

/// When the first entry after a time leaves its set.
pub fn next_expiry(sets: &[Set], now: Time) -> Option<Time> {
    sets.iter().flat_map(|s| &s.entries).filter_map(|e| e.expires).filter(|t| *t > now).min()
}

/// The name of a set as it is kept, or why it is none.
pub fn name(text: &str) -> Result<String, String> {
    let text = text.trim().trim_start_matches('@').to_lowercase();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    match text.chars().next() {
        None => Err("a set needs a name".into()),
        Some(first) if text.len() > 64 || !first.is_alphanumeric() || !text.chars().all(fits) => {
            Err(format!("`{text}` cannot be the name of a set: letters, digits, - and _, at most 64"))
        }
        Some(_) => Ok(text),
    }
}

/// An entry as it is kept: refanged, without dots or quotes around it, names in lower case, networks without host bits. None: nothing is left, or too much.
pub fn clean(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    let text: String = refang(text).chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() || text.len() > MAX_ENTRY {
        return None;
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc().to_string());
    }
    if let Ok(addr) = text.parse::<std::net::IpAddr>() {
        return Some(canonical(addr).to_string());
    }
    let is_name = text.contains('.') && !text.contains([' ', '/', '@', ':']);
    Some(if is_name { text.trim_end_matches('.').to_lowercase() } else { text })
}

/// Undoes the usual defanging: `hxxp`, `[.]`, `(.)`, `[:]`, `[@]`.
fn refang(text: &str) -> Cow<'_, str> {
    let scheme = text.get(..4).is_some_and(|t| t.eq_ignore_ascii_case("hxxp"));
    if !scheme && !text.contains(['[', '(']) {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for (from, to) in [("[.]", "."), ("(.)", "."), ("[dot]", "."), ("[:]", ":"), ("[://]", "://"), ("[@]", "@"), ("[at]", "@")] {
        out = out.replace(from, to);
    }
    Cow::Owned(if scheme { format!("http{}", &out[4..]) } else { out })
}

/// Puts what a text means into the members of a set: address, network, service, name with what is below it, else itself.
pub fn put(members: &mut Members, text: &str) {
    let Some(text) = clean(text) else { return };
    if let Ok(addr) = text.parse() {
        members.addrs.insert(canonical(addr));
    } else if let Ok(net) = text.parse::<IpNet>() {
        members.nets.push(net.trunc());
    } else if let Some(service) = service(&text) {
        members.services.push(service);
    } else if let Some(below) = text.strip_prefix("*.").filter(|b| !b.contains('*')) {
        members.under.insert(below.trim_end_matches('.').to_lowercase());
    } else {
        members.texts.insert(text.trim_end_matches('.').to_lowercase());
    }
}

/// Brings networks into the order that looking for an address needs; to be called when all members are in.
pub fn tidy(members: &mut Members) {
    members.nets = IpNet::aggregate(&members.nets);
    members.nets.sort_unstable();
}

/// `10.0.0.5:443`, `[2001:db8::1]:443`, either with `/udp` behind it; `443/tcp`.
fn service(text: &str) -> Option<Service> {
    let (head, proto) = match text.rsplit_once('/') {
        Some((head, name)) => (head, Some(proto::parse(name).filter(|_| name.bytes().all(|b| b.is_ascii_alphabetic()))?)),
        None => (text, None),
    };
    if let Ok(end) = head.parse::<std::net::SocketAddr>() {
        return Some(Service { addr: Some(canonical(end.ip())), port: end.port(), proto });
    }
    Some(Service { addr: None, port: head.parse().ok()?, proto: Some(proto?) })
}

/// When something is to end: a span from `now` (`30d`) or an instant; what is past already is an error.
pub fn expiry(text: &str, now: Time) -> Result<Time, String> {
    let text = text.trim();
    let at = parse_span(text).map(|span| now.plus(span)).or_else(|| Time::parse(text));
    match at {
        None => Err(format!("`{text}` is neither a span (30d, 12h) nor a date (2026-12-31)")),
        Some(at) if at <= now => Err(format!("{at} is past already")),
        Some(at) => Ok(at),
    }
}

/// A reason that may say at its end until when: `print server for 30d`, `maintenance until 2026-12-01`.
pub fn reason_and_expiry(text: &str, now: Time) -> (String, Option<Time>) {
    let text = text.trim();
    for word in ["for", "until"] {
        let Some((head, when)) = text.rsplit_once(&format!("{word} ")) else { continue };
        let whole = head.is_empty() || head.ends_with(' ');
        if let Ok(at) = expiry(when, now)
            && whole
        {
            return (head.trim_end().to_owned(), Some(at));
        }
    }
    (text.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;

    fn decided(what: Vec<What>) -> Vec<Decision> {
        let of = |(n, what)| Decision {
            sequence: n as u64 + 1,
            at: n as i64,
            who: Who { name: "ann".into(), ..Who::default() },
            what,
        };
        what.into_iter().enumerate().map(of).collect()
    }
    fn add(set: &str, entries: &[&str], expires: Option<i64>) -> What {
        let entries = entries.iter().map(|e| (*e).to_owned()).collect();
        What::SetAdd { set: set.into(), entries, reason: "because".into(), expires }
    }
    fn remove(set: &str, entries: &[&str]) -> What {
        What::SetRemove { set: set.into(), entries: entries.iter().map(|e| (*e).to_owned()).collect() }
    }
    fn has(decisions: &[Decision], name: &str, text: &str, now: i64) -> bool {
        let members = members(&sets(decisions), name, Time(now)).unwrap();
        text.parse().map_or_else(|_| members.has_text(text), |addr| members.has(addr))
    }

    #[test]
    fn a_purpose_is_all_its_sets_and_an_entry_leaves_by_removal_or_by_itself() {
        let mut all = decided(vec![
            add("allow", &["10.0.0.5", "printer.example"], None),
            add("allow-dns", &["9.9.9.9"], Some(100)),
            add("allowance", &["10.0.0.9"], None),
            remove("allow", &["printer.example"]),
        ]);
        assert!(has(&all, "allow", "9.9.9.9", 99) && !has(&all, "allow", "9.9.9.9", 100));
        assert!(
            has(&all, "allow", "10.0.0.5", 0) && !has(&all, "allow", "10.0.0.9", 0) && !has(&all, "allow", "printer.example", 0)
        );
        assert!(!has(&all, "allow-dns", "10.0.0.5", 0));
        // A removal that is taken back puts the entry in again.
        all.extend(decided(vec![What::Remove { id: 4 }]).into_iter().map(|d| Decision { sequence: 5, ..d }));
        assert!(has(&all, "allow", "printer.example", 0));
        assert!(
            members(&sets(&all), "watch", Time(0)).is_some_and(|m| m.is_empty())
                && members(&sets(&all), "other", Time(0)).is_none()
        );
    }

    #[test]
    fn networks_of_sites_are_home_and_a_whole_set_can_go() {
        let site = |networks: &[&str]| What::Site {
            name: "berlin".into(),
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
            zone: None,
        };
        let all = decided(vec![site(&["10.8.0.0/16"]), add("home", &["172.16.0.0/12"], None)]);
        assert!(has(&all, "home", "10.8.21.5", 0) && has(&all, "home", "172.16.1.1", 0));
        let all = decided(vec![site(&["10.8.0.0/16"]), site(&[]), add("x", &["a"], None), remove("x", &[])]);
        assert!(!has(&all, "home", "10.8.21.5", 0) && members(&sets(&all), "x", Time(0)).is_none());
    }

    #[test]
    fn members_are_known_by_their_form() {
        let mut m = Members::default();
        for text in [
            "hxxp://Evil[.]example/a",
            "*.bad.example",
            "10.0.0.5:443",
            "[2001:db8::1]:53/udp",
            "443/tcp",
            "::ffff:10.0.0.6",
            "jdoe",
            "10.1.0.9/16",
        ] {
            put(&mut m, text);
        }
        tidy(&mut m);
        assert!(m.has_text("http://evil.example/a") && m.has_text("JDOE"));
        assert!(m.has_text("bad.example") && m.has_text("a.b.BAD.example.") && !m.has_text("notbad.example"));
        assert!(
            m.has_text("https://x.bad.example:8443/y")
                && m.has_text("http://10.1.2.3/")
                && !m.has_text("http://good.example/bad.example")
        );
        assert!(m.addrs.contains(&[10, 0, 0, 6].into()));
        let service = |addr: Option<&str>, port, proto| Service { addr: addr.and_then(|a| a.parse().ok()), port, proto };
        assert_eq!(
            m.services,
            [service(Some("10.0.0.5"), 443, None), service(Some("2001:db8::1"), 53, Some(17)), service(None, 443, Some(6))]
        );
    }

    #[test]
    fn a_reason_may_end_with_how_long_it_holds() {
        let now = Time::parse("2026-11-20").unwrap();
        assert_eq!(
            reason_and_expiry("print server for 30d", now),
            ("print server".into(), Some(now.plus(30 * 86_400_000_000_000)))
        );
        assert_eq!(reason_and_expiry("for now until 2026-12-01", now), ("for now".into(), Time::parse("2026-12-01")));
        assert_eq!(reason_and_expiry("waiting for jdoe", now), ("waiting for jdoe".into(), None));
        assert!(expiry("2020-01-01", now).is_err() && expiry("soon", now).is_err());
    }
}
