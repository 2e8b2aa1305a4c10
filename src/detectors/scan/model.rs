//! Whether a series of attempts is a search: threshold random walk (Jung, Paxson, Berger, Balakrishnan, IEEE S&P 2004) and Bayesian logistic regression
//! (Gates and others, 2006), with the constants of SiLK's rwscan.

use crate::model::proto;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The chance that a first contact succeeds, of whoever does not search and of whoever does.
const BENIGN: f64 = 0.8;
const SEARCH: f64 = 0.2;
/// False alarms and detections that are wanted.
const FALSE_ALARM: f64 = 0.01;
const DETECTION: f64 = 0.99;
/// Contacts after which the walk gives up.
const GIVE_UP: u64 = 100_000;
/// Attempts from which on the regression is asked.
pub const LEAST: u64 = 32;

/// What a walk says so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Nothing yet.
    #[default]
    Open,
    /// It searches.
    Search,
    /// It does not.
    Benign,
}

/// The walk over first contacts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walk {
    hits: u64,
    misses: u64,
    seen: u64,
    /// The greatest net number of misses since whoever walks was last taken for benign.
    pub greatest: u64,
}

impl Walk {
    /// Takes the first contact with a destination: whether somebody was there.
    pub fn step(&mut self, hit: bool) -> Verdict {
        self.seen += 1;
        if self.seen > GIVE_UP {
            return Verdict::Open;
        }
        *(if hit { &mut self.hits } else { &mut self.misses }) += 1;
        self.greatest = self.greatest.max(self.misses.saturating_sub(self.hits));
        let verdict = self.verdict();
        // Whoever did something harmless first is looked at anew: a search may follow.
        if verdict == Verdict::Benign {
            (self.hits, self.misses) = (0, 0);
        }
        verdict
    }
    /// How much likelier the contacts are for whoever searches.
    pub fn likelihood(&self) -> f64 {
        let power = |base: f64, n: u64| base.powi(i32::try_from(n).unwrap_or(i32::MAX));
        // As one power of the difference: both alone leave the range of numbers.
        let (hit, miss) = (SEARCH / BENIGN, (1.0 - SEARCH) / (1.0 - BENIGN));
        let both = self.hits.min(self.misses);
        power(hit * miss, both) * power(hit, self.hits - both) * power(miss, self.misses - both)
    }
    fn verdict(&self) -> Verdict {
        let likelihood = self.likelihood();
        if likelihood > DETECTION / FALSE_ALARM {
            Verdict::Search
        } else if likelihood < (1.0 - DETECTION) / (1.0 - FALSE_ALARM) {
            Verdict::Benign
        } else {
            Verdict::Open
        }
    }
}

/// An attempt, as the regression sees it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// To whom.
    pub dst: IpAddr,
    /// From which port; of ICMP the type.
    pub src_port: u16,
    /// To which port; of ICMP the code.
    pub dst_port: u16,
    /// The originator never acknowledged anything.
    pub no_ack: bool,
    /// Packets of the originator: less than 3.
    pub small: bool,
    /// Bytes per packet of the originator: more than 60.
    pub payload: bool,
    /// An answer to nothing.
    pub backscatter: bool,
}

/// The probability that attempts of one protocol are a search. `None`: too few, or a protocol that has no model.
pub fn regression(protocol: u8, attempts: &[Attempt]) -> Option<f64> {
    if (attempts.len() as u64) < LEAST {
        return None;
    }
    let y = match protocol {
        proto::TCP => tcp(attempts),
        proto::UDP => udp(attempts),
        proto::ICMP | proto::ICMP6 => icmp(attempts),
        _ => return None,
    };
    Some(logistic(y))
}

fn logistic(y: f64) -> f64 {
    1.0 / (1.0 + (-y).exp())
}

fn share(attempts: &[Attempt], of: impl Fn(&Attempt) -> bool) -> f64 {
    attempts.iter().filter(|a| of(a)).count() as f64 / attempts.len().max(1) as f64
}

fn destinations(attempts: &[Attempt]) -> BTreeSet<IpAddr> {
    attempts.iter().map(|a| a.dst).collect()
}

