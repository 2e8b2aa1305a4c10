//! Did an SQL injection get anywhere? Whether the host that was attacked has or uses a database at all, what was answered to the attacker, what the
//! database behind was asked for, and whom the host called afterwards. Flows alone cannot confirm an injection: the answer says what would.

use super::asker::{before, shown, within};
use super::{Answer, Asker, Playbook, Step, Subject, clock, times};
use crate::error::{Error, Result};
use crate::model::time::{DAY, SECOND};
use crate::model::{Kind, Value, Window, field};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The playbook.
pub static PLAYBOOK: Sqli = Sqli;

/// See the module.
pub struct Sqli;

/// Ports of databases (IANA) and how they are called by who recognises them.
const DATABASE: &str = "(dst.port in {1433, 1521, 3050, 3306, 5432, 6379, 9042, 27017, 50000} or app in {mysql, postgresql, postgres, tds, mssql, oracle, mongodb, redis})";
/// How far back a database service counts.
const HISTORY: i64 = 30 * DAY;
/// How long after it outgoing connections are looked at.
const AFTER: i64 = 4 * 3600 * SECOND;
/// Requests and peers that are looked at.
const MOST: usize = 100_000;
/// An answer so many times the usual is a large one.
const LARGE: f64 = 3.0;

impl Playbook for Sqli {
    fn name(&self) -> &str {
        "sqli"
    }
    fn doc(&self) -> &str {
        "did this SQL injection get anywhere?"
    }
    fn run(&self, subject: &Subject, asker: &Asker<'_>) -> Result<Answer> {
        let alerts =
            format!("kind in {{alert, notice}} and dst.ip = {} and (signature ~ /sql/ or category ~ /sql/)", subject.host);
        let text = subject.window.map_or(alerts.clone(), |w| within(&alerts, &w));
        let Some((first, last)) = asker.ends(&text)? else {
            return Err(
                Error::user(format!("no alert on {} speaks of SQL", subject.host)).hint("run it on the host that was attacked")
            );
        };
        let window = Window::new(first.time(), last.until().plus(1));
        let port = subject.port.or_else(|| first.uint(field::DST_PORT).and_then(|p| u16::try_from(p).ok()));
        Run { subject: &Subject { port, ..subject.clone() }, alerts, window, asker }.answer()
    }
}

struct Run<'a> {
    subject: &'a Subject,
    alerts: String,
    window: Window,
    asker: &'a Asker<'a>,
}

/// What was answered to requests.
#[derive(Default)]
struct Answers {
    requests: u64,
    union: u64,
    errors: u64,
    sizes: Vec<u64>,
}

