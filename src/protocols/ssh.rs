//! SSH (RFC 4253): version strings of both sides and the fingerprints of their key exchange offers (HASSH). Reads nothing after the keys
//! are taken into use, and so knows no logins.

use super::common::buffer::Buffer;
use super::common::bytes::{Bytes, text};
use super::common::fields::Fields;
use super::common::fingerprint::hassh;
use super::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::proto::TCP;
use crate::model::record::Kind;

/// The protocol.
pub static PROTOCOL: Ssh = Ssh;

/// Unread bytes of one side: RFC 4253 asks for packets of 35,000 bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// Longest line before or of the version string; the RFC says 255.
const MAX_LINE: usize = 1024;

/// See [`PROTOCOL`].
#[derive(Debug)]
pub struct Ssh;

impl Protocol for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }
    fn doc(&self) -> &'static str {
        "Secure Shell (RFC 4253), with HASSH."
    }
    fn over(&self) -> &'static [u8] {
        &[TCP]
    }
    fn probe(&self, _side: Side, first: &[u8], _ends: &Ends) -> Sniff {
        let starts = |with: &[u8]| first.iter().zip(with).all(|(a, b)| a == b);
        let forms: [&[u8]; 3] = [b"SSH-2.0-", b"SSH-1.99-", b"SSH-1.5-"];
        match forms.iter().find(|form| starts(form)) {
            Some(form) if first.len() >= form.len() => Sniff::Yes,
            Some(_) => Sniff::More,
            None => Sniff::No,
        }
    }
    fn parser(&self, _ends: &Ends) -> Box<dyn Parser> {
        Box::<Conversation>::default()
    }
}

#[derive(Default, PartialEq)]
enum Stage {
    #[default]
    Version,
    Packets,
    Over,
}

#[derive(Default)]
struct Half {
    buffer: Buffer,
    stage: Stage,
    version: Option<String>,
    hassh: Option<String>,
}

#[derive(Default)]
struct Conversation {
    out_half: Half,
    in_half: Half,
    first: Option<At>,
    last: Option<At>,
    given: bool,
}

impl Conversation {
    fn read(&mut self, side: Side, half: &mut Half, at: At, out: &mut Out) {
        loop {
            let unread = half.buffer.unread();
            match half.stage {
                Stage::Over => return half.buffer.clear(),
                Stage::Version => {
                    let Some(end) = memchr::memchr(b'\n', unread) else {
                        if unread.len() > MAX_LINE {
                            out.oddities.push((Oddity::new("ssh_line_too_long"), at.time, at.offset));
                            half.stage = Stage::Over;
                        }
                        return;
                    };
                    let line = unread.get(..end).unwrap_or_default();
                    if line.starts_with(b"SSH-") {
                        half.version = Some(text(line, 255).trim_end().to_owned());
                        let modern = line.starts_with(b"SSH-2") || line.starts_with(b"SSH-1.99");
                        half.stage = if modern { Stage::Packets } else { Stage::Over };
                    }
                    half.buffer.skip(end.saturating_add(1));
                }
                Stage::Packets => {
                    let mut b = Bytes::new(unread);
                    let Some(length) = b.u32() else { return };
                    if length < 2 || length as usize > MAX_BUFFER / 2 {
                        // Both sides of "SSH-1.99" may have fallen back to the older protocol, whose packets look otherwise.
                        out.oddities.push((Oddity::at("ssh_packet_malformed", length.to_string()), at.time, at.offset));
                        half.stage = Stage::Over;
                        continue;
                    }
                    let Some(packet) = b.take(length as usize) else { return };
                    match packet.get(1) {
                        Some(20) => {
                            half.hassh = offer(packet.get(2..).unwrap_or_default(), side);
                            if half.hassh.is_none() {
                                out.oddities.push((Oddity::new("ssh_kexinit_malformed"), at.time, at.offset));
                            }
                            half.stage = Stage::Over;
                        }
                        Some(21) => half.stage = Stage::Over,
                        _ => {}
                    }
                    half.buffer.skip((length as usize).saturating_add(4));
                }
            }
        }
    }

