//! Many findings of one detector: those that matter least are one finding, so that what a list of hosts would say again and again is said once.

use super::Detector;
use super::fold::merge;
use crate::model::finding::Finding;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Findings of one detector that stand by themselves; those of high severity always do.
const ALONE: usize = 25;
/// Hosts that are named in a title, and in a query.
const NAMED: usize = 4;
const ASKED: usize = 200;

/// Folds those beyond, which are in order of severity and score.
pub fn fold(found: &mut Vec<Finding>, detector: &dyn Detector) {
    let keep = found.iter().take_while(|f| f.severity >= 3).count().max(ALONE);
    if found.len() <= keep + 1 {
        return;
    }
    let rest = found.split_off(keep);
    let hosts: BTreeSet<IpAddr> = rest.iter().map(|f| f.host).collect();
    let Some(first) = rest.first() else { return };
    let named: Vec<String> = hosts.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if hosts.len() > NAMED { ", ..." } else { "" };
    let title = format!("{} more like these, of {} hosts: {}{more}", rest.len(), hosts.len(), named.join(", "));
    let mut one = Finding::new(detector.name(), first.host, first.window, title);
    // It is not the first of them.
    one.name = Some("others".into());
    one.severity = first.severity.min(1);
    one.score = first.score;
    one.number("findings", rest.len(), ALONE);
    one.number("hosts", hosts.len(), "");
    merge(&mut one, &rest);
    let list: Vec<String> = hosts.iter().take(ASKED).map(ToString::to_string).collect();
    one.asks(&format!("host in {{{}}}", list.join(", ")));
    one.caveats = vec![format!("the {ALONE} that matter most stand by themselves")];
    if hosts.len() > ASKED {
        one.caveats.push(format!("its query names the first {ASKED} hosts"));
    }
    one.benign.clone_from(&first.benign);
    one.techniques.clone_from(&first.techniques);
    found.push(one);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use crate::model::finding::span;

    #[test]
    fn what_matters_least_is_one_finding_and_what_is_grave_stands_alone() {
        let one = |n: u8, severity| {
            let mut f = Finding::new("brute_force", IpAddr::from([10, 0, 0, n]), span(Time(i64::from(n)), Time(100)), "x");
            (f.severity, f.rows) = (severity, 2);
            f
        };
        let detector = &crate::detectors::brute_force::DETECTOR;
        let mut found: Vec<Finding> = (0..60).map(|n| one(n, if n < 30 { 3 } else { 2 })).collect();
        fold(&mut found, detector);
        assert_eq!(found.len(), 31);
        let last = &found[30];
        assert!(last.title.starts_with("30 more like these, of 30 hosts: 10.0.0.30, "), "{}", last.title);
        assert_eq!((last.severity, last.rows, last.window), (1, 60, span(Time(30), Time(100))));
        let mut few: Vec<Finding> = (0..26).map(|n| one(n, 1)).collect();
        fold(&mut few, detector);
        assert_eq!(few.len(), 26, "one more is not folded");
    }
}
