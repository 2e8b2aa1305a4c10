//! Lease files of Kea, `kea-leases4.csv` and `kea-leases6.csv` (Kea Administrator Reference Manual, "Memfile"), by their header.
//!
//! A row is a lease that ends at `expire` and began `valid_lifetime` before; a row with a lifetime of 0 takes the lease away. State: 0 active, 1
//! declined, 2 expired and reclaimed, 3 released. `&#x2c` in a cell is a comma.

use super::dhcp_text::{client, message};
use super::{Context, Format, Framing, Out, Reader, Sniff, Status, Unit, clock, draft::Draft, head, table};
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::model::time::SECOND;

/// The format.
pub static FORMAT: KeaLeases = KeaLeases;

/// Kea's leases.
pub struct KeaLeases;

impl Format for KeaLeases {
    fn name(&self) -> &'static str {
        "kea-leases"
    }
    fn doc(&self) -> &'static str {
        "Lease files of Kea for IPv4 and IPv6 (Kea Administrator Reference Manual, Memfile)."
    }
    fn framing(&self) -> Framing {
        Framing::Lines { max: 64 << 10 }
    }
    fn sniff(&self, head: &[u8]) -> Sniff {
        let first = head::lines(head).first().is_some_and(|l| is_header(&String::from_utf8_lossy(l)));
        if first { Sniff::Yes } else { Sniff::No }
    }
    fn reader(&self, context: &Context) -> Box<dyn Reader> {
        Box::new(Rows { context: context.clone(), header: Vec::new() })
    }
}

fn is_header(line: &str) -> bool {
    line.starts_with("address,") && line.contains(",valid_lifetime,") && line.contains(",expire,")
}

struct Rows {
    context: Context,
    header: Vec<String>,
}

impl Reader for Rows {
    fn line(&mut self, line: &[u8], unit: Unit, out: &mut Out) -> Status {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Status::Skipped;
        }
        if is_header(text) {
            self.header = text.split(',').take(64).map(str::to_owned).collect();
            return Status::Skipped;
        }
        let cells = table::cells(text, b',').filter(|_| !self.header.is_empty());
        let Some(cells) = cells else {
            out.oddities.push(Oddity::at("line_malformed", format!("line {}", unit.line)));
            return Status::Failed;
        };
        let of = |name: &str| {
            let at = self.header.iter().position(|h| h == name)?;
            cells.get(at).map(|c| c.replace("&#x2c", ",")).filter(|c| !c.is_empty())
        };
        let lifetime = of("valid_lifetime").and_then(|v| v.parse::<i64>().ok());
        let expire = of("expire").and_then(|v| clock::epoch(&v));
        let start = expire.map(|t| t.plus(-lifetime.unwrap_or(0).saturating_mul(SECOND)));
        let mut d = Draft::timed(Kind::Dhcp, &self.context, unit, line.len(), start, out);
        if let Some(expire) = expire.filter(|t| *t >= d.record.start) {
            d.record.end = expire;
        }
        let state = of("state").unwrap_or_default();
        match (lifetime, state.as_str()) {
            (Some(0), _) => _ = d.text(field::ACTION, "removed"),
            (_, "" | "0") => message("ACK", &mut d),
            (_, "1") => _ = d.text(field::ACTION, "declined"),
            (_, "2") => _ = d.text(field::ACTION, "expired"),
            (_, "3") => _ = d.text(field::ACTION, "released"),
            (_, other) => _ = d.text(field::ACTION, other),
        }
        d.text(field::APP, "dhcp");
        for (n, cell) in cells.iter().enumerate() {
            let cell = cell.replace("&#x2c", ",");
            let name = self.header.get(n).map_or("rest", String::as_str);
            match name {
                _ if cell.is_empty() => {}
                "address" => d.put_or_keep(field::LEASE, name, &cell),
                "hwaddr" => client(&cell, &mut d),
                "hostname" => _ = d.text(field::HOSTNAME, &cell),
                "expire" | "state" => {}
                _ => d.keep(name, &cell),
            }
        }
        // Older servers write fewer columns than newer ones name, never the other way round.
        d.partial |= cells.len() > self.header.len();
        d.finish(None, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{line, read_all};

    #[test]
    fn rows_are_leases_by_their_header() {
        let text = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n\
            10.0.10.50,aa:bb:cc:dd:ee:01,,691200,1782000000,1,0,0,laptop-42,0,,0\n10.0.10.50,aa:bb:cc:dd:ee:01,,0,1782000000,1,0,0,,2,,0\n\
            address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state\n\
            2001:db8::5,00:01:00:01,3600,1782000000,1,1800,0,7,128,0,0,a&#x2cb,,0\n";
        let read = read_all(&FORMAT, text);
        assert_eq!(read.counts, [3, 0, 2, 0]);
        assert_eq!(
            line(&read.records[0]),
            "dhcp 2026-06-13T00:00:00Z..2026-06-21T00:00:00Z app=dhcp src.mac=aa:bb:cc:dd:ee:01 action=lease hostname=laptop-42 dhcp.address=10.0.10.50 \
             dhcp.type=ACK extra={\"valid_lifetime\":\"691200\",\"subnet_id\":\"1\",\"fqdn_fwd\":\"0\",\"fqdn_rev\":\"0\",\"pool_id\":\"0\"}"
        );
        assert_eq!(read.records[1].record.text(field::ACTION), Some("removed"));
        assert_eq!(read.records[2].record.text(field::HOSTNAME), Some("a,b"));
    }
}
