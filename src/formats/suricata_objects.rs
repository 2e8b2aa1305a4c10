//! The objects inside an EVE event (`alert`, `dns`, `http`, `tls` ...): which member is which field.
//!
//! A table per object, and a function where a table does not do. Follows the schema that Suricata ships (`etc/schema.json`).

use super::draft::Draft;
use super::json::{self, Members};
use super::suricata_eve::instant;
use super::{Context, Out};
use crate::model::field::{self, FieldId, Place};
use crate::model::record::Kind;
use crate::model::value::Value;
use serde_json::value::RawValue;

type Table = &'static [(&'static str, FieldId)];

const HTTP: Table = &[
    ("hostname", field::HTTP_HOST),
    ("url", field::HTTP_URI),
    ("http_user_agent", field::HTTP_AGENT),
    ("http_content_type", field::HTTP_TYPE),
    ("http_method", field::HTTP_METHOD),
    ("http_refer", field::HTTP_REFERER),
    ("status", field::HTTP_STATUS),
    ("length", field::HTTP_RESPONSE_BYTES),
    ("xff", field::XFF),
    ("protocol", field::VERSION),
    ("version", field::VERSION),
];
const TLS: Table = &[
    ("subject", field::CERT_SUBJECT),
    ("issuerdn", field::CERT_ISSUER),
    ("serial", field::CERT_SERIAL),
    ("fingerprint", field::CERT_SHA1),
    ("sni", field::SNI),
    ("version", field::TLS_VERSION),
    ("ja4", field::JA4),
    ("subjectaltname", field::CERT_SAN),
];
const FILE: Table = &[
    ("filename", field::FILE_NAME),
    ("magic", field::FILE_TYPE),
    ("md5", field::MD5),
    ("sha1", field::SHA1),
    ("sha256", field::SHA256),
    ("size", field::FILE_SIZE),
];
const MAIL: Table = &[
    ("mail_from", field::MAIL_FROM),
    ("rcpt_to", field::MAIL_TO),
    ("subject", field::MAIL_SUBJECT),
    ("from", field::MAIL_FROM),
    ("to", field::MAIL_TO),
];
const DHCP: Table = &[
    ("dhcp_type", field::DHCP_TYPE),
    ("client_mac", field::SRC_MAC),
    ("assigned_ip", field::LEASE),
    ("hostname", field::HOSTNAME),
];
const SMB: Table = &[
    ("filename", field::FILE_NAME),
    ("share", field::SHARE),
    ("command", field::ACTION),
    ("status", field::REASON),
    ("dialect", field::VERSION),
    ("ntlmssp.user", field::USER),
    ("ntlmssp.host", field::HOSTNAME),
];
const KRB: Table =
    &[("cname", field::USER), ("msg_type", field::METHOD_AUTH), ("error_code", field::REASON), ("sname", field::PRODUCT)];
const FTP: Table = &[("command", field::ACTION), ("filename", field::FILE_NAME)];
const RDP: Table = &[("cookie", field::USER), ("event_type", field::ACTION)];
const ANOMALY: Table = &[("event", field::SIGNATURE), ("type", field::CATEGORY)];
const ETHER: Table = &[("src_mac", field::SRC_MAC), ("dest_mac", field::DST_MAC)];
const ALERT: Table = &[
    ("gid", field::SIGNATURE_GID),
    ("signature_id", field::SIGNATURE_ID),
    ("rev", field::SIGNATURE_REV),
    ("signature", field::SIGNATURE),
    ("category", field::CATEGORY),
];
const TCP: Table = &[("tcp_flags", field::TCP_FLAGS)];
const SIP: Table = &[("method", field::ACTION), ("uri", field::URL)];

/// Gives what a top-level member of an event of type `ty` says.
pub(super) fn lift(d: &mut Draft, ty: &str, key: &str, raw: &RawValue, context: &Context, out: &mut Out) {
    if ty == "netflow" && key == "netflow" {
        return;
    }
    let Some(members) = json::object(raw.get()) else { return d.keep_json(key, raw.get()) };
    let table = match key {
        "alert" => ALERT,
        "http" => HTTP,
        "tls" | "quic" => TLS,
        "fileinfo" => FILE,
        "smtp" | "email" => MAIL,
        "dhcp" => DHCP,
        "smb" => SMB,
        "krb5" => KRB,
        "ftp" | "ftp_data" => FTP,
        "rdp" => RDP,
        "anomaly" => ANOMALY,
        "ether" => ETHER,
        "tcp" => TCP,
        "sip" if ty == "sip" => SIP,
        "dns" | "mdns" => return dns(d, key, &members),
        "ssh" => return ssh(d, &members),
        _ => return d.keep_json(key, raw.get()),
    };
    members_by(d, key, &members, table, &mut |d, member, raw| special(d, key, member, raw, context, out));
}

