//! The situation: the hosts that matter with what was said of them, whether they are where they should be, and how much went between them over time.
//! What detectors saw is on the hosts, what the inventory knows is their border, what flowed is on the lines.

pub mod layout;
pub mod svg;

use crate::error::Result;
use crate::model::decision::{Decision, Judgement};
use crate::model::{Cancel, Finding, Kind, Value, Window, field};
use crate::query::{Engine, Verdicts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Most hosts that are shown.
pub const HOSTS: usize = 12;
/// Most lines.
const EDGES: usize = 14;
/// Bins of a timeline.
const BINS: usize = 24;
/// Of the whole site.
const SITE_BINS: usize = 240;
/// Flows that are looked at.
const FLOWS: u64 = 5_000_000;
/// Groups of alerts that are looked at.
const GROUPS: usize = 20_000;
/// Most silent hosts of the inventory, and talkers that it does not know, that are shown for being so.
const ODD: usize = 2;

/// On which side of one's own border a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Somebody else's.
    Outside,
    /// One's own, and met from outside.
    Border,
    /// One's own.
    Inside,
}

impl Lane {
    /// From left to right.
    pub const ALL: [Lane; 3] = [Lane::Outside, Lane::Border, Lane::Inside];
}

/// What was said of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// 0 info to 4 critical.
    pub severity: u8,
    /// In a few words.
    pub text: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its address.
    pub host: String,
    /// Its name, if it is known.
    pub name: String,
    /// Role, system, owner.
    pub about: String,
    /// Where it stands.
    pub lane: Lane,
    /// It talked or was talked to in the window.
    pub seen: bool,
    /// Whether the inventory has it; none: nobody's inventory would.
    pub stated: Option<bool>,
    /// What was said of it, the worst first.
    pub labels: Vec<Label>,
}

/// What went between two hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Who began, by its place among the nodes.
    pub from: usize,
    /// Who answered.
    pub to: usize,
    /// The service with most bytes, and how many others.
    pub service: String,
    /// Flows.
    pub flows: u64,
    /// IP bytes of who began.
    pub out: u64,
    /// IP bytes of who answered.
    pub back: u64,
    /// Bytes over the window.
    pub bins: Vec<f64>,
}

/// Everything that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// What it is of.
    pub title: String,
    /// Hosts, those that matter most first.
    pub nodes: Vec<Node>,
    /// Lines, those with most bytes first.
    pub edges: Vec<Edge>,
    /// Bytes of the whole site over the window.
    pub site: Vec<f64>,
    /// What the strip below shows.
    pub caption: String,
    /// What stands out in it: bin, words.
    pub marks: Vec<(usize, String)>,
    /// The window.
    pub window: Window,
    /// Hosts that were left out.
    pub beyond: usize,
}

/// What a scene is made of.
pub struct Asking<'a> {
    /// The case.
    pub engine: &'a dyn Engine,
    /// What the detectors found and nobody judged benign.
    pub found: &'a [Finding],
    /// Its name.
    pub name: String,
    /// What people entered.
    pub decisions: &'a [Decision],
    /// What is looked at.
    pub window: Window,
    /// Gives it up.
    pub cancel: &'a Cancel,
}

/// Originator, responder and words of alerts.
type Ends = (Option<IpAddr>, Option<IpAddr>, String);

/// The worst that was said of two hosts together.
type Pairs = HashMap<(IpAddr, IpAddr), u8>;

/// Two hosts in one order.
fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}

/// What is gathered of a host before it is chosen.
#[derive(Default)]
struct Candidate {
    weight: f64,
    labels: BTreeMap<String, (u8, u64)>,
}

