//! Zeek's `conn.log` and `dns.log`, one file a day, rotated by the time of writing.

use crate::clock::{self, BEGIN, DAY, MIN, SEC, epoch};
use crate::dns::{Tx, type_name};
use crate::talk::{App, Conn};
use crate::world::inside;

/// The rows of one log, by day.
pub struct Log {
    path: &'static str,
    fields: &'static str,
    types: &'static str,
    rows: Vec<(i64, String)>,
}

/// The `conn.log`.
pub fn conn(conns: &[Conn]) -> Log {
    let mut rows = Vec::new();
    for c in conns {
        for r in &c.rows {
            let service = if c.service.is_empty() || r.bytes == [0, 0] { "-" } else { c.service };
            let (duration, bytes) = if r.duration == 0 {
                ("-".to_string(), ["-".to_string(), "-".to_string()])
            } else {
                (epoch(r.duration), r.bytes.map(|b| b.to_string()))
            };
            let flag = |b: bool| if b { "T" } else { "F" };
            let history = if r.history.is_empty() { "-" } else { &r.history };
            let proto = match c.proto {
                6 => "tcp",
                17 => "udp",
                _ => "icmp",
            };
            let text = format!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{proto}\t{service}\t{duration}\t{}\t{}\t{}\t{}\t{}\t0\t{history}\t{}\t{}\t{}\t{}\t-\t{}",
                epoch(r.start),
                r.uid,
                c.src,
                c.sport,
                c.dst,
                c.dport,
                bytes[0],
                bytes[1],
                r.state,
                flag(inside(c.src)),
                flag(inside(c.dst)),
                r.pkts[0],
                r.ip_bytes[0],
                r.pkts[1],
                r.ip_bytes[1],
                c.proto
            );
            // A row is written when the connection is done: after a close, an attempt given up, or an idle time.
            let wait = match (c.proto, r.state) {
                (6, "S0") => 5 * SEC - r.duration.min(5 * SEC),
                (6, _) => 5 * SEC,
                _ => MIN,
            };
            let service_done = if c.service == "dns" && r.pkts[1] > 0 { 10 * SEC } else { wait };
            rows.push((r.start + r.duration + service_done, text));
        }
    }
    rows.sort();
    Log {
        path: "conn",
        fields: "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents ip_proto",
        types: "time string addr port addr port enum string interval count count string bool bool count string count count count count set[string] count",
        rows,
    }
}

/// The `dns.log`.
pub fn dns(conns: &[Conn]) -> Log {
    let mut rows = Vec::new();
    for c in conns {
        if let (App::Dns(tx), Some(r)) = (&c.app, c.rows.first()) {
            let text = line(c, tx, r.start, &r.uid, r.duration);
            rows.push((r.start + r.duration + 1, text));
        }
    }
    rows.sort();
    Log {
        path: "dns",
        fields: "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected",
        types: "time string addr port addr port enum count interval string count string count string count string bool bool bool bool count vector[string] vector[interval] bool",
        rows,
    }
}

fn line(c: &Conn, tx: &Tx, start: i64, uid: &str, rtt: i64) -> String {
    let list = |v: Vec<String>| {
        if v.is_empty() { "-".to_string() } else { v.join(",") }
    };
    let answered = rtt > 0;
    let (rcode, name) = match (answered, tx.rcode) {
        (false, _) => ("-", "-"),
        (_, 0) => ("0", "NOERROR"),
        _ => ("3", "NXDOMAIN"),
    };
    let rtt = if answered { epoch(rtt) } else { "-".into() };
    let (rd, ra) = if c.dport == 5353 { ("F", "F") } else { ("T", "T") };
    format!(
        "{}\t{uid}\t{}\t{}\t{}\t{}\tudp\t{}\t{rtt}\t{}\t1\tC_INTERNET\t{}\t{}\t{rcode}\t{name}\tF\tF\t{rd}\t{ra}\t0\t{}\t{}\tF",
        epoch(start),
        c.src,
        c.sport,
        c.dst,
        c.dport,
        tx.id,
        tx.name,
        tx.qtype,
        type_name(tx.qtype),
        list(tx.answers.iter().map(|a| a.data.text()).collect()),
        list(tx.answers.iter().map(|a| format!("{}.000000", a.ttl)).collect())
    )
}

impl Log {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The files: name and text. What is written after midnight is in the next day's file.
    pub fn files(&self) -> Vec<(String, String)> {
        (0..12)
            .filter_map(|i| {
                let (from, to) = (BEGIN + i * DAY, if i == 11 { i64::MAX } else { BEGIN + (i + 1) * DAY });
                let stamp = |t: i64| clock::date(t).format("%Y-%m-%d-%H-%M-%S").to_string();
                let mut text = format!(
                    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{}\n#open\t{}\n#fields\t{}\n#types\t{}\n",
                    self.path, stamp(from), self.fields.replace(' ', "\t"), self.types.replace(' ', "\t")
                );
                let rows: Vec<_> = self.rows.iter().filter(|(t, _)| *t >= from && *t < to).collect();
                for (_, row) in &rows {
                    text.push_str(row);
                    text.push('\n');
                }
                text.push_str(&format!("#close\t{}\n", stamp(BEGIN + (i + 1) * DAY)));
                let day = clock::date(from).format("%Y-%m-%d");
                (!rows.is_empty()).then(|| (format!("zeek/{}.{day}.log.gz", self.path), text))
            })
            .collect()
    }
}
