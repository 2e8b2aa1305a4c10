//! The trail asked again: every step's question, and what has changed of its rows since it was walked.

use super::trail::{COUNTED, Node, UNCOUNTED};
use crate::error::{ErrorKind, Result};
use crate::model::answer::Cancel;
use crate::model::{Time, Window};
use crate::query::{Engine, Question};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Questions that one replay asks at most; the same question in the same window is asked once.
pub const ASKED: usize = 2_000;
/// Rows are counted up to here.
pub const MOST: u64 = 10_000_000;

/// What there is of a step now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// It was asked.
    Rows {
        /// Rows.
        n: u64,
        /// There are at least so many: counting stopped.
        at_least: bool,
        /// Rows that came with imports since; none: nobody knows what had been imported then.
        new: Option<u64>,
    },
    /// It shows no rows of a question: there is nothing to compare.
    Uncounted,
    /// It could not be asked, and why.
    Failed(String),
    /// The bound of [`ASKED`] was reached before it.
    NotAsked,
}

/// How many steps have which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// With other rows than then.
    pub changed: usize,
    /// As they were.
    pub same: usize,
    /// That could not be asked, or were not.
    pub failed: usize,
}

impl Tally {
    /// In words.
    pub fn in_words(&self) -> String {
        let all = self.changed + self.same + self.failed;
        let failed = if self.failed > 0 { format!(", {} could not be asked", self.failed) } else { String::new() };
        format!("{all} steps asked again: {} changed, {} as they were{failed}", self.changed, self.same)
    }
}

/// A question with its rows and whether there are more than were counted; else why it cannot be asked.
type Counted = std::result::Result<(Question, u64, bool), String>;

/// Asks the steps of a trail again, in their order; `each` gets the index of each with what there is now, and returns false to stop. A step that
/// cannot be asked any more keeps none of the others from it.
pub fn replay(nodes: &[Node], engine: &dyn Engine, cancel: &Cancel, each: &mut dyn FnMut(usize, &Now) -> bool) -> Result<Tally> {
    // By question and window: how many rows there are, and by import what came since.
    let mut counted: HashMap<(&str, Option<Window>), Counted> = HashMap::new();
    let mut came: HashMap<(&str, Option<Window>, u64), u64> = HashMap::new();
    let mut tally = Tally::default();
    for (at, node) in nodes.iter().enumerate() {
        cancel.check()?;
        let key = (node.query.as_str(), node.span());
        let now = if UNCOUNTED.contains(&node.lens.as_str()) {
            Now::Uncounted
        } else if counted.len() >= ASKED && !counted.contains_key(&key) {
            Now::NotAsked
        } else {
            let known = match counted.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => free.insert(tried(count(engine, key.0, key.1, cancel))?),
            };
            match known {
                Err(why) => Now::Failed(why.clone()),
                Ok((question, n, at_least)) => {
                    let new = match node.seen {
                        Some(seen) if seen >= engine.sequence() => Some(0),
                        Some(seen) => Some(match came.entry((key.0, key.1, seen)) {
                            Entry::Occupied(known) => *known.get(),
                            Entry::Vacant(free) => *free.insert(engine.changes_since(question, seen, cancel)?),
                        }),
                        None => None,
                    };
                    Now::Rows { n: *n, at_least: *at_least, new }
                }
            }
        };
        match difference(node, &now) {
            Difference::None => {}
            Difference::Same => tally.same += 1,
            Difference::Other => tally.changed += 1,
            Difference::Unknown => tally.failed += 1,
        }
        if !each(at, &now) {
            break;
        }
    }
    Ok(tally)
}

fn count(engine: &dyn Engine, text: &str, window: Option<Window>, cancel: &Cancel) -> Result<(Question, u64, bool)> {
    let question = engine.compile(text)?;
    let mut question = match window {
        Some(window) => question.within(&window),
        None => question,
    };
    question.stages.clear();
    let count = engine.counts(std::slice::from_ref(&question), MOST, cancel)?.first().copied().unwrap_or_default();
    Ok((question, count.n, count.at_least))
}

/// What one question's failure is; being cancelled is everybody's.
fn tried<T>(made: Result<T>) -> Result<std::result::Result<T, String>> {
    match made {
        Ok(made) => Ok(Ok(made)),
        Err(e) if e.kind == ErrorKind::Cancelled => Err(e),
        Err(e) => Ok(Err(e.what)),
    }
}

/// Whether a step has other rows than then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It has no rows that could differ.
    None,
    /// As it was.
    Same,
    /// Rows came or went.
    Other,
    /// It could not be asked.
    Unknown,
}

