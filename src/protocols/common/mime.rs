//! The parts of a mail (RFC 2045, RFC 2046, RFC 2183): those that are files are hashed as decoded. Read line by line; keeps no line. What is
//! only text to read is no file.

use super::bytes::text;
use super::fields::Fields;
use super::file::Passing;
use super::mail::decoded;
use crate::model::field;
use crate::model::record::Kind;
use crate::protocols::{At, Out};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Parts within parts.
const MAX_DEPTH: usize = 8;
/// Longest boundary (RFC 2046, 5.1.1, says 70).
const MAX_BOUNDARY: usize = 256;
/// Bytes of one header field, unfolded.
const MAX_FIELD: usize = 4096;
/// Files of one mail.
const MAX_FILES: u32 = 1000;

/// Senders leave padding out, and leave bits over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Coding {
    #[default]
    Plain,
    Base64,
    Quoted,
}

/// What the head of a part says.
#[derive(Default)]
struct Head {
    kind: String,
    name: String,
    disposition: String,
    boundary: String,
    coding: Coding,
    /// The field that is being read, unfolded.
    field: String,
}

/// A file that is coming.
struct Attached {
    passing: Passing,
    first: At,
    name: String,
    kind: String,
    coding: Coding,
    /// Characters of base64 that are less than a group; and whether its end was met.
    left: Vec<u8>,
    ended: bool,
    /// The line end before the next line: it belongs to the boundary, if one follows.
    line_end: bool,
}

enum Stage {
    Head(Head),
    /// Text to read, or what stands between parts.
    Text,
    File(Box<Attached>),
}

/// See the module.
pub struct Mime {
    stage: Stage,
    boundaries: Vec<String>,
    files: u32,
}

impl Default for Mime {
    fn default() -> Mime {
        Mime { stage: Stage::Head(Head::default()), boundaries: Vec::new(), files: 0 }
    }
}

/// A parameter of a header field (RFC 2045, RFC 2231 without continuations beyond the first).
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim().trim_start_matches(';').trim().to_ascii_lowercase();
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').unwrap_or(quoted.len());
                (quoted.get(..end)?, quoted.get(end.saturating_add(1)..).unwrap_or_default())
            }
            None => after.split_once(';').unwrap_or((after, "")),
        };
        let plain = name.strip_suffix("*0").unwrap_or(&name);
        if plain == wanted {
            return Some(decoded(value.trim()));
        }
        if plain.strip_suffix('*').map(|n| n.strip_suffix("*0").unwrap_or(n)) == Some(wanted) {
            return Some(percent(value.rsplit('\'').next().unwrap_or_default()));
        }
        rest = next;
    }
    None
}

/// `%41` as `A`.
fn percent(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|c| std::str::from_utf8(c).ok());
        match code.and_then(|c| u8::from_str_radix(c, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    text(&bytes, MAX_FIELD)
}

impl Head {
    fn line(&mut self, line: &[u8]) {
        let line = text(line, MAX_FIELD);
        if line.starts_with([' ', '\t']) {
            if self.field.len() < MAX_FIELD {
                self.field.push_str(&line);
            }
            return;
        }
        self.take();
        self.field = line;
    }
    /// A field is complete.
    fn take(&mut self) {
        let field = std::mem::take(&mut self.field);
        let Some((name, value)) = field.split_once(':') else { return };
        let value = value.trim();
        let word = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" => {
                self.boundary = parameter(value, "boundary").filter(|b| b.len() <= MAX_BOUNDARY).unwrap_or_default();
                if self.name.is_empty() {
                    self.name = parameter(value, "name").unwrap_or_default();
                }
                self.kind = word;
            }
            "content-disposition" => {
                self.name = parameter(value, "filename").unwrap_or(std::mem::take(&mut self.name));
                self.disposition = word;
            }
            "content-transfer-encoding" => {
                self.coding = match word.as_str() {
                    "base64" => Coding::Base64,
                    "quoted-printable" => Coding::Quoted,
                    _ => Coding::Plain,
                };
            }
            _ => {}
        }
    }
    fn is_file(&self) -> bool {
        let text = matches!(self.kind.as_str(), "" | "text/plain" | "text/html" | "text/calendar");
        !self.name.is_empty() || self.disposition == "attachment" || !text
    }
}