/// Makes the scene of a window.
pub fn scene(a: &Asking<'_>) -> Result<Scene> {
    let home = a.engine.home(a.cancel)?;
    let (mut all, mut pairs) = (HashMap::new(), HashMap::new());
    alerts(a, &mut all, &mut pairs)?;
    let within = |f: &&Finding| f.window.start < a.window.end && f.window.end > a.window.start;
    let found: Vec<&Finding> = a.found.iter().filter(within).collect();
    said(&found, &mut all, &mut pairs);
    let mut ranked: Vec<(IpAddr, Candidate)> = all.into_iter().collect();
    ranked.sort_by(|x, y| y.1.weight.total_cmp(&x.1.weight).then(x.0.cmp(&y.0)));
    let total = ranked.len();
    ranked.truncate(HOSTS);
    let hosts: Vec<IpAddr> = ranked.iter().map(|(ip, _)| *ip).collect();
    let (mut edges, seen) = between(a, &hosts)?;
    // What was alerted on goes before what is only much.
    let told = |e: &Edge| pairs.get(&pair(hosts[e.from], hosts[e.to])).copied().unwrap_or(0);
    edges.sort_by(|x, y| {
        let key = |e: &Edge| (told(e), e.out.saturating_add(e.back));
        key(y).cmp(&key(x)).then((x.from, x.to).cmp(&(y.from, y.to)))
    });
    edges.truncate(EDGES);
    let known = inventory(a, &hosts)?;
    let has_inventory = a.engine.sources().iter().any(|s| s.kinds.iter().any(|(k, n)| *k == Kind::Inventory && *n > 0));
    let met: BTreeSet<usize> = edges.iter().filter(|e| !home.has(hosts[e.from]) && home.has(hosts[e.to])).map(|e| e.to).collect();
    let node = |(n, (ip, c)): (usize, (IpAddr, Candidate))| {
        let own = home.has(ip);
        let (name, about, stated) = known.get(&ip).cloned().unwrap_or_default();
        let mut labels: Vec<Label> = c
            .labels
            .into_iter()
            .map(|(text, (severity, n))| Label { severity, text: if n > 1 { format!("{text} ×{n}") } else { text } })
            .collect();
        labels.sort_by(|x, y| y.severity.cmp(&x.severity).then_with(|| x.text.cmp(&y.text)));
        let lane = match (own, met.contains(&n)) {
            (false, _) => Lane::Outside,
            (true, true) => Lane::Border,
            (true, false) => Lane::Inside,
        };
        Node {
            host: ip.to_string(),
            name,
            about,
            lane,
            seen: seen.contains(&ip),
            stated: (own && has_inventory).then_some(stated),
            labels,
        }
    };
    let nodes: Vec<Node> = ranked.into_iter().enumerate().map(node).collect();
    let timeline =
        a.engine.timeline(&a.engine.compile("kind = flow")?.within(&a.window), SITE_BINS, Some(field::BYTES), a.cancel)?;
    let marks = marks(&found, &timeline);
    let last = a.window.last();
    let title = format!(
        "SITUATION  {}  {} to {}",
        a.name,
        a.window.start.utc().format("%a %Y-%m-%d %H:%MZ"),
        last.utc().format("%a %Y-%m-%d %H:%MZ")
    );
    let caption = format!(
        "bytes of the whole site, {} a bin; below it what stands out",
        crate::model::time::show_span(timeline.bin.max(1))
    );
    let beyond = total.saturating_sub(HOSTS);
    Ok(Scene { title, nodes, edges, site: timeline.bins, caption, marks, window: a.window, beyond })
}

/// Alerts by host: what was attacked and who did it.
fn alerts(a: &Asking<'_>, all: &mut HashMap<IpAddr, Candidate>, pairs: &mut Pairs) -> Result<()> {
    let question = a.engine.compile("kind in {alert, notice}")?.within(&a.window);
    let verdicts = Verdicts::of(a.decisions, crate::store::now(), &|text| a.engine.compile(text));
    let mut fields = vec![field::SIGNATURE, field::CATEGORY, field::MESSAGE, field::SEVERITY, field::SRC_IP, field::DST_IP];
    fields.extend(verdicts.fields());
    // In order: sums of weights are then the same each time.
    let mut groups: BTreeMap<Ends, (u8, u64)> = BTreeMap::new();
    a.engine.visit(&question, &fields, a.cancel, &mut |r| {
        let head = |id| if id == field::SOURCE { Some(Value::from(a.engine.source_name(r.source))) } else { None };
        if verdicts.on(&r, &head) == Some(Judgement::Benign) {
            return true;
        }
        let words = [field::SIGNATURE, field::CATEGORY, field::MESSAGE].into_iter().find_map(|f| r.text(f)).unwrap_or("alert");
        let addr = |f| r.addr(f).map(|ip| ip.to_canonical());
        let key = (addr(field::SRC_IP), addr(field::DST_IP), words.to_owned());
        if groups.len() < GROUPS || groups.contains_key(&key) {
            let severity = r.uint(field::SEVERITY).and_then(|s| u8::try_from(s).ok()).unwrap_or(1).min(4);
            let group = groups.entry(key).or_default();
            *group = (group.0.max(severity), group.1 + 1);
        }
        true
    })?;
    for ((src, dst, words), (severity, n)) in groups {
        // A signature's maker and class say little in a box.
        let text = words.trim_start_matches("ET ").trim_start_matches("GPL ").trim_start_matches("LOCAL ").to_owned();
        if let (Some(src), Some(dst)) = (src, dst) {
            let worst = pairs.entry(pair(src, dst)).or_default();
            *worst = (*worst).max(severity);
        }
        for host in [src, dst].into_iter().flatten() {
            let of = all.entry(host).or_default();
            of.weight += f64::from(severity) * f64::from(severity) * (1.0 + (n as f64).ln());
            let label = of.labels.entry(text.clone()).or_default();
            *label = (label.0.max(severity), label.1 + n);
        }
    }
    Ok(())
}

