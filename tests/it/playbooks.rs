//! Playbooks on the story: what they say is what happened.

use crate::screens::{Bench, LARGE, SMALL};
use crate::story::Case;
use backtrail::case::playbooks::{Answer, Subject, own, run};
use backtrail::query::engine::Cancel;

fn of(case: &Case, name: &str, subject: &str) -> Answer {
    run(name, &Subject::parse(subject).unwrap(), &case.engine, &Cancel::default()).unwrap()
}

#[test]
fn the_outage_is_explained_by_its_rule_and_the_injection_by_what_was_answered() {
    let case =
        Case::of(&["eve.json.gz", "inside.pcapng", "gateway-kern.log", "www-access.log", "zeek", "nmap.xml", "inventory.csv"]);
    let outage = of(&case, "outage", "10.8.40.20:80");
    let truth = ("2026-11-19T09:20", "2026-11-19T10:0");
    assert!(
        outage.window.start.rfc3339().starts_with(truth.0) && outage.window.last().rfc3339().starts_with(truth.1),
        "{outage:?}"
    );
    let first = &outage.causes[0];
    assert!(first.text.contains("rule DROP-EMERG-WEB-LOCK") && first.share > 0.99 && first.evidence >= 400, "{first:?}");
    assert!(outage.conclusion.contains("188 attempts of 27 clients failed"), "{}", outage.conclusion);
    assert!(outage.steps.iter().any(|s| s.says.contains("www-access is silent")), "{outage:?}");
    // Without a port it is the one at which most attempts failed; what was never down is an error that says so.
    assert_eq!(of(&case, "outage", "10.8.40.20").subject, "10.8.40.20:80");
    let fine = run("outage", &Subject::parse("10.8.30.20:5432").unwrap(), &case.engine, &Cancel::default());
    assert!(fine.unwrap_err().what.contains("was not down"));

    let sqli = of(&case, "sqli", "10.8.40.20");
    let says = sqli.steps.iter().map(|s| s.says.as_str()).collect::<Vec<_>>().join("\n");
    assert!(says.contains("37 alerts from 203.0.113.66") && says.contains("10.8.30.20 port 5432"), "{says}");
    assert!(says.contains("26 requests, 11 with UNION SELECT") && says.contains("largest answer 8700 bytes"), "{says}");
    assert!(sqli.conclusion.contains("uses a database") && sqli.conclusion.contains("called nobody new"), "{}", sqli.conclusion);
    // Every step opens the rows that it counts.
    for step in outage.steps.iter().chain(&sqli.steps).filter(|s| !s.query.is_empty()) {
        assert!(backtrail::query::Engine::compile(&case.engine, &step.query).is_ok(), "{}", step.query);
    }
}

#[test]
fn what_no_source_covers_is_unknown() {
    let case = Case::of(&["eve.json.gz"]);
    let outage = of(&case, "outage", "10.8.40.20:80");
    assert!(outage.causes.iter().all(|c| !c.text.contains("rule")), "{outage:?}");
    let says = outage.coverage.join("\n");
    assert!(says.contains("fw: no source gives it: not seen means unknown"), "{says}");
    assert!(outage.steps.iter().any(|s| s.says.contains("whether the server ran is unknown")), "{outage:?}");
}

#[test]
fn a_playbook_of_ones_own_asks_its_steps_about_what_it_is_run_on() {
    let case = Case::of(&["eve.json.gz"]);
    let text = "name = \"mine\"\ndoc = \"was it called?\"\n[[steps]]\ntitle = \"alerts\"\nquery = \"kind = alert and dst.ip = {host}\"\ntells = \"some\"\n[[steps]]\ntitle = \"peer\"\nquery = \"src.ip = {peer}\"\n";
    let own = own::parse(text).unwrap();
    let asker = backtrail::case::playbooks::Asker { engine: &case.engine, cancel: &Cancel::default() };
    let subject = Subject::parse("10.8.40.20").unwrap();
    let answer = backtrail::case::playbooks::Playbook::run(&own, &subject, &asker).unwrap();
    assert_eq!((answer.steps[0].rows, answer.steps[0].tells, answer.steps[1].tells), (37, true, false));
    assert!(answer.steps[1].says.contains("{peer}") && answer.conclusion.contains("1 of 1 steps"), "{answer:?}");
}

#[test]
fn on_the_screen_one_is_chosen_and_its_steps_open() {
    for size in [SMALL, LARGE] {
        let mut bench = Bench::home(size);
        let list = bench.keys(": playbook <enter>");
        assert!(list.contains("outage") && list.contains("sqli"), "{list}");
        let none = bench.keys("<esc> : playbook <space> sqli <space> 192.0.2.1 <enter>");
        assert!(none.contains("no alert on 192.0.2.1"), "{none}");
    }
}
