//! The other events: SQL injection, the outage, the printer on the internet, the spam, scans, and pings.

use crate::clock::{self, BEGIN, END, MIN, SEC, nov, rfc3339};
use crate::http::{self, Tx};
use crate::rng::Rng;
use crate::speech;
use crate::story::Story;
use crate::talk::{Dir, Talk};
use crate::visits::APACHE;
use crate::world::{AKOCH, INJECTOR, OUTSIDE, PEEPER, PRINTER, WWW};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// The outage of the web server.
pub const OUTAGE: (i64, i64) = (nov(19, 9, 20, 0), nov(19, 10, 10, 0));
/// The rule that caused it.
pub const OUTAGE_RULE: &str = "DROP-EMERG-WEB-LOCK";
/// The rule that drops what the internet sends unasked.
pub const SCAN_RULE: &str = "WAN-IN-DROP";
/// The rule that lets forwarded ports in.
pub const DNAT_RULE: &str = "WAN-DNAT-ACCEPT";
/// The outside port of the printer.
pub const PRINTER_PORT: u16 = 8631;

/// The domain of a mail server on the internet.
pub fn mail_domain(i: u8) -> String {
    let names = ["alpha", "bravo", "cedar", "delta", "ember", "fjord", "grove", "haven", "iris", "juniper"];
    let kind = if i < 10 { "example.org" } else { "example.net" };
    format!("{}-mail.{kind}", names[usize::from(i % 10)])
}

/// Its address.
pub fn mail_server(i: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 210 + i)
}

/// The injection into the shop.
pub fn injection(story: &mut Story, rng: &mut Rng) -> Value {
    let probes = [
        "12%27",
        "12%27%20AND%201%3D1--%20-",
        "12%27%20AND%201%3D2--%20-",
        "12%27%20ORDER%20BY%203--%20-",
        "12%27%20ORDER%20BY%204--%20-",
        "12%27%20UNION%20SELECT%20NULL%2CNULL%2CNULL--%20-",
        "-1%27%20UNION%20SELECT%201%2Cversion%28%29%2C3--%20-",
        "-1%27%20UNION%20SELECT%201%2Ctable_name%2C3%20FROM%20information_schema.tables--%20-",
        "-1%27%20UNION%20SELECT%201%2Cemail%7C%7C%27%3A%27%7C%7Cpwhash%2C3%20FROM%20customer%20LIMIT%20500--%20-",
    ];
    let mut t = nov(19, 9, 14, 3) + 512_000;
    let (first, mut requests, mut last, mut union, mut biggest) = (t, 0, t, 0, 0);
    for round in 0..26usize {
        let probe = if round < 20 { probes[round % 7] } else { probes[7 + round % 2] };
        let (status, length) = match round {
            r if r >= 20 => (200, 4_200 + (round - 20) * 900),
            r if r % 3 == 0 => (500, 612),
            _ => (200, 1_480),
        };
        let mut talk = Talk::new(6, t, (INJECTOR, rng.port()), (WWW, 80), 36_000);
        talk.conn.dnat = Some(80);
        talk.open();
        let tx = Tx {
            method: "GET",
            host: "shop.corp.example".into(),
            path: format!("/shop/item?id={probe}"),
            agent: http::SQLMAP,
            status,
            mime: "text/html",
            length,
            ..Tx::default()
        };
        http::exchange(&mut talk, tx, APACHE, 18_000 + rng.range(0, 40_000));
        talk.conn.alerts.push((3, 2_008_538));
        if probe.contains("UNION") {
            talk.conn.alerts.push((3, 2_006_446));
            union += 1;
        }
        talk.conn.tag = "sql-injection";
        let c = talk.close(Dir::Orig);
        requests += 1;
        last = t;
        biggest = biggest.max(length);
        story.add(c);
        t += rng.range(2 * SEC, 6 * SEC);
    }
    json!({
        "src": INJECTOR, "public": format!("{OUTSIDE}:80"), "dst": WWW, "dst_port": 80, "first": rfc3339(first), "last": rfc3339(last),
        "requests": requests, "with_union_select": union, "largest_answer": biggest, "url": "http://shop.corp.example/shop/item?id=...",
        "database_behind": "10.8.30.20:5432", "user_agent": http::SQLMAP,
    })
}

/// People on the internet who meet the outage: they never get past the gateway.
pub fn outage(story: &mut Story, rng: &mut Rng) -> Value {
    let mut t = OUTAGE.0 + rng.range(0, MIN);
    let mut strangers = 0;
    while t < OUTAGE.1 - 8 * SEC {
        let src = Ipv4Addr::new(203, 0, 113, rng.range(200, 250) as u8);
        let mut talk = Talk::new(6, t, (src, rng.port()), (WWW, 80), 30_000);
        talk.conn.dnat = Some(80);
        talk.unanswered(3);
        story.blocked.push((talk.take(), OUTAGE_RULE));
        strangers += 1;
        t += rng.range(60 * SEC, 200 * SEC);
    }
    let inside: Vec<_> = story.conns.iter().filter(|c| c.tag == "outage").collect();
    let syns: usize = inside.iter().map(|c| c.pkts.len()).sum();
    json!({
        "service": format!("{WWW}:80"), "begin": rfc3339(OUTAGE.0), "end": rfc3339(OUTAGE.1), "minutes": 50, "rule": OUTAGE_RULE,
        "inside_attempts": inside.len(), "inside_syns": syns, "inside_rows_s0": inside.iter().map(|c| c.rows.len()).sum::<usize>(),
        "inside_clients": inside.iter().map(|c| c.src).collect::<std::collections::BTreeSet<_>>().len(),
        "outside_attempts": strangers, "drop_lines": syns + strangers * 3,
    })
}

