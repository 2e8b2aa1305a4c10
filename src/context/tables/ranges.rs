//! A table of ranges of addresses, each with a value: who registered an address, and who announces it.
//!
//! Ranges may nest, as announced networks do: the narrowest counts. They are kept as a list of where a value begins, so that one search finds it.

use super::{AGAIN, Description, Table, Writer};
use crate::error::{Error, Result};
use crate::model::filter::canonical;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

/// Bytes of a record of the run of ranges, and of its key: first address; number of the value.
pub(super) const RANGES: (u16, u16) = (20, 16);
/// Most ranges and values of one table.
const RANGES_MAX: usize = 8_000_000;
const VALUES_MAX: usize = 2_000_000;

/// What is known of a range; what is not known is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registered {
    /// ISO 3166 code of the country, upper case.
    #[serde(default, rename = "c", skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// Number of the autonomous system.
    #[serde(default, rename = "a", skip_serializing_if = "is_zero")]
    pub number: u32,
    /// Its name, or that of the organisation.
    #[serde(default, rename = "n", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Regional registry.
    #[serde(default, rename = "r", skip_serializing_if = "String::is_empty")]
    pub registry: String,
    /// When it was allocated, `YYYYMMDD`.
    #[serde(default, rename = "d", skip_serializing_if = "String::is_empty")]
    pub allocated: String,
    /// The registry states that it was given to nobody.
    #[serde(default, rename = "u", skip_serializing_if = "std::ops::Not::not")]
    pub nobody: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// An address among all, IPv4 as mapped.
