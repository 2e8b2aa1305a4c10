//! TFTP (RFC 1350, RFC 2347): the file that a request names. The data comes from another port, as a flow of its own.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::UDP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Tftp = Tftp;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Tftp;

/// Whether a request writes, and the file that it names.
fn request(bytes: &[u8]) -> Option<(bool, String)> {
    let write = match bytes.get(..2)? {
        [0, 1] => false,
        [0, 2] => true,
        _ => return None,
    };
    let mut words = bytes.get(2..)?.split(|b| *b == 0);
    let (name, mode) = (words.next()?, words.next()?);
    let fine = !name.is_empty() && name.len() <= 512 && name.iter().all(|b| *b >= b' ' && *b != 0x7f);
    let known = [&b"octet"[..], b"netascii", b"mail"].iter().any(|m| mode.eq_ignore_ascii_case(m));
    (fine && known && words.next().is_some()).then(|| (write, text(name, 512)))
}

impl Protocol for Tftp {
    fn name(&self) -> &'static str {
        "tftp"
    }
    fn doc(&self) -> &'static str {
        "Trivial File Transfer Protocol, requests (RFC 1350)."
    }
    fn over(&self) -> &'static [u8] {
        &[UDP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        if request(first).is_some() { Sniff::Yes } else { Sniff::No }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    newest: String,
}

impl Parser for Conversation {
    fn data(&mut self, _side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Some((write, name)) = request(bytes) else { return };
        out.confirmed = true;
        // Asked again because nothing came.
        if self.newest == name {
            return;
        }
        let mut fields = Fields::default();
        fields.text(field::APP, "tftp");
        fields.text(field::FILE_NAME, &name);
        fields.text(field::ACTION, if write { "upload" } else { "download" });
        self.newest = name;
        out.events.push(fields.event(Kind::File, at, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_file_and_way() {
        assert_eq!(request(b"\0\x01boot.cfg\0OCTET\0"), Some((false, "boot.cfg".into())));
        assert_eq!(request(b"\0\x02x\0netascii\0blksize\x001428\0"), Some((true, "x".into())));
        assert_eq!(request(b"\0\x01boot.cfg\0octe"), None);
        assert_eq!(request(b"\0\x03\0\x01data"), None);
    }
}
