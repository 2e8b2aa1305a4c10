//! A sweep: many indicators at once over everything that the case has, and for each that was not found whether it could have been.
//!
//! What is searched: the indexed fields of its kind (see [`indicator::fields`]), names also as the end of longer names, URLs also by their
//! host, networks by the addresses in them; beside those, word by word, the texts of events ([`indicator::TEXTS`]).
//! Records that say how something is (inventory, reputation lists) are counted apart: a list that repeats an indicator is no sighting.

use super::{Engine, quote};
use crate::error::Result;
use crate::model::answer::Cancel;
use crate::model::entity::EntityKind;
use crate::model::field::{self, FieldId};
use crate::model::indicator::{self, How, Indicator, Over, Sighting, word};
use crate::model::source::SourceInfo;
use crate::model::{Kind, SourceId, Window};
use std::collections::BTreeMap;

/// One indicator with what was found of it.
#[derive(Debug, Clone)]
pub struct Swept {
    /// The indicator.
    pub indicator: Indicator,
    /// Where it was found, the strongest way first; empty: nowhere.
    pub found: Vec<Sighting>,
    /// Of a name: further records that its question selects, flows without a name of their own whose client was told their address for it.
    pub reached: u64,
}

/// Most names of which is asked who reached them: each is a question of its own.
const REACHED: usize = 100;

/// Which sources could have seen an indicator of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cover {
    /// Sources that could have, in order of name.
    pub sources: Vec<String>,
    /// From the first to the last of their records in the window, corrected.
    pub span: Option<Window>,
}

/// The answer of a sweep.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// In the order of the text.
    pub rows: Vec<Swept>,
    /// Per kind of indicator that was asked for.
    pub covers: BTreeMap<EntityKind, Cover>,
}

/// Sweeps over a window.
pub fn sweep(engine: &dyn Engine, indicators: Vec<Indicator>, window: Window, cancel: &Cancel) -> Result<Answer> {
    let sightings = engine.sweep(&indicators, &Over { window, ..Over::ALL }, cancel)?;
    let mut found: Vec<Vec<Sighting>> = vec![Vec::new(); indicators.len()];
    for sighting in sightings.found {
        if let Some(of) = found.get_mut(sighting.indicator as usize) {
            of.push(sighting);
        }
    }
    let mut covers = BTreeMap::new();
    let sources = engine.sources();
    let coverage: BTreeMap<SourceId, Window> =
        engine.coverage(&window).into_iter().filter_map(|c| c.covers.map(|w| (c.source, w))).collect();
    for kind in indicators.iter().map(|i| i.kind) {
        covers.entry(kind).or_insert_with(|| cover(kind, &sources, &sightings.fills, &coverage));
    }
    let rows = indicators.into_iter().zip(found).map(|(indicator, found)| Swept { indicator, found, reached: 0 });
    let mut answer = Answer { rows: rows.collect(), covers };
    let names = answer.rows.iter_mut().filter(|r| r.indicator.kind == EntityKind::Name && (r.hits() > 0 || r.below() > 0));
    for row in names.take(REACHED) {
        let question = engine.compile(&row.query())?.within(&window);
        let count = engine.counts(&[question], u64::MAX, cancel)?.first().map_or(0, |c| c.n);
        row.reached = count.saturating_sub(row.best().map_or(0, |s| s.records));
    }
    Ok(answer)
}

