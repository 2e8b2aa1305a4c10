//! Ten working days of ordinary life: who visits what and when, by the diurnal curve.

use crate::clock::{self, BEGIN, DAY, END, HOUR, MIN, SEC};
use crate::dns::Tx as Dns;
use crate::rng::Rng;
use crate::story::Story;
use crate::talk::{self, Dir, Msg, Talk, minutes};
use crate::tls::{self, Client};
use crate::world::{self, BACKUP, DB, DC, FS, Host, MAIL, Os, PRINTER, PRINTER2, Site, WWW};
use crate::{cert, http, routine, smb, speech, visits};
use std::net::Ipv4Addr;

/// Which software a host connects with.
pub fn client_of(host: Ipv4Addr, rng: &mut Rng) -> &'static Client {
    match (world::os_of(host), rng.range(0, 9)) {
        (Os::Windows, 0..=1) => &tls::SYSTEM,
        (Os::Windows, _) if host.octets()[3].is_multiple_of(4) => &tls::BROWSER_B,
        (Os::Linux, _) => &tls::BROWSER_B,
        _ => &tls::BROWSER,
    }
}

/// The certificate that an ordinary place shows.
pub fn site_cert(name: &str) -> Vec<u8> {
    let issuer = ("Trust CA Example", "Trust CA Example G2");
    cert::certificate("Example Site", name, issuer, clock::nov(9, 0, 0, 0) - 60 * DAY, clock::nov(9, 0, 0, 0) + 300 * DAY)
}

/// One TLS connection with `up` and `down` bytes of application data.
pub fn secure(t: i64, src: (Ipv4Addr, u16), site: &Site, client: &Client, up: usize, down: usize) -> Talk {
    let mut talk = Talk::new(6, t, src, (site.ip, 443), site.rtt);
    talk.open();
    tls::shake(&mut talk, client, site.name, site_cert(site.name));
    tls::data(&mut talk, Dir::Orig, up);
    let think = talk.rng().range(2_000, 90_000);
    talk.pause(think);
    tls::data(&mut talk, Dir::Resp, down);
    talk
}

fn end(mut talk: Talk, rng: &mut Rng) -> talk::Conn {
    if rng.chance(0.55) {
        let wait = rng.range(50_000, 9_000_000);
        talk.pause(wait);
    }
    match rng.range(0, 99) {
        0..=2 => talk.reset(Dir::Orig),
        3 => talk.reset(Dir::Resp),
        4..=45 => {
            tls::bye(&mut talk, Dir::Orig);
            talk.close(Dir::Orig)
        }
        46..=70 => talk.close(Dir::Resp),
        _ => talk.close(Dir::Orig),
    }
}

fn browse(story: &mut Story, rng: &mut Rng, host: &Host, t: i64, sites: &[Site]) {
    let site = &sites[rng.zipf(sites.len())];
    story.want(host.ip, site.name, t);
    if rng.chance(0.06) {
        story.ask(host.ip, site.name, 28, t);
    }
    if site.name.starts_with("ocsp") || site.name.starts_with("crl") {
        let mut talk = Talk::new(6, t, (host.ip, rng.port()), (site.ip, 80), site.rtt);
        talk.open();
        let tx = http::Tx {
            method: "GET",
            host: site.name.into(),
            path: "/g2/revoked.crl".into(),
            agent: "Microsoft-CryptoAPI/10.0",
            status: 200,
            mime: "application/octet-stream",
            length: rng.size(700.0, 0.3, 300, 1300),
            ..http::Tx::default()
        };
        http::exchange(&mut talk, tx, "nginx", 3_000);
        story.add(talk.close(Dir::Orig));
        return;
    }
    for k in 0..rng.range(1, 2) {
        let client = client_of(host.ip, rng);
        let at = t + k * rng.range(5_000, 400_000);
        let talk =
            secure(at, (host.ip, rng.port()), site, client, rng.size(260.0, 0.5, 90, 2000), rng.size(520.0, 0.9, 120, 7000));
        story.add(end(talk, rng));
    }
}

