//! Builds connections packet by packet: handshakes, segments, acknowledgements, losses, ends.

use crate::clock::{MIN, SEC};
pub use crate::conn::*;
use crate::rng::{Rng, mix};
use crate::world::{Os, inside, os_of};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Builds a connection step by step; its clock is `t`.
pub struct Talk {
    /// The connection so far.
    pub conn: Conn,
    /// The moment of the next step.
    pub t: i64,
    rng: Rng,
    away: [i64; 2],
    seq: [u32; 2],
    pending: Option<Dir>,
    id: [u16; 2],
    ttl: [u8; 2],
    os: [Os; 2],
    stamps: bool,
    base: [u32; 2],
    echo: [u32; 2],
}

impl Talk {
    /// A connection of `src` to `dst`, whose answer takes `rtt` microseconds when it comes from outside.
    pub fn new(proto: u8, t: i64, src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), rtt: i64) -> Talk {
        let key = u64::from(u32::from(src.0)) << 32 | u64::from(u32::from(dst.0));
        let mut rng = Rng::new(mix(key) ^ (t as u64) ^ (u64::from(src.1) << 17) ^ u64::from(dst.1));
        let os = [os_of(src.0), os_of(dst.0)];
        let ttl = [(os[0], src.0), (os[1], dst.0)].map(|(os, a)| {
            let first = if os == Os::Windows { 128 } else { 64 };
            if inside(a) { first } else { first - 8 - (mix(u64::from(u32::from(a))) % 7) as u8 }
        });
        let lan = |rng: &mut Rng| rng.range(180, 700);
        let away = [src.0, dst.0].map(|a| if inside(a) { lan(&mut rng) } else { rtt.max(1500) });
        let seq = [rng.next() as u32, rng.next() as u32];
        let id = [rng.next() as u16, rng.next() as u16];
        let base = [rng.next() as u32 >> 2, rng.next() as u32 >> 2];
        let conn = Conn {
            proto,
            src: src.0,
            sport: src.1,
            dst: dst.0,
            dport: dst.1,
            pkts: Vec::new(),
            service: "",
            dnat: None,
            app: App::None,
            tag: "",
            alerts: Vec::new(),
            rows: Vec::new(),
        };
        let stamps = os[0] == Os::Linux && os[1] == Os::Linux;
        Talk { conn, t, rng, away, seq, pending: None, id, ttl, os, stamps, base, echo: [0; 2] }
    }

    /// A stream of numbers of this connection's own.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn stamp(&self, dir: Dir) -> u32 {
        self.base[dir.ix()].wrapping_add((self.t / 1000) as u32)
    }

    fn options(&mut self, dir: Dir, flags: u8) -> Vec<u8> {
        let windows = self.os[dir.ix()] == Os::Windows;
        let mut o = Vec::new();
        let offers = self.stamps || (flags & (SYN | ACK) == SYN && !windows);
        if flags & SYN != 0 {
            o.extend_from_slice(&[2, 4, 5, 0xb4]);
            match (windows, offers) {
                (true, _) => o.extend_from_slice(&[1, 3, 3, 8, 1, 1, 4, 2]),
                (_, false) => o.extend_from_slice(&[1, 1, 4, 2, 1, 3, 3, 7]),
                _ => o.extend_from_slice(&[4, 2]),
            }
        } else if offers {
            o.extend_from_slice(&[1, 1]);
        }
        if offers {
            let now = self.stamp(dir);
            let echo = if flags & ACK != 0 { self.echo[dir.other().ix()] } else { 0 };
            self.echo[dir.ix()] = now;
            o.extend_from_slice(&[8, 10]);
            o.extend_from_slice(&now.to_be_bytes());
            o.extend_from_slice(&echo.to_be_bytes());
            if flags & SYN != 0 {
                o.extend_from_slice(&[1, 3, 3, 7]);
            }
        }
        o
    }

    fn push(&mut self, dir: Dir, flags: u8, msg: Option<(Rc<Msg>, usize)>, len: usize) {
        let (me, you) = (dir.ix(), dir.other().ix());
        let opts = if self.conn.proto == 6 { self.options(dir, flags) } else { Vec::new() };
        let ack = if flags & ACK != 0 { self.seq[you] } else { 0 };
        let win = match (flags & SYN != 0, self.os[me]) {
            (_, Os::Windows) if flags & SYN != 0 => 64_240,
            (true, _) => 64_240,
            (_, Os::Windows) => 1_026,
            _ => 501,
        };
        let win = if flags & RST != 0 { 0 } else { win };
        self.conn.pkts.push(Pkt {
            t: self.t,
            dir,
            flags,
            seq: self.seq[me],
            ack,
            win,
            opts,
            msg,
            len,
            id: self.id[me],
            ttl: self.ttl[me],
        });
        self.id[me] = self.id[me].wrapping_add(1);
        let eats = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        self.seq[me] = self.seq[me].wrapping_add(len as u32 + eats);
    }

    /// Lets the time pass that `dir` needs to answer.
    fn turn(&mut self, dir: Dir) {
        let base = self.away[dir.ix()];
        self.t += base + self.rng.range(20, base / 6 + 40);
    }

    /// Sends the acknowledgement that is due.
    fn settle(&mut self) {
        if let Some(dir) = self.pending.take() {
            self.turn(dir);
            self.push(dir, ACK, None, 0);
        }
    }

    /// The handshake.
    pub fn open(&mut self) {
        self.push(Dir::Orig, SYN, None, 0);
        self.turn(Dir::Resp);
        self.push(Dir::Resp, SYN | ACK, None, 0);
        self.turn(Dir::Orig);
        self.push(Dir::Orig, ACK, None, 0);
    }

    /// SYNs that nobody answers, at 0, 1, 3 and 7 s.
    pub fn unanswered(&mut self, tries: usize) {
        let first = self.t;
        let seq = self.seq[0];
        for wait in [0, 1, 3, 7].into_iter().take(tries) {
            self.t = first + wait * SEC + self.rng.range(0, 900) * (wait.min(1));
            self.seq[0] = seq;
            self.push(Dir::Orig, SYN, None, 0);
        }
    }

    /// A SYN answered by a reset.
    pub fn refused(&mut self) {
        self.push(Dir::Orig, SYN, None, 0);
        self.turn(Dir::Resp);
        self.seq[1] = 0;
        self.push(Dir::Resp, RST | ACK, None, 0);
    }

    /// `dir` says `msg`. Returns the index of its last packet.
    pub fn send(&mut self, dir: Dir, msg: Msg) -> usize {
        if self.pending == Some(dir) {
            self.pending = None;
            self.turn(dir);
        } else if self.pending.is_some() {
            self.settle();
            self.t += self.rng.range(30, 200);
        } else {
            self.t += self.rng.range(30, 300);
        }
        let (msg, mss) = (Rc::new(msg), if self.stamps { 1448 } else { 1460 });
        let (mut at, mut burst) = (0, 0);
        let lossy = msg.len() > 200 && self.rng.chance(0.012);
        while at < msg.len() {
            let n = mss.min(msg.len() - at);
            let last = at + n == msg.len();
            self.push(dir, if last { ACK | PSH } else { ACK }, Some((msg.clone(), at)), n);
            at += n;
            burst += 1;
            if last && lossy {
                self.again();
            }
            if last {
                break;
            }
            if burst % 10 == 0 {
                // The window is full: the other side acknowledges.
                self.turn(dir.other());
                self.push(dir.other(), ACK, None, 0);
                self.turn(dir);
            } else {
                self.t += self.rng.range(12, 60);
            }
        }
        self.pending = Some(dir.other());
        self.conn.pkts.len() - 1
    }

    /// The last segment was lost behind the sensor: it is sent again.
    fn again(&mut self) {
        if let Some(mut p) = self.conn.pkts.last().cloned() {
            self.t += 210_000 + self.rng.range(0, 90_000);
            let me = p.dir.ix();
            p.t = self.t;
            p.id = self.id[me];
            self.id[me] = self.id[me].wrapping_add(1);
            let keep = self.seq[me];
            self.seq[me] = p.seq;
            p.opts = self.options(p.dir, p.flags);
            self.seq[me] = keep;
            self.conn.pkts.push(p);
        }
    }

    /// Nothing happens for a while.
    pub fn pause(&mut self, us: i64) {
        if us > 40_000 {
            self.settle();
        }
        self.t += us;
    }

    /// Goes on no earlier than `t`.
    pub fn until(&mut self, t: i64) {
        if t > self.t {
            self.pause(t - self.t);
        }
    }

    /// An orderly end, begun by `dir`.
    pub fn close(&mut self, dir: Dir) -> Conn {
        self.settle();
        self.t += self.rng.range(100, 2500);
        self.push(dir, FIN | ACK, None, 0);
        self.turn(dir.other());
        self.push(dir.other(), FIN | ACK, None, 0);
        self.turn(dir);
        self.push(dir, ACK, None, 0);
        self.take()
    }

    /// `dir` resets the connection.
    pub fn reset(&mut self, dir: Dir) -> Conn {
        self.settle();
        self.t += self.rng.range(100, 2500);
        self.push(dir, RST | ACK, None, 0);
        self.take()
    }

    /// A datagram of `dir`.
    pub fn datagram(&mut self, dir: Dir, msg: Msg) {
        if !self.conn.pkts.is_empty() {
            self.turn(dir);
        }
        let n = msg.len();
        self.push(dir, 0, Some((Rc::new(msg), 0)), n);
    }

    /// Hands the connection over.
    pub fn take(&mut self) -> Conn {
        self.conn.clone()
    }

    /// Puts the alert `sid` on the newest packet.
    pub fn alert(&mut self, sid: u32) {
        self.conn.alerts.push((self.conn.pkts.len().saturating_sub(1), sid));
    }
}

