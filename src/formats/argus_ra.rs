//! What argus' `ra` prints with a delimiter (`ra -c ,`) and titles, and data sets in that form (ra(1), QoSient).
//!
//! A record is a conversation. Bytes are those of the link layer. Totals without a side are the originator's where only it sent (`->`), else they
//! are kept. Times are local unless `-u` printed epochs, which the text does not say. Type and code of ICMP stand in the source's port as `0xCCTT`.

use super::flow_text::{self, Columns};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head, table};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::proto;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: ArgusRa = ArgusRa;

/// argus' text.
pub struct ArgusRa;

impl Format for ArgusRa {
    fn name(&self) -> &'static str {
        "argus-ra"
    }
    fn doc(&self) -> &'static str {
        "Flows as argus' ra prints them with titles and a delimiter, also .binetflow (ra(1), QoSient)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 * 1024 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let known = head::lines(head).first().is_some_and(|l| header(&String::from_utf8_lossy(l)).is_some());
        if known { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: None })
    }
}

const FIELDS: &[(&str, FieldId)] = &[
    ("srcaddr", field::SRC_IP),
    ("dstaddr", field::DST_IP),
    ("state", field::STATE),
    ("srcpkts", field::PACKETS_OUT),
    ("dstpkts", field::PACKETS_IN),
    ("srcbytes", field::L2_BYTES_OUT),
    ("dstbytes", field::L2_BYTES_IN),
    ("sappbytes", field::PAYLOAD_OUT),
    ("dappbytes", field::PAYLOAD_IN),
    ("srcappbytes", field::PAYLOAD_OUT),
    ("dstappbytes", field::PAYLOAD_IN),
    ("srcmac", field::SRC_MAC),
    ("dstmac", field::DST_MAC),
    ("svlan", field::VLAN),
    ("svid", field::VLAN),
];

/// The separator and the columns, in lower case, of a line of titles; `None`: it is none.
fn header(line: &str) -> Option<(u8, Columns)> {
    // It is asked of every row: what has no such title is not taken apart.
    const TITLE: &[u8] = b"srcaddr";
    let bytes = line.as_bytes();
    let titled = |at: usize| bytes.get(at..at + TITLE.len()).is_some_and(|t| t.eq_ignore_ascii_case(TITLE));
    memchr::memchr2_iter(b's', b'S', bytes).find(|at| titled(*at))?;
    let separator = table::separator(line)?;
    let columns = Columns::new(line.split(separator as char).map(|c| c.trim().to_ascii_lowercase()));
    let all = ["starttime", "srcaddr", "dstaddr"].iter().all(|n| columns.has(n));
    let any = ["dir", "totpkts", "flgs", "state", "srcpkts"].iter().any(|n| columns.has(n));
    (all && any).then_some((separator, columns))
}

