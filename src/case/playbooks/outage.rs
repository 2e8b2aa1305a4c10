//! Why was a service down? From the failed attempts to what explains them: the firewall's rules, alerts, the server's own log, a surge, a refusal by
//! the host itself; with what each explains of the attempts.

use super::asker::{before, shown, within};
use super::{Answer, Asker, Cause, Playbook, Step, Subject, clock, times};
use crate::error::{Error, Result};
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, Time, Value, Window, field};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// The playbook.
pub static PLAYBOOK: Outage = Outage;

/// See the module.
pub struct Outage;

/// Width of a bin in which an outage is looked for.
const BIN: i64 = 300 * SECOND;
/// Share of attempts of a bin that fail in an outage, and fewest attempts.
const FAILS: f64 = 0.5;
const FEWEST: u64 = 5;
/// Bins without an attempt that an outage may bridge.
const GAP: i64 = 3;
/// Rows of a server's log whose clients are compared with those of the service.
const SAMPLE: usize = 2_000;
/// Clients that are kept.
const CLIENTS: usize = 100_000;
/// What a failed attempt looks like.
const FAILED: &str = "(state in {S0, REJ, RSTOS0, SH} or packets.in = 0)";

impl Playbook for Outage {
    fn name(&self) -> &str {
        "outage"
    }
    fn doc(&self) -> &str {
        "why was this service down?"
    }
    fn run(&self, subject: &Subject, asker: &Asker<'_>) -> Result<Answer> {
        let port = match subject.port {
            Some(port) => port,
            None => busiest(subject, asker)?,
        };
        let subject = Subject { port: Some(port), ..subject.clone() };
        let to = format!("kind = flow and dst.ip = {} and dst.port = {port}", subject.host);
        let window = found(&to, &subject, asker)?;
        Run { subject: &subject, port, to, window, asker }.answer()
    }
}

/// The port of a host at which most attempts failed.
fn busiest(subject: &Subject, asker: &Asker<'_>) -> Result<u16> {
    let text = format!("kind = flow and dst.ip = {} and {FAILED}", subject.host);
    let text = subject.window.map_or(text.clone(), |w| within(&text, &w));
    let groups = asker.groups(&text, "dst.port")?;
    let port = groups.iter().find_map(|(v, _)| u16::try_from(v.first()?.as_ref()?.as_uint()?).ok());
    port.ok_or_else(|| {
        Error::user(format!("no attempt to reach {} failed", subject.host)).hint("name the service: 10.8.40.20:80")
    })
}

/// The span of bins in which attempts failed, the one with most of them.
fn found(to: &str, subject: &Subject, asker: &Asker<'_>) -> Result<Window> {
    let text = subject.window.map_or(to.to_owned(), |w| within(to, &w));
    let mut bins: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    asker.visit(&text, &[field::STATE, field::PACKETS_IN], &mut |r| {
        let bin = bins.entry(r.time().0.div_euclid(BIN)).or_default();
        bin.0 += 1;
        let told = matches!(r.text(field::STATE), Some("S0" | "REJ" | "RSTOS0" | "SH"));
        bin.1 += u64::from(told || r.uint(field::PACKETS_IN) == Some(0));
        true
    })?;
    let mut spans: Vec<(i64, i64, u64)> = Vec::new();
    for (bin, (all, failed)) in bins {
        if all < FEWEST || (failed as f64) < FAILS * all as f64 {
            continue;
        }
        match spans.last_mut().filter(|s| bin - s.1 <= GAP) {
            Some(span) => (span.1, span.2) = (bin, span.2 + failed),
            None => spans.push((bin, bin, failed)),
        }
    }
    let worst = spans.into_iter().max_by_key(|s| (s.2, std::cmp::Reverse(s.0)));
    let Some((first, last, _)) = worst else {
        return Err(Error::user(format!(
            "{} was not down: in no five minutes did half of at least {FEWEST} attempts fail",
            subject.show()
        ))
        .hint("a wider window, or another service"));
    };
    // To the first and the last attempt that failed.
    let around = Window::new(Time(first.saturating_mul(BIN)), Time((last + 1).saturating_mul(BIN)));
    let ends = asker.ends(&within(&format!("{to} and {FAILED}"), &around))?;
    Ok(ends.map_or(around, |(a, b)| Window::new(a.time(), b.time().plus(1))))
}

