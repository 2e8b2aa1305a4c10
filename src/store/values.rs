//! The distinct values of a field with the number of records that have them, from the columns' dictionaries. Hidden sightings do not count.

use super::bits::Bits;
use super::column::{Column, Values};
use super::snapshot::{BlockId, Snapshot};
use crate::error::{Error, Result};
use crate::model::field::{self, FieldId, Place};
use crate::model::filter::Test;
use crate::model::{Filter, Kind, Value};
use std::collections::HashMap;

/// Most distinct values that are counted; further ones are left out.
const MOST: usize = 200_000;

impl Snapshot {
    /// Values of a field that the case has, by prefix (text compared without case), most frequent first, equal ones in order of text. Of an
    /// `Any` field those of its parts; of computed fields none.
    pub fn values(&self, id: FieldId, prefix: &str, limit: usize, stop: &dyn Fn() -> bool) -> Result<Vec<(Value, u64)>> {
        let Some(field) = field::get(id) else { return Ok(Vec::new()) };
        let prefix = prefix.to_lowercase();
        let mut counts: HashMap<String, (Value, u64)> = HashMap::new();
        let mut add = |value: Value, n: u64| {
            let text = value.show(field.ty);
            if n == 0 || text.is_empty() || !text.to_lowercase().starts_with(&prefix) {
                return;
            }
            if let Some((_, have)) = counts.get_mut(&text) {
                *have += n;
            } else if counts.len() < MOST {
                counts.insert(text, (value, n));
            }
        };
        match field.place {
            Place::Head => self.head_values(id, &mut add),
            Place::One | Place::Many | Place::Any(_) => {
                let mut parts = Vec::new();
                Filter::Test(id, Test::Exists).fields(&mut parts);
                for (import, data) in self.imports().iter().enumerate() {
                    for block in 0..data.blocks.len() {
                        if stop() {
                            return Err(Error::cancelled());
                        }
                        let reader = self.reader(import, block)?;
                        let shown = self.sightings().masked.get(&reader.id()).map(|mask| Bits::all(reader.rows()).without(mask));
                        for (_, column) in reader.columns(Some(&parts))? {
                            match &shown {
                                Some(rows) => of_rows(&column, rows, &mut add),
                                None => distinct(&column, &mut add),
                            }
                        }
                    }
                }
            }
            Place::Sum(_) | Place::Derived => {}
        }
        let mut out: Vec<(String, (Value, u64))> = counts.into_iter().collect();
        out.sort_by(|a, b| b.1.1.cmp(&a.1.1).then_with(|| a.0.cmp(&b.0)));
        out.truncate(limit);
        Ok(out.into_iter().map(|(_, value)| value).collect())
    }
    fn head_values(&self, id: FieldId, add: &mut dyn FnMut(Value, u64)) {
        for (import, data) in self.imports().iter().enumerate() {
            for block in &data.blocks {
                let setting = self.setting(import, block.zone.source);
                // Only flows are hidden.
                let place = BlockId { import: data.id, block: block.zone.index };
                let hidden = self.sightings().masked.get(&place).map_or(0, |mask| mask.count() as u64);
                let rows = u64::from(block.zone.rows).saturating_sub(hidden);
                match id {
                    field::KIND => block.zone.kinds.iter().for_each(|(kind, n)| {
                        let hidden = if *kind == Kind::Flow { hidden } else { 0 };
                        add(Value::text(kind.name()), u64::from(*n).saturating_sub(hidden));
                    }),
                    field::SOURCE => add(Value::text(setting.source), rows),
                    field::EVIDENCE => add(Value::text(setting.evidence), rows),
                    _ => {}
                }
            }
        }
    }
}

/// The distinct values of some rows of a column.
fn of_rows(column: &Column, rows: &Bits, add: &mut dyn FnMut(Value, u64)) {
    if let Values::Addr(uses, _) | Values::Text(uses, _) = &column.values {
        let mut seen: HashMap<u32, (usize, u64)> = HashMap::new();
        for i in rows.iter().flat_map(|row| column.range(row)) {
            if let Some(number) = uses.get(i) {
                seen.entry(*number).or_insert((i, 0)).1 += 1;
            }
        }
        seen.into_values().for_each(|(i, n)| {
            if let Some(value) = column.value(i) {
                add(value, n);
            }
        });
    } else {
        rows.iter().flat_map(|row| column.range(row)).filter_map(|i| column.value(i)).for_each(|value| add(value, 1));
    }
}

/// The distinct values of a column.
fn distinct(column: &Column, add: &mut dyn FnMut(Value, u64)) {
    match &column.values {
        Values::Addr(uses, _) | Values::Text(uses, _) => {
            let mut seen: HashMap<u32, (usize, u64)> = HashMap::new();
            for (i, number) in uses.iter().enumerate() {
                seen.entry(*number).or_insert((i, 0)).1 += 1;
            }
            seen.into_values().for_each(|(i, n)| {
                if let Some(value) = column.value(i) {
                    add(value, n);
                }
            });
        }
        Values::Uint(values) => {
            let mut seen: HashMap<u64, u64> = HashMap::new();
            values.iter().for_each(|n| *seen.entry(*n).or_default() += 1);
            seen.into_iter().for_each(|(value, n)| add(Value::Uint(value), n));
        }
        Values::Bool(v) => (0..v.len()).filter_map(|i| column.value(i)).for_each(|value| add(value, 1)),
        Values::Float(v) => (0..v.len()).filter_map(|i| column.value(i)).for_each(|value| add(value, 1)),
        Values::Time(v) => (0..v.len()).filter_map(|i| column.value(i)).for_each(|value| add(value, 1)),
    }
}
