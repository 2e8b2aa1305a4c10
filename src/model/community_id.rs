//! Community ID v1 (Corelight's specification, seed 0), computed from a record or from bare endpoints.

use super::record::Record;
use super::{field, proto};
use base64::Engine as _;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// For a two-way ICMP type its counterpart. Other types are one-way.
pub fn icmp_counterpart(protocol: u8, kind: u8) -> Option<u8> {
    Some(match (protocol, kind) {
        (proto::ICMP, 8) => 0,
        (proto::ICMP, 0) => 8,
        (proto::ICMP, 13) => 14,
        (proto::ICMP, 14) => 13,
        (proto::ICMP, 15) => 16,
        (proto::ICMP, 16) => 15,
        (proto::ICMP, 17) => 18,
        (proto::ICMP, 18) => 17,
        (proto::ICMP, 10) => 9,
        (proto::ICMP, 9) => 10,
        (proto::ICMP6, 128) => 129,
        (proto::ICMP6, 129) => 128,
        (proto::ICMP6, 130) => 131,
        (proto::ICMP6, 131) => 130,
        (proto::ICMP6, 133) => 134,
        (proto::ICMP6, 134) => 133,
        (proto::ICMP6, 135) => 136,
        (proto::ICMP6, 136) => 135,
        (proto::ICMP6, 139) => 140,
        (proto::ICMP6, 140) => 139,
        (proto::ICMP6, 144) => 145,
        (proto::ICMP6, 145) => 144,
        _ => return None,
    })
}

/// The Community ID of a conversation. For ICMP `src_port` is the type and `dst_port` the counterpart type, or the code if one-way.
pub fn compute(protocol: u8, src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16) -> String {
    String::from_utf8_lossy(&ascii(protocol, src, src_port, dst, dst_port)).into_owned()
}

/// As [`compute`], as ASCII and without allocation: for comparing many.
pub fn ascii(protocol: u8, src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16) -> [u8; 30] {
    let one_way = matches!(protocol, proto::ICMP | proto::ICMP6)
        && icmp_counterpart(protocol, src_port as u8).is_none_or(|c| u16::from(c) != dst_port);
    let (mut first, mut second) = ([0; 16], [0; 16]);
    let mut a = (octets(src, &mut first), src_port);
    let mut b = (octets(dst, &mut second), dst_port);
    if !one_way && b < a {
        std::mem::swap(&mut a, &mut b);
    }
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(a.0);
    hash.update(b.0);
    hash.update([protocol, 0]);
    if matches!(protocol, proto::ICMP | proto::TCP | proto::UDP | proto::ICMP6 | proto::SCTP) {
        hash.update(a.1.to_be_bytes());
        hash.update(b.1.to_be_bytes());
    }
    let mut out = *b"1:****************************";
    // 20 bytes are 28 signs: the rest of `out`.
    let _ = base64::engine::general_purpose::STANDARD.encode_slice(hash.finalize(), &mut out[2..]);
    out
}

/// The Community ID of a record that has addresses and a protocol.
pub fn of_record(record: &Record) -> Option<String> {
    let protocol = record.uint(field::PROTO)? as u8;
    let (src, dst) = (record.addr(field::SRC_IP)?, record.addr(field::DST_IP)?);
    let port = |id| record.uint(id).unwrap_or(0) as u16;
    Some(compute(protocol, src, port(field::SRC_PORT), dst, port(field::DST_PORT)))
}

fn octets(addr: IpAddr, out: &mut [u8; 16]) -> &[u8] {
    match addr {
        IpAddr::V4(a) => {
            out[..4].copy_from_slice(&a.octets());
            &out[..4]
        }
        IpAddr::V6(a) => {
            *out = a.octets();
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        let vectors: &[(u8, &str, u16, &str, u16, &str)] = &[
            (6, "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (6, "66.35.250.204", 80, "128.232.110.120", 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (17, "192.168.1.52", 54585, "8.8.8.8", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (1, "192.168.0.89", 8, "192.168.0.1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.1", 0, "192.168.0.89", 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            (1, "192.168.0.89", 3, "192.168.0.1", 1, "1:LXCfhMUFbYXe+CEMrQuZCbiLY3o="),
            (58, "fe80::200:86ff:fe05:80da", 135, "fe80::260:97ff:fe07:69ea", 136, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
            (132, "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
            (46, "10.1.24.4", 0, "10.1.12.1", 0, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="),
            (6, "10.0.0.1", 40000, "192.0.2.80", 80, "1:F8XoYKHgV/9QxD9b9qA9abCXdtI="),
        ];
        for (p, a, ap, b, bp, want) in vectors {
            let (Ok(a), Ok(b)) = (a.parse(), b.parse()) else { continue };
            assert_eq!(compute(*p, a, *ap, b, *bp), *want);
        }
    }
}
