//! What SiLK's `rwcut` prints: columns between bars or another delimiter, under their titles, which are cut to the width of the column (SiLK
//! Reference Guide, rwcut).
//!
//! A record is one direction. SiLK prints UTC unless it was told or built otherwise, which the text does not say. Type and code of ICMP are in the
//! destination's port. Class and type, the flags of the first packet and of the others, attributes and the label of the application are kept in `extra`.

use super::flow_text::{self, Columns};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head};
use crate::model::field::{self, FieldId};
use crate::model::oddity::Oddity;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: SilkRwcut = SilkRwcut;

/// SiLK's text.
pub struct SilkRwcut;

impl Format for SilkRwcut {
    fn name(&self) -> &'static str {
        "silk-rwcut"
    }
    fn doc(&self) -> &'static str {
        "Flows as SiLK's rwcut prints them, with titles and any delimiter (SiLK Reference Guide)."
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

/// Titles in full.
const TITLES: [&str; 32] = [
    "sIP",
    "dIP",
    "sPort",
    "dPort",
    "protocol",
    "packets",
    "bytes",
    "flags",
    "sTime",
    "duration",
    "eTime",
    "sensor",
    "in",
    "out",
    "nhIP",
    "class",
    "type",
    "initialFlags",
    "sessionFlags",
    "attributes",
    "application",
    "iType",
    "iCode",
    "icmpTypeCode",
    "sTime+msec",
    "eTime+msec",
    "duration+msec",
    "scc",
    "dcc",
    "sVal",
    "dVal",
    "dur",
];

const FIELDS: &[(&str, FieldId)] = &[
    ("sIP", field::SRC_IP),
    ("dIP", field::DST_IP),
    ("packets", field::PACKETS_OUT),
    ("bytes", field::BYTES_OUT),
    ("in", field::IFACE_IN),
    ("out", field::IFACE_OUT),
];

/// A title in full: rwcut cuts it to its column's width.
fn title(text: &str) -> &str {
    match text {
        "pro" | "prot" => "protocol",
        "sen" => "sensor",
        "typ" => "type",
        "cla" => "class",
        "appli" => "application",
        "iTy" => "iType",
        "iCo" => "iCode",
        _ => {
            let long = |t: &&&str| text.len() >= 3 && t.starts_with(text);
            TITLES.iter().find(|t| **t == text).or_else(|| TITLES.iter().find(long)).map_or(text, |t| *t)
        }
    }
}

/// The delimiter and the columns of a line of titles; `None`: it is none.
fn header(line: &str) -> Option<(char, Columns)> {
    // It is asked of every row: what has no such title is not taken apart.
    memchr::memmem::find(line.as_bytes(), b"sIP")?;
    "|,\t;: ".chars().find_map(|delimiter| {
        let columns = Columns::new(line.trim().split(delimiter).map(str::trim).filter(|c| !c.is_empty()).map(title));
        let times = ["sTime", "eTime", "sTime+msec", "eTime+msec"].iter().any(|t| columns.has(t));
        (columns.has("sIP") && columns.has("dIP") && times).then_some((delimiter, columns))
    })
}

