//! Visits to the intranet, through the proxy, and from the internet to the public site.

use crate::background::{client_of, site_cert};
use crate::clock::{self, DAY, MIN};
use crate::events::OUTAGE;
use crate::http::{self, Tx};
use crate::rng::Rng;
use crate::story::{Proxied, Story};
use crate::talk::{App, Conn, Dir, Msg, Talk};
use crate::tls;
use crate::world::{self, DROP_NAME, Host, MMEYER, Os, PROXY, Site, WWW};
use std::net::Ipv4Addr;

/// What Apache calls itself.
pub const APACHE: &str = "Apache/2.4.62 (Debian)";

fn agent(host: &Host) -> &'static str {
    if host.os == Os::Windows { http::BROWSER } else { http::BROWSER_B }
}

/// Is the web server cut off at `t`?
pub fn cut_off(t: i64) -> bool {
    t >= OUTAGE.0 && t < OUTAGE.1
}

fn page(story: &mut Story, rng: &mut Rng, host: &Host, t: i64, pages: &[Tx]) {
    story.want(host.ip, world::INTRANET, t);
    let mut talk = Talk::new(6, t, (host.ip, rng.port()), (WWW, 80), 0);
    if cut_off(t) {
        talk.unanswered(4);
        talk.conn.tag = "outage";
        story.add(talk.take());
        return;
    }
    talk.open();
    for tx in pages {
        http::exchange(&mut talk, tx.clone(), APACHE, rng.range(1_000, 60_000));
    }
    // The server closes what is idle; a visit just before the outage ends before it.
    story.add(talk.close(Dir::Resp));
}

/// Somebody reads the intranet.
pub fn intranet(story: &mut Story, rng: &mut Rng, host: &Host, t: i64) {
    let paths = ["/", "/news/", "/phonebook?dept=4", "/menu", "/orders/open", "/travel/form", "/wiki/Onboarding"];
    let base =
        Tx { method: "GET", host: world::INTRANET.into(), agent: agent(host), status: 200, mime: "text/html", ..Tx::default() };
    let first = Tx { path: rng.pick(&paths).to_string(), length: rng.size(1100.0, 0.5, 300, 5000), ..base.clone() };
    let mut pages = vec![first];
    if rng.chance(0.5) {
        let (status, length) = if rng.chance(0.7) { (304, 0) } else { (200, rng.size(900.0, 0.3, 200, 2500)) };
        let referer = format!("http://{}/", world::INTRANET);
        pages.push(Tx { path: "/static/site.css".into(), mime: "text/css", status, length, referer, ..base });
    }
    page(story, rng, host, t, &pages);
}

/// The portal's status line refreshes itself.
pub fn poll(story: &mut Story, rng: &mut Rng, host: &Host, t: i64) {
    let tx = Tx {
        method: "GET",
        host: world::INTRANET.into(),
        path: "/api/status".into(),
        agent: agent(host),
        status: 200,
        mime: "application/json",
        length: rng.range(90, 140) as usize,
        ..Tx::default()
    };
    page(story, rng, host, t, &[tx]);
}

/// People on the internet who look at the public shop, around the clock.
pub fn strangers(story: &mut Story, rng: &mut Rng, day: i64) {
    let mut t = day + rng.range(0, 3 * MIN);
    while t < day + DAY {
        let src = if rng.chance(0.5) {
            Ipv4Addr::new(203, 0, 113, rng.range(200, 250) as u8)
        } else {
            Ipv4Addr::new(198, 51, 100, rng.range(128, 250) as u8)
        };
        if !cut_off(t) {
            let mut talk = Talk::new(6, t, (src, rng.port()), (WWW, 80), 20_000 + i64::from(src.octets()[3]) * 211);
            talk.conn.dnat = Some(80);
            talk.open();
            let item = rng.range(1, 400);
            let tx = Tx {
                method: "GET",
                host: "shop.corp.example".into(),
                path: format!("/shop/item?id={item}"),
                agent: http::BROWSER,
                status: 200,
                mime: "text/html",
                length: rng.size(1500.0, 0.4, 500, 6000),
                ..Tx::default()
            };
            http::exchange(&mut talk, tx, APACHE, rng.range(2_000, 50_000));
            story.add(talk.close(Dir::Orig));
        }
        t += (rng.range(60, 240) as f64 * 1e6 / (0.35 + clock::activity(t))) as i64;
    }
}

/// One visit through the proxy: the client's connection, the proxy's own, and the line of its log.
pub fn through_proxy(story: &mut Story, rng: &mut Rng, host: &Host, t: i64, sites: &[Site]) {
    let site = &sites[rng.zipf(sites.len())];
    story.want(host.ip, "proxy1.corp.example", t);
    for k in 0..rng.range(1, 2) {
        let at = t + k * rng.range(20_000, 300_000);
        tunnel(story, rng, host, at, site);
    }
}