/// What detectors found, on whom.
fn said(found: &[&Finding], all: &mut HashMap<IpAddr, Candidate>, pairs: &mut Pairs) {
    let mut odd: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in found {
        let presence = matches!(finding.detector.as_str(), "absent_host" | "unknown_host");
        let weight = if presence {
            let n = odd.entry(&finding.detector).or_default();
            *n += 1;
            if *n > ODD { 0.0 } else { 12.0 }
        } else {
            4.0 * f64::from(finding.rank) * f64::from(finding.severity.max(1))
        };
        if weight <= 0.0 {
            continue;
        }
        let service =
            finding.service.map(|(proto, port)| format!(" {port}/{}", crate::model::proto::show(proto))).unwrap_or_default();
        let text = format!("{}{service} {}", finding.detector.replace('_', " "), finding.window.start.utc().format("%d %H:%MZ"));
        if let Some(peer) = finding.peer {
            let worst = pairs.entry(pair(finding.host, peer)).or_default();
            *worst = (*worst).max(finding.severity);
        }
        for (host, part) in [(Some(finding.host), 1.0), (finding.peer, 0.6)] {
            let Some(host) = host else { continue };
            let of = all.entry(host).or_default();
            of.weight += weight * part;
            let label = of.labels.entry(text.clone()).or_default();
            *label = (label.0.max(finding.severity), label.1.max(1));
        }
    }
}

/// What flowed between the hosts, and which of them were seen at all.
fn between(a: &Asking<'_>, hosts: &[IpAddr]) -> Result<(Vec<Edge>, BTreeSet<IpAddr>)> {
    let list = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if hosts.is_empty() {
        return Ok((Vec::new(), BTreeSet::new()));
    }
    let place: HashMap<IpAddr, usize> = hosts.iter().enumerate().map(|(n, ip)| (*ip, n)).collect();
    let mut edges: BTreeMap<(usize, usize), (Edge, BTreeMap<String, u64>)> = BTreeMap::new();
    let mut question =
        a.engine.compile(&format!("kind = flow and src.ip in {{{list}}} and dst.ip in {{{list}}}"))?.within(&a.window);
    question.elsewhere = false;
    let fields = [field::SRC_IP, field::DST_IP, field::DST_PORT, field::PROTO, field::APP, field::BYTES_OUT, field::BYTES_IN];
    let (start, length) = (a.window.start, a.window.length().max(1));
    let mut looked = 0;
    a.engine.visit(&question, &fields, a.cancel, &mut |r| {
        looked += 1;
        let at = |f| r.addr(f).and_then(|ip| place.get(&ip.to_canonical()).copied());
        if let (Some(from), Some(to)) = (at(field::SRC_IP), at(field::DST_IP)) {
            let number = |f| r.uint(f).unwrap_or(0);
            let (out, back) = (number(field::BYTES_OUT), number(field::BYTES_IN));
            let new = || Edge { from, to, service: String::new(), flows: 0, out: 0, back: 0, bins: vec![0.0; BINS] };
            let (edge, services) = edges.entry((from, to)).or_insert_with(|| (new(), BTreeMap::new()));
            edge.flows += 1;
            edge.out = edge.out.saturating_add(out);
            edge.back = edge.back.saturating_add(back);
            let bin = (i128::from(r.time().since(start).max(0)) * BINS as i128 / i128::from(length)) as usize;
            if let Some(bin) = edge.bins.get_mut(bin.min(BINS - 1)) {
                *bin += (out.saturating_add(back)) as f64;
            }
            let app = r.text(field::APP).map(str::to_owned);
            let proto = u8::try_from(number(field::PROTO)).unwrap_or(0);
            let app = app.unwrap_or_else(|| crate::model::proto::show(proto));
            let of = services.entry(format!("{}/{app}", number(field::DST_PORT))).or_default();
            *of = of.saturating_add(out.saturating_add(back).max(1));
        }
        looked < FLOWS
    })?;
    let mut seen = BTreeSet::new();
    let mut asked = Vec::new();
    for host in hosts {
        let mut question = a.engine.compile(&format!("kind = flow and host = {host}"))?.within(&a.window);
        question.elsewhere = false;
        asked.push(question);
    }
    for (host, count) in hosts.iter().zip(a.engine.counts(&asked, 1, a.cancel)?) {
        if count.n > 0 {
            seen.insert(*host);
        }
    }
    let named = |(mut edge, services): (Edge, BTreeMap<String, u64>)| {
        let most = services.iter().max_by_key(|(name, n)| (**n, std::cmp::Reverse(*name)));
        let more = services.len().saturating_sub(1);
        edge.service = most.map_or_else(String::new, |(name, _)| if more > 0 { format!("{name} +{more}") } else { name.clone() });
        edge
    };
    Ok((edges.into_values().map(named).collect(), seen))
}

