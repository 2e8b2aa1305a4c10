//! Flow logs of Azure: of network security groups, versions 1 and 2, and of virtual networks (Microsoft, Azure Network Watcher, "NSG flow logs" and "Virtual
//! network flow logs"). A document of records, or records one after another; each holds tuples as text.
//!
//! A tuple is what happened to a flow at a time: it began, went on, ended, was denied. Counts are since the tuple before; those of a tuple without any are
//! absent. The record's place is the tuple's. Bytes are as Azure counts them.

use super::draft::{self, Draft};
use super::json::{self, Members};
use super::objects::{Found, Objects};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, flow_text, head};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use serde_json::value::RawValue;
use std::io::BufRead;

/// The format.
pub static FORMAT: AzureFlow = AzureFlow;

/// Flow logs of Azure.
pub struct AzureFlow;

/// Bytes of an object's members that are kept with each of its tuples.
const KEPT_MAX: usize = 4 << 10;

impl Format for AzureFlow {
    fn name(&self) -> &'static str {
        "azure-flow"
    }
    fn doc(&self) -> &'static str {
        "Flow logs of Azure as JSON: network security groups, versions 1 and 2, and virtual networks (Microsoft, Azure Network Watcher)."
    }
    fn framing(&self) -> Framing {
        Framing::Document
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let text = String::from_utf8_lossy(head::plain(head));
        let begins = text.trim_start().starts_with(['{', '[']) && !head::is_export(&text);
        let named = ["NetworkSecurityGroupFlowEvent", "FlowLogFlowEvent", "\"flowRecords\""].iter().any(|n| text.contains(n));
        if begins && named && text.contains("\"flowTuples\"") { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Document { context: context.clone() })
    }
}

struct Document {
    context: Context,
}

impl Reader for Document {
    fn line(&mut self, _: &[u8], _: Unit, _: &mut Out) -> Status {
        Status::Skipped
    }
    fn document(&mut self, input: &mut dyn BufRead, each: &mut dyn FnMut(Status, Out) -> bool) {
        let mut objects = Objects::new(input, &["records"]);
        loop {
            let goes_on = match objects.next() {
                Found::Object(text, offset) => {
                    let unit = Unit { offset, line: 0 };
                    Event { context: &self.context, text: &text, unit }.read(each)
                }
                Found::Bad(what, offset) => bad(what, offset, each),
                Found::Over => return,
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// Something at a place that could not be read. `false`: the import is cancelled.
fn bad(what: &'static str, offset: u64, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
    let oddities = vec![Oddity::at(what, format!("byte {offset}"))];
    each(Status::Failed, Out { oddities, unit: Unit { offset, line: 0 }, ..Out::default() })
}

/// A record of the document.
struct Event<'a> {
    context: &'a Context,
    text: &'a str,
    unit: Unit,
}

/// What is said of a group of tuples.
struct Group<'a> {
    /// Of virtual networks, whose tuples are of another form.
    virtual_network: bool,
    sensor: &'a str,
    mac: &'a str,
    rule: &'a str,
    kept: &'a [(String, String)],
    /// There was more to be kept.
    partial: bool,
}

fn text_of(members: &Members<'_>, key: &str) -> String {
    json::member(members, key).map(|raw| json::scalar(raw).into_owned()).unwrap_or_default()
}

fn list<'a>(members: &Members<'a>, key: &str) -> Vec<&'a RawValue> {
    json::member(members, key).map(json::elements).unwrap_or_default()
}

