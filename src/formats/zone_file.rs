//! DNS zones in master file format (RFC 1035, 5; RFC 2308 `$TTL`), also as `dig axfr` prints them.
//!
//! Each record of the zone is a record of kind dns, action `stated`, at the file's modification time: what a zone says is no sighting, but names and
//! addresses are found by it. Relative names are completed by `$ORIGIN`; a line that begins with a space has the owner of the one before; brackets
//! join lines. `$INCLUDE` and `$GENERATE` are kept as they stand, as log records: nothing else is opened.

use super::dns_text::answer;
use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: ZoneFile = ZoneFile;

/// Zones in master file format.
pub struct ZoneFile;

/// Longest record, its lines joined, and most of its words.
const RECORD_MAX: usize = 64 << 10;
const WORDS_MAX: usize = 4096;

impl Format for ZoneFile {
    fn name(&self) -> &'static str {
        "zone-file"
    }
    fn doc(&self) -> &'static str {
        "DNS zones in master file format, also as dig axfr prints them (RFC 1035)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let lines: Vec<String> = head::lines(head).iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect();
        let Some(first) = lines.iter().find(|l| !l.trim_start().starts_with(';')) else { return Sniff::No };
        let soa = |l: &String| {
            let words: Vec<&str> = l.split(';').next().unwrap_or("").split_ascii_whitespace().collect();
            words
                .iter()
                .position(|w| w.eq_ignore_ascii_case("SOA"))
                .is_some_and(|at| (1..5).contains(&at) && words.len() > at + 2)
        };
        let directive = ["$ORIGIN ", "$TTL ", "$ORIGIN\t", "$TTL\t"].iter().any(|d| first.starts_with(d));
        if (directive || soa(first)) && lines.iter().any(soa) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Zone { context: context.clone(), origin: String::new(), ttl: None, owner: String::new() })
    }
}

struct Zone {
    context: Context,
    /// Without the dot at its end; empty: the root, or not stated.
    origin: String,
    ttl: Option<u64>,
    owner: String,
}

/// A record with its lines joined.
#[derive(Default)]
struct Joined {
    words: Vec<String>,
    /// It begins with a space: the owner is that of the record before.
    indented: bool,
    start: u64,
    depth: usize,
    size: usize,
}

impl Reader for Zone {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut at = 0u64;
        let mut raw = Vec::new();
        let mut joined = Joined::default();
        loop {
            raw.clear();
            let read = std::io::Read::take(&mut *input, RECORD_MAX as u64).read_until(b'\n', &mut raw).unwrap_or(0);
            if read == 0 {
                if !joined.words.is_empty() {
                    self.give(joined, at, true, each);
                }
                return;
            }
            if joined.words.is_empty() && joined.depth == 0 {
                joined.indented = raw.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
                joined.start = at;
            }
            at += read as u64;
            joined.size += read;
            let whole = joined.take(&String::from_utf8_lossy(&raw));
            if joined.depth == 0 || !whole || joined.size > RECORD_MAX {
                let joined = std::mem::take(&mut joined);
                let cut = joined.depth > 0 || !whole;
                if (!joined.words.is_empty() || cut) && !self.give(joined, at, cut, each) {
                    return;
                }
            }
        }
    }
}

impl Joined {
    /// Takes the words of a line. False: a quote stays open.
    fn take(&mut self, line: &str) -> bool {
        let mut chars = line.chars().peekable();
        let mut word = String::new();
        let mut some = false;
        loop {
            let c = chars.next();
            match c {
                Some('"') => {
                    some = true;
                    loop {
                        match chars.next() {
                            Some('"') => break,
                            Some('\\') => {
                                word.push('\\');
                                word.extend(chars.next());
                            }
                            Some('\n') | None => {
                                self.words.push(word);
                                return false;
                            }
                            Some(c) => word.push(c),
                        }
                    }
                    continue;
                }
                Some('\\') => {
                    word.push('\\');
                    word.extend(chars.next());
                    some = true;
                    continue;
                }
                Some(c) if !c.is_whitespace() && !matches!(c, ';' | '(' | ')') => {
                    word.push(c);
                    some = true;
                    continue;
                }
                _ => {}
            }
            if some && self.words.len() < WORDS_MAX {
                self.words.push(std::mem::take(&mut word));
            }
            word.clear();
            some = false;
            match c {
                Some('(') => self.depth += 1,
                Some(')') => self.depth = self.depth.saturating_sub(1),
                Some(';') | None => return true,
                _ => {}
            }
        }
    }
}

