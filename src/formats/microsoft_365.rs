//! Sign-ins and audit events of Microsoft Entra ID and Microsoft 365: the unified audit log (Microsoft, "Office 365 Management Activity API
//! schema"), Graph's `signIn` resource, and Azure Monitor's `SignInLogs`, as lines, arrays or Graph answers (`{"value":[...]}`).
//!
//! A sign-in is a login record, `login_ok` if its error code is 0. Times are UTC whether the text says so or not.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, Zone, clock};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "microsoft-365",
    doc: "Microsoft Entra sign-ins and Microsoft 365 audit events as JSON (Microsoft Graph signIn, Management Activity API schema).",
    kind: Kind::Log,
    document: Some(&["value"]),
    is: |o| {
        let has = |keys: &[&str]| keyed::has(o, keys);
        has(&["CreationTime", "Operation", "Workload"])
            || has(&["createdDateTime", "userPrincipalName", "ipAddress"])
            || has(&["category", "operationName", "properties"]) && has(&["tenantId"])
    },
    times: &["createdDateTime", "properties.createdDateTime", "time"],
    time,
    fields: &[
        ("UserId", field::USER),
        ("userPrincipalName", field::USER),
        ("properties.userPrincipalName", field::USER),
        ("appDisplayName", field::APP),
        ("properties.appDisplayName", field::APP),
        ("Workload", field::APP),
        ("userAgent", field::HTTP_AGENT),
        ("properties.userAgent", field::HTTP_AGENT),
        ("UserAgent", field::HTTP_AGENT),
        ("Id", field::UID),
        ("id", field::UID),
        ("properties.id", field::UID),
        ("deviceDetail.displayName", field::HOSTNAME),
        ("deviceDetail.operatingSystem", field::OS),
        ("properties.deviceDetail.displayName", field::HOSTNAME),
        ("properties.deviceDetail.operatingSystem", field::OS),
        ("location.city", field::SITE),
        ("properties.location.city", field::SITE),
        ("clientAppUsed", field::METHOD_AUTH),
        ("properties.clientAppUsed", field::METHOD_AUTH),
        ("SourceFileName", field::FILE_NAME),
        ("Subject", field::MAIL_SUBJECT),
        ("LogonError", field::REASON),
        ("category", field::CATEGORY),
        ("operationName", field::EVENT_CODE),
        ("Operation", field::EVENT_CODE),
    ],
    special,
    finish,
};

/// The audit log's time, which is UTC and does not say so.
fn time(o: &Members<'_>, context: &Context, _: &mut Out) -> Option<Time> {
    let utc = Context { zone: Zone::Fixed(0), ..context.clone() };
    clock::any(&keyed::at(o, "CreationTime")?, &utc, &mut Out::default())
}

fn special(key: &str, raw: &RawValue, d: &mut Draft, context: &Context, _: &mut Out) -> bool {
    let text = json::scalar(raw);
    match key {
        "CreationTime" => d.record.start != context.modified,
        "ClientIP"
        | "ipAddress"
        | "properties.ipAddress"
        | "callerIpAddress"
        | "ActorIpAddress"
        | "ClientIPAddress"
        | "SenderIp" => {
            if let Some(ip) = draft::address(&text) {
                return d.give(field::SRC_IP, ip.into()) || d.record.addr(field::SRC_IP) == Some(ip);
            }
            // The audit log may add the port.
            let Some((ip, port)) = text.rsplit_once(':').and_then(|(a, p)| Some((draft::address(a)?, p.parse::<u16>().ok()?)))
            else {
                return text.is_empty();
            };
            d.give(field::SRC_IP, ip.into()) && d.uint(field::SRC_PORT, u64::from(port))
        }
        "ObjectId" if text.contains("://") => d.text(field::URL, &text),
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    let part = |key: &str| keyed::at(o, key);
    let signed = part("status.errorCode").or_else(|| part("properties.status.errorCode")).or_else(|| {
        let sign_in = part("category").is_some_and(|c| c.contains("SignInLogs"));
        part("resultType").filter(|_| sign_in)
    });
    let operation = part("Operation").unwrap_or_default();
    let outcome = match (signed.as_deref(), operation.as_str()) {
        (Some("0"), _) | (None, "UserLoggedIn" | "MailboxLogin") => "login_ok",
        (Some(_), _) | (None, "UserLoginFailed") => "login_fail",
        _ => "",
    };
    if outcome.is_empty() {
        d.text(
            field::ACTION,
            if operation.is_empty() { part("operationName") } else { Some(operation) }.as_deref().unwrap_or(""),
        );
    } else {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, outcome);
    }
    for key in ["status.failureReason", "properties.status.failureReason", "resultDescription", "ResultStatus"] {
        if let Some(reason) = part(key).filter(|r| r != "Other.") {
            d.text(field::REASON, &reason);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_all};

    #[test]
    fn sign_ins_and_audit_events() {
        let text = r#"{"value":[{"id":"s1","createdDateTime":"2026-11-20T08:00:00Z","userPrincipalName":"jdoe@a.example","appDisplayName":"Azure Portal","ipAddress":"192.0.2.5","clientAppUsed":"Browser","status":{"errorCode":50126,"failureReason":"Invalid username or password"},"deviceDetail":{"displayName":"WS5","operatingSystem":"Windows 11"},"location":{"city":"Berlin"}}]}
{"CreationTime":"2026-11-20T08:00:01","Id":"o1","Operation":"UserLoggedIn","Workload":"AzureActiveDirectory","UserId":"jdoe@a.example","ClientIP":"192.0.2.5:51000","ResultStatus":"Success","RecordType":15}
{"CreationTime":"2026-11-20T08:00:02","Id":"o2","Operation":"FileDownloaded","Workload":"SharePoint","UserId":"jdoe@a.example","ClientIP":"2001:db8::5","ObjectId":"https://a.sharepoint.example/x.docx","SourceFileName":"x.docx"}
"#;
        let read = read_all(&FORMAT, text);
        assert_eq!(read.records.len(), 3);
        assert_eq!(
            line(&read.records[0]),
            "auth 2026-11-20T08:00:00Z src.ip=192.0.2.5 app=Azure Portal uid=s1 action=login_fail reason=Invalid username or password \
             user=jdoe@a.example hostname=ws5 auth.method=Browser os=Windows 11 site=Berlin extra={\"status.errorCode\":50126,\"status.failureReason\":\"Invalid username or password\"}"
        );
        let r = |n: usize| &read.records[n].record;
        assert_eq!(
            (r(1).text(field::ACTION), r(1).uint(field::SRC_PORT), r(1).start.to_string().as_str()),
            (Some("login_ok"), Some(51_000), "2026-11-20T08:00:01Z")
        );
        assert_eq!((r(2).text(field::ACTION), r(2).text(field::FILE_NAME)), (Some("FileDownloaded"), Some("x.docx")));
        assert!(r(2).text(field::URL).is_some_and(|u| u.ends_with("/x.docx")));
    }
}
