//! X.509 certificates in DER, right in syntax; the signature is random, as nobody checks it here.

use crate::rng::Rng;
use chrono::Datelike;

fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        n if n < 128 => out.push(n as u8),
        n if n < 256 => out.extend_from_slice(&[0x81, n as u8]),
        n => out.extend_from_slice(&[0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(body);
    out
}

fn cat(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn name(org: &str, cn: &str) -> Vec<u8> {
    let part = |oid: u8, text: &str| tlv(0x31, &tlv(0x30, &cat(&[tlv(6, &[0x55, 4, oid]), tlv(0x0c, text.as_bytes())])));
    tlv(0x30, &cat(&[part(10, org), part(3, cn)]))
}

fn moment(t: i64) -> Vec<u8> {
    let d = crate::clock::date(t);
    tlv(0x17, format!("{:02}{}", d.year() % 100, d.format("%m%d%H%M%SZ")).as_bytes())
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut b = bytes.to_vec();
    if let Some(first) = b.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    tlv(2, &b)
}

/// An ECDSA signature as DER, with random numbers.
pub fn signature(rng: &mut Rng) -> Vec<u8> {
    tlv(0x30, &cat(&[integer(&rng.bytes(32)), integer(&rng.bytes(32))]))
}

const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// A point that really is on the curve: its generator.
const POINT: [u8; 65] = [
    4, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81,
    0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,
    0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
    0x51, 0xf5,
];

/// A certificate for `cn`, signed by `issuer` (organisation, name), valid from `from` to `to`.
pub fn certificate(org: &str, cn: &str, issuer: (&str, &str), from: i64, to: i64) -> Vec<u8> {
    let seed = cn.bytes().fold(7, |h, b| crate::rng::mix(h ^ u64::from(b)));
    let mut rng = Rng::new(seed);
    let algorithm = tlv(0x30, &tlv(6, &ECDSA_SHA256));
    let key = tlv(0x30, &cat(&[tlv(6, &EC_KEY), tlv(6, &P256)]));
    let mut point = vec![0];
    point.extend_from_slice(&POINT);
    let san = tlv(0x30, &tlv(0x82, cn.as_bytes()));
    let extension = tlv(0x30, &cat(&[tlv(6, &[0x55, 0x1d, 0x11]), tlv(4, &san)]));
    let body = tlv(
        0x30,
        &cat(&[
            tlv(0xa0, &[2, 1, 2]),
            integer(&rng.bytes(16)),
            algorithm.clone(),
            name(issuer.0, issuer.1),
            tlv(0x30, &cat(&[moment(from), moment(to)])),
            name(org, cn),
            tlv(0x30, &cat(&[key, tlv(3, &point)])),
            tlv(0xa3, &tlv(0x30, &extension)),
        ]),
    );
    let mut sig = vec![0];
    sig.extend_from_slice(&signature(&mut rng));
    tlv(0x30, &cat(&[body, algorithm, tlv(3, &sig)]))
}
