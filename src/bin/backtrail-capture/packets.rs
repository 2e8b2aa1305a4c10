//! The interface: libpcap's AF_PACKET ring, and what was dropped.

use super::Failure;
use super::options::Options;
use super::output::Output;
use backtrail::model::Time;
use backtrail::model::packet::LinkType;
use backtrail::model::time::SECOND;
use backtrail::sources::write::{Described, Statistics};
use pcap::{Active, Capture, Precision};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Packets that are taken at a time; fewer: there were no more.
pub const BATCH: usize = 512;
/// Batches that are taken after the end is wanted, at most: the kernel's buffer at its largest.
pub const LAST: usize = 1 << 16;
/// Milliseconds until the kernel hands over a block that is not full.
const BLOCK: i32 = 100;

/// An open interface.
pub struct Interface {
    capture: Capture<Active>,
    described: Described,
    /// Files of the kernel's own counters of what the hardware dropped, opened while that is still possible.
    hardware: Vec<Counter>,
    /// Counters of libpcap when they were looked at last: they are 32 bits wide and run over.
    last: (u32, u32),
    received: u64,
    dropped: u64,
    /// Of those the ones while the reader did not read.
    late: u64,
}

/// A counter in a file below /sys.
struct Counter {
    file: File,
    first: u64,
}

impl Counter {
    fn open(interface: &str, name: &str) -> Option<Counter> {
        let path = Path::new("/sys/class/net").join(interface).join("statistics").join(name);
        let file = File::open(path).ok()?;
        let first = read(&file)?;
        Some(Counter { file, first })
    }
    fn since(&self) -> u64 {
        read(&self.file).map_or(0, |now| now.saturating_sub(self.first))
    }
}

fn read(file: &File) -> Option<u64> {
    let mut text = [0; 24];
    let n = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..n]).ok()?.trim().parse().ok()
}

impl Interface {
    /// Opens an interface; this needs the privilege to.
    pub fn open(options: &Options) -> Result<Interface, Failure> {
        let name = options.interface.as_str();
        let failed = |e: pcap::Error| failure(name, &e);
        let capture = Capture::from_device(name)
            .map_err(failed)?
            .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
            .promisc(options.promiscuous && name != "any")
            .buffer_size(i32::try_from(options.buffer << 20).unwrap_or(i32::MAX))
            // Blocks, not single packets: few wake-ups, and no packet waits longer than a block's time.
            .immediate_mode(false)
            .timeout(BLOCK)
            .precision(Precision::Nano)
            .open()
            .map_err(failed)?;
        let mut capture = capture.setnonblock().map_err(failed)?;
        if !options.filter.is_empty() {
            capture.filter(&options.filter, true).map_err(|e| {
                Failure::new(
                    format!("the filter `{}` is not understood: {}", options.filter, said(&e)),
                    "the language of pcap-filter(7), for example: -f 'tcp port 80 or net 10.0.0.0/8'",
                )
            })?;
        }
        let link = u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX);
        let described = Described {
            name: name.to_owned(),
            filter: options.filter.clone(),
            link: LinkType(linktype(link)),
            snaplen: options.snaplen,
        };
        let hardware = ["rx_missed_errors", "rx_fifo_errors"].iter().filter_map(|file| Counter::open(name, file)).collect();
        Ok(Interface { capture, described, hardware, last: (0, 0), received: 0, dropped: 0, late: 0 })
    }
    /// What is said of it.
    pub fn described(&self) -> &Described {
        &self.described
    }
    /// Takes the packets that are there, up to a batch; gives how many there were.
    pub fn take(&mut self, output: &mut Output) -> Result<usize, Failure> {
        let name = &self.described.name;
        let taken = self.capture.dispatch(Some(BATCH), |packet| {
            let ts = packet.header.ts;
            // The fraction is in nanoseconds: that precision was asked for, and AF_PACKET has it.
            let time = Time(ts.tv_sec.saturating_mul(SECOND).saturating_add(ts.tv_usec));
            output.packet(time, packet.data, packet.header.len);
        });
        match taken {
            Ok(taken) => Ok(taken),
            // It may come up again.
            Err(e) if said(&e).contains("went down") => Ok(0),
            Err(e) => Err(Failure::new(format!("{name} cannot be read any more: {}", said(&e)), "is it still there? ip link")),
        }
    }
    /// What was counted until now.
    pub fn counted(&mut self, output: &Output) -> Result<Statistics, Failure> {
        self.look()?;
        Ok(Statistics {
            received: self.received,
            by_interface: self.hardware.iter().map(Counter::since).sum(),
            by_system: self.dropped,
            late: self.late,
            delivered: output.packets(),
        })
    }
    /// The reader does not read: what is dropped from now on is dropped for that.
    pub fn falls_behind(&mut self) -> Result<(), Failure> {
        self.look()
    }
    /// The reader reads again.
    pub fn catches_up(&mut self) -> Result<(), Failure> {
        let before = self.dropped;
        self.look()?;
        self.late += self.dropped - before;
        Ok(())
    }
    fn look(&mut self) -> Result<(), Failure> {
        let stat = self.capture.stats().map_err(|e| Failure::new(format!("no counters: {}", said(&e)), ""))?;
        self.received += u64::from(stat.received.wrapping_sub(self.last.0));
        self.dropped += u64::from(stat.dropped.wrapping_sub(self.last.1));
        self.last = (stat.received, stat.dropped);
        Ok(())
    }
}

