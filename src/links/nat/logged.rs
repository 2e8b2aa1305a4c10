//! Bindings that logs state: every record with an end before and after translation, whatever its format. A line that opens and the one that
//! closes it belong together by their ends or by the source's own id of the connection (Cisco ASA 302013 and 302014: the teardown does not
//! repeat the translation).
//!
//! What no line states is assumed: an end after [`idle`] or at the next use of the same outside end, whichever is first. Linux's
//! `nf_conntrack_*_timeout`, Cisco ASA's `timeout conn` and RFC 4787, RFC 5382 give the order of magnitude.

use super::binding::{Binding, BindingKind, End, Method};
use crate::model::time::SECOND;
use crate::model::{FieldId, Kind, Record, RecordId, SourceId, Time, field, proto};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// Stored fields that are read.
pub const FIELDS: [FieldId; 14] = [
    field::SRC_IP,
    field::SRC_PORT,
    field::DST_IP,
    field::DST_PORT,
    field::PROTO,
    field::UID,
    field::STATE,
    field::NAT_SRC_IP,
    field::NAT_SRC_PORT,
    field::NAT_DST_IP,
    field::NAT_DST_PORT,
    field::ACTION,
    field::LEASE,
    field::CATEGORY,
];

/// Confidence of a binding whose begin and end are stated, of one whose end was assumed at a stated begin, and of one whose end is a guess.
const BOTH: f32 = 0.99;
const ONE: f32 = 0.95;
const GUESSED: f32 = 0.80;
/// Most lines that are waiting for the one that closes them.
const OPEN: usize = 1_000_000;

/// What a line says of a binding's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It begins.
    Opens,
    /// It ends; its begin may be stated as well.
    Closes,
    /// It is there.
    Stands,
}

/// Ends of a connection before and after translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Ends {
    proto: Option<u8>,
    src: End,
    dst: Option<End>,
    nat_src: Option<End>,
    nat_dst: Option<End>,
}

/// What one line says.
#[derive(Debug, Clone, Copy)]
struct Line {
    source: SourceId,
    ends: Ends,
    start: Time,
    end: Time,
    life: Life,
    whole: bool,
    vpn: bool,
    id: RecordId,
}

/// Gathers what logs state of translations.
#[derive(Debug, Default)]
pub struct Logged {
    lines: Vec<Line>,
    /// Connections by their source's id, whose end may be in a line without the translation.
    /// with their begin: ids come round.
    waiting: BTreeSet<(SourceId, Box<str>, Time, u32)>,
    /// Ends of such, by line.
    closed: HashMap<u32, (Time, RecordId)>,
    /// Lines beyond the bound.
    pub beyond: u64,
}

/// How long a binding of a protocol is kept without traffic, as far as nothing is stated. Nanoseconds.
pub fn idle(protocol: Option<u8>) -> i64 {
    SECOND
        * match protocol {
            Some(proto::TCP) => 86_400,
            Some(proto::UDP) => 120,
            Some(proto::ICMP | proto::ICMP6) => 30,
            // Of an address as such: until it is used otherwise.
            None => 86_400,
            Some(_) => 600,
        }
}

