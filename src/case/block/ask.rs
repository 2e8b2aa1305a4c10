//! Which addresses a list is made of, asked of a case: the foreign ends of a question, of a finding, or of a spam message that was reported; and
//! who of one's own uses them.

use super::{KEYSITES, show};
use crate::case::findings;
use crate::detectors::gather::Asked;
use crate::detectors::spam::PORTS;
use crate::detectors::spam::suspects::{Call, Known, Suspect, Suspects};
use crate::detectors::{self, Limits};
use crate::error::{Error, Result};
use crate::model::decision::Decision;
use crate::model::finding::Finding;
use crate::model::time::DAY;
use crate::model::{Cancel, Entity, Time, Value, Window, field};
use crate::query::Engine;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::Path;

/// Different addresses that are told apart.
const ADDRESSES: usize = 100_000;
/// How long before a report of spam it is looked for callers, to tell which are new.
const BEFORE: i64 = 7 * DAY;
/// Share of one's own hosts that use a site, from which on it is a key site, and how many they have to be.
const SHARE: f64 = 0.3;
const LEAST: usize = 5;
/// States of a connection that was refused or broken off by the one called.
const REFUSED: [&str; 3] = ["REJ", "RSTR", "RSTRH"];

/// The ends of a question's records that are nobody's of one's own, with how many records each has; most first. More than `most` is an error.
pub fn foreign(engine: &dyn Engine, text: &str, most: usize, cancel: &Cancel) -> Result<Vec<(IpAddr, u64)>> {
    let question = engine.compile(text)?;
    if !question.stages.is_empty() {
        return Err(Error::user("addresses are of records, not of a table").hint("leave out what stands behind |"));
    }
    if question.text.is_empty() {
        return Err(Error::user("everybody in the case is nobody to block").hint("say who: signature.id = 2006446"));
    }
    let home = engine.home(cancel)?;
    let mut counts: BTreeMap<IpAddr, u64> = BTreeMap::new();
    let mut beyond = false;
    engine.visit(&question, &[field::SRC_IP, field::DST_IP], cancel, &mut |record| {
        let ends: BTreeSet<IpAddr> =
            [field::SRC_IP, field::DST_IP].into_iter().filter_map(|f| record.addr(f)).map(|a| a.to_canonical()).collect();
        for addr in ends.into_iter().filter(|a| !home.is_near(*a)) {
            if counts.len() >= ADDRESSES && !counts.contains_key(&addr) {
                beyond = true;
                return false;
            }
            *counts.entry(addr).or_default() += 1;
        }
        true
    })?;
    if beyond || counts.len() > most {
        let n = counts.len();
        return Err(Error::user(format!("{n} addresses or more: that is no short list")).hint("ask for less, or give --limit"));
    }
    let mut out: Vec<(IpAddr, u64)> = counts.into_iter().collect();
    out.sort_by_key(|(addr, n)| (std::cmp::Reverse(*n), *addr));
    Ok(out)
}

