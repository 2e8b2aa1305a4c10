//! Juniper SRX and other Junos devices (Juniper, "System Log Explorer": RT_FLOW, RT_IDP, RT_SCREEN, RT_UTM, RT_AAMW, RT_SECINTEL, APPTRACK), as
//! structured data of RFC 5424 or in the words of the older layout.
//!
//! A session is logged when it is made and when it is closed: then it lasted `elapsed-time` seconds before. Translated addresses stand in every
//! line and are given where they differ. Typographic quotes around values are read as quotes. Attacks and what the threat feeds tell are alerts.

use super::cisco_text::after;
use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, key_value, vendor_values, verdict_words};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "juniper-srx",
    doc: "Juniper SRX and Junos sessions, IDP, screens, UTM and threat feeds in syslog, structured or not.",
    is,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    envelope.data.starts_with("[junos@2636") || tag(envelope).is_some_and(|tag| !body(envelope, tag).is_empty())
}

/// The name of the message in the older layout, `RT_FLOW_SESSION_CREATE`.
fn tag<'a>(envelope: &Envelope<'a>) -> Option<&'a str> {
    let named = |text: &'a str| {
        let end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
        let tag = &text[..end];
        let known = ["RT_", "IDP_", "APPTRACK_", "AAMW_", "SECINTEL_", "WEBFILTER_", "AV_", "CONTENT_FILTERING_", "ANTISPAM_"];
        (known.iter().any(|k| tag.starts_with(k)) && tag.len() > 6).then_some(tag)
    };
    if envelope.process.starts_with("RT_") || named(envelope.process).is_some() {
        return named(envelope.message).or_else(|| named(envelope.id)).or_else(|| named(envelope.process));
    }
    named(envelope.message).filter(|tag| envelope.message[tag.len()..].starts_with(':'))
}

/// What follows the name.
fn body<'a>(envelope: &Envelope<'a>, tag: &str) -> &'a str {
    envelope.message.strip_prefix(tag).unwrap_or(envelope.message).trim_start_matches([':', ' ', '-'])
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, _: &Context, _: &mut Out) -> Said<'a> {
    let mut lasted = None;
    let name = match envelope.data.is_empty() {
        false => {
            let pairs = key_value::pairs(envelope.data);
            lasted = structured(&pairs, envelope.id, d);
            d.text(field::MESSAGE, envelope.message);
            envelope.id
        }
        true => {
            let tag = tag(envelope).unwrap_or("");
            let text = body(envelope, tag);
            let session = tag.contains("SESSION");
            if session {
                lasted = words(text, d);
            } else {
                told(text, d);
            }
            if !session {
                d.text(field::MESSAGE, text);
            }
            tag
        }
    };
    named(name, envelope.message, d);
    d.text(field::EVENT_CODE, name);
    if let Some(nanos) = lasted {
        d.uint(field::ELAPSED, nanos);
    }
    Said { lasted: lasted.filter(|_| name.contains("CLOSE")), parameters: true, ..Said::default() }
}

