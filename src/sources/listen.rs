//! A UDP port that is listened to, in place of an interface: what is received becomes packets as a capture on the port would have them, from who sent them to
//! this address. What the kernel dropped because its buffer was full is read from its own table (`/proc/net/udp`, Linux; proc(5)).

use super::capture::Interface;
use super::live::{Ending, Said};
use super::missed::Missed;
use super::packets::Packets;
use crate::error::{Error, Result};
use crate::model::Time;
use crate::model::packet::{LinkType, Packet};
use crate::model::proto::UDP;
use crate::protocols::layers::ip::checksum;
use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How an interface's name begins that is a port: `udp:127.0.0.1:2055`.
pub const PREFIX: &str = "udp:";
/// How long it is waited for a datagram before it is looked whether it is to end.
const GLANCE: Duration = Duration::from_millis(100);
/// How often it is counted.
const EVERY: Duration = Duration::from_secs(1);
/// Datagrams and bytes of a batch.
const BATCH: usize = 1024;
const BATCH_BYTES: usize = 1 << 20;
/// Bytes that a stream of packets takes for each beside its own, so that offsets are as of a file.
const AROUND: u64 = 32;

/// A port that is listened to.
pub(super) struct Listening {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Its thread has said that it ended.
    pub ended: bool,
}

impl Listening {
    /// Listens at an address (`127.0.0.1:2055`), as the capture of a number.
    pub fn start(at: &str, buffer: Option<u32>, n: usize, to: Sender<Said>) -> Result<Listening> {
        let place = || format!("{PREFIX}{at}");
        let own: SocketAddr = at.parse().map_err(|_| {
            Error::user(format!("`{at}` is not an address with a port")).hint("for example 127.0.0.1:2055 or [::1]:2055")
        })?;
        let opened = UdpSocket::bind(own).and_then(|s| s.set_nonblocking(true).map(|()| s));
        let socket = opened.map_err(|e| {
            Error::input(format!("cannot listen at {own}: {e}"))
                .at(place())
                .hint("another program may hold the port; ports below 1024 need a privilege")
        })?;
        let own = socket.local_addr().unwrap_or(own);
        if let Some(mib) = buffer {
            // The kernel gives as much as it allows (net.core.rmem_max).
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, (mib as usize) << 20);
        }
        let stop = Arc::<AtomicBool>::default();
        let listener = Listener { socket, own, n, to, stop: Arc::clone(&stop), offset: 0, received: 0 };
        let thread = std::thread::Builder::new().name("listen".into()).spawn(move || listener.run());
        let thread = thread.map_err(|e| Error::internal(format!("a thread cannot be started: {e}")))?;
        Ok(Listening { stop, thread: Some(thread), ended: false })
    }
    /// Asks it to end; what it has received is still sent.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    /// Waits for its end.
    pub fn gone(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Listener {
    socket: UdpSocket,
    own: SocketAddr,
    n: usize,
    to: Sender<Said>,
    stop: Arc<AtomicBool>,
    offset: u64,
    received: u64,
}

impl Listener {
    fn run(mut self) {
        let name = format!("{PREFIX}{}", self.own);
        let interface = Interface {
            index: 0,
            name,
            link: LinkType::RAW,
            snaplen: 0,
            resolution: 1_000_000_000,
            offset: 0,
            at: 0,
            section: 0,
        };
        let mut alive = self.to.send(Said::Interface(self.n, interface)).is_ok();
        let (mut buffer, mut due, mut failed) = (vec![0u8; 65_536], Instant::now() + EVERY, None);
        while alive {
            // What lies in the kernel's buffer when it is asked to end was sent before: it is taken.
            let last = self.stop.load(Ordering::Relaxed);
            let mut batch = Packets::default();
            let more = match self.take(&mut buffer, &mut batch) {
                Ok(more) => more,
                Err(e) => {
                    failed = Some(Error::input(format!("cannot receive: {e}")));
                    false
                }
            };
            alive = batch.is_empty() || self.to.send(Said::Packets(self.n, batch)).is_ok();
            if Instant::now() >= due || (last && !more) || failed.is_some() {
                due = Instant::now() + EVERY;
                alive = alive && self.to.send(Said::Counted(self.n, self.counted())).is_ok();
            }
            if (last && !more) || failed.is_some() {
                break;
            }
            if !more {
                let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
                let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: GLANCE.as_nanos() as i64 };
                let _ = poll(&mut fds, Some(&timeout));
            }
        }
        let _ = self.to.send(Said::Ended(self.n, Ending { error: failed, notes: Vec::new() }));
    }
    /// Takes what there is, up to a batch; gives whether there may be more.
    fn take(&mut self, buffer: &mut [u8], batch: &mut Packets) -> std::io::Result<bool> {
        while batch.len() < BATCH && batch.bytes() < BATCH_BYTES {
            let (length, from) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                // A port that answered that nobody listens there is no matter of this one.
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => continue,
                Err(e) => return Err(e),
            };
            let data = packet(from, self.own, buffer.get(..length).unwrap_or_default());
            self.received += 1;
            batch.push(&Packet {
                time: now(),
                link: LinkType::RAW,
                data: &data,
                wire_len: data.len() as u32,
                offset: self.offset,
                number: self.received,
                interface: 0,
            });
            self.offset += data.len() as u64 + AROUND;
        }
        Ok(true)
    }
    fn counted(&self) -> Missed {
        let dropped = drops(self.own).unwrap_or(0);
        let received = Some(self.received.saturating_add(dropped));
        Missed { interface: 0, received, dropped, by_interface: 0, late: 0, total: true, at: Some(now()) }
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The packet that carried a datagram.
fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut udp = [from.port().to_be_bytes(), to.port().to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    udp.extend_from_slice(payload);
    // An address that is IPv4 inside of IPv6 is one of IPv4.
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), to) => {
            let to = if let IpAddr::V4(to) = to { to } else { std::net::Ipv4Addr::UNSPECIFIED };
            let total = u16::try_from(udp.len() + 20).unwrap_or(u16::MAX);
            let mut head = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP, 0, 0];
            head[2..4].copy_from_slice(&total.to_be_bytes());
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            let sum = checksum(&head, 0);
            head[10..12].copy_from_slice(&sum.to_be_bytes());
            head.extend_from_slice(&udp);
            head
        }
        (IpAddr::V6(from), to) => {
            let to = if let IpAddr::V6(to) = to { to } else { std::net::Ipv6Addr::UNSPECIFIED };
            let mut head = vec![0x60, 0, 0, 0];
            head.extend_from_slice(&length.to_be_bytes());
            head.extend_from_slice(&[UDP, 64]);
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            // RFC 8200, 8.1: over the addresses, the length and the protocol too.
            let pseudo = [&from.octets()[..], &to.octets(), &udp].concat();
            let sum = match checksum(&pseudo, u32::from(length) + u32::from(UDP)) {
                0 => 0xffff,
                sum => sum,
            };
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            head.extend_from_slice(&udp);
            head
        }
    }
}

