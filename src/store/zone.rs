//! What is known of a block without reading it: whose rows it has, how many of which kind, between which times, and how great their numbers are.

use super::column;
use super::encode::{Take, damaged, put_signed, put_varint};
use crate::error::Result;
use crate::model::field::{self, FieldId, Place};
use crate::model::{EvidenceKey, Kind, SourceId, Time};
use smallvec::SmallVec;

/// Fields with bounds: what people ask for the great ones of.
const BOUNDED: [FieldId; 6] =
    [field::BYTES_OUT, field::BYTES_IN, field::PACKETS_OUT, field::PACKETS_IN, field::PAYLOAD_OUT, field::PAYLOAD_IN];

/// Fields with the greatest number of each.
pub type Most = SmallVec<[(u16, u64); 6]>;

/// Whether a field has bounds.
pub fn has_bound(field: u16) -> bool {
    BOUNDED.iter().any(|f| f.0 == field)
}

/// What is known of a block without reading it. The same bytes are in the frame and in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Import that wrote it.
    pub import: u32,
    /// Number within the import.
    pub index: u32,
    /// Evidence of all rows.
    pub evidence: EvidenceKey,
    /// Source of all rows.
    pub source: SourceId,
    /// Rows.
    pub rows: u32,
    /// Columns in the directory.
    pub columns: u32,
    /// Least and greatest start.
    pub start: (Time, Time),
    /// Least and greatest end.
    pub end: (Time, Time),
    /// Least and greatest offset.
    pub offsets: (u64, u64),
    /// Rows per kind that occurs.
    pub kinds: SmallVec<[(Kind, u32); 2]>,
    /// The greatest number of each field that has bounds and occurs, in order of field; none: not known.
    pub most: Option<Most>,
    /// Fields that any row has, in order; none: not known.
    pub fields: Option<SmallVec<[u16; 20]>>,
    /// CRC-32C of the directory; none: not known.
    pub directory: Option<u32>,
}

