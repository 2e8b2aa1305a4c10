//! Name servers' logs of questions and answers: BIND (`queries`, `query-errors`, `rpz`, `security` categories; BIND 9 Administrator Reference
//! Manual, "logging"), Unbound (`log-queries`, `log-replies`, `log-local-actions`; unbound.conf(5)), dnsmasq and Pi-hole (`log-queries`;
//! dnsmasq(8)), with or without syslog envelope.
//!
//! Actions: `asked`, `answered`, `deny` for what a policy or list blocked or an access list refused. What is forwarded upstream stays a log
//! record of its question. BIND's and dnsmasq's times are local; Unbound's are epochs unless `log-time-ascii` says otherwise.

use super::clock::{self, Stamp};
use super::dns_text::{answer, is_type, question, rcode};
use super::draft::{self, Draft};
use super::envelope::Envelope;
use super::services::{self, Service};
use super::{Context, Out};
use crate::model::record::Kind;
use crate::model::{field, proto};

/// The format.
pub static FORMAT: Service = Service {
    name: "dns-log",
    doc: "Questions and answers of name servers: BIND, Unbound, dnsmasq, Pi-hole, with or without syslog envelope (their manuals).",
    is,
    own,
    stamp: services::no_stamp,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    matches!(envelope.process, "named" | "unbound" | "dnsmasq" | "pihole-FTL") || envelope.process.starts_with("unbound")
}

/// BIND's `20-Nov-2026 08:00:00.123 queries: info: client ...`, Unbound's `[1763625600] unbound[7:0] info: ...`.
fn own(line: &str) -> Option<Envelope<'_>> {
    if let Some(rest) = line.strip_prefix('[') {
        let (time, rest) = rest.split_once("] ")?;
        let rest = rest.strip_prefix("unbound[")?;
        let stamp = clock::epoch(time).and_then(clock::utc)?;
        let (pid, message) = rest.split_once("] ")?;
        let pid = pid.split(':').next().and_then(|p| p.parse().ok());
        return Some(Envelope { stamp: Some(stamp), process: "unbound", pid, message, ..Envelope::default() });
    }
    let stamp = bind_stamp(line)?;
    let rest = line.get(stamp.len..)?.strip_prefix(' ')?;
    let known = rest.contains("client ")
        || [
            "queries: ",
            "query-errors: ",
            "security: ",
            "rpz: ",
            "general: ",
            "resolver: ",
            "lame-servers: ",
            "xfer-in: ",
            "notify: ",
            "dnssec: ",
        ]
        .iter()
        .any(|c| rest.starts_with(c));
    known.then_some(Envelope { stamp: Some(stamp), process: "named", message: rest, ..Envelope::default() })
}

/// `20-Nov-2026 08:00:00.123`: Apache's form with other separators.
fn bind_stamp(line: &str) -> Option<Stamp> {
    let bytes = line.as_bytes();
    if bytes.get(2) != Some(&b'-') || bytes.get(6) != Some(&b'-') || bytes.get(11) != Some(&b' ') {
        return None;
    }
    let slashed =
        format!("{}/{}/{}:{}", line.get(..2)?, line.get(3..6)?, line.get(7..11)?, line.get(12..24).or_else(|| line.get(12..20))?);
    clock::apache(slashed.as_bytes())
}

fn read(envelope: &Envelope<'_>, d: &mut Draft, _: &Context, _: &mut Out) {
    let message = envelope.message.trim();
    match envelope.process {
        "named" => bind(message, d),
        "dnsmasq" | "pihole-FTL" => dnsmasq(message, d),
        _ => unbound(message, d),
    }
}

/// Makes the record one of name resolution.
fn dns(action: &str, d: &mut Draft) {
    d.record.kind = Kind::Dns;
    d.text(field::ACTION, action);
}

