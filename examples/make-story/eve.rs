//! Suricata's `eve.json` for the inside capture: alerts, flows, DNS, HTTP, files, TLS.

use crate::capture::wire_len;
use crate::clock::{SEC, eve};
use crate::intrusion;
use crate::rng::mix;
use crate::talk::{App, Conn, Dir};
use crate::tls::{self, hex};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

type Signature = (u32, u32, &'static str, &'static str, u8);
/// Signature identifier, revision, text, category, severity.
pub const SIGNATURES: [Signature; 15] = [
    (2_000_328, 14, "ET POLICY Outbound Multiple Non-SMTP Server Emails", "Misc activity", 3),
    (2_001_219, 20, "ET SCAN Potential SSH Scan", "Attempted Information Leak", 2),
    (2_001_569, 16, "ET SCAN Behavioral Unusual Port 445 traffic Potential Scan or Infection", "Misc activity", 3),
    (2_006_446, 14, "ET WEB_SERVER Possible SQL Injection Attempt UNION SELECT", "Web Application Attack", 1),
    (2_008_538, 9, "ET SCAN Sqlmap SQL Injection Scan", "Attempted Information Leak", 2),
    (2_018_959, 4, "ET POLICY PE EXE or DLL Windows file download HTTP", "Potential Corporate Privacy Violation", 1),
    (2_025_719, 3, "ET POLICY SMB2 NT Create AndX Request For an Executable File", "Potentially Bad Traffic", 2),
    (2_027_870, 2, "ET INFO Observed DNS Query to .test TLD", "Potentially Bad Traffic", 3),
    (2_028_400, 2, "ET MALWARE DNS Query to Known C2 Domain (evil.example)", "A Network Trojan was detected", 1),
    (2_028_401, 3, "ET MALWARE Beacon (evil.example in TLS SNI)", "A Network Trojan was detected", 1),
    (
        2_034_217,
        1,
        "ET PHISHING DNS Query to Parcel Lure Domain (parcel-notice.example)",
        "Possible Social Engineering Attempted",
        2,
    ),
    (2_102_474, 10, "GPL NETBIOS SMB-DS ADMIN$ share access", "Generic Protocol Command Decode", 3),
    (9_000_001, 1, "LOCAL POLICY Print job to office printer", "Not Suspicious Traffic", 3),
    (9_000_002, 1, "LOCAL INFO Team chat in TLS SNI", "Misc activity", 3),
    (9_000_003, 1, "LOCAL POLICY HTTP CONNECT through proxy1", "Misc activity", 3),
];

/// Community ID, version 1, seed 0.
pub fn community_id(c: &Conn) -> String {
    let (a, b) = ((c.src.octets(), c.sport), (c.dst.octets(), c.dport));
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&a.0);
    bytes.extend_from_slice(&b.0);
    bytes.extend_from_slice(&[c.proto, 0]);
    bytes.extend_from_slice(&a.1.to_be_bytes());
    bytes.extend_from_slice(&b.1.to_be_bytes());
    format!("1:{}", base64::engine::general_purpose::STANDARD.encode(Sha1::digest(&bytes)))
}

fn proto(c: &Conn) -> &'static str {
    match c.proto {
        6 => "TCP",
        17 => "UDP",
        _ => "ICMP",
    }
}

fn app_proto(c: &Conn) -> &'static str {
    match c.service {
        "ssl" => "tls",
        "http,ssl" => "http",
        "postgresql" => "pgsql",
        "" => "failed",
        s => s,
    }
}

/// The fields that every event has.
fn head(c: &Conn, t: i64, kind: &str, packet: Option<usize>, dir: Dir) -> Map<String, Value> {
    let mut m = Map::new();
    let flow_id = mix(c.start() as u64 ^ mix(u64::from(c.sport) << 16 | u64::from(c.dport))) >> 12;
    let (src, dst) = if dir == Dir::Orig { ((c.src, c.sport), (c.dst, c.dport)) } else { ((c.dst, c.dport), (c.src, c.sport)) };
    m.insert("timestamp".into(), json!(eve(t)));
    m.insert("flow_id".into(), json!(flow_id));
    if let Some(n) = packet {
        m.insert("pcap_cnt".into(), json!(n));
    }
    m.insert("event_type".into(), json!(kind));
    m.insert("src_ip".into(), json!(src.0));
    if c.proto != 1 {
        m.insert("src_port".into(), json!(src.1));
    }
    m.insert("dest_ip".into(), json!(dst.0));
    if c.proto == 1 {
        m.insert("icmp_type".into(), json!(8));
        m.insert("icmp_code".into(), json!(0));
    } else {
        m.insert("dest_port".into(), json!(dst.1));
    }
    m.insert("proto".into(), json!(proto(c)));
    m.insert("community_id".into(), json!(community_id(c)));
    m
}

