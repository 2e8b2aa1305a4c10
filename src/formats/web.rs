//! What the formats of web servers, proxies and IDS share: putting a URL together, and taking one apart.
//!
//! Knows no format. A request target is never decoded: how it was written is evidence.

/// A URL from its parts (RFC 3986, 5.3); a target that is a URL itself comes back as it is. The scheme's own port is left out.
pub(super) fn url(scheme: &str, host: &str, port: u64, target: &str) -> String {
    if target.contains("://") && !target.starts_with('/') {
        return target.to_owned();
    }
    let scheme = if port == 443 { "https" } else { scheme };
    let usual = matches!((scheme, port), ("http", 80) | ("https", 443));
    let slash = if target.starts_with('/') { "" } else { "/" };
    // A Host header may name the port itself.
    match usual || port == 0 || named_port(host).is_some() {
        true => format!("{scheme}://{host}{slash}{target}"),
        false => format!("{scheme}://{host}:{port}{slash}{target}"),
    }
}

/// Host and port of a URL or of `host:port`; without a port, the scheme's.
pub(super) fn authority(url: &str) -> Option<(&str, Option<u64>)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority.split(':').next()?,
    };
    let usual = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "ftp" => Some(21),
        _ => None,
    };
    (!host.is_empty()).then(|| (host, named_port(authority).or(usual)))
}

/// Whether a proxy let nobody through: it says so, or its status does.
pub(super) fn denied(result: &str, status: Option<u64>) -> bool {
    result.contains("DENIED") || matches!(status, Some(403 | 407))
}

fn named_port(authority: &str) -> Option<u64> {
    let (host, port) = authority.rsplit_once(':')?;
    if host.contains(':') && !host.ends_with(']') {
        return None;
    }
    port.parse::<u16>().ok().map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_or_a_status_denies() {
        assert!(denied("TCP_DENIED", None) && denied("TCP_MISS", Some(407)) && !denied("TCP_MISS", Some(200)));
    }

    #[test]
    fn urls_are_put_together_and_taken_apart() {
        assert_eq!(url("http", "a.example", 80, "/x"), "http://a.example/x");
        assert_eq!(url("http", "a.example", 8080, "x"), "http://a.example:8080/x");
        assert_eq!(url("http", "a.example:8080", 8080, "/x"), "http://a.example:8080/x");
        assert_eq!(url("http", "a.example", 443, "/"), "https://a.example/");
        assert_eq!(url("http", "p", 3128, "http://b.example/"), "http://b.example/");
        assert_eq!(authority("https://u:p@h.example:8443/x:1"), Some(("h.example", Some(8443))));
        assert_eq!(authority("login.example:443"), Some(("login.example", Some(443))));
        assert_eq!(authority("http://[2001:db8::1]/"), Some(("2001:db8::1", Some(80))));
        assert_eq!(authority("/path"), None);
    }
}