/// Kind and action by the name of the message.
fn named(name: &str, message: &str, d: &mut Draft) {
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    let reason = d.record.text(field::REASON).unwrap_or("").to_ascii_lowercase();
    let action = match name {
        _ if has(&["SESSION_CREATE"]) => "start",
        _ if has(&["SESSION_DENY"]) => "deny",
        _ if has(&["SESSION_CLOSE"]) && reason.contains("rst") => "reset",
        _ if has(&["SESSION_CLOSE"]) && (reason.contains("timeout") || reason.contains("age")) => "timeout",
        _ if has(&["SESSION_CLOSE"]) => "close",
        _ if has(&["BLOCKED"]) => "deny",
        _ if has(&["PERMITTED"]) => "allow",
        _ if has(&["LOGIN_FAILED", "AUTH_FAIL"]) => "login_fail",
        _ if has(&["LOGOUT"]) => "logout",
        _ if has(&["LOGIN_EVENT", "AUTH_EVENT"]) => "login_ok",
        _ if has(&["DETECTED"]) => "alert",
        _ => "",
    };
    if has(&["SESSION_CLOSE"]) {
        let ended = match action {
            "reset" | "timeout" => action,
            _ => "close",
        };
        d.text(field::END_REASON, ended);
    }
    d.text(field::ACTION, action);
    let alert = has(&["IDP_", "RT_SCREEN", "RT_IDS", "AV_", "AAMW_", "SECINTEL_", "ANTISPAM", "VIRUS"]);
    d.record.kind = match name {
        _ if has(&["SESSION_", "RT_FLOW", "APPTRACK"]) => Kind::Fw,
        _ if alert => Kind::Alert,
        _ if has(&["WEBFILTER", "CONTENT_FILTERING"]) => Kind::Http,
        _ if has(&["LOGIN", "LOGOUT", "AUTH_"]) => Kind::Auth,
        _ => vendor_values::kind(d),
    };
    if d.record.kind == Kind::Alert && !d.has(field::SIGNATURE) {
        let signature = [message.split(['!', ',']).next().unwrap_or("").trim(), name];
        let told = signature[0].split_once(": ").map_or(signature[0], |(_, t)| t);
        d.text(field::SIGNATURE, if name.contains("SCREEN") && told.len() <= 60 { told } else { signature[1] });
    }
}

/// Parameters of structured data; gives how long it lasted.
fn structured(pairs: &[key_value::Pair<'_>], name: &str, d: &mut Draft) -> Option<u64> {
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| *v);
    let mut left = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        match *key {
            "elapsed-time" => {}
            "malware-info" => left.push(("threat-name", *value)),
            "feed-name" => d.put_or_keep(field::FEED, key, value),
            "url" if !value.contains("://") && !one("obj").is_empty() => {
                d.text(field::URL, &super::web::url("http", value, 0, one("obj")));
                d.text(field::NAME, value);
            }
            "obj" if !one("url").is_empty() => {}
            "http-host" if draft::address(value).is_none() => d.put_or_keep(field::HTTP_HOST, key, value),
            "icmp-type" if *value != "N/A" => d.keep(key, value),
            "policy-name" if name.starts_with("IDP") => d.keep(key, value),
            "rule-name" if name.starts_with("IDP") => d.put_or_keep(field::RULE, key, value),
            "service-name" => d.keep(key, value),
            "application" if value.eq_ignore_ascii_case("unknown") => {}
            "application" => _ = d.text(field::APP, &value.to_ascii_lowercase()),
            _ => left.push((*key, *value)),
        }
    }
    vendor_values::fill(&left, true, d);
    draft::seconds(one("elapsed-time")).filter(|n| *n > 0)
}

/// `a/1->b/2`
fn tuple(token: &str) -> Option<[&str; 4]> {
    let (from, to) = token.trim_matches(['<', '>']).split_once("->")?;
    let (a, b) = (from.rfind(['/', ':', '('])?, to.rfind(['/', ':', '('])?);
    Some([&from[..a], from[a + 1..].trim_end_matches(')'), &to[..b], to[b + 1..].trim_end_matches(')')])
}

fn give_tuple([src, sport, dst, dport]: [&str; 4], ids: [FieldId; 4], d: &mut Draft) {
    d.addr(ids[0], src);
    d.put(ids[1], sport);
    d.addr(ids[2], dst);
    d.put(ids[3], dport);
}

const ENDS: [FieldId; 4] = [field::SRC_IP, field::SRC_PORT, field::DST_IP, field::DST_PORT];

