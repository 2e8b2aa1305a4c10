//! On which lists does an address, name, URL or hash stand, and what is that worth at a time?
//!
//! Each list counts with `confidence · 2^(-age / half-life) · match`: match is 1 for the indicator itself, 0.8 for a network of /24 or longer,
//! 0.5 for a wider one, 0.7 for a domain above a name. A list counts once, with its best match; the score is `100 · (1 - Π(1 - e))`. Age is
//! measured from the listing to the time asked for, not to now, so that an old case gives the same score again.

use super::fact;
use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::entity::EntityKind;
use crate::model::filter::{Test, canonical};
use crate::model::time::DAY;
use crate::model::{Cancel, Entity, FieldId, Filter, Kind, Record, RecordId, Time, Value, field};
use crate::store::{Ask, Snapshot};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// Confidence of a list that states none.
const CONFIDENCE: f64 = 0.75;
/// Most listed networks that are kept in memory.
const MAX_NETWORKS: usize = 1_000_000;
/// Most listings that are read for one entity.
const MAX_LISTINGS: usize = 1_000;
/// Listings that are shown.
const SHOWN: usize = 8;

/// Every listed network of a case: they cannot be found by an index of addresses. Read once per snapshot.
#[derive(Debug, Default)]
pub struct Networks {
    listed: Vec<(IpNet, RecordId)>,
    /// Networks that were beyond the bound.
    pub dropped: u64,
}

impl Networks {
    /// Reads the networks of all lists.
    pub fn read(snapshot: &Snapshot, cancel: &Cancel) -> Result<Networks> {
        let filter =
            Filter::is(field::KIND, Kind::Inventory.name()).and(Filter::Test(field::INDICATOR, Test::Contains("/".into())));
        let ask = Ask { fields: Some(&[field::INDICATOR]), ..Ask::new(&filter) };
        let mut networks = Networks::default();
        snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
            for value in row.values(field::INDICATOR) {
                let Some(net) = value.as_text().and_then(|t| t.trim().parse::<IpNet>().ok()) else { continue };
                if networks.listed.len() < MAX_NETWORKS {
                    networks.listed.push((net.trunc(), row.id()));
                } else {
                    networks.dropped += 1;
                }
            }
            true
        })?;
        cancel.check()?;
        networks.listed.sort_unstable();
        Ok(networks)
    }
    /// The records of the networks that hold an address or network.
    fn around(&self, inner: &IpNet) -> impl Iterator<Item = RecordId> {
        let nets: Vec<IpNet> =
            (0..=inner.prefix_len()).rev().filter_map(|n| IpNet::new(inner.addr(), n).ok()).map(|n| n.trunc()).collect();
        nets.into_iter().flat_map(|net| {
            let from = self.listed.partition_point(|(n, _)| *n < net);
            self.listed[from..].iter().take_while(move |(n, _)| *n == net).map(|(_, id)| *id)
        })
    }
}

/// One list's word on an entity.
struct Listing {
    record: Record,
    how: &'static str,
    weight: f64,
}

/// The score and the lists behind it; nothing if no list holds it.
pub fn facts(snapshot: &Snapshot, networks: &Networks, entity: &Entity, at: Option<Time>, cancel: &Cancel) -> Result<Vec<Fact>> {
    let mut found = listings(snapshot, networks, entity, cancel)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let score_of = |l: &Listing| effect(l, at);
    found.sort_by(|a, b| score_of(b).total_cmp(&score_of(a)).then_with(|| a.record.id.cmp(&b.record.id)));
    let mut lists: BTreeMap<String, f64> = BTreeMap::new();
    for listing in &found {
        let best = lists.entry(feed(&listing.record)).or_insert(0.0);
        *best = best.max(score_of(listing));
    }
    let score = 100.0 * (1.0 - lists.values().map(|e| 1.0 - e).product::<f64>());
    let severity = rank(score);
    let number = lists.len();
    let mut out = vec![Fact {
        label: "reputation".into(),
        text: format!("{score:.0} of 100, on {number} list{}", if number == 1 { "" } else { "s" }),
        severity: Some(severity),
        evidence: found.first().map(|l| l.record.id),
    }];
    for listing in found.iter().take(SHOWN) {
        out.push(Fact {
            label: "listed".into(),
            text: say(listing, at, score_of(listing)),
            severity: Some(rank(100.0 * score_of(listing))),
            evidence: Some(listing.record.id),
        });
    }
    if found.len() > SHOWN {
        out.push(fact("listed", format!("{} more", found.len() - SHOWN)));
    }
    Ok(out)
}