    fn give(&mut self, out: &mut Out) {
        let mut fields = Fields::default();
        fields.text(field::SSH_CLIENT, self.out_half.version.as_deref().unwrap_or_default());
        fields.text(field::SSH_SERVER, self.in_half.version.as_deref().unwrap_or_default());
        fields.text(field::HASSH, self.out_half.hassh.as_deref().unwrap_or_default());
        fields.text(field::HASSH_SERVER, self.in_half.hassh.as_deref().unwrap_or_default());
        if fields.is_empty() || std::mem::replace(&mut self.given, true) {
            return;
        }
        out.flow.extend(fields.clone().sorted());
        fields.text(field::APP, "ssh");
        if let (Some(first), Some(last)) = (self.first, self.last) {
            out.events.push(fields.event(Kind::Log, first, last));
        }
    }
}

/// HASSH of the offer in a KEXINIT, after its message number.
fn offer(body: &[u8], side: Side) -> Option<String> {
    let mut b = Bytes::new(body);
    b.take(16)?;
    let mut lists = Vec::new();
    for _ in 0..8 {
        let length = b.u32()?;
        lists.push(text(b.take(length as usize)?, usize::MAX));
    }
    let [kex, _, cipher_out, cipher_in, mac_out, mac_in, pack_out, pack_in] = lists.as_slice() else { return None };
    Some(match side {
        Side::Out => hassh(kex, cipher_out, mac_out, pack_out),
        Side::In => hassh(kex, cipher_in, mac_in, pack_in),
    })
}

impl Parser for Conversation {
    fn data(&mut self, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        self.first.get_or_insert(at);
        if !self.given {
            self.last = Some(at);
        }
        let mut half = std::mem::take(if side == Side::Out { &mut self.out_half } else { &mut self.in_half });
        if half.stage != Stage::Over && !half.buffer.push(bytes, at, MAX_BUFFER) {
            out.oddities.push((Oddity::new("ssh_offer_too_long"), at.time, at.offset));
            half.stage = Stage::Over;
        }
        self.read(side, &mut half, at, out);
        *(if side == Side::Out { &mut self.out_half } else { &mut self.in_half }) = half;
        out.confirmed |= self.out_half.version.is_some() && self.in_half.version.is_some();
        if self.out_half.stage == Stage::Over && self.in_half.stage == Stage::Over {
            self.give(out);
            out.done = true;
        }
    }
    fn gap(&mut self, side: Side, _missing: u64, _at: At, out: &mut Out) {
        (if side == Side::Out { &mut self.out_half } else { &mut self.in_half }).stage = Stage::Over;
        if self.out_half.stage == Stage::Over && self.in_half.stage == Stage::Over {
            self.give(out);
            out.done = true;
        }
    }
    fn end(&mut self, out: &mut Out) {
        self.give(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn kexinit(lists: [&str; 8]) -> Vec<u8> {
        let mut payload = vec![4, 20];
        payload.extend([0; 16]);
        for list in lists {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 13 + 4]);
        let mut out = (payload.len() as u32).to_be_bytes().to_vec();
        out.extend(payload);
        out
    }

    #[test]
    fn versions_and_offers_of_both_sides_are_one_event() {
        let at = At { time: Time(1), offset: 9 };
        let lists = ["k", "h", "c1", "c2", "m1", "m2", "z1", "z2"];
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::In, b"Welcome\r\nSSH-2.0-dropbear\r\n", at, &mut out);
        let mut client = b"SSH-2.0-OpenSSH_9.9\r\n".to_vec();
        client.extend(kexinit(lists));
        client.iter().for_each(|b| c.data(Side::Out, &[*b], at, &mut out));
        assert!(out.confirmed && out.events.is_empty());
        c.data(Side::In, &kexinit(lists), at, &mut out);
        assert!(out.done);
        c.end(&mut out);
        assert_eq!(out.events.len(), 1);
        let shown: String = out.flow.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect();
        let expected = format!("hassh={} hassh.server={} ", hassh("k", "c1", "m1", "z1"), hassh("k", "c2", "m2", "z2"));
        assert_eq!(shown, format!("ssh.client=SSH-2.0-OpenSSH_9.9 ssh.server=SSH-2.0-dropbear {expected}"));
    }

    #[test]
    fn a_length_beyond_reason_is_odd() {
        let at = At { time: Time(1), offset: 9 };
        let (mut c, mut out) = (Conversation::default(), Out::default());
        c.data(Side::Out, b"SSH-2.0-x\n\xff\xff\xff\xff", at, &mut out);
        assert_eq!(out.oddities[0].0.what, "ssh_packet_malformed");
    }
}
