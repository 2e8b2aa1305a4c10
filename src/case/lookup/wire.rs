//! One question and its answer: over UDP, over TCP where that was cut or a proxy (SOCKS5, RFC 1928) stands between (RFC 1035, RFC 7766).

use crate::error::{Error, Result};
use crate::protocols::common::dns_message::{Message, rcode_name};
use crate::protocols::common::dns_record::{self, Data};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Types that can be asked for.
pub const KINDS: &[(u16, &str)] = &[
    (1, "A"),
    (28, "AAAA"),
    (12, "PTR"),
    (5, "CNAME"),
    (15, "MX"),
    (2, "NS"),
    (16, "TXT"),
    (6, "SOA"),
    (33, "SRV"),
    (65, "HTTPS"),
];
pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const PTR: u16 = 12;
/// Records of an answer that are kept.
const MAX_ANSWERS: usize = 64;
/// Longest text of one.
const MAX_TEXT: usize = 512;
/// The flag of an answer that was cut.
const CUT: u16 = 0x0200;

pub use dns_record::type_name;

/// The answer of a resolver: its response code, and its records as text.
pub fn ask(
    resolver: SocketAddr,
    proxy: Option<SocketAddr>,
    name: &str,
    kind: u16,
    wait: Duration,
) -> Result<(String, Vec<String>)> {
    let id = number();
    let query = query(id, name, kind);
    let until = Instant::now() + wait;
    let failed = |err: std::io::Error| {
        let why = match err.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => err.to_string(),
        };
        Error::user(format!("{resolver} was not reached: {why}"))
    };
    let fits = |bytes: &[u8]| {
        Message::parse(bytes).filter(|m| {
            let same = m.questions.first().is_some_and(|q| q.name.eq_ignore_ascii_case(name) && q.kind == kind);
            m.id == id && m.is_response() && same
        })
    };
    let mut said = None;
    if proxy.is_none() {
        said = over_udp(resolver, &query, until, &fits).map_err(failed)?.filter(|m| m.flags & CUT == 0);
    }
    let said = match said {
        Some(said) => said,
        None => {
            let bytes = over_tcp(resolver, proxy, &query, until).map_err(failed)?;
            fits(&bytes).ok_or_else(|| Error::input(format!("{resolver} answered something else")))?
        }
    };
    let text = |data: &Data| match data {
        Data::Ip(all, None) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Data::Ip(_, Some(text)) | Data::Name(text) | Data::Text(text) => text.clone(),
    };
    let record = |r: &crate::protocols::common::dns_message::Resource| {
        let line = format!("{} {} {}", r.name, type_name(r.kind), text(&r.data));
        line.chars().take(MAX_TEXT).collect()
    };
    Ok((rcode_name(said.rcode()), said.answers.iter().take(MAX_ANSWERS).map(record).collect()))
}

/// A number that an answer has to repeat; who does not see the question can but guess it.
fn number() -> u16 {
    let mut bytes = [0; 2];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    read.map_or_else(|_| std::process::id() as u16, |()| u16::from_le_bytes(bytes))
}

fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(18 + name.len());
    // One question, recursion desired.
    for n in [id, 0x0100, 1, 0, 0, 0] {
        out.extend_from_slice(&n.to_be_bytes());
    }
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&1u16.to_be_bytes());
    out
}

fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// What is no answer to the question is passed over: it is somebody else's.
fn over_udp(
    resolver: SocketAddr,
    query: &[u8],
    until: Instant,
    fits: &dyn Fn(&[u8]) -> Option<Message>,
) -> std::io::Result<Option<Message>> {
    let any: SocketAddr = if resolver.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(resolver)?;
    socket.send(query)?;
    let mut bytes = [0; 4_096];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let n = socket.recv(&mut bytes)?;
        if let Some(said) = fits(&bytes[..n]) {
            return Ok(Some(said));
        }
    }
}

fn over_tcp(resolver: SocketAddr, proxy: Option<SocketAddr>, query: &[u8], until: Instant) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&proxy.unwrap_or(resolver), left(until)?)?;
    stream.set_read_timeout(Some(left(until)?))?;
    stream.set_write_timeout(Some(left(until)?))?;
    if proxy.is_some() {
        through(&mut stream, resolver)?;
    }
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Asks a SOCKS5 proxy, that wants no password, to connect.
fn through(stream: &mut TcpStream, to: SocketAddr) -> std::io::Result<()> {
    let refused = |what: &str| std::io::Error::other(format!("the proxy {what}"));
    stream.write_all(&[5, 1, 0])?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen)?;
    if chosen != [5, 0] {
        return Err(refused("wants a password, or is none of SOCKS5"));
    }
    let mut request = vec![5, 1, 0];
    match to.ip() {
        IpAddr::V4(ip) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
    }
    request.extend_from_slice(&to.port().to_be_bytes());
    stream.write_all(&request)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    if head[1] != 0 {
        return Err(refused(&format!("does not connect (code {})", head[1])));
    }
    let bound = match head[3] {
        1 => 4,
        4 => 16,
        3 => {
            let mut length = [0; 1];
            stream.read_exact(&mut length)?;
            usize::from(length[0])
        }
        _ => return Err(refused("answers what is no address")),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest)
}
