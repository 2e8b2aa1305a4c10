//! The audit log of Windows DHCP Server (`DhcpSrvLog-Mon.log`; Microsoft, "Analyze DHCP server log files"): a CSV after a list of event ids.
//!
//! Times are the server's local ones, month first. An assignment and a renewal are leases; how long they last is not written.

use super::dhcp_text::{client, message};
use super::each_line::{EachLine, Line};
use super::{Status, clock, table};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "windows-dhcp",
    doc: "Windows DHCP Server audit log, IPv4 and IPv6 (Microsoft, Analyze DHCP server log files).",
    percent: 1,
    is: |l| l.starts_with("ID,Date,Time,Description,IP"),
    read,
};

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    let first = text.as_bytes().first()?;
    if !first.is_ascii_digit() || text.find(',').is_none_or(|at| at > 5) {
        // The list of event ids before the table, and the table's own header.
        return Some(Status::Skipped);
    }
    let cells = table::cells(text, b',')?;
    let at = |n: usize| cells.get(n).map_or("", |c| c.as_ref());
    let id = at(0).trim().parse::<u32>().ok()?;
    // Always month first with two digits of the year, whatever the server's language.
    let mut date = at(1).split('/');
    let (month, day, year) = (date.next()?, date.next()?, date.next()?);
    let stamp = clock::iso(format!("20{year}-{month}-{day} {}", at(2)).as_bytes())?;
    let time = stamp.time(line.context, line.out);
    let mut d = line.draft(Kind::Dhcp, time);
    d.text(field::EVENT_CODE, at(0).trim());
    d.text(field::APP, "dhcp");
    match id {
        10 | 11 | 20 | 11_000..=11_002 => message("ACK", &mut d),
        12 | 11_008 => message("RELEASE", &mut d),
        13 | 16 => message("DECLINE", &mut d),
        15 => message("NAK", &mut d),
        14 | 22 => _ = d.text(field::ACTION, "exhausted"),
        17 | 18 => _ = d.text(field::ACTION, "expired"),
        _ => {
            d.record.kind = if at(4).is_empty() { Kind::Log } else { Kind::Dhcp };
        }
    }
    let what = at(3);
    if d.record.kind == Kind::Log {
        d.text(field::MESSAGE, what)
    } else {
        d.text(field::REASON, what)
    };
    if !at(4).is_empty() {
        d.put_or_keep(field::LEASE, "ip", at(4));
    }
    d.text(field::HOSTNAME, at(5));
    if !at(6).is_empty() {
        client(at(6), &mut d);
    }
    d.text(field::USER, at(7));
    const OTHERS: [&str; 11] = [
        "transaction",
        "quarantine",
        "probation",
        "correlation",
        "dhcid",
        "vendor_class_hex",
        "vendor_class",
        "user_class_hex",
        "user_class",
        "relay_agent",
        "dns_error",
    ];
    for (n, key) in OTHERS.iter().enumerate() {
        d.keep(key, at(8 + n));
    }
    for (n, cell) in cells.iter().enumerate().skip(8 + OTHERS.len()) {
        d.keep(&format!("column {}", n + 1), cell);
    }
    // The server is not named: the log is its own.
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::read_all;

    #[test]
    fn rows_after_the_list_of_ids() {
        let text = "\t\tMicrosoft DHCP Service Activity Log\n\nEvent ID  Meaning\n00\tThe log was started.\n10\tA new IP address was leased to a client.\n\nID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name, TransactionID, QResult,Probationtime, CorrelationID,Dhcid,VendorClass(Hex),VendorClass(ASCII),UserClass(Hex),UserClass(ASCII),RelayAgentInformation,DnsRegError.\n\
            00,11/20/26,08:00:00,Started,,,,,0,6,,,,,,,,,0\n10,11/20/26,08:00:01,Assign,192.0.2.5,ws5.a.example,AABBCC001122,,77,0,,,,0x4D,MSFT 5.0,,,,0\n12,03/04/26,08:00:02,Release,192.0.2.5,ws5.a.example,AABBCC001122,,78,0,,,,,,,,,0\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 7, 0]);
        let shown = read.shown();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("log 2026-11-20T08:00:00Z app=dhcp message=Started event.code=00"), "{}", lines[0]);
        assert_eq!(
            lines[1],
            "dhcp 2026-11-20T08:00:01Z app=dhcp src.mac=aa:bb:cc:00:11:22 action=lease reason=Assign hostname=ws5.a.example event.code=10 \
             dhcp.address=192.0.2.5 dhcp.type=ACK extra={\"transaction\":\"77\",\"quarantine\":\"0\",\"vendor_class_hex\":\"0x4D\",\"vendor_class\":\"MSFT 5.0\",\"dns_error\":\"0\"}"
        );
        assert!(lines[2].starts_with("dhcp 2026-03-04T08:00:02Z") && lines[2].contains("action=release"), "{}", lines[2]);
    }
}
