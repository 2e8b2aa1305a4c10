//! Access logs of web servers and load balancers that are told to write JSON: nginx (`log_format ... escape=json`), Apache (`LogFormat` with braces),
//! Traefik (Traefik documentation, "Access logs"), Envoy (Envoy documentation, "Access logging").
//!
//! Who wrote the format chose the keys: the usual ones are known, the names of the servers' own variables first. Where the server writes the end
//! of a request and how long it took, the record begins before it. Whom the server asked in turn (`upstream`) is no end of the client's
//! connection: it is kept.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, access_log, web};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "web-json",
    doc: "Access logs of nginx, Apache, Traefik and Envoy as JSON, by the usual keys (their manuals).",
    kind: Kind::Http,
    document: None,
    is,
    times: &[
        "time_iso8601",
        "StartUTC",
        "start_time",
        "@timestamp",
        "timestamp",
        "time_local",
        "time",
        "msec",
        "ts",
        "datetime",
        "date",
    ],
    time: keyed::no_time,
    fields: FIELDS,
    special,
    finish,
};

const FIELDS: &[(&str, FieldId)] = &[
    ("remote_addr", field::SRC_IP),
    ("remoteAddr", field::SRC_IP),
    ("remote_ip", field::SRC_IP),
    ("remoteIP", field::SRC_IP),
    ("remote_host", field::SRC_IP),
    ("client_ip", field::SRC_IP),
    ("clientip", field::SRC_IP),
    ("clientIp", field::SRC_IP),
    ("client", field::SRC_IP),
    ("ClientHost", field::SRC_IP),
    ("remote_port", field::SRC_PORT),
    ("ClientPort", field::SRC_PORT),
    ("server_addr", field::DST_IP),
    ("server_port", field::DST_PORT),
    ("serverPort", field::DST_PORT),
    ("remote_user", field::USER),
    ("remoteUser", field::USER),
    ("ClientUsername", field::USER),
    ("user", field::USER),
    ("request_method", field::HTTP_METHOD),
    ("requestMethod", field::HTTP_METHOD),
    ("RequestMethod", field::HTTP_METHOD),
    ("method", field::HTTP_METHOD),
    ("verb", field::HTTP_METHOD),
    ("request_uri", field::HTTP_URI),
    ("requestUri", field::HTTP_URI),
    ("RequestPath", field::HTTP_URI),
    ("uri", field::HTTP_URI),
    ("path", field::HTTP_URI),
    ("server_protocol", field::VERSION),
    ("RequestProtocol", field::VERSION),
    ("protocol", field::VERSION),
    ("status", field::HTTP_STATUS),
    ("response", field::HTTP_STATUS),
    ("response_code", field::HTTP_STATUS),
    ("status_code", field::HTTP_STATUS),
    ("DownstreamStatus", field::HTTP_STATUS),
    ("body_bytes_sent", field::HTTP_RESPONSE_BYTES),
    ("bytes", field::HTTP_RESPONSE_BYTES),
    ("bodyBytesSent", field::HTTP_RESPONSE_BYTES),
    ("DownstreamContentSize", field::HTTP_RESPONSE_BYTES),
    ("size", field::HTTP_RESPONSE_BYTES),
    ("bytes_sent", field::BYTES_IN),
    ("bytesSent", field::BYTES_IN),
    ("request_length", field::BYTES_OUT),
    ("bytes_received", field::BYTES_OUT),
    ("http_user_agent", field::HTTP_AGENT),
    ("httpUserAgent", field::HTTP_AGENT),
    ("user_agent", field::HTTP_AGENT),
    ("userAgent", field::HTTP_AGENT),
    ("agent", field::HTTP_AGENT),
    ("request_User-Agent", field::HTTP_AGENT),
    ("http_referer", field::HTTP_REFERER),
    ("http_referrer", field::HTTP_REFERER),
    ("httpReferrer", field::HTTP_REFERER),
    ("referer", field::HTTP_REFERER),
    ("referrer", field::HTTP_REFERER),
    ("request_Referer", field::HTTP_REFERER),
    ("http_x_forwarded_for", field::XFF),
    ("x_forwarded_for", field::XFF),
    ("xForwardedFor", field::XFF),
    ("request_X-Forwarded-For", field::XFF),
    ("content_type", field::HTTP_TYPE),
    ("sent_http_content_type", field::HTTP_TYPE),
    ("ssl_protocol", field::TLS_VERSION),
    ("TLSVersion", field::TLS_VERSION),
    ("ssl_cipher", field::TLS_CIPHER),
    ("TLSCipher", field::TLS_CIPHER),
    ("ssl_server_name", field::SNI),
    ("requested_server_name", field::SNI),
    ("request_id", field::UID),
    ("hostname", field::HOSTNAME),
    // Of proxies, see `log_format`.
    ("url", field::URL),
    ("result", field::REASON),
];

