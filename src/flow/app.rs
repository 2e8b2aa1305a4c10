//! Which application is it? Asks the protocols about the first bytes of either side, keeps one parser at a time, and collects what it
//! understood. Knows the [`Protocol`] and [`Parser`] traits only, no protocol by name but in the table of ports.
//!
//! Every call into a protocol goes through one boundary that turns a panic into the oddity `parser_panicked`.

use crate::model::field::FieldId;
use crate::model::flow::AppConfidence;
use crate::model::guard;
use crate::model::oddity::Oddity;
use crate::model::proto;
use crate::model::value::Value;
use crate::protocols::{At, Ends, Out, Parser, Protocol, Side, Sniff};
use compact_str::CompactString;
use smallvec::SmallVec;

/// First bytes of a side that probes see.
const PROBE: usize = 512;
/// Bytes of both sides held back until a protocol is recognised.
const MAX_HELD: usize = 8 * 1024;
/// Datagrams of a side that are probed.
const MAX_DATAGRAMS: u8 = 8;
/// Times that a stream may go on as another protocol.
const MAX_RESTARTS: u8 = 4;
/// Names and fields of one flow.
const MAX_FIELDS: usize = 64;

/// Services by port alone, for flows whose content could not be read.
const PORTS: &[(u8, u16, &str)] = &[
    (proto::TCP, 21, "ftp"),
    (proto::TCP, 22, "ssh"),
    (proto::TCP, 23, "telnet"),
    (proto::TCP, 25, "smtp"),
    (proto::TCP, 53, "dns"),
    (proto::UDP, 53, "dns"),
    (proto::UDP, 67, "dhcp"),
    (proto::TCP, 80, "http"),
    (proto::TCP, 88, "kerberos"),
    (proto::UDP, 88, "kerberos"),
    (proto::TCP, 110, "pop3"),
    (proto::UDP, 123, "ntp"),
    (proto::TCP, 135, "dcerpc"),
    (proto::TCP, 139, "smb"),
    (proto::TCP, 143, "imap"),
    (proto::UDP, 161, "snmp"),
    (proto::TCP, 389, "ldap"),
    (proto::UDP, 389, "ldap"),
    (proto::TCP, 443, "tls"),
    (proto::UDP, 443, "quic"),
    (proto::TCP, 445, "smb"),
    (proto::TCP, 465, "smtp"),
    (proto::UDP, 500, "ike"),
    (proto::UDP, 514, "syslog"),
    (proto::TCP, 587, "smtp"),
    (proto::TCP, 636, "ldap"),
    (proto::TCP, 993, "imap"),
    (proto::TCP, 995, "pop3"),
    (proto::TCP, 1080, "socks"),
    (proto::TCP, 1433, "mssql"),
    (proto::TCP, 1521, "oracle"),
    (proto::UDP, 1812, "radius"),
    (proto::UDP, 1813, "radius"),
    (proto::UDP, 1900, "ssdp"),
    (proto::TCP, 3306, "mysql"),
    (proto::TCP, 3389, "rdp"),
    (proto::TCP, 5432, "postgres"),
    (proto::UDP, 5353, "mdns"),
    (proto::TCP, 5900, "rfb"),
    (proto::TCP, 5985, "winrm"),
    (proto::TCP, 6379, "redis"),
    (proto::TCP, 8080, "http"),
    (proto::TCP, 27017, "mongodb"),
];

/// The service that is usual on a port.
pub fn by_port(protocol: u8, port: u16) -> Option<&'static str> {
    PORTS.iter().find(|(p, n, _)| (*p, *n) == (protocol, port)).map(|(_, _, name)| *name)
}

/// The open set of protocols that a meter asks.
pub type Protocols = &'static [&'static dyn Protocol];

