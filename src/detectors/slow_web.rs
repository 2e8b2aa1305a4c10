//! Web connections unlike those of people: many packets over a long time, and yet few bytes. Ordinary web traffic is quick, with many bytes in few
//! packets; a session that somebody types into, or a tunnel that is kept open, is the other way round.

use super::gather::service;
use super::maths::{median_of, sat};
use super::resume;
use super::rows::{Flow, Host, Id, Net, Piece, Word};
use super::shown::{bytes, counted, percent};
use super::{Detector, Limits, Setting, Watch};
use crate::error::Result;
use crate::model::finding::{EVIDENCE, Finding, span};
use crate::model::time::{DAY, SECOND};
use crate::model::{SourceId, Time, proto};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The detector.
pub static DETECTOR: SlowWeb = SlowWeb;

/// See the module.
pub struct SlowWeb;

const NAME: &str = "slow_web";
const SETTINGS: &[Setting] = &[
    Setting { name: "packets", default: 50.0, unit: "", doc: "Least packets of the server." },
    Setting { name: "duration", default: 300.0, unit: "s", doc: "Least duration." },
    Setting { name: "per_packet", default: 200.0, unit: "B", doc: "Most bytes a packet of the server." },
    Setting { name: "bytes", default: 2e6, unit: "B", doc: "Most application bytes of the server." },
    Setting {
        name: "flows",
        default: 10_000.0,
        unit: "",
        doc: "From so many web connections on it has to be beyond what 99 % of them are, too.",
    },
    Setting {
        name: "off_hours",
        default: 1.3,
        unit: "×",
        doc: "Factor of the score outside the hours in which one's own hosts work.",
    },
    Setting { name: "usual", default: 5.0, unit: "", doc: "A server that more clients than this use so is one finding." },
];
/// Ports of the web.
const PORTS: [u16; 4] = [80, 443, 8080, 8443];
/// Connections that are held.
const HELD: usize = 100_000;
/// Hours that people work, of a day.
const BLOCK: usize = 10;

impl Detector for SlowWeb {
    fn name(&self) -> &'static str {
        NAME
    }
    fn doc(&self) -> &'static str {
        "Web connections of at least 5 minutes and 50 packets of the server with at most 200 bytes each; where there are 10,000 web connections also below the first percentile of bytes a packet and above the 99th of durations. More suspicious outside working hours: those in which one's own hosts begin most flows, 10 h of UTC."
    }
    fn techniques(&self) -> &'static [&'static str] {
        &["T1071.001", "T1572"]
    }
    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }
    fn watch(&self, limits: &Limits) -> Box<dyn Watch> {
        let of = |name| limits.of(NAME, SETTINGS, name);
        Box::new(Slow {
            rules: Rules {
                packets: of("packets").max(1.0),
                duration: of("duration") * SECOND as f64,
                per_packet: of("per_packet"),
                bytes: of("bytes"),
                flows: of("flows"),
                off_hours: of("off_hours"),
                usual: of("usual").max(1.0) as usize,
            },
            found: Vec::new(),
            sizes: Histogram::new(|x| x as usize, |n| n as f64 + 1.0),
            durations: Histogram::new(fine, coarse),
            week: Week::default(),
            beyond: 0,
        })
    }
}

struct Rules {
    packets: f64,
    duration: f64,
    per_packet: f64,
    bytes: f64,
    flows: f64,
    off_hours: f64,
    usual: usize,
}

/// Counts of numbers, in bins: percentiles of any number of connections in little memory.
struct Histogram {
    bins: Vec<u64>,
    all: u64,
    bin: fn(f64) -> usize,
    /// Where a bin ends.
    end: fn(usize) -> f64,
}

/// Bins of durations: 32 to the doubling, from a microsecond on.
fn fine(nanos: f64) -> usize {
    ((nanos / 1e3).max(1.0).log2() * 32.0) as usize
}
fn coarse(bin: usize) -> f64 {
    ((bin + 1) as f64 / 32.0).exp2() * 1e3
}