impl Attached {
    fn line(&mut self, line: &[u8]) {
        match self.coding {
            Coding::Base64 => self.base64(line),
            Coding::Quoted => {
                let line = line.trim_ascii_end();
                let soft = line.last() == Some(&b'=');
                if std::mem::take(&mut self.line_end) {
                    self.passing.push(b"\r\n");
                }
                self.passing.push(&quoted(if soft {
                    line.get(..line.len().saturating_sub(1)).unwrap_or_default()
                } else {
                    line
                }));
                self.line_end = !soft;
            }
            Coding::Plain => {
                if std::mem::replace(&mut self.line_end, true) {
                    self.passing.push(b"\r\n");
                }
                self.passing.push(line);
            }
        }
    }
    fn base64(&mut self, line: &[u8]) {
        for byte in line.iter().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
            self.ended |= *byte == b'=';
            if !self.ended {
                self.left.push(*byte);
            }
        }
        let whole = self.left.len() / 4 * 4;
        self.decode(whole);
    }
    fn decode(&mut self, n: usize) {
        let rest = self.left.split_off(n.min(self.left.len()));
        let group = std::mem::replace(&mut self.left, rest);
        if let Ok(bytes) = LENIENT.decode(&group) {
            self.passing.push(&bytes);
        }
    }
    /// A line is missing, or so many bytes.
    fn miss(&mut self, missing: u64) {
        self.left.clear();
        self.passing.miss(match self.coding {
            // Lines of 76 characters carry 57 bytes.
            Coding::Base64 => (missing / 78).saturating_mul(57),
            _ => missing,
        });
    }
}

