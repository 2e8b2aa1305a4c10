//! DNS: what is asked and answered, and the datagrams that carry it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// One transaction.
#[derive(Clone, Default)]
pub struct Tx {
    /// Its identifier.
    pub id: u16,
    /// The name asked.
    pub name: String,
    /// The type asked: 1 A, 28 AAAA, 12 PTR, 65 HTTPS.
    pub qtype: u16,
    /// 0 or 3 (no such name).
    pub rcode: u8,
    /// The answers in order.
    pub answers: Vec<Answer>,
}

/// One answer record.
#[derive(Clone)]
pub struct Answer {
    /// Its owner.
    pub owner: String,
    /// Its time to live.
    pub ttl: u32,
    /// Its data.
    pub data: Data,
}

/// The data of an answer.
#[derive(Clone)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// An alias.
    Cname(String),
    /// A mail exchanger.
    Mx(String),
}

impl Data {
    /// The record type's number and name.
    pub fn kind(&self) -> (u16, &'static str) {
        match self {
            Data::A(_) => (1, "A"),
            Data::Aaaa(_) => (28, "AAAA"),
            Data::Cname(_) => (5, "CNAME"),
            Data::Mx(_) => (15, "MX"),
        }
    }
    /// As logs print it.
    pub fn text(&self) -> String {
        match self {
            Data::A(a) => a.to_string(),
            Data::Aaaa(a) => a.to_string(),
            Data::Cname(n) | Data::Mx(n) => n.clone(),
        }
    }
}

/// The name of a query type.
pub fn type_name(qtype: u16) -> &'static str {
    match qtype {
        1 => "A",
        12 => "PTR",
        15 => "MX",
        28 => "AAAA",
        65 => "HTTPS",
        _ => "*",
    }
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|l| !l.is_empty()) {
        out.push(label.len().min(63) as u8);
        out.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    out.push(0);
}

fn put16(out: &mut Vec<u8>, n: u16) {
    out.extend_from_slice(&n.to_be_bytes());
}

fn header(tx: &Tx, flags: u16, answers: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for n in [tx.id, flags, 1, answers as u16, 0, 0] {
        put16(&mut out, n);
    }
    put_name(&mut out, &tx.name);
    put16(&mut out, tx.qtype);
    put16(&mut out, 1);
    out
}

/// The question as a datagram's payload.
pub fn question(tx: &Tx) -> Vec<u8> {
    header(tx, 0x0100, 0)
}

/// The answer as a datagram's payload.
pub fn reply(tx: &Tx) -> Vec<u8> {
    let mut out = header(tx, 0x8180 | u16::from(tx.rcode), tx.answers.len());
    for a in &tx.answers {
        if a.owner == tx.name {
            put16(&mut out, 0xc00c);
        } else {
            put_name(&mut out, &a.owner);
        }
        put16(&mut out, a.data.kind().0);
        put16(&mut out, 1);
        out.extend_from_slice(&a.ttl.to_be_bytes());
        let mut data = Vec::new();
        match &a.data {
            Data::A(ip) => data.extend_from_slice(&ip.octets()),
            Data::Aaaa(ip) => data.extend_from_slice(&ip.octets()),
            Data::Cname(n) => put_name(&mut data, n),
            Data::Mx(n) => {
                put16(&mut data, 10);
                put_name(&mut data, n);
            }
        }
        put16(&mut out, data.len() as u16);
        out.extend_from_slice(&data);
    }
    out
}