fn files(story: &mut Story, rng: &mut Rng, host: &Host, t: i64) {
    story.want(host.ip, "fs1.corp.example", t);
    let mut talk = Talk::new(6, t, (host.ip, rng.port()), (FS, 445), 0);
    talk.open();
    let file = format!("team\\notes-{:03}.docx", rng.range(1, 400));
    let size = rng.size(1100.0, 0.8, 300, 9_000);
    let body = rng.bytes(size);
    let work = if rng.chance(0.35) { smb::Work::Write(&body) } else { smb::Work::Read(size) };
    smb::session(&mut talk, host.owner, host.name, "\\\\fs1\\common", &file, &work);
    talk.pause(rng.range(10_000, 3_000_000));
    story.add(talk.close(Dir::Orig));
}

fn post(story: &mut Story, rng: &mut Rng, host: &Host, t: i64) {
    story.want(host.ip, "mail1.corp.example", t);
    let mut talk = Talk::new(6, t, (host.ip, rng.port()), (MAIL, 993), 0);
    talk.open();
    let client = client_of(host.ip, rng);
    tls::shake(&mut talk, client, "mail1.corp.example", site_cert("mail1.corp.example"));
    tls::data(&mut talk, Dir::Orig, rng.range(90, 400) as usize);
    tls::data(&mut talk, Dir::Resp, rng.size(600.0, 0.7, 200, 4000));
    story.add(end(talk, rng));
}

fn oddments(story: &mut Story, rng: &mut Rng, host: &Host, t: i64) {
    let src = (host.ip, rng.port());
    match rng.range(0, 11) {
        0..=3 => {
            let dst = if rng.chance(0.7) { PRINTER2 } else { PRINTER };
            let mut talk = Talk::new(6, t, src, (dst, 9100), 0);
            talk.open();
            speech::print(&mut talk, rng.size(3000.0, 0.5, 1500, 9000));
            story.add(talk.close(Dir::Orig));
        }
        4..=5 => {
            let mut talk = Talk::new(6, t, src, (PRINTER2, 515), 0);
            talk.refused();
            story.add(talk.take());
        }
        6 => {
            let mut talk = Talk::new(6, t, src, (Ipv4Addr::new(10, 8, 30, 99), 445), 0);
            talk.unanswered(3);
            story.add(talk.take());
        }
        7..=8 => story.ask(host.ip, "wpad.corp.example", 1, t),
        9 => story.ask(host.ip, "2.30.8.10.in-addr.arpa", 12, t),
        10 => story.ask(host.ip, "connectivity-check.test", 1, t),
        _ => story.ask(host.ip, "intrant.corp.example", 1, t),
    }
}

/// The life of one workstation for one hour.
fn hour(story: &mut Story, rng: &mut Rng, host: &Host, from: i64, sites: &[Site]) {
    if host.ip == world::JDOE && from + HOUR > crate::intrusion::UNPLUGGED {
        return;
    }
    let busy = clock::activity(from + HOUR / 2);
    let proxied = host.ip.octets()[2] == 22;
    for _ in 0..rng.poisson(busy * if proxied { 4.0 } else { 7.0 }) {
        let t = from + rng.range(0, HOUR - 1);
        if proxied {
            visits::through_proxy(story, rng, host, t, sites);
        } else {
            browse(story, rng, host, t, sites);
        }
    }
    type Doing = fn(&mut Story, &mut Rng, &Host, i64);
    let doings: [(f64, Doing); 4] = [(0.9, files), (1.0, post), (0.5, oddments), (0.9, visits::intranet)];
    for (rate, act) in doings {
        for _ in 0..rng.poisson(busy * rate) {
            let t = from + rng.range(0, HOUR - 1);
            act(story, rng, host, t);
        }
    }
    // The portal's page refreshes itself while somebody is at work.
    if busy > 0.04 {
        let mut t = from + i64::from(host.ip.octets()[3]) * 7 % 18 * MIN + rng.range(0, 40 * SEC);
        while t < from + HOUR {
            if rng.chance(busy) {
                visits::poll(story, rng, host, t);
            }
            t += 17 * MIN + rng.range(0, 2 * MIN);
        }
    }
}

