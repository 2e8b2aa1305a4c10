//! What a flow carried either way, and which flows carried most.

use crate::detectors::held::push;
use crate::detectors::rows::{Flow, Id};
use crate::model::finding::EVIDENCE;
use crate::model::proto;
use serde::{Deserialize, Serialize};

/// What was sent and received: application bytes, which the ratio is of, and bytes sent on the wire.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Sum {
    pub out: u64,
    pub back: u64,
    pub wire: u64,
}

impl Sum {
    pub fn add(&mut self, other: Sum) {
        self.out = self.out.saturating_add(other.out);
        self.back = self.back.saturating_add(other.back);
        self.wire = self.wire.saturating_add(other.wire);
    }
    /// The producer/consumer ratio; nothing either way is balanced.
    pub fn ratio(&self) -> f64 {
        let (out, back) = (self.out as f64, self.back as f64);
        if out + back > 0.0 { (out - back) / (out + back) } else { 0.0 }
    }
    pub fn turned(self, wire: u64) -> Sum {
        Sum { out: self.back, back: self.out, wire }
    }
}

/// Of a flow, as its originator sends. Where no application bytes are told, the headers of its packets are taken off.
pub(super) fn sums(flow: &Flow) -> Sum {
    let header = match flow.proto {
        proto::TCP => 40,
        proto::UDP => 28,
        _ => 20,
    };
    let least = |bytes: u64, packets: u32| bytes.saturating_sub(u64::from(packets) * header);
    let told = flow.payload_out > 0 || flow.payload_in > 0;
    let (out, back) = if told {
        (flow.payload_out, flow.payload_in)
    } else {
        (least(flow.bytes_out, flow.packets_out), least(flow.bytes_in, flow.packets_in))
    };
    // Bytes that are only claimed by sequence numbers were not seen on the wire.
    let seen = |claimed: u64, wire: u64| if wire > 0 { claimed.min(wire) } else { claimed };
    Sum { out: seen(out, flow.bytes_out), back: seen(back, flow.bytes_in), wire: flow.bytes_out.max(flow.payload_out) }
}

/// The flows that sent most, most first.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Most(Vec<(u32, Id)>);

impl Most {
    /// A flow that sent so much.
    pub fn add(&mut self, sent: u64, flow: Id) {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        let at = self.0.partition_point(|i| i.0 >= sent);
        if at < EVIDENCE - 2 {
            push(&mut self.0, (sent, flow));
            self.0[at..].rotate_right(1);
            self.0.truncate(EVIDENCE - 2);
        }
    }
    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.0.iter().map(|flow| flow.1)
    }
}
