//! On which lists does an address, name, URL or hash stand, and what is that worth at a time?
//!
//! Each list counts with `weight · confidence · 2^(-age / half-life) · match`: match is 1 for the indicator itself, 0.8 for a network of /24 or longer,
//! 0.5 for a wider one, 0.7 for a domain above a name. A list, and all lists of one lineage, counts once, with its best match. Age is
//! measured from the listing to the time asked for, not to now, so that an old case gives the same score again. Lists are those that were imported
//! and the feeds of the case. With what was seen of it here (`degree`, see [`super::seen`]) and an address that was given to nobody (0.2) the score is
//! `100 · (1 - Π(1 - e)(1 - degree)(1 - 0.2))`. On an allow-list it is at most 30, of a key site (`@keysites`, `@mission`) half.

use super::feeds::Feed;
use super::tables::Table;
use super::tables::indicators::Row;
use super::{Given, fact, seen, sets};
use crate::error::Result;
use crate::model::answer::Fact;
use crate::model::decision::FeedKind;
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
/// Most that an allow-list leaves of a score.
const ALLOWED: f64 = 30.0;
/// What an address counts that no registry has given to anybody.
const UNALLOCATED: f64 = 0.2;
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
    /// The list.
    feed: String,
    /// What the list is one of: itself, or its lineage.
    group: String,
    /// What the list is worth, 0 to 1.
    worth: f64,
    category: String,
    indicator: String,
    confidence: Option<f64>,
    /// After how long it says half as much; none: never less.
    half_life: Option<i64>,
    /// When it was listed last.
    until: Time,
    how: &'static str,
    weight: f64,
    url: bool,
    evidence: Option<RecordId>,
}

impl Listing {
    fn of_record(record: &Record, how: &'static str, weight: f64) -> Listing {
        let text = |id: FieldId| record.text(id).unwrap_or("").to_owned();
        let feed = record.text(field::FEED).map_or_else(|| record.id.evidence.to_string(), str::to_owned);
        let is_file = [field::MD5, field::SHA1, field::SHA256].iter().any(|f| record.get(*f).is_some());
        Listing {
            group: feed.clone(),
            feed,
            worth: 1.0,
            indicator: text(field::INDICATOR),
            confidence: record.get(field::CONFIDENCE).and_then(Value::as_number),
            half_life: half_life(&text(field::CATEGORY), is_file),
            category: text(field::CATEGORY),
            until: record.until(),
            how,
            weight,
            url: record.get(field::URL).is_some(),
            evidence: Some(record.id),
        }
    }
    fn of_row(feed: &Feed, row: Row, how: &'static str, weight: f64, is_file: bool) -> Listing {
        let settings = &feed.settings;
        let part = |percent: Option<u8>| percent.map(|p| f64::from(p.min(100)) / 100.0);
        let category = if row.category.is_empty() { settings.category.clone() } else { row.category };
        Listing {
            feed: feed.name.clone(),
            group: if settings.lineage.is_empty() { feed.name.clone() } else { settings.lineage.clone() },
            worth: part(settings.weight).unwrap_or(1.0),
            indicator: row.indicator,
            confidence: row.confidence.map(f64::from).or(part(settings.confidence)),
            half_life: match settings.half_life {
                Some(0) => None,
                Some(nanos) => Some(nanos),
                None => half_life(&category, is_file),
            },
            category,
            until: Time(row.last),
            how,
            weight,
            url: row.url,
            evidence: None,
        }
    }
    /// What it contributes, 0 to 1.
    fn effect(&self, at: Option<Time>) -> f64 {
        let confidence = self.confidence.filter(|c| c.is_finite()).unwrap_or(CONFIDENCE).clamp(0.0, 1.0);
        let fading = match (self.age(at), self.half_life) {
            (Some(age), Some(half)) if half > 0 => (-(age as f64) / (half as f64)).exp2(),
            _ => 1.0,
        };
        self.worth * confidence * fading * self.weight
    }
    /// Nanoseconds from the listing to the time asked for; none if it was listed later or the time is not known.
    fn age(&self, at: Option<Time>) -> Option<i64> {
        at.map(|t| t.since(self.until)).filter(|age| *age > 0)
    }
    fn say(&self, at: Option<Time>) -> String {
        let mut text = self.feed.clone();
        if !self.category.is_empty() {
            text.push_str(&format!(" ({})", self.category));
        }
        text.push_str(&format!(": {} {}", self.how, self.indicator));
        if let Some(days) = self.age(at).map(|a| a / DAY) {
            text.push_str(&format!(", listed {days} d before"));
        }
        text.push_str(&format!(", counts {:.2}", self.effect(at)));
        text
    }
}