impl Event<'_> {
    /// Where a part of it stands in the evidence.
    fn place(&self, raw: &RawValue) -> u64 {
        let inside = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.unit.offset + inside.min(self.text.len()) as u64
    }

    /// Gives each tuple out by itself: an object may hold a great many. `false`: the import is cancelled.
    fn read(&self, each: &mut dyn FnMut(Status, Out) -> bool) -> bool {
        let Some(members) = json::object(self.text) else { return bad("json_malformed", self.unit.offset, each) };
        let inside = |key| json::member(&members, key).and_then(|raw| json::object(raw.get()));
        let flows = inside("flowRecords").or_else(|| inside("properties"));
        let Some(flows) = flows.filter(|f| json::member(f, "flows").is_some()) else {
            return bad("azure_flow_malformed", self.unit.offset, each);
        };
        let resource = text_of(&members, "resourceId");
        let target = text_of(&members, "targetResourceID");
        // The name at the end of `/SUBSCRIPTIONS/.../NETWORKSECURITYGROUPS/NAME`.
        let whole = if target.is_empty() { resource.as_str() } else { target.as_str() };
        let sensor = draft::cut(whole.rsplit('/').next().unwrap_or_default());
        let virtual_network = json::member(&members, "flowRecords").is_some();
        let mut kept: Vec<(String, String)> = members
            .iter()
            .filter(|(key, raw)| key != "macAddress" && !json::is_nested(raw))
            .map(|(key, raw)| (key.to_string(), json::scalar(raw).into_owned()))
            .collect();
        let version = text_of(&flows, "Version");
        if !version.is_empty() {
            kept.push(("Version".to_owned(), version));
        }
        // Every tuple has them.
        let mut left = KEPT_MAX;
        let before = kept.len();
        kept.retain(|(key, value)| {
            let rest = left.checked_sub(key.len() + value.len());
            left = rest.unwrap_or(left);
            rest.is_some()
        });
        let of_all = kept.len();
        let mut nothing = true;
        let own_mac = mac(&text_of(&members, "macAddress"));
        for raw in list(&flows, "flows") {
            let Some(flow) = json::object(raw.get()) else {
                nothing = false;
                if !bad("azure_flow_malformed", self.place(raw), each) {
                    return false;
                }
                continue;
            };
            let mut partial = of_all < before;
            if virtual_network {
                kept.truncate(of_all);
                let acl = text_of(&flow, "aclID");
                match acl.len() <= left {
                    true => kept.push(("aclID".to_owned(), acl)),
                    false => partial = true,
                }
            }
            for raw in list(&flow, if virtual_network { "flowGroups" } else { "flows" }) {
                let Some(group) = json::object(raw.get()) else {
                    nothing = false;
                    if !bad("azure_flow_malformed", self.place(raw), each) {
                        return false;
                    }
                    continue;
                };
                let rule = text_of(if virtual_network { &group } else { &flow }, "rule");
                let group_mac = mac(&text_of(&group, "mac"));
                let mac = if group_mac.is_empty() { &own_mac } else { &group_mac };
                let about = Group { virtual_network, sensor, mac, rule: &rule, kept: &kept, partial };
                for raw in list(&group, "flowTuples") {
                    nothing = false;
                    let unit = Unit { offset: self.place(raw), line: 0 };
                    let mut out = Out { unit, ..Out::default() };
                    let status = self.tuple(raw, unit, &about, &mut out);
                    if !each(status, out) {
                        return false;
                    }
                }
            }
        }
        !nothing || each(Status::Skipped, Out { unit: self.unit, ..Out::default() })
    }

    fn tuple(&self, raw: &RawValue, unit: Unit, group: &Group<'_>, out: &mut Out) -> Status {
        let text = json::scalar(raw);
        let cells: Vec<&str> = text.split(',').map(str::trim).collect();
        let (Some(time), true) = (cells.first().and_then(|t| clock::epoch(t)), cells.len() >= 8) else {
            out.oddities.push(Oddity::at("azure_tuple_malformed", format!("byte {}", unit.offset)));
            return Status::Failed;
        };
        let mut d = Draft::new(Kind::Flow, self.context, unit, raw.get().len(), time);
        d.partial = group.partial;
        let cell = |n: usize| cells.get(n).copied().unwrap_or_default();
        d.put_or_keep(field::SRC_IP, "src.ip", cell(1));
        d.put_or_keep(field::DST_IP, "dst.ip", cell(2));
        match cell(5) {
            "T" => flow_text::protocol(&mut d, "tcp"),
            "U" => flow_text::protocol(&mut d, "udp"),
            other => flow_text::protocol(&mut d, other),
        }
        flow_text::ports(&mut d, cell(3), cell(4));
        let inbound = cell(6) == "I";
        match cell(6) {
            "I" => _ = d.text(field::DIRECTION_STATED, "in"),
            "O" => _ = d.text(field::DIRECTION_STATED, "out"),
            other => d.keep("direction", other),
        }
        // The address is of the interface of which it is the log.
        d.text(if inbound { field::DST_MAC } else { field::SRC_MAC }, group.mac);
        let (decision, state) = match group.virtual_network {
            true if cell(7) == "D" => ("D", ""),
            true => ("A", cell(7)),
            false => (cell(7), cell(8)),
        };
        match decision {
            "A" => _ = d.text(field::ACTION, "allow"),
            "D" => _ = d.text(field::ACTION, "deny"),
            other => d.keep("decision", other),
        }
        match state {
            "B" => _ = d.text(field::STATE, "begin"),
            "C" => _ = d.text(field::STATE, "continuing"),
            "E" => _ = d.text(field::STATE, "end"),
            other => d.keep("state", other),
        }
        if group.virtual_network {
            d.keep("encryption", cell(8));
        }
        for (n, id) in [(9, field::PACKETS_OUT), (10, field::BYTES_OUT), (11, field::PACKETS_IN), (12, field::BYTES_IN)] {
            // What begins or is denied has no counts yet.
            let none = cell(n).is_empty() || cell(n) == "0" && matches!(state, "B" | "");
            if !none {
                d.put_or_keep(id, &field::name(id), cell(n));
            }
        }
        for (n, more) in cells.iter().enumerate().skip(13) {
            d.keep(&format!("tuple.{n}"), more);
        }
        d.text(field::RULE, group.rule);
        group.kept.iter().for_each(|(name, value)| d.keep(name, value));
        d.finish(Some(group.sensor), out)
    }
}