/// What tables cannot say. True: it is done.
fn special(d: &mut Draft, object: &str, member: &str, raw: &RawValue, context: &Context, out: &mut Out) -> bool {
    match (object, member) {
        ("alert", "severity") => {
            let rank = match raw.get() {
                "1" => 3,
                "2" => 2,
                "3" => 1,
                _ => 0,
            };
            d.uint(field::SEVERITY, rank)
        }
        ("alert", "action") => match json::scalar(raw).as_ref() {
            "allowed" => d.text(field::ACTION, "allow"),
            "blocked" => d.text(field::ACTION, "drop"),
            other => d.text(field::ACTION, other),
        },
        ("tls", "notbefore") => instant(raw, context, out).is_some_and(|t| d.give(field::CERT_NOT_BEFORE, Value::Time(t))),
        ("tls", "notafter") => instant(raw, context, out).is_some_and(|t| d.give(field::CERT_NOT_AFTER, Value::Time(t))),
        ("tls" | "quic", "ja3" | "ja3s") => {
            let hash = json::object(raw.get()).and_then(|m| json::member(&m, "hash").map(|h| json::scalar(h).into_owned()));
            let id = if member == "ja3" { field::JA3 } else { field::JA3S };
            hash.is_some_and(|h| d.text(id, &h))
        }
        ("tls", "client_alpns") => {
            d.text(field::ALPN, json::elements(raw).first().map(|a| json::scalar(a)).as_deref().unwrap_or(""));
            false
        }
        ("smtp", "mail_from" | "rcpt_to") => {
            let id = if member == "mail_from" { field::MAIL_FROM } else { field::MAIL_TO };
            for address in json::elements(raw) {
                d.text(id, json::scalar(address).trim_matches(['<', '>']));
            }
            true
        }
        // The header's addresses give way to the envelope's.
        ("email", "from" | "to") => {
            d.has(if member == "from" { field::MAIL_FROM } else { field::MAIL_TO }) && {
                d.keep_json(&format!("email.{member}"), raw.get());
                true
            }
        }
        ("anomaly", "code") => {
            d.text(field::SIGNATURE, &json::scalar(raw));
            true
        }
        ("ftp", "command_data") => {
            if d.record.text(field::ACTION) == Some("USER") {
                return d.text(field::USER, &json::scalar(raw));
            }
            false
        }
        _ => false,
    }
}

/// Gives members by a table; nested objects one level deep are found as `object.member`. The rest is kept.
fn members_by(
    d: &mut Draft,
    object: &str,
    members: &Members<'_>,
    table: Table,
    special: &mut dyn FnMut(&mut Draft, &str, &RawValue) -> bool,
) {
    for (member, raw) in members {
        if special(d, member, raw) {
            continue;
        }
        let path = format!("{object}.{member}");
        if let Some((_, id)) = table.iter().find(|(name, _)| name == member) {
            give(d, *id, &path, raw);
            continue;
        }
        let inner = table.iter().any(|(n, _)| n.strip_prefix(member.as_ref()).is_some_and(|r| r.starts_with('.')));
        match json::object(raw.get()).filter(|_| inner) {
            Some(nested) => {
                for (key, raw) in &nested {
                    let name = format!("{member}.{key}");
                    match table.iter().find(|(n, _)| *n == name) {
                        Some((_, id)) => give(d, *id, &format!("{object}.{name}"), raw),
                        None => d.keep_json(&format!("{object}.{name}"), raw.get()),
                    }
                }
            }
            None => d.keep_json(&path, raw.get()),
        }
    }
}

fn give(d: &mut Draft, id: FieldId, path: &str, raw: &RawValue) {
    let many = field::get(id).is_some_and(|f| f.place == Place::Many);
    if raw.get().starts_with('[') && many {
        for element in json::elements(raw) {
            d.text(id, &json::scalar(element));
        }
    } else if json::is_nested(raw) {
        d.keep_json(path, raw.get());
    } else {
        d.put_or_keep(id, path, &json::scalar(raw));
    }
}

