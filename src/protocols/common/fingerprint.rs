//! Fingerprints of clients and servers: JA3, JA3S (salesforce/ja3), JA4 of the TLS client (FoxIO, "JA4: TLS Client Fingerprinting",
//! BSD-3-Clause; none of the other members of that family), HASSH (salesforce/hassh). Knows no records and no packets.

use super::hello::{ClientHello, ServerHello, is_grease};
use crate::model::hex::hex;
use sha1::Digest as _;

fn md5(text: &str) -> String {
    hex(&md5::Md5::digest(text.as_bytes()))
}

fn joined(list: impl Iterator<Item = u16>) -> String {
    list.filter(|n| !is_grease(*n)).map(|n| n.to_string()).collect::<Vec<_>>().join("-")
}

/// The text that JA3 hashes: version, ciphers, extensions, groups, point formats.
pub fn ja3_text(hello: &ClientHello) -> String {
    format!(
        "{},{},{},{},{}",
        hello.version,
        joined(hello.ciphers.iter().copied()),
        joined(hello.extensions.iter().copied()),
        joined(hello.groups.iter().copied()),
        joined(hello.formats.iter().map(|f| u16::from(*f))),
    )
}

/// JA3 of a client.
pub fn ja3(hello: &ClientHello) -> String {
    md5(&ja3_text(hello))
}

/// JA3S of a server.
pub fn ja3s(hello: &ServerHello) -> String {
    let extensions = hello.extensions.iter().map(u16::to_string).collect::<Vec<_>>().join("-");
    md5(&format!("{},{},{extensions}", hello.version, hello.cipher))
}

/// Over what the hello came, the first letter of JA4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// QUIC.
    Quic,
}

fn hash12(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    let mut hash = hex(&sha2::Sha256::digest(text.as_bytes()));
    hash.truncate(12);
    hash
}

fn hex_list(list: &[u16]) -> String {
    list.iter().map(|n| format!("{n:04x}")).collect::<Vec<_>>().join(",")
}

/// The second part of JA4: sorted ciphers.
fn ja4_b(ciphers: &[u16]) -> String {
    let mut sorted = ciphers.to_vec();
    sorted.sort_unstable();
    hash12(&hex_list(&sorted))
}

/// The third part of JA4: sorted extensions but SNI and ALPN, then signature algorithms in order.
fn ja4_c(extensions: &[u16], signatures: &[u16]) -> String {
    let mut sorted: Vec<u16> = extensions.iter().copied().filter(|e| !matches!(e, 0 | 16)).collect();
    sorted.sort_unstable();
    let mut text = hex_list(&sorted);
    if !signatures.is_empty() {
        text.push('_');
        text.push_str(&hex_list(signatures));
    }
    hash12(&text)
}

/// First and last character of the first application protocol, of its hexadecimal form where it is not alphanumeric.
fn ja4_alpn(first: Option<&Vec<u8>>) -> String {
    let Some((Some(a), Some(z))) = first.map(|v| (v.first().copied(), v.last().copied())) else {
        return "00".to_owned();
    };
    if a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric() {
        return [char::from(a), char::from(z)].iter().collect();
    }
    let digit = |n: u8| char::from_digit(u32::from(n & 15), 16).unwrap_or('0');
    [digit(a >> 4), digit(z)].iter().collect()
}

/// JA4 of a client.
pub fn ja4(hello: &ClientHello, carrier: Carrier) -> String {
    let plain = |list: &[u16]| list.iter().copied().filter(|n| !is_grease(*n)).collect::<Vec<u16>>();
    let (ciphers, extensions, signatures) = (plain(&hello.ciphers), plain(&hello.extensions), plain(&hello.signatures));
    let version = match hello.highest() {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 | 0x0200 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    };
    format!(
        "{}{version}{}{:02}{:02}{}_{}_{}",
        if carrier == Carrier::Quic { 'q' } else { 't' },
        if extensions.contains(&0) { 'd' } else { 'i' },
        ciphers.len().min(99),
        extensions.len().min(99),
        ja4_alpn(hello.alpn.first()),
        ja4_b(&ciphers),
        ja4_c(&extensions, &signatures),
    )
}

/// HASSH: MD5 of key exchange, encryption, MAC and compression algorithms of one direction, as sent.
pub fn hassh(kex: &str, encryption: &str, mac: &str, compression: &str) -> String {
    md5(&format!("{kex};{encryption};{mac};{compression}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &str) -> Vec<u16> {
        list.split(',').map(|n| u16::from_str_radix(n, 16).unwrap()).collect()
    }

    #[test]
    fn the_published_vectors_of_ja4_hold() {
        let ciphers = numbers("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
        assert_eq!(ja4_b(&ciphers), "8daaf6152771");
        let extensions = numbers("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015");
        let signatures = numbers("0403,0804,0401,0503,0805,0501,0806,0601");
        assert_eq!(ja4_c(&extensions, &signatures), "e5627efa2ab1");
        assert_eq!(ja4_b(&[]), "000000000000");
    }

    #[test]
    fn the_first_part_of_ja4_leaves_grease_out() {
        let hello = ClientHello {
            version: 0x0303,
            ciphers: numbers("0a0a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"),
            extensions: numbers("fafa,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"),
            signatures: numbers("0403,0804,0401,0503,0805,0501,0806,0601"),
            versions: numbers("2a2a,0304,0303"),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ..ClientHello::default()
        };
        assert_eq!(ja4(&hello, Carrier::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert!(ja4(&hello, Carrier::Quic).starts_with("q13d"));
    }

    #[test]
    fn an_application_protocol_that_is_not_alphanumeric_counts_by_its_hexadecimal_form() {
        assert_eq!(ja4_alpn(None), "00");
        assert_eq!(ja4_alpn(Some(&b"http/1.1".to_vec())), "h1");
        assert_eq!(ja4_alpn(Some(&vec![0xab])), "ab");
        assert_eq!(ja4_alpn(Some(&vec![0xab, 0xcd])), "ad");
        assert_eq!(ja4_alpn(Some(&vec![0x30, 0xab])), "3b");
    }

    #[test]
    fn ja3_is_the_md5_of_decimal_lists() {
        let hello = ClientHello {
            version: 769,
            ciphers: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            extensions: vec![0, 10, 11],
            groups: vec![23, 24, 25],
            formats: vec![0],
            ..ClientHello::default()
        };
        assert_eq!(ja3_text(&hello), "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(ja3(&hello), "ada70206e40642a3e4461f35503241d5");
        assert_eq!(ja3_text(&ClientHello { version: 769, ..ClientHello::default() }), "769,,,,");
    }

    #[test]
    fn hassh_is_the_md5_of_the_lists_as_sent() {
        assert_eq!(hassh("a", "b", "c", "d"), md5("a;b;c;d"));
    }
}
