//! Kubernetes audit events (Kubernetes documentation, "Auditing"; API group `audit.k8s.io`): who asked the API server for what, and what it
//! answered.
//!
//! The record begins when the request was received and ends with its stage. Action: the decision of the authoriser (`allow`, `deny`), which is the
//! server's own word for what came of it; what was asked for is the verb, kept with the object. The first address is the client's as the server
//! was told: proxies before it may have written it.

use super::draft::Draft;
use super::json::{self, Members};
use super::keyed::{self, Keyed};
use super::{Context, Out, clock};
use crate::model::field;
use crate::model::record::Kind;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: Keyed = Keyed {
    name: "kubernetes-audit",
    doc: "Kubernetes audit events as JSON (Kubernetes documentation, Auditing).",
    kind: Kind::Log,
    document: None,
    is: |o| {
        let version = json::member(o, "apiVersion").is_some_and(|v| json::scalar(v).starts_with("audit.k8s.io/"));
        version && keyed::has(o, &["auditID", "verb"])
    },
    times: &["requestReceivedTimestamp", "timestamp", "stageTimestamp", "metadata.creationTimestamp"],
    time: keyed::no_time,
    fields: &[
        ("user.username", field::USER),
        ("userAgent", field::HTTP_AGENT),
        ("requestURI", field::HTTP_URI),
        ("responseStatus.code", field::HTTP_STATUS),
        ("responseStatus.reason", field::REASON),
        ("auditID", field::UID),
        ("level", field::CATEGORY),
    ],
    special,
    finish,
};

fn special(key: &str, raw: &RawValue, d: &mut Draft, context: &Context, out: &mut Out) -> bool {
    match key {
        "stageTimestamp" => match clock::any(&json::scalar(raw), context, out) {
            Some(t) if t >= d.record.start => {
                d.record.end = t;
                true
            }
            _ => false,
        },
        "sourceIPs" => {
            let all = json::elements(raw);
            let first = all.first().is_some_and(|one| d.addr(field::SRC_IP, &json::scalar(one)));
            first && all.len() == 1
        }
        "annotations.authorization.k8s.io/decision" => {
            let word = match json::scalar(raw).as_ref() {
                "forbid" => "deny",
                "allow" => "allow",
                _ => return false,
            };
            d.text(field::ACTION, word)
        }
        "kind" | "apiVersion" => true,
        _ => false,
    }
}

fn finish(o: &Members<'_>, d: &mut Draft) -> Option<String> {
    d.text(field::APP, "kubernetes");
    let part = |key: &str| keyed::at(o, key).unwrap_or_default();
    let object = ["objectRef.namespace", "objectRef.resource", "objectRef.name", "objectRef.subresource"].map(part);
    let said = object.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join("/");
    d.text(field::MESSAGE, format!("{} {said}", part("verb")).trim());
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_request_to_the_api_server() {
        assert_eq!(
            show(
                &FORMAT,
                r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/secrets/s","verb":"get","user":{"username":"system:serviceaccount:default:x","groups":["g"]},"sourceIPs":["192.0.2.5"],"userAgent":"kubectl","objectRef":{"resource":"secrets","namespace":"default","name":"s"},"responseStatus":{"code":403,"reason":"Forbidden"},"requestReceivedTimestamp":"2026-11-20T08:00:00.000001Z","stageTimestamp":"2026-11-20T08:00:00.250001Z","annotations":{"authorization.k8s.io/decision":"forbid"}}"#
            ),
            "log 2026-11-20T08:00:00.000001Z..2026-11-20T08:00:00.250001Z src.ip=192.0.2.5 app=kubernetes uid=a1 \
             http.uri=/api/v1/namespaces/default/secrets/s http.status=403 http.agent=kubectl category=Metadata action=deny reason=Forbidden \
             user=system:serviceaccount:default:x message=get default/secrets/s extra={\"stage\":\"ResponseComplete\",\"verb\":\"get\",\
             \"user.groups\":[\"g\"],\"objectRef.resource\":\"secrets\",\"objectRef.namespace\":\"default\",\"objectRef.name\":\"s\"}"
        );
    }
}
