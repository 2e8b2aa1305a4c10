//! Infoblox NIOS's audit log (Infoblox, "NIOS Administrator Guide", audit log): `2026-11-20 08:12:01.250Z [admin]: Login_Allowed - - to=AdminConnector ip=192.0.2.9 ...`.
//!
//! The account stands in brackets, spaces in it and in values as `\040`. What was done is the first word after it: logins and logouts are auth
//! records, of the rest (`Created`, `Modified`, `Called`) that word is the action. Names and leases are BIND's and dhcpd's, attacks CEF.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, key_value, moments, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout =
    Layout { name: "infoblox", doc: "Infoblox NIOS audit log in syslog: logins, logouts, changes by administrators.", is, read };

/// Time, account and the rest.
fn parse(message: &str) -> Option<(&str, &str, &str)> {
    let (stamp, rest) = message.split_once(" [")?;
    let (account, rest) = rest.split_once("]: ")?;
    let timed = stamp.len() <= 32 && stamp.ends_with('Z') && matches!(moments::moment(stamp)?, moments::Moment::Wall(_));
    (timed && account.len() <= 256).then_some((stamp, account, rest))
}

fn is(envelope: &Envelope<'_>) -> bool {
    envelope.message.starts_with(|c: char| c.is_ascii_digit()) && parse(envelope.message).is_some()
}

fn plain(text: &str) -> String {
    text.replace("\\040", " ").replace("\\054", ",")
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some((stamp, account, rest)) = parse(envelope.message) else { return Said::default() };
    let account = plain(account);
    d.text(field::USER, account.strip_prefix("USER ").unwrap_or(&account));
    let (word, _) = rest.split_once(' ').unwrap_or((rest, ""));
    let pairs = key_value::pairs(rest);
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let action = match word.to_ascii_lowercase().as_str() {
        "login_allowed" | "first_login" => "login_ok",
        "login_denied" => "login_fail",
        "logout" => "logout",
        _ => verdict_words::known(word).filter(|a| matches!(*a, "login_ok" | "login_fail" | "logout")).unwrap_or(word),
    };
    d.text(field::ACTION, action);
    if matches!(action, "login_ok" | "login_fail" | "logout") {
        d.record.kind = Kind::Auth;
    }
    d.addr(field::SRC_IP, one("ip"));
    d.text(field::METHOD_AUTH, one("auth"));
    d.text(field::REASON, &plain([one("error"), one("trigger_event")].into_iter().find(|r| !r.is_empty()).unwrap_or("")));
    for key in ["to", "group", "apparently_via"] {
        d.keep(key, &plain(one(key)));
    }
    d.text(field::MESSAGE, envelope.message);
    Said { time: moments::time(stamp, envelope, context, out), ..Said::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn administrators_come_go_and_change() {
        for (message, want) in [
            (
                "httpd: 2026-11-20 08:12:01.250Z [admin]: Login_Allowed - - to=AdminConnector ip=192.0.2.9 auth=LOCAL group=admin-group apparently_via=GUI",
                "auth 2026-11-20T08:12:01.250Z src.ip=192.0.2.9 severity=info action=login_ok user=admin hostname=grid1 process=httpd",
            ),
            (
                "sshd[7]: 2026-11-20 08:12:01.250Z [root]: Login_Denied - - apparently_via=Remote ip=203.0.113.9 error=invalid\\040login\\040or\\040password",
                "auth 2026-11-20T08:12:01.250Z src.ip=203.0.113.9 severity=info action=login_fail reason=invalid login or password user=root",
            ),
            (
                "httpd: 2026-11-20 08:12:01.250Z [USER\\040joe]: Modified ARecord www.corp.example DnsView=default: Changed address:\"192.0.2.1\"->\"192.0.2.2\"",
                "log 2026-11-20T08:12:01.250Z severity=info action=Modified user=joe",
            ),
        ] {
            let shown =
                show(&FORMAT, &format!("<134>Nov 20 08:12:05 grid1 {message}")).replace(" src.ip=192.0.2.1 dst.ip=192.0.2.2", "");
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
