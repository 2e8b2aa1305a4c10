//! What MySQL's and MariaDB's logs share: times, accounts as `'user'@'host'`, refused logins.
//!
//! Knows no log.

use super::clock::{self, Stamp};
use super::draft::{self, Draft};
use crate::model::field;
use crate::model::record::Kind;

/// `2020-08-06T14:25:02.835618Z`, `2026-11-20  8:00:00`, `201120  8:00:00`, `20261120 08:00:00`, with its length.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    if let Some(stamp) = clock::iso(text.as_bytes()) {
        return Some(stamp);
    }
    let date_end = text.find(' ')?;
    let date = &text[..date_end];
    let time = text[date_end..].trim_start();
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let date = match date.len() {
        10 if date.as_bytes()[4] == b'-' && date.is_ascii() => date.to_owned(),
        6 if digits(date) => format!("20{}-{}-{}", &date[..2], &date[2..4], &date[4..]),
        8 if digits(date) => format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
        _ => return None,
    };
    // Hours of one digit stand after a second space.
    let length = time.bytes().take_while(|b| b.is_ascii_digit() || *b == b':').count();
    let time = match length {
        7 => format!("0{}", &time[..7]),
        8 => time[..8].to_owned(),
        _ => return None,
    };
    let stamp = clock::iso(format!("{date} {time}").as_bytes())?;
    Some(Stamp { len: text.len() - text[date_end..].trim_start().len() + length, ..stamp })
}

/// Gives an account: `'root'@'192.0.2.5'`, `root[root] @ ws5 [192.0.2.5]`, `root@192.0.2.5 on shop using TCP/IP`.
pub(super) fn account(text: &str, d: &mut Draft) {
    let Some((user, host)) = text.split_once('@') else { return };
    let user = user.trim().split('[').next().unwrap_or("").trim_matches(['\'', '`', '"']);
    d.text(field::USER, user.rsplit([' ', '\'']).next().unwrap_or(user));
    let host = host.trim_start();
    // A name may stand before the address in brackets.
    let (name, ip) = host.split_once('[').map_or((host, ""), |(name, ip)| (name, ip.split(']').next().unwrap_or("")));
    let name = name.trim_start_matches('\'').split([' ', '\'', '`']).next().unwrap_or("");
    if !d.addr(field::SRC_IP, ip) && !d.addr(field::SRC_IP, name) && name.contains('.') {
        d.text(field::NAME, name);
    }
}

/// Gives what a message says of a refused login. False: it says none.
pub(super) fn refused(message: &str, d: &mut Draft) -> bool {
    let Some((_, who)) = message.split_once("Access denied for user ") else { return false };
    d.record.kind = Kind::Auth;
    d.text(field::ACTION, "login_fail");
    account(who.split(" (").next().unwrap_or(who), d);
    if message.contains("using password") {
        d.text(field::METHOD_AUTH, "password");
    }
    true
}

/// Whether a text is an address or a name of a host.
pub(super) fn peer(text: &str, d: &mut Draft) {
    if draft::address(text).is_some() {
        d.addr(field::SRC_IP, text);
    } else if text.contains('.') {
        d.text(field::NAME, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_versions() {
        for (text, len) in [
            ("2026-11-20T08:00:00Z x", 20),
            ("2026-11-20  8:00:00 7 x", 19),
            ("201120  8:00:00 x", 15),
            ("20261120 08:00:00,x", 17),
        ] {
            let mut stamp = stamp(text).unwrap_or_else(|| panic!("{text}"));
            stamp.year = stamp.year.map(|y| if y == 2020 { 2026 } else { y });
            assert_eq!((stamp.second, stamp.len, stamp.month), (28_800, len, 11), "{text}");
        }
        assert!(stamp("2026-11-20 nonsense").is_none());
    }
}
