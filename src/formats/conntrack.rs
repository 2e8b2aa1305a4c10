//! Linux connection tracking: events of `conntrack -E` (with `-o timestamp,extended,id` or less), its listing, and
//! `/proc/net/nf_conntrack`, with or without syslog envelope.
//!
//! The record is the connection as its originator sees it; where the reply goes to another address than the original came from, that is
//! the translated source, and where it comes from another than the original went to, the translated destination. A listing has no times: its
//! records stand at the file's modification time, the action is `listed`.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, envelope, head, syslog};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::proto;
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Conntrack = Conntrack;

/// Connection tracking.
pub struct Conntrack;

impl Format for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }
    fn doc(&self) -> &'static str {
        "Linux connection tracking with NAT: conntrack -E events, conntrack -L, /proc/net/nf_conntrack (conntrack-tools)."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, is) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

/// Two tuples after a transport's name.
fn is(line: &str) -> bool {
    let Some(first) = line.find(" src=") else { return false };
    line[first + 5..].contains(" src=") && line[first..].contains(" dst=") && transport(&line[..first]).is_some()
}

/// The transport among the words before the tuples: its name, or the number that follows an unknown name.
fn transport(words: &str) -> Option<u8> {
    let mut words = words.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().and_then(|n| n.parse::<u8>().ok());
        match word {
            "ipv4" | "ipv6" => {}
            "unknown" => return next,
            _ => {
                if let Some(n) = proto::parse(word).filter(|n| Some(*n) == next && word.parse::<u8>().is_err()) {
                    return Some(n);
                }
            }
        }
    }
    None
}

struct Lines {
    context: Context,
}

/// One direction.
#[derive(Default)]
struct Tuple<'a> {
    src: &'a str,
    dst: &'a str,
    sport: &'a str,
    dport: &'a str,
    packets: &'a str,
    bytes: &'a str,
    kind: Option<u64>,
    code: Option<u64>,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if line.trim_ascii().is_empty() || line.starts_with(b"conntrack v") {
            return Status::Skipped;
        }
        let text = String::from_utf8_lossy(line);
        let envelope = envelope::open(&text);
        let message = envelope.message;
        let split = message.find("src=").filter(|_| is(message) || message.contains(" dst="));
        let Some((protocol, split)) = split.and_then(|at| Some((transport(&message[..at])?, at))) else {
            out.oddities.push(Oddity::at("conntrack_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let (words, tuples) = message.split_at(split);
        let mut time = envelope.time(&self.context, out);
        let mut action = "listed";
        let mut state = "";
        for word in words.split_ascii_whitespace() {
            match word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
                Some("NEW") => action = "new",
                Some("UPDATE") => action = "update",
                Some("DESTROY") => action = "destroy",
                Some(inside) => time = Time::parse_epoch(inside).or(time),
                None if word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b == b'2') => state = word,
                None => {}
            }
        }
        if time.is_none() {
            clock::assume(out, syslog::TIME_ASSUMED);
        }
        let mut d = Draft::new(Kind::Fw, &self.context, unit, line.len(), time.unwrap_or(self.context.modified));
        d.uint(field::PROTO, u64::from(protocol));
        d.text(field::ACTION, action);
        d.text(field::STATE, state);
        connection(tuples, &mut d, time.is_some());
        syslog::fill(&mut d, &envelope);
        d.finish(Some(envelope.host), out)
    }
}