impl Histogram {
    const BINS: usize = 4_096;
    fn new(bin: fn(f64) -> usize, end: fn(usize) -> f64) -> Histogram {
        Histogram { bins: vec![0; Histogram::BINS], all: 0, bin, end }
    }
    fn add(&mut self, x: f64) {
        let at = (self.bin)(x.max(0.0)).min(Histogram::BINS - 1);
        if let Some(n) = self.bins.get_mut(at) {
            *n += 1;
        }
        self.all += 1;
    }
    /// The end of the bin in which the number is below which a share lies.
    fn percentile(&self, share: f64) -> f64 {
        let wanted = ((share * self.all as f64).ceil() as u64).max(1);
        let mut sum = 0;
        let at = self.bins.iter().position(|n| {
            sum += n;
            sum >= wanted
        });
        (self.end)(at.unwrap_or(0))
    }
}

/// When one's own hosts begin flows: by day, and by hour of the day of UTC.
#[derive(Default, Serialize, Deserialize)]
struct Week {
    days: BTreeMap<i32, [u64; 24]>,
}

/// When people work, as far as flows show it.
struct Work {
    /// First hour of the block, UTC.
    from: usize,
    /// Days of the week, 0 Monday, on which they do.
    days: [bool; 7],
}

impl Week {
    fn add(&mut self, at: Time) {
        let hour = at.0.rem_euclid(DAY) / (3600 * SECOND);
        let day = self.days.entry(at.day()).or_insert([0; 24]);
        if let Some(n) = day.get_mut(hour as usize) {
            *n += 1;
        }
        // A case of very many days: the oldest say least of it.
        if self.days.len() > 1_000 {
            self.days.pop_first();
        }
    }
    /// The busiest block of hours, and the days that are not quiet. None: less than two days, or the night is as busy as the day.
    fn work(&self) -> Option<Work> {
        if self.days.len() < 2 {
            return None;
        }
        let hour = |h: usize| self.days.values().filter_map(|d| d.get(h % 24)).sum::<u64>();
        let block = |from: usize| (from..from + BLOCK).map(hour).sum::<u64>();
        let from = (0..24).max_by_key(|h| (block(*h), std::cmp::Reverse(*h)))?;
        let all: u64 = (0..24).map(hour).sum();
        let (inside, outside) = (block(from) as f64 / BLOCK as f64, (all - block(from)) as f64 / (24 - BLOCK) as f64);
        if inside < 1.5 * outside {
            return None;
        }
        let mut means = [(0u64, 0u64); 7];
        for (day, hours) in &self.days {
            if let Some(mean) = means.get_mut(weekday(*day)) {
                *mean = (mean.0 + hours.iter().sum::<u64>(), mean.1 + 1);
            }
        }
        let of = |m: &(u64, u64)| m.0 as f64 / m.1 as f64;
        let usual = median_of(&mut means.iter().filter(|m| m.1 > 0).map(of).collect::<Vec<_>>())?;
        // A day of the week that was never seen may be one of work.
        let days = means.map(|m| m.1 == 0 || of(&m) >= usual / 2.0);
        Some(Work { from, days })
    }
}

/// 0 Monday to 6 Sunday; 1970-01-01 was a Thursday.
fn weekday(day: i32) -> usize {
    (i64::from(day) + 3).rem_euclid(7) as usize
}

impl Work {
    fn is_off(&self, at: Time) -> bool {
        let hour = (at.0.rem_euclid(DAY) / (3600 * SECOND)) as usize;
        let within = (hour + 24 - self.from) % 24 < BLOCK;
        !within || !self.days.get(weekday(at.day())).copied().unwrap_or(true)
    }
    fn text(&self) -> String {
        format!("{:02}:00 to {:02}:00 UTC", self.from, (self.from + BLOCK) % 24)
    }
}

/// A connection like this.
#[derive(Serialize, Deserialize)]
struct One {
    src: Host,
    dst: Host,
    port: u16,
    start: Time,
    end: Time,
    packets: f64,
    per_packet: f64,
    received: u64,
    name: Word,
    id: Id,
    source: SourceId,
}

impl One {
    fn duration(&self) -> f64 {
        self.end.since(self.start).max(0) as f64
    }
    fn score(&self, rules: &Rules, off: bool) -> f64 {
        let parts = [1.0 - self.per_packet / 400.0, self.duration() / (3600 * SECOND) as f64, self.packets / 500.0];
        let mean = parts.into_iter().map(sat).sum::<f64>() / 3.0;
        sat(mean * if off { rules.off_hours } else { 1.0 })
    }
}

struct Slow {
    rules: Rules,
    found: Vec<One>,
    sizes: Histogram,
    durations: Histogram,
    week: Week,
    beyond: u64,
}