/// Quoted-printable (RFC 2045, 6.7); what is no code stays as it is.
fn quoted(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'=').and_then(|c| std::str::from_utf8(c).ok());
        match code.and_then(|c| u8::from_str_radix(c, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

impl Mime {
    /// Takes a line of the mail, without its end and with no dot doubled.
    pub fn line(&mut self, line: &[u8], at: At, out: &mut Out) {
        if let Some((depth, last)) = self.boundary(line) {
            self.close(true, at, out);
            self.boundaries.truncate(if last { depth } else { depth.saturating_add(1) });
            self.stage = if last { Stage::Text } else { Stage::Head(Head::default()) };
            return;
        }
        match &mut self.stage {
            Stage::Head(_) if line.is_empty() => self.body(at, out),
            Stage::Head(head) => head.line(line),
            Stage::Text => {}
            Stage::File(attached) => attached.line(line),
        }
    }
    /// Which boundary a line is, and whether it is the last of its kind.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let rest = line.strip_prefix(b"--")?.trim_ascii_end();
        let found = |b: &String| rest == b.as_bytes() || rest.strip_suffix(b"--") == Some(b.as_bytes());
        let depth = self.boundaries.iter().rposition(found)?;
        Some((depth, self.boundaries.get(depth).is_some_and(|b| rest != b.as_bytes())))
    }
    /// A head is over.
    fn body(&mut self, at: At, out: &mut Out) {
        let Stage::Head(mut head) = std::mem::replace(&mut self.stage, Stage::Text) else { return };
        head.take();
        if head.kind.starts_with("multipart/") && !head.boundary.is_empty() {
            if self.boundaries.len() < MAX_DEPTH {
                self.boundaries.push(head.boundary);
            } else {
                out.partial = true;
            }
        } else if head.kind == "message/rfc822" && head.disposition != "attachment" && head.coding == Coding::Plain {
            // A mail in a mail.
            self.stage = Stage::Head(Head::default());
        } else if head.is_file() {
            if self.files >= MAX_FILES {
                out.partial = true;
                return;
            }
            self.files = self.files.saturating_add(1);
            self.stage = Stage::File(Box::new(Attached {
                passing: Passing::plain(&out.keeping),
                first: at,
                name: head.name,
                kind: head.kind,
                coding: head.coding,
                left: Vec::new(),
                ended: false,
                line_end: false,
            }));
        }
    }
    /// So many bytes are missing, or a line too long to be read.
    pub fn miss(&mut self, missing: u64) {
        if let Stage::File(attached) = &mut self.stage {
            attached.miss(missing);
        }
    }
    /// The mail is over. `whole`: its end was seen.
    pub fn end(&mut self, whole: bool, at: At, out: &mut Out) {
        // A part without its closing boundary is cut, unless the mail has no parts.
        self.close(whole && self.boundaries.is_empty(), at, out);
        self.stage = Stage::Text;
    }
    fn close(&mut self, whole: bool, at: At, out: &mut Out) {
        let Stage::File(mut attached) = std::mem::replace(&mut self.stage, Stage::Text) else { return };
        let left = attached.left.len();
        attached.decode(left);
        let mut fields = Fields::default();
        fields.text(field::APP, "smtp");
        fields.text(field::FILE_NAME, &attached.name);
        fields.text(field::DIRECTION_STATED, "out");
        let mut sums = Fields::default();
        attached.passing.finish(whole, &mut sums);
        if !sums.has(field::FILE_TYPE) {
            fields.text(field::FILE_TYPE, &attached.kind);
        }
        fields.join(sums);
        out.events.push(fields.event(Kind::File, attached.first, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    const AT: At = At { time: Time(1), offset: 1 };
    const ABC: &str = "md5=900150983cd24fb0d6963f7d28e17f72";

    fn files(mail: &str) -> Vec<String> {
        let (mut mime, mut out) = (Mime::default(), Out::default());
        mail.split('\n').for_each(|line| mime.line(line.as_bytes(), AT, &mut out));
        mime.end(true, AT, &mut out);
        let shown = |e: &crate::protocols::Understood| {
            e.fields.iter().map(|(f, v)| format!("{}={v} ", field::name(*f))).collect::<String>()
        };
        out.events.iter().map(shown).collect()
    }

    #[test]
    fn attachments_are_hashed_as_decoded_and_text_is_none() {
        let mail = "Content-Type: multipart/mixed;\n boundary=\"b;1\"\n\npreamble\n--b;1\nContent-Type: multipart/alternative; boundary=i\n\n\
            --i\n\nhello\n--i\nContent-Type: text/html\n\n<p>\n--i--\n--b;1\nContent-Type: application/zip; name=\"=?utf-8?q?=C3=A4.zip?=\"\n\
            Content-Transfer-Encoding: BASE64\n\nYW\nJj\n--b;1\nContent-Disposition: attachment; filename*=utf-8''x%20y.txt\n\
            Content-Transfer-Encoding: quoted-printable\n\na=62=\nc\n--b;1\nContent-Disposition: attachment; filename=z\n\nabc\n--b;1--\nend";
        let all = files(mail);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all.iter().all(|f| f.contains(ABC) && f.contains("app=smtp")), "{all:?}");
        for (file, name) in all.iter().zip(["ä.zip", "x y.txt", "z"]) {
            assert!(file.contains(&format!("file.name={name} ")), "{file}");
        }
    }

    #[test]
    fn lines_have_their_ends_and_the_last_belongs_to_the_boundary() {
        let all = files("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n\nabc\n\n--b--");
        // printf 'abc\r\n' | md5sum
        assert!(all[0].contains("file.size=5") && all[0].contains("md5=c13b6afecf97ea6b38d21a8f5167fa1e"), "{all:?}");
    }

    #[test]
    fn a_part_without_its_end_or_with_a_hole_has_no_hash() {
        let head = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n\nabc\n";
        assert!(!files(head)[0].contains("md5"));
        let (mut mime, mut out) = (Mime::default(), Out::default());
        head.split('\n').for_each(|line| mime.line(line.as_bytes(), AT, &mut out));
        mime.miss(10);
        mime.line(b"--b--", AT, &mut out);
        assert!(out.events[0].fields.iter().all(|(f, _)| *f != field::MD5));
    }

    #[test]
    fn a_mail_that_is_one_file_is_whole_at_its_end() {
        assert!(files("Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nYWJj")[0].contains(ABC));
        assert!(files("Subject: x\n\nabc").is_empty());
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let mut mail = String::new();
        for n in 0..20 {
            mail.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"));
        }
        assert!(files(&mail).is_empty());
        let part = "--b\nContent-Type: a/b\n\nx\n";
        let all = files(&format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(1200)));
        assert_eq!(all.len(), 1000);
    }
}
