//! Cisco Secure Web Appliance (WSA, IronPort; Cisco, "AsyncOS for Web: Access Log Files") and Squid's native lines inside of syslog: `time elapsed client
//! result/status bytes method URL user hierarchy/peer type DECISION-policy-... <verdicts>`; the L4 traffic monitor's sentences.
//!
//! The decision's tag before the first number is what was done (`BLOCK_...`, `ALLOW_...`, `DECRYPT_...`); the policy after it is the rule, the first verdict
//! the category. A line is written at the request's end and lasts `elapsed` milliseconds before. `tunnel://` is a CONNECT.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft, draft::Draft, lift, moments, vendor_values, verdict_words, web};
use crate::model::field;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "cisco-wsa",
    doc: "Cisco Secure Web Appliance (WSA) access log and L4 traffic monitor, with or without syslog envelope.",
    is,
    read,
};

/// A request's line.
struct Parts<'a> {
    time: Option<Time>,
    elapsed: u64,
    client: &'a str,
    result: &'a str,
    status: &'a str,
    bytes: &'a str,
    method: &'a str,
    url: &'a str,
    rest: &'a str,
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let (word, after) = rest.split_once(' ').unwrap_or((*rest, ""));
    *rest = after.trim_start();
    word
}

/// A line of requests; its time may be missing where a relay has cut it.
fn parse(message: &str) -> Option<Parts<'_>> {
    let mut rest = message.trim_start();
    let first = word(&mut rest);
    let time = Time::parse_epoch(first).filter(|_| first.len() >= 10);
    let mut elapsed = word(&mut rest);
    let before = rest;
    let mut client = word(&mut rest);
    // Some layouts have a field more before the client.
    if client == "-" {
        client = word(&mut rest);
    }
    // A relay may leave out the time, and a time without its zone may be two words.
    if draft::address(elapsed).is_some() {
        (client, elapsed, rest) = (elapsed, first, before);
    }
    let (result, status) = word(&mut rest).split_once('/')?;
    let bytes = word(&mut rest);
    let method = word(&mut rest);
    let url = word(&mut rest);
    let known = ["TCP_", "UDP_", "NONE", "ERR_", "DNS_", "TAG_"].iter().any(|p| result.starts_with(p));
    let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let upper = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    let sound = known && number(elapsed) && status.len() == 3 && number(status) && number(bytes) && upper && !url.is_empty();
    (sound && draft::address(client).is_some()).then(|| Parts {
        time,
        elapsed: elapsed.split('.').next().and_then(|e| e.parse().ok()).unwrap_or(0),
        client,
        result,
        status,
        bytes,
        method,
        url,
        rest,
    })
}

/// `BLOCK_WEBCAT_12-Policy-...`: the tag and the policy after its number.
fn decision(rest: &str) -> Option<(&str, &str)> {
    rest.split_ascii_whitespace().find_map(|w| {
        let (tag, policies) = w.split_once('-')?;
        let (tag, number) = tag.rsplit_once('_')?;
        let sound = number.bytes().all(|b| b.is_ascii_digit())
            && tag.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
        (sound && !number.is_empty() && tag.len() > 3).then(|| (tag, policies.split('-').next().unwrap_or("")))
    })
}

/// `Firewall blocked TCP data from 192.0.2.3:1148 to 198.51.100.182.`
fn monitor(message: &str) -> Option<&str> {
    let at = message.find("Info: ")? + 6;
    let text = &message[at..];
    (at < 64
        && ["Firewall ", "Address "].iter().any(|p| text.starts_with(p))
        && (text.contains(" data from ") || text.contains(" discovered for ")))
    .then_some(text)
}

/// Whether a line is a request that the appliance decided.
pub(super) fn is_request(message: &str) -> bool {
    parse(message).is_some_and(|p| decision(p.rest).is_some())
}

