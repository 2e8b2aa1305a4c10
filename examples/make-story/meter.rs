//! Turns the packets of one connection into the rows that Zeek writes: states, history letters, sizes, times.

use crate::clock::SEC;
use crate::talk::{ACK, Conn, Dir, FIN, Pkt, RST, SYN};

/// One row of `conn.log`.
#[derive(Clone, Default)]
pub struct Row {
    /// First packet.
    pub start: i64,
    /// Up to the last packet that counts; 0 is written as unset.
    pub duration: i64,
    /// Payload bytes of both sides.
    pub bytes: [u64; 2],
    /// Packets of both sides.
    pub pkts: [u64; 2],
    /// IP bytes of both sides.
    pub ip_bytes: [u64; 2],
    /// `SF`, `S0`, ...
    pub state: &'static str,
    /// `ShADadFf`, ...
    pub history: String,
    /// Zeek's identifier, given at the end.
    pub uid: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Inactive,
    SynSent,
    Established,
    Closed,
    Reset,
}

/// The length of the packet from its IP header on.
pub fn ip_len(proto: u8, p: &Pkt) -> usize {
    20 + p.len + if proto == 6 { 20 + p.opts.len() } else { 8 }
}

/// The rows of `conn`; more than one only when SYNs stay unanswered for long.
pub fn rows(conn: &Conn) -> Vec<Row> {
    if conn.proto != 6 {
        return vec![datagrams(conn)];
    }
    let mut out = Vec::new();
    let mut rest = &conn.pkts[..];
    while let Some(first) = rest.first() {
        // An attempt that nobody answers is given up 5 s after its first SYN.
        let answered = conn.pkts.iter().any(|p| p.dir == Dir::Resp);
        let n = if answered { rest.len() } else { rest.iter().take_while(|p| p.t - first.t < 5 * SEC).count() };
        out.push(tcp(conn.proto, &rest[..n]));
        rest = &rest[n..];
    }
    out
}

fn datagrams(conn: &Conn) -> Row {
    let mut row = Row { start: conn.pkts.first().map_or(0, |p| p.t), ..Row::default() };
    for p in &conn.pkts {
        count(&mut row, conn.proto, p);
        row.bytes[p.dir.ix()] += p.len as u64;
        row.duration = p.t - row.start;
        let letter = if p.dir == Dir::Orig { 'D' } else { 'd' };
        if conn.proto == 17 && !row.history.contains(letter) {
            row.history.push(letter);
        }
    }
    row.state = match (conn.proto, row.pkts) {
        (17, [_, 0]) => "S0",
        (17, _) => "SF",
        _ => "OTH",
    };
    row
}

fn count(row: &mut Row, proto: u8, p: &Pkt) {
    row.pkts[p.dir.ix()] += 1;
    row.ip_bytes[p.dir.ix()] += ip_len(proto, p) as u64;
}

fn tcp(proto: u8, pkts: &[Pkt]) -> Row {
    let mut row = Row { start: pkts.first().map_or(0, |p| p.t), ..Row::default() };
    let mut state = [End::Inactive; 2];
    let mut isn = [None::<u32>; 2];
    let mut top = [0u64; 2];
    let mut fin = [false; 2];
    for p in pkts {
        let me = p.dir.ix();
        let you = 1 - me;
        count(&mut row, proto, p);
        let closed = state.iter().all(|s| matches!(s, End::Closed | End::Reset)) || state.contains(&End::Reset);
        if !closed {
            row.duration = p.t - row.start;
        }
        let first = *isn[me].get_or_insert(p.seq);
        let eats = u64::from(p.flags & SYN != 0) + u64::from(p.flags & FIN != 0);
        let reach = u64::from(p.seq.wrapping_sub(first)) + p.len as u64 + eats;
        let old = p.len > 0 && reach <= top[me];
        top[me] = top[me].max(reach);
        let letter = match p.flags & (SYN | FIN | RST | ACK) {
            f if f & RST != 0 => Some('r'),
            f if f & SYN != 0 => Some(if f & ACK != 0 { 'h' } else { 's' }),
            f if f & FIN != 0 => Some('f'),
            _ if p.len > 0 => Some('d'),
            _ => Some('a'),
        };
        let note = |c: char, row: &mut Row| {
            let c = if p.dir == Dir::Orig { c.to_ascii_uppercase() } else { c };
            if !row.history.contains(c) {
                row.history.push(c);
            }
        };
        if old {
            note('t', &mut row);
        }
        if let Some(c) = letter {
            note(c, &mut row);
        }
        fin[me] |= p.flags & FIN != 0;
        state[me] = match state[me] {
            _ if p.flags & RST != 0 => End::Reset,
            _ if p.flags & FIN != 0 => End::Closed,
            End::Inactive if p.flags & SYN != 0 && p.dir == Dir::Orig => End::SynSent,
            End::Inactive if p.flags & SYN != 0 => {
                state[you] = End::Established;
                End::Established
            }
            s => s,
        };
    }
    for i in 0..2 {
        let syn = u64::from(isn[i].is_some());
        row.bytes[i] = top[i].saturating_sub(syn + u64::from(fin[i]));
    }
    if state == [End::SynSent, End::Reset] {
        row.bytes = [0; 2];
    }
    row.state = match state {
        [End::SynSent, End::Reset] => "REJ",
        [_, End::Reset] => "RSTR",
        [End::Reset, End::Inactive] => "RSTOS0",
        [End::Reset, _] => "RSTO",
        [End::Closed, End::Closed] => "SF",
        [End::Closed, End::Inactive] => "SH",
        [End::Closed, _] => "S2",
        [_, End::Closed] => "S3",
        [End::SynSent, End::Inactive] => "S0",
        [End::Established, End::Established] => "S1",
        _ => "OTH",
    };
    row
}
