//! F5 BIG-IP (F5, "BIG-IP log messages", K16197): messages with a code (`01490500:5: ...`) of LTM, APM and the control plane, and the key-value reports
//! of ASM, AFM and iRules.
//!
//! The code's last digit is syslog's level. Of a proxied connection the client's side counts: `clientside (client -> virtual server)`. APM's sessions
//! are logins by their words; what ASM blocked or alerted is an alert.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, key_value, lift, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::value::Value;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "f5-bigip",
    doc: "F5 BIG-IP messages with codes (LTM, APM, control plane) and ASM, AFM and iRule reports in syslog.",
    is,
    read,
};

/// `01490500:5: text`: code, level, text.
fn coded(message: &str) -> Option<(&str, usize, &str)> {
    let bytes = message.as_bytes();
    let shape = bytes.len() > 11 && bytes[8] == b':' && bytes[9].is_ascii_digit() && bytes[10] == b':';
    let code = message.get(..8).filter(|c| shape && c.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()))?;
    Some((code, usize::from(bytes[9] - b'0').min(7), message[11..].trim_start()))
}

/// Whether a message is a report of the application firewall or an iRule's; one with a code only quotes them.
fn report(message: &str) -> bool {
    let has = |key: &str| memchr::memmem::find(message.as_bytes(), key.as_bytes()).is_some();
    coded(message).is_none()
        && (has("f5_irule=") || has("ip_client=") && has("unit_hostname=") || has("acl_policy_name=") && has("context_name="))
}

fn is(envelope: &Envelope<'_>) -> bool {
    coded(envelope.message).is_some() || envelope.data.starts_with("[F5@12276") || report(envelope.message)
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let message = envelope.message;
    if report(message) {
        let mut pairs = key_value::pairs(message);
        // The member of the pool that the request went on to.
        pairs.iter_mut().filter(|(key, _)| *key == "node").for_each(|pair| pair.0 = "node_ip");
        vendor_values::fill(&pairs, true, d);
        told_report(&pairs, d);
        // An iRule's host stands before its first comma.
        let first = message.split(',').next().filter(|h| !h.contains(['=', ' ', ':', '"']) && !h.is_empty());
        let host = if envelope.host.is_empty() { first.unwrap_or("") } else { envelope.host };
        return Said { host, ..Said::default() };
    }
    vendor_values::fill(&key_value::pairs(envelope.data), true, d);
    let (code, level, text) = coded(message).unwrap_or(("", 6, message));
    let code = if code.is_empty() { envelope.id.split(':').next().unwrap_or("") } else { code };
    d.text(field::EVENT_CODE, code);
    if coded(message).is_some() {
        d.uint(field::SEVERITY, [4, 4, 4, 3, 2, 1, 0, 0][level]);
    }
    d.text(field::MESSAGE, message);
    // What was changed is quoted in braces: the source of an iRule says nothing of this event.
    let text = if text.starts_with("AUDIT") { text.split(" {").next().unwrap_or(text) } else { text };
    // `clientside (192.0.2.1:5000 -> 198.51.100.7:443)`, or the only pair.
    let pair = after(text, "clientside (").unwrap_or(text);
    let ends = pair
        .split_once(" -> ")
        .map(|(a, b)| (a.rsplit([' ', '(']).next().unwrap_or(""), b.split([' ', ')', ',']).next().unwrap_or("")));
    if let Some((from, to)) = ends {
        for (end, ip, port) in [(from, field::SRC_IP, field::SRC_PORT), (to, field::DST_IP, field::DST_PORT)] {
            if let Some((address, number)) = vendor_values::endpoint(end) {
                d.give(ip, Value::Addr(address));
                number.map(|n| d.uint(port, u64::from(n)));
            }
        }
    }
    session(text, d);
    login(text, d);
    lift::lift(text, d);
    Said { parameters: true, ..Said::default() }
}

/// APM: `/Common/ap:Common:8c6be305: New session from client IP 192.0.2.9 (...) at VIP 198.51.100.7 Listener ...`, `Username 'joe'`.
fn session(text: &str, d: &mut Draft) {
    let next = |phrase: &str| after(text, phrase).and_then(|t| t.split([' ', ',', ')']).next()).unwrap_or("");
    d.addr(field::SRC_IP, next("client IP "));
    d.addr(field::DST_IP, next(" at VIP "));
    d.text(field::USER, next("Username '").trim_end_matches('\''));
    let id = text.split(": ").next().filter(|p| p.starts_with('/')).and_then(|p| p.rsplit(':').next());
    if let Some(id) = id.filter(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit())) {
        d.text(field::UID, id);
    }
    let lower = text.to_ascii_lowercase();
    let action =
        [("new session from client", "start"), ("session deleted", "logout"), ("access policy result: logon_deny", "login_fail")];
    let granted = lower.contains("access policy result: ") && !lower.contains("logon_deny");
    if let Some((_, action)) = action.iter().find(|(words, _)| lower.contains(words)).or(granted.then_some(&("", "login_ok"))) {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, action);
    }
}