impl Zone {
    fn give(&mut self, joined: Joined, end: u64, cut: bool, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let unit = Unit { offset: joined.start, line: 0 };
        let mut out = Out { unit, ..Out::default() };
        let len = usize::try_from(end.saturating_sub(joined.start)).unwrap_or(usize::MAX);
        let status = self.read(&joined, unit, len, cut, &mut out);
        each(status, out)
    }
    fn read(&mut self, joined: &Joined, unit: Unit, len: usize, cut: bool, out: &mut Out) -> Status {
        let words: Vec<&str> = joined.words.iter().map(String::as_str).collect();
        match words[..] {
            ["$ORIGIN", origin, ..] if !cut => {
                self.origin = self.whole(origin);
                return Status::Skipped;
            }
            ["$TTL", ttl, ..] if !cut => {
                self.ttl = seconds(ttl);
                return Status::Skipped;
            }
            [directive, ..] if directive.starts_with('$') => {
                let mut d = Draft::new(Kind::Log, &self.context, unit, len, self.context.modified);
                d.text(field::MESSAGE, &words.join(" "));
                return d.finish(None, out);
            }
            _ => {}
        }
        let (owner, rest) = match (joined.indented, words.split_first()) {
            (true, _) => (self.owner.clone(), &words[..]),
            (false, Some((owner, rest))) => (self.whole(owner), rest),
            (false, None) => (String::new(), &words[..]),
        };
        // Time to live and class stand before the type, in any order.
        let (mut ttl, mut class, mut at) = (None, "IN", 0);
        while let Some(word) = rest.get(at).filter(|_| at < 2) {
            if let Some(seconds) = seconds(word) {
                ttl = Some(seconds);
            } else if matches!(word.to_ascii_uppercase().as_str(), "IN" | "CH" | "HS" | "CS") {
                class = word;
            } else {
                break;
            }
            at += 1;
        }
        let kind = rest.get(at).map(|k| k.to_ascii_uppercase()).filter(|k| super::dns_text::is_type(k));
        let data = rest.get(at + 1..).unwrap_or(&[]);
        let Some(kind) = kind.filter(|_| !data.is_empty()) else {
            out.oddities.push(Oddity::at("record_malformed", format!("byte {}", unit.offset)));
            return Status::Failed;
        };
        self.owner = owner;
        let mut d = Draft::new(Kind::Dns, &self.context, unit, len, self.context.modified);
        d.partial = cut;
        if cut {
            out.oddities.push(Oddity::at("record_cut", format!("byte {}", unit.offset)));
        }
        d.text(field::APP, "dns");
        d.text(field::ACTION, "stated");
        d.text(field::NAME, if self.owner.is_empty() { "." } else { &self.owner });
        d.text(field::DNS_TYPE, &kind);
        if let Some(ttl) = ttl.or(self.ttl) {
            d.uint(field::DNS_TTL, ttl);
        }
        if !class.eq_ignore_ascii_case("IN") {
            d.keep("class", class);
        }
        self.data(&kind, data, &mut d);
        d.finish(None, out)
    }
    fn data(&self, kind: &str, data: &[&str], d: &mut Draft) {
        match (kind, data) {
            ("CNAME" | "NS" | "PTR" | "DNAME", [name, ..]) => answer(&self.whole(name), kind, d),
            ("MX", [preference, name, ..]) => {
                answer(&self.whole(name), kind, d);
                d.keep("preference", preference);
            }
            ("SRV", [priority, weight, port, name, ..]) => {
                answer(&self.whole(name), kind, d);
                for (key, value) in [("priority", priority), ("weight", weight), ("port", port)] {
                    d.keep(key, value);
                }
            }
            ("SOA", [server, mailbox, numbers @ ..]) => {
                d.text(field::ANSWER_NAME, &self.whole(server));
                d.keep("mailbox", &self.whole(mailbox));
                for (key, value) in ["serial", "refresh", "retry", "expire", "minimum"].iter().zip(numbers) {
                    d.keep(key, value);
                }
            }
            // A text in parts is one text (RFC 7208, 3.3).
            ("TXT" | "SPF", parts) => _ = d.text(field::ANSWER_TEXT, &parts.concat()),
            (_, parts) => answer(&parts.join(" "), kind, d),
        }
    }
    /// A name without the dot at its end, completed by the origin.
    fn whole(&self, name: &str) -> String {
        match (name, name.strip_suffix('.')) {
            ("@", _) => self.origin.clone(),
            (_, Some(whole)) => whole.to_owned(),
            (name, None) if self.origin.is_empty() => name.to_owned(),
            (name, None) => format!("{name}.{}", self.origin),
        }
    }
}

