//! The TCP state of a flow: two endpoints, their sequence numbers extended to 64 bit, Zeek's connection states and history letters.
//!
//! Knows no time but the stamps it is given, no bytes of content, no other flow. The order of its steps is that of Zeek's session
//! adapter: sequence numbers, history, window, time, acknowledgement, retransmission, state.

use super::history::{History, Scaled, once};
use crate::model::time::Time;
use crate::protocols::layers::{TcpHeader, flags};

/// A jump of the sequence number beyond which a SYN or RST is not believed.
const TOO_FAR: i64 = 1 << 20;

/// State of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing seen from it.
    #[default]
    Inactive,
    /// Sent a SYN.
    SynSent,
    /// Began with a SYN and ACK.
    SynAckSent,
    /// Sent something before any handshake was seen.
    Partial,
    /// The handshake is done, as far as it can be seen.
    Established,
    /// Sent a FIN.
    Closed,
    /// Sent a RST.
    Reset,
}

impl State {
    fn handshake(self) -> bool {
        matches!(self, State::Inactive | State::SynSent | State::SynAckSent)
    }
    fn inactive(self) -> bool {
        matches!(self, State::Inactive | State::Partial)
    }
}

/// One side. Sequence numbers are 64 bit: the first 32-bit number seen, counted on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Endpoint {
    /// State now.
    pub state: State,
    /// The state before, different from it.
    pub prev: State,
    /// Number of the SYN, or one less than the first number seen.
    pub start: i64,
    /// One after the highest number sent.
    pub last: i64,
    /// Highest number of it that the peer acknowledged.
    pub acked: i64,
    /// One after its FIN, relative to `start`.
    fin_end: i64,
    finished: bool,
    /// Its end was taken notice of.
    pub did_close: bool,
    last_syn: u32,
    last_fin: u32,
    last_rst: u32,
}

/// A 32-bit number as the 64-bit number nearest to a reference.
fn extend(number: u32, reference: i64) -> i64 {
    reference.saturating_add(i64::from(number.wrapping_sub(reference as u32) as i32))
}

impl Endpoint {
    fn set(&mut self, state: State) {
        if state != self.state {
            self.prev = self.state;
            self.state = state;
        }
    }
    fn restart(&mut self, start: u32, last: u32) {
        self.start = i64::from(start);
        self.acked = self.start;
        self.last = extend(last, self.start);
    }
    /// Application bytes that it sent, by its sequence numbers.
    pub fn size(&self, peer: &Endpoint) -> u64 {
        if self.prev == State::SynSent && self.state == State::Reset && peer.state == State::Inactive && self.acked != self.start
        {
            return 0;
        }
        let mut size = self.last.max(self.acked) - self.start;
        if size > 0 {
            size -= 1;
        }
        if self.finished && size > 0 {
            size -= 1;
        }
        size.max(0) as u64
    }
    /// Relative number one after its last data byte, if it sent a FIN.
    pub fn data_end(&self) -> Option<i64> {
        (self.finished).then_some(self.fin_end - 1)
    }
    fn clean(&self) -> bool {
        self.state == State::Established || (self.state == State::Closed && self.prev == State::Established)
    }
}

/// What one packet did, for the layers above.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    /// Relative number of its first payload byte (1 is the first byte of a stream).
    pub data_at: i64,
    /// Its payload belongs to the stream (not before its start, not with a RST).
    pub in_stream: bool,
    /// Relative number up to which it acknowledges its peer's stream.
    pub acked: Option<i64>,
    /// Originator and responder changed places.
    pub flipped: bool,
}

