//! Suricata's EVE JSON: one event a line (Suricata User Guide, "EVE JSON Format"; versions 4 to 8).
//!
//! - An alert's addresses are in packet direction: the record takes `flow.src_ip`, else `alert.source`, else `direction`, else turns
//!   round what comes from a service's port. So do the other events whose addresses are those of a packet.
//! - A flow event is written when the flow ends; the record lasts from `flow.start` to `flow.end`. Its bytes are those of the link layer.
//! - Severity: 1 high, 2 medium, 3 low, any other info. Action of an alert: `allowed` is allow, `blocked` is drop.
//! - `stats` events are skipped, but for the packets that they say were dropped. A Community ID is computed from the record and not kept. Members without a field are in `extra`, named
//!   by their path.

use super::json::{self, Members};
use super::suricata_objects as objects;
use super::{Context, Format, Framing, Loss, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;
use serde_json::value::RawValue;

/// The format.
pub static FORMAT: SuricataEve = SuricataEve;

/// Suricata EVE JSON.
pub struct SuricataEve;

impl Format for SuricataEve {
    fn name(&self) -> &'static str {
        "suricata-eve"
    }
    fn doc(&self) -> &'static str {
        "Suricata EVE JSON lines, every event type (Suricata User Guide, EVE JSON Format)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 16 << 20 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        // Its types are in small letters: a web application firewall's `HTTP_REQUEST` is none.
        let typed = |l: &str| {
            let value = l.split_once("\"event_type\":").map_or("", |(_, v)| v.trim_start());
            value.strip_prefix('"').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let eve = |l: &str| l.starts_with('{') && typed(l) && !head::is_export(l) && l.contains("\"timestamp\":");
        if head::most(head, 50, eve) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Eve { context: context.clone() })
    }
}

struct Eve {
    context: Context,
}

/// Packets that the kernel dropped before Suricata saw them, since it began.
fn losses(event: &Members<'_>, at: Option<Time>) -> Option<Loss> {
    let stats = json::object(json::member(event, "stats")?.get())?;
    let capture = json::object(json::member(&stats, "capture")?.get())?;
    let count = |key| json::member(&capture, key).and_then(|raw| raw.get().parse::<u64>().ok());
    Some(Loss { what: "packets", lost: count("kernel_drops")?, of: count("kernel_packets")?, total: true, at })
}

