//! Logins in syslog: OpenSSH's server, PAM (`pam_unix`), sudo, su, login, systemd-logind, account tools (`/var/log/auth.log`,
//! `/var/log/secure`).
//!
//! Actions: `login_ok`, `login_fail`, `start` (a session was opened), `logout` (it was closed), `close` (the peer left), `allow` and `deny` (sudo),
//! `changed` (an account). Lines of these programs that tell of no login stay log records.

use super::envelope::{self, Envelope};
use super::{Context, Format, Framing, Reader, Sniff, draft, draft::Draft, head, syslog};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: AuthLog = AuthLog;

/// Logins in syslog.
pub struct AuthLog;

impl Format for AuthLog {
    fn name(&self) -> &'static str {
        "auth-log"
    }
    fn doc(&self) -> &'static str {
        "Logins in syslog: sshd, PAM, sudo, su, login, systemd-logind (auth.log, secure)."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let login = |l: &str| {
            let e = envelope::open(l);
            e.stamp.is_some() && (is_login_program(e.process) || e.message.starts_with("pam_"))
        };
        if head::most(head, 50, login) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

const PROGRAMS: [&str; 18] = [
    "sshd",
    "sshd-session",
    "sshd-auth",
    "sudo",
    "su",
    "login",
    "systemd-logind",
    "useradd",
    "userdel",
    "usermod",
    "groupadd",
    "passwd",
    "chpasswd",
    "gdm-password",
    "lightdm",
    "dropbear",
    "polkitd",
    "doas",
];

fn is_login_program(process: &str) -> bool {
    PROGRAMS.contains(&process.rsplit('/').next().unwrap_or(process))
}

/// Makes the draft of a syslog line a login record, if the line tells of one.
pub(super) fn read(envelope: &Envelope<'_>, d: &mut Draft) {
    let process = envelope.process.rsplit('/').next().unwrap_or(envelope.process);
    let message = envelope.message.trim_end();
    let pam = message.split_once("): ").filter(|(head, _)| head.starts_with("pam_"));
    let action = match (pam, process) {
        (Some((_, message)), _) => pam_action(message),
        (None, "sshd" | "sshd-session" | "sshd-auth" | "dropbear") => ssh_action(message),
        (None, "sudo" | "doas") => sudo(message, d),
        (None, "su") => su(message, d),
        (None, "login") => login(message, d),
        (None, "systemd-logind") => logind(message),
        (None, "useradd" | "userdel" | "usermod" | "groupadd" | "passwd" | "chpasswd") => account(message, d),
        _ => None,
    };
    let Some(action) = action else { return };
    d.record.kind = Kind::Auth;
    d.text(field::ACTION, action);
    if process.starts_with("sshd") || process == "dropbear" {
        d.text(field::APP, "ssh");
    }
    if let Some((head, _)) = pam {
        d.text(field::METHOD_AUTH, head.split('(').next().unwrap_or(head));
    } else if let Some(method) = method(message) {
        d.text(field::METHOD_AUTH, method);
    }
    let user = user(message);
    d.text(field::USER, user);
    peer(message, d);
}

fn pam_action(message: &str) -> Option<&'static str> {
    let starts = |t: &str| message.starts_with(t);
    if starts("authentication failure")
        || starts("check pass")
        || starts("account ")
        || message.contains("more authentication failure")
    {
        Some("login_fail")
    } else if starts("session opened") {
        Some("start")
    } else if starts("session closed") {
        Some("logout")
    } else if starts("password changed") {
        Some("changed")
    } else {
        None
    }
}

fn ssh_action(message: &str) -> Option<&'static str> {
    let rest = message.strip_prefix("error: ").or_else(|| message.strip_prefix("fatal: ")).unwrap_or(message);
    let starts = |list: &[&str]| list.iter().any(|t| rest.starts_with(t));
    if starts(&["Accepted "]) {
        Some("login_ok")
    } else if starts(&[
        "Failed ",
        "Invalid user ",
        "Illegal user ",
        "input_userauth_request: invalid user",
        "maximum authentication attempts",
    ]) || rest.contains("more authentication failure")
        || rest.contains("Too many authentication failures")
        || rest.contains(" not allowed because ")
        || starts(&["ROOT LOGIN REFUSED", "Authentication refused"])
    {
        Some("login_fail")
    } else if starts(&["Disconnected from user "]) {
        Some("logout")
    } else if starts(&[
        "Connection closed",
        "Connection reset",
        "Received disconnect",
        "Disconnected from",
        "Disconnecting",
        "Unable to negotiate",
    ]) || starts(&[
        "Did not receive identification",
        "Bad protocol version",
        "banner exchange",
        "kex_exchange_identification",
    ]) {
        Some("close")
    } else if starts(&["Connection from "]) {
        Some("start")
    } else {
        None
    }
}

