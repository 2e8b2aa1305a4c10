//! TLS handshakes with the right syntax (the ciphertexts are opaque), certificates, and the client's fingerprints.

use crate::rng::Rng;
use crate::talk::{Dir, Msg, Talk};
use md5::Md5;
use sha2::{Digest, Sha256};

/// What an intrusion detector learns from a handshake.
#[derive(Clone, Default)]
pub struct Seen {
    /// The name asked for.
    pub sni: String,
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// The certificate in the clear (TLS 1.2 only).
    pub cert: Vec<u8>,
    /// The packet that ends the server's part.
    pub packet: usize,
    /// JA3 text.
    pub ja3: String,
    /// JA4.
    pub ja4: String,
}

/// A client's habits.
pub struct Client {
    tls13: bool,
    ciphers: &'static [u16],
    extensions: &'static [u16],
    groups: &'static [u16],
    signatures: &'static [u16],
    alpn: &'static [&'static str],
}

const SIGS: &[u16] = &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
/// A browser.
pub const BROWSER: Client = Client {
    tls13: true,
    ciphers: &[0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35],
    extensions: &[0, 23, 0xff01, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27],
    groups: &[0x1d, 0x17, 0x18],
    signatures: SIGS,
    alpn: &["h2", "http/1.1"],
};
/// Another browser.
pub const BROWSER_B: Client = Client {
    tls13: true,
    ciphers: &[
        0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f,
        0x35,
    ],
    extensions: &[0, 23, 0xff01, 10, 11, 16, 5, 34, 51, 43, 13, 45, 28],
    groups: &[0x1d, 0x17, 0x18, 0x19, 0x100, 0x101],
    signatures: &[0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201],
    alpn: &["h2", "http/1.1"],
};
/// Services of the operating system.
pub const SYSTEM: Client = Client {
    tls13: false,
    ciphers: &[
        0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023, 0xc028, 0xc027, 0xc00a, 0xc009, 0xc014, 0xc013, 0x9d, 0x9c, 0x3d, 0x3c,
        0x35, 0x2f,
    ],
    extensions: &[0, 5, 10, 11, 13, 35, 16, 23, 0xff01],
    groups: &[0x1d, 0x17, 0x18],
    signatures: &[0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0201, 0x0403, 0x0503, 0x0203, 0x0202, 0x0601, 0x0603],
    alpn: &["http/1.1"],
};
/// The implant: TLS 1.2 only, no ALPN, a set that nobody else offers.
pub const IMPLANT: Client = Client {
    tls13: false,
    ciphers: &[0xc02c, 0xc030, 0x9f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x9e, 0xc024, 0xc028, 0x6b, 0xff],
    extensions: &[0, 11, 10, 35, 22, 23, 13],
    groups: &[0x1d, 0x17, 0x1e, 0x19],
    signatures: &[0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0401, 0x0501, 0x0601],
    alpn: &[],
};

fn with16(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
}

fn list16(items: &[u16]) -> Vec<u8> {
    items.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn record(kind: u8, version: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&version.to_be_bytes());
    with16(&mut out, body);
    out
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, (body.len() >> 16) as u8, (body.len() >> 8) as u8, body.len() as u8];
    out.extend_from_slice(body);
    out
}

impl Client {
    fn extension(&self, kind: u16, sni: &str, rng: &mut Rng) -> Vec<u8> {
        let mut b = Vec::new();
        match kind {
            0 => {
                let mut entry = vec![0];
                with16(&mut entry, sni.as_bytes());
                with16(&mut b, &entry);
            }
            5 => b.extend_from_slice(&[1, 0, 0, 0, 0]),
            10 => with16(&mut b, &list16(self.groups)),
            11 => b.extend_from_slice(&[1, 0]),
            13 => with16(&mut b, &list16(self.signatures)),
            16 => {
                let names: Vec<u8> = self.alpn.iter().flat_map(|a| std::iter::once(a.len() as u8).chain(a.bytes())).collect();
                with16(&mut b, &names);
            }
            27 => b.extend_from_slice(&[2, 0, 2]),
            28 => b.extend_from_slice(&[0x40, 1]),
            34 => with16(&mut b, &list16(&[0x0403, 0x0503, 0x0603, 0x0203])),
            43 => b.extend_from_slice(&[4, 3, 4, 3, 3]),
            45 => b.extend_from_slice(&[1, 1]),
            51 => {
                let mut share = vec![0, 0x1d];
                with16(&mut share, &rng.bytes(32));
                with16(&mut b, &share);
            }
            0xff01 => b.push(0),
            _ => {}
        }
        b
    }

