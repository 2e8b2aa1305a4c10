//! Barracuda Web Application Firewall in syslog (Barracuda Campus, "Exporting Log Formats", default formats): a time with zone, the unit's name, the
//! type of log, and cells apart by spaces; cells that may hold spaces stand in quotes or brackets.
//!
//! `WF`: web firewall, alerts by the attack's name. `NF`: network firewall. `TR`: access, where service stands before client. `AUDIT`: what
//! administrators did. `SYS`: the unit itself.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, clock, draft, draft::Draft, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "barracuda-waf",
    doc: "Barracuda Web Application Firewall in syslog: web firewall, network firewall, access, audit and system logs.",
    is,
    read,
};

/// Most cells of a message.
const CELLS_MAX: usize = 64;

/// Cells apart by spaces; what is in quotes or brackets is one.
fn cells(text: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && cells.len() < CELLS_MAX {
        let close = match rest.as_bytes()[0] {
            b'"' => Some('"'),
            b'[' => Some(']'),
            _ => None,
        };
        let (cell, after) = match close.and_then(|c| rest[1..].split_once(c)) {
            Some(both) => both,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        cells.push(cell);
        rest = after.trim_start();
    }
    cells
}

/// Time, unit's name, type of log, and the cells after it. Where the unit writes right after the priority, time and name are the envelope's.
fn parse<'a>(envelope: &Envelope<'a>) -> Option<(clock::Stamp, &'a str, &'a str, &'a str)> {
    let message = envelope.message;
    let (stamp, unit, message) = match clock::iso(message.as_bytes()) {
        Some(stamp) => {
            let (unit, rest) = message.get(stamp.len..)?.trim_start().split_once(' ')?;
            (stamp, unit, rest)
        }
        None => (envelope.stamp?, envelope.host, message),
    };
    let (kind, rest) = message.split_once(' ')?;
    let mut words = rest.split(' ');
    let first = words.next()?;
    let sound = match kind {
        "WF" | "NF" | "SYS" => rank(first).is_some(),
        "TR" => draft::address(first).is_some(),
        "AUDIT" => words.nth(1).is_some_and(|client| draft::address(client).is_some()),
        _ => false,
    };
    (sound && !unit.is_empty() && stamp.east.is_some()).then_some((stamp, unit, kind, rest))
}

fn is(envelope: &Envelope<'_>) -> bool {
    parse(envelope).is_some()
}

/// The four levels of a log that are words of four letters.
fn rank(level: &str) -> Option<u64> {
    Some(match level {
        "EMER" | "ALER" | "CRIT" => 4,
        "ERRO" | "ERR" => 3,
        "WARN" => 2,
        "NOTI" => 1,
        "INFO" | "DEBU" => 0,
        _ => return None,
    })
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some((stamp, unit, kind, rest)) = parse(envelope) else { return Said::default() };
    let cells = cells(rest);
    let at = |n: usize| cells.get(n).copied().filter(|c| !matches!(*c, "-" | "\"-\"")).unwrap_or("");
    rank(at(0)).map(|rank| d.uint(field::SEVERITY, rank));
    d.text(field::CATEGORY, kind);
    let mut ends = |client: usize, service: usize| {
        for (n, ip, port) in [(client, field::SRC_IP, field::SRC_PORT), (service, field::DST_IP, field::DST_PORT)] {
            d.addr(ip, at(n));
            d.put(port, at(n + 1));
        }
    };
    match kind {
        "WF" => {
            ends(2, 4);
            d.record.kind = Kind::Alert;
            d.text(field::SIGNATURE, at(1));
            d.text(field::RULE, at(6));
            d.text(field::ACTION, &verdict_words::action(at(8)));
            d.keep("follow.up", at(9));
            d.text(field::REASON, at(10));
            d.text(field::HTTP_METHOD, at(11));
            request(at(12), at(13), d);
            d.text(field::HTTP_AGENT, at(14));
            d.text(field::USER, at(17));
            d.text(field::HTTP_REFERER, at(18));
        }
        "NF" => {
            ends(2, 4);
            d.record.kind = Kind::Fw;
            d.put(field::PROTO, at(1));
            d.text(field::ACTION, &verdict_words::action(at(6)));
            d.text(field::RULE, at(7));
        }
        "TR" => {
            ends(2, 0);
            d.record.kind = Kind::Http;
            d.text(field::USER, at(5));
            d.text(field::HTTP_METHOD, at(6));
            d.text(field::APP, &at(7).to_ascii_lowercase());
            d.text(field::HTTP_HOST, at(8));
            d.put(field::HTTP_STATUS, at(10));
            d.put(field::BYTES_IN, at(11));
            d.put(field::BYTES_OUT, at(12));
            d.keep("server", at(15));
            let query = if at(23).is_empty() { String::new() } else { format!("?{}", at(23)) };
            d.text(field::HTTP_URI, &format!("{}{query}", at(22)));
            d.text(field::HTTP_REFERER, at(24));
            d.text(field::HTTP_AGENT, at(26));
        }
        "AUDIT" => {
            d.text(field::USER, at(0));
            d.addr(field::SRC_IP, at(2));
            d.put(field::SRC_PORT, at(3));
            let login = verdict_words::login(at(4)).map(|l| match (l, verdict_words::outcome(rest)) {
                ("logout", _) => "logout",
                (_, Some(false)) => "login_fail",
                _ => "login_ok",
            });
            // `UNSUCCESSFUL_LOGIN`.
            d.text(field::ACTION, login.unwrap_or(at(4)));
            d.record.kind = if login.is_some() { Kind::Auth } else { Kind::Log };
        }
        _ => {}
    }
    d.text(field::MESSAGE, rest);
    d.lifts = kind == "SYS";
    Said { time: stamp.time(context, out), host: unit, ..Said::default() }
}