fn method(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("Accepted ").or_else(|| message.strip_prefix("Failed "))?;
    rest.split_once(" for ").map(|(method, _)| method)
}

/// The account that a message names, by the words before it.
fn user(message: &str) -> &str {
    const BEFORE: [&str; 11] = [
        "invalid user ",
        "Invalid user ",
        "Illegal user ",
        "authenticating user ",
        "for user ",
        "from user ",
        " user=",
        "of user ",
        "by user ",
        "User ",
        " for ",
    ];
    for before in BEFORE {
        if let Some((_, rest)) = message.split_once(before) {
            let end = rest.find([' ', '(', ',', ';', ':']).unwrap_or(rest.len());
            let user = rest[..end].trim_matches(['\'', '"', '.', '[', ']']);
            // "invalid user  from 192.0.2.1": an empty name.
            if !user.is_empty() || before != " for " {
                return user;
            }
        }
    }
    ""
}

/// Address, port and name of the other side.
fn peer(message: &str, d: &mut Draft) {
    let mut words = message.split([' ', '=', '\t']).map(|w| w.trim_matches([':', ',', ';', '(', ')', '\'', '"'])).peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        let bare = word.trim_matches(['[', ']']);
        let candidate = matches!(before, "from" | "by" | "with" | "rhost" | "user" | "Address") || d.has(field::USER);
        if let Some(address) = draft::address(bare).filter(|_| candidate && word.len() > 2) {
            if d.give(field::SRC_IP, address.into()) && words.peek() == Some(&"port") {
                words.next();
                let port = words.next().unwrap_or("");
                d.put(field::SRC_PORT, port.split(':').next().unwrap_or(port));
            }
        } else if before == "rhost" && !word.is_empty() {
            d.text(field::NAME, word);
        }
        before = word;
    }
}

/// `jdoe : TTY=pts/6 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`, or with a complaint before `TTY`.
fn sudo(message: &str, d: &mut Draft) -> Option<&'static str> {
    let (who, rest) = message.trim_start().split_once(" : ")?;
    let denied = ["incorrect password", "NOT in sudoers", "not allowed", "a password is required", "authentication failure"];
    d.text(field::USER, who.trim());
    for part in rest.split(" ; ") {
        if let Some((key, value)) = part.split_once('=') {
            d.keep(&format!("sudo.{}", key.trim().to_ascii_lowercase()), value);
        }
    }
    let refused = denied.iter().any(|t| rest.contains(t));
    (refused || rest.contains("COMMAND=")).then_some(if refused { "deny" } else { "allow" })
}

/// `Successful su for root by jdoe`, `FAILED su for root by jdoe`, `(to root) jdoe on pts/0`, `+ pts/0 jdoe:root`.
fn su(message: &str, d: &mut Draft) -> Option<&'static str> {
    let last = || message.rsplit(' ').next().unwrap_or("");
    if let Some(rest) = message.strip_prefix("(to ") {
        let (target, rest) = rest.split_once(") ")?;
        d.keep("su.user", target);
        d.text(field::USER, rest.split(' ').next()?);
        return Some("login_ok");
    }
    let (action, rest) = match message.split_once(" su for ") {
        Some((how, rest)) => (if how.starts_with("FAILED") { "login_fail" } else { "login_ok" }, rest),
        None if message.starts_with(['+', '-']) => {
            let (user, target) = last().split_once(':')?;
            d.text(field::USER, user);
            d.keep("su.user", target);
            return Some(if message.starts_with('+') { "login_ok" } else { "login_fail" });
        }
        None => return message.starts_with("FAILED SU").then_some("login_fail"),
    };
    d.keep("su.user", rest.split(' ').next()?);
    d.text(field::USER, last());
    Some(action)
}

/// `LOGIN ON tty1 BY root FROM host`, `FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure`.
fn login(message: &str, d: &mut Draft) -> Option<&'static str> {
    let failed = message.starts_with("FAILED LOGIN");
    if !failed && !message.contains("LOGIN ON ") {
        return None;
    }
    let after = if failed { " FOR " } else { " BY " };
    if let Some((_, rest)) = message.split_once(after) {
        d.text(field::USER, rest.split([' ', ',']).next().unwrap_or("").trim_matches('\''));
    }
    if let Some((_, host)) = message.split_once(" FROM ") {
        let host = host.split([' ', ',']).next().unwrap_or("");
        if !d.addr(field::SRC_IP, host) {
            d.text(field::NAME, host);
        }
    }
    Some(if failed { "login_fail" } else { "login_ok" })
}

