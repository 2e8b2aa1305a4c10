//! The words in which devices say what they did, as ours: allow, deny, drop, reset, close, start, timeout, alert, login_ok, login_fail, logout.
//!
//! Knows no format. A word that means none of these stays its source's own.

use std::borrow::Cow;

/// What an action means; else the word itself.
pub(super) fn action(text: &str) -> Cow<'_, str> {
    known(text).map_or(Cow::Borrowed(text), Cow::Borrowed)
}

/// Whole words, in lower case without what joins them.
const WHOLE: &[(&str, &str)] = &[
    ("allow", "allow allowed accept accepted permit permitted pass passed passthrough trust trusted fastpath forward forwarded"),
    ("allow", "bypass bypassed monitor monitored exempt exempted continue override estallowed notblocked"),
    ("deny", "deny denied block blocked reject rejected refuse refused prevent prevented forbid forbidden disallow disallowed"),
    ("deny", "restrict restricted sinkhole sinkholed quarantine quarantined violation blockpage redirect stopped notallowed"),
    ("drop", "drop dropped discard discarded silentdrop dropsession droppacket blackhole blackholed"),
    ("reset", "reset rst tcpreset clientrst serverrst resetclient resetserver resetboth blockwithreset closeclient closeserver"),
    ("close", "close closed teardown terminate terminated finish finished end ended closeclientandserver"),
    ("start", "start started open opened create created built establish established begin newflow initiate initiated"),
    ("timeout", "timeout timedout expired agedout aged"),
    ("alert", "alert alerted detect detected detectonly log logged notify notified ids warn warning"),
    ("logout", "logout logoff loggedout loggedoff signout signedout disconnectuser"),
    (
        "login_ok",
        "loginok loginsuccess loginsucceeded loginsuccessful logonsuccess loginallowed authenticationsucceeded authsuccess",
    ),
    ("login_ok", "authenticationsuccess authsucceeded loggedin signedin usersignedin usersignin authenticated"),
    (
        "login_fail",
        "loginfail loginfailed loginfailure logindenied logonfailed logonfailure authenticationfailed authfailed authfailure",
    ),
    ("login_fail", "authenticationfailure failedlogin loginrejected invalidlogin loginerror badpassword"),
];

/// What an action means, if it is one of ours.
pub(super) fn known(text: &str) -> Option<&'static str> {
    let mut word = String::with_capacity(24);
    for c in text.chars().take(48) {
        match c {
            'A'..='Z' => word.push(c.to_ascii_lowercase()),
            'a'..='z' | '0'..='9' => word.push(c),
            _ => {}
        }
    }
    let whole = WHOLE.iter().find(|(_, words)| words.split(' ').any(|w| w == word)).map(|(ours, _)| *ours);
    whole.or_else(|| begun(text))
}

/// Of several words the first decides (`Blocked by policy`, `BLOCK_WEBCAT`, `IDS:Reset`, `deny-all`), unless a reset is told of.
fn begun(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).take(4);
    let first = words.next()?.to_ascii_lowercase();
    let more = words.next()?;
    let reset = |w: &str| matches!(w.to_ascii_lowercase().as_str(), "reset" | "rst");
    match first.as_str() {
        "not" | "non" | "no" => match known(more)? {
            "deny" | "drop" => Some("allow"),
            "allow" => Some("deny"),
            _ => None,
        },
        "allow" | "allowed" | "permit" | "permitted" | "accept" | "accepted" => Some("allow"),
        "block" | "blocked" | "deny" | "denied" | "reject" | "rejected" | "drop" | "dropped" | "ids" | "ips"
            if reset(more) || words.any(reset) =>
        {
            Some("reset")
        }
        "block" | "blocked" | "deny" | "denied" | "reject" | "rejected" => Some("deny"),
        "drop" | "dropped" | "discard" | "discarded" => Some("drop"),
        "reset" => Some("reset"),
        "ids" | "ips" | "alert" | "log" | "period" => known(more),
        _ => None,
    }
}