fn tunnel(story: &mut Story, rng: &mut Rng, host: &Host, t: i64, site: &Site) {
    let plain = site.name.starts_with("crl") || site.name.starts_with("ocsp") || site.name.starts_with("www.recipes");
    let mut near = Talk::new(6, t, (host.ip, rng.port()), (PROXY, 3128), 0);
    near.open();
    let port = if plain { 80 } else { 443 };
    let (up, down) = (rng.size(260.0, 0.5, 90, 2000), rng.size(520.0, 0.8, 120, 5000));
    let asked = near.t;
    if plain {
        let path = "/g2/status";
        let tx = Tx {
            method: "GET",
            host: site.name.into(),
            path: format!("http://{}{path}", site.name),
            agent: agent(host),
            status: 200,
            mime: "text/html",
            length: down,
            ..Tx::default()
        };
        let mut far = Talk::new(6, near.t + 2_500, (PROXY, rng.port()), (site.ip, port), site.rtt);
        story.want(PROXY, site.name, far.t);
        far.open();
        http::exchange(&mut far, Tx { path: path.into(), ..tx.clone() }, "nginx", 4_000);
        let last = far.t;
        http::exchange(&mut near, tx.clone(), "nginx", last - asked + 300);
        story.add(far.close(Dir::Orig));
        log(story, near, t, host, ("TCP_MISS/200", "GET"), tx.path.clone(), site, "text/html");
        return;
    }
    let ask = format!("CONNECT {0}:443 HTTP/1.1\r\nHost: {0}:443\r\nUser-Agent: {1}\r\n\r\n", site.name, agent(host));
    near.send(Dir::Orig, Msg::real(ask.into_bytes()));
    let mut far = Talk::new(6, near.t + 2_500, (PROXY, rng.port()), (site.ip, port), site.rtt);
    story.want(PROXY, site.name, far.t);
    far.open();
    near.until(far.t + 200);
    near.send(Dir::Resp, Msg::real(b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec()));
    // The client's handshake is relayed: both connections carry the same messages.
    let client = client_of(host.ip, rng);
    tls::shake(&mut far, client, site.name, site_cert(site.name));
    tls::data(&mut far, Dir::Orig, up);
    far.pause(rng.range(2_000, 60_000));
    tls::data(&mut far, Dir::Resp, down);
    let connect = Tx {
        method: "CONNECT",
        host: site.name.into(),
        path: format!("{}:443", site.name),
        agent: agent(host),
        status: 200,
        asked,
        request: 3,
        packet: near.conn.pkts.len() - 1,
        ..Tx::default()
    };
    near.conn.app = App::Http(vec![connect]);
    near.conn.service = "http,ssl";
    relay(&mut near, &far.conn);
    story.add(far.close(Dir::Orig));
    log(story, near, t, host, ("TCP_TUNNEL/200", "CONNECT"), format!("{}:443", site.name), site, "-");
}

/// Sends on `near` what `far` carried, message by message, when it was there.
fn relay(near: &mut Talk, far: &Conn) {
    let mut seen: Option<usize> = None;
    for p in &far.pkts {
        if let Some((msg, at)) = &p.msg {
            let key = std::rc::Rc::as_ptr(msg) as usize;
            if *at == 0 && seen != Some(key) {
                seen = Some(key);
                near.until(p.t + 150);
                near.send(p.dir, Msg::real(msg.slice(0, msg.len())));
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one line of a log has that many columns")]
fn log(
    story: &mut Story,
    mut near: Talk,
    t: i64,
    host: &Host,
    how: (&'static str, &'static str),
    url: String,
    site: &Site,
    mime: &'static str,
) {
    let c = near.close(Dir::Orig);
    let end = c.pkts.last().map_or(t, |p| p.t);
    story.add(c);
    let bytes = story.conns.last().and_then(|c| c.rows.first()).map_or(0, |r| r.bytes[1]);
    let via = format!("HIER_DIRECT/{}", site.ip);
    story.proxied.push(Proxied { end, elapsed: end - t, client: host.ip, result: how.0, bytes, method: how.1, url, via, mime });
}

/// The colleague's click on the same link, refused by the proxy.
pub fn refused(story: &mut Story, rng: &mut Rng, t: i64) -> String {
    let url = format!("http://{DROP_NAME}/track?id=7732");
    story.want(MMEYER, "proxy1.corp.example", t);
    let mut talk = Talk::new(6, t, (MMEYER, rng.port()), (PROXY, 3128), 0);
    talk.open();
    let tx = Tx {
        method: "GET",
        host: DROP_NAME.into(),
        path: url.clone(),
        agent: http::BROWSER,
        status: 403,
        mime: "text/html",
        length: 3_412,
        ..Tx::default()
    };
    http::exchange(&mut talk, tx, "squid/5.7", 1_500);
    talk.conn.tag = "colleague-refused";
    let c = talk.close(Dir::Resp);
    let end = c.pkts.last().map_or(t, |p| p.t);
    story.add(c);
    let bytes = story.conns.last().and_then(|c| c.rows.first()).map_or(0, |r| r.bytes[1]);
    story.proxied.push(Proxied {
        end,
        elapsed: end - t,
        client: MMEYER,
        result: "TCP_DENIED/403",
        bytes,
        method: "GET",
        url: url.clone(),
        via: "HIER_NONE/-".into(),
        mime: "text/html",
    });
    url
}
