//! Reading a segment file from its beginning: its frames in order, what between them cannot be read, and where it was not written to its end.

use super::frame::{self, HEADER, Header};
use super::segment::{Place, Segments};
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How reading a segment went.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// (offset, length) of what cannot be read, with good frames after it or whole by its own length.
    pub(super) damaged: Vec<(u64, u64)>,
    /// Where a frame that was not written to its end begins.
    pub(super) torn: Option<u64>,
}

/// Reads the frames of a segment in order.
pub(super) fn scan(
    segments: &Segments,
    day: i32,
    segment: u32,
    len: u64,
    each: &mut dyn FnMut(Place, Header, &[u8]) -> Result<()>,
) -> Result<Scan> {
    let file = segments.file(day, segment)?;
    let mut out = Scan::default();
    let mut at = 0u64;
    let mut payload = Vec::new();
    let failed = |e: io::Error| {
        Error::store(format!("cannot be read: {e}"))
            .at_path(&segments.path(day, segment))
            .hint("nothing was changed: copy the case to another disk, then verify it there")
    };
    while at < len {
        if let Some(header) = read_frame(&file, at, len, &mut payload).map_err(failed)? {
            each(Place { day, segment, offset: at, len: header.len }, header, &payload)?;
            at += HEADER as u64 + u64::from(header.len);
            continue;
        }
        match resync(&file, at + 1, len, &mut payload).map_err(failed)? {
            Some(next) => {
                out.damaged.push((at, next - at));
                at = next;
            }
            None => {
                let mut head = [0; HEADER];
                let whole = has(&file, &mut head, at).map_err(failed)?
                    && frame::header(&head).is_some_and(|h| at + HEADER as u64 + u64::from(h.len) <= len);
                if whole {
                    out.damaged.push((at, len - at))
                } else {
                    out.torn = Some(at)
                }
                break;
            }
        }
    }
    Ok(out)
}

/// Reads exactly so much; false: the file ends before. What the disk does not give is an error: it is not known to be damaged.
fn has(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}

fn read_frame(file: &File, at: u64, len: u64, payload: &mut Vec<u8>) -> io::Result<Option<Header>> {
    let mut head = [0; HEADER];
    if !has(file, &mut head, at)? {
        return Ok(None);
    }
    let Some(header) = frame::header(&head).filter(|h| at + HEADER as u64 + u64::from(h.len) <= len) else { return Ok(None) };
    payload.resize(header.len as usize, 0);
    let whole = has(file, payload, at + HEADER as u64)? && frame::intact(&head, payload, &header);
    Ok(whole.then_some(header))
}

/// The next offset from which a whole frame can be read.
fn resync(file: &File, from: u64, len: u64, payload: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let magic = frame::MAGIC.to_le_bytes();
    let mut buffer = vec![0; 1 << 20];
    let mut at = from;
    while at < len {
        let n = file.read_at(&mut buffer, at)?;
        if n < magic.len() {
            return Ok(None);
        }
        for found in memchr::memmem::find_iter(&buffer[..n], &magic) {
            let candidate = at + found as u64;
            if read_frame(file, candidate, len, payload)?.is_some() {
                return Ok(Some(candidate));
            }
        }
        at += (n - (magic.len() - 1)) as u64;
    }
    Ok(None)
}