/// The finding with a key: as kept beside the case if nothing has changed since, else found anew by its detector.
pub fn finding(
    engine: &dyn Engine,
    dir: &Path,
    decisions: &[Decision],
    key: &str,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Finding> {
    let name = key.split(' ').next().unwrap_or_default();
    let Some(detector) = detectors::find(name) else {
        let names: Vec<&str> = detectors::ALL.iter().map(|d| d.name()).collect();
        return Err(Error::user(format!("a key begins with its detector, `{name}` is none")).hint(names.join(", ")));
    };
    let mut found = match findings::current(engine, dir, &findings::rests_on(engine, decisions, limits, cancel)?) {
        Some(kept) => kept,
        None => detectors::run(
            engine,
            &Asked { limits, only: Some(&[detector]), window: Window::ALL, past: None },
            cancel,
            &mut |_| {},
        )?,
    };
    found.list.retain(|f| f.detector == name);
    let keys: Vec<String> = found.list.iter().take(5).map(Finding::key).collect();
    found.list.into_iter().find(|f| f.key() == key).ok_or_else(|| {
        let hint = if keys.is_empty() { format!("{name} finds nothing") } else { format!("there are: {}", keys.join("; ")) };
        Error::user(format!("no finding has the key `{key}`")).hint(hint)
    })
}

/// Who is foreign in a finding: the other end, the host itself, else all foreign ends of its records.
pub fn of_finding(engine: &dyn Engine, finding: &Finding, most: usize, cancel: &Cancel) -> Result<Vec<IpAddr>> {
    let home = engine.home(cancel)?;
    let ends: Vec<IpAddr> = [Some(finding.host), finding.peer].into_iter().flatten().filter(|a| !home.is_near(*a)).collect();
    if !ends.is_empty() {
        return Ok(ends);
    }
    Ok(foreign(engine, &finding.query, most, cancel)?.into_iter().map(|(addr, _)| addr).collect())
}

/// The hosts outside that a spam message reported at a time most likely came from; and how many calls of further callers were not compared.
pub fn mail(engine: &dyn Engine, at: Time, uncertainty: i64, most: usize, cancel: &Cancel) -> Result<(Vec<Suspect>, u64)> {
    let mut suspects = Suspects::of(at, uncertainty);
    let window = Window::new(at.plus(-BEFORE), suspects.window().end);
    let ports = PORTS.map(|p| p.to_string()).join(", ");
    let question =
        engine.compile(&format!("kind = flow and direction in {{in, external}} and dst.port in {{{ports}}}"))?.within(&window);
    let fields = [field::SRC_IP, field::SRC_PORT, field::DST_PORT, field::PAYLOAD_OUT, field::STATE];
    engine.visit(&question, &fields, cancel, &mut |record| {
        if let (Some(from), Some(port)) = (record.addr(field::SRC_IP), record.uint(field::DST_PORT)) {
            suspects.take(&Call {
                from: from.to_canonical(),
                from_port: record.uint(field::SRC_PORT).and_then(|p| u16::try_from(p).ok()).unwrap_or(0),
                port: u16::try_from(port).unwrap_or(0),
                time: record.time(),
                sent: record.uint(field::PAYLOAD_OUT).unwrap_or(0),
                refused: record.text(field::STATE).is_some_and(|s| REFUSED.contains(&s)),
                id: record.id,
            });
        }
        true
    })?;
    let mut failed = None;
    let mut known = |addr: IpAddr| {
        known(engine, addr, at, cancel).unwrap_or_else(|e| {
            failed.get_or_insert(e);
            Known::default()
        })
    };
    let ranked = suspects.rank(most, &mut known);
    failed.map_or(Ok((ranked, suspects.beyond)), Err)
}

/// What the case says of an address: its reputation, and whether a reverse name was seen that leads back to it.
fn known(engine: &dyn Engine, addr: IpAddr, at: Time, cancel: &Cancel) -> Result<Known> {
    let mut out = Known::default();
    if let Some(entity) = Entity::of(field::SRC_IP, &Value::Addr(addr)) {
        let facts = engine.facts(&entity, Some(at), cancel)?;
        let said = facts.iter().find(|f| f.label == "reputation").and_then(|f| f.text.split(' ').next()?.parse::<f64>().ok());
        out.reputation = said.unwrap_or(0.0) / 100.0;
    }
    // Asked of the DNS that was seen, never of the network.
    let asked = engine.compile(&format!("kind = dns and dns.type = PTR and name = {}", pointer(addr)))?;
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut any = false;
    engine.visit(&asked, &[field::ANSWER_NAME], cancel, &mut |record| {
        any = true;
        names.extend(record.all(field::ANSWER_NAME).filter_map(|v| v.as_text().map(str::to_owned)).take(8));
        names.len() < 8
    })?;
    if any {
        let questions = names
            .iter()
            .map(|n| {
                engine.compile(&format!("kind = dns and name = {} and dns.answer.ip = {addr}", crate::query::check::quote(n)))
            })
            .collect::<Result<Vec<_>>>()?;
        out.confirmed = Some(engine.counts(&questions, 1, cancel)?.iter().any(|c| c.n > 0));
    }
    Ok(out)
}

/// The reverse name of an address.
fn pointer(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(a) => {
            let digits = a.octets().into_iter().rev().flat_map(|o| [o & 15, o >> 4]);
            digits.map(|d| format!("{d:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// Why something is a key site though no set has its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySite {
    /// It was given for, or called by, a name of the set.
    Named,
    /// So many of so many of one's own hosts use it.
    Used(usize, usize),
}

impl KeySite {
    /// In words.
    pub fn show(self) -> String {
        match self {
            KeySite::Named => format!("a key site: it was given for, or called by, a name in @{KEYSITES}"),
            KeySite::Used(n, all) => format!("a key site: {n} of {all} own hosts use it"),
        }
    }
}

/// Who of one's own uses an address or network.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Hosts.
    pub hosts: usize,
    /// IP bytes both ways.
    pub bytes: u64,
    /// Why that makes it a key site.
    pub key: Option<KeySite>,
}

/// Asks who uses what is to be blocked.
pub struct Uses<'a> {
    engine: &'a dyn Engine,
    cancel: &'a Cancel,
    /// Own hosts that speak with anybody outside.
    hosts: usize,
    /// The set of key sites has names.
    named: bool,
}

impl Uses<'_> {
    /// Of a case.
    pub fn of<'a>(engine: &'a dyn Engine, decisions: &[Decision], now: Time, cancel: &'a Cancel) -> Result<Uses<'a>> {
        let sets = crate::context::sets::sets(decisions);
        let members = crate::context::sets::members(&sets, KEYSITES, now).unwrap_or_default();
        let all = engine.compile("kind = flow and direction = out | count by src.ip")?;
        let hosts = engine.table(&all, cancel)?.rows.len();
        Ok(Uses { engine, cancel, hosts, named: !members.texts.is_empty() || !members.under.is_empty() })
    }
    /// Who uses an address or network.
    pub fn who(&self, net: &IpNet) -> Result<Use> {
        let end =
            if net.prefix_len() == net.max_prefix_len() { format!("dst.ip = {}", show(net)) } else { format!("dst net {net}") };
        let question = self.engine.compile(&format!("kind = flow and direction = out and {end} | sum bytes by src.ip"))?;
        let table = self.engine.table(&question, self.cancel)?;
        let mut hosts = HashSet::new();
        let mut bytes = 0u64;
        for row in &table.rows {
            hosts.extend(row.iter().flatten().filter_map(Value::as_addr));
            bytes = bytes.saturating_add(row.iter().flatten().filter_map(Value::as_uint).max().unwrap_or(0));
        }
        let mut out = Use { hosts: hosts.len(), bytes, key: None };
        if self.named {
            let any =
                if net.prefix_len() == net.max_prefix_len() { format!("host = {}", show(net)) } else { format!("net {net}") };
            let names = format!("(name in @{KEYSITES} or sni in @{KEYSITES} or http.host in @{KEYSITES})");
            let question = self.engine.compile(&format!("{any} and {names}"))?;
            let n = self.engine.counts(&[question], 1, self.cancel)?.first().map_or(0, |c| c.n);
            out.key = (n > 0).then_some(KeySite::Named);
        }
        if out.key.is_none() && out.hosts >= LEAST && out.hosts as f64 >= SHARE * self.hosts as f64 {
            out.key = Some(KeySite::Used(out.hosts, self.hosts));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names() {
        assert_eq!(pointer("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        let six = pointer("2001:db8::1".parse().unwrap());
        assert_eq!((six.len(), crate::store::names::pointed(&six)), (72, "2001:db8::1".parse().ok()));
    }
}