/// A client, what it asked for, and what became of it.
fn is(o: &Members<'_>) -> bool {
    let any = |keys: &[&str]| keys.iter().any(|k| keyed::has(o, &[k]));
    let client = any(&[
        "remote_addr",
        "remoteAddr",
        "remote_ip",
        "remoteIP",
        "client_ip",
        "clientip",
        "clientIp",
        "ClientHost",
        "ClientAddr",
        "downstream_remote_address",
        "remote_host",
    ]);
    let asked = any(&["request", "request_uri", "requestUri", "uri", "path", "RequestPath"]);
    let became = any(&["status", "response", "response_code", "status_code", "DownstreamStatus"]);
    client && asked && became && json::member(o, "request").is_none_or(|r| !json::is_nested(r))
}

fn special(key: &str, raw: &RawValue, d: &mut Draft, _: &Context, _: &mut Out) -> bool {
    let text = json::scalar(raw);
    match key {
        _ if text == "-" => true,
        "request" => match access_log::request(&text) {
            Some((method, target, version)) => {
                d.text(field::HTTP_METHOD, method);
                d.text(field::HTTP_URI, target);
                d.text(field::VERSION, version);
                true
            }
            None => !d.has(field::HTTP_URI) && d.text(field::HTTP_URI, &text),
        },
        "ClientAddr" | "downstream_remote_address" | "downstream_direct_remote_address" => {
            peer(&text, field::SRC_IP, field::SRC_PORT, d)
        }
        // nginx counts seconds, Envoy milliseconds, Traefik nanoseconds.
        "request_time" | "requestTime" | "elapsed" => draft::seconds(&text).is_some_and(|n| d.uint(field::ELAPSED, n)),
        "duration" => text.parse::<u64>().is_ok_and(|n| d.uint(field::ELAPSED, n.saturating_mul(1_000_000))),
        "Duration" => text.parse::<u64>().is_ok_and(|n| d.uint(field::ELAPSED, n)),
        "level" => super::json_lines::level(&text).is_some_and(|rank| d.uint(field::SEVERITY, rank)),
        _ => false,
    }
}

