//! A flow as the meter gives it: one bidirectional conversation (RFC 5103 biflow) at one observation point.

use super::field::{self, FieldId};
use super::origin::RecordId;
use super::record::{Kind, Record};
use super::source::SourceId;
use super::time::Time;
use super::value::Value;
use compact_str::CompactString;
use std::net::IpAddr;

/// How the application was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AppConfidence {
    /// Not at all.
    #[default]
    None,
    /// By port number only.
    Port,
    /// One side matched.
    Banner,
    /// Both sides matched.
    Parsed,
}

impl AppConfidence {
    /// What a flow whose application was recognised can have, the surest first.
    pub const ALL: [AppConfidence; 3] = [AppConfidence::Parsed, AppConfidence::Banner, AppConfidence::Port];
    /// The word stored in `app.confidence`.
    pub fn name(self) -> &'static str {
        match self {
            AppConfidence::None => "none",
            AppConfidence::Port => "port",
            AppConfidence::Banner => "banner",
            AppConfidence::Parsed => "parsed",
        }
    }
}

/// Counters of one side of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    /// Packets.
    pub packets: u64,
    /// IP bytes (IPv4 total length, IPv6 40 + payload length; the captured length where that is 0).
    pub bytes: u64,
    /// Application bytes: TCP from sequence numbers, UDP length less 8, ICMP after its 8-byte header.
    pub payload: u64,
    /// Application bytes really present in the capture.
    pub captured: u64,
    /// Application bytes sent again.
    pub retransmitted: u64,
}

/// One flow. `out` is the originator's side, `in_` the responder's.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Evidence, offset of its first packet, tunnel layer.
    pub id: RecordId,
    /// First packet.
    pub start: Time,
    /// Last packet that counts (domain.md 1.6).
    pub end: Time,
    /// Originator.
    pub src: IpAddr,
    /// Originator's port, or the ICMP type.
    pub src_port: u16,
    /// Responder.
    pub dst: IpAddr,
    /// Responder's port, or the ICMP counterpart type or code.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// Zeek connection state.
    pub state: &'static str,
    /// Zeek history letters.
    pub history: CompactString,
    /// Applications recognised, comma-separated, sorted; empty if none.
    pub app: CompactString,
    /// How.
    pub app_confidence: AppConfidence,
    /// Originator's counters.
    pub out: Side,
    /// Responder's counters.
    pub in_: Side,
    /// Bytes acknowledged but not captured.
    pub missed: u64,
    /// Why it ended: `close`, `reset`, `timeout`, `attempt`, `eviction`, `end`; empty: it has not.
    pub end_reason: &'static str,
    /// Not ended yet (live).
    pub open: bool,
    /// Other fields: name, sni, ja4, vlan, mac, tunnel, fragments, icmp.error, related ...
    pub more: Vec<(FieldId, Value)>,
}

impl Flow {
    /// The flow as a record of a source.
    pub fn into_record(self, source: SourceId) -> Record {
        let mut r = Record::new(Kind::Flow, self.id, source, self.start);
        r.end = self.end;
        r.fields = self.more;
        let uint = |n: u64| Value::Uint(n);
        r.fields.extend([
            (field::SRC_IP, Value::Addr(self.src)),
            (field::SRC_PORT, uint(u64::from(self.src_port))),
            (field::DST_IP, Value::Addr(self.dst)),
            (field::DST_PORT, uint(u64::from(self.dst_port))),
            (field::PROTO, uint(u64::from(self.proto))),
            (field::STATE, Value::text(self.state)),
            (field::PACKETS_OUT, uint(self.out.packets)),
            (field::PACKETS_IN, uint(self.in_.packets)),
            (field::BYTES_OUT, uint(self.out.bytes)),
            (field::BYTES_IN, uint(self.in_.bytes)),
            (field::PAYLOAD_OUT, uint(self.out.payload)),
            (field::PAYLOAD_IN, uint(self.in_.payload)),
        ]);
        if !self.end_reason.is_empty() {
            r.fields.push((field::END_REASON, Value::text(self.end_reason)));
        }
        if !self.history.is_empty() {
            r.fields.push((field::HISTORY, Value::Text(self.history)));
        }
        if !self.app.is_empty() {
            r.fields.push((field::APP, Value::Text(self.app)));
            r.fields.push((field::APP_CONF, Value::text(self.app_confidence.name())));
        }
        let rare = [
            (field::MISSED, self.missed, 0),
            (field::RETRANS_OUT, self.out.retransmitted, 0),
            (field::RETRANS_IN, self.in_.retransmitted, 0),
            (field::CAPTURED_OUT, self.out.captured, self.out.payload),
            (field::CAPTURED_IN, self.in_.captured, self.in_.payload),
        ];
        for (id, n, usual) in rare {
            if n != usual {
                r.fields.push((id, uint(n)));
            }
        }
        if self.open {
            r.fields.push((field::OPEN, Value::Bool(true)));
        }
        r.fields.sort_by_key(|(f, _)| *f);
        r
    }
}
