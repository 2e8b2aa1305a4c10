//! The bodies of HTTP/2 streams (RFC 9113, 8.1) as files, hashed while they pass.

use super::fields::Fields;
use super::file::Passing;
use super::hpack::Header;
use super::http_head::disposition;
use crate::model::field;
use crate::model::oddity::Oddity;
use crate::model::record::Kind;
use crate::protocols::{At, Out, Side};
use std::collections::BTreeMap;

/// Bodies that are open at a time.
const MAX_OPEN: usize = 256;

struct Body {
    passing: Passing,
    /// What is known of the file besides its content.
    fields: Fields,
    /// Content type that was stated.
    kind: String,
    first: At,
    last: At,
    length: u64,
    whole: bool,
}

/// See the module.
#[derive(Default)]
pub struct Bodies {
    open: BTreeMap<(u32, bool), Body>,
}

impl Bodies {
    /// A header block was read behind which a body comes. `about`: what the request says of host, name and URL; `path`: what it asks for.
    pub fn begin(
        &mut self,
        (stream, side): (u32, Side),
        found: &[Header],
        (about, path): (&Fields, &str),
        at: At,
        out: &mut Out,
    ) {
        let get = |name: &str| found.iter().find(|h| &*h.0 == name).map(|h| &*h.1).unwrap_or_default();
        let mut fields = Fields::default();
        let last_part = path.split(['?', '#']).next().and_then(|p| p.rsplit('/').next()).filter(|_| side == Side::In);
        let named = disposition(get("content-disposition"));
        fields.text(field::FILE_NAME, named.as_deref().or(last_part).unwrap_or_default());
        fields.text(field::APP, "http2");
        fields.text(field::DIRECTION_STATED, if side == Side::Out { "out" } else { "in" });
        for known in [field::NAME, field::URL] {
            fields.maybe(known, about.get(known).cloned());
        }
        let encoding = get("content-encoding");
        let coded = Passing::coded(&out.keeping, encoding);
        if coded.is_none() && !encoding.is_empty() {
            fields.text(field::EXTRA, &serde_json::json!({ "encoding": encoding }).to_string());
        }
        if self.open.len() >= MAX_OPEN {
            out.partial = true;
            if let Some((_, body)) = self.open.pop_first() {
                body.give(false, out);
            }
        }
        let passing = coded.unwrap_or_else(|| Passing::plain(&out.keeping));
        let kind = get("content-type").split(';').next().unwrap_or_default().trim().to_owned();
        let body = Body { passing, fields, kind, first: at, last: at, length: 0, whole: true };
        if let Some(before) = self.open.insert((stream, side == Side::In), body) {
            before.give(false, out);
        }
    }
    /// Bytes of a body, of whose frame so many were not kept. `ends`: the last.
    pub fn data(&mut self, (stream, side): (u32, Side), (bytes, missing): (&[u8], u64), ends: bool, at: At, out: &mut Out) {
        let key = (stream, side == Side::In);
        let Some(body) = self.open.get_mut(&key) else { return };
        body.last = at;
        body.length = body.length.saturating_add(bytes.len() as u64).saturating_add(missing);
        body.passing.push(bytes);
        if missing > 0 {
            body.passing.miss(missing);
            body.whole = false;
        }
        if ends {
            self.close(stream, side, true, out);
        }
    }
    /// A stream ended on one side (its trailers), or was reset.
    pub fn close(&mut self, stream: u32, side: Side, whole: bool, out: &mut Out) {
        if let Some(body) = self.open.remove(&(stream, side == Side::In)) {
            body.give(whole, out);
        }
    }
    /// Bytes of memory that undoing codings takes.
    pub fn held(&self) -> usize {
        self.open.values().map(|b| b.passing.held()).sum()
    }
    /// Lets go that memory.
    pub fn relieve(&mut self) {
        self.open.values_mut().for_each(|b| b.passing.relieve());
    }
    /// The conversation is over.
    pub fn end(&mut self, out: &mut Out) {
        for (_, body) in std::mem::take(&mut self.open) {
            body.give(false, out);
        }
    }
}

impl Body {
    fn give(self, whole: bool, out: &mut Out) {
        if self.length == 0 {
            return;
        }
        let Body { passing, mut fields, kind, first, last, whole: sound, .. } = self;
        let mut sums = Fields::default();
        if !passing.finish(whole && sound, &mut sums) {
            out.oddities.push((Oddity::new("http_coding_malformed"), last.time, last.offset));
        }
        if !sums.has(field::FILE_TYPE) {
            fields.text(field::FILE_TYPE, &kind);
        }
        fields.join(sums);
        out.events.push(fields.event(Kind::File, first, last));
    }
}