/// Name, what it is, and whether the inventory states it.
fn inventory(a: &Asking<'_>, hosts: &[IpAddr]) -> Result<HashMap<IpAddr, (String, String, bool)>> {
    let mut out: HashMap<IpAddr, (String, String, bool)> = HashMap::new();
    if hosts.is_empty() {
        return Ok(out);
    }
    let list = hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // What is stated stands whatever the window.
    let mut question = a.engine.compile(&format!("kind = inventory and dst.ip in {{{list}}}"))?;
    question.elsewhere = false;
    let fields = [field::DST_IP, field::HOSTNAME, field::ROLE, field::OS, field::OWNER, field::ACTION];
    a.engine.visit(&question, &fields, a.cancel, &mut |r| {
        if let Some(ip) = r.addr(field::DST_IP) {
            let (name, about, stated) = out.entry(ip.to_canonical()).or_default();
            let short = r.text(field::HOSTNAME).unwrap_or("").split('.').next().unwrap_or("");
            // What people state goes before what a scanner found.
            let states = r.text(field::ACTION) == Some("stated");
            if name.is_empty() || states && !short.is_empty() {
                *name = short.to_owned();
            }
            let told: Vec<&str> = [field::ROLE, field::OS, field::OWNER].into_iter().filter_map(|f| r.text(f)).collect();
            if about.is_empty() || states && !told.is_empty() {
                *about = told.join(", ");
            }
            *stated |= states;
        }
        true
    })?;
    Ok(out)
}

/// What of the curve itself stands out, and outages.
fn marks(found: &[&Finding], timeline: &crate::query::engine::Timeline) -> Vec<(usize, String)> {
    let of_curve = |f: &&&Finding| matches!(f.detector.as_str(), "spike" | "interruption" | "shift" | "outage" | "off_hours");
    let mut out: Vec<(usize, String)> = found
        .iter()
        .filter(of_curve)
        .take(6)
        .filter_map(|f| {
            let at = f.window.start.since(timeline.start).checked_div(timeline.bin.max(1))?;
            let text = format!("{} {}", f.detector.replace('_', " "), f.window.start.utc().format("%d %H:%MZ"));
            Some((usize::try_from(at).ok()?, text))
        })
        .collect();
    out.sort();
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Time;

    /// A scene of the usual kind.
    pub(crate) fn scene() -> Scene {
        let node = |host: &str, name: &str, lane, seen, stated, labels: &[(u8, &str)]| Node {
            host: host.into(),
            name: name.into(),
            about: "server, Debian 12".into(),
            lane,
            seen,
            stated,
            labels: labels.iter().map(|(severity, text)| Label { severity: *severity, text: (*text).into() }).collect(),
        };
        let edge = |from, to, service: &str, out| Edge {
            from,
            to,
            service: service.into(),
            flows: 26,
            out,
            back: out * 3,
            bins: (0..24).map(|n| f64::from(n % 5) * out as f64).collect(),
        };
        Scene {
            title: "SITUATION  case  Thu 2026-11-19 08:00Z to Thu 2026-11-19 12:00Z".into(),
            nodes: vec![
                node(
                    "10.8.40.20",
                    "www1",
                    Lane::Border,
                    true,
                    Some(true),
                    &[(4, "SQL injection ×37"), (3, "outage 80/tcp 19 09:20Z")],
                ),
                node("203.0.113.66", "", Lane::Outside, true, None, &[(3, "Sqlmap ×26")]),
                node("10.8.21.5", "jdoe-pc", Lane::Inside, true, Some(true), &[(4, "beacon 443/tcp")]),
                node("203.0.113.9", "", Lane::Outside, true, None, &[(4, "beacon 443/tcp")]),
                node("10.8.30.20", "db1", Lane::Inside, true, Some(true), &[]),
                node("10.8.21.77", "", Lane::Inside, true, Some(false), &[(2, "unknown host")]),
                node("10.8.22.40", "pc-40", Lane::Inside, false, Some(true), &[(0, "absent host")]),
            ],
            edges: vec![
                edge(1, 0, "80/http", 90_000),
                edge(2, 3, "443/tls", 936_475),
                edge(0, 4, "5432/tcp", 5_000_000),
                edge(2, 4, "445/smb +1", 40_000),
            ],
            site: (0..240).map(|n| f64::from(n % 60)).collect(),
            caption: "bytes of the whole site, 1m a bin".into(),
            marks: vec![(80, "outage 19 09:20Z".into())],
            window: Window::new(Time(0), Time(1)),
            beyond: 0,
        }
    }
}
