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
        if read(first).is_some() { Sniff::Yes } else { Sniff::No }
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
}
