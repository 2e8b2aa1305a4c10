//! The head of an HTTP/1 message (RFC 9112): start line and header fields. What the strict reader refuses is read line by line and odd.

use super::bytes::text;
use super::ntlm;
use base64::Engine as _;

/// Most header fields read by the strict reader; a message with more is read line by line.
const MAX_FIELDS: usize = 128;
/// Bytes before the first line of a response that are passed over.
const MAX_JUNK: usize = 1024;
/// Longest value that is kept of a field.
const MAX_VALUE: usize = 4096;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Of a request: method and target.
    Request(String, String),
    /// Of a response: status.
    Response(u16),
}

/// A head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// First line.
    pub start: Start,
    /// Minor version: 0 or 1.
    pub minor: u8,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// What was wrong.
    pub odd: Option<&'static str>,
}

impl Head {
    /// Reads a head with the blank line at its end. `None`: the first line is not of HTTP/1, nor is one of the few after it that of a
    /// response.
    pub fn parse(bytes: &[u8]) -> Option<Head> {
        strict(bytes).or_else(|| tolerant(bytes)).or_else(|| {
            let junk = bytes.get(..MAX_JUNK).unwrap_or(bytes);
            let start = memchr::memmem::find(junk, b"\nHTTP/1.")?.checked_add(1)?;
            tolerant(bytes.get(start..)?)
        })
    }
    /// All values of a field, as one list.
    pub fn list(&self, name: &str) -> String {
        let values: Vec<&str> = self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        values.join(",")
    }
    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// Whether a list-valued field has a word, without regard to case and to what separates words.
    pub fn has(&self, name: &str, word: &str) -> bool {
        let apart = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        self.fields.iter().filter(|(n, _)| n == name).any(|(_, v)| v.split(apart).any(|v| v.eq_ignore_ascii_case(word)))
    }
}

fn kept(name: &str, value: &[u8]) -> (String, String) {
    (name.to_ascii_lowercase(), text(value.trim_ascii(), MAX_VALUE))
}

fn strict(bytes: &[u8]) -> Option<Head> {
    let mut space = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let (start, minor) = if bytes.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut space);
        response.parse(bytes).ok().filter(httparse::Status::is_complete)?;
        (Start::Response(response.code?), response.version?)
    } else {
        let mut request = httparse::Request::new(&mut space);
        request.parse(bytes).ok().filter(httparse::Status::is_complete)?;
        (Start::Request(request.method?.to_owned(), text(request.path?.as_bytes(), MAX_VALUE)), request.version?)
    };
    let fields = space.iter().take_while(|h| !h.name.is_empty()).map(|h| kept(h.name, h.value)).collect();
    Some(Head { start, minor, fields, odd: None })
}

/// The status in a line: its digits. Without one it is read as 200, as browsers do.
fn status(word: Option<&str>) -> Option<u16> {
    let Some(word) = word else { return Some(200) };
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    word.get(..digits)?.parse().ok()
}

fn tolerant(bytes: &[u8]) -> Option<Head> {
    // A carriage return alone ends a line too: so browsers read it.
    let mut lines = bytes.split(|b| *b == b'\n').flat_map(|l| l.strip_suffix(b"\r").unwrap_or(l).split(|b| *b == b'\r'));
    let first = text(lines.next()?, MAX_VALUE);
    let first = first.trim();
    let mut odd = "http_header_malformed";
    let mut words = first.split_whitespace();
    let is_http = |text: &str| text.get(..5).is_some_and(|t| t.eq_ignore_ascii_case("http/"));
    let minor = |version: &str| is_http(version).then(|| u8::from(!version.ends_with(".0") && !version.ends_with(".9")));
    let (start, minor) = if is_http(first) {
        let minor = minor(words.next()?)?;
        (Start::Response(status(words.next())?), minor)
    } else {
        let method = words.next().filter(|m| is_method(m.as_bytes()))?;
        let rest = first.get(method.len()..)?.trim();
        let (target, version) = rest.rsplit_once(char::is_whitespace).unwrap_or(("", rest));
        match minor(version) {
            Some(minor) => (Start::Request(method.to_owned(), target.trim().to_owned()), minor),
            // HTTP/0.9, or a scanner that does not care.
            None if is_simple(bytes) => {
                odd = "http_version_missing";
                (Start::Request(method.to_owned(), rest.to_owned()), 0)
            }
            None => return None,
        }
    };
    let mut head = Head { start, minor, fields: Vec::new(), odd: Some(odd) };
    // A name whose colon has not come yet: it may stand in a line that continues this one.
    let mut bare: Option<String> = None;
    for line in lines.take(1000) {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        let colon = memchr::memchr(b':', line);
        match (continues, &mut bare, head.fields.last_mut(), colon) {
            (true, Some(name), _, Some(colon)) => {
                let (_, value) = line.split_at(colon);
                head.fields.push(kept(name.trim(), value.get(1..).unwrap_or_default()));
                bare = None;
            }
            (true, Some(_), _, None) => {}
            (true, None, Some((_, value)), _) => {
                if value.len() < MAX_VALUE {
                    value.push(' ');
                    value.push_str(&text(line.trim_ascii(), MAX_VALUE));
                }
            }
            (_, _, _, Some(colon)) => {
                let (name, value) = line.split_at(colon);
                head.fields.push(kept(text(name, 255).trim(), value.get(1..).unwrap_or_default()));
                bare = None;
            }
            (_, _, _, None) => bare = Some(text(line, 255)),
        }
    }
    Some(head)
}

/// Whether a word has the form of a method: tokens in upper case, as all registered ones are.
pub fn is_method(word: &[u8]) -> bool {
    (1..=24).contains(&word.len()) && word.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
}

