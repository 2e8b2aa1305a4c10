//! dnsmasq's lease file (dnsmasq(8), `dhcp-leasefile`): expiry, hardware address, address, host name, client id.
//!
//! The file says when a lease ends, not when it began: the record ends there and begins when the file was written, which is when the lease was
//! known. An expiry of 0 has no end.

use super::dhcp_text::{client, hardware, message};
use super::each_line::{EachLine, Line};
use super::{Status, clock, draft};
use crate::model::field;
use crate::model::record::Kind;

/// The format.
pub static FORMAT: EachLine = EachLine {
    name: "dnsmasq-leases",
    doc: "Lease file of dnsmasq: expiry, hardware address, address, host name, client id (dnsmasq(8)).",
    percent: 80,
    is: |l| lease(l).is_some() || l.starts_with("duid "),
    read,
};

fn lease(line: &str) -> Option<[&str; 5]> {
    let words: Vec<&str> = line.split(' ').collect();
    let [expiry, mac, ip, name, id] = words[..] else { return None };
    let number = expiry == "0" || expiry.len() == 10 && expiry.bytes().all(|b| b.is_ascii_digit());
    // Leases of IPv6 have an identity association where others have hardware.
    let whose = hardware(mac).is_some() || mac.trim_start_matches('T').bytes().all(|b| b.is_ascii_digit());
    (number && whose && draft::address(ip).is_some()).then_some([expiry, mac, ip, name, id])
}

fn read(text: &str, line: &mut Line<'_>) -> Option<Status> {
    if text.starts_with("duid ") {
        return Some(Status::Skipped);
    }
    let [expiry, mac, ip, name, id] = lease(text)?;
    let mut d = line.timeless(Kind::Dhcp);
    match clock::epoch(expiry).filter(|_| expiry != "0") {
        // A lease that was over when the file was written is one from its end.
        Some(end) if end < d.record.start => (d.record.start, d.record.end) = (end, end),
        Some(end) => d.record.end = end,
        None => d.keep("expiry", expiry),
    }
    message("ACK", &mut d);
    d.addr(field::LEASE, ip);
    match hardware(mac) {
        Some(_) => client(mac, &mut d),
        None => d.keep("iaid", mac),
    }
    if name != "*" {
        d.text(field::HOSTNAME, name);
    }
    if id != "*" {
        d.keep("client_id", id);
    }
    line.finish(d, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{read_all, show};

    #[test]
    fn leases_end_when_the_file_says() {
        assert_eq!(
            show(&FORMAT, "1795218000 aa:bb:cc:11:22:33 192.168.1.120 pc-bureau 01:aa:bb:cc:11:22:33"),
            "dhcp 2026-11-20T12:00:00Z..2026-11-20T23:40:00Z app=dhcp src.mac=aa:bb:cc:11:22:33 action=lease hostname=pc-bureau \
             dhcp.address=192.168.1.120 dhcp.type=ACK extra={\"client_id\":\"01:aa:bb:cc:11:22:33\"}"
        );
        let read =
            read_all(&FORMAT, "1750000000 aa:bb:cc:11:22:33 192.168.1.120 * *\nduid 00:01\n0 7654321 2001:db8::5 ws5 *\nx\n");
        assert_eq!(read.counts, [2, 0, 1, 1]);
        assert_eq!(read.records[0].record.start.to_string(), "2025-06-15T15:06:40Z");
    }
}
