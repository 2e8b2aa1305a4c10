//! A catalog in memory, for tests and for cases that are forgotten at the end.

use super::catalog::{Catalog, Change};
use crate::error::Result;
use std::collections::BTreeMap;

/// Entries in order.
#[derive(Debug, Default)]
pub struct MemoryCatalog(BTreeMap<Vec<u8>, Vec<u8>>);

impl Catalog for MemoryCatalog {
    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        self.0.iter().try_for_each(|(k, v)| each(k, v))
    }
    fn commit(&mut self, changes: Vec<Change>) -> Result<()> {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}
