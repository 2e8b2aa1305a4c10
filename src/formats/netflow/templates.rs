//! Templates: which elements a data record has, in which order and length (NetFlow v9: RFC 3954, 5 and 6; IPFIX: RFC 7011, 3.4).
//!
//! Knows no values. Every bound is on what a stranger's packet may make of memory and time.

use super::bytes::{u16_at, u32_at};

/// A length that says: the record itself states it (RFC 7011, 7).
pub(in crate::formats) const VARIABLE: u16 = 65_535;
/// Most elements of a template.
const MOST_FIELDS: usize = 1_024;

/// One element of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::formats) struct Spec {
    /// Element number, without the enterprise bit.
    pub id: u16,
    /// Enterprise number; 0 is IANA's, and everything in NetFlow v9.
    pub enterprise: u32,
    /// Bytes; [`VARIABLE`]: each record says.
    pub length: u16,
    /// A scope of NetFlow v9, which has numbers of its own.
    pub is_scope9: bool,
}

/// A template, or options template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::formats) struct Template {
    /// Its elements.
    pub fields: Vec<Spec>,
    /// How many of them, from the first, are the scope of options; 0: data.
    pub scope: usize,
    /// Fewest bytes of a record.
    pub least: usize,
}

/// Values with what describes them.
type Values<'a> = Vec<(Spec, &'a [u8])>;

impl Template {
    fn new(all: Vec<Spec>, scope: usize) -> Template {
        // A field of no bytes says nothing, and a thousand of them would be gone through for every byte of a packet. One scope stays: it tells
        // options from data.
        let stays = |(n, f): &(usize, Spec)| f.length > 0 || *n == 0 && scope > 0;
        let (mut fields, mut scopes) = (Vec::with_capacity(all.len()), 0);
        for (n, field) in all.into_iter().enumerate().filter(stays) {
            scopes += usize::from(n < scope);
            fields.push(field);
        }
        let scope = scopes;
        let least = fields.iter().map(|f| if f.length == VARIABLE { 1 } else { usize::from(f.length) }).sum();
        Template { fields, scope, least }
    }
    /// The fields of a data record at the beginning of `bytes`, and its length. `None`: it does not fit.
    pub fn cut<'a>(&self, bytes: &'a [u8]) -> Option<(Values<'a>, usize)> {
        let mut at = 0usize;
        let mut values = Vec::with_capacity(self.fields.len());
        for spec in &self.fields {
            let mut length = usize::from(spec.length);
            if spec.length == VARIABLE {
                length = usize::from(*bytes.get(at)?);
                at += 1;
                if length == 255 {
                    length = usize::from(u16_at(bytes, at)?);
                    at += 2;
                }
            }
            values.push((*spec, bytes.get(at..at.checked_add(length)?)?));
            at += length;
        }
        (at > 0).then_some((values, at))
    }
}

/// What a set of templates says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::formats) enum Said {
    /// A template with its number.
    New(u16, Template),
    /// One that is withdrawn.
    Withdrawn(u16),
    /// All of its kind are withdrawn.
    AllWithdrawn,
    /// The rest of the set cannot be read; why.
    Bad(&'static str),
}

/// Reads a set of templates, or of options templates, without its header.
pub(in crate::formats) fn read(set: &[u8], version: u16, options: bool, each: &mut dyn FnMut(Said)) {
    let mut at = 0usize;
    // What is shorter than the smallest template is padding.
    while set.len().saturating_sub(at) >= 4 {
        let (Some(id), Some(second)) = (u16_at(set, at), u16_at(set, at + 2)) else { return };
        if id == 0 && second == 0 {
            return;
        }
        let said = match (version, options) {
            (9, true) => options9(set, at),
            (9, false) => fields(set, at + 4, usize::from(second), false).map(|(f, end)| (f, 0, end)),
            (_, _) if second == 0 => {
                each(if id < 256 { Said::AllWithdrawn } else { Said::Withdrawn(id) });
                at += 4;
                continue;
            }
            (_, false) => fields(set, at + 4, usize::from(second), true).map(|(f, end)| (f, 0, end)),
            (_, true) => u16_at(set, at + 4).ok_or("cut").and_then(|scope| {
                let (fields, end) = fields(set, at + 6, usize::from(second), true)?;
                let scope = usize::from(scope);
                if scope == 0 || scope > fields.len() { Err("scope") } else { Ok((fields, scope, end)) }
            }),
        };
        match said {
            Ok((fields, scope, end)) if id >= 256 && !fields.is_empty() => {
                each(Said::New(id, Template::new(fields, scope)));
                at = end;
            }
            Ok(_) => return each(Said::Bad("number")),
            Err(why) => return each(Said::Bad(why)),
        }
    }
}

type Fields = (Vec<Spec>, usize);