/// A source could have shown an indicator if any of its records fills a field of its kind, or if it is of packets, in which all of them
/// can stand; not if it only says how things are (an inventory knows its own hosts, a scan those that were scanned).
fn cover(
    kind: EntityKind,
    sources: &[SourceInfo],
    fills: &[(SourceId, Vec<FieldId>)],
    coverage: &BTreeMap<SourceId, Window>,
) -> Cover {
    // Every log has the name of its own host, and many have accounts: such a source sees no other names and no mail.
    let own = |f: &FieldId| *f == field::HOSTNAME || kind == EntityKind::User && (*f == field::USER || *f == field::OWNER);
    let fields: Vec<FieldId> = indicator::fields(kind).iter().copied().filter(|f| !own(f)).collect();
    let mut out = Cover::default();
    for source in sources {
        let happens = |k: &Kind| *k != Kind::Inventory && (*k != Kind::Vuln || kind == EntityKind::Cve);
        let Some(covers) = coverage.get(&source.id) else { continue };
        if !source.kinds.iter().any(|(k, _)| happens(k)) {
            continue;
        }
        let filled = fills.iter().find(|(id, _)| *id == source.id).map_or(&[][..], |(_, fields)| fields);
        let packets = source.key.format == "pcap" && kind != EntityKind::Cve;
        let connections = kind == EntityKind::CommunityId && filled.contains(&field::SRC_IP) && filled.contains(&field::DST_PORT);
        if packets || connections || filled.iter().any(|f| fields.contains(f)) {
            out.sources.push(source.name.clone());
            out.span = Some(out.span.map_or(*covers, |w| Window::new(w.start.min(covers.start), w.end.max(covers.end))));
        }
    }
    out.sources.sort();
    out
}

impl Cover {
    /// Why an indicator of a kind was not found, in words.
    pub fn says(&self, kind: EntityKind) -> String {
        let Some(span) = self.span else { return format!("no source covers it: {}", needs(kind)) };
        let day = |t: crate::model::Time| t.utc().format("%d %b %H:%MZ");
        let n = self.sources.len();
        let more = if n > 6 { format!(" and {} more", n - 6) } else { String::new() };
        let names = self.sources[..n.min(6)].join(", ");
        let could = if n == 1 { "this source" } else { "these sources" };
        format!("none, and {could} could have seen it, {} → {}: {names}{more}", day(span.start), day(span.last()))
    }

    /// The same in a few words.
    pub fn short(&self) -> String {
        match self.sources.len() {
            0 => "no source covers it".to_owned(),
            1 => "none; 1 source could have seen it".to_owned(),
            n => format!("none; {n} sources could have seen it"),
        }
    }
}

/// What would have to be imported for a kind of indicator to be seen.
fn needs(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Name => "it would take DNS, TLS, web or proxy logs, or packets",
        EntityKind::Url => "it would take web, proxy or IDS logs, or packets",
        EntityKind::Hash | EntityKind::Fingerprint => "it would take logs of files, TLS or endpoints, or packets",
        EntityKind::Cve => "it would take a vulnerability scan, or alerts that name CVEs",
        EntityKind::Agent => "it would take web or proxy logs, or packets",
        EntityKind::User => "it would take mail or login logs, or packets",
        EntityKind::Mac => "it would take DHCP logs or packets",
        _ => "it would take flows, firewall logs or packets",
    }
}

impl Swept {
    /// The sighting that counts: the strongest one.
    pub fn best(&self) -> Option<&Sighting> {
        self.found.first()
    }
    fn of(&self, how: How) -> u64 {
        self.found.iter().find(|s| s.how == how).map_or(0, |s| s.records)
    }
    /// Records whose fields are it.
    pub fn hits(&self) -> u64 {
        self.of(How::Hit)
    }
    /// Records with a name below it.
    pub fn below(&self) -> u64 {
        self.of(How::Below)
    }
    /// Records with the host of the URL.
    pub fn site(&self) -> u64 {
        self.of(How::Site)
    }
    /// Records that mention it in a text.
    pub fn mentioned(&self) -> u64 {
        self.of(How::Text)
    }
    /// Records of inventory and reputation lists that have it.
    pub fn listed(&self) -> u64 {
        self.of(How::Listed)
    }
    /// Whether anything that happened has it in any way.
    pub fn is_seen(&self) -> bool {
        self.found.iter().any(|s| s.how != How::Listed)
    }
    /// The other ways in which it was found, in words: `12 below, 3 in texts`.
    pub fn also(&self) -> String {
        let ways = [
            (self.below(), "below it"),
            (self.reached, "flows to its addresses by DNS"),
            (self.site(), "of its host"),
            (self.mentioned(), "in texts"),
            (self.listed(), "in lists"),
        ];
        let words: Vec<String> = ways.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        words.join(", ")
    }
    /// The question that selects the records of its strongest sighting.
    pub fn query(&self) -> String {
        query(&self.indicator, self.best().map_or(How::Hit, |s| s.how))
    }
    /// Order of a list: hits first, then other sightings, then lists only, then nothing.
    pub fn rank(&self) -> (u8, std::cmp::Reverse<u64>) {
        let rank = self.best().map_or(9, |s| s.how as u8);
        (rank, std::cmp::Reverse(self.best().map_or(0, |s| s.records)))
    }
}