/// `000D3AF8801A` with colons.
fn mac(text: &str) -> String {
    if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return text.to_owned();
    }
    (0..6).filter_map(|n| text.get(n * 2..n * 2 + 2)).collect::<Vec<_>>().join(":").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn tuples_of_security_groups_of_both_versions_are_read() {
        let text = r#"{"records":[{"time":"2026-11-20T08:00:00Z","macAddress":"000D3AF8801A","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB-NSG","operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":2,"flows":[{"rule":"DefaultRule_DenyAllInBound","flows":[{"mac":"000D3AF8801A","flowTuples":["1795161585,203.0.113.95,10.1.0.4,51529,5358,T,I,D"]}]},{"rule":"UserRule_out","flows":[{"mac":"000D3AF8801A","flowTuples":["1795161590,10.1.0.4,198.51.100.76,1158,443,T,O,A,E,9,1586,8,7000","1795161591,10.1.0.4,198.51.100.76,1159,443,T,O,A,B,,,,","broken"]}]}]}}]}"#;
        let all = read_all(&FORMAT, text);
        assert_eq!(all.counts, [3, 0, 0, 1]);
        assert_eq!(all.oddities.len(), 1);
        let extra = "extra={\"time\":\"2026-11-20T08:00:00Z\",\"category\":\"NetworkSecurityGroupFlowEvent\",\"resourceId\":\"/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB-NSG\",\"operationName\":\"NetworkSecurityGroupFlowEvents\",\"Version\":\"2\"} sensor=WEB-NSG";
        assert_eq!(
            all.shown(),
            format!(
                "flow 2026-11-20T07:59:45Z src.ip=203.0.113.95 src.port=51529 dst.ip=10.1.0.4 dst.port=5358 proto=tcp dst.mac=00:0d:3a:f8:80:1a \
                 direction.stated=in action=deny rule=DefaultRule_DenyAllInBound {extra}\n\
                 flow 2026-11-20T07:59:50Z src.ip=10.1.0.4 src.port=1158 dst.ip=198.51.100.76 dst.port=443 proto=tcp src.mac=00:0d:3a:f8:80:1a \
                 direction.stated=out state=end packets.out=9 packets.in=8 bytes.out=1586 bytes.in=7000 action=allow rule=UserRule_out {extra}\n\
                 flow 2026-11-20T07:59:51Z src.ip=10.1.0.4 src.port=1159 dst.ip=198.51.100.76 dst.port=443 proto=tcp src.mac=00:0d:3a:f8:80:1a \
                 direction.stated=out state=begin action=allow rule=UserRule_out {extra}\n"
            )
        );
        let first = &all.records[0].record;
        assert_eq!(
            &text[first.id.offset as usize..][..first.len as usize],
            "\"1795161585,203.0.113.95,10.1.0.4,51529,5358,T,I,D\""
        );
    }

    #[test]
    fn what_is_no_flow_is_said_and_reading_goes_on() {
        let tuple = r#""1795161585,203.0.113.95,10.1.0.4,51529,5358,T,I,D""#;
        let long = "x".repeat(KEPT_MAX);
        let text = format!(
            r#"{{"records":[{{"category":"NetworkSecurityGroupFlowEvent","note":"{long}","properties":{{"flows":[7,{{"rule":"r","flows":["no group",{{"flowTuples":[{tuple},{tuple}]}}]}}]}}}}]}}"#
        );
        let all = read_all(&FORMAT, &text);
        assert_eq!((all.counts, all.oddities.len()), ([0, 2, 0, 2], 2), "{:?}", all.oddities);
        assert!(all.records.iter().all(|r| !crate::formats::tests::line(r).contains("xxx")));
        assert!(all.records[0].record.id.offset < all.records[1].record.id.offset);
    }

    #[test]
    fn tuples_of_virtual_networks_are_read() {
        let text = r#"{"records":[{"time":"2026-11-20T08:00:52.5Z","flowLogVersion":4,"macAddress":"112233445566","category":"FlowLogFlowEvent","targetResourceID":"/subscriptions/s/virtualNetworks/myVNet","flowRecords":{"flows":[{"aclID":"00aa","flowGroups":[{"rule":"DefaultRule_AllowInternetOutBound","flowTuples":["1795161585599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0","1795161590606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580","1795161591000,192.0.2.9,10.0.0.6,40000,22,6,I,D,NX,0,0,0,0"]}]}]}}]}"#;
        let all = read_all(&FORMAT, text);
        assert_eq!(all.counts, [3, 0, 0, 0]);
        let extra = "extra={\"encryption\":\"NX\",\"time\":\"2026-11-20T08:00:52.5Z\",\"flowLogVersion\":\"4\",\"category\":\"FlowLogFlowEvent\",\"targetResourceID\":\"/subscriptions/s/virtualNetworks/myVNet\",\"aclID\":\"00aa\"} sensor=myVNet";
        assert_eq!(
            all.shown(),
            format!(
                "flow 2026-11-20T07:59:45.599Z src.ip=10.0.0.6 src.port=23956 dst.ip=192.0.2.180 dst.port=443 proto=tcp src.mac=11:22:33:44:55:66 \
                 direction.stated=out state=begin action=allow rule=DefaultRule_AllowInternetOutBound {extra}\n\
                 flow 2026-11-20T07:59:50.606Z src.ip=10.0.0.6 src.port=23956 dst.ip=192.0.2.180 dst.port=443 proto=tcp src.mac=11:22:33:44:55:66 \
                 direction.stated=out state=end packets.out=3 packets.in=2 bytes.out=767 bytes.in=1580 action=allow rule=DefaultRule_AllowInternetOutBound {extra}\n\
                 flow 2026-11-20T07:59:51Z src.ip=192.0.2.9 src.port=40000 dst.ip=10.0.0.6 dst.port=22 proto=tcp dst.mac=11:22:33:44:55:66 \
                 direction.stated=in action=deny rule=DefaultRule_AllowInternetOutBound {extra}\n"
            )
        );
    }
}
