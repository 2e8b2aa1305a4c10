//! Palo Alto Networks' logs: comma-separated, by position (PAN-OS, "Syslog Field Descriptions"): TRAFFIC, THREAT and what else has a session here,
//! other types in `palo_alto_rows`.
//!
//! Times are the firewall's own without a zone. A session lasts from its start for its elapsed seconds, and is logged when it has aged out. `0.0.0.0`
//! as translated address means none. Later versions append columns: what is past the known ones is left to the evidence.

use super::table::cells;
use super::{Context, Format, Framing, Out, Reader, Sniff, clock, draft, draft::Draft, head, palo_alto_rows, syslog};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use crate::model::time::Time;
use crate::model::value::Value;
use std::borrow::Cow;

/// The format.
pub static FORMAT: PaloAlto = PaloAlto;

/// Palo Alto Networks' firewall.
pub struct PaloAlto;

impl Format for PaloAlto {
    fn name(&self) -> &'static str {
        "palo-alto"
    }
    fn doc(&self) -> &'static str {
        "Palo Alto Networks PAN-OS logs of every type as CSV (TRAFFIC, THREAT, GLOBALPROTECT, ...), with or without syslog envelope."
    }
    fn framing(&self) -> Framing {
        syslog::LINES
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        if head::most(head, 50, |l| start(l).is_some()) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        syslog::reader(context)
    }
}

const TYPES: [&str; 14] = [
    "TRAFFIC",
    "THREAT",
    "SYSTEM",
    "CONFIG",
    "HIPMATCH",
    "HIP-MATCH",
    "USERID",
    "GLOBALPROTECT",
    "DECRYPTION",
    "AUTH",
    "AUTHENTICATION",
    "CORRELATION",
    "TUNNEL",
    "SCTP",
];

/// Where the row begins: at the cell before the time of receipt, so that the fourth cell is a type.
pub(super) fn start(line: &str) -> Option<usize> {
    let mut commas = memchr::memchr_iter(b',', line.as_bytes());
    let (first, second, third) = (commas.next()?, commas.next()?, commas.next()?);
    let fourth = commas.next()?;
    let serial = &line[second + 1..third];
    let plain = !serial.is_empty() && serial.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain || !TYPES.contains(&&line[third + 1..fourth]) || second > 1024 {
        return None;
    }
    Some(line[..first].rfind([' ', ':']).map_or(0, |n| n + 1))
}

/// The row of a message.
pub(super) struct Row<'a>(Vec<Cow<'a, str>>);

