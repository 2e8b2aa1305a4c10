//! Microsoft Defender for Endpoint: machines, vulnerabilities by machine and software (Microsoft, Defender for Endpoint API, "List machines", "List
//! vulnerabilities by machine and software", "Export software vulnerabilities assessment"), as an answer of the API or one object a line.
//!
//! A machine is one inventory record for each of its addresses, at the time it was last seen; a vulnerability one vulnerability record, at the time it
//! was first to last seen where the answer says so, else at the file's modification time; the action is `found`. A machine's id is a `name` of
//! both, since some answers name the machine by its id only.

use super::draft::Draft;
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, finding, json, objects};
use crate::model::field;
use crate::model::record::Kind;
use std::io::BufRead;

/// The format.
pub static FORMAT: Defender = Defender;

/// Defender for Endpoint.
pub struct Defender;

impl Format for Defender {
    fn name(&self) -> &'static str {
        "defender"
    }
    fn doc(&self) -> &'static str {
        "Microsoft Defender for Endpoint: machines and their vulnerabilities (Microsoft, Defender for Endpoint API)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let machines = json::has_keys(head, &["computerDnsName", "osPlatform"]);
        let found = json::has_keys(head, &["cveId", "machineId"]) || json::has_keys(head, &["cveId", "deviceId"]);
        let empty =
            json::has_keys(head, &["@odata.context", "value"]) && memchr::memmem::find(head, b"securitycenter.").is_some();
        if machines || found || empty { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Answer { context: context.clone() })
    }
}

struct Answer {
    context: Context,
}

impl Reader for Answer {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        objects::read_each(input, &["value"], each, &mut |text, unit, out| self.object(text, unit, out));
    }
}

/// Gives the members that are not named to `extra`.
fn rest(d: &mut Draft, members: &json::Members<'_>, done: &[&str]) {
    for (key, raw) in members {
        if !done.contains(&key.as_ref()) {
            match json::is_nested(raw) {
                true => d.keep_json(key, raw.get()),
                false => d.keep(key, draft::cut(&json::scalar(raw))),
            }
        }
    }
}

impl Answer {
    fn object(&self, text: &str, unit: Unit, out: &mut Out) -> Status {
        let Some(members) = json::object(text) else { return objects::malformed(unit, out) };
        if json::member(&members, "cveId").is_some() {
            self.vulnerability(&members, unit, text.len(), out)
        } else if json::member(&members, "osPlatform").is_some() {
            self.machine(&members, unit, text.len(), out)
        } else {
            Status::Skipped
        }
    }

    fn vulnerability(&self, members: &json::Members<'_>, unit: Unit, len: usize, out: &mut Out) -> Status {
        let any = |keys: &[&str]| keys.iter().map(|k| json::text_at(members, &[k])).find(|t| !t.is_empty()).unwrap_or_default();
        let mut d = Draft::new(Kind::Vuln, &self.context, unit, len, self.context.modified);
        d.text(field::ACTION, "found");
        let utc = Context { zone: super::Zone::Fixed(0), ..self.context.clone() };
        let mut time = |keys: &[&str]| clock::any(&any(keys), &utc, &mut *out);
        let first = time(&["firstSeenTimestamp", "firstSeen"]);
        let last = time(&["lastSeenTimestamp", "lastSeen", "eventTimestamp"]);
        if let Some(start) = first.or(last) {
            d.record.start = start;
            d.record.end = last.unwrap_or(start).max(start);
        }
        let (id, name) = (any(&["machineId", "deviceId"]), any(&["deviceName", "computerDnsName"]));
        d.text(field::HOSTNAME, if name.is_empty() { &id } else { &name });
        d.text(field::NAME, &id);
        finding::cve(&mut d, "cveId", &any(&["cveId"]));
        let product = [any(&["productVendor", "softwareVendor"]), any(&["productName", "softwareName"])].join(" ");
        d.text(field::PRODUCT, product.trim());
        d.text(field::VERSION, &any(&["productVersion", "softwareVersion"]));
        d.text(field::SIGNATURE, format!("{} {}", any(&["cveId"]), product.trim()).trim());
        let severity = any(&["severity", "vulnerabilitySeverityLevel"]);
        match finding::severity(&severity) {
            Some(rank) => _ = d.uint(field::SEVERITY, rank),
            None => d.keep("severity", &severity),
        }
        finding::cvss(&mut d, "cvssScore", &any(&["cvssScore", "cvssV3"]));
        d.text(field::OS, &any(&["osPlatform"]));
        d.text(field::SOLUTION, &any(&["recommendedSecurityUpdate"]));
        const DONE: [&str; 22] = [
            "firstSeenTimestamp",
            "firstSeen",
            "lastSeenTimestamp",
            "lastSeen",
            "eventTimestamp",
            "machineId",
            "deviceId",
            "deviceName",
            "computerDnsName",
            "cveId",
            "productVendor",
            "softwareVendor",
            "productName",
            "softwareName",
            "productVersion",
            "softwareVersion",
            "severity",
            "vulnerabilitySeverityLevel",
            "cvssScore",
            "cvssV3",
            "osPlatform",
            "recommendedSecurityUpdate",
        ];
        rest(&mut d, members, &DONE);
        d.partial |= !d.has(field::HOSTNAME);
        d.finish(None, out)
    }

