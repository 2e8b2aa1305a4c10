//! RSA Authentication Manager, of SecurID (RSA, "RSA Authentication Manager 8 Administrator's Guide", remote syslog of audit, runtime and system
//! messages): `2026-11-20 08:12:01,250, host, audit.runtime.com.rsa..., INFO, id,instance,client,server,AUTHN_LOGIN_EVENT,13002,FAIL,reason,...`.
//!
//! Cells are apart by commas, and are counted from the logger's name, since the time has a comma of its own. The client is the originator, the
//! server that decided the responder. An event about a login is an auth record by its result; of any other the event's name is the action. The
//! account follows the identifiers of its session, identity source and domain, which are hexadecimal; an agent is named by address and host.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, json_lines, moments, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "rsa-securid",
    doc: "RSA Authentication Manager (SecurID) audit, runtime and system messages in syslog: logins, administration.",
    is,
    read,
};

/// Most cells of a message.
const CELLS_MAX: usize = 48;

/// The cells, and which of them names the logger.
fn cells(message: &str) -> Option<(Vec<&str>, usize)> {
    let cells: Vec<&str> = message.splitn(CELLS_MAX, ',').map(str::trim).collect();
    let is_logger = |cell: &str| ["audit.", "system.", "trace."].iter().any(|p| cell.starts_with(p));
    let logger = cells.iter().take(4).position(|c| is_logger(c))?;
    let level = cells.get(logger + 1).is_some_and(|l| json_lines::level(l).is_some());
    let event = cells
        .get(logger + 6)
        .is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
    let number = cells.get(logger + 7).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (logger > 0 && level && event && number).then_some((cells, logger))
}

fn is(envelope: &Envelope<'_>) -> bool {
    memchr::memchr(b',', envelope.message.as_bytes()).is_some() && cells(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some((cells, logger)) = cells(envelope.message) else { return Said::default() };
    let at = |n: usize| cells.get(logger + n).copied().unwrap_or("");
    let (event, result, reason) = (at(6), at(8), at(9));
    if let Some(rank) = json_lines::level(at(1)) {
        d.uint(field::SEVERITY, rank);
    }
    d.addr(field::SRC_IP, at(4));
    if at(5) != at(4) {
        d.addr(field::DST_IP, at(5));
    }
    d.text(field::EVENT_CODE, at(7));
    d.text(field::CATEGORY, event);
    d.text(field::REASON, reason);
    d.text(field::USER, account(&cells, logger).unwrap_or(""));
    let login = verdict_words::login(&event.replace('_', " ")).or_else(|| event.starts_with("AUTHN_").then_some("login"));
    let action = match (login, verdict_words::outcome(result)) {
        (Some("logout"), _) => "logout",
        (Some(_), Some(true)) => "login_ok",
        (Some(_), Some(false)) => "login_fail",
        _ => event,
    };
    d.text(field::ACTION, action);
    d.record.kind = if action == event { Kind::Log } else { Kind::Auth };
    d.keep("result", result);
    d.keep("logger", at(0));
    // Of a login the agent that asked for it: address, then name.
    if draft::address(at(19)).is_some() {
        d.keep("agent.ip", at(19));
        d.keep("agent.name", at(20));
    }
    let before = cells[..logger].iter().filter(|c| !c.is_empty()).copied().collect::<Vec<_>>();
    let (host, stamp) = before.split_last().map_or(("", String::new()), |(host, stamp)| (*host, stamp.join(",")));
    d.text(field::MESSAGE, envelope.message);
    d.lifts = false;
    let host = if host.contains(' ') { "" } else { host };
    Said { time: moments::time(&stamp, envelope, context, out), host, ..Said::default() }
}

/// The account: the first cell after the identifiers of session, source and domain that is none of them.
fn account<'a>(cells: &[&'a str], logger: usize) -> Option<&'a str> {
    let is_id = |c: &str| c.len() >= 32 && c.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    [14, 15].iter().filter_map(|n| cells.get(logger + n).copied()).find(|c| !c.is_empty() && !is_id(c) && c.len() <= 128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn logins_and_administration_are_told_by_event_and_result() {
        let ids = "aa11bb22cc33dd44ee55ff6600112233,aa11bb22cc33dd44ee55ff6600112244";
        let guid = "000000000000000000001000e0011000";
        for (tail, want) in [
            (
                format!(
                    "audit.runtime.com.rsa.ims.authn.impl.AuthenticationBrokerImpl, INFO, {ids},192.0.2.9,198.51.100.5,AUTHN_LOGIN_EVENT,13002,FAIL,AUTHN_METHOD_FAILED,s-1,,{guid},{guid},{guid},jdoe,Joe,Doe,{guid},192.0.2.20,vpn1.corp.example,7"
                ),
                "auth 2026-11-20T08:12:01.250Z src.ip=192.0.2.9 dst.ip=198.51.100.5 severity=info category=AUTHN_LOGIN_EVENT action=login_fail reason=AUTHN_METHOD_FAILED user=jdoe hostname=am1.corp.example",
            ),
            (
                format!(
                    "audit.admin.com.rsa.authmgr.FileData, INFO, {ids},192.0.2.10,192.0.2.10,AUTHMGR_FILE_CREATE,20081,SUCCESS,,s-2,,{guid},{guid},{guid},admin,A,B,AM_FILE"
                ),
                "log 2026-11-20T08:12:01.250Z src.ip=192.0.2.10 severity=info category=AUTHMGR_FILE_CREATE action=AUTHMGR_FILE_CREATE user=admin hostname=am1.corp.example",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>Nov 20 08:12:05 am1 2026-11-20 08:12:01,250, am1.corp.example, {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