/// The score with what it is made of; nothing if no list holds it and nothing was seen of it.
pub fn facts(
    snapshot: &Snapshot,
    networks: &Networks,
    given: &Given<'_>,
    entity: &Entity,
    at: Option<Time>,
    cancel: &Cancel,
) -> Result<Vec<Fact>> {
    let mut out = Vec::new();
    let mut found = listings(snapshot, networks, entity, cancel)?;
    for (feed, table) in given.feeds.of(FeedKind::Indicators) {
        found.extend(
            rows(table, entity)?
                .into_iter()
                .map(|(row, how, weight)| Listing::of_row(feed, row, how, weight, entity.kind == EntityKind::Hash)),
        );
    }
    let address = match &entity.value {
        Value::Addr(addr) if entity.kind == EntityKind::Address => Some(canonical(*addr)),
        _ => None,
    };
    let outside = address.filter(|a| !given.home.is_near(*a));
    let seen = outside.map(|a| seen::of(snapshot, given, a, at, cancel)).transpose()?.filter(|s| s.degree > 0.0);
    let unallocated = outside.is_some_and(|a| given.feeds.is_unallocated(a));
    if !(found.is_empty() && seen.is_none() && !unallocated) {
        found.sort_by(|a, b| {
            b.effect(at).total_cmp(&a.effect(at)).then_with(|| (a.evidence, &a.feed).cmp(&(b.evidence, &b.feed)))
        });
        let mut lists: BTreeMap<&str, f64> = BTreeMap::new();
        for listing in &found {
            let best = lists.entry(&listing.group).or_insert(0.0);
            *best = best.max(listing.effect(at));
        }
        let mut rest: f64 = lists.values().map(|e| 1.0 - e).product();
        rest *= 1.0 - seen.as_ref().map_or(0.0, |s| s.degree);
        rest *= if unallocated { 1.0 - UNALLOCATED } else { 1.0 };
        let mut score = 100.0 * (1.0 - rest);
        let mut less = Vec::new();
        let key = ["keysites", "mission"].into_iter().find(|set| in_set(given, set, entity));
        if let Some(set) = key {
            score /= 2.0;
            less.push(fact("key site", format!("in @{set}: the score counts half")));
        }
        if let Some(why) = allowed(given, entity)? {
            if score > ALLOWED {
                score = ALLOWED;
                less.push(fact("allowed", format!("{why}: the score is kept at {ALLOWED:.0}")));
            } else {
                less.push(fact("allowed", why));
            }
        }
        let number = lists.len();
        out.push(Fact {
            label: Fact::REPUTATION.into(),
            text: match number {
                0 => format!("{score:.0} of 100, on no list"),
                n => format!("{score:.0} of 100, on {n} list{}", if n == 1 { "" } else { "s" }),
            },
            severity: Some(rank(score)),
            evidence: found.first().and_then(|l| l.evidence),
        });
        for listing in found.iter().take(SHOWN) {
            out.push(Fact {
                label: "listed".into(),
                text: listing.say(at),
                severity: Some(rank(100.0 * listing.effect(at))),
                evidence: listing.evidence,
            });
        }
        if found.len() > SHOWN {
            out.push(fact("listed", format!("{} more", found.len() - SHOWN)));
        }
        if let Some(seen) = seen {
            out.push(Fact { evidence: seen.evidence, severity: Some(rank(100.0 * seen.degree)), ..fact("seen", seen.say()) });
        }
        if unallocated {
            out.push(fact("registered", format!("to nobody, by the registries' statistics: counts {UNALLOCATED:.2}")));
        }
        out.extend(less);
    }
    context(given, entity, &mut out)?;
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

/// What the feeds that are neither good nor bad say, and who registered an address.
fn context(given: &Given<'_>, entity: &Entity, out: &mut Vec<Fact>) -> Result<()> {
    for (feed, table) in given.feeds.of(FeedKind::Context) {
        if let Some((row, how, _)) = rows(table, entity)?.into_iter().next() {
            out.push(fact("context", format!("{}: {how} {}", feed.name, row.indicator)));
        }
    }
    if let (EntityKind::Address, Value::Addr(addr)) = (entity.kind, &entity.value) {
        let found = given.feeds.registered(*addr);
        let system = (found.number > 0).then(|| format!("AS{} {}", found.number, found.name).trim_end().to_owned());
        // Stored text: that its digits are where they should be is not taken for granted.
        let part = |range: std::ops::Range<usize>| found.allocated.get(range);
        let date = part(0..4).zip(part(4..6)).zip(part(6..8)).map(|((y, m), d)| format!("since {y}-{m}-{d}"));
        let registry = [found.registry, date.unwrap_or_default()].join(" ");
        let parts = [found.country, system.unwrap_or_default(), registry.trim().to_owned()];
        let said: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        if !said.is_empty() {
            out.push(fact("registered", said.join(", ")));
        }
    }
    for open in &given.feeds.all {
        if let Err(e) = &open.table {
            out.push(fact("feed", format!("{} is not there: {e}", open.feed.name)));
        }
    }
    Ok(())
}

/// Why an entity is allowed, if it is.
fn allowed(given: &Given<'_>, entity: &Entity) -> Result<Option<String>> {
    for (feed, table) in given.feeds.of(FeedKind::Allow) {
        if let Some((row, how, _)) = rows(table, entity)?.into_iter().next() {
            return Ok(Some(format!("on {}: {how} {}", feed.name, row.indicator)));
        }
    }
    Ok(in_set(given, "allow", entity).then(|| "in @allow".to_owned()))
}

fn in_set(given: &Given<'_>, name: &str, entity: &Entity) -> bool {
    let Some(members) = sets::members(given.sets, name, given.now) else { return false };
    match &entity.value {
        Value::Addr(addr) => members.has(*addr),
        other => members.has_text(&other.to_string()),
    }
}

/// The rows of a table that list an entity, how, and what the match is worth.
fn rows(table: &Table, entity: &Entity) -> Result<Vec<(Row, &'static str, f64)>> {
    let text = entity.value.to_string().trim_end_matches('.').to_lowercase();
    let mut found: Vec<(Row, &'static str, f64)> = Vec::new();
    let mut exact = |text: &str, how: &'static str, weight: f64| -> Result<()> {
        found.extend(table.exact(text)?.into_iter().map(|row| (row, how, weight)));
        Ok(())
    };
    let net = match (entity.kind, &entity.value) {
        (EntityKind::Address, Value::Addr(addr)) => {
            let addr = canonical(*addr);
            exact(&addr.to_string(), "the address", 1.0)?;
            Some(IpNet::from(addr))
        }
        (EntityKind::Network, _) => text.parse::<IpNet>().ok(),
        (EntityKind::Name, _) => {
            exact(&text, "the name", 1.0)?;
            let mut above = text.as_str();
            while let Some((_, rest)) = above.split_once('.').filter(|(_, rest)| rest.contains('.')) {
                exact(rest, "a domain above it", 0.7)?;
                above = rest;
            }
            None
        }
        (EntityKind::Url, _) => {
            exact(&text, "the url", 1.0)?;
            None
        }
        (EntityKind::Hash, _) => {
            exact(&text, "the hash", 1.0)?;
            None
        }
        (EntityKind::Fingerprint, _) => {
            exact(&text, "the fingerprint", 1.0)?;
            None
        }
        _ => None,
    };
    if matches!(entity.kind, EntityKind::Address | EntityKind::Name) {
        for (row, how, weight) in &mut found {
            if row.url {
                (*how, *weight) = ("a url on it", weight.min(0.7));
            }
        }
    }
    if let Some(net) = net {
        for (listed, row) in table.around(&net.trunc())? {
            found.push((row, "its network", narrowness(&listed)));
        }
    }
    Ok(found)
}

/// What a match by a network is worth.
fn narrowness(net: &IpNet) -> f64 {
    if net.prefix_len() >= if net.addr().is_ipv4() { 24 } else { 64 } { 0.8 } else { 0.5 }
}

fn listings(snapshot: &Snapshot, networks: &Networks, entity: &Entity, cancel: &Cancel) -> Result<Vec<Listing>> {
    let text = entity.value.to_string().trim_end_matches('.').to_lowercase();
    let is = |id: FieldId, value: &str| Filter::is(id, value);
    let mut found: Vec<Listing> = Vec::new();
    let mut take = |filter: Filter, how: &'static str, weight: f64| -> Result<()> {
        let all = Filter::is(field::KIND, Kind::Inventory.name()).and(Filter::Test(field::INDICATOR, Test::Exists)).and(filter);
        let ask = Ask { limit: MAX_LISTINGS, ..Ask::new(&all) };
        snapshot.select(&ask, &|| cancel.is_cancelled(), &mut |record| {
            if !found.iter().any(|l| l.evidence == Some(record.id)) {
                found.push(Listing::of_record(&record, how, weight));
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
            if listing.url {
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
        if !found.iter().any(|l| l.evidence == Some(record.id)) {
            found.push(Listing::of_record(&record, "its network", listed.map_or(0.5, |n| narrowness(&n))));
        }
    }
    Ok(())
}

/// After how long a listing of a category says half as much; a file stays what it is.
fn half_life(category: &str, is_file: bool) -> Option<i64> {
    if is_file {
        return None;
    }
    let category = category.to_lowercase();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::feeds::Feeds;
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
        let feeds = Feeds::default();
        let home = crate::context::sites::unasked();
        let given = Given { feeds: &feeds, decisions: &[], sets: &[], home: &home, now: Time(0) };
        facts(snapshot, &networks, &given, &entity, at, &Cancel::default()).unwrap().into_iter().map(|f| f.text).collect()
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