fn fields(set: &[u8], from: usize, count: usize, enterprises: bool) -> Result<Fields, &'static str> {
    if count > MOST_FIELDS {
        return Err("too many elements");
    }
    let mut at = from;
    let mut fields = Vec::with_capacity(count.min(set.len() / 4));
    for _ in 0..count {
        let (id, length) = (u16_at(set, at).ok_or("cut")?, u16_at(set, at + 2).ok_or("cut")?);
        at += 4;
        let mut spec = Spec { id, enterprise: 0, length, is_scope9: false };
        if enterprises && id & 0x8000 != 0 {
            spec.id &= 0x7fff;
            spec.enterprise = u32_at(set, at).ok_or("cut")?;
            at += 4;
        }
        fields.push(spec);
    }
    Ok((fields, at))
}

/// NetFlow v9 says how many bytes scopes and options take.
fn options9(set: &[u8], at: usize) -> Result<(Vec<Spec>, usize, usize), &'static str> {
    let (scopes, options) = (u16_at(set, at + 2).ok_or("cut")?, u16_at(set, at + 4).ok_or("cut")?);
    let (scopes, options) = (usize::from(scopes) / 4, usize::from(options) / 4);
    let (mut all, end) = fields(set, at + 6, scopes + options, false)?;
    all.iter_mut().take(scopes).for_each(|f| f.is_scope9 = true);
    // A table without a scope is one of the exporter as a whole: still options.
    if scopes == 0 {
        all.insert(0, Spec { id: 1, enterprise: 0, length: 0, is_scope9: true });
    }
    Ok((all, scopes.max(1), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(set: &[u8], version: u16, options: bool) -> Vec<Said> {
        let mut out = Vec::new();
        read(set, version, options, &mut |s| out.push(s));
        out
    }

    #[test]
    fn templates_of_both_versions_are_read_and_padding_is_none() {
        let nine = [1, 0, 0, 2, 0, 8, 0, 4, 0, 1, 0, 8, 0, 0];
        let [Said::New(256, t)] = &all(&nine, 9, false)[..] else { panic!() };
        assert_eq!((t.fields.len(), t.least, t.scope), (2, 12, 0));
        let ten = [1, 1, 0, 2, 0x80, 1, 0, 8, 0, 0, 0x72, 0x79, 0, 82, 255, 255];
        let [Said::New(257, t)] = &all(&ten, 10, false)[..] else { panic!() };
        assert_eq!((t.fields[0].id, t.fields[0].enterprise, t.fields[1].length, t.least), (1, 29305, VARIABLE, 9));
        let (values, len) = t.cut(&[0, 0, 0, 0, 0, 0, 0, 5, 2, b'h', b'i', 9]).unwrap();
        assert_eq!((values[1].1, len), (&b"hi"[..], 11));
        assert!(t.cut(&[0, 0, 0, 0, 0, 0, 0, 5, 2, b'h']).is_none());
        // Fields of no bytes are none.
        let empty = [1, 2, 0, 4, 0, 8, 0, 0, 0, 12, 0, 0, 0, 4, 0, 1, 0, 5, 0, 0];
        let [Said::New(258, t)] = &all(&empty, 9, false)[..] else { panic!() };
        assert_eq!((t.fields.len(), t.fields[0].id, t.least), (1, 4, 1));
        let scopes = [1, 3, 0, 12, 0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 34, 0, 1];
        let [Said::New(259, t)] = &all(&scopes, 9, true)[..] else { panic!() };
        assert_eq!((t.scope, t.fields.len(), t.least), (2, 3, 5));
    }

    #[test]
    fn options_have_scopes_and_withdrawals_are_seen() {
        let nine = [1, 2, 0, 4, 0, 8, 0, 1, 0, 4, 0, 34, 0, 4, 0, 35, 0, 1];
        let [Said::New(258, t)] = &all(&nine, 9, true)[..] else { panic!() };
        assert_eq!((t.scope, t.fields.len(), t.fields[0].is_scope9), (1, 3, true));
        let ten = [1, 3, 0, 2, 0, 1, 0, 149, 0, 4, 0, 34, 0, 4];
        let [Said::New(259, t)] = &all(&ten, 10, true)[..] else { panic!() };
        assert_eq!((t.scope, t.fields.len()), (1, 2));
        assert_eq!(all(&[1, 3, 0, 0], 10, false), [Said::Withdrawn(259)]);
        assert_eq!(all(&[0, 2, 0, 0], 10, false), [Said::AllWithdrawn]);
        assert_eq!(all(&[1, 3, 255, 255, 0, 1], 10, false), [Said::Bad("too many elements")]);
        assert_eq!(all(&[1, 3, 0, 3, 0, 1, 0, 1], 9, false), [Said::Bad("cut")]);
        assert_eq!(all(&[0, 9, 0, 1, 0, 1, 0, 1], 9, false), [Said::Bad("number")]);
    }
}
