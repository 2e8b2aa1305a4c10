//! Header blocks of HTTP/2 (HPACK, RFC 7541): the static table, the table that both ends keep, and the Huffman code. Each direction has a table
//! of its own. Of a stream whose beginning was not seen, or whose blocks are malformed, what refers to earlier blocks stays unsaid.

use super::bytes::{Bytes, text};
use std::collections::VecDeque;
use std::sync::Arc;

/// Size that a table may be given, by the count of RFC 7541 section 4.1.
const MAX_SIZE: usize = 64 * 1024;
/// Size of a table that nobody asked to change.
const USUAL_SIZE: usize = 4096;
/// Headers given of one block.
const MAX_HEADERS: usize = 128;
/// Bytes given of a name or value.
const MAX_TEXT: usize = 2048;

/// The static table; number 1 is the first.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The Huffman code (appendix B) is canonical: bits of a code, and the octets that have codes so long, in order of their codes.
const CODES: &[(u32, &[u8])] = &[
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (
        22,
        &[
            129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198,
            228, 232, 233,
        ],
    ),
    (
        23,
        &[
            1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183,
            188, 191, 197, 231, 239,
        ],
    ),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (28, &[2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249]),
    (30, &[10, 13, 22]),
];

/// The octet whose code the newest `n` bits of a number begin with, and how many bits that takes.
fn octet(bits: u64, n: u32) -> Option<(u8, u32)> {
    let (mut code, mut length) = (0u64, 0u32);
    for (bits_of, octets) in CODES {
        code <<= bits_of.saturating_sub(length);
        length = *bits_of;
        let seen = bits.checked_shr(n.checked_sub(length)?)?;
        if let Some(found) = seen.checked_sub(code).and_then(|i| octets.get(usize::try_from(i).ok()?)) {
            return Some((*found, length));
        }
        code = code.saturating_add(octets.len() as u64);
    }
    None
}

/// What Huffman-coded bytes say. `None`: they are not that.
fn huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut n) = (Vec::new(), 0u64, 0u32);
    for byte in bytes {
        bits = bits << 8 | u64::from(*byte);
        n = n.saturating_add(8);
        while let Some((found, length)) = octet(bits, n) {
            out.push(found);
            n = n.saturating_sub(length);
            bits &= (1u64 << n).saturating_sub(1);
        }
        // The longest code has 30 bits.
        if n >= 30 {
            return None;
        }
    }
    // Padding is the beginning of the end's code: ones, fewer than a byte.
    (n < 8 && bits == (1u64 << n).saturating_sub(1)).then_some(out)
}

