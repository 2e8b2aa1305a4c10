//! Every pivot gives the query that the example in its doc comment says, in canonical text, and says "not from here" to what it does not know.

use backtrail::model::{Entity, EvidenceKey, Kind, Record, RecordId, SourceId, Time, Value, community_id, field};
use backtrail::pivots::{ALL, Selection};
use backtrail::query::{Scope, compile};

/// `alert src.ip=10.0.0.5 ...`, `field=value`, or a value by its form.
fn selection(text: &str) -> Selection {
    let mut words = text.split(' ');
    if let Some(kind) = words.next().and_then(Kind::parse).filter(|_| text.contains(' ')) {
        let id = RecordId { evidence: EvidenceKey(0x0011_2233_4455_66aa), offset: 0x40, ordinal: 0 };
        let mut record = Record::new(kind, id, SourceId(1), Time::parse("2026-11-20T08:12:03Z").unwrap());
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            let f = field::find(name).unwrap();
            record.set(f.id, Value::parse(value, f.ty).unwrap());
        }
        return Selection { record: Some(record), ..Selection::default() };
    }
    let of_field = text.split_once('=').and_then(|(name, value)| {
        let f = field::find(name)?;
        Entity::of(f.id, &Value::parse(value, f.ty)?)
    });
    let entity = of_field.or_else(|| Entity::recognise(text));
    assert!(entity.is_some(), "{text}");
    Selection { entity, ..Selection::default() }
}

fn examples(stem: &str) -> Vec<(String, String)> {
    let path = format!("{}/src/pivots/{stem}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let cid = community_id::compute(6, [10, 8, 21, 5].into(), 49321, [203, 0, 113, 9].into(), 443);
    text.lines()
        .filter_map(|l| l.strip_prefix("/// Example: `")?.strip_suffix('`')?.split_once("` -> `"))
        .map(|(from, to)| (from.to_owned(), to.replace("(its community id)", &cid)))
        .collect()
}

#[test]
fn every_pivot_gives_the_query_of_its_example_in_canonical_text() {
    for pivot in ALL {
        let examples = examples(&pivot.name.replace('-', "_"));
        assert!(!examples.is_empty(), "{} has no example", pivot.name);
        for (from, to) in examples {
            let lead = (pivot.run)(&selection(&from)).unwrap_or_else(|| panic!("{}: nothing from {from}", pivot.name));
            assert_eq!(lead.query, to, "{} from {from}", pivot.name);
        }
    }
}

#[test]
fn whatever_is_selected_a_lead_is_a_query_that_compiles_to_itself() {
    let selections = [
        "10.8.21.5",
        "2001:db8::9",
        "10.8.0.0/16",
        "www.evil.example",
        "http://evil.example/a?b=c&d=\"x y\"",
        "user=DOMAIN\\jdoe",
        "user=*",
        "signature=ET \"quoted\" (x) | 1",
        "445/tcp",
        "CVE-2021-44228",
        "d41d8cd98f00b204e9800998ecf8427e",
        "aa:bb:cc:00:11:22",
        "alert src.ip=203.0.113.9 src.port=1 dst.ip=10.8.21.5 dst.port=443 proto=tcp signature=a*b severity=high",
        "alert src.ip=203.0.113.9 dst.ip=10.8.21.5 proto=tcp",
        "flow src.ip=fe80::1 src.port=8 dst.ip=fe80::2 dst.port=0 proto=icmp app=dns,tls name=evil.example",
        "dns src.ip=10.8.21.5 dst.ip=10.8.0.1 name=evil.example dns.type=A dns.answer.ip=203.0.113.9",
        "http src.ip=10.8.21.5 dst.ip=203.0.113.9 http.host=evil.example http.method=GET url=http://evil.example/",
        "inventory dst.ip=203.0.113.9 indicator=203.0.113.9 feed=x",
        "log message=hello",
        "oddity oddity=ip_truncated",
    ];
    let mut leads = 0;
    for text in selections {
        for pivot in ALL {
            let Some(lead) = (pivot.run)(&selection(text)) else { continue };
            leads += 1;
            assert!(!lead.label.is_empty());
            match compile(&lead.query, &Scope::empty()) {
                Ok(q) => assert_eq!(q.text, lead.query, "{} from {text}", pivot.name),
                Err(e) => panic!("{} from {text}:\n{e}", pivot.name),
            }
        }
    }
    assert!(leads > 150, "{leads}");
    for pivot in ALL {
        assert_eq!((pivot.run)(&Selection::default()), None, "{} leads from nothing", pivot.name);
    }
}

#[test]
fn the_host_of_a_record_is_the_one_inside() {
    let around = ALL.iter().find(|p| p.name == "around").unwrap();
    let lead = (around.run)(&selection("alert src.ip=203.0.113.9 dst.ip=10.8.21.5")).unwrap();
    assert_eq!(lead.query, "host = 10.8.21.5 and around 2026-11-20T08:12:03Z 10m");
}
