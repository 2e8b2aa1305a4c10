//! Flow logs of Amazon VPC, versions 2 to 5 and later: the default layout, and any other under its header, as they lie in S3, or as CloudWatch gives them with
//! a time before (Amazon VPC User Guide, "Flow log records").
//!
//! A record is one direction in one window of aggregation (1 or 10 minutes) at one network interface, which is the source. Where the packet's own addresses
//! (`pkt-srcaddr`, `pkt-dstaddr`) are given they are the record's, and the interface's, where it differs (a NAT gateway, a load balancer), is the translated
//! one. Windows without data are skipped, those with records skipped by Amazon are oddities.

use super::flow_text::{self, Columns};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft, draft::Draft, head};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::Time;

/// The format.
pub static FORMAT: VpcFlow = VpcFlow;

/// Flow logs of Amazon VPC.
pub struct VpcFlow;

impl Format for VpcFlow {
    fn name(&self) -> &'static str {
        "vpc-flow"
    }
    fn doc(&self) -> &'static str {
        "Flow logs of Amazon VPC, versions 2 to 5 and later, default layout or by header (Amazon VPC User Guide, Flow log records)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 * 1024 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let titled = head::lines(head).first().is_some_and(|l| header(&String::from_utf8_lossy(l)).is_some());
        if titled || head::most(head, 80, is_default) { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), columns: Columns::new(DEFAULT) })
    }
}

/// The default layout.
const DEFAULT: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];

const FIELDS: &[(&str, FieldId)] = &[("packets", field::PACKETS_OUT), ("bytes", field::BYTES_OUT)];

/// Cells between blanks, or between commas as tables of it are kept.
fn cells(line: &str) -> Vec<&str> {
    if line.contains(',') {
        line.split(',').map(|c| c.trim_matches(['"', ' '])).collect()
    } else {
        line.split_ascii_whitespace().collect()
    }
}

/// The columns of a header; `None`: it is none.
fn header(line: &str) -> Option<Columns> {
    // It is asked of every row: what has no such title is not taken apart.
    memchr::memmem::find(line.as_bytes(), b"srcaddr")?;
    let columns = Columns::new(cells(line).iter().map(|c| c.trim_matches(['$', '{', '}']).replace('_', "-")));
    let has = |names: &[&str]| names.iter().all(|n| columns.has(n));
    let ends = has(&["srcaddr", "dstaddr"]) || has(&["pkt-srcaddr", "pkt-dstaddr"]);
    (ends && (columns.has("start") || columns.has("end") || columns.has("interface-id"))).then_some(columns)
}

/// The line without the time that CloudWatch puts before it.
fn bare(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.len() >= 20 && clock::iso(time.as_bytes()).is_some_and(|s| s.len == time.len()) => rest,
        _ => line,
    }
}

/// A line of the default layout.
fn is_default(line: &str) -> bool {
    let cells = cells(bare(line));
    let interface = |c: &str| c == "-" || c.starts_with("eni-");
    matches!(cells[..], [version, _, eni, .., action, status] if cells.len() == 14
        && version.parse::<u8>().is_ok() && interface(eni)
        && matches!(action, "ACCEPT" | "REJECT" | "-") && matches!(status, "OK" | "NODATA" | "SKIPDATA"))
}