/// `shop.example/a?b` as host and target of a request.
fn request(target: &str, scheme: &str, d: &mut Draft) {
    let (host, path) = target.find('/').map_or((target, ""), |at| target.split_at(at));
    if host.is_empty() || !matches!(scheme, "HTTP" | "HTTPS") {
        d.text(field::HTTP_URI, target);
        return;
    }
    d.text(field::HTTP_HOST, host);
    let path = if path.is_empty() { "/" } else { path };
    d.text(field::URL, &super::web::url(&scheme.to_ascii_lowercase(), host, 0, path));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn every_type_of_log_has_its_cells() {
        for (tail, want) in [
            (
                "WF ALER SQL_INJECTION_IN_PARAM 203.0.113.9 34006 192.0.2.80 80 shop:deny_all GLOBAL DENY NONE [type=\"sql-injection\" pattern=\"comment\"] POST shop.example/cgi HTTP \"UA 1\" 203.0.113.9 34005 joe http://shop.example/",
                "alert 2026-11-20T07:12:01.250Z src.ip=203.0.113.9 src.port=34006 dst.ip=192.0.2.80 dst.port=80 url=http://shop.example/cgi http.method=POST http.host=shop.example http.agent=UA 1 http.referer=http://shop.example/ signature=SQL_INJECTION_IN_PARAM severity=critical category=WF action=deny",
            ),
            (
                "NF INFO TCP 203.0.113.9 52676 192.0.2.80 80 ALLOW web-in WAN interface traffic:allow",
                "fw 2026-11-20T07:12:01.250Z src.ip=203.0.113.9 src.port=52676 dst.ip=192.0.2.80 dst.port=80 proto=tcp severity=info category=NF action=allow rule=web-in",
            ),
            (
                "TR 192.0.2.80 443 203.0.113.9 52676 \"-\" \"-\" GET HTTPS shop.example HTTP/1.1 200 812 640 0 198 192.0.2.90 8080 10 SERVER DEFAULT PASSIVE VALID /index.html a=b \"-\" \"-\" \"UA 1\"",
                "http 2026-11-20T07:12:01.250Z src.ip=203.0.113.9 src.port=52676 dst.ip=192.0.2.80 dst.port=443 app=https bytes.out=640 bytes.in=812 http.method=GET http.host=shop.example",
            ),
            (
                "AUDIT admin GUI 192.0.2.9 24784 UNSUCCESSFUL_LOGIN - - - - - - [] []",
                "auth 2026-11-20T07:12:01.250Z src.ip=192.0.2.9 src.port=24784 severity=info category=AUDIT action=login_fail user=admin",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<134>Nov 20 08:12:05 relay1 2026-11-20 08:12:01.250 +0100 waf1 {tail}"));
            assert!(shown.starts_with(want) && shown.ends_with("sensor=waf1"), "{shown}");
        }
    }
}
