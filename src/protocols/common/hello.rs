//! ClientHello and ServerHello of TLS 1.0-1.3 (RFC 8446, RFC 5246, RFC 6066, RFC 7301) as bytes of a handshake message. Knows no records and
//! no QUIC. Tolerant: what stands before a break is kept.

use super::bytes::{Bytes, text, words};

/// Numbers of the extensions that are read.
mod ext {
    pub const SNI: u16 = 0;
    pub const GROUPS: u16 = 10;
    pub const FORMATS: u16 = 11;
    pub const SIGNATURES: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const VERSIONS: u16 = 43;
}

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a client offers. Lists are in the order of the wire, GREASE included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Legacy version.
    pub version: u16,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Types of the extensions.
    pub extensions: Vec<u16>,
    /// Supported groups.
    pub groups: Vec<u16>,
    /// Point formats.
    pub formats: Vec<u8>,
    /// Signature algorithms.
    pub signatures: Vec<u16>,
    /// Supported versions.
    pub versions: Vec<u16>,
    /// Application protocols.
    pub alpn: Vec<Vec<u8>>,
    /// Server name, lower case.
    pub sni: Option<String>,
    /// It ended early or a length did not fit.
    pub broken: bool,
}

/// What a server chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// Legacy version.
    pub version: u16,
    /// Cipher suite.
    pub cipher: u16,
    /// Types of the extensions.
    pub extensions: Vec<u16>,
    /// The version in supported_versions.
    pub selected: Option<u16>,
    /// Application protocol.
    pub alpn: Option<Vec<u8>>,
    /// It asks for another ClientHello.
    pub retry: bool,
    /// It ended early or a length did not fit.
    pub broken: bool,
}

/// Reserved values that clients insert to keep servers tolerant (RFC 8701).
pub fn is_grease(n: u16) -> bool {
    n & 0x0f0f == 0x0a0a && n >> 8 == n & 0xff
}

impl ClientHello {
    /// Reads the body of the handshake message. `None`: not even version and random are there.
    pub fn parse(body: &[u8]) -> Option<ClientHello> {
        let mut b = Bytes::new(body);
        let mut hello = ClientHello { version: b.u16()?, ..ClientHello::default() };
        b.take(32)?;
        hello.broken = hello.fill(&mut b).is_none();
        Some(hello)
    }
    fn fill(&mut self, b: &mut Bytes<'_>) -> Option<()> {
        b.list8()?;
        self.ciphers = words(b.list16()?).collect();
        b.list8()?;
        if b.left() == 0 {
            return Some(());
        }
        extensions(b, |kind, data| {
            self.extensions.push(kind);
            self.extension(kind, data).is_some()
        })
    }
    fn extension(&mut self, kind: u16, data: &[u8]) -> Option<()> {
        let mut d = Bytes::new(data);
        match kind {
            ext::SNI if !data.is_empty() => {
                let mut names = Bytes::new(d.list16()?);
                while names.left() > 0 {
                    let (name_type, name) = (names.u8()?, names.list16()?);
                    if name_type == 0 && self.sni.is_none() {
                        let name = text(name, 255).to_lowercase();
                        self.sni = Some(name.strip_suffix('.').unwrap_or(&name).to_owned());
                    }
                }
            }
            ext::GROUPS => self.groups = words(d.list16()?).collect(),
            ext::FORMATS => self.formats = d.list8()?.to_vec(),
            ext::SIGNATURES => self.signatures = words(d.list16()?).collect(),
            ext::ALPN => {
                let mut names = Bytes::new(d.list16()?);
                while names.left() > 0 {
                    self.alpn.push(names.list8()?.to_vec());
                }
            }
            ext::VERSIONS => self.versions = words(d.list8()?).collect(),
            _ => {}
        }
        Some(())
    }
    /// The highest version offered, GREASE left out.
    pub fn highest(&self) -> u16 {
        self.versions.iter().copied().filter(|v| !is_grease(*v)).max().unwrap_or(self.version)
    }
}

