//! Results of configuration checks: XCCDF 1.1 and 1.2 (NIST IR 7275), alone or in an ARF asset report (NIST IR 7694), as OpenSCAP and others write them.
//!
//! A unit is a checked host or a rule's result: an inventory record of the host with its score, and a vulnerability record for each `rule-result`, whose
//! `check.result` is pass, fail, error, unknown, notapplicable, notchecked, notselected, informational or fixed; the action is `found`. The title
//! comes from the benchmark where the file has it. The host is the first address of the target that is not the loopback. A
//! result stands at its own time, else at the start of the test; times without a zone are in that of the source.

use super::draft::Draft;
use super::element::{self, Element, Elements, Part};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, draft, finding};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use std::collections::HashMap;
use std::io::BufRead;

/// The format.
pub static FORMAT: Xccdf = Xccdf;

/// XCCDF results.
pub struct Xccdf;

impl Format for Xccdf {
    fn name(&self) -> &'static str {
        "xccdf"
    }
    fn doc(&self) -> &'static str {
        "Configuration checks of a host: XCCDF results, also in ARF, of OpenSCAP and others (NIST IR 7275, IR 7694)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let says =
            memchr::memmem::find(head, b"xccdf").is_some() || memchr::memmem::find(head, b"asset-reporting-format").is_some();
        let root = element::is_root(head, &["Benchmark", "TestResult", "asset-report-collection"]);
        if root && says { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Results { context: context.clone(), rules: HashMap::new(), test: None })
    }
}

struct Rule {
    title: String,
    severity: String,
    idents: Vec<(String, String)>,
}

/// What is said of a test before its results.
struct Test {
    at: Element,
    start: Option<Time>,
    end: Option<Time>,
    target: String,
    addresses: Vec<String>,
    macs: Vec<String>,
    profile: String,
    scores: Vec<(String, String)>,
}

struct Results {
    context: Context,
    rules: HashMap<String, Rule>,
    test: Option<Test>,
}

/// Most rules of which more than the id is kept, and most of a title.
const RULES_MAX: usize = 20_000;
const TITLE_MAX: usize = 512;

impl Reader for Results {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        const WANTED: &[&str] =
            &["Rule", "rule-result", "target", "target-address", "fact", "score", "profile", "Value", "Profile"];
        let mut elements = Elements::new(input, WANTED);
        loop {
            let mut out = Out::default();
            let status = match elements.next() {
                Part::Open(e) if e.name == "TestResult" => {
                    self.open(e);
                    continue;
                }
                Part::Close(name) if name == "TestResult" => match self.test.take() {
                    Some(test) => self.host(&test, &mut out),
                    None => continue,
                },
                Part::Open(_) | Part::Close(_) | Part::Text(_) => continue,
                Part::Whole(e) if e.name == "rule-result" => self.result(&e, &mut out),
                Part::Whole(e) if e.name == "Rule" => {
                    self.rule(&e);
                    continue;
                }
                Part::Whole(e) => {
                    self.say(&e);
                    continue;
                }
                Part::Over(why) => {
                    if let Some(test) = self.test.take() {
                        let status = self.host(&test, &mut out);
                        if !each(status, std::mem::take(&mut out)) {
                            return;
                        }
                    }
                    if let Some((why, place)) = why {
                        out.oddities.push(Oddity::at(why, place));
                        each(Status::Failed, out);
                    }
                    return;
                }
            };
            if !each(status, out) {
                return;
            }
        }
    }
}

impl Results {
    fn open(&mut self, e: Element) {
        let time = |key| finding::time(e.attribute(key), &self.context, &mut Out::default());
        let (start, end) = (time("start-time"), time("end-time"));
        self.test = Some(Test {
            start: start.or(end),
            end,
            at: e,
            target: String::new(),
            addresses: Vec::new(),
            macs: Vec::new(),
            profile: String::new(),
            scores: Vec::new(),
        });
    }