/// Whether a line is a request without a version: a common method and an absolute path.
pub fn is_simple(line: &[u8]) -> bool {
    ["GET /", "POST /", "HEAD /"].iter().any(|known| line.starts_with(known.as_bytes()))
}

/// Where a head ends: after its blank line, if `bytes` have it.
pub fn end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0usize;
    while let Some(at) = memchr::memchr(b'\n', bytes.get(from..)?) {
        from = from.saturating_add(at).saturating_add(1);
        match bytes.get(from..)? {
            [b'\n', ..] => return from.checked_add(1),
            [b'\r', b'\n', ..] => return from.checked_add(2),
            _ => {}
        }
    }
    None
}

/// Where a head that `known` begins ends in `bytes`. The blank line may be split over both.
pub fn end_after(known: &[u8], bytes: &[u8]) -> Option<usize> {
    let tail = known.get(known.len().saturating_sub(3)..).unwrap_or_default();
    let seam: Vec<u8> = tail.iter().chain(bytes.iter().take(2)).copied().collect();
    let split = end(&seam).and_then(|e| e.checked_sub(tail.len())).filter(|e| *e > 0);
    split.or_else(|| end(bytes))
}

/// The host of `host:port`, lower case, without brackets and trailing dot.
pub fn host_of(authority: &str) -> String {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a).trim();
    let host = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.strip_suffix('.').unwrap_or(host).to_lowercase()
}

/// Who logs in by an Authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User; empty where it cannot be read.
    pub user: String,
    /// Workstation, of NTLM.
    pub host: String,
    /// basic, ntlm, kerberos.
    pub method: &'static str,
}

/// Who logs in by an Authorization of Basic (RFC 7617), NTLM or Negotiate (RFC 4559). The password is not kept.
pub fn login_of(login: &str) -> Option<Login> {
    let (scheme, rest) = login.split_once(' ')?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    if scheme.eq_ignore_ascii_case("basic") {
        let user = bytes.split(|b| *b == b':').next().map(|user| text(user, 255))?;
        return Some(Login { user, host: String::new(), method: "basic" });
    }
    let negotiate = scheme.eq_ignore_ascii_case("negotiate");
    if !negotiate && !scheme.eq_ignore_ascii_case("ntlm") {
        return None;
    }
    match ntlm::find(&bytes) {
        Some(found) if found.kind == 3 => Some(Login { user: found.user, host: found.host, method: "ntlm" }),
        Some(_) => Some(Login { user: String::new(), host: String::new(), method: "ntlm" }),
        None => negotiate.then(|| Login { user: String::new(), host: String::new(), method: "kerberos" }),
    }
}

/// The file name of a Content-Disposition (RFC 6266).
pub fn disposition(value: &str) -> Option<String> {
    let mut plain = None;
    for part in value.split(';').skip(1) {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "filename*" => return Some(value.rsplit('\'').next().unwrap_or_default().to_owned()),
            "filename" => plain = Some(value.to_owned()),
            _ => {}
        }
    }
    plain.filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_the_strict_reader_refuses_is_read_and_odd() {
        let head = Head::parse(b"GET /a b HTTP/1.1\r\nHost : x\r\nA: 1\r\n folded\r\nbad line\r\n\r\n").unwrap();
        assert_eq!(head.odd, Some("http_header_malformed"));
        assert_eq!(head.start, Start::Request("GET".to_owned(), "/a b".to_owned()));
        assert_eq!((head.get("host"), head.get("a")), (Some("x"), Some("1 folded")));
        assert_eq!(Head::parse(b"hello there\r\n\r\n"), None);
    }

    #[test]
    fn responses_are_read_as_browsers_read_them() {
        let read = |text: &str| Head::parse(text.as_bytes()).map(|h| (h.start.clone(), h.has("transfer-encoding", "chunked")));
        let chunked = |status| Some((Start::Response(status), true));
        let field = "Transfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read(&format!("HTTP/1.1\r\n{field}")), chunked(200));
        assert_eq!(read(&format!("HTTP/1.1\n 200 ok\r\n{field}")), chunked(200));
        assert_eq!(read(&format!("HTTP/1.1 20x ok\r\n{field}")), chunked(20));
        assert_eq!(read(&format!("HTTP/1.1 2040 ok\r\n{field}")), chunked(2040));
        assert_eq!(read(&format!("HTTP/1.1 200 ok\rA: b\r{field}")), chunked(200));
        assert_eq!(read(&format!("foobar\r\nHTTP/1.1 200 ok\r\n{field}")), chunked(200));
        assert_eq!(read(&format!("HTTP/1.1 x\r\n{field}")), None);
        assert_eq!(read("HTTP/1.1 200 ok\r\nA: b\r\nTransfer-Encoding\r\n \r\n :\r\n chunked\r\n\r\n"), chunked(200));
        assert_eq!(read("HTTP/1.1 200 ok\r\nTransfer-Encoding\r : chunked\r\n\r\n"), chunked(200));
        assert_eq!(read("HTTP/1.1 200 ok\r\nTransfer-Encoding: x \r\n chunked\x7f\r\n\r\n"), chunked(200));
        assert_eq!(read("HTTP/1.1 200 ok\r\nTransfer-Encoding: unchunked\r\n\r\n"), Some((Start::Response(200), false)));
    }

    #[test]
    fn the_end_is_after_the_blank_line() {
        assert_eq!(end(b"a\r\n\r\nb"), Some(5));
        assert_eq!(end(b"a\n\nb"), Some(3));
        assert_eq!(end(b"a\r\nb\r\n"), None);
    }
}
