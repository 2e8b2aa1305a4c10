//! What sets and verdicts take out of totals: nothing is lowered in a report without saying so.

use crate::case::triage::AWAY;
use crate::error::Result;
use crate::model::answer::Cancel;
use crate::model::decision::Judgement;
use crate::query::{self, Engine, Question};

/// How much of the case was judged, and how much is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Alerts and notices.
    pub alerts: u64,
    /// Alerts and notices by verdict: benign, suspicious, malicious.
    pub judged: [u64; 3],
    /// Records of any kind that the set `allow` covers.
    pub allowed: u64,
}

impl Judged {
    /// Alerts that nobody has judged.
    pub fn left(&self) -> u64 {
        self.alerts.saturating_sub(self.judged.iter().sum())
    }
}

const ALERTS: &str = "kind in {alert, notice}";

/// Counts it.
pub fn judged(engine: &dyn Engine, cancel: &Cancel) -> Result<Judged> {
    let mut texts = vec!["any in @allow".to_owned(), ALERTS.to_owned()];
    texts.extend(Judgement::ALL.map(|j| format!("{ALERTS} and verdict = {}", j.name())));
    let questions: Vec<Question> = texts.iter().map(|text| engine.compile(text)).collect::<Result<_>>()?;
    let counts: Vec<u64> = engine.counts(&questions, u64::MAX, cancel)?.iter().map(|c| c.n).collect();
    let n = |at: usize| counts.get(at).copied().unwrap_or(0);
    Ok(Judged { allowed: n(0), alerts: n(1), judged: [n(2), n(3), n(4)] })
}

/// How many rows each condition of a question on sets and verdicts leaves out: what is left out is called, and how many; none that leaves
/// out nothing. A row that two leave out is counted once, by the first of them.
pub fn left_out(engine: &dyn Engine, text: &str, cancel: &Cancel) -> Result<Vec<(String, u64)>> {
    let mut out = Vec::new();
    let mut text = text.to_owned();
    for condition in query::leaving_out(&text).into_iter().rev() {
        let Some(wider) = query::without(&text, &condition) else { continue };
        let hidden = query::narrow(&wider, &format!("not ({condition})"))?;
        let mut question = engine.compile(&hidden)?;
        question.stages.clear();
        let n = engine.counts(&[question], u64::MAX, cancel)?.first().map_or(0, |c| c.n);
        if n > 0 {
            let known = AWAY.iter().find(|a| a.condition == condition);
            out.push((known.map_or(condition, |a| a.name.to_owned()), n));
        }
        text = wider;
    }
    out.reverse();
    Ok(out)
}
