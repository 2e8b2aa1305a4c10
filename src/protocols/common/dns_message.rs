//! A tolerant walk through a DNS message (RFC 1035, RFC 6891): what was understood before a break is kept, with an oddity for the break.
//! Knows no transport and no transactions.

use super::bytes::Bytes;
use super::dns_record::{self, Data};
use crate::model::oddity::Oddity;

/// Most jumps that one name may make; RFC 1035 sets no bound, real messages need few.
const MAX_JUMPS: usize = 64;
/// Longest name in bytes on the wire (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name, lower case, without trailing dot; `.` is the root.
    pub name: String,
    /// Type.
    pub kind: u16,
    /// Class; of mDNS with the bit for unicast answers.
    pub class: u16,
}

/// A record of the answer section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Owner.
    pub name: String,
    /// Type.
    pub kind: u16,
    /// Time to live in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What could be read of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Transaction id.
    pub id: u16,
    /// Flags and codes of the header.
    pub flags: u16,
    /// Questions.
    pub questions: Vec<Question>,
    /// Records of the answer section.
    pub answers: Vec<Resource>,
    /// Upper bits of the response code, of an OPT record.
    pub extended: u8,
    /// What was wrong.
    pub oddities: Vec<Oddity>,
}

impl Message {
    /// Reads a message. `None`: not even a header is there.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let mut b = Bytes::new(bytes);
        let mut message = Message { id: b.u16()?, flags: b.u16()?, ..Message::default() };
        let counts = [b.u16()?, b.u16()?, b.u16()?, b.u16()?];
        if let Err(oddity) = message.sections(bytes, &mut b, counts) {
            message.oddities.push(oddity);
        } else if b.left() > 0 {
            message.oddities.push(Oddity::at("dns_trailing_bytes", b.left().to_string()));
        }
        Some(message)
    }
    fn sections(&mut self, whole: &[u8], b: &mut Bytes<'_>, counts: [u16; 4]) -> Result<(), Oddity> {
        let [questions, answers, authority, additional] = counts;
        for _ in 0..questions {
            let name = self.name(whole, b, "question")?;
            let (Some(kind), Some(class)) = (b.u16(), b.u16()) else {
                return Err(Oddity::at("dns_truncated", "question"));
            };
            self.questions.push(Question { name, kind, class });
        }
        let sections = [(answers, "answer"), (authority, "authority"), (additional, "additional")];
        for (section, (count, place)) in sections.into_iter().enumerate() {
            for _ in 0..count {
                let name = self.name(whole, b, place)?;
                let head = (b.u16(), b.u16(), b.u32(), b.u16());
                let (Some(kind), Some(_class), Some(ttl), Some(length)) = head else {
                    return Err(Oddity::at("dns_truncated", place));
                };
                let start = b.at();
                let Some(data) = b.take(usize::from(length)) else {
                    return Err(Oddity::at("dns_truncated", place));
                };
                if section == 0 {
                    let data = dns_record::read(self, whole, start, data, kind);
                    self.answers.push(Resource { name, kind, ttl, data });
                } else if kind == 41 {
                    self.extended = (ttl >> 24) as u8;
                }
            }
        }
        Ok(())
    }
    fn name(&mut self, whole: &[u8], b: &mut Bytes<'_>, place: &str) -> Result<String, Oddity> {
        let Some((name, used, odd)) = name_at(whole, b.at()) else {
            return Err(Oddity::at("dns_truncated", place));
        };
        if let Some(what) = odd {
            self.oddities.push(Oddity::at(what, place));
        }
        let _ = b.take(used);
        Ok(name)
    }
    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }
    /// Operation code.
    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 15
    }
    /// Response code, with the bits of an OPT record.
    pub fn rcode(&self) -> u16 {
        self.flags & 15 | u16::from(self.extended) << 4
    }
}

