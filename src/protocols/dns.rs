//! DNS (RFC 1035) over UDP and TCP: one event per transaction, the query matched with its answer by id, name and type within the
//! conversation. Also the parser of mDNS and LLMNR, which speak the same messages. Knows no caches and no other flow.

use super::common::buffer::Buffer;
use super::common::bytes::Bytes;
use super::common::dns_message::{Message, Question, name_at, rcode_name};
use super::common::dns_record::{Data, type_name};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::{TCP, UDP};
use crate::model::record::Kind;
use crate::model::time::SECOND;
use std::collections::VecDeque;

/// The protocol.
pub static PROTOCOL: Dns = Dns;

/// Queries that wait for their answer in one conversation; beyond it the oldest is given up.
const MAX_OUTSTANDING: usize = 1000;
/// How long a query waits for its answer.
const PATIENCE: i64 = 10 * SECOND;
/// Unread bytes of one side of a TCP conversation.
const MAX_BUFFER: usize = 128 * 1024;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Dns;

impl Protocol for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }
    fn doc(&self) -> &'static str {
        "Domain Name System over UDP and TCP (RFC 1035)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP, UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let usual = ends.src_port == 53 || ends.dst_port == 53;
        if [ends.src_port, ends.dst_port].iter().any(|p| matches!(p, 5353 | 5355)) {
            return Sniff::No;
        }
        if ends.proto != TCP {
            return looks_like(first, usual, true);
        }
        let mut b = Bytes::new(first);
        match b.u16() {
            Some(length) if length < 12 => Sniff::No,
            Some(length) => {
                let whole = b.left() >= usize::from(length);
                looks_like(b.rest().get(..usize::from(length)).unwrap_or(b.rest()), usual, whole)
            }
            None => Sniff::More,
        }
    }
    fn parser(&self, ends: &Ends) -> Box<dyn Parser> {
        Box::new(Conversation::new(ends, false))
    }
}

/// Whether bytes look like the beginning of a DNS message. `usual`: the port is the protocol's, so less proof is asked.
pub(super) fn looks_like(message: &[u8], usual: bool, whole: bool) -> Sniff {
    let short = if whole { Sniff::No } else { Sniff::More };
    let mut b = Bytes::new(message);
    let (Some(_), Some(flags), Some(questions)) = (b.u16(), b.u16(), b.u16()) else { return short };
    let (Some(answers), Some(authority), Some(additional)) = (b.u16(), b.u16(), b.u16()) else { return short };
    let response = flags & 0x8000 != 0;
    let records = u32::from(answers).saturating_add(u32::from(authority)).saturating_add(u32::from(additional));
    if !usual {
        // Opcodes that are in use, the reserved bit, codes of answers in questions, and counts beyond reason.
        let opcode = flags >> 11 & 15;
        if !matches!(opcode, 0 | 4 | 5) || flags & 0x40 != 0 || questions != 1 || (!response && flags & 15 != 0) || records > 500
        {
            return Sniff::No;
        }
        if !response && opcode == 0 && (answers > 0 || authority > 1 || additional > 2) {
            return Sniff::No;
        }
    }
    if questions == 0 {
        return if usual && (response || records > 0) { Sniff::Yes } else { Sniff::No };
    }
    let Some((_, used, odd)) = name_at(message, 12) else { return short };
    let Some(mut tail) = message.get(used.saturating_add(12)..).map(Bytes::new) else { return short };
    let (Some(kind), Some(class)) = (tail.u16(), tail.u16()) else { return short };
    let netbios = matches!(kind, 32 | 33) && message.get(12) == Some(&32) && is_netbios(message.get(13..45));
    let fine = odd.is_none() && kind != 0 && matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) && !netbios;
    if fine || (usual && !netbios && questions < 64) { Sniff::Yes } else { Sniff::No }
}

/// Whether a label is a NetBIOS name in its first-level encoding (RFC 1001): such messages only resemble DNS.
fn is_netbios(label: Option<&[u8]>) -> bool {
    label.is_some_and(|l| l.iter().all(|b| matches!(b, b'A'..=b'P')))
}

