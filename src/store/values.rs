//! The distinct values of a field with the number of records that have them, from the columns' dictionaries.

use super::column::Values;
use super::snapshot::Snapshot;
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
                        for (_, column) in reader.columns(Some(&parts))? {
                            distinct(&column, &mut add);
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
                match id {
                    field::KIND => {
                        block.zone.kinds.iter().for_each(|(k, n): &(Kind, u32)| add(Value::text(k.name()), u64::from(*n)));
                    }
                    field::SOURCE => add(Value::text(setting.source), u64::from(block.zone.rows)),
                    field::EVIDENCE => add(Value::text(setting.evidence), u64::from(block.zone.rows)),
                    _ => {}
                }
            }
        }
    }
}

/// The distinct values of a column.
fn distinct(column: &super::column::Column, add: &mut dyn FnMut(Value, u64)) {
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
