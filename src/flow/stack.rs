//! Whose stack set up a connection: by the initial time to live and the order of options of a SYN, or of the SYN that answers one.
//!
//! The idea is p0f's (M. Zalewski, "p0f v3", README, section 5); the table is our own, of what systems of today send. Only what a layout leaves no
//! doubt about is named: a system behind a proxy, or one that was told to look like another, has that one's layout.

use crate::protocols::layers::{Conversation, TcpHeader, flags};

/// A family of stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stack {
    /// Windows.
    Windows,
    /// Linux, Android and Chrome OS among them.
    Linux,
    /// macOS, iOS.
    Apple,
    /// FreeBSD, OpenBSD.
    Bsd,
    /// Routers, switches, small devices.
    Firmware,
}

use Stack::{Apple, Bsd, Firmware, Linux, Windows};

/// Routers that a packet may have passed: beyond it the initial time to live is a guess.
const FARTHEST: u8 = 35;
/// Options that are looked at.
const MOST: usize = 16;

/// Initial time to live, layout of the options, and whose that is; of SYNs. `*` at the end: whatever follows.
const ASKING: &[(u8, &str, Stack)] = &[
    (128, "MNWNNS", Windows),
    (128, "MNWST", Windows),
    (128, "MNWNNTNNS", Windows),
    (128, "MNNS", Windows),
    (64, "MSTNW*", Linux),
    (64, "MNNSNW*", Linux),
    (64, "MNNTNW*", Linux),
    (64, "MNWNNTSE*", Apple),
    (64, "MNWST", Bsd),
    (64, "MNNSNWNNT", Bsd),
    (255, "M", Firmware),
];

/// The same of the SYNs that answer: what was not asked for is left out.
const ANSWERING: &[(u8, &str, Stack)] = &[
    (128, "MNWNNS", Windows),
    (128, "MNWST", Windows),
    (128, "MNWNNT", Windows),
    (128, "MNWNNTNNS", Windows),
    (128, "MNNS", Windows),
    (128, "MNW", Windows),
    (64, "MSTNW*", Linux),
    (64, "MNNSNW*", Linux),
    (64, "MNNTNW*", Linux),
    (64, "MNNS", Linux),
    (64, "MNWNNTSE", Apple),
    (64, "MNWST", Bsd),
    (64, "MNNSNWNNT", Bsd),
    (255, "M", Firmware),
];

impl Stack {
    /// Every one.
    pub const ALL: [Stack; 5] = [Windows, Linux, Apple, Bsd, Firmware];
    /// The word for it, in `src.os` and `dst.os`.
    pub fn name(self) -> &'static str {
        match self {
            Windows => "windows",
            Linux => "linux",
            Apple => "apple",
            Bsd => "bsd",
            Firmware => "firmware",
        }
    }
    /// The one with a name.
    pub fn named(name: &str) -> Option<Stack> {
        Stack::ALL.into_iter().find(|s| s.name() == name)
    }
    /// Whose a segment is, if it sets up a connection.
    pub fn of(c: &Conversation<'_>, h: &TcpHeader) -> Option<Stack> {
        if h.flags & (flags::SYN | flags::RST | flags::FIN) != flags::SYN {
            return None;
        }
        let table = if h.flags & flags::ACK == 0 { ASKING } else { ANSWERING };
        let initial = match c.ttl {
            0 => return None,
            1..=64 => 64,
            65..=128 => 128,
            129..=255 => 255,
        };
        if initial - c.ttl > FARTHEST {
            return None;
        }
        let header = 4 * usize::from(c.segment.get(12)? >> 4);
        let layout = layout(c.segment.get(20..header)?);
        let fits = |of: &str| of.strip_suffix('*').map_or(of == layout, |begin| layout.starts_with(begin));
        table.iter().find(|(ttl, of, _)| *ttl == initial && fits(of)).map(|(.., stack)| *stack)
    }
}

/// The order of options, a letter each: M segment size, N nothing, W window scale, S selective acknowledgements, T timestamps, E end, `?` another.
fn layout(mut options: &[u8]) -> String {
    let mut out = String::with_capacity(MOST);
    while let Some(kind) = options.first().copied().filter(|_| out.len() < MOST) {
        out.push(match kind {
            0 => 'E',
            1 => 'N',
            2 => 'M',
            3 => 'W',
            4 => 'S',
            8 => 'T',
            _ => '?',
        });
        let len = match kind {
            0 => break,
            1 => 1,
            _ => options.get(1).map_or(usize::MAX, |n| usize::from(*n).max(2)),
        };
        options = options.get(len..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proto;
    use crate::protocols::layers::{LinkHead, Transport};
    use std::net::Ipv4Addr;

    fn stack(ttl: u8, set: u8, options: &[u8]) -> Option<Stack> {
        let mut segment = vec![0u8; 20];
        segment[12] = (((20 + options.len()) / 4) << 4) as u8;
        segment.extend(options);
        let h = TcpHeader { src_port: 1, dst_port: 2, seq: 0, ack: 0, flags: set, window: 64_240 };
        let c = Conversation {
            src: Ipv4Addr::LOCALHOST.into(),
            dst: Ipv4Addr::LOCALHOST.into(),
            proto: proto::TCP,
            ip_len: 40,
            unstated: 0,
            ttl,
            ip_id: 0,
            bad_ip_checksum: false,
            fragment: None,
            transport: Transport::Tcp(h),
            segment: &segment,
            segment_len: segment.len() as u32,
            payload: &[],
            payload_len: 0,
            link: LinkHead::default(),
            carries: None,
            level: 0,
        };
        Stack::of(&c, &h)
    }

    const WINDOWS: &[u8] = &[2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2];
    const LINUX: &[u8] = &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
    const APPLE: &[u8] = &[2, 4, 5, 180, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 4, 2, 0, 0];

    #[test]
    fn systems_of_today_are_named_and_what_looks_like_none_is_not() {
        assert_eq!(stack(128, flags::SYN, WINDOWS), Some(Windows));
        assert_eq!(stack(117, flags::SYN | 0xc0, WINDOWS), Some(Windows));
        assert_eq!(stack(53, flags::SYN, LINUX), Some(Linux));
        assert_eq!(stack(64, flags::SYN | flags::ACK, LINUX), Some(Linux));
        assert_eq!(stack(64, flags::SYN, APPLE), Some(Apple));
        assert_eq!(stack(255, flags::SYN, &[2, 4, 5, 180]), Some(Firmware));
        // The layout of one with the time to live of another, a tool's SYN, and what sets up nothing.
        for (ttl, set, options) in [
            (64, flags::SYN, WINDOWS),
            (128, flags::SYN, LINUX),
            (20, flags::SYN, LINUX),
            (0, flags::SYN, LINUX),
            (50, flags::SYN, &[2, 4, 5, 180][..]),
            (50, flags::SYN, &[]),
            (64, flags::ACK, LINUX),
            (64, flags::SYN | flags::RST, LINUX),
        ] {
            assert_eq!(stack(ttl, set, options), None, "{ttl} {set} {options:?}");
        }
    }

    #[test]
    fn options_that_are_cut_or_endless_are_no_panic() {
        assert_eq!(layout(&[2, 4, 5, 180, 8]), "MT");
        assert_eq!(layout(&[3, 0, 3, 0]), "WW");
        assert_eq!(layout(&[1; 40]).len(), MOST);
        assert_eq!(stack(64, flags::SYN, &[8, 255, 0, 0]), None);
        assert!(Stack::ALL.into_iter().all(|s| Stack::named(s.name()) == Some(s)) && Stack::named("os/2").is_none());
    }
}
