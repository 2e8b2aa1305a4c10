//! What is said of a record only when it is asked for: the names of its source and evidence, its direction, the verdict that stands on it, who
//! registered its ends, what people said of them.

use super::standing::Current;
use crate::context::by_hand::{self, Sayings};
use crate::context::feeds::Feeds;
use crate::model::{FieldId, Record, Value, field};
use crate::store::Snapshot;
use std::sync::Arc;

/// What holds while one question is answered.
pub struct Applied<'a> {
    snapshot: &'a Snapshot,
    current: Arc<Current>,
    feeds: Arc<Feeds>,
    /// Whether any feed says who registered addresses.
    registered: bool,
}

impl<'a> Applied<'a> {
    /// Over a view, with what stands now.
    pub fn new(snapshot: &'a Snapshot, current: Arc<Current>, feeds: Arc<Feeds>) -> Applied<'a> {
        Applied { snapshot, current, registered: feeds.has_registrations(), feeds }
    }
    /// A record as it is answered: with its direction and verdict, and who registered its ends.
    pub fn on(&self, mut record: Record) -> Record {
        for id in [field::DIRECTION, field::VERDICT].into_iter().chain(by_hand::FIELDS) {
            if let Some(value) = self.value(&record, id) {
                record.set(id, value);
            }
        }
        if self.registered {
            let (src, dst) = (record.addr(field::SRC_IP), record.addr(field::DST_IP));
            for (id, value) in self.feeds.values_of(src, dst, &|a| self.current.home.is_near(a)) {
                if let Some(value) = value {
                    record.set(id, value);
                }
            }
        }
        record
    }
    /// The value of a field that no record carries itself.
    pub fn value(&self, record: &Record, id: FieldId) -> Option<Value> {
        match id {
            field::DIRECTION => self.current.home.direction(record).map(|d| Value::text(d.name())),
            field::VERDICT if self.current.verdicts.is_empty() => None,
            field::VERDICT => self.current.verdicts.on(record, &|f| self.value(record, f)).map(|j| Value::text(j.name())),
            id if field::is_registration(id) => {
                let (src, dst) = (record.addr(field::SRC_IP), record.addr(field::DST_IP));
                self.registered.then(|| self.feeds.value_of(id, src, dst, &|a| self.current.home.is_near(a))).flatten()
            }
            id if by_hand::FIELDS.contains(&id) => self.current.by_hand.value(record, id),
            field::SOURCE => self.snapshot.source_name(record.source).map(Value::text),
            field::EVIDENCE => self.snapshot.evidence_path(record.id.evidence).map(Value::from),
            _ => None,
        }
    }
    /// Stored fields that the values of some fields are made of as well; whether there are any such fields.
    pub fn needs(&self, fields: &mut Vec<FieldId>) -> bool {
        let (direction, verdict) = (fields.contains(&field::DIRECTION), fields.contains(&field::VERDICT));
        let said = !self.current.by_hand.is_empty() && fields.iter().any(|f| by_hand::FIELDS.contains(f));
        let registration = fields.iter().any(|f| field::is_registration(*f));
        if direction || registration {
            fields.extend([field::SRC_IP, field::DST_IP]);
        }
        if said {
            fields.extend(Sayings::needs());
        }
        if verdict {
            fields.extend(self.current.verdicts.fields());
        }
        direction || verdict || registration || said
    }
}