/// A session in the older layout, by position; gives how long it lasted.
fn words(text: &str, d: &mut Draft) -> Option<u64> {
    let (head, rest) = text.split_at(text.find("->").map_or(0, |at| text[..at].rfind(' ').map_or(0, |n| n + 1)));
    let reason = after(head, "closed").unwrap_or("").trim().trim_end_matches(':');
    d.text(field::REASON, reason);
    let mut words = rest.split_ascii_whitespace().peekable();
    let Some(ends) = words.next().and_then(tuple) else {
        d.partial = true;
        return None;
    };
    give_tuple(ends, ENDS, d);
    // Newer versions put a connection tag after each tuple.
    words.next_if(|w| w.starts_with("0x"));
    let service = words.next().unwrap_or("");
    d.keep("service-name", service);
    if head.contains("denied") {
        // `6(0)`: protocol and ICMP type.
        d.put(field::PROTO, words.next().unwrap_or("").split('(').next().unwrap_or(""));
        policy(&mut words, d);
        return None;
    }
    if let Some(translated) = words.next().and_then(tuple).filter(|t| *t != ends) {
        let ids = [field::NAT_SRC_IP, field::NAT_SRC_PORT, field::NAT_DST_IP, field::NAT_DST_PORT];
        let changed = |n: usize| translated[n..n + 2] != ends[n..n + 2];
        for n in [0, 2].into_iter().filter(|n| changed(*n)) {
            d.addr(ids[n], translated[n]);
            d.put(ids[n + 1], translated[n + 1]);
        }
    }
    words.next_if(|w| w.starts_with("0x"));
    // Names of the rules of translation, two or with their types four, before the protocol's number.
    for key in ["nat.1", "nat.2", "nat.3", "nat.4"] {
        if let Some(rule) = words.next_if(|w| w.parse::<u8>().is_err()).filter(|w| !matches!(*w, "None" | "N/A")) {
            d.keep(key, rule);
        }
    }
    d.put(field::PROTO, words.next().unwrap_or(""));
    policy(&mut words, d);
    d.text(field::UID, words.next().unwrap_or(""));
    let mut count = |packets: FieldId, bytes: FieldId| {
        let Some((number, size)) = words.next_if(|w| w.contains('(')).and_then(|w| w.split_once('(')) else { return };
        d.put(packets, number);
        d.put(bytes, size.trim_end_matches(')'));
    };
    if !head.contains("closed") {
        return None;
    }
    count(field::PACKETS_OUT, field::BYTES_OUT);
    count(field::PACKETS_IN, field::BYTES_IN);
    let lasted = words.next().and_then(draft::seconds);
    let application = words.next().unwrap_or("");
    if !matches!(application, "UNKNOWN" | "N/A" | "") {
        d.text(field::APP, &application.to_ascii_lowercase());
    }
    d.keep("rest", &words.collect::<Vec<_>>().join(" "));
    lasted.filter(|n| *n > 0)
}

fn policy<'a>(words: &mut impl Iterator<Item = &'a str>, d: &mut Draft) {
    for id in [field::RULE, field::ZONE_IN, field::ZONE_OUT] {
        d.text(id, words.next().unwrap_or(""));
    }
}