/// A small UDP exchange: question and, unless it is empty, answer.
pub fn udp(t: i64, src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), rtt: i64, ask: Vec<u8>, answer: Vec<u8>) -> Conn {
    let mut talk = Talk::new(17, t, src, dst, rtt);
    talk.datagram(Dir::Orig, Msg::real(ask));
    if !answer.is_empty() {
        talk.datagram(Dir::Resp, Msg::real(answer));
    }
    talk.take()
}

/// Four pings.
pub fn ping(t: i64, src: Ipv4Addr, dst: Ipv4Addr, rtt: i64) -> Conn {
    let mut talk = Talk::new(1, t, (src, 8), (dst, 0), rtt);
    for k in 0..4 {
        talk.t = t + k * SEC;
        talk.seq = [k as u32 + 1; 2];
        talk.datagram(Dir::Orig, Msg::real((0..56).collect()));
        talk.turn(Dir::Resp);
        talk.seq = [k as u32 + 1; 2];
        talk.push(Dir::Resp, 0, Some((Rc::new(Msg::real((0..56).collect())), 0)), 56);
    }
    talk.take()
}

/// A short random wait of people, between `lo` and `hi` minutes.
pub fn minutes(rng: &mut Rng, lo: i64, hi: i64) -> i64 {
    rng.range(lo * MIN, hi * MIN)
}
