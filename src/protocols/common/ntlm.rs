//! NTLMSSP messages (MS-NLMP) inside a security blob: who logs in, from which workstation, and what the server calls itself. Knows no carrier,
//! checks no response.

use super::bytes::{Bytes, text, utf16};

/// What a blob says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ntlm {
    /// 1 negotiate, 2 challenge, 3 authenticate.
    pub kind: u32,
    /// User, of an authenticate; empty for an anonymous login.
    pub user: String,
    /// The user's domain, or the server's of a challenge.
    pub domain: String,
    /// Workstation of the client, or the server's name of a challenge.
    pub host: String,
}

/// Longest name in UTF-16 units.
const MAX_NAME: usize = 255;

/// Finds and reads the message in a blob (bare or in SPNEGO). `None`: there is none, or it is cut.
pub fn find(blob: &[u8]) -> Option<Ntlm> {
    let at = memchr::memmem::find(blob, b"NTLMSSP\0")?;
    let message = blob.get(at..)?;
    let mut b = Bytes::new(message);
    b.take(8)?;
    let kind = b.u32_le()?;
    let mut ntlm = Ntlm { kind, ..Ntlm::default() };
    let number = |at: usize| message.get(at..).map(Bytes::new).and_then(|mut b| b.u32_le());
    match kind {
        2 => {
            ntlm.domain = name(message, 12, true).unwrap_or_default();
            let mut info = Bytes::new(field(message, 40).unwrap_or_default());
            while let (Some(id), Some(length)) = (info.u16_le(), info.u16_le()) {
                let Some(value) = info.take(usize::from(length)) else { break };
                match id {
                    0 => break,
                    1 if ntlm.host.is_empty() => ntlm.host = utf16(value, MAX_NAME),
                    3 => ntlm.host = utf16(value, MAX_NAME),
                    _ => {}
                }
            }
        }
        3 => {
            let unicode = number(60).is_none_or(|flags| flags & 1 != 0);
            ntlm.domain = name(message, 28, unicode)?;
            ntlm.user = name(message, 36, unicode)?;
            ntlm.host = name(message, 44, unicode)?;
        }
        _ => {}
    }
    Some(ntlm)
}

/// Bytes that a length and an offset at `at` point to.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let mut b = Bytes::new(message.get(at..)?);
    let length = usize::from(b.u16_le()?);
    b.u16_le()?;
    let start = b.u32_le()? as usize;
    message.get(start..start.checked_add(length)?)
}

fn name(message: &[u8], at: usize, unicode: bool) -> Option<String> {
    let bytes = field(message, at)?;
    Some(if unicode { utf16(bytes, MAX_NAME) } else { text(bytes, MAX_NAME) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authenticate_names_user_domain_and_workstation() {
        let mut m = b"prefixNTLMSSP\0\x03\0\0\0".to_vec();
        m.extend([0; 16]);
        for (length, offset) in [(2u8, 64u8), (4, 66), (2, 70)] {
            m.extend([length, 0, length, 0, offset, 0, 0, 0]);
        }
        m.extend([0; 8]);
        m.extend([1, 0, 0, 0]);
        m.extend(b"D\0u\0v\0W\0");
        let ntlm = find(&m).unwrap();
        assert_eq!((ntlm.domain.as_str(), ntlm.user.as_str(), ntlm.host.as_str()), ("D", "uv", "W"));
        for cut in 0..m.len() {
            let _ = find(&m[..cut]);
        }
    }
}
