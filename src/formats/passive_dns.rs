//! Passive DNS in the Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof): what was answered for a name, first and last seen, how often.
//!
//! A row is a record of kind dns from `time_first` to `time_last`: it stands in the case's own passive DNS as one sighting; how many the other
//! sensor had is kept as `count`. There is no client. Times are seconds, as numbers or text; `zone_time_first` is used where no sensor saw it.

use super::dns_text::{self, answer};
use super::draft::Draft;
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, clock};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "passive-dns",
    doc: "Passive DNS in the Common Output Format, an object a line (draft-dulaunoy-dnsop-passive-dns-cof).",
    kind: Kind::Dns,
    document: None,
    is: |o| keyed::has(o, &["rrname", "rrtype", "rdata"]) && !keyed::has(o, &["event_type"]),
    times: &["time_first_ms", "time_first_rfc3339", "time_first", "zone_time_first"],
    time: keyed::no_time,
    fields: &[("rrname", field::NAME)],
    special,
    finish,
};

/// Most answers of a row.
const ANSWERS_MAX: usize = 256;

fn special(key: &str, raw: &RawValue, d: &mut Draft, context: &Context, out: &mut Out) -> bool {
    match key {
        "time_last" | "time_last_ms" | "time_last_rfc3339" | "zone_time_last" => {
            match clock::any(&json::scalar(raw), context, out) {
                Some(t) if t >= d.record.start => {
                    d.record.end = d.record.end.max(t);
                    true
                }
                _ => false,
            }
        }
        // Said again with less precision.
        "time_first" => true,
        "rrtype" => {
            let text = json::scalar(raw);
            let name = if text.bytes().all(|b| b.is_ascii_digit()) { format!("TYPE{text}") } else { text.to_ascii_uppercase() };
            d.text(field::DNS_TYPE, &name)
        }
        // Below, when the type is known.
        "rdata" => json::elements(raw).len() <= ANSWERS_MAX,
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    d.text(field::APP, "dns");
    d.text(field::ACTION, "answered");
    let kind = d.record.text(field::DNS_TYPE).unwrap_or("").to_owned();
    if let Some(raw) = json::member(o, "rdata") {
        for one in json::elements(raw).into_iter().take(ANSWERS_MAX) {
            answer(&json::scalar(one), &kind, d);
        }
    }
    d.text(field::DNS_RCODE, &dns_text::rcode("NOERROR"));
    keyed::at(o, "sensor_id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn rows_with_times_as_text_and_answers_in_a_list() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"count":97167,"time_first":"1277353744","rrtype":"A","rrname":"google-public-dns-a.google.com.","rdata":"8.8.8.8","time_last":"1386405372"}"#
            ),
            "dns 2010-06-24T04:29:04Z..2013-12-07T08:36:12Z app=dns name=google-public-dns-a.google.com dns.type=A dns.rcode=NOERROR \
             dns.answer.ip=8.8.8.8 action=answered extra={\"count\":97167}"
        );
        let many = read_one(
            &FORMAT,
            r#"{"rrname":"a.example","rrtype":"NS","rdata":["ns1.a.example.","ns2.a.example."],"time_first":1,"time_last":2,"bailiwick":"example.","sensor_id":"s7"}"#,
        );
        assert_eq!(many.record.text(field::ANSWER_NAME), Some("ns1.a.example"));
        assert_eq!(
            (many.sensor.as_deref(), many.record.text(field::EXTRA)),
            (Some("s7"), Some(r#"{"bailiwick":"example.","sensor_id":"s7"}"#))
        );
    }
}
