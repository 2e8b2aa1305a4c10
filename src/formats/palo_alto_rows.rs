//! Rows of Palo Alto Networks' logs that are no sessions: SYSTEM, CONFIG, USERID, GLOBALPROTECT, HIPMATCH, AUTHENTICATION; and the TLS part of
//! DECRYPTION (PAN-OS, "Syslog Field Descriptions", columns counted from 1).
//!
//! Knows columns only. What a row says in words is the message; what has no field is kept.

use super::draft::{self, Draft};
use super::{vendor_values, verdict_words};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// Columns of a type of row: number, field, name.
type Columns = &'static [(usize, FieldId, &'static str)];

const SYSTEM: Columns = &[(15, field::MESSAGE, "opaque"), (14, field::SEVERITY, "severity"), (13, field::CATEGORY, "module")];
const CONFIG: Columns = &[
    (8, field::SRC_IP, "host"),
    (11, field::USER, "admin"),
    (12, field::PROCESS, "client"),
    (13, field::REASON, "result"),
    (14, field::MESSAGE, "path"),
];
const USERID: Columns =
    &[(9, field::SRC_IP, "ip"), (10, field::USER, "user"), (15, field::SRC_PORT, "beginport"), (16, field::DST_PORT, "endport")];
const GLOBALPROTECT: Columns = &[
    (13, field::USER, "srcuser"),
    (16, field::SRC_IP, "public_ip"),
    (17, field::SRC_IP, "public_ipv6"),
    (18, field::LEASE, "private_ip"),
    (19, field::LEASE, "private_ipv6"),
    (11, field::METHOD_AUTH, "auth_method"),
    (23, field::OS, "client_os"),
    (26, field::REASON, "reason"),
    (28, field::MESSAGE, "opaque"),
];
const HIPMATCH: Columns = &[
    (8, field::USER, "srcuser"),
    (12, field::SRC_IP, "src"),
    (27, field::SRC_IP, "srcipv6"),
    (11, field::OS, "os"),
    (13, field::RULE, "matchname"),
];
const AUTHENTICATION: Columns = &[
    (9, field::SRC_IP, "ip"),
    (10, field::USER, "user"),
    (13, field::RULE, "authpolicy"),
    (16, field::METHOD_AUTH, "vendor"),
    (19, field::MESSAGE, "desc"),
];
const DECRYPTION: Columns = &[
    (40, field::TLS_VERSION, "tls_version"),
    (50, field::CERT_SERIAL, "cert_serial"),
    (51, field::CERT_SHA256, "fingerprint"),
    (61, field::CERT_SUBJECT, "cn"),
    (62, field::CERT_ISSUER, "issuer_cn"),
    (64, field::SNI, "sni"),
    (65, field::REASON, "error"),
];

/// Fills a record from a row of a type; `at` gives a column, empty if it is not there. Gives the device.
pub(super) fn fill<'a>(kind: &str, at: impl Fn(usize) -> &'a str, d: &mut Draft) -> &'a str {
    let (columns, device, names): (Columns, usize, &[(usize, &str)]) = match kind {
        "SYSTEM" => (SYSTEM, 23, &[(9, "eventid"), (10, "object")]),
        "CONFIG" => (CONFIG, 22, &[(9, "vsys"), (10, "cmd")]),
        "USERID" => (
            USERID,
            26,
            &[(8, "vsys"), (11, "datasourcename"), (12, "eventid"), (14, "timeout"), (17, "datasource"), (18, "datasourcetype")],
        ),
        "GLOBALPROTECT" => (
            GLOBALPROTECT,
            41,
            &[
                (9, "eventid"),
                (10, "stage"),
                (12, "tunnel_type"),
                (14, "srcregion"),
                (20, "hostid"),
                (22, "client_ver"),
                (27, "error"),
                (29, "status"),
                (34, "portal"),
            ],
        ),
        "HIPMATCH" | "HIP-MATCH" => (HIPMATCH, 25, &[(9, "vsys"), (15, "matchtype"), (28, "hostid")]),
        "AUTH" | "AUTHENTICATION" => (
            AUTHENTICATION,
            33,
            &[(11, "normalize_user"), (12, "object"), (18, "serverprofile"), (20, "clienttype"), (21, "event")],
        ),
        _ => (&[], 0, &[]),
    };
    give(columns, &at, d);
    for (n, key) in names {
        d.keep(key, at(*n));
    }
    d.record.kind = Kind::Log;
    match kind {
        "GLOBALPROTECT" => {
            machine(at(15), d);
            let stage = format!("{} {}", at(9), at(10));
            let went = verdict_words::outcome(at(29)).unwrap_or(true);
            let action = match stage.to_ascii_lowercase() {
                s if s.contains("logout") || s.contains("disconnect") => "logout",
                s if s.contains("login") || s.contains("auth") || s.contains("connect") => {
                    if went {
                        "login_ok"
                    } else {
                        "login_fail"
                    }
                }
                _ => "",
            };
            acted(action, d);
        }
        "HIPMATCH" | "HIP-MATCH" => machine(at(10), d),
        "USERID" => acted(
            match at(5) {
                "login" => "login_ok",
                "logout" => "logout",
                _ => "",
            },
            d,
        ),
        "AUTH" | "AUTHENTICATION" => {
            let went = verdict_words::outcome(at(21)).or_else(|| verdict_words::outcome(at(19)));
            acted(went.map_or("", |ok| if ok { "login_ok" } else { "login_fail" }), d);
        }
        "SYSTEM" => {
            let event = format!("{} {}", at(9), at(15));
            let action = verdict_words::phrase(at(15)).or_else(|| match at(9) {
                "auth-success" => Some("login_ok"),
                "auth-fail" => Some("login_fail"),
                _ if at(13) == "auth" || event.contains("globalprotect") => verdict_words::login_action(&event, &event),
                _ => None,
            });
            acted(action.unwrap_or(""), d);
            from(at(15), d);
        }
        "CONFIG" => _ = d.text(field::ACTION, at(10)),
        _ => {}
    }
    at(device)
}