fn is(envelope: &Envelope<'_>) -> bool {
    let request = parse(envelope.message).is_some_and(|p| envelope.found || decision(p.rest).is_some());
    request || envelope.found && monitor(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some(parts) = parse(envelope.message) else {
        let text = monitor(envelope.message).unwrap_or(envelope.message);
        d.text(field::MESSAGE, text);
        lift::lift(&text.replace("):", " port "), d);
        if text.starts_with("Firewall ") {
            d.record.kind = Kind::Fw;
            d.put(field::PROTO, text.split(' ').nth(2).unwrap_or(""));
            d.text(
                field::ACTION,
                &verdict_words::action(if text.contains(" noted ") { "alert" } else { text.split(' ').nth(1).unwrap_or("") }),
            );
        }
        let stamp = envelope.message.split(" Info: ").next().unwrap_or("").replace("GMT+", "UTC+").replace("GMT-", "UTC-");
        let zoned = stamp.split_once(" (").map_or(stamp.clone(), |(t, z)| format!("{t} {}", z.trim_end_matches(')')));
        let time = moments::patterned(&zoned, "dd MMM yyyy HH:mm:ss z").or_else(|| moments::moment(&zoned));
        return Said { time: time.and_then(|m| moments::instant(m, envelope, context, out)), ..Said::default() };
    };
    let nanos = parts.elapsed.saturating_mul(1_000_000);
    d.uint(field::ELAPSED, nanos);
    parts.fill(d);
    Said { time: parts.time, lasted: Some(nanos), ..Said::default() }
}

impl Parts<'_> {
    fn fill(&self, d: &mut Draft) {
        d.record.kind = Kind::Proxy;
        d.addr(field::SRC_IP, self.client);
        d.text(field::REASON, self.result);
        d.put_or_keep(field::HTTP_STATUS, "status", if self.status == "000" { "" } else { self.status });
        d.put_or_keep(field::BYTES_IN, "bytes", self.bytes);
        let tunnel = self.url.strip_prefix("tunnel://");
        d.text(field::HTTP_METHOD, self.method);
        d.text(field::APP, if self.method == "CONNECT" { "tls" } else { "http" });
        d.text(field::URL, tunnel.map_or(self.url, |t| t.trim_end_matches('/')));
        if let Some((host, port)) = web::authority(tunnel.unwrap_or(self.url)) {
            match draft::address(host) {
                Some(_) => _ = d.addr(field::DST_IP, host),
                None => {
                    d.text(field::NAME, host);
                    d.text(field::HTTP_HOST, host);
                }
            }
            port.map(|p| d.uint(field::DST_PORT, p));
        }
        let mut rest = self.rest;
        // One layout has the name that was asked for once more before the account.
        if rest.split(' ').next().is_some_and(|w| w.contains('.') && self.url.contains(w)) {
            word(&mut rest);
        }
        let user = word(&mut rest);
        if user != "-" {
            let bare = user.trim_matches('"').rsplit_once('\\').map_or(user, |(_, u)| u);
            d.text(field::USER, bare.trim_matches('"'));
        }
        let (way, peer) = word(&mut rest).split_once('/').unwrap_or(("", ""));
        if way.ends_with("DIRECT") && !d.addr(field::DST_IP, peer) {
            d.keep("peer", peer);
        }
        let mime = word(&mut rest);
        if mime.contains('/') {
            d.text(field::HTTP_TYPE, mime);
        }
        self.decided(d);
        d.keep("rest", rest);
    }

    fn decided(&self, d: &mut Draft) {
        let denied = web::denied(self.result, self.status.parse().ok());
        let Some((tag, policy)) = decision(self.rest) else {
            d.text(field::ACTION, if denied { "deny" } else { "allow" });
            return;
        };
        d.keep("decision", tag);
        d.text(field::RULE, policy);
        let action = if tag.starts_with("BLOCK") || tag.starts_with("DROP") || tag.starts_with("REDIRECT") || denied {
            "deny"
        } else {
            "allow"
        };
        d.text(field::ACTION, action);
        let verdicts = self.rest.split_once('<').map_or("", |(_, v)| v);
        let category = verdicts.split(',').next().unwrap_or("").trim_matches(['"', ' ']);
        if category.starts_with("IW_") || category.starts_with("C_") {
            d.text(field::CATEGORY, category);
        }
        let digest = verdicts.split(['"', ',']).find(|w| w.len() == 64 && w.bytes().all(|b| b.is_ascii_hexdigit()));
        vendor_values::fill(&[("sha256", digest.unwrap_or(""))], false, d);
        if tag.starts_with("BLOCK_AMW") || tag.starts_with("BLOCK_MALWARE") {
            d.text(field::CATEGORY, "malware");
        }
        let agent = self.rest.rsplit('"').find(|w| w.starts_with("Mozilla/") || w.starts_with("Opera/"));
        d.text(field::HTTP_AGENT, agent.unwrap_or(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn requests_have_the_decision_and_its_policy() {
        for (line, want) in [
            (
                "<134>Nov 20 08:12:01 wsa1 1795162321.500 382 192.0.2.13 TCP_DENIED/403 1234 GET http://www.evil.example/b.txt \"CORP\\joe@realm\" NONE/- - BLOCK_WEBCAT_12-Default.Policy-DefaultGroup-NONE-NONE-NONE-NONE <IW_hack,-6.1,-,\"-\",-> -",
                "proxy 2026-11-20T08:12:01.118Z..2026-11-20T08:12:01.500Z src.ip=192.0.2.13 dst.port=80 app=http bytes.in=1234 name=www.evil.example url=http://www.evil.example/b.txt http.method=GET http.host=www.evil.example http.status=403 severity=info category=IW_hack action=deny reason=TCP_DENIED rule=Default.Policy user=joe@realm hostname=wsa1",
            ),
            (
                "1795162321.500 35 192.0.2.13 TCP_MISS/200 3004 CONNECT tunnel://www.example.com:443/ - DIRECT/198.51.100.7 - ALLOW_WBRS_12-DefaultGroup-NONE <\"IW_snet\",7.1,1> - -",
                "proxy 2026-11-20T08:12:01.465Z..2026-11-20T08:12:01.500Z src.ip=192.0.2.13 dst.ip=198.51.100.7 dst.port=443 app=tls bytes.in=3004 name=www.example.com url=www.example.com:443 http.method=CONNECT http.host=www.example.com http.status=200 category=IW_snet action=allow reason=TCP_MISS rule=DefaultGroup",
            ),
            (
                "<134>Nov 20 08:12:01 wsa1 20 Nov 2026 08:12:00 (GMT+1:00) Info: Firewall blocked TCP data from 192.0.2.3:1148 to 198.51.100.182.",
                "fw 2026-11-20T07:12:00Z src.ip=192.0.2.3 src.port=1148 dst.ip=198.51.100.182 proto=tcp severity=info action=deny hostname=wsa1",
            ),
        ] {
            let shown = show(&FORMAT, line);
            assert!(shown.starts_with(want), "{shown}");
        }
        assert!(!is_request(
            "1157689312.049 5006 192.0.2.1 TCP_MISS/200 19763 CONNECT login.example:443 joe DIRECT/198.51.100.1 -"
        ));
    }
}