/// Attacks, screens and filters in the older layout.
fn told(text: &str, d: &mut Draft) {
    if let Some(ends) = text.split_ascii_whitespace().filter(|w| w.contains("->")).find_map(tuple) {
        give_tuple(ends, ENDS, d);
    }
    if let Some(protocol) = after(text, " for ").and_then(|t| t.split(' ').next()) {
        d.put(field::PROTO, &protocol.to_ascii_lowercase());
    }
    let attack = after(text, " attack: ").and_then(|t| after(t, " name=")).and_then(|t| t.split(',').next());
    d.text(field::SIGNATURE, attack.unwrap_or(""));
    // `TCP port scan! source: ...`: the sentence ends before the pairs.
    let listed = text.split_once("! ").map_or(text, |(_, rest)| rest);
    let titles = listed.contains(": ") && !listed.contains('=');
    let pairs = if titles { key_value::colon_pairs(listed) } else { key_value::pairs(text) };
    let action = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("action")).map_or("", |(_, v)| *v);
    d.text(field::ACTION, &verdict_words::action(action.trim_start_matches("URL ")));
    for (key, value) in &pairs {
        let value = value.trim_end_matches('.');
        match key.to_ascii_lowercase().as_str() {
            "source" | "destination" => vendor_values::fill(&[(key, value)], true, d),
            "zone name" => d.put_or_keep(field::ZONE_IN, key, value),
            "interface name" => d.put_or_keep(field::IFACE_IN, key, value),
            "url" => {
                let object = pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case("obj")).map_or("", |(_, v)| *v);
                d.text(field::URL, &super::web::url("http", value, 0, object.split(' ').next().unwrap_or("")));
                d.text(field::NAME, value);
            }
            "category" | "reason" | "threat-severity" => vendor_values::fill(&[(key, value)], true, d),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_closed_session_lasted_before_it_was_logged() {
        let want = "fw 2019-04-12T14:29:05.576Z..2019-04-12T14:29:06.576Z src.ip=10.3.255.203 src.port=47776 dst.ip=67.43.156.15 dst.port=80 proto=tcp uid=7 \
                    packets.out=6 packets.in=4 bytes.out=337 bytes.in=535 end.reason=close severity=info action=close reason=TCP FIN rule=permit_all zone.in=trust \
                    zone.out=untrust nat.src.ip=10.3.136.49 nat.src.port=19162 hostname=cixi process=RT_FLOW elapsed=1s event.code=RT_FLOW_SESSION_CLOSE";
        let quoted = |q: &str, r: &str| {
            format!(
                "<14>1 2019-04-12T14:29:06.576Z cixi RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.129 reason={q}TCP FIN{r} source-address={q}10.3.255.203{r} \
                 source-port={q}47776{r} destination-address={q}67.43.156.15{r} destination-port={q}80{r} nat-source-address={q}10.3.136.49{r} nat-source-port={q}19162{r} \
                 nat-destination-address={q}67.43.156.15{r} nat-destination-port={q}80{r} protocol-id={q}6{r} policy-name={q}permit_all{r} source-zone-name={q}trust{r} \
                 destination-zone-name={q}untrust{r} session-id-32={q}7{r} packets-from-client={q}6{r} bytes-from-client={q}337{r} packets-from-server={q}4{r} \
                 bytes-from-server={q}535{r} elapsed-time={q}1{r} application={q}UNKNOWN{r} username={q}N/A{r}]"
            )
        };
        for line in [quoted("\"", "\""), quoted("\u{201d}", "\u{201d}")] {
            let shown = show(&FORMAT, &line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn the_older_layout_says_the_same_by_position() {
        for (line, want) in [
            (
                "<14>Nov 20 08:12:01 srx RT_FLOW: RT_FLOW_SESSION_CREATE: session created 192.0.2.1/1500->198.51.100.12/443 junos-https 203.0.113.1/4001->198.51.100.12/443 r1 None 6 out trust untrust 100048 joe(N/A) reth2.0",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=1500 dst.ip=198.51.100.12 dst.port=443 proto=tcp uid=100048 severity=info action=start rule=out zone.in=trust zone.out=untrust nat.src.ip=203.0.113.1 nat.src.port=4001 hostname=srx process=RT_FLOW event.code=RT_FLOW_SESSION_CREATE extra={\"service-name\":\"junos-https\",\"nat.1\":\"r1\",\"syslog.facility\":1} sensor=srx",
            ),
            (
                "<14>Nov 20 08:12:11 srx RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed TCP SERVER RST: 192.0.2.1/1500->198.51.100.12/443 0x0 None 192.0.2.1/1500->198.51.100.12/443 0x0 N/A N/A N/A N/A 6 out trust untrust 100048 3(300) 2(200) 10 SSL UNKNOWN N/A(N/A) reth2.0 No",
                "fw 2026-11-20T08:12:01Z..2026-11-20T08:12:11Z src.ip=192.0.2.1 src.port=1500 dst.ip=198.51.100.12 dst.port=443 proto=tcp app=ssl uid=100048 packets.out=3 packets.in=2 bytes.out=300 bytes.in=200 end.reason=reset severity=info action=reset reason=TCP SERVER RST rule=out zone.in=trust zone.out=untrust hostname=srx process=RT_FLOW elapsed=10s event.code=RT_FLOW_SESSION_CLOSE extra={\"service-name\":\"None\",\"rest\":\"UNKNOWN N/A(N/A) reth2.0 No\",\"syslog.facility\":1} sensor=srx",
            ),
            (
                "<14>Nov 20 08:12:01 srx RT_FLOW: RT_FLOW_SESSION_DENY: session denied 192.0.2.1/1500->198.51.100.12/23 junos-telnet 6(0) no-telnet trust untrust UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0",
                "fw 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=1500 dst.ip=198.51.100.12 dst.port=23 proto=tcp severity=info action=deny rule=no-telnet zone.in=trust zone.out=untrust hostname=srx process=RT_FLOW event.code=RT_FLOW_SESSION_DENY extra={\"service-name\":\"junos-telnet\",\"syslog.facility\":1} sensor=srx",
            ),
            (
                "<11>Nov 20 08:12:01 srx RT_IDS: RT_SCREEN_TCP: TCP port scan! source: 203.0.113.9:1234, destination: 192.0.2.1:80, zone name: untrust, interface name: ge-0/0/0.0, action: drop",
                "alert 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=1234 dst.ip=192.0.2.1 dst.port=80 signature=TCP port scan severity=high action=drop interface.in=ge-0/0/0.0 zone.in=untrust hostname=srx process=RT_IDS message=TCP port scan! source: 203.0.113.9:1234, destination: 192.0.2.1:80, zone name: untrust, interface name: ge-0/0/0.0, action: drop event.code=RT_SCREEN_TCP extra={\"syslog.facility\":1} sensor=srx",
            ),
            (
                "<14>Nov 20 08:12:01 srx RT_UTM: WEBFILTER_URL_BLOCKED: WebFilter: ACTION=\"URL Blocked\" 192.0.2.1(58071)->198.51.100.39(80) CATEGORY=\"cat1\" REASON=\"BY_BLACK_LIST\" PROFILE=\"uf1\" URL=www.evil.example OBJ=/a username N/A roles N/A",
                "http 2026-11-20T08:12:01Z src.ip=192.0.2.1 src.port=58071 dst.ip=198.51.100.39 dst.port=80 name=www.evil.example url=http://www.evil.example/a severity=info category=cat1 action=deny reason=BY_BLACK_LIST",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
    }

    #[test]
    fn an_attack_is_an_alert() {
        let line = "<11>1 2026-11-20T08:12:01Z srx RT_IDP - IDP_ATTACK_LOG_EVENT [junos@2636.1.1.1.2.135 source-address=\"203.0.113.9\" source-port=\"45610\" destination-address=\"192.0.2.1\" destination-port=\"80\" protocol-name=\"TCP\" rule-name=\"9\" policy-name=\"Recommended\" action=\"DROP\" threat-severity=\"HIGH\" attack-name=\"TROJAN:X\" nat-source-address=\"0.0.0.0\" elapsed-time=\"0\"]";
        assert_eq!(
            show(&FORMAT, line),
            "alert 2026-11-20T08:12:01Z src.ip=203.0.113.9 src.port=45610 dst.ip=192.0.2.1 dst.port=80 proto=tcp signature=TROJAN:X severity=high action=drop rule=9 \
             hostname=srx process=RT_IDP event.code=IDP_ATTACK_LOG_EVENT extra={\"policy-name\":\"Recommended\",\"action\":\"DROP\",\"syslog.id\":\"IDP_ATTACK_LOG_EVENT\",\
             \"syslog.facility\":1} sensor=srx"
        );
    }
}
