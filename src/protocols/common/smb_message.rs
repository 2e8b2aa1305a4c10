//! SMB 1 (MS-CIFS, MS-SMB) and SMB 2/3 (MS-SMB2) messages, as far as they name dialects, logins, shares and files, and say where the content
//! of files stands. Knows no stream and no state; sealed messages say nothing.

use super::bytes::{Bytes, text, utf16};
use super::ntlm::{self, Ntlm};
use super::rpc_calls;
use super::smb_content::{self, Content, FileId};
use super::smb_files::unnamed;

/// Longest path in UTF-16 units.
const MAX_PATH: usize = 1024;
/// Messages chained into one.
const MAX_CHAIN: usize = 16;
/// The object identifier of Kerberos 5 in SPNEGO, and Microsoft's older one.
const KERBEROS: [&[u8]; 2] = [b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"];

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Dialects, of SMB 1 by name.
    Negotiate(Vec<String>),
    /// A step of a login: how, and what it says.
    Login(&'static str, Ntlm),
    /// A share, as `\\host\share`.
    Tree(String),
    /// A file.
    Open(String),
}

/// What a server says of a file that it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// 1 opened, 2 created, 3 overwritten, 0 superseded.
    pub action: u32,
    /// Size in bytes.
    pub size: u64,
    /// It is a directory.
    pub directory: bool,
    /// Its number from here on.
    pub file: FileId,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request: its number, tree, and what it asks.
    Ask(u64, u32, Ask),
    /// A response.
    Reply {
        /// Number of the request.
        id: u64,
        /// Tree.
        tree: u32,
        /// NT status.
        status: u32,
        /// Dialect chosen, of SMB 1 its place in the client's list.
        dialect: Option<u16>,
        /// Of an open.
        opened: Option<Opened>,
        /// What the server calls itself, of a challenge.
        server: Option<Ntlm>,
    },
    /// What was written into or read from an open file and looks like DCE/RPC: a number of the file (0 in responses), its tree, the bytes.
    Rpc(u64, u32, Vec<u8>),
    /// What tells of the content of a file, and its tree.
    Content(u32, Content),
    /// Encrypted or compressed.
    Sealed,
}

fn login(blob: &[u8]) -> Ask {
    let method = if ntlm::find(blob).is_some() {
        "ntlm"
    } else if KERBEROS.iter().any(|k| memchr::memmem::find(blob, k).is_some()) {
        "kerberos"
    } else {
        ""
    };
    Ask::Login(method, ntlm::find(blob).unwrap_or_default())
}

/// Reads the messages of one frame, or of as much as is kept of it. `whole`: no byte of the frame is left out. `Err`: what was malformed; what stands before it is in `out`.
pub fn read(frame: &[u8], whole: bool, out: &mut Vec<Message>) -> Result<(), &'static str> {
    match frame.get(..4) {
        Some(b"\xffSMB") => smb1(frame, out).or((!whole).then_some(())).ok_or("smb_truncated"),
        Some(b"\xfeSMB") => {
            let mut rest = frame;
            let mut related = None;
            for _ in 0..MAX_CHAIN {
                let base = frame.len().saturating_sub(rest.len());
                let Some(next) = smb2(rest, base, &mut related, out) else {
                    return if whole { Err("smb_truncated") } else { Ok(()) };
                };
                match next {
                    0 => return Ok(()),
                    1..64 => return Err("smb_chain_malformed"),
                    _ => rest = rest.get(next..).ok_or("smb_chain_malformed")?,
                }
            }
            Err("smb_chain_too_long")
        }
        Some(b"\xfdSMB" | b"\xfcSMB") => {
            out.push(Message::Sealed);
            Ok(())
        }
        _ => Err("smb_magic_unknown"),
    }
}

