//! Caddy's access log (Caddy documentation, "log" directive, JSON encoder): one request an object.
//!
//! `ts` is when the response was written: the record begins `duration` before. The originator is who connected (`remote_ip`); whom a trusted proxy
//! names (`client_ip`) is kept where it differs. Headers that were asked with are the agent, the referer and `xff`.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, web};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "caddy",
    doc: "Caddy access log as JSON (Caddy documentation, log directive).",
    kind: Kind::Http,
    document: None,
    is: |o| {
        keyed::has(o, &["request", "status"])
            && (keyed::at(o, "request.remote_ip").is_some() || keyed::at(o, "request.remote_addr").is_some())
    },
    times: &["ts", "time", "timestamp"],
    time: keyed::no_time,
    fields: &[
        ("request.remote_ip", field::SRC_IP),
        ("request.remote_port", field::SRC_PORT),
        ("request.proto", field::VERSION),
        ("request.method", field::HTTP_METHOD),
        ("request.uri", field::HTTP_URI),
        ("request.headers.User-Agent", field::HTTP_AGENT),
        ("request.headers.Referer", field::HTTP_REFERER),
        ("request.headers.X-Forwarded-For", field::XFF),
        ("request.tls.server_name", field::SNI),
        ("request.tls.proto", field::ALPN),
        ("resp_headers.Content-Type", field::HTTP_TYPE),
        ("status", field::HTTP_STATUS),
        ("size", field::HTTP_RESPONSE_BYTES),
        ("bytes_read", field::HTTP_REQUEST_BYTES),
        ("user_id", field::USER),
    ],
    special,
    finish,
};

fn special(key: &str, raw: &RawValue, d: &mut Draft, _: &Context, _: &mut Out) -> bool {
    match key {
        "request.remote_addr" => {
            let text = json::scalar(raw);
            let Some((ip, port)) = text.rsplit_once(':') else { return false };
            d.addr(field::SRC_IP, ip) && d.put(field::SRC_PORT, port)
        }
        "request.client_ip" => d.record.addr(field::SRC_IP).is_some_and(|a| Some(a) == draft::address(&json::scalar(raw))),
        // Seconds, or a text with a unit where the log is told so.
        "duration" => draft::seconds(&json::scalar(raw)).is_some_and(|nanos| d.uint(field::ELAPSED, nanos)),
        "request.tls.version" => {
            let name = match raw.get() {
                "769" => "TLSv1.0",
                "770" => "TLSv1.1",
                "771" => "TLSv1.2",
                "772" => "TLSv1.3",
                _ => return false,
            };
            d.text(field::TLS_VERSION, name)
        }
        "level" => super::json_lines::level(&json::scalar(raw)).is_some_and(|rank| d.uint(field::SEVERITY, rank)),
        // Put together with the port below.
        "request.host" => true,
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    d.text(field::APP, "http");
    if let Some(nanos) = d.record.uint(field::ELAPSED) {
        d.record.end = d.record.start;
        d.record.start = d.record.start.plus(-i64::try_from(nanos).unwrap_or(0));
    }
    if let Some(host) = keyed::at(o, "request.host") {
        let (name, port) = web::authority(&host).unwrap_or((&host, None));
        d.text(field::HTTP_HOST, name);
        if draft::address(name).is_none() {
            d.text(field::NAME, name);
        }
        if let Some(port) = port {
            d.uint(field::DST_PORT, port);
        }
        let tls = d.has(field::TLS_VERSION) || d.has(field::SNI);
        let target = d.record.text(field::HTTP_URI).unwrap_or("").to_owned();
        d.text(field::URL, &web::url(if tls { "https" } else { "http" }, &host, port.unwrap_or(0), &target));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn a_request_with_its_headers() {
        let line = r#"{"level":"info","ts":1795161601.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.5","remote_port":"38574","client_ip":"198.51.100.7","proto":"HTTP/2.0","method":"GET","host":"www.example.com:8443","uri":"/a?b=c","headers":{"User-Agent":["curl/8"],"X-Forwarded-For":["198.51.100.7"],"Accept":["*/*"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"www.example.com"}},"bytes_read":0,"user_id":"","duration":0.25,"size":3768,"status":200,"resp_headers":{"Content-Type":["text/html"]}}"#;
        assert_eq!(
            show(&FORMAT, line),
            "http 2026-11-20T08:00:01Z..2026-11-20T08:00:01.250Z src.ip=192.0.2.5 src.port=38574 dst.port=8443 app=http name=www.example.com \
             sni=www.example.com url=https://www.example.com:8443/a?b=c http.method=GET http.host=www.example.com http.uri=/a?b=c http.status=200 \
             http.agent=curl/8 http.type=text/html http.request.bytes=0 http.response.bytes=3768 xff=198.51.100.7 tls.version=TLSv1.3 alpn=h2 \
             severity=info elapsed=250ms version=HTTP/2.0 extra={\"logger\":\"http.log.access\",\"msg\":\"handled request\",\
             \"request.client_ip\":\"198.51.100.7\",\"request.headers.Accept\":[\"*/*\"],\
             \"request.tls.resumed\":false,\"request.tls.cipher_suite\":4865}"
        );
    }

    #[test]
    fn older_lines_give_the_peer_in_one() {
        let r = read_one(&FORMAT, r#"{"ts":1795161601,"request":{"remote_addr":"[2001:db8::5]:4242","method":"GET","host":"a.example","uri":"/"},"status":404,"duration":"1.2ms"}"#).record;
        assert_eq!((r.addr(field::SRC_IP), r.uint(field::SRC_PORT)), (draft::address("2001:db8::5"), Some(4242)));
        assert_eq!(r.text(field::EXTRA), Some(r#"{"duration":"1.2ms"}"#));
    }
}
