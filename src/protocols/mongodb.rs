//! MongoDB's wire protocol: commands by name and database, each once, and the user of a SASL login. Documents pass unread.

use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::framed::{Cut, Framed, Messages};
use super::common::told::Told;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;

/// The protocol.
pub static PROTOCOL: Mongodb = Mongodb;

const REPLY: u32 = 1;
const QUERY: u32 = 2004;
const COMPRESSED: u32 = 2012;
const MESSAGE: u32 = 2013;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Mongodb;

/// Length and operation of a message.
fn head(bytes: &[u8]) -> Option<(u32, u32, u32)> {
    let mut b = Bytes::new(bytes);
    let (length, _) = (b.u32_le()?, b.u32_le()?);
    Some((length, b.u32_le()?, b.u32_le()?))
}

impl Protocol for Mongodb {
    fn name(&self) -> &'static str {
        "mongodb"
    }
    fn doc(&self) -> &'static str {
        "MongoDB wire protocol: commands and databases."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let Some((length, answers, operation)) = head(first) else {
            // The length's last byte is 0: no message has 16 MiB.
            return if first.len() < 16 && first.get(3).is_none_or(|b| *b == 0) { Sniff::More } else { Sniff::No };
        };
        let fine = (16..=0x0100_0000).contains(&length)
            && match side {
                Side::Out => answers == 0 && matches!(operation, QUERY | MESSAGE | COMPRESSED),
                Side::In => answers != 0 && matches!(operation, REPLY | MESSAGE | COMPRESSED),
            };
        if fine { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::new(Framed::new(Conversation::default()))
    }
}

/// The texts at the top of a document and its first key: name and value; other values are passed over as far as their length is known.
fn strings(document: &[u8]) -> (String, Vec<(String, String)>) {
    let mut b = Bytes::new(document);
    let (mut first, mut found) = (String::new(), Vec::new());
    let _ = b.u32_le();
    while let (Some(kind @ 1..=255), true) = (b.u8(), found.len() < 16) {
        let Some(end) = memchr::memchr(0, b.rest()) else { break };
        let name = text(b.take(end).unwrap_or_default(), 64);
        let _ = b.u8();
        if first.is_empty() {
            first = name.clone();
        }
        let skipped = match kind {
            2 => {
                let length = b.u32_le().unwrap_or(0) as usize;
                b.take(length).map(|v| found.push((name, text(v.strip_suffix(&[0]).unwrap_or(v), 128))))
            }
            1 | 9 | 0x11 | 0x12 => b.take(8).map(|_| ()),
            0x10 => b.take(4).map(|_| ()),
            8 => b.u8().map(|_| ()),
            7 => b.take(12).map(|_| ()),
            0x0a => Some(()),
            3 | 4 => {
                let length = Bytes::new(b.rest()).u32_le().unwrap_or(0) as usize;
                b.take(length.max(5)).map(|_| ())
            }
            5 => {
                let length = b.u32_le().unwrap_or(0) as usize;
                b.take(length.saturating_add(1)).map(|_| ())
            }
            _ => None,
        };
        if skipped.is_none() {
            break;
        }
    }
    (first, found)
}

#[derive(Default)]
struct Conversation {
    told: Told,
}

impl Conversation {
    fn command(&mut self, message: &[u8], first: At, last: At, out: &mut Out) -> Option<()> {
        let (_, _, operation) = head(message)?;
        let mut b = Bytes::new(message);
        b.take(16)?;
        b.u32_le()?;
        let mut database = String::new();
        match operation {
            MESSAGE => (b.u8()? == 0).then_some(())?,
            QUERY => {
                let collection = b.rest().split(|b| *b == 0).next()?;
                database = text(collection, 128).split('.').next()?.to_owned();
                b.take(collection.len().checked_add(9)?)?;
            }
            _ => return None,
        }
        let document = b.rest();
        let (command, values) = strings(document);
        let get = |name: &str| values.iter().find(|v| v.0 == name).map(|v| v.1.clone());
        let database = get("$db").unwrap_or(database);
        let mut fields = Fields::default();
        // SCRAM begins with the name of the user.
        if command == "saslStart" {
            let at = memchr::memmem::find(document, b"n=")?.checked_add(2)?;
            let user = document.get(at..)?.split(|b| *b == b',').next()?;
            let user = text(user, 128);
            out.flow.push((field::USER, user.as_str().into()));
            fields.text(field::USER, &user);
            fields.text(field::METHOD_AUTH, &get("mechanism").unwrap_or_default().to_ascii_lowercase());
        }
        let on = get(&command).map(|c| format!(" {c}")).unwrap_or_default();
        let within = if database.is_empty() { String::new() } else { format!(" in {database}") };
        self.told.say("mongodb", &format!("{command}{on}{within}"), fields, first, last, out);
        Some(())
    }
}

impl Messages for Conversation {
    fn cut(&self, _side: Side, unread: &[u8]) -> Cut {
        match head(unread) {
            Some((length @ 16..=0x0300_0000, _, REPLY | 2001..=2013)) => Cut::Frame(length as usize),
            Some(_) => Cut::Over,
            None => Cut::More,
        }
    }
    fn message(&mut self, side: Side, message: &[u8], first: At, last: At, out: &mut Out) -> bool {
        if side == Side::Out {
            self.command(message, first, last, out);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn a_command_is_told_once_with_its_database() {
        let at = At { time: Time(1), offset: 1 };
        let document = b"\x22\0\0\0\x02find\0\x02\0\0\0t\0\x02$db\0\x05\0\0\0shop\0\0";
        let length = (21 + document.len()) as u32;
        let message = [&length.to_le_bytes()[..], &[1, 0, 0, 0, 0, 0, 0, 0], &MESSAGE.to_le_bytes(), &[0; 5], document].concat();
        let (mut c, mut out) = (Framed::new(Conversation::default()), Out::default());
        message.iter().chain(&message).for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!((shown.as_str(), out.events.len()), ("app=mongodb message=find t in shop ", 1));
    }
}