/// A question that waits.
struct Pending {
    side: Side,
    id: u16,
    question: Question,
    at: At,
}

/// The state of one conversation.
pub(super) struct Conversation {
    stream: bool,
    /// mDNS and LLMNR: answers come unasked, and from elsewhere.
    local: bool,
    buffers: [Buffer; 2],
    pending: VecDeque<Pending>,
    told: bool,
    understood: bool,
}

impl Conversation {
    /// A conversation; `local` where answers need no question.
    pub(super) fn new(ends: &Ends, local: bool) -> Conversation {
        Conversation {
            stream: ends.proto == TCP,
            local,
            buffers: Default::default(),
            pending: VecDeque::new(),
            told: false,
            understood: false,
        }
    }

    fn message(&mut self, side: Side, bytes: &[u8], first: At, last: At, out: &mut Out) {
        let Some(message) = Message::parse(bytes) else {
            out.oddities.push((Oddity::at("dns_truncated", "header"), first.time, first.offset));
            out.violated |= !self.understood;
            return;
        };
        self.understood = true;
        out.oddities.extend(message.oddities.iter().cloned().map(|o| (o, first.time, first.offset)));
        while self.pending.front().is_some_and(|p| first.time.since(p.at.time) > PATIENCE) {
            self.give_up(out);
        }
        if message.is_response() {
            self.answer(side, &message, first, last, out);
        } else {
            self.ask(side, &message, first, out);
        }
    }

    fn ask(&mut self, side: Side, message: &Message, at: At, out: &mut Out) {
        for question in &message.questions {
            let again = self.pending.iter().any(|p| p.side == side && p.id == message.id && p.question == *question);
            if again {
                continue;
            }
            if self.pending.len() >= MAX_OUTSTANDING {
                if !std::mem::replace(&mut self.told, true) {
                    out.partial = true;
                    out.oddities.push((Oddity::new("dns_many_outstanding"), at.time, at.offset));
                }
                self.give_up(out);
            }
            self.pending.push_back(Pending { side, id: message.id, question: question.clone(), at });
        }
    }

    fn answer(&mut self, side: Side, message: &Message, first: At, last: At, out: &mut Out) {
        let question = message.questions.first();
        let asked = self.pending.iter().position(|p| {
            p.side != side
                && p.id == message.id
                && question.is_none_or(|q| q.name == p.question.name && q.kind == p.question.kind)
        });
        let asked = asked.and_then(|i| self.pending.remove(i));
        out.confirmed |= asked.is_some();
        let mut fields = Fields::default();
        let question = question.or(asked.as_ref().map(|p| &p.question));
        let start = asked.as_ref().map_or(first, |p| p.at);
        match (question, message.answers.first()) {
            (Some(q), _) => describe(q, message.id, &mut fields),
            // An announcement asks nothing: what it is about is the owner of what it says.
            (None, Some(r)) => {
                describe(&Question { name: r.name.clone(), kind: r.kind, class: 1 }, message.id, &mut fields);
            }
            (None, None) => fields.add(field::DNS_ID, u64::from(message.id)),
        }
        fields.text(field::DNS_RCODE, &rcode_name(message.rcode()));
        if let Some(pending) = &asked {
            fields.add(field::DNS_RTT, first.time.since(pending.at.time).max(0) as u64);
        } else if !self.local {
            fields.text(field::EXTRA, "{\"unsolicited\":true}");
        }
        if let Some(place) = self.answers(question, message, &mut fields) {
            out.oddities.push((Oddity::at("dns_answer_off_name", place), first.time, first.offset));
        }
        out.events.push(fields.event(Kind::Dns, start, last));
    }