fn source_ports(attempts: &[Attempt]) -> f64 {
    attempts.iter().map(|a| a.src_port).collect::<BTreeSet<_>>().len() as f64
}

fn tcp(attempts: &[Attempt]) -> f64 {
    let n = attempts.len().max(1) as f64;
    let hosts = destinations(attempts).len().max(1) as f64;
    tcp_of(
        share(attempts, |a| a.no_ack),
        share(attempts, |a| a.small),
        source_ports(attempts) / hosts,
        share(attempts, |a| a.payload),
        hosts / n,
        share(attempts, |a| a.backscatter),
    )
}

fn tcp_of(no_ack: f64, small: f64, ports_per_host: f64, payload: f64, hosts: f64, backscatter: f64) -> f64 {
    -2.838353611 + 3.309023427 * no_ack - 0.157047027 * small - 0.002319304 * ports_per_host - 1.047413699 * payload
        + 3.163018548 * hosts
        - 3.260270447 * backscatter
}

fn udp(attempts: &[Attempt]) -> f64 {
    let n = attempts.len().max(1) as f64;
    let hosts = destinations(attempts);
    let mut low: BTreeMap<IpAddr, BTreeSet<u16>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|a| a.dst_port < 1024) {
        low.entry(attempt.dst).or_default().insert(attempt.dst_port);
    }
    let most_low = low.values().map(BTreeSet::len).max().unwrap_or(0) as f64;
    let longest_low = low.values().map(|ports| run(ports.iter().map(|p| u128::from(*p)))).max().unwrap_or(0) as f64;
    let ports = source_ports(attempts);
    -1.887907966
        + 0.543683505 * share(attempts, |a| a.small)
        + 0.025150994 * Blocks::of(&hosts).longest_run as f64
        + 0.529094801 * most_low
        - 1.244182168 * longest_low
        - 0.001841634 * ports / hosts.len().max(1) as f64
        - 0.224548546 * share(attempts, |a| a.payload)
        - 0.697943155 * ports / n
}

fn icmp(attempts: &[Attempt]) -> f64 {
    let hosts = destinations(attempts);
    let blocks = Blocks::of(&hosts);
    // ICMP for IPv6 counts its echo from 128 on.
    let echo = share(attempts, |a| matches!(a.src_port, 8 | 13 | 15 | 17 | 128) && a.dst_port == 0);
    -4.307079 - 0.08245704 * blocks.run_of_blocks as f64 - 0.02800612 * blocks.longest_run as f64
        + 0.04877852 * blocks.most_hosts as f64
        - 0.000006398878 * hosts.len() as f64
        + 4.016751 * echo
}

/// How addresses lie in blocks of 256.
struct Blocks {
    /// Most neighbours in a row within a block.
    longest_run: usize,
    /// Most addresses of a block.
    most_hosts: usize,
    /// Most blocks in a row.
    run_of_blocks: usize,
}

impl Blocks {
    fn of(hosts: &BTreeSet<IpAddr>) -> Blocks {
        let mut blocks: BTreeMap<u128, Vec<u128>> = BTreeMap::new();
        for host in hosts {
            let number = match host {
                IpAddr::V4(a) => u128::from(u32::from(*a)),
                IpAddr::V6(a) => u128::from(*a),
            };
            blocks.entry(number >> 8).or_default().push(number);
        }
        Blocks {
            longest_run: blocks.values().map(|b| run(b.iter().copied())).max().unwrap_or(0),
            most_hosts: blocks.values().map(Vec::len).max().unwrap_or(0),
            run_of_blocks: run(blocks.keys().copied()),
        }
    }
}