/// Compares a step with what it had.
pub fn difference(node: &Node, now: &Now) -> Difference {
    match now {
        Now::Uncounted => Difference::None,
        Now::Failed(_) | Now::NotAsked => Difference::Unknown,
        Now::Rows { n, new, .. } => {
            let as_many = if node.rows >= COUNTED { *n >= node.rows } else { *n == node.rows };
            if as_many && new.is_none_or(|new| new == 0) { Difference::Same } else { Difference::Other }
        }
    }
}

/// What has changed of a step, in words: `+7 rows since 14:02Z`, `as it was`, `could not be asked: why`; empty: it has no rows. `time` writes times.
pub fn in_words(node: &Node, now: &Now, time: &dyn Fn(Time) -> String) -> String {
    let (n, at_least, new) = match now {
        Now::Uncounted => return String::new(),
        Now::Failed(why) => return format!("could not be asked: {why}"),
        Now::NotAsked => return format!("not asked: {ASKED} other questions came before it"),
        Now::Rows { n, at_least, new } => (*n, *at_least, *new),
    };
    let rows = |n: u64| if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
    let more = if at_least { " or more" } else { "" };
    if difference(node, now) == Difference::Same {
        return if node.rows >= COUNTED {
            format!("as it was, as far as it was counted ({n}{more} now)")
        } else {
            "as it was".into()
        };
    }
    let since = format!("since {}", time(node.at));
    // Of how many there were nothing is known beyond a bound, or at all.
    if node.rows >= COUNTED && n >= COUNTED {
        return format!("+{} {since}", rows(new.unwrap_or(0)));
    }
    if node.seen.is_none() {
        return format!(
            "{} now, {}{} when it was walked",
            rows(n),
            node.rows,
            if node.rows >= COUNTED { " or more" } else { "" }
        );
    }
    let new = new.unwrap_or(0);
    let gone = node.rows.saturating_add(new).saturating_sub(n);
    let both = if new > 0 && gone > 0 { format!(" ({new} came, {gone} went)") } else { String::new() };
    match n.cmp(&node.rows) {
        std::cmp::Ordering::Greater => format!("+{}{more} {since}{both}", rows(n - node.rows)),
        std::cmp::Ordering::Less => {
            let more = if node.rows >= COUNTED { " or more" } else { "" };
            format!("-{}{more} {since}{both}", rows(node.rows - n))
        }
        std::cmp::Ordering::Equal => format!("as many {since}{both}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::bookmarks::tests::decided;
    use crate::case::trail::{tests::node, tree};

    fn step(rows: u64, seen: Option<u64>) -> Node {
        let mut step = tree(&decided(vec![node(None, "a")])).remove(0);
        (step.rows, step.seen) = (rows, seen);
        step
    }

    #[test]
    fn what_changed_is_said_as_far_as_it_is_known() {
        let time = |_: Time| "14:02Z".to_owned();
        let now = |n, new| Now::Rows { n, at_least: false, new };
        for (rows, seen, now, want) in [
            (3, Some(1), now(3, Some(0)), "as it was"),
            (3, Some(1), now(10, Some(7)), "+7 rows since 14:02Z"),
            (3, Some(1), now(4, Some(0)), "+1 row since 14:02Z"),
            (3, Some(1), now(2, Some(0)), "-1 row since 14:02Z"),
            (3, Some(1), now(8, Some(7)), "+5 rows since 14:02Z (7 came, 2 went)"),
            (3, Some(1), now(3, Some(2)), "as many since 14:02Z (2 came, 2 went)"),
            (3, None, now(3, None), "as it was"),
            (0, None, now(9, None), "9 rows now, 0 when it was walked"),
            (COUNTED, Some(1), now(200_000, Some(0)), "as it was, as far as it was counted (200000 now)"),
            (COUNTED, Some(1), now(200_000, Some(5)), "+5 rows since 14:02Z"),
            (COUNTED, Some(1), now(7, Some(0)), "-99993 rows or more since 14:02Z"),
            (3, Some(1), Now::Failed("no such field".into()), "could not be asked: no such field"),
            (3, Some(1), Now::Uncounted, ""),
        ] {
            assert_eq!(in_words(&step(rows, seen), &now, &time), want);
        }
        let tally = Tally { changed: 1, same: 2, failed: 1 };
        assert_eq!(tally.in_words(), "4 steps asked again: 1 changed, 2 as they were, 1 could not be asked");
    }
}
