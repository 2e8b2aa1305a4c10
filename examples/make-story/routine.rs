//! The routine of the servers' people: ordinary mail, logins to the build server, cron.

use crate::clock::{self, DAY, HOUR, MIN, SEC};
use crate::events;
use crate::rng::Rng;
use crate::speech;
use crate::story::{Line, Story};
use crate::talk::{Dir, Talk};
use crate::world::{ADMIN, BUILD, MAIL};
use std::net::Ipv4Addr;

/// Ordinary mail, in and out.
pub fn mails(story: &mut Story, rng: &mut Rng, day: i64) {
    let mut t = day + rng.range(0, 20 * MIN);
    while t < day + DAY {
        let i = rng.range(0, 9) as u8;
        let domain = events::mail_domain(i);
        let body = format!(
            "From: <info@{domain}>\r\nTo: <office@corp.example>\r\nSubject: Order {i}\r\n\r\n{}",
            "Thank you for your order.\r\n".repeat(9)
        );
        let mut talk = if rng.chance(0.6) {
            let mut talk = Talk::new(6, t, (events::mail_server(i), rng.port()), (MAIL, 25), 24_000);
            talk.conn.dnat = Some(25);
            talk.open();
            let from = format!("info@{domain}");
            speech::smtp(&mut talk, "mail1.corp.example", &format!("mx.{domain}"), &from, "office@corp.example", &body, false);
            talk
        } else {
            story.ask(MAIL, &domain, 15, t - 60_000);
            story.want(MAIL, &format!("mx.{domain}"), t);
            let mut talk = Talk::new(6, t, (MAIL, rng.port()), (events::mail_server(i), 25), 24_000);
            talk.open();
            let to = format!("info@{domain}");
            speech::smtp(&mut talk, &format!("mx.{domain}"), "mail1.corp.example", "office@corp.example", &to, &body, false);
            talk
        };
        story.add(talk.close(Dir::Orig));
        t += (rng.range(6 * MIN, 18 * MIN) as f64 / (0.15 + clock::activity(t))) as i64;
    }
}

/// The administrator and the engineers log in to the build server; cron does its work.
pub fn administration(story: &mut Story, rng: &mut Rng, day: i64) {
    let mut pid = 1200 + (day / DAY % 100) * 400;
    for h in 0..24 {
        let t = day + h * HOUR + 17 * MIN;
        pid += 7;
        for text in ["session opened for user root(uid=0) by (uid=0)", "session closed for user root"] {
            let text = format!("CRON[{pid}]: pam_unix(cron:session): {text}");
            story.auth.push(Line { t: t + i64::from(text.contains("closed")) * SEC, text });
        }
    }
    let engineers = [(ADMIN, "tkeller"), (Ipv4Addr::new(10, 8, 22, 12), "qwagner"), (Ipv4Addr::new(10, 8, 22, 15), "uabel")];
    for (host, user) in engineers {
        for _ in 0..rng.poisson(3.0 * clock::activity(day + 9 * HOUR)) {
            let t = day + 8 * HOUR + rng.range(0, 8 * HOUR);
            pid += 11;
            let port = rng.port();
            let mut talk = Talk::new(6, t, (host, port), (BUILD, 22), 0);
            talk.open();
            let mut talked = Vec::new();
            for _ in 0..rng.range(4, 30) {
                talked.push((Dir::Orig, 36));
                talked.push((Dir::Resp, rng.size(200.0, 1.0, 36, 4000)));
            }
            speech::ssh(&mut talk, "OpenSSH_9.6p1 Ubuntu-3ubuntu13.5", false, &talked);
            let c = talk.close(Dir::Orig);
            let end = c.pkts.last().map_or(t, |p| p.t);
            story.add(c);
            let key = "SHA256:m3yG0Yx2hVnY0z1W2Tt9sQk5rJ4uPq8bLc7dEe6fFgA";
            story.auth.push(Line {
                t: t + 600_000,
                text: format!("sshd[{pid}]: Accepted publickey for {user} from {host} port {port} ssh2: ED25519 {key}"),
            });
            let pam = "pam_unix(sshd:session)";
            story.auth.push(Line {
                t: t + 650_000,
                text: format!("sshd[{pid}]: {pam}: session opened for user {user}(uid=1001) by (uid=0)"),
            });
            story.auth.push(Line {
                t: end,
                text: format!("sshd[{pid}]: Received disconnect from {host} port {port}:11: disconnected by user"),
            });
            story.auth.push(Line { t: end, text: format!("sshd[{pid}]: {pam}: session closed for user {user}") });
        }
    }
}
