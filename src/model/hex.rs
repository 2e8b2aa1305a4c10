//! Bytes as hexadecimal text: hashes, keys, hardware addresses.

use std::fmt::Write;

/// Lower case, without separators.
pub fn hex(bytes: &[u8]) -> String {
    joined(bytes, "")
}

/// A hardware address as `aa:bb:cc:dd:ee:ff`.
pub fn mac(bytes: &[u8]) -> String {
    joined(bytes, ":")
}

fn joined(bytes: &[u8], between: &str) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2 + between.len()));
    for (i, b) in bytes.iter().enumerate() {
        let _ = write!(out, "{}{b:02x}", if i > 0 { between } else { "" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_leading_zeros() {
        assert_eq!(hex(&[0, 0xab, 7]), "00ab07");
        assert_eq!(mac(&[0, 0xab, 7]), "00:ab:07");
        assert_eq!(mac(&[]), "");
    }
}