    fn machine(&self, members: &json::Members<'_>, unit: Unit, len: usize, out: &mut Out) -> Status {
        let of = |key: &str| json::text_at(members, &[key]);
        let utc = Context { zone: super::Zone::Fixed(0), ..self.context.clone() };
        let last = clock::any(&of("lastSeen"), &utc, out);
        let mut addresses: Vec<(String, String)> = vec![(of("lastIpAddress"), String::new())];
        for entry in json::member(members, "ipAddresses").into_iter().flat_map(json::elements).take(64) {
            let Some(entry) = json::object(entry.get()) else { continue };
            let (address, mac) = (json::text_at(&entry, &["ipAddress"]), json::text_at(&entry, &["macAddress"]));
            match addresses.iter_mut().find(|(a, _)| *a == address) {
                Some((_, known)) => *known = mac,
                None => addresses.push((address, mac)),
            }
        }
        addresses.retain(|(a, _)| draft::address(a).is_some_and(|a| !a.is_loopback()));
        if addresses.is_empty() {
            addresses.push((String::new(), String::new()));
        }
        let mut status = Status::Ok;
        for (address, mac) in addresses {
            let mut d = Draft::new(Kind::Inventory, &self.context, unit, len, last.unwrap_or(self.context.modified));
            d.text(field::ACTION, "found");
            d.addr(field::DST_IP, &address);
            let mac = match mac.len() == 12 && mac.bytes().all(|b| b.is_ascii_hexdigit()) {
                true => (0..6).map(|n| &mac[2 * n..2 * n + 2]).collect::<Vec<_>>().join(":"),
                false => mac,
            };
            d.text(field::DST_MAC, &mac);
            let name = of("computerDnsName");
            d.text(field::HOSTNAME, if name.is_empty() { of("id") } else { name }.as_str());
            d.text(field::NAME, &of("id"));
            let system =
                [of("osPlatform"), of("version")].into_iter().filter(|t| !t.is_empty() && t != "Other").collect::<Vec<_>>();
            d.text(field::OS, &system.join(" "));
            d.text(field::CATEGORY, &of("rbacGroupName"));
            d.text(field::CRITICALITY, &of("deviceValue"));
            const DONE: [&str; 9] = [
                "id",
                "computerDnsName",
                "osPlatform",
                "version",
                "rbacGroupName",
                "deviceValue",
                "lastIpAddress",
                "ipAddresses",
                "managedBy",
            ];
            rest(&mut d, members, &DONE);
            d.partial |= !d.has(field::HOSTNAME) && !d.has(field::DST_IP);
            if d.finish(None, out) == Status::Partial {
                status = Status::Partial;
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn machines_and_their_vulnerabilities_share_a_name() {
        let text = r#"{"@odata.context":"https://api.securitycenter.microsoft.com/api/$metadata#Machines","value":[{"id":"1e5bc9d7","computerDnsName":"pc1.example","lastSeen":"2025-11-20T08:00:00Z","osPlatform":"Windows11","version":"23H2","lastIpAddress":"192.0.2.5","rbacGroupName":"HQ","deviceValue":"High","ipAddresses":[{"ipAddress":"192.0.2.5","macAddress":"00005E005301"},{"ipAddress":"127.0.0.1","macAddress":null}]}]}"#;
        assert_eq!(FORMAT.sniff(text.as_bytes()), Sniff::Yes);
        assert_eq!(
            read_all(&FORMAT, text).shown(),
            "inventory 2025-11-20T08:00:00Z dst.ip=192.0.2.5 dst.mac=00:00:5e:00:53:01 name=1e5bc9d7 category=HQ action=found hostname=pc1.example os=Windows11 23H2 criticality=High extra={\"lastSeen\":\"2025-11-20T08:00:00Z\"}\n"
        );
        let text = r#"{"@odata.context":"x","value":[{"id":"a-_-CVE-2024-1111","cveId":"CVE-2024-1111","machineId":"1e5bc9d7","fixingKbId":null,"productName":"tools","productVendor":"odd","productVersion":"1.2","severity":"High"}]}"#;
        assert_eq!(
            read_all(&FORMAT, text).shown(),
            "vuln 2026-11-20T12:00:00Z name=1e5bc9d7 signature=CVE-2024-1111 odd tools severity=high action=found hostname=1e5bc9d7 product=odd tools version=1.2 cve=CVE-2024-1111 extra={\"id\":\"a-_-CVE-2024-1111\"}\n"
        );
    }
}
