//! HAProxy's logs: `option httplog` (and `httpslog`), `option tcplog`, connection errors, `option httplog clf` (HAProxy Configuration Manual,
//! 8.2), with or without syslog envelope.
//!
//! The time is that at which the connection or request was accepted, in the proxy's zone; the record ends the total time later. The state is
//! the session's at disconnection (8.5), its first letter `P` a refusal by the proxy itself. Captured headers are kept as written; a piece that
//! is a user agent or a URL is the agent or the referer. Which server answered is a name: `backend` and `server` are kept.

use super::draft::Draft;
use super::envelope::Envelope;
use super::services::Service;
use super::{Context, Out, access_log, clock, draft, web};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "haproxy",
    doc: "HAProxy HTTP, HTTPS, TCP, CLF and error logs, with or without syslog envelope (HAProxy Configuration Manual, 8.2).",
    is,
    own,
    stamp,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    envelope.process.starts_with("haproxy") || envelope.found && accepted(envelope.message).is_some()
}

fn own(line: &str) -> Option<Envelope<'_>> {
    accepted(line).map(|a| Envelope { stamp: Some(a.stamp), message: line, ..Envelope::default() })
}

fn stamp(message: &str) -> Option<clock::Stamp> {
    accepted(message).map(|a| a.stamp).or_else(|| access_log::parse(message).map(|p| p.stamp))
}

/// A line as far as all kinds of it are alike: `client:port [time] frontend ...`.
struct Accepted<'a> {
    client: &'a str,
    port: &'a str,
    stamp: clock::Stamp,
    frontend: &'a str,
    rest: &'a str,
}

fn accepted(message: &str) -> Option<Accepted<'_>> {
    let (client, rest) = message.split_once(" [")?;
    if client.len() > 64 || client.contains(' ') {
        return None;
    }
    let (client, port) = client.rsplit_once(':')?;
    let local = client.starts_with("unix");
    (local || draft::address(client).is_some()).then_some(())?;
    port.parse::<u32>().ok()?;
    let stamp = clock::apache(rest.as_bytes())?;
    let rest = rest.get(stamp.len..)?.strip_prefix("] ")?;
    let (frontend, rest) = rest.split_once(' ')?;
    Some(Accepted { client, port, stamp, frontend, rest })
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let Some(line) = accepted(envelope.message) else { return clf(envelope.message, d) };
    d.addr(field::SRC_IP, line.client);
    d.put(field::SRC_PORT, line.port);
    d.text(field::APP, "http");
    let frontend = line.frontend.trim_end_matches(':');
    if let Some((frontend, bind)) = frontend.split_once('/') {
        // An error: `frontend/bind: message`.
        d.keep("frontend", frontend);
        d.keep("bind", bind);
        d.text(field::REASON, line.rest);
        d.record.fields.retain(|(id, _)| *id != field::APP);
        return;
    }
    d.keep("frontend", frontend.trim_end_matches('~'));
    if frontend.ends_with('~') {
        d.keep("frontend.tls", "true");
    }
    let mut words = line.rest.splitn(4, ' ');
    let (server, timers, third, rest) =
        (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (backend, server) = server.split_once('/').unwrap_or((server, ""));
    d.keep("backend", backend);
    d.keep("server", server);
    let total = timers.rsplit('/').next().unwrap_or("").trim_start_matches('+');
    if let Ok(total) = total.parse::<u64>() {
        let nanos = total.saturating_mul(1_000_000);
        d.uint(field::ELAPSED, nanos);
        d.lasting(nanos);
    }
    d.keep("timers", timers);
    match timers.split('/').count() {
        3 => {
            d.record.kind = Kind::Proxy;
            d.record.fields.retain(|(id, _)| *id != field::APP);
            tcp(third, rest, d);
        }
        _ => {
            d.record.kind = Kind::Http;
            http(third, rest, d);
        }
    }
}

/// `bytes state connections queues` after the timers of a TCP line.
fn tcp(bytes: &str, rest: &str, d: &mut Draft) {
    let mut words = rest.splitn(4, ' ');
    d.put_or_keep(field::BYTES_IN, "bytes", bytes.trim_start_matches('+'));
    ended(words.next().unwrap_or(""), d);
    d.keep("connections", words.next().unwrap_or(""));
    d.keep("queues", words.next().unwrap_or(""));
    d.keep("rest", words.next().unwrap_or(""));
}

/// `status bytes request-cookie response-cookie state connections queues {request} {response} "request" tls`.
fn http(status: &str, rest: &str, d: &mut Draft) {
    if status != "-1" {
        d.put_or_keep(field::HTTP_STATUS, "status", status);
    }
    let mut words = rest.splitn(7, ' ');
    let mut next = || words.next().unwrap_or("");
    d.put_or_keep(field::BYTES_IN, "bytes", next().trim_start_matches('+'));
    for key in ["cookie.request", "cookie.response"] {
        d.keep(key, next().trim_matches('-'));
    }
    ended(next(), d);
    d.keep("connections", next());
    d.keep("queues", next());
    let mut rest = next();
    for key in ["headers.request", "headers.response"] {
        let Some(inner) = rest.strip_prefix('{') else { break };
        let Some(end) = inner.find("} ") else { break };
        captured(&inner[..end], d);
        d.keep(key, &inner[..end]);
        rest = &inner[end + 2..];
    }
    let Some(request) = rest.strip_prefix('"') else {
        d.partial |= rest.is_empty();
        return d.keep("rest", rest);
    };
    // A request line that was cut has no second quote.
    let end = request.rfind('"').unwrap_or(request.len());
    asked(&request[..end], d);
    let rest = request.get(end + 1..).unwrap_or("").trim();
    if !rest.is_empty() {
        // `option httpslog` adds errors and `sni/version/cipher`.
        let mut parts = rest.rsplit(' ').next().unwrap_or("").split('/');
        if let (Some(sni), Some(version), Some(cipher)) = (parts.next(), parts.next(), parts.next())
            && version.starts_with(['T', 'S'])
        {
            d.text(field::SNI, sni.trim_matches('-'));
            d.text(field::TLS_VERSION, version);
            d.text(field::TLS_CIPHER, cipher);
        }
        d.keep("tls", rest);
    }
}