/// `client @0x7f 192.0.2.5#53211 (www.example.com): view internal: query: www.example.com IN A +E(0)K (192.0.2.53)`.
fn bind(message: &str, d: &mut Draft) {
    // Some write their own time before it into syslog too.
    let message = bind_stamp(message).and_then(|s| message.get(s.len..)).map_or(message, str::trim_start);
    let Some(at) = message.find("client ").filter(|at| *at == 0 || message.as_bytes()[at - 1] == b' ') else { return };
    let category = message[..at].split(": ").next().unwrap_or("");
    d.text(field::CATEGORY, category);
    let rest = message[at + 7..].trim_start_matches(' ');
    let rest = match rest.strip_prefix('@') {
        Some(id) => id.split_once(' ').map_or("", |(_, r)| r),
        None => rest,
    };
    let Some((who, rest)) = rest.split_once(['(', ':']).filter(|(w, _)| w.contains('#')) else {
        // An address of IPv6 holds colons: the port ends it.
        return bind_client6(rest, d);
    };
    client(who, d);
    bind_said(rest, d);
}

fn bind_client6(rest: &str, d: &mut Draft) {
    let Some((address, after)) = rest.split_once('#') else { return };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    client(&rest[..address.len() + 1 + digits], d);
    bind_said(after[digits..].trim_start_matches([' ', '(', ':']), d);
}

fn client(text: &str, d: &mut Draft) {
    let (ip, port) = text.trim().split_once(['#', '@', '/']).unwrap_or((text.trim(), ""));
    d.addr(field::SRC_IP, ip);
    if !port.is_empty() {
        d.put(field::SRC_PORT, port);
    }
}

fn bind_said(text: &str, d: &mut Draft) {
    // `www.example.com): ` is over, and a view may be named.
    let text = text.split_once("): ").filter(|(name, _)| !name.contains(' ')).map_or(text, |(_, r)| r).trim_start();
    let text = match text.strip_prefix("view ").and_then(|t| t.split_once(": ")) {
        Some((view, rest)) => {
            d.keep("view", view);
            rest
        }
        None => text,
    };
    // Infoblox's log of responses: `UDP: [view: default] query: www.example.com IN A response: NOERROR +E www.example.com. 60 IN A ...;`.
    if let Some((word @ ("UDP" | "TCP"), rest)) = text.split_once(": ") {
        d.uint(field::PROTO, u64::from(if word == "UDP" { proto::UDP } else { proto::TCP }));
        return responded(rest, d);
    }
    if let Some(asked) = text.strip_prefix("query: ").or_else(|| text.strip_prefix("response: ")) {
        let mut words = asked.split(' ');
        asked_for(&mut words, d);
        let flags = words.next().unwrap_or("");
        // `response:` (9.19) writes the code before the flags.
        let answered = text.starts_with("response");
        if answered {
            d.text(field::DNS_RCODE, &rcode(flags));
        } else {
            d.keep("flags", flags);
            let udp = !flags.contains('T');
            d.uint(field::PROTO, if udp { 17 } else { 6 });
        }
        for word in words {
            match word.strip_prefix('(').and_then(|w| w.strip_suffix(')')) {
                Some(server) if d.addr(field::DST_IP, server) => {}
                _ => d.keep("option", word.trim_matches(['[', ']'])),
            }
        }
        return dns(if answered { "answered" } else { "asked" }, d);
    }
    if let Some((code, rest)) = text.strip_prefix("query failed (").and_then(|t| t.split_once(") for ")) {
        let mut parts = rest.split([' ', '/']);
        let (name, _, kind) = (parts.next().unwrap_or(""), parts.next(), parts.next().unwrap_or(""));
        question(name, kind, d);
        d.text(field::DNS_RCODE, &rcode(code));
        return dns("answered", d);
    }
    // `query (cache) 'x.example/A/IN' denied`, `query 'x.example/ANY/IN' denied`
    if let Some((before, after)) = text.split_once('\'').filter(|(b, _)| b.starts_with("query")) {
        let (asked, rest) = after.split_once('\'').unwrap_or((after, ""));
        let mut parts = asked.rsplitn(3, '/');
        let (_, kind, name) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        question(name, kind, d);
        d.text(field::REASON, rest.trim());
        d.keep("scope", before.trim_start_matches("query").trim());
        return dns(if rest.contains("denied") { "deny" } else { "answered" }, d);
    }
    // `rpz QNAME NXDOMAIN rewrite www.evil.example/A/IN via www.evil.example.rpz.local`
    if let Some(rest) = text.strip_prefix("rpz ") {
        let mut words = rest.split(' ');
        let (trigger, policy, _, asked) =
            (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next(), words.next().unwrap_or(""));
        let mut parts = asked.rsplitn(3, '/');
        let (last, middle, first) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        // Older versions leave types out.
        let (name, kind) = if first.is_empty() {
            (asked, "")
        } else if is_type(middle) {
            (first, middle)
        } else {
            (middle, last)
        };
        question(name, kind, d);
        d.text(field::RULE, rest.split_once(" via ").map_or("", |(_, zone)| zone));
        d.text(field::REASON, policy);
        d.keep("trigger", trigger);
        dns(if policy.eq_ignore_ascii_case("PASSTHRU") { "allow" } else { "deny" }, d);
    }
}

