//! Indicators: values that a report or a list says belong to an attack, and where the records of a case have them.

use super::entity::{Entity, EntityKind};
use super::field::{self, FieldId};
use super::source::SourceId;
use super::time::{Time, Window};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An indicator as it was taken out of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// What it is. A mail address is of kind `User`.
    pub kind: EntityKind,
    /// Its value, refanged; names, hashes and mail addresses in lower case, networks without host bits.
    pub text: String,
    /// Line on which it stood first, from 1; 0: it did not come out of a text.
    pub line: u32,
}

impl Indicator {
    /// An indicator of a kind that is known.
    pub fn new(kind: EntityKind, text: impl Into<String>, line: u32) -> Indicator {
        Indicator { kind, text: text.into(), line }
    }
    /// The word for its kind.
    pub fn word(&self) -> &'static str {
        word(self.kind)
    }
    /// The host of a URL, with or without a scheme, in lower case.
    pub fn site(&self) -> Option<String> {
        if self.kind != EntityKind::Url {
            return None;
        }
        let scheme = self.text.find("://").filter(|at| self.text[..*at].bytes().all(|b| b.is_ascii_alphanumeric()));
        let rest = scheme.map_or(self.text.as_str(), |at| &self.text[at + 3..]);
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next()?,
            None => host.split(':').next()?,
        };
        (!host.is_empty()).then(|| host.trim_end_matches('.').to_lowercase())
    }
    /// The entity that one looks at to follow it; none of mail addresses and user agents without a field of their own.
    pub fn entity(&self) -> Option<Entity> {
        match self.kind {
            EntityKind::User => Entity::of(field::USER, &self.text.as_str().into()),
            EntityKind::Agent => Entity::of(field::HTTP_AGENT, &self.text.as_str().into()),
            EntityKind::Fingerprint if self.text.len() == 32 => Entity::of(field::JA3, &self.text.as_str().into()),
            _ => Entity::recognise(&self.text),
        }
    }
}

/// The word for a kind of indicator.
pub fn word(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::User => "mail or user",
        other => other.name(),
    }
}

/// The stored fields whose values are compared with an indicator of a kind.
pub fn fields(kind: EntityKind) -> &'static [FieldId] {
    use field as f;
    match kind {
        EntityKind::Address | EntityKind::Network => {
            &[f::SRC_IP, f::DST_IP, f::NAT_SRC_IP, f::NAT_DST_IP, f::ANSWER_IP, f::LEASE]
        }
        EntityKind::Name => &[f::NAME, f::SNI, f::HTTP_HOST, f::ANSWER_NAME, f::CERT_SAN, f::HOSTNAME],
        EntityKind::Url => &[f::URL, f::HTTP_REFERER],
        // 32 hexadecimal digits may be an MD5, a JA3 or a HASSH: a list seldom says which.
        EntityKind::Hash | EntityKind::Fingerprint => {
            &[f::MD5, f::SHA1, f::SHA256, f::CERT_SHA1, f::CERT_SHA256, f::JA3, f::JA3S, f::JA4, f::HASSH, f::HASSH_SERVER]
        }
        EntityKind::User => &[f::USER, f::MAIL_FROM, f::MAIL_TO, f::OWNER],
        EntityKind::Cve => &[f::CVE],
        EntityKind::Agent => &[f::HTTP_AGENT],
        EntityKind::Mac => &[f::SRC_MAC, f::DST_MAC],
        EntityKind::CommunityId => &[f::RELATED],
        EntityKind::Service | EntityKind::Certificate | EntityKind::Signature | EntityKind::Flow => &[],
    }
}

/// The text fields in which indicators are looked for word by word, where no field of their own has them.
pub const TEXTS: &[FieldId] = &[
    field::MESSAGE,
    field::SIGNATURE,
    field::REASON,
    field::URL,
    field::HTTP_URI,
    field::HTTP_REFERER,
    field::XFF,
    field::ANSWER_TEXT,
    field::PAYLOAD_TEXT,
    field::CERT_SUBJECT,
    field::CERT_ISSUER,
    field::MAIL_SUBJECT,
    field::FILE_NAME,
    field::PROCESS,
    field::BANNER,
    field::EXTRA,
];

/// How a record has an indicator; the first that holds is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum How {
    /// A field of the record is it (or an address lies in the network).
    Hit,
    /// A field holds a name below it.
    Below,
    /// A field holds the host of the URL, not the URL itself.
    Site,
    /// A text of the record mentions it.
    Text,
    /// The record says how something is (inventory, reputation list), not what happened.
    Listed,
}

/// The records that have an indicator in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which of the indicators that were asked for.
    pub indicator: u32,
    /// How.
    pub how: How,
    /// Records, a connection that several sources saw once.
    pub records: u64,
    /// Corrected start of the first.
    pub first: Time,
    /// Corrected end of the last.
    pub last: Time,
    /// Records per source, every source's own, in order of source.
    pub sources: Vec<(SourceId, u64)>,
    /// The other ends, own addresses before others, at most [`HOSTS`].
    pub hosts: Vec<IpAddr>,
    /// How many other ends there are; counting ends at [`HOSTS_COUNTED`].
    pub host_count: u32,
}

/// Most hosts that a sighting names.
pub const HOSTS: usize = 20;
/// Most hosts that a sighting counts.
pub const HOSTS_COUNTED: usize = 4096;

/// What a sweep found, and what it could have found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// In order of indicator, then of how.
    pub found: Vec<Sighting>,
    /// Per source the indexed fields that any of its records has.
    pub fills: Vec<(SourceId, Vec<FieldId>)>,
}

/// Which records a sweep is over.
#[derive(Debug, Clone, Copy)]
pub struct Over<'a> {
    /// Window in corrected time.
    pub window: Window,
    /// Only imports after this one; 0: all.
    pub newer_than: u64,
    /// Per indicator: only evidence imported after this instant; empty: all.
    pub imported_after: &'a [Time],
}

impl Over<'_> {
    /// Over everything.
    pub const ALL: Over<'static> = Over { window: Window::ALL, newer_than: 0, imported_after: &[] };
}

/// The ways in which logs write a URL: with and without a slash at its end and its scheme's port; without a scheme, of both.
pub fn urls(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let starts = match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => vec![(scheme, rest)],
        _ => vec![("http", text.as_str()), ("https", text.as_str())],
    };
    let mut out = std::collections::BTreeSet::new();
    for (scheme, rest) in starts {
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let bare = authority.strip_suffix(port).unwrap_or(authority);
        let mut hosts = vec![bare.to_owned()];
        if !bare.contains(':') && !port.is_empty() {
            hosts.push(format!("{bare}{port}"));
        }
        for host in hosts {
            let url = format!("{scheme}://{host}{path}");
            if !path.contains(['?', '#']) {
                out.insert(format!("{}/", url.trim_end_matches('/')));
                out.insert(url.trim_end_matches('/').to_owned());
            }
            out.insert(url);
        }
    }
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_site_with_or_without_a_scheme() {
        for (url, site) in [
            ("http://Evil.example:8080/a", "evil.example"),
            ("evil.example/a?b=c://d", "evil.example"),
            ("https://u:p@[2001:db8::1]/x", "2001:db8::1"),
        ] {
            assert_eq!(Indicator::new(EntityKind::Url, url, 1).site().as_deref(), Some(site), "{url}");
        }
    }
}