fn peer(text: &str, ip: FieldId, port: FieldId, d: &mut Draft) -> bool {
    match text.rsplit_once(':').and_then(|(a, p)| Some((draft::address(a)?, p.parse::<u16>().ok()?))) {
        Some((address, number)) => {
            d.give(ip, address.into());
            d.uint(port, u64::from(number))
        }
        None => d.addr(ip, text),
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    d.text(field::APP, "http");
    let says = |keys: &[&str]| keys.iter().find_map(|k| keyed::at(o, k)).filter(|t| t != "-");
    let host = says(&["http_host", "host", "Host", "RequestHost", "authority", "vhost", "server_name", "domain"]);
    let scheme = says(&["scheme", "RequestScheme"]).unwrap_or_else(|| "http".to_owned());
    if let Some(query) = says(&["query_string", "query", "args"])
        && let Some(target) = d.record.text(field::HTTP_URI).filter(|t| !t.contains('?')).map(str::to_owned)
    {
        d.record.fields.retain(|(id, _)| *id != field::HTTP_URI);
        d.text(field::HTTP_URI, &format!("{target}?{}", query.trim_start_matches('?')));
    }
    if let Some(host) = host {
        let (name, port) = web::authority(&host).unwrap_or((&host, None));
        if name != "_" {
            d.text(field::HTTP_HOST, name);
            if draft::address(name).is_none() {
                d.text(field::NAME, name);
            }
            let target = d.record.text(field::HTTP_URI).unwrap_or("").to_owned();
            d.text(field::URL, &web::url(&scheme, &host, port.unwrap_or(0), &target));
        }
    }
    // nginx and Apache write when it is over; Envoy and Traefik say when it began.
    let began = keyed::has(o, &["start_time"]) || keyed::has(o, &["StartUTC"]);
    if let Some(nanos) = d.record.uint(field::ELAPSED).and_then(|n| i64::try_from(n).ok()).filter(|n| *n < 86_400_000_000_000) {
        if began {
            d.record.end = d.record.start.plus(nanos);
        } else if keyed::has(o, &["request_time"]) {
            d.record.end = d.record.start;
            d.record.start = d.record.start.plus(-nanos);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn nginx_by_its_own_variables() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"time_iso8601":"2026-11-20T08:00:01+00:00","remote_addr":"192.0.2.5","remote_user":"-","request":"GET /a?b HTTP/1.1","status":"200","body_bytes_sent":"512","request_time":"0.250","http_user_agent":"curl/8","http_x_forwarded_for":"198.51.100.7","http_host":"www.example.com","scheme":"https","upstream_addr":"10.0.0.5:8080","x":1}"#
            ),
            "http 2026-11-20T08:00:00.750Z..2026-11-20T08:00:01Z src.ip=192.0.2.5 app=http name=www.example.com \
             url=https://www.example.com/a?b http.method=GET http.host=www.example.com http.uri=/a?b http.status=200 http.agent=curl/8 \
             http.response.bytes=512 xff=198.51.100.7 elapsed=250ms version=HTTP/1.1 \
             extra={\"http_host\":\"www.example.com\",\"scheme\":\"https\",\"upstream_addr\":\"10.0.0.5:8080\",\"x\":1}"
        );
    }

    #[test]
    fn traefik_envoy_and_apache() {
        let t = read_one(&FORMAT, r#"{"ClientAddr":"192.0.2.5:51000","ClientHost":"192.0.2.5","DownstreamStatus":404,"Duration":2500000,"RequestHost":"a.example","RequestMethod":"GET","RequestPath":"/x","RequestProtocol":"HTTP/2.0","StartUTC":"2026-11-20T08:00:00Z","time":"2026-11-20T08:00:01Z","level":"info"}"#).record;
        assert_eq!(
            (t.uint(field::SRC_PORT), t.uint(field::HTTP_STATUS), t.text(field::URL)),
            (Some(51_000), Some(404), Some("http://a.example/x"))
        );
        assert_eq!((t.end.0 - t.start.0, t.uint(field::ELAPSED)), (2_500_000, Some(2_500_000)));
        let e = read_one(&FORMAT, r#"{"start_time":"2026-11-20T08:00:00Z","method":"GET","path":"/x","response_code":200,"duration":25,"authority":"a.example","downstream_remote_address":"[2001:db8::5]:4242","upstream_host":"10.0.0.5:8080"}"#).record;
        assert_eq!((e.addr(field::SRC_IP), e.end.0 - e.start.0), (draft::address("2001:db8::5"), 25_000_000));
        let a = read_one(&FORMAT, r#"{"time":"20/Nov/2026:08:00:00 +0000","remoteIP":"192.0.2.5","host":"a.example","request":"/x","query":"?q=1","method":"GET","status":"200","userAgent":"x","referer":"-"}"#).record;
        assert_eq!((a.text(field::URL), a.text(field::HTTP_REFERER)), (Some("http://a.example/x?q=1"), None));
    }
}
