//! Which system a host runs, by what it says: how its stack sets up connections, user agents, names of update services. Weights are those of log-odds (domain: a SYN 3, the SYN that answers one 2, a user agent 2, names of
//! update services 2, what a scan or a banner says 4); a kind of evidence counts once for a family, however often it was seen.

use crate::detectors::rows::Id;
use crate::flow::stack::Stack;
use serde::{Deserialize, Serialize};

/// Families of systems that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// Microsoft Windows.
    Windows,
    /// Linux and Chrome OS.
    Linux,
    /// macOS.
    Mac,
    /// Android.
    Android,
    /// iOS, iPadOS.
    Ios,
    /// FreeBSD, OpenBSD, NetBSD.
    Bsd,
    /// Firmware of printers, cameras and network devices.
    Firmware,
}

use Family::{Android, Bsd, Firmware, Ios, Linux, Mac, Windows};

/// Weights of the kinds of evidence.
pub const ASKING: f64 = 3.0;
/// Of the SYNs that answer.
pub const ANSWERING: f64 = 2.0;
/// Of user agents.
pub const AGENT: f64 = 2.0;
/// Of names of update services.
pub const UPDATES: f64 = 2.0;
/// Of what a scan or banner says.
pub const BANNER: f64 = 4.0;

/// Words of user agents, the first that is found counts: a phone's agent says `Linux` and `Mac OS X` too.
const AGENTS: &[(&str, Family)] = &[
    ("iphone", Ios),
    ("ipad", Ios),
    ("android", Android),
    ("dalvik", Android),
    ("windows", Windows),
    ("microsoft bits", Windows),
    ("microsoft-cryptoapi", Windows),
    ("microsoft-delivery", Windows),
    ("macintosh", Mac),
    ("mac os x", Mac),
    ("darwin/", Mac),
    ("freebsd", Bsd),
    ("openbsd", Bsd),
    ("netbsd", Bsd),
    ("cros ", Linux),
    ("linux", Linux),
    ("ubuntu", Linux),
    ("debian apt", Linux),
    ("libdnf", Linux),
];

/// Names of update services and checks of connectivity that only one family asks for, with all below them.
const NAMES: &[(&str, Family)] = &[
    ("windowsupdate.com", Windows),
    ("update.microsoft.com", Windows),
    ("msftconnecttest.com", Windows),
    ("msftncsi.com", Windows),
    ("delivery.mp.microsoft.com", Windows),
    ("archive.ubuntu.com", Linux),
    ("security.ubuntu.com", Linux),
    ("deb.debian.org", Linux),
    ("security.debian.org", Linux),
    ("mirrors.fedoraproject.org", Linux),
    ("swscan.apple.com", Mac),
    ("swdist.apple.com", Mac),
    ("mtalk.google.com", Android),
    ("android.clients.google.com", Android),
    ("mesu.apple.com", Ios),
    ("update.freebsd.org", Bsd),
    ("pkg.freebsd.org", Bsd),
];

/// Words of what inventories and scans say of systems, the first that is found counts.
const STATED: &[(&str, Family)] = &[
    ("cisco", Firmware),
    ("junos", Firmware),
    ("routeros", Firmware),
    ("fortios", Firmware),
    ("pan-os", Firmware),
    ("android", Android),
    ("iphone", Ios),
    ("ipados", Ios),
    ("ios ", Ios),
    ("firmware", Firmware),
    ("printer", Firmware),
    ("embedded", Firmware),
    ("windows", Windows),
    ("macos", Mac),
    ("mac os", Mac),
    ("os x", Mac),
    ("darwin", Mac),
    ("freebsd", Bsd),
    ("openbsd", Bsd),
    ("netbsd", Bsd),
    ("pfsense", Bsd),
    ("opnsense", Bsd),
    ("linux", Linux),
    ("ubuntu", Linux),
    ("debian", Linux),
    ("red hat", Linux),
    ("rhel", Linux),
    ("centos", Linux),
    ("rocky", Linux),
    ("almalinux", Linux),
    ("fedora", Linux),
    ("suse", Linux),
    ("chrome os", Linux),
];

