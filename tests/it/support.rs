//! A case in memory, the same on every run: an `Engine` and a `Keeper` for tests of the screen.

use backtrail::case::Keeper;
use backtrail::error::Result;
use backtrail::model::decision::{Decision, What, Who};
use backtrail::model::field as f;
use backtrail::model::packet::{LinkType, PacketRef};
use backtrail::model::site::{Home, Site, Sites};
use backtrail::model::source::{Clock, Counts, SourceInfo, SourceKey};
use backtrail::model::time::SECOND;
use backtrail::model::{
    Entity, EvidenceKey, FieldId, Filter, Kind, Origin, Record, RecordId, SourceId, Time, Value, Window, community_id,
};
use backtrail::query::engine::*;
use backtrail::query::{self, Engine, Question, Scope, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The clock of the case: 2026-11-20 08:00 UTC.
pub fn at(seconds: i64) -> Time {
    Time::parse("2026-11-20T08:00:00Z").unwrap().plus(seconds * SECOND)
}

/// Records in memory.
pub struct Memory {
    pub records: Vec<Record>,
    pub sources: Vec<SourceInfo>,
}

const EVIDENCE: EvidenceKey = EvidenceKey(0x1122_3344_5566_7788);

fn source(id: u32, format: &str, name: &str, kinds: &[Kind]) -> SourceInfo {
    SourceInfo {
        id: SourceId(id),
        key: SourceKey { format: format.into(), sensor: name.into() },
        name: name.into(),
        span: Some(Window::new(at(0), at(8 * 3600))),
        counts: Counts { ok: 10, records: 10, ..Counts::default() },
        kinds: kinds.iter().map(|k| (*k, 10)).collect(),
        estimate: None,
        clock: Clock::default(),
        site: None,
        warnings: Vec::new(),
    }
}

/// A small incident: 10.8.21.5 asks for evil.example, downloads, beacons every five minutes; an alert tells; two hosts talk as usual.
pub fn story() -> Memory {
    let mut records = Vec::new();
    let mut n = 0u64;
    let mut new = |kind: Kind, source: u32, seconds: i64| {
        n += 1;
        let id = RecordId { evidence: EVIDENCE, offset: n * 100, ordinal: 0 };
        let mut record = Record::new(kind, id, SourceId(source), at(seconds));
        record.len = if kind == Kind::Flow { 0 } else { 96 };
        record
    };
    let addr = |text: &str| Value::Addr(text.parse().unwrap());
    for i in 0..40i64 {
        let mut r = new(Kind::Flow, 1, 12 * 60 + 3 + i * 300);
        r.end = r.start.plus(12_100_000_000);
        r.set(f::SRC_IP, addr("10.8.21.5"));
        r.set(f::SRC_PORT, 49_000 + i as u64);
        r.set(f::DST_IP, addr("203.0.113.9"));
        r.set(f::DST_PORT, 443u64);
        r.set(f::PROTO, 6u64);
        r.set(f::APP, "tls");
        r.set(f::STATE, "SF");
        r.set(f::BYTES_OUT, 4_112u64);
        r.set(f::BYTES_IN, 88_200u64);
        r.set(f::SNI, "evil.example");
        if i == 0 {
            r.seen_by.push(SourceId(2));
        }
        records.push(r);
    }
    for i in 0..20i64 {
        let mut r = new(Kind::Flow, 1, 100 + i * 1000);
        r.end = r.start.plus(340_000_000);
        r.set(f::SRC_IP, addr("10.8.21.7"));
        r.set(f::SRC_PORT, 50_000 + i as u64);
        r.set(f::DST_IP, addr(if i % 2 == 0 { "10.8.20.1" } else { "10.8.21.5" }));
        r.set(f::DST_PORT, if i % 2 == 0 { 53u64 } else { 445 });
        r.set(f::PROTO, if i % 2 == 0 { 17u64 } else { 6 });
        r.set(f::APP, if i % 2 == 0 { "dns" } else { "smb" });
        r.set(f::STATE, "SF");
        r.set(f::BYTES_OUT, 80u64);
        r.set(f::BYTES_IN, 160u64);
        records.push(r);
    }
    let mut dns = new(Kind::Dns, 1, 12 * 60 + 2);
    dns.set(f::SRC_IP, addr("10.8.21.5"));
    dns.set(f::DST_IP, addr("10.8.20.1"));
    dns.set(f::DNS_TYPE, "A");
    dns.set(f::NAME, "evil.example");
    dns.set(f::DNS_RCODE, "NOERROR");
    dns.set(f::ANSWER_IP, addr("203.0.113.9"));
    records.push(dns);
    for (seconds, signature, severity) in [
        (12 * 60 + 3, "ET MALWARE Beacon", 3u64),
        (17 * 60 + 3, "ET MALWARE Beacon", 3),
        (70 * 60, "ET POLICY curl\u{202e}\u{1b}[2J", 1),
    ] {
        let mut r = new(Kind::Alert, 2, seconds);
        r.set(f::SRC_IP, addr("10.8.21.5"));
        r.set(f::SRC_PORT, 49_000u64);
        r.set(f::DST_IP, addr("203.0.113.9"));
        r.set(f::DST_PORT, 443u64);
        r.set(f::PROTO, 6u64);
        r.set(f::SIGNATURE, signature);
        r.set(f::SIGNATURE_ID, if severity == 3 { 2_028_401u64 } else { 9_000_001 });
        r.set(f::SEVERITY, severity);
        r.set(f::ACTION, "alert");
        records.push(r);
    }
    let mut http = new(Kind::Http, 1, 12 * 60 + 20);
    http.set(f::SRC_IP, addr("10.8.21.5"));
    http.set(f::DST_IP, addr("203.0.113.9"));
    http.set(f::DST_PORT, 80u64);
    http.set(f::HTTP_METHOD, "GET");
    http.set(f::URL, "http://evil.example/update.exe");
    http.set(f::HTTP_STATUS, 200u64);
    records.push(http);
    let mut listed = new(Kind::Inventory, 3, 0);
    listed.set(f::INDICATOR, "203.0.113.9");
    listed.set(f::FEED, "feodo");
    listed.set(f::CATEGORY, "c2");
    listed.set(f::SEVERITY, 3u64);
    records.push(listed);
    records.sort_by_key(|r| (r.time(), r.id));
    let sources = vec![
        source(1, "pcap", "pcap:dmz", &[Kind::Flow, Kind::Dns, Kind::Http, Kind::Tls]),
        source(2, "suricata-eve", "eve", &[Kind::Alert, Kind::Flow]),
        source(3, "reputation-list", "feodo", &[Kind::Inventory]),
    ];
    Memory { records, sources }
}

impl Memory {
    fn head(&self, record: &Record, id: FieldId) -> Option<Value> {
        match id {
            f::SOURCE => Some(Value::text(self.source_name(record.source))),
            f::EVIDENCE => Some(Value::text("/evidence/story.pcap")),
            f::DIRECTION => self.home(&Cancel::default()).unwrap().direction(record).map(|d| Value::text(d.name())),
            _ => record.value(id),
        }
    }
    fn matching<'a>(&'a self, question: &'a Question) -> impl DoubleEndedIterator<Item = &'a Record> {
        self.records
            .iter()
            .filter(move |r| question.window.overlaps(r.time(), r.until()) && question.filter.matches(r, &|id| self.head(r, id)))
    }
}

impl Engine for Memory {
    fn compile(&self, text: &str) -> Result<Question> {
        let sources: Vec<String> = self.sources.iter().map(|s| s.name.clone()).collect();
        let newest = self.records.last().map(Record::time);
        let home = self.home(&Cancel::default())?;
        let sets = |name: &str| (name == "home").then(|| home.members().clone());
        let mut question = query::compile(text, &Scope { newest, sets: &sets, sources: &sources, ..Scope::empty() })?;
        question.filter = home.expand(question.filter);
        Ok(question)
    }
    fn select(
        &self,
        question: &Question,
        page: &Page,
        cancel: &Cancel,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Answered> {
        let mut answered = Answered { elapsed: 1, ..Answered::default() };
        let key = |r: &Record| Cursor { time: r.time(), id: r.id };
        let rows: Box<dyn Iterator<Item = &Record>> = if page.ascending {
            Box::new(self.matching(question).filter(|r| page.after.is_none_or(|after| key(r) > after)))
        } else {
            Box::new(self.matching(question).rev().filter(|r| page.after.is_none_or(|after| key(r) < after)))
        };
        for record in rows {
            cancel.check()?;
            if answered.rows as usize == page.limit {
                answered.more = true;
                break;
            }
            answered.rows += 1;
            if !each(record.clone()) {
                break;
            }
        }
        Ok(answered)
    }
    fn counts(&self, questions: &[Question], _: u64, _: &Cancel) -> Result<Vec<Count>> {
        Ok(questions.iter().map(|q| Count { n: self.matching(q).count() as u64, at_least: false }).collect())
    }
    fn table(&self, question: &Question, _: &Cancel) -> Result<Table> {
        let mut tally = Tally::new(&question.stages);
        for record in self.matching(question) {
            if !tally.add(record, &|id| self.head(record, id)) {
                break;
            }
        }
        Ok(tally.finish())
    }
    fn timeline(&self, question: &Question, bins: usize, _: Option<FieldId>, _: &Cancel) -> Result<Timeline> {
        let window = question.window.intersect(&self.span().unwrap());
        let bin = ((window.length() / bins as i64).max(1) / (60 * SECOND) + 1) * 60 * SECOND;
        let count = (window.length() / bin + 1) as usize;
        let mut out = Timeline { start: window.start, bin, bins: vec![0.0; count], alerts: vec![0; count] };
        for record in self.matching(question) {
            let at = ((record.time().since(window.start)).max(0) / bin) as usize;
            out.bins[at.min(count - 1)] += 1.0;
        }
        let alerts = Question { filter: Filter::is(f::KIND, "alert"), window, ..question.clone() };
        for record in self.records.iter().filter(|r| r.kind == Kind::Alert && alerts.window.overlaps(r.time(), r.until())) {
            let at = (record.time().since(window.start) / bin) as usize;
            out.alerts[at.min(count - 1)] += 1;
        }
        Ok(out)
    }
    fn values(&self, field: FieldId, prefix: &str, limit: usize, _: &Cancel) -> Result<Vec<(Value, u64)>> {
        let mut counts: Vec<(Value, u64)> = Vec::new();
        for value in self.records.iter().flat_map(|r| r.all(field)) {
            if value.to_string().to_lowercase().starts_with(&prefix.to_lowercase()) {
                match counts.iter_mut().find(|(v, _)| v == value) {
                    Some((_, n)) => *n += 1,
                    None => counts.push((value.clone(), 1)),
                }
            }
        }
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        counts.truncate(limit);
        Ok(counts)
    }
    fn record(&self, id: RecordId) -> Result<Option<Record>> {
        Ok(self.records.iter().find(|r| r.id == id).cloned())
    }
    fn packets_of(&self, flows: &[RecordId], _: &Cancel) -> Result<Vec<Vec<PacketRef>>> {
        let packet = |n: u64| PacketRef { offset: 24 + n * 90, number: n + 1, time: at(723 + n as i64), inbound: n == 1 };
        Ok(vec![(0..3).map(packet).collect(); flows.len()])
    }
    fn packet_bytes(&self, _: EvidenceKey, at: &[PacketRef], _: &Cancel) -> Result<Vec<PacketBytes>> {
        // An Ethernet frame with an IPv4 header and 4 bytes of UDP, enough to be shown.
        let data: Vec<u8> = [
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..],
            &[0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 8, 21, 5, 203, 0, 113, 9],
            &[0xc0, 0, 1, 0xbb, 0, 8, 0, 0],
        ]
        .concat();
        Ok(at
            .iter()
            .map(|p| PacketBytes { at: *p, link: LinkType::ETHERNET, wire_len: data.len() as u32, data: data.clone() })
            .collect())
    }
    fn raw(&self, _: Origin) -> Result<Raw> {
        Ok(Raw::Bytes(b"{\"event_type\":\"alert\",\"alert\":{\"signature\":\"ET MALWARE Beacon\"}}".to_vec()))
    }
    fn sources(&self) -> Vec<SourceInfo> {
        self.sources.clone()
    }
    fn evidence(&self) -> Vec<EvidenceInfo> {
        Vec::new()
    }
    fn source_name(&self, id: SourceId) -> String {
        self.sources.iter().find(|s| s.id == id).map_or_else(|| "?".into(), |s| s.name.clone())
    }
    fn evidence_path(&self, _: EvidenceKey) -> String {
        "/evidence/story.pcap".into()
    }
    fn span(&self) -> Option<Window> {
        Some(Window::new(self.records.first()?.time(), self.records.iter().map(Record::until).max()?.plus(1)))
    }
    fn coverage(&self, window: &Window) -> Vec<Coverage> {
        self.sources
            .iter()
            .map(|s| Coverage {
                source: s.id,
                name: s.name.clone(),
                kinds: s.kinds.iter().map(|(k, _)| *k).collect(),
                covers: s.span.map(|w| w.intersect(window)).filter(|w| w.start < w.end),
                clock_checked: s.id.0 != 2,
                pruned: None,
            })
            .collect()
    }
    fn linked(&self, record: &Record, _: &Cancel) -> Result<Linked> {
        let id = community_id::of_record(record);
        let links = self
            .records
            .iter()
            .filter(|r| r.id != record.id && id.is_some() && community_id::of_record(r) == id)
            .map(|r| Link::new(r.clone(), "community_id", Match::Exact))
            .collect();
        Ok(Linked { links, rejected: Vec::new() })
    }
    fn why(&self, record: &Record, other: RecordId, cancel: &Cancel) -> Result<Option<Why>> {
        let linked = self.linked(record, cancel)?;
        let clock = |r: &Record| ClockUsed {
            source: r.source,
            name: self.source_name(r.source),
            shift: r.shift,
            uncertainty: 0,
            basis: "its times state their zone".into(),
        };
        Ok(linked.with(other).map(|link| Why {
            reasons: vec!["both state the same ends".into()],
            clocks: vec![clock(record), clock(&link.record)],
            allowed: Some(1_000_000_000),
            runner_words: "none: that source has no other flow with these ends".into(),
            ..Why::default()
        }))
    }
    fn name_used(&self, flow: &Record) -> Result<Option<NameUsed>> {
        let asked = |r: &&Record| r.kind == Kind::Dns && r.addr(f::SRC_IP) == flow.addr(f::SRC_IP);
        let gave = |r: &&Record| r.all(f::ANSWER_IP).any(|a| a.as_addr() == flow.addr(f::DST_IP));
        let answer = self.records.iter().filter(asked).find(gave);
        let name = answer.and_then(|r| r.text(f::NAME));
        Ok(name.map(|n| NameUsed { name: n.to_owned(), how: "dns".into(), confidence: 0.9, evidence: None, others: Vec::new() }))
    }
    fn facts(&self, entity: &Entity, _: Option<Time>, _: &Cancel) -> Result<Vec<Fact>> {
        let fact = |label: &str, text: &str, severity| Fact { label: label.into(), text: text.into(), severity, evidence: None };
        Ok(match entity.value.to_string().as_str() {
            "10.8.21.5" => vec![
                fact("role", "workstation, Win 10", None),
                fact("inventory", "jdoe, sales", None),
                fact("serves", "445/smb", None),
                fact("uses", "443 53", None),
                fact("links", "NAT 198.51.100.2", None),
            ],
            "203.0.113.9" => vec![fact("reputation", "82 on 1 list: c2", Some(3))],
            _ => Vec::new(),
        })
    }
    fn sweep(&self, indicators: &[Indicator], _: &Over<'_>, _: &Cancel) -> Result<Sightings> {
        let mut out = Sightings::default();
        for (n, indicator) in indicators.iter().enumerate() {
            let fields = backtrail::model::indicator::fields(indicator.kind);
            let has = |r: &&Record| fields.iter().any(|f| r.all(*f).any(|v| v.to_string().eq_ignore_ascii_case(&indicator.text)));
            let rows: Vec<&Record> = self.records.iter().filter(has).collect();
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
            let mut sources: BTreeMap<SourceId, u64> = BTreeMap::new();
            rows.iter().for_each(|r| *sources.entry(r.source).or_default() += 1);
            let hosts: BTreeSet<_> = rows.iter().filter_map(|r| r.addr(f::SRC_IP)).collect();
            out.found.push(Sighting {
                indicator: n as u32,
                how: How::Hit,
                records: rows.len() as u64,
                first: first.time(),
                last: last.until(),
                sources: sources.into_iter().collect(),
                host_count: hosts.len() as u32,
                hosts: hosts.into_iter().collect(),
            });
        }
        out.fills = self.sources.iter().map(|s| (s.id, vec![f::SRC_IP, f::DST_IP, f::NAME])).collect();
        Ok(out)
    }
    fn sites(&self, _: &Cancel) -> Result<Sites> {
        let networks = vec!["10.8.20.0/23".parse().unwrap(), "198.51.100.2/32".parse().unwrap()];
        let why = vec!["10.8.20.0/23: 3 hosts seen".into(), "198.51.100.2: what a NAT makes of sources (7)".into()];
        let guess = Site { name: "home".into(), networks, zone: None, by: None, why };
        Ok(Sites { confirmed: Vec::new(), guessed: vec![guess] })
    }
    fn home(&self, cancel: &Cancel) -> Result<Home> {
        Ok(Home::new(self.sites(cancel)?.guessed.remove(0).networks, true))
    }
    fn by_hand(&self, _: &Cancel) -> Result<backtrail::context::by_hand::Sayings> {
        Ok(Default::default())
    }
    fn sequence(&self) -> u64 {
        1
    }
    fn changes_since(&self, _: &Question, _: u64, _: &Cancel) -> Result<u64> {
        Ok(7)
    }
}

/// A journal in memory.
#[derive(Default)]
pub struct Notebook {
    decisions: Mutex<Arc<Vec<Decision>>>,
    place: Mutex<Option<String>>,
    texts: Mutex<BTreeMap<String, String>>,
}

impl Keeper for Notebook {
    fn append(&self, what: What) -> Result<Decision> {
        let mut kept = self.decisions.lock().unwrap();
        let decision =
            Decision { sequence: kept.len() as u64 + 1, at: at(0).0, who: Who { name: "ana".into(), ..Who::default() }, what };
        let mut all = kept.to_vec();
        all.push(decision.clone());
        *kept = Arc::new(all);
        Ok(decision)
    }
    fn decisions(&self) -> Arc<Vec<Decision>> {
        self.decisions.lock().unwrap().clone()
    }
    fn save_place(&self, place: &str) -> Result<()> {
        *self.place.lock().unwrap() = Some(place.to_owned());
        Ok(())
    }
    fn keep_text(&self, text: &str) -> Result<String> {
        let mut texts = self.texts.lock().unwrap();
        let name = format!("text-{}", texts.len());
        texts.insert(name.clone(), text.to_owned());
        Ok(name)
    }
    fn kept_text(&self, name: &str) -> Option<String> {
        self.texts.lock().unwrap().get(name).cloned()
    }
    fn place(&self) -> Option<String> {
        self.place.lock().unwrap().clone()
    }
    fn name(&self) -> String {
        "acme".into()
    }
    fn dir(&self) -> PathBuf {
        PathBuf::from("/cases/acme")
    }
}
