//! Who registered an address and who announces it: files of MaxMind's format (country, city, ASN), RIR delegated-extended statistics, CAIDA's
//! pfx2as, read into a table of ranges.
//!
//! MaxMind DB: specification version 2.0; `country.iso_code`, `registered_country.iso_code`, `autonomous_system_number` and `_organization`. RIR
//! statistics: `registry|cc|type|start|value|date|status|opaque-id`, of IPv4 the value is a number of addresses, of IPv6 a prefix length. pfx2as:
//! prefix, length, number, tab-separated; of several origins (`_`, `,`) the first.

use super::tables::ranges::{Maker, Registered};
use crate::error::{Error, Result};
use ipnet::IpNet;
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr};

/// Largest file of MaxMind's format that is read: it is held in memory.
pub const MAXMIND_MAX: u64 = 512 << 20;
/// Longest line of the others.
const LINE_MAX: u64 = 4096;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// MaxMind DB.
    MaxMind,
    /// RIR delegated-extended statistics.
    Delegated,
    /// CAIDA pfx2as.
    Announced,
}

impl Form {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Form::MaxMind => "mmdb",
            Form::Delegated => "rir-delegated",
            Form::Announced => "pfx2as",
        }
    }
    /// What a file is by its beginning and end.
    pub fn of(head: &[u8], tail: &[u8]) -> Option<Form> {
        if memchr::memmem::find(tail, b"\xab\xcd\xefMaxMind.com").is_some() {
            return Some(Form::MaxMind);
        }
        let text = String::from_utf8_lossy(head);
        let lines: Vec<&str> = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).take(20).collect();
        // The last line may be cut.
        let whole = &lines[..lines.len().saturating_sub(usize::from(lines.len() > 1))];
        let most =
            |test: &dyn Fn(&str) -> bool| !whole.is_empty() && whole.iter().filter(|l| test(l)).count() * 10 >= whole.len() * 8;
        if most(&|l| delegated(l).is_some() || is_summary(l)) && whole.iter().any(|l| l.contains('|')) {
            Some(Form::Delegated)
        } else if most(&|l| announced(l).is_some()) {
            Some(Form::Announced)
        } else {
            None
        }
    }
}

/// What was read of a file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Networks.
    pub networks: u64,
    /// Lines or entries that were not understood.
    pub failed: u64,
}

#[derive(Deserialize, Default)]
struct Country {
    iso_code: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    country: Option<Country>,
    registered_country: Option<Country>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

/// Reads a file of MaxMind's format. A file that is damaged, or whose tree is none, is an error that says so.
pub fn maxmind(data: Vec<u8>, maker: &mut Maker) -> Result<Counts> {
    let bad = |e: &dyn std::fmt::Display| Error::input(format!("this file of MaxMind's format is damaged: {e}"));
    let reader = Reader::from_source(data).map_err(|e| bad(&e))?;
    let all = if reader.metadata().ip_version == 6 { "::/0" } else { "0.0.0.0/0" };
    let all = all.parse().map_err(|_| bad(&"it has no addresses"))?;
    // Everything is asked for, also what is skipped below: so the walk gives something at every step, and its end can be told. A tree of n nodes has
    // n + 1 leaves; the aliases of the IPv4 part are a few times more.
    let options = WithinOptions::default().include_aliased_networks().include_networks_without_data();
    let most = u64::from(reader.metadata().node_count).saturating_mul(8).saturating_add(1024);
    let mut values: HashMap<usize, u32> = HashMap::new();
    let mut counts = Counts::default();
    for (n, found) in reader.within(all, options).map_err(|e| bad(&e))?.enumerate() {
        if n as u64 > most {
            return Err(bad(&"its search tree leads nowhere"));
        }
        let found = found.map_err(|e| bad(&e))?;
        let Some(offset) = found.offset() else { continue };
        let network = found.network().map_err(|e| bad(&e))?;
        let Ok(net) = IpNet::new(network.ip(), network.prefix()) else { continue };
        if is_alias(&net) {
            continue;
        }
        let value = match values.get(&offset) {
            Some(value) => *value,
            None => {
                let value = match found.decode::<Entry>() {
                    Ok(Some(entry)) => registered(entry).map_or(Ok(0), |r| maker.value(r))?,
                    Ok(None) => 0,
                    Err(_) => {
                        counts.failed += 1;
                        0
                    }
                };
                values.insert(offset, value);
                value
            }
        };
        if value > 0 {
            counts.networks += 1;
            maker.network(&net, value)?;
        }
    }
    Ok(counts)
}

/// Where a database leads once more to its IPv4 part: mapped, 6to4, Teredo.
fn is_alias(net: &IpNet) -> bool {
    let IpNet::V6(v6) = net else { return false };
    let s = v6.addr().segments();
    let len = v6.prefix_len();
    len >= 96 && s[..5] == [0; 5] && s[5] == 0xffff || len >= 16 && s[0] == 0x2002 || len >= 32 && s[0] == 0x2001 && s[1] == 0
}

fn registered(entry: Entry) -> Option<Registered> {
    let code = |c: Option<Country>| c.and_then(|c| c.iso_code).filter(|c| is_code(c));
    let country = code(entry.country).or_else(|| code(entry.registered_country)).unwrap_or_default();
    let value = Registered {
        country: country.to_ascii_uppercase(),
        number: entry.autonomous_system_number.unwrap_or(0),
        name: short(&entry.autonomous_system_organization.unwrap_or_default()),
        ..Registered::default()
    };
    (value != Registered::default()).then_some(value)
}

fn is_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(120)].to_owned()
}

