//! A table of indicators: found by the hash of their text, networks by the addresses in them.
//!
//! Ten million indicators take 16 bytes each while they are sorted, in runs of `RUN` that are merged from temporary files.

use super::{Description, Table, Writer};
use crate::error::{Error, Result};
use crate::model::filter::canonical;
use crate::model::{Record, field};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Bytes of a record of the run of texts, and of its key: hash; place of the row.
pub(super) const EXACT: (u16, u16) = (16, 8);
/// The same of the run of networks: first address and length; place of the row, number of the network around it.
pub(super) const NETWORKS: (u16, u16) = (33, 17);
/// Records that are sorted at once: 64 MiB.
const RUN: usize = 4 << 20;
/// Most networks of one table.
const NETWORKS_MAX: usize = 4_000_000;
/// Most rows that one lookup gives.
const FOUND_MAX: usize = 256;
/// Longest row.
const ROW_MAX: usize = 64 << 10;

/// What a list says of an indicator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The indicator as listed.
    pub indicator: String,
    /// The list's class of it.
    pub category: String,
    /// Why it is listed.
    pub reason: String,
    /// Last time that it was listed or seen, nanoseconds UTC.
    pub last: i64,
    /// Confidence that the list states, 0 to 1.
    pub confidence: Option<f32>,
    /// It is a URL: it says less of its host.
    pub url: bool,
}

/// The text by which an indicator is looked up: a URL and a name in lower case, an address in its canonical form.
fn key(text: &str) -> [u8; 8] {
    // FNV-1a, then the finaliser of MurmurHash3: stable over builds.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)).to_be_bytes()
}

/// First address and length of a network among all addresses, IPv4 as mapped.
fn place(net: &IpNet) -> [u8; 17] {
    let (first, len) = match net.trunc() {
        IpNet::V4(v4) => (u128::from(v4.addr().to_ipv6_mapped()), v4.prefix_len() + 96),
        IpNet::V6(v6) => (u128::from(v6.addr()), v6.prefix_len()),
    };
    let mut out = [0; 17];
    out[..16].copy_from_slice(&first.to_be_bytes());
    out[16] = len;
    out
}

/// Whether a network holds another, both as [`place`] gives them.
fn holds(outer: &[u8], inner: &[u8]) -> bool {
    let first = |p: &[u8]| p.get(..16).and_then(|b| b.try_into().ok()).map_or(0, u128::from_be_bytes);
    let len = u32::from(outer[16].min(128));
    let mask = if len == 0 { 0 } else { u128::MAX << (128 - len) };
    outer[16] <= inner[16] && first(inner) & mask == first(outer)
}

/// A table of indicators being made.
pub struct Maker {
    case: PathBuf,
    out: Writer,
    exact: Vec<[u8; 16]>,
    runs: Vec<File>,
    networks: Vec<([u8; 17], u64)>,
    rows: u64,
}

