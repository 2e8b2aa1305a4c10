//! What is asked to be dropped, in words, and as the journal has it.

use crate::model::Time;
use crate::model::decision::What;
use crate::store::{Kept, Plan};

/// The instants before which what has an age goes.
pub fn before(ages: [Option<i64>; 4], from: Time) -> [Option<Time>; 4] {
    ages.map(|age| age.map(|age| from.plus(age.saturating_neg())))
}

/// What was asked for, in words.
pub fn why(ages: [Option<i64>; 4], most: Option<&str>, from: Time) -> String {
    let span = |age: i64| crate::model::time::show_span(age);
    let mut parts: Vec<String> = match ages {
        [Some(a), Some(b), Some(c), Some(d)] if a == b && b == c && c == d => vec![format!("older than {}", span(a))],
        _ => Kept::ALL
            .iter()
            .zip(ages)
            .filter_map(|(k, age)| age.map(|age| format!("{} older than {}", k.name(), span(age))))
            .collect(),
    };
    if let Some(last) = parts.last_mut() {
        last.push_str(&format!(" at {}", from.rfc3339()));
    }
    parts.extend(most.map(|most| format!("beyond {most}")));
    parts.join(", ")
}

/// The decision that days go.
pub fn journalled(plan: &Plan, why: &str) -> What {
    let day = |d: &crate::store::prune_plan::Day| format!("{} {}", d.name(), d.kinds()).trim_end().to_owned();
    let mut days: Vec<String> = plan.days.iter().map(day).collect();
    if !plan.files.is_empty() {
        days.push(format!("{} files of packets and copies of evidence", plan.files.len()));
    }
    What::Prune { why: why.to_owned(), days, bytes: plan.bytes() }
}