impl Run<'_> {
    fn answer(&self) -> Result<Answer> {
        let mut steps = vec![self.attack()?];
        let (own, behind) = (self.own()?, self.behind()?);
        let has = own.rows > 0 || behind.1 > 0;
        let has_own = own.rows > 0;
        steps.push(own);
        steps.push(behind.0);
        steps.push(self.stated()?);
        let (step, large) = self.answered()?;
        steps.push(step);
        steps.push(self.asked()?);
        let after = self.afterwards()?;
        let called = after.rows;
        steps.push(after);
        if !has {
            steps.push(self.listens()?);
        }
        let host = self.subject.show();
        let conclusion = if has {
            let where_ = if has_own {
                format!("{} serves a database itself", self.subject.host)
            } else {
                format!("{} uses a database", self.subject.host)
            };
            let got = match (large, called) {
                (true, 0) => {
                    "answers to the attacker were larger than usual: data may have been taken; it called nobody new afterwards"
                }
                (true, _) => {
                    "answers to the attacker were larger than usual, and it called somebody new afterwards: take it for successful until its logs say otherwise"
                }
                (false, 0) => {
                    "no answer was larger than usual and it called nobody new afterwards: nothing shows that it succeeded"
                }
                (false, _) => "no answer was larger than usual, but it called somebody new afterwards: look at that first",
            };
            format!(
                "SQL injection on {host} from {}: {where_}; {got}. Flow cannot confirm it: read the requests, the host's configuration and the database's log.",
                times(&self.window)
            )
        } else {
            format!(
                "SQL injection on {host} from {}: no database service was seen at it or behind it in the 30 days before. Recommend an audit: is there an unauthorised service?",
                times(&self.window)
            )
        };
        let kinds = [Kind::Alert, Kind::Flow, Kind::Http, Kind::Inventory, Kind::Vuln];
        let history = before(&self.window, HISTORY);
        let span = self.asker.engine.span().map_or(history, |s| s.intersect(&history));
        let mut coverage = self.asker.coverage(&kinds, &self.window);
        coverage.push(format!("of the 30 days before it the case has records from {} on", clock(span.start)));
        Ok(Answer {
            playbook: "sqli".into(),
            subject: host,
            window: self.window,
            steps,
            causes: Vec::new(),
            conclusion,
            coverage,
        })
    }
    fn attack(&self) -> Result<Step> {
        let query = within(&self.alerts, &self.window);
        let groups = self.asker.groups(&query, "signature")?;
        let from = self.asker.groups(&query, "src.ip")?;
        let told: Vec<String> = groups.iter().take(3).map(|(v, n)| format!("{n} × {}", shown(v))).collect();
        let by: Vec<String> = from.iter().take(3).map(|(v, _)| shown(v)).collect();
        self.asker
            .step("what was the attack?", query, |n| (format!("{n} alerts from {}: {}", by.join(", "), told.join("; ")), true))
    }
    /// Databases that the host itself serves.
    fn own(&self) -> Result<Step> {
        let text =
            format!("kind = flow and dst.ip = {} and {DATABASE} and state in {{SF, S1, S2, S3, RSTO, RSTR}}", self.subject.host);
        let query = within(&text, &Window::new(self.window.start.plus(-HISTORY), self.window.end));
        let groups = self.asker.groups(&query, "dst.port")?;
        let ends = self.asker.ends(&query)?;
        let ports: Vec<String> = groups.iter().take(4).map(|(v, n)| format!("{n} to port {}", shown(v))).collect();
        let span = ends.map(|(a, b)| format!(", first {}, last {}", clock(a.time()), clock(b.time()))).unwrap_or_default();
        self.asker.step("does it serve a database itself?", query, |n| match n {
            0 => ("no connection to a database service of it was accepted in the 30 days before".into(), false),
            n => (format!("{n} connections: {}{span}", ports.join(", ")), true),
        })
    }
    /// Databases that the host uses, and how many connections.
    fn behind(&self) -> Result<(Step, u64)> {
        let text = format!("kind = flow and src.ip = {} and {DATABASE}", self.subject.host);
        let query = within(&text, &Window::new(self.window.start.plus(-HISTORY), self.window.end));
        let groups = self.asker.groups(&query, "dst.ip, dst.port")?;
        let told: Vec<String> =
            groups.iter().take(3).map(|(v, n)| format!("{} ({n} connections)", shown(v).replace(' ', " port "))).collect();
        let step = self.asker.step("does it use a database behind it?", query, |n| match n {
            0 => ("it opened no connection to a database service in the 30 days before".into(), false),
            _ => (format!("it uses {}", told.join(", ")), true),
        })?;
        let rows = step.rows;
        Ok((step, rows))
    }
    /// What inventory and scans say of it.
    fn stated(&self) -> Result<Step> {
        let query = format!("kind in {{inventory, vuln}} and dst.ip = {}", self.subject.host);
        let mut about: BTreeSet<String> = BTreeSet::new();
        let (mut rows, mut open, mut cves) = (0u64, BTreeSet::new(), BTreeSet::new());
        self.asker.visit(
            &query,
            &[field::ROLE, field::PORT_STATE, field::DST_PORT, field::PRODUCT, field::VERSION, field::CVE, field::EXTRA],
            &mut |r| {
                rows += 1;
                about.extend(r.text(field::ROLE).map(|t| format!("role {t}")));
                if r.text(field::PORT_STATE) == Some("open")
                    && let Some(port) = r.uint(field::DST_PORT)
                {
                    let product =
                        [r.text(field::PRODUCT), r.text(field::VERSION)].into_iter().flatten().collect::<Vec<_>>().join(" ");
                    open.insert(format!("{port} {product}").trim_end().to_owned());
                }
                if r.kind == Kind::Vuln {
                    cves.extend(r.all(field::CVE).map(Value::to_string));
                }
                if r.kind == Kind::Inventory
                    && let Some(services) = r.text(field::EXTRA).and_then(|e| serde_json::from_str::<serde_json::Value>(e).ok())
                    && let Some(services) = services.get("services").and_then(|s| s.as_str())
                {
                    about.insert(format!("authorised services {services}"));
                }
                true
            },
        )?;
        let mut says: Vec<String> = about.into_iter().collect();
        if !open.is_empty() {
            says.push(format!("open by scan {}", open.into_iter().take(8).collect::<Vec<_>>().join(", ")));
        }
        if !cves.is_empty() {
            says.push(format!("{} CVEs: {}", cves.len(), cves.iter().take(5).cloned().collect::<Vec<_>>().join(", ")));
        }
        let says = if says.is_empty() { "neither inventory nor scan knows it".to_owned() } else { says.join("; ") };
        Ok(Step { title: "what is it said to be, and to run?".into(), says, query, rows, tells: false })
    }
    /// Answers to requests of some client, by the sensors that saw them.
    fn answers(&self, query: &str) -> Result<Answers> {
        let mut by_source: BTreeMap<u32, Answers> = BTreeMap::new();
        let fields = [field::HTTP_RESPONSE_BYTES, field::BYTES_IN, field::HTTP_STATUS, field::HTTP_URI, field::URL];
        self.asker.visit(query, &fields, &mut |r| {
            let of = by_source.entry(r.source.0).or_default();
            of.requests += 1;
            let uri = [field::HTTP_URI, field::URL].into_iter().find_map(|f| r.text(f)).unwrap_or("").to_ascii_lowercase();
            let select = uri.find("union").is_some_and(|at| uri.get(at..).is_some_and(|rest| rest.contains("select")));
            of.union += u64::from(select);
            of.errors += u64::from(r.uint(field::HTTP_STATUS).is_some_and(|s| s >= 500));
            of.sizes.extend(r.uint(field::HTTP_RESPONSE_BYTES).or_else(|| r.uint(field::BYTES_IN)));
            of.sizes.len() < MOST
        })?;
        // Several sensors may have seen the same requests: that which saw most counts.
        Ok(by_source.into_values().max_by_key(|a| a.requests).unwrap_or_default())
    }
    fn attackers(&self) -> Result<Vec<IpAddr>> {
        let groups = self.asker.groups(&within(&self.alerts, &self.window), "src.ip")?;
        Ok(groups.iter().filter_map(|(v, _)| v.first()?.as_ref()?.as_addr()).take(16).collect())
    }
    /// What was answered to the attacker, against what is usual; whether that was more.
    fn answered(&self) -> Result<(Step, bool)> {
        let attackers: Vec<String> = self.attackers()?.iter().map(ToString::to_string).collect();
        if attackers.is_empty() {
            let says = "no alert names who attacked: what was answered is unknown".to_owned();
            let title = "what was answered to the attacker?".to_owned();
            return Ok((Step { title, says, query: String::new(), rows: 0, tells: false }, false));
        }
        let near = Window::new(self.window.start.plus(-600 * SECOND), self.window.end.plus(600 * SECOND));
        let query = within(&format!("kind in {{http, proxy}} and src.ip in {{{}}}", attackers.join(", ")), &near);
        let got = self.answers(&query)?;
        let usual_query =
            format!("kind in {{http, proxy}} and dst.ip = {} and not src.ip in {{{}}}", self.subject.host, attackers.join(", "));
        let mut usual = self.answers(&within(&usual_query, &Window::new(self.window.start.plus(-DAY), self.window.end)))?;
        usual.sizes.sort_unstable();
        let middle = usual.sizes.get(usual.sizes.len() / 2).copied().unwrap_or(0);
        let high = usual.sizes.get(usual.sizes.len().saturating_mul(99) / 100).copied().unwrap_or(0);
        let most = got.sizes.iter().copied().max().unwrap_or(0);
        let large = middle > 0 && most as f64 >= LARGE * middle as f64;
        let says = match got.requests {
            0 => "no request of the attacker is in the case: only flows, which do not show what was answered".to_owned(),
            n => format!(
                "{n} requests, {} with UNION SELECT, {} errors; largest answer {most} bytes (others: middle {middle}, 99 % below {high}){}",
                got.union,
                got.errors,
                if large { ": larger than usual" } else { "" }
            ),
        };
        let rows = self.asker.count(&query)?;
        Ok((Step { title: "what was answered to the attacker?".into(), says, query, rows, tells: large }, large))
    }
    /// What the database behind was asked for meanwhile.
    fn asked(&self) -> Result<Step> {
        let text = format!("kind = flow and src.ip = {} and {DATABASE}", self.subject.host);
        let length = self.window.length().max(60 * SECOND);
        let query = within(&text, &self.window);
        let sum = |text: &str| -> Result<u64> {
            let mut all = 0u64;
            self.asker.visit(text, &[field::BYTES_IN], &mut |r| {
                all = all.saturating_add(r.uint(field::BYTES_IN).unwrap_or(0));
                true
            })?;
            Ok(all)
        };
        let (now, usual) = (sum(&query)?, sum(&within(&text, &before(&self.window, length)))?);
        self.asker.step("what did it ask the database for meanwhile?", query, |n| match n {
            0 => ("no connection to a database in that time is in the case".into(), false),
            n => (
                format!("{n} connections, {now} bytes answered; {usual} in as long a time before"),
                now > usual.max(1).saturating_mul(3),
            ),
        })
    }
    /// Whom it called afterwards that it had not called before.
    fn afterwards(&self) -> Result<Step> {
        let from = format!("kind = flow and src.ip = {} and state in {{SF, S1, S2, S3, RSTO, RSTR}}", self.subject.host);
        let mut known: BTreeSet<IpAddr> = BTreeSet::new();
        self.asker.visit(&within(&from, &before(&self.window, HISTORY)), &[field::DST_IP], &mut |r| {
            known.extend(r.addr(field::DST_IP));
            known.len() < MOST
        })?;
        let after = Window::new(self.window.start, self.window.end.plus(AFTER));
        let query = within(&from, &after);
        let mut new: BTreeMap<IpAddr, u64> = BTreeMap::new();
        self.asker.visit(&query, &[field::DST_IP], &mut |r| {
            if let Some(peer) = r.addr(field::DST_IP).filter(|p| !known.contains(p)) {
                *new.entry(peer).or_default() += 1;
            }
            new.len() < MOST
        })?;
        let rows = new.values().sum();
        let told: Vec<String> = new.iter().take(5).map(|(ip, n)| format!("{ip} ({n})")).collect();
        let says = match new.len() {
            0 => "nobody that it had not called in the 30 days before, within 4 hours".to_owned(),
            n => format!("{n} that it had not called before, within 4 hours: {}", told.join(", ")),
        };
        let query = if new.is_empty() {
            query
        } else {
            format!("{query} and dst.ip in {{{}}}", new.keys().take(50).map(ToString::to_string).collect::<Vec<_>>().join(", "))
        };
        Ok(Step { title: "whom did it call afterwards?".into(), says, query, rows, tells: !new.is_empty() })
    }
    /// Ports that it began to serve after the attack.
    fn listens(&self) -> Result<Step> {
        let text = format!("kind = flow and dst.ip = {} and state in {{SF, S1, S2, S3, RSTO, RSTR}}", self.subject.host);
        let ports = |w: &Window| -> Result<BTreeSet<String>> {
            Ok(self.asker.groups(&within(&text, w), "dst.port")?.iter().map(|(v, _)| shown(v)).collect())
        };
        let after = Window::new(self.window.end, self.window.end.plus(7 * DAY));
        let (now, known) = (ports(&after)?, ports(&Window::new(self.window.start.plus(-HISTORY), self.window.end))?);
        let new: Vec<String> = now.difference(&known).cloned().collect();
        let says = if new.is_empty() {
            "no service that it had not served before".to_owned()
        } else {
            format!("new services since: port {}", new.join(", "))
        };
        Ok(Step {
            title: "does it serve something new since?".into(),
            says,
            query: within(&text, &after),
            rows: new.len() as u64,
            tells: !new.is_empty(),
        })
    }
}