/// The longest run of ascending numbers that follow each other.
fn run(numbers: impl Iterator<Item = u128>) -> usize {
    let (mut longest, mut now, mut before) = (0, 0, None);
    for number in numbers {
        now = if before.is_some_and(|b: u128| b.checked_add(1) == Some(number)) { now + 1 } else { 1 };
        before = Some(number);
        longest = longest.max(now);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(contacts: &[bool]) -> Vec<Verdict> {
        let mut walk = Walk::default();
        contacts.iter().map(|hit| walk.step(*hit)).collect()
    }

    #[test]
    fn four_misses_more_than_hits_are_a_search_and_four_hits_are_none() {
        use Verdict::{Benign, Open, Search};
        assert_eq!(verdicts(&[false; 4]), [Open, Open, Open, Search]);
        assert_eq!(verdicts(&[true; 4]), [Open, Open, Open, Benign]);
        assert_eq!(verdicts(&[false, true, false, true, false, false, false, false]).last(), Some(&Search));
        // Harmless work does not hide what follows.
        assert_eq!(
            verdicts(&[true, true, true, true, true, false, false, false, false]),
            [Open, Open, Open, Benign, Open, Open, Open, Open, Open]
        );
        assert_eq!(verdicts(&[true, true, true, true, false, false, false, false]).last(), Some(&Search));
        let walk = Walk { hits: 1, misses: 3, ..Walk::default() };
        assert!((walk.likelihood() - 0.25 * 64.0).abs() < 1e-9);
        assert!(Walk { hits: 60_000, misses: 60_000, ..Walk::default() }.likelihood().is_finite());
        assert_eq!(verdicts(&vec![false; 100_001]).last(), Some(&Open));
    }

    fn attempt(host: u32, src_port: u16, dst_port: u16) -> Attempt {
        let dst = IpAddr::from(std::net::Ipv4Addr::from(0x0a08_1e00 + host));
        Attempt { dst, src_port, dst_port, no_ack: true, small: true, payload: false, backscatter: false }
    }

    #[test]
    fn the_regression_has_its_vectors() {
        let y = tcp_of(1.0, 1.0, 1.0, 0.0, 1.0, 0.0);
        assert!((y - 3.4743).abs() < 1e-4 && (logistic(y) - 0.9699).abs() < 1e-4);
        let sweep: Vec<Attempt> = (1..=40).map(|n| attempt(n, 40_000 + n as u16, 445)).collect();
        assert!((regression(proto::TCP, &sweep).unwrap() - 0.9699).abs() < 1e-4);
        assert_eq!(regression(proto::TCP, &sweep[..31]), None);
        // Web pages: acknowledged, with payload.
        let pages: Vec<Attempt> = sweep.iter().map(|a| Attempt { no_ack: false, small: false, payload: true, ..*a }).collect();
        assert!(regression(proto::TCP, &pages).unwrap() < 0.5);
        let back: Vec<Attempt> = sweep.iter().map(|a| Attempt { backscatter: true, ..*a }).collect();
        assert!(regression(proto::TCP, &back).unwrap() < 0.6);
        // UDP: 200 neighbours, one low port each, one source port: -1.8879 + 0.5437 + 5.0302 + 0.5291 - 1.2442 - 0.0000 - 0.0035
        let udp: Vec<Attempt> = (1..=200).map(|n| attempt(n, 40_000, 161)).collect();
        let y = -1.887907966 + 0.543683505 + 0.025150994 * 200.0 + 0.529094801
            - 1.244182168
            - 0.001841634 / 200.0
            - 0.697943155 / 200.0;
        assert!((regression(proto::UDP, &udp).unwrap() - logistic(y)).abs() < 1e-9);
        // Echo to 100 hosts of one block.
        let pings: Vec<Attempt> = (1..=100).map(|n| attempt(n * 2, 8, 0)).collect();
        let y = -4.307079 - 0.08245704 - 0.02800612 + 4.877852 - 0.0006398878 + 4.016751;
        assert!((regression(proto::ICMP, &pings).unwrap() - logistic(y)).abs() < 1e-9);
        assert_eq!(regression(proto::SCTP, &pings), None);
    }

    #[test]
    fn runs_of_addresses() {
        let hosts: BTreeSet<IpAddr> = [254u32, 255, 256, 257, 258, 300, 512].map(|n| attempt(n, 0, 0).dst).into();
        let blocks = Blocks::of(&hosts);
        assert_eq!((blocks.longest_run, blocks.most_hosts, blocks.run_of_blocks), (3, 4, 3));
        assert_eq!(run([u128::MAX].into_iter()), 1);
    }
}
