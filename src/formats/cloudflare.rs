//! Cloudflare Logpush (Cloudflare documentation, "Log fields"): HTTP requests, firewall events, DNS logs, Gateway DNS and HTTP, Spectrum events.
//!
//! The client is the originator, the origin server (`OriginIP`) the responder. Actions of the firewall: `block`, challenges and the like are
//! `deny`, `log`, `skip` and `allow` are `allow`; a firewall event is a record of kind fw.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, clock, dns_text, web};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "cloudflare",
    doc: "Cloudflare Logpush as JSON: HTTP requests, firewall events, DNS logs, Gateway, Spectrum (Cloudflare, Log fields).",
    kind: Kind::Http,
    document: None,
    is: |o| {
        let has = |keys: &[&str]| keyed::has(o, keys);
        has(&["ClientIP", "RayID"]) && (has(&["ClientRequestHost"]) || has(&["Action"]))
            || has(&["ClientIP", "EdgeResponseStatus"])
            || has(&["QueryName", "ResponseCode", "SourceIP"])
            || has(&["QueryName", "SrcIP"])
            || has(&["HTTPHost", "SourceIP"])
            || has(&["Application", "ClientIP", "ColoCode", "Event"])
    },
    times: &["EdgeStartTimestamp", "Datetime", "Timestamp", "ConnectTimestamp", "EdgeEndTimestamp"],
    time: keyed::no_time,
    fields: &[
        ("ClientIP", field::SRC_IP),
        ("SourceIP", field::SRC_IP),
        ("SrcIP", field::SRC_IP),
        ("ClientSrcPort", field::SRC_PORT),
        ("ClientPort", field::SRC_PORT),
        ("SourcePort", field::SRC_PORT),
        ("SrcPort", field::SRC_PORT),
        ("OriginIP", field::DST_IP),
        ("DestinationIP", field::DST_IP),
        ("DstIP", field::DST_IP),
        ("OriginPort", field::DST_PORT),
        ("DestinationPort", field::DST_PORT),
        ("DstPort", field::DST_PORT),
        ("ClientRequestMethod", field::HTTP_METHOD),
        ("HTTPMethod", field::HTTP_METHOD),
        ("ClientRequestHost", field::HTTP_HOST),
        ("HTTPHost", field::HTTP_HOST),
        ("ClientRequestURI", field::HTTP_URI),
        ("ClientRequestProtocol", field::VERSION),
        ("HTTPVersion", field::VERSION),
        ("ClientRequestUserAgent", field::HTTP_AGENT),
        ("UserAgent", field::HTTP_AGENT),
        ("ClientRequestReferer", field::HTTP_REFERER),
        ("Referer", field::HTTP_REFERER),
        ("URL", field::URL),
        ("EdgeResponseStatus", field::HTTP_STATUS),
        ("HTTPStatusCode", field::HTTP_STATUS),
        ("EdgeResponseBytes", field::HTTP_RESPONSE_BYTES),
        ("EdgeResponseContentType", field::HTTP_TYPE),
        ("ClientSSLProtocol", field::TLS_VERSION),
        ("ClientSSLCipher", field::TLS_CIPHER),
        ("ClientTlsCipher", field::TLS_CIPHER),
        ("ClientTlsProtocol", field::TLS_VERSION),
        ("JA3Hash", field::JA3),
        ("JA4", field::JA4),
        ("RayID", field::UID),
        ("SessionID", field::UID),
        ("QueryName", field::NAME),
        ("Email", field::USER),
        ("UserEmail", field::USER),
        ("DeviceName", field::HOSTNAME),
        ("ClientBytes", field::BYTES_OUT),
        ("OriginBytes", field::BYTES_IN),
        ("Description", field::SIGNATURE),
        ("WAFRuleMessage", field::SIGNATURE),
        ("RuleID", field::RULE),
        ("SecurityRuleID", field::RULE),
        ("WAFRuleID", field::RULE),
        ("PolicyName", field::RULE),
        ("IpProtocol", field::PROTO),
    ],
    special,
    finish,
};