/// Datagrams that the kernel dropped of those for a port since it was opened; `None`: it does not tell.
fn drops(own: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string(if own.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" }).ok()?;
    dropped_of(&table, own)
}

/// The last column of the row of an address, whose four-byte words are in the machine's order.
fn dropped_of(table: &str, own: SocketAddr) -> Option<u64> {
    let bytes = match own.ip() {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).filter_map(|w| <[u8; 4]>::try_from(w).ok());
    let address: String = words.map(|w| format!("{:08X}", u32::from_ne_bytes(w))).collect();
    let wanted = format!("{address}:{:04X}", own.port());
    table.lines().skip(1).find_map(|row| {
        let mut cells = row.split_ascii_whitespace();
        cells.nth(1).filter(|local| *local == wanted)?;
        cells.next_back()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::layers::{Checksum, Transport, decode};

    #[test]
    fn a_datagram_is_a_packet_that_decodes_to_the_same() {
        for (from, to) in [
            ("192.0.2.1:40000", "127.0.0.1:2055"),
            ("[2001:db8::1]:40000", "[::1]:2055"),
            ("[::ffff:192.0.2.1]:40000", "[::]:2055"),
        ] {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let data = packet(from, to, b"payload");
            let walk = decode(LinkType::RAW, &data);
            assert!(walk.oddities.is_empty(), "{:?}", walk.oddities);
            let c = &walk.found[0];
            assert_eq!(
                (c.src, c.transport, c.payload),
                (from.ip().to_canonical(), Transport::Ports(40000, 2055), &b"payload"[..])
            );
            assert!(!c.bad_ip_checksum && c.checksum() != Checksum::Bad);
        }
    }

    #[test]
    fn drops_are_the_last_column_of_the_ports_row() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     1: 0100007F:0807 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 17\n";
        if cfg!(target_endian = "little") {
            assert_eq!(dropped_of(table, "127.0.0.1:2055".parse().unwrap()), Some(17));
        }
        assert_eq!(dropped_of(table, "127.0.0.1:2056".parse().unwrap()), None);
    }
}
