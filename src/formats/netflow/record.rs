//! One flow record: its elements become fields, what has no field goes to `extra` under IANA's name.
//!
//! Knows nothing of packets and templates. Elements of the reverse direction (RFC 5103) fill the responder's side; without them that side has
//! nothing, which is not zero. Of the elements without a field, those that are zero or empty say that there is none (no AS, no next hop) and
//! are left out. A translated address and port are kept where they differ from the original.

use super::bytes::{flags, u16_at, u32_at, u64_at, uint};
use super::elements::{self, CERT, Form, REVERSE};
use super::nat::{self, Shown};
use super::state::{Sampling, State};
use super::templates::Spec;
use super::times::{Exported, Stated, millis, ntp, seconds};
use crate::formats::{Context, Out, Status, Unit, clock, draft::Draft, json};
use crate::model::field::{self, FieldId};
use crate::model::hex::{hex, mac};
use crate::model::oddity::Oddity;
use crate::model::proto;
use crate::model::record::Kind;
use crate::model::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The phrase for counts of a sample.
pub(in crate::formats) const SAMPLED: &str =
    "the exporter sampled packets: counts of packets and bytes are those of the sample (sampling.interval in extra)";
/// The phrase for a time that no element states.
const TIME_ASSUMED: &str = "records without a time stand at when they were exported or collected";
/// Deepest nesting of lists in a record, and most lists and list records of one.
const DEPTH: usize = 4;
const LISTS: usize = 256;

/// What one direction has.
#[derive(Default)]
struct Way {
    addr: Option<IpAddr>,
    port: Option<u64>,
    mac: Option<String>,
    nat: Option<IpAddr>,
    nat_port: Option<u64>,
    bytes: Option<u64>,
    packets: Option<u64>,
    totals: [Option<u64>; 2],
    post: [Option<u64>; 2],
    payload: Option<u64>,
    l2: Option<u64>,
    flags: Option<u64>,
    first_flags: Option<u64>,
    icmp: [Option<u64>; 2],
}

/// A record being read.
pub(in crate::formats) struct Reading<'a> {
    state: &'a State,
    exported: Exported,
    d: Draft,
    ways: [Way; 2],
    times: Stated,
    sampling: Sampling,
    proto: Option<u64>,
    interfaces: [Option<u64>; 2],
    application: String,
    nat_event: Option<u64>,
    firewall_event: Option<u64>,
    reason: Option<u64>,
    initiator: Option<u64>,
    range: bool,
    lists: usize,
}

