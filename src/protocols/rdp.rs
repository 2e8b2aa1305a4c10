//! RDP's connection request and confirm (MS-RDPBCGR 2.2.1, over TPKT and X.224): the user that a client names in its cookie and the security that
//! the server chose. What follows is TLS, which the meter is told to look for, or is not read.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Rdp = Rdp;

/// Unread bytes of one side.
const MAX_BUFFER: usize = 4096;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Rdp;

impl Protocol for Rdp {
    fn name(&self) -> &'static str {
        "rdp"
    }
    fn doc(&self) -> &'static str {
        "Remote Desktop Protocol, connection request and confirm (MS-RDPBCGR)."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let code = if side == Side::Out { 0xe0 } else { 0xd0 };
        let mut b = Bytes::new(first);
        let (Some(0x0300), Some(length)) = (b.u16(), b.u16()) else {
            return if [3u8, 0].starts_with(first) { Sniff::More } else { Sniff::No };
        };
        match (b.u8(), b.u8()) {
            (Some(header), Some(found)) if found == code && usize::from(header).saturating_add(5) == usize::from(length) => {
                Sniff::Yes
            }
            (_, None) => Sniff::More,
            _ => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default)]
struct Conversation {
    buffers: [Buffer; 2],
    user: Option<String>,
    first: Option<At>,
    last: Option<At>,
    given: bool,
}

impl Conversation {
    fn give(&mut self, security: Option<&str>, refused: Option<u32>, out: &mut Out) {
        let (Some(first), Some(last), false) = (self.first, self.last, std::mem::replace(&mut self.given, true)) else { return };
        let mut fields = Fields::default();
        fields.text(field::APP, "rdp");
        fields.text(field::USER, self.user.as_deref().unwrap_or_default());
        fields.text(field::METHOD_AUTH, security.unwrap_or_default());
        if let Some(code) = refused {
            fields.text(field::ACTION, "deny");
            fields.text(field::REASON, &format!("negotiation failure {code}"));
        }
        out.events.push(fields.event(Kind::Log, first, last));
    }

    fn request(&mut self, body: &[u8], out: &mut Out) {
        if let Some(at) = memchr::memmem::find(body, b"mstshash=") {
            let rest = body.get(at.saturating_add(9)..).unwrap_or_default();
            let user = text(rest.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default(), 255);
            let user = user.trim_end().to_owned();
            out.flow.push((field::USER, user.as_str().into()));
            self.user = Some(user);
        }
    }

    fn confirm(&mut self, body: &[u8], out: &mut Out) {
        out.confirmed = self.first.is_some();
        out.done = true;
        // After length, code, references and class: a response (2) or a failure (3) of the negotiation.
        let mut b = Bytes::new(body);
        let _ = b.take(7);
        let answer = (b.u8(), b.take(3).and_then(|_| b.u32_le()));
        let security = match answer {
            (Some(2), Some(0)) | (None, _) => Some("rdp"),
            (Some(2), Some(1)) => Some("tls"),
            (Some(2), Some(2 | 8)) => Some("nla"),
            (Some(2), Some(4)) => Some("rdstls"),
            (Some(2), Some(16)) => Some("aad"),
            _ => None,
        };
        out.restart = !matches!(security, Some("rdp") | None);
        self.give(security, answer.1.filter(|_| answer.0 == Some(3)), out);
    }
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if self.given {
            out.done = true;
            return;
        }
        self.first.get_or_insert(at);
        self.last = Some(at);
        let index = usize::from(side == Side::In);
        let Some(buffer) = self.buffers.get_mut(index) else { return };
        if !buffer.push(bytes, at, MAX_BUFFER) {
            out.oddities.push((Oddity::new("rdp_request_too_long"), at.time, at.offset));
            out.done = true;
            return;
        }
        let mut b = Bytes::new(buffer.unread());
        let (Some(_), Some(length)) = (b.u16(), b.u16()) else { return };
        let Some(body) = b.take(usize::from(length).saturating_sub(4)).map(<[u8]>::to_vec) else { return };
        buffer.clear();
        match (side, body.get(1)) {
            (Side::Out, Some(0xe0)) => self.request(&body, out),
            (Side::In, Some(0xd0)) => self.confirm(&body, out),
            _ => {
                out.oddities.push((Oddity::new("rdp_request_malformed"), at.time, at.offset));
                out.done = true;
            }
        }
    }
    fn end(&mut self, out: &mut Out) {
        self.give(None, None, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    #[test]
    fn the_cookie_names_a_user_and_tls_follows() {
        let at = At { time: Time(1), offset: 1 };
        let mut request = vec![3, 0, 0, 0, 0, 0xe0, 0, 0, 0, 0, 0];
        request.extend(b"Cookie: mstshash=bob\r\n\x01\0\x08\0\x03\0\0\0");
        request[3] = request.len() as u8;
        request[4] = request.len() as u8 - 5;
        let confirm = [3, 0, 0, 19, 14, 0xd0, 0, 0, 1, 2, 0, 2, 0, 8, 0, 2, 0, 0, 0];
        let (mut c, mut out) = (Conversation::default(), Out::default());
        let ip = std::net::IpAddr::from([10, 0, 0, 1]);
        let ends = Ends { src: ip, src_port: 1, dst: ip, dst_port: 9, proto: TCP };
        assert_eq!(PROTOCOL.probe(Side::Out, &request, &ends), Sniff::Yes);
        assert_eq!(PROTOCOL.probe(Side::In, &confirm, &ends), Sniff::Yes);
        request.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        c.data(Side::In, &confirm, at, &mut out);
        let shown: String = out.events[0].fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        assert_eq!(shown, "app=rdp user=bob auth.method=nla ");
        assert!(out.restart && out.done && out.confirmed);
    }
}