/// A port: also in hexadecimals.
fn port(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

struct Rows {
    context: Context,
    header: Option<(u8, Columns)>,
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            return Status::Skipped;
        }
        if let Some(found) = header(&text) {
            self.header = Some(found);
            return Status::Skipped;
        }
        let Some((separator, columns)) = &self.header else {
            out.oddities.push(Oddity::at("header_missing", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let cells = table::cells(&text, *separator).filter(|c| c.len() >= 3 && c.len() <= columns.len() + 1);
        let Some(cells) = cells else {
            out.oddities.push(Oddity::at("argus_row_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let mut row = columns.row(&cells);
        let mut time = |name| clock::any(row.take(&[name]), &self.context, out);
        let (start, end) = (time("starttime"), time("lasttime"));
        let mut d = Draft::timed(Kind::Flow, &self.context, unit, line.len(), start.or(end), out);
        flow_text::until(&mut d, end, row.take(&["dur", "duration", "runtime"]));
        let protocol = row.take(&["proto"]).to_ascii_lowercase();
        match protocol.as_str() {
            // What argus recognises in UDP.
            "rtp" | "rtcp" | "udt" => {
                d.uint(field::PROTO, u64::from(proto::UDP));
                d.text(field::APP, &protocol);
            }
            other => flow_text::protocol(&mut d, other),
        }
        let (source, destination) = (row.take(&["sport"]), row.take(&["dport"]));
        match port(source).filter(|_| flow_text::is_icmp(&d) && source.starts_with("0x")) {
            Some(both) => {
                d.icmp(both & 0xff, both >> 8 & 0xff);
                d.keep("Dport", destination);
            }
            None => {
                for (id, name, text) in [(field::SRC_PORT, "Sport", source), (field::DST_PORT, "Dport", destination)] {
                    match port(text).filter(|p| *p <= 65_535) {
                        Some(p) => _ = d.uint(id, p),
                        // The name of a service.
                        None => d.keep(name, text),
                    }
                }
            }
        }
        let direction = row.take(&["dir"]);
        d.keep("Dir", direction);
        let (packets, octets) = (row.take(&["totpkts"]), row.take(&["totbytes"]));
        total(&mut d, packets, row.get("srcpkts"), row.get("dstpkts"), direction, ["TotPkts", "packets"]);
        total(&mut d, octets, row.get("srcbytes"), row.get("dstbytes"), direction, ["TotBytes", "bytes"]);
        let sensor = row.take(&["srcid"]);
        row.give(FIELDS, |name, value| name == "state" && value == "-" || name == "flgs" && value == "e", &mut d);
        if !d.has(field::SRC_IP) && !d.has(field::DST_IP) {
            d.record.kind = Kind::Log;
        }
        d.finish(Some(sensor), out)
    }
}

/// Gives what a total says beside what is said of the sides.
fn total(d: &mut Draft, total: &str, source: &str, destination: &str, direction: &str, [name, of]: [&str; 2]) {
    let ids = if of == "packets" { [field::PACKETS_OUT, field::PACKETS_IN] } else { [field::L2_BYTES_OUT, field::L2_BYTES_IN] };
    let Ok(all) = total.parse::<u64>() else { return d.keep(name, total) };
    match (source.parse::<u64>(), destination.is_empty()) {
        // The other side sent the rest.
        (Ok(own), true) if own <= all && direction.contains('<') => _ = d.uint(ids[1], all - own),
        (Ok(_), _) => {}
        (Err(_), true) if direction.contains('>') && !direction.contains('<') => _ = d.uint(ids[0], all),
        (Err(_), _) => d.keep_json(name, total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn a_data_set_in_its_form_is_read() {
        let text = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label\n\
                    2026/11/20 07:59:45.047277,1.026539,tcp,192.0.2.33,1577,   <?>,198.51.100.4,6881,S_RA,0,0,4,276,156,flow=Background\n\
                    2026/11/20 07:59:46,0,icmp,192.0.2.1,0x0303,   ->,192.0.2.9,0x1234,URP,0,,1,70,70,x\n";
        assert_eq!(
            read_all(&FORMAT, text).shown(),
            "flow 2026-11-20T07:59:45.047277Z..2026-11-20T07:59:46.073816Z src.ip=192.0.2.33 src.port=1577 dst.ip=198.51.100.4 dst.port=6881 proto=tcp \
             state=S_RA l2.bytes.out=156 l2.bytes.in=120 extra={\"Dir\":\"<?>\",\"TotPkts\":4,\"stos\":\"0\",\"dtos\":\"0\",\"label\":\"flow=Background\"}\n\
             flow 2026-11-20T07:59:46Z src.ip=192.0.2.1 src.port=3 dst.ip=192.0.2.9 dst.port=3 proto=icmp state=URP packets.out=1 l2.bytes.out=70 \
             extra={\"Dport\":\"0x1234\",\"Dir\":\"->\",\"stos\":\"0\",\"label\":\"x\"}\n"
        );
    }

    #[test]
    fn default_columns_with_sides_are_read() {
        let text = "StartTime|LastTime|Flgs|Proto|SrcAddr|Sport|Dir|DstAddr|Dport|SrcPkts|DstPkts|SrcBytes|DstBytes|State\n\
                    1795161585.25|1795161586.5| e         |udp|192.0.2.33|40000|<->|192.0.2.53|domain|1|1|74|90|CON\n";
        assert_eq!(
            show(&FORMAT, text),
            "flow 2026-11-20T07:59:45.250Z..2026-11-20T07:59:46.500Z src.ip=192.0.2.33 src.port=40000 dst.ip=192.0.2.53 proto=udp state=CON packets.out=1 \
             packets.in=1 l2.bytes.out=74 l2.bytes.in=90 extra={\"Dport\":\"domain\",\"Dir\":\"<->\"}"
        );
    }
}