/// Whether a text says that something went well (`Some(true)`) or not.
pub(super) fn outcome(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&[
        "fail",
        "unsuccess",
        "denied",
        "reject",
        "invalid",
        "incorrect",
        "refused",
        "not allowed",
        "disallow",
        "not permitted",
        "not granted",
        "not accepted",
        "not success",
        "unauthorized",
        "/failure",
    ]) || matches!(text.as_str(), "false" | "no" | "error" | "ko" | "blocked")
    {
        return Some(false);
    }
    let went = has(&["success", "succeed", "accepted", "granted", "allowed", "permitted"]);
    (went || matches!(text.as_str(), "true" | "yes" | "ok" | "passed" | "pass")).then_some(true)
}

/// What a text tells of a login: `login`, `logout`.
pub(super) fn login(text: &str) -> Option<&'static str> {
    let text = text[..text.floor_char_boundary(256)].to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["logout", "logoff", "log out", "log off", "logged out", "logged off", "sign out", "signed out"]) {
        return Some("logout");
    }
    let told = [
        "login",
        "logon",
        "log in",
        "log on",
        "logged in",
        "logged on",
        "sign in",
        "signed in",
        "sign-in",
        "authentication",
        "authenticated",
    ];
    has(&told).then_some("login")
}

/// The action of a login by what two texts tell: of the event, and of its outcome (or of both in one).
pub(super) fn login_action(event: &str, outcome_text: &str) -> Option<&'static str> {
    match login(event)? {
        "logout" => Some("logout"),
        _ => match outcome(outcome_text).or_else(|| outcome(event))? {
            true => Some("login_ok"),
            false => Some("login_fail"),
        },
    }
}

/// What a free text says was done with a packet, if all its words for that say the same.
pub(super) fn decision(text: &str) -> Option<&'static str> {
    let text = &text[..text.floor_char_boundary(1024)];
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    // What only would have been done was told of, no more.
    if has(&["would have blocked", "would have been blocked", "would be blocked", "would have denied", "would have been denied"])
    {
        return Some("alert");
    }
    let past = [
        "denied",
        "blocked",
        "dropped",
        "rejected",
        "permitted",
        "allowed",
        "deny",
        "block",
        "drop",
        "reject",
        "permit",
        "allow",
    ];
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| past.iter().any(|p| p.eq_ignore_ascii_case(w)));
    let mut said = None;
    for word in words {
        let meant = known(word);
        if said.is_some() && said != meant {
            return None;
        }
        said = meant;
    }
    said.or_else(|| match lower.contains("connection") {
        true if has(&["was terminated", "terminated.", "was closed", "torn down"]) => Some("close"),
        true if has(&["was established", "established.", "was opened"]) => Some("start"),
        _ => None,
    })
}

/// What a free text says of a login in words that mean nothing else.
pub(super) fn phrase(text: &str) -> Option<&'static str> {
    let text = text[..text.floor_char_boundary(512)].to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&[
        "login failed",
        "failed login",
        "failed to log in",
        "failed to login",
        "login failure",
        "logon failure",
        "failed authentication",
        "authentication failed",
        "authentication failure",
        "invalid password",
        "login denied",
        "login_denied",
        "login rejected",
        "failed to authenticate",
        "unable to authenticate",
        "unauthorized user",
        "invalid login",
        "logon failed",
        "login attempt failed",
        "unsuccessful login",
        "unsuccessful logon",
        "unsuccessful authentication",
        "unauthenticated user",
        "login incorrect",
        "cannot login",
        "failed to log on",
        "failed to logon",
        "login_fail",
    ]) || has(&["not successful"]) && login(&text) == Some("login")
    {
        return Some("login_fail");
    }
    // FastIron: `SSH terminated by joe from src IP ...`.
    let terminal = ["ssh", "telnet", "console", "web"].iter().any(|t| text.split(' ').take(6).any(|w| w == *t));
    if has(&["logged out", "logged off", "signed out", "logout from", "user logout", "logout event"])
        || terminal && has(&["terminated by", "access terminated"])
    {
        return Some("logout");
    }
    let went = [
        "logged in",
        "logged on",
        "signed in",
        "login success",
        "successful login",
        "login allowed",
        "login_allowed",
        "browser login: ",
        "login ok: ",
        "successfully authenticated",
        "authentication succeeded",
        "authentication successful",
        "login successful",
        "logon successful",
        "authenticated user",
        "successfully logged",
    ];
    // Every place counts: `not successfully logged in` holds `logged in` too.
    let mut places = went.iter().flat_map(|w| text.match_indices(w)).peekable();
    places.peek()?;
    places.all(|(at, _)| !is_denied(text.get(..at).unwrap_or(""))).then_some("login_ok")
}

