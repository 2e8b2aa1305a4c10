//! Traffic that nobody sent: flows of a site of some thousand hosts over days, for benchmarks and for trying a case of a size. Deterministic: the
//! same shape gives the same flows on every machine.
//!
//! Hosts by Zipf's law inside and outside, by day and week more and less, mostly short, half of them to where the same host went lately; names,
//! failed attempts and scans among them. They come in the order in which they end, as from a meter.

use super::field as f;
use super::time::{DAY, SECOND};
use super::{EvidenceKey, Kind, Record, RecordId, SourceId, Time, Value};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hosts inside.
const INSIDE: usize = 20_000;
/// Hosts outside.
const OUTSIDE: usize = 300_000;
/// Recent conversations that new ones repeat.
const RECENT: usize = 4096;
/// What of a day's flows falls into each hour, in thousandths: a site where people work.
const HOURS: [u32; 24] = [12, 9, 8, 8, 9, 14, 26, 48, 70, 82, 86, 82, 70, 78, 84, 80, 72, 56, 36, 24, 18, 14, 10, 4];
/// Of a weekend's day beside a working day, hundredths.
const WEEKEND: u32 = 35;
/// Services: port, protocol, application, weight.
const SERVICES: [(u16, u8, &str, u32); 14] = [
    (443, 6, "tls", 420),
    (53, 17, "dns", 270),
    (80, 6, "http", 80),
    (443, 17, "quic", 70),
    (445, 6, "smb", 30),
    (123, 17, "ntp", 25),
    (22, 6, "ssh", 12),
    (25, 6, "smtp", 10),
    (88, 6, "krb", 18),
    (389, 6, "ldap", 16),
    (3389, 6, "rdp", 4),
    (8080, 6, "http", 14),
    (993, 6, "imap", 11),
    (161, 17, "snmp", 20),
];

/// Random numbers: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n.max(1))) >> 64) as u64
    }
    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
    fn chance(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }
}

/// Ranks by Zipf's law: rank r comes with a weight of 1 / r^s.
struct Zipf {
    sums: Vec<f64>,
    guide: Vec<u32>,
}

impl Zipf {
    fn new(n: usize, s: f64) -> Zipf {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = (1..=n)
            .map(|r| {
                sum += (r as f64).powf(-s);
                sum
            })
            .collect();
        sums.iter_mut().for_each(|x| *x /= sum);
        let guide = (0..=4096).map(|g| sums.partition_point(|x| *x < f64::from(g) / 4096.0) as u32).collect();
        Zipf { sums, guide }
    }
    fn rank(&self, random: &mut Random) -> usize {
        let x = random.unit();
        let at = (x * 4096.0) as usize;
        let (low, high) = (self.guide[at] as usize, (self.guide[at + 1] as usize + 1).min(self.sums.len()));
        (low + self.sums[low..high].partition_point(|sum| *sum < x)).min(self.sums.len() - 1)
    }
}

/// What is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Flows.
    pub flows: u64,
    /// Days that they spread over.
    pub days: u32,
    /// Midnight before the first.
    pub from: Time,
    /// Another seed, other flows.
    pub seed: u64,
}

impl Shape {
    /// So many flows in so many days from Monday, 7 September 2026 on.
    pub fn new(flows: u64, days: u32) -> Shape {
        Shape { flows, days: days.max(1), from: Time(20_703 * DAY), seed: 1 }
    }
}

/// Where an inside host of a rank is: the busiest are spread over the networks.
pub fn inside(rank: usize) -> IpAddr {
    let n = (rank * 7919 % INSIDE) as u32;
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | (n / 200) << 8 | (n % 200 + 10)))
}

