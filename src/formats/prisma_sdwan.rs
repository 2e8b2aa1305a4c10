//! Palo Alto Prisma SD-WAN (CloudGenix ION) flow log, `cgxFlowLogV1` in syslog (Palo Alto Networks, "Flow log export"): one row of commas when a flow begins and when it
//! ends: time, originator and responder with their ports, protocol, two more, packets and bytes both ways, one more, path, its id, application, event,
//! and at the beginning `rule:action`.

use super::envelope::Envelope;
use super::message::{Layout, Said};
use super::{Context, Out, draft::Draft, flow_text, moments, verdict_words};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: Layout = Layout {
    name: "prisma-sdwan",
    doc: "Palo Alto Prisma SD-WAN (CloudGenix) flow log in syslog: flows as they begin and end.",
    is,
    read,
};

fn is(envelope: &Envelope<'_>) -> bool {
    let cells = || envelope.message.split(',');
    envelope.process.starts_with("cgxFlowLog")
        && cells().count() >= 12
        && cells().nth(1).is_some_and(|c| super::draft::address(c).is_some())
}

fn read<'a>(envelope: &Envelope<'a>, d: &mut Draft, context: &Context, out: &mut Out) -> Said<'a> {
    let cells: Vec<&str> = envelope.message.trim().split(',').map(str::trim).take(32).collect();
    let cell = |n: usize| cells.get(n).copied().unwrap_or("");
    d.record.kind = Kind::Fw;
    for (n, id, key) in [
        (1, field::SRC_IP, "source"),
        (2, field::SRC_PORT, "source port"),
        (3, field::DST_IP, "destination"),
        (4, field::DST_PORT, "destination port"),
        (8, field::PACKETS_OUT, "packets out"),
        (9, field::PACKETS_IN, "packets in"),
        (10, field::BYTES_OUT, "bytes out"),
        (11, field::BYTES_IN, "bytes in"),
        (13, field::IFACE_OUT, "path"),
        (15, field::APP, "application"),
    ] {
        if !cell(n).is_empty() {
            d.put_or_keep(id, key, cell(n));
        }
    }
    flow_text::protocol(d, cell(5));
    for (n, key) in [(6, "cell.7"), (7, "cell.8"), (12, "cell.13"), (14, "path.id")] {
        if !cell(n).is_empty() {
            d.keep(key, cell(n));
        }
    }
    let event = cell(16);
    let (rule, action) = cell(17).split_once(':').unwrap_or((cell(17), ""));
    let action = verdict_words::known(action.split(':').next().unwrap_or(""));
    d.text(field::RULE, rule);
    d.text(field::REASON, event);
    let began = event.to_ascii_lowercase().starts_with("new");
    d.text(field::ACTION, action.unwrap_or(if began { "start" } else { "close" }));
    Said { time: moments::time(cell(0), envelope, context, out), ..Said::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn a_flow_begins_by_a_rule_and_ends_with_counters() {
        let lines = [
            "<134>1 2026-11-20T08:12:01Z ion1 cgxFlowLogV1 20681 - - 2026-11-20T08:11:58,10.8.0.64,52172,203.0.113.9,443,udp,,,1,1,224,490,,ISP1,,,Delete flow (udp flow timeout),",
            "<134>1 2026-11-20T08:12:02Z ion1 cgxFlowLogV1 20681 - - 2026-11-20T08:11:59,10.8.0.65,52520,198.51.100.1,80,tcp,,,0,0,0,0,,WAN1,77,enterprise-http,New Flow,Allow-All:allow:1",
        ];
        let text = lines.map(|l| show(&FORMAT, l)).join("\n");
        assert!(
            text.contains("action=close") && text.contains("bytes.in=490") && text.contains("2026-11-20T08:12:01Z"),
            "{text}"
        );
        assert!(
            text.contains("action=allow") && text.contains("rule=Allow-All") && text.contains("app=enterprise-http"),
            "{text}"
        );
    }
}
