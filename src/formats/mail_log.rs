//! Mail servers in syslog: Postfix (Postfix documentation, "postconf", smtpd, smtp, qmgr, cleanup), Sendmail (Sendmail Operations Guide,
//! "Format of the syslog"), Dovecot's logins.
//!
//! A message goes by its queue id, which is `uid`: one pivot shows who handed it in, from whom to whom, and what became of it. The peer that
//! hands in is the originator, the one that is handed to the responder. Action: the status in the server's word (`sent`, `deferred`, `bounced`),
//! `deny` for a rejection, `start` and `close` for connections. Logins (SASL, IMAP, POP3) are login records.

use super::auth_log;
use super::draft::Draft;
use super::envelope::Envelope;
use super::mail_text::{bare, give_peer, pairs, tls};
use super::services::{self, Service};
use super::{Context, Out};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Service = Service {
    name: "mail-log",
    doc: "Mail servers in syslog: Postfix, Sendmail and Dovecot's logins, by queue id (their own documentation of the log).",
    is,
    own: services::no_own,
    stamp: services::no_stamp,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    let process = envelope.process;
    process.starts_with("postfix")
        || matches!(process, "sendmail" | "sm-mta" | "sm-msp-queue" | "sm-mta-in" | "sm-mta-out" | "sendmail-client")
        || process.starts_with("dovecot")
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let message = envelope.message.trim();
    if envelope.process.starts_with("dovecot") {
        return dovecot(message, d);
    }
    d.text(field::APP, "smtp");
    if message.starts_with("pam_") {
        return auth_log::read(envelope, d);
    }
    let (id, rest) = match message.split_once(": ") {
        Some((id, rest)) if is_queue_id(id) => (id, rest),
        _ => ("", message),
    };
    d.text(field::UID, if id == "NOQUEUE" { "" } else { id });
    if envelope.process.starts_with("postfix") { postfix(rest, d) } else { sendmail(rest, d) }
}

/// Postfix's short and long ids, Sendmail's, and `NOQUEUE`.
fn is_queue_id(text: &str) -> bool {
    (6..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) && text.bytes().any(|b| b.is_ascii_digit())
        || text == "NOQUEUE"
}

fn postfix(text: &str, d: &mut Draft) {
    let text = text.strip_prefix("warning: ").unwrap_or(text);
    let from = |prefix: &str| text.strip_prefix(prefix);
    if let Some(rest) = from("connect from ") {
        d.text(field::ACTION, "start");
        return give_peer(rest, field::SRC_IP, field::SRC_PORT, d);
    }
    if let Some(rest) = from("disconnect from ") {
        d.text(field::ACTION, "close");
        let (who, counts) = rest.split_once(' ').unwrap_or((rest, ""));
        d.keep("commands", counts);
        return give_peer(who, field::SRC_IP, field::SRC_PORT, d);
    }
    if let Some((what, who)) =
        text.split_once(" from ").filter(|_| text.starts_with("lost connection") || text.starts_with("timeout"))
    {
        d.text(field::ACTION, "close");
        d.text(field::REASON, what);
        return give_peer(who, field::SRC_IP, field::SRC_PORT, d);
    }
    if let Some((who, rest)) = text.split_once(": SASL ") {
        return sasl(who, rest, d);
    }
    if let Some((_, rest)) = text.split_once("TLS connection established ") {
        let (side, rest) = rest.split_once(' ').unwrap_or(("", rest));
        let (who, what) = rest.split_once(": ").unwrap_or((rest, ""));
        let (ip, port) = if side == "to" { (field::DST_IP, field::DST_PORT) } else { (field::SRC_IP, field::SRC_PORT) };
        give_peer(who, ip, port, d);
        d.record.kind = Kind::Tls;
        d.text(field::MESSAGE, text);
        return tls(what, d);
    }
    // `reject: RCPT from host[ip]: 554 5.7.1 <to>: Relay access denied; from=<a> to=<b> proto=ESMTP helo=<h>`
    for word in ["reject: ", "reject_warning: ", "milter-reject: ", "hold: ", "discard: ", "filter: "] {
        let Some(rest) = from(word) else { continue };
        d.text(field::ACTION, if word.contains("reject: ") { "deny" } else { word.trim_end_matches([':', ' ']) });
        let (stage, rest) = rest.split_once(" from ").unwrap_or(("", rest));
        d.keep("stage", stage);
        let (who, rest) = rest.split_once(": ").unwrap_or((rest, ""));
        give_peer(who, field::SRC_IP, field::SRC_PORT, d);
        let (reason, parties) = rest.rsplit_once("; from=").map_or((rest, ""), |(r, _)| (r, &rest[r.len() + 2..]));
        d.text(field::REASON, reason);
        return parties_of(parties, false, d);
    }
    parties_of(text, true, d);
}