/// Whether a flow is one of the web, by what was spoken, else by its port.
fn is_web(flow: &Flow, net: &Net) -> bool {
    let app = net.text(flow.app);
    let spoken = app.split(',').any(|a| matches!(a, "http" | "http2" | "tls" | "ssl"));
    flow.proto == proto::TCP && flow.is_accepted() && (spoken || app.is_empty() && PORTS.contains(&flow.dst_port))
}

impl Watch for Slow {
    fn keep(&self) -> Result<Vec<u8>> {
        let of = |h: &Histogram| (h.bins.clone(), h.all);
        resume::bytes(&(&self.found, of(&self.sizes), of(&self.durations), &self.week, self.beyond))
    }
    fn resume(&mut self, bytes: &[u8]) -> Result<()> {
        let (sizes, durations);
        (self.found, sizes, durations, self.week, self.beyond) = resume::of(bytes)?;
        (self.sizes.bins, self.sizes.all) = sizes;
        (self.durations.bins, self.durations.all) = durations;
        Ok(())
    }
    fn piece(&mut self, piece: &Piece<'_>) {
        for flow in piece.flows {
            if piece.net.is_home(flow.src) {
                self.week.add(flow.start);
            }
            if flow.packets_in == 0 || !is_web(flow, piece.net) {
                continue;
            }
            let per_packet = flow.bytes_in as f64 / f64::from(flow.packets_in);
            self.sizes.add(per_packet);
            self.durations.add(flow.duration() as f64);
            let rules = &self.rules;
            let is_slow = f64::from(flow.packets_in) >= rules.packets
                && flow.duration() as f64 >= rules.duration
                && per_packet <= rules.per_packet
                && flow.payload_in as f64 <= rules.bytes;
            // From outside to outside it is not of one's own.
            if !is_slow || !(piece.net.is_home(flow.src) || piece.net.is_home(flow.dst)) {
                continue;
            }
            if self.found.len() >= HELD {
                self.beyond += 1;
                continue;
            }
            self.found.push(One {
                src: flow.src,
                dst: flow.dst,
                port: flow.dst_port,
                start: flow.start,
                end: flow.end,
                packets: f64::from(flow.packets_in),
                per_packet,
                received: flow.bytes_in,
                name: flow.name,
                id: flow.id,
                source: flow.source,
            });
        }
    }
    fn end(mut self: Box<Self>, net: &Net) -> Vec<Finding> {
        let compared = self.sizes.all as f64 >= self.rules.flows;
        let (small, long) = (self.sizes.percentile(0.01), self.durations.percentile(0.99));
        let mut found = std::mem::take(&mut self.found);
        if compared {
            found.retain(|one| one.per_packet < small && one.duration() > long);
        }
        let mut by_server: BTreeMap<(Host, u16), BTreeMap<Host, Vec<One>>> = BTreeMap::new();
        for one in found {
            by_server.entry((one.dst, one.port)).or_default().entry(one.src).or_default().push(one);
        }
        let site = Site { compared, small, long, work: self.week.work() };
        let mut out = Vec::new();
        for clients in by_server.into_values() {
            let number = clients.len();
            if number > self.rules.usual {
                let all: Vec<One> = clients.into_values().flatten().collect();
                out.extend(self.finding(&all, number, &site, net));
            } else {
                out.extend(clients.into_values().filter_map(|list| self.finding(&list, 1, &site, net)));
            }
        }
        out
    }
}

/// What the connections of the site are like.
struct Site {
    compared: bool,
    small: f64,
    long: f64,
    work: Option<Work>,
}

