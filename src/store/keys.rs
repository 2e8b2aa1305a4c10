//! Keys of postings: the bytes by which a value of an indexed field is found. Equal values (as a filter's `Is` compares them) have equal
//! keys; keys of addresses sort by network, so that a network is a range.

use crate::model::field::{self, FieldId, Place, Type};
use crate::model::filter::canonical;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Longest text that is a key as it is; of longer ones a beginning and a hash.
const LONGEST: usize = 64;
const BEGINNING: usize = 40;

/// Whether a field has postings: exactly if one can pivot on it and it is stored.
pub fn is_indexed(id: FieldId) -> bool {
    use std::sync::LazyLock;
    static INDEXED: LazyLock<Vec<bool>> = LazyLock::new(|| {
        let mut table = vec![false; 1 + field::ALL.iter().map(|f| f.id.0 as usize).max().unwrap_or(0)];
        for f in field::ALL {
            let stored = matches!(f.place, Place::One | Place::Many);
            let typed = matches!(f.ty, Type::Text | Type::Addr | Type::Port | Type::Uint);
            table[f.id.0 as usize] = f.entity.is_some() && stored && typed;
        }
        table
    });
    INDEXED.get(id.0 as usize).copied().unwrap_or(false)
}

/// Appends the key of a text: without regard to case.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let lower = text.to_lowercase();
    if lower.len() <= LONGEST {
        out.extend_from_slice(lower.as_bytes());
    } else {
        out.extend_from_slice(&lower.as_bytes()[..BEGINNING]);
        out.extend_from_slice(&Sha256::digest(lower.as_bytes())[..16]);
    }
}

/// Whether a key of a text may be that of a longer text, of which only the beginning is known.
pub fn is_hashed(key: &[u8]) -> bool {
    key.len() == BEGINNING + 16
}

/// Appends the key of an address: IPv4-mapped ones as IPv4, as filters compare them.
pub fn put_addr(out: &mut Vec<u8>, addr: IpAddr) {
    match canonical(addr) {
        IpAddr::V4(a) => {
            out.push(4);
            out.extend_from_slice(&a.octets());
        }
        IpAddr::V6(a) => {
            out.push(6);
            out.extend_from_slice(&a.octets());
        }
    }
}

/// Appends the key of a number.
pub fn put_uint(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_blind_to_case() {
        let key = |t: &str| {
            let mut out = Vec::new();
            put_text(&mut out, t);
            out
        };
        assert_eq!(key("WWW.Example"), key("www.example"));
        let long = "x".repeat(500);
        assert!(key(&long).len() <= LONGEST);
        assert_ne!(key(&long), key(&"x".repeat(501)));
        assert_eq!(key(&"é".repeat(100)).len(), BEGINNING + 16);
    }

    #[test]
    fn hosts_are_indexed_and_counters_are_not() {
        assert!(is_indexed(field::SRC_IP) && is_indexed(field::NAME) && is_indexed(field::DST_PORT));
        assert!(!is_indexed(field::BYTES_OUT) && !is_indexed(field::HOST) && !is_indexed(field::COMMUNITY_ID));
    }
}