/// `unknown[192.0.2.5]` and `LOGIN authentication failed: reason, sasl_username=bob`.
fn sasl(who: &str, rest: &str, d: &mut Draft) {
    give_peer(who, field::SRC_IP, field::SRC_PORT, d);
    let (method, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if rest.contains("failed") || rest.contains("aborted") {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, "login_fail");
        d.text(field::METHOD_AUTH, method);
        d.text(field::REASON, rest.split_once(": ").map_or("", |(_, r)| r.split(", sasl_username=").next().unwrap_or(r)));
        if let Some((_, user)) = rest.split_once("sasl_username=") {
            d.text(field::USER, user.trim());
        }
    }
}

/// The pairs of a delivery, a queue entry, a client.
fn parties_of(text: &str, bare_text: bool, d: &mut Draft) {
    let mut rest = text;
    // The status comes last and its reason holds anything.
    if let Some(at) = text.find("status=").filter(|at| *at == 0 || text.as_bytes()[at - 1] == b' ') {
        let status = &text[at + 7..];
        let (word, reason) = status.split_once(' ').unwrap_or((status, ""));
        d.text(field::ACTION, word.trim_end_matches(','));
        d.text(field::REASON, reason.trim_matches(['(', ')']));
        rest = &text[..at];
    }
    let pairs = pairs(rest);
    for (key, value) in &pairs {
        match *key {
            "client" => give_peer(value, field::SRC_IP, field::SRC_PORT, d),
            "from" => _ = d.text(field::MAIL_FROM, bare(value)),
            "to" => _ = d.text(field::MAIL_TO, bare(value)),
            "relay" if bare_text => give_peer(value, field::DST_IP, field::DST_PORT, d),
            "sasl_username" => {
                d.text(field::USER, value);
                d.record.kind = Kind::Auth;
                d.text(field::ACTION, "login_ok");
            }
            "sasl_method" => _ = d.text(field::METHOD_AUTH, value),
            "message-id" | "resent-message-id" => d.keep("message_id", bare(value)),
            "delay" => d.put_or_keep(field::ELAPSED, "delay", value),
            "helo" => d.keep("helo", bare(value)),
            "orig_to" => d.keep("orig_to", bare(value)),
            "proto" => d.keep("protocol", value),
            _ => d.keep(key, value),
        }
    }
}

/// `from=<a>, size=1, nrcpts=1, msgid=<i>, relay=h [192.0.2.5]` and `to=<b>, relay=mx. [192.0.2.6], dsn=2.0.0, stat=Sent (ok)`.
fn sendmail(text: &str, d: &mut Draft) {
    let (text, stat) = match text.split_once(", stat=") {
        Some((before, stat)) => (before, stat),
        None => (text, ""),
    };
    if !stat.is_empty() {
        let (word, reason) = stat.split_once([' ', ':']).unwrap_or((stat, ""));
        let word = match word.to_ascii_lowercase().as_str() {
            "sent" => "sent".to_owned(),
            "deferred" => "deferred".to_owned(),
            "user" | "host" | "service" | "data" => "bounced".to_owned(),
            other => other.to_owned(),
        };
        d.text(field::ACTION, &word);
        d.text(
            field::REASON,
            if word == "bounced" { stat } else { reason.trim_start_matches([':', ' ']).trim_matches(['(', ')']) },
        );
    }
    let (text, refused) = text.split_once(", reject=").unwrap_or((text, ""));
    if !refused.is_empty() {
        d.text(field::ACTION, "deny");
        d.text(field::REASON, refused);
    }
    let pairs = pairs(text);
    let says = |key: &str| pairs.iter().any(|(k, _)| *k == key);
    // Who hands in stands in lines about the sender; a line about a recipient names who was handed to.
    let outward = says("to");
    for (key, value) in &pairs {
        match *key {
            "from" => _ = d.text(field::MAIL_FROM, bare(value)),
            "to" => value.split(',').take(256).for_each(|one| _ = d.text(field::MAIL_TO, bare(one))),
            "arg1" if says("ruleset") => {
                let id = if text.contains("check_rcpt") { field::MAIL_TO } else { field::MAIL_FROM };
                d.text(id, bare(value));
            }
            "relay" if outward => give_peer(value, field::DST_IP, field::DST_PORT, d),
            "relay" => give_peer(value, field::SRC_IP, field::SRC_PORT, d),
            "msgid" => d.keep("message_id", bare(value)),
            "authid" => {
                d.text(field::USER, value);
                d.record.kind = Kind::Auth;
                d.text(field::ACTION, "login_ok");
            }
            "mech" => _ = d.text(field::METHOD_AUTH, value),
            "version" if says("cipher") => _ = d.text(field::TLS_VERSION, value),
            "cipher" => _ = d.text(field::TLS_CIPHER, value),
            "proto" => d.keep("protocol", value),
            _ => d.keep(key, value),
        }
    }
}

