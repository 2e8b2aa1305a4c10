//! What a pcapng file says of packets that are not in it: statistics of an interface, and drops before a packet (draft-ietf-opsawg-pcapng,
//! "Interface Statistics Block", "epb_dropcount").

use crate::model::Time;
use pcap_parser::PcapNGOption;
use pcap_parser::pcapng::OptionCode;

/// Codes of options: of a packet the drops before it, of an interface what it received, what it dropped, what the system dropped.
const DROPPED_BEFORE: u16 = 4;
const RECEIVED: u16 = 4;
const BY_INTERFACE: u16 = 5;
const BY_SYSTEM: u16 = 7;

/// How a comment on statistics begins that says how many packets were dropped while the reader of the stream was late.
pub const LATE: &str = "dropped while the reader was late: ";

/// Packets that never came into the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Index of the interface over all sections.
    pub interface: u32,
    /// Packets that it received, if stated.
    pub received: Option<u64>,
    /// Packets that were dropped, by the interface or the system.
    pub dropped: u64,
    /// Of those the ones by the interface.
    pub by_interface: u64,
    /// Of the others the ones while the capturing program waited for who reads it: our own says so in a comment, see [`LATE`].
    pub late: u64,
    /// Counted since the capture began, not since the packet before.
    pub total: bool,
    /// Until when it was counted, if that is stated.
    pub at: Option<Time>,
}

impl Missed {
    /// What statistics of an interface state; none if they do not speak of drops.
    pub(super) fn stated(interface: u32, at: Time, options: &[PcapNGOption<'_>], big: bool) -> Option<Missed> {
        let (own, system) = (number_of(options, BY_INTERFACE, big), number_of(options, BY_SYSTEM, big));
        own.or(system)?;
        let by_interface = own.unwrap_or(0);
        let dropped = by_interface.saturating_add(system.unwrap_or(0));
        let comments = options.iter().filter(|o| o.code == OptionCode::Comment);
        let late = comments.filter_map(|o| std::str::from_utf8(o.as_bytes().ok()?).ok()?.strip_prefix(LATE)?.parse().ok()).next();
        let (received, late) = (number_of(options, RECEIVED, big), late.unwrap_or(0));
        Some(Missed { interface, received, dropped, by_interface, late, total: true, at: Some(at) })
    }
    /// What a packet states of the time before it; none if nothing was dropped.
    pub(super) fn before(interface: u32, options: &[PcapNGOption<'_>], big: bool) -> Option<Missed> {
        let dropped = number_of(options, DROPPED_BEFORE, big).filter(|n| *n > 0)?;
        Some(Missed { interface, received: None, dropped, by_interface: 0, late: 0, total: false, at: None })
    }
}

/// An option that is a number of 64 bits.
fn number_of(options: &[PcapNGOption<'_>], code: u16, big: bool) -> Option<u64> {
    let option = options.iter().find(|o| o.code == OptionCode(code))?;
    let eight: [u8; 8] = option.value.get(..8)?.try_into().ok()?;
    Some(if big { u64::from_be_bytes(eight) } else { u64::from_le_bytes(eight) })
}
