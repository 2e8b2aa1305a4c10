//! The report in every form, of a part of the story.

use crate::story::Case;
use backtrail::case::report::redact::Redactor;
use backtrail::case::report::{Report, gather, html, json, markdown, misp, stix, timesketch, with_findings};
use backtrail::model::decision::{About, Judgement, What};
use backtrail::query::engine::Cancel;
use serde_json::Value as Json;
use std::collections::BTreeSet;

fn made() -> (Case, Report) {
    let case = Case::of(&["eve.json.gz", "inside.pcapng", "inventory.csv"]);
    let beacon = "kind = alert and signature.id = 2028401";
    case.decide(What::Bookmark {
        title: "<b>beacon</b>".into(),
        query: beacon.into(),
        lens: "alerts".into(),
        focus: String::new(),
        rows: 10,
        seen: 1,
        node: None,
    });
    case.decide(What::Note {
        about: About::Case,
        text: "jdoe saw [this](http://evil.example/) <script>alert(1)</script>".into(),
    });
    let about = About::Value("host".into(), "203.0.113.9".into());
    case.decide(What::Verdict { about, judgement: Judgement::Malicious, reason: "calls home".into(), expires: None });
    let decisions = case.engine.store().journal().decisions();
    let cancel = Cancel::default();
    let mut report = gather("c", &decisions, &case.engine, &cancel).unwrap();
    let dir = case.path("kept");
    std::fs::create_dir(&dir).unwrap();
    with_findings(&mut report, &dir, &decisions, &case.engine, &cancel).unwrap();
    (case, report)
}

#[test]
fn every_form_says_the_same_and_what_was_written_by_others_stays_text() {
    let (case, report) = made();
    assert!(report.findings.iter().any(|f| f.detector == "brute_force"), "{:?}", report.findings);
    let text = markdown::write(&report, &case.engine);
    assert!(text.contains("## Findings") && text.contains("guesses passwords of 10.8.30.12"), "{text}");
    let page = html::write(&report, &case.engine);
    assert!(page.contains("default-src 'none'") && page.contains("guesses passwords of 10.8.30.12"), "{page}");
    assert!(page.matches("<svg").count() == 2 && page.contains("SITUATION"), "no pictures");
    for active in ["<script", "<b>beacon", "href=", "src=", "<img", "onload", "javascript:"] {
        assert!(!page.contains(active), "{active} in {page}");
    }
    let object = json::write(&report, &case.engine);
    assert_eq!(object["findings"].as_array().map(Vec::len), Some(report.findings.len()));
    let lines = timesketch::write(&report, &case.engine);
    for line in &lines {
        assert!(["message", "datetime", "timestamp_desc"].iter().all(|k| line[k].is_string()), "{line}");
    }
    assert!(lines.len() >= 10 + report.findings.len());
}

#[test]
fn a_bundle_refers_to_what_is_in_it_and_only_what_was_judged_is_an_indicator() {
    let (_case, report) = made();
    let bundle = stix::write(&report);
    assert_eq!(bundle, stix::write(&report), "the same case gives the same bundle");
    let objects = bundle["objects"].as_array().unwrap();
    let ids: BTreeSet<&str> = objects.iter().map(|o| o["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), objects.len());
    for object in objects {
        let kind = object["type"].as_str().unwrap();
        assert!(object["id"].as_str().unwrap().starts_with(&format!("{kind}--")) && object["spec_version"] == "2.1", "{object}");
        for key in ["created_by_ref", "src_ref", "dst_ref"] {
            assert!(object[key].as_str().is_none_or(|id| ids.contains(id)), "{object}");
        }
        for id in object["object_refs"].as_array().into_iter().flatten() {
            assert!(ids.contains(id.as_str().unwrap()), "{object}");
        }
    }
    let patterns: Vec<&str> = objects.iter().filter_map(|o| o["pattern"].as_str()).collect();
    assert_eq!(patterns, ["[ipv4-addr:value = '203.0.113.9']"]);
    let flows = objects.iter().filter(|o| o["type"] == "network-traffic").count();
    assert_eq!(flows, 10, "one a record of the bookmark");
    let event = misp::write(&report);
    let marked: Vec<&Json> =
        event["Event"]["Attribute"].as_array().unwrap().iter().filter(|a| a["to_ids"] == true).map(|a| &a["value"]).collect();
    assert_eq!(marked, ["203.0.113.9"]);
    assert_eq!(event["Event"]["Object"].as_array().map(Vec::len), Some(10));
}

#[test]
fn a_redacted_report_names_no_address_and_no_user_of_the_case_in_any_form() {
    let (case, report) = made();
    let mut redactor = Redactor::new(b"a key of sixteen", ["jdoe".to_owned()]);
    let mut json = |mut value: Json| {
        redactor.json(&mut value);
        value.to_string()
    };
    let mut forms = vec![json(stix::write(&report)), json(misp::write(&report)), json(json::write(&report, &case.engine))];
    forms.extend(timesketch::write(&report, &case.engine).into_iter().map(&mut json));
    let plain = [markdown::write(&report, &case.engine), html::write(&report, &case.engine)];
    assert!(plain.iter().all(|t| t.contains("10.8.30.12") && t.contains("203.0.113.9") && t.contains("jdoe")));
    forms.extend(plain.iter().map(|t| redactor.text(t)));
    for form in &forms {
        for own in ["10.8.30.12", "10.8.21.5", "203.0.113.9", "jdoe"] {
            assert!(!form.contains(own), "{own} in {form}");
        }
    }
    assert!(forms.last().unwrap().contains("guesses passwords of"));
    // Ids that are made of addresses would give them away.
    let open = stix::write(&report).to_string();
    let id = open.split("ipv4-addr--").nth(1).unwrap().get(..36).unwrap();
    assert!(!forms[0].contains(id));
}

#[test]
fn what_a_verdict_only_excludes_is_no_indicator_and_two_cases_share_no_ids() {
    let (case, report) = made();
    let query = "src.ip = 10.8.21.5 and dst.ip = 203.0.113.44 and not dst.ip = 192.0.2.77".to_owned();
    case.decide(What::Verdict { about: About::Query(query), judgement: Judgement::Malicious, reason: "x".into(), expires: None });
    let decisions = case.engine.store().journal().decisions();
    let again = gather("c", &decisions, &case.engine, &Cancel::default()).unwrap();
    assert!(again.bad.contains("203.0.113.44") && again.bad.contains("203.0.113.9") && !again.bad.contains("192.0.2.77"));
    let other = gather("d", &decisions, &case.engine, &Cancel::default()).unwrap();
    assert_ne!(stix::write(&again)["id"], stix::write(&other)["id"]);
    assert_ne!(misp::write(&again)["Event"]["uuid"], misp::write(&other)["Event"]["uuid"]);
    assert_eq!(stix::write(&report)["id"], stix::write(&again)["id"], "what is entered makes it no other case");
}