/// `imap-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.5, lip=192.0.2.9, mpid=7, TLS, session=<x>`.
fn dovecot(message: &str, d: &mut Draft) {
    let message = message.strip_prefix("Info: ").unwrap_or(message);
    let Some((service, rest)) = message.split_once(": ") else { return };
    let app = service.split(['-', '(']).next().unwrap_or(service);
    let all = pairs(rest);
    let failed = ["auth failed", "Aborted login", "authentication failure", "unknown user", "assword mismatch"];
    let action = match () {
        () if rest.starts_with("Login: ") || rest.starts_with("Info: Login: ") => "login_ok",
        () if failed.iter().any(|t| rest.contains(t)) && !rest.contains("no auth attempts") => "login_fail",
        () if rest.contains("Disconnected") || rest.contains("Logged out") || rest.contains("no auth attempts") => "close",
        () => "",
    };
    if matches!(app, "imap" | "pop3" | "managesieve" | "submission" | "lmtp") {
        d.text(field::APP, app);
    }
    // `imap(bob)<123><session>: ...`, `auth-worker(1): sql(bob,192.0.2.5): unknown user`
    if let Some((_, who)) = service.split_once('(').filter(|_| !service.starts_with("auth")) {
        d.text(field::USER, who.split([')', ',']).next().unwrap_or(""));
    }
    if let Some((_, who)) = rest.split_once('(').filter(|_| service.starts_with("auth") && action == "login_fail") {
        let mut who = who.split(')').next().unwrap_or("").split(',');
        d.text(field::USER, who.next().unwrap_or(""));
        d.addr(field::SRC_IP, who.next().unwrap_or(""));
    }
    for (key, value) in all {
        match key {
            "user" => _ = d.text(field::USER, bare(value).trim_matches(['<', '>'])),
            "method" => _ = d.text(field::METHOD_AUTH, value),
            "rip" => d.put_or_keep(field::SRC_IP, key, value),
            "lip" => d.put_or_keep(field::DST_IP, key, value),
            "rport" => d.put_or_keep(field::SRC_PORT, key, value),
            "lport" => d.put_or_keep(field::DST_PORT, key, value),
            "session" => _ = d.text(field::UID, bare(value)),
            _ => d.keep(key, value),
        }
    }
    d.text(field::ACTION, action);
    if action.starts_with("login") {
        d.record.kind = Kind::Auth;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_one, show};
    use crate::model::record::Record;

    fn one(message: &str) -> Record {
        read_one(&FORMAT, &format!("Nov 20 08:00:00 mx {message}")).record
    }

    #[test]
    fn a_delivery_of_postfix_is_found_by_its_queue_id() {
        assert_eq!(
            show(
                &FORMAT,
                "Nov 20 08:00:00 mx postfix/smtp[12]: 4F9D195432C: to=<j@b.example>, orig_to=<all@b.example>, relay=mail.b.example[192.0.2.25]:25, delay=0.94, delays=0.1/0/0.4/0.44, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 7C=9)"
            ),
            "log 2026-11-20T08:00:00Z dst.ip=192.0.2.25 dst.port=25 app=smtp uid=4F9D195432C name=mail.b.example action=sent \
             reason=250 2.0.0 Ok: queued as 7C=9 hostname=mx process=postfix/smtp pid=12 message=4F9D195432C: to=<j@b.example>, orig_to=<all@b.example>, relay=mail.b.example[192.0.2.25]:25, delay=0.94, delays=0.1/0/0.4/0.44, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 7C=9) \
             elapsed=940ms mail.to=j@b.example extra={\"orig_to\":\"all@b.example\",\"delays\":\"0.1/0/0.4/0.44\",\"dsn\":\"2.0.0\"} sensor=mx"
        );
    }

    #[test]
    fn postfix_tells_clients_logins_and_rejections_apart() {
        let client =
            one("postfix/submission/smtpd[7]: 4F9D195432C: client=ws5.example[192.0.2.5], sasl_method=PLAIN, sasl_username=bob");
        assert_eq!(
            (client.kind, client.text(field::USER), client.text(field::ACTION)),
            (Kind::Auth, Some("bob"), Some("login_ok"))
        );
        let queued = one("postfix/qmgr[9]: 4F9D195432C: from=<>, size=2911, nrcpt=1 (queue active)");
        assert_eq!((queued.text(field::MAIL_FROM), queued.text(field::UID)), (Some("<>"), Some("4F9D195432C")));
        let failed = one(
            "postfix/smtpd[7]: warning: unknown[192.0.2.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=root",
        );
        assert_eq!((failed.kind, failed.text(field::USER)), (Kind::Auth, Some("root")));
        assert_eq!(
            (failed.text(field::ACTION), failed.addr(field::SRC_IP).map(|a| a.to_string()).as_deref()),
            (Some("login_fail"), Some("192.0.2.9"))
        );
        let refused = one(
            "postfix/smtpd[7]: NOQUEUE: reject: RCPT from h.example[2001:db8::9]: 554 5.7.1 <x@c.example>: Relay access denied; from=<s@a.example> to=<x@c.example> proto=ESMTP helo=<h.example>",
        );
        assert_eq!((refused.text(field::ACTION), refused.text(field::MAIL_FROM)), (Some("deny"), Some("s@a.example")));
        assert_eq!(refused.text(field::REASON), Some("554 5.7.1 <x@c.example>: Relay access denied"));
        let tls = one(
            "postfix/smtpd[7]: Anonymous TLS connection established from h.example[192.0.2.9]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
        );
        assert_eq!(
            (tls.kind, tls.text(field::TLS_VERSION), tls.text(field::TLS_CIPHER)),
            (Kind::Tls, Some("TLSv1.3"), Some("TLS_AES_256_GCM_SHA384"))
        );
        let gone = one("postfix/smtpd[7]: disconnect from h.example[192.0.2.9] ehlo=1 auth=0/1 commands=1/2");
        assert_eq!(gone.text(field::ACTION), Some("close"));
    }

    #[test]
    fn sendmail_names_both_sides() {
        let from = one(
            "sm-mta[5]: x7KA0000012345: from=<a@b.example>, size=1201, class=0, nrcpts=1, msgid=<m1@b.example>, proto=ESMTP, daemon=MTA, relay=h.b.example [192.0.2.9]",
        );
        assert_eq!(
            (from.text(field::MAIL_FROM), from.addr(field::SRC_IP).map(|a| a.to_string()).as_deref()),
            (Some("a@b.example"), Some("192.0.2.9"))
        );
        assert!(from.text(field::EXTRA).is_some_and(|e| e.contains("\"message_id\":\"m1@b.example\"")));
        let to = one(
            "sendmail[5]: x7KA0000012345: to=<x@c.example>, ctladdr=<a@b.example> (1000/1000), delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=121201, relay=mx.c.example. [192.0.2.25], dsn=2.0.0, stat=Sent (Ok: queued)",
        );
        assert_eq!(
            (to.text(field::ACTION), to.text(field::MAIL_TO), to.text(field::REASON)),
            (Some("sent"), Some("x@c.example"), Some("Ok: queued"))
        );
        assert_eq!(to.addr(field::DST_IP).map(|a| a.to_string()).as_deref(), Some("192.0.2.25"));
        let refused = one(
            "sm-mta[5]: x7KA0000012345: ruleset=check_rcpt, arg1=<x@c.example>, relay=[192.0.2.66], reject=550 5.7.1 <x@c.example>... Relaying denied",
        );
        assert_eq!((refused.text(field::ACTION), refused.text(field::MAIL_TO)), (Some("deny"), Some("x@c.example")));
    }

    #[test]
    fn dovecot_logins() {
        let ok =
            one("dovecot: imap-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.5, lip=192.0.2.9, mpid=7, TLS, session=<ab>");
        assert_eq!(
            (ok.kind, ok.text(field::ACTION), ok.text(field::USER), ok.text(field::APP)),
            (Kind::Auth, Some("login_ok"), Some("bob"), Some("imap"))
        );
        let bad = read_one(
            &FORMAT,
            "Nov 20 08:00:00 mx dovecot: pop3-login: Disconnected (auth failed, 2 attempts in 9 secs): user=<root>, method=PLAIN, rip=192.0.2.66, lip=192.0.2.9, session=<x>",
        );
        assert!(line(&bad).contains("action=login_fail") && line(&bad).contains("user=root"), "{}", line(&bad));
        let gone = one("dovecot: imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=192.0.2.66, lip=192.0.2.9");
        assert_eq!((gone.kind, gone.text(field::USER)), (Kind::Log, None));
    }
}