/// DNS of versions 1 (one answer an event), 2 (`answers`, `grouped`; in alerts `query`, `answer`) and 3 (`queries`).
fn dns(d: &mut Draft, object: &str, members: &Members<'_>) {
    let mut rcode = None;
    let mut asked = None;
    let answers = json::member(members, "answers").is_some();
    let kind = json::member(members, "rrtype").map(|t| json::scalar(t).into_owned());
    let mut ttl = None;
    for (member, raw) in members {
        let value = || json::scalar(raw);
        match member.as_ref() {
            "type" => asked = Some(matches!(value().as_ref(), "query" | "request")),
            "id" => d.put_or_keep(field::DNS_ID, "dns.id", &value()),
            "rcode" => rcode = Some(value()),
            "rrname" => _ = d.text(field::NAME, &value()),
            "rrtype" => _ = d.text(field::DNS_TYPE, &value()),
            "ttl" => ttl = value().parse().ok(),
            "rdata" => answer(d, kind.as_deref().unwrap_or(""), raw),
            "version" => {}
            "queries" | "query" => {
                for question in json::elements(raw).into_iter().filter_map(|q| json::object(q.get())) {
                    for (key, raw) in &question {
                        match key.as_ref() {
                            "rrname" => _ = d.text(field::NAME, &json::scalar(raw)),
                            "rrtype" => _ = d.text(field::DNS_TYPE, &json::scalar(raw)),
                            "id" => _ = d.put(field::DNS_ID, raw.get()),
                            _ => {}
                        }
                    }
                }
            }
            "answers" => {
                for (kind, seconds, rdata) in json::elements(raw).into_iter().filter_map(record) {
                    ttl = [ttl, seconds].into_iter().flatten().min();
                    if let Some(rdata) = rdata {
                        answer(d, &kind, rdata);
                    }
                }
            }
            "answer" if json::is_nested(raw) => {
                if let Some(inner) = json::object(raw.get()) {
                    asked.get_or_insert(false);
                    dns(d, object, &inner);
                }
            }
            "grouped" if answers => {}
            "grouped" => {
                for (kind, raw) in json::object(raw.get()).iter().flatten() {
                    for element in json::elements(raw) {
                        answer(d, kind, element);
                    }
                }
            }
            _ => d.keep_json(&format!("{object}.{member}"), raw.get()),
        }
    }
    if let Some(seconds) = ttl {
        d.uint(field::DNS_TTL, seconds);
    }
    if d.record.kind == Kind::Dns
        && let Some(asked) = asked
    {
        d.text(field::ACTION, if asked { "asked" } else { "answered" });
    }
    if let Some(rcode) = rcode.filter(|_| asked != Some(true)) {
        d.text(field::DNS_RCODE, &rcode);
    }
}

/// Type, time to live and data of one resource record.
fn record(raw: &RawValue) -> Option<(String, Option<u64>, Option<&RawValue>)> {
    let members = json::object(raw.get())?;
    let kind = json::member(&members, "rrtype").map(|t| json::scalar(t).into_owned()).unwrap_or_default();
    let ttl = json::member(&members, "ttl").and_then(|t| t.get().parse().ok());
    // Types other than those of names and addresses have their data in an object of the type's name.
    let data = json::member(&members, "rdata").or_else(|| json::member(&members, &kind.to_ascii_lowercase()));
    Some((kind, ttl, data))
}

fn answer(d: &mut Draft, kind: &str, raw: &RawValue) {
    let text = json::scalar(raw);
    match kind {
        "A" | "AAAA" => {
            if !d.addr(field::ANSWER_IP, &text) {
                d.text(field::ANSWER_TEXT, &text);
            }
        }
        "CNAME" | "PTR" | "NS" | "MX" | "DNAME" => _ = d.text(field::ANSWER_NAME, &text),
        "SRV" if json::is_nested(raw) => {
            let name = json::object(raw.get()).and_then(|m| json::member(&m, "name").map(|n| json::scalar(n).into_owned()));
            d.text(field::ANSWER_NAME, &name.unwrap_or_default());
        }
        _ => _ = d.text(field::ANSWER_TEXT, &text),
    }
}

fn ssh(d: &mut Draft, members: &Members<'_>) {
    for (side, raw) in members {
        let (banner, hassh) = match side.as_ref() {
            "client" => (field::SSH_CLIENT, field::HASSH),
            "server" => (field::SSH_SERVER, field::HASSH_SERVER),
            _ => {
                d.keep_json(&format!("ssh.{side}"), raw.get());
                continue;
            }
        };
        let Some(peer) = json::object(raw.get()) else { continue };
        let of = |key: &str| json::member(&peer, key).map(json::scalar).unwrap_or_default();
        if !of("software_version").is_empty() {
            d.text(banner, &format!("SSH-{}-{}", of("proto_version"), of("software_version")));
        }
        let hash = json::member(&peer, "hassh").and_then(|h| json::object(h.get()));
        if let Some(hash) = hash.as_ref().and_then(|h| json::member(h, "hash")) {
            d.text(hassh, &json::scalar(hash));
        }
    }
}

/// What follows from several members together.
pub(super) fn complete(d: &mut Draft) {
    if let Some(host) = d.record.text(field::HTTP_HOST).map(str::to_owned) {
        d.text(field::NAME, &host);
        if let Some(uri) = d.record.text(field::HTTP_URI).map(str::to_owned) {
            let port = d.record.uint(field::DST_PORT).unwrap_or(80);
            d.text(field::URL, &super::web::url("http", &host, port, &uri));
        }
    }
    if let Some(sni) = d.record.text(field::SNI).map(str::to_owned) {
        d.text(field::NAME, &sni);
    }
    match d.record.kind {
        Kind::Dhcp => {
            let acknowledged = d.record.text(field::DHCP_TYPE) == Some("ack");
            if acknowledged && d.has(field::LEASE) {
                d.text(field::ACTION, "lease");
            }
        }
        Kind::Auth => {
            let action = match (d.record.text(field::REASON), d.record.text(field::METHOD_AUTH)) {
                (Some("KDC_ERR_PREAUTH_REQUIRED"), _) => "asked",
                (Some(_), _) => "login_fail",
                (None, Some("KRB_AS_REP")) => "login_ok",
                _ => "asked",
            };
            d.text(field::ACTION, action);
        }
        Kind::Fw => _ = d.text(field::ACTION, "drop"),
        _ => {}
    }
}