struct Rows {
    context: Context,
    header: Option<(char, Columns)>,
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
        let Some((delimiter, columns)) = &self.header else {
            out.oddities.push(Oddity::at("header_missing", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let spaced = *delimiter == ' ';
        let cells: Vec<&str> = text.trim_end_matches(*delimiter).split(*delimiter).filter(|c| !spaced || !c.is_empty()).collect();
        if cells.len() != columns.len() {
            out.oddities.push(Oddity::at("rwcut_row_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        }
        let mut row = columns.row(&cells);
        let mut time = |names: &[&str]| clock::any(row.take(names), &self.context, out);
        let (start, end) = (time(&["sTime", "sTime+msec"]), time(&["eTime", "eTime+msec"]));
        let mut d = Draft::timed(Kind::Flow, &self.context, unit, line.len(), start.or(end), out);
        flow_text::until(&mut d, end, row.take(&["duration", "duration+msec", "dur"]));
        flow_text::protocol(&mut d, row.take(&["protocol"]));
        let (kind, code) = (row.take(&["iType"]).parse(), row.take(&["iCode"]).parse());
        let (source, destination) = (row.take(&["sPort"]), row.take(&["dPort"]));
        match (kind, code) {
            (Ok(kind), Ok(code)) if flow_text::is_icmp(&d) => d.icmp(kind, code),
            _ => flow_text::ports(&mut d, source, destination),
        }
        d.text(field::TCP_FLAGS, &flow_text::flags(row.take(&["flags"])));
        for name in ["initialFlags", "sessionFlags"] {
            d.keep(name, &flow_text::flags(row.take(&[name])));
        }
        let sensor = row.take(&["sensor"]);
        match row.get("type") {
            kind if kind.starts_with("in") && !kind.starts_with("int") => _ = d.text(field::DIRECTION_STATED, "in"),
            kind if kind.starts_with("out") => _ = d.text(field::DIRECTION_STATED, "out"),
            _ => {}
        }
        row.give(
            FIELDS,
            |name, value| matches!((name, value), ("nhIP", "0.0.0.0" | "::") | ("application" | "in" | "out", "0")),
            &mut d,
        );
        d.partial |= !d.has(field::SRC_IP) || !d.has(field::DST_IP);
        d.finish(Some(sensor), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn default_columns_are_read_with_their_cut_titles() {
        let text = "            sIP|            dIP|sPort|dPort|pro|   packets|     bytes|   flags|                  sTime| duration|                  eTime|sen|\n\
                    \x20  192.168.1.10|  198.51.100.7|51324|  443|  6|        12|      1840|FS PA   |2026/11/20T07:59:45.123|    4.500|2026/11/20T07:59:49.623| S1|\n";
        assert_eq!(
            show(&FORMAT, text),
            "flow 2026-11-20T07:59:45.123Z..2026-11-20T07:59:49.623Z src.ip=192.168.1.10 src.port=51324 dst.ip=198.51.100.7 dst.port=443 proto=tcp \
             packets.out=12 bytes.out=1840 tcp.flags=FSPA sensor=S1"
        );
    }

    #[test]
    fn other_columns_and_delimiters_are_read() {
        let text = "sIP,dIP,sPort,dPort,protocol,packets,bytes,flags,sTime,duration,eTime,sensor,type,initialFlags,sessionFlags,attributes,application\n\
                    2001:db8::1,2001:db8::2,0,769,58,1,56,,1795161585.123,0.000,1795161585.123,S0,out,,,,0\n\
                    192.0.2.1,192.0.2.2,80,40000,6,9,9000,S PA,1795161585.123,1.5,1795161586.623,S0,inweb,S  A,PA,T,80\n\
                    192.0.2.1,192.0.2.2\n";
        let all = read_all(&FORMAT, text);
        assert_eq!((all.counts, &all.oddities[..]), ([2, 0, 1, 1], &["rwcut_row_malformed line 4".to_owned()][..]));
        assert_eq!(
            all.shown(),
            "flow 2026-11-20T07:59:45.123Z src.ip=2001:db8::1 src.port=3 dst.ip=2001:db8::2 dst.port=1 proto=icmp6 direction.stated=out packets.out=1 \
             bytes.out=56 extra={\"type\":\"out\"} sensor=S0\n\
             flow 2026-11-20T07:59:45.123Z..2026-11-20T07:59:46.623Z src.ip=192.0.2.1 src.port=80 dst.ip=192.0.2.2 dst.port=40000 proto=tcp \
             direction.stated=in packets.out=9 bytes.out=9000 tcp.flags=SPA extra={\"initialFlags\":\"SA\",\"sessionFlags\":\"PA\",\"type\":\"inweb\",\
             \"attributes\":\"T\",\"application\":80} sensor=S0\n"
        );
    }
}
