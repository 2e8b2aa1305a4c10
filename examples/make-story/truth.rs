//! The truth of the story, for people and for tests, written from the model itself.

use crate::capture::Written;
use crate::clock::{self, BEGIN, END, PROXY_LAG, WINDOWS, rfc3339};
use crate::nat::{Outside, TRACKED};
use crate::story::Story;
use crate::world;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the writers counted.
pub struct Counts<'a> {
    /// The inside capture.
    pub inner: &'a Written,
    /// The outside capture.
    pub outer: &'a Written,
    /// The translation of every connection.
    pub outside: &'a [Option<Outside>],
    /// Alerts by signature.
    pub alerts: &'a BTreeMap<u32, usize>,
    /// Events of the detector by kind.
    pub kinds: &'a BTreeMap<String, usize>,
    /// Firewall lines by rule.
    pub rules: &'a BTreeMap<String, usize>,
    /// Connections in the tracker's log.
    pub bindings: usize,
    /// Rows of `conn.log`.
    pub conn_rows: usize,
    /// Rows of `dns.log`.
    pub dns_rows: usize,
    /// Lines of the two web logs.
    pub web_lines: (usize, usize),
}

fn spans(list: &[(i64, i64)]) -> Value {
    list.iter().map(|&(a, b)| json!([rfc3339(a), rfc3339(b)])).collect()
}

/// Adds everything that is known only after writing.
pub fn add(facts: &mut Value, story: &Story, n: &Counts) {
    let heroes = ["phishing-mail", "download", "beacon", "upload", "sql-injection", "printer-exposed", "spam"];
    let mut nat = Vec::new();
    for (c, o) in story.conns.iter().zip(n.outside) {
        let in_log = TRACKED.iter().any(|&(a, b)| c.start() >= a && c.start() < b);
        if let (Some(o), true, true) = (o, in_log, heroes.contains(&c.tag) && (c.tag != "beacon" || clock::captured(c.start()))) {
            let inside = if c.dnat.is_some() { (c.dst, c.dport) } else { (c.src, c.sport) };
            let out = if c.dnat.is_some() { o.dst } else { o.src };
            let peer = if c.dnat.is_some() { o.src } else { o.dst };
            nat.push(json!({
                "tag": c.tag, "proto": c.proto, "start": rfc3339(c.start()), "end": rfc3339(c.end()),
                "inside": format!("{}:{}", inside.0, inside.1), "outside": format!("{}:{}", out.0, out.1),
                "peer": format!("{}:{}", peer.0, peer.1), "uid": c.rows.first().map(|r| r.uid.clone()),
                "in_captures": clock::captured(c.start()),
            }));
        }
    }
    let alerts: Vec<Value> = n
        .alerts
        .iter()
        .map(|(sid, count)| {
            let text = crate::eve::SIGNATURES.iter().find(|s| s.0 == *sid).map_or("", |s| s.2);
            json!({ "signature_id": sid, "signature": text, "count": count })
        })
        .collect();
    let translated = n
        .outside
        .iter()
        .zip(&story.conns)
        .filter(|(o, c)| o.is_some() && clock::captured(c.start()) && c.tag != "outage")
        .count();
    let ask = story
        .conns
        .iter()
        .find(|c| matches!(&c.app, crate::talk::App::Dns(tx) if tx.name == world::DROP_NAME && c.src == world::JDOE));
    facts["download"]["dns"] = json!({ "client": world::JDOE, "server": world::DC, "start": ask.map(|c| rfc3339(c.start())),
        "answered": ask.map(|c| rfc3339(c.end())), "uid": ask.and_then(|c| c.rows.first()).map(|r| r.uid.clone()) });
    facts["download"]["reputation"] = json!({
        "url_domain": "parcel-notice.example: phishing, confidence 85 (feed.csv), and in blocklist.txt",
        "address": "203.0.113.44: malware-download, confidence 80 (feed.csv), and in blocklist.txt",
        "sha256": "malware, confidence 95 (feed.csv)" });
    facts["zone"] = json!({ "site": "Europe/Berlin (UTC+1 in November)", "logs_in_local_time_without_year": ["gateway-kern.log.1.gz", "gateway-kern.log", "auth.log"],
        "logs_with_offset_0100": ["www-access.log", "www-access.log.1.gz"], "year": 2026 });
    facts["proxy_clock"] = json!({ "offset_s": -(PROXY_LAG / clock::SEC), "meaning": "stamp = true time - 7 h 37 s; Squid stamps the end of a request",
        "requests": story.proxied.len(), "denied": story.proxied.iter().filter(|p| p.result.contains("DENIED")).count() });
    facts["period"] = json!([rfc3339(BEGIN), rfc3339(END)]);
    facts["captures"] = json!({
        "windows": spans(&WINDOWS), "inside_packets": n.inner.packets, "outside_packets": n.outer.packets,
        "inside_connections": n.inner.conns, "outside_connections": n.outer.conns, "in_both": translated,
        "inside_interfaces": ["eth1", "eth2"], "clocks": "both true; the outside sees a packet that leaves 90-218 us later, one that comes as much earlier",
        "ttl": "one less after the gateway", "ports": "source ports are chosen afresh (random)", "isn_and_payload": "unchanged" });
    facts["conntrack"] = json!({ "windows": spans(&TRACKED), "connections": n.bindings, "outside_address": world::OUTSIDE });
    facts["alerts"] = json!(alerts);
    facts["eve_events"] = json!(n.kinds);
    facts["firewall_lines"] = json!(n.rules);
    facts["rows"] = json!({ "conn": n.conn_rows, "dns": n.dns_rows, "web_older": n.web_lines.0, "web_younger": n.web_lines.1 });
    facts["inventory"] = json!({ "listed": world::hosts().iter().filter(|h| h.listed).count(), "unlisted_talker": world::ROGUE, "silent": world::SILENT });
    facts["nat"] = json!(nat);
    let told = ["phishing-mail", "download", "colleague-refused", "share", "sql-injection", "printer-exposed"];
    facts["connections"] = story
        .conns
        .iter()
        .filter(|c| told.contains(&c.tag) || (c.tag == "beacon" && clock::captured(c.start())))
        .map(|c| {
            json!({ "tag": c.tag, "start": rfc3339(c.start()), "end": rfc3339(c.end()), "src": format!("{}:{}", c.src, c.sport),
                "dst": format!("{}:{}", c.dst, c.dport), "uid": c.rows.first().map(|r| r.uid.clone()),
                "community_id": crate::eve::community_id(c), "state": c.rows.first().map(|r| r.state),
                "history": c.rows.first().map(|r| r.history.clone()), "payload": c.rows.first().map(|r| r.bytes),
                "ip_bytes": c.rows.first().map(|r| r.ip_bytes), "packets": c.rows.first().map(|r| r.pkts) })
        })
        .collect();
}

