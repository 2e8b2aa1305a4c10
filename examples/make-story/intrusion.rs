//! The intrusion: the mail, the download, the beacon, the uploads at night, and the way to other hosts.

use crate::cert::certificate;
use crate::clock::{self, DAY, MIN, SEC, nov, rfc3339};
use crate::http::{self, Tx};
use crate::rng::Rng;
use crate::story::{Line, Story};
use crate::talk::{Conn, Dir, Msg, Talk};
use crate::tls::{self, hex};
use crate::world::{self, AKOCH, BUILD, C2, C2_NAME, DROP, DROP_NAME, FS, JDOE, MAIL, Os, PHISHER, PSINGH, STORE, STORE_NAME};
use crate::{smb, speech};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;

/// The path of the dropped file.
pub const EXE_PATH: &str = "/dl/Invoice_7731.exe";
/// When patient zero's machine was unplugged.
pub const UNPLUGGED: i64 = nov(20, 16, 41, 0);

/// A file that looks like a program and is none: a DOS header, then random bytes.
pub fn program(rng: &mut Rng, n: usize) -> Vec<u8> {
    let mut out = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8".to_vec();
    out.resize(0x3c, 0);
    out.extend_from_slice(&[0x80, 0, 0, 0]);
    out.extend_from_slice(b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21This program cannot be run in DOS mode.\r\r\n$");
    out.resize(0x80, 0);
    out.extend_from_slice(b"PE\0\0");
    let rest = n.saturating_sub(out.len());
    out.extend_from_slice(&rng.bytes(rest));
    out
}

fn place(c: &Conn) -> Value {
    json!({
        "start": rfc3339(c.start()), "end": rfc3339(c.end()), "src": c.src, "src_port": c.sport, "dst": c.dst, "dst_port": c.dport,
        "bytes_out": c.rows.iter().map(|r| r.ip_bytes[0]).sum::<u64>(), "bytes_in": c.rows.iter().map(|r| r.ip_bytes[1]).sum::<u64>(),
        "state": c.rows.first().map(|r| r.state),
    })
}

fn put(story: &mut Story, mut c: Conn, tag: &'static str) -> Value {
    c.tag = tag;
    story.add(c);
    story.conns.last().map_or(Value::Null, place)
}

/// Mail and download on Tuesday.
pub fn entry(story: &mut Story, rng: &mut Rng) -> Value {
    let lure = format!("http://{DROP_NAME}/track?id=7731");
    let mail = format!(
        "From: \"Parcel Notice\" <no-reply@parcel-notice.example>\r\nTo: <jdoe@corp.example>\r\n\
         Subject: Your parcel 7731 is waiting\r\nDate: Tue, 17 Nov 2026 07:59:30 +0000\r\nMessage-ID: <7731.k2@parcel-notice.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nDear customer,\r\nwe could not deliver your parcel. Please see the invoice:\r\n\
         {lure}\r\n"
    );
    let mut talk = Talk::new(6, nov(17, 7, 59, 30), (PHISHER, 41_822), (MAIL, 25), 31_000);
    talk.conn.dnat = Some(25);
    talk.open();
    speech::smtp(
        &mut talk,
        "mail1.corp.example",
        "out.parcel-notice.example",
        "no-reply@parcel-notice.example",
        "jdoe@corp.example",
        &mail,
        false,
    );
    let phish = put(story, talk.close(Dir::Orig), "phishing-mail");

    let t = nov(17, 8, 3, 41) + 218_000;
    story.want(JDOE, DROP_NAME, t);
    let mut talk = Talk::new(6, t, (JDOE, rng.port()), (DROP, 80), 38_000);
    talk.open();
    let base = Tx { method: "GET", host: DROP_NAME.into(), agent: http::BROWSER, ..Tx::default() };
    let location = format!("http://{DROP_NAME}{EXE_PATH}");
    let first = Tx {
        path: "/track?id=7731".into(),
        status: 302,
        location: location.clone(),
        mime: "text/html",
        length: 154,
        ..base.clone()
    };
    http::exchange(&mut talk, first, "nginx", 3_000);
    let body = program(rng, 40_960);
    let sha = hex(&Sha256::digest(&body));
    let tx = Tx {
        path: EXE_PATH.into(),
        status: 200,
        mime: "application/x-msdownload",
        body: body.clone(),
        referer: lure.clone(),
        ..base
    };
    talk.pause(12_000);
    http::exchange(&mut talk, tx, "nginx", 9_000);
    talk.alert(2_018_959);
    talk.pause(2 * SEC);
    let get = put(story, talk.close(Dir::Orig), "download");
    json!({
        "phishing_mail": phish, "link": lure, "download": get, "patient_zero": JDOE, "host": "jdoe-pc", "user": "jdoe",
        "asked_name": DROP_NAME, "cname": world::DROP_CNAME, "address": DROP, "url": location, "file": "Invoice_7731.exe",
        "size": body.len(), "sha256": sha, "md5": tls::hex(&md5_of(&body)), "sha1": tls::hex(&sha1_of(&body)),
    })
}

/// MD5 of the bytes.
pub fn md5_of(b: &[u8]) -> Vec<u8> {
    use md5::Digest as _;
    md5::Md5::digest(b).to_vec()
}

/// SHA-1 of the bytes.
pub fn sha1_of(b: &[u8]) -> Vec<u8> {
    use sha1::Digest as _;
    sha1::Sha1::digest(b).to_vec()
}

/// The certificate of command and control.
pub fn c2_cert() -> Vec<u8> {
    certificate("Example Hosting", C2_NAME, ("Example Hosting", C2_NAME), nov(12, 3, 20, 0), nov(12, 3, 20, 0) + 365 * DAY)
}

/// The beacon: about every five minutes until the machine is unplugged.
pub fn beacon(story: &mut Story, rng: &mut Rng) -> Value {
    let mut t = nov(17, 8, 6, 12) + 114_000;
    let (mut count, mut out, mut inn) = (0, 0, 0);
    let (mut first, mut last, mut gaps) = (0, 0, Vec::new());
    let mut captured = Vec::new();
    while t < UNPLUGGED {
        story.want(JDOE, C2_NAME, t);
        let mut talk = Talk::new(6, t, (JDOE, rng.port()), (C2, 443), 42_000);
        talk.open();
        tls::shake(&mut talk, &tls::IMPLANT, C2_NAME, c2_cert());
        talk.conn.alerts.push((3, 2_028_401));
        tls::data(&mut talk, Dir::Orig, 312 + rng.range(0, 2) as usize * 16);
        // The server holds the question open for twelve seconds.
        talk.pause(12 * SEC - 150_000 + rng.range(0, 90_000));
        tls::data(&mut talk, Dir::Resp, 96 + rng.range(0, 3) as usize * 16);
        tls::bye(&mut talk, Dir::Orig);
        let place = put(story, talk.close(Dir::Orig), "beacon");
        if let Some(r) = story.conns.last().and_then(|c| c.rows.first()) {
            out += r.ip_bytes[0];
            inn += r.ip_bytes[1];
        }
        if clock::captured(t) {
            captured.push(place);
        }
        first = if count == 0 { t } else { first };
        last = t;
        count += 1;
        let gap = 300 * SEC + rng.range(-14 * SEC, 14 * SEC);
        gaps.push(gap);
        t += gap;
    }
    let mean = gaps.iter().sum::<i64>() as f64 / gaps.len().max(1) as f64 / 1e6;
    json!({
        "src": JDOE, "dst": C2, "dst_port": 443, "sni": C2_NAME, "count": count, "first": rfc3339(first), "last": rfc3339(last),
        "period_s": 300, "jitter_s": 14, "mean_interval_s": (mean * 1000.0).round() / 1000.0, "bytes_out": out, "bytes_in": inn,
        "ja3": tls::ja3_hash(&tls::IMPLANT.ja3()), "ja4": tls::IMPLANT.ja4(), "in_captures": captured.len(), "captured": captured,
        "certificate_sha1": hex(&sha1_of(&c2_cert())), "certificate_sha256": hex(&Sha256::digest(c2_cert())),
    })
}

/// Uploads in three nights.
pub fn uploads(story: &mut Story, rng: &mut Rng) -> Value {
    let mut nights = Vec::new();
    let (mut out, mut inn, mut payload, mut count) = (0, 0, 0, 0);
    for day in 18..=20 {
        let mut t = nov(day, 1, 10, 0) + rng.range(0, 5 * MIN);
        let (mut night, mut n) = (0, 0);
        let begin = t;
        while t < nov(day, 3, 50, 0) {
            story.want(JDOE, STORE_NAME, t);
            let mut talk = Talk::new(6, t, (JDOE, rng.port()), (STORE, 443), 27_000);
            talk.open();
            let cert = certificate(
                "Paste Store",
                STORE_NAME,
                ("Trust CA Example", "Trust CA Example G2"),
                nov(9, 0, 0, 0) - 90 * DAY,
                nov(9, 0, 0, 0) + 275 * DAY,
            );
            tls::shake(&mut talk, &tls::IMPLANT, STORE_NAME, cert);
            tls::data(&mut talk, Dir::Orig, rng.size(3_300_000.0, 0.18, 1_800_000, 5_500_000));
            talk.pause(80_000);
            tls::data(&mut talk, Dir::Resp, 380);
            tls::bye(&mut talk, Dir::Orig);
            put(story, talk.close(Dir::Orig), "upload");
            if let Some(r) = story.conns.last().and_then(|c| c.rows.first()) {
                night += r.ip_bytes[0];
                out += r.ip_bytes[0];
                inn += r.ip_bytes[1];
                payload += r.bytes[0];
            }
            n += 1;
            t += rng.range(9 * MIN, 14 * MIN);
        }
        count += n;
        nights.push(json!({ "first": rfc3339(begin), "uploads": n, "bytes_out": night }));
    }
    json!({
        "src": JDOE, "dst": STORE, "dst_port": 443, "sni": STORE_NAME, "ja4": tls::IMPLANT.ja4(), "count": count, "bytes_out": out,
        "bytes_in": inn, "payload_out": payload, "nights": nights,
    })
}

/// The search for file shares on Thursday.
fn sweep(story: &mut Story, rng: &mut Rng) -> Value {
    let mut t = nov(19, 8, 58, 12);
    let (mut open, mut refused, mut silent) = (Vec::new(), 0, 0);
    let begin = t;
    let hosts = world::hosts();
    for last in 1..=40u8 {
        let dst = Ipv4Addr::new(10, 8, 30, last);
        let mut talk = Talk::new(6, t, (JDOE, rng.port()), (dst, 445), 0);
        let known = hosts.iter().find(|h| h.ip == dst);
        let c = match known.map(|h| h.os) {
            Some(Os::Windows) => {
                open.push(json!(dst));
                talk.open();
                talk.reset(Dir::Orig)
            }
            Some(Os::Linux) => {
                refused += 1;
                talk.refused();
                talk.take()
            }
            None => {
                silent += 1;
                talk.unanswered(2);
                talk.take()
            }
        };
        let mut c = c;
        if last == 20 || last == 40 {
            c.alerts.push((0, 2_001_569));
        }
        put(story, c, "sweep");
        t += rng.range(350_000, 700_000);
    }
    json!({ "src": JDOE, "port": 445, "network": "10.8.30.0/24", "first": rfc3339(begin), "last": rfc3339(t), "targets": 40,
        "open": open, "refused": refused, "silent": silent })
}

/// Sessions on file shares.
fn shares(story: &mut Story, rng: &mut Rng) -> Value {
    let stage = program(rng, 9_728);
    let mut all = Vec::new();
    let visits: [(i64, Ipv4Addr, &str, &str, smb::Work); 4] = [
        (nov(19, 9, 0, 20), FS, "\\\\fs1\\finance", "2026\\payroll-q4.xlsx", smb::Work::Read(24_300)),
        (nov(19, 9, 1, 5), FS, "\\\\fs1\\finance", "2026\\supplier-contracts.pdf", smb::Work::Read(13_800)),
        (nov(19, 9, 3, 2), AKOCH, "\\\\10.8.21.23\\ADMIN$", "Temp\\svchelper.exe", smb::Work::Write(&stage)),
        (nov(19, 9, 4, 31), PSINGH, "\\\\10.8.21.31\\ADMIN$", "Temp\\svchelper.exe", smb::Work::Write(&stage)),
    ];
    for (t, dst, share, file, work) in visits {
        let mut talk = Talk::new(6, t, (JDOE, rng.port()), (dst, 445), 0);
        talk.open();
        smb::session(&mut talk, "jdoe", "jdoe-pc", share, file, &work);
        if share.ends_with('$') {
            talk.conn.alerts.push((9, 2_102_474));
            talk.conn.alerts.push((11, 2_025_719));
        }
        talk.pause(3 * SEC);
        let mut seen = put(story, talk.close(Dir::Orig), "share");
        seen["share"] = json!(share);
        seen["path"] = json!(file);
        all.push(seen);
    }
    json!({ "sessions": all, "file": "svchelper.exe", "size": stage.len(), "sha256": hex(&Sha256::digest(&stage)) })
}

/// Guessing passwords of the build server.
fn guessing(story: &mut Story, rng: &mut Rng) -> Value {
    let users = ["root", "admin", "deploy", "jenkins", "git", "backup"];
    let mut t = nov(19, 9, 7, 0) + 400_000;
    let (first, mut pid, mut failures, n) = (t, 48_211, 0, 38);
    let mut won = Value::Null;
    for k in 0..n {
        let last = k == n - 1;
        let user = if last { "deploy" } else { users[k % users.len()] };
        let port = rng.port();
        let mut talk = Talk::new(6, t, (JDOE, port), (BUILD, 22), 0);
        talk.open();
        pid += 3;
        let mut say = |t: i64, text: String| story.auth.push(Line { t, text: format!("sshd[{pid}]: {text}") });
        if last {
            let talked: Vec<(Dir, usize)> = (0..24).flat_map(|i| [(Dir::Orig, 44), (Dir::Resp, 180 + i * 60)]).collect();
            speech::ssh(&mut talk, "libssh_0.10.6", false, &talked);
        } else {
            speech::ssh(&mut talk, "libssh_0.10.6", true, &[]);
        }
        let seen_at = talk.t;
        if k == 5 || k == 20 {
            talk.alert(2_001_219);
        }
        let c = talk.close(Dir::Orig);
        let end = c.pkts.last().map_or(t, |p| p.t);
        let unknown = matches!(user, "admin" | "jenkins");
        if last {
            let done = c.pkts.first().map_or(t, |p| p.t) + 140_000;
            say(done, format!("Accepted password for {user} from {JDOE} port {port} ssh2"));
            say(done + 40_000, format!("pam_unix(sshd:session): session opened for user {user}(uid=1004) by (uid=0)"));
            say(end, format!("pam_unix(sshd:session): session closed for user {user}"));
        } else {
            failures += 1;
            if unknown {
                say(t + 60_000, format!("Invalid user {user} from {JDOE} port {port}"));
            }
            say(
                t + 70_000,
                format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={JDOE}"),
            );
            let who = if unknown { format!("invalid user {user}") } else { user.to_string() };
            say(seen_at, format!("Failed password for {who} from {JDOE} port {port} ssh2"));
            let who = if unknown { format!("invalid user {user}") } else { format!("authenticating user {user}") };
            say(end, format!("Connection closed by {who} {JDOE} port {port} [preauth]"));
        }
        let seen = put(story, c, "ssh-guessing");
        if last {
            won = seen;
        }
        t += rng.range(4_200_000, 5_100_000);
    }
    json!({ "src": JDOE, "dst": BUILD, "dst_port": 22, "connections": n, "failures": failures, "first": rfc3339(first), "user": "deploy", "success": won })
}

/// Thursday: sweep, shares, password guessing.
pub fn lateral(story: &mut Story, rng: &mut Rng) -> Value {
    // The stolen minutes of a Thursday begin with a quiet look at the mail.
    let mut talk = Talk::new(6, nov(19, 8, 56, 4), (JDOE, rng.port()), (MAIL, 993), 0);
    talk.open();
    tls::shake(&mut talk, &tls::BROWSER, "mail1.corp.example", crate::background::site_cert("mail1.corp.example"));
    talk.send(Dir::Orig, Msg::opaque(vec![23, 3, 3, 0, 120], 120, 5));
    story.add(talk.close(Dir::Orig));
    json!({ "sweep": sweep(story, rng), "shares": shares(story, rng), "ssh": guessing(story, rng) })
}