impl Maker {
    /// In a case.
    pub fn new(case: &Path) -> Result<Maker> {
        let out = Writer::new(case)?;
        Ok(Maker { case: case.to_owned(), out, exact: Vec::new(), runs: Vec::new(), networks: Vec::new(), rows: 0 })
    }
    /// Adds what a record lists; `false`: it lists nothing that can be looked up.
    pub fn add(&mut self, record: &Record) -> Result<bool> {
        let Some(listed) = record.text(field::INDICATOR) else { return Ok(false) };
        let row = Row {
            indicator: listed.to_owned(),
            category: record.text(field::CATEGORY).unwrap_or("").to_owned(),
            reason: record.text(field::REASON).unwrap_or("").to_owned(),
            last: record.end.0,
            confidence: record.get(field::CONFIDENCE).and_then(|v| v.as_number()).map(|c| c as f32),
            url: record.get(field::URL).is_some(),
        };
        let mut keys: Vec<[u8; 8]> = Vec::new();
        let network = listed.trim().parse::<IpNet>().ok();
        if network.is_none() {
            let address = record.addr(field::DST_IP).map(|a| canonical(a).to_string());
            let texts = [field::NAME, field::URL, field::MD5, field::SHA1, field::SHA256, field::JA3, field::JA4];
            let texts = texts.into_iter().flat_map(|id| record.all(id)).filter_map(|v| v.as_text()).map(str::to_lowercase);
            keys.extend(texts.chain(address).map(|t| key(&t)));
            if keys.is_empty() {
                keys.push(key(&listed.to_lowercase()));
            }
        }
        let bytes = postcard::to_stdvec(&row).map_err(|e| Error::internal(format!("a row cannot be written: {e}")))?;
        if bytes.len() > ROW_MAX {
            return Ok(false);
        }
        if let Some(net) = &network {
            if self.networks.len() >= NETWORKS_MAX {
                return Err(Error::user(format!("the list has more than {NETWORKS_MAX} networks")).hint("split it"));
            }
            let at = self.row(&bytes)?;
            self.networks.push((place(net), at));
            return Ok(true);
        }
        let at = self.row(&bytes)?;
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let mut one = [0; 16];
            one[..8].copy_from_slice(&key);
            one[8..].copy_from_slice(&at.to_be_bytes());
            self.exact.push(one);
            if self.exact.len() >= RUN {
                self.spill()?;
            }
        }
        Ok(true)
    }
    fn row(&mut self, bytes: &[u8]) -> Result<u64> {
        self.rows += 1;
        let at = self.out.bytes(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes())?;
        self.out.bytes(bytes)?;
        Ok(at)
    }
    fn spill(&mut self) -> Result<()> {
        let fail = |e: std::io::Error| {
            Error::store(format!("a table of the case cannot be sorted: {e}")).hint("free some space in TMPDIR")
        };
        self.exact.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile_in(super::folder(&self.case)).map_err(fail)?);
        for one in &self.exact {
            file.write_all(one).map_err(fail)?;
        }
        let mut file = file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.rewind().map_err(fail)?;
        self.runs.push(file);
        self.exact.clear();
        Ok(())
    }
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    /// Ends the table.
    pub fn end(mut self, about: Description) -> Result<Description> {
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be written: {e}"));
        self.exact.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = [u8; 16]>>> = vec![Box::new(std::mem::take(&mut self.exact).into_iter())];
        for run in std::mem::take(&mut self.runs) {
            let mut reader = BufReader::new(run);
            sources.push(Box::new(std::iter::from_fn(move || {
                let mut one = [0; 16];
                reader.read_exact(&mut one).ok().map(|()| one)
            })));
        }
        let exact = self.out.sorted(EXACT, &mut |push| {
            let mut heads: std::collections::BinaryHeap<std::cmp::Reverse<([u8; 16], usize)>> =
                sources.iter_mut().enumerate().filter_map(|(n, s)| Some(std::cmp::Reverse((s.next()?, n)))).collect();
            while let Some(std::cmp::Reverse((one, n))) = heads.pop() {
                push(&one).map_err(fail)?;
                if let Some(next) = sources[n].next() {
                    heads.push(std::cmp::Reverse((next, n)));
                }
            }
            Ok(())
        })?;
        self.networks.sort_unstable();
        let parents = parents(&self.networks);
        let networks = self.out.sorted(NETWORKS, &mut |push| {
            for ((net, row), parent) in self.networks.iter().zip(&parents) {
                push(&[&net[..], &row.to_be_bytes(), &parent.to_be_bytes()].concat()).map_err(fail)?;
            }
            Ok(())
        })?;
        let about = Description { entries: self.rows, exact: Some(exact), networks: Some(networks), ..about };
        self.out.end(&self.case, &about)?;
        Ok(about)
    }
}

/// For each of the networks in order the number of the nearest before it that holds it.
fn parents(networks: &[([u8; 17], u64)]) -> Vec<u64> {
    let mut open: Vec<usize> = Vec::new();
    let mut out = Vec::with_capacity(networks.len());
    for (n, (net, _)) in networks.iter().enumerate() {
        while open.last().is_some_and(|outer| !holds(&networks[*outer].0, net)) {
            open.pop();
        }
        out.push(open.last().map_or(u64::MAX, |outer| *outer as u64));
        open.push(n);
    }
    out
}