/// One message of SMB 2 that begins at `base` of its frame; gives the offset of the next, 0 if there is none. `related`: the file of the
/// request before.
fn smb2(m: &[u8], base: usize, related: &mut Option<FileId>, out: &mut Vec<Message>) -> Option<usize> {
    let mut b = Bytes::new(m);
    b.take(8)?;
    let status = b.u32_le()?;
    let command = b.u16_le()?;
    b.u16_le()?;
    let flags = b.u32_le()?;
    let next = b.u32_le()? as usize;
    let id = b.u64_le()?;
    b.u32_le()?;
    let tree = b.u32_le()?;
    b.take(24)?;
    let at = |offset: usize| m.get(offset.saturating_add(64)..).map(Bytes::new);
    // Offsets in the body are counted from the header.
    let part = |offset: usize| {
        let mut b = at(offset)?;
        let (start, length) = (usize::from(b.u16_le()?), usize::from(b.u16_le()?));
        m.get(start..start.checked_add(length)?)
    };
    if let Some((file, data)) = pipe2(m, command, flags & 1 != 0).filter(|p| rpc(p.1)) {
        out.push(Message::Rpc(file, tree, data.to_vec()));
    }
    let reply = flags & 1 != 0;
    let head = smb_content::Head { base, command, reply, status, id, related: *related };
    if let Some(content) = smb_content::of2(m, head) {
        *related = content.file().or(*related);
        out.push(Message::Content(tree, content));
    }
    if reply {
        let dialect = if command == 0 { at(4)?.u16_le() } else { None };
        let opened = if command == 5 && status == 0 { opened(m) } else { None };
        let server = if command == 1 { part(4).and_then(ntlm::find).filter(|n| n.kind == 2) } else { None };
        if matches!(command, 0 | 1 | 3 | 5) {
            out.push(Message::Reply { id, tree, status, dialect, opened, server });
        }
    } else {
        let ask = match command {
            0 => Ask::Negotiate(Vec::new()),
            1 => login(part(12)?),
            3 => Ask::Tree(utf16(part(4)?, MAX_PATH)),
            5 => {
                *related = Some(unnamed(id));
                Ask::Open(utf16(part(44)?, MAX_PATH))
            }
            _ => return Some(next),
        };
        out.push(Message::Ask(id, tree, ask));
    }
    Some(next)
}

/// Whether bytes may be fragments of DCE/RPC.
fn rpc(data: &[u8]) -> bool {
    let kinds = if rpc_calls::looks(data, rpc_calls::ASKED) { rpc_calls::ASKED } else { rpc_calls::ANSWERED };
    data.len() >= 16 && rpc_calls::looks(data, kinds) && rpc_calls::length(data).is_some_and(|n| n >= 16)
}

/// What is written into or read from a pipe: a number of the file, and the bytes.
fn pipe2(m: &[u8], command: u16, reply: bool) -> Option<(u64, &[u8])> {
    const TRANSCEIVE: u32 = 0x0011_c017;
    let at = |offset: usize| m.get(offset.saturating_add(64)..).map(Bytes::new);
    let file = |offset: usize| at(offset)?.u64_le();
    let part = |start: usize, length: usize| m.get(start..start.checked_add(length)?);
    let wide = |offset: usize| Some((at(offset)?.u32_le()? as usize, at(offset.checked_add(4)?)?.u32_le()? as usize));
    match (command, reply) {
        (8, true) => Some((0, part(usize::from(at(2)?.u8()?), at(4)?.u32_le()? as usize)?)),
        (9, false) => Some((file(16)?, part(usize::from(at(2)?.u16_le()?), at(4)?.u32_le()? as usize)?)),
        (11, _) if at(4)?.u32_le()? == TRANSCEIVE => {
            let (start, length) = wide(if reply { 32 } else { 24 })?;
            Some((if reply { 0 } else { file(8)? }, part(start, length)?))
        }
        _ => None,
    }
}

/// The same of SMB 1: transactions, writes and answers to reads.
fn pipe1<'a>(m: &'a [u8], command: u8, reply: bool, words: &[u8]) -> Option<(u64, &'a [u8])> {
    let word = |at: usize| Some(usize::from(Bytes::new(words.get(at..)?).u16_le()?));
    let (file, length, start) = match (command, reply) {
        // TransactNmPipe.
        (0x25, false) if word(28)? == 0x26 => (word(30)?, word(22)?, word(24)?),
        (0x25, true) => (0, word(12)?, word(14)?),
        (0x2e, true) => (0, word(10)?, word(12)?),
        (0x2f, false) => (word(4)?, word(20)?, word(22)?),
        _ => return None,
    };
    Some((file as u64, m.get(start..start.checked_add(length)?)?))
}

