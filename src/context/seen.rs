//! What was seen of an outside address here before: the degree of undesirable traffic, 0 to 1.
//!
//! Alerts count 5 (critical, high), 2 (medium) or 0.5 (low), what a firewall refused 0.05 each and 5 at most, a notice of a scan 10, a verdict on the
//! address 20 (malicious), 5 (suspicious) or -20 (benign). What lies before the time asked for fades with a half-life of 30 days, what lies after it does not
//! count. With the number of one's own hosts that it met (`reach`) the degree is `1 - exp(-(sum + 2·ln(1 + reach)) / 10)`, 0 where the sum is not above 0.

use super::Given;
use crate::error::Result;
use crate::model::decision::{About, Judgement, What, standing};
use crate::model::filter::{Test, canonical};
use crate::model::time::DAY;
use crate::model::{Cancel, Filter, Kind, RecordId, Time, Value, field};
use crate::store::{Ask, Snapshot};
use std::collections::HashSet;
use std::net::IpAddr;

/// Most records that are looked at.
const MAX_RECORDS: usize = 20_000;
/// Most own hosts that are counted.
const MAX_REACH: usize = 100_000;
const HALF_LIFE: f64 = 30.0 * DAY as f64;

/// What was seen of an address.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// 0 to 1.
    pub degree: f64,
    /// Alerts, what a firewall refused, notices of scans.
    pub alerts: u64,
    /// Refused.
    pub denied: u64,
    /// Scans.
    pub scans: u64,
    /// One's own hosts that it met.
    pub reach: usize,
    /// The verdict on the address.
    pub verdict: Option<Judgement>,
    /// The newest alert, else the newest other record.
    pub evidence: Option<RecordId>,
}

impl Seen {
    /// Its ingredients in words.
    pub fn say(&self) -> String {
        let mut parts = Vec::new();
        let mut say = |n: u64, one: &str, many: &str| {
            if n > 0 {
                parts.push(format!("{n} {}", if n == 1 { one } else { many }));
            }
        };
        say(self.alerts, "alert", "alerts");
        say(self.denied, "time refused", "times refused");
        say(self.scans, "notice of a scan", "notices of scans");
        say(self.reach as u64, "own host", "own hosts");
        parts.extend(self.verdict.map(|v| format!("judged {}", v.name())));
        format!("{}: counts {:.2}", parts.join(", "), self.degree)
    }
}

/// What was seen of an address before a time; without a time at all.
pub fn of(snapshot: &Snapshot, given: &Given<'_>, addr: IpAddr, at: Option<Time>, cancel: &Cancel) -> Result<Seen> {
    let addr = canonical(addr);
    let kinds = [Kind::Alert, Kind::Fw, Kind::Notice].map(|k| Test::Is(Value::text(k.name())));
    let filter = Filter::Test(field::KIND, Test::In(kinds.to_vec())).and(Filter::is(field::HOST, Value::Addr(addr)));
    let fields = [field::SRC_IP, field::DST_IP, field::SEVERITY, field::ACTION, field::SIGNATURE];
    let ask = Ask { fields: Some(&fields), ..Ask::new(&filter) };
    let mut seen = Seen::default();
    let (mut alerts, mut denied, mut scans) = (0.0, 0.0f64, 0.0);
    let mut met: HashSet<IpAddr> = HashSet::new();
    let mut left = MAX_RECORDS;
    let mut newest: Option<(bool, Time, RecordId)> = None;
    snapshot.visit(&ask, &|| cancel.is_cancelled(), &mut |row| {
        let record = row.record();
        let time = record.time();
        let Some(fade) = fading(time, at) else { return true };
        let counted = match record.kind {
            Kind::Alert => {
                alerts += fade
                    * match record.uint(field::SEVERITY) {
                        Some(3..) => 5.0,
                        Some(2) | None => 2.0,
                        Some(1) => 0.5,
                        Some(_) => 0.0,
                    };
                seen.alerts += 1;
                true
            }
            Kind::Fw => {
                let refused =
                    record.text(field::ACTION).is_some_and(|a| matches!(a, "deny" | "drop" | "reject" | "reset" | "block"));
                if refused && record.addr(field::SRC_IP).map(canonical) == Some(addr) {
                    denied += 0.05 * fade;
                    seen.denied += 1;
                    true
                } else {
                    false
                }
            }
            _ => {
                let scan = record.text(field::SIGNATURE).is_some_and(|s| s.to_ascii_lowercase().contains("scan"));
                if scan && record.addr(field::SRC_IP).map(canonical) == Some(addr) {
                    scans = f64::max(scans, 10.0 * fade);
                    seen.scans += 1;
                    true
                } else {
                    false
                }
            }
        };
        if counted {
            let ends = [field::SRC_IP, field::DST_IP].into_iter().filter_map(|f| record.addr(f)).map(canonical);
            for end in ends.filter(|e| *e != addr && given.home.is_near(*e)) {
                if met.len() < MAX_REACH {
                    met.insert(end);
                }
            }
            let this = (record.kind == Kind::Alert, time, record.id);
            newest = newest.max(Some(this));
        }
        left -= 1;
        left > 0
    })?;
    cancel.check()?;
    seen.reach = met.len();
    seen.evidence = newest.map(|(.., id)| id);
    seen.verdict = verdict(given, addr);
    let judged = match seen.verdict {
        Some(Judgement::Malicious) => 20.0,
        Some(Judgement::Suspicious) => 5.0,
        Some(Judgement::Benign) => -20.0,
        None => 0.0,
    };
    let sum = alerts + denied.min(5.0) + scans + judged;
    if sum > 0.0 {
        seen.degree = 1.0 - (-(sum + 2.0 * (seen.reach as f64).ln_1p()) / 10.0).exp();
    }
    Ok(seen)
}

