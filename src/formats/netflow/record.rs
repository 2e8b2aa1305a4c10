//! One flow record: its elements become fields, what has no field goes to `extra` under IANA's name.
//!
//! Knows nothing of packets and templates. Elements of the reverse direction (RFC 5103) fill the responder's side; without them that side has
//! nothing, which is not zero. Of the elements without a field, those that are zero or empty say that there is none (no AS, no next hop) and
//! are left out. A translated address and port are kept where they differ from the original.

use super::bytes::{u16_at, u32_at, u64_at, uint};
use super::elements::{self, CERT, REVERSE};
use super::forms::{Form, addr, application, json_of, text};
use super::nat;
use super::state::{Sampling, State};
use super::templates::Spec;
use super::times::{Exported, Stated, millis, ntp, seconds};
use crate::formats::{Context, Unit, draft::Draft};
use crate::model::field::{self, FieldId};
use crate::model::hex::mac;
use crate::model::record::Kind;
use std::net::IpAddr;

/// The phrase for counts of a sample.
pub(in crate::formats) const SAMPLED: &str =
    "the exporter sampled packets: counts of packets and bytes are those of the sample (sampling.interval in extra)";
/// Deepest nesting of lists in a record, and most lists and list records of one.
const DEPTH: usize = 4;
const LISTS: usize = 256;

/// What one direction has.
#[derive(Default)]
pub(super) struct Way {
    pub(super) addr: Option<IpAddr>,
    pub(super) port: Option<u64>,
    pub(super) mac: Option<String>,
    pub(super) nat: Option<IpAddr>,
    pub(super) nat_port: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) packets: Option<u64>,
    pub(super) totals: [Option<u64>; 2],
    pub(super) post: [Option<u64>; 2],
    pub(super) payload: Option<u64>,
    pub(super) l2: Option<u64>,
    pub(super) flags: Option<u64>,
    pub(super) first_flags: Option<u64>,
    pub(super) icmp: [Option<u64>; 2],
}

/// A record being read.
pub(in crate::formats) struct Reading<'a> {
    pub(super) state: &'a State,
    pub(super) exported: Exported,
    pub(super) d: Draft,
    pub(super) ways: [Way; 2],
    pub(super) times: Stated,
    pub(super) sampling: Sampling,
    pub(super) proto: Option<u64>,
    pub(super) interfaces: [Option<u64>; 2],
    pub(super) application: String,
    pub(super) nat_event: Option<u64>,
    pub(super) firewall_event: Option<u64>,
    pub(super) reason: Option<u64>,
    pub(super) initiator: Option<u64>,
    pub(super) range: bool,
    pub(super) lists: usize,
}

/// Takes an address where there is none yet that says anything. Whether it is taken.
fn said(slot: &mut Option<IpAddr>, bytes: &[u8]) -> bool {
    let new = addr(bytes).filter(|_| slot.is_none_or(|old| old.is_unspecified()));
    *slot = new.or(*slot);
    new.is_some()
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
            8 | 27 | 12 | 28 => said(&mut way.addr, bytes),
            225 | 226 | 281 | 282 | 40_001 | 40_002 => said(&mut way.nat, bytes),
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
                Some(bits) if id >= 324 => {
                    self.times.observed = Some(ntp(bits));
                    true
                }
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