enum Stage {
    Probing { held: Vec<(Side, Vec<u8>, At)>, bytes: usize },
    Parsing { protocol: &'static dyn Protocol, parser: Box<dyn Parser>, matched: [bool; 2] },
    Over,
}

/// What is known of a flow's application.
pub struct App {
    stage: Stage,
    prefix: [Vec<u8>; 2],
    exhausted: [bool; 2],
    datagrams: [u8; 2],
    restarts: u8,
    /// Protocols recognised, and how.
    names: SmallVec<[(&'static str, AppConfidence); 1]>,
    /// Fields of the flow itself.
    pub fields: Vec<(FieldId, Value)>,
    /// Events given so far.
    pub events: u32,
    /// Bytes could not be read: cut, missing, or given up.
    pub unread: bool,
    /// Reads what another flow announced, whatever else this one is recognised as.
    announced: Option<Box<dyn Parser>>,
}

fn index(side: Side) -> usize {
    usize::from(side == Side::In)
}

/// Calls a parser; a panic drops it.
fn guarded(out: &mut Out, at: At, call: impl FnOnce(&mut Out)) -> bool {
    let done = guard::quietly(|| call(out)).is_some();
    if !done {
        out.oddities.push((Oddity::new(guard::PANICKED), at.time, at.offset));
    }
    done
}

impl Default for App {
    fn default() -> App {
        App {
            stage: Stage::Probing { held: Vec::new(), bytes: 0 },
            prefix: [Vec::new(), Vec::new()],
            exhausted: [false; 2],
            datagrams: [0; 2],
            restarts: 0,
            names: SmallVec::new(),
            fields: Vec::new(),
            events: 0,
            unread: false,
            announced: None,
        }
    }
}

impl App {
    /// Of a flow that another one announced with its parser.
    pub fn announced(parser: Box<dyn Parser>) -> App {
        App { announced: Some(parser), ..App::default() }
    }

    /// Whether content is still wanted.
    pub fn wants(&self) -> bool {
        !matches!(self.stage, Stage::Over) || self.announced.is_some()
    }

    /// Calls the parser that was announced. It says nothing of the flow: that stays with what the content is recognised as.
    fn tell(&mut self, at: At, out: &mut Out, call: impl FnOnce(&mut dyn Parser, &mut Out)) {
        let Some(parser) = &mut self.announced else { return };
        let mut own = Out { keeping: out.keeping.clone(), ..Out::default() };
        let alive = guarded(&mut own, at, |own| call(&mut **parser, own));
        out.events.append(&mut own.events);
        out.carried.append(&mut own.carried);
        out.oddities.append(&mut own.oddities);
        if !alive || own.done {
            self.announced = None;
        }
    }

    /// Bytes of memory held back, by the parsers too.
    pub fn held(&self) -> usize {
        let own = match &self.stage {
            Stage::Probing { bytes, .. } => *bytes,
            Stage::Parsing { parser, .. } => parser.held(),
            Stage::Over => 0,
        };
        own.saturating_add(self.announced.as_ref().map_or(0, |parser| parser.held()))
    }

    /// Lets go what parsers hold. Returns whether that was anything.
    pub fn relieve(&mut self) -> bool {
        let mut held = false;
        let parsing = if let Stage::Parsing { parser, .. } = &mut self.stage { Some(parser) } else { None };
        for parser in parsing.into_iter().chain(&mut self.announced).filter(|p| p.held() > 0) {
            parser.relieve();
            held = true;
        }
        self.unread |= held;
        held
    }

    /// Takes in-order bytes of a stream, or one datagram.
    pub fn data(&mut self, all: Protocols, ends: &Ends, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        if bytes.is_empty() {
            return;
        }
        self.tell(at, out, |parser, own| parser.data(side, bytes, at, own));
        self.take(all, ends, side, bytes, at, out);
    }

    /// Hands bytes to whoever is due. What a parser leaves of them when the stream goes on as another protocol is probed in turn, which
    /// happens at most [`MAX_RESTARTS`] times.
    fn take(&mut self, all: Protocols, ends: &Ends, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        match &mut self.stage {
            Stage::Over => {}
            Stage::Probing { .. } => self.probe(all, ends, side, bytes, at, out),
            Stage::Parsing { .. } => {
                self.match_side(ends, side, bytes, at, out);
                self.feed(ends, side, bytes, at, out);
                let unused = std::mem::take(&mut out.unused).min(bytes.len());
                if unused > 0 {
                    self.take(all, ends, side, &bytes[bytes.len() - unused..], at, out);
                }
            }
        }
    }

    /// Bytes of a stream are missing.
    pub fn gap(&mut self, ends: &Ends, side: Side, missing: u64, at: At, out: &mut Out) {
        self.unread = true;
        self.tell(at, out, |parser, own| parser.gap(side, missing, at, own));
        match &mut self.stage {
            Stage::Over => {}
            Stage::Probing { .. } => {
                self.exhausted[index(side)] = true;
                self.prefix[index(side)] = Vec::new();
                if self.exhausted == [true; 2] {
                    self.over();
                }
            }
            Stage::Parsing { parser, .. } => {
                let alive = guarded(out, at, |out| parser.gap(side, missing, at, out));
                self.settle(ends, alive, at, out);
            }
        }
    }

    /// The flow is over.
    pub fn end(&mut self, ends: &Ends, at: At, out: &mut Out) {
        self.tell(at, out, |parser, own| parser.end(own));
        self.announced = None;
        if let Stage::Parsing { parser, .. } = &mut self.stage {
            let alive = guarded(out, at, |out| parser.end(out));
            self.settle(ends, alive, at, out);
        }
        self.over();
    }

    /// Originator and responder changed places before anything was recognised.
    pub fn flip(&mut self) {
        self.prefix.swap(0, 1);
        self.exhausted.swap(0, 1);
        self.datagrams.swap(0, 1);
        match &mut self.stage {
            Stage::Probing { held, .. } => {
                for (side, _, _) in held {
                    *side = if *side == Side::Out { Side::In } else { Side::Out };
                }
            }
            Stage::Parsing { .. } => self.over(),
            Stage::Over => {}
        }
    }

    /// The names recognised, comma-separated and sorted, and the best confidence.
    pub fn name(&self) -> (CompactString, AppConfidence) {
        let mut names: Vec<&str> = self.names.iter().map(|n| n.0).collect();
        names.sort_unstable();
        names.dedup();
        let confidence = self.names.iter().map(|n| n.1).max().unwrap_or_default();
        (CompactString::from(names.join(",")), confidence)
    }

    /// Whether a protocol is among the names.
    pub fn is(&self, name: &str) -> bool {
        self.names.iter().any(|n| n.0 == name)
    }

    fn add_name(&mut self, name: &'static str) {
        if !self.is(name) && self.names.len() < 8 {
            self.names.push((name, AppConfidence::Banner));
        }
    }

    fn over(&mut self) {
        self.stage = Stage::Over;
        self.prefix = [Vec::new(), Vec::new()];
    }

    fn probe(&mut self, all: Protocols, ends: &Ends, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let i = index(side);
        let stream = ends.proto == proto::TCP;
        let Stage::Probing { held, bytes: count } = &mut self.stage else { return };
        held.push((side, bytes.to_vec(), at));
        *count += bytes.len();
        let too_much = *count > MAX_HELD;
        if !self.exhausted[i] {
            if stream {
                let room = PROBE.saturating_sub(self.prefix[i].len());
                self.prefix[i].extend_from_slice(&bytes[..bytes.len().min(room)]);
            } else {
                self.prefix[i] = bytes.to_vec();
                self.datagrams[i] = self.datagrams[i].saturating_add(1);
            }
            let first = std::mem::take(&mut self.prefix[i]);
            let mut more = false;
            let mut chosen = None;
            for protocol in all.iter().filter(|p| p.over().contains(&ends.proto)) {
                let mut verdict = Sniff::No;
                guarded(out, at, |_| verdict = protocol.probe(side, &first, ends));
                match verdict {
                    Sniff::Yes => {
                        chosen = Some(*protocol);
                        break;
                    }
                    Sniff::More => more = true,
                    Sniff::No => {}
                }
            }
            self.prefix[i] = first;
            if let Some(protocol) = chosen {
                self.choose(all, protocol, ends, side, at, out);
                return;
            }
            self.exhausted[i] = if stream { !more || self.prefix[i].len() >= PROBE } else { self.datagrams[i] >= MAX_DATAGRAMS };
        }
        if too_much || self.exhausted == [true; 2] {
            self.unread |= too_much && self.exhausted != [true; 2];
            self.over();
        }
    }

    fn choose(&mut self, all: Protocols, protocol: &'static dyn Protocol, ends: &Ends, side: Side, at: At, out: &mut Out) {
        let Stage::Probing { held, .. } = &mut self.stage else { return };
        let mut held = std::mem::take(held);
        if ends.proto != proto::TCP {
            // Datagrams of this side that nobody recognised are not of the protocol that recognised the newest.
            let newest = held.len().saturating_sub(1);
            let mut n = 0;
            held.retain(|(from, ..)| {
                n += 1;
                *from != side || n > newest
            });
        }
        let mut parser = None;
        if !guarded(out, at, |_| parser = Some(protocol.parser(ends))) {
            self.over();
            return;
        }
        let Some(parser) = parser else { return };
        let mut matched = [false; 2];
        matched[index(side)] = true;
        self.add_name(protocol.name());
        // The other side's first bytes were probed in vain by all; they may still become a match with more.
        self.prefix = [Vec::new(), Vec::new()];
        self.stage = Stage::Parsing { protocol, parser, matched };
        for (side, bytes, at) in held {
            self.take(all, ends, side, &bytes, at, out);
        }
    }

    /// Asks the chosen protocol about the first bytes of the side that has not matched yet.
    fn match_side(&mut self, ends: &Ends, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Stage::Parsing { protocol, matched, .. } = &mut self.stage else { return };
        let i = index(side);
        if matched[i] || self.prefix[i].len() >= PROBE {
            return;
        }
        if ends.proto == proto::TCP {
            let room = PROBE.saturating_sub(self.prefix[i].len());
            self.prefix[i].extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else {
            self.prefix[i] = bytes.to_vec();
        }
        let mut verdict = Sniff::No;
        guarded(out, at, |_| verdict = protocol.probe(side, &self.prefix[i], ends));
        match verdict {
            Sniff::Yes => {
                matched[i] = true;
                self.prefix[i] = Vec::new();
                if *matched == [true; 2] {
                    let name = protocol.name();
                    self.confirm(name);
                }
            }
            Sniff::More => {}
            Sniff::No => self.prefix[i].resize(PROBE, 0),
        }
    }

    fn confirm(&mut self, name: &'static str) {
        if let Some(entry) = self.names.iter_mut().find(|n| n.0 == name) {
            entry.1 = AppConfidence::Parsed;
        }
    }

    fn feed(&mut self, ends: &Ends, side: Side, bytes: &[u8], at: At, out: &mut Out) {
        let Stage::Parsing { parser, .. } = &mut self.stage else { return };
        let alive = guarded(out, at, |out| parser.data(side, bytes, at, out));
        self.settle(ends, alive, at, out);
    }

    /// Acts on what a parser said about itself.
    fn settle(&mut self, ends: &Ends, alive: bool, at: At, out: &mut Out) {
        let Stage::Parsing { protocol, parser, .. } = &mut self.stage else { return };
        let name = protocol.name();
        if alive && out.done && !out.violated {
            let alive = guarded(out, at, |out| parser.end(out));
            out.done = alive;
        }
        for (field, value) in out.flow.drain(..) {
            if self.fields.len() < MAX_FIELDS && !self.fields.iter().any(|(f, _)| *f == field) {
                self.fields.push((field, value));
            }
        }
        let (confirmed, violated) = (std::mem::take(&mut out.confirmed), std::mem::take(&mut out.violated));
        let (done, restart) = (std::mem::take(&mut out.done), std::mem::take(&mut out.restart));
        let follows = std::mem::take(&mut out.follows).and_then(crate::protocols::find);
        if let Some(also) = out.also.take() {
            self.add_name(also);
        }
        if confirmed {
            self.confirm(name);
        }
        if violated {
            // What was never confirmed was not it.
            self.names.retain(|n| n.0 != name || n.1 == AppConfidence::Parsed);
        }
        if restart && alive && self.restarts < MAX_RESTARTS {
            self.restarts += 1;
            self.exhausted = [false; 2];
            self.prefix = [Vec::new(), Vec::new()];
            self.stage = match follows.and_then(|p| Some((p, guard::quietly(|| p.parser(ends))?))) {
                Some((protocol, parser)) => {
                    self.add_name(protocol.name());
                    self.confirm(protocol.name());
                    Stage::Parsing { protocol, parser, matched: [true; 2] }
                }
                None => Stage::Probing { held: Vec::new(), bytes: 0 },
            };
        } else if violated || done || !alive {
            self.over();
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("names", &self.names).field("events", &self.events).finish_non_exhaustive()
    }
}
