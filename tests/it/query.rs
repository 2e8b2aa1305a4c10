//! The query language: canonical text of every example, errors with their carets, round trips, completion.

use backtrail::model::filter::Members;
use backtrail::model::{Kind, Record, RecordId, SourceId, Time, Value, field};
use backtrail::query::parse::parse;
use backtrail::query::{Question, Scope, compile, compile_kind, narrow, quote};
use proptest::prelude::*;
use std::sync::Arc;

const NEWEST: &str = "2026-11-20T16:00:00Z";

fn set(name: &str) -> Option<Arc<Members>> {
    (name == "watchlist" || name.ends_with("list.txt")).then(|| {
        Arc::new(Members { name: name.into(), addrs: [std::net::IpAddr::from([10, 0, 0, 5])].into(), ..Members::default() })
    })
}

fn scope() -> Scope<'static> {
    Scope { newest: Time::parse(NEWEST), sets: &set, ..Scope::empty() }
}

fn ask(text: &str) -> Question {
    compile(text, &scope()).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

fn canonical(text: &str) -> String {
    let once = ask(text).text;
    assert_eq!(ask(&once).text, once, "the canonical text of {text:?} is not its own");
    once
}

fn error(text: &str) -> String {
    compile(text, &scope()).err().unwrap_or_else(|| panic!("{text} was understood")).to_string()
}

#[test]
fn every_habit_has_one_canonical_text() {
    let examples = [
        // words
        ("host 10.0.0.5 and port 443", "host = 10.0.0.5 and port = 443"),
        ("net 10.0.0.0/8", "host = 10.0.0.0/8"),
        ("net 192.168", "host = 192.168.0.0/16"),
        ("src net 10.0.0.7/8 and not dst port 53", "src.ip = 10.0.0.0/8 and not dst.port = 53"),
        ("tcp port 80 or 443", "(proto = tcp and port = 80) or port = 443"),
        ("udp and portrange 1-1024", "proto = udp and port = 1-1024"),
        ("icmp or icmp6", "proto = icmp or proto = icmp6"),
        ("not (src host fe80::1 or ip proto 47)", "not (src.ip = fe80::1 or proto = gre)"),
        ("ether host AA-BB-CC-00-11-22 and vlan 7", "mac = aa:bb:cc:00:11:22 and vlan = 7"),
        ("port https", "port = 443"),
        ("ip6", "host = ::/0"),
        // comparisons
        ("bytes > 1MB", "bytes > 1MB"),
        ("dst.port in {80, 443, 8000-8100}", "dst.port in {80, 443, 8000-8100}"),
        ("tcp.dstport in {80 443 8000..8100}", "proto = tcp and dst.port in {80, 443, 8000-8100}"),
        ("ip.addr == 10.0.0.5 && tcp.port == 443", "host = 10.0.0.5 and proto = tcp and port = 443"),
        ("ip.src != 10.0.0.5 || !(http.request.method eq POST)", "src.ip != 10.0.0.5 or not http.method = POST"),
        ("sni ~ /ev[il]/", "sni ~ /ev[il]/"),
        ("tls.handshake.extensions_server_name matches \"a/b\"", "sni ~ /a\\/b/"),
        ("name contains \"example\"", "name contains example"),
        ("proto = tcp", "proto = tcp"),
        ("proto == 17", "proto = udp"),
        ("app = tls", "app = tls"),
        ("state = S0", "state = S0"),
        ("duration > 1h and duration < 7200", "duration > 1h and duration < 7200s"),
        ("kind = flow", "kind = flow"),
        ("kind:alerts", "kind = alert"),
        ("kind = inventory and not indicator exists", "kind = inventory and not exists indicator"),
        ("exists sni and has http.host", "exists sni and exists http.host"),
        ("severity >= HIGH", "severity >= high"),
        ("dst.port not in {80}", "not dst.port = 80"),
        ("id.orig_h = 10.8.* and source.ip = ::FFFF:1.2.3.4", "src.ip = 10.8.0.0/16 and src.ip = ::ffff:1.2.3.4"),
        ("user = \"DOMAIN\\bob smith\"", "user = \"DOMAIN\\\\bob smith\""),
        ("open = yes", "open = true"),
        // short
        ("src:10.0.0.5 dport:445 -app:dns", "src.ip = 10.0.0.5 and dst.port = 445 and not app = dns"),
        ("dport:>1024 sport:80,443", "dst.port > 1024 and src.port in {80, 443}"),
        ("name:*.Evil.example. url:http://a.example/x?y=1", "name = *.Evil.example and url = \"http://a.example/x?y=1\""),
        ("signature:*beacon* -sni:*", "signature = *beacon* and not exists sni"),
        ("-(tcp udp) user:\"two words\"", "not (proto = tcp and proto = udp) and user = \"two words\""),
        // A key before two slashes: what follows is one value, though alone it would be several words.
        ("name://a=b", "name = \"//a=b\""),
        // bare words
        ("dns", "app = dns"),
        ("beacon \"dns\"", "any contains beacon and any contains dns"),
        ("10.0.0.5 10.0.0.0/8 fe80::1", "host = 10.0.0.5 and host = 10.0.0.0/8 and host = fe80::1"),
        ("10.0.0.5:443", "host = 10.0.0.5 and port = 443"),
        ("evil.example", "any contains evil.example"),
        ("CVE-2021-44228", "cve = CVE-2021-44228"),
        ("1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "community_id = \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\""),
        ("http.host", "exists http.host"),
        // time
        ("since 2h ago and tcp", "since 2026-11-20T14:00:00Z and proto = tcp"),
        ("last 30m", "since 2026-11-20T15:30:00Z"),
        (
            "between 2026-11-20T08:00Z and 2026-11-20T09:00Z and port 53",
            "between 2026-11-20T08:00:00Z and 2026-11-20T09:00:00Z and port = 53",
        ),
        ("around 2026-11-20T08:12:03Z 30s", "around 2026-11-20T08:12:03Z 30s"),
        ("until 2026-11-20 08:00 (tcp or udp)", "until 2026-11-20T08:00:00Z and (proto = tcp or proto = udp)"),
        ("since yesterday", "since 2026-11-19T00:00:00Z"),
        ("frame.time >= \"2026-11-20 08:00\"", "start >= 2026-11-20T08:00:00Z"),
        // stages
        ("| count by dst.ip, dst.port | sort -count | head 20", "| count by dst.ip, dst.port | sort -count | head 20"),
        ("tcp | top 10 host by bytes", "proto = tcp | top 10 host by bytes"),
        ("| top dport", "| top 10 dst.port"),
        ("| timeline 5m bytes by app", "| timeline 5m bytes by app"),
        ("| count by src, dport | count by src | sort count desc", "| count by src.ip, dst.port | count by src.ip | sort -count"),
        ("| sort -bytes | head 5", "| sort -bytes | head 5"),
        ("| avg orig_ip_bytes by service | sort -mean", "| mean bytes.out by app | sort -mean"),
        ("| percentile 95 dur by dport", "| percentile 95 duration by dst.port"),
        ("| percentile 99.9 bytes | head 1", "| percentile 99.9 bytes | head 1"),
        ("| median bytes by app | sort p50", "| percentile 50 bytes by app | sort p50"),
        // sets
        ("host in @watchlist", "host in @watchlist"),
        ("src:@/tmp/list.txt and host != @watchlist", "src.ip in @/tmp/list.txt and not host in @watchlist"),
        ("", ""),
    ];
    for (text, want) in examples {
        assert_eq!(canonical(text), want, "{text}");
    }
}

#[test]
fn kinds_are_wrapped_around_the_whole_query() {
    let q = compile_kind(Kind::Flow, "tcp or udp | count by app", &scope()).unwrap();
    assert_eq!(q.text, "kind = flow and (proto = tcp or proto = udp) | count by app");
    let q = compile_kind(Kind::Dns, "since 2h ago evil", &scope()).unwrap();
    assert_eq!(q.text, "kind = dns and since 2026-11-20T14:00:00Z and any contains evil");
    assert_eq!(q.window.start, Time::parse("2026-11-20T14:00:00Z").unwrap());
    assert_eq!(compile_kind(Kind::Alert, "", &scope()).unwrap().text, "kind = alert");
    assert_eq!(narrow("tcp or udp | head 3", "dst.port = 53").unwrap(), "(tcp or udp) and dst.port = 53 | head 3");
    assert_eq!(narrow("", "dst.port = 53").unwrap(), "dst.port = 53");
}

fn flow() -> Record {
    let mut r = Record::new(Kind::Flow, RecordId::default(), SourceId(1), Time(0));
    r.set(field::SRC_IP, Value::Addr([10, 0, 0, 5].into()));
    r.set(field::DST_IP, Value::Addr([203, 0, 113, 9].into()));
    r.set(field::DST_PORT, 443u64);
    r.set(field::PROTO, 6u64);
    r.set(field::APP, "http,tls");
    r.set(field::NAME, "www.evil.example");
    r.set(field::BYTES_OUT, 4_000u64);
    r
}

#[test]
fn questions_select_what_they_say() {
    for (text, holds) in [
        ("host 10.0.0.5", true),
        ("host 10.0.0.6", false),
        ("dst 203.0.113.0/24 and tcp", true),
        ("app = tls", true),
        ("app = tl", false),
        ("app != dns", true),
        ("state != SF", true),
        ("name = evil.example", false),
        ("name = *.evil.example", true),
        ("name = *.vil.example", false),
        ("name = www.*.example", true),
        ("name ~ /^WWW/", true),
        ("name ~ /(?-i)^WWW/", false),
        ("evil", true),
        ("bytes > 3kB and bytes < 1MiB", true),
        ("dport:80,443", true),
        ("dport:400-500 -udp", true),
        ("host in @watchlist", true),
        ("dst in @watchlist", false),
        ("kind = flow or kind = dns", true),
        ("duration < 1", true),
        ("*", true),
    ] {
        assert_eq!(ask(text).filter.matches(&flow(), &|_| None), holds, "{text}");
    }
}

#[test]
fn windows_come_from_time_clauses() {
    let at = |t: &str| Time::parse(t).unwrap();
    let w = ask("between 2026-11-20T08:00Z and 2026-11-20T09:00Z since 2026-11-20T08:30Z").window;
    assert_eq!((w.start, w.end), (at("2026-11-20T08:30:00Z"), at("2026-11-20T09:00:00Z")));
    let live = Scope { now: Some(at("2026-11-21")), ..scope() };
    assert_eq!(compile("last 1d", &live).unwrap().window.start, at("2026-11-20"));
    let w = ask("around 2026-11-20T08:12:03Z 30s").window;
    assert_eq!(w.start, at("2026-11-20T08:11:33Z"));
    assert!(ask("last 0s").window.overlaps(at(NEWEST), at(NEWEST)));
}

#[test]
fn errors_point_at_the_character_and_name_the_nearest() {
    let texts = [
        "dst.prt = 443",
        "host 10.0.0.5 and prot:tcp",
        "dst.port = 70000",
        "severity = hihg",
        "proto = tls",
        "kind = flw",
        "direction = outwrd",
        "direction in {in, sideways}",
        "direction > in",
        "verdict = bening",
        "app.confidence = parsd",
        "host evil.example",
        "bytes > lots",
        "tcp and (udp or port 53",
        "tcp and",
        "tcp )",
        "= 5",
        "a = \"b",
        "sni ~ /a(/",
        "dst.port in {}",
        "dst.port in {80, 443",
        "since tuesday",
        "tcp or since 2h ago",
        "not last 2h",
        "since 5",
        "between 2026-11-21 and 2026-11-20",
        "host in @nosuch",
        "| coun by app",
        "| count by ap",
        "| sum app",
        "| mean app",
        "| percentile bytes",
        "| percentile 101 bytes",
        "| count by app | mean bytes",
        "| count by app | sort -bytes",
        "| count by app | timeline 5m",
        "| sort bytes | count by app",
        "| head 0",
        "exists",
        "dst.port > 80, 90",
        "port 90-80",
        "host and port 80",
        "über.feld = 1",
    ];
    let all: String = texts.iter().map(|t| format!("{}\n\n", error(t))).collect();
    insta::assert_snapshot!(all);
    let nested = format!("{}tcp{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(error(&nested).contains("nested more than"));
    assert!(error(&"not ".repeat(5_000)).contains("nested more than"));
    assert!(error(&"a ".repeat(200_000)).contains("longer than"));
}

#[test]
fn the_crate_error_shows_the_caret_under_its_place() {
    let error: backtrail::error::Error = compile("tcp and dst.prt = 443", &scope()).unwrap_err().into();
    assert_eq!(
        error.to_string(),
        "there is no field `dst.prt`\n  at tcp and dst.prt = 443\n             ^^^^^^^\n  try: did you mean dst.port?"
    );
}

#[test]
fn an_address_is_never_taken_for_a_key() {
    assert_eq!(canonical("feed::1"), "host = feed::1");
    assert_eq!(canonical("feed:abuse"), "feed = abuse");
}

#[test]
fn a_direction_is_understood_in_any_case_and_in_the_words_of_ecs() {
    for (typed, meant) in [("direction = IN", "direction = in"), ("network.direction:outbound", "direction = out")] {
        assert_eq!(canonical(typed), meant);
        assert_eq!(canonical(meant), meant);
    }
    assert_eq!(canonical("direction = ex*"), "direction = ex*");
}

/// Pieces of which queries are made, good and bad.
fn piece() -> impl Strategy<Value = String> {
    let fixed = proptest::sample::select(vec![
        "and",
        "or",
        "not",
        "(",
        ")",
        "&&",
        "||",
        "!",
        "-",
        "{",
        "}",
        ",",
        "|",
        "=",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "~",
        "!~",
        "in",
        "contains",
        "matches",
        "exists",
        "has",
        "host",
        "net",
        "src",
        "dst",
        "port",
        "portrange",
        "proto",
        "since",
        "until",
        "between",
        "around",
        "last",
        "ago",
        "2h",
        "now",
        "count",
        "by",
        "sum",
        "top",
        "sort",
        "head",
        "timeline",
        "5m",
        "10",
        "443",
        "8000-8100",
        "10.0.0.5",
        "10.0.0.0/8",
        "fe80::1",
        "tcp",
        "dns",
        "src.ip",
        "dst.port",
        "dport:",
        "name:",
        "name",
        "bytes",
        "1MB",
        "app",
        "sni",
        "user",
        "severity",
        "high",
        "kind",
        "flow",
        "2026-11-20",
        "08:00",
        "2026-11-20T08:00:00Z",
        "@watchlist",
        "@\"watchlist\"",
        "\"two words\"",
        "\"\"",
        "'it'",
        "/ev[il]/",
        "/a\\/b/",
        "*.evil.example",
        "ev*l",
        "http://a.example/x?y=1",
        "src:10.0.0.5",
        "dport:80,443",
        "-app:dns",
        "--x",
        "start",
        "C:\\temp",
        "a\\\"b",
        "é",
        "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "ip",
        "ip6",
        "vlan",
        "ether",
        "any",
        "desc",
    ]);
    prop_oneof![9 => fixed.prop_map(str::to_owned), 1 => "[ -~éß林\\t]{0,6}"]
}

fn soup() -> impl Strategy<Value = String> {
    (proptest::collection::vec(piece(), 0..14), proptest::collection::vec(any::<bool>(), 14)).prop_map(|(pieces, gaps)| {
        let mut text = String::new();
        for (piece, gap) in pieces.iter().zip(gaps) {
            text.push_str(piece);
            if gap || !piece.ends_with([':', '=', '(', '{']) {
                text.push(' ');
            }
        }
        text
    })
}

/// Conditions that are understood, joined at random.
fn condition() -> impl Strategy<Value = String> {
    let value = "[ -~é]{1,12}";
    let leaf = prop_oneof![
        (0u16.., 0u16..).prop_map(|(a, b)| format!("dst.port = {}-{}", a.min(b), a.max(b))),
        value.prop_map(|v| format!("user = {}", quote(&v))),
        value.prop_map(|v| format!("name:{}", quote(&v))),
        value.prop_map(|v| format!("url contains {}", quote(&v))),
        any::<[u8; 4]>().prop_map(|a| format!("host {}", std::net::IpAddr::from(a))),
        any::<[u16; 8]>().prop_map(|a| format!("src.ip = {}", std::net::IpAddr::from(a))),
        any::<u32>().prop_map(|n| format!("bytes > {n}")),
        Just("exists sni".to_owned()),
        Just("dport:80,443".to_owned()),
        Just("sni ~ /a\\/b|c/".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|v| format!("({})", v.join(" and "))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|v| format!("({})", v.join(" or "))),
            inner.prop_map(|v| format!("not {v}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_parses_prints_as_text_that_parses_to_the_same(text in soup()) {
        if let Ok(tree) = parse(&text) {
            let printed = tree.to_string();
            let again = parse(&printed);
            prop_assert_eq!(again.as_ref().ok(), Some(&tree), "{:?} printed as {:?}: {:?}", text, printed, again);
        }
        if let Ok(question) = compile(&text, &scope()) {
            let again = compile(&question.text, &scope());
            prop_assert_eq!(again.map(|q| q.text), Ok(question.text));
        }
    }

    #[test]
    fn conditions_keep_their_meaning_when_printed(text in condition()) {
        let question = compile(&text, &scope()).unwrap();
        let again = compile(&question.text, &scope()).unwrap();
        prop_assert_eq!(&again.text, &question.text);
        prop_assert_eq!(format!("{:?}", again.filter), format!("{:?}", question.filter));
    }

    #[test]
    fn nothing_typed_makes_it_panic(text in "\\PC{0,60}") {
        if let Err(e) = compile(&text, &scope()) {
            prop_assert_eq!(&e.text, &text);
            let _ = e.to_string();
        }
    }
}