impl Reader for Eve {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        if line.trim_ascii().is_empty() {
            return Status::Skipped;
        }
        let text = String::from_utf8_lossy(line);
        let Some(event) = json::object(&text) else {
            out.oddities.push(Oddity::at("json_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        self.event(&event, unit, line.len(), out)
    }
}

impl Eve {
    fn event(&self, event: &Members<'_>, unit: Unit, len: usize, out: &mut Out) -> Status {
        let Some(ty) = json::member(event, "event_type").map(json::scalar) else {
            out.oddities.push(Oddity::at("eve_without_type", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let time = json::member(event, "timestamp").and_then(|t| instant(t, &self.context, out));
        if ty == "stats" {
            out.losses.extend(losses(event, time));
            return Status::Skipped;
        }
        let mut d = Draft::timed(kind(&ty), &self.context, unit, len, time, out);
        let mut sensor = None;
        let mut icmp = (None, None);
        for (key, raw) in event {
            let value = || json::scalar(raw);
            match key.as_ref() {
                "timestamp" | "event_type" | "community_id" | "ip_v" | "flow" | "response_icmp_type" | "response_icmp_code" => {}
                "host" => sensor = Some(value()),
                "flow_id" => _ = d.text(field::UID, &value()),
                "pcap_cnt" => d.put_or_keep(field::PCAP_CNT, key, &value()),
                "in_iface" => _ = d.text(field::IFACE_IN, &value()),
                "out_iface" => _ = d.text(field::IFACE_OUT, &value()),
                "src_ip" => d.put_or_keep(field::SRC_IP, key, &value()),
                "src_port" => d.put_or_keep(field::SRC_PORT, key, &value()),
                "dest_ip" => d.put_or_keep(field::DST_IP, key, &value()),
                "dest_port" => d.put_or_keep(field::DST_PORT, key, &value()),
                "proto" => d.put_or_keep(field::PROTO, key, protocol(&value())),
                "icmp_type" => icmp.0 = value().parse().ok(),
                "icmp_code" => icmp.1 = value().parse().ok(),
                "app_proto" => app(&mut d, &value()),
                "direction" => _ = d.text(field::DIRECTION_STATED, &value()),
                "xff" => _ = d.text(field::XFF, &value()),
                "payload_printable" => _ = d.text(field::PAYLOAD_TEXT, &value()),
                "vlan" => vlan(&mut d, raw),
                _ => objects::lift(&mut d, &ty, key, raw, &self.context, out),
            }
        }
        if let (Some(kind), code) = icmp {
            d.icmp(kind, code.unwrap_or(0));
        }
        if matches!(
            ty.as_ref(),
            "http" | "dns" | "tls" | "ssh" | "smtp" | "dhcp" | "smb" | "krb5" | "ftp" | "rdp" | "snmp" | "sip" | "quic"
        ) {
            d.text(field::APP, &ty);
        }
        self.flow(&mut d, &ty, event, out);
        objects::complete(&mut d);
        d.finish(sensor.as_deref(), out)
    }

    /// The `flow` object: of a flow event its counters and span, of any other the direction that the event's own addresses lack.
    fn flow(&self, d: &mut Draft, ty: &str, event: &Members<'_>, out: &mut Out) {
        let raw = json::member(event, "flow").or_else(|| json::member(event, ty).filter(|_| ty == "netflow"));
        let flow = raw.and_then(|r| json::object(r.get()));
        if matches!(ty, "flow" | "netflow") {
            let Some(flow) = flow else {
                d.partial = true;
                return;
            };
            for (key, raw) in &flow {
                match key.as_ref() {
                    "start" => d.record.start = instant(raw, &self.context, out).unwrap_or(d.record.start),
                    "end" => d.record.end = instant(raw, &self.context, out).unwrap_or(d.record.end),
                    "pkts_toserver" | "pkts" => d.put_or_keep(field::PACKETS_OUT, key, raw.get()),
                    "pkts_toclient" => d.put_or_keep(field::PACKETS_IN, key, raw.get()),
                    "bytes_toserver" | "bytes" => d.put_or_keep(field::L2_BYTES_OUT, key, raw.get()),
                    "bytes_toclient" => d.put_or_keep(field::L2_BYTES_IN, key, raw.get()),
                    "state" => _ = d.text(field::STATE, &json::scalar(raw)),
                    "reason" => _ = d.text(field::END_REASON, &json::scalar(raw)),
                    "age" => {}
                    _ => d.keep_json(&format!("flow.{key}"), raw.get()),
                }
            }
            d.record.end = d.record.end.max(d.record.start);
            return;
        }
        let address = |members: &Option<Members<'_>>, key: &str| {
            members.as_ref().and_then(|m| json::member(m, key)).and_then(|raw| super::draft::address(&json::scalar(raw)))
        };
        let alert = json::member(event, "alert").and_then(|a| json::object(a.get()));
        let source = alert.as_ref().and_then(|a| json::member(a, "source")).and_then(|s| json::object(s.get()));
        let (src, dst) = (d.record.addr(field::SRC_IP), d.record.addr(field::DST_IP));
        let direction = d.record.text(field::DIRECTION_STATED).map(str::to_owned);
        let port = |id| d.record.uint(id);
        if let Some(origin) = address(&flow, "src_ip") {
            let from = flow.as_ref().and_then(|m| json::member(m, "src_port")).and_then(|p| p.get().parse().ok());
            if src != dst && Some(origin) == dst || src == dst && from.is_some() && from != port(field::SRC_PORT) {
                d.turn();
            }
        } else if let Some(origin) = address(&source, "ip") {
            if src != dst && Some(origin) == dst {
                d.turn();
            }
        } else if let Some(direction) = direction {
            if direction == "to_client" {
                d.turn();
            }
        } else {
            d.orient();
        }
        for (key, raw) in
            flow.iter().flatten().filter(|(k, _)| !matches!(k.as_ref(), "src_ip" | "dest_ip" | "src_port" | "dest_port"))
        {
            d.keep_json(&format!("flow.{key}"), raw.get());
        }
    }
}

/// A time of EVE: ISO with an offset; without one (certificates) it is UTC.
pub(super) fn instant(raw: &RawValue, context: &Context, out: &mut Out) -> Option<Time> {
    let text = json::scalar(raw);
    let mut stamp = clock::iso(text.as_bytes())?;
    stamp.east = stamp.east.or(Some(0));
    stamp.time(context, out)
}

fn kind(ty: &str) -> Kind {
    match ty {
        "alert" => Kind::Alert,
        "flow" | "netflow" => Kind::Flow,
        "dns" | "mdns" => Kind::Dns,
        "http" | "http2" => Kind::Http,
        "tls" | "quic" => Kind::Tls,
        "fileinfo" => Kind::File,
        "drop" => Kind::Fw,
        "dhcp" => Kind::Dhcp,
        "krb5" => Kind::Auth,
        "anomaly" => Kind::Notice,
        _ => Kind::Log,
    }
}

/// Suricata's names of protocols, where they differ from ours, as numbers.
fn protocol(name: &str) -> &str {
    match name {
        "IP-in-IP" => "4",
        "IPv6-Route" => "43",
        "IPv6-Frag" => "44",
        "IPv6-NoNxt" => "59",
        "IPv6-Opts" => "60",
        other => other,
    }
}

fn app(d: &mut Draft, app: &str) {
    if !matches!(app, "failed" | "unknown") {
        d.text(field::APP, app);
    }
}

fn vlan(d: &mut Draft, raw: &RawValue) {
    for (id, raw) in [field::VLAN, field::VLAN_INNER].into_iter().zip(json::elements(raw)) {
        d.put_or_keep(id, "vlan", raw.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_one, show};

    #[test]
    fn an_alert_is_read_with_its_rule_and_its_connection() {
        let line = r#"{"timestamp":"2018-07-05T15:07:20.910626-0400","flow_id":904992230150281,"in_iface":"en0","event_type":"alert","src_ip":"192.168.86.85","src_port":55641,"dest_ip":"192.168.156.70","dest_port":443,"proto":"TCP","tx_id":0,"alert":{"action":"allowed","gid":1,"signature_id":2024833,"rev":3,"signature":"ET POLICY Observed IP Lookup Domain (l2 .io in TLS SNI)","category":"Potential Corporate Privacy Violation","severity":1},"tls":{"session_resumed":true,"sni":"l2.io","version":"TLS 1.2"},"app_proto":"tls","flow":{"pkts_toserver":4,"pkts_toclient":3,"bytes_toserver":793,"bytes_toclient":343,"start":"2018-07-05T15:07:19.659593-0400"}}"#;
        assert_eq!(
            show(&FORMAT, line),
            "alert 2018-07-05T19:07:20.910626Z src.ip=192.168.86.85 src.port=55641 dst.ip=192.168.156.70 dst.port=443 proto=tcp app=tls \
             uid=904992230150281 name=l2.io sni=l2.io tls.version=TLS 1.2 signature=ET POLICY Observed IP Lookup Domain (l2 .io in TLS SNI) \
             signature.id=2024833 signature.gid=1 signature.rev=3 severity=high category=Potential Corporate Privacy Violation action=allow \
             interface.in=en0 extra={\"tx_id\":0,\"tls.session_resumed\":true,\"flow.pkts_toserver\":4,\"flow.pkts_toclient\":3,\
             \"flow.bytes_toserver\":793,\"flow.bytes_toclient\":343,\"flow.start\":\"2018-07-05T15:07:19.659593-0400\"}"
        );
    }

    #[test]
    fn a_flow_lasts_from_start_to_end_and_not_to_when_it_was_written() {
        let line = r#"{"timestamp":"2018-07-05T15:51:54.001329-0400","flow_id":1828507008887644,"event_type":"flow","src_ip":"fe80:0000:0000:0000:fada:0cff:fedc:87f1","src_port":546,"dest_ip":"ff02:0000:0000:0000:0000:0000:0001:0002","dest_port":547,"proto":"UDP","app_proto":"failed","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":110,"bytes_toclient":0,"start":"2018-07-05T15:51:23.453468-0400","end":"2018-07-05T15:51:23.453468-0400","age":0,"state":"new","reason":"timeout","alerted":false}}"#;
        assert_eq!(
            show(&FORMAT, line),
            "flow 2018-07-05T19:51:23.453468Z src.ip=fe80::fada:cff:fedc:87f1 src.port=546 dst.ip=ff02::1:2 dst.port=547 proto=udp \
             uid=1828507008887644 state=new packets.out=1 packets.in=0 l2.bytes.out=110 l2.bytes.in=0 end.reason=timeout \
             extra={\"flow.alerted\":false}"
        );
    }

    #[test]
    fn an_alert_on_the_answer_is_turned_to_the_direction_of_its_flow() {
        let line = r#"{"timestamp":"2026-11-20T08:00:00.000000+0000","event_type":"alert","src_ip":"203.0.113.9","src_port":8080,"dest_ip":"10.0.0.5","dest_port":50000,"proto":"TCP","alert":{"signature":"x","signature_id":1,"severity":2},"flow":{"src_ip":"10.0.0.5","dest_ip":"203.0.113.9","src_port":50000,"dest_port":8080}}"#;
        let read = read_one(&FORMAT, line);
        assert_eq!(read.record.uint(field::DST_PORT), Some(8080));
        assert_eq!(read.record.text(field::EXTRA), None);
    }

    #[test]
    fn dns_of_every_version_gives_the_same_record() {
        let head = r#"{"timestamp":"2026-11-20T08:00:00.000000+0000","event_type":"dns","src_ip":"10.0.0.5","src_port":5000,"dest_ip":"10.0.0.1","dest_port":53,"proto":"UDP","dns":"#;
        for (dns, names) in [
            (
                r#"{"type":"answer","id":12308,"rcode":"NOERROR","rrname":"a.example","rrtype":"A","ttl":299,"rdata":"192.0.2.1"}}"#,
                "",
            ),
            (
                r#"{"version":2,"type":"answer","id":12308,"rrname":"a.example","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"a.example","rrtype":"A","ttl":299,"rdata":"192.0.2.1"}]}}"#,
                "",
            ),
            (
                r#"{"version":3,"type":"response","id":12308,"rcode":"NOERROR","queries":[{"rrname":"a.example","rrtype":"A"}],"answers":[{"rrname":"a.example","rrtype":"A","ttl":299,"rdata":"192.0.2.1"}]}}"#,
                "",
            ),
        ] {
            let read = read_one(&FORMAT, &format!("{head}{dns}"));
            assert_eq!(read.record.text(field::NAME), Some("a.example"), "{names}");
            assert_eq!(read.record.addr(field::ANSWER_IP), "192.0.2.1".parse().ok());
            assert_eq!(read.record.uint(field::DNS_TTL), Some(299));
            assert_eq!(read.record.text(field::DNS_TYPE), Some("A"));
            assert_eq!(read.record.text(field::ACTION), Some("answered"));
            assert_eq!(read.record.text(field::EXTRA).unwrap_or(""), names);
        }
    }
}