/// An address of 4 or 16 bytes.
pub(in crate::formats) fn addr(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// An application's number: the registry that it is of, and its number there (RFC 6759, 4.1).
pub(super) fn application(bytes: &[u8]) -> Option<String> {
    let (engine, selector) = bytes.split_first()?;
    let number = uint(selector.trim_ascii_start()).or_else(|| uint(selector));
    Some(number.map_or_else(|| format!("{engine}:{}", hex(selector)), |n| format!("{engine}:{n}")))
}

impl<'a> Reading<'a> {
    /// A record of a unit.
    pub fn new(state: &'a State, exported: Exported, context: &Context, unit: Unit, len: usize) -> Reading<'a> {
        Reading {
            state,
            exported,
            d: Draft::new(Kind::Flow, context, unit, len, exported.at),
            ways: Default::default(),
            times: Stated::default(),
            sampling: Sampling::default(),
            proto: None,
            interfaces: [None; 2],
            application: String::new(),
            nat_event: None,
            firewall_event: None,
            reason: None,
            initiator: None,
            range: false,
            lists: 0,
        }
    }
    /// Takes an element.
    pub fn element(&mut self, spec: &Spec, bytes: &[u8]) {
        self.nested(spec, bytes, 0);
    }
    /// A number that the record's packet states for all of them.
    pub fn number(&mut self, id: u16, value: u64) {
        self.element(&Spec { id, enterprise: 0, length: 8, is_scope9: false }, &value.to_be_bytes());
    }

    /// Keeps a text under a name.
    pub fn keep_text(&mut self, name: &str, text: &str) {
        self.d.keep(name, text);
    }
    /// A part of it could not be read.
    pub fn partial(&mut self) {
        self.d.partial = true;
    }

    fn nested(&mut self, spec: &Spec, bytes: &[u8], depth: usize) {
        if bytes.is_empty() {
            return;
        }
        match elements::form(spec) {
            Form::SubTemplateList | Form::SubTemplateMultiList | Form::BasicList if depth >= DEPTH || self.lists >= LISTS => {
                self.d.partial = true;
                self.keep(spec, bytes);
            }
            Form::SubTemplateList => {
                let id = u16_at(bytes, 1).unwrap_or(0);
                self.records(spec, id, bytes.get(3..).unwrap_or_default(), depth);
            }
            Form::SubTemplateMultiList => {
                let mut at = 1;
                while let (Some(id), Some(length)) = (u16_at(bytes, at), u16_at(bytes, at + 2)) {
                    let Some(inside) = bytes.get(at + 4..at + usize::from(length)) else {
                        self.d.partial = true;
                        return;
                    };
                    self.records(spec, id, inside, depth);
                    at += usize::from(length);
                }
            }
            Form::BasicList => self.list(bytes, depth),
            _ => {
                if spec.is_scope9 || !self.take(spec, bytes) {
                    self.keep(spec, bytes);
                }
            }
        }
    }
    /// Records of a template inside of a record.
    fn records(&mut self, spec: &Spec, id: u16, mut inside: &[u8], depth: usize) {
        let state = self.state;
        let Some(template) = state.template(id) else {
            if !inside.is_empty() {
                self.d.partial = true;
                self.keep(spec, inside);
            }
            return;
        };
        while let Some((values, length)) = template.cut(inside) {
            self.lists += 1;
            if self.lists > LISTS {
                self.d.partial = true;
                return;
            }
            values.iter().for_each(|(spec, bytes)| self.nested(spec, bytes, depth + 1));
            inside = inside.get(length..).unwrap_or_default();
        }
    }
    /// Values of one element, as an array.
    fn list(&mut self, bytes: &[u8], depth: usize) {
        let Some(id) = u16_at(bytes, 1) else { return };
        let (enterprise, from) = if id & 0x8000 == 0 { (0, 5) } else { (u32_at(bytes, 5).unwrap_or(0), 9) };
        let Some(length) = u16_at(bytes, 3) else { return };
        let spec = Spec { id: id & 0x7fff, enterprise, length, is_scope9: false };
        let template = super::templates::Template { fields: vec![spec], scope: 0, least: 1 };
        let (name, form) = elements::describe(&spec);
        let (mut inside, mut all) = (bytes.get(from..).unwrap_or_default(), String::new());
        while let Some((values, used)) = template.cut(inside) {
            self.lists += 1;
            if self.lists > LISTS {
                self.d.partial = true;
                break;
            }
            for (spec, value) in values {
                if matches!(form, Form::SubTemplateList | Form::SubTemplateMultiList | Form::BasicList) {
                    self.nested(&spec, value, depth + 1);
                } else if let Some(shown) = json_of(form, value) {
                    all.push(if all.is_empty() { '[' } else { ',' });
                    all += &shown;
                }
            }
            inside = inside.get(used..).unwrap_or_default();
        }
        if !all.is_empty() {
            self.d.keep_json(&name, &(all + "]"));
        }
    }
    /// Keeps an element under its name.
    fn keep(&mut self, spec: &Spec, bytes: &[u8]) {
        let (name, form) = elements::describe(spec);
        if let Some(shown) = json_of(form, bytes).filter(|s| !matches!(s.as_str(), "0" | "\"\"")) {
            self.d.keep_json(&name, &shown);
        }
    }
    fn give_text(&mut self, id: FieldId, bytes: &[u8]) -> bool {
        let text = text(bytes);
        text.is_empty() || self.d.text(id, &text)
    }

    /// Takes an element that has a meaning here. False: it has none, or said the same thing before.
    fn take(&mut self, spec: &Spec, bytes: &[u8]) -> bool {
        let (id, side) = match spec.enterprise {
            0 => (spec.id, 0),
            REVERSE => (spec.id, 1),
            CERT => {
                let side = usize::from(spec.id & 0x4000 != 0);
                let (Some(n), Some(way)) = (uint(bytes), self.ways.get_mut(side)) else { return false };
                return match spec.id & 0x3fff {
                    14 => way.first_flags.is_none() && way.first_flags.replace(n).is_none(),
                    15 => way.flags.is_none() && way.flags.replace(n | way.first_flags.unwrap_or(0)).is_none(),
                    _ => false,
                };
            }
            _ => return false,
        };
        if side == 0 && self.text_or_address(id, bytes) {
            return true;
        }
        let Some(n) = uint(bytes) else { return false };
        let Some(way) = self.ways.get_mut(side) else { return false };
        let put = |slot: &mut Option<u64>| slot.is_none() && slot.replace(n).is_none();
        match id {
            1 => put(&mut way.bytes),
            2 => put(&mut way.packets),
            6 => put(&mut way.flags),
            85 => put(&mut way.totals[0]),
            86 => put(&mut way.totals[1]),
            23 => put(&mut way.post[0]),
            24 => put(&mut way.post[1]),
            352 | 353 => put(&mut way.l2),
            32 | 139 => {
                way.icmp = [Some(n >> 8), Some(n & 0xff)];
                true
            }
            176 | 178 => put(&mut way.icmp[0]),
            177 | 179 => put(&mut way.icmp[1]),
            _ if side == 1 => false,
            7 | 180 | 182 => put(&mut way.port),
            11 | 181 | 183 => put(&mut self.ways[1].port),
            227 | 40_003 => put(&mut way.nat_port),
            228 | 40_004 => put(&mut self.ways[1].nat_port),
            231 => put(&mut way.payload),
            232 => put(&mut self.ways[1].payload),
            298 => way.packets.is_none() && put(&mut way.packets),
            299 => put(&mut self.ways[1].packets),
            4 => put(&mut self.proto),
            10 => put(&mut self.interfaces[0]),
            14 => put(&mut self.interfaces[1]),
            136 => put(&mut self.reason),
            230 => put(&mut self.nat_event),
            233 | 40_005 => put(&mut self.firewall_event),
            239 => put(&mut self.initiator),
            _ => self.timed(id, n) || self.sampling.take(id, n) || self.other(id, n),
        }
    }
    fn text_or_address(&mut self, id: u16, bytes: &[u8]) -> bool {
        let side = usize::from(matches!(id, 12 | 28 | 226 | 282 | 40_002 | 80));
        let Some(way) = self.ways.get_mut(side) else { return false };
        match id {
            8 | 27 | 12 | 28 => {
                way.addr.is_none_or(|a| a.is_unspecified()) && addr(bytes).is_some_and(|a| way.addr.replace(a).is_none() || true)
            }
            225 | 226 | 281 | 282 | 40_001 | 40_002 => {
                way.nat.is_none_or(|a| a.is_unspecified()) && addr(bytes).is_some_and(|a| way.nat.replace(a).is_none() || true)
            }
            56 | 80 if bytes.len() == 6 => {
                let none = bytes.iter().all(|b| *b == 0);
                none || way.mac.is_none() && way.mac.replace(mac(bytes)).is_none()
            }
            95 => {
                let Some(number) = application(bytes) else { return false };
                if bytes.iter().any(|b| *b != 0) {
                    self.d.keep("applicationId", &number);
                }
                self.application = number;
                true
            }
            96 | 56_701 => {
                let name = text(bytes).to_lowercase();
                name.is_empty() || self.d.text(field::APP, &name)
            }
            371 | 40_000 | 56_702 => self.give_text(field::USER, bytes),
            459 => self.give_text(field::HTTP_METHOD, bytes),
            460 => self.give_text(field::HTTP_HOST, bytes),
            461 => self.give_text(field::HTTP_URI, bytes),
            468 => self.give_text(field::HTTP_AGENT, bytes),
            469 => self.give_text(field::HTTP_TYPE, bytes),
            33_000 | 33_001 if bytes.len() == 12 => {
                let parts: Vec<String> = (0..3).filter_map(|n| u32_at(bytes, n * 4)).map(|n| format!("0x{n:x}")).collect();
                if bytes.iter().any(|b| *b != 0) {
                    self.d.keep(if id == 33_000 { "ingressAcl" } else { "egressAcl" }, &parts.join("/"));
                }
                true
            }
            154..=157 | 324 | 325 => match u64_at(bytes, 0).filter(|bits| bytes.len() == 8 && *bits != 0) {
                Some(bits) if id >= 324 => self.times.observed.replace(ntp(bits)).is_none() || true,
                Some(bits) => {
                    self.times.take(usize::from(id % 2 == 1), ntp(bits), if id < 156 { 2 } else { 3 });
                    true
                }
                None => false,
            },
            _ => false,
        }
    }
    fn timed(&mut self, id: u16, n: u64) -> bool {
        let counter = u32::try_from(n).ok();
        match id {
            21 => self.times.uptime[1] = counter,
            22 => self.times.uptime[0] = counter,
            150 | 151 => self.times.take(usize::from(id == 151), seconds(n), 0),
            // Zero is no time: NSEL has it where a flow was denied.
            152 | 153 if n == 0 => {}
            152 | 153 => self.times.take(usize::from(id == 153), millis(n), 1),
            158 | 159 => self.times.take(usize::from(id == 159), self.exported.before(n), 2),
            160 => self.exported.began = Some(millis(n)),
            161 => self.times.lasting = self.times.lasting.or(i64::try_from(n).ok().map(|n| n.saturating_mul(1_000_000))),
            162 => self.times.lasting = i64::try_from(n).ok().map(|n| n.saturating_mul(1000)),
            322 => self.times.observed = Some(seconds(n)),
            323 => self.times.observed = Some(millis(n)),
            258 => {
                self.times.collected = Some(millis(n));
                return false;
            }
            _ => return false,
        }
        true
    }
    fn other(&mut self, id: u16, n: u64) -> bool {
        match id {
            58 | 243 => n == 0 || self.d.uint(field::VLAN, n),
            245 => n == 0 || self.d.uint(field::VLAN_INNER, n),
            61 => match n {
                0 => self.d.text(field::DIRECTION_STATED, "in"),
                1 => self.d.text(field::DIRECTION_STATED, "out"),
                _ => false,
            },
            89 => {
                // RFC 7270, 4.12: two bits of status, six of reason.
                if n >> 6 == 2 || n == 2 {
                    self.d.text(field::ACTION, "drop");
                }
                false
            }
            148 => n == 0 || self.d.text(field::UID, &n.to_string()),
            210 => true,
            457 => n == 0 || self.d.uint(field::HTTP_STATUS, n),
            33_002 => {
                if let Some(words) = nat::extended(n) {
                    self.d.text(field::REASON, words);
                }
                false
            }
            361 | 362 => {
                self.range = true;
                false
            }
            _ => false,
        }
    }
}

/// A value as JSON.
pub(super) fn json_of(form: Form, bytes: &[u8]) -> Option<String> {
    let quoted = |text: &str| {
        let mut out = String::new();
        json::quote(text, &mut out);
        out
    };
    Some(match form {
        Form::Padding => return None,
        Form::Uint | Form::Seconds | Form::Millis => match uint(bytes) {
            Some(n) if form == Form::Seconds && n > 0 => quoted(&seconds(n).rfc3339()),
            Some(n) if form == Form::Millis && n > 0 => quoted(&millis(n).rfc3339()),
            Some(n) => n.to_string(),
            None => quoted(&hex(bytes)),
        },
        Form::Int => {
            let n = uint(bytes)?;
            let shift = 64 - bytes.len() * 8;
            ((n << shift) as i64 >> shift).to_string()
        }
        Form::Float => {
            let x = match bytes.len() {
                4 => f64::from(f32::from_bits(u32_at(bytes, 0)?)),
                _ => f64::from_bits(u64_at(bytes, 0)?),
            };
            if x.is_finite() { x.to_string() } else { quoted(&x.to_string()) }
        }
        Form::Bool => matches!(bytes, [1]).to_string(),
        Form::Addr => match addr(bytes) {
            Some(a) if a.is_unspecified() => return None,
            Some(a) => quoted(&a.to_string()),
            None => quoted(&hex(bytes)),
        },
        Form::Mac if bytes.iter().all(|b| *b == 0) => return None,
        Form::Mac => quoted(&mac(bytes)),
        Form::Text => quoted(&text(bytes)),
        Form::Ntp => quoted(&ntp(u64_at(bytes, 0)?).rfc3339()),
        Form::Octets | Form::BasicList | Form::SubTemplateList | Form::SubTemplateMultiList => {
            if bytes.iter().all(|b| *b == 0) {
                return None;
            }
            quoted(&hex(bytes))
        }
    })
}

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