/// `3600`, `1h30m`, `2D`.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut number = None::<u64>;
    for b in text.bytes() {
        match b {
            b'0'..=b'9' => number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(b - b'0'))?),
            _ => {
                let unit = match b.to_ascii_lowercase() {
                    b's' => 1,
                    b'm' => 60,
                    b'h' => 3600,
                    b'd' => 86_400,
                    b'w' => 604_800,
                    _ => return None,
                };
                total = total.checked_add(number.take()?.checked_mul(unit)?)?;
            }
        }
    }
    match number {
        Some(rest) => total.checked_add(rest),
        None => Some(total).filter(|_| !text.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_zone_with_origin_brackets_and_owners_that_are_left_out() {
        let text = "; zone\n$ORIGIN example.com.\n$TTL 1h30m\n@ IN SOA ns1 admin (\n  2026112001 ; serial\n  3600 900 604800 300 )\n  IN NS ns1\n\twww\n  600 MX 10 mail.example.net.\n\
            ns1 3600 IN A 192.0.2.53\nwww A 192.0.2.80\n AAAA 2001:db8::80\n$ORIGIN sub\nx TXT \"v=spf1; \" \"-all\"\n_sip._tcp SRV 1 2 5060 www.example.com.\n$INCLUDE other.zone\ny IN A\n";
        let read = read_all(&FORMAT, text);
        let shown = read.shown();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "dns 2026-11-20T12:00:00Z app=dns name=example.com dns.type=SOA dns.answer.name=ns1.example.com dns.ttl=5400 action=stated \
             extra={\"mailbox\":\"admin.example.com\",\"serial\":\"2026112001\",\"refresh\":\"3600\",\"retry\":\"900\",\"expire\":\"604800\",\"minimum\":\"300\"}"
        );
        let has = |text: &str| assert!(shown.contains(text), "{text} in\n{shown}");
        has("name=example.com dns.type=NS dns.answer.name=ns1.example.com dns.ttl=5400");
        has("name=example.com dns.type=MX dns.answer.name=mail.example.net dns.ttl=600");
        has("name=ns1.example.com dns.type=A dns.answer.ip=192.0.2.53 dns.ttl=3600");
        has("name=www.example.com dns.type=AAAA dns.answer.ip=2001:db8::80");
        has("name=x.sub.example.com dns.type=TXT dns.answer.text=v=spf1; -all");
        has("name=_sip._tcp.sub.example.com dns.type=SRV dns.answer.name=www.example.com");
        has("log 2026-11-20T12:00:00Z message=$INCLUDE other.zone");
        // `www` alone is no record, `y IN A` says nothing.
        assert_eq!((read.counts, read.oddities.len()), ([9, 0, 3, 2], 2));
    }

    #[test]
    fn open_brackets_and_quotes_are_said() {
        let read = read_all(&FORMAT, "a. 60 IN TXT \"open\nb. 60 IN A 192.0.2.1\nc. IN SOA x. y. (\n 1 2 3\n");
        assert_eq!(read.oddities, ["record_cut byte 0", "record_cut byte 40"]);
        assert_eq!(
            show(&FORMAT, "b. 60 IN A 192.0.2.1"),
            "dns 2026-11-20T12:00:00Z app=dns name=b dns.type=A dns.answer.ip=192.0.2.1 dns.ttl=60 action=stated"
        );
    }
}
