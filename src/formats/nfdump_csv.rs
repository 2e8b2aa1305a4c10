//! What `nfdump -o csv` prints: the columns of versions 1.6 and 1.7 (`ts,te,td,sa,da,...`), and those of later ones and of `-o csv:FORMAT` (`firstSeen,
//! duration,proto,...`; nfdump(1), output_csv.c of phaag/nfdump).
//!
//! Times are of the zone of who ran nfdump, which the file does not state. What nfdump calls out (`opkt`, `obyt`) is what came back; zero is
//! what it prints where there is none. `ra`, the router, is the source. What follows `Summary` is skipped.

use super::flow_text::{self, Columns};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head, table};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::{SECOND, Time};

/// The format.
pub static FORMAT: NfdumpCsv = NfdumpCsv;

/// nfdump as CSV.
pub struct NfdumpCsv;

impl Format for NfdumpCsv {
    fn name(&self) -> &'static str {
        "nfdump-csv"
    }
    fn doc(&self) -> &'static str {
        "Flows as nfdump prints them as CSV, versions 1.6 and 1.7 (nfdump(1))."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 * 1024 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let known = head::lines(head).first().is_some_and(|l| header(&String::from_utf8_lossy(l)).is_some());
        if known { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), columns: None, over: false })
    }
}

const STARTS: [&str; 2] = ["ts", "firstSeen"];
const ENDS: [&str; 2] = ["te", "lastSeen"];
const RECEIVED: [&str; 2] = ["tr", "received"];

const FIELDS: &[(&str, FieldId)] = &[
    ("sa", field::SRC_IP),
    ("srcAddr", field::SRC_IP),
    ("da", field::DST_IP),
    ("dstAddr", field::DST_IP),
    ("ipkt", field::PACKETS_OUT),
    ("packets", field::PACKETS_OUT),
    ("inPackets", field::PACKETS_OUT),
    ("ibyt", field::BYTES_OUT),
    ("bytes", field::BYTES_OUT),
    ("inBytes", field::BYTES_OUT),
    ("opkt", field::PACKETS_IN),
    ("outPackets", field::PACKETS_IN),
    ("obyt", field::BYTES_IN),
    ("outBytes", field::BYTES_IN),
    ("in", field::IFACE_IN),
    ("input", field::IFACE_IN),
    ("inIfName", field::IFACE_IN),
    ("out", field::IFACE_OUT),
    ("output", field::IFACE_OUT),
    ("outIfName", field::IFACE_OUT),
    ("svln", field::VLAN),
    ("srcVlan", field::VLAN),
    ("ismc", field::SRC_MAC),
    ("inSrcMac", field::SRC_MAC),
    ("idmc", field::DST_MAC),
    ("inDstMac", field::DST_MAC),
    ("connectionID", field::UID),
    ("srcXIP", field::NAT_SRC_IP),
    ("dstXIP", field::NAT_DST_IP),
    ("srcXPort", field::NAT_SRC_PORT),
    ("dstXPort", field::NAT_DST_PORT),
    ("event", field::ACTION),
    ("endReason", field::END_REASON),
    ("nselUser", field::USER),
    ("nbarName", field::APP),
    ("sniName", field::SNI),
    ("ja3", field::JA3),
    ("ja4", field::JA4),
    ("tlsVersion", field::TLS_VERSION),
];

/// The columns that a header names; `None`: it is none.
fn header(line: &str) -> Option<Columns> {
    // It is asked of every row: what has a title of neither layout is not taken apart.
    let has = |title: &[u8]| memchr::memmem::find(line.as_bytes(), title).is_some();
    if !has(b"srcAddr") && !has(b"td") {
        return None;
    }
    let columns = Columns::new(line.split(','));
    let any = |names: &[&str]| names.iter().any(|n| columns.has(n));
    let old = columns.has("sa") && columns.has("da") && columns.has("td");
    let new = columns.has("srcAddr") && columns.has("dstAddr") && columns.has("proto");
    ((old || new) && (any(&STARTS) || any(&RECEIVED))).then_some(columns)
}

struct Rows {
    context: Context,
    columns: Option<Columns>,
    /// The sums have begun.
    over: bool,
}

