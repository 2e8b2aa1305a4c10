//! How values whose types belong to other crates are written where plain data goes from one process to another (serde's `with`).

/// Short texts.
pub mod text {
    use compact_str::CompactString;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    /// Writes a text.
    pub fn serialize<S: Serializer>(text: &CompactString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }
    /// Reads a text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<CompactString, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = CompactString;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<CompactString, E> {
                Ok(CompactString::from(text))
            }
        }
        from.deserialize_str(Text)
    }
}

/// Bytes: in one piece, not one by one.
pub mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    /// Writes bytes.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }
    /// Reads bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

/// Networks: address and length of the prefix.
pub mod nets {
    use ipnet::IpNet;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::net::IpAddr;

    /// Writes networks.
    pub fn serialize<S: Serializer>(nets: &[IpNet], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(nets.iter().map(|net| (net.addr(), net.prefix_len())))
    }
    /// Reads networks; a prefix longer than its address is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let pairs: Vec<(IpAddr, u8)> = Vec::deserialize(from)?;
        pairs.into_iter().map(|(addr, len)| IpNet::new(addr, len).map_err(|e| D::Error::custom(e.to_string()))).collect()
    }
}