impl Slow {
    fn finding(&self, list: &[One], clients: usize, site: &Site, net: &Net) -> Option<Finding> {
        let rules = &self.rules;
        let off = |one: &One| site.work.as_ref().is_some_and(|w| w.is_off(one.start));
        let score = |one: &One| one.score(rules, off(one));
        let best = list.iter().max_by(|a, b| score(a).total_cmp(&score(b)).then((b.start, b.src).cmp(&(a.start, a.src))))?;
        let (src, dst) = (net.addr(best.src), net.addr(best.dst));
        let own_client = net.is_home(best.src);
        let (host, peer) = if own_client && clients == 1 { (src, dst) } else { (dst, src) };
        let name = net.text(best.name);
        let called = if name.is_empty() { String::new() } else { format!(" ({name})") };
        let at = service(best.port, proto::TCP);
        let who = if clients > 1 { counted(clients, "client") } else { src.to_string() };
        let minutes = best.duration() / 60e9;
        let mut title = format!(
            "{who} and {dst}{called} {at}: {:.0} packets in {minutes:.0} min with {:.0} bytes each",
            best.packets, best.per_packet
        );
        if site.compared {
            let (small, long) = (site.small, site.long / 60e9);
            title
                .push_str(&format!("; of the web connections here 99 % have at least {small:.0} and last at most {long:.1} min"));
        }
        let window = span(list.iter().map(|o| o.start).min()?, list.iter().map(|o| o.end).max()?);
        let mut f = Finding::new(NAME, host, window, title);
        f.peer = (clients == 1).then_some(peer);
        f.service = Some((proto::TCP, best.port));
        f.name = (!name.is_empty()).then(|| name.to_owned());
        let value = score(best);
        // What many use so is a service that works like this.
        f.severity = match (clients > 1, value >= 0.7) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 2,
        };
        f.score = value as f32;
        let compared = |n: f64, unit: f64| if site.compared { format!(", {:.1} of the site", n / unit) } else { String::new() };
        f.number("packets of the server", best.packets, rules.packets);
        f.number("duration, min", format!("{minutes:.1}"), format!("{:.1}{}", rules.duration / 60e9, compared(site.long, 60e9)));
        let least = format!("<= {}{}", rules.per_packet, compared(site.small, 1.0));
        f.number("bytes a packet of the server", format!("{:.1}", best.per_packet), least);
        f.number("bytes received", bytes(best.received), bytes(rules.bytes as u64));
        f.number("connections like this", list.len(), "");
        match &site.work {
            Some(work) => {
                let outside = list.iter().filter(|o| off(o)).count();
                f.number(
                    &format!("outside {}", work.text()),
                    percent(outside as f64 / list.len() as f64),
                    format!("× {}", rules.off_hours),
                );
                f.caveats
                    .push(format!("hours of work are the busiest {BLOCK} h of the flows ({}), not those of a site", work.text()));
            }
            None => f.caveats.push("flows show no hours of work: the time of day does not count".into()),
        }
        if !site.compared {
            f.caveats.push(format!("only {} web connections: too few to say what is usual here", self.sizes.all));
        }
        if self.beyond > 0 {
            f.caveats.push(format!("{} more connections like this are not looked at", self.beyond));
        }
        let client = if clients == 1 { format!("src.ip = {src} and ") } else { String::new() };
        let (least, minimum) = (rules.packets, rules.duration / SECOND as f64);
        f.asks(&format!(
            "kind = flow and {client}dst.ip = {dst} and dst.port = {} and packets.in >= {least:.0} and duration >= {minimum:.0}s",
            best.port
        ));
        f.rows = list.len() as u64;
        f.rests_on(net.record(best.id));
        list.iter().take(EVIDENCE - 1).for_each(|o| f.rests_on(net.record(o.id)));
        f.sources = list.iter().map(|o| o.source).collect::<BTreeSet<_>>().into_iter().collect();
        f.benign = vec![
            "chat, push messages, dashboards and remote desktops over WebSocket or long polling".into(),
            "a keep-alive connection of a proxy or load balancer".into(),
            "audio, video or games at low rate".into(),
        ];
        Some(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::trial::{FRIDAY, Trial};

    fn slow(trial: &mut Trial, at: f64, src: &str, dst: &str, minutes: i64, packets: u32, per_packet: u64) {
        let flow = trial.flow(at, src, dst, 443);
        flow.end = flow.start.plus(minutes * 60 * SECOND);
        (flow.packets_in, flow.bytes_in) = (packets, u64::from(packets) * per_packet);
        flow.payload_in = flow.bytes_in - u64::from(packets) * 40;
    }

    #[test]
    fn a_typed_session_is_found_and_ordinary_web_is_not() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        slow(&mut trial, begin, "10.0.0.5", "192.0.2.7", 60, 500, 80);
        slow(&mut trial, begin, "10.0.0.6", "192.0.2.8", 60, 500, 900);
        slow(&mut trial, begin, "10.0.0.6", "192.0.2.9", 4, 500, 80);
        slow(&mut trial, begin, "10.0.0.6", "192.0.2.10", 60, 49, 80);
        slow(&mut trial, begin, "10.0.0.6", "192.0.2.11", 60, 20_000, 150);
        let ssh = trial.word("ssh");
        slow(&mut trial, begin, "10.0.0.6", "192.0.2.12", 60, 500, 80);
        trial.flows.last_mut().unwrap().app = ssh;
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1, "{found:#?}");
        let f = &found[0];
        assert_eq!((f.host.to_string().as_str(), f.severity, f.rows), ("10.0.0.5", 3, 1));
        // (1 - 80/400 + 1 + 1) / 3
        assert!((f.score - 0.933_33).abs() < 1e-4, "{}", f.score);
        assert!(f.caveats.iter().any(|c| c.contains("too few")), "{:?}", f.caveats);
        let question = crate::query::parse::parse(&f.query);
        assert!(question.is_ok(), "{} {question:?}", f.query);
    }

    #[test]
    fn with_many_connections_it_has_to_be_unusual_here() {
        let mut trial = Trial::new();
        let begin = FRIDAY as f64;
        for n in 0..10_000 {
            let flow = trial.flow(begin + f64::from(n), "10.0.0.9", "192.0.2.80", 443);
            (flow.bytes_in, flow.packets_in) = (9_000, 10);
            flow.end = flow.start.plus(SECOND * i64::from(n % 60));
        }
        slow(&mut trial, begin + 50.0, "10.0.0.5", "192.0.2.7", 40, 300, 90);
        let found = trial.found(&DETECTOR);
        assert_eq!(found.len(), 1);
        assert!(found[0].title.contains("99 % have at least 901 and last at most 1.0 min"), "{}", found[0].title);
        // Where a tenth of all are like this it is how this site works.
        for n in 0..1_000 {
            slow(&mut trial, begin + f64::from(n), &format!("10.0.1.{}", n % 200), &format!("192.0.3.{}", n % 200), 40, 300, 90);
        }
        assert!(trial.found(&DETECTOR).is_empty());
    }

    #[test]
    fn the_night_counts_more_and_what_many_use_is_one() {
        let mut trial = Trial::new();
        // Two weeks of work from 07:00 to 17:00, none on weekends (days 1, 2, 8, 9 after a Friday).
        for day in (0..14).filter(|d| ![1, 2, 8, 9].contains(d)) {
            for n in 0..100 {
                trial.flow(
                    FRIDAY as f64 + f64::from(day) * 86_400.0 - 3_600.0 + f64::from(n) * 360.0,
                    "10.0.0.9",
                    "192.0.2.80",
                    443,
                );
            }
        }
        trial.flow(FRIDAY as f64 + 86_400.0, "10.0.0.9", "192.0.2.80", 443);
        slow(&mut trial, FRIDAY as f64, "10.0.0.5", "192.0.2.7", 12, 100, 200);
        slow(&mut trial, FRIDAY as f64 + 12.0 * 3600.0, "10.0.0.6", "192.0.2.8", 12, 100, 200);
        slow(&mut trial, FRIDAY as f64 + 86_400.0, "10.0.0.7", "192.0.2.9", 12, 100, 200);
        for n in 0..8 {
            slow(&mut trial, FRIDAY as f64 + 60.0, &format!("10.0.2.{n}"), "192.0.2.55", 12, 100, 200);
        }
        let found = trial.found(&DETECTOR);
        let got: Vec<(String, u8, f32)> =
            found.iter().map(|f| (f.host.to_string(), f.severity, (f.score * 1e3).round() / 1e3)).collect();
        // (0.5 + 0.2 + 0.2) / 3, and 1.3 times that by night and on the day off.
        let want = [("10.0.0.5", 2, 0.3), ("192.0.2.55", 1, 0.3), ("10.0.0.6", 2, 0.39), ("10.0.0.7", 2, 0.39)];
        assert_eq!(got, want.map(|(h, s, x)| (h.to_owned(), s, x)));
        assert!(found[0].caveats[0].contains("07:00 to 17:00 UTC"), "{:?}", found[0].caveats);
    }

    #[test]
    fn percentiles_of_bins_are_near_those_of_numbers() {
        let mut durations = Histogram::new(fine, coarse);
        (1..=1000).for_each(|n| durations.add(f64::from(n) * 1e9));
        let at = durations.percentile(0.99) / 1e9;
        assert!((at / 990.0 - 1.0).abs() < 0.025, "{at}");
        durations.add(f64::MAX);
        durations.add(-1.0);
        assert_eq!(weekday(0), 3);
    }
}