/// The TCP state of a flow; index 0 is the originator.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// Originator and responder.
    pub ends: [Endpoint; 2],
    /// The handshake is over for timeouts.
    pub established: bool,
    /// No event has concluded the connection yet.
    pub active: bool,
    /// When the first SYN of the originator was sent, for the attempt timer; `Time::MAX` for never, as below.
    pub attempt: Time,
    /// When it is removed after its close.
    pub delete_at: Time,
    /// One side closed at this time, the other not yet.
    pub half_closed_at: Time,
    /// A close waits until missing data has come.
    pub close_pending: [bool; 2],
    /// It did not begin with a SYN.
    pub partial: bool,
    seen: [bool; 2],
    conclude_on_close: bool,
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp {
            active: true,
            attempt: Time::MAX,
            delete_at: Time::MAX,
            half_closed_at: Time::MAX,
            ends: Default::default(),
            established: false,
            close_pending: [false; 2],
            partial: false,
            seen: [false; 2],
            conclude_on_close: false,
        }
    }
}

impl Tcp {
    /// Whether a packet on the same addresses and ports begins a new connection.
    pub fn is_reuse(&self, h: &TcpHeader) -> bool {
        if h.flags & flags::SYN == 0 {
            return false;
        }
        let mut end = &self.ends[0];
        if h.flags & flags::ACK != 0 {
            if end.state != State::Inactive {
                return false;
            }
            end = &self.ends[1];
        }
        if self.ends[0].did_close && self.ends[1].did_close {
            return true;
        }
        let number = h.seq;
        if number == end.start as u32 {
            return false;
        }
        let responder = &self.ends[1];
        // A SYN that comes after its answer is no new connection.
        !(h.flags & flags::ACK == 0
            && end.state == State::SynAckSent
            && responder.state == State::Inactive
            && number == responder.start as u32)
    }