/// `www.example.com IN A`.
fn asked_for<'t>(words: &mut impl Iterator<Item = &'t str>, d: &mut Draft) {
    let (name, class, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    question(name, kind, d);
    if class != "IN" {
        d.keep("class", class);
    }
}

/// What Infoblox writes of a response: the question, the code, flags, and the answers as they stand in a zone.
fn responded(text: &str, d: &mut Draft) {
    let text = match text.strip_prefix("[view: ").and_then(|t| t.split_once("] ")) {
        Some((view, rest)) => {
            d.keep("view", view);
            rest
        }
        None => text,
    };
    let Some((asked, said)) = text.strip_prefix("query: ").and_then(|t| t.split_once(" response: ")) else { return };
    asked_for(&mut asked.split(' '), d);
    let (code, rest) = said.split_once(' ').unwrap_or((said, ""));
    d.text(field::DNS_RCODE, &rcode(code));
    let (flags, answers) = rest.split_once(' ').unwrap_or((rest, ""));
    if !flags.is_empty() {
        d.keep("flags", flags);
    }
    for one in answers.split(';').map(str::trim).filter(|a| !a.is_empty()).take(64) {
        // Name, seconds, class, type, data.
        let mut parts = one.splitn(5, ' ');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(_), Some(_), Some(kind), Some(data)) if is_type(kind) => answer(data.trim_end_matches('.'), kind, d),
            _ => d.keep("answer", one),
        }
    }
    dns("answered", d);
}

/// `[7:0] info: 192.0.2.5 www.example.com. A IN`, with the code and seconds of a reply after it; `query: ` or `reply: ` instead of the level.
fn unbound(message: &str, d: &mut Draft) {
    let rest = message.strip_prefix('[').and_then(|m| m.split_once("] ")).map_or(message, |(_, r)| r);
    let Some((_, rest)) = rest.split_once(": ").filter(|(level, _)| matches!(*level, "info" | "query" | "reply" | "notice"))
    else {
        return;
    };
    let words: Vec<&str> = rest.split(' ').take(16).collect();
    // `evil.example. always_nxdomain 192.0.2.5@53211 www.evil.example. A IN`
    if let [zone, action, who, name, kind, "IN", ..] = words[..]
        && who.contains('@')
        && is_type(kind)
    {
        client(who, d);
        question(name, kind, d);
        d.text(field::RULE, zone);
        d.text(field::REASON, action);
        let through = matches!(action, "transparent" | "typetransparent" | "static" | "inform" | "always_transparent");
        return dns(if through { "asked" } else { "deny" }, d);
    }
    let [who, name, kind, class, ref more @ ..] = words[..] else { return };
    if draft::address(who).is_none() || !is_type(kind) || class.len() > 4 {
        return;
    }
    client(who, d);
    question(name, kind, d);
    match more {
        [code, seconds, rest @ ..] => {
            d.text(field::DNS_RCODE, &rcode(code));
            d.put_or_keep(field::DNS_RTT, "seconds", seconds);
            for (key, value) in ["cached", "size"].iter().zip(rest) {
                d.keep(key, value);
            }
            dns("answered", d);
        }
        _ => dns("asked", d),
    }
}