fn servers(story: &mut Story, rng: &mut Rng, day: i64) {
    for host in world::hosts().iter().filter(|h| matches!(h.ip.octets()[2], 30 | 40 | 50) && h.ip != DC) {
        let mut t = day + rng.range(0, 64 * MIN);
        while t < day + DAY {
            let (ask, answer) = speech::ntp(t, rng);
            let mut c = talk::udp(t, (host.ip, rng.port()), (DC, 123), 0, ask, answer);
            c.service = "ntp";
            story.add(c);
            t += minutes(rng, 60, 68);
        }
    }
    let mut t = day + rng.range(0, 17 * MIN);
    while t < day + DAY {
        story.want(DC, "time.example", t);
        let (ask, answer) = speech::ntp(t, rng);
        let mut c = talk::udp(t, (DC, rng.port()), (world::NTP, 123), 14_000, ask, answer);
        c.service = "ntp";
        story.add(c);
        story.add(talk::ping(t + 40 * SEC, BACKUP, *rng.pick(&[WWW, FS, DB, MAIL]), 0));
        for printer in [PRINTER, PRINTER2] {
            let ask = speech::mdns("_ipp._tcp.local");
            let mut c =
                talk::udp(t + rng.range(0, 9 * MIN), (printer, 5353), (Ipv4Addr::new(224, 0, 0, 251), 5353), 0, ask, vec![]);
            c.service = "dns";
            let tx = Dns { name: "_ipp._tcp.local".into(), qtype: 12, ..Dns::default() };
            c.app = talk::App::Dns(tx);
            story.add(c);
        }
        t += minutes(rng, 16, 18);
    }
    let mut t = day + rng.range(0, 10 * MIN);
    while t < day + DAY {
        let mut talk = Talk::new(6, t, (WWW, rng.port()), (DB, 5432), 0);
        talk.open();
        let n = 1 + (clock::activity(t) * rng.range(2, 6) as f64) as usize;
        speech::postgres(&mut talk, n);
        story.add(talk.close(Dir::Orig));
        t += minutes(rng, 9, 11);
    }
    for (k, server) in [FS, DB, world::BUILD].into_iter().enumerate() {
        let t = day + 21 * HOUR + k as i64 * 20 * MIN + rng.range(0, 3 * MIN);
        let mut talk = Talk::new(6, t, (BACKUP, rng.port()), (server, 873), 0);
        talk.open();
        talk.send(Dir::Orig, Msg::real(b"@RSYNCD: 31.0\n".to_vec()));
        let seed = rng.next();
        for _ in 0..rng.range(55, 75) {
            talk.send(Dir::Resp, Msg::opaque(Vec::new(), 1 << 20, seed));
            talk.pause(rng.range(1_000, 60_000));
        }
        story.add(talk.close(Dir::Orig));
    }
}

fn people(story: &mut Story, rng: &mut Rng, day: i64, sites: &[Site]) {
    let working = clock::activity(day + 9 * HOUR) > 0.5;
    let update = sites.iter().find(|s| s.name == "dl.updates.example");
    for host in world::hosts().iter().filter(|h| matches!(h.ip.octets()[2], 21 | 22 | 60)) {
        if host.role.starts_with("gateway") || host.ip == world::SILENT {
            continue;
        }
        let mut own = rng.fork(u64::from(u32::from(host.ip)) ^ day as u64);
        for h in 0..24 {
            hour(story, &mut own, host, day + h * HOUR, sites);
        }
        let mut t = day + i64::from(host.ip.octets()[3]) * 4 * MIN + own.range(0, 2 * MIN);
        while working && t < day + DAY && (host.ip != world::JDOE || t < crate::intrusion::UNPLUGGED) {
            let (ask, answer) = speech::dhcp(own.next() as u32, host.ip, DC, host.name);
            let mut c = talk::udp(t, (host.ip, 68), (DC, 67), 0, ask, answer);
            c.service = "dhcp";
            story.add(c);
            t += 6 * HOUR + own.range(0, MIN);
        }
        if let (true, Some(site), 21) = (working, update, host.ip.octets()[2]) {
            let t = day + 11 * HOUR + 10 * MIN + own.range(0, 70 * MIN);
            story.want(host.ip, site.name, t);
            let down = own.size(3e6, 0.4, 800_000, 8_000_000);
            let talk = secure(t, (host.ip, own.port()), site, &tls::SYSTEM, 700, down);
            story.add(end(talk, &mut own));
        }
    }
}

/// All of it.
pub fn fill(story: &mut Story, rng: &Rng) {
    let sites = world::sites();
    let mut day = BEGIN;
    while day < END {
        let mut own = rng.fork(day as u64);
        people(story, &mut own, day, &sites);
        servers(story, &mut own, day);
        visits::strangers(story, &mut own, day);
        routine::mails(story, &mut own, day);
        routine::administration(story, &mut own, day);
        day += DAY;
    }
}
