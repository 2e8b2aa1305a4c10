//! Watch sets: named sets `watch` and `watch-...`, whose entries every later import is checked against. Nothing is stored of a hit: which
//! evidence came after an entry is known, so the answer is found again whenever it is asked for.

use super::Engine;
use crate::error::Result;
use crate::model::answer::Cancel;
use crate::model::decision::{Decision, What, standing};
use crate::model::indicator::{How, Indicator, Over};
use crate::model::{SourceId, Time, Window};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a set is a watch set, by its name.
pub fn is_watch(set: &str) -> bool {
    set == "watch" || set.starts_with("watch-")
}

/// The name of a watch set: `ti` and `watch-ti` are `watch-ti`, nothing is `watch`.
pub fn set_name(name: &str) -> String {
    let name = name.trim().trim_start_matches('@');
    if name.is_empty() || is_watch(name) {
        if name.is_empty() { "watch".into() } else { name.into() }
    } else {
        format!("watch-{name}")
    }
}

/// The entries of every watch set at an instant, with when each was put into it.
pub fn entries(decisions: &[Decision], now: Time) -> BTreeMap<String, BTreeMap<String, Time>> {
    let mut sets: BTreeMap<String, BTreeMap<String, (Time, Option<i64>)>> = BTreeMap::new();
    for decision in standing(decisions) {
        match &decision.what {
            What::SetAdd { set, entries, expires, .. } if is_watch(set) => {
                let of = sets.entry(set.clone()).or_default();
                for entry in entries {
                    // Renewed entries have been watched since they first came in.
                    of.entry(entry.clone()).or_insert((Time(decision.at), *expires)).1 = *expires;
                }
            }
            What::SetRemove { set, entries } if entries.is_empty() => drop(sets.remove(set)),
            What::SetRemove { set, entries } => {
                if let Some(of) = sets.get_mut(set) {
                    of.retain(|entry, _| !entries.contains(entry));
                }
            }
            _ => {}
        }
    }
    let valid =
        |(entry, (at, expires)): (String, (Time, Option<i64>))| expires.is_none_or(|until| until > now.0).then_some((entry, at));
    let sets = sets.into_iter().map(|(set, of)| (set, of.into_iter().filter_map(valid).collect::<BTreeMap<_, _>>()));
    sets.filter(|(_, of)| !of.is_empty()).collect()
}

/// What a watch set has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchHit {
    /// Name of the set.
    pub set: String,
    /// Its entries that were seen, with the records of each, the most first.
    pub seen: Vec<(Indicator, u64)>,
    /// Records in which any of them was seen, every one of them counted.
    pub records: u64,
    /// Corrected start of the first.
    pub first: Time,
    /// Corrected end of the last.
    pub last: Time,
    /// Names of the sources.
    pub sources: Vec<String>,
}

/// What the watch sets have seen in evidence that came in after their entries. `newer_than`: only in imports after that one; 0: in all.
pub fn hits(engine: &dyn Engine, decisions: &[Decision], newer_than: u64, now: Time, cancel: &Cancel) -> Result<Vec<WatchHit>> {
    let mut out = Vec::new();
    for (set, entries) in entries(decisions, now) {
        let (indicators, after): (Vec<Indicator>, Vec<Time>) =
            entries.into_iter().map(|(entry, at)| (crate::formats::indicators::one(&entry), at)).unzip();
        let over = Over { window: Window::ALL, newer_than, imported_after: &after };
        let found = engine.sweep(&indicators, &over, cancel)?.found;
        let found: Vec<_> = found.into_iter().filter(|s| s.how != How::Listed && s.records > 0).collect();
        let (Some(first), Some(last)) = (found.iter().map(|s| s.first).min(), found.iter().map(|s| s.last).max()) else {
            continue;
        };
        let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
        found.iter().for_each(|s| *seen.entry(s.indicator).or_default() += s.records);
        let sources: BTreeSet<SourceId> = found.iter().flat_map(|s| s.sources.iter().map(|(id, _)| *id)).collect();
        let mut seen: Vec<(Indicator, u64)> = seen.into_iter().map(|(i, n)| (indicators[i as usize].clone(), n)).collect();
        seen.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        out.push(WatchHit {
            set,
            records: seen.iter().map(|(_, n)| n).sum(),
            seen,
            first,
            last,
            sources: sources.into_iter().map(|id| engine.source_name(id)).collect(),
        });
    }
    Ok(out)
}

impl WatchHit {
    /// In one line.
    pub fn line(&self) -> String {
        let n = self.seen.len();
        let some: Vec<&str> = self.seen.iter().take(3).map(|(i, _)| i.text.as_str()).collect();
        format!(
            "{n} indicator{} of {} seen {} times, first {}, in {}: {}{}",
            if n == 1 { "" } else { "s" },
            self.set,
            self.records,
            self.first.utc().format("%Y-%m-%d %H:%M:%SZ"),
            self.sources.join(", "),
            some.join(", "),
            if n > 3 { " ..." } else { "" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decision::Who;

    fn add(at: i64, set: &str, entries: &[&str], expires: Option<i64>) -> Decision {
        let entries = entries.iter().map(|e| (*e).to_owned()).collect();
        let what = What::SetAdd { set: set.into(), entries, reason: String::new(), expires };
        Decision { sequence: at as u64, at, who: Who::default(), what }
    }

    #[test]
    fn entries_of_watch_sets_are_added_removed_and_expire() {
        let remove = |at, entries: &[&str]| {
            let what = What::SetRemove { set: "watch".into(), entries: entries.iter().map(|e| (*e).to_owned()).collect() };
            Decision { what, ..add(at, "watch", &[], None) }
        };
        let all = [
            add(1, "watch", &["a.example", "b.example"], None),
            add(2, "watch-ti", &["10.0.0.1"], Some(50)),
            add(3, "allow", &["c.example"], None),
            add(4, "watch", &["a.example"], None),
            remove(5, &["b.example"]),
        ];
        let names = |now| {
            let sets = entries(&all, Time(now));
            sets.into_iter().map(|(set, of)| (set, of.into_iter().collect::<Vec<_>>())).collect::<Vec<_>>()
        };
        assert_eq!(
            names(10),
            [
                ("watch".to_owned(), vec![("a.example".to_owned(), Time(1))]),
                ("watch-ti".to_owned(), vec![("10.0.0.1".to_owned(), Time(2))])
            ]
        );
        assert_eq!(names(50).len(), 1);
        assert_eq!((set_name("ti"), set_name("watch-ti"), set_name("")), ("watch-ti".into(), "watch-ti".into(), "watch".into()));
        assert!(!is_watch("watchlist"));
    }
}