fn special(key: &str, raw: &RawValue, d: &mut Draft, context: &Context, out: &mut Out) -> bool {
    let text = json::scalar(raw);
    match key {
        "EdgeEndTimestamp" | "DisconnectTimestamp" => match clock::any(&text, context, out) {
            Some(t) if t >= d.record.start => {
                d.record.end = t;
                true
            }
            _ => false,
        },
        "Action" | "WAFAction" | "SecurityAction" => {
            let word = match text.to_ascii_lowercase().as_str() {
                "unknown" | "" => return false,
                "block"
                | "blocked"
                | "challenge"
                | "jschallenge"
                | "managedchallenge"
                | "managed_challenge"
                | "drop"
                | "connectionclose"
                | "challengefailed"
                | "jschallengefailed"
                | "managedchallengefailed"
                | "force_connection_close" => "deny",
                "allow" | "allowed" | "log" | "skip" | "bypass" | "simulate" | "challengesolved" | "jschallengesolved" => "allow",
                _ => return d.text(field::ACTION, &text),
            };
            d.text(field::ACTION, word);
            // The word itself says how it was refused.
            d.keep(key, &text);
            true
        }
        "WAFRuleID" | "WAFRuleMessage" | "SecurityRuleID" | "OriginIP" => text.is_empty(),
        "QueryType" | "QueryTypeName" => {
            let name = match text.parse::<u16>() {
                Ok(n) => type_name(n),
                Err(_) => text.into_owned(),
            };
            d.text(field::DNS_TYPE, &name)
        }
        "ResponseCode" | "RCode" => {
            let name = match raw.get() {
                "0" => "NOERROR",
                "1" => "FORMERR",
                "2" => "SERVFAIL",
                "3" => "NXDOMAIN",
                "4" => "NOTIMP",
                "5" => "REFUSED",
                _ => &dns_text::rcode(&text),
            };
            d.text(field::DNS_RCODE, name)
        }
        "ResolvedIPs" => {
            let all = json::elements(raw);
            all.len() <= 256 && all.iter().all(|one| d.addr(field::ANSWER_IP, &json::scalar(one)))
        }
        _ => false,
    }
}

/// Names of the types that are asked for most (IANA, "DNS Parameters").
fn type_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        43 => "DS",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        257 => "CAA",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    let firewall = keyed::has(o, &["Action", "RayID"]) && !keyed::has(o, &["EdgeResponseStatus"]);
    if keyed::has(o, &["QueryName"]) {
        d.record.kind = Kind::Dns;
        d.text(field::APP, "dns");
        let answered = d.has(field::DNS_RCODE) || d.has(field::ANSWER_IP);
        d.text(field::ACTION, if answered { "answered" } else { "asked" });
        return None;
    }
    if keyed::has(o, &["Application", "Event"]) {
        d.record.kind = Kind::Flow;
        if let Some(event) = keyed::at(o, "Event") {
            d.text(field::ACTION, &event);
        }
        return None;
    }
    d.text(field::APP, "http");
    let host = d.record.text(field::HTTP_HOST).unwrap_or("").to_owned();
    if !host.is_empty() {
        if draft::address(&host).is_none() {
            d.text(field::NAME, &host);
        }
        let scheme = keyed::at(o, "ClientRequestScheme").unwrap_or_else(|| "http".to_owned());
        let mut target = d.record.text(field::HTTP_URI).unwrap_or("").to_owned();
        if target.is_empty() {
            // Firewall events split it.
            let part = |key| keyed::at(o, key).unwrap_or_default();
            target = part("ClientRequestPath") + &part("ClientRequestQuery");
            d.text(field::HTTP_URI, &target);
        }
        d.text(field::URL, &web::url(&scheme, &host, 0, &target));
    }
    if firewall {
        d.record.kind = Kind::Fw;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn requests_firewall_events_and_names() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"ClientIP":"192.0.2.5","ClientRequestHost":"www.example.com","ClientRequestMethod":"GET","ClientRequestURI":"/a?b","ClientRequestScheme":"https","EdgeStartTimestamp":1795161601000000000,"EdgeEndTimestamp":1795161601250000000,"EdgeResponseBytes":570,"EdgeResponseStatus":301,"RayID":"761fde","OriginIP":"","WAFAction":"unknown","ClientASN":64496}"#
            ),
            "http 2026-11-20T08:00:01Z..2026-11-20T08:00:01.250Z src.ip=192.0.2.5 app=http uid=761fde name=www.example.com \
             url=https://www.example.com/a?b http.method=GET http.host=www.example.com http.uri=/a?b http.status=301 http.response.bytes=570 \
             extra={\"ClientRequestScheme\":\"https\",\"WAFAction\":\"unknown\",\"ClientASN\":64496}"
        );
        let fw = read_one(
            &FORMAT,
            r#"{"Action":"managedchallenge","ClientIP":"2001:db8::9","ClientRequestHost":"a.example","ClientRequestMethod":"POST","ClientRequestPath":"/login","ClientRequestQuery":"?x=1","Datetime":"2026-11-20T08:00:02Z","RayID":"1","RuleID":"100","Source":"firewallManaged","Description":"SQLi"}"#,
        )
        .record;
        assert_eq!(
            (fw.kind, fw.text(field::ACTION), fw.text(field::URL)),
            (Kind::Fw, Some("deny"), Some("http://a.example/login?x=1"))
        );
        let dns = read_one(&FORMAT, r#"{"ColoCode":"FRA","QueryName":"Nope.Example.","QueryType":28,"ResponseCode":3,"SourceIP":"192.0.2.53","Timestamp":"2026-11-20T08:00:03Z"}"#).record;
        assert_eq!((dns.kind, dns.text(field::NAME), dns.text(field::DNS_TYPE)), (Kind::Dns, Some("nope.example"), Some("AAAA")));
        assert_eq!(dns.text(field::DNS_RCODE), Some("NXDOMAIN"));
    }
}