impl ServerHello {
    /// Reads the body of the handshake message. `None`: not even the cipher is there.
    pub fn parse(body: &[u8]) -> Option<ServerHello> {
        let mut b = Bytes::new(body);
        let version = b.u16()?;
        let random = b.take(32)?;
        b.list8()?;
        let cipher = b.u16()?;
        let mut hello = ServerHello { version, cipher, retry: random == RETRY, ..ServerHello::default() };
        if b.u8().is_some() && b.left() > 0 {
            hello.broken = extensions(&mut b, |kind, data| {
                hello.extensions.push(kind);
                let mut d = Bytes::new(data);
                match kind {
                    ext::VERSIONS => hello.selected = d.u16(),
                    ext::ALPN => hello.alpn = d.list16().and_then(|l| Bytes::new(l).list8().map(<[u8]>::to_vec)),
                    _ => {}
                }
                true
            })
            .is_none();
        }
        Some(hello)
    }
    /// The version negotiated.
    pub fn negotiated(&self) -> u16 {
        self.selected.unwrap_or(self.version)
    }
}

/// Walks the extensions. `None`: one was cut, or `each` found one broken; the walk goes on after those.
fn extensions(b: &mut Bytes<'_>, mut each: impl FnMut(u16, &[u8]) -> bool) -> Option<()> {
    let length = usize::from(b.u16()?);
    let whole = length <= b.left();
    let mut list = b.sub(length.min(b.left()))?;
    let mut fine = true;
    while list.left() > 0 {
        let kind = list.u16()?;
        fine &= each(kind, list.list16()?);
    }
    (whole && fine).then_some(())
}

/// A version as shown.
pub fn version_name(version: u16) -> String {
    match version {
        0x0200 => "SSL 2.0".to_owned(),
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        draft @ 0x7f00..=0x7fff => format!("TLS 1.3 draft {}", draft & 0xff),
        other => format!("0x{other:04x}"),
    }
}

/// The IANA name of a cipher suite, else its number.
pub fn cipher_name(cipher: u16) -> String {
    tls_parser::TlsCipherSuite::from_id(cipher).map_or_else(|| format!("0x{cipher:04x}"), |c| c.name.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn list16(bytes: &[u8]) -> Vec<u8> {
        let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    }

    /// A ClientHello body with these ciphers and extensions.
    pub(crate) fn client_hello(ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![3, 3];
        out.extend([7; 32]);
        out.push(0);
        out.extend(list16(&ciphers.iter().flat_map(|c| c.to_be_bytes()).collect::<Vec<_>>()));
        out.extend([1, 0]);
        let mut ext = Vec::new();
        for (kind, data) in extensions {
            ext.extend(kind.to_be_bytes());
            ext.extend(list16(data));
        }
        out.extend(list16(&ext));
        out
    }

    /// The data of a server_name extension.
    pub(crate) fn sni(name: &str) -> Vec<u8> {
        let mut entry = vec![0];
        entry.extend(list16(name.as_bytes()));
        list16(&entry)
    }

    #[test]
    fn what_stands_before_a_break_is_kept() {
        let whole = client_hello(&[0x1301, 0x0a0a], &[(0, sni("WWW.Example.")), (43, vec![4, 0x0a, 0x0a, 3, 4])]);
        let hello = ClientHello::parse(&whole).unwrap();
        assert!(!hello.broken);
        assert_eq!(hello.sni.as_deref(), Some("www.example"));
        assert_eq!(hello.highest(), 0x0304);
        for cut in 0..whole.len() {
            if let Some(h) = ClientHello::parse(&whole[..cut]) {
                assert!(h.broken || h.extensions.is_empty(), "{cut}");
            }
        }
        let cut = ClientHello::parse(&whole[..whole.len() - 2]).unwrap();
        assert!(cut.broken && cut.sni.is_some());
    }

    #[test]
    fn grease_is_told_by_its_pattern() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x0a1a) && !is_grease(0x1301));
    }
}
