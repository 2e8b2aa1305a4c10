//! XMPP (RFC 6120): the domain that a client or server calls, the kind of login, and the start of TLS. Stanzas pass unread.

use super::common::bytes::text;
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Xmpp = Xmpp;

/// Bytes of a side that are looked at.
const MAX_LOOK: usize = 8 * 1024;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Xmpp;

impl Protocol for Xmpp {
    fn name(&self) -> &'static str {
        "xmpp"
    }
    fn doc(&self) -> &'static str {
        "Extensible Messaging and Presence Protocol, stream negotiation (RFC 6120)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let head = text(first, 512);
        let head = head.trim_start();
        let declared = head.starts_with("<?xml") || head.starts_with("<stream:stream");
        if declared && head.contains("<stream:stream") && (head.contains("jabber:") || head.contains("etherx.jabber.org")) {
            Sniff::Yes
        } else if first.len() < 512 && (declared || "<?xml".starts_with(head) || "<stream:stream".starts_with(head)) {
            Sniff::More
        } else {
            Sniff::No
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    seen: [Vec<u8>; 2],
    first: Option<At>,
    last: Option<At>,
    given: bool,
}

/// The value of an attribute of the first tag with a name.
fn attribute(document: &str, tag: &str, name: &str) -> Option<String> {
    let inside = document.split(tag).nth(1)?.split('>').next()?;
    let after = inside.split(&format!(" {name}=")).nth(1)?;
    let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    Some(after.get(1..)?.split(quote).next()?.to_owned())
}

impl Conversation {
    fn give(&mut self, outcome: &str, out: &mut Out) {
        let (Some(first), Some(last), false) = (self.first, self.last, std::mem::replace(&mut self.given, true)) else { return };
        let asked = text(&self.seen[0], MAX_LOOK);
        let mut fields = Fields::default();
        fields.text(field::APP, "xmpp");
        let called = attribute(&asked, "<stream:stream", "to").unwrap_or_default();
        if !called.is_empty() {
            out.flow.push((field::NAME, called.as_str().into()));
        }
        fields.text(field::NAME, &called);
        fields.text(field::METHOD_AUTH, &attribute(&asked, "<auth", "mechanism").unwrap_or_default().to_ascii_lowercase());
        fields.text(field::ACTION, outcome);
        out.events.push(fields.event(Kind::Log, first, last));
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        self.first.get_or_insert(at);
        self.last = Some(at);
        let Some(seen) = self.seen.get_mut(usize::from(side == Side::In)) else { return };
        if seen.len().saturating_add(bytes.len()) > MAX_LOOK {
            self.give("", out);
            (out.partial, out.done) = (true, true);
            return;
        }
        seen.extend_from_slice(bytes);
        out.confirmed |= self.seen.iter().all(|s| !s.is_empty());
        let Some(answered) = self.seen.get(1) else { return };
        let said = |what: &[u8]| memchr::memmem::find(answered, what).is_some();
        let outcome = match (said(b"<proceed"), said(b"<success"), said(b"<failure")) {
            (true, ..) => "starttls",
            (_, true, _) => "login_ok",
            (.., true) => "login_fail",
            _ => return,
        };
        out.restart = outcome == "starttls";
        self.give(outcome, out);
        out.done = true;
    }
    fn end(&mut self, out: &mut Out) {
        self.give("", out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_in_either_quotes() {
        let document = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to=\"example.org\" version='1.0'>";
        assert_eq!(attribute(document, "<stream:stream", "to").as_deref(), Some("example.org"));
        assert_eq!(attribute(document, "<stream:stream", "from"), None);
        assert_eq!(attribute("<auth mechanism=", "<auth", "mechanism"), None);
    }
}
