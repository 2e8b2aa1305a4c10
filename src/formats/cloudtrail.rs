//! AWS CloudTrail events (AWS CloudTrail User Guide, "CloudTrail record contents"): files of `{"Records":[...]}`, or an event a line.
//!
//! Action is the API call; sign-ins to the console are login records. The originator is who called, if an address is stated: services call by name,
//! which is kept. The reason is the error code.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "cloudtrail",
    doc: "AWS CloudTrail events as JSON, files of Records or an event a line (AWS CloudTrail User Guide).",
    kind: Kind::Log,
    document: Some(&["Records"]),
    is: |o| keyed::has(o, &["eventVersion", "eventSource", "eventName", "eventTime"]),
    times: &["eventTime"],
    time: keyed::no_time,
    fields: &[
        ("userAgent", field::HTTP_AGENT),
        ("errorCode", field::REASON),
        ("eventID", field::UID),
        ("eventName", field::ACTION),
        ("eventType", field::CATEGORY),
        ("tlsDetails.tlsVersion", field::TLS_VERSION),
        ("tlsDetails.cipherSuite", field::TLS_CIPHER),
        ("tlsDetails.clientProvidedHostHeader", field::NAME),
    ],
    special,
    finish,
};

fn special(key: &str, raw: &RawValue, d: &mut Draft, _: &Context, _: &mut Out) -> bool {
    match key {
        "sourceIPAddress" => draft::address(&json::scalar(raw)).is_some_and(|ip| d.give(field::SRC_IP, ip.into())),
        // A login's action is its outcome: below.
        "eventName" => matches!(json::scalar(raw).as_ref(), "ConsoleLogin"),
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    let part = |key: &str| keyed::at(o, key);
    let who = part("userIdentity.userName")
        .or_else(|| part("userIdentity.sessionContext.sessionIssuer.userName"))
        .or_else(|| part("userIdentity.arn"))
        .or_else(|| part("userIdentity.principalId"))
        .or_else(|| part("userIdentity.invokedBy"));
    if let Some(who) = who {
        d.text(field::USER, &who);
    }
    let service = part("eventSource").unwrap_or_default();
    d.text(field::APP, service.strip_suffix(".amazonaws.com").unwrap_or(&service));
    if part("eventName").as_deref() == Some("ConsoleLogin") {
        d.record.kind = Kind::Auth;
        let ok = part("responseElements.ConsoleLogin").as_deref() == Some("Success");
        d.text(field::ACTION, if ok { "login_ok" } else { "login_fail" });
        d.text(field::EVENT_CODE, "ConsoleLogin");
        if !d.has(field::REASON)
            && let Some(message) = part("errorMessage")
        {
            d.text(field::REASON, &message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_all};

    #[test]
    fn events_of_a_file_and_of_lines() {
        let login = r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"jdoe","accountId":"123456789012"},"eventTime":"2026-11-20T08:00:00Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.5","userAgent":"Mozilla/5.0","errorMessage":"Failed authentication","responseElements":{"ConsoleLogin":"Failure"},"eventID":"e1","eventType":"AwsConsoleSignIn"}"#;
        let call = r#"{"eventVersion":"1.08","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},"eventTime":"2026-11-20T08:00:01Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"ec2.amazonaws.com","errorCode":"AccessDenied","eventID":"e2"}"#;
        for text in [format!("{{\"Records\":[{login},{call}]}}"), format!("{login}\n{call}\n")] {
            let read = read_all(&FORMAT, &text);
            assert_eq!(read.records.len(), 2, "{text}");
            assert_eq!(
                line(&read.records[0]),
                "auth 2026-11-20T08:00:00Z src.ip=192.0.2.5 app=signin uid=e1 http.agent=Mozilla/5.0 category=AwsConsoleSignIn action=login_fail \
                 reason=Failed authentication user=jdoe event.code=ConsoleLogin extra={\"eventVersion\":\"1.08\",\"userIdentity.type\":\"IAMUser\",\
                 \"userIdentity.userName\":\"jdoe\",\"userIdentity.accountId\":\"123456789012\",\"eventSource\":\"signin.amazonaws.com\",\
                 \"awsRegion\":\"us-east-1\",\"errorMessage\":\"Failed authentication\",\"responseElements.ConsoleLogin\":\"Failure\"}"
            );
            let r = &read.records[1].record;
            assert_eq!(
                (r.text(field::ACTION), r.text(field::REASON), r.addr(field::SRC_IP)),
                (Some("GetObject"), Some("AccessDenied"), None)
            );
            assert_eq!(r.text(field::USER), Some("ec2.amazonaws.com"));
        }
    }
}
