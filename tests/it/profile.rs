//! The profile of the sample incident's network, and its inventory and scans compared with what was seen: what its truth says, and nothing made up.

use crate::story::Case;
use backtrail::case::profile::{self, Step, Table};
use backtrail::detectors::gather::Asked;
use backtrail::detectors::{self, Detector, Limits};
use backtrail::model::finding::Finding;
use backtrail::model::{Cancel, Time, Window};
use backtrail::query::Engine;

fn compared(case: &Case) -> Vec<Finding> {
    let only: Vec<&'static dyn Detector> = detectors::ALL.iter().copied().filter(|d| d.compares()).collect();
    let asked = Asked { limits: &Limits::new(), only: Some(&only), window: Window::ALL, past: None };
    detectors::run(&case.engine, &asked, &Cancel::default(), &mut |_| {}).unwrap().list
}

#[test]
fn inventory_and_scans_are_compared_with_what_hosts_did() {
    let case = Case::of(&["."]);
    let found = compared(&case);
    let of = |detector: &str| {
        let mut list: Vec<(String, u8)> =
            found.iter().filter(|f| f.detector == detector).map(|f| (f.host.to_string(), f.severity)).collect();
        list.sort();
        list
    };
    let row = |host: &str, severity: u8| (host.to_owned(), severity);
    assert_eq!(of("unknown_host"), [row("10.8.21.77", 2)]);
    assert_eq!(of("absent_host"), [row("10.8.22.40", 0)]);
    assert_eq!(of("exposed_management"), [row("10.8.50.10", 4)]);
    // The two workstations that the program was written to.
    assert_eq!(of("unauthorised_service"), [row("10.8.21.23", 2), row("10.8.21.31", 2)]);
    assert_eq!(of("exposed_vulnerability"), [row("10.8.40.20", 3), row("10.8.50.10", 4)]);
    // The workstation that sent spam.
    assert_eq!(of("role_mismatch"), [row("10.8.21.23", 2)]);
    assert!(of("os_mismatch").is_empty() && of("scan_contradiction").is_empty(), "{found:?}");
    assert!(of("unused_service").iter().all(|f| f.1 <= 1));
    for finding in &found {
        let selected = case.count(&finding.query);
        assert!(selected > 0 && selected >= finding.rows.min(1), "{}: {}", finding.title, finding.query);
        assert!(!finding.evidence.is_empty() || finding.detector == "absent_host", "{}", finding.title);
        assert!(finding.evidence.iter().all(|id| case.engine.record(*id).unwrap().is_some()), "{}", finding.title);
    }
    // Found again it is the same, in the same order.
    let again: Vec<String> = compared(&case).iter().map(Finding::key).collect();
    assert_eq!(again, found.iter().map(Finding::key).collect::<Vec<_>>());
}

fn cells(table: &Table) -> Vec<Vec<String>> {
    let time = |t: Time| t.rfc3339();
    table.lines.iter().map(|l| l.cells.iter().map(|c| c.show(&time)).collect()).collect()
}

fn table<'a>(steps: &'a [Step], name: &str) -> &'a Table {
    steps.iter().flat_map(|s| &s.tables).find(|t| t.name == name).unwrap()
}

#[test]
fn the_steps_say_who_talks_who_offers_what_and_what_is_left_over() {
    let case = Case::of(&["."]);
    let made = profile::gather(&case.engine, Window::ALL, &Cancel::default(), &mut |_| {}).unwrap();
    let steps = profile::steps(&case.engine, &made, &Cancel::default()).unwrap();
    assert_eq!(steps.iter().map(|s| s.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let column = |name: &str, title: &str| {
        let table = table(&steps, name);
        let at = table.columns.iter().position(|c| *c == title).unwrap();
        cells(table).into_iter().map(|mut row| row.swap_remove(at)).collect::<Vec<_>>()
    };
    assert_eq!(column("talkers", "network")[..2], ["10.8.21.0/27", "10.8.21.32/27"]);
    let web: Vec<(String, String)> = column("web_server", "host").into_iter().zip(column("web_server", "rule")).collect();
    assert!(web.iter().any(|(host, rule)| host == "10.8.40.20" && rule.starts_with("kept 9")), "{web:?}");
    assert!(web.iter().any(|(host, rule)| host == "10.8.50.10" && rule.starts_with("cut")), "{web:?}");
    assert_eq!(column("mail_server", "host")[0], "10.8.30.15");
    assert_eq!(column("dns_server", "host"), ["10.8.30.2"]);
    // Under one percent of every class: the tablets of the web's clients, the printer of its servers.
    assert_eq!(column("leftovers", "host"), ["10.8.60.21", "10.8.60.22", "10.8.50.10"]);
    let roles: Vec<(String, String)> = column("roles", "host").into_iter().zip(column("roles", "role")).collect();
    for (host, role) in [
        ("10.8.21.5", "workstation"),
        ("10.8.30.2", "DNS or domain controller"),
        ("10.8.30.8", "proxy or gateway"),
        ("10.8.30.10", "server"),
        ("10.8.30.15", "mail server"),
        ("10.8.50.11", "printer"),
        ("10.8.40.20", "server"),
    ] {
        assert!(roles.contains(&(host.to_owned(), role.to_owned())), "{host}: {roles:?}");
    }
    // Every line opens records.
    for line in steps.iter().flat_map(|s| &s.tables).flat_map(|t| t.lines.iter().take(3)) {
        if let backtrail::case::home::Go::Query { text, .. } = &line.go {
            assert!(case.count(text) > 0 || text.contains("translat"), "{text}");
        }
    }
    // Of a window only what is in it.
    let hour = case.engine.compile("between 2026-11-19T09:00Z and 2026-11-19T10:00Z").unwrap().window;
    let made = profile::gather(&case.engine, hour, &Cancel::default(), &mut |_| {}).unwrap();
    assert!(made.rows > 100 && made.watcher.sample.hours.len() == 1, "{} {:?}", made.rows, made.watcher.sample.hours);
}
