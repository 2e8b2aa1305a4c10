//! A host whose inventory states one family of systems and that behaves as another: user agents, names of update services, what a scan found.

use super::maths::sat;
use super::profile::roles::{Hints, decide};
use super::profile::systems::BANNER;
use super::profile::{Family, Role};
use super::reconcile::{Site, is_subject, mission, opens, sources, weight};
use super::rows::Net;
use super::{Detector, Limits, Setting};
use crate::model::finding::{Finding, span};

/// The detector.
pub static DETECTOR: OsMismatch = OsMismatch;

/// See the module.
pub struct OsMismatch;

const NAME: &str = "os_mismatch";
const SETTINGS: &[Setting] = &[
    Setting {
        name: "weight",
        default: 2.0,
        unit: "",
        doc: "Least weight (log-odds) of what was seen: user agents 2, update services 2, a scan 4.",
    },
    Setting { name: "margin", default: 1.0, unit: "", doc: "By how much it must outweigh what speaks for the stated system." },
];

impl Detector for OsMismatch {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "A host that behaves as, or was scanned as, another family of operating systems than its inventory states (R10)."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1036", "T1200"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn compares(&self) -> bool {
        true
    }
    fn compare(&self, site: &Site, net: &Net, limits: &Limits) -> Vec<Finding> {
        let (least, margin) = (limits.of(NAME, SETTINGS, "weight"), limits.of(NAME, SETTINGS, "margin"));
        let mut out = Vec::new();
        for of in site.ledger.by_host(net) {
            let addr = net.addr(of.host);
            let Some(listed) = site.listed(addr, of.seen.last) else { continue };
            let Some(stated) = Family::of_stated(&listed.os) else { continue };
            // Who asks for others says what they say.
            let is_gateway = decide(&of, Hints::default(), net).role == Some(Role::Gateway)
                || super::reconcile::stated_role(listed) == Some(Role::Gateway);
            if !is_subject(of.host, net, &site.known) || is_gateway {
                continue;
            }
            let scan = site.known.scanned.get(&addr).and_then(|s| Some((Family::of_stated(&s.os)?, s)));
            let weight_of = |family: Family| {
                let by_scan = if scan.as_ref().is_some_and(|s| s.0 == family) { BANNER } else { 0.0 };
                of.seen.systems.weight(family) + by_scan
            };
            let against = Family::ALL.into_iter().filter(|f| !stated.fits(*f)).map(|f| (f, weight_of(f)));
            let Some((family, against)) = against.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else { continue };
            let own: f64 = Family::ALL.into_iter().filter(|f| stated.fits(*f)).map(weight_of).sum();
            if against < least || against - own < margin {
                continue;
            }
            let (agents, names, stacks) = of.seen.systems.counts(family);
            let mut why = Vec::new();
            if agents > 0 {
                why.push(format!("{agents} user agents"));
            }
            if stacks > 0 {
                why.push(format!("{stacks} connections that its stack set up"));
            }
            if names > 0 {
                why.push(format!("{names} questions for its update services"));
            }
            let by_scan = scan.as_ref().filter(|s| s.0 == family).map(|s| s.1);
            why.extend(by_scan.map(|s| format!("a scan found {}", s.os)));
            let name = if listed.name.is_empty() { String::new() } else { format!(" ({})", listed.name) };
            let title = format!("{addr}{name} is {} by the inventory and {} by {}", listed.os, family.name(), why.join(", "));
            let mut f = Finding::new(NAME, addr, span(of.seen.first, of.seen.last), title);
            f.severity = if why.len() > 1 { 2 } else { 1 };
            f.score = sat((against - own) / 8.0 * weight(Some(listed))) as f32;
            f.number(&format!("weight for {}", family.name()), format!("{against:.1}"), format!(">= {least}"));
            f.number(&format!("weight for {}", stated.name()), format!("{own:.1}"), format!("at least {margin} less"));
            mission(&mut f, Some(listed));
            of.seen.systems.record(family).into_iter().for_each(|id| f.rests_on(net.record(id)));
            let stated_rows = [(listed.id, listed.time)].into_iter().chain(by_scan.map(|s| (s.id, s.time)));
            let set_up = match stacks {
                0 => String::new(),
                _ => format!(" or src.ip = {addr} and exists src.os or dst.ip = {addr} and exists dst.os"),
            };
            let asks =
                format!("(src.ip = {addr} and kind in {{http, proxy, dns}} or dst.ip = {addr} and kind = inventory{set_up})");
            opens(&mut f, &asks, stated_rows);
            f.rows = u64::from(agents) + u64::from(names) + u64::from(stacks);
            f.sources = sources(of.seen.sources.iter().copied().chain([listed.source]));
            f.caveats = site.caveats();
            if stacks == 0 {
                f.caveats.push("user agents say what programs like; no packets of it tell whose stack it has".into());
            }
            if own > 0.0 {
                f.caveats.push("both families are seen: two systems at one address?".into());
            }
            f.benign = vec![
                "a virtual machine, a container or two systems on one computer".into(),
                "a new installation that was not entered".into(),
                "a program with an agent of its own making".into(),
            ];
            out.push(f);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::reconcile::{Listed, Scanned};
    use crate::detectors::trial::{FRIDAY, Trial};
    use crate::flow::stack::Stack;
    use crate::model::{Kind, RecordId, SourceId, Time};

    #[test]
    fn whose_stack_sets_up_connections_contradicts_the_inventory_too() {
        let mut trial = Trial::new();
        for (n, os) in [(1, "Windows 11"), (2, "Android 14"), (3, "Windows 11")] {
            let addr = Some([10, 0, 0, n].into());
            trial.known.add_host(Listed { addr, os: os.into(), source: SourceId(9), ..Listed::default() });
        }
        for n in 0..6 {
            for (host, stack) in [(1, Stack::Linux), (2, Stack::Linux), (3, Stack::Windows)] {
                trial.flow(FRIDAY as f64 + f64::from(n), &format!("10.0.0.{host}"), "192.0.2.1", 443);
                trial.flows.last_mut().unwrap().stacks = [Some(stack), Some(Stack::Windows)];
            }
        }
        let found = trial.found(&DETECTOR);
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.host.to_string().as_str(), one.rows), ("10.0.0.1", 6));
        assert!(one.title.contains("6 connections that its stack set up") && one.query.contains("exists src.os"), "{one:?}");
        assert!(!one.caveats.iter().any(|c| c.contains("no packets")), "{:?}", one.caveats);
    }

    #[test]
    fn agents_names_and_scans_contradict_the_inventory_only_together_or_often() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        for (n, os) in [(1, "Windows 11"), (2, "Android 14"), (3, "Debian 12"), (4, "Windows 10"), (5, "Debian 12"), (6, "")] {
            let addr = Some([10, 0, 0, n].into());
            trial.known.add_host(Listed { addr, os: os.into(), source: SourceId(9), ..Listed::default() });
        }
        let linux = trial.word("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0");
        let windows = trial.word("Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0");
        for n in 0..6 {
            let at = begin + f64::from(n);
            for (host, agent) in [(1, linux), (2, linux), (3, windows), (4, windows), (6, linux)] {
                trial.event(Kind::Http, at, &format!("10.0.0.{host}"), "192.0.2.1", 80).agent = agent;
            }
            trial.query(at, "10.0.0.3", "ctldl.windowsupdate.com", "A", "NOERROR", &[]);
        }
        // One agent is not enough, a scan is.
        trial.event(Kind::Http, begin, "10.0.0.5", "192.0.2.1", 80).agent = windows;
        let scanned = |os: &str| Scanned { os: os.into(), time: Time(1), id: RecordId::default(), source: SourceId(8) };
        trial.known.add_scanned("10.0.0.4".parse().unwrap(), scanned("Windows 10"));
        let found = trial.found(&DETECTOR);
        let mut brief: Vec<_> = found.iter().map(|f| (f.host.to_string(), f.severity)).collect();
        brief.sort();
        assert_eq!(brief, [("10.0.0.1".to_owned(), 1), ("10.0.0.3".to_owned(), 2)]);
        assert!(found.iter().any(|f| f.title.contains("Windows by 6 user agents, 6 questions")));
    }
}