fn acted(action: &str, d: &mut Draft) {
    if !action.is_empty() {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, action);
    }
}

fn machine(name: &str, d: &mut Draft) {
    d.text(field::HOSTNAME, name);
}

/// `User 'joe' ... From: 192.0.2.9.`
fn from(text: &str, d: &mut Draft) {
    for word in ["From: ", "from ", "client IP: ", "Source: "] {
        if let Some(ip) = text
            .split_once(word)
            .and_then(|(_, t)| vendor_values::endpoint(t.trim_end_matches('.').split([' ', ',']).next()?.trim_end_matches('.')))
        {
            d.give(field::SRC_IP, crate::model::value::Value::Addr(ip.0));
            break;
        }
    }
    for quote in ["user '", "User '", "user: ", "User name: "] {
        if let Some((_, rest)) = text.split_once(quote) {
            d.text(field::USER, rest.split(['\'', ',', ' ']).next().unwrap_or(""));
            break;
        }
    }
}

/// The TLS part of a decryption log.
pub(super) fn decryption<'a>(at: impl Fn(usize) -> &'a str, d: &mut Draft) {
    d.record.kind = Kind::Tls;
    let cipher = [at(41), at(42), at(43)].join("_");
    d.text(field::TLS_CIPHER, cipher.trim_matches('_'));
    give(DECRYPTION, &at, d);
    d.text(field::NAME, if draft::address(at(64)).is_none() { at(64) } else { "" });
    for (n, key) in [(44, "policy_name"), (47, "root_status"), (48, "chain_status"), (49, "proxy_type"), (46, "err_index")] {
        d.keep(key, at(n));
    }
}

fn give<'a>(columns: Columns, at: &impl Fn(usize) -> &'a str, d: &mut Draft) {
    for (n, id, key) in columns {
        let value = at(*n);
        match *id {
            _ if value.is_empty() || matches!(value, "0.0.0.0" | "::" | "0") => {}
            field::SEVERITY => _ = super::json_lines::level(value).map(|rank| d.uint(field::SEVERITY, rank)),
            field::USER => {
                let bare = value.rsplit_once('\\').map_or(value, |(_, u)| u);
                if !d.text(field::USER, bare) || bare.len() != value.len() {
                    d.keep(key, value);
                }
            }
            // A name may stand for the address.
            field::SRC_IP | field::LEASE if draft::address(value).is_none() => d.keep(key, value),
            field::CERT_SHA256 if value.len() != 64 => d.keep(key, value),
            id => d.put_or_keep(id, key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::palo_alto::FORMAT;
    use crate::formats::tests::show;

    #[test]
    fn rows_of_every_type_say_who_and_what() {
        for (row, want) in [
            (
                "SYSTEM,auth,0,2026/11/20 08:12:00,,auth-fail,edge,0,0,general,medium,\"failed authentication for user 'joe'.  Reason: Invalid username/password. From: 192.0.2.9.\",7595,0x0,0,0,0,0,,fw1",
                "auth 2026-11-20T08:12:00Z src.ip=192.0.2.9 severity=medium category=general action=login_fail user=joe hostname=fw1",
            ),
            (
                "USERID,login,0,2026/11/20 08:12:00,vsys1,192.0.2.9,corp\\joe,,0,1,10800,0,0,vpn-client,globalprotect,1,0x8,11,11,11,0,vs,fw1",
                "auth 2026-11-20T08:12:00Z src.ip=192.0.2.9 action=login_ok user=joe hostname=fw1",
            ),
            (
                "GLOBALPROTECT,0,2305,2026/11/20 08:12:00,vsys1,gateway-auth,login,SAML,,joe,DE,pc1,203.0.113.9,0.0.0.0,10.9.0.4,0.0.0.0,h1,S1,5.2,Windows,10,1,,,,success,,0,,0,portal1,1,0x0",
                "auth 2026-11-20T08:12:00Z src.ip=203.0.113.9 action=login_ok user=joe hostname=pc1",
            ),
            (
                "HIPMATCH,0,2049,2026/11/20 08:12:00,joe,vsys1,pc1,Mac,192.0.2.9,GP-HIP,1,profile,0,0,1,0x0,17,11,12,0,,fw1,1,0.0.0.0",
                "log 2026-11-20T08:12:00Z src.ip=192.0.2.9 rule=GP-HIP user=joe hostname=pc1",
            ),
            (
                "CONFIG,0,0,2026/11/20 08:12:00,192.0.2.9,,set,admin,Web,Succeeded,config shared,1,0x0,0,0,0,0,,fw1",
                "log 2026-11-20T08:12:00Z src.ip=192.0.2.9 action=set reason=Succeeded user=admin hostname=fw1 process=Web message=config shared",
            ),
        ] {
            let shown = show(&FORMAT, &format!("1,2026/11/20 08:12:00,0070000,{row}"));
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