impl Zone {
    /// Appends it as bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        for n in [self.import, self.index, self.source.0, self.rows, self.columns] {
            put_varint(out, u64::from(n));
        }
        out.extend_from_slice(&self.evidence.0.to_le_bytes());
        for t in [self.start.0, self.start.1, self.end.0, self.end.1] {
            put_signed(out, t.0);
        }
        put_varint(out, self.offsets.0);
        put_varint(out, self.offsets.1);
        put_varint(out, self.kinds.len() as u64);
        for (kind, n) in &self.kinds {
            out.push(*kind as u8);
            put_varint(out, u64::from(*n));
        }
        // One that was read of an older layout is the same bytes again: they say where a block's directory begins.
        if self.most.is_none() && self.fields.is_none() && self.directory.is_none() {
            return;
        }
        put_varint(out, self.most.as_ref().map_or(0, |m| m.len() as u64 + 1));
        for (field, n) in self.most.iter().flatten() {
            put_varint(out, u64::from(*field));
            put_varint(out, *n);
        }
        put_varint(out, self.fields.as_ref().map_or(0, |f| f.len() as u64 + 1));
        let mut before = 0;
        for field in self.fields.iter().flatten() {
            put_varint(out, u64::from(field - before));
            before = *field;
        }
        if let Some(crc) = self.directory {
            out.extend_from_slice(&crc.to_le_bytes());
        }
    }
    /// Reads what [`Zone::put`] wrote.
    pub fn take(take: &mut Take<'_>) -> Result<Zone> {
        let mut n = [0u32; 5];
        for n in &mut n {
            *n = take.size(1 << 32)? as u32;
        }
        let evidence = EvidenceKey(take.u64()?);
        let mut t = [Time(0); 4];
        for t in &mut t {
            *t = Time(take.signed()?);
        }
        let offsets = (take.varint()?, take.varint()?);
        let mut kinds = SmallVec::new();
        for _ in 0..take.size(Kind::ALL.len() + 1)? {
            let kind = Kind::from_u8(take.u8()?).ok_or_else(|| damaged("block: unknown kind"))?;
            kinds.push((kind, take.size(1 << 32)? as u32));
        }
        // Nothing follows in cases of the layouts before the fifth.
        let count = if take.rest.is_empty() { 0 } else { take.size(BOUNDED.len() + 2)? };
        let mut most = (count > 0).then(Most::new);
        for _ in 1..count {
            let bound = (take.size(1 << 16)? as u16, take.varint()?);
            most.iter_mut().for_each(|m| m.push(bound));
        }
        let count = if take.rest.is_empty() { 0 } else { take.size((1 << 16) + 1)? };
        let mut fields = (count > 0).then(SmallVec::new);
        let mut field = 0u16;
        for _ in 1..count {
            field = field.wrapping_add(take.size(1 << 16)? as u16);
            fields.iter_mut().for_each(|f| f.push(field));
        }
        let directory = if take.rest.is_empty() { None } else { Some(take.u32()?) };
        let [import, index, source, rows, columns] = n;
        if rows as usize > column::MAX_VALUES || columns > 1 << 16 {
            return Err(damaged("block"));
        }
        Ok(Zone {
            import,
            index,
            evidence,
            source: SourceId(source),
            rows,
            columns,
            start: (t[0], t[1]),
            end: (t[2], t[3]),
            offsets,
            kinds,
            most,
            fields,
            directory,
        })
    }
    /// The same without what its rows happen to have.
    pub fn of_any_rows(&self) -> Zone {
        Zone { most: None, fields: None, ..self.clone() }
    }
    /// Whether no row has a value of a stored field, or of any that it is made of.
    pub fn lacks(&self, id: FieldId) -> bool {
        let Some(fields) = &self.fields else { return false };
        let has = |id: &FieldId| fields.binary_search(&id.0).is_ok();
        match field::get(id).map(|f| f.place) {
            Some(Place::One | Place::Many) => !has(&id),
            Some(Place::Any(parts) | Place::Sum(parts)) => !parts.iter().any(has),
            _ => false,
        }
    }
    /// A number that no row's value of a field exceeds; none: not known.
    pub fn most_of(&self, id: FieldId) -> Option<u64> {
        let most = self.most.as_ref()?;
        let of = |id: FieldId| {
            let at = most.iter().find(|(field, _)| *field == id.0);
            has_bound(id.0).then(|| at.map_or(0, |(_, n)| *n))
        };
        match field::get(id)?.place {
            Place::Sum(parts) => parts.iter().try_fold(0u64, |sum, part| Some(sum.saturating_add(of(*part)?))),
            _ => of(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_that_of_an_older_layout_has_no_bounds() {
        let zone = Zone {
            import: 3,
            index: 9,
            evidence: EvidenceKey(77),
            source: SourceId(2),
            rows: 500,
            columns: 20,
            start: (Time(5), Time(1 << 60)),
            end: (Time(6), Time(1 << 61)),
            offsets: (24, 1 << 40),
            kinds: SmallVec::from_slice(&[(Kind::Flow, 500)]),
            most: Some(SmallVec::from_slice(&[(field::BYTES_OUT.0, 900), (field::BYTES_IN.0, 1 << 50)])),
            fields: Some(SmallVec::from_slice(&[field::SRC_IP.0, field::BYTES_OUT.0, field::BYTES_IN.0])),
            directory: Some(7),
        };
        let mut bytes = Vec::new();
        zone.put(&mut bytes);
        assert_eq!(Zone::take(&mut Take::new(&bytes)).unwrap(), zone);
        assert_eq!(zone.most_of(field::BYTES), Some(900 + (1 << 50)));
        assert_eq!((zone.most_of(field::PACKETS_IN), zone.most_of(field::DST_PORT)), (Some(0), None));
        let lacks = [field::HOST, field::SRC_IP, field::DST_IP, field::BYTES, field::SNI, field::KIND].map(|f| zone.lacks(f));
        assert_eq!(lacks, [false, false, true, false, true, false]);
        let none = Zone { most: None, fields: None, directory: None, ..zone.clone() };
        let mut older = Vec::new();
        none.put(&mut older);
        assert!(older.len() < bytes.len() - 10);
        assert_eq!(Zone::take(&mut Take::new(&older)).unwrap(), none);
        assert_eq!((none.most_of(field::BYTES), none.lacks(field::SNI)), (None, false));
        for cut in 0..bytes.len() {
            let _ = Zone::take(&mut Take::new(&bytes[..cut]));
        }
    }
}
