//! What is done against abuse: the detectors of content on the whole story, and lists of addresses to be blocked from the command line.

use backtrail::detectors::gather::Asked;
use backtrail::detectors::{Limits, run as detect};
use backtrail::model::Window;
use backtrail::model::finding::Finding;
use backtrail::query::Engine;
use backtrail::query::engine::Cancel;
use std::path::Path;
use std::process::Command;

const MINE: [&str; 7] = ["dga", "dns_tunnel", "exfiltration", "outage", "protocol_mismatch", "slow_web", "spam"];

#[test]
fn the_detectors_of_content_find_what_the_story_has_and_nothing_else() {
    let names =
        ["zeek", "inside.pcapng", "outside.pcap", "eve.json.gz", "gateway-kern.log", "gateway-kern.log.1.gz", "conntrack.log.gz"];
    let case = crate::story::Case::of(&names);
    let only: Vec<_> = MINE.iter().map(|n| backtrail::detectors::find(n).unwrap()).collect();
    let limits = Limits::new();
    let asked = Asked { limits: &limits, only: Some(&only), window: Window::ALL, past: None };
    let found = detect(&case.engine, &asked, &Cancel::default(), &mut |_| {}).unwrap();
    let of = |name: &str| -> Vec<&Finding> { found.list.iter().filter(|f| f.detector == name).collect() };
    let count: Vec<usize> = MINE.iter().map(|n| of(n).len()).collect();
    assert_eq!(count, [0, 0, 1, 1, 1, 0, 1], "{:#?}", found.list);

    let exfiltration = of("exfiltration")[0];
    assert_eq!((exfiltration.host.to_string(), exfiltration.rows, exfiltration.severity), ("10.8.21.5".into(), 44, 3));
    assert_eq!(exfiltration.peer.unwrap().to_string(), "192.0.2.77");
    assert!(exfiltration.title.contains("sent 156 MB") && exfiltration.title.contains("on 3 days"), "{}", exfiltration.title);
    assert_eq!(exfiltration.name.as_deref(), Some("sync.paste-store.example"));

    let outage = of("outage")[0];
    assert_eq!((outage.host.to_string(), outage.service), ("10.8.40.20".into(), Some((6, 80))));
    let title = &outage.title;
    assert!(
        title.contains(
            "188 of 188 attempts of 27 clients fail; 100 % of missing flows match 376 denials by rule DROP-EMERG-WEB-LOCK"
        ),
        "{title}"
    );

    // The page of the printer, which the gateway passes on at a port that is nobody's.
    let printer = of("protocol_mismatch")[0];
    assert_eq!((printer.service, printer.peer.unwrap().to_string()), (Some((6, 8631)), "192.0.2.200".into()));

    let spam = of("spam")[0];
    assert_eq!((spam.host.to_string(), spam.rows), ("10.8.21.23".into(), 82));
    assert!(spam.title.contains("82 connections to 20 mail servers in 5 min"), "{}", spam.title);
    assert!(spam.caveats.iter().any(|c| c.contains("198.51.100.2")), "{:?}", spam.caveats);
    for f in &found.list {
        // Its query selects at least the records that it counts.
        let question = case.engine.compile(&f.query).unwrap();
        let n = case.engine.counts(&[question], u64::MAX, &Cancel::default()).unwrap()[0].n;
        assert!(n >= f.rows && f.rows > 0, "{} {n}", f.title);
        assert!(!f.evidence.is_empty() && !f.benign.is_empty() && !f.sources.is_empty() && !f.numbers.is_empty(), "{}", f.title);
        assert!(f.evidence.iter().all(|id| case.engine.record(*id).unwrap().is_some()), "{}", f.title);
    }
}

struct Ran {
    out: String,
    said: String,
    ok: bool,
}

fn run(case: &Path, args: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_backtrail"));
    command.env("HOME", home.path()).env("BACKTRAIL_USER", "ana").env_remove("BACKTRAIL_CASE").env_remove("XDG_CONFIG_HOME");
    let ran = command.arg("--case").arg(case).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { out: text(&ran.stdout), said: text(&ran.stderr), ok: ran.status.success() }
}