impl Table {
    fn row(&self, at: u64) -> std::io::Result<Row> {
        let bad = || std::io::Error::new(std::io::ErrorKind::InvalidData, "a row of the table is damaged");
        let len = self.pages.bytes(at, 4)?;
        let len = u32::from_be_bytes(len.try_into().map_err(|_| bad())?) as usize;
        if len > ROW_MAX {
            return Err(bad());
        }
        postcard::from_bytes(&self.pages.bytes(at.saturating_add(4), len)?).map_err(|_| bad())
    }
    /// The rows of a text, which is an address, name, URL, hash or fingerprint in lower case.
    pub fn exact(&self, text: &str) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        let Some(sorted) = &self.exact else { return Ok(found) };
        let key = key(text);
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).hint(super::AGAIN);
        let mut n = sorted.lower(&key).map_err(fail)?;
        while n < sorted.count() && found.len() < FOUND_MAX {
            let record = sorted.record(n).map_err(fail)?;
            if record[..8] != key {
                break;
            }
            let at = record[8..16].try_into().map_or(0, u64::from_be_bytes);
            let row = self.row(at).map_err(fail)?;
            // Another text may have the same hash.
            if row.is(text) {
                found.push(row);
            }
            n += 1;
        }
        Ok(found)
    }
    /// Whether a text has rows, as [`Table::exact`] without reading them.
    pub fn has(&self, text: &str) -> Result<bool> {
        let Some(sorted) = &self.exact else { return Ok(false) };
        let key = key(text);
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).hint(super::AGAIN);
        let n = sorted.lower(&key).map_err(fail)?;
        Ok(n < sorted.count() && sorted.record(n).map_err(fail)?[..8] == key)
    }
    /// The listed networks that hold an address or network, the narrowest first, with their rows.
    pub fn around(&self, inner: &IpNet) -> Result<Vec<(IpNet, Row)>> {
        let mut found = Vec::new();
        let Some(sorted) = &self.networks else { return Ok(found) };
        let fail = |e: std::io::Error| Error::store(format!("a table of the case cannot be read: {e}")).hint(super::AGAIN);
        let inner = place(inner);
        // The last that begins not after it is the narrowest that can hold it; the others are above that.
        let mut after = inner;
        after[16] = inner[16].saturating_add(1);
        let mut next = sorted.lower(&after).map_err(fail)?.checked_sub(1);
        let mut steps = 0;
        while let Some(n) = next.filter(|n| *n < sorted.count() && steps < 4 * FOUND_MAX) {
            steps += 1;
            let record = sorted.record(n).map_err(fail)?;
            if holds(&record, &inner) && found.len() < FOUND_MAX {
                let at = record[17..25].try_into().map_or(0, u64::from_be_bytes);
                let row = self.row(at).map_err(fail)?;
                if let Ok(net) = row.indicator.trim().parse::<IpNet>() {
                    found.push((net.trunc(), row));
                }
            }
            next = record[25..33].try_into().ok().map(u64::from_be_bytes).filter(|p| *p < n);
        }
        Ok(found)
    }
}

impl Row {
    /// Whether it lists a text, be it by what is derived of it: the name or address of a URL, a refanged form.
    fn is(&self, text: &str) -> bool {
        let listed = self.indicator.to_lowercase();
        let address = || text.parse::<IpAddr>().is_ok_and(|a| listed.parse::<IpAddr>().is_ok_and(|l| canonical(l) == a));
        // What was defanged or carries more (a URL, a star) contains what it was looked up by, but for the signs of defanging.
        listed == text || self.url || listed.contains(['[', '(', '{', '*', '\\', '"']) || listed.contains(text) || address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EvidenceKey, Kind, RecordId, SourceId, Time, Value};

    fn listed(text: &str, more: &[(crate::model::FieldId, Value)]) -> Record {
        let id = RecordId { evidence: EvidenceKey(1), offset: 0, ordinal: 0 };
        let mut record = Record::new(Kind::Inventory, id, SourceId(1), Time(5));
        record.set(field::INDICATOR, text);
        more.iter().for_each(|(id, value)| record.set(*id, value.clone()));
        record
    }