/// The question that selects the records in which an indicator was found in some way.
pub fn query(indicator: &Indicator, how: How) -> String {
    let text = quote(&indicator.text);
    let fields = indicator::fields(indicator.kind);
    let any = |test: &dyn Fn(&str) -> String, fields: &[FieldId]| {
        let tests: Vec<String> = fields.iter().map(|f| test(&field::name(*f))).collect();
        if tests.len() == 1 { tests.concat() } else { format!("({})", tests.join(" or ")) }
    };
    let addresses = |text: &str| format!("(host = {text} or dhcp.address = {text})");
    let happened = if how == How::Listed { "kind = inventory" } else { "kind != inventory" };
    let named = |name: &str| any(&|f| format!("{f} in {{{}}}", quote(name)), indicator::fields(EntityKind::Name));
    let what = match (indicator.kind, how) {
        (EntityKind::CommunityId, _) => format!("(community_id = {text} or related = {text})"),
        (_, How::Text) => any(&|f| format!("{f} contains {text}"), indicator::TEXTS),
        (EntityKind::Address | EntityKind::Network, _) => addresses(&text),
        (EntityKind::Name, How::Below) => any(&|f| format!("{f} = *.{}", indicator.text), fields),
        (EntityKind::Url, How::Site | How::Listed) => {
            let site = indicator.site().unwrap_or_default();
            if site.parse::<std::net::IpAddr>().is_ok() { addresses(&quote(&site)) } else { named(&site) }
        }
        (EntityKind::Url, _) => {
            let urls: Vec<String> = indicator::urls(&indicator.text).iter().map(|u| quote(u)).collect();
            any(&|f| format!("{f} in {{{}}}", urls.join(", ")), fields)
        }
        _ => any(&|f| format!("{f} = {text}"), fields),
    };
    format!("{what} and {happened}")
}

/// One line about a sighting: how much, where from.
pub fn sources_of(sighting: &Sighting, engine: &dyn Engine) -> String {
    let names = sighting.sources.iter().map(|(id, n)| format!("{} {n}", engine.source_name(*id)));
    names.collect::<Vec<_>>().join(", ")
}

/// The hosts of a sighting: those that are named, and how many there are besides.
pub fn hosts_of(sighting: &Sighting, most: usize) -> String {
    let named: Vec<String> = sighting.hosts.iter().take(most).map(ToString::to_string).collect();
    let more = sighting.host_count as usize - named.len();
    let least = if sighting.host_count as usize >= indicator::HOSTS_COUNTED { "at least " } else { "" };
    if more > 0 { format!("{} and {least}{more} more", named.join(" ")) } else { named.join(" ") }
}

/// What a sweep came to, in one line.
pub fn total(answer: &Answer) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    answer.rows.iter().for_each(|r| *kinds.entry(word(r.indicator.kind)).or_default() += 1);
    let seen = answer.rows.iter().filter(|r| r.is_seen()).count();
    let hits = answer.rows.iter().filter(|r| r.hits() > 0).count();
    let kinds: Vec<String> = kinds.into_iter().map(|(word, n)| format!("{word} {n}")).collect();
    let near = if seen > hits { format!(", {} only near (below, host, in texts)", seen - hits) } else { String::new() };
    format!("{} indicators ({}): {hits} seen{near}, {} not", answer.rows.len(), kinds.join(", "), answer.rows.len() - seen)
}
