//! Writes `sample-data/story`: one small incident at a made-up company, in every kind of log that an investigation meets.
//!
//! `cargo run --release --example make-story [DIRECTORY]`. The same bytes come out on every run.

mod background;
mod capture;
mod cert;
mod clock;
mod conn;
mod dns;
mod estate;
mod eve;
mod events;
mod http;
mod intrusion;
mod logs;
mod meter;
mod nat;
mod rng;
mod routine;
mod smb;
mod speech;
mod story;
mod talk;
mod tls;
mod truth;
mod visits;
mod world;
mod zeek;

use serde_json::json;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes files under one directory and remembers their names and sizes.
struct Out {
    root: PathBuf,
    files: Vec<(String, usize)>,
}

impl Out {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let bytes = if name.ends_with(".gz") {
            let mut gz = flate2::GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), flate2::Compression::best());
            gz.write_all(bytes)?;
            gz.finish()?
        } else {
            bytes.to_vec()
        };
        std::fs::write(path, &bytes)?;
        self.files.push((name.to_string(), bytes.len()));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).map_or_else(|| Path::new("sample-data").join("story"), PathBuf::from);
    let mut out = Out { root, files: Vec::new() };
    let rng = rng::Rng::new(0x2026_1119);
    let mut story = story::Story::default();
    background::fill(&mut story, &rng);
    let mut own = rng.fork(1);
    let entry = intrusion::entry(&mut story, &mut own);
    let refused = visits::refused(&mut story, &mut own, clock::nov(17, 8, 9, 26) + 640_000);
    let beacon = intrusion::beacon(&mut story, &mut own);
    let uploads = intrusion::uploads(&mut story, &mut own);
    let lateral = intrusion::lateral(&mut story, &mut own);
    let injection = events::injection(&mut story, &mut own);
    let printer = events::printer(&mut story, &mut own);
    let spam = events::spam(&mut story, &mut own);
    let outage = events::outage(&mut story, &mut own);
    let scans = events::scans(&mut story, &mut own);
    story.resolve(&mut rng.fork(2));
    story.settle();
    let mut facts = json!({
        "download": entry, "colleague": { "client": world::MMEYER, "host": "mmeyer-pc", "url": refused, "result": "TCP_DENIED/403" },
        "beacon": beacon, "exfiltration": uploads, "lateral": lateral, "sql_injection": injection, "outage": outage, "printer": printer,
        "spam": spam, "scans": scans,
    });

    let outside = nat::bindings(&story.conns);
    let inner = capture::inside_capture(&story.conns);
    let outer = capture::outside_capture(&story.conns, &outside, &story.blocked);
    let (eve, alerts, kinds) = eve::events(&story.conns, &inner.numbers, &facts);
    let (kern, rules) = logs::firewall(&story);
    let (tracked, bindings) = nat::conntrack(&story.conns, &outside);
    let (older, younger) = logs::apache(&story);
    let (conn, dns) = (zeek::conn(&story.conns), zeek::dns(&story.conns));
    for (name, text) in conn.files().iter().chain(&dns.files()) {
        out.put(name, text.as_bytes())?;
    }
    out.put("inside.pcapng", &inner.bytes)?;
    out.put("outside.pcap", &outer.bytes)?;
    out.put("eve.json.gz", eve.as_bytes())?;
    out.put("gateway-kern.log.1.gz", kern.0.as_bytes())?;
    out.put("gateway-kern.log", kern.1.as_bytes())?;
    out.put("conntrack.log.gz", tracked.as_bytes())?;
    let squid = logs::squid(&story);
    out.put("squid-access.log.1.gz", squid.0.as_bytes())?;
    out.put("squid-access.log", squid.1.as_bytes())?;
    out.put("www-access.log.1.gz", older.as_bytes())?;
    out.put("www-access.log", younger.as_bytes())?;
    out.put("auth.log", logs::auth(&story).as_bytes())?;
    out.put("inventory.csv", estate::inventory().as_bytes())?;
    out.put("nmap.xml", estate::nmap().as_bytes())?;
    out.put("scan.nessus", estate::nessus().as_bytes())?;
    out.put("reputation/blocklist.txt", estate::blocklist().as_bytes())?;
    out.put("reputation/feed.csv", estate::feed(&facts).as_bytes())?;

    truth::add(
        &mut facts,
        &story,
        &truth::Counts {
            inner: &inner,
            outer: &outer,
            outside: &outside,
            alerts: &alerts,
            kinds: &kinds,
            rules: &rules,
            bindings,
            conn_rows: conn.len(),
            dns_rows: dns.len(),
            web_lines: (older.lines().count(), younger.lines().count()),
        },
    );
    let files: serde_json::Map<_, _> = out.files.iter().map(|(n, s)| (n.clone(), json!(s))).collect();
    facts["files"] = json!(files);
    out.put("TRUTH.md", truth::markdown(&facts).as_bytes())?;
    out.put("README.md", truth::README.as_bytes())?;
    out.put("truth.json", (serde_json::to_string_pretty(&facts)? + "\n").as_bytes())?;
    let total: usize = out.files.iter().map(|f| f.1).sum();
    let mut say = std::io::stdout().lock();
    for (name, size) in &out.files {
        writeln!(say, "{size:>9}  {name}")?;
    }
    writeln!(say, "{total:>9}  in all, {} connections", story.conns.len())?;
    Ok(())
}