fn opened(m: &[u8]) -> Option<Opened> {
    let mut b = Bytes::new(m.get(68..)?);
    let action = b.u32_le()?;
    // Four times, and what is allocated.
    b.take(40)?;
    let size = b.u64_le()?;
    let directory = b.u32_le()? & 0x10 != 0;
    b.take(4)?;
    Some(Opened { action, size, directory, file: (b.u64_le()?, b.u64_le()?) })
}

fn smb1(m: &[u8], out: &mut Vec<Message>) -> Option<()> {
    let mut b = Bytes::new(m);
    b.take(4)?;
    let mut command = b.u8()?;
    let status = b.u32_le()?;
    let (reply, flags2) = (b.u8()? & 0x80 != 0, b.u16_le()?);
    b.take(12)?;
    let tree = u32::from(b.u16_le()?);
    b.take(4)?;
    let id = u64::from(b.u16_le()?);
    let unicode = flags2 & 0x8000 != 0;
    let mut start = 32usize;
    for _ in 0..MAX_CHAIN {
        let mut b = Bytes::new(m.get(start..)?);
        let count = usize::from(b.u8()?);
        let words = b.take(count.checked_mul(2)?)?;
        let length = usize::from(b.u16_le()?);
        let from = start.checked_add(b.at())?;
        let data = b.take(length.min(b.left()))?;
        if let Some((file, data)) = pipe1(m, command, reply, words).filter(|p| rpc(p.1)) {
            out.push(Message::Rpc(file, tree, data.to_vec()));
        }
        let head = smb_content::Head {
            base: 0,
            command: u16::from(command),
            reply,
            status,
            id: id << 8 | u64::from(command),
            related: None,
        };
        if let Some(content) = smb_content::of1(words, head) {
            out.push(Message::Content(tree, content));
        }
        if reply {
            // On an error there are no words.
            let mut w = Bytes::new(words);
            let dialect = if command == 0x72 { w.u16_le() } else { None };
            let opened = match command {
                0xa2 if status == 0 => opened1(words),
                0x2d if status == 0 => opened_before(words),
                _ => None,
            };
            let server = if command == 0x73 { ntlm::find(data).filter(|n| n.kind == 2) } else { None };
            if matches!(command, 0x2d | 0x72 | 0x73 | 0x75 | 0xa2) {
                out.push(Message::Reply { id: id << 8 | u64::from(command), tree, status, dialect, opened, server });
            }
        } else if let Some(ask) = ask1(command, words, data, from, unicode) {
            out.push(Message::Ask(id << 8 | u64::from(command), tree, ask));
        }
        if !matches!(command, 0x2d | 0x2e | 0x2f | 0x73 | 0x74 | 0x75 | 0xa2) || words.len() < 4 {
            return Some(());
        }
        let mut w = Bytes::new(words);
        command = w.u8()?;
        w.u8()?;
        let next = usize::from(w.u16_le()?);
        if command == 0xff || next == 0 {
            return Some(());
        }
        if next <= start {
            return None;
        }
        start = next;
    }
    None
}

fn opened1(words: &[u8]) -> Option<Opened> {
    let mut b = Bytes::new(words);
    b.take(5)?;
    let file = (u64::from(b.u16_le()?), 0);
    let action = b.u32_le()?;
    b.take(32)?;
    let directory = b.u32_le()? & 0x10 != 0;
    b.take(8)?;
    Some(Opened { action, size: b.u64_le()?, directory, file })
}

/// The answer to OPEN_ANDX, the older way (MS-CIFS 2.2.4.41.2).
fn opened_before(words: &[u8]) -> Option<Opened> {
    let mut b = Bytes::new(words);
    b.take(4)?;
    let file = (u64::from(b.u16_le()?), 0);
    b.take(6)?;
    let size = u64::from(b.u32_le()?);
    b.take(6)?;
    Some(Opened { action: u32::from(b.u16_le()? & 3), size, directory: false, file })
}

