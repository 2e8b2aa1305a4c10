//! Access logs of web servers: NCSA common and combined (Apache `mod_log_config`, nginx `log_format combined`), with a virtual host before
//! and more fields after, with or without syslog envelope.
//!
//! The request line is evidence: its target stays as written, escapes and all; a request that is no HTTP is kept whole as `http.uri`. A
//! quoted field after the agent that is a list of addresses is `xff`, a decimal number after it `elapsed` (nginx `$request_time`), the
//! rest `extra`. Apache writes the time at which the request began, nginx that at which it ended: the line does not say which.

use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, envelope, head, web};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: AccessLog = AccessLog;

/// Access logs.
pub struct AccessLog;

impl Format for AccessLog {
    fn name(&self) -> &'static str {
        "access-log"
    }
    fn doc(&self) -> &'static str {
        "Web server access logs, common and combined with virtual host and trailing fields (Apache, nginx)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 1 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| enveloped(l).is_some()) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Lines { context: context.clone() })
    }
}

/// The parts of a line, as written.
pub(super) struct Parts<'a> {
    vhost: &'a str,
    client: &'a str,
    ident: &'a str,
    user: &'a str,
    pub stamp: clock::Stamp,
    pub request: &'a str,
    status: &'a str,
    bytes: &'a str,
    rest: &'a str,
}

/// The parts of a line, and the host of its syslog envelope if it has one.
fn enveloped(line: &str) -> Option<(&str, Parts<'_>)> {
    let envelope = envelope::open(line);
    match parse(envelope.message).filter(|_| envelope.found) {
        Some(parts) => Some((envelope.host, parts)),
        None => parse(line).map(|parts| ("", parts)),
    }
}

pub(super) fn parse(line: &str) -> Option<Parts<'_>> {
    let open = memchr::memchr(b'[', line.as_bytes())?;
    // Users may hold brackets: take the first that opens a time.
    let open = if clock::apache(line.as_bytes().get(open + 1..)?).is_some() { open } else { line.find(" [")? + 1 };
    let stamp = clock::apache(&line.as_bytes()[open + 1..])?;
    let rest = line.get(open + 1 + stamp.len..)?.strip_prefix(']')?.trim_start();
    let mut words = line[..open].trim_end().splitn(3, ' ');
    let (mut first, mut ident, mut user) = (words.next()?, words.next()?, words.next().unwrap_or("-"));
    let mut vhost = "";
    // `vhost client ident user`: four words, of which the first is not the client.
    if let Some((next_ident, next_user)) = user.split_once(' ')
        && (draft::address(ident).is_some() || (first.contains(':') && draft::address(first).is_none()))
    {
        (vhost, first, ident, user) = (first, ident, next_ident, next_user);
    }
    let request = rest.strip_prefix('"')?;
    let end = quote_end(request)?;
    let (request, rest) = (&request[..end], request[end + 1..].trim_start());
    let (status, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let (bytes, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let numbers = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()) || status == "-";
    (numbers && !first.is_empty()).then_some(Parts { vhost, client: first, ident, user, stamp, request, status, bytes, rest })
}

/// Where the quote closes; `\"` does not close it.
fn quote_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at),
            _ => at += 2,
        }
    }
}

struct Lines {
    context: Context,
}