/// Where an outside host of a rank is: every twelfth has an address of version 6.
pub fn outside(rank: usize) -> IpAddr {
    let mut random = Random(rank as u64 ^ 0x6f75_7473);
    let bits = random.bits();
    if rank % 12 == 5 {
        let net = [0x2001_0db8u32, 0x2a00_1450, 0x2606_4700, 0x2600_9000][(bits % 4) as usize];
        return IpAddr::V6(Ipv6Addr::from_bits(u128::from(net) << 96 | u128::from(bits >> 40) << 64 | u128::from(random.bits())));
    }
    // Providers: many hosts share a /16.
    let net = 0x1000_0000 + ((bits % 2000) as u32 * 0x0005_0000) % 0xc000_0000;
    IpAddr::V4(Ipv4Addr::from_bits(net & 0xffff_0000 | (random.bits() as u32 & 0xffff)))
}

/// The name of an outside host of a rank.
pub fn name(rank: usize) -> String {
    const WORDS: [&str; 16] = [
        "cdn", "mail", "static", "api", "login", "img", "news", "update", "cloud", "media", "shop", "data", "auth", "edge",
        "app", "files",
    ];
    let word = |n: usize| WORDS[n % 16];
    match rank % 3 {
        0 => format!("{}{}.{}.example", word(rank), rank / 64, word(rank / 16)),
        1 => format!("{}.{}-{}.test", word(rank / 3), word(rank / 48), rank / 5),
        _ => format!("www.{}{}.example", word(rank / 7), rank),
    }
}

/// One flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    end: i64,
    number: u64,
    start: i64,
    src: Host,
    dst: Host,
    sport: u16,
    service: u8,
    state: u8,
    named: bool,
    packets: (u32, u32),
    bytes: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    In(u32),
    Out(u32),
}

impl Host {
    fn addr(self) -> IpAddr {
        match self {
            Host::In(rank) => inside(rank as usize),
            Host::Out(rank) => outside(rank as usize),
        }
    }
}

/// States with the histories that go with them.
const STATES: [(&str, &str); 6] =
    [("SF", "ShADadfF"), ("S0", "S"), ("REJ", "Sr"), ("RSTO", "ShADadR"), ("SF", "Dd"), ("S0", "D")];

impl Flow {
    /// When it ends.
    pub fn end(&self) -> Time {
        Time(self.end)
    }
    /// As a record of the columns that every flow has, in order of field.
    pub fn record(&self, evidence: EvidenceKey, source: SourceId) -> Record {
        // Thirteen packets a flow at seven hundred bytes: where the first of them may stand.
        let id = RecordId { evidence, offset: 24 + self.number * 9100, ordinal: 0 };
        let mut r = Record::new(Kind::Flow, id, source, Time(self.start));
        r.end = Time(self.end);
        let (port, proto, app, _) = SERVICES[usize::from(self.service)];
        let (state, history) = STATES[usize::from(self.state)];
        let mut fields = Vec::with_capacity(14);
        fields.extend([
            (f::SRC_IP, Value::Addr(self.src.addr())),
            (f::DST_IP, Value::Addr(self.dst.addr())),
            (f::SRC_PORT, Value::Uint(u64::from(self.sport))),
            (f::DST_PORT, Value::Uint(u64::from(port))),
            (f::PROTO, Value::Uint(u64::from(proto))),
            (f::STATE, Value::text(state)),
            (f::HISTORY, Value::text(history)),
            (f::PACKETS_OUT, Value::Uint(u64::from(self.packets.0))),
            (f::PACKETS_IN, Value::Uint(u64::from(self.packets.1))),
            (f::BYTES_OUT, Value::Uint(self.bytes.0)),
            (f::BYTES_IN, Value::Uint(self.bytes.1)),
        ]);
        if self.packets.1 > 0 {
            fields.push((f::APP, Value::text(app)));
        }
        if let (true, Host::Out(rank)) = (self.named, self.dst) {
            fields.push((f::SNI, Value::from(name(rank as usize))));
        }
        fields.sort_by_key(|(id, _)| *id);
        r.fields = fields;
        r
    }
}

