//! Radware DefensePro in syslog (Radware, "DefensePro User Guide", syslog messages of attacks): `DefensePro: 20-11-2026 08:12:01 WARNING 150 Intrusions
//! "name" TCP 203.0.113.9 40000 192.0.2.80 80 1 Regular "policy" occur 1 0 N/A 0 N/A high drop ID`.
//!
//! After the attack's name and protocol come the two ends, the physical port, the context, the policy, where the attack stands (`start`, `occur`,
//! `ongoing`, `term`), packets and kilobits, the risk and what was done. Zero addresses and ports are of attacks from or to many.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, json_lines, moments, vendor_values, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "radware",
    doc: "Radware DefensePro attacks in syslog: signatures, anomalies, floods, with ends, policy, risk and action.",
    is,
    read,
};

/// What stands before the attack's name, the name, and the words after it; a word in quotes is one.
fn parse(message: &str) -> Option<(Vec<&str>, &str, Vec<&str>)> {
    let (before, rest) = message.split_once('"')?;
    let (name, rest) = rest.split_once('"')?;
    let before: Vec<&str> = before.split_ascii_whitespace().collect();
    let mut after = Vec::new();
    for (n, part) in rest.split('"').enumerate().take(9) {
        match n % 2 {
            0 => after.extend(part.split_ascii_whitespace()),
            _ => after.push(part),
        }
    }
    // Date, time, severity, number, category.
    let [.., date, time, level, number, _] = before[..] else { return None };
    let dated = date.len() == 10 && date.as_bytes()[2] == b'-' && date.as_bytes()[5] == b'-' && time.len() >= 8;
    let ends = after.len() >= 12 && [1, 3].iter().all(|n| after[*n].parse::<std::net::IpAddr>().is_ok());
    let counted = number.bytes().all(|b| b.is_ascii_digit()) && level.bytes().all(|b| b.is_ascii_uppercase());
    (dated && ends && counted && name.len() <= 256).then_some((before, name, after))
}

fn is(envelope: &Envelope<'_>) -> bool {
    memchr::memchr(b'"', envelope.message.as_bytes()).is_some() && parse(envelope.message).is_some()
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let Some((before, name, after)) = parse(envelope.message) else { return Said::default() };
    let [.., date, time, level, number, category] = before[..] else { return Said::default() };
    d.record.kind = Kind::Alert;
    d.text(field::SIGNATURE, name);
    d.put(field::SIGNATURE_ID, number);
    d.text(field::CATEGORY, category);
    let ends = [("src", after[1]), ("srcport", after[2]), ("dst", after[3]), ("dstport", after[4]), ("proto", after[0])];
    let ends: Vec<(&str, &str)> =
        ends.into_iter().filter(|(_, v)| !matches!(*v, "0" | "0.0.0.0" | "N/A" | "IP" | "NON-IP")).collect();
    vendor_values::fill(&ends, false, d);
    for (key, n) in [("port.physical", 5), ("context", 6), ("status", 8), ("packets", 9), ("kilobits", 10)] {
        d.keep(key, after[n]);
    }
    d.text(field::RULE, after[7]);
    // Releases differ in what stands between the counts and the risk.
    let risk = (11..after.len())
        .find(|n| matches!(after[*n].to_ascii_lowercase().as_str(), "low" | "medium" | "high" | "critical" | "info"));
    if let Some(n) = risk {
        d.text(field::ACTION, &verdict_words::action(after.get(n + 1).copied().unwrap_or("")));
    }
    let rank = risk.and_then(|n| json_lines::level(after[n])).or_else(|| json_lines::level(level));
    rank.map(|rank| d.uint(field::SEVERITY, rank));
    d.text(field::MESSAGE, envelope.message);
    let moment = moments::patterned(&format!("{date} {time}"), "dd-MM-yyyy HH:mm:ss");
    Said { time: moment.and_then(|m| moments::instant(m, envelope, context, out)), ..Said::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn attacks_have_ends_policy_risk_and_action() {
        for (tail, want) in [
            (
                "WARNING 150009 Intrusions \"DNS-version-attempt\" UDP 203.0.113.9 35000 192.0.2.53 53 1 Regular \"Edge In\" occur 1 0 N/A 0 N/A low drop FFFF-1",
                "alert 2026-03-02T08:12:01Z src.ip=203.0.113.9 src.port=35000 dst.ip=192.0.2.53 dst.port=53 proto=udp signature=DNS-version-attempt signature.id=150009 severity=low category=Intrusions action=drop rule=Edge In",
            ),
            (
                "CRITICAL 78 Behavioral-DoS \"network flood IPv4 TCP-SYN\" TCP 0.0.0.0 0 192.0.2.80 443 0 Regular \"Web\" ongoing 1234 5678 N/A 0 N/A high forward FFFF-2",
                "alert 2026-03-02T08:12:01Z dst.ip=192.0.2.80 dst.port=443 proto=tcp signature=network flood IPv4 TCP-SYN signature.id=78 severity=high category=Behavioral-DoS action=allow rule=Web",
            ),
        ] {
            let shown = show(&FORMAT, &format!("<132>Nov 20 08:12:05 dp1 DefensePro: 02-03-2026 08:12:01 {tail}"));
            assert!(shown.starts_with(want), "{shown}");
        }
    }
}