/// The name at an offset, how many bytes it takes there, and what was odd. `None`: it runs beyond the end.
pub fn name_at(whole: &[u8], start: usize) -> Option<(String, usize, Option<&'static str>)> {
    let (mut out, mut at, mut used, mut length, mut odd) = (String::new(), start, None, 0usize, None);
    for jumps in 0.. {
        let mut b = Bytes::new(whole.get(at..)?);
        let target = loop {
            let size = b.u8()?;
            match size >> 6 {
                0 if size == 0 => break None,
                0 => {
                    let label = b.take(usize::from(size))?;
                    length = length.saturating_add(label.len()).saturating_add(1);
                    if length > MAX_NAME {
                        odd = Some("dns_name_too_long");
                    } else {
                        push_label(&mut out, label);
                    }
                }
                3 => break Some(usize::from(size & 0x3f) << 8 | usize::from(b.u8()?)),
                _ => {
                    odd = Some("dns_label_unknown");
                    break None;
                }
            }
        };
        let here = at.saturating_add(b.at());
        used.get_or_insert(here.saturating_sub(start));
        let Some(target) = target else { break };
        if target >= at {
            odd = Some("dns_pointer_forward");
        }
        if jumps >= MAX_JUMPS || length > MAX_NAME {
            odd = Some("dns_pointer_loop");
            break;
        }
        if target >= whole.len() {
            odd = Some("dns_pointer_outside");
            break;
        }
        at = target;
    }
    if out.is_empty() {
        out.push('.');
    }
    Some((out, used.unwrap_or_default(), odd))
}

/// Appends a label in lower case; what is not printable ASCII, and dots and backslashes in it, as `\DDD`.
fn push_label(out: &mut String, label: &[u8]) {
    use std::fmt::Write as _;
    if !out.is_empty() {
        out.push('.');
    }
    for b in label {
        match b {
            b'.' | b'\\' | 0..=32 | 127.. => drop(write!(out, "\\{b:03}")),
            _ => out.push(char::from(b.to_ascii_lowercase())),
        }
    }
}

/// The name of a response code.
pub fn rcode_name(rcode: u16) -> String {
    let name = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        _ => return format!("RCODE{rcode}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_escaped() {
        let (name, used, odd) = name_at(b"\x03WwW\x04a.\\\n\x00rest", 0).unwrap();
        assert_eq!(name, "www.a\\046\\092\\010");
        assert_eq!((used, odd), (10, None));
        assert_eq!(name_at(b"\0", 0).unwrap().0, ".");
    }

    #[test]
    fn a_loop_of_pointers_ends_and_is_odd() {
        let (name, used, odd) = name_at(b"\x01a\xc0\x00", 0).unwrap();
        assert!(name.starts_with("a.a"));
        assert_eq!((used, odd), (4, Some("dns_pointer_loop")));
        assert_eq!(name_at(b"\xc0\x00", 0).unwrap().2, Some("dns_pointer_loop"));
        assert_eq!(name_at(b"\xc0\x09", 0).unwrap().2, Some("dns_pointer_outside"));
        assert_eq!(name_at(b"\x05ab", 0), None);
    }

    #[test]
    fn a_name_that_expands_beyond_its_bound_stops_growing() {
        let mut bytes = vec![63];
        bytes.extend([b'a'; 63]);
        bytes.extend([0xc0, 0]);
        let (name, _, odd) = name_at(&bytes, 0).unwrap();
        assert!(name.len() <= 256, "{}", name.len());
        assert!(odd.is_some());
    }

    #[test]
    fn counts_that_lie_give_what_is_there() {
        let mut m = vec![0, 1, 0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
        m.extend(b"\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01");
        let message = Message::parse(&m).unwrap();
        assert_eq!(message.answers.len(), 1);
        assert_eq!(message.answers[0].data, Data::Ip(vec!["10.0.0.1".parse().unwrap()], None));
        assert_eq!(message.oddities, [Oddity::at("dns_truncated", "answer")]);
    }
}