struct Run<'a> {
    subject: &'a Subject,
    port: u16,
    to: String,
    window: Window,
    asker: &'a Asker<'a>,
}

impl Run<'_> {
    fn answer(&self) -> Result<Answer> {
        let (subject, w) = (self.subject, &self.window);
        let mut steps = Vec::new();
        let mut causes = Vec::new();
        let failed = self.asker.count(&within(&format!("{} and {FAILED}", self.to), w))?;
        let clients = self.clients(&within(&format!("{} and {FAILED}", self.to), w))?;
        steps.push(self.attempts(failed, clients.len())?);
        steps.push(self.kinds(failed, &mut causes)?);
        steps.push(self.denies(failed, &clients, &mut causes)?);
        steps.push(self.alerts(&mut causes)?);
        steps.push(self.server()?);
        steps.push(self.surge(&mut causes)?);
        steps.push(self.known()?);
        causes.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| b.evidence.cmp(&a.evidence)));
        let cause = match causes.first() {
            Some(first) => format!("Most likely cause: {}", first.text),
            None => "Nothing in the case explains it".to_owned(),
        };
        let conclusion = format!(
            "{} was down from {}: {failed} attempts of {} clients failed. {cause}.",
            subject.show(),
            times(w),
            clients.len()
        );
        let kinds = [Kind::Flow, Kind::Fw, Kind::Alert, Kind::Http, Kind::Log];
        Ok(Answer {
            playbook: "outage".into(),
            subject: subject.show(),
            window: *w,
            steps,
            causes,
            conclusion,
            coverage: self.asker.coverage(&kinds, w),
        })
    }
    fn clients(&self, text: &str) -> Result<HashSet<IpAddr>> {
        let mut out = HashSet::new();
        self.asker.visit(text, &[field::SRC_IP], &mut |r| {
            out.extend(r.addr(field::SRC_IP).map(|a| a.to_canonical()));
            out.len() < CLIENTS
        })?;
        Ok(out)
    }
    /// Attempts, and how many usually fail.
    fn attempts(&self, failed: u64, clients: usize) -> Result<Step> {
        let day = before(&self.window, DAY);
        let usual = self.asker.count(&within(&self.to, &day))?;
        let usual_failed = self.asker.count(&within(&format!("{} and {FAILED}", self.to), &day))?;
        let share = if usual == 0 {
            "none was tried".to_owned()
        } else {
            format!("{:.1} % of {usual} failed", 100.0 * usual_failed as f64 / usual as f64)
        };
        self.asker.step("how many attempts failed?", within(&self.to, &self.window), |n| {
            (format!("{failed} of {n} attempts failed, of {clients} clients; in the day before {share}"), failed > 0)
        })
    }
    /// Silence, refusals and what routers say of it.
    fn kinds(&self, failed: u64, causes: &mut Vec<Cause>) -> Result<Step> {
        let text = within(&format!("{} and {FAILED}", self.to), &self.window);
        let groups = self.asker.groups(&text, "state")?;
        let told: Vec<String> = groups.iter().map(|(v, n)| format!("{n} {}", meaning(&shown(v)))).collect();
        let refused: u64 = groups.iter().filter(|(v, _)| shown(v) == "REJ").map(|(_, n)| n).sum();
        if refused > 0 && failed > 0 {
            let query = within(&format!("{} and state = REJ", self.to), &self.window);
            let text = format!("the host itself refused {refused} connections: nothing listened on port {}", self.port);
            causes.push(Cause { text, evidence: refused, share: refused as f64 / failed as f64, query });
        }
        let says = if told.is_empty() { "none failed".to_owned() } else { told.join(", ") };
        Ok(Step { title: "how did they fail?".into(), says, query: text, rows: failed, tells: failed > 0 })
    }
    /// What the firewall dropped on its way there, by rule.
    fn denies(&self, failed: u64, clients: &HashSet<IpAddr>, causes: &mut Vec<Cause>) -> Result<Step> {
        let to = format!("(dst.ip = {0} or nat.dst.ip = {0})", self.subject.host);
        let text = format!("kind = fw and {to} and dst.port = {} and action in {{deny, drop, reset}}", self.port);
        let query = within(&text, &self.window);
        let groups = self.asker.groups(&query, "rule")?;
        let total: u64 = groups.iter().map(|(_, n)| n).sum();
        let usual = self.asker.count(&within(&text, &before(&self.window, DAY)))?;
        let mut told = Vec::new();
        for (values, n) in groups.iter().take(3) {
            let Some(rule) = values.first().and_then(Option::as_ref) else {
                told.push(format!("{n} by a rule that is not named"));
                continue;
            };
            let of_rule = within(&format!("{text} and rule = {}", crate::query::quote(&rule.to_string())), &self.window);
            let hit = self.clients(&of_rule)?;
            let same = hit.intersection(clients).count();
            let share = if clients.is_empty() { 0.0 } else { same as f64 / clients.len() as f64 };
            let ends = self.asker.ends(&of_rule)?;
            let span = ends.map(|(a, b)| format!(", from {} to {}", clock(a.time()), clock(b.time()))).unwrap_or_default();
            told.push(format!("{n} by rule {rule}{span}"));
            if failed > 0 && n * 10 >= failed {
                let text = format!(
                    "firewall rule {rule} denied {n} packets to it in that time, of {same} of the {} clients that failed",
                    clients.len()
                );
                causes.push(Cause { text, evidence: *n, share, query: of_rule });
            }
        }
        let says = match total {
            0 => "the firewall denied nothing to it".to_owned(),
            n => format!("{n} denied ({usual} in the day before): {}", told.join("; ")),
        };
        Ok(Step { title: "did the firewall deny them?".into(), says, query, rows: total, tells: total > 0 })
    }
    fn alerts(&self, causes: &mut Vec<Cause>) -> Result<Step> {
        let hour = Window::new(self.window.start.plus(-3600 * SECOND), self.window.end);
        let query = within(&format!("kind in {{alert, notice}} and dst.ip = {}", self.subject.host), &hour);
        let groups = self.asker.groups(&query, "signature, severity")?;
        let total: u64 = groups.iter().map(|(_, n)| n).sum();
        let one = |(v, n): &(Vec<Option<Value>>, u64)| format!("{n} × {}", shown(v.get(..1).unwrap_or_default()));
        let told: Vec<String> = groups.iter().take(3).map(one).collect();
        let high: u64 = groups
            .iter()
            .filter(|(v, _)| v.get(1).and_then(Option::as_ref).and_then(Value::as_uint).is_some_and(|s| s >= 3))
            .map(|(_, n)| n)
            .sum();
        if high > 0 {
            let text =
                format!("an attack: {high} alerts of high severity on it in that time and the hour before ({})", told.join("; "));
            causes.push(Cause { text, evidence: high, share: 0.2, query: query.clone() });
        }
        let says =
            if total == 0 { "none on it then or in the hour before".to_owned() } else { format!("{total}: {}", told.join("; ")) };
        Ok(Step { title: "what did the detectors say?".into(), says, query, rows: total, tells: total > 0 })
    }
    /// What the server's own log says: a log names its clients, and is the service's whose clients those are.
    fn server(&self) -> Result<Step> {
        let day = before(&self.window, DAY);
        let clients = self.clients(&within(&self.to, &day))?;
        let mut best: Option<(String, f64)> = None;
        let mut by_source: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut looked = 0;
        self.asker.visit(
            &within("kind in {http, log} and exists src.ip and not exists dst.ip", &day),
            &[field::SRC_IP],
            &mut |r| {
                if let Some(client) = r.addr(field::SRC_IP) {
                    let (all, same) = by_source.entry(self.asker.engine.source_name(r.source)).or_default();
                    *all += 1;
                    *same += usize::from(clients.contains(&client.to_canonical()));
                }
                looked += 1;
                looked < SAMPLE * 50
            },
        )?;
        for (name, (all, same)) in by_source {
            let share = same as f64 / all.max(1) as f64;
            if all >= 20 && share >= 0.5 && best.as_ref().is_none_or(|b| b.1 < share) {
                best = Some((name, share));
            }
        }
        let title = "what did the server itself log?".to_owned();
        let Some((name, _)) = best else {
            let says = "no log in the case is of this service: whether the server ran is unknown".to_owned();
            return Ok(Step { title, says, query: String::new(), rows: 0, tells: false });
        };
        let of = format!("source = {}", crate::query::quote(&name));
        let query = within(&of, &self.window);
        let rows = self.asker.count(&query)?;
        let length = self.window.length().max(1);
        let usual = self.asker.count(&within(&of, &before(&self.window, length)))?;
        let errors = self.asker.count(&within(&format!("{of} and http.status >= 500"), &before(&self.window, 600 * SECOND)))?;
        let says = match rows {
            0 => format!(
                "{name} is silent then ({usual} lines in as long a time before, {errors} errors in the last ten minutes): nothing reached the server, or it did not run"
            ),
            n => format!("{name} has {n} lines then ({usual} in as long a time before): the server ran"),
        };
        Ok(Step { title, says, query, rows, tells: rows == 0 })
    }
    /// Whether there was more to do than usual.
    fn surge(&self, causes: &mut Vec<Cause>) -> Result<Step> {
        let length = self.window.length().max(60 * SECOND);
        let now = self.asker.count(&within(&self.to, &self.window))?;
        let query = within(&self.to, &before(&self.window, length));
        let usual = self.asker.count(&query)?;
        let times = now as f64 / usual.max(1) as f64;
        let surge = times >= 3.0 && now >= 100;
        if surge {
            let text = format!("a surge: {now} attempts, {times:.1} times as many as in as long a time before");
            causes.push(Cause { text, evidence: now, share: 0.3, query: within(&self.to, &self.window) });
        }
        let says = format!("{now} attempts, {usual} in as long a time before{}", if surge { ": a surge" } else { ": no surge" });
        Ok(Step { title: "was there more traffic than usual?".into(), says, query, rows: usual, tells: surge })
    }
    fn known(&self) -> Result<Step> {
        let query = format!("kind in {{inventory, vuln}} and dst.ip = {}", self.subject.host);
        let fields =
            [field::DST_PORT, field::HOSTNAME, field::ROLE, field::MISSION, field::CRITICALITY, field::OWNER, field::CVE];
        let mut told: BTreeMap<&str, String> = BTreeMap::new();
        let (mut rows, mut cves) = (0, HashSet::new());
        self.asker.visit(&query, &fields, &mut |r| {
            rows += 1;
            for (name, id) in [
                ("name", field::HOSTNAME),
                ("role", field::ROLE),
                ("mission", field::MISSION),
                ("criticality", field::CRITICALITY),
                ("owner", field::OWNER),
            ] {
                if let Some(text) = r.text(id) {
                    told.entry(name).or_insert_with(|| text.to_owned());
                }
            }
            let of_port = r.uint(field::DST_PORT).is_none_or(|p| p == u64::from(self.port));
            cves.extend(r.all(field::CVE).filter(|_| of_port).map(Value::to_string));
            true
        })?;
        let mut says: Vec<String> = told.iter().map(|(name, text)| format!("{name} {text}")).collect();
        if !cves.is_empty() {
            says.push(format!("{} CVEs known of it", cves.len()));
        }
        let says = if says.is_empty() { "neither inventory nor scan knows it".to_owned() } else { says.join(", ") };
        Ok(Step { title: "what is it, and what is known to be wrong with it?".into(), says, query, rows, tells: false })
    }
}

/// What a state means for somebody who waited.
fn meaning(state: &str) -> String {
    match state {
        "S0" => "never answered (S0)".into(),
        "REJ" => "refused (REJ)".into(),
        "RSTOS0" => "given up without an answer (RSTOS0)".into(),
        "SH" => "ended without an answer (SH)".into(),
        other => other.to_owned(),
    }
}