/// A number with a prefix of some bits.
fn integer(b: &mut Bytes<'_>, first: u8, bits: u32) -> Option<usize> {
    let most = (1usize << bits).saturating_sub(1);
    let mut value = usize::from(first) & most;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = b.u8()?;
        value = value.checked_add(usize::from(byte & 0x7f) << shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A name or value, shared by all that give it: a row of the table costs a byte to refer to, and may have thousands.
#[derive(Debug, Clone)]
struct Text {
    /// Its first [`MAX_TEXT`] bytes.
    kept: Arc<str>,
    /// Its bytes as they were sent.
    size: usize,
}

impl Text {
    fn of(bytes: &[u8]) -> Text {
        Text { kept: text(bytes, MAX_TEXT).into(), size: bytes.len() }
    }
}

fn literal(b: &mut Bytes<'_>) -> Option<Text> {
    let first = b.u8()?;
    let length = integer(b, first, 7)?;
    let bytes = b.take(length)?;
    if first & 0x80 == 0 { Some(Text::of(bytes)) } else { huffman(bytes).map(|b| Text::of(&b)) }
}

/// A header of the table. A name that was given by a number whose row is not known is `None`.
#[derive(Debug, Clone)]
struct Row {
    name: Option<Text>,
    value: Text,
}

impl Row {
    /// What it costs its table.
    fn cost(&self) -> usize {
        self.name.as_ref().map_or(0, |n| n.size).saturating_add(self.value.size).saturating_add(32)
    }
}

/// Name and value of a header, each as far as it is given.
pub type Header = (Arc<str>, Arc<str>);

/// One direction.
#[derive(Debug)]
pub struct Hpack {
    /// Newest first.
    table: VecDeque<Row>,
    size: usize,
    max: usize,
}

impl Default for Hpack {
    fn default() -> Hpack {
        Hpack { table: VecDeque::new(), size: 0, max: USUAL_SIZE }
    }
}

impl Hpack {
    /// Headers of the next block of the direction, the first 128 of those that can be read. Texts are shared with the table: what a block makes
    /// this copy is bounded by the bytes of the block.
    pub fn block(&mut self, block: &[u8]) -> Vec<Header> {
        let mut found = Vec::new();
        if self.read(&mut Bytes::new(block), &mut found).is_none() {
            // What the sender's table holds is not known any more.
            self.forget();
        }
        found
    }

    /// Earlier blocks are not known.
    pub fn forget(&mut self) {
        self.table.clear();
        self.size = 0;
    }

    fn read(&mut self, b: &mut Bytes<'_>, found: &mut Vec<Header>) -> Option<()> {
        while let Some(first) = b.u8() {
            let row = match first {
                0x80.. => {
                    let index = integer(b, first, 7)?;
                    if found.len() < MAX_HEADERS { self.row(index) } else { None }
                }
                0x20..=0x3f => {
                    self.max = integer(b, first, 5).filter(|n| *n <= MAX_SIZE)?;
                    self.shrink();
                    continue;
                }
                _ => {
                    let kept = first & 0x40 != 0;
                    let index = integer(b, first, if kept { 6 } else { 4 })?;
                    let name = if index == 0 { Some(literal(b)?) } else { self.row(index).and_then(|row| row.name) };
                    let row = Row { name, value: literal(b)? };
                    if kept {
                        self.keep(row.clone());
                    }
                    Some(row)
                }
            };
            if let Some(Row { name: Some(name), value }) = row
                && !name.kept.is_empty()
                && found.len() < MAX_HEADERS
            {
                found.push((name.kept, value.kept));
            }
        }
        Some(())
    }

    /// The header of a number: the static table, then the other from its newest.
    fn row(&self, index: usize) -> Option<Row> {
        match STATIC.get(index.checked_sub(1)?) {
            Some((name, value)) => Some(Row { name: Some(Text::of(name.as_bytes())), value: Text::of(value.as_bytes()) }),
            None => self.table.get(index.checked_sub(STATIC.len())?.checked_sub(1)?).cloned(),
        }
    }

    fn keep(&mut self, row: Row) {
        self.size = self.size.saturating_add(row.cost());
        self.table.push_front(row);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.size > self.max {
            let Some(oldest) = self.table.pop_back() else { break };
            self.size = self.size.saturating_sub(oldest.cost());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap()).collect()
    }

    fn said(table: &mut Hpack, hex: &str) -> String {
        table.block(&bytes(hex)).into_iter().map(|(n, v)| format!("{n}={v};")).collect()
    }

    #[test]
    fn requests_refer_to_earlier_ones() {
        // RFC 7541 C.4: three requests on one connection.
        let mut table = Hpack::default();
        let first = "828684418cf1e3c2e5f23a6ba0ab90f4ff";
        assert_eq!(said(&mut table, first), ":method=GET;:scheme=http;:path=/;:authority=www.example.com;");
        let second = said(&mut table, "828684be5886a8eb10649cbf");
        assert_eq!(second, ":method=GET;:scheme=http;:path=/;:authority=www.example.com;cache-control=no-cache;");
        let third = said(&mut table, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf");
        let expected = ":method=GET;:scheme=https;:path=/index.html;:authority=www.example.com;custom-key=custom-value;";
        assert_eq!(third, expected);
        assert_eq!((table.size, table.table.len()), (164, 3));
    }

    #[test]
    fn answers_evict_what_is_oldest() {
        // RFC 7541 C.6, with a table of 256.
        let mut table = Hpack { max: 256, ..Hpack::default() };
        said(
            &mut table,
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        );
        assert_eq!(table.size, 222);
        let second = said(&mut table, "4883640effc1c0bf");
        let expected = ":status=307;cache-control=private;date=Mon, 21 Oct 2013 20:13:21 GMT;location=https://www.example.com;";
        assert_eq!(second, expected);
        assert_eq!((table.size, table.table.len()), (222, 4));
    }

    #[test]
    fn every_octet_has_one_code_and_no_code_is_left() {
        let mut octets: Vec<u8> = CODES.iter().flat_map(|c| c.1.iter().copied()).collect();
        octets.sort_unstable();
        assert_eq!(octets, (0..=255).collect::<Vec<u8>>());
        let used: u64 = CODES.iter().map(|c| (c.1.len() as u64) << (30 - c.0)).sum();
        // The end has the last code of 30 bits.
        assert_eq!(used + 1, 1 << 30);
    }

    #[test]
    fn what_is_broken_ends_and_what_was_not_seen_stays_unsaid() {
        let block = bytes("828684418cf1e3c2e5f23a6ba0ab90f4ff");
        for cut in 0..block.len() {
            Hpack::default().block(&block[..cut]);
        }
        assert_eq!(said(&mut Hpack::default(), "82be840f2f0161"), ":method=GET;:path=/;");
        assert_eq!(huffman(&[0xff; 4]), None);
        let mut table = Hpack::default();
        said(&mut table, "828684418cf1e3c2e5f23a6ba0ab90f4ff");
        assert!(table.block(&[0x3f, 0xff, 0xff, 0xff, 0x7f]).is_empty());
        assert_eq!(table.size, 0);
    }
    #[test]
    fn a_long_row_that_is_referred_to_again_and_again_is_never_copied() {
        // A table of 64 KiB, a row that nearly fills it, and then nothing but its number.
        let mut block = bytes("3fe1ff03400161");
        block.extend([0x7f, 0x81, 0xf3, 0x03]);
        block.resize(block.len() + 64_000, b'v');
        let row = block.len();
        block.resize(row + 65_000, 0xbe);
        let mut table = Hpack::default();
        let found = table.block(&block);
        assert_eq!((found.len(), table.table.len(), table.size), (MAX_HEADERS, 1, 64_000 + 1 + 32));
        let kept = &table.table[0].value.kept;
        assert_eq!(kept.len(), MAX_TEXT);
        assert!(found.iter().all(|(name, value)| &**name == "a" && Arc::ptr_eq(value, kept)));
        // The table and each header that is given, and nobody else: no copy was made on the way.
        assert_eq!(Arc::strong_count(kept), 1 + MAX_HEADERS);
        // A name that is referred to is shared as well, and a number that does not end is an error beyond the bound too.
        let named = table.block(&[0x0f, 47, 1, b'x'].repeat(MAX_HEADERS));
        assert!(named.iter().all(|(name, value)| Arc::ptr_eq(name, &named[0].0) && &**value == "x"));
        assert_eq!((named.len(), table.size), (MAX_HEADERS, 64_033));
        table.block(&[vec![0xbe; MAX_HEADERS], vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat());
        assert_eq!(table.size, 0);
    }
}
