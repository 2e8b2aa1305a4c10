//! Which rules of firewalls denied what is missing.

use super::{ACCEPTED, Asking, Explained, LINES, VALUES, grouped, usual};
use crate::detectors::curves::DENIES;
use crate::error::Result;
use crate::model::Value;
use crate::query::quote;
use std::collections::BTreeMap;

/// A rule with what it denied.
#[derive(Debug, Clone, PartialEq)]
pub struct Denied {
    /// The rule; none: the firewall does not say.
    pub rule: Option<String>,
    /// What it denied in the window.
    pub actual: f64,
    /// What it usually denies.
    pub usual: f64,
    /// Flows that are missing, to the same address and port as what it denied beyond the usual.
    pub matched: f64,
    /// Flows that are missing in all.
    pub missing: f64,
    /// In words.
    pub text: String,
    /// The query of its records.
    pub query: String,
}

/// Rules by how much of what is missing they explain.
pub(super) fn explain(asking: &Asking<'_>, out: &mut Explained) -> Result<()> {
    let flows = format!("count by dst.ip, dst.port | head {VALUES}");
    let accepted = grouped(asking, ACCEPTED, &flows, &out.compared, &Some)?;
    // What was accepted on most other days, and was not in the window.
    let missing: BTreeMap<String, f64> =
        accepted.into_iter().map(|(key, s)| (key, usual(&s.others) - s.actual)).filter(|(_, n)| *n >= 1.0).collect();
    let all: f64 = missing.values().sum();
    let rules = grouped(asking, DENIES, &format!("count by rule, dst.ip, dst.port | head {VALUES}"), &out.compared, &Some)?;
    let bare = format!("{DENIES} and not exists rule");
    let unnamed = grouped(asking, &bare, &format!("count by dst.ip, dst.port | head {VALUES}"), &out.compared, &Some)?;
    let mut by_rule: BTreeMap<Option<String>, (f64, f64, f64)> = BTreeMap::new();
    let named = rules.into_values().filter_map(|s| {
        let (rule, key) = s.values.split_first()?;
        Some((Some(rule.to_string()), words(key), s))
    });
    for (rule, key, sum) in named.chain(unnamed.into_values().map(|s| (None, words(&s.values), s))) {
        let often = usual(&sum.others);
        let of = by_rule.entry(rule).or_default();
        of.0 += sum.actual;
        of.1 += often;
        // A connection that is denied is tried again: more denies than flows are missing explain no more than those.
        of.2 += missing.get(&key).map_or(0.0, |m| m.min((sum.actual - often).max(0.0)));
    }
    let mut list: Vec<Denied> = by_rule
        .into_iter()
        .filter(|(_, (actual, usual, _))| *actual > 0.0 || *usual >= 1.0)
        .map(|(rule, (actual, usual, matched))| {
            let name = rule.as_deref().unwrap_or("(no rule named)");
            let text = if matched >= 1.0 && all > 0.0 {
                format!("{:.0} % of {all:.0} missing flows match {actual:.0} denies by rule {name}", 100.0 * matched / all)
            } else {
                format!("{actual:.0} denies by rule {name}, usually {usual:.0}")
            };
            let condition = rule.as_deref().map_or_else(|| "not exists rule".to_owned(), |r| format!("rule = {}", quote(r)));
            let query = asking.query(&format!("{DENIES} and {condition}"));
            Denied { rule, actual, usual, matched, missing: all, text, query }
        })
        .collect();
    list.sort_by(|a, b| {
        let excess = |d: &Denied| d.actual - d.usual;
        b.matched.total_cmp(&a.matched).then(excess(b).total_cmp(&excess(a))).then(a.rule.cmp(&b.rule))
    });
    list.truncate(LINES);
    out.denied = list;
    Ok(())
}

fn words(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
}