/// `AUDIT - user admin - RAW: httpd(mod_auth_pam): user=admin(admin) ... host=192.0.2.9 attempts=1 start="..." end="..."`.
fn login(text: &str, d: &mut Draft) {
    // A shell's session is told of when it is over, without the word.
    let shell = text.starts_with("user=") && text.contains(" attempts=") && text.contains(" host=");
    if text.starts_with("AUDIT") && text.contains("(mod_auth_pam)") || shell {
        d.record.kind = Kind::Auth;
        let ended = if text.contains(" end=\"") { "logout" } else { "login_ok" };
        d.text(field::ACTION, verdict_words::phrase(text).unwrap_or(ended));
        d.addr(field::SRC_IP, after(text, " host=").and_then(|t| t.split(' ').next()).unwrap_or(""));
    } else if let Some(action) = verdict_words::phrase(text).filter(|_| d.record.kind == Kind::Log) {
        d.record.kind = Kind::Auth;
        d.text(field::ACTION, action);
    }
    // `AUDIT - client Unknown, user admin - transaction #1 - object 0 - modify { ... }`
    let change = text.trim_end().rsplit(" - ").next().unwrap_or("");
    if text.starts_with("AUDIT") && matches!(change, "create" | "modify" | "delete") {
        d.text(field::ACTION, change);
    }
    for phrase in ["AUDIT - user ", ", user ", " user=", "user="] {
        let user = after(text, phrase).and_then(|t| t.split([' ', '(', ',']).next()).unwrap_or("");
        if !user.is_empty() {
            d.text(field::USER, user);
            break;
        }
    }
}

fn told_report(pairs: &[key_value::Pair<'_>], d: &mut Draft) {
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    if !one("ip_client").is_empty() {
        d.record.kind = if matches!(one("request_status"), "blocked" | "alerted") { Kind::Alert } else { Kind::Http };
        if d.record.kind == Kind::Alert {
            let signature =
                [one("sig_names"), one("violations"), one("attack_type")].into_iter().find(|s| !matches!(*s, "" | "N/A"));
            d.text(field::SIGNATURE, signature.unwrap_or("ASM violation"));
        }
        return;
    }
    d.record.kind = vendor_values::kind(d);
    if !one("acl_policy_name").is_empty() && d.has(field::SRC_IP) {
        d.record.kind = Kind::Fw;
        d.text(field::RULE, one("acl_rule_name"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn messages_and_reports_say_who_and_what() {
        for (tail, want) in [
            (
                "err tmm1[380498]: 011f0016:3: http_process_state_prepend - Invalid action:0x100005. serverside (192.0.2.80:21729 -> 192.0.2.81:33489) clientside (203.0.113.9:59455 -> 198.51.100.7:443)",
                "log 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=59455 dst.ip=198.51.100.7 dst.port=443 severity=high hostname=bigip1 process=tmm1",
            ),
            (
                "notice apmd[11023]: 01490500:5: /Common/ap:Common:8c6be305: New session from client IP 203.0.113.9 (ST=/CC=DE) at VIP 198.51.100.7 Listener /Common/vs",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 dst.ip=198.51.100.7 uid=8c6be305 severity=low action=start hostname=bigip1 process=apmd",
            ),
            (
                "notice httpd[31905]: 01070417:5: AUDIT - user admin - RAW: httpd(mod_auth_pam): user=admin(admin) partition=[All] level=Administrator tty=/sbin/nologin host=203.0.113.9 attempts=1 start=\"Mon Dec 22 14:04:15 2014\"",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=low action=login_ok user=admin hostname=bigip1 process=httpd",
            ),
            (
                "notice httpd[31905]: 01070417:5: AUDIT - user admin - RAW: httpd(mod_auth_pam): user=admin(admin) host=203.0.113.9 failed to login after 1 attempts",
                "auth 2026-11-20T08:12:01Z src.ip=203.0.113.9 severity=low action=login_fail user=admin hostname=bigip1 process=httpd",
            ),
            (
                "notice mcpd[1]: 01070417:5: AUDIT - user admin - object 0 - modify { rule { log \"f5_irule=x,src_ip=192.0.2.1,dns_qname=a.example,dns_qtype=A from 192.0.2.1\" } }",
                "log 2026-11-20T08:12:01Z severity=low action=modify user=admin hostname=bigip1 process=mcpd",
            ),
            (
                "ASM:unit_hostname=\"bigip1\",ip_client=\"203.0.113.9\",src_port=\"40000\",dest_ip=\"198.51.100.7\",dest_port=\"443\",protocol=\"HTTPS\",method=\"GET\",uri=\"/a.php\",request_status=\"blocked\",attack_type=\"SQL-Injection\",severity=\"Critical\",violations=\"Attack signature detected\",sig_names=\"SQL-INJ select\",username=\"N/A\"",
                "alert 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=40000 dst.ip=198.51.100.7 dst.port=443 app=https http.method=GET http.uri=/a.php signature=SQL-INJ select severity=critical category=SQL-Injection action=deny",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<133>Nov 20 08:12:01 bigip1 {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
        assert!(coded("01490500:5: x y").is_some() && coded("deadbeef:x: ").is_none() && coded("10:15:42: x").is_none());
    }
}