/// Lines that a firewall would act on.
fn acting(text: &str) -> Vec<&str> {
    text.lines().filter(|l| !l.starts_with(['#', '!'])).collect()
}

#[test]
fn lists_are_printed_remembered_and_leave_out_ones_own_and_key_sites() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let story = crate::story::story("");
    let ingested = run(&case, &["ingest", story.to_str().unwrap()]);
    assert!(ingested.out.contains("netfilter"), "{}", ingested.said);
    let block = |args: &[&str]| {
        let args: Vec<&str> = std::iter::once("block").chain(args.iter().copied()).collect();
        run(&case, &args)
    };
    let remembered =
        || std::fs::read_to_string(case.join("journal.log")).unwrap_or_default().matches(r#""type":"block""#).count();

    let by_hand = block(&["203.0.113[.]9", "10.8.21.5", "198.51.100.0/24", "--form", "nft", "--reason", "beacon"]);
    assert!(by_hand.ok, "{}", by_hand.said);
    assert!(by_hand.out.contains("block4 { 203.0.113.9 timeout 1800s }"), "{}", by_hand.out);
    assert!(
        by_hand.said.contains("10.8.21.5 is left out") && by_hand.said.contains("198.51.100.0/24 is left out"),
        "{}",
        by_hand.said
    );
    assert!(!acting(&by_hand.out).iter().any(|l| l.contains("10.8.21.5") || l.contains("198.51.100")), "{}", by_hand.out);
    assert_eq!(remembered(), 1);
    // In another form it is the same list.
    let plain = block(&["203.0.113.9"]);
    assert_eq!((plain.out.matches("203.0.113.9\t").count(), remembered()), (1, 1), "{}", plain.out);

    // Who is foreign in the answer of a query, and in a finding.
    let query = block(&["signature.id", "=", "2006446", "--dry-run"]);
    assert!(query.ok && acting(&query.out).iter().any(|l| l.starts_with("203.0.113.66\t")), "{} {}", query.out, query.said);
    let none = block(&["--finding", "exfiltration nobody"]);
    let key = none.said.split("there are: ").nth(1).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    assert!(!none.ok && key.starts_with("exfiltration 10.8.21.5 192.0.2.77"), "{}", none.said);
    let finding = block(&["--finding", &key, "--form", "pf", "--dry-run"]);
    assert!(
        acting(&finding.out).iter().any(|l| l.starts_with("table <until_") && l.ends_with("{ 192.0.2.77 }")),
        "{}",
        finding.out
    );
    // The phishing mail came from 203.0.113.25 at 07:59:30.
    let mail = block(&["--mail-at", "2026-11-17T07:59:45Z", "--dry-run"]);
    assert!(acting(&mail.out).iter().any(|l| l.starts_with("203.0.113.25\t")), "{} {}", mail.out, mail.said);
    assert_eq!(remembered(), 1);

    // Key sites: by address, by name that DNS gave.
    assert!(run(&case, &["set", "add", "keysites", "192.0.2.77", "*.evil.example"]).ok);
    for addr in ["192.0.2.77", "203.0.113.9"] {
        let kept = block(&[addr, "--form", "asa", "--even-if-used"]);
        assert!(kept.ok && acting(&kept.out).is_empty() && kept.said.contains("key site"), "{} {}", kept.out, kept.said);
    }
    // What is no list, and slips.
    for (args, hint) in [
        (&["kind = flow", "--limit", "5"][..], "short list"),
        (&["kind = flow | count"], "table"),
        (&["203.0.113.9", "--ttl", "2d"], "24h"),
        (&["203.0.113.9", "--form", "nftables"], "nft"),
        (&[][..], "whom"),
    ] {
        let wrong = block(args);
        assert!(!wrong.ok && wrong.said.contains(hint), "{args:?} {}", wrong.said);
    }
}