    fn rule(&mut self, e: &Element) {
        let short = |text: &str| text[..text.floor_char_boundary(TITLE_MAX)].to_owned();
        let idents = e.children.iter().filter(|c| c.name == "ident").take(20);
        let rule = Rule {
            title: short(&e.child("title").map_or(String::new(), Element::words)),
            severity: e.attribute("severity").to_owned(),
            idents: idents.map(|i| (short(i.attribute("system")), short(i.text.trim()))).collect(),
        };
        if self.rules.len() < RULES_MAX {
            self.rules.insert(e.attribute("id").to_owned(), rule);
        }
    }

    fn say(&mut self, e: &Element) {
        let Some(test) = &mut self.test else { return };
        let text = e.text.trim().to_owned();
        match e.name.as_str() {
            "target" => test.target = text,
            "target-address" if test.addresses.len() < 256 => test.addresses.push(text),
            "fact" => {
                let name = e.attribute("name").to_ascii_lowercase();
                if name.ends_with(":mac") && test.macs.len() < 64 {
                    test.macs.push(text);
                } else if (name.ends_with(":ipv4") || name.ends_with(":ipv6")) && test.addresses.len() < 256 {
                    test.addresses.push(text);
                }
            }
            "score" if test.scores.len() < 16 => test.scores.push((e.attribute("system").to_owned(), text)),
            "profile" => test.profile = e.attribute("idref").to_owned(),
            _ => {}
        }
    }

