//! MQTT 3.1, 3.1.1 and 5 (OASIS): logins with their outcome, topics once. Keeps no password; payloads pass unread.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Mqtt = Mqtt;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Mqtt;

/// Length of the fixed header and of what follows it.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut length, mut shift) = (1usize, 0usize, 0u32);
    loop {
        let byte = *bytes.get(at)?;
        at = at.saturating_add(1);
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((at, length));
        }
        shift = shift.saturating_add(7);
        if shift > 21 {
            return None;
        }
    }
}

impl Protocol for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }
    fn doc(&self) -> &'static str {
        "MQTT: logins and topics."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], ends: &Ends) -> Sniff {
        let usual = ends.dst_port == 1883 || ends.src_port == 1883;
        match (side, first) {
            (_, []) => Sniff::More,
            (Side::Out, [0x10, ..]) => {
                let Some((skip, _)) = head(first) else { return if first.len() < 5 { Sniff::More } else { Sniff::No } };
                let name = first.get(skip..).unwrap_or_default();
                let names: [&[u8]; 2] = [b"\0\x04MQTT", b"\0\x06MQIsdp"];
                if names.iter().any(|n| name.starts_with(n)) {
                    Sniff::Yes
                } else if names.iter().any(|n| n.starts_with(name)) {
                    Sniff::More
                } else {
                    Sniff::No
                }
            }
            // The answer to a login: its own length, a flag, a code.
            (Side::In, [0x20, 2, 0 | 1, 0..=5]) => Sniff::Yes,
            (Side::In, [0x20, 3..=127, 0 | 1, 0 | 0x80..=0x9f, properties, ..])
                if usual && usize::from(*properties).saturating_add(5) == first.len() =>
            {
                Sniff::Yes
            }
            (Side::In, [0x20] | [0x20, 2] | [0x20, 2, 0 | 1]) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

#[derive(Default)]
struct Conversation {
    version: u8,
    login: Option<(Fields, At)>,
    told: Told,
}

/// Passes over the properties of version 5.
fn properties(b: &mut Bytes<'_>) -> Option<()> {
    let (skip, length) = head(&[&[0], b.rest()].concat())?;
    b.take(skip.saturating_sub(1).saturating_add(length)).map(|_| ())
}

impl Conversation {
    fn connect(&mut self, body: &[u8], first: At) -> Option<()> {
        let mut b = Bytes::new(body);
        b.list16()?;
        self.version = b.u8()?;
        let flags = b.u8()?;
        b.u16()?;
        if self.version == 5 {
            properties(&mut b)?;
        }
        let client = text(b.list16()?, 128);
        let mut fields = Fields::default();
        fields.text(field::APP, "mqtt");
        fields.text(
            field::VERSION,
            match self.version {
                3 => "3.1",
                4 => "3.1.1",
                5 => "5",
                _ => "",
            },
        );
        if flags & 4 != 0 {
            if self.version == 5 {
                properties(&mut b)?;
            }
            b.list16()?;
            b.list16()?;
        }
        if flags & 0x80 != 0 {
            fields.text(field::USER, &text(b.list16()?, 128));
        }
        fields.text(field::METHOD_AUTH, if flags & 0x40 != 0 { "password" } else { "none" });
        if !client.is_empty() {
            fields.text(field::EXTRA, &serde_json::json!({ "client": client }).to_string());
        }
        self.login = Some((fields, first));
        Some(())
    }
    fn answered(&mut self, code: Option<u8>, last: At, out: &mut Out) {
        let Some((mut fields, first)) = self.login.take() else { return };
        match code {
            Some(0) => fields.text(field::ACTION, "login_ok"),
            Some(code) => {
                fields.text(field::ACTION, "login_fail");
                fields.text(field::REASON, &format!("code {code}"));
            }
            None => fields.text(field::ACTION, "asked"),
        }
        out.events.push(fields.event(Kind::Auth, first, last));
    }
    /// The topic of a publish, the first of a subscription.
    fn topic(&self, kind: u8, body: &[u8]) -> Option<String> {
        let mut b = Bytes::new(body);
        if kind == 8 {
            b.u16()?;
            if self.version == 5 {
                properties(&mut b)?;
            }
        }
        Some(text(b.list16()?, 128))
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        if unread.first().is_some_and(|b| b >> 4 == 0) {
            return Cut::Over;
        }
        match head(unread) {
            Some((skip, length)) => Cut::Frame(skip.saturating_add(length)),
            None if unread.len() < 5 => Cut::More,
            None => Cut::Over,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        let (Some(kind), Some((skip, _))) = (message.first().map(|b| b >> 4), head(message)) else { return false };
        let body = message.get(skip..).unwrap_or_default();
        match (side, kind) {
            (Side::Out, 1) if self.connect(body, first).is_none() => {
                out.oddities.push((Oddity::new("mqtt_malformed"), first.time, first.offset));
            }
            (Side::In, 2) => self.answered(body.get(1).copied(), last, out),
            (_, 3 | 8) => {
                let word = match (kind, side) {
                    (8, _) => "subscribe",
                    (_, Side::Out) => "publish",
                    _ => "receive",
                };
                if let Some(topic) = self.topic(kind, body) {
                    self.told.say("mqtt", &format!("{word} {topic}"), Fields::default(), first, last, out);
                }
            }
            _ => {}
        }
        true
    }
    fn end(&mut self, out: &mut Out) {
        if let Some(at) = self.login.as_ref().map(|l| l.1) {
            self.answered(None, at, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_login_names_user_and_client_but_no_password() {
        let at = At { time: Time(1), offset: 1 };
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        let connect = b"\x10\x16\0\x04MQTT\x04\xc0\0\x3c\0\x02id\0\x01u\0\x03pwd";
        connect.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, b"\x20\x02\0\x05\x30\x05\0\x02ab!", at, &mut out);
        let shown: Vec<String> =
            out.events.iter().map(|e| e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect()).collect();
        assert_eq!(
            shown,
            [
                "app=mqtt action=login_fail reason=code 5 user=u auth.method=password version=3.1.1 extra={\"client\":\"id\"} ",
                "app=mqtt message=receive ab "
            ]
        );
    }
}