impl Logged {
    /// Takes a record that names an end after translation, or an address that a VPN gateway assigned; others say nothing.
    pub fn add(&mut self, record: &Record) {
        let Some((ends, vpn)) = ends(record) else { return };
        // What was refused was not translated, whatever the rule would have made of it.
        if matches!(record.text(field::ACTION), Some("deny" | "drop" | "blocked" | "block")) {
            return;
        }
        if self.lines.len() >= OPEN {
            self.beyond += 1;
            return;
        }
        let life = life(record);
        let whole = record.end > record.start;
        let (start, end) = (record.time(), record.until());
        let number = self.lines.len() as u32;
        self.lines.push(Line { source: record.source, ends, start, end, life, whole, vpn, id: record.id });
        if life == Life::Opens
            && let Some(uid) = record.text(field::UID)
        {
            self.waiting.insert((record.source, uid.into(), start, number));
        }
    }
    /// Whether lines without a translation may close what waits.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }
    /// The sources whose lines may do so.
    pub fn waiting_of(&self) -> Vec<SourceId> {
        let mut out: Vec<SourceId> = self.waiting.iter().map(|(source, ..)| *source).collect();
        out.dedup();
        out
    }
    /// Takes a record that names no translation: it may close a connection that is known by its id.
    pub fn close(&mut self, record: &Record) {
        if life(record) != Life::Closes {
            return;
        }
        let Some(uid) = record.text(field::UID) else { return };
        let end = record.until();
        // Of the connections with the id it is the last that had begun.
        let last = (record.source, Box::<str>::from(uid), end, u32::MAX);
        let Some((_, _, _, number)) = self.waiting.range(..=&last).next_back().filter(|w| (w.0, &w.1) == (last.0, &last.1))
        else {
            return;
        };
        // The first end after the begin is its own.
        let known = self.closed.entry(*number).or_insert((end, record.id));
        if end < known.0 {
            *known = (end, record.id);
        }
    }
    /// The bindings.
    pub fn finish(mut self) -> Vec<Binding> {
        let mut numbers: Vec<u32> = (0..self.lines.len() as u32).collect();
        let lines = std::mem::take(&mut self.lines);
        numbers.sort_unstable_by_key(|n| {
            let line = &lines[*n as usize];
            // At one moment what ends does so before what begins.
            (line.source, line.ends, line.end, line.life == Life::Opens, line.id)
        });
        let mut spans = Vec::new();
        for run in numbers.chunk_by(|a, b| {
            let (a, b) = (&lines[*a as usize], &lines[*b as usize]);
            (a.source, a.ends) == (b.source, b.ends)
        }) {
            let run: Vec<(Line, Option<(Time, RecordId)>)> =
                run.iter().map(|n| (lines[*n as usize], self.closed.get(n).copied())).collect();
            spans_of(&run, &mut spans);
        }
        let mut out: Vec<Binding> = spans.iter().flat_map(Span::bindings).collect();
        until_reused(&mut out);
        out
    }
}

/// A connection's translation over time.
#[derive(Debug)]
struct Span {
    ends: Ends,
    vpn: bool,
    start: Time,
    end: Time,
    open: bool,
    guessed_start: bool,
    evidence: Vec<RecordId>,
}

/// Lines of one source about the same ends, in order.
fn spans_of(run: &[(Line, Option<(Time, RecordId)>)], out: &mut Vec<Span>) {
    let mut current: Option<Span> = None;
    let mut push = |span: Option<Span>| out.extend(span);
    for (line, closed) in run {
        let (start, end) = (line.start, line.end);
        let span = |open, guessed_start| Span {
            ends: line.ends,
            vpn: line.vpn,
            start,
            end,
            open,
            guessed_start,
            evidence: vec![line.id],
        };
        match (line.life, current.as_mut()) {
            (Life::Opens, before) => {
                if let Some(before) = before
                    && before.open
                {
                    // Its end was not logged: it ended before this.
                    before.end = before.end.max(start.plus(-1).min(before.end.plus(idle(line.ends.proto))));
                    before.open = false;
                    before.guessed_start |= before.evidence.len() < 2;
                }
                push(current.take());
                let mut new = span(true, false);
                if let Some((end, id)) = closed {
                    new.end = *end;
                    new.open = false;
                    new.evidence.push(*id);
                }
                current = Some(new);
            }
            (Life::Closes, Some(before)) if before.open => {
                before.end = before.end.max(end);
                before.start = before.start.min(start);
                before.open = false;
                before.evidence.truncate(1);
                before.evidence.push(line.id);
            }
            // Reports of one session, each of its whole time so far.
            (_, Some(before)) if line.whole && start <= before.end.plus(SECOND) => {
                before.end = before.end.max(end);
                before.start = before.start.min(start);
                before.open &= line.life != Life::Closes;
                before.evidence.truncate(1);
                before.evidence.push(line.id);
            }
            (Life::Stands, Some(before)) if before.open && end.since(before.end) <= idle(line.ends.proto) => {
                before.end = before.end.max(end);
                before.evidence.truncate(1);
                before.evidence.push(line.id);
            }
            (life, _) => {
                push(current.take());
                // A row about a whole session that is over states both; a line about a moment neither of its own.
                let over = life == Life::Closes || line.whole;
                current = Some(span(!over, !line.whole));
            }
        }
    }
    push(current);
}