    /// The record with the ClientHello.
    pub fn hello(&self, sni: &str, rng: &mut Rng) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend_from_slice(&rng.bytes(32));
        if self.tls13 {
            body.push(32);
            body.extend_from_slice(&rng.bytes(32));
        } else {
            body.push(0);
        }
        with16(&mut body, &list16(self.ciphers));
        body.extend_from_slice(&[1, 0]);
        let mut all = Vec::new();
        for &kind in self.extensions {
            all.extend_from_slice(&kind.to_be_bytes());
            let b = self.extension(kind, sni, rng);
            with16(&mut all, &b);
        }
        with16(&mut body, &all);
        record(22, 0x0301, &handshake(1, &body))
    }

    /// JA3 as text.
    pub fn ja3(&self) -> String {
        let join = |v: &[u16]| v.iter().map(u16::to_string).collect::<Vec<_>>().join("-");
        format!("771,{},{},{},0", join(self.ciphers), join(self.extensions), join(self.groups))
    }

    /// JA4.
    pub fn ja4(&self) -> String {
        let hash = |text: String| hex(&Sha256::digest(text.as_bytes()))[..12].to_string();
        let join = |v: &[u16]| v.iter().map(|n| format!("{n:04x}")).collect::<Vec<_>>().join(",");
        let sorted = |v: Vec<u16>| {
            let mut v = v;
            v.sort_unstable();
            v
        };
        let ends = self.alpn.first().map_or("00".to_string(), |a| {
            let c: Vec<char> = a.chars().collect();
            [c.first(), c.last()].into_iter().flatten().collect()
        });
        let a = format!("t{}d{:02}{:02}{ends}", if self.tls13 { 13 } else { 12 }, self.ciphers.len(), self.extensions.len());
        let b = hash(join(&sorted(self.ciphers.to_vec())));
        let rest = sorted(self.extensions.iter().copied().filter(|&e| e != 0 && e != 16).collect());
        format!("{a}_{b}_{}", hash(format!("{}_{}", join(&rest), join(self.signatures))))
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// JA3's hash.
pub fn ja3_hash(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// The client's and the server's flights; the connection must be open. Afterwards both may send data.
pub fn shake(talk: &mut Talk, client: &Client, sni: &str, cert: Vec<u8>) {
    let hello = client.hello(sni, talk.rng());
    talk.send(Dir::Orig, Msg::real(hello));
    let mut body = vec![3, 3];
    body.extend_from_slice(&talk.rng().bytes(32));
    if client.tls13 {
        body.push(32);
        body.extend_from_slice(&talk.rng().bytes(32));
        body.extend_from_slice(&[0x13, 0x01, 0, 0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 0x1d, 0, 32]);
        body.extend_from_slice(&talk.rng().bytes(32));
        let mut flight = record(22, 0x0303, &handshake(2, &body));
        flight.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
        let n = talk.rng().range(180, 420) as usize;
        flight.extend_from_slice(&record(23, 0x0303, &talk.rng().bytes(n)));
        let packet = talk.send(Dir::Resp, Msg::real(flight));
        let mut done = vec![20, 3, 3, 0, 1, 1];
        done.extend_from_slice(&record(23, 0x0303, &talk.rng().bytes(53)));
        talk.send(Dir::Orig, Msg::real(done));
        note(talk, client, sni, Vec::new(), packet);
    } else {
        body.extend_from_slice(&[0, client.ciphers[0].to_be_bytes()[0], client.ciphers[0].to_be_bytes()[1], 0]);
        body.extend_from_slice(&[0, 5, 0xff, 1, 0, 1, 0]);
        let mut certs = vec![0];
        with16(&mut certs, &cert);
        let mut list = vec![0];
        with16(&mut list, &certs);
        let mut key = vec![3, 0, 0x1d, 32];
        key.extend_from_slice(&talk.rng().bytes(32));
        key.extend_from_slice(&[4, 3]);
        let sig = crate::cert::signature(talk.rng());
        with16(&mut key, &sig);
        let mut flight = record(22, 0x0303, &handshake(2, &body));
        for part in [handshake(11, &list), handshake(12, &key), handshake(14, &[])] {
            flight.extend_from_slice(&record(22, 0x0303, &part));
        }
        let packet = talk.send(Dir::Resp, Msg::real(flight));
        let mut point = vec![32];
        point.extend_from_slice(&talk.rng().bytes(32));
        let mut mine = record(22, 0x0303, &handshake(16, &point));
        mine.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
        mine.extend_from_slice(&record(22, 0x0303, &talk.rng().bytes(40)));
        talk.send(Dir::Orig, Msg::real(mine));
        let mut yours = vec![20, 3, 3, 0, 1, 1];
        yours.extend_from_slice(&record(22, 0x0303, &talk.rng().bytes(40)));
        talk.send(Dir::Resp, Msg::real(yours));
        note(talk, client, sni, cert, packet);
    }
}

fn note(talk: &mut Talk, client: &Client, sni: &str, cert: Vec<u8>, packet: usize) {
    let version = if client.tls13 { "TLS 1.3" } else { "TLS 1.2" };
    talk.conn.service = "ssl";
    talk.conn.app =
        crate::talk::App::Tls(Seen { sni: sni.to_string(), version, cert, packet, ja3: client.ja3(), ja4: client.ja4() });
}

/// Application data of `n` bytes, in records.
pub fn data(talk: &mut Talk, dir: Dir, n: usize) {
    let mut left = n.max(1);
    while left > 0 {
        let part = left.min(16_384);
        let mut head = vec![23, 3, 3];
        head.extend_from_slice(&((part + 24) as u16).to_be_bytes());
        let seed = talk.rng().next();
        talk.send(dir, Msg::opaque(head, part + 24, seed));
        left -= part;
    }
}

/// The alert that says goodbye.
pub fn bye(talk: &mut Talk, dir: Dir) {
    let body = talk.rng().bytes(26);
    talk.send(dir, Msg::real(record(21, 0x0303, &body)));
}