fn rank(score: f64) -> u8 {
    match score {
        s if s >= 80.0 => 4,
        s if s >= 60.0 => 3,
        s if s >= 30.0 => 2,
        _ => 1,
    }
}

fn feed(record: &Record) -> String {
    record.text(field::FEED).map_or_else(|| record.id.evidence.to_string(), str::to_owned)
}

fn listings(snapshot: &Snapshot, networks: &Networks, entity: &Entity, cancel: &Cancel) -> Result<Vec<Listing>> {
    let text = entity.value.to_string().trim_end_matches('.').to_lowercase();
    let is = |id: FieldId, value: &str| Filter::is(id, value);
    let mut found: Vec<Listing> = Vec::new();
    let mut take = |filter: Filter, how: &'static str, weight: f64| -> Result<()> {
        let all = Filter::is(field::KIND, Kind::Inventory.name()).and(Filter::Test(field::INDICATOR, Test::Exists)).and(filter);
        let ask = Ask { limit: MAX_LISTINGS, ..Ask::new(&all) };
        snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |record| {
            if !found.iter().any(|l| l.record.id == record.id) {
                found.push(Listing { record, how, weight });
            }
            true
        })?;
        cancel.check()
    };
    match (entity.kind, &entity.value) {
        (EntityKind::Address, Value::Addr(addr)) => {
            take(Filter::Test(field::DST_IP, Test::Is(Value::Addr(canonical(*addr)))), "the address", 1.0)?;
            add_networks(snapshot, networks, &IpNet::from(canonical(*addr)), &mut found)?;
        }
        (EntityKind::Network, _) => {
            if let Ok(net) = text.parse::<IpNet>() {
                add_networks(snapshot, networks, &net.trunc(), &mut found)?;
            }
        }
        (EntityKind::Name, _) => {
            take(is(field::NAME, &text), "the name", 1.0)?;
            let mut above = text.as_str();
            while let Some((_, rest)) = above.split_once('.') {
                // A top-level domain is not a reason.
                if !rest.contains('.') {
                    break;
                }
                take(is(field::NAME, rest), "a domain above it", 0.7)?;
                above = rest;
            }
        }
        (EntityKind::Url, Value::Text(url)) => take(is(field::URL, url), "the url", 1.0)?,
        (EntityKind::Hash, _) => {
            let id = match text.len() {
                32 => field::MD5,
                40 => field::SHA1,
                _ => field::SHA256,
            };
            take(is(id, &text), "the hash", 1.0)?;
        }
        (EntityKind::Fingerprint, _) => take(is(field::INDICATOR, &text), "the fingerprint", 1.0)?,
        _ => {}
    }
    // A listed URL of a host says less about the host than a listing of the host itself.
    if matches!(entity.kind, EntityKind::Address | EntityKind::Name) {
        for listing in &mut found {
            if listing.record.text(field::URL).is_some() {
                listing.how = "a url on it";
                listing.weight = listing.weight.min(0.7);
            }
        }
    }
    Ok(found)
}

fn add_networks(snapshot: &Snapshot, networks: &Networks, inner: &IpNet, found: &mut Vec<Listing>) -> Result<()> {
    for id in networks.around(inner).take(MAX_LISTINGS) {
        let Some(record) = snapshot.record(id)? else { continue };
        let listed = record.text(field::INDICATOR).and_then(|t| t.trim().parse::<IpNet>().ok());
        let narrow = listed.is_some_and(|n| n.prefix_len() >= if n.addr().is_ipv4() { 24 } else { 64 });
        if !found.iter().any(|l| l.record.id == record.id) {
            found.push(Listing { record, how: "its network", weight: if narrow { 0.8 } else { 0.5 } });
        }
    }
    Ok(())
}

/// What a listing contributes, 0 to 1.
fn effect(listing: &Listing, at: Option<Time>) -> f64 {
    let stated = listing.record.get(field::CONFIDENCE).and_then(Value::as_number);
    let confidence = stated.filter(|c| c.is_finite()).unwrap_or(CONFIDENCE).clamp(0.0, 1.0);
    let fading = match (age(listing, at), half_life(&listing.record)) {
        (Some(age), Some(half)) => (-(age as f64) / (half as f64)).exp2(),
        _ => 1.0,
    };
    confidence * fading * listing.weight
}

/// Nanoseconds from the listing to the time asked for; none if it was listed later or the time is not known.
fn age(listing: &Listing, at: Option<Time>) -> Option<i64> {
    at.map(|t| t.since(listing.record.until())).filter(|age| *age > 0)
}

