//! What a record's elements come to: its kind, its ends, its counts, its words.

use super::bytes::flags;
use super::nat::{self, Shown};
use super::record::{Reading, SAMPLED};
use super::times::Exported;
use crate::formats::{Out, Status, clock};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::proto;
use crate::model::record::Kind;
use crate::model::value::Value;

/// The phrase for a time that no element states.
const TIME_ASSUMED: &str = "records without a time stand at when they were exported or collected";

impl Reading<'_> {
    /// The number of the event of a translator, with what tells its numbering.
    pub fn translation(&self) -> Option<(u64, Shown)> {
        let source = self.ways[0].addr;
        let shown = Shown { v6: source.is_some_and(|a| a.is_ipv6()), source: source.is_some(), range: self.range };
        self.nat_event.map(|event| (event, shown))
    }
    /// Gives the record out.
    pub fn finish(mut self, sensor: Option<&str>, out: &mut Out) -> Status {
        let span = self.times.span(&Exported { began: self.exported.began.or(self.state.began), ..self.exported });
        (self.d.record.start, self.d.record.end) = (span.start, span.end);
        if span.assumed {
            clock::assume(out, TIME_ASSUMED);
        }
        if span.backwards {
            self.d.partial = true;
            out.oddities.push(Oddity::new("flow_ends_before_it_begins"));
        }
        // RFC 5103, 6.3: 2 says that the destination began.
        match self.initiator {
            Some(2) => self.ways.swap(0, 1),
            Some(3) => self.d.keep("biflowDirection", "perimeter"),
            _ => {}
        }
        self.kind();
        if let Some(p) = self.proto {
            self.d.uint(field::PROTO, p);
        }
        self.ends();
        self.counts();
        self.words();
        if self.state.sampling(&self.sampling).keep(&mut self.d) {
            clock::assume(out, SAMPLED);
        }
        self.d.finish(sensor, out)
    }
    fn kind(&mut self) {
        if let Some(event) = self.nat_event.filter(|e| *e > 0) {
            self.d.record.kind = Kind::Fw;
            self.d.text(field::EVENT_CODE, &event.to_string());
            match nat::nat(event, self.state.numbering.get()) {
                Some((action, words)) => {
                    self.d.text(field::ACTION, action);
                    self.d.text(field::REASON, words);
                }
                None => self.d.keep_json("natEvent", &event.to_string()),
            }
        }
        if let Some(event) = self.firewall_event {
            self.d.record.kind = Kind::Fw;
            match nat::firewall(event) {
                Some(action) => _ = self.d.text(field::ACTION, action),
                None => self.d.keep_json("firewallEvent", &event.to_string()),
            }
        }
        if self.ways.iter().all(|w| w.addr.is_none()) && self.d.record.kind == Kind::Flow {
            self.d.record.kind = Kind::Log;
        }
    }
    /// Addresses, ports and their translation.
    fn ends(&mut self) {
        const IDS: [[FieldId; 5]; 2] = [
            [field::SRC_IP, field::SRC_PORT, field::SRC_MAC, field::NAT_SRC_IP, field::NAT_SRC_PORT],
            [field::DST_IP, field::DST_PORT, field::DST_MAC, field::NAT_DST_IP, field::NAT_DST_PORT],
        ];
        self.icmp();
        for (way, [ip, port, hardware, nat_ip, nat_port]) in self.ways.iter().zip(IDS) {
            // An event of a translator may have no destination.
            if let Some(a) = way.addr.filter(|a| self.nat_event.is_none() || !a.is_unspecified()) {
                self.d.give(ip, Value::Addr(a));
            }
            // Ports of ICMP are its type and code, which have been given.
            if let Some(p) = way.port.filter(|_| !self.d.has(port)) {
                self.d.uint(port, p);
            }
            if let Some(mac) = &way.mac {
                self.d.text(hardware, mac);
            }
            let ip_after = way.nat.filter(|a| !a.is_unspecified());
            let port_after = way.nat_port.filter(|p| *p > 0);
            let moved = ip_after.is_some_and(|a| Some(a) != way.addr) || port_after.is_some_and(|p| Some(p) != way.port);
            if moved {
                ip_after.or(way.addr).map(|a| self.d.give(nat_ip, Value::Addr(a)));
                port_after.map(|p| self.d.uint(nat_port, p));
            }
        }
    }
    fn icmp(&mut self) {
        if !matches!(self.proto, Some(p) if p == u64::from(proto::ICMP) || p == u64::from(proto::ICMP6)) {
            return;
        }
        let ports = [self.ways[0].port, self.ways[1].port];
        let (kind, code) = match (self.ways[0].icmp, ports) {
            ([Some(kind), code], _) => (kind, code.unwrap_or(0)),
            // As NetFlow v5 has it: both in the destination's port.
            (_, [None | Some(0), Some(both)]) => (both >> 8, both & 0xff),
            _ => return,
        };
        self.d.icmp(kind, code);
        // A code other than 0 of a type with a counterpart has no place in the ports.
        if code != 0 && self.d.record.uint(field::DST_PORT) != Some(code) {
            self.d.keep_json("icmpCode", &code.to_string());
        }
    }
    fn counts(&mut self) {
        const IDS: [[FieldId; 4]; 2] = [
            [field::BYTES_OUT, field::PACKETS_OUT, field::PAYLOAD_OUT, field::L2_BYTES_OUT],
            [field::BYTES_IN, field::PACKETS_IN, field::PAYLOAD_IN, field::L2_BYTES_IN],
        ];
        for (side, (way, ids)) in self.ways.iter().zip(IDS).enumerate() {
            let spare = |delta: Option<u64>, n: usize| delta.or(way.totals[n]).or(way.post[n]);
            for (id, value) in ids.into_iter().zip([spare(way.bytes, 0), spare(way.packets, 1), way.payload, way.l2]) {
                value.map(|n| self.d.uint(id, n));
            }
            let names = match side {
                0 => ["octetTotalCount", "packetTotalCount", "postOctetDeltaCount", "postPacketDeltaCount"],
                _ => [
                    "reverseOctetTotalCount",
                    "reversePacketTotalCount",
                    "reversePostOctetDeltaCount",
                    "reversePostPacketDeltaCount",
                ],
            };
            let given = [way.bytes, way.packets];
            for n in 0..2 {
                if let (Some(total), Some(_)) = (way.totals[n], given[n]) {
                    self.d.keep_json(names[n], &total.to_string());
                }
                if let Some(post) = way.post[n].filter(|p| *p > 0 && given[n].or(way.totals[n]).is_some()) {
                    self.d.keep_json(names[n + 2], &post.to_string());
                }
            }
            let bits = way.flags.or(way.first_flags).filter(|_| self.proto.is_none_or(|p| p == u64::from(proto::TCP)));
            if let Some(bits) = bits.filter(|b| *b > 0) {
                match side {
                    0 => _ = self.d.text(field::TCP_FLAGS, &flags(bits)),
                    _ => self.d.keep("tcp.flags.in", &flags(bits)),
                }
            }
            if let Some(bits) = way.first_flags.filter(|b| *b > 0) {
                self.d.keep(if side == 0 { "initialTCPFlags" } else { "reverseInitialTCPFlags" }, &flags(bits));
            }
        }
    }
    fn words(&mut self) {
        for (n, id, name) in [(0, field::IFACE_IN, "ingressInterface"), (1, field::IFACE_OUT, "egressInterface")] {
            let Some(number) = self.interfaces[n] else { continue };
            match self.state.interface(number) {
                Some(word) => {
                    self.d.text(id, word);
                    self.d.keep_json(name, &number.to_string());
                }
                None => _ = self.d.text(id, &number.to_string()),
            }
        }
        if let Some(name) = self.state.application(&self.application) {
            self.d.text(field::APP, name);
        }
        match self.reason {
            None | Some(0) => {}
            Some(n) => match END_REASONS.get(n as usize).filter(|w| !w.is_empty()) {
                Some(word) => _ = self.d.text(field::END_REASON, word),
                None => self.d.keep_json("flowEndReason", &n.to_string()),
            },
        }
    }
}

/// `flowEndReason` (RFC 5102, 5.11.3).
const END_REASONS: [&str; 6] = ["", "timeout", "active timeout", "close", "forced", "eviction"];