impl Rows {
    /// nfdump prints 1970 where it has no time.
    fn time(&self, text: &str, out: &mut Out) -> Option<Time> {
        clock::any(text, &self.context, out).filter(|t| t.0 > 86_400 * SECOND)
    }
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Status::Skipped;
        }
        if let Some(columns) = header(text) {
            (self.columns, self.over) = (Some(columns), false);
            return Status::Skipped;
        }
        self.over |= text == "Summary" || text.starts_with("No matched flows");
        if self.over {
            return Status::Skipped;
        }
        let cells = table::cells(text, b',').unwrap_or_default();
        let columns = self.columns.as_ref().filter(|c| cells.len() > 2 && cells.len() <= c.len() + 1);
        let Some(columns) = columns else {
            out.oddities.push(Oddity::at("nfdump_row_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut row = columns.row(&cells);
        let (start, end) = (self.time(row.take(&STARTS), out), self.time(row.take(&ENDS), out));
        let received = row.get("tr");
        let received = self.time(if received.is_empty() { row.get("received") } else { received }, out);
        let event = self.time(row.take(&["eventTime"]), out);
        let mut d = Draft::timed(Kind::Flow, &self.context, unit, line.len(), start.or(event).or(end).or(received), out);
        flow_text::until(&mut d, end, row.take(&["td", "duration"]));
        flow_text::protocol(&mut d, row.take(&["pr", "proto"]));
        flow_text::ports(&mut d, row.take(&["sp", "srcPort"]), row.take(&["dp", "dstPort"]));
        d.text(field::TCP_FLAGS, &flow_text::flags(row.take(&["flg", "flags"])));
        match row.take(&["dir", "direction"]) {
            "1" | "E" => _ = d.text(field::DIRECTION_STATED, "out"),
            _ => {}
        }
        let router = row.take(&["ra", "routerIP"]);
        let sensor = if router == "0.0.0.0" { "" } else { router };
        row.give(FIELDS, is_none, &mut d);
        d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
        if d.has(field::ACTION) || d.has(field::NAT_SRC_IP) {
            d.record.kind = Kind::Fw;
        }
        d.finish(Some(sensor), out)
    }
}

/// What nfdump prints where there is nothing. A record has no flags, bytes or packets of which it says 0.
fn is_none(name: &str, value: &str) -> bool {
    let zero = |c: char| matches!(c, '0' | '.' | ':' | '-' | '/' | ' ');
    let address = matches!(name, "sa" | "da" | "srcAddr" | "dstAddr");
    !address && value.chars().all(zero) || value == "<none>" || value == "::"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    const OLD: &str = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,cl,sl,al,ra,eng,exid,tr\n";

    #[test]
    fn columns_of_both_versions_are_read() {
        let row = "2026-11-20 07:59:45,2026-11-20 07:59:46,0.009,192.0.2.10,198.51.100.7,51324,443,TCP,...AP.SF,0,0,12,1840,9,5000,3,4,64500,0,0,0,0,0,192.0.2.254,0.0.0.0,110,0,00:00:5e:00:53:01,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,    0.000,    0.000,    0.000,203.0.113.1,0/0,1,2026-11-20 08:00:00.800\n";
        assert_eq!(
            show(&FORMAT, &(OLD.to_owned() + row + "Summary\nflows,bytes,packets\n1,2,3\n")),
            "flow 2026-11-20T07:59:45Z..2026-11-20T07:59:46Z src.ip=192.0.2.10 src.port=51324 dst.ip=198.51.100.7 dst.port=443 proto=tcp vlan=110 \
             src.mac=00:00:5e:00:53:01 packets.out=12 packets.in=9 bytes.out=1840 bytes.in=5000 interface.in=3 interface.out=4 tcp.flags=FSPA \
             extra={\"sas\":64500,\"nh\":\"192.0.2.254\",\"exid\":1,\"tr\":\"2026-11-20 08:00:00.800\"} sensor=203.0.113.1"
        );
        let new = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows\n\
                   2026-11-20 07:59:45.994,0.009,UDP,192.0.2.10,51324,198.51.100.7,53,1,60,1\n";
        assert_eq!(
            show(&FORMAT, new),
            "flow 2026-11-20T07:59:45.994Z..2026-11-20T07:59:46.003Z src.ip=192.0.2.10 src.port=51324 dst.ip=198.51.100.7 dst.port=53 proto=udp \
             packets.out=1 bytes.out=60 extra={\"flows\":1}"
        );
    }

    #[test]
    fn icmp_is_type_and_code_and_a_row_without_times_stands_at_its_receipt() {
        let rows = "ts,te,td,sa,da,sp,dp,pr,ipkt,ibyt,tr\n\
                    2026-11-20 07:59:45,2026-11-20 07:59:45,0.000,192.0.2.1,192.0.2.2,0,771,ICMP,1,56,2026-11-20 08:00:00.800\n\
                    1970-01-01 00:00:00,1970-01-01 00:00:00,0.000,192.0.2.1,192.0.2.2,0,8.0,ICMP,1,84,2026-11-20 08:00:00.800\n\
                    garbage\n";
        let all = read_all(&FORMAT, rows);
        assert_eq!(all.counts, [2, 0, 1, 1]);
        assert_eq!(all.oddities, ["nfdump_row_malformed line 4"]);
        let ports = |n: usize| (all.records[n].record.uint(field::SRC_PORT), all.records[n].record.uint(field::DST_PORT));
        assert_eq!((ports(0), ports(1)), ((Some(3), Some(3)), (Some(8), Some(0))));
        assert_eq!(all.records[1].record.start.rfc3339(), "2026-11-20T08:00:00.800Z");
    }
}