    /// Adds the answers. Records that the question's name does not lead to (by CNAME or DNAME in the same message) are kept as text only,
    /// so that they name nothing; the first such owner is returned.
    fn answers(&self, question: Option<&Question>, message: &Message, fields: &mut Fields) -> Option<String> {
        let transfer = question.is_none_or(|q| matches!(q.kind, 251 | 252));
        let mut chain: Vec<&str> = question.map(|q| q.name.as_str()).into_iter().collect();
        let mut grown = !(self.local || transfer);
        while grown && chain.len() <= 32 {
            grown = false;
            for r in &message.answers {
                let owns = chain.contains(&r.name.as_str())
                    || r.kind == 39 && chain.iter().any(|n| n.strip_suffix(r.name.as_str()).is_some_and(|n| n.ends_with('.')));
                if let (5 | 39, Data::Name(target), true) = (r.kind, &r.data, owns) {
                    grown |= !chain.contains(&target.as_str());
                    chain.extend([target.as_str(), r.name.as_str()]);
                }
            }
        }
        let mut off = None;
        for r in &message.answers {
            if !self.local && !transfer && !chain.contains(&r.name.as_str()) {
                let said = match &r.data {
                    Data::Ip(list, _) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                    Data::Name(text) | Data::Text(text) => text.clone(),
                };
                fields.text(field::ANSWER_TEXT, &format!("{} {} {said}", r.name, type_name(r.kind)));
                off.get_or_insert_with(|| r.name.clone());
                continue;
            }
            match &r.data {
                Data::Ip(list, text) => {
                    list.iter().for_each(|a| fields.add(field::ANSWER_IP, *a));
                    fields.text(field::ANSWER_TEXT, text.as_deref().unwrap_or_default());
                }
                Data::Name(name) => fields.text(field::ANSWER_NAME, name),
                Data::Text(text) => fields.text(field::ANSWER_TEXT, text),
            }
        }
        fields.maybe(field::DNS_TTL, message.answers.iter().map(|r| u64::from(r.ttl)).min());
        off
    }

    /// Gives back the oldest question as one that got no answer.
    fn give_up(&mut self, out: &mut Out) {
        if let Some(p) = self.pending.pop_front() {
            let mut fields = Fields::default();
            describe(&p.question, p.id, &mut fields);
            out.events.push(fields.event(Kind::Dns, p.at, p.at));
        }
    }
}

