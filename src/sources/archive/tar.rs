//! tar: headers of 512 bytes, each before its member; long names of GNU and pax. Headers are decoded by the crate `tar`; the walk is ours, so
//! that no length in a header is believed before its bytes are there.

use super::limits::Metered;
use super::{Budget, Each, Member, Nature, Refusal, copy, shown};
use crate::model::Time;
use ::tar::{EntryType, Header, PaxExtensions};
use std::io::{self, Read};

const BLOCK: usize = 512;
/// Bytes of a long name or of pax records that are read.
const MAX_RECORDS: u64 = 1 << 20;

/// Whether these are the first bytes of a tar: a header whose checksum holds.
pub fn begins(head: &[u8]) -> bool {
    head.get(..BLOCK).is_some_and(|block| block[0] != 0 && holds(block))
}

fn holds(block: &[u8]) -> bool {
    let header = Header::from_byte_slice(block);
    let sum = |signed: bool| -> i64 {
        let byte = |(at, b): (usize, &u8)| match (at, signed) {
            (148..156, _) => 32,
            (_, true) => i64::from(*b as i8),
            (_, false) => i64::from(*b),
        };
        block.iter().enumerate().map(byte).sum()
    };
    header.cksum().is_ok_and(|want| i64::from(want) == sum(false) || i64::from(want) == sum(true))
}

/// What the headers before a member's own say about it.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<Time>,
}

/// Shows every member.
pub fn walk(from: impl Read, budget: &Budget, each: &mut Each<'_>) -> Result<(), String> {
    let mut from = Metered::new(from, budget.clone());
    let mut before = Before::default();
    loop {
        let at = from.read;
        let mut block = [0; BLOCK];
        let have = fill(&mut from, &mut block).map_err(|e| format!("cannot be read on at offset {at}: {e}"))?;
        if have == BLOCK && block.iter().all(|b| *b == 0) {
            return Ok(());
        }
        if have < BLOCK {
            return Err(format!("cut short at offset {at}: its end mark is missing"));
        }
        if !holds(&block) {
            return Err(format!("no header at offset {at}, where one should be"));
        }
        let header = Header::from_byte_slice(&block);
        let size = header.entry_size().map_err(|e| format!("size in the header at offset {at}: {e}"))?;
        let kind = header.entry_type();
        if is_records(kind) {
            records(&mut from, kind, size, &mut before).map_err(|e| format!("long name at offset {at}: {e}"))?;
            continue;
        }
        if kind == EntryType::GNUSparse {
            skip_maps(&mut from, header).map_err(|e| format!("sparse file at offset {at}: {e}"))?;
        }
        budget.member()?;
        let told = std::mem::take(&mut before);
        let size = told.size.filter(|_| kind.is_file()).unwrap_or(size);
        let member = describe(header, told, size, from.read);
        let end = from.read.saturating_add(size);
        let go_on = each(&member, &mut |sink| {
            let left = end.saturating_sub(from.read);
            // The meter has counted the bytes already: nothing is taken twice.
            let free = Budget::with(u64::MAX, 0, std::rc::Rc::new(|| false));
            match copy(&mut (&mut from).take(left), sink, &free, u64::MAX) {
                Ok(n) if n == left => Ok(()),
                Ok(n) => Err(Refusal::Damaged(format!("cut short: {n} of {left} bytes"))),
                Err(Refusal::Damaged(why)) if budget.is_spent() => Err(Refusal::Limit(why)),
                Err(e) => Err(e),
            }
        });
        if !go_on {
            return Ok(());
        }
        let rest = end.saturating_sub(from.read).saturating_add(size.next_multiple_of(BLOCK as u64) - size);
        skip(&mut from, rest).map_err(|e| format!("member at offset {at}: {e}"))?;
    }
}

fn fill(from: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < block.len() {
        match from.read(&mut block[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

fn skip(from: &mut impl Read, n: u64) -> io::Result<()> {
    let skipped = io::copy(&mut from.by_ref().take(n), &mut io::sink())?;
    if skipped < n { Err(io::Error::other(format!("cut short: {n} bytes more were to come"))) } else { Ok(()) }
}

/// Whether a header is followed by words about the next member.
fn is_records(kind: EntryType) -> bool {
    matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader)
}

fn records(from: &mut impl Read, kind: EntryType, size: u64, before: &mut Before) -> io::Result<()> {
    let mut text = Vec::new();
    from.by_ref().take(size.min(MAX_RECORDS)).read_to_end(&mut text)?;
    skip(from, size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX) - text.len() as u64)?;
    match kind {
        EntryType::GNULongName => before.name = Some(text.split(|b| *b == 0).next().unwrap_or_default().to_vec()),
        EntryType::XHeader => {
            for record in PaxExtensions::new(&text).map_while(Result::ok) {
                let value = record.value_bytes();
                let number = || std::str::from_utf8(value).ok()?.split('.').next()?.parse::<i64>().ok();
                match record.key_bytes() {
                    b"path" => before.name = Some(value.to_vec()),
                    b"size" => before.size = number().and_then(|n| u64::try_from(n).ok()),
                    b"mtime" => before.modified = number().map(|n| Time::from_parts(n, 0)),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The map of a sparse file goes on in blocks after its header.
fn skip_maps(from: &mut impl Read, header: &Header) -> io::Result<()> {
    let mut more = header.as_gnu().is_some_and(|gnu| gnu.is_extended());
    while more {
        let mut block = [0; BLOCK];
        if fill(from, &mut block)? < BLOCK {
            return Err(io::Error::other("cut short"));
        }
        more = block[504] == 1;
    }
    Ok(())
}

fn describe(header: &Header, told: Before, size: u64, at: u64) -> Member {
    let name = told.name.unwrap_or_else(|| header.path_bytes().into_owned());
    let name = String::from_utf8_lossy(&name);
    let link = || header.link_name_bytes().map(|l| shown(&String::from_utf8_lossy(&l))).unwrap_or_default();
    let nature = match header.entry_type() {
        EntryType::Directory => Nature::Folder,
        // The old form has no type for folders.
        EntryType::Regular | EntryType::Continuous if name.ends_with('/') => Nature::Folder,
        EntryType::Regular | EntryType::Continuous => Nature::File,
        EntryType::Symlink => Nature::Other(format!("a symbolic link to {}", link())),
        EntryType::Link => Nature::Other(format!("another name of {}", link())),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Nature::Other("a device or pipe".into()),
        EntryType::GNUSparse => Nature::Other("a sparse file, which is not unpacked: unpack it and ingest it".into()),
        other => Nature::Other(format!("of type {:?}, which is not a file", char::from(other.as_byte()))),
    };
    let stated = || header.mtime().ok().and_then(|s| i64::try_from(s).ok()).map(|s| Time::from_parts(s, 0));
    Member {
        name: shown(&name),
        modified: told.modified.or_else(stated),
        nature,
        encrypted: false,
        cost: at.saturating_add(size),
    }
}