/// First and last address, and what is registered, of a line of delegated statistics.
fn delegated(line: &str) -> Option<(IpAddr, IpAddr, Registered)> {
    let mut cells = line.split('|');
    let (registry, country, kind, start, value) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let (date, status) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
    let (first, last) = match kind {
        "ipv4" => {
            let first: Ipv4Addr = start.parse().ok()?;
            let count: u64 = value.parse().ok().filter(|n| *n > 0)?;
            let last = u32::try_from(u64::from(u32::from(first)) + count - 1).ok()?;
            (IpAddr::V4(first), IpAddr::V4(last.into()))
        }
        "ipv6" => {
            let net = IpNet::new(start.parse().ok()?, value.parse().ok()?).ok()?;
            (net.network(), net.broadcast())
        }
        _ => return None,
    };
    // What the registry has not given to anybody is registered to nobody: it has neither country nor date.
    let given = !matches!(status, "available" | "reserved");
    if !given {
        return Some((first, last, Registered { nobody: true, ..Registered::default() }));
    }
    let value = Registered {
        country: if is_code(country) && country != "ZZ" { country.to_ascii_uppercase() } else { String::new() },
        registry: short(registry),
        allocated: if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) { date.to_owned() } else { String::new() },
        ..Registered::default()
    };
    Some((first, last, value))
}

/// The version line, sums, and numbers of systems.
fn is_summary(line: &str) -> bool {
    let mut cells = line.split('|');
    let first = cells.next().unwrap_or("");
    let kind = cells.nth(1).unwrap_or("");
    line.ends_with("|summary") || kind == "asn" || first.parse::<f32>().is_ok() && line.matches('|').count() >= 5
}

fn announced(line: &str) -> Option<(IpNet, u32)> {
    let mut cells = line.split_ascii_whitespace();
    let (prefix, len, origin) = (cells.next()?, cells.next()?, cells.next()?);
    let net = IpNet::new(prefix.parse().ok()?, len.parse().ok()?).ok()?.trunc();
    let first = origin.split(['_', ',']).next()?;
    // AS numbers of four bytes may be written in two parts.
    let number = match first.split_once('.') {
        Some((high, low)) => high.parse::<u32>().ok()?.checked_mul(65_536)?.checked_add(low.parse().ok()?)?,
        None => first.parse().ok()?,
    };
    cells.next().is_none().then_some((net, number))
}