    /// Takes a packet of `len` payload bytes from the originator (`out`) or responder.
    pub fn packet(&mut self, h: &TcpHeader, len: u32, out: bool, at: Time, history: &mut History) -> Step {
        let bit = |b: u8| h.flags & b != 0;
        let (syn, fin, rst, ack) = (bit(flags::SYN), bit(flags::FIN), bit(flags::RST), bit(flags::ACK));
        let (mut e, mut p) = if out { (0, 1) } else { (1, 0) };
        if out && !self.seen[0] {
            self.partial = !syn || ack;
        } else if !out && !self.seen[1] && !self.partial {
            self.partial = !syn;
        }
        let len_seq = u32::from(syn) + u32::from(fin) + if rst { 0 } else { len };
        let past = h.seq.wrapping_add(len_seq);
        // --- sequence numbers
        let end = &mut self.ends[e];
        match end.state {
            State::Inactive if syn => end.restart(h.seq, past),
            State::Inactive => end.restart(h.seq.wrapping_sub(1), h.seq),
            State::SynSent | State::SynAckSent if syn && h.seq != end.start as u32 => end.restart(h.seq, past),
            State::Established | State::Partial if syn => end.restart(h.seq, past),
            State::Reset if syn && end.prev == State::Inactive => end.restart(h.seq, past),
            _ => {}
        }
        let rel = extend(h.seq, end.last) - end.start;
        // --- history
        let many = u8::from(syn) + u8::from(fin) + u8::from(rst);
        if many > 1 {
            if fin && rst {
                history.once(out, once::FIN_RST, 'I');
            } else {
                history.once(out, once::MANY, 'Q');
            }
        } else if syn {
            let letter = if ack { 'H' } else { 'S' };
            if history.once(out, once::SYN, letter) && rel as u32 != end.last_syn {
                history.add(out, letter);
            }
            end.last_syn = rel as u32;
        } else if fin {
            let at = rel.wrapping_add(i64::from(len)) as u32;
            if history.once(out, once::FIN, 'F') && at != end.last_fin {
                history.add(out, 'F');
            }
            end.last_fin = at;
        } else if rst {
            if history.once(out, once::RST, 'R') && rel as u32 != end.last_rst {
                history.add(out, 'R');
            }
            end.last_rst = rel as u32;
        } else if len > 0 {
            history.once(out, once::DATA, 'D');
        } else if ack {
            history.once(out, once::ACK, 'A');
        }
        // --- window
        if h.window == 0 && !rst && self.ends[p].state != State::Closed && self.ends[e].state != State::Reset {
            history.scaled(out, Scaled::Window);
        }
        if fin {
            let end = &mut self.ends[e];
            end.finished = true;
            end.fin_end = rel + i64::from(len_seq);
        }
        // --- acknowledgement
        let mut acked = None;
        if ack {
            let peer = &mut self.ends[p];
            if peer.state == State::Inactive {
                peer.restart(h.ack.wrapping_sub(1), h.ack.wrapping_sub(1));
                acked = Some(1);
            } else {
                let full = extend(h.ack, peer.acked);
                if full >= peer.start {
                    acked = Some(full - peer.start);
                    let delta = full - peer.acked;
                    if !rst && delta > 0 && !(h.ack == 0 && delta > TOO_FAR) {
                        peer.acked = full;
                    }
                }
            }
        }
        // --- highest number sent
        let end = &mut self.ends[e];
        let full = extend(past, end.last);
        let delta = full - end.last;
        if (syn || rst) && delta.abs() > TOO_FAR {
            // Not believed.
        } else if fin && end.last == end.start + 1 {
            // Perhaps all that lies between was not captured.
            end.last = end.start + i64::from(past.wrapping_sub(end.start as u32));
        } else if end.state == State::Reset {
            // Nothing after a RST is believed.
        } else if delta > 0 {
            end.last = full;
        } else if len > 0 {
            history.scaled(out, Scaled::Again);
        }
        // --- state
        let (mut close, mut conclude, mut flipped) = (false, false, false);
        let before = (self.ends[e].state, self.ends[p].state);
        match before.0 {
            State::Inactive => {
                if syn && out {
                    self.ends[e].set(if ack { State::SynAckSent } else { State::SynSent });
                    self.attempt = at;
                } else if syn {
                    if !ack && self.ends[p].state == State::SynAckSent && h.seq == self.ends[e].start as u32 {
                        // The answer was captured before the SYN: the sides change places.
                        self.ends.swap(0, 1);
                        self.seen.swap(0, 1);
                        self.close_pending.swap(0, 1);
                        std::mem::swap(&mut e, &mut p);
                        self.partial = false;
                        self.ends[p].set(State::Established);
                        history.flip();
                        flipped = true;
                    }
                    if self.ends[p].state == State::SynSent {
                        self.ends[p].set(State::Established);
                    }
                    self.ends[e].set(State::Established);
                }
                if fin {
                    self.ends[e].set(State::Closed);
                    (close, conclude) = (true, true);
                }
                if rst {
                    self.ends[e].set(State::Reset);
                    close = true;
                    let peer = self.ends[p].state;
                    conclude =
                        !(if out { peer == State::Established } else { matches!(peer, State::SynSent | State::SynAckSent) });
                }
                if self.ends[e].state == State::Inactive {
                    if !out && len == 0 && self.ends[0].state == State::SynSent {
                        // Some acknowledge a SYN before they answer it.
                    } else if ack && self.ends[p].state == State::Established {
                        self.ends[e].set(State::Established);
                        self.partial = false;
                    } else {
                        self.ends[e].set(State::Partial);
                    }
                }
            }
            State::SynSent | State::SynAckSent => {
                if fin {
                    self.ends[e].set(State::Closed);
                    (close, conclude) = (true, true);
                }
                if rst {
                    self.ends[e].set(State::Reset);
                    self.active = false;
                    close = true;
                }
            }
            State::Established | State::Partial => {
                if syn && !ack && before.0 == State::Partial && before.1 == State::Inactive {
                    self.ends[e].set(State::SynSent);
                }
                if fin && !rst {
                    self.ends[e].set(State::Closed);
                    let peer = &mut self.ends[p];
                    if peer.state == State::Reset && peer.prev == State::Closed {
                        // A FIN, then a RST: that was a normal end.
                        peer.set(State::Closed);
                    }
                    (close, conclude) = (true, true);
                }
                if rst {
                    self.ends[e].set(State::Reset);
                    close = true;
                    if self.ends[p].state != State::Reset || self.ends[p].prev != State::Established {
                        self.active = false;
                    }
                }
            }
            State::Closed => {
                if rst && self.ends[p].state != State::Closed {
                    self.ends[e].set(State::Reset);
                    close = !self.ends[e].did_close;
                }
            }
            State::Reset => {}
        }
        if !self.ends[e].state.handshake() || !self.ends[p].state.handshake() {
            self.established |= before.0.handshake() && before.1.handshake();
        }
        self.seen[e] = true;
        if close {
            self.close_pending[e] = true;
            if conclude {
                self.conclude_on_close = true;
            }
        }
        Step { data_at: rel + i64::from(syn), in_stream: rel >= 0 && !rst, acked, flipped }
    }