fn counters(c: &Conn, upto: usize) -> Value {
    let mut n = [0u64; 2];
    let mut bytes = [0u64; 2];
    for p in c.pkts.iter().take(upto + 1) {
        n[p.dir.ix()] += 1;
        bytes[p.dir.ix()] += wire_len(c, p);
    }
    json!({
        "pkts_toserver": n[0], "pkts_toclient": n[1], "bytes_toserver": bytes[0], "bytes_toclient": bytes[1], "start": eve(c.start()),
    })
}

fn flow(c: &Conn, upto: usize) -> Value {
    let mut f = counters(c, upto);
    f["src_ip"] = json!(c.src);
    f["dest_ip"] = json!(c.dst);
    if c.proto != 1 {
        f["src_port"] = json!(c.sport);
        f["dest_port"] = json!(c.dport);
    }
    f
}

fn dns_query(tx: &crate::dns::Tx) -> Value {
    json!({ "type": "query", "id": tx.id, "rrname": tx.name, "rrtype": crate::dns::type_name(tx.qtype), "tx_id": 0, "opcode": 0 })
}

fn dns_answer(tx: &crate::dns::Tx) -> Value {
    let flags = if tx.rcode == 0 { "8180" } else { "8183" };
    let answers: Vec<Value> = tx
        .answers
        .iter()
        .map(|a| json!({ "rrname": a.owner, "rrtype": a.data.kind().1, "ttl": a.ttl, "rdata": a.data.text() }))
        .collect();
    let mut grouped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for a in &tx.answers {
        grouped.entry(a.data.kind().1).or_default().push(a.data.text());
    }
    let mut v = json!({
        "version": 2, "type": "answer", "id": tx.id, "flags": flags, "qr": true, "rd": true, "ra": true, "opcode": 0, "rrname": tx.name,
        "rrtype": crate::dns::type_name(tx.qtype), "rcode": if tx.rcode == 0 { "NOERROR" } else { "NXDOMAIN" },
    });
    if !answers.is_empty() {
        v["answers"] = json!(answers);
        v["grouped"] = json!(grouped);
    }
    v
}

fn http(tx: &crate::http::Tx, c: &Conn) -> Value {
    let mut v = json!({ "hostname": tx.host.split(':').next(), "url": tx.path, "http_user_agent": tx.agent });
    if let Some(port) = tx.host.split_once(':').and_then(|(_, p)| p.parse::<u16>().ok()) {
        v["http_port"] = json!(port);
    } else if c.dport == 3128 && tx.method == "CONNECT" {
        v["http_port"] = json!(443);
    }
    if !tx.mime.is_empty() {
        v["http_content_type"] = json!(tx.mime);
    }
    if !tx.referer.is_empty() {
        v["http_refer"] = json!(tx.referer);
    }
    v["http_method"] = json!(tx.method);
    v["protocol"] = json!("HTTP/1.1");
    v["status"] = json!(tx.status);
    if !tx.location.is_empty() {
        v["redirect"] = json!(tx.location);
    }
    v["length"] = json!(tx.length);
    v
}

fn tls_fields(s: &tls::Seen) -> Value {
    let mut v = json!({ "sni": s.sni, "version": s.version });
    if !s.cert.is_empty() {
        let c2 = s.sni == crate::world::C2_NAME;
        v["subject"] =
            json!(if c2 { format!("O=Example Hosting, CN={}", s.sni) } else { format!("O=Example Site, CN={}", s.sni) });
        v["issuerdn"] = json!(if c2 {
            format!("O=Example Hosting, CN={}", s.sni)
        } else {
            "O=Trust CA Example, CN=Trust CA Example G2".into()
        });
        let print: Vec<String> = Sha1::digest(&s.cert).iter().map(|b| format!("{b:02x}")).collect();
        v["fingerprint"] = json!(print.join(":"));
    }
    v["ja3"] = json!({ "hash": tls::ja3_hash(&s.ja3), "string": s.ja3 });
    v["ja4"] = json!(s.ja4);
    v
}

fn alerts_of(c: &Conn) -> Vec<(usize, u32)> {
    let mut all = c.alerts.clone();
    if c.dport == 9100 {
        all.push((3, 9_000_001));
    }
    match &c.app {
        App::Tls(s) if s.sni == "chat.team-talk.example" => all.push((3, 9_000_002)),
        App::Http(list) if list.iter().any(|t| t.method == "CONNECT") && c.sport.is_multiple_of(5) => all.push((3, 9_000_003)),
        _ => {}
    }
    all
}