/// Whether what stands before a phrase makes it the contrary: `un`, or a word that says no, one word further too (`not yet`).
fn is_denied(before: &str) -> bool {
    before.ends_with("un") || before.split_ascii_whitespace().rev().take(2).any(|w| matches!(w, "not" | "never" | "no"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_many_makers_mean_ours() {
        for (text, want) in [
            ("Allowed", "allow"),
            ("ACCEPT", "allow"),
            ("est-allowed", "allow"),
            ("Block with reset", "reset"),
            ("client-rst", "reset"),
            ("IDS:Reset", "reset"),
            ("BLOCK_WEBCAT", "deny"),
            ("Blocked by Admin", "deny"),
            ("not blocked", "allow"),
            ("Silent Drop", "drop"),
            ("Alert_Deny", "deny"),
            ("Period_Block", "deny"),
            ("detectOnly", "alert"),
            ("Login_Denied", "login_fail"),
            ("Logon Failure", "login_fail"),
            ("User Signed In", "login_ok"),
            ("SESSION", "SESSION"),
            ("sendalert", "sendalert"),
            ("", ""),
        ] {
            assert_eq!(action(text), want, "{text}");
        }
    }

    #[test]
    fn free_texts_are_understood_where_they_are_plain() {
        assert_eq!(decision("TCP access denied by ACL from a to b"), Some("deny"));
        assert_eq!(decision("allowed by rule drop-all"), None);
        assert_eq!(decision("dropdown rejecting"), None);
        assert_eq!(decision("File x would have blocked if the rule was not in report only mode"), Some("alert"));
        assert_eq!(decision("Inbound connection from a to port 15105 was terminated."), Some("close"));
        assert_eq!(phrase("User \"admin\" logged in successfully."), Some("login_ok"));
        assert_eq!(phrase("Failed login for joe"), Some("login_fail"));
        assert_eq!(phrase("authentication server is up"), None);
        for failed in ["Unsuccessful login attempt", "unauthenticated user joe", "joe was not successfully authenticated"] {
            assert_eq!(phrase(failed), Some("login_fail"), "{failed}");
        }
        for other in ["joe is not logged in", "never logged on", "no login success yet", "backup was not successful"] {
            assert_eq!(phrase(other), None, "{other}");
        }
        for text in ["Not successful", "disallowed", "not permitted", "access not granted"] {
            assert_eq!(outcome(text), Some(false), "{text}");
        }
    }

    #[test]
    fn logins_go_well_or_not() {
        for (event, result, want) in [
            ("Administrator Login", "", None),
            ("User admin login successfully from GUI", "", Some("login_ok")),
            ("Failed login", "302", Some("login_fail")),
            ("login", "success", Some("login_ok")),
            ("Logon attempt", "Failure", Some("login_fail")),
            ("User signed out", "success", Some("logout")),
            ("policy changed", "success", None),
        ] {
            assert_eq!(login_action(event, result), want, "{event}");
        }
    }
}
