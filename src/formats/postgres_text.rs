//! What PostgreSQL's three ways of logging share: levels, zones, and what its messages tell of connections and logins (PostgreSQL documentation, "Error
//! Reporting and Logging").
//!
//! Logins: `login_ok` for an authorised connection, `login_fail` for a failed or refused one, `start` and `logout` for connections.

use super::draft::{self, Draft};
use super::mail_text::pairs;
use crate::model::field;
use crate::model::record::Kind;

/// The rank of a severity.
pub(super) fn rank(level: &str) -> Option<u64> {
    Some(match level {
        "PANIC" | "FATAL" => 4,
        "ERROR" => 3,
        "WARNING" => 2,
        "NOTICE" => 1,
        "LOG" | "INFO" | "DETAIL" | "HINT" | "CONTEXT" | "STATEMENT" | "QUERY" | "LOCATION" => 0,
        other if other.starts_with("DEBUG") && other.len() <= 6 => 0,
        _ => return None,
    })
}

/// Seconds east of UTC of a zone's abbreviation that means only one: the server's zone may be China's `CST`.
pub(super) fn east(zone: &str) -> Option<i32> {
    super::moments::east(zone).filter(|_| !zone.eq_ignore_ascii_case("CST"))
}

/// Gives what a message tells.
pub(super) fn message(text: &str, d: &mut Draft) {
    d.text(field::APP, "postgresql");
    let first = text.lines().next().unwrap_or("");
    let login = |action: &str, d: &mut Draft| {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, action);
    };
    if let Some(rest) = first.strip_prefix("connection received: ") {
        peer(rest, d);
        login("start", d);
    } else if let Some(rest) =
        first.strip_prefix("connection authorized: ").or_else(|| first.strip_prefix("replication connection authorized: "))
    {
        peer(rest, d);
        login("login_ok", d);
    } else if let Some(rest) = first.strip_prefix("connection authenticated: ") {
        for (key, value) in pairs(rest) {
            match key {
                "identity" => _ = d.text(field::USER, value.trim_matches('"')),
                "method" => _ = d.text(field::METHOD_AUTH, value.split(' ').next().unwrap_or(value)),
                _ => {}
            }
        }
        login("login_ok", d);
    } else if let Some(rest) = first.strip_prefix("disconnection: ") {
        if let Some(time) = rest.strip_prefix("session time: ").and_then(|t| t.split(' ').next()).and_then(spent) {
            d.uint(field::ELAPSED, time);
        }
        peer(rest.split_once(" user=").map_or("", |(before, _)| &rest[before.len() + 1..]), d);
        login("logout", d);
    } else if first.contains("authentication failed for user ") || first.contains("authentication failed for role ") {
        d.text(field::USER, quoted(first).unwrap_or(""));
        d.text(field::METHOD_AUTH, first.split(" authentication").next().unwrap_or(""));
        login("login_fail", d);
    } else if first.starts_with("no pg_hba.conf entry for ") || first.starts_with("pg_hba.conf rejects connection for ") {
        // `host "192.0.2.5", user "x", database "y", no encryption`
        for part in first.split(", ") {
            let Some(value) = quoted(part) else { continue };
            match part.split(" \"").next().unwrap_or("").rsplit(' ').next().unwrap_or("") {
                "host" => _ = d.addr(field::SRC_IP, value),
                "user" => _ = d.text(field::USER, value),
                "database" => d.keep("database", value),
                _ => {}
            }
        }
        login("login_fail", d);
    } else if first.starts_with("role \"") && first.ends_with(" does not exist") {
        d.text(field::USER, quoted(first).unwrap_or(""));
        login("login_fail", d);
    } else if let Some(rest) = first.strip_prefix("duration: ")
        && let Some(ms) = rest.split(' ').next().and_then(|t| t.parse::<f64>().ok()).filter(|t| (0.0..1e12).contains(t))
    {
        d.uint(field::ELAPSED, (ms * 1e6) as u64);
    }
}

/// `host=192.0.2.5 port=51000`, `user=bob database=x application_name=psql SSL enabled (protocol=TLSv1.3, cipher=..., bits=256)`.
fn peer(text: &str, d: &mut Draft) {
    for (key, value) in pairs(text) {
        let value = value.trim_matches([')', '"']);
        match key {
            "host" if value == "[local]" => {}
            "host" => d.put_or_keep(field::SRC_IP, key, value),
            "port" => d.put_or_keep(field::SRC_PORT, key, value),
            "user" => _ = d.text(field::USER, value.split(' ').next().unwrap_or(value)),
            "database" => d.keep("database", value.split(' ').next().unwrap_or(value)),
            "protocol" => _ = d.text(field::TLS_VERSION, value),
            "cipher" => _ = d.text(field::TLS_CIPHER, value),
            _ => d.keep(key, value.split(" SSL ").next().unwrap_or(value)),
        }
    }
    if let Some((_, tls)) = text.split_once('(') {
        for (key, value) in pairs(tls) {
            match key {
                "protocol" => _ = d.text(field::TLS_VERSION, value),
                "cipher" => _ = d.text(field::TLS_CIPHER, value),
                _ => {}
            }
        }
    }
}

fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1).filter(|t| !t.is_empty())
}

/// `0:01:02.345` in nanoseconds.
fn spent(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds = draft::seconds(parts.next()?)?;
    hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_mul(1_000_000_000)?.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_times_are_spans() {
        assert_eq!(spent("0:01:02.5"), Some(62_500_000_000));
        assert_eq!(spent("x"), None);
        assert_eq!(quoted("role \"bob\" does not exist"), Some("bob"));
    }
}