/// Reads a text of either form line by line.
pub fn lines(form: Form, input: &mut dyn BufRead, maker: &mut Maker) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let used = std::io::Read::take(&mut *input, LINE_MAX)
            .read_until(b'\n', &mut bytes)
            .map_err(|e| Error::input(format!("cannot be read on: {e}")))?;
        if used == 0 {
            return Ok(counts);
        }
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match form {
            Form::Announced => match announced(line) {
                Some((net, number)) => {
                    let value = maker.value(Registered { number, ..Registered::default() })?;
                    maker.network(&net, value)?;
                    counts.networks += 1;
                }
                None => counts.failed += 1,
            },
            _ => match delegated(line) {
                Some((first, last, value)) => {
                    let value = maker.value(value)?;
                    maker.add(first, last, value)?;
                    counts.networks += 1;
                }
                None if is_summary(line) => {}
                None => counts.failed += 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tables::{Description, Table, path};

    fn said(form: Form, text: &str, addr: &str) -> (Counts, Option<Registered>) {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::default();
        let counts = lines(form, &mut text.as_bytes(), &mut maker).unwrap();
        maker.end(dir.path(), Description { sha256: "ef".repeat(32), ..Description::default() }).unwrap();
        let table = Table::open(&path(dir.path(), &"ef".repeat(32))).unwrap();
        let n = table.value_of(addr.parse().unwrap()).unwrap();
        (counts, table.values().unwrap().get((n as usize).wrapping_sub(1)).cloned())
    }

    #[test]
    fn statistics_of_a_registry_are_read() {
        let text = "2|ripencc|1763596799|4|19830705|20251119|+0100\nripencc|*|ipv4|*|3|summary\nripencc|NL|ipv4|192.0.2.0|384|20110203|allocated|x\nripencc|DE|ipv6|2001:db8::|32|19990826|allocated|y\nripencc||ipv4|198.51.100.0|256||available|\nripencc|GB|asn|64496|1|19930901|allocated|z\nbad|line\n";
        assert_eq!(Form::of(text.as_bytes(), b""), Some(Form::Delegated));
        let (counts, found) = said(Form::Delegated, text, "192.0.3.127");
        assert_eq!(counts, Counts { networks: 3, failed: 1 });
        let found = found.unwrap();
        assert_eq!((found.country.as_str(), found.registry.as_str(), found.allocated.as_str()), ("NL", "ripencc", "20110203"));
        assert_eq!(said(Form::Delegated, text, "192.0.3.128").1, None);
        let nobody = Registered { nobody: true, ..Registered::default() };
        assert_eq!(said(Form::Delegated, text, "198.51.100.1").1, Some(nobody));
        assert_eq!(said(Form::Delegated, text, "2001:db8:ffff::1").1.unwrap().country, "DE");
    }

    #[test]
    fn announced_prefixes_are_read_and_the_narrowest_counts() {
        let text = "192.0.2.0\t24\t64500\n192.0.2.128\t25\t64501_64502\n198.51.100.0\t24\t64503,64504\nrubbish\n";
        assert_eq!(Form::of(text.as_bytes(), b""), Some(Form::Announced));
        for (addr, want) in [("192.0.2.1", 64500), ("192.0.2.200", 64501), ("198.51.100.9", 64503)] {
            let (counts, found) = said(Form::Announced, text, addr);
            assert_eq!((counts.networks, counts.failed, found.map(|f| f.number)), (3, 1, Some(want)), "{addr}");
        }
        for text in ["", "a b c\nd e f\n", "203.0.113.9\n203.0.113.8\n", "2|3\n"] {
            assert_eq!(Form::of(text.as_bytes(), b""), None, "{text}");
        }
    }

    fn text(t: &str) -> Vec<u8> {
        [&[0x40 | t.len() as u8][..], t.as_bytes()].concat()
    }

    /// A database of IPv4 that knows one /24; `link` is what the tree's last node leads to, none: the data.
    fn database(net: [u8; 3], link: Option<u32>) -> Vec<u8> {
        const NODES: u32 = 24;
        let bits = u32::from_be_bytes([net[0], net[1], net[2], 0]);
        let mut out = Vec::new();
        for n in 0..NODES {
            let next = if n + 1 < NODES { n + 1 } else { link.unwrap_or(NODES + 16) };
            let right = bits >> (31 - n) & 1 == 1;
            for side in [false, true] {
                out.extend(&(if side == right { next } else { NODES }).to_be_bytes()[1..]);
            }
        }
        out.extend([0; 16]);
        // {"country": {"iso_code": "DE"}, "autonomous_system_number": 64500, "autonomous_system_organization": "Odd"}
        out.push(0xe3);
        out.extend([text("country"), vec![0xe1], text("iso_code"), text("DE"), text("autonomous_system_number")].concat());
        out.extend([&[0xc4][..], &64_500u32.to_be_bytes()].concat());
        // A name of 30 bytes: its length is 29 and one byte more.
        out.extend([&[0x5d, 1][..], b"autonomous_system_organization"].concat());
        out.extend(text("Odd"));
        out.extend(b"\xab\xcd\xefMaxMind.com\xe9");
        out.extend([&text("node_count")[..], &[0xc4], &NODES.to_be_bytes()].concat());
        for (key, value) in [("record_size", 24u16), ("ip_version", 4)] {
            out.extend([&text(key)[..], &[0xa2], &value.to_be_bytes()].concat());
        }
        out.extend([text("database_type"), text("Test"), text("languages"), vec![0, 4]].concat());
        for key in ["binary_format_major_version", "binary_format_minor_version"] {
            out.extend([text(key), vec![0xa1, if key.contains("major") { 2 } else { 0 }]].concat());
        }
        out.extend([text("build_epoch"), vec![4, 2, 0x60, 0, 0, 0], text("description"), vec![0xe0]].concat());
        out
    }

    #[test]
    fn a_database_of_maxminds_format_is_read_and_damage_is_an_error() {
        let data = database([192, 0, 2], None);
        assert_eq!(Form::of(b"", &data), Some(Form::MaxMind));
        let mut maker = Maker::default();
        assert_eq!(maxmind(data.clone(), &mut maker).unwrap(), Counts { networks: 1, failed: 0 });
        let dir = tempfile::tempdir().unwrap();
        maker.end(dir.path(), Description { sha256: "aa".repeat(32), ..Description::default() }).unwrap();
        let table = Table::open(&path(dir.path(), &"aa".repeat(32))).unwrap();
        let of = |t: &str| table.value_of(t.parse().unwrap()).unwrap();
        assert_eq!((of("192.0.2.9"), of("192.0.3.0"), of("192.0.1.255")), (1, 0, 0));
        let want = Registered { country: "DE".into(), number: 64_500, name: "Odd".into(), ..Registered::default() };
        assert_eq!(table.values().unwrap(), [want]);
        for end in 0..data.len() {
            let _ = maxmind(data[..end].to_vec(), &mut Maker::default());
            let mut bad = data.clone();
            bad[end] ^= 0x55;
            let _ = maxmind(bad, &mut Maker::default());
        }
        // A tree that leads back into itself.
        assert!(maxmind(database([192, 0, 2], Some(3)), &mut Maker::default()).is_err());
    }
}
