//! A checked question: a filter, a window, and the stages after `|`. It prints as text that parses back to itself.

use crate::model::field::FieldId;
use crate::model::{Filter, Window};
use serde::{Deserialize, Serialize};

/// A question that can be run. `text` is the canonical text.
#[derive(Debug, Clone)]
pub struct Question {
    /// Canonical text, without the time clause of `window` where that came from elsewhere.
    pub text: String,
    /// Which records.
    pub filter: Filter,
    /// When, absolute, in corrected time.
    pub window: Window,
    /// What is made of them; empty: the rows themselves.
    pub stages: Vec<Stage>,
    /// Flows: show every sighting as its own row instead of one row per connection.
    pub every_sighting: bool,
    /// Its hosts are also asked for as what they were elsewhere: found when it is answered, by what is known then. `filter` is of their own rows.
    pub elsewhere: bool,
}

impl Question {
    /// Every record of a window.
    pub fn all(window: Window) -> Question {
        Question { text: String::new(), filter: Filter::All, window, stages: Vec::new(), every_sighting: false, elsewhere: false }
    }
    /// The same question within another window as well.
    pub fn within(mut self, window: &Window) -> Question {
        self.window = self.window.intersect(window);
        self
    }
    /// The same question with another condition as well.
    pub fn and(mut self, filter: Filter) -> Question {
        self.filter = std::mem::replace(&mut self.filter, Filter::All).and(filter);
        self
    }
}

/// What is said of the numbers of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Their mean.
    Mean,
    /// The value below which so many thousandths of them lie.
    Percentile(u16),
}

/// A stage of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// `count by a, b`: groups with their number. Without fields: one number.
    Count {
        /// Grouping fields.
        by: Vec<FieldId>,
    },
    /// `sum bytes by a, b`.
    Sum {
        /// Summed field.
        field: FieldId,
        /// Grouping fields.
        by: Vec<FieldId>,
    },
    /// `top 10 host by bytes` (without `by`: by count).
    Top {
        /// How many.
        n: usize,
        /// Grouping field; of an `Any` field every part counts.
        field: FieldId,
        /// Weight.
        by: Option<FieldId>,
    },
    /// `sort -count`, `sort start`: by a column of what comes in; `-`: descending.
    Sort {
        /// Column: a field's name, `count`, or `sum`.
        column: String,
        /// Largest first.
        descending: bool,
    },
    /// `head 20`.
    Head {
        /// How many rows pass.
        n: usize,
    },
    /// `timeline 5m bytes by app`.
    Timeline {
        /// Bin in nanoseconds.
        bin: i64,
        /// Weight; none: number of records.
        weight: Option<FieldId>,
        /// Split by.
        by: Option<FieldId>,
    },
    /// `mean bytes by a, b`, `percentile 95 bytes by a, b`: of the records that have the field.
    Measure {
        /// What is said of it.
        measure: Measure,
        /// Measured field.
        field: FieldId,
        /// Grouping fields.
        by: Vec<FieldId>,
    },
}

/// Stored fields that stages read; none: all of them.
pub fn fields_of(stages: &[Stage]) -> Option<Vec<FieldId>> {
    let mut out = Vec::new();
    let first = stages.iter().find(|s| !matches!(s, Stage::Sort { .. } | Stage::Head { .. }))?;
    match first {
        Stage::Count { by } => out.extend(by),
        Stage::Sum { field, by } | Stage::Measure { field, by, .. } => out.extend(by.iter().chain([field])),
        Stage::Top { field, by, .. } => out.extend(by.iter().chain([field])),
        Stage::Timeline { weight, by, .. } => out.extend(weight.iter().chain(by)),
        Stage::Sort { .. } | Stage::Head { .. } => return None,
    }
    Some(out)
}