fn connection(text: &str, d: &mut Draft, timed: bool) {
    let mut tuples: [Tuple; 2] = Default::default();
    let mut side = 0;
    for token in text.split_ascii_whitespace() {
        let Some((key, value)) = token.split_once('=') else {
            let flag = token.trim_matches(['[', ']']).to_ascii_lowercase();
            d.keep_json(&flag, "true");
            continue;
        };
        if key == "src" && !tuples[0].src.is_empty() {
            side = 1;
        }
        let tuple = &mut tuples[side];
        match key {
            "src" => tuple.src = value,
            "dst" => tuple.dst = value,
            "sport" => tuple.sport = value,
            "dport" => tuple.dport = value,
            "packets" => tuple.packets = value,
            "bytes" => tuple.bytes = value,
            "type" => tuple.kind = value.parse().ok(),
            "code" => tuple.code = value.parse().ok(),
            "id" if tuple.kind.is_some() => d.keep(if side == 0 { "icmp.id" } else { "icmp.id.reply" }, value),
            "id" => _ = d.text(field::UID, value),
            "delta-time" => match draft::seconds(value) {
                Some(nanos) => {
                    d.uint(field::ELAPSED, nanos);
                    if timed {
                        d.record.start = d.record.end.plus(-i64::try_from(nanos).unwrap_or(0));
                    }
                }
                None => d.keep(key, value),
            },
            _ => d.keep(key, value),
        }
    }
    let [original, reply] = tuples;
    for (id, value) in [
        (field::SRC_IP, original.src),
        (field::DST_IP, original.dst),
        (field::SRC_PORT, original.sport),
        (field::DST_PORT, original.dport),
        (field::PACKETS_OUT, original.packets),
        (field::BYTES_OUT, original.bytes),
        (field::PACKETS_IN, reply.packets),
        (field::BYTES_IN, reply.bytes),
    ] {
        d.put_or_keep(id, &field::name(id), value);
    }
    if let Some(kind) = original.kind {
        d.icmp(kind, original.code.unwrap_or(0));
    }
    translated(d, (original.src, original.sport), (reply.dst, reply.dport), field::NAT_SRC_IP, field::NAT_SRC_PORT);
    translated(d, (original.dst, original.dport), (reply.src, reply.sport), field::NAT_DST_IP, field::NAT_DST_PORT);
    d.partial |= !d.has(field::SRC_IP) || reply.src.is_empty();
}

fn translated(d: &mut Draft, before: (&str, &str), after: (&str, &str), ip: FieldId, port: FieldId) {
    let (Some(from), Some(to)) = (draft::address(before.0), draft::address(after.0)) else { return };
    if (from, before.1) != (to, after.1) {
        d.give(ip, Value::Addr(to));
        d.put_or_keep(port, &field::name(port), after.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn the_reply_shows_the_translation() {
        assert_eq!(
            show(
                &FORMAT,
                "ipv4     2 tcp      6 300 ESTABLISHED src=1.1.1.2 dst=2.2.2.2 sport=2000 dport=80 src=2.2.2.2 dst=1.1.1.1 sport=80 dport=12000 [ASSURED] mark=0 use=2"
            ),
            "fw 2026-11-20T12:00:00Z src.ip=1.1.1.2 src.port=2000 dst.ip=2.2.2.2 dst.port=80 proto=tcp state=ESTABLISHED action=listed \
             nat.src.ip=1.1.1.1 nat.src.port=12000 extra={\"assured\":true,\"mark\":\"0\",\"use\":\"2\"}"
        );
    }

    #[test]
    fn an_end_knows_its_beginning_and_its_counters() {
        assert_eq!(
            show(
                &FORMAT,
                "[1763625600.250000]\t[DESTROY] ipv4     2 udp      17 src=10.0.0.5 dst=192.0.2.53 sport=5000 dport=53 packets=1 bytes=60 src=10.0.0.53 dst=10.0.0.5 sport=53 dport=5000 packets=1 bytes=120 delta-time=30 id=77"
            ),
            "fw 2025-11-20T07:59:30.250Z..2025-11-20T08:00:00.250Z src.ip=10.0.0.5 src.port=5000 dst.ip=192.0.2.53 dst.port=53 proto=udp uid=77 \
             packets.out=1 packets.in=1 bytes.out=60 bytes.in=120 action=destroy nat.dst.ip=10.0.0.53 nat.dst.port=53 elapsed=30s"
        );
    }
}
