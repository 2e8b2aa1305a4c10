//! Numbers at a place of a packet, big-endian.

/// Two bytes.
pub(in crate::formats) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// Four bytes.
pub(in crate::formats) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// Eight bytes.
pub(in crate::formats) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_be_bytes)
}

/// An unsigned number of up to 8 bytes (reduced-size encoding, RFC 7011, 6.2).
pub(in crate::formats) fn uint(bytes: &[u8]) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

/// TCP flags as letters, in the order of their bits: FIN SYN RST PSH ACK URG ECE CWR (RFC 9293, 3.1; RFC 3168).
pub(in crate::formats) fn flags(bits: u64) -> String {
    "FSRPAUEC".chars().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, c)| c).collect()
}