    fn table(records: &[Record]) -> (tempfile::TempDir, Table) {
        let dir = tempfile::tempdir().unwrap();
        let mut maker = Maker::new(dir.path()).unwrap();
        for record in records {
            assert!(maker.add(record).unwrap());
        }
        maker.end(Description { sha256: "ab".repeat(32), ..Description::default() }).unwrap();
        let table = Table::open(&super::super::path(dir.path(), &"ab".repeat(32))).unwrap();
        (dir, table)
    }

    #[test]
    fn indicators_are_found_by_their_text_and_networks_by_what_is_in_them() {
        let name = |t: &str| (field::NAME, Value::from(t));
        let ip = |a: [u8; 4]| (field::DST_IP, Value::Addr(a.into()));
        let mut records = vec![
            listed("Evil.Example", &[name("evil.example"), (field::CATEGORY, Value::from("c2"))]),
            listed("203.0.113.9", &[ip([203, 0, 113, 9])]),
            listed("http://evil.example/a", &[name("evil.example"), (field::URL, Value::from("http://evil.example/a"))]),
        ];
        let nets =
            ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.0/24", "203.0.112.0/24", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"];
        records.extend(nets.map(|n| listed(n, &[])));
        records.extend((0..5000u32).map(|n| listed(&format!("n{n}.example"), &[name(&format!("n{n}.example"))])));
        let (_dir, table) = table(&records);
        let said = |t: &str| table.exact(t).unwrap().into_iter().map(|r| r.indicator).collect::<Vec<_>>();
        assert_eq!(said("evil.example"), ["Evil.Example", "http://evil.example/a"]);
        assert_eq!(table.exact("evil.example").unwrap()[0].category, "c2");
        assert_eq!((said("203.0.113.9"), said("203.0.113.8")), (vec!["203.0.113.9".to_owned()], Vec::new()));
        assert!((0..5000).all(|n| table.has(&format!("n{n}.example")).unwrap()) && !table.has("n5000.example").unwrap());
        let around = |t: &str| {
            let found = table.around(&t.parse().unwrap()).unwrap();
            found.into_iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(around("203.0.113.9/32"), ["203.0.113.0/24", "203.0.113.0/24", "203.0.0.0/16", "0.0.0.0/0"]);
        assert_eq!(around("203.0.113.0/24").len(), 4);
        assert_eq!(around("203.0.0.0/17"), ["203.0.0.0/16", "0.0.0.0/0"]);
        assert_eq!(around("2001:db8::1/128"), ["2001:db8::/32"]);
        assert_eq!(around("2001:db9::1/128"), Vec::<String>::new());
    }

    #[test]
    fn a_table_that_is_damaged_anywhere_is_an_error_or_an_answer_never_a_panic() {
        let records: Vec<Record> = (0..300u32)
            .map(|n| listed(&format!("n{n}.example"), &[(field::NAME, Value::from(format!("n{n}.example")))]))
            .chain((0..100u32).map(|n| listed(&format!("10.{n}.0.0/16"), &[])))
            .collect();
        let (dir, _) = table(&records);
        let path = super::super::path(dir.path(), &"ab".repeat(32));
        let whole = std::fs::read(&path).unwrap();
        let other = dir.path().join("context/other.tbl");
        let try_it = |bytes: &[u8]| {
            std::fs::write(&other, bytes).unwrap();
            if let Ok(table) = Table::open(&other) {
                let _ = (table.exact("n7.example"), table.around(&"10.9.1.1/32".parse().unwrap()));
            }
        };
        // A run whose records are shorter than what is read of them.
        let mut narrow = whole.clone();
        let at = memchr::memmem::find(&whole, b"\"width\":33").unwrap() + 8;
        narrow[at..at + 2].copy_from_slice(b"20");
        std::fs::write(&other, narrow).unwrap();
        assert!(Table::open(&other).is_err());
        let mut seed = 9u64;
        for _ in 0..300 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % whole.len();
            try_it(&whole[..at]);
            let mut bad = whole.clone();
            bad[at] ^= (seed >> 20) as u8 | 1;
            try_it(&bad);
        }
    }
}