impl AsFd for Interface {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }
}

/// The number of a file's link type (LINKTYPE_) by the number that libpcap has for it on this system (DLT_): they differ for raw IP.
fn linktype(dlt: u16) -> u16 {
    match dlt {
        12 | 14 => 101,
        other => other,
    }
}

fn said(e: &pcap::Error) -> String {
    match e {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

fn failure(interface: &str, e: &pcap::Error) -> Failure {
    let text = said(e);
    let lower = text.to_lowercase();
    if ["permission", "permitted", "cap_net_raw"].iter().any(|word| lower.contains(word)) {
        let program = std::env::current_exe().map_or_else(|_| "backtrail-capture".into(), |p| p.display().to_string());
        let (why, first) = hindrance(Path::new(&program));
        return Failure::new(
            format!("no permission to capture on {interface}{why}"),
            format!("{first}setcap cap_net_raw=ep {program}   (as root, once), or run it as root"),
        );
    }
    if lower.contains("no such device") {
        let names = interfaces().join(", ");
        return Failure::new(format!("there is no interface `{interface}`"), format!("one of: {names}"));
    }
    if lower.contains("not up") {
        return Failure::new(format!("{interface} is down"), format!("ip link set {interface} up"));
    }
    Failure::new(format!("{interface} cannot be opened: {text}"), "ip link shows the interfaces and their state")
}

/// Why capabilities of the program's file would not count, and what is to be done first.
fn hindrance(program: &Path) -> (&'static str, &'static str) {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    if rustix::thread::no_new_privs().unwrap_or(false) {
        return (
            ": it was started with no_new_privs, by which the capabilities of a file do not count",
            "start it without that; ",
        );
    }
    match statvfs(program) {
        Ok(stat) if stat.f_flag.contains(StatVfsMountFlags::NOSUID) => {
            (": its file system is mounted nosuid, where the capabilities of a file do not count", "put it elsewhere; ")
        }
        _ => ("", ""),
    }
}

/// Names of the interfaces of this system, without what libpcap has besides (USB, D-Bus, netfilter).
fn interfaces() -> Vec<String> {
    let other = ["usbmon", "dbus-", "nflog", "nfqueue", "bluetooth"];
    let all = pcap::Device::list().unwrap_or_default().into_iter().map(|device| device.name);
    all.filter(|name| !other.iter().any(|other| name.starts_with(other))).collect()
}
