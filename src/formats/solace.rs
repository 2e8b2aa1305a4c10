//! Solace PubSub+ event brokers (Solace, "Syslog Event Messages"): `event: CLIENT: CLIENT_CLIENT_CONNECT: vpn client Client (3) name username joe ... from 192.0.2.9:50000`.
//!
//! After `event:` the scope (system, client, message VPN), the event's name, then message VPN and client, `-` for none. What was done is in the
//! event's name: clients that connect, leave or are refused, sessions of administrators that open and close. A line may hold several events.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, lift};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "solace",
    doc: "Solace PubSub+ event brokers' events in syslog: clients, message VPNs, sessions of administrators.",
    is,
    read,
};

/// Scope, name of the event, and what follows.
fn parse<'a>(envelope: &Envelope<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let message = envelope.message;
    let text = match envelope.process.eq_ignore_ascii_case("event") {
        true => message,
        false => &message[7 + memchr::memmem::find(&message.as_bytes()[..message.len().min(128)], b"event: ")?..],
    };
    let (scope, rest) = text.split_once(": ")?;
    let (name, rest) = rest.split_once(": ")?;
    let named =
        name.len() > 6 && name.contains('_') && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    (matches!(scope, "SYSTEM" | "CLIENT" | "VPN") && named && name.starts_with(scope)).then_some((scope, name, rest))
}

fn is(envelope: &Envelope<'_>) -> bool {
    parse(envelope).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let Some((scope, name, rest)) = parse(envelope) else { return Said::default() };
    // Another event in the same line says nothing of this one.
    let rest = rest.find("<").filter(|at| after(&rest[*at..], "event: ").is_some()).map_or(rest, |at| &rest[..at]);
    d.text(field::EVENT_CODE, name);
    d.text(field::CATEGORY, scope);
    let mut words = rest.split(' ');
    for key in ["vpn", "client"] {
        d.keep(key, words.next().filter(|w| *w != "-").unwrap_or(""));
    }
    let user = ["username ", " for user ", " opened for ", " closed for "].iter().find_map(|p| after(rest, p));
    let user = user.and_then(|t| t.split([' ', ',']).next()).filter(|u| !u.starts_with('(')).unwrap_or("");
    d.text(field::USER, user);
    let ends = |words: &[&str]| words.iter().any(|w| name.ends_with(w));
    let has = |word: &str| name.contains(word);
    let session = has("AUTHENTICATION_SESSION") || has("LOGIN") || has("CLI_SESSION");
    let action = match () {
        () if session && ends(&["OPENED", "LOGIN"]) => "login_ok",
        () if session && ends(&["CLOSED", "LOGOUT"]) => "logout",
        () if has("AUTHENTICATION") && ends(&["FAILED", "FAIL", "DENIED"]) => "login_fail",
        () if ends(&["CONNECT_FAIL", "CONNECT_AUTH_FAIL"]) => "deny",
        () if ends(&["_DISCONNECT", "_UNBIND", "CLOSE_FLOW"]) => "close",
        () if ends(&["_CONNECT", "_BIND", "OPEN_FLOW"]) => "start",
        () => "",
    };
    d.text(field::ACTION, action);
    if matches!(action, "login_ok" | "login_fail" | "logout") {
        d.record.kind = Kind::Auth;
    }
    // `connected to 198.51.100.7:55443 from 192.0.2.9:50000`: the client is whoever it comes from.
    for (phrase, ip, port) in [(" from ", field::SRC_IP, field::SRC_PORT), (" connected to ", field::DST_IP, field::DST_PORT)] {
        let end = rest
            .match_indices(phrase)
            .find_map(|(at, _)| super::vendor_values::endpoint(rest[at + phrase.len()..].split(' ').next()?));
        if let Some((address, number)) = end {
            d.give(ip, address.into());
            number.map(|n| d.uint(port, u64::from(n)));
        }
    }
    d.text(field::MESSAGE, envelope.message);
    lift::lift(rest, d);
    Said::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn clients_connect_leave_and_are_refused() {
        for (message, want) in [
            (
                "event: CLIENT: CLIENT_CLIENT_CONNECT: shop app1 Client (4) app1 username joe OriginalClientUsername(joe) WebSessionId (N/A) connected to 198.51.100.7:55443 from 192.0.2.9:50000 version(7.2)",
                "log 2026-11-20T08:12:01Z src.ip=192.0.2.9 src.port=50000 dst.ip=198.51.100.7 dst.port=55443 severity=info category=CLIENT action=start user=joe hostname=mq1",
            ),
            (
                "event: SYSTEM: SYSTEM_CLIENT_CONNECT_FAIL: - - Message VPN (shop) Sol Client username joe clientname app1 connect failed from 192.0.2.9:50000 - Forbidden: Client Name Already In Use",
                "log 2026-11-20T08:12:01Z src.ip=192.0.2.9 src.port=50000 severity=info category=SYSTEM action=deny user=joe hostname=mq1",
            ),
            (
                "event: SYSTEM: SYSTEM_AUTHENTICATION_SESSION_OPENED: - - SEMP session 7 [192.0.2.9] opened for admin (admin)",
                "auth 2026-11-20T08:12:01Z src.ip=192.0.2.9 severity=info category=SYSTEM action=login_ok user=admin hostname=mq1",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>Nov 20 08:12:01 mq1 {message}"));
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