/// A text that ends at its zero, from `at` of data that begins at `from` of the message, where UTF-16 stands at even offsets.
fn string1(data: &[u8], at: usize, from: usize, unicode: bool) -> Option<(String, usize)> {
    if !unicode {
        let rest = data.get(at..)?;
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        return Some((text(rest.get(..end)?, MAX_PATH), at.checked_add(end)?.checked_add(1)?));
    }
    let start = at.checked_add(from.checked_add(at)? % 2)?;
    let rest = data.get(start..)?;
    let end = rest.chunks_exact(2).position(|c| c == [0, 0]).map_or(rest.len(), |n| n.saturating_mul(2));
    Some((utf16(rest.get(..end)?, MAX_PATH), start.checked_add(end)?.checked_add(2)?))
}

fn ask1(command: u8, words: &[u8], data: &[u8], from: usize, unicode: bool) -> Option<Ask> {
    let word = |at: usize| words.get(at..).map(Bytes::new).and_then(|mut b| b.u16_le()).map(usize::from);
    match command {
        0x72 => {
            let names = data.split(|b| *b == 0).filter_map(|d| d.strip_prefix(&[2])).take(64);
            Some(Ask::Negotiate(names.map(|d| text(d, 64)).collect()))
        }
        0x73 if words.len() == 24 => Some(login(data.get(..word(14)?).unwrap_or(data))),
        0x73 if words.len() == 26 => {
            let passwords = word(14)?.checked_add(word(16)?)?;
            let (user, after) = string1(data, passwords, from, unicode)?;
            let domain = string1(data, after, from, unicode).map(|(d, _)| d).unwrap_or_default();
            Some(Ask::Login("ntlm", Ntlm { kind: 3, user, domain, host: String::new() }))
        }
        0x75 => string1(data, word(6)?, from, unicode).map(|(path, _)| Ask::Tree(path)),
        0x2d | 0xa2 => string1(data, 0, from, unicode).map(|(name, _)| Ask::Open(name)),
        _ => None,
    }
}

/// The name of a dialect of SMB 2 or 3.
pub fn dialect_name(dialect: u16) -> String {
    match dialect {
        0x0202 => "SMB 2.0.2".to_owned(),
        0x0210 => "SMB 2.1".to_owned(),
        0x02ff => "SMB 2".to_owned(),
        0x0300 => "SMB 3.0".to_owned(),
        0x0302 => "SMB 3.0.2".to_owned(),
        0x0311 => "SMB 3.1.1".to_owned(),
        other => format!("SMB 0x{other:04x}"),
    }
}

/// The name of an NT status (MS-ERREF), without its `STATUS_`.
pub fn status_name(status: u32) -> String {
    let name = match status {
        0 => "SUCCESS",
        0x8000_0005 => "BUFFER_OVERFLOW",
        0xc000_000d => "INVALID_PARAMETER",
        0xc000_0016 => "MORE_PROCESSING_REQUIRED",
        0xc000_0022 => "ACCESS_DENIED",
        0xc000_0033 => "OBJECT_NAME_INVALID",
        0xc000_0034 => "OBJECT_NAME_NOT_FOUND",
        0xc000_0035 => "OBJECT_NAME_COLLISION",
        0xc000_003a => "OBJECT_PATH_NOT_FOUND",
        0xc000_0043 => "SHARING_VIOLATION",
        0xc000_0064 => "NO_SUCH_USER",
        0xc000_006a => "WRONG_PASSWORD",
        0xc000_006d => "LOGON_FAILURE",
        0xc000_006e => "ACCOUNT_RESTRICTION",
        0xc000_006f => "INVALID_LOGON_HOURS",
        0xc000_0070 => "INVALID_WORKSTATION",
        0xc000_0071 => "PASSWORD_EXPIRED",
        0xc000_0072 => "ACCOUNT_DISABLED",
        0xc000_00bb => "NOT_SUPPORTED",
        0xc000_00c9 => "NETWORK_NAME_DELETED",
        0xc000_00cc => "BAD_NETWORK_NAME",
        0xc000_0133 => "TIME_DIFFERENCE_AT_DC",
        0xc000_015b => "LOGON_TYPE_NOT_GRANTED",
        0xc000_0193 => "ACCOUNT_EXPIRED",
        0xc000_0224 => "PASSWORD_MUST_CHANGE",
        0xc000_0234 => "ACCOUNT_LOCKED_OUT",
        other => return format!("0x{other:08x}"),
    };
    name.to_owned()
}