impl Reader for Lines {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            return Status::Skipped;
        }
        let text = String::from_utf8_lossy(line);
        let Some((host, parts)) = enveloped(&text) else {
            out.oddities.push(Oddity::at("access_line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let time = parts.stamp.time(&self.context, out);
        let mut d = Draft::timed(Kind::Http, &self.context, unit, line.len(), time, out);
        parts.fill(&mut d);
        d.finish(Some(host), out)
    }
}

impl Parts<'_> {
    pub fn fill(&self, d: &mut Draft) {
        d.text(field::APP, "http");
        if !d.addr(field::SRC_IP, self.client) && self.client != "-" {
            d.text(field::HOSTNAME, self.client);
        }
        if self.ident != "-" {
            d.keep("ident", self.ident);
        }
        if self.user != "-" && self.user != "\"\"" {
            d.text(field::USER, self.user);
        }
        let (host, port) = web::authority(self.vhost).unwrap_or(("", None));
        if let Some(port) = port {
            d.uint(field::DST_PORT, port);
        }
        d.text(field::HTTP_HOST, host);
        d.text(field::NAME, host);
        match request(self.request) {
            Some((method, target, version)) => {
                d.text(field::HTTP_METHOD, method);
                d.text(field::HTTP_URI, target);
                d.text(field::VERSION, version);
                if !host.is_empty() {
                    d.text(field::URL, &web::url("http", host, port.unwrap_or(0), target));
                }
            }
            None if self.request != "-" => _ = d.text(field::HTTP_URI, self.request),
            None => {}
        }
        if self.status != "-" {
            d.put_or_keep(field::HTTP_STATUS, "status", self.status);
        }
        if self.bytes != "-" {
            d.put_or_keep(field::HTTP_RESPONSE_BYTES, "bytes", self.bytes);
        }
        self.trailing(d);
    }

    fn trailing(&self, d: &mut Draft) {
        let mut rest = self.rest.trim_start();
        let mut n = 0;
        while !rest.is_empty() {
            let quoted = rest.strip_prefix('"').and_then(|inner| Some((inner, quote_end(inner)?)));
            let (part, after) = match quoted {
                Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            rest = after.trim_start();
            n += 1;
            if n > 64 {
                d.partial = true;
                break;
            }
            if part == "-" || part.is_empty() {
                continue;
            }
            let addresses = || part.split(',').all(|a| draft::address(a).is_some());
            let decimal = || part.contains('.') && part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            match (n, quoted.is_some()) {
                (1, true) => _ = d.text(field::HTTP_REFERER, part),
                (2, true) => _ = d.text(field::HTTP_AGENT, part),
                (_, true) if addresses() && d.text(field::XFF, part) => {}
                (_, false) if decimal() && d.put(field::ELAPSED, part) => {}
                _ => d.keep(&format!("field.{n}"), part),
            }
        }
    }
}

/// `METHOD target HTTP/x`; a target may hold spaces.
pub(super) fn request(text: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = text.split_once(' ')?;
    if method.is_empty() || method.len() > 32 || !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_') {
        return None;
    }
    Some(match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (method, target, version),
        _ => (method, rest, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn a_combined_line_is_an_http_record() {
        let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
        assert_eq!(
            show(&FORMAT, line),
            "http 2000-10-10T20:55:36Z src.ip=127.0.0.1 app=http http.method=GET http.uri=/apache_pb.gif http.status=200 \
             http.agent=Mozilla/4.08 [en] (Win98; I ;Nav) http.referer=http://www.example.com/start.html http.response.bytes=2326 user=frank \
             version=HTTP/1.0"
        );
    }

    #[test]
    fn virtual_hosts_escapes_and_trailing_fields_are_understood() {
        let line = r#"shop.example.com:443 203.0.113.7 - - [20/Nov/2026:08:12:03 +0000] "GET /q?id=1%27+or+\"1\"=\"1 HTTP/1.1" 500 - "-" "a \"b\"" 0.125 "198.51.100.4, 10.0.0.1" zone=7"#;
        let r = read_one(&FORMAT, line).record;
        assert_eq!(r.text(field::URL), Some(r#"https://shop.example.com/q?id=1%27+or+\"1\"=\"1"#));
        assert_eq!(r.text(field::XFF), Some("198.51.100.4, 10.0.0.1"));
        assert_eq!(r.uint(field::ELAPSED), Some(125_000_000));
        assert_eq!(r.text(field::HTTP_AGENT), Some(r#"a \"b\""#));
        assert_eq!(r.text(field::EXTRA), Some(r#"{"field.5":"zone=7"}"#));
    }

    #[test]
    fn what_is_no_http_is_kept_as_it_came() {
        let r = read_one(&FORMAT, r#"192.0.2.9 - - [20/Nov/2026:08:12:03 +0000] "\x16\x03\x01" 400 226"#).record;
        assert_eq!((r.text(field::HTTP_METHOD), r.text(field::HTTP_URI)), (None, Some(r"\x16\x03\x01")));
    }
}
