//! By user agents, or by the SYNs of connections: operating systems that they name within ten minutes of each other (Maier et al., "NAT Usage in Residential Broadband Networks",
//! PAM 2011). One host runs one of them at a time.

use super::AtLeast;
use crate::model::Time;
use crate::model::time::SECOND;
use std::collections::{BTreeMap, BTreeSet};

/// What is named within so long is there at once.
const TOGETHER: i64 = 600 * SECOND;
/// Systems that are told apart.
const MOST: usize = 64;

/// Gathers what was seen of an address.
#[derive(Debug, Default)]
pub struct Counter {
    seen: BTreeMap<String, Vec<i64>>,
}

impl Counter {
    /// A request with a user agent.
    pub fn agent(&mut self, at: Time, agent: &str) {
        if let Some(system) = system(agent) {
            self.system(at, system);
        }
    }
    /// What says a system by its name.
    pub fn system(&mut self, at: Time, system: String) {
        if self.seen.len() < MOST || self.seen.contains_key(&system) {
            let times = self.seen.entry(system).or_default();
            // Of a system that is there all the time a few moments are enough.
            if times.last().is_none_or(|last| at.0.saturating_sub(*last).saturating_abs() > TOGETHER / 20) {
                times.push(at.0);
            }
        }
    }
    /// The bound.
    pub fn at_least(&self) -> AtLeast {
        let mut all: Vec<(i64, &str)> =
            self.seen.iter().flat_map(|(s, times)| times.iter().map(move |t| (*t, s.as_str()))).collect();
        all.sort_unstable();
        let mut best: BTreeSet<&str> = BTreeSet::new();
        let mut inside: BTreeMap<&str, u32> = BTreeMap::new();
        let mut first = 0;
        for last in 0..all.len() {
            *inside.entry(all[last].1).or_default() += 1;
            while all[last].0.saturating_sub(all[first].0) > TOGETHER {
                if let Some(n) = inside.get_mut(all[first].1) {
                    *n -= 1;
                    if *n == 0 {
                        inside.remove(all[first].1);
                    }
                }
                first += 1;
            }
            if inside.len() > best.len() {
                best = inside.keys().copied().collect();
            }
        }
        AtLeast { hosts: best.len(), systems: best.into_iter().map(str::to_owned).collect() }
    }
}

/// The operating system that a user agent names, without versions that a program may round: two of a family count once. Robots and tools name none.
fn system(agent: &str) -> Option<String> {
    let lower = agent.get(..agent.floor_char_boundary(1024)).unwrap_or_default().to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    let name = match () {
        () if ["bot", "crawl", "spider", "curl/", "wget/"].iter().any(|w| has(w)) => return None,
        () if has("windows phone") => "Windows Phone",
        () if has("windows nt") || has("microsoft-cryptoapi") || has("windows-update-agent") => "Windows",
        () if has("iphone") || has("ipad") => "iOS",
        () if has("android") => "Android",
        () if has("mac os x") || has("macintosh") => "macOS",
        () if has("cros ") => "ChromeOS",
        () if has("freebsd") => "FreeBSD",
        () if has("openbsd") => "OpenBSD",
        () if has("linux") || has("ubuntu") || has("debian apt") => "Linux",
        () => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36";
    const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
    const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)";
    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 14)";

    #[test]
    fn systems_that_are_there_at_once_are_hosts_and_versions_and_robots_are_not() {
        let mut counter = Counter::default();
        for (minute, agent) in [
            (0, WINDOWS),
            (1, "Mozilla/5.0 (Windows NT 6.1)"),
            (2, MAC),
            (3, PHONE),
            (90, ANDROID),
            (91, WINDOWS),
            (91, "curl/8"),
        ] {
            counter.agent(Time(minute * 60 * SECOND), agent);
        }
        assert_eq!(counter.at_least(), AtLeast { hosts: 3, systems: vec!["Windows".into(), "iOS".into(), "macOS".into()] });
        assert_eq!(Counter::default().at_least().hosts, 0);
    }

    #[test]
    fn the_bound_is_never_above_the_truth() {
        let agents = [WINDOWS, MAC, PHONE, ANDROID, "Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Windows NT 6.1)"];
        for hosts in 1..=10usize {
            let mut counter = Counter::default();
            for n in 0..500usize {
                counter.agent(Time((n as i64) * 7 * SECOND), agents[(n * 13 % hosts) % agents.len()]);
            }
            let bound = counter.at_least().hosts;
            assert!(bound >= 1 && bound <= hosts, "{bound} of {hosts}");
        }
    }

    #[test]
    fn an_agent_that_is_no_text_to_cut_is_no_panic() {
        let long = "é".repeat(3_000);
        let mut counter = Counter::default();
        counter.agent(Time(i64::MIN), &long);
        counter.agent(Time(i64::MAX), MAC);
        assert_eq!(counter.at_least().hosts, 1);
        // What stands before the cut is read.
        for before in ["", "a"] {
            assert_eq!(system(&format!("{before}{WINDOWS}{long}")).as_deref(), Some("Windows"));
        }
    }
}
