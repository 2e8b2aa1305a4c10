//! SNMP versions 1, 2c and 3 (RFC 1157, 3416, 3412): what is asked, each operation once, and the user of version 3. Keeps no community: it
//! is a password.

use super::common::ber;
use super::common::bytes::text;
use super::common::fields::Fields;
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::UDP;

/// The protocol.
pub static PROTOCOL: Snmp = Snmp;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Snmp;

/// What a message says: version, operation, user.
struct Said {
    version: &'static str,
    operation: &'static str,
    response: bool,
    user: String,
    object: String,
}

/// Numbers of an object identifier with dots, up to a bound.
fn object(value: &[u8]) -> String {
    let mut said = String::new();
    let mut number = 0u32;
    for (i, byte) in value.iter().take(32).enumerate() {
        number = number << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if i == 0 {
            said = format!("{}.{}", number / 40, number % 40);
        } else {
            said.push_str(&format!(".{number}"));
        }
        number = 0;
    }
    said
}

fn read(message: &[u8]) -> Option<Said> {
    let (outer, _) = ber::item(message).filter(|(i, _)| i.tag == 0x30)?;
    let mut parts = ber::items(outer.value);
    let version = ber::integer(parts.next().filter(|i| i.tag == 2)?.value)?;
    let version = match version {
        0 => "1",
        1 => "2c",
        3 => "3",
        _ => return None,
    };
    let second = parts.next()?;
    let mut said = Said { version, operation: "encrypted", response: false, user: String::new(), object: String::new() };
    let unit = if version == "3" {
        let security = parts.next().filter(|i| second.tag == 0x30 && i.tag == 4)?;
        if let Some((inside, _)) = ber::item(security.value) {
            said.user = ber::items(inside.value).nth(3).map(|i| text(i.value, 64)).unwrap_or_default();
        }
        let scoped = parts.next()?;
        if scoped.tag != 0x30 {
            return Some(said);
        }
        ber::items(scoped.value).nth(2)?
    } else {
        (second.tag == 4).then_some(())?;
        parts.next()?
    };
    (said.operation, said.response) = match unit.tag {
        0xa0 => ("get", false),
        0xa1 => ("get next", false),
        0xa2 => ("response", true),
        0xa3 => ("set", false),
        0xa4 => ("trap", false),
        0xa5 => ("get bulk", false),
        0xa6 => ("inform", false),
        0xa7 => ("trap", false),
        0xa8 => ("report", true),
        _ => return None,
    };
    let bindings = ber::items(unit.value).filter(|i| i.tag == 0x30).last();
    let first = bindings.and_then(|list| ber::items(list.value).next()).and_then(|pair| ber::items(pair.value).next());
    said.object = first.filter(|i| i.tag == 6).map(|i| object(i.value)).unwrap_or_default();
    Some(said)
}

/// The items of bytes that are these and nothing else.
fn exactly<'b>(mut bytes: &'b [u8], tags: &[u8]) -> Option<Vec<ber::Item<'b>>> {
    let mut out = Vec::with_capacity(tags.len());
    for tag in tags {
        let (item, rest) = ber::item(bytes).filter(|(i, _)| i.tag == *tag)?;
        out.push(item);
        bytes = rest;
    }
    bytes.is_empty().then_some(out)
}

/// Whether bytes are a message to the last of them: what only begins like one (noise on another protocol's port) is none.
fn is_whole(message: &[u8]) -> bool {
    let of = || {
        let outer = exactly(message, &[0x30])?;
        let (version, rest) = ber::item(outer.first()?.value).filter(|(i, _)| i.tag == 2)?;
        if ber::integer(version.value)? == 3 {
            let last = ber::items(rest).nth(2)?.tag;
            let parts = exactly(rest, &[0x30, 4, last])?;
            let header = exactly(parts.first()?.value, &[2, 2, 4, 2])?;
            return (matches!(last, 4 | 0x30) && header.get(2)?.value.len() == 1).then_some(());
        }
        let unit = ber::items(rest).nth(1)?.tag;
        let parts = exactly(rest, &[4, unit])?;
        // A trap of version 1: enterprise, agent, which, which of its own, when.
        let tags: &[u8] = if unit == 0xa4 { &[6, 0x40, 2, 2, 0x43, 0x30] } else { &[2, 2, 2, 0x30] };
        let inside = exactly(parts.get(1)?.value, tags)?;
        let mut bindings = inside.last()?.value;
        while !bindings.is_empty() {
            let (binding, more) = ber::item(bindings).filter(|(i, _)| i.tag == 0x30)?;
            let (name, value) = ber::item(binding.value).filter(|(i, _)| i.tag == 6 && !i.value.is_empty())?;
            let (_, after) = ber::item(value)?;
            (!name.value.is_empty() && after.is_empty()).then_some(())?;
            bindings = more;
        }
        Some(())
    };
    of().is_some()
}

impl Protocol for Snmp {
    fn name(&self) -> &'static str {
        "snmp"
    }
    fn doc(&self) -> &'static str {
        "Simple Network Management Protocol 1, 2c and 3."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if read(first).is_some() && is_whole(first) { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    asked: bool,
    told: Told,
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some(said) = read(bytes) else {
            out.oddities.push((Oddity::new("snmp_malformed"), at.time, at.offset));
            return;
        };
        self.asked |= side == Side::Out;
        if said.response {
            out.confirmed |= self.asked && side == Side::In;
            return;
        }
        let mut fields = Fields::default();
        fields.text(field::VERSION, said.version);
        fields.text(field::USER, &said.user);
        self.told.say("snmp", format!("{} {}", said.operation, said.object).trim(), fields, at, at, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_shown_with_dots_and_broken_messages_are_none() {
        assert_eq!(object(&[0x2b, 6, 1, 2, 1, 1, 0x81, 0]), "1.3.6.1.2.1.1.128");
        let get = b"\x30\x1b\x02\x01\x01\x04\x06public\xa0\x0e\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x03\x30\x01\x06";
        for cut in 0..get.len() {
            let _ = read(&get[..cut]);
        }
        assert!(read(b"\x30\x05\x02\x01\x07\x04\0").is_none());
    }

    #[test]
    fn what_only_begins_like_a_message_is_none() {
        let get: &[u8] = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0";
        let v3: &[u8] =
            b"\x30\x1c\x02\x01\x03\x30\x0d\x02\x01\x09\x02\x02\x05\xdc\x04\x01\x04\x02\x01\x03\x04\x02\x30\0\x04\x04\xde\xad\xbe\xef";
        assert!([get, v3].iter().all(|m| read(m).is_some() && is_whole(m)));
        for message in [get, v3] {
            let more = [message, &b"\0"[..]].concat();
            assert!(!is_whole(&more) && (0..message.len()).all(|cut| !is_whole(&message[..cut])));
        }
        // Noise that the first items of a message happen to be in.
        let noise: &[u8] = b"\x30\x0c\x02\x01\x01\x04\x01x\xa0\x04\x9f\x7f\x01\x22";
        assert!(read(noise).is_some() && !is_whole(noise));
        let unnamed: &[u8] = b"\x30\x16\x02\x01\0\x04\x01x\xa1\x0e\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x03\x05\x01\x06";
        assert!(!is_whole(unnamed));
    }
}
