//! A report for others: addresses replaced so that those of one network stay in one network, users by pseudonyms.
//!
//! Each bit of an address is flipped or not by a keyed function of the bits before it, as Crypto-PAn does (Fan, Xu, Ammar, Moon, 2004); the function
//! here is HMAC-SHA256 (RFC 2104). Whoever has the key can undo it by trying; without it the networks keep their shape and nothing else.

use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Replaces what names people and machines.
pub struct Redactor {
    inner: Sha256,
    outer: Sha256,
    users: BTreeSet<String>,
    known: HashMap<IpAddr, IpAddr>,
}

impl Redactor {
    /// With a key, and the users that are to be replaced wherever they stand as a word; names of one letter are left.
    pub fn new(key: &[u8], users: impl IntoIterator<Item = String>) -> Redactor {
        let mut block = [0u8; 64];
        let short: Vec<u8> = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
        block.iter_mut().zip(short).for_each(|(b, k)| *b = k);
        let padded = |pad: u8| Sha256::new().chain_update(block.map(|b| b ^ pad));
        let users = users.into_iter().filter(|u| u.chars().count() > 1).collect();
        Redactor { inner: padded(0x36), outer: padded(0x5c), users, known: HashMap::new() }
    }
    fn hmac(&self, text: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
    /// The address that stands for another.
    pub fn address(&mut self, ip: IpAddr) -> IpAddr {
        if let Some(known) = self.known.get(&ip) {
            return *known;
        }
        let (bits, width) = match ip {
            IpAddr::V4(a) => (u128::from(u32::from(a)) << 96, 32),
            IpAddr::V6(a) => (u128::from(a), 128),
        };
        let mut out = bits;
        for n in 0..width {
            // The bits before this one, and how many they are.
            let before = if n == 0 { 0 } else { bits >> (128 - n) << (128 - n) };
            let mut text = [0u8; 18];
            text[..16].copy_from_slice(&before.to_be_bytes());
            (text[16], text[17]) = (n as u8, width as u8);
            if self.hmac(&text)[0] & 1 == 1 {
                out ^= 1 << (127 - n);
            }
        }
        let new = match ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from((out >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(out)),
        };
        self.known.insert(ip, new);
        new
    }
    /// A text in which every address and user is replaced.
    pub fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        for c in text.chars().chain(std::iter::once('\n')) {
            if c.is_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | '@') {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                out.push_str(&self.word(&word));
                word.clear();
            }
            out.push(c);
        }
        out.pop();
        out
    }
    fn word(&mut self, word: &str) -> String {
        // What ends a sentence or parts an address from its port is none of it.
        let core = word.trim_matches(['.', ':', '-', '_', '@']);
        let Some(at) = word.find(core).filter(|_| !core.is_empty()) else { return word.to_owned() };
        let (before, after) = (&word[..at], &word[at + core.len()..]);
        let new = if let Ok(ip) = core.parse::<IpAddr>() {
            self.address(ip).to_string()
        } else if let Some((ip, port)) = core.rsplit_once(':').and_then(|(ip, port)| Some((ip.parse::<Ipv4Addr>().ok()?, port))) {
            format!("{}:{port}", self.address(ip.into()))
        } else if let Some((ip, rest)) = core.split_once('-').and_then(|(ip, rest)| Some((ip.parse::<Ipv4Addr>().ok()?, rest))) {
            let rest = self.word(rest);
            format!("{}-{rest}", self.address(ip.into()))
        } else if self.users.contains(core) {
            let hash = self.hmac(core.as_bytes());
            format!("user-{}", crate::model::hex::hex(&hash[..3]))
        } else {
            return word.to_owned();
        };
        format!("{before}{new}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(a: IpAddr, b: IpAddr) -> u32 {
        let bits = |ip| match ip {
            IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
            IpAddr::V6(a) => u128::from(a),
        };
        (bits(a) ^ bits(b)).leading_zeros()
    }

    #[test]
    fn networks_keep_their_shape_and_nothing_of_what_was_stays() {
        let mut r = Redactor::new(b"key", ["jdoe".to_owned(), "a".to_owned()]);
        let list = ["10.8.21.5", "10.8.21.31", "10.8.30.12", "192.0.2.1", "2001:db8::1", "2001:db8::2"]
            .map(|a| a.parse::<IpAddr>().unwrap());
        for a in list {
            assert_ne!(r.address(a), a);
            for b in list.iter().filter(|b| b.is_ipv4() == a.is_ipv4() && **b != a) {
                assert_eq!(shared(r.address(a), r.address(*b)), shared(a, *b), "{a} {b}");
            }
        }
        let text =
            "jdoe of 10.8.21.5:443 (10.8.21.0/24), 10.8.21.5-10.8.21.9 and 2001:db8::1. jdoe-pc is a name; 1.2 is a number.";
        let new = r.text(text);
        assert!(!new.contains("10.8.21") && !new.contains("2001:db8::1") && !new.starts_with("jdoe "), "{new}");
        assert!(
            new.contains(":443 (") && new.contains("/24),") && new.contains("jdoe-pc") && new.contains("1.2 is a number"),
            "{new}"
        );
        assert_eq!(Redactor::new(b"key", []).address(list[0]), r.address(list[0]));
        assert_ne!(Redactor::new(b"other", []).address(list[0]), r.address(list[0]));
    }
}
