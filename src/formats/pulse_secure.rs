//! Ivanti (Pulse) Connect Secure and Policy Secure in syslog (Ivanti, "Connect Secure Administration Guide", log formats standard and WELF):
//! `2026-11-20 08:12:01 - vpn1 - [203.0.113.9] joe(Users)[Staff] - Login succeeded for joe/Users from 203.0.113.9.` or
//! `id=firewall time="..." pri=6 fw=198.51.100.7 vpn=vpn1 user=joe realm="Users" roles="Staff" src=203.0.113.9 ... msg="AUT24326: ..."`.
//!
//! The gateway is the responder where its address is stated. Logins and logouts are told by the message's words; an address that a tunnel was
//! given is `dhcp.address`. A time without zone yields to an envelope that states it.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, key_value, lift, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "pulse-secure",
    doc: "Ivanti (Pulse) Connect Secure and Policy Secure events in syslog, standard and WELF: logins, tunnels, web access.",
    is,
    read,
};

/// A message in the standard format: time, gateway, client, account, realm, roles, text.
struct Standard<'a> {
    stamp: &'a str,
    node: &'a str,
    client: &'a str,
    account: &'a str,
    realm: &'a str,
    roles: &'a str,
    text: &'a str,
}

fn standard(message: &str) -> Option<Standard<'_>> {
    let message = message.strip_prefix("PulseSecure: ").unwrap_or(message);
    let (stamp, rest) = message.split_once(" - ").filter(|(s, _)| s.len() <= 32)?;
    let (node, rest) = rest.split_once(" - [").filter(|(n, _)| n.len() <= 255 && !n.contains(' '))?;
    let (client, rest) = rest.split_once("] ")?;
    // An account may hold brackets, a realm none.
    let (who, text) = rest.split_once(" - ")?;
    let (who, roles) = who.strip_suffix(']')?.rsplit_once('[')?;
    let (account, realm) = who.strip_suffix(')')?.rsplit_once('(')?;
    moments::moment(stamp).filter(|_| draft::address(client).is_some())?;
    Some(Standard { stamp, node, client, account, realm, roles, text })
}

fn welf(message: &str) -> bool {
    let has = |key: &str| memchr::memmem::find(message.as_bytes(), key.as_bytes()).is_some();
    has("id=firewall ") && has(" vpn=") && has(" realm=") && has(" msg=\"")
}

fn is(envelope: &Envelope<'_>) -> bool {
    welf(envelope.message) || standard(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    if let Some(s) = standard(envelope.message) {
        d.addr(field::SRC_IP, s.client);
        d.text(field::USER, bare(s.account));
        d.keep("realm", s.realm);
        d.keep("roles", s.roles);
        told(s.text, d);
        return Said { time: moments::time(s.stamp, envelope, context, out), host: s.node, ..Said::default() };
    }
    let pairs = key_value::pairs(envelope.message);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    d.text(field::USER, bare(one("user")));
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        match *key {
            "id" | "time" | "msg" | "vpn" | "user" | "duration" => {}
            "realm" | "roles" | "fw" | "type" => d.keep(key, value),
            "op" => d.put_or_keep(field::HTTP_METHOD, key, value),
            "arg" => d.put_or_keep(field::HTTP_URI, key, value),
            "result" => d.put_or_keep(field::HTTP_STATUS, key, value),
            "agent" => d.put_or_keep(field::HTTP_AGENT, key, value),
            "sent" => left.push(("sentbytes", *value)),
            "rcvd" => left.push(("rcvdbytes", *value)),
            "dstname" => left.push(("fqdn", *value)),
            "pri" => {
                if let Ok(level) = value.parse::<usize>() {
                    d.uint(field::SEVERITY, [4, 4, 4, 3, 2, 1, 0, 0][level.min(7)]);
                }
            }
            _ => left.push((key, *value)),
        }
    }
    vendor_values::fill(&left, true, d);
    told(one("msg"), d);
    Said { time: moments::time(one("time"), envelope, context, out), host: one("vpn"), ..Said::default() }
}

/// A name without its domain; gateways write `()` for nobody and `System` for themselves.
fn bare(account: &str) -> &str {
    let name = account.rsplit_once('\\').map_or(account, |(_, u)| u);
    if matches!(name, "System" | "()" | "-") { "" } else { name }
}

/// Code, action and lease of a message's text.
fn told(text: &str, d: &mut Draft) {
    let code = text.split_once(": ").map(|(c, _)| c).filter(|c| {
        c.len() == 8 && c.bytes().take(3).all(|b| b.is_ascii_uppercase()) && c.bytes().skip(3).all(|b| b.is_ascii_digit())
    });
    d.text(field::EVENT_CODE, code.unwrap_or(""));
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let action = match () {
        () if has(&["login succeeded", "authentication successful", "login success"]) => "login_ok",
        () if has(&["login failed", "authentication failed", "login denied", "rejected login"]) => "login_fail",
        () if has(&["logout from", "session timed out", "session deleted"]) => "logout",
        () if has(&["session started", "connected to "]) => "start",
        () if has(&["session ended", "closed connection"]) => "close",
        () if has(&["acl denied", "access denied", "denied access"]) => "deny",
        () if has(&["acl allowed"]) => "allow",
        () => verdict_words::phrase(text).unwrap_or(""),
    };
    d.text(field::ACTION, action);
    let lease = after(text, "IPv4 address ").or_else(|| after(text, "with IP ")).and_then(|t| t.split([',', ' ', '/']).next());
    if let Some(lease) = lease.filter(|_| has(&["session started", "session ended"])) {
        d.addr(field::LEASE, lease);
    }
    d.record.kind = match action {
        "login_ok" | "login_fail" | "logout" => Kind::Auth,
        "start" | "close" if d.has(field::LEASE) => Kind::Auth,
        _ => vendor_values::kind(d),
    };
    d.text(field::MESSAGE, text);
    lift::lift(text, d);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn both_formats_say_who_came_and_went() {
        for (message, want) in [
            (
                "PulseSecure: 2026-11-20 08:12:01 - vpn1 - [203.0.113.9] CORP\\joe(Users)[Staff, VPN] - Login succeeded for joe/Users from 203.0.113.9.",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=info action=login_ok user=joe hostname=vpn1",
            ),
            (
                "PulseSecure: id=firewall time=\"2026-11-20 08:12:01\" pri=6 fw=198.51.100.7 vpn=vpn1 user=joe realm=\"Users\" roles=\"\" proto= src=203.0.113.9 dst= dstname= type=vpn op= arg=\"\" result= sent= rcvd= agent=\"\" duration= msg=\"AUT24327: Primary authentication failed for joe/AD from 203.0.113.9\"",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=info action=login_fail user=joe hostname=vpn1",
            ),
            (
                "PulseSecure: 2026-11-20 08:12:01 - vpn1 - [203.0.113.9] joe(Users)[Staff] - VPN Tunneling: Session started for user with IPv4 address 192.0.2.33, hostname pc7",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=info action=start user=joe hostname=vpn1",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>Nov 20 08:12:05 vpn1 {message}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        let shown = show(
            &FORMAT,
            "<134>Nov 20 08:12:05 vpn1 2026-11-20 08:12:01 - vpn1 - [203.0.113.9] joe(Users)[Staff] - VPN Tunneling: Session ended for user with IPv4 address 192.0.2.33",
        );
        assert!(shown.contains("action=close") && shown.contains("dhcp.address=192.0.2.33"), "{shown}");
    }
}