/// Makes the flows of a shape, in the order in which they end.
pub struct Flows {
    shape: Shape,
    random: Random,
    insiders: Zipf,
    outsiders: Zipf,
    recent: Vec<(Host, Host, u8)>,
    open: BinaryHeap<Reverse<Flow>>,
    made: u64,
    /// Flows of each hour of the whole time.
    hours: Vec<u64>,
    hour: usize,
    left: u64,
    scan: Option<(u32, u32, u8, u32)>,
}

impl Flows {
    /// The flows of a shape.
    pub fn new(shape: Shape) -> Flows {
        let weights: Vec<u64> =
            (0..shape.days).flat_map(|day| HOURS.map(|w| u64::from(w * if day % 7 >= 5 { WEEKEND } else { 100 }))).collect();
        let total: u64 = weights.iter().sum();
        let mut before = 0;
        let mut sum = 0;
        let hours = weights.iter().map(|w| {
            sum += w;
            let until = (u128::from(shape.flows) * u128::from(sum) / u128::from(total)) as u64;
            until - std::mem::replace(&mut before, until)
        });
        let hours: Vec<u64> = hours.collect();
        let left = hours[0];
        Flows {
            shape,
            random: Random(shape.seed),
            insiders: Zipf::new(INSIDE, 0.9),
            outsiders: Zipf::new(OUTSIDE, 1.0),
            recent: Vec::with_capacity(RECENT),
            open: BinaryHeap::new(),
            made: 0,
            hours,
            hour: 0,
            left,
            scan: None,
        }
    }
    /// The next start, if there are more: those of an hour in even steps, each moved a little.
    fn start(&mut self) -> Option<i64> {
        while self.left == 0 {
            self.hour += 1;
            self.left = *self.hours.get(self.hour)?;
        }
        let of = self.hours[self.hour];
        let step = 3600 * SECOND / of as i64;
        let at = (of - self.left) as i64 * step + self.random.below(step as u64) as i64;
        self.left -= 1;
        // Microseconds, as most captures have.
        Some((self.shape.from.0 + self.hour as i64 * 3600 * SECOND + at) / 1000 * 1000)
    }
    fn conversation(&mut self) -> (Host, Host, u8) {
        let random = &mut self.random;
        if self.recent.len() == RECENT && random.chance(550) {
            return self.recent[random.below(RECENT as u64) as usize];
        }
        let src = Host::In(self.insiders.rank(random) as u32);
        let service = {
            let mut n = random.below(1000) as u32;
            let of = |s: &(u16, u8, &str, u32)| {
                let here = n < s.3;
                n = n.saturating_sub(s.3);
                here
            };
            SERVICES.iter().position(of).unwrap_or(0) as u8
        };
        let local = matches!(SERVICES[usize::from(service)].2, "smb" | "krb" | "ldap" | "dns" | "snmp" | "rdp");
        let dst =
            if local { Host::In(self.insiders.rank(random) as u32 % 64) } else { Host::Out(self.outsiders.rank(random) as u32) };
        let new = (src, dst, service);
        if self.recent.len() < RECENT {
            self.recent.push(new);
        } else {
            let at = random.below(RECENT as u64) as usize;
            self.recent[at] = new;
        }
        new
    }
    fn make(&mut self, start: i64) -> Flow {
        let number = self.made;
        self.made += 1;
        if self.scan.is_none() && self.random.below(40_000) == 0 {
            let service = [4u8, 6, 10, 2][self.random.below(4) as usize];
            let first = self.random.below(INSIDE as u64) as u32;
            self.scan = Some((self.random.below(OUTSIDE as u64) as u32, first, service, 64 + self.random.below(2000) as u32));
        }
        if let Some((src, dst, service, left)) = self.scan
            && self.random.chance(300)
        {
            self.scan = (left > 1).then_some((src, (dst + 1) % INSIDE as u32, service, left - 1));
            let state = if self.random.chance(60) { 2 } else { 1 };
            let back = u32::from(state == 2);
            let took = i64::from(back) * self.random.below(40_000) as i64 * 1000;
            let sport = 40_000 + (number % 20_000) as u16;
            let bytes = (44, u64::from(back) * 40);
            let (src, dst) = (Host::Out(src), Host::In(dst));
            return Flow {
                end: start + took,
                number,
                start,
                src,
                dst,
                sport,
                service,
                state,
                named: false,
                packets: (1, back),
                bytes,
            };
        }
        let (src, dst, service) = self.conversation();
        let (port, proto, ..) = SERVICES[usize::from(service)];
        let random = &mut self.random;
        let sport = if port == 123 { 123 } else { 32_768 + random.below(28_000) as u16 };
        let udp = proto == 17;
        let state: u8 = match random.below(1000) {
            0..30 if udp => 5,
            0..40 => 1,
            40..60 if !udp => 2,
            60..120 if !udp => 3,
            _ if udp => 4,
            _ => 0,
        };
        // Most are over within a second; a few last long.
        let took = match state {
            1 | 5 => 0.0,
            2 => 0.02 * random.unit(),
            _ if udp && port != 443 => 0.001 + 0.08 * random.unit().powi(3),
            _ => 0.01 * (random.unit() * 13.0).exp().min(90_000.0),
        };
        let took = ((took * 1e6) as i64 * 1000).min(2 * DAY);
        let (packets, bytes) = match (state, udp && port != 443) {
            (1, _) => ((1 + random.below(3) as u32, 0), (0, 0)),
            (5, _) => ((1, 0), (60 + random.below(40), 0)),
            (2, _) => ((1, 1), (60, 40)),
            (_, true) => ((1, 1), (56 + random.below(40), 80 + random.below(200))),
            _ => {
                // One in three hundred carries a large file.
                let large = if random.below(300) == 0 { 1 + random.below(2000) as u32 } else { 1 };
                let inward = large * 3 + large * (random.unit() * 5.5).exp() as u32 * (1 + took.ilog10() / 3) / 3;
                let out = 4 + inward * (30 + random.below(50) as u32) / 100;
                let each = 200 + random.below(1200);
                ((out, inward), (u64::from(out) * 52 + 200 + random.below(1400), u64::from(inward) * each))
            }
        };
        let bytes = if state == 1 { (u64::from(packets.0) * 60, 0) } else { bytes };
        let named = matches!(port, 443 | 80) && packets.1 > 0 && matches!(dst, Host::Out(_)) && random.chance(420);
        Flow { end: start + took.max(0), number, start, src, dst, sport, service, state, named, packets, bytes }
    }
}