/// The printer's page, looked at from the internet on several days.
pub fn printer(story: &mut Story, rng: &mut Rng) -> Value {
    let mut visits = Vec::new();
    let mut moments = vec![(nov(19, 9, 41, 17), PEEPER), (nov(19, 9, 41, 52), PEEPER), (nov(19, 9, 43, 8), PEEPER)];
    moments.extend([
        (nov(12, 22, 15, 9), PEEPER),
        (nov(17, 3, 2, 44), Ipv4Addr::new(198, 51, 100, 201)),
        (nov(20, 4, 18, 33), PEEPER),
    ]);
    for (t, src) in moments {
        let mut talk = Talk::new(6, t + rng.range(0, 900_000), (src, rng.port()), (PRINTER, 80), 55_000);
        talk.conn.dnat = Some(PRINTER_PORT);
        talk.open();
        let host = format!("{OUTSIDE}:{PRINTER_PORT}");
        for (path, length) in [("/", 2_214), ("/status.html", 1_730)] {
            let tx = Tx {
                method: "GET",
                host: host.clone(),
                path: path.into(),
                agent: http::BROWSER_B,
                status: 200,
                mime: "text/html",
                length,
                ..Tx::default()
            };
            http::exchange(&mut talk, tx, "PrinterWeb/4.1", 20_000);
        }
        talk.conn.tag = "printer-exposed";
        let c = talk.close(Dir::Resp);
        visits.push(json!({ "time": rfc3339(t), "src": src, "captured": clock::captured(t) }));
        story.add(c);
    }
    json!({ "printer": PRINTER, "public": format!("{OUTSIDE}:{PRINTER_PORT}"), "dst_port": 80, "status": 200, "visits": visits })
}

/// The spam of the second victim.
pub fn spam(story: &mut Story, rng: &mut Rng) -> Value {
    let mut t = nov(19, 9, 50, 2);
    let (first, mut count, mut refused, mut bytes) = (t, 0, 0, 0);
    let (mut last, mut silent) = (t, 0);
    while t < first + 290 * SEC {
        let i = rng.range(0, 19) as u8;
        let domain = mail_domain(i);
        story.ask(AKOCH, &domain, 15, t - 60_000);
        story.want(AKOCH, &format!("mx.{domain}"), t);
        let mut talk = Talk::new(6, t, (AKOCH, rng.port()), (mail_server(i), 25), 18_000 + i64::from(i) * 2_100);
        talk.conn.tag = "spam";
        if i == 17 {
            silent += 1;
            talk.unanswered(2);
            story.add(talk.take());
        } else {
            talk.open();
            let to = format!("user{:03}@{domain}", rng.range(1, 900));
            let mail = format!(
                "From: \"Prize Desk\" <winner@prize-desk.example>\r\nTo: <{to}>\r\nSubject: You have won\r\n\r\n\
                 Dear {to},\r\nclaim your prize at http://{}/p/{}\r\n",
                "www.prize-desk.example",
                rng.range(10_000, 99_999)
            );
            let refuse = rng.chance(0.28);
            refused += usize::from(refuse);
            let packet =
                speech::smtp(&mut talk, &format!("mx.{domain}"), "akoch-pc", "winner@prize-desk.example", &to, &mail, refuse);
            if count % 12 == 11 {
                talk.conn.alerts.push((packet, 2_000_328));
            }
            story.add(talk.close(Dir::Orig));
        }
        bytes += story.conns.last().and_then(|c| c.rows.first()).map_or(0, |r| r.ip_bytes[0]);
        count += 1;
        last = t;
        t += rng.range(2_700_000, 4_600_000);
    }
    json!({
        "src": AKOCH, "dst_port": 25, "first": rfc3339(first), "last": rfc3339(last), "connections": count, "refused_550": refused,
        "unanswered": silent, "mail_servers": 20, "bytes_out": bytes,
    })
}

/// What the internet tries all the time; the gateway drops it.
pub fn scans(story: &mut Story, rng: &mut Rng) -> Value {
    let ports = [22, 23, 445, 3389, 8080, 5900, 1433, 3306, 6379, 2323, 8443, 5060, 21, 81];
    let mut t = BEGIN + rng.range(0, 10 * MIN);
    let mut count = 0;
    while t < END {
        let src = Ipv4Addr::new(198, 51, 100, rng.range(100, 127) as u8);
        for k in 0..if rng.chance(0.05) { rng.range(5, 14) } else { 1 } {
            let mut talk = Talk::new(6, t + k * 21_000, (src, rng.port()), (OUTSIDE, *rng.pick(&ports)), 60_000);
            talk.unanswered(1);
            let mut c = talk.take();
            if let Some(p) = c.pkts.first_mut() {
                p.win = 1024;
                p.opts = vec![2, 4, 5, 0xb4];
            }
            story.blocked.push((c, SCAN_RULE));
            count += 1;
        }
        t += rng.range(8 * MIN, 36 * MIN);
    }
    json!({ "dropped": count, "rule": SCAN_RULE, "sources": "198.51.100.100-127", "seen_in": "gateway-kern.log; outside.pcap for the capture windows" })
}
