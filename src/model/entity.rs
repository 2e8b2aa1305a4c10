//! What a record is about and one can pivot on.

use super::field::{self, FieldId};
use super::value::Value;
use serde::{Deserialize, Serialize};

/// The kind of a thing that one can pivot on. Closed: formats and pivots meet only here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntityKind {
    /// An IP address.
    Address,
    /// A network prefix.
    Network,
    /// A port or service (`443/tcp`).
    Service,
    /// A domain or host name.
    Name,
    /// A URL.
    Url,
    /// A user or account.
    User,
    /// A hardware address.
    Mac,
    /// A TLS client or server fingerprint (JA3, JA4), an SSH one (HASSH).
    Fingerprint,
    /// A certificate, by hash, serial or subject.
    Certificate,
    /// A hash of a file.
    Hash,
    /// A signature of an IDS.
    Signature,
    /// A CVE identifier.
    Cve,
    /// A Community ID.
    CommunityId,
    /// An HTTP user agent.
    Agent,
    /// The id of a flow.
    Flow,
}

impl EntityKind {
    /// The word for it on screen.
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Address => "address",
            EntityKind::Network => "network",
            EntityKind::Service => "service",
            EntityKind::Name => "name",
            EntityKind::Url => "url",
            EntityKind::User => "user",
            EntityKind::Mac => "mac",
            EntityKind::Fingerprint => "fingerprint",
            EntityKind::Certificate => "certificate",
            EntityKind::Hash => "hash",
            EntityKind::Signature => "signature",
            EntityKind::Cve => "cve",
            EntityKind::CommunityId => "community id",
            EntityKind::Agent => "user agent",
            EntityKind::Flow => "flow",
        }
    }
}

/// One thing to pivot on: its kind and its value, with the field it was taken from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// The field whose value it is.
    pub field: FieldId,
    /// The value.
    pub value: Value,
}

impl Entity {
    /// The entity that a field's value is, if the field names a kind of entity.
    pub fn of(field: FieldId, value: &Value) -> Option<Entity> {
        let kind = field::get(field)?.entity?;
        Some(Entity { kind, field, value: value.clone() })
    }
    /// What a typed text is, by its form alone: address, network, MAC, hash, CVE, URL, Community ID, JA4, JA3 (32 hex is a hash), service, name.
    pub fn recognise(text: &str) -> Option<Entity> {
        let text = text.trim();
        let (kind, field, value) = if let Ok(addr) = text.parse::<std::net::IpAddr>() {
            (EntityKind::Address, field::HOST, Value::Addr(addr))
        } else if text.parse::<ipnet::IpNet>().is_ok() {
            (EntityKind::Network, field::HOST, Value::text(text))
        } else if is_mac(text) {
            (EntityKind::Mac, field::MAC, Value::text(text.to_ascii_lowercase().replace('-', ":")))
        } else if matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            (EntityKind::Hash, field::HASH, Value::text(text.to_ascii_lowercase()))
        } else if text.len() > 8 && text.get(..4).is_some_and(|t| t.eq_ignore_ascii_case("CVE-")) {
            (EntityKind::Cve, field::CVE, Value::text(text.to_ascii_uppercase()))
        } else if text.contains("://") {
            (EntityKind::Url, field::URL, Value::text(text))
        } else if text.starts_with("1:") && text.len() == 30 {
            (EntityKind::CommunityId, field::COMMUNITY_ID, Value::text(text))
        } else if is_ja4(text) {
            (EntityKind::Fingerprint, field::JA4, Value::text(text))
        } else if let Some(port) = service_port(text) {
            (EntityKind::Service, field::DST_PORT, Value::Uint(port))
        } else if text.contains('.') && !text.contains([':', '/']) && !text.contains(char::is_whitespace) {
            (EntityKind::Name, field::NAME, Value::text(text.trim_end_matches('.').to_ascii_lowercase()))
        } else {
            return None;
        };
        Some(Entity { kind, field, value })
    }
}

fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.bytes().enumerate().all(|(i, b)| if i % 3 == 2 { b == b':' || b == b'-' } else { b.is_ascii_hexdigit() })
}

fn is_ja4(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 36 && matches!(b[0], b't' | b'q' | b'd') && b[10] == b'_' && b[23] == b'_'
}

fn service_port(text: &str) -> Option<u64> {
    let (port, proto) = text.split_once('/').unwrap_or((text, "tcp"));
    matches!(proto, "tcp" | "udp" | "sctp").then(|| port.parse::<u16>().ok()).flatten().map(u64::from)
}