/// After how long a listing says half as much; a file stays what it is.
fn half_life(record: &Record) -> Option<i64> {
    if [field::MD5, field::SHA1, field::SHA256].iter().any(|f| record.get(*f).is_some()) {
        return None;
    }
    let category = record.text(field::CATEGORY).unwrap_or("").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| category.contains(w));
    let days = if has(&["tor"]) {
        1
    } else if has(&["scan", "brute"]) {
        2
    } else if has(&["c2", "c&c", "botnet", "command"]) {
        7
    } else {
        30
    };
    Some(days * DAY)
}

fn say(listing: &Listing, at: Option<Time>, effect: f64) -> String {
    let record = &listing.record;
    let mut text = feed(record);
    if let Some(category) = record.text(field::CATEGORY) {
        text.push_str(&format!(" ({category})"));
    }
    text.push_str(&format!(": {} ", listing.how));
    let indicator = record.text(field::INDICATOR).unwrap_or("");
    text.push_str(indicator);
    if let Some(days) = age(listing, at).map(|a| a / DAY) {
        text.push_str(&format!(", listed {days} d before"));
    }
    text.push_str(&format!(", counts {effect:.2}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::world::World;
    use crate::model::SourceId;

    const HOUR: i64 = 3_600_000;

    fn list(world: &mut World, source: SourceId, at: i64, feed: &str, indicator: &str, more: &[(FieldId, Value)]) -> RecordId {
        let mut fields = vec![(field::INDICATOR, Value::from(indicator)), (field::FEED, Value::from(feed))];
        fields.extend_from_slice(more);
        world.record(source, Kind::Inventory, at, at, &fields)
    }

    fn said(snapshot: &Snapshot, text: &str, at: Option<i64>) -> Vec<String> {
        let networks = Networks::read(snapshot, &Cancel::default()).unwrap();
        let entity = Entity::recognise(text).unwrap();
        let at = at.map(|ms| Time(ms * 1_000_000));
        facts(snapshot, &networks, &entity, at, &Cancel::default()).unwrap().into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn an_address_is_on_its_lists_and_on_those_of_its_networks() {
        let mut world = World::new();
        let source = world.source("reputation-list", "a");
        let ip = |a: [u8; 4]| (field::DST_IP, Value::Addr(a.into()));
        list(&mut world, source, 0, "one", "203.0.113.9", &[ip([203, 0, 113, 9]), (field::CONFIDENCE, Value::Float(0.5))]);
        list(&mut world, source, 0, "one", "203.0.113.0/24", &[]);
        list(&mut world, source, 0, "two", "203.0.0.0/16", &[]);
        list(&mut world, source, 0, "two", "198.51.100.0/24", &[]);
        let snapshot = world.snapshot();
        // The list `one` counts once, with its network: 0.75 · 0.8 = 0.6; `two` 0.75 · 0.5; together 1 - 0.4 · 0.625 = 0.75.
        assert_eq!(
            said(&snapshot, "203.0.113.9", Some(0)),
            [
                "75 of 100, on 2 lists",
                "one: its network 203.0.113.0/24, counts 0.60",
                "one: the address 203.0.113.9, counts 0.50",
                "two: its network 203.0.0.0/16, counts 0.38",
            ]
        );
        assert_eq!(said(&snapshot, "192.0.2.1", Some(0)), Vec::<String>::new());
        assert_eq!(said(&snapshot, "203.0.113.128/25", None).len(), 3);
    }

    #[test]
    fn listings_fade_by_the_time_asked_for_and_hashes_do_not() {
        let mut world = World::new();
        let source = world.source("reputation-csv", "a");
        let c2 = [(field::NAME, Value::from("evil.example")), (field::CATEGORY, Value::from("C2"))];
        list(&mut world, source, 0, "one", "evil.example", &c2);
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        list(&mut world, source, 0, "one", md5, &[(field::MD5, Value::from(md5))]);
        let snapshot = world.snapshot();
        assert_eq!(
            said(&snapshot, "evil.example", Some(7 * 24 * HOUR)),
            ["38 of 100, on 1 list", "one (C2): the name evil.example, listed 7 d before, counts 0.38"]
        );
        assert_eq!(said(&snapshot, "www.evil.example", None)[0], "52 of 100, on 1 list");
        assert_eq!(said(&snapshot, "other.example", None), Vec::<String>::new());
        assert_eq!(said(&snapshot, md5, Some(700 * 24 * HOUR))[0], "75 of 100, on 1 list");
    }
}