fn number(addr: IpAddr) -> u128 {
    match canonical(addr) {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// A table of ranges being made.
#[derive(Default)]
pub struct Maker {
    ranges: Vec<(u128, u128, u32)>,
    values: Vec<Registered>,
    known: HashMap<Registered, u32>,
}

impl Maker {
    /// The number of a value, from 1.
    pub fn value(&mut self, value: Registered) -> Result<u32> {
        if let Some(n) = self.known.get(&value) {
            return Ok(*n);
        }
        if self.values.len() >= VALUES_MAX {
            return Err(Error::user(format!("the file has more than {VALUES_MAX} different registrations")));
        }
        self.values.push(value.clone());
        let n = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.known.insert(value, n);
        Ok(n)
    }
    /// Adds a range from first to last address, with the number of its value.
    pub fn add(&mut self, first: IpAddr, last: IpAddr, value: u32) -> Result<()> {
        if self.ranges.len() >= RANGES_MAX {
            return Err(Error::user(format!("the file has more than {RANGES_MAX} networks")));
        }
        let (first, last) = (number(first), number(last));
        if first <= last {
            self.ranges.push((first, last, value));
        }
        Ok(())
    }
    /// Adds a network.
    pub fn network(&mut self, net: &IpNet, value: u32) -> Result<()> {
        self.add(net.network(), net.broadcast(), value)
    }
    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
    /// Ends the table.
    pub fn end(mut self, case: &Path, about: Description) -> Result<Description> {
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be written: {e}"));
        let entries = self.ranges.len() as u64;
        let mut out = Writer::new(case)?;
        let begins = flat(&mut self.ranges);
        let ranges = out.sorted(RANGES, &mut |push| {
            for (first, value) in &begins {
                let mut one = [0; 20];
                one[..16].copy_from_slice(&first.to_be_bytes());
                one[16..].copy_from_slice(&value.to_be_bytes());
                push(&one).map_err(fail)?;
            }
            Ok(())
        })?;
        let text = serde_json::to_vec(&self.values).map_err(|e| Error::internal(format!("values cannot be written: {e}")))?;
        let at = out.bytes(&text)?;
        let about = Description { entries, ranges: Some(ranges), values: Some((at, text.len() as u64)), ..about };
        out.end(case, &about)?;
        Ok(about)
    }
}

/// Where each value begins, in order; value 0 is none. Of ranges that overlap the one that begins last counts, of those the narrowest.
fn flat(ranges: &mut [(u128, u128, u32)]) -> Vec<(u128, u32)> {
    ranges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
    let mut begins: Vec<(u128, u32)> = Vec::with_capacity(ranges.len());
    let mut open: Vec<(u128, u32)> = Vec::new();
    let mut put = |first: u128, value: u32| match begins.last_mut() {
        Some((last, of)) if *last == first => *of = value,
        Some((_, of)) if *of == value => {}
        _ => begins.push((first, value)),
    };
    // Ends what ends before an address; none: everything.
    let close = |open: &mut Vec<(u128, u32)>, before: Option<u128>, put: &mut dyn FnMut(u128, u32)| {
        while let Some((last, _)) = open.last().copied().filter(|(last, _)| before.is_none_or(|b| *last < b)) {
            // Those below that end as early are popped in their turn: each range is looked at once.
            while open.last().is_some_and(|(l, _)| *l <= last) {
                open.pop();
            }
            if let Some(next) = last.checked_add(1) {
                put(next, open.last().map_or(0, |(_, value)| *value));
            }
        }
    };
    for (first, last, value) in ranges.iter().copied() {
        close(&mut open, Some(first), &mut put);
        put(first, value);
        open.push((last, value));
    }
    close(&mut open, None, &mut put);
    begins
}

impl Table {
    /// Its values, number 1 first.
    pub fn values(&self) -> Result<Vec<Registered>> {
        let Some((at, len)) = self.about.values else { return Ok(Vec::new()) };
        let fail = |e: &dyn std::fmt::Display| Error::store(format!("a table of the case cannot be read: {e}")).hint(AGAIN);
        let text = self.pages.bulk(at, usize::try_from(len).unwrap_or(0)).map_err(|e| fail(&e))?;
        serde_json::from_slice(&text).map_err(|e| fail(&e))
    }
    /// The number of the value of an address; 0: none.
    pub fn value_of(&self, addr: IpAddr) -> Result<u32> {
        let Some(sorted) = &self.ranges else { return Ok(0) };
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).hint(AGAIN);
        let at = number(addr);
        let after = match at.checked_add(1) {
            Some(next) => sorted.lower(&next.to_be_bytes()).map_err(fail)?,
            None => sorted.count(),
        };
        let Some(n) = after.checked_sub(1) else { return Ok(0) };
        let record = sorted.record(n).map_err(fail)?;
        Ok(record[16..20].try_into().map_or(0, u32::from_be_bytes))
    }
    /// The networks whose value passes a test, in order, none inside another.
    pub fn networks(&self, wanted: &dyn Fn(u32) -> bool) -> Result<Vec<IpNet>> {
        let Some(sorted) = &self.ranges else { return Ok(Vec::new()) };
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).hint(AGAIN);
        let mut nets = Vec::new();
        let mut open: Option<u128> = None;
        sorted
            .each(&mut |record| {
                let first = record[..16].try_into().map_or(0, u128::from_be_bytes);
                let value = record[16..20].try_into().map_or(0, u32::from_be_bytes);
                match (open, value != 0 && wanted(value)) {
                    (None, true) => open = Some(first),
                    (Some(from), false) => {
                        cover(from, first.saturating_sub(1), &mut nets);
                        open = None;
                    }
                    _ => {}
                }
                true
            })
            .map_err(fail)?;
        if let Some(from) = open {
            cover(from, u128::MAX, &mut nets);
        }
        nets.sort_unstable();
        Ok(nets)
    }
}

