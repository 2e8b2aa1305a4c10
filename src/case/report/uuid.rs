//! Ids of report objects: UUID version 5 (RFC 9562, 5.5), so that the same thing has the same id.

use sha1::{Digest, Sha1};

/// The id of a name within a name space.
pub fn v5(space: &[u8; 16], name: &str) -> [u8; 16] {
    let digest = Sha1::new().chain_update(space).chain_update(name).finalize();
    let mut b = [0u8; 16];
    b.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    b[6] = b[6] & 0x0f | 0x50;
    b[8] = b[8] & 0x3f | 0x80;
    b
}

/// As it is written.
pub fn show(id: &[u8; 16]) -> String {
    let hex = crate::model::hex::hex(id);
    let part = |r: std::ops::Range<usize>| hex.get(r).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_standard() {
        // RFC 9562, A.4: www.example.com in the name space of DNS.
        let dns = [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        assert_eq!(show(&v5(&dns, "www.example.com")), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }
}