fn logind(message: &str) -> Option<&'static str> {
    if message.starts_with("New session ") {
        Some("start")
    } else {
        (message.contains("logged out") || message.starts_with("Removed session")).then_some("logout")
    }
}

fn account(message: &str, d: &mut Draft) -> Option<&'static str> {
    if let Some((_, rest)) = message.split_once("name=") {
        d.text(field::USER, rest.split([',', ' ']).next().unwrap_or(""));
    } else if let Some((_, rest)) = message.split_once('\'') {
        d.text(field::USER, rest.split('\'').next().unwrap_or(""));
    }
    let tells = [
        "new user",
        "new group",
        "delete user",
        "change user",
        "password changed",
        "removed group",
        "add '",
        "delete '",
        "lock user",
    ];
    tells.iter().any(|t| message.contains(t)).then_some("changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    fn told(message: &str) -> String {
        let r = read_one(&FORMAT, &format!("Dec 10 06:55:46 LabSZ {message}")).record;
        let text = |id| r.text(id).unwrap_or("-").to_owned();
        let ip = r.addr(field::SRC_IP).map_or("-".into(), |a| a.to_string());
        let port = r.uint(field::SRC_PORT).map_or("-".into(), |p| p.to_string());
        format!("{} {} {} {} {} {}", r.kind, text(field::ACTION), text(field::USER), ip, port, text(field::METHOD_AUTH))
    }

    #[test]
    fn messages_of_login_programs_are_told_apart() {
        for (message, want) in [
            ("sshd[24200]: Invalid user webmaster from 173.234.31.186", "auth login_fail webmaster 173.234.31.186 - -"),
            (
                "sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
                "auth login_fail webmaster 173.234.31.186 38926 password",
            ),
            (
                "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186 ",
                "auth login_fail - 173.234.31.186 - pam_unix",
            ),
            (
                "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=h.example  user=root",
                "auth login_fail root - - pam_unix",
            ),
            (
                "sshd-session[1]: Accepted publickey for jdoe from 2001:db8::5 port 50122 ssh2: ED25519 SHA256:abc",
                "auth login_ok jdoe 2001:db8::5 50122 publickey",
            ),
            (
                "sshd[1]: Accepted keyboard-interactive/pam for u from 192.0.2.1 port 9 ssh2",
                "auth login_ok u 192.0.2.1 9 keyboard-interactive/pam",
            ),
            (
                "sshd[1]: Connection closed by authenticating user root 192.0.2.1 port 22222 [preauth]",
                "auth close root 192.0.2.1 22222 -",
            ),
            ("sshd[1]: Connection closed by 192.0.2.1 port 22222 [preauth]", "auth close - 192.0.2.1 22222 -"),
            ("sshd[1]: Received disconnect from 192.0.2.1 port 4444:11: Bye Bye [preauth]", "auth close - 192.0.2.1 4444 -"),
            ("sshd[1]: Received disconnect from 192.0.2.1: 11: Bye Bye [preauth]", "auth close - 192.0.2.1 - -"),
            ("sshd[1]: Disconnected from user jdoe 192.0.2.1 port 50122", "auth logout jdoe 192.0.2.1 50122 -"),
            ("sshd[1]: Server listening on 0.0.0.0 port 22.", "log - - - - -"),
            ("sudo:    jdoe : TTY=pts/6 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id", "auth allow jdoe - - -"),
            ("sudo: jdoe : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", "auth deny jdoe - - -"),
            ("CRON[7]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", "auth start root - - pam_unix"),
            ("su[7]: FAILED su for root by jdoe", "auth login_fail jdoe - - -"),
            ("login[7]: FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure", "auth login_fail root - - -"),
            ("systemd-logind[7]: New session 4 of user jdoe.", "auth start jdoe - - -"),
            ("useradd[7]: new user: name=bob, UID=1001, GID=1001", "auth changed bob - - -"),
        ] {
            assert_eq!(told(message), want, "{message}");
        }
    }

    #[test]
    fn a_login_is_a_record_with_host_and_message() {
        assert_eq!(
            show(
                &FORMAT,
                "Dec 10 06:55:48 LabSZ sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"
            ),
            "auth 2025-12-10T06:55:48Z src.ip=173.234.31.186 src.port=38926 app=ssh action=login_fail user=webmaster hostname=labsz process=sshd \
             pid=24200 message=Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2 auth.method=password sensor=LabSZ"
        );
    }
}