/// What is left of something seen at a time; none: it lies after the time asked for.
fn fading(time: Time, at: Option<Time>) -> Option<f64> {
    match at.map(|at| at.since(time)) {
        None => Some(1.0),
        Some(age) if age < 0 => None,
        Some(age) => Some((-(age as f64) / HALF_LIFE).exp2()),
    }
}

/// The newest verdict on an address as a value.
fn verdict(given: &Given<'_>, addr: IpAddr) -> Option<Judgement> {
    let of = |what: &What| match what {
        What::Verdict { about: About::Value(_, text), judgement, expires, .. }
            if expires.is_none_or(|t| t > given.now.0) && text.parse::<IpAddr>().is_ok_and(|a| canonical(a) == addr) =>
        {
            Some(*judgement)
        }
        _ => None,
    };
    standing(given.decisions).filter_map(|d| of(&d.what)).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::feeds::Feeds;
    use crate::context::sites::unasked;
    use crate::links::world::World;
    use crate::model::decision::{Decision, Who};

    #[test]
    fn alerts_and_refusals_before_the_time_count_and_fade() {
        let mut world = World::new();
        let eve = world.source("suricata-eve", "a");
        let ends = |src: &str, dst: &str| World::ends(src, dst);
        let day = 86_400_000;
        let mut alert = |at: i64, severity: u64, inside: &str| {
            let fields = [ends("203.0.113.9:4000", inside), vec![(field::SEVERITY, Value::Uint(severity))]].concat();
            world.record(eve, Kind::Alert, at, at, &fields);
        };
        alert(0, 3, "10.0.0.1:80");
        alert(0, 1, "10.0.0.2:80");
        alert(60 * day, 4, "10.0.0.3:80");
        let deny = [ends("203.0.113.9:4000", "10.0.0.1:22"), vec![(field::ACTION, Value::from("deny"))]].concat();
        world.record(eve, Kind::Fw, 0, 0, &deny);
        let snapshot = world.snapshot();
        let (feeds, home) = (Feeds::default(), unasked());
        let ask = |at: Option<i64>, decisions: &[Decision]| {
            let given = Given { feeds: &feeds, decisions, sets: &[], home: &home, now: Time(0) };
            of(&snapshot, &given, [203, 0, 113, 9].into(), at.map(|ms| Time(ms * 1_000_000)), &Cancel::default()).unwrap()
        };
        let now = ask(Some(0), &[]);
        assert_eq!((now.alerts, now.denied, now.reach), (2, 1, 2));
        assert!((now.degree - (1.0 - (-(5.55 + 2.0 * 3f64.ln()) / 10.0).exp())).abs() < 1e-9, "{now:?}");
        assert_eq!(now.say(), "2 alerts, 1 time refused, 2 own hosts: counts 0.54");
        let later = ask(Some(30 * day), &[]);
        assert!(later.degree < now.degree && later.alerts == 2, "{later:?}");
        assert_eq!(ask(None, &[]).alerts, 3);
        let judged = Decision {
            sequence: 1,
            at: 0,
            who: Who::default(),
            what: What::Verdict {
                about: About::Value("src.ip".into(), "203.0.113.9".into()),
                judgement: Judgement::Benign,
                reason: "ours".into(),
                expires: None,
            },
        };
        assert_eq!(ask(Some(0), &[judged]).degree, 0.0);
    }
}