    fn draft(&self, kind: Kind, test: Option<&Test>, e: &Element, at: Option<Time>, out: &mut Out) -> Draft {
        let unit = Unit { offset: e.at, line: 0 };
        let start = at.or(test.and_then(|t| t.start));
        let mut d = Draft::timed(kind, &self.context, unit, e.len(), start, out);
        if let Some(test) = test {
            let loopback =
                |a: &std::net::IpAddr| a.is_loopback() || matches!(a, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
            let addresses = || test.addresses.iter().filter_map(|t| draft::address(t));
            if let Some(address) = addresses().find(|a| !loopback(a)).or_else(|| addresses().next()) {
                d.give(field::DST_IP, address.into());
            }
            finding::host(&mut d, &test.target);
            d.text(field::DST_MAC, test.macs.iter().find(|m| *m != "00:00:00:00:00:00").map_or("", String::as_str));
        }
        d.text(field::ACTION, "found");
        d
    }

    fn host(&self, test: &Test, out: &mut Out) -> Status {
        let e = Element { end: test.at.at, ..test.at.clone() };
        let mut d = self.draft(Kind::Inventory, Some(test), &e, None, out);
        d.record.end = test.end.unwrap_or(d.record.start).max(d.record.start);
        for (system, score) in &test.scores {
            d.keep(&format!("score.{}", system.rsplit(':').next().unwrap_or("")), score);
        }
        d.keep("profile", &test.profile);
        d.keep("addresses", &test.addresses.join(" "));
        for key in ["id", "test-system", "version"] {
            d.keep(key, test.at.attribute(key));
        }
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }

    fn result(&self, e: &Element, out: &mut Out) -> Status {
        let at = finding::time(e.attribute("time"), &self.context, out);
        let mut d = self.draft(Kind::Vuln, self.test.as_ref(), e, at, out);
        d.partial |= e.cut;
        let id = e.attribute("idref");
        let rule = self.rules.get(id);
        let title = rule.map_or("", |r| r.title.as_str());
        d.text(field::SIGNATURE, if title.is_empty() { id } else { title });
        d.keep("rule", id);
        let result = e.text_of(&["result"]).to_ascii_lowercase();
        d.partial |= result.is_empty();
        d.text(field::CHECK_RESULT, if result.is_empty() { "unknown" } else { &result });
        let word = [e.attribute("severity"), rule.map_or("", |r| r.severity.as_str())].into_iter().find(|s| !s.is_empty());
        if let Some(rank) = word.and_then(finding::severity) {
            d.uint(field::SEVERITY, rank);
        }
        let of_result = e.children.iter().filter(|c| c.name == "ident").map(|i| (i.attribute("system"), i.text.trim()));
        let of_rule = rule.iter().flat_map(|r| &r.idents).map(|(system, text)| (system.as_str(), text.as_str()));
        for (system, ident) in of_result.chain(of_rule).take(50) {
            // What a check of a patch passes is not open.
            match ident.to_ascii_uppercase().starts_with("CVE-") && result == "fail" {
                true => finding::cve(&mut d, "ident", ident),
                false => d.keep(&format!("ident.{}", system.rsplit('/').find(|p| !p.is_empty()).unwrap_or("")), ident),
            }
        }
        let messages: Vec<&str> = e.every("message").into_iter().map(|m| m.text.trim()).collect();
        d.text(field::MESSAGE, &messages.join("\n"));
        for check in e.children.iter().filter(|c| c.name == "check").take(5) {
            d.keep("check", check.child("check-content-ref").map_or("", |r| r.attribute("name")));
        }
        d.keep("weight", e.attribute("weight"));
        d.keep("role", e.attribute("role"));
        d.partial |= !d.has(field::DST_IP) && !d.has(field::HOSTNAME);
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn results_are_checks_of_the_target() {
        let text = r#"<arf:asset-report-collection xmlns:arf="http://scap.nist.gov/schema/asset-reporting-format/1.1"><arf:report-requests><xccdf-1.2:Benchmark id="b"><xccdf-1.2:Rule id="rule_a" severity="high"><xccdf-1.2:title>No <i>root</i> login</xccdf-1.2:title><xccdf-1.2:ident system="https://ncp.nist.gov/cce">CCE-1</xccdf-1.2:ident></xccdf-1.2:Rule></xccdf-1.2:Benchmark></arf:report-requests>
<TestResult id="t" start-time="2025-11-20T08:00:00+00:00" end-time="2025-11-20T08:05:00+00:00"><target>srv.example</target><target-address>127.0.0.1</target-address><target-address>192.0.2.7</target-address>
<target-facts><fact name="urn:xccdf:fact:ethernet:MAC" type="string">00:00:5E:00:53:01</fact></target-facts>
<rule-result idref="rule_a" time="2025-11-20T08:01:00+00:00" severity="high" weight="1.0"><result>fail</result><message severity="info">PermitRootLogin yes</message></rule-result>
<rule-result idref="rule_b" severity="low"><result>pass</result></rule-result><score system="urn:xccdf:scoring:default" maximum="100">61.5</score></TestResult></arf:asset-report-collection>"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        let read = read_all(&FORMAT, text);
        assert_eq!((read.counts, read.oddities.len()), ([3, 0, 0, 0], 0));
        assert_eq!(
            read.shown(),
            "vuln 2025-11-20T08:01:00Z dst.ip=192.0.2.7 dst.mac=00:00:5e:00:53:01 signature=No root login severity=high action=found hostname=srv.example message=PermitRootLogin yes check.result=fail extra={\"rule\":\"rule_a\",\"ident.cce\":\"CCE-1\",\"weight\":\"1.0\"}\n\
             vuln 2025-11-20T08:00:00Z dst.ip=192.0.2.7 dst.mac=00:00:5e:00:53:01 signature=rule_b severity=low action=found hostname=srv.example check.result=pass extra={\"rule\":\"rule_b\"}\n\
             inventory 2025-11-20T08:00:00Z..2025-11-20T08:05:00Z dst.ip=192.0.2.7 dst.mac=00:00:5e:00:53:01 action=found hostname=srv.example extra={\"score.default\":\"61.5\",\"addresses\":\"127.0.0.1 192.0.2.7\",\"id\":\"t\"}\n"
        );
    }
}
