//! Snort's `alert_csv`, without a header: the default columns of Snort 2 (Snort Users Manual, 2.6.7) and of Snort 3 (`alert_csv` module).
//!
//! Snort 2: timestamp, generator, id, revision, message, protocol, source, port, destination, port, hardware addresses and headers. Snort 3:
//! timestamp, packet number, protocol, how the packet came, length, direction, source and destination with port, rule, action.

use super::each_line::{EachLine, Line};
use super::{Status, clock, draft, snort_text, table};
use crate::model::field::{self, FieldId};
use crate::model::record::Kind;
use std::borrow::Cow;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "snort-csv",
    doc: "Snort alert_csv with the default columns of Snort 2 or 3 (Snort Users Manual, Output Modules; Snort 3 alert_csv).",
    percent: 50,
    is: |l| row(l).is_some(),
    read,
};

struct Row<'a> {
    stamp: clock::Stamp,
    cells: Vec<Cow<'a, str>>,
    /// Of Snort 3.
    three: bool,
}

fn row(line: &str) -> Option<Row<'_>> {
    let stamp = snort_text::stamp(line)?;
    let cells = table::cells(line, b',')?;
    let number = |n: usize| cells.get(n).is_some_and(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()));
    let two = cells.len() >= 10 && number(1) && number(2) && number(3) && draft::address(&cells[6]).is_some();
    let three = cells.len() == 10 && number(1) && number(4) && cells[8].split(':').count() == 3;
    (two || three).then_some(Row { stamp, cells, three })
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let row = row(text)?;
    let time = row.stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Alert, time);
    let at = |n: usize| row.cells.get(n).map_or("", |c| c.as_ref());
    if row.three {
        d.put_or_keep(field::PCAP_CNT, "pkt_num", at(1));
        d.put_or_keep(field::PROTO, "proto", &at(2).to_ascii_lowercase());
        snort_text::ends(at(6), at(7), &mut d);
        if !snort_text::rule(at(8), &mut d) {
            d.keep("rule", at(8));
        }
        snort_text::action(at(9), &mut d);
        for (key, value) in [("pkt_gen", at(3)), ("pkt_len", at(4))] {
            d.keep(key, value);
        }
        d.text(field::DIRECTION_STATED, at(5));
        // The sensor itself says which way the packet went.
        match at(5) {
            "S2C" => d.turn(),
            "C2S" => {}
            _ => d.orient(),
        }
        return line.finish(d, "");
    }
    const COLUMNS: [(usize, FieldId, &str); 12] = [
        (1, field::SIGNATURE_GID, "sig_generator"),
        (2, field::SIGNATURE_ID, "sig_id"),
        (3, field::SIGNATURE_REV, "sig_rev"),
        (4, field::SIGNATURE, "msg"),
        (6, field::SRC_IP, "src"),
        (7, field::SRC_PORT, "srcport"),
        (8, field::DST_IP, "dst"),
        (9, field::DST_PORT, "dstport"),
        (10, field::SRC_MAC, "ethsrc"),
        (11, field::DST_MAC, "ethdst"),
        (13, field::TCP_FLAGS, "tcpflags"),
        (5, field::PROTO, "proto"),
    ];
    const OTHERS: [(usize, &str); 13] = [
        (12, "ethlen"),
        (14, "tcpseq"),
        (15, "tcpack"),
        (16, "tcplen"),
        (17, "tcpwindow"),
        (18, "ttl"),
        (19, "tos"),
        (20, "id"),
        (21, "dgmlen"),
        (22, "iplen"),
        (25, "icmpid"),
        (26, "icmpseq"),
        (27, "rest"),
    ];
    for (n, id, key) in COLUMNS {
        match id {
            field::PROTO => d.put_or_keep(id, key, &at(n).to_ascii_lowercase()),
            field::TCP_FLAGS => _ = d.text(id, &at(n).replace('*', "")),
            field::SRC_MAC | field::DST_MAC if !at(n).is_empty() => _ = d.text(id, &snort_text::padded(at(n))),
            _ => d.put_or_keep(id, key, at(n)),
        }
    }
    if let Ok(kind) = at(23).parse() {
        d.icmp(kind, at(24).parse().unwrap_or(0));
    }
    OTHERS.iter().for_each(|(n, key)| d.keep(key, at(*n)));
    snort_text::action("alert", &mut d);
    d.orient();
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::show;

    #[test]
    fn rows_of_both_versions() {
        assert_eq!(
            show(
                &FORMAT,
                "05/30-19:09:28.472094 ,1,2012811,2,\"ET DNS, a query\",UDP,192.168.88.10,1029,4.2.2.3,53,0:11:22:33:44:55,0:11:22:33:44:66,0x4A,,,,,,128,0,1234,58,20,,,,"
            ),
            "alert 2026-05-30T19:09:28.472094Z src.ip=192.168.88.10 src.port=1029 dst.ip=4.2.2.3 dst.port=53 proto=udp src.mac=00:11:22:33:44:55 \
             dst.mac=00:11:22:33:44:66 signature=ET DNS, a query signature.id=2012811 signature.gid=1 signature.rev=2 action=alert \
             extra={\"ethlen\":\"0x4A\",\"ttl\":\"128\",\"tos\":\"0\",\"id\":\"1234\",\"dgmlen\":\"58\",\"iplen\":\"20\"}"
        );
        assert_eq!(
            show(&FORMAT, "05/30-19:09:28.472094, 7, TCP, raw, 60, S2C, 198.51.100.7:80, 192.0.2.5:51000, 1:2:3, block"),
            "alert 2026-05-30T19:09:28.472094Z src.ip=192.0.2.5 src.port=51000 dst.ip=198.51.100.7 dst.port=80 proto=tcp direction.stated=S2C \
             signature.id=2 signature.gid=1 signature.rev=3 action=deny pcap_cnt=7 extra={\"pkt_gen\":\"raw\",\"pkt_len\":\"60\"}"
        );
    }
}