/// The detector's log, and the number of alerts by signature.
pub fn events(conns: &[Conn], numbers: &[Vec<usize>], facts: &Value) -> (String, BTreeMap<u32, usize>, BTreeMap<String, usize>) {
    let mut out: Vec<(i64, usize, Map<String, Value>)> = Vec::new();
    let mut counts = BTreeMap::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (c, numbers) in conns.iter().zip(numbers).filter(|(_, n)| !n.is_empty()) {
        let number = |i: usize| numbers.get(i).copied();
        let at = |i: usize| c.pkts.get(i).map_or(0, |p| p.t);
        let alerts = alerts_of(c);
        for (i, sid) in &alerts {
            let Some(s) = SIGNATURES.iter().find(|s| s.0 == *sid) else {
                continue;
            };
            *counts.entry(*sid).or_insert(0) += 1;
            let dir = c.pkts.get(*i).map_or(Dir::Orig, |p| p.dir);
            let mut m = head(c, at(*i), "alert", number(*i), dir);
            m.insert(
                "alert".into(),
                json!({ "action": "allowed", "gid": 1, "signature_id": s.0, "rev": s.1, "signature": s.2, "category": s.3, "severity": s.4 }),
            );
            match &c.app {
                App::Tls(seen) => drop(m.insert("tls".into(), json!({ "sni": seen.sni, "ja4": seen.ja4 }))),
                App::Http(list) => drop(list.iter().rfind(|t| t.request <= *i).map(|t| m.insert("http".into(), http(t, c)))),
                App::Dns(tx) => drop(m.insert("dns".into(), json!({ "query": [dns_query(tx)] }))),
                _ => {}
            }
            m.insert("app_proto".into(), json!(app_proto(c)));
            m.insert("flow".into(), flow(c, *i));
            out.push((at(*i), number(*i).unwrap_or(0), m));
        }
        match &c.app {
            App::Dns(tx) if c.dport == 53 => {
                let mut m = head(c, at(0), "dns", number(0), Dir::Orig);
                m.insert("dns".into(), dns_query(tx));
                out.push((at(0), number(0).unwrap_or(0), m));
                let mut m = head(c, at(1), "dns", number(1), Dir::Orig);
                m.insert("dns".into(), dns_answer(tx));
                out.push((at(1), number(1).unwrap_or(0), m));
            }
            App::Tls(s) => {
                let mut m = head(c, at(s.packet), "tls", number(s.packet), Dir::Orig);
                m.insert("tls".into(), tls_fields(s));
                out.push((at(s.packet), number(s.packet).unwrap_or(0), m));
            }
            App::Http(list) => {
                for (k, tx) in list.iter().enumerate() {
                    let mut m = head(c, at(tx.packet), "http", number(tx.packet), Dir::Orig);
                    m.insert("tx_id".into(), json!(k));
                    m.insert("http".into(), http(tx, c));
                    out.push((at(tx.packet), number(tx.packet).unwrap_or(0), m));
                    if tx.path == intrusion::EXE_PATH {
                        let mut m = head(c, at(tx.packet) + 40, "fileinfo", number(tx.packet), Dir::Resp);
                        m.insert("http".into(), http(tx, c));
                        m.insert("app_proto".into(), json!("http"));
                        let entry = &facts["download"];
                        m.insert(
                            "fileinfo".into(),
                            json!({
                                "filename": tx.path, "magic": "MS-DOS executable", "gaps": false, "state": "CLOSED", "md5": entry["md5"],
                                "sha1": entry["sha1"], "sha256": entry["sha256"], "stored": false, "size": tx.length, "tx_id": k,
                            }),
                        );
                        out.push((at(tx.packet) + 40, number(tx.packet).unwrap_or(0), m));
                    }
                }
            }
            _ => {}
        }
        let last = c.pkts.len().saturating_sub(1);
        let (end, state) = (at(last), c.rows.first().map_or("", |r| r.state));
        let mut m = head(c, end + 10 * SEC, "flow", None, Dir::Orig);
        m.insert("app_proto".into(), json!(app_proto(c)));
        let mut f = counters(c, last);
        f["end"] = json!(eve(end));
        f["age"] = json!((end - c.start()) / SEC);
        f["state"] = json!(match (c.proto, state) {
            (6, "S0" | "REJ") | (_, "S0") => "new",
            (6, _) => "closed",
            _ => "established",
        });
        f["reason"] = json!("timeout");
        f["alerted"] = json!(!alerts.is_empty());
        m.insert("flow".into(), f);
        if c.proto == 6 {
            let or = |d: Option<Dir>| c.pkts.iter().filter(|p| d.is_none_or(|d| p.dir == d)).fold(0, |a, p| a | p.flags);
            let (ts, tc) = (or(Some(Dir::Orig)), or(Some(Dir::Resp)));
            m.insert(
                "tcp".into(),
                json!({ "tcp_flags": hex(&[or(None)]), "tcp_flags_ts": hex(&[ts]), "tcp_flags_tc": hex(&[tc]), "syn": true,
                        "fin": (ts | tc) & 1 != 0, "rst": (ts | tc) & 4 != 0, "psh": (ts | tc) & 8 != 0, "ack": (ts | tc) & 16 != 0 }),
            );
        }
        out.push((end + 10 * SEC, usize::MAX, m));
    }
    out.sort_by_key(|a| (a.0, a.1));
    let mut text = String::new();
    for (_, _, m) in out {
        if let Some(Value::String(kind)) = m.get("event_type") {
            *kinds.entry(kind.clone()).or_insert(0) += 1;
        }
        text.push_str(&Value::Object(m).to_string());
        text.push('\n');
    }
    (text, counts, kinds)
}
