//! NetBIOS name service (RFC 1002, UDP port 137): questions and answers about the names of Windows hosts, and the names that a host claims.

use super::common::bytes::Bytes;
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;
use crate::model::record::Kind;
use std::collections::VecDeque;
use std::net::IpAddr;

/// The protocol.
pub static PROTOCOL: Nbns = Nbns;

/// Questions that wait for their answer.
const MAX_PENDING: usize = 256;
/// Names and addresses of one answer.
const MAX_ANSWERS: usize = 64;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Nbns;

/// A name in its first-level encoding: 32 letters A to P, two per byte; the sixteenth byte is the kind of service.
pub(super) fn name(encoded: &[u8]) -> Option<String> {
    let bytes: Vec<u8> = encoded
        .chunks_exact(2)
        .map(|pair| match pair {
            [a @ b'A'..=b'P', b @ b'A'..=b'P'] => Some((a - b'A') << 4 | (b - b'A')),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let (last, said) = bytes.split_last().filter(|_| bytes.len() == 16)?;
    let shown: String = said.iter().map(|b| if (b' '..0x7f).contains(b) { char::from(*b) } else { '.' }).collect();
    let shown = shown.trim_end_matches([' ', '.']);
    Some(if shown.is_empty() && said.first() == Some(&b'*') { "*".to_owned() } else { format!("{shown}<{last:02x}>") })
}

/// A name at the cursor, a pointer to one included.
fn named(b: &mut Bytes<'_>) -> Option<Option<String>> {
    match b.u8()? {
        32 => {
            let found = name(b.take(32)?)?;
            // The scope: labels up to the root.
            loop {
                let length = b.u8()?;
                if length == 0 {
                    return Some(Some(found));
                }
                b.take(usize::from(length))?;
            }
        }
        pointer if pointer & 0xc0 == 0xc0 => b.u8().map(|_| None),
        _ => None,
    }
}

struct Message {
    id: u16,
    response: bool,
    opcode: u8,
    rcode: u8,
    name: String,
    kind: u16,
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

fn read(bytes: &[u8]) -> Option<Message> {
    let mut b = Bytes::new(bytes);
    let (id, flags, questions, answers, _, additional) = (b.u16()?, b.u16()?, b.u16()?, b.u16()?, b.u16()?, b.u16()?);
    if questions > 1 || answers > 1 || additional > 1 || questions.saturating_add(answers) == 0 {
        return None;
    }
    let mut m = Message {
        id,
        response: flags & 0x8000 != 0,
        opcode: (flags >> 11 & 15) as u8,
        rcode: (flags & 15) as u8,
        name: String::new(),
        kind: 0,
        addresses: Vec::new(),
        names: Vec::new(),
    };
    for _ in 0..questions {
        m.name = named(&mut b)??;
        m.kind = b.u16()?;
        b.u16()?;
    }
    for _ in 0..answers.saturating_add(additional).min(1) {
        let own = named(&mut b)?;
        m.kind = b.u16()?;
        b.take(6)?;
        m.name = own.unwrap_or(m.name);
        let mut data = Bytes::new(b.list16()?);
        if m.kind == 0x21 {
            for _ in 0..usize::from(data.u8()?).min(MAX_ANSWERS) {
                let (said, kind) = (data.take(15)?, data.u8()?);
                let said: String = said.iter().map(|b| if (b' '..0x7f).contains(b) { char::from(*b) } else { '.' }).collect();
                m.names.push(format!("{}<{kind:02x}>", said.trim_end()));
                data.u16()?;
            }
        } else {
            while let (Some(_), Some(address)) = (data.u16(), data.array::<4>()) {
                if m.addresses.len() < MAX_ANSWERS {
                    m.addresses.push(IpAddr::from(address));
                }
            }
        }
    }
    (matches!(m.kind, 0x20 | 0x21 | 0x0a) && !m.name.is_empty()).then_some(m)
}

impl Protocol for Nbns {
    fn name(&self) -> &'static str {
        "nbns"
    }
    fn doc(&self) -> &'static str {
        "NetBIOS name service (RFC 1002)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if read(first).is_some() { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    pending: VecDeque<(Message, At)>,
}

fn give(message: &Message, answer: Option<&Message>, first: At, last: At, out: &mut Out) {
    let mut fields = Fields::default();
    fields.text(field::APP, "nbns");
    fields.text(field::NAME, &message.name);
    fields.text(field::DNS_TYPE, if message.kind == 0x21 { "NBSTAT" } else { "NB" });
    fields.add(field::DNS_ID, u64::from(message.id));
    let action = match message.opcode {
        0 => "",
        5 => "register",
        6 => "release",
        8 | 9 => "refresh",
        _ => "other",
    };
    fields.text(field::ACTION, action);
    // What a registration claims stands in the question itself.
    let said = answer.unwrap_or(message);
    said.addresses.iter().for_each(|a| fields.add(field::ANSWER_IP, *a));
    said.names.iter().for_each(|n| fields.text(field::ANSWER_NAME, n));
    if let Some(answer) = answer {
        fields.text(
            field::DNS_RCODE,
            match answer.rcode {
                0 => "NOERROR",
                3 => "NXDOMAIN",
                6 => "ACTIVE",
                7 => "CONFLICT",
                _ => "ERROR",
            },
        );
    }
    out.events.push(fields.event(Kind::Dns, first, last));
}

impl Parser for Conversation {
    fn data(&mut self, _side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(message) = read(bytes) else {
            out.oddities.push((Oddity::new("nbns_malformed"), at.time, at.offset));
            return;
        };
        let asked = self.pending.iter().position(|(p, _)| p.id == message.id);
        if message.response {
            let asked = asked.and_then(|i| self.pending.remove(i));
            out.confirmed |= asked.is_some();
            match &asked {
                Some((question, first)) => give(question, Some(&message), *first, at, out),
                None => give(&message, Some(&message), at, at, out),
            }
        } else if asked.is_none() {
            if self.pending.len() >= MAX_PENDING {
                out.partial = true;
                if let Some((oldest, first)) = self.pending.pop_front() {
                    give(&oldest, None, first, first, out);
                }
            }
            self.pending.push_back((message, at));
        }
    }
    fn end(&mut self, out: &mut Out) {
        for (question, first) in std::mem::take(&mut self.pending) {
            give(&question, None, first, first, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_with_its_kind() {
        let encode = |n: &[u8; 16]| n.iter().flat_map(|b| [b'A' + (b >> 4), b'A' + (b & 15)]).collect::<Vec<u8>>();
        assert_eq!(name(&encode(b"FILESRV         ")).as_deref(), Some("FILESRV<20>"));
        assert_eq!(name(&encode(b"*\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")).as_deref(), Some("*<00>"));
        assert_eq!(name(b"short"), None);
        let mut question = vec![0, 7, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 32];
        question.extend(encode(b"FILESRV         "));
        question.extend([0, 0, 0x20, 0, 1]);
        assert_eq!(read(&question).map(|m| m.name).as_deref(), Some("FILESRV<20>"));
        for cut in 0..question.len() {
            assert!(read(&question[..cut]).is_none());
        }
    }
}