impl Family {
    /// Every family.
    pub const ALL: [Family; 7] = [Windows, Linux, Mac, Android, Ios, Bsd, Firmware];
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Windows => "Windows",
            Linux => "Linux",
            Mac => "macOS",
            Android => "Android",
            Ios => "iOS",
            Bsd => "BSD",
            Firmware => "firmware",
        }
    }
    fn of(table: &[(&str, Family)], text: &str) -> Option<Family> {
        let lower = text.to_ascii_lowercase();
        table.iter().find(|(word, _)| lower.contains(word)).map(|(_, family)| *family)
    }
    /// What a user agent says.
    pub fn of_agent(text: &str) -> Option<Family> {
        Family::of(AGENTS, text)
    }
    /// What it says of a host that it asks for a name; the name is lower case.
    pub fn of_name(name: &str) -> Option<Family> {
        let name = name.trim_end_matches('.');
        NAMES
            .iter()
            .find(|(zone, _)| name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
            .map(|(_, family)| *family)
    }
    /// Whose a stack is.
    pub fn of_stack(stack: Stack) -> Family {
        match stack {
            Stack::Windows => Windows,
            Stack::Linux => Linux,
            Stack::Apple => Mac,
            Stack::Bsd => Bsd,
            Stack::Firmware => Firmware,
        }
    }
    /// What an inventory or a scan states.
    pub fn of_stated(text: &str) -> Option<Family> {
        Family::of(STATED, text)
    }
    /// Whether what is seen of one may well be of the other: browsers of Android ask for pages as a desktop Linux does, those of iPads as a Mac;
    /// firmware is made of Linux and BSD.
    pub fn fits(self, seen: Family) -> bool {
        self == seen
            || matches!(
                (self, seen),
                (Android, Linux) | (Ios, Mac) | (Mac, Ios) | (Firmware, Linux | Bsd) | (Linux | Bsd, Firmware)
            )
    }
    fn place(self) -> usize {
        Family::ALL.iter().position(|f| *f == self).unwrap_or(0)
    }
}

/// What was seen of a host's system.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Systems {
    agents: [u32; 7],
    names: [u32; 7],
    asking: [u32; 7],
    answering: [u32; 7],
    /// A record with an agent or a stack of each family.
    ids: Vec<(Family, Id)>,
}

/// Records from which on a kind of evidence counts whole: one agent may be a program that says what it likes.
const ENOUGH: f64 = 3.0;

impl Systems {
    /// A user agent said so.
    pub fn agent(&mut self, family: Option<Family>, id: Id) {
        let Some(family) = family else { return };
        if let Some(n) = self.agents.get_mut(family.place()) {
            *n = n.saturating_add(1);
        }
        if !self.ids.iter().any(|i| i.0 == family) {
            self.ids.push((family, id));
        }
    }
    /// It set up a connection, or answered one, as a stack does.
    pub fn stack(&mut self, stack: Option<Stack>, answers: bool, id: Id) {
        let Some(family) = stack.map(Family::of_stack) else { return };
        let counts = if answers { &mut self.answering } else { &mut self.asking };
        if let Some(n) = counts.get_mut(family.place()) {
            *n = n.saturating_add(1);
        }
        if !self.ids.iter().any(|i| i.0 == family) {
            self.ids.push((family, id));
        }
    }
    /// It asked for the name of an update service.
    pub fn name(&mut self, family: Option<Family>) {
        if let Some(n) = family.and_then(|f| self.names.get_mut(f.place())) {
            *n = n.saturating_add(1);
        }
    }
    /// How often agents and names said a family, and stacks.
    pub fn counts(&self, family: Family) -> (u32, u32, u32) {
        let at = |list: &[u32; 7]| list.get(family.place()).copied().unwrap_or(0);
        (at(&self.agents), at(&self.names), at(&self.asking).saturating_add(at(&self.answering)))
    }
    /// The weight of what was seen for a family.
    pub fn weight(&self, family: Family) -> f64 {
        let part = |list: &[u32; 7], weight: f64| {
            let n = list.get(family.place()).copied().unwrap_or(0);
            weight * (f64::from(n) / ENOUGH).min(1.0)
        };
        part(&self.agents, AGENT) + part(&self.names, UPDATES) + part(&self.asking, ASKING) + part(&self.answering, ANSWERING)
    }
    /// Families that were seen, the weightiest first.
    pub fn families(&self) -> Vec<(Family, f64)> {
        let mut list: Vec<(Family, f64)> = Family::ALL.iter().map(|f| (*f, self.weight(*f))).filter(|(_, w)| *w > 0.0).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        list
    }
    /// A record that says a family.
    pub fn record(&self, family: Family) -> Option<Id> {
        self.ids.iter().find(|i| i.0 == family).map(|i| i.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_names_and_statements_name_families() {
        let agent = |t: &str| Family::of_agent(t);
        assert_eq!(agent("Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0"), Some(Windows));
        assert_eq!(agent("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36"), Some(Android));
        assert_eq!(agent("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X)"), Some(Ios));
        assert_eq!(agent("curl/8.5.0"), None);
        assert_eq!(Family::of_name("au.download.windowsupdate.com"), Some(Windows));
        assert_eq!(Family::of_name("notwindowsupdate.com"), None);
        assert_eq!(Family::of_stated("printer firmware 4.1"), Some(Firmware));
        assert_eq!(Family::of_stated("Debian 12"), Some(Linux));
        assert!(Android.fits(Linux) && !Linux.fits(Android) && !Windows.fits(Linux));
    }
}
