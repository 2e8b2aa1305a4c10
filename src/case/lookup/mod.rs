//! Active lookups: a name or an address is asked of the one resolver that was permitted for the case, slowly, and entered in the journal with
//! whom it was asked of. Whoever runs the servers of a name learns that somebody asks for it: hence off until somebody permits it with a reason,
//! and refused for names that may carry what only this network could know (domain.md 2.5).

mod wire;

use super::Keeper;
use crate::context::lookups::{Permission, lookups, permission, reverse};
use crate::error::{Error, Result};
use crate::links::names::registrable;
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, What};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
pub use wire::KINDS;

/// Least time between two lookups, whoever asks: five a second.
const APART: Duration = Duration::from_millis(200);
/// How long an answer is waited for.
const WAIT: Duration = Duration::from_secs(5);
/// Labels at least so long whose characters are so mixed, in bits, are taken for what a program on this network made up.
const TELLING: (usize, f64) = (16, 3.5);

/// Permits lookups of a case through a resolver, and through a proxy if one is named.
pub fn permit(keeper: &dyn Keeper, resolver: &str, proxy: &str, reason: &str) -> Result<Decision> {
    let end = |text: &str| {
        let with_port = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
        with_port.map(|end| end.to_string()).map_err(|_| {
            Error::user(format!("`{text}` is no address")).hint("an address, with its port if that is another: 192.0.2.53:5353")
        })
    };
    if reason.trim().is_empty() {
        return Err(Error::user("lookups need a reason").hint("whoever runs the servers of a name learns that it is asked for"));
    }
    let proxy = if proxy.is_empty() { String::new() } else { end(proxy)? };
    keeper.append(What::Lookups { resolver: end(resolver)?, proxy, reason: reason.trim().to_owned() })
}

/// Forbids them again.
pub fn forbid(keeper: &dyn Keeper, reason: &str) -> Result<Decision> {
    keeper.append(What::Lookups { resolver: String::new(), proxy: String::new(), reason: reason.to_owned() })
}

/// What is asked for: the name on the wire and the types of its records.
pub fn question(text: &str, kind: Option<&str>, domain: bool) -> Result<(String, Vec<u16>)> {
    let text = text.trim().trim_end_matches('.');
    let code = |name: &str| {
        KINDS.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|k| k.0).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|k| k.1).collect();
            Error::user(format!("no type of record is called `{name}`")).hint(names.join(", "))
        })
    };
    let kind = kind.map(code).transpose()?;
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Ok((reverse(addr), vec![kind.unwrap_or(wire::PTR)]));
    }
    let name = if domain { registrable(text).to_owned() } else { text.to_owned() };
    guard(&name)?;
    Ok((name.to_ascii_lowercase(), kind.map_or(vec![wire::A, wire::AAAA], |k| vec![k])))
}

/// Refuses what is no name, and names that may tell their servers from where they were taken.
fn guard(name: &str) -> Result<()> {
    let fits = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if name.len() > 253 || !name.contains('.') || !name.split('.').all(fits) {
        return Err(
            Error::user(format!("`{name}` is no name that can be asked for")).hint("international ones in their xn-- form")
        );
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) && name.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(Error::user(format!("`{name}` is written in both cases, by which whoever answers may know who asks"))
            .hint("write it in small letters if it may be asked for"));
    }
    let label = name.split('.').next().unwrap_or_default();
    if label.len() >= TELLING.0 && entropy(label) > TELLING.1 {
        return Err(Error::user(format!("`{label}` may be a token of one infected host: to ask for it tells that it was found"))
            .hint("--domain asks for the registered domain alone"));
    }
    Ok(())
}

/// Bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<u8, f64> = BTreeMap::new();
    text.bytes().for_each(|b| *counts.entry(b).or_default() += 1.0);
    let all = text.len() as f64;
    counts.values().map(|n| -(n / all) * (n / all).log2()).sum()
}

/// Looks a name or an address up, and enters what came of it. What is refused was not asked and is not entered.
pub fn look_up(keeper: &dyn Keeper, text: &str, kind: Option<&str>, domain: bool, cancel: &Cancel) -> Result<Vec<Decision>> {
    let Some(permitted) = permission(&keeper.decisions()) else {
        return Err(Error::user("lookups are not permitted in this case").hint("backtrail lookup --permit ADDRESS --reason WHY"));
    };
    let (name, kinds) = question(text, kind, domain)?;
    let mut out = Vec::new();
    for kind in kinds {
        slow(&keeper.decisions(), cancel)?;
        let said = asked(&permitted, &name, kind);
        let (outcome, answer) = said.unwrap_or_else(|err| (err.what, Vec::new()));
        let (kind, resolver) = (wire::type_name(kind), permitted.resolver.clone());
        out.push(keeper.append(What::Lookup { name: name.clone(), kind, resolver, outcome, answer })?);
    }
    Ok(out)
}

/// Waits until the last lookup of anybody is long enough ago.
fn slow(decisions: &[Decision], cancel: &Cancel) -> Result<()> {
    if let Some(last) = lookups(decisions).next_back() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i64;
        let ago = Duration::from_nanos(now.saturating_sub(last.at.0).max(0) as u64);
        std::thread::sleep(APART.saturating_sub(ago));
    }
    cancel.check()
}

fn asked(permitted: &Permission, name: &str, kind: u16) -> Result<(String, Vec<String>)> {
    let end = |text: &str| text.parse::<SocketAddr>().map_err(|_| Error::user(format!("`{text}` is no address with a port")));
    let proxy = if permitted.proxy.is_empty() { None } else { Some(end(&permitted.proxy)?) };
    wire::ask(end(&permitted.resolver)?, proxy, name, kind, WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tell_who_asks_are_refused() {
        let refused = |name: &str| question(name, None, false).map_err(|e| e.what);
        assert_eq!(refused("Evil.example.").unwrap_err().split(' ').next_back(), Some("asks"));
        assert_eq!(refused("EVIL.EXAMPLE").unwrap().0, "evil.example");
        assert!(refused("q7x3k9d2m5v8b1z4.evil.example").unwrap_err().contains("token"));
        assert!(refused("internationalisation.evil.example").is_ok(), "words are no tokens");
        assert_eq!(question("q7x3k9d2m5v8b1z4.evil.example", None, true).unwrap().0, "evil.example");
        for odd in ["", "localhost", "a b.example", "a..example", "a/b.example", "évil.example", &"a.".repeat(200)] {
            assert!(refused(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_address_is_asked_for_its_names_a_name_for_its_addresses() {
        assert_eq!(question("192.0.2.7", None, false).unwrap(), ("7.2.0.192.in-addr.arpa".into(), vec![12]));
        assert_eq!(question("evil.example", None, false).unwrap().1, [1, 28]);
        assert_eq!(question("evil.example", Some("mx"), false).unwrap().1, [15]);
        assert!(question("evil.example", Some("axfr"), false).is_err());
    }
}