/// `query[A] www.example.com from 192.0.2.5`, `reply www.example.com is 198.51.100.7`; with `log-queries=extra`, `12 192.0.2.5/53211 ` before.
fn dnsmasq(message: &str, d: &mut Draft) {
    let mut rest = message;
    if let Some((serial, after)) = rest.split_once(' ').filter(|(s, _)| s.bytes().all(|b| b.is_ascii_digit())) {
        d.keep("serial", serial);
        rest = after;
        if let Some((who, after)) =
            rest.split_once(' ').filter(|(w, _)| w.contains('/') && draft::address(w.split('/').next().unwrap_or("")).is_some())
        {
            client(who, d);
            rest = after;
        }
    }
    if let Some((kind, after)) = rest.strip_prefix("query[").and_then(|r| r.split_once("] ")) {
        let (name, from) = after.split_once(" from ").unwrap_or((after, ""));
        question(name, kind, d);
        client(from, d);
        return dns("asked", d);
    }
    if let Some((name, server)) = rest.strip_prefix("forwarded ").and_then(|r| r.split_once(" to ")) {
        d.text(field::APP, "dns");
        d.text(field::NAME, name);
        d.keep("upstream", server);
        d.text(field::ACTION, "forwarded");
        return;
    }
    let Some((left, said)) = rest.split_once(" is ") else { return };
    let (how, name) = left.rsplit_once(' ').unwrap_or(("", left));
    if how.is_empty() || name.is_empty() {
        return;
    }
    question(name, "", d);
    d.text(field::REASON, how);
    let blocked = ["blocked", "blacklisted", "denied"].iter().any(|w| how.contains(w)) || said.starts_with("(blocked");
    match said {
        "<CNAME>" => d.keep("answer", said),
        "NXDOMAIN" => _ = d.text(field::DNS_RCODE, "NXDOMAIN"),
        _ if said.starts_with("NODATA") => {
            d.text(field::DNS_RCODE, "NOERROR");
            d.keep("answer", said);
        }
        _ if matches!(said, "SERVFAIL" | "REFUSED" | "NOTIMP" | "FORMERR") => _ = d.text(field::DNS_RCODE, said),
        _ => {
            let ip = draft::address(said);
            // An address block that answers with nowhere is no answer.
            match ip.filter(|ip| !ip.is_unspecified()) {
                Some(ip) => {
                    d.text(field::DNS_TYPE, if ip.is_ipv4() { "A" } else { "AAAA" });
                    answer(said, "", d);
                }
                None if name.ends_with(".arpa") || draft::address(name).is_some() => {
                    d.text(field::DNS_TYPE, "PTR");
                    answer(said, "PTR", d);
                }
                None => d.keep("answer", said),
            }
        }
    }
    dns(if blocked { "deny" } else { "answered" }, d);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};
    use crate::model::record::Record;

    fn one(line: &str) -> Record {
        read_one(&FORMAT, line).record
    }

    #[test]
    fn a_question_to_bind_in_all_its_forms() {
        assert_eq!(
            show(
                &FORMAT,
                "20-Nov-2026 08:00:00.123 queries: info: client @0x7f3c 192.0.2.5#53211 (www.Example.com): view internal: query: www.Example.com IN A +E(0)K (192.0.2.53)"
            ),
            "dns 2026-11-20T08:00:00.123Z src.ip=192.0.2.5 src.port=53211 dst.ip=192.0.2.53 proto=udp app=dns name=www.example.com \
             dns.type=A category=queries action=asked process=named extra={\"view\":\"internal\",\"flags\":\"+E(0)K\"}"
        );
        let old = one("Nov 20 08:00:00 ns named[7]: client 192.0.2.5#53211: query: a.example IN MX +T");
        assert_eq!(
            (old.text(field::DNS_TYPE), old.uint(field::PROTO), old.uint(field::SRC_PORT)),
            (Some("MX"), Some(6), Some(53_211))
        );
        let six = one(
            "Nov 20 08:00:00 ns named[7]: client @0x1 2001:db8::5#53211 (a.example): query: a.example IN AAAA + (2001:db8::53)",
        );
        assert_eq!(
            (six.addr(field::SRC_IP), six.addr(field::DST_IP)),
            (draft::address("2001:db8::5"), draft::address("2001:db8::53"))
        );
        assert_eq!(six.text(field::NAME), Some("a.example"));
    }

    #[test]
    fn bind_refuses_fails_and_rewrites() {
        let denied = one(
            "20-Nov-2026 08:00:00.123 security: info: client 192.0.2.66#4444 (x.example): query (cache) 'x.example/ANY/IN' denied",
        );
        assert_eq!(
            (denied.text(field::ACTION), denied.text(field::DNS_TYPE), denied.text(field::NAME)),
            (Some("deny"), Some("ANY"), Some("x.example"))
        );
        let failed = one(
            "20-Nov-2026 08:00:00.123 query-errors: info: client @0x1 192.0.2.5#4444 (x.example): query failed (SERVFAIL) for x.example/IN/A at query.c:7837",
        );
        assert_eq!((failed.text(field::DNS_RCODE), failed.text(field::DNS_TYPE)), (Some("SERVFAIL"), Some("A")));
        let rpz = one(
            "20-Nov-2026 08:00:00.123 rpz: info: client @0x1 192.0.2.5#4444 (c2.example): rpz QNAME NXDOMAIN rewrite c2.example/A/IN via c2.example.rpz.local",
        );
        assert_eq!(
            (rpz.text(field::ACTION), rpz.text(field::NAME), rpz.text(field::RULE)),
            (Some("deny"), Some("c2.example"), Some("c2.example.rpz.local"))
        );
    }

    #[test]
    fn unbound_asks_replies_and_blocks() {
        let asked = one("[1763625600] unbound[7:0] info: 192.0.2.5 www.example.com. A IN");
        assert_eq!(
            (asked.kind, asked.text(field::ACTION), asked.start.to_string().as_str()),
            (Kind::Dns, Some("asked"), "2025-11-20T08:00:00Z")
        );
        let reply = one("Nov 20 08:00:00 gw unbound[7]: [7:0] reply: 192.0.2.5 www.example.com. A IN NXDOMAIN 0.012345 0 64");
        assert_eq!((reply.text(field::DNS_RCODE), reply.uint(field::DNS_RTT)), (Some("NXDOMAIN"), Some(12_345_000)));
        let blocked =
            one("Nov 20 08:00:00 gw unbound: [7:0] info: evil.example. always_nxdomain 192.0.2.5@53211 www.evil.example. A IN");
        assert_eq!(
            (blocked.text(field::ACTION), blocked.text(field::RULE), blocked.uint(field::SRC_PORT)),
            (Some("deny"), Some("evil.example."), Some(53_211))
        );
    }

    #[test]
    fn dnsmasq_and_pi_hole() {
        let asked = one("Nov 20 08:00:00 dnsmasq[7]: query[AAAA] www.example.com from 192.0.2.5");
        assert_eq!((asked.text(field::NAME), asked.addr(field::SRC_IP)), (Some("www.example.com"), draft::address("192.0.2.5")));
        let extra = one("Nov 20 08:00:00 dnsmasq[7]: 12 192.0.2.5/53211 reply www.example.com is 198.51.100.7");
        assert_eq!(
            (extra.addr(field::SRC_IP), extra.addr(field::ANSWER_IP)),
            (draft::address("192.0.2.5"), draft::address("198.51.100.7"))
        );
        let blocked = one("Nov 20 08:00:00 dnsmasq[7]: gravity blocked ads.example is 0.0.0.0");
        assert_eq!((blocked.text(field::ACTION), blocked.addr(field::ANSWER_IP)), (Some("deny"), None));
        let none = one("Nov 20 08:00:00 dnsmasq[7]: cached nope.example is NXDOMAIN");
        assert_eq!((none.text(field::DNS_RCODE), none.text(field::REASON)), (Some("NXDOMAIN"), Some("cached")));
        let alias = one("Nov 20 08:00:00 dnsmasq[7]: reply www.example.com is <CNAME>");
        assert_eq!(alias.text(field::ACTION), Some("answered"));
    }
}