struct Rows {
    context: Context,
    columns: Columns,
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Status::Skipped;
        }
        if let Some(columns) = header(text) {
            self.columns = columns;
            return Status::Skipped;
        }
        let cells: Vec<&str> = cells(bare(text)).into_iter().map(|c| if c == "-" { "" } else { c }).collect();
        if cells.len() != self.columns.len() {
            let place = format!("line {}: {} cells, {} columns", unit.line, cells.len(), self.columns.len());
            out.oddities.push(Oddity::at("vpc_row_malformed", place));
            return Status::Failed;
        }
        let mut row = self.columns.row(&cells);
        match row.take(&["log-status"]) {
            "NODATA" => return Status::Skipped,
            "SKIPDATA" => {
                let place = format!("{} {}-{}", row.get("interface-id"), row.get("start"), row.get("end"));
                out.oddities.push(Oddity::at("vpc_records_skipped", place));
                return Status::Skipped;
            }
            _ => {}
        }
        let (start, end) = (Time::parse_epoch(row.take(&["start"])), Time::parse_epoch(row.take(&["end"])));
        let mut d = Draft::timed(Kind::Flow, &self.context, unit, line.len(), start.or(end), out);
        flow_text::until(&mut d, end, "");
        flow_text::protocol(&mut d, row.take(&["protocol"]));
        // Of ICMP Amazon says neither type nor code.
        match (row.take(&["srcport"]), row.take(&["dstport"])) {
            ("0", "0") if flow_text::is_icmp(&d) => {}
            (source, destination) => flow_text::ports(&mut d, source, destination),
        }
        for (own, packets, id, translated) in [
            ("srcaddr", "pkt-srcaddr", field::SRC_IP, field::NAT_SRC_IP),
            ("dstaddr", "pkt-dstaddr", field::DST_IP, field::NAT_DST_IP),
        ] {
            let (own, packets) = (row.take(&[own]), row.take(&[packets]));
            d.put_or_keep(id, &field::name(id), if packets.is_empty() { own } else { packets });
            if !packets.is_empty() && draft::address(own) != draft::address(packets) {
                d.put_or_keep(translated, &field::name(translated), own);
            }
        }
        match row.take(&["action"]) {
            "ACCEPT" => _ = d.text(field::ACTION, "allow"),
            "REJECT" => _ = d.text(field::ACTION, "deny"),
            other => _ = d.text(field::ACTION, other),
        }
        d.text(field::REASON, row.take(&["reject-reason"]));
        d.text(field::TCP_FLAGS, &flow_text::flags(row.take(&["tcp-flags"])));
        let interface = row.take(&["interface-id"]);
        match row.take(&["flow-direction"]) {
            "ingress" => {
                d.text(field::DIRECTION_STATED, "in");
                d.text(field::IFACE_IN, interface);
            }
            "egress" => {
                d.text(field::DIRECTION_STATED, "out");
                d.text(field::IFACE_OUT, interface);
            }
            _ => d.keep("interface-id", interface),
        }
        row.give(FIELDS, |_, _| false, &mut d);
        d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
        d.finish(Some(interface), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn the_default_layout_needs_no_header() {
        let text = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n\
                    2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK\n\
                    2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA\n\
                    2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA\n\
                    2 123456789010 eni-1 203.0.113.12 172.31.16.139 0 0 1 4 336 1432917027 1432917142 ACCEPT OK\n\
                    nonsense\n";
        let all = read_all(&FORMAT, text);
        assert_eq!(all.counts, [3, 0, 2, 1]);
        assert_eq!(
            all.oddities,
            ["vpc_records_skipped eni-11111111aaaaaaaaa 1431280876-1431280934", "vpc_row_malformed line 6: 1 cells, 14 columns"]
        );
        assert!(all.shown().starts_with(
            "flow 2014-12-14T04:06:50Z..2014-12-14T04:07:50Z src.ip=172.31.16.139 src.port=20641 dst.ip=172.31.16.21 dst.port=22 proto=tcp packets.out=20 \
             bytes.out=4249 action=allow extra={\"interface-id\":\"eni-1235b8ca123456789\",\"version\":2,\"account-id\":123456789010} \
             sensor=eni-1235b8ca123456789\n"
        ));
    }

    #[test]
    fn a_header_says_what_stands_where() {
        let text = "version interface-id srcaddr dstaddr srcport dstport protocol tcp-flags pkt-srcaddr pkt-dstaddr packets bytes start end action flow-direction traffic-path vpc-id log-status\n\
                    5 eni-22222222222222222 10.0.0.220 203.0.113.5 39812 80 6 19 10.0.1.5 203.0.113.5 12 1840 1795161540 1795161600 ACCEPT egress 8 vpc-1 OK\n";
        assert_eq!(
            show(&FORMAT, text),
            "flow 2026-11-20T07:59:00Z..2026-11-20T08:00:00Z src.ip=10.0.1.5 src.port=39812 dst.ip=203.0.113.5 dst.port=80 proto=tcp direction.stated=out \
             packets.out=12 bytes.out=1840 action=allow interface.out=eni-22222222222222222 nat.src.ip=10.0.0.220 tcp.flags=FSA \
             extra={\"version\":5,\"traffic-path\":8,\"vpc-id\":\"vpc-1\"} sensor=eni-22222222222222222"
        );
        let timed =
            "2026-11-20T08:01:00.000Z 2 123456789010 eni-1 192.0.2.1 192.0.2.2 1 2 17 1 60 1795161540 1795161600 ACCEPT OK\n";
        assert_eq!(FORMAT.sniff(timed.as_bytes()), Sniff::Yes);
        assert!(show(&FORMAT, timed).starts_with("flow 2026-11-20T07:59:00Z..2026-11-20T08:00:00Z src.ip=192.0.2.1"));
    }
}
