//! Reputation lists of network sensors: Suricata's iprep (Suricata User Guide, "IP Reputation Format": `ip,category,score`), DShield's block list
//! (SANS ISC, `block.txt`: first, last, prefix length, tab-separated) and Spamhaus DROP as JSON lines (Spamhaus, `drop_v4.json`: `cidr`, `sblid`, `rir`).
//!
//! Each line is an inventory record, action `listed`. Suricata's score of 0 to 127 is the confidence 0 to 1; its category stays a number, since
//! names are in another file. None has times: records stand at the file's modification time.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head, indicator, json};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::value::Value;
use ipnet::IpNet;
use std::borrow::Cow;

/// The format.
pub static FORMAT: Iprep = Iprep;

/// Lists of sensors.
pub struct Iprep;

/// A line that lists something: the indicator, its category, its score of 127, and what else is said.
type Listed<'a> = (Cow<'a, str>, String, Option<f64>, Vec<(String, String)>);

fn parse(line: &str) -> Option<Listed<'_>> {
    suricata(line).or_else(|| dshield(line)).or_else(|| drop_line(line))
}

fn suricata(line: &str) -> Option<Listed<'_>> {
    let mut cells = line.split(',').map(str::trim);
    let (ip, category, score) = (cells.next()?, cells.next()?, cells.next()?);
    let address = ip.parse::<IpNet>().is_ok() || ip.parse::<std::net::IpAddr>().is_ok();
    let category: u8 = category.parse().ok().filter(|c| (1..=60).contains(c))?;
    let score: u8 = score.parse().ok().filter(|s| *s <= 127)?;
    let fits = address && cells.next().is_none();
    fits.then(|| (Cow::Borrowed(ip), format!("category {category}"), Some(f64::from(score) / 127.0), Vec::new()))
}

fn dshield(line: &str) -> Option<Listed<'_>> {
    let mut cells = line.split('\t').map(str::trim);
    let (first, last, len) = (cells.next()?, cells.next()?, cells.next()?);
    let net = IpNet::new(first.parse().ok()?, len.parse().ok()?).ok()?;
    if last.parse() != Ok(net.broadcast()) {
        return None;
    }
    let names = ["attacks", "name", "country", "email"];
    let more = names.iter().zip(cells).filter(|(_, c)| !c.is_empty()).map(|(n, c)| ((*n).to_owned(), c.to_owned())).collect();
    Some((Cow::Owned(net.trunc().to_string()), "scanner".into(), None, more))
}

fn drop_line(line: &str) -> Option<Listed<'_>> {
    if !line.starts_with('{') {
        return None;
    }
    let members = json::object(line)?;
    let net = json::text_at(&members, &["cidr"]);
    net.parse::<IpNet>().ok()?;
    let more = members.iter().filter(|(k, _)| k != "cidr").map(|(k, v)| (k.clone().into_owned(), json::scalar(v).into_owned()));
    let more: Vec<(String, String)> = more.collect();
    more.iter().any(|(k, _)| k == "sblid").then_some((Cow::Owned(net), "hijacked".into(), None, more))
}

/// Comments, DShield's header, Spamhaus's line about the list.
fn is_about(line: &str) -> bool {
    line.is_empty() || line.starts_with('#') || line.starts_with("Start\t") || line.starts_with("{\"type\":\"metadata\"")
}

impl Format for Iprep {
    fn name(&self) -> &'static str {
        "iprep"
    }
    fn doc(&self) -> &'static str {
        "Lists of addresses and networks of sensors: Suricata iprep, DShield block list, Spamhaus DROP as JSON lines."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let lines = head::lines(head);
        let texts: Vec<Cow<'_, str>> = lines.iter().map(|l| String::from_utf8_lossy(l)).filter(|l| !is_about(l.trim())).collect();
        let found = texts.iter().filter(|l| parse(l.trim()).is_some()).count();
        if found > 0 && found * 10 >= texts.len() * 8 { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if is_about(text) {
            return Status::Skipped;
        }
        let Some((listed, category, score, more)) = parse(text) else {
            out.oddities.push(Oddity::at("indicator_unknown", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Inventory, &self.context, unit, line.len(), self.context.modified);
        indicator::fill(&mut d, &listed, &self.context.stem);
        d.text(field::CATEGORY, &category);
        if let Some(score) = score {
            d.give(field::CONFIDENCE, Value::Float((score * 1000.0).round() / 1000.0));
        }
        more.iter().for_each(|(key, value)| d.keep(key, value));
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn lines_of_each_make_are_read() {
        assert_eq!(
            show(&FORMAT, "203.0.113.9,5,127\n"),
            "inventory 2026-11-20T12:00:00Z dst.ip=203.0.113.9 category=category 5 action=listed indicator=203.0.113.9 feed=sample confidence=1"
        );
        assert_eq!(
            show(
                &FORMAT,
                "# DShield\nStart\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n198.51.100.0\t198.51.100.255\t24\t1044\tODD\tXX\ta@odd.example\n"
            ),
            "inventory 2026-11-20T12:00:00Z category=scanner action=listed indicator=198.51.100.0/24 feed=sample extra={\"attacks\":\"1044\",\"name\":\"ODD\",\"country\":\"XX\",\"email\":\"a@odd.example\"}"
        );
        let drop = "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n{\"type\":\"metadata\",\"timestamp\":1763625600}\nx\n";
        let read = read_all(&FORMAT, drop);
        assert_eq!(read.counts, [1, 0, 1, 1]);
        assert_eq!(read.records[0].record.text(field::EXTRA), Some(r#"{"sblid":"SBL256894","rir":"apnic"}"#));
    }
}