impl Span {
    fn bindings(&self) -> impl Iterator<Item = Binding> {
        let Ends { proto, src, dst, nat_src, nat_dst } = self.ends;
        let confidence = match (self.open, self.guessed_start) {
            (false, false) => BOTH,
            (false, true) => ONE,
            (true, _) => GUESSED,
        };
        let binding = |kind, inside: End, outside: End, peer, peer_inside| {
            let end = if self.open { self.end.plus(idle(proto)) } else { self.end };
            Binding {
                kind,
                proto,
                inside,
                outside,
                peer,
                peer_inside: if peer_inside == peer { None } else { peer_inside },
                start: self.start,
                end,
                // Whole seconds are the coarsest that these logs have.
                uncertainty: SECOND,
                method: Method::Log,
                confidence,
                margin: None,
                assumed: self.open,
                conflict: false,
                evidence: self.evidence.clone(),
            }
        };
        let source = nat_src.filter(|nat| *nat != src).map(|nat| {
            let kind = match () {
                () if self.vpn => BindingKind::Vpn,
                () if nat.ip.is_ipv4() != src.ip.is_ipv4() => BindingKind::Nat64,
                () if src.port.is_none() && nat.port.is_none() && dst.is_none() => BindingKind::Static,
                () if src.port.is_some() && nat.port.is_some() && src.port != nat.port => BindingKind::Napt,
                () => BindingKind::Snat,
            };
            binding(kind, src, nat, nat_dst.or(dst), dst)
        });
        let responder =
            nat_dst.zip(dst).filter(|(nat, dst)| nat != dst && nat.ip.is_ipv4() == dst.ip.is_ipv4()).map(|(nat, dst)| {
                // Seen from outside it is the originator who is the peer, and the originator as it arrives inside.
                binding(BindingKind::Dnat, nat, dst, Some(src), Some(nat_src.unwrap_or(src)))
            });
        source.into_iter().chain(responder)
    }
}

/// Ends what was only assumed to last at the next use of the same outside end.
fn until_reused(all: &mut [Binding]) {
    all.sort_by_key(|b| (b.outside, b.proto, b.peer, b.start, b.end, b.inside));
    let mut next: Option<(End, Option<u8>, Option<End>, Time)> = None;
    for binding in all.iter_mut().rev() {
        let key = (binding.outside, binding.proto, binding.peer);
        if let Some((outside, proto, peer, start)) = next
            && (outside, proto, peer) == key
            && binding.assumed
        {
            binding.end = binding.end.min(start.plus(-1)).max(binding.start);
        }
        next = Some((key.0, key.1, key.2, binding.start));
    }
}

fn life(record: &Record) -> Life {
    let action = record.text(field::ACTION).unwrap_or_default().to_ascii_lowercase();
    match action.as_str() {
        "new" | "start" | "open" | "opened" | "create" | "created" | "built" | "build" | "add" | "lease" => Life::Opens,
        "destroy" | "close" | "closed" | "end" | "teardown" | "delete" | "deleted" | "timeout" | "reset" | "logout" => {
            Life::Closes
        }
        // Rows about a session are written at its end.
        _ if record.end > record.start || record.kind == Kind::Flow => Life::Closes,
        _ if action.contains("-rst") || action.contains("close") || action.contains("timeout") => Life::Closes,
        _ => Life::Stands,
    }
}