impl<'a> Row<'a> {
    pub fn parse(text: &'a str) -> Row<'a> {
        // A quote that the line cuts makes the rest one cell.
        Row(cells(text, b',').unwrap_or_else(|| text.split(',').take(256).map(Cow::Borrowed).collect()))
    }
    /// A column by its number in the manual, from 1.
    fn at(&self, n: usize) -> &str {
        self.0.get(n - 1).map_or("", |c| c.trim())
    }
    /// When it was generated, else received.
    pub fn time(&self, context: &Context, out: &mut Out) -> Option<Time> {
        [7, 2].iter().find_map(|n| clock::any(self.at(*n), context, out))
    }

    /// Fills a record; gives the device.
    pub fn fill(&self, d: &mut Draft, context: &Context, out: &mut Out) -> &str {
        d.text(field::EVENT_CODE, self.at(4));
        d.keep("subtype", self.at(5));
        d.keep("serial", self.at(3));
        match self.at(4) {
            "TRAFFIC" => {
                self.session(d);
                self.traffic(d, context, out);
                self.at(53)
            }
            "THREAT" => {
                self.session(d);
                self.threat(d);
                self.at(60)
            }
            "DECRYPTION" => {
                self.session(d);
                palo_alto_rows::decryption(|n| self.at(n), d);
                ""
            }
            "SCTP" | "TUNNEL" if draft::address(self.at(8)).is_some() => {
                self.session(d);
                d.record.kind = Kind::Fw;
                self.rest(32, d);
                ""
            }
            kind => {
                let device = palo_alto_rows::fill(kind, |n| self.at(n), d);
                self.rest(8, d);
                device
            }
        }
    }

    /// The columns from one on as the message, if there is none.
    fn rest(&self, from: usize, d: &mut Draft) {
        let cells = self.0.iter().skip(from - 1).filter(|c| !c.is_empty()).map(|c| &**c).collect::<Vec<_>>();
        d.text(field::MESSAGE, &cells.join(","));
    }

    /// What TRAFFIC and THREAT have alike.
    fn session(&self, d: &mut Draft) {
        const COLUMNS: &[(usize, FieldId, &str)] = &[
            (8, field::SRC_IP, "src"),
            (9, field::DST_IP, "dst"),
            (12, field::RULE, "rule"),
            (15, field::APP, "app"),
            (17, field::ZONE_IN, "from"),
            (18, field::ZONE_OUT, "to"),
            (19, field::IFACE_IN, "inbound_if"),
            (20, field::IFACE_OUT, "outbound_if"),
            (23, field::UID, "sessionid"),
            (25, field::SRC_PORT, "sport"),
            (26, field::DST_PORT, "dport"),
            (30, field::PROTO, "proto"),
        ];
        for (n, id, key) in COLUMNS {
            d.put_or_keep(*id, key, self.at(*n));
        }
        let translated = |n: usize| draft::address(self.at(n)).filter(|a| !a.is_unspecified());
        for (n, before, ip, port) in [
            (10, field::SRC_IP, field::NAT_SRC_IP, field::NAT_SRC_PORT),
            (11, field::DST_IP, field::NAT_DST_IP, field::NAT_DST_PORT),
        ] {
            let Some(after) = translated(n) else { continue };
            let number = self.at(n + 17);
            let was = d.record.uint(if n == 10 { field::SRC_PORT } else { field::DST_PORT });
            if d.record.addr(before) != Some(after) || number != "0" && was.is_some_and(|w| number != w.to_string()) {
                d.give(ip, Value::Addr(after));
                if number != "0" {
                    d.put(port, number);
                }
            }
        }
        let users = [self.at(13), self.at(14)];
        for (user, key) in users.iter().zip(["srcuser", "dstuser"]) {
            let bare = user.rsplit_once('\\').map_or(*user, |(_, u)| u);
            if !d.text(field::USER, bare) || bare.len() != user.len() {
                d.keep(key, user);
            }
        }
        let action = match self.at(31) {
            "allow" | "alert" | "allow-hostname" | "continue" | "override" => "allow",
            "deny" | "block-url" | "block-ip" | "block-continue" | "block-override" | "sinkhole" => "deny",
            "drop" | "drop-icmp" | "drop-all-packets" | "random-drop" => "drop",
            "reset-both" | "reset-client" | "reset-server" => "reset",
            other => other,
        };
        d.text(field::ACTION, action);
        if action != self.at(31) {
            d.keep("action", self.at(31));
        }
        d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
    }

    fn traffic(&self, d: &mut Draft, context: &Context, out: &mut Out) {
        d.record.kind = Kind::Fw;
        for (n, id, key) in [
            (33, field::BYTES_OUT, "bytes_sent"),
            (34, field::BYTES_IN, "bytes_received"),
            (45, field::PACKETS_OUT, "pkts_sent"),
            (46, field::PACKETS_IN, "pkts_received"),
        ] {
            d.put_or_keep(id, key, self.at(n));
        }
        d.text(field::CATEGORY, self.at(38));
        d.text(field::REASON, self.at(47));
        if self.at(47) == "aged-out" {
            d.text(field::END_REASON, "timeout");
        }
        let elapsed = draft::seconds(self.at(37));
        if let Some(start) = clock::any(self.at(36), context, out) {
            d.record.start = start;
            d.record.end = start.plus(i64::try_from(elapsed.unwrap_or(0)).unwrap_or(0));
        }
        if let Some(nanos) = elapsed {
            d.uint(field::ELAPSED, nanos);
        }
    }

    fn threat(&self, d: &mut Draft) {
        let (subtype, misc) = (self.at(5), self.at(32));
        d.record.kind = if subtype == "url" { Kind::Http } else { Kind::Alert };
        // `name(number)`
        let (name, number) = self.at(33).rsplit_once('(').unwrap_or((self.at(33), ""));
        let number = number.trim_end_matches(')');
        if subtype != "url" {
            d.text(field::SIGNATURE, if name.is_empty() { subtype } else { name });
            d.put_or_keep(field::SIGNATURE_ID, "threatid", number);
        }
        d.text(field::CATEGORY, if self.at(34).is_empty() { subtype } else { self.at(34) });
        d.put_or_keep(field::SEVERITY, "severity", self.at(35));
        d.keep("direction", self.at(36));
        if matches!(subtype, "url" | "data" | "ml-virus") || misc.contains('/') {
            let app = self.at(15);
            let scheme = if app == "ssl" || self.at(26) == "443" { "https" } else { "http" };
            let url = if misc.contains("://") || misc.is_empty() { misc.to_owned() } else { format!("{scheme}://{misc}") };
            d.text(field::URL, &url);
            if let Some((host, _)) = super::web::authority(&url).filter(|(h, _)| draft::address(h).is_none()) {
                d.text(field::NAME, host);
            }
        } else if subtype == "spyware" && !misc.is_empty() && misc.contains('.') {
            d.text(field::NAME, misc);
        } else {
            d.text(field::FILE_NAME, misc);
        }
        d.text(field::HTTP_TYPE, self.at(42));
        if self.at(44).len() == 64 {
            d.text(field::SHA256, self.at(44));
        }
        d.text(field::HTTP_AGENT, self.at(47));
        d.text(field::FILE_TYPE, self.at(48));
        d.text(field::XFF, self.at(49));
        d.text(field::HTTP_REFERER, self.at(50));
        d.text(field::HTTP_METHOD, &self.at(64).to_ascii_uppercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_session_has_its_translation_and_its_own_times() {
        let line = "Nov 30 16:09:08 PA-220 1,2018/11/30 16:09:07,012801096514,TRAFFIC,end,2049,2018/11/30 16:09:07,192.168.15.207,175.16.199.1,192.168.1.63,175.16.199.1,new_outbound_from_trust,,,apple-maps,vsys1,trust,untrust,ethernet1/2,ethernet1/1,send_to_mac,2018/11/30 16:09:07,22751,1,55113,443,16418,443,0x400053,tcp,allow,7734,1758,5976,36,2018/11/30 15:59:04,586,computer-and-internet-info,0,32091112,0x0,192.168.0.0-192.168.255.255,United States,0,16,20,tcp-fin,0,0,0,0,,PA-220,from-policy,,,0,,0,,N/A,0,0,0,0";
        assert_eq!(
            show(&FORMAT, line),
            "fw 2018-11-30T15:59:04Z..2018-11-30T16:08:50Z src.ip=192.168.15.207 src.port=55113 dst.ip=175.16.199.1 dst.port=443 proto=tcp app=apple-maps uid=22751 \
             packets.out=16 packets.in=20 bytes.out=1758 bytes.in=5976 category=computer-and-internet-info action=allow reason=tcp-fin rule=new_outbound_from_trust \
             interface.in=ethernet1/2 interface.out=ethernet1/1 zone.in=trust zone.out=untrust nat.src.ip=192.168.1.63 nat.src.port=16418 hostname=pa-220 \
             elapsed=9m46s event.code=TRAFFIC extra={\"subtype\":\"end\",\"serial\":\"012801096514\"} sensor=PA-220"
        );
    }

    #[test]
    fn a_url_of_a_threat_is_a_request() {
        let line = r#"<134> Aug 21 10:15:42 edge-fw1 1,10:15:42,01606001116,THREAT,url,1,10:15:42,10.154.7.14,65.55.17.25,,,General Web Infrastructure,pancademo\david.poster,,web-browsing,vsys1,L3-TAP,L3-TAP,ethernet1/2,ethernet1/2,ToUS1RAMA,2017/05/30 00:07:24,661375,1,1058,80,0,0,0xb000,tcp,deny,"emam.firefoxupdata.com/",(9999),malware-sites,informational,client-to-server,899904602,0x8000000000000000,10.0.0.0-10.255.255.255,United States,0,text/html,0,,,1,Mozilla/4.0,,,,,,,0,31,12,0,0,,edge-fw1,,,,get,0"#;
        let shown = show(&FORMAT, line);
        assert!(
            shown.starts_with(
                "http 2026-08-21T10:15:42Z src.ip=10.154.7.14 src.port=1058 dst.ip=65.55.17.25 dst.port=80 proto=tcp app=web-browsing uid=661375 name=emam.firefoxupdata.com url=http://emam.firefoxupdata.com/"
            ),
            "{shown}"
        );
        assert!(
            shown.contains(" action=deny ")
                && shown.contains(" user=david.poster ")
                && shown.contains(" http.agent=Mozilla/4.0 "),
            "{shown}"
        );
    }
}