fn describe(question: &Question, id: u16, fields: &mut Fields) {
    fields.text(field::NAME, &question.name);
    fields.text(field::DNS_TYPE, &type_name(question.kind));
    fields.add(field::DNS_ID, u64::from(id));
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if !self.stream {
            return self.message(side, bytes, at, at, out);
        }
        let index = usize::from(side == Side::In);
        let Some(mut buffer) = self.buffers.get_mut(index).map(std::mem::take) else { return };
        if !buffer.push(bytes, at, MAX_BUFFER) {
            out.partial = true;
            out.oddities.push((Oddity::new("dns_stream_too_long"), at.time, at.offset));
            out.done = true;
            return;
        }
        while let Some(message) = Bytes::new(buffer.unread()).list16() {
            let first = buffer.first(at);
            self.message(side, message, first, at, out);
            let used = message.len().saturating_add(2);
            buffer.skip(used);
        }
        if let Some(slot) = self.buffers.get_mut(index) {
            *slot = buffer;
        }
    }
    fn end(&mut self, out: &mut Out) {
        while !self.pending.is_empty() {
            self.give_up(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;
    use crate::model::value::Value;

    fn ends(proto: u8) -> Ends {
        let ip = |n: u8| std::net::IpAddr::from([10, 0, 0, n]);
        Ends { src: ip(1), src_port: 40_000, dst: ip(2), dst_port: 53, proto }
    }
    fn at(n: i64) -> At {
        At { time: Time(n), offset: n as u64 }
    }
    fn query(id: u8, name: &str) -> Vec<u8> {
        let mut m = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            m.push(label.len() as u8);
            m.extend(label.as_bytes());
        }
        m.extend([0, 0, 1, 0, 1]);
        m
    }
    fn answer(id: u8, name: &str, owner: &[u8]) -> Vec<u8> {
        let mut m = query(id, name);
        m[2] = 0x81;
        m[7] = 1;
        m.extend(owner);
        m.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        m
    }
    fn get(fields: &[(field::FieldId, Value)], id: field::FieldId) -> Option<String> {
        fields.iter().find(|(f, _)| *f == id).map(|(_, v)| v.to_string())
    }

    #[test]
    fn a_query_and_its_answer_are_one_event() {
        let mut c = Conversation::new(&ends(UDP), false);
        let mut out = Out::default();
        c.data(Side::Out, &query(1, "A.example"), at(5), &mut out);
        c.data(Side::Out, &query(1, "A.example"), at(6), &mut out);
        assert!(out.events.is_empty());
        c.data(Side::In, &answer(1, "a.example", &[0xc0, 12]), at(9), &mut out);
        c.end(&mut out);
        assert_eq!(out.events.len(), 1);
        let e = &out.events[0];
        assert_eq!((e.start, e.end, e.offset), (Time(5), Time(9), 5));
        assert_eq!(get(&e.fields, field::NAME).as_deref(), Some("a.example"));
        assert_eq!(get(&e.fields, field::ANSWER_IP).as_deref(), Some("192.0.2.1"));
        assert_eq!(get(&e.fields, field::DNS_RTT).as_deref(), Some("4"));
        assert!(out.confirmed && out.oddities.is_empty());
    }

    #[test]
    fn an_unanswered_query_is_given_back_at_the_end_or_after_ten_seconds() {
        let mut c = Conversation::new(&ends(UDP), false);
        let mut out = Out::default();
        c.data(Side::Out, &query(1, "a"), at(0), &mut out);
        c.data(Side::Out, &query(2, "b"), at(PATIENCE + 1), &mut out);
        assert_eq!(out.events.len(), 1);
        c.end(&mut out);
        assert_eq!(out.events.len(), 2);
        assert_eq!(get(&out.events[1].fields, field::DNS_RCODE), None);
    }

    #[test]
    fn an_answer_about_another_name_names_nothing() {
        let mut c = Conversation::new(&ends(UDP), false);
        let mut out = Out::default();
        c.data(Side::In, &answer(1, "a.example", b"\x04evil\0"), at(1), &mut out);
        let e = &out.events[0];
        assert_eq!(get(&e.fields, field::ANSWER_IP), None);
        assert_eq!(get(&e.fields, field::ANSWER_TEXT).as_deref(), Some("evil A 192.0.2.1"));
        assert_eq!(get(&e.fields, field::EXTRA).as_deref(), Some("{\"unsolicited\":true}"));
        assert_eq!(out.oddities[0].0, Oddity::at("dns_answer_off_name", "evil"));
    }

    #[test]
    fn messages_of_a_stream_are_joined_over_segments() {
        let mut c = Conversation::new(&ends(TCP), false);
        let mut out = Out::default();
        let m = query(1, "a.example");
        let mut stream = (m.len() as u16).to_be_bytes().to_vec();
        stream.extend(&m);
        for (i, b) in stream.iter().enumerate() {
            c.data(Side::Out, &[*b], at(i as i64), &mut out);
        }
        c.end(&mut out);
        assert_eq!((out.events.len(), out.events[0].offset), (1, 0));
    }

    #[test]
    fn outstanding_queries_are_bounded() {
        let mut c = Conversation::new(&ends(UDP), false);
        let mut out = Out::default();
        for i in 0..MAX_OUTSTANDING + 5 {
            c.data(Side::Out, &query(1, &format!("n{i}")), at(1), &mut out);
        }
        assert_eq!((out.events.len(), out.oddities.len()), (5, 1));
    }

    #[test]
    fn other_datagrams_are_not_taken_for_dns() {
        let strange = Ends { dst_port: 9999, ..ends(UDP) };
        assert_eq!(PROTOCOL.probe(Side::Out, &query(1, "a.example"), &strange), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::Out, &[0; 48], &strange), Sniff::No);
        assert_eq!(PROTOCOL.probe(Side::Out, b"GET / HTTP/1.1\r\n\r\n and more bytes", &strange), Sniff::No);
    }
}
