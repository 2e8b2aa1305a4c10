//! Flows as the text that SiLK's `rwcut` prints with its default fields and widths: one row per direction, times in UTC. Both rows of a flow
//! have its first and last instant: those of each side are not recorded.

use super::io;
use super::ipfix::{flags, icmp};
use crate::error::Result;
use crate::model::{Kind, Record, Time, field, proto};
use crate::query::Engine;
use std::io::Write;
use std::net::IpAddr;

/// Width of an address, as SiLK with IPv6 prints it.
const ADDRESS: usize = 39;

/// Writes flows; what has no row (other records, flows without addresses, protocol or counts of packets and bytes) is counted.
pub struct Rwcut<'w> {
    out: &'w mut dyn Write,
    /// Width of the last column: the longest name of a source.
    sensor: usize,
    begun: bool,
    /// Rows written.
    pub written: u64,
    /// Flows that were left out.
    pub left_out: u64,
}

/// One direction.
struct Way {
    addresses: [IpAddr; 2],
    ports: [u64; 2],
    packets: u64,
    bytes: u64,
    flags: Option<u8>,
}

impl<'w> Rwcut<'w> {
    /// A writer; the case's sources give the width of a column.
    pub fn new(out: &'w mut dyn Write, engine: &dyn Engine) -> Rwcut<'w> {
        let sensor = engine.sources().iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(3);
        Rwcut { out, sensor, begun: false, written: 0, left_out: 0 }
    }
    fn header(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let (a, s) = (ADDRESS, self.sensor);
        let sensor: String = "sensor".chars().take(s).collect();
        writeln!(
            self.out,
            "{:>a$}|{:>a$}|{:>5}|{:>5}|{:>3}|{:>10}|{:>10}|{:>8}|{:>23}|{:>9}|{:>23}|{sensor:>s$}|",
            "sIP", "dIP", "sPort", "dPort", "pro", "packets", "bytes", "flags", "sTime", "duration", "eTime"
        )
        .map_err(io)
    }
    /// Writes a flow.
    pub fn record(&mut self, record: &Record, engine: &dyn Engine) -> Result<()> {
        self.header()?;
        let Some((protocol, ways)) = ways(record) else {
            self.left_out += 1;
            return Ok(());
        };
        let (start, end) = (record.time(), record.until().max(record.time()));
        let length = end.since(start) / 1_000_000;
        let (sensor, a, s) = (engine.source_name(record.source), ADDRESS, self.sensor);
        for way in ways {
            let duration = format!("{}.{:03}", length / 1000, length % 1000);
            writeln!(
                self.out,
                "{:>a$}|{:>a$}|{:>5}|{:>5}|{protocol:>3}|{:>10}|{:>10}|{:>8}|{:>23}|{duration:>9}|{:>23}|{sensor:>s$}|",
                way.addresses[0].to_string(),
                way.addresses[1].to_string(),
                way.ports[0],
                way.ports[1],
                way.packets,
                way.bytes,
                letters(way.flags.unwrap_or(0)),
                stamp(start),
                stamp(end),
            )
            .map_err(io)?;
            self.written += 1;
        }
        Ok(())
    }
    /// Writes what is held back: the header of no rows.
    pub fn end(&mut self) -> Result<()> {
        self.header()?;
        self.out.flush().map_err(io)
    }
}

/// The directions of a flow that had packets.
fn ways(record: &Record) -> Option<(u8, Vec<Way>)> {
    if record.kind != Kind::Flow {
        return None;
    }
    let addresses = [record.addr(field::SRC_IP)?, record.addr(field::DST_IP)?];
    let protocol = record.uint(field::PROTO).and_then(|n| u8::try_from(n).ok())?;
    let known = record.text(field::HISTORY).filter(|_| protocol == proto::TCP).map(flags);
    // SiLK keeps type and code of ICMP in the destination port.
    let (out, back) = match icmp(record) {
        Some((out, back)) => ([0, u64::from(out)], [0, u64::from(back.unwrap_or(0))]),
        None => {
            let ports = [field::SRC_PORT, field::DST_PORT].map(|f| record.uint(f).unwrap_or(0));
            (ports, [ports[1], ports[0]])
        }
    };
    let mut ways = Vec::new();
    for (side, ports, counts) in
        [(0, out, [field::PACKETS_OUT, field::BYTES_OUT]), (1, back, [field::PACKETS_IN, field::BYTES_IN])]
    {
        let [packets, bytes] = counts.map(|f| record.uint(f));
        if packets == Some(0) || side == 1 && packets.is_none() && bytes.is_none() {
            continue;
        }
        let addresses = [addresses[side], addresses[1 - side]];
        ways.push(Way { addresses, ports, packets: packets?, bytes: bytes?, flags: known.map(|f| f[side]) });
    }
    (!ways.is_empty()).then_some((protocol, ways))
}

/// Flags in SiLK's order.
fn letters(flags: u8) -> String {
    "FSRPAUEC".chars().enumerate().map(|(n, c)| if flags >> n & 1 == 1 { c } else { ' ' }).collect()
}

fn stamp(time: Time) -> String {
    time.utc().format("%Y/%m/%dT%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_times_are_in_silks_form() {
        assert_eq!(letters(0x13), "FS  A   ");
        assert_eq!(letters(2), " S      ");
        assert_eq!(stamp(Time(1_700_000_000_123_456_789)), "2023/11/14T22:13:20.123");
    }
}