    /// Whether gaps in the stream of a side are to be believed.
    pub fn gaps_count(&self) -> bool {
        self.ends[0].clean() && self.ends[1].clean()
    }

    /// Takes notice of closes that have waited; `pending` says of a side whether data of its stream is still missing.
    pub fn settle(&mut self, last: Time, pending: [bool; 2], close_delay: i64) {
        for (e, missing) in pending.into_iter().enumerate() {
            if !self.close_pending[e] || missing {
                continue;
            }
            self.close_pending[e] = false;
            if self.ends[e].did_close {
                continue;
            }
            self.ends[e].did_close = true;
            let peer = &self.ends[1 - e];
            if self.ends[e].state == State::Reset || peer.did_close || peer.state == State::Inactive {
                let something = self.ends[e].prev != State::Inactive || peer.state != State::Inactive;
                if something && self.conclude_on_close {
                    self.active = false;
                }
                self.delete_at = last.plus(close_delay);
            } else if self.ends[e].prev != State::Inactive {
                self.half_closed_at = last;
            }
        }
    }

    /// Whether the last packet's time still moves the end of the flow.
    pub fn open(&self) -> bool {
        !(self.ends[0].did_close && self.ends[1].did_close)
    }

    /// Whether only the originator's SYN was seen.
    pub fn unanswered(&self) -> bool {
        matches!(self.ends[0].state, State::SynSent | State::SynAckSent) && self.ends[1].state == State::Inactive
    }

    /// Zeek's connection state.
    pub fn conn_state(&self, history: &str) -> &'static str {
        let [o, r] = &self.ends;
        if r.state == State::Reset {
            let silent = o.size(r) == 0 && r.size(o) == 0;
            return if matches!(o.state, State::SynSent | State::SynAckSent) || (o.state == State::Reset && silent) {
                "REJ"
            } else if o.state.inactive() {
                "RSTRH"
            } else {
                "RSTR"
            };
        }
        if o.state == State::Reset {
            return if r.state.inactive() { if aborted_attempt(history) { "RSTOS0" } else { "OTH" } } else { "RSTO" };
        }
        match (o.state, r.state) {
            (State::Closed, State::Closed) => "SF",
            (State::Closed, r) => {
                if r.inactive() {
                    "SH"
                } else {
                    "S2"
                }
            }
            (o, State::Closed) => {
                if o.inactive() {
                    "SHR"
                } else {
                    "S3"
                }
            }
            (State::SynSent, State::Inactive) => "S0",
            (State::Established, State::Established) => "S1",
            _ => "OTH",
        }
    }
}

/// `^?S[^HAFGIQ]*R.*`: a SYN, then a RST by its sender, nothing of substance between.
fn aborted_attempt(history: &str) -> bool {
    let rest = history.strip_prefix('^').unwrap_or(history);
    let Some(rest) = rest.strip_prefix('S') else { return false };
    rest.chars().find(|c| "HAFGIQR".contains(*c)) == Some('R')
}