/// The ends that a record names; none: it is about no translation.
fn ends(record: &Record) -> Option<(Ends, bool)> {
    let port = |f| record.uint(f).and_then(|p| u16::try_from(p).ok());
    let proto = record.uint(field::PROTO).and_then(|p| u8::try_from(p).ok());
    // Of ICMP what stands there is type and code: no ends.
    let has_ports = !matches!(proto, Some(proto::ICMP | proto::ICMP6));
    let end = |ip: FieldId, p: FieldId| {
        let ip = record.addr(ip).filter(|ip| !ip.is_unspecified())?;
        Some(End::new(ip, port(p).filter(|p| has_ports && *p != 0)))
    };
    if let (Some(lease), Some(client), Kind::Auth) = (record.addr(field::LEASE), record.addr(field::SRC_IP), record.kind) {
        let ends =
            Ends { proto: None, src: End::new(lease, None), dst: None, nat_src: Some(End::new(client, None)), nat_dst: None };
        return (lease != client).then_some((ends, true));
    }
    let (src, dst) = (end(field::SRC_IP, field::SRC_PORT)?, end(field::DST_IP, field::DST_PORT));
    let translated = |before: Option<End>, ip, p| {
        let before = before?;
        let after: IpAddr = record.addr(ip).filter(|ip| !ip.is_unspecified())?.to_canonical();
        // Without a port of its own the port was kept.
        let port = port(p).filter(|p| has_ports && *p != 0).or(before.port);
        let after = End { ip: after, port };
        (after != before).then_some(after)
    };
    let nat_src = translated(Some(src), field::NAT_SRC_IP, field::NAT_SRC_PORT);
    let nat_dst = translated(dst, field::NAT_DST_IP, field::NAT_DST_PORT);
    (nat_src.is_some() || nat_dst.is_some()).then_some((Ends { proto, src, dst, nat_src, nat_dst }, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EvidenceKey, Value};

    fn line(n: u64, at: i64, action: &str, src: &str, nat: &str, dst: &str, uid: &str) -> Record {
        let id = RecordId { evidence: EvidenceKey(1), offset: n, ordinal: 0 };
        let mut record = Record::new(Kind::Fw, id, SourceId(1), Time(at * SECOND));
        let mut put = |ip, port, text: &str| {
            if let Some((a, p)) = text.rsplit_once(':') {
                record.set(ip, Value::Addr(a.parse().unwrap()));
                record.set(port, p.parse::<u64>().unwrap());
            }
        };
        put(field::SRC_IP, field::SRC_PORT, src);
        put(field::NAT_SRC_IP, field::NAT_SRC_PORT, nat);
        put(field::DST_IP, field::DST_PORT, dst);
        record.set(field::PROTO, 6u64);
        record.set_text(field::ACTION, action);
        record.set_text(field::UID, uid);
        record
    }
    fn of(lines: &[Record]) -> Vec<Binding> {
        let mut logged = Logged::default();
        lines.iter().for_each(|l| logged.add(l));
        lines.iter().filter(|l| l.get(field::NAT_SRC_IP).is_none()).for_each(|l| logged.close(l));
        logged.finish()
    }
    const IN: &str = "10.0.0.5:4000";
    const OUT: &str = "198.51.100.2:9000";
    const PEER: &str = "192.0.2.1:443";

    #[test]
    fn a_line_that_opens_and_one_that_closes_are_one_binding() {
        let got = of(&[line(1, 100, "new", IN, OUT, PEER, "7"), line(2, 160, "destroy", IN, OUT, PEER, "7")]);
        assert_eq!(got.len(), 1);
        let b = &got[0];
        assert_eq!((b.start, b.end, b.confidence, b.assumed), (Time(100 * SECOND), Time(160 * SECOND), BOTH, false));
        assert_eq!(b.to_string(), "tcp 10.0.0.5:4000 is 198.51.100.2:9000 outside, with 192.0.2.1:443");
        assert_eq!((b.kind, b.evidence.len()), (BindingKind::Napt, 2));
    }

    #[test]
    fn a_teardown_without_the_translation_closes_by_the_connection_s_id() {
        let lines = [
            line(1, 100, "start", IN, OUT, PEER, "111"),
            line(2, 130, "close", IN, "", PEER, "111"),
            line(3, 131, "close", IN, "", PEER, "112"),
            line(4, 900, "close", IN, "", PEER, "111"),
        ];
        let got = of(&lines);
        assert_eq!((got.len(), got[0].end, got[0].confidence), (1, Time(130 * SECOND), BOTH));
        assert_eq!(got[0].evidence.iter().map(|e| e.offset).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_id_that_comes_round_is_a_connection_each_time() {
        let lines = [
            line(1, 100, "start", IN, OUT, PEER, "111"),
            line(2, 500, "start", "10.0.0.6:4000", "198.51.100.2:9001", PEER, "111"),
            line(3, 130, "close", IN, "", PEER, "111"),
            line(4, 560, "close", "10.0.0.6:4000", "", PEER, "111"),
            line(5, 50, "close", IN, "", PEER, "111"),
        ];
        let got: Vec<(Time, Time, bool)> = of(&lines).iter().map(|b| (b.start, b.end, b.assumed)).collect();
        let at = |s: i64| Time(s * SECOND);
        assert_eq!(got, [(at(100), at(130), false), (at(500), at(560), false)]);
    }

    #[test]
    fn an_end_that_is_not_stated_is_assumed_up_to_the_next_use() {
        let got = of(&[line(1, 100, "new", IN, OUT, PEER, "1"), line(2, 500, "new", "10.0.0.6:1", OUT, PEER, "2")]);
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].end, got[0].confidence, got[0].assumed), (Time(500 * SECOND - 1), GUESSED, true));
        assert_eq!(got[1].end, Time((500 + 86_400) * SECOND));
        let mut udp = line(1, 100, "listed", IN, OUT, PEER, "");
        udp.fields.retain(|(f, _)| *f != field::PROTO);
        udp.set(field::PROTO, 17u64);
        assert_eq!(of(&[udp])[0].end, Time(220 * SECOND));
    }

    #[test]
    fn a_row_about_a_session_states_all_and_its_reports_are_one() {
        let mut first = line(1, 100, "accept", IN, OUT, PEER, "5");
        first.end = Time(220 * SECOND);
        let mut last = line(2, 100, "close", IN, OUT, PEER, "5");
        last.end = Time(400 * SECOND);
        let got = of(&[first, last]);
        assert_eq!((got.len(), got[0].start, got[0].end, got[0].confidence), (1, Time(100 * SECOND), Time(400 * SECOND), BOTH));
    }

    #[test]
    fn a_destination_is_translated_the_other_way_round() {
        let mut record = line(1, 100, "new", "203.0.113.5:41000", "", "198.51.100.2:8631", "");
        record.set(field::NAT_DST_IP, Value::Addr([10, 8, 50, 10].into()));
        record.set(field::NAT_DST_PORT, 80u64);
        record.end = Time(110 * SECOND);
        let got = of(&[record]);
        let shown = (got[0].kind, got[0].inside.to_string(), got[0].outside.to_string(), got[0].peer.map(|p| p.to_string()));
        let peer = Some("203.0.113.5:41000".to_owned());
        assert_eq!(shown, (BindingKind::Dnat, "10.8.50.10:80".into(), "198.51.100.2:8631".into(), peer));
    }

    #[test]
    fn icmp_has_no_ports_and_what_is_not_translated_is_no_binding() {
        let mut ping = line(1, 100, "start", "10.0.0.5:8", "198.51.100.2:8", "192.0.2.1:0", "");
        ping.fields.retain(|(f, _)| *f != field::PROTO);
        ping.set(field::PROTO, 1u64);
        let got = of(&[ping]);
        assert_eq!((got[0].inside.port, got[0].outside.port, got[0].kind), (None, None, BindingKind::Snat));
        assert!(of(&[line(1, 100, "new", IN, IN, PEER, "")]).is_empty());
    }

    #[test]
    fn an_address_that_a_vpn_gateway_assigned_is_the_client_s_inside() {
        let id = RecordId { evidence: EvidenceKey(1), offset: 1, ordinal: 0 };
        let mut record = Record::new(Kind::Auth, id, SourceId(1), Time(0));
        record.set(field::SRC_IP, Value::Addr([203, 0, 113, 9].into()));
        record.set(field::LEASE, Value::Addr([192, 168, 50, 5].into()));
        record.set_text(field::ACTION, "lease");
        let got = of(&[record]);
        assert_eq!((got[0].kind, got[0].outside.to_string()), (BindingKind::Vpn, "203.0.113.9".to_owned()));
    }
}