impl Iterator for Flows {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        // What ended before the next begins comes out; flows that are open for long wait.
        loop {
            let Some(start) = self.start() else { return self.open.pop().map(|Reverse(flow)| flow) };
            let flow = self.make(start);
            self.open.push(Reverse(flow));
            if self.open.peek().is_some_and(|Reverse(first)| first.end <= start) {
                return self.open.pop().map(|Reverse(flow)| flow);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shape_gives_the_same_flows_in_the_order_of_their_ends() {
        let all: Vec<Flow> = Flows::new(Shape::new(20_000, 7)).collect();
        assert_eq!(all.len(), 20_000);
        assert_eq!(all, Flows::new(Shape::new(20_000, 7)).collect::<Vec<_>>());
        let late = all.windows(2).filter(|w| w[0].end > w[1].end).count();
        assert!(late < all.len() / 100, "{late} out of order");
        let days: std::collections::BTreeSet<i32> = all.iter().map(|f| Time(f.start).day()).collect();
        assert_eq!(days.len(), 7);
        let named = all.iter().filter(|f| f.named).count();
        assert!((2_000..6_000).contains(&named), "{named} with names");
        assert!(all.iter().all(|f| f.record(EvidenceKey(1), SourceId(1)).fields.windows(2).all(|w| w[0].0 < w[1].0)));
    }
}