/// The networks that make up a range.
fn cover(first: u128, last: u128, to: &mut Vec<IpNet>) {
    const MAPPED: u128 = 0xffff_0000_0000;
    let mut at = first;
    loop {
        // The largest block that begins here and ends not after the range.
        let mut size = at.trailing_zeros().min(127);
        while size > 0 && at.checked_add((1u128 << size) - 1).is_none_or(|end| end > last) {
            size -= 1;
        }
        let len = 128 - size as u8;
        let v4 = at >> 32 == MAPPED >> 32 && len >= 96;
        let net = match v4 {
            true => IpNet::new(Ipv6Addr::from(at).to_ipv4_mapped().map_or(IpAddr::V6(Ipv6Addr::from(at)), IpAddr::V4), len - 96),
            false => IpNet::new(IpAddr::V6(Ipv6Addr::from(at)), len),
        };
        to.extend(net);
        match at.checked_add((1u128 << size) - 1).and_then(|end| end.checked_add(1)) {
            Some(next) if next <= last => at = next,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(nets: &[(&str, &str)]) -> (tempfile::TempDir, Table, Vec<Registered>) {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::default();
        for (net, country) in nets {
            let value = maker.value(Registered { country: (*country).into(), ..Registered::default() }).unwrap();
            maker.network(&net.parse().unwrap(), value).unwrap();
        }
        maker.end(dir.path(), Description { sha256: "cd".repeat(32), ..Description::default() }).unwrap();
        let table = Table::open(&super::super::path(dir.path(), &"cd".repeat(32))).unwrap();
        let values = table.values().unwrap();
        (dir, table, values)
    }

    #[test]
    fn the_narrowest_network_counts_and_gaps_have_none() {
        let nets = [
            ("10.0.0.0/8", "AA"),
            ("10.1.0.0/16", "BB"),
            ("10.1.255.0/24", "CC"),
            ("10.2.0.0/16", "AA"),
            ("11.0.0.0/8", "BB"),
            ("2001:db8::/32", "CC"),
            ("255.255.255.0/24", "AA"),
        ];
        let (_dir, table, values) = table(&nets);
        let of = |t: &str| match table.value_of(t.parse().unwrap()).unwrap() {
            0 => "",
            n => values[n as usize - 1].country.as_str(),
        };
        for (addr, want) in [
            ("9.255.255.255", ""),
            ("10.0.0.0", "AA"),
            ("10.1.0.0", "BB"),
            ("10.1.255.9", "CC"),
            ("10.2.0.0", "AA"),
            ("10.255.255.255", "AA"),
            ("11.255.255.255", "BB"),
            ("12.0.0.0", ""),
            ("::ffff:10.1.0.1", "BB"),
            ("2001:db8::1", "CC"),
            ("2001:db9::", ""),
            ("255.255.255.255", "AA"),
        ] {
            assert_eq!(of(addr), want, "{addr}");
        }
        let found = table.networks(&|v| values[v as usize - 1].country == "BB").unwrap();
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown[..2], ["10.1.0.0/17", "10.1.128.0/18"]);
        assert_eq!((shown.len(), shown.last().map(String::as_str)), (9, Some("11.0.0.0/8")));
    }

    #[test]
    fn random_ranges_are_as_a_search_through_all_says() {
        let mut seed = 3u64;
        let mut random = move |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..200 {
            let mut nets: Vec<(String, String)> = Vec::new();
            for _ in 0..random(12) {
                let len = 24 + random(9);
                let net = format!("192.0.2.{}/{len}", random(256)).parse::<IpNet>().unwrap().trunc().to_string();
                // Of the same network twice either may count.
                if !nets.iter().any(|(n, _)| *n == net) {
                    nets.push((net, format!("{}", random(4))));
                }
            }
            let given: Vec<(&str, &str)> = nets.iter().map(|(n, c)| (n.as_str(), c.as_str())).collect();
            let (_dir, table, values) = table(&given);
            for last in 0..=255u8 {
                let addr = IpAddr::from([192, 0, 2, last]);
                let holding =
                    nets.iter().filter_map(|(n, c)| Some((n.parse::<IpNet>().ok()?, c))).filter(|(n, _)| n.contains(&addr));
                let want = holding.max_by_key(|(n, _)| n.prefix_len()).map_or("", |(_, c)| c.as_str());
                let found = table.value_of(addr).unwrap();
                assert_eq!(if found == 0 { "" } else { values[found as usize - 1].country.as_str() }, want, "{addr} {nets:?}");
            }
        }
    }

    #[test]
    fn every_address_is_covered_by_a_range_that_ends_at_the_last() {
        let mut nets = Vec::new();
        cover(0, u128::MAX, &mut nets);
        assert_eq!(nets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["::/1", "8000::/1"]);
    }
}