fn s(v: &Value) -> String {
    match v {
        Value::String(t) => {
            let short = t.strip_suffix("000Z").filter(|p| p.contains('T')).map(|p| format!("{p}Z"));
            short.unwrap_or_else(|| t.clone())
        }
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

/// `TRUTH.md`.
pub fn markdown(f: &Value) -> String {
    let mut o = String::from(
        "# What is in the story\n\nWritten by the generator from its model; `truth.json` has the same facts for tests. All times are UTC.\n",
    );
    let mut add = |title: &str, lines: Vec<String>| {
        o.push_str(&format!("\n## {title}\n\n"));
        for line in lines {
            o.push_str(&format!("- {line}\n"));
        }
    };
    let d = &f["download"];
    add(
        "The short answer",
        vec![
            format!("Patient zero is {} ({}, user {}).", s(&d["patient_zero"]), s(&d["host"]), s(&d["user"])),
            format!(
                "It asked for `{}` at {} (answer: alias `{}`, address {}).",
                s(&d["asked_name"]),
                s(&d["dns"]["start"]),
                s(&d["cname"]),
                s(&d["address"])
            ),
            format!("It fetched `{}` ({} bytes) at {}.", s(&d["url"]), s(&d["size"]), s(&d["download"]["start"])),
            format!("The file's SHA-256 is `{}`.", s(&d["sha256"])),
            format!(
                "Reputation: file: {}; address: {}; name: {}.",
                s(&d["reputation"]["sha256"]),
                s(&d["reputation"]["address"]),
                s(&d["reputation"]["url_domain"])
            ),
        ],
    );
    let c = &f["captures"];
    add("Sources and their clocks", vec![
        format!("`zeek/conn.*`: {} rows, `zeek/dns.*`: {} rows; the sensor is inside, its clock is true; a row is in the file of the day on which its connection ended.", s(&f["rows"]["conn"]), s(&f["rows"]["dns"])),
        format!("`inside.pcapng` ({} packets, {} connections; nanoseconds; interfaces eth1, eth2) and `outside.pcap` ({} packets, {} connections, {} of them also inside), for {}.", s(&c["inside_packets"]), s(&c["inside_connections"]), s(&c["outside_packets"]), s(&c["outside_connections"]), s(&c["in_both"]), s(&c["windows"])),
        "The captures hold every connection that begins in these windows, to its end; connections that were open before are not in them.".into(),
        format!("`eve.json.gz`: the detector on `inside.pcapng`; events by kind: {}.", s(&f["eve_events"])),
        format!("`gateway-kern.log.1.gz` (first week) and `gateway-kern.log` (second): local time, zone {}, no year (2026); lines by rule: {}.", s(&f["zone"]["site"]), s(&f["firewall_lines"])),
        format!("`conntrack.log.gz`: {} translated connections that begin in {}; true epoch.", s(&f["conntrack"]["connections"]), s(&f["conntrack"]["windows"])),
        format!("`squid-access.log.1.gz` (first week) and `squid-access.log` (second): {} requests; **the clock is {} s off** ({}).", s(&f["proxy_clock"]["requests"]), s(&f["proxy_clock"]["offset_s"]), s(&f["proxy_clock"]["meaning"])),
        format!("`www-access.log.1.gz` ({} lines) and `www-access.log` ({} lines): local time with its offset (+0100).", s(&f["rows"]["web_older"]), s(&f["rows"]["web_younger"])),
        "`auth.log` of build1: local time, no year (2026).".into(),
        "`nmap.xml` of 2026-11-06 19:00Z, `scan.nessus` of 2026-11-08 13:00Z (HOST_START in local time, the TIMESTAMP tags are epochs).".into(),
        format!("`inventory.csv`: {} hosts; {} talks and is not in it; {} is in it and silent.", s(&f["inventory"]["listed"]), s(&f["inventory"]["unlisted_talker"]), s(&f["inventory"]["silent"])),
    ]);
    let b = &f["beacon"];
    let x = &f["exfiltration"];
    let l = &f["lateral"];
    let (sw, ssh) = (&l["sweep"], &l["ssh"]);
    let mut steps = vec![
        format!(
            "{}: phishing mail from {} to the mail server (through the forwarded port 25), with the link {}.",
            s(&d["phishing_mail"]["start"]),
            s(&d["phishing_mail"]["src"]),
            s(&d["link"])
        ),
        format!(
            "{}: {} fetches the link (302), then the file, source port {}.",
            s(&d["download"]["start"]),
            s(&d["patient_zero"]),
            s(&d["download"]["src_port"])
        ),
        format!(
            "2026-11-17T08:09:26Z: {} ({}) clicks {} through the proxy: {}.",
            s(&f["colleague"]["client"]),
            s(&f["colleague"]["host"]),
            s(&f["colleague"]["url"]),
            s(&f["colleague"]["result"])
        ),
        format!(
            "{} to {}: {} beacons {} -> {}:443 (SNI `{}`), every {} s +-{} s (mean {}), {} bytes out, {} in; {} in the captures; JA4 `{}`, JA3 `{}`.",
            s(&b["first"]),
            s(&b["last"]),
            s(&b["count"]),
            s(&b["src"]),
            s(&b["dst"]),
            s(&b["sni"]),
            s(&b["period_s"]),
            s(&b["jitter_s"]),
            s(&b["mean_interval_s"]),
            s(&b["bytes_out"]),
            s(&b["bytes_in"]),
            s(&b["in_captures"]),
            s(&b["ja4"]),
            s(&b["ja3"])
        ),
        format!(
            "{}: {} searches {} for port 445: {} targets, open {}, {} refused, {} silent.",
            s(&sw["first"]),
            s(&sw["src"]),
            s(&sw["network"]),
            s(&sw["targets"]),
            s(&sw["open"]),
            s(&sw["refused"]),
            s(&sw["silent"])
        ),
    ];
    for v in l["shares"]["sessions"].as_array().into_iter().flatten() {
        steps.push(format!(
            "{}: SMB {}:{} -> {}:445, `{}`, file `{}`.",
            s(&v["start"]),
            s(&v["src"]),
            s(&v["src_port"]),
            s(&v["dst"]),
            s(&v["share"]),
            s(&v["path"])
        ));
    }
    steps.extend([
        format!(
            "`svchelper.exe`: {} bytes, SHA-256 `{}`, written to two workstations.",
            s(&l["shares"]["size"]),
            s(&l["shares"]["sha256"])
        ),
        format!(
            "{}: {} guesses passwords of {}:22: {} connections, {} failures, then success for `{}` at {} from port {}.",
            s(&ssh["first"]),
            s(&ssh["src"]),
            s(&ssh["dst"]),
            s(&ssh["connections"]),
            s(&ssh["failures"]),
            s(&ssh["user"]),
            s(&ssh["success"]["start"]),
            s(&ssh["success"]["src_port"])
        ),
        format!(
            "{} uploads {} -> {}:443 (SNI `{}`) in three nights, {} bytes out, {} in ({} payload out).",
            s(&x["count"]),
            s(&x["src"]),
            s(&x["dst"]),
            s(&x["sni"]),
            s(&x["bytes_out"]),
            s(&x["bytes_in"]),
            s(&x["payload_out"])
        ),
    ]);
    for v in x["nights"].as_array().into_iter().flatten() {
        steps.push(format!("Night of {}: {} uploads, {} bytes out.", s(&v["first"]), s(&v["uploads"]), s(&v["bytes_out"])));
    }
    steps.push("2026-11-20T16:41:00Z: patient zero is unplugged from command and control: no beacon after it.".into());
    add("The intrusion", steps);
    let (q, w, p, m) = (&f["sql_injection"], &f["outage"], &f["printer"], &f["spam"]);
    add(
        "The other events",
        vec![
            format!(
                "SQL injection, {} to {}: {} -> {} (to {}:80): {} requests, {} with UNION SELECT, the largest answer {} bytes; behind it {}.",
                s(&q["first"]),
                s(&q["last"]),
                s(&q["src"]),
                s(&q["public"]),
                s(&q["dst"]),
                s(&q["requests"]),
                s(&q["with_union_select"]),
                s(&q["largest_answer"]),
                s(&q["database_behind"])
            ),
            format!(
                "Outage of {}, {} to {}: rule `{}`; inside {} attempts of {} clients ({} SYNs, {} rows S0), outside {} attempts; {} lines of DROP; the web log is silent.",
                s(&w["service"]),
                s(&w["begin"]),
                s(&w["end"]),
                s(&w["rule"]),
                s(&w["inside_attempts"]),
                s(&w["inside_clients"]),
                s(&w["inside_syns"]),
                s(&w["inside_rows_s0"]),
                s(&w["outside_attempts"]),
                s(&w["drop_lines"])
            ),
            format!("Printer {} answers {} with 200; visits: {}.", s(&p["printer"]), s(&p["public"]), s(&p["visits"])),
            format!(
                "Spam, {} to {}: {} -> port 25 of {} mail servers, {} connections, {} refused with 550, {} unanswered, {} bytes out.",
                s(&m["first"]),
                s(&m["last"]),
                s(&m["src"]),
                s(&m["mail_servers"]),
                s(&m["connections"]),
                s(&m["refused_550"]),
                s(&m["unanswered"]),
                s(&m["bytes_out"])
            ),
            format!(
                "Noise: {} SYNs from the internet dropped by `{}`; retransmissions, resets, refused and unanswered connections, NTP, DHCP, mDNS, pings; the print, chat, CONNECT and .test alerts mean nothing.",
                s(&f["scans"]["dropped"]),
                s(&f["scans"]["rule"])
            ),
        ],
    );
    let rows = |v: &Value, line: &dyn Fn(&Value) -> String| v.as_array().into_iter().flatten().map(line).collect::<Vec<_>>();
    add("Alerts", rows(&f["alerts"], &|a| format!("{} x {} `{}`", s(&a["count"]), s(&a["signature_id"]), s(&a["signature"]))));
    add(
        "Translations of the story's connections (in the captures; those of the spam and the injection are in `truth.json`)",
        rows(&f["nat"], &|n| {
            let brief = n["tag"] != json!("spam") && n["tag"] != json!("sql-injection");
            if n["in_captures"] == json!(true) && brief {
                format!(
                    "{} {}: {} is {} (peer {})",
                    s(&n["start"]),
                    s(&n["tag"]),
                    s(&n["inside"]),
                    s(&n["outside"]),
                    s(&n["peer"])
                )
            } else {
                String::new()
            }
        })
        .into_iter()
        .filter(|l| !l.is_empty())
        .collect(),
    );
    add("What is made up", vec![
        "Everything: company, people, addresses (documentation and private ranges), names (reserved for examples). Ciphertexts are random bytes, certificates carry random signatures, the \"programs\" are random bytes behind a DOS header and cannot run.".into(),
    ]);
    o
}

/// `README.md`.
pub const README: &str = include_str!("README.txt");