/// What a request line says.
fn asked(text: &str, d: &mut Draft) {
    if text == "<BADREQ>" {
        return d.keep("request", text);
    }
    let Some((method, target, version)) = access_log::request(text) else {
        d.text(field::HTTP_URI, text);
        return;
    };
    d.text(field::HTTP_METHOD, method);
    d.text(field::HTTP_URI, target);
    d.text(field::VERSION, version);
    if target.contains("://") {
        d.text(field::URL, target);
        if let Some((host, _)) = web::authority(target) {
            d.text(field::HTTP_HOST, host);
            if draft::address(host).is_none() {
                d.text(field::NAME, host);
            }
        }
    }
}

/// The state in which a session ended.
fn ended(state: &str, d: &mut Draft) {
    d.text(field::STATE, state);
    if state.starts_with('P') {
        d.text(field::ACTION, "deny");
    }
}

/// Captured headers, between bars.
fn captured(headers: &str, d: &mut Draft) {
    for piece in headers.split('|') {
        let product = piece.split('/').next().unwrap_or("");
        let version = piece.get(product.len() + 1..).is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
        if piece.starts_with("http://") || piece.starts_with("https://") {
            d.text(field::HTTP_REFERER, piece);
        } else if version && product.len() > 2 && product.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            d.text(field::HTTP_AGENT, piece);
        }
    }
}

/// The common log format with HAProxy's own fields after it: the access log's record, with what follows.
fn clf(message: &str, d: &mut Draft) {
    let Some(parts) = access_log::parse(message) else { return };
    d.record.kind = Kind::Http;
    parts.fill(d);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn an_http_line_is_a_request_with_its_session() {
        let line = r#"Feb  6 12:14:14 lb haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - PR-- 1/1/1/1/0 0/0 {1wt.eu|Mozilla/5.0 (X11)} {} "GET /index.html HTTP/1.1""#;
        assert_eq!(
            show(&FORMAT, line),
            "http 2009-02-06T12:14:14.655Z..2009-02-06T12:14:14.764Z src.ip=10.0.1.2 src.port=33317 app=http state=PR-- bytes.in=2750 \
             http.method=GET http.uri=/index.html http.status=200 http.agent=Mozilla/5.0 (X11) action=deny hostname=lb process=haproxy pid=14389 \
             elapsed=109ms version=HTTP/1.1 extra={\"frontend\":\"http-in\",\"frontend.tls\":\"true\",\"backend\":\"static\",\"server\":\"srv1\",\
             \"timers\":\"10/0/30/69/109\",\"connections\":\"1/1/1/1/0\",\"queues\":\"0/0\",\"headers.request\":\"1wt.eu|Mozilla/5.0 (X11)\"} sensor=lb"
        );
    }

    #[test]
    fn tcp_errors_bad_requests_and_lines_without_envelope() {
        let tcp = show(&FORMAT, "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0");
        assert!(
            tcp.starts_with("proxy 2009-02-06T12:12:51.443Z..2009-02-06T12:12:56.450Z src.ip=10.0.1.2 src.port=33313 state=--"),
            "{tcp}"
        );
        assert!(tcp.contains("bytes.in=212") && !tcp.contains("app="), "{tcp}");
        let error = show(
            &FORMAT,
            "<134>Dec  3 18:27:14 localhost haproxy[6103]: 127.0.0.1:56059 [03/Dec/2012:17:35:10.380] frt/f1: Connection error during SSL handshake",
        );
        assert!(
            error.contains("reason=Connection error during SSL handshake") && error.starts_with("log 2012-12-03T17:35:10.380Z"),
            "{error}"
        );
        let bad = read_one(
            &FORMAT,
            r#"[2001:db8::9]:4242 [06/Feb/2026:12:14:14.655] f f/<NOSRV> -1/-1/-1/-1/5 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#,
        )
        .record;
        assert_eq!((bad.uint(field::HTTP_STATUS), bad.text(field::HTTP_URI)), (Some(400), None));
        assert_eq!(bad.addr(field::SRC_IP), draft::address("2001:db8::9"));
    }

    #[test]
    fn tls_and_clf_lines() {
        let line = r#"192.0.2.1:5000 [20/Nov/2026:08:00:00.000] f~ b/s 0/0/0/1/1 200 10 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" 0/0000000000000000/0/0/0 www.example.com/TLSv1.3/TLS_AES_256_GCM_SHA384"#;
        let r = read_one(&FORMAT, line).record;
        assert_eq!((r.text(field::SNI), r.text(field::TLS_VERSION)), (Some("www.example.com"), Some("TLSv1.3")));
        let clf = read_one(
            &FORMAT,
            r#"Nov 20 08:00:01 lb haproxy[1]: 192.0.2.7 - - [20/Nov/2026:08:00:00 +0000] "GET /x HTTP/1.1" 404 99 "" "" 51000 123 "f" "b" "s" 0 0 0 1 1 ----"#,
        )
        .record;
        assert_eq!((clf.kind, clf.uint(field::HTTP_STATUS)), (Kind::Http, Some(404)));
        assert_eq!(clf.start.to_string(), "2026-11-20T08:00:00Z");
    }
}
